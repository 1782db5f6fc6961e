//! TLS of clients: whom they trust.
//!
//! Promises: the public certificates are built in (`webpki-roots`), so that a container without any works too; those of a
//! file are trusted besides. One cryptography for all: ring. On failure: a file without readable certificates is named.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot read certificates from `{path}`: {cause}")]
pub struct CertificateError {
    path: String,
    cause: String,
}

/// Makes the settings of a client: it trusts the public authorities, and those of a file.
///
/// # Errors
/// When the file holds no certificates that can be read.
pub fn client(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, CertificateError> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = ca_file {
        let failed = |cause: String| CertificateError { path: path.display().to_string(), cause };
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
        let mut num_certificates = 0;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| failed(error.to_string()))?;
            roots.add(certificate).map_err(|error| failed(error.to_string()))?;
            num_certificates += 1;
        }
        if num_certificates == 0 {
            return Err(failed("there is none in it".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring serves the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_of_a_file_must_be_there() {
        assert!(client(None).is_ok());
        let said = client(Some(Path::new("/no/such/file.pem"))).expect_err("no file").to_string();
        assert!(said.contains("`/no/such/file.pem`"), "{said}");
        let dir = tempfile::tempdir().expect("a directory");
        let empty = dir.path().join("empty.pem");
        std::fs::write(&empty, "no certificate\n").expect("written");
        assert!(client(Some(&empty)).is_err());
    }
}
