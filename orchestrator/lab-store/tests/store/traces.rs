//! A person's traces, in each column that can have one: what erasure has to find.

use lab_core::{
    LoginId, SessionId, TokenHash, VoucherBatchId,
    courses::{Enrolment, Extension},
    entitlement::{Redeemed, Redemption, VoucherBatch, WhyWithheld, Withheld},
    grading::{GradeAddress, GradeTarget},
    journal::CheckOutcome,
    launch::{
        Login, Role, Ticket, TicketScope,
        lti::{Attempt, RegistrationId, SamePerson},
    },
    metering::{Alert, AlertChannel, AlertOf},
    operations::{PauseChange, PauseNotice},
    port::{AuditEvent, EnrolRequest, Store},
    privacy::{Acknowledgement, NoticeVersion},
    provisioning::{EndReason, SessionEvent},
};
use lab_testkit::contract::store::fixture::{School, at, fresh, used};
use std::sync::Arc;

pub const SUBJECT: &str = "lms.example.org#mooc-7f3a";
pub const NAME: &str = "Augusta Ada Byron";
pub const TEACHER: &str = "lms.example.org#prof-42";
pub const TEACHER_NAME: &str = "Prof. Curie";

/// A learner and a teacher leave a trace wherever they can.
pub async fn traces(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let store = &school.store;
    school.grant(SUBJECT, "QUALIFYING", 3600).await;
    let click = lab_core::port::AdmitRequest {
        name: NAME.into(),
        ..school.click(SUBJECT, "tiny")
    };
    let lab_core::port::Admission::Admitted(session) = store.admit(&click).await.unwrap() else {
        panic!("{SUBJECT} has time");
    };
    let session = school.ready(&session).await;
    let outcome = CheckOutcome {
        check: "ping".into(),
        passed: true,
        points: 1,
        detail: format!("{NAME} made it"),
    };
    store.check_record(session.id, &outcome, at(6)).await.unwrap();
    store.recording_open(session.id, at(6)).await.unwrap();
    stopped_by_teacher(&school, session.id, session.revision).await;
    store.settle(&used(&session, 60)).await.unwrap();
    for (subject, name, role) in [(SUBJECT, NAME, Role::Learner), (TEACHER, TEACHER_NAME, Role::Teacher)] {
        signed_in(&school, subject, name, role).await;
    }
    store
        .notice_acknowledge(&Acknowledgement {
            subject: SUBJECT.into(),
            version: NoticeVersion("1-0".into()),
            at: at(0),
        })
        .await
        .unwrap();
    voucher(&school).await;
    listed(&school).await;
    told_outside(&school).await;
    let attempt = Attempt {
        at: at(0),
        registration: None,
        platform: None,
        version: "1.3".into(),
        code: "lti-role".into(),
        step: 9,
        detail: format!("{SUBJECT} has no role"),
    };
    store.lti_attempt_add(&attempt).await.unwrap();
    let pause = PauseChange {
        to: Some(PauseNotice::new("New disks.", None, at(0)).unwrap()),
        by: TEACHER.into(),
        by_name: TEACHER_NAME.into(),
        at: at(9),
    };
    store.launches_pause(&pause).await.unwrap();
}

/// A grade on its way to the course, and an alert on its way to whoever pays.
async fn told_outside(school: &School) {
    let target = GradeTarget {
        registration: RegistrationId("edx".into()),
        subject: SUBJECT.into(),
        course: school.course.clone(),
        lab: "tiny".into(),
        title: "Tiny".into(),
        user: SUBJECT.into(),
        resource_link: "r1".into(),
        address: GradeAddress::Outcome {
            url: "https://lms.example.org/o".into(),
            sourcedid: SUBJECT.into(),
        },
    };
    school.store.grade_target_put(&target, at(6)).await.unwrap();
    let (subject, course) = (SUBJECT.into(), school.course.clone());
    let alert = Alert {
        of: AlertOf::Learner { subject, course },
        percent: 50,
        basis: 3600,
        spent: 1800,
        at: at(6),
    };
    assert!(school.store.alert_raise(&alert, &AlertChannel::ALL).await.unwrap());
}

async fn stopped_by_teacher(school: &School, id: SessionId, revision: i64) {
    let event = |action: &str, about: Option<&str>| AuditEvent {
        at: at(7),
        actor: TEACHER.into(),
        actor_name: TEACHER_NAME.into(),
        role: Role::Teacher,
        action: action.into(),
        session: about.is_none().then_some(id),
        course: None,
        about: about.map(Into::into),
        detail: String::new(),
    };
    school.store.audit_append(&event("stop", None)).await.unwrap();
    school
        .store
        .audit_append(&event("export-person", Some(SUBJECT)))
        .await
        .unwrap();
    let stop = lab_core::port::Transition {
        session: id,
        expect: revision,
        event: SessionEvent::Stop(EndReason::StaffStopped),
        at: at(8),
        cause: format!("teacher:{TEACHER_NAME}"),
        ready: None,
    };
    let stopping = school.store.session_transition(&stop).await.unwrap();
    school
        .step(&stopping, SessionEvent::Gone(EndReason::StaffStopped))
        .await
        .unwrap();
}

async fn signed_in(school: &School, subject: &str, name: &str, role: Role) {
    let login = Login {
        id: LoginId(fresh()),
        subject: subject.into(),
        name: name.into(),
        role,
        course: school.course.clone(),
        lab: None,
        plan: None,
        sponsor: Some(subject.into()),
        created_at: at(0),
        expires_at: at(900),
    };
    school.store.login_create(&login, TokenHash::of(subject)).await.unwrap();
    let ticket = Ticket {
        hash: TokenHash::of(name),
        login: login.id,
        scope: TicketScope::Wall {
            course: school.course.clone(),
        },
        expires_at: at(900),
    };
    school.store.ticket_create(&ticket).await.unwrap();
}

/// In a course, with longer than the others; the teacher coaches somebody else.
async fn listed(school: &School) {
    let (course, store) = (school.course.clone(), &school.store);
    let enrolment = |subject: &str, name: &str, coach: &str| Enrolment {
        course: course.clone(),
        subject: subject.into(),
        name: name.into(),
        cohort: None,
        site: None,
        coach: Some(coach.into()),
        external: Some(subject.into()),
        plan: None,
        enrolled_at: at(0),
    };
    let request = EnrolRequest {
        course: course.clone(),
        people: vec![enrolment(SUBJECT, NAME, "coach"), enrolment("lin", "Lin", TEACHER)],
        plans: Vec::new(),
        sites: Vec::new(),
        at: at(0),
    };
    store.enrol(&request).await.unwrap();
    let extension = Extension {
        course,
        subject: SUBJECT.into(),
        until: at(900),
        given_at: at(0),
    };
    store.extension_put(&extension).await.unwrap();
    let withheld = Withheld {
        subject: SUBJECT.into(),
        course: school.course.clone(),
        plan: "GROUP".into(),
        why: WhyWithheld::Spent,
        at: at(0),
    };
    store.grant_withhold(&withheld).await.unwrap();
    let same = SamePerson {
        alias: "other.example.org#9".into(),
        subject: SUBJECT.into(),
        at: at(0),
        by: TEACHER.into(),
    };
    store.same_person_put(&same).await.unwrap();
}

/// One that they redeemed, and one that they only guessed.
async fn voucher(school: &School) {
    let batch = VoucherBatch {
        id: VoucherBatchId(fresh()),
        label: "autumn".into(),
        course: school.course.clone(),
        plan: "QUALIFYING".into(),
        seconds: 60,
        valid_days: 30,
        priority: 0,
        created_at: at(0),
        expires_at: at(86_400),
        key: "k".into(),
        sponsor: None,
    };
    let code = TokenHash::of("code");
    school.store.voucher_create(&batch, &[code]).await.unwrap();
    for code in [code, TokenHash::of("wrong")] {
        let redemption = Redemption {
            hashes: vec![code],
            subject: SUBJECT.into(),
            typed_by: SUBJECT.into(),
            course: school.course.clone(),
            at: at(1),
        };
        let done = school.store.voucher_redeem(&redemption).await.unwrap();
        assert_eq!(matches!(done, Redeemed::Granted { .. }), code == TokenHash::of("code"));
    }
}
