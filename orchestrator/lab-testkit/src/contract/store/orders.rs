//! Shops' keys and orders.

use super::fixture::{School, at, at_once, fresh, used};
use lab_core::{
    OrderKeyId, TokenHash,
    entitlement::{
        BudgetSpent, Given, GrantBudget, Order, OrderKey, OrderState, Placed, Placement, grant_of, order_grant,
    },
    metering::StatementOf,
    port::Store,
    privacy::{Erasure, pseudonym},
};
use std::sync::Arc;

fn key(school: &School, shop: &str, budget: GrantBudget) -> OrderKey {
    OrderKey {
        id: OrderKeyId(fresh()),
        shop: shop.into(),
        hash: TokenHash([3; 32]),
        key: "k1".into(),
        courses: [school.course.clone(), "art".into()].into(),
        plans: ["QUALIFYING".into()].into(),
        sponsor: Some("esp".into()),
        site: Some("dakar".into()),
        budget,
        created_at: at(0),
        revoked_at: None,
    }
}

fn order(school: &School, number: &str, person: &str) -> Order {
    Order {
        number: number.into(),
        person: person.into(),
        course: school.course.clone(),
        plan: "QUALIFYING".into(),
        seconds: Some(1200),
        expires_at: None,
    }
}

async fn placement(school: &School, key: &OrderKey, order: Order) -> Placement {
    let plans = school.store.plan_list().await.unwrap();
    let plan = plans.iter().find(|p| p.id == order.plan).unwrap();
    Placement {
        key: key.id,
        grant: grant_of(key, plan, &order, at(0)).unwrap(),
        order,
    }
}

async fn place(school: &School, key: &OrderKey, order: Order) -> Placed {
    let placement = placement(school, key, order).await;
    school.store.order_place(&placement).await.unwrap()
}

async fn open(store: Arc<dyn Store>, budget: GrantBudget) -> (School, OrderKey) {
    let school = School::open(store).await;
    let key = key(&school, "shop", budget);
    school.store.order_key_add(&key).await.unwrap();
    (school, key)
}

fn new(placed: Placed) -> OrderState {
    match placed {
        Placed::New(state) => state,
        other => panic!("{other:?}"),
    }
}

pub async fn an_order_gives_one_grant_however_often_it_is_sent(store: Arc<dyn Store>) {
    let (school, key) = open(store, GrantBudget::default()).await;
    assert_eq!(school.store.order_key_get(key.id).await.unwrap(), Some(key.clone()));
    let first = new(place(&school, &key, order(&school, "S-1", "ada")).await);
    assert_eq!(
        (first.grant.id, first.available, first.grant.source.as_str()),
        (order_grant("shop", "S-1"), 1200, "order")
    );
    assert_eq!(
        place(&school, &key, order(&school, "S-1", "ada")).await,
        Placed::Same(first.clone())
    );
    let other = Order {
        seconds: Some(60),
        person: "bob".into(),
        ..order(&school, "S-1", "ada")
    };
    let Placed::Differs(fields) = place(&school, &key, other).await else {
        panic!("another order of the same number");
    };
    assert_eq!(
        fields.iter().map(|d| d.field).collect::<Vec<_>>(),
        ["person", "seconds"]
    );
    assert_eq!(school.available(&"ada".into()).await, [1200]);
    assert!(school.available(&"bob".into()).await.is_empty());
    assert_eq!(school.store.order_get("shop", "S-1").await.unwrap(), Some(first));
    assert_eq!(school.store.order_get("elsewhere", "S-1").await.unwrap(), None);
    let sums = school.store.ledger_sums().await.unwrap();
    assert_eq!((sums.total, sums.held, sums.used), (0, 0, 0));
    let facts = school
        .store
        .statement_facts(&StatementOf::Sponsor("esp".into()), at(1))
        .await
        .unwrap();
    assert_eq!((facts.grants.len(), facts.transactions.len()), (1, 1));
}

pub async fn fifty_who_send_an_order_at_once_get_one_grant(store: Arc<dyn Store>) {
    let (school, key) = open(store, GrantBudget::default()).await;
    let one = placement(&school, &key, order(&school, "S-1", "ada")).await;
    let answers = at_once(50, |_| {
        let (store, one) = (Arc::clone(&school.store), one.clone());
        async move { store.order_place(&one).await.unwrap() }
    })
    .await;
    let new = answers.iter().filter(|a| matches!(a, Placed::New(_))).count();
    let same = answers.iter().filter(|a| matches!(a, Placed::Same(_))).count();
    assert_eq!((new, same), (1, 49));
    assert_eq!(school.available(&"ada".into()).await, [1200]);
}

pub async fn a_shops_budget_holds_over_orders_at_once_and_over_its_keys(store: Arc<dyn Store>) {
    let budget = GrantBudget {
        grants: Some(7),
        seconds: Some(6 * 1200 + 600),
    };
    let (school, first) = open(store, budget).await;
    let second = key(&school, "shop", budget);
    school.store.order_key_add(&second).await.unwrap();
    let mut all = Vec::new();
    for i in 0..20 {
        let key = if i % 2 == 0 { &first } else { &second };
        all.push(placement(&school, key, order(&school, &format!("S-{i}"), &format!("learner-{i}"))).await);
    }
    let all = Arc::new(all);
    let answers = at_once(20, |i| {
        let (store, all) = (Arc::clone(&school.store), Arc::clone(&all));
        async move { store.order_place(&all[i]).await.unwrap() }
    })
    .await;
    let placed = answers.iter().filter(|a| matches!(a, Placed::New(_))).count();
    assert_eq!(placed, 6, "the seventh has half the time it asks for");
    assert!(answers.iter().all(|a| matches!(
        a,
        Placed::New(_)
            | Placed::Spent(BudgetSpent::Seconds {
                left: 600,
                max: 7800,
                wanted: 1200
            })
    )));
    let small = Order {
        seconds: Some(600),
        ..order(&school, "S-small", "last")
    };
    new(place(&school, &second, small).await);
    let none = Order {
        seconds: Some(60),
        ..order(&school, "S-none", "nobody")
    };
    assert_eq!(
        place(&school, &second, none).await,
        Placed::Spent(BudgetSpent::Grants { given: 7, max: 7 })
    );
    let given = Given {
        grants: 7,
        seconds: 7800,
    };
    let keys = school.store.order_key_list().await.unwrap();
    assert!(keys.len() == 2 && keys.iter().all(|k| k.given == given));
}

pub async fn an_order_that_is_cancelled_gives_back_what_was_not_used(store: Arc<dyn Store>) {
    let budget = GrantBudget {
        grants: Some(1),
        seconds: None,
    };
    let (school, key) = open(store, budget).await;
    assert_eq!(
        school
            .store
            .order_cancel("shop", "S-1", "typed twice", at(9))
            .await
            .unwrap(),
        None
    );
    new(place(&school, &key, order(&school, "S-1", "ada")).await);
    let session = school.admitted("ada").await;
    let session = school.ready(&session).await;
    let cancel = |reason: &'static str, secs| school.store.order_cancel("shop", "S-1", reason, at(secs));
    let done = cancel("typed twice", 10).await.unwrap().unwrap();
    let back = done.cancelled.clone().unwrap();
    assert_eq!(
        (back.taken_back, back.reason.as_str(), done.available),
        (300, "typed twice", 0),
        "900 are held by the lab that runs"
    );
    assert_eq!(
        cancel("again", 11).await.unwrap(),
        Some(done),
        "a repeat changes nothing"
    );
    school.end(&session).await;
    school.store.settle(&used(&session, 400)).await.unwrap();
    assert_eq!(
        school.available(&"ada".into()).await,
        [0],
        "what is not used goes back to where it came from"
    );
    assert_eq!(school.store.ledger_sums().await.unwrap().total, 0);
    // the place is free again, and the number stays what it was
    assert!(
        matches!(place(&school, &key, order(&school, "S-1", "ada")).await, Placed::Same(s) if s.cancelled.is_some())
    );
    new(place(&school, &key, order(&school, "S-2", "bob")).await);
}

pub async fn a_revoked_key_orders_nothing_and_what_it_ordered_stays(store: Arc<dyn Store>) {
    let (school, key) = open(store, GrantBudget::default()).await;
    new(place(&school, &key, order(&school, "S-1", "ada")).await);
    school.store.order_key_revoke(key.id, at(5)).await.unwrap();
    school.store.order_key_revoke(key.id, at(6)).await.unwrap();
    let kept = school.store.order_key_get(key.id).await.unwrap().unwrap();
    assert_eq!(kept.revoked_at, Some(at(5)));
    assert_eq!(
        place(&school, &key, order(&school, "S-2", "ada")).await,
        Placed::Revoked
    );
    assert_eq!(school.available(&"ada".into()).await, [1200]);
    let unknown = OrderKeyId(fresh());
    assert!(school.store.order_key_revoke(unknown, at(5)).await.is_err());
}

pub async fn an_order_of_somebody_who_was_forgotten_names_nobody_and_gives_nothing_more(store: Arc<dyn Store>) {
    let (school, key) = open(store, GrantBudget::default()).await;
    new(place(&school, &key, order(&school, "S-1", "ada")).await);
    let erasure = Erasure {
        subject: "ada".into(),
        pseudonym: pseudonym([9; 32]),
        by: "ops".into(),
        by_name: "ops".into(),
        at: at(50),
    };
    school.store.person_erase(&erasure).await.unwrap();
    let kept = school.store.order_get("shop", "S-1").await.unwrap().unwrap();
    assert_eq!(kept.order.person, erasure.pseudonym);
    let again = place(&school, &key, order(&school, "S-1", "ada")).await;
    assert!(matches!(again, Placed::Differs(fields) if fields.len() == 1 && fields[0].was.is_none()));
    assert!(school.available(&"ada".into()).await.is_empty());
}
