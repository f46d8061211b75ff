//! What each role of staff sees behind the guard: its own course, its own sponsor, and of a learner's work no more than it needs.

use crate::kit::{COURSE, Kit, LAB, SPONSOR};
use axum::http::StatusCode;
use lab_core::{entitlement::GUESSES_MAX, launch::Role, port::Store as _};
use serde_json::{Value, json};

async fn of_course(kit: &Kit, role: Role, course: &str) -> String {
    let mut claims = kit.claims("staff", role);
    claims.course = course.into();
    let signed = kit
        .post("/api/v1/launch", None, json!({ "token": kit.link(&claims) }))
        .await;
    assert_eq!(signed.status, StatusCode::OK, "{}", signed.text);
    signed.json()["bearer"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_coach_watches_their_own_course_and_sees_no_money() {
    let kit = Kit::new().await;
    let (session, _) = kit.session().await;
    let (coach, elsewhere) = (
        of_course(&kit, Role::Coach, COURSE).await,
        of_course(&kit, Role::Coach, "web").await,
    );
    let ticket = json!({"scope": "session", "session": session, "writer": "1"});
    assert_eq!(
        kit.post("/api/v1/tickets", Some(&coach), ticket.clone()).await.status,
        StatusCode::OK
    );
    assert_eq!(
        kit.post("/api/v1/tickets", Some(&elsewhere), ticket).await.status,
        StatusCode::NOT_FOUND
    );
    let wall = json!({"scope": "wall", "course": COURSE});
    assert_eq!(
        kit.post("/api/v1/tickets", Some(&coach), wall.clone()).await.status,
        StatusCode::OK
    );
    assert_eq!(
        kit.post("/api/v1/tickets", Some(&elsewhere), wall).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        kit.get("/api/v1/sessions", Some(&coach))
            .await
            .json()
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    assert_eq!(kit.get("/api/v1/sessions", Some(&elsewhere)).await.json(), json!([]));
    assert_eq!(
        kit.get("/api/v1/usage", Some(&coach)).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn a_manager_reads_counts_of_their_course_and_the_learner_sees_that_they_did() {
    let kit = Kit::new().await;
    let (_, learner) = kit.session().await;
    let manager = of_course(&kit, Role::Manager, COURSE).await;
    let page = kit.get("/api/v1/progress", Some(&manager)).await.json();
    assert_eq!(page["started"], 1);
    let fields: Vec<&String> = page["learners"][0].as_object().unwrap().keys().collect();
    let told = [
        "active_at",
        "checks_passed",
        "checks_total",
        "lab",
        "learner",
        "name",
        "running",
        "started_at",
    ];
    assert_eq!(fields, told, "counts, and nothing of what was typed or shown");
    let row = &page["learners"][0];
    assert_eq!(
        (&row["learner"], &row["lab"], &row["checks_total"]),
        (&json!("ana"), &json!(LAB), &json!(1))
    );
    let elsewhere = of_course(&kit, Role::Manager, "web").await;
    assert_eq!(
        kit.get("/api/v1/progress", Some(&elsewhere)).await.json()["learners"],
        json!([])
    );
    let looks = kit.get("/api/v1/looks", Some(&learner)).await.json();
    let actions: Vec<&Value> = looks.as_array().unwrap().iter().map(|l| &l["action"]).collect();
    assert_eq!(actions, [&json!("report")], "{looks}");
}

#[tokio::test]
async fn a_sponsor_reads_their_own_statement_and_no_other() {
    let kit = Kit::new().await;
    let sponsor = kit.sign_in("esp", Role::Sponsor).await;
    let ask = async |of: &str| {
        let path = format!("/api/v1/operations/statement?{of}&from=0&until=4000000000");
        kit.get(&path, Some(&sponsor)).await.status
    };
    assert_eq!(ask(&format!("sponsor={SPONSOR}")).await, StatusCode::OK);
    for other in ["sponsor=acme", &format!("course={COURSE}"), "learner=ana"] {
        assert_eq!(ask(other).await, StatusCode::FORBIDDEN, "{other}");
    }
}

#[tokio::test]
async fn wrong_codes_at_the_counter_hold_up_who_types_them_and_not_the_learner() {
    let kit = Kit::new().await;
    let (clerk, other) = (
        kit.sign_in("clerk", Role::Enrolment).await,
        kit.sign_in("other", Role::Enrolment).await,
    );
    let zoe = kit.sign_in("zoe", Role::Learner).await;
    let (code, second) = (kit.voucher(600).await, kit.voucher(600).await);
    let for_somebody = async |bearer: &str, learner: &str, code: &str| {
        let body = json!({"learner": learner, "code": code});
        kit.post("/api/v1/vouchers/redeem-for", Some(bearer), body).await
    };
    // who is nobody counts for nothing, however often
    let forgotten = lab_core::privacy::pseudonym([7; 32]);
    for _ in 0..2 * GUESSES_MAX {
        let unknown = for_somebody(&clerk, "nobody", "wrong").await;
        assert_eq!(
            (unknown.status, unknown.code()),
            (StatusCode::NOT_FOUND, "learner-unknown".into())
        );
        let erased = for_somebody(&clerk, forgotten.as_str(), "wrong").await;
        assert_eq!(
            (erased.status, erased.code()),
            (StatusCode::BAD_REQUEST, "learner-forgotten".into())
        );
    }
    let asked_about = kit
        .post("/api/v1/grants/show", Some(&clerk), json!({"learner": "nobody"}))
        .await;
    assert_eq!(asked_about.status, StatusCode::OK);
    assert_eq!(
        for_somebody(&clerk, "nobody", &code).await.code(),
        "learner-unknown",
        "asking makes nobody known"
    );
    for _ in 0..GUESSES_MAX {
        assert_eq!(for_somebody(&clerk, "zoe", "wrong").await.code(), "voucher-unknown");
    }
    assert_eq!(for_somebody(&clerk, "zoe", &code).await.code(), "voucher-guesses");
    assert_eq!(
        for_somebody(&clerk, "ana", &code).await.code(),
        "voucher-guesses",
        "whoever it is for"
    );
    let own = kit
        .post("/api/v1/vouchers/redeem", Some(&zoe), json!({"code": code}))
        .await;
    assert_eq!(
        own.status,
        StatusCode::OK,
        "the learner's own try is not held up: {}",
        own.text
    );
    assert_eq!(for_somebody(&other, "zoe", &second).await.status, StatusCode::OK);
}

#[tokio::test]
async fn enrolment_makes_codes_redeems_them_for_somebody_and_withdraws_the_rest() {
    let kit = Kit::new().await;
    let (enrolment, elsewhere) = (
        of_course(&kit, Role::Enrolment, COURSE).await,
        of_course(&kit, Role::Enrolment, "web").await,
    );
    let asked = json!({"label": "ESP", "plan": "QUALIFYING", "count": 2, "hours": 0.75});
    // whose money it is, and more than the plan gives, is not for the counter to say
    for (field, value) in [("sponsor", json!("esp")), ("hours", json!(20_000)), ("hours", json!(0))] {
        let mut more = asked.clone();
        more[field] = value;
        let refused = kit.post("/api/v1/vouchers", Some(&enrolment), more).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{field}: {}", refused.text);
    }
    let made = kit.post("/api/v1/vouchers", Some(&enrolment), asked).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    let made = made.json();
    let (batch, code) = (
        made["batch"]["id"].as_str().unwrap(),
        made["codes"][0].as_str().unwrap(),
    );
    kit.sign_in("zoe", Role::Learner).await;
    let body = json!({"learner": "zoe", "code": code});
    let redeemed = kit
        .post("/api/v1/vouchers/redeem-for", Some(&enrolment), body.clone())
        .await;
    assert_eq!(
        (redeemed.status, &redeemed.json()["seconds"]),
        (StatusCode::OK, &json!(2_700)),
        "{}",
        redeemed.text
    );
    let grants = kit
        .post("/api/v1/grants/show", Some(&enrolment), json!({"learner": "zoe"}))
        .await
        .json();
    assert_eq!(
        (&grants[0]["available"], grants.as_array().map(Vec::len)),
        (&json!(2_700), Some(1))
    );
    let foreign = kit
        .post("/api/v1/grants/show", Some(&elsewhere), json!({"learner": "zoe"}))
        .await
        .json();
    assert_eq!(foreign, json!([]));
    assert_eq!(kit.get("/api/v1/vouchers", Some(&elsewhere)).await.json(), json!([]));
    let revoke = format!("/api/v1/vouchers/{batch}/revoke");
    let reason = json!({"reason": "lost"});
    assert_eq!(
        kit.post(&revoke, Some(&elsewhere), reason.clone()).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        kit.post(&revoke, Some(&enrolment), json!({"reason": " "})).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        kit.post(&revoke, Some(&enrolment), reason).await.status,
        StatusCode::NO_CONTENT
    );
    let body = json!({"learner": "zoe", "code": made["codes"][1]});
    assert_eq!(
        kit.post("/api/v1/vouchers/redeem-for", Some(&enrolment), body)
            .await
            .code(),
        "voucher-revoked"
    );
    let listed = kit.get("/api/v1/vouchers", Some(&enrolment)).await.json();
    assert_eq!((&listed[0]["redeemed"], &listed[0]["size"]), (&json!(1), &json!(2)));
    assert!(!listed.to_string().contains(code), "codes are told once");
    let log = kit.store.audit_list(None).await.unwrap();
    let actions: Vec<&str> = log.iter().map(|e| e.action.as_str()).collect();
    for action in ["voucher-make", "voucher-redeem", "voucher-revoke"] {
        assert!(actions.contains(&action), "{action} is not in {actions:?}");
    }
    assert!(log.iter().all(|e| !e.detail.contains(code)));
}

#[tokio::test]
async fn a_batch_that_cannot_be_is_refused_by_its_field() {
    let kit = Kit::new().await;
    let enrolment = of_course(&kit, Role::Enrolment, COURSE).await;
    for (field, body) in [
        ("plan", json!({"plan": "DISCOVERY", "count": 1})),
        ("plan", json!({"plan": "GOLD", "count": 1})),
        ("count", json!({"plan": "QUALIFYING", "count": 0})),
        ("count", json!({"plan": "QUALIFYING", "count": 1_000_000})),
        ("hours", json!({"plan": "QUALIFYING", "count": 1, "hours": 0})),
        ("hours", json!({"plan": "QUALIFYING", "count": 1, "hours": 0.3333})),
        (
            "valid_days",
            json!({"plan": "QUALIFYING", "count": 1, "valid_days": 99_999}),
        ),
        (
            "label",
            json!({"plan": "QUALIFYING", "count": 1, "label": "x".repeat(121)}),
        ),
    ] {
        let answer = kit.post("/api/v1/vouchers", Some(&enrolment), body).await;
        let message = answer.json()["message"].as_str().unwrap_or_default().to_owned();
        assert!(
            answer.status == StatusCode::BAD_REQUEST && message.starts_with(&format!("{field}: ")),
            "{message}"
        );
    }
    for learner in ["", "  ", "a\nb"] {
        let answer = kit
            .post("/api/v1/grants/show", Some(&enrolment), json!({ "learner": learner }))
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{learner:?}");
    }
}

#[tokio::test]
async fn a_link_that_lacks_what_its_role_is_bound_to_opens_nothing() {
    let kit = Kit::new().await;
    for role in Role::ALL {
        let mut claims = kit.claims("someone", role);
        claims.course = String::new().into();
        claims.sponsor = None;
        let answer = kit
            .post("/api/v1/launch", None, json!({ "token": kit.link(&claims) }))
            .await;
        let free = matches!(role, Role::Author | Role::Operations);
        assert_eq!(answer.status == StatusCode::OK, free, "{role:?}: {}", answer.text);
    }
}
