//! The process's own metrics: as JSON under `/api/v1/metrics`, as Prometheus text on a port of their own.
//!
//! Promises: from memory, for the last hour. Topics have none where Kafka is not used. On failure: 422 for a bad
//! parameter.

use super::param_docs::{Answer, SinceQuery, SymbolName};
use crate::metrics::history::{MetricsHistory, Point};
use crate::metrics::{TopicPoint, outcomes};
use crate::models::ledger::Ledger;
use crate::models::time::{HOUR, Nanos};
use crate::web::answer::error::ApiError;
use crate::web::answer::format::Format;
use crate::web::answer::params::Params;
use crate::web::answer::reply::Reply;
use crate::web::answer::responses::{Failures, Unchanged};
use crate::web::state::AppState;
use crate::wire::Time;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Stands for all symbols together.
const ALL: &str = "*";

/// One value of one metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct MetricObject {
    /// End of the interval that it covers.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:00:00Z")]
    pub time: Time,
    /// The symbol; `*` stands for all together.
    #[schema(example = "*")]
    pub symbol: String,
    /// Name of the value.
    #[schema(example = "received_to_bar_p99_ms")]
    pub field: String,
    /// The value.
    #[schema(example = 0.42)]
    pub value: f64,
}

/// Values of metrics.
#[derive(Debug, Serialize, ToSchema)]
pub struct MetricList {
    /// The values, oldest first.
    pub metrics: Vec<MetricObject>,
}

/// One value of one topic.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct TopicMetricObject {
    /// Time of the value.
    #[schema(value_type = String, format = DateTime, example = "2023-09-05T17:00:00Z")]
    pub time: Time,
    /// The topic.
    #[schema(example = "tick_data")]
    pub topic: String,
    /// Name of the value.
    #[schema(example = "lag")]
    pub field: String,
    /// The value.
    #[schema(example = 0)]
    pub value: f64,
}

/// Values of topics.
#[derive(Debug, Serialize, ToSchema)]
pub struct TopicMetricList {
    /// The values, oldest first.
    pub metrics: Vec<TopicMetricObject>,
}

fn answer(request: &HttpRequest, format: Format, metrics: Vec<MetricObject>) -> HttpResponse {
    match format {
        Format::Csv => Reply::list(&metrics, format).send(request),
        Format::Json => Reply::json(&MetricList { metrics }).send(request),
    }
}

/// Answers with the points since `time_range`, by default of the last hour, and with further rows.
fn answer_since(
    request: &HttpRequest,
    state: &AppState,
    read: impl FnOnce(&MetricsHistory, Nanos) -> Vec<Point>,
    further: impl FnOnce() -> Vec<MetricObject>,
) -> Result<HttpResponse, ApiError> {
    let params = Params::of(request, &["time_range", "format"])?;
    let format = Format::of(request, &params)?;
    let now = state.now();
    let start = params.time("time_range", now)?.unwrap_or(now.plus(-HOUR));
    let points = state.metrics.with_history(|history| read(history, start));
    let row = |point: Point| MetricObject {
        time: Time(point.time),
        symbol: ALL.to_owned(),
        field: point.field.to_owned(),
        value: point.value,
    };
    Ok(answer(request, format, points.into_iter().map(row).chain(further()).collect()))
}

/// Returns the rate of each symbol in the last second.
fn symbol_rates(state: &AppState) -> Vec<MetricObject> {
    let Some(newest) = state.metrics.with_history(MetricsHistory::newest) else { return Vec::new() };
    let row = |(symbol, value)| MetricObject {
        time: Time(newest),
        symbol,
        field: "messages_per_second".to_owned(),
        value,
    };
    state.metrics.symbol_rates().into_iter().map(row).collect()
}

/// Latency of ticks: median and 99th percentile in milliseconds, by stage.
#[utoipa::path(
    get,
    path = "/api/v1/metrics/latency",
    tag = "system",
    params(SinceQuery, Answer),
    responses((status = 200, description = "Latencies, at most 300 points a field", body = MetricList), Unchanged, Failures),
)]
pub async fn latency(request: HttpRequest, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    answer_since(&request, &state, MetricsHistory::latency, Vec::new)
}

/// Ticks and bars per second: over time for all together, and each symbol's last second.
#[utoipa::path(
    get,
    path = "/api/v1/metrics/throughput",
    tag = "system",
    params(SinceQuery, Answer),
    responses((status = 200, description = "Rates, at most 300 points a field", body = MetricList), Unchanged, Failures),
)]
pub async fn throughput(request: HttpRequest, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    answer_since(&request, &state, MetricsHistory::throughput, || symbol_rates(&state))
}

/// Rates, queue and delivery errors of the topics that are written, lag of those that are read, a value each ten seconds.
/// `lag_N` is that of partition N. Empty where Kafka is not used.
#[utoipa::path(
    get,
    path = "/api/v1/metrics/kafka",
    tag = "system",
    params(SinceQuery, Answer),
    responses((status = 200, description = "Values by topic", body = TopicMetricList), Unchanged, Failures),
)]
pub async fn kafka(request: HttpRequest, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let params = Params::of(&request, &["time_range", "format"])?;
    let now = state.now();
    let start = params.time("time_range", now)?.unwrap_or(now.plus(-HOUR));
    let object = |point: TopicPoint| TopicMetricObject {
        time: Time(point.time),
        topic: point.topic.to_string(),
        field: point.field.to_string(),
        value: point.value,
    };
    let metrics: Vec<TopicMetricObject> = state.metrics.kafka.since(start).into_iter().map(object).collect();
    Ok(match Format::of(&request, &params)? {
        Format::Csv => Reply::list(&metrics, Format::Csv).send(&request),
        Format::Json => Reply::json(&TopicMetricList { metrics }).send(&request),
    })
}

/// Reports by outcome, by symbol and for all together (`*`). `residue` is 0 whenever nothing is under way. The counts are those of
/// now, so every `time_range` has them: it is taken since clients give it with all metrics alike.
#[utoipa::path(
    get,
    path = "/api/v1/metrics/ledger",
    tag = "system",
    params(
        ("symbol" = Option<SymbolName>, Query, description = "Only this symbol"),
        SinceQuery,
        Answer,
    ),
    responses((status = 200, description = "Counts by outcome", body = MetricList), Unchanged, Failures),
)]
pub async fn ledger(request: HttpRequest, state: Data<AppState>) -> Result<HttpResponse, ApiError> {
    let params = Params::of(&request, &["symbol", "time_range", "format"])?;
    let format = Format::of(&request, &params)?;
    let now = state.now();
    params.time("time_range", now)?;
    let mut metrics = Vec::new();
    let mut add = |symbol: &str, ledger: &Ledger| {
        let mut row = |field: &str, value: f64| {
            let (symbol, field) = (symbol.to_owned(), field.to_owned());
            metrics.push(MetricObject { time: Time(now), symbol, field, value });
        };
        for (outcome, count) in outcomes(ledger) {
            row(outcome, count as f64);
        }
        row("residue", ledger.residue() as f64);
    };
    if let Some(text) = params.get("symbol") {
        let (id, spec) = state.resolve(text)?;
        add(&spec.name, &state.snapshots.get(id).map(|snapshot| snapshot.ledger).unwrap_or_default());
    } else {
        let snapshots = state.snapshots.all();
        let mut total = Ledger::default();
        for snapshot in &snapshots {
            total.merge(&snapshot.ledger);
        }
        add(ALL, &total);
        for snapshot in snapshots {
            add(&state.symbols.spec(snapshot.symbol).name, &snapshot.ledger);
        }
    }
    Ok(answer(&request, format, metrics))
}

/// All metrics in Prometheus' text format.
pub async fn prometheus(state: Data<AppState>) -> HttpResponse {
    let mut by_source: BTreeMap<_, Ledger> = BTreeMap::new();
    for snapshot in state.snapshots.all() {
        for (source, ledger) in snapshot.ledgers.iter() {
            by_source.entry(*source).or_default().merge(ledger);
        }
    }
    for (source, ledger) in by_source {
        state.metrics.set_ledger(&state.sources.name(source), &ledger);
    }
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(state.metrics.encode())
}
