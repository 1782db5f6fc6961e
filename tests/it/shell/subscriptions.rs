//! Subscriptions symbol by symbol, and what is kept of the frames.

use super::rig::{Rig, Start};
use super::run;
use super::tiny::Tiny;
use std::sync::{Arc, Mutex};
use tickwire::actors::health::Health;
use tickwire::actors::ingest::recording::Origin;
use tickwire::actors::ingest::shell::Recorder;
use tickwire::actors::ingest::venue::Needs;
use tickwire::models::time::Nanos;

#[test]
fn a_symbol_that_is_refused_is_left_out_and_the_others_go_on() {
    run(async {
        let rig = Rig::start(Start::new(Tiny::needs(), &["A", "B", "C"])).await;
        let mut link = rig.accept().await;
        assert_eq!(link.hear().await.as_deref(), Some("subscribe A B C"));
        for said in ["OK A", "NO B unknown", "NO X unknown", "OK C"] {
            link.say(said);
        }
        let told = (Health::Degraded, "tiny: 2 symbols; left out: `B` (unknown)".to_owned());
        rig.until("a symbol that is left out", || rig.health() == told).await;
        link.say(format!("C {}", rig.now().0));
        link.say(format!("T A 7 {} 5 5", rig.now().0));
        rig.until_entries(1).await;
        drop(link);
        let mut link = rig.accept().await;
        assert_eq!(link.hear().await.as_deref(), Some("subscribe A C"));
        assert_eq!(rig.metric("symbols_left_out"), 1.0);
        link.say("NO A gone");
        link.say("NO C gone");
        rig.until("no symbol that is left", || rig.health().1.contains("refused: it refuses every symbol"))
            .await;
        assert!(rig.is_left_alone().await);
        rig.stop().await;
    });
}

#[test]
fn who_is_refused_without_a_name_is_found_by_who_is_confirmed() {
    run(async {
        let rig = Rig::start(Start::new(Tiny::needs(), &["A", "B", "C"])).await;
        let mut link = rig.accept().await;
        assert_eq!(link.hear().await.as_deref(), Some("subscribe A B C"));
        for said in ["NO not-authorized", "OK A", "OK C"] {
            link.say(said);
        }
        let left_out = "left out: `B` (not-authorized)";
        rig.until("a symbol that is left out", || rig.health().1.contains(left_out)).await;
        link.say("OK B");
        rig.until("one that was only late", || {
            rig.health() == (Health::Healthy, "tiny: 3 symbols".to_owned())
        })
        .await;
        drop(link);
        let mut link = rig.accept().await;
        assert_eq!(link.hear().await.as_deref(), Some("subscribe A C B"));
        rig.stop().await;
    });
}

#[test]
fn what_a_key_has_no_room_for_is_left_out_before_it_is_asked_for() {
    run(async {
        let needs = Needs { symbols_max: Some(3), connections_max: Some(1), ..Tiny::needs() };
        let start = Start::new(needs, &["0A", "1B", "0C", "0D"]);
        let rig = Rig::start(Start { num_streams: 2, ..start }).await;
        let mut link = rig.accept().await;
        assert_eq!(link.hear().await.as_deref(), Some("subscribe 0A 0C"));
        link.say("OK");
        let told = "tiny: 2 symbols; left out: `0D` (the symbols of a key are limited to 3, and taken), \
                    `1B` (the connections of a key are limited to 1, and taken)";
        rig.until("what is left out", || rig.health() == (Health::Degraded, told.to_owned())).await;
        assert_eq!(rig.metric("connects_total"), 1.0);
        rig.stop().await;
    });
}

/// Keeps frames in memory.
#[derive(Default)]
struct Kept(Mutex<Vec<(Nanos, Origin, String)>>);

impl Recorder for Kept {
    fn frame(&self, received: Nanos, origin: Origin, text: &str) {
        self.0.lock().unwrap().push((received, origin, text.to_owned()));
    }
}

#[test]
fn every_frame_is_given_to_the_recorder_as_it_came() {
    run(async {
        let kept = Arc::new(Kept::default());
        let recorder: Arc<dyn Recorder> = Arc::<Kept>::clone(&kept);
        let start = Start::new(Tiny::needs(), &["0A", "1B"]);
        let rig = Rig::start(Start { num_streams: 2, recorder: Some(recorder), ..start }).await;
        let begun = rig.now();
        let mut link = rig.accept_at(1).await;
        link.subscribe().await;
        link.say("no frame of the venue's");
        rig.until("frames", || rig.metric("frames_total") == 2.0).await;
        let frames = kept.0.lock().unwrap().clone();
        let told: Vec<_> = frames.iter().map(|(_, origin, text)| (*origin, text.as_str())).collect();
        let origin = Origin::Connection(1);
        assert_eq!(told, [(origin, "OK"), (origin, "no frame of the venue's")]);
        assert!(frames.iter().all(|(received, ..)| *received >= begun && *received <= rig.now()));
        rig.stop().await;
    });
}
