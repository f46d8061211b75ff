//! Courses: their runs, and who is in them.

use super::fixture::{School, at, at_once};
use lab_core::{
    CourseId, Subject, Timestamp,
    courses::{CourseClass, CourseRun, CourseSeries, ENROLMENTS_MAX, Enrolled, Enrolment, Extension, IndicatorRule},
    entitlement::{Refusal, source},
    launch::Role,
    port::{Admission, AuditEvent, EnrolRequest, ErrorKind, Store},
    privacy::{Erased, Erasure, pseudonym},
};
use std::sync::Arc;

/// Open from 1000 s until 5000 s after the fixture's morning.
fn run(school: &School) -> CourseRun {
    CourseRun {
        opens_at: Some(at(1000)),
        closes_at: Some(at(5000)),
        zone: Some("Europe/Paris".into()),
        site: Some("FabLab de Brest".into()),
        ..CourseRun::new(school.course.clone(), "Réseaux, été 2027")
    }
}

async fn click_at(school: &School, subject: &str, secs: i64) -> Admission {
    let mut click = school.click(subject, "tiny");
    click.at = at(secs);
    school.store.admit(&click).await.unwrap()
}

fn closed(run: &CourseRun, closed_at: Timestamp) -> Admission {
    Admission::Refused(Refusal::CourseClosed {
        title: run.title.clone(),
        closed_at,
        zone: run.zone.clone(),
    })
}

pub async fn a_run_is_as_it_was_last_put(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let store = &school.store;
    assert_eq!(store.run_get(&school.course).await.unwrap(), None);
    let first = run(&school);
    store.run_put(&first).await.unwrap();
    assert_eq!(store.run_get(&school.course).await.unwrap(), Some(first.clone()));
    let second = CourseRun {
        closes_at: None,
        site: None,
        ..first
    };
    let other = CourseRun::new("a-course".into(), "Another");
    store.run_put(&second).await.unwrap();
    store.run_put(&other).await.unwrap();
    assert_eq!(store.run_list().await.unwrap(), [other, second.clone()]);
    let titles = store.course_list().await.unwrap();
    assert!(titles.iter().any(|c| c.id == school.course && c.title == second.title));
}

pub async fn a_closed_run_takes_no_new_lab_and_keeps_its_replays(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let (store, run) = (&school.store, run(&school));
    let before = school.at_work(3600).await;
    store.recording_open(before.id, at(6)).await.unwrap();
    store.run_put(&run).await.unwrap();
    school.grant("ada", "QUALIFYING", 3600).await;
    let early = Admission::Refused(Refusal::CourseNotOpen {
        title: run.title.clone(),
        opens_at: at(1000),
        zone: run.zone.clone(),
    });
    assert_eq!(click_at(&school, "ada", 999).await, early);
    assert_eq!(click_at(&school, "ada", 5000).await, closed(&run, at(5000)));
    assert_eq!(school.available(&"ada".into()).await, [3600], "nothing was held");
    // who has no time at all is told of the course first
    assert_eq!(click_at(&school, "lin", 5000).await, closed(&run, at(5000)));
    assert!(matches!(click_at(&school, "ada", 4999).await, Admission::Admitted(_)));

    // what runs goes on to its end, and can be read afterwards
    let again = click_at(&school, before.subject.as_str(), 6000).await;
    assert!(matches!(again, Admission::Running(s) if s.id == before.id));
    assert_eq!(store.hold_extend(before.id, 1800, at(6000)).await.unwrap(), 1800);
    school.end(&before).await;
    assert!(store.recording_head(before.id).await.unwrap().is_some());
    assert_eq!(
        click_at(&school, before.subject.as_str(), 6001).await,
        closed(&run, at(5000))
    );
}

pub async fn a_course_without_a_run_is_open(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let elsewhere = CourseRun {
        course: "elsewhere".into(),
        ..run(&school)
    };
    school.store.run_put(&elsewhere).await.unwrap();
    school.grant("ada", "QUALIFYING", 3600).await;
    school.admitted("ada").await;
}

pub async fn an_extension_is_one_learners(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let (store, run) = (&school.store, run(&school));
    store.run_put(&run).await.unwrap();
    for who in ["ada", "lin"] {
        school.grant(who, "QUALIFYING", 3600).await;
    }
    let extension = |secs| Extension {
        course: school.course.clone(),
        subject: "ada".into(),
        until: at(secs),
        given_at: at(0),
    };
    store.extension_put(&extension(5500)).await.unwrap();
    store.extension_put(&extension(6000)).await.unwrap();
    assert_eq!(store.extension_list(&school.course).await.unwrap(), [extension(6000)]);
    assert_eq!(click_at(&school, "lin", 5999).await, closed(&run, at(5000)));
    assert_eq!(click_at(&school, "ada", 6000).await, closed(&run, at(6000)));
    assert!(matches!(click_at(&school, "ada", 5999).await, Admission::Admitted(_)));
}

pub async fn a_class_is_listed_until_it_is_over_or_taken_off(store: Arc<dyn Store>) {
    let class = |course: &str, starts: i64, learners| CourseClass {
        course: course.into(),
        lab: "tiny".into(),
        starts_at: at(starts),
        ends_at: at(starts + 3600),
        room: "Salle B-204".into(),
        learners,
    };
    for class in [
        class("net", 7200, 13),
        class("net", 0, 30),
        class("sec", 0, 5),
        class("net", 7200, 14),
    ] {
        store.class_put(&class).await.unwrap();
    }
    let list = async |course: Option<&str>, after| {
        let course = course.map(Into::into);
        store.class_list(course.as_ref(), at(after)).await.unwrap()
    };
    assert_eq!(
        list(None, 3599).await,
        [class("net", 0, 30), class("sec", 0, 5), class("net", 7200, 14)]
    );
    assert_eq!(list(None, 3600).await, [class("net", 7200, 14)]);
    assert_eq!(list(Some("sec"), 0).await, [class("sec", 0, 5)]);
    let remove = async || {
        store
            .class_remove(&"net".into(), &"tiny".into(), at(7200))
            .await
            .unwrap()
    };
    assert_eq!((remove().await, remove().await), (true, false));
    assert_eq!(list(Some("net"), 3600).await, []);
}

fn person(school: &School, subject: &str) -> Enrolment {
    Enrolment {
        course: school.course.clone(),
        subject: subject.into(),
        name: "Zoé Œuvrard".into(),
        cohort: Some("Été".into()),
        site: Some("Brest".into()),
        coach: Some("prof".into()),
        external: Some(format!("{subject}@example.org")),
        plan: Some("QUALIFYING".into()),
        enrolled_at: at(10),
    }
}

async fn request(school: &School, people: Vec<Enrolment>, secs: i64) -> EnrolRequest {
    EnrolRequest {
        course: school.course.clone(),
        people,
        plans: school.store.plan_list().await.unwrap(),
        sites: Vec::new(),
        at: at(secs),
    }
}

fn counts(added: u32, changed: u32, unchanged: u32, grants: u32) -> Enrolled {
    Enrolled {
        added,
        changed,
        unchanged,
        grants,
    }
}

pub async fn a_list_enrolled_twice_is_enrolled_once(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let store = &school.store;
    let plain = Enrolment {
        cohort: None,
        site: None,
        coach: None,
        external: None,
        plan: None,
        name: String::new(),
        ..person(&school, "lin")
    };
    let free = Enrolment {
        plan: Some("DISCOVERY".into()),
        ..person(&school, "zoe")
    };
    let people = vec![person(&school, "ada"), plain, free];
    let first = request(&school, people.clone(), 10).await;
    assert_eq!(
        store.enrol(&first).await.unwrap(),
        counts(3, 0, 0, 1),
        "DISCOVERY needs no grant"
    );
    let later = people
        .iter()
        .map(|p| Enrolment {
            enrolled_at: at(99),
            ..p.clone()
        })
        .collect();
    let again = request(&school, later, 99).await;
    assert_eq!(store.enrol(&again).await.unwrap(), counts(0, 0, 3, 0));
    assert_eq!(
        store.enrolment_list(&school.course).await.unwrap(),
        people,
        "as they were first"
    );
    let grants = store.grant_list(&"ada".into(), None).await.unwrap();
    assert_eq!((grants.len(), grants[0].available), (1, 3600));
    assert_eq!(grants[0].grant.source, source::ENROLMENT);

    let moved = Enrolment {
        cohort: Some("Automne".into()),
        plan: Some("GROUP".into()),
        ..person(&school, "ada")
    };
    let change = request(&school, vec![moved.clone()], 100).await;
    assert_eq!(
        store.enrol(&change).await.unwrap(),
        counts(0, 1, 0, 1),
        "another plan, another grant"
    );
    assert_eq!(store.enrolments_of(&"ada".into()).await.unwrap(), [moved]);
    assert!(store.unenrol(&school.course, &"ada".into()).await.unwrap());
    assert!(!store.unenrol(&school.course, &"ada".into()).await.unwrap());
    assert_eq!(store.enrolment_list(&school.course).await.unwrap().len(), 2);
    assert_eq!(store.ledger_sums().await.unwrap().total, 0);
}

pub async fn a_list_with_a_fault_enrols_nobody(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let store = &school.store;
    let lost = Enrolment {
        plan: Some("GOLD".into()),
        ..person(&school, "lin")
    };
    let faulty = request(&school, vec![person(&school, "ada"), lost], 10).await;
    assert_eq!(store.enrol(&faulty).await.unwrap_err().kind(), ErrorKind::NotFound);
    let elsewhere = Enrolment {
        course: "elsewhere".into(),
        ..person(&school, "lin")
    };
    let faulty = request(&school, vec![person(&school, "ada"), elsewhere], 10).await;
    assert_eq!(store.enrol(&faulty).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.enrolment_list(&school.course).await.unwrap(), []);
    assert_eq!(store.grant_list(&"ada".into(), None).await.unwrap(), []);
}

pub async fn a_course_lists_so_many_and_no_more(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let store = &school.store;
    let crowd = |n: usize| -> Vec<Enrolment> {
        let one = |i| Enrolment {
            plan: None,
            ..person(&school, &format!("p{i}"))
        };
        (0..n).map(one).collect()
    };
    let full = request(&school, crowd(ENROLMENTS_MAX), 10).await;
    assert_eq!(store.enrol(&full).await.unwrap().added as usize, ENROLMENTS_MAX);
    let more = request(&school, vec![person(&school, "one-more")], 11).await;
    assert_eq!(store.enrol(&more).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.grant_list(&"one-more".into(), None).await.unwrap(), []);
    assert_eq!(store.enrol(&full).await.unwrap().unchanged as usize, ENROLMENTS_MAX);
}

pub async fn of_two_lists_at_once_each_grant_is_issued_once(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let list = request(
        &school,
        (0..20).map(|i| person(&school, &format!("p{i}"))).collect(),
        10,
    )
    .await;
    let answers = at_once(4, |_| {
        let (store, list) = (school.store.clone(), list.clone());
        async move { store.enrol(&list).await.unwrap() }
    })
    .await;
    let sum = |of: fn(&Enrolled) -> u32| answers.iter().map(of).sum::<u32>();
    assert_eq!(
        (sum(|e| e.added), sum(|e| e.unchanged), sum(|e| e.grants)),
        (20, 60, 20)
    );
}

pub async fn who_is_forgotten_is_in_no_course_and_may_come_anew(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let store = &school.store;
    let (ada, prof): (Subject, Subject) = ("ada".into(), "prof".into());
    let list = request(&school, vec![person(&school, "ada"), person(&school, "lin")], 10).await;
    store.enrol(&list).await.unwrap();
    let extension = Extension {
        course: school.course.clone(),
        subject: ada.clone(),
        until: at(9000),
        given_at: at(0),
    };
    store.extension_put(&extension).await.unwrap();
    assert_eq!(store.person_footprint(&ada).await.unwrap().enrolments, 1);
    assert_eq!(
        store.person_footprint(&prof).await.unwrap().enrolments,
        2,
        "those they coach"
    );
    assert_eq!(
        store.person_traces(&ada).await.unwrap().enrolments,
        [person(&school, "ada")]
    );
    assert!(store.person_list("œuvrard").await.unwrap().len() + store.person_list("Zo").await.unwrap().len() >= 2);
    for (n, who) in [&ada, &prof].into_iter().enumerate() {
        let erasure = Erasure {
            subject: who.clone(),
            pseudonym: pseudonym([n as u8; 32]),
            by: "op".into(),
            by_name: "op".into(),
            at: at(20),
        };
        assert!(matches!(store.person_erase(&erasure).await.unwrap(), Erased::Done(f) if f.enrolments > 0));
    }
    let left = store.enrolment_list(&school.course).await.unwrap();
    assert_eq!(
        left,
        [Enrolment {
            coach: None,
            ..person(&school, "lin")
        }]
    );
    assert_eq!(store.extension_list(&school.course).await.unwrap(), []);
    let told = |e: &&AuditEvent| e.action == "erase-person" && e.role == Role::Operations;
    assert_eq!(store.audit_list(None).await.unwrap().iter().filter(told).count(), 2);
    // the old grant is of nobody now
    let back = request(&school, vec![person(&school, "ada")], 30).await;
    assert_eq!(store.enrol(&back).await.unwrap(), counts(1, 0, 0, 1));
}

pub async fn what_counts_in_a_course_is_the_last_that_was_said(store: Arc<dyn Store>) {
    let net = CourseId::from("net");
    assert_eq!(store.rule_get(&net).await.unwrap(), None);
    let rule = |pass_percent, labs: &[&str]| IndicatorRule {
        first_week: ["a".into(), "b, with a comma".into()].into(),
        second_week: "c".into(),
        labs: labs.iter().map(|l| (*l).into()).collect(),
        pass_percent,
    };
    for said in [rule(50, &[]), rule(60, &["a", "c"])] {
        store.rule_put(&net, &said).await.unwrap();
        assert_eq!(store.rule_get(&net).await.unwrap(), Some(said));
    }
    assert_eq!(store.rule_get(&"web".into()).await.unwrap(), None);
}

pub async fn a_series_is_the_courses_it_was_last_made_of(store: Arc<dyn Store>) {
    let series = |name: &str, courses: &[&str]| CourseSeries {
        name: name.into(),
        courses: courses.iter().map(|c| (*c).into()).collect(),
    };
    for one in [
        series("networks", &["net-b", "net-a"]),
        series("all", &["web", "net-a"]),
        series("networks", &["net-c", "net-b", "net-a"]),
    ] {
        store.series_put(&one).await.unwrap();
    }
    let both = [
        series("all", &["web", "net-a"]),
        series("networks", &["net-c", "net-b", "net-a"]),
    ];
    assert_eq!(store.series_list().await.unwrap(), both, "in their order");
    store.series_put(&series("all", &[])).await.unwrap();
    assert_eq!(store.series_list().await.unwrap(), both[1..]);
}
