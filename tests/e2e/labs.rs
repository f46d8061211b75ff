//! The shipped labs on real engines: every check fails before the solution and passes after it.

use anyhow::{Context, Result, ensure};
use lab_core::{
    journal::CheckOutcome,
    terminal::{FromBrowser, ToBrowser},
};
use lab_e2e::{GONE_WITHIN, Options, Pace, Runtime, Server, Tab, eventually};
use std::{path::PathBuf, time::Duration};

#[tokio::test]
async fn docker_shipped_labs_are_solved_by_their_solutions() -> Result<()> {
    shipped_labs_are_solved(Runtime::Docker).await
}

#[tokio::test]
async fn cluster_shipped_labs_are_solved_by_their_solutions() -> Result<()> {
    shipped_labs_are_solved(Runtime::Cluster).await
}

/// All that `lab-images` holds, one after another.
async fn shipped_labs_are_solved(runtime: Runtime) -> Result<()> {
    let server = Server::start(Options::shipped(runtime)).await?;
    let labs = lab_folders()?;
    ensure!(labs.len() >= 3, "{labs:?}");
    for folder in labs {
        let lab = folder.file_name().context("a name")?.to_string_lossy().into_owned();
        solved(&server, &lab, std::fs::read(folder.join("solution.sh"))?)
            .await
            .context(lab)?;
    }
    server.finish().await
}

async fn solved(server: &Server, lab: &str, solution: Vec<u8>) -> Result<()> {
    let (learner, session) = server.learner(&format!("ada-{lab}"), lab).await?;
    let tab = Tab::open(&learner, &session, Pace::Fast).await?;
    tab.attach_ready(0).await?;
    let before = run_checks(&tab, 0).await?;
    ensure!(
        !before.is_empty() && before.iter().all(|c| !c.passed),
        "before the solution: {before:#?}"
    );
    server.run_in_sandbox(solution).await?;
    let after = run_checks(&tab, before.len()).await?;
    ensure!(after.iter().all(|c| c.passed), "after the solution: {after:#?}");
    let points: u32 = after.iter().map(|c| c.points).sum();
    // outcomes reach a tab by the journal, and the database a moment later
    eventually("the points are kept", Duration::from_secs(20), || async {
        let view = learner.get(&format!("/sessions/{session}")).await?;
        ensure!(view["points"] == points && view["points_total"] == points, "{view}");
        Ok(Some(()))
    })
    .await?;
    learner
        .post(&format!("/sessions/{session}/stop"), &serde_json::json!({}))
        .await?;
    eventually("its sandbox is gone", GONE_WITHIN, || async {
        Ok(server.sandboxes()?.is_empty().then_some(()))
    })
    .await
}

/// Runs every check and waits for the outcomes of this run.
async fn run_checks(tab: &Tab, known: usize) -> Result<Vec<CheckOutcome>> {
    let start = tab.messages().len();
    tab.send(FromBrowser::Check { check: None }).await?;
    tab.message_since(start, "the checks are done", 120, |m| match m {
        ToBrowser::Checks {
            outcomes,
            running: false,
        } if outcomes.len() >= known.max(1) => Some(outcomes.clone()),
        _ => None,
    })
    .await
}

fn lab_folders() -> Result<Vec<PathBuf>> {
    let images = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../lab-images");
    let mut labs = Vec::new();
    for image in std::fs::read_dir(&images)?.flatten() {
        let here = std::fs::read_dir(image.path().join("labs"));
        labs.extend(here.into_iter().flatten().flatten().map(|lab| lab.path()));
    }
    labs.sort();
    Ok(labs)
}
