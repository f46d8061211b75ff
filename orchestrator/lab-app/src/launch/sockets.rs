//! How many WebSockets each person has at this server: its places are everybody's.
//!
//! By person and neither by login, of which each click on a link makes one, nor by address, behind which a whole company may be.

use crate::App;
use lab_core::{
    Subject,
    launch::{Login, SOCKETS_A_PERSON_MAX},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};
use tokio_util::sync::CancellationToken;

/// A closed socket takes some seconds to end. A person has at most as many of those as open ones: who opens more meanwhile is refused.
const ENDING_MAX: usize = SOCKETS_A_PERSON_MAX;

/// Open and ending sockets by person; an entry goes with its last socket, so that there are never more than places. Locked to count, and
/// nothing else.
#[derive(Debug, Default)]
pub(crate) struct Sockets(Mutex<HashMap<Subject, Theirs>>);

#[derive(Debug, Default)]
struct Theirs {
    next: u64,
    /// The oldest first.
    all: BTreeMap<u64, CancellationToken>,
}

/// One socket, until it is dropped.
#[derive(Debug)]
pub struct SocketPlace {
    sockets: Arc<Sockets>,
    person: Subject,
    number: u64,
    crowded: CancellationToken,
}

impl SocketPlace {
    /// Ends when this is the oldest of its person's, who opened one too many.
    pub async fn crowded(&self) {
        self.crowded.cancelled().await;
    }
}

impl Drop for SocketPlace {
    fn drop(&mut self) {
        let mut people = self.sockets.0.lock().expect("no holder panics");
        if let Some(theirs) = people.get_mut(&self.person) {
            theirs.all.remove(&self.number);
            if theirs.all.is_empty() {
                people.remove(&self.person);
            }
        }
    }
}

impl Sockets {
    fn place(self: &Arc<Self>, person: &Subject) -> Option<SocketPlace> {
        let mut people = self.0.lock().expect("no holder panics");
        let theirs = people.entry(person.clone()).or_default();
        if theirs.all.len() >= SOCKETS_A_PERSON_MAX + ENDING_MAX {
            return None;
        }
        let open = theirs.all.values().filter(|c| !c.is_cancelled());
        // they are one too many at most: each that came before closed one
        if open.clone().count() >= SOCKETS_A_PERSON_MAX
            && let Some(oldest) = open.clone().next()
        {
            oldest.cancel();
        }
        let (number, crowded) = (theirs.next, CancellationToken::new());
        theirs.next += 1;
        theirs.all.insert(number, crowded.clone());
        Some(SocketPlace {
            sockets: Arc::clone(self),
            person: person.clone(),
            number,
            crowded,
        })
    }
}

impl App {
    /// A place for one WebSocket of a login's person, at the cost of their oldest when they have [`SOCKETS_A_PERSON_MAX`]. None: they open
    /// sockets faster than those end.
    pub fn socket_place(&self, login: &Login) -> Option<SocketPlace> {
        self.sockets.place(&login.subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persons_oldest_socket_gives_way_and_nobody_elses() {
        let sockets = Arc::new(Sockets::default());
        let (ann, tom) = (Subject::from("ann"), Subject::from("tom"));
        let toms = sockets.place(&tom).unwrap();
        let mut anns: Vec<_> = (0..SOCKETS_A_PERSON_MAX + 2)
            .map(|_| sockets.place(&ann).unwrap())
            .collect();
        let closed: Vec<_> = anns.iter().map(|p| p.crowded.is_cancelled()).collect();
        assert!(closed[..2].iter().all(|c| *c) && !closed[2..].iter().any(|c| *c));
        assert!(!toms.crowded.is_cancelled());
        // what was closed and has ended makes room for nobody but itself
        anns.drain(..2);
        anns.pop();
        anns.push(sockets.place(&ann).unwrap());
        assert!(!anns.iter().any(|p| p.crowded.is_cancelled()));
    }

    #[test]
    fn who_opens_them_faster_than_they_end_is_refused_and_what_ended_is_forgotten() {
        let sockets = Arc::new(Sockets::default());
        let ann = Subject::from("ann");
        let all: Vec<_> = std::iter::from_fn(|| sockets.place(&ann)).take(1000).collect();
        assert_eq!(all.len(), SOCKETS_A_PERSON_MAX + ENDING_MAX);
        drop(all);
        assert!(sockets.0.lock().unwrap().is_empty());
        assert!(sockets.place(&ann).is_some());
    }
}
