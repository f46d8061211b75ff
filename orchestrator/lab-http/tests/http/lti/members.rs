//! Who is in a course, asked of its platform; and nothing depends on it.

use super::lms::{CLAIM, ISSUER, Lms};
use crate::kit::Answer;
use axum::http::StatusCode;
use serde_json::{Value, json};

const MEMBERS: &str = "https://lms.example.org/members?context=1";
const FIRST: &str = "https://lms.example.org/members?context=1&limit=100";
const SECOND: &str = "https://lms.example.org/members?context=1&limit=100&page=2";
const TOKEN: &str = "https://lms.example.org/token";
const ROLE: &str = "http://purl.imsglobal.org/vocab/lis/v2/membership#";

async fn teacher(lms: &Lms, members: Option<&str>) -> String {
    let launched = lms
        .launch(|claims| {
            claims["sub"] = json!("curie");
            claims[format!("{CLAIM}roles")] = json!([format!("{ROLE}Instructor")]);
            if let Some(url) = members {
                claims["https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"] =
                    json!({"context_memberships_url": url, "service_versions": ["2.0"]});
            }
        })
        .await;
    lms.sign_in(&launched).await["bearer"].as_str().unwrap().to_owned()
}

async fn people(lms: &Lms, bearer: &str) -> Answer {
    lms.kit.get("/api/v1/course/people", Some(bearer)).await
}

fn member(user: &str, name: Option<&str>, role: &str) -> Value {
    let mut member = json!({"user_id": user, "roles": [format!("{ROLE}{role}")]});
    if let Some(name) = name {
        member["name"] = json!(name);
    }
    member
}

fn page(members: &[Value]) -> String {
    json!({"id": "x", "context": {"id": "course-v1:IMT+NET"}, "members": members}).to_string()
}

#[tokio::test]
async fn a_teacher_sees_everybody_of_the_course_and_who_has_not_begun() {
    let lms = Lms::new().await;
    let ada = lms.sign_in(&lms.launch(|_| ()).await).await["bearer"]
        .as_str()
        .unwrap()
        .to_owned();
    lms.kit.told(&ada).await;
    lms.kit
        .post("/api/v1/sessions", Some(&ada), json!({"lab": "ping"}))
        .await;
    lms.kit.platform.answers(
        TOKEN,
        200,
        json!({"access_token": "t-1", "expires_in": 3600}).to_string(),
    );
    lms.kit.platform.answers_page(
        FIRST,
        page(&[
            member("8f1b-ada", None, "Learner"),
            member("curie", Some("Curie"), "Instructor"),
        ]),
        SECOND,
    );
    lms.kit
        .platform
        .answers(SECOND, 200, page(&[member("9-zoe", Some("Zoë Côté"), "Learner")]));

    let bearer = teacher(&lms, Some(MEMBERS)).await;
    let seen = people(&lms, &bearer).await;
    assert_eq!(seen.status, StatusCode::OK, "{}", seen.text);
    let now = lms.kit.now().secs();
    assert_eq!(
        seen.json(),
        json!({"offered": true, "complete": true, "people": [
            {"subject": "lms.example.org#8f1b-ada", "name": null, "role": "learner", "sessions": 1, "last_at": now},
            {"subject": "lms.example.org#curie", "name": "Curie", "role": "teacher", "sessions": 0, "last_at": null},
            {"subject": "lms.example.org#9-zoe", "name": "Zoë Côté", "role": "learner", "sessions": 0, "last_at": null},
        ]})
    );
    let asked = lms.kit.platform.requests();
    let token = asked.iter().find(|r| r.url == TOKEN).unwrap();
    assert!(token.body.contains("contextmembership.readonly"), "{}", token.body);
    people(&lms, &bearer).await;
    let tokens = lms.kit.platform.requests().iter().filter(|r| r.url == TOKEN).count();
    assert_eq!(tokens, 1, "a token is kept");
    let looks = lms.kit.get("/api/v1/looks", Some(&ada)).await.json();
    assert_eq!(
        looks[0]["action"],
        json!("people"),
        "the learner sees that it was looked at"
    );
}

#[tokio::test]
async fn a_course_whose_platform_lists_nobody_has_everything_else() {
    let lms = Lms::new().await;
    for odd in [None, Some("not an address")] {
        let bearer = teacher(&lms, odd).await;
        let seen = people(&lms, &bearer).await;
        assert_eq!(seen.json(), json!({"offered": false, "complete": true, "people": []}));
        assert_eq!(lms.kit.get("/api/v1/me", Some(&bearer)).await.status, StatusCode::OK);
    }
    assert!(lms.kit.platform.requests().iter().all(|r| r.url != TOKEN));
}

#[tokio::test]
async fn a_platform_that_refuses_fails_or_leads_elsewhere_is_named_and_gets_no_token_elsewhere() {
    let lms = Lms::new().await;
    let bearer = teacher(&lms, Some(MEMBERS)).await;
    let refused = async |why: &str| {
        let seen = people(&lms, &bearer).await;
        assert_eq!(
            (seen.status, seen.code()),
            (StatusCode::SERVICE_UNAVAILABLE, "members-unavailable".to_owned()),
            "{why}"
        );
        assert!(seen.text.contains(why), "{why}: {}", seen.text);
    };
    refused("does not answer").await;
    lms.kit
        .platform
        .answers(TOKEN, 200, json!({"access_token": "t-1"}).to_string());
    refused("does not answer").await;
    // what Open edX says of a course that is too long for it
    lms.kit
        .platform
        .answers(FIRST, 403, json!({"error": "above_response_limit"}).to_string());
    refused("answers 403").await;
    lms.kit.platform.answers(FIRST, 200, "<html>");
    refused("no `members`").await;
    let elsewhere = format!("{ISSUER}.evil.example/members");
    lms.kit.platform.answers_page(FIRST, page(&[]), &elsewhere);
    refused("another host").await;
    assert!(lms.kit.platform.requests().iter().all(|r| r.url != elsewhere));
}
