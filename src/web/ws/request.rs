//! What clients send.

use super::ErrorCode;
use crate::actors::hub::messages::Since;
use crate::actors::hub::topic::{Channel, Topic};
use crate::models::symbol::{SymbolError, SymbolId};
use crate::models::time::Width;
use crate::web::state::AppState;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// Ticks come this often at least, however seldom a client wants them: what it is shown counts as current.
const INTERVAL_MAX_MS: u32 = 10_000;

/// A message as it is written. Fields that nobody knows are left alone, so that newer clients may add some.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Request {
    /// Follow.
    Subscribe(Wish),
    /// Follow no more.
    Unsubscribe(Wish),
    /// Say that you are there.
    Ping,
}

/// What to follow.
#[derive(Debug, Deserialize)]
pub struct Wish {
    symbols: Names,
    channels: Option<Names>,
    windows: Option<Names>,
    forming: Option<bool>,
    interval_ms: Option<u32>,
    since: Option<SinceWish>,
}

/// A list of names, or one of them alone.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Names {
    Many(Vec<String>),
    One(String),
}

impl Names {
    fn as_slice(&self) -> &[String] {
        match self {
            Names::Many(names) => names,
            Names::One(name) => std::slice::from_ref(name),
        }
    }
}

#[derive(Debug, Deserialize)]
struct SinceWish {
    epoch: String,
    #[serde(default)]
    seqs: BTreeMap<String, u64>,
}

/// A wish in our own terms.
#[derive(Debug, Default)]
pub struct Understood {
    /// What it follows.
    pub topics: Vec<Topic>,
    /// Symbols in their one spelling.
    pub symbols: Vec<String>,
    /// Texts that are no symbol's.
    pub unknown: Vec<String>,
    /// Where it goes on from.
    pub since: Option<Since>,
    /// How often the ticks of a symbol may come, from here on.
    pub interval: Option<Duration>,
}

/// Why a message is not carried out.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What it is.
    pub code: ErrorCode,
    /// For people.
    pub detail: String,
}

/// Reads a message.
pub fn parse(text: &str) -> Result<Request, Refusal> {
    let refuse = |code, detail: String| Refusal { code, detail };
    let value: serde_json::Value = serde_json::from_str(text)
        .map_err(|error| refuse(ErrorCode::BadJson, format!("not JSON: {error}")))?;
    let kind = value.get("type").and_then(serde_json::Value::as_str);
    match kind {
        Some("subscribe" | "unsubscribe" | "ping") => {}
        Some(kind) => {
            let kind: String = kind.chars().take(32).collect();
            let detail = format!("`type` is `{kind}`: it is `subscribe`, `unsubscribe` or `ping`");
            return Err(refuse(ErrorCode::UnknownType, detail));
        }
        None => {
            let detail = "`type` is missing: it is `subscribe`, `unsubscribe` or `ping`".to_owned();
            return Err(refuse(ErrorCode::BadRequest, detail));
        }
    }
    serde_json::from_value(value).map_err(|error| {
        refuse(
            ErrorCode::BadRequest,
            format!("{error}: `symbols`, `channels` and `windows` are lists of names"),
        )
    })
}

impl Wish {
    /// Finds out what is meant.
    pub fn understand(&self, state: &AppState) -> Result<Understood, Refusal> {
        let mut understood = Understood::default();
        let mut ids = Vec::new();
        for text in self.symbols.as_slice() {
            if text == "*" {
                ids.push(SymbolId::NONE);
                understood.symbols.push("*".to_owned());
                continue;
            }
            match state.symbols.resolve(text) {
                Ok(id) => {
                    if !ids.contains(&id) {
                        ids.push(id);
                        understood.symbols.push(state.symbols.spec(id).name.clone());
                    }
                }
                Err(SymbolError::Malformed(_) | SymbolError::Unknown(_) | SymbolError::Ambiguous(..)) => {
                    understood.unknown.push(text.chars().take(64).collect());
                }
            }
        }
        let windows = self.windows(state)?;
        let forming = self.forming.unwrap_or(true);
        let channels = match &self.channels {
            Some(channels) => {
                channels.as_slice().iter().map(|name| channels_of(name)).collect::<Result<_, _>>()?
            }
            None => vec![channels_of("ticks")?],
        };
        for channel in channels.into_iter().flatten() {
            let has_windows = match channel {
                Channel::Forming | Channel::Previews if !forming => continue,
                Channel::Ticks | Channel::Feed => false,
                Channel::Metrics => {
                    understood.topics.push(Topic::plain(*channel, SymbolId::NONE));
                    continue;
                }
                _ => true,
            };
            for &symbol in &ids {
                if has_windows {
                    let topic = |&window| Topic { channel: *channel, symbol, window };
                    understood.topics.extend(windows.iter().map(topic));
                } else {
                    understood.topics.push(Topic::plain(*channel, symbol));
                }
            }
        }
        understood.interval =
            self.interval_ms.map(|millis| Duration::from_millis(millis.min(INTERVAL_MAX_MS).into()));
        understood.since = self.since.as_ref().map(|since| {
            let seqs = since.seqs.iter().filter_map(|(name, seq)| Some((topic_of(name, state)?, *seq)));
            Since { epoch: since.epoch.clone(), seqs: seqs.collect::<HashMap<_, _>>() }
        });
        Ok(understood)
    }

    fn windows(&self, state: &AppState) -> Result<Vec<u8>, Refusal> {
        let widths = &state.core.widths;
        let Some(names) = &self.windows else { return Ok((0..widths.len() as u8).collect()) };
        let place = |name: &String| {
            window_of(name, widths).ok_or_else(|| {
                let known: Vec<String> = widths.iter().map(|width| format!("`{width}`")).collect();
                let name: String = name.chars().take(32).collect();
                Refusal {
                    code: ErrorCode::UnknownWindow,
                    detail: format!("`windows` has `{name}`: there are {}", known.join(", ")),
                }
            })
        };
        names.as_slice().iter().map(place).collect()
    }
}

fn window_of(name: &str, widths: &[Width]) -> Option<u8> {
    let width = Width::parse(name)?;
    widths.iter().position(|known| *known == width).map(|at| at as u8)
}

/// Returns the channels that a name stands for.
fn channels_of(name: &str) -> Result<&'static [Channel], Refusal> {
    match name {
        "ticks" => Ok(&[Channel::Ticks, Channel::Feed]),
        "bars" => Ok(&[Channel::Bars, Channel::Forming]),
        "indicators" => Ok(&[Channel::Indicators, Channel::Previews]),
        "metrics" => Ok(&[Channel::Metrics]),
        // Nothing is found or forecast yet; whoever asks is served when it is.
        "anomalies" | "predictions" => Ok(&[]),
        _ => {
            let name: String = name.chars().take(32).collect();
            let known = "`ticks`, `bars`, `indicators`, `anomalies`, `predictions` and `metrics`";
            Err(Refusal {
                code: ErrorCode::UnknownChannel,
                detail: format!("`channels` has `{name}`: there are {known}"),
            })
        }
    }
}

/// Reads the name of a topic with numbers: `ticks:AAPL`, `bars:AAPL:1min`.
fn topic_of(name: &str, state: &AppState) -> Option<Topic> {
    let (channel, rest) = name.split_once(':')?;
    let (channel, has_window) = match channel {
        "ticks" => (Channel::Ticks, false),
        "bars" => (Channel::Bars, true),
        "indicators" => (Channel::Indicators, true),
        _ => return None,
    };
    let (symbol, window) = if has_window {
        let (symbol, window) = rest.rsplit_once(':')?;
        (symbol, window_of(window, &state.core.widths)?)
    } else {
        (rest, 0)
    };
    Some(Topic { channel, symbol: state.symbols.resolve(symbol).ok()?, window })
}
