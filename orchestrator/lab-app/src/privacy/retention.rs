//! What has had its time goes: some rows at a time, by one process, fenced by its lease's epoch.

use crate::{AppError, Metrics, Ports, lease::Leased, recording::recording_prefix};
use lab_core::{
    port::{QUARANTINE_PREFIX, RETENTION_LEASE},
    privacy::{self, Class, Due, Removal, SECOND_LOOK},
};
use std::{collections::BTreeMap, time::Duration};
use tokio_util::sync::CancellationToken;

/// Looked for this often, unless the settings say otherwise: times are days, and nobody waits for it.
pub const SWEEP_EVERY: Duration = Duration::from_mins(10);

/// Recordings removed at once, each a statement: less than the lease's six seconds also on a slow disk.
const RECORDINGS_A_TURN: u32 = 50;

/// Rows deleted in one transaction: some ten milliseconds, in which SQLite's other writers wait.
const ROWS_A_TURN: u32 = 500;

/// What a sweep removed, by class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub rows: BTreeMap<Class, u64>,
    /// Of recordings.
    pub objects: u64,
}

impl Swept {
    fn add(&mut self, class: Class, rows: u64) {
        *self.rows.entry(class).or_default() += rows;
    }
}

/// Removes what has had its time.
pub struct Retention {
    ports: Ports,
    times: privacy::Retention,
    lease: Leased,
    metrics: Metrics,
}

impl Retention {
    /// One process's sweeper.
    pub fn new(ports: Ports, times: privacy::Retention, holder: String, metrics: Metrics) -> Self {
        Self {
            ports,
            times,
            lease: Leased::new(RETENTION_LEASE, holder),
            metrics,
        }
    }

    /// Sweeps again and again until told to stop.
    pub async fn run(mut self, every: Duration, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(every) => {}
            }
            match self.sweep(&stop).await {
                Ok(Some(swept)) if swept != Swept::default() => {
                    tracing::info!(?swept, "removed what had had its time");
                }
                Ok(_) => {}
                Err(error) => {
                    self.metrics.errors_total.with_label_values(&[error.code()]).inc();
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        code = error.code(),
                        "could not remove what had had its time; it is tried again"
                    );
                }
            }
        }
        self.lease.release(&self.ports).await;
    }

    /// One sweep, or none while another process has the lease.
    ///
    /// # Errors
    /// What failed first; everything that was begun is finished by a later sweep.
    pub async fn sweep(&mut self, stop: &CancellationToken) -> Result<Option<Swept>, AppError> {
        let mut swept = Swept::default();
        if self.epoch(stop).await?.is_none() {
            return Ok(None);
        }
        self.recordings(&mut swept, stop).await?;
        swept.objects = clear_removed(&self.ports, stop).await?;
        for class in [Class::Checks, Class::Names, Class::Audit] {
            self.rows(class, &mut swept, stop).await?;
        }
        for due in self.due().await? {
            let gauge = self.metrics.retention_due.with_label_values(&[due.class.name()]);
            gauge.set(i64::try_from(due.count).unwrap_or(i64::MAX));
        }
        Ok(Some(swept))
    }

    /// Lets another process sweep at once.
    pub async fn release(mut self) {
        self.lease.release(&self.ports).await;
    }

    /// What has had its time now.
    async fn due(&self) -> Result<Vec<Due>, AppError> {
        let before = self.times.before(self.ports.clock.now());
        Ok(self.ports.store.retention_due(&before).await?)
    }

    /// The lease's epoch while it is ours and nobody wants us to stop; asked before each turn, and renewed by it.
    async fn epoch(&mut self, stop: &CancellationToken) -> Result<Option<u64>, AppError> {
        if stop.is_cancelled() || !self.lease.held(&self.ports).await? {
            return Ok(None);
        }
        Ok(self.lease.epoch())
    }

    async fn recordings(&mut self, swept: &mut Swept, stop: &CancellationToken) -> Result<(), AppError> {
        while let Some(epoch) = self.epoch(stop).await? {
            let now = self.ports.clock.now();
            let before = self.times.before(now);
            let due = self.ports.store.recordings_due(&before, RECORDINGS_A_TURN).await?;
            for session in &due {
                if self.ports.store.recording_remove(*session, epoch, now).await? {
                    self.removed(swept, Class::Recordings, 1);
                }
            }
            if due.len() < RECORDINGS_A_TURN as usize {
                break;
            }
        }
        Ok(())
    }

    async fn rows(&mut self, class: Class, swept: &mut Swept, stop: &CancellationToken) -> Result<(), AppError> {
        while let Some(epoch) = self.epoch(stop).await? {
            let now = self.ports.clock.now();
            let before = class.before(&self.times.before(now));
            let store = &self.ports.store;
            let gone = store.retention_delete(class, epoch, before, now, ROWS_A_TURN).await?;
            self.removed(swept, class, gone);
            if gone < u64::from(ROWS_A_TURN) {
                break;
            }
        }
        Ok(())
    }

    fn removed(&self, swept: &mut Swept, class: Class, rows: u64) {
        if rows > 0 {
            swept.add(class, rows);
            let total = self.metrics.retention_removed_total.with_label_values(&[class.name()]);
            total.inc_by(rows);
        }
    }
}

/// Deletes the objects of recordings that were removed, by whomever; how many. Needs no lease: to delete twice is to delete.
///
/// # Errors
/// The first failure, after everything else was tried: one object that cannot be deleted keeps back no other.
pub(super) async fn clear_removed(ports: &Ports, stop: &CancellationToken) -> Result<u64, AppError> {
    let mut objects = 0;
    loop {
        let now = ports.clock.now();
        let open = ports.store.removals(now.minus(SECOND_LOOK), RECORDINGS_A_TURN).await?;
        let (mut done, mut failed) = (0, None);
        for removal in &open {
            if stop.is_cancelled() {
                return Ok(objects);
            }
            match clear(ports, *removal).await {
                Ok(deleted) => {
                    objects += deleted;
                    done += 1;
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            Some(error) => return Err(error),
            None if done < RECORDINGS_A_TURN as usize => return Ok(objects),
            None => {}
        }
    }
}

/// Everything below the recording's folder, also what was moved aside: by list, since an object that no row names is one too.
async fn clear(ports: &Ports, removal: Removal) -> Result<u64, AppError> {
    let folder = recording_prefix(removal.session);
    let mut deleted = 0;
    for prefix in [folder.clone(), format!("{QUARANTINE_PREFIX}{folder}")] {
        for key in ports.blobs.list(&prefix).await? {
            ports.blobs.delete(&key).await?;
            deleted += 1;
        }
    }
    let again = removal.again && deleted > 0;
    if again {
        tracing::warn!(session.id = %removal.session, deleted, "a late recorder had put what was removed");
    }
    ports.store.removal_done(removal, ports.clock.now()).await?;
    Ok(deleted)
}
