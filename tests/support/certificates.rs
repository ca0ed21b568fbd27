//! Certificates of an authority that only a test trusts, as files for a server and its clients.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "part of tests, of which each uses a part; a certificate that cannot be made fails them"
)]

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tempfile::TempDir;

/// The files; they are removed with this.
pub(crate) struct Certificates {
    directory: TempDir,
}

impl Certificates {
    /// `ca`, an authority, which has signed `server` (for localhost and 127.0.0.1), `client`, `other` (for another
    /// name) and `expired`; and `stranger`, another authority. Each is a `NAME.pem` and a `NAME.key`.
    pub(crate) fn make() -> Self {
        let made = Self { directory: tempfile::tempdir().unwrap() };
        let (params, key) = made.authority("ca");
        made.authority("stranger");
        let issuer = Issuer::new(params, key);
        made.signed("server", &["localhost", "127.0.0.1"], &issuer, 4096);
        made.signed("client", &["a-client"], &issuer, 4096);
        made.signed("other", &["redis.elsewhere"], &issuer, 4096);
        made.signed("expired", &["localhost", "127.0.0.1"], &issuer, 2001);
        made
    }

    /// The path of a file, by its name.
    pub(crate) fn path(&self, file: &str) -> String {
        self.file(file).to_str().unwrap().to_owned()
    }

    /// The flags of a redis-server that speaks only TLS over TCP.
    pub(crate) fn server_flags(&self, certificate: &str, clients: &str) -> Vec<String> {
        let flags = [
            ("--port", "0".to_owned()),
            ("--tls-port", "{port}".to_owned()),
            ("--tls-cert-file", self.path(&format!("{certificate}.pem"))),
            ("--tls-key-file", self.path(&format!("{certificate}.key"))),
            ("--tls-ca-cert-file", self.path("ca.pem")),
            ("--tls-auth-clients", clients.to_owned()),
        ];
        flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, certificate: &str, key: &KeyPair) {
        std::fs::write(self.file(&format!("{name}.pem")), certificate).unwrap();
        std::fs::write(self.file(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    fn authority(&self, name: &str) -> (CertificateParams, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        self.write(name, &certificate.pem(), &key);
        (params, key)
    }

    fn signed(&self, name: &str, hosts: &[&str], issuer: &Issuer<'_, KeyPair>, until_year: i32) {
        let key = KeyPair::generate().unwrap();
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until_year, 1, 1);
        let certificate = params.signed_by(&key, issuer).unwrap();
        self.write(name, &certificate.pem(), &key);
    }
}
