//! What operations see of the controller. Labels are from closed sets: never a session, a sandbox or a lab.

use super::error::ControllerError;
use crate::api::Phase;
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    register_histogram_with_registry, register_int_counter_vec_with_registry, register_int_counter_with_registry,
    register_int_gauge_vec_with_registry, register_int_gauge_with_registry,
};
use std::time::Duration;

/// From a pod on a node that has the image (1 s) to one that waits for a node to be bought (5 min).
const READY_BUCKETS: [f64; 11] = [1.0, 2.0, 3.0, 4.0, 6.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0];
/// Six requests of 5 ms to six of the longest that is let in.
const RECONCILE_BUCKETS: [f64; 8] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

/// The controller's metrics.
pub(crate) struct Metrics {
    reconciles: IntCounter,
    errors: IntCounterVec,
    reconcile_seconds: Histogram,
    sandboxes: IntGaugeVec,
    queue: IntGauge,
    waiting: IntGauge,
    ready_seconds: Histogram,
    requests: IntCounterVec,
    watch_errors: IntCounterVec,
    leader: IntGauge,
}

impl Metrics {
    /// Registers all of them.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let name = |n: &str| format!("labwire_controller_{n}");
        let counters = |n: &str, help: &str, labels: &[&str]| {
            register_int_counter_vec_with_registry!(Opts::new(name(n), help), labels, registry)
        };
        let gauge = |n: &str, help: &str| register_int_gauge_with_registry!(Opts::new(name(n), help), registry);
        let histogram = |n: &str, help: &str, buckets: &[f64]| {
            register_histogram_with_registry!(HistogramOpts::new(name(n), help).buckets(buckets.to_vec()), registry)
        };
        let reconciles = Opts::new(name("reconciles_total"), "Objects looked at");
        let sandboxes = Opts::new(name("sandboxes"), "Sandboxes by phase");
        let metrics = Self {
            reconciles: register_int_counter_with_registry!(reconciles, registry)?,
            errors: counters("reconcile_errors_total", "Reconciles that failed, by code", &["code"])?,
            reconcile_seconds: histogram("reconcile_seconds", "How long a reconcile took", &RECONCILE_BUCKETS)?,
            sandboxes: register_int_gauge_vec_with_registry!(sandboxes, &["phase"], registry)?,
            queue: gauge("queue_depth", "Objects that wait to be looked at now")?,
            waiting: gauge(
                "queue_delayed",
                "Objects that wait for a time, after a failure or for a deadline",
            )?,
            ready_seconds: histogram(
                "sandbox_ready_seconds",
                "From a sandbox's creation to its running agent",
                &READY_BUCKETS,
            )?,
            requests: counters(
                "api_requests_total",
                "Requests to the API server; code 0: no answer",
                &["verb", "resource", "code"],
            )?,
            watch_errors: counters(
                "watch_errors_total",
                "Watches that broke and were begun again",
                &["resource"],
            )?,
            leader: gauge("leader", "1 while this process leads")?,
        };
        // a series that appears only with its first event is missing in every alert until then
        for phase in Phase::ALL {
            metrics.sandboxes.with_label_values(&[phase.name()]).set(0);
        }
        Ok(metrics)
    }

    pub fn request(&self, verb: &str, resource: &str, code: u16) {
        let code = code.to_string();
        self.requests.with_label_values(&[verb, resource, &code]).inc();
    }

    pub fn reconciled(&self, took: Duration, error: Option<&ControllerError>) {
        self.reconciles.inc();
        self.reconcile_seconds.observe(took.as_secs_f64());
        if let Some(error) = error {
            self.errors.with_label_values(&[error.code()]).inc();
        }
    }

    pub fn watch_broke(&self, resource: &str) {
        self.watch_errors.with_label_values(&[resource]).inc();
    }

    pub fn ready(&self, seconds: i64) {
        self.ready_seconds.observe(seconds as f64);
    }

    pub fn queue(&self, now: usize, later: usize) {
        self.queue.set(now as i64);
        self.waiting.set(later as i64);
    }

    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// How many sandboxes are in each phase, in [`Phase::ALL`]'s order.
    pub fn phases(&self, counts: [usize; Phase::ALL.len()]) {
        for (phase, count) in Phase::ALL.into_iter().zip(counts) {
            self.sandboxes.with_label_values(&[phase.name()]).set(count as i64);
        }
    }
}
