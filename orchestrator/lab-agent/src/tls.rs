//! TLS on the sandbox's own address, for orchestrators that reach it over a network (`--tls-listen`).
//!
//! ```text
//!  orchestrator ══ TLS 1.3 ══► token, '\n' ──► agent.sock: from here on every byte is passed as it is
//! ```
//! The client knows this sandbox's certificate, the agent knows the hash of this sandbox's token: neither trusts a third party.
//! Beyond the token this is a bridge, so that the protocol, its limits and its tests are those of the Unix socket.

use crate::{agent::Agent, args::TlsOptions, log, wire};
use nix::sys::socket::{setsockopt, sockopt::TcpUserTimeout};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    version::TLS13,
};
use std::{io, path::Path, path::PathBuf, rc::Rc, sync::Arc, time::Duration};
use subtle::ConstantTimeEq;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// Handshake and token together: two round trips and a signature, 10 ms in a cluster, under a second around the world.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// Peers that have not shown the token yet. More wait in the kernel's queue: who says nothing holds a place for 5 s, so 64 of
/// them hold up nobody who comes at a rate below 12 a second; each costs about 40 KiB.
const OPENING_MAX: usize = 64;
/// Bytes moved at once, each way: two TLS records.
const CHUNK: usize = 32 * 1024;
/// A peer whose machine is gone is noticed after so long: the agent speaks every 5 s, so something is always unacknowledged.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(30);
/// 32 bytes, as lower-case hex.
const TOKEN_CHARS: usize = 64;

/// What kept the endpoint from opening.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} holds no {what} in PEM: {source}")]
    Pem {
        path: PathBuf,
        what: &'static str,
        source: pem::Error,
    },
    #[error("{path} holds no SHA-256 in hex (64 characters)")]
    Hash { path: PathBuf },
    #[error("certificate and key do not make an identity: {0}")]
    Identity(#[from] rustls::Error),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: String, source: io::Error },
}

/// The open port.
pub struct Endpoint {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    token_hash: [u8; 32],
}

/// Reads the files and opens the port.
pub async fn open(options: &TlsOptions) -> Result<Endpoint, TlsError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| TlsError::Read {
            path: path.to_owned(),
            source,
        })
    };
    let pem = |path: &Path, what| {
        let path = path.to_owned();
        move |source| TlsError::Pem { path, what, source }
    };
    let certificate =
        CertificateDer::from_pem_slice(&read(&options.cert)?).map_err(pem(&options.cert, "certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(&read(&options.key)?).map_err(pem(&options.key, "private key"))?;
    let token_hash = unhex(&read(&options.token_sha256)?).ok_or_else(|| TlsError::Hash {
        path: options.token_sha256.clone(),
    })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    // connections are few and long: nothing is ever resumed
    config.send_tls13_tickets = 0;
    let listen = |source| TlsError::Listen {
        address: options.listen.clone(),
        source,
    };
    let listener = TcpListener::bind(&options.listen).await.map_err(listen)?;
    log::line("info", "tls-listen", &listener.local_addr().map_err(listen)?);
    Ok(Endpoint {
        listener,
        acceptor: TlsAcceptor::from(Arc::new(config)),
        token_hash,
    })
}

/// Accepts connections for ever.
pub async fn serve(agent: Rc<Agent>, endpoint: Endpoint) {
    let opening = Arc::new(Semaphore::new(OPENING_MAX));
    let endpoint = Rc::new(endpoint);
    loop {
        let Ok(place) = Arc::clone(&opening).acquire_owned().await else {
            return; // never closed
        };
        match endpoint.listener.accept().await {
            Ok((stream, _)) => {
                let socket = agent.options.dir.join(wire::SOCKET);
                agent.spawn(connection(Rc::clone(&endpoint), stream, socket, place));
            }
            Err(error) => {
                // out of file descriptors: the next accept would fail at once again
                log::line("warn", "accept", &error);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// One connection from its first byte to its last.
async fn connection(endpoint: Rc<Endpoint>, stream: TcpStream, socket: PathBuf, place: OwnedSemaphorePermit) {
    // why the results are dropped: both only make a sound connection better
    let _ = stream.set_nodelay(true);
    let _ = setsockopt(&stream, TcpUserTimeout, &(UNACKNOWLEDGED_MAX.as_millis() as u32));
    let opened = timeout(OPEN_WITHIN, endpoint.admit(stream)).await;
    drop(place);
    match opened {
        Ok(Ok(tls)) => bridge(tls, &socket).await,
        Ok(Err(refused)) => log::line("warn", "tls-refused", &refused),
        Err(_) => log::line("warn", "tls-refused", &"nothing said in time"),
    }
}

impl Endpoint {
    /// The handshake and the token.
    async fn admit(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let mut tls = self.acceptor.accept(stream).await?;
        let mut shown = [0; TOKEN_CHARS + 1];
        tls.read_exact(&mut shown).await?;
        let hash = ::ring::digest::digest(&::ring::digest::SHA256, &shown[..TOKEN_CHARS]);
        let same = bool::from(hash.as_ref().ct_eq(&self.token_hash));
        if same && shown[TOKEN_CHARS] == b'\n' {
            return Ok(tls);
        }
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "not this sandbox's token",
        ))
    }
}

/// Passes bytes until the agent ends the connection. The peer's end only closes that half, so that what is still to be sent arrives.
async fn bridge(tls: TlsStream<TcpStream>, socket: &Path) {
    let agent = match UnixStream::connect(socket).await {
        Ok(agent) => agent,
        Err(error) => return log::line("warn", "tls-bridge", &error),
    };
    let (from_peer, to_peer) = tokio::io::split(tls);
    let (from_agent, to_agent) = agent.into_split();
    let (up, down) = (pass(from_peer, to_agent), pass(from_agent, to_peer));
    tokio::pin!(up, down);
    // why the results are dropped: a broken connection is an ended one, and both sides see that
    tokio::select! {
        ended = &mut up => if ended.is_ok() {
            let _ = down.await;
        },
        _ = &mut down => {}
    }
}

/// Each piece is flushed before the next is read: TLS may keep back what the socket had no room for.
async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let n = from.read(&mut buffer).await?;
        if n == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..n]).await?;
        to.flush().await?;
    }
}

/// 32 bytes of hex, with or without a newline after it.
fn unhex(text: &[u8]) -> Option<[u8; 32]> {
    let text = std::str::from_utf8(text).ok()?.trim_end();
    let mut bytes = [0; 32];
    if text.len() != 2 * bytes.len() || !text.is_ascii() {
        return None;
    }
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * n..2 * n + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_hash_is_64_characters_of_hex() {
        let hash = "0f".repeat(32);
        assert_eq!(super::unhex(hash.as_bytes()), Some([15; 32]));
        assert_eq!(super::unhex(format!("{hash}\n").as_bytes()), Some([15; 32]));
        for wrong in [&hash[1..], &format!("{hash}0"), &hash.replace('f', "g"), "é"] {
            assert_eq!(super::unhex(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
