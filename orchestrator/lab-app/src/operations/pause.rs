//! Whether new launches are taken. What runs, waits in the queue or is kept warm goes on in any case.

use crate::{App, AppError};
use futures_util::FutureExt;
use lab_core::{
    launch::{Login, Role},
    operations::{LaunchPause, PauseChange, PauseNotice},
    port::ErrorKind,
};
use std::{sync::Arc, time::Duration};

/// `/healthz` and `/metrics` answer in time, whatever the store does.
const LOOK_WITHIN: Duration = Duration::from_millis(300);

impl App {
    /// Refuses new launches from now on, in every process, with this reason; or says another one. `minutes` from now is when learners
    /// are told to come back; nothing is lifted by itself.
    ///
    /// # Errors
    /// `not-allowed`; `invalid-pause` naming the field.
    pub async fn launches_pause(
        &self,
        login: &Login,
        reason: &str,
        minutes: Option<u32>,
    ) -> Result<Option<LaunchPause>, AppError> {
        let notice = PauseNotice::new(reason, minutes, self.now())
            .map_err(|wrong| AppError::refused(ErrorKind::Invalid, "invalid-pause", wrong))?;
        self.change_pause(login, Some(notice)).await
    }

    /// Takes new launches again; fine when they are.
    ///
    /// # Errors
    /// `not-allowed`.
    pub async fn launches_resume(&self, login: &Login) -> Result<Option<LaunchPause>, AppError> {
        self.change_pause(login, None).await
    }

    async fn change_pause(&self, login: &Login, to: Option<PauseNotice>) -> Result<Option<LaunchPause>, AppError> {
        if login.role != Role::Operations {
            return Err(AppError::not_allowed("launches are paused and resumed by operations"));
        }
        let change = PauseChange {
            to,
            by: login.subject.clone(),
            by_name: login.name.clone(),
            at: self.now(),
        };
        let now = self.ports.store.launches_pause(&change).await?;
        self.operations.paused.forget();
        tracing::warn!(
            paused = now.is_some(),
            reason = now.as_ref().map(|p| p.reason.as_str()),
            "launches were paused or resumed"
        );
        Ok(now)
    }

    /// The pause as it was at most two seconds ago, for probes; `None` also when the store does not say in time. What it does say is
    /// the metric from then on.
    pub async fn paused_lately(&self) -> Option<LaunchPause> {
        let (store, gauge) = (Arc::clone(&self.ports.store), self.metrics.launches_paused.clone());
        let ask = || {
            async move {
                let said = tokio::time::timeout(LOOK_WITHIN, store.launches_paused()).await;
                let said = said.ok()?.ok()?;
                gauge.set(i64::from(said.is_some()));
                said
            }
            .boxed()
        };
        self.operations.paused.get(self.ports.clock.monotonic_us(), ask).await
    }
}
