//! Trying a registration without a learner: what a launch and a grade would need of the platform and of us, asked for now.

use super::{OurKeys, jwks};
use crate::{AppError, launch::mint};
use lab_core::{
    entitlement::{GiverState, Plan},
    grading::ags,
    launch::lti::{Jwks, Kind, Registration, remedy},
    port::{Clock, Entropy, ErrorKind, Platform, PlatformAnswer, PlatformError, Store},
};
use serde_json::Value;
use std::sync::Arc;

/// Names of keys that are told; platforms publish one to five.
const KEYS_TOLD: usize = 5;
/// The longest error code of RFC 6749 has 25 letters; what is longer is no code.
const ERROR_CODE_CHARS_MAX: usize = 40;

/// How one thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Good,
    /// It may be meant so, or cannot be told from here.
    Note,
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// `keys`, `token`, `plan`, `course`, `labs`, `secret`.
    pub what: &'static str,
    pub outcome: Outcome,
    /// Never a secret or a token.
    pub found: String,
    /// What to do, where something is to be done.
    pub next: Option<String>,
}

impl Trial {
    fn good(what: &'static str, found: impl Into<String>) -> Self {
        Self::new(what, Outcome::Good, found, None)
    }

    fn note(what: &'static str, found: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(what, Outcome::Note, found, Some(next.into()))
    }

    fn bad(what: &'static str, found: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(what, Outcome::Bad, found, Some(next.into()))
    }

    fn new(what: &'static str, outcome: Outcome, found: impl Into<String>, next: Option<String>) -> Self {
        Self {
            what,
            outcome,
            found: found.into(),
            next,
        }
    }
}

/// Over the ports that it needs: the command line has no others.
pub struct Trier {
    pub store: Arc<dyn Store>,
    pub platform: Arc<dyn Platform>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// As in [`super::Setup`].
    pub configured: Vec<Plan>,
}

impl Trier {
    /// Tries everything of a registration that can be tried without a learner.
    ///
    /// # Errors
    /// The store does not answer. What a platform does wrong is in the answer.
    pub async fn attempt(&self, registration: &Registration) -> Result<Vec<Trial>, AppError> {
        let mut all = match &registration.kind {
            Kind::Platform {
                client_id,
                token_url,
                token_audience,
                jwks,
                ..
            } => {
                let audience = token_audience.as_ref().unwrap_or(token_url);
                vec![self.keys(jwks).await, self.token(client_id, token_url, audience).await?]
            }
            Kind::Consumer { .. } => vec![Trial::note(
                "secret",
                "LTI 1.1 has nothing that can be asked: whether key, secret, address and clocks agree shows only in a launch that the platform signs",
                format!(
                    "open the lab from the course, then `labwire lti test {}` says what was taken or refused",
                    registration.id
                ),
            )],
        };
        all.push(self.plan(registration).await?);
        all.push(self.course(registration).await?);
        all.extend(self.labs().await?);
        Ok(all)
    }

    async fn keys(&self, jwks: &Jwks) -> Trial {
        let begun = self.clock.monotonic_us();
        let (found, place) = match jwks {
            Jwks::Url(url) => (jwks::fetch(self.platform.as_ref(), url).await, url.as_str()),
            Jwks::Static(text) => (jwks::parse(text, jwks::REGISTERED), jwks::REGISTERED),
        };
        let ms = self.clock.monotonic_us().saturating_sub(begun) / 1000;
        let keys = match found {
            Err(refusal) => {
                let code = refusal.fault.code();
                return Trial::bad(
                    "keys",
                    format!("{} after {ms} ms ({code})", refusal.detail),
                    remedy(code).0,
                );
            }
            Ok(keys) if keys.is_empty() => {
                return Trial::bad(
                    "keys",
                    format!(
                        "{place}: no key in the set can verify RS256 (RSA of 2048 bits or more, with a kid), read in {ms} ms"
                    ),
                    "the platform must publish the key it signs with; Open edX makes one when the block is saved",
                );
            }
            Ok(keys) => keys,
        };
        let mut names: Vec<String> = keys.keys().map(|kid| format!("{kid:?}")).collect();
        names.sort();
        let (count, more) = (names.len(), names.len().saturating_sub(KEYS_TOLD));
        names.truncate(KEYS_TOLD);
        names.extend((more > 0).then(|| format!("{more} more")));
        let keys = if count == 1 { "key" } else { "keys" };
        Trial::good(
            "keys",
            format!("{place}: {count} {keys} in {ms} ms: {}", names.join(", ")),
        )
    }

    /// Asks for a token as a grade would: the platform then reads our keys, which nothing else makes it do before the first grade.
    async fn token(&self, client_id: &str, token_url: &str, audience: &str) -> Result<Trial, AppError> {
        let keys = OurKeys {
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
        };
        let jti = mint::uuid7(self.clock.as_ref(), self.entropy.as_ref()).to_string();
        let assertion = keys
            .sign(&ags::assertion(client_id, audience, &jti, self.clock.now()))
            .await?;
        let scopes = [ags::SCORE_SCOPE.to_owned()];
        let begun = self.clock.monotonic_us();
        let answer = self
            .platform
            .send(&ags::token_request(token_url, &assertion, &scopes))
            .await;
        let ms = self.clock.monotonic_us().saturating_sub(begun) / 1000;
        Ok(match answer {
            Ok(answer) => token_answered(token_url, &answer, ms),
            Err(error) => Trial::bad("token", error.explained(), unreached(&error)),
        })
    }

    async fn plan(&self, registration: &Registration) -> Result<Trial, AppError> {
        let giver = self.store.giver_get(&registration.source()).await?;
        let id = &registration.id;
        let Some(plan) = &registration.plan else {
            let asked = giver.as_ref().map_or(0, |g| g.giver.plans.len());
            return Ok(if asked > 0 {
                Trial::note(
                    "plan",
                    "who launches gets a plan only by the custom parameter `plan`",
                    "that is right where the course sends it; `--plan` gives one to everybody else",
                )
            } else {
                Trial::note(
                    "plan",
                    "no plan: who launches gets no lab time but by `labwire grant`, vouchers or orders",
                    format!("`labwire lti add {id} … --plan PLAN` gives some"),
                )
            });
        };
        let stored = self.store.plan_list().await?;
        let Some(known) = stored.iter().chain(&self.configured).find(|p| p.id == *plan) else {
            return Ok(Trial::bad(
                "plan",
                format!("plan {plan} does not exist any more: who launches gets no lab time"),
                format!("`labwire plan ls` lists plans; `labwire lti add {id} … --plan PLAN` gives another"),
            ));
        };
        Ok(match spent(giver.as_ref(), known) {
            Some(spent) => Trial::bad(
                "plan",
                format!("plan {plan}, and new learners get no more of it: {spent}"),
                format!("`labwire lti add {id} … --grants-max N --hours-max HOURS` agrees on more"),
            ),
            None if !known.labs => Trial::note(
                "plan",
                format!("plan {plan} has no labs: who launches sees what a lab is, and cannot start it"),
                "that is right for a free track; `--may-ask` or `--plan` gives lab time",
            ),
            None => Trial::good(
                "plan",
                format!("plan {plan}: {} a learner and course", time(known.seconds)),
            ),
        })
    }

    async fn course(&self, registration: &Registration) -> Result<Trial, AppError> {
        let Some(course) = &registration.course else {
            return Ok(Trial::good(
                "course",
                format!(
                    "named by the platform: {}",
                    registration.kind.course_like("<its id of the course>")
                ),
            ));
        };
        let launched = self.store.course_list().await?.iter().any(|c| c.id == *course);
        Ok(if launched || self.store.run_get(course).await?.is_some() {
            Trial::good("course", format!("{course}, for every launch"))
        } else {
            Trial::note(
                "course",
                format!("{course}, which is not here yet: the first launch makes it"),
                format!(
                    "if another course is meant, `labwire lti add {} … --course ID` changes it",
                    registration.id
                ),
            )
        })
    }

    async fn labs(&self) -> Result<Option<Trial>, AppError> {
        let none = self.store.lab_list().await?.is_empty();
        Ok(none.then(|| {
            Trial::bad(
                "labs",
                "no lab is published",
                "`labwire lab publish FILE` publishes one",
            )
        }))
    }
}

/// `15 h`, `1 h 30 min`.
fn time(secs: i64) -> String {
    match (secs / 3600, secs / 60 % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

fn spent(giver: Option<&GiverState>, plan: &Plan) -> Option<String> {
    let giver = giver?;
    giver
        .giver
        .budget
        .admits(giver.given, plan.seconds)
        .err()
        .map(|spent| spent.to_string())
}

/// Of what was answered only the status and RFC 6749's code are told: the rest may hold a token.
fn token_answered(url: &str, answer: &PlatformAnswer, ms: u64) -> Trial {
    if ags::read_token(answer).is_ok() {
        return Trial::good(
            "token",
            format!("{url} gives access tokens in {ms} ms: it knows our keys, and takes grades"),
        );
    }
    let status = answer.status;
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let plain =
        |code: &&str| code.len() <= ERROR_CODE_CHARS_MAX && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    match body.get("error").and_then(Value::as_str).filter(plain) {
        Some("invalid_scope") => Trial::note(
            "token",
            format!("{url} answers {status} invalid_scope in {ms} ms: labs open, and no grade goes back"),
            "if this course is to have grades, switch them on for the tool in the platform",
        ),
        Some(code) => Trial::note(
            "token",
            format!("{url} answers {status} {code} in {ms} ms: labs open, and no grade goes back yet"),
            "the platform reads our keys from /lti/jwks: see that it reaches that address, and that the client id is the one of this token URL",
        ),
        None => Trial::bad(
            "token",
            format!(
                "{url} answers {status} in {ms} ms, and not as a token endpoint does (JSON with `access_token` or `error`)"
            ),
            "copy the token URL from the platform again; in Open edX it is the *Access Token URL* below the block in Studio",
        ),
    }
}

fn unreached(error: &PlatformError) -> String {
    match error.kind() {
        ErrorKind::Denied => remedy("lti-keys-private").0.to_owned(),
        _ => "see that this machine reaches the address: `curl -v ADDRESS` on it says what is in the way; no grade goes back until then".to_owned(),
    }
}
