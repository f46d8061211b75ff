//! Any history of operations, with repeats and in any order, leaves the ledger right.

use super::fixture::{School, at, fresh};
use lab_core::{
    GrantId, SessionId,
    entitlement::Grant,
    metering::{Account, Period, Statement, StatementOf},
    port::{Admission, ErrorKind, Refund, Session, Settlement, Store, StoreError},
    provisioning::{EndReason, FailReason, SessionEvent as E, SessionState},
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use std::sync::Arc;

/// Histories tried, each of up to [`STEPS_MAX`] operations: on Postgres an operation takes about 3 ms, so about 8 s.
const CASES: u32 = 48;
const STEPS_MAX: usize = 60;

/// One thing that may happen. Small numbers: learners, labs and grants meet often.
#[derive(Clone, Debug)]
enum Op {
    Issue {
        grant: usize,
        secs: i64,
    },
    Admit {
        lab: usize,
    },
    Step {
        session: usize,
        event: usize,
    },
    Extend {
        session: usize,
        total: i64,
    },
    Settle {
        session: usize,
        sandbox: i64,
        billable: i64,
    },
    /// Takes a grant back.
    Void {
        grant: usize,
    },
    /// Gives time back, for one of two reasons.
    Refund {
        session: usize,
        secs: i64,
        reason: bool,
    },
    /// The operation so many before, once more.
    Again {
        back: usize,
    },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => (0..4_usize, 0..2000_i64).prop_map(|(grant, secs)| Op::Issue { grant, secs }),
        3 => (0..4_usize).prop_map(|lab| Op::Admit { lab }),
        8 => (0..4_usize, 0..8_usize).prop_map(|(session, event)| Op::Step { session, event }),
        3 => (0..4_usize, 0..3000_i64).prop_map(|(session, total)| Op::Extend { session, total }),
        3 => (0..4_usize, -10..3000_i64, -10..3000_i64)
            .prop_map(|(session, sandbox, billable)| Op::Settle { session, sandbox, billable }),
        1 => (0..4_usize).prop_map(|grant| Op::Void { grant }),
        3 => (0..4_usize, 1..1500_i64, any::<bool>())
            .prop_map(|(session, secs, reason)| Op::Refund { session, secs, reason }),
        3 => (1..6_usize).prop_map(|back| Op::Again { back }),
    ]
}

pub async fn any_history_leaves_the_ledger_right(store: Arc<dyn Store>) {
    let school = Arc::new(School::open(store).await);
    let runtime = tokio::runtime::Handle::current();
    let run = move || {
        let config = Config {
            cases: CASES,
            failure_persistence: None,
            ..Config::default()
        };
        let histories = prop::collection::vec(op(), 1..STEPS_MAX);
        TestRunner::new(config).run(&histories, |history| {
            runtime.block_on(replay(&school, &history));
            Ok(())
        })
    };
    tokio::task::spawn_blocking(run)
        .await
        .expect("a failed history is an error, not a panic")
        .unwrap();
}

/// One learner's world.
struct World<'a> {
    school: &'a School,
    subject: String,
    grants: [Grant; 4],
    sessions: Vec<SessionId>,
    /// Seconds that were taken back from grants.
    taken: i64,
}

async fn replay(school: &School, history: &[Op]) {
    let subject = format!("learner-{}", fresh());
    let grants = [(9, "GROUP"), (1, "QUALIFYING"), (5, "GROUP"), (5, "DISCOVERY")].map(|(priority, plan)| Grant {
        id: GrantId(fresh()),
        priority,
        ..school.grant_of(&subject, plan, 0)
    });
    let mut world = World {
        school,
        subject,
        grants,
        sessions: Vec::new(),
        taken: 0,
    };
    for (i, op) in history.iter().enumerate() {
        let mut op = op;
        while let Op::Again { back } = op {
            // the first operations have nothing before them
            match i.checked_sub(*back).map(|i| &history[i]) {
                Some(earlier) if !matches!(earlier, Op::Again { .. }) => op = earlier,
                _ => break,
            }
        }
        world.apply(op).await;
        world.check().await;
    }
    world.close().await;
}

impl World<'_> {
    async fn apply(&mut self, op: &Op) {
        let store = &self.school.store;
        match *op {
            Op::Issue { grant, secs } => {
                let grant = &mut self.grants[grant];
                let known = grant.seconds;
                // the first issue fixes the amount; another one for the same id must be refused
                let asked = Grant {
                    seconds: secs,
                    ..grant.clone()
                };
                match store.grant_issue(&asked).await {
                    Ok(()) => grant.seconds = secs,
                    Err(e) => assert!(e.kind() == ErrorKind::Conflict && known != secs, "{e:?}"),
                }
            }
            Op::Admit { lab } => self.admit(lab).await,
            Op::Step { session, event } => {
                let Some(session) = self.session(session).await else {
                    return;
                };
                expected(self.school.step(&session, self::event(event)).await.map(drop));
            }
            Op::Extend { session, total } => {
                let Some(session) = self.session(session).await else {
                    return;
                };
                let held = store.hold_extend(session.id, total, at(60)).await.unwrap();
                assert!(held == session.held_secs || (held > session.held_secs && held <= total));
            }
            Op::Settle {
                session,
                sandbox,
                billable,
            } => {
                let Some(session) = self.session(session).await else {
                    return;
                };
                self.settle(&session, sandbox, billable).await;
            }
            Op::Void { grant } => match store.grant_void(self.grants[grant].id, "test", at(1)).await {
                Ok(taken) => self.taken += taken,
                // it was not issued yet
                Err(e) => assert_eq!(e.kind(), ErrorKind::NotFound),
            },
            Op::Refund { session, secs, reason } => {
                let Some(session) = self.session(session).await else {
                    return;
                };
                let refund = Refund {
                    session: session.id,
                    seconds: secs,
                    reason: if reason { "fault" } else { "teacher" }.into(),
                    at: at(700),
                };
                match store.refund(&refund).await {
                    Ok(usable) => assert!((0..=secs).contains(&usable)),
                    // not settled, less is left, or another amount for the same reason
                    Err(e) => assert_eq!(e.kind(), ErrorKind::Conflict),
                }
            }
            Op::Again { .. } => {}
        }
    }

    async fn admit(&mut self, lab: usize) {
        let click = self.school.click(&self.subject, &format!("lab-{lab}"));
        match self.school.store.admit(&click).await.unwrap() {
            Admission::Admitted(session) => {
                assert!((60..=900).contains(&session.held_secs), "{}", session.held_secs);
                self.sessions.push(session.id);
            }
            Admission::Running(session) => assert!(self.sessions.contains(&session.id)),
            Admission::Refused(_) => {}
        }
    }

    async fn settle(&self, session: &Session, sandbox: i64, billable: i64) {
        let settlement = Settlement {
            session: session.id,
            sandbox_secs: sandbox,
            billable_secs: billable,
            unbilled_reason: Some("sandbox-lost".into()),
            loss: (sandbox % 3 == 0).then_some(EndReason::AgentLost),
            at: at(600),
        };
        let row = self.school.store.settle(&settlement).await.unwrap();
        assert_eq!(row.sandbox_seconds, row.billed_seconds + row.unbilled_seconds);
        assert!(row.billed_seconds >= 0 && row.unbilled_seconds >= 0, "{row:?}");
        assert_eq!(
            row.unbilled_seconds > 0,
            row.unbilled_reason.is_some() && row.sandbox_seconds > 0,
            "{row:?}"
        );
    }

    /// One of the sessions so far, as it is now.
    async fn session(&self, n: usize) -> Option<Session> {
        let id = *self.sessions.get(n % self.sessions.len().max(1))?;
        self.school.store.session_get(id).await.unwrap()
    }

    /// What must hold after every single operation.
    async fn check(&self) {
        let store = &self.school.store;
        let kept = store.ledger_sums().await.unwrap();
        assert_eq!(kept.total, 0);
        assert_eq!(
            kept,
            store.ledger_recount().await.unwrap(),
            "what is kept is what a recount finds"
        );
        let grants = store.grant_list(&self.subject.as_str().into(), None).await.unwrap();
        let available: i64 = grants.iter().map(|g| g.available).sum();
        let issued: i64 = grants.iter().map(|g| g.grant.seconds).sum();
        for g in &grants {
            assert!((0..=g.grant.seconds).contains(&g.available), "{g:?}");
        }
        let (mut held, mut billed, mut elsewhere) = (0, 0, 0);
        for id in &self.sessions {
            let session = store.session_get(*id).await.unwrap().expect("it was admitted");
            assert!(session.held_secs >= 0);
            assert!(
                session.billed_secs.is_none() || session.held_secs == 0,
                "what is settled holds nothing"
            );
            held += session.held_secs;
            billed += session.billed_secs.unwrap_or(0);
            // what came back to a grant that had ended
            let entries = store.ledger_of(*id).await.unwrap().into_iter().flat_map(|t| t.entries);
            elsewhere += entries
                .filter(|(account, _)| matches!(account, Account::Extern | Account::Breakage | Account::Goodwill))
                .map(|(_, secs)| secs)
                .sum::<i64>();
        }
        let usage = store
            .usage_list(None, Some(&self.subject.as_str().into()), None)
            .await
            .unwrap();
        for row in &usage {
            assert!((0..=row.billed_seconds).contains(&row.refunded_seconds), "{row:?}");
        }
        let refunded: i64 = usage.iter().map(|r| r.refunded_seconds).sum();
        let somewhere = available + held + billed - refunded + self.taken + elsewhere;
        assert_eq!(issued, somewhere, "every second is somewhere");
        let of = StatementOf::Learner(self.subject.as_str().into());
        for (from, until) in [(at(-9999), at(99_999)), (at(600), at(650)), (at(1), at(701))] {
            let facts = store.statement_facts(&of, until).await.unwrap();
            let statement = Statement::new(of.clone(), Period { from, until }, &facts);
            assert_eq!(statement.disagreements(), Vec::<String>::new());
        }
    }

    /// Ends what runs and settles it: nothing may be held, and every transaction balances.
    async fn close(&self) {
        for n in 0..self.sessions.len() {
            let mut session = self.session(n).await.expect("it was admitted");
            while !session.state.is_over() {
                let event = match session.state {
                    SessionState::Stopping { .. } => E::Gone(EndReason::SandboxLost),
                    _ => E::Stop(EndReason::TimeLimit),
                };
                session = self.school.step(&session, event).await.unwrap();
            }
            self.settle(&session, 120, 120).await;
            for transaction in self.school.store.ledger_of(session.id).await.unwrap() {
                assert!(transaction.is_balanced(), "{transaction:?}");
            }
            assert_eq!(self.session(n).await.unwrap().held_secs, 0);
        }
        self.check().await;
    }
}

fn event(n: usize) -> E {
    match n {
        0 => E::Provision,
        1 | 2 => E::Ready,
        3 => E::Freeze,
        4 => E::Stop(EndReason::LearnerStopped),
        5 => E::Gone(EndReason::SandboxLost),
        6 => E::Thaw,
        _ => E::Fail(FailReason::LabFailed, "exit 1".into()),
    }
}

/// A state that does not take the event says so; nothing else may go wrong.
fn expected(answer: Result<(), StoreError>) {
    if let Err(e) = answer {
        assert!(matches!(e, StoreError::Illegal(_)), "{e:?}");
    }
}
