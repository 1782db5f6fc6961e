//! Several feeds in one run, whose symbols are added and removed over REST: each symbol is brought by one feed at a time.

use super::dialects::coinbase::Coinbase;
use super::dialects::kraken::Kraken;
use super::fake::{Dialect, FakeVenue};
use super::live::{OPEN_WINDOWS, made_market};
use crate::support::process::{Program, command, run_args, wait_for};
use serde_json::{Value, json};

const NUM_TRADES: usize = 900;

/// The program with two feeds, a venue each.
struct Run {
    program: Program,
    agent: ureq::Agent,
}

impl Run {
    fn post(&self, body: &Value) -> (u16, Value) {
        let url = format!("{}/api/v1/symbols", self.program.address("REST"));
        let answer = self.agent.post(&url).send_json(body).unwrap();
        (answer.status().as_u16(), answer.into_body().read_json().unwrap())
    }

    fn delete(&self, symbols: &str) -> Value {
        let url = format!("{}/api/v1/symbols?symbols={symbols}", self.program.address("REST"));
        self.agent.delete(&url).call().unwrap().into_body().read_json().unwrap()
    }

    fn health(&self, feed: &str) -> String {
        let health = self.program.get("REST", "/health").unwrap().json();
        health["details"]["messages"][format!("feed_{feed}")].as_str().unwrap_or_default().to_owned()
    }

    fn in_bars(&self, source: &str) -> u64 {
        self.program.metric(&format!("tickwire_ledger_reports{{fate=\"in_bars\",source=\"{source}\"}}"))
    }

    fn until(&self, what: &str, is_true: impl Fn() -> bool) {
        wait_for(what, || is_true().then_some(()));
    }
}

#[test]
fn a_symbol_goes_from_one_feed_to_another_when_it_is_removed_and_added() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    std::fs::write(
        &file,
        "[[feeds]]\nname = 'coins'\nvenues = ['coinbase']\nsymbols = ['BTC-USD']\n\
         [[feeds]]\nname = 'others'\nvenues = ['kraken']\nsymbols = ['ETH-USD']\n",
    )
    .unwrap();
    let start =
        |dialect: &'static dyn Dialect| FakeVenue::start(dialect, &made_market(dialect, NUM_TRADES), &[]);
    let (coinbase, kraken) = (start(&Coinbase), start(&Kraken));
    let symbols = coinbase.symbols().to_vec();
    assert_eq!(
        (symbols.as_slice(), kraken.symbols()),
        (&["BTC-USD".to_owned(), "ETH-USD".to_owned()][..], &symbols[..])
    );
    [&coinbase, &kraken].into_iter().for_each(|venue| venue.pause_at(300));
    let mut run = command(&run_args(&dir.path().join("data"), &["--config", file.to_str().unwrap()]));
    run.envs(OPEN_WINDOWS).envs(coinbase.environment()).envs(kraken.environment());
    let program = Program::start(run);
    program.line_with(" ready");
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let run = Run { program, agent };
    run.until("trades of both", || run.in_bars("coinbase") > 0 && run.in_bars("kraken") > 0);

    let (status, refused) = run.post(&json!({"symbols": ["ETH-USD"], "feed": "coins"}));
    assert_eq!((status, &refused["code"]), (422, &json!("symbols_refused")), "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("is brought by the feed `others`"), "{refused}");
    assert_eq!(run.delete("ETH-USD")["removed"], json!(["ETH-USD"]));
    run.until("feed without a symbol", || run.health("others") == "no symbol is followed");
    let before = run.in_bars("coinbase");
    let (status, answer) = run.post(&json!({"symbols": ["eth/usd"], "feed": "coins"}));
    assert_eq!((status, &answer["added"]), (200, &json!(["ETH-USD"])), "{answer}");
    coinbase.wait_for_symbols(2);
    coinbase.resume();
    run.until("market of both symbols", || coinbase.num_played() == NUM_TRADES);
    run.until("their trades", || run.in_bars("coinbase") > before + 300);

    // A feed that has nothing left takes up what another one leaves.
    assert_eq!(run.delete("BTC-USD,ETH-USD")["removed"], json!(["BTC-USD", "ETH-USD"]));
    let before = run.in_bars("kraken");
    let (status, answer) = run.post(&json!({"symbols": ["BTC-USD"], "feed": "others"}));
    assert_eq!((status, &answer["added"]), (200, &json!(["BTC-USD"])), "{answer}");
    kraken.wait_for_symbols(1);
    kraken.resume();
    run.until("its trades", || kraken.num_played() == NUM_TRADES && run.in_bars("kraken") > before);
    for source in ["coinbase", "kraken"] {
        assert_eq!(run.program.metric(&format!("tickwire_ledger_residue{{source=\"{source}\"}}")), 0);
    }
    run.program.stop();
    let kept: Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("data/symbols.json")).unwrap()).unwrap();
    let expected = json!({
        "coins": {"added": [], "removed": ["BTC-USD"]},
        "others": {"added": ["BTC-USD"], "removed": ["ETH-USD"]},
    });
    assert_eq!(kept["feeds"], expected);
}
