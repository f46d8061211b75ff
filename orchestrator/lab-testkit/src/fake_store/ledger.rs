//! Grants, holds and settlement.

use super::state::State;
use lab_core::{
    CourseId, GrantId, PlanId, SessionId, Subject, Timestamp,
    entitlement::{DayUse, Grant, GrantBalance, TimeLeft, TimedUse, burn_order, draw, source},
    metering::{
        Account, LOSSES_WITHIN, Transaction, TxKind, UNBILLED_LOSSES_A_DAY, UsageRow, first_loss, is_first_loss,
        paid_pieces, refund_pieces, split_hold,
    },
    port::{LedgerSums, Refund, Session, Settlement, StoreError},
    provisioning::{EndReason, SessionState},
};

impl State {
    fn post(&mut self, t: Transaction) -> Result<(), StoreError> {
        if let Some(known) = self.transactions.iter().find(|k| k.key == t.key) {
            return if known.entries == t.entries {
                Ok(())
            } else {
                let detail = "the same key with other entries".into();
                Err(StoreError::Conflict {
                    what: "transaction",
                    id: t.key,
                    detail,
                })
            };
        }
        assert!(t.is_balanced(), "{} must sum to zero: {:?}", t.key, t.entries);
        self.transactions.push(t);
        Ok(())
    }

    pub fn balance(&self, account: &Account) -> i64 {
        self.transactions
            .iter()
            .flat_map(|t| &t.entries)
            .filter(|(a, _)| a == account)
            .map(|(_, secs)| secs)
            .sum()
    }

    pub fn grant_issue(&mut self, grant: &Grant) -> Result<(), StoreError> {
        let conflict = |detail: &str| StoreError::Conflict {
            what: "grant",
            id: grant.id.to_string(),
            detail: detail.to_owned(),
        };
        if grant.seconds < 0 {
            return Err(conflict("a grant gives no less than 0 seconds"));
        }
        if !self.plans.contains_key(&grant.plan) {
            return Err(StoreError::NotFound {
                what: "plan",
                id: grant.plan.to_string(),
            });
        }
        if let Some(known) = self.grants.get(&grant.id) {
            let what = |g: &Grant| (g.subject.clone(), g.course.clone(), g.plan.clone(), g.seconds);
            return if what(known) == what(grant) {
                Ok(())
            } else {
                Err(conflict("the same id for something else"))
            };
        }
        self.grants.insert(grant.id, grant.clone());
        if grant.seconds == 0 {
            return Ok(());
        }
        self.post(Transaction {
            kind: TxKind::Issue,
            key: format!("issue/{}", grant.id),
            session: None,
            reason: None,
            occurred_at: grant.created_at,
            entries: vec![
                (origin(&grant.source), -grant.seconds),
                (Account::Grant(grant.id), grant.seconds),
            ],
        })
    }

    pub fn grant_void(&mut self, id: GrantId, reason: &str, at: Timestamp) -> Result<i64, StoreError> {
        let grant = self.grants.get(&id).cloned().ok_or_else(|| StoreError::NotFound {
            what: "grant",
            id: id.to_string(),
        })?;
        if self.voided.contains_key(&id) {
            return Ok(0);
        }
        self.voided.insert(id, at);
        self.swept.insert(id);
        self.take_off(
            id,
            origin(&grant.source),
            format!("revoke/{id}"),
            Some(reason.to_owned()),
            at,
        )
    }

    pub fn grants_expire(&mut self, at: Timestamp) -> Result<i64, StoreError> {
        let ended: Vec<GrantId> = self
            .grants
            .values()
            .filter(|g| g.expires_at <= at && !self.swept.contains(&g.id))
            .map(|g| g.id)
            .collect();
        let mut moved = 0;
        for id in ended {
            self.swept.insert(id);
            moved += self.take_off(id, Account::Breakage, format!("expire/{id}"), None, at)?;
        }
        Ok(moved)
    }

    fn take_off(
        &mut self,
        id: GrantId,
        to: Account,
        key: String,
        reason: Option<String>,
        at: Timestamp,
    ) -> Result<i64, StoreError> {
        let left = self.balance(&Account::Grant(id));
        if left > 0 {
            self.post(Transaction {
                kind: TxKind::Void,
                key,
                session: None,
                reason,
                occurred_at: at,
                entries: vec![(Account::Grant(id), -left), (to, left)],
            })?;
        }
        Ok(left)
    }

    /// Where seconds that come back to grants go, each account at most once.
    fn homewards(&self, back: Vec<(GrantId, i64)>, at: Timestamp) -> Vec<(Account, i64)> {
        let mut entries: Vec<(Account, i64)> = Vec::new();
        for (id, secs) in back {
            let grant = &self.grants[&id];
            let account = if self.voided.contains_key(&id) {
                origin(&grant.source)
            } else if self.swept.contains(&id) || grant.expires_at <= at {
                Account::Breakage
            } else {
                Account::Grant(id)
            };
            match entries.iter_mut().find(|(a, _)| *a == account) {
                Some((_, s)) => *s += secs,
                None => entries.push((account, secs)),
            }
        }
        entries
    }

    /// A session's seconds, and when they were used.
    fn timed_use(&self, session: &Session) -> TimedUse {
        let history = self.history.get(&session.id).into_iter().flatten();
        TimedUse {
            ran: TimedUse::runs(history.map(|row| (row.state == SessionState::Ready, row.at))),
            billed: session.billed_secs,
            held: self.balance(&Account::Hold(session.id)),
            goes_on: !session.state.is_over() && !matches!(session.state, SessionState::Stopping { .. }),
        }
    }

    /// What a learner's sessions of a course use of today under a plan, and the course's zone.
    pub fn day_use(&self, of: (&Subject, &CourseId, &PlanId), at: Timestamp) -> (DayUse, Option<String>) {
        let theirs = self
            .sessions
            .values()
            .filter(|s| (&s.subject, &s.course, &s.plan) == of);
        let uses: Vec<_> = theirs
            .filter(|s| s.state.name() != "failed")
            .map(|s| self.timed_use(s))
            .collect();
        let zone = self.course_zone(of.1);
        (DayUse::of(&uses, zone.as_deref(), at), zone)
    }

    /// Seconds that its plan's daily cap leaves to a session's hold.
    fn day_left(&self, session: &Session, at: Timestamp) -> i64 {
        let cap = self.plans.get(&session.plan).and_then(|p| p.daily_secs_max);
        let (today, _) = self.day_use((&session.subject, &session.course, &session.plan), at);
        today.left(cap, self.timed_use(session).spent_at(at))
    }

    pub fn time_left(&self, id: SessionId, at: Timestamp) -> Result<TimeLeft, StoreError> {
        let session = self.sessions.get(&id).ok_or_else(|| StoreError::NotFound {
            what: "session",
            id: id.to_string(),
        })?;
        if session.is_test_run() {
            return Ok(TimeLeft::of_test_run());
        }
        let mut grants = self.grants_of(&session.subject, Some(&session.course));
        grants.retain(|g| g.is_valid(at) && self.plans.get(&g.grant.plan).is_some_and(|p| p.labs));
        let unspent: i64 = grants.iter().map(|g| g.available.max(0)).sum();
        Ok(TimeLeft {
            available: unspent.min(self.day_left(session, at)),
            granted: grants.iter().map(|g| g.grant.seconds).sum(),
            unspent,
        })
    }

    pub fn refund(&mut self, r: &Refund) -> Result<i64, StoreError> {
        let refused = |detail: String| StoreError::Conflict {
            what: "refund",
            id: r.session.to_string(),
            detail,
        };
        let course = self.session(r.session)?.course.clone();
        let usage = self.usage.get(&r.session).cloned();
        let usage = usage.ok_or_else(|| refused("its use is not settled yet".into()))?;
        let usable = |entries: &[(Account, i64)]| {
            let grants = entries.iter().filter(|(a, _)| matches!(a, Account::Grant(_)));
            grants.map(|(_, secs)| secs).sum()
        };
        let key = format!("refund/{}/{}", r.session, r.reason);
        if let Some(known) = self.transactions.iter().find(|t| t.key == key) {
            let taken: i64 = known.entries.iter().map(|(_, secs)| (*secs).max(0)).sum();
            return if taken == r.seconds {
                Ok(usable(&known.entries))
            } else {
                Err(refused("another amount for this reason".into()))
            };
        }
        let paid = paid_pieces(&self.pieces(r.session), usage.billed_seconds);
        let back = refund_pieces(&paid, usage.refunded_seconds, r.seconds);
        let back = back.ok_or_else(|| refused("less is left to give back".into()))?;
        let mut entries = vec![(Account::Used(course), -r.seconds)];
        entries.extend(self.homewards(back, r.at));
        let done = usable(&entries);
        self.post(Transaction {
            kind: TxKind::Refund,
            key,
            session: Some(r.session),
            reason: Some(r.reason.clone()),
            occurred_at: r.at,
            entries,
        })?;
        if let Some(row) = self.usage.get_mut(&r.session) {
            row.refunded_seconds += r.seconds;
        }
        Ok(done)
    }

    pub fn grants_of(&self, subject: &Subject, course: Option<&CourseId>) -> Vec<GrantBalance> {
        let mut rows: Vec<_> = self
            .grants
            .values()
            .filter(|g| g.subject == *subject && course.is_none_or(|c| g.course == *c))
            .map(|g| GrantBalance {
                grant: g.clone(),
                available: self.balance(&Account::Grant(g.id)),
                voided_at: self.voided.get(&g.id).copied(),
            })
            .collect();
        burn_order(&mut rows);
        rows
    }

    /// What was drawn for a session, in order.
    fn pieces(&self, session: SessionId) -> Vec<(GrantId, i64)> {
        self.transactions
            .iter()
            .filter(|t| t.session == Some(session) && t.kind == TxKind::Reserve)
            .flat_map(|t| &t.entries)
            .filter_map(|(account, secs)| match account {
                Account::Grant(id) if *secs < 0 => Some((*id, -secs)),
                _ => None,
            })
            .collect()
    }

    pub fn reserve(
        &mut self,
        session: SessionId,
        grants: &mut [GrantBalance],
        want: i64,
        at: Timestamp,
    ) -> Result<i64, StoreError> {
        let pieces = draw(grants, want, at);
        let total: i64 = pieces.iter().map(|(_, secs)| secs).sum();
        if total > 0 {
            let number = self
                .transactions
                .iter()
                .filter(|t| t.session == Some(session) && t.kind == TxKind::Reserve)
                .count();
            let mut entries: Vec<_> = pieces.iter().map(|(g, secs)| (Account::Grant(*g), -secs)).collect();
            entries.push((Account::Hold(session), total));
            self.post(Transaction {
                kind: TxKind::Reserve,
                key: format!("reserve/{session}/{number}"),
                session: Some(session),
                reason: None,
                occurred_at: at,
                entries,
            })?;
        }
        let held = self.balance(&Account::Hold(session));
        self.session(session)?.held_secs = held;
        Ok(held)
    }

    pub fn hold_extend(&mut self, id: SessionId, held_secs: i64, at: Timestamp) -> Result<i64, StoreError> {
        let session = self.session(id)?.clone();
        if session.is_test_run() || session.state.is_over() || session.billed_secs.is_some() {
            return Ok(session.held_secs);
        }
        self.draw_up_to(&session, held_secs, at)
    }

    /// Makes a session's hold `total` seconds, as far as its learner's grants allow; what is held.
    fn draw_up_to(&mut self, session: &Session, total: i64, at: Timestamp) -> Result<i64, StoreError> {
        let held = self.balance(&Account::Hold(session.id));
        let mut grants = self.grants_of(&session.subject, Some(&session.course));
        grants.retain(|g| self.plans.get(&g.grant.plan).is_some_and(|p| p.labs));
        let most = self.day_left(session, at);
        self.reserve(session.id, &mut grants, total.saturating_sub(held).clamp(0, most), at)
    }

    /// Gives a hold back, and books a use of nothing; once.
    pub fn void(&mut self, session: SessionId, at: Timestamp) -> Result<UsageRow, StoreError> {
        if let Some(row) = self.usage.get(&session) {
            return Ok(row.clone());
        }
        self.close_hold(session, TxKind::Void, 0, None, at)?;
        let reason = self.session(session)?.state.reason().map(str::to_owned);
        self.book(session, (0, 0), reason, at)
    }

    /// Empties the hold: `used` seconds at most are used, the rest goes back. Seconds really used.
    fn close_hold(
        &mut self,
        id: SessionId,
        kind: TxKind,
        used: i64,
        reason: Option<String>,
        at: Timestamp,
    ) -> Result<i64, StoreError> {
        let session = self.session(id)?.clone();
        let held = self.balance(&Account::Hold(id));
        let (used, back) = split_hold(&self.pieces(id), used);
        if held > 0 {
            let mut entries = vec![(Account::Hold(id), -held)];
            if used > 0 {
                entries.push((Account::Used(session.course), used));
            }
            entries.extend(self.homewards(back, at));
            let key = format!("{}/{id}", kind.name());
            self.post(Transaction {
                kind,
                key,
                session: Some(id),
                reason,
                occurred_at: at,
                entries,
            })?;
        }
        self.session(id)?.held_secs = 0;
        Ok(used)
    }

    pub fn settle(&mut self, s: &Settlement) -> Result<UsageRow, StoreError> {
        if let Some(row) = self.usage.get(&s.session) {
            return Ok(row.clone());
        }
        let session = self.session(s.session)?.clone();
        if session.ready_at.is_none() {
            return self.void(s.session, s.at);
        }
        let sandbox = s.sandbox_secs.max(0);
        let (billable, unbilled_reason) = if session.is_test_run() {
            (0, s.unbilled_reason.clone())
        } else if let Some(loss) = s.loss
            && self.first_losses(&session.subject, s.at) < UNBILLED_LOSSES_A_DAY
        {
            (0, Some(first_loss(loss)))
        } else {
            (s.billable_secs.clamp(0, sandbox), s.unbilled_reason.clone())
        };
        self.draw_up_to(&session, billable, s.at)?;
        let billed = self.close_hold(s.session, TxKind::Settle, billable, unbilled_reason.clone(), s.at)?;
        let lost = (sandbox > billable).then(|| unbilled_reason.unwrap_or_else(|| "not-billable".into()));
        let spent = (billable > billed).then(|| EndReason::BudgetSpent.code().to_owned());
        let reasons: Vec<String> = [lost, spent].into_iter().flatten().collect();
        let reason = (!reasons.is_empty()).then(|| reasons.join("+"));
        let cost = self.cost_session(s.session, sandbox, s.at);
        let row = self.book(s.session, (sandbox, billed), reason, s.at)?;
        let row = UsageRow {
            cost_micro_eur: cost,
            ..row
        };
        self.usage.insert(s.session, row.clone());
        Ok(row)
    }

    /// Losses of a learner that are not billed and still count.
    fn first_losses(&self, subject: &Subject, at: Timestamp) -> i64 {
        let since = at.minus(LOSSES_WITHIN);
        let counts = |row: &&UsageRow| {
            row.subject == *subject
                && is_first_loss(row.unbilled_reason.as_deref())
                && self
                    .accounts
                    .settled_at
                    .get(&row.session)
                    .is_some_and(|settled| *settled > since)
        };
        self.usage.values().filter(counts).count() as i64
    }

    /// Writes the usage row.
    fn book(
        &mut self,
        id: SessionId,
        (sandbox, billed): (i64, i64),
        unbilled_reason: Option<String>,
        at: Timestamp,
    ) -> Result<UsageRow, StoreError> {
        self.accounts.settled_at.insert(id, at);
        let session = self.session(id)?;
        session.billed_secs = Some(billed);
        let row = UsageRow {
            session: session.id,
            subject: session.subject.clone(),
            course: session.course.clone(),
            lab: session.lab.clone(),
            requested_at: session.requested_at,
            sandbox_seconds: sandbox,
            billed_seconds: billed,
            refunded_seconds: 0,
            unbilled_seconds: sandbox - billed,
            unbilled_reason,
            cost_micro_eur: None,
        };
        self.usage.insert(id, row.clone());
        Ok(row)
    }

    pub fn ledger_sums(&self) -> LedgerSums {
        let mut sums = LedgerSums {
            total: 0,
            held: 0,
            used: 0,
        };
        for (account, secs) in self.transactions.iter().flat_map(|t| &t.entries) {
            sums.total += secs;
            match account {
                Account::Hold(_) => sums.held += secs,
                Account::Used(_) => sums.used += secs,
                Account::Extern | Account::Grant(_) | Account::Breakage | Account::Goodwill => {}
            }
        }
        sums
    }
}

fn origin(of: &str) -> Account {
    if of == source::GOODWILL {
        Account::Goodwill
    } else {
        Account::Extern
    }
}
