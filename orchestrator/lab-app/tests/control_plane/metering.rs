//! The meter: holds, warnings, and the ends it brings about.

use super::kit::Desk;
use lab_core::{
    port::{Clock, Store, Transition},
    provisioning::{EndReason, SessionEvent},
};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// A learner who types all the time.
async fn typing(desk: &mut Desk, id: lab_core::SessionId, time: Duration) {
    let end = desk.clock.now().plus(time);
    while desk.clock.now() < end {
        let now = desk.clock.now();
        desk.hubs.says(id, |s| s.active_at = Some(now));
        desk.meter_for(MINUTE).await;
    }
}

#[tokio::test]
async fn a_session_without_a_key_is_warned_and_stopped_as_idle() {
    let mut desk = Desk::new(4).await;
    let id = desk.ready("ada", 36_000).await;
    desk.meter_for(14 * MINUTE).await;
    assert_eq!(desk.state(id).await, "ready");
    assert_eq!(desk.hubs.warnings(id), [("idle".into(), 2)]);
    desk.meter_for(2 * MINUTE).await;
    assert_eq!(desk.state(id).await, "stopping:idle-timeout");
}

#[tokio::test]
async fn the_hold_grows_while_it_runs_and_the_labs_maximum_ends_it_after_three_warnings() {
    let mut desk = Desk::new(4).await;
    let id = desk.ready("ada", 36_000).await;
    assert_eq!(desk.session(id).await.held_secs, 900);
    typing(&mut desk, id, 30 * MINUTE).await;
    assert!(desk.session(id).await.held_secs >= 1800);
    typing(&mut desk, id, 31 * MINUTE).await;
    assert_eq!(desk.state(id).await, "stopping:time-limit");
    let said = desk.hubs.warnings(id);
    assert_eq!(said, [("time".into(), 10), ("time".into(), 5), ("time".into(), 1)]);
    assert!(
        desk.session(id).await.held_secs <= 3600,
        "nothing is held beyond the deadline"
    );
}

#[tokio::test]
async fn a_hold_that_no_live_session_has_is_in_the_number_of_what_is_held() {
    let mut desk = Desk::new(4).await;
    let id = desk.ready("ada", 3600).await;
    desk.meter.tick().await.unwrap();
    assert_eq!(desk.metrics.ledger_held_seconds.get(), 900);
    // over without having been settled, which no code of ours does
    let gone = Transition {
        session: id,
        expect: desk.session(id).await.revision,
        event: SessionEvent::Gone(EndReason::LearnerStopped),
        at: desk.clock.now(),
        cause: "by hand".into(),
        ready: None,
    };
    desk.store.session_transition(&gone).await.unwrap();
    assert_eq!(desk.state(id).await, "ended:learner-stopped");
    desk.meter.tick().await.unwrap();
    assert_eq!(desk.metrics.ledger_held_seconds.get(), 900, "an alert asks for it");
}

/// The meter looks every second until the session's state is another one.
async fn until_not(desk: &mut Desk, id: lab_core::SessionId, state: &str) {
    while desk.state(id).await == state {
        desk.pass(Duration::from_secs(1));
        desk.meter.tick().await.unwrap();
    }
}

#[tokio::test]
async fn who_runs_out_is_warned_stands_still_to_the_second_and_goes_on_when_time_is_added() {
    let mut desk = Desk::new(4).await;
    let id = desk.ready("denis", 120).await;
    let before = desk.session(id).await;
    until_not(&mut desk, id, "ready").await;
    assert_eq!(desk.state(id).await, "frozen");
    let ran = desk.clock.now().since(before.ready_at.unwrap()).as_secs();
    assert_eq!(ran, 120, "to the second");
    assert_eq!(desk.hubs.warnings(id), [("budget".into(), 5), ("budget".into(), 1)]);
    desk.settle().await;
    assert_eq!(desk.hubs.frozen(id), Some(true), "its agent was told");
    assert_eq!(desk.hubs.last_notice(id).unwrap().state, "frozen");
    // less than the plan's minimum starts nothing again
    desk.grant("denis", 59).await;
    desk.meter_for(2 * MINUTE).await;
    assert_eq!(desk.state(id).await, "frozen");
    desk.grant("denis", 300).await;
    let waited = desk.clock.now();
    until_not(&mut desk, id, "frozen").await;
    assert!(
        desk.clock.now().since(waited).as_secs() <= 2,
        "a learner who typed a code waits for it"
    );
    desk.settle().await;
    assert_eq!(
        (desk.state(id).await.as_str(), desk.hubs.frozen(id)),
        ("ready", Some(false))
    );
    let after = desk.session(id).await;
    assert_eq!(after.sandbox, before.sandbox, "the same shells");
    let stood = Duration::from_micros(after.frozen_us);
    assert_eq!(after.deadline, before.deadline.map(|at| at.plus(stood)));
    // and its learner gets every second of what was added
    let (again, settled) = (desk.clock.now(), Duration::from_secs(9));
    until_not(&mut desk, id, "ready").await;
    let more = desk.clock.now().since(again) + settled;
    assert!((358..=362).contains(&more.as_secs()), "{more:?} of 359 s");
    desk.meter_for(31 * MINUTE).await;
    assert_eq!(desk.state(id).await, "stopping:budget-spent");
    let lived = desk.clock.now().since(before.ready_at.unwrap());
    desk.hubs
        .stops_at(id, 1_000_000 + u64::try_from(lived.as_micros()).unwrap());
    desk.settle().await;
    let row = desk.usage(id).await;
    assert_eq!(row.billed_seconds, 120 + 359, "standing still costs nothing");
    assert!(
        row.unbilled_reason.as_deref().is_some_and(|r| r.starts_with("frozen")),
        "{row:?}"
    );
    desk.assert_sound().await;
}

#[tokio::test]
async fn a_lab_stands_still_for_its_grace_and_no_longer() {
    let mut desk = Desk::new(4).await;
    let id = desk.ready("denis", 120).await;
    until_not(&mut desk, id, "ready").await;
    let still = desk.clock.now();
    until_not(&mut desk, id, "frozen").await;
    assert_eq!(desk.state(id).await, "stopping:budget-spent");
    assert_eq!(desk.clock.now().since(still), lab_app::metering::FREEZE_GRACE);
}

#[tokio::test]
async fn without_a_grace_and_in_an_exam_nothing_stands_still() {
    let settings = lab_app::Settings {
        freeze_grace: Duration::ZERO,
        ..lab_app::Settings::default()
    };
    let mut desk = Desk::with(settings).await;
    let id = desk.ready("denis", 120).await;
    until_not(&mut desk, id, "ready").await;
    assert_eq!(desk.state(id).await, "stopping:budget-spent");
    let mut exam = Desk::new(4).await;
    let mut plan = exam.store.plan_list().await.unwrap().remove(0);
    plan.features.insert(lab_core::entitlement::Feature::Exam);
    exam.store.plan_put(&plan).await.unwrap();
    let id = exam.ready("denis", 120).await;
    until_not(&mut exam, id, "ready").await;
    assert_eq!(exam.state(id).await, "stopping:budget-spent");
}

#[tokio::test]
async fn a_new_leader_tells_the_agent_again_to_stand_still() {
    let mut desk = Desk::new(4).await;
    let id = desk.ready("denis", 120).await;
    until_not(&mut desk, id, "ready").await;
    // it died between the row and the word; its successor has connections of its own
    desk.restart();
    desk.hubs.says(id, |s| s.frozen = None);
    desk.settle().await;
    assert_eq!(desk.hubs.frozen(id), Some(true));
}

#[tokio::test]
async fn a_plans_longest_run_ends_the_session_before_the_labs() {
    let mut desk = Desk::new(4).await;
    let mut plan = desk.store.plan_list().await.unwrap().remove(0);
    plan.session_secs_max = Some(600);
    desk.store.plan_put(&plan).await.unwrap();
    let id = desk.ready("ada", 36_000).await;
    typing(&mut desk, id, 9 * MINUTE).await;
    assert_eq!(desk.state(id).await, "ready");
    typing(&mut desk, id, 2 * MINUTE).await;
    assert_eq!(desk.state(id).await, "stopping:time-limit");
}

#[tokio::test]
async fn when_four_fifths_are_spent_the_learner_is_told() {
    let mut desk = Desk::new(4).await;
    let id = desk.ready("ada", 1000).await;
    typing(&mut desk, id, 12 * MINUTE).await;
    assert!(desk.hubs.spent(id) < Some(80));
    typing(&mut desk, id, 2 * MINUTE).await;
    assert!(desk.hubs.spent(id) >= Some(80));
}

#[tokio::test]
async fn a_test_run_holds_nothing_and_ends_by_the_labs_time_and_is_booked_unbilled() {
    let mut desk = Desk::new(4).await;
    let id = desk.try_lab("curie").await;
    desk.prompt(id).await;
    typing(&mut desk, id, 20 * MINUTE).await;
    assert_eq!((desk.session(id).await.held_secs, desk.hubs.spent(id)), (0, Some(0)));
    assert_eq!(desk.store.faults.calls("hold_extend"), 0, "there is nothing to extend");
    typing(&mut desk, id, 41 * MINUTE).await;
    assert_eq!(desk.state(id).await, "stopping:time-limit");
    desk.hubs.stops_at(id, 3_601_000_000);
    desk.settle().await;
    let row = desk.usage(id).await;
    assert_eq!(
        (row.sandbox_seconds, row.billed_seconds, row.unbilled_seconds),
        (3600, 0, 3600)
    );
    assert_eq!(row.unbilled_reason.as_deref(), Some("test-run"));
    desk.assert_sound().await;
}

#[tokio::test]
async fn the_agents_clock_is_kept_for_the_day_it_is_lost() {
    let mut desk = Desk::new(4).await;
    let id = desk.ready("ada", 3600).await;
    desk.hubs.says(id, |s| s.last_us = 42_000_000);
    desk.meter_for(MINUTE).await;
    assert_eq!(desk.session(id).await.seen_us, Some(42_000_000));
    let touches = desk.store.faults.calls("session_touch");
    desk.meter_for(MINUTE).await;
    assert_eq!(
        desk.store.faults.calls("session_touch"),
        touches,
        "what did not move is not written"
    );
}

#[tokio::test]
async fn two_meters_do_not_both_work() {
    let mut desk = Desk::new(4).await;
    let id = desk.ready("ada", 3600).await;
    // idle for longer than the lab allows
    desk.pass(30 * MINUTE);
    let now = desk.clock.now();
    desk.store
        .lease_take("meter", "another", now, MINUTE)
        .await
        .unwrap()
        .unwrap();
    desk.meter.tick().await.unwrap();
    assert_eq!(desk.store.faults.calls("hold_extend"), 0);
    assert_eq!(desk.state(id).await, "ready", "the other one stops it");
}
