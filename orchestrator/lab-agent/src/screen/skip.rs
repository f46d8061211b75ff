//! What of a flood the emulator need not see.
//!
//! Emulating plain lines costs the same as emulating anything, and a flood is mostly plain lines. Of a long run of them only
//! the last decide what a terminal looks like: once the cursor is on the bottom line of a screen that scrolls as a whole, and
//! as many lines as the screen and its history hold have come since, nothing before is left to see. So the middle of such a
//! run is left out, from one line's beginning to another's:
//!
//! ```text
//! run:   ┌ first lines ┐┌──────── middle ────────┐┌ screen + history lines ┐
//!        until the cursor       not emulated        what there is to see
//!        is at the bottom
//! ```
//! Plain is printable ASCII, CR and LF: nothing that changes a mode, a colour, a margin or a character set.

use std::ops::Range;

/// A shorter middle is emulated: finding it costs a scan.
const MIDDLE_BYTES_MIN: usize = 16 * 1024;

/// The part of `bytes`, read in plain text state, that leaves no trace on a screen of `rows` lines with `history` above, all of
/// which scrolls. Everything outside is to be emulated.
pub fn traceless(bytes: &[u8], rows: usize, history: usize) -> Option<Range<usize>> {
    if bytes.len() < MIDDLE_BYTES_MIN {
        return None;
    }
    let run = &bytes[..plain_len(bytes)];
    // `rows` line feeds put the cursor on the bottom line, wherever it was; the last of them after a CR: the next line begins
    let start = line_starts(run).nth(rows)?;
    // the end of a line that is followed by more line feeds than there are lines to see
    let feeds = |from: usize| {
        run[from..]
            .iter()
            .filter(|b| **b == b'\n')
            .take(rows + history + 1)
            .count()
    };
    let end = last_line_start(run, rows + history + 1).filter(|end| feeds(*end) > rows + history)?;
    // REP repeats the last character written: it must be among what is emulated
    let writes = run[end..].iter().any(|b| (0x20..=0x7e).contains(b));
    (writes && end >= start + MIDDLE_BYTES_MIN).then_some(start..end)
}

/// How many bytes at the start are plain. In blocks, whose bytes are all looked at: that the compiler does many at a time.
fn plain_len(bytes: &[u8]) -> usize {
    const BLOCK: usize = 256;
    let plain = |b: u8| matches!(b, 0x20..=0x7e | b'\r' | b'\n');
    let blocks = bytes.chunks(BLOCK);
    let whole = blocks.take_while(|block| block.iter().fold(true, |all, b| all & plain(*b)));
    let at: usize = whole.map(<[u8]>::len).sum();
    at + bytes[at..].iter().take_while(|b| plain(**b)).count()
}

/// Offsets after each CR LF.
fn line_starts(run: &[u8]) -> impl Iterator<Item = usize> {
    run.windows(2)
        .enumerate()
        .filter(|(_, w)| w == b"\r\n")
        .map(|(at, _)| at + 2)
}

/// The last offset after a CR LF that has `feeds` line feeds behind it.
fn last_line_start(run: &[u8], feeds: usize) -> Option<usize> {
    let (mut seen, mut at) = (0, run.len());
    while at >= 2 {
        if run[at - 1] == b'\n' {
            if seen >= feeds && run[at - 2] == b'\r' {
                return Some(at);
            }
            seen += 1;
        }
        at -= 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_begins_and_ends_at_lines_and_leaves_enough_behind() {
        let text = "a line of some length\r\n".repeat(5000).into_bytes();
        let out = traceless(&text, 24, 500).unwrap();
        assert!(text[..out.start].ends_with(b"\r\n") && text[..out.end].ends_with(b"\r\n"));
        let lines = |part: &[u8]| part.iter().filter(|b| **b == b'\n').count();
        assert!(lines(&text[..out.start]) >= 24 && lines(&text[out.end..]) >= 525);
        assert!(out.len() > text.len() / 2);
    }

    #[test]
    fn nothing_is_left_out_of_what_is_short_coloured_or_without_line_ends() {
        let coloured = "a line\x1b[31m of some length\r\n".repeat(5000).into_bytes();
        assert_eq!(traceless(&coloured, 24, 500), None);
        assert_eq!(traceless(&b"x".repeat(100_000), 24, 500), None);
        assert_eq!(
            traceless(&b"line\n".repeat(50_000), 24, 500),
            None,
            "columns would be lost"
        );
        assert_eq!(
            traceless(&b"\r\n".repeat(50_000), 24, 500),
            None,
            "the last character would be lost"
        );
        assert_eq!(traceless(b"short\r\n", 24, 500), None);
    }
}
