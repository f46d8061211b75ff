//! The agent's clock: microseconds since it started, which never go back.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Read once per record.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    /// Unix microseconds at the start, by the sandbox's clock.
    pub started_unix_us: i64,
}

impl Clock {
    /// A clock that stands at zero.
    pub fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            started: Instant::now(),
            started_unix_us: i64::try_from(unix.as_micros()).unwrap_or(i64::MAX),
        }
    }

    /// Microseconds since the start.
    pub fn now_us(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }
}
