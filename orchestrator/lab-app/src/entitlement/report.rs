//! What operations and teachers read: health and usage.

use super::start::scoped;
use crate::{App, AppError};
use lab_core::{
    CourseId, LabId, Subject,
    launch::{Login, Role},
    metering::UsageRow,
    port::{LedgerSums, SessionFilter},
};
use std::{collections::BTreeMap, time::Duration};

/// Which usage.
#[derive(Clone, Debug, Default)]
pub struct UsageFilter {
    pub course: Option<CourseId>,
    pub subject: Option<Subject>,
    pub lab: Option<LabId>,
}

/// Whether the runtime answers.
#[derive(Clone, Debug)]
pub struct RuntimeHealth {
    /// `docker`, `process`.
    pub name: &'static str,
    pub ok: bool,
    /// Its version, or the code of what failed.
    pub detail: String,
}

/// The state of this process and its neighbours.
#[derive(Clone, Debug)]
pub struct Health {
    pub version: &'static str,
    pub uptime: Duration,
    pub runtime: RuntimeHealth,
    /// Error code when the store does not answer.
    pub store: Result<(), &'static str>,
    /// Live sessions by state name.
    pub sessions: BTreeMap<String, u64>,
    pub recorder_lag_bytes: i64,
    /// `None` when the store does not answer.
    pub ledger: Option<LedgerSums>,
    pub terminals_attached: i64,
}

/// A runtime that needs longer than this to say its version is not well.
const HEALTH_WITHIN: Duration = Duration::from_secs(2);

impl App {
    /// Asks every neighbour how it is; never fails, says what fails. For `/readyz` too, so it authorises nobody.
    pub async fn health(&self) -> Health {
        let runtime = &self.ports.runtime;
        let (ok, detail) = match tokio::time::timeout(HEALTH_WITHIN, runtime.health()).await {
            Ok(Ok(version)) => (true, version),
            Ok(Err(error)) => (false, error.code().to_owned()),
            Err(_) => (false, "runtime-slow".to_owned()),
        };
        let store = self.ports.store.ping().await.map_err(|e| e.code());
        let counts = self.ports.store.session_counts().await.unwrap_or_default();
        let sessions = counts.into_iter().map(|c| (c.state, c.count)).collect();
        let attached = |role: Role| self.metrics.terminals_attached.with_label_values(&[role.name()]).get();
        Health {
            version: env!("CARGO_PKG_VERSION"),
            uptime: Duration::from_micros(self.ports.clock.monotonic_us().saturating_sub(self.started_us)),
            runtime: RuntimeHealth {
                name: runtime.name(),
                ok,
                detail,
            },
            store,
            sessions,
            recorder_lag_bytes: self.metrics.recorder_lag_bytes.get(),
            ledger: self.ports.store.ledger_sums().await.ok(),
            terminals_attached: Role::ALL.into_iter().filter(|r| r.sees_terminals()).map(attached).sum(),
        }
    }

    /// Settled sessions the login may know: everything for operations, the own course for teachers, the own for learners.
    ///
    /// # Errors
    /// `not-allowed` when the filter asks for more.
    pub async fn usage(&self, login: &Login, filter: UsageFilter) -> Result<Vec<UsageRow>, AppError> {
        if !login.role.sees_usage() {
            return Err(AppError::not_allowed("your role does not see what was used"));
        }
        let wanted = SessionFilter {
            course: filter.course,
            subject: filter.subject,
            ..SessionFilter::default()
        };
        let may = scoped(login, wanted)?;
        let store = &self.ports.store;
        let mut rows = store
            .usage_list(may.course.as_ref(), may.subject.as_ref(), filter.lab.as_ref())
            .await?;
        if login.role != Role::Operations {
            // what machines cost is between operations and the administration
            rows.iter_mut().for_each(|r| r.cost_micro_eur = None);
        }
        Ok(rows)
    }
}
