//! From a program's terminal into the journal: take, pass on, recognise, and show the screen later.
//!
//! Small writes that follow each other are joined for up to a millisecond, because a record and a frame for each would
//! cost more than the bytes; what answers a key is passed on at once. Nothing is read beyond what credit, recorder and
//! disk allow: the kernel's own buffer (64 KiB) then fills and the program waits, as for a slow real terminal.

use super::{
    Terminal,
    command::{Mark, PromptLines, ShellMarks},
    intake::Intake,
    serial,
    spacing::Spacing,
};
use crate::{agent::Agent, lab::process, sys};
use bytes::{Bytes, BytesMut};
use lab_core::{TerminalIndex, agent::TerminalKind, journal::Event, limits::RECORD_PAYLOAD_MAX};
use nix::{sys::signal::Signal, unistd::Pid};
use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
    time::Duration,
};
use tokio::{io::unix::AsyncFd, sync::oneshot, time::Instant};

/// How long small output may wait for more of it.
const JOIN_FOR: Duration = Duration::from_millis(1);
/// A terminal that wrote nothing for so long is quiet: its screen is brought up to date and its prompt looked for.
const QUIET_AFTER: Duration = Duration::from_millis(10);
/// A program without marks or pattern has prompted when its cursor rests for so long.
const RESTS_AFTER: Duration = Duration::from_millis(150);
/// After a program's end its terminal is read until it is at its end, but no longer than this when something else
/// still holds it open.
const LINGER: Duration = Duration::from_millis(100);
/// Output that may be read and not passed on: at the kernel's 65 MB/s these are 4 ms in which the program is not held up, while a keyframe is drawn,
/// or what came before is passed on.
const GATHERED_BYTES_MAX: usize = 256 * 1024;
/// Status of a program that could not be started, as shells say it.
const CANNOT_START: i32 = 127;
/// Status of a serial line whose machine was switched off.
const HUNG_UP: i32 = 0;

/// Runs a terminal for as long as the agent does: its program, then its program again when asked to.
pub async fn run(agent: Rc<Agent>, index: TerminalIndex) {
    let terminal = agent.terminal(index).expect("started for terminals that exist");
    loop {
        let mut pump = Pump::new(&agent, terminal, index);
        let status = match &terminal.spec.socket {
            Some(socket) => {
                let line = serial::taken(&agent.options, socket).await;
                // it has no exit status: it ends when its other end closes it
                pump.life(std::future::pending(), &line).await
            }
            None => pump.program().await,
        };
        for (writer, seq) in terminal.keys.borrow_mut().drop_waiting() {
            agent.acknowledge(index, writer, seq);
        }
        terminal.exited.set(Some(status));
        agent.append(index, Event::Exit { status });
        while !terminal.restart.take() {
            terminal.wake.notified().await;
            pump.resize(None).await;
            pump.drawn().await;
        }
        terminal.exited.set(None);
    }
}

enum Recogniser {
    Marks(ShellMarks),
    Prompts(PromptLines),
    Nothing,
}

struct Pump<'a> {
    agent: &'a Rc<Agent>,
    terminal: &'a Terminal,
    index: TerminalIndex,
    /// Read, and not passed on: a keyframe is being drawn.
    pending: BytesMut,
    /// When what has gathered is taken unasked; none while the next byte is told at once.
    look_at: Option<Instant>,
    passed_on: Instant,
    last_output_us: u64,
    spacing: Spacing,
    /// Asked for at the present offset: nothing is passed on before it has come, which makes it exact.
    keyframe: Option<oneshot::Receiver<Bytes>>,
    unfed: usize,
    recogniser: Recogniser,
    /// Quiet work is done for the last output.
    settled: bool,
    rested: bool,
}

impl<'a> Pump<'a> {
    fn new(agent: &'a Rc<Agent>, terminal: &'a Terminal, index: TerminalIndex) -> Self {
        let now = Instant::now();
        let prompt = terminal
            .spec
            .prompt
            .as_deref()
            .and_then(|p| regex::bytes::Regex::new(p).ok());
        let recogniser = match (terminal.spec.kind, prompt) {
            (TerminalKind::Shell, _) => Recogniser::Marks(ShellMarks::default()),
            (_, Some(prompt)) => Recogniser::Prompts(PromptLines::new(prompt)),
            (_, None) => Recogniser::Nothing,
        };
        Self {
            agent,
            terminal,
            index,
            pending: BytesMut::new(),
            look_at: None,
            passed_on: now,
            last_output_us: 0,
            spacing: Spacing::new(terminal.offset.get(), now),
            keyframe: None,
            unfed: 0,
            recogniser,
            settled: true,
            rested: true,
        }
    }

    /// Runs the terminal's program once; its exit status.
    async fn program(&mut self) -> i32 {
        match self.start() {
            Ok((pid, master)) => {
                // registered before anything is awaited, or the reaper might collect it unseen
                let exit = self.agent.reaper.exit(pid);
                let status = self.life(exit, &master).await;
                self.agent.forget_group(pid);
                status
            }
            Err(error) => {
                let command = &self.terminal.spec.command;
                self.agent
                    .marker(self.index, &format!("cannot start {command:?}: {error}"));
                CANNOT_START
            }
        }
    }

    fn start(&self) -> io::Result<(Pid, AsyncFd<OwnedFd>)> {
        let (cols, rows) = self.terminal.size.get();
        let command = process::command(&self.agent.options, &self.agent.spec.env, &self.terminal.spec.command)?;
        let (pid, master) = sys::open_pty(cols, rows)?.spawn(command)?;
        self.agent.remember_group(pid, Signal::SIGHUP);
        Ok((pid, sys::polled_for_writing(master)?))
    }

    /// From start to the exit status. Reading and typing go on side by side.
    async fn life(&mut self, exit: impl Future<Output = i32>, master: &AsyncFd<OwnedFd>) -> i32 {
        let (agent, terminal, index) = (self.agent, self.terminal, self.index);
        let intake = match Intake::start(master.get_ref().as_fd()) {
            Ok(intake) => intake,
            Err(error) => {
                agent.marker(index, &format!("cannot read the terminal: {error}"));
                return CANNOT_START;
            }
        };
        self.ask_keyframe();
        tokio::select! {
            status = self.output(exit, master, &intake) => status,
            never = keys(agent, terminal, index, master, &intake) => never,
        }
    }

    async fn output(&mut self, exit: impl Future<Output = i32>, master: &AsyncFd<OwnedFd>, intake: &Intake) -> i32 {
        let mut exit = std::pin::pin!(exit);
        let (mut status, mut at_end) = (None, false);
        let mut last_news = Instant::now();
        loop {
            let room = if at_end { 0 } else { self.room() };
            intake.allow(room);
            let drawing = self.keyframe.is_some();
            let look_at = self.look_at.filter(|_| !at_end);
            let quiet_at = self.quiet_at();
            let give_up_at = (status.is_some() && room > 0).then(|| last_news + LINGER);
            let deadline = [look_at, quiet_at, give_up_at, self.terminal.credit_ends()]
                .into_iter()
                .flatten()
                .min();
            tokio::select! {
                () = self.terminal.wake.notified() => {
                    last_news = Instant::now();
                    if self.terminal.resize.get().is_some() {
                        // it comes after the output that came before it
                        self.take(intake, false).await;
                    }
                    self.resize(Some(master)).await;
                }
                () = intake.news(), if !at_end => {
                    last_news = Instant::now();
                    // before what has gathered is taken: nothing comes after the end
                    let ended = intake.has_ended();
                    self.take(intake, false).await;
                    if ended {
                        at_end = true;
                        status = status.or(self.is_serial().then_some(HUNG_UP));
                    }
                }
                // reading goes on meanwhile
                () = self.drawn(), if drawing => self.pass_on_until_keyframe().await,
                ended = &mut exit, if status.is_none() => {
                    status = Some(ended);
                    last_news = Instant::now();
                }
                () = sleep_until(deadline), if deadline.is_some() => {
                    let due = |at: Option<Instant>| at.is_some_and(|at| at <= Instant::now());
                    if due(look_at) {
                        if self.take(intake, true).await {
                            last_news = Instant::now();
                        }
                    } else if due(quiet_at) {
                        self.quiet().await;
                    } else if due(give_up_at) {
                        self.take(intake, false).await;
                        at_end = true;
                    }
                }
            }
            if let (Some(status), true) = (status, at_end) {
                self.pass_on().await;
                self.drawn().await;
                self.quiet().await;
                return status;
            }
        }
    }

    /// A machine's line, whose other end is no program of ours.
    fn is_serial(&self) -> bool {
        self.terminal.spec.socket.is_some()
    }

    /// Bytes that may be read now.
    fn room(&self) -> usize {
        if self.agent.frozen.get() || !self.agent.journal.borrow().takes_output() {
            return 0;
        }
        let left = self.terminal.credit_left().saturating_sub(self.pending.len() as u64);
        left.min(GATHERED_BYTES_MAX.saturating_sub(self.pending.len()) as u64) as usize
    }

    /// Takes what has gathered and passes it on; whether there was anything. With `settle`, silence ends the gathering.
    async fn take(&mut self, intake: &Intake, settle: bool) -> bool {
        let bytes = intake.take(settle);
        let some = !bytes.is_empty();
        // output that follows output gathers; the first after silence, or after a key, is told at once
        self.look_at = (some || !settle).then(|| Instant::now() + JOIN_FOR);
        if self.pending.is_empty() {
            self.pending = bytes;
        } else {
            self.pending.extend_from_slice(&bytes);
        }
        self.pass_on_until_keyframe().await;
        some
    }

    /// All pending output becomes records, with the keyframes that are due between them.
    async fn pass_on(&mut self) {
        while !self.pending.is_empty() {
            self.drawn().await;
            self.pass_on_until_keyframe().await;
        }
    }

    /// Pending output becomes records, up to the keyframe that is due: what comes after it waits for it.
    async fn pass_on_until_keyframe(&mut self) {
        while !self.pending.is_empty() && self.keyframe.is_none() {
            let len = self.pending.len().min(RECORD_PAYLOAD_MAX);
            let record = self.pending.split_to(len).freeze();
            self.record(record).await;
        }
    }

    /// Enters output and looks at it.
    async fn record(&mut self, bytes: Bytes) {
        if self.terminal.entered.take()
            && let Recogniser::Prompts(lines) = &mut self.recogniser
        {
            lines.entered();
        }
        self.agent.append(self.index, Event::Output(bytes.clone()));
        self.terminal
            .offset
            .set(self.terminal.offset.get() + bytes.len() as u64);
        self.passed_on = Instant::now();
        self.last_output_us = self.agent.clock.now_us();
        (self.settled, self.rested) = (false, false);
        match &mut self.recogniser {
            Recogniser::Marks(marks) => {
                let mut found = Vec::new();
                marks.feed(&bytes, self.last_output_us, &mut found);
                self.show(bytes);
                for mark in found {
                    self.marked(mark);
                }
            }
            Recogniser::Prompts(lines) if lines.wants_lines() => self.show_line_by_line(bytes).await,
            _ => self.show(bytes),
        }
        if self.spacing.is_due(self.terminal.offset.get()) {
            self.ask_keyframe();
        }
    }

    fn marked(&self, mark: Mark) {
        match mark {
            Mark::Prompt => self.prompted(),
            Mark::Command(command) => self.agent.command(self.index, self.terminal, command),
        }
    }

    fn prompted(&self) {
        if !self.terminal.prompted.replace(true) {
            self.agent.lab_wake.notify_one();
        }
    }

    /// Hands output to the screen, in batches.
    fn show(&mut self, bytes: Bytes) {
        self.unfed += bytes.len();
        self.terminal.unfed.borrow_mut().push(bytes);
        if self.unfed >= self.spacing.piece() {
            self.agent.show_unfed(self.index, self.terminal);
            self.unfed = 0;
        }
    }

    /// Shows output up to each line's end and looks at the line, until the command that Enter ended is found.
    async fn show_line_by_line(&mut self, mut bytes: Bytes) {
        while let Some(at) = bytes.iter().position(|b| *b == b'\n') {
            self.show(bytes.split_to(at));
            let line = self.agent.cursor_line(self.index, self.terminal).await;
            self.show(bytes.split_to(1));
            let Recogniser::Prompts(lines) = &mut self.recogniser else {
                break;
            };
            if let Some(command) = lines.line_ends(&line.whole, self.last_output_us) {
                self.agent.command(self.index, self.terminal, command);
            }
            if !lines.wants_lines() {
                break;
            }
        }
        self.show(bytes);
    }

    /// When quiet work is due.
    fn quiet_at(&self) -> Option<Instant> {
        match (self.settled, self.rested) {
            (false, _) => Some(self.passed_on + QUIET_AFTER),
            (true, false) => Some(self.passed_on + RESTS_AFTER),
            (true, true) => None,
        }
    }

    /// The program writes nothing: the screen is brought up to date and the prompt looked for.
    async fn quiet(&mut self) {
        if self.settled {
            self.rested = true;
            if !matches!(self.recogniser, Recogniser::Prompts(_)) {
                self.prompted();
            }
            return;
        }
        self.settled = true;
        self.unfed = 0;
        if let Recogniser::Prompts(lines) = &mut self.recogniser {
            let line = self.agent.cursor_line(self.index, self.terminal).await;
            let (prompt, ended) = lines.quiet(&line.before_cursor, self.last_output_us);
            if let Some(command) = ended {
                self.agent.command(self.index, self.terminal, command);
            }
            if prompt {
                self.prompted();
            }
        } else {
            self.agent.show_unfed(self.index, self.terminal);
        }
    }

    /// Sets a size that was asked for, after the output that came before it. `master` is none when the program has ended. A
    /// serial line has no way to pass a size on: the screen follows the browser, and the machine's own `stty` is in its
    /// user's hands.
    async fn resize(&mut self, master: Option<&AsyncFd<OwnedFd>>) {
        let Some((cols, rows)) = self.terminal.resize.take() else {
            return;
        };
        self.pass_on().await;
        if let Some(master) = master.filter(|_| !self.is_serial())
            && let Err(error) = sys::set_size(master.get_ref().as_fd(), cols, rows)
        {
            crate::log::line("warn", "resize", &error);
        }
        self.agent.resized(self.index, self.terminal, (cols, rows));
        self.ask_keyframe();
    }

    /// Asks for the whole screen as it is at the terminal's offset.
    fn ask_keyframe(&mut self) {
        self.unfed = 0;
        self.spacing.asked(self.terminal.offset.get(), Instant::now());
        self.keyframe = Some(self.agent.drawing(self.index, self.terminal));
    }

    /// Waits for the keyframe that was asked for and enters it, so that what comes next may be passed on. Dropped while it
    /// waits, it has done nothing.
    async fn drawn(&mut self) {
        let Some(drawing) = &mut self.keyframe else { return };
        let screen = drawing.await.unwrap_or_default();
        self.keyframe = None;
        let (cols, rows) = self.terminal.size.get();
        self.agent.append(self.index, Event::Keyframe { cols, rows, screen });
    }
}

/// Types what waits, as fast as the terminal takes it. Never ends; dropped with the program.
async fn keys(
    agent: &Agent,
    terminal: &Terminal,
    index: TerminalIndex,
    master: &AsyncFd<OwnedFd>,
    intake: &Intake,
) -> i32 {
    loop {
        let front = terminal.keys.borrow().front();
        let Some(bytes) = front else {
            terminal.keys_wake.notified().await;
            continue;
        };
        let Ok(mut ready) = master.writable().await else {
            return std::future::pending().await;
        };
        // what comes next may be its echo
        intake.be_eager();
        if bytes.iter().any(|b| matches!(b, b'\r' | b'\n')) {
            terminal.entered.set(true);
        }
        match ready.try_io(|fd| Ok(nix::unistd::write(fd.get_ref(), &bytes)?)) {
            Ok(Ok(n)) => {
                if agent.spec.record_input {
                    agent.append(index, Event::Input(bytes.slice(..n)));
                }
                let done = terminal.keys.borrow_mut().wrote(n);
                if let Some((writer, seq)) = done {
                    agent.acknowledge(index, writer, seq);
                }
            }
            // the program is gone; the pump sees it too and ends this
            Ok(Err(_)) => return std::future::pending().await,
            Err(_would_block) => {}
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
