//! Slack: what is posted keeps the limits of Block Kit, and every answer is understood.

use super::{PATIENCE, spike, trusting};
use crate::support::receiver::{Act, Post, Receiver};
use crate::support::tls::Authority;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tickwire::actors::channels::delivery::{Attempt, Deliveries, Outcome};
use tickwire::actors::channels::gate::DeliveryPolicy;
use tickwire::actors::channels::slack::SlackChannel;
use tickwire::breaker::BreakerPolicy;
use tickwire::models::notification::{Channel, Fact, Notification, SendError};
use tickwire::retry::RetryPolicy;

/// What only the receiver and we may know.
const KEY: &str = "Zk83hunter2";

fn path() -> String {
    format!("/services/T0AAAAAAA/B0BBBBBBB/{KEY}")
}

/// Slack's own rules, as its reference of Block Kit has them.
fn rules(post: &Post) -> Option<(u16, String)> {
    if post.path != path() {
        return Some((404, format!("no_service {}", post.path)));
    }
    if post.headers.get("content-type").is_none_or(|kind| !kind.starts_with("application/json")) {
        return Some((400, "invalid_payload".to_owned()));
    }
    let message: Value = match serde_json::from_slice(&post.body) {
        Ok(message) => message,
        Err(_) => return Some((400, "invalid_payload".to_owned())),
    };
    check(&message).err().map(|fault| (400, format!("invalid_blocks: {fault}")))
}

fn check(message: &Value) -> Result<(), String> {
    let len = |text: &Value, place: &str, max: usize| {
        let text = text.as_str().ok_or(format!("{place}: no text"))?;
        match text.encode_utf16().count() {
            0 => Err(format!("{place}: must be more than 0 characters")),
            len if len > max => Err(format!("{place}: must be less than {} characters", max + 1)),
            _ => Ok(()),
        }
    };
    let text_object = |object: &Value, place: &str, max: usize, kinds: &[&str]| {
        let kind = object["type"].as_str().unwrap_or_default();
        if !kinds.contains(&kind) {
            return Err(format!("{place}: `{kind}` is no type here"));
        }
        len(&object["text"], place, max)
    };
    let list = |value: &Value, place: &str, max: usize| {
        let items = value.as_array().ok_or(format!("{place}: no list"))?;
        if items.is_empty() || items.len() > max {
            return Err(format!("{place}: must have 1 to {max} items, not {}", items.len()));
        }
        Ok(items.clone())
    };
    len(&message["text"], "text", 40_000)?;
    for attachment in list(&message["attachments"], "attachments", 20)? {
        let color = attachment["color"].as_str().unwrap_or_default();
        if color.len() != 7 || !color.starts_with('#') {
            return Err(format!("color: `{color}`"));
        }
        for block in list(&attachment["blocks"], "blocks", 50)? {
            match block["type"].as_str().unwrap_or_default() {
                "header" => text_object(&block["text"], "header", 150, &["plain_text"])?,
                "section" => {
                    if block["text"].is_null() && block["fields"].is_null() {
                        return Err("section: neither text nor fields".to_owned());
                    }
                    if !block["text"].is_null() {
                        text_object(&block["text"], "section", 3_000, &["mrkdwn", "plain_text"])?;
                    }
                    if !block["fields"].is_null() {
                        for field in list(&block["fields"], "fields", 10)? {
                            text_object(&field, "field", 2_000, &["mrkdwn", "plain_text"])?;
                        }
                    }
                }
                "context" => {
                    for element in list(&block["elements"], "context", 10)? {
                        text_object(&element, "context", 3_000, &["mrkdwn", "plain_text"])?;
                    }
                }
                "actions" => {
                    for element in list(&block["elements"], "actions", 25)? {
                        text_object(&element["text"], "button", 75, &["plain_text"])?;
                        len(&element["url"], "url", 3_000)?;
                    }
                }
                other => return Err(format!("`{other}` is no type of block")),
            }
        }
    }
    Ok(())
}

fn channel(receiver: &Receiver, authority: &Authority, timeout: Duration) -> SlackChannel {
    SlackChannel::new(receiver.url(&path()).parse().unwrap(), &trusting(&authority.ca_file), timeout)
}

fn deliveries(receiver: &Receiver, authority: &Authority, timeout: Duration) -> Deliveries {
    let policy = DeliveryPolicy {
        timeout,
        retry: RetryPolicy { delay: Duration::from_secs(2), max_delay: Duration::from_secs(300) },
        breaker: BreakerPolicy { failures: 5, open_for: Duration::from_secs(60) },
        fallback_after: 3,
    };
    Deliveries::new(vec![Arc::new(channel(receiver, authority, timeout))], policy)
}

/// Returns all texts of a message, one a line.
fn texts(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text}\n"),
        Value::Array(items) => items.iter().map(texts).collect(),
        Value::Object(fields) => fields.values().map(texts).collect(),
        _ => String::new(),
    }
}

#[tokio::test]
async fn an_alert_is_posted_with_all_that_it_says() {
    let authority = Authority::new();
    let slack = Receiver::secure(&authority, rules);
    let receipt = channel(&slack, &authority, PATIENCE).send(&spike()).await.unwrap();
    assert_eq!(receipt.0, "200 ok");
    let posts = slack.posts();
    assert_eq!(posts.len(), 1);
    let message = posts[0].json();
    let said = texts(&message);
    for text in [
        "[high] AAPL: 6.3 % off the mean of 20 bars",
        "The threshold is 5 %: &lt;check&gt; &amp; decide.",
        "*Threshold*\n5 %",
        "https://desk.example/#/AAPL",
        "price_spike · high · <!date^1767366245^",
        "#ef6c00",
        "01JDK-7",
        "█",
    ] {
        assert!(said.contains(text), "{text} in {said}");
    }
}

#[tokio::test]
async fn what_is_too_long_is_cut_and_the_rest_said() {
    let authority = Authority::new();
    let slack = Receiver::secure(&authority, rules);
    let long = "<&😀 ".repeat(5_000);
    let many = |num: usize| (0..num).map(|at| format!("SYM{at:05}")).collect();
    let facts = |num: usize| (0..num).map(|_| Fact::new(long.clone(), long.clone())).collect();
    let monsters = [
        Notification {
            title: long.clone(),
            text: long.clone(),
            symbols: many(20_000),
            facts: facts(1_000),
            ..spike()
        },
        Notification {
            link: Some(format!("https://h/{long}")),
            id: long.clone(),
            alert_type: long.clone(),
            ..spike()
        },
        Notification { facts: facts(430), ..spike() },
        Notification {
            title: String::new(),
            text: " \n".to_owned(),
            facts: vec![Fact::new("", "")],
            ..spike()
        },
        Notification { symbols: Vec::new(), facts: Vec::new(), bars: Vec::new(), link: None, ..spike() },
    ];
    let channel = channel(&slack, &authority, PATIENCE);
    for (at, monster) in monsters.iter().enumerate() {
        let taken = channel.send(monster).await;
        assert!(taken.is_ok(), "{at}: {taken:?}");
    }
    let said = texts(&slack.posts()[0].json());
    assert!(said.contains("more characters)"), "{said}");
    assert!(said.contains("*20000 symbols:* SYM00000, SYM00001"), "{said}");
    let (_, rest) = said.split_once(" and ").unwrap();
    let num_left: usize = rest.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(said.matches("SYM").count() + num_left, 20_000, "all are shown or counted");
    assert!(said.contains("… and 570 more values"), "43 blocks of 10 are shown: {said}");
}

#[tokio::test]
async fn slack_that_is_busy_is_left_alone_as_long_as_it_asks() {
    let authority = Authority::new();
    let slack = Receiver::secure(&authority, rules);
    let deliveries = deliveries(&slack, &authority, PATIENCE);
    slack.act([Act::Answer(429, vec![("retry-after", "37".to_owned())], "rate_limited".to_owned())]);
    let delivered = deliveries.deliver(&["slack"], &spike(), 0).await.unwrap();
    assert_eq!(delivered.outcome, Outcome::Retry(Duration::from_secs(37)));
    let delivered = deliveries.deliver(&["slack"], &spike(), 1).await.unwrap();
    let [("slack", Attempt::LeftAlone(pause))] = delivered.attempts[..] else { panic!("{delivered:?}") };
    assert!(pause > Duration::from_secs(30), "{pause:?}");
    assert_eq!(slack.posts().len(), 1, "it was not asked again");
}

#[tokio::test]
async fn an_error_of_slack_says_what_helps_and_not_the_key() {
    let authority = Authority::new();
    let slack = Receiver::secure(&authority, rules);
    let channel = channel(&slack, &authority, PATIENCE);
    let echo = format!("rollup_error at {}{}", slack.url(""), path());
    let gone = format!("no_service for {KEY}");
    slack.act([
        Act::answer(500, &echo),
        Act::answer(404, &gone),
        Act::answer(400, "invalid_blocks"),
        Act::Break,
    ]);
    let mut errors = Vec::new();
    for _ in 0..4 {
        errors.push(channel.send(&spike()).await.unwrap_err());
    }
    let SendError::Transient { may_have_arrived: false, .. } = errors[0] else { panic!("{errors:?}") };
    let SendError::Unusable { .. } = errors[1] else { panic!("{errors:?}") };
    let SendError::Refused { .. } = errors[2] else { panic!("{errors:?}") };
    let SendError::Transient { may_have_arrived: true, .. } = errors[3] else { panic!("{errors:?}") };
    let said = format!("{errors:?}");
    assert!(
        !said.contains("hunter2") && said.contains("rollup_error at ") && said.contains("no_service for ***"),
        "{said}"
    );
}

#[tokio::test]
async fn slack_that_hangs_has_failed_and_may_have_taken_it() {
    let authority = Authority::new();
    let slack = Receiver::secure(&authority, rules);
    slack.act([Act::Hang]);
    // On a busy machine the shorter ones end before the message has been sent.
    for seconds in [1, 2, 4, 8, 16] {
        let deliveries = deliveries(&slack, &authority, Duration::from_secs(seconds));
        let delivered = deliveries.deliver(&["slack"], &spike(), 0).await.unwrap();
        let [("slack", Attempt::Failed(error))] = &delivered.attempts[..] else { panic!("{delivered:?}") };
        assert_eq!(error.to_string(), "no answer in time");
        if error.may_have_arrived() && !slack.posts().is_empty() {
            break;
        }
    }
    assert_eq!(slack.posts().len(), 1);
    let delivered = deliveries(&slack, &authority, PATIENCE).deliver(&["slack"], &spike(), 1).await.unwrap();
    assert_eq!(delivered.outcome, Outcome::Sent("slack"), "the next one finds it well");
}

#[tokio::test]
async fn nothing_is_posted_to_somebody_else() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let slack = Receiver::secure(&stranger, rules);
    let error = channel(&slack, &authority, PATIENCE).send(&spike()).await.unwrap_err();
    assert!(!error.may_have_arrived() && !error.to_string().contains("hunter2"), "{error:?}");
    assert!(slack.posts().is_empty());
    // Nor is what asks to be sent somewhere else.
    let slack = Receiver::secure(&authority, rules);
    let other = Receiver::secure(&authority, |_| None);
    slack.act([Act::Answer(307, vec![("location", other.url("/"))], String::new())]);
    let error = channel(&slack, &authority, PATIENCE).send(&spike()).await.unwrap_err();
    assert!(matches!(error, SendError::Unusable { .. }), "{error:?}");
    assert!(other.posts().is_empty());
}
