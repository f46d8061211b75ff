//! People of a platform that went from LTI 1.1 to 1.3.

use super::{
    forms,
    lms::{CLAIM, ISSUER, Lms},
};
use crate::kit::Answer;
use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use lab_core::{
    launch::lti::RegistrationId,
    port::{LtiStore, Store},
};
use serde_json::{Value, json};
use sha2::Sha256;

const OLD: &str = "lti:fun#a1b2c3";
const NEW: &str = "lms.example.org#8f1b-ada";

async fn lms() -> Lms {
    Lms::with_key(None, Some("QUALIFYING")).await
}

/// Adds who the learner was, signed with a secret as the guide says.
fn was(claims: &mut Value, key: &str, secret: &str) {
    let text = |name: &str| claims[name].as_str().unwrap().to_owned();
    let signed = format!(
        "{key}&1&{ISSUER}&client-1&{}&{}",
        claims["exp"].as_i64().unwrap(),
        text("nonce")
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(signed.as_bytes());
    claims[format!("{CLAIM}lti1p1")] = json!({
        "user_id": "a1b2c3",
        "oauth_consumer_key": key,
        "oauth_consumer_key_sign": STANDARD.encode(mac.finalize().into_bytes()),
    });
}

/// Launches by 1.3 with that claim, and who is signed in then.
async fn arrives(lms: &Lms, key: &str, secret: &str) -> Value {
    let launched: Answer = lms.launch(|claims| was(claims, key, secret)).await;
    lms.sign_in(&launched).await
}

async fn links(lms: &Lms) -> Vec<(String, String)> {
    let all = lms.kit.store.same_person_list().await.unwrap();
    all.into_iter().map(|s| (s.alias.0, s.subject.0)).collect()
}

#[tokio::test]
async fn who_had_labs_by_the_old_version_has_them_by_the_new_one() {
    let lms = lms().await;
    lms.sign_in(&lms.post("/lti/labs/ping", "", forms::LEARNER).await).await;
    assert_eq!(lms.kit.store.grant_list(&OLD.into(), None).await.unwrap().len(), 1);
    arrives(&lms, "fun", forms::SECRET).await;
    assert_eq!(links(&lms).await, [(NEW.to_owned(), OLD.to_owned())]);
    // what the new launch gave is the old one's too, and the next says nothing new
    arrives(&lms, "fun", forms::SECRET).await;
    assert_eq!(links(&lms).await.len(), 1);
    assert!(lms.kit.store.grant_list(&NEW.into(), None).await.unwrap().is_empty());
    let audit = lms.kit.store.audit_list(None).await.unwrap();
    let [told] = audit.as_slice() else { panic!("{audit:?}") };
    assert_eq!(
        (told.action.as_str(), told.actor.as_str(), told.about.clone()),
        ("link-person", "lti:edx", Some(OLD.into()))
    );
    assert!(lms.kit.store.lti_attempt_list().await.unwrap().is_empty());
}

#[tokio::test]
async fn who_was_never_here_by_the_old_version_is_known_by_both_from_now_on() {
    let lms = lms().await;
    lms.sign_in(&lms.launch(|_| ()).await).await;
    arrives(&lms, "fun", forms::SECRET).await;
    assert_eq!(links(&lms).await, [(OLD.to_owned(), NEW.to_owned())]);
}

#[tokio::test]
async fn a_claim_that_proves_nothing_links_nobody_refuses_nobody_and_is_noted_once() {
    let lms = lms().await;
    for _ in 0..3 {
        arrives(&lms, "fun", "another secret").await;
        arrives(&lms, "unknown", forms::SECRET).await;
    }
    assert!(links(&lms).await.is_empty());
    let noted = lms.kit.store.lti_attempt_list().await.unwrap();
    let codes: Vec<_> = noted.iter().map(|a| (a.code.as_str(), a.version.as_str())).collect();
    assert_eq!(codes, [("lti-migration-sign", "1.3"); 2], "{noted:?}");
    assert!(
        noted
            .iter()
            .all(|a| a.registration == Some(RegistrationId("edx".into())))
    );
    assert!(noted.iter().all(|a| !a.detail.contains(forms::SECRET)));
}

#[tokio::test]
async fn two_who_both_have_labs_are_left_to_somebody_who_knows() {
    let lms = lms().await;
    lms.sign_in(&lms.post("/lti/labs/ping", "", forms::LEARNER).await).await;
    lms.sign_in(&lms.launch(|_| ()).await).await;
    arrives(&lms, "fun", forms::SECRET).await;
    assert!(links(&lms).await.is_empty());
    let noted = lms.kit.store.lti_attempt_list().await.unwrap();
    assert_eq!(noted[0].code, "lti-migration-two");
    assert!(
        noted[0].detail.contains(OLD) && noted[0].detail.contains(NEW),
        "{}",
        noted[0].detail
    );
}
