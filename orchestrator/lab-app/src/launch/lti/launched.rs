//! When a registration's launches last worked, so that `labwire lti test` does not let an old refusal look like today's.

use crate::App;
use lab_core::{Timestamp, launch::lti::RegistrationId};
use std::{collections::HashMap, sync::Mutex, time::Duration};

/// A course of 2,500 that opens its labs within a minute is 40 launches a second, all of one row: it is written once a second by each process.
const WRITTEN_EVERY: Duration = Duration::from_secs(1);

/// What this process wrote last.
#[derive(Default)]
pub(crate) struct LaunchedAt {
    /// As many as there are registrations; locked to look and to note, never while the store is asked.
    written: Mutex<HashMap<RegistrationId, Timestamp>>,
}

impl LaunchedAt {
    /// Whether it is to be written now; whoever is told so writes it.
    fn due(&self, id: &RegistrationId, now: Timestamp) -> bool {
        let mut written = self.written.lock().expect("no holder panics");
        if written.get(id).is_some_and(|last| now.since(*last) < WRITTEN_EVERY) {
            return false;
        }
        written.insert(id.clone(), now);
        true
    }
}

impl App {
    /// A launch was taken. That it cannot be written down is only logged: the launch goes on.
    pub(super) async fn launched(&self, id: &RegistrationId) {
        let now = self.now();
        if self.launched_at.due(id, now)
            && let Err(error) = self.ports.store.lti_launched(id, now).await
        {
            tracing::warn!(code = error.code(), registration = %id, "a launch that worked could not be written down");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_of_one_course_is_written_once_a_second_and_another_course_is_not_held_up() {
        let (kept, fun, edx) = (
            LaunchedAt::default(),
            RegistrationId("fun".into()),
            RegistrationId("edx".into()),
        );
        let at = |ms: u64| Timestamp(0).plus(Duration::from_millis(ms));
        assert!(kept.due(&fun, at(0)) && kept.due(&edx, at(1)));
        assert!((0..1000).step_by(25).all(|ms| !kept.due(&fun, at(ms))));
        assert!(kept.due(&fun, at(1000)) && !kept.due(&edx, at(1000)) && kept.due(&edx, at(1001)));
    }
}
