//! Refused launches, for `labwire lti test`: what is kept of one, and which of them somebody means who asks for a registration.

use super::{Kind, Registration, RegistrationId, registration::host_of};
use crate::{Timestamp, nearest};

/// A launch that was refused, for `labwire lti test`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub at: Timestamp,
    /// Unknown when it could not be told whose it was.
    pub registration: Option<RegistrationId>,
    /// The issuer (LTI 1.3) or consumer key (1.1) that it named, where it got so far; also one that no registration has.
    pub platform: Option<String>,
    /// `1.1` or `1.3`.
    pub version: String,
    pub code: String,
    /// See [`super::Fault::step`].
    pub step: u8,
    pub detail: String,
}

/// Why a refused launch is shown to somebody who asks for a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// It was its own.
    Own,
    /// It was nobody's, and names the same platform: a client id that differs, an issuer with a slash more, a key with a letter less.
    NearMiss,
}

impl Attempt {
    /// Whether it is of a registration, or was perhaps meant to be.
    pub fn concerns(&self, registration: &Registration) -> Option<Concern> {
        if let Some(id) = &self.registration {
            return (*id == registration.id).then_some(Concern::Own);
        }
        let named = self.platform.as_deref()?;
        let near = match &registration.kind {
            Kind::Platform { issuer, .. } => host_of(named).is_some_and(|host| Some(host) == host_of(issuer)),
            Kind::Consumer { key, .. } => nearest(named, [key.as_str()]).is_some(),
        };
        near.then_some(Concern::NearMiss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(registration: Option<&str>, platform: Option<&str>) -> Attempt {
        Attempt {
            at: Timestamp(0),
            registration: registration.map(|r| RegistrationId(r.into())),
            platform: platform.map(Into::into),
            version: "1.3".into(),
            code: "lti-platform-unknown".into(),
            step: 0,
            detail: String::new(),
        }
    }

    #[test]
    fn a_launch_of_nobody_is_shown_to_whom_it_was_probably_meant_for_and_to_no_other() {
        let of = |kind| Registration {
            id: RegistrationId("fun".into()),
            course: None,
            plan: None,
            created_at: Timestamp(0),
            kind,
        };
        let edx = of(Kind::moodle("https://lms.example.org", "client".into(), vec![]));
        assert_eq!(attempt(Some("fun"), None).concerns(&edx), Some(Concern::Own));
        assert_eq!(
            attempt(Some("other"), Some("https://lms.example.org")).concerns(&edx),
            None
        );
        for near in [
            "https://lms.example.org",
            "https://lms.example.org/",
            "http://LMS.example.org",
        ] {
            assert_eq!(
                attempt(None, Some(near)).concerns(&edx),
                Some(Concern::NearMiss),
                "{near}"
            );
        }
        assert_eq!(attempt(None, Some("https://other.example.org")).concerns(&edx), None);
        assert_eq!(attempt(None, None).concerns(&edx), None);
        let fun = of(Kind::Consumer {
            key: "imt-net101".into(),
            secret: "0123456789abcdef".into(),
        });
        assert_eq!(
            attempt(None, Some("imt-net-101")).concerns(&fun),
            Some(Concern::NearMiss)
        );
        assert_eq!(attempt(None, Some("dakar-sys202")).concerns(&fun), None);
    }
}
