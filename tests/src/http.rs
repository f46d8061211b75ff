//! HTTP clients of tests.

/// A builder of clients. Built with the whole workspace, reqwest has TLS (the object storage's client brings it) and then refuses to
/// make a client before the process has chosen who does the arithmetic, although nothing here speaks TLS.
pub fn http() -> reqwest::ClientBuilder {
    // a second choice of the same is refused, and as good
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}

/// A client as it comes.
///
/// # Panics
/// Never: without TLS settings there is nothing to go wrong.
pub fn client() -> reqwest::Client {
    http().build().expect("a client without settings")
}
