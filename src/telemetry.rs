//! Log setup, and the throttle that keeps a repeated warning from drowning the others.
//!
//! Logs go to standard error, so that standard output is for results. Two variables of the environment are read here
//! and not by the configuration, since logging starts first: `RUST_LOG` filters what is shown, `NO_COLOR` turns colours
//! off. Promises: foreign text in a line cannot act on the terminal that shows it, and no line shows what libraries send
//! and receive, since keys are in it. Where standard error is closed, as behind `2>&1 | head`, log lines are lost and
//! nothing else.

use crate::config::{LogFormat, LogLevel};
use crate::models::time::{MINUTE, Nanos};
use crate::visible::Visible;
use std::collections::HashMap;
use std::fmt::{Debug, Write};
use std::hash::Hash;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use tracing::field::Field;
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Why logging was not set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `RUST_LOG` is not a filter.
    #[error("`RUST_LOG` is not a log filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::FromEnvError),
    /// Somebody has set up logging already.
    #[error("failed to set up logging: {0}")]
    Subscriber(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What libraries log is of use to an operator from warnings on: the web server's, its starts and stops. What clients send is
/// none of an operator's errors: the HTTP library logs as such whatever cannot be read.
const QUIETER: [&str; 2] = ["actix_server=warn", "actix_http=off"];

/// Libraries whose traces hold what goes over their connections, keys and passwords among it.
const TALKATIVE: [&str; 8] =
    ["tungstenite", "tokio_tungstenite", "reqwest", "hyper", "hyper_util", "h2", "rustls", "redis"];

/// False for a line that may hold what goes over a connection, whatever `RUST_LOG` asks for.
fn holds_no_traffic(line: &Metadata<'_>) -> bool {
    let library = line.target().split("::").next().unwrap_or_default();
    *line.level() != Level::TRACE || !TALKATIVE.contains(&library)
}

/// Sends the logs of the whole process to standard error; without `RUST_LOG`, from `level` up.
///
/// # Errors
/// When `RUST_LOG` is not a filter, or logging is set up already.
pub fn init(format: LogFormat, level: LogLevel) -> Result<(), TelemetryError> {
    let default = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let mut filter = EnvFilter::builder().with_default_directive(default.into()).from_env()?;
    if std::env::var_os(EnvFilter::DEFAULT_ENV).is_none_or(|value| value.is_empty()) {
        for directive in QUIETER {
            filter = filter.add_directive(directive.parse().expect("a directive"));
        }
    }
    // Reporting a failed write to standard error on standard error would panic.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    let quiet = filter_fn(holds_no_traffic);
    match format {
        LogFormat::Human => {
            builder.with_ansi(wants_colours()).fmt_fields(fields()).finish().with(quiet).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).finish().with(quiet).try_init(),
    }
    .map_err(|error| TelemetryError::Subscriber(error.into()))
}

/// Writes the message and the fields of a line for people, escaped: a row, a name or an error may hold anything.
fn fields() -> impl for<'w> FormatFields<'w> + 'static {
    let field = |writer: &mut Writer<'_>, field: &Field, value: &dyn Debug| match field.name() {
        "message" => write!(Visible(writer), "{value:?}"),
        // Places in the code of libraries that use another logging crate.
        name if name.starts_with("log.") => Ok(()),
        name if writer.has_ansi_escapes() => {
            write!(writer, "\u{1b}[3m{name}\u{1b}[0m\u{1b}[2m=\u{1b}[0m")?;
            write!(Visible(writer), "{value:?}")
        }
        name => {
            write!(writer, "{name}=")?;
            write!(Visible(writer), "{value:?}")
        }
    };
    debug_fn(field).delimited(" ")
}

/// True on a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
fn wants_colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Lets a repeated warning through so many times a minute, and counts what it holds back.
///
/// Keys are few and fixed, one for each place that warns, so none is ever removed.
#[derive(Debug)]
pub struct Throttle<K> {
    per_minute: u64,
    keys: Mutex<HashMap<K, Minute>>,
}

/// What happened under one key since a minute began.
#[derive(Clone, Copy, Debug)]
struct Minute {
    start: Nanos,
    let_through: u64,
    held_back: u64,
}

impl<K: Eq + Hash> Throttle<K> {
    /// Makes a throttle that lets each key through this many times a minute.
    #[must_use]
    pub fn new(per_minute: u64) -> Throttle<K> {
        Throttle { per_minute, keys: Mutex::default() }
    }

    /// Asks whether a warning may be logged now. If so, returns how many under this key were held back since the
    /// last one that was let through.
    pub fn admit(&self, key: K, now: Nanos) -> Option<u64> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = keys.entry(key).or_insert(Minute { start: now, let_through: 0, held_back: 0 });
        // A clock that was set back begins a new minute too: nothing is silenced for as long as it was ahead.
        if !(0..MINUTE).contains(&now.since(minute.start)) {
            *minute = Minute { start: now, let_through: 0, ..*minute };
        }
        if minute.let_through == self.per_minute {
            minute.held_back += 1;
            return None;
        }
        minute.let_through += 1;
        Some(std::mem::take(&mut minute.held_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes lines, as standard error would.
    #[derive(Clone, Default)]
    struct Lines(std::sync::Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_for_people_holds_no_control_characters_of_others() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .fmt_fields(fields())
            .with_writer(move || writer.clone())
            .finish();
        let foreign = "a\n\u{1b}[2Jb\u{202e}";
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(at = foreign, error = %foreign, count = 3, "row `{foreign}` became no tick");
        });
        let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let escaped = "a\\n\\u{1b}[2Jb\\u{202e}";
        let expected = format!("row `{escaped}` became no tick at=\"{escaped}\" error={escaped} count=3\n");
        assert!(written.ends_with(&expected), "{written:?}");
        assert_eq!(written.chars().filter(|c| c.is_control()).count(), 1, "the end of the line: {written:?}");
    }

    #[test]
    fn what_goes_over_connections_is_never_in_a_line() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_writer(move || writer.clone())
            .finish()
            .with(filter_fn(holds_no_traffic));
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "tungstenite::protocol::frame", "frame with a key");
            tracing::trace!(target: "hyper", "head with a key");
            tracing::debug!(target: "hyper_util::client", "connected");
            tracing::trace!(target: "tickwire::actors", "our own");
        });
        let written = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(!written.contains("key"), "{written}");
        assert!(written.contains("connected") && written.contains("our own"), "{written}");
    }

    #[test]
    fn each_key_is_let_through_so_often_a_minute_and_the_rest_is_counted() {
        let throttle = Throttle::new(2);
        let start = Nanos(1_000);
        let asked: Vec<_> = (0..5).map(|i| throttle.admit("a", start.plus(i))).collect();
        assert_eq!(asked, [Some(0), Some(0), None, None, None]);
        assert_eq!(throttle.admit("b", start), Some(0), "keys do not share");
        assert_eq!(throttle.admit("a", start.plus(MINUTE)), Some(3), "reported once");
        assert_eq!(throttle.admit("a", start.plus(MINUTE)), Some(0));
        assert_eq!(throttle.admit("a", start.plus(2 * MINUTE - 1)), None);
    }

    #[test]
    fn a_clock_set_back_silences_nothing() {
        let throttle = Throttle::new(1);
        assert_eq!(throttle.admit((), Nanos(10 * MINUTE)), Some(0));
        assert_eq!(throttle.admit((), Nanos(5 * MINUTE)), Some(0));
    }
}
