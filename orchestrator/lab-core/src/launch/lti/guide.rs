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

const TOOLS: &str = "Site administration → Plugins → Activity modules → External tool → Manage tools";
const BLOCK: &str = "In the unit: Advanced → LTI consumer → Edit";
const MODULE: &str = "Settings → Advanced settings → Advanced module list: add \"lti_consumer\"";

/// What the forms say of a shared secret.
#[derive(Clone, Copy)]
pub enum SecretShown<'a> {
    /// It was made just now: shown once.
    Made(&'a str),
    /// Whoever asks gave it, and has it.
    Given,
    /// It is what it was.
    Kept,
    /// There is none yet.
    None,
}

impl SecretShown<'_> {
    fn text(self) -> String {
        match self {
            Self::Made(secret) => secret.to_owned(),
            Self::Given => "<the one of --secret-file>".to_owned(),
            Self::Kept => "(as it was; never shown again)".to_owned(),
            Self::None => "<made and shown once by `labwire lti add`>".to_owned(),
        }
    }
}

/// A platform that a guide can be had for before it is registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuideFor {
    /// LTI 1.3.
    OpenEdx,
    /// LTI 1.3.
    Moodle,
    /// LTI 1.1: FUN, and older Open edX and Moodle.
    Basic,
}

/// The address that launches a lab; without one, what it looks like.
pub fn launch_address(public_url: &str, lab: Option<&LabId>) -> String {
    match lab {
        Some(lab) => format!("{public_url}/lti/labs/{}", lab_uuid(lab)),
        None => format!("{public_url}/lti/labs/<lab>"),
    }
}

/// The guides of a registration, to launch `launch` (see [`launch_address`]).
pub fn guides(public_url: &str, registration: &Registration, launch: &str, secret: SecretShown<'_>) -> Vec<Guide> {
    match &registration.kind {
        Kind::Consumer { key, .. } => consumer(public_url, launch, key, &secret.text(), &registration.id.0),
        Kind::Platform { .. } => vec![open_edx(public_url, launch), moodle(public_url, launch)],
    }
}

/// The guides of a platform that is not registered yet: of LTI 1.3 the platform's form is filled in first, as only then it shows what
/// `labwire lti add` asks for.
pub fn guides_before(public_url: &str, platform: GuideFor, launch: &str) -> Vec<Guide> {
    match platform {
        GuideFor::OpenEdx => vec![open_edx(public_url, launch)],
        GuideFor::Moodle => vec![moodle(public_url, launch)],
        GuideFor::Basic => consumer(public_url, launch, "<KEY>", &SecretShown::None.text(), "<NAME>"),
    }
}

fn consumer(url: &str, launch: &str, key: &str, secret: &str, name: &str) -> Vec<Guide> {
    let pattern = format!(
        "{}/lti/labs/[0-9a-f]{{8}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{12}}",
        url.replace('.', "\\.")
    );
    let studio = Guide {
        platform: "Open edX Studio, LTI 1.1",
        path: vec![
            MODULE.into(),
            format!("Settings → Advanced settings → LTI Passports: add \"{name}:{key}:{secret}\""),
            BLOCK.into(),
        ],
        fields: fields([
            ("LTI Version", "LTI 1.1/1.2".into()),
            ("LTI Passport ID", name.into()),
            ("LTI URL", launch.into()),
            ("Open tool in", "New Window".into()),
            ("This activity is graded", "Graded, if the course takes grades".into()),
        ]),
        then: Some("Before lti-consumer-xblock 11 some names differ: LTI ID, LTI Launch Target, Scored."),
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

fn open_edx(url: &str, launch: &str) -> Guide {
    Guide {
        platform: "Open edX Studio, LTI 1.3",
        path: path([MODULE, BLOCK]),
        fields: fields([
            ("LTI Version", "LTI 1.3".into()),
            ("Launch URL", launch.into()),
            ("Tool Initiate Login URL (OIDC)", format!("{url}/lti/login")),
            ("Registered Redirect URIs", format!("[\"{url}/lti/launch\"]")),
            ("Tool Public Key Mode", "Keyset URL".into()),
            ("Tool Keyset URL", format!("{url}/lti/jwks")),
            ("Deep linking", "Enabled, to choose labs from a list".into()),
            ("Deep Linking Launch URL", format!("{url}/lti/launch")),
            ("Open tool in", "New Window".into()),
            ("This activity is graded", "Graded, if the course takes grades".into()),
        ]),
        then: Some(
            "Save. Below the block Studio then shows Client ID, Deployment ID, Keyset URL, Access Token URL and Login URL: they are --client-id, \
             --deployment, --jwks-url, --token-url and --auth-url of `labwire lti add`. --issuer is the address of the LMS, without a / at its end.",
        ),
    }
}

fn moodle(url: &str, launch: &str) -> Guide {
    Guide {
        platform: "Moodle, LTI 1.3",
        path: path([TOOLS, "configure a tool manually"]),
        fields: fields([
            ("Tool URL", launch.into()),
            ("LTI version", "LTI 1.3".into()),
            ("Public key type", "Keyset URL".into()),
            ("Public keyset", format!("{url}/lti/jwks")),
            ("Initiate login URL", format!("{url}/lti/login")),
            ("Redirection URI(s)", format!("{url}/lti/launch")),
            ("Default launch container", "New window".into()),
            (
                "Supports Deep Linking (Content-Item Message)",
                "Yes, to choose labs from a list".into(),
            ),
            ("Content Selection URL", format!("{url}/lti/launch")),
            (
                "IMS LTI Assignment and Grade Services",
                "Use this service for grade sync and column management".into(),
            ),
            (
                "IMS LTI Names and Role Provisioning",
                "Use this service to retrieve members' information as per privacy settings, if teachers want to see who has not come yet".into(),
            ),
            ("Accept grades from the tool", "Always".into()),
        ]),
        then: Some(
            "Save, then *View configuration details* of the tool: Client ID and Deployment ID are --client-id and --deployment of `labwire lti add`, \
             Platform ID is --moodle; Public keyset URL, Access token URL and Authentication request URL follow from it.",
        ),
    }
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
        let url = "https://labs.example.org";
        let launch = launch_address(url, Some(&"ospf".into()));
        let shown = |secret| format!("{:?}", guides(url, &fun, &launch, secret));
        for hidden in [SecretShown::Kept, SecretShown::Given, SecretShown::None] {
            assert!(!shown(hidden).contains("0123456789abcdef"));
        }
        assert!(shown(SecretShown::Made("0123456789abcdef")).contains("fun:imt:0123456789abcdef"));
        assert!(
            !shown(SecretShown::Given).contains("as it was"),
            "it is not: it was just given"
        );
        assert!(shown(SecretShown::Kept).contains("https://labs\\\\.example\\\\.org/lti/labs/[0-9a-f]{8}"));
    }

    #[test]
    fn of_lti_1_3_the_platforms_form_can_be_filled_in_before_anything_is_registered() {
        let url = "https://labs.example.org";
        let launch = launch_address(url, None);
        for platform in [GuideFor::OpenEdx, GuideFor::Moodle] {
            let before = guides_before(url, platform, &launch);
            let text = format!("{before:?}");
            assert!(text.contains("/lti/login") && text.contains("/lti/jwks") && text.contains("--client-id"));
            assert!(text.contains("/lti/labs/<lab>"), "no lab is there yet: {text}");
        }
    }
}
