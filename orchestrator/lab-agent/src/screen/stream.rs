//! Where the output stream stands: in text, or inside an escape sequence or character whose rest is still to come.
//!
//! A snapshot ends with the bytes of what is unfinished, so that the stream goes on right behind it. The states are those
//! of the VT500 parser (<https://vt100.net/emu/dec_ansi_parser>) as the emulator's parser has them: seven-bit controls only, UTF-8
//! in text.

/// Bytes kept of an unfinished sequence. All of a control sequence; of a longer string (title, clipboard, picture) the
/// beginning, which is enough for the rest to be taken as a string too.
const PENDING_BYTES_MAX: usize = 1024;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    Escape,
    EscapeIntermediate,
    Csi,
    CsiIntermediate,
    CsiIgnore,
    Osc,
    DcsHead,
    DcsBody,
    /// SOS, PM, APC, and a DCS that is not understood: until CAN, SUB or ESC.
    Ignored,
}

/// The position in the stream.
#[derive(Debug, Default)]
pub struct StreamPosition {
    state: State,
    pending: Vec<u8>,
    /// Bytes since the current string began.
    string: usize,
}

impl StreamPosition {
    /// Reads what was written next.
    pub fn advance(&mut self, mut bytes: &[u8]) {
        while let Some(&byte) = bytes.first() {
            if self.state == State::Text {
                let end = bytes.iter().position(|b| *b == 0x1b).unwrap_or(bytes.len());
                self.text(&bytes[..end]);
                if end < bytes.len() {
                    self.escape();
                }
                bytes = &bytes[(end + 1).min(bytes.len())..];
            } else {
                self.step(byte);
                bytes = &bytes[1..];
            }
        }
    }

    /// Not inside an escape sequence.
    pub fn is_text(&self) -> bool {
        self.state == State::Text
    }

    /// Bytes that a reader of the screen must see before the rest of the stream.
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// Beginning of a character whose rest is to come, empty when there is none.
    pub fn cut_character(&self) -> &[u8] {
        if self.state == State::Text { &self.pending } else { &[] }
    }

    /// Length of the string (OSC, DCS …) the stream is inside of, 0 when in none.
    pub fn string_len(&self) -> usize {
        match self.state {
            State::Osc | State::DcsHead | State::DcsBody | State::Ignored => self.string,
            _ => 0,
        }
    }

    fn escape(&mut self) {
        self.pending.clear();
        self.pending.push(0x1b);
        self.string = 0;
        self.state = State::Escape;
    }

    /// Keeps the beginning of a character at the end of `text`, if one is cut there.
    fn text(&mut self, text: &[u8]) {
        // an unfinished character is in the last 3 bytes of what was pending and what came
        let mut last = std::mem::take(&mut self.pending);
        last.extend_from_slice(&text[text.len().saturating_sub(4)..]);
        self.pending = last.split_off(last.len() - cut_character(&last).len());
    }

    fn step(&mut self, byte: u8) {
        let next = match (self.state, byte) {
            (_, 0x1b) => return self.escape(),
            (_, 0x18 | 0x1a) | (State::Osc, 0x07) | (State::DcsBody, 0x9c) => Some(State::Text),
            (State::Osc | State::DcsBody | State::Ignored, _) => Some(self.state),
            // controls inside a sequence were acted upon; what is ignored needs no repeating
            (_, 0x00..=0x1f | 0x7f..) => None,
            (State::Escape, _) => Some(after_escape(byte)),
            (State::EscapeIntermediate, 0x20..=0x2f) => Some(State::EscapeIntermediate),
            (State::EscapeIntermediate, _) | (State::Csi | State::CsiIntermediate | State::CsiIgnore, 0x40..) => {
                Some(State::Text)
            }
            (State::Csi, 0x20..=0x2f) => Some(State::CsiIntermediate),
            (State::Csi, 0x3c..=0x3f) if self.pending.len() > 2 => Some(State::CsiIgnore),
            (State::CsiIntermediate, 0x30..) => Some(State::CsiIgnore),
            (state @ (State::Csi | State::CsiIntermediate | State::CsiIgnore), _) => Some(state),
            (State::DcsHead, 0x40..) => Some(State::DcsBody),
            (State::DcsHead, _) => Some(State::DcsHead),
            (State::Text, _) => Some(State::Text),
        };
        let Some(next) = next else { return };
        self.state = next;
        if next == State::Text {
            self.pending.clear();
            self.string = 0;
            return;
        }
        self.string += 1;
        if self.pending.len() < PENDING_BYTES_MAX {
            self.pending.push(byte);
        }
    }
}

/// The beginning of a character at the end of `bytes`, empty when there is none. A character has at most 4 bytes.
pub fn cut_character(bytes: &[u8]) -> &[u8] {
    let from = bytes.len().saturating_sub(3);
    let start = (from..bytes.len())
        .rev()
        .find(|i| bytes[*i] >= 0xc0)
        .unwrap_or(bytes.len());
    let tail = &bytes[start..];
    let unfinished = std::str::from_utf8(tail).is_err_and(|e| e.error_len().is_none());
    if unfinished { tail } else { &[] }
}

fn after_escape(byte: u8) -> State {
    match byte {
        0x20..=0x2f => State::EscapeIntermediate,
        b'[' => State::Csi,
        b']' => State::Osc,
        b'P' => State::DcsHead,
        b'X' | b'^' | b'_' => State::Ignored,
        _ => State::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(bytes: &[u8]) -> Vec<u8> {
        let mut whole = StreamPosition::default();
        whole.advance(bytes);
        let mut cut = StreamPosition::default();
        for byte in bytes {
            cut.advance(&[*byte]);
        }
        assert_eq!(whole.pending, cut.pending, "depends on how the bytes are cut");
        whole.pending
    }

    #[test]
    fn what_is_unfinished_is_kept_and_nothing_else() {
        assert_eq!(pending(b"text"), b"");
        assert_eq!(pending(b"text\x1b[31;4"), b"\x1b[31;4");
        assert_eq!(pending(b"text\x1b[31;4mx"), b"");
        assert_eq!(pending(b"\x1b[3\n1"), b"\x1b[31", "the line feed was acted upon");
        assert_eq!(pending(b"\x1b]0;title"), b"\x1b]0;title");
        assert_eq!(pending(b"\x1b]0;title\x1b"), b"\x1b");
        assert_eq!(pending(b"\x1b]0;title\x1b\\"), b"");
        assert_eq!(pending(b"\x1b(\x18"), b"");
        assert_eq!(pending("aé".as_bytes()), b"");
        assert_eq!(pending(b"a\xf0\x9f\x98"), b"\xf0\x9f\x98");
        assert_eq!(pending(b"a\xff\x9f\x98"), b"");
        assert_eq!(pending(b"a\xe2\x82\x1b"), b"\x1b");
    }

    #[test]
    fn a_string_without_end_is_bounded_and_known_to_be_one() {
        let mut position = StreamPosition::default();
        position.advance(b"\x1bPq");
        (0..100).for_each(|_| position.advance(&[b'x'; 1000]));
        assert_eq!(position.pending().len(), PENDING_BYTES_MAX);
        assert!(position.string_len() > 90_000);
        position.advance(b"\x1b\\");
        assert_eq!((position.pending().len(), position.string_len()), (0, 0));
    }
}
