//! Stage 1, launch: one verified click. Who, which course, which lab, under which plan.
//!
//! A *link* carries a [`LaunchClaims`] token. Presenting it once makes a *login* (a tab's bearer); presenting it again from
//! elsewhere is refused. The bearer rotates; a WebSocket is opened by a single-use *ticket*.

mod faults;
pub mod lti;
mod role;
pub mod staff;

pub use role::{Bound, Reach, Role};

use crate::port::AuditEvent;
use crate::{CourseId, LabId, LaunchId, LoginId, PlanId, SessionId, SponsorId, Subject, Timestamp, TokenHash};
use serde::{Deserialize, Serialize};

/// The claims of a signed launch link (a JWT, HS256, `kid` in its header).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchClaims {
    /// Audience: this installation's name.
    pub aud: String,
    /// Single use.
    pub jti: LaunchId,
    /// Unix seconds.
    pub iat: i64,
    /// Unix seconds.
    pub exp: i64,
    /// Who.
    pub sub: Subject,
    /// Shown to teachers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub role: Role,
    /// Empty where the role is bound to none.
    pub course: CourseId,
    /// None for staff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lab: Option<LabId>,
    /// A plan the link asks for; the learner must hold a grant of it all the same, except that a plan without lab time needs none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanId>,
    /// Whose statement; for sponsors alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sponsor: Option<SponsorId>,
}

impl LaunchClaims {
    /// Whether they name what a login of their role is bound to.
    pub fn is_whole(&self) -> bool {
        let bound = match self.role.bound() {
            Bound::Course => !self.course.as_str().is_empty(),
            Bound::Sponsor => self.sponsor.is_some(),
            Bound::Nothing => true,
        };
        bound && (self.role != Role::Learner || self.lab.is_some())
    }
}

/// Why a launch was refused: each has its own page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LaunchRefusal {
    #[error("the link's signature is not ours: it was changed on the way, or made elsewhere")]
    Forged,
    #[error("the link was signed with a key that is no longer accepted")]
    UnknownKey,
    #[error("the link has expired")]
    Expired,
    #[error("the link was made for another installation")]
    ForeignAudience,
    #[error("the link was already used")]
    AlreadyUsed,
    #[error("the text is not a launch link")]
    Malformed,
    #[error("the link names a lab that is not here")]
    LabMissing,
    #[error("the link names a lab that was withdrawn")]
    LabWithdrawn,
}

impl LaunchRefusal {
    /// The public code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Forged => "launch-forged",
            Self::UnknownKey => "launch-unknown-key",
            Self::Expired => "launch-expired",
            Self::ForeignAudience => "launch-foreign-audience",
            Self::AlreadyUsed => "launch-already-used",
            Self::Malformed => "launch-malformed",
            Self::LabMissing => "launch-lab-missing",
            Self::LabWithdrawn => "launch-lab-withdrawn",
        }
    }
}

/// A signed-in tab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub id: LoginId,
    pub subject: Subject,
    pub name: String,
    pub role: Role,
    pub course: CourseId,
    /// The lab of the link, for learners.
    pub lab: Option<LabId>,
    pub plan: Option<PlanId>,
    /// Of a sponsor's login.
    pub sponsor: Option<SponsorId>,
    pub created_at: Timestamp,
    /// The bearer is refused from here on; rotation moves it, of staff at most to their login's end.
    pub expires_at: Timestamp,
}

/// A login as it is stored, for whoever looks after logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginState {
    pub login: Login,
    /// Until when the bearer before the last rotation is accepted; none: it was never rotated.
    pub grace_until: Option<Timestamp>,
}

/// Which logins are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginsOf {
    One(LoginId),
    /// All of a person's.
    Person(Subject),
}

/// Logins are to end before their time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    pub of: LoginsOf,
    pub by: Subject,
    pub by_name: String,
    pub at: Timestamp,
}

impl Revocation {
    /// What the audit log says of a login that it ended.
    pub fn event(&self, login: &Login) -> AuditEvent {
        AuditEvent {
            at: self.at,
            actor: self.by.clone(),
            actor_name: self.by_name.clone(),
            role: Role::Operations,
            action: "login-revoke".into(),
            session: None,
            course: None,
            about: Some(login.subject.clone()),
            detail: format!("{} {}", login.role.name(), login.id),
        }
    }
}

/// Tickets of one login that opened nothing yet: one for each socket that a person may have at once ([`SOCKETS_A_PERSON_MAX`]), all of which
/// come back in the same second when a server goes away. A further one takes the place of the oldest.
pub const TICKETS_A_LOGIN_MAX: usize = SOCKETS_A_PERSON_MAX;

/// WebSockets of one person at one server. A teacher with the wall and each learner of a class of 30 in a tab of its own has 31; that twice.
/// Of a server's 4096 places, nobody takes more than one part in 32, with those that are being closed.
pub const SOCKETS_A_PERSON_MAX: usize = 64;

/// What a WebSocket ticket opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "scope", rename_all = "kebab-case")]
pub enum TicketScope {
    /// A session's terminals; as its learner, or as a viewer by the login's role.
    Session { session: SessionId },
    /// The wall of a course.
    Wall { course: CourseId },
}

/// A single-use WebSocket ticket, stored by its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub hash: TokenHash,
    pub login: LoginId,
    pub scope: TicketScope,
    pub expires_at: Timestamp,
}
