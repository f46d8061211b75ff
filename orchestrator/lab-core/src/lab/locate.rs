//! Finds the line of a field in a YAML text, so that a rule broken by a well-formed file can be named as exactly as a syntax
//! error. The parser knows positions only while it deserialises: so the text is deserialised once more along the path, and
//! stopped at its end by an error, which the parser marks with the line.

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// One step of a field's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// Splits `terminals[2].prompt` into its steps.
fn steps(path: &str) -> Vec<Step> {
    path.split(['.', '['])
        .filter(|p| !p.is_empty())
        .map(|p| match p.strip_suffix(']').and_then(|n| n.parse().ok()) {
            Some(n) => Step::Index(n),
            None => Step::Key(p.to_owned()),
        })
        .collect()
}

/// Line (from 1) of the deepest part of `path` that exists; 1 when none does.
pub(super) fn line_of(text: &str, path: &str) -> usize {
    let all = steps(path);
    (1..=all.len()).rev().find_map(|n| find(text, &all[..n])).unwrap_or(1)
}

/// Line of the second time that a map has the last step of `path`, a key; of the first when there is one only.
pub(super) fn line_of_second(text: &str, path: &str) -> usize {
    seek(text, Seek(&steps(path), 1)).unwrap_or_else(|| line_of(text, path))
}

fn find(text: &str, path: &[Step]) -> Option<usize> {
    seek(text, Seek(path, 0))
}

fn seek(text: &str, seek: Seek<'_>) -> Option<usize> {
    match seek.deserialize(serde_yaml::Deserializer::from_str(text)) {
        Err(e) if e.to_string().contains(FOUND) => e.location().map(|l| l.line()),
        _ => None,
    }
}

const FOUND: &str = "labwire: the field is here";

/// The path that is left, and how many times its last step is passed over.
struct Seek<'p>(&'p [Step], usize);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((Step::Key(want), rest)) = self.0.split_first() else {
            return Err(A::Error::custom(FOUND));
        };
        let mut skip = if rest.is_empty() { self.1 } else { 0 };
        while let Some(key) = map.next_key::<String>()? {
            if key == *want && skip == 0 {
                return map.next_value_seed(Seek(rest, self.1));
            }
            skip -= usize::from(key == *want);
            map.next_value::<IgnoredAny>()?;
        }
        Err(A::Error::custom("not there"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Some((Step::Index(want), rest)) = self.0.split_first() else {
            return Err(A::Error::custom(FOUND));
        };
        for _ in 0..*want {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Err(A::Error::custom("not there"));
            }
        }
        seq.next_element_seed(Seek(rest, self.1))?
            .ok_or_else(|| A::Error::custom("not there"))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        leaf(self.0)
    }
    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        leaf(self.0)
    }
    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        leaf(self.0)
    }
    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        leaf(self.0)
    }
    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        leaf(self.0)
    }
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        leaf(self.0)
    }
}

fn leaf<E: Error>(rest: &[Step]) -> Result<(), E> {
    Err(E::custom(if rest.is_empty() { FOUND } else { "not there" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_on_its_line() {
        let text = "a: 1\nlist:\n  - x: 1\n    y: two\n  - x: 3\n    y:\n      - deep\n";
        assert_eq!(line_of(text, "a"), 1);
        assert_eq!(line_of(text, "list[0].y"), 4);
        assert_eq!(line_of(text, "list[1].y[0]"), 7);
        // what is missing is reported at its nearest parent
        assert_eq!(line_of(text, "list[1].z"), 5);
        assert_eq!(line_of(text, "nothing"), 1);
        let twice = "a: 1\nb:\n  - x: 1\n    y: 2\n    x: 3\na: 4\n";
        assert_eq!(line_of_second(twice, "a"), 6);
        assert_eq!(line_of_second(twice, "b[0].x"), 5);
        assert_eq!(line_of_second(twice, "b[0].y"), 4);
    }
}
