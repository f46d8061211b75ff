//! One controller at a time: a Lease that is renewed while its holder lives.
//!
//! ```text
//!          ┌────────── look every `renew` ◄─────────┐
//!          ▼                                        │
//!  nobody, or unchanged for `duration` ──► take ──► hold: renew every `renew` ──► lost ─┘
//!                                                    └── stop ──► give back: the next one takes it at once
//! ```
//! `fence.rs` has the arithmetic.

use super::{
    error::ControllerError,
    fence::Fence,
    settings::{ControllerSettings, LeaseTimes},
};
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use std::time::Duration;
use tokio::time::Instant;

/// Takes and keeps the lease.
pub(crate) struct Election {
    leases: Api<Lease>,
    name: String,
    identity: String,
    times: LeaseTimes,
    fence: Fence,
    /// What was last seen of somebody else's lease, and when it last changed.
    seen: Option<(Option<LeaseSpec>, Instant)>,
}

/// Who holds a lease, and the how-manieth holder that is: the same identity that lost it meanwhile has another number.
fn term(lease: &Lease) -> Option<(&str, i32)> {
    let spec = lease.spec.as_ref()?;
    Some((spec.holder_identity.as_deref()?, spec.lease_transitions?))
}

impl Held {
    /// How many held it before.
    pub fn transitions(&self) -> i32 {
        term(&self.lease).map_or(0, |t| t.1)
    }
}

/// The lease as we hold it.
pub(crate) struct Held {
    lease: Lease,
    /// Before the last renewal was sent.
    since: Instant,
}

/// How holding it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Somebody else holds it.
    Taken,
    /// It could not be renewed in time.
    Expired,
}

impl Election {
    pub fn new(client: &Client, settings: &ControllerSettings, fence: Fence) -> Self {
        Self {
            leases: Api::namespaced(client.clone(), &settings.namespace),
            name: settings.lease_name(),
            identity: settings.identity.clone(),
            times: settings.lease,
            fence,
            seen: None,
        }
    }

    /// One try to take it: ours, or somebody else's still.
    pub async fn try_take(&mut self) -> Result<Option<Held>, ControllerError> {
        let since = Instant::now();
        let found = self.leases.get_opt(&self.name).await?;
        let spec = found.as_ref().and_then(|l| l.spec.clone());
        let holder = spec
            .as_ref()
            .and_then(|s| s.holder_identity.clone())
            .filter(|h| !h.is_empty());
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != spec) {
            self.seen = Some((spec.clone(), since));
        }
        let quiet = self.seen.as_ref().map_or(Duration::ZERO, |(_, at)| at.elapsed());
        // the holder's own word counts when it promised more than we would
        let promised = spec.as_ref().and_then(|s| s.lease_duration_seconds).unwrap_or(0);
        let duration = self
            .times
            .duration
            .max(Duration::from_secs(u64::try_from(promised).unwrap_or(0)));
        if holder.as_ref().is_some_and(|h| *h != self.identity) && quiet < duration {
            return Ok(None);
        }
        let transitions = spec.as_ref().and_then(|s| s.lease_transitions).unwrap_or(0) + i32::from(found.is_some());
        let wanted = self.lease(found, transitions, Timestamp::now());
        let taken = if wanted.metadata.resource_version.is_some() {
            self.leases.replace(&self.name, &PostParams::default(), &wanted).await
        } else {
            self.leases.create(&PostParams::default(), &wanted).await
        };
        match taken.map_err(ControllerError::from) {
            Ok(lease) => {
                self.open(since);
                Ok(Some(Held { lease, since }))
            }
            // somebody was quicker
            Err(ControllerError::Conflict { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn lease(&self, found: Option<Lease>, transitions: i32, now: Timestamp) -> Lease {
        let metadata = found.map_or_else(
            || ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            |l| ObjectMeta {
                // what we do not send back is not ours to change
                managed_fields: None,
                ..l.metadata
            },
        );
        Lease {
            metadata,
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: Some(i32::try_from(self.times.duration.as_secs().max(1)).unwrap_or(i32::MAX)),
                lease_transitions: Some(transitions),
                acquire_time: Some(MicroTime(now)),
                renew_time: Some(MicroTime(now)),
                ..LeaseSpec::default()
            }),
        }
    }

    fn open(&self, since: Instant) {
        self.fence
            .open(since + self.times.duration.saturating_sub(self.times.write));
    }

    /// Renews until that is not possible any more; then the fence is closed. `renewed` is called after each renewal.
    pub async fn keep(&self, held: &mut Held, renewed: impl Fn()) -> Lost {
        let lost = loop {
            tokio::time::sleep(self.times.renew).await;
            match self.renew(held).await {
                Ok(true) => renewed(),
                Ok(false) => break Lost::Taken,
                Err(error) => tracing::warn!(code = error.code(), %error, "the lease was not renewed"),
            }
            if held.since.elapsed() >= self.times.duration {
                break Lost::Expired;
            }
        };
        self.fence.close();
        lost
    }

    /// Whether it is still ours.
    async fn renew(&self, held: &mut Held) -> Result<bool, ControllerError> {
        let since = Instant::now();
        let mut wanted = held.lease.clone();
        wanted.metadata.managed_fields = None;
        if let Some(spec) = &mut wanted.spec {
            spec.renew_time = Some(MicroTime(Timestamp::now()));
        }
        match self
            .leases
            .replace(&self.name, &PostParams::default(), &wanted)
            .await
            .map_err(ControllerError::from)
        {
            Ok(lease) => {
                self.open(since);
                *held = Held { lease, since };
                Ok(true)
            }
            Err(ControllerError::Conflict { .. } | ControllerError::NotFound { .. }) => {
                // somebody took it, or a renewal whose answer was lost was carried out after all
                let now = self.leases.get_opt(&self.name).await?;
                match now.filter(|lease| term(lease) == term(&held.lease)) {
                    Some(lease) => {
                        held.lease = lease;
                        Ok(true)
                    }
                    None => Ok(false),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Gives it back, so that nobody has to wait for it to run out.
    pub async fn give_back(&self, held: Held) {
        self.fence.close();
        let mut lease = held.lease;
        lease.metadata.managed_fields = None;
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = Some(String::new());
        }
        if let Err(error) = self.leases.replace(&self.name, &PostParams::default(), &lease).await {
            tracing::info!(%error, "the lease was not given back; it runs out by itself");
        }
    }
}
