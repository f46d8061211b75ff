//! What takes long: each operation is a task of its own, repeatable, and ends with a [`Done`] for the reconciler.

use super::SessionHubs;
use crate::{AppError, Ports, metering::settlement, tasks};
use lab_core::{
    SandboxId, SessionId,
    port::{RuntimeError, SandboxSpec, SandboxStatus, Session, Transition},
    provisioning::{EndReason, SessionEvent},
};
use std::{sync::Arc, time::Duration};

/// The agent gives programs 5 s to end and the recorder its last bytes; 3 s more for a slow disk.
const STOP_LAB_MAX: Duration = Duration::from_secs(8);
/// Sealing a recording is one upload and a row; the recorder itself gives up after [`crate::recording::FINISH_PATIENCE`], when the
/// store refuses all that time.
const DROP_HUB_MAX: Duration = crate::recording::FINISH_PATIENCE.saturating_add(Duration::from_mins(1));

/// How an operation ended.
pub(super) enum Done {
    /// The runtime's list, asked for at this monotonic time.
    Listed {
        asked_us: u64,
        result: Result<Vec<SandboxStatus>, RuntimeError>,
    },
    /// The sandbox is started, its agent followed.
    Ensured {
        session: SessionId,
        at_us: u64,
        result: Result<(), RuntimeError>,
    },
    /// The session is over and settled.
    Stopped {
        session: SessionId,
        result: Result<Box<Session>, AppError>,
    },
    /// The hub of a session that is over is closed.
    Closed { session: SessionId },
    /// What a failed session left is gone; where it is not, it is an orphan soon.
    Discarded {
        session: SessionId,
        result: Result<(), RuntimeError>,
    },
    /// What is left of a warm sandbox that went is gone; another can be made in its name.
    Cleared {
        session: SessionId,
        result: Result<(), RuntimeError>,
    },
    /// A sandbox without a session is gone.
    OrphanDropped {
        sandbox: SandboxId,
        result: Result<(), RuntimeError>,
    },
}

pub(super) async fn list(ports: Ports) -> Done {
    let asked_us = ports.clock.monotonic_us();
    Done::Listed {
        asked_us,
        result: ports.runtime.sandbox_list().await,
    }
}

/// Makes the sandbox and follows its agent at once: the next activation would be too late for a lab that is up in a second.
pub(super) async fn ensure<H: SessionHubs>(ports: Ports, hubs: Arc<H>, spec: SandboxSpec) -> Done {
    let result = ports.runtime.sandbox_ensure(&spec).await;
    let at_us = ports.clock.monotonic_us();
    if result.is_ok() {
        hubs.ensure(spec.session);
    }
    Done::Ensured {
        session: spec.session,
        at_us,
        result,
    }
}

/// Ends a stopping session: lab, sandbox, settlement, state. A repeat after a crash between any two finds the rest to do.
pub(super) async fn stop<H: SessionHubs>(
    ports: Ports,
    hubs: Arc<H>,
    session: Session,
    reason: EndReason,
    ask_lab: bool,
) -> Done {
    let id = session.id;
    if ask_lab {
        tasks::within("stop-lab", STOP_LAB_MAX, hubs.stop_lab(id, reason.code())).await;
    }
    Done::Stopped {
        session: id,
        result: take_down(&ports, hubs.as_ref(), &session, reason).await.map(Box::new),
    }
}

async fn take_down<H: SessionHubs>(
    ports: &Ports,
    hubs: &H,
    session: &Session,
    reason: EndReason,
) -> Result<Session, AppError> {
    let id = session.id;
    // read before the sandbox goes: afterwards the hub has nobody to ask
    let stop_us = stop_us(ports, hubs, session).await?;
    ports.runtime.sandbox_drop(session.sandbox).await?;
    let at = ports.clock.now();
    if let Some(settlement) = settlement(session, reason, stop_us, at) {
        let row = ports.store.settle(&settlement).await?;
        tracing::info!(session.id = %id, billed = row.billed_seconds, unbilled = row.unbilled_seconds, "settled");
    }
    let (expect, event) = (session.revision, SessionEvent::Gone(reason));
    let t = Transition {
        session: id,
        expect,
        event,
        at,
        cause: "reconciler".into(),
        ready: None,
    };
    Ok(ports.store.session_transition(&t).await?)
}

/// The end by the agent's own clock: its last record, or the latest it is known to have lived.
async fn stop_us<H: SessionHubs>(ports: &Ports, hubs: &H, session: &Session) -> Result<u64, AppError> {
    let status = hubs.status(session.id).unwrap_or_default();
    if let Some(us) = status.stopped_us {
        return Ok(us);
    }
    let recorded = ports
        .store
        .recording_head(session.id)
        .await?
        .map_or(0, |head| head.last_us);
    Ok(recorded.max(status.last_us).max(session.seen_us.unwrap_or(0)))
}

/// Closes the hub of a session that is over. Browsers were told, so this is the last they hear.
pub(super) async fn close<H: SessionHubs>(hubs: Arc<H>, session: SessionId) -> Done {
    tasks::within("drop-hub", DROP_HUB_MAX, hubs.drop_hub(session)).await;
    Done::Closed { session }
}

/// Closes a hub that nobody looks through here; the session goes on.
pub(super) async fn release<H: SessionHubs>(hubs: Arc<H>, session: SessionId) -> Done {
    tasks::within("release-hub", DROP_HUB_MAX, hubs.release(session)).await;
    Done::Closed { session }
}

/// Removes what a session that never became usable left behind.
pub(super) async fn discard<H: SessionHubs>(
    ports: Ports,
    hubs: Arc<H>,
    session: SessionId,
    sandbox: SandboxId,
) -> Done {
    close(hubs, session).await;
    Done::Discarded {
        session,
        result: ports.runtime.sandbox_drop(sandbox).await,
    }
}

/// Removes what is left of a sandbox, so that one of the same name can be made.
pub(super) async fn clear(ports: Ports, session: SessionId, sandbox: SandboxId) -> Done {
    Done::Cleared {
        session,
        result: ports.runtime.sandbox_drop(sandbox).await,
    }
}

pub(super) async fn drop_orphan(ports: Ports, sandbox: SandboxId) -> Done {
    Done::OrphanDropped {
        sandbox,
        result: ports.runtime.sandbox_drop(sandbox).await,
    }
}
