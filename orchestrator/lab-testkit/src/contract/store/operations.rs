//! What operations see and decide of the whole installation.

use super::fixture::{School, at, fresh};
use lab_core::{
    SessionId,
    entitlement::Refusal,
    launch::Role,
    operations::{LaunchPause, PauseChange, PauseNotice, RECORDER_LEASE_PREFIX},
    port::{Admission, Session, Store, Transition},
    provisioning::{EndReason, FailReason, SessionEvent as E},
};
use std::{sync::Arc, time::Duration};

fn change(secs: i64, to: Option<(&str, Option<i64>)>) -> PauseChange {
    PauseChange {
        to: to.map(|(reason, until)| PauseNotice {
            reason: reason.into(),
            until: until.map(at),
        }),
        by: "op".into(),
        by_name: "Operations".into(),
        at: at(secs),
    }
}

pub async fn a_pause_refuses_new_launches_with_its_reason_and_nothing_else(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let store = &school.store;
    let running = school.at_work(3600).await;
    school.grant("ada", "GROUP", 7200).await;
    let click = school.click("ada", "tiny");
    store
        .launches_pause(&change(10, Some(("new disks", Some(1800)))))
        .await
        .unwrap();

    let refused = Refusal::Paused {
        reason: "new disks".into(),
        until: Some(at(1800)),
    };
    assert_eq!(store.admit(&click).await.unwrap(), Admission::Refused(refused));
    assert_eq!(
        store.session_get(click.session).await.unwrap(),
        None,
        "nothing was left behind"
    );
    assert_eq!(school.available(&"ada".into()).await, [7200]);

    // who runs comes back to it, gets more time, and ends as always
    let again = school.click(running.subject.as_str(), "tiny");
    assert!(matches!(store.admit(&again).await.unwrap(), Admission::Running(s) if s.id == running.id));
    assert_eq!(store.hold_extend(running.id, 1800, at(20)).await.unwrap(), 1800);
    let later = store.session_deadline(running.id, at(9999)).await.unwrap();
    assert_eq!(later.deadline, Some(at(9999)));
    school.end(&running).await;

    store.launches_pause(&change(30, None)).await.unwrap();
    assert!(matches!(store.admit(&click).await.unwrap(), Admission::Admitted(_)));
}

pub async fn a_pause_is_audited_and_lifted_once(store: Arc<dyn Store>) {
    assert_eq!(store.launches_paused().await.unwrap(), None);
    let paused = |reason: &str, until: Option<i64>| {
        Some(LaunchPause {
            reason: reason.into(),
            until: until.map(at),
            since: at(10),
            by: "op".into(),
            by_name: "Operations".into(),
        })
    };
    let first = store
        .launches_pause(&change(10, Some(("new disks", None))))
        .await
        .unwrap();
    assert_eq!(first, paused("new disks", None));
    // another reason: it is paused since the first
    let second = store
        .launches_pause(&change(20, Some(("nearly done", Some(60)))))
        .await
        .unwrap();
    assert_eq!(second, paused("nearly done", Some(60)));
    assert_eq!(store.launches_paused().await.unwrap(), second);
    for secs in [30, 40] {
        assert_eq!(store.launches_pause(&change(secs, None)).await.unwrap(), None);
        assert_eq!(store.launches_paused().await.unwrap(), None);
    }
    let told: Vec<_> = store
        .audit_list(None)
        .await
        .unwrap()
        .into_iter()
        .map(|e| {
            assert_eq!(
                (e.role, e.actor_name.as_str(), e.session),
                (Role::Operations, "Operations", None)
            );
            (e.at, e.action, e.detail)
        })
        .collect();
    let event = |secs, action: &str, detail: &str| (at(secs), action.to_owned(), detail.to_owned());
    assert_eq!(
        told,
        [
            event(30, "resume-launches", ""),
            event(20, "pause-launches", "nearly done"),
            event(10, "pause-launches", "new disks"),
        ],
        "lifting what is lifted is not an event"
    );
}

pub async fn a_learner_without_labs_is_told_that_and_not_of_a_pause(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    school.grant("chloe", "DISCOVERY", 0).await;
    school
        .store
        .launches_pause(&change(10, Some(("x", None))))
        .await
        .unwrap();
    let answer = school.store.admit(&school.click("chloe", "tiny")).await.unwrap();
    assert!(
        matches!(answer, Admission::Refused(Refusal::NoLabs { .. })),
        "{answer:?}"
    );
}

pub async fn live_sessions_are_counted_by_state(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    for n in 0..5 {
        let session = school.at_work(3600).await;
        if n == 0 {
            school.end(&session).await;
        }
    }
    school.grant("ada", "QUALIFYING", 3600).await;
    school.admitted("ada").await;
    let counts: Vec<_> = school
        .store
        .session_counts()
        .await
        .unwrap()
        .into_iter()
        .map(|c| (c.state, c.count))
        .collect();
    assert_eq!(counts, [("ready".to_owned(), 4), ("requested".to_owned(), 1)]);
}

pub async fn what_went_wrong_is_counted_by_reason_and_lab_since_a_time(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let end = async |session: &Session, event: E, secs: i64| {
        let t = Transition {
            session: session.id,
            expect: session.revision,
            event,
            at: at(secs),
            cause: "test".into(),
            ready: None,
        };
        school.store.session_transition(&t).await.unwrap()
    };
    let waiting = async || {
        let subject = format!("learner-{}", fresh());
        school.grant(&subject, "QUALIFYING", 3600).await;
        school.admitted(&subject).await
    };
    for (reason, secs) in [
        (FailReason::ImageMissing, 99),
        (FailReason::ImageMissing, 100),
        (FailReason::ImageMissing, 300),
        (FailReason::SandboxLost, 200),
    ] {
        end(&waiting().await, E::Fail(reason, "why".into()), secs).await;
    }
    for reason in EndReason::ALL {
        let stopping = end(&school.at_work(3600).await, E::Stop(*reason), 400).await;
        end(&stopping, E::Gone(*reason), 500).await;
    }
    // still on its way
    end(&school.at_work(3600).await, E::Stop(EndReason::SandboxLost), 400).await;
    let mut told: Vec<_> = school
        .store
        .failure_counts(at(100))
        .await
        .unwrap()
        .into_iter()
        .map(|f| {
            assert_eq!(f.lab, school.lab);
            (f.count, f.last_at, f.reason, f.after_ready)
        })
        .collect();
    assert_eq!(
        told.remove(0),
        (2, at(300), "image-missing".to_owned(), false),
        "most first"
    );
    told.sort();
    let mut ends: Vec<_> = EndReason::ALL
        .iter()
        .filter(|r| r.is_failure())
        .map(|r| (1, at(500), r.code().to_owned(), true))
        .collect();
    ends.push((1, at(200), "sandbox-lost".to_owned(), false));
    ends.sort();
    assert_eq!(told, ends);
}

pub async fn leases_are_reported_without_a_row_a_recorder(store: Arc<dyn Store>) {
    let take = async |name: &str, holder: &str, secs: i64| {
        let ttl = Duration::from_secs(15);
        store.lease_take(name, holder, at(secs), ttl).await.unwrap().unwrap()
    };
    let meter = take("meter", "b", 20).await;
    let reconciler = take("provisioning", "a", 0).await;
    let given_back = take("pools", "a", 20).await;
    store.lease_release(&given_back).await.unwrap();
    let recorder = || format!("{RECORDER_LEASE_PREFIX}{}", SessionId(fresh()));
    for (holder, secs) in [("a", 20), ("a", 22), ("b", 21), ("b", 0)] {
        take(&recorder(), holder, secs).await;
    }
    let over = take(&recorder(), "a", 20).await;
    store.lease_release(&over).await.unwrap();

    let report = store.lease_report(at(25)).await.unwrap();
    let tasks: Vec<_> = report
        .tasks
        .iter()
        .map(|l| (l.name.as_str(), l.holder.as_str()))
        .collect();
    assert_eq!(tasks, [("meter", "b"), ("pools", ""), ("provisioning", "a")]);
    assert_eq!(report.tasks[0], meter);
    assert_eq!(report.tasks[2], reconciler, "also what expired: nobody does that work");
    let recorders: Vec<_> = report
        .recorders
        .iter()
        .map(|r| (r.holder.as_str(), r.sessions, r.expires_at))
        .collect();
    assert_eq!(
        recorders,
        [("a", 2, at(35)), ("b", 1, at(36))],
        "what expired is written by nobody"
    );
}
