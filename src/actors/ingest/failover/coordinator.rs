//! Does what the charge of a feed decides: opens and closes the shells of venues, and tells the log who is in charge.
//!
//! Promises: decisions are carried out within a tenth of a second; the log hears of a hand-over before the venue that was in
//! charge is closed. On failure: a log that takes nothing holds it up like everything else; a log that is gone ends the feed.

mod follow;
mod hand_over;

use super::breaker::Breaker;
use super::charge::Charge;
use super::decision::{Action, Why};
use super::divergence::{Divergence, Who};
use super::health::{FeedHealth, VenueHealth};
use super::member::Seen;
use super::moment::{complete_until, next_whole, opened_from};
use super::plan::{FeedChange, FeedPlan, VenuePlan, pasts};
use super::running::{Compared, Running};
use crate::actors::environment::Environment;
use crate::actors::health::{Health, HealthRegistry};
use crate::actors::ingest::client::{LogClient, LogGone};
use crate::actors::ingest::handle::{FeedHandle, StopSignal, StopSwitch};
use crate::actors::ingest::shell::{self, Changes, Pasts, Standing, Surroundings, Tap};
use crate::actors::messages::Ingest;
use crate::actors::partition::log::LogActor;
use crate::metrics::FeedVenueMetrics;
use crate::models::entry::Entry;
use crate::models::feed::AgeLimits;
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use actix::Addr;
use futures_util::future::join_all;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// How often the venues are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Starts a feed on a thread of its own.
#[must_use]
pub fn start(
    plan: FeedPlan,
    log: Addr<LogActor>,
    env: Environment,
    health: Arc<HealthRegistry>,
) -> FeedHandle {
    FeedHandle::spawn(move |stop| async move {
        let mut feed = Coordinator::new(plan, log, env, health);
        // Either way it has ended: the log is gone, or it was told to stop.
        feed.run(&stop).await.ok();
        feed.close().await;
    })
}

/// What is kept of a venue, whether it runs or not.
struct Member {
    plan: VenuePlan,
    running: Option<Running>,
    /// It alone has some symbol, of which nothing has been told since then.
    owes_since: Option<Nanos>,
    /// Symbols of the feed that it does not have.
    lacks: Vec<String>,
    /// Why it was left last.
    left: String,
    metrics: FeedVenueMetrics,
}

impl Member {
    fn seen(&self) -> Option<Seen> {
        let num_instruments = self.plan.instruments.all().len();
        self.running.as_ref().map(|running| running.seen(num_instruments))
    }
}

/// The last change of the charge.
struct LastHandOver {
    /// Up to when the venue that was left had told everything.
    complete: Nanos,
    /// From when on the next one is in charge.
    at: Nanos,
    /// Who was in charge of the symbols before that changed hands.
    before: BTreeMap<SymbolId, usize>,
}

struct Coordinator {
    name: String,
    members: Vec<Member>,
    compared_plans: Vec<VenuePlan>,
    compared: Vec<Compared>,
    /// Shared by the venues that may take charge.
    pasts: Pasts,
    charge: Charge,
    /// The place of the venue in charge, as the log knows it; the taps read it.
    charged: Rc<Cell<usize>>,
    charged_from: Nanos,
    /// Who is in charge of each symbol: the venue in charge of the feed, but for what that one does not bring.
    owners: BTreeMap<SymbolId, usize>,
    /// The symbols that wait for another venue, by its place.
    waiting: BTreeMap<usize, Vec<String>>,
    /// The last change of the charge.
    last_hand_over: Option<LastHandOver>,
    opening: Vec<Entry>,
    down_since: Option<Nanos>,
    rate_max: Option<u32>,
    changes: mpsc::Receiver<FeedChange>,
    stale_after: Duration,
    dead_after: Duration,
    log: Addr<LogActor>,
    client: LogClient,
    env: Environment,
    health: Arc<HealthRegistry>,
    shown: Option<(Health, String)>,
    /// The newest time that a venue in charge vouched for; the start where none has yet.
    clock: Nanos,
    begun: Instant,
    /// Shells that are about to end.
    ending: Vec<JoinHandle<()>>,
}

impl Coordinator {
    fn new(
        plan: FeedPlan,
        log: Addr<LogActor>,
        env: Environment,
        health: Arc<HealthRegistry>,
    ) -> Coordinator {
        let FeedPlan {
            name,
            venues,
            compared,
            rules,
            dead_after,
            opening,
            charged_from,
            down_since,
            rate_max,
            changes,
        } = plan;
        let lacks = |plan: &VenuePlan| match venues.first() {
            Some(first) => {
                let lacking = first.symbols().difference(&plan.symbols()).copied().collect::<Vec<_>>();
                lacking.into_iter().map(|symbol| first.spelled(symbol)).collect()
            }
            None => Vec::new(),
        };
        let lacks: Vec<Vec<String>> = venues.iter().map(lacks).collect();
        let nanos = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        let limits = AgeLimits { stale: nanos(rules.stale_after), dead: nanos(dead_after) };
        venues.iter().for_each(|plan| env.published.clocks.set_limits(plan.source, limits));
        let pasts = pasts(&venues, &env, down_since);
        let pauses: Vec<Duration> = venues.iter().map(|plan| plan.config.breaker_open).collect();
        let member = |(plan, lacks): (VenuePlan, Vec<String>)| Member {
            lacks,
            metrics: env.metrics.feed(&name, plan.venue.name()),
            plan,
            running: None,
            owes_since: None,
            left: String::new(),
        };
        let symbols = venues.first().map(VenuePlan::symbols).unwrap_or_default();
        Coordinator {
            owners: symbols.into_iter().map(|symbol| (symbol, 0)).collect(),
            members: venues.into_iter().zip(lacks).map(member).collect(),
            compared_plans: compared,
            compared: Vec::new(),
            pasts,
            charge: Charge::new(rules, &pauses),
            charged: Rc::default(),
            charged_from: next_whole(charged_from),
            opening,
            down_since,
            rate_max,
            changes,
            stale_after: rules.stale_after,
            dead_after,
            client: LogClient::new(log.clone(), Arc::clone(&env.metrics)),
            log,
            clock: (env.now)(),
            env,
            health,
            shown: None,
            waiting: BTreeMap::new(),
            last_hand_over: None,
            begun: Instant::now(),
            ending: Vec::new(),
            name,
        }
    }

    async fn run(&mut self, stop: &StopSignal) -> Result<(), LogGone> {
        let opening = std::mem::take(&mut self.opening);
        self.tell(opening, stop).await?;
        for plan in std::mem::take(&mut self.compared_plans) {
            self.compare(&plan);
        }
        let actions = self.charge.begin(self.begun.elapsed());
        self.act(actions, stop).await?;
        let mut look = interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.told() => return Ok(()),
                Some(change) = self.changes.recv() => {
                    self.change(change, stop).await?;
                    continue;
                }
                _ = look.tick() => {}
            }
            let seen: Vec<Option<Seen>> = self.members.iter().map(Member::seen).collect();
            let actions = self.charge.look(self.begun.elapsed(), &seen);
            self.act(actions, stop).await?;
            self.give_back(stop).await?;
            self.diverge();
            self.show();
            self.ending.retain(|task| !task.is_finished());
        }
    }

    async fn act(&mut self, actions: Vec<Action>, stop: &StopSignal) -> Result<(), LogGone> {
        for action in actions {
            match action {
                Action::Start(at) => self.start_venue(at),
                Action::Stop(at) => self.stop_venue(at),
                Action::HandOver { to, why } => self.hand_over(to, why, stop).await?,
            }
        }
        Ok(())
    }

    fn lateness(&self) -> i64 {
        self.env.settings.lateness
    }

    /// Opens a venue, from the moment on up to which the one in charge has told everything.
    fn start_venue(&mut self, at: usize) {
        let lateness = self.lateness();
        let charged = self.members[self.charged.get()].running.as_ref();
        let member = &self.members[at];
        // Whatever it will be opened for: of two moments the earlier one leaves nothing out.
        let complete = charged
            .map(|charged| complete_until(&charged.told(), Why::Silent, member.plan.has_past(), lateness));
        let since = opened_from(complete, self.charged_from, member.owes_since);
        let down_since = match since {
            // Nobody has told anything yet.
            None => self.down_since,
            Some(since) if since <= Nanos(0) => None,
            // The shell itself allows for lateness.
            Some(since) => Some(since.plus(lateness)),
        };
        let since = down_since.map_or(Nanos(0), |since| since.plus(-lateness));
        let taps: Vec<Rc<RefCell<Divergence>>> =
            self.compared.iter().map(|compared| Rc::clone(&compared.divergence)).collect();
        let charged = Rc::clone(&self.charged);
        let tap = (!taps.is_empty()).then(|| -> Tap {
            Rc::new(move |entry| {
                if charged.get() == at {
                    taps.iter().for_each(|tap| tap.borrow_mut().observe(Who::Charged, entry));
                }
            })
        });
        let settings = member.plan.settings(down_since, self.rate_max);
        let tls = member.plan.tls.clone();
        let running = self.spawn(settings, tls, since, tap, true);
        let name = self.members[at].plan.venue.name();
        tracing::debug!(feed = self.name, venue = name, "the venue is opened");
        self.members[at].running = Some(running);
    }

    fn spawn(
        &self,
        settings: shell::FeedSettings,
        tls: shell::Tls,
        since: Nanos,
        tap: Option<Tap>,
        is_logged: bool,
    ) -> Running {
        let (standing, board) = (Rc::<Standing>::default(), Arc::<HealthRegistry>::default());
        let (changes, (switch, stop)) = (Rc::<Changes>::default(), StopSwitch::new());
        let surroundings = Surroundings {
            log: self.log.clone(),
            env: self.env.clone(),
            health: Arc::clone(&board),
            standing: Rc::clone(&standing),
            changes: Rc::clone(&changes),
            stop,
            tap,
            is_logged,
            pasts: if is_logged { self.pasts.clone() } else { Pasts::default() },
        };
        let task = actix::spawn(shell::run(settings, tls, surroundings));
        Running { standing, board, changes, stop: switch, task, since }
    }

    fn stop_venue(&mut self, at: usize) {
        let lateness = self.lateness();
        let member = &mut self.members[at];
        let Some(running) = member.running.take() else { return };
        if member.owes_since.is_some() {
            member.owes_since = Some(complete_until(&running.told(), Why::Silent, true, lateness));
        }
        running.stop.stop();
        self.ending.push(running.task);
    }

    /// Hands entries to the log, unless the feed is to stop first: then the next start says anew who is in charge. Those of
    /// a new symbol the log hears with its past.
    async fn tell(&mut self, mut entries: Vec<Entry>, stop: &StopSignal) -> Result<(), LogGone> {
        entries.retain(|entry| !self.pasts.newcomers.keep(entry));
        if entries.is_empty() {
            return Ok(());
        }
        let received = (self.env.now)();
        let ingest = Ingest { entries, dead_letters: Vec::new(), progress: None, received };
        tokio::select! {
            sent = self.client.send(ingest) => sent,
            () = stop.told() => Ok(()),
        }
    }

    /// Opens a venue beside the others whose reports enter nothing.
    fn compare(&mut self, plan: &VenuePlan) {
        let now = (self.env.now)();
        let divergence = Rc::new(RefCell::new(Divergence::new(self.env.settings.base())));
        divergence.borrow_mut().begin(now);
        let own = Rc::clone(&divergence);
        let tap: Tap = Rc::new(move |entry| own.borrow_mut().observe(Who::Compared, entry));
        // What was before nobody compares, so nothing of it is fetched.
        let settings = plan.settings(Some(now.plus(self.lateness())), self.rate_max);
        let running = self.spawn(settings, plan.tls.clone(), now, Some(tap), false);
        let name = plan.venue.name();
        let metrics = self.env.metrics.divergence(&self.name, name);
        self.compared.push(Compared { running, name, divergence, metrics });
    }

    /// Measures the divergence of the venues that are compared.
    fn diverge(&self) {
        let lateness = self.lateness();
        let Some(charged) = &self.members[self.charged.get()].running else { return };
        for compared in &self.compared {
            let until = charged.clock().min(compared.running.clock()).plus(-lateness);
            let mut divergence = compared.divergence.borrow_mut();
            divergence.close(until);
            compared.metrics.price_bps.set(divergence.price_bps().unwrap_or_default());
            compared.metrics.volume_ratio.set(divergence.volume_share().unwrap_or_default());
        }
    }

    /// Shows how the feed is.
    fn show(&mut self) {
        let (charged, elapsed) = (self.charge.charged(), self.begun.elapsed());
        if let Some(running) = &self.members[charged].running {
            self.clock = self.clock.max(running.clock());
        }
        let venues: Vec<VenueHealth<'_>> = self
            .members
            .iter()
            .enumerate()
            .map(|(at, member)| {
                let breaker = self.charge.breaker(at);
                member.metrics.breaker.set(breaker.level());
                member.metrics.in_charge.set(i64::from(at == charged));
                VenueHealth {
                    name: member.plan.venue.name(),
                    said: member.running.as_ref().and_then(Running::said),
                    breaker,
                    pause: match breaker {
                        Breaker::Open { until } => until.saturating_sub(elapsed),
                        _ => Duration::ZERO,
                    },
                    left: &member.left,
                    lacks: &member.lacks,
                }
            })
            .collect();
        let compared: Vec<String> = self.compared.iter().map(Compared::in_words).collect();
        let feed = FeedHealth {
            venues: &venues,
            charged,
            compared: &compared,
            waiting: &self.waiting,
            clock: self.clock,
            stale_after: self.stale_after,
            dead_after: self.dead_after,
        };
        let mut found = feed.at((self.env.now)());
        if self.members.iter().all(|member| member.plan.instruments.all().is_empty()) {
            found = (Health::Healthy, "no symbol is followed".to_owned());
        }
        if self.shown.as_ref() != Some(&found) {
            self.health.set(&format!("feed_{}", self.name), found.0, found.1.clone());
            self.shown = Some(found);
        }
    }

    /// Closes all venues, and waits until what they have received is handed in.
    async fn close(&mut self) {
        for at in 0..self.members.len() {
            self.stop_venue(at);
        }
        for compared in self.compared.drain(..) {
            compared.running.stop.stop();
            self.ending.push(compared.running.task);
        }
        join_all(self.ending.drain(..)).await;
    }
}
