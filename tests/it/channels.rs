//! The channels by which alerts go out, each with a real receiver or one that keeps the real one's rules.

mod alertmanager;
mod command;
mod email;
mod slack;
mod webhook;

use rustls::ClientConfig;
use std::sync::Arc;
use std::time::Duration;
use tickwire::models::anomaly::Severity;
use tickwire::models::notification::{Notification, NotificationKind};
use tickwire::models::time::Nanos;

/// Longer than any receiver here takes, so that only what hangs on purpose is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A notification as the alert manager makes them.
fn spike() -> Notification {
    Notification {
        id: "01JDK-7".to_owned(),
        kind: NotificationKind::Fired,
        severity: Severity::High,
        alert_type: "price_spike".to_owned(),
        title: "AAPL: 6.3 % off the mean of 20 bars".to_owned(),
        text: "The price is 213.30 and the mean 200.60.\nThe threshold is 5 %: <check> & decide.".to_owned(),
        ..tickwire::actors::channels::sample::sample(
            Some(Nanos(1_767_366_245_000_000_000)),
            Some("https://desk.example/#/AAPL".to_owned()),
        )
    }
}

/// Trusts the public authorities, and one of a test.
fn trusting(ca_file: &std::path::Path) -> Arc<ClientConfig> {
    tickwire::tls::client(Some(ca_file)).unwrap()
}
