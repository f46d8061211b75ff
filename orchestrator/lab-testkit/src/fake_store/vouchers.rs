//! Vouchers.

use super::state::State;
use lab_core::{
    GrantId, Subject, Timestamp, TokenHash, VoucherBatchId,
    entitlement::{
        GUESSES_MAX, GUESSES_WITHIN, Grant, Redeemed, Redemption, Sale, Seat, TermsState, VoucherBatch,
        VoucherBatchState, VoucherRefusal, VoucherTerms, judge, source, voucher_grant,
    },
    metering::Account,
    port::StoreError,
    privacy::RedeemedVoucher,
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

#[derive(Debug, Default)]
pub struct Vouchers {
    batches: BTreeMap<VoucherBatchId, VoucherBatchState>,
    codes: HashMap<TokenHash, (VoucherBatchId, Option<Subject>)>,
    redeemed_at: HashMap<TokenHash, Timestamp>,
    pub terms: BTreeMap<VoucherBatchId, VoucherTerms>,
    guesses: HashMap<Subject, (Timestamp, u32)>,
}

impl Vouchers {
    pub fn list(&self) -> Vec<VoucherBatchState> {
        let mut all: Vec<_> = self.batches.values().cloned().collect();
        all.sort_by_key(|b| std::cmp::Reverse((b.batch.created_at, b.batch.id)));
        all
    }

    pub fn terms_put(&mut self, batch: VoucherBatchId, terms: &VoucherTerms) -> Result<(), StoreError> {
        let fixed = |t: &VoucherTerms| (t.sale(), t.credit.clone());
        if self.terms.get(&batch).is_some_and(|known| fixed(known) != fixed(terms)) {
            return Err(StoreError::Conflict {
                what: "voucher batch",
                id: batch.to_string(),
                detail: "what was agreed with its seller is fixed".into(),
            });
        }
        self.terms.insert(batch, terms.clone());
        Ok(())
    }

    /// Who sold the code that gave a grant, and for what.
    pub fn sale_of(&self, grant: GrantId) -> Option<Sale> {
        let (_, (batch, _)) = self.codes.iter().find(|(code, _)| voucher_grant(**code) == grant)?;
        self.terms.get(batch)?.sale()
    }

    /// Those a person redeemed.
    pub fn of(&self, subject: &Subject) -> Vec<RedeemedVoucher> {
        let theirs = self.codes.iter().filter(|(_, (_, by))| by.as_ref() == Some(subject));
        let voucher = |(code, (batch, _)): (&TokenHash, &(VoucherBatchId, Option<Subject>))| {
            let batch = &self.batches[batch].batch;
            RedeemedVoucher {
                label: batch.label.clone(),
                course: batch.course.clone(),
                plan: batch.plan.clone(),
                redeemed_at: self.redeemed_at.get(code).copied().unwrap_or_default(),
                grant: voucher_grant(*code),
            }
        };
        let mut all: Vec<_> = theirs.map(voucher).collect();
        all.sort_by_key(|v| (v.redeemed_at, v.grant));
        all
    }

    /// Says another name of who redeemed, and forgets their guesses.
    pub fn rename(&mut self, subject: &Subject, to: &Subject) {
        self.guesses.remove(subject);
        for (_, by) in self.codes.values_mut().filter(|(_, by)| by.as_ref() == Some(subject)) {
            *by = Some(to.clone());
        }
    }

    pub fn revoke(&mut self, id: VoucherBatchId, reason: &str, at: Timestamp) -> Result<(), StoreError> {
        let batch = self.batches.get_mut(&id).ok_or_else(|| StoreError::NotFound {
            what: "voucher batch",
            id: id.to_string(),
        })?;
        batch.revoked.get_or_insert_with(|| (at, reason.to_owned()));
        Ok(())
    }
}

impl State {
    /// What a batch's codes gave, by redemption.
    fn seats(&self, batch: VoucherBatchId) -> Vec<Seat> {
        let redeemed = self
            .vouchers
            .codes
            .iter()
            .filter(|(_, (b, by))| *b == batch && by.is_some());
        let seat = |code: &TokenHash| {
            let grant = voucher_grant(*code);
            let on = |t: &&lab_core::metering::Transaction| t.entries.iter().any(|(a, _)| *a == Account::Grant(grant));
            let drew = self.transactions.iter().filter(|t| t.session.is_some()).filter(on);
            let entries = drew
                .clone()
                .flat_map(|t| &t.entries)
                .filter(|(a, _)| *a == Account::Grant(grant));
            let labs: BTreeSet<_> = drew
                .filter_map(|t| self.sessions.get(&t.session?))
                .map(|s| s.lab.clone())
                .collect();
            Seat {
                redeemed_at: self.vouchers.redeemed_at[code],
                given: self.grants[&grant].seconds - self.taken_back(grant),
                drawn: -entries.map(|(_, secs)| secs).sum::<i64>(),
                labs: labs.into_iter().collect(),
            }
        };
        let mut seats: Vec<_> = redeemed.map(|(code, _)| (voucher_grant(*code), seat(code))).collect();
        seats.sort_by_key(|(grant, seat)| (seat.redeemed_at, *grant));
        seats.into_iter().map(|(_, seat)| seat).collect()
    }

    pub fn voucher_terms(&self) -> Vec<TermsState> {
        let made = self.vouchers.list().into_iter().map(|b| b.batch.id);
        made.filter_map(|batch| {
            let terms = self.vouchers.terms.get(&batch)?.clone();
            let seats = self.seats(batch);
            Some(TermsState { batch, terms, seats })
        })
        .collect()
    }

    pub fn voucher_create(&mut self, batch: &VoucherBatch, codes: &[TokenHash]) -> Result<(), StoreError> {
        if !self.plans.contains_key(&batch.plan) {
            return Err(StoreError::NotFound {
                what: "plan",
                id: batch.plan.to_string(),
            });
        }
        let state = VoucherBatchState {
            batch: batch.clone(),
            size: u32::try_from(codes.len()).unwrap_or(u32::MAX),
            redeemed: 0,
            revoked: None,
        };
        self.vouchers.batches.insert(batch.id, state);
        self.vouchers
            .codes
            .extend(codes.iter().map(|code| (*code, (batch.id, None))));
        Ok(())
    }

    pub fn voucher_redeem(&mut self, r: &Redemption) -> Result<Redeemed, StoreError> {
        let guesses = self.vouchers.guesses.entry(r.typed_by.clone()).or_insert((r.at, 0));
        if guesses.0.plus(GUESSES_WITHIN) <= r.at {
            *guesses = (r.at, 0);
        }
        if guesses.1 >= GUESSES_MAX {
            let again_at = guesses.0.plus(GUESSES_WITHIN);
            return Ok(Redeemed::Refused(VoucherRefusal::Guesses { again_at }));
        }
        let found = r
            .hashes
            .iter()
            .find_map(|code| Some((*code, self.vouchers.codes.get(code)?.clone())));
        let Some((code, (batch, by))) = found else {
            guesses.1 += 1;
            return Ok(Redeemed::Refused(VoucherRefusal::Unknown));
        };
        let state = self.vouchers.batches[&batch].clone();
        let new = match judge(&state, by.as_ref(), (&r.subject, &r.course), r.at) {
            Ok(new) => new,
            Err(refusal) => return Ok(Redeemed::Refused(refusal)),
        };
        let id = voucher_grant(code);
        if new {
            let batch = state.batch;
            let over = self.course_refusal(&batch.course, &r.subject, r.at);
            if let Some(refusal) = VoucherRefusal::of_course(over) {
                return Ok(Redeemed::Refused(refusal));
            }
            let terms = self.vouchers.terms.get(&batch.id).cloned().unwrap_or_default();
            let seated = |(_, (b, by)): (&TokenHash, &(VoucherBatchId, Option<Subject>))| {
                let same = || {
                    let other = (&self.vouchers.batches[b].batch.course, self.vouchers.terms.get(b)?);
                    Some(terms.is_same_trial(&batch.course, other, r.at))
                };
                by.as_ref() == Some(&r.subject) && (*b == batch.id || same().unwrap_or_default())
            };
            if terms.trial.is_some() && self.vouchers.codes.iter().any(seated) {
                return Ok(Redeemed::Refused(VoucherRefusal::Seated));
            }
            let given = self.seats(batch.id).iter().map(|s| s.given).sum();
            let Some(seconds) = terms.gives(batch.seconds, given) else {
                return Ok(Redeemed::Refused(VoucherRefusal::PotEmpty));
            };
            self.grant_issue(&Grant {
                id,
                subject: r.subject.clone(),
                course: batch.course,
                plan: batch.plan,
                seconds,
                priority: batch.priority,
                effective_at: r.at,
                expires_at: terms.ends(r.at.plus(Duration::from_hours(24 * u64::from(batch.valid_days)))),
                created_at: r.at,
                source: source::VOUCHER.into(),
                sponsor: batch.sponsor,
            })?;
            self.grant_at(id, terms.site.as_ref());
            self.vouchers.codes.insert(code, (batch.id, Some(r.subject.clone())));
            self.vouchers.redeemed_at.insert(code, r.at);
            if let Some(state) = self.vouchers.batches.get_mut(&batch.id) {
                state.redeemed += 1;
            }
        }
        let grant = &self.grants[&id];
        Ok(Redeemed::Granted {
            grant: id,
            plan: grant.plan.clone(),
            seconds: grant.seconds,
            expires_at: grant.expires_at,
            new,
        })
    }
}
