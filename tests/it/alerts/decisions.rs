//! What is told, held back, tried again and fallen back, and what a restart changes: nothing.

use super::world::{BEGIN, World, anomaly, busy, ended, run, settings};
use tickwire::actors::health::Health;
use tickwire::models::alert::AlertStatus;
use tickwire::models::alerts::silence::Silence;
use tickwire::models::anomaly::Severity;
use tickwire::models::notification::{NotificationKind, SendError};
use tickwire::models::time::SECOND;
use tickwire::stores::history::alerts::Acknowledgement;

#[test]
fn an_anomaly_is_told_once_and_its_end_to_who_was_told() {
    run(async {
        let mut world = World::in_memory(settings());
        let excursion = anomaly("AAPL", "rsi_overbought", 0);
        world.write(vec![excursion.clone()]).await;
        let turn = world.at(0).await;
        assert_eq!((turn.due, turn.num_outgoing, turn.leads), (Some(BEGIN.plus(5 * SECOND)), 0, true));
        world.at(5).await;
        world.at(6).await;
        world.write(vec![ended(&excursion)]).await;
        world.at(60).await;
        world.at(70).await;
        let told = World::told(&world.slack);
        let title = "AAPL: rsi overbought".to_owned();
        assert_eq!(told, [(NotificationKind::Fired, title.clone()), (NotificationKind::Resolved, title)]);
        assert!(World::told(&world.email).is_empty());
        let decisions = world.decisions().await;
        assert!(decisions.iter().all(|alert| alert.status == AlertStatus::Sent && alert.attempts == 1));
        assert_eq!(decisions.len(), 2);
    });
}

#[test]
fn a_restart_in_the_middle_changes_nothing() {
    run(async {
        // In the group's wait, in the cooldown, while held back by a silence, and with a message in the outbox.
        let dir = tempfile::tempdir().expect("a directory");
        let mut world = World::on_disk(dir.path(), settings()).await;
        world.write(vec![anomaly("AAPL", "price_spike", 0)]).await;
        world.at(1).await;
        let mut world = world.restart();
        world.slack.faults.lock().unwrap().push_back(busy());
        world.at(6).await;
        assert!(World::told(&world.slack).is_empty(), "it is tried again later");
        let mut world = world.restart();
        world.at(12).await;
        assert_eq!(World::told(&world.slack).len(), 1);
        let mut world = world.restart();
        world.write(vec![anomaly("AAPL", "price_spike", 100), anomaly("MSFT", "rsi_oversold", 100)]).await;
        let silence = Silence {
            id: "s".to_owned(),
            start: BEGIN,
            end: BEGIN.plus(200 * SECOND),
            symbols: vec!["MSFT".to_owned()],
            max_severity: Severity::Critical,
            ..Silence::default()
        };
        world.history.alert_store().expect("keeps alerts").put_silence(&silence).await.expect("writes");
        world.at(101).await;
        let mut world = world.restart();
        world.at(150).await;
        assert_eq!(World::told(&world.slack).len(), 1);
        let reasons: Vec<String> = world.decisions().await.iter().map(|alert| alert.reason.clone()).collect();
        assert!(reasons.iter().any(|reason| reason.starts_with("cooldown: ")), "{reasons:?}");
        assert!(reasons.iter().any(|reason| reason.starts_with("silenced: ")), "{reasons:?}");
        let mut world = world.restart();
        world.at(200).await;
        world.at(206).await;
        let told = World::told(&world.slack);
        assert_eq!(told[1..], [(NotificationKind::Fired, "MSFT: rsi oversold".to_owned())]);
    });
}

#[test]
fn what_a_channel_does_not_take_falls_back_or_is_given_up_and_each_step_is_written_down() {
    run(async {
        let mut world = World::in_memory(settings());
        world
            .slack
            .faults
            .lock()
            .unwrap()
            .push_back(SendError::Unusable { cause: "no such hook".to_owned() });
        world.write(vec![anomaly("AAPL", "price_spike", 0)]).await;
        world.at(0).await;
        world.at(5).await;
        assert_eq!(World::told(&world.email).len(), 1);
        let decisions = world.decisions().await;
        let steps: Vec<(&str, AlertStatus, &str)> = decisions
            .iter()
            .map(|alert| (alert.channel.as_str(), alert.status, alert.reason.as_str()))
            .collect();
        assert_eq!(
            steps,
            [
                ("slack", AlertStatus::Failed, "fell back to email: no such hook"),
                ("email", AlertStatus::Sent, "in place of slack"),
            ]
        );
        let health = |world: &World| {
            let components = world.health.components();
            let slack =
                components.into_iter().find(|(name, _)| name == "alerts_slack").expect("it was asked");
            (slack.1.status, slack.1.detail)
        };
        assert_eq!(health(&world), (Health::Degraded, "no such hook".to_owned()));
        // Nobody takes it.
        for channel in [&world.slack, &world.email] {
            let refused = SendError::Refused { cause: "too long".to_owned() };
            channel.faults.lock().unwrap().push_back(refused);
        }
        world.write(vec![anomaly("MSFT", "price_spike", 100)]).await;
        world.at(100).await;
        world.at(106).await;
        let last = world.decisions().await.pop().expect("a decision");
        assert_eq!((last.status, last.reason.as_str()), (AlertStatus::Failed, "too long"));
        world.write(vec![anomaly("ORCL", "price_spike", 200)]).await;
        world.at(200).await;
        world.at(206).await;
        assert_eq!(health(&world), (Health::Healthy, String::new()), "it takes messages again");
    });
}

#[test]
fn a_storm_of_a_thousand_symbols_is_one_message() {
    run(async {
        let dir = tempfile::tempdir().expect("a directory");
        let mut world = World::on_disk(dir.path(), settings()).await;
        let spikes = (0..1_000).map(|nth| anomaly(&format!("S{nth:04}"), "price_spike", 0));
        world.write(spikes.collect()).await;
        world.at(0).await;
        world.at(5).await;
        world.at(6).await;
        let told = World::told(&world.slack);
        assert_eq!(told, [(NotificationKind::Fired, "1000 symbols: price spike".to_owned())]);
        let decisions = world.decisions().await;
        assert_eq!(decisions.len(), 1_000);
        assert!(decisions.iter().all(|alert| alert.status == AlertStatus::Sent));
    });
}

#[test]
fn a_feed_that_is_down_holds_back_its_price_alerts_and_leaves_open_ones_without_data() {
    run(async {
        let mut world = World::in_memory(settings());
        let excursion = anomaly("AAPL", "rsi_overbought", 0);
        world.write(vec![excursion]).await;
        world.at(0).await;
        world.at(5).await;
        world.feeds.0.lock().unwrap().insert("AAPL".to_owned());
        world.at(30).await;
        assert_eq!(World::told(&world.slack).len(), 1, "after a start feeds have a minute to come");
        world.write(vec![anomaly("AAPL", "price_spike", 61)]).await;
        world.at(61).await;
        world.at(67).await;
        let told = World::told(&world.slack);
        assert_eq!(told[1..], [(NotificationKind::NoData, "AAPL: rsi overbought".to_owned())]);
        let held = world.decisions().await.into_iter().find(|alert| alert.status == AlertStatus::Held);
        let held = held.expect("the spike");
        assert!(held.reason.starts_with("feed_down: no data since "), "{}", held.reason);
    });
}

#[test]
fn an_acknowledgement_holds_back_what_has_not_gone_out() {
    run(async {
        let mut world = World::in_memory(settings());
        let excursion = anomaly("AAPL", "rsi_overbought", 0);
        world.write(vec![excursion.clone()]).await;
        world.at(0).await;
        let one = Acknowledgement { id: excursion.id.clone(), by: "ann".to_owned(), time: BEGIN };
        let store = world.history.alert_store().expect("keeps alerts");
        store.acknowledge(std::slice::from_ref(&one)).await.expect("writes");
        world.at(10).await;
        assert!(World::told(&world.slack).is_empty());
        let store = world.history.alert_store().expect("keeps alerts");
        let stored = store.incidents_by_id(&[excursion.id]).await.expect("reads");
        assert_eq!(stored[0].acknowledged_by.as_deref(), Some("ann"));
    });
}

#[test]
fn what_is_counted_moves() {
    run(async {
        let mut world = World::in_memory(settings());
        world.slack.faults.lock().unwrap().push_back(busy());
        world.write(vec![anomaly("AAPL", "rsi_overbought", 0)]).await;
        world.at(0).await;
        world.at(5).await;
        world.manager.measure(BEGIN.plus(7 * SECOND)).await;
        let text = world.metrics.encode();
        for line in [
            "tickwire_alert_decisions_total{decision=\"queued\"} 1",
            "tickwire_alert_messages_total{channel=\"slack\",result=\"retried\"} 1",
            "tickwire_incidents_open 1",
            "tickwire_alert_outbox_messages 1",
            "tickwire_alert_outbox_seconds 2",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    });
}

#[test]
fn the_past_that_a_start_brings_wakes_nobody_and_leaves_no_incident() {
    run(async {
        let mut world = World::in_memory(settings());
        world.at(0).await;
        let spike = |seconds| anomaly("AAPL", "price_spike", seconds);
        // Hours ago; before the start but within `max_age`; and while the process runs, known only long after.
        world.write(vec![spike(-7_200), anomaly("MSFT", "price_spike", -600)]).await;
        world.at(10).await;
        world.at(20).await;
        world.write(vec![spike(60)]).await;
        world.at(2_000).await;
        let decisions = world.decisions().await;
        let made: Vec<(&str, &str)> = decisions
            .iter()
            .map(|alert| (alert.anomaly_id.as_str(), alert.reason.split(':').next().unwrap()))
            .collect();
        assert_eq!(made, [("MSFT/price_spike/-600", ""), ("AAPL/price_spike/60", "too_old")]);
    });
}

#[test]
fn an_excursion_that_began_long_ago_and_goes_on_is_told() {
    run(async {
        let mut world = World::in_memory(settings());
        world.at(0).await;
        world.write(vec![anomaly("AAPL", "rsi_oversold", -7_200)]).await;
        world.at(10).await;
        world.at(20).await;
        assert_eq!(World::told(&world.slack).len(), 1);
    });
}
