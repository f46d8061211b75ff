//! Shops order by keys of their own: once each, what they may, and every wrong field is named.

use crate::kit::{Answer, COURSE, Kit};
use axum::http::StatusCode;
use lab_app::entitlement::make_order_key;
use lab_core::{
    OrderKeyId, SponsorId,
    entitlement::{GrantBudget, ORDERS_A_MINUTE, OrderKey},
    launch::Role,
    port::{Clock, OrderStore},
};
use serde_json::{Value, json};

async fn key(kit: &Kit, shop: &str, budget: GrantBudget) -> (OrderKeyId, String) {
    let (id, token, hash) = make_order_key(kit.app.ports().entropy.as_ref(), kit.app.keyring());
    let key = OrderKey {
        id,
        shop: shop.into(),
        hash,
        key: "k1".into(),
        courses: [COURSE.into()].into(),
        plans: ["QUALIFYING".into()].into(),
        sponsor: Some(SponsorId("esp".into())),
        site: None,
        budget,
        created_at: kit.clock.now(),
        revoked_at: None,
    };
    kit.store.order_key_add(&key).await.unwrap();
    (id, token)
}

fn order(number: &str, person: &str) -> Value {
    json!({ "order": number, "person": person, "course": COURSE, "plan": "QUALIFYING", "seconds": 1800 })
}

async fn place(kit: &Kit, token: &str, body: Value) -> Answer {
    kit.post("/api/v1/orders", Some(token), body).await
}

fn fields(answer: &Answer) -> Vec<String> {
    let fields = answer.json()["fields"].as_array().cloned().unwrap_or_default();
    fields.iter().map(|f| f["field"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_order_opens_labs_for_its_person_once() {
    let kit = Kit::new().await;
    let (_, token) = key(&kit, "shop", GrantBudget::default()).await;
    let first = place(&kit, &token, order("S-1", "bea@example.org")).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    let again = place(&kit, &token, order("S-1", "bea@example.org")).await;
    assert_eq!((again.status, again.json()), (StatusCode::OK, first.json()));
    assert_eq!(kit.get("/api/v1/orders/S-1", Some(&token)).await.json(), first.json());
    let other = place(&kit, &token, order("S-1", "eve@example.org")).await;
    assert_eq!(
        (other.status, other.code().as_str()),
        (StatusCode::CONFLICT, "order-differs")
    );
    assert_eq!(fields(&other), ["person"]);
    assert!(!other.text.contains("bea@"), "whose it was is not told: {}", other.text);
    let bearer = kit.sign_in("bea@example.org", Role::Learner).await;
    let started = kit
        .post("/api/v1/sessions", Some(&bearer), json!({ "lab": "ping" }))
        .await;
    assert_eq!(started.status, StatusCode::CREATED, "{}", started.text);
    let cancelled = kit
        .post(
            "/api/v1/orders/S-1/cancel",
            Some(&token),
            json!({ "reason": "paid twice" }),
        )
        .await;
    assert_eq!(cancelled.status, StatusCode::OK, "{}", cancelled.text);
    let body = cancelled.json();
    assert_eq!(
        (&body["state"], &body["cancelled"]["taken_back"]),
        (&json!("cancelled"), &json!(900)),
        "what the lab that runs holds stays"
    );
}

#[tokio::test]
async fn a_shop_orders_what_its_key_is_for_and_sees_its_own_orders_only() {
    let kit = Kit::new().await;
    let (_, token) = key(
        &kit,
        "shop",
        GrantBudget {
            grants: Some(1),
            seconds: None,
        },
    )
    .await;
    let (_, office) = key(&kit, "office", GrantBudget::default()).await;
    let mut wrong = order("S-1", "bea");
    wrong["plan"] = json!("DISCOVERY");
    wrong["course"] = json!("art");
    let refused = place(&kit, &token, wrong).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (StatusCode::FORBIDDEN, "order-not-allowed")
    );
    assert_eq!(fields(&refused), ["course", "plan"]);
    assert_eq!(
        place(&kit, &token, order("S-1", "bea")).await.status,
        StatusCode::CREATED
    );
    let spent = place(&kit, &token, order("S-2", "bob")).await;
    assert_eq!(
        (spent.status, spent.code().as_str()),
        (StatusCode::CONFLICT, "order-budget")
    );
    for path in ["/api/v1/orders/S-1", "/api/v1/orders/S-9"] {
        let unseen = kit.get(path, Some(&office)).await;
        assert_eq!(
            (unseen.status, unseen.code().as_str()),
            (StatusCode::NOT_FOUND, "order-unknown")
        );
    }
    // its own number S-1 is another order
    assert_eq!(
        place(&kit, &office, order("S-1", "eve")).await.status,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn every_wrong_field_is_named_with_its_remedy_and_nothing_is_ordered() {
    let kit = Kit::new().await;
    let (_, token) = key(&kit, "shop", GrantBudget::default()).await;
    let wrong = json!({ "order": "S-1", "person": "", "course": COURSE, "plan": 7, "seconds": -1, "colour": "red" });
    let refused = place(&kit, &token, wrong).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (StatusCode::BAD_REQUEST, "order-invalid")
    );
    let mut named = fields(&refused);
    named.sort();
    assert_eq!(named, ["colour", "person", "plan", "seconds"]);
    let remedies = refused.json()["fields"].as_array().unwrap().clone();
    assert!(remedies.iter().all(|f| !f["remedy"].as_str().unwrap().is_empty()));
    let large = json!({ "order": "x".repeat(70_000) });
    assert_eq!(place(&kit, &token, large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        kit.get("/api/v1/orders/S-1", Some(&token)).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        kit.post("/api/v1/orders/S-1/cancel", Some(&token), json!({}))
            .await
            .code(),
        "order-invalid"
    );
}

#[tokio::test]
async fn only_a_good_key_opens_anything_and_not_too_often() {
    let kit = Kit::new().await;
    let (id, token) = key(&kit, "shop", GrantBudget::default()).await;
    let mut forged = token.clone();
    let last = forged.pop().unwrap();
    forged.push(if last == '0' { '1' } else { '0' });
    let refused = place(&kit, &forged, order("S-1", "bea")).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (StatusCode::UNAUTHORIZED, "order-key-unknown")
    );
    for i in 0..ORDERS_A_MINUTE {
        let answer = kit.get("/api/v1/orders/none", Some(&token)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "request {i}");
    }
    let fast = place(&kit, &token, order("S-1", "bea")).await;
    assert_eq!(
        (fast.status, fast.code().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "order-pace")
    );
    assert!(fast.json()["until"].as_i64().unwrap() > kit.now().secs());
    kit.store.order_key_revoke(id, kit.now()).await.unwrap();
    let revoked = place(&kit, &token, order("S-1", "bea")).await;
    assert_eq!((revoked.status, revoked.text), (refused.status, refused.text));
}
