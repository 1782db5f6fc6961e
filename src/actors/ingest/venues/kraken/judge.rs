//! What an answer over REST means: errors come in the body of a good one, as `Category:Text`.

use super::super::text::excerpt;
use crate::actors::ingest::venue::Judgement;
use serde::Deserialize;
use std::borrow::Cow;
use std::time::Duration;

/// Pause after too many requests: what was asked is forgotten at about one request a second.
const RATE_PAUSE: Duration = Duration::from_secs(5);

/// Pause after the venue locked this address out. It does not say for how long; minutes are usual.
const LOCKOUT_PAUSE: Duration = Duration::from_secs(120);

/// Errors that pass: how their text begins, and the pause where one is known.
const PASSING: [(&str, Option<Duration>); 6] = [
    ("EAPI:Rate limit", Some(RATE_PAUSE)),
    ("EGeneral:Too many requests", Some(RATE_PAUSE)),
    ("EGeneral:Temporary lockout", Some(LOCKOUT_PAUSE)),
    ("EGeneral:Internal error", None),
    ("EService:", None),
    ("EAPI:Internal error", None),
];

/// The errors of an answer.
#[derive(Deserialize)]
struct Errors<'a> {
    #[serde(default, borrow)]
    error: Vec<Cow<'a, str>>,
}

/// Judges an answer.
pub(super) fn judge(status: u16, body: &str) -> Judgement {
    let by_status = Judgement::by_status(status, body);
    // A body that is no object is refused where it is read. Texts that begin with `W` are warnings.
    let errors = serde_json::from_str::<Errors<'_>>(body).map_or(Vec::new(), |errors| errors.error);
    let Some(error) = errors.iter().find(|error| !error.starts_with('W')) else {
        return match by_status {
            // No key is asked for, so this is a machine in front of the venue that has had enough of this address.
            Judgement::NotEntitled { reason } => Judgement::Transient { reason, pause: Some(LOCKOUT_PAUSE) },
            other => other,
        };
    };
    let reason = format!("the venue says {}", excerpt(error));
    match PASSING.iter().find(|(text, _)| error.starts_with(text)) {
        Some(&(_, pause)) => Judgement::Transient { reason, pause },
        None => Judgement::Permanent { reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_by_the_body_before_the_status() {
        let error = |text: &str| format!(r#"{{"error":["{text}"]}}"#);
        let trades = include_str!("../../../../../tests/fixtures/venues/kraken/trades_page.json");
        assert_eq!(judge(200, trades), Judgement::Good);
        assert_eq!(judge(200, &error("WGeneral:Deprecated")), Judgement::Good);
        let unknown = include_str!("../../../../../tests/fixtures/venues/kraken/error_unknown_pair.json");
        let reason = "the venue says EQuery:Unknown asset pair".to_owned();
        assert_eq!(judge(200, unknown), Judgement::Permanent { reason });
        for (status, body, pause) in [
            (200, error("EAPI:Rate limit exceeded"), Some(RATE_PAUSE)),
            (200, error("EGeneral:Temporary lockout"), Some(LOCKOUT_PAUSE)),
            (200, error("EService:Unavailable"), None),
            (503, error("EService:Busy"), None),
            (520, "<html>".to_owned(), None),
            (429, "slow down".to_owned(), None),
            (403, "<html>".to_owned(), Some(LOCKOUT_PAUSE)),
        ] {
            let judged = judge(status, &body);
            assert!(matches!(judged, Judgement::Transient { pause: said, .. } if said == pause), "{body}");
        }
        assert!(matches!(judge(404, ""), Judgement::Permanent { .. }));
    }
}
