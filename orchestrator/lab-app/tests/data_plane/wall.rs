//! A course at a glance.

use super::rig::{Rig, within};
use lab_app::live::Wall;
use lab_core::{
    CourseId,
    journal::{Command, Event, Seat},
};

#[tokio::test(start_paused = true)]
async fn a_card_shows_screen_and_progress_and_is_sent_only_when_it_changes() {
    let rig = Rig::new("best-effort").await;
    let wall = Wall::new(rig.ports.clone(), rig.hubs().clone());
    let mut updates = wall.subscribe(CourseId::from("c1"));
    let mut second = wall.subscribe(CourseId::from("c1"));
    let first = within("all cards", updates.recv()).await.unwrap();
    assert_eq!(
        (
            first.cards.len(),
            first.cards[0].name.as_str(),
            first.cards[0].checks_total
        ),
        (1, "Ann", 1)
    );
    rig.agent().output(0, b"x");
    rig.agent().command(0, "show ip route");
    let shown = within("the command", async {
        loop {
            let update = updates.recv().await.unwrap();
            if let Some(card) = update
                .cards
                .into_iter()
                .find(|c| c.last_command.is_some() && !c.screen.is_empty())
            {
                return card;
            }
        }
    })
    .await;
    assert_eq!(
        (shown.last_command.as_deref(), shown.terminal.as_str()),
        (Some("show ip route"), "r1")
    );
    assert_eq!(shown.screen, ["screen@1"]);
    within("the other teacher sees it too", async {
        while second.recv().await.unwrap().cards[0].last_command.is_none() {}
    })
    .await;
    let pictures = rig.agent().snapshots_total();
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    assert_eq!(rig.agent().snapshots_total(), pictures, "no picture without output");
    drop(rig);
}

#[tokio::test(start_paused = true)]
async fn only_what_the_learner_enters_is_progress_not_that_a_command_ends_nor_what_a_helper_types() {
    let rig = Rig::new("best-effort").await;
    let wall = Wall::new(rig.ports.clone(), rig.hubs().clone());
    let mut updates = wall.subscribe(CourseId::from("c1"));
    // time passes by itself; a card that says less than `least` was taken for progress meanwhile
    let mut idle = async |least: u64, secs: u64, last: &str| {
        within("the card", async {
            loop {
                let Some(card) = updates.recv().await.unwrap().cards.pop() else {
                    continue;
                };
                assert!(card.idle_s >= least, "{card:?}");
                if card.idle_s == secs && card.last_command.as_deref() == Some(last) {
                    return;
                }
            }
        })
        .await;
    };
    rig.agent().command(0, "ping 10.0.0.2");
    idle(0, 0, "ping 10.0.0.2").await;
    idle(0, 10, "ping 10.0.0.2").await;
    let ended = |text: &str| {
        Event::Command(Command {
            text: text.to_owned(),
            status: Some(0),
            took_us: Some(10_000_000),
        })
    };
    rig.agent().record(0, ended("ping 10.0.0.2"));
    idle(10, 15, "ping 10.0.0.2").await;
    // a teacher helps: what they typed shows, and the learner is still where they were
    let seat = |role: &str| {
        Event::Seat(Seat {
            writer: "7".into(),
            name: "Prof".into(),
            role: role.into(),
        })
    };
    rig.agent().record(0, seat("teacher"));
    rig.agent().command(0, "show ip route");
    idle(15, 20, "show ip route").await;
    rig.agent().record(0, seat("learner"));
    rig.agent().command(0, "show version");
    idle(0, 0, "show version").await;
    drop(rig);
}

#[tokio::test(start_paused = true)]
async fn nobody_watches_and_nothing_is_read() {
    let rig = Rig::new("best-effort").await;
    let wall = Wall::new(rig.ports.clone(), rig.hubs().clone());
    let mut updates = wall.subscribe(CourseId::from("c1"));
    within("all cards", updates.recv()).await.unwrap();
    drop(updates);
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let reads = rig.store.faults.calls("session_list");
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    assert_eq!(rig.store.faults.calls("session_list"), reads);
}
