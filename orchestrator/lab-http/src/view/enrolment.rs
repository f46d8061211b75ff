//! A course's lab time as enrolment sees it, and how far its learners are.

use crate::error::ApiError;
use lab_app::entitlement::{BatchRequest, Progress, ProgressPage};
use lab_core::{
    entitlement::{Code, VoucherBatch, VoucherBatchState},
    hours,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which page.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProgressQuery {
    /// `next` of the page before.
    pub after: Option<String>,
}

/// A page of learners.
#[derive(Serialize, ToSchema)]
pub struct ProgressPageView {
    /// Learners of the course who started a lab.
    pub started: usize,
    pub learners: Vec<ProgressView>,
    /// There are more: give this as `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How far a learner is. Times are Unix seconds.
#[derive(Serialize, ToSchema)]
pub struct ProgressView {
    pub learner: String,
    pub name: String,
    pub started_at: i64,
    /// The lab that was run last, or runs.
    pub lab: String,
    pub running: bool,
    /// Of that lab.
    pub checks_passed: u32,
    pub checks_total: u32,
    pub active_at: i64,
}

impl From<ProgressPage> for ProgressPageView {
    fn from(p: ProgressPage) -> Self {
        Self {
            started: p.started,
            learners: p.learners.into_iter().map(Into::into).collect(),
            next: p.next.map(|s| s.to_string()),
        }
    }
}

impl From<Progress> for ProgressView {
    fn from(p: Progress) -> Self {
        Self {
            learner: p.subject.to_string(),
            name: p.name,
            started_at: p.started_at.secs(),
            lab: p.lab.to_string(),
            running: p.running,
            checks_passed: p.checks_passed,
            checks_total: p.checks_total,
            active_at: p.active_at.secs(),
        }
    }
}

/// `POST /vouchers`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchMakeRequest {
    /// Who they are for.
    #[serde(default)]
    pub label: String,
    pub plan: String,
    pub count: u32,
    /// Lab time of each, like 2 or 1.5: a whole number of seconds; the plan's when not given.
    #[schema(value_type = Option<f64>)]
    pub hours: Option<serde_json::Number>,
    /// Days that the time can be used, from redemption; the plan's when not given.
    pub valid_days: Option<u32>,
    /// Days from now in which codes can be redeemed; 365 when not given.
    pub redeem_within_days: Option<u32>,
}

/// A year: a course is repeated within it.
const REDEEM_WITHIN_DAYS: u32 = 365;

impl TryFrom<BatchMakeRequest> for BatchRequest {
    type Error = ApiError;

    fn try_from(r: BatchMakeRequest) -> Result<Self, ApiError> {
        let seconds = r.hours.map(|n| hours::some(&n.to_string())).transpose();
        Ok(Self {
            label: r.label,
            plan: r.plan.into(),
            count: r.count,
            seconds: seconds.map_err(|why| ApiError::invalid(format!("hours: {why}")))?,
            valid_days: r.valid_days,
            redeem_within_days: r.redeem_within_days.unwrap_or(REDEEM_WITHIN_DAYS),
        })
    }
}

/// A batch of vouchers.
#[derive(Serialize, ToSchema)]
pub struct BatchView {
    pub id: String,
    pub label: String,
    pub plan: String,
    /// That each gives.
    pub seconds: i64,
    pub valid_days: u32,
    pub size: u32,
    pub redeemed: u32,
    /// Unix seconds, as are the others.
    pub created_at: i64,
    pub expires_at: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sponsor: Option<String>,
}

impl From<VoucherBatchState> for BatchView {
    fn from(b: VoucherBatchState) -> Self {
        Self {
            revoked_at: b.revoked.map(|(at, _)| at.secs()),
            redeemed: b.redeemed,
            ..Self::new(&b.batch, b.size)
        }
    }
}

impl BatchView {
    fn new(batch: &VoucherBatch, size: u32) -> Self {
        Self {
            id: batch.id.to_string(),
            label: batch.label.clone(),
            plan: batch.plan.to_string(),
            seconds: batch.seconds,
            valid_days: batch.valid_days,
            size,
            redeemed: 0,
            created_at: batch.created_at.secs(),
            expires_at: batch.expires_at.secs(),
            revoked_at: None,
            sponsor: batch.sponsor.as_ref().map(ToString::to_string),
        }
    }
}

/// A new batch with its codes, which are told this once.
#[derive(Serialize, ToSchema)]
pub struct MadeBatchView {
    pub batch: BatchView,
    pub codes: Vec<String>,
}

impl MadeBatchView {
    /// A view of what was made.
    pub fn new(batch: &VoucherBatch, codes: &[Code]) -> Self {
        Self {
            batch: BatchView::new(batch, codes.len() as u32),
            codes: codes.iter().map(Code::printed).collect(),
        }
    }
}

/// `POST /vouchers/{id}/revoke`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchRevokeRequest {
    pub reason: String,
}

/// `POST /vouchers/redeem-for`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RedeemForRequest {
    pub learner: String,
    pub code: String,
}

/// `POST /grants/show`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantsRequest {
    pub learner: String,
}
