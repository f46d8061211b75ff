//! What is here of a person, and how they are forgotten.

use super::{
    fixture::{School, at, at_once, fresh, used},
    privacy::{ack, click, erasure, event, record, worked},
};
use lab_core::{
    CheckId, Subject,
    courses::Extension,
    entitlement::{WhyWithheld, Withheld},
    journal::CheckOutcome,
    launch::{Login, Role, lti::SamePerson},
    metering::AlertOf,
    port::{Admission, ChunkAppend, ErrorKind, Store},
    privacy::{Erased, Footprint},
    provisioning::SessionEvent,
    recording::{ChainHash, RecordingState},
};
use std::sync::Arc;

pub async fn people_are_listed_by_what_is_here_of_them(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    worked(&school, "ada").await;
    school.grant("lin_x", "QUALIFYING", 60).await;
    let names = async |text: &str| {
        let people = school.store.person_list(text).await.unwrap();
        people
            .into_iter()
            .map(|p| (p.subject.0, p.sessions, p.grants))
            .collect::<Vec<_>>()
    };
    assert_eq!(names("").await, [("ada".into(), 1, 1), ("lin_x".into(), 0, 1)]);
    assert_eq!(names("ADA").await.len(), 1, "whatever its case");
    assert_eq!(names("n_").await.len(), 1);
    assert_eq!(names("a_a").await, [], "a wildcard of SQL is a letter here");
    let person = school.store.person_list("ada").await.unwrap().remove(0);
    assert_eq!((person.name.as_str(), person.live, person.last_at), ("ADA", 0, at(0)));
}

pub async fn a_persons_transactions_are_told_page_by_page_and_nobody_elses(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    worked(&school, "ada").await;
    worked(&school, "lin").await;
    let ada = Subject::from("ada");
    let all = school.store.person_ledger(&ada, None, 100).await.unwrap();
    let kinds: Vec<_> = all.iter().map(|t| t.kind.name()).collect();
    assert_eq!(kinds.len(), 3, "{kinds:?}");
    assert!(all.iter().all(lab_core::metering::Transaction::is_balanced));
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = school.store.person_ledger(&ada, after.as_ref(), 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.occurred_at, last.key.clone()));
        paged.extend(page);
    }
    assert_eq!(paged, all);
}

/// Longer in a course, known by a second id, and refused what a launch asked for.
async fn given_and_said(school: &School, who: &str) -> (Extension, SamePerson, Withheld) {
    let extension = Extension {
        course: school.course.clone(),
        subject: who.into(),
        until: at(5000),
        given_at: at(3),
    };
    school.store.extension_put(&extension).await.unwrap();
    let same = SamePerson {
        alias: format!("other.example.org#{who}").as_str().into(),
        subject: who.into(),
        at: at(4),
        by: "cli".into(),
    };
    school.store.same_person_put(&same).await.unwrap();
    let withheld = Withheld {
        subject: who.into(),
        course: school.course.clone(),
        plan: "GROUP".into(),
        why: WhyWithheld::Spent,
        at: at(5),
    };
    school.store.grant_withhold(&withheld).await.unwrap();
    (extension, same, withheld)
}

pub async fn who_is_forgotten_leaves_a_ledger_that_adds_up_and_nothing_else(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let (yrsa, lin) = (worked(&school, "yrsa").await, worked(&school, "lin").await);
    let store = &school.store;
    store.notice_acknowledge(&ack("yrsa", 1)).await.unwrap();
    let login = Login {
        id: lab_core::LoginId(fresh()),
        subject: "yrsa".into(),
        name: "Yrsa Sørensen".into(),
        role: Role::Learner,
        course: school.course.clone(),
        lab: Some("tiny".into()),
        plan: None,
        sponsor: None,
        created_at: at(0),
        expires_at: at(900),
    };
    let bearer = lab_core::TokenHash::of("bearer");
    store.login_create(&login, bearer).await.unwrap();
    store.audit_append(&event(1, "view", Some(yrsa.id))).await.unwrap();
    let (extension, same, withheld) = given_and_said(&school, "yrsa").await;
    given_and_said(&school, "lin").await;
    let sums = store.ledger_sums().await.unwrap();
    let before = store.person_footprint(&"yrsa".into()).await.unwrap();
    let there = Footprint {
        sessions: 1,
        recordings: 1,
        checks: 1,
        grants: 1,
        logins: 1,
        vouchers: 0,
        notices: 1,
        enrolments: 0,
        extensions: 1,
        aliases: 1,
        withheld: 1,
        audit: 0,
    };
    assert_eq!(before, there);
    let traces = store.person_traces(&"yrsa".into()).await.unwrap();
    assert_eq!(traces.logins, [login]);
    assert_eq!(
        (traces.extensions, traces.aliases, traces.withheld),
        (vec![extension], vec![same], vec![withheld])
    );

    let e = erasure("yrsa", 100);
    assert_eq!(store.person_erase(&e).await.unwrap(), Erased::Done(there));
    assert_eq!(
        store.person_erase(&erasure("yrsa", 101)).await.unwrap(),
        Erased::Done(Footprint::default()),
        "again, and nothing is left to do"
    );
    assert!(store.person_footprint(&"yrsa".into()).await.unwrap().is_empty());
    assert_eq!(store.login_by_bearer(bearer, at(100)).await.unwrap(), None);
    let session = store.session_get(yrsa.id).await.unwrap().unwrap();
    assert_eq!(
        (&session.subject, session.name.as_str()),
        (&e.pseudonym, e.pseudonym.as_str())
    );
    assert_eq!(session.billed_secs, Some(100));
    assert_eq!(store.check_list(yrsa.id).await.unwrap(), []);
    let head = store.recording_head(yrsa.id).await.unwrap().unwrap();
    assert_eq!(head.state, RecordingState::Removed { at: at(100) });
    assert_eq!(store.ledger_sums().await.unwrap(), sums);
    assert_eq!(store.ledger_recount().await.unwrap(), sums);
    assert_eq!(store.usage_list(None, Some(&e.pseudonym), None).await.unwrap().len(), 1);
    assert_eq!(store.person_ledger(&e.pseudonym, None, 100).await.unwrap().len(), 3);
    let people: Vec<_> = store
        .person_list("")
        .await
        .unwrap()
        .into_iter()
        .map(|p| p.subject.0)
        .collect();
    assert_eq!(people, ["lin"], "nobody is listed by a pseudonym");
    assert_eq!(store.session_get(lin.id).await.unwrap().unwrap().name, "LIN");
    let audit = store.audit_list(None).await.unwrap();
    let told: Vec<_> = audit.iter().map(|e| (e.action.as_str(), e.about.clone())).collect();
    assert_eq!(told, [("erase-person", Some(e.pseudonym.clone())), ("view", None)]);
    let texts = format!("{audit:?}");
    // no letter of the name is a digit of an id
    assert!(!texts.contains("yrsa") && !texts.contains("Yrsa"), "{texts}");
}

pub async fn nobody_is_forgotten_while_their_lab_runs(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let session = school.at_work(3600).await;
    let subject = session.subject.as_str();
    let refused = school.store.person_erase(&erasure(subject, 100)).await.unwrap();
    assert_eq!(refused, Erased::Live(vec![session.id]));
    assert_eq!(
        school.store.session_get(session.id).await.unwrap(),
        Some(session.clone())
    );
    // on its way out it is not over
    let stopping = SessionEvent::Stop(lab_core::provisioning::EndReason::LearnerStopped);
    school.step(&session, stopping).await.unwrap();
    let refused = school.store.person_erase(&erasure(subject, 100)).await.unwrap();
    assert_eq!(refused, Erased::Live(vec![session.id]));
}

/// The grants of who is forgotten stay in the ledger, under a random name that an alert must not send to anybody.
pub async fn nobody_is_alerted_to_what_a_forgotten_person_spent(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    school.grant("ada", "QUALIFYING", 1000).await;
    let ada = school.admitted("ada").await;
    let ada = school.ready(&ada).await;
    let ada = school.end(&ada).await;
    let store = &school.store;
    store.settle(&used(&ada, 600)).await.unwrap();
    let granted = store.ledger_sums().await.unwrap();
    let learners = async || {
        let all = store.spendings(at(50)).await.unwrap();
        all.into_iter()
            .filter(|s| matches!(s.of, AlertOf::Learner { .. }))
            .map(|s| s.of)
            .collect::<Vec<_>>()
    };
    let of = AlertOf::Learner {
        subject: ada.subject.clone(),
        course: school.course.clone(),
    };
    assert_eq!(learners().await, [of], "more than half of the grant is spent");
    store.person_erase(&erasure("ada", 100)).await.unwrap();
    assert_eq!(learners().await, []);
    assert_eq!(store.ledger_sums().await.unwrap(), granted, "the ledger is as it was");
}

pub async fn nothing_that_comes_late_brings_back_who_was_forgotten(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let ada = worked(&school, "ada").await;
    // of this one nothing was recorded in time
    let lin = school.at_work(3600).await;
    let lin = school.end(&lin).await;
    let store = &school.store;
    let chunk = record(&school, ada.id).await;
    store.person_erase(&erasure("ada", 100)).await.unwrap();
    store.person_erase(&erasure(lin.subject.as_str(), 101)).await.unwrap();
    let outcome = CheckOutcome {
        check: CheckId::from("ping"),
        passed: false,
        points: 0,
        detail: "ada does not answer".into(),
    };
    let late = store.check_record(ada.id, &outcome, at(110)).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::NotFound);
    let next = ChunkAppend {
        start: chunk.end,
        end: chunk.end + 1,
        chain: ChainHash([7; 32]),
        ..chunk
    };
    assert_eq!(
        store.recording_append(&next).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    let opened = store.recording_open(lin.id, at(110)).await.unwrap_err();
    assert_eq!(opened.kind(), ErrorKind::NotFound);
    // her tab clicks on: it is told anew, and nobody is made of an old bearer
    let click = store.admit(&click(&school, "ada")).await.unwrap();
    assert!(matches!(click, Admission::Refused(_)), "{click:?}");
    assert!(store.person_footprint(&"ada".into()).await.unwrap().is_empty());
}

pub async fn of_a_click_and_an_erasure_at_once_one_wins(store: Arc<dyn Store>) {
    let school = Arc::new(School::open(store).await);
    for round in 0..8 {
        let subject = format!("ada-{round}");
        school.grant(&subject, "QUALIFYING", 3600).await;
        school.store.notice_acknowledge(&ack(&subject, 0)).await.unwrap();
        let done = at_once(2, |i| {
            let (school, subject) = (school.clone(), subject.clone());
            async move {
                if i == 0 {
                    let done = school.store.admit(&click(&school, &subject)).await.unwrap();
                    return matches!(done, Admission::Admitted(_));
                }
                let done = school.store.person_erase(&erasure(&subject, 100)).await.unwrap();
                matches!(done, Erased::Done(_))
            }
        })
        .await;
        assert_ne!(done[0], done[1], "a session of somebody who was forgotten, or neither");
        let left = school.store.person_footprint(&subject.as_str().into()).await.unwrap();
        assert_eq!(left.is_empty(), done[1], "{left:?}");
    }
}
