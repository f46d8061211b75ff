//! The outbox against platforms that are away, slow to forgive, or gone: days of it in a second.

use lab_app::{Metrics, Ports, Settings, grading::Outbox};
use lab_core::{
    SessionId,
    grading::{GIVE_UP_AFTER, GradeAddress, GradeRow, GradeState, GradeTarget},
    journal::CheckOutcome,
    launch::lti::{Jwks, Kind, Registration, RegistrationId},
    port::{Clock, GradeStore, LtiStore, Store},
};
use lab_testkit::{
    FakeBlobs, FakeEntropy, FakePlatform, FakeRuntime, FakeStore, ManualClock,
    contract::store::fixture::{School, lab},
};
use std::{sync::Arc, time::Duration};

const TOKEN: &str = r#"{"access_token":"t","token_type":"bearer","expires_in":1000}"#;

struct Rig {
    store: Arc<FakeStore>,
    platform: Arc<FakePlatform>,
    clock: Arc<ManualClock>,
    outbox: Outbox,
    session: SessionId,
    school: School,
}

fn at(url: &str, what: &str) -> String {
    format!("https://{url}/{what}")
}

impl Rig {
    /// A learner at work in a lab of three checks.
    async fn new() -> Self {
        let store = Arc::new(FakeStore::default());
        let clock = Arc::new(ManualClock::default());
        let platform = Arc::new(FakePlatform::default());
        let ports = Ports {
            store: store.clone(),
            runtime: Arc::new(FakeRuntime::new(clock.clone())),
            blobs: Arc::new(FakeBlobs::default()),
            platform: platform.clone(),
            mail: Arc::new(lab_core::port::NoMail),
            clock: clock.clone(),
            entropy: Arc::new(FakeEntropy::default()),
        };
        let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
        let outbox = Outbox::new(ports, Settings::default(), metrics);
        let mut school = School::open(store.clone()).await;
        let mut text = lab("tiny", "graded").source;
        for (n, id) in ["a", "b", "c"].iter().enumerate() {
            let heading = if n == 0 { "checks:\n" } else { "" };
            text.push_str(&format!(
                "{heading}  - {{id: {id}, title: {{en: x, fr: x}}, points: 1, command: ['true']}}\n"
            ));
        }
        let version = lab_core::lab::LabVersion::parse("graded.yaml", text.as_bytes()).unwrap();
        store.lab_publish(&version, clock.now()).await.unwrap();
        school.digest = version.digest;
        let session = school.at_work(3600).await.id;
        Self {
            store,
            platform,
            clock,
            outbox,
            session,
            school,
        }
    }

    /// A platform at `host`, registered by that name.
    async fn registered(&self, host: &str) {
        self.registered_as(host, host).await;
    }

    /// A platform at `host`, registered by another name.
    async fn registered_as(&self, name: &str, host: &str) {
        let registration = Registration {
            id: RegistrationId(name.into()),
            course: None,
            plan: None,
            created_at: self.clock.now(),
            kind: Kind::Platform {
                issuer: format!("https://{host}"),
                client_id: "c".into(),
                auth_url: at(host, "auth"),
                token_url: at(host, "token"),
                token_audience: None,
                jwks: Jwks::Url(at(host, "keys")),
                deployments: Vec::new(),
            },
        };
        self.store.lti_registration_put(&registration).await.unwrap();
    }

    /// The learner's place at the platform at `host`, with this column or without, and what the platform lets us do there.
    async fn placed(&self, host: &str, line_item: Option<String>, line_items: Option<String>, scopes: [&str; 2]) {
        let session = self.store.session_get(self.session).await.unwrap().unwrap();
        let target = GradeTarget {
            registration: RegistrationId(host.into()),
            subject: session.subject.clone(),
            course: session.course.clone(),
            lab: self.school.lab.clone(),
            title: "Tiny".into(),
            user: "u".into(),
            resource_link: "r".into(),
            address: GradeAddress::Ags {
                line_item,
                line_items,
                scopes: scopes
                    .map(|s| format!("https://purl.imsglobal.org/spec/lti-ags/scope/{s}"))
                    .to_vec(),
            },
        };
        self.store.grade_target_put(&target, self.clock.now()).await.unwrap();
    }

    /// Places `0..n` of the platform at `host`.
    async fn launched(&self, host: &str, n: usize) {
        for item in 0..n {
            let item = at(host, &item.to_string());
            self.placed(host, Some(item), None, ["score", "result.readonly"]).await;
        }
    }

    /// A place that has no column yet, at a platform that lists its columns.
    async fn listed(&self, host: &str) {
        let list = at(host, "items");
        self.placed(host, None, Some(list), ["score", "lineitem"]).await;
        self.platform.answers(&at(host, "token"), 200, TOKEN);
    }

    /// Where the first page of its list is.
    fn first_page(&self, host: &str) -> String {
        at(host, &format!("items?resource_id={}&limit=100", self.school.lab))
    }

    async fn passed(&self, check: &str) {
        let outcome = CheckOutcome {
            check: check.into(),
            passed: true,
            points: 1,
            detail: String::new(),
        };
        self.store
            .check_record(self.session, &outcome, self.clock.now())
            .await
            .unwrap();
    }

    fn answers(&self, host: &str, n: usize, status: u16) {
        self.platform.answers(&at(host, "token"), 200, TOKEN);
        for item in 0..n {
            self.platform.answers(&at(host, &format!("{item}/scores")), status, "");
        }
    }

    /// Lets time go by in steps of a few seconds.
    async fn goes_by(&mut self, time: Duration) {
        let until = self.clock.now().plus(time);
        while self.clock.now() < until {
            self.outbox.settle().await.unwrap();
            self.clock.advance(Duration::from_secs(4));
        }
    }

    async fn rows(&self) -> Vec<GradeRow> {
        self.store.grade_list(None).await.unwrap()
    }

    async fn all_are(&self, state: GradeState) -> bool {
        self.rows().await.iter().all(|r| r.state == state)
    }

    fn asked(&self, what: &str) -> usize {
        self.platform.requests().iter().filter(|r| r.url.contains(what)).count()
    }
}

#[tokio::test]
async fn a_platform_that_is_away_for_a_day_is_hardly_asked_and_then_has_every_grade_once() {
    let mut rig = Rig::new().await;
    rig.registered("away").await;
    rig.launched("away", 40).await;
    rig.passed("a").await;
    rig.goes_by(Duration::from_hours(24)).await;
    let asked = rig.platform.requests().len();
    assert!((90..400).contains(&asked), "{asked} requests in a day of outage");
    let waiting = rig.rows().await;
    assert!(waiting.iter().all(|r| r.state == GradeState::Pending), "{waiting:#?}");
    assert!(
        waiting
            .iter()
            .any(|r| r.trouble.as_ref().is_some_and(|t| t.code == "platform-unavailable"))
    );
    // meanwhile more was earned: only that is sent
    rig.passed("b").await;
    rig.answers("away", 40, 201);
    rig.goes_by(Duration::from_mins(16)).await;
    assert!(rig.all_are(GradeState::Sent).await, "{:#?}", rig.rows().await);
    assert_eq!(rig.asked("/scores"), 40);
    let sent = rig.platform.requests();
    assert!(
        sent.iter()
            .filter(|r| r.url.contains("/scores"))
            .all(|r| r.body.contains("\"scoreGiven\":2"))
    );
}

#[tokio::test]
async fn a_platform_that_fails_holds_up_nobody_else() {
    let mut rig = Rig::new().await;
    for host in ["broken", "fine"] {
        rig.registered(host).await;
        rig.launched(host, 30).await;
    }
    rig.answers("broken", 30, 500);
    rig.answers("fine", 30, 200);
    rig.passed("a").await;
    rig.outbox.settle().await.unwrap();
    rig.outbox.settle().await.unwrap();
    assert_eq!(rig.asked("fine/"), 31, "a token, and each score");
    assert!(rig.asked("broken/") <= 5, "{}", rig.asked("broken/"));
}

#[tokio::test]
async fn a_token_is_kept_for_its_time_and_replaced_when_it_is_not_taken() {
    let mut rig = Rig::new().await;
    rig.registered("lms").await;
    rig.launched("lms", 2).await;
    rig.answers("lms", 2, 201);
    rig.passed("a").await;
    rig.outbox.settle().await.unwrap();
    rig.clock.advance(Duration::from_secs(799));
    rig.passed("b").await;
    rig.outbox.settle().await.unwrap();
    assert_eq!((rig.asked("/token"), rig.asked("/scores")), (1, 4));
    rig.clock.advance(Duration::from_secs(2));
    rig.answers("lms", 1, 401);
    rig.passed("c").await;
    rig.outbox.settle().await.unwrap();
    assert_eq!(
        rig.asked("/token"),
        4,
        "it had ended; then one that is not taken, and another for the next"
    );
    let refused = rig.rows().await;
    let codes: Vec<_> = refused
        .iter()
        .filter_map(|r| r.trouble.as_ref())
        .map(|t| t.code.as_str())
        .collect();
    assert_eq!(codes, ["token-refused"], "{refused:#?}");
    rig.answers("lms", 2, 201);
    rig.goes_by(Duration::from_secs(10)).await;
    assert!(rig.all_are(GradeState::Sent).await);
    let stamps: Vec<i64> = rig.rows().await.iter().map(|r| r.stamp).collect();
    assert!(stamps.iter().all(|s| *s <= rig.clock.now().secs()), "{stamps:?}");
}

#[tokio::test]
async fn what_is_refused_is_final_and_what_waits_for_a_week_is_given_up() {
    let mut rig = Rig::new().await;
    rig.registered("lms").await;
    rig.launched("lms", 1).await;
    rig.answers("lms", 1, 404);
    rig.passed("a").await;
    rig.goes_by(Duration::from_hours(1)).await;
    assert_eq!(rig.asked("/scores"), 1, "a refusal is not asked again");
    assert!(rig.all_are(GradeState::Failed).await);
    // a newer grade is a new question
    rig.answers("lms", 1, 503);
    rig.passed("b").await;
    rig.goes_by(Duration::from_mins(5)).await;
    rig.clock.advance(GIVE_UP_AFTER);
    rig.goes_by(Duration::from_mins(16)).await;
    let rows = rig.rows().await;
    assert_eq!(
        (rows[0].state, rows[0].trouble.as_ref().map(|t| t.code.as_str())),
        (GradeState::Failed, Some("given-up"))
    );
    assert_eq!(rig.store.grade_retry(None, rig.clock.now()).await.unwrap(), 1);
    rig.answers("lms", 1, 201);
    rig.goes_by(Duration::from_mins(16)).await;
    assert!(rig.all_are(GradeState::Sent).await);
}

#[tokio::test]
async fn of_two_processes_one_sends_and_the_other_goes_on_when_it_dies() {
    let mut rig = Rig::new().await;
    rig.registered("lms").await;
    rig.launched("lms", 1).await;
    rig.answers("lms", 1, 201);
    let epoch = {
        let lease = rig
            .store
            .lease_take("outbox", "another", rig.clock.now(), Duration::from_secs(6));
        lease.await.unwrap().unwrap().epoch
    };
    rig.passed("a").await;
    rig.outbox.settle().await.unwrap();
    assert_eq!(rig.platform.requests().len(), 0, "it is another's");
    rig.clock.advance(Duration::from_secs(7));
    rig.outbox.settle().await.unwrap();
    assert!(rig.all_are(GradeState::Sent).await);
    let lease = rig.store.lease_take(
        "outbox",
        "another",
        rig.clock.now().plus(Duration::from_secs(7)),
        Duration::from_secs(6),
    );
    assert!(lease.await.unwrap().unwrap().epoch > epoch + 1);
}

#[tokio::test]
async fn what_a_platform_has_already_is_read_by_either_way_and_not_sent_again() {
    let mut rig = Rig::new().await;
    rig.registered("lms").await;
    rig.launched("lms", 1).await;
    rig.answers("lms", 1, 409);
    rig.platform
        .answers(&at("lms", "0/results?user_id=u&limit=100"), 404, "<h1>Not Found</h1>");
    let result = r#"[{"userId": "u", "resultScore": 33.3333, "resultMaximum": 100}]"#;
    rig.platform.answers(&at("lms", "0/results/u"), 200, result);
    rig.passed("a").await;
    rig.outbox.settle().await.unwrap();
    assert!(rig.all_are(GradeState::Sent).await, "{:#?}", rig.rows().await);
    // it has less than what is earned by now: that goes again, with a later time
    rig.passed("b").await;
    rig.goes_by(Duration::from_secs(30)).await;
    assert!(rig.all_are(GradeState::Pending).await);
    rig.answers("lms", 1, 200);
    rig.goes_by(Duration::from_mins(16)).await;
    assert!(rig.all_are(GradeState::Sent).await);
}

#[tokio::test]
async fn a_column_on_a_later_page_is_found_and_no_second_one_is_made() {
    let mut rig = Rig::new().await;
    rig.registered("lms").await;
    rig.listed("lms").await;
    let others = r#"[{"id":"https://lms/1","resourceId":"another"}]"#;
    let ours = format!(r#"[{{"id":"https://lms/2","resourceId":"{}"}}]"#, rig.school.lab);
    rig.platform
        .answers_page(&rig.first_page("lms"), others, &at("lms", "items?page=2"));
    rig.platform
        .answers_page(&at("lms", "items?page=2"), others, &at("lms", "items?page=3"));
    rig.platform.answers(&at("lms", "items?page=3"), 200, ours);
    rig.platform.answers(&at("lms", "2/scores"), 200, "");
    rig.passed("a").await;
    rig.goes_by(Duration::from_secs(12)).await;
    assert!(rig.all_are(GradeState::Sent).await, "{:?}", rig.rows().await);
    let made = rig
        .platform
        .requests()
        .iter()
        .filter(|r| r.method == "POST" && r.url == at("lms", "items"))
        .count();
    assert_eq!((made, rig.asked("items")), (0, 3));
}

#[tokio::test]
async fn a_list_that_leads_elsewhere_or_does_not_end_is_refused_with_a_reason_and_no_token_goes_there() {
    let mut rig = Rig::new().await;
    for host in ["lured", "endless"] {
        rig.registered(host).await;
        rig.listed(host).await;
    }
    rig.platform
        .answers_page(&rig.first_page("lured"), "[]", "https://evil/items?page=2");
    rig.platform
        .answers_page(&rig.first_page("endless"), "[]", &at("endless", "items?page=2"));
    rig.platform
        .answers_page(&at("endless", "items?page=2"), "[]", &at("endless", "items?page=2"));
    rig.passed("a").await;
    rig.goes_by(Duration::from_secs(12)).await;
    let mut codes: Vec<_> = rig
        .rows()
        .await
        .iter()
        .filter_map(|r| r.trouble.as_ref())
        .map(|t| t.code.clone())
        .collect();
    codes.sort();
    assert_eq!(codes, ["line-items-elsewhere", "line-items-endless"]);
    assert_eq!((rig.asked("evil"), rig.asked("endless/items")), (0, 10));
}

#[tokio::test]
async fn what_waited_for_one_platform_is_not_sent_by_the_next_one_of_its_name() {
    let mut rig = Rig::new().await;
    rig.registered("campus").await;
    rig.launched("campus", 3).await;
    rig.passed("a").await;
    // the platform answers, and would take what comes: whoever has its name by then must not send it
    rig.answers("campus", 3, 200);
    let campus = RegistrationId("campus".into());
    assert!(rig.store.lti_registration_drop(&campus).await.unwrap());
    rig.registered_as("campus", "other").await;
    rig.platform.answers(&at("other", "token"), 200, TOKEN);
    rig.outbox.settle().await.unwrap();
    assert!(
        rig.platform.requests().is_empty(),
        "no token was asked for, and nobody was sent one"
    );
    let gone = rig.rows().await;
    assert!(
        gone.iter()
            .all(|r| r.trouble.as_ref().is_some_and(|t| t.code == "registration-gone")),
        "{gone:#?}"
    );
    // `--retry` of the name does not bring them out either; of the client that they are of, it does
    assert_eq!(rig.store.grade_retry(Some(&campus), rig.clock.now()).await.unwrap(), 0);
    rig.registered("campus").await;
    assert_eq!(rig.store.grade_retry(Some(&campus), rig.clock.now()).await.unwrap(), 3);
    rig.outbox.settle().await.unwrap();
    assert!(rig.all_are(GradeState::Sent).await, "{:#?}", rig.rows().await);
    assert_eq!((rig.asked("https://campus/"), rig.asked("https://other/")), (4, 0));
}
