//! `tickwire backfill`: fills the history of a data directory with a venue's own bars, where the directory lacks them.
//!
//! Promises: a bar that is whole is never replaced, and nothing of the log changes: what is filled stands beside it, in a
//! generation above that of the log. Windows that the log may still change are left to it. What is there is not asked for
//! again, so after an interruption the same command goes on. Requests keep within the venue's limits. On failure what was
//! filled by then stays, the error says what is missing, and the other symbols are filled all the same.

mod job;
mod places;
mod rows;

use super::instruments::WrongUse;
use super::signals::Signals;
use crate::actors::ingest::shell::{BarsClient, BarsError, given_width};
use crate::actors::ingest::venue::Instrument;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, LogKind};
use crate::models::log_pos::LogPos;
use crate::models::provenance::DataKind;
use crate::models::settings::CoreSettings;
use crate::models::time::{Nanos, Width};
use crate::node::{Node, directory};
use crate::stores::log::LogTail;
use crate::visible::visible;
use indicatif::{ProgressBar, ProgressStyle};
use job::{FillError, Job, Tally};
use places::Places;
use rows::Series;
use std::collections::BTreeSet;
use std::io::{self, Write};

/// What is asked of a back-fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackfillSettings {
    /// The symbols, as the user spells them.
    pub symbols: Vec<String>,
    /// The venue; `None`: those of the feed that follows the symbol, in their order.
    pub venue: Option<String>,
    /// Where it begins, as a query gives times.
    pub from: String,
    /// Where it ends; `None`: as late as the log allows.
    pub to: Option<String>,
    /// The windows; empty: all that are configured.
    pub windows: Vec<String>,
}

/// Fills the history.
///
/// # Errors
/// [`WrongUse`] for a venue, symbol, window or time that there is not; otherwise when something could not be filled.
pub fn run(asked: &BackfillSettings, config: &Config) -> anyhow::Result<()> {
    actix::System::new().block_on(backfill(asked, config))
}

async fn backfill(asked: &BackfillSettings, config: &Config) -> anyhow::Result<()> {
    let signals = Signals::arm(config.server.stop_timeout)?;
    if config.log.kind == LogKind::Memory {
        let said = "`log.kind` is `memory`: there is no data directory that could be filled";
        return Err(WrongUse(said.to_owned()).into());
    }
    let begin = async {
        let plan = Plan::make(asked, config).await?;
        let node = Node::open(config).await?;
        let (log, record) = (node.log.as_ref(), node.record.as_ref());
        directory::claim(log, record, DataKind::Live, &node.core, &config.data_dir).await?;
        anyhow::Ok((plan, node))
    };
    let (plan, node) = tokio::select! {
        begun = begin => begun?,
        by = signals.received() => anyhow::bail!("{by} before anything was filled"),
    };
    let filled = tokio::select! {
        filled = plan.fill(config, &node) => filled,
        by = signals.received() => {
            Err(anyhow::anyhow!("{by}: what was filled is kept; run the same command again to go on"))
        }
    };
    node.close().await;
    filled
}

/// What is to be filled, and who is asked.
pub struct Plan {
    places: Places,
    from: Nanos,
    to: Option<Nanos>,
    /// Names of windows; none is all.
    windows: Vec<String>,
}

impl Plan {
    /// Finds out who has the symbols.
    ///
    /// # Errors
    /// As [`run`], before anything is written.
    pub async fn make(asked: &BackfillSettings, config: &Config) -> anyhow::Result<Plan> {
        let (from, to) = times(asked, SystemClock.now())?;
        let places = Places::find(asked, config).await?;
        Ok(Plan { places, from, to, windows: asked.windows.clone() })
    }

    /// Fills what is lacking. May be dropped at any await: what was filled by then stays.
    ///
    /// # Errors
    /// When something could not be filled, or the directory cannot be read or written.
    pub async fn fill(&self, config: &Config, node: &Node) -> anyhow::Result<()> {
        let widths = widths(&self.windows, &node.env.settings)?;
        let tail = node.log.tail().await?;
        let range = Range::of(self, config, node, &tail)?;
        let log_pos = above(&tail);
        let clients: Vec<BarsClient> = self.clients(node);
        let bar = progress_bar(
            widths.iter().map(|&width| range.num_windows(width)).sum::<u64>()
                * self.places.symbols.len() as u64,
        );
        let mut report = Report::default();
        for wanted in &self.places.symbols {
            let symbol = node.symbols.intern(wanted.spec.clone());
            let spec = node.symbols.spec(symbol);
            for &width in &widths {
                let (from, to) = range.windows(width);
                bar.set_message(format!("{} {width}", spec.name));
                let instruments = wanted.at.iter().map(|(place, listed)| {
                    let instrument = Instrument {
                        symbol,
                        venue_symbol: listed.venue_symbol.clone(),
                        price_scale: spec.price_scale,
                        size_scale: spec.size_scale,
                    };
                    (*place, instrument)
                });
                let mut gives = instruments.filter(|(place, instrument)| {
                    given_width(self.places.venues[*place].venue.as_ref(), instrument, width).is_some()
                });
                let Some((place, instrument)) = gives.next() else {
                    report.lacks(&spec.name, width);
                    bar.inc(range.num_windows(width));
                    continue;
                };
                let venue = self.places.venues[place].entry.name;
                if report.denied.contains(venue) {
                    report.failed.push(format!("{} {width}", spec.name));
                    bar.inc(range.num_windows(width));
                    continue;
                }
                let job = Job {
                    history: node.history.as_ref(),
                    log: node.log.as_ref(),
                    client: &clients[place],
                    instrument: &instrument,
                    series: Series { symbol, price_scale: spec.price_scale, width, log_pos },
                    key: format!("backfill:{venue}:{}:{width}", spec.name),
                };
                let mut tally = Tally::default();
                let filled = job.fill(from, to, &mut tally, &bar).await;
                bar.suspend(|| report.add(&spec.name, width, venue, &tally, filled))?;
            }
        }
        bar.finish_and_clear();
        report.end()
    }

    fn clients(&self, node: &Node) -> Vec<BarsClient> {
        let client = |open: &places::OpenVenue| {
            let source = node.sources.intern(open.entry.name);
            let limit = open.limit.clone();
            BarsClient::new(open.venue.clone(), &open.config, limit, &open.tls, source, &node.env)
        };
        self.places.venues.iter().map(client).collect()
    }
}

/// Returns the windows asked for, of those that the data directory has.
fn widths(asked: &[String], core: &CoreSettings) -> Result<Vec<Width>, WrongUse> {
    if asked.is_empty() {
        return Ok(core.widths.clone());
    }
    let known = |text: &String| {
        let width = Width::parse(text).filter(|width| core.widths.contains(width));
        width.ok_or_else(|| {
            let all: Vec<String> = core.widths.iter().map(ToString::to_string).collect();
            WrongUse(format!("`{text}` is none of the windows in `core.windows`: {}", all.join(", ")))
        })
    };
    let widths: BTreeSet<Width> = asked.iter().map(known).collect::<Result<_, _>>()?;
    Ok(widths.into_iter().collect())
}

/// Reads the times asked for.
fn times(asked: &BackfillSettings, now: Nanos) -> Result<(Nanos, Option<Nanos>), WrongUse> {
    let read = |flag: &str, text: &str| {
        let hint = "a date, a time such as `2026-01-31T09:30:00Z`, or a span back from now such as `-30d`";
        Nanos::from_query(text, now)
            .ok_or_else(|| WrongUse(format!("`{flag} {text}` is no time; it takes {hint}")))
    };
    let from = read("--from", &asked.from)?;
    let to = asked.to.as_deref().map(|text| read("--to", text)).transpose()?;
    match to {
        Some(to) if to <= from => {
            let (from, to) = (from.to_rfc3339(), to.to_rfc3339());
            Err(WrongUse(format!("`--to` ({to}) is not after `--from` ({from})")))
        }
        to => Ok((from, to)),
    }
}

/// Returns where rows stand that follow from no entry of a log: above everything that follows from one.
fn above(tail: &LogTail) -> u64 {
    let last = LogPos::from_stored(tail.last).expect("positions leave the sign bit free");
    let above = LogPos::new(last.generation() + 1, last.position());
    above.expect("there are more generations than a log is made anew").stored()
}

/// The time to fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    from: Nanos,
    to: Nanos,
}

impl Range {
    /// Leaves out what retention would drop and what the log may still change.
    fn of(plan: &Plan, config: &Config, node: &Node, tail: &LogTail) -> Result<Range, WrongUse> {
        let now = (node.env.now)();
        let core = &node.env.settings;
        let settled = core.lateness.saturating_add(core.horizon).saturating_add(core.gap_hold);
        let newest = tail.newest.filter(|newest| *newest > Nanos::MIN);
        let sealed = newest.map_or(now, |newest| newest.min(now)).plus(-settled);
        let kept = now.plus(-config.sqlite_settings().retention_bars_age);
        let range =
            Range { from: plan.from.max(kept).max(Nanos(0)), to: plan.to.unwrap_or(sealed).min(sealed) };
        if plan.to.is_none_or(|to| to > sealed) {
            say(&format!("windows that end after {} are left to the live feed", sealed.to_rfc3339()));
        }
        if plan.from < kept {
            let kept = kept.to_rfc3339();
            say(&format!("windows before {kept} are left out: `history.retention_age` keeps none that old"));
        }
        if range.from >= range.to {
            return Err(WrongUse("nothing is left to fill between `--from` and `--to`".to_owned()));
        }
        Ok(range)
    }

    /// Returns the begin of the first and the end of the last whole window.
    fn windows(&self, width: Width) -> (Nanos, Nanos) {
        let from = width.start_of(self.from.plus(width.nanos() - 1));
        (from, width.start_of(self.to).max(from))
    }

    fn num_windows(&self, width: Width) -> u64 {
        let (from, to) = self.windows(width);
        u64::try_from(to.since(from) / width.nanos()).unwrap_or(0)
    }
}

/// What is told, as it goes on and at the end.
#[derive(Default)]
struct Report {
    /// What could not be filled.
    failed: Vec<String>,
    /// Venues that are not asked any more.
    denied: BTreeSet<&'static str>,
}

impl Report {
    fn lacks(&mut self, symbol: &str, width: Width) {
        say(&format!(
            "{symbol} {width}: no venue that has it gives bars of this width, or of which it could be made"
        ));
        self.failed.push(format!("{symbol} {width}"));
    }

    /// Tells what came of a symbol and width.
    ///
    /// # Errors
    /// When the directory cannot be read or written.
    fn add(
        &mut self,
        symbol: &str,
        width: Width,
        venue: &'static str,
        tally: &Tally,
        filled: Result<(), FillError>,
    ) -> anyhow::Result<()> {
        let Tally { num_written, num_kept, num_without, has_asked } = tally;
        let asked = if *has_asked { "" } else { "; nothing had to be asked for" };
        say(&format!(
            "{symbol} {width} from {venue}: {num_written} bars written, {num_kept} were there, {num_without} windows \
             without a bar{asked}"
        ));
        match filled {
            Ok(()) => {}
            Err(FillError::Store(error)) => return Err(error.into()),
            Err(FillError::Venue(error)) => {
                say(&format!("{symbol} {width} is not filled to its end: {error}"));
                self.failed.push(format!("{symbol} {width}"));
                // A venue that does not answer, or wants to be left alone, is not asked for the rest.
                if matches!(error, BarsError::NotEntitled(_) | BarsError::Unavailable(_)) {
                    self.denied.insert(venue);
                }
            }
        }
        Ok(())
    }

    fn end(self) -> anyhow::Result<()> {
        let failed = self.failed.join(", ");
        anyhow::ensure!(
            self.failed.is_empty(),
            "not everything could be filled: {failed}; what was filled is kept"
        );
        Ok(())
    }
}

/// Shows how many windows are done, on standard error if that is a terminal.
fn progress_bar(num_windows: u64) -> ProgressBar {
    let style = "{bar:40} {percent:>3} %  {msg}  {elapsed} (about {eta} left)";
    let style = ProgressStyle::with_template(style).expect("the template is well formed");
    ProgressBar::new(num_windows).with_style(style)
}

/// Writes a line to standard output. Where nobody reads it, the exit code still tells how it went.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{}", visible(line));
}
