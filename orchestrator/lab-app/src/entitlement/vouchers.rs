//! Vouchers: codes are made here, shown once, and known to the store by their keyed hash only.

use crate::{App, AppError, launch::Keyring};
use lab_core::{
    Subject, TokenHash,
    entitlement::{Code, Redeemed, Redemption},
    launch::{Login, Role},
    port::Entropy,
};

/// `count` new codes with the hashes that the store gets, under the installation's first key.
pub fn make_codes(entropy: &dyn Entropy, keyring: &Keyring, count: u32) -> Vec<(Code, TokenHash)> {
    let code = |_| {
        let random = entropy.bytes32();
        let mut bits = [0; 10];
        bits.copy_from_slice(&random[..10]);
        let code = Code::of(bits);
        let hash = keyring.voucher_hashes(&code).swap_remove(0);
        (code, hash)
    };
    (0..count).map(code).collect()
}

impl App {
    /// Gives a learner what the code they typed is worth, once; see [`lab_core::port::Store::voucher_redeem`]. A lab of theirs that stands
    /// still goes on within two seconds.
    ///
    /// # Errors
    /// `not-allowed` to anyone but learners; a refusal of the code is no error, but in the answer.
    pub async fn voucher_redeem(&self, login: &Login, typed: &str) -> Result<Redeemed, AppError> {
        if login.role != Role::Learner {
            return Err(AppError::not_allowed("vouchers are for learners"));
        }
        if login.is_test_run() {
            return Err(AppError::not_allowed(
                "a test run takes no voucher: the code stays good for who it is for",
            ));
        }
        self.redeem(login, login.subject.clone(), typed).await
    }

    /// One redemption for a learner, in the course of whoever asks for it and on their account of wrong codes.
    pub(super) async fn redeem(&self, by: &Login, subject: Subject, typed: &str) -> Result<Redeemed, AppError> {
        let course = &by.course;
        let redemption = Redemption {
            // what can be no code is a wrong one all the same, and counts as a guess
            hashes: Code::read(typed).map_or_else(Vec::new, |code| self.keyring.voucher_hashes(&code)),
            subject,
            typed_by: by.subject.clone(),
            course: course.clone(),
            at: self.now(),
        };
        let done = self.ports.store.voucher_redeem(&redemption).await?;
        let outcome = match &done {
            Redeemed::Granted { new: true, grant, .. } => {
                tracing::info!(grant = %grant, %course, "voucher redeemed");
                "redeemed"
            }
            Redeemed::Granted { .. } => "again",
            Redeemed::Refused(refusal) => {
                tracing::info!(code = refusal.code(), %course, "voucher refused");
                refusal.code()
            }
        };
        self.metrics.vouchers_total.with_label_values(&[outcome]).inc();
        Ok(done)
    }
}
