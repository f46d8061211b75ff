//! One task per recorded session: takes what the hub feeds, and tells through a watch how far it is.

use super::{
    ALARM_AFTER, CORRUPT_TRIES, EPOCH_OF_CLOSED, FINISH_PATIENCE, FINISH_WITHIN, GIVE_UP_AFTER, RETRY_FIRST, RETRY_MAX,
    STANDBY_HURRY, YIELD,
    handle::{Feed, RecorderView},
    lag::Tracked,
    pending::Pending,
    standby::Missing,
    writer::{Attempt, Writer},
};
use crate::{AppError, Metrics, Ports};
use bytes::Bytes;
use lab_core::{
    SessionId,
    limits::{CHUNK_BYTES, RING_BYTES_MAX},
    port::BlobsError,
    recording::{RecordingPolicy, RecordingState, TOO_LARGE},
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

/// What a recorder is made of.
pub(super) struct RecorderParts {
    pub ports: Ports,
    pub metrics: Metrics,
    pub session: SessionId,
    pub policy: RecordingPolicy,
    pub holder: String,
    pub give_up_bytes: u64,
    /// Journal that is recorded at most.
    pub bytes_max: u64,
    /// Whether anybody looks at the session through this process.
    pub watched: Box<dyn Fn() -> bool + Send + Sync>,
    pub inbox: mpsc::Receiver<Feed>,
    pub publish: watch::Sender<RecorderView>,
}

/// The task itself; what it does while another replica records is in `standby.rs`.
pub(super) struct Recorder {
    pub(super) ports: Ports,
    pub(super) metrics: Metrics,
    lag: Tracked,
    policy: RecordingPolicy,
    give_up_bytes: u64,
    bytes_max: u64,
    /// The journal has reached [`Recorder::bytes_max`]: what came before is written, and the recording cut.
    pub(super) full: bool,
    pub(super) writer: Writer,
    inbox: mpsc::Receiver<Feed>,
    pub(super) publish: watch::Sender<RecorderView>,
    pub(super) pending: Pending,
    last_us: u64,
    /// Offset after the journal's last record.
    stopping_at: Option<u64>,
    /// When the oldest pending byte came.
    pub(super) first_at: Instant,
    pub(super) retry_at: Option<Instant>,
    /// See `standby.rs`.
    pub(super) watched: Box<dyn Fn() -> bool + Send + Sync>,
    pub(super) yields_until: Option<Instant>,
    pub(super) missing: Option<Missing>,
    /// End of the journal that the hub has seen, whoever records it.
    pub(super) seen: u64,
    failing_since: Option<Instant>,
    failures: u32,
    /// The recording's end when bytes after it were first missed.
    hole_at: Option<u64>,
    /// Journal that is not durable, as the hub said last.
    backlog: u64,
    /// Uploads in a row that were not what was sent.
    corrupt: u32,
    /// The journal's end, when somebody waits for it.
    pub(super) awaited: Option<u64>,
    /// How the recording ends, until the store has taken it.
    pub(super) to_close: Option<RecordingState>,
}

impl Recorder {
    pub fn new(parts: RecorderParts) -> Self {
        let RecorderParts {
            ports,
            metrics,
            session,
            policy,
            holder,
            give_up_bytes,
            bytes_max,
            watched,
            inbox,
            publish,
        } = parts;
        Self {
            lag: metrics.recorder_lags.track(session),
            writer: Writer::new(ports.clone(), session, holder),
            give_up_bytes,
            bytes_max,
            full: false,
            ports,
            metrics,
            policy,
            inbox,
            publish,
            pending: Pending::at(0),
            last_us: 0,
            stopping_at: None,
            first_at: Instant::now(),
            retry_at: None,
            watched,
            yields_until: None,
            missing: None,
            seen: 0,
            failing_since: None,
            failures: 0,
            hole_at: None,
            backlog: 0,
            corrupt: 0,
            awaited: None,
            to_close: None,
        }
    }

    pub async fn run(mut self) {
        while let Err(e) = self.open().await {
            self.failed(&e);
            sleep(self.pause()).await;
        }
        self.succeeded();
        loop {
            self.say_lag();
            let (due_at, has_work) = (self.due_at(), self.has_work());
            tokio::select! {
                feed = self.inbox.recv() => match feed {
                    Some(Feed::Finish) => return self.finish(true).await,
                    Some(Feed::Seal) => return self.finish(false).await,
                    Some(feed) => self.on_feed(feed),
                    None => return,
                },
                () = sleep_until(due_at), if has_work => {}
            }
            if self.has_work() && (self.due_at() <= Instant::now() || self.is_full()) {
                self.work().await;
            }
        }
    }

    fn on_feed(&mut self, feed: Feed) {
        match feed {
            Feed::Journal {
                start,
                bytes,
                last_us,
                stopping,
                round,
            } => {
                if round == self.publish.borrow().refollow {
                    self.take(start, bytes, last_us, stopping);
                }
            }
            Feed::Cut(reason) => self.cut(reason),
            Feed::Backlog(bytes) => {
                self.backlog = bytes;
                self.give_up_if_due();
            }
            Feed::Seen(end) => self.seen = self.seen.max(end),
            Feed::Ended(end) => {
                self.awaited = Some(end);
                self.seen = self.seen.max(end);
                if self.publish.borrow().standby {
                    self.retry_at = Some(Instant::now());
                }
            }
            // the loop takes these
            Feed::Finish | Feed::Seal => {}
        }
    }

    async fn open(&mut self) -> Result<(), AppError> {
        let head = self.writer.open().await?;
        let ring_from = self.writer.boundary_before(head.end, RING_BYTES_MAX as u64).await?;
        self.pending = Pending::at(head.end);
        self.publish.send_modify(|v| {
            (v.opened, v.next, v.ring_from) = (true, head.end, ring_from);
            v.cut = head.state.over_code();
            if v.cut.is_some() {
                v.epoch = EPOCH_OF_CLOSED;
            }
        });
        Ok(())
    }

    fn is_cut(&self) -> bool {
        self.publish.borrow().cut.is_some()
    }

    fn is_full(&self) -> bool {
        self.retry_at.is_none() && !self.yields() && self.pending.len() >= CHUNK_BYTES as u64
    }

    fn take(&mut self, start: u64, bytes: Bytes, last_us: u64, stopping: bool) {
        let end = start + bytes.len() as u64;
        self.seen = self.seen.max(end);
        if self.is_cut() {
            self.lose(end);
            return;
        }
        if self.publish.borrow().standby {
            return;
        }
        if self.full || end > self.bytes_max {
            // counted from the journal's start: a restart, or another replica, does not make the limit a new one
            self.full = true;
            self.retry_at.get_or_insert_with(Instant::now);
            return;
        }
        if self.pending.is_empty() {
            self.first_at = Instant::now();
        }
        self.yields_until.get_or_insert_with(|| Instant::now() + YIELD);
        let before = self.pending.len();
        if self.pending.push(start, bytes.clone()) {
            self.metrics
                .recorder_lag_bytes
                .add((self.pending.len() - before) as i64);
        } else {
            // bytes are missing: perhaps another replica recorded them; the next attempt looks
            self.pending = Pending::at(start);
            self.pending.push(start, bytes);
            self.metrics.recorder_lag_bytes.sub(before as i64);
            self.metrics.recorder_lag_bytes.add(self.pending.len() as i64);
        }
        self.last_us = self.last_us.max(last_us);
        if stopping {
            // nothing more is to be gathered, and somebody waits for it
            self.stopping_at = Some(end);
            self.retry_at.get_or_insert_with(Instant::now);
        }
    }

    /// Bytes that no recording will have: said to be durable all the same, so that the learner's terminals go on.
    fn lose(&mut self, end: u64) {
        let next = self.publish.borrow().next;
        if end > next {
            // what is over the limit is left out, not lost: nobody of operations is to be woken by a learner's flood
            if self.publish.borrow().cut != Some(TOO_LARGE) {
                self.metrics.recording_lost_bytes_total.inc_by(end - next);
            }
            self.publish.send_modify(|v| v.next = end);
        }
    }

    fn cut(&mut self, reason: &'static str) {
        if self.is_cut() {
            return;
        }
        if reason == TOO_LARGE {
            self.metrics
                .errors_total
                .with_label_values(&["recording-too-large"])
                .inc();
            tracing::warn!(session = %self.writer.session, bytes_max = self.bytes_max, "recording cut at its limit");
        } else {
            self.metrics.errors_total.with_label_values(&["recording-cut"]).inc();
            tracing::error!(session = %self.writer.session, reason, "recording cut: what follows is not recorded");
        }
        self.to_close = Some(RecordingState::Cut {
            at: self.ports.clock.now(),
            reason: reason.to_owned(),
        });
        // of a full one more was seen than was taken
        let end = if std::mem::take(&mut self.full) {
            self.seen.max(self.pending.end())
        } else {
            self.pending.end()
        };
        self.metrics.recorder_lag_bytes.sub(self.pending.len() as i64);
        self.pending = Pending::at(end);
        self.retry_at = Some(Instant::now());
        self.publish.send_modify(|v| v.cut = Some(reason));
        self.lose(end);
    }

    /// One attempt at whatever is due.
    async fn work(&mut self) {
        if let Some(state) = self.to_close.clone() {
            match self.writer.close(&state).await {
                // not ours to close: another replica has the recording now, and its end
                Ok(closed) => {
                    self.to_close = None;
                    self.succeeded();
                    if closed {
                        self.publish.send_modify(|v| v.epoch = EPOCH_OF_CLOSED);
                    }
                }
                Err(e) => self.failed(&e),
            }
            return;
        }
        if self.publish.borrow().standby && !self.look().await {
            return;
        }
        let before = self.pending.len();
        let start = self.pending.start();
        let attempt = self.writer.attempt(&mut self.pending, self.last_us).await;
        self.metrics
            .recorder_lag_bytes
            .sub((before - self.pending.len()) as i64);
        match attempt {
            Ok(Attempt::Durable) => self.durable(before, start),
            Ok(Attempt::Standby) => self.stand_by().await,
            Ok(Attempt::Closed) => {
                self.publish.send_modify(|v| v.epoch = EPOCH_OF_CLOSED);
                self.cut(self.writer.over_code());
            }
            Ok(Attempt::Hole) => self.hole(),
            Err(e) => {
                self.failed(&e);
                if let AppError::Blobs(BlobsError::Corrupt { .. }) = e {
                    self.metrics.recording_quarantined_total.inc();
                    self.corrupt += 1;
                    if self.corrupt >= CORRUPT_TRIES {
                        return self.cut("upload-corrupt");
                    }
                } else {
                    self.corrupt = 0;
                }
                self.give_up_if_due();
            }
        }
    }

    /// Ends a best-effort recording before it would hold its learner up.
    fn give_up_if_due(&mut self) {
        let Some(code) = self.publish.borrow().error else {
            return;
        };
        let long = self.failing_since.is_some_and(|since| since.elapsed() >= GIVE_UP_AFTER);
        let much = self.backlog.max(self.pending.len()) >= self.give_up_bytes;
        if self.policy != RecordingPolicy::Required && long && much {
            self.cut(code);
        }
    }

    fn durable(&mut self, before: u64, start: u64) {
        self.metrics
            .recording_bytes_total
            .inc_by((start + before).saturating_sub(self.publish.borrow().next));
        self.hole_at = None;
        self.corrupt = 0;
        self.succeeded();
        let (next, epoch) = (self.pending.start(), self.writer.epoch());
        self.publish.send_modify(|v| {
            if v.standby {
                // ours now: the hub has stopped feeding, and the agent has what the other did not write
                v.standby = false;
                v.refollow += 1;
            }
            (v.next, v.epoch) = (v.next.max(next), epoch);
        });
        if self.full {
            // all that fits is durable
            return self.cut(TOO_LARGE);
        }
        if self.stopping_at.is_some_and(|end| end <= next) {
            self.to_close = Some(RecordingState::Complete {
                at: self.ports.clock.now(),
            });
            self.stopping_at = None;
            self.retry_at = Some(Instant::now());
        }
    }

    fn hole(&mut self) {
        let next = self.publish.borrow().next;
        if self.hole_at == Some(next) {
            return self.cut("journal-gap");
        }
        self.hole_at = Some(next);
        // it comes again
        self.full = false;
        self.metrics.recorder_lag_bytes.sub(self.pending.len() as i64);
        self.pending = Pending::at(next);
        self.publish.send_modify(|v| v.refollow += 1);
    }

    pub(super) fn succeeded(&mut self) {
        self.retry_at = None;
        self.failing_since = None;
        self.failures = 0;
        self.first_at = Instant::now();
        self.publish
            .send_if_modified(|v| v.error.take().is_some() | v.alarm.take().is_some());
    }

    fn pause(&self) -> std::time::Duration {
        RETRY_FIRST.saturating_mul(1 << self.failures.min(10)).min(RETRY_MAX)
    }

    pub(super) fn failed(&mut self, e: &AppError) {
        self.metrics.errors_total.with_label_values(&[e.code()]).inc();
        self.failing_since.get_or_insert_with(Instant::now);
        if self.failures == 0 {
            tracing::warn!(session = %self.writer.session, code = e.code(), error = %e, "recording: write failed, retrying");
        }
        self.retry_at = Some(Instant::now() + self.pause());
        self.failures += 1;
        let code = Some(e.code());
        let long = self.failing_since.is_some_and(|since| since.elapsed() >= ALARM_AFTER);
        let full = matches!(e, AppError::Blobs(BlobsError::Full { .. }));
        let alarm = code.filter(|_| long || full);
        self.publish.send_if_modified(|v| {
            let news = v.error != code || v.alarm != alarm;
            (v.error, v.alarm) = (code, alarm);
            news
        });
        self.say_lag();
    }

    /// For operations.
    fn say_lag(&self) {
        self.lag
            .say(self.pending.len(), self.first_at, self.publish.borrow().error);
    }

    /// The last attempts; with `close`, the recording ends too, unless another replica has it and lives: then the end is its to say.
    async fn finish(&mut self, close: bool) {
        let last = async {
            while self.to_close.is_some() || self.full || !self.pending.is_empty() {
                self.work().await;
                if let Some(at) = self.retry_at.filter(|_| self.has_work()) {
                    sleep_until(at).await;
                }
            }
            if close {
                // does nothing when it is closed already
                let reason = "sandbox-lost".to_owned();
                let state = RecordingState::Cut {
                    at: self.ports.clock.now(),
                    reason,
                };
                loop {
                    match self.writer.close(&state).await {
                        Ok(true) => break,
                        // its holder closes it, or its lease lapses and it is ours
                        Ok(false) if self.is_closed().await => break,
                        Ok(false) => {}
                        Err(e) => self.failed(&e),
                    }
                    sleep(self.pause().max(STANDBY_HURRY)).await;
                }
            }
            self.writer.release().await
        };
        let most = if close { FINISH_PATIENCE } else { FINISH_WITHIN };
        if let Ok(Err(e)) = timeout(most, last).await {
            tracing::warn!(session = %self.writer.session, error = %e, "recorder lease not released; it lapses by itself");
        }
        if !self.pending.is_empty() && close {
            self.metrics.recording_lost_bytes_total.inc_by(self.pending.len());
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.metrics.recorder_lag_bytes.sub(self.pending.len() as i64);
    }
}
