//! TLS, by rustls with the ring provider and the system's roots.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Makes ring the provider of this process; a second call changes nothing.
pub fn install_provider() {
    // Fails only when a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
#[error("no usable root certificates: expected a CA bundle such as ca-certificates, or a PEM file")]
pub struct NoRoots;

/// A client configuration that trusts the system's roots and speaks HTTP/1.1.
///
/// # Errors
/// When the system has no usable root certificate.
pub fn client_config() -> Result<Arc<ClientConfig>, NoRoots> {
    let mut config = trusting(rustls_native_certs::load_native_certs().certs)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A client configuration for a store's own protocol, which trusts the authorities of a PEM text, or
/// the system's without one.
///
/// # Errors
/// When there is no usable root certificate.
pub fn store_config(authorities: Option<&[u8]>) -> Result<ClientConfig, NoRoots> {
    match authorities {
        Some(pem) => trusting(CertificateDer::pem_slice_iter(pem).flatten().collect()),
        None => trusting(rustls_native_certs::load_native_certs().certs),
    }
}

fn trusting(authorities: Vec<CertificateDer<'static>>) -> Result<ClientConfig, NoRoots> {
    install_provider();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(authorities);
    if added == 0 {
        return Err(NoRoots);
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
