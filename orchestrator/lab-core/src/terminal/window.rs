//! How far a browser's terminal may run ahead of what the browser has drawn.
//!
//! The window is bounded in *time*: a slow browser gets few bytes under way, so that Ctrl-C is not behind a second of
//! old output; a fast one gets many, so that a round trip does not limit it. Offsets are absolute and acknowledgements
//! cumulative, so a lost or doubled one cannot wedge the stream.

use crate::limits::{WINDOW_BYTES_MAX, WINDOW_BYTES_MIN, WINDOW_TIME};

/// The window of one attached terminal that holds the seat.
#[derive(Clone, Debug)]
pub struct Window {
    drawn: u64,
    /// Start of the measured span: (time in µs, offset drawn then).
    mark: (u64, u64),
    bytes: u64,
}

impl Window {
    /// A window for a browser that has drawn up to `drawn`, at `now_us` on any monotonic clock.
    pub fn new(drawn: u64, now_us: u64) -> Self {
        Self {
            drawn,
            mark: (now_us, drawn),
            bytes: WINDOW_BYTES_MIN * 2,
        }
    }

    /// The browser says it has drawn everything below `offset`. Older or repeated news changes nothing.
    pub fn drawn(&mut self, offset: u64, now_us: u64) {
        if offset <= self.drawn {
            return;
        }
        self.drawn = offset;
        let span_us = now_us.saturating_sub(self.mark.0);
        let window_us = WINDOW_TIME.as_micros() as u64;
        if span_us >= window_us / 8 {
            let drawn = offset - self.mark.1;
            // bytes drawn per window time, at the speed of the last span
            let target = (u128::from(drawn) * u128::from(window_us) / u128::from(span_us)) as u64;
            // grow by at most double, shrink at once: too much under way hurts Ctrl-C, too little only costs speed
            self.bytes = target.clamp(WINDOW_BYTES_MIN, WINDOW_BYTES_MAX).min(self.bytes * 2);
            self.mark = (now_us, offset);
        }
    }

    /// Absolute output offset up to which the terminal may run.
    pub fn limit(&self) -> u64 {
        self.drawn.saturating_add(self.bytes)
    }

    /// Offset drawn so far.
    pub fn drawn_offset(&self) -> u64 {
        self.drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_browser_keeps_little_under_way_and_a_fast_one_much() {
        let run = |bytes_per_ms: u64| {
            let mut w = Window::new(0, 0);
            for ms in 1..2000 {
                w.drawn(ms * bytes_per_ms, ms * 1000);
            }
            w.limit() - w.drawn_offset()
        };
        assert_eq!(run(500), 40_000); // 0.5 MB/s for 80 ms
        assert_eq!(run(40_000), WINDOW_BYTES_MAX);
        assert_eq!(run(1), WINDOW_BYTES_MIN);
    }

    #[test]
    fn old_and_repeated_acknowledgements_change_nothing() {
        let mut w = Window::new(100, 0);
        w.drawn(200, 1);
        let before = w.limit();
        w.drawn(150, 50_000);
        w.drawn(200, 60_000);
        assert_eq!(w.limit(), before);
    }
}
