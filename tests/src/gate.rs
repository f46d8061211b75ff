//! A door between a client and a server that a test opens and shuts: a TCP relay on an address of its own.

use anyhow::{Context, Result};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// Relays connections to its target while it is open; ends them and refuses more while it is shut.
pub struct Gate {
    pub address: SocketAddr,
    open: watch::Sender<bool>,
    state: Arc<Mutex<State>>,
    relay: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    target: Option<String>,
    relayed: u64,
}

impl Gate {
    /// Listens on a free port of `ip`; connections wait for nothing and are closed until there is a target.
    pub fn on(ip: &str) -> Result<Self> {
        let listener = std::net::TcpListener::bind((ip, 0)).with_context(|| format!("cannot listen on {ip}"))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let open = watch::Sender::new(true);
        let relay = runtime().spawn(relay(listener, state.clone(), open.subscribe()));
        Ok(Self {
            address,
            open,
            state,
            relay,
        })
    }

    /// A gate before `target` (`host:port`).
    pub fn before(ip: &str, target: impl Into<String>) -> Result<Self> {
        let gate = Self::on(ip)?;
        gate.lead_to(target);
        Ok(gate)
    }

    /// New connections go to `target`.
    pub fn lead_to(&self, target: impl Into<String>) {
        lock(&self.state).target = Some(target.into());
    }

    /// Ends what is open and refuses what comes.
    pub fn shut(&self) {
        self.open.send_replace(false);
    }

    /// Lets connections through again.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Bytes relayed, both ways, by connections that have ended.
    pub fn relayed(&self) -> u64 {
        lock(&self.state).relayed
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

/// Gates have a thread of their own: a test that waits for a command waits with all of its own runtime, and the command may need the gate.
fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("gates")
            .enable_all()
            .build()
            .expect("a thread can be started")
    })
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("nothing panics while it holds this")
}

async fn relay(listener: std::net::TcpListener, state: Arc<Mutex<State>>, open: watch::Receiver<bool>) {
    let listener = TcpListener::from_std(listener).expect("it does not block");
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                let target = lock(&state).target.clone().filter(|_| *open.borrow());
                let Some(target) = target else { continue };
                let (state, mut open) = (state.clone(), open.clone());
                connections.spawn(async move {
                    tokio::select! {
                        bytes = through(client, &target) => lock(&state).relayed += bytes.unwrap_or(0),
                        _ = open.wait_for(|open| !open) => {}
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn through(mut client: TcpStream, target: &str) -> std::io::Result<u64> {
    let mut server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (up, down) = copy_bidirectional(&mut client, &mut server).await?;
    Ok(up + down)
}
