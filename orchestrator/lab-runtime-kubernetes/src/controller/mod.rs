//! The controller: makes a pod, its secrets and its network policy of each `LabSandbox`, and says in the object's status what became of them.
//!
//! ```text
//!  election ──leads──► driver ──► world, queue ──► reconcile: validate ► build (pure) ► apply ► status ► events
//!     │ moves                                                                  │
//!     └──────────► fence ◄──asks── transport: every request of the controller ◄┘
//! ```
//! Any number may run; one leads. Nothing is kept outside the cluster, so whoever leads next goes on from what is there.
//!
//! What its service account needs in the namespace, and why:
//! | resource | verbs | why |
//! |---|---|---|
//! | `labsandboxes` (labwire.dev) | list, watch, patch | see them; the finalizer |
//! | `labsandboxes/status` | patch | the status |
//! | `labsandboxes/finalizers` | update | owner references that block a deletion, where the cluster enforces them |
//! | `pods` | get, list, watch, create, patch, delete | make, follow and remove them (an apply creates by `patch`, and needs `create` too) |
//! | `secrets` | get, create, patch | keys of an agent: made once, read again after a crash between the two |
//! | `networkpolicies` (networking.k8s.io) | list, watch, create, patch | make them, and again when somebody removes one |
//! | `events` (events.k8s.io) | create | `kubectl describe` |
//! | `leases` (coordination.k8s.io) | get, create, update | who leads |

mod apply;
mod build;
mod driver;
mod election;
mod error;
mod events;
mod fence;
mod keys;
mod listener;
mod metrics;
mod pod_view;
mod queue;
mod reconcile;
#[cfg(test)]
mod samples;
mod settings;
mod status;
#[cfg(test)]
mod tests;
mod transport;
mod validate;
mod world;

pub use error::{ControllerError, NotLeader};
pub use listener::{Health, serve as serve_operations};
pub use settings::{AGENT_IN_IMAGE, ControllerSettings, LeaseTimes, Seccomp, ServePods, Toleration};
pub use transport::cluster_client;

use apply::Writer;
use driver::Driver;
use election::{Election, Held};
use fence::Fence;
use kube::Client;
use metrics::Metrics;
use prometheus::Registry;
use reconcile::Context;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Makes sandboxes, while it leads.
pub struct Controller {
    /// Everything but the lease passes the fence.
    client: Client,
    fence: Fence,
    context: Context,
    health: Health,
}

impl Controller {
    /// Checks the settings. The cluster is not asked yet.
    ///
    /// # Errors
    /// A setting that cannot work, with the reason.
    pub fn new(client: Client, settings: ControllerSettings, registry: &Registry) -> Result<Self, ControllerError> {
        check(&settings)?;
        let metrics = Metrics::register(registry).map_err(|e| ControllerError::Settings(e.to_string()))?;
        let (metrics, fence) = (Arc::new(metrics), Fence::default());
        let client = transport::guarded(client, fence.clone(), settings.lease.write, Arc::clone(&metrics));
        let writer = Writer::new(&client, &settings);
        Ok(Self {
            client,
            fence,
            context: Context {
                settings,
                writer,
                metrics,
            },
            health: Health::new(),
        })
    }

    /// For the probes.
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// Leads whenever it can, until `stop`. Ends within seconds then: looks under way end, and the lease is given back.
    pub async fn run(&self, stop: CancellationToken) {
        let settings = &self.context.settings;
        let mut election = Election::new(&self.client, settings, self.fence.clone());
        while !stop.is_cancelled() {
            match election.try_take().await {
                Ok(Some(held)) => {
                    self.health.heard();
                    self.lead(&election, held, &stop).await;
                    continue;
                }
                Ok(None) => self.health.heard(),
                Err(error) => tracing::warn!(code = error.code(), %error, "the lease cannot be asked for"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(settings.lease.renew) => {}
            }
        }
    }

    /// One term.
    async fn lead(&self, election: &Election, mut held: Held, stop: &CancellationToken) {
        let (identity, transitions) = (&self.context.settings.identity, held.transitions());
        tracing::info!(identity, transitions, "leads");
        self.context.metrics.leads(true);
        // the looks under way are ended, not cut, when we are asked to stop: so the lease outlives the driver
        let ended = CancellationToken::new();
        let drive = async {
            let synced = || tracing::info!("knows every sandbox");
            Driver::new(&self.context).run(&self.client, &ended, synced).await;
        };
        let stopped = async {
            tokio::select! {
                () = stop.cancelled() => ended.cancel(),
                () = ended.cancelled() => {}
            }
        };
        let drive = async { tokio::join!(drive, stopped) };
        let lost = tokio::select! {
            biased;
            lost = election.keep(&mut held, || self.health.heard()) => Some(lost),
            _ = drive => None,
        };
        self.context.metrics.leads(false);
        if let Some(lost) = lost {
            tracing::warn!(?lost, "leads no more; looks under way are cut off");
        } else {
            election.give_back(held).await;
            tracing::info!("asked to stop: the lease is given back");
        }
    }
}

/// What no cluster would take, and what would be unsafe.
fn check(settings: &ControllerSettings) -> Result<(), ControllerError> {
    let refuse = |what: &str, found: &str, remedy: &str| {
        Err(ControllerError::Settings(format!("{what} is {found:?}; {remedy}")))
    };
    if !validate::label_value(&settings.installation) {
        return refuse(
            "installation",
            &settings.installation,
            "begin and end it with a letter or digit",
        );
    }
    if settings.namespace.is_empty() {
        return refuse("controller.namespace", "", "name the sandboxes' namespace");
    }
    if settings.image.is_empty() {
        return refuse("controller.image", "", "name Labwire's own image: it carries the agent");
    }
    let LeaseTimes { duration, renew, write } = settings.lease;
    // two renewals may fail before writes pause
    if write + 2 * renew >= duration {
        let found = format!("{duration:?}, renewed every {renew:?}, writes of {write:?}");
        return refuse("the lease", &found, "let it last longer than two renewals and a write");
    }
    Ok(())
}
