//! Admission and the session's life.

use super::state::State;
use lab_core::{
    PlanId, SandboxId, SessionId,
    entitlement::{GrantBalance, Plan, Refusal, TEST_RUN_PLAN, TEST_RUN_WITHIN, test_run_refusal},
    operations::LaunchPause,
    port::{Admission, AdmitRequest, Session, SessionFilter, StoreError, Transition, TransitionRow},
    provisioning::{SessionEvent, SessionState},
};

impl State {
    pub fn session(&mut self, id: SessionId) -> Result<&mut Session, StoreError> {
        self.sessions.get_mut(&id).ok_or_else(|| StoreError::NotFound {
            what: "session",
            id: id.to_string(),
        })
    }

    pub fn session_list(&self, filter: &SessionFilter) -> Vec<Session> {
        let limit = if filter.limit == 0 { 1000 } else { filter.limit as usize };
        let mut rows: Vec<_> = self
            .sessions
            .values()
            .filter(|s| filter.course.as_ref().is_none_or(|c| s.course == *c))
            .filter(|s| filter.subject.as_ref().is_none_or(|c| s.subject == *c))
            .filter(|s| filter.lab.as_ref().is_none_or(|c| s.lab == *c))
            .filter(|s| !filter.live || !s.state.is_over())
            .cloned()
            .collect();
        rows.sort_by_key(|s| std::cmp::Reverse((s.requested_at, s.id)));
        rows.truncate(limit);
        rows
    }

    pub fn admit(&mut self, r: &AdmitRequest) -> Result<Admission, StoreError> {
        if r.test_run {
            return self.admit_test_run(r);
        }
        let running: Vec<Session> = self
            .sessions
            .values()
            .filter(|s| s.subject == r.subject && s.course == r.course)
            .filter(|s| !s.state.is_over() && !matches!(s.state, SessionState::Stopping { .. }))
            .cloned()
            .collect();
        if let Some(same) = running.iter().find(|s| s.lab == r.lab) {
            return Ok(Admission::Running(same.clone()));
        }
        if let Some(refusal) = self.course_refusal(&r.course, &r.subject, r.at) {
            return Ok(Admission::Refused(refusal));
        }
        let mut grants = self.grants_of(&r.subject, Some(&r.course));
        grants.retain(|g| g.is_valid(r.at));
        let plan_named = grants.first().map(|g| g.grant.plan.clone());
        grants.retain(|g| self.plans.get(&g.grant.plan).is_some_and(|p| p.labs));
        let available: i64 = grants.iter().map(|g| g.available).sum();
        let Some(plan) = self.payer(&grants) else {
            return Ok(Admission::Refused(Refusal::NoLabs { plan: plan_named }));
        };
        if let Some(LaunchPause { reason, until, .. }) = self.paused.clone() {
            return Ok(Admission::Refused(Refusal::Paused { reason, until }));
        }
        if running.len() >= plan.concurrency_max as usize {
            let running = running.iter().map(|s| s.id).collect();
            return Ok(Admission::Refused(Refusal::Concurrency {
                max: plan.concurrency_max,
                running,
            }));
        }
        let most = match self.may_hold(r, &plan, available) {
            Ok(most) => most,
            Err(refusal) => return Ok(Admission::Refused(refusal)),
        };
        if !self.labs.contains_key(&r.digest) {
            return Err(StoreError::NotFound {
                what: "lab version",
                id: r.digest.to_string(),
            });
        }
        if self.sessions.contains_key(&r.session) {
            let detail = "the id is another session's".into();
            return Err(StoreError::Conflict {
                what: "session",
                id: r.session.to_string(),
                detail,
            });
        }
        if let Some(refusal) = self.untold(r) {
            return Ok(Admission::Refused(refusal));
        }
        let claimed = self.pool_claim(&r.digest, r.at);
        let (id, sandbox) = claimed.unwrap_or((r.session, SandboxId(r.session.0)));
        self.sessions
            .insert(id, requested(r, id, sandbox, plan.id.clone(), claimed.is_some()));
        self.freeze_rate(id, &r.digest);
        self.history_add(id, "learner", r.at)?;
        self.reserve(id, &mut grants, r.hold_secs.max(plan.minimum_secs).min(most), r.at)?;
        if claimed.is_some() {
            let provision = Transition {
                session: id,
                expect: 0,
                event: SessionEvent::Provision,
                at: r.at,
                cause: "pool".into(),
                ready: None,
            };
            self.session_transition(&provision)?;
        }
        Ok(Admission::Admitted(self.session(id)?.clone()))
    }

    fn admit_test_run(&mut self, r: &AdmitRequest) -> Result<Admission, StoreError> {
        let mine = |s: &&Session| s.subject == r.subject && s.course == r.course && s.is_test_run();
        let running: Vec<&Session> = self
            .sessions
            .values()
            .filter(mine)
            .filter(|s| !s.state.is_over() && !matches!(s.state, SessionState::Stopping { .. }))
            .collect();
        if let Some(same) = running.iter().find(|s| s.lab == r.lab) {
            return Ok(Admission::Running((*same).clone()));
        }
        if let Some(LaunchPause { reason, until, .. }) = self.paused.clone() {
            return Ok(Admission::Refused(Refusal::Paused { reason, until }));
        }
        let running: Vec<SessionId> = running.iter().map(|s| s.id).collect();
        let since = r.at.minus(TEST_RUN_WITHIN);
        let begun: Vec<_> = self
            .sessions
            .values()
            .filter(mine)
            .filter(|s| s.requested_at > since)
            .map(|s| (s.requested_at, s.over_at))
            .collect();
        let refusal = test_run_refusal(&running, &begun, r.at);
        if let Some(refusal) = refusal.or_else(|| self.untold(r)) {
            return Ok(Admission::Refused(refusal));
        }
        if !self.labs.contains_key(&r.digest) {
            return Err(StoreError::NotFound {
                what: "lab version",
                id: r.digest.to_string(),
            });
        }
        let plan = PlanId(TEST_RUN_PLAN.into());
        let session = requested(r, r.session, SandboxId(r.session.0), plan, false);
        self.sessions.insert(r.session, session.clone());
        self.freeze_rate(r.session, &r.digest);
        self.history_add(r.session, TEST_RUN_PLAN, r.at)?;
        Ok(Admission::Admitted(session))
    }

    /// The plan of the grant that pays first, in burn order; with nothing left on any, of the one that would.
    fn payer(&self, grants: &[GrantBalance]) -> Option<Plan> {
        let payer = grants.iter().find(|g| g.available > 0).or(grants.first());
        payer.and_then(|g| self.plans.get(&g.grant.plan)).cloned()
    }

    /// Seconds that a new session may hold at most, of `available`.
    fn may_hold(&self, r: &AdmitRequest, plan: &Plan, available: i64) -> Result<i64, Refusal> {
        let minimum = r.minimum_secs.max(plan.minimum_secs);
        if available < minimum {
            return Err(Refusal::NoTime { available });
        }
        let (today, zone) = self.day_use((&r.subject, &r.course, &plan.id), r.at);
        let left = today.left(plan.daily_secs_max, r.at);
        match plan.daily_secs_max {
            Some(cap) if left < minimum => Err(Refusal::DailyCap {
                cap,
                again_at: today.today.until,
                zone,
            }),
            _ => Ok(available.min(left)),
        }
    }

    pub fn session_transition(&mut self, t: &Transition) -> Result<Session, StoreError> {
        let session = self.session(t.session)?;
        if session.revision != t.expect {
            let detail = format!("revision is {}, expected {}", session.revision, t.expect);
            return Err(StoreError::Conflict {
                what: "session",
                id: t.session.to_string(),
                detail,
            });
        }
        let next = session.state.next(t.event.clone())?;
        if t.event == SessionEvent::Ready && t.ready.is_none() {
            let detail = "ready needs the first prompt's time and the deadline".into();
            return Err(StoreError::Conflict {
                what: "session",
                id: t.session.to_string(),
                detail,
            });
        }
        let frozen_us = session.frozen_until(t.at);
        let stood = std::time::Duration::from_micros(frozen_us - session.frozen_us);
        session.deadline = session.deadline.map(|at| at.plus(stood));
        session.frozen_us = frozen_us;
        session.frozen_at = (next == SessionState::Frozen).then_some(t.at);
        session.state = next;
        session.revision += 1;
        if let (SessionState::Ready, Some((ready_us, deadline))) = (&session.state, t.ready) {
            session.ready_at = session.ready_at.or(Some(t.at));
            session.ready_us = session.ready_us.or(Some(ready_us));
            session.deadline = session.deadline.or(Some(deadline));
        }
        if session.state == SessionState::Ready {
            session.active_at = session.active_at.max(t.at);
        }
        if session.state.is_over() {
            session.over_at = Some(t.at);
        }
        let void = session.state.is_over() && session.ready_at.is_none();
        self.history_add(t.session, &t.cause, t.at)?;
        if void {
            self.void(t.session, t.at)?;
        }
        Ok(self.session(t.session)?.clone())
    }

    fn history_add(&mut self, id: SessionId, cause: &str, at: lab_core::Timestamp) -> Result<(), StoreError> {
        let session = self.session(id)?;
        let row = TransitionRow {
            revision: session.revision,
            state: session.state.clone(),
            at,
            cause: cause.to_owned(),
        };
        self.history.entry(id).or_default().push(row);
        Ok(())
    }
}

/// A session that was just asked for.
fn requested(r: &AdmitRequest, id: SessionId, sandbox: SandboxId, plan: PlanId, warm: bool) -> Session {
    Session {
        id,
        subject: r.subject.clone(),
        name: r.name.clone(),
        course: r.course.clone(),
        lab: r.lab.clone(),
        digest: r.digest.clone(),
        plan,
        sandbox,
        warm,
        state: SessionState::Requested,
        revision: 0,
        requested_at: r.at,
        ready_at: None,
        over_at: None,
        ready_us: None,
        seen_us: None,
        active_at: r.at,
        deadline: None,
        frozen_at: None,
        frozen_us: 0,
        held_secs: 0,
        billed_secs: None,
    }
}
