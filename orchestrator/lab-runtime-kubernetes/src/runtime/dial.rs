//! The connection to an agent: TLS at the pod's address, or through the API server's port-forward.

use super::{Connect, KubernetesOptions, error::within, index::Seen, keys::Door};
use crate::api::{AGENT_PORT, object_name};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, api::Portforwarder};
use lab_core::{
    SandboxId,
    port::{ByteStream, RuntimeError},
};
use rustls::pki_types::ServerName;
use std::{
    io,
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::compat::TokioAsyncReadCompatExt;

/// A pod on a busy node answers a TCP connection within a second or is not there.
const TCP_WITHIN: Duration = Duration::from_secs(3);
/// Handshake and token, two round trips: what the agent gives its peers, too.
const TLS_WITHIN: Duration = Duration::from_secs(5);
/// A process that has just been started opens its port within milliseconds; refusals are tried again this often …
const REFUSED_RETRY: Duration = Duration::from_millis(20);
/// … so many times: a second in all.
const REFUSED_MAX: usize = 50;

/// What carries the TLS stream.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Connects to agents, in the way the installation chose.
pub(crate) enum Dialer {
    Pod,
    PortForward(Box<Api<Pod>>),
}

impl Dialer {
    pub fn new(client: &Client, options: &KubernetesOptions) -> Self {
        match options.connect {
            Connect::Pod => Self::Pod,
            Connect::PortForward => Self::PortForward(Box::new(Api::namespaced(client.clone(), &options.namespace))),
        }
    }

    /// A stream that is the agent's, handshake and token done.
    pub async fn dial(&self, id: SandboxId, seen: &Seen, door: &Door) -> Result<Box<dyn ByteStream>, RuntimeError> {
        let unreachable =
            |source: Box<dyn std::error::Error + Send + Sync>| RuntimeError::AgentUnreachable { id, source };
        let wire: Box<dyn Wire> = match self {
            Self::Pod => {
                let address = seen.pod_ip.as_deref().and_then(|ip| ip.parse().ok());
                let address = address.ok_or_else(|| unreachable("its pod has no address".into()))?;
                Box::new(tcp(address).await.map_err(|e| unreachable(e.into()))?)
            }
            Self::PortForward(pods) => Box::new(forwarded(pods, id).await?),
        };
        let opened = timeout(TLS_WITHIN, open(wire, door)).await;
        let stream = opened
            .map_err(|late| unreachable(late.into()))?
            .map_err(|e| unreachable(e.into()))?;
        Ok(Box::new(stream.compat()))
    }
}

/// A connection to the agent's port. Its process may be a moment older than its socket.
async fn tcp(address: IpAddr) -> io::Result<TcpStream> {
    let mut tries = 0;
    loop {
        tries += 1;
        match timeout(TCP_WITHIN, TcpStream::connect((address, AGENT_PORT))).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(e)) if e.kind() == io::ErrorKind::ConnectionRefused && tries < REFUSED_MAX => {
                sleep(REFUSED_RETRY).await;
            }
            Ok(Err(e)) => return Err(e),
            Err(late) => return Err(late.into()),
        }
    }
}

/// The handshake and the token.
async fn open(wire: Box<dyn Wire>, door: &Door) -> io::Result<TlsStream<Box<dyn Wire>>> {
    // the name is not sent and not looked at: the certificate itself is known
    let name = ServerName::try_from("lab-agent").map_err(io::Error::other)?;
    let mut tls = TlsConnector::from(door.tls.clone()).connect(name, wire).await?;
    tls.write_all(&door.token).await?;
    tls.flush().await?;
    Ok(tls)
}

/// One port-forward for one connection: the API's own streams are not shared between connections.
async fn forwarded(pods: &Api<Pod>, id: SandboxId) -> Result<Forwarded, RuntimeError> {
    let mut forwarder = within("port-forward", pods.portforward(&object_name(id), &[AGENT_PORT])).await?;
    let stream = forwarder.take_stream(AGENT_PORT).expect("asked for, and not taken yet");
    Ok(Forwarded {
        stream: Box::new(stream),
        _forwarder: forwarder,
    })
}

/// A forwarded stream and what keeps it going.
struct Forwarded {
    stream: Box<dyn Wire>,
    _forwarder: Portforwarder,
}

impl AsyncRead for Forwarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Forwarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
