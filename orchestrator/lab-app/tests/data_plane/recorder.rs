//! The recording is the journal, whatever breaks, or says loudly that it is not.

use super::rig::{Rig, noise};
use bytes::Bytes;
use futures_util::TryStreamExt;
use lab_app::recording::Recordings;
use lab_core::{
    Subject,
    port::{GoneCause, Store},
    recording::{ExportFormat, RecordingState, TOO_LARGE},
};
use lab_testkit::Strike;

#[tokio::test(start_paused = true)]
async fn a_recorder_killed_around_any_step_leaves_an_intact_chain_of_exactly_the_journal() {
    for step in ["put", "recording_append", "recording_open", "lease_take"] {
        for strike in [Strike::Before, Strike::After] {
            let mut rig = Rig::new("best-effort").await;
            rig.agent().set_frame_bytes(701);
            rig.agent().output(0, &noise(5_000));
            rig.assert_recorded().await;
            let faults = if step == "put" {
                &rig.blobs.faults
            } else {
                &rig.store.faults
            };
            faults.always(step, strike);
            let before = faults.calls(step);
            rig.agent().output(0, &noise(9_000));
            if step == "recording_open" {
                // asked again only by another process
                rig.restart("second");
                rig.hubs().ensure(rig.session);
            }
            if step == "lease_take" {
                tokio::time::sleep(std::time::Duration::from_secs(60)).await;
                rig.agent().output(1, b"the lease has lapsed");
            }
            rig.until("the step struck", || {
                let faults = if step == "put" {
                    &rig.blobs.faults
                } else {
                    &rig.store.faults
                };
                faults.calls(step) > before
            })
            .await;
            rig.restart("third");
            let faults = if step == "put" {
                &rig.blobs.faults
            } else {
                &rig.store.faults
            };
            faults.mend(step);
            rig.agent().output(0, &noise(3_000));
            rig.hubs().ensure(rig.session);
            rig.assert_recorded().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_asked_again_and_nothing_is_recorded_twice() {
    let rig = Rig::new("best-effort").await;
    rig.store.faults.once("recording_append", Strike::After);
    rig.blobs.faults.once("put", Strike::After);
    rig.agent().output(0, &noise(2_000));
    rig.assert_recorded().await;
}

#[tokio::test(start_paused = true)]
async fn a_stopped_lab_is_complete_and_leaves_no_stray_object() {
    let rig = Rig::new("required").await;
    rig.agent().output(0, b"bye");
    rig.store.faults.once("recording_append", Strike::Before);
    rig.hubs().stop_lab(rig.session, "learner-stopped").await;
    rig.hubs().drop_hub(rig.session).await;
    let head = rig.store.recording_head(rig.session).await.unwrap().unwrap();
    assert!(
        matches!(head.state, RecordingState::Complete { .. }),
        "{:?}",
        head.state
    );
    assert_eq!(rig.recorded().await, rig.journal());
    assert_eq!(rig.blobs.objects().len() as u64, head.chunks);
}

#[tokio::test(start_paused = true)]
async fn a_lost_sandbox_leaves_a_cut_recording_of_what_was_taken() {
    let rig = Rig::new("best-effort").await;
    rig.agent().output(0, b"some");
    rig.assert_recorded().await;
    rig.runtime
        .lose(lab_core::SandboxId(rig.session.0), Some(137), GoneCause::OutOfMemory);
    rig.hubs().drop_hub(rig.session).await;
    let head = rig.store.recording_head(rig.session).await.unwrap().unwrap();
    assert!(matches!(head.state, RecordingState::Cut { reason, .. } if reason == "sandbox-lost"));
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_reported_when_the_recording_is_required_and_made_good_when_there_is_room() {
    let rig = Rig::new("required").await;
    rig.assert_recorded().await;
    rig.blobs.faults.always("full", Strike::Before);
    rig.agent().output(0, &noise(6_000_000));
    rig.until("reported", || {
        rig.hubs().status(rig.session).unwrap().recording_error == Some("blobs-full")
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_secs(120)).await;
    assert_eq!(rig.metrics.recording_lost_bytes_total.get(), 0, "nothing is given up");
    rig.blobs.faults.mend("full");
    rig.until("mended", || {
        rig.hubs().status(rig.session).unwrap().recording_error.is_none()
    })
    .await;
    rig.assert_recorded().await;
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_cuts_a_best_effort_recording_loudly_and_the_learner_goes_on() {
    let rig = Rig::new("best-effort").await;
    rig.agent().output(0, b"kept");
    rig.assert_recorded().await;
    let kept = rig.recorded().await;
    rig.blobs.faults.always("full", Strike::Before);
    rig.agent().set_undurable_max(200_000);
    let written = [b"kept".to_vec(), noise(2_000_000)].concat();
    let mut tab = rig.learner().await;
    tab.attach(0, Some(0), true).await;
    rig.agent().output(0, &written[4..]);
    tab.until("all output, and told", |t| {
        t.end(0) == written.len() as u64 && t.has_error("recording")
    })
    .await;
    tab.assert_shows(0, &written);
    assert!(rig.metrics.recording_lost_bytes_total.get() >= 2_000_000);
    let head = rig.store.recording_head(rig.session).await.unwrap().unwrap();
    assert!(matches!(head.state, RecordingState::Cut { reason, .. } if reason == "blobs-full"));
    assert_eq!(rig.recorded().await, kept);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_refuses_for_an_hour_costs_a_typing_learner_nothing() {
    let rig = Rig::new("best-effort").await;
    rig.agent().set_undurable_max(200_000);
    rig.blobs.faults.always("put", Strike::Before);
    let mut tab = rig.learner().await;
    tab.attach(0, Some(0), true).await;
    let written = noise(100_000);
    for part in written.chunks(10_000) {
        rig.agent().output(0, part);
        tokio::time::sleep(std::time::Duration::from_secs(360)).await;
    }
    tab.until("all output", |t| t.end(0) == written.len() as u64).await;
    tab.assert_shows(0, &written);
    assert!(
        rig.hubs().status(rig.session).unwrap().recording_error.is_some(),
        "told"
    );
    rig.blobs.faults.mend("put");
    rig.assert_recorded().await;
    assert_eq!(rig.metrics.recording_lost_bytes_total.get(), 0);
    assert!(rig.hubs().status(rig.session).unwrap().recording_error.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_blink_of_the_store_is_no_reason_to_end_a_lab_whose_recording_is_required() {
    let rig = Rig::new("required").await;
    rig.blobs.faults.always("put", Strike::Before);
    rig.agent().output(0, b"typed");
    let before = rig.blobs.faults.calls("put");
    rig.until("several attempts failed", || rig.blobs.faults.calls("put") > before + 5)
        .await;
    tokio::time::sleep(std::time::Duration::from_secs(300)).await;
    assert_eq!(rig.hubs().status(rig.session).unwrap().recording_error, None);
    rig.blobs.faults.mend("put");
    rig.assert_recorded().await;
}

#[tokio::test(start_paused = true)]
async fn a_lab_that_ends_while_the_store_refuses_is_recorded_to_its_last_byte() {
    let rig = Rig::new("best-effort").await;
    rig.assert_recorded().await;
    rig.blobs.faults.always("put", Strike::Before);
    rig.agent().output(0, b"the last words");
    rig.hubs().stop_lab(rig.session, "learner-stopped").await;
    let journal = rig.journal();
    let ended = rig.hubs().drop_hub(rig.session);
    let mended = async {
        tokio::time::sleep(std::time::Duration::from_secs(300)).await;
        rig.blobs.faults.mend("put");
    };
    tokio::join!(ended, mended);
    assert_eq!(rig.recorded().await, journal);
    let head = rig.store.recording_head(rig.session).await.unwrap().unwrap();
    assert!(
        matches!(head.state, RecordingState::Complete { .. }),
        "{:?}",
        head.state
    );
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_is_never_what_was_sent_ends_the_recording_and_is_not_tried_for_ever() {
    let rig = Rig::new("required").await;
    rig.agent().output(0, b"kept");
    rig.assert_recorded().await;
    let kept = rig.recorded().await;
    rig.blobs.faults.always("corrupt", Strike::Before);
    rig.agent().output(0, b"mangled on its way");
    rig.until("given up", || {
        rig.hubs().status(rig.session).unwrap().recording_error == Some("upload-corrupt")
    })
    .await;
    assert_eq!(rig.metrics.recording_quarantined_total.get(), 3);
    let puts = rig.blobs.faults.calls("put");
    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    assert_eq!(rig.blobs.faults.calls("put"), puts, "it is still being tried");
    assert_eq!(rig.recorded().await, kept);
}

#[tokio::test(start_paused = true)]
async fn one_mangled_upload_is_made_good() {
    let rig = Rig::new("best-effort").await;
    rig.blobs.faults.once("corrupt", Strike::Before);
    rig.agent().output(0, b"mangled once");
    rig.assert_recorded().await;
    assert_eq!(rig.metrics.recording_quarantined_total.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn policy_off_keeps_nothing_and_pauses_nobody() {
    let rig = Rig::new("off").await;
    rig.agent().set_undurable_max(50_000);
    rig.agent().output(0, &noise(1_000_000));
    rig.until("all written", || {
        rig.agent().paused_bytes(0) == 0 && rig.agent().durable() == rig.agent().journal_end()
    })
    .await;
    assert!(rig.blobs.objects().is_empty());
    assert!(rig.store.recording_head(rig.session).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_damaged_line_is_tried_again_and_the_recording_is_whole() {
    let rig = Rig::new("best-effort").await;
    rig.agent().corrupt_next_frame();
    rig.agent().output(0, &noise(1_000));
    rig.until("noticed", || rig.agent().connections_total() > 1).await;
    rig.assert_recorded().await;
}

#[tokio::test(start_paused = true)]
async fn a_corrupt_journal_cuts_the_recording_and_the_learner_goes_on() {
    let rig = Rig::new("best-effort").await;
    let mut tab = rig.learner().await;
    tab.attach(0, Some(0), true).await;
    rig.agent().output(0, b"good");
    tab.until("good", |t| t.end(0) == 4).await;
    rig.assert_recorded().await;
    let kept = rig.recorded().await;
    rig.agent().output_corrupt(0, b"bad");
    tab.until("told", |t| t.has_error("recording")).await;
    rig.agent().output(0, b" more");
    tab.until("a picture, and all that follows", |t| {
        t.snapshots == 1 && t.end(0) == 12
    })
    .await;
    let head = rig.store.recording_head(rig.session).await.unwrap().unwrap();
    assert!(matches!(head.state, RecordingState::Cut { reason, .. } if reason == "journal-corrupt"));
    assert_eq!(rig.recorded().await, kept);
    assert_eq!(
        rig.hubs().status(rig.session).unwrap().recording_error,
        Some("journal-corrupt")
    );
}

#[tokio::test(start_paused = true)]
async fn a_recording_is_cut_at_its_limit_and_the_learner_goes_on() {
    const LIMIT: u64 = 100_000;
    let mut rig = Rig::limited("best-effort", LIMIT).await;
    rig.agent().set_frame_bytes(2_000);
    rig.agent().set_undurable_max(200_000);
    let mut tab = rig.learner().await;
    tab.attach(0, Some(0), true).await;
    let written = noise(600_000);
    for part in written.chunks(2_000) {
        rig.agent().output(0, part);
    }
    tab.until("all output, and told why", |t| {
        t.end(0) == written.len() as u64 && t.has_error("recording-too-large")
    })
    .await;
    tab.assert_shows(0, &written);
    rig.until("the agent keeps nothing for it", || {
        rig.agent().durable() == rig.agent().journal_end()
    })
    .await;
    let recorded = rig.recorded().await;
    assert!(recorded.len() as u64 <= LIMIT, "{}", recorded.len());
    // a piece is 8 KiB and a frame at most
    assert!(recorded.len() as u64 > LIMIT - 10_240, "{}", recorded.len());
    assert_eq!(recorded, rig.journal()[..recorded.len()], "what fits is kept");
    let head = rig.store.recording_head(rig.session).await.unwrap().unwrap();
    assert!(
        matches!(&head.state, RecordingState::Cut { reason, .. } if reason == TOO_LARGE),
        "{:?}",
        head.state
    );
    assert_eq!(rig.metrics.recording_lost_bytes_total.get(), 0, "nobody is woken by it");
    // another process knows why, and begins no second one
    rig.restart("second");
    rig.hubs().ensure(rig.session);
    rig.agent().output(0, &noise(50_000));
    rig.until("the reason is known after a restart", || {
        let status = rig.hubs().status(rig.session);
        status.is_some_and(|s| s.recording_error == Some(TOO_LARGE))
    })
    .await;
    rig.until("nothing is kept", || rig.agent().durable() == rig.agent().journal_end())
        .await;
    assert_eq!(rig.recorded().await, recorded);
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_a_recording_counts_what_was_recorded_before_a_restart() {
    let mut rig = Rig::limited("best-effort", 100_000).await;
    rig.agent().set_frame_bytes(2_000);
    for holder in ["second", "third"] {
        for part in noise(40_000).chunks(2_000) {
            rig.agent().output(0, part);
        }
        rig.assert_recorded().await;
        rig.restart(holder);
        rig.hubs().ensure(rig.session);
    }
    for part in noise(40_000).chunks(2_000) {
        rig.agent().output(0, part);
    }
    rig.until("cut", || {
        let status = rig.hubs().status(rig.session);
        status.is_some_and(|s| s.recording_error == Some(TOO_LARGE))
    })
    .await;
    let recorded = rig.recorded().await.len();
    assert!((80_000..=100_000).contains(&recorded), "{recorded}");
}

#[tokio::test(start_paused = true)]
async fn ranges_exports_and_index_are_of_the_same_bytes() {
    let rig = Rig::new("best-effort").await;
    rig.agent().output(0, b"hello\r\n");
    rig.agent().command(0, "show version");
    rig.assert_recorded().await;
    rig.agent().output(0, b"bye\r\n");
    rig.assert_recorded().await;
    let recordings = Recordings::new(rig.ports.clone());
    let journal = rig.journal();
    let ann = Subject::from("ann");
    for from in 0..=journal.len() {
        let part = recordings
            .journal_read(&ann, rig.session, from as u64, u64::MAX)
            .await
            .unwrap();
        assert_eq!(part, journal[from..]);
        let part = recordings
            .journal_read(&ann, rig.session, 3, from as u64)
            .await
            .unwrap();
        assert_eq!(part, journal[3.min(from)..from]);
    }
    let whole = recordings.export_journal(&ann, rig.session).await.unwrap();
    let whole: Vec<Bytes> = whole.try_collect().await.unwrap();
    assert_eq!(whole.concat(), journal);
    let pieces = recordings
        .export(&ann, rig.session, ExportFormat::Text, "r1")
        .await
        .unwrap();
    let text: Vec<Bytes> = pieces.try_collect().await.unwrap();
    assert_eq!(text.concat(), b"hello\nbye\n");
    let index = recordings.index(&ann, rig.session).await.unwrap();
    assert_eq!((index.end, index.terminals[0].output), (journal.len() as u64, 12));
    assert_eq!(
        (index.markers[0].kind.as_str(), index.markers[0].text.as_str()),
        ("command", "show version")
    );
    let key = rig.blobs.objects().keys().next().unwrap().clone();
    rig.blobs.objects().remove(&key);
    assert!(
        recordings.journal_read(&ann, rig.session, 0, u64::MAX).await.is_err(),
        "a hole is an error, not a shorter answer"
    );
    assert!(recordings.export_journal(&ann, rig.session).await.is_err());
}
