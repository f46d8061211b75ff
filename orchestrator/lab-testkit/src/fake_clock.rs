//! Time and randomness that a test decides.

use lab_core::{
    Timestamp,
    port::{Clock, Entropy},
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// A clock that moves when it is told to. Starts on 2026-11-22 12:00:00 UTC.
#[derive(Debug, Default)]
pub struct ManualClock {
    elapsed_us: AtomicU64,
}

impl ManualClock {
    /// Where every manual clock starts.
    pub const START: Timestamp = Timestamp(1_795_348_800_000_000);

    /// Moves both clocks.
    pub fn advance(&self, by: Duration) {
        self.elapsed_us.fetch_add(by.as_micros() as u64, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Self::START.plus(Duration::from_micros(self.monotonic_us()))
    }
    fn monotonic_us(&self) -> u64 {
        self.elapsed_us.load(Ordering::SeqCst)
    }
}

/// A clock that follows tokio's, which a test may pause and move: timers and timestamps agree.
#[derive(Debug)]
pub struct TokioClock {
    start: tokio::time::Instant,
}

impl TokioClock {
    /// Starts now; call it inside a runtime.
    pub fn new() -> Self {
        Self {
            start: tokio::time::Instant::now(),
        }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        ManualClock::START.plus(self.start.elapsed())
    }
    fn monotonic_us(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }
}

/// Different 32 bytes every time, the same ones in every run.
#[derive(Debug, Default)]
pub struct FakeEntropy {
    calls: AtomicU64,
}

impl Entropy for FakeEntropy {
    fn bytes32(&self) -> [u8; 32] {
        *blake3::hash(&self.calls.fetch_add(1, Ordering::SeqCst).to_be_bytes()).as_bytes()
    }
}
