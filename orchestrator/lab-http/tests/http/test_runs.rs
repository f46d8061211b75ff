//! Labs tried by those who answer for them, by the front door.

use crate::kit::{COURSE, Kit, LAB};
use axum::http::StatusCode;
use lab_core::{entitlement::TEST_RUN_COURSE, launch::Role, port::Store as _};
use serde_json::json;

/// Follows the link of a test run; the bearer of its tab.
async fn follow(kit: &Kit, staff: &str) -> String {
    let link = kit.post("/api/v1/test-runs", Some(staff), json!({ "lab": LAB })).await;
    assert_eq!(link.status, StatusCode::OK, "{}", link.text);
    let link = link.json()["link"].as_str().unwrap().to_owned();
    let token = link.strip_prefix("/launch?token=").unwrap();
    let signed = kit.post("/api/v1/launch", None, json!({ "token": token })).await;
    assert_eq!(signed.status, StatusCode::OK, "{}", signed.text);
    let login = &signed.json()["login"];
    assert_eq!(
        (&login["role"], &login["course"], &login["test_run"]),
        (&json!("learner"), &json!(TEST_RUN_COURSE), &json!(true))
    );
    let again = kit.post("/api/v1/launch", None, json!({ "token": token })).await;
    assert_eq!(again.code(), "launch-already-used");
    signed.json()["bearer"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_author_tries_a_lab_as_its_learner_and_nobody_pays() {
    let kit = Kit::new().await;
    let author = kit.sign_in("curie", Role::Author).await;
    let bearer = follow(&kit, &author).await;
    let start = async || kit.post("/api/v1/sessions", Some(&bearer), json!({ "lab": LAB })).await;
    let untold = start().await;
    assert_eq!(
        untold.code(),
        "privacy-notice",
        "as a learner's first lab: {}",
        untold.text
    );
    assert_eq!(kit.get("/api/v1/notice", Some(&bearer)).await.json()["due"], true);
    kit.told(&bearer).await;
    let begun = start().await;
    assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text);
    let session = begun.json();
    assert_eq!(
        (&session["test_run"], &session["held_secs"], &session["subject"]),
        (&json!(true), &json!(0), &json!("curie"))
    );
    assert_eq!(start().await.status, StatusCode::OK, "the same one");
    kit.ticket(session["id"].as_str().unwrap(), &bearer).await;
    // a learner's next to it is theirs
    let (_, ana) = kit.session().await;
    let own = kit.get("/api/v1/sessions", Some(&ana)).await.json();
    assert!(own[0].get("test_run").is_none(), "{own}");
    let audit = kit.store.audit_list(None).await.unwrap();
    let line = audit.iter().find(|e| e.action == "test-run").unwrap();
    assert_eq!(
        (line.actor.as_str(), line.role, line.detail.as_str()),
        ("curie", Role::Author, LAB)
    );
}

#[tokio::test]
async fn a_test_run_is_on_no_course_and_takes_no_voucher() {
    let kit = Kit::new().await;
    let teacher = kit.sign_in("perrin", Role::Teacher).await;
    let bearer = follow(&kit, &teacher).await;
    kit.told(&bearer).await;
    let begun = kit.post("/api/v1/sessions", Some(&bearer), json!({ "lab": LAB })).await;
    let id = begun.json()["id"].as_str().unwrap().to_owned();
    for path in ["/api/v1/sessions", "/api/v1/usage?format=json"] {
        assert_eq!(kit.get(path, Some(&teacher)).await.json(), json!([]), "{path}");
    }
    let seen = kit.get(&format!("/api/v1/sessions/{id}"), Some(&teacher)).await;
    assert_eq!(
        seen.status,
        StatusCode::NOT_FOUND,
        "a teacher of {COURSE} has no other course"
    );
    let operations = kit.sign_in("ops", Role::Operations).await;
    let all = kit.get("/api/v1/sessions", Some(&operations)).await.json();
    assert_eq!(
        (all[0]["id"].as_str(), &all[0]["test_run"]),
        (Some(id.as_str()), &json!(true))
    );
    let code = kit.voucher(3600).await;
    let redeemed = kit
        .post("/api/v1/vouchers/redeem", Some(&bearer), json!({ "code": code }))
        .await;
    assert_eq!(redeemed.status, StatusCode::FORBIDDEN, "{}", redeemed.text);
}

#[tokio::test]
async fn a_learner_cannot_begin_a_test_run_whatever_their_link_says() {
    let kit = Kit::new().await;
    let learner = kit.sign_in("bob", Role::Learner).await;
    let link = kit
        .post("/api/v1/test-runs", Some(&learner), json!({ "lab": LAB }))
        .await;
    assert_eq!(link.status, StatusCode::FORBIDDEN);
    // a link that names the course of test runs, or the plan that stands for none, gets no further than any without a grant
    for (course, plan) in [(TEST_RUN_COURSE, None), (COURSE, Some("test-run"))] {
        let mut claims = kit.claims("bob", Role::Learner);
        (claims.course, claims.plan) = (course.into(), plan.map(Into::into));
        let signed = kit
            .post("/api/v1/launch", None, json!({ "token": kit.link(&claims) }))
            .await;
        let bearer = signed.json()["bearer"].as_str().unwrap().to_owned();
        let start = kit.post("/api/v1/sessions", Some(&bearer), json!({ "lab": LAB })).await;
        assert_eq!(start.status, StatusCode::FORBIDDEN, "{}", start.text);
        assert!(
            ["no-plan", "no-labs"].contains(&start.code().as_str()),
            "{}",
            start.text
        );
    }
}

#[tokio::test]
async fn a_lab_that_is_not_published_cannot_be_tried() {
    let kit = Kit::new().await;
    let author = kit.sign_in("curie", Role::Author).await;
    let link = kit
        .post("/api/v1/test-runs", Some(&author), json!({ "lab": "nowhere" }))
        .await;
    assert_eq!(
        (link.status, link.code().as_str()),
        (StatusCode::NOT_FOUND, "not-found")
    );
    assert!(kit.store.audit_list(None).await.unwrap().is_empty());
}
