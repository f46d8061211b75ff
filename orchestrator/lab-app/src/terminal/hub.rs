//! The hub's task: everything about one session's terminals happens here, one event at a time.

use super::{
    agent_link::{AgentLink, LinkEvent},
    api::{FromHub, HubStatus, ToHub, Viewer},
    attachment::{Attachment, AttachmentId, Phase},
    console::Console,
    glance::Glance,
    inputs::Inputs,
    journal_reader::JournalReader,
    limits::{BROWSER_QUEUE, STOP_WITHIN, TABS_MAX, VIEWERS_MAX},
    on_recorder::{recorder_news, recorder_room},
};
use crate::{
    AppError, Metrics, Ports, Settings,
    recording::{Feed, RecorderHandle, RecorderView},
};
use futures_util::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream, FuturesUnordered, SelectAll},
};
use lab_core::{
    CheckId, SessionId, TerminalIndex, WriterId,
    agent::{SnapshotFrame, ToAgent},
    journal::{CheckOutcome, Join},
    limits::CREDIT_KEPT,
    port::Session,
    recording::RecordingPolicy,
    terminal::{SessionNotice, TimeNotice, ToBrowser},
};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

/// The two ends a bridge gets.
pub(super) type Ends = (mpsc::Sender<ToHub>, mpsc::Receiver<FromHub>);

/// What a hub is told.
pub(super) enum HubCommand {
    /// The sandbox should run: connect.
    Connect,
    Attach {
        viewer: Viewer,
        reply: oneshot::Sender<Ends>,
    },
    Tell(Box<ToBrowser>),
    /// Stop the lab's processes where they are, or let them go on.
    Freeze(bool),
    /// End the lab; answered when its last record is durable, or it took too long.
    StopLab {
        reason: String,
        reply: oneshot::Sender<()>,
    },
    /// The session is over.
    Finish,
    /// This process goes away.
    GoAway,
    /// A picture of a terminal, for the wall.
    Screen {
        terminal: TerminalIndex,
        reply: oneshot::Sender<SnapshotFrame>,
    },
}

/// What a hub is made of.
pub(super) struct HubParts {
    pub ports: Ports,
    pub settings: Settings,
    pub metrics: Metrics,
    pub session: SessionId,
    pub commands: mpsc::Receiver<HubCommand>,
    pub status: watch::Sender<HubStatus>,
    pub glance: watch::Sender<Glance>,
    pub changed: Arc<Notify>,
}

/// What a hub knows of the lab; never changes.
pub(super) struct LabFacts {
    pub row: Session,
    pub checks: Vec<CheckId>,
    pub policy: RecordingPolicy,
}

/// What happens next.
enum Next {
    Command(Option<HubCommand>),
    Link(LinkEvent),
    Browser(AttachmentId, Option<ToHub>),
    Room(AttachmentId),
    Recorder,
    Fed,
    Written,
    Helped(AttachmentId, bool),
    StopDue,
    AbsentDue,
}

/// The seat's tab of a terminal, gone without a word.
pub(super) struct Absent {
    pub writer: WriterId,
    until: Instant,
}

/// See the module's doc.
pub(super) struct Hub {
    pub(super) ports: Ports,
    pub(super) metrics: Metrics,
    pub(super) session: SessionId,
    commands: mpsc::Receiver<HubCommand>,
    pub(super) status: watch::Sender<HubStatus>,
    pub(super) glance: watch::Sender<Glance>,
    pub(super) changed: Arc<Notify>,
    pub(super) lab: LabFacts,
    pub(super) link: AgentLink,
    pub(super) reader: JournalReader,
    pub(super) consoles: Vec<Console>,
    pub(super) attachments: BTreeMap<AttachmentId, Attachment>,
    next_attachment: AttachmentId,
    /// Part of viewers' keys that no other hub has.
    pub(super) nonce: u32,
    inbox: SelectAll<BoxStream<'static, (AttachmentId, Option<ToHub>)>>,
    rooms: FuturesUnordered<BoxFuture<'static, AttachmentId>>,
    /// Rows being written to the store.
    pub(super) writes: FuturesUnordered<BoxFuture<'static, ()>>,
    /// Lines of the audit log being written, one of an attachment at most, and whether that worked.
    pub(super) helps: FuturesUnordered<BoxFuture<'static, (AttachmentId, bool)>>,
    pub(super) inputs: Inputs,
    pub(super) watchers: BTreeMap<String, Join>,
    pub(super) outcomes: Vec<CheckOutcome>,
    pub(super) checks_running: BTreeSet<u32>,
    pub(super) next_request: u32,
    pub(super) session_notice: SessionNotice,
    pub(super) time_notice: Option<TimeNotice>,
    pub(super) recorder: Option<RecorderHandle>,
    recorder_news: Option<watch::Receiver<RecorderView>>,
    pub(super) feed: VecDeque<Feed>,
    /// Journal below this was handed to the recorder.
    pub(super) fed: u64,
    /// [`crate::recording::RecorderView::refollow`] that was obeyed.
    pub(super) round: u64,
    /// The recorder has as much as it may; it is fed again, from the agent, when it has written it.
    pub(super) behind: bool,
    /// Journal that only the agent has, at which the recorder is told how much it is.
    pub(super) give_up_bytes: u64,
    pub(super) cut_told: bool,
    /// Times that somebody was said to have joined.
    pub(super) joins: u64,
    /// Terminals whose seat's tab lost its connection: their limit is kept for a while.
    pub(super) absent: BTreeMap<TerminalIndex, Absent>,
    wants_link: bool,
    pub(super) stopping: Option<String>,
    stop_waiters: Vec<oneshot::Sender<()>>,
    stop_due: Option<Instant>,
}

impl Hub {
    /// Reads what the session is; the caller retries.
    pub async fn load(parts: &HubParts) -> Result<(LabFacts, Vec<Console>, Vec<CheckOutcome>), AppError> {
        let store = &parts.ports.store;
        let row = store
            .session_get(parts.session)
            .await?
            .ok_or_else(|| AppError::not_found("the session"))?;
        let version = store
            .lab_version(&row.digest)
            .await?
            .ok_or_else(|| AppError::not_found("the lab version"))?;
        let outcomes = store.check_list(parts.session).await?;
        let file = version.file;
        let consoles = file.terminals.into_iter().map(|t| Console::new(t.id)).collect();
        let checks = file.checks.into_iter().map(|c| c.id).collect();
        Ok((
            LabFacts {
                row,
                checks,
                policy: file.recording.policy,
            },
            consoles,
            outcomes,
        ))
    }

    pub fn new(parts: HubParts, (lab, consoles, outcomes): (LabFacts, Vec<Console>, Vec<CheckOutcome>)) -> Self {
        let HubParts {
            ports,
            settings,
            metrics,
            session,
            commands,
            status,
            glance,
            changed,
        } = parts;
        let dice = ports.entropy.bytes32();
        let looked_at = glance.subscribe();
        let watched = move || looked_at.borrow().attached > 0;
        let recorder = (lab.policy != RecordingPolicy::Off)
            .then(|| RecorderHandle::start(ports.clone(), metrics.clone(), session, lab.policy, &settings, watched));
        Self {
            link: AgentLink::new(ports.clone(), lab.row.sandbox),
            session_notice: super::notices::first_session_notice(&lab.row),
            nonce: u32::from_be_bytes([dice[0], dice[1], dice[2], dice[3]]),
            ports,
            metrics,
            session,
            commands,
            status,
            glance,
            changed,
            lab,
            reader: JournalReader::default(),
            consoles,
            attachments: BTreeMap::new(),
            next_attachment: 1,
            inbox: SelectAll::new(),
            rooms: FuturesUnordered::new(),
            writes: FuturesUnordered::new(),
            helps: FuturesUnordered::new(),
            inputs: Inputs::default(),
            watchers: BTreeMap::new(),
            outcomes,
            checks_running: BTreeSet::new(),
            next_request: 1,
            time_notice: None,
            recorder_news: recorder.as_ref().map(RecorderHandle::watch),
            recorder,
            feed: VecDeque::new(),
            fed: 0,
            round: 0,
            behind: false,
            give_up_bytes: settings.give_up_bytes,
            cut_told: false,
            joins: 0,
            absent: BTreeMap::new(),
            wants_link: false,
            stopping: None,
            stop_waiters: Vec::new(),
            stop_due: None,
        }
    }

    /// Runs until the session is over or the process goes away.
    pub async fn run(mut self, early: Vec<HubCommand>) {
        self.publish_checks();
        for command in early {
            self.on_command(command);
        }
        loop {
            match self.next().await {
                Next::Command(Some(HubCommand::Finish)) => return self.finish(Feed::Finish).await,
                Next::Command(Some(HubCommand::GoAway) | None) => return self.finish(Feed::Seal).await,
                Next::Command(Some(command)) => self.on_command(command),
                Next::Link(event) => self.on_link(event),
                Next::Browser(id, Some(message)) => self.on_browser(id, message),
                Next::Browser(id, None) => self.lost(id),
                Next::Room(id) => self.on_room(id),
                Next::Recorder => self.on_recorder(),
                Next::Fed | Next::Written => {}
                Next::Helped(id, written) => self.on_help_written(id, written),
                Next::StopDue => self.stop_answer(),
                Next::AbsentDue => self.on_absent_due(),
            }
            self.watch_rooms();
        }
    }

    /// Waits for the first of everything, in random order: whoever has much to say must not keep the others out. Browsers are
    /// not read while the line to the agent is congested, nor the line while the recorder is full.
    async fn next(&mut self) -> Next {
        let hears = !self.recorder_is_full();
        let congested = self.link.is_congested();
        let stop_due = self.stop_due;
        let absent_due = self.absent.values().map(|a| a.until).min();
        let room = recorder_room(self.recorder.as_ref(), !self.feed.is_empty());
        tokio::select! {
            command = self.commands.recv() => Next::Command(command),
            () = recorder_news(self.recorder_news.as_mut()) => Next::Recorder,
            permit = room => {
                if let Some(feed) = self.feed.pop_front() {
                    permit.send(feed);
                }
                Next::Fed
            }
            Some((id, message)) = self.inbox.next(), if !congested => Next::Browser(id, message),
            Some(id) = self.rooms.next() => Next::Room(id),
            event = self.link.next(), if hears => Next::Link(event),
            Some(()) = self.writes.next() => Next::Written,
            Some((id, written)) = self.helps.next() => Next::Helped(id, written),
            () = sleep_until(stop_due.unwrap_or_else(Instant::now)), if stop_due.is_some() => Next::StopDue,
            () = sleep_until(absent_due.unwrap_or_else(Instant::now)), if absent_due.is_some() => Next::AbsentDue,
        }
    }

    fn on_command(&mut self, command: HubCommand) {
        match command {
            HubCommand::Connect => {
                self.wants_link = true;
                self.start_link();
            }
            HubCommand::Attach { viewer, reply } => {
                let ends = self.attach(viewer);
                // a caller that went away drops its ends, which detaches
                let _ = reply.send(ends);
            }
            HubCommand::Tell(notice) => self.tell(*notice),
            // without a connection there is nobody to tell: the reconciler sees that, and asks again
            HubCommand::Freeze(frozen) if self.link.is_up() => {
                self.link.send(if frozen { &ToAgent::Freeze } else { &ToAgent::Thaw });
                self.set_status(|s| s.frozen = Some(frozen));
            }
            HubCommand::Freeze(_) => {}
            HubCommand::StopLab { reason, reply } => {
                self.stop_waiters.push(reply);
                self.stop_lab(reason);
            }
            HubCommand::Screen { terminal, reply } => self.screen(terminal, reply),
            // these end the loop; `run` takes them
            HubCommand::Finish | HubCommand::GoAway => {}
        }
    }

    /// Connects when it is wanted and it is known where the journal is to be followed from.
    pub(super) fn start_link(&mut self) {
        let known = self.recorder.as_ref().is_none_or(|r| r.view().opened);
        if self.wants_link && known {
            self.link.start();
        }
    }

    fn attach(&mut self, viewer: Viewer) -> Ends {
        self.make_room(viewer.owner);
        let id = self.next_attachment;
        self.next_attachment += 1;
        let (to_hub, inbox) = mpsc::channel(BROWSER_QUEUE);
        let (to_browser, outbox) = mpsc::channel(BROWSER_QUEUE);
        let messages = stream::unfold(inbox, |mut inbox| async { inbox.recv().await.map(|m| (m, inbox)) });
        self.inbox.push(
            messages
                .map(move |m| (id, Some(m)))
                .chain(stream::iter([(id, None)]))
                .boxed(),
        );
        self.metrics
            .terminals_attached
            .with_label_values(&[viewer.role.name()])
            .inc();
        self.attachments.insert(id, Attachment::new(viewer, to_browser));
        self.publish_attached();
        self.join(id);
        self.greet(id);
        (to_hub, outbox)
    }

    /// The oldest of a kind gives way to a new one: it is the likeliest to be one that nobody looks at any more.
    fn make_room(&mut self, owner: bool) {
        let max = if owner { TABS_MAX } else { VIEWERS_MAX };
        let alike: Vec<_> = self
            .attachments
            .iter()
            .filter(|(_, a)| a.viewer.owner == owner)
            .map(|(id, _)| *id)
            .collect();
        for id in alike.iter().take((alike.len() + 1).saturating_sub(max)) {
            self.expel(*id, 4409, "crowded");
        }
    }

    /// A tab's socket ended. It may be a network that changes: what it held back stays held back for [`CREDIT_KEPT`], so that
    /// it finds its exact bytes.
    fn lost(&mut self, id: AttachmentId) {
        let Some(a) = self.attachments.get(&id) else { return };
        let (writer, until) = (a.viewer.writer, Instant::now() + CREDIT_KEPT);
        let held = a
            .views
            .iter()
            .filter(|(t, v)| v.phase == Phase::Streaming && self.consoles[**t as usize].writer() == Some(writer));
        self.absent.extend(held.map(|(t, _)| (*t, Absent { writer, until })));
        self.detach(id);
    }

    fn on_absent_due(&mut self) {
        let now = Instant::now();
        let due: Vec<_> = self
            .absent
            .iter()
            .filter(|(_, a)| a.until <= now)
            .map(|(t, _)| *t)
            .collect();
        for terminal in due {
            self.absent.remove(&terminal);
            self.credit(terminal);
        }
    }

    /// Takes a tab away: what it held is given back.
    pub(super) fn detach(&mut self, id: AttachmentId) {
        let Some(gone) = self.attachments.remove(&id) else {
            return;
        };
        self.publish_attached();
        self.metrics
            .terminals_attached
            .with_label_values(&[gone.viewer.role.name()])
            .dec();
        if let Some(viewer) = &gone.key {
            self.link.send(&ToAgent::Leave { viewer: viewer.clone() });
        }
        for terminal in gone.views.keys() {
            self.vacate(*terminal, &gone.viewer);
        }
        if self.attachments.values().all(|a| a.viewer.writer != gone.viewer.writer) {
            self.inputs.forget(gone.viewer.writer);
        }
    }

    /// For whoever decides whether this hub is needed.
    fn publish_attached(&self) {
        self.glance.send_modify(|g| g.attached = self.attachments.len());
    }

    /// Ends a tab that broke the rules.
    pub(super) fn expel(&mut self, id: AttachmentId, code: u16, reason: &'static str) {
        if let Some(a) = self.attachments.get_mut(&id) {
            a.close(code, reason);
            self.detach(id);
        }
    }

    fn on_room(&mut self, id: AttachmentId) {
        if let Some(a) = self.attachments.get_mut(&id) {
            a.waits_for_room = false;
            a.flush();
            self.pump_all(id);
        }
    }

    /// Whoever is stuck on a full queue is looked at again when there is room.
    fn watch_rooms(&mut self) {
        for (&id, a) in &mut self.attachments {
            if !a.waits_for_room && a.is_stuck() {
                a.waits_for_room = true;
                let queue = a.queue();
                self.rooms.push(
                    async move {
                        // the permit is given back at once; that it was had is the news
                        drop(queue.reserve_owned().await);
                        id
                    }
                    .boxed(),
                );
            }
        }
    }

    fn stop_lab(&mut self, reason: String) {
        let met = self.status.borrow().met;
        if !met || self.reader.ended().is_some_and(|end| self.is_durable(end)) {
            return self.stop_answer();
        }
        self.stop_due.get_or_insert_with(|| Instant::now() + STOP_WITHIN);
        if self.stopping.is_none() {
            self.link.send(&ToAgent::Stop { reason: reason.clone() });
            self.stopping = Some(reason);
        }
    }

    pub(super) fn stop_answer(&mut self) {
        self.stop_due = None;
        for waiter in self.stop_waiters.drain(..) {
            let _ = waiter.send(());
        }
    }

    async fn finish(mut self, last: Feed) {
        let over = matches!(last, Feed::Finish);
        for (_, mut a) in std::mem::take(&mut self.attachments) {
            self.metrics
                .terminals_attached
                .with_label_values(&[a.viewer.role.name()])
                .dec();
            if over {
                a.close(1000, "the session is over");
            } else {
                // at once: hubs end spread over time, so that no other server is met by all of them (`Hubs::shutdown`)
                let _ = a.notify(FromHub::Control(Box::new(ToBrowser::GoAway { after_ms: 0 })));
                a.close(1001, "this server goes away");
            }
        }
        self.link.stop();
        self.stop_answer();
        if let Some(recorder) = self.recorder.take() {
            for feed in self.feed.drain(..) {
                let Some(room) = recorder.room().await else { break };
                room.send(feed);
            }
            recorder.end(last).await;
        }
        while self.writes.next().await.is_some() {}
        if over {
            self.set_status(|s| s.connected = false);
        }
    }
}
