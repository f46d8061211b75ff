//! Who gives within what was agreed, and what was withheld.

use super::fixture::{School, at, at_once};
use lab_core::{
    entitlement::{BudgetSpent, Given, Giver, Grant, GrantBudget, Issued, WhyWithheld, Withheld},
    port::Store,
    privacy::{Erasure, pseudonym},
};
use std::sync::Arc;

const SOURCE: &str = "lti:fun";

fn giver(grants: Option<i64>, seconds: Option<i64>) -> Giver {
    Giver {
        source: SOURCE.into(),
        plans: ["QUALIFYING".into(), "GROUP".into()].into(),
        budget: GrantBudget { grants, seconds },
        site: None,
    }
}

fn grant(school: &School, subject: &str, seconds: i64) -> Grant {
    Grant {
        source: SOURCE.into(),
        ..school.grant_of(subject, "QUALIFYING", seconds)
    }
}

pub async fn a_givers_budget_is_given_exactly_however_many_ask_at_once(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let store = school.store.clone();
    // 0.4 % of 6,826 enrolled take the qualifying track: 27 learners, and the budget is theirs
    let paying = 6826 * 4 / 1000;
    assert_eq!(paying, 27);
    store.giver_put(&giver(Some(paying), Some(30 * 3600))).await.unwrap();
    let all: Arc<Vec<Grant>> = Arc::new((0..50).map(|i| grant(&school, &format!("learner-{i}"), 3600)).collect());
    let answers = at_once(50, |i| {
        let (store, all) = (store.clone(), Arc::clone(&all));
        async move { store.grant_issue_within(&all[i]).await.unwrap() }
    })
    .await;
    let done = answers.iter().filter(|a| **a == Issued::Done).count();
    assert_eq!(done, 27);
    let spent = Issued::Spent(BudgetSpent::Grants { given: 27, max: 27 });
    assert!(answers.iter().all(|a| *a == Issued::Done || *a == spent));
    let state = store.giver_get(SOURCE).await.unwrap().unwrap();
    let given = Given {
        grants: 27,
        seconds: 27 * 3600,
    };
    assert_eq!((state.given, state.giver.plans.len()), (given, 2));
    for (i, answer) in answers.iter().enumerate() {
        let kept = store.grant_withheld(&all[i].subject, &school.course).await.unwrap();
        assert_eq!(kept.map(|w| w.why), (*answer == spent).then_some(WhyWithheld::Spent));
        // a launch again changes nothing for who has it
        assert_eq!(store.grant_issue_within(&all[i]).await.unwrap(), *answer);
    }
}

pub async fn what_is_taken_back_can_be_given_again_and_ends_that_it_was_withheld(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let store = school.store.as_ref();
    store.giver_put(&giver(None, Some(5000))).await.unwrap();
    let (ada, bob) = (grant(&school, "ada", 3600), grant(&school, "bob", 3600));
    assert_eq!(store.grant_issue_within(&ada).await.unwrap(), Issued::Done);
    let spent = BudgetSpent::Seconds {
        left: 1400,
        max: 5000,
        wanted: 3600,
    };
    assert_eq!(store.grant_issue_within(&bob).await.unwrap(), Issued::Spent(spent));
    school.admitted("ada").await;
    // 900 are held: 2,700 go back, and bob's hour fits
    store.grant_void(ada.id, "left", at(1)).await.unwrap();
    assert_eq!(store.giver_get(SOURCE).await.unwrap().unwrap().given.seconds, 900);
    assert_eq!(store.grant_issue_within(&bob).await.unwrap(), Issued::Done);
    assert_eq!(store.grant_withheld(&"bob".into(), &school.course).await.unwrap(), None);
    assert_eq!(store.giver_get("lti:other").await.unwrap(), None);
    // without an agreement nothing is counted
    let other = Grant {
        source: "lti:other".into(),
        ..grant(&school, "eve", 1_000_000)
    };
    assert_eq!(store.grant_issue_within(&other).await.unwrap(), Issued::Done);
}

pub async fn what_was_withheld_is_the_last_and_is_forgotten_with_its_learner(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let store = school.store.as_ref();
    let withheld = |plan: &str, why| Withheld {
        subject: "ada".into(),
        course: school.course.clone(),
        plan: plan.into(),
        why,
        at: at(3),
    };
    store
        .grant_withhold(&withheld("GOLD", WhyWithheld::NotOffered))
        .await
        .unwrap();
    let last = withheld("QUALIFYING", WhyWithheld::Spent);
    store.grant_withhold(&last).await.unwrap();
    assert_eq!(
        store.grant_withheld(&"ada".into(), &school.course).await.unwrap(),
        Some(last)
    );
    let erasure = Erasure {
        subject: "ada".into(),
        pseudonym: pseudonym([9; 32]),
        by: "ops".into(),
        by_name: "ops".into(),
        at: at(50),
    };
    store.person_erase(&erasure).await.unwrap();
    assert_eq!(store.grant_withheld(&"ada".into(), &school.course).await.unwrap(), None);
}
