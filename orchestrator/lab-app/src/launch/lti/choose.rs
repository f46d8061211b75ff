//! Deep linking: what a teacher chooses from, and the answer to the platform.
//!
//! Nothing is kept here meanwhile: the request travels in the page as a *ticket*, signed by a key that signs nothing else, bound to
//! registration and deployment, good for half an hour and once.

use super::{OurKeys, Whose, mark};
use crate::{App, AppError, launch::mint};
use lab_core::{
    LabId,
    lab::LabFile,
    launch::lti::{
        CHOICE_TTL, CHOSEN_MAX, ChoiceRequest, Fault, Kind, Language, Params, Registration, RegistrationId, Version,
        choice_response, content_items,
    },
    port::Redeem,
};
use serde::{Deserialize, Serialize};

/// A page to choose labs from.
#[derive(Clone, Debug)]
pub struct Picker {
    /// Comes back with the choice.
    pub ticket: String,
    pub request: ChoiceRequest,
    /// All that are published.
    pub labs: Vec<LabFile>,
    /// It was sent without any; the page says so.
    pub nothing_chosen: bool,
}

/// What a sent page came to.
#[derive(Clone)]
pub enum Answered {
    /// The browser posts this token there.
    Send { return_url: String, token: String },
    /// No lab was chosen.
    Again(Box<Picker>),
}

/// A request under way.
#[derive(Serialize, Deserialize)]
struct Ticket {
    aud: String,
    jti: String,
    exp: i64,
    registration: RegistrationId,
    request: ChoiceRequest,
}

impl App {
    /// What a request that was verified is answered with.
    pub(super) async fn picker(
        &self,
        registration: &Registration,
        request: ChoiceRequest,
    ) -> Result<Box<Picker>, AppError> {
        let ticket = Ticket {
            aud: self.settings.installation.clone(),
            jti: mint::secret(self.ports.entropy.as_ref()),
            exp: self.now().plus(CHOICE_TTL).secs(),
            registration: registration.id.clone(),
            request: request.clone(),
        };
        tracing::info!(registration = %registration.id, "a teacher chooses labs by LTI");
        self.picker_of(self.keyring.sign_choice(&ticket), request, false).await
    }

    async fn picker_of(
        &self,
        ticket: String,
        request: ChoiceRequest,
        nothing_chosen: bool,
    ) -> Result<Box<Picker>, AppError> {
        let labs = self.ports.store.lab_list().await?.into_iter().map(|l| l.file).collect();
        Ok(Box::new(Picker {
            ticket,
            request,
            labs,
            nothing_chosen,
        }))
    }

    /// Answers a platform with what the page sent: `choice` (the ticket), `lab` once for each, `column`, `lang`, or `cancel`.
    ///
    /// # Errors
    /// [`AppError::Lti`]; it is kept for `labwire lti test`.
    pub async fn lti_choose(&self, params: &Params) -> Result<Answered, AppError> {
        let mut whose = Whose::default();
        let answered = self.choose(params, &mut whose).await;
        self.noted(Version::V1p3, whose, answered).await
    }

    async fn choose(&self, params: &Params, whose: &mut Whose) -> Result<Answered, AppError> {
        let sealed = params.get("choice").unwrap_or_default();
        let ticket: Option<Ticket> = self.keyring.verify_choice(sealed);
        let ticket = ticket
            .filter(|t| t.aud == self.settings.installation)
            .ok_or_else(|| Fault::ChoiceForged.because("the form's field choice is not what we put there"))?;
        whose.registration = Some(ticket.registration.clone());
        let now = self.now();
        if now.secs() >= ticket.exp {
            return Err(Fault::ChoiceExpired
                .because(format!(
                    "the page could be used until {} s ago",
                    now.secs() - ticket.exp
                ))
                .into());
        }
        let (issuer, client_id) = self.chooser(&ticket).await?;
        let cancelled = params.get("cancel").is_some();
        let labs = if cancelled {
            Vec::new()
        } else {
            self.chosen(params, &ticket.request).await?
        };
        if labs.is_empty() && !cancelled {
            let again = self.picker_of(sealed.to_owned(), ticket.request, true).await?;
            return Ok(Answered::Again(again));
        }
        // the last thing that can refuse: what was refused before may be sent again
        let used = mark("choice", &[&ticket.jti]);
        if let Redeem::Used { at } = self.ports.store.launch_redeem(used, now, now.plus(CHOICE_TTL)).await? {
            return Err(Fault::ChoiceUsed.because(format!("it was sent at {at}")).into());
        }
        let language = params.get("lang").and_then(Language::from_tags).unwrap_or(Language::Fr);
        let columns = ticket.request.columns && params.get("column").is_some();
        let items = content_items(&self.settings.public_url, &labs, columns, language);
        let nonce = mint::secret(self.ports.entropy.as_ref());
        let claims = choice_response(&client_id, &issuer, &ticket.request, &items, &nonce, now);
        tracing::info!(registration = %ticket.registration, labs = labs.len(), columns, "labs chosen by LTI");
        Ok(Answered::Send {
            token: OurKeys::of(&self.ports).sign(&claims).await?,
            return_url: ticket.request.return_url,
        })
    }

    /// Issuer and client id of the registration, which may have changed since the page was made.
    async fn chooser(&self, ticket: &Ticket) -> Result<(String, String), AppError> {
        let found = self.ports.store.lti_registration_get(&ticket.registration).await?;
        let Some(Kind::Platform {
            issuer,
            client_id,
            deployments,
            ..
        }) = found.map(|r| r.kind)
        else {
            return Err(Fault::PlatformUnknown
                .because("the registration was removed meanwhile")
                .into());
        };
        let deployment = &ticket.request.deployment;
        if !deployments.is_empty() && !deployments.contains(deployment) {
            return Err(Fault::Deployment
                .because(format!(
                    "deployment_id is {deployment:?}, which is not allowed any more"
                ))
                .into());
        }
        Ok((issuer, client_id))
    }

    /// The labs that the form names, in its order, each once.
    async fn chosen(&self, params: &Params, request: &ChoiceRequest) -> Result<Vec<LabFile>, AppError> {
        let mut named: Vec<&str> = Vec::new();
        for (name, value) in &params.0 {
            if name == "lab" && !named.contains(&value.as_str()) {
                named.push(value);
            }
        }
        let most = if request.multiple { CHOSEN_MAX } else { 1 };
        if named.len() > most {
            return Err(Fault::ChoiceMany
                .because(format!("{} labs were chosen; the platform takes {most}", named.len()))
                .into());
        }
        let mut labs = Vec::new();
        for id in named {
            let lab = self.ports.store.lab_latest(&LabId(id.to_owned())).await?;
            let lab = lab.ok_or_else(|| Fault::LabUnknown.because(format!("the choice names the lab {id:?}")))?;
            labs.push(lab.file);
        }
        Ok(labs)
    }
}
