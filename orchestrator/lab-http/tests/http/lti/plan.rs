//! The custom parameter `plan`: what a registration offers, within its budget, and what a learner is told otherwise.

use super::lms::{CLAIM, Lms, registration};
use crate::kit::Answer;
use axum::http::StatusCode;
use lab_core::{
    entitlement::{Giver, Grant, GrantBudget, source},
    launch::lti::Registration,
    port::{Clock, GiverStore, LtiStore, Store},
};
use serde_json::{Value, json};
use std::time::Duration;

/// Everybody discovers; who the platform sends with `plan=QUALIFYING` has labs, `grants` learners at most.
async fn lms(grants: i64) -> Lms {
    let lms = Lms::new().await;
    let edx = Registration {
        plan: Some("DISCOVERY".into()),
        course: Some("net-101".into()),
        ..registration("edx", "client-1")
    };
    let giver = Giver {
        source: edx.source(),
        plans: ["QUALIFYING".into()].into(),
        budget: GrantBudget {
            grants: Some(grants),
            seconds: None,
        },
        site: None,
    };
    lms.kit.store.lti_registration_put(&edx).await.unwrap();
    lms.kit.store.giver_put(&giver).await.unwrap();
    lms
}

/// A learner's launch with a parameter, told what is recorded, and their click.
async fn click(lms: &Lms, sub: &str, plan: Option<&str>) -> Answer {
    let launched = lms
        .launch(|c: &mut Value| {
            c["sub"] = json!(sub);
            if let Some(plan) = plan {
                c[format!("{CLAIM}custom")] = json!({ "plan": plan });
            }
        })
        .await;
    let bearer = lms.sign_in(&launched).await["bearer"].as_str().unwrap().to_owned();
    lms.kit.told(&bearer).await;
    lms.kit
        .post("/api/v1/sessions", Some(&bearer), json!({ "lab": "ping" }))
        .await
}

fn refusal(answer: &Answer) -> (String, Value) {
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.text);
    let body = answer.json();
    assert!(
        body["lab"].is_object() && !body["next"].as_str().unwrap().is_empty(),
        "a lab and a next step: {body}"
    );
    (answer.code(), body["refusal"].clone())
}

#[tokio::test]
async fn a_parameter_gives_what_is_offered_until_the_budget_is_spent_and_then_says_so() {
    let lms = lms(1).await;
    let (code, _) = refusal(&click(&lms, "eve", None).await);
    assert_eq!(code, "no-labs", "without the parameter everybody discovers");
    let ada = click(&lms, "ada", Some("QUALIFYING")).await;
    assert_eq!(ada.status, StatusCode::CREATED, "{}", ada.text);
    let again = click(&lms, "ada", Some("QUALIFYING")).await;
    assert_eq!(
        again.status,
        StatusCode::OK,
        "a launch again is the same grant: {}",
        again.text
    );
    let (code, told) = refusal(&click(&lms, "bob", Some("QUALIFYING")).await);
    assert_eq!(
        (code.as_str(), &told["plan"], &told["reason"]),
        ("plan-withheld", &json!("QUALIFYING"), &json!("budget-spent"))
    );
    let source = registration("edx", "client-1").source();
    let state = lms.kit.store.giver_get(&source).await.unwrap().unwrap();
    assert_eq!(state.given.grants, 1);
    // more was agreed: the same click of bob's opens the lab
    let more = Giver {
        budget: GrantBudget {
            grants: Some(2),
            seconds: None,
        },
        ..state.giver
    };
    lms.kit.store.giver_put(&more).await.unwrap();
    assert_eq!(click(&lms, "bob", Some("QUALIFYING")).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_plan_that_is_not_offered_gives_nothing_and_says_so() {
    let lms = lms(9).await;
    let (code, told) = refusal(&click(&lms, "ada", Some("GOLD")).await);
    assert_eq!(
        (code.as_str(), &told["plan"], &told["reason"]),
        ("plan-withheld", &json!("GOLD"), &json!("plan-not-offered"))
    );
    let source = registration("edx", "client-1").source();
    assert_eq!(lms.kit.store.giver_get(&source).await.unwrap().unwrap().given.grants, 0);
    // a slip is told to who runs the registration, once, and what was probably meant
    for _ in 0..2 {
        refusal(&click(&lms, "ada", Some("QUALIFING")).await);
    }
    let noted = lms.kit.store.lti_attempt_list().await.unwrap();
    let slips: Vec<_> = noted.iter().filter(|a| a.detail.contains("QUALIFYING")).collect();
    assert_eq!(slips.len(), 1, "{noted:?}");
    assert!(slips[0].is_note() && slips[0].registration.as_ref().unwrap().0 == "edx");
}

#[tokio::test]
async fn who_is_no_longer_attested_is_told_by_whom() {
    let lms = lms(9).await;
    let (store, now) = (&lms.kit.store, lms.kit.clock.now());
    let grant = Grant {
        id: lab_core::GrantId(lms.kit.app.fresh_uuid()),
        subject: "seeker".into(),
        course: "net-101".into(),
        plan: "QUALIFYING".into(),
        seconds: 3600,
        priority: 0,
        effective_at: now,
        expires_at: now.plus(Duration::from_hours(24)),
        created_at: now,
        source: source::SPONSOR.into(),
        sponsor: Some("anapec".into()),
    };
    store.grant_issue(&grant).await.unwrap();
    lms.kit.clock.advance(Duration::from_hours(25));
    let bearer = lms.kit.sign_in("seeker", lab_core::launch::Role::Learner).await;
    let answer = lms
        .kit
        .post("/api/v1/sessions", Some(&bearer), json!({ "lab": "ping" }))
        .await;
    let (code, told) = refusal(&answer);
    assert_eq!(
        (code.as_str(), &told["sponsor"], &told["until"]),
        ("not-attested", &json!("anapec"), &json!(grant.expires_at.secs()))
    );
    assert!(answer.json()["message"].as_str().unwrap().contains("anapec"));
}
