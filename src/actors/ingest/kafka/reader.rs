//! Reads a topic on a thread of its own, from where the log left it.
//!
//! Promises: what goes to the feed is in the order of event times, with marks of the topic's clock behind it and with the
//! positions that it reaches, so that both are committed together. The feed's queue is short, and nothing is read while it is
//! full. On failure: brokers that are away, or a topic that is not there, are waited for; what a topic has dropped before it was
//! read is said, and is a gap; a topic that is deleted is looked for again, and one that was made anew is read from its beginning; only
//! what restarting the reader may mend ends it, with the reason.

use super::begin::Begin;
use super::ends::{EndsWatch, Told, is_gone};
use super::inbox::Inbox;
use super::lane::{Lane, What};
use super::losses::Losses;
use super::merge::Merge;
use super::plan::{FromReader, Stretch, TopicPlan};
use super::positions::{PlaceIds, Positions};
use super::quiet::QuietClock;
use super::standing::StandingHealth;
use crate::actors::environment::Environment;
use crate::actors::ingest::file::{MessageReader, RecordedClock};
use crate::actors::ingest::registry::KAFKA;
use crate::models::entry::{Body, Entry, SourceId};
use crate::models::symbol::SymbolId;
use crate::models::time::{Nanos, SECOND};
use crate::stores::history::DeadLetterRecord;
use crate::stores::kafka::client::Contact;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Most messages that become one message to the log, where few symbols are known.
const BATCH_MIN: usize = 4_096;

/// Messages for each known symbol: to bring a symbol's state into the processor's caches costs as much as some of its ticks. Only
/// a backlog has so many.
const MESSAGES_PER_SYMBOL: usize = 16;

/// Most messages of all that become one message to the log: some 20 ms of work, which what other feeds bring waits for.
const BATCH_MAX: usize = 16_384;

/// The longest pause between two looks at a topic in which nothing comes. What comes wakes the reader at once.
const PAUSE: Duration = Duration::from_millis(50);

/// What is older than this when it is read was not heard as it happened: live clients are shown what came of it.
const LIVE_MAX: i64 = 10 * SECOND;

/// Ends of partitions as librdkafka has told them: by partition the offset at which it found nothing more.
pub(super) type EndsSeen = Arc<Mutex<BTreeMap<i32, i64>>>;

/// Why a reading has ended.
pub(super) enum End {
    /// Nobody wants it any more.
    OfFeed,
    /// The topic is not there, another one has its name, or what comes next of it was dropped.
    OfTopic,
}

/// A topic that is being read.
pub(super) struct Reader<'a> {
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
    /// What the topic has dropped unread.
    losses: Losses,
    /// The topic was made anew: what happened since the last message of the one before may be missing.
    is_another: bool,
    /// A partition has dropped messages, and it is not known yet until when.
    has_loss: bool,
    /// The log knows nothing of the topic yet.
    is_new: bool,
    /// Symbols that were met, by id.
    met: Vec<bool>,
    source: SourceId,
    cluster: String,
}

impl<'a> Reader<'a> {
    /// Begins to read: assigns the partitions, and has the brokers asked for their ends.
    pub fn new(
        plan: &'a TopicPlan,
        env: &'a Environment,
        consumer: &'a Arc<BaseConsumer<Contact>>,
        cluster: String,
        begin: Begin,
        seen: &EndsSeen,
    ) -> anyhow::Result<Reader<'a>> {
        let Begin { positions, ends, lost, is_another, is_new } = begin;
        let reader = std::thread::current();
        let horizon = env.settings.horizon;
        let mut given = TopicPartitionList::new();
        let mut lanes = Vec::new();
        let metrics = env.metrics.venue(KAFKA);
        let mut losses = Losses::new(plan.topic.clone(), Arc::clone(&env.metrics.kafka), metrics.clone());
        let reached = positions.clock.map_or(Nanos::MIN, |(event, _)| event);
        for (&partition, &next) in &positions.next {
            given.add_partition_offset(&plan.topic, partition, Offset::Offset(next))?;
            let end = ends.get(&partition).copied().unwrap_or(next);
            let mut lane = Lane::new(partition, next, end, horizon);
            lane.last = positions.last.get(&partition).copied().unwrap_or(Nanos::MIN);
            if let Some(&num_lost) = lost.get(&partition) {
                losses.count(partition, num_lost);
                lane.lose(reached);
            }
            lanes.push(lane);
        }
        let messages = MessageReader::new(
            Arc::clone(&env.symbols),
            Arc::clone(&plan.sources),
            plan.wanted.clone(),
            plan.symbols_max,
            KAFKA,
        );
        let ids = PlaceIds::new(&cluster, &plan.topic, positions.generation);
        let mut inbox = Inbox::new(Arc::clone(consumer), plan.topic.clone(), ids, messages, metrics);
        // What is fetched before its partition has a queue would be in the queue of events.
        for lane in &lanes {
            inbox.add(lane.partition, reader.clone())?;
        }
        consumer.assign(&given)?;
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
            seen: Arc::clone(seen),
            clock,
            quiet,
            losses,
            is_another,
            has_loss: !lost.is_empty(),
            is_new,
            cluster,
        })
    }

    /// Reads until the feed or the topic is gone.
    pub fn run(
        &mut self,
        standing: &mut StandingHealth<'_>,
        feed: &mpsc::Sender<FromReader>,
    ) -> anyhow::Result<End> {
        loop {
            // Events that are of no partition, statistics among them.
            while let Some(event) = self.consumer.poll(Duration::ZERO) {
                match event {
                    // Events are taken before messages, so nothing behind it was read yet: the next reader begins with it.
                    Ok(message) => anyhow::bail!(
                        "librdkafka gave message {} of partition {} outside of its queue",
                        message.offset(),
                        message.partition()
                    ),
                    Err(error) => {
                        self.inbox.is_gone |= is_gone(&error);
                        tracing::debug!(%error, "an event of librdkafka");
                    }
                }
            }
            let begun = Instant::now();
            let proof = self.take_ends()?;
            let mut stretch = self.next_stretch(proof);
            if std::mem::take(&mut self.is_new) && stretch.is_none() {
                // What comes before the first message is read must not be missed by a start that begins with the latest.
                stretch = Some(self.empty_stretch());
            }
            let is_read = stretch.is_some();
            if let Some(asked) = proof.filter(|_| !is_read && self.is_read_to_end()) {
                stretch = self.quiet_marks(asked);
                self.say(standing, 0);
            } else if proof.is_some() {
                self.say(standing, self.merge.lag());
            } else if !is_read {
                standing.say_fault();
            }
            let num_entries = stretch.as_ref().map_or(0, |stretch| stretch.entries.len());
            if let Some(stretch) = stretch
                && feed.blocking_send(FromReader::Stretch(self.cluster.clone(), Box::new(stretch))).is_err()
            {
                return Ok(End::OfFeed);
            }
            if feed.is_closed() {
                return Ok(End::OfFeed);
            }
            if self.inbox.is_gone {
                return Ok(End::OfTopic);
            }
            if let Some(rate) = self.plan.rate_max.filter(|_| num_entries > 0) {
                let due = Duration::from_secs_f64(num_entries as f64 / f64::from(rate));
                std::thread::sleep(due.saturating_sub(begun.elapsed()));
            } else if !is_read {
                std::thread::park_timeout(PAUSE);
            }
        }
    }

    fn say(&self, standing: &mut StandingHealth<'_>, lag: u64) {
        standing.say_reading(self.merge.lanes.len(), lag, self.losses.num_messages());
    }

    /// Takes in what the brokers told of the ends. Returns when they were asked.
    fn take_ends(&mut self) -> anyhow::Result<Option<Instant>> {
        let told = match self.watch.take() {
            None => return Ok(None),
            Some(Told::Gone) => {
                self.inbox.is_gone = true;
                return Ok(None);
            }
            Some(Told::Ends(told)) => told,
        };
        for (&partition, &end) in &told.ends {
            match self.merge.lanes.iter_mut().find(|lane| lane.partition == partition) {
                // A topic never gets shorter. What has been read may well be ahead of the answer.
                Some(lane) if end < lane.end => self.inbox.is_gone = true,
                Some(lane) => lane.end = end,
                None => self.add_partition(partition, end)?,
            }
        }
        Ok(Some(told.asked).filter(|_| !self.inbox.is_gone))
    }

    fn add_partition(&mut self, partition: i32, end: i64) -> anyhow::Result<()> {
        tracing::info!(topic = self.plan.topic, partition, "the topic has a new partition");
        let mut given = TopicPartitionList::new();
        given.add_partition_offset(&self.plan.topic, partition, Offset::Offset(0))?;
        self.inbox.add(partition, std::thread::current())?;
        self.consumer.incremental_assign(&given)?;
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

    /// Says which time is missing, as far as that is known. `now` is the time at which the brokers had nothing more, where it was
    /// asked for.
    fn say_missing(&mut self, now: Option<Nanos>, entries: &mut Vec<Entry>) {
        if std::mem::take(&mut self.has_loss) {
            for lane in &mut self.merge.lanes {
                if let Some(span) = lane.take_loss(now) {
                    self.losses.add(span, self.inbox.messages.sources(), entries);
                }
                self.has_loss |= lane.has_loss();
            }
        }
        if self.is_another {
            let first =
                self.merge.lanes.iter().filter_map(Lane::turn).filter(|turn| *turn != Nanos::MIN).min();
            if let Some(to) = first.or(now.filter(|_| !self.merge.is_behind())) {
                self.is_another = false;
                self.losses.add((self.clock.newest(), to), self.inbox.messages.sources(), entries);
            }
        }
    }

    /// Returns how many messages are taken at once at the most.
    fn batch_max(&self) -> usize {
        let of_symbols = (self.env.symbols.len() * MESSAGES_PER_SYMBOL).clamp(BATCH_MIN, BATCH_MAX);
        self.plan.rate_max.map_or(of_symbols, |rate| (rate as usize / 10).clamp(1, BATCH_MIN))
    }

    /// Takes what is there, at most a batch of it.
    fn next_stretch(&mut self, proof: Option<Instant>) -> Option<Stretch> {
        let (now, time, before) = (Instant::now(), (self.env.now)(), self.clock.newest());
        let inbox = &mut self.inbox;
        self.merge.begin_round(now, |at| inbox.read(at));
        let (mut entries, mut dead_letters) = (Vec::new(), Vec::new());
        self.say_missing(proof.and_then(|asked| self.quiet.at(asked)), &mut entries);
        let (mut num_taken, mut oldest) = (0, Nanos::MAX);
        let batch_max = self.batch_max();
        while num_taken < batch_max {
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
        if num_taken == 0 && entries.is_empty() {
            return None;
        }
        if self.clock.newest() != before {
            self.quiet.set(self.clock.newest(), now);
        }
        let is_live = match oldest {
            Nanos::MAX => false,
            Nanos::MIN => !self.merge.is_behind(),
            _ => time.since(oldest) < LIVE_MAX,
        };
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
        let time = entry.body.time();
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
        self.losses.meet(entry.body.source(), entries);
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
        let last = self.merge.lanes.iter().map(|lane| (lane.partition, lane.last)).collect();
        let clock = (event != Nanos::MIN).then_some((event, time));
        Positions { generation: self.generation, next, clock, last }
    }

    /// Returns how far the topic is read, and of which cluster.
    pub fn reached(&self) -> (String, Positions) {
        let now = Some(Instant::now()).filter(|_| self.is_read_to_end());
        let event = now.and_then(|now| self.quiet.at(now)).unwrap_or(self.clock.newest());
        (self.cluster.clone(), self.positions(event, (self.env.now)()))
    }
}
