//! Access tokens: asked for with an assertion that we sign, and kept for four fifths of their life.

use crate::{AppError, Ports, launch::lti::OurKeys};
use lab_core::{
    Timestamp,
    grading::{Verdict, ags},
    launch::lti::RegistrationId,
};
use std::{collections::HashMap, sync::Mutex};

/// Tokens kept: one or two a registration, whose rows take turns; the oldest goes when there are more, and is asked for again.
const TOKENS_MAX: usize = 1000;

/// Whom a token is asked of.
pub(super) struct Asked<'a> {
    pub registration: &'a RegistrationId,
    pub client_id: &'a str,
    pub token_url: &'a str,
    /// `aud` of the assertion.
    pub audience: &'a str,
    pub scopes: &'a [String],
}

type Key = (RegistrationId, String);

/// By registration and scopes.
#[derive(Default)]
pub(super) struct Tokens {
    /// Locked to look and to keep, never while a platform is asked: one registration's rows go one after another.
    kept: Mutex<HashMap<Key, (String, Timestamp)>>,
}

impl Tokens {
    /// A token that is good now.
    pub async fn get(&self, ports: &Ports, asked: &Asked<'_>) -> Result<Result<String, Verdict>, AppError> {
        let key: Key = (asked.registration.clone(), asked.scopes.join(" "));
        let now = ports.clock.now();
        if let Some((token, until)) = self.kept.lock().expect("no holder panics").get(&key)
            && now < *until
        {
            return Ok(Ok(token.clone()));
        }
        let jti = crate::launch::mint::uuid7(ports.clock.as_ref(), ports.entropy.as_ref()).to_string();
        let claims = ags::assertion(asked.client_id, asked.audience, &jti, now);
        let assertion = OurKeys::of(ports).sign(&claims).await?;
        let request = ags::token_request(asked.token_url, &assertion, asked.scopes);
        let answer = match ports.platform.send(&request).await {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(super::send::unanswered(&error))),
        };
        Ok(ags::read_token(&answer).map(|(token, life)| {
            self.keep(key, (token.clone(), now.plus(life)));
            token
        }))
    }

    fn keep(&self, key: Key, token: (String, Timestamp)) {
        let mut kept = self.kept.lock().expect("no holder panics");
        if kept.len() >= TOKENS_MAX
            && let Some(oldest) = kept
                .iter()
                .min_by_key(|(_, (_, until))| *until)
                .map(|(key, _)| key.clone())
        {
            kept.remove(&oldest);
        }
        kept.insert(key, token);
    }

    /// The platform did not take it: the next is a new one.
    pub fn forget(&self, asked: &Asked<'_>) {
        let key: Key = (asked.registration.clone(), asked.scopes.join(" "));
        self.kept.lock().expect("no holder panics").remove(&key);
    }
}
