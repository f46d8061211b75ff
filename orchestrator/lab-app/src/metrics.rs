//! What is counted. Labels come from closed sets only; never an id, never a person.

use crate::recording::Lags;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// Everything `lab-app` observes, registered once per process.
#[derive(Clone)]
pub struct Metrics {
    /// Click to first prompt, seconds.
    pub click_to_prompt_seconds: Histogram,
    /// Sessions by state name. Of the process that reconciles; the others have none.
    pub sessions: IntGaugeVec,
    /// Pool sandboxes by lab (of the settings: a closed set) and state. Of the process that keeps the pools; 0 in the others.
    pub pool_sandboxes: IntGaugeVec,
    /// Pool sandboxes removed without having served, by reason.
    pub pool_drained_total: IntCounterVec,
    /// New sessions of labs that have a pool: `warm`, or `cold` when the pool had none ready.
    pub pool_claims_total: IntCounterVec,
    /// Codes that learners typed, by what came of them: `redeemed`, `again`, or why not.
    pub vouchers_total: IntCounterVec,
    /// Sessions that wait for their turn. Of the process that reconciles; 0 in the others.
    pub queue_sessions: IntGauge,
    /// Click to turn, seconds, of every session that was not served from a pool.
    pub queue_wait_seconds: Histogram,
    /// 1 while new launches are refused. Of every process, as it is told when it asks (each scrape does); the last word while the
    /// store does not answer.
    pub launches_paused: IntGauge,
    /// Attached terminals by role.
    pub terminals_attached: IntGaugeVec,
    /// Journal bytes taken from agents and not yet durable.
    pub recorder_lag_bytes: IntGauge,
    /// The same by recorder, for the operations page: sessions are no label of a metric.
    pub recorder_lags: Lags,
    /// Journal bytes made durable.
    pub recording_bytes_total: IntCounter,
    /// Output bytes sent to browsers.
    pub terminal_output_bytes_total: IntCounter,
    /// Times a viewer was resynchronised by a snapshot.
    pub viewer_resyncs_total: IntCounter,
    /// Journal bytes lost to a recording (a sandbox that went, a disk that was full).
    pub recording_lost_bytes_total: IntCounter,
    /// Uploads that were not what was sent, and lie in quarantine.
    pub recording_quarantined_total: IntCounter,
    /// Seconds in open holds. Of the process that meters; 0 in the others.
    pub ledger_held_seconds: IntGauge,
    /// Rows and recordings removed because they had had their time, by class.
    pub retention_removed_total: IntCounterVec,
    /// What had had its time and was still there when the sweep ended, by class: more than 0 for long means that it fails. Of the
    /// process that sweeps.
    pub retention_due: IntGaugeVec,
    /// Errors by code.
    pub errors_total: IntCounterVec,
    /// Reconcile runs by outcome code.
    pub reconcile_total: IntCounterVec,
}

impl Metrics {
    /// Makes and registers them; fails only when one is registered twice.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let c = IntCounter::new(name, help)?;
            registry.register(Box::new(c.clone()))?;
            Ok(c)
        };
        let counters = |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
            let c = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(c.clone()))?;
            Ok(c)
        };
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let g = IntGauge::new(name, help)?;
            registry.register(Box::new(g.clone()))?;
            Ok(g)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| -> Result<IntGaugeVec, prometheus::Error> {
            let g = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(g.clone()))?;
            Ok(g)
        };
        let click_to_prompt_seconds = Histogram::with_opts(
            // 0.25 s is a warm pool, 2.5 s the promise for a cold container, 60 s the default ready_within
            HistogramOpts::new(
                "labwire_click_to_prompt_seconds",
                "From the click to the first usable prompt",
            )
            .buckets(vec![0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 4.0, 8.0, 15.0, 30.0, 60.0]),
        )?;
        registry.register(Box::new(click_to_prompt_seconds.clone()))?;
        let queue_wait_seconds = Histogram::with_opts(
            // the first is no wait at all; an hour is the longest lab
            HistogramOpts::new("labwire_queue_wait_seconds", "From the click to the session's turn")
                .buckets(vec![1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0, 3600.0]),
        )?;
        registry.register(Box::new(queue_wait_seconds.clone()))?;
        Ok(Self {
            click_to_prompt_seconds,
            sessions: gauges("labwire_sessions", "Sessions that are not over, by state", &["state"])?,
            pool_sandboxes: gauges(
                "labwire_pool_sandboxes",
                "Sandboxes of warm pools, by lab and state",
                &["lab", "state"],
            )?,
            pool_drained_total: counters(
                "labwire_pool_drained_total",
                "Pool sandboxes removed unused, by reason",
                &["reason"],
            )?,
            pool_claims_total: counters(
                "labwire_pool_claims_total",
                "New sessions of labs with a pool, served warm or cold",
                &["outcome"],
            )?,
            vouchers_total: counters(
                "labwire_vouchers_total",
                "Voucher codes typed, by what came of them",
                &["outcome"],
            )?,
            queue_sessions: gauge("labwire_queue_sessions", "Sessions that wait for their turn")?,
            queue_wait_seconds,
            launches_paused: gauge("labwire_launches_paused", "Whether new launches are refused, 0 or 1")?,
            terminals_attached: gauges("labwire_terminals_attached", "Attached terminals, by role", &["role"])?,
            recorder_lag_bytes: gauge("labwire_recorder_lag_bytes", "Journal bytes not yet durable")?,
            recorder_lags: Lags::default(),
            recording_bytes_total: counter("labwire_recording_bytes_total", "Journal bytes made durable")?,
            terminal_output_bytes_total: counter(
                "labwire_terminal_output_bytes_total",
                "Output bytes sent to browsers",
            )?,
            viewer_resyncs_total: counter("labwire_viewer_resyncs_total", "Viewers resynchronised by a snapshot")?,
            recording_lost_bytes_total: counter(
                "labwire_recording_lost_bytes_total",
                "Journal bytes a recording lost",
            )?,
            recording_quarantined_total: counter(
                "labwire_recording_quarantined_total",
                "Uploads that were not what was sent, and were moved aside",
            )?,
            ledger_held_seconds: gauge("labwire_ledger_held_seconds", "Seconds in open holds")?,
            retention_removed_total: counters(
                "labwire_retention_removed_total",
                "Removed because it had had its time, by class",
                &["class"],
            )?,
            retention_due: gauges(
                "labwire_retention_due",
                "What had had its time and was still there after the sweep, by class",
                &["class"],
            )?,
            errors_total: counters("labwire_errors_total", "Errors by code", &["code"])?,
            reconcile_total: counters("labwire_reconcile_total", "Reconcile runs by outcome", &["outcome"])?,
        })
    }
}
