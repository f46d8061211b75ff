//! What the watches have shown, by name. One task owns it.
//!
//! Sights arrive late and out of step: what a request of ours answered may be newer than what the watch shows next. So an older version of the
//! same object never replaces a newer one, and nothing is concluded from absence alone (see `reconcile.rs`, `keep`).

use super::{
    pod_view::{PodFacts, version},
    queue::Key,
    reconcile::{Known, trim},
};
use crate::api::{LabSandbox, Phase};
use kube::ResourceExt;
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// What a sight means for the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    Nothing,
    Changed,
    /// It is to be deleted, or its spec is another: earlier failures mean nothing.
    Afresh,
    /// Its pod went, so a place is free.
    PodGone,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct World {
    known: HashMap<Key, Known>,
}

impl World {
    /// The key of a name; the one that is there already, so that each name is kept once.
    pub fn key(&self, name: &str) -> Key {
        self.known
            .get_key_value(name)
            .map_or_else(|| Key::from(name), |(key, _)| Arc::clone(key))
    }

    /// A copy to work with.
    pub fn known(&self, key: &Key) -> Known {
        self.known.get(key).cloned().unwrap_or_default()
    }

    pub fn object_seen(&mut self, mut object: LabSandbox) -> (Key, Touch) {
        trim(&mut object);
        let key = self.key(&object.name_any());
        let known = self.known.entry(Arc::clone(&key)).or_default();
        let touch = match &known.object {
            Some(old) if old.uid() == object.uid() && seen(old) >= seen(&object) => Touch::Nothing,
            Some(old) if old.uid() != object.uid() => Touch::Afresh,
            Some(old) if old.metadata.deletion_timestamp != object.metadata.deletion_timestamp => Touch::Afresh,
            Some(old) if old.metadata.generation != object.metadata.generation => Touch::Afresh,
            _ => Touch::Changed,
        };
        if touch != Touch::Nothing {
            if known.object.as_ref().is_some_and(|old| old.uid() != object.uid()) {
                (known.fingerprint, known.told) = (None, None);
            }
            known.object = Some(Arc::new(object));
        }
        (key, touch)
    }

    pub fn object_gone(&mut self, name: &str) {
        let key = self.key(name);
        if let Some(known) = self.known.get_mut(&key) {
            known.object = None;
            (known.fingerprint, known.told) = (None, None);
        }
        self.forget(&key);
    }

    pub fn pod_seen(&mut self, name: &str, pod: PodFacts) -> (Key, Touch) {
        let key = self.key(name);
        let known = self.known.entry(Arc::clone(&key)).or_default();
        let touch = match &known.pod {
            Some(old) if old.uid == pod.uid && old.version >= pod.version => Touch::Nothing,
            // its place in a quota is free from here on
            Some(old) if !old.ended() && pod.ended() => Touch::PodGone,
            _ => Touch::Changed,
        };
        if touch != Touch::Nothing {
            known.pod = Some(pod);
        }
        (key, touch)
    }

    pub fn pod_gone(&mut self, name: &str) -> (Key, Touch) {
        let key = self.key(name);
        let mut had = false;
        if let Some(known) = self.known.get_mut(&key) {
            had = known.pod.take().is_some();
            known.pods_gone += 1;
        }
        self.forget(&key);
        (key, if had { Touch::PodGone } else { Touch::Nothing })
    }

    pub fn policy_seen(&mut self, name: &str) {
        let key = self.key(name);
        self.known.entry(key).or_default().policy = true;
    }

    pub fn policy_gone(&mut self, name: &str) -> (Key, Touch) {
        let key = self.key(name);
        if let Some(known) = self.known.get_mut(&key) {
            known.policy = false;
        }
        self.forget(&key);
        (key, Touch::Changed)
    }

    /// What a look learned, unless the watches have shown newer things since.
    pub fn learned(&mut self, key: &Key, learned: Known) {
        let Some(known) = self.known.get_mut(key) else { return };
        if let (Some(now), Some(object)) = (&known.object, &learned.object)
            && now.uid() == object.uid()
        {
            (known.fingerprint, known.told) = (learned.fingerprint, learned.told);
            if seen(object) > seen(now) {
                known.object = learned.object;
            }
        }
        // a pod that went while we looked is gone, whatever an answer said of it before
        if let Some(pod) = learned.pod
            && known.pods_gone == learned.pods_gone
            && known
                .pod
                .as_ref()
                .is_none_or(|now| now.uid == pod.uid && now.version < pod.version)
        {
            known.pod = Some(pod);
        }
        known.policy |= learned.policy && known.object.is_some();
    }

    /// Names of everything of one kind, to compare with a complete list.
    pub fn names(&self, of: impl Fn(&Known) -> bool) -> HashSet<Key> {
        self.known
            .iter()
            .filter(|(_, k)| of(k))
            .map(|(key, _)| Arc::clone(key))
            .collect()
    }

    fn forget(&mut self, key: &Key) {
        let empty = self
            .known
            .get(key)
            .is_some_and(|k| k.object.is_none() && k.pod.is_none() && !k.policy);
        if empty {
            self.known.remove(key);
        }
    }

    /// How many sandboxes are in each phase.
    pub fn phases(&self) -> [usize; Phase::ALL.len()] {
        let mut counts = [0; Phase::ALL.len()];
        for object in self.known.values().filter_map(|k| k.object.as_ref()) {
            counts[object.phase() as usize] += 1;
        }
        counts
    }
}

fn seen(object: &LabSandbox) -> u64 {
    version(object.metadata.resource_version.as_deref())
}
