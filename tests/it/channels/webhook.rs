//! A webhook: signed as the receiver's own code checks it, in the form that it wants.

use super::{PATIENCE, spike, trusting};
use crate::support::receiver::{Act, Receiver};
use crate::support::tls::Authority;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::json;
use std::process::Command;
use std::sync::Arc;
use tickwire::actors::channels::webhook::signature::Signer;
use tickwire::actors::channels::webhook::template::Template;
use tickwire::actors::channels::webhook::{WebhookChannel, WebhookSettings};
use tickwire::clock::ManualClock;
use tickwire::models::notification::Channel;
use tickwire::models::time::Nanos;
use tickwire::secret::Secret;

const SECRET: &str = "a secret of both";

fn channel(url: &str, authority: &Authority, body: &str) -> WebhookChannel {
    let settings = WebhookSettings {
        url: url.parse().unwrap(),
        headers: HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer hunter2"))]),
        signer: Some(Signer::new(&Secret::new(SECRET.to_owned())).unwrap()),
        template: Template::new(body).unwrap(),
        tls: trusting(&authority.ca_file),
        timeout: PATIENCE,
    };
    WebhookChannel::new(settings, Arc::new(ManualClock::new(Nanos(1_767_366_300_500_000_000))))
}

#[tokio::test]
async fn a_post_is_signed_so_that_others_can_check_it() {
    let authority = Authority::new();
    let receiver = Receiver::secure(&authority, |_| None);
    let channel = channel(&receiver.url("/in"), &authority, "");
    channel.send(&spike()).await.unwrap();
    channel.send(&spike()).await.unwrap();
    let posts = receiver.posts();
    assert_eq!(posts[0].json(), posts[1].json());
    let (post, header) = (&posts[0], |name: &str| posts[0].headers[name].clone());
    assert_eq!(
        (header("webhook-id"), header("webhook-timestamp")),
        ("01JDK-7".to_owned(), "1767366300".to_owned())
    );
    assert_eq!(
        (header("authorization"), header("content-type")),
        ("Bearer hunter2".to_owned(), "application/json".to_owned())
    );
    assert_eq!(post.json()["type"], "price_spike");
    // The receiver's own side, with what every Python has.
    let check = "import base64, hashlib, hmac, sys
secret, body, signed = sys.argv[1].encode(), sys.argv[2].encode(), f'{sys.argv[3]}.{sys.argv[4]}.{sys.argv[2]}'.encode()
print('v1,' + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode())
print('sha256=' + hmac.new(secret, body, hashlib.sha256).hexdigest())";
    let body = std::str::from_utf8(&post.body).unwrap();
    let (id, time) = (header("webhook-id"), header("webhook-timestamp"));
    let output = Command::new("python3").args(["-c", check, SECRET, body, &id, &time]).output();
    let Ok(output) = output else { return crate::support::skip::skipped("python3 is missing") };
    let expected = format!("{}\n{}\n", header("webhook-signature"), header("x-hub-signature-256"));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

#[tokio::test]
async fn a_template_makes_what_the_receiver_wants() {
    let authority = Authority::new();
    let receiver = Receiver::secure(&authority, |_| None);
    let template =
        r#"{"chat_id": -100, "text": {{ (headline ~ "\n" ~ text)[:30] }}, "up": {{ kind == "fired" }}}"#;
    channel(&receiver.url("/in"), &authority, template).send(&spike()).await.unwrap();
    let expected = json!({"chat_id": -100, "text": "[high] AAPL: 6.3 % off the mea", "up": true});
    assert_eq!(receiver.posts()[0].json(), expected);
}

#[tokio::test]
async fn a_receiver_that_repeats_our_keys_does_not_spread_them() {
    let authority = Authority::new();
    let receiver = Receiver::secure(&authority, |_| None);
    let url = receiver.url("/bot123:hunter2/sendMessage?token=hunter2");
    receiver.act([
        Act::answer(401, "Bearer hunter2 may not post to /bot123:hunter2/sendMessage?token=hunter2"),
        Act::answer(429, r#"{"ok":false,"error_code":429,"parameters":{"retry_after":35}}"#),
    ]);
    let channel = channel(&url, &authority, "");
    let error = channel.send(&spike()).await.unwrap_err();
    assert_eq!(error.to_string(), "401 *** may not post to /***/sendMessage?***");
    let error = channel.send(&spike()).await.unwrap_err();
    assert_eq!(error.retry_after().map(|pause| pause.as_secs()), Some(35), "as Telegram says it");
}
