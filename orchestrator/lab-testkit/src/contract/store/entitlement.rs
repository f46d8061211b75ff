//! Grants and admission.

use super::fixture::{School, at, at_once, fresh, plan};
use lab_core::{
    GrantId, SessionId,
    entitlement::{Grant, Refusal},
    metering::{Account, TxKind},
    port::{Admission, ErrorKind, LedgerSums, SessionFilter, Store},
    provisioning::{EndReason, SessionEvent, SessionState},
};
use std::sync::Arc;

pub async fn a_grant_is_issued_once(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let grant = school.grant_of("ada", "QUALIFYING", 3600);
    for answer in at_once(10, |_| {
        let (store, grant) = (school.store.clone(), grant.clone());
        async move { store.grant_issue(&grant).await }
    })
    .await
    {
        answer.unwrap();
    }
    let listed = school.store.grant_list(&"ada".into(), None).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].grant, listed[0].available), (&grant, 3600));
    assert_eq!(
        school
            .store
            .grant_list(&"ada".into(), Some(&"other".into()))
            .await
            .unwrap(),
        []
    );

    let larger = Grant {
        seconds: 7200,
        ..grant.clone()
    };
    assert_eq!(
        school.store.grant_issue(&larger).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    let negative = Grant {
        id: GrantId(fresh()),
        seconds: -1,
        ..grant.clone()
    };
    assert_eq!(
        school.store.grant_issue(&negative).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    let unknown = Grant {
        id: GrantId(fresh()),
        plan: "NONE".into(),
        ..grant
    };
    assert_eq!(
        school.store.grant_issue(&unknown).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(school.available(&"ada".into()).await, [3600]);
}

pub async fn a_learner_without_lab_time_is_told_their_plan(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let refused = |plan| Admission::Refused(Refusal::NoLabs { plan });
    assert_eq!(
        school.store.admit(&school.click("bob", "tiny")).await.unwrap(),
        refused(None)
    );
    school.grant("bob", "DISCOVERY", 0).await;
    assert_eq!(
        school.store.admit(&school.click("bob", "tiny")).await.unwrap(),
        refused(Some(plan("DISCOVERY")))
    );
    assert_eq!(
        school.store.session_list(&SessionFilter::default()).await.unwrap(),
        [],
        "nothing may be provisioned"
    );
}

pub async fn a_grant_counts_from_its_first_moment_until_its_last(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let grant = Grant {
        effective_at: at(10),
        expires_at: at(20),
        ..school.grant_of("ada", "QUALIFYING", 3600)
    };
    school.store.grant_issue(&grant).await.unwrap();
    for (secs, admitted) in [(9, false), (20, false), (10, true)] {
        let mut click = school.click("ada", "tiny");
        click.at = at(secs);
        let answer = school.store.admit(&click).await.unwrap();
        assert_eq!(
            matches!(answer, Admission::Admitted(_)),
            admitted,
            "at {secs}: {answer:?}"
        );
    }
}

pub async fn admission_holds_time_in_burn_order_and_names_the_plan_that_pays(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let late = school.grant("eve", "GROUP", 5000).await;
    let mut first = school.grant_of("eve", "QUALIFYING", 100);
    first.priority = 1;
    let mut soon = school.grant_of("eve", "QUALIFYING", 300);
    soon.expires_at = at(86_400);
    for grant in [&soon, &first] {
        school.store.grant_issue(grant).await.unwrap();
    }
    let session = school.admitted("eve").await;
    assert_eq!((session.held_secs, &session.plan), (900, &plan("QUALIFYING")));
    assert_eq!(
        (session.state.clone(), session.revision, session.sandbox.0),
        (SessionState::Requested, 0, session.id.0)
    );
    assert_eq!(
        school.store.session_get(session.id).await.unwrap().as_ref(),
        Some(&session)
    );
    let ledger = school.store.ledger_of(session.id).await.unwrap();
    assert_eq!((ledger.len(), ledger[0].kind), (1, TxKind::Reserve));
    assert_eq!(
        ledger[0].entries,
        [
            (Account::Grant(first.id), -100),
            (Account::Grant(soon.id), -300),
            (Account::Grant(late), -500),
            (Account::Hold(session.id), 900),
        ]
    );
    assert_eq!(school.available(&"eve".into()).await, [0, 0, 4500]);
    assert_eq!(
        school.store.ledger_sums().await.unwrap(),
        LedgerSums {
            total: 0,
            held: 900,
            used: 0
        }
    );
}

pub async fn less_than_the_least_time_starts_nothing(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    school.grant("ada", "QUALIFYING", 59).await;
    let answer = school.store.admit(&school.click("ada", "tiny")).await.unwrap();
    assert_eq!(answer, Admission::Refused(Refusal::NoTime { available: 59 }));
    school.grant("ada", "QUALIFYING", 1).await;
    assert_eq!(
        school.admitted("ada").await.held_secs,
        60,
        "what is there is held, though less than asked"
    );
}

pub async fn a_second_click_finds_the_running_session(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    school.grant("ada", "QUALIFYING", 3600).await;
    let session = school.admitted("ada").await;
    let again = school.store.admit(&school.click("ada", "tiny")).await.unwrap();
    assert_eq!(again, Admission::Running(session.clone()));
    let ready = school.ready(&session).await;
    assert_eq!(
        school.store.admit(&school.click("ada", "tiny")).await.unwrap(),
        Admission::Running(ready)
    );
    // another lab is another session, and this plan runs one
    let other = school.store.admit(&school.click("ada", "other")).await.unwrap();
    assert_eq!(
        other,
        Admission::Refused(Refusal::Concurrency {
            max: 1,
            running: vec![session.id]
        })
    );
    // another learner has nothing to do with it
    school.grant("bob", "QUALIFYING", 3600).await;
    school.admitted("bob").await;
}

pub async fn a_session_that_stops_holds_up_no_new_click(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    school.grant("ada", "QUALIFYING", 3600).await;
    let first = school.admitted("ada").await;
    let ready = school.ready(&first).await;
    school
        .step(&ready, SessionEvent::Stop(EndReason::LearnerStopped))
        .await
        .unwrap();
    let second = school.admitted("ada").await;
    assert_ne!(first.id, second.id);
}

pub async fn an_admission_that_fails_leaves_nothing(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    school.grant("ada", "QUALIFYING", 3600).await;
    let mut click = school.click("ada", "tiny");
    click.digest = "0".repeat(64).into();
    assert_eq!(
        school.store.admit(&click).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(school.available(&"ada".into()).await, [3600]);
    assert_eq!(school.store.session_list(&SessionFilter::default()).await.unwrap(), []);

    let session = school.admitted("ada").await;
    school.grant("bob", "QUALIFYING", 3600).await;
    let mut click = school.click("bob", "tiny");
    click.session = session.id;
    assert_eq!(
        school.store.admit(&click).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    assert_eq!(school.available(&"bob".into()).await, [3600]);
}

pub async fn fifty_clicks_at_once_make_one_session(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    school.grant("ada", "QUALIFYING", 3600).await;
    let answers = clicks(&school, 50, |_| "tiny".to_owned()).await;
    let admitted: Vec<SessionId> = answers.iter().filter_map(admitted).collect();
    assert_eq!(admitted.len(), 1, "exactly one click makes the session");
    for answer in &answers {
        match answer {
            Admission::Admitted(s) | Admission::Running(s) => assert_eq!(s.id, admitted[0]),
            Admission::Refused(refusal) => panic!("refused: {refusal:?}"),
        }
    }
    assert_eq!(school.available(&"ada".into()).await, [2700]);
}

pub async fn fifty_clicks_at_once_admit_what_the_plan_allows(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    school.grant("ada", "GROUP", 36_000).await;
    let answers = clicks(&school, 50, |i| format!("lab-{i}")).await;
    assert_eq!(answers.iter().filter_map(admitted).count(), 3);
    for answer in answers.iter().filter(|a| admitted(a).is_none()) {
        assert!(
            matches!(answer, Admission::Refused(Refusal::Concurrency { max: 3, .. })),
            "{answer:?}"
        );
    }
    assert_eq!(school.available(&"ada".into()).await, [36_000 - 3 * 900]);
}

pub async fn fifty_clicks_at_once_never_hold_more_time_than_there_is(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let mut wide = school
        .store
        .plan_list()
        .await
        .unwrap()
        .into_iter()
        .find(|p| p.id == plan("GROUP"))
        .unwrap();
    wide.concurrency_max = 100;
    school.store.plan_put(&wide).await.unwrap();
    // 6 × 900 are whole holds; the last 300 make a shorter one
    school.grant("ada", "GROUP", 3000).await;
    school.grant("ada", "GROUP", 2700).await;
    let answers = clicks(&school, 50, |i| format!("lab-{i}")).await;
    assert_eq!(answers.iter().filter_map(admitted).count(), 7);
    for answer in answers.iter().filter(|a| admitted(a).is_none()) {
        assert_eq!(*answer, Admission::Refused(Refusal::NoTime { available: 0 }));
    }
    assert_eq!(school.available(&"ada".into()).await, [0, 0]);
    assert_eq!(
        school.store.ledger_sums().await.unwrap(),
        LedgerSums {
            total: 0,
            held: 5700,
            used: 0
        }
    );
}

async fn clicks(school: &School, n: usize, lab: impl Fn(usize) -> String) -> Vec<Admission> {
    let answers = at_once(n, |i| {
        let (store, click) = (school.store.clone(), school.click("ada", &lab(i)));
        async move { store.admit(&click).await }
    });
    answers.await.into_iter().map(Result::unwrap).collect()
}

fn admitted(answer: &Admission) -> Option<SessionId> {
    match answer {
        Admission::Admitted(session) => Some(session.id),
        _ => None,
    }
}
