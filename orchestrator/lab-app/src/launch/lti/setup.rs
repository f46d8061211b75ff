//! Setting platforms up: registrations by hand, invitations, and the yes or no to who came. What the command line does, the page of
//! operations does too.

use crate::{App, AppError, launch::mint};
use lab_core::{
    CourseId, LabId, PlanId, SiteId, TokenHash,
    entitlement::{Giver, GrantBudget, Plan},
    launch::{
        Login, Role,
        lti::{
            Attempt, Guide, INVITATION_TTL, Invitation, Jwks, Kind, Registration, RegistrationId, RegistrationUse,
            SecretShown, Seen, guides, launch_address, registration_problem,
        },
    },
    port::{Clock, Entropy, ErrorKind, Store},
};
use std::{collections::BTreeSet, fmt::Write as _, sync::Arc};

/// Over the ports that it needs: the command line has no others.
pub struct Setup {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub public_url: String,
    /// Plans of the configuration, which are in the store only once `serve` has started with them.
    pub configured: Vec<Plan>,
}

/// A registration to add, or to change.
#[derive(Clone, Debug)]
pub struct NewRegistration {
    pub id: RegistrationId,
    pub course: Option<CourseId>,
    pub plan: Option<PlanId>,
    /// Of a consumer, an empty secret is the one that is there, or one that is made.
    pub kind: Kind,
    /// What its launches may ask for; none: as it is.
    pub offer: Option<Offer>,
}

/// What a registration's launches may ask for by their parameter `plan`, within which budget, and on whose statement.
#[derive(Clone, Debug)]
pub struct Offer {
    pub plans: BTreeSet<PlanId>,
    pub budget: GrantBudget,
    pub site: Option<SiteId>,
}

/// What came of it.
#[derive(Debug)]
pub struct Added {
    pub registration: Registration,
    /// Not changed, but added.
    pub new: bool,
    /// A secret that was made just now: to be shown, once.
    pub secret: Option<String>,
}

/// An invitation that was made.
pub struct Invited {
    pub invitation: Invitation,
    /// For the platform's administrator; holds the secret, and is shown once.
    pub address: String,
}

/// Everything that the page of platforms shows.
#[derive(Debug)]
pub struct LtiOverview {
    pub registrations: Vec<Registration>,
    /// When each of them last worked.
    pub seen: Vec<Seen>,
    pub invitations: Vec<Invitation>,
    /// Refused launches, newest first.
    pub attempts: Vec<Attempt>,
}

fn invalid(message: impl Into<String>) -> AppError {
    AppError::refused(ErrorKind::Invalid, "invalid-registration", message)
}

impl Setup {
    fn of(app: &App) -> Self {
        Self {
            store: Arc::clone(&app.ports.store),
            clock: Arc::clone(&app.ports.clock),
            entropy: Arc::clone(&app.ports.entropy),
            public_url: app.settings.public_url.clone(),
            configured: Vec::new(),
        }
    }

    async fn plan_exists(&self, plan: Option<&PlanId>) -> Result<(), AppError> {
        let Some(plan) = plan else {
            return Ok(());
        };
        let stored = self.store.plan_list().await?;
        if stored.iter().chain(&self.configured).any(|p| p.id == *plan) {
            return Ok(());
        }
        Err(invalid(format!(
            "plan {plan} does not exist; `labwire plan ls` lists plans"
        )))
    }

    /// Adds a registration, or changes the one of that name.
    ///
    /// # Errors
    /// `invalid-registration` naming field, value and remedy; a conflict when another one has the platform or key.
    pub async fn add(&self, new: NewRegistration) -> Result<Added, AppError> {
        let asked = new.offer.iter().flat_map(|o| &o.plans);
        for plan in new.plan.iter().chain(asked) {
            self.plan_exists(Some(plan)).await?;
        }
        let before = self.store.lti_registration_get(&new.id).await?;
        let mut made = None;
        let kind = match new.kind {
            Kind::Consumer { key, secret } if secret.is_empty() => {
                let secret = match before.as_ref().map(|r| &r.kind) {
                    Some(Kind::Consumer { secret, .. }) => secret.clone(),
                    _ => made.insert(self.secret()).clone(),
                };
                Kind::Consumer { key, secret }
            }
            kind => kind,
        };
        let registration = Registration {
            id: new.id,
            course: new.course,
            plan: new.plan,
            created_at: self.clock.now(),
            kind,
        };
        if let Some(problem) = registration_problem(&registration) {
            return Err(invalid(problem));
        }
        let put = match new.offer {
            None => self.store.lti_registration_put(&registration).await,
            Some(offer) => {
                let giver = Giver {
                    source: registration.source(),
                    plans: offer.plans,
                    budget: offer.budget,
                    site: offer.site,
                };
                self.store.lti_registration_put_with(&registration, &giver).await
            }
        };
        put.map_err(taken)?;
        Ok(Added {
            registration,
            new: before.is_none(),
            secret: made,
        })
    }

    /// 256 bits, as text that every platform takes.
    fn secret(&self) -> String {
        let mut hex = String::new();
        for byte in self.entropy.bytes32() {
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }

    /// A registration, and what depends on it.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn depends_on(&self, id: &RegistrationId) -> Result<Option<(Registration, RegistrationUse)>, AppError> {
        let Some(registration) = self.store.lti_registration_get(id).await? else {
            return Ok(None);
        };
        let used = self.store.lti_registration_use(id).await?;
        Ok(Some((registration, used)))
    }

    /// Takes a registration away; what its launches gave stays.
    ///
    /// # Errors
    /// Not found when there is none of this name.
    pub async fn remove(&self, id: &RegistrationId) -> Result<(), AppError> {
        let there = self.store.lti_registration_drop(id).await?;
        there
            .then_some(())
            .ok_or_else(|| AppError::not_found("a registration of this name"))
    }

    /// Makes an invitation; the address of an earlier one of this name is void then.
    ///
    /// # Errors
    /// `invalid-registration`; a conflict when a registration has the name, or somebody waits by it.
    pub async fn invite(
        &self,
        id: RegistrationId,
        course: Option<CourseId>,
        plan: Option<PlanId>,
    ) -> Result<Invited, AppError> {
        self.plan_exists(plan.as_ref()).await?;
        let now = self.clock.now();
        let secret = mint::secret(self.entropy.as_ref());
        let invitation = Invitation {
            id,
            secret: TokenHash::of(&secret),
            course,
            plan,
            created_at: now,
            expires_at: now.plus(INVITATION_TTL),
            waiting: None,
        };
        // of the name: the platform's part is not known yet
        let as_if = Registration {
            id: invitation.id.clone(),
            course: None,
            plan: None,
            created_at: now,
            kind: Kind::moodle("https://platform.example", "client".into(), vec![]),
        };
        if let Some(problem) = registration_problem(&as_if) {
            return Err(invalid(problem));
        }
        self.store.lti_invitation_put(&invitation).await.map_err(taken)?;
        Ok(Invited {
            invitation,
            address: format!("{}/lti/register?invitation={secret}", self.public_url),
        })
    }

    /// Says yes to who waits.
    ///
    /// # Errors
    /// Not found when nobody waits by this name; a conflict when the platform is registered already.
    pub async fn approve(&self, id: &RegistrationId) -> Result<Registration, AppError> {
        let waiting = self.store.lti_invitation_list().await?;
        if let Some(waiting) = waiting.iter().find(|i| i.id == *id).and_then(|i| i.waiting.as_ref()) {
            self.same_platform(id, &waiting.kind).await?;
        }
        let approved = self.store.lti_invitation_approve(id, self.clock.now()).await;
        let approved = approved.map_err(taken)?;
        approved.ok_or_else(|| nobody_waits(id))
    }

    /// Who signs for an issuer signs for all of its people: nobody gets in under an issuer that is registered with keys of another host.
    async fn same_platform(&self, id: &RegistrationId, kind: &Kind) -> Result<(), AppError> {
        let Kind::Platform { issuer, jwks, .. } = kind else {
            return Ok(());
        };
        let all = self.store.lti_registration_list().await?;
        let other = all.iter().filter(|r| r.id != *id).find(
            |r| matches!(&r.kind, Kind::Platform { issuer: i, jwks: j, .. } if i == issuer && !keys_together(j, jwks)),
        );
        match other {
            None => Ok(()),
            Some(other) => Err(AppError::refused(
                ErrorKind::Conflict,
                "registration-taken",
                format!(
                    "{id}: {} is of the same issuer with keys elsewhere; if both are right, `labwire lti add` on the machine takes it",
                    other.id
                ),
            )),
        }
    }

    /// Says no to who waits, or takes an invitation back.
    ///
    /// # Errors
    /// Not found when there is none of this name.
    pub async fn reject(&self, id: &RegistrationId) -> Result<(), AppError> {
        let there = self.store.lti_invitation_drop(id).await?;
        there.then_some(()).ok_or_else(|| nobody_waits(id))
    }
}

fn nobody_waits(id: &RegistrationId) -> AppError {
    AppError::refused(
        ErrorKind::NotFound,
        "not-found",
        format!("{id}: nobody waits by this name; `labwire lti ls` lists invitations and who waits"),
    )
}

/// A conflict says whose name or platform it is: nothing in it is secret, and nobody but operations reads it.
fn taken(error: lab_core::port::StoreError) -> AppError {
    match error {
        lab_core::port::StoreError::Conflict { what, id, detail } => {
            let next = if what == "invitation" {
                "choose another name; `labwire lti ls` shows who has this one"
            } else {
                "change that one (`labwire lti add` with its name), or take it away (`labwire lti remove`)"
            };
            AppError::refused(
                ErrorKind::Conflict,
                "registration-taken",
                format!("{id}: {detail}; {next}"),
            )
        }
        other => other.into(),
    }
}

fn keys_together(a: &Jwks, b: &Jwks) -> bool {
    match (a, b) {
        (Jwks::Url(a), Jwks::Url(b)) => lab_core::grading::ags::goes_on(a, b),
        (a, b) => a == b,
    }
}

impl App {
    /// What a page may not do, since who signs launches can become anybody: a platform's keys are changed, and a course that is there is given
    /// to another platform, on the machine only.
    async fn page_may(
        &self,
        id: &RegistrationId,
        course: Option<&CourseId>,
        kind: Option<&Kind>,
    ) -> Result<(), AppError> {
        let store = &self.ports.store;
        let refused = |what: String| AppError::refused(ErrorKind::Denied, "on-the-machine", what);
        if let Some(course) = course
            && store.course_list().await?.iter().any(|c| c.id == *course)
        {
            return Err(refused(format!(
                "course {course} is there already: who signs its launches could be its teacher; `labwire lti add` on the machine gives it to a platform"
            )));
        }
        let Some(kind) = kind else {
            return Ok(());
        };
        if let Some(before) = store.lti_registration_get(id).await?
            && !same_signer(&before.kind, kind)
        {
            return Err(refused(format!(
                "{id} is there already, with other keys or addresses: `labwire lti add` on the machine changes it"
            )));
        }
        Setup::of(self).same_platform(id, kind).await
    }

    /// Registrations, invitations, and the latest refused launches.
    ///
    /// # Errors
    /// `not-allowed`.
    pub async fn lti_overview(&self, login: &Login) -> Result<LtiOverview, AppError> {
        sets_up(login)?;
        let store = &self.ports.store;
        Ok(LtiOverview {
            registrations: store.lti_registration_list().await?,
            seen: store.lti_seen().await?,
            invitations: store.lti_invitation_list().await?,
            attempts: store.lti_attempt_list().await?,
        })
    }

    /// What to paste into the course for `lab`, or for the first lab there is. Never with the secret.
    ///
    /// # Errors
    /// `not-allowed`; not found.
    pub async fn lti_guides(
        &self,
        login: &Login,
        id: &RegistrationId,
        lab: Option<LabId>,
    ) -> Result<(LabId, Vec<Guide>), AppError> {
        sets_up(login)?;
        let found = self.ports.store.lti_registration_get(id).await?;
        let registration = found.ok_or_else(|| AppError::not_found("a registration of this name"))?;
        self.guides_of(&registration, lab, None).await
    }

    async fn guides_of(
        &self,
        registration: &Registration,
        lab: Option<LabId>,
        secret: Option<&str>,
    ) -> Result<(LabId, Vec<Guide>), AppError> {
        let labs = self.ports.store.lab_list().await?;
        let lab = match lab {
            Some(id) if labs.iter().any(|l| l.file.id == id) => Some(id),
            Some(_) => return Err(AppError::not_found("this lab")),
            None => labs.first().map(|l| l.file.id.clone()),
        };
        let url = &self.settings.public_url;
        let secret = secret.map_or(SecretShown::Kept, SecretShown::Made);
        let all = guides(url, registration, &launch_address(url, lab.as_ref()), secret);
        Ok((lab.unwrap_or_else(|| "LAB".into()), all))
    }

    /// [`Setup::add`], and what to paste; audited.
    ///
    /// # Errors
    /// `not-allowed`, and those of [`Setup::add`].
    pub async fn lti_add(&self, login: &Login, new: NewRegistration) -> Result<(Added, Vec<Guide>), AppError> {
        sets_up(login)?;
        self.page_may(&new.id, new.course.as_ref(), Some(&new.kind)).await?;
        let signer = match &new.kind {
            Kind::Platform { issuer, client_id, .. } => format!("{issuer} {client_id}"),
            Kind::Consumer { key, .. } => format!("key {key}"),
        };
        self.audit_append(login, "lti-add", None, &format!("{}: {signer}", new.id))
            .await?;
        let added = Setup::of(self).add(new).await?;
        let (_, guides) = self
            .guides_of(&added.registration, None, added.secret.as_deref())
            .await?;
        Ok((added, guides))
    }

    /// [`Setup::invite`]; audited.
    ///
    /// # Errors
    /// `not-allowed`, and those of [`Setup::invite`].
    pub async fn lti_invite(
        &self,
        login: &Login,
        id: RegistrationId,
        course: Option<CourseId>,
        plan: Option<PlanId>,
    ) -> Result<Invited, AppError> {
        sets_up(login)?;
        self.page_may(&id, course.as_ref(), None).await?;
        self.audit_append(login, "lti-invite", None, &id.0).await?;
        Setup::of(self).invite(id, course, plan).await
    }

    /// [`Setup::approve`] or [`Setup::reject`]; audited before, so that no platform is in that nobody answers for.
    ///
    /// # Errors
    /// `not-allowed`, and those of the two.
    pub async fn lti_decide(&self, login: &Login, id: &RegistrationId, yes: bool) -> Result<(), AppError> {
        sets_up(login)?;
        let action = if yes { "lti-approve" } else { "lti-reject" };
        self.audit_append(login, action, None, &id.0).await?;
        let setup = Setup::of(self);
        if yes {
            setup.approve(id).await.map(|_| ())
        } else {
            setup.reject(id).await
        }
    }
}

/// Whether launches are signed as before: secrets of consumers stay where none is given.
fn same_signer(before: &Kind, kind: &Kind) -> bool {
    match (before, kind) {
        (Kind::Consumer { key: a, .. }, Kind::Consumer { key: b, secret }) => a == b && secret.is_empty(),
        (a, b) => a == b,
    }
}

fn sets_up(login: &Login) -> Result<(), AppError> {
    match login.role {
        Role::Operations => Ok(()),
        _ => Err(AppError::not_allowed("platforms are set up by operations")),
    }
}
