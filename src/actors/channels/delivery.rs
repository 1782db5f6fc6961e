//! Takes a notification to the people of its route: the channel, or those that it falls back to.
//!
//! Promises: [`Deliveries::deliver`] is one round: each channel is asked once at the most, and the answer says what every one
//! said and whether to come again, so that whoever keeps the notification can write down each step and outlive a restart. The
//! decisions are in [`gate`](super::gate). A channel that panics or takes too long has failed, and harms no other. On failure:
//! nothing is lost here, since nothing is kept here: the caller still has the notification.

use super::gate::{DeliveryPolicy, Gate, Next, Pass};
use crate::models::notification::{Channel, Notification, Receipt, SendError};
use futures_util::FutureExt;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a channel gets beyond its timeout, to say itself that it took too long and how far it came.
const GRACE: Duration = Duration::from_secs(2);

/// What came of asking a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It took the notification.
    Taken(Receipt),
    /// It did not.
    Failed(SendError),
    /// It was not asked, and will not be for so long: it failed too often, or wants to be left alone.
    LeftAlone(Duration),
}

/// What is to be done with the notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: this channel took it.
    Sent(&'static str),
    /// Another round after so long.
    Retry(Duration),
    /// Nothing: no channel will take it.
    GivenUp,
}

/// A round: each step in order, and what is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The channels that were asked or passed over, and what came of it.
    pub attempts: Vec<(&'static str, Attempt)>,
    /// What is to be done with the notification.
    pub outcome: Outcome,
}

impl Delivered {
    /// True when a channel was asked: rounds in which none was do not count as failures of the notification.
    #[must_use]
    pub fn was_tried(&self) -> bool {
        self.attempts.iter().any(|(_, attempt)| !matches!(attempt, Attempt::LeftAlone(_)))
    }
}

/// The name of a channel that is not configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no channel `{name}`; there {known}")]
pub struct UnknownChannel {
    name: String,
    known: String,
}

/// The configured channels.
pub struct Deliveries {
    channels: BTreeMap<&'static str, Guarded>,
    policy: DeliveryPolicy,
    grace: Duration,
    now: Now,
}

/// Tells the time by which breakers open and close.
pub type Now = Arc<dyn Fn() -> Instant + Send + Sync>;

struct Guarded {
    channel: Arc<dyn Channel>,
    gate: Mutex<Gate>,
}

/// A try under way, which ends also where it is broken off.
struct Try<'a> {
    guarded: &'a Guarded,
    pass: Option<Pass>,
    now: &'a Now,
}

impl Guarded {
    fn gate(&self) -> MutexGuard<'_, Gate> {
        // Nothing that holds it can panic half way.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Try<'_> {
    /// Notes what came of it. Returns true when the channel is left alone from now on.
    fn end(mut self, result: &Result<Receipt, SendError>) -> bool {
        let pass = self.pass.take().expect("it ends once");
        self.guarded.gate().leave(pass, Some(result), (self.now)())
    }
}

impl Drop for Try<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.guarded.gate().leave(pass, None, (self.now)());
        }
    }
}

impl Deliveries {
    /// Puts channels under one policy. Of two of one name the later one stays.
    #[must_use]
    pub fn new(channels: Vec<Arc<dyn Channel>>, policy: DeliveryPolicy) -> Deliveries {
        let guarded = |channel: Arc<dyn Channel>| {
            (channel.name(), Guarded { channel, gate: Mutex::new(Gate::new(policy.breaker)) })
        };
        let channels = channels.into_iter().map(guarded).collect();
        Deliveries { channels, policy, grace: GRACE, now: Arc::new(Instant::now) }
    }

    /// Has the time told by another clock.
    #[must_use]
    pub fn with_now(self, now: Now) -> Deliveries {
        Deliveries { now, ..self }
    }

    /// Returns the names of the channels.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.channels.keys().copied()
    }

    /// Sends a notification by one channel, once, whatever its breaker says: for people who wait for the answer.
    ///
    /// # Errors
    /// [`UnknownChannel`], or else what the channel said.
    pub async fn send_once(
        &self,
        name: &str,
        notification: &Notification,
    ) -> Result<Result<Receipt, SendError>, UnknownChannel> {
        let guarded = self.find(name)?;
        Ok(self.ask(guarded.channel.as_ref(), notification).await)
    }

    /// Takes a notification to the first of these channels that takes it. `num_failures` counts the earlier rounds in which it
    /// was tried.
    ///
    /// # Errors
    /// [`UnknownChannel`] where none of the names is one of ours: such a route is refused when it is made.
    pub async fn deliver(
        &self,
        route: &[&str],
        notification: &Notification,
        num_failures: u32,
    ) -> Result<Delivered, UnknownChannel> {
        let route: Vec<&Guarded> = route.iter().map(|name| self.find(name)).collect::<Result<_, _>>()?;
        let mut delivered = Delivered { attempts: Vec::new(), outcome: Outcome::GivenUp };
        // The shortest pause of those who may take it later.
        let mut pause: Option<Duration> = None;
        for (at, guarded) in route.iter().enumerate() {
            let (name, has_fallback) = (guarded.channel.name(), at + 1 < route.len());
            let (attempt, next) = self.attempt(guarded, notification, num_failures + 1, has_fallback).await;
            let may_take_it_later = match &attempt {
                Attempt::Taken(_) => {
                    delivered.attempts.push((name, attempt));
                    delivered.outcome = Outcome::Sent(name);
                    return Ok(delivered);
                }
                Attempt::LeftAlone(pause) => Some(*pause),
                // What falls back has said nothing of a pause: it is asked again as the last of a route would be.
                Attempt::Failed(error) => match self.policy.after_failure(error, num_failures + 1, false) {
                    Next::Retry(pause) => Some(pause),
                    Next::FallBack | Next::GiveUp => None,
                },
            };
            delivered.attempts.push((name, attempt));
            pause = match (pause, may_take_it_later) {
                (Some(pause), Some(other)) => Some(pause.min(other)),
                (pause, other) => pause.or(other),
            };
            if !matches!(next, Next::FallBack) {
                break;
            }
        }
        delivered.outcome = pause.map_or(Outcome::GivenUp, Outcome::Retry);
        Ok(delivered)
    }

    async fn attempt(
        &self,
        guarded: &Guarded,
        notification: &Notification,
        num_failures: u32,
        has_fallback: bool,
    ) -> (Attempt, Next) {
        let entered = guarded.gate().enter((self.now)());
        let pass = match entered {
            Ok(pass) => Some(pass),
            Err(pause) => {
                return (Attempt::LeftAlone(pause), self.policy.while_left_alone(pause, has_fallback));
            }
        };
        let attempt = Try { guarded, pass, now: &self.now };
        let result = self.ask(guarded.channel.as_ref(), notification).await;
        let opens = attempt.end(&result);
        match result {
            Ok(receipt) => (Attempt::Taken(receipt), Next::GiveUp),
            Err(error) => {
                let channel = guarded.channel.name();
                tracing::warn!(channel, id = notification.id, %error, "a notification was not taken");
                if opens {
                    let open_for = self.policy.breaker.open_for;
                    tracing::warn!(
                        channel,
                        "failed several times in a row: it is left alone for {open_for:?}"
                    );
                }
                let next = self.policy.after_failure(&error, num_failures, has_fallback);
                (Attempt::Failed(error), next)
            }
        }
    }

    /// Asks a channel, and gives it up where it takes too long or panics.
    async fn ask(&self, channel: &dyn Channel, notification: &Notification) -> Result<Receipt, SendError> {
        let lost = |cause: String| SendError::Transient { cause, retry_after: None, may_have_arrived: true };
        let timeout = self.policy.timeout;
        let sending = AssertUnwindSafe(channel.send(notification)).catch_unwind();
        match tokio::time::timeout(timeout + self.grace, sending).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(lost("the channel panicked".to_owned())),
            Err(_) => Err(lost(format!("no answer within {timeout:?}"))),
        }
    }

    fn find(&self, name: &str) -> Result<&Guarded, UnknownChannel> {
        self.channels.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.names().collect();
            let known = if names.is_empty() {
                "is none: `[alerts]` configures none".to_owned()
            } else {
                format!("are `{}`", names.join("`, `"))
            };
            UnknownChannel { name: name.to_owned(), known }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::BreakerPolicy;
    use crate::retry::RetryPolicy;
    use async_trait::async_trait;
    use std::collections::VecDeque;

    /// What a scripted channel does.
    enum Act {
        Take,
        Fail(SendError),
        Hang,
        Panic,
    }

    struct Scripted {
        name: &'static str,
        acts: Mutex<VecDeque<Act>>,
    }

    #[async_trait]
    impl Channel for Scripted {
        fn name(&self) -> &'static str {
            self.name
        }

        async fn send(&self, _: &Notification) -> Result<Receipt, SendError> {
            let act = self.acts.lock().expect("not poisoned").pop_front().expect("it is asked no more often");
            match act {
                Act::Take => Ok(Receipt("ok".to_owned())),
                Act::Fail(error) => Err(error),
                Act::Hang => std::future::pending().await,
                Act::Panic => panic!("on purpose"),
            }
        }
    }

    const OPEN_FOR: Duration = Duration::from_secs(60);

    fn policy() -> DeliveryPolicy {
        DeliveryPolicy {
            timeout: Duration::from_millis(20),
            retry: RetryPolicy { delay: Duration::from_secs(1), max_delay: Duration::from_secs(300) },
            breaker: BreakerPolicy { failures: 2, open_for: OPEN_FOR },
            fallback_after: 3,
        }
    }

    /// A clock that stands still until it is moved.
    #[derive(Clone)]
    struct Clock(Arc<Mutex<Instant>>);

    impl Clock {
        fn new() -> Clock {
            Clock(Arc::new(Mutex::new(Instant::now())))
        }

        fn now(&self) -> Now {
            let now = Arc::clone(&self.0);
            Arc::new(move || *now.lock().expect("not poisoned"))
        }

        fn advance(&self, span: Duration) {
            *self.0.lock().expect("not poisoned") += span;
        }
    }

    fn deliveries(clock: &Clock, channels: Vec<Arc<dyn Channel>>) -> Deliveries {
        let deliveries = Deliveries::new(channels, policy()).with_now(clock.now());
        Deliveries { grace: Duration::ZERO, ..deliveries }
    }

    fn channel(name: &'static str, acts: impl IntoIterator<Item = Act>) -> Arc<dyn Channel> {
        Arc::new(Scripted { name, acts: Mutex::new(acts.into_iter().collect()) })
    }

    fn busy() -> Act {
        let cause = "busy".to_owned();
        Act::Fail(SendError::Transient { cause, retry_after: None, may_have_arrived: false })
    }

    fn unusable() -> Act {
        Act::Fail(SendError::Unusable { cause: "wrong key".to_owned() })
    }

    async fn deliver(deliveries: &Deliveries, route: &[&str], num_failures: u32) -> Delivered {
        deliveries.deliver(route, &Notification::default(), num_failures).await.expect("the names are right")
    }

    #[tokio::test]
    async fn a_notification_is_tried_again_and_then_falls_back() {
        let channels = vec![channel("slack", [busy(), unusable()]), channel("email", [Act::Take, Act::Take])];
        let deliveries = deliveries(&Clock::new(), channels);
        let first = deliver(&deliveries, &["slack", "email"], 0).await;
        assert!(
            matches!(first.outcome, Outcome::Retry(pause) if pause <= Duration::from_secs(1)),
            "{first:?}"
        );
        assert_eq!(first.attempts.len(), 1, "the people of the route come first");
        assert!(first.was_tried());
        let second = deliver(&deliveries, &["slack", "email"], 1).await;
        assert_eq!(second.outcome, Outcome::Sent("email"), "a key that is wrong stays wrong");
        // Two failures in a row: Slack is left alone, and not asked.
        let third = deliver(&deliveries, &["slack", "email"], 0).await;
        assert_eq!(third.attempts[0], ("slack", Attempt::LeftAlone(OPEN_FOR)));
        assert_eq!(third.outcome, Outcome::Sent("email"));
        let alone = deliver(&deliveries, &["slack"], 0).await;
        assert_eq!(alone.outcome, Outcome::Retry(OPEN_FOR));
        assert!(!alone.was_tried());
    }

    #[tokio::test]
    async fn what_hangs_or_panics_has_failed_and_may_have_arrived() {
        let acts = [Act::Hang, Act::Panic, Act::Take];
        let clock = Clock::new();
        let deliveries = deliveries(&clock, vec![channel("slack", acts)]);
        for (round, cause) in ["no answer within 20ms", "the channel panicked"].iter().enumerate() {
            let delivered = deliver(&deliveries, &["slack"], round as u32).await;
            let [(_, Attempt::Failed(error))] = &delivered.attempts[..] else { panic!("{delivered:?}") };
            assert!(error.may_have_arrived() && error.to_string() == *cause, "{error:?}");
        }
        clock.advance(OPEN_FOR);
        assert_eq!(deliver(&deliveries, &["slack"], 2).await.outcome, Outcome::Sent("slack"));
    }

    #[tokio::test]
    async fn a_try_that_is_broken_off_leaves_room_for_the_next() {
        let acts = [busy(), busy(), Act::Hang, Act::Take];
        let clock = Clock::new();
        let deliveries = deliveries(&clock, vec![channel("slack", acts)]);
        for num_failures in 0..2 {
            deliver(&deliveries, &["slack"], num_failures).await;
        }
        clock.advance(OPEN_FOR);
        let notification = Notification::default();
        let broken_off = deliveries.deliver(&["slack"], &notification, 2);
        assert!(tokio::time::timeout(Duration::from_millis(1), broken_off).await.is_err());
        assert_eq!(deliver(&deliveries, &["slack"], 2).await.outcome, Outcome::Sent("slack"));
    }

    #[tokio::test]
    async fn what_everybody_refuses_is_given_up_and_an_unknown_name_is_an_error() {
        let refuse = || Act::Fail(SendError::Refused { cause: "no".to_owned() });
        let channels = vec![channel("slack", [refuse()]), channel("webhook", [refuse()])];
        let deliveries = deliveries(&Clock::new(), channels);
        let delivered = deliver(&deliveries, &["slack", "webhook"], 0).await;
        assert_eq!((delivered.attempts.len(), delivered.outcome), (2, Outcome::GivenUp));
        let error =
            deliveries.deliver(&["pager"], &Notification::default(), 0).await.expect_err("no such name");
        assert_eq!(error.to_string(), "there is no channel `pager`; there are `slack`, `webhook`");
        let none = Deliveries::new(Vec::new(), policy());
        let error = none.send_once("slack", &Notification::default()).await.expect_err("no such name");
        assert!(error.to_string().contains("`[alerts]` configures none"), "{error}");
    }
}
