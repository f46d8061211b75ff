//! A plan's cap on a day, and which day that is.

use super::{
    fixture::{School, at, used},
    money::step,
};
use lab_core::{
    Timestamp,
    courses::CourseRun,
    entitlement::{Grant, Plan, Refusal},
    port::{Admission, AdmitRequest, Session, Settlement, Store},
    provisioning::{EndReason, SessionEvent},
};
use std::sync::Arc;

pub async fn a_days_cap_holds_over_sessions_and_within_one(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let mut plan = school
        .store
        .plan_list()
        .await
        .unwrap()
        .into_iter()
        .find(|p| p.id.as_str() == "GROUP")
        .unwrap();
    plan.daily_secs_max = Some(1500);
    plan.minimum_secs = 120;
    school.store.plan_put(&plan).await.unwrap();
    school.grant("ada", "GROUP", 36_000).await;
    let first = school.admitted("ada").await;
    let first = school.ready(&first).await;
    assert_eq!(first.held_secs, 900);
    let left = school.store.time_left(first.id, at(1)).await.unwrap();
    assert_eq!((left.available, left.granted, left.unspent), (600, 36_000, 35_100));
    assert_eq!(school.store.hold_extend(first.id, 5000, at(1)).await.unwrap(), 1500);
    let second = school.click("ada", "other");
    let capped = Admission::Refused(Refusal::DailyCap {
        cap: 1500,
        // the day of a course without a zone is UTC's; the fixture's morning is at eight
        again_at: at(16 * 3600),
        zone: None,
    });
    assert_eq!(school.store.admit(&second).await.unwrap(), capped);
    school.store.settle(&used(&first, 1400)).await.unwrap();
    school.end(&first).await;
    assert_eq!(
        school.store.admit(&second).await.unwrap(),
        capped,
        "100 s are less than the plan's minimum"
    );
    let tomorrow = lab_core::port::AdmitRequest {
        at: at(86_400),
        ..second
    };
    assert!(matches!(school.store.admit(&tomorrow).await.unwrap(), Admission::Admitted(s) if s.held_secs == 900));
}

/// A learner under GROUP with a daily cap of 25 minutes, in a course whose clocks show Paris' time.
async fn capped_in_paris(store: Arc<dyn Store>) -> School {
    let school = School::open(store).await;
    let plans = school.store.plan_list().await.unwrap();
    let plan = plans.into_iter().find(|p| p.id.as_str() == "GROUP").unwrap();
    let plan = Plan {
        daily_secs_max: Some(1500),
        minimum_secs: 120,
        ..plan
    };
    school.store.plan_put(&plan).await.unwrap();
    let run = CourseRun {
        zone: Some("Europe/Paris".into()),
        ..CourseRun::new(school.course.clone(), "Réseaux")
    };
    school.store.run_put(&run).await.unwrap();
    let grant = Grant {
        expires_at: at(365 * 86_400),
        ..school.grant_of("ada", "GROUP", 36_000)
    };
    school.store.grant_issue(&grant).await.unwrap();
    school
}

/// A click at a time; a lab that begins at once.
async fn begun(school: &School, lab: &str, when: Timestamp) -> Session {
    let click = AdmitRequest {
        at: when,
        ..school.click("ada", lab)
    };
    let Admission::Admitted(session) = school.store.admit(&click).await.unwrap() else {
        panic!("there is time left at {when}");
    };
    let session = step(school, &session, SessionEvent::Provision, |t| t.at = when).await;
    let ready = Some((10_000_000, when.plus(std::time::Duration::from_hours(1))));
    step(school, &session, SessionEvent::Ready, |t| {
        (t.at, t.ready) = (when, ready);
    })
    .await
}

/// A lab's end at a time, with what it used.
async fn over(school: &School, session: &Session, secs: i64, when: Timestamp) {
    let stop = SessionEvent::Stop(EndReason::LearnerStopped);
    let stopping = step(school, session, stop, |t| t.at = when).await;
    let gone = SessionEvent::Gone(EndReason::LearnerStopped);
    step(school, &stopping, gone, |t| t.at = when).await;
    let settlement = Settlement {
        at: when,
        ..used(session, secs)
    };
    school.store.settle(&settlement).await.unwrap();
}

pub async fn seconds_count_to_the_day_they_are_used_in_where_the_course_is(store: Arc<dyn Store>) {
    let school = capped_in_paris(store).await;
    let store = &school.store;
    let midnight: Timestamp = "2027-01-16T00:00:00+01:00".parse().unwrap();
    let after = |secs: i64| Timestamp(midnight.0 + secs * 1_000_000);
    let first = begun(&school, "first", after(-300)).await;
    assert_eq!(first.held_secs, 900, "five minutes of today, ten of tomorrow");
    // what is added comes after what it holds: of tomorrow, which has 15 minutes left
    assert_eq!(store.time_left(first.id, after(-299)).await.unwrap().available, 900);
    assert_eq!(store.hold_extend(first.id, 5000, after(-299)).await.unwrap(), 1800);
    // all of tomorrow is held, so another lab has what is left until midnight
    let second = begun(&school, "second", after(-200)).await;
    assert_eq!(second.held_secs, 200);
    over(&school, &second, 100, after(-100)).await;
    let capped = Admission::Refused(Refusal::DailyCap {
        cap: 1500,
        again_at: after(86_400),
        zone: Some("Europe/Paris".into()),
    });
    let click = |secs| AdmitRequest {
        at: after(secs),
        ..school.click("ada", "third")
    };
    assert_eq!(store.admit(&click(10)).await.unwrap(), capped);
    // it used 300 s before midnight and 700 s after
    over(&school, &first, 1000, after(700)).await;
    let third = begun(&school, "third", after(710)).await;
    assert_eq!(third.held_secs, 800);
}

pub async fn a_days_cap_is_of_23_and_of_25_hours_where_clocks_change(store: Arc<dyn Store>) {
    let school = capped_in_paris(store).await;
    let store = &school.store;
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    for (begins, ends, hours) in [
        ("2027-03-28T00:00:00+01:00", "2027-03-29T00:00:00+02:00", 23),
        ("2027-10-31T00:00:00+02:00", "2027-11-01T00:00:00+01:00", 25),
    ] {
        let (begins, ends) = (at(begins), at(ends));
        let hour = std::time::Duration::from_hours(1);
        assert_eq!(ends.since(begins), hour * hours);
        let lab = begun(&school, "all-day", begins).await;
        assert_eq!(store.hold_extend(lab.id, 5000, begins).await.unwrap(), 1500);
        over(&school, &lab, 1500, begins.plus(hour)).await;
        // nothing in its last second, everything after that
        let mut click = school.click("ada", "later");
        click.at = Timestamp(ends.0 - 1_000_000);
        let refused = store.admit(&click).await.unwrap();
        assert!(
            matches!(&refused, Admission::Refused(Refusal::DailyCap { again_at, .. }) if *again_at == ends),
            "{refused:?}"
        );
        let tomorrow = begun(&school, "later", ends).await;
        assert_eq!(tomorrow.held_secs, 900);
        over(&school, &tomorrow, 0, ends).await;
    }
}
