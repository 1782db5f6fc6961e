//! Texts that several channels share: cutting with the rest said, sparklines, the words and colours of a notification.
//!
//! Promises: pure; a cut text is never longer than was asked, in the unit that was asked for, and says how many characters are
//! left out. Nothing here fails.

use crate::models::anomaly::Severity;
use crate::models::notification::{ChartBar, Notification, NotificationKind};
use std::borrow::Cow;

/// Room for what is said of a rest: `… (18446744073709551615 more characters)`.
const REST_LEN_MAX: usize = 40;

/// Returns the length of a character as most limits of receivers count: in units of UTF-16. Where a receiver counts
/// characters this is the safe side.
pub(super) const fn utf16_len(c: char) -> usize {
    c.len_utf16()
}

/// Cuts a text so that its characters together are no longer than `max`, each as long as `len` says. What is cut is said at
/// the end, unless there is no room for that.
pub(super) fn cut(text: &str, max: usize, len: fn(char) -> usize) -> Cow<'_, str> {
    let fits = |max: usize| {
        let mut used = 0;
        text.char_indices().find(|&(_, c)| {
            used += len(c);
            used > max
        })
    };
    if fits(max).is_none() {
        return Cow::Borrowed(text);
    }
    let room = max.saturating_sub(REST_LEN_MAX);
    let end = fits(room).map_or(text.len(), |(at, _)| at);
    let num_left = text[end..].chars().count();
    let rest = format!("… ({num_left} more characters)");
    let kept = text[..end].trim_end();
    if room > 0 { Cow::Owned(format!("{kept}{rest}")) } else { Cow::Borrowed(&text[..end]) }
}

/// Joins names with commas, as many as fit into `max` of `len`; the number of the others is said.
pub(super) fn list(names: &[String], max: usize, len: fn(char) -> usize) -> String {
    let size = |text: &str| text.chars().map(len).sum::<usize>();
    let joined = names.join(", ");
    if size(&joined) <= max {
        return joined;
    }
    let mut text = String::new();
    let mut used = 0;
    for (at, name) in names.iter().enumerate() {
        used += size(name) + size(", ");
        if used + REST_LEN_MAX > max {
            return match (text.is_empty(), names.len() - at) {
                (true, num_left) => format!("{num_left} symbols"),
                (false, num_left) => format!("{text} and {num_left} more"),
            };
        }
        text.push_str(if at == 0 { "" } else { ", " });
        text.push_str(name);
    }
    text
}

/// Draws closes as text: `▁▃█▆`. Empty for fewer than two.
pub(super) fn sparkline(bars: &[ChartBar]) -> String {
    const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let closes: Vec<f64> = bars.iter().map(|bar| bar.close).filter(|close| close.is_finite()).collect();
    if closes.len() < 2 {
        return String::new();
    }
    let low = closes.iter().copied().fold(f64::INFINITY, f64::min);
    let span = closes.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low;
    let step = |close: f64| match STEPS.len() - 1 {
        highest if span > 0.0 => {
            STEPS[(((close - low) / span * highest as f64).round() as usize).min(highest)]
        }
        highest => STEPS[highest / 2],
    };
    closes.into_iter().map(step).collect()
}

/// Returns the last bars that a picture shows.
pub(super) fn last_bars(bars: &[ChartBar]) -> &[ChartBar] {
    &bars[bars.len().saturating_sub(crate::models::notification::CHART_BARS_MAX)..]
}

/// Returns what a title begins with: the severity of what began, else what has become of it.
pub(super) const fn tag(notification: &Notification) -> &'static str {
    match notification.kind {
        NotificationKind::Fired => notification.severity.as_str(),
        NotificationKind::Resolved => "resolved",
        NotificationKind::Withdrawn => "withdrawn",
        NotificationKind::NoData => "no data",
        NotificationKind::Test => "test",
    }
}

/// Returns the title with its tag, on one line: `[high] AAPL: price spike`.
pub(super) fn headline(notification: &Notification) -> String {
    let title: Vec<&str> = notification.title.split_whitespace().collect();
    format!("[{}] {}", tag(notification), title.join(" "))
}

/// Returns the colour of a notification, as HTML writes it.
pub(super) const fn color(notification: &Notification) -> &'static str {
    match (notification.kind, notification.severity) {
        (NotificationKind::Resolved, _) => "#2e7d32",
        (NotificationKind::Withdrawn | NotificationKind::NoData, _) => "#757575",
        (_, Severity::Low) => "#1976d2",
        (_, Severity::Medium) => "#f9a825",
        (_, Severity::High) => "#ef6c00",
        (_, Severity::Critical) => "#c62828",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_cut_is_said() {
        assert_eq!(cut("short", 5, utf16_len), "short");
        let long = "x".repeat(100);
        let shown = cut(&long, 60, utf16_len);
        assert_eq!(shown, format!("{}… (80 more characters)", "x".repeat(20)));
        assert_eq!(cut(&long, 10, utf16_len), "", "where the rest cannot be said either");
    }

    #[test]
    fn a_list_says_how_many_more_there_are() {
        let names: Vec<String> = (0..1_000).map(|at| format!("SYM{at}")).collect();
        assert_eq!(list(&names[..3], 100, utf16_len), "SYM0, SYM1, SYM2");
        let shown = list(&names, 100, utf16_len);
        assert!(shown.starts_with("SYM0, SYM1") && shown.ends_with("more"), "{shown}");
        let num_shown = shown.matches("SYM").count();
        assert!(shown.ends_with(&format!("and {} more", names.len() - num_shown)), "{shown}");
        assert_eq!(list(&names, 10, utf16_len), "1000 symbols");
    }

    #[test]
    fn a_sparkline_spans_the_lowest_and_the_highest_close() {
        let bars = |closes: &[f64]| -> Vec<ChartBar> {
            closes.iter().map(|&close| ChartBar { close, ..ChartBar::default() }).collect()
        };
        assert_eq!(sparkline(&bars(&[1.0, 8.0, 4.0])), "▁█▄");
        assert_eq!(sparkline(&bars(&[5.0, 5.0])), "▄▄");
        assert_eq!(sparkline(&bars(&[5.0])), "");
        assert_eq!(sparkline(&bars(&[f64::NAN, 1.0, 2.0])), "▁█");
    }

    proptest! {
        #[test]
        fn nothing_is_longer_than_it_may_be(text in ".{0,300}", max in 0..200_usize) {
            let len = |text: &str| text.chars().map(utf16_len).sum::<usize>();
            prop_assert!(len(&cut(&text, max, utf16_len)) <= max);
            let names: Vec<String> = text.split(' ').map(str::to_owned).collect();
            if max >= 20 {
                prop_assert!(len(&list(&names, max, utf16_len)) <= max);
            }
        }
    }
}
