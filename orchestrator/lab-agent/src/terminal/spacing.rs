//! How much output lies between two keyframes.
//!
//! A keyframe costs what the emulator has to see for it: of a flood the screen and its history (525 lines, some 40 KiB), however much
//! came before them. So in a flood they may lie farther apart, as long as a replay that reads from one draws its point soon.

use std::time::Duration;
use tokio::time::Instant;

/// Between two keyframes: a replay reads at most this much to draw any point (30 ms at 20 MB/s)…
const EVERY_MIN: u64 = 512 * 1024;
/// …and in a flood this much (100 ms). Few terminals have one at a time: [`FLOOD_GAP`].
const EVERY_MAX: u64 = 2 * 1024 * 1024;
/// Keyframes that would follow each other faster lie twice as far apart. 512 KiB in 50 ms are 10 MB/s, and two cores' terminals give
/// 80 MB/s together: no more than 8 at once have more than 512 KiB under way, 12 MiB beside the others.
const FLOOD_GAP: Duration = Duration::from_millis(50);

/// See the module's doc.
pub struct Spacing {
    every: u64,
    asked: Instant,
    next: u64,
}

impl Spacing {
    /// The terminal begins at `offset`.
    pub fn new(offset: u64, now: Instant) -> Self {
        Self {
            every: EVERY_MIN,
            asked: now,
            next: offset + EVERY_MIN,
        }
    }

    /// A keyframe is due at `offset`.
    pub fn is_due(&self, offset: u64) -> bool {
        offset >= self.next
    }

    /// One was asked for at `offset`, because it was due or for another reason (a resize).
    pub fn asked(&mut self, offset: u64, now: Instant) {
        let flood = self.is_due(offset) && now - self.asked < FLOOD_GAP;
        self.every = if flood {
            EVERY_MAX.min(self.every * 2)
        } else {
            EVERY_MIN
        };
        self.asked = now;
        self.next = offset + self.every;
    }

    /// Output kept back from the screen's thread before it is shown anyway, in bytes: the longer a piece of a flood, the less of it is
    /// emulated, and two pieces a keyframe still let emulation and reading overlap.
    pub fn piece(&self) -> usize {
        (self.every / 2) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offsets of the keyframes of `mb_s` for two seconds.
    fn keyframes(mb_s: u64) -> Vec<u64> {
        let start = Instant::now();
        let mut spacing = Spacing::new(0, start);
        let mut all = Vec::new();
        for ms in 1..=2000 {
            let offset = ms * mb_s * 1000;
            if spacing.is_due(offset) {
                spacing.asked(offset, start + Duration::from_millis(ms));
                all.push(offset);
            }
        }
        all
    }

    #[test]
    fn a_flood_has_keyframes_farther_apart_and_no_farther_than_a_replay_may_read() {
        let gaps = |mb_s: u64| keyframes(mb_s).windows(2).map(|w| w[1] - w[0]).max().unwrap();
        let one_step = |mb_s: u64| mb_s * 1000;
        assert!(gaps(5) <= EVERY_MIN + one_step(5), "5 MB/s is no flood");
        assert!(gaps(60) > EVERY_MAX - one_step(60), "60 MB/s is one");
        assert!(gaps(60) <= EVERY_MAX + one_step(60));
    }

    #[test]
    fn after_a_flood_keyframes_are_close_again() {
        let start = Instant::now();
        let mut spacing = Spacing::new(0, start);
        for n in 1..=4 {
            spacing.asked(n * EVERY_MAX, start);
        }
        assert_eq!(spacing.piece() as u64, EVERY_MAX / 2);
        let later = start + Duration::from_secs(1);
        spacing.asked(5 * EVERY_MAX, later);
        assert!(spacing.is_due(5 * EVERY_MAX + EVERY_MIN));
    }

    #[test]
    fn a_window_that_is_dragged_is_no_flood() {
        let start = Instant::now();
        let mut spacing = Spacing::new(0, start);
        for _ in 0..60 {
            spacing.asked(100, start);
        }
        assert!(spacing.is_due(100 + EVERY_MIN));
    }
}
