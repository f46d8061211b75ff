//! Logins of staff end: by their time, or by who looks after them.

use crate::{
    bridge::{Client, close_code, open},
    kit::{COURSE, Kit},
};
use axum::http::StatusCode;
use lab_core::{
    launch::{LoginsOf, Revocation, Role},
    port::{Clock, StaffStore},
};
use lab_http::{HttpSettings, Pace};
use serde_json::json;
use std::time::Duration;

const DAY: Duration = Duration::from_hours(12);
/// As often as a page does.
const ROTATE_EVERY: Duration = Duration::from_mins(10);

/// A door that looks at logins at once, so that no test waits.
async fn watchful() -> Kit {
    let pace = Pace {
        login_every: Duration::from_millis(5),
        ..Pace::default()
    };
    Kit::with(HttpSettings {
        pace,
        ..HttpSettings::default()
    })
    .await
}

async fn ticket_of(kit: &Kit, bearer: &str) -> String {
    let wall = json!({"scope": "wall", "course": COURSE});
    let ticket = kit.post("/api/v1/tickets", Some(bearer), wall).await;
    assert_eq!(ticket.status, StatusCode::OK, "{}", ticket.text);
    ticket.json()["ticket"].as_str().unwrap().to_owned()
}

async fn revoke(kit: &Kit, of: LoginsOf) -> usize {
    let revocation = Revocation {
        of,
        by: "cli".into(),
        by_name: "labwire login".into(),
        at: kit.now(),
    };
    kit.store.login_revoke(&revocation).await.unwrap().len()
}

#[tokio::test]
async fn a_login_of_staff_ends_twelve_hours_after_its_sign_in_and_a_learners_goes_on() {
    let kit = Kit::new().await;
    let since = kit.now();
    let mut staff = Vec::new();
    for role in Role::ALL {
        staff.push((role, kit.sign_in("somebody", role).await));
    }
    let end = since.plus(DAY);
    while kit.now() < end {
        for (role, bearer) in &mut staff {
            let rotated = kit.post("/api/v1/token/rotate", Some(bearer), json!({})).await;
            assert_eq!(rotated.status, StatusCode::OK, "{role:?} {}", rotated.text);
            let told = rotated.json();
            let ends = role.is_staff().then(|| end.secs());
            assert_eq!(told["ends_at"].as_i64(), ends, "{role:?}");
            assert!(
                ends.is_none_or(|ends| told["expires_at"].as_i64().unwrap() <= ends),
                "{role:?}"
            );
            told["bearer"].as_str().unwrap().clone_into(bearer);
        }
        kit.clock.advance(ROTATE_EVERY);
    }
    for (role, bearer) in &staff {
        let expected = if role.is_staff() {
            StatusCode::UNAUTHORIZED
        } else {
            StatusCode::OK
        };
        assert_eq!(kit.get("/api/v1/me", Some(bearer)).await.status, expected, "{role:?}");
        let rotated = kit.post("/api/v1/token/rotate", Some(bearer), json!({})).await;
        assert_eq!(rotated.status, expected, "{role:?}");
    }
}

#[tokio::test]
async fn a_revoked_login_is_refused_at_its_next_request_and_so_are_its_tickets() {
    let kit = Kit::new().await;
    let server = kit.serve(8).await;
    let (here, there) = (
        kit.sign_in("t", Role::Teacher).await,
        kit.sign_in("t", Role::Coach).await,
    );
    let other = kit.sign_in("o", Role::Operations).await;
    let ticket = ticket_of(&kit, &here).await;
    assert_eq!(revoke(&kit, LoginsOf::Person("t".into())).await, 2);
    for bearer in [&here, &there] {
        let refused = kit.get("/api/v1/me", Some(bearer)).await;
        assert_eq!(
            (refused.status, refused.code()),
            (StatusCode::UNAUTHORIZED, "not-signed-in".into())
        );
        let rotated = kit.post("/api/v1/token/rotate", Some(bearer), json!({})).await;
        assert_eq!(rotated.status, StatusCode::UNAUTHORIZED);
    }
    let mut wall: Client = open(server.address, &format!("/api/v1/wall?ticket={ticket}"))
        .await
        .unwrap();
    assert_eq!(close_code(&mut wall).await, 4401);
    assert_eq!(kit.get("/api/v1/me", Some(&other)).await.status, StatusCode::OK);
    let again = kit.sign_in("t", Role::Teacher).await;
    assert_eq!(
        kit.get("/api/v1/me", Some(&again)).await.status,
        StatusCode::OK,
        "who has a role may come again"
    );
    server.end().await;
}

#[tokio::test]
async fn a_wall_that_is_open_ends_with_the_login_that_opened_it() {
    let kit = watchful().await;
    let server = kit.serve(8).await;
    for (who, revoked) in [("t", false), ("u", true)] {
        let teacher = kit.sign_in(who, Role::Teacher).await;
        let ticket = ticket_of(&kit, &teacher).await;
        let mut wall: Client = open(server.address, &format!("/api/v1/wall?ticket={ticket}"))
            .await
            .unwrap();
        if revoked {
            assert_eq!(revoke(&kit, LoginsOf::Person(who.into())).await, 1);
        } else {
            kit.clock.advance(DAY);
            // of a page that never renewed its login
            assert_eq!(kit.store.login_list(kit.clock.now()).await.unwrap(), []);
        }
        assert_eq!(close_code(&mut wall).await, 4401, "revoked: {revoked}");
    }
    server.end().await;
}
