//! Planned failures: what a fake refuses, and whether it had done the work before it refused.

use std::{collections::HashMap, sync::Mutex};

/// When a planned failure strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    /// Nothing was done.
    Before,
    /// It was done, and the caller is told that it failed: the answer was lost on the way.
    After,
}

/// Failures planned per operation name, consumed one by one.
#[derive(Debug, Default)]
pub struct Faults {
    plan: Mutex<HashMap<&'static str, Vec<Strike>>>,
    always: Mutex<HashMap<&'static str, Strike>>,
    calls: Mutex<HashMap<&'static str, u64>>,
}

/// What a fake says when a planned failure strikes.
#[derive(Debug, thiserror::Error)]
#[error("planned failure")]
pub struct Planned;

impl Faults {
    /// The next call of `operation` fails like this; several queue up.
    pub fn once(&self, operation: &'static str, strike: Strike) {
        self.plan
            .lock()
            .expect("no holder panics")
            .entry(operation)
            .or_default()
            .insert(0, strike);
    }

    /// Every call of `operation` fails like this, until [`Faults::mend`].
    pub fn always(&self, operation: &'static str, strike: Strike) {
        self.always.lock().expect("no holder panics").insert(operation, strike);
    }

    /// Forgets everything planned for `operation`.
    pub fn mend(&self, operation: &'static str) {
        self.always.lock().expect("no holder panics").remove(operation);
        self.plan.lock().expect("no holder panics").remove(operation);
    }

    /// How often `operation` was called.
    pub fn calls(&self, operation: &'static str) -> u64 {
        self.calls
            .lock()
            .expect("no holder panics")
            .get(operation)
            .copied()
            .unwrap_or(0)
    }

    /// How often anything was called.
    pub fn calls_all(&self) -> u64 {
        self.calls.lock().expect("no holder panics").values().sum()
    }

    /// Asked by a fake once per call.
    pub fn strike(&self, operation: &'static str) -> Option<Strike> {
        *self
            .calls
            .lock()
            .expect("no holder panics")
            .entry(operation)
            .or_default() += 1;
        let planned = self
            .plan
            .lock()
            .expect("no holder panics")
            .get_mut(operation)
            .and_then(Vec::pop);
        planned.or_else(|| self.always.lock().expect("no holder panics").get(operation).copied())
    }
}
