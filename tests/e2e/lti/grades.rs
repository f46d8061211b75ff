//! What learners' checks are worth reaches the gradebook of Open edX's own consumer, by its own code of both versions of LTI.

use super::edx::{OpenEdx, launch, launch_by_form, register_key};
use anyhow::{Context, Result, ensure};
use lab_core::terminal::{FromBrowser, ToBrowser};
use lab_e2e::{Api, Options, Pace, Server, Tab, eventually};
use serde_json::Value;
use std::time::Duration;

pub const LAB: &str = "graded";
const SH: u16 = 0;

/// A grade is sent within two seconds; a machine that is busy with other tests takes longer for all of it.
const SOON: Duration = Duration::from_secs(30);
/// Some tries, each after a pause of its own: 2 + 4 + 8 + 16 s at most.
const AFTER_SOME_TRIES: Duration = Duration::from_secs(90);

/// A server with a lab of three checks, which may ask platforms on this machine.
pub async fn server() -> Result<Server> {
    let mut options = Options::graded();
    options.config.push_str("lti: {private_hosts: [\"127.0.0.1\"]}\n");
    Server::start(options).await
}

/// A learner in their lab.
pub struct Learner {
    tab: Tab,
}

impl Learner {
    pub async fn at_work(api: &Api) -> Result<Self> {
        let session = api.start(LAB).await?;
        let tab = Tab::open(api, &session, Pace::Fast).await?;
        tab.attach_ready(SH).await?;
        Ok(Self { tab })
    }

    /// Does what these checks ask for, and has all checks run.
    pub async fn solves(&self, checks: &[&str]) -> Result<()> {
        for check in checks {
            self.tab
                .type_text(
                    SH,
                    &format!("touch \"$LAB_ROOT/{check}\" && echo made-$((40+2))-{check}\r"),
                )
                .await?;
            self.tab.shows(SH, &format!("made-42-{check}"), 20).await?;
        }
        let start = self.tab.messages().len();
        self.tab.send(FromBrowser::Check { check: None }).await?;
        let done = |m: &ToBrowser| match m {
            ToBrowser::Checks {
                outcomes,
                running: false,
            } if outcomes.len() == 3 => Some(()),
            _ => None,
        };
        self.tab.message_since(start, "the checks are done", 60, done).await
    }
}

/// What the gradebook was told of a learner, oldest first.
async fn told(edx: &OpenEdx, user: &str) -> Result<Vec<f64>> {
    let book: Value = serde_json::from_str(&edx.get("/gradebook", &[]).await?)?;
    let scores = book[user].as_array().cloned().unwrap_or_default();
    Ok(scores.iter().filter_map(Value::as_f64).collect())
}

async fn shows(edx: &OpenEdx, server: &Server, user: &str, score: f64, within: Duration) -> Result<()> {
    eventually(&format!("the gradebook shows {score} for {user}"), within, || async {
        let last = told(edx, user).await?.last().copied();
        Ok(last.filter(|s| (s - score).abs() < 0.005).map(|_| ()))
    })
    .await
    .with_context(|| server.cli(&["lti", "grades"]).unwrap_or_default())
}

/// A first zero has arrived by LTI 1.3, as far as this release of Open edX's consumer lets it.
async fn zero(edx: &OpenEdx, server: &Server, user: &str, within: Duration) -> Result<()> {
    eventually("a zero is a grade", within, || async {
        let there = edx.get("/zero", &[("user", user)]).await?;
        Ok((!there.is_empty()).then_some(()))
    })
    .await
    .with_context(|| server.cli(&["lti", "grades"]).unwrap_or_default())
}

/// As `labwire lti grades` has it by now.
async fn listed(server: &Server, what: &str, parts: &[&str]) -> Result<String> {
    eventually(what, SOON, || async {
        let list = server.cli(&["lti", "grades"])?;
        let line = list.lines().find(|line| parts.iter().all(|part| line.contains(part)));
        line.map(|line| Some(line.to_owned())).with_context(|| list.clone())
    })
    .await
}

#[tokio::test]
async fn a_learners_points_reach_open_edx_by_lti_1_3() -> Result<()> {
    let server = server().await?;
    let edx = OpenEdx::start(&server.url, LAB)?;
    edx.register(&server).await?;
    let (api, _) = launch(&server, &edx, "ada").await?;
    let ada = Learner::at_work(&api).await?;
    ada.solves(&[]).await?;
    zero(&edx, &server, "ada", SOON).await?;
    ada.solves(&["one", "two"]).await?;
    shows(&edx, &server, "ada", 0.67, SOON).await?;
    ada.solves(&["three"]).await?;
    shows(&edx, &server, "ada", 1.0, SOON).await?;
    // what gets worse afterwards takes nothing away, and nothing is sent twice
    ada.tab
        .type_text(SH, "rm \"$LAB_ROOT/one\" && echo gone-$((40+2))\r")
        .await?;
    ada.tab.shows(SH, "gone-42", 20).await?;
    ada.solves(&[]).await?;
    let all = told(&edx, "ada").await?;
    ensure!(
        all.is_sorted() && all.iter().filter(|s| **s > 0.99).count() == 1,
        "{all:?}"
    );
    let line = listed(&server, "the grade is listed as sent", &["ada", "3/3", "sent"]).await?;
    ensure!(line.contains(LAB), "{line}");

    let (staff, me) = launch(&server, &edx, "staff-grace").await?;
    ensure!(me["role"] == "teacher", "{me}");
    drop(staff);
    ensure!(
        !server.cli(&["lti", "grades"])?.contains("grace"),
        "who teaches is not graded"
    );
    counted(&server, "labwire_grades_pending 0").await?;
    counted(&server, "labwire_grades_total{code=\"sent\"} 3").await?;
    server.finish().await
}

/// The metric that the outbox shows a moment later.
async fn counted(server: &Server, line: &str) -> Result<()> {
    eventually(line, SOON, || async {
        let all = lab_e2e::client().get(format!("{}/metrics", server.url)).send().await?;
        let text = all.error_for_status()?.text().await?;
        let ours: Vec<&str> = text.lines().filter(|l| l.starts_with("labwire_grades")).collect();
        ensure!(ours.contains(&line), "{ours:#?}");
        Ok(Some(()))
    })
    .await
}

#[tokio::test]
async fn a_learners_points_reach_open_edx_by_lti_1_1() -> Result<()> {
    let server = server().await?;
    let edx = OpenEdx::start(&server.url, LAB)?;
    register_key(&server)?;
    let (api, _) = launch_by_form(&server, &edx, "ada").await?;
    let ada = Learner::at_work(&api).await?;
    ada.solves(&[]).await?;
    shows(&edx, &server, "ada", 0.0, SOON)
        .await
        .context("a zero is a grade")?;
    ada.solves(&["one", "two"]).await?;
    shows(&edx, &server, "ada", 0.67, SOON).await?;
    // refused in a message with 200: shown, and sent again when somebody says so
    edx.get("/set", &[("past_due", "yes")]).await?;
    ada.solves(&["three"]).await?;
    listed(
        &server,
        "the refusal is shown",
        &["ada", "3/3", "failed", "Grade is past due"],
    )
    .await?;
    counted(&server, "labwire_grades_failed 1").await?;
    edx.get("/set", &[("past_due", "")]).await?;
    let retried = server.cli(&["lti", "grades", "fun", "--retry"])?;
    ensure!(retried.starts_with("1 to be sent again"), "{retried}");
    shows(&edx, &server, "ada", 1.0, SOON).await?;
    let all = told(&edx, "ada").await?;
    ensure!(all.len() == 3 && all.is_sorted(), "{all:?}");

    let (api, _) = launch_by_form(&server, &edx, "gone-bob").await?;
    Learner::at_work(&api).await?.solves(&["one"]).await?;
    listed(
        &server,
        "an unknown learner is shown",
        &["gone-bob", "failed", "User not found."],
    )
    .await?;
    server.finish().await
}

#[tokio::test]
async fn where_no_column_is_offered_one_is_made_once_and_kept() -> Result<()> {
    let server = server().await?;
    let edx = OpenEdx::start(&server.url, LAB)?;
    edx.register(&server).await?;
    edx.get("/set", &[("programmatic", "yes")]).await?;
    let (ada, bob) = (
        launch(&server, &edx, "ada").await?.0,
        launch(&server, &edx, "bob").await?.0,
    );
    let (ada, bob) = (Learner::at_work(&ada).await?, Learner::at_work(&bob).await?);
    ada.solves(&["one"]).await?;
    bob.solves(&["one", "two"]).await?;
    shows(&edx, &server, "ada", 0.33, SOON).await?;
    shows(&edx, &server, "bob", 0.67, SOON).await?;
    // the platform offers what we made by now: it is the same row
    launch(&server, &edx, "ada").await?;
    ada.solves(&["two", "three"]).await?;
    shows(&edx, &server, "ada", 1.0, SOON).await?;
    let list = server.cli(&["lti", "grades", "edx"])?;
    ensure!(list.lines().filter(|l| l.contains("ada")).count() == 1, "{list}");
    ensure!(edx.get("/columns", &[]).await? == "1", "one column for the lab");
    server.finish().await
}

#[tokio::test]
async fn a_platform_that_has_something_newer_is_read_and_overtaken() -> Result<()> {
    let server = server().await?;
    let edx = OpenEdx::start(&server.url, LAB)?;
    edx.register(&server).await?;
    let (api, _) = launch(&server, &edx, "ada").await?;
    let ada = Learner::at_work(&api).await?;
    ada.solves(&["one"]).await?;
    shows(&edx, &server, "ada", 0.33, SOON).await?;
    // what we are about to send is there already, as after an answer that was lost: it is not sent again
    let ahead = [("user", "ada"), ("score", "2"), ("maximum", "3"), ("seconds", "3600")];
    edx.get("/ahead", &ahead).await?;
    ada.solves(&["two"]).await?;
    listed(&server, "what is there is found", &["ada", "2/3", "sent"]).await?;
    // something else is there, with a time a little ahead of ours: ours comes later, and wins
    let ahead = [("user", "ada"), ("score", "0"), ("maximum", "3"), ("seconds", "6")];
    edx.get("/ahead", &ahead).await?;
    ada.solves(&["three"]).await?;
    shows(&edx, &server, "ada", 1.0, AFTER_SOME_TRIES).await?;
    server.finish().await
}

#[tokio::test]
async fn a_platform_in_trouble_has_every_grade_when_it_comes_back() -> Result<()> {
    let mut server = server().await?;
    let edx = OpenEdx::start(&server.url, LAB)?;
    edx.register(&server).await?;
    register_key(&server)?;
    let ada = Learner::at_work(&launch(&server, &edx, "ada").await?.0).await?;
    let bob = Learner::at_work(&launch_by_form(&server, &edx, "bob").await?.0).await?;
    let steps: [(&str, &str, &[&str], f64); 3] = [
        ("500", "4", &[], 0.0),
        ("html", "4", &["one"], 0.33),
        ("slow", "2", &["two"], 0.67),
    ];
    for (trouble, times, checks, score) in steps {
        edx.get("/set", &[("trouble", trouble), ("times", times)]).await?;
        ada.solves(checks).await?;
        bob.solves(checks).await?;
        if checks.is_empty() {
            zero(&edx, &server, "ada", AFTER_SOME_TRIES).await.context(trouble)?;
        } else {
            shows(&edx, &server, "ada", score, AFTER_SOME_TRIES)
                .await
                .context(trouble)?;
        }
        shows(&edx, &server, "bob", score, AFTER_SOME_TRIES)
            .await
            .context(trouble)?;
    }
    // the process dies with grades in its outbox
    edx.get("/set", &[("trouble", "500"), ("times", "1000000")]).await?;
    ada.solves(&["three"]).await?;
    bob.solves(&["three"]).await?;
    for user in ["ada", "bob"] {
        listed(&server, "the grade waits", &[user, "3/3", "pending", "platform-failed"]).await?;
    }
    server.kill().await?;
    edx.get("/set", &[("trouble", "401"), ("times", "4")]).await?;
    server.spawn().await?;
    for user in ["ada", "bob"] {
        shows(&edx, &server, user, 1.0, AFTER_SOME_TRIES).await.context("401")?;
    }
    for user in ["ada", "bob"] {
        listed(&server, "it is sent", &[user, "3/3", "sent"]).await?;
        let all = told(&edx, user).await?;
        ensure!(all.is_sorted(), "{user} never had less than before: {all:?}");
    }
    server.finish().await
}
