//! Grades in a gradebook that behaves as Moodle's does ([`lab_e2e::Moodle`]).

use super::{
    edx::{browser, location, signed_in},
    grades::{LAB, Learner, server},
};
use anyhow::{Context, Result, ensure};
use lab_e2e::{Api, Moodle, Server, eventually};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const AFTER_SOME_TRIES: Duration = Duration::from_secs(90);

async fn registered() -> Result<(Server, Moodle)> {
    let server = server().await?;
    let moodle = Moodle::start(&server.url).await?;
    let registration = moodle.registration();
    let more: Vec<&str> = registration.iter().map(String::as_str).collect();
    server.cli(&[&["lti", "add", "moodle"], &more[..]].concat())?;
    Ok((server, moodle))
}

async fn launch(server: &Server, moodle: &Moodle, user: &str, coupled: bool) -> Result<Api> {
    let browser = browser()?;
    let begun = browser.get(moodle.begin(LAB, user)).send().await?;
    let cookie = begun.headers().get("set-cookie").context("no cookie")?.to_str()?;
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    let form = moodle.answer(&location(&begun)?, LAB, coupled)?;
    let post = browser
        .post(format!("{}/lti/launch", server.url))
        .header("origin", &moodle.url)
        .header("cookie", cookie)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    Ok(signed_in(server, post.send().await?).await?.0)
}

async fn shows(
    what: &str,
    within: Duration,
    server: &Server,
    grade: impl Fn() -> Option<f64>,
    percent: f64,
) -> Result<()> {
    eventually(&format!("{what}: {percent} %"), within, || async {
        Ok(grade().filter(|g| (g - percent).abs() < 0.5).map(|_| ()))
    })
    .await
    .with_context(|| server.cli(&["lti", "grades"]).unwrap_or_default())
}

#[tokio::test]
async fn moodle_has_each_grade_and_no_blank_though_it_counts_whole_seconds() -> Result<()> {
    let (server, moodle) = registered().await?;
    let ada = Learner::at_work(&launch(&server, &moodle, "5", true).await?).await?;
    for (checks, percent) in [(&[][..], 0.0), (&["one"], 33.3), (&["two"], 66.7), (&["three"], 100.0)] {
        ada.solves(checks).await?;
        shows("the gradebook", SOON, &server, || moodle.grade("5"), percent).await?;
    }
    let history = moodle.history("5");
    ensure!(
        history.len() == 4 && history.is_sorted() && history.iter().all(Option::is_some),
        "{history:?}"
    );
    ensure!(
        moodle.answered(409) == 0 && moodle.answered(400) == 0,
        "each score came a second after the last"
    );
    server.finish().await
}

#[tokio::test]
async fn a_conflict_is_read_and_what_is_there_already_is_not_sent_again() -> Result<()> {
    let (server, moodle) = registered().await?;
    let ada = Learner::at_work(&launch(&server, &moodle, "5", true).await?).await?;
    // as after an answer that was lost, and a database that was restored
    moodle.graded_elsewhere("5", 200.0 / 3.0, 3600);
    ada.solves(&["one", "two"]).await?;
    eventually("what is there is found", SOON, || async {
        let list = server.cli(&["lti", "grades"])?;
        Ok((list.contains("2/3") && list.contains("sent")).then_some(()))
    })
    .await?;
    ensure!(
        moodle.answered(409) == 1 && moodle.history("5").is_empty(),
        "{:?}",
        moodle.history("5")
    );
    // something else is there: what is later still wins
    moodle.graded_elsewhere("5", 10.0, 5);
    ada.solves(&["three"]).await?;
    shows(
        "the later score",
        AFTER_SOME_TRIES,
        &server,
        || moodle.grade("5"),
        100.0,
    )
    .await?;
    ensure!(moodle.history("5") == [Some(100.0)], "{:?}", moodle.history("5"));
    server.finish().await
}

#[tokio::test]
async fn a_column_of_moodle_is_made_once_for_all_and_its_query_is_kept() -> Result<()> {
    let (server, moodle) = registered().await?;
    let ada = Learner::at_work(&launch(&server, &moodle, "5", false).await?).await?;
    let bob = Learner::at_work(&launch(&server, &moodle, "6", false).await?).await?;
    ada.solves(&["one"]).await?;
    bob.solves(&["one", "two", "three"]).await?;
    shows("ada", SOON, &server, || moodle.grade_made(1, "5"), 33.3).await?;
    shows("bob", SOON, &server, || moodle.grade_made(1, "6"), 100.0).await?;
    ensure!(moodle.made() == 1, "{} columns", moodle.made());

    let teacher = launch(&server, &moodle, "teacher-7", true).await?;
    Learner::at_work(&teacher).await?.solves(&["one"]).await?;
    eventually("who cannot be graded is shown", SOON, || async {
        let list = server.cli(&["lti", "grades"])?;
        let line = list.lines().find(|l| l.contains("teacher-7")).map(str::to_owned);
        Ok(line.filter(|l| l.contains("failed") && l.contains("400")).map(|_| ()))
    })
    .await?;
    server.finish().await
}

#[tokio::test]
async fn a_moodle_registers_itself_and_its_learners_come_in_once_somebody_said_yes() -> Result<()> {
    let server = server().await?;
    let moodle = Moodle::start(&server.url).await?;
    let printed = server.cli(&["lti", "invite", "esp", "--plan", "QUALIFYING"])?;
    let address = printed.split_whitespace().find(|word| word.contains("/lti/register?"));
    let address = address.context(printed.clone())?;
    let browser = browser()?;
    let came = browser
        .get(format!("{address}&{}", moodle.registration_query()))
        .send()
        .await?;
    let (status, page) = (came.status(), came.text().await?);
    ensure!(status == 200 && page.contains("moodle 4.5"), "{status}: {page}");
    let tools = moodle.tools();
    let scopes = tools.first().and_then(|t| t["scope"].as_str()).context("no tool")?;
    ensure!(
        scopes.contains("scope/score") && scopes.contains("scope/lineitem"),
        "{scopes}"
    );

    let begun = browser.get(moodle.begin(LAB, "5")).send().await?;
    ensure!(begun.text().await?.contains("lti-platform-unknown"), "it waits");
    let listed = server.cli(&["lti", "ls"])?;
    ensure!(
        listed.contains("esp waits since") && listed.contains(&moodle.url),
        "{listed}"
    );
    server.cli(&["lti", "approve", "esp"])?;

    let ada = Learner::at_work(&launch(&server, &moodle, "5", true).await?).await?;
    ada.solves(&["one", "two", "three"]).await?;
    shows("the gradebook", SOON, &server, || moodle.grade("5"), 100.0).await?;
    // the address is used up
    let again = browser
        .get(format!("{address}&{}", moodle.registration_query()))
        .send()
        .await?;
    ensure!(again.text().await?.contains("lti-register-invitation"), "it was used");
    server.finish().await
}
