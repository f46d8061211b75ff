//! What is typed reaches the shell once.

use super::rig::{Rig, learner};
use lab_core::terminal::{FromBrowser, SessionNotice, ToBrowser};

#[tokio::test(start_paused = true)]
async fn input_is_applied_once_over_lost_lines_and_lost_acknowledgements() {
    let rig = Rig::new("best-effort").await;
    let mut tab = rig.learner().await;
    tab.attach(0, Some(0), true).await;
    tab.until("the seat", |t| t.seat(0).is_some()).await;
    tab.input(1, b"one ").await;
    tab.until("acknowledged", |t| t.acked == 1).await;
    rig.agent().set_mute_acks(true);
    tab.input(2, b"two ").await;
    rig.until("applied", || rig.agent().typed(0) == b"one two ").await;
    rig.agent().set_mute_acks(false);
    rig.agent().cut_connections();
    tab.input(3, b"three").await;
    tab.until("acknowledged", |t| t.acked == 3).await;
    assert_eq!(rig.agent().typed(0), b"one two three");
}

#[tokio::test(start_paused = true)]
async fn a_tab_that_sends_again_after_its_socket_broke_types_nothing_twice() {
    let rig = Rig::new("best-effort").await;
    let mut tab = rig.learner().await;
    tab.attach(0, Some(0), true).await;
    tab.input(1, b"a").await;
    tab.input(2, b"b").await;
    tab.until("acknowledged", |t| t.acked == 2).await;
    drop(tab);
    let mut again = rig.learner().await;
    again.attach(0, Some(0), true).await;
    again.input(2, b"b").await;
    again.input(3, b"c").await;
    again.until("acknowledged", |t| t.acked == 3).await;
    assert_eq!(rig.agent().typed(0), b"abc");
}

#[tokio::test(start_paused = true)]
async fn input_from_a_tab_without_the_seat_is_refused_and_said_so() {
    let rig = Rig::new("best-effort").await;
    let mut first = rig.learner().await;
    first.attach(0, Some(0), true).await;
    first.until("the seat", |t| t.seat(0).is_some()).await;
    let mut second = rig.tab(learner(2)).await;
    second.attach(0, Some(0), false).await;
    second.input(1, b"rm -rf").await;
    second.until("refused", |t| t.has_error("no-seat")).await;
    second
        .send(FromBrowser::Resize {
            terminal: 0,
            cols: 10,
            rows: 5,
        })
        .await;
    second.send(FromBrowser::Ping { t: 1 }).await;
    second
        .until("pong", |t| {
            t.notices.contains(&lab_core::terminal::ToBrowser::Pong { t: 1 })
        })
        .await;
    assert_eq!((rig.agent().typed(0), rig.agent().size(0)), (Vec::new(), (80, 24)));
}

#[tokio::test(start_paused = true)]
async fn what_is_typed_while_the_lab_stands_still_is_dropped_and_said_so_and_leaves_no_hole() {
    let rig = Rig::new("best-effort").await;
    let mut tab = rig.learner().await;
    tab.attach(0, Some(0), true).await;
    tab.until("the seat", |t| t.seat(0).is_some()).await;
    tab.input(1, b"one ").await;
    tab.until("acknowledged", |t| t.acked == 1).await;
    let told = tab.session().unwrap().clone();
    let state = |state: &str| {
        ToBrowser::Session(SessionNotice {
            state: state.into(),
            ..told.clone()
        })
    };
    let (frozen, ready) = (state("frozen"), state("ready"));
    rig.hubs().tell(rig.session, frozen);
    tab.until("frozen", |t| t.session().is_some_and(|s| s.state == "frozen"))
        .await;
    tab.input(2, b"kill -CONT -1\r").await;
    tab.until("refused", |t| t.has_error("frozen")).await;
    tab.until("its number is used", |t| t.acked == 2).await;
    for key in 3..=10 {
        tab.input(key, b"x").await;
    }
    tab.until("their numbers are used", |t| t.acked == 10).await;
    assert_eq!(tab.errors("frozen"), 1, "a key that is held is told once");
    rig.hubs().tell(rig.session, ready);
    tab.until("ready", |t| t.session().is_some_and(|s| s.state == "ready"))
        .await;
    tab.input(11, b"two").await;
    tab.until("acknowledged", |t| t.acked == 11).await;
    assert_eq!(rig.agent().typed(0), b"one two");
}

#[tokio::test(start_paused = true)]
async fn a_hole_in_input_numbers_closes_the_tab() {
    let rig = Rig::new("best-effort").await;
    let mut tab = rig.learner().await;
    tab.attach(0, Some(0), true).await;
    tab.until("the seat", |t| t.seat(0).is_some()).await;
    tab.input(1, b"a").await;
    tab.input(3, b"c").await;
    tab.until("closed", |t| t.closed == Some(4400)).await;
    assert_eq!(rig.agent().typed(0), b"a");
}
