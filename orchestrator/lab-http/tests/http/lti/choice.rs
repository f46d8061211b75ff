//! Deep linking: a teacher chooses labs, and each thing that is wrong with a request or an answer is refused.

use super::{
    keys,
    lms::{CLAIM, ISSUER, Lms, assert_refused, sign},
};
use crate::kit::Answer;
use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use lab_core::{
    lab::LabVersion,
    launch::lti::percent_encode,
    port::{Clock, LtiStore, Store},
};
use serde_json::{Value, json};
use std::time::Duration;

const OURS: &str = "http://localhost:8080";
const RETURN: &str = "https://lms.example.org/mod/lti/contentitem_return.php?course=7&sesskey=x";
const CLAIM_DL: &str = "https://purl.imsglobal.org/spec/lti-dl/claim/";

/// A second lab: without points, and with what must not become markup.
const FREE: &str = "labwire: 1
id: free
title: {en: \"Free <b>play</b>\", fr: Réseau libre}
summary: {en: As you like., fr: Comme il vous plaît.}
image: labwire/x:1
nodes: [{id: r1, kind: router, label: R-one, x: 10, y: 10}]
terminals:
  - {id: h1, kind: shell, command: [/bin/sh]}
start: [/lab/start]
time: {planned: 45m, max: 2h, idle: 30m}
";

async fn lms() -> Lms {
    let lms = Lms::new().await;
    let free = LabVersion::parse("free.yaml", FREE.as_bytes()).unwrap();
    lms.kit.store.lab_publish(&free, lms.kit.clock.now()).await.unwrap();
    lms
}

/// A teacher's request, with one change.
async fn ask(lms: &Lms, change: impl FnOnce(&mut Value)) -> Answer {
    lms.launch(|claims| {
        claims[format!("{CLAIM}message_type")] = json!("LtiDeepLinkingRequest");
        claims[format!("{CLAIM}target_link_uri")] = json!(format!("{OURS}/lti/launch"));
        claims[format!("{CLAIM}roles")] = json!(["http://purl.imsglobal.org/vocab/lis/v2/membership#Instructor"]);
        claims.as_object_mut().unwrap().remove(&format!("{CLAIM}resource_link"));
        claims[format!("{CLAIM_DL}deep_linking_settings")] = json!({
            "deep_link_return_url": RETURN, "accept_types": ["link", "ltiResourceLink"], "data": "a b&\"<é",
        });
        change(claims);
    })
    .await
}

async fn ask_with(lms: &Lms, name: &str, value: Value) -> Answer {
    ask(lms, |c| c[format!("{CLAIM_DL}deep_linking_settings")][name] = value).await
}

/// What the page keeps.
fn ticket(page: &Answer) -> String {
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let rest = page.text.split("name=\"choice\" value=\"").nth(1).expect("a ticket");
    rest.split('"').next().unwrap().to_owned()
}

async fn send(lms: &Lms, ticket: &str, more: &str) -> Answer {
    lms.post_from(OURS, "/lti/choose", "", &format!("choice={ticket}&{more}"))
        .await
}

/// The claims of the answer that a page sends, verified by our published key.
async fn answer(lms: &Lms, page: &Answer) -> Value {
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let token = page.text.split("name=\"JWT\" value=\"").nth(1).expect("an answer");
    let token = token.split('"').next().unwrap();
    let key = lms.kit.get("/lti/jwks", None).await.json()["keys"][0].clone();
    let public = DecodingKey::from_rsa_components(key["n"].as_str().unwrap(), key["e"].as_str().unwrap()).unwrap();
    let mut rules = Validation::new(Algorithm::RS256);
    (rules.validate_exp, rules.validate_aud) = (false, false);
    jsonwebtoken::decode::<Value>(token, &public, &rules).unwrap().claims
}

#[tokio::test]
async fn a_teacher_chooses_a_lab_and_the_platform_gets_its_address_and_column() {
    let lms = lms().await;
    let page = ask(&lms, |_| ()).await;
    for part in [
        "value=\"ping\"",
        "type=\"radio\"",
        "30 min",
        "Deux machines.",
        "Two hosts.",
        "<span lang=\"fr\">5 points</span>",
        "Joindre",
        "R-one",
        "Réseau libre",
        "Free &lt;b&gt;play&lt;/b&gt;",
        "id=\"column\" value=\"1\" checked",
    ] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    assert!(!page.text.contains("secret"), "nothing of what a lab keeps");
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("form-action 'self';") && policy.contains("script-src 'self';"),
        "{policy}"
    );
    assert!(
        policy.ends_with("frame-ancestors 'self' https://lms.example.org"),
        "{policy}"
    );
    assert_eq!(
        (page.header("referrer-policy"), page.header("cache-control")),
        ("same-origin", "no-store")
    );

    let sent = send(&lms, &ticket(&page), "lang=en&lab=ping&column=1").await;
    assert!(
        sent.text
            .contains(&format!("action=\"{}\"", RETURN.replace('&', "&amp;"))),
        "{}",
        sent.text
    );
    let policy = sent.header("content-security-policy");
    assert!(
        policy.contains("form-action https://lms.example.org/mod/lti/contentitem_return.php;"),
        "{policy}"
    );
    let claims = answer(&lms, &sent).await;
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("client-1"), &json!([ISSUER])));
    assert_eq!(claims[format!("{CLAIM}message_type")], json!("LtiDeepLinkingResponse"));
    assert_eq!(claims[format!("{CLAIM}version")], json!("1.3.0"));
    assert_eq!(claims[format!("{CLAIM}deployment_id")], json!("1"));
    assert_eq!(claims[format!("{CLAIM_DL}data")], json!("a b&\"<é"), "as it came");
    assert!(claims["nonce"].as_str().unwrap().len() >= 22, "128 bits");
    assert_eq!(
        claims[format!("{CLAIM_DL}content_items")],
        json!([{
            "type": "ltiResourceLink", "url": format!("{OURS}/lti/labs/ping"), "title": "Ping", "text": "Two hosts.",
            "custom": {"lab": "ping"}, "window": {"targetName": "_blank"},
            "lineItem": {"scoreMaximum": 5, "label": "Ping", "resourceId": "ping", "tag": "labwire"},
        }])
    );
}

#[tokio::test]
async fn several_labs_none_or_no_column_are_chosen_as_the_platform_and_the_teacher_want() {
    let lms = lms().await;
    let items = async |page: &Answer, form: &str| {
        let sent = send(&lms, &ticket(page), form).await;
        answer(&lms, &sent).await[format!("{CLAIM_DL}content_items")].clone()
    };
    let several = ask_with(&lms, "accept_multiple", json!(true)).await;
    assert!(several.text.contains("type=\"checkbox\" name=\"lab\""));
    let both = items(&several, "lab=ping&lab=free&lab=ping&column=1").await;
    assert_eq!(
        (&both[0]["custom"]["lab"], &both[1]["custom"]["lab"]),
        (&json!("ping"), &json!("free"))
    );
    assert_eq!(
        (both.as_array().unwrap().len(), &both[1]["title"]),
        (2, &json!("Réseau libre"))
    );
    assert_eq!(both[1].get("lineItem"), None, "a lab without points has no column");
    let page = ask(&lms, |_| ()).await;
    assert_eq!(
        items(&page, "lab=ping").await[0].get("lineItem"),
        None,
        "the teacher wants none"
    );
    let page = ask_with(&lms, "accept_lineitem", json!(false)).await;
    assert!(!page.text.contains("name=\"column\""), "the platform makes none");
    assert_eq!(items(&page, "lab=ping&column=1").await[0].get("lineItem"), None);
    let page = ask(&lms, |_| ()).await;
    assert_eq!(items(&page, "lab=ping&cancel=1").await, json!([]), "cancelled");
}

#[tokio::test]
async fn each_request_that_cannot_be_answered_has_a_page_and_a_code_of_its_own() {
    let lms = lms().await;
    let learner = ask(&lms, |c| {
        c[format!("{CLAIM}roles")] = json!(["http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"]);
    })
    .await;
    assert_refused(&learner, "lti-choice-not-staff");
    assert!(!learner.text.contains("ping"), "and sees no list");
    let attempts = lms.kit.store.lti_attempt_list().await.unwrap();
    assert_eq!(
        (attempts[0].code.as_str(), attempts[0].step),
        ("lti-choice-not-staff", 14)
    );
    for (name, value, code) in [
        ("accept_types", json!(["html", "file"]), "lti-choice-type"),
        ("accept_types", json!(null), "lti-choice-settings"),
        (
            "deep_link_return_url",
            json!("https://evil.example/x"),
            "lti-choice-return",
        ),
        (
            "deep_link_return_url",
            json!("http://lms.example.org/x"),
            "lti-choice-return",
        ),
        (
            "deep_link_return_url",
            json!("javascript:alert(1)"),
            "lti-choice-return",
        ),
        ("deep_link_return_url", json!(null), "lti-choice-return"),
    ] {
        assert_refused(&ask_with(&lms, name, value).await, code);
    }
    let without = ask(&lms, |c| c[format!("{CLAIM_DL}deep_linking_settings")] = json!(null)).await;
    assert_refused(&without, "lti-choice-settings");
}

#[tokio::test]
async fn a_choice_counts_once_in_its_time_and_only_as_it_was_offered() {
    let lms = lms().await;
    let offered = ticket(&ask(&lms, |_| ()).await);
    // none: the page again, with the same ticket, in the language that was shown
    let again = send(&lms, &offered, "lang=en&column=1").await;
    assert!(again.text.contains("role=\"alert\"") && again.text.contains("value=\"en\" checked"));
    assert_eq!(ticket(&again), offered);
    assert_refused(&send(&lms, &offered, "lab=ping&lab=free").await, "lti-choice-many");
    assert_refused(&send(&lms, &offered, "lab=none").await, "lti-lab-unknown");
    // another site's page, even with the ticket
    let form = format!("choice={offered}&lab=ping");
    for stranger in ["https://evil.example", "null", ISSUER] {
        let page = lms.post_from(stranger, "/lti/choose", "", &form).await;
        assert_eq!(
            (page.status, page.code()),
            (StatusCode::FORBIDDEN, "foreign-origin".into()),
            "{stranger}"
        );
    }
    answer(&lms, &send(&lms, &offered, "lab=ping").await).await;
    assert_refused(&send(&lms, &offered, "lab=ping").await, "lti-choice-used");
    assert_refused(&send(&lms, &offered, "cancel=1").await, "lti-choice-used");
    // changed, made by others, or signed for something else
    let body = offered.split('.').nth(1).unwrap();
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap();
    claims["request"]["return_url"] = json!("https://evil.example/x");
    let changed = offered.replace(body, &URL_SAFE_NO_PAD.encode(claims.to_string()));
    let learner = lms.launch(|_| ()).await;
    let link = learner
        .header("location")
        .strip_prefix("/launch?token=")
        .unwrap()
        .to_owned();
    let forged = sign("k1", keys::FIRST, &claims);
    for ticket in [changed, link, forged, "x".into(), String::new()] {
        assert_refused(&send(&lms, &ticket, "lab=ping").await, "lti-choice-forged");
    }
    let presented = lms.kit.post("/api/v1/launch", None, json!({ "token": offered })).await;
    assert_eq!(presented.status, StatusCode::UNAUTHORIZED, "a ticket signs nobody in");
    // half an hour of reading
    let late = ticket(&ask(&lms, |_| ()).await);
    lms.kit.clock.advance(Duration::from_mins(30));
    assert_refused(&send(&lms, &late, "lab=ping").await, "lti-choice-expired");
}

#[tokio::test]
async fn a_lab_that_is_withdrawn_is_offered_no_more_also_to_who_was_offered_it_before() {
    let lms = lms().await;
    let before = ask(&lms, |_| ()).await;
    assert!(before.text.contains("value=\"free\"") && before.text.contains("value=\"ping\""));
    assert!(lms.kit.store.lab_withdraw(&"free".into()).await.unwrap());
    let after = ask(&lms, |_| ()).await;
    assert!(!after.text.contains("value=\"free\"") && after.text.contains("value=\"ping\""));
    assert_refused(&send(&lms, &ticket(&before), "lab=free").await, "lti-lab-unknown");
}

#[tokio::test]
async fn a_registration_that_changes_meanwhile_ends_the_choices_it_no_longer_allows() {
    let lms = lms().await;
    let offered = ticket(&ask(&lms, |_| ()).await);
    let mut other = super::lms::registration("edx", "client-1");
    if let lab_core::launch::lti::Kind::Platform { deployments, .. } = &mut other.kind {
        *deployments = vec!["2".into()];
    }
    lms.kit.store.lti_registration_put(&other).await.unwrap();
    assert_refused(&send(&lms, &offered, "lab=ping").await, "lti-deployment");
}

#[tokio::test]
async fn what_was_chosen_is_what_opens_wherever_the_launch_began() {
    let lms = lms().await;
    // Open edX begins launches of chosen labs with the address of the block
    let begun = lms
        .kit
        .get(
            &format!(
                "/lti/login?iss={}&client_id=client-1&login_hint=u&target_link_uri={}",
                percent_encode(ISSUER),
                percent_encode(&format!("{OURS}/lti/launch"))
            ),
            None,
        )
        .await;
    let query = begun.header("location").split_once('?').unwrap().1.to_owned();
    let query = lab_core::launch::lti::Params::parse(&query).unwrap();
    let mut claims = lms.claims(query.get("nonce").unwrap());
    claims[format!("{CLAIM}target_link_uri")] = json!(format!("{OURS}/lti/labs/free"));
    let cookie = begun.header("set-cookie").split(';').next().unwrap();
    let token = sign("k1", keys::FIRST, &claims);
    let form = format!("state={}&id_token={token}", query.get("state").unwrap());
    let launched = lms.post("/lti/launch", cookie, &form).await;
    assert_eq!(lms.sign_in(&launched).await["login"]["lab"], json!("free"));
}
