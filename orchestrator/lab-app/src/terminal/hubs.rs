//! All hubs of this process.

use super::{
    api::{HubStatus, Viewer},
    glance::Glance,
    hub::{Ends, Hub, HubCommand, HubParts},
    limits::{COMMAND_QUEUE, STOP_WITHIN},
};
use crate::{AppError, Metrics, Ports, Settings, tasks::part_of};
use lab_core::{
    SessionId, TerminalIndex,
    agent::SnapshotFrame,
    port::ErrorKind,
    terminal::{SessionNotice, TimeNotice, ToBrowser},
};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

/// First and longest pause between attempts to read a session from the store.
const LOAD_RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// A hub that nobody looks through is kept so long: a tab that reconnects, a teacher who goes from the wall into a session.
const UNUSED_MAX: Duration = Duration::from_secs(30);

/// When a process goes away its hubs end one after another, at random within this: each learner is away for one reconnect, and the
/// other replicas are met by 500 of them over a second and a half instead of at once. The door closes sockets by itself after two.
const GO_AWAY_SPREAD: Duration = Duration::from_millis(1500);

struct Handle {
    commands: mpsc::Sender<HubCommand>,
    status: watch::Receiver<HubStatus>,
    glance: watch::Receiver<Glance>,
    task: JoinHandle<()>,
    /// When it was last asked for.
    used_at: Instant,
}

impl Drop for Handle {
    /// A handle that nobody waits for takes its task along: there are no detached tasks.
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Told {
    session: Option<SessionNotice>,
    time: Option<TimeNotice>,
    /// Monotonic time of the last of them.
    at_us: u64,
}

/// See the module's doc.
pub struct Hubs {
    ports: Ports,
    settings: Settings,
    metrics: Metrics,
    changed: Arc<Notify>,
    hubs: Mutex<HashMap<SessionId, Handle>>,
    /// What late joiners must know; outlives a hub's restart. One entry a live session, once [`Hubs::forget_told`] has looked.
    told: Mutex<HashMap<SessionId, Told>>,
}

impl Hubs {
    /// No hub yet.
    pub fn new(ports: Ports, settings: Settings, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            ports,
            settings,
            metrics,
            changed: Arc::new(Notify::new()),
            hubs: Mutex::default(),
            told: Mutex::default(),
        })
    }

    fn hubs(&self) -> MutexGuard<'_, HashMap<SessionId, Handle>> {
        self.hubs.lock().expect("no holder panics")
    }

    fn told(&self) -> MutexGuard<'_, HashMap<SessionId, Told>> {
        self.told.lock().expect("no holder panics")
    }

    /// Starts the hub of a session whose sandbox should run, and has it connect. Idempotent; one that died is started again.
    pub fn ensure(&self, session: SessionId) {
        let commands = self.commands(session);
        // full means that it has much to do already; the reconciler asks again
        let _ = commands.try_send(HubCommand::Connect);
    }

    fn commands(&self, session: SessionId) -> mpsc::Sender<HubCommand> {
        let mut hubs = self.hubs();
        let alive = hubs.get_mut(&session).filter(|h| !h.task.is_finished());
        if let Some(handle) = alive {
            handle.used_at = Instant::now();
            return handle.commands.clone();
        }
        let (commands, inbox) = mpsc::channel(COMMAND_QUEUE);
        let (status, status_seen) = watch::channel(HubStatus::default());
        let (glance, glance_seen) = watch::channel(Glance::default());
        let parts = HubParts {
            ports: self.ports.clone(),
            settings: self.settings.clone(),
            metrics: self.metrics.clone(),
            session,
            commands: inbox,
            status,
            glance,
            changed: self.changed.clone(),
        };
        if let Some(told) = self.told().get(&session) {
            let notices = [
                told.session.clone().map(ToBrowser::Session),
                told.time.clone().map(ToBrowser::Time),
            ];
            for notice in notices.into_iter().flatten() {
                // the queue is new and has room for two
                let _ = commands.try_send(HubCommand::Tell(Box::new(notice)));
            }
        }
        let handle = Handle {
            commands: commands.clone(),
            status: status_seen,
            glance: glance_seen,
            task: tokio::spawn(run(parts)),
            used_at: Instant::now(),
        };
        hubs.insert(session, handle);
        commands
    }

    /// The session is over: finishes the recording, closes browsers, waits for it.
    pub async fn drop_hub(&self, session: SessionId) {
        let handle = self.hubs().remove(&session);
        self.told().remove(&session);
        if let Some(handle) = handle {
            end(handle, HubCommand::Finish).await;
        }
    }

    /// Sessions with a hub here, and whether a tab is attached to it or it was asked for lately.
    pub fn here(&self) -> Vec<(SessionId, bool)> {
        let wanted = |h: &Handle| h.glance.borrow().attached > 0 || h.used_at.elapsed() < UNUSED_MAX;
        self.hubs().iter().map(|(id, h)| (*id, wanted(h))).collect()
    }

    /// Ends a hub that this process needs no longer, as [`Hubs::shutdown`] would.
    pub async fn release(&self, session: SessionId) {
        let handle = self.hubs().remove(&session);
        self.told().remove(&session);
        if let Some(handle) = handle {
            end(handle, HubCommand::GoAway).await;
        }
    }

    /// What the reconciler reads; `None` without a hub.
    pub fn status(&self, session: SessionId) -> Option<HubStatus> {
        self.hubs().get(&session).map(|h| h.status.borrow().clone())
    }

    /// Woken when a status changed in more than times.
    pub fn changed(&self) -> Arc<Notify> {
        self.changed.clone()
    }

    /// Attaches a browser tab. Works before the sandbox exists.
    pub async fn attach(&self, session: SessionId, viewer: Viewer) -> Result<Ends, AppError> {
        if !viewer.role.sees_terminals() {
            return Err(AppError::refused(
                ErrorKind::Denied,
                "not-allowed",
                "this role sees no terminals",
            ));
        }
        let row = self
            .ports
            .store
            .session_get(session)
            .await?
            .ok_or_else(|| AppError::not_found("the session"))?;
        if row.state.is_over() {
            return Err(AppError::refused(
                ErrorKind::Conflict,
                "session-over",
                "the session is over",
            ));
        }
        let gone = || {
            AppError::refused(
                ErrorKind::Unavailable,
                "hub-gone",
                "the session is being closed; try again",
            )
        };
        let (reply, ends) = oneshot::channel();
        let attach = HubCommand::Attach { viewer, reply };
        self.commands(session).send(attach).await.map_err(|_| gone())?;
        ends.await.map_err(|_| gone())
    }

    /// News for every browser of a session. The last of session and time are kept for those who come later.
    pub fn tell(&self, session: SessionId, notice: ToBrowser) {
        self.keep(session, &notice);
        let commands = self.hubs().get(&session).map(|h| h.commands.clone());
        if let Some(commands) = commands
            && commands.try_send(HubCommand::Tell(Box::new(notice))).is_err()
        {
            // the hub ends, or is 64 commands behind: the next notice says more than this one
            self.metrics.errors_total.with_label_values(&["hub-behind"]).inc();
        }
    }

    fn keep(&self, session: SessionId, notice: &ToBrowser) {
        let at_us = self.ports.clock.monotonic_us();
        let (said, time) = match notice {
            ToBrowser::Session(said) => (Some(said.clone()), None),
            ToBrowser::Time(time) => (None, Some(time.clone())),
            _ => return,
        };
        let mut told = self.told();
        let known = told.remove(&session);
        let (said_before, time_before) = known.map_or((None, None), |t| (t.session, t.time));
        told.insert(
            session,
            Told {
                session: said.or(said_before),
                time: time.or(time_before),
                at_us,
            },
        );
    }

    /// Whether anything is kept for those who come later.
    pub fn keeps_news(&self) -> bool {
        !self.told().is_empty()
    }

    /// Forgets what is kept of sessions that are not `live`, by a list that was asked for at this monotonic time. What was told since may
    /// be of a session that began since.
    pub fn forget_told(&self, live: &HashSet<SessionId>, asked_us: u64) {
        self.told().retain(|id, t| live.contains(id) || t.at_us >= asked_us);
    }

    /// Stops a lab's processes where they are, or lets them go on; [`HubStatus::frozen`] tells when its agent was told.
    pub fn freeze(&self, session: SessionId, frozen: bool) {
        if let Some(handle) = self.hubs().get(&session) {
            // full means that it has much to do already; the reconciler asks again
            let _ = handle.commands.try_send(HubCommand::Freeze(frozen));
        }
    }

    /// Ends the lab and waits until the journal's last record is durable. The reconciler cuts the wait at its own `STOP_LAB_MAX` of 8 s.
    pub async fn stop_lab(&self, session: SessionId, reason: &str) {
        let commands = self.hubs().get(&session).map(|h| h.commands.clone());
        let Some(commands) = commands else { return };
        let (reply, stopped) = oneshot::channel();
        let stop = HubCommand::StopLab {
            reason: reason.to_owned(),
            reply,
        };
        if commands.send(stop).await.is_ok() {
            // the hub keeps the time itself; this covers one that has not been loaded, for callers without a time of their own
            let _ = timeout(STOP_WITHIN * 2, stopped).await;
        }
    }

    /// Facts for the wall.
    pub(crate) fn glance(&self, session: SessionId) -> Option<Glance> {
        self.hubs().get(&session).map(|h| h.glance.borrow().clone())
    }

    /// A picture of a terminal; `None` when there is none to be had now.
    pub(crate) async fn screen(&self, session: SessionId, terminal: TerminalIndex) -> Option<SnapshotFrame> {
        let commands = self.hubs().get(&session)?.commands.clone();
        let (reply, picture) = oneshot::channel();
        commands.try_send(HubCommand::Screen { terminal, reply }).ok()?;
        picture.await.ok()
    }

    /// This process goes away: browsers are told to come back, recordings are sealed, leases given back.
    pub async fn shutdown(&self) {
        let handles: Vec<_> = self.hubs().drain().map(|(_, handle)| handle).collect();
        let ends = handles.into_iter().map(|handle| async {
            // nobody notices the end of a hub without tabs
            let attached = handle.glance.borrow().attached > 0;
            let pause = part_of(GO_AWAY_SPREAD, self.ports.entropy.as_ref());
            sleep(if attached { pause } else { Duration::ZERO }).await;
            end(handle, HubCommand::GoAway).await;
        });
        futures_util::future::join_all(ends).await;
    }
}

/// Sends the last command and waits for the end. Who stops waiting drops the handle, and the task ends with it.
async fn end(mut handle: Handle, command: HubCommand) {
    let _ = handle.commands.send(command).await;
    if let Err(e) = (&mut handle.task).await
        && e.is_panic()
    {
        tracing::error!("a hub panicked");
    }
}

/// Reads the session, however long the store takes, then runs its hub. Commands that end it are obeyed meanwhile.
async fn run(mut parts: HubParts) {
    let mut early = Vec::new();
    let mut pause = LOAD_RETRY.0;
    let loaded = loop {
        match Hub::load(&parts).await {
            Ok(loaded) => break loaded,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                tracing::error!(session = %parts.session, error = %e, "no hub");
                return;
            }
            Err(e) => parts.metrics.errors_total.with_label_values(&[e.code()]).inc(),
        }
        let wait = sleep(pause);
        pause = (pause * 2).min(LOAD_RETRY.1);
        tokio::pin!(wait);
        loop {
            tokio::select! {
                () = &mut wait => break,
                command = parts.commands.recv() => match command {
                    None | Some(HubCommand::Finish | HubCommand::GoAway) => return,
                    // at most as many as a queue holds; a caller beyond that is told that there is no hub
                    Some(command) if early.len() < COMMAND_QUEUE => early.push(command),
                    Some(_) => {}
                },
            }
        }
    };
    Hub::new(parts, loaded).run(early).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hub that obeys nothing, and a channel that closes when its task is gone.
    fn deaf() -> (Handle, oneshot::Receiver<()>) {
        let (commands, inbox) = mpsc::channel(COMMAND_QUEUE);
        let (alive, gone) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let _kept = (inbox, alive);
            std::future::pending::<()>().await;
        });
        let handle = Handle {
            commands,
            status: watch::channel(HubStatus::default()).1,
            glance: watch::channel(Glance::default()).1,
            task,
            used_at: Instant::now(),
        };
        (handle, gone)
    }

    #[tokio::test(start_paused = true)]
    async fn a_hub_whose_end_is_waited_for_no_longer_does_not_run_on() {
        let (handle, gone) = deaf();
        let waited = timeout(Duration::from_secs(15), end(handle, HubCommand::GoAway)).await;
        assert!(waited.is_err(), "it obeys nothing");
        let gone = timeout(Duration::from_secs(1), gone).await;
        assert!(gone.expect("the task runs on, detached").is_err());
    }
}
