//! TLS, by rustls with the ring provider and the system's roots.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

/// Makes ring the provider of this process; a second call changes nothing.
pub fn install_provider() {
    // Fails only when a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
#[error("no usable root certificates on this system: expected a CA bundle such as ca-certificates")]
pub struct NoRoots;

/// A client configuration that trusts the system's roots and speaks HTTP/1.1.
///
/// # Errors
/// When the system has no usable root certificate.
pub fn client_config() -> Result<Arc<ClientConfig>, NoRoots> {
    install_provider();
    let mut roots = RootCertStore::empty();
    let (added, _) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        return Err(NoRoots);
    }
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
