//! What a run says when it starts, and what its log does not hold.

use crate::support::process::{Program, command, wait_for};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// A run without a past, in a directory of its own.
fn start(dir: &Path, args: &[&str], environment: &[(&str, &str)]) -> Program {
    let mut run = command(&["run", "--data-dir", "here"]);
    run.args(args)
        .env("TICKWIRE__PROVIDER__WARM_UP", "0s")
        .envs(environment.iter().copied())
        .current_dir(dir);
    Program::start(run)
}

#[test]
fn the_start_says_who_is_followed_where_it_is_kept_and_how_much_past_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let program = start(dir.path(), &["--symbols", "AAPL,BTC-USD"], &[]);
    program.line_with(" ready");
    let line = program.line_with(" follows ");
    let kept = dir.path().canonicalize().unwrap().join("here");
    for part in ["provider=\"simulated\"", "2 (AAPL, BTC-USD)", kept.to_str().unwrap(), "warm_up=\"none"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    program.stop();
    let many = start(dir.path(), &["--symbol-count", "30"], &[("TICKWIRE__LOG__KIND", "memory")]);
    let line = many.line_with(" follows ");
    assert!(line.contains("30 (") && line.contains('…') && line.contains("kept in memory"), "{line}");
}

#[test]
fn the_level_of_the_log_is_a_key_and_a_flag_and_rust_log_wins() {
    let dir = tempfile::tempdir().unwrap();
    let quiet = |args: &[&str], environment: &[(&str, &str)]| {
        let program = start(dir.path(), args, environment);
        // Nothing tells of the start, so an answer does; the simulated market is said at every level from `warn` on.
        program.line_with("SIMULATED");
        let ended = program.stop();
        !ended.stderr.contains(" INFO ")
    };
    let ready = |args: &[&str], environment: &[(&str, &str)]| {
        let program = start(dir.path(), args, environment);
        program.line_with(" ready");
        program.stop();
    };
    assert!(quiet(&["--log-level", "warn"], &[]));
    assert!(quiet(&[], &[("TICKWIRE__LOG_LEVEL", "warn")]));
    assert!(quiet(&["--log-level", "info"], &[("RUST_LOG", "warn")]), "RUST_LOG wins");
    ready(&["--log-level", "info"], &[("TICKWIRE__LOG_LEVEL", "error")]);
}

#[test]
fn a_client_cannot_write_errors_into_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let program = start(dir.path(), &[], &[]);
    program.line_with(" ready");
    let requests: [&[u8]; 9] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"G\x00T / HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: \xff\xfe\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff",
        b"GET /ws HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n\
          sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff",
    ];
    let long_head = [b"GET /".as_slice(), &[b'x'; 200_000], b" HTTP/1.1\r\n\r\n"].concat();
    for name in ["REST", "WebSocket", "dashboard", "metrics"] {
        let address = program.address(name);
        let address = address.rsplit("://").next().unwrap();
        for request in requests.into_iter().chain([long_head.as_slice()]) {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            // The server may close while it is still being written to, and answers some of this with nothing.
            stream.write_all(request).ok();
            stream.shutdown(std::net::Shutdown::Write).ok();
            stream.read_to_end(&mut Vec::new()).ok();
        }
    }
    assert_eq!(program.get("REST", "/health/live").unwrap().status, 200, "it serves on");
    let ended = program.stop();
    let lines: Vec<&str> = ended.stderr.lines().filter(|line| line.contains(" ERROR ")).collect();
    assert!(lines.is_empty() && ended.stderr.contains(" ready"), "{lines:?}");
}

#[test]
fn open_has_the_browser_show_the_dashboard_once_it_is_ready() {
    let dir = tempfile::tempdir().unwrap();
    let (asked, tools) = (dir.path().join("asked"), dir.path().join("tools"));
    std::fs::create_dir(&tools).unwrap();
    let browser = tools.join("xdg-open");
    std::fs::write(&browser, format!("#!/bin/sh\necho \"$1\" > '{}'\n", asked.display())).unwrap();
    std::fs::set_permissions(&browser, PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let program = start(dir.path(), &["--open"], &[("PATH", &path)]);
    let url = wait_for("request to the browser", || {
        let url = std::fs::read_to_string(&asked).ok()?;
        url.ends_with('\n').then(|| url.trim().to_owned())
    });
    assert_eq!(url, format!("{}/", program.address("dashboard")));
    assert!(program.find_line(" ready").is_some(), "not before it is ready");
    program.stop();
    // Without any browser it runs on.
    let program = start(dir.path(), &["--open"], &[("PATH", "/nowhere")]);
    program.line_with("no browser can be started");
    program.stop();
}
