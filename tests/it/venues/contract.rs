//! What every live venue promises the shell: run for each of them, with frames of its own.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tickwire::actors::ingest::venue::{
    BarsPage, Context, Heard, Instrument, Instruments, TradesPage, Transport, Venue, VenueEvent,
};
use tickwire::models::entry::{Body, Entry, SourceId};
use tickwire::models::num::Scale;
use tickwire::models::symbol::SymbolId;
use tickwire::models::time::{MINUTE, Nanos, Width};
use tickwire::web::rest::param_docs::reasons;

const RECEIVED: Nanos = Nanos(1_800_000_000_000_000_000);

/// What a venue brings to its test.
pub struct Fixture<'a> {
    /// Frames of every kind that it sends.
    pub frames: &'a [&'a str],
    /// How many of them are trades.
    pub num_trades: usize,
    /// Pages of past trades.
    pub pages: &'a [&'a str],
    /// Symbols as it spells them; the frames speak of them and of no others.
    pub venue_symbols: &'a [&'a str],
}

/// Checks all of it.
pub fn holds(venue: &dyn Venue, fixture: &Fixture<'_>) {
    let instrument = |(at, name): (u32, &&str)| Instrument {
        symbol: SymbolId(at),
        venue_symbol: (*name).to_owned(),
        price_scale: Scale::PRICE,
        size_scale: Scale::SIZE,
    };
    let instruments = Instruments::new((0..).zip(fixture.venue_symbols).map(instrument).collect());
    let context = Context { instruments: &instruments, source: SourceId(3), received: RECEIVED };
    frames_are_understood(venue, fixture, &context);
    anything_is_counted_and_nothing_panics(venue, fixture, &context);
    subscriptions_cover_every_symbol(venue, fixture);
    pages_are_read(venue, fixture, &context);
}

fn parse(venue: &dyn Venue, frame: &str, context: &Context<'_>) -> Heard {
    let mut heard = Heard::default();
    venue.parse(frame, context, &mut heard);
    heard
}

/// Returns the trades among the events.
fn trades(events: &[VenueEvent]) -> Vec<Entry> {
    let trade = |event: &VenueEvent| match event {
        VenueEvent::Report(entry) | VenueEvent::LastTrade(entry) => Some(*entry),
        _ => None,
    };
    let is_trade = |entry: &Entry| matches!(entry.body, Body::Trade(_));
    events.iter().filter_map(trade).filter(is_trade).collect()
}

fn frames_are_understood(venue: &dyn Venue, fixture: &Fixture<'_>, context: &Context<'_>) {
    let mut num_trades = 0;
    for frame in fixture.frames {
        let (once, again) = (parse(venue, frame, context), parse(venue, frame, context));
        assert_eq!(once.events, again.events, "a repeat is the same: {frame}");
        assert!(once.faults.is_empty(), "{frame}: {:?}", once.faults);
        assert!(!once.events.is_empty() || once.num_ignored > 0, "{frame}");
        num_trades += trades(&once.events).len();
    }
    assert_eq!(num_trades, fixture.num_trades);
}

fn anything_is_counted_and_nothing_panics(venue: &dyn Venue, fixture: &Fixture<'_>, context: &Context<'_>) {
    let frames: Vec<String> = fixture.frames.iter().map(|&frame| frame.to_owned()).collect();
    let frame = prop::sample::select(frames);
    let damaged = (frame, any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<Vec<u8>>())
        .prop_map(|(frame, from, to, bytes)| {
            let (a, b) = (from.index(frame.len() + 1), to.index(frame.len() + 1));
            let (from, to) = (a.min(b), a.max(b));
            [&frame.as_bytes()[..from], &bytes, &frame.as_bytes()[to..]].concat()
        });
    let bytes = prop_oneof![damaged, any::<Vec<u8>>(), any::<String>().prop_map(String::into_bytes)];
    let mut runner = TestRunner::new(Config { cases: 2_000, failure_persistence: None, ..Config::default() });
    let checked = runner.run(&bytes, |bytes| {
        let text = String::from_utf8_lossy(&bytes);
        let heard = parse(venue, &text, context);
        let outcomes = heard.events.len() + heard.faults.len() + heard.num_ignored as usize;
        prop_assert!(outcomes > 0, "nobody hears of {}", text);
        for fault in &heard.faults {
            prop_assert!(reasons().contains(&fault.kind), "REST cannot be asked for `{}`", fault.kind);
        }
        let instrument = &context.instruments.all()[0];
        // An error is an answer too; what matters is that there is one.
        venue.read_trades(&text, &first_page(instrument), context, &mut Heard::default()).ok();
        venue.read_instruments(&text).ok();
        venue.read_bars(&text, &bars_page(instrument), context, &mut Heard::default()).ok();
        for poll in venue.polls(fixture.venue_symbols) {
            venue.read_poll(&text, &poll, context, &mut Heard::default()).ok();
        }
        for status in [200, 401, 403, 429, 500] {
            venue.judge(status, &text);
        }
        Ok(())
    });
    checked.unwrap();
}

fn subscriptions_cover_every_symbol(venue: &dyn Venue, fixture: &Fixture<'_>) {
    if venue.needs().transport == Transport::Polls {
        let polls = venue.polls(fixture.venue_symbols);
        for symbol in fixture.venue_symbols {
            assert!(
                polls.iter().any(|poll| poll.venue_symbols.iter().any(|asked| asked == symbol)),
                "{symbol}"
            );
        }
        return;
    }
    // Names of streams may be in lower case.
    let sent = |symbols: &[&str]| venue.subscribe(symbols).concat().to_ascii_uppercase();
    let all = sent(fixture.venue_symbols);
    for symbol in fixture.venue_symbols {
        assert!(all.contains(&symbol.to_ascii_uppercase()), "{symbol} in {all}");
    }
    let one = sent(&fixture.venue_symbols[..1]);
    for symbol in &fixture.venue_symbols[1..] {
        assert!(!one.contains(&symbol.to_ascii_uppercase()), "{symbol} was not asked for: {one}");
    }
}

fn first_page(instrument: &Instrument) -> TradesPage<'_> {
    TradesPage { instrument, after: None, before: Some(5), since: Nanos(0), until: None, cursor: None }
}

fn bars_page(instrument: &Instrument) -> BarsPage<'_> {
    let width = Width::new(MINUTE).unwrap();
    BarsPage { instrument, width, from: Nanos(0), to: RECEIVED, cursor: None }
}

fn pages_are_read(venue: &dyn Venue, fixture: &Fixture<'_>, context: &Context<'_>) {
    let instrument = &context.instruments.all()[0];
    let page = first_page(instrument);
    if venue.trades_request(&page).is_none() {
        assert!(fixture.pages.is_empty(), "a venue without past trades has no pages");
        return;
    }
    assert!(!fixture.pages.is_empty());
    for body in fixture.pages {
        let mut heard = Heard::default();
        venue.read_trades(body, &page, context, &mut heard).unwrap();
        assert!(heard.faults.is_empty() && !trades(&heard.events).is_empty(), "{body}");
        assert!(trades(&heard.events).iter().all(|entry| entry.symbol == instrument.symbol));
    }
}
