//! How courses went, by the front door: counts, of the own course and of those that operations put beside it.

use crate::kit::{COURSE, Kit, LAB};
use axum::http::StatusCode;
use lab_core::{
    courses::{CourseSeries, IndicatorRule},
    launch::Role,
    port::{CourseStore as _, Store as _},
};
use serde_json::{Value, json};

/// The course with one learner at work, whose lab's check has passed.
async fn worked() -> Kit {
    let kit = Kit::new().await;
    let (session, _) = kit.session().await;
    let lab = kit.store.lab_latest(&LAB.into()).await.unwrap().unwrap();
    let outcome = lab_core::journal::CheckOutcome {
        check: lab.file.checks[0].id.clone(),
        passed: true,
        points: lab.file.checks[0].points,
        detail: String::new(),
    };
    let now = lab_core::port::Clock::now(kit.clock.as_ref());
    kit.store
        .check_record(session.parse().unwrap(), &outcome, now)
        .await
        .unwrap();
    kit
}

async fn rule(kit: &Kit, course: &str) {
    let rule = IndicatorRule {
        first_week: [LAB.into()].into(),
        second_week: LAB.into(),
        labs: [].into(),
        pass_percent: 50,
    };
    kit.store.rule_put(&course.into(), &rule).await.unwrap();
}

async fn counts(kit: &Kit, role: Role) -> Value {
    let bearer = kit.sign_in("staff", role).await;
    let answer = kit.get("/api/v1/indicators", Some(&bearer)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert!(!answer.text.contains("ana"), "nobody is named: {}", answer.text);
    answer.json()
}

#[tokio::test]
async fn a_teacher_and_a_manager_read_how_their_course_went_and_of_no_other() {
    let kit = worked().await;
    for role in [Role::Teacher, Role::Manager] {
        let seen = counts(&kit, role).await;
        assert_eq!(
            (&seen["run"]["enrolled"], &seen["run"]["started"]),
            (&json!(1), &json!(1))
        );
        assert_eq!((&seen["rule"], &seen["series"]), (&Value::Null, &json!([])), "{seen}");
        let done = &seen["progression"][0];
        assert_eq!(
            (&done["lab"], &done["total"], &done["within"]),
            (&json!(LAB), &json!(1), &json!([1]))
        );
    }
    rule(&kit, COURSE).await;
    let others = CourseSeries {
        name: "others".into(),
        courses: vec!["web".into(), "sys".into()],
    };
    kit.store.series_put(&others).await.unwrap();
    let seen = counts(&kit, Role::Manager).await;
    assert_eq!(
        (&seen["run"]["diligent"], &seen["run"]["diligent_success"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(seen["run"]["shares"]["diligent_success_of_diligent"], 100.0);
    assert_eq!(
        (&seen["rule"]["labs"], &seen["series"]),
        (&json!([LAB]), &json!([])),
        "{seen}"
    );
}

#[tokio::test]
async fn courses_that_were_put_together_are_told_beside_each_other_and_as_csv() {
    let kit = worked().await;
    rule(&kit, COURSE).await;
    let series = CourseSeries {
        name: "networks".into(),
        courses: vec![COURSE.into(), "web".into()],
    };
    kit.store.series_put(&series).await.unwrap();
    let seen = counts(&kit, Role::Teacher).await;
    let series = &seen["series"][0];
    assert_eq!(
        (&series["name"], &series["courses"][0]["course"]),
        (&json!("networks"), &json!(COURSE))
    );
    assert_eq!(series["without_rule"], json!(["web"]));
    let funnel: Vec<&Value> = series["funnel"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| &f["left"])
        .collect();
    assert_eq!(funnel, [&json!(1), &json!(0)]);
    let bearer = kit.sign_in("staff", Role::Teacher).await;
    for (query, second) in [
        (
            "csv=indicators",
            format!("{COURSE},1,1,1,1,1,100.0,100.0,100.0,100.0,100.0"),
        ),
        ("csv=progression", format!("{COURSE},{LAB},1,1")),
        (
            "csv=courses&series=networks",
            format!("{COURSE},1,1,1,1,1,100.0,100.0,100.0,100.0,100.0"),
        ),
        ("csv=funnel&series=networks", format!("{COURSE},1,1,100.0")),
    ] {
        let answer = kit.get(&format!("/api/v1/indicators?{query}"), Some(&bearer)).await;
        assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8", "{query}");
        assert_eq!(
            answer.text.lines().nth(1),
            Some(second.as_str()),
            "{query}: {}",
            answer.text
        );
    }
    for query in ["csv=salaries", "csv=funnel", "csv=courses&series=others"] {
        let answer = kit.get(&format!("/api/v1/indicators?{query}"), Some(&bearer)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{query}");
    }
}

#[tokio::test]
async fn a_teacher_says_what_counts_and_a_slip_is_refused_by_its_field() {
    let kit = worked().await;
    let teacher = kit.sign_in("staff", Role::Teacher).await;
    let rule = json!({"first_week": [LAB], "second_week": LAB, "pass_percent": 60});
    let path = "/api/v1/indicators/rule";
    for (field, value, said) in [
        ("first_week", json!([]), "first_week: name at least one lab"),
        ("first_week", json!([LAB, "pingg"]), "is ping meant?"),
        (
            "second_week",
            json!("nothing-like-it"),
            "second_week: there is no lab nothing-like-it",
        ),
        ("labs", json!(["pnig"]), "labs: there is no lab pnig; is ping meant?"),
        ("pass_percent", json!(0), "pass_percent: 0 is not from 1 to 100"),
        ("pass_percent", json!(101), "pass_percent: 101 is not from 1 to 100"),
    ] {
        let mut wrong = rule.clone();
        wrong[field] = value;
        let answer = kit.post(path, Some(&teacher), wrong).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{field}: {}", answer.text);
        assert!(answer.text.contains(said), "{field}: {}", answer.text);
    }
    assert_eq!(
        counts(&kit, Role::Teacher).await["rule"],
        Value::Null,
        "nothing was kept"
    );
    let kept = kit.post(path, Some(&teacher), rule).await;
    assert_eq!(kept.status, StatusCode::NO_CONTENT, "{}", kept.text);
    let seen = counts(&kit, Role::Manager).await;
    assert_eq!(
        seen["rule"],
        json!({"first_week": [LAB], "second_week": LAB, "labs": [LAB], "all_labs": true, "pass_percent": 60})
    );
    assert_eq!(seen["run"]["diligent"], json!(1));
    let log = kit.store.audit_list(None).await.unwrap();
    assert!(
        log.iter()
            .any(|e| e.action == "course-rule" && e.detail.contains("60 %")),
        "{log:?}"
    );
}
