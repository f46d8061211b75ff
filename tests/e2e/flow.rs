//! What learners, teachers and operations do on an ordinary day: the same tests in every place that Labwire runs.

use anyhow::{Context, Result, ensure};
use lab_core::terminal::{FromBrowser, ToBrowser};
use lab_e2e::{Api, ApiError, Options, Pace, Server, Tab, eventually, on};
use serde_json::json;
use std::time::{Duration, Instant};

const SH: u16 = 0;

on! {
    process: Options::process,
    docker: Options::docker_shell,
    cluster: Options::cluster;
    a_click_ends_in_a_shell_that_answers_and_is_billed_by_the_second
    a_link_works_once_and_every_refusal_says_which
    a_second_link_returns_to_the_same_running_lab
    discovery_gets_no_sandbox_and_is_told_why_and_what_next
    fifty_clicks_at_once_make_one_session
    a_teacher_watches_live_is_named_to_the_learner_and_cannot_type_unasked
    a_teacher_of_another_course_and_operations_see_no_terminal
    a_replay_shows_the_commands_and_exports_play_elsewhere
    time_that_runs_out_freezes_the_lab_and_a_code_lets_the_same_shell_go_on
}

fn refusal<T>(result: Result<T>) -> Result<(u16, String)> {
    let error = result.err().context("it was accepted")?;
    let error = error.downcast::<ApiError>()?;
    Ok((error.status, error.body["code"].as_str().unwrap_or_default().to_owned()))
}

async fn a_click_ends_in_a_shell_that_answers_and_is_billed_by_the_second(place: fn() -> Options) -> Result<()> {
    let server = Server::start(place()).await?;
    let before_the_click = Instant::now();
    let (learner, session) = server.learner("ada", "shell").await?;
    let tab = Tab::open(&learner, &session, Pace::Fast).await?;
    tab.attach_ready(SH).await?;
    let usable = Instant::now();
    tab.type_text(SH, "sleep 4; echo $((6*7))-answer\r").await?;
    tab.shows(SH, "42-answer", 20).await?;

    // by our clock it was usable for this long at least, and at most from the click until it is seen to be over
    let least = usable.elapsed();
    learner.post(&format!("/sessions/{session}/stop"), &json!({})).await?;
    let over = eventually("the session is over and settled", Duration::from_secs(20), || async {
        let view = learner.get(&format!("/sessions/{session}")).await?;
        Ok((view["state"] == "ended" && view["billed_secs"].is_i64()).then_some(view))
    })
    .await?;
    let most = before_the_click.elapsed();
    ensure!(over["reason"] == "learner-stopped", "{over}");
    // seconds that began are not billed: 4.9 s are 4
    let billed = over["billed_secs"].as_u64().context("seconds")?;
    ensure!(
        (least.as_secs()..=most.as_secs()).contains(&billed) && billed >= 4,
        "{billed} s are billed of {least:?} to {most:?}"
    );
    let usage = server.cli(&["usage", "--format", "json"])?;
    let rows: serde_json::Value = serde_json::from_str(&usage)?;
    let row = rows.as_array().and_then(|r| r.first()).context("one row of usage")?;
    ensure!(row["billed_seconds"] == over["billed_secs"], "{row} and {over}");
    server.finish().await
}

async fn a_link_works_once_and_every_refusal_says_which(place: fn() -> Options) -> Result<()> {
    let server = Server::start(place()).await?;
    server.grant("ada", 600)?;
    let token = server.link("ada", "shell")?;
    Api::launch(&server.url, &token).await?;
    ensure!(refusal(Api::launch(&server.url, &token).await)? == (401, "launch-already-used".into()));

    let fresh = server.link("ada", "shell")?;
    let (head, signature) = fresh.rsplit_once('.').context("a signed token")?;
    let turned: String = signature.chars().rev().collect();
    ensure!(refusal(Api::launch(&server.url, &format!("{head}.{turned}")).await)? == (401, "launch-forged".into()));
    ensure!(refusal(Api::launch(&server.url, "nonsense").await)? == (401, "launch-malformed".into()));

    let other = Server::start(place()).await?;
    let foreign = other.link("ada", "shell")?;
    let (status, code) = refusal(Api::launch(&server.url, &foreign).await)?;
    ensure!(
        status == 401 && ["launch-forged", "launch-unknown-key"].contains(&code.as_str()),
        "{code}"
    );
    other.finish().await?;
    server.finish().await
}

async fn a_second_link_returns_to_the_same_running_lab(place: fn() -> Options) -> Result<()> {
    let server = Server::start(place()).await?;
    let (first, session) = server.learner("ada", "shell").await?;
    let tab = Tab::open(&first, &session, Pace::Fast).await?;
    tab.attach_ready(SH).await?;
    tab.type_text(SH, "kept=yes\r").await?;
    let again = Api::launch(&server.url, &server.link("ada", "shell")?).await?;
    ensure!(again.start("shell").await? == session);
    let tab = Tab::open(&again, &session, Pace::Fast).await?;
    tab.attach_ready(SH).await?;
    tab.type_text(SH, "echo kept=$kept\r").await?;
    tab.shows(SH, "kept=yes", 10).await?;
    server.finish().await
}

async fn discovery_gets_no_sandbox_and_is_told_why_and_what_next(place: fn() -> Options) -> Result<()> {
    let server = Server::start(place()).await?;
    server.cli(&["grant", "--learner", "chloe", "--course", "net", "--plan", "DISCOVERY"])?;
    let api = Api::launch(&server.url, &server.link("chloe", "shell")?).await?;
    let refused = api
        .start("shell")
        .await
        .err()
        .context("it was admitted")?
        .downcast::<ApiError>()?;
    ensure!(refused.status == 403 && refused.body["code"] == "no-labs", "{refused}");
    ensure!(
        refused.body["next"].as_str().is_some_and(|n| !n.is_empty()),
        "{refused}"
    );
    ensure!(server.sandboxes()?.is_empty());
    server.finish().await
}

async fn fifty_clicks_at_once_make_one_session(place: fn() -> Options) -> Result<()> {
    let server = Server::start(place()).await?;
    server.grant("ada", 600)?;
    let api = Api::launch(&server.url, &server.link("ada", "shell")?).await?;
    let clicks = (0..50).map(|_| api.start("shell"));
    let sessions = futures_util::future::try_join_all(clicks).await?;
    ensure!(sessions.iter().all(|s| *s == sessions[0]), "{sessions:?}");
    server.finish().await
}

async fn a_teacher_watches_live_is_named_to_the_learner_and_cannot_type_unasked(place: fn() -> Options) -> Result<()> {
    let server = Server::start(place()).await?;
    let (learner, session) = server.learner("ada", "shell").await?;
    let tab = Tab::open(&learner, &session, Pace::Fast).await?;
    tab.attach_ready(SH).await?;

    let teacher = server.teacher("Prof. Curie").await?;
    let watch = Tab::open(&teacher, &session, Pace::Fast).await?;
    watch.ready(20).await?;
    watch.attach(SH, false).await?;
    tab.message("the learner sees who watches", 20, |m| match m {
        ToBrowser::Viewers { viewers } => viewers.iter().any(|v| v.name == "Prof. Curie").then_some(()),
        _ => None,
    })
    .await?;
    tab.type_text(SH, "echo seen-$((1+1))\r").await?;
    watch.shows(SH, "seen-2", 20).await?;

    watch.input(SH, "echo intruder\r").await?;
    tab.type_text(SH, "echo done-$((2+2))\r").await?;
    tab.shows(SH, "done-4", 20).await?;
    ensure!(
        !String::from_utf8_lossy(&tab.view(SH).bytes).contains("intruder"),
        "a viewer typed"
    );

    // the teacher helps: the seat moves, the learner is told and takes it back
    watch
        .send(FromBrowser::Seat {
            terminal: SH,
            take: true,
        })
        .await?;
    tab.message("the learner is told who types", 20, |m| match m {
        ToBrowser::Seat { seat, .. } => (seat.holder == "other" && seat.name == "Prof. Curie").then_some(()),
        _ => None,
    })
    .await?;
    let start = tab.messages().len();
    tab.send(FromBrowser::Seat {
        terminal: SH,
        take: true,
    })
    .await?;
    tab.message_since(start, "the learner has the seat again", 20, |m| match m {
        ToBrowser::Seat { seat, .. } => (seat.holder == "you").then_some(()),
        _ => None,
    })
    .await?;
    let start = tab.messages().len();
    drop(watch);
    tab.message_since(start, "the learner sees that nobody watches", 10, |m| match m {
        ToBrowser::Viewers { viewers } => viewers.is_empty().then_some(()),
        _ => None,
    })
    .await?;
    server.finish().await
}

async fn a_teacher_of_another_course_and_operations_see_no_terminal(place: fn() -> Options) -> Result<()> {
    let server = Server::start(place()).await?;
    let (learner, session) = server.learner("ada", "shell").await?;
    let tab = Tab::open(&learner, &session, Pace::Fast).await?;
    tab.attach_ready(SH).await?;
    let token = server.cli(&[
        "link",
        "--valid",
        "10m",
        "--learner",
        "x",
        "--role",
        "teacher",
        "--course",
        "other",
    ])?;
    let token = token
        .split("token=")
        .nth(1)
        .and_then(|t| t.split_whitespace().next())
        .context("a token")?;
    let stranger = Api::launch(&server.url, token).await?;
    let (view, journal) = (
        format!("/sessions/{session}"),
        format!("/sessions/{session}/recording/journal?from=0&to=100"),
    );
    // whoever may not know of it is told that it is not there
    let unknown = (404, "not-found".to_owned());
    ensure!(refusal(stranger.get(&view).await)? == unknown);
    ensure!(refusal(stranger.bytes(&journal).await)? == unknown);
    ensure!(refusal(Tab::open(&stranger, &session, Pace::Fast).await)? == unknown);
    let operations = server.operations().await?;
    operations.get(&view).await?;
    let refused = (403, "not-allowed".to_owned());
    ensure!(refusal(operations.bytes(&journal).await)? == refused);
    ensure!(refusal(Tab::open(&operations, &session, Pace::Fast).await)? == refused);
    server.finish().await
}

async fn a_replay_shows_the_commands_and_exports_play_elsewhere(place: fn() -> Options) -> Result<()> {
    let server = Server::start(place()).await?;
    let (learner, session) = server.learner("ada", "shell").await?;
    let tab = Tab::open(&learner, &session, Pace::Fast).await?;
    tab.attach_ready(SH).await?;
    tab.type_text(SH, "echo recorded-$((3*3))\r").await?;
    tab.shows(SH, "recorded-9", 10).await?;
    learner.post(&format!("/sessions/{session}/stop"), &json!({})).await?;
    let index = eventually("the recording is complete", Duration::from_secs(20), || async {
        let index = learner.get(&format!("/sessions/{session}/recording")).await?;
        Ok((index["state"] == "complete" || index["state"]["state"] == "complete").then_some(index))
    })
    .await?;
    let commands: Vec<&str> = index["markers"]
        .as_array()
        .context("markers")?
        .iter()
        .filter(|m| m["kind"] == "command")
        .filter_map(|m| m["text"].as_str())
        .collect();
    ensure!(
        commands.iter().any(|c| c.contains("echo recorded-$((3*3))")),
        "{commands:?}"
    );

    let verdict = server.cli(&["recording", "verify", &session])?;
    ensure!(!verdict.is_empty());
    for format in ["asciicast-v2", "asciicast-v3", "text"] {
        let out = server.cli(&["recording", "export", &session, "--format", format, "--terminal", "sh"])?;
        ensure!(out.contains("recorded-9"), "{format}: {out}");
    }
    // Debian's asciinema plays version 2
    let folder = tempfile::tempdir()?;
    let cast = folder.path().join("sh.cast");
    std::fs::write(
        &cast,
        server.cli(&[
            "recording",
            "export",
            &session,
            "--format",
            "asciicast-v2",
            "--terminal",
            "sh",
        ])?,
    )?;
    // it wants a controlling terminal, which a test has not: `script` gives it one
    let command = format!("asciinema cat {}", cast.display());
    let played = std::process::Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .stdin(std::process::Stdio::null())
        .output()?;
    ensure!(
        played.status.success() && String::from_utf8_lossy(&played.stdout).contains("recorded-9"),
        "{played:?}"
    );
    server.finish().await
}

async fn time_that_runs_out_freezes_the_lab_and_a_code_lets_the_same_shell_go_on(place: fn() -> Options) -> Result<()> {
    let server = Server::start(place()).await?;
    // the least that may start; warnings are shown within its last minute
    server.cli(&[
        "grant",
        "--learner",
        "denis",
        "--course",
        "net",
        "--plan",
        "QUALIFYING",
        "--seconds",
        "62",
    ])?;
    let api = Api::launch(&server.url, &server.link("denis", "shell")?).await?;
    let session = api.start("shell").await?;
    let tab = Tab::open(&api, &session, Pace::Fast).await?;
    tab.attach_ready(SH).await?;
    tab.message("the one-minute warning", 10, |m| match m {
        ToBrowser::Time(t) => (t.warn == Some(1)).then_some(()),
        _ => None,
    })
    .await?;
    tab.type_text(SH, "kept=in-$((6*7))\r").await?;
    let state = |wanted: &'static str| {
        move |m: &ToBrowser| match m {
            ToBrowser::Session(s) => (s.state == wanted).then_some(()),
            _ => None,
        }
    };
    tab.message("its lab stands still", 90, state("frozen")).await?;
    let since = tab.messages().len();
    let codes = server.cli(&[
        "voucher",
        "create",
        "--course",
        "net",
        "--plan",
        "QUALIFYING",
        "--count",
        "1",
        "--hours",
        "1",
    ])?;
    let line = codes.lines().nth(1).context("a code follows the header")?;
    let code = line.split(',').next().unwrap_or_default();
    let given = api.post("/vouchers/redeem", &json!({ "code": code })).await?;
    ensure!(given["seconds"] == 3600 && given["new"] == true, "{given}");
    tab.message_since(since, "it goes on", 15, state("ready")).await?;
    tab.type_text(SH, "echo $kept-$((1+1))\r").await?;
    tab.shows(SH, "in-42-2", 10).await?;
    api.post(&format!("/sessions/{session}/stop"), &json!({})).await?;
    let view = eventually("it is settled", Duration::from_secs(30), || async {
        let view = api.get(&format!("/sessions/{session}")).await?;
        Ok(view["billed_secs"].is_i64().then_some(view))
    })
    .await?;
    let billed = view["billed_secs"].as_i64().unwrap_or(0);
    ensure!((60..=95).contains(&billed), "it stood still for nothing: {view}");
    server.finish().await
}
