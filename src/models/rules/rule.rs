//! A rule as users write it, its faults, and what is judged once it was read.
//!
//! Promises: the same keys in the configuration, over REST and in the log; a rule without faults can be judged. What is
//! remembered of a rule is known by [`ReadRule::identity`], which changes with everything that changes what it finds.

use super::condition::Condition;
use super::fault::{KeyFault, RuleFault};
use super::field::Field;
use super::parse::{LOOK_BACK_MAX, parse};
use super::text;
use crate::models::anomaly::Severity;
use crate::models::symbol::{SymbolSpec, is_symbol_name, shortened};
use crate::models::time::{DAY, Width};
use arrayvec::ArrayString;
use serde::{Deserialize, Serialize};

/// Longest name in bytes.
const NAME_MAX: usize = 40;
/// A name that no rule has, since its place among the rules is where REST tries one.
const RESERVED: &str = "test";
/// Most symbols that one rule names.
const SYMBOLS_MAX: usize = 1_000;
/// Longest span for which a rule must hold.
const HOLDS_FOR_MAX: i64 = 31 * DAY;

/// The name of a rule, as small as what is published of it.
pub type RuleName = ArrayString<NAME_MAX>;

/// When a rule is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fire {
    /// With each trade that sets the price, the forming bar being the newest.
    Tick,
    /// As `tick`, and at most once a bar.
    Bar,
    /// With each closed bar, and again when it changes.
    #[default]
    BarClose,
}

impl Fire {
    /// All of them.
    pub const ALL: [Fire; 3] = [Fire::Tick, Fire::Bar, Fire::BarClose];

    /// Returns the word that the configuration and answers use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Fire::Tick => "tick",
            Fire::Bar => "bar",
            Fire::BarClose => "bar_close",
        }
    }
}

/// Where a rule comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The configuration.
    #[default]
    Config,
    /// REST.
    Api,
}

impl Origin {
    /// Returns the word that answers use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Origin::Config => "config",
            Origin::Api => "api",
        }
    }
}

/// A rule as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, unlike those of all others.
    pub name: String,
    /// When it holds: the text.
    pub when: String,
    /// The window whose bars are judged; `None` for the one after `on`, or else for `detection.window`.
    #[serde(default, with = "text::window")]
    pub window: Option<Width>,
    /// The symbols that it is about, in their one spelling; empty for all.
    #[serde(default)]
    pub symbols: Vec<String>,
    /// How long it must hold, on event time in nanoseconds, before it fires.
    #[serde(default, rename = "for", with = "text::span")]
    pub holds_for: i64,
    /// When it is judged.
    #[serde(default)]
    pub fire: Fire,
    /// How severe its anomalies are.
    #[serde(default = "Rule::severity", with = "text::severity")]
    pub severity: Severity,
    /// Where it comes from.
    #[serde(default)]
    pub origin: Origin,
}

impl Default for Rule {
    fn default() -> Self {
        Rule {
            name: String::new(),
            when: String::new(),
            window: None,
            symbols: Vec::new(),
            holds_for: 0,
            fire: Fire::default(),
            severity: Rule::severity(),
            origin: Origin::default(),
        }
    }
}

/// A rule that was read and can be judged.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadRule {
    /// Its name.
    pub name: RuleName,
    /// The width of the bars that are judged.
    pub width: Width,
    /// When it is judged.
    pub fire: Fire,
    /// How long it must hold in nanoseconds.
    pub holds_for: i64,
    /// How severe its anomalies are.
    pub severity: Severity,
    /// When it holds.
    pub condition: Condition,
    /// Fields that it takes.
    pub fields: Vec<Field>,
    /// Bars before the one that is judged that it takes.
    pub look_back: usize,
    /// What it is known by in checkpoints.
    pub identity: u64,
    /// The symbols that it is about; empty for all.
    symbols: Vec<String>,
}

impl ReadRule {
    /// True for a rule that is about a symbol.
    #[must_use]
    pub fn is_about(&self, spec: &SymbolSpec) -> bool {
        self.symbols.is_empty() || self.symbols.contains(&spec.name)
    }
}

impl Rule {
    const fn severity() -> Severity {
        Severity::Medium
    }

    /// Reads the rule. `widths` are those of the windows, `usual` is judged where the rule names none.
    ///
    /// # Errors
    /// Every fault that was found; of the text the first one.
    pub fn read(&self, widths: &[Width], usual: Width) -> Result<ReadRule, Vec<KeyFault>> {
        let mut faults = self.faults();
        let parsed = match parse(&self.when) {
            Ok(parsed) => parsed,
            Err(fault) => {
                faults.push(KeyFault::of_text(fault));
                return Err(faults);
            }
        };
        let in_text = |part, reason| KeyFault::of_text(RuleFault::at(&self.when, part, reason));
        let place = parsed.window.clone();
        let width = match (self.window, place.clone()) {
            (Some(window), Some((width, part))) if window != width => {
                faults.push(in_text(part, format!("`on {width}`, but `window` says `{window}`")));
                window
            }
            (Some(width), _) | (None, Some((width, _))) => width,
            (None, None) => usual,
        };
        if !widths.contains(&width) {
            let names: Vec<String> = widths.iter().map(|width| format!("`{width}`")).collect();
            let reason = format!("`{width}` is no window of this service: {}", names.join(", "));
            faults.push(match &place {
                Some((_, part)) if self.window.is_none() => in_text(part.clone(), reason),
                _ => KeyFault::new("window", reason),
            });
        }
        for (span, part) in parsed.spans {
            if span % width.nanos() != 0 {
                faults.push(in_text(part, format!("the span is no multiple of the window, `{width}`")));
            } else if span / width.nanos() > LOOK_BACK_MAX as i64 {
                let bars = span / width.nanos();
                let reason =
                    format!("the span is {bars} bars of `{width}`, at most {LOOK_BACK_MAX} are kept");
                faults.push(in_text(part, reason));
            }
        }
        let look_back = parsed.condition.look_back(width.nanos());
        if faults.is_empty() && look_back > LOOK_BACK_MAX {
            let reason = format!("it looks back at {look_back} bars, at most {LOOK_BACK_MAX} are kept");
            faults.push(in_text(0..self.when.len(), reason));
        }
        match RuleName::from(&self.name) {
            Ok(name) if faults.is_empty() => Ok(ReadRule {
                name,
                width,
                fire: self.fire,
                holds_for: self.holds_for,
                severity: self.severity,
                fields: parsed.condition.fields(),
                condition: parsed.condition,
                look_back,
                identity: self.identity(width),
                symbols: self.symbols.clone(),
            }),
            _ => Err(faults),
        }
    }

    /// Returns the faults of all but the text and the window.
    fn faults(&self) -> Vec<KeyFault> {
        let mut faults = Vec::new();
        let is_in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !(1..=NAME_MAX).contains(&self.name.len()) || !self.name.bytes().all(is_in_name) {
            let reason = format!("a name has 1 to {NAME_MAX} letters, digits or any of `._-`");
            faults.push(KeyFault::new("name", reason));
        }
        if self.name == RESERVED {
            faults.push(KeyFault::new(
                "name",
                format!("`{RESERVED}` is where rules are tried: take another name"),
            ));
        }
        if self.symbols.len() > SYMBOLS_MAX {
            let reason =
                format!("{} symbols are named, at most {SYMBOLS_MAX} are allowed", self.symbols.len());
            faults.push(KeyFault::new("symbols", reason));
        }
        if let Some(symbol) = self.symbols.iter().find(|symbol| !is_symbol_name(symbol.as_bytes())) {
            let shown = shortened(symbol, NAME_MAX);
            faults.push(KeyFault::new("symbols", format!("`{shown}` is no symbol")));
        }
        if !(0..=HOLDS_FOR_MAX).contains(&self.holds_for) {
            faults.push(KeyFault::new("for", "must be from `0s` to `31d`".to_owned()));
        }
        faults
    }

    fn identity(&self, width: Width) -> u64 {
        let Rule { name, when, holds_for, fire, .. } = self;
        let bytes = postcard::to_stdvec(&(name, when, holds_for, fire, width)).expect("plain data");
        let hash = blake3::hash(&bytes);
        u64::from_le_bytes(std::array::from_fn(|i| hash.as_bytes()[i]))
    }
}
