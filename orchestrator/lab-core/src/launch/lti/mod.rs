//! Launches by LTI 1.3 and 1.1: what a learning platform must send, checked step by step, and what it means here.
//!
//! ```text
//!  1.3  initiation ──► auth request (state, nonce) ──► id_token ─┐
//!                                                                ├─► [`Verified`] ──► the claims of a launch link
//!  1.1  signed form ────────────────────────────────────────────┘
//! ```
//! Pure rules: signatures, keys and what was used before are `lab-app`'s. Every refusal names its step ([`Fault`]).

mod attempt;
mod basic;
mod choice;
mod claims;
mod fault;
mod form;
mod guide;
mod initiation;
mod invitation;
mod members;
mod migration;
mod oauth;
mod registration;
mod roles;
mod same;
mod steps;
mod target;

pub use attempt::{Attempt, Concern, History, Seen, Standing};
pub use basic::{BASIC_WINDOW_SECS, BasicClaims, check_basic};
pub use choice::{CHOICE_TTL, CHOSEN_MAX, ChoiceRequest, Language, ReturnsTo, choice_response, content_items, points};
pub use claims::{ExpectedToken, LEEWAY_SECS, Message, TOKEN_AGE_MAX_SECS, check_claims};
pub use fault::{Fault, LtiRefusal, Next};
pub use form::{Params, percent_encode};
pub use guide::{Guide, GuideField, GuideFor, SecretShown, guides, guides_before, invitation_guide, launch_address};
pub use initiation::{Initiation, LAUNCHES_A_MINUTE, auth_request};
pub use invitation::{
    Configuration, INVITATION_TRIES_MAX, INVITATION_TTL, Invitation, REGISTRATIONS_A_MINUTE, Tried, Waiting,
    is_host_of, may_be_asked, place, read_configuration, read_registered, tool_registration,
};
pub use members::{
    MEMBER_PAGES_MAX, MEMBERS_SCOPE, Member, Roster, members_of_token, members_page, members_request, read_members,
};
pub use migration::Migration;
pub use oauth::{OauthRequest, normal_url};
pub(crate) use registration::is_address;
pub use registration::{
    Jwks, Kind, LtiKey, LtiState, Registration, RegistrationId, RegistrationKey, RegistrationUse, registration_problem,
};
pub use roles::role_of;
pub use same::{SamePerson, same_person_problem};
pub use steps::{STEPS, remedy};
pub use target::{LaunchUrl, lab_uuid};

use crate::{CourseId, Subject, grading::GradeAddress, launch::Role};

/// The claims and parameters of LTI begin with this.
pub(crate) const CLAIM: &str = "https://purl.imsglobal.org/spec/lti/claim/";

/// Who launched what, once everything is verified. The same for both versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The person, in this installation's words: unique over all platforms.
    pub subject: Subject,
    /// The person, in the platform's words; what grades are sent for.
    pub user: String,
    /// Only when the platform tells.
    pub name: Option<String>,
    pub role: Role,
    /// The course, in this installation's words, when the registration does not say another.
    pub course: CourseId,
    pub course_title: Option<String>,
    /// Whether the platform says which of its courses it is; otherwise all of them are one here.
    pub names_course: bool,
    pub resource_link: String,
    /// Custom parameter `lab`.
    pub lab: Option<String>,
    /// Custom parameter `plan`.
    pub plan: Option<String>,
    /// Where the platform wants a grade, when it does.
    pub grade: Option<GradeAddress>,
    /// Where the platform lists the people of the course, when it does.
    pub members: Option<String>,
}

/// Which LTI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V1p1,
    V1p3,
}

impl Version {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1p1 => "1.1",
            Self::V1p3 => "1.3",
        }
    }

    /// Back from [`Version::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::V1p1, Self::V1p3].into_iter().find(|v| v.name() == name)
    }
}

/// Longest identifier taken from a platform (user, context, resource link): LTI's own limit for resource links.
pub const PLATFORM_ID_CHARS_MAX: usize = 255;

/// A name shown to teachers; what is longer is cut.
const NAME_CHARS_MAX: usize = 120;

/// A person of a platform by LTI 1.3, from the issuer and what it calls them.
pub fn subject_of(issuer: &str, user: &str) -> Subject {
    subject(issuer_name(issuer), user)
}

/// A person of a platform. The platform's own name stands before `#`, so that no platform can name another's people: issuers are
/// addresses and cannot hold `#`, and consumer keys stand behind `lti:`, which no address begins with.
fn subject(platform: &str, user: &str) -> Subject {
    Subject(format!("{platform}#{user}"))
}

/// A course of a platform, by the same rule.
fn course(platform: &str, context: Option<&str>) -> CourseId {
    CourseId(format!("{platform}#{}", context.unwrap_or_default()))
}

/// The platform's part of a subject, for LTI 1.3.
fn issuer_name(issuer: &str) -> &str {
    issuer.strip_prefix("https://").unwrap_or(issuer)
}

/// The platform's part of a subject, for LTI 1.1.
fn consumer_name(key: &str) -> String {
    format!("lti:{key}")
}

/// What is left of a text a platform gave for people to read: one line, not too long, nothing when it is empty.
fn shown(text: &str) -> Option<String> {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(NAME_CHARS_MAX)
        .collect();
    let line = line.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// An identifier a platform gave: not empty, not too long, nothing that cannot be seen.
fn identifier(text: &str) -> Option<&str> {
    let fits = !text.is_empty() && text.chars().count() <= PLATFORM_ID_CHARS_MAX;
    (fits && !text.chars().any(char::is_control)).then_some(text)
}
