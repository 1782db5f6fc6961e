//! What the connections of one feed and its back-fill share. They run on one thread, so sharing needs no locks.

mod delivery;
mod missing;
mod settings;

pub(super) use delivery::Batch;
pub use settings::FeedSettings;
pub(super) use settings::Queues;

use super::super::client::LogClient;
use super::super::config::VenueConfig;
use super::super::handle::StopSignal;
use super::super::venue::{Context, FrameFault, Instrument, Instruments, Needs, Then, Transport, Venue};
use super::continuity::Continuity;
use super::followed::{Changes, Followed};
use super::gaps::{GapBook, GapId};
use super::health::{Condition, FeedHealth, how_wrong};
use super::held::Waiting;
use super::identity::RecentTrades;
use super::letters::DeadLetters;
use super::limit::Limit;
use super::newcomers::Newcomers;
use super::offset;
use super::recorder::Recorder;
use super::rest::RestClient;
use super::share::{Share, Shares, shares};
use super::standing::Standing;
use super::surroundings::{PastVenue, Pasts, Surroundings, Tap};
use crate::actors::environment::Environment;
use crate::metrics::VenueMetrics;
use crate::models::entry::{Body, Entry, SourceId};
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, SECOND};
use crate::secret::Redaction;
use rustls::ClientConfig;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, Notify};

/// Time between two clock marks. Heartbeats of many symbols come more often and say nothing more.
const MARK_INTERVAL: i64 = SECOND / 4;

/// How often a wrong clock is worth a line in the log.
const SAY_CLOCK_INTERVAL: Duration = Duration::from_hours(1);

/// What is known of a symbol's trades.
#[derive(Default)]
pub(super) struct Product {
    /// The ids that came.
    pub ids: Continuity,
    /// Set from the moment a connection resumes until the symbol's first id tells what was missed.
    pub pending: Option<Pending>,
    /// Its first report of this process is on its way.
    is_introduced: bool,
    /// It is new here, and no connection has begun to bring it.
    pub is_new: bool,
    /// The rest of the window in which it was left, where it was.
    pub left: Option<(Nanos, Nanos)>,
}

/// A symbol that has not shown yet what it traded during an outage.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// The gap of the outage; `None` where no time was missed.
    pub gap: Option<GapId>,
    /// Where the outage began.
    pub since: Nanos,
}

/// One feed.
pub(super) struct Feed {
    pub venue: Arc<dyn Venue>,
    pub needs: Needs,
    pub config: VenueConfig,
    pub instruments: Followed,
    /// Tells what is to be followed from now on.
    pub changes: Rc<Changes>,
    /// Tells whoever asks again and again that other symbols are followed.
    pub is_changed: Notify,
    pub source: SourceId,
    pub env: Environment,
    pub metrics: VenueMetrics,
    pub rest: RestClient,
    pub tls: Arc<ClientConfig>,
    pub products: RefCell<Vec<Product>>,
    gaps: RefCell<GapBook>,
    shares: RefCell<Vec<Share>>,
    pub stop: StopSignal,
    standing: Rc<Standing>,
    tap: Option<Tap>,
    is_logged: bool,
    pub down_since: Option<Nanos>,
    pub rate_max: Option<u32>,
    pub recorder: Option<Arc<dyn Recorder>>,
    /// Takes keys out of what the venue says.
    pub redaction: Redaction,
    pub health: FeedHealth,
    /// How far our clock is from the venue's, as each connection shows it.
    offsets: RefCell<Vec<Option<i64>>>,
    /// What a trade is found by that is taken back without a name; empty where trades have ids.
    pub recent: RefCell<RecentTrades>,
    /// Symbols that wait for their past.
    pub waiting: Waiting,
    pub warm_up_bars: u32,
    /// Symbols of which the log was told nothing yet.
    pub newcomers: Rc<Newcomers>,
    /// All venues that may have a symbol's past; empty where this is the only one.
    pub past_venues: Rc<[PastVenue]>,
    queues: Queues,
    client: Mutex<LogClient>,
    /// The clock of each connection; [`Nanos::MAX`] of one that is refused for good.
    clocks: RefCell<Vec<Nanos>>,
    /// Where the earliest hole of each connection begins that may be no more than reordered trades; else [`Nanos::MAX`].
    suspects: RefCell<Vec<Nanos>>,
    marked: Cell<Nanos>,
    letters: RefCell<DeadLetters>,
    said_clock: RefCell<Limit>,
}

impl Feed {
    pub fn new(
        settings: FeedSettings,
        tls: Arc<ClientConfig>,
        queues: Queues,
        surroundings: Surroundings,
    ) -> Feed {
        let Surroundings { log, env, health, standing, changes, stop, tap, is_logged, pasts } = surroundings;
        let client = LogClient::new(log, Arc::clone(&env.metrics));
        let FeedSettings {
            name,
            venue,
            config,
            limit,
            instruments,
            source,
            down_since,
            warm_up_bars,
            rate_max,
            recorder,
        } = settings;
        let Pasts { newcomers, venues: past_venues } = pasts;
        let waits = |one: &Instrument| warm_up_bars > 0 && newcomers.has(one.symbol);
        let new: Vec<bool> = instruments.all().iter().map(waits).collect();
        let waiting = Waiting::new((0..new.len()).filter(|&place| new[place]));
        let metrics = env.metrics.venue(venue.name());
        let rest = RestClient::new(&config, limit, &tls, Some(metrics.clone()));
        let products = new.into_iter().map(|is_new| Product { is_new, ..Product::default() }).collect();
        let needs = venue.needs();
        let Shares { all: shares, left_out } = shares(venue.as_ref(), &needs, &config, &instruments);
        // What is polled takes the place of a connection.
        let num_connections = match needs.transport {
            Transport::Streams(_) => shares.len(),
            Transport::Polls => 1,
        };
        let num_symbols = instruments.all().len();
        let health =
            FeedHealth::new(&name, venue.name(), num_symbols, num_connections, health, metrics.clone());
        for (place, reason) in left_out {
            let instrument = &instruments.all()[place];
            let symbol = &instrument.venue_symbol;
            tracing::warn!(venue = venue.name(), symbol, reason, "this symbol is left out");
            standing.note_left_out(instrument.symbol, true);
            health.leave_out(symbol, Some(reason));
        }
        let letters = DeadLetters::new(venue.name(), config.redaction());
        Feed {
            needs,
            venue,
            letters: RefCell::new(letters),
            redaction: config.redaction(),
            config,
            instruments: Followed::new(instruments),
            changes,
            is_changed: Notify::new(),
            source,
            env,
            metrics,
            rest,
            tls,
            products: RefCell::new(products),
            gaps: RefCell::default(),
            shares: RefCell::new(shares),
            stop,
            standing,
            tap,
            is_logged,
            down_since,
            rate_max,
            recorder,
            health,
            offsets: RefCell::new(vec![None; num_connections]),
            recent: RefCell::default(),
            waiting,
            warm_up_bars,
            newcomers,
            past_venues,
            queues,
            client: Mutex::new(client),
            clocks: RefCell::new(vec![Nanos::MIN; num_connections]),
            suspects: RefCell::new(vec![Nanos::MAX; num_connections]),
            marked: Cell::new(Nanos::MIN),
            said_clock: RefCell::new(Limit::new(1, SAY_CLOCK_INTERVAL)),
        }
    }

    /// Returns how long a connection may bring nothing. A venue that is only heard when it is asked is given the time to
    /// be asked and a half more.
    pub fn idle_timeout(&self) -> Duration {
        let asked =
            if self.needs.has_heartbeats { Duration::ZERO } else { self.config.ping_interval * 3 / 2 };
        self.config.idle_timeout.unwrap_or_else(|| self.needs.idle_timeout.max(asked))
    }

    /// Returns what each connection brings; once.
    pub fn take_shares(&self) -> Vec<Share> {
        self.shares.take()
    }

    /// Returns what frames are read with.
    pub fn context<'a>(&self, instruments: &'a Instruments, received: Nanos) -> Context<'a> {
        Context { instruments, source: self.source, received }
    }

    /// Returns about which event time the venue tells of the symbol at a place now, by our clock.
    pub fn event_time_now(&self, place: usize) -> Nanos {
        let stream = self.venue.stream_of(&self.instruments.venue_symbol(place));
        let delay = self.venue.delay_of(stream);
        (self.env.now)().plus(-i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX / 4))
    }

    /// Follows a symbol from now on. Returns its place, unless it is followed already.
    pub fn follow(&self, instrument: Instrument) -> Option<usize> {
        let symbol = instrument.symbol;
        let is_new = self.warm_up_bars > 0 && self.newcomers.has(symbol);
        let place = self.instruments.add(instrument)?;
        let mut products = self.products.borrow_mut();
        if place == products.len() {
            products.push(Product::default());
        }
        let product = &mut products[place];
        // Its ids have gone on meanwhile.
        *product = Product {
            is_introduced: product.is_introduced,
            is_new,
            left: product.left,
            ..Product::default()
        };
        if is_new {
            self.waiting.add(place);
        }
        self.health.note_symbols(self.instruments.num_followed());
        Some(place)
    }

    /// Follows a symbol no more. Returns its place, if it was followed.
    pub fn leave(&self, symbol: SymbolId) -> Option<usize> {
        let place = self.instruments.leave(symbol)?;
        // What waits for the symbol's past goes with it.
        self.waiting.let_go(place);
        self.standing.note_left_out(symbol, false);
        self.health.forget(&self.instruments.venue_symbol(place));
        self.health.note_symbols(self.instruments.num_followed());
        Some(place)
    }

    /// Makes room for one more connection. Returns its number.
    pub fn add_connection(&self) -> usize {
        self.health.add_connection();
        self.offsets.borrow_mut().push(None);
        self.suspects.borrow_mut().push(Nanos::MAX);
        let mut clocks = self.clocks.borrow_mut();
        // The others do not wait for it: it brings symbols that are new.
        clocks.push(Nanos::MAX);
        clocks.len() - 1
    }

    /// Moves the clock of a connection on, and puts a mark into the batch where one is due. The source's clock is that of
    /// the connection that is behind: one that is down holds it, until its gap is known.
    pub fn mark(&self, batch: &mut Batch, connection: usize, time: Nanos) {
        let mut clocks = self.clocks.borrow_mut();
        let clock = &mut clocks[connection];
        *clock = if *clock == Nanos::MAX { time } else { time.max(*clock) };
        let now = clocks.iter().copied().min().unwrap_or(Nanos::MIN);
        if now != Nanos::MAX {
            batch.clock = batch.clock.max(Some(now));
        }
        if now != Nanos::MIN
            && now != Nanos::MAX
            && (self.marked.get() == Nanos::MIN || now.since(self.marked.get()) >= MARK_INTERVAL)
        {
            self.marked.set(now);
            let body = Body::ClockMark { source: self.source, time: now };
            batch.entries.push(Entry { pos: 0, symbol: SymbolId::NONE, body });
        }
    }

    /// Notes how a connection is.
    pub fn note(&self, connection: usize, condition: Condition) {
        let down = match &condition {
            Condition::Down(reason) | Condition::Refused(reason) => Some(reason.clone()),
            Condition::Well => None,
        };
        let is_left_out = matches!(condition, Condition::Refused(_));
        let is_news = self.health.note(connection, condition);
        if let Some(reason) = down.filter(|_| !is_left_out || self.health.is_refused()) {
            if is_left_out {
                self.standing.note_refusal(Then::Stop);
            }
            self.standing.note_down(&reason);
        }
        // A connection that is well says so again and again, also while others are not.
        if is_news && !self.health.is_in_trouble() {
            self.standing.note_up();
        }
        self.show();
    }

    /// Shows what has changed of how the feed is.
    pub fn show(&self) {
        let left_alone = self.rest.left_alone();
        self.health.note_left_alone(left_alone.as_ref().map(|(until, _)| *until), || {
            let Some((until, reason)) = &left_alone else { return String::new() };
            let pause = until.saturating_duration_since(Instant::now()).as_secs().cast_signed();
            let until = Nanos(((self.env.now)().0 / SECOND + pause) * SECOND);
            format!("not asked over REST before {}: {reason}", until.to_rfc3339())
        });
        self.health.show();
    }

    /// Notes that the venue refuses what it was asked for, and will not be asked again before something is done.
    pub fn note_refusal(&self, then: Then) {
        self.standing.note_refusal(then);
    }

    /// Goes on without the symbols of a connection that the venue refuses for good.
    pub fn leave_out_all(&self, places: &[usize], reason: &str) {
        for &place in places {
            self.leave_out(place, Some(reason.to_owned()));
        }
    }

    /// Tries again what was left out.
    pub fn bring_back(&self, places: &[usize]) {
        for &place in places {
            self.leave_out(place, None);
        }
    }

    /// Notes where the earliest hole of a connection begins that may be no more than reordered trades.
    pub fn note_suspect(&self, connection: usize, from: Nanos) {
        let mut suspects = self.suspects.borrow_mut();
        suspects[connection] = from;
        self.standing.note_suspect(suspects.iter().copied().min().unwrap_or(Nanos::MAX));
    }

    /// Notes that the venue refuses a symbol, and why; `None`: that it has it after all.
    pub fn leave_out(&self, place: usize, reason: Option<String>) {
        self.standing.note_left_out(self.instruments.symbol(place), reason.is_some());
        self.health.leave_out(&self.instruments.venue_symbol(place), reason);
    }

    /// Takes a connection out of the source's clock that brings nothing any more: the others must not wait for it.
    pub fn stop_clock(&self, connection: usize) {
        self.clocks.borrow_mut()[connection] = Nanos::MAX;
    }

    /// Returns how many connections there are.
    pub fn num_connections(&self) -> usize {
        self.clocks.borrow().len()
    }

    /// Notes how far our clock is from the venue's as a connection shows it, and says when it is wrong. A connection that
    /// is slow shows more than that, so the one that shows least is believed.
    pub fn note_offset(&self, connection: usize, known: Option<i64>) {
        let mut offsets = self.offsets.borrow_mut();
        offsets[connection] = known;
        let Some(known) = offsets.iter().flatten().copied().min_by_key(|known| known.saturating_abs()) else {
            return;
        };
        let wrong = Some(known).filter(|known| offset::is_wrong(*known));
        self.metrics.clock_offset.set(known as f64 / SECOND as f64);
        self.health.note_clock(wrong);
        if let Some(ahead) = wrong
            && self.said_clock.borrow_mut().take().is_some()
        {
            let (venue, clock) = (self.venue.name(), how_wrong(ahead));
            tracing::warn!(venue, clock, "the clock of this machine and the venue's are apart");
        }
    }

    /// Returns what the venue said without keys, for people.
    pub fn hide(&self, said: &str) -> String {
        self.redaction.apply(said).into_owned()
    }

    /// Counts a fault, keeps the frame as a dead letter, and says it now and then. Keys that the venue repeats are left out.
    pub fn fault(&self, batch: &mut Batch, fault: FrameFault, frame: &str, received: Nanos) {
        self.metrics.fault(fault.kind);
        batch.letters.extend(self.letters.borrow_mut().set_aside(fault, frame, received));
    }
}
