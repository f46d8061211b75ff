//! Collects every child that ends: ours, and those that lost their parent and fell to process 1.

use nix::{
    sys::wait::{WaitPidFlag, WaitStatus, waitpid},
    unistd::Pid,
};
use std::{cell::RefCell, collections::HashMap};
use tokio::sync::oneshot;

/// Who waits for which child.
#[derive(Default)]
pub struct Reaper {
    waiting: RefCell<HashMap<i32, oneshot::Sender<i32>>>,
}

impl Reaper {
    /// The exit status of a child of ours: 0-255, or minus the signal that killed it. Must be called before the first
    /// await after its start: this thread reaps, so that the child cannot be collected in between.
    pub fn exit(&self, pid: Pid) -> impl Future<Output = i32> + use<> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().insert(pid.as_raw(), sender);
        async move { receiver.await.unwrap_or(-1) }
    }

    /// Collects all children that have ended.
    pub fn reap(&self) {
        loop {
            let (pid, status) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, status)) => (pid, status),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, -(signal as i32)),
                Ok(WaitStatus::StillAlive) | Err(_) => return,
                Ok(_) => continue,
            };
            if let Some(waiting) = self.waiting.borrow_mut().remove(&pid.as_raw()) {
                // why the result is dropped: who no longer waits does not need to know
                let _ = waiting.send(status);
            }
        }
    }
}
