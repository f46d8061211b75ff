//! Warm pools, with agents that really answer: grown, claimed, billed, lost, crashed.

use super::kit::Desk;
use lab_app::Settings;
use lab_core::{
    SandboxId, Timestamp,
    courses::CourseClass,
    lab::LabVersion,
    port::{Clock, CourseStore, GoneCause, Runtime, Store},
    provisioning::{EndReason, PoolClass, PoolSettings, PoolState},
};
use lab_testkit::{Script, Strike};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn settings(reserve: u32) -> Settings {
    let pool = PoolSettings {
        lab: "tiny".into(),
        reserve,
        max: 5,
        timetable: Vec::new(),
    };
    Settings {
        sandboxes_max: 10,
        pools: vec![pool],
        ..Settings::default()
    }
}

async fn states(desk: &Desk) -> Vec<PoolState> {
    let rows = desk.store.pool_list().await.unwrap();
    rows.iter().map(|r| r.state).collect()
}

async fn sandboxes(desk: &Desk) -> Vec<SandboxId> {
    let list = desk.runtime.sandbox_list().await.unwrap();
    list.iter().map(|s| s.id).collect()
}

/// The session's hub has met the agent of its sandbox, at this time of the agent's clock.
fn meets(desk: &Desk, id: lab_core::SessionId, met_us: u64) {
    desk.hubs.says(id, |s| {
        (s.met, s.connected) = (true, true);
        (s.ready_us, s.met_us, s.last_us) = (Some(0), Some(met_us), met_us);
    });
}

#[tokio::test]
async fn a_pool_is_made_ready_and_refilled_after_a_click() {
    let mut desk = Desk::with(settings(2)).await;
    desk.settle_pools().await;
    assert_eq!(states(&desk).await, [PoolState::Ready; 2]);
    let made = desk.runtime.faults.calls("sandbox_ensure");

    let id = desk.click("ada", 3600).await;
    let session = desk.session(id).await;
    assert!(session.warm);
    desk.reconciler.settle().await.unwrap();
    assert!(desk.hubs.followed(id), "its agent is followed in the first activation");
    meets(&desk, id, 10_000_000);
    desk.reconciler.settle().await.unwrap();
    assert_eq!(desk.state(id).await, "ready");
    assert_eq!(
        desk.runtime.faults.calls("sandbox_ensure"),
        made,
        "nothing is made for it"
    );

    desk.settle_pools().await;
    desk.pass(MINUTE);
    desk.settle_pools().await;
    assert_eq!(states(&desk).await, [PoolState::Ready; 2]);
    assert_eq!(sandboxes(&desk).await.len(), 3);
    desk.settle().await;
    desk.assert_sound().await;
}

#[tokio::test]
async fn a_sandbox_that_was_warm_for_an_hour_bills_nothing_of_that_hour() {
    let mut desk = Desk::with(settings(1)).await;
    desk.settle_pools().await;
    desk.pass(60 * MINUTE);
    let id = desk.click("ada", 3600).await;
    desk.settle().await;
    let sandbox = desk.session(id).await.sandbox;
    let agent = desk.runtime.agent(sandbox).unwrap();
    let claimed_us = agent.now_us();
    assert!(claimed_us > 3_600_000_000);
    meets(&desk, id, claimed_us);
    desk.settle().await;
    assert_eq!(desk.session(id).await.ready_us, Some(claimed_us));

    desk.pass(5 * MINUTE);
    desk.hubs.stops_at(id, claimed_us + 300_000_000);
    let (session, now) = (desk.session(id).await, desk.clock.now());
    lab_app::provisioning::request_stop(desk.store.as_ref(), session, EndReason::LearnerStopped, "learner", now)
        .await
        .unwrap();
    desk.settle().await;
    assert_eq!(desk.state(id).await, "ended:learner-stopped");
    assert_eq!(desk.usage(id).await.billed_seconds, 300);
    desk.settle_pools().await;
    assert!(!sandboxes(&desk).await.contains(&sandbox), "it serves nobody again");
    desk.assert_sound().await;
}

#[tokio::test]
async fn a_new_version_drains_the_old_ones_and_is_made_instead() {
    let mut desk = Desk::with(settings(2)).await;
    desk.settle_pools().await;
    let old = sandboxes(&desk).await;
    let version = desk.store.lab_latest(&"tiny".into()).await.unwrap().unwrap();
    let text = version.source.replace("One host.", "A newer one.");
    let newer = LabVersion::parse("tiny.yaml", text.as_bytes()).unwrap();
    desk.store.lab_publish(&newer, desk.clock.now()).await.unwrap();
    desk.settle_pools().await;
    let rows = desk.store.pool_list().await.unwrap();
    assert_eq!(states(&desk).await, [PoolState::Ready; 2]);
    assert!(rows.iter().all(|r| r.digest == newer.digest));
    assert!(sandboxes(&desk).await.iter().all(|id| !old.contains(id)));
}

#[tokio::test]
async fn the_warm_sandboxes_of_a_withdrawn_lab_go_and_come_back_with_it() {
    let mut desk = Desk::with(settings(2)).await;
    desk.settle_pools().await;
    let id = desk.click("ada", 3600).await;
    let version = desk.store.lab_latest(&"tiny".into()).await.unwrap().unwrap();
    assert!(desk.store.lab_withdraw(&"tiny".into()).await.unwrap());
    desk.settle_pools().await;
    desk.pass(MINUTE);
    desk.settle_pools().await;
    assert!(
        states(&desk).await.iter().all(|s| *s == PoolState::Claimed),
        "{:?}",
        states(&desk).await
    );
    assert_eq!(
        sandboxes(&desk).await,
        [desk.session(id).await.sandbox],
        "that of who runs it stays"
    );
    desk.store.lab_publish(&version, desk.clock.now()).await.unwrap();
    desk.settle_pools().await;
    let ready = states(&desk)
        .await
        .into_iter()
        .filter(|s| *s == PoolState::Ready)
        .count();
    assert_eq!(ready, 2);
}

#[tokio::test]
async fn a_class_has_its_sandboxes_ten_minutes_before_and_they_go_after_it() {
    let mut settings = settings(0);
    let now = lab_testkit::ManualClock::default().now();
    let class = PoolClass {
        from: now.plus(30 * MINUTE),
        until: now.plus(90 * MINUTE),
        ready: 3,
    };
    settings.pools[0].timetable = vec![class];
    let mut desk = Desk::with(settings).await;
    desk.settle_pools().await;
    assert_eq!(states(&desk).await, []);
    desk.pass(21 * MINUTE);
    desk.settle_pools().await;
    assert_eq!(states(&desk).await, [PoolState::Ready; 3]);
    desk.pass(70 * MINUTE);
    desk.settle_pools().await;
    assert_eq!(states(&desk).await, []);
    assert_eq!(sandboxes(&desk).await, []);
}

#[tokio::test]
async fn a_scheduled_class_of_a_lab_without_a_pool_is_ready_for_all_who_are_expected() {
    let mut desk = Desk::with(Settings {
        sandboxes_max: 10,
        ..Settings::default()
    })
    .await;
    let now = desk.clock.now();
    let class = CourseClass {
        course: "net".into(),
        lab: "tiny".into(),
        starts_at: now.plus(30 * MINUTE),
        ends_at: now.plus(90 * MINUTE),
        room: "B-204".into(),
        learners: 3,
    };
    desk.store.class_put(&class).await.unwrap();
    desk.settle_pools().await;
    assert_eq!(states(&desk).await, []);
    desk.pass(21 * MINUTE);
    desk.settle_pools().await;
    assert_eq!(states(&desk).await, [PoolState::Ready; 3]);
    assert!(
        desk.store
            .class_remove(&class.course, &class.lab, class.starts_at)
            .await
            .unwrap()
    );
    desk.settle_pools().await;
    assert_eq!(states(&desk).await, [], "a class that is taken off keeps nothing");
    assert_eq!(sandboxes(&desk).await, []);
}

#[tokio::test]
async fn a_pool_sandbox_that_went_is_replaced_and_a_learner_who_just_got_it_gets_a_cold_one() {
    let mut desk = Desk::with(settings(1)).await;
    desk.settle_pools().await;
    let first = sandboxes(&desk).await[0];
    desk.runtime.lose(first, Some(137), GoneCause::OutOfMemory);
    desk.settle_pools().await;
    let second = sandboxes(&desk).await;
    assert_eq!((second.len(), states(&desk).await), (1, vec![PoolState::Ready]));
    assert_ne!(second[0], first);

    let id = desk.click("ada", 3600).await;
    desk.runtime.lose(second[0], Some(137), GoneCause::OutOfMemory);
    desk.settle().await;
    assert_eq!(desk.state(id).await, "provisioning");
    assert_eq!(sandboxes(&desk).await, second, "made again, under the same name");
    meets(&desk, id, 1_000_000);
    desk.settle().await;
    assert_eq!(desk.state(id).await, "ready");
    desk.assert_sound().await;
}

#[tokio::test]
async fn a_crash_between_any_two_steps_leaves_nothing_behind_and_nothing_twice() {
    for (operation, strike) in [
        ("sandbox_ensure", Strike::Before),
        ("sandbox_ensure", Strike::After),
        ("pool_write", Strike::Before),
        ("pool_write", Strike::After),
    ] {
        let mut desk = Desk::with(settings(1)).await;
        match operation {
            "pool_write" => desk.store.faults.once(operation, strike),
            _ => desk.runtime.faults.once(operation, strike),
        }
        // the first process gets as far as the failure and is killed
        let _ = desk.pools.tick().await;
        desk.restart_pools();
        desk.pass(MINUTE);
        desk.settle_pools().await;
        desk.settle().await;
        let rows = desk.store.pool_list().await.unwrap();
        assert_eq!(states(&desk).await, [PoolState::Ready], "{operation} {strike:?}");
        assert_eq!(sandboxes(&desk).await, [rows[0].sandbox], "{operation} {strike:?}");

        // and again on the way out
        desk.runtime.faults.once("sandbox_drop", strike);
        let newer = desk.store.lab_latest(&"tiny".into()).await.unwrap().unwrap();
        let text = newer.source.replace("One host.", "Another.");
        let newer = LabVersion::parse("tiny.yaml", text.as_bytes()).unwrap();
        desk.store.lab_publish(&newer, desk.clock.now()).await.unwrap();
        let _ = desk.pools.tick().await;
        desk.restart_pools();
        desk.pass(MINUTE);
        desk.settle_pools().await;
        desk.settle().await;
        let rows = desk.store.pool_list().await.unwrap();
        assert_eq!(states(&desk).await, [PoolState::Ready], "{operation} {strike:?}");
        assert_eq!(sandboxes(&desk).await, [rows[0].sandbox], "{operation} {strike:?}");
    }
}

#[tokio::test]
async fn pool_sandboxes_are_no_orphans_and_what_has_no_row_is_one() {
    let mut desk = Desk::with(settings(2)).await;
    desk.settle_pools().await;
    desk.pass(MINUTE);
    desk.settle().await;
    assert_eq!(sandboxes(&desk).await.len(), 2);
    let mut spec = desk.runtime.spec(sandboxes(&desk).await[0]).unwrap();
    spec.id = SandboxId(uuid::Uuid::from_u128(7));
    desk.runtime.sandbox_ensure(&spec).await.unwrap();
    desk.pass(MINUTE);
    desk.settle().await;
    assert_eq!(sandboxes(&desk).await.len(), 2);
    desk.assert_sound().await;
}

#[tokio::test]
async fn two_keepers_do_not_both_keep_and_the_one_that_lost_the_pools_writes_nothing() {
    let mut desk = Desk::with(settings(1)).await;
    let at = desk.clock.now();
    let other = desk.store.lease_take("pools", "another", at, MINUTE).await.unwrap();
    assert!(other.is_some());
    desk.pools.tick().await.unwrap();
    assert_eq!(states(&desk).await, []);
    assert_eq!(desk.store.faults.calls("pool_write"), 0);
}

#[tokio::test]
async fn a_lab_that_does_not_become_ready_or_has_no_image_is_tried_ever_more_rarely() {
    let mut desk = Desk::with(settings(1)).await;
    desk.runtime.miss_image("labwire/frr:1");
    for _ in 0..60 {
        desk.pools.settle().await.unwrap();
        desk.pass(Duration::from_secs(10));
    }
    let tries = desk.runtime.faults.calls("sandbox_ensure");
    assert!((3..12).contains(&tries), "{tries} tries in ten minutes");

    let mut desk = Desk::with(settings(1)).await;
    desk.runtime.set_script(Script::Manual);
    for _ in 0..30 {
        desk.pools.settle().await.unwrap();
        desk.pass(Duration::from_secs(10));
    }
    let rows = desk.store.pool_list().await.unwrap();
    assert!(rows.iter().all(|r| r.state == PoolState::Making), "{rows:?}");
    assert!(desk.metrics.pool_drained_total.with_label_values(&["not-ready"]).get() >= 1);
}

#[tokio::test]
async fn a_reserve_gives_way_to_learners_who_wait_and_comes_back_after_them() {
    let mut settings = settings(2);
    settings.sandboxes_max = 2;
    settings.pools[0].lab = "other".into();
    let mut desk = Desk::with(settings).await;
    let tiny = desk.store.lab_latest(&"tiny".into()).await.unwrap().unwrap();
    let text = tiny.source.replace("id: tiny", "id: other");
    let other = LabVersion::parse("other.yaml", text.as_bytes()).unwrap();
    desk.store.lab_publish(&other, Timestamp(0)).await.unwrap();
    desk.settle_pools().await;
    assert_eq!(states(&desk).await, [PoolState::Ready; 2]);
    let id = desk.click("ada", 3600).await;
    desk.reconciler.settle().await.unwrap();
    assert_eq!(desk.state(id).await, "queued");
    desk.settle_pools().await;
    assert_eq!(states(&desk).await, [PoolState::Ready]);
    desk.settle().await;
    assert_eq!(desk.state(id).await, "provisioning");
    assert_eq!(sandboxes(&desk).await.len(), 2);
}
