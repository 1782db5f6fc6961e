//! How the reading of a topic is, for people: `feed_NAME` in health.

use super::plan::TopicPlan;
use crate::actors::health::{Health, HealthRegistry};
use crate::stores::kafka::client::Contact;
use rdkafka::consumer::{BaseConsumer, Consumer};

/// How the reading is, for people.
pub(super) struct StandingHealth<'a> {
    plan: &'a TopicPlan,
    health: &'a HealthRegistry,
    consumer: &'a BaseConsumer<Contact>,
    said: Option<(Health, String)>,
}

impl<'a> StandingHealth<'a> {
    /// Makes it.
    pub fn new(
        plan: &'a TopicPlan,
        health: &'a HealthRegistry,
        consumer: &'a BaseConsumer<Contact>,
    ) -> StandingHealth<'a> {
        StandingHealth { plan, health, consumer, said: None }
    }

    /// Says it, where it was not said last.
    pub fn say(&mut self, status: Health, detail: &str) {
        let said = (status, format!("kafka: {}: {detail}", self.plan.topic));
        if self.said.as_ref() != Some(&said) {
            self.health.set(&format!("feed_{}", self.plan.name), said.0, said.1.clone());
            self.said = Some(said);
        }
    }

    /// Says why the topic is not read yet.
    pub fn say_not_found(&mut self) {
        match self.consumer.context().fault() {
            Some(fault) => self.say(Health::Degraded, &fault.text),
            None => {
                let detail = "there is no such topic; it is waited for";
                if self.said.as_ref().is_none_or(|(_, said)| !said.ends_with(detail)) {
                    tracing::warn!(topic = self.plan.topic, "{detail}");
                }
                self.say(Health::Degraded, detail);
            }
        }
    }

    /// Says what is wrong with the brokers, where something is.
    pub fn say_fault(&mut self) {
        if let Some(fault) = self.consumer.context().fault() {
            self.say(Health::Degraded, &fault.text);
        }
    }

    /// Says how far behind the reading is, and how many messages the topic has dropped before they were read.
    pub fn say_reading(&mut self, lanes: usize, lag: u64, num_lost: u64) {
        let lost = match num_lost {
            0 => String::new(),
            _ => format!("; {num_lost} messages were dropped before they were read"),
        };
        match self.consumer.context().fault() {
            Some(fault) => self.say(Health::Degraded, &fault.text),
            None if lag == 0 => {
                self.say(Health::Healthy, &format!("{lanes} partitions, read to their end{lost}"));
            }
            // Rounded, so that it does not change with each message.
            None => {
                let shown = 10_u64.pow(lag.ilog10());
                let behind = lag / shown * shown;
                let detail = format!("{lanes} partitions, more than {behind} messages behind{lost}");
                self.say(Health::Healthy, &detail);
            }
        }
    }
}
