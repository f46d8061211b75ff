//! What stands before several replicas: a TCP relay that gives each new connection to the next replica that says it is ready.

use anyhow::Result;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

/// A load balancer asks this often; one in production every second or two.
const PROBE_EVERY: Duration = Duration::from_millis(100);
/// A replica that has not answered by then is not ready.
const PROBE_WITHIN: Duration = Duration::from_secs(1);

/// One replica behind the door.
struct Behind {
    address: SocketAddr,
    ready: AtomicBool,
}

/// See the module's doc.
pub struct Door {
    pub address: SocketAddr,
    behind: Arc<Vec<Behind>>,
    tasks: JoinSet<()>,
    relay: JoinHandle<()>,
}

impl Door {
    /// A door on `listener`, before the replicas at `addresses`.
    pub fn before(listener: TcpListener, addresses: Vec<SocketAddr>) -> Result<Self> {
        let behind: Vec<_> = addresses
            .into_iter()
            .map(|address| Behind {
                address,
                ready: AtomicBool::new(false),
            })
            .collect();
        let behind = Arc::new(behind);
        let mut tasks = JoinSet::new();
        for n in 0..behind.len() {
            tasks.spawn(probe(behind.clone(), n));
        }
        Ok(Self {
            address: listener.local_addr()?,
            relay: tokio::spawn(relay(listener, behind.clone())),
            behind,
            tasks,
        })
    }

    /// Whether the door sends people to this replica now.
    pub fn leads_to(&self, n: usize) -> bool {
        self.behind[n].ready.load(Relaxed)
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.relay.abort();
        self.tasks.abort_all();
    }
}

async fn probe(behind: Arc<Vec<Behind>>, n: usize) {
    // a connection of its own each time, as probes have: one kept alive would outlive the listener it asks about
    let client = crate::http()
        .pool_max_idle_per_host(0)
        .timeout(PROBE_WITHIN)
        .build()
        .expect("a client without TLS needs nothing");
    let url = format!("http://{}/readyz", behind[n].address);
    loop {
        let answer = client.get(&url).send().await;
        let ready = answer.is_ok_and(|a| a.status().is_success());
        behind[n].ready.store(ready, Relaxed);
        tokio::time::sleep(PROBE_EVERY).await;
    }
}

async fn relay(listener: TcpListener, behind: Arc<Vec<Behind>>) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                connections.spawn(through(client, behind.clone(), next.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The next ready replica that takes a connection; a client for which there is none is hung up on.
async fn through(mut client: TcpStream, behind: Arc<Vec<Behind>>, next: Arc<AtomicUsize>) {
    for _ in 0..behind.len() {
        let n = next.fetch_add(1, Relaxed) % behind.len();
        if !behind[n].ready.load(Relaxed) {
            continue;
        }
        let Ok(mut server) = TcpStream::connect(behind[n].address).await else {
            continue;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let _ = copy_bidirectional(&mut client, &mut server).await;
        return;
    }
}
