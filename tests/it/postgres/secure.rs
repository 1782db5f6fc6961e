//! A server that speaks TLS alone: its certificate is checked, and the password comes from a file.

use super::block_on;
use crate::support::postgres::PostgresServer;
use crate::support::process::{Program, command};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::path::Path;
use std::process::Command;
use tickwire::stores::history::postgres::PostgresSettings;
use tickwire::stores::history::postgres::migrate::{Migration, MigrationSettings};

/// Makes an authority in a folder, and returns a certificate of it for this machine with its key, as PEM.
fn authority(file: &Path) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::default();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(file, root.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(root, key);
    let server_key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    (server.signed_by(&server_key, &issuer).unwrap().pem(), server_key.serialize_pem())
}

fn migrate(settings: &PostgresSettings) -> Result<(), String> {
    block_on(async {
        let migration = Migration::begin(settings, MigrationSettings::default());
        migration
            .await
            .map_err(|error| error.to_string())?
            .plan()
            .await
            .map_err(|error| error.to_string())?;
        Ok(())
    })
}

#[test]
fn a_certificate_is_checked_and_secrets_come_from_files() {
    let dir = tempfile::tempdir().unwrap();
    let [ca_file, other] = ["ca.pem", "other.pem"].map(|name| dir.path().join(name));
    let (certificate, key) = authority(&ca_file);
    authority(&other);
    let Some(server) = PostgresServer::start_secure("secure", &certificate, &key, "hunter2") else { return };
    let url = server.url("postgres");
    let settings = PostgresSettings {
        ca_file: Some(ca_file.clone()),
        password: Some("hunter2".to_owned()),
        ..PostgresSettings::of_url(&url)
    };
    assert_eq!(migrate(&settings), Ok(()));
    let refused = |settings: PostgresSettings| {
        let error = migrate(&settings).expect_err("refused");
        assert!(!error.contains("hunter"), "{error}");
        error
    };
    refused(PostgresSettings { ca_file: Some(other), ..settings.clone() });
    let plain = PostgresSettings { ca_file: None, ..settings.clone() };
    let error = refused(PostgresSettings { url: format!("{url}?sslmode=disable"), ..plain });
    assert!(error.contains("28000"), "{error}");
    let error = refused(PostgresSettings { password: Some("hunter3".to_owned()), ..settings });
    assert!(error.contains("28P01"), "{error}");

    let password_file = dir.path().join("password");
    std::fs::write(&password_file, "hunter2\n").unwrap();
    let run = |words: &[&str]| -> Command {
        let mut run = command(words);
        run.args(["--data-dir", dir.path().join("data").to_str().unwrap()])
            .env("DATABASE_URL", format!("{url}?sslmode=verify-full"))
            .env("TICKWIRE__POSTGRES__CA_FILE", &ca_file)
            .env("TICKWIRE__POSTGRES__PASSWORD_FILE", &password_file);
        run
    };
    let migrated = Program::start(run(&["migrate"])).wait();
    assert!(migrated.status.success(), "{}", migrated.stderr);
    let printed = Program::start(run(&["print-config"])).wait();
    assert!(printed.stdout.contains("url = \"postgres://***@127.0.0.1:"), "{}", printed.stdout);
    assert!(!printed.stdout.contains("hunter2"), "{}", printed.stdout);
}
