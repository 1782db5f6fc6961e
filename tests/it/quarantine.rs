//! Panics that no entry is to blame for: a symbol is not made anew for ever, and goes on with what it can.

use crate::supervision::{BATCH, NUM_SYMBOLS, config, play, play_drained, undisturbed};
use crate::support::rows::{assert_same_rows, history_rows};
use crate::support::scenario::bad_day;
use tickwire::actors::guard::ActorKind;
use tickwire::actors::ingest::simulated::symbol_names;
use tickwire::models::entry::{Entry, Position};

/// Returns the rows of all symbols but one, and those of the one.
fn without(rows: Vec<String>, name: &str) -> (Vec<String>, Vec<String>) {
    rows.into_iter().partition(|row| !row.contains(name))
}

/// Returns the position of the first entry from a message on that is a symbol's own.
fn own_entry(day: &[Entry], message: usize, is_wanted: impl Fn(&Entry) -> bool) -> Position {
    let first = message * BATCH;
    let at = day[first..].iter().position(|entry| !entry.body.is_broadcast() && is_wanted(entry)).unwrap();
    (first + at) as Position + 1
}

#[test]
fn a_batch_that_panics_whatever_is_left_out_is_set_aside_and_the_symbol_goes_on() {
    let day = bad_day(NUM_SYMBOLS, 4.0, 6_000, 23);
    let (calm_dir, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    play(&config(calm_dir.path(), &[]), true, &day, undisturbed);
    let message = day.len() / BATCH / 2;
    let poison = own_entry(&day, message, |_| true);
    let name = &symbol_names(NUM_SYMBOLS as usize)[day[poison as usize - 1].symbol.index()];
    let rough = play(&config(dir.path(), &[]), true, &day, |at, faults, _| {
        if at == message {
            faults.at_entry(poison, 2);
            faults.at_set_aside(poison, u32::MAX);
        }
    });
    assert_eq!(rough.restarts(ActorKind::Symbol), 3, "applied twice, set aside once");
    let (others, own) = without(history_rows(dir.path()), name);
    let (other_expected, own_expected) = without(history_rows(calm_dir.path()), name);
    assert_same_rows(&other_expected, &others, "of the other symbols");
    let num_same = own.iter().filter(|row| own_expected.binary_search(row).is_ok()).count();
    assert!(
        num_same > own_expected.len() / 4 && num_same < own_expected.len(),
        "{num_same} rows are the same"
    );
}

#[test]
fn a_state_is_made_anew_without_an_entry_that_panics_whatever_is_done_with_it() {
    let day = bad_day(NUM_SYMBOLS, 4.0, 6_000, 29);
    let dir = tempfile::tempdir().unwrap();
    let message = day.len() / BATCH / 2;
    let earlier = own_entry(&day, message - 1, |_| true);
    let symbol = day[earlier as usize - 1].symbol;
    let trigger = own_entry(&day, message, |entry| entry.symbol == symbol);
    // No checkpoint is saved, so the earlier entry is among those that are applied again.
    let config = config(dir.path(), &[("TICKWIRE__RECOVERY__MAX_AGE", "10h")]);
    let rough = play_drained(&config, true, &day, Some(message), |at, faults, _| {
        if at == message {
            faults.at_entry(earlier, u32::MAX);
            faults.at_set_aside(earlier, u32::MAX);
            faults.at_entry(trigger, 1);
        }
    });
    assert_eq!(rough.restarts(ActorKind::Symbol), 3, "the trigger, and the earlier entry twice");
    assert!(rough.metrics.encode().contains("tickwire_poison_entries_total 1\n"));
}
