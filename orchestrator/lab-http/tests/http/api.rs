//! The way of a click through the API, its refusals, and what never leaves.

use crate::kit::{COURSE, Kit, LAB, PRIVATE};
use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use lab_core::{launch::Role, port::Store};
use lab_testkit::Strike;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn a_link_signs_in_once_and_says_why_when_it_does_not() {
    let kit = Kit::new().await;
    let link = kit.link(&kit.claims("ana", Role::Learner));
    let first = kit.post("/api/v1/launch", None, json!({ "token": link })).await;
    assert_eq!(first.status, StatusCode::OK);
    let login = &first.json()["login"];
    assert_eq!(
        (&login["name"], &login["role"], &login["lab"]),
        (&json!("name of ana"), &json!("learner"), &json!(LAB))
    );
    assert!(first.json()["expires_at"].as_i64().unwrap() > kit.now().secs());

    let mut old = kit.claims("ana", Role::Learner);
    old.exp = kit.now().secs() - 3600;
    let mut foreign = kit.claims("ana", Role::Learner);
    foreign.aud = "elsewhere".into();
    let mut missing = kit.claims("ana", Role::Learner);
    missing.lab = Some("no-such-lab".into());
    let (head, signature) = link.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    for (token, code) in [
        (link.clone(), "launch-already-used"),
        (kit.link(&old), "launch-expired"),
        (kit.link(&foreign), "launch-foreign-audience"),
        (kit.link(&missing), "launch-lab-missing"),
        (forged, "launch-forged"),
        ("junk".into(), "launch-malformed"),
    ] {
        let answer = kit.post("/api/v1/launch", None, json!({ "token": token })).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::UNAUTHORIZED, code)
        );
        assert!(!answer.json()["next"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_withdrawn_lab_is_refused_by_name_to_all_but_those_who_run_it() {
    let kit = Kit::new().await;
    let (session, bearer) = kit.session().await;
    let late = kit.sign_in("bob", Role::Learner).await;
    let taken = kit.store.lab_latest(&LAB.into()).await.unwrap().unwrap();
    assert!(kit.store.lab_withdraw(&LAB.into()).await.unwrap());

    let listed = kit.get("/api/v1/labs", Some(&late)).await.json();
    assert!(
        listed.as_array().unwrap().iter().all(|l| l["id"] != json!(LAB)),
        "{listed}"
    );
    let start = async |bearer: &str| kit.post("/api/v1/sessions", Some(bearer), json!({ "lab": LAB })).await;
    let refused = start(&late).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (StatusCode::FORBIDDEN, "lab-withdrawn")
    );
    assert!(!refused.json()["next"].as_str().unwrap().is_empty());
    // a link is refused, and stays usable for when it is back
    let link = kit.link(&kit.claims("bob", Role::Learner));
    let launch = |link: &str| json!({ "token": link });
    let clicked = kit.post("/api/v1/launch", None, launch(&link)).await;
    assert_eq!(
        (clicked.status, clicked.code().as_str()),
        (StatusCode::UNAUTHORIZED, "launch-lab-withdrawn")
    );
    // who runs it goes back to it, from this tab and by their course's link
    let again = start(&bearer).await;
    assert_eq!(
        (again.status, again.json()["id"].clone()),
        (StatusCode::OK, json!(session))
    );
    let page = kit.get(&format!("/api/v1/labs/{LAB}"), Some(&bearer)).await;
    assert_eq!(page.status, StatusCode::OK, "their page shows its instructions");
    let own = kit.link(&kit.claims("ana", Role::Learner));
    assert_eq!(
        kit.post("/api/v1/launch", None, launch(&own)).await.status,
        StatusCode::OK
    );

    kit.store.lab_publish(&taken, kit.now()).await.unwrap();
    assert_eq!(
        kit.post("/api/v1/launch", None, launch(&link)).await.status,
        StatusCode::OK
    );
    let tried = start(&late).await;
    assert_eq!(tried.code(), "no-plan", "judged as any other lab: {}", tried.text);
}

#[tokio::test]
async fn a_learner_starts_once_sees_it_and_stops_it() {
    let kit = Kit::new().await;
    let (session, bearer) = kit.session().await;
    let again = kit.post("/api/v1/sessions", Some(&bearer), json!({ "lab": LAB })).await;
    assert_eq!(again.json()["id"], json!(session), "the run that is under way");
    let view = kit
        .get(&format!("/api/v1/sessions/{session}"), Some(&bearer))
        .await
        .json();
    assert_eq!(
        (&view["state"], &view["points_total"], &view["held_secs"]),
        (&json!("requested"), &json!(5), &json!(900))
    );
    let me = kit.get("/api/v1/me", Some(&bearer)).await.json();
    assert_eq!(
        me["grants"][0]["available"],
        json!(3600 - 900),
        "what is held is not available"
    );
    let stop = kit
        .post(&format!("/api/v1/sessions/{session}/stop"), Some(&bearer), json!({}))
        .await
        .json();
    assert_eq!(
        (&stop["state"], &stop["reason"]),
        (&json!("stopping"), &json!("learner-stopped"))
    );
    let extend = kit
        .post(&format!("/api/v1/sessions/{session}/extend"), Some(&bearer), json!({}))
        .await;
    assert_eq!(
        (extend.status, extend.code().as_str()),
        (StatusCode::CONFLICT, "not-ready")
    );
    let teacher = kit.sign_in("t", Role::Teacher).await;
    let list = kit
        .get(&format!("/api/v1/sessions?course={COURSE}&live=1"), Some(&teacher))
        .await
        .json();
    assert_eq!(list[0]["id"], json!(session));
    let other = kit.get("/api/v1/sessions?course=another", Some(&teacher)).await;
    assert_eq!(other.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_refusal_has_its_numbers_and_the_lab_it_is_about() {
    let kit = Kit::new().await;
    let mut claims = kit.claims("ana", Role::Learner);
    claims.plan = Some("DISCOVERY".into());
    let token = kit.link(&claims);
    let bearer = kit.post("/api/v1/launch", None, json!({ "token": token })).await.json()["bearer"]
        .as_str()
        .unwrap()
        .to_owned();
    let answer = kit.post("/api/v1/sessions", Some(&bearer), json!({ "lab": LAB })).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (StatusCode::FORBIDDEN, "no-labs")
    );
    assert_eq!(
        answer.json()["refusal"],
        json!({"refusal": "no-labs", "plan": "DISCOVERY"})
    );
    assert_eq!(answer.json()["lab"]["title"]["fr"], json!("Ping"));
}

#[tokio::test]
async fn a_learner_without_labs_redeems_a_code_and_starts() {
    let kit = Kit::new().await;
    let mut claims = kit.claims("zoe", Role::Learner);
    claims.plan = Some("DISCOVERY".into());
    let token = kit.link(&claims);
    let bearer = kit.post("/api/v1/launch", None, json!({ "token": token })).await.json()["bearer"]
        .as_str()
        .unwrap()
        .to_owned();
    let start = || kit.post("/api/v1/sessions", Some(&bearer), json!({ "lab": LAB }));
    assert_eq!(start().await.code(), "no-labs");
    let code = kit.voucher(1800).await;
    let redeem = |code: &str| kit.post("/api/v1/vouchers/redeem", Some(&bearer), json!({ "code": code }));
    let wrong = redeem("0000-0000-0000-0000").await;
    assert_eq!(
        (wrong.status, wrong.code().as_str()),
        (StatusCode::NOT_FOUND, "voucher-unknown")
    );
    assert_eq!(redeem("no code").await.code(), "voucher-unknown");
    let typed = format!(" {} ", code.to_lowercase().replace('-', " "));
    let given = redeem(&typed).await;
    assert_eq!(
        (given.status, &given.json()["seconds"], &given.json()["new"]),
        (StatusCode::OK, &json!(1800), &json!(true))
    );
    assert_eq!(redeem(&code).await.json()["new"], json!(false));
    assert_eq!(
        start().await.code(),
        "privacy-notice",
        "only now is there something to tell"
    );
    kit.told(&bearer).await;
    assert_eq!(
        start().await.status,
        StatusCode::CREATED,
        "what she bought says more than the link"
    );
    let other = kit.sign_in("ana", Role::Learner).await;
    let used = kit
        .post("/api/v1/vouchers/redeem", Some(&other), json!({ "code": code }))
        .await;
    assert_eq!(
        (used.status, used.code().as_str()),
        (StatusCode::CONFLICT, "voucher-used")
    );
    for _ in 0..20 {
        redeem("1111-1111-1111-1111").await;
    }
    let held = redeem("1111-1111-1111-1111").await;
    assert_eq!(
        (held.status, held.code().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "voucher-guesses")
    );
    assert!(held.json()["until"].as_i64().unwrap() > 0);
    let teacher = kit.sign_in("t", Role::Teacher).await;
    let staff = kit
        .post("/api/v1/vouchers/redeem", Some(&teacher), json!({ "code": code }))
        .await;
    assert_eq!(staff.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_lab_is_shown_without_what_would_give_it_away() {
    let kit = Kit::new().await;
    let bearer = kit.sign_in("ana", Role::Learner).await;
    let lab = kit.get("/api/v1/labs/ping", Some(&bearer)).await;
    assert_eq!(
        lab.json()["terminals"][1],
        json!({"id": "h2", "title": null, "node": null, "kind": "shell"})
    );
    assert_eq!(lab.json()["checks"][0]["points"], json!(5));
    assert!(
        !lab.text.contains("secret"),
        "no image, no files, no commands of checks: {}",
        lab.text
    );
    assert_eq!(
        kit.get("/api/v1/labs", Some(&bearer)).await.json()[0]["planned_s"],
        json!(1800)
    );
    assert_eq!(
        kit.get("/api/v1/labs/none", Some(&bearer)).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        kit.get("/api/v1/labs/..%2Fetc", Some(&bearer)).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        kit.get("/api/v1/demo/ping", Some(&bearer)).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn demonstrations_are_those_of_the_folder_and_no_other_file() {
    let folder = std::env::temp_dir().join(format!("labwire-demos-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("frr/labs/ping")).unwrap();
    std::fs::write(folder.join("frr/labs/ping/demo.cast"), "{\"version\":2}\n").unwrap();
    let settings = lab_http::HttpSettings {
        demos: Some(folder.clone()),
        ..Default::default()
    };
    let kit = Kit::with(settings).await;
    std::fs::remove_dir_all(&folder).unwrap();
    let bearer = kit.sign_in("ana", Role::Learner).await;
    let demo = kit.get("/api/v1/demo/ping", Some(&bearer)).await;
    assert_eq!(
        (demo.text.as_str(), demo.header("content-type")),
        ("{\"version\":2}\n", "application/x-asciicast")
    );
}

#[tokio::test]
async fn a_bearer_rotates_and_the_old_one_ends() {
    let kit = Kit::new().await;
    let old = kit.sign_in("ana", Role::Learner).await;
    let new = kit
        .call(Method::POST, "/api/v1/token/rotate", Some(&old), None)
        .await
        .json()["bearer"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_ne!(old, new);
    assert_eq!(
        kit.get("/api/v1/me", Some(&old)).await.status,
        StatusCode::OK,
        "requests under way"
    );
    kit.clock.advance(Duration::from_secs(61));
    assert_eq!(kit.get("/api/v1/me", Some(&old)).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(kit.get("/api/v1/me", Some(&new)).await.status, StatusCode::OK);
}

#[tokio::test]
async fn staff_read_usage_health_and_who_looked() {
    let kit = Kit::new().await;
    let (session, learner) = kit.session().await;
    let (teacher, operations) = (
        kit.sign_in("t", Role::Teacher).await,
        kit.sign_in("o", Role::Operations).await,
    );
    let health = kit.get("/api/v1/health", Some(&operations)).await.json();
    assert_eq!(
        (
            &health["runtime"]["ok"],
            &health["store"]["ok"],
            &health["sessions"]["requested"]
        ),
        (&json!(true), &json!(true), &json!(1))
    );
    assert_eq!(
        (&health["ledger"]["total"], &health["ledger"]["held"]),
        (&json!(0), &json!(900))
    );
    let csv = kit.get("/api/v1/usage?format=csv", Some(&teacher)).await;
    assert!(csv.text.starts_with("session,subject,course,lab,") && csv.header("content-type").starts_with("text/csv"));
    assert_eq!(
        kit.get("/api/v1/usage?format=xml", Some(&teacher)).await.status,
        StatusCode::BAD_REQUEST
    );
    kit.post(&format!("/api/v1/sessions/{session}/stop"), Some(&teacher), json!({}))
        .await;
    let looked = kit
        .get(&format!("/api/v1/audit?session={session}"), Some(&learner))
        .await
        .json();
    assert_eq!(
        (&looked[0]["action"], &looked[0]["actor_name"]),
        (&json!("stop"), &json!("name of t")),
        "its learner sees it"
    );
    assert_eq!(
        kit.get("/api/v1/audit", Some(&teacher)).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn a_wrong_request_is_told_what_is_wrong() {
    let kit = Kit::new().await;
    let bearer = kit.sign_in("ana", Role::Learner).await;
    let missing = kit.post("/api/v1/sessions", Some(&bearer), json!({})).await;
    assert_eq!(
        (missing.status, missing.code().as_str()),
        (StatusCode::BAD_REQUEST, "invalid-request")
    );
    assert!(
        missing.json()["message"].as_str().unwrap().contains("lab"),
        "{}",
        missing.text
    );
    let number = json!({"scope": "session", "session": "0190a000-0000-7000-8000-000000000000", "writer": "-1"});
    assert!(
        kit.post("/api/v1/tickets", Some(&bearer), number)
            .await
            .text
            .contains("writer: must be")
    );
    assert!(kit.get("/api/v1/sessions/7", Some(&bearer)).await.text.contains("UUID"));
    let plain = Request::post("/api/v1/launch").body(Body::from("{}")).unwrap();
    assert_eq!(kit.send(plain).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let long = kit
        .post("/api/v1/launch", None, json!({ "token": "x".repeat(70_000) }))
        .await;
    assert_eq!(
        (long.status, long.code().as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, "too-large")
    );
    let socket = kit.get("/api/v1/ws?ticket=x", None).await;
    assert_eq!(
        (socket.status, socket.code().as_str()),
        (StatusCode::BAD_REQUEST, "not-a-websocket")
    );
}

/// Every operation of the store that a route can reach.
const STORE: &[&str] = &[
    "ping",
    "lab_version",
    "lab_latest",
    "lab_list",
    "launch_redeem",
    "login_create",
    "login_by_bearer",
    "login_rotate",
    "ticket_create",
    "plan_list",
    "grant_list",
    "admit",
    "session_get",
    "session_list",
    "session_transition",
    "usage_list",
    "ledger_sums",
    "recording_head",
    "recording_chunks",
    "check_list",
    "audit_append",
    "audit_list",
    "audit_last",
];

#[tokio::test]
async fn whatever_fails_nothing_private_leaves() {
    let kit = Kit::new().await;
    let (session, learner) = kit.session().await;
    let (teacher, operations) = (
        kit.sign_in("t", Role::Teacher).await,
        kit.sign_in("o", Role::Operations).await,
    );
    kit.runtime.faults.always("health", Strike::Before);
    kit.blobs.faults.always("get", Strike::Before);
    let mut struck = 0;
    for operation in STORE {
        kit.store.faults.always(operation, Strike::Before);
        for (method, path, _) in lab_http::routes() {
            let path = path
                .replace("labs/{id}", "labs/ping")
                .replace("{id}", &session)
                .replace("{lab}", "ping");
            let path = match path.rsplit('/').next() {
                Some("export") => format!("{path}?format=text&terminal=h1"),
                Some("ticket" | "ws" | "wall") => format!("{path}?ticket=x.1"),
                _ => path,
            };
            let token = kit.link(&kit.claims("bob", Role::Learner));
            let body = match path.as_str() {
                "/api/v1/launch" => json!({ "token": token }),
                "/api/v1/tickets" => json!({"scope": "session", "session": session, "writer": "1"}),
                _ => json!({ "lab": LAB }),
            };
            for bearer in [&learner, &teacher, &operations] {
                let answer = kit
                    .call(
                        method.clone(),
                        &path,
                        Some(bearer),
                        (method == Method::POST).then(|| body.clone()),
                    )
                    .await;
                let inside = answer.text.contains(PRIVATE) || answer.text.contains(&format!("({operation})"));
                assert!(!inside, "{method} {path} while {operation} fails: {}", answer.text);
                assert!(
                    answer.status != StatusCode::INTERNAL_SERVER_ERROR,
                    "{method} {path} while {operation} fails: {}",
                    answer.text
                );
                struck += usize::from(answer.status == StatusCode::SERVICE_UNAVAILABLE);
                if answer.status == StatusCode::SERVICE_UNAVAILABLE && path != "/readyz" {
                    assert_eq!(
                        (answer.code().as_str(), answer.header("retry-after")),
                        ("store-unavailable", "2"),
                        "{method} {path}"
                    );
                }
            }
        }
        kit.store.faults.mend(operation);
    }
    assert!(struck > 100, "the failures were met: {struck}");
}

#[tokio::test]
async fn a_recording_is_read_by_ranges_exported_and_the_look_is_logged() {
    let kit = Kit::new().await;
    let (session, learner) = kit.session().await;
    let base = format!("/api/v1/sessions/{session}/recording");
    assert_eq!(
        kit.get(&base, Some(&learner)).await.status,
        StatusCode::NOT_FOUND,
        "nothing is recorded yet"
    );
    let journal = kit
        .record(
            &session,
            &[(0, b"R1# show ip route\r\n"), (1, b"h2$ \x1b[1mping\x1b[0m\r\n")],
        )
        .await;
    let teacher = kit.sign_in("t", Role::Teacher).await;
    let index = kit.get(&base, Some(&teacher)).await.json();
    assert_eq!(
        (&index["state"], &index["end"]),
        (&json!("open"), &json!(journal.len()))
    );
    assert_eq!(
        (&index["terminals"][1]["id"], &index["terminals"][1]["output"]),
        (&json!("h2"), &json!(18))
    );
    let all = kit.bytes(&format!("{base}/journal?from=0&to=100000"), &teacher).await;
    assert_eq!(all, journal);
    assert_eq!(
        kit.bytes(&format!("{base}/journal?from=7&to=9"), &teacher).await,
        journal[7..9]
    );
    assert_eq!(kit.bytes(&format!("{base}/journal?from=100000"), &teacher).await, b"");
    assert_eq!(
        kit.get(&format!("{base}/journal?from=9&to=7"), Some(&teacher))
            .await
            .status,
        StatusCode::BAD_REQUEST
    );
    let text = kit
        .get(&format!("{base}/export?format=text&terminal=h2"), Some(&teacher))
        .await;
    assert!(
        text.text.contains("h2$ ping") && !text.text.contains('\x1b'),
        "{}",
        text.text
    );
    assert!(text.header("content-disposition").ends_with("-h2.txt\""));
    let cast = kit
        .get(
            &format!("{base}/export?format=asciicast-v2&terminal=h1"),
            Some(&teacher),
        )
        .await;
    let head: serde_json::Value = serde_json::from_str(cast.text.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&head["version"], cast.header("content-type")),
        (&json!(2), "application/x-asciicast")
    );
    assert!(cast.text.contains("show ip route"));
    for wrong in ["format=gif&terminal=h1", "format=text&terminal=r9"] {
        assert_eq!(
            kit.get(&format!("{base}/export?{wrong}"), Some(&teacher)).await.status,
            StatusCode::BAD_REQUEST,
            "{wrong}"
        );
    }
    let looked = kit
        .get(&format!("/api/v1/audit?session={session}"), Some(&learner))
        .await
        .json();
    let actions: Vec<&str> = looked
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["action"].as_str().unwrap())
        .collect();
    assert!(
        actions.contains(&"replay") && actions.contains(&"export"),
        "{actions:?}"
    );
    kit.blobs.objects().clear();
    let damaged = kit.get(&format!("{base}/journal?from=0"), Some(&teacher)).await;
    assert_eq!(
        (damaged.status, damaged.code().as_str()),
        (StatusCode::INTERNAL_SERVER_ERROR, "store-corrupt")
    );
    assert!(
        !damaged.text.contains("object") && !damaged.text.contains("offset"),
        "the damage is for the log: {}",
        damaged.text
    );
}
