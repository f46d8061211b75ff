//! Learning platforms and what they began.

use super::fixture::{School, at, at_once, fresh};
use lab_core::{
    TokenHash,
    entitlement::{Giver, Grant, GrantBudget},
    launch::lti::{
        Attempt, INVITATION_TRIES_MAX, Invitation, Jwks, Kind, LtiKey, LtiState, Registration, RegistrationId,
        RegistrationKey, RegistrationUse, Roster, SamePerson, Tried, Waiting,
    },
    port::{ErrorKind, LTI_ATTEMPTS_KEPT, Store},
};
use std::sync::Arc;

fn id(text: &str) -> RegistrationId {
    RegistrationId(text.into())
}

fn platform(name: &str, issuer: &str, client_id: &str) -> Registration {
    Registration {
        id: id(name),
        course: Some("net-101".into()),
        plan: Some("QUALIFYING".into()),
        created_at: at(0),
        kind: Kind::Platform {
            issuer: issuer.into(),
            client_id: client_id.into(),
            auth_url: "https://lms.example.org/auth".into(),
            token_url: "https://lms.example.org/token".into(),
            token_audience: Some("https://lms.example.org".into()),
            jwks: Jwks::Url("https://lms.example.org/keys".into()),
            deployments: vec!["1".into(), "2".into()],
        },
    }
}

fn consumer(name: &str, key: &str) -> Registration {
    Registration {
        id: id(name),
        course: None,
        plan: None,
        created_at: at(0),
        kind: Kind::Consumer {
            key: key.into(),
            secret: "a secret, 'quoted' & accentué".into(),
        },
    }
}

fn by_platform(issuer: &str, client_id: Option<&str>) -> RegistrationKey {
    RegistrationKey::Platform {
        issuer: issuer.into(),
        client_id: client_id.map(Into::into),
    }
}

pub async fn a_registration_is_found_by_what_its_launches_bring(store: Arc<dyn Store>) {
    let (fun, old) = (platform("fun", "https://fun", "c-1"), consumer("old", "key-1"));
    store.lti_registration_put(&old).await.unwrap();
    store.lti_registration_put(&fun).await.unwrap();
    assert_eq!(store.lti_registration_list().await.unwrap(), [fun.clone(), old.clone()]);
    assert_eq!(store.lti_registration_get(&id("old")).await.unwrap(), Some(old.clone()));
    assert_eq!(store.lti_registration_get(&id("none")).await.unwrap(), None);
    let find = async |key| store.lti_registration_find(&key).await.unwrap();
    let same = std::slice::from_ref(&fun);
    assert_eq!(find(by_platform("https://fun", Some("c-1"))).await, same);
    assert_eq!(find(by_platform("https://fun", None)).await, [fun]);
    assert_eq!(find(by_platform("https://fun", Some("c-2"))).await, []);
    assert_eq!(find(by_platform("https://other", Some("c-1"))).await, []);
    assert_eq!(find(RegistrationKey::Consumer { key: "key-1".into() }).await, [old]);
    assert_eq!(find(RegistrationKey::Consumer { key: "KEY-1".into() }).await, []);
    // a set of keys instead of an address, and a changed plan
    let mut changed = platform("fun", "https://fun", "c-1");
    if let Kind::Platform { jwks, .. } = &mut changed.kind {
        *jwks = Jwks::Static("{\"keys\": []}".into());
    }
    (changed.plan, changed.course, changed.created_at) = (None, None, at(99));
    store.lti_registration_put(&changed).await.unwrap();
    changed.created_at = at(0);
    assert_eq!(store.lti_registration_get(&id("fun")).await.unwrap(), Some(changed));
}

pub async fn one_issuer_may_have_several_registrations_and_no_two_are_the_same(store: Arc<dyn Store>) {
    for n in 1..=3 {
        let block = platform(&format!("block-{n}"), "https://edx", &format!("c-{n}"));
        store.lti_registration_put(&block).await.unwrap();
    }
    store.lti_registration_put(&consumer("old", "key-1")).await.unwrap();
    let any = store
        .lti_registration_find(&by_platform("https://edx", None))
        .await
        .unwrap();
    assert_eq!(any.len(), 2, "enough to know that one would be a guess");
    for twice in [platform("other", "https://edx", "c-2"), consumer("other", "key-1")] {
        let refused = store.lti_registration_put(&twice).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        assert!(!refused.to_string().contains("a secret"));
    }
    assert_eq!(store.lti_registration_list().await.unwrap().len(), 4);
}

fn giver(source: &str, grants: i64) -> Giver {
    Giver {
        source: source.into(),
        plans: ["QUALIFYING".into()].into(),
        budget: GrantBudget {
            grants: Some(grants),
            seconds: None,
        },
        site: None,
    }
}

pub async fn a_registration_that_is_refused_leaves_its_limits_as_they_were(store: Arc<dyn Store>) {
    let limit = async |source| {
        let state = store.giver_get(source).await.unwrap();
        state.and_then(|s| s.giver.budget.grants)
    };
    let fun = consumer("fun", "key-1");
    store
        .lti_registration_put_with(&fun, &giver("lti:fun", 30))
        .await
        .unwrap();
    store.lti_registration_put(&consumer("old", "key-2")).await.unwrap();
    assert_eq!(limit("lti:fun").await, Some(30));
    // the other's key
    let refused = store
        .lti_registration_put_with(&consumer("fun", "key-2"), &giver("lti:fun", 9000))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let new = store
        .lti_registration_put_with(&consumer("new", "key-2"), &giver("lti:new", 9000))
        .await
        .unwrap_err();
    assert_eq!(new.kind(), ErrorKind::Conflict);
    assert_eq!((limit("lti:fun").await, limit("lti:new").await), (Some(30), None));
    assert_eq!(store.lti_registration_get(&id("fun")).await.unwrap(), Some(fun.clone()));
    store
        .lti_registration_put_with(&fun, &giver("lti:fun", 31))
        .await
        .unwrap();
    assert_eq!(limit("lti:fun").await, Some(31));
}

pub async fn a_registration_that_is_removed_leaves_what_its_launches_gave(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let store = school.store.clone();
    let fun = platform("fun", "https://fun", "c-1");
    store
        .lti_registration_put_with(&fun, &giver("lti:fun", 30))
        .await
        .unwrap();
    assert_eq!(
        store.lti_registration_use(&id("fun")).await.unwrap(),
        RegistrationUse::default()
    );
    for learner in ["ada", "bob"] {
        let grant = Grant {
            source: "lti:fun".into(),
            ..school.grant_of(learner, "QUALIFYING", 3600)
        };
        store.grant_issue_within(&grant).await.unwrap();
    }
    let elsewhere = Roster {
        registration: id("fun"),
        course: "elsewhere".into(),
        url: "https://fun/members".into(),
    };
    store.lti_roster_put(&elsewhere).await.unwrap();
    let login = login_of_fun("of fun");
    store.lti_state_put(&login).await.unwrap();
    let mut courses = vec![school.course.clone(), "elsewhere".into()];
    courses.sort();
    let used = RegistrationUse {
        courses,
        learners: 2,
        grades_waiting: 0,
        logins: 1,
    };
    assert_eq!(store.lti_registration_use(&id("fun")).await.unwrap(), used);
    assert!(store.lti_registration_drop(&id("fun")).await.unwrap());
    assert!(!store.lti_registration_drop(&id("fun")).await.unwrap());
    assert_eq!(store.lti_registration_get(&id("fun")).await.unwrap(), None);
    assert_eq!(store.lti_state_get(TokenHash::of("of fun"), at(1)).await.unwrap(), None);
    let theirs = store.grant_list(&"ada".into(), None).await.unwrap();
    assert_eq!(theirs.len(), 1, "whoever was given time has it");
    // the same name again goes on where it was
    store.lti_registration_put(&fun).await.unwrap();
    let state = store.giver_get("lti:fun").await.unwrap().unwrap();
    assert_eq!((state.giver.budget.grants, state.given.grants), (Some(30), 2));
    assert_eq!(
        store.lti_roster_list(&"elsewhere".into()).await.unwrap(),
        [],
        "an address of whoever had the name before"
    );
}

/// A launch that has begun.
fn login_of_fun(state: &str) -> LtiState {
    LtiState {
        state: TokenHash::of(state),
        nonce: TokenHash::of("nonce"),
        browser: TokenHash::of("browser"),
        registration: id("fun"),
        target: "https://labs/lti/labs/ospf".into(),
        initiation: "{}".into(),
        expires_at: at(600),
    }
}

pub async fn the_newest_launch_that_was_taken_is_kept(store: Arc<dyn Store>) {
    let last = async |name| store.lti_launched_at(&id(name)).await.unwrap();
    assert_eq!(last("fun").await, None);
    for secs in [5, 9, 7] {
        store.lti_launched(&id("fun"), at(secs)).await.unwrap();
    }
    assert_eq!((last("fun").await, last("other").await), (Some(at(9)), None));
}

pub async fn a_login_under_way_is_there_until_it_expires(store: Arc<dyn Store>) {
    let state = login_of_fun("state");
    store.lti_state_put(&state).await.unwrap();
    assert_eq!(
        store.lti_state_put(&state).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    let get = async |name, secs| store.lti_state_get(TokenHash::of(name), at(secs)).await.unwrap();
    assert_eq!(get("state", 599).await, Some(state));
    assert_eq!(get("state", 600).await, None);
    assert_eq!(get("other", 0).await, None);
    assert_eq!(store.sweep(at(599)).await.unwrap(), 0);
    assert_eq!(
        store.sweep(at(600)).await.unwrap(),
        1,
        "at once: anybody can begin logins"
    );
    assert_eq!(get("state", 599).await, None);
}

fn key(kid: &str, secs: i64) -> LtiKey {
    LtiKey {
        kid: kid.into(),
        private: "cHJpdmF0ZQ".into(),
        created_at: at(secs),
        retire_at: None,
    }
}

pub async fn of_many_who_rotate_our_keys_at_once_one_does(store: Arc<dyn Store>) {
    let first = at_once(20, |_| {
        let store = store.clone();
        async move {
            store
                .lti_key_add(&key(&fresh().to_string(), 0), None, at(100))
                .await
                .unwrap()
        }
    })
    .await;
    assert_eq!(first.iter().filter(|made| **made).count(), 1);
    let newest = store.lti_key_list(at(0)).await.unwrap();
    assert_eq!(newest.len(), 1);
    let kid = newest[0].kid.clone();
    let second = at_once(20, |_| {
        let (store, kid) = (store.clone(), kid.clone());
        async move {
            let new = key(&fresh().to_string(), 1);
            store.lti_key_add(&new, Some(&kid), at(100)).await.unwrap()
        }
    })
    .await;
    assert_eq!(second.iter().filter(|made| **made).count(), 1);
    assert_eq!(store.lti_key_list(at(0)).await.unwrap().len(), 2);
}

pub async fn a_retired_key_is_published_until_its_end(store: Arc<dyn Store>) {
    assert!(store.lti_key_add(&key("a", 0), None, at(0)).await.unwrap());
    assert!(
        !store.lti_key_add(&key("b", 5), None, at(9)).await.unwrap(),
        "there is one already"
    );
    assert!(store.lti_key_add(&key("b", 5), Some("a"), at(100)).await.unwrap());
    assert!(store.lti_key_add(&key("c", 6), Some("b"), at(200)).await.unwrap());
    let list = async |secs| {
        let keys = store.lti_key_list(at(secs)).await.unwrap();
        keys.into_iter().map(|k| (k.kid, k.retire_at)).collect::<Vec<_>>()
    };
    let (c, b) = (("c".to_owned(), None), ("b".to_owned(), Some(at(200))));
    assert_eq!(list(99).await, [c.clone(), b.clone(), ("a".to_owned(), Some(at(100)))]);
    assert_eq!(list(100).await, [c.clone(), b]);
    assert_eq!(list(200).await, [c]);
    assert_eq!(store.sweep(at(86_400 + 200)).await.unwrap(), 2);
}

pub async fn refused_launches_are_kept_newest_first_and_not_for_ever(store: Arc<dyn Store>) {
    let attempt = |n: u32| Attempt {
        at: at(i64::from(n)),
        registration: (n.is_multiple_of(2)).then(|| id("fun")),
        platform: (n.is_multiple_of(3)).then(|| "https://fun".to_owned()),
        version: "1.3".into(),
        code: "lti-nonce".into(),
        step: 8,
        detail: format!("number {n}"),
    };
    let all = LTI_ATTEMPTS_KEPT + 3;
    for n in 0..all {
        store.lti_attempt_add(&attempt(n)).await.unwrap();
    }
    let kept = store.lti_attempt_list().await.unwrap();
    assert_eq!(kept.len(), LTI_ATTEMPTS_KEPT as usize);
    assert_eq!((&kept[0], &kept[1]), (&attempt(all - 1), &attempt(all - 2)));
}

fn invitation(name: &str, secret: &str) -> Invitation {
    Invitation {
        id: id(name),
        secret: TokenHash::of(secret),
        course: Some("net-101".into()),
        plan: Some("QUALIFYING".into()),
        created_at: at(0),
        expires_at: at(600),
        waiting: None,
    }
}

fn waiting(secs: i64, client_id: &str) -> Waiting {
    Waiting {
        at: at(secs),
        product: "moodle 4.5".into(),
        kind: platform("any", "https://moodle", client_id).kind,
    }
}

pub async fn an_invitation_is_answered_once_and_in_time(store: Arc<dyn Store>) {
    let open = invitation("moodle", "s-1");
    store.lti_invitation_put(&open).await.unwrap();
    let tried = async |secret, secs| store.lti_invitation_try(TokenHash::of(secret), at(secs)).await.unwrap();
    assert_eq!(tried("s-1", 599).await, Tried::Good(Box::new(open.clone())));
    assert_eq!(tried("s-1", 600).await, Tried::Unknown);
    assert_eq!(tried("s-2", 0).await, Tried::Unknown);
    let late = waiting(600, "c-0");
    assert!(!store.lti_invitation_answer(TokenHash::of("s-1"), &late).await.unwrap());
    assert!(
        !store
            .lti_invitation_answer(TokenHash::of("s-2"), &waiting(1, "c"))
            .await
            .unwrap()
    );
    let many = at_once(20, |n| {
        let store = store.clone();
        async move {
            let answer = waiting(5, &format!("c-{n}"));
            store
                .lti_invitation_answer(TokenHash::of("s-1"), &answer)
                .await
                .unwrap()
        }
    })
    .await;
    assert_eq!(many.iter().filter(|first| **first).count(), 1);
    assert_eq!(tried("s-1", 6).await, Tried::Unknown, "it was used");
}

pub async fn an_invitation_is_tried_so_often_and_no_more_however_many_try_at_once(store: Arc<dyn Store>) {
    let open = invitation("moodle", "s-1");
    store.lti_invitation_put(&open).await.unwrap();
    let other = invitation("other", "s-2");
    store.lti_invitation_put(&other).await.unwrap();
    let most = INVITATION_TRIES_MAX as usize;
    let answers = at_once(2 * most, |_| {
        let store = store.clone();
        async move { store.lti_invitation_try(TokenHash::of("s-1"), at(5)).await.unwrap() }
    })
    .await;
    let good = Tried::Good(Box::new(open));
    assert_eq!(answers.iter().filter(|a| **a == good).count(), most);
    assert_eq!(answers.iter().filter(|a| **a == Tried::Spent).count(), most);
    let tried = async |secret: &str, secs| store.lti_invitation_try(TokenHash::of(secret), at(secs)).await.unwrap();
    assert_eq!(tried("s-2", 5).await, Tried::Good(Box::new(other)), "each has its own");
    assert_eq!(tried("s-1", 600).await, Tried::Unknown);
    // whoever asks for another one begins anew
    let anew = invitation("moodle", "s-3");
    store.lti_invitation_put(&anew).await.unwrap();
    assert_eq!(tried("s-1", 5).await, Tried::Unknown);
    assert_eq!(tried("s-3", 5).await, Tried::Good(Box::new(anew)));
}

pub async fn a_platform_that_waits_is_no_registration_before_somebody_says_yes(store: Arc<dyn Store>) {
    store.lti_invitation_put(&invitation("moodle", "s-1")).await.unwrap();
    assert_eq!(
        store.lti_invitation_approve(&id("moodle"), at(1)).await.unwrap(),
        None,
        "nobody waits"
    );
    assert!(
        store
            .lti_invitation_answer(TokenHash::of("s-1"), &waiting(5, "c-1"))
            .await
            .unwrap()
    );
    let launched = by_platform("https://moodle", Some("c-1"));
    assert_eq!(store.lti_registration_find(&launched).await.unwrap(), []);
    let list = store.lti_invitation_list().await.unwrap();
    assert_eq!(list[0].waiting, Some(waiting(5, "c-1")));
    let approved = store
        .lti_invitation_approve(&id("moodle"), at(9))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (approved.created_at, &approved.course),
        (at(9), &Some("net-101".into()))
    );
    assert_eq!(store.lti_registration_find(&launched).await.unwrap(), [approved]);
    assert_eq!(store.lti_invitation_list().await.unwrap(), []);
    assert_eq!(store.lti_invitation_approve(&id("moodle"), at(9)).await.unwrap(), None);
    // and a no is a no
    store.lti_invitation_put(&invitation("other", "s-2")).await.unwrap();
    assert!(
        store
            .lti_invitation_answer(TokenHash::of("s-2"), &waiting(5, "c-2"))
            .await
            .unwrap()
    );
    assert!(store.lti_invitation_drop(&id("other")).await.unwrap());
    assert!(!store.lti_invitation_drop(&id("other")).await.unwrap());
    assert_eq!(store.lti_registration_list().await.unwrap().len(), 1);
}

pub async fn a_name_is_one_platforms_whoever_comes_first(store: Arc<dyn Store>) {
    store
        .lti_registration_put(&platform("fun", "https://fun", "c-1"))
        .await
        .unwrap();
    let kind = |e: lab_core::port::StoreError| e.kind();
    let refused = store.lti_invitation_put(&invitation("fun", "s-1")).await;
    assert_eq!(refused.map_err(kind), Err(ErrorKind::Conflict), "of a registration");
    // an invitation that nobody answered is replaced: its first address is void
    store.lti_invitation_put(&invitation("moodle", "s-1")).await.unwrap();
    store.lti_invitation_put(&invitation("moodle", "s-2")).await.unwrap();
    assert!(
        !store
            .lti_invitation_answer(TokenHash::of("s-1"), &waiting(1, "c-9"))
            .await
            .unwrap()
    );
    assert!(
        store
            .lti_invitation_answer(TokenHash::of("s-2"), &waiting(1, "c-9"))
            .await
            .unwrap()
    );
    let refused = store.lti_invitation_put(&invitation("moodle", "s-3")).await;
    assert_eq!(refused.map_err(kind), Err(ErrorKind::Conflict), "somebody waits");
    // a registration of this name, or of this platform, was added by hand meanwhile
    store
        .lti_registration_put(&platform("moodle", "https://hand", "c-1"))
        .await
        .unwrap();
    let refused = store.lti_invitation_approve(&id("moodle"), at(9)).await;
    assert_eq!(refused.map_err(kind), Err(ErrorKind::Conflict), "the name");
    store.lti_invitation_put(&invitation("twice", "s-4")).await.unwrap();
    let same = Waiting {
        kind: platform("any", "https://fun", "c-1").kind,
        ..waiting(1, "c-1")
    };
    assert!(store.lti_invitation_answer(TokenHash::of("s-4"), &same).await.unwrap());
    let refused = store.lti_invitation_approve(&id("twice"), at(9)).await;
    assert_eq!(refused.map_err(kind), Err(ErrorKind::Conflict), "the platform");
    assert_eq!(store.lti_invitation_list().await.unwrap().len(), 2, "both still wait");
}

pub async fn an_invitation_that_nobody_answered_goes_and_who_waits_stays(store: Arc<dyn Store>) {
    store.lti_invitation_put(&invitation("nobody", "s-1")).await.unwrap();
    store.lti_invitation_put(&invitation("somebody", "s-2")).await.unwrap();
    assert!(
        store
            .lti_invitation_answer(TokenHash::of("s-2"), &waiting(5, "c-1"))
            .await
            .unwrap()
    );
    assert_eq!(store.sweep(at(86_400 + 599)).await.unwrap(), 0);
    assert_eq!(store.sweep(at(86_400 + 600)).await.unwrap(), 1);
    let left = store.lti_invitation_list().await.unwrap();
    assert_eq!(left.iter().map(|i| i.id.0.as_str()).collect::<Vec<_>>(), ["somebody"]);
}

pub async fn a_course_knows_where_each_of_its_platforms_lists_its_people(store: Arc<dyn Store>) {
    let roster = |registration: &str, course: &str, url: &str| Roster {
        registration: id(registration),
        course: course.into(),
        url: url.into(),
    };
    for (name, client) in [("b-edx", "c-1"), ("a-moodle", "c-2")] {
        store
            .lti_registration_put(&platform(name, "https://lms", client))
            .await
            .unwrap();
    }
    for put in [
        roster("b-edx", "net-101", "https://edx/1"),
        roster("a-moodle", "net-101", "https://moodle/1"),
        roster("b-edx", "net-102", "https://edx/2"),
        roster("gone", "net-101", "https://gone/1"),
        roster("b-edx", "net-101", "https://edx/moved"),
    ] {
        store.lti_roster_put(&put).await.unwrap();
    }
    assert_eq!(
        store.lti_roster_list(&"net-101".into()).await.unwrap(),
        [
            roster("a-moodle", "net-101", "https://moodle/1"),
            roster("b-edx", "net-101", "https://edx/moved")
        ]
    );
    assert_eq!(store.lti_roster_list(&"net-103".into()).await.unwrap(), []);
}

pub async fn two_ids_are_one_person_once_somebody_said_so_and_until_they_take_it_back(store: Arc<dyn Store>) {
    let same = |alias: &str, subject: &str, secs: i64| SamePerson {
        alias: alias.into(),
        subject: subject.into(),
        at: at(secs),
        by: "cli".into(),
    };
    let of = async |alias: &str| store.same_person_of(&alias.into()).await.unwrap().0;
    assert_eq!(of("lti:fun#1").await, "lti:fun#1");
    store.same_person_put(&same("lti:fun#2", "lms#ada", 1)).await.unwrap();
    store.same_person_put(&same("lti:fun#1", "lms#ada", 2)).await.unwrap();
    store.same_person_put(&same("lti:fun#1", "lms#ada", 3)).await.unwrap();
    assert_eq!(
        (of("lti:fun#1").await, of("lms#ada").await),
        ("lms#ada".into(), "lms#ada".into())
    );
    for wrong in [
        same("lti:fun#1", "lms#zoe", 4),
        same("lms#ada", "lms#zoe", 4),
        same("x", "lti:fun#1", 4),
    ] {
        let refused = store.same_person_put(&wrong).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{wrong:?}");
    }
    let all = store.same_person_list().await.unwrap();
    assert_eq!(all, [same("lti:fun#1", "lms#ada", 2), same("lti:fun#2", "lms#ada", 1)]);
    assert!(store.same_person_drop(&"lti:fun#1".into()).await.unwrap());
    assert!(!store.same_person_drop(&"lti:fun#1".into()).await.unwrap());
    assert_eq!(
        (of("lti:fun#1").await, of("lti:fun#2").await),
        ("lti:fun#1".into(), "lms#ada".into())
    );
}
