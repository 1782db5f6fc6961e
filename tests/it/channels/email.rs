//! E-mail to a real mail server with TLS and users: what it got is parsed by a library that is not ours, and compared.

use super::{PATIENCE, spike};
use crate::support::process::{WAIT_MAX, wait_for};
use crate::support::python::Python;
use crate::support::tls::Authority;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tickwire::actors::channels::chart;
use tickwire::actors::channels::email::address::SmtpAddress;
use tickwire::actors::channels::email::message::Correspondents;
use tickwire::actors::channels::email::{EmailChannel, EmailSettings};
use tickwire::clock::ManualClock;
use tickwire::models::notification::{Channel, Notification, SendError};
use tickwire::models::time::Nanos;

/// A mail server of a test's own.
struct MailServer {
    child: Child,
    port: u16,
    /// What it says, a line each.
    said: Mutex<Receiver<Value>>,
    authority: Authority,
}

impl MailServer {
    /// Starts one; `None`, said out loud, where there is no Python for it.
    fn start(mode: &str) -> Option<MailServer> {
        let python = Python::with("smtp")?;
        let authority = Authority::new();
        let mut child = Command::new(python.program())
            .arg(python.client("smtp.py"))
            .arg(mode)
            .args([&authority.certificate_file, &authority.key_file])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, said) = channel::<Value>();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // The test that does not listen any more is over.
                _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        let port = said.recv_timeout(WAIT_MAX).expect("the server starts")["port"].as_u64().unwrap();
        Some(MailServer { child, port: u16::try_from(port).unwrap(), said: Mutex::new(said), authority })
    }

    /// Returns the next mail that it got.
    fn mail(&self) -> Value {
        self.said.lock().unwrap().recv_timeout(WAIT_MAX).expect("a mail")
    }

    /// True when it got no further mail.
    fn has_no_mail(&self) -> bool {
        self.said.lock().unwrap().try_recv().is_err()
    }

    fn channel(&self, scheme: &str, user: &str, to: &[&str]) -> EmailChannel {
        let address = format!("{scheme}://{user}127.0.0.1:{}", self.port);
        self.channel_at(&address, to, Some(&self.authority), PATIENCE)
    }

    fn channel_at(
        &self,
        address: &str,
        to: &[&str],
        trusted: Option<&Authority>,
        timeout: Duration,
    ) -> EmailChannel {
        let settings = EmailSettings {
            address: SmtpAddress::parse(address, None, None).unwrap(),
            correspondents: Correspondents {
                from: "Tickwire <tickwire@desk.example>".parse().unwrap(),
                to: to.iter().map(|to| to.parse().unwrap()).collect(),
            },
            ca: trusted.map(|authority| std::fs::read(&authority.ca_file).unwrap()),
            timeout,
        };
        let clock = ManualClock::new(Nanos(1_767_366_300_000_000_000));
        EmailChannel::new(settings, Arc::new(clock)).unwrap()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

const USER: &str = "me:hunter2@";

#[tokio::test]
async fn a_mail_arrives_encrypted_and_holds_text_html_and_picture() {
    for (mode, scheme) in [("starttls", "smtp"), ("tls", "smtps")] {
        let Some(server) = MailServer::start(mode) else { return };
        let to = ["Ops <ops@desk.example>", "boss@desk.example"];
        let receipt = server.channel(scheme, USER, &to).send(&spike()).await.unwrap();
        assert_eq!(receipt.0, "250 2.0.0 Ok: queued as 4F1");
        let mail = server.mail();
        assert_eq!(mail["defects"], json!([]), "{mail}");
        assert_eq!((&mail["encrypted"], &mail["login"]), (&json!(true), &json!("me")));
        let envelope =
            json!({"from": "tickwire@desk.example", "to": ["ops@desk.example", "boss@desk.example"]});
        assert_eq!(mail["envelope"], envelope);
        let headers = &mail["headers"];
        assert_eq!(headers["subject"], "[high] AAPL: 6.3 % off the mean of 20 bars");
        assert_eq!(headers["from"], "Tickwire <tickwire@desk.example>");
        assert_eq!(headers["to"], "Ops <ops@desk.example>, boss@desk.example");
        assert_eq!(headers["message-id"], "<01JDK-7@desk.example>");
        assert_eq!(headers["date"], "Fri, 02 Jan 2026 15:05:00 +0000");
        assert_eq!(
            (&headers["auto-submitted"], &headers["importance"]),
            (&json!("auto-generated"), &json!("high"))
        );
        let structure =
            ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"];
        assert_eq!(mail["structure"], json!(structure));
        let (text, html) = (mail["text"].as_str().unwrap(), mail["html"].as_str().unwrap());
        for said in [
            "The threshold is 5 %: <check> & decide.",
            "Symbols: AAPL",
            "Threshold: 5 %",
            "https://desk.example/#/AAPL",
            "price_spike · high · fired · 2026-01-02T15:04:05Z",
            "█",
        ] {
            assert!(text.contains(said), "{said} in {text}");
        }
        for said in [
            "&lt;check&gt; &amp; decide.",
            "src=\"cid:chart\"",
            "href=\"https://desk.example/#/AAPL\"",
            "<b>5 %</b>",
        ] {
            assert!(html.contains(said), "{said} in {html}");
        }
        let [image] = &mail["images"].as_array().unwrap()[..] else { panic!("{mail}") };
        assert_eq!((&image["id"], &image["disposition"]), (&json!("<chart>"), &json!("inline")));
        let picture = chart::png(&spike().bars).unwrap();
        assert_eq!(image["content"], BASE64_STANDARD.encode(picture), "to the last byte");
    }
}

#[tokio::test]
async fn a_mail_in_other_scripts_arrives_as_it_was() {
    let Some(server) = MailServer::start("starttls") else { return };
    let text = format!("Überschuß 東京 😀\n.\n..dots\n{}", "é".repeat(3_000));
    let notification =
        Notification { title: "Kurs 東京 😀 springt".to_owned(), text: text.clone(), ..spike() };
    server.channel("smtp", USER, &["ops@desk.example"]).send(&notification).await.unwrap();
    let mail = server.mail();
    assert_eq!(mail["defects"], json!([]), "{mail}");
    assert_eq!(mail["headers"]["subject"], "[high] Kurs 東京 😀 springt");
    // Lines of mails end as lines of mails do.
    let arrived = mail["text"].as_str().unwrap().replace("\r\n", "\n");
    assert!(arrived.contains(&text), "{mail}");
}

#[tokio::test]
async fn a_mail_that_goes_out_again_is_the_same_mail() {
    let Some(server) = MailServer::start("starttls") else { return };
    let later = Notification { title: "LATER".to_owned(), ..spike() };
    let channel = server.channel("smtp", USER, &["ops@desk.example"]);
    let error = channel.send(&later).await.unwrap_err();
    let SendError::Transient { may_have_arrived: false, .. } = error else { panic!("{error:?}") };
    channel.send(&Notification { title: "now".to_owned(), ..later }).await.unwrap();
    assert_eq!(server.mail()["headers"]["message-id"], server.mail()["headers"]["message-id"]);
}

#[tokio::test]
async fn an_error_says_whose_turn_it_is() {
    let Some(server) = MailServer::start("starttls") else { return };
    let send = async |user: &str, to: &[&str], title: &str| {
        let notification = Notification { title: title.to_owned(), ..spike() };
        server.channel("smtp", user, to).send(&notification).await.unwrap_err()
    };
    let ops = "ops@desk.example";
    let error = send("me:hunter3@", &[ops], "x").await;
    assert!(
        matches!(error, SendError::Unusable { .. }) && error.to_string().starts_with("logging in: "),
        "{error:?}"
    );
    assert!(!error.to_string().contains("hunter3"), "{error}");
    let error = send("", &[ops], "x").await;
    assert!(matches!(error, SendError::Unusable { .. }), "users only: {error:?}");
    let error = send(USER, &[ops, "nobody@desk.example"], "x").await;
    assert!(
        matches!(error, SendError::Unusable { .. }) && error.to_string().contains("no such user"),
        "{error:?}"
    );
    let error = send(USER, &["busy@desk.example"], "x").await;
    assert!(matches!(error, SendError::Transient { may_have_arrived: false, .. }), "{error:?}");
    assert!(server.has_no_mail(), "none of these got as far as the mail");
    let error = send(USER, &[ops], "REFUSE").await;
    assert!(matches!(error, SendError::Refused { .. }) && error.to_string().contains("spam"), "{error:?}");
    let error = send(USER, &[ops], "BREAK").await;
    assert!(matches!(error, SendError::Transient { may_have_arrived: true, .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_hangs_after_the_mail_may_have_taken_it() {
    let Some(server) = MailServer::start("starttls") else { return };
    let address = format!("smtp://{USER}127.0.0.1:{}", server.port);
    let hang = Notification { title: "HANG".to_owned(), ..spike() };
    // On a busy machine the shorter ones end before the mail has been sent.
    let mut may_have_arrived = false;
    for seconds in [1, 2, 4, 8, 16] {
        let timeout = Duration::from_secs(seconds);
        let channel = server.channel_at(&address, &["ops@desk.example"], Some(&server.authority), timeout);
        let error = channel.send(&hang).await.unwrap_err();
        assert!(matches!(error, SendError::Transient { .. }), "{error:?}");
        may_have_arrived = error.may_have_arrived();
        if may_have_arrived {
            break;
        }
    }
    assert!(may_have_arrived);
    server.mail();
    // One that cannot be reached has not.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = server.channel_at(&format!("smtp://127.0.0.1:{port}"), &["a@b.example"], None, PATIENCE);
    let error = nobody.send(&spike()).await.unwrap_err();
    let SendError::Transient { may_have_arrived: false, .. } = error else { panic!("{error:?}") };
}

#[tokio::test]
async fn nothing_is_said_to_a_server_that_is_not_encrypted_or_not_the_right_one() {
    let Some(plain) = MailServer::start("plain") else { return };
    let error = plain.channel("smtp", USER, &["ops@desk.example"]).send(&spike()).await.unwrap_err();
    assert!(
        matches!(error, SendError::Unusable { .. }) && error.to_string().contains("STARTTLS"),
        "{error:?}"
    );
    assert!(plain.has_no_mail());
    let address = format!("smtp://127.0.0.1:{}?tls=none", plain.port);
    plain.channel_at(&address, &["ops@desk.example"], None, PATIENCE).send(&spike()).await.unwrap();
    assert_eq!(plain.mail()["encrypted"], false, "as the address asks for it");

    let Some(server) = MailServer::start("tls") else { return };
    let address = format!("smtps://{USER}127.0.0.1:{}", server.port);
    let stranger = server.channel_at(&address, &["ops@desk.example"], None, PATIENCE);
    let error = stranger.send(&spike()).await.unwrap_err();
    assert!(!error.may_have_arrived(), "{error:?}");
    assert!(server.has_no_mail());
    wait_for("the server, which is none the worse", || {
        std::net::TcpStream::connect(("127.0.0.1", server.port)).ok()
    });
}
