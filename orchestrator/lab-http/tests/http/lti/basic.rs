//! LTI 1.1, with forms that another program signed.

use super::{
    forms,
    lms::{Lms, assert_refused},
};
use lab_core::{
    launch::lti::{Registration, RegistrationId, SamePerson},
    port::{LtiStore, Store},
};
use serde_json::json;
use std::time::Duration;

const LAB: &str = "/lti/labs/ping";

async fn lms() -> Lms {
    Lms::with_key(Some("net-101"), None).await
}

#[tokio::test]
async fn what_oauthlib_and_open_edx_sign_signs_in() {
    let lms = lms().await;
    for (path, form) in [
        (LAB, forms::LEARNER),
        ("/lti/labs/ping?lab=a%20b&x=", forms::QUERY),
        ("/lti/launch", forms::CUSTOM),
        ("/lti/labs/6f078019-8f8d-5f5e-af31-f26b0aa098cc", forms::BY_UUID),
        (LAB, forms::EARLY),
        ("/lti/labs/ping?x=%C3%A9&y=", forms::OPEN_EDX_QUERY),
        (LAB, forms::OPEN_EDX),
    ] {
        let launched = lms.post(path, "", form).await;
        let login = lms.sign_in(&launched).await["login"].clone();
        assert_eq!(
            (&login["role"], &login["lab"]),
            (&json!("learner"), &json!("ping")),
            "{path}"
        );
        assert_eq!(login["course"], json!("net-101"), "the registration's course");
    }
    let launched = lms.post(LAB, "", forms::TEACHER).await;
    let login = lms.sign_in(&launched).await["login"].clone();
    assert_eq!(
        (&login["role"], &login["name"]),
        (&json!("teacher"), &json!("Zoë Ébène"))
    );
}

#[tokio::test]
async fn a_launch_beside_our_addresses_is_told_to_whose_it_is_and_a_slash_too_much_is_none() {
    let lms = lms().await;
    for beside in ["/lti/lab/ping", "/lti/labs/a/b", "/lti/labs/"] {
        assert_refused(&lms.post(beside, "", forms::LEARNER).await, "lti-target-foreign");
        let kept = lms.kit.store.lti_attempt_list().await.unwrap().remove(0);
        assert_eq!(kept.registration.unwrap().0, "fun", "{beside}");
        assert!(kept.detail.contains("/lti/labs/<lab>"), "{}", kept.detail);
        assert_refused(&lms.kit.get(beside, None).await, "lti-opened-by-hand");
    }
    // it was signed for another address: the answer is about that, and not that there is nothing here
    assert_refused(
        &lms.post("/lti/labs/ping/", "", forms::LEARNER).await,
        "lti-oauth-signature",
    );
}

#[tokio::test]
async fn a_learner_without_a_plan_of_the_registration_needs_a_grant() {
    let lms = lms().await;
    let signed = lms.sign_in(&lms.post(LAB, "", forms::LEARNER).await).await;
    let bearer = signed["bearer"].as_str().unwrap();
    let refused = lms
        .kit
        .post("/api/v1/sessions", Some(bearer), json!({"lab": "ping"}))
        .await;
    assert_eq!(refused.code(), "no-plan", "{}", refused.text);
    assert!(refused.text.contains("you have no plan"), "{}", refused.text);
    assert!(!refused.json()["next"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn each_violated_rule_has_a_page_and_a_code_of_its_own() {
    let lms = lms().await;
    lms.sign_in(&lms.post(LAB, "", forms::LEARNER).await).await;
    for (path, form, code) in [
        (LAB, forms::LEARNER.to_owned(), "lti-oauth-nonce"),
        (LAB, forms::OTHER_SECRET.to_owned(), "lti-oauth-signature"),
        (LAB, forms::OTHER_KEY.to_owned(), "lti-consumer-unknown"),
        (LAB, forms::LATE.to_owned(), "lti-oauth-timestamp"),
        (LAB, forms::NOBODY.to_owned(), "lti-subject-missing"),
        ("/lti/launch", forms::NO_LAB.to_owned(), "lti-lab-not-named"),
        // signed for another address, or changed on the way
        ("/lti/labs/ping?x=1", forms::TEACHER.to_owned(), "lti-oauth-signature"),
        (
            LAB,
            forms::TEACHER.replace("user_id=t1", "user_id=t2"),
            "lti-oauth-signature",
        ),
        (LAB, format!("{}&roles=Instructor", forms::EARLY), "lti-form-unreadable"),
        (
            LAB,
            forms::TEACHER.replace("HMAC-SHA1", "HMAC-SHA256"),
            "lti-oauth-method",
        ),
        (
            LAB,
            forms::TEACHER.replace("oauth_nonce=n3", "oauth_nonce="),
            "lti-parameter-missing",
        ),
        (LAB, "a=b".to_owned(), "lti-basic-message"),
    ] {
        let page = lms.post(path, "", &form).await;
        assert_refused(&page, code);
        let noted = lms.kit.store.lti_attempt_list().await.unwrap().remove(0);
        assert_eq!((noted.code.as_str(), noted.version.as_str()), (code, "1.1"));
        assert!(!noted.detail.contains(forms::SECRET), "{}", noted.detail);
    }
    // a refused signature does not spend the nonce of the right one
    lms.sign_in(&lms.post(LAB, "", forms::TEACHER).await).await;
    lms.kit.clock.advance(Duration::from_mins(10));
    assert_refused(&lms.post(LAB, "", forms::EARLY).await, "lti-oauth-timestamp");
}

#[tokio::test]
async fn who_was_said_to_be_one_person_is_the_same_by_both_versions() {
    let lms = lms().await;
    let me = async |launched| lms.sign_in(&launched).await["bearer"].as_str().unwrap().to_owned();
    let by_1p3 = me(lms.launch(|_| ()).await).await;
    let before = me(lms.post(LAB, "", forms::LEARNER).await).await;
    let grants = async |bearer: &str| {
        let me = lms.kit.get("/api/v1/me", Some(bearer)).await.json();
        me["grants"].as_array().unwrap().len()
    };
    assert_eq!((grants(&by_1p3).await, grants(&before).await), (1, 0));
    let grant = lms
        .kit
        .store
        .grant_list(&"lms.example.org#8f1b-ada".into(), None)
        .await
        .unwrap();
    assert_eq!(grant.len(), 1);
    let same = SamePerson {
        alias: "lti:fun#a1b2c3".into(),
        subject: "lms.example.org#8f1b-ada".into(),
        at: lab_testkit::ManualClock::START,
        by: "cli".into(),
    };
    lms.kit.store.same_person_put(&same).await.unwrap();
    let fun = Registration {
        course: Some(grant[0].grant.course.clone()),
        ..lms
            .kit
            .store
            .lti_registration_get(&RegistrationId("fun".into()))
            .await
            .unwrap()
            .unwrap()
    };
    lms.kit.store.lti_registration_put(&fun).await.unwrap();
    let after = me(lms.post("/lti/labs/ping?lab=a%20b&x=", "", forms::QUERY).await).await;
    assert_eq!(grants(&after).await, 1, "the time of the other id, in the same course");
}
