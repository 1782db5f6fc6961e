//! What an answer over REST means, by its status and the code in its body.

use super::super::text::{excerpt, number};
use super::wire::ErrorSaid;
use crate::actors::ingest::venue::Judgement;
use std::time::Duration;

/// Pause after this address was locked out: the shortest ban there is. The answer says the real end, as a rule.
const BAN_PAUSE: Duration = Duration::from_secs(120);

/// Pause after a machine in front of the venue had enough of this address. It does not say for how long.
const FIREWALL_PAUSE: Duration = Duration::from_secs(60);

/// Codes of what passes: internal error, too many requests, unexpected answer, timeout, overload.
const PASSING: [&str; 5] = ["-1001", "-1003", "-1006", "-1007", "-1008"];

/// Judges an answer.
pub(super) fn judge(status: u16, body: &str) -> Judgement {
    let by_status = Judgement::by_status(status, body);
    if by_status == Judgement::Good {
        return by_status;
    }
    // A body of another form (of a machine in between) says nothing that the status does not.
    let said: ErrorSaid<'_> = serde_json::from_str(body).unwrap_or(ErrorSaid { code: None, msg: None });
    let reason = match &said.msg {
        Some(msg) => format!("answer is {status}: {} (code {})", excerpt(msg), excerpt(number(said.code))),
        None => format!("answer is {status}: {}", excerpt(body)),
    };
    match status {
        418 => Judgement::Transient { reason, pause: Some(BAN_PAUSE) },
        403 => Judgement::Transient { reason, pause: Some(FIREWALL_PAUSE) },
        451 => Judgement::NotEntitled { reason: format!("not served in this country; {reason}") },
        408 | 429 | 500.. => Judgement::Transient { reason, pause: None },
        _ if PASSING.contains(&number(said.code)) => Judgement::Transient { reason, pause: None },
        _ => Judgement::Permanent { reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        assert_eq!(judge(200, "[]"), Judgement::Good);
        let invalid = include_str!("../../../../../tests/fixtures/venues/binance/error_invalid_symbol.json");
        let reason = "answer is 400: Invalid symbol. (code -1121)".to_owned();
        assert_eq!(judge(400, invalid), Judgement::Permanent { reason });
        for (status, body, pause) in [
            (429, r#"{"code":-1003,"msg":"Too much request weight used."}"#, None),
            (400, r#"{"code":-1003,"msg":"Too many requests."}"#, None),
            (418, r#"{"code":-1003,"msg":"IP banned until 1788876549590."}"#, Some(BAN_PAUSE)),
            (403, "<html>", Some(FIREWALL_PAUSE)),
            (503, "", None),
        ] {
            let judged = judge(status, body);
            assert!(matches!(judged, Judgement::Transient { pause: said, .. } if said == pause), "{status}");
        }
        let judged = judge(451, r#"{"code":0,"msg":"Service unavailable from a restricted location"}"#);
        assert!(
            matches!(judged, Judgement::NotEntitled { reason } if reason.contains("restricted location"))
        );
    }
}
