//! Learning platforms and webhooks, asked over HTTPS: the port [`lab_core::port::Platform`]. Mail is beside it, in `mail`.
//!
//! Addresses come from registrations and from platforms' own messages, so whoever writes one must not be able to make us ask inside
//! our own network: every address is resolved by us, and one that is not public is not connected to ([`Guard`]). No redirect is
//! followed, no proxy is asked, and an answer has a length and a time.

mod guard;
mod link;
mod mail;

pub use guard::{Guard, is_public};
pub use mail::{MailOpenError, SmtpMail};

use async_trait::async_trait;
use lab_core::port::{PLATFORM_BODY_BYTES_MAX, Platform, PlatformAnswer, PlatformError, PlatformRequest, Unreached};
use reqwest::{
    Client, Method,
    header::{HeaderMap, RETRY_AFTER},
    redirect::Policy,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use std::{error::Error, io, sync::Arc, time::Duration};

/// A platform under load answers its keys in a second or two; a learner waits for no more than this.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// … of which the connection has this.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// See the module's doc.
pub struct HttpPlatform {
    client: Client,
    guard: Guard,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("TLS cannot be used")]
    Tls(#[source] rustls::Error),
    #[error("the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
}

impl HttpPlatform {
    /// `private_hosts`: names and addresses that may be asked although they are in a private network.
    pub fn open(private_hosts: Vec<String>) -> Result<Self, OpenError> {
        Self::patient(private_hosts, ANSWER_WITHIN)
    }

    /// [`HttpPlatform::open`] with another patience, which tests have less of.
    #[doc(hidden)]
    pub fn patient(private_hosts: Vec<String>, answer_within: Duration) -> Result<Self, OpenError> {
        let guard = Guard::new(private_hosts);
        let client = Client::builder()
            .tls_backend_preconfigured(tls()?)
            .dns_resolver(guard.clone())
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_WITHIN)
            .timeout(answer_within)
            .user_agent(concat!("labwire/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(OpenError::Client)?;
        Ok(Self { client, guard })
    }
}

/// The system's certificates; one that cannot be read is left out, as the system's own programs do.
fn tls() -> Result<ClientConfig, OpenError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(OpenError::Tls)?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[async_trait]
impl Platform for HttpPlatform {
    async fn send(&self, request: &PlatformRequest) -> Result<PlatformAnswer, PlatformError> {
        // what an address asks for may be a token: only where it leads is told
        let shown = request.url.split('?').next().unwrap_or_default().to_owned();
        let url = reqwest::Url::parse(&request.url)
            .ok()
            .filter(|u| matches!(u.scheme(), "http" | "https") && u.username().is_empty() && u.password().is_none())
            .ok_or_else(|| PlatformError::Address { url: shown.clone() })?;
        self.guard
            .check(&url)
            .map_err(|_| PlatformError::Private { url: shown.clone() })?;
        let method =
            Method::from_bytes(request.method.as_bytes()).map_err(|_| PlatformError::Address { url: shown.clone() })?;
        let mut builder = self.client.request(method, url).body(request.body.clone());
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        let mut response = builder.send().await.map_err(|e| failed(e, &shown))?;
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let next = link::next(response.headers(), response.url());
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|e| failed(e, &shown))? {
            if body.len() + part.len() > PLATFORM_BODY_BYTES_MAX {
                return Err(PlatformError::Answer { url: shown });
            }
            body.extend_from_slice(&part);
        }
        let body = String::from_utf8(body).map_err(|_| PlatformError::Answer { url: shown })?;
        Ok(PlatformAnswer {
            status,
            body,
            retry_after,
            next,
        })
    }
}

/// In seconds; the other form, a date, is no wish of a platform under load but of one that plans, and it is asked again anyway.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let secs = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(secs))
}

/// The resolver's refusal is somewhere in the chain of causes.
fn failed(error: reqwest::Error, url: &str) -> PlatformError {
    let url = url.to_owned();
    if causes(&error).any(<dyn std::error::Error + 'static>::is::<guard::NotPublic>) {
        return PlatformError::Private { url };
    }
    PlatformError::Unavailable {
        url,
        why: why(&error),
        source: Box::new(error.without_url()),
    }
}

fn why(error: &reqwest::Error) -> Unreached {
    if error.is_timeout() {
        return Unreached::Slow;
    }
    let known = causes(error).find_map(|e| {
        if e.is::<guard::NameUnknown>() {
            return Some(Unreached::Name);
        }
        if e.is::<rustls::Error>() {
            return Some(Unreached::Tls);
        }
        let refused = e
            .downcast_ref::<io::Error>()
            .is_some_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
        refused.then_some(Unreached::Refused)
    });
    known.unwrap_or(Unreached::Other)
}

/// An error and all of its causes, the outermost first. What stands inside an I/O error is one of them, though its `source` leaves it out.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |e: &&'a (dyn Error + 'static)| {
        let e: &'a (dyn Error + 'static) = *e;
        let inside = e.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match inside {
            Some(inside) => Some(inside),
            None => e.source(),
        }
    })
}
