//! What an installation decides about its door.

use prometheus::Registry;
use secrecy::SecretString;
use std::{path::PathBuf, time::Duration};
use tokio_util::sync::CancellationToken;

/// Plain data; `labwire` fills it from its configuration.
#[derive(Clone)]
pub struct HttpSettings {
    /// Where people reach this installation, e.g. `https://labs.example.org`; its origin is ours.
    pub public_url: String,
    /// Origins besides our own that may show our pages in a frame: the learning platform's.
    pub frame_ancestors: Vec<String>,
    /// Proxies of ours between people and this server, each of which appends to `X-Forwarded-For`; 0: whoever connects is who asks.
    pub proxies: usize,
    /// `/metrics` wants this as bearer; without one it answers loopback only.
    pub metrics_token: Option<SecretString>,
    /// What `/metrics` prints; the HTTP metrics are added to it. One router per registry.
    pub registry: Registry,
    /// Folder of labs or lab images; each `<lab>/demo.cast` in it is a recorded demonstration, read once at start.
    pub demos: Option<PathBuf>,
    /// Cancelled when this process is about to go away: `/readyz` says no, everything else goes on.
    pub draining: CancellationToken,
    /// A request's body is here within this, or its connection ends.
    pub body_within: Duration,
    /// Times of a WebSocket's life.
    pub pace: Pace,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            public_url: "http://localhost:8080".into(),
            frame_ancestors: Vec::new(),
            proxies: 0,
            metrics_token: None,
            registry: Registry::new(),
            demos: None,
            draining: CancellationToken::new(),
            body_within: crate::finish::BODY_WITHIN,
            pace: Pace::default(),
        }
    }
}

/// Times of a WebSocket's life.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// A ping this often: half of `silent_max`, so that one lost answer costs nothing.
    pub ping_every: Duration,
    /// No frame for this long, or one frame that the peer does not take for this long: closed with 4408.
    pub silent_max: Duration,
    /// What the hub has for its goodbye when the server stops, and a peer for its close frame.
    pub goodbye: Duration,
    /// Of staff: whether the login that opened it still holds is looked at this often. One read of the store by primary key; forty teachers are
    /// one or two a second.
    pub login_every: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(15),
            silent_max: Duration::from_secs(30),
            goodbye: Duration::from_secs(2),
            login_every: Duration::from_secs(30),
        }
    }
}
