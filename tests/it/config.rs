//! Layering, every fault at once, nothing secret shown, and `config/default.toml` kept true.

use std::path::PathBuf;
use tickwire::actors::ingest::config::VenueConfig;
use tickwire::actors::ingest::registry;
use tickwire::config::{Config, ConfigError, HistoryKind, Origin, Override, Secret, Sources};
use tickwire::models::detection::settings::{DetectionSettings, Method};
use tickwire::models::settings::CoreSettings;
use tickwire::models::symbol::SymbolSpec;
use toml::{Table, Value};

/// Sources that a test fills: files live as long as it does.
struct Given {
    dir: tempfile::TempDir,
    sources: Sources,
}

impl Given {
    fn new() -> Given {
        Given { dir: tempfile::tempdir().unwrap(), sources: Sources::default() }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn file(mut self, text: &str) -> Given {
        self.sources.file = Some(self.write("tickwire.toml", text));
        self
    }

    fn dotenv(mut self, text: &str) -> Given {
        self.sources.dotenv = Some(self.write(".env", text));
        self
    }

    fn env(mut self, name: &str, value: &str) -> Given {
        self.sources.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    fn flag(mut self, flag: &'static str, key: &'static str, value: impl Into<Value>) -> Given {
        self.sources.flags.push(Override { flag, key, value: value.into() });
        self
    }

    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(&self.sources)
    }

    fn config(&self) -> Config {
        self.load().unwrap()
    }

    /// Loads what must not load, and returns the faults as people see them, without the path of the test's files.
    fn faults(&self) -> Vec<String> {
        let dir = format!("{}/", self.dir.path().display());
        self.load().unwrap_err().faults.iter().map(|fault| fault.to_string().replace(&dir, "")).collect()
    }
}

#[test]
fn nothing_given_is_the_default() {
    let config = Given::new().config();
    assert_eq!(config, Config::default());
    assert_eq!(config.origin("server.rest"), &Origin::Default);
    let by_default =
        CoreSettings { detection: Some(DetectionSettings::default()), ..CoreSettings::default() };
    assert_eq!(config.core_settings(&config.core), by_default);
    assert!(config.core.shard_count() > 0);
}

#[test]
fn each_layer_wins_over_the_one_before() {
    let mut given = Given::new().file("[provider]\nrate = 1\nseed = 1\n[core]\nlateness = \"1s\"\n");
    assert_eq!((given.config().provider.rate.to_string(), given.config().provider.seed), ("1".to_owned(), 1));
    given = given.dotenv("TICKWIRE__PROVIDER__RATE=2\nTICKWIRE__PROVIDER__SEED=2\n");
    assert_eq!((given.config().provider.rate.to_string(), given.config().provider.seed), ("2".to_owned(), 2));
    given = given.env("TICKWIRE__PROVIDER__RATE", "3");
    assert_eq!((given.config().provider.rate.to_string(), given.config().provider.seed), ("3".to_owned(), 2));
    given = given.flag("--rate", "provider.rate", 4.0);
    let config = given.config();
    assert_eq!((config.provider.rate.to_string(), config.provider.seed), ("4".to_owned(), 2));
    assert_eq!(config.core.lateness, 1_000_000_000);
    assert_eq!(config.origin("provider.rate"), &Origin::Flag("--rate"));
    assert_eq!(config.origin("provider.seed"), &Origin::DotEnv("TICKWIRE__PROVIDER__SEED".to_owned()));
    assert!(matches!(config.origin("core.lateness"), Origin::File(_)));
    assert_eq!(config.origin("core.horizon"), &Origin::Default);
}

#[test]
fn the_environment_sets_values_of_every_type() {
    let config = Given::new()
        .env("TICKWIRE__DATA_DIR", "123")
        .env("TICKWIRE__SERVER__REST", "[::1]:0")
        .env("TICKWIRE__SERVER__WEBSOCKET_BROADCAST", "false")
        .env("TICKWIRE__SERVER__LIMITS__MAX_CONNECTIONS", "7")
        .env("TICKWIRE__PROVIDER__SYMBOLS", "aapl, BTC/USD,AAPL")
        .env("TICKWIRE__PROVIDER__RATE", "5")
        .env("TICKWIRE__PROVIDER__MAX_MESSAGES_PER_SECOND", "900")
        .env("TICKWIRE__CORE__WINDOWS", "30s,1min")
        .env("TICKWIRE__LOG__KIND", "memory")
        .env("TICKWIRE__LOG__RETENTION_SIZE", "3GiB")
        .env("TICKWIRE__METRICS__MAX_SYMBOLS", "")
        .env("TICKWIRE_SHARED", "not a key: one underscore")
        .config();
    assert_eq!(config.data_dir, PathBuf::from("123"), "digits are text where text is wanted");
    assert_eq!(config.server.rest.to_string(), "[::1]:0");
    assert!(!config.server.websocket_broadcast);
    assert_eq!(config.server.limits.max_connections, 7);
    assert_eq!(config.provider.symbols, ["AAPL", "BTC-USD"]);
    assert_eq!(config.provider.max_messages_per_second.map(u32::from), Some(900));
    assert_eq!(
        config.core.settings().widths.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["30s", "1min"]
    );
    assert_eq!(config.log.retention_size.0, 3 << 30);
    assert_eq!(config.metrics.max_symbols, 500, "empty is as good as not set");
}

#[test]
fn names_of_old_are_honoured_and_the_exact_ones_win() {
    let given = Given::new()
        .env("API_HOST", "0.0.0.0")
        .env("API_PORT", "9000")
        .env("WEBSOCKET_PORT", "9001")
        .env("SYMBOLS", r#"["AAPL", "MSFT"]"#)
        .env("PROCESSING_LATENCY_THRESHOLD_MS", "250")
        .env("MAX_MESSAGES_PER_SECOND", "1000");
    let config = given.config();
    assert_eq!(config.server.rest.to_string(), "0.0.0.0:9000");
    assert_eq!(config.server.websocket.to_string(), "0.0.0.0:9001");
    assert_eq!(config.server.dashboard.to_string(), "127.0.0.1:8050");
    assert_eq!(config.provider.symbols, ["AAPL", "MSFT"]);
    assert_eq!(config.metrics.latency_threshold.as_millis(), 250);
    assert_eq!(config.provider.max_messages_per_second.map(u32::from), Some(1000));
    assert_eq!(config.origin("server.rest"), &Origin::Environment("API_PORT".to_owned()));
    assert_eq!(config.ignored(), [] as [&str; 0]);

    let config = given.env("TICKWIRE__SERVER__REST", "127.0.0.1:1").env("API_HOST", "::1").config();
    assert_eq!(config.server.rest.to_string(), "127.0.0.1:1");
    assert_eq!(config.server.websocket.to_string(), "[::1]:9001");
}

#[test]
fn the_environment_wins_over_dotenv_name_by_name() {
    let config = Given::new()
        .dotenv("API_PORT=not-a-port\nWEBSOCKET_PORT=7001\nTICKWIRE__SERVER__REST=127.0.0.1:7000\n")
        .env("API_PORT", "9000")
        .config();
    assert_eq!(config.server.rest.to_string(), "127.0.0.1:9000");
    assert_eq!(config.server.websocket.to_string(), "127.0.0.1:7001");
}

#[test]
fn what_other_backends_use_is_named_and_never_shown() {
    let config = Given::new()
        .dotenv(
            "ML_RETRAIN_INTERVAL_HOURS=hunter2\nREDIS_PASSWORD=hunter2\nKAFKA_BROKER = a b c\nSMTP_URL=\n",
        )
        .env("INFLUXDB_USER", "hunter2@example")
        .env("REDIS_PASSWORD", "hunter2")
        .env("HOME", "/home/hunter2")
        .config();
    assert_eq!(config.ignored(), ["INFLUXDB_USER", "ML_RETRAIN_INTERVAL_HOURS", "REDIS_PASSWORD"]);
    assert!(!format!("{config:?}{}", config.to_toml()).contains("hunter2"));
}

#[test]
fn keys_of_venues_are_found_by_the_names_of_old_and_never_shown() {
    let config = Given::new().env("POLYGON_API_KEY", "hunter2").config();
    assert_eq!(config.origin("venues.polygon.key"), &Origin::Environment("POLYGON_API_KEY".to_owned()));
    assert!(config.ignored().is_empty());
    let printed = config.to_toml();
    assert!(printed.contains("key = \"***\" # environment variable `POLYGON_API_KEY`"), "{printed}");
    assert!(!format!("{config:?}{printed}").contains("hunter2"));
    let config = Given::new().env("POLYGON_API_KEY", "12345").config();
    assert_eq!(config.venues.polygon.key.as_ref().map(Secret::expose), Some("12345"), "digits are a key too");
}

#[test]
fn channels_are_found_by_the_names_of_old_and_never_shown() {
    let mut given = Given::new()
        .env("SLACK_WEBHOOK_URL", "https://hooks.example/services/hunter2")
        .env("SMTP_URL", "smtp://me:hunter2@mail.example")
        .env("ALERT_EMAIL", "ops@desk.example, Boss <boss@desk.example>")
        .env("TICKWIRE__ALERTS__WEBHOOK__URL", "https://api.example/bot123:hunter2/sendMessage")
        .env("TICKWIRE__ALERTS__WEBHOOK__HEADERS__AUTHORIZATION", "Bearer hunter2")
        .env("TICKWIRE__ALERTS__ALERTMANAGER__URL", "https://me:hunter2@alerts.example/am");
    let config = given.config();
    let alerts = &config.alerts;
    assert!(alerts.slack.is_enabled() && alerts.email.is_enabled() && alerts.webhook.is_enabled());
    assert_eq!(alerts.email.to, ["ops@desk.example", "Boss <boss@desk.example>"]);
    assert_eq!(alerts.webhook.headers["authorization"].expose(), "Bearer hunter2");
    let printed = config.to_toml();
    for line in [
        "webhook_url = \"***\" # environment variable `SLACK_WEBHOOK_URL`",
        "smtp_url = \"smtp://***@mail.example\" # environment variable `SMTP_URL`",
        "url = \"https://***@alerts.example/am\" # environment variable `TICKWIRE__ALERTS__ALERTMANAGER__URL`",
        "authorization = \"***\" # environment variable `TICKWIRE__ALERTS__WEBHOOK__HEADERS__AUTHORIZATION`",
    ] {
        assert!(printed.lines().any(|shown| shown == line), "{line} in {printed}");
    }
    assert!(!format!("{config:?}{printed}").contains("hunter2"));
    given.sources.is_embedded = true;
    let config = given.config();
    assert!(!config.alerts.slack.is_enabled() && !config.alerts.email.is_enabled());
    assert_eq!(config.ignored(), ["ALERT_EMAIL", "SLACK_WEBHOOK_URL", "SMTP_URL"]);
    for (name, text, key) in [
        ("SLACK_WEBHOOK_URL", "hooks.example/hunter2", "alerts.slack.webhook_url"),
        ("SMTP_URL", "smtp://hunter2@mail.example", "alerts.email.smtp_url"),
        ("TICKWIRE__ALERTS__WEBHOOK__URL", "ftp://h/hunter2", "alerts.webhook.url"),
    ] {
        let faults = Given::new().env(name, text).faults().concat();
        assert!(faults.contains(&format!("`{key}` = `")) && !faults.contains("hunter2"), "{faults}");
    }
}

#[test]
fn redis_is_found_by_the_names_of_old_and_its_address_is_never_shown() {
    let address = |given: &Given| given.config().redis.url.map(|url| url.expose().to_owned());
    let parts = Given::new().env("REDIS_HOST", "cache.example").env("REDIS_DB", "3");
    assert_eq!(address(&parts).as_deref(), Some("redis://cache.example:6379/3"));
    assert!(parts.config().redis.is_enabled());
    let whole = parts.env("REDIS_URL", "rediss://u:hunter2@one.example:1/2").dotenv("REDIS_PORT=7\n");
    assert_eq!(address(&whole).as_deref(), Some("rediss://u:hunter2@one.example:1/2"));
    // Symbols named late must not cost the address.
    let mut all =
        whole.file("[provider]\nsymbol_count = 9\n").flag("--symbols", "provider.symbols", vec!["X"]);
    let config = all.config();
    let address = config.redis.url.as_ref().map(Secret::expose);
    assert_eq!(address, Some("rediss://u:hunter2@one.example:1/2"));
    assert_eq!(config.origin("redis.url"), &Origin::Environment("REDIS_URL".to_owned()));
    assert!(!format!("{config:?}{}", config.to_toml()).contains("hunter2"));
    all.sources.is_embedded = true;
    let config = all.config();
    assert_eq!((config.redis.url.is_none(), config.redis.is_enabled()), (true, false));
    assert_eq!(config.ignored(), ["REDIS_DB", "REDIS_HOST", "REDIS_PORT", "REDIS_URL"]);

    let off = Given::new().env("REDIS_URL", "redis://h").env("TICKWIRE__REDIS__ENABLED", "false").config();
    assert!(!off.redis.is_enabled());
    for (name, text) in [("REDIS_PORT", "hunter2"), ("REDIS_URL", "hunter2")] {
        let faults = Given::new().env(name, text).faults().concat();
        assert!(faults.contains("`redis.url` = `***`") && faults.contains(name), "{faults}");
        assert!(!faults.contains("hunter2"), "{faults}");
    }
    let faults = Given::new().env("REDIS_DB", "none").faults().concat();
    assert!(faults.contains("`redis.url` = `redis://127.0.0.1:6379/none`"), "{faults}");
    let faults = Given::new().file("[redis]\nenabled = 'maybe'\non_full = 'explode'\n").faults();
    assert!(faults[0].contains("`auto`, true or false"), "{faults:?}");
    assert!(faults[1].contains("`block`, `drop_oldest`"), "{faults:?}");
}

#[test]
fn postgres_is_found_by_the_names_of_old_and_then_keeps_the_history() {
    let address = |given: &Given| given.config().postgres.url.map(|url| url.expose().to_owned());
    let parts = Given::new().env("TIMESCALEDB_PASSWORD", "hunter/2").env("TIMESCALEDB_DATABASE", "market");
    assert_eq!(parts.config().history.kind, HistoryKind::Sqlite, "nobody said where it is");
    let parts = parts.env("TIMESCALEDB_HOST", "db.example").env("TIMESCALEDB_PORT", "6543");
    let parts = parts.env("TIMESCALEDB_USER", "me");
    assert_eq!(address(&parts).as_deref(), Some("postgres://me:hunter%2F2@db.example:6543/market"));
    assert_eq!(parts.config().history.kind, HistoryKind::Postgres);
    let mut whole = parts.env("DATABASE_URL", "postgres://u:hunter2@one:1,two/db");
    assert_eq!(address(&whole).as_deref(), Some("postgres://u:hunter2@one:1,two/db"));
    let config = whole.config();
    assert!(!format!("{config:?}{}", config.to_toml()).contains("hunter"));
    whole.sources.is_embedded = true;
    let config = whole.config();
    assert_eq!((config.postgres.url, config.history.kind), (None, HistoryKind::Sqlite));
    for (name, text, shown) in [
        ("TIMESCALEDB_PORT", "hunter2", "***"),
        ("DATABASE_URL", "hunter2", "***"),
        ("DATABASE_URL", "mysql://u:hunter2@db/market?key=hunter2", "mysql://***@db/market?***"),
    ] {
        let faults = Given::new().env(name, text).faults().concat();
        assert!(faults.contains(&format!("`postgres.url` = `{shown}`")) && faults.contains(name), "{faults}");
        assert!(!faults.contains("hunter2"), "{faults}");
    }
}

#[test]
fn addresses_are_shown_without_their_users_and_their_queries() {
    let given = Given::new()
        .env("DATABASE_URL", "postgres://me:hunter2@one:1,two/db?sslmode=require")
        .env("REDIS_URL", "rediss://:hunter2@cache.example:1/2")
        .env("INFLUXDB_URL", "https://influx.example:8086");
    let printed = given.config().to_toml();
    for line in [
        "url = \"postgres://***@one:1,two/db?***\" # environment variable `DATABASE_URL`",
        "url = \"rediss://***@cache.example:1/2\" # environment variable `REDIS_URL`",
        "url = \"https://influx.example:8086\" # environment variable `INFLUXDB_URL`",
    ] {
        assert!(printed.lines().any(|shown| shown == line), "{line} in {printed}");
    }
    assert!(!printed.contains("hunter2"));
    // An address that cannot be used is shown in the same way, whoever finds the fault.
    let faults = Given::new().env("INFLUXDB_URL", "http://u:hunter2@h?x=hunter2").faults().concat();
    assert!(
        faults.contains("`influxdb.url` = `http://***@h?***`") && !faults.contains("hunter2"),
        "{faults}"
    );
}

#[test]
fn masking_a_secret_eats_no_other_letter_of_a_fault() {
    for value in ["x", "e", "own", "key"] {
        let faults = Given::new().env("TICKWIRE__NONSENSE__TOKEN", value).faults();
        let fault = faults.concat();
        assert!(
            fault.contains("`nonsense.token` = `***`") && fault.contains("unknown key `nonsense`"),
            "{fault}"
        );
        assert!(fault.contains("expected one of"), "{fault}");
    }
}

#[test]
fn every_fault_of_every_layer_is_reported_at_once() {
    let file = "
colour = 'red'
[server]
rest = 'nowhere'
workers = 0
[server.rest_api]
port = 1
[core]
lateness = '2 parsecs'
windows = ['1min', '7min']
[log]
kind = 'paper'
group_entries = -1
[provider.simulated]
rate = 5
misbehaviour = { drop = 1.5, late = { max = 'soon' } }
[graphite]
token = 'hunter2'
";
    let faults = Given::new()
        .file(file)
        .dotenv("API_PORT=70000\nTICKWIRE__HISTORY__RETENTION_AGE=a b c\n")
        .env("TICKWIRE__PROVIDER__RATE", "fast")
        .env("TICKWIRE__SERVER__LIMITS__MAX_CONNECTIONS", "-5")
        .env("TICKWIRE__NONSENSE__API_KEY", "hunter2")
        .flag("--rate", "provider.rate", f64::INFINITY)
        .faults();
    let expected = [
        ("`colour` = `red` from file `tickwire.toml`", "unknown key `colour`"),
        ("`server.rest` = `nowhere` from file `tickwire.toml`", "not an address"),
        ("`server.workers` = `0` from file `tickwire.toml`", "more than 0"),
        ("`server.rest_api.port` = `1` from file `tickwire.toml`", "unknown key `rest_api`"),
        ("`core.lateness` = `2 parsecs` from file `tickwire.toml`", "not a span"),
        ("`core.windows` = `[\"1min\", \"7min\"]` from file `tickwire.toml`", "`7min` is not a window"),
        ("`log.kind` = `paper` from file `tickwire.toml`", "expected `sqlite` or `memory`"),
        ("`log.group_entries` = `-1` from file `tickwire.toml`", "expected a whole number from 0 up"),
        ("`graphite.token` = `***` from file `tickwire.toml`", "unknown key `graphite`"),
        ("`server.rest` = `70000` from `.env` variable `API_PORT`", "not an address"),
        ("`.env` variable `TICKWIRE__HISTORY__RETENTION_AGE`", "quotes"),
        (
            "`provider.rate` = `fast` from environment variable `TICKWIRE__PROVIDER__RATE`",
            "expected a number",
        ),
        ("`server.limits.max_connections` = `-5` from environment variable", "-5"),
        ("`nonsense.api_key` = `***` from environment variable", "unknown key `nonsense`"),
        ("`provider.rate` = `inf` from flag `--rate`", "from 0.001 to 100000000 ticks"),
        ("`provider.simulated.misbehaviour.drop` = `1.5` from file `tickwire.toml`", "from 0 to 1"),
        ("`provider.simulated.rate` = `5` from file `tickwire.toml`", "unknown key `rate`"),
        ("`provider.simulated.misbehaviour.late.max` = `soon` from file `tickwire.toml`", "span"),
    ];
    for (place, reason) in expected {
        let hits = faults.iter().filter(|fault| fault.starts_with(place) && fault.contains(reason));
        assert_eq!(hits.count(), 1, "{place}: {reason} in {faults:#?}");
    }
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    assert!(!faults.concat().contains("hunter2"), "{faults:#?}");
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault_beside_the_others() {
    let faults = Given::new().file("[server]\npassword = hunter2\n").env("API_PORT", "x").faults();
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("file `tickwire.toml`: line 2: "), "{faults:?}");
    assert!(!faults.concat().contains("hunter2"), "{faults:?}");

    let mut given = Given::new();
    given.sources.file = Some(given.dir.path().join("missing.toml"));
    assert!(given.faults()[0].starts_with("file `missing.toml`: cannot be read: "));
    given = Given::new();
    given.sources.dotenv = Some(given.dir.path().join("missing.env"));
    assert_eq!(given.config(), Config::default(), "nobody need have a `.env`");
}

#[test]
fn the_message_lists_the_faults() {
    let error = Given::new().env("API_PORT", "x").env("WEBSOCKET_PORT", "y").load().unwrap_err();
    let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[1].contains("`server.rest`") && lines[2].contains("`server.websocket`"), "{lines:?}");
}

#[test]
fn symbols_named_later_win_over_a_count_asked_for_before() {
    let file = "[provider]\nsymbol_count = 9\n";
    let config = Given::new().file(file).flag("--symbols", "provider.symbols", vec!["X"]).config();
    assert_eq!((config.provider.symbol_count, config.provider.symbols), (None, vec!["X".to_owned()]));
    let config = Given::new().env("SYMBOLS", "X").flag("--symbol-count", "provider.symbol_count", 3).config();
    assert_eq!(config.provider.symbol_count.map(u32::from), Some(3));
}

#[test]
fn an_empty_section_changes_nothing_and_an_empty_unknown_one_is_a_fault() {
    assert_eq!(Given::new().file("[server]\n[server.limits]\n").config(), Config::default());
    assert_eq!(Given::new().file("[sever]\n").faults().len(), 1);
    assert_eq!(Given::new().file("server = 5\n").faults().len(), 1);
}

#[test]
fn thresholds_are_set_for_all_symbols_and_for_some() {
    let given = Given::new()
        .file(
            "[detection]\noverrides = [\
             { asset_class = \"crypto\", price_spike = { percent = 9.5 }, volume_spike = { method = \"median\" } }, \
             { symbols = [\"btc-usd\"], rsi = { overbought = 80 }, severity = { high = 2.5 } }]\n\
             [detection.price_spike]\npercent = 4\n",
        )
        .env("TICKWIRE__DETECTION__VOLUME_SPIKE__FACTOR", "2.5");
    let config = given.config();
    let settings = config.core_settings(&config.core).detection.unwrap();
    let of = |name: &str| {
        let found = settings.of(&SymbolSpec::named(name));
        (
            found.price.percent,
            found.volume.factor,
            found.volume.method,
            found.rsi.overbought,
            found.severity.high,
        )
    };
    assert_eq!(of("AAPL"), (4.0, 2.5, Method::Mean, 70.0, 2.0));
    assert_eq!(of("ETH-USD"), (9.5, 2.5, Method::Median, 70.0, 2.0));
    assert_eq!(of("BTC-USD"), (9.5, 2.5, Method::Median, 80.0, 2.5));
    let config = Given::new().file("[detection]\nenabled = false\n").config();
    let off = config.core_settings(&config.core);
    assert_eq!(off.detection, None);
}

#[test]
fn every_fault_of_detection_is_said() {
    let given = Given::new().file(
        "[detection]\nwindow = \"7min\"\noverrides = [{ price_spike = { bars = 1 } }]\n\
         [detection.price_spike]\npercent = 0\n",
    );
    let keys = ["detection.window", "detection.overrides", "detection.price_spike.percent"];
    let faults = given.faults();
    for key in keys {
        assert!(faults.iter().any(|fault| fault.contains(key)), "{key}: {faults:?}");
    }
}

#[test]
fn what_is_printed_reads_back() {
    let given = Given::new()
        .file("[provider]\nsymbol_count = 3\n[provider.simulated]\nquotes = true\n")
        .env("TICKWIRE__PROVIDER__SIMULATED__MISBEHAVIOUR__DELAY__MAX", "2min")
        .env("API_PORT", "9000")
        .flag("--seed", "provider.seed", 7);
    let printed = given.config().to_toml();
    assert!(printed.contains("rest = \"127.0.0.1:9000\" # environment variable `API_PORT`\n"), "{printed}");
    assert!(printed.contains("seed = 7 # flag `--seed`\n"), "{printed}");
    assert!(printed.contains("websocket = \"127.0.0.1:8001\"\n"), "{printed}");
    let read: Config = toml::from_str(&printed).unwrap();
    assert_eq!(Table::try_from(&read).unwrap(), Table::try_from(given.config()).unwrap());
}

fn default_file() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/default.toml")).unwrap()
}

#[test]
fn the_default_file_holds_the_defaults() {
    let config: Config = toml::from_str(&default_file()).unwrap();
    assert_eq!(config, Config::default());
}

/// Returns every key that a section knows: serde lists them when it meets one that it does not know.
fn known_keys(section: &[&str]) -> Vec<String> {
    let mut text = String::new();
    if !section.is_empty() {
        text = format!("[{}]\n", section.join("."));
    }
    let error = toml::from_str::<Config>(&format!("{text}no_such_key = 1\n")).unwrap_err();
    let (_, expected) = error.message().split_once(", expected ").expect("the message lists what is known");
    expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// True for a key that the file explains in this very section. What all venues have is explained once, at Coinbase,
/// and each has keys of its own.
fn is_explained_there(section: &[&str], key: &str) -> bool {
    let ["venues", name] = section else { return true };
    if *name == registry::KAFKA {
        return true;
    }
    let venue = registry::find(name).expect("a section is a venue's");
    if VenueConfig::OWN_KEYS.contains(&key) {
        venue.own_keys.contains(&key)
    } else {
        venue.name == "coinbase"
    }
}

#[test]
fn the_default_file_explains_every_key() {
    let text = default_file();
    // A key without a default stands there as a comment; taking the mark away must leave a right file.
    let is_optional = |line: &str| {
        let bare = line.strip_prefix("# ").and_then(|bare| bare.split_once(" = "));
        bare.is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
    };
    let lines: Vec<&str> =
        text.lines().map(|line| if is_optional(line) { &line[2..] } else { line }).collect();
    let full: Table = toml::from_str(&lines.join("\n")).unwrap();
    assert!(Given::new().file(&lines.join("\n")).load().is_ok());

    let defaults = Table::try_from(Config::default()).unwrap();
    let mut sections = vec![vec![]];
    let mut checked = 0;
    while let Some(section) = sections.pop() {
        let at = |table: &Table| {
            let inner = |table: &Table, key: &&str| table.get(*key)?.as_table().cloned();
            section.iter().try_fold(table.clone(), |table, key| inner(&table, key))
        };
        let (defaults_here, file_here) = (at(&defaults).unwrap(), at(&full).unwrap_or_default());
        for key in known_keys(&section) {
            if !is_explained_there(&section, &key) {
                continue;
            }
            assert!(file_here.contains_key(&key), "{section:?} {key} is missing");
            checked += 1;
            // Any property of librdkafka may stand in its section.
            // And any header in its.
            let is_free = [(&["kafka"][..], "librdkafka"), (&["alerts", "webhook"][..], "headers")]
                .contains(&(&section[..], key.as_str()));
            if defaults_here.get(&key).is_some_and(Value::is_table) && !is_free {
                let mut inner = section.clone();
                inner.push(Box::leak(key.into_boxed_str()));
                sections.push(inner);
            }
        }
    }
    assert!(checked > 40, "{checked}");
    for (at, line) in lines.iter().enumerate() {
        if line.contains(" = ") && !line.starts_with('#') {
            assert!(lines[at - 1].starts_with("# "), "`{line}` has no sentence above it");
        }
    }
}
