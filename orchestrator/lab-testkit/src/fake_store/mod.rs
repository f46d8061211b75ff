//! The store in memory: for simulations of `lab-app`, where a database would bring threads and time of its own.
//!
//! One mutex is the transaction. Operations for [`Faults`] carry the method's name.

mod accounts;
mod courses;
mod givers;
mod grades;
mod ledger;
mod lti;
mod operations;
mod orders;
mod pool;
mod privacy;
mod sessions;
mod staff;
mod state;
mod vouchers;

use crate::faults::{Faults, Planned, Strike};
use async_trait::async_trait;
use lab_core::{
    CourseId, GrantId, LabDigest, LabId, LaunchId, LoginId, SessionId, Subject, Timestamp, TokenHash, VoucherBatchId,
    entitlement::{
        Grant, GrantBalance, Plan, Redeemed, Redemption, TermsState, TimeLeft, VoucherBatch, VoucherBatchState,
        VoucherTerms, is_test_run_plan,
    },
    journal::CheckOutcome,
    lab::LabVersion,
    launch::{Login, Ticket},
    metering::{Transaction, UsageRow},
    operations::{FailureCount, LaunchPause, LeaseReport, PauseChange, StateCount},
    port::{
        Admission, AdmitRequest, AuditEvent, ChunkAppend, Course, Lease, LedgerSums, PoolWrite, Redeem, Refund,
        Session, SessionFilter, Settlement, Store, StoreError, Transition, TransitionRow,
    },
    provisioning::PoolSandbox,
    recording::{Chunk, RecordingHead, RecordingState},
};
use state::State;
use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

/// See the module's doc.
#[derive(Debug, Default)]
pub struct FakeStore {
    pub faults: Faults,
    state: Mutex<State>,
}

impl FakeStore {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// Puts a session there as it is, without admission: for tests of what comes after.
    pub fn plant(&self, session: Session) {
        self.state().sessions.insert(session.id, session);
    }

    /// Puts a lab version there without parsing anything.
    pub fn plant_lab(&self, lab: LabVersion) {
        self.state().lab_publish(lab);
    }

    fn run<T>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut State) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let failed = || StoreError::Unavailable {
            operation,
            source: Box::new(Planned),
        };
        match self.faults.strike(operation) {
            Some(Strike::Before) => Err(failed()),
            Some(Strike::After) => {
                work(&mut self.state())?;
                Err(failed())
            }
            None => work(&mut self.state()),
        }
    }
}

#[async_trait]
impl Store for FakeStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.run("ping", |_| Ok(()))
    }

    async fn lab_publish(&self, lab: &LabVersion, _at: Timestamp) -> Result<(), StoreError> {
        self.run("lab_publish", |s| {
            s.lab_publish(lab.clone());
            Ok(())
        })
    }
    async fn lab_version(&self, digest: &LabDigest) -> Result<Option<LabVersion>, StoreError> {
        self.run("lab_version", |s| Ok(s.labs.get(digest).cloned()))
    }
    async fn lab_latest(&self, lab: &LabId) -> Result<Option<LabVersion>, StoreError> {
        self.run("lab_latest", |s| {
            Ok(s.latest.get(lab).and_then(|d| s.labs.get(d)).cloned())
        })
    }
    async fn lab_withdraw(&self, lab: &LabId) -> Result<bool, StoreError> {
        self.run("lab_withdraw", |s| Ok(s.latest.remove(lab).is_some()))
    }
    async fn lab_ids(&self) -> Result<Vec<LabId>, StoreError> {
        self.run("lab_ids", |s| {
            let mut ids: Vec<_> = s.last.keys().cloned().collect();
            ids.sort();
            Ok(ids)
        })
    }
    async fn lab_last(&self, lab: &LabId) -> Result<Option<LabVersion>, StoreError> {
        self.run("lab_last", |s| Ok(s.last.get(lab).and_then(|d| s.labs.get(d)).cloned()))
    }
    async fn lab_list(&self) -> Result<Vec<LabVersion>, StoreError> {
        self.run("lab_list", |s| {
            Ok(s.latest.values().filter_map(|d| s.labs.get(d)).cloned().collect())
        })
    }

    async fn course_put(&self, course: &Course) -> Result<(), StoreError> {
        self.run("course_put", |s| {
            s.titles.insert(course.id.clone(), course.clone());
            Ok(())
        })
    }
    async fn course_get(&self, course: &CourseId) -> Result<Option<Course>, StoreError> {
        self.run("course_get", |s| Ok(s.titles.get(course).cloned()))
    }
    async fn course_list(&self) -> Result<Vec<Course>, StoreError> {
        self.run("course_list", |s| Ok(s.titles.values().cloned().collect()))
    }
    async fn launch_redeem(&self, id: LaunchId, at: Timestamp, keep_until: Timestamp) -> Result<Redeem, StoreError> {
        self.run("launch_redeem", |s| Ok(s.launch_redeem(id, at, keep_until)))
    }
    async fn login_create(&self, login: &Login, bearer: TokenHash) -> Result<(), StoreError> {
        self.run("login_create", |s| s.login_create(login, bearer))
    }
    async fn login_by_bearer(&self, bearer: TokenHash, at: Timestamp) -> Result<Option<Login>, StoreError> {
        self.run("login_by_bearer", |s| Ok(s.login_by_bearer(bearer, at)))
    }
    async fn login_rotate(
        &self,
        login: LoginId,
        old: TokenHash,
        new: TokenHash,
        expires_at: Timestamp,
        grace_until: Timestamp,
    ) -> Result<bool, StoreError> {
        self.run("login_rotate", |s| {
            Ok(s.login_rotate(login, old, new, expires_at, grace_until))
        })
    }
    async fn login_get(&self, login: LoginId, at: Timestamp) -> Result<Option<Login>, StoreError> {
        self.run("login_get", |s| {
            Ok(s.logins
                .get(&login)
                .map(|row| row.login.clone())
                .filter(|login| at < login.expires_at))
        })
    }
    async fn ticket_create(&self, ticket: &Ticket) -> Result<(), StoreError> {
        self.run("ticket_create", |s| {
            if !s.logins.contains_key(&ticket.login) {
                return Err(StoreError::NotFound {
                    what: "login",
                    id: ticket.login.to_string(),
                });
            }
            s.ticket_create(ticket);
            Ok(())
        })
    }
    async fn ticket_take(&self, hash: TokenHash, at: Timestamp) -> Result<Option<Ticket>, StoreError> {
        self.run("ticket_take", |s| {
            Ok(s.tickets.remove(&hash).filter(|t| at < t.expires_at))
        })
    }

    async fn plan_put(&self, plan: &Plan) -> Result<(), StoreError> {
        self.run("plan_put", |s| {
            if is_test_run_plan(&plan.id) {
                return Err(StoreError::Conflict {
                    what: "plan",
                    id: plan.id.to_string(),
                    detail: "this name stands for test runs, which no plan pays for".into(),
                });
            }
            s.plans.insert(plan.id.clone(), plan.clone());
            Ok(())
        })
    }
    async fn plan_list(&self) -> Result<Vec<Plan>, StoreError> {
        self.run("plan_list", |s| Ok(s.plans.values().cloned().collect()))
    }
    async fn grant_issue(&self, grant: &Grant) -> Result<(), StoreError> {
        self.run("grant_issue", |s| s.grant_issue(grant))
    }
    async fn grant_list(&self, subject: &Subject, course: Option<&CourseId>) -> Result<Vec<GrantBalance>, StoreError> {
        self.run("grant_list", |s| Ok(s.grants_of(subject, course)))
    }
    async fn grant_void(&self, grant: GrantId, reason: &str, at: Timestamp) -> Result<i64, StoreError> {
        self.run("grant_void", |s| s.grant_void(grant, reason, at))
    }
    async fn grants_expire(&self, at: Timestamp) -> Result<i64, StoreError> {
        self.run("grants_expire", |s| s.grants_expire(at))
    }
    async fn time_left(&self, session: SessionId, at: Timestamp) -> Result<TimeLeft, StoreError> {
        self.run("time_left", |s| s.time_left(session, at))
    }
    async fn voucher_create(&self, batch: &VoucherBatch, codes: &[TokenHash]) -> Result<(), StoreError> {
        self.run("voucher_create", |s| s.voucher_create(batch, codes))
    }
    async fn voucher_list(&self) -> Result<Vec<VoucherBatchState>, StoreError> {
        self.run("voucher_list", |s| Ok(s.vouchers.list()))
    }
    async fn voucher_revoke(&self, batch: VoucherBatchId, reason: &str, at: Timestamp) -> Result<(), StoreError> {
        self.run("voucher_revoke", |s| s.vouchers.revoke(batch, reason, at))
    }
    async fn voucher_redeem(&self, redemption: &Redemption) -> Result<Redeemed, StoreError> {
        self.run("voucher_redeem", |s| s.voucher_redeem(redemption))
    }
    async fn voucher_terms_put(&self, batch: VoucherBatchId, terms: &VoucherTerms) -> Result<(), StoreError> {
        self.run("voucher_terms_put", |s| s.vouchers.terms_put(batch, terms))
    }
    async fn voucher_terms_list(&self) -> Result<Vec<TermsState>, StoreError> {
        self.run("voucher_terms_list", |s| Ok(s.voucher_terms()))
    }
    async fn admit(&self, request: &AdmitRequest) -> Result<Admission, StoreError> {
        self.run("admit", |s| s.admit(request))
    }

    async fn session_get(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.run("session_get", |s| Ok(s.sessions.get(&id).cloned()))
    }
    async fn session_list(&self, filter: &SessionFilter) -> Result<Vec<Session>, StoreError> {
        self.run("session_list", |s| Ok(s.session_list(filter)))
    }
    async fn session_transition(&self, t: &Transition) -> Result<Session, StoreError> {
        self.run("session_transition", |s| s.session_transition(t))
    }
    async fn session_history(&self, id: SessionId) -> Result<Vec<TransitionRow>, StoreError> {
        self.run("session_history", |s| {
            Ok(s.history.get(&id).cloned().unwrap_or_default())
        })
    }
    async fn session_touch(
        &self,
        id: SessionId,
        active_at: Option<Timestamp>,
        seen_us: Option<u64>,
    ) -> Result<(), StoreError> {
        self.run("session_touch", |s| {
            let session = s.session(id)?;
            session.active_at = active_at.map_or(session.active_at, |at| at.max(session.active_at));
            session.seen_us = session.seen_us.max(seen_us);
            Ok(())
        })
    }
    async fn session_deadline(&self, id: SessionId, deadline: Timestamp) -> Result<Session, StoreError> {
        self.run("session_deadline", |s| {
            let session = s.session(id)?;
            session.deadline = session.deadline.max(Some(deadline));
            Ok(session.clone())
        })
    }

    async fn pool_list(&self) -> Result<Vec<PoolSandbox>, StoreError> {
        self.run("pool_list", |s| Ok(s.pool_list()))
    }
    async fn pool_write(&self, write: &PoolWrite) -> Result<bool, StoreError> {
        self.run("pool_write", |s| s.pool_write(write))
    }

    async fn hold_extend(&self, session: SessionId, held_secs: i64, at: Timestamp) -> Result<i64, StoreError> {
        self.run("hold_extend", |s| s.hold_extend(session, held_secs, at))
    }
    async fn settle(&self, settlement: &Settlement) -> Result<UsageRow, StoreError> {
        self.run("settle", |s| s.settle(settlement))
    }
    async fn refund(&self, refund: &Refund) -> Result<i64, StoreError> {
        self.run("refund", |s| s.refund(refund))
    }
    async fn usage_list(
        &self,
        course: Option<&CourseId>,
        subject: Option<&Subject>,
        lab: Option<&LabId>,
    ) -> Result<Vec<UsageRow>, StoreError> {
        self.run("usage_list", |s| {
            let mut rows: Vec<_> = s
                .usage
                .values()
                .filter(|r| course.is_none_or(|c| r.course == *c))
                .filter(|r| subject.is_none_or(|c| r.subject == *c))
                .filter(|r| lab.is_none_or(|c| r.lab == *c))
                .cloned()
                .collect();
            rows.sort_by_key(|r| (r.requested_at, r.session));
            Ok(rows)
        })
    }
    async fn ledger_sums(&self) -> Result<LedgerSums, StoreError> {
        self.run("ledger_sums", |s| Ok(s.ledger_sums()))
    }
    async fn ledger_recount(&self) -> Result<LedgerSums, StoreError> {
        self.run("ledger_recount", |s| Ok(s.ledger_sums()))
    }
    async fn ledger_of(&self, session: SessionId) -> Result<Vec<Transaction>, StoreError> {
        self.run("ledger_of", |s| {
            Ok(s.transactions
                .iter()
                .filter(|t| t.session == Some(session))
                .cloned()
                .collect())
        })
    }

    async fn recording_open(&self, session: SessionId, _at: Timestamp) -> Result<RecordingHead, StoreError> {
        self.run("recording_open", |s| s.recording_open(session))
    }
    async fn recording_head(&self, session: SessionId) -> Result<Option<RecordingHead>, StoreError> {
        self.run("recording_head", |s| {
            Ok(s.recordings.get(&session).map(|r| r.head.clone()))
        })
    }
    async fn recording_append(&self, chunk: &ChunkAppend) -> Result<RecordingHead, StoreError> {
        self.run("recording_append", |s| s.recording_append(chunk))
    }
    async fn recording_chunks(&self, session: SessionId) -> Result<Vec<Chunk>, StoreError> {
        self.run("recording_chunks", |s| {
            Ok(s.recordings.get(&session).map(|r| r.chunks.clone()).unwrap_or_default())
        })
    }
    async fn recording_close(&self, session: SessionId, epoch: u64, state: &RecordingState) -> Result<(), StoreError> {
        self.run("recording_close", |s| s.recording_close(session, epoch, state))
    }

    async fn check_record(&self, session: SessionId, outcome: &CheckOutcome, at: Timestamp) -> Result<(), StoreError> {
        self.run("check_record", |s| {
            s.session(session)?;
            s.not_erased(session)?;
            let outcomes = s.checks.entry(session).or_default();
            if outcomes.get(&outcome.check).is_none_or(|(then, _)| *then <= at) {
                outcomes.insert(outcome.check.clone(), (at, outcome.clone()));
            }
            s.check_kept(session, outcome, at);
            Ok(())
        })
    }
    async fn check_list(&self, session: SessionId) -> Result<Vec<CheckOutcome>, StoreError> {
        self.run("check_list", |s| {
            let outcomes = s.checks.get(&session).into_iter().flat_map(|all| all.values());
            Ok(outcomes.map(|(_, outcome)| outcome.clone()).collect())
        })
    }
    async fn audit_append(&self, event: &AuditEvent) -> Result<(), StoreError> {
        self.run("audit_append", |s| {
            s.audit.push(event.clone());
            Ok(())
        })
    }
    async fn audit_last(
        &self,
        session: SessionId,
        actor: &Subject,
        action: &str,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.run("audit_last", |s| {
            let theirs = |e: &&AuditEvent| e.session == Some(session) && e.actor == *actor && e.action == action;
            Ok(s.audit.iter().filter(theirs).map(|e| e.at).max())
        })
    }
    async fn audit_list(&self, session: Option<SessionId>) -> Result<Vec<AuditEvent>, StoreError> {
        self.run("audit_list", |s| {
            Ok(s.audit
                .iter()
                .rev()
                .filter(|e| session.is_none() || e.session == session)
                .take(1000)
                .cloned()
                .collect())
        })
    }
    async fn lease_take(
        &self,
        name: &str,
        holder: &str,
        at: Timestamp,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        self.run("lease_take", |s| Ok(s.lease_take(name, holder, at, ttl)))
    }
    async fn lease_release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.run("lease_release", |s| {
            s.lease_release(lease);
            Ok(())
        })
    }
    async fn sweep(&self, at: Timestamp) -> Result<u64, StoreError> {
        self.run("sweep", |s| Ok(s.sweep(at)))
    }

    async fn launches_pause(&self, change: &PauseChange) -> Result<Option<LaunchPause>, StoreError> {
        self.run("launches_pause", |s| Ok(s.launches_pause(change)))
    }
    async fn launches_paused(&self) -> Result<Option<LaunchPause>, StoreError> {
        self.run("launches_paused", |s| Ok(s.paused.clone()))
    }
    async fn session_counts(&self) -> Result<Vec<StateCount>, StoreError> {
        self.run("session_counts", |s| Ok(s.session_counts()))
    }
    async fn failure_counts(&self, since: Timestamp) -> Result<Vec<FailureCount>, StoreError> {
        self.run("failure_counts", |s| Ok(s.failure_counts(since)))
    }
    async fn lease_report(&self, at: Timestamp) -> Result<LeaseReport, StoreError> {
        self.run("lease_report", |s| Ok(s.lease_report(at)))
    }
}
