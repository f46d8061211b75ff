//! Statements, budgets and alerts, costs, reconciliations.

use super::{FakeStore, state::State};
use async_trait::async_trait;
use lab_core::{
    LabDigest, SandboxId, SessionId, SponsorId, Subject, Timestamp,
    metering::{
        ACCOUNTS_LEASE, Account, Alert, AlertChannel, AlertOf, AlertSent, AlertState, Budget, BudgetOf, Cost,
        CostAccount, Delivery, DeliveryMark, DeliveryOutcome, Rate, Reconciliation, SessionSums, Spending,
        StatementFacts, StatementGrant, StatementOf, StatementSession, cost_of,
    },
    port::{ALERTS_SHOWN, DELIVERIES_AT_ONCE, MoneyStore, StoreError},
};
use std::collections::{BTreeMap, BTreeSet, HashMap};

#[derive(Debug, Default)]
pub struct Accounts {
    budgets: Vec<Budget>,
    /// In the order they were raised.
    alerts: Vec<(Alert, BTreeMap<AlertChannel, Outgoing>)>,
    card: Vec<Rate>,
    rates: HashMap<SandboxId, Rate>,
    session_rates: HashMap<SessionId, Rate>,
    costs: BTreeMap<String, Cost>,
    reconciliations: BTreeMap<Timestamp, Reconciliation>,
    pub settled_at: HashMap<SessionId, Timestamp>,
}

#[derive(Debug)]
struct Outgoing {
    attempts: u32,
    due_at: Option<Timestamp>,
    sent_at: Option<Timestamp>,
    code: Option<String>,
}

impl Accounts {
    /// Alerts of somebody who is forgotten.
    pub fn forget(&mut self, subject: &Subject) {
        let theirs = Alert::lines_of(subject);
        self.alerts.retain(|(alert, _)| !alert.line().starts_with(&theirs));
    }
}

impl State {
    fn statement_facts(&self, of: &StatementOf, until: Timestamp) -> StatementFacts {
        let grants = self.grants.values().filter(|g| of.has(g, self.sites.get(&g.id)));
        let ids: BTreeSet<_> = grants.clone().map(|g| g.id).collect();
        let on_grants = |t: &&lab_core::metering::Transaction| {
            let on = |a: &Account| matches!(a, Account::Grant(id) if ids.contains(id));
            t.occurred_at < until && t.entries.iter().any(|(a, _)| on(a))
        };
        let touched = || self.transactions.iter().filter(on_grants);
        let drew: BTreeSet<SessionId> = touched().filter_map(|t| t.session).collect();
        let sessions = self
            .usage
            .values()
            .filter(|u| drew.contains(&u.session))
            .map(|u| StatementSession {
                usage: lab_core::metering::UsageRow {
                    refunded_seconds: 0,
                    ..u.clone()
                },
                settled_at: self.accounts.settled_at[&u.session],
            });
        let of_sessions = self
            .transactions
            .iter()
            .filter(|t| t.occurred_at < until && t.session.is_some_and(|s| drew.contains(&s)));
        StatementFacts {
            grants: grants
                .filter(|g| g.created_at < until)
                .map(|g| StatementGrant {
                    grant: g.clone(),
                    voided_at: self.voided.get(&g.id).copied().filter(|at| *at < until),
                    sale: self.vouchers.sale_of(g.id),
                })
                .collect(),
            sessions: sessions.filter(|s| s.settled_at < until).collect(),
            transactions: touched()
                .filter(|t| t.session.is_none())
                .chain(of_sessions)
                .cloned()
                .collect(),
            site_kind: match of {
                StatementOf::Site(site) => self.courses.sites.get(site).copied(),
                _ => None,
            },
        }
    }

    fn spendings(&self, at: Timestamp) -> Vec<Spending> {
        let mut learners: BTreeMap<AlertOf, (i64, i64)> = BTreeMap::new();
        for g in self.grants.values().filter(|g| g.seconds > 0) {
            if g.effective_at <= at && at < g.expires_at && !self.voided.contains_key(&g.id) {
                let (subject, course) = (g.subject.clone(), g.course.clone());
                let sum = learners.entry(AlertOf::Learner { subject, course }).or_default();
                sum.0 += g.seconds;
                sum.1 += g.seconds - self.balance(&Account::Grant(g.id));
            }
        }
        let told = learners
            .into_iter()
            .filter(|(of, (given, spent))| spent * 2 >= *given && !of.is_of_nobody());
        let mut all: Vec<Spending> = told.map(|(of, (basis, spent))| Spending { of, basis, spent }).collect();
        for budget in &self.accounts.budgets {
            let spent = match &budget.of {
                BudgetOf::Course(course) => {
                    let live = self
                        .sessions
                        .values()
                        .filter(|s| s.course == *course && !s.state.is_over());
                    self.balance(&Account::Used(course.clone())) + live.map(|s| s.held_secs).sum::<i64>()
                }
                BudgetOf::Sponsor(sponsor) => {
                    let theirs = |a: &Account| matches!(a, Account::Grant(id) if self.grants.get(id).is_some_and(|g| g.sponsor.as_ref() == Some(sponsor)));
                    let drawn = self
                        .transactions
                        .iter()
                        .filter(|t| t.session.is_some())
                        .flat_map(|t| &t.entries);
                    -drawn.filter(|(a, _)| theirs(a)).map(|(_, secs)| secs).sum::<i64>()
                }
            };
            all.push(Spending {
                of: budget.of.clone().into(),
                basis: budget.seconds,
                spent,
            });
        }
        all
    }

    fn alert_raise(&mut self, alert: &Alert, channels: &[AlertChannel]) -> bool {
        let line = alert.line();
        if self
            .accounts
            .alerts
            .iter()
            .any(|(a, _)| a.line() == line && a.percent >= alert.percent)
        {
            return false;
        }
        let outgoing = |channel: &AlertChannel| {
            let fresh = Outgoing {
                attempts: 0,
                due_at: Some(alert.at),
                sent_at: None,
                code: None,
            };
            (*channel, fresh)
        };
        let outbox = channels.iter().map(outgoing).collect();
        self.accounts.alerts.push((alert.clone(), outbox));
        true
    }

    fn alerts_due(&self, at: Timestamp) -> Vec<Delivery> {
        let rows = self.accounts.alerts.iter().flat_map(|(alert, outbox)| {
            outbox.iter().filter_map(move |(channel, o)| {
                let delivery = Delivery {
                    alert: alert.clone(),
                    channel: *channel,
                    attempts: o.attempts,
                };
                o.due_at.filter(|due| *due <= at).map(|due| (due, delivery))
            })
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by_key(|(due, d)| (*due, d.alert.key(), d.channel.name()));
        rows.truncate(DELIVERIES_AT_ONCE as usize);
        rows.into_iter().map(|(_, delivery)| delivery).collect()
    }

    fn alert_mark(&mut self, m: &DeliveryMark) -> Result<(), StoreError> {
        if self.leases.get(ACCOUNTS_LEASE).map(|l| l.epoch) != Some(m.epoch) {
            let what = ACCOUNTS_LEASE.to_owned();
            return Err(StoreError::Fenced { what, epoch: m.epoch });
        }
        let found = self.accounts.alerts.iter_mut().find(|(a, _)| a.key() == m.alert);
        if let Some(o) = found
            .and_then(|(_, outbox)| outbox.get_mut(&m.channel))
            .filter(|o| o.sent_at.is_none())
        {
            o.attempts += 1;
            (o.due_at, o.sent_at, o.code) = match &m.outcome {
                DeliveryOutcome::Sent => (None, Some(m.at), None),
                DeliveryOutcome::Failed { code, again_at } => (Some(*again_at), None, Some(code.clone())),
                DeliveryOutcome::GivenUp { code } => (None, None, Some(code.clone())),
            };
        }
        Ok(())
    }

    fn alert_list(&self) -> Vec<AlertState> {
        let mut all: Vec<_> = self.accounts.alerts.iter().collect();
        all.sort_by_key(|(a, _)| std::cmp::Reverse((a.at, a.key())));
        let state = |(alert, outbox): &(Alert, BTreeMap<AlertChannel, Outgoing>)| {
            let mut sent: Vec<AlertSent> = outbox
                .iter()
                .map(|(channel, o)| AlertSent {
                    channel: *channel,
                    attempts: o.attempts,
                    sent_at: o.sent_at,
                    given_up: o.due_at.is_none() && o.sent_at.is_none(),
                    code: o.code.clone(),
                })
                .collect();
            sent.sort_by_key(|s| s.channel.name());
            AlertState {
                alert: alert.clone(),
                sent,
            }
        };
        all.into_iter().take(ALERTS_SHOWN as usize).map(state).collect()
    }

    fn rate_of(&self, digest: &LabDigest) -> Option<Rate> {
        let size = self.labs.get(digest)?.file.size;
        self.accounts.card.iter().find(|r| r.size == size).cloned()
    }

    /// What a session is counted by, from its first moment.
    pub fn freeze_rate(&mut self, session: SessionId, digest: &LabDigest) {
        if let Some(rate) = self.rate_of(digest) {
            self.accounts.session_rates.insert(session, rate);
        }
    }

    /// The same of a sandbox that is kept warm.
    pub fn freeze_pool_rate(&mut self, sandbox: SandboxId, digest: &LabDigest) {
        if let Some(rate) = self.rate_of(digest) {
            self.accounts.rates.insert(sandbox, rate);
        }
    }

    /// Books what a session's sandbox cost; that.
    pub fn cost_session(&mut self, id: SessionId, seconds: i64, at: Timestamp) -> Option<i64> {
        let rate = self.accounts.session_rates.get(&id)?.clone();
        let session = self.sessions.get(&id)?;
        let cost = Cost {
            account: CostAccount::Session,
            sandbox: session.sandbox,
            session: Some(id),
            lab: session.lab.clone(),
            seconds,
            version: rate.version,
            micro_eur: cost_of(seconds, rate.micro_eur_per_second),
            booked_at: at,
        };
        Some(self.accounts.costs.entry(cost.key()).or_insert(cost).micro_eur)
    }

    /// Books what a pool's sandbox cost while it was nobody's.
    pub fn cost_pool(&mut self, sandbox: SandboxId, at: Timestamp) {
        let Some((row, rate)) = self.pool.get(&sandbox).zip(self.accounts.rates.get(&sandbox)) else {
            return;
        };
        let until = row.claimed_at.unwrap_or(at);
        let seconds = i64::try_from(until.since(row.made_at).as_secs()).unwrap_or(i64::MAX);
        let cost = Cost {
            account: CostAccount::Overhead,
            sandbox,
            session: None,
            lab: row.lab.clone(),
            seconds,
            version: rate.version.clone(),
            micro_eur: cost_of(seconds, rate.micro_eur_per_second),
            booked_at: at,
        };
        self.accounts.costs.entry(cost.key()).or_insert(cost);
    }
}

#[async_trait]
impl MoneyStore for FakeStore {
    async fn statement_facts(&self, of: &StatementOf, until: Timestamp) -> Result<StatementFacts, StoreError> {
        self.run("statement_facts", |s| Ok(s.statement_facts(of, until)))
    }
    async fn grants_attest(
        &self,
        sponsor: &SponsorId,
        learners: &[Subject],
        until: Timestamp,
        at: Timestamp,
    ) -> Result<Vec<Subject>, StoreError> {
        self.run("grants_attest", |s| {
            let mut known = Vec::new();
            for learner in learners {
                let (voided, swept) = (&s.voided, &s.swept);
                let theirs = s.grants.values_mut().filter(|g| {
                    g.sponsor.as_ref() == Some(sponsor)
                        && g.subject == *learner
                        && !voided.contains_key(&g.id)
                        && !swept.contains(&g.id)
                        && g.expires_at > at
                });
                let extended = theirs.map(|g| g.expires_at = g.expires_at.max(until)).count();
                if extended > 0 {
                    known.push(learner.clone());
                }
            }
            Ok(known)
        })
    }
    async fn budgets_put(&self, budgets: &[Budget]) -> Result<(), StoreError> {
        self.run("budgets_put", |s| {
            s.accounts.budgets = budgets.to_vec();
            s.accounts.budgets.sort_by(|a, b| a.of.cmp(&b.of));
            Ok(())
        })
    }
    async fn spendings(&self, at: Timestamp) -> Result<Vec<Spending>, StoreError> {
        self.run("spendings", |s| Ok(s.spendings(at)))
    }
    async fn alert_raise(&self, alert: &Alert, channels: &[AlertChannel]) -> Result<bool, StoreError> {
        self.run("alert_raise", |s| Ok(s.alert_raise(alert, channels)))
    }
    async fn alerts_due(&self, at: Timestamp) -> Result<Vec<Delivery>, StoreError> {
        self.run("alerts_due", |s| Ok(s.alerts_due(at)))
    }
    async fn alert_mark(&self, mark: &DeliveryMark) -> Result<(), StoreError> {
        self.run("alert_mark", |s| s.alert_mark(mark))
    }
    async fn alert_list(&self) -> Result<Vec<AlertState>, StoreError> {
        self.run("alert_list", |s| Ok(s.alert_list()))
    }
    async fn rates_put(&self, rates: &[Rate]) -> Result<(), StoreError> {
        self.run("rates_put", |s| {
            s.accounts.card = rates.to_vec();
            Ok(())
        })
    }
    async fn overhead(&self, from: Timestamp, until: Timestamp) -> Result<Vec<Cost>, StoreError> {
        self.run("overhead", |s| {
            let costs = s.accounts.costs.values().filter(|c| c.account == CostAccount::Overhead);
            let mut costs: Vec<Cost> = costs
                .filter(|c| from <= c.booked_at && c.booked_at < until)
                .cloned()
                .collect();
            costs.sort_by_key(|c| (c.booked_at, c.key()));
            Ok(costs)
        })
    }
    async fn session_sums(&self) -> Result<SessionSums, StoreError> {
        self.run("session_sums", |s| {
            let sum = |f: fn(&lab_core::metering::UsageRow) -> i64| s.usage.values().map(f).sum();
            Ok(SessionSums {
                sandbox: sum(|r| r.sandbox_seconds),
                billed: sum(|r| r.billed_seconds),
                unbilled: sum(|r| r.unbilled_seconds),
                refunded: sum(|r| r.refunded_seconds),
                held: s
                    .sessions
                    .values()
                    .filter(|s| !s.state.is_over())
                    .map(|s| s.held_secs)
                    .sum(),
            })
        })
    }
    async fn reconciliation_put(&self, done: &Reconciliation) -> Result<(), StoreError> {
        self.run("reconciliation_put", |s| {
            s.accounts.reconciliations.insert(done.at, done.clone());
            Ok(())
        })
    }
    async fn reconciliation_last(&self) -> Result<Option<Reconciliation>, StoreError> {
        self.run("reconciliation_last", |s| {
            Ok(s.accounts
                .reconciliations
                .last_key_value()
                .map(|(_, done)| done.clone()))
        })
    }
}
