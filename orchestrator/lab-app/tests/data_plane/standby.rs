//! Several replicas follow one session: one records it, and which.

use super::rig::{Rig, learner, noise};
use lab_app::{Settings, terminal::Hubs};
use lab_core::{
    operations::RecorderLeases,
    port::{GoneCause, Store},
    recording::{RecordingState, TOO_LARGE},
};
use std::{sync::Arc, time::Duration};

/// Another process.
fn replica(rig: &Rig, holder: &str) -> Arc<Hubs> {
    let settings = Settings {
        holder: holder.into(),
        recording_bytes_max: rig.recording_bytes_max,
        ..Settings::default()
    };
    Hubs::new(rig.ports.clone(), settings, rig.metrics.clone())
}

/// Who holds the recorder's lease now.
async fn recorder(rig: &Rig) -> Option<String> {
    let report = rig.store.lease_report(rig.ports.clock.now()).await.unwrap();
    report.recorders.into_iter().map(|r: RecorderLeases| r.holder).next()
}

#[tokio::test(start_paused = true)]
async fn a_session_is_recorded_by_the_replica_that_its_learner_looks_through() {
    let rig = Rig::unstarted("best-effort").await;
    // the leader follows at once; the learner's page is there a second later
    rig.hubs().ensure(rig.session);
    rig.until("the leader follows", || rig.agent().connections() == 1).await;
    rig.agent().output(0, b"booting");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let other = replica(&rig, "replica-b");
    let _tab = other.attach(rig.session, learner(1)).await.unwrap();
    other.ensure(rig.session);
    rig.until("both follow", || rig.agent().connections() == 2).await;
    rig.agent().output(0, b"r1# ");
    rig.assert_recorded().await;
    assert_eq!(recorder(&rig).await.as_deref(), Some("replica-b"));
}

#[tokio::test(start_paused = true)]
async fn a_recorder_keeps_its_session_through_every_pause_for_thought() {
    let rig = Rig::unstarted("best-effort").await;
    let other = replica(&rig, "replica-b");
    let _tab = other.attach(rig.session, learner(1)).await.unwrap();
    other.ensure(rig.session);
    rig.hubs().ensure(rig.session);
    rig.until("both follow", || rig.agent().connections() == 2).await;
    for pause in [1, 5, 7, 9, 30, 61, 300] {
        rig.agent().output(0, b"show ip route");
        rig.assert_recorded().await;
        assert_eq!(recorder(&rig).await.as_deref(), Some("replica-b"), "before {pause} s");
        // longer than the lease, at a time of its own to the other's looks
        tokio::time::sleep(Duration::from_millis(pause * 1000 + 137 * pause)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_looks_at_is_recorded_all_the_same() {
    let rig = Rig::new("best-effort").await;
    rig.agent().output(0, b"nobody reads this now");
    let before = rig.ports.clock.now();
    rig.assert_recorded().await;
    assert_eq!(recorder(&rig).await.as_deref(), Some("first"));
    let waited = rig.ports.clock.now().since(before);
    assert!(waited < Duration::from_secs(3), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn sessions_of_a_replica_that_died_are_recorded_within_the_lease_and_a_look() {
    for looked_at in [false, true] {
        let rig = Rig::unstarted("best-effort").await;
        let doomed = replica(&rig, "dies");
        let _gone = doomed.attach(rig.session, learner(1)).await.unwrap();
        doomed.ensure(rig.session);
        rig.hubs().ensure(rig.session);
        rig.until("both follow", || rig.agent().connections() == 2).await;
        rig.agent().output(0, &noise(3_000));
        rig.assert_recorded().await;
        assert_eq!(recorder(&rig).await.as_deref(), Some("dies"));
        // killed: its lease is still its own
        drop(doomed);
        rig.agent().output(0, &noise(5_000));
        let _tab = if looked_at { Some(rig.learner().await) } else { None };
        let killed_at = rig.ports.clock.now();
        rig.assert_recorded().await;
        let took = rig.ports.clock.now().since(killed_at);
        // 6 s of the lease, a look every 3 s (1 s where the learner is now), what is gathered
        let most = Duration::from_millis(if looked_at { 8_000 } else { 10_000 });
        assert!(took <= most, "{took:?}, looked at: {looked_at}");
        assert_eq!(recorder(&rig).await.as_deref(), Some("first"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_on_a_replica_that_does_not_record_waits_for_the_one_that_does() {
    let rig = Rig::new("best-effort").await;
    rig.agent().output(0, b"recorded by the first");
    rig.assert_recorded().await;
    let other = other_replica(&rig).await;
    other.stop_lab(rig.session, "learner-stopped").await;
    let end = rig.journal().len() as u64;
    let head = rig.store.recording_head(rig.session).await.unwrap().unwrap();
    assert_eq!(
        head.end, end,
        "the stop was answered before the last record was durable"
    );
    other.drop_hub(rig.session).await;
    rig.hubs().drop_hub(rig.session).await;
    let head = rig.store.recording_head(rig.session).await.unwrap().unwrap();
    assert!(
        matches!(head.state, RecordingState::Complete { .. }),
        "{:?}",
        head.state
    );
}

#[tokio::test(start_paused = true)]
async fn a_recorder_that_was_killed_is_replaced_and_the_recording_ended_by_the_next() {
    let mut rig = Rig::new("best-effort").await;
    rig.agent().output(0, b"recorded by the first");
    rig.assert_recorded().await;
    let other = other_replica(&rig).await;
    // killed: its lease is still its own
    rig.hubs = None;
    rig.agent().output(0, &noise(5_000));
    rig.until("the other one records", || {
        rig.agent().durable() == rig.agent().journal_end()
    })
    .await;
    assert_eq!(rig.recorded().await, rig.journal());
    rig.runtime
        .lose(lab_core::SandboxId(rig.session.0), Some(137), GoneCause::AgentEnded);
    other.drop_hub(rig.session).await;
    let head = rig.store.recording_head(rig.session).await.unwrap().unwrap();
    assert!(matches!(head.state, RecordingState::Cut { reason, .. } if reason == "sandbox-lost"));
}

#[tokio::test(start_paused = true)]
async fn a_recording_that_another_replica_cut_is_known_where_the_reconciler_is() {
    let mut rig = Rig::unstarted("required").await;
    rig.recording_bytes_max = 50_000;
    rig.restart("leader");
    rig.agent().set_frame_bytes(2_000);
    let other = replica(&rig, "replica-b");
    let _tab = other.attach(rig.session, learner(1)).await.unwrap();
    other.ensure(rig.session);
    rig.hubs().ensure(rig.session);
    rig.until("both follow", || rig.agent().connections() == 2).await;
    rig.agent().output(0, b"r1# ");
    rig.assert_recorded().await;
    assert_eq!(recorder(&rig).await.as_deref(), Some("replica-b"));
    for part in noise(100_000).chunks(2_000) {
        rig.agent().output(0, part);
    }
    for hubs in [&other, rig.hubs()] {
        rig.until("both know", || {
            hubs.status(rig.session).unwrap().recording_error == Some(TOO_LARGE)
        })
        .await;
    }
    // and whichever is left says that nothing is to be kept
    drop(other);
    rig.agent().output(0, &noise(50_000));
    rig.until("the agent lets go of it", || {
        rig.agent().durable() == rig.agent().journal_end()
    })
    .await;
}

/// A second process's hub of the same session, in step with the first.
async fn other_replica(rig: &Rig) -> Arc<Hubs> {
    let other = replica(rig, "replica-b");
    other.ensure(rig.session);
    rig.until("both follow", || {
        rig.agent().connections() == 2 && other.status(rig.session).is_some_and(|s| s.met)
    })
    .await;
    other
}

#[tokio::test(start_paused = true)]
async fn two_replicas_record_one_journal_once() {
    let rig = Rig::new("best-effort").await;
    let other = replica(&rig, "replica-b");
    other.ensure(rig.session);
    rig.until("both follow", || rig.agent().connections() == 2).await;
    for part in noise(300_000).chunks(3_000) {
        rig.agent().output(0, part);
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    rig.assert_recorded().await;
    rig.hubs().shutdown().await;
    rig.agent().output(0, &noise(70_000));
    rig.assert_recorded().await;
}
