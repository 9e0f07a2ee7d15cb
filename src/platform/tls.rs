//! TLS, by rustls with the ring provider; the system's roots or those of a file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use super::text::with_causes;
use crate::config::{HttpVersion, TlsSettings};

/// Makes ring the provider of this process; a second call changes nothing.
pub fn install_provider() {
    // Fails only when a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// What is wrong where no authority is known, and what to do.
const NO_AUTHORITIES: &str = "no authority is known on this machine: install a CA bundle \
    (ca-certificates), let SSL_CERT_FILE name one, or let the configuration name one (`ca_file`)";

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The machine knows no authority.
    #[error("{NO_AUTHORITIES}")]
    NoRoots,
    /// What should name authorities names none.
    #[error("expected certificates of authorities in PEM form, found none")]
    NoneNamed,
    /// A configured file is not what it should be.
    #[error("{}: expected {expected} in PEM form, {reason}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What should be in it.
        expected: &'static str,
        /// What is wrong.
        reason: String,
    },
}

impl TlsError {
    fn file(file: &Path, expected: &'static str, reason: impl ToString) -> Self {
        Self::File { file: file.to_owned(), expected, reason: reason.to_string() }
    }
}

/// Whether it was TLS that broke a connection: an alert, a certificate, bytes that are no record.
pub fn broke(error: &(dyn std::error::Error + 'static)) -> bool {
    // The library of HTTP/2 keeps only the words of what broke its connection.
    broken_by(error).is_some() || with_causes(error).contains("received fatal alert")
}

/// An error's words with what to do about a certificate that was refused, where the library only names
/// what is wrong.
pub fn advised(words: String, error: &(dyn std::error::Error + 'static)) -> String {
    let Some(rustls::Error::InvalidCertificate(certificate)) = broken_by(error) else {
        return words;
    };
    match certificate {
        CertificateError::UnknownIssuer if system_roots().is_err() => {
            format!("{words}: {NO_AUTHORITIES}")
        }
        CertificateError::UnknownIssuer => {
            format!("{words}: `tls.ca_file` names an authority to trust")
        }
        // The library has no words of its own for it.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => words
            .replace(
                &certificate.to_string(),
                "it is an authority's own (CA:TRUE): the server needs one that the authority signed",
            ),
        _ => words,
    }
}

fn broken_by<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(broken_by) = error.downcast_ref() {
        return Some(broken_by);
    }
    // What an input error carries stands beside its chain of causes, not in it.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(carried) => broken_by(carried),
        None => broken_by(error.source()?),
    }
}

/// A client configuration for a service, which offers these versions of HTTP (ALPN, RFC 7301).
///
/// # Errors
/// When there is no usable root certificate, or a configured file is unusable.
pub fn client_config(settings: &TlsSettings, http: HttpVersion) -> Result<ClientConfig, TlsError> {
    install_provider();
    let builder = ClientConfig::builder();
    let builder = match &settings.ca_file {
        _ if settings.insecure => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unchecked(provider())))
        }
        Some(file) => builder
            .with_root_certificates(roots(certificates(file)?).ok_or_else(|| {
                TlsError::file(file, "certificates of authorities", "found none")
            })?),
        None => builder.with_root_certificates(system_roots()?),
    };
    let mut config = match (&settings.cert_file, &settings.key_file) {
        (Some(certificate), Some(key_file)) => {
            let key = PrivateKeyDer::from_pem_file(key_file)
                .map_err(|error| TlsError::file(key_file, "a private key", error))?;
            builder
                .with_client_auth_cert(certificates(certificate)?, key)
                .map_err(|error| TlsError::file(key_file, "the certificate's key", error))?
        }
        _ => builder.with_no_client_auth(),
    };
    let (one, two) = (b"http/1.1".to_vec(), b"h2".to_vec());
    config.alpn_protocols = match http {
        HttpVersion::Auto => vec![two, one],
        HttpVersion::Http1 => vec![one],
        HttpVersion::Http2 => vec![two],
    };
    Ok(config)
}

/// A client configuration for a store's own protocol, which trusts the authorities of a PEM text, or
/// the system's without one.
///
/// # Errors
/// When there is no usable root certificate.
pub fn store_config(authorities: Option<&[u8]>) -> Result<ClientConfig, TlsError> {
    install_provider();
    let roots = match authorities {
        Some(pem) => {
            let named = roots(CertificateDer::pem_slice_iter(pem).flatten().collect());
            Arc::new(named.ok_or(TlsError::NoneNamed)?)
        }
        None => system_roots()?,
    };
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

/// A client configuration for where encryption is not asked for: a machine that knows no authority
/// trusts nobody, which a server without TLS does not mind.
///
/// # Errors
/// When authorities were named, and are none.
pub fn optional_config(authorities: Option<&[u8]>) -> Result<ClientConfig, TlsError> {
    match store_config(authorities) {
        Err(TlsError::NoRoots) => Ok(ClientConfig::builder()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth()),
        configured => configured,
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let refused = |reason: String| TlsError::file(file, "certificates", reason);
    let read = CertificateDer::pem_file_iter(file).map_err(|error| refused(error.to_string()))?;
    let all: Result<Vec<_>, _> = read.collect();
    let all = all.map_err(|error| refused(error.to_string()))?;
    if all.is_empty() { Err(refused("found none".into())) } else { Ok(all) }
}

/// The authorities that this machine knows, read once.
///
/// # Errors
/// When it knows none.
pub fn system_roots() -> Result<Arc<RootCertStore>, TlsError> {
    static KNOWN: OnceLock<Option<Arc<RootCertStore>>> = OnceLock::new();
    let load = || roots(rustls_native_certs::load_native_certs().certs).map(Arc::new);
    KNOWN.get_or_init(load).clone().ok_or(TlsError::NoRoots)
}

fn roots(authorities: Vec<CertificateDer<'static>>) -> Option<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(authorities);
    (added > 0).then_some(roots)
}

fn provider() -> Arc<CryptoProvider> {
    let default = || Arc::new(rustls::crypto::ring::default_provider());
    CryptoProvider::get_default().cloned().unwrap_or_else(default)
}

/// Takes any certificate for the server's, as `insecure` asks; the handshake itself must still be
/// signed by its key.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
