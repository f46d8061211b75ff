//! Usage, health and who looked.

use lab_app::entitlement::Health;
use lab_core::{metering::UsageRow, port::AuditEvent};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// Which usage, and how it is written.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    pub course: Option<String>,
    pub subject: Option<String>,
    pub lab: Option<String>,
    /// `json` (default) or `csv`.
    pub format: Option<String>,
}

/// A session's sandbox time and what became of it.
#[derive(Serialize, ToSchema)]
pub struct UsageView {
    pub session: String,
    pub subject: String,
    pub course: String,
    pub lab: String,
    /// Unix seconds.
    pub requested_at: i64,
    /// Seconds from the first prompt to the end, by the sandbox's clock.
    pub sandbox_seconds: i64,
    pub billed_seconds: i64,
    pub unbilled_seconds: i64,
    pub unbilled_reason: Option<String>,
    /// Of the billed, given back since.
    pub refunded_seconds: i64,
    /// What its sandbox cost; for operations.
    pub cost_micro_eur: Option<i64>,
}

impl From<UsageRow> for UsageView {
    fn from(r: UsageRow) -> Self {
        Self {
            session: r.session.to_string(),
            subject: r.subject.0,
            course: r.course.0,
            lab: r.lab.0,
            requested_at: r.requested_at.secs(),
            sandbox_seconds: r.sandbox_seconds,
            billed_seconds: r.billed_seconds,
            unbilled_seconds: r.unbilled_seconds,
            unbilled_reason: r.unbilled_reason,
            refunded_seconds: r.refunded_seconds,
            cost_micro_eur: r.cost_micro_eur,
        }
    }
}

/// The state of this process and its neighbours.
#[derive(Serialize, ToSchema)]
pub struct HealthView {
    pub version: String,
    pub uptime_s: u64,
    pub runtime: RuntimeHealthView,
    pub store: StoreHealthView,
    /// Live sessions by state.
    pub sessions: BTreeMap<String, u64>,
    /// Journal bytes taken from agents and not yet durable.
    pub recorder_lag_bytes: i64,
    /// Missing when the store does not answer.
    pub ledger: Option<LedgerView>,
    pub terminals_attached: i64,
}

/// Whether the runtime answers.
#[derive(Serialize, ToSchema)]
pub struct RuntimeHealthView {
    pub name: String,
    pub ok: bool,
    /// Its version, or the code of what failed.
    pub detail: String,
}

/// Whether the store answers.
#[derive(Serialize, ToSchema)]
pub struct StoreHealthView {
    pub ok: bool,
    /// Code of what failed.
    pub code: Option<String>,
}

/// The ledger in three numbers, seconds. `total` other than 0 is an alarm.
#[derive(Serialize, ToSchema)]
pub struct LedgerView {
    pub total: i64,
    pub held: i64,
    pub used: i64,
}

impl From<Health> for HealthView {
    fn from(h: Health) -> Self {
        Self {
            version: h.version.to_owned(),
            uptime_s: h.uptime.as_secs(),
            runtime: RuntimeHealthView {
                name: h.runtime.name.to_owned(),
                ok: h.runtime.ok,
                detail: h.runtime.detail,
            },
            store: StoreHealthView {
                ok: h.store.is_ok(),
                code: h.store.err().map(str::to_owned),
            },
            sessions: h.sessions,
            recorder_lag_bytes: h.recorder_lag_bytes,
            ledger: h.ledger.map(|l| LedgerView {
                total: l.total,
                held: l.held,
                used: l.used,
            }),
            terminals_attached: h.terminals_attached,
        }
    }
}

/// Whose looks.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Of this session; without it, everything (operations only).
    pub session: Option<String>,
}

/// Something a person did to another's session.
#[derive(Serialize, ToSchema)]
pub struct AuditView {
    /// Unix seconds.
    pub at: i64,
    pub actor: String,
    pub actor_name: String,
    pub role: String,
    /// `view`, `replay`, `help`, `stop`, `export`, `pause-launches`, `resume-launches`, `statement`, `export-person`, `erase-person`, `link-person`.
    pub action: String,
    pub session: Option<String>,
    /// Of what is of a whole course: its wall.
    pub course: Option<String>,
    /// Whom it is about, when it is no single session; of who was forgotten, what stands instead of them.
    pub about: Option<String>,
    pub detail: String,
}

impl From<AuditEvent> for AuditView {
    fn from(e: AuditEvent) -> Self {
        Self {
            at: e.at.secs(),
            actor: e.actor.0,
            actor_name: e.actor_name,
            role: e.role.name().to_owned(),
            action: e.action,
            session: e.session.map(|s| s.to_string()),
            course: e.course.map(|c| c.0),
            about: e.about.map(|s| s.0),
            detail: e.detail,
        }
    }
}
