//! What a terminal writes is what tabs get: from anywhere, over any interruption, whoever else watches.

use super::rig::{Rig, learner, noise, teacher};
use lab_core::{
    SandboxId,
    limits::RING_BYTES_MAX,
    port::Runtime,
    terminal::{FromBrowser, ToBrowser},
};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_tab_resumes_at_every_offset_with_exactly_the_missing_bytes() {
    let rig = Rig::new("best-effort").await;
    rig.agent().set_frame_bytes(37);
    let written = noise(300);
    for part in written.chunks(7) {
        rig.agent().output(0, part);
    }
    for from in 0..=written.len() as u64 {
        let mut tab = rig.learner().await;
        tab.attach(0, Some(from), true).await;
        tab.send(FromBrowser::Ping { t: from }).await;
        tab.until("the rest", |t| {
            t.end(0) == 300 || from == 300 && t.notices.contains(&ToBrowser::Pong { t: from })
        })
        .await;
        if from < 300 {
            tab.assert_shows(0, &written);
            assert_eq!((tab.snapshots, tab.got[0].as_ref().unwrap().0), (0, from));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_tab_gets_a_picture_and_goes_on_from_its_exact_offset() {
    let rig = Rig::new("best-effort").await;
    let mut written = noise(5000);
    rig.agent().output(0, &written);
    let mut first = rig.learner().await;
    first.attach(0, Some(0), true).await;
    first.until("all so far", |t| t.end(0) == 5000).await;
    let mut late = rig.tab(teacher(9)).await;
    late.attach(0, None, false).await;
    for part in noise(40_000).chunks(1000) {
        written.extend_from_slice(part);
        rig.agent().output(0, part);
    }
    late.until("all", |t| t.end(0) == 45_000).await;
    first.until("all", |t| t.end(0) == 45_000).await;
    assert_eq!(late.snapshots, 1);
    late.assert_shows(0, &written);
    first.assert_shows(0, &written);
}

#[tokio::test(start_paused = true)]
async fn a_line_cut_anywhere_leaves_no_hole_and_doubles_nothing() {
    let rig = Rig::new("best-effort").await;
    rig.agent().set_frame_bytes(1009);
    let written = noise(200_000);
    let mut tab = rig.learner().await;
    tab.attach(0, Some(0), true).await;
    for (n, part) in written.chunks(10_000).enumerate() {
        rig.agent().output(0, part);
        if n % 3 == 1 {
            rig.agent().cut_connections();
        }
        tab.until("this part", |t| t.end(0) >= (n as u64 + 1) * 5_000).await;
    }
    tab.until("all", |t| t.end(0) == 200_000).await;
    tab.assert_shows(0, &written);
    assert!(rig.agent().connections_total() > 3);
    rig.assert_recorded().await;
}

#[tokio::test(start_paused = true)]
async fn a_restarted_orchestrator_serves_the_next_byte_without_a_picture() {
    let mut rig = Rig::new("best-effort").await;
    let written = noise(400_000);
    let mut tab = rig.learner().await;
    tab.attach(0, Some(0), true).await;
    rig.agent().output(0, &written[..300_000]);
    tab.until("a part", |t| t.end(0) >= 150_000).await;
    let from = tab.end(0);
    rig.restart("second");
    rig.agent().output(0, &written[300_000..]);
    rig.hubs().ensure(rig.session);
    let mut again = rig.learner().await;
    again.attach(0, Some(from), true).await;
    again.until("the rest", |t| t.end(0) == 400_000).await;
    assert_eq!((again.snapshots, again.got[0].as_ref().unwrap().0), (0, from));
    again.assert_shows(0, &written);
    rig.assert_recorded().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_older_than_the_ring_comes_as_a_picture() {
    let rig = Rig::new("best-effort").await;
    rig.agent().output(0, &noise(RING_BYTES_MAX + 400_000));
    rig.until("it is recorded", || rig.agent().durable() == rig.agent().journal_end())
        .await;
    let mut tab = rig.learner().await;
    tab.attach(0, Some(10), true).await;
    tab.until("a picture", |t| t.snapshots == 1).await;
    assert_eq!(tab.end(0), RING_BYTES_MAX as u64 + 400_000);
}

#[tokio::test(start_paused = true)]
async fn a_seat_holder_that_draws_nothing_pauses_its_terminal_and_no_other() {
    let rig = Rig::new("best-effort").await;
    let mut tab = rig.learner().await;
    tab.draws = false;
    tab.attach(0, Some(0), true).await;
    tab.until("the seat", |t| t.seat(0).is_some_and(|s| s.holder == "you"))
        .await;
    rig.until("a limit", || rig.agent().credit(0) < u64::MAX).await;
    let limit = rig.agent().credit(0);
    rig.agent().output(0, &noise(1_000_000));
    rig.agent().output(1, &noise(1000));
    tab.until("its window", |t| t.end(0) == limit).await;
    assert_eq!(rig.agent().output_offset(0), limit);
    assert_eq!(rig.agent().output_offset(1), 1000);
    drop(tab);
    rig.until("a tab that is gone slows nobody", || rig.agent().paused_bytes(0) == 0)
        .await;
}

#[tokio::test(start_paused = true)]
async fn viewers_that_stall_flood_or_die_change_nothing_for_the_learner() {
    // the same work without and with them; what the learner gets is counted, message by message
    let mut counted = Vec::new();
    for disturbed in [false, true] {
        let rig = Rig::new("best-effort").await;
        let mut stalled = rig.tab(teacher(20)).await;
        let mut dying = Some(rig.tab(teacher(21)).await);
        let flooding = rig.tab(teacher(22)).await;
        let mut tab = rig.learner().await;
        tab.attach(0, Some(0), true).await;
        tab.until("the seat", |t| t.seat(0).is_some()).await;
        let written = noise(3_000_000);
        if disturbed {
            stalled.draws = false;
            for t in [&stalled, dying.as_ref().unwrap(), &flooding] {
                t.attach(0, Some(0), false).await;
            }
        }
        for part in written.chunks(100_000) {
            rig.agent().output(0, part);
            if disturbed {
                for t in 0..50 {
                    let _ = flooding
                        .tx
                        .try_send(lab_app::terminal::ToHub::Control(FromBrowser::Ping { t }));
                }
            }
            let want = tab.end(0) + 50_000;
            tab.until("steady output", |t| t.end(0) >= want).await;
            if tab.end(0) > 1_000_000 {
                dying = None;
            }
        }
        drop(dying);
        tab.until("all", |t| t.end(0) == 3_000_000).await;
        tab.assert_shows(0, &written);
        counted.push((
            tab.got[0].as_ref().unwrap().1.len(),
            tab.snapshots,
            rig.agent().paused_bytes(0),
        ));
        if disturbed {
            stalled.draws = true;
            stalled.until("what was sent before it stalled", |t| t.end(0) > 0).await;
        }
    }
    assert_eq!(counted[0], counted[1]);
}

#[tokio::test(start_paused = true)]
async fn a_viewer_left_behind_gets_a_picture_once_it_has_drawn_what_it_had() {
    let rig = Rig::new("best-effort").await;
    let mut slow = rig.tab(teacher(5)).await;
    slow.draws = false;
    slow.attach(0, Some(0), false).await;
    rig.agent().output(0, &noise(900_000));
    slow.until("its window", |t| t.end(0) >= 64 * 1024).await;
    let held = slow.end(0);
    slow.draws = true;
    slow.tx
        .send(lab_app::terminal::ToHub::Drawn {
            terminal: 0,
            offset: held,
        })
        .await
        .unwrap();
    slow.until("a picture of now", |t| t.snapshots == 1 && t.end(0) == 900_000)
        .await;
    assert_eq!(rig.metrics.viewer_resyncs_total.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn sizes_and_exits_come_in_order_with_the_output() {
    let rig = Rig::new("best-effort").await;
    let mut tab = rig.learner().await;
    tab.attach(0, Some(0), true).await;
    rig.agent().output(0, b"before");
    rig.agent()
        .record(0, lab_core::journal::Event::Resize { cols: 100, rows: 40 });
    rig.agent().output(0, b"after");
    rig.agent().exit(0, 3);
    tab.until("the exit", |t| {
        t.notices.contains(&ToBrowser::Exit { terminal: 0, status: 3 })
    })
    .await;
    assert_eq!(tab.end(0), 11, "the exit follows the last byte");
    assert!(tab.notices.contains(&ToBrowser::Resize {
        terminal: 0,
        cols: 100,
        rows: 40,
        offset: 6
    }));
}

#[tokio::test(start_paused = true)]
async fn a_silent_agent_is_left_for_a_new_line_and_people_are_told() {
    let rig = Rig::new("best-effort").await;
    let mut tab = rig.learner().await;
    tab.attach(0, Some(0), true).await;
    rig.agent().set_silent(true);
    let away = |t: &super::rig::Tab, wanted: bool| {
        t.notices.iter().rev().find_map(|n| {
            if let ToBrowser::Session(s) = n {
                Some(s.away)
            } else {
                None
            }
        }) == Some(wanted)
    };
    tab.until("away", |t| away(t, true)).await;
    rig.agent().set_silent(false);
    rig.agent().output(0, b"back");
    tab.until("back", |t| away(t, false) && t.end(0) == 4).await;
}

#[tokio::test(start_paused = true)]
async fn frames_out_of_protocol_close_that_tab_only() {
    let rig = Rig::new("best-effort").await;
    let mut good = rig.learner().await;
    good.attach(0, Some(0), true).await;
    let mut bad = rig.tab(learner(2)).await;
    bad.attach(7, None, false).await;
    bad.until("closed", |t| t.closed == Some(4400)).await;
    rig.agent().output(0, b"fine");
    good.until("output", |t| t.end(0) == 4).await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_breaks_the_protocol_after_each_welcome_is_dialled_ever_later() {
    let rig = Rig::unstarted("best-effort").await;
    let id = SandboxId(rig.session.0);
    let mut spec = rig.runtime.spec(id).unwrap();
    spec.agent.terminals.truncate(1);
    rig.runtime.sandbox_drop(id).await.unwrap();
    rig.runtime.sandbox_ensure(&spec).await.unwrap();
    rig.hubs().ensure(rig.session);
    rig.until("the hub meets the agent", || rig.agent().connections_total() > 0)
        .await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    // every 25 ms would be 2400
    let dialled = rig.agent().connections_total();
    assert!((5..120).contains(&dialled), "{dialled} times in a minute");
}
