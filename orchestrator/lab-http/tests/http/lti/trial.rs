//! What `labwire lti test` says: a registration tried without a learner, and whether launches worked since one was refused.

use super::{
    keys,
    lms::{ISSUER, JWKS, Lms, jwks, registration},
};
use axum::http::StatusCode;
use lab_app::launch::lti::{Outcome, Trial, Trier};
use lab_core::{
    entitlement::{Giver, GrantBudget},
    launch::lti::{Concern, Kind, Registration, RegistrationId},
    port::{Clock, GiverStore, LtiStore},
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

const TOKEN: &str = "https://lms.example.org/token";

async fn tried(lms: &Lms, of: &Registration) -> Vec<Trial> {
    let trier = Trier {
        store: lms.kit.store.clone(),
        platform: lms.kit.platform.clone(),
        clock: lms.kit.clock.clone(),
        entropy: Arc::new(lab_testkit::FakeEntropy::default()),
        configured: Vec::new(),
    };
    trier.attempt(of).await.unwrap()
}

async fn one(lms: &Lms, what: &str) -> Trial {
    let all = tried(lms, &registration("edx", "client-1")).await;
    all.into_iter().find(|t| t.what == what).unwrap()
}

#[tokio::test]
async fn keys_are_fetched_and_told_by_name_or_why_not_with_a_remedy_of_its_own() {
    let lms = Lms::new().await;
    let good = one(&lms, "keys").await;
    assert_eq!((good.outcome, good.next), (Outcome::Good, None));
    assert!(
        good.found.contains("1 key in") && good.found.contains("\"k1\"") && good.found.contains(JWKS),
        "{}",
        good.found
    );
    let mut remedies = std::collections::BTreeSet::new();
    for (status, body, found) in [
        (404, "{}", "answers 404"),
        (200, "<html>sign in</html>", "not a set of keys"),
        (200, "{\"keys\": []}", "no key in the set"),
        (0, "", "does not answer"),
    ] {
        if status == 0 {
            lms.kit.platform.is_silent(JWKS);
        } else {
            lms.kit.platform.answers(JWKS, status, body);
        }
        let bad = one(&lms, "keys").await;
        assert_eq!(bad.outcome, Outcome::Bad);
        assert!(bad.found.contains(found), "{}", bad.found);
        remedies.insert(bad.next.unwrap());
    }
    assert_eq!(remedies.len(), 4);
}

#[tokio::test]
async fn the_token_endpoint_is_asked_as_a_grade_would_and_no_token_is_told() {
    let lms = Lms::new().await;
    let token = |status, body: &str| lms.kit.platform.answers(TOKEN, status, body);
    token(200, r#"{"access_token": "very-secret", "expires_in": 3600}"#);
    let good = one(&lms, "token").await;
    assert_eq!(good.outcome, Outcome::Good, "{}", good.found);
    let asked = lms.kit.platform.requests().pop().unwrap();
    assert!(
        asked.url == TOKEN && asked.body.contains("client_assertion=") && asked.body.contains("score"),
        "{asked:?}"
    );
    for (status, body, outcome, found) in [
        (
            400,
            r#"{"error": "invalid_client", "x": "very-secret"}"#,
            Outcome::Note,
            "400 invalid_client",
        ),
        (
            400,
            r#"{"error": "invalid_scope"}"#,
            Outcome::Note,
            "no grade goes back",
        ),
        (404, "<html>very-secret", Outcome::Bad, "answers 404"),
        (201, r#"{"access_token": "very-secret"}"#, Outcome::Bad, "answers 201"),
        (
            400,
            r#"{"error": "very-secret very secret"}"#,
            Outcome::Bad,
            "answers 400",
        ),
    ] {
        token(status, body);
        let trial = one(&lms, "token").await;
        assert_eq!(trial.outcome, outcome, "{}", trial.found);
        assert!(
            trial.found.contains(found) && !trial.found.contains("secret"),
            "{}",
            trial.found
        );
        assert!(trial.next.is_some());
    }
    lms.kit.platform.is_silent(TOKEN);
    assert!(one(&lms, "token").await.found.contains("does not answer"));
}

#[tokio::test]
async fn a_plan_that_is_gone_or_spent_and_a_course_that_is_not_here_are_told() {
    let lms = Lms::new().await;
    assert_eq!(one(&lms, "plan").await.outcome, Outcome::Good);
    assert!(one(&lms, "course").await.found.contains("lms.example.org#"));
    let spent = Giver {
        source: "lti:edx".into(),
        budget: GrantBudget {
            grants: Some(0),
            seconds: None,
        },
        ..Giver::default()
    };
    lms.kit.store.giver_put(&spent).await.unwrap();
    let plan = one(&lms, "plan").await;
    assert_eq!(plan.outcome, Outcome::Bad, "{}", plan.found);
    assert!(plan.next.unwrap().contains("--grants-max"));
    let mut other = registration("edx", "client-1");
    (other.plan, other.course) = (Some("GONE".into()), Some("nett".into()));
    let all = tried(&lms, &other).await;
    let of = |what| all.iter().find(|t| t.what == what).unwrap();
    assert_eq!(
        (of("plan").outcome, of("course").outcome),
        (Outcome::Bad, Outcome::Note)
    );
    assert!(of("plan").found.contains("GONE") && of("course").found.contains("not here yet"));
    (other.plan, other.course) = (None, None);
    let all = tried(&lms, &other).await;
    assert!(
        all.iter().any(|t| t.what == "plan" && t.found.starts_with("no plan")),
        "{all:?}"
    );
}

#[tokio::test]
async fn of_lti_1_1_is_said_what_only_a_launch_can_tell() {
    let lms = Lms::new().await;
    let fun = Registration {
        kind: Kind::Consumer {
            key: "fun".into(),
            secret: "0123456789abcdef".into(),
        },
        ..registration("fun", "")
    };
    let all = tried(&lms, &fun).await;
    assert_eq!((all[0].what, all[0].outcome), ("secret", Outcome::Note));
    assert!(!format!("{all:?}").contains("0123456789abcdef"));
    assert!(lms.kit.platform.requests().is_empty(), "there is nobody to ask");
}

#[tokio::test]
async fn a_launch_that_was_taken_is_kept_with_its_time_and_a_refused_one_is_not() {
    let lms = Lms::new().await;
    let (store, edx) = (&lms.kit.store, RegistrationId("edx".into()));
    lms.launch(|claims| claims["nonce"] = json!("another")).await;
    assert_eq!(store.lti_launched_at(&edx).await.unwrap(), None);
    lms.kit.clock.advance(Duration::from_secs(60));
    assert_eq!(lms.launch(|_| ()).await.status, StatusCode::SEE_OTHER);
    assert_eq!(store.lti_launched_at(&edx).await.unwrap(), Some(lms.kit.clock.now()));
    let then = lms.kit.clock.now();
    lms.kit.clock.advance(Duration::from_secs(60));
    lms.launch(|claims| claims["nonce"] = json!("another")).await;
    assert_eq!(store.lti_launched_at(&edx).await.unwrap(), Some(then));
}

#[tokio::test]
async fn a_launch_by_a_wrong_client_id_is_found_by_who_asks_for_its_platform() {
    let lms = Lms::new().await;
    lms.initiate("client_id=mistyped").await;
    let attempts = lms.kit.store.lti_attempt_list().await.unwrap();
    assert_eq!(attempts[0].platform.as_deref(), Some(ISSUER));
    assert_eq!(
        attempts[0].concerns(&registration("edx", "client-1")),
        Some(Concern::NearMiss)
    );
    // one that got further is the registration's own
    lms.kit.platform.answers(JWKS, 200, jwks("k2", keys::SECOND));
    lms.launch(|_| ()).await;
    let attempts = lms.kit.store.lti_attempt_list().await.unwrap();
    assert_eq!(
        attempts[0].concerns(&registration("edx", "client-1")),
        Some(Concern::Own)
    );
}
