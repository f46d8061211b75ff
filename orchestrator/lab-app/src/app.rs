//! Everything wired together: what `lab-http` and `labwire` call.
//!
//! The calls themselves stand with their stage ([`crate::launch`], [`crate::entitlement`], [`crate::provisioning`],
//! [`crate::metering`]); here are construction, the background tasks, and what belongs to no single stage.

use crate::{
    AppError, Metrics, Ports, Settings,
    entitlement::Looked,
    grading::Outbox,
    launch::{
        Keyring,
        lti::{LaunchedAt, PlatformKeys, Tokens},
        mint,
        sockets::Sockets,
        staff::Provider,
    },
    live::Wall,
    metering::{Accounts, Meter},
    operations::Operations,
    pace::{Network, Pace},
    privacy::Retention,
    provisioning::{Pools, Reconciler},
    recording::Recordings,
    tasks::{Background, TaskDied},
    terminal::Hubs,
};
use lab_core::{
    OrderKeyId, Timestamp,
    entitlement::ORDERS_A_MINUTE,
    launch::{
        lti::{LAUNCHES_A_MINUTE, REGISTRATIONS_A_MINUTE},
        staff::SIGN_INS_A_MINUTE,
    },
    port::ErrorKind,
};
use std::sync::Arc;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The application. One per process.
pub struct App {
    pub(crate) ports: Ports,
    pub(crate) settings: Settings,
    pub(crate) keyring: Keyring,
    /// Public keys of learning platforms.
    pub(crate) platform_keys: PlatformKeys,
    /// … and tokens for their lists of people; the outbox has its own.
    pub(crate) platform_tokens: Tokens,
    /// When launches of each registration were last taken.
    pub(crate) launched_at: LaunchedAt,
    /// Where staff sign in, as it was last read.
    pub(crate) provider: Provider,
    pub(crate) metrics: Metrics,
    pub(crate) hubs: Arc<Hubs>,
    recordings: Recordings,
    /// Replays that are written down.
    pub(crate) looked: Looked,
    pub(crate) wall: Arc<Wall>,
    pub(crate) operations: Operations,
    /// Requests of each shop's key.
    pub(crate) order_pace: Pace<OrderKeyId>,
    /// Sign-ins of staff that are begun from each address.
    pub(crate) staff_pace: Pace<Network>,
    /// Launches by LTI that are begun from each address.
    pub(crate) launch_pace: Pace<Network>,
    /// Platforms that register themselves, by the address of their administrator.
    pub(crate) registration_pace: Pace<Network>,
    /// WebSockets of each person.
    pub(crate) sockets: Arc<Sockets>,
    /// Woken when intent changed: the reconciler looks at once instead of at its next turn.
    pub(crate) intent: Arc<Notify>,
    /// Monotonic time of [`App::new`], for the uptime.
    pub(crate) started_us: u64,
}

impl App {
    /// Wires the parts; starts nothing.
    pub fn new(ports: Ports, settings: Settings, keyring: Keyring, metrics: Metrics) -> Arc<Self> {
        let hubs = Hubs::new(ports.clone(), settings.clone(), metrics.clone());
        let started_us = ports.clock.monotonic_us();
        Arc::new(Self {
            recordings: Recordings::new(ports.clone()),
            looked: Looked::default(),
            wall: Wall::new(ports.clone(), Arc::clone(&hubs)),
            operations: Operations::default(),
            order_pace: Pace::of_known(ORDERS_A_MINUTE),
            staff_pace: Pace::of_addresses(SIGN_INS_A_MINUTE),
            launch_pace: Pace::of_addresses(LAUNCHES_A_MINUTE),
            registration_pace: Pace::of_addresses(REGISTRATIONS_A_MINUTE),
            sockets: Arc::default(),
            intent: Arc::new(Notify::new()),
            hubs,
            ports,
            settings,
            keyring,
            platform_keys: PlatformKeys::default(),
            platform_tokens: Tokens::default(),
            launched_at: LaunchedAt::default(),
            provider: Provider::default(),
            metrics,
            started_us,
        })
    }

    /// Runs the background tasks until `cancel`, then ends them in order, each with a deadline.
    ///
    /// # Errors
    /// [`TaskDied`] at once when one of them ends or panics by itself: a process that lost its reconciler or meter must not go
    /// on as if nothing had happened; its supervisor starts it again, and shells do not notice.
    pub async fn run(&self, cancel: CancellationToken) -> Result<(), TaskDied> {
        let reconciler = Reconciler::new(
            self.ports.clone(),
            self.settings.clone(),
            self.metrics.clone(),
            Arc::clone(&self.hubs),
            Arc::clone(&self.intent),
        );
        let meter = Meter::new(
            self.ports.clone(),
            self.settings.clone(),
            self.metrics.clone(),
            Arc::clone(&self.hubs),
            Arc::clone(&self.intent),
        );
        let mut background = Background::new(&cancel);
        background.start("reconciler", |stop| reconciler.run(stop));
        background.start("meter", |stop| meter.run(stop));
        let pools = Pools::new(self.ports.clone(), self.settings.clone(), self.metrics.clone());
        background.start("pools", |stop| pools.run(stop));
        let outbox = Outbox::new(self.ports.clone(), self.settings.clone(), self.metrics.clone());
        background.start("outbox", |stop| outbox.run(stop));
        let accounts = Accounts::new(self.ports.clone(), self.settings.clone(), self.metrics.clone());
        background.start("accounts", |stop| accounts.run(stop));
        let (hints, intent) = (self.ports.store.hints(), Arc::clone(&self.intent));
        background.start("hints", |stop| crate::tasks::listen(hints, intent, stop));
        let (ports, metrics, holder) = (self.ports.clone(), self.metrics.clone(), self.settings.holder.clone());
        background.start("sweeper", |stop| crate::tasks::sweep(ports, metrics, holder, stop));
        let retention = Retention::new(
            self.ports.clone(),
            self.settings.notice.retention.clone(),
            self.settings.holder.clone(),
            self.metrics.clone(),
        );
        let every = self.settings.retention_every;
        background.start("retention", |stop| retention.run(every, stop));
        let died = background.until_cancelled().await;
        // browsers are told at once, while the others finish what they are at: the door waits for the goodbye two seconds only
        let hubs = crate::tasks::within("hubs", crate::tasks::HUBS_SHUTDOWN_MAX, self.hubs.shutdown());
        let (ended, ()) = tokio::join!(background.end(), hubs);
        died.and(ended)
    }

    /// One hub per running session.
    pub fn hubs(&self) -> &Arc<Hubs> {
        &self.hubs
    }

    /// Finished and growing recordings. Authorise with [`App::replay_open`] first.
    pub fn recordings(&self) -> &Recordings {
        &self.recordings
    }

    /// The teacher's cards.
    pub fn wall(&self) -> &Arc<Wall> {
        &self.wall
    }

    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// A new version 7 id, from the ports' clock and entropy.
    pub fn fresh_uuid(&self) -> uuid::Uuid {
        mint::uuid7(self.ports.clock.as_ref(), self.ports.entropy.as_ref())
    }
}

impl AppError {
    /// The role may not do this.
    pub(crate) fn not_allowed(message: &str) -> Self {
        Self::refused(ErrorKind::Denied, "not-allowed", message)
    }
}
