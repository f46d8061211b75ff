//! A whole control plane on fakes: the clock moves when told to, and nothing runs unless the test runs it.

use async_trait::async_trait;
use lab_app::{
    Metrics, Ports, Settings,
    metering::Meter,
    provisioning::{Pools, Reconciler, SessionHubs},
    terminal::{HubStatus, Hubs},
};
use lab_core::{
    CourseId, GrantId, LabId, PlanId, SessionId, Subject,
    entitlement::{Bilingual, Grant, HOLD_CHUNK_SECS, MINIMUM_TO_START_SECS, Plan},
    lab::LabVersion,
    metering::UsageRow,
    port::{Admission, AdmitRequest, Clock, Runtime, Session, SessionFilter, Store},
    terminal::{SessionNotice, TimeNotice, ToBrowser},
};
use lab_testkit::{FakeBlobs, FakeEntropy, FakeRuntime, FakeStore, ManualClock};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Notify;

/// Hubs whose agents say what the test writes.
#[derive(Default)]
pub struct ScriptedHubs {
    statuses: Mutex<HashMap<SessionId, HubStatus>>,
    told: Mutex<Vec<(SessionId, ToBrowser)>>,
    dropped: Mutex<Vec<SessionId>>,
    /// Hubs that nobody looks through.
    pub unwatched: Mutex<Vec<SessionId>>,
    /// The agent's last record, written when the lab is asked to stop.
    stop_us: Mutex<HashMap<SessionId, u64>>,
    changed: Arc<Notify>,
}

impl ScriptedHubs {
    pub fn says(&self, session: SessionId, change: impl FnOnce(&mut HubStatus)) {
        change(self.statuses.lock().unwrap().entry(session).or_default());
        self.changed.notify_one();
    }

    pub fn stops_at(&self, session: SessionId, us: u64) {
        self.stop_us.lock().unwrap().insert(session, us);
    }

    pub fn followed(&self, session: SessionId) -> bool {
        self.statuses.lock().unwrap().contains_key(&session)
    }

    pub fn dropped(&self, session: SessionId) -> bool {
        self.dropped.lock().unwrap().contains(&session)
    }

    pub fn last_notice(&self, session: SessionId) -> Option<SessionNotice> {
        self.told
            .lock()
            .unwrap()
            .iter()
            .rev()
            .find_map(|(id, news)| match news {
                ToBrowser::Session(n) if *id == session => Some(n.clone()),
                _ => None,
            })
    }

    pub fn forget_told(&self) {
        self.told.lock().unwrap().clear();
    }

    /// The time left, as told last.
    pub fn time_left(&self, session: SessionId) -> Option<u64> {
        let told = self.told.lock().unwrap();
        told.iter().rev().find_map(|(id, news)| match news {
            ToBrowser::Time(n) if *id == session => n.left_s,
            _ => None,
        })
    }

    /// Percent spent, as told last.
    pub fn spent(&self, session: SessionId) -> Option<u8> {
        let told = self.told.lock().unwrap();
        told.iter().rev().find_map(|(id, news)| match news {
            ToBrowser::Time(n) if *id == session => Some(n.spent_percent),
            _ => None,
        })
    }

    /// What the agent was told last: to stand still or to go on.
    pub fn frozen(&self, session: SessionId) -> Option<bool> {
        self.statuses.lock().unwrap().get(&session).and_then(|s| s.frozen)
    }

    /// How many things were told, to anybody.
    pub fn told_all(&self) -> usize {
        self.told.lock().unwrap().len()
    }

    pub fn warnings(&self, session: SessionId) -> Vec<(String, u32)> {
        let warning = |n: &TimeNotice| Some((n.limit.clone()?, n.warn?));
        let told = self.told.lock().unwrap();
        told.iter()
            .filter(|(id, _)| *id == session)
            .filter_map(|(_, n)| match n {
                ToBrowser::Time(n) => warning(n),
                _ => None,
            })
            .collect()
    }
}

#[async_trait]
impl SessionHubs for ScriptedHubs {
    fn ensure(&self, session: SessionId) {
        self.statuses.lock().unwrap().entry(session).or_default();
    }
    async fn drop_hub(&self, session: SessionId) {
        self.statuses.lock().unwrap().remove(&session);
        self.dropped.lock().unwrap().push(session);
    }
    fn here(&self) -> Vec<(SessionId, bool)> {
        let unwatched = self.unwatched.lock().unwrap();
        let statuses = self.statuses.lock().unwrap();
        statuses.keys().map(|id| (*id, !unwatched.contains(id))).collect()
    }
    async fn release(&self, session: SessionId) {
        self.statuses.lock().unwrap().remove(&session);
    }
    fn status(&self, session: SessionId) -> Option<HubStatus> {
        self.statuses.lock().unwrap().get(&session).cloned()
    }
    fn changed(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }
    fn tell(&self, session: SessionId, news: ToBrowser) {
        self.told.lock().unwrap().push((session, news));
    }
    fn keeps_news(&self) -> bool {
        false
    }
    fn forget_told(&self, _live: &HashSet<SessionId>, _asked_us: u64) {}
    fn freeze(&self, session: SessionId, frozen: bool) {
        if let Some(status) = self.statuses.lock().unwrap().get_mut(&session) {
            status.frozen = Some(frozen);
        }
    }
    async fn stop_lab(&self, session: SessionId, _reason: &str) {
        let at = self.stop_us.lock().unwrap().get(&session).copied();
        if let Some(status) = self.statuses.lock().unwrap().get_mut(&session) {
            status.stopped_us = at;
        }
    }
}

/// See the module's doc.
pub struct Desk {
    pub store: Arc<FakeStore>,
    pub runtime: Arc<FakeRuntime>,
    pub clock: Arc<ManualClock>,
    pub hubs: Arc<ScriptedHubs>,
    pub reconciler: Reconciler<ScriptedHubs>,
    pub meter: Meter<ScriptedHubs>,
    pub pools: Pools,
    pub metrics: Metrics,
    settings: Settings,
    ports: Ports,
    next: u128,
}

/// Planned 20 min, at most 60, 15 without a key.
pub const LAB: &str = "labwire: 1\nid: tiny\ntitle: {en: Tiny, fr: Petit}\nsummary: {en: One host., fr: Un hôte.}\n\
                   image: labwire/frr:1\nterminals:\n  - {id: h1, kind: shell, command: [bash]}\nstart: [sleep, infinity]\n\
                   time: {planned: 20m, max: 60m, idle: 15m}\n";

impl Desk {
    pub async fn new(sandboxes_max: usize) -> Self {
        Self::with(Settings {
            sandboxes_max,
            ..Settings::default()
        })
        .await
    }

    pub async fn with(settings: Settings) -> Self {
        let store = Arc::new(FakeStore::default());
        let clock = Arc::new(ManualClock::default());
        let runtime = Arc::new(FakeRuntime::new(clock.clone()));
        let hubs = Arc::new(ScriptedHubs::default());
        let ports = Ports {
            store: store.clone(),
            runtime: runtime.clone(),
            blobs: Arc::new(FakeBlobs::default()),
            clock: clock.clone(),
            platform: Arc::new(lab_testkit::FakePlatform::default()),
            mail: Arc::new(lab_core::port::NoMail),
            entropy: Arc::new(FakeEntropy::default()),
        };
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let (reconciler, meter) = parts(&ports, &settings, &metrics, &hubs);
        let pools = Pools::new(ports.clone(), settings.clone(), metrics.clone());
        let name = Bilingual {
            en: "Q".into(),
            fr: "Q".into(),
        };
        let plan = Plan {
            seconds: 36_000,
            ..Plan::new("Q", name)
        };
        store.plan_put(&plan).await.unwrap();
        store
            .lab_publish(&LabVersion::parse("tiny.yaml", LAB.as_bytes()).unwrap(), clock.now())
            .await
            .unwrap();
        Self {
            store,
            runtime,
            clock,
            hubs,
            reconciler,
            meter,
            pools,
            metrics,
            settings,
            ports,
            next: 0,
        }
    }

    /// What a killed process leaves: everything but what it remembered.
    pub fn restart(&mut self) {
        (self.reconciler, self.meter) = parts(&self.ports, &self.settings, &self.metrics, &self.hubs);
        self.restart_pools();
    }

    /// As [`Desk::restart`], of the pools alone.
    pub fn restart_pools(&mut self) {
        self.pools = Pools::new(self.ports.clone(), self.settings.clone(), self.metrics.clone());
    }

    /// Hubs that are no script, and a meter that knows those.
    pub fn real_hubs(&self) -> (Arc<Hubs>, Meter<Hubs>) {
        let all = || (self.ports.clone(), self.settings.clone(), self.metrics.clone());
        let (ports, settings, metrics) = all();
        let hubs = Hubs::new(ports, settings, metrics);
        let (ports, settings, metrics) = all();
        let meter = Meter::new(ports, settings, metrics, Arc::clone(&hubs), Arc::default());
        (hubs, meter)
    }

    /// Everything the pools have to do now, with lists of the runtime and looks at the agents in between.
    pub async fn settle_pools(&mut self) {
        for _ in 0..4 {
            self.pools.settle().await.unwrap();
            self.pass(Duration::from_secs(3));
        }
        self.pools.settle().await.unwrap();
    }

    /// A learner is given `seconds` for a day.
    pub async fn grant(&mut self, learner: &str, seconds: i64) -> Grant {
        self.next += 1;
        let now = self.clock.now();
        let grant = Grant {
            id: GrantId(uuid::Uuid::from_u128(self.next)),
            subject: Subject::from(learner),
            course: CourseId::from("net"),
            plan: PlanId::from("Q"),
            seconds,
            priority: 0,
            effective_at: now,
            expires_at: now.plus(Duration::from_secs(86_400)),
            created_at: now,
            source: "test".into(),
            sponsor: None,
        };
        self.store.grant_issue(&grant).await.unwrap();
        grant
    }

    /// A learner with `seconds` clicks.
    pub async fn click(&mut self, learner: &str, seconds: i64) -> SessionId {
        let now = self.clock.now();
        let grant = self.grant(learner, seconds).await;
        let request = AdmitRequest {
            session: SessionId(uuid::Uuid::from_u128(1 << 64 | self.next)),
            subject: grant.subject,
            name: learner.into(),
            course: grant.course,
            lab: LabId::from("tiny"),
            digest: self
                .store
                .lab_latest(&LabId::from("tiny"))
                .await
                .unwrap()
                .unwrap()
                .digest,
            hold_secs: HOLD_CHUNK_SECS,
            minimum_secs: MINIMUM_TO_START_SECS,
            notice: None,
            test_run: false,
            at: now,
        };
        match self.store.admit(&request).await.unwrap() {
            Admission::Admitted(session) | Admission::Running(session) => session.id,
            Admission::Refused(refusal) => panic!("{learner} was refused: {refusal:?}"),
        }
    }

    /// Somebody who answers for the lab begins a test run.
    pub async fn try_lab(&mut self, who: &str) -> SessionId {
        self.next += 1;
        let lab = LabId::from("tiny");
        let request = AdmitRequest {
            session: SessionId(uuid::Uuid::from_u128(1 << 64 | self.next)),
            subject: who.into(),
            name: who.into(),
            course: lab_core::entitlement::TEST_RUN_COURSE.into(),
            digest: self.store.lab_latest(&lab).await.unwrap().unwrap().digest,
            lab,
            hold_secs: 0,
            minimum_secs: 0,
            notice: None,
            test_run: true,
            at: self.clock.now(),
        };
        match self.store.admit(&request).await.unwrap() {
            Admission::Admitted(session) => session.id,
            other => panic!("{who}: {other:?}"),
        }
    }

    /// A learner whose lab is ready, first prompt at 1 s of the agent's clock.
    pub async fn ready(&mut self, learner: &str, seconds: i64) -> SessionId {
        let id = self.click(learner, seconds).await;
        self.prompt(id).await;
        id
    }

    /// Takes a session to its first prompt.
    pub async fn prompt(&mut self, id: SessionId) {
        self.settle().await;
        self.hubs.says(id, |s| {
            s.met = true;
            s.connected = true;
            s.ready_us = Some(1_000_000);
            s.last_us = 1_000_000;
        });
        self.settle().await;
        assert_eq!(self.state(id).await, "ready");
    }

    /// Everything the reconciler has to do now, and a list of the runtime after it.
    pub async fn settle(&mut self) {
        for _ in 0..3 {
            self.reconciler.settle().await.unwrap();
            self.pass(Duration::from_secs(3));
        }
        self.reconciler.settle().await.unwrap();
    }

    /// Time passes; nobody looks.
    pub fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// The meter looks every ten seconds for so long.
    pub async fn meter_for(&mut self, time: Duration) {
        let end = self.clock.now().plus(time);
        while self.clock.now() < end {
            self.pass(Duration::from_secs(10));
            self.meter.tick().await.unwrap();
        }
    }

    pub async fn session(&self, id: SessionId) -> Session {
        self.store.session_get(id).await.unwrap().unwrap()
    }

    pub async fn state(&self, id: SessionId) -> String {
        let state = self.session(id).await.state;
        state
            .reason()
            .map_or_else(|| state.name().to_owned(), |r| format!("{}:{r}", state.name()))
    }

    pub async fn usage(&self, id: SessionId) -> UsageRow {
        let rows = self.store.usage_list(None, None, None).await.unwrap();
        rows.into_iter().find(|r| r.session == id).unwrap()
    }

    /// What must be true after anything: the ledger sums to zero, usage adds up, and once the dust has settled over sessions
    /// have no sandbox and no hold, and no sandbox is without a session.
    pub async fn assert_sound(&self) {
        assert_eq!(
            self.store.ledger_sums().await.unwrap().total,
            0,
            "the ledger must sum to zero"
        );
        for row in self.store.usage_list(None, None, None).await.unwrap() {
            assert_eq!(
                row.billed_seconds + row.unbilled_seconds,
                row.sandbox_seconds,
                "{row:?}"
            );
        }
        let all = self.store.session_list(&SessionFilter::default()).await.unwrap();
        let pool = self.store.pool_list().await.unwrap();
        let list = self.runtime.sandbox_list().await.unwrap();
        for session in &all {
            let sandboxes = list.iter().filter(|s| s.session == session.id).count();
            if session.state.is_over() {
                assert_eq!(sandboxes, 0, "{} is over and has a sandbox", session.id);
                assert_eq!(session.held_secs, 0, "{} is over and holds time", session.id);
            }
            assert!(sandboxes <= 1);
        }
        for sandbox in list {
            assert!(
                all.iter().any(|s| s.sandbox == sandbox.id) || pool.iter().any(|r| r.sandbox == sandbox.id),
                "sandbox {} has no session and no pool",
                sandbox.id
            );
        }
    }
}

fn parts(
    ports: &Ports,
    settings: &Settings,
    metrics: &Metrics,
    hubs: &Arc<ScriptedHubs>,
) -> (Reconciler<ScriptedHubs>, Meter<ScriptedHubs>) {
    let intent = Arc::new(Notify::new());
    let all = || {
        (
            ports.clone(),
            settings.clone(),
            metrics.clone(),
            Arc::clone(hubs),
            Arc::clone(&intent),
        )
    };
    let (ports, settings, metrics, hubs, intent) = all();
    let reconciler = Reconciler::new(ports, settings, metrics, hubs, intent);
    let (ports, settings, metrics, hubs, intent) = all();
    (reconciler, Meter::new(ports, settings, metrics, hubs, intent))
}
