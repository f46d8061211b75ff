//! Sessions, tickets and time.

use lab_app::entitlement::SessionView as Viewed;
use lab_core::{
    SessionId, journal::CheckOutcome, launch::TicketScope, provisioning::SessionState, terminal::TimeNotice,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// `POST /sessions`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRequest {
    /// The lab of the launch.
    pub lab: String,
}

/// `POST /test-runs`, answered.
#[derive(Serialize, ToSchema)]
pub struct TestRunView {
    /// To be opened in a tab of its own: a path of this installation with a launch link's token, good once.
    pub link: String,
}

/// One learner's run of one lab version.
#[derive(Serialize, ToSchema)]
pub struct SessionView {
    pub id: String,
    /// The learner, as the platform names them.
    pub subject: String,
    pub name: String,
    pub course: String,
    pub lab: String,
    /// The lab's version.
    pub digest: String,
    pub plan: String,
    /// No plan pays for it: somebody who answers for the lab tries it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub test_run: bool,
    /// `requested`, `queued`, `provisioning`, `ready`, `frozen`, `stopping`, `ended`, `failed`.
    pub state: String,
    /// Why it stops, ended or failed, as a code.
    pub reason: Option<String>,
    /// With `failed`: what to pass on.
    pub detail: Option<String>,
    /// Unix seconds, as are the next two.
    pub requested_at: i64,
    pub ready_at: Option<i64>,
    pub over_at: Option<i64>,
    /// Seconds held for it now.
    pub held_secs: i64,
    /// Seconds billed; set at settlement.
    pub billed_secs: Option<i64>,
    /// Last outcome of every check that ran.
    pub checks: Vec<OutcomeView>,
    /// Points of the checks that pass now.
    pub points: u32,
    pub points_total: u32,
}

/// What a check found.
#[derive(Serialize, ToSchema)]
pub struct OutcomeView {
    pub check: String,
    pub passed: bool,
    pub points: u32,
    /// What the check printed.
    pub detail: String,
}

impl From<&CheckOutcome> for OutcomeView {
    fn from(o: &CheckOutcome) -> Self {
        Self {
            check: o.check.to_string(),
            passed: o.passed,
            points: o.points,
            detail: o.detail.clone(),
        }
    }
}

impl From<Viewed> for SessionView {
    fn from(v: Viewed) -> Self {
        let s = v.session;
        let test_run = s.is_test_run();
        let detail = match &s.state {
            SessionState::Failed { detail, .. } => Some(detail.clone()),
            _ => None,
        };
        Self {
            id: s.id.to_string(),
            subject: s.subject.to_string(),
            name: s.name,
            course: s.course.to_string(),
            lab: s.lab.to_string(),
            digest: s.digest.to_string(),
            plan: s.plan.to_string(),
            test_run,
            state: s.state.name().to_owned(),
            reason: s.state.reason().map(str::to_owned),
            detail,
            requested_at: s.requested_at.secs(),
            ready_at: s.ready_at.map(lab_core::Timestamp::secs),
            over_at: s.over_at.map(lab_core::Timestamp::secs),
            held_secs: s.held_secs,
            billed_secs: s.billed_secs,
            checks: v.checks.iter().map(Into::into).collect(),
            points: v.points,
            points_total: v.points_total,
        }
    }
}

/// Which sessions.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionQuery {
    /// Only this course's.
    pub course: Option<String>,
    /// Only this lab's.
    pub lab: Option<String>,
    /// `1`: only those that are not over.
    pub live: Option<u8>,
}

/// Lab time left.
#[derive(Serialize, ToSchema)]
pub struct TimeView {
    /// Seconds until the session stops by the nearest limit.
    pub left_s: Option<u64>,
    /// `time`, `budget`, `idle`: which limit that is; `frozen`: it stands still, and stops then.
    pub limit: Option<String>,
    /// Minutes of the warning this is.
    pub warn: Option<u32>,
    /// Seconds used so far.
    pub used_s: u64,
    /// Seconds left on the learner's grants beyond this session's hold.
    pub budget_s: u64,
    /// How much of what the learner was given in this course is spent, 0 to 100.
    pub spent_percent: u8,
    /// Whether the learner may extend now.
    pub extendable: bool,
}

impl From<TimeNotice> for TimeView {
    fn from(t: TimeNotice) -> Self {
        Self {
            left_s: t.left_s,
            limit: t.limit,
            warn: t.warn,
            used_s: t.used_s,
            budget_s: t.budget_s,
            spent_percent: t.spent_percent,
            extendable: t.extendable,
        }
    }
}

/// `POST /tickets`.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "scope", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TicketRequest {
    /// A session's terminals.
    Session {
        session: String,
        /// The tab's random number, an unsigned 64-bit integer in decimal (JSON numbers lose digits).
        writer: String,
    },
    /// The wall of a course.
    Wall { course: String },
}

impl TicketRequest {
    /// The scope and the tab's number, or what is wrong.
    pub(crate) fn open(self) -> Result<(TicketScope, u64), String> {
        match self {
            Self::Wall { course } => Ok((TicketScope::Wall { course: course.into() }, 0)),
            Self::Session { session, writer } => {
                let id: SessionId = session.parse().map_err(|_| "session: must be a UUID".to_owned())?;
                let writer = writer
                    .parse()
                    .map_err(|_| "writer: must be an unsigned 64-bit integer in decimal, as text".to_owned())?;
                Ok((TicketScope::Session { session: id }, writer))
            }
        }
    }
}

/// A single-use ticket for one WebSocket.
#[derive(Serialize, ToSchema)]
pub struct TicketView {
    pub ticket: String,
    /// Unix seconds.
    pub expires_at: i64,
}
