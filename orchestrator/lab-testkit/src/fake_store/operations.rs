//! What operations see and decide.

use super::state::State;
use lab_core::{
    Timestamp,
    launch::Role,
    operations::{
        FailureCount, LaunchPause, LeaseReport, PauseChange, RECORDER_LEASE_PREFIX, RecorderLeases, StateCount,
    },
    port::AuditEvent,
    provisioning::SessionState,
};
use std::{cmp::Reverse, collections::BTreeMap};

impl State {
    pub fn launches_pause(&mut self, change: &PauseChange) -> Option<LaunchPause> {
        let since = self.paused.as_ref().map_or(change.at, |p| p.since);
        let (action, detail) = match &change.to {
            Some(notice) => ("pause-launches", notice.reason.clone()),
            None if self.paused.is_some() => ("resume-launches", String::new()),
            None => return None,
        };
        self.audit.push(AuditEvent {
            at: change.at,
            actor: change.by.clone(),
            actor_name: change.by_name.clone(),
            role: Role::Operations,
            action: action.into(),
            session: None,
            course: None,
            about: None,
            detail,
        });
        self.paused = change.to.clone().map(|notice| LaunchPause {
            reason: notice.reason,
            until: notice.until,
            since,
            by: change.by.clone(),
            by_name: change.by_name.clone(),
        });
        self.paused.clone()
    }

    pub fn session_counts(&self) -> Vec<StateCount> {
        let mut counts = BTreeMap::new();
        for session in self.sessions.values().filter(|s| !s.state.is_over()) {
            *counts.entry(session.state.name().to_owned()).or_default() += 1;
        }
        counts
            .into_iter()
            .map(|(state, count)| StateCount { state, count })
            .collect()
    }

    pub fn failure_counts(&self, since: Timestamp) -> Vec<FailureCount> {
        let mut rows: BTreeMap<_, (u64, Timestamp)> = BTreeMap::new();
        for session in self.sessions.values() {
            let (reason, after_ready) = match &session.state {
                SessionState::Failed { reason, .. } => (reason.code(), false),
                SessionState::Ended { reason } if reason.is_failure() => (reason.code(), true),
                _ => continue,
            };
            let Some(at) = session.over_at.filter(|at| *at >= since) else {
                continue;
            };
            let (count, last_at) = rows
                .entry((reason, session.lab.clone(), after_ready))
                .or_insert((0, at));
            *count += 1;
            *last_at = at.max(*last_at);
        }
        let mut rows: Vec<_> = rows
            .into_iter()
            .map(|((reason, lab, after_ready), (count, last_at))| FailureCount {
                reason: reason.to_owned(),
                after_ready,
                lab,
                count,
                last_at,
            })
            .collect();
        rows.sort_by_key(|r| (Reverse(r.count), Reverse(r.last_at)));
        rows
    }

    pub fn lease_report(&self, at: Timestamp) -> LeaseReport {
        let mut report = LeaseReport::default();
        let mut recorders: BTreeMap<&str, RecorderLeases> = BTreeMap::new();
        for lease in self.leases.values() {
            if !lease.name.starts_with(RECORDER_LEASE_PREFIX) {
                report.tasks.push(lease.clone());
            } else if !lease.holder.is_empty() && at < lease.expires_at {
                let row = recorders.entry(&lease.holder).or_insert_with(|| RecorderLeases {
                    holder: lease.holder.clone(),
                    sessions: 0,
                    expires_at: lease.expires_at,
                });
                row.sessions += 1;
                row.expires_at = row.expires_at.min(lease.expires_at);
            }
        }
        report.tasks.sort_by(|a, b| a.name.cmp(&b.name));
        report.recorders = recorders.into_values().collect();
        report
    }
}
