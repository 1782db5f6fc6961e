//! Slack, by an incoming webhook: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>.
//!
//! Promises: a message keeps the limits of Block Kit (<https://docs.slack.dev/reference/block-kit/blocks>): what is longer is
//! cut, and the cut text says how much is left out. What others wrote is escaped, so that no title can call a channel or hide
//! a link. The address is a key, and stands in no error. On failure: as [`super::http`] reads Slack's status; a message that
//! Slack calls malformed is refused, an address that it does not know is unusable.

use super::http::Poster;
use super::text::{color, cut, headline, last_bars, list, sparkline, utf16_len};
use crate::models::notification::{Channel, Fact, Notification, Receipt, SendError};
use crate::models::time::SECOND;
use crate::secret::Secret;
use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use rustls::ClientConfig;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Blocks of one message.
const BLOCKS_MAX: usize = 50;
/// Length of the text of a section.
const SECTION_LEN_MAX: usize = 3_000;
/// Length of the text of a header.
const HEADER_LEN_MAX: usize = 150;
/// Fields of a section.
const FIELDS_MAX: usize = 10;
/// Length of a field.
const FIELD_LEN_MAX: usize = 2_000;
/// Length of a button's address. A longer one is left out: a part of an address leads nowhere.
const URL_LEN_MAX: usize = 3_000;
/// Of a field, what its label may take.
const LABEL_LEN_MAX: usize = 200;
/// Length of what a phone shows without opening the message.
const PREVIEW_LEN_MAX: usize = 300;

/// Posts to one webhook of Slack.
pub struct SlackChannel {
    poster: Poster,
    url: Url,
}

impl SlackChannel {
    /// Makes the channel. Nothing is connected before it is needed.
    #[must_use]
    pub fn new(url: Url, tls: &Arc<ClientConfig>, timeout: Duration) -> SlackChannel {
        // Slack calls only the last part of the path a key; without it the rest says who we are and opens nothing.
        let key = url.path_segments().and_then(|mut parts| parts.next_back()).unwrap_or_default();
        let secrets = [url.as_str(), url.path(), key].map(|text| Secret::new(text.to_owned()));
        SlackChannel { poster: Poster::new(tls, timeout, &secrets), url }
    }
}

#[async_trait]
impl Channel for SlackChannel {
    fn name(&self) -> &'static str {
        "slack"
    }

    async fn send(&self, notification: &Notification) -> Result<Receipt, SendError> {
        let json = HeaderValue::from_static("application/json; charset=utf-8");
        let body = message(notification).to_string().into_bytes();
        self.poster.post(&self.url, HeaderMap::from_iter([(CONTENT_TYPE, json)]), body).await?.judge()
    }
}

/// Returns the message. Its blocks stand in an attachment, since only that has a colour.
fn message(notification: &Notification) -> Value {
    let preview = headline(notification);
    json!({
        "text": escaped(&preview, PREVIEW_LEN_MAX),
        "unfurl_links": false,
        "attachments": [{ "color": color(notification), "fallback": escaped(&preview, PREVIEW_LEN_MAX), "blocks": blocks(notification) }],
    })
}

fn blocks(notification: &Notification) -> Vec<Value> {
    let title = headline(notification);
    let title = cut(&title, HEADER_LEN_MAX, utf16_len);
    let mut blocks =
        vec![json!({ "type": "header", "text": { "type": "plain_text", "text": title, "emoji": false } })];
    let text = notification.text.trim();
    if !text.is_empty() {
        blocks.push(section(&escaped(text, SECTION_LEN_MAX)));
    }
    if notification.symbols.len() > 1 {
        let title = format!("*{} symbols:* ", notification.symbols.len());
        let names = list(&notification.symbols, SECTION_LEN_MAX - title.len(), escaped_len);
        blocks.push(section(&format!("{title}{}", escaped(&names, SECTION_LEN_MAX - title.len()))));
    }
    let mut after = Vec::new();
    let line = sparkline(last_bars(&notification.bars));
    if !line.is_empty() {
        after.push(section(&format!("`{line}`")));
    }
    if let Some(link) =
        notification.link.as_deref().filter(|link| link.chars().map(utf16_len).sum::<usize>() <= URL_LEN_MAX)
    {
        let text = json!({ "type": "plain_text", "text": "Open the chart", "emoji": false });
        after.push(
            json!({ "type": "actions", "elements": [{ "type": "button", "text": text, "url": link }] }),
        );
    }
    after.push(
        json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": context(notification) }] }),
    );
    // One more says how many facts are left out.
    let room = BLOCKS_MAX - blocks.len() - after.len() - 1;
    let shown = notification.facts.len().min(room * FIELDS_MAX);
    for facts in notification.facts[..shown].chunks(FIELDS_MAX) {
        let fields: Vec<Value> = facts.iter().map(field).collect();
        blocks.push(json!({ "type": "section", "fields": fields }));
    }
    if let left @ 1.. = notification.facts.len() - shown {
        blocks.push(section(&format!("… and {left} more values")));
    }
    blocks.append(&mut after);
    blocks
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })
}

fn field(fact: &Fact) -> Value {
    // The stars and the line's end.
    let label = escaped(fact.label.trim(), LABEL_LEN_MAX);
    let text = escaped(&fact.text, FIELD_LEN_MAX - LABEL_LEN_MAX - 3);
    json!({ "type": "mrkdwn", "text": format!("*{label}*\n{text}") })
}

/// Returns the line at the end: what it is, and when it was by the clock of whoever reads it.
fn context(notification: &Notification) -> String {
    let time = notification.time.to_rfc3339();
    let seconds = notification.time.0.div_euclid(SECOND);
    let about = escaped(&notification.alert_type, LABEL_LEN_MAX);
    let severity = notification.severity.as_str();
    let id = escaped(&notification.id, LABEL_LEN_MAX);
    let about = if about.is_empty() { String::new() } else { format!("{about} · ") };
    format!("{about}{severity} · <!date^{seconds}^{{date_short_pretty}} {{time_secs}}|{time}> · {id}")
}

/// Returns a text as Slack wants what is not meant as markup, no longer than `max` as it is sent.
fn escaped(text: &str, max: usize) -> String {
    cut(text, max, escaped_len).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Returns the length of a character as it is sent.
const fn escaped_len(c: char) -> usize {
    match c {
        '&' => 5,
        '<' | '>' => 4,
        _ => utf16_len(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::channels::sample::sample;
    use crate::models::notification::NotificationKind;

    #[test]
    fn a_message_says_what_happened_in_the_colour_of_its_severity() {
        let notification = sample(None, Some("https://desk.example/?symbol=AAPL".to_owned()));
        let message = message(&notification);
        let attachment = &message["attachments"][0];
        assert_eq!(attachment["color"], "#1976d2");
        let kinds: Vec<&str> = attachment["blocks"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|block| block["type"].as_str().expect("a type"))
            .collect();
        assert_eq!(kinds, ["header", "section", "section", "section", "actions", "context"]);
        assert_eq!(attachment["blocks"][4]["elements"][0]["url"], "https://desk.example/?symbol=AAPL");
        let resolved = Notification { kind: NotificationKind::Resolved, ..notification };
        assert_ne!(color(&resolved), "#1976d2");
    }

    #[test]
    fn what_others_wrote_is_not_markup() {
        let text = "<!channel> & <https://evil.example|click>";
        let notification =
            Notification { title: text.to_owned(), text: text.to_owned(), ..sample(None, None) };
        let message = message(&notification);
        let said = message["attachments"][0]["blocks"][1]["text"]["text"].as_str().expect("a text");
        assert_eq!(said, "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;");
        assert!(!message["text"].as_str().expect("a text").contains("<!"));
    }

    #[test]
    fn a_long_text_is_cut_as_it_is_sent() {
        let shown = escaped(&"&".repeat(1_000), SECTION_LEN_MAX);
        assert!(shown.len() <= SECTION_LEN_MAX + "…".len(), "{}", shown.len());
        assert!(shown.ends_with("… (408 more characters)"), "{shown}");
    }
}
