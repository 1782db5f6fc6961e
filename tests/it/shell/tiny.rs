//! A venue made for these tests: its frames are words, and it needs of the shell what the test says.

use reqwest::Url;
use std::sync::Arc;
use std::time::Duration;
use tickwire::actors::ingest::venue::{
    BarsPage, Clock, Context, Cursor, FrameFault, Heard, Ids, Instrument, Judgement, Listed, Needs, Refusal,
    Request, Step, Then, TradesPage, Transport, Venue, VenueEvent,
};
use tickwire::models::entry::{Body, Entry, Trade, TradeId, Updates, VenueBar};
use tickwire::models::num::{Price, Size};
use tickwire::models::time::Nanos;

/// Name of the venue and of its source.
pub const NAME: &str = "tiny";

pub struct Tiny {
    pub needs: Needs,
    pub rest_url: Url,
}

impl Tiny {
    /// Returns what a plain venue needs: consecutive ids, its own clock, heartbeats.
    pub fn needs() -> Needs {
        Needs {
            transport: Transport::Streams(Vec::new()),
            first: Step::Subscribe,
            has_heartbeats: true,
            idle_timeout: Duration::from_secs(30),
            clock: Clock::Told,
            ids: Ids::Consecutive,
            connection_age_max: None,
            symbols_per_connection_max: None,
            symbols_max: None,
            connections_max: None,
        }
    }
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, FrameFault> {
    word.parse().map_err(|_| FrameFault {
        kind: "malformed",
        reason: format!("`{word}` is no number"),
        venue_symbol: None,
    })
}

/// Reads `ID TS PRICE SIZE`, whose id may be `-`.
fn trade(words: &[&str], instrument: &Instrument, context: &Context<'_>) -> Result<Entry, FrameFault> {
    let id = if words[0] == "-" { TradeId::default() } else { TradeId::from_text(words[0].as_bytes()) };
    let trade = Trade {
        ts: Nanos(number(words[1])?),
        received: context.received,
        price: Price(number(words[2])?),
        size: Size(number(words[3])?),
        seq: 0,
        id,
        source: context.source,
        updates: Updates::ALL,
    };
    Ok(Entry { pos: 0, symbol: instrument.symbol, body: Body::Trade(trade) })
}

fn event(words: &[&str], context: &Context<'_>) -> Result<VenueEvent, FrameFault> {
    let instrument = |symbol: &str| {
        let unknown = || FrameFault { kind: "unknown_symbol", reason: symbol.to_owned(), venue_symbol: None };
        context.instruments.find(symbol).ok_or_else(unknown)
    };
    let refused = |then, reason: &str| VenueEvent::Refused(Refusal { reason: reason.to_owned(), then });
    Ok(match words {
        ["T", symbol, rest @ ..] => VenueEvent::Report(trade(rest, instrument(symbol)?, context)?),
        ["L", symbol, rest @ ..] => VenueEvent::LastTrade(trade(rest, instrument(symbol)?, context)?),
        ["B", symbol, ts, price, size] => VenueEvent::Break {
            symbol: instrument(symbol)?.symbol,
            ts: Nanos(number(ts)?),
            price: Price(number(price)?),
            size: Size(number(size)?),
        },
        ["C", ts] => VenueEvent::Clock { time: Nanos(number(ts)?), reached: None },
        ["ALIVE"] => VenueEvent::Alive,
        ["AUTH"] => VenueEvent::Next(Step::Authenticate),
        ["SUB"] => VenueEvent::Next(Step::Subscribe),
        ["OK"] => VenueEvent::Subscribed(None),
        ["OK", symbol] => VenueEvent::Subscribed(Some((*symbol).to_owned())),
        ["NO", reason] => VenueEvent::NotSubscribed { venue_symbol: None, reason: (*reason).to_owned() },
        ["NO", symbol, reason] => VenueEvent::NotSubscribed {
            venue_symbol: Some((*symbol).to_owned()),
            reason: (*reason).to_owned(),
        },
        ["STOP", reason] => refused(Then::Stop, reason),
        ["WAIT", seconds, reason] => refused(Then::Wait(Duration::from_secs(number(seconds)?)), reason),
        ["RETRY", reason] => refused(Then::Retry, reason),
        ["END"] => VenueEvent::Ending,
        _ => return Err(number::<u64>("what").unwrap_err()),
    })
}

impl Venue for Tiny {
    fn name(&self) -> &'static str {
        NAME
    }

    fn needs(&self) -> Needs {
        self.needs.clone()
    }

    fn spell(&self, symbol: &str) -> Result<Listed, String> {
        Ok(Listed::pair(symbol, symbol))
    }

    /// A symbol that begins with a digit is of the stream of that number.
    fn stream_of(&self, venue_symbol: &str) -> usize {
        venue_symbol[..1].parse().unwrap_or(0)
    }

    fn authenticate(&self) -> Vec<String> {
        vec!["auth secret".to_owned()]
    }

    fn subscribe(&self, venue_symbols: &[&str]) -> Vec<String> {
        vec![format!("subscribe {}", venue_symbols.join(" "))]
    }

    fn unsubscribe(&self, venue_symbols: &[&str]) -> Vec<String> {
        vec![format!("unsubscribe {}", venue_symbols.join(" "))]
    }

    fn parse(&self, frame: &str, context: &Context<'_>, heard: &mut Heard) {
        let words: Vec<&str> = frame.split(' ').collect();
        match event(&words, context) {
            Ok(event) => heard.events.push(event),
            Err(fault) => heard.faults.push(fault),
        }
    }

    fn judge(&self, status: u16, body: &str) -> Judgement {
        Judgement::by_status(status, body)
    }

    fn trades_request(&self, page: &TradesPage<'_>) -> Option<Request> {
        let mut url = self.rest_url.join(&page.instrument.venue_symbol).unwrap();
        if let Some(cursor) = page.cursor {
            url.set_query(Some(cursor));
        }
        Some(Request::to(url))
    }

    /// A page is a line a trade, and perhaps a line `next CURSOR`.
    fn read_trades(
        &self,
        body: &str,
        page: &TradesPage<'_>,
        context: &Context<'_>,
        heard: &mut Heard,
    ) -> Result<Option<Cursor>, FrameFault> {
        let mut next = None;
        for line in body.lines() {
            match line.split(' ').collect::<Vec<_>>().as_slice() {
                ["next", cursor] => next = Some((*cursor).to_owned()),
                words => heard.events.push(VenueEvent::Report(trade(words, page.instrument, context)?)),
            }
        }
        Ok(next)
    }

    fn bars_request(&self, page: &BarsPage<'_>) -> Option<Request> {
        let mut url = self.rest_url.join(&format!("bars/{}", page.instrument.venue_symbol)).unwrap();
        let from: i64 = page.cursor.map_or(page.from.0, |cursor| cursor.parse().unwrap());
        url.set_query(Some(&format!("{}-{from}-{}", page.width.nanos(), page.to.0)));
        Some(Request::to(url))
    }

    /// A page is a line a bar, `START PRICE`, and perhaps a line `next START`.
    fn read_bars(
        &self,
        body: &str,
        page: &BarsPage<'_>,
        context: &Context<'_>,
        heard: &mut Heard,
    ) -> Result<Option<Cursor>, FrameFault> {
        let mut next = None;
        for line in body.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            if words[0] == "next" {
                next = Some(words[1].to_owned());
                continue;
            }
            let price = Price(number(words[1])?);
            let bar = VenueBar {
                start: Nanos(number(words[0])?),
                received: context.received,
                open: price,
                high: price,
                low: price,
                close: price,
                volume: Size(100),
                vwap: price,
                trade_count: 3,
                width_ms: u32::try_from(page.width.nanos() / 1_000_000).unwrap(),
                source: context.source,
            };
            let symbol = page.instrument.symbol;
            heard.events.push(VenueEvent::Report(Entry { pos: 0, symbol, body: Body::VenueBar(bar) }));
        }
        Ok(next)
    }
}

/// Makes the venue, with a stream at each address.
pub fn open(mut needs: Needs, streams: Vec<Url>, rest_url: Url) -> Arc<dyn Venue> {
    needs.transport = Transport::Streams(streams);
    Arc::new(Tiny { needs, rest_url })
}
