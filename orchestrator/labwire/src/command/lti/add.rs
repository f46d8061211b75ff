//! `labwire lti add`.

use super::paste;
use crate::{command::known, config::Config, wire};
use anyhow::{Context, Result, bail};
use clap::{ArgGroup, Args};
use lab_app::launch::lti::{NewRegistration, Offer};
use lab_core::{
    entitlement::{Giver, GrantBudget},
    hours,
    launch::lti::{Jwks, Kind, RegistrationId, SecretShown},
    port::{GiverStore, LtiStore},
};
use std::{collections::BTreeSet, path::PathBuf, process::ExitCode};

/// Register a platform, or change a registration, and print what to paste into the course. The same name again changes it; course, plan, deployments, secret, plans to ask for and limits that are not given stay.
#[derive(Args, Debug)]
#[command(
    group(ArgGroup::new("lti_version").required(true).args(["key", "issuer", "moodle"])),
    after_help = "Examples:\n  \
      LTI 1.1 (FUN, older Open edX); a secret is made and printed once:\n    \
        labwire lti add fun --key imt-net101 --plan QUALIFYING\n  \
      Everybody discovers; who the course sends with plan=QUALIFYING has lab time, 30 learners at most:\n    \
        labwire lti add fun --key imt-net101 --plan DISCOVERY --may-ask QUALIFYING --grants-max 30\n  \
      LTI 1.3, Open edX; Studio shows these below the block once it is saved (`labwire lti guide openedx`):\n    \
        labwire lti add edx --issuer https://lms.example.org --client-id 6f1c… --deployment 1 \\\n      \
          --auth-url https://lms.example.org/api/lti_consumer/v1/launch/ \\\n      \
          --token-url https://lms.example.org/api/lti_consumer/v1/token/… \\\n      \
          --jwks-url https://lms.example.org/api/lti_consumer/v1/public_keysets/…\n  \
      LTI 1.3, Moodle; it shows the client id once the tool is saved:\n    \
        labwire lti add moodle --moodle https://moodle.example.org --client-id aB3… --deployment 1"
)]
pub struct AddArgs {
    /// The registration's name: a-z, 0-9 and '-'
    name: String,
    /// Every launch is of this course; otherwise of the platform's own. `none` takes it away again
    #[arg(long, value_name = "ID")]
    course: Option<String>,
    /// --course is meant although another one has nearly its name
    #[arg(long, requires = "course")]
    new_course: bool,
    /// Each learner who launches gets a grant of this plan, once a course. `none` takes it away again
    #[arg(long, value_name = "ID")]
    plan: Option<String>,
    /// A plan that the launch's custom parameter `plan` may ask for instead; repeat for several. `none` takes all away
    #[arg(long, value_name = "ID")]
    may_ask: Vec<String>,
    /// Most grants that its launches give in all, one a learner, course and plan; `none`: any number
    #[arg(long, value_name = "N", value_parser = grants_max)]
    grants_max: Option<Limit>,
    /// Most lab time that its launches give in all; `none`: any
    #[arg(long, value_name = "HOURS", value_parser = hours_max)]
    hours_max: Option<Limit>,
    /// Where its learners are: on the statement of that site. `none` takes it away again
    #[arg(long, value_name = "ID")]
    site: Option<String>,
    /// The lab that the printed addresses launch; the first one by default
    #[arg(long, value_name = "ID")]
    lab: Option<String>,

    /// LTI 1.1: the consumer key
    #[arg(long, value_name = "KEY", help_heading = "LTI 1.1")]
    key: Option<String>,
    /// File of the shared secret; one is made when not given
    #[arg(long, value_name = "FILE", requires = "key", help_heading = "LTI 1.1")]
    secret_file: Option<PathBuf>,

    /// LTI 1.3: the platform's issuer, exactly as it writes it
    #[arg(long, value_name = "URL", requires_all = ["client_id", "auth_url", "token_url", "keys"], help_heading = "LTI 1.3")]
    issuer: Option<String>,
    /// LTI 1.3, Moodle: its address; issuer and endpoints follow from it
    #[arg(long, value_name = "URL", requires = "client_id", conflicts_with_all = ["auth_url", "token_url", "keys"], help_heading = "LTI 1.3")]
    moodle: Option<String>,
    /// What the platform calls us
    #[arg(long, value_name = "ID", conflicts_with = "key", help_heading = "LTI 1.3")]
    client_id: Option<String>,
    /// Where people sign in
    #[arg(long, value_name = "URL", conflicts_with = "key", help_heading = "LTI 1.3")]
    auth_url: Option<String>,
    /// Where we get access tokens
    #[arg(long, value_name = "URL", conflicts_with = "key", help_heading = "LTI 1.3")]
    token_url: Option<String>,
    /// What the token's audience is, when not its address
    #[arg(long, value_name = "TEXT", conflicts_with = "key", help_heading = "LTI 1.3")]
    token_audience: Option<String>,
    /// Where the platform publishes its keys
    #[arg(
        long,
        value_name = "URL",
        group = "keys",
        conflicts_with = "key",
        help_heading = "LTI 1.3"
    )]
    jwks_url: Option<String>,
    /// File of the platform's keys (JSON), when they cannot be fetched
    #[arg(
        long,
        value_name = "FILE",
        group = "keys",
        conflicts_with = "key",
        help_heading = "LTI 1.3"
    )]
    jwks_file: Option<PathBuf>,
    /// Only this deployment of the platform; repeat for several; `any` or none: any
    #[arg(long, value_name = "ID", conflicts_with = "key", help_heading = "LTI 1.3")]
    deployment: Vec<String>,
}

pub async fn run(config: &Config, args: AddArgs) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let lab = paste::lab(store.as_ref(), args.lab.as_deref()).await?;
    let id = RegistrationId(args.name.clone());
    if let Some(course) = args.course.as_deref().filter(|course| *course != "none") {
        known::course(store.as_ref(), course, args.new_course).await?;
    }
    let before = store.lti_registration_get(&id).await?;
    let mut kind = kind(&args)?;
    if let (Kind::Platform { deployments, .. }, Some(Kind::Platform { deployments: kept, .. })) =
        (&mut kind, before.as_ref().map(|r| &r.kind))
    {
        match deployments.as_slice() {
            [] => deployments.clone_from(kept),
            [any] if any == "any" => deployments.clear(),
            _ => {}
        }
    }
    let source = id.source();
    let agreed = store.giver_get(&source).await?.map(|state| state.giver);
    let new = NewRegistration {
        course: stays(args.course.as_deref(), before.as_ref().and_then(|r| r.course.clone())),
        plan: stays(args.plan.as_deref(), before.as_ref().and_then(|r| r.plan.clone())),
        id,
        kind,
        offer: offer(&args, agreed.as_ref()),
    };
    let asks = new.offer.as_ref().map(|o| !o.plans.is_empty());
    let asks = asks.or(agreed.map(|g| !g.plans.is_empty())).unwrap_or_default();
    let unplanned = new.plan.is_none() && !asks;
    let added = super::setup(config).await?.add(new).await?;
    let word = if added.new { "added" } else { "changed" };
    println!(
        "{} {word}
",
        added.registration.id
    );
    let secret = match &added.secret {
        Some(made) => SecretShown::Made(made),
        None if args.secret_file.is_some() => SecretShown::Given,
        None => SecretShown::Kept,
    };
    print!("{}", paste::text(config, &added.registration, lab.as_ref(), secret));
    let doubts = doubts(&added.registration.kind);
    if !doubts.is_empty() {
        println!("\nLook again\n  {}", doubts.join("\n  "));
    }
    if unplanned {
        println!(
            "\nNo plan\n  Who launches gets no lab time but by `labwire grant`, vouchers or orders; `labwire lti add {} … --plan PLAN` gives some.",
            added.registration.id
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// What is possible, and seldom meant.
fn doubts(kind: &Kind) -> Vec<String> {
    let Kind::Platform {
        issuer,
        auth_url,
        token_url,
        jwks,
        ..
    } = kind
    else {
        return Vec::new();
    };
    let mut doubts = Vec::new();
    if issuer.ends_with('/') {
        doubts.push(format!(
            "The issuer {issuer} ends with a slash. It must be letter by letter what the platform sends; Open edX and Moodle send none."
        ));
    }
    let keys = match jwks {
        Jwks::Url(url) => Some(url),
        Jwks::Static(_) => None,
    };
    if [Some(issuer), Some(auth_url), Some(token_url), keys]
        .into_iter()
        .flatten()
        .any(|url| url.starts_with("http://"))
    {
        doubts.push(
            "An address begins with http://: what travels there can be read and changed on the way. Only for tests."
                .to_owned(),
        );
    }
    doubts
}

/// A limit, or `none`.
#[derive(Clone, Copy, Debug)]
struct Limit(Option<i64>);

fn grants_max(text: &str) -> Result<Limit, String> {
    match text.parse::<i64>() {
        _ if text == "none" => Ok(Limit(None)),
        Ok(n) if (1..=1_000_000).contains(&n) => Ok(Limit(Some(n))),
        _ => Err("use a number from 1 to 1000000, or none".to_owned()),
    }
}

fn hours_max(text: &str) -> Result<Limit, String> {
    if text == "none" {
        return Ok(Limit(None));
    }
    hours::many(text).map(|seconds| Limit(Some(seconds)))
}

/// What its launches may ask for, when something of it is given: the rest of it stays. Without anything, and for one that was removed and is added
/// again, it stays as it was agreed.
fn offer(args: &AddArgs, agreed: Option<&Giver>) -> Option<Offer> {
    let given =
        !args.may_ask.is_empty() || args.grants_max.is_some() || args.hours_max.is_some() || args.site.is_some();
    let agreed = agreed.cloned().unwrap_or_default();
    given.then(|| Offer {
        plans: match args.may_ask.as_slice() {
            [] => agreed.plans,
            [none] if none == "none" => BTreeSet::new(),
            plans => plans.iter().cloned().map(Into::into).collect(),
        },
        budget: GrantBudget {
            grants: args.grants_max.map_or(agreed.budget.grants, |limit| limit.0),
            seconds: args.hours_max.map_or(agreed.budget.seconds, |limit| limit.0),
        },
        site: stays(args.site.as_deref(), agreed.site),
    })
}

/// What is not given stays; `none` takes it away.
fn stays<T: for<'a> From<&'a str>>(given: Option<&str>, before: Option<T>) -> Option<T> {
    match given {
        None => before,
        Some("none") => None,
        Some(given) => Some(given.into()),
    }
}

/// Without a secret, the one that is there stays, or one is made.
fn kind(args: &AddArgs) -> Result<Kind> {
    let given = |value: &Option<String>| value.clone().unwrap_or_default();
    if let Some(key) = &args.key {
        let secret = match &args.secret_file {
            Some(path) => std::fs::read_to_string(path)
                .with_context(|| format!("--secret-file {}", path.display()))?
                .trim()
                .to_owned(),
            None => String::new(),
        };
        if args.secret_file.is_some() && secret.is_empty() {
            bail!("--secret-file is empty: write the shared secret into it");
        }
        return Ok(Kind::Consumer {
            key: key.clone(),
            secret,
        });
    }
    if let Some(moodle) = &args.moodle {
        let mut kind = Kind::moodle(moodle, given(&args.client_id), args.deployment.clone());
        if let Kind::Platform { token_audience, .. } = &mut kind {
            token_audience.clone_from(&args.token_audience);
        }
        return Ok(kind);
    }
    let jwks = match (&args.jwks_url, &args.jwks_file) {
        (Some(url), _) => Jwks::Url(url.clone()),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("--jwks-file {}", path.display()))?;
            let keys: serde_json::Value = serde_json::from_str(&text)
                .with_context(|| format!("--jwks-file {}: it must be JSON", path.display()))?;
            if keys["keys"].as_array().is_none_or(Vec::is_empty) {
                bail!("--jwks-file {}: no `keys` are in it", path.display());
            }
            Jwks::Static(text)
        }
        (None, None) => bail!("--jwks-url is missing: say where the platform publishes its keys"),
    };
    Ok(Kind::Platform {
        issuer: given(&args.issuer),
        client_id: given(&args.client_id),
        auth_url: given(&args.auth_url),
        token_url: given(&args.token_url),
        token_audience: args.token_audience.clone(),
        jwks,
        deployments: args.deployment.clone(),
    })
}
