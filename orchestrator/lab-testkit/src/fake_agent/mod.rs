//! An agent in memory that speaks the whole protocol and does what a test tells it.
//!
//! Terminals are byte queues: [`FakeAgent::output`] is what a program would write, [`FakeAgent::typed`] what reached it. Credit,
//! durability limits, seats, numbered input, snapshots and the stop are kept as `docs/protocol.md` says, so a test of the
//! orchestrator meets the real rules. A snapshot's screen is the text `screen@<offset>`: a test can see where it was taken.

mod journal;
mod serve;
mod state;

use bytes::Bytes;
use lab_core::{
    CheckId, TerminalIndex, WHOLE_SESSION, WriterId,
    agent::AgentSpec,
    journal::{Command, Event, LabEvent},
    port::Clock,
};
use state::{AgentState, Terminal};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;

/// See the module's doc.
pub struct FakeAgent {
    clock: Arc<dyn Clock>,
    start_us: u64,
    state: Mutex<AgentState>,
    /// Counts changes; connections wait on it.
    changed: watch::Sender<u64>,
}

impl FakeAgent {
    /// An agent of a lab with these terminals and checks, that has just started its lab.
    pub fn new(spec: &AgentSpec, clock: Arc<dyn Clock>) -> Arc<Self> {
        let start_us = clock.monotonic_us();
        let state = AgentState::new(spec);
        let agent = Arc::new(Self {
            clock,
            start_us,
            state: Mutex::new(state),
            changed: watch::Sender::new(0),
        });
        agent.lab(LabEvent::Starting);
        agent
    }

    fn state(&self) -> MutexGuard<'_, AgentState> {
        self.state.lock().expect("no holder panics")
    }

    /// Microseconds since its start.
    pub fn now_us(&self) -> u64 {
        self.clock.monotonic_us() - self.start_us
    }

    fn act<T>(&self, work: impl FnOnce(&mut AgentState, u64) -> T) -> T {
        let done = {
            let mut state = self.state();
            let done = work(&mut state, self.now_us());
            state.pump(self.now_us());
            done
        };
        self.changed.send_modify(|n| *n += 1);
        done
    }

    fn terminal<T>(&self, index: TerminalIndex, read: impl FnOnce(&Terminal) -> T) -> T {
        read(&self.state().terminals[index as usize])
    }

    /// The terminal's program writes; it reaches the journal as far as credit and durability allow.
    pub fn output(&self, terminal: TerminalIndex, bytes: &[u8]) {
        self.act(|s, _| s.terminals[terminal as usize].pty.extend_from_slice(bytes));
    }

    /// Bytes written by the program that credit or durability keep out of the journal.
    pub fn paused_bytes(&self, terminal: TerminalIndex) -> usize {
        self.terminal(terminal, |t| t.pty.len())
    }

    /// Output bytes of a terminal that are in the journal.
    pub fn output_offset(&self, terminal: TerminalIndex) -> u64 {
        self.terminal(terminal, |t| t.offset)
    }

    /// Everything typed into a terminal.
    pub fn typed(&self, terminal: TerminalIndex) -> Vec<u8> {
        self.terminal(terminal, |t| t.typed.clone())
    }

    /// Writer that has the seat.
    pub fn seat(&self, terminal: TerminalIndex) -> Option<WriterId> {
        self.terminal(terminal, Terminal::seat_writer)
    }

    /// Absolute output limit in force; `u64::MAX` when there is none.
    pub fn credit(&self, terminal: TerminalIndex) -> u64 {
        self.terminal(terminal, Terminal::limit)
    }

    /// Size of a terminal.
    pub fn size(&self, terminal: TerminalIndex) -> (u16, u16) {
        self.terminal(terminal, |t| (t.cols, t.rows))
    }

    /// What is typed is written back at once.
    pub fn set_echo(&self, on: bool) {
        self.act(|s, _| s.echo = on);
    }

    /// Lab events; `Ready` is remembered for `welcome`.
    pub fn lab(&self, event: LabEvent) {
        self.act(|s, now| {
            if event == LabEvent::Ready {
                s.ready_us.get_or_insert(now);
            }
            s.append(WHOLE_SESSION, now, Event::Lab(event));
        });
    }

    /// A command was entered in a terminal.
    pub fn command(&self, terminal: TerminalIndex, text: &str) {
        let command = Command {
            text: text.to_owned(),
            status: None,
            took_us: None,
        };
        self.act(|s, now| {
            s.terminals[terminal as usize].last_command = Some(command.clone());
            s.append(terminal, now, Event::Command(command));
        });
    }

    /// The terminal's program ends.
    pub fn exit(&self, terminal: TerminalIndex, status: i32) {
        self.act(|s, now| {
            s.terminals[terminal as usize].exited = Some(status);
            s.append(terminal, now, Event::Exit { status });
        });
    }

    /// Any record.
    pub fn record(&self, terminal: TerminalIndex, event: Event) {
        self.act(|s, now| s.append(terminal, now, event));
    }

    /// What a check will find.
    pub fn set_check(&self, check: &str, passed: bool) {
        self.act(|s, _| s.passing.insert(CheckId::from(check), passed));
    }

    /// Raw journal bytes that are kept, and the offset of the first.
    pub fn journal(&self) -> (u64, Bytes) {
        let state = self.state();
        (state.journal.start, Bytes::copy_from_slice(&state.journal.bytes))
    }

    /// Offset after the last record.
    pub fn journal_end(&self) -> u64 {
        self.state().journal.end()
    }

    /// Highest offset that a recorder called durable.
    pub fn durable(&self) -> u64 {
        self.state().durable
    }

    /// Forgets journal records below `offset`, as the real one does with what is durable.
    pub fn trim(&self, offset: u64) {
        self.act(|s, _| s.journal.trim(offset));
    }

    /// Longest journal frame sent; small ones cut records in the middle.
    pub fn set_frame_bytes(&self, bytes: usize) {
        self.act(|s, _| s.frame_bytes = bytes);
    }

    /// Undurable bytes at which terminals pause.
    pub fn set_undurable_max(&self, bytes: u64) {
        self.act(|s, _| s.undurable_max = bytes);
    }

    /// Neither reads nor writes its connections any more, without closing them: a half-open line.
    pub fn set_silent(&self, on: bool) {
        self.act(|s, _| s.silent = on);
    }

    /// Input is applied, but its acknowledgement is lost.
    pub fn set_mute_acks(&self, on: bool) {
        self.act(|s, _| s.mute_acks = on);
    }

    /// The next journal frame has a bit flipped.
    pub fn corrupt_next_frame(&self) {
        self.act(|s, _| s.corrupt_next = true);
    }

    /// Appends output whose journal record is damaged for good, as a vandal in the sandbox might.
    pub fn output_corrupt(&self, terminal: TerminalIndex, bytes: &[u8]) {
        self.act(|s, now| {
            s.append(terminal, now, Event::Output(Bytes::copy_from_slice(bytes)));
            if let Some(last) = s.journal.bytes.last_mut() {
                *last ^= 1;
            }
        });
    }

    /// Ends every open connection.
    pub fn cut_connections(&self) {
        self.act(|s, _| s.generation += 1);
    }

    /// Open connections.
    pub fn connections(&self) -> usize {
        self.state().connections.len()
    }

    /// Connections ever made.
    pub fn connections_total(&self) -> u64 {
        self.state().connections_total
    }

    /// Snapshots asked for so far.
    pub fn snapshots_total(&self) -> u64 {
        self.state().snapshots_total
    }

    /// Who watches: viewer keys.
    pub fn viewers(&self) -> Vec<String> {
        self.state().viewers().map(|j| j.viewer.clone()).collect()
    }

    /// Whether it was told to stop.
    pub fn is_stopping(&self) -> bool {
        self.state().stopping
    }

    /// Waits for any change since this future was made.
    pub async fn changed(&self) {
        let mut seen = self.changed.subscribe();
        // the sender lives as long as `self`
        let _ = seen.changed().await;
    }

    /// Returns when it would exit: told to stop, and all durable (or 5 s later).
    pub async fn exited(&self) {
        let mut seen = self.changed.subscribe();
        while !self.is_stopping() {
            let _ = seen.changed().await;
        }
        let all_durable = async {
            loop {
                let done = {
                    let s = self.state();
                    s.durable >= s.journal.end()
                };
                if done {
                    return;
                }
                let _ = seen.changed().await;
            }
        };
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), all_durable).await;
        self.cut_connections();
    }
}
