//! The core beside a model of it that is slow and obvious: over random histories of entries of every kind both say the
//! same of every bar, every indicator and every outcome.
//!
//! The model follows the written rules, not the core: it keeps everything, sorts everything, and adds everything up from
//! scratch after each entry. Histories that once told the two apart are kept in [`cases`].

mod bars;
mod cases;
mod clock;
pub mod histories;
mod indicators;
mod model;

use crate::support::outcome::{Window, core, log, named, names};
use bars::ModelBar;
use histories::{Step, bodies, long_steps, settings_strategy, steps};
use model::Model;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tickwire::models::bar::{Bar, BarState};
use tickwire::models::effect::{Effect, IndicatorPoint};
use tickwire::models::entry::{Body, Entry, Position};
use tickwire::models::indicators::IndicatorValues;
use tickwire::models::ledger::Ledger;
use tickwire::models::settings::CoreSettings;
use tickwire::models::state::SymbolState;
use tickwire::models::time::{DAY, Nanos, Width};

/// When histories begin: a day's start, so that windows of every width begin too.
const START: Nanos = Nanos(16_000 * DAY);

/// What the core published last of every window, void bars among them.
#[derive(Default)]
struct Published {
    bars: BTreeMap<Window, Bar>,
    points: BTreeMap<Window, IndicatorPoint>,
    seqs: BTreeMap<Width, u64>,
    dead_letters: Vec<(Position, tickwire::models::effect::DeadReason)>,
    sealed: BTreeSet<Window>,
}

impl Published {
    /// Takes in the effects of one entry, and checks what holds for each of them.
    fn take(&mut self, pos: Position, effects: &[Effect]) -> Result<(), TestCaseError> {
        for effect in effects {
            match *effect {
                Effect::Bar(bar) => {
                    prop_assert!(!self.sealed.contains(&(bar.width, bar.start)), "{:?} after its seal", bar);
                    let seq = self.seqs.entry(bar.width).or_default();
                    *seq += 1;
                    prop_assert_eq!(bar.seq, *seq, "bars of a width are counted");
                    prop_assert_eq!(bar.log_pos, pos);
                    if bar.state == BarState::Void {
                        self.points.remove(&(bar.width, bar.start));
                    }
                    self.bars.insert((bar.width, bar.start), bar);
                }
                Effect::Indicators(point) => {
                    prop_assert_eq!(point.log_pos, pos);
                    self.points.insert((point.width, point.start), point);
                }
                Effect::Anomaly(_) => {}
                Effect::DeadLetter(letter) => self.dead_letters.push((letter.pos, letter.reason)),
                Effect::Sealed(sealed) => {
                    prop_assert_eq!(sealed.pos, pos);
                    self.seal(&sealed.bar)?;
                }
            }
        }
        Ok(())
    }

    /// A bar is sealed once, as it was published last; only reports that it set aside may have been added.
    fn seal(&mut self, bar: &Bar) -> Result<(), TestCaseError> {
        let window = (bar.width, bar.start);
        let Bar { seq, duplicates, cancelled, late, .. } = *bar;
        let last = self.bars.get(&window).map(|last| Bar { seq, duplicates, cancelled, late, ..*last });
        prop_assert_eq!(Some(*bar), last);
        prop_assert!(bar.state != BarState::Void && self.sealed.insert(window), "{:?} again", bar);
        Ok(())
    }

    /// Every bar but the void ones has been sealed once the input has ended.
    fn all_are_sealed(&self) -> Result<(), TestCaseError> {
        let bars = self.bars.iter().filter(|(_, bar)| bar.state != BarState::Void);
        prop_assert_eq!(bars.map(|(window, _)| *window).collect::<BTreeSet<_>>(), self.sealed.clone());
        Ok(())
    }
}

/// Runs both over the entries, comparing after each of them.
fn compare(entries: &[Entry], settings: &Arc<CoreSettings>) -> Result<(), TestCaseError> {
    let (mut state, mut model) = (core(settings), Model::new(settings));
    let mut published = Published::default();
    for &entry in entries {
        let mut effects = Vec::new();
        state.apply(&[entry], &mut effects);
        published.take(entry.pos, &effects)?;
        model.step(entry);
        compare_ledgers(&state.ledger(), &model.ledger(), &entry)?;
        compare_bars(&published, &model, &entry)?;
    }
    let end = entries.last().map_or(1, |entry| entry.pos);
    let mut effects = Vec::new();
    state.finish(&mut effects);
    published.take(end, &effects)?;
    published.all_are_sealed()?;
    model.finish(end);
    if let Some(entry) = entries.last() {
        compare_ledgers(&state.ledger(), &model.ledger(), entry)?;
        compare_bars(&published, &model, entry)?;
    }
    compare_indicators(&published, &model)?;
    published.dead_letters.sort_by_key(|(pos, reason)| (*pos, reason.as_str()));
    model.dead_letters.sort_by_key(|(pos, reason)| (*pos, reason.as_str()));
    prop_assert_eq!(published.dead_letters, model.dead_letters);
    Ok(())
}

fn compare_ledgers(actual: &Ledger, expected: &Ledger, entry: &Entry) -> Result<(), TestCaseError> {
    prop_assert_eq!(actual.residue(), 0, "after {:?}", entry);
    prop_assert_eq!(actual, expected, "core, then model, after {:?}", entry);
    Ok(())
}

fn compare_bars(published: &Published, model: &Model, entry: &Entry) -> Result<(), TestCaseError> {
    let windows: Vec<&Window> = published.bars.keys().collect();
    prop_assert_eq!(
        windows,
        model.published.keys().collect::<Vec<_>>(),
        "core, then model, after {:?}",
        entry
    );
    for (window, expected) in &model.published {
        let bar = &published.bars[window];
        let life = (bar.state, bar.revision, bar.log_pos, bar.coverage);
        let expected_life = (expected.state, expected.revision, expected.log_pos, expected.coverage);
        prop_assert_eq!(life, expected_life, "core, then model, of {:?} after {:?}", window, entry);
        if let Some(expected) = &expected.bar {
            let ohlc = [bar.open, bar.high, bar.low, bar.close];
            let figures = (ohlc, bar.volume, bar.vwap, bar.trade_count, bar.origin);
            let ModelBar { ohlc, volume, vwap, trade_count, origin, .. } = *expected;
            let expected = (ohlc, volume, vwap, trade_count, origin);
            prop_assert_eq!(figures, expected, "core, then model, of {:?} after {:?}", window, entry);
        }
    }
    Ok(())
}

/// Compares all indicators, each cell to 1e-9 of its value.
fn compare_indicators(published: &Published, model: &Model) -> Result<(), TestCaseError> {
    let expected = model.indicators();
    let windows: Vec<&Window> = published.points.keys().collect();
    prop_assert_eq!(windows, expected.keys().collect::<Vec<_>>());
    for (window, expected) in &expected {
        let (point, bar) = (&published.points[window], &published.bars[window]);
        prop_assert_eq!((point.close, point.vwap), (bar.close, bar.vwap), "{:?}", window);
        compare_values(&point.values, expected, window)?;
    }
    Ok(())
}

fn compare_values(
    actual: &IndicatorValues,
    expected: &IndicatorValues,
    window: &Window,
) -> Result<(), TestCaseError> {
    for ((name, actual), (_, expected)) in named(actual).into_iter().zip(named(expected)) {
        prop_assert_eq!(actual.is_some(), expected.is_some(), "warm-up of {} of {:?}", name, window);
        if let (Some(actual), Some(expected)) = (actual, expected) {
            let near = (actual - expected).abs() <= 1e-9 * expected.abs().max(1.0);
            prop_assert!(near, "{} of {:?}: {}, model {}", name, window, actual, expected);
        }
    }
    Ok(())
}

/// Applies the entries in batches that end before the given places, passing the state through bytes where asked.
fn in_batches(
    entries: &[Entry],
    borders: &[usize],
    through_bytes: bool,
    settings: &Arc<CoreSettings>,
) -> (Vec<Effect>, Ledger) {
    let mut state = core(settings);
    let mut effects = Vec::new();
    let mut from = 0;
    for &border in borders.iter().chain([&entries.len()]) {
        state.apply(&entries[from..border], &mut effects);
        from = border;
        if through_bytes {
            state =
                SymbolState::decode(&state.encode(), Arc::clone(settings), names()).expect("just encoded");
        }
    }
    state.finish(&mut effects);
    (effects, state.ledger())
}

/// Runs a share of proptest's own number of cases, which `PROPTEST_CASES` sets. Counterexamples become named cases, so
/// no seeds are kept.
fn config(times: u32, over: u32) -> ProptestConfig {
    let usual = ProptestConfig::default();
    let cases = (usual.cases * times / over).max(1);
    ProptestConfig { cases, max_shrink_iters: 4_000, failure_persistence: None, ..usual }
}

fn history(steps: &[Step], settings: &CoreSettings) -> Vec<Entry> {
    log(bodies(steps, settings))
}

proptest! {
    #![proptest_config(config(3, 1))]

    #[test]
    fn core_equals_model(steps in steps(), settings in settings_strategy()) {
        compare(&history(&steps, &settings), &settings)?;
    }

    #[test]
    fn borders_of_batches_and_recovery_points_change_nothing(
        steps in steps(),
        settings in settings_strategy(),
        splits in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let entries = history(&steps, &settings);
        let mut borders: Vec<usize> = splits.iter().map(|split| split.index(entries.len())).collect();
        borders.sort_unstable();
        let at_once = in_batches(&entries, &[], false, &settings);
        let one_by_one: Vec<usize> = (0..entries.len()).collect();
        prop_assert_eq!(&in_batches(&entries, &one_by_one, false, &settings), &at_once);
        prop_assert_eq!(&in_batches(&entries, &borders, false, &settings), &at_once);
        prop_assert_eq!(&in_batches(&entries, &borders, true, &settings), &at_once);
    }

    #[test]
    fn a_clock_mark_below_what_is_due_says_nothing(steps in steps(), settings in settings_strategy()) {
        let mut state = core(&settings);
        for entry in history(&steps, &settings) {
            let due = state.next_due();
            let mut effects = Vec::new();
            state.apply(&[entry], &mut effects);
            if let Body::ClockMark { time, .. } = entry.body && time < due {
                prop_assert_eq!(effects, vec![]);
            }
        }
    }
}

proptest! {
    #![proptest_config(config(1, 8))]

    #[test]
    fn core_equals_model_over_many_bars(steps in long_steps(), settings in settings_strategy()) {
        compare(&history(&steps, &settings), &settings)?;
    }
}
