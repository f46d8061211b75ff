//! A replica that does not lead: it changes nothing, and whoever is attached to it misses nothing.

use super::kit::Desk;
use lab_app::{Settings, provisioning::SessionHubs};
use lab_core::{
    LabId, SessionId,
    port::{Clock, Store},
    provisioning::{EndReason, PoolSettings},
};
use lab_testkit::Strike;
use std::{collections::HashSet, time::Duration};

const MINUTE: Duration = Duration::from_secs(60);

/// Another process takes a lease for as long as the test looks.
async fn led_elsewhere(desk: &Desk, lease: &str) {
    let now = desk.clock.now();
    let taken = desk.store.lease_take(lease, "another", now, 60 * MINUTE).await.unwrap();
    assert!(taken.is_some(), "{lease} was free");
}

async fn stop(desk: &Desk, id: SessionId) {
    let session = desk.session(id).await;
    let (store, now) = (desk.store.as_ref(), desk.clock.now());
    lab_app::provisioning::request_stop(store, session, EndReason::LearnerStopped, "learner", now)
        .await
        .unwrap();
}

/// A session that the other replica made ready, with a hub here.
async fn ready_elsewhere(desk: &mut Desk) -> SessionId {
    let id = desk.ready("ada", 3600).await;
    desk.restart();
    desk.pass(MINUTE);
    led_elsewhere(desk, "provisioning").await;
    led_elsewhere(desk, "meter").await;
    id
}

#[tokio::test]
async fn who_is_attached_to_a_replica_that_does_not_lead_hears_what_the_leader_decided() {
    let mut desk = Desk::new(4).await;
    let id = ready_elsewhere(&mut desk).await;
    desk.hubs.forget_told();
    desk.reconciler.activate().await.unwrap();
    assert_eq!(desk.hubs.last_notice(id).unwrap().state, "ready");
    stop(&desk, id).await;
    desk.reconciler.settle().await.unwrap();
    assert_eq!(desk.hubs.last_notice(id).unwrap().state, "stopping");
    assert_eq!(
        desk.state(id).await,
        "stopping:learner-stopped",
        "the end is the leader's to make"
    );
}

#[tokio::test]
async fn a_session_that_ended_elsewhere_is_told_and_its_hub_closed() {
    let mut desk = Desk::new(4).await;
    let id = desk.ready("ada", 3600).await;
    desk.hubs.stops_at(id, 5_000_000);
    stop(&desk, id).await;
    desk.settle().await;
    // a replica that heard nothing of it
    desk.restart();
    desk.hubs.says(id, |_| {});
    desk.hubs.forget_told();
    desk.pass(MINUTE);
    led_elsewhere(&desk, "provisioning").await;
    desk.reconciler.settle().await.unwrap();
    assert_eq!(desk.hubs.last_notice(id).unwrap().state, "ended");
    assert!(desk.hubs.dropped(id));
}

#[tokio::test]
async fn a_hub_that_nobody_looks_through_is_let_go_and_the_session_goes_on() {
    let mut desk = Desk::new(4).await;
    let id = ready_elsewhere(&mut desk).await;
    desk.hubs.unwatched.lock().unwrap().push(id);
    desk.reconciler.settle().await.unwrap();
    assert!(!desk.hubs.followed(id), "the hub is still here");
    assert!(!desk.hubs.dropped(id), "a recording that goes on was closed");
    assert_eq!(desk.state(id).await, "ready");
}

#[tokio::test]
async fn what_is_typed_on_another_replica_keeps_a_lab_from_being_idle() {
    let mut desk = Desk::new(4).await;
    let id = ready_elsewhere(&mut desk).await;
    let before = desk.session(id).await.active_at;
    let typed = desk.clock.now();
    desk.hubs.says(id, |s| s.active_at = Some(typed));
    desk.hubs.forget_told();
    desk.meter.tick().await.unwrap();
    assert!(before < typed);
    assert_eq!(desk.session(id).await.active_at, typed);
    assert!(
        desk.hubs.time_left(id).is_some(),
        "the learner is told the time on this replica too"
    );
    assert_eq!(desk.store.faults.calls("hold_extend"), 0, "the hold is the leader's");
}

#[tokio::test]
async fn a_leader_that_is_gone_is_replaced_when_its_lease_has_lapsed() {
    let mut desk = Desk::new(4).await;
    let now = desk.clock.now();
    desk.store
        .lease_take("provisioning", "killed", now, Duration::from_secs(6))
        .await
        .unwrap();
    let id = desk.click("ada", 3600).await;
    desk.reconciler.settle().await.unwrap();
    assert_eq!(desk.state(id).await, "requested");
    desk.pass(Duration::from_secs(6));
    desk.settle().await;
    assert_eq!(desk.state(id).await, "provisioning");
}

/// What the gauges of the installation say here: sessions (series, sum), queue, held seconds, warm sandboxes (series).
fn gauges(desk: &Desk) -> (usize, i64, i64, usize) {
    use prometheus::core::Collector;
    let series = |vec: &prometheus::IntGaugeVec| vec.collect().iter().map(|f| f.get_metric().len()).sum();
    let metrics = &desk.metrics;
    (
        series(&metrics.sessions),
        metrics.queue_sessions.get(),
        metrics.ledger_held_seconds.get(),
        series(&metrics.pool_sandboxes),
    )
}

/// A replica that leads everything: one session runs, one waits, one pool is kept.
async fn leading() -> Desk {
    let pool = PoolSettings {
        lab: LabId::from("tiny"),
        reserve: 1,
        max: 1,
        timetable: vec![],
    };
    let mut desk = Desk::with(Settings {
        sandboxes_max: 1,
        pools: vec![pool],
        ..Settings::default()
    })
    .await;
    desk.ready("ada", 3600).await;
    desk.click("bob", 3600).await;
    desk.settle().await;
    desk.meter.tick().await.unwrap();
    desk.pools.tick().await.unwrap();
    assert_eq!(gauges(&desk), (2, 1, 1800, 4));
    desk
}

#[tokio::test]
async fn who_leads_no_more_shows_no_number_of_the_installation() {
    let mut desk = leading().await;
    desk.pass(MINUTE);
    for lease in ["provisioning", "meter", "pools"] {
        led_elsewhere(&desk, lease).await;
    }
    // also where nobody looks through a hub, so that there is nothing to mirror
    for (id, _) in desk.hubs.here() {
        desk.hubs.release(id).await;
    }
    desk.reconciler.activate().await.unwrap();
    desk.meter.tick().await.unwrap();
    desk.pools.tick().await.unwrap();
    assert_eq!(gauges(&desk), (0, 0, 0, 0));
}

#[tokio::test]
async fn who_cannot_ask_whether_it_leads_shows_no_number_either() {
    let mut desk = leading().await;
    desk.pass(MINUTE);
    desk.store.faults.always("lease_take", Strike::Before);
    desk.reconciler.activate().await.unwrap_err();
    desk.meter.tick().await.unwrap_err();
    desk.pools.tick().await.unwrap_err();
    assert_eq!(gauges(&desk), (0, 0, 0, 0));
}

/// Leads the metering, or did, and nothing else: no reconciler here hears of the end.
#[tokio::test]
async fn a_meter_without_hubs_keeps_nothing_of_sessions_that_are_over() {
    for leads in [true, false] {
        let mut desk = Desk::new(4).await;
        let id = desk.ready("ada", 3600).await;
        let (hubs, mut meter) = desk.real_hubs();
        meter.tick().await.unwrap();
        assert!(hubs.keeps_news(), "the time left is kept for who attaches here");
        stop(&desk, id).await;
        desk.settle().await;
        assert_eq!(desk.state(id).await, "ended:learner-stopped");
        desk.pass(MINUTE);
        if !leads {
            led_elsewhere(&desk, "meter").await;
        }
        meter.tick().await.unwrap();
        assert!(!hubs.keeps_news(), "an entry for every session that was ever metered");
    }
}

#[tokio::test]
async fn news_of_a_session_that_began_after_the_list_was_asked_for_are_kept() {
    let mut desk = Desk::new(4).await;
    let id = desk.ready("ada", 3600).await;
    let (hubs, mut meter) = desk.real_hubs();
    let asked_us = desk.clock.monotonic_us();
    desk.pass(Duration::from_millis(1));
    meter.tick().await.unwrap();
    hubs.forget_told(&HashSet::new(), asked_us);
    assert!(hubs.keeps_news(), "what was told of {id} is younger than the list");
    desk.pass(Duration::from_millis(1));
    hubs.forget_told(&HashSet::from([id]), desk.clock.monotonic_us());
    assert!(hubs.keeps_news(), "it is live");
    hubs.forget_told(&HashSet::new(), desk.clock.monotonic_us());
    assert!(!hubs.keeps_news());
}
