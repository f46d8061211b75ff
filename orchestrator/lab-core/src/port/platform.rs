//! Learning platforms, as far as we ask them something: their keys, an access token, a grade.

use super::ErrorKind;
use async_trait::async_trait;
use std::time::Duration;

/// One request to a platform. Whoever answers it must not be able to lead us into our own network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformRequest {
    /// `GET` or `POST`.
    pub method: &'static str,
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl PlatformRequest {
    /// Reads an address.
    pub fn get(url: &str, accept: &str) -> Self {
        Self {
            method: "GET",
            url: url.to_owned(),
            headers: vec![("accept", accept.to_owned())],
            body: String::new(),
        }
    }

    /// Sends a body.
    pub fn post(url: &str, content_type: &str, body: String) -> Self {
        Self {
            method: "POST",
            url: url.to_owned(),
            headers: vec![("content-type", content_type.to_owned())],
            body,
        }
    }

    /// With a further header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// What came back, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformAnswer {
    pub status: u16,
    /// At most [`PLATFORM_BODY_BYTES_MAX`].
    pub body: String,
    /// The platform asks to be left alone for so long (`Retry-After`, in seconds).
    pub retry_after: Option<Duration>,
    /// Where the list goes on (`Link` with `rel="next"`, RFC 8288), as a whole address. The platform's word: whoever asks there with a
    /// token looks first whose address it is.
    pub next: Option<String>,
}

/// A set of keys is 2 KiB, a token 1 KiB, a page of line items 50 KiB; what is longer is not read.
pub const PLATFORM_BODY_BYTES_MAX: usize = 256 * 1024;

/// See the module's doc.
#[async_trait]
pub trait Platform: Send + Sync + 'static {
    /// Sends one request, follows no redirect, and gives up within seconds.
    async fn send(&self, request: &PlatformRequest) -> Result<PlatformAnswer, PlatformError>;
}

/// Why nothing was answered, as far as it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreached {
    /// The name has no address.
    Name,
    /// There is a machine, and nobody listens at that port.
    Refused,
    /// No TLS: the certificate is not trusted here or of another name, or the port speaks something else.
    Tls,
    /// Not within seconds: the machine is slow, or something drops what is sent to it.
    Slow,
    /// Anything else, such as a connection that broke off.
    Other,
}

/// What failed. Never holds what was sent.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    #[error("{url} does not answer")]
    Unavailable {
        url: String,
        why: Unreached,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{url} is in a private network; to allow it, name its host in the setting lti.private_hosts")]
    Private { url: String },
    #[error("{url} is not an address of the web")]
    Address { url: String },
    #[error("the answer of {url} is longer than {PLATFORM_BODY_BYTES_MAX} bytes, or no text")]
    Answer { url: String },
}

impl PlatformError {
    /// In one line with its innermost cause: `… does not answer: Connection refused (os error 111)`. Never holds what was sent.
    pub fn explained(&self) -> String {
        let mut cause = std::error::Error::source(self);
        let mut innermost = None;
        while let Some(e) = cause {
            innermost = Some(e.to_string());
            cause = e.source();
        }
        match innermost {
            Some(why) => format!("{self}: {why}"),
            None => self.to_string(),
        }
    }

    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable { .. } | Self::Answer { .. } => ErrorKind::Unavailable,
            Self::Private { .. } => ErrorKind::Denied,
            Self::Address { .. } => ErrorKind::Invalid,
        }
    }

    /// Public code and metric label.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "platform-unavailable",
            Self::Private { .. } => "platform-private",
            Self::Address { .. } => "platform-address",
            Self::Answer { .. } => "platform-answer",
        }
    }
}
