//! How often an address may begin launches: a company behind one proxy passes, a flood does not.

use super::{
    forms,
    lms::{ISSUER, Lms, TARGET, assert_refused, come_from},
};
use crate::kit::Answer;
use axum::{
    body::Body,
    http::{Request, StatusCode, header},
};
use lab_core::{
    launch::lti::{LAUNCHES_A_MINUTE, percent_encode},
    port::LtiStore,
};
use lab_http::HttpSettings;
use std::time::Duration;

const LAB: &str = "/lti/labs/ping";
const COMPANY: &str = "203.0.113.7";

/// A login that came through our proxy, which saw `address` and was told `claimed` before.
async fn login(lms: &Lms, claimed: &str, address: &str) -> Answer {
    let path = format!(
        "/lti/login?iss={}&login_hint=u&client_id=client-1&target_link_uri={}",
        percent_encode(ISSUER),
        percent_encode(TARGET)
    );
    let request = Request::get(path).header("x-forwarded-for", format!("{claimed}{address}"));
    lms.kit
        .send(come_from("10.0.0.1", request.body(Body::empty()).unwrap()))
        .await
}

/// A form by LTI 1.1 that came straight from there.
async fn form(lms: &Lms, address: &str, form: &str) -> Answer {
    let request = Request::post(LAB)
        .header(header::ORIGIN, ISSUER)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    lms.kit
        .send(come_from(address, request.body(Body::from(form.to_owned())).unwrap()))
        .await
}

#[tokio::test]
async fn a_company_of_2500_behind_one_proxy_opens_its_labs_in_one_minute_and_what_follows_waits() {
    let settings = HttpSettings {
        proxies: 1,
        ..HttpSettings::default()
    };
    let lms = Lms::with(settings).await;
    // each in a frame that may keep nothing, again in a new window, and with a second block on the page; over 60 seconds
    for n in 0..2500 * 2 * 2 {
        if n % 200 == 199 {
            lms.kit.clock.advance(Duration::from_secs(1));
        }
        let begun = login(&lms, "", COMPANY).await;
        assert_eq!(begun.status, StatusCode::SEE_OTHER, "{n}: {}", begun.text);
    }
    let refused = login(&lms, "", COMPANY).await;
    assert_refused(&refused, "lti-launch-pace");
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let other = format!("{}, ", "198.51.100.9");
    assert_refused(&login(&lms, &other, COMPANY).await, "lti-launch-pace");
    assert_eq!(login(&lms, "", "203.0.113.8").await.status, StatusCode::SEE_OTHER);
    assert!(
        lms.kit.store.lti_attempt_list().await.unwrap().is_empty(),
        "a flood writes nothing down"
    );
    lms.kit.clock.advance(Duration::from_secs(10));
    assert_eq!(login(&lms, "", COMPANY).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn who_floods_the_door_with_forms_of_1_1_waits_and_the_class_beside_does_not() {
    let lms = Lms::with_key(Some("net-101"), None).await;
    for _ in 0..LAUNCHES_A_MINUTE {
        form(&lms, COMPANY, "a=b").await;
    }
    let refused = form(&lms, COMPANY, forms::LEARNER).await;
    assert_refused(&refused, "lti-launch-pace");
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    lms.sign_in(&form(&lms, "203.0.113.8", forms::LEARNER).await).await;
}

#[tokio::test]
async fn a_login_that_was_begun_is_answered_whoever_floods_from_the_same_address() {
    let lms = Lms::new().await;
    // without a proxy that is named, all of the tests' requests are of one address
    let begun = lms.begin("").await;
    for _ in 1..LAUNCHES_A_MINUTE {
        lms.initiate("client_id=nobody").await;
    }
    assert_refused(&lms.initiate("client_id=client-1").await, "lti-launch-pace");
    let token = super::lms::sign("k1", super::keys::FIRST, &lms.claims(&begun.nonce));
    lms.sign_in(&lms.arrive(&begun, &token).await).await;
}
