//! Messages of clients: parsed, and resolved to topics.
//!
//! Promises: the number of topics is bounded by the limits of the configuration, whatever a message repeats or
//! multiplies; repeats are removed before anything is multiplied. On failure the message has no effect, and the reason
//! is returned.

use super::reasons::ErrorCode;
use crate::actors::hub::messages::Since;
use crate::actors::hub::topic::{Channel, Topic};
use crate::models::symbol::{SymbolError, SymbolId};
use crate::models::time::Width;
use crate::web::state::AppState;
use hashbrown::HashSet;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest interval of ticks that a client may ask for: what it shows counts as current.
const INTERVAL_MAX_MS: u32 = 10_000;

/// Names that `channels` and `windows` may list at most: more than there are of either.
const NUM_NAMES_MAX: usize = 64;

/// A message as a client writes it. Unknown fields are ignored, so that newer clients may send more.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Request {
    /// Follow topics.
    Subscribe(SubscribeRequest),
    /// Stop following topics.
    Unsubscribe(SubscribeRequest),
    /// Check that the server is there.
    Ping,
}

/// The topics that a client names, as it writes them.
#[derive(Debug, Deserialize)]
pub struct SubscribeRequest {
    symbols: Names,
    channels: Option<Names>,
    windows: Option<Names>,
    forming: Option<bool>,
    interval_ms: Option<u32>,
    since: Option<SinceRequest>,
}

/// A list of names, or a single name.
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
struct SinceRequest {
    epoch: String,
    run: Option<String>,
    #[serde(default)]
    seqs: BTreeMap<String, u64>,
}

/// A subscription with its names resolved to topics.
#[derive(Debug, Default)]
pub struct ResolvedSubscription {
    /// The topics, each once.
    pub topics: Vec<Topic>,
    /// The symbols, spelled as the server does.
    pub symbols: Vec<String>,
    /// Names that no symbol has.
    pub unknown: Vec<String>,
    /// What the client has seen, when it resumes.
    pub since: Option<Since>,
    /// The interval of ticks, where the client sets one.
    pub interval: Option<Duration>,
}

/// Why a message has no effect.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code, for programs.
    pub code: ErrorCode,
    /// The explanation, for people.
    pub detail: String,
}

/// Parses a message.
pub fn parse(text: &[u8]) -> Result<Request, Refusal> {
    let refuse = |code, detail: String| Refusal { code, detail };
    let text = std::str::from_utf8(text).map_err(|_| refuse(ErrorCode::BadJson, "not UTF-8".to_owned()))?;
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

/// Makes the refusal of a request for more topics than allowed.
#[must_use]
pub fn too_many_topics(max: usize) -> Refusal {
    let detail = format!("more than {max} topics: unsubscribe from others first, or use `*`");
    Refusal { code: ErrorCode::TooManySubscriptions, detail }
}

/// True for topics that count towards the limit; the others come with them.
#[must_use]
pub const fn is_counted(topic: Topic) -> bool {
    !matches!(topic.channel, Channel::Feed | Channel::Forming | Channel::Previews)
}

impl SubscribeRequest {
    /// Resolves the names. At most `max` topics, symbols and numbers in `since` are accepted.
    pub fn resolve(&self, state: &AppState, max: usize) -> Result<ResolvedSubscription, Refusal> {
        let mut resolved = ResolvedSubscription::default();
        let ids = self.symbols(state, max, &mut resolved)?;
        let windows = self.windows(state)?;
        let mut num_counted = 0;
        for channel in self.channels()? {
            let has_windows = match channel {
                Channel::Forming | Channel::Previews if !self.forming.unwrap_or(true) => continue,
                Channel::Ticks | Channel::Feed => false,
                Channel::Metrics => {
                    resolved.topics.push(Topic::plain(channel, SymbolId::NONE));
                    continue;
                }
                _ => true,
            };
            let windows = if has_windows { windows.as_slice() } else { &[0] };
            if is_counted(Topic::plain(channel, SymbolId::NONE)) {
                num_counted += ids.len() * windows.len();
            }
            if num_counted > max {
                return Err(too_many_topics(max));
            }
            let of = |&symbol| windows.iter().map(move |&window| Topic { channel, symbol, window });
            resolved.topics.extend(ids.iter().flat_map(of));
        }
        resolved.interval =
            self.interval_ms.map(|millis| Duration::from_millis(millis.min(INTERVAL_MAX_MS).into()));
        resolved.since =
            self.since.as_ref().map(|since| since.resolve(state, max, &resolved.topics)).transpose()?;
        Ok(resolved)
    }

    /// Returns the symbols, each once, and adds their names, and names that no symbol has, to the result.
    fn symbols(
        &self,
        state: &AppState,
        max: usize,
        resolved: &mut ResolvedSubscription,
    ) -> Result<Vec<SymbolId>, Refusal> {
        let (mut ids, mut known, mut unknown) = (Vec::new(), HashSet::new(), HashSet::new());
        for text in self.symbols.as_slice() {
            let (id, name) = match text.as_str() {
                "*" => (SymbolId::NONE, "*".to_owned()),
                _ => match state.symbols.resolve(text) {
                    Ok(id) => (id, state.symbols.spec(id).name.clone()),
                    Err(SymbolError::Malformed(_) | SymbolError::Unknown(_) | SymbolError::Ambiguous(..)) => {
                        if unknown.insert(text) {
                            resolved.unknown.push(text.chars().take(64).collect());
                        }
                        continue;
                    }
                },
            };
            if known.insert(id) {
                ids.push(id);
                resolved.symbols.push(name);
            }
        }
        if ids.len() + unknown.len() > max {
            return Err(too_many_topics(max));
        }
        Ok(ids)
    }

    /// Returns the channels, each once.
    fn channels(&self) -> Result<Vec<Channel>, Refusal> {
        let Some(names) = &self.channels else { return Ok(channels_of("ticks")?.to_vec()) };
        let mut channels: Vec<Channel> = Vec::new();
        for name in bounded("channels", names)? {
            for channel in channels_of(name)? {
                if !channels.contains(channel) {
                    channels.push(*channel);
                }
            }
        }
        Ok(channels)
    }

    /// Returns the windows, each once.
    fn windows(&self, state: &AppState) -> Result<Vec<u8>, Refusal> {
        let widths = &state.core.widths;
        let Some(names) = &self.windows else { return Ok((0..widths.len() as u8).collect()) };
        let mut windows = Vec::new();
        for name in bounded("windows", names)? {
            let window = window_of(name, widths).ok_or_else(|| {
                let known: Vec<String> = widths.iter().map(|width| format!("`{width}`")).collect();
                let name: String = name.chars().take(32).collect();
                Refusal {
                    code: ErrorCode::UnknownWindow,
                    detail: format!("`windows` has `{name}`: there are {}", known.join(", ")),
                }
            })?;
            if !windows.contains(&window) {
                windows.push(window);
            }
        }
        Ok(windows)
    }
}

impl SinceRequest {
    /// Resolves the numbers of topics that are subscribed; others are dropped.
    fn resolve(&self, state: &AppState, max: usize, topics: &[Topic]) -> Result<Since, Refusal> {
        if self.seqs.len() > max {
            let detail = format!("`since` has more than {max} numbers");
            return Err(Refusal { code: ErrorCode::TooManySubscriptions, detail });
        }
        let asked: HashSet<Topic> = topics.iter().copied().collect();
        let is_asked = |topic: &Topic| asked.contains(topic) || asked.contains(&topic.of_all());
        let seqs = self.seqs.iter().filter_map(|(name, seq)| Some((topic_of(name, state)?, *seq)));
        let seqs = seqs.filter(|(topic, _)| is_asked(topic)).collect();
        Ok(Since { epoch: self.epoch.clone(), run: self.run.clone(), seqs })
    }
}

/// Returns the names, unless there are too many.
fn bounded<'a>(field: &str, names: &'a Names) -> Result<&'a [String], Refusal> {
    let names = names.as_slice();
    if names.len() > NUM_NAMES_MAX {
        let detail = format!("`{field}` has more than {NUM_NAMES_MAX} names");
        return Err(Refusal { code: ErrorCode::BadRequest, detail });
    }
    Ok(names)
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
        // Accepted already, so that clients need not change when these channels carry something.
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
