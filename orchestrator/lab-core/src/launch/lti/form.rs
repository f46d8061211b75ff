//! Forms and query strings, as pairs in the order they came; what an OAuth signature is made of.

use std::fmt::Write as _;

/// Decoded names and values of a form or a query string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(pub Vec<(String, String)>);

/// A platform sends about 40; a thousand is no launch.
const PARAMS_MAX: usize = 1000;

impl Params {
    /// Reads `application/x-www-form-urlencoded`. `None` when it is not UTF-8, has a broken escape, or too many parts.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('&').filter(|p| !p.is_empty()).take(PARAMS_MAX + 1).collect();
        if parts.len() > PARAMS_MAX {
            return None;
        }
        let pair = |part: &&str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Some((decode(name)?, decode(value)?))
        };
        parts.iter().map(pair).collect::<Option<Vec<_>>>().map(Self)
    }

    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// [`Params::get`], unless it is empty: platforms send empty values for what they do not know.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|v| !v.is_empty())
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(b) = rest.next() {
        bytes.push(match b {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (hex(rest.next()?)?, hex(rest.next()?)?);
                high << 4 | low
            }
            b => b,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|d| d as u8)
}

/// RFC 3986: everything but letters, digits and `-._~`, byte by byte, in upper-case digits; what OAuth 1.0 asks for.
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "%{b:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_empty_values_and_repeats_are_kept() {
        let p = Params::parse("a=1&b=&name=Zo%C3%AB+%26+co&a=2&c").unwrap();
        let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
        assert_eq!(
            p.0,
            [
                pair("a", "1"),
                pair("b", ""),
                pair("name", "Zoë & co"),
                pair("a", "2"),
                pair("c", "")
            ]
        );
        assert_eq!((p.get("a"), p.get("b"), p.filled("b")), (Some("1"), Some(""), None));
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for bad in ["a=%", "a=%4", "a=%zz", "a=%ff"] {
            assert_eq!(Params::parse(bad), None, "{bad}");
        }
        assert_eq!(Params::parse(&"a=1&".repeat(PARAMS_MAX + 1)), None);
        assert_eq!(Params::parse("").unwrap().0, []);
    }

    #[test]
    fn encoding_is_that_of_rfc_3986() {
        assert_eq!(percent_encode("a-._~Z0"), "a-._~Z0");
        assert_eq!(percent_encode("é &+*'/"), "%C3%A9%20%26%2B%2A%27%2F");
    }
}
