//! Checks: one run at a time, one check after the other, outcomes in the journal before the answer.

use super::process;
use crate::{
    agent::Agent,
    wire::{ConnectionId, Refusal, stands_still},
};
use lab_core::{
    CheckId,
    agent::{CheckSpec, FromAgent},
    journal::CheckOutcome,
};
use std::{cell::RefCell, collections::VecDeque, rc::Rc, time::Duration};
use tokio::sync::Notify;

/// Runs that wait behind the one under way: a learner and a few teachers pressing the button twice.
const RUNS_WAITING_MAX: usize = 8;

/// Tries of one check that a standing still came between. A session has some four graces in all to stand still in, so that an honest one
/// needs no more; what the last try says counts.
const TRIES_MAX: usize = 5;

struct Run {
    connection: ConnectionId,
    request: u32,
    checks: Vec<CheckSpec>,
}

/// Runs asked for.
#[derive(Default)]
pub struct CheckQueue {
    waiting: RefCell<VecDeque<Run>>,
    wake: Notify,
}

impl CheckQueue {
    /// The lab goes on.
    pub fn thawed(&self) {
        self.wake.notify_one();
    }
}

/// Takes a request; all checks when none is named.
pub fn ask(agent: &Agent, connection: ConnectionId, request: u32, ids: &[CheckId]) -> Result<(), Refusal> {
    if agent.ready_us.get().is_none() {
        return Err(Refusal::new("not-ready", "checks run once the lab is ready".into()));
    }
    stands_still(agent)?;
    let known = |id: &CheckId| agent.spec.checks.iter().find(|c| c.id == *id).cloned();
    let checks: Vec<CheckSpec> = if ids.is_empty() {
        agent.spec.checks.clone()
    } else {
        ids.iter()
            .map(|id| {
                known(id).ok_or_else(|| Refusal::new("malformed", format!("there is no check {:.64}", id.as_str())))
            })
            .collect::<Result<_, _>>()?
    };
    let mut waiting = agent.checks.waiting.borrow_mut();
    if waiting.len() >= RUNS_WAITING_MAX || checks.len() > agent.spec.checks.len() {
        return Err(Refusal::new(
            "busy",
            format!("{RUNS_WAITING_MAX} check runs wait already"),
        ));
    }
    waiting.push_back(Run {
        connection,
        request,
        checks,
    });
    agent.checks.wake.notify_one();
    Ok(())
}

/// Runs what is asked for, for ever.
pub async fn run(agent: Rc<Agent>) {
    loop {
        let next = agent.checks.waiting.borrow_mut().pop_front();
        let Some(run) = next else {
            agent.checks.wake.notified().await;
            continue;
        };
        for check in run.checks {
            let outcome = try_undisturbed(&agent, &check).await;
            agent.outcome(outcome);
        }
        agent.connections.done(
            run.connection,
            &FromAgent::Done { request: run.request },
            agent.journal.borrow().end(),
        );
    }
}

/// A check that was stopped ran out of its time, or of patience of its own, by nothing that its learner did: it is tried again.
async fn try_undisturbed(agent: &Agent, check: &CheckSpec) -> CheckOutcome {
    let mut tries = 1;
    loop {
        // what waits behind a lab that stands still goes on with it
        while agent.frozen.get() {
            agent.checks.wake.notified().await;
        }
        let before = agent.freezes.get();
        let outcome = try_one(agent, check).await;
        if outcome.passed || agent.freezes.get() == before || tries >= TRIES_MAX {
            return outcome;
        }
        tries += 1;
    }
}

async fn try_one(agent: &Agent, check: &CheckSpec) -> CheckOutcome {
    let ended = process::run(agent, &check.command, Duration::from_millis(check.within_ms)).await;
    let passed = ended.status == 0 && !ended.timed_out;
    let detail = if ended.timed_out {
        let text = format!("no result within {} ms\n{}", check.within_ms, ended.tail);
        text[..text.floor_char_boundary(lab_core::limits::CHECK_DETAIL_BYTES_MAX)].to_owned()
    } else {
        ended.tail
    };
    CheckOutcome {
        check: check.id.clone(),
        passed,
        points: if passed { check.points } else { 0 },
        detail,
    }
}
