//! Which replays of other people's labs are written down already, so that a replay's hundred ranges are one line of the audit log.

use lab_core::{LoginId, SessionId, Timestamp};
use std::{collections::HashMap, sync::Mutex, time::Duration};

/// A line stands for what its actor reads of that recording in so long: a lesson, or a morning of marking. Who comes back after it looks again.
pub(crate) const LOOK_COUNTS: Duration = Duration::from_hours(4);

/// Looks remembered: 200 teachers with 20 replays each. An entry is some 60 bytes, all of them a quarter of a megabyte. When it is full all are
/// forgotten, and each costs one indexed read more.
const LOOKS_MAX: usize = 4096;

/// See the module's doc. What is not in it is asked of the store. Locked to look or to add, and nothing else.
#[derive(Debug, Default)]
pub(crate) struct Looked(Mutex<HashMap<(LoginId, SessionId), Timestamp>>);

impl Looked {
    /// Whether a line was written of it that counts now.
    pub fn has(&self, look: (LoginId, SessionId), now: Timestamp) -> bool {
        let looks = self.0.lock().expect("no holder panics");
        looks.get(&look).is_some_and(|at| counts(*at, now))
    }

    /// A line of this time stands in the audit log.
    pub fn put(&self, look: (LoginId, SessionId), at: Timestamp, now: Timestamp) {
        let mut looks = self.0.lock().expect("no holder panics");
        if looks.len() >= LOOKS_MAX {
            looks.retain(|_, at| counts(*at, now));
            if looks.len() >= LOOKS_MAX {
                looks.clear();
            }
        }
        looks.insert(look, at);
    }
}

/// Whether a line of `at` stands for a read at `now`.
pub(crate) fn counts(at: Timestamp, now: Timestamp) -> bool {
    now < at.plus(LOOK_COUNTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(n: u128) -> (LoginId, SessionId) {
        (LoginId(uuid::Uuid::from_u128(n)), SessionId(uuid::Uuid::from_u128(1)))
    }

    #[test]
    fn a_look_counts_for_a_while_and_for_its_login_and_session_alone() {
        let (looked, begun) = (Looked::default(), Timestamp::from_secs(1000));
        looked.put(look(1), begun, begun);
        assert!(looked.has(look(1), begun.plus(LOOK_COUNTS / 2)));
        assert!(!looked.has(look(1), begun.plus(LOOK_COUNTS)));
        assert!(!looked.has(look(2), begun));
        let other = SessionId(uuid::Uuid::from_u128(2));
        assert!(!looked.has((look(1).0, other), begun));
    }

    #[test]
    fn however_many_look_it_stays_small() {
        let (looked, now) = (Looked::default(), Timestamp::from_secs(1000));
        for n in 0..3 * LOOKS_MAX as u128 {
            looked.put(look(n), now, now);
        }
        assert!(looked.0.lock().unwrap().len() <= LOOKS_MAX);
        assert!(looked.has(look(3 * LOOKS_MAX as u128 - 1), now));
    }
}
