//! A terminal: its program, its screen, who may type, and how far it may run.
//!
//! `intake` reads what the program writes and `pump` passes it on, `keys` holds what is typed until the program's terminal takes it, `command`
//! recognises commands in between; `serial` takes a machine's line in place of a program's terminal. All of a terminal's
//! state is here and is touched by one thread; an intake has a thread of its own, and what it gathered.

mod command;
mod intake;
mod keys;
mod pump;
mod serial;
mod spacing;

pub use keys::{Keys, Typed};
pub use pump::run;

use crate::wire::ConnectionId;
use bytes::Bytes;
use lab_core::{
    WriterId,
    agent::{TerminalSpec, TerminalState},
    journal::{Command, Seat},
    limits::CREDIT_KEPT,
};
use std::cell::{Cell, RefCell};
use tokio::{sync::Notify, time::Instant};

/// Size until a browser says another.
pub const DEFAULT_SIZE: (u16, u16) = (80, 24);

/// How far output may run.
#[derive(Clone, Copy)]
struct Credit {
    /// Who said so.
    by: ConnectionId,
    /// Absolute output offset.
    limit: u64,
    /// That connection is gone: the limit holds until then, so that who comes back has missed no more than a window.
    until: Option<Instant>,
}

/// One terminal of the lab.
pub struct Terminal {
    pub spec: TerminalSpec,
    /// Columns and rows.
    pub size: Cell<(u16, u16)>,
    /// Output bytes so far.
    pub offset: Cell<u64>,
    pub seat: RefCell<Option<Seat>>,
    credit: Cell<Option<Credit>>,
    pub exited: Cell<Option<i32>>,
    pub last_command: RefCell<Option<Command>>,
    pub keys: RefCell<Keys>,
    /// Output that its screen has not been shown yet; fed in batches, off the path of the bytes.
    pub unfed: RefCell<Vec<Bytes>>,
    /// The program waits for input, as far as can be told: a prompt was drawn.
    pub prompted: Cell<bool>,
    pub restart: Cell<bool>,
    /// A size that the pump must set, in order with the output.
    pub resize: Cell<Option<(u16, u16)>>,
    /// A pump runs: since the lab was ready (a machine's line: since its start), for good.
    pub pumped: Cell<bool>,
    /// Enter was typed since output was last passed on.
    entered: Cell<bool>,
    /// The pump looks at credit, size and restart again.
    pub wake: Notify,
    /// There is something to type.
    pub keys_wake: Notify,
}

impl Terminal {
    pub fn new(spec: TerminalSpec) -> Self {
        Self {
            spec,
            size: Cell::new(DEFAULT_SIZE),
            offset: Cell::new(0),
            seat: RefCell::new(None),
            credit: Cell::new(None),
            exited: Cell::new(None),
            last_command: RefCell::new(None),
            keys: RefCell::new(Keys::default()),
            unfed: RefCell::new(Vec::new()),
            prompted: Cell::new(false),
            restart: Cell::new(false),
            resize: Cell::new(None),
            pumped: Cell::new(false),
            entered: Cell::new(false),
            wake: Notify::new(),
            keys_wake: Notify::new(),
        }
    }

    /// Whether this writer has the seat.
    pub fn has_seat(&self, writer: WriterId) -> bool {
        self.seat
            .borrow()
            .as_ref()
            .is_some_and(|s| s.writer.parse() == Ok(writer))
    }

    /// Gives the seat, or takes it away when the writer is empty. The old holder's credit goes with it.
    pub fn give_seat(&self, seat: Seat) {
        let same = self.seat.borrow().as_ref().is_some_and(|s| s.writer == seat.writer);
        if !same {
            self.lift_credit();
        }
        *self.seat.borrow_mut() = Some(seat).filter(|s| !s.writer.is_empty());
    }

    /// Output may run up to the absolute offset `limit`.
    pub fn set_credit(&self, by: ConnectionId, limit: u64) {
        self.credit.set(Some(Credit { by, limit, until: None }));
        self.wake.notify_one();
    }

    /// Output is no longer limited by a browser.
    pub fn lift_credit(&self) {
        self.credit.set(None);
        self.wake.notify_one();
    }

    /// A connection ended: what it limited stays limited for [`CREDIT_KEPT`], for an orchestrator that comes back.
    pub fn connection_ended(&self, connection: ConnectionId) {
        if let Some(credit) = self.credit.get().filter(|c| c.by == connection) {
            self.credit.set(Some(Credit {
                until: Some(Instant::now() + CREDIT_KEPT),
                ..credit
            }));
            self.wake.notify_one();
        }
    }

    /// Output bytes that the seat's browser lets through.
    pub fn credit_left(&self) -> u64 {
        match self.credit.get() {
            Some(c) if c.until.is_none_or(|until| Instant::now() < until) => c.limit.saturating_sub(self.offset.get()),
            _ => u64::MAX,
        }
    }

    /// When a limit ends that nobody renews.
    pub fn credit_ends(&self) -> Option<Instant> {
        self.credit
            .get()
            .and_then(|c| c.until)
            .filter(|until| Instant::now() < *until)
    }

    /// As a connection is told when it begins.
    pub fn state(&self) -> TerminalState {
        let (cols, rows) = self.size.get();
        TerminalState {
            cols,
            rows,
            offset: self.offset.get(),
            seat: self.seat.borrow().clone(),
            exited: self.exited.get(),
            last_command: self.last_command.borrow().clone(),
        }
    }
}
