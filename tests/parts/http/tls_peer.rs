//! The same server behind TLS, with certificates from an authority that only the test trusts; and tests of https.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use jiggler_uring::io::http::{Client, ClientOptions, Error};
use jiggler_uring::io::tls::TlsOptions;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::TempDir;

use super::peer::Peer;
use crate::executor::on_executor;

/// A server with a certificate for `localhost`, and the CA file of the authority that signed it.
struct TlsServer {
    port: u16,
    ca_file: PathBuf,
    _directory: TempDir,
}

fn start() -> TlsServer {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.pem");
    std::fs::write(&ca_file, ca.pem()).unwrap();

    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut peer = Peer::new(StreamOwned::new(session, stream.unwrap()), number);
            thread::spawn(move || {
                while let Some(asked) = peer.asked() {
                    peer.answer(&format!("{} {}", peer.number, "z".repeat(asked.body.len())));
                }
            });
        }
    });
    TlsServer { port, ca_file, _directory: directory }
}

fn client(tls: TlsOptions) -> Client {
    Client::with_options(ClientOptions { tls, ..ClientOptions::default() })
}

#[test]
fn https_works_with_a_trusted_authority_and_connections_are_kept() {
    let server = start();
    on_executor(move || async move {
        let client = client(TlsOptions { ca_file: Some(server.ca_file.clone()), system_roots: false });
        let url = format!("https://localhost:{}/", server.port);
        for length in [0, 10, 100_000] {
            let answer = client.post(&url).body(vec![b'a'; length]).send().await.unwrap();
            assert_eq!(answer.text().await.unwrap(), format!("0 {}", "z".repeat(length)));
        }
    });
}

#[test]
fn an_untrusted_server_gets_no_request() {
    let server = start();
    on_executor(move || async move {
        let other = start();
        let url = format!("https://localhost:{}/", server.port);
        // From another authority; and from one that does not exist.
        let tls = TlsOptions { ca_file: Some(other.ca_file.clone()), system_roots: false };
        let error = client(tls).get(&url).send().await.err().unwrap();
        assert!(matches!(error, Error::Connect { .. }), "{error}");
        // The right authority, but another name than the certificate's.
        let tls = TlsOptions { ca_file: Some(server.ca_file.clone()), system_roots: false };
        let error = client(tls).get(&url.replace("localhost", "127.0.0.1")).send().await.err().unwrap();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(matches!(error, Error::Connect { .. }) && source.contains("certificate"), "{source}");
    });
}

#[test]
fn trust_that_cannot_be_set_up_is_an_error_that_names_the_file() {
    on_executor(|| async {
        let directory = tempfile::tempdir().unwrap();
        let (missing, empty) = (directory.path().join("missing.pem"), directory.path().join("empty.pem"));
        std::fs::write(&empty, "no certificate").unwrap();
        for (ca_file, says) in
            [(Some(missing), "missing.pem"), (Some(empty), "no certificate"), (None, "ca_file")]
        {
            let tls = TlsOptions { ca_file, system_roots: false };
            let error = client(tls).get("https://localhost/").send().await.err().unwrap();
            assert!(matches!(error, Error::NoTls { .. }) && error.to_string().contains(says), "{error}");
        }
    });
}
