//! HTTP clients of tests.

use std::time::Duration;

/// A builder of clients. Built with the whole workspace, reqwest has TLS (the object storage's client brings it) and then refuses to
/// make a client before the process has chosen who does the arithmetic, although nothing here speaks TLS.
pub fn http() -> reqwest::ClientBuilder {
    // a second choice of the same is refused, and as good
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}

/// Without a byte for so long, an answer will not come: a test says so instead of hanging until it is ended from outside. Longer than anything
/// that a server here lets wait.
const SILENT_MAX: Duration = Duration::from_secs(120);

/// A client as it comes, that gives up where nothing comes.
///
/// # Panics
/// Never: without TLS settings there is nothing to go wrong.
pub fn client() -> reqwest::Client {
    let client = http().connect_timeout(SILENT_MAX).read_timeout(SILENT_MAX);
    client.build().expect("a client without TLS settings")
}
