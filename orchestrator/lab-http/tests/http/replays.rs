//! Replays: what a plan must include, and that nobody reads somebody else's unseen.

use crate::kit::Kit;
use axum::http::StatusCode;
use lab_core::{
    SessionId,
    entitlement::{Bilingual, Feature, Plan},
    launch::Role,
    port::{Clock as _, Store as _, Transition},
    provisioning::{EndReason, SessionEvent},
};
use lab_testkit::Strike;
use std::time::Duration;

/// How often each replay of the session was written down, by actor.
async fn replays(kit: &Kit, session: &str) -> Vec<String> {
    let log = kit.store.audit_list(Some(session.parse().unwrap())).await.unwrap();
    let mut actors: Vec<String> = log
        .into_iter()
        .filter(|e| e.action == "replay")
        .map(|e| e.actor.to_string())
        .collect();
    actors.sort();
    actors
}

#[tokio::test]
async fn a_journal_that_is_read_without_its_index_is_logged_once_before_anything_is_shown() {
    let kit = Kit::new().await;
    let (session, learner) = kit.session().await;
    kit.record(&session, &[(0, b"R1# show ip route\r\n")]).await;
    let range = |from: u64| format!("/api/v1/sessions/{session}/recording/journal?from={from}");
    let teacher = kit.sign_in("prof", Role::Teacher).await;
    kit.store.faults.always("audit_append", Strike::Before);
    let refused = kit.get(&range(0), Some(&teacher)).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "store-unavailable"),
        "nothing is shown that could not be written down"
    );
    kit.store.faults.mend("audit_append");
    for from in [0, 5, 9] {
        assert_eq!(kit.get(&range(from), Some(&teacher)).await.status, StatusCode::OK);
    }
    assert_eq!(replays(&kit, &session).await, ["prof"]);
    assert_eq!(
        kit.store.faults.calls("audit_last"),
        2,
        "asked once more after the failure, and no more"
    );
    // the same person in another tab, as if through another replica
    let tab = kit.sign_in("prof", Role::Teacher).await;
    assert_eq!(kit.get(&range(0), Some(&tab)).await.status, StatusCode::OK);
    assert_eq!(replays(&kit, &session).await, ["prof"]);
    // others are others
    let coach = kit.sign_in("coach", Role::Coach).await;
    assert_eq!(kit.get(&range(0), Some(&coach)).await.status, StatusCode::OK);
    assert_eq!(kit.get(&range(0), Some(&learner)).await.status, StatusCode::OK);
    assert_eq!(
        replays(&kit, &session).await,
        ["coach", "prof"],
        "who reads their own is nobody who looks"
    );
    // and who comes back looks again
    kit.clock.advance(Duration::from_hours(4));
    let tab = kit.sign_in("prof", Role::Teacher).await;
    assert_eq!(kit.get(&range(0), Some(&tab)).await.status, StatusCode::OK);
    assert_eq!(replays(&kit, &session).await, ["coach", "prof", "prof"]);
}

#[tokio::test]
async fn a_replay_that_was_opened_by_its_index_is_one_line() {
    let kit = Kit::new().await;
    let (session, _) = kit.session().await;
    kit.record(&session, &[(0, b"R1# show ip route\r\n")]).await;
    let teacher = kit.sign_in("prof", Role::Teacher).await;
    for part in ["", "/journal?from=0", "/journal?from=5"] {
        let path = format!("/api/v1/sessions/{session}/recording{part}");
        assert_eq!(kit.get(&path, Some(&teacher)).await.status, StatusCode::OK, "{part}");
    }
    assert_eq!(replays(&kit, &session).await, ["prof"]);
    assert_eq!(kit.store.faults.calls("audit_last"), 0, "known without asking");
}

#[tokio::test]
async fn what_a_plan_does_not_include_is_not_read_by_ranges_either() {
    let kit = Kit::new().await;
    let (session, learner) = kit.session().await;
    kit.record(&session, &[(0, b"R1# show ip route\r\n")]).await;
    let teacher = kit.sign_in("prof", Role::Teacher).await;
    let includes = async |features: &[Feature]| {
        let name = Bilingual {
            en: "Q".into(),
            fr: "Q".into(),
        };
        let plan = Plan {
            features: features.iter().copied().collect(),
            ..Plan::new("QUALIFYING", name)
        };
        kit.store.plan_put(&plan).await.unwrap();
    };
    let read = async |bearer: &str| {
        let mut told = Vec::new();
        for part in ["", "/journal?from=0", "/export?format=text&terminal=h1"] {
            let path = format!("/api/v1/sessions/{session}/recording{part}");
            told.push(kit.get(&path, Some(bearer)).await.status);
        }
        told.dedup();
        assert_eq!(told.len(), 1, "each way is as the others: {told:?}");
        told[0]
    };
    includes(&[Feature::Observe]).await;
    for bearer in [&teacher, &learner] {
        assert_eq!(read(bearer).await, StatusCode::FORBIDDEN);
    }
    // the lab runs: who reads what it writes watches it
    includes(&[Feature::Recorded]).await;
    assert_eq!(read(&teacher).await, StatusCode::FORBIDDEN);
    assert_eq!(read(&learner).await, StatusCode::OK, "their own");
    assert_eq!(replays(&kit, &session).await, [""; 0], "nothing was shown");
    let id: SessionId = session.parse().unwrap();
    let why = EndReason::LearnerStopped;
    for event in [SessionEvent::Stop(why), SessionEvent::Gone(why)] {
        let row = kit.store.session_get(id).await.unwrap().unwrap();
        let end = Transition {
            session: id,
            expect: row.revision,
            event,
            at: kit.clock.now(),
            cause: "test".into(),
            ready: None,
        };
        kit.store.session_transition(&end).await.unwrap();
    }
    assert_eq!(read(&teacher).await, StatusCode::OK, "a lab that is over is replayed");
}
