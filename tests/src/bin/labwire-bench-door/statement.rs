//! A course of 2,500 learners, five labs each, and its statement as PDF by the command that people use.

use crate::place::Place;
use anyhow::{Result, ensure};
use lab_e2e::{Must, Report, psql};
use serde_json::Value;
use std::time::Instant;

const LEARNERS: i64 = 2500;
const SESSIONS: i64 = 5;
const RUNS: usize = 5;

/// What five labs of each learner leave in the database, written at once: an issue each, and a reserve and a settlement a session. The
/// triggers hold every sum.
fn filled(digest: &str) -> String {
    let id = |kind: &str, of: &str| format!("md5('{kind}' || {of})::uuid::text");
    let (grants, sessions) = (
        format!("generate_series(1, {LEARNERS}) n"),
        format!("generate_series(1, {}) n", LEARNERS * SESSIONS),
    );
    let owner = format!("((n - 1) % {LEARNERS} + 1)");
    let (at, later) = (
        "1800000000000000 + n * 1000000::bigint",
        "1800000600000000 + n * 1000000::bigint",
    );
    let (grant, session) = (id("grant", "n"), id("session", "n"));
    let of_owner = id("grant", &owner);
    let (issue, reserve, settle) = (id("issue", "n"), id("reserve", "n"), id("settle", "n"));
    format!(
        "INSERT INTO lab_grant (id, subject, course, plan, seconds, priority, effective_at, expires_at, created_at, source)
             SELECT {grant}, 'learner-' || n, 'big', 'QUALIFYING', 36000, 0, 1700000000000000, 4000000000000000, 1700000000000000, 'order' FROM {grants};
         INSERT INTO ledger_entry (tx, position, account, seconds) SELECT {issue}, 0, 'extern', -36000 FROM {grants};
         INSERT INTO ledger_entry (tx, position, account, seconds) SELECT {issue}, 1, 'grant:' || {grant}, 36000 FROM {grants};
         INSERT INTO ledger_tx (id, key, kind, ordinal, occurred_at) SELECT {issue}, 'issue/' || {grant}, 'issue', 0, 1700000000000000 FROM {grants};
         INSERT INTO session (id, subject, name, course, lab, digest, plan, sandbox, state, reason, revision, requested_at, ready_at, over_at, ready_us, active_at)
             SELECT {session}, 'learner-' || {owner}, 'L', 'big', 'shell', '{digest}', 'QUALIFYING', {session}, 'ended', 'learner-stopped', 4, {at}, {at}, {later}, 1, {at} FROM {sessions};
         INSERT INTO ledger_entry (tx, position, account, seconds) SELECT {reserve}, 0, 'grant:' || {of_owner}, -900 FROM {sessions};
         INSERT INTO ledger_entry (tx, position, account, seconds) SELECT {reserve}, 1, 'hold:' || {session}, 900 FROM {sessions};
         INSERT INTO ledger_tx (id, key, kind, session, ordinal, occurred_at) SELECT {reserve}, 'reserve/' || {session} || '/0', 'reserve', {session}, 0, {at} FROM {sessions};
         INSERT INTO ledger_entry (tx, position, account, seconds) SELECT {settle}, 0, 'hold:' || {session}, -900 FROM {sessions};
         INSERT INTO ledger_entry (tx, position, account, seconds) SELECT {settle}, 1, 'used:big', 550 FROM {sessions};
         INSERT INTO ledger_entry (tx, position, account, seconds) SELECT {settle}, 2, 'grant:' || {of_owner}, 350 FROM {sessions};
         INSERT INTO ledger_tx (id, key, kind, session, ordinal, occurred_at) SELECT {settle}, 'settle/' || {session}, 'settle', {session}, 1, {later} FROM {sessions};
         INSERT INTO usage (session, sandbox_seconds, billed_seconds, unbilled_seconds, unbilled_reason, settled_at)
             SELECT {session}, 600, 550, 50, 'frozen', {later} FROM {sessions};"
    )
}

pub async fn of_2500(report: &mut Report) -> Result<()> {
    let place = Place::open("").await?;
    let digest = psql(&place.address, "SELECT latest FROM lab WHERE id = 'shell'")?;
    psql(&place.address, &filled(digest.trim()))?;
    // as the database's own housekeeping does within a minute of such a load
    psql(&place.address, "ANALYZE")?;
    let statement = |format: &str, more: &[&str]| {
        let args = [
            "statement",
            "--course",
            "big",
            "--from",
            "2027-01-01",
            "--to",
            "2028-01-01",
            "--format",
            format,
        ];
        place.server.cli(&[&args[..], more].concat())
    };
    let sums: Value = serde_json::from_str(&statement("json", &[])?)?;
    let t = &sums["totals"];
    ensure!(t["learners"] == LEARNERS && t["sessions"] == LEARNERS * SESSIONS, "{t}");
    ensure!(
        t["used"] == LEARNERS * SESSIONS * 550 && t["unbilled_seconds"] == LEARNERS * SESSIONS * 50,
        "{t}"
    );
    let file = place.server.data_dir()?.join("big.pdf").display().to_string();
    let mut samples = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let start = Instant::now();
        statement("pdf", &["--out", &file])?;
        samples.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let slowest = samples.iter().copied().fold(0.0, f64::max);
    report.add(
        "statement_2500_learners_ms",
        slowest,
        "ms",
        Must::AtMost(2000.0),
        &samples,
    )?;
    place.close().await
}
