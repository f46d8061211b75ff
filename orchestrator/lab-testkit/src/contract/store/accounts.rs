//! Statements, budgets and alerts, costs, reconciliations.

use super::fixture::{School, at, at_once, fresh, used};
use lab_core::{
    SandboxId, SessionId, Timestamp,
    entitlement::{Grant, source},
    lab::SizeClass,
    metering::{
        ACCOUNTS_LEASE, Alert, AlertChannel, AlertOf, Budget, BudgetOf, DeliveryMark, DeliveryOutcome, Period, Rate,
        ReconcileLine, Reconciliation, Spending, Statement, StatementOf,
    },
    port::{Admission, ErrorKind, POOL_LEASE, PoolChange, PoolWrite, Refund, Session, Settlement, Store},
    provisioning::{DrainReason, PoolSandbox, PoolState},
};
use std::{sync::Arc, time::Duration};

async fn statement(store: &dyn Store, of: StatementOf, from: Timestamp, until: Timestamp) -> Statement {
    let facts = store.statement_facts(&of, until).await.unwrap();
    let statement = Statement::new(of, Period { from, until }, &facts);
    assert_eq!(statement.disagreements(), Vec::<String>::new());
    statement
}

fn settled(session: &Session, secs: i64, when: Timestamp) -> Settlement {
    Settlement {
        at: when,
        ..used(session, secs)
    }
}

/// A grant that `sponsor` pays for, drawn first.
fn sponsored(school: &School, subject: &str, sponsor: &str, seconds: i64) -> Grant {
    Grant {
        sponsor: Some(sponsor.into()),
        source: source::SPONSOR.into(),
        priority: 1,
        ..school.grant_of(subject, "QUALIFYING", seconds)
    }
}

pub async fn a_statement_agrees_with_the_ledger_of_every_scope(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let store = school.store.as_ref();
    store.grant_issue(&sponsored(&school, "ada", "esp", 100)).await.unwrap();
    let own = school.grant("ada", "QUALIFYING", 1000).await;
    let session = school.admitted("ada").await;
    let session = school.ready(&session).await;
    let row = Settlement {
        sandbox_secs: 400,
        billable_secs: 300,
        unbilled_reason: Some("frozen".into()),
        loss: None,
        ..settled(&session, 0, at(700))
    };
    store.settle(&row).await.unwrap();
    let refund = Refund {
        session: session.id,
        seconds: 50,
        reason: "fault".into(),
        at: at(800),
    };
    store.refund(&refund).await.unwrap();
    let sums = store.session_sums().await.unwrap();
    assert_eq!(
        (sums.sandbox, sums.billed, sums.unbilled, sums.refunded, sums.held),
        (400, 300, 100, 50, 0)
    );
    store.grant_void(own, "gone", at(900)).await.unwrap();

    let all = (at(-9999), at(9999));
    let learner = statement(store, StatementOf::Learner("ada".into()), all.0, all.1).await;
    let t = learner.totals;
    assert_eq!((t.grants, t.learners, t.sessions), (2, 1, 1));
    assert_eq!(
        (
            t.flow.given,
            t.flow.used,
            t.flow.refunded,
            t.flow.revoked,
            t.flow.closing
        ),
        (1100, 300, 50, 850, 0)
    );
    assert_eq!(
        (t.sandbox_seconds, t.billed_seconds, t.unbilled_seconds),
        (400, 300, 100)
    );
    assert_eq!(t.ledger_used_seconds, 250);
    assert_eq!(learner.sessions[0].unbilled_reason.as_deref(), Some("frozen"));

    let sponsor = statement(store, StatementOf::Sponsor("esp".into()), all.0, all.1).await;
    let t = sponsor.totals;
    assert_eq!((t.flow.given, t.flow.used, t.flow.closing), (100, 100, 0));
    assert_eq!(
        (t.billed_seconds, t.elsewhere_seconds),
        (100, 200),
        "the rest was paid by the learner's own grant"
    );

    let course = statement(store, StatementOf::Course(school.course.clone()), all.0, all.1).await;
    assert_eq!(course.totals.flow, learner.totals.flow);
    let nobody = statement(store, StatementOf::Sponsor("nobody".into()), all.0, all.1).await;
    assert!(nobody.grants.is_empty() && nobody.sessions.is_empty());
}

pub async fn what_came_before_a_period_is_its_opening(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let store = school.store.as_ref();
    let session = school.at_work(2000).await;
    let of = || StatementOf::Learner(session.subject.clone());
    // 900 of it are held
    let while_it_runs = statement(store, of(), at(100), at(200)).await.totals.flow;
    assert_eq!(
        (while_it_runs.opening, while_it_runs.closing, while_it_runs.held),
        (2000, 2000, 900)
    );
    store.settle(&settled(&session, 300, at(1000))).await.unwrap();
    let before = statement(store, of(), at(-9999), at(1000)).await;
    assert_eq!((before.totals.sessions, before.totals.flow.closing), (0, 2000));
    let day = statement(store, of(), at(1000), at(1001)).await;
    assert_eq!(
        (day.totals.sessions, day.totals.flow.opening, day.totals.flow.used),
        (1, 2000, 300)
    );
    let after = statement(store, of(), at(1001), at(2000)).await;
    assert_eq!(
        (
            after.totals.sessions,
            after.totals.flow.opening,
            after.totals.flow.closing
        ),
        (0, 1700, 1700)
    );
}

/// Periods that meet where clocks go back and forth, and around a leap day: whatever is settled is in one of them.
pub async fn a_boundary_of_daylight_saving_or_a_leap_day_loses_and_doubles_nothing(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let store = school.store.as_ref();
    let boundaries = [
        // Paris: 03:00 becomes 02:00, 02:00 becomes 03:00; a leap day begins and ends
        ["2027-10-31T02:59:59+02:00", "2027-10-31T02:00:00+01:00"],
        ["2028-03-26T01:59:59+01:00", "2028-03-26T03:00:00+02:00"],
        ["2028-02-28T23:59:59Z", "2028-02-29T00:00:00Z"],
        ["2028-02-29T23:59:59Z", "2028-03-01T00:00:00Z"],
    ];
    for [last, first] in boundaries {
        let (last, first): (Timestamp, Timestamp) = (last.parse().unwrap(), first.parse().unwrap());
        assert_eq!(first.since(last), Duration::from_secs(1));
        let subject = format!("learner-{}", fresh());
        for when in [last, first] {
            let grant = Grant {
                effective_at: last.minus(Duration::from_hours(24)),
                created_at: last.minus(Duration::from_hours(24)),
                // a day, whatever the clocks on the wall do
                expires_at: first.plus(Duration::from_hours(24)),
                ..school.grant_of(&subject, "QUALIFYING", 500)
            };
            store.grant_issue(&grant).await.unwrap();
            let click = lab_core::port::AdmitRequest {
                at: when.minus(Duration::from_secs(100)),
                ..school.click(&subject, "tiny")
            };
            let Admission::Admitted(session) = store.admit(&click).await.unwrap() else {
                panic!("{subject} was not admitted at {when}");
            };
            let session = school.ready(&session).await;
            store.settle(&settled(&session, 60, when)).await.unwrap();
            school.end(&session).await;
        }
        let of = || StatementOf::Learner(subject.as_str().into());
        let day = Duration::from_hours(24);
        let before = statement(store, of(), first.minus(day), first).await.totals;
        let after = statement(store, of(), first, first.plus(day)).await.totals;
        assert_eq!((before.sessions, after.sessions), (1, 1), "{first}");
        assert_eq!(before.flow.closing, after.flow.opening);
        let both = statement(store, of(), first.minus(day), first.plus(day)).await.totals;
        assert_eq!(both.billed_seconds, before.billed_seconds + after.billed_seconds);
        // the grants end when they say, not an hour before or after
        store
            .grants_expire(first.plus(day).minus(Duration::from_secs(1)))
            .await
            .unwrap();
        let left = |g: Vec<lab_core::entitlement::GrantBalance>| g.iter().map(|g| g.available).sum::<i64>();
        assert_eq!(
            left(store.grant_list(&subject.as_str().into(), None).await.unwrap()),
            880
        );
        store.grants_expire(first.plus(day)).await.unwrap();
        assert_eq!(left(store.grant_list(&subject.as_str().into(), None).await.unwrap()), 0);
    }
}

fn alert(spent: i64) -> Alert {
    let of = AlertOf::Course { course: "net".into() };
    let spending = Spending { of, basis: 1000, spent };
    spending.alert(at(10)).expect("half is spent")
}

pub async fn an_alert_is_raised_once_a_threshold_and_never_a_lower_one_later(store: Arc<dyn Store>) {
    let raise = async |alert: &Alert| store.alert_raise(alert, &[]).await.unwrap();
    assert!(raise(&alert(500)).await);
    assert!(!raise(&alert(600)).await, "the same threshold");
    assert!(raise(&alert(1000)).await);
    assert!(!raise(&alert(800)).await, "time was refunded: the higher one was told");
    let larger = Alert {
        basis: 2000,
        ..alert(1000)
    };
    assert!(raise(&larger).await, "another budget");
    let told = store.alert_list().await.unwrap();
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|a| a.sent.is_empty()));
    assert!(
        store.alerts_due(at(99)).await.unwrap().is_empty(),
        "no channel, nothing to send"
    );
}

pub async fn what_is_spent_is_what_was_taken_from_grants(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let store = school.store.as_ref();
    let budgets = [
        Budget {
            of: BudgetOf::Course(school.course.clone()),
            seconds: 5000,
        },
        Budget {
            of: BudgetOf::Sponsor("esp".into()),
            seconds: 700,
        },
    ];
    store.budgets_put(&[]).await.unwrap();
    store.budgets_put(&budgets).await.unwrap();
    store.grant_issue(&sponsored(&school, "ada", "esp", 600)).await.unwrap();
    school.grant("ada", "QUALIFYING", 400).await;
    school.grant("bob", "QUALIFYING", 9000).await;
    let spent = async |of: &AlertOf| {
        let all = store.spendings(at(20)).await.unwrap();
        all.into_iter().find(|s| s.of == *of).map(|s| (s.basis, s.spent))
    };
    let course = AlertOf::Course {
        course: school.course.clone(),
    };
    let sponsor = AlertOf::Sponsor { sponsor: "esp".into() };
    let ada = AlertOf::Learner {
        subject: "ada".into(),
        course: school.course.clone(),
    };
    let bob = AlertOf::Learner {
        subject: "bob".into(),
        course: school.course.clone(),
    };
    assert_eq!(spent(&course).await, Some((5000, 0)));
    assert_eq!(spent(&ada).await, None, "less than half is not worth a row");
    let session = school.admitted("ada").await;
    let session = school.ready(&session).await;
    assert_eq!(
        spent(&ada).await,
        Some((1000, 900)),
        "what a running lab holds is taken"
    );
    assert_eq!(spent(&sponsor).await, Some((700, 600)));
    assert_eq!(spent(&course).await, Some((5000, 900)));
    store.settle(&settled(&session, 550, at(15))).await.unwrap();
    assert_eq!(spent(&ada).await, Some((1000, 550)));
    assert_eq!(spent(&sponsor).await, Some((700, 550)));
    assert_eq!(spent(&course).await, Some((5000, 550)));
    assert_eq!(spent(&bob).await, None);
    assert_eq!(
        store.spendings(at(-9999)).await.unwrap().len(),
        2,
        "no grant was valid then"
    );
    store.budgets_put(&budgets[..1]).await.unwrap();
    assert_eq!(spent(&sponsor).await, None);
}

pub async fn of_fifty_who_raise_an_alert_at_once_one_does(store: Arc<dyn Store>) {
    let raised = at_once(50, |_| {
        let store = store.clone();
        async move { store.alert_raise(&alert(500), &AlertChannel::ALL).await.unwrap() }
    })
    .await;
    assert_eq!(raised.into_iter().filter(|r| *r).count(), 1);
    assert_eq!(store.alerts_due(at(10)).await.unwrap().len(), 2, "one a channel");
}

/// The clerk's lease; its epoch.
async fn clerk(store: &dyn Store, holder: &str, when: Timestamp) -> u64 {
    let lease = store
        .lease_take(ACCOUNTS_LEASE, holder, when, Duration::from_secs(6))
        .await
        .unwrap();
    lease.expect("it is free").epoch
}

fn mark(epoch: u64, channel: AlertChannel, outcome: DeliveryOutcome) -> DeliveryMark {
    DeliveryMark {
        epoch,
        alert: alert(500).key(),
        channel,
        outcome,
        at: at(20),
    }
}

pub async fn an_alert_goes_out_once_and_is_tried_again_until_then(store: Arc<dyn Store>) {
    store.alert_raise(&alert(500), &AlertChannel::ALL).await.unwrap();
    let epoch = clerk(store.as_ref(), "a", at(0)).await;
    assert!(store.alerts_due(at(9)).await.unwrap().is_empty());
    let code = || "mail-unavailable".to_owned();
    let later = DeliveryOutcome::Failed {
        code: code(),
        again_at: at(60),
    };
    store.alert_mark(&mark(epoch, AlertChannel::Mail, later)).await.unwrap();
    store
        .alert_mark(&mark(epoch, AlertChannel::Webhook, DeliveryOutcome::Sent))
        .await
        .unwrap();
    assert!(store.alerts_due(at(59)).await.unwrap().is_empty());
    let due = store.alerts_due(at(60)).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!((due[0].channel, due[0].attempts), (AlertChannel::Mail, 1));
    assert_eq!(due[0].alert, alert(500));
    store
        .alert_mark(&mark(
            epoch,
            AlertChannel::Mail,
            DeliveryOutcome::GivenUp { code: code() },
        ))
        .await
        .unwrap();
    // the answer to the first mark was lost
    let late = DeliveryOutcome::Failed {
        code: code(),
        again_at: at(1),
    };
    store
        .alert_mark(&mark(epoch, AlertChannel::Webhook, late))
        .await
        .unwrap();
    assert!(store.alerts_due(at(9999)).await.unwrap().is_empty());
    let told = store.alert_list().await.unwrap().remove(0);
    let [mail, webhook] = &told.sent[..] else {
        panic!("{told:?}")
    };
    assert!(mail.given_up && mail.attempts == 2 && mail.code == Some(code()));
    assert_eq!(
        (webhook.sent_at, webhook.attempts, webhook.given_up),
        (Some(at(20)), 1, false)
    );
}

pub async fn a_clerk_that_slept_marks_nothing_any_more(store: Arc<dyn Store>) {
    store.alert_raise(&alert(500), &[AlertChannel::Mail]).await.unwrap();
    let old = clerk(store.as_ref(), "a", at(0)).await;
    let new = clerk(store.as_ref(), "b", at(10)).await;
    let refused = store
        .alert_mark(&mark(old, AlertChannel::Mail, DeliveryOutcome::Sent))
        .await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.alerts_due(at(30)).await.unwrap().len(), 1);
    store
        .alert_mark(&mark(new, AlertChannel::Mail, DeliveryOutcome::Sent))
        .await
        .unwrap();
    assert!(store.alerts_due(at(30)).await.unwrap().is_empty());
}

fn card(version: &str, small: i64) -> [Rate; 2] {
    [(SizeClass::Small, small), (SizeClass::Large, 999)].map(|(size, micro_eur_per_second)| Rate {
        version: version.into(),
        size,
        micro_eur_per_second,
    })
}

pub async fn a_rate_is_frozen_at_admission_and_a_cost_is_booked_once(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let store = school.store.as_ref();
    let free = school.at_work(3600).await;
    store.rates_put(&card("one", 10)).await.unwrap();
    let session = school.at_work(3600).await;
    store.rates_put(&card("two", 20)).await.unwrap();
    let row = Settlement {
        sandbox_secs: 100,
        billable_secs: 40,
        ..settled(&session, 0, at(700))
    };
    for _ in 0..2 {
        store.settle(&row).await.unwrap();
    }
    let rows = store.usage_list(None, Some(&session.subject), None).await.unwrap();
    assert_eq!(
        rows[0].cost_micro_eur,
        Some(1000),
        "of the whole sandbox time, by the card of its first moment"
    );
    assert_eq!(rows[0].billed_seconds, 40, "and no second more was taken for it");
    let of = StatementOf::Learner(session.subject.clone());
    let totals = statement(store, of, at(0), at(9999)).await.totals;
    assert_eq!(totals.cost_micro_eur, 1000);
    store.settle(&settled(&free, 100, at(700))).await.unwrap();
    let rows = store.usage_list(None, Some(&free.subject), None).await.unwrap();
    assert_eq!(rows[0].cost_micro_eur, None, "admitted before there was a card");
    assert_eq!(store.ledger_sums().await.unwrap().total, 0);
}

pub async fn what_was_kept_warm_is_overhead_and_nobodys_cost(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let store = school.store.as_ref();
    store.rates_put(&card("one", 10)).await.unwrap();
    let lease = store
        .lease_take(POOL_LEASE, "keeper", at(0), Duration::from_hours(9))
        .await
        .unwrap();
    let epoch = lease.expect("it is free").epoch;
    let write = async |change: PoolChange| store.pool_write(&PoolWrite { epoch, change }).await.unwrap();
    let mut made = Vec::new();
    for _ in 0..2 {
        let sandbox = SandboxId(fresh());
        let row = PoolSandbox {
            sandbox,
            session: SessionId(fresh()),
            lab: school.lab.clone(),
            digest: school.digest.clone(),
            state: PoolState::Making,
            made_at: at(-100),
            ready_at: None,
            ready_us: None,
            claimed_at: None,
            reason: None,
        };
        assert!(
            write(PoolChange::Make {
                row,
                sandboxes_max: 9,
                reserved: true
            })
            .await
        );
        write(PoolChange::Ready {
            sandbox,
            at: at(-90),
            ready_us: 1,
        })
        .await;
        made.push(sandbox);
    }
    school.grant("ada", "QUALIFYING", 3600).await;
    let session = school.admitted("ada").await;
    assert!(session.warm);
    let unused = *made
        .iter()
        .find(|s| **s != session.sandbox)
        .expect("one of two was claimed");
    write(PoolChange::Drain {
        sandbox: unused,
        reason: DrainReason::Surplus,
    })
    .await;
    assert!(
        store.overhead(at(-9999), at(9999)).await.unwrap().is_empty(),
        "nothing is over yet"
    );
    for sandbox in made {
        assert!(write(PoolChange::Forget { sandbox, at: at(50) }).await);
        assert!(!write(PoolChange::Forget { sandbox, at: at(60) }).await);
    }
    let mut overhead = store.overhead(at(-9999), at(9999)).await.unwrap();
    overhead.sort_by_key(|c| c.seconds);
    let told: Vec<_> = overhead.iter().map(|c| (c.seconds, c.micro_eur, c.session)).collect();
    assert_eq!(
        told,
        [(100, 1000, None), (150, 1500, None)],
        "until it was claimed, and until it went"
    );
    assert!(store.overhead(at(51), at(9999)).await.unwrap().is_empty());
    assert!(
        store
            .usage_list(None, None, None)
            .await
            .unwrap()
            .iter()
            .all(|r| r.cost_micro_eur.is_none())
    );
}

pub async fn the_last_reconciliation_is_kept(store: Arc<dyn Store>) {
    assert_eq!(store.reconciliation_last().await.unwrap(), None);
    for (when, left) in [(5, 0), (9, 7)] {
        let line = ReconcileLine {
            what: "used".into(),
            left,
            right: 0,
        };
        let done = Reconciliation {
            at: at(when),
            lines: vec![line],
        };
        store.reconciliation_put(&done).await.unwrap();
    }
    let last = store.reconciliation_last().await.unwrap().expect("two were made");
    assert_eq!((last.at, last.off_secs(), last.used_secs()), (at(9), 7, 7));
}

pub async fn a_sponsors_grants_are_valid_while_they_are_attested(store: Arc<dyn Store>) {
    let school = School::open(store).await;
    let store = school.store.as_ref();
    let month = Duration::from_hours(24 * 30);
    let end = at(0).plus(month);
    for subject in ["ada", "bob"] {
        let grant = Grant {
            expires_at: end,
            ..sponsored(&school, subject, "anapec", 600)
        };
        store.grant_issue(&grant).await.unwrap();
    }
    school.grant("eve", "QUALIFYING", 600).await;
    let named = ["ada", "eve"].map(lab_core::Subject::from);
    let attest = async |until, when| {
        store
            .grants_attest(&"anapec".into(), &named, until, when)
            .await
            .unwrap()
    };
    assert_eq!(
        attest(end.plus(month), at(5)).await,
        ["ada".into()],
        "eve has none of this sponsor"
    );
    assert_eq!(
        attest(end, at(6)).await,
        ["ada".into()],
        "an earlier end takes nothing back"
    );
    // ada found no job, bob did: his lab runs on what it holds, and a new one does not start
    let session = school.admitted("bob").await;
    store.grants_expire(end.plus(Duration::from_secs(1))).await.unwrap();
    let held = store
        .session_get(session.id)
        .await
        .unwrap()
        .expect("it was admitted")
        .held_secs;
    assert_eq!(held, 600);
    let click = |subject: &str| lab_core::port::AdmitRequest {
        at: end.plus(Duration::from_secs(2)),
        ..school.click(subject, "other")
    };
    assert!(matches!(
        store.admit(&click("bob")).await.unwrap(),
        Admission::Refused(_)
    ));
    assert!(matches!(
        store.admit(&click("ada")).await.unwrap(),
        Admission::Admitted(_)
    ));
    let after = end.plus(Duration::from_secs(3));
    let late = store
        .grants_attest(&"anapec".into(), &["bob".into()], end.plus(month), after)
        .await;
    assert!(late.unwrap().is_empty(), "what has ended stays ended");
}
