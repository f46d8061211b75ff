//! The name that somebody probably meant who wrote another.

/// Of `known`, the name that `wanted` probably is: one letter in three may be wrong, missing, too much or swapped with the next, and capitals
/// do not count. Of two that are equally near, the first.
pub fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let most = (wanted.chars().count() / 3).max(1);
    let near = known
        .into_iter()
        .map(|name| (strsim::osa_distance(&wanted, &name.to_lowercase()), name))
        .filter(|(letters, _)| *letters <= most);
    near.min_by_key(|(letters, _)| *letters).map(|(_, name)| name)
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
        assert_eq!(
            nearest("nte", ["net", "sys"]),
            Some("net"),
            "two letters swapped are one slip"
        );
    }
}
