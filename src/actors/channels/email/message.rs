//! A notification as a mail: text, the same as HTML, and a picture of the last bars within it.
//!
//! Promises: what others wrote is escaped. `Message-ID` is made of the decision's id: mail that goes out twice, since nobody
//! knew whether the first arrived, is one mail to servers and programs that look for repeats. On failure: only an id or a text
//! that no header can hold, as an error.

use super::super::chart;
use super::super::text::{color, cut, headline, last_bars, list, sparkline, utf16_len};
use crate::models::anomaly::Severity;
use crate::models::notification::Notification;
use crate::models::time::Nanos;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::{Address, Message};
use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

/// Length of a subject: a line of a list of mail shows less.
const SUBJECT_LEN_MAX: usize = 200;
/// Length of the text: what is longer nobody reads in a mail.
const TEXT_LEN_MAX: usize = 20_000;
/// Length of the list of symbols.
const SYMBOLS_LEN_MAX: usize = 2_000;
/// Facts of one mail.
const FACTS_MAX: usize = 200;
/// What the HTML calls the picture.
const PICTURE: &str = "chart";

/// Who writes to whom.
#[derive(Clone, Debug)]
pub struct Correspondents {
    /// Who writes.
    pub from: Mailbox,
    /// To whom; one or more.
    pub to: Vec<Mailbox>,
}

/// Makes the mail of a notification that is sent now.
///
/// # Errors
/// What keeps it from being a mail.
pub fn mail(
    notification: &Notification,
    correspondents: &Correspondents,
    now: Nanos,
) -> Result<Message, lettre::error::Error> {
    let Correspondents { from, to } = correspondents;
    let subject = headline(notification);
    let date = UNIX_EPOCH + Duration::from_nanos(now.0.max(0).unsigned_abs());
    let header = |name: &'static str, value: &str| {
        HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
    };
    let mut builder = Message::builder()
        .from(from.clone())
        .subject(cut(&subject, SUBJECT_LEN_MAX, utf16_len))
        .date(date)
        .message_id(Some(message_id(&notification.id, &from.email)))
        // Nobody's out-of-office answers this.
        .raw_header(header("Auto-Submitted", "auto-generated"));
    if notification.severity >= Severity::High && !notification.kind.is_end() {
        builder = builder.raw_header(header("Importance", "high"));
    }
    for recipient in to {
        builder = builder.to(recipient.clone());
    }
    let picture = chart::png(&notification.bars);
    let html = SinglePart::html(html(notification, picture.is_some()));
    let text = SinglePart::plain(text(notification));
    let alternatives = MultiPart::alternative().singlepart(text);
    builder.multipart(match picture {
        None => alternatives.singlepart(html),
        Some(picture) => {
            let kind = ContentType::parse("image/png").expect("it is a type");
            let attachment = Attachment::new_inline_with_name(PICTURE.to_owned(), "chart.png".to_owned());
            let related = MultiPart::related().singlepart(html).singlepart(attachment.body(picture, kind));
            alternatives.multipart(related)
        }
    })
}

/// Makes `<id@domain>`. What an id of a mail cannot hold becomes `-`.
fn message_id(id: &str, from: &Address) -> String {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    let id: String = id.chars().map(|c| if is_allowed(c) { c } else { '-' }).collect();
    format!("<{}@{}>", id.trim_matches('.'), from.domain())
}

/// Returns the facts that are shown, and what is said of the others.
fn facts(notification: &Notification) -> (impl Iterator<Item = (&str, &str)>, Option<String>) {
    let shown = notification.facts.iter().take(FACTS_MAX);
    let left = notification.facts.len().saturating_sub(FACTS_MAX);
    let rest = (left > 0).then(|| format!("… and {left} more values"));
    (shown.map(|fact| (fact.label.as_str(), fact.text.as_str())), rest)
}

fn about(notification: &Notification) -> String {
    let Notification { alert_type, severity, time, .. } = notification;
    let kind = notification.kind.as_str();
    format!("{alert_type} · {} · {kind} · {}", severity.as_str(), time.to_rfc3339())
}

fn symbols(notification: &Notification) -> Option<String> {
    (!notification.symbols.is_empty()).then(|| list(&notification.symbols, SYMBOLS_LEN_MAX, utf16_len))
}

fn text(notification: &Notification) -> String {
    let mut text = format!("{}\n\n", headline(notification));
    let mut line = |said: &str| writeln!(text, "{said}").expect("a string takes everything");
    if !notification.text.trim().is_empty() {
        line(&format!("{}\n", cut(notification.text.trim(), TEXT_LEN_MAX, utf16_len)));
    }
    if let Some(symbols) = symbols(notification) {
        line(&format!("Symbols: {symbols}"));
    }
    let (facts, rest) = facts(notification);
    for (label, value) in facts {
        line(&format!("{label}: {value}"));
    }
    if let Some(rest) = rest {
        line(&rest);
    }
    let closes = sparkline(last_bars(&notification.bars));
    if !closes.is_empty() {
        line(&format!("\n{closes}"));
    }
    if let Some(link) = &notification.link {
        line(&format!("\n{link}"));
    }
    line(&format!("\n{}\n{}", about(notification), notification.id));
    text
}

fn html(notification: &Notification, has_picture: bool) -> String {
    let mut html = String::new();
    let mut add = |part: std::fmt::Arguments<'_>| html.write_fmt(part).expect("a string takes everything");
    let color = color(notification);
    add(format_args!(
        "<!doctype html><html><body style=\"font-family:sans-serif;color:#222\">\
         <div style=\"border-left:4px solid {color};padding-left:12px\"><h2 style=\"margin:0 0 8px\">{}</h2>",
        escaped(&headline(notification))
    ));
    for paragraph in
        cut(notification.text.trim(), TEXT_LEN_MAX, utf16_len).lines().filter(|line| !line.trim().is_empty())
    {
        add(format_args!("<p style=\"margin:4px 0\">{}</p>", escaped(paragraph)));
    }
    add(format_args!("<table cellpadding=\"4\" style=\"border-collapse:collapse\">"));
    let mut row = |label: &str, value: &str| {
        add(format_args!(
            "<tr><td style=\"color:#666\">{}</td><td><b>{}</b></td></tr>",
            escaped(label),
            escaped(value)
        ));
    };
    if let Some(symbols) = symbols(notification) {
        row("Symbols", &symbols);
    }
    let (facts, rest) = facts(notification);
    for (label, value) in facts {
        row(label, value);
    }
    if let Some(rest) = rest {
        row("", &rest);
    }
    add(format_args!("</table>"));
    if has_picture {
        let (width, height) = chart::SIZE;
        add(format_args!(
            "<p><img src=\"cid:{PICTURE}\" width=\"{width}\" height=\"{height}\" alt=\"The last bars\"></p>"
        ));
    }
    if let Some(link) = &notification.link {
        add(format_args!("<p><a href=\"{}\">Open the chart</a></p>", escaped(link)));
    }
    let (about, id) = (about(notification), &notification.id);
    add(format_args!(
        "<p style=\"color:#888;font-size:12px\">{}<br>{}</p></div></body></html>",
        escaped(&about),
        escaped(id)
    ));
    html
}

fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            '"' => shown.push_str("&quot;"),
            '\'' => shown.push_str("&#39;"),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::channels::sample::sample;

    fn made(notification: &Notification) -> String {
        let mailbox = |text: &str| text.parse().expect("a mailbox");
        let to = vec![mailbox("Ops <ops@desk.example>"), mailbox("boss@desk.example")];
        let correspondents = Correspondents { from: mailbox("Tickwire <tickwire@desk.example>"), to };
        let mail = mail(notification, &correspondents, Nanos(0)).expect("a mail");
        String::from_utf8(mail.formatted()).expect("text")
    }

    #[test]
    fn a_decision_is_one_mail_however_often_it_goes_out() {
        let id = |text: &str| message_id(text, &"a@desk.example".parse().expect("an address"));
        assert_eq!(id("01J-7f"), "<01J-7f@desk.example>");
        assert_eq!(id("a b>\r\nBcc: x@y"), "<a-b---Bcc--x-y@desk.example>");
        let mail = made(&sample(None, None));
        assert!(mail.contains("Message-ID: <test-1767366245000000000@desk.example>\r\n"), "{mail}");
        assert!(mail.contains("Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"), "{mail}");
    }

    #[test]
    fn what_others_wrote_adds_no_header_and_no_markup() {
        let title = "x\r\nBcc: evil@evil.example\r\n\r\n<script>".to_owned();
        let notification = Notification { title, ..sample(None, None) };
        let mail = made(&notification);
        let (headers, body) = mail.split_once("\r\n\r\n").expect("headers end");
        assert!(!headers.contains("\r\nBcc:"), "{headers}");
        let (text, html) = body.split_once("text/html").expect("both");
        assert!(text.contains("<script>") && !html.contains("<script>"), "{body}");
    }

    #[test]
    fn without_bars_there_is_no_picture() {
        let notification = Notification { bars: Vec::new(), ..sample(None, None) };
        let mail = made(&notification);
        assert!(!mail.contains("image/png") && !mail.contains("cid:"), "{mail}");
        assert!(made(&sample(None, None)).contains("Content-ID: <chart>"));
    }
}
