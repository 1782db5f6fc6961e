//! Encryption and identity against a real broker: a private authority, certificates on both sides, PLAIN and SCRAM, and one
//! clear line for whatever is wrong with them.

use crate::support::kafka::{Kafka, KafkaServer, Ports};
use crate::support::process::{Program, command, run_args, wait_for};
use crate::support::tls::{Authority, Issued};
use std::fmt::Write;
use std::net::TcpListener;
use std::path::Path;

const PASSWORD: &str = "secret-of-tickwire";

/// Ports of a broker, by what is asked of who connects.
#[derive(Clone, Copy)]
struct Doors {
    /// A certificate of ours.
    mutual: u16,
    /// User and password.
    sasl: u16,
    /// Nothing, but its certificate has expired.
    expired: u16,
    /// Nothing, but its certificate names another host.
    elsewhere: u16,
}

/// A file of a certificate and its key, as the broker reads it.
fn keystore(dir: &Path, name: &str, issued: &Issued) -> String {
    let path = dir.join(format!("{name}.keystore.pem"));
    let text = |file: &Path| std::fs::read_to_string(file).unwrap();
    std::fs::write(&path, text(&issued.key_file) + &text(&issued.certificate_file)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn properties(dir: &Path, authority: &Authority, ports: Ports, doors: Doors) -> String {
    let Doors { mutual, sasl, expired, elsewhere } = doors;
    let listeners = format!(
        "PLAINTEXT://127.0.0.1:{},MUTUAL://127.0.0.1:{mutual},SASL://127.0.0.1:{sasl},\
         EXPIRED://127.0.0.1:{expired},ELSEWHERE://127.0.0.1:{elsewhere}",
        ports.broker
    );
    let mut text = format!(
        "listeners={listeners},CONTROLLER://127.0.0.1:{}\n\
         advertised.listeners={listeners}\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,MUTUAL:SSL,SASL:SASL_SSL,EXPIRED:SSL,\
         ELSEWHERE:SSL\n\
         ssl.truststore.type=PEM\n\
         ssl.truststore.location={}\n\
         listener.name.mutual.ssl.client.auth=required\n\
         listener.name.sasl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512\n\
         listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
         user_tickwire=\"{PASSWORD}\";\n\
         listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule \
         required;\n",
        ports.controller,
        authority.ca_file.display(),
    );
    for (listener, hosts, is_expired) in [
        ("mutual", "127.0.0.1", false),
        ("sasl", "127.0.0.1", false),
        ("expired", "127.0.0.1", true),
        ("elsewhere", "other.example", false),
    ] {
        let issued = authority.issue(listener, hosts, is_expired);
        let location = keystore(dir, listener, &issued);
        writeln!(text, "listener.name.{listener}.ssl.keystore.type=PEM").unwrap();
        writeln!(text, "listener.name.{listener}.ssl.keystore.location={location}").unwrap();
    }
    text
}

/// Starts a run that writes to a door of the broker.
fn run(dir: &Path, kafka: &Kafka, port: u16, settings: &[(&str, &str)]) -> Program {
    let mut run = command(&run_args(dir, &["--rate", "200", "--symbols", "AAPL"]));
    run.env("KAFKA_BOOTSTRAP_SERVERS", format!("127.0.0.1:{port}"))
        .envs(kafka.topics())
        .env("TICKWIRE__KAFKA__PARTITIONS", "1")
        .env("TICKWIRE__KAFKA__TIMEOUT", "2s")
        .env("TICKWIRE__KAFKA__RETRY_MAX_DELAY", "200ms")
        .env("TICKWIRE__KAFKA__BREAKER_FAILURES", "0")
        .env("TICKWIRE__PROVIDER__WARM_UP", "0s")
        .envs(settings.iter().copied());
    Program::start(run)
}

#[test]
fn each_way_in_works_and_what_is_wrong_is_one_line() {
    let authority = Authority::new();
    let dir = tempfile::tempdir().unwrap();
    let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let doors = Doors { mutual: port(), sasl: port(), expired: port(), elsewhere: port() };
    let scram = format!("SCRAM-SHA-512=[name=tickwire,password={PASSWORD}]");
    let server = KafkaServer::start_with("secure", &["--add-scram", &scram], |ports| {
        properties(dir.path(), &authority, ports, doors)
    });
    let Some(server) = server else { return };

    let client = authority.issue("client", "tickwire.example", false);
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let ca = path(&authority.ca_file);
    let (certificate, key) = (path(&client.certificate_file), path(&client.key_file));
    let password_file = dir.path().join("password");
    std::fs::write(&password_file, format!("{PASSWORD}\n")).unwrap();
    let password_file = path(&password_file);

    let stranger = Authority::new();
    let stranger = path(&stranger.ca_file);
    let stranger = ("TICKWIRE__KAFKA__TLS__CA_FILE", stranger.as_str());
    let ca = ("TICKWIRE__KAFKA__TLS__CA_FILE", ca.as_str());
    let certificate = ("TICKWIRE__KAFKA__TLS__CERT_FILE", certificate.as_str());
    let key = ("TICKWIRE__KAFKA__TLS__KEY_FILE", key.as_str());
    let user = ("TICKWIRE__KAFKA__SASL__USERNAME", "tickwire");
    let plain = ("TICKWIRE__KAFKA__SASL__MECHANISM", "PLAIN");
    let scram = ("TICKWIRE__KAFKA__SASL__MECHANISM", "SCRAM-SHA-512");
    let password = ("TICKWIRE__KAFKA__SASL__PASSWORD", PASSWORD);
    let password_file = ("TICKWIRE__KAFKA__SASL__PASSWORD_FILE", password_file.as_str());
    let wrong = ("TICKWIRE__KAFKA__SASL__PASSWORD", "another-secret");
    let unchecked = ("TICKWIRE__KAFKA__TLS__VERIFY_HOSTNAME", "false");

    for (name, port, settings) in [
        ("mutual", doors.mutual, vec![ca, certificate, key]),
        ("plain", doors.sasl, vec![ca, user, plain, password]),
        ("scram", doors.sasl, vec![ca, user, scram, password_file]),
        ("unchecked", doors.elsewhere, vec![ca, unchecked]),
    ] {
        let kafka = server.client(name);
        let data = tempfile::tempdir().unwrap();
        let program = run(data.path(), &kafka, port, &settings);
        program.line_with(" ready");
        let count = kafka.counter(&kafka.topic("tick_data"));
        wait_for("messages", || (count() > 50).then_some(()));
        let ended = program.kill();
        assert!(!ended.stderr.contains(PASSWORD), "{}", ended.stderr);
    }
    for (name, port, settings, words) in [
        ("wrong_plain", doors.sasl, vec![ca, user, plain, wrong], "refuses user or password"),
        ("wrong_scram", doors.sasl, vec![ca, user, scram, wrong], "refuses user or password"),
        ("expired", doors.expired, vec![ca], "` has expired"),
        ("elsewhere", doors.elsewhere, vec![ca], "` names another host"),
        ("no_certificate", doors.mutual, vec![ca], "kafka.tls.cert_file"),
        ("stranger", doors.sasl, vec![stranger, user, plain, password], "kafka.tls.ca_file"),
    ] {
        let kafka = server.client(name);
        let data = tempfile::tempdir().unwrap();
        let program = run(data.path(), &kafka, port, &settings);
        // Where the topics are waited for at the start REST answers all the same.
        let health = wait_for("what is wrong", || {
            let health = program.get("REST", "/health")?.json();
            let is_told = health["details"]["messages"]["kafka"].to_string().contains(words)
                && health["components"]["kafka"] == "unhealthy";
            is_told.then_some(health)
        });
        wait_for("some tries", || {
            (program.metric("tickwire_sink_retries_total{sink=\"kafka\"} ") > 3).then_some(())
        });
        let ended = program.kill();
        println!("{name}: {}", health["details"]["messages"]["kafka"]);
        let lines: Vec<&str> = ended.stderr.lines().filter(|line| line.contains(words)).collect();
        assert_eq!(lines.len(), 1, "{name}: {lines:#?}");
        let warnings: Vec<&str> = ended
            .stderr
            .lines()
            .filter(|line| line.contains("ERROR") || line.contains("kafka left alone"))
            .collect();
        assert!(warnings.len() <= 2, "{name}: {warnings:#?}");
        assert!(!ended.stderr.contains("another-secret") && !health.to_string().contains("another-secret"));
    }
}
