//! How settings of detection are changed: key by key, as they are written.
//!
//! Promises: pure; what is not named stays. A list is one value. On failure the key is named, and nothing has changed.

use crate::config::Detection;
use crate::models::detection::settings::DetectionSettings;
use crate::models::rules::{Origin, Rule, RuleSet};
use crate::models::time::Width;
use crate::web::detection_control::DetectionError;
use serde_json::{Map, Value};

/// Key of the rules, which are not changed key by key.
const RULES: &str = "rules";

/// Gives keys of settings other values; `null` goes back to the value of the configuration.
///
/// # Errors
/// [`DetectionError::Field`].
pub fn merged(
    settings: &DetectionSettings,
    config: &DetectionSettings,
    change: &Map<String, Value>,
    widths: &[Width],
) -> Result<DetectionSettings, DetectionError> {
    let mut wanted = keys_of(settings);
    put(&mut wanted, change, &keys_of(config));
    read(wanted, settings.rules.clone(), widths)
}

fn put(settings: &mut Map<String, Value>, change: &Map<String, Value>, config: &Map<String, Value>) {
    let nothing = Map::new();
    for (key, value) in change {
        match (value, settings.get_mut(key)) {
            (Value::Null, _) => match config.get(key) {
                Some(usual) => _ = settings.insert(key.clone(), usual.clone()),
                None => _ = settings.remove(key),
            },
            (Value::Object(change), Some(Value::Object(of_key))) => {
                put(of_key, change, config.get(key).and_then(Value::as_object).unwrap_or(&nothing));
            }
            (value, _) => _ = settings.insert(key.clone(), value.clone()),
        }
    }
}

/// Returns what is looked for where the configuration has changed since a change was made on it: its new words hold where it
/// has changed them, and the change everywhere else. Where both together are no settings it is the configuration alone.
#[must_use]
pub fn on_new_config(
    settings: &DetectionSettings,
    before: &DetectionSettings,
    config: &DetectionSettings,
    widths: &[Width],
) -> DetectionSettings {
    let both = combined(&keys_of(before).into(), &keys_of(config).into(), &keys_of(settings).into());
    let mut rules: Vec<Rule> = config.rules.to_vec();
    let own = settings.rules.iter().filter(|rule| rule.origin == Origin::Api);
    let own: Vec<Rule> =
        own.filter(|rule| rules.iter().all(|other| other.name != rule.name)).cloned().collect();
    rules.extend(own);
    let Value::Object(both) = both else { return config.clone() };
    // Each is right by itself, and what is wrong with both is of no use to anybody: the start says what holds.
    read(both, rules.into(), widths).unwrap_or_else(|_| config.clone())
}

fn combined(before: &Value, config: &Value, settings: &Value) -> Value {
    match (before, config, settings) {
        (Value::Object(before), Value::Object(config), Value::Object(settings)) => {
            let of = |key: &String| {
                let nothing = &Value::Null;
                let [before, config, settings] =
                    [before, config, settings].map(|of| of.get(key).unwrap_or(nothing));
                (key.clone(), combined(before, config, settings))
            };
            config.keys().map(of).collect::<Map<_, _>>().into()
        }
        _ if before == config => settings.clone(),
        _ => config.clone(),
    }
}

/// Returns the settings as they are written, but for rules.
fn keys_of(settings: &DetectionSettings) -> Map<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(mut keys)) => {
            keys.remove(RULES);
            keys
        }
        _ => unreachable!("settings are an object of plain data"),
    }
}

/// Reads settings as the configuration is read.
fn read(
    wanted: Map<String, Value>,
    rules: RuleSet,
    widths: &[Width],
) -> Result<DetectionSettings, DetectionError> {
    let section: Detection = serde_path_to_error::deserialize(Value::Object(wanted)).map_err(|error| {
        let field = match error.path().to_string() {
            path if path == "." => "body".to_owned(),
            path => path,
        };
        DetectionError::Field { detail: format!("`{field}`: {}", error.inner()), field }
    })?;
    match section.faults(widths).into_iter().next() {
        Some((key, reason)) => {
            let field = key.strip_prefix("detection.").unwrap_or(&key).to_owned();
            Err(DetectionError::Field { detail: format!("`{field}`: {reason}"), field })
        }
        None => Ok(section.all_settings(rules)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::settings::CoreSettings;
    use serde_json::json;

    fn widths() -> Vec<Width> {
        CoreSettings::default().widths
    }

    fn changed(settings: &DetectionSettings, change: &Value) -> Result<DetectionSettings, DetectionError> {
        let change = change.as_object().expect("an object");
        merged(settings, &DetectionSettings::default(), change, &widths())
    }

    #[test]
    fn what_is_named_changes_and_null_goes_back_to_the_configuration() {
        let by_default = DetectionSettings::default();
        let change = json!({"enabled": false, "price_spike": {"percent": 2}, "overrides": [{"asset_class": "crypto", "rsi": {"overbought": 80}}]});
        let first = changed(&by_default, &change).expect("it is right");
        assert_eq!((first.thresholds.enabled, first.thresholds.price.percent), (false, 2.0));
        assert_eq!((first.thresholds.price.bars, first.overrides[0].rsi.overbought), (20, Some(80.0)));
        let second =
            changed(&first, &json!({"price_spike": {"percent": null}, "overrides": null})).expect("right");
        assert_eq!((second.thresholds.price.percent, second.overrides.len()), (5.0, 0));
        assert!(!second.thresholds.enabled, "it was not named");
        assert_eq!(changed(&second, &json!({"enabled": null})).expect("right"), by_default);
        assert_eq!(changed(&first, &json!({})).expect("right"), first);
    }

    #[test]
    fn a_fault_names_its_key() {
        for (change, field) in [
            (json!({"price_spike": {"percnt": 2}}), "price_spike.percnt"),
            (json!({"price_spike": {"percent": "2"}}), "price_spike.percent"),
            (json!({"price_spike": {"percent": 0}}), "price_spike.percent"),
            (json!({"price_spike": 1}), "price_spike"),
            (json!({"severity": {"medium": 9}}), "severity.high"),
            (json!({"window": "7min"}), "window"),
            (json!({"window": "2min"}), "window"),
            (json!({"overrides": [{}]}), "overrides"),
            (json!({"overrides": [{"asset_class": "gold"}]}), "overrides[0].asset_class"),
        ] {
            let found = changed(&DetectionSettings::default(), &change).expect_err("wrong");
            assert!(
                matches!(&found, DetectionError::Field { field: of, .. } if of == field),
                "{change}: {found:?}"
            );
        }
    }

    #[test]
    fn the_configuration_wins_where_it_has_changed_since() {
        let before = DetectionSettings::default();
        let change = json!({"price_spike": {"percent": 2, "bars": 30}, "volume_spike": {"factor": 9}});
        let mut settings = changed(&before, &change).expect("right");
        let rule = |name: &str, origin| Rule {
            name: name.to_owned(),
            when: "price > 1".to_owned(),
            origin,
            ..Rule::default()
        };
        settings.rules =
            vec![rule("gone", Origin::Config), rule("mine", Origin::Api), rule("taken", Origin::Api)].into();
        let mut config =
            changed(&before, &json!({"price_spike": {"percent": 7}, "enabled": false})).expect("right");
        config.rules = vec![rule("taken", Origin::Config)].into();
        let found = on_new_config(&settings, &before, &config, &widths());
        let price = found.thresholds.price;
        assert_eq!((price.percent, price.bars, found.thresholds.volume.factor), (7.0, 30, 9.0));
        assert!(!found.thresholds.enabled);
        let names: Vec<_> = found.rules.iter().map(|rule| (rule.name.as_str(), rule.origin)).collect();
        assert_eq!(names, [("taken", Origin::Config), ("mine", Origin::Api)]);
        let low = changed(&before, &json!({"severity": {"high": 1.6}})).expect("right");
        let high = changed(&before, &json!({"severity": {"medium": 1.9}})).expect("right");
        assert_eq!(on_new_config(&low, &before, &high, &widths()), high, "both together are wrong");
    }
}
