//! Checks, audit, leases: what teachers and replicas read and hold.

use super::fixture::{School, at, at_once, fresh};
use lab_core::{
    SessionId,
    journal::CheckOutcome,
    launch::Role,
    port::{AuditEvent, ErrorKind, Store},
};
use std::{sync::Arc, time::Duration};

pub async fn the_last_outcome_of_each_check_is_kept(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let id = school.at_work(3600).await.id;
    let outcome = |check: &str, points, detail: &str| CheckOutcome {
        check: check.into(),
        passed: points > 0,
        points,
        detail: detail.into(),
    };
    for (secs, check, points, detail) in [
        (1, "ping", 0, "no route"),
        (2, "ospf", 10, "full"),
        (3, "ping", 5, "64 bytes"),
        (4, "ospf", 0, "down"),
    ] {
        school
            .store
            .check_record(id, &outcome(check, points, detail), at(secs))
            .await
            .unwrap();
    }
    // one that comes late does not undo a newer one
    school
        .store
        .check_record(id, &outcome("ping", 0, "late"), at(2))
        .await
        .unwrap();
    let kept = school.store.check_list(id).await.unwrap();
    assert_eq!(kept, [outcome("ospf", 0, "down"), outcome("ping", 5, "64 bytes")]);
    let ghost = SessionId(fresh());
    assert_eq!(school.store.check_list(ghost).await.unwrap(), []);
    let refused = school
        .store
        .check_record(ghost, &outcome("ping", 0, ""), at(1))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
}

pub async fn who_looked_at_whom_is_told_newest_first(store: Arc<dyn Store>) {
    let (one, two) = (SessionId(fresh()), SessionId(fresh()));
    let event = |secs, session, action: &str| AuditEvent {
        at: at(secs),
        actor: "prof".into(),
        actor_name: "Prof. Turing".into(),
        role: Role::Teacher,
        action: action.into(),
        session,
        course: session.is_none().then(|| "net-101".into()),
        about: None,
        detail: "wall".into(),
    };
    let events = [
        event(1, Some(one), "view"),
        event(2, Some(two), "help"),
        event(2, Some(one), "replay"),
        event(3, None, "export"),
    ];
    for event in &events {
        store.audit_append(event).await.unwrap();
    }
    let [a, b, c, d] = events;
    assert_eq!(store.audit_list(None).await.unwrap(), [d, c.clone(), b, a.clone()]);
    assert_eq!(store.audit_list(Some(one)).await.unwrap(), [c, a]);
}

pub async fn when_somebody_last_looked_is_known_of_each_look(store: Arc<dyn Store>) {
    let (one, two) = (SessionId(fresh()), SessionId(fresh()));
    let looks = [
        (1, one, "prof", "replay"),
        (5, one, "prof", "replay"),
        (9, one, "prof", "view"),
        (8, one, "coach", "replay"),
        (7, two, "prof", "replay"),
    ];
    for (secs, session, actor, action) in looks {
        let event = AuditEvent {
            at: at(secs),
            actor: actor.into(),
            actor_name: actor.into(),
            role: Role::Teacher,
            action: action.into(),
            session: Some(session),
            course: None,
            about: None,
            detail: String::new(),
        };
        store.audit_append(&event).await.unwrap();
    }
    let last = async |session, actor: &str, action| store.audit_last(session, &actor.into(), action).await.unwrap();
    assert_eq!(last(one, "prof", "replay").await, Some(at(5)));
    assert_eq!(last(one, "coach", "replay").await, Some(at(8)));
    assert_eq!(last(two, "prof", "replay").await, Some(at(7)));
    assert_eq!(last(two, "coach", "replay").await, None);
    assert_eq!(last(one, "prof", "export").await, None);
}

pub async fn a_lease_has_one_holder_and_its_epoch_grows_with_each_new_one(store: Arc<dyn Store>) {
    let ttl = Duration::from_secs(15);
    let take = async |holder: &str, secs| store.lease_take("reaper", holder, at(secs), ttl).await.unwrap();
    let first = take("a", 0).await.expect("it is free");
    assert_eq!((first.epoch, first.expires_at, first.holder.as_str()), (1, at(15), "a"));
    assert_eq!(take("b", 14).await, None);
    let renewed = take("a", 10).await.expect("it is ours");
    assert_eq!((renewed.epoch, renewed.expires_at), (1, at(25)));
    let second = take("b", 25).await.expect("it has expired");
    assert_eq!(second.epoch, 2);
    assert_eq!(take("a", 30).await, None);
    // the old holder's release frees nothing
    store.lease_release(&first).await.unwrap();
    assert_eq!(take("a", 30).await, None);
    store.lease_release(&second).await.unwrap();
    assert_eq!(take("a", 30).await.expect("it was released").epoch, 3);
    assert_eq!(
        store.lease_take("other", "b", at(0), ttl).await.unwrap().unwrap().epoch,
        1
    );
}

pub async fn of_fifty_who_want_a_lease_one_gets_it(store: Arc<dyn Store>) {
    let taken = at_once(50, |i| {
        let store = store.clone();
        async move {
            store
                .lease_take("reaper", &format!("replica-{i}"), at(0), Duration::from_secs(15))
                .await
                .unwrap()
        }
    });
    assert_eq!(taken.await.into_iter().flatten().count(), 1);
}
