//! The one implementation of TLS.

/// Chooses the process's TLS implementation; call it before building any HTTP client. Once is enough,
/// more often does no harm.
pub fn install() {
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
}
