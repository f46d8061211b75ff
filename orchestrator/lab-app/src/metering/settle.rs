//! What a session is billed: the time between two readings of one clock, the agent's, so that skew cancels.

use lab_core::{
    Timestamp,
    entitlement::TEST_RUN_UNBILLED,
    metering::seconds_used,
    port::{Session, Settlement},
    provisioning::EndReason,
};

/// The agent's clock and ours may drift, and the stop takes a moment: an agent may count this much more than we saw.
const DRIFT_SECS: i64 = 5;

/// The settlement of a session that was usable; `None` for one that never was, whose hold is voided by its last transition.
/// `stop_us`: the end by the agent's clock, or the latest time known of it when it vanished.
pub(crate) fn settlement(session: &Session, reason: EndReason, stop_us: u64, at: Timestamp) -> Option<Settlement> {
    let (ready_us, ready_at) = (session.ready_us?, session.ready_at?);
    // the learner may be root beside the agent, and what it says is input: it cannot have run longer than we saw it run
    let seen_secs = i64::try_from(at.since(ready_at).as_secs())
        .unwrap_or(i64::MAX)
        .saturating_add(DRIFT_SECS);
    let sandbox_secs = seconds_used(ready_us, stop_us).min(seen_secs);
    // rounded up: the moment that its processes take to stop is not the learner's
    let frozen_secs = i64::try_from(session.frozen_until(at).div_ceil(1_000_000)).unwrap_or(i64::MAX);
    let ran_secs = sandbox_secs.saturating_sub(frozen_secs).max(0);
    let frozen = (ran_secs < sandbox_secs).then_some("frozen");
    let (billable_secs, unbilled_reason) = match reason {
        _ if session.is_test_run() => (0, Some(TEST_RUN_UNBILLED.to_owned())),
        // only the platform loses a sandbox so; the other losses go on, and the store knows which of a learner's is unbilled
        EndReason::SandboxLost => (0, Some(reason.code().to_owned())),
        // the orderly stop takes a second or two past the end of the hold
        _ if ran_secs > session.held_secs => {
            let reasons: Vec<_> = frozen.into_iter().chain(["past-hold"]).collect();
            (session.held_secs, Some(reasons.join("+")))
        }
        _ => (ran_secs, frozen.map(str::to_owned)),
    };
    Some(Settlement {
        session: session.id,
        sandbox_secs,
        billable_secs,
        unbilled_reason: unbilled_reason.filter(|_| billable_secs < sandbox_secs),
        loss: Some(reason).filter(|r| r.may_be_the_learners()),
        at,
    })
}
