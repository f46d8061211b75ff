//! Launches by LTI: one more way to a launch link, and from there on the same way in.
//!
//! ```text
//!  platform ── initiation ──► begin ── auth request, cookie ──► platform ── id_token ──► token (1.3) ─┐
//!  platform ── signed form ─────────────────────────────────────────────────────────► form (1.1) ─────┼─► arrive ─► link
//! ```
//! A teacher's deep linking goes from `token` to a page of [`choose`], and from there back to the platform.
//!
//! Platforms are set up by [`Setup`], or register themselves by an invitation (`register`).
//!
//! `arrive` signs a link ([`lab_core::launch::LaunchClaims`]) that lives for a minute and is used once, like any other: roles, bearers
//! and entitlement know nothing of LTI.

mod access;
mod arrive;
mod begin;
mod choose;
mod form;
mod jwks;
mod keys;
mod launched;
mod members;
mod migrate;
mod register;
mod setup;
mod signature;
mod token;
mod trial;

pub(crate) use access::{Asked, Tokens, unanswered};
pub use begin::{Begun, StorageOffer};
pub use choose::{Answered, Picker};
pub(crate) use form::oauth_signature;
pub(crate) use jwks::PlatformKeys;
pub use keys::{KEY_PUBLISHED_AFTER, OurKeys, PublicKey};
pub(crate) use launched::LaunchedAt;
pub use members::{CoursePeople, CoursePerson};
pub use register::CameByInvitation;
pub use setup::{Added, Invited, LtiOverview, NewRegistration, Offer, Setup};
pub use token::{Browser, Launched};
pub use trial::{Outcome, Trial, Trier};

use crate::{App, AppError};
use lab_core::{
    LaunchId,
    launch::lti::{Attempt, Kind, LtiRefusal, PLATFORM_ID_CHARS_MAX, Registration, RegistrationId, Version},
    port::ErrorKind,
};

/// Of whom a launch is, as far as it told by now.
#[derive(Default)]
struct Whose {
    registration: Option<RegistrationId>,
    /// The issuer or consumer key that it names.
    platform: Option<String>,
}

/// The mark in `launch_used` of something that counts once.
fn mark(kind: &str, parts: &[&str]) -> LaunchId {
    LaunchId(lab_core::mark(kind, parts))
}

impl App {
    /// Writes a refusal down for `labwire lti test`, and hands it on. What cannot be written is only logged: the launch has its answer.
    async fn noted<T>(&self, version: Version, whose: Whose, result: Result<T, AppError>) -> Result<T, AppError> {
        let Whose { registration, platform } = whose;
        let (code, step, detail) = match &result {
            Ok(_) => return result,
            Err(AppError::Lti(LtiRefusal { fault, detail })) => (fault.code(), fault.step(), detail.clone()),
            Err(other) => (other.code(), 0, other.public()),
        };
        let named = registration.as_ref().map_or("unknown", |r| r.0.as_str());
        tracing::info!(
            code,
            step,
            version = version.name(),
            registration = named,
            "launch by LTI refused"
        );
        let attempt = Attempt {
            at: self.now(),
            registration,
            platform: platform.map(|p| p.chars().take(PLATFORM_ID_CHARS_MAX).collect()),
            version: version.name().to_owned(),
            code: code.to_owned(),
            step,
            detail,
        }
        .bounded();
        if let Err(error) = self.ports.store.lti_attempt_add(&attempt).await {
            tracing::warn!(code = error.code(), "a refused launch could not be written down");
        }
        result
    }

    /// Writes down what was wrong with a launch that went on. Each thing once, for as long as it is kept: every learner of a platform with another
    /// secret would push all else out.
    async fn note(&self, registration: &Registration, why: LtiRefusal) -> Result<(), AppError> {
        let attempt = Attempt {
            at: self.now(),
            registration: Some(registration.id.clone()),
            platform: match &registration.kind {
                Kind::Platform { issuer, .. } => Some(issuer.clone()),
                Kind::Consumer { key, .. } => Some(key.clone()),
            },
            version: registration.kind.version().name().to_owned(),
            code: why.fault.code().to_owned(),
            step: why.fault.step(),
            detail: why.detail,
        }
        .bounded();
        let said = |known: &Attempt| {
            Attempt {
                at: known.at,
                ..attempt.clone()
            } == *known
        };
        if !self.ports.store.lti_attempt_list().await?.iter().any(said) {
            self.ports.store.lti_attempt_add(&attempt).await?;
        }
        Ok(())
    }
}

/// Where a launch arrives, below the public address.
pub(crate) const REDIRECT_PATH: &str = "/lti/launch";

/// Something of ours is not as it must be.
fn broken(message: &str) -> AppError {
    AppError::refused(ErrorKind::Bug, "lti-broken", message)
}
