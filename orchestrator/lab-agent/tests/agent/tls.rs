//! The TLS endpoint: who is let in, and that what follows is the Unix socket's stream.

use crate::client::{Client, SOON, Sandbox, script};
use lab_core::{agent::ToAgent, journal::Event};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName},
    version::TLS13,
};
use std::{net::SocketAddr, process::Stdio, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

const TOKEN: [u8; 64] = [b'7'; 64];

/// A sandbox whose agent listens for TLS, and what its clients know.
struct Door {
    sandbox: Sandbox,
    address: SocketAddr,
    certificate: CertificateDer<'static>,
}

impl Door {
    async fn open(lab: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["agent".to_owned()]).unwrap();
        let hash = ::ring::digest::digest(&::ring::digest::SHA256, &TOKEN);
        let hash: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        let files = [
            ("tls.crt", made.cert.pem()),
            ("tls.key", made.signing_key.serialize_pem()),
            ("token.sha256", hash),
        ];
        let path = |name: &str| dir.path().join(name).display().to_string();
        for (name, content) in files {
            std::fs::write(path(name), content).unwrap();
        }
        let flags = [
            ("--tls-listen", "127.0.0.1:0".into()),
            ("--tls-cert", path("tls.crt")),
            ("--tls-key", path("tls.key")),
            ("--token-sha256", path("token.sha256")),
        ];
        let flags: Vec<String> = flags.into_iter().flat_map(|(flag, v)| [flag.to_owned(), v]).collect();
        let mut sandbox = Sandbox::start_in(dir, &script(lab), &flags, Stdio::piped());
        let mut lines = BufReader::new(sandbox.agent.stderr.take().unwrap()).lines();
        let address = async {
            loop {
                let line = lines.next_line().await.unwrap().expect("the agent runs");
                let said: serde_json::Value = serde_json::from_str(&line).unwrap();
                if said["event"] == "tls-listen" {
                    return said["detail"].as_str().unwrap().parse().unwrap();
                }
            }
        };
        let address = timeout(SOON, address).await.expect("the agent says where it listens");
        Self {
            sandbox,
            address,
            certificate: made.cert.der().clone(),
        }
    }

    async fn plain(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// After the handshake, before the token.
    async fn handshake(&self) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("agent").unwrap();
        let stream = self.plain().await;
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap()
    }

    async fn show(&self, token: &[u8]) -> TlsStream<TcpStream> {
        let mut tls = self.handshake().await;
        tls.write_all(token).await.unwrap();
        tls.flush().await.unwrap();
        tls
    }

    async fn enter(&self) -> Client {
        Client::over(self.show(&[&TOKEN[..], b"\n"].concat()).await).await
    }
}

/// Whether the other side closes without another byte, and after how long.
async fn closed(mut stream: impl tokio::io::AsyncRead + Unpin) -> Duration {
    let since = Instant::now();
    let read = timeout(SOON, stream.read(&mut [0; 16]))
        .await
        .expect("an end, not silence");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    since.elapsed()
}

#[tokio::test]
async fn who_shows_the_token_speaks_with_the_agent() {
    let door = Door::open("sleep 100").await;
    let client = door.enter().await;
    assert!(client.welcome.is_some());
    // the token and the first request in one piece
    let request = "\nGET /v1 HTTP/1.1\r\nHost: agent\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let first = [&TOKEN[..], request.as_bytes()].concat();
    let mut tls = door.show(&first).await;
    let mut answer = [0; 8];
    timeout(SOON, tls.read_exact(&mut answer))
        .await
        .expect("an answer")
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1");
}

#[tokio::test]
async fn another_token_or_none_or_garbage_is_closed_and_others_go_on() {
    let door = Door::open("sleep 100").await;
    let mut inside = door.enter().await;
    let mut near = TOKEN;
    near[63] = b'8';
    for wrong in [
        [&near[..], b"\n"].concat(),
        [&TOKEN[..], b" "].concat(),
        vec![b'\n'; 65],
    ] {
        let took = closed(door.show(&wrong).await).await;
        assert!(took < Duration::from_secs(4), "refused at once, not by time: {took:?}");
    }
    let mut garbage = door.plain().await;
    garbage.write_all(&[0x16; 500]).await.unwrap();
    let mut http = door.plain().await;
    http.write_all(b"GET / HTTP/1.1\r\nHost: agent\r\n\r\n").await.unwrap();
    // a TLS alert may come before the end
    for mut stream in [garbage, http] {
        let mut all = vec![];
        let end = timeout(SOON, stream.read_to_end(&mut all)).await.expect("an end");
        assert!(all.len() < 32, "{end:?} {all:?}");
    }
    inside.say(&ToAgent::Follow { from: 0 }).await;
    inside.until(|c| !c.records.is_empty()).await;
}

#[tokio::test]
async fn who_says_nothing_or_little_is_closed_after_five_seconds_and_holds_up_nobody() {
    let door = Door::open("sleep 100").await;
    let silent = door.plain().await;
    let tokenless = door.handshake().await;
    let slow = door.show(&TOKEN[..63]).await;
    door.enter().await;
    let waited = tokio::join!(closed(silent), closed(tokenless), closed(slow));
    for took in [waited.0, waited.1, waited.2] {
        assert!((3..=8).contains(&took.as_secs()), "{took:?}");
    }
}

#[tokio::test]
async fn more_silent_peers_than_places_delay_others_by_no_more_than_their_time() {
    let door = Door::open("sleep 100").await;
    let mut silent = vec![];
    for _ in 0..64 {
        silent.push(door.plain().await);
    }
    timeout(SOON, door.enter())
        .await
        .expect("let in once the silent ones had their time");
}

#[tokio::test]
async fn two_connections_see_the_same_journal_and_a_large_one_arrives_whole() {
    // 12 MB: more than every buffer on the way together
    let door = Door::open("stty raw; seq 1 1600000; echo THE-END; sleep 100").await;
    let (mut one, mut two) = (door.enter().await, door.sandbox.connect().await);
    for client in [&mut one, &mut two] {
        client.say(&ToAgent::Follow { from: 0 }).await;
    }
    let (whole, direct) = tokio::join!(
        one.until(|c| c.tail(30).windows(7).any(|w| w == b"THE-END")),
        two.until(|c| c.tail(30).windows(7).any(|w| w == b"THE-END")),
    );
    let ((), ()) = (whole, direct);
    let expected: String = (1..=1_600_000).map(|n| format!("{n}\n")).collect::<String>() + "THE-END\n";
    assert_eq!(one.output(0).len(), expected.len());
    assert!(one.output(0) == expected.as_bytes(), "byte for byte");
    assert!(two.output(0) == expected.as_bytes(), "and as over the Unix socket");
    assert!(one.records.iter().any(|r| matches!(r.event, Event::Output(_))));
}
