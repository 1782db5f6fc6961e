//! Plans and starts what feeds a run: the simulator, or feeds of live venues and of a topic.
//!
//! Promises: keys are read, and a symbol that the first venue of its feed does not have is refused, before anything is
//! opened; a venue that does not answer then holds nobody up. What was added and removed while runs went on wins over the
//! configuration, and that is said.

use super::instruments::WrongUse;
use super::live_feed::{Beginning, LiveFeed, RequestLimits, SourceNames};
use super::running::{CHANGES_MAX, FeedKind, RunningFeed, RunningFeeds};
use super::simulator::SimulatedMarket;
use super::symbols::KeptSymbols;
use super::topic_feed::TopicFeed;
use crate::actors::ingest::failover;
use crate::actors::ingest::registry::KAFKA;
use crate::actors::pipeline::Pipeline;
use crate::config::{Config, LogKind, duration_text};
use crate::models::provenance::{DataKind, Provenance};
use crate::node::Node;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What will feed the run.
pub enum Plan {
    /// The simulator, under the name of its feed.
    Simulated(String, SimulatedMarket),
    /// Feeds of live venues, and of a topic.
    Live(Vec<LiveFeed>, Option<Box<TopicFeed>>),
}

impl Plan {
    /// Finds out what the configuration asks for, and what was changed since, and asks live venues whether they have it.
    ///
    /// # Errors
    /// [`WrongUse`] for a symbol that the first venue of its feed, or every symbol that another one, does not have;
    /// otherwise when certificates or keys cannot be read.
    pub async fn make(config: &Config, kept: &KeptSymbols) -> anyhow::Result<Plan> {
        let specs = config.feed_specs();
        let names: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        kept.announce(&names);
        let (mut feeds, mut limits): (Vec<LiveFeed>, RequestLimits) = Default::default();
        let mut topic = None;
        for spec in specs {
            let changes = kept.of(&spec.name);
            if spec.is_simulated() {
                let market = SimulatedMarket::new(config, &spec, &changes);
                return Ok(Plan::Simulated(spec.name, market));
            }
            if spec.is_topic() {
                topic = Some(Box::new(TopicFeed::make(config, spec)?));
                continue;
            }
            feeds.push(LiveFeed::make(config, spec, &changes, &mut limits).await?);
        }
        give_each_one_feed(&mut feeds)?;
        Ok(Plan::Live(feeds, topic))
    }

    /// Returns what kind of data it is, and who it comes from.
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        match self {
            Plan::Simulated(..) => Provenance::simulated(),
            Plan::Live(feeds, topic) => {
                let mut names: Vec<&str> = Vec::new();
                let topic = topic.iter().map(|_| KAFKA);
                for name in feeds.iter().flat_map(LiveFeed::venue_names).chain(topic) {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                Provenance { data: DataKind::Live, provider: names.join(",") }
            }
        }
    }

    /// Logs at the start what is followed, where it is kept and with how much past it begins.
    pub fn announce(&self, config: &Config) {
        let data_dir = match config.log.kind {
            LogKind::Memory => "none, everything is kept in memory".to_owned(),
            // The path as it is given is the next best where the directory has no other name yet.
            LogKind::Sqlite => std::path::absolute(&config.data_dir)
                .unwrap_or_else(|_| config.data_dir.clone())
                .display()
                .to_string(),
        };
        match self {
            Plan::Simulated(name, market) => {
                let warm_up = match duration_text(config.provider.warm_up) {
                    span if config.provider.warm_up.is_zero() => {
                        format!("none (`provider.warm_up` is {span})")
                    }
                    span => format!("{span} of made-up trades, where a symbol is new"),
                };
                let symbols = listed(market.names());
                tracing::info!(feed = name, provider = "simulated", symbols, data_dir, warm_up, "follows");
            }
            Plan::Live(feeds, topic) => {
                if let Some(topic) = topic {
                    tracing::info!(
                        feed = topic.name(),
                        provider = KAFKA,
                        topic = topic.topic(),
                        data_dir,
                        "follows"
                    );
                }
                for feed in feeds {
                    let names: Vec<String> = feed.symbols().map(str::to_owned).collect();
                    let provider = feed.venue_names().collect::<Vec<_>>().join(",");
                    let warm_up = match feed.warm_up_bars() {
                        0 => "none".to_owned(),
                        bars => format!("up to {bars} bars of each window"),
                    };
                    let symbols = listed(&names);
                    tracing::info!(feed = feed.name(), provider, symbols, data_dir, warm_up, "follows");
                }
            }
        }
    }

    /// Starts it, each feed on a thread of its own.
    ///
    /// # Errors
    /// When the log cannot be asked where it ends, or a symbol's bars are made of something else than they have been.
    pub async fn start(
        self,
        config: &Config,
        node: &Node,
        pipeline: &Pipeline,
    ) -> anyhow::Result<RunningFeeds> {
        let ended = node.log.tail().await?.newest;
        let feeds = match self {
            Plan::Simulated(name, market) => {
                let (changes, waiting) = mpsc::channel(CHANGES_MAX);
                let handle = market.start(config, node, pipeline, ended, waiting);
                let names = market.names().iter().cloned().collect();
                vec![RunningFeed { name, names, handle, kind: FeedKind::Simulated(market, changes) }]
            }
            Plan::Live(feeds, topic) => {
                let beginning = Beginning {
                    node,
                    ended,
                    is_alone: feeds.len() == 1 && topic.is_none(),
                    rate_max: config.provider.max_messages_per_second.map(std::num::NonZeroU32::get),
                };
                let mut sources = SourceNames::default();
                let mut plans = Vec::new();
                for feed in feeds {
                    let (changes, waiting) = mpsc::channel(CHANGES_MAX);
                    plans.push((feed.plan(&beginning, &mut sources, waiting)?, feed, changes));
                }
                let start = |(plan, feed, changes): (failover::FeedPlan, LiveFeed, _)| {
                    let source = plan.venues[0].source;
                    let (log, env) = (pipeline.log().clone(), node.env.clone());
                    RunningFeed {
                        name: feed.name().to_owned(),
                        names: feed.symbols().map(str::to_owned).collect(),
                        handle: failover::start(plan, log, env, Arc::clone(&node.health)),
                        kind: FeedKind::Live(Box::new(feed), source, changes),
                    }
                };
                let topic = topic.map(|topic| topic.start(config, node, pipeline, ended));
                plans.into_iter().map(start).chain(topic).collect()
            }
        };
        Ok(RunningFeeds(feeds))
    }
}

/// Symbols that the log names at the start; of more it says how many there are.
const NUM_LISTED_MAX: usize = 20;

/// Returns symbols for people: how many, and the first of them.
fn listed(names: &[String]) -> String {
    let shown = names.iter().take(NUM_LISTED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if names.len() > NUM_LISTED_MAX { ", …" } else { "" };
    format!("{} ({shown}{more})", names.len())
}

/// Sees to it that a symbol is in one feed alone: where the configuration names it for one feed, and it was added to another,
/// the configuration's holds, since it was written in the knowledge of both.
fn give_each_one_feed(feeds: &mut [LiveFeed]) -> Result<(), WrongUse> {
    let holders: Vec<(usize, String)> = feeds
        .iter()
        .enumerate()
        .flat_map(|(at, feed)| feed.symbols().map(move |symbol| (at, symbol.to_owned())))
        .collect();
    for (at, symbol) in &holders {
        let Some((other, _)) = holders.iter().find(|(other, name)| other < at && name == symbol) else {
            continue;
        };
        let (first, second) = (feeds[*other].name().to_owned(), feeds[*at].name().to_owned());
        let added: Vec<usize> =
            [*other, *at].into_iter().filter(|&feed| !feeds[feed].is_configured(symbol)).collect();
        let [added] = added[..] else {
            return Err(WrongUse(format!("the symbol `{symbol}` is in the feeds `{first}` and `{second}`")));
        };
        let feed = feeds[added].name().to_owned();
        tracing::warn!(
            feed,
            symbol,
            "the symbol was added to this feed, and the configuration names it for another"
        );
        feeds[added].leave_out(symbol);
    }
    Ok(())
}
