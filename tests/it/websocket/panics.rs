//! Panics of the hub, on purpose: clients stay connected, see the hole by the numbers, and get what they missed.

use super::world::{Client, EPOCH, World, closed};
use super::{SUBSCRIBE_BARS, bars_through, served, subscribe_bars_since};
use futures_util::FutureExt;
use std::sync::Arc;
use tickwire::actors::guard::ActorKind;
use tickwire::models::effect::Effect;
use tickwire::stores::history::HistoryBatch;

/// Commits effects to the history, as the history's sink would.
fn commit(world: &World, effects: Vec<Effect>) {
    let batch = HistoryBatch { effects: vec![Arc::new(effects)], ..HistoryBatch::default() };
    world.state.history.write(&batch).now_or_never().expect("memory answers at once").unwrap();
}

fn restarts(world: &World) -> u64 {
    let name = format!("tickwire_actor_restarts_total{{actor=\"{}\"}} ", ActorKind::Hub.as_str());
    let text = world.state.metrics.encode();
    text.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
}

/// Closes the n-th minute, in the history and for live clients.
fn close(world: &World, nth: u64) {
    commit(world, closed(world.aapl, nth));
    world.say(closed(world.aapl, nth), vec![]);
}

fn subscribed(world: &World) -> Client {
    let mut client = world.connect();
    client.send(SUBSCRIBE_BARS);
    client.until("snapshot");
    client
}

#[test]
fn a_panic_of_the_hub_costs_the_frames_of_one_message_and_who_resumes_gets_them() {
    let world = served();
    commit(&world, (1..=5).flat_map(|nth| closed(world.aapl, nth)).collect());
    let mut client = subscribed(&world);
    close(&world, 6);
    assert_eq!(bars_through(&mut client, 6), [6]);
    world.faults.at_actor(ActorKind::Hub, 1);
    close(&world, 7);
    world.wait_until("the hub has panicked", || restarts(&world) == 1);
    close(&world, 8);
    assert_eq!(bars_through(&mut client, 8), [8], "the numbers show the hole");

    let mut again = world.connect();
    again.send(&subscribe_bars_since(EPOCH, 6));
    assert_eq!(bars_through(&mut again, 8), [7, 8]);
    client.send(r#"{"type":"ping"}"#);
    client.until("pong");
    assert_eq!(restarts(&world), 1);
}
