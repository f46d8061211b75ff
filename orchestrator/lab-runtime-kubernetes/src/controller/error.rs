//! What goes wrong between the controller and the API server, and how long to wait then.

use kube::core::Status;
use lab_core::port::ErrorKind;
use std::time::Duration;

/// A request that was refused before it was sent: this controller does not lead (any more).
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not the leader any more: the request was not sent")]
pub(crate) struct Fenced;

/// A request that took too long.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the API server did not answer within {0:?}")]
pub(crate) struct Late(pub Duration);

/// What failed, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// 409: somebody else changed the object meanwhile.
    #[error("changed meanwhile: {message}")]
    Conflict { message: String },
    /// 410: what we know is too old.
    #[error("too old: {message}")]
    Expired { message: String },
    /// 404 of something that should be there.
    #[error("not there: {message}")]
    NotFound { message: String },
    /// 429: the API server asks for patience.
    #[error("the API server is busy: {message}")]
    Busy { message: String, after: Option<Duration> },
    /// 403 by a quota: it is used up.
    #[error("{message}")]
    Quota { message: String },
    /// Any other 4xx: no repetition of the same helps, but the cluster may be mended.
    #[error("refused ({code}): {message}")]
    Refused { code: u16, message: String },
    /// 5xx.
    #[error("the API server failed ({code}): {message}")]
    Server {
        code: u16,
        message: String,
        after: Option<Duration>,
    },
    /// No answer, or none that can be read.
    #[error("the API server does not answer")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// We do not lead any more.
    #[error(transparent)]
    NotLeader(#[from] NotLeader),
    /// The machine gave no randomness or the certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Keys(String),
    /// Two objects of the cluster contradict each other, and mending it by force could lose a learner's work.
    #[error("{0}")]
    Inconsistent(String),
    /// The settings do not do.
    #[error("{0}")]
    Settings(String),
}

/// See [`ControllerError::NotLeader`].
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("this controller does not lead any more")]
pub struct NotLeader;

impl ControllerError {
    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Conflict { .. } | Self::Inconsistent(_) => ErrorKind::Conflict,
            Self::Refused { .. } => ErrorKind::Denied,
            Self::Settings(_) => ErrorKind::Invalid,
            Self::Expired { .. }
            | Self::Busy { .. }
            | Self::Quota { .. }
            | Self::Server { .. }
            | Self::Unreachable(_)
            | Self::NotLeader(_)
            | Self::Keys(_) => ErrorKind::Unavailable,
        }
    }

    /// Metric label.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "conflict",
            Self::Expired { .. } => "expired",
            Self::NotFound { .. } => "not-found",
            Self::Busy { .. } => "busy",
            Self::Quota { .. } => "quota",
            Self::Refused { .. } => "refused",
            Self::Server { .. } => "server",
            Self::Unreachable(_) => "unreachable",
            Self::NotLeader(_) => "not-leader",
            Self::Keys(_) => "keys",
            Self::Inconsistent(_) => "inconsistent",
            Self::Settings(_) => "settings",
        }
    }

    /// How long to wait before the `attempt`-th (from 0) repetition: doubled each time up to a limit, and never less than the API server asked for.
    pub(crate) fn backoff(&self, attempt: u32) -> Duration {
        // (first, longest) in milliseconds, with the reason
        let (first, longest, asked) = match self {
            // the next look has what changed; there is nothing to wait for but the watch
            Self::Conflict { .. } | Self::Expired { .. } | Self::NotFound { .. } => (50, 5_000, None),
            // a freed place wakes the oldest that waits for it (`queue.rs`), so these are only the safety net:
            // 500 that wait for a quota ask 500 / 60 s ≈ 8 times a second
            Self::Quota { .. } => (2_000, 60_000, None),
            Self::Busy { after, .. } => (1_000, 30_000, *after),
            Self::Server { after, .. } => (500, 30_000, *after),
            Self::Unreachable(_) | Self::Keys(_) => (500, 30_000, None),
            // somebody has to mend something
            Self::Refused { .. } | Self::Inconsistent(_) | Self::Settings(_) => (5_000, 300_000, None),
            // the term ends anyway
            Self::NotLeader(_) => (1_000, 1_000, None),
        };
        let doubled = Duration::from_millis(first.min(longest) << attempt.min(16)).min(Duration::from_millis(longest));
        doubled.max(asked.unwrap_or_default())
    }
}

impl From<kube::Error> for ControllerError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => from_status(&status),
            kube::Error::Service(inner) if inner.is::<Fenced>() => Self::NotLeader(NotLeader),
            other => Self::Unreachable(Box::new(other)),
        }
    }
}

fn from_status(status: &Status) -> ControllerError {
    let message = status.message.clone();
    let after = status
        .details
        .as_ref()
        .map(|d| u64::from(d.retry_after_seconds))
        .filter(|s| *s > 0)
        .map(Duration::from_secs);
    match status.code {
        404 => ControllerError::NotFound { message },
        // a namespace that is being removed refuses with 403 and a cause of its own; only quotas say "exceeded quota"
        403 if message.contains("exceeded quota") => ControllerError::Quota { message },
        409 => ControllerError::Conflict { message },
        410 => ControllerError::Expired { message },
        429 => ControllerError::Busy { message, after },
        code @ 400..=499 => ControllerError::Refused { code, message },
        code => ControllerError::Server { code, message, after },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: u16, message: &str, retry: u32) -> ControllerError {
        let mut status = Status::failure(message, "");
        status.code = code;
        let details = serde_json::json!({"retryAfterSeconds": retry});
        status.details = Some(serde_json::from_value(details).unwrap());
        kube::Error::Api(status.boxed()).into()
    }

    #[test]
    fn answers_are_told_apart_by_what_helps() {
        let codes = [
            (409, "conflict"),
            (410, "expired"),
            (404, "not-found"),
            (429, "busy"),
            (403, "refused"),
            (422, "refused"),
            (500, "server"),
            (503, "server"),
        ];
        for (status, code) in codes {
            assert_eq!(api(status, "x", 0).code(), code);
        }
        let quota = api(
            403,
            "pods \"lsb-1\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1",
            0,
        );
        assert_eq!(quota.code(), "quota");
        let fenced: ControllerError = kube::Error::Service(Box::new(Fenced)).into();
        assert_eq!(fenced.code(), "not-leader");
    }

    #[test]
    fn waits_double_up_to_a_limit() {
        let error = api(500, "x", 0);
        let waits: Vec<u128> = (0..8).map(|n| error.backoff(n).as_millis()).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(error.backoff(u32::MAX), Duration::from_secs(30));
    }

    #[test]
    fn the_api_servers_wish_is_kept() {
        assert_eq!(api(429, "x", 7).backoff(0), Duration::from_secs(7));
        assert_eq!(
            api(503, "x", 2).backoff(5),
            Duration::from_secs(16),
            "never less than our own wait"
        );
    }
}
