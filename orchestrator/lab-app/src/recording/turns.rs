//! How much of a replica goes into reading recordings, whoever asks: so many are read at once, of one person fewer, and of all of them one
//! works at a time.
//!
//! A place is for as long as the file is read, which may be hours behind a slow line; a turn is for a chunk or a piece. So who reads slowly
//! holds a place and keeps nobody from working.

use crate::AppError;
use lab_core::{Subject, port::ErrorKind};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit},
    time::timeout,
};

/// Exports under way in a replica. Each has a chunk (2 MiB; 8 MiB after an outage of the store) and a piece (1 MiB at most) in memory: 144 MiB
/// of the chart's 1 GiB, if all of them are of that kind.
pub const EXPORTS_MAX: usize = 16;

/// Indexes that are made at once: a chunk, marks and their text, and the answer of those: some 40 MiB each.
pub const INDEXES_MAX: usize = 4;

/// Ranges of journals under way: each is a chunk at most that is held until it is sent, 128 MiB together. A replay asks for one after the other.
pub const RANGES_MAX: usize = 16;

/// Of one person: a replay in one tab and one in another, or two files that are saved one after the other.
pub const READS_EACH: usize = 2;

/// Who finds no place waits so long: longer than an index of an hour's lab takes, shorter than anybody looks at a page that does nothing.
pub const PLACE_WAIT_MAX: Duration = Duration::from_secs(5);

/// Work at once. A turn is 10 ms at most (2 MiB are decoded at some 200 MB/s), so that one core is enough for everybody, and all others are
/// left to terminals.
const TURNS: usize = 1;

/// Places of one kind.
#[derive(Debug)]
pub(super) struct Places {
    all: Arc<Semaphore>,
    /// Those who read or wait; no others. Locked to find one's own, and nothing else.
    people: Mutex<HashMap<Subject, Arc<Semaphore>>>,
}

/// Held while a recording is read.
#[derive(Debug)]
pub(super) struct Place {
    _own: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Places {
    fn new(most: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(most)),
            people: Mutex::default(),
        }
    }

    /// Waits for a place, for [`PLACE_WAIT_MAX`].
    ///
    /// # Errors
    /// `recordings-busy`.
    pub async fn enter(&self, reader: &Subject) -> Result<Place, AppError> {
        let own = self.of(reader);
        let place = async {
            // one's own first: who waits for themselves takes nothing from others
            let own = own.acquire_owned().await.ok()?;
            let of_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
            Some(Place {
                _own: own,
                _of_all: of_all,
            })
        };
        timeout(PLACE_WAIT_MAX, place).await.ok().flatten().ok_or_else(busy)
    }

    fn of(&self, reader: &Subject) -> Arc<Semaphore> {
        let mut people = self.people.lock().expect("no holder panics");
        // who reads or waits holds theirs
        people.retain(|_, own| Arc::strong_count(own) > 1);
        let own = people.entry(reader.clone());
        Arc::clone(own.or_insert_with(|| Arc::new(Semaphore::new(READS_EACH))))
    }
}

/// See the module's doc.
#[derive(Debug)]
pub(super) struct Turns {
    pub exports: Places,
    pub indexes: Places,
    pub ranges: Places,
    work: Semaphore,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            exports: Places::new(EXPORTS_MAX),
            indexes: Places::new(INDEXES_MAX),
            ranges: Places::new(RANGES_MAX),
            work: Semaphore::new(TURNS),
        }
    }
}

impl Turns {
    /// Waits until it is one's turn: as long as those take who came before, which have places.
    pub async fn work(&self) -> Option<SemaphorePermit<'_>> {
        // none only where it was closed, which nobody does
        self.work.acquire().await.ok()
    }
}

fn busy() -> AppError {
    AppError::refused(
        ErrorKind::Unavailable,
        "recordings-busy",
        "many recordings are being read at the moment",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_person_reads_two_at_once_and_keeps_nobody_else_out() {
        let places = Places::new(4);
        let (ana, ben) = (Subject::from("ana"), Subject::from("ben"));
        let first = places.enter(&ana).await.unwrap();
        let _second = places.enter(&ana).await.unwrap();
        let refused = places.enter(&ana).await.unwrap_err();
        assert_eq!(
            (refused.code(), refused.kind()),
            ("recordings-busy", ErrorKind::Unavailable)
        );
        let _others = [places.enter(&ben).await.unwrap(), places.enter(&ben).await.unwrap()];
        // a place that is given back is somebody's who waits
        let waits = places.enter(&ana);
        let frees = async {
            tokio::time::sleep(PLACE_WAIT_MAX / 2).await;
            drop(first);
        };
        let (entered, ()) = tokio::join!(waits, frees);
        entered.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn all_together_have_so_many_places_and_who_has_gone_is_not_remembered() {
        let places = Places::new(3);
        let mut held = Vec::new();
        for n in 0..3 {
            held.push(places.enter(&Subject(format!("learner-{n}"))).await.unwrap());
        }
        assert_eq!(
            places.enter(&Subject::from("late")).await.unwrap_err().code(),
            "recordings-busy"
        );
        held.clear();
        places.enter(&Subject::from("late")).await.unwrap();
        assert_eq!(places.people.lock().unwrap().len(), 1);
    }
}
