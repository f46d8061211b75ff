//! Warm pools and the queue, from outside: the click that finds its lab ready, and the learner who waits for a place.

use anyhow::{Context, Result, ensure};
use lab_core::{Timestamp, provisioning::POOL_LEAD, terminal::ToBrowser};
use lab_e2e::{Api, Options, Pace, Server, Tab, eventually, on};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const SH: u16 = 0;
/// A debug build on a loaded two-core machine makes a container in about 3 s.
const SOON: Duration = Duration::from_secs(60);

on! {
    process: Options::process,
    docker: Options::docker_shell;
    twenty_clicks_on_a_warm_lab_each_get_a_fresh_one_at_once_and_pay_from_the_click
    a_new_version_of_the_lab_drains_the_old_ones
    a_class_of_the_timetable_has_its_labs_and_gives_them_back
    two_places_and_five_learners_who_are_all_served_in_the_order_of_their_clicks
}

#[tokio::test]
async fn a_server_killed_again_and_again_while_it_fills_a_pool_leaves_exactly_the_pool() -> Result<()> {
    let mut server = Server::start(with(Options::process, "pools:\n  - {lab: shell, reserve: 3}\n")).await?;
    for round in 0..6 {
        // somewhere between a row, a sandbox, and its first look
        tokio::time::sleep(Duration::from_millis(60 * round)).await;
        server.kill().await?;
        server.spawn().await?;
    }
    let operations = server.operations().await?;
    ready(&operations, 3).await?;
    eventually("what has no row is gone", SOON, || async {
        let left = server.sandboxes()?;
        ensure!(left.len() == 3, "{left:?}");
        Ok(Some(()))
    })
    .await?;
    let (learner, session) = server.learner("ada", "shell").await?;
    let tab = Tab::open(&learner, &session, Pace::Fast).await?;
    tab.attach_ready(SH).await?;
    ensure!(metric(&server, "labwire_pool_claims_total{outcome=\"warm\"}").await? == "1");
    finish(server).await
}

#[tokio::test]
async fn a_hundred_and_fifty_clicks_at_once_on_two_places_are_each_answered_and_have_a_place_in_the_queue() -> Result<()>
{
    const LEARNERS: usize = 150;
    let server = Server::start(with(Options::process, "limits: {sandboxes_max: 2}\n")).await?;
    let class = server.data_dir()?.with_file_name("class.csv");
    let names: Vec<String> = (0..LEARNERS).map(|n| format!("learner-{n}")).collect();
    std::fs::write(&class, names.join("\n"))?;
    let class = class.display().to_string();
    let course = ["--learners", &class, "--course", "net"];
    server.cli(&[&["grant", "--plan", "QUALIFYING"], &course[..]].concat())?;
    let links = server.cli(&[&["link", "--lab", "shell"], &course[..]].concat())?;
    let tokens: Vec<&str> = links.lines().filter_map(|l| Some(l.split_once("token=")?.1)).collect();
    ensure!(tokens.len() == LEARNERS, "{links}");
    let clicks = tokens.into_iter().map(|token| {
        let url = &server.url;
        async move {
            let clicked = Instant::now();
            let api = Api::launch(url, token.trim()).await?;
            api.start("shell").await?;
            anyhow::Ok(clicked.elapsed())
        }
    });
    let mut took = futures_util::future::try_join_all(clicks).await?;
    took.sort_unstable();
    eprintln!(
        "{LEARNERS} clicks at once: p50 {:?}, p99 {:?}",
        took[LEARNERS / 2],
        took[LEARNERS * 99 / 100]
    );
    let operations = server.operations().await?;
    eventually("everybody has a place", SOON, || async {
        let queue = operations.get("/operations/queue").await?;
        ensure!(
            queue["occupied"] == 2 && queue["length"] == LEARNERS - 2,
            "{}",
            queue["length"]
        );
        let told = queue["waiting"].as_array().context("a list")?;
        let right = |(n, w): (usize, &Value)| w["place"] == n + 1;
        ensure!(
            told.len() == LEARNERS - 2 && told.iter().enumerate().all(right),
            "{queue}"
        );
        Ok(Some(()))
    })
    .await?;
    server.finish().await
}

fn with(place: fn() -> Options, config: &str) -> Options {
    Options {
        config: config.to_owned(),
        ..place()
    }
}

async fn pool(operations: &Api) -> Result<Value> {
    let pools = operations.get("/operations/pools").await?;
    Ok(pools.get(0).cloned().unwrap_or(Value::Null))
}

async fn ready(operations: &Api, n: u64) -> Result<()> {
    eventually(&format!("{n} are ready"), SOON, || async {
        let pool = pool(operations).await?;
        ensure!(
            pool["ready"] == n && pool["making"] == 0 && pool["draining"] == 0,
            "{pool}"
        );
        Ok(Some(()))
    })
    .await
}

async fn metric(server: &Server, line: &str) -> Result<String> {
    let text = reqwest::get(format!("{}/metrics", server.url)).await?.text().await?;
    let found = text.lines().find_map(|l| l.strip_prefix(line));
    Ok(found.unwrap_or("0").trim().to_owned())
}

/// Takes the pools out of the settings and starts again: what is warm goes, and nothing may be left.
async fn finish(mut server: Server) -> Result<()> {
    let config = server.data_dir()?.with_file_name("labwire.yaml");
    let text = std::fs::read_to_string(&config)?;
    let (kept, _) = text.split_once("pools:").context("the settings have pools")?;
    std::fs::write(&config, kept)?;
    server.terminate().await?;
    server.spawn().await?;
    server.finish().await
}

async fn twenty_clicks_on_a_warm_lab_each_get_a_fresh_one_at_once_and_pay_from_the_click(
    place: fn() -> Options,
) -> Result<()> {
    const CLICKS: usize = 20;
    let server = Server::start(with(place, "pools:\n  - {lab: shell, reserve: 2}\n")).await?;
    let operations = server.operations().await?;
    ready(&operations, 2).await?;
    let warm: BTreeSet<String> = server.sandboxes()?.into_iter().collect();
    let mut took = Vec::new();
    let mut seen = BTreeSet::new();
    for n in 0..CLICKS {
        let name = format!("learner-{n}");
        server.grant(&name, 600)?;
        let api = Api::launch(&server.url, &server.link(&name, "shell")?).await?;
        ready(&operations, 2).await?;
        let clicked = Instant::now();
        let session = api.start("shell").await?;
        let tab = Tab::open(&api, &session, Pace::Fast).await?;
        tab.attach_ready(SH).await?;
        took.push(clicked.elapsed());
        let screen = String::from_utf8_lossy(&tab.view(SH).snapshot).into_owned();
        ensure!(screen.contains(['$', '#']), "ready without a prompt: {screen:?}");
        ensure!(
            seen.insert(session.clone()),
            "a sandbox that was a learner's is another's"
        );
        if n == 0 {
            tab.type_text(SH, "touch \"$HOME/mine\"; echo $((6*7))-done\r").await?;
            tab.shows(SH, "42-done", 10).await?;
        } else {
            tab.type_text(SH, "ls \"$HOME\"; echo $((6*7))-seen\r").await?;
            tab.shows(SH, "42-seen", 10).await?;
            let text = String::from_utf8_lossy(&tab.view(SH).bytes).into_owned();
            ensure!(!text.contains("mine"), "somebody else's file: {text}");
        }
        api.post(&format!("/sessions/{session}/stop"), &json!({})).await?;
        let over = eventually("the session is settled", SOON, || async {
            let view = api.get(&format!("/sessions/{session}")).await?;
            Ok((view["state"] == "ended" && view["billed_secs"].is_i64()).then_some(view))
        })
        .await?;
        let billed = over["billed_secs"].as_u64().context("a number")?;
        // the stop itself takes a moment, and its seconds count
        let used = clicked.elapsed();
        ensure!(billed <= used.as_secs() + 1, "{billed} s billed for {used:?}");
    }
    took.sort_unstable();
    let p95 = took[CLICKS * 95 / 100 - 1];
    eprintln!(
        "click to prompt, warm: p50 {:?}, p95 {p95:?}, max {:?}",
        took[CLICKS / 2],
        took[CLICKS - 1]
    );
    // the promise of 0.5 s is measured by the bench; that each was served warm, by what is counted
    ensure!(metric(&server, "labwire_pool_claims_total{outcome=\"warm\"}").await? == CLICKS.to_string());
    ensure!(metric(&server, "labwire_pool_claims_total{outcome=\"cold\"}").await? == "0");
    ready(&operations, 2).await?;
    let left: BTreeSet<String> = server.sandboxes()?.into_iter().collect();
    ensure!(left.len() == 2 && left.is_disjoint(&warm), "{left:?} after {warm:?}");
    finish(server).await
}

async fn a_new_version_of_the_lab_drains_the_old_ones(place: fn() -> Options) -> Result<()> {
    let mut server = Server::start(with(place, "pools:\n  - {lab: shell, reserve: 2}\n")).await?;
    ready(&server.operations().await?, 2).await?;
    let old: BTreeSet<String> = server.sandboxes()?.into_iter().collect();
    let lab = server.data_dir()?.with_file_name("labs").join("shell/lab.yaml");
    let text = std::fs::read_to_string(&lab)?;
    std::fs::write(&lab, text.replace("A shell", "A newer shell"))?;
    server.terminate().await?;
    ensure!(server.sandboxes()?.len() == 2, "they outlive the process");
    server.spawn().await?;
    let operations = server.operations().await?;
    eventually("the new version is ready and the old one gone", SOON, || async {
        let now: BTreeSet<String> = server.sandboxes()?.into_iter().collect();
        ensure!(now.len() == 2 && now.is_disjoint(&old), "{now:?} after {old:?}");
        Ok(Some(()))
    })
    .await?;
    ready(&operations, 2).await?;
    ensure!(metric(&server, "labwire_pool_drained_total{reason=\"outdated\"}").await? == "2");
    let (learner, session) = server.learner("ada", "shell").await?;
    Tab::open(&learner, &session, Pace::Fast)
        .await?
        .attach_ready(SH)
        .await?;
    ensure!(metric(&server, "labwire_pool_claims_total{outcome=\"warm\"}").await? == "1");
    finish(server).await
}

fn now() -> Result<Timestamp> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(Timestamp::from_secs(i64::try_from(since.as_secs())?))
}

async fn a_class_of_the_timetable_has_its_labs_and_gives_them_back(place: fn() -> Options) -> Result<()> {
    let now = now()?;
    let secs = Duration::from_secs;
    // one class that is on and ends soon, and one that begins ten minutes and a little later
    let (ends, opens) = (now.plus(secs(25)), now.plus(secs(35)));
    let class = |from: Timestamp, until: Timestamp, ready: u32| {
        format!("      - {{from: \"{from}\", until: \"{until}\", ready: {ready}}}\n")
    };
    let config = format!(
        "pools:\n  - lab: shell\n    max: 3\n    timetable:\n{}{}",
        class(now.minus(secs(3600)), ends, 1),
        class(opens.plus(POOL_LEAD), opens.plus(secs(7200)), 3),
    );
    let server = Server::start(with(place, &config)).await?;
    let operations = server.operations().await?;
    ready(&operations, 1).await?;
    ready(&operations, 0).await?;
    ensure!(self::now()? >= ends, "released before its end");
    ensure!(server.sandboxes()?.is_empty());
    ready(&operations, 3).await?;
    ensure!(self::now()? >= opens, "made before ten minutes before its begin");
    let class = &pool(&operations).await?["class"];
    ensure!(class["opens"] == opens.secs() && class["ready"] == 3, "{class}");
    let (learner, session) = server.learner("ada", "shell").await?;
    Tab::open(&learner, &session, Pace::Fast)
        .await?
        .attach_ready(SH)
        .await?;
    let pool = pool(&operations).await?;
    ensure!(
        pool["wanted"] == 2 && pool["reserved"] == 2,
        "one place is taken: {pool}"
    );
    finish(server).await
}

/// The place in the queue that the page shows last, and the state.
fn shown(tab: &Tab) -> (String, Option<u32>) {
    let session = |m: &ToBrowser| match m {
        ToBrowser::Session(s) => Some((s.state.clone(), s.queue)),
        _ => None,
    };
    tab.messages().iter().rev().find_map(session).unwrap_or_default()
}

async fn two_places_and_five_learners_who_are_all_served_in_the_order_of_their_clicks(
    place: fn() -> Options,
) -> Result<()> {
    let server = Server::start(with(place, "limits: {sandboxes_max: 2}\n")).await?;
    let operations = server.operations().await?;
    let mut here = Vec::new();
    for n in 0..5 {
        let (api, session) = server.learner(&format!("learner-{n}"), "shell").await?;
        let tab = Tab::open(&api, &session, Pace::Fast).await?;
        here.push((api, session, tab));
    }
    for (n, (api, session, tab)) in here.iter().enumerate() {
        if n < 2 {
            tab.attach_ready(SH).await?;
        } else {
            let place = u32::try_from(n - 1)?;
            eventually(&format!("learner {n} sees place {place}"), SOON, || async {
                ensure!(shown(tab) == ("queued".into(), Some(place)), "{:?}", shown(tab));
                Ok(Some(()))
            })
            .await?;
            let detail = |m: &ToBrowser| match m {
                ToBrowser::Session(s) if s.queue.is_some() => s.detail.clone(),
                _ => None,
            };
            let detail = tab.message("an estimate", 10, detail).await?;
            ensure!(detail.starts_with("≤ ") && detail.ends_with(" min"), "{detail}");
            ensure!(api.get(&format!("/sessions/{session}")).await?["state"] == "queued");
        }
    }
    let queue = operations.get("/operations/queue").await?;
    ensure!(
        (&queue["occupied"], &queue["length"]) == (&json!(2), &json!(3)),
        "{queue}"
    );
    let told: Vec<_> = queue["waiting"].as_array().into_iter().flatten().collect();
    let order: Vec<&str> = told.iter().filter_map(|w| w["session"].as_str()).collect();
    let clicks: Vec<&str> = here[2..].iter().map(|(_, s, _)| s.as_str()).collect();
    ensure!(order == clicks, "{queue}");

    for n in 0..3 {
        let (api, session, _) = &here[n];
        api.post(&format!("/sessions/{session}/stop"), &json!({})).await?;
        here[n + 2].2.attach_ready(SH).await?;
        for (_, _, behind) in &here[n + 3..] {
            let state = shown(behind).0;
            ensure!(state == "queued", "served before its turn: {state}");
        }
        ensure!(server.sandboxes()?.len() <= 2);
    }
    ensure!(operations.get("/operations/queue").await?["length"] == 0);
    server.finish().await
}
