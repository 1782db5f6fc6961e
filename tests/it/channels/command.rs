//! `tickwire alert test`: a sample goes out, and what came back is said.

use crate::support::process::command;
use crate::support::receiver::{Act, Receiver};
use crate::support::tls::Authority;
use std::process::Output;

/// Runs the command with these settings of `[alerts]`.
fn alert_test(args: &[&str], settings: &[(&str, &str)]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let mut command = command(&["alert", "test"]);
    command.args(args).current_dir(dir.path()).env("TICKWIRE__SERVER__PUBLIC_URL", "https://desk.example");
    command.envs(settings.iter().map(|(key, value)| (format!("TICKWIRE__ALERTS__{key}"), *value)));
    command.output().unwrap()
}

fn texts(output: &Output) -> (&str, &str) {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_sample_goes_to_the_channels_that_are_asked_for() {
    let authority = Authority::new();
    let (slack, webhook) = (Receiver::secure(&authority, |_| None), Receiver::secure(&authority, |_| None));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("slack");
    std::fs::write(&file, format!("{}\n", slack.url("/services/T0/B0/hunter2"))).unwrap();
    let url = webhook.url("/in");
    let settings = [
        ("SLACK__WEBHOOK_URL_FILE", file.to_str().unwrap()),
        ("SLACK__CA_FILE", authority.ca_file.to_str().unwrap()),
        ("WEBHOOK__URL", &url),
        ("WEBHOOK__CA_FILE", authority.ca_file.to_str().unwrap()),
    ];
    let output = alert_test(&["--channel", "slack"], &settings);
    assert_eq!((output.status.code(), texts(&output)), (Some(0), ("slack: taken: 200 ok\n", "")));
    assert_eq!((slack.posts().len(), webhook.posts().len()), (1, 0));
    assert!(String::from_utf8_lossy(&slack.posts()[0].body).contains("https://desk.example/#/AAPL"));

    slack.act([Act::answer(404, "no_service hunter2")]);
    let output = alert_test(&[], &settings);
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout.contains("slack: not taken: 404 no_service *** (nothing goes there until"), "{stdout}");
    assert!(stdout.contains("webhook: taken: 200 ok\n"), "{stdout}");
    assert_eq!(stderr, "error: 1 of 2 channels did not take the sample\n");
    assert_eq!(webhook.posts()[0].json()["kind"], "test");
}

#[test]
fn a_name_that_is_no_channel_or_is_not_configured_is_wrong_use() {
    let slack = [("SLACK__WEBHOOK_URL", "https://127.0.0.1:1/hunter2")];
    for (args, settings, said) in [
        (&["--channel", "pager"][..], &slack[..], "there are `slack`, `email`, `webhook`, `alertmanager`"),
        (&["--channel", "email"], &slack, "`email` is not configured; configured: `slack`"),
        (&[], &[], "no channel is configured: set `alerts.slack.webhook_url`"),
        (&[], &[("SLACK__WEBHOOK_URL", "hunter2")], "`alerts.slack.webhook_url` = `***`"),
    ] {
        let output = alert_test(args, settings);
        let (_, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains(said) && !stderr.contains("hunter2"), "{args:?}: {stderr}");
    }
    let output = alert_test(&[], &[("SLACK__WEBHOOK_URL_FILE", "/no/such/file")]);
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("`alerts.slack.webhook_url_file`"), "{stderr}");
}
