//! What one session needs now: one decision per activation, by its state.

use super::{SessionHubs, command::request_stop, facts::Fact, operation, queue::Turn, reconciler::Reconciler};
use crate::{
    AppError,
    metering::{FREEZES_MAX, MAX_TIMES, Rules},
    terminal::HubStatus,
};
use lab_core::{
    SandboxId, SessionId,
    lab::LabVersion,
    port::{RuntimeError, SandboxSpec, Session, Transition, WaitReason, Waiting},
    provisioning::{EndReason, FailReason, SessionEvent, SessionState},
    recording::{RecordingPolicy, TOO_LARGE},
    terminal::ToBrowser,
};
use std::{sync::Arc, time::Duration};

/// Sandboxes made at once. Starting one takes about a second of two CPUs here: four keep them busy, and a class of thirty is
/// up in eight seconds with the first in two and a half.
const MAKING_MAX: usize = 4;
/// Sessions taken down at once: they mostly wait, for programs that hang up.
const STOPPING_MAX: usize = 16;
/// A learner is told that the engine does not answer after so long, and can try again.
const GIVE_UP_AFTER: Duration = Duration::from_mins(2);
/// The agent itself gives up at the lab's `ready_within`, and says why; we only when it did not, so much later.
pub(super) const READY_GRACE: Duration = Duration::from_secs(30);
/// An image that could not be fetched is tried again by the runtime after 10 s and 20 s: a registry that blinked is back by
/// then, a name that is wrong never will be. The same goes for a machine that refuses a sandbox.
const BLOCKED_MAX: Duration = Duration::from_secs(45);
/// A node autoscaler adds a machine in two to five minutes, and a full class ends within the hour.
const NO_ROOM_MAX: Duration = Duration::from_hours(1);
/// A sandbox that waits for nothing that is known, and does not start: the image of a VM lab (2 GiB) at 30 Mbit/s.
const STARTING_MAX: Duration = Duration::from_mins(10);
/// Who waits in the queue and has no page open for so long has given up: a lab that starts for nobody would only use their
/// time and somebody else's place. Ten minutes are a coffee, a flat battery, a train's tunnel.
pub(super) const QUEUE_AWAY_MAX: Duration = Duration::from_mins(10);
/// A page that is open while its session waits is noted so often: one write in two minutes for each who waits.
pub(super) const QUEUE_SEEN_EVERY: Duration = Duration::from_mins(2);
/// An agent that cannot be reached for so long, while its sandbox runs, is lost.
pub const AGENT_AWAY_MAX: Duration = Duration::from_mins(1);
/// The sandbox kills itself so long after everything else should have ended it.
const DEADLINE_GRACE_SECS: u64 = 15 * 60;

/// A session, and its turn if it waits.
pub(super) struct Step {
    pub session: Session,
    pub turn: Option<Turn>,
}

impl<H: SessionHubs> Reconciler<H> {
    pub(super) async fn step(&mut self, Step { session, turn }: Step) -> Result<(), AppError> {
        match &session.state {
            SessionState::Requested | SessionState::Queued => self.step_waiting(session, turn).await,
            SessionState::Provisioning => self.step_provisioning(session).await,
            SessionState::Ready | SessionState::Frozen => self.step_usable(session).await,
            SessionState::Stopping { reason } => {
                let reason = *reason;
                self.step_stopping(session, reason);
                Ok(())
            }
            SessionState::Ended { .. } | SessionState::Failed { .. } => Ok(()),
        }
    }

    async fn step_waiting(&mut self, session: Session, turn: Option<Turn>) -> Result<(), AppError> {
        let now = self.ports.clock.now();
        let now_us = self.ports.clock.monotonic_us();
        let memory = self.memory.entry(session.id).or_default();
        // nobody's page was seen while this process was not there to see it
        let waits_us = *memory.waits_us.get_or_insert(now_us);
        if passed(waits_us, now_us, QUEUE_AWAY_MAX) && now.since(session.active_at) >= QUEUE_AWAY_MAX {
            return self.end(session, EndReason::LeftQueue, true).await;
        }
        memory.step("requested", session.requested_at, session.requested_at);
        // admission held the time in the transaction that made the session
        memory.step("hold", session.requested_at, now);
        match turn {
            Some(Turn::Now) => {
                let session = self.transition(&session, SessionEvent::Provision, None).await?;
                let waited = now.since(session.requested_at);
                self.metrics.queue_wait_seconds.observe(waited.as_secs_f64());
                self.step_provisioning(session).await
            }
            _ if session.state == SessionState::Requested => {
                let session = self.transition(&session, SessionEvent::Queue, None).await?;
                self.tell(&session, turn, false);
                Ok(())
            }
            _ => {
                self.tell(&session, turn, false);
                Ok(())
            }
        }
    }

    async fn step_provisioning(&mut self, session: Session) -> Result<(), AppError> {
        let Some(lab) = self.labs.get(&self.ports, &session.digest).await? else {
            let detail = format!("version {} of lab {} is not here any more", session.digest, session.lab);
            return self.fail(&session, FailReason::LabMissing, detail).await;
        };
        let now_us = self.ports.clock.monotonic_us();
        let memory = self.memory.entry(session.id).or_default();
        let wanted_us = *memory.wanted_us.get_or_insert(now_us);
        let Some(since_us) = memory.since_us else {
            if session.warm && memory.remade_us.is_none() {
                // it was made and ready before the click: follow its agent at once
                memory.since_us = Some(now_us);
                self.hubs.ensure(session.id);
                self.tell(&session, None, self.facts.outage);
                return Ok(());
            }
            let gave_up = passed(wanted_us, now_us, GIVE_UP_AFTER).then_some(FailReason::RuntimeUnavailable);
            if let (Some(reason), Some(why)) = (memory.refused.or(gave_up), memory.last_failure.clone()) {
                return self.fail(&session, reason, why).await;
            }
            self.make(&session, &lab, now_us);
            return Ok(());
        };
        let status = self.hubs.status(session.id).unwrap_or_default();
        if let Some(ready_us) = first_usable_us(&session, &status) {
            return self.ready(session, &lab, &status, ready_us).await;
        }
        if let Some((reason, detail)) = lab_failure(&status) {
            return self.fail(&session, reason, detail).await;
        }
        match self.facts.of(session.sandbox, since_us) {
            Fact::Lost { detail, .. } if self.may_remake(&session) => {
                // lost between the pool's last look and the click, before anybody typed: a cold one under the same ids
                tracing::warn!(session.id = %session.id, detail, "the warm sandbox is gone; making another");
                self.remake(&session);
                return Ok(());
            }
            Fact::Lost { detail, .. } => {
                let detail = format!("the lab's sandbox went while it came up: {detail}");
                return self.fail(&session, FailReason::SandboxLost, detail).await;
            }
            Fact::Starting { asked_us, waiting } => {
                self.memory.entry(session.id).or_default().starting_us = Some(asked_us);
                if let Some((reason, detail)) = self.waited_too_long(&session, &lab, waiting, since_us) {
                    return self.fail(&session, reason, detail).await;
                }
                self.progress(&session, &status);
                self.tell(&session, None, self.facts.outage);
                return Ok(());
            }
            Fact::Here => self.memory.entry(session.id).or_default().waiting = None,
            Fact::Unknown => {}
        }
        let memory = self.memory.entry(session.id).or_default();
        let runs_since_us = memory.starting_us.unwrap_or(since_us);
        let within = Duration::from_secs(lab.file.ready_within.secs) + READY_GRACE;
        if passed(runs_since_us, now_us, within) {
            let what = if status.met {
                "the lab did not become ready"
            } else {
                "the lab's agent did not answer"
            };
            return self
                .fail(
                    &session,
                    FailReason::ReadyTimeout,
                    format!("{what} within {} s", within.as_secs()),
                )
                .await;
        }
        self.progress(&session, &status);
        self.tell(&session, None, self.facts.outage);
        Ok(())
    }

    /// Notes what a sandbox that does not run yet waits for; says so when it will not be waited for any longer.
    fn waited_too_long(
        &mut self,
        session: &Session,
        lab: &LabVersion,
        waiting: Option<Waiting>,
        since_us: u64,
    ) -> Option<(FailReason, String)> {
        let now_us = self.ports.clock.monotonic_us();
        let memory = self.memory.entry(session.id).or_default();
        let reason = waiting.as_ref().map(|w| w.reason);
        if let Some(w) = waiting.filter(|w| memory.waiting != Some(w.reason)) {
            tracing::info!(session.id = %session.id, reason = w.reason.code(), detail = w.detail, "the sandbox waits");
        }
        memory.waiting = reason;
        let (from_us, most, fails) = match reason {
            Some(WaitReason::Image | WaitReason::Refused) => {
                let from_us = *memory.blocked_us.get_or_insert(now_us);
                let fails = match reason {
                    Some(WaitReason::Image) => FailReason::ImageMissing,
                    _ => FailReason::SandboxRefused,
                };
                (from_us, BLOCKED_MAX, fails)
            }
            Some(WaitReason::Capacity | WaitReason::Quota) => (since_us, NO_ROOM_MAX, FailReason::NoCapacity),
            None => (since_us, STARTING_MAX, FailReason::ReadyTimeout),
        };
        if !matches!(reason, Some(WaitReason::Image | WaitReason::Refused)) {
            memory.blocked_us = None;
        }
        passed(from_us, now_us, most).then(|| {
            // the runtime's own words are in the log: they may name machines
            let detail = match reason {
                Some(WaitReason::Image) => format!("image {} cannot be fetched", lab.file.image),
                Some(WaitReason::Refused) => "the runtime does not take the lab's sandbox; its log says why".to_owned(),
                Some(other) => format!("no room for the lab in {} s ({})", most.as_secs(), other.code()),
                None => format!("the lab's sandbox did not start within {} s", most.as_secs()),
            };
            (fails, detail)
        })
    }

    /// Starts making the sandbox, unless that is under way, pauses after a failure, or as many as allowed are being made.
    fn make(&mut self, session: &Session, lab: &LabVersion, now_us: u64) {
        let now = self.ports.clock.now();
        let room = self.making.len() < MAKING_MAX;
        let memory = self.memory.entry(session.id).or_default();
        if room && memory.may_act(now_us) {
            memory.busy = true;
            memory.step("image", session.requested_at, now);
            self.making.insert(session.id);
            let spec = sandbox_spec(session.sandbox, session.id, lab, self.settings.freeze_grace);
            self.start(operation::ensure(self.ports.clone(), Arc::clone(&self.hubs), spec));
        }
        self.tell(session, None, self.facts.outage);
    }

    /// Once: a second loss has another cause than the wait in the pool.
    fn may_remake(&self, session: &Session) -> bool {
        session.warm && self.memory.get(&session.id).is_none_or(|m| m.remade_us.is_none())
    }

    /// Starts over with a sandbox of its own, for a session whose warm one is gone.
    fn remake(&mut self, session: &Session) {
        let now_us = self.ports.clock.monotonic_us();
        let memory = self.memory.entry(session.id).or_default();
        if memory.busy {
            return;
        }
        (memory.remade_us, memory.since_us, memory.busy) = (Some(now_us), None, true);
        self.start(operation::clear(self.ports.clone(), session.id, session.sandbox));
    }

    /// What became of a try to make a sandbox: some refusals are final, an engine that is away is not.
    pub(super) fn ensure_failed(&mut self, session: SessionId, error: RuntimeError, now_us: u64) {
        let memory = self.memory.entry(session).or_default();
        memory.failed(now_us, error.to_string());
        memory.refused = match &error {
            RuntimeError::ImageMissing { .. } => Some(FailReason::ImageMissing),
            RuntimeError::Refused { .. } => Some(FailReason::SandboxRefused),
            _ => None,
        };
        self.count(&error.into());
    }

    async fn ready(
        &mut self,
        session: Session,
        lab: &LabVersion,
        status: &HubStatus,
        ready_us: u64,
    ) -> Result<(), AppError> {
        let now = self.ports.clock.now();
        let plans = self.ports.store.plan_list().await?;
        let rules = Rules::of_session(&session, lab.file.time, &plans);
        let deadline = now.plus(rules.run());
        let session = self
            .transition(&session, SessionEvent::Ready, Some((ready_us, deadline)))
            .await?;
        let took = now.since(session.requested_at);
        self.metrics.click_to_prompt_seconds.observe(took.as_secs_f64());
        tracing::info!(session.id = %session.id, lab.id = %session.lab, ms = took.as_millis() as u64, "ready");
        self.progress(&session, status);
        self.memory
            .entry(session.id)
            .or_default()
            .step("ready", session.requested_at, now);
        self.tell(&session, None, false);
        Ok(())
    }

    /// The steps of a sandbox that is started, as far as its agent has told them.
    fn progress(&mut self, session: &Session, status: &HubStatus) {
        let now = self.ports.clock.now();
        let memory = self.memory.entry(session.id).or_default();
        memory.step("sandbox", session.requested_at, now);
        memory.steps_of(status, session.requested_at, now);
    }

    async fn step_usable(&mut self, session: Session) -> Result<(), AppError> {
        let now_us = self.ports.clock.monotonic_us();
        let memory = self.memory.entry(session.id).or_default();
        // after a restart: it was in use before we looked
        let since_us = *memory.since_us.get_or_insert(now_us);
        let Some(status) = self.hubs.status(session.id) else {
            self.hubs.ensure(session.id);
            self.tell(&session, None, true);
            return Ok(());
        };
        if status.exited.is_some() || status.failed.is_some() {
            let still = status
                .failed
                .as_ref()
                .is_none_or(|(code, _)| code != EndReason::NotStill.code());
            let reason = if still {
                EndReason::LabExited
            } else {
                EndReason::NotStill
            };
            return self.end(session, reason, false).await;
        }
        if let Fact::Lost { cause, detail } = self.facts.of(session.sandbox, since_us) {
            tracing::warn!(session.id = %session.id, detail, "the sandbox is gone");
            return self.end(session, cause.reason(), true).await;
        }
        if self.away_too_long(&session, &status, since_us, now_us) {
            let node_away = self.facts.node_away(session.sandbox);
            tracing::warn!(session.id = %session.id, node_away, "the agent does not answer in a running sandbox");
            // whoever is inside may keep an agent from answering, and nobody there has a hand in what becomes of a machine
            let reason = if node_away {
                EndReason::SandboxLost
            } else {
                EndReason::AgentLost
            };
            return self.end(session, reason, true).await;
        }
        if let Some(code) = status.recording_error
            && let Some(lab) = self.labs.get(&self.ports, &session.digest).await?
            && lab.file.recording.policy == RecordingPolicy::Required
        {
            tracing::warn!(session.id = %session.id, code, "the recording is required and cannot be kept");
            let reason = match code {
                TOO_LARGE => EndReason::RecordingTooLarge,
                _ => EndReason::RecordingFailed,
            };
            return self.end(session, reason, false).await;
        }
        // a new connection is told once: whoever led before may have died between the row and the word
        let frozen = session.state == SessionState::Frozen;
        if status.connected && status.frozen != Some(frozen) {
            self.hubs.freeze(session.id, frozen);
        }
        self.tell(&session, None, !status.connected || self.facts.outage);
        Ok(())
    }

    /// Time away counts only while the runtime says that the sandbox is here: during an outage nothing is known.
    fn away_too_long(&mut self, session: &Session, status: &HubStatus, since_us: u64, now_us: u64) -> bool {
        let fact = self.facts.of(session.sandbox, since_us);
        let here = !self.facts.outage && matches!(fact, Fact::Here | Fact::Starting { .. });
        let memory = self.memory.entry(session.id).or_default();
        if status.connected || !here {
            memory.away_us = None;
            return false;
        }
        passed(*memory.away_us.get_or_insert(now_us), now_us, AGENT_AWAY_MAX)
    }

    fn step_stopping(&mut self, session: Session, reason: EndReason) {
        let now_us = self.ports.clock.monotonic_us();
        self.tell(&session, None, self.facts.outage);
        let room = self.stopping.len() < STOPPING_MAX;
        let memory = self.memory.entry(session.id).or_default();
        if !room || !memory.may_act(now_us) {
            return;
        }
        memory.busy = true;
        let ask_lab = !memory.lab_stopped && !memory.lost && !reason.is_loss();
        self.stopping.insert(session.id);
        self.start(operation::stop(
            self.ports.clone(),
            Arc::clone(&self.hubs),
            session,
            reason,
            ask_lab,
        ));
    }

    /// Ends a usable session by way of `Stopping`, where it is settled.
    async fn end(&mut self, session: Session, reason: EndReason, lost: bool) -> Result<(), AppError> {
        let at = self.ports.clock.now();
        let session = request_stop(self.ports.store.as_ref(), session, reason, "reconciler", at).await?;
        self.memory.entry(session.id).or_default().lost = lost;
        if let SessionState::Stopping { reason } = session.state {
            self.step_stopping(session, reason);
        }
        Ok(())
    }

    /// Ends a session that never became usable; its hold is voided by the same transaction.
    async fn fail(&mut self, session: &Session, reason: FailReason, detail: String) -> Result<(), AppError> {
        tracing::warn!(session.id = %session.id, lab.id = %session.lab, reason = reason.code(), detail, "session failed");
        self.metrics.errors_total.with_label_values(&[reason.code()]).inc();
        let session = self
            .transition(session, SessionEvent::Fail(reason, detail), None)
            .await?;
        self.tell(&session, None, false);
        self.memory.entry(session.id).or_default().busy = true;
        let (hubs, id, sandbox) = (Arc::clone(&self.hubs), session.id, session.sandbox);
        self.start(operation::discard(self.ports.clone(), hubs, id, sandbox));
        Ok(())
    }

    /// One transition, in our name, at the revision that was read.
    async fn transition(
        &mut self,
        session: &Session,
        event: SessionEvent,
        ready: Option<(u64, lab_core::Timestamp)>,
    ) -> Result<Session, AppError> {
        let (id, expect, at) = (session.id, session.revision, self.ports.clock.now());
        let t = Transition {
            session: id,
            expect,
            event,
            at,
            cause: "reconciler".into(),
            ready,
        };
        Ok(self.ports.store.session_transition(&t).await?)
    }

    /// Tells the session's browsers where it stands, if that changed.
    pub(super) fn tell(&mut self, session: &Session, turn: Option<Turn>, away: bool) {
        let now = self.ports.clock.now();
        if let Some(notice) = self
            .memory
            .entry(session.id)
            .or_default()
            .notice(session, turn, away, now)
        {
            self.hubs.tell(session.id, ToBrowser::Session(notice));
        }
    }
}

fn passed(since_us: u64, now_us: u64, most: Duration) -> bool {
    now_us.saturating_sub(since_us) >= most.as_micros() as u64
}

/// Why a lab that came up will not become ready, in the agent's words.
fn lab_failure(status: &HubStatus) -> Option<(FailReason, String)> {
    if let Some((code, detail)) = &status.failed {
        let reason = FailReason::from_code(code).unwrap_or(FailReason::LabFailed);
        return Some((reason, detail.clone()));
    }
    status.exited.map(|status| {
        (
            FailReason::LabFailed,
            format!("the lab's start command ended with status {status}"),
        )
    })
}

/// The first moment at which the session's learner could use the first prompt, by the agent's clock. A warm sandbox showed it
/// before there was a learner: their time begins when this session first met the agent.
fn first_usable_us(session: &Session, status: &HubStatus) -> Option<u64> {
    let ready_us = status.ready_us?;
    if session.warm {
        status.met_us.map(|met_us| ready_us.max(met_us))
    } else {
        Some(ready_us)
    }
}

/// What the runtime is asked for.
pub(super) fn sandbox_spec(id: SandboxId, session: SessionId, lab: &LabVersion, grace: Duration) -> SandboxSpec {
    let file = &lab.file;
    // extensions reach twice the lab's maximum, and it may stand still besides; the sandbox's own deadline cannot be moved later
    let most = file.time.max.secs.saturating_mul(u64::from(MAX_TIMES)) + grace.saturating_mul(FREEZES_MAX).as_secs();
    SandboxSpec {
        id,
        session,
        lab: file.id.clone(),
        digest: lab.digest.clone(),
        image: file.image.clone(),
        size: file.size,
        user: file.user,
        namespaces: file.namespaces,
        runtime: file.runtime,
        network: file.network.policy,
        deadline_secs: most + file.ready_within.secs + DEADLINE_GRACE_SECS,
        agent: lab.agent_spec(session),
    }
}
