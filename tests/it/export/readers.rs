//! Exports as others read them: `DuckDB`, pandas, and a bucket of S3.

use super::{Night, export_args, files, summary, text};
use crate::support::process::{Program, command, replay};
use crate::support::python::{Python, run};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

#[test]
fn duckdb_and_pandas_read_every_number_exactly() {
    let Some(python) = Python::with("frames") else { return };
    let night = Night::new(12);
    let (out, bars) = (night.path("out"), night.path("bars.csv"));
    night.export(&out, &[]);
    replay(&[text(&night.path("night.jsonl")), "--bars", text(&bars)]).summary();
    let mut client = Command::new(python.program());
    client.arg(python.client("frames.py")).arg(&out).arg(night.path("night.jsonl")).arg(&bars);
    run(&mut client).unwrap();
}

#[test]
fn a_bucket_gets_the_files_that_a_folder_gets() {
    let Some(python) = Python::with("frames") else { return };
    let night = Night::new(13);
    let (data, local) = (night.path("data"), night.path("local"));
    night.export(&local, &[]);
    let mut server = Command::new(python.program())
        .arg("-u")
        .arg(python.client("bucket.py"))
        .arg(&local)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
    let address = lines.next().expect("the server tells its address");
    let environment = [
        ("AWS_ACCESS_KEY_ID", "a-key"),
        ("AWS_SECRET_ACCESS_KEY", "a-secret-that-nobody-may-see"),
        ("AWS_ENDPOINT_URL", address.as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ALLOW_HTTP", "true"),
    ];
    let run = |out: &str| {
        let mut command = command(&export_args(&data, out, &[]));
        command.envs(environment);
        Program::start(command).wait()
    };
    let ended = run("s3://market/some/where");
    let said = summary(&ended);
    assert_eq!(said["files"], files(&local).len());
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("nobody-may-see"));
    assert_eq!(summary(&run("s3://market/some/where"))["files"], said["files"], "done before");
    let refused = run("s3://nowhere/some");
    assert_eq!(refused.status.code(), Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("s3://nowhere/some"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("nobody-may-see"), "{}", refused.stderr);

    writeln!(server.stdin.as_mut().unwrap(), "compare").unwrap();
    let compared = lines.next().expect("the server compares");
    assert_eq!(compared, format!("{} files are the same", files(&local).len()));
    drop(server.stdin.take());
    assert!(server.wait().unwrap().success());
}
