//! `kill -9` while alerts go out: every decision arrives, and twice only where the process died between the channel's answer
//! and the mark.

use super::world::{BEGIN, World, anomaly, on_disk, run, settings};
use async_trait::async_trait;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use tickwire::actors::alerts::deliver::{Deliver, Outcome, Round};
use tickwire::actors::alerts::sender::{Sender, SenderParts};
use tickwire::metrics::Metrics;
use tickwire::models::notification::Notification;
use tickwire::models::time::{DAY, SECOND};

const NUM_KILLS: usize = 20;
const NUM_MESSAGES: usize = 200;
const DIR: &str = "TICKWIRE_TEST_ALERTS";
/// After how many messages in all the channel answers no more, until the process is killed; not set: never.
const STUCK_AT: &str = "TICKWIRE_TEST_ALERTS_STUCK_AT";

/// A receiver outside of the process: a line in a file is a message that arrived.
struct Receiver {
    file: PathBuf,
    stuck_at: usize,
}

#[async_trait]
impl Deliver for Receiver {
    fn names(&self) -> Vec<String> {
        vec!["slack".to_owned()]
    }

    async fn deliver(&self, route: &[String], notification: &Notification, _: u32) -> Round {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.file).expect("opens");
        file.write_all(format!("{}\n", notification.id).as_bytes()).expect("writes");
        // However slow the test is to kill it, it sends no more.
        let num_arrived = arrived(self.file.parent().expect("a directory")).len();
        if num_arrived >= self.stuck_at {
            std::future::pending::<()>().await;
        }
        Round { outcome: Outcome::Sent(route[0].clone()), was_tried: true, cause: String::new() }
    }
}

fn arrived(dir: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(dir.join("arrived")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Not a test of its own: the process that [`each_decision_arrives_though_the_process_is_killed_twenty_times`] kills.
#[test]
fn child_that_sends_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR).map(PathBuf::from) else { return };
    run(async {
        let history = on_disk(&dir).await;
        let parts = SenderParts {
            history,
            deliveries: Arc::new(Receiver {
                file: dir.join("arrived"),
                stuck_at: std::env::var(STUCK_AT).map_or(usize::MAX, |text| text.parse().expect("a number")),
            }),
            owner: format!("{:x}", rand::random::<u64>()),
            outbox_age: DAY,
            metrics: Arc::new(Metrics::new(0)),
            health: Arc::default(),
            now: Arc::new(|| BEGIN.plus(1_000 * SECOND)),
        };
        let sender = Sender::new(parts, "slack".to_owned());
        while sender.turn().await.expect("reads") > 0 {}
    });
}

#[test]
fn each_decision_arrives_though_the_process_is_killed_twenty_times() {
    let dir = tempfile::tempdir().expect("a directory");
    run(async {
        let mut settings = settings();
        (settings.group_wait, settings.group_interval) = (0, 0);
        let mut world = World::on_disk(dir.path(), settings).await;
        for nth in 0..NUM_MESSAGES {
            let nth = nth as i64;
            world.write(vec![anomaly(&format!("S{nth:03}"), "price_spike", nth)]).await;
            let turn = world.manager.turn(BEGIN.plus(nth * SECOND)).await.expect("decides");
            assert_eq!(turn.num_outgoing, 1);
        }
        world.history.close().await.expect("closes");
    });
    let mut random = Pcg64Mcg::seed_from_u64(7);
    let start = |stuck_at: Option<usize>| {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command
            .args(["--exact", "alerts::kill::child_that_sends_until_it_is_killed", "--nocapture"])
            .env(DIR, dir.path())
            .envs(stuck_at.map(|at| (STUCK_AT, at.to_string())))
            .stdout(Stdio::null());
        command.spawn().expect("starts")
    };
    for nth in 0..NUM_KILLS {
        let enough = arrived(dir.path()).len() + random.random_range(1..8);
        // It is killed between the channel's answer and the mark, or wherever it has come to meanwhile.
        let stuck_at = enough + nth % 2;
        let mut child = start(Some(stuck_at));
        crate::support::process::wait_for("messages", || (arrived(dir.path()).len() >= enough).then_some(()));
        assert!(child.try_wait().expect("asks").is_none(), "it has not ended by itself");
        child.kill().expect("kills");
        child.wait().expect("ends");
    }
    assert!(start(None).wait().expect("ends").success(), "it sends the rest");
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for id in arrived(dir.path()) {
        *times.entry(id).or_default() += 1;
    }
    assert_eq!(times.len(), NUM_MESSAGES, "every decision arrived");
    let num_repeats: usize = times.values().map(|count| count - 1).sum();
    println!("{num_repeats} of {NUM_MESSAGES} arrived again after {NUM_KILLS} kills");
    assert!(num_repeats <= NUM_KILLS, "one a kill at the most: {num_repeats}");
}
