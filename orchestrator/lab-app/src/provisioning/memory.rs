//! What the reconciler remembers of a session between activations. All of it can be lost without harm.

use super::queue::Turn;
use crate::terminal::HubStatus;
use lab_core::{
    Timestamp,
    port::{Session, WaitReason},
    provisioning::SessionState,
    terminal::{SessionNotice, StepNotice},
};
use std::time::Duration;

/// The first pause after a failed operation; doubled each time …
const RETRY_FIRST: Duration = Duration::from_millis(200);
/// … up to this: an engine that comes back is used again within half a minute.
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Lines of the progress list: ours are 7, the lab's own at most 20.
const STEPS_MAX: usize = 32;
/// A place in the queue, and its estimate, are told at once while they are near, and this often while they are not: each who is
/// served moves everybody, and 2 500 who wait would be told 2 500 times 2 500 places.
const PLACE_EVERY: Duration = Duration::from_secs(5);
/// See [`PLACE_EVERY`].
const PLACE_NEAR: u32 = 20;

/// See the module's doc. Times are of the monotonic clock, microseconds.
#[derive(Default)]
pub(super) struct Memory {
    /// An operation of this session is under way.
    pub busy: bool,
    /// First seen waiting for its turn, by this process.
    pub waits_us: Option<u64>,
    /// First seen wanting a sandbox.
    pub wanted_us: Option<u64>,
    /// Since when the sandbox must exist: made by us then, or found in use.
    pub since_us: Option<u64>,
    /// Its warm sandbox was found gone then; it gets one of its own.
    pub remade_us: Option<u64>,
    /// Last seen not running yet, after it was made: the lab's own time to become ready starts then.
    pub starting_us: Option<u64>,
    /// Since when its image cannot be fetched, or the runtime refuses it.
    pub blocked_us: Option<u64>,
    /// What its sandbox waits for, as last listed.
    pub waiting: Option<WaitReason>,
    /// The agent has not been reachable since, while the runtime said that the sandbox is here.
    pub away_us: Option<u64>,
    /// The lab was asked to end, and did or had its time.
    pub lab_stopped: bool,
    /// The sandbox vanished: there is no lab to ask.
    pub lost: bool,
    /// The runtime will not make the sandbox, for this reason; `last_failure` has its words.
    pub refused: Option<lab_core::provisioning::FailReason>,
    /// Error of the last operation that failed, in words.
    pub last_failure: Option<String>,
    failures: u32,
    retry_us: u64,
    steps: Vec<StepNotice>,
    told: Option<SessionNotice>,
    told_at: Timestamp,
}

impl Memory {
    /// Whether a new operation may start.
    pub fn may_act(&self, now_us: u64) -> bool {
        !self.busy && now_us >= self.retry_us
    }

    /// When the next try is due, if one waits.
    pub fn retry_us(&self) -> Option<u64> {
        (!self.busy && self.failures > 0).then_some(self.retry_us)
    }

    /// An operation failed: pause, each time longer.
    pub fn failed(&mut self, now_us: u64, why: String) {
        let pause = RETRY_FIRST.saturating_mul(1 << self.failures.min(10)).min(RETRY_MAX);
        self.failures += 1;
        self.retry_us = now_us.saturating_add(pause.as_micros() as u64);
        self.last_failure = Some(why);
    }

    /// An operation succeeded.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.retry_us = 0;
        self.last_failure = None;
    }

    /// Adds a step to the progress list, once.
    pub fn step(&mut self, step: &str, requested_at: Timestamp, now: Timestamp) {
        if self.steps.len() < STEPS_MAX && !self.steps.iter().any(|s| s.step == step) {
            let at_ms = u64::try_from(now.since(requested_at).as_millis()).unwrap_or(u64::MAX);
            self.steps.push(StepNotice {
                step: step.to_owned(),
                at_ms,
            });
        }
    }

    /// The steps an agent's words add.
    pub fn steps_of(&mut self, status: &HubStatus, requested_at: Timestamp, now: Timestamp) {
        if status.met {
            self.step("agent", requested_at, now);
            self.step("lab", requested_at, now);
        }
        for step in &status.steps {
            self.step(step, requested_at, now);
        }
    }

    /// The notice to send, if it differs from the last one sent.
    pub fn notice(
        &mut self,
        session: &Session,
        turn: Option<Turn>,
        away: bool,
        now: Timestamp,
    ) -> Option<SessionNotice> {
        let (queue, wait) = match turn {
            Some(Turn::Later { place, by }) => (Some(place), by.map(|at| at.since(now).as_secs().div_ceil(60))),
            _ => (None, None),
        };
        let detail = match &session.state {
            SessionState::Failed { detail, .. } => Some(detail.clone()),
            // a number and a unit read the same in every language of the pages
            _ => wait.map(|minutes| format!("≤ {minutes} min")),
        };
        let notice = SessionNotice {
            session: session.id,
            state: session.state.name().to_owned(),
            reason: session.state.reason().map(str::to_owned),
            detail,
            steps: self.steps.clone(),
            queue,
            waiting: self
                .waiting
                .filter(|_| session.state == SessionState::Provisioning)
                .map(|w| w.code().to_owned()),
            away,
        };
        if self
            .told
            .as_ref()
            .is_some_and(|told| !is_news(told, &notice, now.since(self.told_at)))
        {
            return None;
        }
        (self.told, self.told_at) = (Some(notice.clone()), now);
        Some(notice)
    }
}

/// Whether a notice says anything that its browsers must know now, so long after the last one.
fn is_news(told: &SessionNotice, notice: &SessionNotice, since: Duration) -> bool {
    let far = |n: &SessionNotice| n.queue.is_some_and(|place| place > PLACE_NEAR);
    if far(told) && far(notice) && since < PLACE_EVERY {
        return false;
    }
    told != notice
}
