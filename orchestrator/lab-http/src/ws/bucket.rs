//! How much a browser may send.

use tokio::time::Instant;

/// A token bucket.
pub(super) struct Bucket {
    tokens: f64,
    burst: f64,
    per_sec: f64,
    at: Instant,
}

impl Bucket {
    /// `burst` at once, `per_sec` in the long run.
    pub fn new(burst: u32, per_sec: u32) -> Self {
        Self {
            tokens: burst.into(),
            burst: burst.into(),
            per_sec: per_sec.into(),
            at: Instant::now(),
        }
    }

    /// Takes one; false when there is none.
    pub fn take(&mut self) -> bool {
        let now = Instant::now();
        self.tokens = (self.tokens + now.duration_since(self.at).as_secs_f64() * self.per_sec).min(self.burst);
        self.at = now;
        let has = self.tokens >= 1.0;
        if has {
            self.tokens -= 1.0;
        }
        has
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_the_rate() {
        let mut bucket = Bucket::new(10, 5);
        assert_eq!((0..20).filter(|_| bucket.take()).count(), 10);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!((0..20).filter(|_| bucket.take()).count(), 5);
        tokio::time::advance(Duration::from_secs(1000)).await;
        assert_eq!((0..20).filter(|_| bucket.take()).count(), 10, "never more than a burst");
    }
}
