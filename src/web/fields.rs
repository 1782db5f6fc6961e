//! Fields of JSON objects that clients send, read one by one.
//!
//! Promises: a fault names its field, what stands there and what belongs there, in our words: what a library says of it would
//! speak of its own types. On failure nothing of the object has any effect.

use crate::models::symbol::shortened;
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

/// How much of a value a fault repeats, in characters.
const SHOWN_MAX: usize = 32;

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    /// The field.
    pub field: &'static str,
    /// The explanation, for people.
    pub detail: String,
}

/// Reads JSON.
///
/// # Errors
/// Where it is none; the text says from which place on.
pub fn parse(text: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(text).map_err(|error| match (error.is_eof(), error.line(), error.column()) {
        (true, ..) => "is no JSON: it ends too early".to_owned(),
        (false, line, column) => format!("is no JSON: it cannot be read at line {line}, column {column}"),
    })
}

/// The fields of an object. One that is `null` counts as absent.
#[derive(Clone, Copy)]
pub struct Fields<'v>(pub &'v Map<String, Value>);

impl<'v> Fields<'v> {
    /// Returns a field's value.
    fn get(self, field: &str) -> Option<&'v Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }

    /// Reads a text.
    ///
    /// # Errors
    /// When it is something else.
    pub fn text(self, field: &'static str) -> Result<Option<&'v str>, FieldFault> {
        let read = |value: &'v Value| value.as_str().ok_or_else(|| wrong(field, value, "a text"));
        self.get(field).map(read).transpose()
    }

    /// Reads `true` or `false`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn flag(self, field: &'static str) -> Result<Option<bool>, FieldFault> {
        let read = |value: &'v Value| value.as_bool().ok_or_else(|| wrong(field, value, "`true` or `false`"));
        self.get(field).map(read).transpose()
    }

    /// Reads a whole number of a range.
    ///
    /// # Errors
    /// When it is something else, or outside.
    pub fn number(self, field: &'static str, range: RangeInclusive<u64>) -> Result<Option<u64>, FieldFault> {
        let Some(value) = self.get(field) else { return Ok(None) };
        let number = value.as_u64().filter(|number| range.contains(number));
        let belongs = || format!("a whole number from {} to {}", range.start(), range.end());
        number.map(Some).ok_or_else(|| wrong(field, value, &belongs()))
    }

    /// Reads a list of names; one name alone is a list of it.
    ///
    /// # Errors
    /// When it is something else.
    pub fn names(self, field: &'static str) -> Result<Option<Vec<String>>, FieldFault> {
        let belongs = "a list of names, each a text";
        let Some(value) = self.get(field) else { return Ok(None) };
        match value {
            Value::String(name) => Ok(Some(vec![name.clone()])),
            Value::Array(names) => {
                let read = |name: &Value| match name.as_str() {
                    Some(name) => Ok(name.to_owned()),
                    None => {
                        let shown = shown(name);
                        Err(FieldFault { field, detail: format!("`{field}` has {shown}: it is {belongs}") })
                    }
                };
                names.iter().map(read).collect::<Result<_, _>>().map(Some)
            }
            _ => Err(wrong(field, value, belongs)),
        }
    }

    /// Reads an object.
    ///
    /// # Errors
    /// When it is something else.
    pub fn object(self, field: &'static str) -> Result<Option<Fields<'v>>, FieldFault> {
        let read = |value: &'v Value| value.as_object().ok_or_else(|| wrong(field, value, "an object"));
        Ok(self.get(field).map(read).transpose()?.map(Fields))
    }

    /// Makes the fault of a field that must be there and is not.
    #[must_use]
    pub fn missing(field: &'static str, belongs: &str) -> FieldFault {
        FieldFault { field, detail: format!("`{field}` is missing: it is {belongs}") }
    }
}

/// Makes the fault of a value that does not belong there.
#[must_use]
pub fn wrong(field: &'static str, value: &Value, belongs: &str) -> FieldFault {
    FieldFault { field, detail: format!("`{field}` is {}: it is {belongs}", shown(value)) }
}

/// Returns a value as faults repeat it.
fn shown(value: &Value) -> String {
    format!("`{}`", shortened(&value.to_string(), SHOWN_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_fault_names_its_field_and_nothing_of_how_it_was_read() {
        let value = json!({
            "text": 1, "flag": "yes", "number": -5, "float": 1.5, "big": 11, "names": {"a": 1}, "mixed": ["a", 1],
            "object": [], "null": null, "long": "x".repeat(100),
        });
        let fields = Fields(value.as_object().unwrap());
        let details = [
            fields.text("text").unwrap_err(),
            fields.flag("flag").unwrap_err(),
            fields.number("number", 0..=10).unwrap_err(),
            fields.number("float", 0..=10).unwrap_err(),
            fields.number("big", 0..=10).unwrap_err(),
            fields.names("names").unwrap_err(),
            fields.names("mixed").unwrap_err(),
            fields.object("object").err().unwrap(),
            fields.flag("long").unwrap_err(),
        ]
        .map(|fault| {
            assert!(fault.detail.starts_with(&format!("`{}` ", fault.field)), "{}", fault.detail);
            fault.detail
        });
        assert_eq!(details[0], "`text` is `1`: it is a text");
        assert_eq!(details[1], "`flag` is `\"yes\"`: it is `true` or `false`");
        assert_eq!(details[2], "`number` is `-5`: it is a whole number from 0 to 10");
        assert_eq!(details[6], "`mixed` has `1`: it is a list of names, each a text");
        assert!(details[8].contains("xxx…`"), "{}", details[8]);
        for detail in details {
            assert!(
                !["expected", "invalid", "untagged", "u32", "variant"]
                    .iter()
                    .any(|word| detail.contains(word)),
                "{detail}"
            );
        }
        assert_eq!((fields.text("null"), fields.names("none")), (Ok(None), Ok(None)));
        assert_eq!(parse(b"{").unwrap_err(), "is no JSON: it ends too early");
        assert_eq!(parse(b"{\"a\" 1}").unwrap_err(), "is no JSON: it cannot be read at line 1, column 6");
    }
}
