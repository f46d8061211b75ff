//! Reads a YAML mapping key by key and remembers every problem instead of stopping at the first.

use super::Problem;
use serde_yaml::{Mapping, Value};

/// A mapping being read, and where it stands in the file.
pub(super) struct Section {
    path: String,
    map: Mapping,
    /// Keys that were asked for: what is left in `map` at the end is none of these.
    known: Vec<&'static str>,
}

impl Section {
    /// `value` as the mapping at `path` (empty for the whole file). Nothing counts as an empty one.
    pub fn open(path: &str, value: Value, problems: &mut Vec<Problem>) -> Self {
        let map = match value {
            Value::Mapping(map) => map,
            Value::Null => Mapping::new(),
            other => {
                let key = if path.is_empty() {
                    "(file)".to_owned()
                } else {
                    path.to_owned()
                };
                problems.push(Problem {
                    key,
                    found: shown(&other),
                    remedy: "write a mapping of settings here".into(),
                });
                Mapping::new()
            }
        };
        Self {
            path: path.to_owned(),
            map,
            known: Vec::new(),
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Takes a key's value; null is the same as not there.
    pub fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.map.remove(key).filter(|v| !v.is_null())
    }

    /// A nested mapping.
    pub fn section(&mut self, key: &'static str, problems: &mut Vec<Problem>) -> Section {
        let path = self.path_of(key);
        let value = self.take(key).unwrap_or(Value::Null);
        Section::open(&path, value, problems)
    }

    /// A value that `parse` understands; `above` (a flag or a variable) comes first. Scalars are handed over as text.
    pub fn parsed<T>(
        &mut self,
        key: &'static str,
        above: Option<String>,
        remedy: &str,
        problems: &mut Vec<Problem>,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let below = self.take(key);
        let text = match (above, below) {
            (Some(text), _) | (None, Some(Value::String(text))) => text,
            (None, Some(Value::Bool(b))) => b.to_string(),
            (None, Some(Value::Number(n))) => n.to_string(),
            (None, Some(other)) => {
                problems.push(Problem {
                    key: self.path_of(key),
                    found: shown(&other),
                    remedy: remedy.to_owned(),
                });
                return None;
            }
            (None, None) => return None,
        };
        let parsed = parse(text.trim());
        if parsed.is_none() {
            problems.push(Problem {
                key: self.path_of(key),
                found: format!("{text:?}"),
                remedy: remedy.to_owned(),
            });
        }
        parsed
    }

    /// Text that must not be shown.
    pub fn secret(&mut self, key: &'static str, problems: &mut Vec<Problem>) -> Option<secrecy::SecretString> {
        if let Value::String(text) = self.take(key)? {
            Some(text.into())
        } else {
            let remedy = "write it as text, in quotes".to_owned();
            problems.push(Problem {
                key: self.path_of(key),
                found: "something else than text".into(),
                remedy,
            });
            None
        }
    }

    /// A list, each item with its own path.
    pub fn list(&mut self, key: &'static str, problems: &mut Vec<Problem>) -> Vec<(String, Value)> {
        let path = self.path_of(key);
        match self.take(key) {
            None => Vec::new(),
            Some(Value::Sequence(items)) => items
                .into_iter()
                .enumerate()
                .map(|(n, v)| (format!("{path}[{n}]"), v))
                .collect(),
            Some(other) => {
                problems.push(Problem {
                    key: path,
                    found: shown(&other),
                    remedy: "write a list here".into(),
                });
                Vec::new()
            }
        }
    }

    /// Refuses what nobody asked for.
    pub fn close(self, problems: &mut Vec<Problem>) {
        for key in self.map.keys() {
            let name = key.as_str().map_or_else(|| shown(key), str::to_owned);
            problems.push(Problem {
                key: self.path_of(&name),
                found: "a key that is not known".into(),
                remedy: format!("remove it, or use one of: {}", self.known.join(", ")),
            });
        }
    }
}

/// A value on one line, cut: enough to find it again.
pub(super) fn shown(value: &Value) -> String {
    let text = serde_yaml::to_string(value).unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let cut: String = line.chars().take(60).collect();
    if cut.len() < text.trim_end().len() {
        format!("{cut} …")
    } else {
        cut
    }
}

/// Units of bytes, largest first.
const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Bytes. With a unit, since tools that write YAML make `1.073741824e+09` of a large number.
pub(super) fn size(s: &str) -> Option<u64> {
    let (number, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| Some((s.strip_suffix(name)?, *unit)))
        .unwrap_or((s, 1));
    number.trim_end().parse::<u64>().ok()?.checked_mul(unit)
}

/// The same, as people write it.
pub(super) fn shown_size(bytes: u64) -> String {
    let fits = UNITS
        .iter()
        .find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    fits.map_or_else(|| bytes.to_string(), |(name, unit)| format!("{}{name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them_and_shown_so() {
        for (text, bytes) in [
            ("1GiB", 1 << 30),
            ("512 MiB", 512 << 20),
            ("3KiB", 3072),
            ("1000", 1000),
        ] {
            assert_eq!(size(text), Some(bytes), "{text}");
            assert_eq!(size(&shown_size(bytes)), Some(bytes), "{text}");
        }
        assert_eq!((shown_size(1 << 30), shown_size(1000)), ("1GiB".into(), "1000".into()));
        for wrong in ["", "GiB", "1GB", "-1", "1.5GiB", "1.073741824e+09", "99999999999GiB"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }
}
