//! What a learner is told of their time. Pure: limits and times in, words out.

use super::limits::{Limit, Limits, nearest};
use lab_core::{
    Timestamp,
    entitlement::{TELL_AT_PERCENT, TimeLeft},
    port::Session,
    terminal::TimeNotice,
};
use std::time::Duration;

/// Minutes before the end of time or budget at which the learner is warned, soonest last.
const WARN_MINUTES: [u32; 3] = [10, 5, 1];
/// Minutes before an idle stop.
const WARN_IDLE_MINUTES: u32 = 2;

/// What is said now that was not said before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Minutes of a warning.
    pub warn: Option<u32>,
}

/// The narrowest warning the session is inside now: of which limit, at which minutes.
pub(super) fn warning(limits: &Limits, now: Timestamp) -> Option<(Limit, u32)> {
    let (limit, at) = nearest(limits);
    let left = at.since(now);
    let inside = |minutes: &u32| left <= Duration::from_mins(u64::from(*minutes));
    let minutes = match limit {
        Limit::Idle => Some(WARN_IDLE_MINUTES).filter(inside),
        Limit::Time | Limit::Budget => WARN_MINUTES.into_iter().rfind(inside),
    };
    minutes.map(|m| (limit, m))
}

/// How much of what the learner was given is spent, in percent.
pub(super) fn spent(limits: &Limits, left: &TimeLeft, now: Timestamp) -> u8 {
    left.spent_percent(i64::try_from(limits.hold_end.since(now).as_secs()).unwrap_or(i64::MAX))
}

/// Whether so much is spent that the learner must know.
pub(super) fn is_telling(spent: u8) -> bool {
    spent >= TELL_AT_PERCENT
}

/// What the learner is told. The idle limit is told only when it is near: it moves with every key.
pub(super) fn time_notice(limits: &Limits, left: &TimeLeft, now: Timestamp, said: Said) -> TimeNotice {
    let idle_near = limits.idle_end.since(now) <= Duration::from_mins(u64::from(WARN_IDLE_MINUTES));
    let (limit, at) = match nearest(limits) {
        (Limit::Idle, _) if !idle_near => nearest(&Limits {
            idle_end: Timestamp(i64::MAX),
            ..*limits
        }),
        other => other,
    };
    TimeNotice {
        left_s: Some(at.since(now).as_secs()),
        limit: Some(limit.name().to_owned()),
        warn: said.warn,
        used_s: now.since(limits.ready_at).saturating_sub(limits.stood).as_secs(),
        budget_s: u64::try_from(left.available).unwrap_or(0),
        spent_percent: spent(limits, left, now),
        extendable: limits.extendable(),
    }
}

/// What the learner of a session is told that stands still until `end`.
pub(super) fn frozen_notice(session: &Session, end: Timestamp, left: &TimeLeft, now: Timestamp) -> TimeNotice {
    let ready_at = session.ready_at.unwrap_or(now);
    let stood = Duration::from_micros(session.frozen_until(now));
    TimeNotice {
        left_s: Some(end.since(now).as_secs()),
        limit: Some("frozen".into()),
        warn: None,
        used_s: now.since(ready_at).saturating_sub(stood).as_secs(),
        budget_s: u64::try_from(left.available).unwrap_or(0),
        spent_percent: left.spent_percent(0),
        extendable: false,
    }
}
