//! Every parser of every venue against bytes that no venue would send, grown from the samples in
//! `tests/fixtures/venues`.
//!
//! Nothing panics, nothing hangs, every frame has an outcome, and what was read goes through the core without a report
//! being lost. `TICKWIRE_FUZZ_INPUTS` says how many inputs each parser gets, `TICKWIRE_FUZZ_SEED` which; `make fuzz` gives
//! each ten million.

use super::dialects;
use crate::support::outcome::{SYMBOL, core};
use crate::support::process::WAIT_MAX;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use tickwire::actors::ingest::registry::{VENUES, VenueEntry};
use tickwire::actors::ingest::venue::{
    BarsPage, Context, FrameFault, Heard, Instrument, Instruments, Poll, TradesPage, Venue, VenueEvent,
};
use tickwire::config::{Config, Sources};
use tickwire::models::entry::{Entry, SourceId};
use tickwire::models::num::Scale;
use tickwire::models::settings::CoreSettings;
use tickwire::models::state::SymbolState;
use tickwire::models::time::{MINUTE, Nanos, SECOND, Width};

/// Inputs of each parser where nobody says how many.
const NUM_INPUTS: usize = 20_000;

/// 2026-11-20T10:40:00Z: after the samples.
const RECEIVED: Nanos = Nanos(1_795_171_200 * SECOND);

/// Longest input: the samples have a few hundred bytes, and nesting or repeats must have room.
const INPUT_LEN_MAX: usize = 16 << 10;

/// Inputs whose entries one state of the core gets: then it is looked at, and a new one goes on.
const INPUTS_PER_STATE: usize = 5_000;

/// Inputs between two lines of progress.
const PROGRESS_EVERY: usize = 1_000_000;

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Frames,
    Trades,
    Bars,
    Instruments,
    Polls,
}

impl Kind {
    /// Every kind, and how the names of its samples begin.
    const ALL: [(Kind, &'static str); 5] = [
        (Kind::Frames, "frame"),
        (Kind::Trades, "trades"),
        (Kind::Bars, "bars"),
        (Kind::Instruments, "instruments"),
        (Kind::Polls, "poll"),
    ];
}

/// One parser of one venue.
struct Target {
    entry: &'static VenueEntry,
    venue: Arc<dyn Venue>,
    kind: Kind,
    instruments: Instruments,
    polls: Vec<Poll>,
    /// Samples of its kind, then the venue's others.
    corpus: Vec<Vec<u8>>,
    num_own: usize,
}

/// Returns the folder of a venue's samples.
fn folder(venue: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/venues").join(venue)
}

/// Reads the samples of a venue: names and bytes, sorted.
fn samples(venue: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder(venue);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut samples: Vec<(String, Vec<u8>)> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let bytes = std::fs::read(&path).unwrap();
            (name, bytes.trim_ascii_end().to_vec())
        })
        .collect();
    samples.sort();
    assert!(!samples.is_empty(), "{venue} has no samples in {}", folder.display());
    samples
}

/// Returns a configuration in which a venue has what it needs: addresses, and keys, without which it asks for nothing.
fn sources(venue: &str) -> Sources {
    let dialect = dialects::ALL.into_iter().find(|dialect| dialect.name() == venue);
    let section = dialect.map(|dialect| {
        let keys = dialect.keys().into_iter().map(|(key, value)| (key, value.to_owned()));
        dialect.section("ws://127.0.0.1:9", "http://127.0.0.1:9").into_iter().chain(keys)
    });
    let variable = |(key, value): (&str, String)| {
        let name = format!("TICKWIRE__VENUES__{}__{}", venue.to_ascii_uppercase(), key.to_ascii_uppercase());
        (name, value)
    };
    Sources { environment: section.into_iter().flatten().map(variable).collect(), ..Sources::default() }
}

/// Returns the parsers of a venue.
fn targets(entry: &'static VenueEntry) -> Vec<Target> {
    let config = Config::load(&sources(entry.name)).unwrap();
    let venue = (entry.open)(config.venues.of(entry.name));
    let symbols: Vec<String> =
        entry.default_symbols.iter().map(|name| venue.spell(name).unwrap().venue_symbol).collect();
    let instrument = |venue_symbol: &String| Instrument {
        symbol: SYMBOL,
        venue_symbol: venue_symbol.clone(),
        price_scale: Scale::PRICE,
        size_scale: Scale::SIZE,
    };
    let instruments = Instruments::new(symbols.iter().map(instrument).collect());
    let spelled: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let polls = venue.polls(&spelled);
    let one = &instruments.all()[0];
    let samples = samples(entry.name);
    let is_there = |kind: Kind| match kind {
        Kind::Frames => polls.is_empty(),
        Kind::Trades => venue.trades_request(&trades_page(one)).is_some(),
        Kind::Bars => venue.bars_request(&bars_page(one)).is_some(),
        Kind::Instruments => venue.instruments_request().is_some(),
        Kind::Polls => !polls.is_empty(),
    };
    let target = |&(kind, prefix): &(Kind, &str)| {
        let (own, others): (Vec<_>, Vec<_>) =
            samples.iter().cloned().partition(|(name, _)| name.starts_with(prefix));
        assert!(!own.is_empty(), "{} has no sample `{prefix}*.json`", entry.name);
        Target {
            entry,
            venue: Arc::clone(&venue),
            kind,
            instruments: instruments.clone(),
            polls: polls.clone(),
            num_own: own.len(),
            corpus: own.into_iter().chain(others).map(|(_, bytes)| bytes).collect(),
        }
    };
    Kind::ALL.iter().filter(|(kind, _)| is_there(*kind)).map(target).collect()
}

fn trades_page(instrument: &Instrument) -> TradesPage<'_> {
    let since = Nanos(RECEIVED.0 - 600 * MINUTE);
    TradesPage { instrument, after: None, before: None, since, until: None, cursor: None }
}

fn bars_page(instrument: &Instrument) -> BarsPage<'_> {
    let width = Width::new(MINUTE).unwrap();
    let from = Nanos(RECEIVED.0 - 6_000 * MINUTE);
    BarsPage { instrument, width, from, to: RECEIVED, cursor: None }
}

impl Target {
    /// Reads one input.
    fn read(&self, text: &str, heard: &mut Heard) -> Result<(), FrameFault> {
        let context = Context { instruments: &self.instruments, source: SourceId(3), received: RECEIVED };
        let one = &self.instruments.all()[0];
        match self.kind {
            Kind::Frames => {
                self.venue.parse(text, &context, heard);
                let num_outcomes = heard.events.len() + heard.faults.len();
                assert!(num_outcomes > 0 || heard.num_ignored > 0, "nobody hears of the frame");
                Ok(())
            }
            Kind::Trades => self.venue.read_trades(text, &trades_page(one), &context, heard).map(|_| ()),
            Kind::Bars => self.venue.read_bars(text, &bars_page(one), &context, heard).map(|_| ()),
            Kind::Instruments => self.venue.read_instruments(text).map(|_| ()),
            Kind::Polls => {
                let poll = &self.polls[text.len() % self.polls.len()];
                self.venue.read_poll(text, poll, &context, heard)
            }
        }
    }

    /// Reads so many inputs. Shows the one it is at, and what it is done with.
    fn run(&self, num_inputs: usize, seed: u64, current: &Mutex<Vec<u8>>, done: &AtomicUsize) {
        let settings = Arc::<CoreSettings>::default();
        let mut random = Pcg64::seed_from_u64(seed);
        let (mut heard, mut state) = (Heard::default(), core(&settings));
        let (mut pos, mut entries, mut effects) = (0, Vec::<Entry>::new(), Vec::new());
        let mut input = Vec::new();
        for at in 0..num_inputs {
            if let Some(sample) = self.corpus.get(at) {
                // The samples themselves come first.
                input.clone_from(sample);
            } else {
                self.draw(&mut random, &mut input);
            }
            current.lock().unwrap().clone_from(&input);
            let text = String::from_utf8_lossy(&input);
            heard.clear();
            let outcome = self.read(&text, &mut heard);
            self.venue.judge(random.random_range(100..600), &text);
            for fault in heard.faults.iter().chain(outcome.as_ref().err()) {
                let is_word = fault.kind.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                assert!(is_word && !fault.kind.is_empty(), "`{}` is no label", fault.kind);
                assert!(fault.reason.len() < 2_000, "a reason is for people: {}", fault.reason);
            }
            for event in heard.events.drain(..) {
                if let VenueEvent::Report(entry) | VenueEvent::LastTrade(entry) = event {
                    pos += 1;
                    entries.push(Entry { pos, ..entry });
                }
            }
            state.apply(&entries, &mut effects);
            entries.clear();
            effects.clear();
            if at % INPUTS_PER_STATE == INPUTS_PER_STATE - 1 || at + 1 == num_inputs {
                assert_whole(&mut state);
                state = core(&settings);
            }
            done.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Makes an input: a sample, changed some times, or nothing like one.
    fn draw(&self, random: &mut Pcg64, input: &mut Vec<u8>) {
        input.clear();
        if random.random_ratio(1, 32) {
            let len = random.random_range(0..200);
            input.extend((0..len).map(|_| random.random::<u8>()));
            return;
        }
        let sample = self.sample(random);
        input.extend_from_slice(sample);
        for _ in 0..random.random_range(1..6) {
            let other = self.sample(random);
            change(random, input, other);
        }
        input.truncate(INPUT_LEN_MAX);
    }

    fn sample(&self, random: &mut Pcg64) -> &[u8] {
        let among = if random.random_ratio(7, 8) { self.num_own } else { self.corpus.len() };
        &self.corpus[random.random_range(0..among)]
    }
}

fn assert_whole(state: &mut SymbolState) {
    let mut effects = Vec::new();
    state.finish(&mut effects);
    assert_eq!(state.ledger().residue(), 0, "{:?}", state.ledger());
}

/// What stands in a place where something else is expected.
const ODD: [&str; 34] = [
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "0",
    "-0",
    "-1",
    "1e308",
    "1e400",
    "-1e400",
    "1e-400",
    "1E+5",
    "0.1e-3",
    "99999999999999999999999999",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551616",
    "0.000000000000000000000000001",
    "1.",
    ".5",
    "00",
    "+1",
    "NaN",
    "\"NaN\"",
    "\"1e5\"",
    "\"0001-01-01T00:00:00Z\"",
    "\"9999-12-31T23:59:59.999999999Z\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\u{1f4c8}\"",
    "1788876818784000000000",
    "\"2026-03-08 02:30:00\"",
];

/// Changes an input in one place.
fn change(random: &mut Pcg64, input: &mut Vec<u8>, other: &[u8]) {
    let len = input.len();
    let at = random.random_range(0..=len);
    let end = (at + random.random_range(0..24)).min(len);
    match random.random_range(0..12) {
        0 if at < len => input[at] ^= 1 << random.random_range(0..8),
        1 => drop(input.drain(at..end)),
        2 => {
            let bytes: Vec<u8> = (0..random.random_range(1..8)).map(|_| random.random::<u8>()).collect();
            input.splice(at..at, bytes);
        }
        3 => {
            let again = input[at..end].repeat(random.random_range(1..40));
            input.splice(at..at, again);
        }
        // The head of one, the tail of another.
        4 => {
            input.truncate(at);
            input.extend_from_slice(&other[random.random_range(0..=other.len())..]);
        }
        5 => input.truncate(at),
        6 => {
            let opening: &[u8] = if random.random_bool(0.5) { b"[" } else { b"{\"a\":" };
            let nested = opening.repeat(random.random_range(1..400));
            input.splice(at..at, nested);
        }
        7 => {
            let digit = b'0' + random.random_range(0..10);
            if let Some(place) = input[at..].iter().position(u8::is_ascii_digit) {
                input[at + place] = digit;
            }
        }
        8 => {
            // A value of the other in place of one of this.
            if let (Some(own), Some(others)) = (value(random, input), value(random, other)) {
                input.splice(own, other[others].iter().copied());
            }
        }
        _ => {
            if let Some(own) = value(random, input) {
                input.splice(own, ODD[random.random_range(0..ODD.len())].bytes());
            }
        }
    }
}

/// Returns where some value stands: what follows a colon, a comma or a bracket, up to the next of their kind.
fn value(random: &mut Pcg64, input: &[u8]) -> Option<std::ops::Range<usize>> {
    let from = random.random_range(0..=input.len());
    let opens = |byte: &u8| matches!(byte, b':' | b',' | b'[');
    let start = from + input[from..].iter().position(opens)? + 1;
    let is_text = input.get(start) == Some(&b'"');
    let ends = |byte: &u8| {
        if is_text { *byte == b'"' } else { matches!(byte, b',' | b'}' | b']') }
    };
    let skip = usize::from(is_text);
    let len = input[start + skip..].iter().position(ends)? + skip * 2;
    Some(start..(start + len).min(input.len()))
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("`{name}` is no number: {text}")))
}

/// Runs a parser on a thread of its own, and notices when that panics or stands still.
fn fuzz(target: Target, num_inputs: usize, seed: u64) {
    let label = format!("{} {:?}", target.entry.name, target.kind);
    let (current, done) = (Arc::<Mutex<Vec<u8>>>::default(), Arc::<AtomicUsize>::default());
    let (ended, ending) = mpsc::channel();
    let (shown, counted) = (Arc::clone(&current), Arc::clone(&done));
    let thread = std::thread::spawn(move || {
        target.run(num_inputs, seed, &shown, &counted);
        // Whoever waited has given up.
        ended.send(()).ok();
    });
    let (mut last, mut told) = ((0, Instant::now()), 0);
    loop {
        let waited = ending.recv_timeout(Duration::from_millis(200));
        let num_done = done.load(Ordering::Relaxed);
        if num_done / PROGRESS_EVERY > told {
            told = num_done / PROGRESS_EVERY;
            println!("{label}: {num_done} of {num_inputs}");
        }
        if num_done > last.0 {
            last = (num_done, Instant::now());
        }
        let input = || String::from_utf8_lossy(&current.lock().unwrap()).into_owned();
        match waited {
            Ok(()) => break,
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                panic!("{label}, seed {seed}, input {num_done}: a panic (above) over {:?}", input())
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                assert!(last.1.elapsed() < WAIT_MAX, "{label}, seed {seed}: hangs over {:?}", input());
            }
        }
    }
    thread.join().expect("it ended well");
    assert_eq!(done.load(Ordering::Relaxed), num_inputs);
    println!("{label}: {num_inputs} inputs, no fault");
}

#[test]
fn no_input_whatever_makes_a_parser_panic_hang_or_lose_a_report() {
    let num_inputs = number("TICKWIRE_FUZZ_INPUTS").map_or(NUM_INPUTS, |count| count as usize);
    let seed = number("TICKWIRE_FUZZ_SEED").unwrap_or(1);
    let waiting: Vec<Target> = VENUES.iter().flat_map(targets).collect();
    assert!(waiting.len() >= VENUES.len() && num_inputs > 0);
    let waiting = Mutex::new(waiting);
    let num_threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..num_threads {
            scope.spawn(|| {
                while let Some(target) = { waiting.lock().unwrap().pop() } {
                    fuzz(target, num_inputs, seed);
                }
            });
        }
    });
}

#[test]
fn every_sample_of_a_venue_is_one_of_a_kind() {
    let known = ["frame", "trades", "bars", "instruments", "poll", "error"];
    for entry in &VENUES {
        for (name, _) in samples(entry.name) {
            let is_known = known.iter().any(|prefix| name.starts_with(prefix));
            assert!(is_known, "{}: a sample is called like what reads it: {known:?}, not {name}", entry.name);
        }
        assert!(folder(entry.name).join("SOURCES.md").is_file(), "{} names no sources", entry.name);
    }
}
