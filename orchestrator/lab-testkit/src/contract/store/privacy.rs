//! Who is told, who looked, what goes when, and how a person is forgotten.

use super::fixture::{School, at, used};
use lab_core::{
    CheckId, SessionId, Subject,
    entitlement::{Bilingual, Feature, Plan, Refusal},
    journal::CheckOutcome,
    launch::Role,
    port::{
        Admission, AdmitRequest, AuditEvent, ChunkAppend, ErrorKind, RETENTION_LEASE, Session, SessionFilter, Store,
        StoreError, recorder_lease,
    },
    privacy::{Acknowledgement, Class, Erasure, NoticeVersion, Removal, Retention, SECOND_LOOK, pseudonym},
    recording::RecordingState,
};
use std::{sync::Arc, time::Duration};

pub(super) fn version() -> NoticeVersion {
    NoticeVersion("1-abcdef01".into())
}

pub(super) fn ack(subject: &str, secs: i64) -> Acknowledgement {
    Acknowledgement {
        subject: subject.into(),
        version: version(),
        at: at(secs),
    }
}

/// A click of somebody who must have been told.
pub(super) fn click(school: &School, subject: &str) -> AdmitRequest {
    AdmitRequest {
        notice: Some(version()),
        ..school.click(subject, "tiny")
    }
}

pub(super) fn erasure(subject: &str, secs: i64) -> Erasure {
    Erasure {
        subject: subject.into(),
        pseudonym: pseudonym([secs.to_le_bytes()[0]; 32]),
        by: "ops".into(),
        by_name: "Operations".into(),
        at: at(secs),
    }
}

pub(super) fn event(secs: i64, action: &str, session: Option<SessionId>) -> AuditEvent {
    AuditEvent {
        at: at(secs),
        actor: "prof".into(),
        actor_name: "Prof. Turing".into(),
        role: Role::Teacher,
        action: action.into(),
        session,
        course: None,
        about: None,
        detail: String::new(),
    }
}

/// Ten bytes of a recording, by the newest recorder.
pub(super) async fn record(school: &School, session: SessionId) -> ChunkAppend {
    let store = &school.store;
    let lease = store
        .lease_take(&recorder_lease(session), "recorder", at(10), Duration::from_secs(6))
        .await
        .unwrap()
        .expect("nobody else records");
    let head = store.recording_open(session, at(10)).await.unwrap();
    let chunk = ChunkAppend {
        session,
        epoch: lease.epoch,
        start: head.end,
        end: head.end + 10,
        chain: head.chain.extend(head.end, &[0; 10]),
        key: format!("recordings/{session}/{}", head.end),
        last_us: 1,
        at: at(10),
    };
    store.recording_append(&chunk).await.unwrap();
    chunk
}

/// A learner's session that was recorded, checked, settled and is over at second 5.
pub(super) async fn worked(school: &School, subject: &str) -> Session {
    school.grant(subject, "QUALIFYING", 3600).await;
    let session = school.admitted(subject).await;
    let session = school.ready(&session).await;
    record(school, session.id).await;
    let outcome = CheckOutcome {
        check: CheckId::from("ping"),
        passed: true,
        points: 5,
        detail: format!("{subject} answers"),
    };
    school.store.check_record(session.id, &outcome, at(6)).await.unwrap();
    let session = school.end(&session).await;
    school.store.settle(&used(&session, 100)).await.unwrap();
    session
}

async fn sweeper(school: &School) -> u64 {
    let ttl = Duration::from_secs(6);
    let lease = school.store.lease_take(RETENTION_LEASE, "a", at(0), ttl).await.unwrap();
    lease.expect("it is free").epoch
}

pub async fn nobody_starts_before_they_were_told_and_nobody_is_told_twice(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    school.grant("ada", "QUALIFYING", 3600).await;
    let admit = async || school.store.admit(&click(&school, "ada")).await.unwrap();
    assert_eq!(
        admit().await,
        Admission::Refused(Refusal::Notice { version: version() })
    );
    assert_eq!(school.store.session_list(&SessionFilter::default()).await.unwrap(), []);
    let store = &school.store;
    let known = async |who: &str| store.notice_acknowledged(&who.into(), &version()).await.unwrap();
    assert_eq!(known("ada").await, None);
    assert_eq!(store.notice_acknowledge(&ack("ada", 3)).await.unwrap(), at(3));
    assert_eq!(
        store.notice_acknowledge(&ack("ada", 9)).await.unwrap(),
        at(3),
        "the first time counts"
    );
    assert_eq!((known("ada").await, known("lin").await), (Some(at(3)), None));
    let Admission::Admitted(session) = admit().await else {
        panic!("she was told");
    };
    // a newer notice keeps nobody out of the lab they are in
    let newer = AdmitRequest {
        notice: Some(NoticeVersion("2-0".into())),
        ..click(&school, "ada")
    };
    assert_eq!(store.admit(&newer).await.unwrap(), Admission::Running(session));
}

pub async fn who_could_not_start_anyway_is_told_that_and_no_notice(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    school.grant("chloe", "DISCOVERY", 0).await;
    let refused = school.store.admit(&click(&school, "chloe")).await.unwrap();
    assert!(
        matches!(refused, Admission::Refused(Refusal::NoLabs { .. })),
        "{refused:?}"
    );
}

pub async fn a_learner_is_told_who_looked_at_their_own_labs_and_at_the_wall_they_were_on(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let (ada, lin) = (worked(&school, "ada").await, worked(&school, "lin").await);
    let wall = |secs, course: &str| AuditEvent {
        course: Some(course.into()),
        ..event(secs, "view", None)
    };
    let exported = AuditEvent {
        about: Some("ada".into()),
        ..event(9, "export-person", None)
    };
    for e in [
        event(1, "view", Some(ada.id)),
        event(2, "view", Some(lin.id)),
        wall(3, "net-101"),
        wall(3, "other"),
        // when nobody of them had a lab open
        wall(86_400, "net-101"),
        event(7, "replay", Some(ada.id)),
        exported,
    ] {
        school.store.audit_append(&e).await.unwrap();
    }
    let subject = Subject::from("ada");
    let looks = school.store.looks(&subject, None, None).await.unwrap();
    let told: Vec<_> = looks.iter().map(|l| (l.action.as_str(), l.at, l.session)).collect();
    assert_eq!(
        told,
        [
            ("export-person", at(9), None),
            ("replay", at(7), Some(ada.id)),
            ("view", at(3), None),
            ("view", at(1), Some(ada.id)),
        ]
    );
    assert_eq!(looks[1].lab, Some("tiny".into()));
    assert_eq!((looks[2].name.as_str(), looks[2].role), ("Prof. Turing", Role::Teacher));
    assert_eq!(looks[2].course, Some("net-101".into()));
    let older = school.store.looks(&subject, None, Some(looks[1].id)).await.unwrap();
    assert_eq!(older, looks[2..], "a further page");
    let elsewhere = school.store.looks(&subject, Some(&"other".into()), None).await.unwrap();
    assert_eq!(elsewhere, looks[..1], "what is of the person is of every course");
    assert_eq!(school.store.looks(&"nobody".into(), None, None).await.unwrap(), []);
}

pub async fn what_has_had_its_time_is_due_and_exams_are_kept_longer(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let exam = Plan {
        features: [Feature::Observe, Feature::Recorded, Feature::Exam].into(),
        concurrency_max: 1,
        seconds: 3600,
        ..Plan::new(
            "EXAM",
            Bilingual {
                en: "Exam".into(),
                fr: "Examen".into(),
            },
        )
    };
    school.store.plan_put(&exam).await.unwrap();
    let ada = worked(&school, "ada").await;
    school.grant("eve", "EXAM", 3600).await;
    let eve = school.ready(&school.admitted("eve").await).await;
    record(&school, eve.id).await;
    school.end(&eve).await;
    school
        .store
        .audit_append(&event(1, "view", Some(ada.id)))
        .await
        .unwrap();
    let running = school.at_work(3600).await;
    record(&school, running.id).await;

    let retention = Retention {
        recordings: Duration::from_secs(100),
        exam_recordings: Duration::from_secs(200),
        actions: Duration::from_secs(300),
        audit: Duration::from_secs(400),
    };
    let due = async |secs| {
        let before = retention.before(at(secs));
        let due = school.store.retention_due(&before).await.unwrap();
        due.iter().map(|d| (d.class, d.count)).collect::<Vec<_>>()
    };
    let counts = |recordings, checks, names, audit| {
        vec![
            (Class::Recordings, recordings),
            (Class::Checks, checks),
            (Class::Names, names),
            (Class::Audit, audit),
        ]
    };
    assert_eq!(due(104).await, counts(0, 0, 0, 0));
    assert_eq!(due(105).await, counts(1, 0, 0, 0), "over at 5");
    assert_eq!(due(205).await, counts(2, 0, 0, 0), "the exam's too");
    assert_eq!(due(306).await, counts(2, 1, 2, 0));
    assert_eq!(due(401).await, counts(2, 1, 2, 1), "and never what runs");
    let list = school
        .store
        .recordings_due(&retention.before(at(105)), 10)
        .await
        .unwrap();
    assert_eq!(list, [ada.id]);
    let all = school.store.retention_due(&retention.before(at(401))).await.unwrap();
    assert_eq!(
        all[0].overdue,
        Duration::from_secs(296),
        "the exam's is over its time for less"
    );
}

pub async fn a_removed_recording_is_neither_read_nor_written_and_looked_at_twice(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let id = worked(&school, "ada").await.id;
    let (store, epoch) = (school.store.clone(), sweeper(&school).await);
    let late = record(&school, id).await;
    assert!(store.recording_remove(id, epoch, at(50)).await.unwrap());
    assert!(!store.recording_remove(id, epoch, at(51)).await.unwrap(), "once");
    let head = store.recording_head(id).await.unwrap().unwrap();
    assert_eq!(head.state, RecordingState::Removed { at: at(50) });
    // a recorder that knew nothing of it
    let next = ChunkAppend {
        start: late.end,
        end: late.end + 10,
        ..late.clone()
    };
    assert_eq!(
        store.recording_append(&next).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    assert_eq!(store.recording_open(id, at(60)).await.unwrap().state, head.state);
    let complete = RecordingState::Complete { at: at(61) };
    store.recording_close(id, late.epoch, &complete).await.unwrap();
    assert_eq!(store.recording_head(id).await.unwrap().unwrap().state, head.state);

    let second = |secs| at(secs).minus(SECOND_LOOK);
    let removal = |again| Removal { session: id, again };
    assert_eq!(store.removals(second(50), 10).await.unwrap(), [removal(false)]);
    assert_eq!(
        store.recording_chunks(id).await.unwrap().len(),
        2,
        "its objects are named until they are gone"
    );
    store.removal_done(removal(false), at(52)).await.unwrap();
    assert_eq!(store.recording_chunks(id).await.unwrap(), []);
    assert_eq!(store.removals(second(3649), 10).await.unwrap(), []);
    assert_eq!(store.removals(second(3650), 10).await.unwrap(), [removal(true)]);
    store.removal_done(removal(true), at(3650)).await.unwrap();
    assert_eq!(store.removals(second(9999), 10).await.unwrap(), []);
}

pub async fn only_the_newest_sweeper_removes_anything_and_some_rows_at_a_time(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let ada = worked(&school, "ada").await;
    for secs in 0..5 {
        school
            .store
            .audit_append(&event(secs, "view", Some(ada.id)))
            .await
            .unwrap();
    }
    let store = &school.store;
    let old = sweeper(&school).await;
    let new = store
        .lease_take(RETENTION_LEASE, "b", at(60), Duration::from_secs(6))
        .await;
    let new = new.unwrap().expect("the first one's has run out").epoch;
    for refused in [
        store.recording_remove(ada.id, old, at(60)).await.unwrap_err(),
        store
            .retention_delete(Class::Audit, old, at(60), at(60), 10)
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(refused, StoreError::Fenced { .. }), "{refused:?}");
    }
    let delete = async |class, before| store.retention_delete(class, new, at(before), at(70), 2).await.unwrap();
    let audit = [
        delete(Class::Audit, 3).await,
        delete(Class::Audit, 3).await,
        delete(Class::Audit, 3).await,
    ];
    assert_eq!(audit, [2, 2, 0]);
    assert_eq!(store.audit_list(None).await.unwrap().len(), 1);
    assert_eq!(delete(Class::Checks, 5).await, 0, "the check is of second 6");
    assert_eq!(delete(Class::Checks, 6).await, 1);
    assert_eq!(store.check_list(ada.id).await.unwrap(), []);
    assert_eq!(delete(Class::Names, 5).await, 1);
    let named = store.session_get(ada.id).await.unwrap().unwrap().name;
    assert_eq!(named, "ada", "their id stands where the name stood");
    let runs = store.retention_runs().await.unwrap();
    let told: Vec<_> = runs.iter().map(|r| (r.class, r.at, r.removed)).collect();
    assert_eq!(
        told,
        [
            (Class::Checks, at(70), 1),
            (Class::Names, at(70), 1),
            (Class::Audit, at(70), 4)
        ]
    );
}
