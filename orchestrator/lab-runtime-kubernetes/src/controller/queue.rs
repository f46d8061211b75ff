//! Which object is looked at next. Pure: time is given.
//!
//! `kube`'s own controller looks at an object again at every change of it, however often it has just failed. Here a failed object keeps its
//! wait: changes only mark it, so a broken one costs a look per wait and never more, and its depth can be measured.
//!
//! ```text
//!  touched ──► ready (each key once, oldest first) ──take──► at work ──done──► forgotten │ later at │ ready, if touched meanwhile
//!     │                                                         │ failed
//!     └── while it waits after a failure: nothing               └─► delayed (wait doubles) ──time──► ready
//! ```

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// Name of an object.
pub(crate) type Key = Arc<str>;

#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one fact of its own: 'touched' and 'ready' and 'at work' come in every combination"
)]
struct State {
    /// In `ready`.
    ready: bool,
    /// Taken and not done.
    at_work: bool,
    /// Touched while at work.
    again: bool,
    /// Touched afresh while at work: not even a failure makes it wait.
    afresh: bool,
    /// In `delayed`, at this time.
    due: Option<Instant>,
    /// Failures in a row.
    failures: u32,
    /// The last failure was a quota's.
    quota: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    ready: VecDeque<Key>,
    delayed: BTreeSet<(Instant, Key)>,
    /// Those that wait for a quota, oldest failure first.
    quota: VecDeque<Key>,
    states: HashMap<Key, State>,
}

/// How a look at an object ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// Nothing to do until it changes.
    Settled,
    /// Look again after this, even if nothing changes.
    After(Duration),
    /// Failed; `wait` is for how long, `quota` whether a freed place may shorten it.
    Failed { wait: Duration, quota: bool },
}

impl Queue {
    /// The object changed.
    pub fn touch(&mut self, key: &Key) {
        let state = self.states.entry(Arc::clone(key)).or_default();
        if state.at_work {
            state.again = true;
        } else if !state.ready && state.failures == 0 {
            self.make_ready(key);
        }
    }

    /// The object changed in a way that makes an earlier failure meaningless: it is to be deleted, or its spec is another one.
    pub fn touch_afresh(&mut self, key: &Key) {
        let state = self.states.entry(Arc::clone(key)).or_default();
        state.failures = 0;
        state.afresh = state.at_work;
        self.touch(key);
    }

    /// A pod went: the one that waits longest for a quota may have its place.
    pub fn place_freed(&mut self) {
        while let Some(key) = self.quota.pop_front() {
            let Some(state) = self.states.get_mut(&key).filter(|s| s.quota) else {
                continue;
            };
            // when it fails again it stands in line again, at the end
            state.quota = false;
            if state.due.is_some() {
                self.make_ready(&key);
                return;
            }
        }
    }

    fn make_ready(&mut self, key: &Key) {
        let state = self.states.entry(Arc::clone(key)).or_default();
        if let Some(due) = state.due.take() {
            self.delayed.remove(&(due, Arc::clone(key)));
        }
        if !state.ready {
            state.ready = true;
            self.ready.push_back(Arc::clone(key));
        }
    }

    /// The next object to look at, if one is due.
    pub fn take(&mut self, now: Instant) -> Option<Key> {
        while self.delayed.first().is_some_and(|(due, _)| *due <= now) {
            let (_, key) = self.delayed.pop_first()?;
            let state = self.states.entry(Arc::clone(&key)).or_default();
            state.due = None;
            self.make_ready(&key);
        }
        let key = self.ready.pop_front()?;
        let state = self.states.entry(Arc::clone(&key)).or_default();
        state.ready = false;
        state.at_work = true;
        state.again = false;
        state.afresh = false;
        Some(key)
    }

    /// When the first delayed one is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.delayed.first().map(|(due, _)| *due)
    }

    /// Failures in a row of an object.
    pub fn failures(&self, key: &Key) -> u32 {
        self.states.get(key).map_or(0, |s| s.failures)
    }

    /// The look at `key` failed, but got further than the last one: its wait begins again from the shortest.
    pub fn forgive(&mut self, key: &Key) {
        if let Some(state) = self.states.get_mut(key) {
            state.failures = 0;
        }
    }

    /// The look at `key` ended.
    pub fn done(&mut self, key: &Key, how: Done, now: Instant) {
        let Some(state) = self.states.get_mut(key) else { return };
        state.at_work = false;
        let (wait, failed) = match how {
            Done::Settled => (None, false),
            Done::After(wait) => (Some(wait), false),
            Done::Failed { wait, quota } => {
                if quota && !state.quota {
                    self.quota.push_back(Arc::clone(key));
                }
                state.quota = quota;
                (Some(spread(key, state.failures, wait)), true)
            }
        };
        if failed {
            state.failures = state.failures.saturating_add(1);
        } else {
            state.failures = 0;
            state.quota = false;
        }
        if state.afresh || (state.again && !failed) {
            self.make_ready(key);
        } else if let Some(wait) = wait {
            let due = now + wait;
            state.due = Some(due);
            self.delayed.insert((due, Arc::clone(key)));
        } else {
            self.states.remove(key);
        }
    }

    /// (ready now, delayed)
    pub fn depth(&self) -> (usize, usize) {
        (self.ready.len(), self.delayed.len())
    }
}

/// A wait, longer by up to a quarter: objects that failed together must not come back together. Never shorter, as an API server may have asked
/// for it; and the same for the same key and attempt, so that tests and people can tell.
fn spread(key: &Key, attempt: u32, wait: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    (key, attempt).hash(&mut hasher);
    wait + wait.mul_f64((hasher.finish() % 1_000) as f64 / 4_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(name: &str) -> Key {
        name.into()
    }

    fn failed(wait: Duration) -> Done {
        Done::Failed { wait, quota: false }
    }

    #[test]
    fn many_changes_are_one_look() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for _ in 0..5 {
            queue.touch(&key("a"));
        }
        queue.touch(&key("b"));
        assert_eq!(queue.take(now), Some(key("a")));
        assert_eq!(queue.take(now), Some(key("b")));
        assert_eq!(queue.take(now), None);
    }

    #[test]
    fn an_object_is_never_at_work_twice_and_no_change_is_forgotten() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.touch(&key("a"));
        queue.take(now).unwrap();
        queue.touch(&key("a"));
        assert_eq!(queue.take(now), None, "it is at work");
        queue.done(&key("a"), Done::Settled, now);
        assert_eq!(queue.take(now), Some(key("a")), "it changed meanwhile");
        queue.done(&key("a"), Done::Settled, now);
        assert_eq!(queue.take(now), None);
        assert!(queue.states.is_empty(), "a settled object is not remembered");
    }

    #[test]
    fn a_failed_object_waits_whatever_happens_to_it() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.touch(&key("a"));
        queue.take(now).unwrap();
        queue.touch(&key("a"));
        queue.done(&key("a"), failed(SECOND), now);
        for _ in 0..100 {
            queue.touch(&key("a"));
            assert_eq!(queue.take(now), None);
        }
        assert_eq!(queue.take(now + SECOND.mul_f64(0.99)), None);
        assert_eq!(queue.take(now + SECOND.mul_f64(1.25)), Some(key("a")));
        assert_eq!(queue.failures(&key("a")), 1);
    }

    #[test]
    fn a_deletion_does_not_wait_for_an_old_failure() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.touch(&key("a"));
        queue.take(now).unwrap();
        queue.done(&key("a"), failed(300 * SECOND), now);
        queue.touch_afresh(&key("a"));
        assert_eq!(queue.take(now), Some(key("a")));
        assert_eq!(queue.next_due(), None);
        // nor for one that is just happening
        queue.touch_afresh(&key("a"));
        queue.done(&key("a"), failed(300 * SECOND), now);
        assert_eq!(queue.take(now), Some(key("a")));
    }

    #[test]
    fn a_freed_place_goes_to_who_waits_longest_for_the_quota() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for name in ["other", "first", "second"] {
            queue.touch(&key(name));
            queue.take(now).unwrap();
            let quota = name != "other";
            queue.done(
                &key(name),
                Done::Failed {
                    wait: 60 * SECOND,
                    quota,
                },
                now,
            );
        }
        queue.place_freed();
        assert_eq!(queue.take(now), Some(key("first")));
        assert_eq!(queue.take(now), None);
        // it did not get it after all: it waits on, behind the second
        queue.done(
            &key("first"),
            Done::Failed {
                wait: 60 * SECOND,
                quota: true,
            },
            now,
        );
        queue.place_freed();
        assert_eq!(queue.take(now), Some(key("second")));
    }

    #[test]
    fn those_that_fail_together_do_not_come_back_together() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for n in 0..100 {
            let key = key(&n.to_string());
            queue.touch(&key);
            queue.take(now).unwrap();
            queue.done(&key, failed(SECOND), now);
        }
        let due: BTreeSet<Instant> = queue.delayed.iter().map(|(due, _)| *due).collect();
        assert!(due.len() > 80, "{}", due.len());
        assert!(due.iter().all(|due| *due >= now + SECOND), "never earlier than asked");
    }
}
