//! What an administration is shown of a period: every session, every grant, and sums that agree with the ledger.
//!
//! ```text
//!   opening + given + refunded ─ used ─ expired ─ revoked = closing      of every grant, and so of all together
//!   opening and closing: what is on the grant, and what running labs hold of it
//!   used: what its sessions that were settled in the period were billed, the first grant drawn first
//!   expired, revoked: also what came back from a hold, or by a refund, to a grant that had ended
//! ```
//! Computed from the ledger's transactions alone; [`Statement::disagreements`] makes the sums once more from other sides.

use super::{Account, Transaction, TxKind, UsageRow, paid_pieces, refund_pieces, split_hold};
use crate::{
    CourseId, GrantId, SessionId, SiteId, SponsorId, Subject, Timestamp,
    courses::SiteKind,
    entitlement::{Grant, Sale},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whose statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatementOf {
    Learner(Subject),
    Sponsor(SponsorId),
    Course(CourseId),
    Site(SiteId),
}

impl StatementOf {
    /// `learner`, `sponsor`, `course`, `site`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Learner(_) => "learner",
            Self::Sponsor(_) => "sponsor",
            Self::Course(_) => "course",
            Self::Site(_) => "site",
        }
    }

    /// Which one.
    pub fn id(&self) -> &str {
        match self {
            Self::Learner(subject) => subject.as_str(),
            Self::Sponsor(sponsor) => sponsor.as_str(),
            Self::Course(course) => course.as_str(),
            Self::Site(site) => site.as_str(),
        }
    }

    /// Whether a grant, which was given at that site, belongs into it.
    pub fn has(&self, grant: &Grant, at: Option<&SiteId>) -> bool {
        match self {
            Self::Learner(subject) => grant.subject == *subject,
            Self::Sponsor(sponsor) => grant.sponsor.as_ref() == Some(sponsor),
            Self::Course(course) => grant.course == *course,
            Self::Site(site) => at == Some(site),
        }
    }
}

/// `[from, until)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Period {
    fn has(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

/// A grant as a statement reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementGrant {
    pub grant: Grant,
    pub voided_at: Option<Timestamp>,
    /// Of the code that gave it.
    pub sale: Option<Sale>,
}

/// A settled session as a statement reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementSession {
    pub usage: UsageRow,
    pub settled_at: Timestamp,
}

/// What a statement is made of: all of its scope that was booked before the period's end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatementFacts {
    pub grants: Vec<StatementGrant>,
    /// Settled sessions that drew on these grants.
    pub sessions: Vec<StatementSession>,
    /// Every transaction of sessions that drew on these grants, and what else was booked on them. Of one session in their order.
    pub transactions: Vec<Transaction>,
    /// Of a site's statement, where somebody said it.
    pub site_kind: Option<SiteKind>,
}

/// What became of a grant's seconds, or of many grants'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    pub opening: i64,
    pub given: i64,
    pub used: i64,
    pub refunded: i64,
    pub expired: i64,
    pub revoked: i64,
    pub closing: i64,
    /// Of the closing, held by labs that run.
    pub held: i64,
}

impl Flow {
    fn add(&mut self, other: &Self) {
        self.opening += other.opening;
        self.given += other.given;
        self.used += other.used;
        self.refunded += other.refunded;
        self.expired += other.expired;
        self.revoked += other.revoked;
        self.closing += other.closing;
        self.held += other.held;
    }

    /// Whether what came in went out or is there.
    pub fn adds_up(&self) -> bool {
        self.opening + self.given + self.refunded - self.used - self.expired - self.revoked == self.closing
    }

    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// A grant in a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantLine {
    pub grant: Grant,
    pub voided_at: Option<Timestamp>,
    /// Who sold the code that gave it, and for what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sale: Option<Sale>,
    #[serde(flatten)]
    pub flow: Flow,
}

/// A session in a statement: settled in the period, or refunded in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionLine {
    pub session: SessionId,
    pub subject: Subject,
    pub course: CourseId,
    pub lab: crate::LabId,
    pub requested_at: Timestamp,
    pub settled_at: Timestamp,
    /// Settled in the period: the three that follow are then what they are, otherwise nothing.
    pub settled: bool,
    pub sandbox_seconds: i64,
    /// Paid by grants of this statement.
    pub billed_seconds: i64,
    /// Paid by grants that are none of it (another sponsor's, the learner's own).
    pub elsewhere_seconds: i64,
    pub unbilled_seconds: i64,
    pub unbilled_reason: Option<String>,
    /// To grants of this statement, in the period.
    pub refunded_seconds: i64,
    pub cost_micro_eur: Option<i64>,
}

/// All of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    #[serde(flatten)]
    pub flow: Flow,
    pub learners: u64,
    pub grants: u64,
    pub sessions: u64,
    pub sandbox_seconds: i64,
    pub billed_seconds: i64,
    pub elsewhere_seconds: i64,
    pub unbilled_seconds: i64,
    /// Of the sessions settled in the period; of a sponsor's also where others paid a part.
    pub cost_micro_eur: i64,
    /// What the ledger's own account says: into `used` less refunded, in the period, by sessions of this statement.
    pub ledger_used_seconds: i64,
}

/// What an administration is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    pub of: StatementOf,
    /// Of a site: what kind of place it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site_kind: Option<SiteKind>,
    pub period: Period,
    pub grants: Vec<GrantLine>,
    pub sessions: Vec<SessionLine>,
    pub totals: Totals,
}

/// What a session's transactions come to, grant by grant.
#[derive(Default)]
struct Drawn {
    pieces: Vec<(GrantId, i64)>,
    /// What it was billed, by grant, in the order of payment.
    paid: Vec<(GrantId, i64)>,
    refunded: i64,
    billed_here: i64,
    refunded_here: i64,
}

impl Statement {
    /// Makes it of its facts.
    pub fn new(of: StatementOf, period: Period, facts: &StatementFacts) -> Self {
        let mut book = Book::new(period, facts);
        for t in &facts.transactions {
            book.post(t);
        }
        let mut totals = Totals {
            ledger_used_seconds: book.ledger_used,
            ..Totals::default()
        };
        let grants = facts.grants.iter().filter_map(|g| {
            let flow = book.flows.get(&g.grant.id).copied().unwrap_or_default();
            (!flow.is_nothing()).then(|| GrantLine {
                grant: g.grant.clone(),
                voided_at: g.voided_at,
                sale: g.sale.clone(),
                flow,
            })
        });
        let mut grants: Vec<GrantLine> = grants.collect();
        grants.sort_by(|a, b| {
            (&a.grant.subject, a.grant.created_at, a.grant.id).cmp(&(&b.grant.subject, b.grant.created_at, b.grant.id))
        });
        let mut sessions: Vec<SessionLine> = facts.sessions.iter().filter_map(|s| book.line(s)).collect();
        sessions.sort_by_key(|s| (s.requested_at, s.session));
        for line in &grants {
            totals.flow.add(&line.flow);
        }
        let mut learners: Vec<&Subject> = grants.iter().map(|g| &g.grant.subject).collect();
        learners.dedup();
        totals.learners = learners.len() as u64;
        totals.grants = grants.len() as u64;
        totals.sessions = sessions.iter().filter(|s| s.settled).count() as u64;
        for s in sessions.iter().filter(|s| s.settled) {
            totals.sandbox_seconds += s.sandbox_seconds;
            totals.billed_seconds += s.billed_seconds;
            totals.elsewhere_seconds += s.elsewhere_seconds;
            totals.unbilled_seconds += s.unbilled_seconds;
            totals.cost_micro_eur += s.cost_micro_eur.unwrap_or(0);
        }
        Self {
            of,
            site_kind: facts.site_kind,
            period,
            grants,
            sessions,
            totals,
        }
    }

    /// What does not agree, in words; nothing, unless somebody wrote to the database by hand.
    pub fn disagreements(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for line in self.grants.iter().filter(|l| !l.flow.adds_up()) {
            wrong.push(format!("grant {}: {:?}", line.grant.id, line.flow));
        }
        let t = &self.totals;
        let refunded: i64 = self.sessions.iter().map(|s| s.refunded_seconds).sum();
        let mut same = |what: &str, left: i64, right: i64| {
            if left != right {
                wrong.push(format!("{what}: {left} and {right}"));
            }
        };
        same("used by grants, and billed by sessions", t.flow.used, t.billed_seconds);
        same("refunded to grants, and by sessions", t.flow.refunded, refunded);
        same(
            "sandbox time, and billed, paid elsewhere and unbilled",
            t.sandbox_seconds,
            t.billed_seconds + t.elsewhere_seconds + t.unbilled_seconds,
        );
        // of a sponsor's or a site's sessions the ledger's account also has what others paid
        if !matches!(self.of, StatementOf::Sponsor(_) | StatementOf::Site(_)) {
            same(
                "used less refunded, and the ledger's account",
                t.flow.used - t.flow.refunded,
                t.ledger_used_seconds,
            );
        }
        wrong
    }
}

/// Goes through the transactions once.
struct Book {
    period: Period,
    voided: BTreeMap<GrantId, bool>,
    flows: BTreeMap<GrantId, Flow>,
    sessions: BTreeMap<SessionId, Drawn>,
    ledger_used: i64,
}

impl Book {
    fn new(period: Period, facts: &StatementFacts) -> Self {
        Self {
            period,
            voided: facts
                .grants
                .iter()
                .map(|g| (g.grant.id, g.voided_at.is_some()))
                .collect(),
            flows: BTreeMap::new(),
            sessions: BTreeMap::new(),
            ledger_used: 0,
        }
    }

    fn flow(&mut self, grant: GrantId) -> Option<&mut Flow> {
        self.voided
            .contains_key(&grant)
            .then(|| self.flows.entry(grant).or_default())
    }

    fn post(&mut self, t: &Transaction) {
        let within = self.period.has(t.occurred_at);
        let before = t.occurred_at < self.period.from;
        for (account, secs) in &t.entries {
            match account {
                Account::Grant(id) => {
                    if let Some(flow) = self.flow(*id) {
                        flow.closing += secs;
                        if before {
                            flow.opening += secs;
                        }
                        match (t.kind, within) {
                            (TxKind::Issue, true) => flow.given += secs,
                            (TxKind::Void, true) if t.session.is_none() => self.ended(*id, -secs),
                            _ => {}
                        }
                    }
                }
                Account::Used(_) if within => self.ledger_used += secs,
                _ => {}
            }
        }
        if let Some(session) = t.session {
            self.of_session(session, t, within, before);
        }
    }

    /// Seconds of a grant that nobody can use any more.
    fn ended(&mut self, grant: GrantId, secs: i64) {
        let revoked = self.voided.get(&grant) == Some(&true);
        if let Some(flow) = self.flow(grant) {
            *if revoked { &mut flow.revoked } else { &mut flow.expired } += secs;
        }
    }

    fn of_session(&mut self, session: SessionId, t: &Transaction, within: bool, before: bool) {
        let mut drawn = self.sessions.remove(&session).unwrap_or_default();
        match t.kind {
            TxKind::Reserve => {
                let pieces = t.entries.iter().filter_map(|(account, secs)| match account {
                    Account::Grant(id) if *secs < 0 => Some((*id, -secs)),
                    _ => None,
                });
                for (grant, secs) in pieces {
                    drawn.pieces.push((grant, secs));
                    self.held(grant, secs, before);
                }
            }
            TxKind::Settle | TxKind::Void => {
                let used: i64 = t
                    .entries
                    .iter()
                    .map(|(a, secs)| if matches!(a, Account::Used(_)) { *secs } else { 0 })
                    .sum();
                let (_, back) = split_hold(&drawn.pieces, used);
                drawn.paid = paid_pieces(&drawn.pieces, used);
                for (grant, secs) in drawn.pieces.clone() {
                    self.held(grant, -secs, before);
                }
                for (grant, secs) in drawn.paid.clone() {
                    if let Some(flow) = self.flow(grant).filter(|_| within) {
                        flow.used += secs;
                    }
                    drawn.billed_here += if within && self.voided.contains_key(&grant) {
                        secs
                    } else {
                        0
                    };
                }
                self.lapsed(t, &back, within);
            }
            TxKind::Refund => {
                let secs: i64 = -t
                    .entries
                    .iter()
                    .map(|(a, secs)| if matches!(a, Account::Used(_)) { *secs } else { 0 })
                    .sum::<i64>();
                let back = refund_pieces(&drawn.paid, drawn.refunded, secs).unwrap_or_default();
                for (grant, secs) in &back {
                    if let Some(flow) = self.flow(*grant).filter(|_| within) {
                        flow.refunded += secs;
                    }
                    drawn.refunded_here += if within && self.voided.contains_key(grant) {
                        *secs
                    } else {
                        0
                    };
                }
                drawn.refunded += secs;
                self.lapsed(t, &back, within);
            }
            TxKind::Issue => {}
        }
        self.sessions.insert(session, drawn);
    }

    /// A hold grows or is emptied: what is held of a grant is still its learner's.
    fn held(&mut self, grant: GrantId, secs: i64, before: bool) {
        if let Some(flow) = self.flow(grant) {
            flow.closing += secs;
            flow.held += secs;
            if before {
                flow.opening += secs;
            }
        }
    }

    /// What should have come back to grants and went elsewhere, since they had ended.
    fn lapsed(&mut self, t: &Transaction, back: &[(GrantId, i64)], within: bool) {
        for (grant, secs) in back {
            let home: i64 = t
                .entries
                .iter()
                .filter(|(a, _)| *a == Account::Grant(*grant))
                .map(|(_, s)| s)
                .sum();
            if within {
                self.ended(*grant, secs - home);
            }
        }
    }

    fn line(&self, s: &StatementSession) -> Option<SessionLine> {
        let drawn = self.sessions.get(&s.usage.session)?;
        let settled = self.period.has(s.settled_at);
        if !settled && drawn.refunded_here == 0 {
            return None;
        }
        let u = &s.usage;
        let of = |secs: i64| if settled { secs } else { 0 };
        Some(SessionLine {
            session: u.session,
            subject: u.subject.clone(),
            course: u.course.clone(),
            lab: u.lab.clone(),
            requested_at: u.requested_at,
            settled_at: s.settled_at,
            settled,
            sandbox_seconds: of(u.sandbox_seconds),
            billed_seconds: drawn.billed_here,
            elsewhere_seconds: of(u.billed_seconds) - drawn.billed_here,
            unbilled_seconds: of(u.unbilled_seconds),
            unbilled_reason: u.unbilled_reason.clone(),
            refunded_seconds: drawn.refunded_here,
            cost_micro_eur: u.cost_micro_eur.filter(|_| settled),
        })
    }
}
