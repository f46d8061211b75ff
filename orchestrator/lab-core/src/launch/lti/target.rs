//! Launch addresses: `<public url>/lti/labs/<lab>`, where `<lab>` is a lab's id or its UUID, and `<public url>/lti/launch`, whose lab
//! is in the custom parameter `lab`. A lab is never looked up by where a course links it: copies of a course keep their labs.

use super::{LtiRefusal, fault::Fault, oauth::normal_url};
use crate::LabId;
use uuid::Uuid;

/// What labs' UUIDs are made from; never changes, or every launch address in every course breaks.
const LAB_NAMESPACE: Uuid = Uuid::from_u128(0x6c61_6277_6972_4500_8c6f_6c74_692f_6c61);

/// A lab's UUID, the same in every installation and version: platforms recognise tools by addresses that end in one.
pub fn lab_uuid(lab: &LabId) -> Uuid {
    Uuid::new_v5(&LAB_NAMESPACE, lab.as_str().as_bytes())
}

/// One of our launch addresses, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchUrl {
    /// Id or UUID; none for the general address.
    pub lab: Option<String>,
}

impl LaunchUrl {
    /// Reads `url` when it is a launch address of the installation at `public_url`. Query and port by default do not matter.
    pub fn of(public_url: &str, url: &str) -> Option<Self> {
        let (ours, _) = normal_url(public_url)?;
        let (base, _) = normal_url(url)?;
        let path = base.strip_prefix(ours.trim_end_matches('/'))?;
        if path.trim_end_matches('/') == "/lti/launch" {
            return Some(Self { lab: None });
        }
        let lab = path.strip_prefix("/lti/labs/")?.trim_end_matches('/');
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let fits = (1..=63).contains(&lab.len()) && lab.bytes().all(plain);
        fits.then(|| Self {
            lab: Some(lab.to_owned()),
        })
    }
}

impl LaunchUrl {
    /// [`LaunchUrl::of`] the address that the parameter or form `what` names.
    ///
    /// # Errors
    /// [`Fault::TargetForeign`], which says what such an address is like.
    pub fn read(public_url: &str, url: &str, what: &str) -> Result<Self, LtiRefusal> {
        Self::of(public_url, url).ok_or_else(|| {
            Fault::TargetForeign.because(format!(
                "{what} is {url:?}; use {public_url}/lti/labs/<lab>, or {public_url}/lti/launch with the custom parameter lab"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_launch_addresses_are_read() {
        let of = |url| LaunchUrl::of("https://labs.example.org", url);
        let lab = |l: &str| Some(LaunchUrl { lab: Some(l.into()) });
        assert_eq!(
            of("https://labs.example.org/lti/labs/ospf-triangle"),
            lab("ospf-triangle")
        );
        assert_eq!(of("https://LABS.example.org:443/lti/labs/ospf?x=1"), lab("ospf"));
        assert_eq!(of("https://labs.example.org/lti/labs/ospf/"), lab("ospf"));
        assert_eq!(of("https://labs.example.org/lti/launch"), Some(LaunchUrl { lab: None }));
        assert_eq!(
            of("https://labs.example.org/lti/launch/"),
            Some(LaunchUrl { lab: None })
        );
        for foreign in [
            "https://labs.example.org.evil.example/lti/labs/x",
            "https://labs.example.org@evil.example/lti/labs/x",
            "http://labs.example.org/lti/labs/x",
            "https://labs.example.org:8443/lti/labs/x",
            "https://labs.example.org/lti/labs/",
            "https://labs.example.org/lti/labs/a/b",
            "https://labs.example.org/lti/labs/..%2f",
            "https://labs.example.org/launch",
            "javascript:alert(1)",
            "",
        ] {
            assert_eq!(of(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_labs_uuid_never_changes() {
        assert_eq!(
            lab_uuid(&"ospf-triangle".into()).to_string(),
            lab_uuid(&"ospf-triangle".into()).to_string()
        );
        assert_eq!(lab_uuid(&"ospf-triangle".into()).get_version_num(), 5);
        assert_ne!(lab_uuid(&"ospf-triangle".into()), lab_uuid(&"ospf".into()));
        // written into courses
        assert_eq!(
            lab_uuid(&"ospf-triangle".into()).to_string(),
            "ef39942c-7054-5df7-ba80-3dbc981dca40"
        );
    }
}
