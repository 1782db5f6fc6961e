//! What is looked for from a position of the log on, and where that came from, as JSON.
//!
//! The settings have the keys of the section `detection` of the configuration, and `rules` beside them, so that whoever
//! reads a log finds the words that he wrote. Beside them stands the configuration that they were made on, where they
//! differ from it: a start sees by it what the configuration has changed since.
//!
//! Promises: a statement that is written reads back to what it was. What one says is worked out once a process and text,
//! however many symbols ask. On failure the reason is said, and nobody may go on from a part of it.

use super::document::{Document, TooLong};
use super::settings::{
    DetectionOverride, DetectionSettings, PriceThreshold, RsiThreshold, SeverityLevels, Thresholds,
    VolumeThreshold,
};
use crate::models::rules::RuleSet;
use crate::models::time::Width;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Where a statement came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatedBy {
    /// The configuration alone.
    Config,
    /// A change over REST, or the configuration with such changes.
    Api,
}

impl StatedBy {
    /// Returns the word that answers use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            StatedBy::Config => "config",
            StatedBy::Api => "api",
        }
    }
}

/// What is looked for from a position on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Where it came from.
    pub by: StatedBy,
    /// What is looked for.
    pub settings: DetectionSettings,
    /// What the configuration said then; `None` where that is what is looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<DetectionSettings>,
}

impl Statement {
    /// States what the configuration says.
    #[must_use]
    pub fn of_config(config: &DetectionSettings) -> Statement {
        Statement { by: StatedBy::Config, settings: config.clone(), config: None }
    }

    /// States settings that were made on a configuration.
    #[must_use]
    pub fn changed(settings: DetectionSettings, config: &DetectionSettings) -> Statement {
        if settings == *config {
            return Statement::of_config(config);
        }
        Statement { by: StatedBy::Api, settings, config: Some(config.clone()) }
    }

    /// Returns what the configuration said.
    #[must_use]
    pub fn config(&self) -> &DetectionSettings {
        self.config.as_ref().unwrap_or(&self.settings)
    }

    /// Writes it down.
    ///
    /// # Errors
    /// [`TooLong`].
    pub fn document(&self) -> Result<Document, TooLong> {
        Document::new(&serde_json::to_string(self).expect("settings are plain data, and finite"))
    }
}

/// What each text says that was asked for.
type Read = HashMap<Document, Result<Arc<Statement>, Arc<str>>>;

/// Texts that were read. Each is kept by the process anyhow.
static READ: LazyLock<Mutex<Read>> = LazyLock::new(Mutex::default);

/// Reads what a document says.
///
/// # Errors
/// Why it cannot be read: it is of another version of the program, or damaged.
pub fn read(document: Document) -> Result<Arc<Statement>, Arc<str>> {
    let mut known = READ.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(document).or_insert_with(|| parse(document.text()).map(Arc::new).map_err(Arc::from)).clone()
}

fn parse(text: &str) -> Result<Statement, String> {
    let statement: Statement = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let DetectionSettings { thresholds, overrides, .. } = &statement.settings;
    let all = std::iter::once(*thresholds).chain(overrides.iter().map(|one| one.over(thresholds)));
    match all.flat_map(|thresholds| thresholds.faults()).next() {
        Some((key, reason)) => Err(format!("`{key}`: {reason}")),
        None => Ok(statement),
    }
}

/// The settings as they are written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    enabled: bool,
    #[serde(with = "window")]
    window: Width,
    price_spike: PriceThreshold,
    volume_spike: VolumeThreshold,
    rsi: RsiThreshold,
    severity: SeverityLevels,
    #[serde(default)]
    overrides: Vec<DetectionOverride>,
    #[serde(default)]
    rules: RuleSet,
}

impl Serialize for DetectionSettings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Thresholds { enabled, price, volume, rsi, severity } = self.thresholds;
        let (overrides, rules) = (self.overrides.clone(), self.rules.clone());
        let (window, price_spike, volume_spike) = (self.width, price, volume);
        Form { enabled, window, price_spike, volume_spike, rsi, severity, overrides, rules }
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DetectionSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<DetectionSettings, D::Error> {
        let Form { enabled, window, price_spike, volume_spike, rsi, severity, overrides, rules } =
            Form::deserialize(deserializer)?;
        let (price, volume) = (price_spike, volume_spike);
        let thresholds = Thresholds { enabled, price, volume, rsi, severity };
        Ok(DetectionSettings { width: window, thresholds, overrides, rules })
    }
}

/// A width as its name.
mod window {
    use crate::models::time::Width;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    pub fn serialize<S: Serializer>(width: &Width, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(width)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Width, D::Error> {
        let text = String::deserialize(deserializer)?;
        Width::parse(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is no width of a window")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::asset_class::AssetClass;
    use crate::models::detection::settings::PriceChange;
    use crate::models::rules::Rule;

    fn settings() -> DetectionSettings {
        let price = PriceChange { percent: Some(2.5), ..PriceChange::default() };
        let rule = Rule { name: "high".to_owned(), when: "price > 200".to_owned(), ..Rule::default() };
        let class = AssetClass::Crypto;
        let over = DetectionOverride { asset_class: Some(class), price, ..DetectionOverride::default() };
        DetectionSettings { overrides: vec![over], rules: vec![rule].into(), ..DetectionSettings::default() }
    }

    #[test]
    fn a_statement_reads_back_as_it_was_written() {
        let config = DetectionSettings::default();
        for statement in [Statement::of_config(&config), Statement::changed(settings(), &config)] {
            let document = statement.document().expect("short");
            assert_eq!(*read(document).expect("just written"), statement, "{}", document.text());
        }
        assert_eq!(Statement::changed(config.clone(), &config), Statement::of_config(&config));
    }

    #[test]
    fn what_cannot_be_judged_by_is_refused_with_the_reason() {
        let good = Statement::of_config(&settings()).document().expect("short").text().to_owned();
        for (from, to, said) in [
            ("{\"by\"", "{\"by2\"", "by2"),
            ("\"enabled\"", "\"unknown\":1,\"enabled\"", "unknown"),
            ("\"percent\":5.0", "\"percent\":-5.0", "price_spike.percent"),
            ("\"percent\":2.5", "\"percent\":0.0", "price_spike.percent"),
            ("\"1min\"", "\"7min\"", "7min"),
        ] {
            assert!(good.contains(from), "{from} in {good}");
            let document = Document::new(&good.replacen(from, to, 1)).expect("short");
            let fault = read(document).expect_err(from);
            assert!(fault.contains(said), "{fault}");
        }
    }
}
