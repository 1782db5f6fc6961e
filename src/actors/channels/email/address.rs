//! The address of a mail server: `smtp://user:password@host:587`.
//!
//! Promises: passwords travel encrypted, or not at all: `smtp://` requires STARTTLS, `smtps://` is TLS from the start, and
//! `?tls=none` allows a password only to this machine. On failure: a text for people that repeats nothing of the address.

use crate::secret::Secret;
use std::borrow::Cow;
use url::{Host, Url};

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// From the start.
    Tls,
    /// From the command on that asks for it; a server that does not know the command gets no mail.
    StartTls,
    /// Not at all.
    None,
}

/// Where a mail server is, and who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmtpAddress {
    /// Its name, or its address as text.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub encryption: Encryption,
    /// Who we are, where the server asks.
    pub user: Option<(String, Secret)>,
}

impl SmtpAddress {
    /// Reads an address. A user and a password that are given besides win over those in it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(
        text: &str,
        username: Option<&str>,
        password: Option<&Secret>,
    ) -> Result<SmtpAddress, String> {
        let url = Url::parse(text).map_err(|_| {
            "is no address such as `smtp://user:password@host:587` (with `%40` for an `@` in a user)"
                .to_owned()
        })?;
        let (encryption, usual_port) = match (url.scheme(), url.query()) {
            ("smtps", None) => (Encryption::Tls, 465),
            ("smtp", None) => (Encryption::StartTls, 587),
            ("smtp", Some("tls=none")) => (Encryption::None, 25),
            ("smtp" | "smtps", _) => {
                return Err("has a query other than `?tls=none` after `smtp://`".to_owned());
            }
            _ => return Err("must begin with `smtp://` or `smtps://`".to_owned()),
        };
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err("must end with the host or the port".to_owned());
        }
        // The parser knows hosts of these schemes as bare text only.
        let Some(Ok(host)) = url.host().map(|host| Host::parse(&host.to_string())) else {
            return Err("must name a host".to_owned());
        };
        let is_here = match &host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        let decoded = |part: &str| {
            let text = percent_encoding::percent_decode_str(part).decode_utf8();
            text.map(Cow::into_owned).map_err(|_| "has a user or a password that is not UTF-8".to_owned())
        };
        let user = username.map_or_else(|| decoded(url.username()), |name| Ok(name.to_owned()))?;
        let password = match password {
            Some(password) => Some(password.clone()),
            None => url.password().map(decoded).transpose()?.map(Secret::new),
        };
        let user = match (user.is_empty(), password) {
            (true, None) => None,
            (false, Some(password)) => Some((user, password)),
            (true, Some(_)) => return Err("has a password and no user".to_owned()),
            (false, None) => return Err("has a user and no password".to_owned()),
        };
        if encryption == Encryption::None && user.is_some() && !is_here {
            return Err(
                "would send a password over the network in clear text: leave out `?tls=none`".to_owned()
            );
        }
        let host = match host {
            Host::Domain(name) => name,
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        Ok(SmtpAddress { host, port: url.port().unwrap_or(usual_port), encryption, user })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SmtpAddress, String> {
        SmtpAddress::parse(text, None, None)
    }

    #[test]
    fn the_scheme_says_how_it_is_encrypted() {
        for (text, host, port, encryption) in [
            ("smtp://mail.example", "mail.example", 587, Encryption::StartTls),
            ("smtp://mail.example:2525/", "mail.example", 2525, Encryption::StartTls),
            ("smtps://mail.example", "mail.example", 465, Encryption::Tls),
            ("smtp://127.0.0.1?tls=none", "127.0.0.1", 25, Encryption::None),
            ("smtps://[::1]:1465", "::1", 1465, Encryption::Tls),
        ] {
            let address = SmtpAddress { host: host.to_owned(), port, encryption, user: None };
            assert_eq!(parse(text), Ok(address), "{text}");
        }
    }

    #[test]
    fn a_user_is_in_the_address_or_beside_it() {
        let user = |address: Result<SmtpAddress, String>| {
            address.expect("an address").user.map(|(user, password)| (user, password.expose().to_owned()))
        };
        let both = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(user(parse("smtp://me%40x.example:hun%2Fter2@h")), both("me@x.example", "hun/ter2"));
        let password = Secret::new("other".to_owned());
        let given = SmtpAddress::parse("smtp://me:hunter2@h", Some("you"), Some(&password));
        assert_eq!(user(given), both("you", "other"));
        assert_eq!(user(SmtpAddress::parse("smtp://me@h", None, Some(&password))), both("me", "other"));
        assert_eq!(user(parse("smtp://me:hunter2@localhost?tls=none")), both("me", "hunter2"));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_address() {
        for text in [
            "mail.example:587",
            "hunter2",
            "http://hunter2@mail.example",
            "smtp://",
            "smtp://hunter2@mail.example",
            "smtp://:hunter2@mail.example",
            "smtp://mail.example/hunter2",
            "smtp://mail.example?tls=hunter2",
            "smtps://mail.example?tls=none",
            "smtp://me:hunter2@mail.example?tls=none",
        ] {
            let fault = parse(text).expect_err(text);
            assert!(!fault.is_empty() && !fault.contains("hunter2"), "{text}: {fault}");
        }
    }
}
