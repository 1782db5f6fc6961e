//! The built program: what it prints, and its exit codes.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

/// Runs the program in an empty directory with an empty environment.
fn tickwire(args: &[&str], environment: &[(&str, &str)], files: &[(&str, &str)]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    Command::new(env!("CARGO_BIN_EXE_tickwire"))
        .args(args)
        .env_clear()
        .envs(environment.iter().copied())
        .current_dir(dir.path())
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn exit_codes() {
    let bad = [("bad.toml", "[server]\nrest = 1\n"), ("good.toml", "[provider]\nseed = 1\n")];
    let table: [(&[&str], i32); 22] = [
        (&["--help"], 0),
        (&["--version"], 0),
        (&["run", "--help"], 0),
        (&["check-config"], 0),
        (&["print-config"], 0),
        (&["check-config", "--config", "good.toml"], 0),
        (&["--config", "good.toml", "check-config"], 0),
        (&["check-config", "--config", "bad.toml"], 2),
        (&["run", "--config", "bad.toml"], 2),
        (&["print-config", "--config", "missing.toml"], 2),
        (&[], 2),
        (&["fly"], 2),
        (&["run", "--symbols", "A", "--symbol-count", "3"], 2),
        (&["run", "--rate", "-1"], 2),
        (&["run", "--provider", "kafka"], 2),
        (&["run", "--provider", "nope"], 2),
        (&["serve"], 1),
        (&["export"], 2),
        (&["export", "--out", "parquet"], 1),
        (&["export", "--out", "parquet", "--from", "noon"], 2),
        (&["replay"], 2),
        (&["replay", "x.csv", "--speed", "slow"], 2),
    ];
    for (args, code) in table {
        let output = tickwire(args, &[], &bad);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn help_names_every_command_and_gives_examples() {
    let output = tickwire(&["--help"], &[], &[]);
    for word in [
        "run",
        "replay",
        "serve",
        "export",
        "migrate",
        "check-config",
        "print-config",
        "--config",
        "--data-dir",
        "--log-format",
    ] {
        assert!(stdout(&output).contains(word), "{word}");
    }
    let listed = stdout(&output).split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    let commands: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.len() >= 12, "{commands:?}");
    for name in commands {
        let help = tickwire(&[name, "--help"], &[], &[]);
        let examples = stdout(&help).split("Examples:").nth(1).unwrap_or_default();
        assert!(examples.contains(&format!("tickwire {name}")), "{name}: {}", stdout(&help));
    }
    let replay = tickwire(&["replay", "--help"], &[], &[]);
    for flag in ["--speed", "--symbols", "--horizon", "--bars", "--indicators", "--json", "--force"] {
        assert!(stdout(&replay).contains(flag), "{flag}");
    }
}

#[test]
fn check_config_lists_every_fault_and_shows_no_secret() {
    let environment = [("API_PORT", "http"), ("TICKWIRE__SERVER__API_TOKEN", "hunter2")];
    let output = tickwire(&["check-config"], &environment, &[(".env", "WEBSOCKET_PORT=ws\n")]);
    assert_eq!(output.status.code(), Some(2));
    for key in ["`server.rest` = `http`", "`server.websocket` = `ws`", "`server.api_token` = `***`"] {
        assert!(stderr(&output).contains(key), "{key} in {}", stderr(&output));
    }
    assert!(!stderr(&output).contains("hunter2"));
}

#[test]
fn a_negative_number_is_out_of_range_and_no_unknown_flag() {
    for (args, key) in [
        (&["run", "--rate", "-5"][..], "--rate"),
        (&["run", "--seed", "-1"], "--seed"),
        (&["run", "--symbol-count", "-3"], "--symbol-count"),
        (&["replay", "x.csv", "--speed", "-2"], "--speed"),
        (&["probe", "coinbase", "--seconds", "-1"], "--seconds"),
    ] {
        let output = tickwire(args, &[], &[]);
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(key) && error.contains(args[args.len() - 1]), "{args:?}: {error}");
        let is_range = ["must be from", "is not in", "above 0"].iter().any(|words| error.contains(words));
        assert!(is_range && !error.contains("unexpected argument"), "{args:?}: {error}");
    }
}

#[test]
fn a_variable_with_single_underscores_is_named_as_a_likely_mistake() {
    let environment = [
        ("TICKWIRE_SERVER_REST", "0.0.0.0:80"),
        ("TICKWIRE_DATA_DIR", "d"),
        ("TICKWIRE_SERVER_LIMITS_MAX_CONNECTIONS", "7"),
        ("TICKWIRE_REDIS_URL", "redis://u:hunter2@h"),
        ("TICKWIRE_SHARED", "/somewhere"),
        ("TICKWIRE_SERVER", "x"),
        ("TICKWIRE__SERVER__WORKERS", "1"),
    ];
    let output = tickwire(&["check-config"], &environment, &[(".env", "TICKWIRE_LOG_LEVEL=debug\n")]);
    let said = stdout(&output);
    for (name, right, key) in [
        ("TICKWIRE_SERVER_REST", "TICKWIRE__SERVER__REST", "server.rest"),
        ("TICKWIRE_DATA_DIR", "TICKWIRE__DATA_DIR", "data_dir"),
        (
            "TICKWIRE_SERVER_LIMITS_MAX_CONNECTIONS",
            "TICKWIRE__SERVER__LIMITS__MAX_CONNECTIONS",
            "server.limits.max_connections",
        ),
        ("TICKWIRE_REDIS_URL", "TICKWIRE__REDIS__URL", "redis.url"),
        ("TICKWIRE_LOG_LEVEL", "TICKWIRE__LOG_LEVEL", "log_level"),
    ] {
        let line = format!("the variable `{name}` sets nothing: did you mean `{right}`, which sets `{key}`?");
        assert!(said.lines().any(|printed| printed == line), "{line} in {said}");
    }
    assert_eq!(said.matches("did you mean").count(), 5, "{said}");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn completions_come_for_every_shell_whatever_the_configuration_is() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = tickwire(&["completions", shell], &[("API_PORT", "wrong")], &[]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        for word in ["symbol-count", "check-config", "log-level"] {
            assert!(stdout(&output).contains(word), "{shell} knows no {word}");
        }
    }
    assert_eq!(tickwire(&["completions", "basic"], &[], &[]).status.code(), Some(2));
}

#[test]
fn an_empty_file_is_said_to_be_empty() {
    let output = tickwire(&["replay", "ticks.csv"], &[], &[("ticks.csv", "")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("`ticks.csv` is empty"), "{}", stderr(&output));
}

#[test]
fn check_config_names_what_it_leaves_aside() {
    let output = tickwire(&["check-config"], &[("ML_RETRAIN_INTERVAL_HOURS", "hunter2")], &[]);
    assert_eq!(stdout(&output), "the configuration is valid\nignored: ML_RETRAIN_INTERVAL_HOURS\n");
}

#[test]
fn a_wrong_log_filter_is_wrong_use() {
    let table = [("", 0), ("debug", 0), ("tickwire=trace,actix=warn", 0), ("tickwire=very=loud", 2)];
    for (filter, code) in table {
        let output = tickwire(&["check-config"], &[("RUST_LOG", filter)], &[]);
        assert_eq!(output.status.code(), Some(code), "{filter}");
    }
}

#[test]
fn print_config_shows_what_holds() {
    let files = [("t.toml", "[provider]\nseed = 5\n"), (".env", "API_PORT=9000\nPOLYGON_API_KEY=hunter2\n")];
    let output = tickwire(&["print-config", "--config", "t.toml", "--data-dir", "d"], &[], &files);
    for line in [
        "data_dir = \"d\" # flag `--data-dir`",
        "rest = \"127.0.0.1:9000\" # `.env` variable `API_PORT`",
        "seed = 5 # file `t.toml`",
    ] {
        assert!(stdout(&output).lines().any(|printed| printed == line), "{line} in {}", stdout(&output));
    }
    assert!(!stdout(&output).contains("hunter2"));
}

#[test]
fn a_provider_that_nobody_serves_is_refused_with_what_there_is() {
    for (name, message) in [
        ("polygonn", "nobody serves `polygonn`; there is `simulated`, `kafka`"),
        ("polygon,kafka", "`kafka` is a feed of its own"),
    ] {
        let output = tickwire(&["run", "--provider", name], &[], &[]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(stderr(&output).contains(message), "{message} in {}", stderr(&output));
        assert!(stderr(&output).contains("--provider"), "{}", stderr(&output));
    }
    let output = tickwire(&["check-config"], &[("TICKWIRE__PROVIDER__NAME", "kafka")], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("kafka.bootstrap_servers"), "{}", stderr(&output));
}

#[test]
fn a_reader_of_its_messages_that_goes_away_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ticks.csv");
    // Every row is bad, so that there is much to complain of.
    let rows: String = (0..5_000).map(|row| format!("{row},A,wrong,1,{row}\n")).collect();
    std::fs::write(&file, format!("ts_ns,symbol,price,size,trade_id\n{rows}")).unwrap();
    let replay = |stderr: Stdio, stdout: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickwire"));
        command.args(["replay", "ticks.csv", "--json"]).env_clear().env("RUST_LOG", "debug");
        command.current_dir(dir.path()).stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn().unwrap()
    };
    // As behind `2>&1 | head -1`.
    let mut child = replay(Stdio::piped(), Stdio::piped());
    let mut line = String::new();
    BufReader::with_capacity(1, child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{} after `{line}`", output.status);
    assert!(stdout(&output).contains("\"received\":5000"), "{}", stdout(&output));
    // Nobody takes the summary, nor reads a word.
    let mut child = replay(Stdio::piped(), Stdio::piped());
    drop((child.stdout.take(), child.stderr.take()));
    assert!(child.wait().unwrap().success());
}
