//! Who may type, who watches, and that everyone knows.

use super::rig::{Rig, learner, teacher};
use lab_core::terminal::{FromBrowser, ToBrowser};

#[tokio::test(start_paused = true)]
async fn the_learners_newest_tab_takes_the_seat_from_the_older_one() {
    let rig = Rig::new("best-effort").await;
    let mut old = rig.tab(learner(1)).await;
    old.attach(0, Some(0), true).await;
    old.until("mine", |t| t.seat(0).is_some_and(|s| s.holder == "you"))
        .await;
    let mut new = rig.tab(learner(2)).await;
    new.attach(0, Some(0), true).await;
    new.until("mine", |t| t.seat(0).is_some_and(|s| s.holder == "you"))
        .await;
    old.until("the other's", |t| t.seat(0).is_some_and(|s| s.holder == "other"))
        .await;
    assert_eq!(rig.agent().seat(0), Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_teacher_takes_the_seat_only_by_asking_and_gives_it_back_by_leaving() {
    let rig = Rig::new("best-effort").await;
    let mut ann = rig.learner().await;
    ann.attach(0, Some(0), true).await;
    ann.until("mine", |t| t.seat(0).is_some_and(|s| s.holder == "you"))
        .await;
    let mut tom = rig.tab(teacher(9)).await;
    tom.attach(0, Some(0), true).await;
    tom.send(FromBrowser::Ping { t: 1 }).await;
    tom.until("pong", |t| t.notices.contains(&ToBrowser::Pong { t: 1 }))
        .await;
    assert_eq!(rig.agent().seat(0), Some(1), "attaching takes nothing from a learner");
    tom.send(FromBrowser::Seat {
        terminal: 0,
        take: true,
    })
    .await;
    ann.until("told who", |t| {
        t.seat(0)
            .is_some_and(|s| s.holder == "other" && s.name == "Tom" && s.role == "teacher")
    })
    .await;
    tom.until("his", |t| t.seat(0).is_some_and(|s| s.holder == "you")).await;
    tom.input(1, b"help").await;
    tom.until("typed", |t| t.acked == 1).await;
    drop(tom);
    ann.until("mine again", |t| t.seat(0).is_some_and(|s| s.holder == "you"))
        .await;
    ann.input(1, b"!").await;
    ann.until("typed", |t| t.acked == 1).await;
    assert_eq!(rig.agent().typed(0), b"help!");
}

#[tokio::test(start_paused = true)]
async fn a_learner_takes_the_seat_back_at_any_time() {
    let rig = Rig::new("best-effort").await;
    let mut ann = rig.learner().await;
    ann.attach(0, Some(0), true).await;
    let tom = rig.tab(teacher(9)).await;
    tom.attach(0, Some(0), false).await;
    tom.send(FromBrowser::Seat {
        terminal: 0,
        take: true,
    })
    .await;
    ann.until("the other's", |t| t.seat(0).is_some_and(|s| s.holder == "other"))
        .await;
    ann.send(FromBrowser::Seat {
        terminal: 0,
        take: true,
    })
    .await;
    ann.until("mine again", |t| t.seat(0).is_some_and(|s| s.holder == "you"))
        .await;
    assert_eq!(rig.agent().seat(0), Some(1));
}

#[tokio::test(start_paused = true)]
async fn the_learner_is_told_who_watches_and_when_they_leave() {
    let rig = Rig::new("best-effort").await;
    let mut ann = rig.learner().await;
    let viewers = |t: &super::rig::Tab| {
        t.notices.iter().rev().find_map(|n| {
            if let ToBrowser::Viewers { viewers } = n {
                Some(viewers.len())
            } else {
                None
            }
        })
    };
    let tom = rig.tab(teacher(9)).await;
    ann.until("somebody", |t| viewers(t) == Some(1)).await;
    assert_eq!(rig.agent().viewers().len(), 1);
    rig.agent().cut_connections();
    rig.until("joined again", || {
        rig.agent().viewers().len() == 1 && rig.agent().connections_total() == 2
    })
    .await;
    drop(tom);
    ann.until("nobody", |t| viewers(t) == Some(0)).await;
    rig.until("left", || rig.agent().viewers().is_empty()).await;
}

#[tokio::test(start_paused = true)]
async fn operations_never_attach() {
    let rig = Rig::new("best-effort").await;
    let mut viewer = teacher(3);
    viewer.role = lab_core::launch::Role::Operations;
    let refused = rig.hubs().attach(rig.session, viewer).await.unwrap_err();
    assert_eq!(refused.kind(), lab_core::port::ErrorKind::Denied);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_ran_is_told_to_all_and_stored() {
    use lab_core::port::Store;
    let rig = Rig::new("best-effort").await;
    rig.agent().set_check("ping", true);
    let mut ann = rig.learner().await;
    ann.send(FromBrowser::Check { check: None }).await;
    ann.until("passed", |t| {
        t.notices
            .iter()
            .any(|n| matches!(n, ToBrowser::Checks { outcomes, running: false } if outcomes.iter().any(|o| o.passed)))
    })
    .await;
    assert_eq!(rig.store.check_list(rig.session).await.unwrap()[0].points, 5);
}

/// Tabs of one kind: as many as there may be, and some more.
async fn crowd(rig: &Rig, max: usize, viewer: impl Fn(u64) -> lab_app::terminal::Viewer) -> Vec<super::rig::Tab> {
    let mut tabs: Vec<super::rig::Tab> = Vec::new();
    for n in 0..max as u64 + 2 {
        let mut tab = rig.tab(viewer(n)).await;
        tab.send(FromBrowser::Ping { t: 0 }).await;
        tab.until("it is there", |t| t.notices.contains(&ToBrowser::Pong { t: 0 }))
            .await;
        tabs.push(tab);
        for tab in &mut tabs {
            tab.take_what_is_there().await;
        }
    }
    for (n, tab) in tabs.iter_mut().enumerate() {
        if n < 2 {
            tab.until("the oldest is told why", |t| t.closed.is_some()).await;
            assert_eq!(tab.closed, Some(4409));
        } else {
            tab.send(FromBrowser::Ping { t: n as u64 }).await;
            tab.until("the others go on", |t| {
                t.notices.contains(&ToBrowser::Pong { t: n as u64 })
            })
            .await;
        }
    }
    tabs
}

#[tokio::test(start_paused = true)]
async fn a_session_has_so_many_tabs_of_each_kind_and_the_oldest_gives_way() {
    let rig = Rig::new("best-effort").await;
    let mut tom = rig.tab(teacher(1000)).await;
    let mut ann = crowd(&rig, 16, |n| learner(n + 1)).await;
    tom.send(FromBrowser::Ping { t: 1 }).await;
    tom.until("learners push no teacher out", |t| {
        t.notices.contains(&ToBrowser::Pong { t: 1 })
    })
    .await;
    drop(tom);
    let _teachers = crowd(&rig, 64, |n| teacher(n + 100)).await;
    let last = ann.last_mut().unwrap();
    last.send(FromBrowser::Ping { t: 99 }).await;
    last.until("teachers push no learner out", |t| {
        t.notices.contains(&ToBrowser::Pong { t: 99 })
    })
    .await;
}

/// What the audit log says of help in this session, the oldest first.
async fn helped(rig: &Rig) -> Vec<String> {
    use lab_core::port::Store;
    let lines = rig.store.audit_list(Some(rig.session)).await.unwrap();
    let told = |e: lab_core::port::AuditEvent| format!("{} {} {}", e.actor, e.action, e.detail);
    let mut all: Vec<_> = lines.into_iter().map(told).collect();
    all.reverse();
    all
}

#[tokio::test(start_paused = true)]
async fn help_is_written_down_once_for_each_look_and_before_it_is_given() {
    let rig = Rig::new("best-effort").await;
    let mut ann = rig.learner().await;
    ann.attach(0, Some(0), true).await;
    ann.until("mine", |t| t.seat(0).is_some_and(|s| s.holder == "you"))
        .await;
    let take = |take| FromBrowser::Seat { terminal: 0, take };
    let mut tom = rig.tab(teacher(9)).await;
    tom.attach(0, Some(0), false).await;
    // what cannot be written down is not done
    rig.store.faults.always("audit_append", lab_testkit::Strike::Before);
    tom.send(take(true)).await;
    tom.send(FromBrowser::Check { check: None }).await;
    tom.until("he is told so", |t| t.has_error("away")).await;
    assert_eq!(rig.agent().seat(0), Some(1), "the seat has not moved");
    rig.store.faults.mend("audit_append");
    tom.send(take(true)).await;
    tom.until("his", |t| t.seat(0).is_some_and(|s| s.holder == "you")).await;
    assert_eq!(helped(&rig).await, ["Tom help seat r1"]);
    tom.send(FromBrowser::Check { check: None }).await;
    tom.send(take(false)).await;
    ann.until("mine again", |t| t.seat(0).is_some_and(|s| s.holder == "you"))
        .await;
    assert_eq!(helped(&rig).await.len(), 1, "once for each look");
    // what a learner does in their own lab is nobody's help
    ann.send(FromBrowser::Check { check: None }).await;
    let again = rig.tab(teacher(10)).await;
    again.send(FromBrowser::Check { check: None }).await;
    again.send(FromBrowser::Ping { t: 1 }).await;
    rig.until("the next look is another", || {
        let mut looked = Box::pin(helped(&rig));
        futures_util::FutureExt::now_or_never(&mut looked).is_some_and(|h| h == ["Tom help seat r1", "Tom help check"])
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_takes_the_keyboard_and_gives_it_back_at_once_has_given_it_back() {
    let rig = Rig::new("best-effort").await;
    let mut ann = rig.learner().await;
    ann.attach(0, Some(0), true).await;
    ann.until("mine", |t| t.seat(0).is_some_and(|s| s.holder == "you"))
        .await;
    let tom = rig.tab(teacher(9)).await;
    tom.attach(0, Some(0), false).await;
    for take in [true, false] {
        tom.send(FromBrowser::Seat { terminal: 0, take }).await;
    }
    ann.until("his, for a moment", |t| {
        t.notices
            .iter()
            .any(|n| matches!(n, ToBrowser::Seat { seat, .. } if seat.holder == "other"))
    })
    .await;
    ann.until("mine again", |t| t.seat(0).is_some_and(|s| s.holder == "you"))
        .await;
    assert_eq!(rig.agent().seat(0), Some(1));
}

#[tokio::test(start_paused = true)]
async fn where_the_plan_has_no_coaching_a_teacher_looks_and_does_nothing() {
    let rig = Rig::new("best-effort").await;
    let mut viewer = teacher(9);
    viewer.may_type = false;
    let tom = async |message: FromBrowser| {
        let mut tom = rig.tab(viewer.clone()).await;
        tom.attach(0, Some(0), false).await;
        tom.send(message.clone()).await;
        let code = if matches!(message, FromBrowser::Seat { .. }) {
            "no-seat"
        } else {
            "not-allowed"
        };
        tom.until("refused", |t| t.has_error(code)).await;
    };
    tom(FromBrowser::Seat {
        terminal: 0,
        take: true,
    })
    .await;
    tom(FromBrowser::Check { check: None }).await;
    tom(FromBrowser::Restart { terminal: 0 }).await;
    tom(FromBrowser::Marker {
        terminal: 0,
        label: "here".into(),
    })
    .await;
    assert!(
        helped(&rig).await.is_empty(),
        "nothing was done that is to be written down"
    );
}
