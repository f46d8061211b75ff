//! A sandbox with a real agent in it, and a connection to it that keeps all it is told.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use lab_core::{
    SessionId, TerminalId, TerminalIndex,
    agent::{
        AgentFrame, AgentSpec, CheckSpec, FromAgent, LabFileEntry, PROTOCOL_VERSION, SnapshotFrame, TerminalKind,
        TerminalSpec, ToAgent, Welcome,
    },
    journal::{Decoder, Event, LabEvent, Record, Seat},
};
use std::{path::PathBuf, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
    process::Child,
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

/// Everything a test waits for comes within this, or the test fails.
pub const SOON: Duration = Duration::from_mins(1);
/// The learner's tab in every test.
pub const WRITER: u64 = u64::MAX - 5;

/// A lab with one terminal.
pub fn spec(kind: TerminalKind, command: &[&str], prompt: Option<&str>) -> AgentSpec {
    let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    AgentSpec {
        protocol: PROTOCOL_VERSION,
        session: SessionId(uuid::Uuid::nil()),
        files: vec![],
        start: words(&["/bin/sleep", "1000"]),
        ready: vec![],
        ready_within_ms: 10_000,
        terminals: vec![TerminalSpec {
            id: TerminalId::from("t"),
            kind,
            command: words(command),
            socket: None,
            prompt: prompt.map(str::to_owned),
        }],
        checks: vec![],
        record_input: false,
        env: vec![("PS1".into(), "$ ".into())],
    }
}

/// A lab whose terminal runs a shell script.
pub fn script(script: &str) -> AgentSpec {
    spec(TerminalKind::Serial, &["/bin/bash", "-c", script], None)
}

pub fn check(id: &str, script: &str, within_ms: u64) -> CheckSpec {
    CheckSpec {
        id: id.into(),
        command: vec!["/bin/sh".into(), "-c".into(), script.into()],
        within_ms,
        points: 3,
    }
}

pub fn file(path: &str, content: &str) -> LabFileEntry {
    LabFileEntry {
        path: path.into(),
        mode: 0o755,
        content: content.into(),
    }
}

/// A directory and the agent that runs in it; killed with this value.
pub struct Sandbox {
    pub dir: tempfile::TempDir,
    pub agent: Child,
}

impl Sandbox {
    pub fn start(spec: &AgentSpec) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), spec, &[], Stdio::null())
    }

    /// With further arguments, and stderr where the test wants it.
    pub fn start_in(dir: tempfile::TempDir, spec: &AgentSpec, more: &[String], stderr: Stdio) -> Self {
        std::fs::write(dir.path().join("spec.json"), serde_json::to_vec(spec).unwrap()).unwrap();
        let path = |name: &str| dir.path().join(name);
        let agent = tokio::process::Command::new(env!("CARGO_BIN_EXE_lab-agent"))
            .arg("run")
            .args([
                PathBuf::from("--spec"),
                path("spec.json"),
                "--dir".into(),
                path("run"),
                "--root".into(),
                path("root"),
            ])
            .args(more)
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { dir, agent }
    }

    pub async fn stream(&self) -> UnixStream {
        let path = self.dir.path().join("run/agent.sock");
        let connected = async {
            loop {
                match UnixStream::connect(&path).await {
                    Ok(stream) => return stream,
                    // the agent has not made its socket yet
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        timeout(SOON, connected).await.expect("the agent's socket")
    }

    /// A connection that has been welcomed.
    pub async fn connect(&self) -> Client {
        Client::over(self.stream().await).await
    }

    /// A connection that follows the journal from its start.
    pub async fn follow(&self) -> Client {
        let mut client = self.connect().await;
        client.say(&ToAgent::Follow { from: 0 }).await;
        client
    }

    /// One that also has the seat of terminal 0, in a lab that is ready.
    pub async fn ready(&self) -> Client {
        let mut client = self.follow().await;
        client.record(|e| matches!(e, Event::Lab(LabEvent::Ready))).await;
        client.seat(WRITER, "learner").await;
        client
    }
}

/// Bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// A connection, and everything it was told.
pub struct Client {
    socket: WebSocketStream<Box<dyn Stream>>,
    pub welcome: Option<Welcome>,
    decoder: Decoder,
    pub records: Vec<Record>,
    seen: usize,
    pub acks: Vec<(u64, u64)>,
    pub refused: Vec<String>,
    pub done: Vec<u32>,
    pub snapshots: Vec<SnapshotFrame>,
    /// Acknowledges what it was sent.
    pub takes: bool,
    /// Offsets of journal frames that did not follow the one before.
    pub jumps: Vec<u64>,
}

impl Client {
    /// A connection that has been welcomed, over any stream.
    pub async fn over(stream: impl Stream + 'static) -> Self {
        let stream: Box<dyn Stream> = Box::new(stream);
        let (socket, _) = client_async("ws://agent/v1", stream).await.unwrap();
        let mut client = Self {
            socket,
            welcome: None,
            decoder: Decoder::new(0),
            records: vec![],
            seen: 0,
            acks: vec![],
            refused: vec![],
            done: vec![],
            snapshots: vec![],
            takes: true,
            jumps: vec![],
        };
        client
            .say(&ToAgent::Hello {
                version: PROTOCOL_VERSION,
            })
            .await;
        client.until(|c| c.welcome.is_some()).await;
        client
    }

    pub async fn say(&mut self, message: &ToAgent) {
        self.socket
            .send(Message::text(serde_json::to_string(message).unwrap()))
            .await
            .unwrap();
    }

    pub async fn send(&mut self, frame: &AgentFrame) {
        self.raw(Message::binary(frame.encode())).await;
    }

    pub async fn raw(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    pub async fn seat(&mut self, writer: u64, role: &str) {
        let seat = Seat {
            writer: writer.to_string(),
            name: role.into(),
            role: role.into(),
        };
        self.say(&ToAgent::Seat { terminal: 0, seat }).await;
    }

    pub async fn key(&mut self, seq: u64, bytes: &[u8]) {
        let bytes = Bytes::copy_from_slice(bytes);
        self.send(&AgentFrame::Input {
            terminal: 0,
            writer: WRITER,
            seq,
            bytes,
        })
        .await;
    }

    pub async fn credit(&mut self, limit: u64) {
        self.send(&AgentFrame::Credit {
            terminal: 0,
            writer: WRITER,
            limit,
        })
        .await;
    }

    /// Reads one message; false when the agent closed.
    pub async fn read(&mut self) -> bool {
        match timeout(SOON, self.socket.next()).await.expect("a message in time") {
            Some(Ok(Message::Text(text))) => self.told(serde_json::from_str(&text).unwrap()),
            Some(Ok(Message::Binary(bytes))) => self.framed(AgentFrame::decode(bytes).unwrap()).await,
            Some(Ok(Message::Close(_)) | Err(_)) | None => return false,
            Some(Ok(_)) => {}
        }
        true
    }

    fn told(&mut self, message: FromAgent) {
        match message {
            FromAgent::Welcome(welcome) => self.welcome = Some(welcome),
            FromAgent::Done { request } => self.done.push(request),
            FromAgent::Refused { code, .. } => self.refused.push(code),
            FromAgent::Beat { .. } => {}
        }
    }

    async fn framed(&mut self, frame: AgentFrame) {
        match frame {
            AgentFrame::Journal { offset, bytes } => {
                if offset != self.decoder.end() {
                    self.jumps.push(offset);
                    self.decoder = Decoder::new(offset);
                }
                self.decoder.push(&bytes);
                while let Some(record) = self.decoder.next_record().expect("a sound journal") {
                    self.records.push(record);
                }
                let offset = self.decoder.end();
                if self.takes {
                    self.send(&AgentFrame::Taken { offset }).await;
                }
            }
            AgentFrame::InputAck { writer, seq, .. } => self.acks.push((writer, seq)),
            AgentFrame::Snapshot(snapshot) => self.snapshots.push(snapshot),
            other => panic!("not an agent's frame: {other:?}"),
        }
    }

    /// Reads until it is so.
    pub async fn until(&mut self, so: impl Fn(&Self) -> bool) {
        let all = async {
            while !so(self) {
                assert!(self.read().await, "the agent closed; refused: {:?}", self.refused);
            }
        };
        timeout(SOON, all).await.expect("what the test waits for");
    }

    /// Reads until a record that was not looked at before matches.
    pub async fn record(&mut self, matches: impl Fn(&Event) -> bool) -> Record {
        let from = self.seen;
        self.until(|c| c.records[from..].iter().any(|r| matches(&r.event)))
            .await;
        let at = from + self.records[from..].iter().position(|r| matches(&r.event)).unwrap();
        self.seen = at + 1;
        self.records[at].clone()
    }

    /// All output of a terminal so far.
    pub fn output(&self, terminal: TerminalIndex) -> Vec<u8> {
        let mut all = vec![];
        for record in self.records.iter().filter(|r| r.terminal == terminal) {
            if let Event::Output(bytes) = &record.event {
                assert_eq!(record.offset, all.len() as u64, "output offsets follow each other");
                all.extend_from_slice(bytes);
            }
        }
        all
    }

    /// Output bytes so far.
    pub fn output_len(&self) -> u64 {
        self.records
            .iter()
            .rev()
            .find_map(|r| match &r.event {
                Event::Output(bytes) => Some(r.offset + bytes.len() as u64),
                _ => None,
            })
            .unwrap_or(0)
    }

    /// Reads until the output holds this text.
    pub async fn shows(&mut self, text: &str) {
        self.until(|c| c.output(0).windows(text.len()).any(|w| w == text.as_bytes()))
            .await;
    }

    /// The last bytes of terminal 0's output.
    pub fn tail(&self, n: usize) -> Vec<u8> {
        let mut tail = vec![];
        for record in self.records.iter().rev() {
            if let Event::Output(bytes) = &record.event {
                tail.splice(0..0, bytes.iter().copied());
                if tail.len() >= n {
                    break;
                }
            }
        }
        tail.split_off(tail.len().saturating_sub(n))
    }

    /// The bytes of the next journal frame, which must start at `from`.
    pub async fn journal_bytes(&mut self, from: u64) -> Bytes {
        loop {
            let message = timeout(SOON, self.socket.next())
                .await
                .expect("a message in time")
                .unwrap()
                .unwrap();
            if let Message::Binary(bytes) = message
                && let AgentFrame::Journal { offset, bytes } = AgentFrame::decode(bytes).unwrap()
            {
                assert_eq!(offset, from);
                self.send(&AgentFrame::Taken {
                    offset: offset + bytes.len() as u64,
                })
                .await;
                return bytes;
            }
        }
    }

    pub fn journal_end(&self) -> u64 {
        self.decoder.end()
    }
}
