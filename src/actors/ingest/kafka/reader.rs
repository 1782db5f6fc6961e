//! Reads a topic on a thread of its own, from where the log left it.
//!
//! Promises: what goes to the feed is in the order of event times, with marks of the topic's clock behind it and with the
//! positions that it reaches, so that both are committed together. The feed's queue is short, and nothing is read while it is
//! full. On failure: brokers that are away, or a topic that is not there, are waited for; what a topic has dropped before it was
//! read is said, and is a gap; only what restarting the reader may mend ends it, with the reason.

use super::begin::{Begin, begin};
use super::ends::{EndsWatch, TIMEOUT, count_partitions, offsets};
use super::inbox::Inbox;
use super::lane::{Lane, What};
use super::merge::Merge;
use super::plan::{FromReader, Stretch, TopicPlan};
use super::positions::{PlaceIds, Positions};
use super::quiet::QuietClock;
use super::standing::StandingHealth;
use crate::actors::environment::Environment;
use crate::actors::health::{Health, HealthRegistry};
use crate::actors::ingest::file::{MessageReader, RecordedClock};
use crate::actors::ingest::registry::KAFKA;
use crate::models::entry::{Body, Entry, Gap, SourceId};
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, SECOND};
use crate::stores::history::DeadLetterRecord;
use crate::stores::kafka::client::Contact;
use crate::stores::kafka::statistics::consumed;
use anyhow::Context as _;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::statistics::Statistics;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Most messages that become one message to the log.
const BATCH_MAX: usize = 4_096;

/// The longest pause between two looks at a topic in which nothing comes. What comes wakes the reader at once.
const PAUSE: Duration = Duration::from_millis(50);

/// Pause between two tries to reach a broker or a topic that is not there.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What is older than this when it is read was not heard as it happened: live clients are shown what came of it.
const LIVE_MAX: i64 = 10 * SECOND;

/// Ends of partitions as librdkafka has told them: by partition the offset at which it found nothing more.
type EndsSeen = Arc<Mutex<BTreeMap<i32, i64>>>;

/// Reads a topic until the feed is gone.
///
/// # Errors
/// When it cannot go on without being started anew.
pub(super) fn read(
    plan: &TopicPlan,
    resume: Option<(String, Positions)>,
    env: &Environment,
    health: &Arc<HealthRegistry>,
    feed: &mpsc::Sender<FromReader>,
) -> anyhow::Result<()> {
    let seen = EndsSeen::default();
    let consumer = Arc::new(consumer(plan, env, &seen)?);
    let mut standing = StandingHealth::new(plan, health, &consumer);
    standing.say(Health::Degraded, "looking for the topic");
    let (cluster, num_partitions) = loop {
        if feed.is_closed() {
            return Ok(());
        }
        // Nothing is assigned yet: it only has librdkafka tell of its brokers.
        _ = consumer.poll(Duration::ZERO);
        match find(&consumer, &plan.topic) {
            Some(found) => break found,
            None => standing.say_not_found(),
        }
        std::thread::park_timeout(RETRY_PAUSE);
    };
    let kept = match resume {
        Some((of, positions)) if of == cluster => Some(positions),
        _ => {
            let (ask, answer) = oneshot::channel();
            let key = Positions::key(&cluster, &plan.topic);
            if feed.blocking_send(FromReader::Positions(key, ask)).is_err() {
                return Ok(());
            }
            let Ok(bytes) = answer.blocking_recv() else { return Ok(()) };
            bytes?.map(|bytes| Positions::decode(&bytes)).transpose()?
        }
    };
    let begun = begin(plan, &consumer, num_partitions, kept)?;
    let mut reader = Reader::new(plan, env, &consumer, cluster, begun, seen)?;
    reader.run(&mut standing, feed)
}

fn consumer(plan: &TopicPlan, env: &Environment, seen: &EndsSeen) -> anyhow::Result<BaseConsumer<Contact>> {
    let own = [
        ("group.id", plan.group.clone()),
        ("enable.auto.commit", "false".to_owned()),
        // Where reading begins is said always; a place that is not there must never quietly become another.
        ("auto.offset.reset", "error".to_owned()),
        ("enable.partition.eof", "true".to_owned()),
        // The end of a partition is told when a request for more comes back empty.
        ("fetch.wait.max.ms", "100".to_owned()),
        // Memory for what is read ahead, of each partition.
        ("queued.max.messages.kbytes", "2048".to_owned()),
        ("topic.metadata.refresh.interval.ms", "30000".to_owned()),
    ];
    let setup = plan.kafka.client("venue", &own);
    let (metrics, group, topic) = (Arc::clone(&env.metrics.kafka), plan.group.clone(), plan.topic.clone());
    let seen = Arc::clone(seen);
    let on_statistics = move |statistics: &Statistics| {
        consumed(&metrics, &group, statistics);
        let Some(of_topic) = statistics.topics.get(&topic) else { return };
        let known = of_topic.partitions.iter().filter(|(partition, _)| **partition >= 0);
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (&partition, told) in known {
            seen.insert(partition, told.eof_offset);
        }
    };
    let contact = Contact::new("venue", Box::new(on_statistics));
    contact.say_overridden(&setup);
    setup.config.create_with_context(contact).context("librdkafka refuses the settings of Kafka")
}

/// Returns the cluster's name and how many partitions the topic has, once both are known.
fn find(consumer: &BaseConsumer<Contact>, topic: &str) -> Option<(String, i32)> {
    let count = count_partitions(consumer, topic).ok().filter(|count| *count > 0)?;
    consumer.client().fetch_cluster_id(TIMEOUT).map(|cluster| (cluster, count))
}

/// A topic that is being read.
struct Reader<'a> {
    plan: &'a TopicPlan,
    env: &'a Environment,
    consumer: &'a Arc<BaseConsumer<Contact>>,
    merge: Merge,
    inbox: Inbox,
    watch: EndsWatch,
    seen: EndsSeen,
    generation: u32,
    /// Event time, in the order in which it is read.
    clock: RecordedClock,
    quiet: QuietClock,
    /// The last mark.
    marked: Nanos,
    /// Something before the next message was lost.
    is_lossy: bool,
    /// The log knows nothing of the topic yet.
    is_new: bool,
    /// Symbols that were met, by id.
    met: Vec<bool>,
    source: SourceId,
    batch_max: usize,
    cluster: String,
}

impl<'a> Reader<'a> {
    fn new(
        plan: &'a TopicPlan,
        env: &'a Environment,
        consumer: &'a Arc<BaseConsumer<Contact>>,
        cluster: String,
        begin: Begin,
        seen: EndsSeen,
    ) -> anyhow::Result<Reader<'a>> {
        let Begin { positions, ends, is_lossy, is_new } = begin;
        let reader = std::thread::current();
        let horizon = env.settings.horizon;
        let mut given = TopicPartitionList::new();
        let mut lanes = Vec::new();
        for (&partition, &next) in &positions.next {
            given.add_partition_offset(&plan.topic, partition, Offset::Offset(next))?;
            lanes.push(Lane::new(partition, next, ends.get(&partition).copied().unwrap_or(next), horizon));
        }
        consumer.assign(&given)?;
        let messages = MessageReader::new(
            Arc::clone(&env.symbols),
            Arc::clone(&plan.sources),
            plan.wanted.clone(),
            plan.symbols_max,
            KAFKA,
        );
        let ids = PlaceIds::new(&cluster, &plan.topic, positions.generation);
        let metrics = env.metrics.venue(KAFKA);
        let mut inbox = Inbox::new(Arc::clone(consumer), plan.topic.clone(), ids, messages, metrics);
        for lane in &lanes {
            anyhow::ensure!(
                inbox.add(lane.partition, reader.clone()),
                "librdkafka gives no queue of a partition"
            );
        }
        let num_partitions = i32::try_from(lanes.len())?;
        let watch = EndsWatch::start(Arc::clone(consumer), plan.topic.clone(), num_partitions, reader)?;
        let now = Instant::now();
        let (clock, quiet) = match positions.clock {
            Some((event, at)) => {
                let ago = u64::try_from((env.now)().since(at)).unwrap_or(0);
                let quiet = QuietClock::resumed(event, Duration::from_nanos(ago), now);
                (RecordedClock::resumed(horizon, event), quiet)
            }
            None => (RecordedClock::new(horizon), QuietClock::new(now)),
        };
        let num_behind: i64 = lanes.iter().map(|lane| (lane.end - lane.next).max(0)).sum();
        tracing::info!(topic = plan.topic, partitions = lanes.len(), num_behind, "reading the topic");
        let batch_max = plan.rate_max.map_or(BATCH_MAX, |rate| (rate as usize / 10).clamp(1, BATCH_MAX));
        Ok(Reader {
            source: plan.sources.intern(KAFKA),
            merge: Merge::new(lanes),
            marked: Nanos::MIN,
            met: Vec::new(),
            generation: positions.generation,
            plan,
            env,
            consumer,
            inbox,
            watch,
            seen,
            clock,
            quiet,
            is_lossy,
            is_new,
            batch_max,
            cluster,
        })
    }

    /// Reads until the feed is gone.
    fn run(
        &mut self,
        standing: &mut StandingHealth<'_>,
        feed: &mpsc::Sender<FromReader>,
    ) -> anyhow::Result<()> {
        loop {
            // Events that are of no partition, statistics among them.
            while let Some(event) = self.consumer.poll(Duration::ZERO) {
                if let Err(error) = event {
                    tracing::debug!(%error, "an event of librdkafka");
                }
            }
            let begun = Instant::now();
            let proof = self.take_ends()?;
            let mut stretch = self.next_stretch();
            if std::mem::take(&mut self.is_new) && stretch.is_none() {
                // What comes before the first message is read must not be missed by a start that begins with the latest.
                stretch = Some(self.empty_stretch());
            }
            let is_read = stretch.is_some();
            if let Some(asked) = proof.filter(|_| !is_read && self.is_read_to_end()) {
                stretch = self.quiet_marks(asked);
                standing.say_reading(self.merge.lanes.len(), 0, true);
            } else if proof.is_some() {
                standing.say_reading(self.merge.lanes.len(), self.merge.lag(), false);
            }
            self.go_past_lost()?;
            let num_entries = stretch.as_ref().map_or(0, |stretch| stretch.entries.len());
            if let Some(stretch) = stretch
                && feed.blocking_send(FromReader::Stretch(self.cluster.clone(), Box::new(stretch))).is_err()
            {
                return Ok(());
            }
            if feed.is_closed() {
                return Ok(());
            }
            if let Some(rate) = self.plan.rate_max.filter(|_| num_entries > 0) {
                let due = Duration::from_secs_f64(num_entries as f64 / f64::from(rate));
                std::thread::sleep(due.saturating_sub(begun.elapsed()));
            } else if !is_read {
                std::thread::park_timeout(PAUSE);
            }
        }
    }

    /// Takes in what the brokers told of the ends. Returns when they were asked.
    fn take_ends(&mut self) -> anyhow::Result<Option<Instant>> {
        let Some(told) = self.watch.take() else { return Ok(None) };
        for (&partition, &end) in &told.ends {
            match self.merge.lanes.iter_mut().find(|lane| lane.partition == partition) {
                Some(lane) => lane.end = end,
                None => self.add_partition(partition, end)?,
            }
        }
        Ok(Some(told.asked))
    }

    fn add_partition(&mut self, partition: i32, end: i64) -> anyhow::Result<()> {
        tracing::info!(topic = self.plan.topic, partition, "the topic has a new partition");
        let mut given = TopicPartitionList::new();
        given.add_partition_offset(&self.plan.topic, partition, Offset::Offset(0))?;
        self.consumer.incremental_assign(&given)?;
        anyhow::ensure!(
            self.inbox.add(partition, std::thread::current()),
            "librdkafka gives no queue of a partition"
        );
        self.merge.lanes.push(Lane::new(partition, 0, end, self.env.settings.horizon));
        Ok(())
    }

    /// True when the brokers had no message that was not taken when they were asked last.
    fn is_read_to_end(&self) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        self.merge.lanes.iter().all(|lane| {
            // What is left behind the last message may be marks of transactions.
            lane.turn().is_none()
                && (!lane.is_behind() || seen.get(&lane.partition).is_some_and(|&end| end >= lane.end))
        })
    }

    /// Goes on at the beginning of partitions whose next message was dropped.
    fn go_past_lost(&mut self) -> anyhow::Result<()> {
        while let Some(at) = self.inbox.take_lost() {
            let partition = self.merge.lanes[at].partition;
            let firsts = offsets(self.consumer, &self.plan.topic, [partition], Offset::Beginning)?;
            let first = firsts.get(&partition).copied().unwrap_or(0);
            let num_lost = first - self.merge.lanes[at].next;
            anyhow::ensure!(num_lost > 0, "the topic ends before the place up to which it was read");
            tracing::error!(
                topic = self.plan.topic,
                partition,
                num_lost,
                "the topic has dropped messages that were not read; their time is a gap"
            );
            self.consumer.seek(&self.plan.topic, partition, Offset::Offset(first), TIMEOUT)?;
            self.merge.lanes[at].restart_at(first);
            self.is_lossy = true;
        }
        Ok(())
    }

    /// Takes what is there, at most a batch of it.
    fn next_stretch(&mut self) -> Option<Stretch> {
        let (now, time, before) = (Instant::now(), (self.env.now)(), self.clock.newest());
        let inbox = &mut self.inbox;
        self.merge.begin_round(now, |at| inbox.read(at));
        let (mut entries, mut dead_letters) = (Vec::new(), Vec::new());
        let (mut num_taken, mut oldest) = (0, Nanos::MAX);
        while num_taken < self.batch_max {
            let inbox = &mut self.inbox;
            let Some((_, row)) = self.merge.next(now, |at| inbox.read(at)) else { break };
            num_taken += 1;
            oldest = oldest.min(row.received);
            match row.what {
                What::Entry(entry) => self.take_entry(entry, &mut entries),
                What::Skipped => {}
                What::Bad(letter) => {
                    self.say_bad(&letter);
                    dead_letters.push(*letter);
                }
            }
        }
        if num_taken == 0 {
            return None;
        }
        if self.clock.newest() != before {
            self.quiet.set(self.clock.newest(), now);
        }
        let is_live =
            if oldest == Nanos::MIN { !self.merge.is_behind() } else { time.since(oldest) < LIVE_MAX };
        let received = if is_live { time } else { Nanos::MIN };
        Some(Stretch {
            entries,
            dead_letters,
            positions: self.positions(self.clock.newest(), time),
            received,
        })
    }

    /// Returns a stretch that says only how far the topic is read.
    fn empty_stretch(&self) -> Stretch {
        let positions = self.positions(Nanos::MIN, Nanos::MIN);
        Stretch { entries: Vec::new(), dead_letters: Vec::new(), positions, received: Nanos::MIN }
    }

    fn say_bad(&self, letter: &DeadLetterRecord) {
        tracing::debug!(
            place = letter.origin,
            reason = letter.reason,
            "a message cannot be read and is set aside"
        );
    }

    /// Takes an entry, and what has to stand before and behind it.
    fn take_entry(&mut self, entry: Entry, entries: &mut Vec<Entry>) {
        let broadcast = |body| Entry { pos: 0, symbol: SymbolId::NONE, body };
        let time = entry.body.time();
        if std::mem::take(&mut self.is_lossy) && self.clock.newest() != Nanos::MIN {
            let gap = Gap { source: self.source, from: self.clock.newest(), to: time, filled: false };
            entries.push(broadcast(Body::Gap(gap)));
        }
        self.meet(&entry, entries);
        entries.push(entry);
        let bound = entry.body.received().filter(|at| *at != Nanos::MIN);
        let counted = bound.map_or(time, |at| time.min(at.plus(self.env.settings.future_tolerance)));
        if let Some(second) = self.clock.observe(counted) {
            self.mark(second, entries);
        }
    }

    /// Puts the topic in charge of a symbol that another feed brought before.
    fn meet(&mut self, entry: &Entry, entries: &mut Vec<Entry>) {
        let at = entry.symbol.index();
        if self.met.get(at).copied().unwrap_or(false) {
            return;
        }
        if self.met.len() <= at {
            self.met.resize(at + 1, false);
        }
        self.met[at] = true;
        let known = self.env.published.snapshots.as_ref().and_then(|snapshots| snapshots.get(entry.symbol));
        let source = entry.body.source();
        if let (Some(snapshot), Some(ended)) = (known, self.plan.ended)
            && source == self.source
            && snapshot.source != source
        {
            let body = Body::SourceInCharge { source, from: ended.plus(1) };
            entries.push(Entry { pos: 0, symbol: entry.symbol, body });
        }
    }

    /// Marks the clock of every source of the topic.
    fn mark(&mut self, time: Nanos, entries: &mut Vec<Entry>) {
        if time <= self.marked {
            return;
        }
        self.marked = time;
        let mark = |source| Entry { pos: 0, symbol: SymbolId::NONE, body: Body::ClockMark { source, time } };
        entries.extend(self.inbox.messages.sources().map(mark));
    }

    /// Marks the clock that goes on although nothing comes.
    fn quiet_marks(&mut self, asked: Instant) -> Option<Stretch> {
        let event = self.quiet.at(asked)?;
        let mut entries = Vec::new();
        self.mark(event, &mut entries);
        let time = (self.env.now)();
        let positions = self.positions(event, time);
        (!entries.is_empty()).then(|| Stretch {
            entries,
            dead_letters: Vec::new(),
            positions,
            received: time,
        })
    }

    fn positions(&self, event: Nanos, time: Nanos) -> Positions {
        let next = self.merge.lanes.iter().map(|lane| (lane.partition, lane.next)).collect();
        let clock = (event != Nanos::MIN).then_some((event, time));
        Positions { generation: self.generation, next, clock }
    }
}
