//! What has had its time goes whole, whatever fails on the way; and a person's archive is made as it is read.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use lab_app::{
    Metrics, Ports,
    privacy::{By, EXPORT_QUEUE, People, Retention, Swept},
};
use lab_core::{
    SessionId, Timestamp,
    courses::Extension,
    entitlement::{Bilingual, Grant, Plan, WhyWithheld, Withheld},
    journal::{Event, Record},
    lab::LabVersion,
    launch::lti::SamePerson,
    port::{
        Admission, AdmitRequest, Blobs, ChunkAppend, Clock, CourseStore, GiverStore, LtiStore, PrivacyStore,
        QUARANTINE_PREFIX, Settlement, Store, Transition, recorder_lease,
    },
    privacy::{Class, SECOND_LOOK},
    provisioning::{EndReason, SessionEvent},
    recording::RecordingState,
};
use lab_testkit::{FakeBlobs, FakeEntropy, FakePlatform, FakeRuntime, FakeStore, ManualClock, Strike};
use std::{io::Read, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const LAB: &str = "labwire: 1\nid: tiny\ntitle: {en: Tiny, fr: Petit}\nsummary: {en: One., fr: Un.}\nimage: labwire/frr:1\n\
                   terminals:\n  - {id: h1, kind: shell, command: [bash]}\nstart: [sleep, infinity]\n\
                   time: {planned: 20m, max: 60m, idle: 15m}\n";
const MONTH: Duration = Duration::from_hours(24 * 30);

/// An installation of one learner, whose lab is over and was recorded.
struct Small {
    store: Arc<FakeStore>,
    blobs: Arc<FakeBlobs>,
    clock: Arc<ManualClock>,
    ports: Ports,
    session: SessionId,
}

impl Small {
    async fn new(chunks: u64, bytes: usize) -> Self {
        let (store, blobs) = (Arc::new(FakeStore::default()), Arc::new(FakeBlobs::default()));
        let clock = Arc::new(ManualClock::default());
        let ports = Ports {
            store: store.clone(),
            runtime: Arc::new(FakeRuntime::new(clock.clone())),
            blobs: blobs.clone(),
            clock: clock.clone(),
            platform: Arc::new(FakePlatform::default()),
            mail: Arc::new(lab_core::port::NoMail),
            entropy: Arc::new(FakeEntropy::default()),
        };
        let session = SessionId(Uuid::from_u128(1));
        let small = Self {
            store,
            blobs,
            clock,
            ports,
            session,
        };
        small.admit().await;
        small.record(chunks, bytes).await;
        small.end().await;
        small
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn admit(&self) {
        let (store, now) = (&self.store, self.now());
        let name = Bilingual {
            en: "Q".into(),
            fr: "Q".into(),
        };
        store.plan_put(&Plan::new("Q", name)).await.unwrap();
        let lab = LabVersion::parse("tiny.yaml", LAB.as_bytes()).unwrap();
        store.lab_publish(&lab, now).await.unwrap();
        let grant = Grant {
            id: lab_core::GrantId(Uuid::from_u128(2)),
            subject: "ada".into(),
            course: "net".into(),
            plan: "Q".into(),
            seconds: 3600,
            priority: 0,
            effective_at: now,
            expires_at: now.plus(MONTH * 12),
            created_at: now,
            source: "test".into(),
            sponsor: None,
        };
        store.grant_issue(&grant).await.unwrap();
        let request = AdmitRequest {
            session: self.session,
            subject: "ada".into(),
            name: "Ada".into(),
            course: "net".into(),
            lab: "tiny".into(),
            digest: lab.digest,
            hold_secs: 900,
            minimum_secs: 60,
            notice: None,
            test_run: false,
            at: now,
        };
        let done = store.admit(&request).await.unwrap();
        assert!(matches!(done, Admission::Admitted(_)), "{done:?}");
        self.step(SessionEvent::Provision).await;
        self.step(SessionEvent::Ready).await;
    }

    async fn step(&self, event: SessionEvent) {
        let session = self.store.session_get(self.session).await.unwrap().unwrap();
        let ready = (event == SessionEvent::Ready).then_some((1, self.now().plus(MONTH)));
        let t = Transition {
            session: self.session,
            expect: session.revision,
            event,
            at: self.now(),
            cause: "test".into(),
            ready,
        };
        self.store.session_transition(&t).await.unwrap();
    }

    fn key(&self, name: &str) -> String {
        format!("recordings/{}/{name}", self.session)
    }

    async fn record(&self, chunks: u64, bytes: usize) {
        let ttl = Duration::from_secs(6);
        let lease = recorder_lease(self.session);
        let lease = self.store.lease_take(&lease, "recorder", self.now(), ttl).await;
        let epoch = lease.unwrap().unwrap().epoch;
        let mut head = self.store.recording_open(self.session, self.now()).await.unwrap();
        for n in 0..chunks {
            let record = Record {
                time_us: n * 1000,
                terminal: 0,
                offset: n * bytes as u64,
                event: Event::Output(noise(n, bytes).into()),
            };
            let mut piece = BytesMut::new();
            record.encode(&mut piece);
            let piece = piece.freeze();
            let (end, key) = (head.end + piece.len() as u64, self.key(&format!("{n}")));
            let append = ChunkAppend {
                session: self.session,
                epoch,
                start: head.end,
                end,
                chain: head.chain.extend(head.end, &piece),
                key: key.clone(),
                last_us: n,
                at: self.now(),
            };
            self.blobs.put(&key, piece).await.unwrap();
            head = self.store.recording_append(&append).await.unwrap();
        }
    }

    async fn end(&self) {
        self.step(SessionEvent::Stop(EndReason::LearnerStopped)).await;
        self.step(SessionEvent::Gone(EndReason::LearnerStopped)).await;
        let settlement = Settlement {
            session: self.session,
            sandbox_secs: 10,
            billable_secs: 10,
            unbilled_reason: None,
            loss: None,
            at: self.now(),
        };
        self.store.settle(&settlement).await.unwrap();
    }

    fn sweeper(&self, holder: &str) -> Retention {
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        Retention::new(
            self.ports.clone(),
            lab_core::privacy::Retention::default(),
            holder.into(),
            metrics,
        )
    }

    async fn sweep(&self) -> Result<Option<Swept>, lab_app::AppError> {
        self.sweeper("a").sweep(&CancellationToken::new()).await
    }

    fn objects(&self) -> Vec<String> {
        self.blobs.objects().keys().cloned().collect()
    }
}

/// Output that no packer makes smaller, the same each time.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut out = vec![0; bytes];
    blake3::Hasher::new_keyed(&[seed.to_le_bytes()[0]; 32])
        .finalize_xof()
        .fill(&mut out);
    out
}

#[tokio::test]
async fn a_recording_goes_when_its_time_has_come_and_not_before() {
    let small = Small::new(3, 100).await;
    small.clock.advance(MONTH.saturating_sub(Duration::from_secs(1)));
    assert_eq!(small.sweep().await.unwrap().unwrap(), Swept::default());
    assert_eq!(small.objects().len(), 3);
    small.clock.advance(Duration::from_secs(1));
    let swept = small.sweep().await.unwrap().unwrap();
    assert_eq!((swept.rows.get(&Class::Recordings), swept.objects), (Some(&1), 3));
    assert_eq!(small.objects(), Vec::<String>::new());
    assert_eq!(small.store.recording_chunks(small.session).await.unwrap(), []);
}

#[tokio::test]
async fn whatever_fails_on_the_way_the_next_sweep_finishes_and_nobody_reads_half_a_recording() {
    let small = Small::new(3, 100).await;
    small.clock.advance(MONTH);
    for (store, blobs) in [
        (Some(("recording_remove", Strike::After)), None),
        (Some(("removals", Strike::Before)), None),
        (None, Some(("list", Strike::Before))),
        (Some(("removal_done", Strike::Before)), None),
    ] {
        if let Some((operation, strike)) = store {
            small.store.faults.once(operation, strike);
        }
        if let Some((operation, strike)) = blobs {
            small.blobs.faults.once(operation, strike);
        }
        small.sweep().await.expect_err("it was planned");
        let head = small.store.recording_head(small.session).await.unwrap().unwrap();
        assert!(matches!(head.state, RecordingState::Removed { .. }), "{head:?}");
    }
    small.sweep().await.unwrap().unwrap();
    assert_eq!(small.objects(), Vec::<String>::new());
    assert_eq!(
        small.store.removals(small.now().minus(SECOND_LOOK), 9).await.unwrap(),
        []
    );
}

#[tokio::test]
async fn what_a_late_recorder_put_and_what_was_moved_aside_goes_too() {
    let small = Small::new(1, 100).await;
    let aside = format!("{QUARANTINE_PREFIX}{}", small.key("0"));
    small.blobs.put(&aside, Bytes::from_static(b"damaged")).await.unwrap();
    small.clock.advance(MONTH);
    small.sweep().await.unwrap().unwrap();
    assert_eq!(small.objects(), Vec::<String>::new());
    // it had this under way, and its row will be refused
    small
        .blobs
        .put(&small.key("late"), Bytes::from_static(b"late"))
        .await
        .unwrap();
    small.clock.advance(SECOND_LOOK.saturating_sub(Duration::from_secs(1)));
    small.sweep().await.unwrap().unwrap();
    assert_eq!(small.objects().len(), 1, "not yet");
    small.clock.advance(Duration::from_secs(1));
    let swept = small.sweep().await.unwrap().unwrap();
    assert_eq!((swept.objects, small.objects().len()), (1, 0));
    small.clock.advance(SECOND_LOOK);
    let lists = small.blobs.faults.calls("list");
    small.sweep().await.unwrap().unwrap();
    assert_eq!(small.blobs.faults.calls("list"), lists, "and then never again");
}

#[tokio::test]
async fn one_process_sweeps_at_a_time() {
    let small = Small::new(1, 100).await;
    small.clock.advance(MONTH);
    let stop = CancellationToken::new();
    let mut first = small.sweeper("a");
    assert!(first.sweep(&stop).await.unwrap().is_some());
    assert_eq!(small.sweeper("b").sweep(&stop).await.unwrap(), None);
    first.release().await;
    assert!(small.sweeper("b").sweep(&stop).await.unwrap().is_some());
}

fn by() -> By {
    By {
        subject: "ops".into(),
        name: "Operations".into(),
    }
}

#[tokio::test]
async fn an_erasure_that_lost_the_storage_is_finished_by_asking_again() {
    let small = Small::new(2, 100).await;
    let people = People::new(small.ports.clone());
    small.blobs.faults.once("list", Strike::Before);
    people.erase(&"ada".into(), &by()).await.expect_err("it was planned");
    assert!(small.store.person_footprint(&"ada".into()).await.unwrap().is_empty());
    assert_eq!(small.objects().len(), 2);
    let again = people.erase(&"ada".into(), &by()).await.unwrap();
    assert_eq!((again.objects, again.footprint.is_empty()), (2, true));
    assert_eq!(small.objects(), Vec::<String>::new());
    assert_eq!(small.store.ledger_recount().await.unwrap().total, 0);
}

#[tokio::test]
async fn an_archive_is_made_as_it_is_read_and_holds_the_recording_whole() {
    const CHUNKS: u64 = 40;
    const BYTES: usize = 60 * 1024;
    let small = Small::new(CHUNKS, BYTES).await;
    let people = People::new(small.ports.clone());
    let mut pieces = people.export(&"ada".into(), &by()).await.unwrap();
    let first = pieces.next().await.unwrap().unwrap();
    let read = small.blobs.faults.calls("get");
    assert!(read < 8, "{read} chunks were read ahead of whoever reads the archive");
    let mut archive = first.to_vec();
    let mut largest = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece.unwrap();
        largest = largest.max(piece.len());
        archive.extend_from_slice(&piece);
    }
    assert!(
        largest <= 512 * 1024,
        "a piece of {largest} bytes, {EXPORT_QUEUE} of which may wait"
    );
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
    let folder = format!("recordings/{}/", small.session);
    let mut journal = Vec::new();
    zip.by_name(&format!("{folder}journal.bin"))
        .unwrap()
        .read_to_end(&mut journal)
        .unwrap();
    let stored: Vec<u8> = (0..CHUNKS)
        .flat_map(|n| small.blobs.objects()[&small.key(&n.to_string())].to_vec())
        .collect();
    assert_eq!(journal, stored);
    let mut cast = String::new();
    zip.by_name(&format!("{folder}h1.cast"))
        .unwrap()
        .read_to_string(&mut cast)
        .unwrap();
    assert!(
        cast.starts_with("{\"") && cast.lines().count() > CHUNKS as usize,
        "{} lines",
        cast.lines().count()
    );
}

#[tokio::test]
async fn a_damaged_recording_is_said_to_be_so_and_the_rest_is_there() {
    let small = Small::new(2, 100).await;
    small.blobs.objects().remove(&small.key("1"));
    let people = People::new(small.ports.clone());
    let pieces = people.export(&"ada".into(), &by()).await.unwrap();
    let pieces: Vec<_> = pieces.map(|p| p.unwrap().to_vec()).collect().await;
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(pieces.concat())).unwrap();
    let mut page = String::new();
    zip.by_name("index.html").unwrap().read_to_string(&mut page).unwrap();
    assert!(page.contains("could not be read whole (store-corrupt)"), "{page}");
    assert!(zip.by_name("profile.json").is_ok());
}

#[tokio::test]
async fn an_archive_says_what_courses_gave_longer_what_was_not_given_and_the_persons_other_ids() {
    let small = Small::new(1, 64).await;
    let now = small.now();
    let extension = Extension {
        course: "net".into(),
        subject: "ada".into(),
        until: now.plus(MONTH),
        given_at: now,
    };
    small.store.extension_put(&extension).await.unwrap();
    let withheld = Withheld {
        subject: "ada".into(),
        course: "net".into(),
        plan: "GROUP".into(),
        why: WhyWithheld::Spent,
        at: now,
    };
    small.store.grant_withhold(&withheld).await.unwrap();
    let same = SamePerson {
        alias: "other.example.org#ada".into(),
        subject: "ada".into(),
        at: now,
        by: "cli".into(),
    };
    small.store.same_person_put(&same).await.unwrap();
    let pieces = People::new(small.ports.clone())
        .export(&"ada".into(), &by())
        .await
        .unwrap();
    let pieces: Vec<_> = pieces.map(|p| p.unwrap().to_vec()).collect().await;
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(pieces.concat())).unwrap();
    let profile: serde_json::Value = serde_json::from_reader(zip.by_name("profile.json").unwrap()).unwrap();
    let of = |list: &str, field: &str| profile[list][0][field].as_str().unwrap_or_default().to_owned();
    assert_eq!(of("extensions", "until"), now.plus(MONTH).to_string());
    assert_eq!(
        (of("withheld", "plan"), of("withheld", "why")),
        ("GROUP".into(), WhyWithheld::Spent.code().into())
    );
    assert_eq!(of("same_person", "alias"), "other.example.org#ada");
    let kept = |what: &str| profile["kept"][what].as_u64();
    assert_eq!(
        (kept("extensions"), kept("withheld"), kept("aliases")),
        (Some(1), Some(1), Some(1))
    );
}
