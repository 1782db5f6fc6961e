//! `tickwire dlq`: what was not accepted, listed, shown, and taken in again, from the history or from the topic of dead letters.
//!
//! Promises: `ls` and `show` only read, so they may run beside the process that fills the data directory. A letter that is taken
//! in again is judged as anything else that comes: what is there already is a repeat, and what is too late is late again, so the
//! same command may be given twice. Letters stay where they are. On failure the error says what was done by then.

mod again;
mod letters;

use super::beside::Beside;
use super::instruments::WrongUse;
use super::kafka;
use super::signals::Signals;
use crate::config::Config;
use crate::models::time::Nanos;
use crate::visible::visible;
use again::Outcome;
use letters::{Letter, Wanted, in_history, in_topic};
use std::fmt::Write as _;
use std::io::{ErrorKind, Write};

/// Characters of a payload in a list.
const EXCERPT_LEN: usize = 60;

/// Which letters are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Those of the topic, and not those of the history.
    pub is_of_topic: bool,
    /// By their names in their home; empty: all that the rest allows.
    pub ids: Vec<String>,
    /// Only of this reason.
    pub reason: Option<String>,
    /// Only of this symbol.
    pub symbol: Option<String>,
    /// Only those received from then on.
    pub since: Option<Nanos>,
    /// At most so many, the newest.
    pub limit: usize,
}

/// What is done with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// They are listed, a line each, or as lines of JSON.
    List {
        /// Whether it is JSON.
        json: bool,
    },
    /// They are shown with all that they say.
    Show,
    /// They are taken in again: by the log of the data directory, or by this topic.
    Replay {
        /// The topic.
        to: Option<String>,
    },
}

/// Does it.
///
/// # Errors
/// [`WrongUse`] where a letter is asked for that there is not; otherwise when a home cannot be read, or a letter cannot be handed
/// on.
pub fn run(selection: &Selection, action: &Action, config: &Config) -> anyhow::Result<()> {
    let text = actix::System::new().block_on(act(selection, action, config))?;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

async fn act(selection: &Selection, action: &Action, config: &Config) -> anyhow::Result<String> {
    let signals = Signals::arm(config.server.stop_timeout)?;
    let found = find(selection, config).await?;
    match action {
        Action::List { json: true } => {
            let lines =
                found.iter().map(|letter| serde_json::to_string(letter).expect("a letter is plain data"));
            Ok(lines.fold(String::new(), |text, line| format!("{text}{line}\n")))
        }
        Action::List { json: false } => Ok(list(&found)),
        Action::Show => Ok(found.iter().map(show).collect::<Vec<_>>().join("\n")),
        Action::Replay { to } => {
            // The oldest first, as they came.
            let letters: Vec<Letter> = found.into_iter().rev().collect();
            let work = async {
                match to {
                    Some(topic) => again::into_topic(&letters, topic, &kafka::settings(&config.kafka)?).await,
                    None => again::into_log(&letters, config).await,
                }
            };
            let outcome = tokio::select! {
                done = work => done?,
                by = signals.received() => {
                    anyhow::bail!("{by}; run the same command again: what was taken in already is a repeat")
                }
            };
            Ok(outcome.describe())
        }
    }
}

async fn find(selection: &Selection, config: &Config) -> anyhow::Result<Vec<Letter>> {
    let Selection { is_of_topic, ids, reason, symbol, since, limit } = selection.clone();
    let num_named = ids.len();
    let limit = if ids.is_empty() { limit } else { num_named };
    let wanted = Wanted { ids, reason, symbol, since, limit };
    let found = if is_of_topic {
        let (kafka, topic) = (kafka::settings(&config.kafka)?, config.kafka.topics.dlq.clone());
        let wanted = wanted.clone();
        actix_web::web::block(move || in_topic(&kafka, &topic, &wanted)).await??
    } else {
        in_history(&Beside::open(config).await?, &wanted).await?
    };
    let is_there = |id: &&String| found.iter().any(|letter| letter.id == **id);
    if let Some(missing) = wanted.ids.iter().find(|id| !is_there(id)) {
        return Err(WrongUse(format!("there is no dead letter `{}`", visible(missing))).into());
    }
    Ok(found)
}

fn list(letters: &[Letter]) -> String {
    let mut text = String::new();
    for letter in letters {
        let excerpt: String = letter.payload.chars().take(EXCERPT_LEN).collect();
        _ = writeln!(
            text,
            "{}  {}  {}  {}  {}",
            visible(&letter.id),
            letter.received_at.0.to_rfc3339(),
            visible(&letter.reason),
            visible(letter.symbol.as_deref().unwrap_or("-")),
            visible(&excerpt),
        );
    }
    if letters.is_empty() {
        text.push_str("no dead letters\n");
    }
    text
}

fn show(letter: &Letter) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| _ = writeln!(text, "{name:<10} {}", visible(value));
    row("id", &letter.id);
    row("reason", &letter.reason);
    row("symbol", letter.symbol.as_deref().unwrap_or("-"));
    row("provider", &letter.provider);
    row("received", &letter.received_at.0.to_rfc3339());
    row("origin", if letter.origin.is_empty() { "-" } else { &letter.origin });
    row("payload", &letter.payload);
    text
}

impl Outcome {
    fn describe(&self) -> String {
        let mut text = format!("{} handed on", self.num_sent);
        for (said, count) in &self.fates {
            _ = write!(text, ", {count} {said}");
        }
        text.push('\n');
        for (id, reason) in &self.unreadable {
            _ = writeln!(text, "left out: `{}`: {}", visible(id), visible(reason));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_letter_cannot_write_on_a_terminal() {
        let letter = Letter {
            id: "7".to_owned(),
            reason: "malformed".to_owned(),
            symbol: None,
            provider: "kafka".to_owned(),
            received_at: crate::wire::Time(Nanos(0)),
            origin: "t[0]@1".to_owned(),
            payload: "\u{1b}[2Jgarbage".to_owned(),
        };
        for text in [list(std::slice::from_ref(&letter)), show(&letter)] {
            assert!(text.contains("garbage") && !text.contains('\u{1b}'), "{text}");
        }
        assert_eq!(list(&[]), "no dead letters\n");
    }
}
