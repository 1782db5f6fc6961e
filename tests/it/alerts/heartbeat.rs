//! The dead man's switch: pinged by a real receiver's answers, and what is counted of it.

use super::world::run;
use crate::support::receiver::{Act, Receiver};
use std::sync::Arc;
use std::time::Duration;
use tickwire::actors::alerts::heartbeat::{Heartbeat, HeartbeatSettings};
use tickwire::metrics::Metrics;

#[test]
fn a_ping_that_is_not_answered_well_is_counted_and_the_next_one_is_tried() {
    let receiver = Receiver::plain();
    receiver.act([Act::answer(200, "OK"), Act::answer(500, "no"), Act::Break]);
    let metrics = Arc::new(Metrics::new(0));
    let settings = HeartbeatSettings {
        url: receiver.url("/secret-uuid").parse().unwrap(),
        every: Duration::from_secs(60),
        tls: tickwire::tls::client(None).unwrap(),
        timeout: Duration::from_secs(30),
    };
    let heartbeat = Heartbeat::new(settings, Arc::clone(&metrics));
    run(async {
        let mut answered = Vec::new();
        for _ in 0..4 {
            answered.push(heartbeat.ping().await);
        }
        assert_eq!(answered, [true, false, false, true]);
    });
    let posts = receiver.posts();
    assert!(posts.len() == 4 && posts.iter().all(|post| post.path == "/secret-uuid" && post.body.is_empty()));
    let text = metrics.encode();
    for line in [
        "tickwire_alert_heartbeats_total{result=\"answered\"} 2",
        "tickwire_alert_heartbeats_total{result=\"failed\"} 2",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}
