//! The clock and the randomness of the machine: the two ports that need no crate of their own.

use lab_core::{
    Timestamp,
    port::{Clock, Entropy},
};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The machine's wall clock, and its monotonic one since this was made.
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
    fn monotonic_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// The kernel's random bytes.
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn bytes32(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        // secrets must not be made without randomness, and there is nothing to go on with
        getrandom::fill(&mut bytes).expect("the kernel gives random bytes");
        bytes
    }
}
