//! The agent's protocol (`docs/protocol.md`): WebSocket messages over connections to `agent.sock`.
//!
//! Each connection is one task with a reading and a writing half that go on side by side: a peer that does not read its
//! journal can still type. `outbox` decides what is sent next, `requests` does what is asked.

mod connection;
mod outbox;
mod requests;

use crate::{agent::Agent, log};
use lab_core::{TerminalIndex, WriterId, agent::FromAgent, journal::Join};
use outbox::Outbox;
use std::{
    cell::{Cell, RefCell},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
    rc::Rc,
};
use tokio::net::{UnixListener, UnixStream};

pub use requests::stands_still;

/// The socket's name in the agent's directory.
pub const SOCKET: &str = "agent.sock";

/// Connections at once: one for each replica of the orchestrator, one for the recorder's, and room for all of them to
/// reconnect before the old ones are noticed to be dead.
const CONNECTIONS_MAX: usize = 32;

/// Names a connection for as long as the agent runs.
pub type ConnectionId = u64;

/// Why a request is not done; the code is one of `docs/protocol.md`'s.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: &'static str,
    pub message: String,
    /// The peer does not speak the protocol: nothing more it says can be trusted to mean what it seems to.
    pub ends: bool,
}

impl Refusal {
    pub fn new(code: &'static str, message: String) -> Self {
        Self {
            code,
            message,
            ends: false,
        }
    }

    /// A message that no peer of ours sends; its connection ends.
    pub fn breach(message: String) -> Self {
        Self {
            code: "malformed",
            message,
            ends: true,
        }
    }
}

/// All connections.
#[derive(Default)]
pub struct Connections {
    list: RefCell<Vec<Rc<Outbox>>>,
    next: Cell<ConnectionId>,
}

impl Connections {
    fn open(&self) -> Option<Rc<Outbox>> {
        let mut list = self.list.borrow_mut();
        if list.len() >= CONNECTIONS_MAX {
            return None;
        }
        let id = self.next.replace(self.next.get() + 1);
        let outbox = Rc::new(Outbox::new(id));
        list.push(Rc::clone(&outbox));
        Some(outbox)
    }

    fn close(&self, id: ConnectionId) {
        self.list.borrow_mut().retain(|c| c.id != id);
    }

    /// There is more to follow.
    pub fn journal_grew(&self) {
        self.list.borrow().iter().for_each(|c| c.wake.notify_one());
    }

    /// Tells every connection that this writer typed through.
    pub fn acknowledge(&self, terminal: TerminalIndex, writer: WriterId, seq: u64) {
        self.list
            .borrow()
            .iter()
            .for_each(|c| c.acknowledge(terminal, writer, seq));
    }

    /// Answers a check run, once the connection was sent the journal up to `after`.
    pub fn done(&self, id: ConnectionId, answer: &FromAgent, after: u64) {
        if let Some(outbox) = self.list.borrow().iter().find(|c| c.id == id) {
            outbox.say_after(after, answer);
        }
    }

    /// Who watches, over all connections.
    pub fn viewers(&self) -> Vec<Join> {
        self.list
            .borrow()
            .iter()
            .flat_map(|c| c.viewers.borrow().clone())
            .collect()
    }
}

/// Makes the socket, for its owner only.
pub fn listen(dir: &Path) -> io::Result<UnixListener> {
    let path = dir.join(SOCKET);
    match std::fs::remove_file(&path) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Whether a process of the lab connected: it may be of the same user, and would say `thaw`. One that connected and ended, which leaves its
/// connection to a child, cannot be looked at and counts as such; nothing of ours does that.
fn is_the_labs(stream: &UnixStream) -> bool {
    match stream.peer_cred() {
        Ok(peer) => peer.pid().is_none_or(crate::lab::descendants::is_of_the_lab),
        Err(_) => true,
    }
}

/// Accepts connections for ever.
pub async fn serve(agent: Rc<Agent>, listener: UnixListener) {
    loop {
        match listener.accept().await {
            // before it takes a place: what runs in the lab could take all of them
            Ok((stream, _)) if is_the_labs(&stream) => {
                log::line(
                    "warn",
                    "connection-refused",
                    &"a process of the lab may not speak to its agent",
                );
            }
            Ok((stream, _)) => match agent.connections.open() {
                Some(outbox) => agent.spawn(connection::run(Rc::clone(&agent), stream, outbox)),
                None => log::line("warn", "connection-refused", &format!("{CONNECTIONS_MAX} are open")),
            },
            Err(error) => {
                // out of file descriptors: the next accept would fail at once again
                log::line("warn", "accept", &error);
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}
