//! A certificate authority for one test.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use shakedown::platform::tls::install_provider;

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().expect("key");
        Self(CertifiedIssuer::self_signed(params, key).expect("authority"))
    }

    /// Its certificate in a file.
    pub fn file(&self, folder: &Path, name: &str) -> PathBuf {
        let file = folder.join(name);
        std::fs::write(&file, self.0.pem()).expect("written");
        file
    }

    /// A certificate and its key in files.
    pub fn client(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (params, key) = leaf(name);
        let certificate = params.signed_by(&key, &self.0).expect("signed");
        let files = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
        std::fs::write(&files.0, certificate.pem()).expect("written");
        std::fs::write(&files.1, key.serialize_pem()).expect("written");
        files
    }

    /// A server for `localhost` and 127.0.0.1 that agrees to these protocols, and asks clients for a
    /// certificate of `clients` where that is given.
    pub fn server(&self, protocols: &[&str], clients: Option<&Self>) -> Arc<ServerConfig> {
        install_provider();
        let (params, key) = leaf("localhost");
        let certificate = params.signed_by(&key, &self.0).expect("signed");
        let key = key.serialize_der().try_into().expect("PKCS 8");
        let builder = match clients {
            None => ServerConfig::builder().with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.0.der().clone()).expect("root");
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build();
                ServerConfig::builder().with_client_cert_verifier(verifier.expect("verifier"))
            }
        };
        let certificates = vec![certificate.der().clone()];
        let mut config = builder.with_single_cert(certificates, key).expect("certificate");
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// A server that shows the authority's own certificate, as self-signed ones often are.
    pub fn as_server(&self) -> Arc<ServerConfig> {
        install_provider();
        let key = self.0.key().serialize_der().try_into().expect("PKCS 8");
        let builder = ServerConfig::builder().with_no_client_auth();
        let certificates = vec![self.0.der().clone()];
        Arc::new(builder.with_single_cert(certificates, key).expect("certificate"))
    }
}

fn leaf(name: &str) -> (CertificateParams, KeyPair) {
    let names = vec![name.to_owned(), "127.0.0.1".to_owned()];
    (CertificateParams::new(names).expect("names"), KeyPair::generate().expect("key"))
}
