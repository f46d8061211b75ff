//! A course's dates and people, at the door.

use crate::kit::{COURSE, Kit, LAB};
use axum::http::StatusCode;
use lab_core::{
    Timestamp,
    courses::{CourseClass, CourseRun, Enrolment, Extension},
    launch::Role,
    port::{Clock as _, CourseStore as _, EnrolRequest, Store as _},
};
use lab_http::HttpSettings;
use serde_json::{Value, json};
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

impl Kit {
    async fn run(&self, opens_at: Option<Timestamp>, closes_at: Option<Timestamp>) {
        let run = CourseRun {
            opens_at,
            closes_at,
            zone: Some("Europe/Paris".into()),
            ..CourseRun::new(COURSE.into(), "Réseaux")
        };
        self.store.run_put(&run).await.unwrap();
    }

    async fn enrol(&self, subject: &str, coach: &str) {
        let person = Enrolment {
            course: COURSE.into(),
            subject: subject.into(),
            name: "Ana Œuvrard".into(),
            cohort: Some("Été".into()),
            site: None,
            coach: Some(coach.into()),
            external: None,
            plan: None,
            enrolled_at: self.clock.now(),
        };
        let request = EnrolRequest {
            course: COURSE.into(),
            people: vec![person],
            plans: Vec::new(),
            sites: Vec::new(),
            at: self.clock.now(),
        };
        self.store.enrol(&request).await.unwrap();
    }
}

#[tokio::test]
async fn a_click_while_a_class_keeps_its_lab_warm_is_counted_whatever_the_settings_say() {
    let kit = Kit::with(HttpSettings {
        metrics_token: Some("metrics-token".to_owned().into()),
        ..HttpSettings::default()
    })
    .await;
    let counted = async || {
        let metrics = kit.get("/metrics", Some("metrics-token")).await.text;
        metrics
            .lines()
            .filter(|l| l.starts_with("labwire_pool_claims_total"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let now = kit.clock.now();
    let class = CourseClass {
        course: COURSE.into(),
        lab: LAB.into(),
        starts_at: now.plus(DAY),
        ends_at: now.plus(DAY + Duration::from_hours(2)),
        room: "B-204".into(),
        learners: 3,
    };
    kit.store.class_put(&class).await.unwrap();
    let (id, bearer) = kit.session().await;
    assert!(counted().await.is_empty(), "tomorrow's class is no pool today");
    let stop = format!("/api/v1/sessions/{id}/stop");
    assert_eq!(kit.post(&stop, Some(&bearer), json!({})).await.status, StatusCode::OK);
    kit.clock.advance(DAY);
    kit.session().await;
    assert_eq!(
        counted().await,
        [r#"labwire_pool_claims_total{outcome="cold"} 1"#],
        "it had none ready"
    );
}

#[tokio::test]
async fn a_code_of_a_course_that_is_over_is_refused_and_stays_good() {
    let kit = Kit::new().await;
    let now = kit.clock.now();
    let code = kit.voucher(1800).await;
    let bob = kit.sign_in("bob", Role::Learner).await;
    kit.run(None, Some(now)).await;
    let redeem = async || {
        let body = json!({ "code": code });
        kit.post("/api/v1/vouchers/redeem", Some(&bob), body).await
    };
    let refused = redeem().await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (StatusCode::CONFLICT, "voucher-course-closed")
    );
    let body = refused.json();
    assert_eq!(
        (&body["since"], &body["title"], &body["zone"]),
        (&json!(now.secs()), &json!("Réseaux"), &json!("Europe/Paris"))
    );
    kit.run(None, Some(now.plus(DAY))).await;
    let given = redeem().await;
    assert_eq!((given.status, &given.json()["new"]), (StatusCode::OK, &json!(true)));
}

#[tokio::test]
async fn a_closed_course_says_so_with_its_day_and_its_lab_goes_on() {
    let kit = Kit::new().await;
    let now = kit.clock.now();
    let start = json!({ "lab": LAB });
    kit.run(Some(now.plus(DAY)), Some(now.plus(DAY * 2))).await;
    let ana = kit.sign_in("ana", Role::Learner).await;
    let early = kit.post("/api/v1/sessions", Some(&ana), start.clone()).await;
    assert_eq!(
        (early.status, early.code().as_str()),
        (StatusCode::FORBIDDEN, "course-not-open")
    );
    let refusal = &early.json()["refusal"];
    assert_eq!(refusal["until"], now.plus(DAY).secs());
    assert_eq!(
        (&refusal["title"], &refusal["zone"]),
        (&json!("Réseaux"), &json!("Europe/Paris"))
    );

    kit.run(None, Some(now.plus(DAY * 2))).await;
    let started = kit.post("/api/v1/sessions", Some(&ana), start.clone()).await;
    assert_eq!(started.status, StatusCode::CREATED);
    kit.run(None, Some(now)).await;
    let again = kit.post("/api/v1/sessions", Some(&ana), start.clone()).await;
    assert_eq!(
        (again.status, &again.json()["id"]),
        (StatusCode::OK, &started.json()["id"]),
        "what runs goes on"
    );

    let bob = kit.sign_in("bob", Role::Learner).await;
    let late = kit.post("/api/v1/sessions", Some(&bob), start).await;
    assert_eq!(
        (late.status, late.code().as_str()),
        (StatusCode::FORBIDDEN, "course-closed")
    );
    assert_eq!(late.json()["refusal"]["since"], now.secs());
    assert!(late.json()["next"].as_str().unwrap().contains("extension"));
}

#[tokio::test]
async fn a_teacher_sees_a_learners_all_and_only_in_their_own_course() {
    let kit = Kit::new().await;
    kit.enrol("ana", "prof").await;
    kit.run(None, None).await;
    let (session, _) = kit.session().await;
    let prof = kit.sign_in("prof", Role::Teacher).await;
    let list = kit.get("/api/v1/learners", Some(&prof)).await.json();
    assert_eq!((&list[0]["subject"], &list[0]["mine"]), (&json!("ana"), &json!(true)));
    let other = kit.sign_in("other", Role::Teacher).await;
    assert_eq!(kit.get("/api/v1/learners", Some(&other)).await.json()[0]["mine"], false);

    let until = kit.clock.now().plus(DAY);
    let extension = Extension {
        course: COURSE.into(),
        subject: "ana".into(),
        until,
        given_at: kit.clock.now(),
    };
    kit.store.extension_put(&extension).await.unwrap();
    let shown = kit
        .post("/api/v1/learners/show", Some(&prof), json!({"subject": "ana"}))
        .await
        .json();
    assert_eq!(
        (&shown["name"], &shown["title"]),
        (&json!("Ana Œuvrard"), &json!("Réseaux"))
    );
    assert_eq!(
        (&shown["enrolment"]["cohort"], &shown["enrolment"]["coach"]),
        (&json!("Été"), &json!("prof"))
    );
    assert_eq!(
        (&shown["sessions"][0]["id"], &shown["extended_until"]),
        (&json!(session), &json!(until.secs()))
    );
    assert_eq!(shown["available_secs"], 2700, "900 of 3600 seconds are held");
    let looks = shown["looks"].as_array().unwrap();
    assert_eq!(
        (looks.len(), &looks[0]["action"]),
        (1, &json!("learner")),
        "this very look"
    );
    kit.ticket(&session, &prof).await;

    let nobody = kit
        .post("/api/v1/learners/show", Some(&prof), json!({"subject": "nobody"}))
        .await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
    let body = json!({"subject": "ana", "course": "elsewhere"});
    let elsewhere = kit.post("/api/v1/learners/show", Some(&prof), body).await;
    assert_eq!(
        (elsewhere.status, elsewhere.code().as_str()),
        (StatusCode::FORBIDDEN, "not-allowed")
    );
}

#[tokio::test]
async fn operations_name_the_course_and_are_not_told_what_checks_printed() {
    let kit = Kit::new().await;
    let (session, _) = kit.session().await;
    let outcome = lab_core::journal::CheckOutcome {
        check: "ping".into(),
        passed: true,
        points: 1,
        detail: "64 bytes from ana's host".into(),
    };
    let id = session.parse().unwrap();
    kit.store.check_record(id, &outcome, kit.clock.now()).await.unwrap();
    let (op, prof) = (
        kit.sign_in("op", Role::Operations).await,
        kit.sign_in("prof", Role::Teacher).await,
    );
    let unnamed = kit
        .post("/api/v1/learners/show", Some(&op), json!({"subject": "ana"}))
        .await;
    assert_eq!(
        (unnamed.status, unnamed.code().as_str()),
        (StatusCode::BAD_REQUEST, "invalid-request")
    );
    let body = json!({"subject": "ana", "course": COURSE});
    let detail = |shown: Value| shown["sessions"][0]["checks"][0]["detail"].clone();
    assert_eq!(
        detail(kit.post("/api/v1/learners/show", Some(&op), body.clone()).await.json()),
        ""
    );
    assert_eq!(
        detail(kit.post("/api/v1/learners/show", Some(&prof), body).await.json()),
        outcome.detail
    );
}

#[tokio::test]
async fn who_teaches_a_course_is_told_its_title_where_it_has_one() {
    let kit = Kit::new().await;
    let teacher = kit.sign_in("curie", Role::Teacher).await;
    let title = async |bearer: &str| kit.get("/api/v1/me", Some(bearer)).await.json()["course_title"].clone();
    assert_eq!(title(&teacher).await, Value::Null);
    kit.run(None, None).await;
    assert_eq!(title(&teacher).await, json!("Réseaux"));
}
