//! Says in the log what is looked for: at the start what the configuration says, then what the API asks for.
//!
//! A log begins with what is looked for, and says it again whenever that changes, so a replay of it judges as the run did.
//! What the API changed is kept there and nowhere else: a start reads what was said last, with the configuration on which it
//! was made. Where that is the configuration's still, the change goes on; what the configuration has changed since, holds.
//!
//! Promises: one change after the other, each made on what the one before left; it is answered when the log holds it and
//! the data path has it. On failure: nothing has changed, but where the answer says that the log takes long.

use super::handle::{Request, Requests};
use super::merge::{merged, on_new_config};
use crate::actors::environment::Environment;
use crate::actors::ingest::client::LogClient;
use crate::actors::looked_for::StatedAt;
use crate::actors::messages::Ingest;
use crate::actors::partition::durability::Durability;
use crate::config::Config;
use crate::models::detection::document::Document;
use crate::models::detection::settings::DetectionSettings;
use crate::models::detection::statement::{self, StatedBy, Statement};
use crate::models::entry::{Body, Entry, Position};
use crate::models::rules::{Origin, Rule};
use crate::models::symbol::SymbolId;
use crate::models::time::Nanos;
use crate::node::Node;
use crate::web::detection_control::{DetectionChange, DetectionError};
use std::sync::Arc;
use std::time::Duration;

/// Changes that one run makes: the process keeps the text of each, of a few kilobytes mostly.
const CHANGES_MAX: usize = 2_000;

/// How long the data path and the disk may take with a change. A disk that is full takes longer.
const DONE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often it is looked whether the log holds a change.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// The service.
pub struct DetectionService {
    env: Environment,
    client: LogClient,
    durability: Arc<Durability>,
    config: DetectionSettings,
    num_changes: usize,
}

impl DetectionService {
    /// Makes the service of a run.
    #[must_use]
    pub fn new(config: &Config, node: &Node, client: LogClient) -> DetectionService {
        DetectionService {
            env: node.env.clone(),
            client,
            durability: Arc::clone(&node.durability),
            config: config.detection.all_settings(config.alerts.rule_set()),
            num_changes: 0,
        }
    }

    /// Says what is looked for, before anything is received.
    ///
    /// # Errors
    /// When it is longer than an entry may be, or the process is stopping.
    pub async fn begin(&mut self) -> anyhow::Result<()> {
        let known = self.env.published.looked_for.now();
        let last = known.map(|known| statement::read(known.document)).and_then(|read| {
            // What this process cannot read it has said already.
            read.ok()
        });
        let widths = &self.env.settings.widths;
        match beginning(last.as_deref(), &self.config, |settings, before| {
            on_new_config(settings, before, &self.config, widths)
        }) {
            None => {
                if last.is_some_and(|last| last.by == StatedBy::Api) {
                    tracing::info!(
                        log_pos = known.map(|known| known.pos),
                        "what is looked for was changed over the API and goes on; `GET /api/v1/detection` shows it"
                    );
                }
            }
            Some(statement) => {
                if last.is_some_and(|last| last.by == StatedBy::Api) {
                    let by = statement.by.as_str();
                    tracing::warn!(
                        by,
                        "the configuration of what is looked for has changed: its new words hold, and what the API changed \
                         besides goes on; `GET /api/v1/detection` shows both"
                    );
                }
                // Who asks from now on, or changes it, meets this one, not what the log said before.
                self.say(statement.document()?).await?;
            }
        }
        Ok(())
    }

    /// Makes the changes that are asked for, until nobody can ask any more.
    pub async fn serve(mut self, mut requests: Requests) {
        while let Some(Request { change, reply }) = requests.recv().await {
            let answer = self.change(change).await;
            // Who asked may have gone: what was done holds all the same.
            _ = reply.send(answer);
        }
    }

    async fn change(&mut self, change: DetectionChange) -> Result<StatedAt, DetectionError> {
        let unavailable = |reason: &str| DetectionError::Unavailable(reason.to_owned());
        let known = self.env.published.looked_for.now();
        let last = known.and_then(|known| Some((known, statement::read(known.document).ok()?)));
        let Some((known, last)) = last else {
            return Err(unavailable("it is not known what is looked for; the server's log says why"));
        };
        let settings = self.changed(&last.settings, change)?;
        if settings == last.settings {
            return Ok(known);
        }
        if self.num_changes >= CHANGES_MAX {
            return Err(unavailable(
                "there were too many changes since the start; the next start takes more",
            ));
        }
        let statement = Statement::changed(settings, &self.config);
        let document = statement
            .document()
            .map_err(|error| DetectionError::Field { field: "body".to_owned(), detail: error.to_string() })?;
        self.num_changes += 1;
        let done = async {
            let stated = self.say(document).await.map_err(|_| unavailable("the server is stopping"))?;
            self.wait_until_durable(stated.pos).await;
            Ok(stated)
        };
        match tokio::time::timeout(DONE_TIMEOUT, done).await {
            Ok(stated) => stated.inspect(|stated| {
                tracing::info!(log_pos = stated.pos, "what is looked for was changed, as the API was asked");
            }),
            Err(_) => Err(unavailable(
                "the change was handed to the log, which takes long: its disk may be full; `GET /api/v1/detection` shows \
                 when it holds",
            )),
        }
    }

    /// Returns what is looked for after a change.
    fn changed(
        &self,
        settings: &DetectionSettings,
        change: DetectionChange,
    ) -> Result<DetectionSettings, DetectionError> {
        let widths = &self.env.settings.widths;
        let with_rules = |rules: Vec<Rule>| DetectionSettings { rules: rules.into(), ..settings.clone() };
        match change {
            DetectionChange::Merge(change) => merged(settings, &self.config, &change, widths),
            DetectionChange::Reset => {
                Ok(DetectionSettings { rules: settings.rules.clone(), ..self.config.clone() })
            }
            DetectionChange::AddRule(rule) => {
                if settings.rules.iter().any(|known| known.name == rule.name) {
                    return Err(DetectionError::RuleExists(rule.name));
                }
                let mut rules = settings.rules.to_vec();
                rules.push(Rule { origin: Origin::Api, ..rule });
                let added = with_rules(rules);
                let usual = widths[added.track(widths)];
                match added.rules.faults(widths, usual).pop() {
                    Some((_, fault)) => {
                        let detail = format!("`{}`: {}", fault.key, fault.reason);
                        Err(DetectionError::Field { field: fault.key.to_owned(), detail })
                    }
                    None => Ok(added),
                }
            }
            DetectionChange::RemoveRule(name) => match settings.rules.iter().find(|rule| rule.name == name) {
                None => Err(DetectionError::UnknownRule(name)),
                Some(rule) if rule.origin == Origin::Config => Err(DetectionError::RuleOfConfig(name)),
                Some(_) => {
                    Ok(with_rules(settings.rules.iter().filter(|rule| rule.name != name).cloned().collect()))
                }
            },
        }
    }

    /// Hands a statement's text to the log, and waits until the data path has it.
    async fn say(&mut self, document: Document) -> anyhow::Result<StatedAt> {
        let before = self.env.published.looked_for.now().map_or(0, |known| known.pos);
        let body = Body::Detection { at: (self.env.now)(), document };
        let entry = Entry { pos: 0, symbol: SymbolId::NONE, body };
        let (entries, dead_letters) = (vec![entry], Vec::new());
        // It is no event of a market, whose delay would be measured.
        self.client.send(Ingest { entries, dead_letters, progress: None, received: Nanos::MIN }).await?;
        self.client.settle().await?;
        Ok(self.env.published.looked_for.stated_after(before, document).await)
    }

    async fn wait_until_durable(&self, pos: Position) {
        while self.durability.through() < pos {
            self.durability.request_flush();
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}

/// Returns what a start says, given what the log said last; `None` where that goes on.
fn beginning(
    last: Option<&Statement>,
    config: &DetectionSettings,
    both: impl FnOnce(&DetectionSettings, &DetectionSettings) -> DetectionSettings,
) -> Option<Statement> {
    match last {
        None => Some(Statement::of_config(config)),
        Some(last) if last.config() == config => None,
        Some(last) if last.by == StatedBy::Config => Some(Statement::of_config(config)),
        Some(last) => Some(Statement::changed(both(&last.settings, last.config()), config)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::partition::log::{Attach, Delivery, LogActor, LogOutputs};
    use crate::stores::log::Partition;
    use actix::Actor;
    use futures_util::FutureExt;
    use std::pin::pin;
    use tokio::sync::mpsc;

    /// Brings a log a reader, and returns what the log gave last.
    async fn attach(log: &actix::Addr<LogActor>) -> (Position, mpsc::Receiver<Delivery>) {
        let (to, from) = mpsc::channel(1);
        (log.send(Attach { partition: Partition(0), to }).await.expect("the log runs"), from)
    }

    #[actix::test]
    async fn a_start_goes_on_once_the_data_path_has_what_it_says() {
        let env = Environment::for_test();
        let outputs = LogOutputs { writer: None, letters: None };
        let log = LogActor::new(Arc::default(), None, 1, outputs, env.clone()).start();
        let (_, mut entries) = attach(&log).await;
        let mut service = DetectionService {
            client: LogClient::new(log.clone(), Arc::clone(&env.metrics)),
            durability: Arc::default(),
            config: DetectionSettings::default(),
            num_changes: 0,
            env: env.clone(),
        };
        let mut begun = pin!(service.begin());
        let delivery = tokio::select! {
            biased;
            _ = &mut begun => None,
            delivery = entries.recv() => delivery,
        };
        let Some(Delivery::Batch(batch)) = delivery else { panic!("no batch before the start goes on") };
        assert_eq!(attach(&log).await.0, 1, "the log has answered");
        assert!(begun.as_mut().now_or_never().is_none(), "the data path does not have it yet");
        env.note_looked_for(&batch.entries[0]);
        begun.await.expect("it has it");
        assert_eq!(env.published.looked_for.now().map(|stated| stated.pos), Some(1));
    }

    #[test]
    fn a_start_says_what_the_log_does_not_know() {
        let config = DetectionSettings::default();
        let other = |percent| {
            let mut settings = DetectionSettings::default();
            settings.thresholds.price.percent = percent;
            settings
        };
        let begin = |last: Option<&Statement>, config: &DetectionSettings| {
            beginning(last, config, |settings, _| settings.clone())
        };
        let of_config = Statement::of_config(&config);
        assert_eq!(begin(None, &config), Some(of_config.clone()));
        assert_eq!(begin(Some(&of_config), &config), None);
        let new = Statement::of_config(&other(7.0));
        assert_eq!(begin(Some(&of_config), &other(7.0)), Some(new));
        let changed = Statement::changed(other(2.0), &config);
        assert_eq!(begin(Some(&changed), &config), None);
        let both = Statement::changed(other(2.0), &other(7.0));
        assert_eq!(begin(Some(&changed), &other(7.0)), Some(both));
        assert_eq!(begin(Some(&changed), &other(2.0)), Some(Statement::of_config(&other(2.0))));
    }
}
