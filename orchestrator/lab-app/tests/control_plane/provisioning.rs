//! The reconciler: every way a session goes.

use super::kit::{Desk, LAB};
use lab_core::{
    SandboxId, SessionId,
    lab::LabVersion,
    port::{Clock, GoneCause, Runtime, Store, WaitReason, Waiting},
    provisioning::EndReason,
    recording::TOO_LARGE,
};
use lab_testkit::{Script, Strike};
use std::time::Duration;

async fn stop(desk: &Desk, id: SessionId) {
    let session = desk.session(id).await;
    let (store, now) = (desk.store.as_ref(), desk.clock.now());
    lab_app::provisioning::request_stop(store, session, EndReason::LearnerStopped, "learner", now)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_click_becomes_a_prompt_and_a_stop_is_settled_by_the_agents_clock() {
    let mut desk = Desk::new(4).await;
    let id = desk.ready("ada", 3600).await;
    let notice = desk.hubs.last_notice(id).unwrap();
    let steps: Vec<&str> = notice.steps.iter().map(|s| s.step.as_str()).collect();
    assert_eq!(
        steps,
        ["requested", "hold", "image", "sandbox", "agent", "lab", "ready"]
    );
    desk.pass(Duration::from_secs(300));
    desk.hubs.stops_at(id, 251_999_999);
    stop(&desk, id).await;
    desk.settle().await;
    assert_eq!(desk.state(id).await, "ended:learner-stopped");
    let row = desk.usage(id).await;
    assert_eq!(
        (row.sandbox_seconds, row.billed_seconds, row.unbilled_seconds),
        (250, 250, 0),
        "started seconds are not billed"
    );
    assert!(desk.hubs.dropped(id));
    desk.assert_sound().await;
}

#[tokio::test]
async fn an_agent_that_claims_more_time_than_passed_is_not_believed() {
    let mut desk = Desk::new(4).await;
    let id = desk.ready("ada", 3600).await;
    desk.hubs.stops_at(id, 3_000_000_000);
    stop(&desk, id).await;
    desk.settle().await;
    assert!(desk.usage(id).await.billed_seconds < 60, "{:?}", desk.usage(id).await);
}

#[tokio::test]
async fn who_clicked_first_gets_the_next_sandbox_and_the_others_their_place() {
    let mut desk = Desk::new(1).await;
    let first = desk.ready("ada", 3600).await;
    let mut waiting = Vec::new();
    for learner in ["ben", "cleo"] {
        waiting.push(desk.click(learner, 3600).await);
        desk.pass(Duration::from_secs(1));
    }
    desk.settle().await;
    let place = |id| desk.hubs.last_notice(id).unwrap().queue;
    assert_eq!((place(waiting[0]), place(waiting[1])), (Some(1), Some(2)));
    assert!(
        desk.hubs.last_notice(waiting[0]).unwrap().detail.is_some(),
        "an estimate is told"
    );
    stop(&desk, first).await;
    desk.settle().await;
    assert_eq!(desk.state(waiting[0]).await, "provisioning");
    assert_eq!(desk.state(waiting[1]).await, "queued");
    assert_eq!(desk.hubs.last_notice(waiting[1]).unwrap().queue, Some(1));
    desk.assert_sound().await;
}

#[tokio::test]
async fn a_missing_image_fails_at_once_in_words_and_gives_the_time_back() {
    let mut desk = Desk::new(4).await;
    desk.runtime.miss_image("labwire/frr:1");
    let id = desk.click("ada", 3600).await;
    desk.settle().await;
    assert_eq!(desk.state(id).await, "failed:image-missing");
    assert!(
        desk.hubs
            .last_notice(id)
            .unwrap()
            .detail
            .unwrap()
            .contains("labwire/frr:1")
    );
    desk.assert_sound().await;
}

#[tokio::test]
async fn an_engine_that_is_away_is_tried_again_and_then_given_up() {
    let mut desk = Desk::new(4).await;
    desk.runtime.faults.once("sandbox_ensure", Strike::After);
    let id = desk.click("ada", 3600).await;
    desk.settle().await;
    assert!(desk.hubs.followed(id), "the second try found what the first had made");
    desk.runtime.faults.always("sandbox_ensure", Strike::Before);
    let other = desk.click("ben", 3600).await;
    desk.settle().await;
    assert_eq!(desk.state(other).await, "provisioning", "one outage fails nobody");
    desk.pass(Duration::from_secs(121));
    desk.settle().await;
    assert_eq!(desk.state(other).await, "failed:runtime-unavailable");
}

#[tokio::test]
async fn a_runtime_that_lists_nothing_is_an_error_each_time_it_is_asked_though_no_run_fails() {
    let mut desk = Desk::new(4).await;
    desk.settle().await;
    let errors = desk.metrics.errors_total.with_label_values(&["runtime-unavailable"]);
    let failed = desk.metrics.reconcile_total.with_label_values(&["runtime-unavailable"]);
    desk.runtime.faults.always("sandbox_list", Strike::Before);
    let asked_before = desk.runtime.faults.calls("sandbox_list");
    for period in 1..=5 {
        desk.pass(Duration::from_secs(2));
        desk.reconciler.settle().await.unwrap();
        let asked = desk.runtime.faults.calls("sandbox_list") - asked_before;
        assert!(asked >= period && errors.get() == asked, "{asked} {}", errors.get());
    }
    assert_eq!(failed.get(), 0, "an alert on failed runs would not see it");
}

#[tokio::test]
async fn a_lab_that_fails_or_never_becomes_ready_says_so() {
    let mut desk = Desk::new(4).await;
    desk.runtime.set_script(Script::Manual);
    let failing = desk.click("ada", 3600).await;
    let silent = desk.click("ben", 3600).await;
    desk.settle().await;
    desk.hubs.says(failing, |s| {
        s.failed = Some(("lab-failed".into(), "bridge br0: no such device".into()));
    });
    desk.settle().await;
    assert_eq!(desk.state(failing).await, "failed:lab-failed");
    assert_eq!(
        desk.hubs.last_notice(failing).unwrap().detail.as_deref(),
        Some("bridge br0: no such device")
    );
    desk.pass(Duration::from_secs(91));
    desk.settle().await;
    assert_eq!(desk.state(silent).await, "failed:ready-timeout");
    desk.assert_sound().await;
}

#[tokio::test]
async fn a_sandbox_without_room_is_waited_for_and_its_labs_time_starts_when_it_runs() {
    let mut desk = Desk::new(4).await;
    desk.runtime.set_script(Script::Manual);
    let id = desk.click("ada", 3600).await;
    desk.settle().await;
    let sandbox = desk.session(id).await.sandbox;
    desk.runtime.waits(sandbox, Some(waiting(WaitReason::Capacity)));
    for _ in 0..20 {
        desk.pass(Duration::from_secs(60));
        desk.settle().await;
    }
    let notice = desk.hubs.last_notice(id).unwrap();
    assert_eq!(
        (notice.state.as_str(), notice.waiting.as_deref()),
        ("provisioning", Some("capacity"))
    );
    desk.runtime.runs(sandbox);
    desk.pass(Duration::from_secs(60));
    desk.settle().await;
    assert_eq!(desk.state(id).await, "provisioning", "its 90 s began a minute ago");
    assert_eq!(desk.hubs.last_notice(id).unwrap().waiting, None);
    desk.pass(Duration::from_secs(31));
    desk.settle().await;
    assert_eq!(desk.state(id).await, "failed:ready-timeout");
    desk.assert_sound().await;
}

#[tokio::test]
async fn what_a_sandbox_waits_for_is_not_waited_for_for_ever() {
    let mut desk = Desk::new(4).await;
    desk.runtime.set_script(Script::Manual);
    let waits = [
        (Some(waiting(WaitReason::Image)), 46, "failed:image-missing"),
        (Some(waiting(WaitReason::Refused)), 46, "failed:sandbox-refused"),
        (Some(waiting(WaitReason::Quota)), 3601, "failed:no-capacity"),
        (None, 601, "failed:ready-timeout"),
    ];
    for (why, secs, end) in waits {
        let id = desk.click("ada", 3600).await;
        desk.settle().await;
        desk.runtime.waits(desk.session(id).await.sandbox, why);
        desk.settle().await;
        desk.pass(Duration::from_secs(secs / 2));
        desk.settle().await;
        assert_eq!(desk.state(id).await, "provisioning", "half of the time before {end}");
        desk.pass(Duration::from_secs(secs));
        desk.settle().await;
        assert_eq!(desk.state(id).await, end);
    }
    desk.assert_sound().await;
}

fn waiting(reason: WaitReason) -> Waiting {
    let detail = "0/3 nodes are available".into();
    Waiting { reason, detail }
}

/// How a sandbox goes; `None`: it is not in the list any more.
type Loss = Option<GoneCause>;

/// A learner works for 100 s by the agent's clock, then the sandbox goes.
async fn lost_at_work(desk: &mut Desk, learner: &str, loss: Loss) -> SessionId {
    let id = desk.ready(learner, 3600).await;
    desk.pass(Duration::from_secs(100));
    desk.hubs.says(id, |s| {
        s.last_us = 101_000_000;
        s.connected = false;
    });
    let sandbox = desk.session(id).await.sandbox;
    match loss {
        Some(cause) => desk.runtime.lose(sandbox, Some(137), cause),
        None => desk.runtime.vanish(sandbox),
    }
    desk.settle().await;
    id
}

#[tokio::test]
async fn a_vanished_sandbox_ends_its_session_and_bills_nothing() {
    let mut desk = Desk::new(4).await;
    let id = lost_at_work(&mut desk, "ada", Some(GoneCause::AgentEnded)).await;
    assert_eq!(desk.state(id).await, "ended:agent-lost");
    let row = desk.usage(id).await;
    assert_eq!(
        (row.sandbox_seconds, row.billed_seconds, row.unbilled_seconds),
        (100, 0, 100)
    );
    assert_eq!(row.unbilled_reason.as_deref(), Some("agent-lost+first-loss"));
    desk.assert_sound().await;
}

#[tokio::test]
async fn whoever_loses_sandboxes_again_and_again_pays_for_all_but_the_first_of_a_day() {
    let mut desk = Desk::new(4).await;
    let causes = [
        (GoneCause::OutOfMemory, "ended:out-of-memory", 0),
        (GoneCause::OutOfMemory, "ended:out-of-memory", 100),
        (GoneCause::OutOfDisk, "ended:out-of-disk", 100),
        (GoneCause::AgentEnded, "ended:agent-lost", 100),
    ];
    for (cause, state, billed) in causes {
        let id = lost_at_work(&mut desk, "mallory", Some(cause)).await;
        assert_eq!(desk.state(id).await, state);
        let row = desk.usage(id).await;
        assert_eq!((row.sandbox_seconds, row.billed_seconds), (100, billed), "{cause:?}");
    }
    // somebody else's first, and the next day's
    let other = lost_at_work(&mut desk, "ada", Some(GoneCause::OutOfDisk)).await;
    assert_eq!(
        desk.usage(other).await.unbilled_reason.as_deref(),
        Some("out-of-disk+first-loss")
    );
    desk.pass(Duration::from_hours(24));
    let next_day = lost_at_work(&mut desk, "mallory", Some(GoneCause::OutOfMemory)).await;
    assert_eq!(desk.usage(next_day).await.billed_seconds, 0);
    desk.assert_sound().await;
}

#[tokio::test]
async fn what_only_the_platform_can_lose_is_never_billed_and_uses_up_nothing() {
    let mut desk = Desk::new(4).await;
    for loss in [None, Some(GoneCause::Taken), None] {
        let id = lost_at_work(&mut desk, "ada", loss).await;
        assert_eq!(desk.state(id).await, "ended:sandbox-lost");
        let row = desk.usage(id).await;
        assert_eq!((row.billed_seconds, row.unbilled_seconds), (0, 100));
        assert_eq!(row.unbilled_reason.as_deref(), Some("sandbox-lost"));
    }
    let first = lost_at_work(&mut desk, "ada", Some(GoneCause::OutOfMemory)).await;
    assert_eq!(desk.usage(first).await.billed_seconds, 0);
    desk.assert_sound().await;
}

#[tokio::test]
async fn a_lab_that_did_not_stand_still_ends_for_that_and_what_it_ran_is_billed() {
    let mut desk = Desk::new(4).await;
    let id = desk.ready("ada", 3600).await;
    desk.pass(Duration::from_secs(100));
    desk.hubs.says(id, |s| {
        s.last_us = 101_000_000;
        s.failed = Some(("not-still".into(), "processes of the lab went on".into()));
    });
    desk.settle().await;
    assert_eq!(desk.state(id).await, "ended:not-still");
    assert_eq!(desk.usage(id).await.billed_seconds, 100);
    desk.assert_sound().await;
}

#[tokio::test]
async fn a_lab_that_wrote_more_than_is_recorded_ends_only_where_it_must_be_recorded() {
    for (policy, state) in [("required", "ended:recording-too-large"), ("best-effort", "ready")] {
        let mut desk = Desk::new(4).await;
        let lab = format!("{LAB}recording: {{policy: {policy}}}\n");
        let version = LabVersion::parse("tiny.yaml", lab.as_bytes()).unwrap();
        desk.pass(Duration::from_secs(1));
        desk.store.lab_publish(&version, desk.clock.now()).await.unwrap();
        let id = desk.ready("ada", 3600).await;
        desk.pass(Duration::from_secs(100));
        desk.hubs.stops_at(id, 61_000_000);
        desk.hubs.says(id, |s| {
            s.last_us = 61_000_000;
            s.recording_error = Some(TOO_LARGE);
        });
        desk.settle().await;
        assert_eq!(desk.state(id).await, state, "{policy}");
        if policy == "required" {
            assert_eq!(desk.usage(id).await.billed_seconds, 60, "the time was used");
        }
        desk.assert_sound().await;
    }
}

#[tokio::test]
async fn an_outage_of_the_runtime_ends_nobody_however_long() {
    let mut desk = Desk::new(4).await;
    let id = desk.ready("ada", 3600).await;
    desk.runtime.faults.always("sandbox_list", Strike::Before);
    desk.hubs.says(id, |s| s.connected = false);
    for _ in 0..40 {
        desk.pass(Duration::from_secs(10));
        desk.settle().await;
    }
    assert_eq!(desk.state(id).await, "ready");
    assert!(desk.hubs.last_notice(id).unwrap().away);
    desk.runtime.faults.mend("sandbox_list");
    desk.hubs.says(id, |s| s.connected = true);
    desk.settle().await;
    assert_eq!(desk.state(id).await, "ready");
    assert!(!desk.hubs.last_notice(id).unwrap().away);
}

#[tokio::test]
async fn an_agent_that_does_not_answer_in_a_running_sandbox_is_lost_after_a_minute() {
    let mut desk = Desk::new(4).await;
    let id = desk.ready("ada", 3600).await;
    desk.hubs.says(id, |s| s.connected = false);
    desk.settle().await;
    desk.pass(Duration::from_secs(40));
    desk.settle().await;
    assert_eq!(desk.state(id).await, "ready");
    desk.pass(Duration::from_secs(20));
    desk.settle().await;
    assert_eq!(desk.state(id).await, "ended:agent-lost");
    desk.assert_sound().await;
}

#[tokio::test]
async fn what_is_lost_with_its_machine_is_nobodys_fault_and_unbilled_however_often() {
    let mut desk = Desk::new(4).await;
    for _ in 0..2 {
        let id = desk.ready("ada", 3600).await;
        desk.pass(Duration::from_secs(100));
        desk.hubs.says(id, |s| {
            s.last_us = 101_000_000;
            s.connected = false;
        });
        desk.runtime.node_goes_away(desk.session(id).await.sandbox);
        desk.settle().await;
        desk.pass(Duration::from_secs(60));
        desk.settle().await;
        assert_eq!(desk.state(id).await, "ended:sandbox-lost");
        let row = desk.usage(id).await;
        assert_eq!((row.billed_seconds, row.unbilled_seconds), (0, 100));
    }
    desk.assert_sound().await;
}

#[tokio::test]
async fn a_restart_finds_sandboxes_again_and_finishes_what_was_begun() {
    let mut desk = Desk::new(4).await;
    let running = desk.ready("ada", 3600).await;
    let stopping = desk.ready("ben", 3600).await;
    desk.runtime.faults.once("sandbox_drop", Strike::Before);
    stop(&desk, stopping).await;
    desk.reconciler.settle().await.unwrap();
    assert_eq!(desk.state(stopping).await, "stopping:learner-stopped");
    desk.restart();
    desk.settle().await;
    assert_eq!(desk.state(running).await, "ready");
    assert_eq!(desk.state(stopping).await, "ended:learner-stopped");
    assert_eq!(desk.runtime.sandbox_list().await.unwrap().len(), 1);
    desk.assert_sound().await;
}

#[tokio::test]
async fn a_sandbox_without_a_session_is_dropped_once_it_is_ten_seconds_old() {
    let mut desk = Desk::new(4).await;
    let kept = desk.ready("ada", 3600).await;
    let mut spec = desk.runtime.spec(desk.session(kept).await.sandbox).unwrap();
    spec.id = SandboxId(uuid::Uuid::from_u128(99));
    spec.session = SessionId(uuid::Uuid::from_u128(99));
    desk.runtime.sandbox_ensure(&spec).await.unwrap();
    desk.reconciler.settle().await.unwrap();
    assert_eq!(
        desk.runtime.sandbox_list().await.unwrap().len(),
        2,
        "it may be of a write not read yet"
    );
    desk.pass(Duration::from_secs(11));
    desk.settle().await;
    let left = desk.runtime.sandbox_list().await.unwrap();
    assert_eq!(left.iter().map(|s| s.session).collect::<Vec<_>>(), [kept]);
}

/// An attach that read the session before its end makes a hub again while the old one is closed.
#[tokio::test]
async fn a_hub_of_no_live_session_is_closed_by_who_leads_too() {
    let mut desk = Desk::new(4).await;
    let (over, running) = (desk.ready("ada", 3600).await, desk.ready("ben", 3600).await);
    stop(&desk, over).await;
    desk.settle().await;
    assert_eq!(desk.state(over).await, "ended:learner-stopped");
    let unknown = SessionId(uuid::Uuid::from_u128(99));
    desk.hubs.says(over, |_| {});
    desk.hubs.says(unknown, |_| {});
    desk.hubs.forget_told();
    desk.settle().await;
    assert!(!desk.hubs.followed(over) && !desk.hubs.followed(unknown));
    assert_eq!(
        desk.hubs.last_notice(over).unwrap().state,
        "ended",
        "its tabs are told why"
    );
    assert!(desk.hubs.followed(running));
    assert_eq!(desk.state(running).await, "ready");
}
