//! Foreign text on its way to a terminal: what rows, names, payloads and paths hold must not move its cursor, begin a
//! line of its own or turn the reading direction round.
//!
//! Promises: nothing that is shown through here holds a control character or an invisible one that changes how the rest
//! is shown; such a character is written as its escape (`\n`, `\u{1b}`). Everything else stays as it is.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// True for characters that act on a terminal or on their neighbours instead of being shown.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Escapes what must not reach a terminal.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, is_hidden)
}

/// As [`visible`], but for text that we put together of several lines, whose foreign parts hold none.
#[must_use]
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && is_hidden(c))
}

fn escaped(text: &str, is_hidden: fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Writes to another writer what [`visible`] makes of it.
#[derive(Debug)]
pub struct Visible<W>(pub W);

impl<W: Write> Write for Visible<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(&visible(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_escaped_and_the_rest_is_not() {
        let table = [
            ("AAPL 12.5 €, naïve 価格", "AAPL 12.5 €, naïve 価格"),
            ("\u{1b}[2Jgone\r\n", "\\u{1b}[2Jgone\\r\\n"),
            ("a\u{9b}31mb\u{7f}\0\t", "a\\u{9b}31mb\\u{7f}\\u{0}\\t"),
            ("\u{202e}LPAA\u{2066}\u{feff}\u{2028}", "\\u{202e}LPAA\\u{2066}\\u{feff}\\u{2028}"),
        ];
        for (text, shown) in table {
            assert_eq!(visible(text), shown);
            let mut written = String::new();
            write!(Visible(&mut written), "{text}").expect("strings take everything");
            assert_eq!(written, shown);
        }
        assert_eq!(visible_lines("two\nlines\u{1b}"), "two\nlines\\u{1b}");
    }
}
