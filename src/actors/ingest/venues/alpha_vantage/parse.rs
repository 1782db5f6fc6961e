//! What an answer means: bars of a series, or an exchange rate.
//!
//! Times are written without a zone, which the answer names beside them. A time that its zone had twice, or never, is none.
//! The newest bar of an answer may form still; it is left out until it is over.

use super::wire::{Answer, Fields, Series, Text, bare, field};
use crate::actors::ingest::config::BarStamp;
use crate::actors::ingest::venue::{Context, FrameFault, Heard, Instrument, VenueEvent};
use crate::actors::ingest::venues::reports::{BarTexts, QuoteTexts, Reader};
use crate::actors::ingest::venues::text::{event_time, number, unknown_symbol, unusable};
use crate::models::time::{Nanos, Width};
use chrono::{NaiveDateTime, TimeZone};
use chrono_tz::Tz;
use std::time::Duration;

/// How answers are read.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    /// Which end of a bar its time is.
    pub stamp: BarStamp,
    /// How far the venue is behind.
    pub delay: Duration,
}

/// Reads an answer that speaks of one symbol.
pub(super) fn answer(
    body: &str,
    venue_symbol: &str,
    reading: Reading,
    context: &Context<'_>,
    heard: &mut Heard,
) -> Result<(), FrameFault> {
    let Some(instrument) = context.instruments.find(venue_symbol) else {
        return Err(unknown_symbol("symbol", venue_symbol));
    };
    let malformed = |error| FrameFault::malformed("answer of this venue", error);
    let answer: Answer<'_> = serde_json::from_str(body).map_err(malformed)?;
    let series = answer.iter().find_map(|(key, value)| Some((width_of(&key.0)?, *value)));
    let rate = answer.get("Realtime Currency Exchange Rate").copied();
    match (series, rate) {
        (Some((width, rows)), _) => {
            let meta: Fields<'_> = match answer.get("Meta Data") {
                Some(meta) => serde_json::from_str(meta.get()).map_err(malformed)?,
                None => Fields::new(),
            };
            let rows: Series<'_> = serde_json::from_str(rows.get()).map_err(malformed)?;
            let zone = zone(&meta, instrument)?;
            bars(&rows, width, zone, instrument, reading, context, heard);
            Ok(())
        }
        (None, Some(rate)) => {
            let rate: Fields<'_> = serde_json::from_str(rate.get()).map_err(malformed)?;
            let ts = rate_time(&rate, instrument, context)?;
            let mut reader = Reader { instrument, context, num_rounded: &mut heard.num_rounded };
            let quote = reader.quote(ts, &sides(&rate))?;
            heard.events.push(VenueEvent::Report(quote));
            Ok(())
        }
        (None, None) => Err(FrameFault {
            kind: "no_data",
            reason: "the venue has nothing of this symbol".to_owned(),
            venue_symbol: Some(venue_symbol.to_owned()),
        }),
    }
}

/// Returns the width of the bars of a series by its key: `Time Series (1min)`, `Time Series FX (5min)`.
fn width_of(key: &str) -> Option<Width> {
    let (name, rest) = key.split_once('(')?;
    bare(name).starts_with("Time Series").then(|| Width::parse(rest.strip_suffix(')')?)).flatten()
}

/// Returns the zone of an answer's times; where it names none, that of what it speaks of.
fn zone(fields: &Fields<'_>, instrument: &Instrument) -> Result<Tz, FrameFault> {
    let is_pair = instrument.venue_symbol.contains('-');
    let name = match number(field(fields, "Time Zone")) {
        "" if is_pair => "UTC",
        "" => "US/Eastern",
        name => name,
    };
    name.parse().map_err(|_| unusable("bad_time", "Time Zone", name, &instrument.venue_symbol))
}

/// Reads a local time; `None` for one that its zone had twice, or never.
fn local(text: &str, zone: Tz) -> Option<Nanos> {
    let formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"];
    let naive = formats.into_iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())?;
    zone.from_local_datetime(&naive).single()?.timestamp_nanos_opt().map(Nanos)
}

fn bars(
    rows: &Series<'_>,
    width: Width,
    zone: Tz,
    instrument: &Instrument,
    reading: Reading,
    context: &Context<'_>,
    heard: &mut Heard,
) {
    let delay = i64::try_from(reading.delay.as_nanos()).unwrap_or(i64::MAX);
    for (Text(time), row) in rows {
        let stamp = local(time, zone);
        let stamp = match event_time(stamp, "time", time, &instrument.venue_symbol, context) {
            Ok(stamp) => stamp,
            Err(fault) => {
                heard.faults.push(fault);
                continue;
            }
        };
        let start = match reading.stamp {
            BarStamp::Start => stamp,
            BarStamp::End => stamp.plus(-width.nanos()),
        };
        if start.plus(width.nanos()).plus(delay) > context.received {
            heard.num_ignored += 1;
            continue;
        }
        let text = |name| number(field(row, name));
        let texts = BarTexts {
            open: text("open"),
            high: text("high"),
            low: text("low"),
            close: text("close"),
            volume: text("volume"),
        };
        let mut reader = Reader { instrument, context, num_rounded: &mut heard.num_rounded };
        match reader.bar(start, width, &texts) {
            Ok(entry) => heard.events.push(VenueEvent::Report(entry)),
            Err(fault) => heard.faults.push(fault),
        }
    }
}

fn rate_time(rate: &Fields<'_>, instrument: &Instrument, context: &Context<'_>) -> Result<Nanos, FrameFault> {
    let text = number(field(rate, "Last Refreshed"));
    let zone = zone(rate, instrument)?;
    event_time(local(text, zone), "Last Refreshed", text, &instrument.venue_symbol, context)
}

/// Returns the sides of a rate. A side that is missing is a dash, or is not there; without both the rate itself is both.
fn sides<'a>(rate: &Fields<'a>) -> QuoteTexts<'a> {
    let side = |name| match number(field(rate, name)) {
        "-" => "",
        text => text,
    };
    let (bid, ask) = (side("Bid Price"), side("Ask Price"));
    let is_bare = bid.is_empty() && ask.is_empty();
    let both = number(field(rate, "Exchange Rate").filter(|_| is_bare));
    QuoteTexts {
        bid: if is_bare { both } else { bid },
        bid_size: "",
        ask: if is_bare { both } else { ask },
        ask_size: "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::ingest::venue::Instruments;
    use crate::models::entry::{Body, Entry, SourceId, VenueBar};
    use crate::models::num::{Price, Scale, Size};
    use crate::models::symbol::SymbolId;

    fn at(text: &str) -> Nanos {
        Nanos::from_rfc3339(text).expect("RFC 3339")
    }

    fn read_as(
        body: &str,
        symbol: &str,
        received: &str,
        reading: Reading,
    ) -> (Result<(), FrameFault>, Heard) {
        let instrument = |(id, name): (u32, &str)| Instrument {
            symbol: SymbolId(id),
            venue_symbol: name.to_owned(),
            price_scale: Scale::new(4).expect("a scale"),
            size_scale: Scale::new(2).expect("a scale"),
        };
        let symbols = ["MSFT", "EUR-USD", "BTC-USD"];
        let instruments = Instruments::new((0..).zip(symbols).map(instrument).collect());
        let context = Context { instruments: &instruments, source: SourceId(2), received: at(received) };
        let mut heard = Heard::default();
        let outcome = answer(body, symbol, reading, &context, &mut heard);
        (outcome, heard)
    }

    const READING: Reading = Reading { stamp: BarStamp::Start, delay: Duration::ZERO };

    fn read(body: &str, symbol: &str, received: &str) -> Heard {
        let (outcome, heard) = read_as(body, symbol, received, READING);
        outcome.expect("an answer");
        heard
    }

    fn bars_of(heard: &Heard) -> Vec<VenueBar> {
        let bar = |event: &VenueEvent| match event {
            VenueEvent::Report(Entry { body: Body::VenueBar(bar), .. }) => *bar,
            event => panic!("{event:?}"),
        };
        heard.events.iter().map(bar).collect()
    }

    const STOCK: &str = r#"{"Meta Data":{"1. Information":"Intraday (1min) ...","2. Symbol":"MSFT","3. Last Refreshed":"2026-10-05 19:59:00","4. Interval":"1min",
 "5. Output Size":"Compact","6. Time Zone":"US/Eastern"},
 "Time Series (1min)":{"2026-10-05 19:59:00":{"1. open":"86.4900","2. high":"86.5000","3. low":"86.4750","4. close":"86.5000","5. volume":"10494"},
 "2026-10-05 19:57:00":{"1. open":"86.4","2. high":"86.45","3. low":"86.40","4. close":"86.42","5. volume":"7"},
 "2026-10-05 19:58:00":{"1. open":"86.42","2. high":"86.5","3. low":"86.41","4. close":"86.49","5. volume":"812"}}}"#;

    #[test]
    fn a_series_is_bars_oldest_first_of_its_zone() {
        let bars = bars_of(&read(STOCK, "MSFT", "2026-10-06T00:00:00Z"));
        let told: Vec<_> = bars.iter().map(|bar| (bar.start, bar.close.0, bar.volume)).collect();
        let expected = [
            (at("2026-10-05T23:57:00Z"), 864_200, Size(700)),
            (at("2026-10-05T23:58:00Z"), 864_900, Size(81_200)),
            (at("2026-10-05T23:59:00Z"), 865_000, Size(1_049_400)),
        ];
        assert_eq!(told, expected);
        assert_eq!((bars[0].width_ms, bars[0].source, bars[0].trade_count), (60_000, SourceId(2), 0));
        let forming = read(STOCK, "MSFT", "2026-10-05T23:59:59Z");
        assert_eq!((forming.events.len(), forming.num_ignored), (2, 1), "the newest one is not over");
        let ends = Reading { stamp: BarStamp::End, ..READING };
        let (_, heard) = read_as(STOCK, "MSFT", "2026-10-05T23:59:00Z", ends);
        assert_eq!(bars_of(&heard).last().map(|bar| bar.start), Some(at("2026-10-05T23:58:00Z")));
        let delayed = Reading { delay: Duration::from_mins(15), ..READING };
        let (_, heard) = read_as(STOCK, "MSFT", "2026-10-06T00:14:00Z", delayed);
        assert_eq!(heard.events.len(), 2, "the newest one forms still a quarter of an hour ago");
    }

    #[test]
    fn pairs_are_in_utc_and_may_lack_a_volume() {
        let fx = r#"{"Meta Data":{"1. Information":"FX Intraday (5min)","2. From Symbol":"EUR","3. To Symbol":"USD","7. Time Zone":"UTC"},
            "Time Series FX (5min)":{"2026-10-05 11:15:00":{"1. open":"1.0923","2. high":"1.0925","3. low":"1.0922","4. close":"1.0924"}}}"#;
        let bars = bars_of(&read(fx, "EUR-USD", "2026-10-05T11:20:00Z"));
        assert_eq!(
            (bars[0].start, bars[0].width_ms, bars[0].volume),
            (at("2026-10-05T11:15:00Z"), 300_000, Size(0))
        );
        let coin = r#"{"Time Series Crypto (1min)":{"2026-10-05 11:15:00":{"1. open":"63025.4","2. high":"63025.4","3. low":"63025.4","4. close":"63025.4","5. volume":"0.25"}}}"#;
        let bars = bars_of(&read(coin, "BTC-USD", "2026-10-05T11:20:00Z"));
        assert_eq!(
            (bars[0].start, bars[0].volume),
            (at("2026-10-05T11:15:00Z"), Size(25)),
            "without a description"
        );
    }

    #[test]
    fn a_rate_is_a_quote() {
        let rate = r#"{"Realtime Currency Exchange Rate":{"1. From_Currency Code":"BTC","2. From_Currency Name":"Bitcoin","3. To_Currency Code":"USD","4. To_Currency Name":"United States Dollar",
 "5. Exchange Rate":"63025.40000000","6. Last Refreshed":"2026-10-05 11:20:09","7. Time Zone":"UTC","8. Bid Price":"63025.39000000","9. Ask Price":"63025.41000000"}}"#;
        let quote = |body: &str| match read(body, "BTC-USD", "2026-10-05T11:20:10Z").events[..] {
            [VenueEvent::Report(Entry { body: Body::Quote(quote), .. })] => quote,
            ref events => panic!("{events:?}"),
        };
        let told = quote(rate);
        assert_eq!(told.ts, at("2026-10-05T11:20:09Z"));
        assert_eq!((told.bid, told.ask), (Price(630_253_900), Price(630_254_100)));
        let one_side = quote(&rate.replace("63025.39000000", "-"));
        assert_eq!((one_side.bid, one_side.ask), (Price(0), Price(630_254_100)));
        let bare = rate.replace("8. Bid Price", "8. X").replace("63025.41000000", "-");
        assert_eq!((quote(&bare).bid, quote(&bare).ask), (Price(630_254_000), Price(630_254_000)));
    }

    #[test]
    fn what_cannot_be_read_is_a_fault() {
        let kinds = |body: &str| {
            let (outcome, heard) = read_as(body, "MSFT", "2026-10-06T00:00:00Z", READING);
            let faults = outcome.err().into_iter().chain(heard.faults);
            faults.map(|fault| fault.kind).collect::<Vec<_>>()
        };
        for (body, kind) in [
            ("", "malformed"),
            ("<html>", "malformed"),
            ("[]", "malformed"),
            ("{}", "no_data"),
            (r#"{"Time Series (7min)":{}}"#, "no_data"),
            (r#"{"Time Series (1min)":[]}"#, "malformed"),
            (&STOCK.replace("US/Eastern", "Mars"), "bad_time"),
            // An hour that there was not, and one that there was twice.
            (&STOCK.replace("2026-10-05 19:57", "2026-03-08 02:30"), "bad_time"),
            (&STOCK.replace("2026-10-05 19:57", "2025-11-02 01:30"), "bad_time"),
            (&STOCK.replace("2026-10-05 19:57", "2027-10-05 19:57"), "bad_time"),
            (&STOCK.replace("86.42\",\"5", "NaN\",\"5"), "bad_price"),
            (&STOCK.replace("\"812\"", "\"many\""), "bad_size"),
        ] {
            assert_eq!(kinds(body), [kind], "{body}");
        }
        let (outcome, _) = read_as(STOCK, "AAPL", "2026-10-06T00:00:00Z", READING);
        assert_eq!(outcome.expect_err("nobody asked").kind, "unknown_symbol");
    }
}
