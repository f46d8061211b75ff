//! Every route, every role, and nobody: who gets past the guard is exactly what is written here.

use crate::kit::{COURSE, Kit};
use axum::http::{Method, StatusCode};
use lab_core::launch::Role;
use serde_json::json;

const L: Role = Role::Learner;
const T: Role = Role::Teacher;
const C: Role = Role::Coach;
const A: Role = Role::Author;
const E: Role = Role::Enrolment;
const M: Role = Role::Manager;
const S: Role = Role::Sponsor;
const O: Role = Role::Operations;

/// Written by hand, not read from the code: a route that is not here fails the test.
fn allowed() -> Vec<(Method, &'static str, Option<&'static [Role]>)> {
    let (get, post) = (Method::GET, Method::POST);
    vec![
        (post.clone(), "/api/v1/launch", None),
        (post.clone(), "/api/v1/token/rotate", Some(&[L, T, C, A, E, M, S, O])),
        (get.clone(), "/api/v1/me", Some(&[L, T, C, A, E, M, S, O])),
        (get.clone(), "/api/v1/labs", Some(&[L, T, C, A, O])),
        (get.clone(), "/api/v1/labs/{id}", Some(&[L, T, C, A, O])),
        (get.clone(), "/api/v1/demo/{lab}", Some(&[L, T, C, A, O])),
        (post.clone(), "/api/v1/sessions", Some(&[L])),
        (get.clone(), "/api/v1/sessions", Some(&[L, T, C, O])),
        (get.clone(), "/api/v1/sessions/{id}", Some(&[L, T, C, O])),
        (post.clone(), "/api/v1/sessions/{id}/stop", Some(&[L, T, C, O])),
        (post.clone(), "/api/v1/sessions/{id}/extend", Some(&[L, T, C])),
        (post.clone(), "/api/v1/test-runs", Some(&[T, A, O])),
        (post.clone(), "/api/v1/vouchers/redeem", Some(&[L])),
        (get.clone(), "/api/v1/notice", Some(&[L, T, C, A, E, M, S, O])),
        // by keys of their own: no login opens them
        (post.clone(), "/api/v1/orders", Some(&[])),
        (get.clone(), "/api/v1/orders/{order}", Some(&[])),
        (post.clone(), "/api/v1/orders/{order}/cancel", Some(&[])),
        (post.clone(), "/api/v1/notice", Some(&[L])),
        (get.clone(), "/api/v1/looks", Some(&[L])),
        (get.clone(), "/api/v1/course/people", Some(&[T, C])),
        (get.clone(), "/api/v1/people", Some(&[O])),
        (post.clone(), "/api/v1/people/show", Some(&[O])),
        (post.clone(), "/api/v1/people/export", Some(&[O])),
        (post.clone(), "/api/v1/people/erase", Some(&[O])),
        (post.clone(), "/api/v1/tickets", Some(&[L, T, C])),
        (get.clone(), "/api/v1/learners", Some(&[T, C, O])),
        (post.clone(), "/api/v1/learners/show", Some(&[T, O])),
        (get.clone(), "/api/v1/ws", None),
        (get.clone(), "/api/v1/wall", None),
        (get.clone(), "/api/v1/sessions/{id}/recording", Some(&[L, T, C])),
        (get.clone(), "/api/v1/sessions/{id}/recording/journal", Some(&[L, T, C])),
        (get.clone(), "/api/v1/sessions/{id}/recording/export", Some(&[L, T, C])),
        (get.clone(), "/api/v1/usage", Some(&[T, O])),
        (get.clone(), "/api/v1/progress", Some(&[T, M])),
        (get.clone(), "/api/v1/indicators", Some(&[T, M])),
        (post.clone(), "/api/v1/indicators/rule", Some(&[T])),
        (get.clone(), "/api/v1/vouchers", Some(&[E])),
        (post.clone(), "/api/v1/vouchers", Some(&[E])),
        (post.clone(), "/api/v1/vouchers/{id}/revoke", Some(&[E])),
        (post.clone(), "/api/v1/vouchers/redeem-for", Some(&[E])),
        (post.clone(), "/api/v1/grants/show", Some(&[E])),
        (get.clone(), "/api/v1/health", Some(&[O])),
        (get.clone(), "/api/v1/operations/pools", Some(&[O])),
        (get.clone(), "/api/v1/operations/queue", Some(&[O])),
        (get.clone(), "/api/v1/operations/accounts", Some(&[O])),
        (get.clone(), "/api/v1/operations/statement", Some(&[S, O])),
        (get.clone(), "/api/v1/operations", Some(&[O])),
        (get.clone(), "/api/v1/operations/lti", Some(&[O])),
        (post.clone(), "/api/v1/operations/lti/add", Some(&[O])),
        (get.clone(), "/api/v1/operations/lti/guides", Some(&[O])),
        (post.clone(), "/api/v1/operations/lti/invite", Some(&[O])),
        (post.clone(), "/api/v1/operations/lti/approve", Some(&[O])),
        (post.clone(), "/api/v1/operations/lti/reject", Some(&[O])),
        (post.clone(), "/api/v1/operations/pause", Some(&[O])),
        (post.clone(), "/api/v1/operations/resume", Some(&[O])),
        (get.clone(), "/api/v1/audit", Some(&[L, T, C, O])),
        (get.clone(), "/api/v1/staff", None),
        (get.clone(), "/staff/login", None),
        (get.clone(), "/staff/callback", None),
        (get.clone(), "/lti/login", None),
        (post.clone(), "/lti/login", None),
        (get.clone(), "/lti/launch", None),
        (post.clone(), "/lti/launch", None),
        (get.clone(), "/lti/labs/{lab}", None),
        (post.clone(), "/lti/labs/{lab}", None),
        (get.clone(), "/lti/{*address}", None),
        (post.clone(), "/lti/{*address}", None),
        (post.clone(), "/lti/choose", None),
        (get.clone(), "/lti/choose.js", None),
        (get.clone(), "/lti/register", None),
        (get.clone(), "/lti/register.js", None),
        (get.clone(), "/lti/jwks", None),
        (get.clone(), "/lti/storage.js", None),
        (get.clone(), "/healthz", None),
        (get.clone(), "/readyz", None),
        (get.clone(), "/metrics", None),
        (get, "/openapi.json", None),
    ]
}

fn address(path: &str, session: &str) -> String {
    path.replace("{id}", if path.contains("/labs/") { "ping" } else { session })
        .replace("{lab}", "ping")
        .replace("{*address}", "labs/ping/")
}

#[tokio::test]
async fn every_route_lets_in_exactly_whom_it_is_for() {
    let kit = Kit::new().await;
    let (session, _) = kit.session().await;
    let mut routed = lab_http::routes();
    for (method, path, roles) in allowed() {
        let index = routed.iter().position(|(m, p, _)| *m == method && *p == path);
        routed.remove(index.unwrap_or_else(|| panic!("{method} {path} is not a route")));
        let body = (method == Method::POST).then(|| json!({}));
        let at = address(path, &session);
        let nobody = kit.call(method.clone(), &at, None, body.clone()).await;
        let expired = kit.call(method.clone(), &at, Some("not-a-bearer"), body.clone()).await;
        let Some(roles) = roles else {
            assert_ne!(nobody.status, StatusCode::UNAUTHORIZED, "{method} {path}");
            continue;
        };
        if roles.is_empty() {
            let mut answers = vec![nobody, expired];
            for role in [L, T, O] {
                let bearer = kit.sign_in("someone", role).await;
                answers.push(kit.call(method.clone(), &at, Some(&bearer), body.clone()).await);
            }
            let all = answers.iter().all(|a| a.status == StatusCode::UNAUTHORIZED);
            assert!(all, "{method} {path}: {answers:?}");
            continue;
        }
        assert_eq!(
            (nobody.status, nobody.code().as_str()),
            (StatusCode::UNAUTHORIZED, "not-signed-in"),
            "{method} {path}"
        );
        assert_eq!(
            (expired.status, expired.code().as_str()),
            (StatusCode::UNAUTHORIZED, "not-signed-in"),
            "{method} {path}"
        );
        for role in Role::ALL {
            // a fresh bearer each time: one of the routes spends it
            let bearer = kit.sign_in("someone", role).await;
            let answer = kit.call(method.clone(), &at, Some(&bearer), body.clone()).await;
            let guarded =
                answer.status == StatusCode::FORBIDDEN && answer.json()["message"] == "your role may not do this";
            assert_eq!(
                !guarded,
                roles.contains(&role),
                "{method} {path} as {}: {} {}",
                role.name(),
                answer.status,
                answer.text
            );
            assert_ne!(
                answer.status,
                StatusCode::UNAUTHORIZED,
                "{method} {path} as {}",
                role.name()
            );
        }
    }
    assert!(routed.is_empty(), "routes nobody decided about: {routed:?}");
}

#[tokio::test]
async fn what_a_login_may_not_know_is_not_there() {
    let kit = Kit::new().await;
    let (session, _) = kit.session().await;
    let stranger = kit.sign_in("bob", L).await;
    for path in [
        "",
        "/recording",
        "/recording/journal?from=0",
        "/recording/export?format=text&terminal=h1",
    ] {
        let answer = kit
            .get(&format!("/api/v1/sessions/{session}{path}"), Some(&stranger))
            .await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::NOT_FOUND, "not-found"),
            "{path}"
        );
    }
    let stop = kit
        .post(&format!("/api/v1/sessions/{session}/stop"), Some(&stranger), json!({}))
        .await;
    assert_eq!(stop.status, StatusCode::NOT_FOUND);
    let ticket = kit
        .post(
            "/api/v1/tickets",
            Some(&stranger),
            json!({"scope": "session", "session": session, "writer": "1"}),
        )
        .await;
    assert_eq!(ticket.status, StatusCode::NOT_FOUND);
    let wall = kit
        .post(
            "/api/v1/tickets",
            Some(&stranger),
            json!({"scope": "wall", "course": COURSE}),
        )
        .await;
    assert_eq!(wall.status, StatusCode::FORBIDDEN, "the wall is for teachers");
    let list = kit.get("/api/v1/sessions", Some(&stranger)).await;
    assert_eq!(list.json(), json!([]));
}
