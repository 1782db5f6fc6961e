//! The configured channels, as senders see them.
//!
//! Promises: those of [`Deliveries`]. A route without a channel that is configured is given up.

use super::deliver::{Deliver, Outcome, Round};
use crate::actors::channels::delivery::{self, Attempt, Delivered, Deliveries};
use crate::models::notification::Notification;
use async_trait::async_trait;

#[async_trait]
impl Deliver for Deliveries {
    fn names(&self) -> Vec<String> {
        Deliveries::names(self).map(str::to_owned).collect()
    }

    async fn deliver(&self, route: &[String], notification: &Notification, num_failures: u32) -> Round {
        let route: Vec<&str> = route.iter().map(String::as_str).collect();
        match Deliveries::deliver(self, &route, notification, num_failures).await {
            Ok(delivered) => round(&delivered),
            Err(unknown) => Round { outcome: Outcome::GivenUp, was_tried: false, cause: unknown.to_string() },
        }
    }
}

fn round(delivered: &Delivered) -> Round {
    let outcome = match delivered.outcome {
        delivery::Outcome::Sent(name) => Outcome::Sent(name.to_owned()),
        delivery::Outcome::Retry(pause) => Outcome::Retry(pause),
        delivery::Outcome::GivenUp => Outcome::GivenUp,
    };
    let cause = match delivered.attempts.first() {
        Some((_, Attempt::Failed(error))) => error.to_string(),
        Some((_, Attempt::LeftAlone(pause))) => format!("it is left alone for {} s", pause.as_secs()),
        Some((_, Attempt::Taken(_))) => String::new(),
        None => "no channel of the route is configured".to_owned(),
    };
    Round { outcome, was_tried: delivered.was_tried(), cause }
}
