//! What a course team pastes into its platform. The names of fields are those that the platforms show.

use super::{Kind, Registration, lab_uuid};
use crate::LabId;

/// One platform's form: where it is, what goes into it, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guide {
    /// `Open edX Studio, LTI 1.3`.
    pub platform: &'static str,
    /// The way there through the platform's menus, a line a step.
    pub path: Vec<String>,
    pub fields: Vec<GuideField>,
    /// What to do once it is saved.
    pub then: Option<&'static str>,
}

/// One field and what is pasted into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuideField {
    pub name: &'static str,
    pub value: String,
}

fn fields<const N: usize>(all: [(&'static str, String); N]) -> Vec<GuideField> {
    all.map(|(name, value)| GuideField { name, value }).into()
}

fn path<const N: usize>(steps: [&str; N]) -> Vec<String> {
    steps.map(str::to_owned).into()
}

const TOOLS: &str = "Site administration → Plugins → External tool → Manage tools";
const BLOCK: &str = "In the unit: Advanced → LTI consumer → Edit";

/// The guides of a registration, for one lab. `secret`: the shared secret, where it may be shown; otherwise a word that says it stays.
pub fn guides(public_url: &str, registration: &Registration, lab: &LabId, secret: Option<&str>) -> Vec<Guide> {
    let launch = format!("{public_url}/lti/labs/{}", lab_uuid(lab));
    match &registration.kind {
        Kind::Consumer { key, .. } => consumer(public_url, &launch, key, secret, &registration.id.0),
        Kind::Platform { .. } => platform(public_url, &launch),
    }
}

fn consumer(url: &str, launch: &str, key: &str, secret: Option<&str>, name: &str) -> Vec<Guide> {
    let secret = secret.unwrap_or("(as it was; never shown again)");
    let pattern = format!(
        "{}/lti/labs/[0-9a-f]{{8}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{12}}",
        url.replace('.', "\\.")
    );
    let studio = Guide {
        platform: "Open edX Studio, LTI 1.1",
        path: vec![
            "Settings → Advanced settings → Advanced module list: add \"lti_consumer\"".into(),
            format!("Settings → Advanced settings → LTI passports: add \"{name}:{key}:{secret}\""),
            BLOCK.into(),
        ],
        fields: fields([
            ("LTI version", "LTI 1.1/1.2".into()),
            ("LTI ID", name.into()),
            ("LTI URL", launch.into()),
            ("LTI launch target", "New window".into()),
            ("Scored", "True".into()),
        ]),
        then: None,
    };
    let fun = Guide {
        platform: "FUN (the platform holds the secret)",
        path: vec![],
        fields: fields([
            ("Launch address of the lab", launch.into()),
            ("Regular expression", pattern),
            ("Consumer key", key.into()),
            ("Shared secret", secret.into()),
        ]),
        then: None,
    };
    let moodle = Guide {
        platform: "Moodle, LTI 1.1",
        path: path([TOOLS, "configure a tool manually"]),
        fields: fields([
            ("Tool URL", launch.into()),
            ("LTI version", "LTI 1.0/1.1".into()),
            ("Consumer key", key.into()),
            ("Shared secret", secret.into()),
            ("Default launch container", "New window".into()),
        ]),
        then: None,
    };
    vec![studio, fun, moodle]
}

fn platform(url: &str, launch: &str) -> Vec<Guide> {
    let (redirect, login, keys) = (
        format!("{url}/lti/launch"),
        format!("{url}/lti/login"),
        format!("{url}/lti/jwks"),
    );
    let studio = Guide {
        platform: "Open edX Studio, LTI 1.3",
        path: path([BLOCK]),
        fields: fields([
            ("LTI version", "LTI 1.3".into()),
            ("Tool launch URL", launch.into()),
            ("Registered redirect URIs", format!("[\"{redirect}\"]")),
            ("Tool initiate login URL", login.clone()),
            ("Tool public key mode", "Keyset URL".into()),
            ("Tool keyset URL", keys.clone()),
            ("LTI launch target", "New window".into()),
            ("Deep linking", "True, to choose labs from a list".into()),
            ("Deep linking launch URL", redirect.clone()),
        ]),
        then: Some(
            "Save, open the unit's preview, copy client id, keyset URL and token URL from it, and give them to `labwire lti add`.",
        ),
    };
    let moodle = Guide {
        platform: "Moodle, LTI 1.3",
        path: path([TOOLS, "configure a tool manually"]),
        fields: fields([
            ("Tool URL", launch.into()),
            ("LTI version", "LTI 1.3".into()),
            ("Public key type", "Keyset URL".into()),
            ("Public keyset", keys),
            ("Initiate login URL", login),
            ("Redirection URI(s)", redirect.clone()),
            ("Default launch container", "New window".into()),
            ("Supports Deep Linking", "Yes, to choose labs from a list".into()),
            ("Content Selection URL", redirect),
        ]),
        then: Some("Save, view its configuration details, and give client id and deployment id to `labwire lti add`."),
    };
    vec![studio, moodle]
}

/// Where an invitation is pasted.
pub fn invitation_guide(address: &str) -> Guide {
    Guide {
        platform: "Moodle (or any platform with LTI dynamic registration)",
        path: path([TOOLS]),
        fields: fields([("Tool URL", address.into())]),
        then: Some(
            "Press *Add LTI Advantage*. The platform then waits here for a yes: `labwire lti approve NAME`, or the page *Platforms*.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Timestamp, launch::lti::RegistrationId};

    #[test]
    fn a_secret_is_in_a_guide_only_when_it_is_given() {
        let fun = Registration {
            id: RegistrationId("fun".into()),
            course: None,
            plan: None,
            created_at: Timestamp(0),
            kind: Kind::Consumer {
                key: "imt".into(),
                secret: "0123456789abcdef".into(),
            },
        };
        let shown = |secret| format!("{:?}", guides("https://labs.example.org", &fun, &"ospf".into(), secret));
        assert!(!shown(None).contains("0123456789abcdef"));
        assert!(shown(Some("0123456789abcdef")).contains("fun:imt:0123456789abcdef"));
        assert!(shown(None).contains("https://labs\\\\.example\\\\.org/lti/labs/[0-9a-f]{8}"));
    }
}
