//! A database that dies at the worst moments of a click: after time was set aside and before there is a lab, and in the very commit.
//! The server is a real Postgres of each test's own, killed with everything it has under way.

use anyhow::{Result, ensure};
use lab_e2e::{Api, Pace, Postgres, Replicas, Tab, eventually};
use serde_json::json;
use std::time::Duration;

const SHELL_LAB: &str = include_str!("../src/shell-lab.yaml");
const CAT: u16 = 1;
const WITHIN: Duration = Duration::from_secs(30);

/// What a click sets aside: `HOLD_CHUNK_SECS`.
const HELD: &str = "900";

/// Lets nobody pass a trigger `stop` until there is a row in `passing`. Each look is a statement of its own, so it sees what others commit.
const BARRIER: &str = "create table passing (n int);
    create function barrier() returns trigger language plpgsql as $$ begin
        while not exists (select from passing) loop perform pg_sleep(0.01); end loop;
        return new;
    end $$;";

/// Waits until somebody stands before the barrier.
async fn stands_there(replicas: &Replicas) -> Result<()> {
    eventually("somebody is at the barrier", WITHIN, || async {
        let waiting = replicas.sql("select count(*) from pg_stat_activity where wait_event = 'PgSleep'")?;
        Ok((waiting != "0").then_some(()))
    })
    .await
}

/// The ledger's balance of all holds, and how many transactions made them.
fn holds(replicas: &Replicas) -> Result<String> {
    replicas.sql(
        "select coalesce(sum(seconds), 0) || ' in ' || count(distinct tx) from ledger_entry where account like 'hold:%'",
    )
}

/// Kills the server; started again on the same data, with nobody let in yet.
async fn dies_and_is_back(postgres: &mut Postgres, replicas: &mut Replicas) -> Result<()> {
    replicas.database.shut();
    postgres.kill().await?;
    postgres.start_again()?;
    replicas.database_moved(postgres.address())
}

/// One lab came of the clicks, with one hold; it works, and all of it is accounted for to the second.
async fn came_out_once(replicas: Replicas, learner: &Api, session: &str) -> Result<()> {
    let tab = Tab::open(learner, session, Pace::Fast).await?;
    tab.attach_ready(CAT).await?;
    let before = tab.offset(CAT);
    tab.type_text(CAT, "alive").await?;
    tab.offset_reaches(CAT, before + 5, 10).await?;
    ensure!(replicas.agents().len() == 1, "sandboxes: {:?}", replicas.agents());
    ensure!(replicas.sql("select count(*) from session")? == "1", "another session");
    ensure!(holds(&replicas)? == format!("{HELD} in 1"), "{}", holds(&replicas)?);
    learner.post(&format!("/sessions/{session}/stop"), &json!({})).await?;
    let billed = eventually("it is settled", WITHIN, || async {
        let view = learner.get(&format!("/sessions/{session}")).await?;
        Ok(view["billed_secs"].as_i64())
    })
    .await?;
    let sums = "select coalesce(sum(seconds) filter (where account like 'hold:%'), 0) || ' ' ||
        coalesce(sum(seconds) filter (where account like 'grant:%'), 0) || ' ' ||
        coalesce(sum(seconds) filter (where account like 'used:%'), 0) || ' ' || sum(seconds) from ledger_entry";
    ensure!(
        replicas.sql(sums)? == format!("0 {} {billed} 0", 3600 - billed),
        "held, left, used, all: {}",
        replicas.sql(sums)?
    );
    replicas.cli(&["reconcile"])?;
    replicas.finish().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_dies_between_hold_and_sandbox_costs_no_second_and_doubles_no_lab() -> Result<()> {
    let mut postgres = Postgres::start()?;
    let mut replicas = Replicas::start_on(postgres.address(), 1, SHELL_LAB).await?;
    let learner = replicas.arrived("ada").await?;
    replicas.sql(&format!(
        "{BARRIER} create trigger stop before update on session for each row when (new.state = 'provisioning')
             execute function barrier()"
    ))?;
    let session = learner.start("shell").await?;
    stands_there(&replicas).await?;
    ensure!(holds(&replicas)? == format!("{HELD} in 1"), "{}", holds(&replicas)?);
    dies_and_is_back(&mut postgres, &mut replicas).await?;
    // the hold was committed, the lab was not begun, and the server is away: exactly the moment that is meant
    ensure!(replicas.sql("select state from session")? == "requested");
    ensure!(holds(&replicas)? == format!("{HELD} in 1"), "{}", holds(&replicas)?);
    ensure!(
        replicas.agents().is_empty(),
        "a sandbox was made before its session said so"
    );
    replicas.sql("drop trigger stop on session")?;
    replicas.database.open();
    // the page's button, once more, as soon as it is answered
    let again = eventually("a click is answered again", WITHIN, || async {
        learner.start("shell").await.map(Some)
    })
    .await?;
    ensure!(again == session, "a second session: {again}");
    came_out_once(replicas, &learner, &session).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_click_whose_commit_was_never_confirmed_is_found_again_by_the_next_click() -> Result<()> {
    let mut postgres = Postgres::start()?;
    let mut replicas = Replicas::start_on(postgres.address(), 1, SHELL_LAB).await?;
    let learner = replicas.arrived("ada").await?;
    // deferred: it runs when the commit has been asked for
    replicas.sql(&format!(
        "{BARRIER} create constraint trigger stop after insert on session deferrable initially deferred for each row
             execute function barrier()"
    ))?;
    let click = tokio::spawn({
        let learner = learner.clone();
        async move { learner.start("shell").await }
    });
    stands_there(&replicas).await?;
    // the answer can reach nobody any more; the server goes on to its commit, and dies after it
    replicas.database.shut();
    replicas.sql("insert into passing values (1)")?;
    eventually("it is committed", WITHIN, || async {
        Ok((replicas.sql("select state from session")? == "requested").then_some(()))
    })
    .await?;
    ensure!(click.await?.is_err(), "a click was confirmed that nobody confirmed");
    dies_and_is_back(&mut postgres, &mut replicas).await?;
    ensure!(holds(&replicas)? == format!("{HELD} in 1"), "{}", holds(&replicas)?);
    replicas.sql("drop trigger stop on session")?;
    replicas.database.open();
    let session = eventually("a click is answered again", WITHIN, || async {
        learner.start("shell").await.map(Some)
    })
    .await?;
    came_out_once(replicas, &learner, &session).await
}
