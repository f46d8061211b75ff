//! One error for everything a caller of `lab-app` meets; `lab-http` turns it into a status.

use lab_core::{
    entitlement::{Refusal, WhyWithheld},
    launch::{LaunchRefusal, lti::LtiRefusal, staff::StaffRefusal},
    port::{BlobsError, ErrorKind, RuntimeError, StoreError},
};

/// What went wrong. `Display` is for logs; [`AppError::public`] is for people outside.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Blobs(#[from] BlobsError),
    #[error("launch refused: {0}")]
    Launch(#[from] LaunchRefusal),
    #[error("launch by LTI refused: {0}")]
    Lti(#[from] LtiRefusal),
    #[error("sign-in of staff refused: {0}")]
    Staff(#[from] StaffRefusal),
    #[error("no lab time: {}", .0.code())]
    Entitlement(Box<Refusal>),
    #[error("{0}")]
    Refused(Refused),
}

/// A refusal that is not a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub kind: ErrorKind,
    /// Public, kebab-case, from a closed set.
    pub code: &'static str,
    /// Public text.
    pub message: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl AppError {
    /// A refusal in words.
    pub fn refused(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self::Refused(Refused {
            kind,
            code,
            message: message.into(),
        })
    }

    /// "Not there", also said of what the caller may not know exists.
    pub fn not_found(what: &'static str) -> Self {
        Self::refused(ErrorKind::NotFound, "not-found", format!("{what} is not there"))
    }

    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(e) => e.kind(),
            Self::Runtime(e) => e.kind(),
            Self::Blobs(e) => e.kind(),
            Self::Launch(_) | Self::Lti(_) | Self::Staff(_) | Self::Entitlement(_) => ErrorKind::Denied,
            Self::Refused(r) => r.kind,
        }
    }

    /// Public code and metric label.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(e) => e.code(),
            Self::Runtime(e) => e.code(),
            Self::Blobs(e) => e.code(),
            Self::Launch(r) => r.code(),
            Self::Lti(r) => r.fault.code(),
            Self::Staff(r) => r.fault.code(),
            Self::Entitlement(r) => r.code(),
            Self::Refused(r) => r.code,
        }
    }

    /// Text that may leave the process: nothing of a port's inside.
    pub fn public(&self) -> String {
        match self {
            Self::Launch(r) => r.to_string(),
            Self::Lti(r) => r.fault.text().en,
            Self::Staff(r) => r.fault.text().en,
            Self::Refused(r) => r.message.clone(),
            Self::Entitlement(r) => match r.as_ref() {
                Refusal::NoLabs { plan: None } => "you have no plan in this course, and so no lab time".into(),
                Refusal::NoLabs { .. } => "your plan in this course has no labs".into(),
                Refusal::NoTime { .. } => "no lab time is left".into(),
                Refusal::DailyCap { cap, again_at, .. } => {
                    format!(
                        "your plan allows {} minutes a day; there is more from {again_at}",
                        cap / 60
                    )
                }
                Refusal::Concurrency { max, .. } => {
                    format!("your plan allows {max} lab(s) at once; stop the other first")
                }
                Refusal::Paused { reason, .. } => format!("new labs are paused: {reason}"),
                Refusal::CourseNotOpen { title, opens_at, .. } => {
                    format!("the labs of {title} can be started from {opens_at}")
                }
                Refusal::CourseClosed { title, closed_at, .. } => {
                    format!("{title} closed on {closed_at}: no new lab can be started, replays stay")
                }
                Refusal::Withheld {
                    plan,
                    why: WhyWithheld::Spent,
                } => {
                    format!(
                        "all the lab time that was agreed for this course is given: there is none of {plan} for you yet"
                    )
                }
                Refusal::Withheld {
                    plan,
                    why: WhyWithheld::NotOffered,
                } => {
                    format!("your course asks for the plan {plan}, which is not agreed for it")
                }
                Refusal::NotAttested { sponsor, since } => {
                    format!(
                        "{sponsor} pays for your lab time while your status holds, and has not confirmed it since {since}"
                    )
                }
                Refusal::TestRuns { cap, again_at } => {
                    format!(
                        "your test runs took {} hours within a day, which is enough; there is more from {again_at}",
                        cap / 3600
                    )
                }
                Refusal::Notice { .. } => "what is recorded of you has to be read first".into(),
            },
            _ => match self.kind() {
                ErrorKind::NotFound => "it is not there".into(),
                ErrorKind::Conflict => "it was changed meanwhile; read it again".into(),
                ErrorKind::Unavailable => "a part of Labwire does not answer; try again in a moment".into(),
                _ => "something is wrong on our side; it has been noted".into(),
            },
        }
    }
}
