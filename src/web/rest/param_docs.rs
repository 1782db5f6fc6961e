//! The parameters as the OpenAPI document shows them: what a generated client may send, and what the tests send.
//! Documentation only: [`crate::web::answer::params`] reads them, and accepts some more forms than are listed here.

use crate::models::alert::AlertStatus;
use crate::models::alerts::incident::IncidentState;
use crate::models::anomaly::Severity;
use crate::models::effect::DeadReason;
use crate::models::ledger::{FUTURE_VERSION, REFUSED, RejectReason, TOO_MANY_SYMBOLS, UNKNOWN_SYMBOL};
use utoipa::openapi::schema::{AnyOfBuilder, KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// A symbol or an alias of it.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^[A-Za-z0-9._:/=^-]{1,32}$", example = "AAPL")]
pub struct SymbolName(pub String);

/// Id of an incident, which is that of its anomaly.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^[!-~]{1,256}$", example = "BTC-USD/price_spike/1min/1693933260000000000")]
pub struct IncidentId(pub String);

/// A symbol or a type, or with `*` at its end all that begin so.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = "^[!-~]{1,64}$", example = "BTC-*")]
pub struct NamePattern(pub String);

/// Symbols with commas between, or `*`.
#[derive(ToSchema)]
#[schema(
    value_type = String,
    pattern = r"^(\*|[A-Za-z0-9._:/=^-]{1,32}(,[A-Za-z0-9._:/=^-]{1,32}){0,999})$",
    example = "AAPL,MSFT",
)]
pub struct Symbols(pub String);

/// Symbols with commas between.
#[derive(ToSchema)]
#[schema(
    value_type = String,
    pattern = r"^[A-Za-z0-9._:/=^-]{1,32}(,[A-Za-z0-9._:/=^-]{1,32}){0,999}$",
    example = "AAPL,MSFT",
)]
pub struct NamedSymbols(pub String);

/// A time: RFC 3339, a date, an epoch number whose unit follows from its magnitude, `now`, or a span before now, in which a
/// year has 365 days.
pub struct QueryTime;

impl PartialSchema for QueryTime {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let format = |format| text().format(Some(SchemaFormat::KnownFormat(format)));
        let any_of = AnyOfBuilder::new()
            .schema_type(SchemaType::AnyValue)
            .item(format(KnownFormat::DateTime))
            .item(format(KnownFormat::Date))
            .item(
                ObjectBuilder::new()
                    .schema_type(Type::Integer)
                    .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64))),
            )
            .item(text().enum_values(Some(["now"])))
            .item(text().pattern(Some("^-[0-9]{1,5}(ns|us|ms|s|sec|m|min|h|d|w|y)$")))
            .item(text().pattern(Some("^-?[0-9]{1,18}\\.[0-9]{1,9}$")))
            .description(Some(
                "RFC 3339, a date, an epoch number whose unit follows from its magnitude, `now`, or a span before now",
            ))
            .examples(["-1h"]);
        Schema::AnyOf(any_of.build()).into()
    }
}

impl ToSchema for QueryTime {}

/// The form of an answer; without it, `Accept` decides.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum FormatName {
    /// `application/json`.
    Json,
    /// `text/csv`.
    Csv,
}

/// What stands for windows without a trade.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum FillName {
    /// Nothing: they are left out.
    None,
    /// A bar without prices.
    Null,
    /// A bar with the last close before it as its prices.
    Previous,
}

/// Says that a list without rows is an answer.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum EmptyName {
    /// It is 200, not 404.
    Ok,
}

/// Makes the schema of a parameter that is one of some words.
fn one_of(words: impl IntoIterator<Item = &'static str>) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build().into()
}

/// Why something was not accepted.
pub struct ReasonName;

impl PartialSchema for ReasonName {
    fn schema() -> RefOr<Schema> {
        one_of(reasons())
    }
}

impl ToSchema for ReasonName {}

/// How far an anomaly is beyond its threshold.
pub struct SeverityName;

impl PartialSchema for SeverityName {
    fn schema() -> RefOr<Schema> {
        one_of(Severity::ALL.map(Severity::as_str))
    }
}

impl ToSchema for SeverityName {}

/// Where an alert stands.
pub struct StatusName;

impl PartialSchema for StatusName {
    fn schema() -> RefOr<Schema> {
        one_of(AlertStatus::ALL.map(AlertStatus::as_str))
    }
}

impl ToSchema for StatusName {}

/// Where an incident stands.
pub struct IncidentStateName;

impl PartialSchema for IncidentStateName {
    fn schema() -> RefOr<Schema> {
        one_of(IncidentState::ALL.map(IncidentState::as_str))
    }
}

impl ToSchema for IncidentStateName {}

/// Returns every reason that a dead letter can have.
#[must_use]
pub fn reasons() -> Vec<&'static str> {
    let rejected = RejectReason::ALL.map(RejectReason::as_str);
    let others = [TOO_MANY_SYMBOLS, UNKNOWN_SYMBOL, FUTURE_VERSION, REFUSED];
    std::iter::once(DeadReason::Late.as_str()).chain(rejected).chain(others).collect()
}

/// The form of anything that is a table.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Answer {
    /// The form; without it, `Accept` decides.
    pub format: Option<FormatName>,
}

/// The form of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Answers {
    /// `ok`: a list without rows is an answer, not 404.
    pub empty: Option<EmptyName>,
    /// The form; without it, `Accept` decides.
    pub format: Option<FormatName>,
}

/// The symbol in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct SymbolPath {
    /// Symbol or an alias of it
    #[param(example = "AAPL")]
    pub symbol: SymbolName,
}

/// The symbols that are asked for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SymbolsQuery {
    /// A part of a name: known symbols that fit, and what the venues list of the kind.
    #[param(example = "btc", pattern = "^[A-Za-z0-9._:/=^-]{1,32}$")]
    pub q: Option<String>,
    /// Instruments of each venue at most.
    #[param(minimum = 1, maximum = 200, default = 20)]
    pub limit: Option<u32>,
}

/// The windows that are asked for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WindowsQuery {
    /// Any configured window, by default the smallest.
    #[param(example = "1min")]
    pub window: Option<String>,
    /// Windows that end after this.
    #[param(example = "-1h")]
    pub start_time: Option<QueryTime>,
    /// Windows that end at or before this.
    #[param(example = "now")]
    pub end_time: Option<QueryTime>,
    /// Rows at most.
    #[param(minimum = 1, maximum = 5000, default = 500)]
    pub limit: Option<u32>,
    /// Taken from the `Link` header of the page before.
    #[param(pattern = "^[0-9a-f]{1,16}-[0-9a-f]{1,16}$")]
    pub cursor: Option<String>,
}

/// The ticks that are asked for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TicksQuery {
    /// First event time, by default an hour before `end_time`.
    #[param(example = "-1h")]
    pub start_time: Option<QueryTime>,
    /// Last event time, by default now.
    #[param(example = "now")]
    pub end_time: Option<QueryTime>,
}

/// A page of ticks, anomalies, alerts or predictions.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Rows at most.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<u32>,
    /// Taken from the `Link` header of the page before.
    #[param(pattern = "^[0-9a-f]{1,16}(-[0-9a-f]{1,16}){3}$")]
    pub cursor: Option<String>,
}

/// The dead letters that are asked for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeadLettersQuery {
    /// Only those for this reason.
    #[param(example = "late")]
    pub reason: Option<ReasonName>,
    /// Only those of this symbol.
    #[param(example = "AAPL")]
    pub symbol: Option<SymbolName>,
    /// Received at or after this.
    #[param(example = "-1h")]
    pub start_time: Option<QueryTime>,
    /// Rows at most.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<u32>,
    /// Taken from the `Link` header of the page before.
    #[param(pattern = "^[0-9a-f]{1,16}(-[0-9a-f]{1,16}){2}$")]
    pub cursor: Option<String>,
}

/// The times of anomalies, alerts, or of the ends of predicted bars.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SignalTimes {
    /// First time.
    #[param(example = "-1h")]
    pub start_time: Option<QueryTime>,
    /// Last time.
    #[param(example = "now")]
    pub end_time: Option<QueryTime>,
}

/// The anomalies that are asked for, or that alerts are about.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AnomalyQuery {
    /// Only those of this symbol.
    #[param(example = "AAPL")]
    pub symbol: Option<SymbolName>,
    /// Only those that this rule found.
    #[param(pattern = "^[A-Za-z0-9._-]{1,64}$", example = "price_spike")]
    pub r#type: Option<String>,
    /// Only those of this severity.
    #[param(example = "high")]
    pub severity: Option<SeverityName>,
}

/// The alerts that are asked for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AlertQuery {
    /// Only those over this channel.
    #[param(pattern = "^[A-Za-z0-9._-]{1,64}$", example = "slack")]
    pub channel: Option<String>,
    /// Only those that stand there.
    #[param(example = "sent")]
    pub status: Option<StatusName>,
    /// Only those about this anomaly: every decision on its incident.
    #[param(pattern = "^[!-~]{1,256}$", example = "BTC-USD/price_spike/1min/1693933260000000000")]
    pub anomaly_id: Option<String>,
}

/// The incidents that are asked for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct IncidentQuery {
    /// Only those that stand there.
    #[param(example = "open")]
    pub state: Option<IncidentStateName>,
}

/// The rule in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct RulePath {
    /// Its name
    #[param(example = "oversold", pattern = "^[A-Za-z0-9._-]{1,40}$")]
    pub name: String,
}

/// The silence in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct SilencePath {
    /// Its id
    #[param(example = "s-18c2a9f0b1d4e7a3")]
    pub id: String,
}

/// The stretch of time that is asked for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SinceQuery {
    /// Since when, by default the last hour.
    #[param(example = "-1h")]
    pub time_range: Option<QueryTime>,
}
