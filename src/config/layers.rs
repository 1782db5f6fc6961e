//! Merges values into a configuration one key at a time, so that every bad key is known by name and none hides
//! another.
//!
//! A key is tried alone on top of the keys that are known to be good, so a complaint of serde is about that key.
//! Promises: the configuration stays valid after each key. On failure: the key is left out and reported as a fault.

use super::Config;
use super::fault::Fault;
use super::sources::Origin;
use crate::secret::{shown_value, without_value};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use toml::{Table, Value};

/// Splits a key at its dots.
pub(super) fn split(key: &str) -> Vec<String> {
    key.split('.').map(str::to_owned).collect()
}

/// Prints a value as a fault shows it: strings without quotes.
pub(super) fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What is good so far.
pub(super) struct Layers {
    table: Table,
    pub config: Config,
    pub origins: BTreeMap<String, Origin>,
    pub faults: Vec<Fault>,
}

impl Layers {
    pub fn new() -> Layers {
        let config = Config::default();
        let table = Table::try_from(&config).expect("the defaults are plain data");
        Layers { table, config, origins: BTreeMap::new(), faults: Vec::new() }
    }

    pub fn read_file(&mut self, path: &Path) {
        let origin = Origin::File(path.to_owned());
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return self.refuse(None, None, origin, &format!("cannot be read: {error}")),
        };
        match toml::from_str::<Table>(&text) {
            Ok(table) => self.offer_table(&mut Vec::new(), table, &origin),
            Err(error) => {
                // The error's own text would show the line, and so perhaps a secret.
                let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
                self.refuse(None, None, origin, &format!("line {line}: {}", error.message()));
            }
        }
    }

    fn offer_table(&mut self, path: &mut Vec<String>, table: Table, origin: &Origin) {
        for (key, value) in table {
            path.push(key);
            match value {
                Value::Table(inner) if !inner.is_empty() => self.offer_table(path, inner, origin),
                Value::Table(_) if lookup(&self.table, path).is_some_and(Value::is_table) => {}
                value => self.offer(path, std::slice::from_ref(&value), &shown(&value), origin.clone()),
            }
            path.pop();
        }
    }

    /// Takes the first of the readings of a value that its key accepts, or remembers why none is.
    pub fn offer(&mut self, path: &[String], readings: &[Value], found: &str, origin: Origin) {
        let mut reasons = Vec::new();
        for reading in readings {
            let mut table = self.table.clone();
            insert(&mut table, path, reading.clone());
            match Config::deserialize(table.clone()) {
                Ok(config) => {
                    (self.table, self.config) = (table, config);
                    return self.accepted(path.join("."), origin);
                }
                Err(error) => reasons.push(plain(error.message())),
            }
        }
        // A reading of the wrong type says less than one of the right type with a bad value.
        let telling = reasons.iter().find(|reason| !reason.starts_with("invalid type")).or(reasons.first());
        let reason = telling.cloned().unwrap_or_else(|| "has no value".to_owned());
        self.refuse(Some(path.join(".")), Some(found), origin, &reason);
    }

    fn accepted(&mut self, key: String, origin: Origin) {
        // Symbols that were asked for by name win over a count of them that an earlier source asked for.
        let count = "provider.symbol_count";
        let count_is_earlier = self.origins.get(count).is_some_and(|before| rank(before) < rank(&origin));
        if key == "provider.symbols" && count_is_earlier {
            self.origins.remove(count);
            self.config.provider.symbol_count = None;
            // Taken out of what was given: a configuration that is written out has lost its secrets.
            if let Some(Value::Table(provider)) = self.table.get_mut("provider") {
                provider.remove("symbol_count");
            }
        }
        self.origins.insert(key, origin);
    }

    /// Returns the path of the key that these words make, joined by dots and underscores in some way; `None` where no key
    /// is called so.
    pub fn known_path(&self, words: &[&str]) -> Option<Vec<String>> {
        fn find(
            table: &Table,
            words: &[&str],
            path: &mut Vec<String>,
            knows: &dyn Fn(&[String]) -> bool,
        ) -> bool {
            for len in (1..=words.len()).rev() {
                path.push(words[..len].join("_"));
                let found = match table.get(path.last().expect("just pushed")) {
                    Some(Value::Table(inner)) => len < words.len() && find(inner, &words[len..], path, knows),
                    _ => len == words.len() && knows(path),
                };
                if found {
                    return true;
                }
                path.pop();
            }
            false
        }
        let mut path = Vec::new();
        find(&self.table, words, &mut path, &|path| self.knows(path)).then_some(path)
    }

    /// True for a key that there is, whether or not it has a value.
    fn knows(&self, path: &[String]) -> bool {
        let mut table = self.table.clone();
        // Hardly any key takes a time of day, so one that there is refuses it for its type.
        let nothing = "00:00:00".parse().expect("a time of day");
        insert(&mut table, path, Value::Datetime(nothing));
        Config::deserialize(table)
            .map_or_else(|error| !error.message().starts_with("unknown field"), |_| true)
    }

    /// Returns the text that a key has now; empty for a key that has none.
    pub fn text(&self, key: &str) -> &str {
        lookup(&self.table, &split(key)).and_then(Value::as_str).unwrap_or_default()
    }

    /// Remembers a fault, without the value where that may be secret: serde's reason may repeat it.
    fn refuse(&mut self, key: Option<String>, found: Option<&str>, origin: Origin, reason: &str) {
        let name = key.as_deref().unwrap_or_default();
        let reason = found.map_or_else(|| reason.to_owned(), |value| without_value(name, value, reason));
        let found = found.map(|value| shown_value(name, value).into_owned());
        self.faults.push(Fault { key, found, origin, reason });
    }
}

/// Puts serde's words for types into words for people.
fn plain(message: &str) -> String {
    let words = [
        ("unknown field", "unknown key"),
        ("unknown variant", "unknown word"),
        ("expected a nonzero u32", "expected a whole number from 1 up"),
        ("expected usize", "expected a whole number from 0 up"),
        ("expected u64", "expected a whole number from 0 up"),
        ("expected u32", "expected a whole number from 0 up"),
        ("expected f64", "expected a number"),
        ("expected a boolean", "expected true or false"),
    ];
    words.into_iter().fold(message.to_owned(), |text, (from, to)| text.replacen(from, to, 1))
}

/// Orders the kinds of sources.
fn rank(origin: &Origin) -> u8 {
    match origin {
        Origin::Default => 0,
        Origin::File(_) => 1,
        Origin::DotEnv(_) => 2,
        Origin::Environment(_) => 3,
        Origin::Flag(_) => 4,
    }
}

/// Returns the value at a path.
pub(super) fn lookup<'a>(table: &'a Table, path: &[String]) -> Option<&'a Value> {
    let (last, sections) = path.split_last()?;
    let section = sections.iter().try_fold(table, |table, key| table.get(key)?.as_table())?;
    section.get(last)
}

/// Puts a value at a path. A value that is there in place of a section is replaced, and reported as not being a section.
fn insert(table: &mut Table, path: &[String], value: Value) {
    let Some((key, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        table.insert(key.clone(), value);
        return;
    }
    let inner = table.entry(key.clone()).or_insert_with(|| Value::Table(Table::new()));
    if !inner.is_table() {
        *inner = Value::Table(Table::new());
    }
    if let Value::Table(inner) = inner {
        insert(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_secret_is_shown_neither_as_value_nor_in_the_reason() {
        let mut layers = Layers::new();
        let reason = "invalid type: integer `12345`, expected a string".to_owned();
        layers.refuse(Some("a.token".to_owned()), Some("12345"), Origin::Default, &reason);
        layers.refuse(Some("a.port".to_owned()), Some("12345"), Origin::Default, &reason);
        assert!(!layers.faults[0].to_string().contains("12345"), "{}", layers.faults[0]);
        assert!(layers.faults[1].to_string().contains("= `12345`"), "{}", layers.faults[1]);
    }
}
