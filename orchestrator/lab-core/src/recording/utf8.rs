//! Bytes to text, across any cut: an incomplete character waits for its rest, an invalid one becomes U+FFFD.

/// Keeps the tail of a character between pieces.
#[derive(Clone, Debug, Default)]
pub struct Utf8Stream {
    tail: Vec<u8>,
}

impl Utf8Stream {
    /// Text of everything that is complete now.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.tail.extend_from_slice(bytes);
        let mut out = String::with_capacity(self.tail.len());
        let mut rest = &self.tail[..];
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    out.push_str(text);
                    rest = &[];
                    break;
                }
                Err(e) => {
                    let (valid, after) = rest.split_at(e.valid_up_to());
                    out.push_str(std::str::from_utf8(valid).expect("checked by from_utf8"));
                    rest = after;
                    // no length: the text ends inside a character that may still come
                    let Some(bad) = e.error_len() else { break };
                    out.push('\u{fffd}');
                    rest = &rest[bad..];
                }
            }
        }
        let kept = rest.len();
        self.tail.drain(..self.tail.len() - kept);
        out
    }

    /// The end: what still waits was never completed.
    pub fn finish(&mut self) -> String {
        if std::mem::take(&mut self.tail).is_empty() {
            String::new()
        } else {
            '\u{fffd}'.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_cut_gives_the_text_of_the_whole(bytes in proptest::collection::vec(any::<u8>(), 0..80), cut in 0usize..80) {
            let cut = cut.min(bytes.len());
            let mut stream = Utf8Stream::default();
            let text = stream.push(&bytes[..cut]) + &stream.push(&bytes[cut..]) + &stream.finish();
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }
}
