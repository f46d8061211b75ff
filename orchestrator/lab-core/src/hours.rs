//! Lab time written in hours, like 2 or 1.5, as the seconds that it is: an exact number of them, or refused.

/// Reads hours, with a point or a comma, as seconds: from `least` seconds to `most` hours.
///
/// # Errors
/// What was found, and what to write.
pub fn seconds(text: &str, least: i64, most: i64) -> Result<i64, String> {
    let range = if least == 0 { "0" } else { "one second" };
    let bad = || format!("found {text:?}; write hours like 2 or 1.5, from {range} to {most}");
    let (whole, part) = text.trim().split_once(['.', ',']).unwrap_or((text.trim(), "0"));
    let digits = |t: &str| !t.is_empty() && t.len() <= DIGITS_MAX && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return Err(bad());
    }
    let (hours, part_of): (i64, i64) = (whole.parse().map_err(|_| bad())?, part.parse().map_err(|_| bad())?);
    // 3600 times nine digits fits thousands of times
    let (parts, all) = (part_of * 3600, 10_i64.pow(part.len() as u32));
    if parts % all != 0 {
        return Err(format!(
            "{text} hours are no whole number of seconds; write a part like .5, .25 or .1 (a second is no decimal part of an hour, 36 of them are .01)"
        ));
    }
    let seconds = hours * 3600 + parts / all;
    if seconds < least || seconds > most * 3600 {
        return Err(bad());
    }
    Ok(seconds)
}

/// Digits before and after the point: more than any limit here, and far below what 64 bits hold of seconds.
const DIGITS_MAX: usize = 9;

/// As it is written: `2`, `1.5`.
pub fn shown(seconds: i64) -> String {
    let text = format!("{}.{:06}", seconds / 3600, seconds % 3600 * 1_000_000 / 3600);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Up to 20,000 hours, for somebody's lab time; none is something too.
///
/// # Errors
/// As of [`seconds`], as are the next.
pub fn any(text: &str) -> Result<i64, String> {
    seconds(text, 0, 20_000)
}

/// Up to 20,000 hours, and some.
pub fn some(text: &str) -> Result<i64, String> {
    seconds(text, 1, 20_000)
}

/// Up to ten million hours, and some, for many people's together.
pub fn many(text: &str) -> Result<i64, String> {
    seconds(text, 1, 10_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_become_the_exact_seconds_or_are_refused() {
        for (text, secs) in [
            ("2", 7200),
            ("1.5", 5400),
            ("1,5", 5400),
            ("0.25", 900),
            ("0.01", 36),
            ("20000", 72_000_000),
            ("1.0", 3600),
            ("0.0025", 9),
        ] {
            assert_eq!(some(text), Ok(secs), "{text}");
        }
        assert_eq!(any("0"), Ok(0));
        for text in [
            "0",
            "0.0",
            "-1",
            "+1",
            "1.",
            ".5",
            "1.5.5",
            "1h",
            "",
            "1e3",
            "20001",
            "20000.5",
            "99999999999999999999",
            "0.33333333333",
        ] {
            let said = some(text).unwrap_err();
            assert!(said.contains("write hours like 2 or 1.5"), "{said}");
        }
        for text in ["0.333", "1.0001", "0.000000001"] {
            let said = some(text).unwrap_err();
            assert!(said.contains("no whole number of seconds"), "{said}");
        }
        for (secs, text) in [(7200, "2"), (5400, "1.5"), (36, "0.01"), (72_000, "20"), (0, "0")] {
            assert_eq!(shown(secs), text);
        }
    }
}
