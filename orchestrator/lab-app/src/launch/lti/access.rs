//! Access to a platform's services: tokens are asked for with an assertion that we sign, and kept for four fifths of their life.

use super::OurKeys;
use crate::{AppError, Ports};
use lab_core::{
    Timestamp,
    grading::{Verdict, ags},
    launch::lti::{Kind, Registration, RegistrationId},
    port::{ErrorKind, PlatformAnswer, PlatformError, PlatformRequest},
};
use std::{collections::HashMap, sync::Mutex};

/// Tokens kept: one or two a registration, whose rows take turns; the oldest goes when there are more, and is asked for again.
const TOKENS_MAX: usize = 1000;

/// Whom a token is asked of.
pub(crate) struct Asked<'a> {
    pub registration: &'a RegistrationId,
    pub client_id: &'a str,
    pub token_url: &'a str,
    /// `aud` of the assertion.
    pub audience: &'a str,
    pub scopes: &'a [String],
}

impl<'a> Asked<'a> {
    /// Of a platform by LTI 1.3; others have no tokens.
    pub fn of(registration: &'a Registration, scopes: &'a [String]) -> Option<Self> {
        let Kind::Platform {
            client_id,
            token_url,
            token_audience,
            ..
        } = &registration.kind
        else {
            return None;
        };
        Some(Self {
            registration: &registration.id,
            client_id,
            token_url,
            audience: token_audience.as_ref().unwrap_or(token_url),
            scopes,
        })
    }
}

/// A platform that could not be asked, or not understood.
pub(crate) fn unanswered(error: &PlatformError) -> Verdict {
    match error.kind() {
        // nothing changes by itself: the address is wrong, or a setting
        ErrorKind::Denied | ErrorKind::Invalid => Verdict::refused(error.code(), error.to_string()),
        _ => Verdict::later(error.code(), error.to_string()),
    }
}

type Key = (RegistrationId, String);

/// By registration and scopes.
#[derive(Default)]
pub(crate) struct Tokens {
    /// Locked to look and to keep, never while a platform is asked: one registration's rows go one after another.
    kept: Mutex<HashMap<Key, (String, Timestamp)>>,
}

impl Tokens {
    /// A token that is good now.
    async fn get(&self, ports: &Ports, asked: &Asked<'_>) -> Result<Result<String, Verdict>, AppError> {
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
            Err(error) => return Ok(Err(unanswered(&error))),
        };
        Ok(ags::read_token(&answer).map(|(token, life)| {
            self.keep(key, (token.clone(), now.plus(life)));
            token
        }))
    }

    /// Asks with a token; once more with a new one where the first was not good any more. Open edX says so with 403.
    pub async fn ask(
        &self,
        ports: &Ports,
        asked: &Asked<'_>,
        request: impl Fn(&str) -> PlatformRequest,
    ) -> Result<Result<PlatformAnswer, Verdict>, AppError> {
        for last in [false, true] {
            let token = match self.get(ports, asked).await? {
                Ok(token) => token,
                Err(verdict) => return Ok(Err(verdict)),
            };
            let answer = match ports.platform.send(&request(&token)).await {
                Ok(answer) => answer,
                Err(error) => return Ok(Err(unanswered(&error))),
            };
            if !matches!(answer.status, 401 | 403) {
                return Ok(Ok(answer));
            }
            self.forget(asked);
            if last && answer.status == 403 {
                return Ok(Ok(answer));
            }
        }
        Ok(Err(Verdict::Token))
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
    fn forget(&self, asked: &Asked<'_>) {
        let key: Key = (asked.registration.clone(), asked.scopes.join(" "));
        self.kept.lock().expect("no holder panics").remove(&key);
    }
}
