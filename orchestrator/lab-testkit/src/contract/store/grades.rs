//! The outbox: what launches and checks put there, and what becomes of it.

use super::fixture::{School, at, at_once, lab};
use lab_core::{
    CheckId, SessionId,
    grading::{Grade, GradeAddress, GradeRow, GradeState, GradeTarget},
    journal::CheckOutcome,
    lab::LabVersion,
    launch::lti::{Kind, Registration, RegistrationId, Seen},
    port::{Admission, ErrorKind, GRADES_DUE_MAX, GradeChange, GradeCounts, GradeWrite, OUTBOX_LEASE, Session, Store},
};
use std::{sync::Arc, time::Duration};

/// The fixture's lab with three checks of a point each; with `more`, four.
fn graded(more: bool) -> LabVersion {
    let mut text = lab("tiny", "graded").source;
    text.push_str("checks:\n");
    for id in ["a", "b", "c", "d"].iter().take(if more { 4 } else { 3 }) {
        text.push_str(&format!(
            "  - {{id: {id}, title: {{en: {id}, fr: {id}}}, points: 1, command: ['true']}}\n"
        ));
    }
    LabVersion::parse("graded.yaml", text.as_bytes()).expect("it is a lab file")
}

/// A school whose lab has checks, and a learner at work in it.
async fn school(store: Arc<dyn Store>) -> (School, Session) {
    let mut school = School::open(store).await;
    let version = graded(false);
    school.store.lab_publish(&version, at(0)).await.unwrap();
    school.digest = version.digest;
    let session = school.at_work(3600).await;
    (school, session)
}

fn coupled(session: &Session, line_item: &str) -> GradeTarget {
    let address = GradeAddress::Ags {
        line_item: Some(line_item.into()),
        line_items: Some("https://lms/items".into()),
        scopes: vec!["score".into()],
    };
    target(session, address)
}

fn uncoupled(session: &Session) -> GradeTarget {
    let address = GradeAddress::Ags {
        line_item: None,
        line_items: Some("https://lms/items".into()),
        scopes: vec!["score".into()],
    };
    target(session, address)
}

fn basic(session: &Session, sourcedid: &str) -> GradeTarget {
    let address = GradeAddress::Outcome {
        url: "https://lms/outcome".into(),
        sourcedid: sourcedid.into(),
    };
    target(session, address)
}

fn target(session: &Session, address: GradeAddress) -> GradeTarget {
    GradeTarget {
        registration: RegistrationId("edx".into()),
        subject: session.subject.clone(),
        course: session.course.clone(),
        lab: session.lab.clone(),
        title: "Tiny".into(),
        user: session.subject.to_string(),
        resource_link: "link".into(),
        address,
    }
}

async fn check(store: &dyn Store, session: SessionId, check: &str, points: u32, secs: i64) {
    let outcome = CheckOutcome {
        check: check.into(),
        passed: points > 0,
        points,
        detail: String::new(),
    };
    store.check_record(session, &outcome, at(secs)).await.unwrap();
}

async fn rows(store: &dyn Store) -> Vec<GradeRow> {
    store.grade_list(None).await.unwrap()
}

async fn only(store: &dyn Store) -> GradeRow {
    let mut all = rows(store).await;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

async fn lead(store: &dyn Store, holder: &str, secs: i64) -> u64 {
    let ttl = Duration::from_secs(6);
    let lease = store.lease_take(OUTBOX_LEASE, holder, at(secs), ttl).await.unwrap();
    lease.expect("nobody else has it").epoch
}

async fn write(store: &dyn Store, epoch: u64, change: GradeChange) -> bool {
    store.grade_write(&GradeWrite { epoch, change }).await.unwrap()
}

fn grade(given: u32, maximum: u32) -> Option<Grade> {
    Grade::new(given, maximum)
}

pub async fn a_check_that_is_kept_puts_its_grade_in_the_outbox(store: Arc<dyn Store>) {
    let (school, session) = school(store).await;
    let store = school.store.as_ref();
    check(store, session.id, "a", 1, 1).await;
    assert_eq!(rows(store).await, [], "nobody launched it from a course");
    store
        .grade_target_put(&coupled(&session, "https://lms/1"), at(2))
        .await
        .unwrap();
    let row = only(store).await;
    assert_eq!(
        (row.grade, row.state, row.line_item.as_deref()),
        (grade(1, 3), GradeState::Pending, Some("https://lms/1"))
    );
    check(store, session.id, "b", 1, 3).await;
    check(store, session.id, "b", 0, 4).await;
    let row = only(store).await;
    assert_eq!(
        (row.grade, row.next_at, row.pending_since),
        (grade(2, 3), at(3), at(3)),
        "the best counts"
    );
    assert_eq!(
        store.grade_counts().await.unwrap(),
        GradeCounts { pending: 1, failed: 0 }
    );
    assert_eq!(store.grade_due(at(2)).await.unwrap(), []);
    assert_eq!(store.grade_due(at(3)).await.unwrap(), [row]);
}

pub async fn a_first_zero_is_a_grade_and_nothing_checked_is_none(store: Arc<dyn Store>) {
    let (school, session) = school(store).await;
    let store = school.store.as_ref();
    store.grade_target_put(&basic(&session, "s1"), at(1)).await.unwrap();
    let row = only(store).await;
    assert_eq!((row.grade, row.state, row.revision), (None, GradeState::Idle, 0));
    assert_eq!(store.grade_due(at(99)).await.unwrap(), []);
    check(store, session.id, "a", 0, 2).await;
    let row = only(store).await;
    assert_eq!(
        (row.grade, row.state, row.revision),
        (grade(0, 3), GradeState::Pending, 1)
    );
}

/// `edx` is the name of this client.
async fn registered(store: &dyn Store, client: &str) -> Registration {
    let registration = Registration {
        id: RegistrationId("edx".into()),
        course: None,
        plan: None,
        created_at: at(0),
        kind: Kind::moodle("https://lms", client.into(), vec![]),
    };
    store.lti_registration_put(&registration).await.unwrap();
    registration
}

/// What waits under the name, by line item.
async fn under(store: &dyn Store, name: &RegistrationId) -> Vec<Option<String>> {
    let rows = store.grade_list(Some(name)).await.unwrap();
    rows.into_iter().map(|r| r.line_item).collect()
}

pub async fn a_grade_that_waits_is_its_clients_and_not_its_names(store: Arc<dyn Store>) {
    let (school, session) = school(store).await;
    let store = school.store.as_ref();
    let edx = RegistrationId("edx".into());
    let first = registered(store, "first").await;
    check(store, session.id, "a", 1, 1).await;
    store.grade_target_put(&uncoupled(&session), at(2)).await.unwrap();
    let epoch = lead(store, "one", 2).await;
    let item = GradeChange::Found {
        registration: edx.clone(),
        line_items: "https://lms/items".into(),
        lab: session.lab.clone(),
        line_item: "https://lms/first".into(),
    };
    assert!(write(store, epoch, item).await);
    store.lti_launched(&edx, at(2)).await.unwrap();
    let read = only(store).await;
    let ours = [Some("https://lms/first".to_owned())];
    assert_eq!(under(store, &edx).await, ours);

    // removed: nothing under the name, and what somebody is about to send is not what they read
    assert!(store.lti_registration_drop(&edx).await.unwrap());
    assert_eq!(under(store, &edx).await, []);
    assert_eq!(under(store, &edx.former(Some(&first.kind))).await, ours);
    let begun = GradeChange::Try {
        id: read.id,
        revision: read.revision,
        stamp: 100,
    };
    assert!(!write(store, epoch, begun).await);

    // another client takes the name: the grades, the line item and the last launch of before are not its own
    let second = registered(store, "second").await;
    assert_eq!(under(store, &edx).await, []);
    assert_eq!(store.lti_launched_at(&edx).await.unwrap(), None);
    store.grade_target_put(&uncoupled(&session), at(3)).await.unwrap();
    assert_eq!(under(store, &edx).await, [None], "its own, which has no line item yet");

    // the name is given back without removing it first: each has its own again
    registered(store, "first").await;
    assert_eq!(under(store, &edx).await, ours);
    assert_eq!(under(store, &edx.former(Some(&second.kind))).await, [None]);
    assert_eq!(store.lti_launched_at(&edx).await.unwrap(), Some(at(2)));
    assert_eq!(only_of(store, &edx).await.state, GradeState::Pending, "it can be sent");

    // what the same client changes of itself moves nothing
    let mut moved = first.clone();
    if let Kind::Platform { token_url, .. } = &mut moved.kind {
        *token_url = "https://lms/new-token".into();
    }
    let before = only_of(store, &edx).await;
    store.lti_registration_put(&moved).await.unwrap();
    assert_eq!(only_of(store, &edx).await, before);
}

async fn only_of(store: &dyn Store, name: &RegistrationId) -> GradeRow {
    let mut all = store.grade_list(Some(name)).await.unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

pub async fn when_each_registration_last_worked_is_told_with_the_grades_that_wait(store: Arc<dyn Store>) {
    let (school, session) = school(store).await;
    let store = school.store.as_ref();
    registered(store, "client").await;
    let fun = Registration {
        id: RegistrationId("fun".into()),
        ..registered(store, "client").await
    };
    let fun = Registration {
        kind: Kind::Consumer {
            key: "fun".into(),
            secret: "0123456789abcdef".into(),
        },
        ..fun
    };
    store.lti_registration_put(&fun).await.unwrap();
    // of one that is not there nothing is told
    for (name, secs) in [("edx", 5), ("gone", 6)] {
        let id = RegistrationId(name.into());
        store.lti_launched(&id, at(secs)).await.unwrap();
    }
    for place in ["https://lms/1", "https://lms/2"] {
        store.grade_target_put(&coupled(&session, place), at(7)).await.unwrap();
    }
    let seen = |name: &str| Seen {
        registration: RegistrationId(name.into()),
        launched_at: None,
        graded_at: None,
        grades_waiting: 0,
        grades_failed: 0,
    };
    let mut edx = seen("edx");
    edx.launched_at = Some(at(5));
    assert_eq!(store.lti_seen().await.unwrap(), [edx.clone(), seen("fun")]);
    check(store, session.id, "a", 1, 8).await;
    edx.grades_waiting = 2;
    assert_eq!(store.lti_seen().await.unwrap()[0], edx);
    let epoch = lead(store, "one", 8).await;
    let all = rows(store).await;
    let (first, second) = (&all[0], &all[1]);
    let sent = GradeChange::Sent {
        id: first.id,
        revision: first.revision,
        grade: Grade { given: 1, maximum: 3 },
        at: at(9),
    };
    let failed = GradeChange::Failed {
        id: second.id,
        revision: second.revision,
        code: "refused",
        detail: "no".into(),
    };
    assert!(write(store, epoch, sent).await && write(store, epoch, failed).await);
    (edx.graded_at, edx.grades_waiting, edx.grades_failed) = (Some(at(9)), 0, 1);
    assert_eq!(store.lti_seen().await.unwrap(), [edx, seen("fun")]);
}

pub async fn checks_that_are_kept_at_once_lose_no_point(store: Arc<dyn Store>) {
    let (school, session) = school(store).await;
    school
        .store
        .grade_target_put(&coupled(&session, "https://lms/1"), at(1))
        .await
        .unwrap();
    let (shared, id) = (Arc::clone(&school.store), session.id);
    let launch = coupled(&session, "https://lms/2");
    at_once(6, move |n| {
        let (store, launch) = (Arc::clone(&shared), launch.clone());
        async move {
            match ["a", "b", "c"].get(n) {
                Some(name) => check(store.as_ref(), id, name, 1, 2).await,
                None => store.grade_target_put(&launch, at(2)).await.unwrap(),
            }
        }
    })
    .await;
    let all = rows(school.store.as_ref()).await;
    assert_eq!(all.len(), 2, "a place each: {all:?}");
    assert!(all.iter().all(|r| r.grade == grade(3, 3)), "{all:?}");
}

pub async fn a_grade_is_of_all_runs_of_the_lab_in_its_course(store: Arc<dyn Store>) {
    let (mut school, first) = school(store).await;
    check(school.store.as_ref(), first.id, "a", 1, 1).await;
    school.end(&first).await;
    school
        .store
        .grade_target_put(&basic(&first, "s1"), at(2))
        .await
        .unwrap();
    assert_eq!(only(school.store.as_ref()).await.grade, grade(1, 3));
    // a newer version asks for more: what was earned stays
    let version = graded(true);
    school.store.lab_publish(&version, at(3)).await.unwrap();
    school.digest = version.digest;
    let second = school.admitted(first.subject.as_str()).await;
    check(school.store.as_ref(), second.id, "b", 1, 4).await;
    assert_eq!(only(school.store.as_ref()).await.grade, grade(2, 3));
    // in another course it is another grade
    let mut elsewhere = basic(&first, "s9");
    (elsewhere.course, elsewhere.resource_link) = ("net-202".into(), "other".into());
    school.store.grade_target_put(&elsewhere, at(5)).await.unwrap();
    let other = rows(school.store.as_ref()).await;
    assert!(
        other
            .iter()
            .any(|r| r.target.course == elsewhere.course && r.grade.is_none()),
        "{other:?}"
    );
}

pub async fn a_later_launch_keeps_its_place_and_brings_the_newest_address(store: Arc<dyn Store>) {
    let (school, session) = school(store).await;
    let store = school.store.as_ref();
    for n in 1..=3 {
        store
            .grade_target_put(&basic(&session, &format!("s{n}")), at(n))
            .await
            .unwrap();
    }
    assert_eq!(only(store).await.target, basic(&session, "s3"));
    let mut other = basic(&session, "s4");
    other.resource_link = "link-2".into();
    store.grade_target_put(&other, at(4)).await.unwrap();
    assert_eq!(
        rows(store).await.len(),
        2,
        "another link of the course is another place"
    );
}

pub async fn what_came_of_an_older_grade_does_not_touch_a_newer_one(store: Arc<dyn Store>) {
    let (school, session) = school(store).await;
    let store = school.store.as_ref();
    store
        .grade_target_put(&coupled(&session, "https://lms/1"), at(0))
        .await
        .unwrap();
    check(store, session.id, "a", 1, 1).await;
    let epoch = lead(store, "one", 1).await;
    let old = only(store).await;
    let (id, revision) = (old.id, old.revision);
    assert!(
        write(
            store,
            epoch,
            GradeChange::Try {
                id,
                revision,
                stamp: 100
            }
        )
        .await
    );
    assert!(
        !write(
            store,
            epoch,
            GradeChange::Try {
                id,
                revision,
                stamp: 100
            }
        )
        .await,
        "a second counts once"
    );
    check(store, session.id, "b", 1, 2).await;
    let sent = GradeChange::Sent {
        id,
        revision,
        grade: Grade { given: 1, maximum: 3 },
        at: at(3),
    };
    assert!(!write(store, epoch, sent).await);
    let failed = GradeChange::Failed {
        id,
        revision,
        code: "refused",
        detail: "no".into(),
    };
    assert!(!write(store, epoch, failed).await);
    let row = only(store).await;
    assert_eq!(
        (row.state, row.grade, row.stamp, row.trouble),
        (GradeState::Pending, grade(2, 3), 100, None)
    );
    assert_eq!(
        row.sent.map(|s| (s.grade.given, s.at)),
        Some((1, at(3))),
        "what the platform has is known"
    );
    let revision = row.revision;
    let sent = GradeChange::Sent {
        id,
        revision,
        grade: Grade { given: 2, maximum: 3 },
        at: at(4),
    };
    assert!(write(store, epoch, sent).await);
    assert_eq!(only(store).await.state, GradeState::Sent);
    check(store, session.id, "b", 1, 5).await;
    assert_eq!(
        only(store).await.state,
        GradeState::Sent,
        "the same grade is not sent again"
    );
}

pub async fn a_grade_that_has_to_wait_says_why_until_when(store: Arc<dyn Store>) {
    let (school, session) = school(store).await;
    let store = school.store.as_ref();
    store
        .grade_target_put(&coupled(&session, "https://lms/1"), at(0))
        .await
        .unwrap();
    check(store, session.id, "a", 1, 1).await;
    let epoch = lead(store, "one", 1).await;
    let row = only(store).await;
    let (id, revision) = (row.id, row.revision);
    let later = GradeChange::Later {
        id,
        revision,
        code: "platform-failed",
        detail: "500".into(),
        next_at: at(60),
    };
    assert!(write(store, epoch, later.clone()).await && write(store, epoch, later).await);
    let row = only(store).await;
    assert_eq!((row.attempts, row.next_at, row.pending_since), (2, at(60), at(1)));
    assert_eq!(
        row.trouble.map(|t| (t.code, t.detail)),
        Some(("platform-failed".into(), "500".into()))
    );
    assert_eq!(store.grade_due(at(59)).await.unwrap(), []);
    let registration = RegistrationId("edx".into());
    assert!(
        write(
            store,
            epoch,
            GradeChange::Back {
                registration: registration.clone(),
                at: at(5)
            }
        )
        .await
    );
    assert_eq!(store.grade_due(at(5)).await.unwrap().len(), 1, "the platform is back");
    let failed = GradeChange::Failed {
        id,
        revision,
        code: "refused",
        detail: "no".into(),
    };
    assert!(write(store, epoch, failed).await);
    assert_eq!(
        store.grade_counts().await.unwrap(),
        GradeCounts { pending: 0, failed: 1 }
    );
    assert_eq!(
        store
            .grade_retry(Some(&RegistrationId("other".into())), at(6))
            .await
            .unwrap(),
        0
    );
    assert_eq!(store.grade_retry(Some(&registration), at(6)).await.unwrap(), 1);
    let row = only(store).await;
    assert_eq!(
        (row.state, row.attempts, row.next_at, row.trouble),
        (GradeState::Pending, 0, at(6), None)
    );
    assert_eq!(store.grade_retry(None, at(7)).await.unwrap(), 1);
}

pub async fn who_lost_the_outbox_writes_nothing_any_more(store: Arc<dyn Store>) {
    let (school, session) = school(store).await;
    let store = school.store.as_ref();
    store
        .grade_target_put(&coupled(&session, "https://lms/1"), at(0))
        .await
        .unwrap();
    check(store, session.id, "a", 1, 1).await;
    let row = only(store).await;
    let old = lead(store, "one", 0).await;
    lead(store, "two", 100).await;
    let change = GradeChange::Try {
        id: row.id,
        revision: row.revision,
        stamp: 5,
    };
    let refused = store.grade_write(&GradeWrite { epoch: old, change }).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Conflict, "lease-fenced"));
    assert_eq!(only(store).await, row);
}

pub async fn a_line_item_that_is_found_is_everybodys(store: Arc<dyn Store>) {
    let (school, one) = school(store).await;
    let two = school.at_work(3600).await;
    let store = school.store.as_ref();
    for session in [&one, &two] {
        store.grade_target_put(&uncoupled(session), at(1)).await.unwrap();
        check(store, session.id, "a", 1, 2).await;
    }
    // one of them has a row at the line item already: it was coupled by then
    store
        .grade_target_put(&coupled(&two, "https://lms/7"), at(3))
        .await
        .unwrap();
    assert_eq!(rows(store).await.len(), 3);
    let epoch = lead(store, "one", 3).await;
    let found = GradeChange::Found {
        registration: RegistrationId("edx".into()),
        line_items: "https://lms/items".into(),
        lab: one.lab.clone(),
        line_item: "https://lms/7".into(),
    };
    assert!(write(store, epoch, found).await);
    let all = rows(store).await;
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(
        all.iter()
            .all(|r| r.line_item.as_deref() == Some("https://lms/7") && r.grade == grade(1, 3)),
        "{all:?}"
    );
    // later launches of either kind mean the same row, and newcomers need not look
    let three = school.at_work(3600).await;
    for target in [uncoupled(&one), coupled(&one, "https://lms/7"), uncoupled(&three)] {
        store.grade_target_put(&target, at(4)).await.unwrap();
    }
    let all = rows(store).await;
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all.iter().all(|r| r.line_item.is_some()), "{all:?}");
}

pub async fn a_learner_has_their_own_grades_and_nobody_elses(store: Arc<dyn Store>) {
    let (school, session) = school(store).await;
    let store = school.store.as_ref();
    let mine = [coupled(&session, "https://lms/1"), coupled(&session, "https://lms/2")];
    let mut other = coupled(&session, "https://lms/3");
    (other.subject, other.user) = ("somebody-else".into(), "9".into());
    for target in mine.iter().chain([&other]) {
        store.grade_target_put(target, at(1)).await.unwrap();
    }
    let rows = store.grade_of(&session.subject).await.unwrap();
    let found: Vec<_> = rows.iter().map(|r| r.target.clone()).collect();
    assert_eq!(found, mine, "oldest first");
    assert_eq!(store.grade_of(&"nobody".into()).await.unwrap(), []);
}

pub async fn a_crowd_of_one_platform_does_not_hide_anothers_grade(store: Arc<dyn Store>) {
    let (school, session) = school(store).await;
    let store = school.store.as_ref();
    check(store, session.id, "a", 1, 0).await;
    for n in 0..=i64::from(GRADES_DUE_MAX) {
        store
            .grade_target_put(&coupled(&session, &format!("https://lms/{n}")), at(n))
            .await
            .unwrap();
    }
    let mut other = coupled(&session, "https://moodle/1");
    other.registration = RegistrationId("moodle".into());
    store.grade_target_put(&other, at(50)).await.unwrap();
    let due = store.grade_due(at(60)).await.unwrap();
    assert_eq!(due.len(), GRADES_DUE_MAX as usize + 1);
    assert_eq!(
        due[0].line_item.as_deref(),
        Some("https://lms/0"),
        "who waited longest is first"
    );
    assert_eq!(due.last().map(|r| &r.target.registration), Some(&other.registration));
    assert_eq!(store.grade_list(Some(&other.registration)).await.unwrap().len(), 1);
}

pub async fn what_a_courses_labs_are_worth_is_told_for_everybody_it_knows_of(store: Arc<dyn Store>) {
    let (school, first) = school(store).await;
    let store = school.store.as_ref();
    check(store, first.id, "a", 1, 1).await;
    check(store, first.id, "a", 0, 2).await;
    // a second run of the same lab, of a version that has grown
    school.end(&first).await;
    let mut newer = school.click(first.subject.as_str(), school.lab.as_str());
    let version = graded(true);
    store.lab_publish(&version, at(3)).await.unwrap();
    newer.digest = version.digest;
    let Admission::Admitted(second) = store.admit(&newer).await.unwrap() else {
        panic!("there is time left");
    };
    check(store, second.id, "b", 1, 4).await;
    // a zero is a result, no check is none
    let zero = school.at_work(600).await;
    check(store, zero.id, "c", 0, 5).await;
    let nothing = school.at_work(600).await;
    school.grant("only-time", "QUALIFYING", 60).await;
    let grades = store.course_grades(&school.course).await.unwrap();
    let told: Vec<_> = grades.iter().map(|g| (&g.subject, &g.lab, Some(g.grade))).collect();
    let mut wanted = vec![
        (&first.subject, &school.lab, grade(2, 3)),
        (&zero.subject, &school.lab, grade(0, 3)),
    ];
    wanted.sort_by_key(|(subject, ..)| *subject);
    assert_eq!(told, wanted);
    let known = store.known_in(&school.course).await.unwrap();
    let mut all = vec![first.subject, zero.subject, nothing.subject, "only-time".into()];
    all.sort();
    assert_eq!(known, all);
    assert_eq!(store.course_grades(&"another".into()).await.unwrap(), []);
    assert_eq!(store.known_in(&"another".into()).await.unwrap(), []);
}

pub async fn a_lab_is_done_at_the_first_pass_of_the_last_of_its_checks_over_all_runs(store: Arc<dyn Store>) {
    let (school, first) = school(store).await;
    let store = school.store.as_ref();
    let done = async || {
        let all = store.course_completions(&school.course).await.unwrap();
        all.into_iter().map(|c| (c.subject, c.lab, c.at)).collect::<Vec<_>>()
    };
    let checks: Vec<CheckId> = graded(false).file.checks.iter().map(|c| c.id.clone()).collect();
    for (n, id) in (1_i64..).zip(&checks[1..]) {
        check(store, first.id, id.as_str(), 1, n).await;
    }
    check(store, first.id, checks[0].as_str(), 0, 9).await;
    assert_eq!(done().await, [], "one has not passed");
    // in a later run, and again, and told late that it had passed before: the first time counts
    school.end(&first).await;
    let Admission::Admitted(second) = store
        .admit(&school.click(first.subject.as_str(), school.lab.as_str()))
        .await
        .unwrap()
    else {
        panic!("there is time left");
    };
    for at in [30, 50, 20] {
        check(store, second.id, checks[0].as_str(), 1, at).await;
    }
    check(store, second.id, checks[0].as_str(), 0, 60).await;
    let wanted = (first.subject.clone(), school.lab.clone(), at(20));
    assert_eq!(done().await, [wanted]);
    assert_eq!(store.course_completions(&"another".into()).await.unwrap(), []);
}
