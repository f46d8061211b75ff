//! Output is deflated where it pays: for a browser that takes bytes slower than deflate makes them.

use flate2::{Compress, Compression, FlushCompress, Status};
use std::{cell::RefCell, sync::Mutex};
use tokio::time::Instant;

/// Below this a frame is one packet either way.
pub(super) const DEFLATE_MIN_BYTES: usize = 256;
/// Slower than this, deflate pays: level 1 makes 100 MB/s and more, so it is never what the browser waits for, and terminal
/// output shrinks to a quarter.
const SLOW_BYTES_PER_SEC: u64 = 2_000_000;
/// A browser that is deflated to draws fast *because* of that, so its line is measured in the bytes that went over it. It must
/// take twice the rate that made it slow to be sent plain again, or it would go to and fro; and each time it went, a window
/// that deflated output had filled would be sent plain, a second of it on a slow line.
const FAST_BYTES_PER_SEC: u64 = 2 * SLOW_BYTES_PER_SEC;
/// Bytes in one measurement: less than that says more about the round trip than about the line.
const MEASURE_BYTES: u64 = 64 * 1024;

thread_local! {
    /// The compressor's tables are some 270 KB: one per worker thread, not one per socket.
    static COMPRESSOR: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(1), false));
}

/// Raw DEFLATE of one frame's payload; `None` when it would not be smaller.
pub(super) fn deflate(payload: &[u8]) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|compressor| {
        compressor.reset();
        // what does not fit into one byte less than it was is not worth it
        let mut out = Vec::with_capacity(payload.len().checked_sub(1)?);
        match compressor.compress_vec(payload, &mut out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => Some(out),
            _ => None,
        }
    })
}

/// How fast a browser draws, measured while it has something to draw. Written by the reading half, read by the writing half of one
/// task; the lock is held for a few additions.
pub(super) struct DrawSpeed(Mutex<Speed>);

struct Speed {
    /// Output bytes sent and not known to be drawn, over all terminals, as (terminal, sent, drawn).
    under_way: Vec<(u16, u64, u64)>,
    /// The measurement under way.
    span: Option<Span>,
    slow: bool,
    /// The page asked for it.
    always: bool,
}

/// One measurement.
struct Span {
    since: Instant,
    /// Output bytes drawn, sent, and what was sent as it went over the line.
    drawn: u64,
    sent: u64,
    wire: u64,
}

impl Span {
    fn begin() -> Self {
        Self {
            since: Instant::now(),
            drawn: 0,
            sent: 0,
            wire: 0,
        }
    }

    /// Bytes a second over the line: what was drawn, as small as what was sent meanwhile.
    fn line_bytes_per_sec(&self) -> u64 {
        let micros = self.since.elapsed().as_micros().max(1);
        let wire = u128::from(self.drawn) * u128::from(self.wire.max(1)) / u128::from(self.sent.max(1));
        u64::try_from(wire * 1_000_000 / micros).unwrap_or(u64::MAX)
    }
}

impl DrawSpeed {
    /// `always`: deflate whatever is measured.
    pub fn new(always: bool) -> Self {
        Self(Mutex::new(Speed {
            under_way: Vec::new(),
            span: None,
            slow: false,
            always,
        }))
    }

    /// Whether to deflate now.
    pub fn is_slow(&self) -> bool {
        let speed = self.0.lock().expect("no holder of this lock panics");
        speed.always || speed.slow
    }

    /// Output of `terminal` from `start` to `end` goes out in a frame of `wire` bytes.
    pub fn sent(&self, terminal: u16, start: u64, end: u64, wire: usize) {
        let mut speed = self.0.lock().expect("no holder of this lock panics");
        match speed.under_way.iter_mut().find(|(t, ..)| *t == terminal) {
            Some((_, sent, _)) => *sent = end,
            None => speed.under_way.push((terminal, end, start)),
        }
        let span = speed.span.get_or_insert_with(Span::begin);
        span.sent += end - start;
        span.wire += wire as u64;
    }

    /// A snapshot put `terminal` at `offset`: what was under way is void.
    pub fn jumped(&self, terminal: u16, offset: u64) {
        let mut speed = self.0.lock().expect("no holder of this lock panics");
        speed.under_way.retain(|(t, ..)| *t != terminal);
        speed.under_way.push((terminal, offset, offset));
    }

    /// The browser has drawn `terminal` up to `offset`.
    pub fn drawn(&self, terminal: u16, offset: u64) {
        let mut speed = self.0.lock().expect("no holder of this lock panics");
        let Some((_, sent, drawn)) = speed.under_way.iter_mut().find(|(t, ..)| *t == terminal) else {
            return;
        };
        // what was never sent cannot have been drawn
        let offset = offset.min(*sent);
        let news = offset.saturating_sub(*drawn);
        *drawn = offset.max(*drawn);
        let idle = speed.under_way.iter().all(|(_, sent, drawn)| drawn >= sent);
        let Some(span) = &mut speed.span else { return };
        span.drawn += news;
        // nothing was sent in this span: it only drew what came before, whose size is not known
        if span.drawn >= MEASURE_BYTES && span.sent > 0 {
            let enough = if speed.slow {
                FAST_BYTES_PER_SEC
            } else {
                SLOW_BYTES_PER_SEC
            };
            speed.slow = speed.span.as_ref().is_some_and(|s| s.line_bytes_per_sec() < enough);
            speed.span = Some(Span::begin());
        }
        if idle {
            // the next measurement begins with the next output, not now
            speed.span = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Read, time::Duration};

    #[test]
    fn what_is_deflated_comes_back_and_what_would_grow_is_left() {
        let text = b"R1# show ip route\r\n".repeat(100);
        let small = deflate(&text).unwrap();
        assert!(small.len() < text.len() / 4);
        let mut back = Vec::new();
        flate2::read::DeflateDecoder::new(&small[..])
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(back, text);
        let noise: Vec<u8> = (0..4096u32)
            .flat_map(|i| *blake3::hash(&i.to_be_bytes()).as_bytes())
            .take(4096)
            .collect();
        assert_eq!(deflate(&noise), None);
    }

    /// Draws `bytes_per_sec` of output that goes over the line `smaller` times smaller.
    async fn draw(speed: &DrawSpeed, bytes_per_sec: u64, smaller: usize) {
        for i in 0..100 {
            speed.sent(0, i * 16_384, (i + 2) * 16_384, 2 * 16_384 / smaller);
            tokio::time::advance(Duration::from_micros(16_384 * 1_000_000 / bytes_per_sec)).await;
            speed.drawn(0, (i + 1) * 16_384);
        }
        speed.jumped(0, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_browser_is_deflated_to_until_it_is_clearly_fast() {
        let speed = DrawSpeed::new(false);
        assert!(!speed.is_slow(), "until it is measured");
        draw(&speed, 1_000_000, 1).await;
        assert!(speed.is_slow());
        draw(&speed, 40_000_000, 40).await;
        assert!(speed.is_slow(), "a slow line with deflate is not a fast one");
        draw(&speed, 40_000_000, 4).await;
        assert!(!speed.is_slow());
    }

    #[tokio::test(start_paused = true)]
    async fn someone_who_types_slowly_is_not_a_slow_browser() {
        let speed = DrawSpeed::new(false);
        for i in 0..10_000 {
            speed.sent(0, i * 20, (i + 1) * 20, 20);
            tokio::time::advance(Duration::from_millis(2)).await;
            speed.drawn(0, (i + 1) * 20);
            tokio::time::advance(Duration::from_millis(200)).await;
        }
        assert!(!speed.is_slow());
    }
}
