//! `rules/test`: when a rule would have fired, over data that is stored.
//!
//! Promises: nothing is changed, and nobody is told. What is read and worked out is limited, whatever is asked for: more is
//! refused with what to ask for instead. On failure of a store: 503.

use super::body;
use super::param_docs::{QueryTime, SymbolName};
use crate::models::anomaly::Severity;
use crate::models::bar::Bar;
use crate::models::detection::Detected;
use crate::models::entry::Entry;
use crate::models::rules::{Fire, KeyFault, Rule};
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::{DAY, Nanos, Width, parse_span};
use crate::models::trial::{Trial, TrialBar, WARM_UP};
use crate::names::Names;
use crate::stores::history::WindowQuery;
use crate::stores::log::TickQuery;
use crate::web::answer::error::ApiError;
use crate::web::answer::params::Params;
use crate::web::answer::reply::Reply;
use crate::web::answer::responses::{Failures, NotJson};
use crate::web::fields::{Fields, wrong};
use crate::web::state::AppState;
use crate::wire::{AnomalyObject, Time};
use actix_web::web::{self, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

/// Longest body in bytes: a hundred symbols and a text.
const BODY_MAX: usize = 16 << 10;
/// Most symbols that one trial names.
const SYMBOLS_MAX: usize = 100;
/// Most rows of the history, bars or ticks, that one trial reads.
const ROWS_MAX: usize = 20_000;
/// Most values of bars that one trial works out, so that it does not hold a core for long.
const VALUES_MAX: usize = 20_000_000;
/// Trials that run at one time: each can keep a core busy, which the data path needs. Others wait.
static RUNNING: Semaphore = Semaphore::const_new(2);
/// Anomalies that an answer lists.
const FOUND_MAX: usize = 1_000;

/// A rule to try, and on what.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTrial {
    /// When the rule holds.
    #[schema(example = "rsi_14 < 25 on 5min", max_length = 1000)]
    pub when: String,
    /// The window whose bars are judged, where `when` says none.
    #[schema(example = "5min", max_length = 16)]
    pub window: Option<String>,
    /// How long it must hold before it fires, by default `0s`.
    #[serde(rename = "for")]
    #[schema(example = "0s", pattern = "^[0-9]{1,4}(ns|us|ms|s|sec|m|min)$")]
    pub holds_for: Option<String>,
    /// When it is judged, by default `bar_close`.
    #[schema(example = "bar_close", pattern = "^(tick|bar|bar_close)$")]
    pub fire: Option<String>,
    /// The symbols; all where there are none.
    #[schema(value_type = Option<Vec<SymbolName>>, example = json!(["AAPL"]), max_items = 100)]
    pub symbols: Option<Vec<String>>,
    /// From then on; by default a day before the end.
    #[schema(value_type = Option<QueryTime>)]
    pub start_time: Option<String>,
    /// Until then; by default now.
    #[schema(value_type = Option<QueryTime>)]
    pub end_time: Option<String>,
}

/// What a trial found.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TrialObject {
    /// The window whose bars were judged.
    #[schema(example = "5min")]
    pub window: String,
    /// When the rule was judged.
    #[schema(example = "bar_close")]
    pub fire: &'static str,
    /// Start of the range.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:00:00Z")]
    pub start_time: Time,
    /// End of the range.
    #[schema(value_type = String, format = DateTime, example = "2023-09-06T17:00:00Z")]
    pub end_time: Time,
    /// Bars, or ticks, of the range that were judged.
    #[schema(example = 288)]
    pub num_judged: usize,
    /// How often it would have fired.
    #[schema(example = 3)]
    pub num_fired: usize,
    /// The anomalies that it would have been, by symbol and time; at most a thousand.
    pub fired: Vec<AnomalyObject>,
}

/// Tries a rule on data that is stored.
#[utoipa::path(
    post,
    path = "/api/v1/rules/test",
    tag = "signals",
    request_body = NewTrial,
    responses((status = 200, description = "When it would have fired", body = TrialObject), NotJson, Failures),
)]
pub async fn test(
    request: HttpRequest,
    state: Data<AppState>,
    body: Payload,
) -> Result<HttpResponse, ApiError> {
    state.visitors.check_change(request.headers())?;
    Params::of(&request, &[])?;
    let asked = Asked::read(&body::read(&request, body, BODY_MAX).await?, &state)?;
    let read = asked.rule.read(&state.core.widths, state.core.rule_width()).map_err(refused)?;
    let read = Arc::new(read);
    let _running = RUNNING.acquire().await.map_err(|_| given_up())?;
    let (mut num_judged, mut found) = (0, Vec::new());
    let mut room = ROWS_MAX.min(VALUES_MAX / read.condition.num_values().max(1));
    for (symbol, spec) in &asked.symbols {
        let (rule, spec) = (asked.rule.clone(), Arc::clone(spec));
        let trial = Trial { rule, read: Arc::clone(&read), symbol: *symbol, spec: (*spec).clone() };
        let (judged, of_symbol) = if read.fire == Fire::BarClose {
            over_bars(&state, &asked, trial, &mut room).await?
        } else {
            over_trades(&state, &asked, trial, &mut room).await?
        };
        num_judged += judged;
        let in_range = of_symbol.into_iter().filter(|one| asked.has(one.finding.time));
        found.extend(in_range.map(|one| one.anomaly(&spec)));
    }
    let num_fired = found.len();
    let listed = found.into_iter().take(FOUND_MAX);
    let answer = TrialObject {
        window: read.width.to_string(),
        fire: read.fire.as_str(),
        start_time: Time(asked.start),
        end_time: Time(asked.end),
        num_judged,
        num_fired,
        fired: listed.map(|anomaly| AnomalyObject::new(anomaly, false)).collect(),
    };
    Ok(Reply::json(&answer).send_volatile(&request))
}

impl NewTrial {
    fn read(text: &[u8]) -> Result<NewTrial, ApiError> {
        let known = ["when", "window", "for", "fire", "symbols", "start_time", "end_time"];
        let object = body::object(text, &known)?;
        let fields = Fields(&object);
        let text = |field| fields.text(field).map(|text| text.map(str::to_owned)).map_err(body::fault);
        let when = || body::fault(Fields::missing("when", "a condition such as `price > 200`"));
        Ok(NewTrial {
            when: text("when")?.ok_or_else(when)?,
            window: text("window")?,
            holds_for: text("for")?,
            fire: text("fire")?,
            symbols: body::texts(fields, "symbols")?,
            start_time: time_text(fields, "start_time")?,
            end_time: time_text(fields, "end_time")?,
        })
    }
}

/// What was asked for.
struct Asked {
    rule: Rule,
    symbols: Vec<(SymbolId, Arc<SymbolSpec>)>,
    start: Nanos,
    end: Nanos,
}

impl Asked {
    fn read(text: &[u8], state: &AppState) -> Result<Asked, ApiError> {
        let new = NewTrial::read(text)?;
        let rule = Rule {
            name: "trial".to_owned(),
            when: new.when,
            window: read_word("window", new.window, Width::parse, "a window such as `5min`")?,
            holds_for: read_word("for", new.holds_for, span, "a span such as `30s`")?.unwrap_or_default(),
            fire: read_word("fire", new.fire, fire, "`tick`, `bar` or `bar_close`")?.unwrap_or_default(),
            severity: Severity::Low,
            ..Rule::default()
        };
        let now = state.query_now();
        let time =
            |field, text| read_word(field, text, |text| Nanos::from_query(text, now), "a time such as `-1h`");
        let (from, until) = (time("start_time", new.start_time)?, time("end_time", new.end_time)?);
        if from.zip(until).is_some_and(|(from, until)| from > until) {
            return Err(ApiError::parameter("start_time", "`start_time` is not after `end_time`"));
        }
        // Of what is yet to come nothing is stored.
        let end = until.unwrap_or(now).min(now);
        let start = from.unwrap_or(end.plus(-DAY)).min(end);
        let names = new.symbols.unwrap_or_default();
        if names.len() > SYMBOLS_MAX {
            return Err(ApiError::parameter("symbols", format!("`symbols` has at most {SYMBOLS_MAX} names")));
        }
        let mut symbols: Vec<(SymbolId, Arc<SymbolSpec>)> =
            names.iter().map(|name| state.resolve(name)).collect::<Result<_, _>>()?;
        if names.is_empty() {
            symbols = state.symbols_by_name();
        }
        symbols.sort_unstable_by(|(_, a), (_, b)| a.name.cmp(&b.name));
        symbols.dedup_by_key(|(symbol, _)| *symbol);
        Ok(Asked { rule, symbols, start, end })
    }

    /// True for what is in the range, as answers show times.
    fn has(&self, time: Nanos) -> bool {
        self.start < time.to_micros() && time.to_micros() <= self.end
    }
}

/// Reads a time, which may be an epoch number as well.
fn time_text(fields: Fields<'_>, field: &'static str) -> Result<Option<String>, ApiError> {
    match fields.0.get(field) {
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        _ => Ok(fields.text(field).map_err(body::fault)?.map(str::to_owned)),
    }
}

fn read_word<T>(
    field: &'static str,
    text: Option<String>,
    read: impl Fn(&str) -> Option<T>,
    belongs: &str,
) -> Result<Option<T>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    read(&text).map(Some).ok_or_else(|| body::fault(wrong(field, &Value::from(text.as_str()), belongs)))
}

fn span(text: &str) -> Option<i64> {
    parse_span(text).filter(|span| *span >= 0)
}

fn fire(text: &str) -> Option<Fire> {
    Fire::ALL.into_iter().find(|fire| fire.as_str() == text)
}

/// Makes the error of a rule with faults: the first one.
fn refused(faults: Vec<KeyFault>) -> ApiError {
    match faults.into_iter().next() {
        Some(KeyFault { key, reason, .. }) => ApiError::parameter(key, format!("`{key}`: {reason}")),
        None => ApiError::parameter("when", "`when` cannot be judged"),
    }
}

fn too_much(what: &str, room: usize) -> ApiError {
    let detail = format!(
        "the range holds more than the {room} {what} that are judged at once: ask for less time or fewer symbols"
    );
    ApiError::parameter("start_time", detail)
}

/// Tries a rule on stored bars.
async fn over_bars(
    state: &AppState,
    asked: &Asked,
    trial: Trial,
    room: &mut usize,
) -> Result<(usize, Vec<Detected>), ApiError> {
    let (read, width) = (&trial.read, trial.read.width.nanos());
    // An excursion that goes on in the range began before it: that has to be judged, too, and what it looks back at.
    let held = usize::try_from(read.holds_for / width).unwrap_or(usize::MAX);
    let num_before = (2 * read.look_back + held.min(WARM_UP) + WARM_UP).min(ROWS_MAX);
    let mut bars = bars_until(state, &trial, asked.start.plus(1).plus(-width), asked.end, *room + 1).await?;
    let num_judged = bars.len();
    if num_judged > *room {
        return Err(too_much("bars", *room));
    }
    *room -= num_judged;
    let first = bars.first().map_or(asked.end, |bar| bar.bar.start);
    let mut all = bars_until(state, &trial, Nanos::MIN, first, num_before).await?;
    all.append(&mut bars);
    let found = blocking(move || trial.over_bars(&all)).await?;
    Ok((num_judged, found))
}

/// Tries a rule on ticks of the history, or of the log where the history keeps none.
async fn over_trades(
    state: &AppState,
    asked: &Asked,
    trial: Trial,
    room: &mut usize,
) -> Result<(usize, Vec<Detected>), ApiError> {
    if let Some(kept) = ticks_kept_from(state).await?.filter(|kept| *kept > asked.start) {
        let detail = format!(
            "ticks are kept from {} on; `fire` = `bar_close` judges bars, which are kept longer",
            kept.to_rfc3339()
        );
        return Err(ApiError::parameter("start_time", detail));
    }
    let width = trial.read.width;
    // Whole windows, so that the first bar of the range is whole.
    let start = width.start_of(asked.start);
    // Up to the last nanosecond that is shown as the end.
    let (symbol, end) = (trial.symbol, asked.end.plus(999));
    let query = TickQuery { symbol, start, end, before: None, limit: *room + 1 };
    let mut ticks: Vec<Entry> = state.ticks(&query).await?;
    let num_judged = ticks.len();
    if num_judged > *room {
        return Err(too_much("ticks", *room));
    }
    *room -= num_judged;
    ticks.sort_unstable_by_key(|entry| entry.pos);
    let num_before = (trial.read.look_back + WARM_UP).min(ROWS_MAX);
    let before = bars_until(state, &trial, Nanos::MIN, start, num_before).await?;
    let (core, names) = (Arc::clone(&state.core), Names::interner(&state.symbols, &state.sources));
    let found = blocking(move || trial.over_trades(&before, &ticks, &core, names)).await?;
    Ok((num_judged, found))
}

/// Returns from when on ticks are kept; `None` where that is not known.
async fn ticks_kept_from(state: &AppState) -> Result<Option<Nanos>, ApiError> {
    if state.history.keeps_reports() {
        return Ok(None);
    }
    let dropped = state.log.tail().await.map_err(ApiError::from)?.dropped_through;
    if dropped == 0 {
        return Ok(None);
    }
    let first = state.log.read(dropped, 1).await.map_err(ApiError::from)?;
    // What is older than that came before the log's first entry, but for what was late.
    Ok(first.first().map(|entry| entry.body.time().plus(state.core.horizon)))
}

/// Returns the newest stored bars of the rule's width in a range with their indicators, oldest first.
async fn bars_until(
    state: &AppState,
    trial: &Trial,
    start: Nanos,
    end: Nanos,
    limit: usize,
) -> Result<Vec<TrialBar>, ApiError> {
    let query = WindowQuery { symbol: trial.symbol, width: trial.read.width, start, end, limit };
    let bars = state.history.bars(&query).await?;
    let points = if trial.read.fields.iter().any(|field| field.is_indicator()) {
        state.history.indicators(&query).await?
    } else {
        Vec::new()
    };
    let points: HashMap<Nanos, _> = points.into_iter().map(|point| (point.start, point.values)).collect();
    let with = |bar: Bar| TrialBar { indicators: points.get(&bar.start).copied(), bar };
    Ok(bars.into_iter().rev().map(with).collect())
}

/// Works something out beside the threads that answer.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    web::block(work).await.map_err(|_| given_up())
}

fn given_up() -> ApiError {
    ApiError::Unavailable("the trial was given up".to_owned())
}
