//! An address of PostgreSQL, which may name several hosts as libpq's does: `postgres://user@one:5432,two/db`.
//!
//! Promises: a fault is told without repeating the address, which may hold a password.

use super::settings::PostgresSettings;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::str::FromStr;
use std::time::Duration;

/// Which of several servers will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Any of them.
    Any,
    /// One that may be written to.
    ReadWrite,
    /// One that may not.
    Standby,
}

/// The servers that an address names, in its order, and which of them will do.
#[derive(Debug)]
pub(super) struct Address {
    pub hosts: Vec<PgConnectOptions>,
    pub wanted: Wanted,
}

/// Returns what is wrong with an address, without repeating it.
///
/// # Errors
/// When it is none that PostgreSQL can be reached at.
pub fn check_url(url: &str) -> Result<(), String> {
    parse(url).map(|_| ())
}

/// Reads an address and adds what the settings say.
pub(super) fn address(url: &str, settings: &PostgresSettings) -> Result<Address, String> {
    let Address { hosts, wanted } = parse(url)?;
    let millis = |span: Duration| span.as_millis().to_string();
    let complete = |mut options: PgConnectOptions| {
        if let Some(password) = &settings.password {
            options = options.password(password);
        }
        if let Some(ca_file) = &settings.ca_file {
            options = options.ssl_root_cert(ca_file);
            if matches!(options.get_ssl_mode(), PgSslMode::Prefer | PgSslMode::Allow) {
                // Whoever names a certificate means it to be checked.
                options = options.ssl_mode(PgSslMode::VerifyFull);
            }
        }
        options.application_name("tickwire").options([
            // `pg_temp` last: nobody's temporary table may stand before ours.
            ("search_path", format!("{},pg_temp", settings.schema)),
            ("statement_timeout", millis(settings.statement_timeout)),
            ("timezone", "UTC".to_owned()),
        ])
    };
    Ok(Address { hosts: hosts.into_iter().map(complete).collect(), wanted })
}

fn parse(url: &str) -> Result<Address, String> {
    let Some((scheme @ ("postgres" | "postgresql"), rest)) = url.split_once("://") else {
        return Err("must begin with `postgres://` or `postgresql://`".to_owned());
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (format!("{user}@"), hosts),
        None => (String::new(), authority),
    };
    let (path, query) = behind.split_once('?').unwrap_or((behind, ""));
    let (of_session, others): (Vec<&str>, Vec<&str>) = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .partition(|pair| pair.starts_with("target_session_attrs="));
    let wanted = match of_session.last().and_then(|pair| pair.split_once('=')).map(|(_, value)| value) {
        None | Some("any") => Wanted::Any,
        Some("read-write" | "primary") => Wanted::ReadWrite,
        Some("standby" | "read-only") => Wanted::Standby,
        Some(_) => {
            return Err("`target_session_attrs` is `any`, `read-write`, `primary`, `read-only` or `standby`"
                .to_owned());
        }
    };
    let query = if others.is_empty() { String::new() } else { format!("?{}", others.join("&")) };
    let options = |host: &str| {
        PgConnectOptions::from_str(&format!("{scheme}://{user}{host}{path}{query}"))
            .map_err(|_| "is no address such as `postgres://user:password@host:5432/database`".to_owned())
    };
    let hosts = hosts.split(',').map(options).collect::<Result<Vec<_>, _>>()?;
    Ok(Address { hosts, wanted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_several_hosts() {
        let settings = PostgresSettings::of_url("");
        let found = address(
            "postgres://me:s%2Cc,r@one:5433,[::1],two/ticks?target_session_attrs=read-write&sslmode=disable",
            &settings,
        )
        .expect("an address");
        let hosts: Vec<(&str, u16)> =
            found.hosts.iter().map(|host| (host.get_host(), host.get_port())).collect();
        assert_eq!(hosts, [("one", 5433), ("[::1]", 5432), ("two", 5432)]);
        assert_eq!(found.wanted, Wanted::ReadWrite);
        for host in &found.hosts {
            assert_eq!((host.get_username(), host.get_database()), ("me", Some("ticks")));
            assert!(matches!(host.get_ssl_mode(), PgSslMode::Disable));
        }
        assert_eq!(parse("postgresql://one/db").expect("an address").wanted, Wanted::Any);
    }

    #[test]
    fn a_fault_says_nothing_of_the_password() {
        for url in [
            "mysql://me:secret@one/db",
            "postgres://me:secret@one:port/db",
            "postgres://me:secret@one/db?target_session_attrs=fastest",
            "secret",
        ] {
            let fault = check_url(url).expect_err("no address");
            assert!(!fault.contains("secret") && !fault.contains("one"), "{fault}");
        }
    }

    #[test]
    fn a_certificate_is_checked_where_one_is_named() {
        let settings = PostgresSettings { ca_file: Some("ca.pem".into()), ..PostgresSettings::of_url("") };
        let mode = |url: &str| address(url, &settings).expect("an address").hosts[0].get_ssl_mode();
        assert!(matches!(mode("postgres://one/db"), PgSslMode::VerifyFull));
        assert!(matches!(mode("postgres://one/db?sslmode=verify-ca"), PgSslMode::VerifyCa));
    }
}
