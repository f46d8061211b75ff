//! Everything the agent knows, and what it does from start to end.
//!
//! One thread owns [`Agent`]; its tasks share it by `Rc` and hold no borrow across an await. Other threads know nothing of it: they read
//! terminals, and emulate screens.

use crate::{
    args::RunOptions,
    clock::Clock,
    journal::{Appended, Journal},
    lab::{self, checks::CheckQueue, reaper::Reaper, signals},
    log,
    screen::{CursorLine, Depth, Screens},
    sys,
    terminal::{self, Terminal},
    tls,
    wire::{self, Connections},
};
use bytes::Bytes;
use lab_core::{
    TerminalIndex, WHOLE_SESSION, WriterId,
    agent::{AgentSpec, PROTOCOL_VERSION, Welcome},
    journal::{CheckOutcome, Command, Event, Join, LabEvent, Marker},
    limits::TERMINALS_MAX,
};
use nix::{sys::signal::Signal, unistd::Pid};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io,
    os::unix::fs::DirBuilderExt,
    path::Path,
    process::ExitCode,
    rc::Rc,
    time::Duration,
};
use tokio::{sync::Notify, task::JoinSet};

/// How long a stopped lab's terminals get to say goodbye (shells write their history) before the last record.
const GOODBYE: Duration = Duration::from_millis(300);
/// How long the end waits for a recorder to have everything.
const DURABLE_WITHIN: Duration = Duration::from_secs(5);
/// A lab that stands still is looked at so often: what was woken, or forked faster than it was found, runs no longer than this.
const STILL_EVERY: Duration = Duration::from_secs(1);
/// Looks at one standstill that may find something that runs. Whatever was stopped stays so until somebody wakes it, and only what runs can:
/// a few looks find what was about to stop on a busy machine, more find a lab that does not stand still.
const RESTLESS_MAX: usize = 5;
/// The code under which a lab ends that cannot be made to stand still.
const NOT_STILL: &str = "not-still";
/// How often a full disk is tried again.
const DISK_RETRY: Duration = Duration::from_millis(500);

/// The agent's state.
pub struct Agent {
    pub options: RunOptions,
    pub spec: AgentSpec,
    pub clock: Clock,
    boot: String,
    pub journal: RefCell<Journal>,
    terminals: Vec<Terminal>,
    screens: Screens,
    pub connections: Connections,
    pub reaper: Reaper,
    pub checks: CheckQueue,
    /// Last outcome of each check that ran.
    outcomes: RefCell<Vec<CheckOutcome>>,
    pub ready_us: Cell<Option<u64>>,
    pub frozen: Cell<bool>,
    /// How often it was told to stand still.
    pub freezes: Cell<u64>,
    /// Leaders of the process groups that are ended with the lab, and the signal that asks them to.
    groups: RefCell<BTreeMap<i32, Signal>>,
    /// A terminal prompted.
    pub lab_wake: Notify,
    /// Why the lab is to stop.
    stop: RefCell<Option<String>>,
    stop_wake: Notify,
    durable_wake: Notify,
    tasks: RefCell<JoinSet<()>>,
}

/// What kept the agent from starting.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error("cannot read the specification {path}: {source}")]
    Spec { path: String, source: io::Error },
    #[error("specification {path}: {source}")]
    Malformed { path: String, source: serde_json::Error },
    #[error("specification {path}: {message}")]
    Refused { path: String, message: String },
    #[error("cannot use the directory {path}: {source}")]
    Dir { path: String, source: io::Error },
    #[error("cannot set up {what}: {source}")]
    System { what: &'static str, source: io::Error },
    #[error("the TLS endpoint: {0}")]
    Tls(#[from] tls::TlsError),
}

/// `lab-agent run`.
pub fn run(options: &RunOptions) -> ExitCode {
    match start(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::line("error", "start", &error);
            ExitCode::FAILURE
        }
    }
}

fn start(options: &RunOptions) -> Result<(), StartError> {
    let system = |what| move |source| StartError::System { what, source };
    let spec = read_spec(&options.spec)?;
    let signals = signals::Waiting::new().map_err(system("signals"))?;
    nix::sys::prctl::set_child_subreaper(true).map_err(|e| system("process reaping")(e.into()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("the event loop"))?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let dir_error = |source| StartError::Dir {
            path: options.dir.display().to_string(),
            source,
        };
        private_dir(&options.dir).map_err(dir_error)?;
        let journal = Journal::open(&options.dir.join("journal")).map_err(dir_error)?;
        let agent = Rc::new(Agent::new(options, spec, journal).map_err(system("the screens' thread"))?);
        let listener = wire::listen(&options.dir).map_err(dir_error)?;
        agent.spawn(wire::serve(Rc::clone(&agent), listener));
        if let Some(tls) = &options.tls {
            let endpoint = tls::open(tls).await?;
            agent.spawn(tls::serve(Rc::clone(&agent), endpoint));
        }
        agent.live(signals).await.map_err(system("signals"))
    })
}

fn read_spec(path: &Path) -> Result<AgentSpec, StartError> {
    let name = path.display().to_string();
    let text = std::fs::read(path).map_err(|source| StartError::Spec {
        path: name.clone(),
        source,
    })?;
    let spec: AgentSpec = serde_json::from_slice(&text).map_err(|source| StartError::Malformed {
        path: name.clone(),
        source,
    })?;
    let refused = |message: String| {
        Err(StartError::Refused {
            path: name.clone(),
            message,
        })
    };
    if spec.protocol > PROTOCOL_VERSION {
        return refused(format!(
            "protocol is {}, this agent speaks {PROTOCOL_VERSION}",
            spec.protocol
        ));
    }
    if spec.terminals.len() > TERMINALS_MAX {
        return refused(format!(
            "terminals has {} entries, at most {TERMINALS_MAX} are possible",
            spec.terminals.len()
        ));
    }
    for terminal in &spec.terminals {
        if let Some(Err(e)) = terminal.prompt.as_deref().map(regex::bytes::Regex::new) {
            return refused(format!("prompt of terminal {}: {e}", terminal.id));
        }
    }
    Ok(spec)
}

/// Makes the directory, for its owner only.
fn private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
}

/// 64 random bits from the kernel, as text.
fn random_name() -> io::Result<String> {
    use std::io::Read;
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}

impl Agent {
    fn new(options: &RunOptions, spec: AgentSpec, journal: Journal) -> io::Result<Self> {
        let terminals: Vec<Terminal> = spec.terminals.iter().cloned().map(Terminal::new).collect();
        Ok(Self {
            options: options.clone(),
            screens: Screens::start(terminals.len(), terminal::DEFAULT_SIZE)?,
            spec,
            clock: Clock::start(),
            boot: random_name()?,
            journal: RefCell::new(journal),
            terminals,
            connections: Connections::default(),
            reaper: Reaper::default(),
            checks: CheckQueue::default(),
            outcomes: RefCell::default(),
            ready_us: Cell::new(None),
            frozen: Cell::new(false),
            freezes: Cell::new(0),
            groups: RefCell::default(),
            lab_wake: Notify::new(),
            stop: RefCell::new(None),
            stop_wake: Notify::new(),
            durable_wake: Notify::new(),
            tasks: RefCell::default(),
        })
    }

    /// From the lab's start to its end.
    async fn live(self: &Rc<Self>, signals: signals::Waiting) -> io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut signals = signals.read()?;
        let mut child = signal(SignalKind::child())?;
        self.spawn(lab::bring_up(Rc::clone(self)));
        self.spawn(lab::checks::run(Rc::clone(self)));
        self.spawn(Rc::clone(self).retry_disk());
        self.spawn(Rc::clone(self).keep_deadline());
        self.spawn(Rc::clone(self).keep_still());
        let end = self.end();
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => break,
                _ = child.recv() => self.reaper.reap(),
                reason = signals.obeyed() => self.ask_stop(reason?),
            }
        }
        let mut tasks = std::mem::take(&mut *self.tasks.borrow_mut());
        tasks.shutdown().await;
        Ok(())
    }

    /// Waits until the lab is to stop, stops it in order, and returns when the agent may exit.
    async fn end(&self) {
        let reason = loop {
            let reason = self.stop.borrow().clone();
            match reason {
                Some(reason) => break reason,
                None => self.stop_wake.notified().await,
            }
        };
        self.thaw();
        for (group, signal) in self.groups.borrow().iter() {
            sys::signal_group(Pid::from_raw(*group), *signal);
        }
        let goodbye = async {
            while self
                .terminals
                .iter()
                .any(|t| t.pumped.get() && t.exited.get().is_none())
            {
                self.lab_wake.notified().await;
            }
        };
        // why the result is dropped: who has not said goodbye by then is ended all the same
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
        self.lab(LabEvent::Stopping { reason });
        self.journal.borrow_mut().close();
        let all_durable = async {
            while self.journal.borrow().durable_offset() < self.journal.borrow().end() {
                self.durable_wake.notified().await;
            }
        };
        if tokio::time::timeout(DURABLE_WITHIN, all_durable).await.is_err() {
            log::line("warn", "stop", &"no recorder has the end of the journal");
        }
        lab::descendants::signal_all(Signal::SIGKILL);
    }

    /// Asks for an orderly stop; the first reason counts.
    pub fn ask_stop(&self, reason: &str) {
        self.stop.borrow_mut().get_or_insert_with(|| reason.to_owned());
        self.stop_wake.notify_one();
    }

    /// A stop was asked for.
    pub fn is_stopping(&self) -> bool {
        self.stop.borrow().is_some()
    }

    /// The orchestrator ends sessions; this is for sandboxes whose orchestrator never comes back.
    async fn keep_deadline(self: Rc<Self>) {
        if let Some(deadline) = self.options.deadline {
            tokio::time::sleep(deadline).await;
            self.ask_stop("deadline");
        }
    }

    /// A lab that stands still does so until it is told otherwise; one that cannot be made to ends, since nobody pays for its time.
    async fn keep_still(self: Rc<Self>) {
        let mut restless = 0;
        loop {
            tokio::time::sleep(STILL_EVERY).await;
            if !self.frozen.get() || self.is_stopping() {
                restless = 0;
                continue;
            }
            let walk = lab::descendants::signal_all(Signal::SIGSTOP);
            if walk.ran == 0 && walk.quiet {
                continue;
            }
            restless += 1;
            log::line(
                "warn",
                "still",
                &format!("{} processes ran while the lab stood still", walk.ran),
            );
            if restless > RESTLESS_MAX {
                self.lab(LabEvent::Failed {
                    code: NOT_STILL.into(),
                    detail: format!("processes of the lab went on while it stood still, {restless} times"),
                });
                self.ask_stop(NOT_STILL);
            }
        }
    }

    async fn retry_disk(self: Rc<Self>) {
        loop {
            tokio::time::sleep(DISK_RETRY).await;
            if self.journal.borrow().is_disk_full() {
                self.journal.borrow_mut().write_out();
                self.wake_terminals();
            }
        }
    }

    /// Runs a task that ends with the agent at the latest.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let mut tasks = self.tasks.borrow_mut();
        while tasks.try_join_next().is_some() {}
        tasks.spawn_local(task);
    }

    /// The terminal with this index.
    pub fn terminal(&self, index: TerminalIndex) -> Option<&Terminal> {
        self.terminals.get(usize::from(index))
    }

    pub fn terminals(&self) -> &[Terminal] {
        &self.terminals
    }

    /// Adds a record and wakes who follows.
    pub fn append(&self, terminal: TerminalIndex, event: Event) {
        let offset = self.terminal(terminal).map_or(0, |t| t.offset.get());
        let appended = self
            .journal
            .borrow_mut()
            .append(self.clock.now_us(), terminal, offset, event);
        self.connections.journal_grew();
        if appended == Appended::DiskFull {
            self.marker(
                WHOLE_SESSION,
                "the sandbox's disk is full: terminals wait until there is room",
            );
        }
    }

    /// Adds a record of the lab's own life.
    pub fn lab(&self, event: LabEvent) {
        self.append(WHOLE_SESSION, Event::Lab(event));
    }

    /// Adds a named point.
    pub fn marker(&self, terminal: TerminalIndex, label: &str) {
        self.append(
            terminal,
            Event::Marker(Marker {
                label: label.to_owned(),
            }),
        );
    }

    /// A command was entered or ended.
    pub fn command(&self, index: TerminalIndex, terminal: &Terminal, command: Command) {
        *terminal.last_command.borrow_mut() = Some(command.clone());
        self.append(index, Event::Command(command));
    }

    /// A check ran.
    pub fn outcome(&self, outcome: CheckOutcome) {
        let mut outcomes = self.outcomes.borrow_mut();
        outcomes.retain(|o| o.check != outcome.check);
        outcomes.push(outcome.clone());
        drop(outcomes);
        self.append(WHOLE_SESSION, Event::Check(outcome));
    }

    /// Someone came or left.
    pub fn join(&self, join: Join) {
        self.append(WHOLE_SESSION, Event::Join(join));
    }

    /// Input up to `seq` is in the terminal.
    pub fn acknowledge(&self, terminal: TerminalIndex, writer: WriterId, seq: u64) {
        self.connections.acknowledge(terminal, writer, seq);
    }

    /// The terminal has this size from here on.
    pub fn resized(&self, index: TerminalIndex, terminal: &Terminal, (cols, rows): (u16, u16)) {
        self.show_unfed(index, terminal);
        terminal.size.set((cols, rows));
        self.screens.resize(index, cols, rows);
        self.append(index, Event::Resize { cols, rows });
    }

    /// Shows the screen what it has not been shown.
    pub fn show_unfed(&self, index: TerminalIndex, terminal: &Terminal) {
        let unfed = std::mem::take(&mut *terminal.unfed.borrow_mut());
        if !unfed.is_empty() {
            self.screens.feed(index, unfed);
        }
    }

    /// The cursor's line, now.
    pub async fn cursor_line(&self, index: TerminalIndex, terminal: &Terminal) -> CursorLine {
        self.show_unfed(index, terminal);
        self.screens.line(index).await
    }

    /// Escape sequences that draw the terminal as it is now.
    pub async fn screen(&self, index: TerminalIndex, terminal: &Terminal, depth: Depth) -> Bytes {
        self.show_unfed(index, terminal);
        self.screens.draw(index, depth).await
    }

    /// The visible screen as it is now, asked for and awaited later.
    pub fn drawing(&self, index: TerminalIndex, terminal: &Terminal) -> tokio::sync::oneshot::Receiver<Bytes> {
        self.show_unfed(index, terminal);
        self.screens.drawing(index, Depth::Visible)
    }

    /// A recorder has everything below `offset`.
    pub fn durable(&self, epoch: u64, offset: u64) {
        self.journal.borrow_mut().durable(epoch, offset);
        self.durable_wake.notify_one();
        self.wake_terminals();
    }

    fn wake_terminals(&self) {
        self.terminals.iter().for_each(|t| t.wake.notify_one());
    }

    /// Stops the lab's processes where they are.
    pub fn freeze(&self) {
        self.frozen.set(true);
        self.freezes.set(self.freezes.get() + 1);
        lab::descendants::signal_all(Signal::SIGSTOP);
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        if self.frozen.replace(false) {
            lab::descendants::signal_all(Signal::SIGCONT);
            self.wake_terminals();
            self.checks.thawed();
        }
    }

    /// A process group that ends with the lab, by this signal.
    pub fn remember_group(&self, leader: Pid, signal: Signal) {
        self.groups.borrow_mut().insert(leader.as_raw(), signal);
    }

    /// Its leader has ended.
    pub fn forget_group(&self, leader: Pid) {
        self.groups.borrow_mut().remove(&leader.as_raw());
        self.lab_wake.notify_one();
    }

    /// What a connection is told first.
    pub fn welcome(&self) -> Welcome {
        let journal = self.journal.borrow();
        Welcome {
            version: PROTOCOL_VERSION,
            boot: self.boot.clone(),
            now_us: self.clock.now_us(),
            started_unix_us: self.clock.started_unix_us,
            ready_us: self.ready_us.get(),
            journal_start: journal.start(),
            journal_end: journal.end(),
            durable: journal.durable_offset(),
            terminals: self.terminals.iter().map(Terminal::state).collect(),
            checks: self.outcomes.borrow().clone(),
            viewers: self.connections.viewers(),
        }
    }
}
