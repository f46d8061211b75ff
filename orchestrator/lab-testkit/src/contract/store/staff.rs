//! Sign-ins of staff that are under way, and logins for whoever looks after them.

use super::fixture::{at, at_once, fresh};
use lab_core::{
    LoginId, TokenHash,
    launch::{Login, LoginsOf, Revocation, Role, Ticket, TicketScope, staff::StaffState},
    port::{ErrorKind, Store},
};
use std::sync::Arc;

pub async fn a_sign_in_under_way_is_there_until_it_expires(store: Arc<dyn Store>) {
    let state = StaffState {
        state: TokenHash::of("state"),
        nonce: TokenHash::of("nonce"),
        browser: TokenHash::of("browser"),
        expires_at: at(600),
    };
    store.staff_state_put(&state).await.unwrap();
    let twice = store.staff_state_put(&state).await.unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::Conflict);
    let get = async |name, secs| store.staff_state_get(TokenHash::of(name), at(secs)).await.unwrap();
    assert_eq!(get("state", 599).await, Some(state));
    assert_eq!(get("state", 600).await, None);
    assert_eq!(get("other", 0).await, None);
    assert_eq!(store.sweep(at(599)).await.unwrap(), 0);
    assert_eq!(store.sweep(at(600)).await.unwrap(), 1, "at once: anybody can begin one");
    assert_eq!(get("state", 599).await, None);
}

fn login(subject: &str, created: i64, expires: i64) -> Login {
    Login {
        id: LoginId(fresh()),
        subject: subject.into(),
        name: format!("name of {subject}"),
        role: Role::Teacher,
        course: "net-101".into(),
        lab: None,
        plan: None,
        sponsor: None,
        created_at: at(created),
        expires_at: at(expires),
    }
}

fn revocation(of: LoginsOf) -> Revocation {
    Revocation {
        of,
        by: "cli".into(),
        by_name: "labwire login".into(),
        at: at(50),
    }
}

pub async fn logins_are_listed_while_they_hold_oldest_first(store: Arc<dyn Store>) {
    let (young, old, over) = (login("ada", 20, 900), login("bob", 10, 900), login("eve", 0, 100));
    for (login, bearer) in [(&young, "y"), (&old, "o"), (&over, "e")] {
        store.login_create(login, TokenHash::of(bearer)).await.unwrap();
    }
    let (before, after) = (TokenHash::of("o"), TokenHash::of("o2"));
    assert!(
        store
            .login_rotate(old.id, before, after, at(1200), at(360))
            .await
            .unwrap()
    );
    let listed = store.login_list(at(100)).await.unwrap();
    let told: Vec<_> = listed.iter().map(|l| (l.login.id, l.grace_until)).collect();
    assert_eq!(told, [(old.id, Some(at(360))), (young.id, None)]);
    assert_eq!((listed[0].login.expires_at, &listed[1].login), (at(1200), &young));
}

pub async fn a_revoked_login_opens_nothing_from_the_next_look_on(store: Arc<dyn Store>) {
    let (here, there, other) = (login("ada", 0, 900), login("ada", 5, 900), login("bob", 0, 900));
    for (login, bearer) in [(&here, "h"), (&there, "t"), (&other, "b")] {
        store.login_create(login, TokenHash::of(bearer)).await.unwrap();
    }
    let ticket = Ticket {
        hash: TokenHash::of("ticket"),
        login: here.id,
        scope: TicketScope::Wall {
            course: "net-101".into(),
        },
        expires_at: at(80),
    };
    store.ticket_create(&ticket).await.unwrap();
    let rotated = store.login_rotate(there.id, TokenHash::of("t"), TokenHash::of("t2"), at(900), at(110));
    assert!(rotated.await.unwrap());
    let ended = store
        .login_revoke(&revocation(LoginsOf::Person("ada".into())))
        .await
        .unwrap();
    assert_eq!(
        ended.iter().map(|l| l.login.id).collect::<Vec<_>>(),
        [here.id, there.id]
    );
    for bearer in ["h", "t", "t2"] {
        assert_eq!(
            store.login_by_bearer(TokenHash::of(bearer), at(51)).await.unwrap(),
            None,
            "{bearer}"
        );
    }
    assert_eq!(store.login_get(here.id, at(51)).await.unwrap(), None);
    assert_eq!(
        store.ticket_take(ticket.hash, at(51)).await.unwrap(),
        None,
        "its tickets are gone too"
    );
    assert!(
        store
            .login_by_bearer(TokenHash::of("b"), at(51))
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(
        store
            .login_revoke(&revocation(LoginsOf::Person("ada".into())))
            .await
            .unwrap(),
        []
    );
    let one = store.login_revoke(&revocation(LoginsOf::One(other.id))).await.unwrap();
    assert_eq!(one.len(), 1);
    let mut told: Vec<_> = store.audit_list(None).await.unwrap();
    told.sort_by(|a, b| a.about.cmp(&b.about));
    let told: Vec<_> = told
        .iter()
        .map(|e| {
            (
                e.action.as_str(),
                e.about.as_ref().map_or("", |s| s.as_str()),
                e.actor.as_str(),
                e.at,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("login-revoke", "ada", "cli", at(50)),
            ("login-revoke", "ada", "cli", at(50)),
            ("login-revoke", "bob", "cli", at(50)),
        ]
    );
}

pub async fn a_rotation_and_a_revocation_at_once_leave_no_login(store: Arc<dyn Store>) {
    let one = login("ada", 0, 900);
    store.login_create(&one, TokenHash::of("0")).await.unwrap();
    let id = one.id;
    at_once(20, |i| {
        let store = store.clone();
        async move {
            if i == 10 {
                store.login_revoke(&revocation(LoginsOf::One(id))).await.unwrap();
            } else {
                let (old, new) = (TokenHash::of("0"), TokenHash::of(&format!("n{i}")));
                store.login_rotate(id, old, new, at(900), at(110)).await.unwrap();
            }
        }
    })
    .await;
    assert_eq!(store.login_list(at(1)).await.unwrap(), []);
}
