//! Messages of clients: parsed, and resolved to topics.
//!
//! Promises: the number of topics is bounded by the limits of the configuration, whatever a message repeats or
//! multiplies; repeats are removed before anything is multiplied. On failure the message has no effect, and the reason
//! is returned.

use super::reasons::ErrorCode;
use crate::actors::hub::messages::Since;
use crate::actors::hub::topic::{Channel, Topic};
use crate::models::symbol::{SymbolError, SymbolId, shortened};
use crate::models::time::Width;
use crate::web::fields::{self, FieldFault, Fields};
use crate::web::state::AppState;
use hashbrown::HashSet;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longest interval of ticks that a client may ask for: what it shows counts as current.
const INTERVAL_MAX_MS: u64 = 10_000;

/// How much of a name a refusal repeats, in characters, and an answer of one that is unknown.
const NAME_SHOWN_MAX: usize = 32;
const UNKNOWN_SHOWN_MAX: usize = 64;

/// Names that `channels` and `windows` may list at most: more than there are of either.
const NUM_NAMES_MAX: usize = 64;

/// A message as a client writes it. Unknown fields are ignored, so that newer clients may send more.
#[derive(Debug)]
pub enum Request {
    /// Follow topics.
    Subscribe(SubscribeRequest),
    /// Stop following topics.
    Unsubscribe(SubscribeRequest),
    /// Check that the server is there.
    Ping,
}

/// The topics that a client names, as it writes them.
#[derive(Debug)]
pub struct SubscribeRequest {
    symbols: Vec<String>,
    channels: Option<Vec<String>>,
    windows: Option<Vec<String>>,
    forming: Option<bool>,
    interval: Option<Duration>,
    since: Option<SinceRequest>,
}

#[derive(Debug)]
struct SinceRequest {
    epoch: String,
    run: Option<String>,
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

impl From<FieldFault> for Refusal {
    fn from(fault: FieldFault) -> Refusal {
        Refusal { code: ErrorCode::BadRequest, detail: fault.detail }
    }
}

/// What `type` is.
const TYPES: &str = "`subscribe`, `unsubscribe` or `ping`";

/// Parses a message.
pub fn parse(text: &[u8]) -> Result<Request, Refusal> {
    let value = fields::parse(text)
        .map_err(|fault| Refusal { code: ErrorCode::BadJson, detail: format!("the message {fault}") })?;
    let Some(object) = value.as_object() else {
        let detail = format!("the message is no object with a `type`, which is {TYPES}");
        return Err(Refusal { code: ErrorCode::BadRequest, detail });
    };
    let fields = Fields(object);
    let kind = fields.text("type")?.ok_or_else(|| Fields::missing("type", TYPES))?;
    match kind {
        "subscribe" => Ok(Request::Subscribe(SubscribeRequest::read(fields)?)),
        "unsubscribe" => Ok(Request::Unsubscribe(SubscribeRequest::read(fields)?)),
        "ping" => Ok(Request::Ping),
        _ => {
            let detail = format!("`type` is `{}`: it is {TYPES}", shortened(kind, NAME_SHOWN_MAX));
            Err(Refusal { code: ErrorCode::UnknownType, detail })
        }
    }
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
    fn read(fields: Fields<'_>) -> Result<SubscribeRequest, FieldFault> {
        let belongs = "a list of names, or `*` for all";
        let interval = fields.number("interval_ms", 0..=INTERVAL_MAX_MS)?;
        Ok(SubscribeRequest {
            symbols: fields.names("symbols")?.ok_or_else(|| Fields::missing("symbols", belongs))?,
            channels: fields.names("channels")?,
            windows: fields.names("windows")?,
            forming: fields.flag("forming")?,
            interval: interval.map(Duration::from_millis),
            since: fields.object("since")?.map(SinceRequest::read).transpose()?,
        })
    }

    /// Resolves the names. At most `max` topics, symbols and numbers in `since` are accepted.
    pub fn resolve(&self, state: &AppState, max: usize) -> Result<ResolvedSubscription, Refusal> {
        let mut resolved = ResolvedSubscription::default();
        let ids = self.symbols(state, max, &mut resolved)?;
        let windows = self.windows(state)?;
        let mut num_counted = 0;
        for channel in self.channels()? {
            let has_windows = match channel {
                Channel::Forming | Channel::Previews if !self.forming.unwrap_or(true) => continue,
                Channel::Ticks | Channel::Feed | Channel::Anomalies | Channel::Ledger => false,
                Channel::Metrics | Channel::System => {
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
        resolved.interval = self.interval;
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
        for text in &self.symbols {
            let (id, name) = match text.as_str() {
                "*" => (SymbolId::NONE, "*".to_owned()),
                _ => match state.symbols.resolve(text) {
                    Ok(id) => (id, state.symbols.spec(id).name.clone()),
                    Err(SymbolError::Malformed(_) | SymbolError::Unknown(_) | SymbolError::Ambiguous(..)) => {
                        if unknown.insert(text) {
                            resolved.unknown.push(shortened(text, UNKNOWN_SHOWN_MAX));
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
                let name = shortened(name, NAME_SHOWN_MAX);
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
    fn read(fields: Fields<'_>) -> Result<SinceRequest, FieldFault> {
        let in_since =
            |fault: FieldFault| FieldFault { detail: fault.detail.replacen('`', "`since.", 1), ..fault };
        let epoch = fields.text("epoch").map_err(in_since)?;
        let epoch =
            epoch.ok_or_else(|| in_since(Fields::missing("epoch", "the text that the server sent")))?;
        let seqs = fields.object("seqs").map_err(in_since)?;
        let number = |(topic, seq): (&String, &Value)| match seq.as_u64() {
            Some(seq) => Ok((topic.clone(), seq)),
            None => Err(in_since(fields::wrong("seqs", seq, "a whole number for each topic"))),
        };
        Ok(SinceRequest {
            epoch: epoch.to_owned(),
            run: fields.text("run").map_err(in_since)?.map(str::to_owned),
            seqs: seqs.into_iter().flat_map(|seqs| seqs.0).map(number).collect::<Result<_, _>>()?,
        })
    }

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

/// Returns the names, unless there are none or too many.
fn bounded<'a>(field: &str, names: &'a [String]) -> Result<&'a [String], Refusal> {
    let detail = match names.len() {
        0 => format!("`{field}` names none: leave it out for the default"),
        1..=NUM_NAMES_MAX => return Ok(names),
        _ => format!("`{field}` has more than {NUM_NAMES_MAX} names"),
    };
    Err(Refusal { code: ErrorCode::BadRequest, detail })
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
        "ledger" => Ok(&[Channel::Ledger]),
        "system" => Ok(&[Channel::System]),
        "anomalies" => Ok(&[Channel::Anomalies]),
        // Accepted already, so that clients need not change when this channel carries something.
        "predictions" => Ok(&[]),
        _ => {
            let name = shortened(name, NAME_SHOWN_MAX);
            let known =
                "`ticks`, `bars`, `indicators`, `anomalies`, `predictions`, `metrics`, `ledger` and `system`";
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
