//! A small school: plans, a lab, learners.

use lab_core::{
    CourseId, GrantId, LabDigest, LabId, PlanId, SessionId, Subject, Timestamp,
    entitlement::{Bilingual, Grant, Plan},
    lab::LabVersion,
    port::{Admission, AdmitRequest, Session, Settlement, Store, StoreError, Transition},
    provisioning::{EndReason, SessionEvent},
};
use std::sync::Arc;
use uuid::Uuid;

/// Seconds after the fixture's morning, as a time of our clock.
pub fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

/// An id nobody had before.
pub fn fresh() -> Uuid {
    Uuid::now_v7()
}

/// A version of the lab `id`; `note` makes it another one.
pub fn lab(id: &str, note: &str) -> LabVersion {
    let text = format!(
        "labwire: 1\nid: {id}\ntitle: {{en: Tiny, fr: Petit}}\nsummary: {{en: '{note}', fr: Un hôte.}}\n\
         image: labwire/frr:1\nterminals:\n  - {{id: h1, kind: shell, command: [bash]}}\nstart: [sleep, infinity]\n\
         time: {{planned: 20m, max: 60m, idle: 15m}}\n"
    );
    LabVersion::parse("fixture.yaml", text.as_bytes()).expect("the fixture is a lab file")
}

/// A store with the plans DISCOVERY (no labs), QUALIFYING (one lab at once) and GROUP (three at once), and a lab.
pub struct School {
    pub store: Arc<dyn Store>,
    pub course: CourseId,
    pub lab: LabId,
    pub digest: LabDigest,
}

impl School {
    pub async fn open(store: Arc<dyn Store>) -> Self {
        for (id, labs, concurrency_max, seconds) in [
            ("DISCOVERY", false, 0, 0),
            ("QUALIFYING", true, 1, 3600),
            ("GROUP", true, 3, 36_000),
        ] {
            let name = Bilingual {
                en: id.to_lowercase(),
                fr: id.to_lowercase(),
            };
            let plan = Plan {
                labs,
                concurrency_max,
                seconds,
                ..Plan::new(id, name)
            };
            store.plan_put(&plan).await.unwrap();
        }
        let version = lab("tiny", "one host");
        store.lab_publish(&version, at(0)).await.unwrap();
        Self {
            store,
            course: "net-101".into(),
            lab: "tiny".into(),
            digest: version.digest,
        }
    }

    /// A grant of `seconds`, valid from an hour before the morning for a month.
    pub fn grant_of(&self, subject: &str, plan: &str, seconds: i64) -> Grant {
        Grant {
            id: GrantId(fresh()),
            subject: subject.into(),
            course: self.course.clone(),
            plan: plan.into(),
            seconds,
            priority: 10,
            effective_at: at(-3600),
            expires_at: at(30 * 86_400),
            created_at: at(-3600),
            source: "manual".into(),
            sponsor: None,
        }
    }

    /// Issues [`Self::grant_of`].
    pub async fn grant(&self, subject: &str, plan: &str, seconds: i64) -> GrantId {
        let grant = self.grant_of(subject, plan, seconds);
        self.store.grant_issue(&grant).await.unwrap();
        grant.id
    }

    /// A click on the link of `lab`: 15 minutes to hold, one minute at least.
    pub fn click(&self, subject: &str, lab: &str) -> AdmitRequest {
        AdmitRequest {
            session: SessionId(fresh()),
            subject: subject.into(),
            name: subject.to_uppercase(),
            course: self.course.clone(),
            lab: lab.into(),
            digest: self.digest.clone(),
            hold_secs: 900,
            minimum_secs: 60,
            notice: None,
            test_run: false,
            at: at(0),
        }
    }

    /// A session that was admitted just now.
    pub async fn admitted(&self, subject: &str) -> Session {
        match self.store.admit(&self.click(subject, self.lab.as_str())).await.unwrap() {
            Admission::Admitted(session) => session,
            other => panic!("{subject} was not admitted: {other:?}"),
        }
    }

    /// A new learner with `seconds` under QUALIFYING, and their session, ready.
    pub async fn at_work(&self, seconds: i64) -> Session {
        let subject = format!("learner-{}", fresh());
        self.grant(&subject, "QUALIFYING", seconds).await;
        let session = self.admitted(&subject).await;
        self.ready(&session).await
    }

    /// Takes a requested session to its first prompt, 10 s into the agent's clock.
    pub async fn ready(&self, session: &Session) -> Session {
        let session = self.step(session, SessionEvent::Provision).await.unwrap();
        self.step(&session, SessionEvent::Ready).await.unwrap()
    }

    /// One transition from what the caller holds.
    pub async fn step(&self, session: &Session, event: SessionEvent) -> Result<Session, StoreError> {
        let ready = (event == SessionEvent::Ready).then_some((10_000_000, at(3600)));
        let transition = Transition {
            session: session.id,
            expect: session.revision,
            event,
            at: at(5),
            cause: "test".into(),
            ready,
        };
        self.store.session_transition(&transition).await
    }

    /// Ends a ready session.
    pub async fn end(&self, session: &Session) -> Session {
        let stopping = self
            .step(session, SessionEvent::Stop(EndReason::LearnerStopped))
            .await
            .unwrap();
        self.step(&stopping, SessionEvent::Gone(EndReason::SandboxLost))
            .await
            .unwrap()
    }

    /// What is left on a learner's grants, in burn order.
    pub async fn available(&self, subject: &Subject) -> Vec<i64> {
        let grants = self.store.grant_list(subject, Some(&self.course)).await.unwrap();
        grants.iter().map(|g| g.available).collect()
    }
}

/// The end of a session after `secs` of use, all of them billable.
pub fn used(session: &Session, secs: i64) -> Settlement {
    Settlement {
        session: session.id,
        sandbox_secs: secs,
        billable_secs: secs,
        unbilled_reason: None,
        loss: None,
        at: at(7200),
    }
}

/// The plan a session runs under.
pub fn plan(id: &str) -> PlanId {
    id.into()
}

/// Runs `n` calls at once, really side by side, and gives their answers in order.
pub async fn at_once<T, F>(n: usize, call: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let gate = Arc::new(tokio::sync::Barrier::new(n));
    let calls: Vec<_> = (0..n)
        .map(|i| {
            let (gate, call) = (gate.clone(), call(i));
            tokio::spawn(async move {
                gate.wait().await;
                call.await
            })
        })
        .collect();
    let mut answers = Vec::with_capacity(n);
    for call in calls {
        answers.push(call.await.expect("no call panics"));
    }
    answers
}
