//! One platform's turn: its grades that are due, one after another.

use super::send::{Sender, Tried};
use crate::AppError;
use lab_core::{
    grading::{GradeRow, HELD_AFTER},
    launch::lti::RegistrationId,
    port::{GradeChange, GradeWrite},
};
use std::{sync::Arc, time::Duration};

/// See the module's doc.
pub(super) struct Turn {
    pub registration: RegistrationId,
    pub rows: Vec<GradeRow>,
    /// Tries in a row that came to nothing before.
    pub failures: u32,
    pub epoch: u64,
}

/// How a turn ended.
pub(super) struct Ended {
    pub registration: RegistrationId,
    /// Tries in a row that came to nothing, with those before; 0: the platform answers.
    pub failures: u32,
    /// What the platform asked for.
    pub patience: Option<Duration>,
    /// The store's, which ended it.
    pub error: Option<AppError>,
}

impl Turn {
    /// Sends until the rows are done, or the platform takes none.
    pub async fn run(self, sender: Arc<Sender>) -> Ended {
        let mut ended = Ended {
            registration: self.registration.clone(),
            failures: self.failures,
            patience: None,
            error: None,
        };
        if let Err(error) = self.rows_into(&sender, &mut ended).await {
            ended.error = Some(error);
        }
        ended
    }

    async fn rows_into(&self, sender: &Sender, ended: &mut Ended) -> Result<(), AppError> {
        let found = sender.ports.store.lti_registration_get(&self.registration).await?;
        let mut letters = sender.letters(self.epoch, found);
        for row in &self.rows {
            match letters.send(row).await? {
                Tried::NotNow => {}
                Tried::Answered => {
                    if ended.failures >= HELD_AFTER {
                        self.back(sender).await?;
                    }
                    ended.failures = 0;
                }
                Tried::Nothing { patience } => {
                    ended.failures += 1;
                    ended.patience = patience;
                    if ended.failures >= HELD_AFTER || patience.is_some() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Nobody waits longer than the platform was away.
    async fn back(&self, sender: &Sender) -> Result<(), AppError> {
        let change = GradeChange::Back {
            registration: self.registration.clone(),
            at: sender.ports.clock.now(),
        };
        let write = GradeWrite {
            epoch: self.epoch,
            change,
        };
        sender.ports.store.grade_write(&write).await?;
        tracing::info!(registration = %self.registration, "a platform takes grades again");
        Ok(())
    }
}
