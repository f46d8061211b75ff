//! What operations see of learning platforms.

use super::TextView;
use lab_app::launch::lti::{Added, Invited, LtiOverview, NewRegistration};
use lab_core::{
    LabId, Timestamp,
    launch::lti::{
        Attempt, Fault, Guide, History, Invitation, Jwks, Kind, Registration, RegistrationId, STEPS, Seen, remedy,
    },
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Refused launches that are shown: those of the last minutes of setting up.
const ATTEMPTS_SHOWN: usize = 20;

/// Everything that the page shows.
#[derive(Serialize, ToSchema)]
pub struct LtiOverviewView {
    /// By name.
    pub registrations: Vec<RegistrationView>,
    /// When each of them last worked; by name.
    pub seen: Vec<RegistrationSeenView>,
    /// By name.
    pub invitations: Vec<InvitationView>,
    /// Newest first, at most 20.
    pub attempts: Vec<AttemptView>,
}

/// A platform, or one of its keys, that may launch labs.
#[derive(Serialize, ToSchema)]
pub struct RegistrationView {
    pub name: String,
    /// `1.1` or `1.3`.
    pub version: String,
    /// LTI 1.3: the issuer.
    pub platform: Option<String>,
    /// Client id, or consumer key.
    pub client: String,
    pub course: Option<String>,
    pub plan: Option<String>,
    /// Unix seconds.
    pub created_at: i64,
}

impl From<&Registration> for RegistrationView {
    fn from(r: &Registration) -> Self {
        let (platform, client) = match &r.kind {
            Kind::Platform { issuer, client_id, .. } => (Some(issuer.clone()), client_id.clone()),
            Kind::Consumer { key, .. } => (None, key.clone()),
        };
        Self {
            name: r.id.0.clone(),
            version: r.kind.version().name().to_owned(),
            platform,
            client,
            course: r.course.as_ref().map(ToString::to_string),
            plan: r.plan.as_ref().map(ToString::to_string),
            created_at: r.created_at.secs(),
        }
    }
}

/// When a registration last worked, and what stands against it.
#[derive(Serialize, ToSchema)]
pub struct RegistrationSeenView {
    pub name: String,
    /// `1.1` or `1.3`.
    pub version: String,
    /// `unseen`, `never-taken`, `taken`, `taken-again` or `refused-since`: its newest launch against its newest refusal or near miss.
    pub standing: String,
    /// Unix seconds; the newest launch that was taken.
    pub launched_at: Option<i64>,
    /// Unix seconds; the newest grade that the platform took. By LTI 1.3 it gave a token for it.
    pub graded_at: Option<i64>,
    pub grades_waiting: u64,
    pub grades_failed: u64,
    /// Its newest launch that was refused.
    pub refused: Option<AttemptView>,
    /// What was last noted of a launch of its own that went on.
    pub noted: Option<AttemptView>,
    /// The newest launch that no registration matches, and that was perhaps meant for this one.
    pub near_miss: Option<AttemptView>,
}

impl RegistrationSeenView {
    fn new(registration: &Registration, seen: &Seen, attempts: &[Attempt]) -> Self {
        let known = History::of(registration, attempts, seen.launched_at);
        Self {
            name: registration.id.0.clone(),
            version: registration.kind.version().name().to_owned(),
            standing: known.standing.name().to_owned(),
            launched_at: seen.launched_at.map(Timestamp::secs),
            graded_at: seen.graded_at.map(Timestamp::secs),
            grades_waiting: seen.grades_waiting,
            grades_failed: seen.grades_failed,
            refused: known.own.map(Into::into),
            noted: known.noted.map(Into::into),
            near_miss: known.near.map(Into::into),
        }
    }
}

/// Who may register, or did and waits for a yes.
#[derive(Serialize, ToSchema)]
pub struct InvitationView {
    pub name: String,
    pub course: Option<String>,
    pub plan: Option<String>,
    /// Unix seconds; of the invitation.
    pub expires_at: i64,
    pub expired: bool,
    /// Missing as long as nobody came.
    pub waiting: Option<PlatformWaitingView>,
}

/// A platform that waits.
#[derive(Serialize, ToSchema)]
pub struct PlatformWaitingView {
    /// Unix seconds.
    pub since: i64,
    /// What it calls itself.
    pub product: String,
    pub platform: String,
    pub client: String,
    /// Where its people sign in, its keys are, and we get tokens: whoever says yes trusts these.
    pub auth_url: String,
    pub keys_url: String,
    pub token_url: String,
}

impl InvitationView {
    fn new(i: &Invitation, now: Timestamp) -> Self {
        let waiting = i.waiting.as_ref().and_then(|w| match &w.kind {
            Kind::Platform {
                issuer,
                client_id,
                auth_url,
                token_url,
                jwks,
                ..
            } => Some(PlatformWaitingView {
                since: w.at.secs(),
                product: w.product.clone(),
                platform: issuer.clone(),
                client: client_id.clone(),
                auth_url: auth_url.clone(),
                keys_url: match jwks {
                    Jwks::Url(url) => url.clone(),
                    Jwks::Static(_) => String::new(),
                },
                token_url: token_url.clone(),
            }),
            Kind::Consumer { .. } => None,
        });
        Self {
            name: i.id.0.clone(),
            course: i.course.as_ref().map(ToString::to_string),
            plan: i.plan.as_ref().map(ToString::to_string),
            expires_at: i.expires_at.secs(),
            expired: waiting.is_none() && i.expires_at <= now,
            waiting,
        }
    }
}

/// A launch that was refused, or of which something was noted.
#[derive(Serialize, ToSchema)]
pub struct AttemptView {
    /// Unix seconds.
    pub at: i64,
    /// Missing when it could not be told whose it was.
    pub name: Option<String>,
    /// The issuer (LTI 1.3) or consumer key (1.1) that it named; also one that no registration has.
    pub platform: Option<String>,
    /// `1.1` or `1.3`.
    pub version: String,
    pub code: String,
    /// It was not refused: this was only noted.
    pub went_on: bool,
    /// What the learner was told.
    pub text: Option<TextView>,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    pub remedy: TextView,
    /// The fifteen steps of LTI 1.3, where a launch by it failed in one of them.
    pub steps: Vec<LtiStepView>,
}

/// One step of the validation of a launch by LTI 1.3.
#[derive(Serialize, ToSchema)]
pub struct LtiStepView {
    pub text: TextView,
    /// `passed`, `failed`, or `not-reached`.
    pub outcome: String,
}

impl From<&Attempt> for AttemptView {
    fn from(a: &Attempt) -> Self {
        let failed = a.failed_step().unwrap_or_default();
        let steps = (1..).zip(STEPS).map(|(n, (en, fr))| LtiStepView {
            text: text(en, fr),
            outcome: match n {
                n if n < failed => "passed",
                n if n == failed => "failed",
                _ => "not-reached",
            }
            .to_owned(),
        });
        let fault = Fault::ALL.iter().find(|f| f.code() == a.code);
        let (en, fr) = remedy(&a.code);
        Self {
            at: a.at.secs(),
            name: a.registration.as_ref().map(|r| r.0.clone()),
            platform: a.platform.clone(),
            version: a.version.clone(),
            code: a.code.clone(),
            went_on: a.is_note(),
            text: fault.map(|f| f.text()).map(|t| text(&t.en, &t.fr)),
            detail: a.detail.clone(),
            remedy: text(en, fr),
            steps: if failed > 0 { steps.collect() } else { Vec::new() },
        }
    }
}

fn text(en: &str, fr: &str) -> TextView {
    TextView {
        en: en.to_owned(),
        fr: fr.to_owned(),
    }
}

impl LtiOverviewView {
    pub fn new(overview: &LtiOverview, now: Timestamp) -> Self {
        let invitations = overview.invitations.iter();
        Self {
            registrations: overview.registrations.iter().map(Into::into).collect(),
            seen: overview
                .registrations
                .iter()
                .filter_map(|r| {
                    let seen = overview.seen.iter().find(|s| s.registration == r.id)?;
                    Some(RegistrationSeenView::new(r, seen, &overview.attempts))
                })
                .collect(),
            invitations: invitations.map(|i| InvitationView::new(i, now)).collect(),
            attempts: overview.attempts.iter().take(ATTEMPTS_SHOWN).map(Into::into).collect(),
        }
    }
}

/// A registration to add or to change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LtiAddRequest {
    pub name: String,
    /// All launches are of this course; otherwise of the platform's own.
    pub course: Option<String>,
    /// Each learner who launches gets a grant of this plan, once a course.
    pub plan: Option<String>,
    /// LTI 1.1: the consumer key. One of `key`, `moodle`, `issuer` is needed.
    pub key: Option<String>,
    /// LTI 1.3, Moodle: its address.
    pub moodle: Option<String>,
    /// LTI 1.3: the issuer, exactly as the platform writes it.
    pub issuer: Option<String>,
    pub client_id: Option<String>,
    pub auth_url: Option<String>,
    pub token_url: Option<String>,
    pub keys_url: Option<String>,
    /// Only this deployment; any when missing.
    pub deployment: Option<String>,
}

impl LtiAddRequest {
    /// As the app takes it; or which field is missing.
    pub fn registration(self) -> Result<NewRegistration, String> {
        let filled = |value: Option<String>| value.map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let needed = |field: &str, value| filled(value).ok_or_else(|| format!("{field}: is missing"));
        let deployments = filled(self.deployment).into_iter().collect();
        let kind = match (filled(self.key), filled(self.moodle), filled(self.issuer)) {
            (Some(key), None, None) => Kind::Consumer {
                key,
                secret: String::new(),
            },
            (None, Some(site), None) => Kind::moodle(&site, needed("client_id", self.client_id)?, deployments),
            (None, None, Some(issuer)) => Kind::Platform {
                issuer,
                client_id: needed("client_id", self.client_id)?,
                auth_url: needed("auth_url", self.auth_url)?,
                token_url: needed("token_url", self.token_url)?,
                token_audience: None,
                jwks: Jwks::Url(needed("keys_url", self.keys_url)?),
                deployments,
            },
            _ => return Err("key, moodle, issuer: give one of them".into()),
        };
        Ok(NewRegistration {
            id: RegistrationId(self.name.trim().to_owned()),
            course: filled(self.course).map(Into::into),
            plan: filled(self.plan).map(Into::into),
            kind,
            // the page does not say: what `labwire lti add` said stays
            offer: None,
        })
    }
}

/// What came of it.
#[derive(Serialize, ToSchema)]
pub struct LtiAddedView {
    pub registration: RegistrationView,
    /// A shared secret that was made just now; never shown again. It is in `guides` too.
    pub secret: Option<String>,
    pub guides: Vec<GuideView>,
}

impl LtiAddedView {
    pub fn new(added: &Added, guides: Vec<Guide>) -> Self {
        Self {
            registration: (&added.registration).into(),
            secret: added.secret.clone(),
            guides: guides.into_iter().map(Into::into).collect(),
        }
    }
}

/// Of which registration, for which lab.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LtiGuidesQuery {
    pub name: String,
    /// The first there is when missing.
    pub lab: Option<String>,
}

/// What to paste.
#[derive(Serialize, ToSchema)]
pub struct GuidesView {
    pub lab: String,
    pub guides: Vec<GuideView>,
}

/// One platform's form.
#[derive(Serialize, ToSchema)]
pub struct GuideView {
    pub platform: String,
    /// Through the platform's menus, in its own words.
    pub path: Vec<String>,
    pub fields: Vec<GuideFieldView>,
    pub then: Option<String>,
}

/// One field of it.
#[derive(Serialize, ToSchema)]
pub struct GuideFieldView {
    pub name: String,
    pub value: String,
}

impl From<Guide> for GuideView {
    fn from(g: Guide) -> Self {
        let fields = g.fields.into_iter().map(|f| GuideFieldView {
            name: f.name.to_owned(),
            value: f.value,
        });
        Self {
            platform: g.platform.to_owned(),
            path: g.path,
            fields: fields.collect(),
            then: g.then.map(str::to_owned),
        }
    }
}

impl GuidesView {
    pub fn new(lab: &LabId, guides: Vec<Guide>) -> Self {
        Self {
            lab: lab.to_string(),
            guides: guides.into_iter().map(Into::into).collect(),
        }
    }
}

/// An invitation to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteRequest {
    pub name: String,
    pub course: Option<String>,
    pub plan: Option<String>,
}

/// An invitation that was made.
#[derive(Serialize, ToSchema)]
pub struct InvitedView {
    pub name: String,
    /// For the platform's administrator; never shown again.
    pub address: String,
    /// Unix seconds.
    pub expires_at: i64,
    pub guide: GuideView,
}

impl From<&Invited> for InvitedView {
    fn from(i: &Invited) -> Self {
        Self {
            name: i.invitation.id.0.clone(),
            address: i.address.clone(),
            expires_at: i.invitation.expires_at.secs(),
            guide: lab_core::launch::lti::invitation_guide(&i.address).into(),
        }
    }
}

/// A registration, by its name.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LtiName {
    pub name: String,
}
