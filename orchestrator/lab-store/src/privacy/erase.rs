//! A person is forgotten, in one transaction. The ledger is not touched: its accounts hold the ids of grants and sessions, which say of whom
//! they are in `lab_grant` and `session` only, and there stands a pseudonym from now on.
//!
//! A column that names people and is not here would keep them: `tests/store/privacy.rs` asks that of every text column there is.

use super::{person, retention::remove_recordings};
use crate::{audit, db::Tx, error::Failure, row};
use lab_core::{
    launch::Role,
    metering::Alert,
    port::AuditEvent,
    privacy::{Erased, Erasure, Footprint},
};

/// What goes. $1: the person.
const DELETED: &[&str] = &[
    "DELETE FROM notice_ack WHERE subject = $1",
    "DELETE FROM check_outcome WHERE session IN (SELECT id FROM session WHERE subject = $1)",
    "DELETE FROM ticket WHERE login IN (SELECT id FROM login WHERE subject = $1)",
    "DELETE FROM login WHERE subject = $1",
    "DELETE FROM enrolment WHERE subject = $1",
    "DELETE FROM course_extension WHERE subject = $1",
    // whom they looked after has no coach now
    "UPDATE enrolment SET coach = NULL WHERE coach = $1",
    "DELETE FROM voucher_guess WHERE subject = $1",
    // who said that others are one person stands under a pseudonym like every other deed, below
    "DELETE FROM same_person WHERE alias = $1 OR subject = $1",
    "DELETE FROM grant_withheld WHERE subject = $1",
    // what is not sent to the course by now never is, and what comes of a send under way finds no row
    "DELETE FROM grade WHERE subject = $1",
    // words of a platform that was refused; they may say who came
    "DELETE FROM lti_attempt WHERE REPLACE(detail, $1, '') <> detail",
];

/// Alerts of the person's own time, sent or not. $1: what their lines begin with.
const ALERTS_DELETED: &[&str] = &[
    "DELETE FROM alert_outbox WHERE alert IN (SELECT id FROM alert WHERE substr(line, 1, length($1)) = $1)",
    "DELETE FROM alert WHERE substr(line, 1, length($1)) = $1",
];

/// What stays, of nobody. $1: the person, $2: the pseudonym. The transitions first: they are found by what the others name.
const RENAMED: &[&str] = &[
    // who stopped a learner's lab is named in its history, as the log of who did it says
    "UPDATE session_transition SET cause = substr(cause, 1, 8) || $2
     WHERE substr(cause, 1, 8) = 'teacher:' AND session IN (SELECT session FROM audit WHERE actor = $1 AND action = 'stop')
       AND substr(cause, 9) IN (SELECT actor_name FROM audit WHERE actor = $1 AND action = 'stop')",
    "UPDATE session_transition SET cause = substr(cause, 1, 6) || $2
     WHERE substr(cause, 1, 6) = 'coach:' AND session IN (SELECT session FROM audit WHERE actor = $1 AND action = 'stop')
       AND substr(cause, 7) IN (SELECT actor_name FROM audit WHERE actor = $1 AND action = 'stop')",
    "UPDATE session_transition SET cause = substr(cause, 1, 11) || $2
     WHERE substr(cause, 1, 11) = 'operations:' AND session IN (SELECT session FROM audit WHERE actor = $1 AND action = 'stop')
       AND substr(cause, 12) IN (SELECT actor_name FROM audit WHERE actor = $1 AND action = 'stop')",
    "UPDATE lab_grant SET subject = $2 WHERE subject = $1",
    "UPDATE voucher SET redeemed_by = $2 WHERE redeemed_by = $1",
    "UPDATE same_person SET said_by = $2 WHERE said_by = $1",
    "UPDATE audit SET about = $2 WHERE about = $1",
    "UPDATE audit SET actor = $2, actor_name = $2 WHERE actor = $1",
    "UPDATE launch_pause SET actor = $2, actor_name = $2 WHERE actor = $1",
];

/// See [`lab_core::port::PrivacyStore::person_erase`].
pub(super) async fn erase(tx: &mut Tx, e: &Erasure) -> Result<Erased, Failure> {
    let dialect = tx.dialect;
    // a click of theirs that is under way is over first, or finds that they were told nothing
    dialect.lock_person(tx.conn(), &e.subject).await?;
    let live = sqlx::query("SELECT id FROM session WHERE subject = $1 AND over_at IS NULL ORDER BY id")
        .bind(e.subject.as_str())
        .fetch_all(tx.conn())
        .await?;
    if !live.is_empty() {
        let ids = live.iter().map(|r| row::id(r, "id")).collect::<Result<_, _>>()?;
        return Ok(Erased::Live(ids));
    }
    let was = person::footprint(tx.conn(), &e.subject).await?;
    sqlx::query(remove_recordings!("IN (SELECT id FROM session WHERE subject = $1)"))
        .bind(e.subject.as_str())
        .bind(e.at.0)
        .execute(tx.conn())
        .await?;
    for statement in DELETED {
        sqlx::query(*statement)
            .bind(e.subject.as_str())
            .execute(tx.conn())
            .await?;
    }
    for statement in ALERTS_DELETED {
        sqlx::query(*statement)
            .bind(Alert::lines_of(&e.subject))
            .execute(tx.conn())
            .await?;
    }
    for statement in RENAMED {
        sqlx::query(*statement)
            .bind(e.subject.as_str())
            .bind(e.pseudonym.as_str())
            .execute(tx.conn())
            .await?;
    }
    sqlx::query("UPDATE session SET subject = $2, name = $2, erased_at = $3 WHERE subject = $1")
        .bind(e.subject.as_str())
        .bind(e.pseudonym.as_str())
        .bind(e.at.0)
        .execute(tx.conn())
        .await?;
    if !was.is_empty() {
        audit::append(tx, &event(e, &was)).await?;
    }
    Ok(Erased::Done(was))
}

/// Says that somebody was forgotten, and not who.
fn event(e: &Erasure, was: &Footprint) -> AuditEvent {
    AuditEvent {
        at: e.at,
        actor: e.by.clone(),
        actor_name: e.by_name.clone(),
        role: Role::Operations,
        action: "erase-person".into(),
        session: None,
        course: None,
        about: Some(e.pseudonym.clone()),
        detail: format!("{} sessions, {} recordings", was.sessions, was.recordings),
    }
}
