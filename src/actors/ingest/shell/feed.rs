//! What the connections of one feed and its back-fill share. They run on one thread, so sharing needs no locks.

use super::super::client::{LogClient, LogGone};
use super::super::config::VenueConfig;
use super::super::handle::StopSignal;
use super::super::venue::{Context, FrameFault, Instruments, Needs, Transport, Venue};
use super::continuity::Continuity;
use super::gaps::{GapBook, GapId};
use super::job::Job;
use super::rest::RestClient;
use crate::actors::environment::Environment;
use crate::actors::health::{Health, HealthRegistry};
use crate::actors::messages::Ingest;
use crate::metrics::VenueMetrics;
use crate::models::entry::{Body, Entry, Gap, SourceId};
use crate::models::symbol::SymbolId;
use crate::models::time::{HOUR, Nanos, SECOND};
use crate::stores::history::DeadLetterRecord;
use reqwest::Url;
use rustls::ClientConfig;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, mpsc};

/// Time between two clock marks. Heartbeats of many symbols come more often and say nothing more.
const MARK_INTERVAL: i64 = SECOND / 4;

/// Dead letters a minute: garbage without end must not fill the disk. The counters know of the rest.
const LETTERS_PER_MINUTE: u32 = 1_000;

/// Bytes of a frame that are kept in its dead letter.
const PAYLOAD_LEN_MAX: usize = 4 << 10;

/// How often a fault of the venue is worth a line in the log.
const SAY_INTERVAL: Duration = Duration::from_secs(10);

/// How long a stop waits for a log that takes nothing: what is not handed in by then is fetched by the next start.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);

/// Given-up gaps older than this are behind every seal.
const GAP_AGE_MAX: i64 = 24 * HOUR;

/// What a feed is started with.
pub struct FeedSettings {
    /// Name of the feed, as health calls it.
    pub name: String,
    /// The venue.
    pub venue: Arc<dyn Venue>,
    /// How it is reached.
    pub config: VenueConfig,
    /// REST requests a minute where the configuration sets none.
    pub requests_per_minute: u32,
    /// What is followed.
    pub instruments: Instruments,
    /// The venue as a source.
    pub source: SourceId,
    /// Where the log ended, if this is no first start: the time since is a gap.
    pub down_since: Option<Nanos>,
    /// Frames a second that are taken at the most.
    pub rate_max: Option<u32>,
}

/// What is known of a symbol's trades.
#[derive(Default)]
pub(super) struct Product {
    /// The ids that came.
    pub ids: Continuity,
    /// Set from the moment a connection resumes until the symbol's first id tells what was missed.
    pub pending: Option<Pending>,
    /// Its first trade of this process is on its way.
    is_introduced: bool,
}

/// A symbol that has not shown yet what it traded during an outage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// The gap of the outage; `None` where no time was missed.
    pub gap: Option<GapId>,
    /// Where the outage began.
    pub since: Nanos,
    /// Where it ended.
    pub until: Option<Nanos>,
}

/// What one connection brings.
pub(super) struct Share {
    /// Where its stream is; may hold a key.
    pub url: Url,
    /// Places of its instruments.
    pub places: Vec<usize>,
}

/// Entries and dead letters on their way to the log.
#[derive(Default)]
pub(super) struct Batch {
    pub entries: Vec<Entry>,
    pub letters: Vec<DeadLetterRecord>,
    /// When the first of them was received.
    pub received: Option<Nanos>,
}

/// One feed.
pub(super) struct Feed {
    pub venue: Arc<dyn Venue>,
    pub needs: Needs,
    pub config: VenueConfig,
    pub instruments: Instruments,
    pub source: SourceId,
    pub env: Environment,
    pub metrics: VenueMetrics,
    pub rest: RestClient,
    pub tls: Arc<ClientConfig>,
    pub products: RefCell<Vec<Product>>,
    gaps: RefCell<GapBook>,
    pub stop: StopSignal,
    pub down_since: Option<Nanos>,
    pub rate_max: Option<u32>,
    jobs: mpsc::Sender<Job>,
    client: Mutex<LogClient>,
    name: String,
    health: Arc<HealthRegistry>,
    /// How each connection is; empty: it is well.
    troubles: RefCell<Vec<String>>,
    /// The clock of each connection.
    clocks: RefCell<Vec<Nanos>>,
    marked: Cell<Nanos>,
    letters: RefCell<Limit>,
    said: RefCell<Limit>,
}

impl Feed {
    pub fn new(
        settings: FeedSettings,
        client: LogClient,
        env: Environment,
        health: Arc<HealthRegistry>,
        tls: Arc<ClientConfig>,
        jobs: mpsc::Sender<Job>,
        stop: StopSignal,
    ) -> Feed {
        let FeedSettings {
            name,
            venue,
            config,
            requests_per_minute,
            instruments,
            source,
            down_since,
            rate_max,
        } = settings;
        let metrics = env.metrics.venue(venue.name());
        let rest = RestClient::new(&config, requests_per_minute, &tls, Some(metrics.clone()));
        let products = instruments.all().iter().map(|_| Product::default()).collect();
        let feed = Feed {
            needs: venue.needs(),
            venue,
            config,
            instruments,
            source,
            env,
            metrics,
            rest,
            tls,
            products: RefCell::new(products),
            gaps: RefCell::default(),
            stop,
            down_since,
            rate_max,
            jobs,
            client: Mutex::new(client),
            name,
            health,
            troubles: RefCell::default(),
            clocks: RefCell::default(),
            marked: Cell::new(Nanos::MIN),
            letters: RefCell::new(Limit::new(LETTERS_PER_MINUTE, Duration::from_secs(60))),
            said: RefCell::new(Limit::new(1, SAY_INTERVAL)),
        };
        let num_connections = feed.shares().len();
        *feed.troubles.borrow_mut() = vec!["connecting".to_owned(); num_connections];
        *feed.clocks.borrow_mut() = vec![Nanos::MIN; num_connections];
        feed.show_health();
        feed
    }

    /// Returns what each connection brings: instruments of one stream, and no more of them than it may.
    pub fn shares(&self) -> Vec<Share> {
        let Transport::Streams(streams) = &self.needs.transport else { return Vec::new() };
        let asked = self.config.max_symbols_per_connection.map_or(usize::MAX, std::num::NonZeroUsize::get);
        let most = self.needs.symbols_per_connection_max.unwrap_or(usize::MAX).min(asked);
        let share_of = |(stream, url): (usize, &Url)| {
            let spelled = |&at: &usize| self.instruments.all()[at].venue_symbol.as_str();
            let is_own = |at: &usize| self.venue.stream_of(spelled(at)) == stream;
            let places: Vec<usize> = (0..self.instruments.all().len()).filter(is_own).collect();
            let chunks = places.chunks(most.min(places.len()).max(1));
            chunks.map(|places| Share { url: url.clone(), places: places.to_vec() }).collect::<Vec<_>>()
        };
        streams.iter().enumerate().flat_map(share_of).collect()
    }

    /// Returns what frames are read with.
    pub fn context(&self, received: Nanos) -> Context<'_> {
        Context { instruments: &self.instruments, source: self.source, received }
    }

    /// Puts a report into a batch.
    pub fn push(&self, batch: &mut Batch, entry: Entry) {
        batch.entries.push(entry);
        let Some(place) = self.instruments.place(entry.symbol) else { return };
        let was_introduced = std::mem::replace(&mut self.products.borrow_mut()[place].is_introduced, true);
        if !was_introduced {
            // A gap reaches only symbols that exist, so the open ones are told again behind a symbol's first trade.
            for (from, to) in self.gaps.borrow().stretches() {
                batch.entries.push(self.gap_entry(from, to, false));
            }
        }
    }

    /// Opens a gap, and puts it into a batch.
    pub fn open_gap(&self, batch: &mut Batch, from: Nanos, to: Nanos, holds: usize) -> GapId {
        let mut gaps = self.gaps.borrow_mut();
        gaps.forget_before(to.plus(-GAP_AGE_MAX));
        batch.entries.push(self.gap_entry(from, to, false));
        let id = gaps.open(from, to, holds);
        self.show_gaps(&gaps);
        id
    }

    /// Takes a hold off a gap, and puts what is whole with it into a batch.
    pub fn release_gap(&self, batch: &mut Batch, gap: GapId) {
        let mut gaps = self.gaps.borrow_mut();
        for (from, to) in gaps.release(gap) {
            batch.entries.push(self.gap_entry(from, to, true));
        }
        self.show_gaps(&gaps);
    }

    /// Leaves a gap open for good.
    pub fn give_up_gap(&self, gap: GapId) {
        let mut gaps = self.gaps.borrow_mut();
        gaps.give_up(gap);
        self.show_gaps(&gaps);
    }

    fn show_gaps(&self, gaps: &GapBook) {
        self.metrics.gaps_open.set(i64::try_from(gaps.num_waiting()).unwrap_or(i64::MAX));
    }

    fn gap_entry(&self, from: Nanos, to: Nanos, filled: bool) -> Entry {
        let gap = Gap { source: self.source, from, to, filled };
        Entry { pos: 0, symbol: SymbolId::NONE, body: Body::Gap(gap) }
    }

    /// Moves the clock of a connection on, and puts a mark into the batch where one is due. The source's clock is that of
    /// the connection that is behind: one that is down holds it, until its gap is known.
    pub fn mark(&self, batch: &mut Batch, connection: usize, time: Nanos) {
        let mut clocks = self.clocks.borrow_mut();
        clocks[connection] = clocks[connection].max(time);
        let now = clocks.iter().copied().min().unwrap_or(Nanos::MIN);
        if now != Nanos::MIN
            && (self.marked.get() == Nanos::MIN || now.since(self.marked.get()) >= MARK_INTERVAL)
        {
            self.marked.set(now);
            let body = Body::ClockMark { source: self.source, time: now };
            batch.entries.push(Entry { pos: 0, symbol: SymbolId::NONE, body });
        }
    }

    /// Has a hole filled. Where too many wait it is given up.
    pub fn ask(&self, job: Job) {
        if let Err(refused) = self.jobs.try_send(job) {
            self.give_up(&refused.into_inner(), "too many holes wait to be filled");
        }
    }

    /// Leaves a hole as it is.
    pub fn give_up(&self, job: &Job, reason: &str) {
        self.metrics.given_up.inc();
        let instrument = &self.instruments.all()[job.place];
        tracing::warn!(
            venue = self.venue.name(),
            symbol = instrument.venue_symbol,
            reason,
            "a hole cannot be filled; it shows in the coverage of its bars"
        );
        if let (Some(after), Some(before)) = (job.after, job.before) {
            self.products.borrow_mut()[job.place].ids.forget(after + 1, before - 1);
        }
        if let Some(gap) = job.gap {
            self.give_up_gap(gap);
        }
    }

    /// Counts a fault, keeps the frame as a dead letter, and says it now and then.
    pub fn fault(&self, batch: &mut Batch, fault: FrameFault, frame: &str, received: Nanos) {
        self.metrics.fault(fault.kind);
        if let Some(num_held_back) = self.said.borrow_mut().take() {
            let venue = self.venue.name();
            tracing::warn!(venue, %fault, num_held_back, "a frame cannot be read and is set aside");
        }
        if self.letters.borrow_mut().take().is_none() {
            return;
        }
        let mut end = frame.len().min(PAYLOAD_LEN_MAX);
        while !frame.is_char_boundary(end) {
            end -= 1;
        }
        batch.letters.push(DeadLetterRecord {
            reason: fault.kind.to_owned(),
            symbol: fault.venue_symbol,
            provider: self.venue.name().to_owned(),
            received_at: received,
            payload: frame[..end].to_owned(),
            pos: None,
            origin: String::new(),
            id: 0,
        });
    }

    /// Hands a batch to the log and empties it. Waits while the log is full; once the feed is to stop, not for long.
    ///
    /// # Errors
    /// [`LogGone`].
    pub async fn send(&self, batch: &mut Batch) -> Result<(), LogGone> {
        let Batch { entries, letters, received } = std::mem::take(batch);
        if entries.is_empty() && letters.is_empty() {
            return Ok(());
        }
        let num_entries = entries.len();
        let received = received.unwrap_or(Nanos::MIN);
        let ingest = Ingest { entries, dead_letters: letters, progress: None, received };
        let send = async { self.client.lock().await.send(ingest).await };
        tokio::select! {
            sent = send => sent,
            () = self.stop_is_overdue() => {
                tracing::warn!(
                    entries = num_entries,
                    "the log takes nothing; what was received last is fetched by the next start"
                );
                Ok(())
            }
        }
    }

    /// Waits until everything sent is taken; not for long.
    pub async fn settle(&self) {
        let settled = async { self.client.lock().await.settle().await };
        // Either way the feed ends: a log that is gone takes nothing, and one that is full is waited for elsewhere.
        tokio::time::timeout(STOP_TIMEOUT, settled).await.ok();
    }

    async fn stop_is_overdue(&self) {
        self.stop.told().await;
        tokio::time::sleep(STOP_TIMEOUT).await;
    }

    /// Notes how a connection is; empty: it is well.
    pub fn note_trouble(&self, connection: usize, trouble: String) {
        self.troubles.borrow_mut()[connection] = trouble;
        self.show_health();
    }

    fn show_health(&self) {
        let troubles = self.troubles.borrow();
        let num_down = troubles.iter().filter(|trouble| !trouble.is_empty()).count();
        let num_symbols = self.instruments.all().len();
        let name = format!("feed_{}", self.name);
        let venue = self.venue.name();
        match troubles.iter().find(|trouble| !trouble.is_empty()) {
            None => {
                self.health.set(&name, Health::Healthy, format!("{venue}: {num_symbols} symbols"));
            }
            Some(trouble) => {
                let detail = format!("{venue}: {num_down} of {} connections down: {trouble}", troubles.len());
                self.health.set(&name, Health::Degraded, detail);
            }
        }
    }
}

/// Lets so many through in a stretch of time, and counts those it holds back.
struct Limit {
    most: u32,
    period: Duration,
    begun: Instant,
    used: u32,
    num_held_back: u64,
}

impl Limit {
    fn new(most: u32, period: Duration) -> Limit {
        Limit { most, period, begun: Instant::now(), used: 0, num_held_back: 0 }
    }

    /// Returns how many were held back since the last one that was let through; `None` holds this one back too.
    fn take(&mut self) -> Option<u64> {
        if self.begun.elapsed() >= self.period {
            (self.begun, self.used) = (Instant::now(), 0);
        }
        if self.used == self.most {
            self.num_held_back += 1;
            return None;
        }
        self.used += 1;
        Some(std::mem::take(&mut self.num_held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_says_how_many_it_held_back() {
        let mut limit = Limit::new(2, Duration::from_hours(1));
        let told: Vec<Option<u64>> = (0..5).map(|_| limit.take()).collect();
        assert_eq!(told, [Some(0), Some(0), None, None, None]);
        limit.period = Duration::ZERO;
        assert_eq!(limit.take(), Some(3));
    }
}
