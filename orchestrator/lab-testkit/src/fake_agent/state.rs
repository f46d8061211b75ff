//! What the fake agent knows, and the rules of the protocol.

use super::journal::Journal;
use bytes::{Bytes, BytesMut};
use lab_core::{
    CheckId, TerminalIndex, WHOLE_SESSION, WriterId,
    agent::{AgentFrame, AgentSpec, FromAgent, SnapshotFrame, TerminalState, ToAgent, Welcome},
    journal::{CheckOutcome, Command, Event, Join, LabEvent, Marker, Record, Seat},
    limits::{FOLLOW_WINDOW_BYTES, JOURNAL_FRAME_BYTES, JOURNAL_UNDURABLE_BYTES_MAX, RECORD_PAYLOAD_MAX},
};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// What a connection is sent.
#[derive(Debug)]
pub(super) enum Outgoing {
    Text(FromAgent),
    Frame(AgentFrame),
}

#[derive(Debug, Default)]
pub(super) struct Connection {
    pub generation: u64,
    /// Next journal offset to send, once it follows.
    pub sent: Option<u64>,
    pub taken: u64,
    pub queue: VecDeque<Outgoing>,
    pub snapshots: VecDeque<SnapshotFrame>,
    viewers: Vec<Join>,
}

#[derive(Debug, Default)]
pub(super) struct Terminal {
    pub pty: BytesMut,
    pub typed: Vec<u8>,
    pub offset: u64,
    pub cols: u16,
    pub rows: u16,
    pub exited: Option<i32>,
    pub last_command: Option<Command>,
    seat: Option<Seat>,
    /// Writer and connection that set it.
    credit: Option<(WriterId, u64, u64)>,
    last_seq: HashMap<WriterId, u64>,
}

impl Terminal {
    pub fn seat_writer(&self) -> Option<WriterId> {
        self.seat.as_ref()?.writer.parse().ok()
    }
    pub fn limit(&self) -> u64 {
        self.credit.map_or(u64::MAX, |(_, _, limit)| limit)
    }
}

#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of a double, each set by one test"
)]
pub(super) struct AgentState {
    pub terminals: Vec<Terminal>,
    pub journal: Journal,
    pub connections: BTreeMap<u64, Connection>,
    pub connections_total: u64,
    pub snapshots_total: u64,
    pub passing: HashMap<CheckId, bool>,
    pub ready_us: Option<u64>,
    pub durable: u64,
    durable_epoch: u64,
    pub echo: bool,
    pub silent: bool,
    pub mute_acks: bool,
    pub corrupt_next: bool,
    pub stopping: bool,
    pub generation: u64,
    pub frame_bytes: usize,
    pub undurable_max: u64,
    checks: Vec<(CheckId, u32)>,
    outcomes: Vec<CheckOutcome>,
}

impl AgentState {
    pub fn new(spec: &AgentSpec) -> Self {
        let terminal = || Terminal {
            cols: 80,
            rows: 24,
            ..Terminal::default()
        };
        Self {
            terminals: spec.terminals.iter().map(|_| terminal()).collect(),
            journal: Journal::default(),
            connections: BTreeMap::new(),
            connections_total: 0,
            snapshots_total: 0,
            passing: HashMap::new(),
            ready_us: None,
            durable: 0,
            durable_epoch: 0,
            echo: false,
            silent: false,
            mute_acks: false,
            corrupt_next: false,
            stopping: false,
            generation: 0,
            frame_bytes: JOURNAL_FRAME_BYTES,
            undurable_max: JOURNAL_UNDURABLE_BYTES_MAX,
            checks: spec.checks.iter().map(|c| (c.id.clone(), c.points)).collect(),
            outcomes: Vec::new(),
        }
    }

    pub fn viewers(&self) -> impl Iterator<Item = &Join> {
        self.connections.values().flat_map(|c| &c.viewers)
    }

    pub fn append(&mut self, terminal: TerminalIndex, time_us: u64, event: Event) {
        let offset = if terminal == WHOLE_SESSION {
            0
        } else {
            self.terminals[terminal as usize].offset
        };
        if let Event::Output(b) = &event {
            self.terminals[terminal as usize].offset += b.len() as u64;
        }
        self.journal.append(&Record {
            terminal,
            time_us,
            offset,
            event,
        });
    }

    /// Moves output from the programs to the journal as far as it may go.
    pub fn pump(&mut self, now_us: u64) {
        for index in 0..self.terminals.len() {
            loop {
                let t = &mut self.terminals[index];
                let room = t.limit().saturating_sub(t.offset).min(RECORD_PAYLOAD_MAX as u64) as usize;
                let take = t.pty.len().min(room);
                if take == 0 || self.journal.end().saturating_sub(self.durable) >= self.undurable_max {
                    break;
                }
                let bytes = t.pty.split_to(take).freeze();
                self.append(index as TerminalIndex, now_us, Event::Output(bytes));
            }
        }
    }

    pub fn connect(&mut self) -> u64 {
        self.connections_total += 1;
        let connection = Connection {
            generation: self.generation,
            ..Connection::default()
        };
        self.connections.insert(self.connections_total, connection);
        self.connections_total
    }

    pub fn disconnect(&mut self, id: u64, now_us: u64) {
        let gone = self.connections.remove(&id);
        for t in &mut self.terminals {
            t.credit = t.credit.filter(|(_, connection, _)| *connection != id);
        }
        for join in gone.into_iter().flat_map(|c| c.viewers) {
            self.append(WHOLE_SESSION, now_us, Event::Join(Join { here: false, ..join }));
        }
    }

    /// The next thing to send on a connection.
    pub fn next_for(&mut self, id: u64) -> Option<Outgoing> {
        if self.silent {
            return None;
        }
        let connection = self.connections.get_mut(&id)?;
        if let Some(first) = connection.queue.pop_front() {
            return Some(first);
        }
        let barrier = connection.snapshots.front().map_or(u64::MAX, |s| s.journal);
        let sent = connection.sent.map(|s| self.journal.raise(s));
        if sent.is_none_or(|s| s >= barrier)
            && let Some(snapshot) = connection.snapshots.pop_front()
        {
            return Some(Outgoing::Frame(AgentFrame::Snapshot(snapshot)));
        }
        let sent = sent?;
        let window = FOLLOW_WINDOW_BYTES.saturating_sub(sent.saturating_sub(connection.taken));
        let max = window.min(barrier - sent).min(self.frame_bytes as u64) as usize;
        let mut bytes = BytesMut::from(self.journal.slice(sent, max));
        if bytes.is_empty() {
            return None;
        }
        connection.sent = Some(sent + bytes.len() as u64);
        if std::mem::take(&mut self.corrupt_next) {
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
        }
        Some(Outgoing::Frame(AgentFrame::Journal {
            offset: sent,
            bytes: bytes.freeze(),
        }))
    }

    pub fn take_text(&mut self, id: u64, message: ToAgent, now_us: u64) {
        match message {
            ToAgent::Hello { .. } => {
                let welcome = self.welcome(now_us);
                self.reply(id, FromAgent::Welcome(welcome));
            }
            ToAgent::Follow { from } => {
                let from = self.journal.raise(from);
                if let Some(c) = self.connections.get_mut(&id) {
                    c.sent = Some(from);
                    c.taken = from;
                }
            }
            ToAgent::Snapshot { request, terminal } => self.snapshot(id, request, terminal),
            ToAgent::Resize {
                terminal,
                writer,
                cols,
                rows,
            } => {
                let t = &mut self.terminals[terminal as usize];
                if t.seat_writer().is_none_or(|w| w.to_string() == writer) {
                    (t.cols, t.rows) = (cols, rows);
                    self.append(terminal, now_us, Event::Resize { cols, rows });
                } else {
                    self.refuse(id, None, "no-seat");
                }
            }
            ToAgent::Seat { terminal, seat } => {
                let t = &mut self.terminals[terminal as usize];
                t.seat = Some(seat.clone()).filter(|s| !s.writer.is_empty());
                t.credit = None;
                self.append(terminal, now_us, Event::Seat(seat));
            }
            ToAgent::Join { viewer, name, role } => {
                let join = Join {
                    viewer,
                    name,
                    role,
                    here: true,
                };
                if let Some(c) = self.connections.get_mut(&id) {
                    c.viewers.push(join.clone());
                }
                self.append(WHOLE_SESSION, now_us, Event::Join(join));
            }
            ToAgent::Leave { viewer } => {
                let Some(c) = self.connections.get_mut(&id) else { return };
                if let Some(at) = c.viewers.iter().position(|j| j.viewer == viewer) {
                    let join = Join {
                        here: false,
                        ..c.viewers.remove(at)
                    };
                    self.append(WHOLE_SESSION, now_us, Event::Join(join));
                }
            }
            ToAgent::Restart { terminal } => {
                if self.terminals[terminal as usize].exited.take().is_none() {
                    self.refuse(id, None, "not-exited");
                }
            }
            ToAgent::Check { request, checks } => {
                self.run_checks(&checks, now_us);
                self.reply(id, FromAgent::Done { request });
            }
            ToAgent::Marker { terminal, label } => self.append(terminal, now_us, Event::Marker(Marker { label })),
            ToAgent::Freeze | ToAgent::Thaw => {}
            ToAgent::Stop { reason } => {
                if !self.stopping {
                    self.stopping = true;
                    self.append(WHOLE_SESSION, now_us, Event::Lab(LabEvent::Stopping { reason }));
                }
            }
        }
    }

    pub fn take_frame(&mut self, id: u64, frame: AgentFrame) {
        match frame {
            AgentFrame::Input {
                terminal,
                writer,
                seq,
                bytes,
            } => self.input(id, terminal, writer, seq, &bytes),
            AgentFrame::Credit {
                terminal,
                writer,
                limit,
            } => {
                let t = &mut self.terminals[terminal as usize];
                if t.seat_writer() == Some(writer) {
                    t.credit = Some((writer, id, limit)).filter(|_| limit != u64::MAX);
                }
            }
            AgentFrame::Durable { epoch, offset } if epoch >= self.durable_epoch => {
                self.durable_epoch = epoch;
                self.durable = self.durable.max(offset.min(self.journal.end()));
            }
            AgentFrame::Taken { offset } => {
                if let Some(c) = self.connections.get_mut(&id) {
                    c.taken = c.taken.max(offset);
                }
            }
            AgentFrame::Durable { .. }
            | AgentFrame::Journal { .. }
            | AgentFrame::Snapshot(_)
            | AgentFrame::InputAck { .. } => {}
        }
    }

    fn input(&mut self, id: u64, terminal: TerminalIndex, writer: WriterId, seq: u64, bytes: &[u8]) {
        let t = &mut self.terminals[terminal as usize];
        let last = t.last_seq.entry(writer).or_default();
        if seq > *last {
            if t.seat.as_ref().is_none_or(|s| s.writer != writer.to_string()) {
                return self.refuse(id, None, "no-seat");
            }
            if seq != *last + 1 {
                return self.refuse(id, None, "input-order");
            }
            *last = seq;
            t.typed.extend_from_slice(bytes);
            if self.echo {
                t.pty.extend_from_slice(bytes);
            }
        }
        let seq = *self.terminals[terminal as usize].last_seq.get(&writer).unwrap_or(&0);
        if !self.mute_acks {
            self.push(id, Outgoing::Frame(AgentFrame::InputAck { terminal, writer, seq }));
        }
    }

    fn snapshot(&mut self, id: u64, request: u32, terminal: TerminalIndex) {
        self.snapshots_total += 1;
        let t = &self.terminals[terminal as usize];
        let frame = SnapshotFrame {
            request,
            terminal,
            offset: t.offset,
            journal: self.journal.end(),
            cols: t.cols,
            rows: t.rows,
            screen: Bytes::from(format!("screen@{}", t.offset)),
        };
        if let Some(c) = self.connections.get_mut(&id) {
            c.snapshots.push_back(frame);
        }
    }

    fn run_checks(&mut self, wanted: &[CheckId], now_us: u64) {
        for (check, points) in self.checks.clone() {
            if !wanted.is_empty() && !wanted.contains(&check) {
                continue;
            }
            let passed = self.passing.get(&check).copied().unwrap_or(false);
            let points = if passed { points } else { 0 };
            let outcome = CheckOutcome {
                check,
                passed,
                points,
                detail: String::new(),
            };
            self.outcomes.retain(|o| o.check != outcome.check);
            self.outcomes.push(outcome.clone());
            self.append(WHOLE_SESSION, now_us, Event::Check(outcome));
        }
    }

    fn welcome(&self, now_us: u64) -> Welcome {
        Welcome {
            version: lab_core::agent::PROTOCOL_VERSION,
            boot: "fake".into(),
            now_us,
            started_unix_us: crate::ManualClock::START.0,
            ready_us: self.ready_us,
            journal_start: self.journal.start,
            journal_end: self.journal.end(),
            durable: self.durable,
            terminals: self
                .terminals
                .iter()
                .map(|t| TerminalState {
                    cols: t.cols,
                    rows: t.rows,
                    offset: t.offset,
                    seat: t.seat.clone(),
                    exited: t.exited,
                    last_command: t.last_command.clone(),
                })
                .collect(),
            checks: self.outcomes.clone(),
            viewers: self.viewers().cloned().collect(),
        }
    }

    fn push(&mut self, id: u64, out: Outgoing) {
        if let Some(c) = self.connections.get_mut(&id) {
            c.queue.push_back(out);
        }
    }

    pub fn reply(&mut self, id: u64, message: FromAgent) {
        self.push(id, Outgoing::Text(message));
    }

    fn refuse(&mut self, id: u64, request: Option<u32>, code: &str) {
        self.reply(
            id,
            FromAgent::Refused {
                request,
                code: code.to_owned(),
                message: code.to_owned(),
            },
        );
    }
}
