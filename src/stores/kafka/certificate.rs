//! What is wrong with a broker's certificate: librdkafka only says that it could not be verified.
//!
//! Promises: one connection, which ends before anything is said over it. On failure nothing is known, and the fault stays as
//! librdkafka told it.

use crate::tls;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConnection, Error};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

/// Looks at the certificate that is shown at an address (`host:port`). Returns what is wrong with it, and which key of the
/// configuration decides. Blocking.
pub fn look(address: &str, ca_file: Option<&Path>, timeout: Duration) -> Option<&'static str> {
    // Whatever fails on the way, the caller has a fault to tell already.
    let (host, _) = address.rsplit_once(':')?;
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).ok()?;
    let mut session = ClientConnection::new(tls::client(ca_file).ok()?, name).ok()?;
    let connect = |at| TcpStream::connect_timeout(&at, timeout).ok();
    let mut stream = address.to_socket_addrs().ok()?.find_map(connect)?;
    stream.set_read_timeout(Some(timeout)).ok()?;
    stream.set_write_timeout(Some(timeout)).ok()?;
    let error = session.complete_io(&mut stream).err()?;
    match error.get_ref()?.downcast_ref::<Error>()? {
        Error::InvalidCertificate(found) => said(found),
        _ => None,
    }
}

fn said(found: &CertificateError) -> Option<&'static str> {
    match found {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Some("has expired"),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Some("is not valid yet")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some("names another host; see `kafka.tls.verify_hostname`")
        }
        // An authority of the same name with another key is another one.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            Some("is not signed by an authority that we trust; see `kafka.tls.ca_file`")
        }
        _ => None,
    }
}
