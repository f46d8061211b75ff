//! A verified launch becomes a launch link: which lab, which course, which plan.

use super::broken;
use crate::{App, AppError, launch::LINK_VALID};
use lab_core::{
    LabId, LaunchId, PlanId,
    courses::{FORGOTTEN_MAX, plan_grant},
    entitlement::{Asked, Grant, Issued, WhyWithheld, Withheld, asked_plan},
    grading::GradeTarget,
    launch::{
        LaunchClaims, Role,
        lti::{Fault, LaunchUrl, LtiRefusal, Registration, Roster, Verified, lab_uuid},
    },
    nearest,
    port::{Course, StoreError},
};
use uuid::Uuid;

/// Of somebody whose platform tells no name: as much of the platform's identifier as a teacher needs to tell two apart.
const PSEUDONYM_CHARS: usize = 12;

/// What a course is called that is here for the first time: as the platform calls it, or by what is known of it.
fn course_title(registration: &Registration, launch: &Verified) -> String {
    let named = launch
        .course_title
        .clone()
        .or(registration.course.as_ref().map(ToString::to_string));
    named.unwrap_or_else(|| {
        if launch.names_course {
            launch.course.to_string()
        } else {
            registration.kind.platform_name()
        }
    })
}

/// Mostly a slip in the course's custom parameter.
fn not_offered<'a>(plan: &PlanId, offered: impl Iterator<Item = &'a str>) -> LtiRefusal {
    let meant = nearest(plan.as_str(), offered).map_or_else(String::new, |meant| format!(" (is {meant} meant?)"));
    Fault::PlanNotOffered.because(format!(
        "the custom parameter plan is {:?}, which this registration does not offer{meant}; `labwire lti add NAME … --may-ask {plan}` offers it; the launch went on \
         with what everybody gets",
        plan.as_str()
    ))
}

impl App {
    /// Everything after verification, the same for both versions. `target` is the address that was launched.
    pub(super) async fn arrive(
        &self,
        registration: &Registration,
        mut launch: Verified,
        target: &str,
    ) -> Result<String, AppError> {
        launch.subject = self.ports.store.same_person_of(&launch.subject).await?;
        let lab = self.launched_lab(&launch, target).await?;
        let course = Course {
            id: registration.course.clone().unwrap_or_else(|| launch.course.clone()),
            title: course_title(registration, &launch),
        };
        if !self.ports.store.course_list().await?.iter().any(|c| c.id == course.id) {
            self.ports.store.course_put(&course).await?;
        }
        let learner = launch.role == Role::Learner;
        let plan = if learner {
            self.launched_plan(registration, &launch, &course).await?
        } else {
            None
        };
        if let Some(plan) = &plan {
            self.grant_once(registration, &launch, &course, plan).await?;
        }
        if let Some(lab) = lab.as_ref().filter(|_| learner) {
            self.keep_grade_target(registration, &launch, &course, lab).await?;
        }
        if let Some(url) = launch.members.clone().filter(|_| !learner) {
            let (registration, course) = (registration.id.clone(), course.id.clone());
            let roster = Roster {
                registration,
                course,
                url,
            };
            self.ports.store.lti_roster_put(&roster).await?;
        }
        let now = self.now();
        let claims = LaunchClaims {
            aud: self.settings.installation.clone(),
            jti: LaunchId(self.fresh_uuid()),
            iat: now.secs(),
            exp: now.plus(LINK_VALID).secs(),
            name: Some(
                launch
                    .name
                    .unwrap_or_else(|| launch.user.chars().take(PSEUDONYM_CHARS).collect()),
            ),
            sub: launch.subject,
            role: launch.role,
            course: course.id,
            lab: if learner { lab } else { None },
            plan,
            sponsor: None,
        };
        tracing::info!(registration = %registration.id, role = claims.role.name(), course = %claims.course, "launch by LTI");
        Ok(self.keyring.sign(&claims))
    }

    /// The plan of a learner's launch: what its parameter may ask for, else the registration's own. That it asked for more is kept, so that
    /// the learner is told should they have no lab time otherwise.
    async fn launched_plan(
        &self,
        registration: &Registration,
        launch: &Verified,
        course: &Course,
    ) -> Result<Option<PlanId>, AppError> {
        let store = &self.ports.store;
        let giver = store.giver_get(&registration.source()).await?.map(|s| s.giver);
        match asked_plan(registration.plan.as_ref(), giver.as_ref(), launch.plan.as_deref()) {
            Asked::Plan(plan) => Ok(Some(plan)),
            Asked::Nothing => Ok(None),
            Asked::NotOffered(plan) => {
                tracing::warn!(registration = %registration.id, %plan, "a launch asks for a plan that its registration does not offer");
                let offered = giver.iter().flat_map(|g| &g.plans).chain(&registration.plan);
                let why = not_offered(&plan, offered.map(PlanId::as_str));
                self.note(registration, why).await?;
                let withheld = Withheld {
                    subject: launch.subject.clone(),
                    course: course.id.clone(),
                    plan,
                    why: WhyWithheld::NotOffered,
                    at: self.now(),
                };
                store.grant_withhold(&withheld).await?;
                Ok(registration.plan.clone())
            }
        }
    }

    /// The lab of the address, or of the custom parameter; only staff may go without one.
    async fn launched_lab(&self, launch: &Verified, target: &str) -> Result<Option<LabId>, AppError> {
        let of_address = LaunchUrl::of(&self.settings.public_url, target).and_then(|u| u.lab);
        let Some(named) = of_address.or_else(|| launch.lab.clone()) else {
            if launch.role != Role::Learner {
                return Ok(None);
            }
            let url = &self.settings.public_url;
            return Err(Fault::LabNotNamed
                .because(format!(
                    "launch {url}/lti/labs/<lab>, or set the custom parameter lab=<lab>"
                ))
                .into());
        };
        let by_id = LabId(named.clone());
        if self.ports.store.lab_latest(&by_id).await?.is_some() {
            return Ok(Some(by_id));
        }
        let Some(lab) = self.known_lab(by_id).await? else {
            return Err(Fault::LabUnknown
                .because(format!(
                    "the launch names the lab {named:?}; `labwire lab ls` lists those that are here"
                ))
                .into());
        };
        // by its name it is not launched, or it was named by its UUID; staff look after those who run it still, and those go back to it
        if self.ports.store.lab_latest(&lab).await?.is_some()
            || launch.role != Role::Learner
            || self.live_run(&launch.subject, None, &lab).await?.is_some()
        {
            return Ok(Some(lab));
        }
        Err(Fault::LabWithdrawn
            .because(format!(
                "the launch names the lab \"{lab}\", which is withdrawn; `labwire lab withdraw {lab} --undo` brings it back"
            ))
            .into())
    }

    /// The lab of this name, or of this UUID, also when it is withdrawn.
    async fn known_lab(&self, named: LabId) -> Result<Option<LabId>, AppError> {
        let Ok(uuid) = named.as_str().parse::<Uuid>() else {
            let known = self.ports.store.lab_last(&named).await?;
            return Ok(known.map(|_| named));
        };
        let mut labs = self.ports.store.lab_ids().await?.into_iter();
        Ok(labs.find(|lab| *lab == named || lab_uuid(lab) == uuid))
    }

    /// Where the grade of this lab goes, when the platform wants one. Only learners get here: nobody else is graded.
    async fn keep_grade_target(
        &self,
        registration: &Registration,
        launch: &Verified,
        course: &Course,
        lab: &LabId,
    ) -> Result<(), AppError> {
        let Some(address) = launch.grade.clone() else {
            return Ok(());
        };
        let version = self.ports.store.lab_last(lab).await?;
        let target = GradeTarget {
            registration: registration.id.clone(),
            subject: launch.subject.clone(),
            course: course.id.clone(),
            lab: lab.clone(),
            title: version.map_or_else(|| lab.to_string(), |v| v.file.title.en),
            user: launch.user.clone(),
            resource_link: launch.resource_link.clone(),
            address,
        };
        Ok(self.ports.store.grade_target_put(&target, self.now()).await?)
    }

    /// The grant that a registration's plan gives each learner of a course; its id says of whom, so a second launch adds nothing.
    async fn grant_once(
        &self,
        registration: &Registration,
        launch: &Verified,
        course: &Course,
        plan: &PlanId,
    ) -> Result<(), AppError> {
        let plans = self.ports.store.plan_list().await?;
        let Some(plan) = plans.into_iter().find(|p| p.id == *plan) else {
            tracing::warn!(registration = %registration.id, %plan, "the registration's plan does not exist; no lab time is given");
            return Ok(());
        };
        // such a plan needs no grant
        if !plan.labs {
            return Ok(());
        }
        let store = &self.ports.store;
        let theirs = store.grant_list(&launch.subject, Some(&course.id)).await?;
        let now = self.now();
        for forgotten in 0..FORGOTTEN_MAX {
            // the id of somebody who was forgotten is on a grant of nobody now: they begin anew
            let id = plan_grant(&launch.subject, &course.id, &plan.id, forgotten);
            let grant = Grant::of_plan(&plan, id, &launch.subject, &course.id, registration.source(), now);
            if theirs.iter().any(|g| g.grant.id == grant.id) {
                return Ok(());
            }
            match store.grant_issue_within(&grant).await {
                Err(StoreError::Conflict { .. }) => {}
                Ok(Issued::Done) => return Ok(()),
                Ok(Issued::Spent(spent)) => {
                    tracing::warn!(registration = %registration.id, plan = %grant.plan, %spent, "no lab time is given: the budget is spent");
                    return Ok(());
                }
                Err(e) => return Err(e.into()),
            }
        }
        Err(broken("this person was forgotten too often"))
    }
}
