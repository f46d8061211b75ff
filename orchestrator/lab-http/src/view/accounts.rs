//! What an administration sees.

use lab_app::metering::StatementFile;
use lab_core::metering::{AlertOf, AlertState, Flow, Reconciliation};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Whose statement, of when, and how it is written.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct StatementQuery {
    /// One of these four.
    pub learner: Option<String>,
    pub sponsor: Option<String>,
    pub course: Option<String>,
    pub site: Option<String>,
    /// Unix seconds.
    pub from: i64,
    /// Unix seconds; not in it.
    pub until: i64,
    /// `json` (default: the sums), or the whole as `csv`, `html` or `pdf`.
    pub format: Option<String>,
    /// `en` (default) or `fr`.
    pub lang: Option<String>,
}

/// The sums of a statement. `opening + given + refunded = used + expired + revoked + closing`.
#[derive(Serialize, ToSchema)]
pub struct StatementView {
    pub learners: u64,
    pub grants: u64,
    pub sessions: u64,
    pub flow: FlowView,
    pub sandbox_seconds: i64,
    pub billed_seconds: i64,
    /// Of a sponsor's sessions: what others paid.
    pub elsewhere_seconds: i64,
    pub unbilled_seconds: i64,
    pub cost_micro_eur: i64,
    /// Of a course's: what stood ready for nobody in the whole installation meanwhile.
    pub overhead_micro_eur: i64,
}

/// What became of grants' seconds.
#[derive(Serialize, ToSchema)]
pub struct FlowView {
    pub opening: i64,
    pub given: i64,
    pub used: i64,
    pub refunded: i64,
    pub expired: i64,
    pub revoked: i64,
    pub closing: i64,
    /// Of the closing, held by labs that run.
    pub held: i64,
}

impl From<Flow> for FlowView {
    fn from(f: Flow) -> Self {
        Self {
            opening: f.opening,
            given: f.given,
            used: f.used,
            refunded: f.refunded,
            expired: f.expired,
            revoked: f.revoked,
            closing: f.closing,
            held: f.held,
        }
    }
}

impl From<&StatementFile> for StatementView {
    fn from(file: &StatementFile) -> Self {
        let t = &file.statement.totals;
        Self {
            learners: t.learners,
            grants: t.grants,
            sessions: t.sessions,
            flow: t.flow.into(),
            sandbox_seconds: t.sandbox_seconds,
            billed_seconds: t.billed_seconds,
            elsewhere_seconds: t.elsewhere_seconds,
            unbilled_seconds: t.unbilled_seconds,
            cost_micro_eur: t.cost_micro_eur,
            overhead_micro_eur: file.overhead.iter().map(|c| c.micro_eur).sum(),
        }
    }
}

/// Whether the ledger adds up, and who was told what.
#[derive(Serialize, ToSchema)]
pub struct AccountsView {
    /// Missing before the first one.
    pub reconciliation: Option<ReconciliationView>,
    /// Newest first, at most 100.
    pub alerts: Vec<AlertView>,
}

/// Sums made twice, from different tables.
#[derive(Serialize, ToSchema)]
pub struct ReconciliationView {
    /// Unix seconds.
    pub at: i64,
    /// Anything but 0 is an alarm.
    pub off_seconds: i64,
    pub lines: Vec<ReconcileLineView>,
}

/// What should be the same.
#[derive(Serialize, ToSchema)]
pub struct ReconcileLineView {
    /// `entries`, `kept`, `used`, `held`, `sandbox`.
    pub what: String,
    pub left: i64,
    pub right: i64,
}

/// Something that was told once.
#[derive(Serialize, ToSchema)]
pub struct AlertView {
    /// Unix seconds.
    pub at: i64,
    /// `learner`, `course`, `sponsor`, `ledger`.
    pub of: String,
    pub learner: Option<String>,
    pub course: Option<String>,
    pub sponsor: Option<String>,
    pub percent: u8,
    /// Seconds given, or the budget.
    pub basis_seconds: i64,
    pub spent_seconds: i64,
    pub sent: Vec<AlertSentView>,
}

/// One channel of an alert.
#[derive(Serialize, ToSchema)]
pub struct AlertSentView {
    /// `webhook`, `mail`.
    pub channel: String,
    pub attempts: u32,
    /// Unix seconds.
    pub sent_at: Option<i64>,
    pub given_up: bool,
    /// Of the last try that failed.
    pub code: Option<String>,
}

impl AccountsView {
    pub fn new(reconciled: Option<Reconciliation>, alerts: Vec<AlertState>) -> Self {
        Self {
            reconciliation: reconciled.map(|r| ReconciliationView {
                at: r.at.secs(),
                off_seconds: r.off_secs(),
                lines: r
                    .lines
                    .into_iter()
                    .map(|l| ReconcileLineView {
                        what: l.what,
                        left: l.left,
                        right: l.right,
                    })
                    .collect(),
            }),
            alerts: alerts.into_iter().map(AlertView::from).collect(),
        }
    }
}

impl From<AlertState> for AlertView {
    fn from(state: AlertState) -> Self {
        let a = state.alert;
        let of = a.of.kind().to_owned();
        let (learner, course, sponsor) = match a.of {
            AlertOf::Learner { subject, course } => (Some(subject.0), Some(course.0), None),
            AlertOf::Course { course } => (None, Some(course.0), None),
            AlertOf::Sponsor { sponsor } => (None, None, Some(sponsor.0)),
            AlertOf::Ledger => (None, None, None),
        };
        Self {
            at: a.at.secs(),
            of,
            learner,
            course,
            sponsor,
            percent: a.percent,
            basis_seconds: a.basis,
            spent_seconds: a.spent,
            sent: state
                .sent
                .into_iter()
                .map(|s| AlertSentView {
                    channel: s.channel.name().to_owned(),
                    attempts: s.attempts,
                    sent_at: s.sent_at.map(lab_core::Timestamp::secs),
                    given_up: s.given_up,
                    code: s.code,
                })
                .collect(),
        }
    }
}
