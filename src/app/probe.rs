//! `tickwire probe`: connects to a venue, shows what comes first, and says in plain words what is wrong.
//!
//! Promises: it ends by itself, once every symbol has shown a tick, or after its time; the same shell works as in a run, so
//! what works here works there; nothing is stored but the frames that `--record` asks for, without the user's keys. It
//! succeeds when ticks came. On failure the error says what to look at: the key, the proxy, the network, the certificate.

mod keeper;
mod watcher;

use super::instruments::{Catalogue, WrongUse, scale};
use super::keys::with_keys;
use super::signals::Signals;
use super::venues::lacks;
use crate::actors::health::HealthRegistry;
use crate::actors::ingest::recording::Header;
use crate::actors::ingest::registry::{self, VenueEntry};
use crate::actors::ingest::shell::{self, FeedSettings, Recorder, RequestLimit, Tls};
use crate::actors::ingest::venue::{Instrument, Instruments, Listed};
use crate::actors::pipeline::Pipeline;
use crate::config::Config;
use crate::models::num::Scale;
use crate::models::symbol::{PriceSource, SymbolSpec};
use crate::node::{Node, pipeline_settings};
use crate::visible::visible;
use keeper::Keeper;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};
use watcher::{Seen, Watcher};

/// Bars that are kept in memory for each symbol and window; nobody reads them.
const ROWS_MAX: usize = 16;

/// How often it is looked at what came.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Ticks of each symbol that are shown.
const SHOWN_MAX: usize = 3;

/// What is asked of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSettings {
    /// The venue, by its name or another name of it.
    pub venue: String,
    /// The symbols; empty: the venue's usual ones.
    pub symbols: Vec<String>,
    /// Where frames are kept.
    pub record: Option<PathBuf>,
    /// When it ends at the latest, in seconds.
    pub seconds: u32,
    /// Whether a file that is there may be overwritten.
    pub force: bool,
}

/// Connects to a venue and shows what comes.
///
/// # Errors
/// [`WrongUse`] for a venue or a symbol that there is not, and for a missing key; otherwise when no tick came in time, or
/// frames could not be kept.
pub fn run(asked: &ProbeSettings, config: &Config) -> anyhow::Result<()> {
    actix::System::new().block_on(probe(asked, config))
}

async fn probe(asked: &ProbeSettings, config: &Config) -> anyhow::Result<()> {
    let signals = Signals::arm(config.server.stop_timeout)?;
    let Some(entry) = registry::find(&asked.venue) else {
        let fault = registry::name_fault(&asked.venue);
        return Err(WrongUse(fault.unwrap_or_else(|| NOT_LIVE.to_owned())).into());
    };
    let section = config.venues.of(entry.name);
    if let Some(lack) = lacks(entry, section) {
        return Err(WrongUse(lack).into());
    }
    let section = with_keys(entry.name, section)?;
    let venue = (entry.open)(&section);
    let symbols = match asked.symbols.as_slice() {
        [] => entry.default_symbols.iter().map(|&name| name.to_owned()).collect(),
        named => named.to_vec(),
    };
    let tls = Tls::of(&section)?;
    let limit = RequestLimit::new(&section, entry.requests_per_minute);
    let find = async {
        let catalogue = Catalogue::of(Arc::clone(&venue), &section, limit.clone(), &tls).await;
        anyhow::Ok(catalogue.find_all(&symbols)?)
    };
    let listed = tokio::select! {
        listed = find => listed?,
        by = signals.received() => anyhow::bail!("{by} before the venue was connected to"),
    };
    let node = Node::in_memory(config, ROWS_MAX).await?;
    let instruments = Instruments::new(listed.iter().map(|one| follow(one, &node)).collect());
    let source = node.sources.intern(entry.name);
    let keeper = match &asked.record {
        Some(path) => {
            let spec_of = |symbol| (*node.symbols.spec(symbol)).clone();
            let header = Header::new(entry.name, &section, &instruments, spec_of);
            Some(Arc::new(Keeper::create(path, asked.force, &header)?))
        }
        None => None,
    };
    let watcher = Arc::new(Watcher::new(Arc::clone(&venue), instruments.clone(), source, keeper.clone()));
    let mut node = node;
    let storage = node.storage(false);
    let pipeline =
        Pipeline::start(node.env.clone(), pipeline_settings(config), storage, Arc::clone(&node.health))
            .await?;
    let settings = FeedSettings {
        name: entry.name.to_owned(),
        venue,
        config: section.clone(),
        limit,
        instruments: instruments.clone(),
        source,
        down_since: None,
        rate_max: config.provider.max_messages_per_second.map(std::num::NonZeroU32::get),
        recorder: Some(Arc::clone(&watcher) as Arc<dyn Recorder>),
        // What is probed is the stream.
        warm_up_bars: 0,
    };
    let begun = Instant::now();
    let feed = shell::start(settings, pipeline.log().clone(), node.env.clone(), Arc::clone(&node.health))?;
    let mut report = Report::begin(entry, &listed, asked);
    let mut look = interval(LOOK_INTERVAL);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_stopped = tokio::select! {
            _ = look.tick() => false,
            _ = signals.received() => true,
        };
        let seen = watcher.look();
        report.show(&seen, &node.health);
        let is_over = begun.elapsed() >= Duration::from_secs(u64::from(asked.seconds));
        let has_all = asked.record.is_none() && seen.num_ticks.iter().all(|&num| num > 0);
        if is_stopped || is_over || has_all || report.is_refused {
            break;
        }
    }
    feed.stop().await;
    // Frames may have come while it stopped.
    let seen = watcher.look();
    report.show(&seen, &node.health);
    let kept = keeper.map(|keeper| keeper.finish()).transpose();
    pipeline.end();
    node.close().await;
    report.end(&seen, begun.elapsed(), kept?)
}

const NOT_LIVE: &str =
    "the simulator makes its market up: there is nothing to connect to; `tickwire run` shows it";

/// Makes a symbol known, as a run would.
fn follow(listed: &Listed, node: &Node) -> Instrument {
    let mut spec = SymbolSpec::named(&listed.name);
    spec.asset_class = listed.asset_class;
    spec.price_scale = scale(None, listed.price_scale, Scale::PRICE);
    spec.size_scale = scale(None, listed.size_scale, Scale::SIZE);
    if listed.has_only_quotes {
        spec.price = PriceSource::Mid;
    }
    let (price_scale, size_scale) = (spec.price_scale, spec.size_scale);
    let symbol = node.symbols.intern(spec);
    Instrument { symbol, venue_symbol: listed.venue_symbol.clone(), price_scale, size_scale }
}

/// What is told while it goes on, and at the end.
struct Report {
    entry: &'static VenueEntry,
    symbols: Vec<String>,
    seconds: u32,
    /// How the feed was when that was last told.
    condition: String,
    /// The venue refuses for good: to wait for more is no use.
    is_refused: bool,
}

impl Report {
    fn begin(entry: &'static VenueEntry, listed: &[Listed], asked: &ProbeSettings) -> Report {
        let symbols: Vec<String> = listed.iter().map(|one| one.name.clone()).collect();
        let seconds = asked.seconds;
        say(&format!("connecting to {} for {}, {seconds} s at the most", entry.name, symbols.join(", ")));
        Report { entry, symbols, seconds, condition: String::new(), is_refused: false }
    }

    /// Tells what is new.
    fn show(&mut self, seen: &Seen, health: &HealthRegistry) {
        for line in &seen.news {
            say(line);
        }
        let component = format!("feed_{}", self.entry.name);
        let found = health.components().into_iter().find(|(name, _)| *name == component);
        let Some((_, feed)) = found else { return };
        if feed.detail == self.condition || feed.detail.ends_with(": connecting") {
            return;
        }
        self.condition = feed.detail;
        self.is_refused = self.condition.contains("connections down: refused: ");
        say(&self.condition);
        if let Some(advice) = advice(self.entry.name, &self.condition) {
            say(&advice);
        }
    }

    /// Tells what it comes to.
    fn end(self, seen: &Seen, elapsed: Duration, kept: Option<u64>) -> anyhow::Result<()> {
        let num_ticks: u64 = seen.num_ticks.iter().sum();
        let Seen { num_frames, num_faults, .. } = seen;
        let elapsed = elapsed.as_secs_f64();
        say(&format!(
            "{num_ticks} ticks in {num_frames} frames in {elapsed:.1} s, {num_faults} not readable"
        ));
        if let Some(kept) = kept {
            say(&format!("{kept} frames recorded; `tickwire replay` reads them"));
        }
        let quiet = self.symbols.iter().zip(&seen.num_ticks).filter(|(_, num)| **num == 0);
        let quiet: Vec<&str> = quiet.map(|(symbol, _)| symbol.as_str()).collect();
        if num_ticks == 0 {
            let name = self.entry.name;
            if self.condition.is_empty() || self.condition.ends_with(" symbols") {
                anyhow::bail!(
                    "nothing came from `{name}` within {} s: it is connected; the market may be closed, or quiet, for {}",
                    self.seconds,
                    self.symbols.join(", ")
                );
            }
            let advice = advice(name, &self.condition).map(|advice| format!(" ({advice})"));
            anyhow::bail!("nothing came; {}{}", self.condition, advice.unwrap_or_default());
        }
        if !quiet.is_empty() {
            say(&format!("nothing came of {}", quiet.join(", ")));
        }
        Ok(())
    }
}

/// Says what to look at.
fn advice(venue: &str, condition: &str) -> Option<String> {
    let condition = condition.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| condition.contains(word));
    let text = if has(&["proxy refuses"]) {
        format!("look at `venues.{venue}.proxy_url`, and at what the proxy lets through")
    } else if has(&["certificate", "tls", "unknownissuer"]) {
        format!("look at who signs the connection: `venues.{venue}.ca_file` names certificates to trust")
    } else if has(&["refuse"]) && !has(&["connection refused"]) {
        format!("look at the key in `venues.{venue}.key`, and at what its plan includes")
    } else if has(&["left out"]) {
        "look at the spelling of these symbols, and at what the plan of the key includes".to_owned()
    } else if has(&["cannot reach", "no connection within"]) {
        format!(
            "look at the network: a firewall, a name that is not found, `venues.{venue}.stream_url`; behind a proxy set \
             `venues.{venue}.proxy_url`"
        )
    } else if has(&["clock here"]) {
        "set the clock of this machine: times that are wrong make bars wrong".to_owned()
    } else {
        return None;
    };
    Some(text)
}

/// Writes a line to standard output. Where nobody reads it, the exit code still tells how it went.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{}", visible(line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_comes_with_what_to_look_at() {
        for (condition, said) in [
            ("k: 1 of 1 connections down: refused: auth failed", Some("key")),
            ("k: 1 of 1 connections down: the venue refuses: too many connections", Some("plan")),
            ("k: 1 of 1 connections down: proxy refuses: HTTP/1.1 407", Some("proxy_url")),
            (
                "k: 1 of 1 connections down: handshake failed: invalid peer certificate: UnknownIssuer",
                Some("ca_file"),
            ),
            (
                "k: 1 of 1 connections down: cannot reach `x:1`: Connection refused (os error 111)",
                Some("network"),
            ),
            ("k: 1 symbols; left out: `X` (unknown)", Some("spelling")),
            ("k: 2 symbols; clock here: 1.5 s behind the venue's", Some("clock")),
            ("k: 2 symbols", None),
        ] {
            let found = advice("k", condition);
            match said {
                Some(said) => assert!(found.as_ref().is_some_and(|text| text.contains(said)), "{found:?}"),
                None => assert_eq!(found, None),
            }
        }
    }
}
