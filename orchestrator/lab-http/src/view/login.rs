//! Launch, logins, plans and grants.

use lab_app::{entitlement::Me, launch::Signed};
use lab_core::{
    entitlement::{Bilingual, GrantBalance, Offer, Plan, Refusal},
    launch::Login,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A text in both languages.
#[derive(Serialize, ToSchema)]
pub struct TextView {
    pub en: String,
    pub fr: String,
}

impl From<&Bilingual> for TextView {
    fn from(t: &Bilingual) -> Self {
        Self {
            en: t.en.clone(),
            fr: t.fr.clone(),
        }
    }
}

/// `POST /launch`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LaunchRequest {
    /// The link's token, as it came.
    pub token: String,
}

/// Who is signed in.
#[derive(Serialize, ToSchema)]
pub struct LoginView {
    pub id: String,
    pub name: String,
    /// `learner`, `teacher`, `coach`, `author`, `enrolment`, `manager`, `sponsor`, `operations`.
    pub role: String,
    /// Empty where the role is bound to none.
    pub course: String,
    /// The lab of the link, for learners.
    pub lab: Option<String>,
    /// The plan the link asks for.
    pub plan: Option<String>,
    /// Whose statement, for sponsors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sponsor: Option<String>,
    /// Somebody who answers for labs tries one as its learner.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub test_run: bool,
}

impl From<&Login> for LoginView {
    fn from(l: &Login) -> Self {
        Self {
            id: l.id.to_string(),
            name: l.name.clone(),
            role: l.role.name().to_owned(),
            course: l.course.to_string(),
            lab: l.lab.as_ref().map(ToString::to_string),
            plan: l.plan.as_ref().map(ToString::to_string),
            sponsor: l.sponsor.as_ref().map(ToString::to_string),
            test_run: l.is_test_run(),
        }
    }
}

/// Whether staff can sign in.
#[derive(Serialize, ToSchema)]
pub struct StaffOfferView {
    /// Where; missing: they cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
}

/// A bearer and whose it is.
#[derive(Serialize, ToSchema)]
pub struct SignedView {
    pub bearer: String,
    /// Unix seconds; rotate before.
    pub expires_at: i64,
    /// Of staff: when the login ends, however often it is rotated. Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<i64>,
    pub login: LoginView,
}

impl From<Signed> for SignedView {
    fn from(s: Signed) -> Self {
        Self {
            expires_at: s.login.expires_at.secs(),
            ends_at: s.ends_at.map(lab_core::Timestamp::secs),
            login: (&s.login).into(),
            bearer: s.bearer,
        }
    }
}

/// `POST /token/rotate`.
#[derive(Serialize, ToSchema)]
pub struct RotatedView {
    pub bearer: String,
    /// Unix seconds.
    pub expires_at: i64,
    /// As in `SignedView`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<i64>,
}

/// A right to lab time.
#[derive(Serialize, ToSchema)]
pub struct GrantView {
    pub id: String,
    pub plan: String,
    /// Seconds given.
    pub seconds: i64,
    /// Seconds neither used nor held.
    pub available: i64,
    /// `manual`, `order`, `voucher`, `sponsor`, `goodwill`.
    pub source: String,
    /// Unix seconds, as is the next.
    pub effective_at: i64,
    pub expires_at: i64,
    /// When it was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voided_at: Option<i64>,
}

impl From<&GrantBalance> for GrantView {
    fn from(g: &GrantBalance) -> Self {
        Self {
            id: g.grant.id.to_string(),
            plan: g.grant.plan.to_string(),
            seconds: g.grant.seconds,
            available: g.available,
            source: g.grant.source.clone(),
            effective_at: g.grant.effective_at.secs(),
            expires_at: g.grant.expires_at.secs(),
            voided_at: g.voided_at.map(lab_core::Timestamp::secs),
        }
    }
}

/// What a kind of learner gets.
#[derive(Serialize, ToSchema)]
pub struct PlanView {
    pub id: String,
    pub name: TextView,
    /// False: sees what a lab is, gets no sandbox.
    pub labs: bool,
    /// Sessions at once.
    pub concurrency_max: u32,
    /// Seconds a grant gives when it does not say.
    pub seconds: i64,
    /// Days a grant is valid when it does not say.
    pub valid_days: u32,
    /// Seconds that one session may run at most; missing: what the lab says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_secs_max: Option<i64>,
    /// Seconds a day, from midnight to midnight in the course's zone; missing: all there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily_secs_max: Option<i64>,
    /// Seconds that a start needs at least.
    pub minimum_secs: i64,
    /// `observe`, `coached`, `recorded`, `exam`.
    pub features: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offer: Option<OfferView>,
}

/// What a plan costs and where one gets it, in its seller's words.
#[derive(Serialize, ToSchema)]
pub struct OfferView {
    pub price: TextView,
    /// The next step.
    pub how: TextView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl From<&Offer> for OfferView {
    fn from(o: &Offer) -> Self {
        Self {
            price: (&o.price).into(),
            how: (&o.how).into(),
            url: o.url.clone(),
        }
    }
}

impl From<&Plan> for PlanView {
    fn from(p: &Plan) -> Self {
        Self {
            id: p.id.to_string(),
            name: (&p.name).into(),
            labs: p.labs,
            concurrency_max: p.concurrency_max,
            seconds: p.seconds,
            valid_days: p.valid_days,
            session_secs_max: p.session_secs_max,
            daily_secs_max: p.daily_secs_max,
            minimum_secs: p.minimum_secs,
            features: p.features.iter().map(|f| f.code().to_owned()).collect(),
            offer: p.offer.as_ref().map(Into::into),
        }
    }
}

/// `GET /me`: the login, and what it may use.
#[derive(Serialize, ToSchema)]
pub struct MeView {
    #[serde(flatten)]
    pub login: LoginView,
    pub grants: Vec<GrantView>,
    pub plans: Vec<PlanView>,
    /// The course's title, for those who teach it, where it has one.
    pub course_title: Option<String>,
    /// In whose name a learner's labs are shown, like `Offered to Acme by Telecom Evolution`, where their site has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brand: Option<TextView>,
}

impl From<Me> for MeView {
    fn from(me: Me) -> Self {
        Self {
            login: (&me.login).into(),
            grants: me.grants.iter().map(Into::into).collect(),
            plans: me.plans.iter().map(Into::into).collect(),
            course_title: me.course_title,
            brand: me.brand.as_ref().map(Into::into),
        }
    }
}

/// Why a learner gets no lab, with the numbers of it.
#[derive(Serialize, ToSchema)]
pub struct RefusalView {
    /// `no-plan`, `no-labs`, `plan-withheld`, `not-attested`, `no-time`, `daily-cap`, `concurrency`, `launches-paused`, `course-not-open`, `course-closed`,
    /// `test-runs-spent`, `privacy-notice`.
    pub refusal: String,
    /// With `no-labs`: the plan the learner has; with `plan-withheld`: the one that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// With `no-time`: seconds left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<i64>,
    /// With `daily-cap`: seconds allowed a day, from midnight to midnight in the course's zone; with `test-runs-spent`: within 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap: Option<i64>,
    /// With `concurrency`: sessions allowed at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// With `concurrency`: those that run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<Vec<String>>,
    /// With `launches-paused`: operations' own words; with `plan-withheld`: `budget-spent` or `plan-not-offered`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// With `launches-paused`: when to come back, where it was said; with `daily-cap` and `test-runs-spent`: when there is more; with `course-not-open`: when it
    /// opens; with `not-attested`: when it ended. Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// With `course-closed`: when it closed for this learner. Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// With `course-not-open` and `course-closed`: the course's title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// With them and `daily-cap`: the time zone to write the time in, where the course has one; UTC where not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// With `privacy-notice`: which has to be acknowledged by `POST /notice`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// With `not-attested`: whose word is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sponsor: Option<String>,
}

impl From<&Refusal> for RefusalView {
    fn from(r: &Refusal) -> Self {
        let mut view = Self {
            refusal: r.code().to_owned(),
            plan: None,
            available: None,
            cap: None,
            max: None,
            running: None,
            reason: None,
            until: None,
            since: None,
            title: None,
            zone: None,
            version: None,
            sponsor: None,
        };
        match r {
            Refusal::NoLabs { plan } => view.plan = plan.as_ref().map(ToString::to_string),
            Refusal::NoTime { available } => view.available = Some(*available),
            Refusal::DailyCap { cap, again_at, zone } => {
                view.zone.clone_from(zone);
                view.cap = Some(*cap);
                view.until = Some(again_at.secs());
            }
            Refusal::Concurrency { max, running } => {
                view.max = Some(*max);
                view.running = Some(running.iter().map(ToString::to_string).collect());
            }
            Refusal::CourseNotOpen { title, opens_at, zone } => {
                view.until = Some(opens_at.secs());
                (view.title, view.zone) = (Some(title.clone()), zone.clone());
            }
            Refusal::CourseClosed { title, closed_at, zone } => {
                view.since = Some(closed_at.secs());
                (view.title, view.zone) = (Some(title.clone()), zone.clone());
            }
            Refusal::Withheld { plan, why } => {
                view.plan = Some(plan.to_string());
                view.reason = Some(why.code().to_owned());
            }
            Refusal::NotAttested { sponsor, since } => {
                view.sponsor = Some(sponsor.to_string());
                view.until = Some(since.secs());
            }
            Refusal::TestRuns { cap, again_at } => {
                view.cap = Some(*cap);
                view.until = Some(again_at.secs());
            }
            Refusal::Notice { version } => view.version = Some(version.to_string()),
            Refusal::Paused { reason, until } => {
                view.reason = Some(reason.clone());
                view.until = until.map(lab_core::Timestamp::secs);
            }
        }
        view
    }
}
