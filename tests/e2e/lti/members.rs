//! Who is in a course, from Open edX's own service, in its own pages and under its own access token.

use super::{
    edx::{OpenEdx, launch},
    grades::{LAB, server},
};
use anyhow::{Context, Result, ensure};

#[tokio::test]
async fn a_teacher_sees_the_whole_course_of_open_edx_and_who_has_not_begun() -> Result<()> {
    let server = server().await?;
    let edx = OpenEdx::start(&server.url, LAB)?;
    edx.register(&server).await?;
    edx.get("/enrol", &[("people", "250")]).await?;
    let (ada, _) = launch(&server, &edx, "ada").await?;
    ada.start(LAB).await?;

    let (curie, _) = launch(&server, &edx, "staff-curie").await?;
    let seen = curie.get("/course/people").await?;
    let people = seen["people"].as_array().context(seen.to_string())?;
    ensure!(seen["offered"] == true && seen["complete"] == true, "{seen}");
    ensure!(people.len() == 252, "three pages of Open edX's: {}", people.len());
    let of = |role: &str| people.iter().filter(|p| p["role"] == role).count();
    ensure!(
        of("learner") == 251 && of("teacher") == 1,
        "{} and {}",
        of("learner"),
        of("teacher")
    );
    let begun: Vec<_> = people.iter().filter(|p| p["sessions"] != 0).collect();
    ensure!(
        begun.len() == 1 && begun[0]["subject"] == format!("{}#ada", edx.url),
        "the person that a launch names is the one in the list: {begun:?}"
    );
    // Open edX hides names unless the course says otherwise
    ensure!(people.iter().all(|p| p["name"].is_null()), "{seen}");
    server.finish().await
}
