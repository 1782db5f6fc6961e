//! Checks the channels that a venue's section asks for, where the venue has two: one that is needed, and one besides.
//!
//! Promises: what is wrong is said with what there is. Nothing here fails.

/// Returns what is wrong with the channels asked for; none is the venue's own choice. `lack` is what there is none of without
/// the one that is needed.
pub(super) fn fault(channels: &[String], needed: &str, other: &str, lack: &str) -> Option<String> {
    let there = format!("there are `{needed}` and `{other}`");
    if let Some(unknown) = channels.iter().find(|name| ![needed, other].contains(&name.as_str())) {
        return Some(format!("the channel `{unknown}` is not served; {there}"));
    }
    let is_lacking = !channels.is_empty() && channels.iter().all(|name| name != needed);
    is_lacking.then(|| format!("without `{needed}` there are no {lack}; {there}"))
}

#[cfg(test)]
mod tests {
    use super::fault;

    #[test]
    fn channels_that_are_not_served_are_refused_with_those_that_are() {
        let said = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            fault(&names, "trades", "quotes", "bars")
        };
        for names in [&[][..], &["trades"], &["quotes", "trades"]] {
            assert_eq!(said(names), None, "{names:?}");
        }
        let there = "there are `trades` and `quotes`";
        assert_eq!(said(&["ticker"]), Some(format!("the channel `ticker` is not served; {there}")));
        assert_eq!(said(&["quotes"]), Some(format!("without `trades` there are no bars; {there}")));
    }
}
