//! The fake itself, by a venue that nobody has: it does on the wire what a script says.

use super::FakeVenue;
use super::dialect::{Clock, Dialect, Ids, Past, Recording, Refusal, Session, fill};
use super::market::{Form, MarketTrade, made};
use super::script::{Fault, RestFault, Welcome};
use super::sockets::{HttpAnswer, HttpRequest};
use crate::support::process::wait_for;
use std::net::TcpStream;
use std::time::Duration;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Error, Message, WebSocket};

type Client = WebSocket<MaybeTlsStream<TcpStream>>;

/// A venue without ids and without a clock, that wants a key.
struct Plain;

impl Dialect for Plain {
    fn name(&self) -> &'static str {
        "plain"
    }

    fn symbols(&self) -> [&'static str; 2] {
        ["A", "B"]
    }

    fn ids(&self) -> Ids {
        Ids::None
    }

    fn form(&self) -> Form {
        Form { precision: 1_000_000, has_unique_times: true, has_whole_sizes: true }
    }

    fn has_past_trades(&self) -> bool {
        false
    }

    fn recording(&self) -> Recording {
        Recording { file: "", symbols: Vec::new() }
    }

    fn keys(&self) -> Vec<(&'static str, &'static str)> {
        vec![("key", "open-sesame")]
    }

    fn greeting(&self, _session: &mut Session) -> Vec<String> {
        vec!["hello".to_owned()]
    }

    fn hear(&self, message: &str, session: &mut Session, past: &Past<'_>) -> Vec<String> {
        session.is_authenticated |= session.target.contains("open-sesame");
        past.symbols
            .iter()
            .filter(|symbol| message.contains(symbol.as_str()))
            .for_each(|name| session.add(name));
        session.channels.push(message.to_owned());
        vec![format!("subscribed {}", session.symbols.join(" "))]
    }

    fn trades(&self, trades: &[&MarketTrade]) -> Vec<String> {
        let said = |trade: &&MarketTrade| {
            fill("<symbol>@<price>", &[("symbol", &trade.symbol), ("price", &trade.price)])
        };
        vec![trades.iter().map(said).collect::<Vec<_>>().join(" ")]
    }

    fn answer(&self, request: &HttpRequest, past: &Past<'_>) -> HttpAnswer {
        let bars = past.bars(request.field("symbol").unwrap_or("A"), 60_000_000_000);
        HttpAnswer::ok(format!("{} bars at {}", bars.len(), past.rest_url))
    }

    fn refusals(&self) -> Vec<Refusal> {
        vec![
            Refusal::Upgrade("401 Unauthorized", "who are you"),
            Refusal::Greeting(vec!["go away".to_owned()]),
            Refusal::Answer(vec!["wrong key".to_owned()]),
            Refusal::Close(1008, "policy"),
        ]
    }

    fn rest_refusals(&self) -> Vec<HttpAnswer> {
        vec![HttpAnswer::with_status("403 Forbidden", "no")]
    }

    fn trades_per_answer(&self) -> usize {
        10
    }
}

fn url(venue: &FakeVenue, key: &str) -> String {
    let (_, value) = venue.environment().into_iter().find(|(name, _)| name.ends_with(key)).unwrap();
    value
}

fn connect(venue: &FakeVenue) -> tungstenite::Result<Client> {
    tungstenite::connect(url(venue, "__STREAM_URL") + "/?token=open-sesame").map(|(client, _)| client)
}

/// Reads texts until the connection ends.
fn heard(client: &mut Client) -> Vec<String> {
    let texts = std::iter::from_fn(|| {
        loop {
            match client.read() {
                Ok(Message::Text(text)) => return Some(text.to_string()),
                Ok(Message::Close(Some(frame))) => return Some(format!("{} {}", frame.code, frame.reason)),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    });
    texts.collect()
}

#[test]
fn a_key_is_refused_in_every_way() {
    let venue = FakeVenue::start(&Plain, &made(["A", "B"], 5), &[]);
    venue.meet(1, Welcome::RefuseKey(0));
    assert!(matches!(connect(&venue), Err(Error::Http(answer)) if answer.status() == 401));
    for (which, expected) in
        [(1, vec!["go away"]), (2, vec!["hello", "wrong key"]), (3, vec!["hello", "1008 policy"])]
    {
        venue.meet(1, Welcome::RefuseKey(which));
        let mut client = connect(&venue).unwrap();
        // It may be closed by then.
        client.send(Message::text("key")).ok();
        assert_eq!(heard(&mut client), expected, "{which}");
    }
    venue.meet(1, Welcome::AcceptThenKick);
    let mut client = connect(&venue).unwrap();
    client.send(Message::text("A B")).unwrap();
    assert_eq!(heard(&mut client), ["hello", "subscribed A B"]);
    assert_eq!((venue.num_connections(), venue.num_played()), (5, 0));
}

#[test]
fn frames_come_whole_however_they_are_cut_and_what_nobody_heard_is_known() {
    let trades = made(["A", "B"], 60);
    let script = [
        (10, Fault::Fragments(5)),
        (20, Fault::Together(10)),
        (40, Fault::Skip(2)),
        (50, Fault::CutInFrame(3)),
    ];
    let venue = FakeVenue::start(&Plain, &trades, &script);
    let mut client = connect(&venue).unwrap();
    client.send(Message::text("A B")).unwrap();
    let said = heard(&mut client);
    let expected: Vec<String> =
        trades.iter().map(|trade| format!("{}@{}", trade.symbol, trade.price)).collect();
    let (before, together) = (expected[..20].to_vec(), vec![expected[20..30].join(" ")]);
    let all = [
        &["hello".to_owned(), "subscribed A B".to_owned()],
        &before[..],
        &together,
        &expected[30..40],
        &expected[42..50],
    ];
    assert_eq!(said, all.concat());
    assert_eq!(venue.missed(), [&trades[40..42], &trades[50..51]].concat());
}

#[test]
fn answers_over_rest_fail_as_they_are_told() {
    let trades = made(["A", "B"], 2_000);
    let venue = FakeVenue::start(&Plain, &trades, &[]);
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_millis(300)))
        .build();
    let agent: ureq::Agent = agent.into();
    let address = url(&venue, "__REST_URL");
    let get = || {
        let mut answer = agent.get(format!("{address}/bars?symbol=A")).call().ok()?;
        let wait = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        Some((answer.status().as_u16(), wait, answer.body_mut().read_to_string().ok()?))
    };
    assert_eq!(get(), Some((200, None, format!("0 bars at {address}"))));
    assert_eq!(venue.num_played(), 10, "the market of a venue that is asked goes on with each answer");
    venue.pass(1_000);
    let minutes = |at: usize| trades[at].ts / 60_000_000_000 - trades[0].ts / 60_000_000_000;
    // The last minute has not ended.
    assert_eq!(get(), Some((200, None, format!("{} bars at {address}", minutes(1_019)))));
    venue.fail_rest(1, RestFault::Limit(7));
    assert_eq!(get(), Some((429, Some("7".to_owned()), String::new())));
    venue.fail_rest(1, RestFault::RefuseKey(0));
    assert_eq!(get(), Some((403, None, "no".to_owned())));
    for fault in [RestFault::CutAfter(2), RestFault::Hang] {
        venue.fail_rest(1, fault);
        assert_eq!(get(), None, "{fault:?}");
    }
    assert_eq!(get().unwrap().0, 200);
    assert!(Plain.clock() == Clock::Ours && Plain.ids() != Ids::Unique);
    wait_for("requests that are counted", || (venue.num_requests() == 7).then_some(()));
}
