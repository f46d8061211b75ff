//! Sessions and their states.

use super::fixture::{School, at, at_once, fresh, used};
use lab_core::{
    SessionId,
    port::{ErrorKind, SessionFilter, Store, StoreError, Transition},
    provisioning::{EndReason, FailReason, SessionEvent as E, SessionState},
};
use std::sync::Arc;

pub async fn a_transition_needs_the_revision_it_read(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    school.grant("ada", "QUALIFYING", 3600).await;
    let session = school.admitted("ada").await;
    let answers = at_once(20, |i| {
        let store = school.store.clone();
        let cause = format!("caller {i}");
        let t = Transition {
            session: session.id,
            expect: 0,
            event: E::Provision,
            at: at(1),
            cause,
            ready: None,
        };
        async move { store.session_transition(&t).await }
    })
    .await;
    assert_eq!(answers.iter().filter(|a| a.is_ok()).count(), 1);
    for refused in answers.into_iter().filter_map(Result::err) {
        assert!(matches!(refused, StoreError::Conflict { .. }), "{refused:?}");
    }
    assert_eq!(school.store.session_history(session.id).await.unwrap().len(), 2);
}

pub async fn an_illegal_transition_changes_nothing(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    school.grant("ada", "QUALIFYING", 3600).await;
    let session = school.admitted("ada").await;
    let refused = school.step(&session, E::Ready).await.unwrap_err();
    assert!(matches!(refused, StoreError::Illegal(_)), "{refused:?}");
    assert_eq!(
        school.store.session_get(session.id).await.unwrap(),
        Some(session.clone())
    );
    // ready without the first prompt's time could never be metered
    let session = school.step(&session, E::Provision).await.unwrap();
    let t = Transition {
        session: session.id,
        expect: session.revision,
        event: E::Ready,
        at: at(5),
        cause: "test".into(),
        ready: None,
    };
    assert_eq!(
        school.store.session_transition(&t).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
}

pub async fn ready_sets_its_times_once(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let ready = school.at_work(3600).await;
    assert_eq!(
        (ready.ready_at, ready.ready_us, ready.deadline),
        (Some(at(5)), Some(10_000_000), Some(at(3600)))
    );
    assert_eq!(ready.active_at, at(5), "idle time counts from the first prompt");
    let frozen = school.step(&ready, E::Freeze).await.unwrap();
    let thawed = school.step(&frozen, E::Thaw).await.unwrap();
    assert_eq!(
        (thawed.ready_at, thawed.ready_us, thawed.deadline),
        (ready.ready_at, ready.ready_us, ready.deadline)
    );
    let ended = school.end(&thawed).await;
    assert_eq!((ended.over_at, ended.revision), (Some(at(5)), 6));
}

pub async fn the_history_tells_every_state_and_its_cause(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let ready = school.at_work(3600).await;
    school.end(&ready).await;
    let history = school.store.session_history(ready.id).await.unwrap();
    let told: Vec<_> = history
        .iter()
        .map(|h| (h.revision, h.state.name(), h.state.reason()))
        .collect();
    assert_eq!(
        told,
        [
            (0, "requested", None),
            (1, "provisioning", None),
            (2, "ready", None),
            (3, "stopping", Some("learner-stopped")),
            (4, "ended", Some("learner-stopped")),
        ]
    );
    assert_eq!((history[0].cause.as_str(), history[0].at), ("learner", at(0)));
    assert_eq!((history[4].cause.as_str(), history[4].at), ("test", at(5)));
    assert_eq!(school.store.session_history(SessionId(fresh())).await.unwrap(), []);
}

pub async fn every_reason_comes_back_as_it_was(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    for reason in EndReason::ALL {
        let ready = school.at_work(3600).await;
        let stopping = school.step(&ready, E::Stop(*reason)).await.unwrap();
        assert_eq!(stopping.state, SessionState::Stopping { reason: *reason });
        let ended = school.step(&stopping, E::Gone(EndReason::SandboxLost)).await.unwrap();
        assert_eq!(ended.state, SessionState::Ended { reason: *reason });
    }
    for reason in FailReason::ALL {
        let learner = format!("learner-{reason}");
        school.grant(&learner, "QUALIFYING", 3600).await;
        let session = school.admitted(&learner).await;
        let queued = school.step(&session, E::Queue).await.unwrap();
        assert_eq!(queued.state, SessionState::Queued);
        let failed = school
            .step(&queued, E::Fail(*reason, "l'image « x » manque".into()))
            .await
            .unwrap();
        assert_eq!(
            failed.state,
            SessionState::Failed {
                reason: *reason,
                detail: "l'image « x » manque".into()
            }
        );
    }
}

pub async fn what_never_had_a_prompt_gives_everything_back(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    for (learner, events) in [
        (
            "fails",
            vec![E::Provision, E::Fail(FailReason::ImageMissing, "frr:1".into())],
        ),
        (
            "stops",
            vec![
                E::Provision,
                E::Stop(EndReason::LearnerStopped),
                E::Gone(EndReason::LearnerStopped),
            ],
        ),
    ] {
        school.grant(learner, "QUALIFYING", 700).await;
        let mut session = school.admitted(learner).await;
        assert_eq!(session.held_secs, 700);
        let (last, before) = events.split_last().unwrap();
        for event in before {
            session = school.step(&session, event.clone()).await.unwrap();
            assert_eq!(session.held_secs, 700, "the hold stays until it is over");
        }
        session = school.step(&session, last.clone()).await.unwrap();
        assert_eq!((session.held_secs, session.billed_secs), (0, Some(0)));
        assert_eq!(school.available(&learner.into()).await, [700]);
        // a late settlement finds it settled
        let row = school.store.settle(&used(&session, 500)).await.unwrap();
        assert_eq!(
            (row.sandbox_seconds, row.billed_seconds, row.unbilled_seconds),
            (0, 0, 0)
        );
        assert_eq!(school.available(&learner.into()).await, [700]);
    }
    assert_eq!(school.store.usage_list(None, None, None).await.unwrap().len(), 2);
}

pub async fn activity_only_rises_and_a_deadline_only_moves_later(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let ready = school.at_work(3600).await;
    let store = &school.store;
    for (active, seen) in [
        (Some(at(50)), None),
        (None, Some(7)),
        (Some(at(40)), Some(5)),
        (None, None),
    ] {
        store.session_touch(ready.id, active, seen).await.unwrap();
    }
    let session = store.session_get(ready.id).await.unwrap().unwrap();
    assert_eq!(
        (session.active_at, session.seen_us, session.revision),
        (at(50), Some(7), ready.revision)
    );
    // an agent may say anything; a clock that is out of range must not break the row
    store.session_touch(ready.id, None, Some(u64::MAX)).await.unwrap();
    assert!(store.session_get(ready.id).await.unwrap().unwrap().seen_us > Some(7));

    assert_eq!(
        store.session_deadline(ready.id, at(4000)).await.unwrap().deadline,
        Some(at(4000))
    );
    assert_eq!(
        store.session_deadline(ready.id, at(3000)).await.unwrap().deadline,
        Some(at(4000))
    );
}

pub async fn a_list_is_filtered_and_newest_first(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    school.grant("ada", "GROUP", 9000).await;
    school.grant("bob", "GROUP", 9000).await;
    let mut ids = Vec::new();
    for (i, (learner, lab)) in [("ada", "tiny"), ("bob", "tiny"), ("ada", "other")]
        .into_iter()
        .enumerate()
    {
        let mut click = school.click(learner, lab);
        click.at = at(i as i64);
        school.store.admit(&click).await.unwrap();
        ids.push(click.session);
    }
    let [a, b, c] = ids[..] else {
        unreachable!("three were pushed")
    };
    let first = school.store.session_get(a).await.unwrap().unwrap();
    school
        .step(&first, E::Fail(FailReason::LabMissing, String::new()))
        .await
        .unwrap();

    let list = async |filter: SessionFilter| -> Vec<SessionId> {
        school
            .store
            .session_list(&filter)
            .await
            .unwrap()
            .iter()
            .map(|s| s.id)
            .collect()
    };
    let all = SessionFilter::default();
    assert_eq!(list(all.clone()).await, [c, b, a]);
    assert_eq!(
        list(SessionFilter {
            live: true,
            ..all.clone()
        })
        .await,
        [c, b]
    );
    assert_eq!(
        list(SessionFilter {
            subject: Some("ada".into()),
            ..all.clone()
        })
        .await,
        [c, a]
    );
    assert_eq!(
        list(SessionFilter {
            lab: Some("tiny".into()),
            ..all.clone()
        })
        .await,
        [b, a]
    );
    assert_eq!(
        list(SessionFilter {
            course: Some("net-101".into()),
            limit: 2,
            ..all.clone()
        })
        .await,
        [c, b]
    );
    assert_eq!(
        list(SessionFilter {
            course: Some("none".into()),
            ..all
        })
        .await,
        []
    );
}

pub async fn a_session_that_is_not_there_is_said_to_be_missing(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let mut ghost = school.at_work(3600).await;
    ghost.id = SessionId(fresh());
    let store = &school.store;
    assert_eq!(store.session_get(ghost.id).await.unwrap(), None);
    let missing = [
        school.step(&ghost, E::Freeze).await.map(drop),
        store.session_touch(ghost.id, Some(at(1)), None).await,
        store.session_deadline(ghost.id, at(1)).await.map(drop),
        store.hold_extend(ghost.id, 10, at(1)).await.map(drop),
        store.settle(&used(&ghost, 1)).await.map(drop),
        store.recording_open(ghost.id, at(1)).await.map(drop),
    ];
    for (i, answer) in missing.into_iter().enumerate() {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::NotFound, "call {i}");
    }
}
