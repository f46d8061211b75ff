//! The administration's clerk: reconciles the ledger daily, raises alerts, and sends them. One process of an installation at a time.
//!
//! ```text
//!   store: spendings ── once a minute ──► Spending::alert ──► alert_raise: once each, with a row a channel in the outbox
//!   outbox ── every two seconds ──► webhook (signed), mail ──► alert_mark under the lease's epoch: sent, or when again
//! ```
//! A process that dies between sending and marking sends again: the message bears the same id, which its receiver can tell.

use super::{news, reconcile};
use crate::{AppError, Metrics, Ports, Settings, lease::Leased};
use lab_core::{
    Timestamp,
    metering::{
        ACCOUNTS_LEASE, Alert, AlertChannel, DELIVERY_TRIES_MAX, Delivery, DeliveryMark, DeliveryOutcome,
        Reconciliation, Spending, retry_after,
    },
    port::PlatformRequest,
};
use secrecy::SecretString;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The outbox is looked at this often: a statement that reads an index of what is due.
const TURN_EVERY: Duration = Duration::from_secs(2);
/// What is spent is added up this often where the settings say nothing: at 2,500 learners some 20 ms of the database.
const SPENDING_EVERY: Duration = Duration::from_mins(1);
/// The ledger is reconciled this often, counted from the last time, whoever did it.
const RECONCILE_EVERY: Duration = Duration::from_hours(24);

/// Who is told.
#[derive(Clone, Debug)]
pub struct AlertSettings {
    /// What is spent is added up this often.
    pub every: Duration,
    pub webhook: Option<Webhook>,
    /// Nobody: no mail is sent.
    pub mail_to: Vec<String>,
}

impl Default for AlertSettings {
    fn default() -> Self {
        Self {
            every: SPENDING_EVERY,
            webhook: None,
            mail_to: Vec::new(),
        }
    }
}

impl AlertSettings {
    fn channels(&self) -> Vec<AlertChannel> {
        let webhook = self.webhook.as_ref().map(|_| AlertChannel::Webhook);
        let mail = (!self.mail_to.is_empty()).then_some(AlertChannel::Mail);
        webhook.into_iter().chain(mail).collect()
    }
}

/// Where alerts are sent to, by POST.
#[derive(Clone, Debug)]
pub struct Webhook {
    pub url: String,
    /// Bodies are signed with it.
    pub secret: SecretString,
}

/// See the module's doc.
pub(crate) struct Accounts {
    ports: Ports,
    settings: Settings,
    metrics: Metrics,
    lease: Leased,
    spending_at: Option<Timestamp>,
    reconciled_at: Option<Timestamp>,
}

impl Accounts {
    pub(crate) fn new(ports: Ports, settings: Settings, metrics: Metrics) -> Self {
        Self {
            lease: Leased::new(ACCOUNTS_LEASE, settings.holder.clone()),
            ports,
            settings,
            metrics,
            spending_at: None,
            reconciled_at: None,
        }
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return self.lease.release(&self.ports).await,
                () = tokio::time::sleep(TURN_EVERY) => {}
            }
            if let Err(error) = self.turn(&stop).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    code = error.code(),
                    "could not keep the accounts"
                );
                self.metrics.errors_total.with_label_values(&[error.code()]).inc();
            }
        }
    }

    async fn turn(&mut self, stop: &CancellationToken) -> Result<(), AppError> {
        if !self.lease.held(&self.ports).await? {
            (self.spending_at, self.reconciled_at) = (None, None);
            self.metrics.ledger_unaccounted_seconds.set(0);
            return Ok(());
        }
        self.reconcile_when_due().await?;
        self.raise_when_due().await?;
        for delivery in self.ports.store.alerts_due(self.ports.clock.now()).await? {
            // a lease that was lost meanwhile is somebody else's work
            if stop.is_cancelled() || !self.lease.held(&self.ports).await? {
                break;
            }
            self.deliver(delivery).await?;
        }
        Ok(())
    }

    async fn reconcile_when_due(&mut self) -> Result<(), AppError> {
        let now = self.ports.clock.now();
        if self.reconciled_at.is_none()
            && let Some(last) = self.ports.store.reconciliation_last().await?
        {
            self.shown(&last);
        }
        if self.reconciled_at.is_some_and(|at| now < at.plus(RECONCILE_EVERY)) {
            return Ok(());
        }
        let done = reconcile(self.ports.store.as_ref(), now).await?;
        let off = done.off_secs();
        if off != 0 {
            tracing::error!(seconds = off, "the day's reconciliation does not add up");
            // before it is kept that the day was looked at: whoever dies between looks again, and the alert's key is the day
            self.raise(&Alert::of_ledger(off, now)).await?;
        }
        self.ports.store.reconciliation_put(&done).await?;
        self.shown(&done);
        Ok(())
    }

    fn shown(&mut self, done: &Reconciliation) {
        self.reconciled_at = Some(done.at);
        self.metrics.ledger_unaccounted_seconds.set(done.off_secs());
    }

    async fn raise_when_due(&mut self) -> Result<(), AppError> {
        let now = self.ports.clock.now();
        if self
            .spending_at
            .is_some_and(|at| now < at.plus(self.settings.alerts.every))
        {
            return Ok(());
        }
        for spending in self.ports.store.spendings(now).await? {
            if let Some(alert) = Spending::alert(spending, now) {
                self.raise(&alert).await?;
            }
        }
        self.spending_at = Some(now);
        Ok(())
    }

    async fn raise(&self, alert: &Alert) -> Result<(), AppError> {
        let channels = self.settings.alerts.channels();
        if self.ports.store.alert_raise(alert, &channels).await? {
            let kind = alert.of.kind();
            tracing::info!(of = kind, percent = alert.percent, "alert raised");
            self.metrics.alerts_total.with_label_values(&[kind]).inc();
        }
        Ok(())
    }

    async fn deliver(&self, delivery: Delivery) -> Result<(), AppError> {
        let sent = match delivery.channel {
            AlertChannel::Webhook => self.post(&delivery.alert).await,
            AlertChannel::Mail => self.mail(&delivery.alert).await,
        };
        let now = self.ports.clock.now();
        let channel = delivery.channel;
        let label = sent.as_ref().err().map_or("sent", |code| *code);
        self.metrics
            .alert_deliveries_total
            .with_label_values(&[channel.name(), label])
            .inc();
        let tried = delivery.attempts.saturating_add(1);
        let outcome = match sent {
            Ok(()) => DeliveryOutcome::Sent,
            Err(code) => {
                tracing::warn!(channel = channel.name(), code, tried, "an alert could not be sent");
                let code = code.to_owned();
                if tried >= DELIVERY_TRIES_MAX {
                    DeliveryOutcome::GivenUp { code }
                } else {
                    let again_at = now.plus(retry_after(tried, self.random()));
                    DeliveryOutcome::Failed { code, again_at }
                }
            }
        };
        let mark = DeliveryMark {
            // held since the turn began; a newer holder's epoch refuses it
            epoch: self.lease.epoch().unwrap_or(0),
            alert: delivery.alert.key(),
            channel,
            outcome,
            at: now,
        };
        Ok(self.ports.store.alert_mark(&mark).await?)
    }

    fn random(&self) -> u64 {
        let bytes = self.ports.entropy.bytes32();
        u64::from_le_bytes(bytes[..8].try_into().expect("8 of 32 bytes"))
    }

    /// The code of why it was not taken.
    async fn post(&self, alert: &Alert) -> Result<(), &'static str> {
        let Some(webhook) = &self.settings.alerts.webhook else {
            return Err("webhook-unset");
        };
        let body = news::body(alert, &self.settings.installation);
        let signature = news::signature(&webhook.secret, self.ports.clock.now(), &body);
        let request = PlatformRequest::post(&webhook.url, "application/json", body)
            .header("labwire-signature", signature)
            .header("labwire-alert", news::id(alert));
        let answer = self.ports.platform.send(&request).await.map_err(|e| e.code())?;
        if (200..300).contains(&answer.status) {
            Ok(())
        } else {
            Err("webhook-refused")
        }
    }

    async fn mail(&self, alert: &Alert) -> Result<(), &'static str> {
        let message = news::mail(alert, &self.settings);
        self.ports.mail.send(&message).await.map_err(|e| e.code())
    }
}
