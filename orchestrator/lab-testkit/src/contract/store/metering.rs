//! Holds and settlement.

use super::fixture::{School, at, at_once, used};
use lab_core::{
    Timestamp,
    metering::{Account, LOSSES_WITHIN, TxKind, UNBILLED_LOSSES_A_DAY},
    port::{LedgerSums, Session, Settlement, Store},
    provisioning::EndReason,
};
use std::{sync::Arc, time::Duration};

pub async fn a_hold_grows_to_the_total_asked_for(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let session = school.at_work(3600).await;
    let answers = at_once(20, |_| {
        let (store, id) = (school.store.clone(), session.id);
        async move { store.hold_extend(id, 1800, at(600)).await.unwrap() }
    })
    .await;
    assert!(answers.iter().all(|held| *held == 1800), "{answers:?}");
    assert_eq!(school.available(&session.subject).await, [1800]);
    assert_eq!(
        school.store.hold_extend(session.id, 100, at(600)).await.unwrap(),
        1800,
        "it never shrinks"
    );
    assert_eq!(
        school.store.hold_extend(session.id, i64::MAX, at(600)).await.unwrap(),
        3600,
        "as far as grants allow"
    );
    assert_eq!(
        school.store.session_get(session.id).await.unwrap().unwrap().held_secs,
        3600
    );
    let keys: Vec<_> = school
        .store
        .ledger_of(session.id)
        .await
        .unwrap()
        .into_iter()
        .map(|t| t.key)
        .collect();
    assert_eq!(keys, [0, 1, 2].map(|n| format!("reserve/{}/{n}", session.id)));
}

pub async fn settlement_bills_once_whoever_asks(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let session = school.at_work(3600).await;
    let session = school.end(&session).await;
    assert_eq!(
        session.billed_secs, None,
        "it was usable: only a settlement says what it costs"
    );
    let answers = at_once(20, |i| {
        let (store, settlement) = (school.store.clone(), used(&session, 100 + i as i64));
        async move { store.settle(&settlement).await.unwrap() }
    })
    .await;
    let row = answers[0].clone();
    assert!(answers.iter().all(|other| *other == row), "{answers:?}");
    assert_eq!(
        (
            row.sandbox_seconds,
            row.unbilled_seconds,
            row.unbilled_reason.as_deref()
        ),
        (row.billed_seconds, 0, None)
    );
    assert_eq!(school.available(&session.subject).await, [3600 - row.billed_seconds]);
    let sums = school.store.ledger_sums().await.unwrap();
    assert_eq!(
        sums,
        LedgerSums {
            total: 0,
            held: 0,
            used: row.billed_seconds
        }
    );
    let settled = school.store.session_get(session.id).await.unwrap().unwrap();
    assert_eq!((settled.held_secs, settled.billed_secs), (0, Some(row.billed_seconds)));
    assert_eq!(
        school.store.hold_extend(session.id, 1800, at(9000)).await.unwrap(),
        0,
        "what is settled holds nothing"
    );
}

pub async fn the_rest_goes_back_to_where_it_came_from(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let mut first = school.grant_of("eve", "QUALIFYING", 500);
    first.priority = 1;
    school.store.grant_issue(&first).await.unwrap();
    let second = school.grant("eve", "QUALIFYING", 2000).await;
    let session = school.admitted("eve").await;
    let session = school.ready(&session).await;
    assert_eq!(school.available(&"eve".into()).await, [0, 1600]);
    school.end(&session).await;
    school.store.settle(&used(&session, 450)).await.unwrap();
    assert_eq!(school.available(&"eve".into()).await, [50, 2000]);
    let ledger = school.store.ledger_of(session.id).await.unwrap();
    let settle = ledger.last().unwrap();
    assert_eq!(
        (settle.kind, settle.key.clone()),
        (TxKind::Settle, format!("settle/{}", session.id))
    );
    assert_eq!(
        settle.entries,
        [
            (Account::Hold(session.id), -900),
            (Account::Used(school.course.clone()), 450),
            (Account::Grant(first.id), 50),
            (Account::Grant(second), 400),
        ]
    );
}

pub async fn use_beyond_the_hold_is_paid_by_what_is_left_and_no_more(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    // 900 held, 100 left: 1000 of 1234 s can be billed
    let session = school.at_work(1000).await;
    school.end(&session).await;
    let row = school.store.settle(&used(&session, 1234)).await.unwrap();
    assert_eq!(
        (row.sandbox_seconds, row.billed_seconds, row.unbilled_seconds),
        (1234, 1000, 234)
    );
    assert_eq!(row.unbilled_reason.as_deref(), Some("budget-spent"));
    assert_eq!(school.available(&session.subject).await, [0]);
}

pub async fn time_that_was_lost_is_not_billed_and_says_why(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let lost = |session: &lab_core::port::Session, sandbox_secs, billable_secs| Settlement {
        session: session.id,
        sandbox_secs,
        billable_secs,
        unbilled_reason: Some("sandbox-lost".into()),
        loss: None,
        at: at(7200),
    };
    for (sandbox, billable, billed, reason) in [
        (600, 400, 400, Some("sandbox-lost")),
        (600, 0, 0, Some("sandbox-lost")),
        // a reason alone costs nothing: everything is billed
        (600, 600, 600, None),
        // nobody is billed for more than the sandbox ran, or for less than nothing
        (600, 700, 600, None),
        (600, -5, 0, Some("sandbox-lost")),
        // lost, and spent as well
        (1300, 1200, 1000, Some("sandbox-lost+budget-spent")),
    ] {
        let session = school.at_work(1000).await;
        school.end(&session).await;
        let row = school.store.settle(&lost(&session, sandbox, billable)).await.unwrap();
        let told = (
            row.sandbox_seconds,
            row.billed_seconds,
            row.unbilled_seconds,
            row.unbilled_reason.as_deref(),
        );
        assert_eq!(
            told,
            (sandbox, billed, sandbox - billed, reason),
            "{sandbox} s, {billable} billable"
        );
        assert_eq!(school.available(&session.subject).await, [1000 - billed]);
    }
}

/// A session of `learner` that is over after 600 s, and what its settlement asks for.
async fn lost(school: &School, learner: &str, when: Timestamp) -> Settlement {
    let session = school.ready(&school.admitted(learner).await).await;
    school.end(&session).await;
    loss_of(&session, when)
}

fn loss_of(session: &Session, when: Timestamp) -> Settlement {
    Settlement {
        loss: Some(EndReason::AgentLost),
        at: when,
        ..used(session, 600)
    }
}

pub async fn of_losses_that_may_be_the_learners_one_within_a_day_is_unbilled_however_many_end_at_once(
    store: Arc<dyn Store>,
) {
    let school = School::open(store).await;
    let first = at(7200);
    school.grant("mallory", "QUALIFYING", 36_000).await;
    let mut losses = Vec::new();
    for _ in 0..6 {
        losses.push(lost(&school, "mallory", first).await);
    }
    // each is settled by two at once, as by a replica that took over from one that sleeps
    let rows = at_once(12, |i| {
        let (store, loss) = (school.store.clone(), losses[i / 2].clone());
        async move { store.settle(&loss).await.unwrap() }
    })
    .await;
    let unbilled: Vec<_> = rows.iter().filter(|r| r.billed_seconds == 0).collect();
    assert_eq!(unbilled.len() as i64, 2 * UNBILLED_LOSSES_A_DAY, "{rows:?}");
    assert!(
        unbilled
            .iter()
            .all(|r| r.unbilled_reason.as_deref() == Some("agent-lost+first-loss") && r.unbilled_seconds == 600)
    );
    let billed: Vec<_> = rows.iter().filter(|r| r.billed_seconds == 600).collect();
    assert_eq!(billed.len() + unbilled.len(), rows.len(), "{rows:?}");
    assert!(billed.iter().all(|r| r.unbilled_reason.is_none()), "{billed:?}");
    for (loss, row) in losses.iter().zip(rows.iter().step_by(2)) {
        assert_eq!(
            &school.store.settle(loss).await.unwrap(),
            row,
            "the same whenever it is asked again"
        );
    }
    // of another learner it is the first
    let other = school.at_work(3600).await;
    school.end(&other).await;
    let row = school.store.settle(&loss_of(&other, first)).await.unwrap();
    assert_eq!(row.billed_seconds, 0);
    // a day later it counts no more, and until then it does
    for (early, expected) in [(Duration::from_secs(1), 600), (Duration::ZERO, 0)] {
        let when = first.plus(LOSSES_WITHIN).minus(early);
        let loss = lost(&school, "mallory", when).await;
        let row = school.store.settle(&loss).await.unwrap();
        assert_eq!(row.billed_seconds, expected, "{early:?} before a day is over");
    }
    let used = 600 * 6;
    assert_eq!(school.available(&"mallory".into()).await, [36_000 - used]);
    let sums = school.store.ledger_sums().await.unwrap();
    assert_eq!((sums.total, sums.held, sums.used), (0, 0, used));
}

pub async fn two_sessions_cannot_spend_the_same_second(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    school.grant("ada", "GROUP", 2000).await;
    let mut sessions = Vec::new();
    for lab in ["one", "two"] {
        let click = school.click("ada", lab);
        school.store.admit(&click).await.unwrap();
        let session = school.store.session_get(click.session).await.unwrap().unwrap();
        sessions.push(school.ready(&session).await.id);
    }
    // 200 s are left; both want 500 more, at once, ten times each
    let held = at_once(20, |i| {
        let (store, id) = (school.store.clone(), sessions[i % 2]);
        async move { store.hold_extend(id, 1400, at(600)).await.unwrap() }
    })
    .await;
    assert!(held.iter().all(|h| (900..=1100).contains(h)), "{held:?}");
    assert_eq!(school.available(&"ada".into()).await, [0]);
    assert_eq!(
        school.store.ledger_sums().await.unwrap(),
        LedgerSums {
            total: 0,
            held: 2000,
            used: 0
        }
    );
}

pub async fn usage_is_told_by_course_learner_and_lab_oldest_first(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let session = school.at_work(3600).await;
        sessions.push(school.end(&session).await);
    }
    for session in sessions.iter().rev() {
        school.store.settle(&used(session, 60)).await.unwrap();
    }
    let list = async |course: Option<&str>, subject: Option<&str>, lab: Option<&str>| -> Vec<_> {
        let (course, subject, lab) = (course.map(Into::into), subject.map(Into::into), lab.map(Into::into));
        let rows = school
            .store
            .usage_list(course.as_ref(), subject.as_ref(), lab.as_ref())
            .await
            .unwrap();
        rows.iter().map(|r| r.session).collect()
    };
    let all: Vec<_> = sessions.iter().map(|s| s.id).collect();
    assert_eq!(list(None, None, None).await, all);
    assert_eq!(list(Some("net-101"), None, Some("tiny")).await, all);
    assert_eq!(list(None, Some(sessions[1].subject.as_str()), None).await, [all[1]]);
    assert_eq!(list(None, None, Some("other")).await, []);
    assert_eq!(list(Some("other"), None, None).await, []);
}
