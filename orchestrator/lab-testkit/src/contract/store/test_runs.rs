//! Labs tried by those who answer for them: real sessions that nobody pays for.

use super::fixture::{School, at, at_once, fresh, used};
use lab_core::{
    SessionId,
    entitlement::{Refusal, TEST_RUN_COURSE, TEST_RUN_DAY_SECS, TEST_RUN_PLAN, TEST_RUN_SECS_MAX},
    journal::CheckOutcome,
    port::{Admission, AdmitRequest, ErrorKind, LedgerSums, Session, SessionFilter, Store, Transition},
    provisioning::{FailReason, SessionEvent},
};
use std::sync::Arc;

fn click(school: &School, subject: &str, lab: &str) -> AdmitRequest {
    AdmitRequest {
        course: TEST_RUN_COURSE.into(),
        test_run: true,
        hold_secs: 900,
        ..school.click(subject, lab)
    }
}

async fn begun(school: &School, request: &AdmitRequest) -> Session {
    match school.store.admit(request).await.unwrap() {
        Admission::Admitted(session) => session,
        other => panic!("{other:?}"),
    }
}

/// Over before it was usable: its place was taken all the same.
async fn over(school: &School, session: &Session, secs: i64) {
    let failed = Transition {
        session: session.id,
        expect: session.revision,
        event: SessionEvent::Fail(FailReason::NoCapacity, String::new()),
        at: at(secs),
        cause: "test".into(),
        ready: None,
    };
    school.store.session_transition(&failed).await.unwrap();
}

pub async fn a_test_run_holds_nothing_bills_nobody_and_its_seconds_are_told(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    // who could pay is not asked to
    school.grant("curie", "QUALIFYING", 3600).await;
    let session = begun(&school, &click(&school, "curie", "tiny")).await;
    assert!(session.is_test_run() && session.held_secs == 0, "{session:?}");
    let cause = &school.store.session_history(session.id).await.unwrap()[0].cause;
    assert_eq!(cause, TEST_RUN_PLAN, "told apart where its history is told");
    let session = school.ready(&session).await;
    assert_eq!(school.store.hold_extend(session.id, 900, at(60)).await.unwrap(), 0);
    let left = school.store.time_left(session.id, at(60)).await.unwrap();
    assert_eq!(
        (left.available, left.unspent),
        (0, TEST_RUN_SECS_MAX),
        "none of it is spent"
    );
    let session = school.end(&session).await;
    let row = school.store.settle(&used(&session, 500)).await.unwrap();
    assert!(row.sandbox_seconds > 0);
    assert_eq!((row.billed_seconds, row.unbilled_seconds), (0, row.sandbox_seconds));
    assert!(row.unbilled_reason.is_some());
    assert_eq!(row.course.as_str(), TEST_RUN_COURSE);
    assert_eq!(school.available(&"curie".into()).await, [3600]);
    assert_eq!(school.store.ledger_of(session.id).await.unwrap(), []);
    let (sums, again) = (
        school.store.ledger_sums().await.unwrap(),
        school.store.ledger_recount().await.unwrap(),
    );
    assert_eq!(
        sums,
        LedgerSums {
            total: 0,
            held: 0,
            used: 0
        }
    );
    assert_eq!(again, sums);
}

pub async fn of_fifty_test_runs_of_a_person_at_once_one_begins(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let answers = at_once(50, |i| {
        let (store, request) = (school.store.clone(), click(&school, "curie", &format!("lab-{i}")));
        async move { store.admit(&request).await.unwrap() }
    })
    .await;
    let begun = answers.iter().filter(|a| matches!(a, Admission::Admitted(_))).count();
    let refused = |a: &&Admission| matches!(a, Admission::Refused(Refusal::Concurrency { max: 1, .. }));
    assert_eq!((begun, answers.iter().filter(refused).count()), (1, 49));
    let live = SessionFilter {
        live: true,
        ..SessionFilter::default()
    };
    let live = school.store.session_list(&live).await.unwrap();
    assert_eq!(live.len(), 1);
    let back = click(&school, "curie", live[0].lab.as_str());
    assert!(matches!(school.store.admit(&back).await.unwrap(), Admission::Running(s) if s.id == live[0].id));
    // another person's is another's
    begun_by(&school, "perrin").await;
}

async fn begun_by(school: &School, subject: &str) {
    begun(school, &click(school, subject, "tiny")).await;
}

pub async fn a_working_day_of_test_runs_is_enough(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let first = begun(&school, &click(&school, "curie", "tiny")).await;
    over(&school, &first, TEST_RUN_DAY_SECS - 60).await;
    let again = |secs| AdmitRequest {
        at: at(secs),
        session: SessionId(fresh()),
        ..click(&school, "curie", "tiny")
    };
    let second = begun(&school, &again(TEST_RUN_DAY_SECS)).await;
    over(&school, &second, TEST_RUN_DAY_SECS + 60).await;
    let refused = school.store.admit(&again(TEST_RUN_DAY_SECS + 61)).await.unwrap();
    let wanted = Refusal::TestRuns {
        cap: TEST_RUN_DAY_SECS,
        again_at: at(86_400),
    };
    assert_eq!(refused, Admission::Refused(wanted));
    begun(&school, &again(86_400)).await;
}

pub async fn no_grade_and_no_count_comes_of_a_test_run(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    // as if its course were one that learners are in
    let request = AdmitRequest {
        course: school.course.clone(),
        ..click(&school, "curie", "tiny")
    };
    let session = begun(&school, &request).await;
    let session = school.ready(&session).await;
    let outcome = CheckOutcome {
        check: "any".into(),
        passed: true,
        points: 1,
        detail: String::new(),
    };
    school.store.check_record(session.id, &outcome, at(30)).await.unwrap();
    assert_eq!(
        school.store.check_list(session.id).await.unwrap().len(),
        1,
        "its author sees it"
    );
    assert_eq!(school.store.course_grades(&school.course).await.unwrap(), []);
    assert_eq!(school.store.known_in(&school.course).await.unwrap(), []);
}

pub async fn nothing_can_be_given_under_the_name_that_stands_for_no_plan(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let plans = school.store.plan_list().await.unwrap();
    assert!(plans.iter().all(|p| p.id.as_str() != TEST_RUN_PLAN), "{plans:?}");
    let mut plan = plans[0].clone();
    plan.id = TEST_RUN_PLAN.into();
    assert_eq!(plan.check().unwrap_err().field, "id");
    let put = school.store.plan_put(&plan).await.unwrap_err();
    assert_eq!(put.kind(), ErrorKind::Conflict);
    let grant = school.grant_of("ada", TEST_RUN_PLAN, 3600);
    let issue = school.store.grant_issue(&grant).await.unwrap_err();
    assert_eq!(issue.kind(), ErrorKind::NotFound);
    let mut vouchers = super::money::batch(&school, "net-101");
    vouchers.plan = TEST_RUN_PLAN.into();
    let made = school.store.voucher_create(&vouchers, &[]).await.unwrap_err();
    assert_eq!(made.kind(), ErrorKind::NotFound);
}
