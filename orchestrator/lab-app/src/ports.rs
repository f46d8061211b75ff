//! What `lab-app` is given.

use lab_core::{
    port::{Blobs, Clock, Entropy, Mail, Platform, Runtime, Store},
    privacy::Notice,
    provisioning::PoolSettings,
};
use std::{sync::Arc, time::Duration};

/// The outside, behind its ports. Cheap to clone.
#[derive(Clone)]
pub struct Ports {
    pub store: Arc<dyn Store>,
    pub runtime: Arc<dyn Runtime>,
    pub blobs: Arc<dyn Blobs>,
    pub platform: Arc<dyn Platform>,
    pub mail: Arc<dyn Mail>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
}

/// What an installation decides.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Audience of launch links; also the label of sandboxes.
    pub installation: String,
    /// How browsers reach us, without a slash at the end: launch addresses of learning platforms begin with it.
    pub public_url: String,
    /// Hosts of learning platforms that are in a private network, and may be without TLS.
    pub private_hosts: Vec<String>,
    /// Where staff sign in, where they do.
    pub staff: Option<crate::launch::staff::StaffSettings>,
    /// This process, as a lease holder; unique per start.
    pub holder: String,
    /// Sandboxes at once; further sessions queue.
    pub sandboxes_max: usize,
    /// Sandboxes kept warm, by lab; each lab once.
    pub pools: Vec<PoolSettings>,
    /// How long a bearer is valid.
    pub bearer_ttl: Duration,
    /// A login of staff ends so long after its sign-in, however busy it is.
    pub staff_login_max: Duration,
    /// A best-effort recording that fails is given up with so much journal that only the agent has; see
    /// [`crate::recording::GIVE_UP_BYTES`].
    pub give_up_bytes: u64,
    /// Journal of a session that is recorded; see [`lab_core::limits::RECORDING_BYTES_MAX`].
    pub recording_bytes_max: u64,
    /// The reconciler looks at everything this often, whatever it was told.
    pub reconcile_every: Duration,
    /// A lab whose learner has no time left stands still for so long, and is stopped then; zero: it is stopped at once. All of a
    /// session's standing still lasts at most [`crate::metering::FREEZES_MAX`] times as long.
    pub freeze_grace: Duration,
    /// Who is told when time runs low.
    pub alerts: crate::metering::AlertSettings,
    /// What learners are told, and how long what is kept.
    pub notice: Notice,
    /// What has had its time is looked for this often.
    pub retention_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            installation: "labwire".into(),
            public_url: "http://localhost:8080".into(),
            private_hosts: Vec::new(),
            staff: None,
            holder: "labwire".into(),
            sandboxes_max: 40,
            pools: Vec::new(),
            give_up_bytes: crate::recording::GIVE_UP_BYTES,
            recording_bytes_max: lab_core::limits::RECORDING_BYTES_MAX,
            bearer_ttl: Duration::from_secs(15 * 60),
            staff_login_max: crate::launch::STAFF_LOGIN_MAX,
            reconcile_every: Duration::from_secs(2),
            freeze_grace: crate::metering::FREEZE_GRACE,
            alerts: crate::metering::AlertSettings::default(),
            notice: Notice::default(),
            retention_every: crate::privacy::SWEEP_EVERY,
        }
    }
}
