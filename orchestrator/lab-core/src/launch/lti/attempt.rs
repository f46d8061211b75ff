//! Refused launches, for `labwire lti test` and the page of platforms: what is kept of one, which of them somebody means who asks for a
//! registration, and what they are worth beside what worked.

use super::{Fault, Kind, Registration, RegistrationId};
use crate::{Timestamp, nearest};

/// A launch that was refused, or that went on with something noted, for `labwire lti test`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub at: Timestamp,
    /// Unknown when it could not be told whose it was.
    pub registration: Option<RegistrationId>,
    /// The issuer (LTI 1.3) or consumer key (1.1) that it named, where it got so far; also one that no registration has.
    pub platform: Option<String>,
    /// `1.1` or `1.3`.
    pub version: String,
    pub code: String,
    /// See [`super::Fault::step`].
    pub step: u8,
    pub detail: String,
}

/// What is kept of why a launch was refused: [`super::Fault::because`] says at most 500 characters, which are 500 bytes in most scripts and
/// twice that in the others; the list has room for so many of these and not for a page of each.
const DETAIL_BYTES_MAX: usize = 1024;

/// Why a refused launch is shown to somebody who asks for a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// It was its own.
    Own,
    /// It was nobody's, and names the same platform: a client id that differs, an issuer with a slash more, a key with a letter less.
    NearMiss,
}

impl Attempt {
    /// As it is kept, whoever wrote it: no longer than it may be, and whole characters of it.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        self.detail.truncate(self.detail.floor_char_boundary(DETAIL_BYTES_MAX));
        self
    }

    /// Which of the fifteen steps of LTI 1.3 failed; none of a launch by 1.1, which has not these, and none before the first.
    pub fn failed_step(&self) -> Option<usize> {
        (self.version == "1.3" && self.step > 0 && !self.is_note()).then(|| usize::from(self.step))
    }

    /// Whether the launch went on, and this was only written down of it.
    pub fn is_note(&self) -> bool {
        Fault::ALL.iter().any(|f| f.is_note() && f.code() == self.code)
    }

    /// What was tried, for a sentence: a platform that registers itself launches nothing.
    pub fn what(&self) -> &'static str {
        if self.code.starts_with("lti-register") {
            "registration"
        } else {
            "launch"
        }
    }

    /// Whether it is of a registration, or was perhaps meant to be.
    pub fn concerns(&self, registration: &Registration) -> Option<Concern> {
        if let Some(id) = &self.registration {
            // older ones were of whoever had its name before
            return (*id == registration.id && self.at >= registration.created_at).then_some(Concern::Own);
        }
        let named = self.platform.as_deref()?;
        let near = match &registration.kind {
            Kind::Platform { .. } => registration.kind.is_of_host(named),
            Kind::Consumer { key, .. } => nearest(named, [key.as_str()]).is_some(),
        };
        near.then_some(Concern::NearMiss)
    }
}

/// When a registration last worked, as far as it is kept. That the platform gave us a token is kept nowhere: each grade by LTI 1.3 needed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub registration: RegistrationId,
    /// The newest launch that was taken.
    pub launched_at: Option<Timestamp>,
    /// The newest grade that the platform took.
    pub graded_at: Option<Timestamp>,
    /// Grades on their way.
    pub grades_waiting: u64,
    /// Grades that were refused for good.
    pub grades_failed: u64,
}

/// How a registration's launches stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody came, or what came is not known any more.
    Unseen,
    /// None was taken so far.
    NeverTaken,
    /// The newest was taken, and none that is known was refused.
    Taken,
    /// The newest was taken, after a refusal.
    TakenAgain,
    /// None was taken since the refusal.
    RefusedSince,
}

/// What is known of a registration's launches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History<'a> {
    pub standing: Standing,
    /// Its own newest refusal.
    pub own: Option<&'a Attempt>,
    /// What was last written down of a launch that went on.
    pub noted: Option<&'a Attempt>,
    /// The newest launch of nobody that was perhaps meant for it.
    pub near: Option<&'a Attempt>,
}

impl<'a> History<'a> {
    /// Of `attempts`, newest first, and of when a launch was last taken.
    pub fn of(registration: &Registration, attempts: &'a [Attempt], taken: Option<Timestamp>) -> Self {
        let newest = |concern, note| {
            let mut of = attempts.iter().filter(|a| a.is_note() == note);
            of.find(|a| a.concerns(registration) == Some(concern))
        };
        let known = Self {
            standing: Standing::Unseen,
            own: newest(Concern::Own, false),
            noted: newest(Concern::Own, true),
            near: newest(Concern::NearMiss, false),
        };
        Self {
            standing: Standing::of(taken, known.refused_at()),
            ..known
        }
    }

    /// When the newest of its refusals was.
    pub fn refused_at(&self) -> Option<Timestamp> {
        self.own.into_iter().chain(self.near).map(|a| a.at).max()
    }
}

impl Standing {
    /// By when a launch was last taken, and last refused. A refusal in the same instant is the newer one: to look at it costs less than to
    /// overlook it.
    pub fn of(taken: Option<Timestamp>, refused: Option<Timestamp>) -> Self {
        match (taken, refused) {
            (None, None) => Self::Unseen,
            (None, Some(_)) => Self::NeverTaken,
            (Some(_), None) => Self::Taken,
            (Some(taken), Some(refused)) if taken > refused => Self::TakenAgain,
            (Some(_), Some(_)) => Self::RefusedSince,
        }
    }

    /// As on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unseen => "unseen",
            Self::NeverTaken => "never-taken",
            Self::Taken => "taken",
            Self::TakenAgain => "taken-again",
            Self::RefusedSince => "refused-since",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(registration: Option<&str>, platform: Option<&str>) -> Attempt {
        Attempt {
            at: Timestamp(0),
            registration: registration.map(|r| RegistrationId(r.into())),
            platform: platform.map(Into::into),
            version: "1.3".into(),
            code: "lti-platform-unknown".into(),
            step: 0,
            detail: String::new(),
        }
    }

    #[test]
    fn what_is_kept_of_a_refusal_is_bounded_and_readable() {
        let kept = |detail: String| Attempt {
            detail,
            ..attempt(None, None)
        };
        assert_eq!(kept("é".repeat(600)).bounded().detail, "é".repeat(512));
        assert_eq!(kept(format!("x{}", "é".repeat(600))).bounded().detail.len(), 1023);
        assert_eq!(kept("short".into()).bounded().detail, "short");
    }

    #[test]
    fn a_launch_of_nobody_is_shown_to_whom_it_was_probably_meant_for_and_to_no_other() {
        let of = |kind| Registration {
            id: RegistrationId("fun".into()),
            course: None,
            plan: None,
            created_at: Timestamp(0),
            kind,
        };
        let edx = of(Kind::moodle("https://lms.example.org", "client".into(), vec![]));
        assert_eq!(attempt(Some("fun"), None).concerns(&edx), Some(Concern::Own));
        assert_eq!(
            attempt(Some("other"), Some("https://lms.example.org")).concerns(&edx),
            None
        );
        for near in [
            "https://lms.example.org",
            "https://lms.example.org/",
            "http://LMS.example.org",
        ] {
            assert_eq!(
                attempt(None, Some(near)).concerns(&edx),
                Some(Concern::NearMiss),
                "{near}"
            );
        }
        assert_eq!(attempt(None, Some("https://other.example.org")).concerns(&edx), None);
        assert_eq!(attempt(None, None).concerns(&edx), None);
        let fun = of(Kind::Consumer {
            key: "imt-net101".into(),
            secret: "0123456789abcdef".into(),
        });
        assert_eq!(
            attempt(None, Some("imt-net-101")).concerns(&fun),
            Some(Concern::NearMiss)
        );
        assert_eq!(attempt(None, Some("dakar-sys202")).concerns(&fun), None);
    }

    #[test]
    fn what_was_refused_is_read_with_what_was_taken_since() {
        let edx = Registration {
            id: RegistrationId("edx".into()),
            course: None,
            plan: None,
            created_at: Timestamp(0),
            kind: Kind::moodle("https://lms.example.org", "client".into(), vec![]),
        };
        let of = |secs, registration| Attempt {
            at: Timestamp::from_secs(secs),
            ..attempt(registration, Some("https://lms.example.org"))
        };
        let all = [of(80, None), of(50, Some("edx")), of(40, Some("edx"))];
        let told = |taken: Option<i64>| History::of(&edx, &all, taken.map(Timestamp::from_secs));
        assert_eq!(told(None).standing, Standing::NeverTaken);
        assert_eq!(
            told(Some(60)).standing,
            Standing::RefusedSince,
            "the near miss is newer"
        );
        assert_eq!(told(Some(80)).standing, Standing::RefusedSince);
        assert_eq!(told(Some(81)).standing, Standing::TakenAgain);
        assert_eq!((told(None).own, told(None).near), (Some(&all[1]), Some(&all[0])));
        assert_eq!(told(None).refused_at(), Some(Timestamp::from_secs(80)));
        let noted = Attempt {
            code: "lti-plan-not-offered".into(),
            step: 15,
            ..of(90, Some("edx"))
        };
        let with_note = [noted.clone(), all[1].clone()];
        let known = History::of(&edx, &with_note, Some(Timestamp::from_secs(60)));
        assert_eq!(
            (known.standing, known.own, known.noted),
            (Standing::TakenAgain, Some(&all[1]), Some(&noted)),
            "a launch that went on is no refusal"
        );
        assert_eq!(noted.failed_step(), None);
        let none = History::of(&edx, &[], None);
        assert_eq!((none.standing, none.refused_at()), (Standing::Unseen, None));
        assert_eq!(History::of(&edx, &[], Some(Timestamp(1))).standing, Standing::Taken);
    }
}
