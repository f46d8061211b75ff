//! Uploads that were not what was sent, as the recordings' storage has them: of every process, and until somebody removes them.

use crate::{App, recording::recording_prefix};
use futures_util::FutureExt;
use lab_core::{
    SessionId,
    port::{Blobs, QUARANTINE_PREFIX},
};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// Sessions named: whoever has more has broken storage, and needs no list.
pub const QUARANTINED_SHOWN: usize = 20;

/// A page that is open asks every few seconds, and a bucket is paid by the list: it is asked so often.
pub(super) const LOOK_EVERY: Duration = Duration::from_mins(1);

/// A list of a folder that is empty, or nearly so.
const LIST_WITHIN: Duration = Duration::from_secs(5);

/// What lies in quarantine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quarantine {
    /// Objects.
    pub objects: usize,
    /// Of which sessions, those with the most first, at most [`QUARANTINED_SHOWN`].
    pub sessions: Vec<Quarantined>,
}

/// One session's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    pub session: SessionId,
    pub objects: usize,
}

impl Quarantined {
    /// Their keys begin with this.
    pub fn prefix(&self) -> String {
        format!("{QUARANTINE_PREFIX}{}", recording_prefix(self.session))
    }
}

impl Quarantine {
    /// Of keys like `quarantine/recordings/<session>/…`. What is named otherwise is counted only.
    fn of(keys: &[String]) -> Self {
        let mut by_session: HashMap<SessionId, usize> = HashMap::new();
        for key in keys {
            // the session is the folder, as the recorder names its objects
            let session = key.rsplit('/').nth(1).and_then(|folder| folder.parse().ok());
            if let Some(session) = session {
                *by_session.entry(session).or_default() += 1;
            }
        }
        let mut sessions: Vec<Quarantined> = by_session
            .into_iter()
            .map(|(session, objects)| Quarantined { session, objects })
            .collect();
        sessions.sort_by_key(|q| (std::cmp::Reverse(q.objects), q.session));
        sessions.truncate(QUARANTINED_SHOWN);
        Self {
            objects: keys.len(),
            sessions,
        }
    }
}

impl App {
    /// What lies in quarantine, as it was at most a minute ago; or the code of why the storage does not say.
    pub(super) async fn quarantine(&self) -> Result<Arc<Quarantine>, &'static str> {
        let blobs = Arc::clone(&self.ports.blobs);
        let ask = || async move { look(blobs.as_ref()).await.map(Arc::new) }.boxed();
        let now_us = self.ports.clock.monotonic_us();
        self.operations.quarantine.get(now_us, ask).await
    }
}

async fn look(blobs: &dyn Blobs) -> Result<Quarantine, &'static str> {
    match tokio::time::timeout(LIST_WITHIN, blobs.list(QUARANTINE_PREFIX)).await {
        Ok(Ok(keys)) => Ok(Quarantine::of(&keys)),
        Ok(Err(error)) => Err(error.code()),
        Err(_) => Err("blobs-slow"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn the_sessions_with_the_most_come_first_and_whatever_lies_there_is_counted() {
        let id = |n: u128| SessionId(Uuid::from_u128(n));
        let mut keys: Vec<String> = (1..=30)
            .map(|n| format!("quarantine/recordings/{}/0-1-1", id(n)))
            .collect();
        keys.push(format!("quarantine/recordings/{}/1-2-1", id(7)));
        keys.push("quarantine/recordings/surprise".into());
        let found = Quarantine::of(&keys);
        assert_eq!((found.objects, found.sessions.len()), (32, QUARANTINED_SHOWN));
        let (first, second) = (&found.sessions[0], &found.sessions[1]);
        assert_eq!((first.session, first.objects), (id(7), 2));
        assert_eq!((second.session, second.objects), (id(1), 1));
    }
}
