//! LTI 1.3, Assignment and Grade Services: what is asked of a platform, and what its answers mean.

use super::{
    Grade, Verdict,
    verdict::{by_status, is_page, said},
};
use crate::{
    LabId, Timestamp,
    launch::lti::{is_address, percent_encode},
    port::{PlatformAnswer, PlatformRequest},
};
use serde_json::{Value, json};
use std::time::Duration;

const SCOPE: &str = "https://purl.imsglobal.org/spec/lti-ags/scope/";
/// The right to give scores: the one that every platform with grades has.
pub const SCORE_SCOPE: &str = "https://purl.imsglobal.org/spec/lti-ags/scope/score";
const SCORE_TYPE: &str = "application/vnd.ims.lis.v1.score+json";
const RESULTS_TYPE: &str = "application/vnd.ims.lis.v2.resultcontainer+json";
const LINE_ITEM_TYPE: &str = "application/vnd.ims.lis.v2.lineitem+json";
const LINE_ITEMS_TYPE: &str = "application/vnd.ims.lis.v2.lineitemcontainer+json";

/// Results and line items asked for at once. Open edX gives the newest results of everybody first, whatever is asked: what supersedes ours is of
/// the last moments, and so among them.
const PAGE: u32 = 100;

/// An assertion is used at once.
const ASSERTION_SECS: i64 = 60;
/// … and was made a little before, for a platform whose clock is behind ours.
const ASSERTION_EARLIER_SECS: i64 = 5;

/// Of a token that does not say.
const TOKEN_SECS: u64 = 3600;
/// Longest access token that is taken: Open edX's is a signed one of a kilobyte.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Points of a line item that we make. Scores carry their own maximum; platforms scale.
const LINE_ITEM_MAXIMUM: u32 = 100;
/// Open edX keeps so many characters of a label.
const LABEL_CHARS_MAX: usize = 100;
/// Marks line items that are ours.
const TAG: &str = "labwire";

/// What a token is asked for, of what the platform offers, in an order that is always the same. `None`: it does not let us give scores.
pub fn scopes(offered: &[String], line_item_known: bool) -> Option<Vec<String>> {
    let mut wanted = vec!["score", "result.readonly"];
    if !line_item_known {
        wanted.extend(["lineitem", "lineitem.readonly"]);
    }
    let wanted = wanted.into_iter().map(|name| format!("{SCOPE}{name}"));
    let scopes: Vec<String> = wanted.filter(|s| offered.contains(s)).collect();
    scopes
        .first()
        .is_some_and(|s| *s == format!("{SCOPE}score"))
        .then_some(scopes)
}

/// Whether these scopes let us read what a platform has.
pub fn may_read_results(scopes: &[String]) -> bool {
    scopes.iter().any(|s| *s == format!("{SCOPE}result.readonly"))
}

/// The claims of the assertion that a token is asked for with; `jti` must be new.
pub fn assertion(client_id: &str, audience: &str, jti: &str, now: Timestamp) -> Value {
    json!({
        "iss": client_id, "sub": client_id, "aud": audience, "jti": jti,
        "iat": now.secs() - ASSERTION_EARLIER_SECS, "exp": now.secs() + ASSERTION_SECS,
    })
}

/// Asks for an access token.
pub fn token_request(token_url: &str, assertion: &str, scopes: &[String]) -> PlatformRequest {
    let form = [
        ("grant_type", "client_credentials"),
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        ("client_assertion", assertion),
        ("scope", &scopes.join(" ")),
    ];
    let form: Vec<String> = form.iter().map(|(n, v)| format!("{n}={}", percent_encode(v))).collect();
    PlatformRequest::post(token_url, "application/x-www-form-urlencoded", form.join("&"))
        .header("accept", "application/json".to_owned())
}

/// An access token and how long it is used: four fifths of its life. A refusal is never final: a platform may only learn of a new key of ours,
/// or of a registration, some time later.
pub fn read_token(answer: &PlatformAnswer) -> Result<(String, Duration), Verdict> {
    let refused = |why: String| Verdict::later("token-refused", why);
    if answer.status != 200 {
        let said = if is_page(&answer.body) {
            "a page".to_owned()
        } else {
            said(&answer.body)
        };
        return Err(refused(format!(
            "no access token: the platform answers {}: {said}",
            answer.status
        )));
    }
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let token = body.get("access_token").and_then(Value::as_str).unwrap_or_default();
    // it becomes a header
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(refused("no access token is in the platform's answer".to_owned()));
    }
    let secs = body.get("expires_in").and_then(Value::as_u64).unwrap_or(TOKEN_SECS);
    Ok((token.to_owned(), Duration::from_secs(secs.min(24 * 3600)).mul_f32(0.8)))
}

/// An address with a piece of path put after its own, before its query, and more query.
fn below(url: &str, path: &str, query: &[(&str, &str)]) -> String {
    let url = url.split('#').next().unwrap_or_default();
    let (base, own) = url.split_once('?').map_or((url, None), |(base, own)| (base, Some(own)));
    let more = query.iter().map(|(n, v)| format!("{n}={}", percent_encode(v)));
    let all: Vec<String> = own.map(str::to_owned).into_iter().chain(more).collect();
    let base = if path.is_empty() {
        base
    } else {
        base.trim_end_matches('/')
    };
    if all.is_empty() {
        return format!("{base}{path}");
    }
    format!("{base}{path}?{}", all.join("&"))
}

fn bearer(request: PlatformRequest, token: &str) -> PlatformRequest {
    request.header("authorization", format!("Bearer {token}"))
}

/// Sends a score: always graded, since what is not makes Moodle blank what it has, and Open edX keep what it has. `stamp`: see
/// [`super::next_stamp`].
pub fn score_request(line_item: &str, token: &str, user: &str, grade: Grade, stamp: i64) -> PlatformRequest {
    let at = Timestamp::from_secs(stamp).to_string();
    let progress = if grade.is_complete() { "Completed" } else { "InProgress" };
    let body = json!({
        "userId": user, "scoreGiven": grade.given, "scoreMaximum": grade.maximum,
        // some platforms want the fraction of a second to be there
        "timestamp": at.replace('Z', ".000Z"),
        "activityProgress": progress, "gradingProgress": "FullyGraded",
        "comment": format!("{grade}"),
    });
    bearer(
        PlatformRequest::post(&below(line_item, "/scores", &[]), SCORE_TYPE, body.to_string()),
        token,
    )
}

/// Said by Open edX, with 400, of a time that is not later than the last score's.
const OPEN_EDX_SUPERSEDED: [&str; 2] = [
    "Score timestamp can only be updated to a later point in time",
    "Score already exists for the provided timestamp",
];

/// What the answer to a score means.
pub fn judge_score(answer: &PlatformAnswer) -> Verdict {
    let (status, body) = (answer.status, answer.body.as_str());
    let superseded = status == 409 || (status == 400 && OPEN_EDX_SUPERSEDED.iter().any(|text| body.contains(text)));
    if superseded && !is_page(body) {
        return Verdict::Superseded;
    }
    by_status(status, body).unwrap_or(Verdict::Accepted).patient(answer)
}

/// Asks what the platform has of a learner.
pub fn results_request(line_item: &str, token: &str, user: &str) -> PlatformRequest {
    let query = [("user_id", user), ("limit", &PAGE.to_string())];
    bearer(
        PlatformRequest::get(&below(line_item, "/results", &query), RESULTS_TYPE),
        token,
    )
}

/// The same by path: releases of Open edX before 10 know no other way.
pub fn results_by_path(line_item: &str, token: &str, user: &str) -> PlatformRequest {
    let path = format!("/results/{}", percent_encode(user));
    bearer(PlatformRequest::get(&below(line_item, &path, &[]), RESULTS_TYPE), token)
}

/// Whether the platform has this grade already; what to do when it cannot be told or is another one.
pub fn judge_results(answer: &PlatformAnswer, user: &str, grade: Grade) -> Verdict {
    if let Some(verdict) = by_status(answer.status, &answer.body) {
        // that results cannot be read says nothing of the score
        return match verdict {
            Verdict::Refused { detail, .. } => Verdict::later("superseded", detail),
            other => other,
        };
    }
    let results: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let all = results.as_array().map(Vec::as_slice).unwrap_or_default();
    let ours = all
        .iter()
        .find(|r| r.get("userId").and_then(Value::as_str) == Some(user));
    let number = |name: &str| ours.and_then(|r| r.get(name)).and_then(Value::as_f64);
    match (number("resultScore"), number("resultMaximum").unwrap_or(1.0)) {
        (Some(score), maximum) if grade.is(score, maximum) => Verdict::Accepted,
        (Some(score), maximum) => Verdict::later(
            "superseded",
            format!(
                "the platform has {score} of {maximum} with a later time; it gets {grade} with one that is later still"
            ),
        ),
        (None, _) => Verdict::later(
            "superseded",
            "the platform has something with a later time, and does not show it",
        ),
    }
}

/// Asks for our line items of a lab.
pub fn line_items_request(line_items: &str, token: &str, lab: &LabId) -> PlatformRequest {
    let query = [("resource_id", lab.as_str()), ("limit", &PAGE.to_string())];
    bearer(
        PlatformRequest::get(&below(line_items, "", &query), LINE_ITEMS_TYPE),
        token,
    )
}

/// Line items are read to this page, a thousand of them: a course has dozens, and one whose list does not end is not followed for ever.
pub const LINE_ITEM_PAGES_MAX: usize = 10;

/// Asks for a further page of a list.
pub fn page_request(next: &str, token: &str) -> PlatformRequest {
    bearer(PlatformRequest::get(next, LINE_ITEMS_TYPE), token)
}

/// Whether a list that began at `list` may go on at `next`: the token goes there too, so it must be the same scheme, host and port.
pub fn goes_on(list: &str, next: &str) -> bool {
    fn origin(url: &str) -> Option<&str> {
        let from = url.find("://")? + 3;
        let end = url[from..].find(['/', '?', '#']).map_or(url.len(), |at| from + at);
        Some(&url[..end])
    }
    matches!((origin(list), origin(next)), (Some(a), Some(b)) if a.eq_ignore_ascii_case(b))
}

/// The line item of a lab in a list, or in a page of it; `None`: it has to be made.
pub fn read_line_items(answer: &PlatformAnswer, lab: &LabId) -> Result<Option<String>, Verdict> {
    if let Some(verdict) = by_status(answer.status, &answer.body) {
        return Err(verdict.patient(answer));
    }
    let list: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let all = list
        .as_array()
        .ok_or_else(|| Verdict::later("line-items-unreadable", "the platform's line items are no list"))?;
    let ours = all
        .iter()
        .find(|i| i.get("resourceId").and_then(Value::as_str) == Some(lab.as_str()));
    Ok(ours.and_then(line_item_id))
}

/// A line item of a lab: the resource is what [`read_line_items`] finds it by, whoever has it made.
pub(crate) fn line_item(lab: &LabId, title: &str, maximum: u32) -> Value {
    let label: String = title.chars().take(LABEL_CHARS_MAX).collect();
    json!({"scoreMaximum": maximum, "label": label, "resourceId": lab.as_str(), "tag": TAG})
}

/// Makes the line item of a lab. Without its resource link Open edX would not show it to anybody.
pub fn line_item_create(
    line_items: &str,
    token: &str,
    lab: &LabId,
    title: &str,
    resource_link: &str,
) -> PlatformRequest {
    let mut body = line_item(lab, title, LINE_ITEM_MAXIMUM);
    body["resourceLinkId"] = json!(resource_link);
    bearer(
        PlatformRequest::post(&below(line_items, "", &[]), LINE_ITEM_TYPE, body.to_string()),
        token,
    )
    .header("accept", LINE_ITEM_TYPE.to_owned())
}

/// The address of a line item that was made.
pub fn read_line_item(answer: &PlatformAnswer) -> Result<String, Verdict> {
    if let Some(verdict) = by_status(answer.status, &answer.body) {
        return Err(verdict.patient(answer));
    }
    let made: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    line_item_id(&made).ok_or_else(|| {
        Verdict::later(
            "line-items-unreadable",
            "the platform made a line item and does not say where",
        )
    })
}

fn line_item_id(item: &Value) -> Option<String> {
    let id = item.get("id").and_then(Value::as_str);
    id.filter(|url| is_address(url)).map(str::to_owned)
}

impl Verdict {
    /// With the patience that the platform asks for.
    fn patient(self, answer: &PlatformAnswer) -> Self {
        match self {
            Self::Later { code, detail, .. } => Self::Later {
                code,
                detail,
                after: answer.retry_after,
            },
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> PlatformAnswer {
        PlatformAnswer {
            status,
            body: body.into(),
            retry_after: None,
            next: None,
        }
    }

    #[test]
    fn a_list_goes_on_only_where_it_began() {
        let list = "https://lms.example/items?type_id=3";
        assert!(goes_on(list, "https://LMS.example/items?page=2"));
        assert!(goes_on(list, "https://lms.example?page=2"));
        for elsewhere in [
            "http://lms.example/items",
            "https://lms.example:8443/items",
            "https://lms.example.evil/items",
            "https://lms.example@evil/items",
            "/items",
            "",
        ] {
            assert!(!goes_on(list, elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn scores_go_before_the_query() {
        let url = |item| score_request(item, "t", "u", Grade::new(2, 3).unwrap(), 1_800_000_000).url;
        assert_eq!(
            url("https://moodle/12/lineitems/3/lineitem?type_id=7"),
            "https://moodle/12/lineitems/3/lineitem/scores?type_id=7"
        );
        assert_eq!(url("https://edx/lti-ags/1"), "https://edx/lti-ags/1/scores");
        assert_eq!(url("https://edx/lti-ags/1/"), "https://edx/lti-ags/1/scores");
        assert_eq!(
            results_request("https://moodle/lineitem?type_id=7", "t", "a&b").url,
            "https://moodle/lineitem/results?type_id=7&user_id=a%26b&limit=100"
        );
        assert_eq!(
            results_by_path("https://edx/lti-ags/1", "t", "a/b").url,
            "https://edx/lti-ags/1/results/a%2Fb"
        );
        assert_eq!(
            line_items_request("https://edx/lti-ags/", "t", &"ospf".into()).url,
            "https://edx/lti-ags/?resource_id=ospf&limit=100"
        );
    }

    #[test]
    fn a_score_is_what_both_platforms_keep() {
        let request = score_request(
            "https://lms/1",
            "secret",
            "u-1",
            Grade::new(2, 3).unwrap(),
            1_800_000_000,
        );
        assert_eq!(
            request.headers[0],
            ("content-type", "application/vnd.ims.lis.v1.score+json".into())
        );
        assert_eq!(request.headers[1], ("authorization", "Bearer secret".into()));
        let body: Value = serde_json::from_str(&request.body).unwrap();
        let expected = json!({
            "userId": "u-1", "scoreGiven": 2, "scoreMaximum": 3, "timestamp": "2027-01-15T08:00:00.000Z",
            "activityProgress": "InProgress", "gradingProgress": "FullyGraded", "comment": "2/3",
        });
        assert_eq!(body, expected);
        for (given, progress) in [(3, "Completed"), (0, "InProgress")] {
            let request = score_request("https://lms/1", "t", "u", Grade::new(given, 3).unwrap(), 0);
            let body: Value = serde_json::from_str(&request.body).unwrap();
            assert_eq!(
                (&body["activityProgress"], &body["scoreGiven"]),
                (&json!(progress), &json!(given))
            );
            assert_eq!(body["gradingProgress"], "FullyGraded");
        }
    }

    #[test]
    fn a_token_is_asked_for_what_is_offered_and_needed() {
        let all: Vec<String> = ["lineitem", "score", "result.readonly"]
            .iter()
            .map(|s| format!("{SCOPE}{s}"))
            .collect();
        assert_eq!(
            scopes(&all, true).unwrap(),
            [format!("{SCOPE}score"), format!("{SCOPE}result.readonly")]
        );
        assert_eq!(scopes(&all, false).unwrap().len(), 3);
        assert_eq!(scopes(&all[..1], false), None, "no scores, no grades");
        assert!(may_read_results(&all) && !may_read_results(&all[..2]));
        let claims = assertion("c", "https://lms/token", "j", Timestamp::from_secs(1000));
        assert_eq!(
            claims,
            json!({"iss": "c", "sub": "c", "aud": "https://lms/token", "jti": "j", "iat": 995, "exp": 1060})
        );
        let request = token_request("https://lms/token", "a.b.c", &all[1..2]);
        assert!(
            request.body.contains("grant_type=client_credentials") && request.body.contains("&client_assertion=a.b.c&")
        );
        assert!(
            request
                .body
                .ends_with("&scope=https%3A%2F%2Fpurl.imsglobal.org%2Fspec%2Flti-ags%2Fscope%2Fscore")
        );
    }

    #[test]
    fn a_token_is_used_for_four_fifths_of_its_life() {
        let read = |status, body: &str| read_token(&answer(status, body));
        let (token, life) = read(200, r#"{"access_token":"x.y","token_type":"bearer","expires_in":1000}"#).unwrap();
        assert_eq!((token.as_str(), life.as_secs()), ("x.y", 800));
        assert_eq!(read(200, r#"{"access_token":"x"}"#).unwrap().1.as_secs(), 2880);
        for (status, body) in [
            (400, r#"{"error":"invalid_client"}"#),
            (200, "<html>"),
            (200, r#"{"access_token":"a\nb"}"#),
            (500, ""),
        ] {
            let refused = read(status, body).unwrap_err();
            assert!(
                matches!(
                    refused,
                    Verdict::Later {
                        code: "token-refused",
                        ..
                    }
                ),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn what_supersedes_ours_is_read_and_compared() {
        let superseded = [
            (409, ""),
            (409, r#"{"status":409}"#),
            (
                400,
                r#"{"timestamp":["Score already exists for the provided timestamp"]}"#,
            ),
            (
                400,
                r#"{"timestamp":["Score timestamp can only be updated to a later point in time"]}"#,
            ),
        ];
        for (status, body) in superseded {
            assert_eq!(
                judge_score(&answer(status, body)),
                Verdict::Superseded,
                "{status} {body}"
            );
        }
        let refused = judge_score(&answer(400, r#"{"userId":["required"]}"#));
        assert!(matches!(refused, Verdict::Refused { .. }), "{refused:?}");
        let grade = Grade::new(2, 3).unwrap();
        let judge = |body: &str| judge_results(&answer(200, body), "u", grade);
        assert_eq!(
            judge(r#"[{"userId":"v","resultScore":0},{"userId":"u","resultScore":2,"resultMaximum":3.0}]"#),
            Verdict::Accepted
        );
        assert_eq!(
            judge(r#"[{"userId":"u","resultScore":0.666667}]"#),
            Verdict::Accepted,
            "the maximum is 1 where it is not said"
        );
        for other in [
            r#"[{"userId":"u","resultScore":1,"resultMaximum":3}]"#,
            "[]",
            "{}",
            "no",
        ] {
            assert!(
                matches!(judge(other), Verdict::Later { code: "superseded", .. }),
                "{other}"
            );
        }
        assert_eq!(judge_results(&answer(401, ""), "u", grade), Verdict::Token);
    }

    #[test]
    fn a_line_item_is_found_by_its_lab_or_made() {
        let find = |body: &str| read_line_items(&answer(200, body), &"ospf".into());
        let list = r#"[{"id":"https://lms/1","resourceId":"bgp"},{"id":"https://lms/2","resourceId":"ospf"}]"#;
        assert_eq!(find(list), Ok(Some("https://lms/2".into())));
        assert_eq!(find("[]"), Ok(None));
        assert!(find("{}").is_err() && find("<p>").is_err());
        assert_eq!(
            read_line_item(&answer(201, r#"{"id":"https://lms/3"}"#)),
            Ok("https://lms/3".into())
        );
        assert!(read_line_item(&answer(201, r#"{"id":"javascript:x"}"#)).is_err());
        let request = line_item_create("https://lms/items?x=1", "t", &"ospf".into(), &"é".repeat(300), "link-1");
        let body: Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(request.url, "https://lms/items?x=1");
        assert_eq!(
            (&body["resourceId"], &body["resourceLinkId"], &body["scoreMaximum"]),
            (&json!("ospf"), &json!("link-1"), &json!(100))
        );
        assert_eq!(body["label"].as_str().map(|l| l.chars().count()), Some(100));
    }

    #[test]
    fn a_platform_that_asks_for_patience_gets_it() {
        let mut busy = answer(429, "");
        busy.retry_after = Some(Duration::from_secs(120));
        let verdict = judge_score(&busy);
        assert!(
            matches!(verdict, Verdict::Later { after: Some(d), .. } if d.as_secs() == 120),
            "{verdict:?}"
        );
    }
}
