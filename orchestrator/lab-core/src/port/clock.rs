//! Time and randomness, handed in.

use crate::Timestamp;

/// The wall clock and a monotonic one.
pub trait Clock: Send + Sync + 'static {
    /// Now, UTC.
    fn now(&self) -> Timestamp;
    /// Microseconds since some fixed point of this process; never goes back.
    fn monotonic_us(&self) -> u64;
}

/// Secure randomness.
pub trait Entropy: Send + Sync + 'static {
    /// 32 unpredictable bytes.
    fn bytes32(&self) -> [u8; 32];
}
