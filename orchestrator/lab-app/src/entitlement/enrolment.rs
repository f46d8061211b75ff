//! Who looks after a course's lab time: batches of vouchers, a code redeemed for somebody at the counter, and what somebody has left.
//! Everything here is of the login's course alone, and written down.

use super::make_codes;
use crate::{App, AppError};
use lab_core::{
    PlanId, Subject, VoucherBatchId,
    entitlement::{BATCH_MAX, Code, GrantBalance, Redeemed, VoucherBatch, VoucherBatchState},
    hours,
    launch::{Login, Role},
    port::{AuditEvent, ErrorKind},
    privacy::is_pseudonym,
};
use std::time::Duration;

/// What a new batch is to be.
#[derive(Clone, Debug)]
pub struct BatchRequest {
    pub label: String,
    pub plan: PlanId,
    pub count: u32,
    /// Lab time of each in seconds; the plan's when not given.
    pub seconds: Option<i64>,
    /// The plan's when not given.
    pub valid_days: Option<u32>,
    /// Days from now in which codes can be redeemed.
    pub redeem_within_days: u32,
}

/// A name on paper; longer ones are no names.
const LABEL_CHARS_MAX: usize = 120;
/// A hundred years.
const DAYS_MAX: u32 = 36_500;
/// A sentence.
const REASON_CHARS_MAX: usize = 200;
/// What a platform names people by is shorter.
const SUBJECT_CHARS_MAX: usize = 400;

fn invalid(message: String) -> AppError {
    AppError::refused(ErrorKind::Invalid, "invalid", message)
}

impl BatchRequest {
    fn check(&self) -> Result<(), AppError> {
        let label = self.label.chars().count();
        let within = |field: &str, n: u32, max: u32| match n {
            1.. if n <= max => Ok(()),
            _ => Err(invalid(format!("{field}: {n} is not from 1 to {max}"))),
        };
        if label > LABEL_CHARS_MAX || self.label.chars().any(char::is_control) {
            return Err(invalid(format!(
                "label: {label} characters; write at most {LABEL_CHARS_MAX} on one line"
            )));
        }
        within("count", self.count, BATCH_MAX)?;
        within("redeem_within_days", self.redeem_within_days, DAYS_MAX)?;
        self.valid_days.map_or(Ok(()), |n| within("valid_days", n, DAYS_MAX))
    }
}

fn learner(text: &str) -> Result<Subject, AppError> {
    let text = text.trim();
    let fits = (1..=SUBJECT_CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if !fits {
        return Err(invalid(
            "learner: write the learner's id, as it is on their page or in the list of learners".into(),
        ));
    }
    Ok(Subject(text.to_owned()))
}

impl App {
    fn for_enrolment(login: &Login) -> Result<(), AppError> {
        if login.role == Role::Enrolment {
            return Ok(());
        }
        Err(AppError::not_allowed(
            "vouchers and grants are looked after by enrolment",
        ))
    }

    /// Batches of the course, newest first.
    ///
    /// # Errors
    /// `not-allowed` to anyone but enrolment, as is everything here.
    pub async fn voucher_batches(&self, login: &Login) -> Result<Vec<VoucherBatchState>, AppError> {
        Self::for_enrolment(login)?;
        let mut batches = self.ports.store.voucher_list().await?;
        batches.retain(|b| b.batch.course == login.course);
        Ok(batches)
    }

    /// Makes a batch. Its codes are told this once, and kept nowhere.
    ///
    /// # Errors
    /// `invalid` naming the field.
    pub async fn voucher_batch_make(
        &self,
        login: &Login,
        asked: &BatchRequest,
    ) -> Result<(VoucherBatch, Vec<Code>), AppError> {
        Self::for_enrolment(login)?;
        asked.check()?;
        let plans = self.ports.store.plan_list().await?;
        let plan = plans.iter().find(|p| p.id == asked.plan && p.labs);
        let plan = plan.ok_or_else(|| {
            let known: Vec<&str> = plans.iter().filter(|p| p.labs).map(|p| p.id.as_str()).collect();
            invalid(format!(
                "plan: {:?} gives no labs; use one of {}",
                asked.plan.as_str(),
                known.join(", ")
            ))
        })?;
        let seconds = asked.seconds.unwrap_or(plan.seconds);
        if seconds <= 0 {
            return Err(invalid("hours: this plan does not say how many; write a number".into()));
        }
        // more than the plan is a matter of money, and those who look after that have `labwire voucher create`
        if seconds > plan.seconds.max(plan.minimum_secs) || seconds < plan.minimum_secs {
            return Err(invalid(format!(
                "hours: this plan gives {} at most, and at least {} minutes are needed to start a lab",
                hours::shown(plan.seconds),
                plan.minimum_secs / 60
            )));
        }
        let now = self.now();
        let batch = VoucherBatch {
            id: VoucherBatchId(self.fresh_uuid()),
            label: asked.label.trim().to_owned(),
            course: login.course.clone(),
            plan: plan.id.clone(),
            seconds,
            valid_days: asked.valid_days.unwrap_or(plan.valid_days),
            priority: 0,
            created_at: now,
            expires_at: now.plus(Duration::from_hours(24 * u64::from(asked.redeem_within_days))),
            key: self.keyring.first_id().to_owned(),
            // whose money it is, is not for the counter to say
            sponsor: None,
        };
        let made = make_codes(self.ports.entropy.as_ref(), &self.keyring, asked.count);
        let (codes, hashes): (Vec<_>, Vec<_>) = made.into_iter().unzip();
        let detail = format!("{} codes, batch {}", asked.count, batch.id);
        self.enrolment_audit(login, "voucher-make", None, detail).await?;
        self.ports.store.voucher_create(&batch, &hashes).await?;
        Ok((batch, codes))
    }

    /// Withdraws a batch of the course: what was redeemed stays, the rest is worthless.
    ///
    /// # Errors
    /// Not found for a batch of another course; `invalid` without a reason.
    pub async fn voucher_batch_revoke(
        &self,
        login: &Login,
        batch: VoucherBatchId,
        reason: &str,
    ) -> Result<(), AppError> {
        let known = self.voucher_batches(login).await?;
        if !known.iter().any(|b| b.batch.id == batch) {
            return Err(AppError::not_found("the batch"));
        }
        let reason = reason.trim();
        if !(1..=REASON_CHARS_MAX).contains(&reason.chars().count()) {
            return Err(invalid(format!(
                "reason: write why, in at most {REASON_CHARS_MAX} characters"
            )));
        }
        let detail = format!("batch {batch}");
        self.enrolment_audit(login, "voucher-revoke", None, detail).await?;
        Ok(self.ports.store.voucher_revoke(batch, reason, self.now()).await?)
    }

    /// Redeems a code for a learner, as that learner would; wrong codes count as guesses of whoever redeems, so that nobody's mistakes at a
    /// counter keep a learner from their own code.
    ///
    /// # Errors
    /// `invalid` for what can be no learner, `learner-forgotten` and `learner-unknown` for who is none here, before anything is counted; a
    /// refusal of the code is no error, but in the answer.
    pub async fn voucher_redeem_for(&self, login: &Login, who: &str, typed: &str) -> Result<Redeemed, AppError> {
        Self::for_enrolment(login)?;
        let subject = self.known_learner(who).await?;
        let about = Some(subject.clone());
        self.enrolment_audit(login, "voucher-redeem", about, String::new())
            .await?;
        self.redeem(login, subject, typed).await
    }

    /// Somebody who was here, or is on a list of a course; of two ids that are one person, the one that counts.
    async fn known_learner(&self, who: &str) -> Result<Subject, AppError> {
        let subject = self.ports.store.same_person_of(&learner(who)?).await?;
        if is_pseudonym(&subject) {
            return Err(AppError::refused(
                ErrorKind::Invalid,
                "learner-forgotten",
                format!("learner: {subject} is who was forgotten, and nobody any more; write the id they have now"),
            ));
        }
        if !self.ports.store.person_footprint(&subject).await?.is_known() {
            return Err(AppError::refused(
                ErrorKind::NotFound,
                "learner-unknown",
                format!(
                    "learner: nobody of the id {subject:?} was ever here or is on a course's list; compare it, or have them open a lab once",
                    subject = subject.as_str()
                ),
            ));
        }
        Ok(subject)
    }

    /// What a learner was given in the course, and what is left of it.
    ///
    /// # Errors
    /// `invalid` for what can be no learner.
    pub async fn grants_of(&self, login: &Login, who: &str) -> Result<Vec<GrantBalance>, AppError> {
        Self::for_enrolment(login)?;
        let subject = learner(who)?;
        self.enrolment_audit(login, "grants-show", Some(subject.clone()), String::new())
            .await?;
        Ok(self.ports.store.grant_list(&subject, Some(&login.course)).await?)
    }

    async fn enrolment_audit(
        &self,
        login: &Login,
        action: &str,
        about: Option<Subject>,
        detail: String,
    ) -> Result<(), AppError> {
        let event = AuditEvent {
            at: self.now(),
            actor: login.subject.clone(),
            actor_name: login.name.clone(),
            role: login.role,
            action: action.to_owned(),
            session: None,
            course: about.is_some().then(|| login.course.clone()),
            about,
            detail,
        };
        Ok(self.ports.store.audit_append(&event).await?)
    }
}
