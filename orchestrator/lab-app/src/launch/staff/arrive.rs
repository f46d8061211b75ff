//! The way back from the provider.

use super::{StaffSettings, provider::http, token::Person, verifier};
use crate::{App, AppError, launch::LINK_VALID};
use lab_core::{
    CourseId, LaunchId, SponsorId, Subject, TokenHash,
    launch::{
        LaunchClaims, Role,
        lti::Params,
        staff::{GroupRule, StaffFault, rules_for, staff_subject},
    },
    port::Redeem,
};
use openidconnect::{AuthorizationCode, RequestTokenError};
use std::time::Duration;
use uuid::Uuid;

/// What marks of used states are made from, so that they are nobody's link by accident.
const MARKS: Uuid = Uuid::from_u128(0x6c61_6277_6972_4500_8c6f_7374_6166_6673);

/// A name shown to learners; what is longer is cut.
const NAME_CHARS_MAX: usize = 120;
/// Of somebody whose provider tells no name.
const PSEUDONYM_CHARS: usize = 12;

/// How long somebody who may be several things here has to say as what they come: to read a page, and be called away once.
const CHOICE_VALID: Duration = Duration::from_mins(5);

/// One thing that somebody who signed in may be here, with the launch link's token that makes them it: good once. Each opens a tab of its own.
#[derive(Clone)]
pub struct StaffLink {
    pub role: Role,
    /// Empty where the role is bound to none.
    pub course: CourseId,
    pub sponsor: Option<SponsorId>,
    pub token: String,
}

impl std::fmt::Debug for StaffLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StaffLink")
            .field("role", &self.role)
            .field("course", &self.course)
            .finish_non_exhaustive()
    }
}

/// What came back: the query, and what the browser keeps under a state.
pub struct Callback<'a> {
    pub params: &'a Params,
    pub browser: &'a (dyn Fn(&str) -> Option<String> + Sync),
}

impl App {
    /// Validates the provider's answer, and makes a launch link's token of each thing that the person may be here, at least one.
    ///
    /// # Errors
    /// [`AppError::Staff`] with the first rule that failed.
    pub async fn staff_arrive(&self, callback: &Callback<'_>) -> Result<Vec<StaffLink>, AppError> {
        let arrived = self.arrived(callback).await;
        if let Err(error) = &arrived {
            let detail = match error {
                AppError::Staff(refusal) => refusal.detail.clone(),
                other => other.public(),
            };
            tracing::info!(code = error.code(), detail, "sign-in of staff refused");
        }
        arrived
    }

    async fn arrived(&self, callback: &Callback<'_>) -> Result<Vec<StaffLink>, AppError> {
        let settings = self.staff_settings()?;
        let (nonce, browser) = self.staff_state(callback).await?;
        let params = callback.params;
        if let Some(error) = params.filled("error") {
            return Err(StaffFault::ProviderRefused
                .because(format!("the provider says error={error:?}"))
                .into());
        }
        // RFC 9207: says of whom the answer is, where a provider can
        if params.filled("iss").is_some_and(|iss| iss != settings.issuer) {
            return Err(StaffFault::Issuer
                .because("iss of the answer is not the configured issuer")
                .into());
        }
        let code = params.filled("code").ok_or_else(|| {
            StaffFault::RequestUnreadable.because("code is missing or empty in the provider's answer")
        })?;
        let client = self.provider.client(&self.ports, &self.settings, settings).await?;
        let exchange = client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|_| StaffFault::ProviderWrong.because("the provider has no address for tokens"))?;
        let ask = http(self.ports.platform.clone());
        let tokens = exchange.set_pkce_verifier(verifier(&browser)).request_async(&ask).await;
        let tokens = tokens.map_err(|e| match e {
            RequestTokenError::ServerResponse(said) => {
                StaffFault::CodeRefused.because(format!("the provider says error={:?}", said.error().to_string()))
            }
            RequestTokenError::Request(e) => StaffFault::ProviderUnreachable.because(e.to_string()),
            RequestTokenError::Parse(e, _) => {
                StaffFault::AnswerUnreadable.because(format!("the provider's tokens, at {:?}", e.path().to_string()))
            }
            RequestTokenError::Other(_) => StaffFault::AnswerUnreadable.because("the provider's tokens"),
        })?;
        let person = self.staff_person(settings, &client, &tokens, nonce).await?;
        let links = self.staff_links(settings, person)?;
        tracing::info!(roles = links.len(), first = links[0].role.name(), "sign-in of staff");
        Ok(links)
    }

    /// Known and unexpired, of this browser, and unused: what the nonce hashes to, and the browser's proof.
    async fn staff_state(&self, callback: &Callback<'_>) -> Result<(TokenHash, String), AppError> {
        let state = callback
            .params
            .filled("state")
            .ok_or_else(|| StaffFault::StateUnknown.because("state is missing or empty in the provider's answer"))?;
        let row = self
            .ports
            .store
            .staff_state_get(TokenHash::of(state), self.now())
            .await?;
        let row = row.ok_or_else(|| {
            StaffFault::StateUnknown.because("the state is not one of ours, or older than ten minutes")
        })?;
        // before it is marked as used: who only knows the state must not end somebody else's sign-in
        let browser = (callback.browser)(state)
            .filter(|proof| TokenHash::of(proof) == row.browser)
            .ok_or_else(|| StaffFault::OtherBrowser.because("the browser's cookie is not the one of this state"))?;
        let mark = LaunchId(Uuid::new_v5(&MARKS, state.as_bytes()));
        match self.ports.store.launch_redeem(mark, self.now(), row.expires_at).await? {
            Redeem::Fresh => Ok((row.nonce, browser)),
            Redeem::Used { at } => Err(StaffFault::StateUsed
                .because(format!("the state was used at {at}"))
                .into()),
        }
    }

    /// At least one.
    fn staff_links(&self, settings: &StaffSettings, person: Person) -> Result<Vec<StaffLink>, AppError> {
        let subject = staff_subject(&settings.issuer, &person.sub)
            .ok_or_else(|| StaffFault::Claims.because("sub is empty, too long, or not ASCII"))?;
        let rules = rules_for(&settings.roles, &person.groups);
        if rules.is_empty() {
            let claim = &settings.groups_claim;
            let mut refusal = StaffFault::NoRole.because(format!(
                "{} group(s) in the claim {claim:?}, and none of them in staff_login.roles",
                person.groups.len()
            ));
            refusal.groups = person.groups;
            return Err(refusal.into());
        }
        let name = person
            .name
            .unwrap_or_else(|| person.sub.chars().take(PSEUDONYM_CHARS).collect());
        let name: String = name.chars().take(NAME_CHARS_MAX).collect();
        // who has nothing to choose is sent on at once
        let valid = if rules.len() == 1 { LINK_VALID } else { CHOICE_VALID };
        let link = |rule: &&GroupRule| self.staff_link(rule, &subject, &name, valid);
        Ok(rules.iter().map(link).collect())
    }

    fn staff_link(&self, rule: &GroupRule, subject: &Subject, name: &str, valid: Duration) -> StaffLink {
        let now = self.now();
        let course = rule.course.clone().unwrap_or_else(|| CourseId(String::new()));
        let claims = LaunchClaims {
            aud: self.settings.installation.clone(),
            jti: LaunchId(self.fresh_uuid()),
            iat: now.secs(),
            exp: now.plus(valid).secs(),
            sub: subject.clone(),
            name: Some(name.to_owned()),
            role: rule.role,
            course: course.clone(),
            lab: None,
            plan: None,
            sponsor: rule.sponsor.clone(),
        };
        StaffLink {
            role: rule.role,
            course,
            sponsor: rule.sponsor.clone(),
            token: self.keyring.sign(&claims),
        }
    }
}
