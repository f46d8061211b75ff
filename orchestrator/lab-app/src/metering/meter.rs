//! The meter: every second, every usable session.

use super::{
    limits::{Limit, Limits, Rules, frozen_end, nearest},
    notice::{Said, frozen_notice, is_telling, spent, time_notice, warning},
};
use crate::{
    AppError, Metrics, Ports, Settings,
    lease::Leased,
    provisioning::{LIVE_MAX, LabCache, SessionHubs, request_stop},
};
use lab_core::{
    SessionId, Timestamp,
    entitlement::{HOLD_CHUNK_SECS, Plan, TimeLeft},
    lab::Time,
    port::{ErrorKind, Session, SessionFilter, Transition},
    provisioning::{EndReason, SessionEvent, SessionState},
    terminal::ToBrowser,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Limits are kept to the second.
const TICK: Duration = Duration::from_secs(1);
/// The hold is extended when so much of it is left: a third of a chunk, so three tries a minute apart fit many times.
const EXTEND_BEFORE: Duration = Duration::from_mins(5);
/// Grants that gave nothing are asked again so often; somebody may have granted more meanwhile.
const BUDGET_EVERY: Duration = Duration::from_secs(30);
/// A browser's clock is put right so often.
const NOTICE_EVERY: Duration = Duration::from_secs(30);
/// The agent's clock is persisted so often: what a lost sandbox is unbilled by at most.
const TOUCH_EVERY: Duration = Duration::from_secs(5);
/// Who stands still is looked at so often: a learner who typed a voucher's code waits for it. A hundred of them are 50 reads a second.
const FROZEN_EVERY: Duration = Duration::from_secs(2);
/// Plans are read again so often: they change by hand.
const PLANS_EVERY: Duration = Duration::from_secs(30);

/// Extends holds, warns, stops what is idle or late, and freezes what is spent until it is paid for. One per installation, by lease.
pub struct Meter<H: SessionHubs> {
    ports: Ports,
    metrics: Metrics,
    hubs: Arc<H>,
    /// Wakes the reconciler after a stop was asked for.
    intent: Arc<Notify>,
    lease: Leased,
    labs: LabCache,
    plans: Option<(Timestamp, Vec<Plan>)>,
    /// See [`Settings::freeze_grace`].
    grace: Duration,
    watched: HashMap<SessionId, Watched>,
    /// When a meter that does not lead looked last.
    followed_at: Option<Timestamp>,
}

/// What was said and asked of one session. Losing it costs a repeated warning.
#[derive(Default)]
struct Watched {
    /// What the hold can still grow by, and when that was read.
    budget: Option<(Timestamp, TimeLeft)>,
    /// When extending the hold was tried last.
    extended_at: Option<Timestamp>,
    noticed_at: Option<Timestamp>,
    touched: Touched,
    /// The last warning: of which limit, at which minutes.
    warned: Option<(Limit, u32)>,
    /// Whether it was said that most of the time is spent.
    told_spent: bool,
}

#[derive(Default)]
struct Touched {
    at: Option<Timestamp>,
    seen_us: u64,
    active_at: Option<Timestamp>,
}

impl<H: SessionHubs> Meter<H> {
    /// A meter that has seen nothing.
    pub fn new(ports: Ports, settings: Settings, metrics: Metrics, hubs: Arc<H>, intent: Arc<Notify>) -> Self {
        let grace = settings.freeze_grace;
        let lease = Leased::new("meter", settings.holder);
        Self {
            ports,
            metrics,
            hubs,
            intent,
            lease,
            labs: LabCache::default(),
            plans: None,
            grace,
            watched: HashMap::new(),
            followed_at: None,
        }
    }

    /// Ticks until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = ticks.tick() => {}
            }
            if let Err(error) = self.tick().await {
                self.count(&error);
            }
        }
        self.lease.release(&self.ports).await;
        self.metrics.ledger_held_seconds.set(0);
    }

    /// Looks at every usable session once. An error of one session does not keep it from the others.
    ///
    /// # Errors
    /// Only what concerns all of them: the store does not answer.
    pub async fn tick(&mut self) -> Result<(), AppError> {
        let now = self.ports.clock.now();
        let leads = self.lease.held(&self.ports).await;
        if !matches!(leads, Ok(true)) {
            // one replica's number is the installation's: the others show none
            self.metrics.ledger_held_seconds.set(0);
        }
        let leads = leads?;
        if !leads {
            let due = self.followed_at.is_none_or(|at| now >= at.plus(TOUCH_EVERY));
            let nothing_here = self.hubs.here().is_empty() && !self.hubs.keeps_news();
            if !due || nothing_here {
                return Ok(());
            }
            self.followed_at = Some(now);
        }
        let live = SessionFilter {
            live: true,
            limit: LIVE_MAX,
            ..SessionFilter::default()
        };
        let asked_us = self.ports.clock.monotonic_us();
        let sessions = self.ports.store.session_list(&live).await?;
        let live: HashSet<SessionId> = sessions.iter().map(|s| s.id).collect();
        self.watched.retain(|id, _| live.contains(id));
        // a meter tells of sessions that have no hub here: nobody else knows when these are over
        self.hubs.forget_told(&live, asked_us);
        if leads {
            self.gauge().await;
        }
        for session in sessions.into_iter().filter(|s| s.state.is_usable()) {
            let watched = if leads {
                self.watch(session, now).await
            } else {
                self.follow(session, now).await
            };
            if let Err(error) = watched {
                self.count(&error);
            }
        }
        Ok(())
    }

    /// What is held, by the ledger and not by the sessions: a hold that no session has any more is what the number is for.
    async fn gauge(&self) {
        match self.ports.store.ledger_sums().await {
            Ok(sums) => self.metrics.ledger_held_seconds.set(sums.held),
            // no reason to leave the sessions alone: the number stays as it was
            Err(error) => self.count(&error.into()),
        }
    }

    fn count(&self, error: &AppError) {
        self.metrics.errors_total.with_label_values(&[error.code()]).inc();
        tracing::warn!(error = error as &dyn std::error::Error, code = error.code(), "metering");
    }

    /// One session: keep its clock, keep it paid, tell its time, end it when it must.
    async fn watch(&mut self, session: Session, now: Timestamp) -> Result<(), AppError> {
        let id = session.id;
        let Some(lab) = self.labs.get(&self.ports, &session.digest).await? else {
            return Ok(());
        };
        let status = self.hubs.status(id).unwrap_or_default();
        let active_at = status
            .active_at
            .map_or(session.active_at, |at| at.max(session.active_at));
        self.touch(id, status.last_us, status.active_at, now).await?;
        let rules = self.rules(&session, lab.file.time, now).await?;
        if session.state == SessionState::Frozen {
            return self.watch_frozen(session, &rules, now).await;
        }
        let (session, left) = self.keep_paid(session, &rules, now).await?;
        let Some(limits) = Limits::of(&session, &rules, left.available, active_at) else {
            return Ok(());
        };
        let (limit, at) = nearest(&limits);
        if at <= now {
            // who may not stand still has their end here
            let may_freeze = limit == Limit::Budget && !rules.exam && self.may_freeze(&session);
            if may_freeze {
                return self.turn(&session, SessionEvent::Freeze, now).await;
            }
            tracing::info!(session.id = %id, limit = limit.name(), "the session's time is over");
            request_stop(self.ports.store.as_ref(), session, limit.reason(), "meter", now).await?;
            self.intent.notify_one();
            return Ok(());
        }
        self.tell_time(id, &limits, &left, now);
        Ok(())
    }

    /// Whether anything is left of the graces of a session that runs.
    fn may_freeze(&self, session: &Session) -> bool {
        let whole = self.grace.saturating_mul(super::FREEZES_MAX);
        Duration::from_micros(session.frozen_us) < whole
    }

    /// One session that stands still: let it go on when its learner has time again, end it when its grace is over.
    async fn watch_frozen(&mut self, session: Session, rules: &Rules, now: Timestamp) -> Result<(), AppError> {
        let id = session.id;
        let Some(end) = frozen_end(&session, self.grace).filter(|end| now < *end) else {
            tracing::info!(session.id = %id, "the session stood still for as long as it may");
            request_stop(self.ports.store.as_ref(), session, EndReason::BudgetSpent, "meter", now).await?;
            self.intent.notify_one();
            return Ok(());
        };
        let watched = self.watched.entry(id).or_default();
        if watched.budget.is_some_and(|(at, _)| now < at.plus(FROZEN_EVERY)) {
            return Ok(());
        }
        let left = self.ports.store.time_left(id, now).await?;
        watched.budget = Some((now, left));
        if left.available >= rules.minimum_secs {
            let want = session.held_secs + HOLD_CHUNK_SECS;
            let held = self.ports.store.hold_extend(id, want, now).await?;
            if held > session.held_secs {
                self.watched.remove(&id);
                return self.turn(&session, SessionEvent::Thaw, now).await;
            }
        }
        self.hubs
            .tell(id, ToBrowser::Time(frozen_notice(&session, end, &left, now)));
        Ok(())
    }

    /// Freezes or thaws a session; the reconciler tells its agent. Whoever was quicker has changed it, and it is looked at again.
    async fn turn(&mut self, session: &Session, event: SessionEvent, now: Timestamp) -> Result<(), AppError> {
        tracing::info!(session.id = %session.id, ?event, "the session's time ran out, or is back");
        let t = Transition {
            session: session.id,
            expect: session.revision,
            event,
            at: now,
            cause: "meter".into(),
            ready: None,
        };
        match self.ports.store.session_transition(&t).await {
            Err(e) if e.kind() == ErrorKind::Conflict => {}
            other => drop(other?),
        }
        self.intent.notify_one();
        Ok(())
    }

    /// What the lab and the plan say of a session's length.
    async fn rules(&mut self, session: &Session, time: Time, now: Timestamp) -> Result<Rules, AppError> {
        let plans = match self.plans.take().filter(|(at, _)| now < at.plus(PLANS_EVERY)) {
            Some(known) => known,
            None => (now, self.ports.store.plan_list().await?),
        };
        let (_, all) = self.plans.insert(plans);
        Ok(Rules::of_session(session, time, all))
    }

    /// Another replica's meter decides; this one knows what was typed here, and tells those who are here their time.
    async fn follow(&mut self, session: Session, now: Timestamp) -> Result<(), AppError> {
        let id = session.id;
        let Some(status) = self.hubs.status(id) else {
            return Ok(());
        };
        let Some(lab) = self.labs.get(&self.ports, &session.digest).await? else {
            return Ok(());
        };
        self.touch(id, status.last_us, status.active_at, now).await?;
        let active_at = status
            .active_at
            .map_or(session.active_at, |at| at.max(session.active_at));
        let left = self.budget(&session, now).await?;
        if let Some(end) = frozen_end(&session, self.grace) {
            self.hubs
                .tell(id, ToBrowser::Time(frozen_notice(&session, end, &left, now)));
            return Ok(());
        }
        let rules = self.rules(&session, lab.file.time, now).await?;
        if let Some(limits) = Limits::of(&session, &rules, left.available, active_at) {
            self.tell_time(id, &limits, &left, now);
        }
        Ok(())
    }

    /// Persists the agent's clock and the last key, when they moved.
    async fn touch(
        &mut self,
        id: SessionId,
        seen_us: u64,
        active: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), AppError> {
        let touched = &mut self.watched.entry(id).or_default().touched;
        let due = touched.at.is_none_or(|at| now >= at.plus(TOUCH_EVERY));
        if !due || (seen_us == touched.seen_us && active == touched.active_at) {
            return Ok(());
        }
        *touched = Touched {
            at: Some(now),
            seen_us,
            active_at: active,
        };
        Ok(self
            .ports
            .store
            .session_touch(id, active, Some(seen_us).filter(|us| *us > 0))
            .await?)
    }

    /// Extends the hold before it runs out; the session as it is then, and what is left beyond its hold.
    async fn keep_paid(
        &mut self,
        mut session: Session,
        rules: &Rules,
        now: Timestamp,
    ) -> Result<(Session, TimeLeft), AppError> {
        let watched = self.watched.entry(session.id).or_default();
        let known = watched.budget.map(|(_, left)| left).unwrap_or_default();
        let Some(limits) = Limits::of(&session, rules, known.available, session.active_at) else {
            return Ok((session, known));
        };
        let soon = limits.hold_end <= now.plus(EXTEND_BEFORE) && limits.hold_end < limits.deadline;
        // the last try is at the end itself: whoever was granted time a second ago goes on
        let last_try = limits.hold_end <= now;
        let tried_lately = watched.extended_at.is_some_and(|at| now < at.plus(BUDGET_EVERY));
        if soon && (last_try || !tried_lately) {
            watched.extended_at = Some(now);
            // held beyond the deadline, time would only be kept from the learner's other labs
            let to_deadline = limits.deadline.since(limits.ready_at).saturating_sub(limits.stood);
            let to_deadline = i64::try_from(to_deadline.as_secs()).unwrap_or(i64::MAX);
            let want = (session.held_secs + HOLD_CHUNK_SECS).min(to_deadline);
            session.held_secs = self.ports.store.hold_extend(session.id, want, now).await?;
            watched.budget = None;
        }
        let secs = self.budget(&session, now).await?;
        Ok((session, secs))
    }

    /// What the hold can still grow by, read every [`BUDGET_EVERY`].
    async fn budget(&mut self, session: &Session, now: Timestamp) -> Result<TimeLeft, AppError> {
        let known = self.watched.entry(session.id).or_default().budget;
        if let Some((_, left)) = known.filter(|(at, _)| now < at.plus(BUDGET_EVERY)) {
            return Ok(left);
        }
        let left = self.ports.store.time_left(session.id, now).await?;
        self.watched.entry(session.id).or_default().budget = Some((now, left));
        Ok(left)
    }

    /// A notice every [`NOTICE_EVERY`], and at once when a warning is due, or most of the time is spent.
    fn tell_time(&mut self, id: SessionId, limits: &Limits, left: &TimeLeft, now: Timestamp) {
        let watched = self.watched.entry(id).or_default();
        let due = warning(limits, now);
        let warn = due.filter(|w| watched.warned != Some(*w)).map(|(_, minutes)| minutes);
        watched.warned = due;
        let telling = is_telling(spent(limits, left, now));
        let news = warn.is_some() || telling != std::mem::replace(&mut watched.told_spent, telling);
        if !news && watched.noticed_at.is_some_and(|at| now < at.plus(NOTICE_EVERY)) {
            return;
        }
        watched.noticed_at = Some(now);
        self.hubs
            .tell(id, ToBrowser::Time(time_notice(limits, left, now, Said { warn })));
    }
}
