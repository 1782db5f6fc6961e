//! `docs/schemas/`: JSON Schemas of what stands in the topics, made from the code.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tickwire::wire::{
    AnomalyMessage, BarMessage, DeadLetterMessage, IndicatorsMessage, PredictionMessage, TickMessage,
};
use utoipa::{PartialSchema, ToSchema};

/// Each schema's file, and what it describes.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas")
}

/// Makes the schema of a message. What is flattened into it is put in its place, so that each file stands for itself.
fn schema<T: ToSchema>(title: &str) -> String {
    let mut parts = Vec::new();
    T::schemas(&mut parts);
    let parts: BTreeMap<String, Value> =
        parts.into_iter().map(|(name, part)| (name, serde_json::to_value(part).unwrap())).collect();
    let mut whole = Map::new();
    merge(&serde_json::to_value(<T as PartialSchema>::schema()).unwrap(), &parts, &mut whole);
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!(title));
    for key in ["description", "type", "properties", "required"] {
        schema.insert(key.to_owned(), whole.remove(key).unwrap_or_else(|| panic!("{title} has no {key}")));
    }
    let mut text = serde_json::to_string_pretty(&schema).unwrap();
    text.push('\n');
    text
}

fn merge(found: &Value, parts: &BTreeMap<String, Value>, whole: &mut Map<String, Value>) {
    if let Some(name) = found["$ref"].as_str() {
        return merge(&parts[name.rsplit('/').next().unwrap()], parts, whole);
    }
    for part in found["allOf"].as_array().into_iter().flatten() {
        merge(part, parts, whole);
    }
    for (key, value) in found.as_object().unwrap() {
        match (key.as_str(), value) {
            ("allOf", _) => {}
            ("properties", Value::Object(fields)) => {
                let own = whole.entry(key).or_insert_with(|| json!({}));
                own.as_object_mut().unwrap().extend(fields.clone());
            }
            ("required", Value::Array(names)) => {
                let own = whole.entry(key).or_insert_with(|| json!([])).as_array_mut().unwrap();
                own.extend(names.iter().cloned());
                own.sort_by_key(|name| name.as_str().unwrap().to_owned());
            }
            _ => {
                whole.insert(key.clone(), value.clone());
            }
        }
    }
}

#[test]
fn the_files_are_what_the_code_says() {
    let made = [
        ("tick_data", schema::<TickMessage<'static>>("tick_data")),
        ("aggregated_data", schema::<BarMessage<'static>>("aggregated_data_{window}")),
        ("technical_indicators", schema::<IndicatorsMessage<'static>>("technical_indicators")),
        ("anomalies", schema::<AnomalyMessage>("anomalies")),
        ("predictions", schema::<PredictionMessage>("predictions")),
        ("tick_data_dlq", schema::<DeadLetterMessage<'static>>("tick_data_dlq")),
    ];
    let is_to_write = std::env::var("TICKWIRE_WRITE_SCHEMAS").is_ok();
    for (name, schema) in &made {
        let path = folder().join(format!("{name}.json"));
        if is_to_write {
            std::fs::write(&path, schema).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(there == *schema, "{} is another one: TICKWIRE_WRITE_SCHEMAS=1 writes it", path.display());
    }
    let files = std::fs::read_dir(folder()).unwrap().count();
    assert_eq!(files, made.len(), "a file that nothing makes");
}
