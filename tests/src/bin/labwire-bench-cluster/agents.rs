//! The agents of thousands of pods in one process: each pod has a loopback address of its own, and behind the one listener the
//! address says whose certificate, token and journal it is.

use anyhow::{Context, Result, ensure};
use lab_core::{agent::AgentSpec, journal::LabEvent, port::Clock};
use lab_testkit::FakeAgent;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

/// Where agents in pods listen.
const AGENT_PORT: u16 = 7443;
/// The token and its line's end.
const TOKEN_LINE: usize = 65;

/// See the module's doc.
pub struct Agents {
    known: Arc<Mutex<Known>>,
    listener: JoinHandle<()>,
}

#[derive(Default)]
struct Known {
    pods: HashMap<Ipv4Addr, Arc<Pod>>,
    made: u32,
}

struct Pod {
    tls: TlsAcceptor,
    token_hash: Vec<u8>,
    agent: Arc<FakeAgent>,
}

impl Agents {
    pub async fn listen() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, AGENT_PORT))
            .await
            .with_context(|| format!("port {AGENT_PORT} is needed: it is every agent's"))?;
        let known = Arc::new(Mutex::new(Known::default()));
        let listener = tokio::spawn(accept(listener, known.clone()));
        Ok(Self { known, listener })
    }

    /// An agent that is ready at once, from its Secret's entries; the address its pod has.
    pub fn add(&self, entry: impl Fn(&str) -> Result<Vec<u8>>, clock: Arc<dyn Clock>) -> Result<Ipv4Addr> {
        let spec: AgentSpec = serde_json::from_slice(&entry("spec.json")?)?;
        let certificate = CertificateDer::from_pem_slice(&entry("tls.crt")?)?;
        let key = PrivateKeyDer::from_pem_slice(&entry("tls.key")?)?;
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        let agent = FakeAgent::new(&spec, clock);
        agent.set_echo(true);
        agent.output(0, b"$ ");
        agent.lab(LabEvent::Ready);
        let pod = Pod {
            tls: TlsAcceptor::from(Arc::new(config)),
            token_hash: entry("token.sha256")?.trim_ascii().to_vec(),
            agent,
        };
        let mut known = self.known.lock().expect("nothing panics while it holds this");
        known.made += 1;
        // 127.20.0.1 and on: 2^20 of them
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 20, 0, 0)) + known.made);
        known.pods.insert(address, Arc::new(pod));
        Ok(address)
    }

    pub fn remove(&self, address: Ipv4Addr) {
        let mut known = self.known.lock().expect("nothing panics while it holds this");
        if let Some(pod) = known.pods.remove(&address) {
            pod.agent.cut_connections();
        }
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

async fn accept(listener: TcpListener, known: Arc<Mutex<Known>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let Ok(IpAddr::V4(address)) = stream.local_addr().map(|a| a.ip()) else { continue };
                let pod = known.lock().expect("nothing panics while it holds this").pods.get(&address).cloned();
                if let Some(pod) = pod {
                    connections.spawn(async move {
                        if let Err(error) = serve(stream, &pod).await {
                            eprintln!("agent at {address}: {error:#}");
                        }
                    });
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, pod: &Pod) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = pod.tls.accept(stream).await?;
    let mut line = [0; TOKEN_LINE];
    stream.read_exact(&mut line).await?;
    let hash: String = ring::digest::digest(&ring::digest::SHA256, &line[..TOKEN_LINE - 1])
        .as_ref()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    ensure!(hash.as_bytes() == pod.token_hash, "a wrong token");
    pod.agent.clone().serve(stream).await;
    Ok(())
}
