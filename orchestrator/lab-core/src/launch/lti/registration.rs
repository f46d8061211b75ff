//! What is stored of a learning platform.

use super::Version;
use crate::{CourseId, PlanId, Timestamp, TokenHash};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A registration's name, chosen by whoever adds it: `[a-z0-9-]{1,63}`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RegistrationId(pub String);

impl RegistrationId {
    /// See [`Registration::source`].
    pub fn source(&self) -> String {
        format!("lti:{}", self.0)
    }

    /// Under what the grades of a registration wait that was removed, or whose name another client has by now. Nothing that is registered has such
    /// a name, so nothing goes out under it. Of nobody known: those that were found under the name before it was anybody's.
    #[must_use]
    pub fn former(&self, of: Option<&Kind>) -> Self {
        let parts = match of {
            Some(Kind::Platform { issuer, client_id, .. }) => vec!["1.3", issuer, client_id],
            Some(Kind::Consumer { key, .. }) => vec!["1.1", key],
            None => vec![],
        };
        let mark = crate::mark("registration-former", &parts).simple().to_string();
        Self(format!("{}@{}", self.0, &mark[..FORMER_DIGITS]))
    }
}

/// 48 bits tell apart the few clients that a name ever has, and can be typed.
const FORMER_DIGITS: usize = 12;

impl fmt::Display for RegistrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A platform, or one of its courses or blocks, that may launch labs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub id: RegistrationId,
    /// All launches are of this course; otherwise the course is the platform's own.
    pub course: Option<CourseId>,
    /// Every learner who launches gets a grant of this plan, once a course; otherwise learners bring grants of their own.
    pub plan: Option<PlanId>,
    pub created_at: Timestamp,
    pub kind: Kind,
}

impl Registration {
    /// Where the grants that its launches give come from: their source, and the name of its budget.
    pub fn source(&self) -> String {
        self.id.source()
    }
}

/// By version.
#[derive(Clone, PartialEq, Eq)]
pub enum Kind {
    /// LTI 1.3; unique by issuer and client id.
    Platform {
        issuer: String,
        client_id: String,
        auth_url: String,
        token_url: String,
        /// `aud` of our assertions where it is not `token_url`.
        token_audience: Option<String>,
        jwks: Jwks,
        /// Allowed deployments; empty: any.
        deployments: Vec<String>,
    },
    /// LTI 1.1; unique by key. The secret is needed as it is: signatures are made with it.
    Consumer { key: String, secret: String },
}

impl Kind {
    /// Which version of LTI its launches are of.
    pub fn version(&self) -> Version {
        match self {
            Self::Platform { .. } => Version::V1p3,
            Self::Consumer { .. } => Version::V1p1,
        }
    }

    /// Whether both are the same client of the same platform, or the same key: whose grades, people and addresses of before are its own. Endpoints,
    /// keys and secrets change without that.
    pub fn is_same_client(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Platform { issuer, client_id, .. },
                Self::Platform {
                    issuer: other_issuer,
                    client_id: other_client,
                    ..
                },
            ) => issuer == other_issuer && client_id == other_client,
            (Self::Consumer { key, .. }, Self::Consumer { key: other, .. }) => key == other,
            _ => false,
        }
    }

    /// How this installation names a course of the platform that it calls `context`, where the registration names none.
    pub fn course_like(&self, context: &str) -> CourseId {
        super::course(&self.platform_name(), Some(context))
    }

    /// Whether `issuer` is of this platform's host, however it is written: with a slash more, in capitals, without TLS.
    pub fn is_of_host(&self, issuer: &str) -> bool {
        let host = host_of(issuer);
        matches!(self, Self::Platform { issuer, .. } if host.is_some() && host == host_of(issuer))
    }

    /// The platform's part of its people's and courses' names.
    pub fn platform_name(&self) -> String {
        match self {
            Self::Platform { issuer, .. } => super::issuer_name(issuer).to_owned(),
            Self::Consumer { key, .. } => super::consumer_name(key),
        }
    }

    /// A Moodle of version 4 or later: issuer and endpoints follow from its address.
    pub fn moodle(site: &str, client_id: String, deployments: Vec<String>) -> Self {
        let site = site.trim_end_matches('/');
        Self::Platform {
            issuer: site.to_owned(),
            client_id,
            auth_url: format!("{site}/mod/lti/auth.php"),
            token_url: format!("{site}/mod/lti/token.php"),
            token_audience: None,
            jwks: Jwks::Url(format!("{site}/mod/lti/certs.php")),
            deployments,
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform { issuer, client_id, .. } => write!(f, "Platform({issuer}, {client_id})"),
            Self::Consumer { key, .. } => write!(f, "Consumer({key}, secret: ..)"),
        }
    }
}

/// A platform's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Jwks {
    /// Fetched from here.
    Url(String),
    /// This JSON, for platforms that cannot be reached.
    Static(String),
}

/// How a launch finds its registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationKey {
    /// LTI 1.3. Without a client id: all of the issuer.
    Platform { issuer: String, client_id: Option<String> },
    /// LTI 1.1.
    Consumer { key: String },
}

/// A login that was begun and whose `id_token` is awaited. Secrets are hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LtiState {
    pub state: TokenHash,
    pub nonce: TokenHash,
    /// What proves the browser: a cookie, or the platform's storage.
    pub browser: TokenHash,
    pub registration: RegistrationId,
    pub target: String,
    /// The initiation's parameters, to begin again in a new window: JSON.
    pub initiation: String,
    pub expires_at: Timestamp,
}

/// One of our own key pairs, RS256.
#[derive(Clone, PartialEq, Eq)]
pub struct LtiKey {
    pub kid: String,
    /// PKCS#1 DER, base64.
    pub private: String,
    pub created_at: Timestamp,
    /// Published until then, and not used for signing any more.
    pub retire_at: Option<Timestamp>,
}

impl fmt::Debug for LtiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LtiKey({}, private: ..)", self.kid)
    }
}

/// What is here by a registration: what its removal leaves behind, and nobody loses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistrationUse {
    /// Courses that its launches were of, by name.
    pub courses: Vec<CourseId>,
    /// People whom its launches gave lab time, or whose grades go back by it.
    pub learners: u64,
    /// Grades that wait to go back: they are refused once the registration is gone, and can be sent again when the same client is there again.
    pub grades_waiting: u64,
    /// Logins that were begun and are not finished.
    pub logins: u64,
}

/// Longest address, key or secret of a registration: what any platform has, ten times.
const TEXT_BYTES_MAX: usize = 2048;

/// What is wrong with a registration: field, value, remedy. Secrets are not told.
pub fn registration_problem(r: &Registration) -> Option<String> {
    let id = &r.id.0;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(1..=63).contains(&id.len()) || !id.bytes().all(plain) {
        return Some(format!("name {id:?}: use 1 to 63 of a-z, 0-9 and '-'"));
    }
    match &r.kind {
        Kind::Platform {
            issuer,
            client_id,
            auth_url,
            token_url,
            jwks,
            ..
        } => {
            let mut addresses = vec![("issuer", issuer), ("auth-url", auth_url), ("token-url", token_url)];
            if let Jwks::Url(url) = jwks {
                addresses.push(("jwks-url", url));
            }
            if let Some((field, value)) = addresses.into_iter().find(|(_, value)| !is_address(value)) {
                return Some(format!(
                    "{field} {value:?}: write an address that begins with https://, whole and as the platform shows it"
                ));
            }
            text_problem("client-id", client_id)
        }
        Kind::Consumer { key, secret } => {
            if secret.len() < SECRET_BYTES_MIN || secret.len() > TEXT_BYTES_MAX {
                return Some(format!(
                    "secret of {} bytes: use at least {SECRET_BYTES_MIN}, such as `openssl rand -hex 32` makes",
                    secret.len()
                ));
            }
            text_problem("key", key)
        }
    }
}

/// 16 characters of a random secret are 64 bits at least; what is shorter can be guessed from one signed launch.
const SECRET_BYTES_MIN: usize = 16;

fn text_problem(field: &str, value: &str) -> Option<String> {
    let fits = !value.is_empty() && value.len() <= TEXT_BYTES_MAX;
    let plain = value.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    (!fits || !plain).then(|| format!("{field} {value:?}: use printable ASCII without spaces and '#'"))
}

/// An address of the web that fits in a column and has no fragment.
pub(crate) fn is_address(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let plain = |b: u8| b.is_ascii_graphic() && !b"#\"<>\\".contains(&b);
    rest.is_some_and(|r| !r.is_empty() && !r.starts_with('/')) && url.len() <= TEXT_BYTES_MAX && url.bytes().all(plain)
}

/// The host of an address, in lower case and without its port; nothing where a name and password stand before it, or where there is none.
pub(super) fn host_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = match authority.rsplit_once(':') {
        // of an IPv6 address, what follows the last colon is its own
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    (!host.is_empty() && !host.contains('@')).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(key: &str, secret: &str) -> Registration {
        Registration {
            id: RegistrationId("fun".into()),
            course: None,
            plan: None,
            created_at: Timestamp(0),
            kind: Kind::Consumer {
                key: key.into(),
                secret: secret.into(),
            },
        }
    }

    #[test]
    fn a_registration_that_cannot_work_is_refused_without_telling_its_secret() {
        assert_eq!(registration_problem(&consumer("fun", "0123456789abcdef")), None);
        let short = registration_problem(&consumer("fun", "hunter2")).unwrap();
        assert!(short.contains("7 bytes") && !short.contains("hunter2"), "{short}");
        assert!(registration_problem(&consumer("a#b", "0123456789abcdef")).is_some());
        assert!(!format!("{:?}", consumer("fun", "0123456789abcdef")).contains("0123456789abcdef"));
    }

    #[test]
    fn what_waits_for_one_client_has_another_name_than_what_waits_for_the_next() {
        let id = RegistrationId("fun".into());
        let moodle = |client: &str| Kind::moodle("https://moodle.example.org", client.into(), vec![]);
        let key = consumer("imt", "0123456789abcdef").kind;
        let all = [
            id.former(None),
            id.former(Some(&moodle("a"))),
            id.former(Some(&moodle("b"))),
            id.former(Some(&key)),
            RegistrationId("edx".into()).former(Some(&key)),
        ];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
        assert_eq!(
            id.former(Some(&key)),
            id.former(Some(&consumer("imt", "another secret").kind))
        );
        assert!(key.is_same_client(&consumer("imt", "another secret").kind) && !key.is_same_client(&moodle("a")));
        for name in all {
            let taken = Registration {
                id: name.clone(),
                ..consumer("imt", "0123456789abcdef")
            };
            assert!(registration_problem(&taken).is_some(), "nobody can register {name}");
        }
    }
}
