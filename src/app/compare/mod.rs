//! `tickwire compare`: our bars beside those of the former system, window by window, and why they differ.
//!
//! Promises: it only reads, so it may run beside the process that fills the data directory; a window that is still open on either
//! side is left out. On failure the error names the store or the topic.

mod judge;
mod scope;
mod theirs;

use super::beside::Beside;
use super::instruments::WrongUse;
use super::kafka;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::models::bar::BarState;
use crate::models::time::{Nanos, Width};
use crate::stores::history::WindowQuery;
use crate::visible::visible;
use crate::wire::BarObject;
use anyhow::Context;
use judge::{Excess, Ours, Values, Verdict, excess, judge};
use scope::Scope;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{ErrorKind, Write};
use theirs::TheirBars;

/// Bars that are read of the history at once.
const PAGE: usize = 5_000;

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompareSettings {
    /// The symbols, as the user spells them; empty: all of either side.
    pub symbols: Vec<String>,
    /// First start of a window.
    pub from: Option<Nanos>,
    /// Windows that start before this.
    pub to: Option<Nanos>,
    /// The window.
    pub window: String,
    /// What the names of the topics begin with; `None`: `kafka.topics.aggregated`.
    pub topics: Option<String>,
    /// Differences that are listed.
    pub limit: usize,
    /// Whether standard output ends with the result as one line of JSON.
    pub json: bool,
}

/// A window in which the two differ.
#[derive(Debug, Serialize)]
struct Difference {
    symbol: String,
    window_start: String,
    verdict: Verdict,
    ours: Option<Values>,
    theirs: Option<Values>,
}

/// What came of it.
#[derive(Debug, Default, Serialize)]
struct Report {
    window: String,
    topic: String,
    /// What is compared of both.
    #[serde(flatten)]
    scope: Scope,
    /// Windows by what they are to each other.
    windows: BTreeMap<&'static str, u64>,
    /// Messages there that replaced an earlier one of their window.
    replaced_there: u64,
    /// Messages there that this program wrote; they are left out.
    written_by_us: u64,
    /// Messages there that are no bars.
    unreadable: u64,
    /// The first differences.
    differences: Vec<Difference>,
}

/// Compares.
///
/// # Errors
/// [`WrongUse`] for a window or a symbol that there is not; otherwise when a side cannot be read.
pub fn run(settings: &CompareSettings, config: &Config) -> anyhow::Result<()> {
    let report = actix::System::new().block_on(compare(settings, config))?;
    let mut text = report.describe(settings.limit);
    if settings.json {
        text = format!("{}\n", serde_json::to_string(&report).expect("the report is plain data"));
    }
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

async fn compare(settings: &CompareSettings, config: &Config) -> anyhow::Result<Report> {
    let width = Width::parse(&settings.window)
        .with_context(|| WrongUse(format!("`--window {}` is no window", visible(&settings.window))))?;
    let kafka = kafka::settings(&config.kafka)?;
    let ours = Beside::open(config).await?;
    let mut wanted = BTreeSet::new();
    for name in &settings.symbols {
        let id = ours.symbols.resolve(name).map_err(|error| WrongUse(error.to_string()))?;
        wanted.insert(ours.symbols.spec(id).name.clone());
    }
    // A window of the last minutes may be open on either side.
    let core = config.core.settings();
    let closed = SystemClock.now().plus(-(core.lateness + core.horizon + width.nanos()));
    let (from, to) = (settings.from.unwrap_or(Nanos::MIN), settings.to.unwrap_or(Nanos::MAX).min(closed));
    let prefix = settings.topics.as_deref().unwrap_or(&config.kafka.topics.aggregated);
    let topic = format!("{prefix}_{width}");
    let wants = {
        let wanted = wanted.clone();
        move |symbol: &str, start: Nanos| {
            (wanted.is_empty() || wanted.contains(symbol)) && (from..to).contains(&start)
        }
    };
    let named = topic.clone();
    let theirs = actix_web::web::block(move || theirs::read(&kafka, &named, width, wants)).await??;
    let ours = our_bars(&ours, width, from, to, &wanted).await?;
    let scope = Scope::of(settings.from, settings.to, &ours, &theirs.bars);
    Ok(Report::of(width, topic, settings.limit, scope, &ours, &theirs))
}

/// Bars of one side, by symbol and start.
type Bars<T> = BTreeMap<(String, Nanos), T>;

/// Reads our bars.
async fn our_bars(
    beside: &Beside,
    width: Width,
    from: Nanos,
    to: Nanos,
    wanted: &BTreeSet<String>,
) -> anyhow::Result<Bars<Ours>> {
    let mut found = BTreeMap::new();
    for (symbol, spec) in beside.symbols.since(0) {
        if !wanted.is_empty() && !wanted.contains(&spec.name) {
            continue;
        }
        let mut end = to.min(Nanos::MAX.plus(-width.nanos())).plus(width.nanos());
        loop {
            let query = WindowQuery { symbol, width, start: from, end, limit: PAGE };
            let page = beside.history.bars(&query).await.context("cannot read the history")?;
            for bar in
                page.iter().filter(|bar| bar.state != BarState::Void && (from..to).contains(&bar.start))
            {
                let object = BarObject::new(bar, &spec, "");
                let values = Values {
                    open: object.open,
                    high: object.high,
                    low: object.low,
                    close: object.close,
                    volume: object.volume,
                    vwap: object.vwap,
                    trade_count: Some(bar.trade_count),
                };
                let ours = Ours {
                    values,
                    late: bar.late.into(),
                    duplicates: bar.duplicates.into(),
                    cancelled: bar.cancelled.into(),
                    coverage: bar.coverage,
                };
                found.insert((spec.name.clone(), bar.start), ours);
            }
            match page.last() {
                // Newest first: the next page ends where this one's oldest window begins.
                Some(oldest) if page.len() == PAGE => end = oldest.start,
                _ => break,
            }
        }
    }
    Ok(found)
}

impl Report {
    fn of(
        width: Width,
        topic: String,
        limit: usize,
        scope: Scope,
        ours: &Bars<Ours>,
        theirs: &TheirBars,
    ) -> Report {
        let mut report = Report {
            window: width.to_string(),
            topic,
            scope,
            replaced_there: theirs.num_replaced,
            written_by_us: theirs.num_ours,
            unreadable: theirs.num_unreadable,
            ..Report::default()
        };
        let more = |key: &(String, Nanos), nanos: i64| -> Excess {
            let key = (key.0.clone(), key.1.plus(nanos));
            excess(&ours.get(&key)?.values, theirs.bars.get(&key)?)
        };
        let keys: BTreeSet<_> = ours.keys().chain(theirs.bars.keys()).collect();
        for key in keys {
            if !report.scope.holds(key.1) {
                continue;
            }
            let (own, other) = (ours.get(key), theirs.bars.get(key));
            let verdict = match (own, other) {
                (Some(own), Some(other)) => {
                    judge(own, other, [more(key, -width.nanos()), more(key, width.nanos())])
                }
                (Some(_), None) => Verdict::OnlyOurs,
                (None, _) => Verdict::OnlyTheirs,
            };
            *report.windows.entry(verdict.as_str()).or_default() += 1;
            if verdict != Verdict::Equal && report.differences.len() < limit {
                report.differences.push(Difference {
                    symbol: key.0.clone(),
                    window_start: key.1.to_rfc3339(),
                    verdict,
                    ours: own.map(|own| own.values),
                    theirs: other.copied(),
                });
            }
        }
        report
    }

    fn describe(&self, limit: usize) -> String {
        let mut text = format!("{} beside the topic `{}`\n", self.window, visible(&self.topic));
        text.push_str(&self.scope.describe());
        for verdict in Verdict::ALL {
            if let Some(count) = self.windows.get(verdict.as_str()) {
                _ = writeln!(text, "{count:>10}  {:<16} {}", verdict.as_str(), verdict.meaning());
            }
        }
        if self.windows.is_empty() {
            text.push_str("         0  windows on either side\n");
        }
        for (count, said) in [
            (self.replaced_there, "messages there replaced an earlier one of their window"),
            (self.written_by_us, "messages there were written by Tickwire and are left out"),
            (self.unreadable, "messages there are no bars and are left out"),
        ] {
            if count > 0 {
                _ = writeln!(text, "{count} {said}");
            }
        }
        for difference in &self.differences {
            let Difference { symbol, window_start, verdict, ours, theirs } = difference;
            _ = writeln!(text, "{} {window_start} {}", visible(symbol), verdict.as_str());
            for (side, values) in [("here", ours), ("there", theirs)] {
                let Some(values) = values else { continue };
                let Values { open, high, low, close, volume, .. } = values;
                let count = values.trade_count.map_or_else(|| "?".to_owned(), |count| count.to_string());
                _ = writeln!(text, "  {side:<6}{open} {high} {low} {close} volume {volume} trades {count}");
            }
        }
        let num_differing: u64 = self.windows.values().sum::<u64>() - self.windows.get("equal").unwrap_or(&0);
        if num_differing > limit as u64 {
            _ = writeln!(text, "{} more differ; `--limit` lists them", num_differing - limit as u64);
        }
        text
    }
}
