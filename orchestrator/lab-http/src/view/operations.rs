//! The whole installation in counts.

use super::RetentionView;
use lab_app::{
    operations::{AGE_BOUNDS, ALWAYS_HELD, FAILURES_OF, NodeCount, Overview, PhaseCount, Quarantine, Recorders},
    recording::Lag,
};
use lab_core::{
    operations::{FailureCount, LaunchPause, RecorderLeases},
    port::Lease,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// `POST /operations/pause`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// Told to learners as it is: one line of 1 to 280 characters.
    pub reason: String,
    /// When learners are told to come back, minutes from now, at most a week. Nothing is lifted by itself.
    #[serde(default)]
    pub minutes: Option<u32>,
}

/// Whether new launches are refused now.
#[derive(Serialize, ToSchema)]
pub struct PausedView {
    /// Missing while launches are taken.
    pub paused: Option<PauseView>,
}

/// New launches are refused.
#[derive(Clone, Serialize, ToSchema)]
pub struct PauseView {
    pub reason: String,
    /// When learners are told to come back; Unix seconds.
    pub until: Option<i64>,
    /// Unix seconds.
    pub since: i64,
    /// Who said it last.
    pub by: String,
}

impl From<LaunchPause> for PauseView {
    fn from(p: LaunchPause) -> Self {
        Self {
            reason: p.reason,
            until: p.until.map(lab_core::Timestamp::secs),
            since: p.since.secs(),
            by: p.by_name,
        }
    }
}

/// The installation in counts; how long it is does not depend on how many sessions there are.
#[derive(Serialize, ToSchema)]
pub struct OverviewView {
    /// Unix seconds.
    pub at: i64,
    /// Missing while launches are taken.
    pub paused: Option<PauseView>,
    /// Sessions that are not over, by state.
    pub sessions: BTreeMap<String, u64>,
    pub sandboxes: SandboxesView,
    pub failures: FailuresView,
    pub recorders: RecordersView,
    pub quarantine: QuarantineView,
    pub retention: RetentionView,
    pub leases: LeasesView,
}

/// Sandboxes as the runtime lists them.
#[derive(Serialize, ToSchema)]
pub struct SandboxesView {
    /// Code of why the runtime does not say; the lists are empty then.
    pub code: Option<String>,
    /// When it was asked; Unix seconds.
    pub at: Option<i64>,
    /// Upper bounds of the first columns of `ages`, seconds; the last column is what is older.
    pub age_bounds_s: Vec<u64>,
    pub phases: Vec<PhaseView>,
    pub nodes: Vec<NodeCountView>,
}

/// Sandboxes in one phase, by age.
#[derive(Serialize, ToSchema)]
pub struct PhaseView {
    /// `waiting`, `starting`, `running`, `gone`.
    pub phase: String,
    /// With `waiting`: `capacity`, `quota`, `image`.
    pub waiting: Option<String>,
    pub count: u64,
    pub ages: Vec<u64>,
}

/// Sandboxes of one machine.
#[derive(Serialize, ToSchema)]
pub struct NodeCountView {
    /// Missing for those that are on none yet, and where the runtime has one machine only.
    pub node: Option<String>,
    pub starting: u64,
    pub running: u64,
    pub gone: u64,
}

/// What went wrong lately, most frequent first.
#[derive(Serialize, ToSchema)]
pub struct FailuresView {
    /// Seconds looked back.
    pub of_s: u64,
    pub rows: Vec<FailureView>,
}

/// Sessions of one lab that went wrong for one reason.
#[derive(Serialize, ToSchema)]
pub struct FailureView {
    pub reason: String,
    /// It had been usable: work was lost, not only a start.
    pub after_ready: bool,
    pub lab: String,
    pub count: u64,
    /// Unix seconds.
    pub last_at: i64,
}

/// The recorders of the process that answered.
#[derive(Serialize, ToSchema)]
pub struct RecordersView {
    pub holder: String,
    pub recorders: u64,
    /// Journal taken from agents and not yet durable, of all of them.
    pub lag_bytes: i64,
    /// Those that are behind, worst first; at most 20.
    pub worst: Vec<LagView>,
}

/// A recorder that is behind.
#[derive(Serialize, ToSchema)]
pub struct LagView {
    pub session: String,
    pub bytes: u64,
    /// Age of the oldest of them.
    pub age_s: u64,
    /// Code of the last failure.
    pub code: Option<String>,
}

/// Uploads to the recordings' storage that were not what was sent, of every process. Each was sent again; they stay until somebody
/// removes them from the storage.
#[derive(Serialize, ToSchema)]
pub struct QuarantineView {
    /// Code of why the storage does not say; the rest is empty then.
    pub code: Option<String>,
    /// How many there are.
    pub objects: u64,
    /// Of which sessions, those with the most first; at most 20.
    pub sessions: Vec<QuarantinedView>,
}

/// What of one session's recording lies in quarantine.
#[derive(Serialize, ToSchema)]
pub struct QuarantinedView {
    pub session: String,
    pub objects: u64,
    /// Where they lie in the storage.
    pub prefix: String,
}

/// Who does what.
#[derive(Serialize, ToSchema)]
pub struct LeasesView {
    pub tasks: Vec<LeaseView>,
    /// Recordings by the process that writes them.
    pub recorders: Vec<RecorderLeasesView>,
}

/// A background task's lease.
#[derive(Serialize, ToSchema)]
pub struct LeaseView {
    pub name: String,
    /// Somebody must hold it at all times; another one is held for a moment now and then.
    pub always: bool,
    /// Missing when it was given back.
    pub holder: Option<String>,
    pub epoch: u64,
    /// Seconds until it expires; negative since it did, missing when it was given back.
    pub expires_in_s: Option<i64>,
}

/// The recordings one process writes.
#[derive(Serialize, ToSchema)]
pub struct RecorderLeasesView {
    pub holder: String,
    pub sessions: u64,
    /// Seconds until the first of them expires.
    pub expires_in_s: i64,
}

impl From<Overview> for OverviewView {
    fn from(o: Overview) -> Self {
        let now = o.at.secs();
        let (code, listed) = match o.sandboxes {
            Ok(listed) => (None, Some(listed)),
            Err(code) => (Some(code.to_owned()), None),
        };
        let (phases, nodes) = listed
            .as_ref()
            .map(|s| (s.phases.as_slice(), s.nodes.as_slice()))
            .unwrap_or_default();
        Self {
            at: now,
            paused: o.paused.map(Into::into),
            sessions: o.sessions.into_iter().map(|c| (c.state, c.count)).collect(),
            sandboxes: SandboxesView {
                code,
                at: listed.as_ref().map(|s| s.at.secs()),
                age_bounds_s: AGE_BOUNDS.iter().map(std::time::Duration::as_secs).collect(),
                phases: phases.iter().map(Into::into).collect(),
                nodes: nodes.iter().map(Into::into).collect(),
            },
            failures: FailuresView {
                of_s: FAILURES_OF.as_secs(),
                rows: o.failures.into_iter().map(Into::into).collect(),
            },
            recorders: o.recorders.into(),
            quarantine: o.quarantine.map_or_else(QuarantineView::unknown, |q| (&*q).into()),
            retention: o
                .retention
                .map_or_else(RetentionView::unknown, |r| RetentionView::new(&r.due, &r.runs)),
            leases: LeasesView {
                tasks: o.leases.tasks.into_iter().map(|l| LeaseView::at(l, now)).collect(),
                recorders: o
                    .leases
                    .recorders
                    .into_iter()
                    .map(|r| RecorderLeasesView::at(r, now))
                    .collect(),
            },
        }
    }
}

impl From<&PhaseCount> for PhaseView {
    fn from(p: &PhaseCount) -> Self {
        Self {
            phase: p.phase.to_owned(),
            waiting: p.waiting.map(str::to_owned),
            count: p.count(),
            ages: p.ages.to_vec(),
        }
    }
}

impl From<&NodeCount> for NodeCountView {
    fn from(n: &NodeCount) -> Self {
        Self {
            node: n.node.clone(),
            starting: n.starting,
            running: n.running,
            gone: n.gone,
        }
    }
}

impl From<FailureCount> for FailureView {
    fn from(f: FailureCount) -> Self {
        Self {
            reason: f.reason,
            after_ready: f.after_ready,
            lab: f.lab.0,
            count: f.count,
            last_at: f.last_at.secs(),
        }
    }
}

impl From<Recorders> for RecordersView {
    fn from(r: Recorders) -> Self {
        Self {
            holder: r.holder,
            recorders: r.recorders as u64,
            lag_bytes: r.lag_bytes,
            worst: r.worst.into_iter().map(Into::into).collect(),
        }
    }
}

impl QuarantineView {
    fn unknown(code: &str) -> Self {
        Self {
            code: Some(code.to_owned()),
            objects: 0,
            sessions: Vec::new(),
        }
    }
}

impl From<&Quarantine> for QuarantineView {
    fn from(q: &Quarantine) -> Self {
        let sessions = q.sessions.iter().map(|q| QuarantinedView {
            session: q.session.to_string(),
            objects: q.objects as u64,
            prefix: q.prefix(),
        });
        Self {
            code: None,
            objects: q.objects as u64,
            sessions: sessions.collect(),
        }
    }
}

impl From<Lag> for LagView {
    fn from(l: Lag) -> Self {
        Self {
            session: l.session.to_string(),
            bytes: l.bytes,
            age_s: l.age.as_secs(),
            code: l.error.map(str::to_owned),
        }
    }
}

impl LeaseView {
    fn at(l: Lease, now: i64) -> Self {
        let held = !l.holder.is_empty();
        Self {
            always: ALWAYS_HELD.contains(&l.name.as_str()),
            name: l.name,
            epoch: l.epoch,
            expires_in_s: held.then_some(l.expires_at.secs() - now),
            holder: held.then_some(l.holder),
        }
    }
}

impl RecorderLeasesView {
    fn at(r: RecorderLeases, now: i64) -> Self {
        Self {
            holder: r.holder,
            sessions: r.sessions,
            expires_in_s: r.expires_at.secs() - now,
        }
    }
}
