//! A course at a glance.

use super::rig::{Rig, within};
use lab_app::live::Wall;
use lab_core::CourseId;

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
