//! What a good launch comes to, in every browser.

use super::{
    keys,
    lms::{CLAIM, Lms, sign},
};
use crate::kit::Answer;
use axum::http::StatusCode;
use lab_core::{
    Timestamp,
    launch::lti::{Params, lab_uuid, percent_encode},
    port::Store,
};
use serde_json::json;

#[tokio::test]
async fn a_learner_of_a_platform_clicks_and_gets_a_lab() {
    let lms = Lms::new().await;
    let begun = lms.begin("").await;
    assert_eq!(begun.answer.status, StatusCode::SEE_OTHER);
    let location = begun.answer.header("location");
    assert!(
        location.starts_with("https://lms.example.org/auth?tenant=1&scope=openid&"),
        "{location}"
    );
    for part in [
        "&login_hint=u%261&",
        "&lti_message_hint=m%2B1",
        "&redirect_uri=http%3A%2F%2Flocalhost%3A8080%2Flti%2Flaunch&",
    ] {
        assert!(location.contains(part), "{part} in {location}");
    }
    let launched = lms
        .arrive(&begun, &sign("k1", keys::FIRST, &lms.claims(&begun.nonce)))
        .await;
    let signed = lms.sign_in(&launched).await;
    let login = &signed["login"];
    assert_eq!((&login["role"], &login["lab"]), (&json!("learner"), &json!("ping")));
    assert_eq!(login["course"], json!("lms.example.org#course-v1:IMT+NET"));
    assert_eq!(login["name"], json!("8f1b-ada"), "no name was sent, so none is shown");
    let bearer = signed["bearer"].as_str().unwrap();
    let me = lms.kit.get("/api/v1/me", Some(bearer)).await.json();
    assert_eq!(me["grants"].as_array().unwrap().len(), 1, "the registration's plan");
    lms.kit.told(bearer).await;
    let started = lms
        .kit
        .post("/api/v1/sessions", Some(bearer), json!({"lab": "ping"}))
        .await;
    assert_eq!(started.status, StatusCode::CREATED, "{}", started.text);
    // the second click: the same lab, and no second grant
    let again = lms.sign_in(&lms.launch(|_| ()).await).await;
    let bearer = again["bearer"].as_str().unwrap();
    let running = lms
        .kit
        .post("/api/v1/sessions", Some(bearer), json!({"lab": "ping"}))
        .await;
    assert_eq!(
        (running.status, &running.json()["id"]),
        (StatusCode::OK, &started.json()["id"])
    );
    let me = lms.kit.get("/api/v1/me", Some(bearer)).await.json();
    assert_eq!(me["grants"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_teaching_assistant_sees_the_course_though_also_a_learner() {
    let lms = Lms::new().await;
    let launched = lms
        .launch(|claims| {
            claims["name"] = json!("Zoë Ébène");
            claims[format!("{CLAIM}roles")] = json!([
                "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner",
                "http://purl.imsglobal.org/vocab/lis/v2/membership/Instructor#TeachingAssistant",
            ]);
        })
        .await;
    let login = lms.sign_in(&launched).await["login"].clone();
    assert_eq!((&login["role"], &login["lab"]), (&json!("teacher"), &json!(null)));
    assert_eq!(login["name"], json!("Zoë Ébène"));
}

#[tokio::test]
async fn a_lab_is_named_by_address_or_parameter_and_never_by_its_place_in_the_course() {
    let lms = Lms::new().await;
    let copied = lms
        .launch(|c| c[format!("{CLAIM}resource_link")] = json!({"id": "a-copy"}))
        .await;
    assert_eq!(lms.sign_in(&copied).await["login"]["lab"], json!("ping"));
    for (custom, lab) in [
        (json!({"lab": "ping"}), Some("ping")),
        (json!({"lab": "none"}), None),
        (json!({}), None),
    ] {
        let launched = launch_at(&lms, "http://localhost:8080/lti/launch", &custom).await;
        match lab {
            Some(lab) => assert_eq!(lms.sign_in(&launched).await["login"]["lab"], json!(lab)),
            None if custom["lab"].is_null() => super::lms::assert_refused(&launched, "lti-lab-not-named"),
            None => super::lms::assert_refused(&launched, "lti-lab-unknown"),
        }
    }
}

/// A learner's launch of this address, with these custom parameters.
async fn launch_at(lms: &Lms, address: &str, custom: &serde_json::Value) -> Answer {
    let path = format!(
        "/lti/login?iss={}&client_id=client-1&login_hint=u&target_link_uri={}",
        super::lms::ISSUER,
        percent_encode(address)
    );
    let answer = lms.kit.get(&path, None).await;
    let query = Params::parse(answer.header("location").split_once('?').unwrap().1).unwrap();
    let mut claims = lms.claims(query.get("nonce").unwrap());
    claims[format!("{CLAIM}target_link_uri")] = json!(address);
    claims[format!("{CLAIM}custom")] = custom.clone();
    let cookie = answer.header("set-cookie").split(';').next().unwrap();
    let form = format!(
        "state={}&id_token={}",
        query.get("state").unwrap(),
        sign("k1", keys::FIRST, &claims)
    );
    lms.post("/lti/launch", cookie, &form).await
}

#[tokio::test]
async fn a_withdrawn_lab_is_called_so_by_name_and_by_uuid_and_whoever_runs_it_goes_back_to_it() {
    let lms = Lms::new().await;
    let uuid = lab_uuid(&"ping".into());
    let addresses = [
        "http://localhost:8080/lti/labs/ping".to_owned(),
        format!("http://localhost:8080/lti/labs/{uuid}"),
    ];
    let launch = async |address: &str| launch_at(&lms, address, &json!({})).await;
    let store: &dyn Store = lms.kit.store.as_ref();
    let ping = store.lab_last(&"ping".into()).await.unwrap().unwrap();
    assert!(store.lab_withdraw(&ping.file.id).await.unwrap());
    for address in &addresses {
        super::lms::assert_refused(&launch(address).await, "lti-lab-withdrawn");
    }
    let unknown = launch("http://localhost:8080/lti/labs/00000000-0000-5000-8000-000000000000").await;
    super::lms::assert_refused(&unknown, "lti-lab-unknown");

    store.lab_publish(&ping, Timestamp::from_secs(0)).await.unwrap();
    let signed = lms.sign_in(&launch(&addresses[1]).await).await;
    let bearer = signed["bearer"].as_str().unwrap();
    lms.kit.told(bearer).await;
    let started = lms
        .kit
        .post("/api/v1/sessions", Some(bearer), json!({"lab": "ping"}))
        .await;
    assert!(started.status.is_success(), "{}", started.text);
    assert!(store.lab_withdraw(&ping.file.id).await.unwrap());
    for address in &addresses {
        assert_eq!(lms.sign_in(&launch(address).await).await["login"]["lab"], json!("ping"));
    }
}

#[tokio::test]
async fn two_labs_on_one_page_do_not_disturb_each_other() {
    let lms = Lms::new().await;
    let (one, two) = (lms.begin("").await, lms.begin("").await);
    let cookies = format!("{}; {}", one.cookie, two.cookie);
    for begun in [&two, &one] {
        let token = sign("k1", keys::FIRST, &lms.claims(&begun.nonce));
        let form = format!("state={}&id_token={token}", begun.state);
        let launched = lms.post("/lti/launch", &cookies, &form).await;
        lms.sign_in(&launched).await;
    }
}

#[tokio::test]
async fn a_browser_that_keeps_no_cookie_is_offered_a_window_of_its_own() {
    let lms = Lms::new().await;
    let begun = lms.begin("").await;
    let token = sign("k1", keys::FIRST, &lms.claims(&begun.nonce));
    let form = format!("state={}&id_token={token}", begun.state);
    let page = lms.post("/lti/launch", "", &form).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.text.contains("target=\"_blank\"") && !page.text.contains("storage.js"),
        "{}",
        page.text
    );
    // what its button does
    let href = page
        .text
        .split("href=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .replace("&amp;", "&");
    let again = lms
        .kit
        .get(href.strip_prefix("http://localhost:8080").unwrap(), None)
        .await;
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    assert!(
        again.header("location").contains("lti_message_hint=m%2B1"),
        "hints as they came"
    );
    // nobody signed in, and nothing was spent
    lms.sign_in(&lms.arrive(&begun, &token).await).await;
}

#[tokio::test]
async fn a_platforms_storage_keeps_the_proof_where_it_is_offered() {
    let lms = Lms::new().await;
    let page = lms.initiate("client_id=client-1&lti_storage_target=_parent").await;
    assert_eq!(page.status, StatusCode::OK);
    let data = |name: &str| {
        let rest = page.text.split(&format!("data-{name}=\"")).nth(1).unwrap();
        rest.split('"').next().unwrap().replace("&amp;", "&")
    };
    assert_eq!(
        (data("do"), data("origin"), data("frame")),
        ("put".into(), "https://lms.example.org".into(), "_parent".into())
    );
    assert_eq!(
        page.header("cross-origin-opener-policy"),
        "unsafe-none",
        "the platform's window is asked"
    );
    assert!(page.header("content-security-policy").contains("script-src 'self'"));
    assert!(page.header("set-cookie").contains("lti-"), "the cookie too: it may do");
    let go = data("go");
    let query = Params::parse(go.split_once('?').unwrap().1).unwrap();
    let (state, nonce) = (query.get("state").unwrap(), query.get("nonce").unwrap());
    assert_eq!(data("key"), format!("labwire-{state}"));
    // the answer without a cookie: a page that asks the storage, and sends what it says
    let token = sign("k1", keys::FIRST, &lms.claims(nonce));
    let asks = lms
        .post("/lti/launch", "", &format!("state={state}&id_token={token}"))
        .await;
    assert!(
        asks.text.contains("data-do=\"get\"") && asks.text.contains("action=\"/lti/launch\""),
        "{}",
        asks.text
    );
    assert!(asks.text.contains(&token), "the form brings the token again");
    assert_eq!(
        asks.header("referrer-policy"),
        "same-origin",
        "browsers say whose page it is"
    );
    let form = |kept: &str| format!("state={state}&id_token={token}&labwire_browser={kept}");
    let ours = async |kept: &str| {
        lms.post_from("http://localhost:8080", "/lti/launch", "", &form(kept))
            .await
    };
    super::lms::assert_refused(&ours("invented").await, "lti-other-browser");
    let empty = ours("").await;
    assert!(
        empty.text.contains("target=\"_blank\"") && !empty.text.contains("storage.js"),
        "asked once"
    );
    // somebody begins a launch, and has another's browser end it with the proof of the first
    for stranger in ["https://evil.example", "null", super::lms::ISSUER] {
        let proof = form(&data("value"));
        let page = lms.post_from(stranger, "/lti/launch", "", &proof).await;
        assert_eq!(page.status, StatusCode::OK, "{stranger} signs nobody in");
    }
    lms.sign_in(&ours(&data("value")).await).await;
}

#[tokio::test]
async fn our_keys_are_published_and_an_address_opened_by_hand_says_what_it_is_for() {
    let lms = Lms::new().await;
    let answer = lms.kit.get("/lti/jwks", None).await;
    let keys = answer.json()["keys"].clone();
    assert_eq!(keys.as_array().unwrap().len(), 1);
    assert_eq!(
        (&keys[0]["kty"], &keys[0]["alg"], &keys[0]["use"]),
        (&json!("RSA"), &json!("RS256"), &json!("sig"))
    );
    assert_eq!(keys[0]["n"].as_str().unwrap().len(), 342, "2048 bits");
    assert!(keys[0]["d"].is_null() && !answer.text.contains("private"));
    assert_eq!(lms.kit.get("/lti/jwks", None).await.json()["keys"], keys, "made once");
    for path in ["/lti/labs/ping", "/lti/launch"] {
        super::lms::assert_refused(&lms.kit.get(path, None).await, "lti-opened-by-hand");
    }
    assert!(
        lms.kit
            .get("/lti/storage.js", None)
            .await
            .header("content-type")
            .starts_with("text/javascript")
    );
}
