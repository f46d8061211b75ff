//! A learner's click becomes a session, once.

use super::access::owns;
use crate::{App, AppError, provisioning::has_pool};
use lab_core::{
    CourseId, LabId, PlanId, SessionId, Subject,
    entitlement::{
        Bilingual, GrantBalance, HOLD_CHUNK_SECS, MINIMUM_TO_START_SECS, Plan, Refusal, Withheld, lapsed, source,
    },
    journal::CheckOutcome,
    lab::LabVersion,
    launch::{Login, Reach, Role},
    port::{Admission, AdmitRequest, ErrorKind, Session, SessionFilter},
};
use std::collections::HashMap;

/// A login with what it may use.
#[derive(Clone, Debug)]
pub struct Me {
    pub login: Login,
    /// Grants in the login's course, for learners.
    pub grants: Vec<GrantBalance>,
    pub plans: Vec<Plan>,
    /// The title of the login's course, for those who teach it, where it has one.
    pub course_title: Option<String>,
    /// In whose name a learner's labs are shown, where a site of theirs has one.
    pub brand: Option<Bilingual>,
}

/// What a click came to.
#[derive(Clone, Debug)]
pub struct Started {
    pub session: Session,
    /// Made for this click; otherwise it ran already.
    pub new: bool,
}

/// A session with its results.
#[derive(Clone, Debug)]
pub struct SessionView {
    pub session: Session,
    /// Last outcome of every check that ran.
    pub checks: Vec<CheckOutcome>,
    /// Points of the checks that pass now.
    pub points: u32,
    /// Points of all checks of its lab version; 0 when that version is gone.
    pub points_total: u32,
}

impl App {
    /// The login with its grants, its course's title, its site's brand and all plans.
    pub async fn me(&self, login: &Login) -> Result<Me, AppError> {
        let store = &self.ports.store;
        let (grants, brand) = match login.role {
            Role::Learner => (
                store.grant_list(&login.subject, Some(&login.course)).await?,
                store.brand_of(&login.course, &login.subject).await?,
            ),
            Role::Teacher
            | Role::Coach
            | Role::Author
            | Role::Enrolment
            | Role::Manager
            | Role::Sponsor
            | Role::Operations => (Vec::new(), None),
        };
        // for the heading of the wall alone: a learner's page does not ask for the read
        let course_title = match login.role {
            Role::Teacher | Role::Coach => self.course_title(&login.course).await?,
            _ => None,
        };
        Ok(Me {
            login: login.clone(),
            grants,
            course_title,
            brand,
            plans: self.ports.store.plan_list().await?,
        })
    }

    /// As the settings, its platform or whoever gave it dates named it.
    async fn course_title(&self, course: &CourseId) -> Result<Option<String>, AppError> {
        let known = self.ports.store.course_get(course).await?;
        // a launch that told no title left the id in its place
        Ok(known
            .map(|c| c.title)
            .filter(|title| !title.is_empty() && *title != course.0))
    }

    /// The latest version of every lab.
    pub async fn lab_list(&self) -> Result<Vec<LabVersion>, AppError> {
        Ok(self.ports.store.lab_list().await?)
    }

    /// The latest version of a lab, also of one that is withdrawn: the pages of those who run it still, and of what they did in it, show it.
    pub async fn lab_get(&self, lab: &LabId) -> Result<LabVersion, AppError> {
        self.ports
            .store
            .lab_last(lab)
            .await?
            .ok_or_else(|| AppError::not_found("the lab"))
    }

    /// Starts the link's lab, or returns the learner's run of it that is under way.
    ///
    /// # Errors
    /// [`AppError::Entitlement`] when the plan, the time left or the number of running sessions forbids it.
    pub async fn session_start(&self, login: &Login, lab: &LabId) -> Result<Started, AppError> {
        if login.role != Role::Learner {
            return Err(AppError::not_allowed(
                "labs are started by learners; who answers for a lab tries it by a test run",
            ));
        }
        if login.lab.as_ref() != Some(lab) {
            return self.running(login, lab).await;
        }
        if let Err(refusal) = self.plan_has_labs(login).await {
            return Err(self.because(login, refusal).await?);
        }
        let Some(version) = self.ports.store.lab_latest(lab).await? else {
            return self.unpublished(login, lab).await;
        };
        // a chunk beyond the lab's maximum would only keep time from the learner's other labs
        let lab_max = i64::try_from(version.file.time.max.secs).unwrap_or(i64::MAX);
        let test_run = login.is_test_run();
        let request = AdmitRequest {
            session: SessionId(self.fresh_uuid()),
            subject: login.subject.clone(),
            name: login.name.clone(),
            course: login.course.clone(),
            lab: lab.clone(),
            digest: version.digest,
            hold_secs: HOLD_CHUNK_SECS.min(lab_max.max(MINIMUM_TO_START_SECS)),
            minimum_secs: MINIMUM_TO_START_SECS,
            notice: Some(self.settings.notice.version()),
            test_run,
            at: self.now(),
        };
        match self.ports.store.admit(&request).await? {
            Admission::Admitted(session) => {
                self.intent.notify_one();
                self.count_claim(&session).await;
                tracing::info!(session.id = %session.id, lab.id = %session.lab, "admitted");
                Ok(Started { session, new: true })
            }
            Admission::Running(session) => Ok(Started { session, new: false }),
            Admission::Refused(refusal) => {
                let refusal = AppError::Entitlement(Box::new(refusal));
                Err(self.because(login, refusal).await?)
            }
        }
    }

    /// The learner's run of a lab that another link opened: they may go back to it, as who runs as many labs as their plan allows is told to.
    /// A link starts its own lab only.
    async fn running(&self, login: &Login, lab: &LabId) -> Result<Started, AppError> {
        let session = self.live_run(&login.subject, Some(&login.course), lab).await?;
        let session = session
            .ok_or_else(|| AppError::not_allowed("this link opens another lab; open the link of the lab you want"))?;
        Ok(Started { session, new: false })
    }

    /// A person's run of a lab that is under way; without a course, in any.
    pub(crate) async fn live_run(
        &self,
        subject: &Subject,
        course: Option<&CourseId>,
        lab: &LabId,
    ) -> Result<Option<Session>, AppError> {
        let filter = SessionFilter {
            course: course.cloned(),
            subject: Some(subject.clone()),
            lab: Some(lab.clone()),
            live: true,
            limit: 1,
        };
        Ok(self.ports.store.session_list(&filter).await?.pop())
    }

    /// Of a lab that is not published: who runs it since before it was withdrawn goes back to it, nobody begins it.
    async fn unpublished(&self, login: &Login, lab: &LabId) -> Result<Started, AppError> {
        if let Some(session) = self.live_run(&login.subject, Some(&login.course), lab).await? {
            return Ok(Started { session, new: false });
        }
        match self.ports.store.lab_last(lab).await? {
            Some(_) => Err(AppError::refused(
                ErrorKind::Denied,
                "lab-withdrawn",
                "this lab was withdrawn: it cannot be started any more",
            )),
            None => Err(AppError::not_found("the lab")),
        }
    }

    /// The same refusal, or the better reason why somebody has no labs: what their launch was not given, or a sponsor who no longer says
    /// that they are theirs.
    async fn because(&self, login: &Login, refusal: AppError) -> Result<AppError, AppError> {
        if !matches!(&refusal, AppError::Entitlement(r) if matches!(**r, Refusal::NoLabs { .. })) {
            return Ok(refusal);
        }
        let (store, told) = (&self.ports.store, |r| AppError::Entitlement(Box::new(r)));
        if let Some(Withheld { plan, why, .. }) = store.grant_withheld(&login.subject, &login.course).await? {
            return Ok(told(Refusal::Withheld { plan, why }));
        }
        let grants = store.grant_list(&login.subject, Some(&login.course)).await?;
        let lapsed = lapsed(&grants, self.now());
        Ok(lapsed.map_or(refusal, |(sponsor, since)| {
            told(Refusal::NotAttested { sponsor, since })
        }))
    }

    /// Whether a new session was served from its lab's pool, where it has one: of the settings, or of a class that is open. A count that the
    /// store has no answer for is left out, and the learner has their lab.
    async fn count_claim(&self, session: &Session) {
        // which leaves the pools alone
        if session.is_test_run() {
            return;
        }
        if session.warm
            || has_pool(&self.ports, &self.settings, &session.lab)
                .await
                .unwrap_or(false)
        {
            let outcome = if session.warm { "warm" } else { "cold" };
            self.metrics.pool_claims_total.with_label_values(&[outcome]).inc();
        }
    }

    /// A link that asks for a plan without labs is refused, unless time was bought for its learner besides: the link says what the course
    /// includes, and a voucher says more.
    pub(crate) async fn plan_has_labs(&self, login: &Login) -> Result<(), AppError> {
        let Some(asked) = login.plan.as_ref().filter(|_| !login.is_test_run()) else {
            return Ok(());
        };
        let plans = self.ports.store.plan_list().await?;
        let with_labs = |id: &PlanId| plans.iter().any(|p| p.id == *id && p.labs);
        if with_labs(asked) {
            return Ok(());
        }
        let now = self.now();
        let grants = self.ports.store.grant_list(&login.subject, Some(&login.course)).await?;
        let bought =
            |g: &GrantBalance| [source::VOUCHER, source::ORDER, source::SPONSOR].contains(&g.grant.source.as_str());
        if grants
            .iter()
            .any(|g| bought(g) && g.is_valid(now) && with_labs(&g.grant.plan))
        {
            return Ok(());
        }
        Err(AppError::Entitlement(Box::new(Refusal::NoLabs {
            plan: Some(asked.clone()),
        })))
    }

    /// One session with its results.
    ///
    /// # Errors
    /// Not found when it is not there or the login may not know it.
    pub async fn session_view(&self, login: &Login, id: SessionId) -> Result<SessionView, AppError> {
        let session = self.session_for(login, id).await?;
        let total = self
            .ports
            .store
            .lab_version(&session.digest)
            .await?
            .map_or(0, |lab| points_total(&lab));
        self.view(login, session, total).await
    }

    /// Sessions the login may know, newest first: a learner's own, a teacher's course, everything for operations.
    ///
    /// # Errors
    /// `not-allowed` when the filter asks for another course or person.
    pub async fn session_list(&self, login: &Login, filter: SessionFilter) -> Result<Vec<SessionView>, AppError> {
        let filter = scoped(login, filter)?;
        let sessions = self.ports.store.session_list(&filter).await?;
        let mut totals: HashMap<_, u32> = HashMap::new();
        let mut views = Vec::with_capacity(sessions.len());
        for session in sessions {
            let known = totals.get(&session.digest).copied();
            let total = if let Some(total) = known {
                total
            } else {
                let lab = self.ports.store.lab_version(&session.digest).await?;
                let total = lab.map_or(0, |lab| points_total(&lab));
                totals.insert(session.digest.clone(), total);
                total
            };
            views.push(self.view(login, session, total).await?);
        }
        Ok(views)
    }

    /// A session as the login may see it: what checks printed comes from terminals, and what is billed is not for everyone who helps.
    async fn view(&self, login: &Login, mut session: Session, points_total: u32) -> Result<SessionView, AppError> {
        let mut checks = self.ports.store.check_list(session.id).await?;
        if !login.role.sees_terminals() {
            checks.iter_mut().for_each(|c| c.detail.clear());
        }
        if !login.role.sees_usage() {
            (session.held_secs, session.billed_secs) = (0, None);
        }
        let points = checks.iter().filter(|c| c.passed).map(|c| c.points).sum();
        Ok(SessionView {
            session,
            checks,
            points,
            points_total,
        })
    }
}

fn points_total(lab: &LabVersion) -> u32 {
    lab.file.checks.iter().map(|c| c.points).sum()
}

/// The filter, narrowed to what the login may know.
pub(crate) fn scoped(login: &Login, mut filter: SessionFilter) -> Result<SessionFilter, AppError> {
    let other_course = filter.course.as_ref().is_some_and(|c| *c != login.course);
    match login.role.reach() {
        Reach::All => {}
        Reach::Nobodys => return Err(AppError::not_allowed("your role sees no sessions")),
        Reach::Own | Reach::Course if other_course => {
            return Err(AppError::not_allowed("you may see your own course only"));
        }
        Reach::Course => filter.course = Some(login.course.clone()),
        Reach::Own => {
            filter.course = Some(login.course.clone());
            filter.subject = Some(login.subject.clone());
        }
    }
    Ok(filter)
}

/// Kept beside the rules it is one of: a stop by the learner is told apart from one by staff.
pub(crate) fn stop_reason(login: &Login, session: &Session) -> lab_core::provisioning::EndReason {
    use lab_core::provisioning::EndReason;
    if owns(login, session) {
        EndReason::LearnerStopped
    } else {
        EndReason::StaffStopped
    }
}
