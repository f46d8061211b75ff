//! The name that somebody probably meant who wrote another.

/// Of `known`, the name that `wanted` probably is: one letter in three may be wrong, and capitals do not count. Of two that are equally near,
/// the first.
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let most = (wanted.chars().count() / 3).max(1);
    let near = known
        .into_iter()
        .map(|name| (distance(&wanted, &name.to_lowercase()), name))
        .filter(|(letters, _)| *letters <= most);
    near.min_by_key(|(letters, _)| *letters).map(|(_, name)| name)
}

/// Letters to add, drop or change to make one of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let changed = corner + usize::from(from != *to);
            corner = row[j + 1];
            row[j + 1] = changed.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_what_was_meant_and_another_word_finds_nothing() {
        let zones = ["Europe/Paris", "Europe/Prague", "Africa/Dakar"];
        assert_eq!(nearest("Europe/Pariss", zones), Some("Europe/Paris"));
        assert_eq!(nearest("europe/paris", zones), Some("Europe/Paris"));
        assert_eq!(nearest("Dakar", zones), None);
        assert_eq!(nearest("nett", ["net", "sys"]), Some("net"));
        assert_eq!(nearest("x", ["yz"]), None);
        assert_eq!(nearest("", ["net"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
