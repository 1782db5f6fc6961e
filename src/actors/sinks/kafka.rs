//! The topics that other programs read, as a sink: accepted reports, bars, indicators, anomalies and dead letters in Kafka.
//!
//! Transient failure: tried again with growing pauses; the log keeps what the topics have not got. Permanent failure: said
//! with what to do, and tried again at the longest pause.
//! Repeats: a batch may come again whole, after a failure or a restart, and then stands in the topics twice, with the same
//! `log_pos`. Readers keep the higher `log_pos` of each key: of a bar symbol, window and start, of an anomaly its
//! `id`, of a report symbol and `log_pos`.
//! Rows that are refused: a message that is larger than the topic takes; it is a dead letter in the history.
//! Up to where the topics hold everything stands in a file beside the log ([`TopicPosition`]), written after the brokers have
//! confirmed the messages.
//!
//! Every `log_pos` there has the generation of the log in its higher part (`generation`), settled before the first write.
//!
//! Topics are made or compared with the first write and after each failure. One that differs from the configuration is
//! written all the same, since nothing is lost by it; the log says it as an error, and health shows it under `kafka_topics`.

mod generation;

use super::{Delivery, Sink, SinkBatch, SinkError, SinkSpec, Wants};
use crate::actors::guard::ActorKind;
use crate::actors::health::{Health, HealthRegistry};
use crate::models::effect::{Effect, SealedBar};
use crate::models::entry::{Position, SourceId};
use crate::models::log_pos::LogPos;
use crate::models::symbol::{SymbolId, SymbolSpec};
use crate::models::time::Width;
use crate::names::{SourceTable, SymbolTable};
use crate::stores::StoreError;
use crate::stores::history::DeadLetterRecord;
use crate::stores::kafka::fault::KafkaFault;
use crate::stores::kafka::place::parse_place;
use crate::stores::kafka::position::TopicPosition;
use crate::stores::kafka::producer::{Batch, Outgoing, TopicProducer, WriteError};
use crate::stores::kafka::settings::KafkaSettings;
use crate::stores::kafka::topics::{self, Difference, TopicSettings};
use crate::stores::log::{Partition, TickLog};
use crate::wire::{
    AnomalyMessage, BarMessage, DeadLetterMessage, Digits, IndicatorsMessage, MESSAGE_VERSION, TickMessage,
    Time, append_json,
};
use async_trait::async_trait;
use generation::Newest;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the brokers are asked whether they are there when there is nothing to write.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Messages after which the thread is given back for a moment: so many take some 20 ms.
const SEND_AT_ONCE: usize = 5_000;

/// The name of what health shows of the topics' settings.
const TOPICS: &str = "kafka_topics";

/// Names of the topics.
#[derive(Clone, Debug)]
pub struct TopicNames {
    /// Accepted reports.
    pub ticks: String,
    /// Bars, by width.
    pub bars: Vec<(Width, String)>,
    /// Indicators.
    pub indicators: String,
    /// Anomalies.
    pub anomalies: String,
    /// Dead letters.
    pub dlq: String,
    /// Topics that are made and compared like the others, while nothing is written to them.
    pub reserved: Vec<String>,
}

impl TopicNames {
    /// Returns the names of topics that are written.
    #[must_use]
    pub fn written(&self) -> BTreeSet<String> {
        let others = [&self.ticks, &self.indicators, &self.anomalies, &self.dlq];
        self.bars.iter().map(|(_, name)| name).chain(others).cloned().collect()
    }

    /// Returns all names.
    #[must_use]
    pub fn all(&self) -> BTreeSet<String> {
        self.written().into_iter().chain(self.reserved.iter().cloned()).collect()
    }

    /// Returns the names of the topics that get everything once more where one of them is another one. Anomalies are few, and
    /// were the last to come: what was filled before stays as it is.
    #[must_use]
    pub fn filled_from_the_log(&self) -> BTreeSet<String> {
        self.written().into_iter().filter(|name| *name != self.anomalies).collect()
    }

    fn of_bars(&self, width: Width) -> Option<&str> {
        self.bars.iter().find(|(known, _)| *known == width).map(|(_, name)| name.as_str())
    }
}

/// What the sink is made of.
pub struct KafkaSinkParts {
    /// Writes.
    pub producer: TopicProducer,
    /// How the brokers are reached.
    pub settings: KafkaSettings,
    /// What topics are to be like.
    pub topic_settings: TopicSettings,
    /// What they are called.
    pub names: TopicNames,
    /// How far they are.
    pub position: TopicPosition,
    /// The symbols.
    pub symbols: Arc<SymbolTable>,
    /// The sources.
    pub sources: Arc<SourceTable>,
    /// The log whose results these are.
    pub log: Arc<dyn TickLog>,
    /// Whether each bar is written once, when it is sealed, and not each of its revisions.
    pub only_sealed: bool,
    /// Where topics that differ are shown.
    pub health: Arc<HealthRegistry>,
}

/// Writes to topics.
pub struct KafkaSink {
    producer: TopicProducer,
    settings: KafkaSettings,
    topic_settings: TopicSettings,
    names: TopicNames,
    /// The names of the widths, in the order of `names.bars`.
    widths: Vec<(Width, String)>,
    position: Mutex<TopicPosition>,
    symbols: Arc<SymbolTable>,
    sources: Arc<SourceTable>,
    log: Arc<dyn TickLog>,
    only_sealed: bool,
    health: Arc<HealthRegistry>,
    /// What stands above the position in each `log_pos`: the generation.
    above: AtomicU64,
    /// The generation is settled.
    is_settled: AtomicBool,
    /// Why readers may keep what another log wrote.
    rival: Mutex<Option<String>>,
    /// The topics have been looked at since the last failure.
    is_prepared: AtomicBool,
    /// How they differed the last time.
    said: Mutex<Vec<Difference>>,
}

impl KafkaSink {
    /// Makes the sink.
    #[must_use]
    pub fn new(parts: KafkaSinkParts) -> KafkaSink {
        let KafkaSinkParts { producer, settings, topic_settings, names, position, .. } = parts;
        let KafkaSinkParts { symbols, sources, log, only_sealed, health, .. } = parts;
        KafkaSink {
            producer,
            settings,
            topic_settings,
            widths: names.bars.iter().map(|(width, _)| (*width, width.to_string())).collect(),
            names,
            position: Mutex::new(position),
            symbols,
            sources,
            log,
            only_sealed,
            health,
            above: AtomicU64::new(0),
            is_settled: AtomicBool::new(false),
            rival: Mutex::default(),
            is_prepared: AtomicBool::new(false),
            said: Mutex::default(),
        }
    }

    fn position(&self) -> std::sync::MutexGuard<'_, TopicPosition> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes or compares the topics, unless that has been done since the last failure.
    async fn prepare(&self) -> Result<(), KafkaFault> {
        if self.is_prepared.load(Ordering::Acquire) {
            return Ok(());
        }
        let there = self.producer.topics().await?;
        self.settle_generation(&there).await?;
        let names: Vec<String> = self.names.all().into_iter().collect();
        let prepared = topics::prepare(&self.settings, &self.topic_settings, &names, &there).await?;
        if !prepared.made.is_empty() {
            let had_some = self.position().of(Partition::EMBEDDED) > 0;
            if had_some {
                tracing::warn!(
                    topics = prepared.made.join(" "),
                    "topics were gone and are made anew; they lack what was written before. Remove `topics.json` of the \
                     data directory before the next start to have them filled with what the log holds"
                );
            } else {
                tracing::info!(topics = prepared.made.join(" "), "topics made");
            }
        }
        self.say(prepared.differences);
        self.is_prepared.store(true, Ordering::Release);
        Ok(())
    }

    /// Says how topics differ, unless that is known.
    fn say(&self, differences: Vec<Difference>) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if *said == differences {
            return;
        }
        let mut texts: Vec<String> = differences.iter().map(ToString::to_string).collect();
        for text in &texts {
            tracing::error!("{text}: change one of the two; it is written all the same");
        }
        texts.extend(self.rival.lock().unwrap_or_else(PoisonError::into_inner).clone());
        let status = if texts.is_empty() { Health::Healthy } else { Health::Degraded };
        self.health.set(TOPICS, status, texts.join("; "));
        *said = differences;
    }

    /// Finds the generation of the log in the topics, once.
    async fn settle_generation(&self, there: &BTreeMap<String, usize>) -> Result<(), KafkaFault> {
        if self.is_settled.load(Ordering::Acquire) {
            return Ok(());
        }
        let known = self.position().generation();
        // One that is known already is only held against the newest reports.
        let looked_at =
            if known.is_some() { [self.names.ticks.clone()].into() } else { self.names.written() };
        let topics = looked_at.into_iter().filter(|topic| there.contains_key(topic)).collect();
        let newest = match Newest::read(&self.settings, topics).await {
            Err(fault) if !fault.is_transient => {
                tracing::warn!(%fault, "nobody knows whether another log wrote to these topics");
                Newest::default()
            }
            newest => newest?,
        };
        let unreadable = |error: StoreError| KafkaFault::transient(format!("cannot read the log: {error}"));
        let generation = match known {
            Some(known) => {
                let tail = self.log.tail().await.map_err(unreadable)?;
                self.tell_rival(known, tail.last, newest.highest);
                known
            }
            None => {
                let is_own = newest.is_of(self.log.as_ref(), &self.symbols).await.map_err(unreadable)?;
                let generation = next_generation(newest.highest, is_own)?;
                let begun = self.position().begin(generation);
                begun
                    .map_err(|error| KafkaFault::transient(format!("cannot note the generation: {error}")))?;
                generation
            }
        };
        let above = LogPos::new(generation, 0).expect("a generation that was stored").stored();
        self.above.store(above, Ordering::Release);
        self.is_settled.store(true, Ordering::Release);
        Ok(())
    }

    /// Says it where the topics hold what readers take for later than what this log writes.
    fn tell_rival(&self, generation: u16, last: Position, highest: Option<LogPos>) {
        let ours = LogPos::new(generation, last);
        let Some(highest) = highest.filter(|highest| Some(*highest) > ours) else { return };
        let text = format!(
            "the topics hold `log_pos` {}, which this log has not reached: another log writes to them, or an older copy of the \
             data directory was put back. Readers keep what has the higher one: give each log topics of its own \
             (`[kafka.topics]`)",
            highest.stored()
        );
        tracing::error!("{text}");
        *self.rival.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.clone());
        self.health.set(TOPICS, Health::Degraded, text);
    }

    /// Returns a position as it stands in the topics.
    fn placed(&self, pos: Position) -> Digits {
        Digits::from(self.above.load(Ordering::Acquire) | pos)
    }

    /// Hands the rows of a batch to the producer.
    async fn send(&self, rows: &SinkBatch, batch: &mut Batch<'_>) {
        let mut names = Names { sink: self, symbols: HashMap::new(), sources: HashMap::new() };
        let mut value = Vec::with_capacity(512);
        let mut row = 0;
        let effects = rows.effects.iter().flat_map(|part| part.iter());
        for effect in effects {
            match effect {
                Effect::Bar(_) if self.only_sealed => {}
                Effect::Bar(bar) | Effect::Sealed(SealedBar { bar, .. }) => {
                    if let Some(topic) = self.names.of_bars(bar.width) {
                        let spec = names.spec(bar.symbol);
                        let mut message = BarMessage::new(bar, &spec, self.window(bar.width));
                        message.log_pos = self.placed(bar.log_pos);
                        send(batch, &mut value, topic, Some(&spec.name), &message, row).await;
                    }
                }
                Effect::Indicators(point) => {
                    let spec = names.spec(point.symbol);
                    let mut message = IndicatorsMessage::new(point, &spec, self.window(point.width));
                    message.log_pos = self.placed(point.log_pos);
                    send(batch, &mut value, &self.names.indicators, Some(&spec.name), &message, row).await;
                }
                Effect::Anomaly(detected) => {
                    let spec = names.spec(detected.symbol);
                    let mut message = AnomalyMessage::from(detected.anomaly(&spec));
                    message.log_pos = self.placed(detected.log_pos);
                    send(batch, &mut value, &self.names.anomalies, Some(&spec.name), &message, row).await;
                }
                Effect::DeadLetter(letter) => {
                    let record = DeadLetterRecord::of(letter, &self.symbols, &self.sources);
                    self.send_letter(&record, batch, &mut value, row).await;
                }
            }
            row += 1;
        }
        row += rows.ticks.iter().map(|part| part.len()).sum::<usize>();
        for report in rows.reports.iter().flat_map(|part| part.iter()) {
            let spec = names.spec(report.entry.symbol);
            let provider = names.provider(report.entry.body.source());
            if let Some(mut message) = TickMessage::new(&report.entry, &spec, &provider) {
                message.log_pos = self.placed(report.entry.pos);
                send(batch, &mut value, &self.names.ticks, Some(&spec.name), &message, row).await;
            }
            row += 1;
        }
        for record in &rows.dead_letters {
            self.send_letter(record, batch, &mut value, row).await;
            row += 1;
        }
    }

    async fn send_letter(
        &self,
        record: &DeadLetterRecord,
        batch: &mut Batch<'_>,
        value: &mut Vec<u8>,
        row: usize,
    ) {
        let text = |text: &'_ String| Cow::<'_, str>::Owned(text.clone());
        let place = parse_place(&record.origin);
        let origin = place.is_none().then_some(&record.origin).filter(|origin| !origin.is_empty());
        let message = DeadLetterMessage {
            v: MESSAGE_VERSION,
            reason: text(&record.reason),
            symbol: record.symbol.as_ref().map(text),
            provider: text(&record.provider),
            received_at: Time(record.received_at),
            payload: text(&record.payload),
            topic: place.map(|(topic, _, _)| Cow::Borrowed(topic)),
            partition: place.map(|(_, partition, _)| partition),
            offset: place.map(|(_, _, offset)| offset),
            origin: origin.map(text),
            log_pos: record.pos.map(|pos| self.placed(pos)),
        };
        send(batch, value, &self.names.dlq, record.symbol.as_deref(), &message, row).await;
    }

    fn window(&self, width: Width) -> &str {
        self.widths.iter().find(|(known, _)| *known == width).map_or("", |(_, name)| name.as_str())
    }
}

/// Returns the generation of a log that begins to write to topics.
fn next_generation(highest: Option<LogPos>, is_own: bool) -> Result<u16, KafkaFault> {
    let Some(highest) = highest else { return Ok(0) };
    if is_own {
        return Ok(highest.generation());
    }
    let generation = highest.generation() + 1;
    if generation > LogPos::GENERATION_MAX {
        return Err(KafkaFault::permanent("too many logs have written to the topics: give this one others"));
    }
    tracing::warn!(
        generation,
        "the topics hold messages of another log, up to `log_pos` {}: those of this log get `log_pos` {} and above, so that \
         readers take them for the later ones. Where the two are not to be mixed give this log other topics (`[kafka.topics]`), \
         or delete these",
        highest.stored(),
        u64::from(generation) << 48
    );
    Ok(generation)
}

/// Writes a message out and hands it to the producer.
async fn send(
    batch: &mut Batch<'_>,
    value: &mut Vec<u8>,
    topic: &str,
    key: Option<&str>,
    message: &impl Serialize,
    row: usize,
) {
    value.clear();
    append_json(message, value);
    batch.send(&Outgoing { topic, key, value, row }).await;
    if row % SEND_AT_ONCE == SEND_AT_ONCE - 1 {
        tokio::task::yield_now().await;
    }
}

/// The names of a batch, each looked up once.
struct Names<'a> {
    sink: &'a KafkaSink,
    symbols: HashMap<SymbolId, Arc<SymbolSpec>>,
    sources: HashMap<SourceId, Arc<str>>,
}

impl Names<'_> {
    fn spec(&mut self, symbol: SymbolId) -> Arc<SymbolSpec> {
        Arc::clone(self.symbols.entry(symbol).or_insert_with(|| self.sink.symbols.spec(symbol)))
    }

    fn provider(&mut self, source: SourceId) -> Arc<str> {
        Arc::clone(self.sources.entry(source).or_insert_with(|| self.sink.sources.name(source).into()))
    }
}

impl From<KafkaFault> for SinkError {
    fn from(fault: KafkaFault) -> SinkError {
        let (context, cause) = (CONTEXT, fault.text);
        if fault.is_transient {
            SinkError::Transient { context, cause, pause: None }
        } else {
            SinkError::Permanent { context, cause }
        }
    }
}

/// What is being done when something fails.
const CONTEXT: &str = "failed to write to Kafka";

#[async_trait]
impl Sink for KafkaSink {
    fn spec(&self) -> SinkSpec {
        SinkSpec {
            name: "kafka",
            kind: ActorKind::Topics,
            stage: None,
            wants: Wants { ticks: false, reports: true, effects: true },
            delivery: Delivery::Durable,
            waits_for_log: true,
            hurries_log: true,
            keeps_dead_letters: false,
            repair_advice: "check `[kafka]`, and what the brokers permit; nothing is lost meanwhile, the log holds it",
            checked_every: Some(CHECK_INTERVAL),
        }
    }

    async fn acknowledged(&self, partition: Partition) -> Result<Position, SinkError> {
        Ok(self.position().of(partition))
    }

    async fn write(&self, rows: &SinkBatch) -> Result<(), SinkError> {
        let written = self.prepare().await;
        let written = match written {
            Ok(()) if rows.num_rows() == 0 => self.producer.check().await.map_err(WriteError::Brokers),
            Ok(()) => {
                let mut batch = self.producer.begin();
                self.send(rows, &mut batch).await;
                batch.finish().await
            }
            Err(fault) => Err(WriteError::Brokers(fault)),
        };
        match written {
            Ok(()) => {}
            Err(WriteError::Brokers(fault)) => {
                // A topic may be gone.
                self.is_prepared.store(false, Ordering::Release);
                return Err(fault.into());
            }
            Err(WriteError::Rows(rows, cause)) => {
                return Err(SinkError::Rows { context: CONTEXT, cause, rows });
            }
        }
        let saved = self.position().save(&rows.acknowledged);
        saved.map_err(|error| SinkError::Transient {
            context: "failed to note how far the topics are",
            cause: error.to_string(),
            pause: None,
        })
    }
}
