//! What is counted. Labels come from closed sets only; never an id, never a person.

use crate::recording::Lags;
use lab_core::metering::AlertChannel;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// Codes that an alert of the chart asks for. They are told as 0 from the start: Prometheus sees no increase in a series that begins with
/// its first error, and the first may be the only one.
const CODES_ASKED_FOR: [&str; 9] = [
    "bug",
    "lease-fenced",
    "ledger-drift",
    "store-corrupt",
    "blobs-corrupt",
    "journal-corrupt",
    "runtime-unavailable",
    "blobs-unavailable",
    "blobs-full",
];

/// What becomes of a try to send an alert, told from the start for the same reason.
const DELIVERIES: [(AlertChannel, &[&str]); 2] = [
    (
        AlertChannel::Webhook,
        &["sent", "webhook-refused", "platform-unavailable", "platform-private"],
    ),
    (AlertChannel::Mail, &["sent", "mail-refused", "mail-unavailable"]),
];

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
    /// New sessions of labs that have a pool, of the settings or of a class that is open: `warm`, or `cold` when it had none ready.
    pub pool_claims_total: IntCounterVec,
    /// Codes that learners typed, by what came of them: `redeemed`, `again`, or why not.
    pub vouchers_total: IntCounterVec,
    /// Orders of shops, by what came of them: `placed`, `again`, or why not.
    pub orders_total: IntCounterVec,
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
    /// Seconds in holds, by the ledger's own sums: also those that no session has any more. Of the process that meters; 0 in the others.
    pub ledger_held_seconds: IntGauge,
    /// Grades to be sent, and those that were refused or given up. Of the process that works the outbox; 0 in the others.
    pub grades_pending: IntGauge,
    /// See [`Metrics::grades_pending`].
    pub grades_failed: IntGauge,
    /// Tries to send a grade, by what came of them: `sent`, or why not.
    pub grades_total: IntCounterVec,
    /// Seconds that the last reconciliation could not account for; anything but 0 is an alarm. Of the process that reconciles.
    pub ledger_unaccounted_seconds: IntGauge,
    /// Alerts raised, by what they are of.
    pub alerts_total: IntCounterVec,
    /// Tries to send an alert, by channel and outcome (`sent`, or why not).
    pub alert_deliveries_total: IntCounterVec,
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
        let metrics = Self::named(&New(registry))?;
        metrics.begin();
        Ok(metrics)
    }

    fn named(new: &New<'_>) -> Result<Self, prometheus::Error> {
        // 0.25 s is a warm pool, 2.5 s the promise for a cold container, 60 s the default ready_within
        let click_buckets = vec![0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 4.0, 8.0, 15.0, 30.0, 60.0];
        // the first is no wait at all; an hour is the longest lab
        let queue_buckets = vec![1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0, 3600.0];
        Ok(Self {
            click_to_prompt_seconds: new.histogram(
                "labwire_click_to_prompt_seconds",
                "From the click to the first usable prompt",
                click_buckets,
            )?,
            sessions: new.gauges("labwire_sessions", "Sessions that are not over, by state", &["state"])?,
            pool_sandboxes: new.gauges(
                "labwire_pool_sandboxes",
                "Sandboxes of warm pools, by lab and state",
                &["lab", "state"],
            )?,
            pool_drained_total: new.counters(
                "labwire_pool_drained_total",
                "Pool sandboxes removed unused, by reason",
                &["reason"],
            )?,
            pool_claims_total: new.counters(
                "labwire_pool_claims_total",
                "New sessions of labs with a pool, served warm or cold",
                &["outcome"],
            )?,
            vouchers_total: new.counters(
                "labwire_vouchers_total",
                "Voucher codes typed, by what came of them",
                &["outcome"],
            )?,
            orders_total: new.counters(
                "labwire_orders_total",
                "Orders of shops, by what came of them",
                &["outcome"],
            )?,
            queue_sessions: new.gauge("labwire_queue_sessions", "Sessions that wait for their turn")?,
            queue_wait_seconds: new.histogram(
                "labwire_queue_wait_seconds",
                "From the click to the session's turn",
                queue_buckets,
            )?,
            launches_paused: new.gauge("labwire_launches_paused", "Whether new launches are refused, 0 or 1")?,
            terminals_attached: new.gauges("labwire_terminals_attached", "Attached terminals, by role", &["role"])?,
            recorder_lag_bytes: new.gauge("labwire_recorder_lag_bytes", "Journal bytes not yet durable")?,
            recorder_lags: Lags::default(),
            recording_bytes_total: new.counter("labwire_recording_bytes_total", "Journal bytes made durable")?,
            terminal_output_bytes_total: new
                .counter("labwire_terminal_output_bytes_total", "Output bytes sent to browsers")?,
            viewer_resyncs_total: new
                .counter("labwire_viewer_resyncs_total", "Viewers resynchronised by a snapshot")?,
            recording_lost_bytes_total: new
                .counter("labwire_recording_lost_bytes_total", "Journal bytes a recording lost")?,
            recording_quarantined_total: new.counter(
                "labwire_recording_quarantined_total",
                "Uploads that were not what was sent, and were moved aside",
            )?,
            ledger_held_seconds: new.gauge("labwire_ledger_held_seconds", "Seconds in holds, by the ledger")?,
            grades_pending: new.gauge("labwire_grades_pending", "Grades that wait to be sent to a course")?,
            grades_failed: new.gauge(
                "labwire_grades_failed",
                "Grades that a platform refused, or that were given up",
            )?,
            grades_total: new.counters(
                "labwire_grades_total",
                "Tries to send a grade, by what came of them",
                &["code"],
            )?,
            ledger_unaccounted_seconds: new.gauge(
                "labwire_ledger_unaccounted_seconds",
                "Seconds that the last reconciliation could not account for",
            )?,
            alerts_total: new.counters("labwire_alerts_total", "Alerts raised, by what they are of", &["of"])?,
            alert_deliveries_total: new.counters(
                "labwire_alert_deliveries_total",
                "Tries to send an alert, by channel and outcome",
                &["channel", "outcome"],
            )?,
            retention_removed_total: new.counters(
                "labwire_retention_removed_total",
                "Removed because it had had its time, by class",
                &["class"],
            )?,
            retention_due: new.gauges(
                "labwire_retention_due",
                "What had had its time and was still there after the sweep, by class",
                &["class"],
            )?,
            errors_total: new.counters("labwire_errors_total", "Errors by code", &["code"])?,
            reconcile_total: new.counters("labwire_reconcile_total", "Reconcile runs by outcome", &["outcome"])?,
        })
    }

    /// The series that alerts ask for, at 0.
    fn begin(&self) {
        for code in CODES_ASKED_FOR {
            self.errors_total.with_label_values(&[code]);
        }
        for (channel, outcomes) in DELIVERIES {
            for outcome in outcomes {
                self.alert_deliveries_total
                    .with_label_values(&[channel.name(), outcome]);
            }
        }
        for outcome in ["ok", "store-unavailable"] {
            self.reconcile_total.with_label_values(&[outcome]);
        }
    }
}

/// Makes metrics and registers them.
struct New<'a>(&'a Registry);

impl New<'_> {
    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        let counter = IntCounter::new(name, help)?;
        self.0.register(Box::new(counter.clone()))?;
        Ok(counter)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(counters.clone()))?;
        Ok(counters)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        let gauge = IntGauge::new(name, help)?;
        self.0.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        let gauges = IntGaugeVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(gauges.clone()))?;
        Ok(gauges)
    }

    fn histogram(&self, name: &str, help: &str, buckets: Vec<f64>) -> Result<Histogram, prometheus::Error> {
        let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
        self.0.register(Box::new(histogram.clone()))?;
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `label` is compared with in the rules of the chart's alerts, by `=` and `=~`.
    fn asked_for(label: &str) -> Vec<&'static str> {
        let rules = include_str!("../../../helm/files/alerts.yaml");
        [format!("{label}=\""), format!("{label}=~\"")]
            .iter()
            .flat_map(|start| rules.split(start.as_str()).skip(1))
            .filter_map(|rest| rest.split('"').next())
            .flat_map(|values| values.split('|'))
            .collect()
    }

    #[test]
    fn what_an_alert_waits_to_see_rise_is_told_from_the_start() {
        let registry = Registry::new();
        Metrics::register(&registry).unwrap();
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap();
        let (codes, outcomes) = (asked_for("code"), asked_for("outcome"));
        assert!(
            codes.len() >= CODES_ASKED_FOR.len() && outcomes == ["sent"],
            "{codes:?} {outcomes:?}"
        );
        for code in codes {
            let line = format!("labwire_errors_total{{code=\"{code}\"}} 0\n");
            assert!(text.contains(&line), "{code}");
        }
        for channel in AlertChannel::ALL.map(AlertChannel::name) {
            for outcome in ["sent", &format!("{channel}-refused")] {
                let labels = format!("channel=\"{channel}\",outcome=\"{outcome}\"");
                let line = format!("labwire_alert_deliveries_total{{{labels}}} 0\n");
                assert!(text.contains(&line), "{labels}");
            }
        }
    }
}
