//! Warm pools.

use super::state::State;
use lab_core::{
    LabDigest, SandboxId, SessionId, Timestamp,
    port::{POOL_LEASE, PoolChange, PoolWrite, StoreError},
    provisioning::{PoolState, holds_sandbox},
};

impl State {
    pub fn pool_list(&self) -> Vec<lab_core::provisioning::PoolSandbox> {
        let mut rows: Vec<_> = self.pool.values().cloned().collect();
        rows.sort_by_key(|r| (r.made_at, r.sandbox));
        rows
    }

    pub fn pool_write(&mut self, w: &PoolWrite) -> Result<bool, StoreError> {
        if self.leases.get(POOL_LEASE).map(|l| l.epoch) != Some(w.epoch) {
            let what = POOL_LEASE.to_owned();
            return Err(StoreError::Fenced { what, epoch: w.epoch });
        }
        Ok(match &w.change {
            PoolChange::Make {
                row,
                sandboxes_max,
                reserved,
            } => {
                let live = self.sessions.values().filter(|s| !s.state.is_over());
                let sessions = live.filter(|s| !reserved || holds_sandbox(s)).count();
                let pools = self.pool.values().filter(|r| r.state != PoolState::Claimed).count();
                let room = sessions + pools < *sandboxes_max as usize;
                if room && !self.pool.contains_key(&row.sandbox) {
                    self.pool.insert(row.sandbox, row.clone());
                    self.freeze_pool_rate(row.sandbox, &row.digest);
                    true
                } else {
                    false
                }
            }
            PoolChange::Ready { sandbox, at, ready_us } => self.pool_change(*sandbox, &[PoolState::Making], |r| {
                r.state = PoolState::Ready;
                r.ready_at = Some(*at);
                r.ready_us = Some(*ready_us);
            }),
            PoolChange::Drain { sandbox, reason } => {
                self.pool_change(*sandbox, &[PoolState::Making, PoolState::Ready], |r| {
                    r.state = PoolState::Draining;
                    r.reason = Some(reason.code().to_owned());
                })
            }
            PoolChange::Forget { sandbox, at } => {
                let done = |s: PoolState| matches!(s, PoolState::Draining | PoolState::Claimed);
                let forget = self.pool.get(sandbox).is_some_and(|r| done(r.state));
                if forget {
                    self.cost_pool(*sandbox, *at);
                }
                forget && self.pool.remove(sandbox).is_some()
            }
        })
    }

    fn pool_change(
        &mut self,
        sandbox: SandboxId,
        from: &[PoolState],
        change: impl FnOnce(&mut lab_core::provisioning::PoolSandbox),
    ) -> bool {
        let row = self.pool.get_mut(&sandbox).filter(|r| from.contains(&r.state));
        row.map(change).is_some()
    }

    /// The oldest ready sandbox of a version becomes a session's.
    pub fn pool_claim(&mut self, digest: &LabDigest, at: Timestamp) -> Option<(SessionId, SandboxId)> {
        let ready = |r: &&mut lab_core::provisioning::PoolSandbox| r.state == PoolState::Ready && r.digest == *digest;
        let row = self
            .pool
            .values_mut()
            .filter(ready)
            .min_by_key(|r| (r.made_at, r.sandbox))?;
        row.state = PoolState::Claimed;
        row.claimed_at = Some(at);
        Some((row.session, row.sandbox))
    }
}
