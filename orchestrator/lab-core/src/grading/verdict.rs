//! What became of a try, and when there is another.

use crate::Timestamp;
use std::time::Duration;

/// What a platform's answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is in the gradebook.
    Accepted,
    /// The platform has something newer than what was sent: read what it has.
    Superseded,
    /// Our token is not good (any more).
    Token,
    /// Nothing is wrong with the grade: again later.
    Later {
        code: &'static str,
        detail: String,
        /// The platform asked for so much patience.
        after: Option<Duration>,
    },
    /// It will never be accepted as it is; shown to people.
    Refused { code: &'static str, detail: String },
}

impl Verdict {
    /// [`Verdict::Later`] without a wish of the platform's.
    pub fn later(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Later {
            code,
            detail: detail.into(),
            after: None,
        }
    }

    /// [`Verdict::Refused`].
    pub fn refused(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Refused {
            code,
            detail: detail.into(),
        }
    }
}

/// Most that is kept of what a platform says: a line for a person.
const SAID_CHARS_MAX: usize = 200;

/// What a platform said, as one line for people.
pub(super) fn said(body: &str) -> String {
    let words: Vec<&str> = body.split_whitespace().collect();
    let line = words.join(" ");
    line.chars().filter(|c| !c.is_control()).take(SAID_CHARS_MAX).collect()
}

/// A page for people where data was asked for: a proxy, a sign-in, a maintenance page. The service itself did not answer.
pub(super) fn is_page(body: &str) -> bool {
    body.trim_start().trim_start_matches('\u{feff}').starts_with('<')
}

/// What a status means by itself, where the service's own words do not say more. `None`: success.
pub(super) fn by_status(status: u16, body: &str) -> Option<Verdict> {
    let told = || format!("the platform answers {status}: {}", said(body));
    match status {
        401 => Some(Verdict::Token),
        _ if is_page(body) => Some(Verdict::later(
            "page",
            format!("the platform answers {status} with a page"),
        )),
        200..=299 => None,
        408 | 429 => Some(Verdict::later("busy", told())),
        300..=399 => Some(Verdict::later("redirect", format!("the platform answers {status}"))),
        400..=499 => Some(Verdict::refused("refused", told())),
        _ => Some(Verdict::later("platform-failed", told())),
    }
}

/// First pause at most; doubled with each try.
const RETRY_FIRST: Duration = Duration::from_secs(2);
/// … up to this, which is what a grade waits at most once the platform is back. A day of outage is some 200 tries then (full jitter:
/// half of it on average), by one grade of each platform.
const RETRY_MOST: Duration = Duration::from_mins(15);

/// A pause that a platform may ask for, at most.
pub const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// A grade that could not be sent for so long is given up, and shown: a week has the working day on which somebody mends the platform.
pub const GIVE_UP_AFTER: Duration = Duration::from_hours(7 * 24);

/// After so many tries in a row that came to nothing a platform is asked with one grade at a time, after a pause: it is away, or it is
/// overloaded. Fewer would let one grade that only fails hold up the others.
pub const HELD_AFTER: u32 = 3;

/// The pause before the next try, at most, after `failures` in a row (from 1). Take a random part of it: thousands that were refused at once
/// must not come back at once.
pub fn retry_within(failures: u32) -> Duration {
    let doubled = RETRY_FIRST.saturating_mul(1_u32 << failures.saturating_sub(1).min(16));
    doubled.min(RETRY_MOST)
}

/// The second that the next score of a row carries: now, but later than the last one. Moodle compares whole seconds, Open edX refuses the
/// same time again.
pub fn next_stamp(now: Timestamp, last: i64) -> i64 {
    now.secs().max(last.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_status_means() {
        let code = |status, body: &str| match by_status(status, body) {
            None => "accepted",
            Some(Verdict::Token) => "token",
            Some(Verdict::Later { code, .. } | Verdict::Refused { code, .. }) => code,
            Some(other) => panic!("{other:?}"),
        };
        assert_eq!(
            (code(200, ""), code(201, "{}"), code(204, "")),
            ("accepted", "accepted", "accepted")
        );
        assert_eq!(
            (code(500, ""), code(503, "down"), code(429, "")),
            ("platform-failed", "platform-failed", "busy")
        );
        assert_eq!((code(200, "\n<!doctype html>"), code(404, "<html>")), ("page", "page"));
        assert_eq!(
            (code(404, "{}"), code(400, "x"), code(403, "")),
            ("refused", "refused", "refused")
        );
        assert_eq!((code(401, "<html>"), code(302, "")), ("token", "redirect"));
    }

    #[test]
    fn what_is_said_is_one_short_line() {
        assert_eq!(said("a\r\n  b\tc"), "a b c");
        assert_eq!(said(&"x".repeat(500)).len(), SAID_CHARS_MAX);
    }

    #[test]
    fn pauses_grow_to_a_quarter_of_an_hour() {
        let all: Vec<u64> = (1..=11).map(|n| retry_within(n).as_secs()).collect();
        assert_eq!(all, [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
        assert_eq!(retry_within(u32::MAX), RETRY_MOST);
    }

    proptest! {
        /// Whatever our clock does, the seconds of a row's scores rise.
        #[test]
        fn the_seconds_of_a_row_strictly_rise(clock in prop::collection::vec(0_i64..4_000_000_000_000_000, 1..50)) {
            let mut last = 0;
            for now in clock {
                let stamp = next_stamp(Timestamp(now), last);
                prop_assert!(stamp > last && stamp >= Timestamp(now).secs());
                last = stamp;
            }
        }
    }
}
