//! Told once, who looked, and people's data: each for whom it is, and for nobody else.

use crate::kit::{COURSE, Kit, LAB};
use axum::http::StatusCode;
use lab_core::{
    SessionId, Subject,
    launch::Role,
    port::{
        AuditEvent, Clock as _, ErrorKind, GradeStore as _, LtiStore as _, PrivacyStore as _, SessionFilter, Store as _,
    },
};
use serde_json::{Value, json};
use std::io::{Cursor, Read};

async fn start(kit: &Kit, bearer: &str) -> crate::kit::Answer {
    kit.post("/api/v1/sessions", Some(bearer), json!({ "lab": LAB })).await
}

/// A learner who was told nothing yet.
async fn untold(kit: &Kit, subject: &str) -> String {
    let token = kit.link(&kit.claims(subject, Role::Learner));
    let answer = kit.post("/api/v1/launch", None, json!({ "token": token })).await;
    answer.json()["bearer"].as_str().unwrap().to_owned()
}

/// Ends a session as its runtime would, with nothing used.
async fn over(kit: &Kit, session: &str) {
    use lab_core::{
        port::Transition,
        provisioning::{EndReason, SessionEvent},
    };
    let id: SessionId = session.parse().unwrap();
    for event in [
        SessionEvent::Stop(EndReason::LearnerStopped),
        SessionEvent::Gone(EndReason::LearnerStopped),
    ] {
        let session = kit.store.session_get(id).await.unwrap().unwrap();
        let t = Transition {
            session: id,
            expect: session.revision,
            event,
            at: kit.clock.now(),
            cause: "test".into(),
            ready: None,
        };
        match kit.store.session_transition(&t).await {
            Ok(_) => {}
            // it never had a sandbox: the first step is the last
            Err(e) => assert_eq!(e.kind(), ErrorKind::Conflict),
        }
    }
}

#[tokio::test]
async fn nothing_is_provisioned_before_a_learner_was_told_and_they_are_told_once() {
    let kit = Kit::new().await;
    let bearer = untold(&kit, "ana").await;
    let refused = start(&kit, &bearer).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (StatusCode::FORBIDDEN, "privacy-notice")
    );
    let version = refused.json()["refusal"]["version"].clone();
    assert!(refused.json()["next"].as_str().unwrap().contains("/api/v1/notice"));
    assert!(
        kit.store
            .session_list(&SessionFilter::default())
            .await
            .unwrap()
            .is_empty()
    );

    let notice = kit.get("/api/v1/notice", Some(&bearer)).await.json();
    assert_eq!(
        (&notice["version"], &notice["acknowledged_at"]),
        (&version, &Value::Null)
    );
    assert_eq!(notice["due"], json!(true));
    let discovers = untold(&kit, "chloe").await;
    let notice_of = kit.get("/api/v1/notice", Some(&discovers)).await.json();
    assert_eq!(notice_of["due"], json!(false), "who gets no lab is asked nothing");
    assert_eq!(notice["recordings_s"], json!(30 * 86_400));
    let other = kit
        .post("/api/v1/notice", Some(&bearer), json!({ "version": "0-old" }))
        .await;
    assert_eq!(
        (other.status, other.code().as_str()),
        (StatusCode::CONFLICT, "notice-changed")
    );
    let told = kit
        .post("/api/v1/notice", Some(&bearer), json!({ "version": version }))
        .await
        .json();
    assert!(told["acknowledged_at"].is_i64(), "{told}");
    assert_eq!(start(&kit, &bearer).await.status, StatusCode::CREATED);
    // another tab, another day
    let again = untold(&kit, "ana").await;
    assert_eq!(start(&kit, &again).await.status, StatusCode::OK);
}

#[tokio::test]
async fn teachers_and_operations_are_told_and_not_asked() {
    let kit = Kit::new().await;
    for role in [Role::Teacher, Role::Operations] {
        let bearer = kit.sign_in("prof", role).await;
        let notice = kit.get("/api/v1/notice", Some(&bearer)).await.json();
        assert_eq!(notice["acknowledged_at"], Value::Null);
        let refused = kit
            .post("/api/v1/notice", Some(&bearer), json!({ "version": notice["version"] }))
            .await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn a_learner_sees_who_looked_at_their_own_labs_and_at_nobody_elses() {
    let kit = Kit::new().await;
    let (session, ana) = kit.session().await;
    let teacher = kit.sign_in("prof", Role::Teacher).await;
    let id: SessionId = session.parse().unwrap();
    kit.store.recording_open(id, kit.clock.now()).await.unwrap();
    let replay = kit
        .get(&format!("/api/v1/sessions/{session}/recording"), Some(&teacher))
        .await;
    assert_eq!(replay.status, StatusCode::OK, "{}", replay.text);
    let looks = kit.get("/api/v1/looks", Some(&ana)).await.json();
    let look = &looks.as_array().unwrap()[0];
    assert_eq!(
        (&look["name"], &look["role"], &look["action"], &look["lab"]),
        (&json!("name of prof"), &json!("teacher"), &json!("replay"), &json!(LAB))
    );
    assert!(
        !looks.to_string().contains("\"prof\""),
        "the id of who looked is theirs"
    );
    let before = look["id"].as_i64().unwrap();
    let older = kit.get(&format!("/api/v1/looks?before={before}"), Some(&ana)).await;
    assert_eq!(older.json(), json!([]));

    let bob = kit.sign_in("bob", Role::Learner).await;
    assert_eq!(kit.get("/api/v1/looks", Some(&bob)).await.json(), json!([]));
    // the same id in another course is another course's learner
    let mut claims = kit.claims("ana", Role::Learner);
    claims.course = "elsewhere".into();
    let token = kit.link(&claims);
    let there = kit.post("/api/v1/launch", None, json!({ "token": token })).await.json();
    let there = kit.get("/api/v1/looks", there["bearer"].as_str()).await;
    assert_eq!(there.json(), json!([]));
    assert_eq!(
        kit.get("/api/v1/looks", Some(&teacher)).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn operations_export_a_person_whole_and_the_person_sees_it() {
    let kit = Kit::new().await;
    let (session, ana) = kit.session().await;
    let teacher = kit.sign_in("prof", Role::Teacher).await;
    let operations = kit.sign_in("op", Role::Operations).await;
    for (bearer, status) in [(&ana, StatusCode::FORBIDDEN), (&teacher, StatusCode::FORBIDDEN)] {
        for path in ["show", "export", "erase"] {
            let at = format!("/api/v1/people/{path}");
            let body = json!({ "subject": "ana", "confirm": "ana" });
            assert_eq!(kit.post(&at, Some(bearer), body).await.status, status, "{path}");
        }
    }
    let people = kit.get("/api/v1/people?text=ANA", Some(&operations)).await.json();
    assert_eq!(people[0]["subject"], json!("ana"));
    assert_eq!((&people[0]["sessions"], &people[0]["live"]), (&json!(1), &json!(1)));
    let shown = kit
        .post("/api/v1/people/show", Some(&operations), json!({ "subject": "ana" }))
        .await
        .json();
    assert_eq!(
        (&shown["courses"], &shown["live"]),
        (&json!([COURSE]), &json!([session]))
    );

    let outcome = lab_core::grading::GradeAddress::Outcome {
        url: "https://lms.example.org/outcomes".into(),
        sourcedid: "key-to-the-gradebook".into(),
    };
    let target = lab_core::grading::GradeTarget {
        registration: lab_core::launch::lti::RegistrationId("campus".into()),
        subject: "ana".into(),
        course: COURSE.into(),
        lab: LAB.into(),
        title: "A lab".into(),
        user: "7".into(),
        resource_link: "block".into(),
        address: outcome,
    };
    kit.store.grade_target_put(&target, kit.clock.now()).await.unwrap();

    let export = kit
        .posted("/api/v1/people/export", &operations, json!({ "subject": "ana" }))
        .await;
    let mut archive = zip::ZipArchive::new(Cursor::new(export)).unwrap();
    let mut read = |name: &str| {
        let mut text = String::new();
        archive.by_name(name).unwrap().read_to_string(&mut text).unwrap();
        text
    };
    let profile: Value = serde_json::from_str(&read("profile.json")).unwrap();
    assert_eq!(profile["names"], json!(["name of ana"]));
    assert_eq!(profile["grants"].as_array().unwrap().len(), 1);
    let sessions: Value = serde_json::from_str(&read("sessions.json")).unwrap();
    assert_eq!(sessions[0]["id"], json!(session));
    assert!(read("ledger.csv").contains(&format!("hold:{session},900")));
    assert!(read("access-log.csv").contains("export-person"), "this export too");
    let grades = read("grades.csv");
    assert!(
        grades.contains(&format!("campus,{COURSE},{LAB},A lab,,,idle")),
        "{grades}"
    );
    assert!(
        !grades.contains("gradebook"),
        "what the platform alone should have is not told"
    );
    let page = read("index.html");
    assert!(page.contains("Vos données dans Labwire") && page.contains("Your data in Labwire"));

    let looks = kit.get("/api/v1/looks", Some(&ana)).await.json();
    assert_eq!(looks[0]["action"], json!("export-person"));
    let nobody = json!({ "subject": "nobody" });
    let missing = kit.post("/api/v1/people/export", Some(&operations), nobody).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_is_forgotten_is_signed_out_and_a_running_lab_refuses_it() {
    let kit = Kit::new().await;
    let (session, ana) = kit.session().await;
    let operations = kit.sign_in("op", Role::Operations).await;
    let erase = async |confirm: &str| {
        let body = json!({ "subject": "ana", "confirm": confirm });
        kit.post("/api/v1/people/erase", Some(&operations), body).await
    };
    let wrong = erase("anna").await;
    assert_eq!(
        (wrong.status, wrong.code().as_str()),
        (StatusCode::BAD_REQUEST, "invalid-request")
    );
    let live = erase("ana").await;
    assert_eq!(
        (live.status, live.code().as_str()),
        (StatusCode::CONFLICT, "person-live")
    );
    assert!(live.text.contains(&session), "{}", live.text);
    over(&kit, &session).await;
    let done = erase("ana").await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text);
    assert_eq!(done.json()["footprint"]["sessions"], json!(1));
    assert_eq!(erase("ana").await.json()["footprint"]["sessions"], json!(0), "again");
    assert_eq!(kit.get("/api/v1/me", Some(&ana)).await.status, StatusCode::UNAUTHORIZED);
    let footprint = kit.store.person_footprint(&Subject::from("ana")).await.unwrap();
    assert!(footprint.is_empty(), "{footprint:?}");
    let sums = kit.store.ledger_recount().await.unwrap();
    assert_eq!((sums.total, sums.held), (0, 0));
    let audit: Vec<AuditEvent> = kit.store.audit_list(None).await.unwrap();
    assert_eq!(audit[0].action, "erase-person");
    assert!(!format!("{audit:?}").contains("ana"), "{audit:?}");
    assert!(kit.store.lti_attempt_list().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_operations_page_says_what_goes() {
    let kit = Kit::new().await;
    let operations = kit.sign_in("op", Role::Operations).await;
    let overview = kit.get("/api/v1/operations", Some(&operations)).await.json();
    let classes: Vec<_> = overview["retention"]["classes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["class"].as_str().unwrap())
        .collect();
    assert_eq!(classes, ["recordings", "checks", "names", "audit"]);
    assert_eq!(overview["retention"]["code"], Value::Null);
}
