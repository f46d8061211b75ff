//! What the operations page asks, and what its one button does.

use crate::kit::{Kit, LAB, PRIVATE};
use axum::http::StatusCode;
use lab_core::{
    LabDigest, SandboxId, SessionId,
    agent::{AgentSpec, PROTOCOL_VERSION},
    lab::{NetworkPolicy, RuntimeKind, SizeClass},
    launch::Role,
    operations::{PauseChange, PauseNotice},
    port::{Blobs, Runtime, SandboxSpec, Store},
    provisioning::SessionState,
};
use lab_http::HttpSettings;
use lab_testkit::{Script, Strike};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const OVERVIEW: &str = "/api/v1/operations";
/// A class of 2,500, as the issue of this page names it.
const MANY: u128 = 2500;

async fn start(kit: &Kit, bearer: &str) -> (StatusCode, Value) {
    let answer = kit.post("/api/v1/sessions", Some(bearer), json!({ "lab": LAB })).await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn a_pause_refuses_launches_in_operations_words_until_it_is_lifted() {
    let kit = Kit::new().await;
    let operations = kit.sign_in("op", Role::Operations).await;
    let learner = kit.sign_in("ana", Role::Learner).await;
    assert_eq!(kit.get("/healthz", None).await.text, "alive\n");

    let said = json!({ "reason": " New disks. ", "minutes": 30 });
    let paused = kit.post("/api/v1/operations/pause", Some(&operations), said).await;
    let back = kit.now().secs() + 1800;
    let view = json!({"reason": "New disks.", "until": back, "since": kit.now().secs(), "by": "name of op"});
    assert_eq!(paused.json(), json!({ "paused": view }));

    let (status, refused) = start(&kit, &learner).await;
    assert_eq!(
        (status, &refused["code"]),
        (StatusCode::FORBIDDEN, &json!("launches-paused"))
    );
    assert_eq!(
        refused["refusal"],
        json!({"refusal": "launches-paused", "reason": "New disks.", "until": back})
    );
    assert_eq!(
        refused["lab"]["title"]["en"],
        json!("Ping"),
        "the learner sees which lab"
    );
    assert_eq!(kit.get(OVERVIEW, Some(&operations)).await.json()["paused"], view);
    let alive = kit.get("/healthz", None).await;
    assert_eq!(alive.status, StatusCode::OK);
    assert!(alive.text.starts_with("alive\nlaunches paused since ") && alive.text.contains("New disks."));
    assert_eq!(
        kit.get("/readyz", None).await.status,
        StatusCode::OK,
        "it is no illness"
    );
    let log = kit.get("/api/v1/audit", Some(&operations)).await.json();
    assert_eq!(
        (&log[0]["action"], &log[0]["actor_name"], &log[0]["detail"]),
        (&json!("pause-launches"), &json!("name of op"), &json!("New disks."))
    );

    for _ in 0..2 {
        let resumed = kit
            .post("/api/v1/operations/resume", Some(&operations), json!({}))
            .await;
        assert_eq!(resumed.json(), json!({ "paused": null }));
    }
    assert_eq!(kit.get("/healthz", None).await.text, "alive\n");
    assert_eq!(start(&kit, &learner).await.0, StatusCode::CREATED);
}

#[tokio::test]
async fn a_pause_is_a_metric_of_every_process_and_stays_while_the_store_is_away() {
    let kit = Kit::with(HttpSettings {
        metrics_token: Some("metrics-token".to_owned().into()),
        ..HttpSettings::default()
    })
    .await;
    let operations = kit.sign_in("op", Role::Operations).await;
    let paused = async |expected: u8| {
        let text = kit.get("/metrics", Some("metrics-token")).await.text;
        assert!(
            text.contains(&format!("\nlabwire_launches_paused {expected}\n")),
            "{text}"
        );
    };
    paused(0).await;
    // another process did it: this one finds it in the store
    let change = |to| PauseChange {
        to,
        by: "op".into(),
        by_name: "op".into(),
        at: kit.now(),
    };
    let notice = PauseNotice::new("New disks.", None, kit.now()).unwrap();
    kit.store.launches_pause(&change(Some(notice))).await.unwrap();
    kit.clock.advance(Duration::from_secs(2));
    paused(1).await;
    kit.store.faults.always("launches_paused", Strike::Before);
    kit.clock.advance(Duration::from_secs(2));
    paused(1).await;
    kit.store.faults.mend("launches_paused");
    kit.post("/api/v1/operations/resume", Some(&operations), json!({}))
        .await;
    paused(0).await;
}

#[tokio::test]
async fn who_runs_comes_back_to_the_lab_while_launches_are_paused() {
    let kit = Kit::new().await;
    let (session, learner) = kit.session().await;
    let operations = kit.sign_in("op", Role::Operations).await;
    let said = json!({ "reason": "New disks." });
    kit.post("/api/v1/operations/pause", Some(&operations), said).await;
    let (status, view) = start(&kit, &learner).await;
    assert_eq!((status, &view["id"]), (StatusCode::OK, &json!(session)));
}

#[tokio::test]
async fn a_reason_that_learners_could_not_read_is_refused_with_the_field() {
    let kit = Kit::new().await;
    let operations = kit.sign_in("op", Role::Operations).await;
    for (body, field) in [
        (json!({ "reason": "  " }), "reason"),
        (json!({ "reason": "x".repeat(281) }), "reason"),
        (json!({ "reason": "x", "minutes": 0 }), "minutes"),
        (json!({ "minutes": 5 }), "reason"),
    ] {
        let answer = kit.post("/api/v1/operations/pause", Some(&operations), body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text);
        assert!(
            answer.json()["message"].as_str().unwrap().contains(field),
            "{}",
            answer.text
        );
    }
    assert_eq!(kit.store.launches_paused().await.unwrap(), None);
}

/// One sandbox, of a session of its own that is in the store.
async fn furnish(kit: &Kit, n: u128, pattern: &lab_core::port::Session) {
    let (id, session) = (SandboxId(Uuid::from_u128(n)), SessionId(Uuid::from_u128(n)));
    let spec = SandboxSpec {
        id,
        session,
        lab: LAB.into(),
        digest: LabDigest("0".repeat(64)),
        image: "ping".into(),
        size: SizeClass::Small,
        user: 1000,
        namespaces: false,
        runtime: RuntimeKind::Container,
        network: NetworkPolicy::None,
        deadline_secs: 600,
        agent: AgentSpec {
            protocol: PROTOCOL_VERSION,
            session,
            files: vec![],
            start: vec![],
            ready: vec![],
            ready_within_ms: 30_000,
            terminals: vec![],
            checks: vec![],
            record_input: false,
            env: vec![],
        },
    };
    kit.runtime.sandbox_ensure(&spec).await.unwrap();
    kit.runtime.place(id, &format!("node-{}", n % 10));
    kit.store.plant(lab_core::port::Session {
        id: session,
        sandbox: id,
        state: SessionState::Ready,
        ..pattern.clone()
    });
}

#[tokio::test]
async fn an_overview_of_2500_sandboxes_is_one_list_in_two_seconds_no_row_a_session_and_a_few_kilobytes() {
    let kit = Kit::new().await;
    let (first, _) = kit.session().await;
    let pattern = kit.store.session_get(first.parse().unwrap()).await.unwrap().unwrap();
    // nobody waits in the queue
    kit.store.plant(lab_core::port::Session {
        state: SessionState::Ready,
        ..pattern.clone()
    });
    kit.runtime.set_script(Script::Manual);
    for n in 1..=MANY {
        furnish(&kit, n, &pattern).await;
    }
    let operations = kit.sign_in("op", Role::Operations).await;
    let lists = kit.runtime.faults.calls("sandbox_list");
    let rows = kit.store.faults.calls("session_list");
    let answers = futures_util::future::join_all((0..20).map(|_| kit.get(OVERVIEW, Some(&operations)))).await;
    for answer in &answers {
        assert!(answer.text.len() < 8 * 1024, "{} bytes", answer.text.len());
    }
    let o = answers[0].json();
    assert_eq!(o["sandboxes"]["phases"][0]["count"], json!(MANY));
    assert_eq!(o["sandboxes"]["nodes"].as_array().unwrap().len(), 10);
    assert_eq!(
        o["sandboxes"]["nodes"][3],
        json!({"node": "node-3", "starting": 0, "running": 250, "gone": 0})
    );
    assert_eq!(o["sessions"], json!({"ready": MANY + 1}));
    assert_eq!(kit.runtime.faults.calls("sandbox_list") - lists, 1);
    let queue = kit.get("/api/v1/operations/queue", Some(&operations)).await.json();
    assert_eq!((&queue["occupied"], &queue["length"]), (&json!(MANY + 1), &json!(0)));
    kit.get("/api/v1/operations/pools", Some(&operations)).await;
    assert_eq!(kit.store.faults.calls("session_list"), rows);
    for operation in ["launches_paused", "session_counts", "failure_counts", "lease_report"] {
        let more = u64::from(operation == "session_counts");
        assert_eq!(kit.store.faults.calls(operation), 20 + more, "{operation}: one a call");
    }
    kit.clock.advance(Duration::from_secs(2));
    kit.get(OVERVIEW, Some(&operations)).await;
    assert_eq!(kit.runtime.faults.calls("sandbox_list") - lists, 2);
}

#[tokio::test]
async fn damaged_uploads_are_named_by_session_with_their_place_and_asked_for_once_a_minute() {
    let kit = Kit::new().await;
    let operations = kit.sign_in("op", Role::Operations).await;
    let session = Uuid::from_u128(7).to_string();
    let prefix = format!("quarantine/recordings/{session}/");
    let put = async |n: u32| {
        let key = format!("recordings/{session}/{n}");
        kit.blobs.faults.once("corrupt", Strike::Before);
        kit.blobs.put(&key, "damaged".into()).await.unwrap_err();
    };
    put(1).await;
    put(2).await;
    let lists = kit.blobs.faults.calls("list");
    let two = json!({"code": null, "objects": 2, "sessions": [{"session": session, "objects": 2, "prefix": prefix}]});
    for _ in 0..3 {
        let o = kit.get(OVERVIEW, Some(&operations)).await.json();
        assert_eq!(o["quarantine"], two);
        kit.clock.advance(Duration::from_secs(15));
    }
    assert_eq!(kit.blobs.faults.calls("list") - lists, 1);
    // somebody looked into it, and removed them
    kit.blobs.objects().clear();
    kit.clock.advance(Duration::from_secs(15));
    let o = kit.get(OVERVIEW, Some(&operations)).await.json();
    assert_eq!(o["quarantine"], json!({"code": null, "objects": 0, "sessions": []}));
}

#[tokio::test]
async fn a_runtime_that_does_not_answer_is_part_of_the_picture_and_work_that_nobody_does_too() {
    let kit = Kit::new().await;
    let operations = kit.sign_in("op", Role::Operations).await;
    kit.runtime.faults.always("sandbox_list", Strike::Before);
    let ttl = Duration::from_secs(15);
    kit.store
        .lease_take("meter", "a", kit.now(), ttl)
        .await
        .unwrap()
        .unwrap();
    let answer = kit.get(OVERVIEW, Some(&operations)).await;
    assert!(!answer.text.contains(PRIVATE));
    let o = answer.json();
    assert_eq!(
        (&o["sandboxes"]["code"], &o["sandboxes"]["phases"]),
        (&json!("runtime-unavailable"), &json!([]))
    );
    let tasks: Vec<_> = o["leases"]["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| (l["name"].as_str().unwrap(), l["holder"].as_str(), l["always"] == true))
        .collect();
    assert!(tasks.contains(&("meter", Some("a"), true)), "{tasks:?}");
    assert!(tasks.contains(&("provisioning", None, true)), "{tasks:?}");

    kit.blobs.faults.always("list", Strike::Before);
    kit.clock.advance(Duration::from_secs(60));
    let o = kit.get(OVERVIEW, Some(&operations)).await.json();
    let unknown = json!({"code": "blobs-unavailable", "objects": 0, "sessions": []});
    assert_eq!(o["quarantine"], unknown, "so is a storage that does not say");

    kit.store.faults.always("failure_counts", Strike::Before);
    let answer = kit.get(OVERVIEW, Some(&operations)).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!answer.text.contains(PRIVATE));
}
