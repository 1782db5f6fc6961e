//! The frames that live clients get, as bytes ready for the socket, encoded once for all clients.
//!
//! A frame is a WebSocket text frame (RFC 6455, unmasked as a server's are) with one JSON object. Promises: field names
//! and their order are the contract's; `tests/fixtures/wire/live` has a sample of each frame. Nothing here fails.

use crate::actors::messages::LiveTick;
use crate::models::anomaly::Anomaly;
use crate::models::bar::Bar;
use crate::models::effect::{Effect, IndicatorPoint};
use crate::models::provenance::{DataKind, Provenance};
use crate::models::symbol::SymbolSpec;
use crate::models::time::Nanos;
use crate::wire::{
    AnomalyObject, BarObject, IndicatorsObject, PastObject, Time, append_json, nearest, tick_type,
};
use bytes::Bytes;
use serde::Serialize;

/// First byte of an unfragmented text frame.
const TEXT: u8 = 0x81;

/// First byte of a close frame.
const CLOSE: u8 = 0x88;

/// Appends the frame that carries a payload.
pub fn append_framed(payload: &[u8], out: &mut Vec<u8>) {
    out.push(TEXT);
    match u16::try_from(payload.len()) {
        Ok(len @ 0..126) => out.push(len as u8),
        Ok(len) => {
            out.push(126);
            out.extend(len.to_be_bytes());
        }
        Err(_) => {
            out.push(127);
            out.extend((payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// Returns the frame that carries a payload.
#[must_use]
pub fn framed(payload: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(payload.len() + 10);
    append_framed(payload, &mut out);
    out.into()
}

/// Returns the frame that closes a session.
#[must_use]
pub fn close(code: u16, reason: &str) -> Bytes {
    let payload: Vec<u8> = code.to_be_bytes().into_iter().chain(reason.bytes()).collect();
    let len = u8::try_from(payload.len()).expect("reasons of ours are short");
    [vec![CLOSE, len], payload].concat().into()
}

/// Returns the frame of any object.
#[must_use]
pub fn of<T: Serialize>(object: &T) -> Bytes {
    let mut payload = Vec::with_capacity(256);
    append_json(object, &mut payload);
    framed(&payload)
}

#[derive(Serialize)]
struct TickFrame<'a> {
    r#type: &'static str,
    symbol: &'a str,
    price: f64,
    volume: f64,
    timestamp: Time,
    tick_type: &'static str,
    seq: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    feed: &'static str,
}

/// Appends the payload of a tick that has just been accepted.
pub fn tick(tick: &LiveTick, spec: &SymbolSpec, out: &mut Vec<u8>) {
    last_tick(tick, spec, "", out);
}

/// Appends the payload of a symbol's last tick, with the state of its feed, since a tick in a snapshot may be old. An
/// unknown state is empty, and left out.
pub fn last_tick(tick: &LiveTick, spec: &SymbolSpec, feed: &'static str, out: &mut Vec<u8>) {
    let frame = TickFrame {
        r#type: "tick",
        symbol: &spec.name,
        price: nearest(i128::from(tick.price.0), spec.price_scale),
        volume: nearest(i128::from(tick.size.0), spec.size_scale),
        timestamp: Time(tick.ts),
        tick_type: tick_type(tick.size),
        seq: tick.seq,
        feed,
    };
    append_json(&frame, out);
}

/// Appends an object of REST with its type before its fields, and more fields after them.
fn append_typed<T: Serialize>(kind: &str, object: &T, tail: std::fmt::Arguments<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.push(b'"');
    let at = out.len();
    append_json(object, out);
    // The opening brace becomes the comma after the type; the closing one makes room for the tail.
    out[at] = b',';
    out.pop();
    out.extend_from_slice(tail.to_string().as_bytes());
    out.push(b'}');
}

/// Appends the payload of a bar.
pub fn bar(bar: &Bar, spec: &SymbolSpec, window: &str, seq: u64, out: &mut Vec<u8>) {
    append_typed("bar", &BarObject::new(bar, spec, window), format_args!(",\"seq\":{seq}"), out);
}

/// Appends the payload of the indicators of a closed bar.
pub fn indicators(point: &IndicatorPoint, spec: &SymbolSpec, window: &str, seq: u64, out: &mut Vec<u8>) {
    let object = IndicatorsObject::new(point, spec, window);
    append_typed("indicators", &object, format_args!(",\"seq\":{seq}"), out);
}

/// Appends the payload of an anomaly.
pub fn anomaly(anomaly: Anomaly, seq: u64, out: &mut Vec<u8>) {
    let object = AnomalyObject::new(anomaly, false);
    append_typed("anomaly", &object, format_args!(",\"seq\":{seq}"), out);
}

/// Appends the payload of the indicators of a forming bar.
pub fn preview(point: &IndicatorPoint, spec: &SymbolSpec, window: &str, seq: u64, out: &mut Vec<u8>) {
    let object = IndicatorsObject::new(point, spec, window);
    append_typed("indicators", &object, format_args!(",\"seq\":{seq},\"forming\":true"), out);
}

/// Appends the payload of a bar or of the indicators of one; nothing else is of a window.
pub fn effect(effect: &Effect, spec: &SymbolSpec, window: &str, seq: u64, out: &mut Vec<u8>) {
    match effect {
        Effect::Bar(it) => bar(it, spec, window, seq, out),
        Effect::Indicators(point) => indicators(point, spec, window, seq, out),
        Effect::Anomaly(_) | Effect::DeadLetter(_) | Effect::Sealed(_) => {}
    }
}

/// The new state of a feed.
#[derive(Serialize)]
pub struct FeedFrame<'a> {
    r#type: &'static str,
    symbol: &'a str,
    feed: &'static str,
}

impl<'a> FeedFrame<'a> {
    /// Makes the frame.
    #[must_use]
    pub const fn new(symbol: &'a str, feed: &'static str) -> FeedFrame<'a> {
        FeedFrame { r#type: "feed", symbol, feed }
    }
}

/// The number of frames that were skipped.
#[derive(Serialize)]
pub struct SkippedFrame<'a> {
    r#type: &'static str,
    channel: &'static str,
    symbol: &'a str,
    count: u64,
}

impl<'a> SkippedFrame<'a> {
    /// Makes the frame of skipped ticks.
    #[must_use]
    pub const fn ticks(symbol: &'a str, count: u64) -> SkippedFrame<'a> {
        SkippedFrame { r#type: "skipped", channel: "ticks", symbol, count }
    }
}

/// The server's own figures.
#[derive(Serialize)]
pub struct MetricsFrame {
    /// Always `metrics`.
    pub r#type: &'static str,
    /// The time of the figures.
    pub timestamp: Time,
    /// Ticks accepted in the last second.
    pub ticks_per_second: Option<f64>,
    /// From received to bar, median.
    pub latency_p50_ms: Option<f64>,
    /// The same, 99th percentile.
    pub latency_p99_ms: Option<f64>,
    /// Reports that the ledger does not explain; 0.
    pub residue: i64,
    /// Progress of the made-up past; only while it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub past: Option<PastObject>,
}

/// The first frame of a session.
#[derive(Serialize)]
pub struct ConnectionFrame<'a> {
    r#type: &'static str,
    status: &'static str,
    timestamp: Time,
    message: &'static str,
    epoch: &'a str,
    run: &'a str,
    data: DataKind,
    provider: &'a str,
}

impl<'a> ConnectionFrame<'a> {
    /// Makes the frame.
    #[must_use]
    pub fn new(now: Nanos, epoch: &'a str, run: &'a str, provenance: &'a Provenance) -> ConnectionFrame<'a> {
        ConnectionFrame {
            r#type: "connection",
            status: "connected",
            timestamp: Time(now),
            message: "connected to Tickwire",
            epoch,
            run,
            data: provenance.data,
            provider: &provenance.provider,
        }
    }
}

/// The answer to `subscribe` and `unsubscribe`.
#[derive(Serialize)]
pub struct SubscriptionFrame<'a> {
    /// Always `subscription`.
    pub r#type: &'static str,
    /// Always `success`.
    pub status: &'static str,
    /// The symbols that were found, spelled as the server does.
    pub symbols: &'a [String],
    /// The names that no symbol has, as they were given.
    pub unknown: &'a [String],
    /// Names the log.
    pub epoch: &'a str,
    /// Names the run of the server.
    pub run: &'a str,
    /// `subscribe` or `unsubscribe`.
    pub action: &'static str,
}

/// The answer to `ping`.
#[derive(Serialize)]
pub struct PongFrame {
    r#type: &'static str,
    timestamp: Time,
}

impl PongFrame {
    /// Makes the frame.
    #[must_use]
    pub const fn new(now: Nanos) -> PongFrame {
        PongFrame { r#type: "pong", timestamp: Time(now) }
    }
}

/// Why a message of the client has no effect.
#[derive(Serialize)]
pub struct ErrorFrame<'a> {
    r#type: &'static str,
    code: &'static str,
    detail: &'a str,
}

impl<'a> ErrorFrame<'a> {
    /// Makes the frame.
    #[must_use]
    pub const fn new(code: &'static str, detail: &'a str) -> ErrorFrame<'a> {
        ErrorFrame { r#type: "error", code, detail }
    }
}

/// The topics that could not be resumed.
#[derive(Serialize)]
pub struct ResyncFrame<'a> {
    r#type: &'static str,
    epoch: &'a str,
    topics: &'a [String],
}

impl<'a> ResyncFrame<'a> {
    /// Makes the frame; a snapshot follows it.
    #[must_use]
    pub const fn new(epoch: &'a str, topics: &'a [String]) -> ResyncFrame<'a> {
        ResyncFrame { r#type: "resync", epoch, topics }
    }
}

/// Payload bytes of a snapshot frame, above which the rest goes into another one: clients read a frame as a whole.
const SNAPSHOT_BYTES: usize = 60_000;

/// Builds snapshot frames.
#[derive(Default)]
pub struct SnapshotWriter {
    lists: [Vec<u8>; List::NAMES.len()],
    frames: Vec<u8>,
}

/// The lists of a snapshot.
#[derive(Clone, Copy)]
pub enum List {
    /// Last ticks.
    Ticks,
    /// Newest bars.
    Bars,
    /// Newest indicators.
    Indicators,
    /// What became of the reports of symbols.
    Ledgers,
}

impl List {
    /// The lists' names, in order.
    const NAMES: [&'static str; 4] = ["ticks", "bars", "indicators", "ledgers"];

    /// The lists that every snapshot has: those of the channels that clients have followed from the beginning.
    const NUM_ALWAYS: usize = 3;
}

impl SnapshotWriter {
    /// Returns the number of bytes so far.
    #[must_use]
    pub fn num_bytes(&self) -> usize {
        self.lists.iter().map(Vec::len).sum::<usize>() + self.frames.len()
    }

    /// Adds a member, written by `append`.
    pub fn add(&mut self, list: List, epoch: &str, append: impl FnOnce(&mut Vec<u8>)) {
        if self.lists.iter().map(Vec::len).sum::<usize>() > SNAPSHOT_BYTES {
            self.cut(epoch);
        }
        let list = &mut self.lists[list as usize];
        if !list.is_empty() {
            list.push(b',');
        }
        append(list);
    }

    fn cut(&mut self, epoch: &str) {
        let mut payload = format!("{{\"type\":\"snapshot\",\"epoch\":\"{epoch}\"").into_bytes();
        for (at, (name, list)) in List::NAMES.iter().zip(&mut self.lists).enumerate() {
            if at >= List::NUM_ALWAYS && list.is_empty() {
                continue;
            }
            payload.extend_from_slice(format!(",\"{name}\":[").as_bytes());
            payload.append(list);
            payload.push(b']');
        }
        payload.push(b'}');
        append_framed(&payload, &mut self.frames);
    }

    /// Returns the frames: one, or several for a large snapshot.
    #[must_use]
    pub fn finish(mut self, epoch: &str) -> Bytes {
        self.cut(epoch);
        self.frames.into()
    }
}
