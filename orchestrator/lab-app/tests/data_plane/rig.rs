//! One session with its fakes, and tabs that behave or misbehave as told.

use bytes::Bytes;
use lab_app::{
    Metrics, Ports, Settings,
    terminal::{FromHub, Hubs, ToHub, Viewer},
};
use lab_core::{
    CourseId, LoginId, PlanId, SandboxId, SessionId, Subject, TerminalIndex, WriterId,
    lab::{LabVersion, SizeClass},
    launch::Role,
    limits::RECORDING_BYTES_MAX,
    port::{Runtime, SandboxSpec, Session},
    provisioning::SessionState,
    terminal::{FromBrowser, SeatNotice, SessionNotice, ToBrowser},
};
use lab_testkit::{FakeAgent, FakeBlobs, FakeEntropy, FakeRuntime, FakeStore, ManualClock, Script, TokioClock};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::timeout};

const LAB: &str = r#"
labwire: 1
id: two
title: {en: Two, fr: Deux}
summary: {en: Two shells, fr: Deux shells}
image: none
terminals:
  - {id: r1, kind: shell, command: [sh]}
  - {id: r2, kind: shell, command: [sh]}
start: ["true"]
checks:
  - {id: ping, title: {en: Ping, fr: Ping}, points: 5, command: ["true"]}
time: {planned: 30m, max: 2h, idle: 30m}
recording: {policy: POLICY}
"#;

/// Longest wait for anything; paused time makes it free.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Rig {
    pub store: Arc<FakeStore>,
    pub blobs: Arc<FakeBlobs>,
    pub runtime: Arc<FakeRuntime>,
    pub ports: Ports,
    pub metrics: Metrics,
    pub hubs: Option<Arc<Hubs>>,
    pub session: SessionId,
    /// Journal that is recorded at most.
    pub recording_bytes_max: u64,
}

impl Rig {
    /// A session of a running lab, with a connected hub.
    pub async fn new(policy: &str) -> Self {
        Self::limited(policy, RECORDING_BYTES_MAX).await
    }

    /// The same of which so much is recorded.
    pub async fn limited(policy: &str, recording_bytes_max: u64) -> Self {
        let mut rig = Self::unstarted(policy).await;
        rig.recording_bytes_max = recording_bytes_max;
        rig.restart("first");
        rig.hubs().ensure(rig.session);
        rig.until("the hub meets the agent", || {
            rig.hubs().status(rig.session).is_some_and(|s| s.met)
        })
        .await;
        rig
    }

    /// The same without a hub.
    pub async fn unstarted(policy: &str) -> Self {
        let clock = Arc::new(TokioClock::new());
        let store = Arc::new(FakeStore::default());
        let blobs = Arc::new(FakeBlobs::default());
        let runtime = Arc::new(FakeRuntime::new(clock.clone()));
        runtime.set_script(Script::Manual);
        let entropy = Arc::new(FakeEntropy::default());
        let ports = Ports {
            store: store.clone(),
            runtime: runtime.clone(),
            blobs: blobs.clone(),
            clock,
            platform: Arc::new(lab_testkit::FakePlatform::default()),
            mail: Arc::new(lab_core::port::NoMail),
            entropy,
        };
        let lab = LabVersion::parse("two.yaml", LAB.replace("POLICY", policy).as_bytes()).unwrap();
        let session = SessionId(uuid::Uuid::from_u128(77));
        store.plant_lab(lab.clone());
        store.plant(row(session, &lab));
        let spec = SandboxSpec {
            id: SandboxId(session.0),
            session,
            lab: lab.file.id.clone(),
            digest: lab.digest.clone(),
            image: lab.file.image.clone(),
            size: SizeClass::Small,
            user: 1000,
            namespaces: false,
            runtime: lab.file.runtime,
            network: lab.file.network.policy,
            deadline_secs: 3600,
            agent: lab.agent_spec(session),
        };
        runtime.sandbox_ensure(&spec).await.unwrap();
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let mut rig = Self {
            store,
            blobs,
            runtime,
            ports,
            metrics,
            hubs: None,
            session,
            recording_bytes_max: RECORDING_BYTES_MAX,
        };
        rig.restart("first");
        rig
    }

    /// Another process takes over: what was running is gone as after a kill.
    pub fn restart(&mut self, holder: &str) {
        self.hubs = None;
        let settings = Settings {
            holder: holder.into(),
            // in proportion to the agents' limit of 200 000 that tests set
            give_up_bytes: 150_000,
            recording_bytes_max: self.recording_bytes_max,
            ..Settings::default()
        };
        self.hubs = Some(Hubs::new(self.ports.clone(), settings, self.metrics.clone()));
    }

    pub fn hubs(&self) -> &Arc<Hubs> {
        self.hubs.as_ref().unwrap()
    }

    pub fn agent(&self) -> Arc<FakeAgent> {
        self.runtime.agent(SandboxId(self.session.0)).unwrap()
    }

    /// The agent's whole journal.
    pub fn journal(&self) -> Bytes {
        self.agent().journal().1
    }

    /// What is durable, read chunk by chunk from the store's rows.
    pub async fn recorded(&self) -> Vec<u8> {
        let recordings = lab_app::recording::Recordings::new(self.ports.clone());
        let mut all = Vec::new();
        for chunk in recordings.chunks(self.session).await.unwrap() {
            assert_eq!(chunk.start, all.len() as u64, "chunks follow each other");
            all.extend_from_slice(&self.blobs.objects()[&chunk.key]);
        }
        all
    }

    /// Everything the agent has is durable, and proven.
    pub async fn assert_recorded(&self) {
        self.until("the agent is told that all is durable", || {
            self.agent().durable() == self.agent().journal_end()
        })
        .await;
        assert_eq!(self.recorded().await, self.journal());
        let report = lab_app::recording::Recordings::new(self.ports.clone())
            .verify(self.session)
            .await
            .unwrap();
        assert_eq!((report.doubt, report.trusted), (None, self.agent().journal_end()));
    }

    pub async fn until(&self, what: &str, condition: impl Fn() -> bool) {
        within(what, async {
            while !condition() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }

    pub async fn tab(&self, viewer: Viewer) -> Tab {
        let (tx, rx) = self.hubs().attach(self.session, viewer).await.unwrap();
        Tab {
            tx,
            rx,
            got: [None, None],
            draws: true,
            notices: Vec::new(),
            snapshots: 0,
            closed: None,
            acked: 0,
        }
    }

    pub async fn learner(&self) -> Tab {
        self.tab(learner(1)).await
    }
}

/// Awaits something with a deadline that names it.
pub async fn within<T>(what: &str, wanted: impl Future<Output = T>) -> T {
    timeout(PATIENCE, wanted)
        .await
        .unwrap_or_else(|_| panic!("did not happen: {what}"))
}

fn row(session: SessionId, lab: &LabVersion) -> Session {
    Session {
        id: session,
        subject: Subject::from("ann"),
        name: "Ann".into(),
        course: CourseId::from("c1"),
        lab: lab.file.id.clone(),
        digest: lab.digest.clone(),
        plan: PlanId::from("QUALIFYING"),
        sandbox: SandboxId(session.0),
        warm: false,
        state: SessionState::Ready,
        revision: 3,
        requested_at: ManualClock::START,
        ready_at: Some(ManualClock::START),
        over_at: None,
        ready_us: Some(0),
        seen_us: None,
        active_at: ManualClock::START,
        deadline: None,
        frozen_at: None,
        frozen_us: 0,
        held_secs: 0,
        billed_secs: None,
    }
}

pub fn learner(writer: WriterId) -> Viewer {
    viewer("Ann", Role::Learner, true, writer)
}

pub fn teacher(writer: WriterId) -> Viewer {
    viewer("Tom", Role::Teacher, false, writer)
}

fn viewer(name: &str, role: Role, owner: bool, writer: WriterId) -> Viewer {
    Viewer {
        subject: Subject::from(name),
        login: LoginId(uuid::Uuid::from_u128(u128::from(writer))),
        name: name.into(),
        role,
        owner,
        may_type: owner || role == Role::Teacher,
        writer,
    }
}

/// A browser tab. Keeps, per terminal, where it began and every byte since.
pub struct Tab {
    pub tx: mpsc::Sender<ToHub>,
    pub rx: mpsc::Receiver<FromHub>,
    pub got: [Option<(u64, Vec<u8>)>; 2],
    /// Says that it has drawn what it got.
    pub draws: bool,
    pub notices: Vec<ToBrowser>,
    pub snapshots: usize,
    pub closed: Option<u16>,
    pub acked: u64,
}

impl Tab {
    pub async fn send(&self, message: FromBrowser) {
        self.tx.send(ToHub::Control(message)).await.unwrap();
    }

    pub async fn attach(&self, terminal: TerminalIndex, from: Option<u64>, seat: bool) {
        self.send(FromBrowser::Attach {
            terminal,
            from,
            seat,
            cols: 80,
            rows: 24,
        })
        .await;
    }

    pub async fn input(&self, seq: u64, bytes: &'static [u8]) {
        self.tx
            .send(ToHub::Input {
                terminal: 0,
                seq,
                bytes: Bytes::from_static(bytes),
            })
            .await
            .unwrap();
    }

    /// The terminal's offset after what it got.
    pub fn end(&self, terminal: usize) -> u64 {
        self.got[terminal]
            .as_ref()
            .map_or(0, |(start, bytes)| start + bytes.len() as u64)
    }

    /// Takes messages until `done` says so.
    pub async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        within(what, async {
            while !done(self) {
                match self.rx.recv().await {
                    Some(message) => self.take(message).await,
                    None => panic!("the hub closed the tab ({:?}) before: {what}", self.closed),
                }
            }
        })
        .await;
    }

    /// Takes what came so far, and waits for nothing.
    pub async fn take_what_is_there(&mut self) {
        while let Ok(message) = self.rx.try_recv() {
            self.take(message).await;
        }
    }

    async fn take(&mut self, message: FromHub) {
        match message {
            FromHub::Control(notice) => self.notices.push(*notice),
            FromHub::InputAck { seq, .. } => self.acked = self.acked.max(seq),
            FromHub::Close { code, .. } => self.closed = Some(code),
            FromHub::Snapshot {
                terminal,
                offset,
                screen,
                ..
            } => {
                assert_eq!(screen, format!("screen@{offset}"), "the picture is of this offset");
                self.snapshots += 1;
                self.got[terminal as usize] = Some((offset, Vec::new()));
            }
            FromHub::Output {
                terminal,
                offset,
                bytes,
            } => {
                assert!(!bytes.is_empty() && bytes.len() <= 64 * 1024);
                let got = self.got[terminal as usize].get_or_insert((offset, Vec::new()));
                assert_eq!(offset, got.0 + got.1.len() as u64, "no hole and nothing twice");
                got.1.extend_from_slice(&bytes);
                if self.draws {
                    let offset = self.end(terminal as usize);
                    let _ = self.tx.send(ToHub::Drawn { terminal, offset }).await;
                }
            }
        }
    }

    /// Everything it got is what the terminal wrote there.
    pub fn assert_shows(&self, terminal: usize, written: &[u8]) {
        let (start, bytes) = self.got[terminal].as_ref().unwrap();
        assert!(
            bytes[..] == written[*start as usize..],
            "{} bytes from {start} differ",
            bytes.len()
        );
    }

    pub fn seat(&self, terminal: TerminalIndex) -> Option<&SeatNotice> {
        self.notices.iter().rev().find_map(|n| match n {
            ToBrowser::Seat { terminal: t, seat } if *t == terminal => Some(seat),
            _ => None,
        })
    }

    /// Where the session stands, as it was told last.
    pub fn session(&self) -> Option<&SessionNotice> {
        self.notices.iter().rev().find_map(|n| match n {
            ToBrowser::Session(session) => Some(session),
            _ => None,
        })
    }

    pub fn has_error(&self, wanted: &str) -> bool {
        self.errors(wanted) > 0
    }

    pub fn errors(&self, wanted: &str) -> usize {
        self.notices
            .iter()
            .filter(|n| matches!(n, ToBrowser::Error { code, .. } if code == wanted))
            .count()
    }
}

/// Bytes that are different everywhere, so that a shift or a repetition shows.
pub fn noise(len: usize) -> Vec<u8> {
    let mut x = 0x9e37_79b9_u32;
    (0..len)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            x as u8
        })
        .collect()
}
