//! Labs, courses, links, logins, tickets.

use super::fixture::{School, at, at_once, fresh, lab};
use lab_core::{
    LabId, LaunchId, LoginId, SessionId, TokenHash,
    launch::{Login, Role, TICKETS_A_LOGIN_MAX, Ticket, TicketScope},
    port::{Course, ErrorKind, Redeem, Store},
};
use std::sync::Arc;

pub async fn it_answers(store: Arc<dyn Store>) {
    store.ping().await.unwrap();
}

pub async fn the_last_published_version_is_the_latest_and_all_stay(store: Arc<dyn Store>) {
    let (first, second, other) = (lab("ospf", "one"), lab("ospf", "two"), lab("bgp", "one"));
    assert_eq!(store.lab_latest(&"ospf".into()).await.unwrap(), None);
    for version in [&first, &second, &other] {
        store.lab_publish(version, at(0)).await.unwrap();
    }
    assert_eq!(store.lab_latest(&"ospf".into()).await.unwrap().as_ref(), Some(&second));
    assert_eq!(store.lab_version(&first.digest).await.unwrap().as_ref(), Some(&first));
    assert_eq!(store.lab_list().await.unwrap(), [other.clone(), second.clone()]);
    // back to the first one: it is there already, and is the latest again
    store.lab_publish(&first, at(1)).await.unwrap();
    assert_eq!(store.lab_list().await.unwrap(), [other, first]);
    assert_eq!(store.lab_version(&second.digest).await.unwrap(), Some(second));
    assert_eq!(store.lab_version(&"0".repeat(64).into()).await.unwrap(), None);
}

pub async fn a_withdrawn_lab_is_out_of_every_list_and_back_as_it_was_when_published_again(store: Arc<dyn Store>) {
    let (first, second, other) = (lab("ospf", "one"), lab("ospf", "two"), lab("bgp", "one"));
    let ospf = LabId::from("ospf");
    assert!(!store.lab_withdraw(&ospf).await.unwrap(), "it was never there");
    assert_eq!(store.lab_last(&ospf).await.unwrap(), None);
    for (n, version) in [&first, &second, &other, &first].into_iter().enumerate() {
        store.lab_publish(version, at(n as i64)).await.unwrap();
    }
    assert!(store.lab_withdraw(&ospf).await.unwrap());
    assert!(!store.lab_withdraw(&ospf).await.unwrap(), "a repeat changes nothing");
    assert_eq!(store.lab_latest(&ospf).await.unwrap(), None);
    assert_eq!(store.lab_list().await.unwrap(), [other]);
    assert_eq!(store.lab_ids().await.unwrap(), ["bgp".into(), ospf.clone()]);
    // what runs goes on, and the one that was launched last is known: not the one that was made last
    assert_eq!(store.lab_version(&second.digest).await.unwrap().as_ref(), Some(&second));
    assert_eq!(store.lab_last(&ospf).await.unwrap().as_ref(), Some(&first));
    store.lab_publish(&first, at(9)).await.unwrap();
    assert_eq!(store.lab_latest(&ospf).await.unwrap().as_ref(), Some(&first));
    assert_eq!(store.lab_last(&ospf).await.unwrap(), Some(first));
}

pub async fn courses_and_plans_are_as_they_were_last_put(store: Arc<dyn Store>) {
    let school = School::open(store.clone()).await;
    for (id, title) in [("b", "Second"), ("a", "First"), ("b", "Seconde ✓")] {
        store
            .course_put(&Course {
                id: id.into(),
                title: title.into(),
            })
            .await
            .unwrap();
    }
    let titles: Vec<_> = store
        .course_list()
        .await
        .unwrap()
        .into_iter()
        .map(|c| (c.id.0, c.title))
        .collect();
    assert_eq!(titles, [("a".into(), "First".into()), ("b".into(), "Seconde ✓".into())]);
    let one = store.course_get(&"b".into()).await.unwrap().map(|c| c.title);
    assert_eq!(one.as_deref(), Some("Seconde ✓"));
    assert_eq!(store.course_get(&"c".into()).await.unwrap(), None);

    let mut plans = store.plan_list().await.unwrap();
    assert_eq!(
        plans.iter().map(|p| p.id.as_str()).collect::<Vec<_>>(),
        ["DISCOVERY", "GROUP", "QUALIFYING"]
    );
    plans[0].labs = true;
    plans[0].name.fr = "découverte".into();
    plans[0].concurrency_max = u32::MAX;
    school.store.plan_put(&plans[0]).await.unwrap();
    assert_eq!(store.plan_list().await.unwrap(), plans);
}

pub async fn a_link_is_fresh_once(store: Arc<dyn Store>) {
    let id = LaunchId(fresh());
    let answers = at_once(50, |i| {
        let store = store.clone();
        async move { store.launch_redeem(id, at(i as i64), at(600)).await.unwrap() }
    })
    .await;
    let first = answers
        .iter()
        .position(|a| *a == Redeem::Fresh)
        .expect("one is the first");
    for (i, answer) in answers.iter().enumerate() {
        let expected = if i == first {
            Redeem::Fresh
        } else {
            Redeem::Used { at: at(first as i64) }
        };
        assert_eq!(*answer, expected, "call {i}");
    }
    assert_eq!(
        store.launch_redeem(LaunchId(fresh()), at(0), at(600)).await.unwrap(),
        Redeem::Fresh
    );
}

pub async fn a_bearer_opens_its_login_until_it_expires(store: Arc<dyn Store>) {
    let learner = login(Role::Learner, 600);
    let mut teacher = login(Role::Teacher, 600);
    (teacher.lab, teacher.plan) = (None, None);
    store.login_create(&learner, TokenHash::of("l")).await.unwrap();
    store.login_create(&teacher, TokenHash::of("t")).await.unwrap();
    assert_eq!(
        store
            .login_by_bearer(TokenHash::of("l"), at(599))
            .await
            .unwrap()
            .as_ref(),
        Some(&learner)
    );
    assert_eq!(
        store.login_by_bearer(TokenHash::of("t"), at(0)).await.unwrap().as_ref(),
        Some(&teacher)
    );
    assert_eq!(store.login_by_bearer(TokenHash::of("l"), at(600)).await.unwrap(), None);
    assert_eq!(store.login_by_bearer(TokenHash::of("x"), at(0)).await.unwrap(), None);
    assert_eq!(
        store.login_get(learner.id, at(599)).await.unwrap().as_ref(),
        Some(&learner)
    );
    assert_eq!(store.login_get(learner.id, at(600)).await.unwrap(), None);
    assert_eq!(store.login_get(LoginId(fresh()), at(0)).await.unwrap(), None);
    let taken = store.login_create(&learner, TokenHash::of("other")).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Conflict);
}

pub async fn a_rotated_bearer_stays_good_for_its_grace_only(store: Arc<dyn Store>) {
    let login = login(Role::Learner, 600);
    let [a, b, c, d] = ["a", "b", "c", "d"].map(TokenHash::of);
    store.login_create(&login, a).await.unwrap();
    assert!(store.login_rotate(login.id, a, b, at(1200), at(130)).await.unwrap());
    let opens = async |bearer, secs| store.login_by_bearer(bearer, at(secs)).await.unwrap();
    assert_eq!(
        opens(b, 1199).await.map(|l| l.expires_at),
        Some(at(1200)),
        "rotation moves the expiry"
    );
    assert!(opens(a, 129).await.is_some(), "a request under way with the old one");
    assert!(opens(a, 130).await.is_none());
    // the answer to the rotation was lost: the tab still has `a`, and rotates again
    assert!(store.login_rotate(login.id, a, c, at(1800), at(260)).await.unwrap());
    assert!(opens(c, 1500).await.is_some() && opens(a, 259).await.is_some());
    assert!(opens(b, 0).await.is_none(), "nobody has `b`");
    assert!(!store.login_rotate(login.id, b, d, at(2400), at(400)).await.unwrap());
    assert!(
        !store
            .login_rotate(LoginId(fresh()), c, d, at(2400), at(400))
            .await
            .unwrap()
    );
    assert!(opens(d, 0).await.is_none());
}

pub async fn a_ticket_opens_once_and_in_time(store: Arc<dyn Store>) {
    let login = login(Role::Learner, 600);
    store.login_create(&login, TokenHash::of("bearer")).await.unwrap();
    let ticket = |name: &str, scope| Ticket {
        hash: TokenHash::of(name),
        login: login.id,
        scope,
        expires_at: at(30),
    };
    let session = ticket(
        "one",
        TicketScope::Session {
            session: SessionId(fresh()),
        },
    );
    let wall = ticket(
        "two",
        TicketScope::Wall {
            course: "net-101".into(),
        },
    );
    for ticket in [&session, &wall] {
        store.ticket_create(ticket).await.unwrap();
    }
    let answers = at_once(50, |_| {
        let store = store.clone();
        async move { store.ticket_take(TokenHash::of("one"), at(29)).await.unwrap() }
    })
    .await;
    let taken: Vec<_> = answers.into_iter().flatten().collect();
    assert_eq!(taken, [session]);
    assert_eq!(
        store.ticket_take(wall.hash, at(30)).await.unwrap(),
        None,
        "it has expired"
    );
    assert_eq!(store.ticket_take(TokenHash::of("none"), at(0)).await.unwrap(), None);
    let stray = Ticket {
        login: LoginId(fresh()),
        ..wall
    };
    assert_eq!(
        store.ticket_create(&stray).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

pub async fn a_login_has_so_many_tickets_and_the_oldest_gives_way(store: Arc<dyn Store>) {
    let (greedy, other) = (login(Role::Learner, 600), login(Role::Learner, 600));
    for (login, bearer) in [(&greedy, "greedy"), (&other, "other")] {
        store.login_create(login, TokenHash::of(bearer)).await.unwrap();
    }
    let ticket = |login: LoginId, n: usize| Ticket {
        hash: TokenHash::of(&format!("{login} {n}")),
        login,
        scope: TicketScope::Wall {
            course: "net-101".into(),
        },
        expires_at: at(30 + n as i64),
    };
    store.ticket_create(&ticket(other.id, 0)).await.unwrap();
    for n in 0..TICKETS_A_LOGIN_MAX + 2 {
        store.ticket_create(&ticket(greedy.id, n)).await.unwrap();
    }
    let taken = async |login, n| store.ticket_take(ticket(login, n).hash, at(0)).await.unwrap().is_some();
    assert!(taken(other.id, 0).await, "another's stays");
    for n in 0..TICKETS_A_LOGIN_MAX + 2 {
        assert_eq!(taken(greedy.id, n).await, n >= 2, "{n}");
    }
}

pub async fn a_sweep_drops_what_expired_a_day_ago_and_nothing_else(store: Arc<dyn Store>) {
    const DAY: i64 = 86_400;
    let (old, young) = (login(Role::Learner, 10), login(Role::Learner, DAY));
    let links = [LaunchId(fresh()), LaunchId(fresh())];
    for (login, name, link) in [(&old, "old", links[0]), (&young, "young", links[1])] {
        store.login_create(login, TokenHash::of(name)).await.unwrap();
        let wall = TicketScope::Wall {
            course: "net-101".into(),
        };
        let ticket = Ticket {
            hash: TokenHash::of(name),
            login: login.id,
            scope: wall,
            expires_at: login.expires_at,
        };
        store.ticket_create(&ticket).await.unwrap();
        store.launch_redeem(link, at(0), login.expires_at).await.unwrap();
    }
    assert_eq!(store.sweep(at(DAY + 9)).await.unwrap(), 0);
    assert_eq!(store.sweep(at(DAY + 10)).await.unwrap(), 3);
    assert_eq!(store.sweep(at(DAY + 10)).await.unwrap(), 0);
    assert_eq!(store.login_get(old.id, at(0)).await.unwrap(), None);
    assert_eq!(store.login_get(young.id, at(0)).await.unwrap(), Some(young));
    assert!(
        store
            .ticket_take(TokenHash::of("young"), at(0))
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(
        store.launch_redeem(links[1], at(1), at(DAY)).await.unwrap(),
        Redeem::Used { at: at(0) }
    );
}

fn login(role: Role, expires: i64) -> Login {
    Login {
        id: LoginId(fresh()),
        subject: "ada".into(),
        name: "Ada Lovelace".into(),
        role,
        course: "net-101".into(),
        lab: Some("tiny".into()),
        plan: Some("QUALIFYING".into()),
        sponsor: (role == Role::Sponsor).then(|| "esp".into()),
        created_at: at(0),
        expires_at: at(expires),
    }
}
