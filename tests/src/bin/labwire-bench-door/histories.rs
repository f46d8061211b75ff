//! Random histories of the ledger, each played twice on the store in memory that the contract suite holds to what both databases do: once in
//! order, and once with every message repeated, out of order, and with a crash before or after the work of each step. Both must end with
//! the same balances, and each with a statement that agrees with its transactions.

use anyhow::{Context, Result, ensure};
use futures_util::FutureExt;
use lab_core::{
    GrantId, SessionId, Subject, Timestamp,
    entitlement::{Bilingual, Grant, Plan},
    lab::LabVersion,
    metering::{Period, Statement, StatementOf, UsageRow},
    port::{Admission, AdmitRequest, ErrorKind, MoneyStore, Refund, Settlement, Store, StoreError, Transition},
    provisioning::{EndReason, SessionEvent},
};
use lab_e2e::{Must, Report};
use lab_testkit::{FakeStore, Strike};
use std::{future::Future, time::Duration};
use uuid::Uuid;

const HISTORIES: u64 = 1_000_000;
const LABS: [&str; 2] = ["one", "two"];

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

/// Numbers of one history: the same seed, the same numbers (xorshift*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }

    fn secs(&mut self, most: u64) -> i64 {
        self.below(most.max(1)) as i64
    }
}

/// One message to the ledger. What depends on another is refused until that is there, and comes again.
#[derive(Clone, Debug)]
enum Message {
    Settle(Settlement),
    Refund(Refund),
    Void(GrantId),
}

/// What a history is made of.
struct History {
    grants: Vec<Grant>,
    extend: [i64; 2],
    messages: Vec<Message>,
}

/// What it came to.
#[derive(Debug, PartialEq, Eq)]
struct End {
    available: Vec<i64>,
    usage: Vec<UsageRow>,
    held: i64,
    used: i64,
}

fn session(n: usize) -> SessionId {
    SessionId(Uuid::from_u128(0x1000 + n as u128))
}

impl History {
    fn roll(dice: &mut Dice) -> Self {
        let grant = |n: u64, dice: &mut Dice| Grant {
            id: GrantId(Uuid::from_u128(1 + u128::from(n))),
            subject: "ada".into(),
            course: "net".into(),
            plan: "PAIR".into(),
            seconds: 60 + dice.secs(2000),
            priority: dice.secs(3) as i32,
            effective_at: at(-1),
            expires_at: at(100_000 + dice.secs(3)),
            created_at: at(-1),
            source: "order".into(),
            sponsor: None,
        };
        let grants = (0..=dice.below(3)).map(|n| grant(n, dice)).collect();
        let mut messages = Vec::new();
        for n in 0..LABS.len() {
            // within what is held at least, so that no order of settlements finds less than another
            let (sandbox, billable) = (dice.secs(90), dice.secs(60));
            messages.push(Message::Settle(Settlement {
                session: session(n),
                sandbox_secs: sandbox.max(billable),
                billable_secs: billable,
                unbilled_reason: Some("frozen".into()),
                loss: None,
                at: at(200),
            }));
            for reason in ["fault", "teacher"] {
                let seconds = dice.secs(billable as u64 / 2 + 1);
                if seconds > 0 {
                    messages.push(Message::Refund(Refund {
                        session: session(n),
                        seconds,
                        reason: reason.into(),
                        at: at(300),
                    }));
                }
            }
        }
        if dice.below(4) == 0 {
            messages.push(Message::Void(GrantId(Uuid::from_u128(1))));
        }
        Self {
            grants,
            extend: [dice.secs(1500), dice.secs(1500)],
            messages,
        }
    }
}

/// The fake waits for nothing.
fn now<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().expect("the store in memory answers at once")
}

struct Play<'a> {
    store: FakeStore,
    history: &'a History,
    /// None: nothing goes wrong.
    dice: Option<Dice>,
}

impl<'a> Play<'a> {
    fn new(history: &'a History, lab: &[LabVersion; 2], dice: Option<Dice>) -> Self {
        let store = FakeStore::default();
        lab.iter().for_each(|l| store.plant_lab(l.clone()));
        let name = Bilingual {
            en: "p".into(),
            fr: "p".into(),
        };
        let plan = Plan {
            concurrency_max: 2,
            ..Plan::new("PAIR", name)
        };
        now(store.plan_put(&plan)).expect("nothing is planned to fail");
        Self { store, history, dice }
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.dice.as_mut().is_some_and(|d| d.below(one_in) == 0)
    }

    /// Does a step, through crashes: before the work, after it, and once more although it was done.
    fn step<T>(
        &mut self,
        name: &'static str,
        work: impl Fn(&FakeStore) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        for strike in [Strike::Before, Strike::After] {
            if self.chance(3) {
                self.store.faults.once(name, strike);
            }
        }
        let repeat = self.chance(3);
        let mut done = work(&self.store);
        while done.as_ref().is_err_and(|e| e.kind() == ErrorKind::Unavailable) {
            done = work(&self.store);
        }
        if repeat && done.is_ok() {
            return work(&self.store);
        }
        done
    }

    fn run(mut self, labs: &[LabVersion; 2]) -> Result<End> {
        let history = self.history;
        for grant in &history.grants {
            self.step("grant_issue", |s| now(s.grant_issue(grant)))?;
        }
        for (n, lab) in labs.iter().enumerate() {
            self.admit(n, lab)?;
        }
        let mut messages = history.messages.clone();
        if let Some(dice) = &mut self.dice {
            // any order, and some of them twice
            let twice: Vec<_> = messages.iter().filter(|_| dice.below(2) == 0).cloned().collect();
            messages.extend(twice);
            for i in (1..messages.len()).rev() {
                messages.swap(i, dice.below(i as u64 + 1) as usize);
            }
        }
        // what came too early comes again, as an outbox sends it
        while !messages.is_empty() {
            let before = messages.len();
            messages.retain(|message| !self.take(message));
            ensure!(messages.len() < before, "nothing is taken any more: {messages:?}");
        }
        self.end()
    }

    fn admit(&mut self, n: usize, lab: &LabVersion) -> Result<()> {
        let request = AdmitRequest {
            session: session(n),
            subject: "ada".into(),
            name: "Ada".into(),
            course: "net".into(),
            lab: LABS[n].into(),
            digest: lab.digest.clone(),
            hold_secs: 60,
            minimum_secs: 1,
            notice: None,
            test_run: false,
            at: at(0),
        };
        if let Admission::Refused(_) = self.step("admit", |s| now(s.admit(&request)))? {
            // the other has it all
            return Ok(());
        }
        for event in [SessionEvent::Provision, SessionEvent::Ready] {
            self.transition(n, event)?;
        }
        let total = self.history.extend[n];
        self.step("hold_extend", |s| now(s.hold_extend(session(n), total, at(50))))?;
        Ok(())
    }

    fn transition(&mut self, n: usize, event: SessionEvent) -> Result<()> {
        let current = now(self.store.session_get(session(n)))?.context("it was admitted")?;
        let transition = Transition {
            session: session(n),
            expect: current.revision,
            ready: (event == SessionEvent::Ready).then_some((1, at(9000))),
            event,
            at: at(10),
            cause: "bench".into(),
        };
        match self.step("session_transition", |s| now(s.session_transition(&transition))) {
            // done by the try whose answer was lost
            Err(StoreError::Conflict { .. }) | Ok(_) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Whether it was taken; otherwise it comes again.
    fn take(&mut self, message: &Message) -> bool {
        match message {
            Message::Settle(s) => match self.step("settle", |store| now(store.settle(s))) {
                Ok(_) => true,
                Err(e) => e.kind() == ErrorKind::NotFound,
            },
            Message::Refund(r) => match self.step("refund", |store| now(store.refund(r))) {
                Ok(_) => true,
                Err(StoreError::NotFound { .. }) => true,
                // billed less than was asked back: as it will be in any order, once it is settled
                Err(_) => {
                    now(self.store.session_get(r.session)).is_ok_and(|s| s.is_some_and(|s| s.billed_secs.is_some()))
                }
            },
            Message::Void(grant) => {
                // only once all is settled: until then it decides who pays, and that is not the ledger's doing
                let open = (0..LABS.len()).any(|n| {
                    now(self.store.session_get(session(n))).is_ok_and(|s| s.is_some_and(|s| s.billed_secs.is_none()))
                });
                let refunds = self.history.messages.iter().filter(|m| matches!(m, Message::Refund(_)));
                let mut waiting = refunds.filter_map(|m| if let Message::Refund(r) = m { Some(r) } else { None });
                if open || waiting.any(|r| !self.refunded(r)) {
                    return false;
                }
                self.step("grant_void", |s| now(s.grant_void(*grant, "bench", at(400))))
                    .is_ok()
            }
        }
    }

    fn refunded(&self, r: &Refund) -> bool {
        let key = format!("refund/{}/{}", r.session, r.reason);
        let all = now(self.store.ledger_of(r.session)).unwrap_or_default();
        // of a session that never was there is nothing to wait for
        all.is_empty() || all.iter().any(|t| t.key == key)
    }

    fn end(mut self) -> Result<End> {
        for n in 0..LABS.len() {
            if now(self.store.session_get(session(n)))?.is_some() {
                self.transition(n, SessionEvent::Stop(EndReason::LearnerStopped))?;
                self.transition(n, SessionEvent::Gone(EndReason::SandboxLost))?;
            }
        }
        let ada: Subject = "ada".into();
        let sums = now(self.store.ledger_sums())?;
        ensure!(sums.total == 0 && sums.held == 0, "{sums:?}");
        let grants = now(self.store.grant_list(&ada, None))?;
        ensure!(
            grants.iter().all(|g| (0..=g.grant.seconds).contains(&g.available)),
            "{grants:?}"
        );
        let usage = now(self.store.usage_list(None, Some(&ada), None))?;
        for row in &usage {
            ensure!(
                row.billed_seconds + row.unbilled_seconds == row.sandbox_seconds,
                "{row:?}"
            );
            ensure!((0..=row.billed_seconds).contains(&row.refunded_seconds), "{row:?}");
        }
        let used: i64 = usage.iter().map(|r| r.billed_seconds - r.refunded_seconds).sum();
        ensure!(used == sums.used, "{used} of {sums:?}");
        let of = StatementOf::Learner(ada);
        let period = Period {
            from: at(-9999),
            until: at(9999),
        };
        let facts = now(self.store.statement_facts(&of, period.until))?;
        let wrong = Statement::new(of, period, &facts).disagreements();
        ensure!(wrong.is_empty(), "{wrong:?}");
        Ok(End {
            available: grants.iter().map(|g| g.available).collect(),
            usage,
            held: sums.held,
            used: sums.used,
        })
    }
}

/// Whether a history ends the same however rough its way was.
fn holds(seed: u64, labs: &[LabVersion; 2]) -> Result<()> {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let history = History::roll(&mut dice);
    let smooth = Play::new(&history, labs, None).run(labs).context("in order")?;
    let rough = Play::new(&history, labs, Some(dice))
        .run(labs)
        .context("with repeats and crashes")?;
    ensure!(smooth == rough, "in order {smooth:?}, otherwise {rough:?}");
    Ok(())
}

pub fn million(report: &mut Report) -> Result<()> {
    let lab = |id: &str| {
        let text = format!(
            "labwire: 1\nid: {id}\ntitle: {{en: t, fr: t}}\nsummary: {{en: s, fr: s}}\nimage: labwire/frr:1\nterminals:\n  \
             - {{id: h1, kind: shell, command: [bash]}}\nstart: [sleep, infinity]\ntime: {{planned: 20m, max: 60m, idle: 15m}}\n"
        );
        LabVersion::parse("bench.yaml", text.as_bytes()).map_err(|e| anyhow::anyhow!("{e:?}"))
    };
    let labs = [lab(LABS[0])?, lab(LABS[1])?];
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let start = std::time::Instant::now();
    let wrong: u64 = std::thread::scope(|scope| {
        let play = |thread: u64| {
            let labs = &labs;
            scope.spawn(move || {
                let mut wrong = 0;
                for seed in (thread..HISTORIES).step_by(threads as usize) {
                    if let Err(error) = holds(seed + 1, labs) {
                        if wrong == 0 {
                            println!("history {}: {error:#}", seed + 1);
                        }
                        wrong += 1;
                    }
                }
                wrong
            })
        };
        let running: Vec<_> = (0..threads).map(play).collect();
        running
            .into_iter()
            .map(|t| t.join().expect("a wrong history is counted, not a panic"))
            .sum()
    });
    let took: Duration = start.elapsed();
    println!("{HISTORIES} histories in {:.0} s", took.as_secs_f64());
    report.add(
        "ledger_histories_wrong",
        wrong as f64,
        "",
        Must::AtMost(0.0),
        &[took.as_secs_f64()],
    )
}
