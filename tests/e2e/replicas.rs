//! Several replicas on one Postgres and one S3: replaced, killed, cut off from either, and nobody notices much.

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use lab_e2e::{Pace, Replicas, Tab, come_back, eventually, journal, killed_replica, output, rolling_upgrade};
use serde_json::json;
use std::time::Duration;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest, http::HeaderValue};

const SHELL_LAB: &str = include_str!("../src/shell-lab.yaml");
const SH: u16 = 0;
const CAT: u16 = 1;
/// The benchmark does it with 200, by `rolling_upgrade`; another number for a look by `LABWIRE_LEARNERS`.
fn learners() -> usize {
    let given = std::env::var("LABWIRE_LEARNERS").ok();
    given.and_then(|n| n.parse().ok()).unwrap_or(20)
}

/// What is promised.
const PAUSE_MAX: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_upgrade_loses_no_shell_and_no_byte_and_nobody_waits_long() -> Result<()> {
    let upgrade = rolling_upgrade(learners(), SHELL_LAB).await?;
    println!(
        "{} learners, {} lines, {} pauses, p99 {:?}, longest {:?}, replicas gone after {:?}",
        upgrade.learners,
        upgrade.lines,
        upgrade.pauses.len(),
        upgrade.pause_p99(),
        upgrade.pauses.last(),
        upgrade.ends
    );
    ensure!(
        upgrade.pauses.len() >= learners(),
        "everybody's replica was replaced, and only {} noticed: was the door used?",
        upgrade.pauses.len()
    );
    ensure!(upgrade.wrong.is_empty(), "{:?}", upgrade.wrong);
    ensure!(upgrade.pause_p99() < PAUSE_MAX, "{upgrade:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_killed_under_load_is_a_short_pause_for_learners_and_teachers() -> Result<()> {
    let (upgrade, teachers) = killed_replica(learners(), SHELL_LAB).await?;
    println!(
        "{} of {} were on it; longest pause {:?}, teachers' {teachers:?}",
        upgrade.pauses.len(),
        upgrade.learners,
        upgrade.pauses.last()
    );
    ensure!(!upgrade.pauses.is_empty(), "nobody was on the killed replica");
    ensure!(upgrade.wrong.is_empty(), "{:?}", upgrade.wrong);
    ensure!(upgrade.pauses.iter().all(|p| *p < PAUSE_MAX), "{upgrade:?}");
    ensure!(teachers < PAUSE_MAX, "a teacher saw nothing for {teachers:?}");
    Ok(())
}

/// A card of the wall at one replica, once it is as wanted.
async fn card(replicas: &Replicas, n: usize, session: &str, wanted: impl Fn(&serde_json::Value) -> bool) -> Result<()> {
    let teacher = replicas.staff(&replicas.url_of(n), "teacher").await?;
    let ticket = teacher
        .post("/tickets", &json!({"scope": "wall", "course": "net"}))
        .await?;
    let path = format!("/wall?ticket={}", ticket["ticket"].as_str().context("a ticket")?);
    let mut request = teacher.socket_url(&path).into_client_request()?;
    let protocol = HeaderValue::from_static("labwire.wall.v1");
    request.headers_mut().insert("sec-websocket-protocol", protocol);
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await?;
    let seen = tokio::time::timeout(Duration::from_secs(20), async {
        while let Some(message) = socket.next().await {
            let Message::Text(text) = message? else { continue };
            let cards: serde_json::Value = serde_json::from_str(&text)?;
            let found = cards["cards"].as_array().into_iter().flatten();
            if found.into_iter().any(|c| c["session"] == session && wanted(c)) {
                return Ok(());
            }
        }
        anyhow::bail!("the wall ended")
    });
    seen.await.context("the wall of another replica does not show it")?
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_replica_serves_any_ticket_terminal_wall_replay_and_login() -> Result<()> {
    let replicas = Replicas::start(3, SHELL_LAB).await?;
    let (learner, session) = replicas.learner("ada").await?;
    // the same login at each replica's own address
    let at = |n: usize| {
        let mut api = learner.clone();
        api.base = format!("{}/api/v1", replicas.url_of(n));
        api
    };
    let tab = Tab::open(&at(0), &session, Pace::Fast).await?;
    tab.attach_ready(SH).await?;
    tab.type_text(SH, "echo from-$((6*7))\r").await?;
    tab.shows(SH, "from-42", 20).await?;
    for n in 0..replicas.count() {
        card(&replicas, n, &session, |c| {
            c["state"] == "ready" && c["screen"].to_string().contains("from-42")
        })
        .await
        .with_context(|| format!("replica {n}"))?;
    }
    // a ticket made on one replica opens a socket on another, once
    let ticket = at(1).ticket(&session, 7).await?;
    let open = async |n: usize| -> Result<bool> {
        let mut request = at(n)
            .socket_url(&format!("/ws?ticket={ticket}"))
            .into_client_request()?;
        let protocol = HeaderValue::from_static(lab_core::terminal::BROWSER_PROTOCOL);
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await?;
        Ok(matches!(socket.next().await, Some(Ok(Message::Text(_)))))
    };
    ensure!(open(2).await?, "the ticket of another replica opens nothing");
    ensure!(!open(0).await?, "a ticket was used twice");
    // a teacher on another replica watches, and the learner is told by name
    let teacher = replicas.staff(&replicas.url_of(1), "teacher").await?;
    let watcher = Tab::open(&teacher, &session, Pace::Fast).await?;
    watcher.ready(20).await?;
    watcher.attach(SH, false).await?;
    tab.message("the learner is told who watches", 20, |m| {
        serde_json::to_string(m)
            .is_ok_and(|m| m.contains("viewers") && m.contains("teacher"))
            .then_some(())
    })
    .await?;
    tab.type_text(SH, "echo seen-$((5*5))\r").await?;
    watcher.shows(SH, "seen-25", 20).await?;
    // a bearer that one replica rotated is known to the others, and the old one soon to none
    let rotated = at(1).post("/token/rotate", &json!({})).await?;
    let mut fresh = at(2);
    fresh.bearer = rotated["bearer"].as_str().context("a bearer")?.to_owned();
    ensure!(
        fresh.get("/me").await.is_ok(),
        "the rotated bearer is unknown to another replica"
    );
    // the recording is read where nobody recorded, and stopped where nobody is attached
    eventually("the recording has it", Duration::from_secs(20), || async {
        let found = journal(&fresh, &session).await?;
        let text = String::from_utf8_lossy(&output(&found, SH)?).into_owned();
        Ok(text.contains("seen-25").then_some(()))
    })
    .await?;
    let bearer = fresh.bearer.clone();
    let mut elsewhere = at(1);
    elsewhere.bearer = bearer;
    elsewhere.post(&format!("/sessions/{session}/stop"), &json!({})).await?;
    tab.message("the learner on another replica is told the end", 30, |m| {
        serde_json::to_string(m)
            .is_ok_and(|m| m.contains("\"ended\""))
            .then_some(())
    })
    .await?;
    eventually("the recording is complete", Duration::from_secs(30), || async {
        let index = elsewhere.get(&format!("/sessions/{session}/recording")).await?;
        Ok(index.to_string().contains("\"complete\"").then_some(()))
    })
    .await?;
    replicas.cli(&["recording", "verify", &session])?;
    replicas.finish().await
}

/// Echoes go on; what was typed is there.
async fn goes_on(tab: &Tab, word: &str) -> Result<()> {
    let before = tab.offset(CAT);
    tab.type_text(CAT, word).await?;
    tab.offset_reaches(CAT, before + word.len() as u64, 10).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_stops_no_terminal_and_launches_say_why_they_wait() -> Result<()> {
    let replicas = Replicas::start(3, SHELL_LAB).await?;
    let (learner, session) = replicas.learner("ada").await?;
    let tab = Tab::open(&learner, &session, Pace::Fast).await?;
    tab.attach_ready(CAT).await?;
    let start = tab.offset(CAT);
    goes_on(&tab, "before ").await?;
    replicas.database.shut();
    let client = lab_e2e::client();
    for n in 0..replicas.count() {
        let url = format!("{}/readyz", replicas.url_of(n));
        eventually(
            "a replica without a database says so",
            Duration::from_secs(20),
            || async {
                let answer = client.get(&url).send().await?;
                let (status, text) = (answer.status(), answer.text().await?);
                ensure!(status == 200, "replica {n} sends everybody away: {status} {text}");
                Ok(text.contains("store-unavailable").then_some(()))
            },
        )
        .await?;
    }
    goes_on(&tab, "without ").await?;
    let mut late = learner.clone();
    late.base = format!("{}/api/v1", replicas.url_of(1));
    let refused = late.start("shell").await.expect_err("there is no database");
    let refused = refused.downcast_ref::<lab_e2e::ApiError>().context("an answer")?;
    ensure!(
        refused.status == 503 && refused.body["code"] == "store-unavailable",
        "{refused}"
    );
    goes_on(&tab, "still ").await?;
    ensure!(tab.ended().is_none(), "the socket did not live through it");
    replicas.database.open();
    goes_on(&tab, "after").await?;
    let typed = b"before without still after";
    eventually("all of it is recorded", Duration::from_secs(40), || async {
        let found = output(&journal(&learner, &session).await?, CAT)?;
        Ok((found.get(usize::try_from(start)?..) == Some(&typed[..])).then_some(()))
    })
    .await?;
    let (_, second) = eventually("a launch goes through again", Duration::from_secs(20), || async {
        Ok(replicas.learner("ben").await.ok())
    })
    .await?;
    ensure!(second != session);
    replicas.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_finds_the_labs_that_still_run_and_their_recordings() -> Result<()> {
    let mut replicas = Replicas::start(3, SHELL_LAB).await?;
    let (learner, session) = replicas.learner("ada").await?;
    let mut tab = Tab::open(&learner, &session, Pace::Fast).await?;
    tab.attach_ready(CAT).await?;
    let start = usize::try_from(tab.offset(CAT))?;
    let recorded = async |typed: &'static str| {
        eventually("all of it is recorded", Duration::from_secs(40), || async {
            let found = output(&journal(&learner, &session).await?, CAT)?;
            Ok((found.get(start..) == Some(typed.as_bytes())).then_some(()))
        })
        .await
    };
    goes_on(&tab, "before ").await?;
    recorded("before ").await?;
    let backup = replicas.back_up()?;
    goes_on(&tab, "between ").await?;
    recorded("before between ").await?;
    for n in 0..replicas.count() {
        replicas.terminate(n).await?;
    }
    replicas.restore(&backup)?;
    for n in 0..replicas.count() {
        replicas.spawn(n)?;
        replicas.ready(n).await?;
    }
    let why = tab.ended().context("the servers were stopped")?;
    come_back(&mut tab, &why).await?;
    goes_on(&tab, "after").await?;
    recorded("before between after").await?;
    replicas.cli(&["recording", "verify", &session])?;
    replicas.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn object_storage_that_refuses_costs_no_byte_not_even_of_a_lab_that_ends_meanwhile() -> Result<()> {
    let replicas = Replicas::start(3, SHELL_LAB).await?;
    let (ada, stays) = replicas.learner("ada").await?;
    let (ben, ends) = replicas.learner("ben").await?;
    let mut tabs = Vec::new();
    for (api, session) in [(&ada, &stays), (&ben, &ends)] {
        let tab = Tab::open(api, session, Pace::Fast).await?;
        tab.attach_ready(CAT).await?;
        goes_on(&tab, "before ").await?;
        tabs.push((tab.offset(CAT) as usize - 7, tab));
    }
    replicas.objects.shut();
    for (_, tab) in &tabs {
        goes_on(tab, "refused ").await?;
    }
    // every replica is still there for everybody
    for n in 0..replicas.count() {
        let ready = reqwest::get(format!("{}/readyz", replicas.url_of(n))).await?;
        ensure!(ready.status().is_success(), "replica {n} sent everybody away");
    }
    let end = ben.get(&format!("/sessions/{ends}/recording")).await?["end"].as_u64();
    ben.post(&format!("/sessions/{ends}/stop"), &json!({})).await?;
    eventually("the lab has ended", Duration::from_secs(60), || async {
        let view = ben.get(&format!("/sessions/{ends}")).await?;
        Ok((view["state"] == "ended").then_some(()))
    })
    .await?;
    let index = ben.get(&format!("/sessions/{ends}/recording")).await;
    ensure!(
        index.is_err() || index?["end"].as_u64() == end,
        "something was recorded: was the storage away?"
    );
    goes_on(&tabs[0].1, "still ").await?;
    replicas.objects.open();
    for (api, session, start, typed) in [
        (&ada, &stays, tabs[0].0, &b"before refused still "[..]),
        (&ben, &ends, tabs[1].0, &b"before refused "[..]),
    ] {
        eventually("every byte is recorded", Duration::from_secs(60), || async {
            let found = output(&journal(api, session).await?, CAT)?;
            Ok((found.get(start..) == Some(typed)).then_some(()))
        })
        .await?;
    }
    eventually(
        "the ended lab's recording is complete",
        Duration::from_secs(30),
        || async {
            let index = ben.get(&format!("/sessions/{ends}/recording")).await?;
            Ok(index.to_string().contains("\"complete\"").then_some(()))
        },
    )
    .await?;
    replicas.cli(&["recording", "verify", &ends])?;
    replicas.finish().await
}
