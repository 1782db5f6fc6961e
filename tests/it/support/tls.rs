//! A private certificate authority, made for one test.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::PathBuf;
use std::sync::Arc;

/// What a port needs to speak TLS.
#[derive(Clone)]
pub struct ServerTls(Arc<rustls::ServerConfig>);

impl ServerTls {
    pub fn session(&self) -> rustls::ServerConnection {
        rustls::ServerConnection::new(Arc::clone(&self.0)).unwrap()
    }
}

/// An authority that nobody knows but who reads its file.
pub struct Authority {
    /// Its certificate in PEM.
    pub ca_file: PathBuf,
    /// What servers on this machine show.
    pub server: ServerTls,
    /// The same as files in PEM, for servers that are programs of others: the certificate, and its key.
    pub certificate_file: PathBuf,
    pub key_file: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    dir: tempfile::TempDir,
}

/// A certificate of an authority and its key, as files in PEM that live as long as it does.
pub struct Issued {
    pub certificate_file: PathBuf,
    pub key_file: PathBuf,
}

impl Authority {
    /// Makes one, and a certificate of it for `127.0.0.1`.
    pub fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.distinguished_name.push(DnType::CommonName, "tests");
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = root.self_signed(&key).unwrap();
        let issuer = Issuer::new(root, key);
        let server_key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
        let server = server.signed_by(&server_key, &issuer).unwrap();
        let chain = vec![CertificateDer::from(server.der().to_vec())];
        let secret = PrivateKeyDer::try_from(server_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, secret)
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let ca_file = dir.path().join("ca.pem");
        std::fs::write(&ca_file, certificate.pem()).unwrap();
        let (certificate_file, key_file) = (dir.path().join("server.pem"), dir.path().join("server.key"));
        std::fs::write(&certificate_file, server.pem()).unwrap();
        std::fs::write(&key_file, server_key.serialize_pem()).unwrap();
        Authority { ca_file, server: ServerTls(Arc::new(config)), certificate_file, key_file, issuer, dir }
    }

    /// Makes a certificate for a host, which may have expired.
    pub fn issue(&self, name: &str, host: &str, is_expired: bool) -> Issued {
        let key = KeyPair::generate().unwrap();
        let mut wanted = CertificateParams::new(vec![host.to_owned()]).unwrap();
        wanted.distinguished_name.push(DnType::CommonName, name);
        if is_expired {
            (wanted.not_before, wanted.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let certificate = wanted.signed_by(&key, &self.issuer).unwrap();
        let file = |end: &str| self.dir.path().join(format!("{name}.{end}"));
        let issued = Issued { certificate_file: file("pem"), key_file: file("key") };
        std::fs::write(&issued.certificate_file, certificate.pem()).unwrap();
        std::fs::write(&issued.key_file, key.serialize_pem()).unwrap();
        issued
    }
}
