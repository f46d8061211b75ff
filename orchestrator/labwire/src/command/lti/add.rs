//! `labwire lti add`.

use super::paste;
use crate::{config::Config, wire};
use anyhow::{Context, Result, bail};
use clap::{ArgGroup, Args};
use lab_core::{
    entitlement::{Giver, GrantBudget},
    launch::lti::{Jwks, Kind, Registration, RegistrationId, registration_problem},
    port::{Clock, Entropy, GiverStore, LtiStore, Store},
};
use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

/// Register a platform, or change a registration, and print what to paste into the course. The same name again changes it.
#[derive(Args, Debug)]
#[command(
    group(ArgGroup::new("lti_version").required(true).args(["key", "issuer", "moodle"])),
    after_help = "Examples:\n  \
      LTI 1.1 (FUN, older Open edX); a secret is made and printed once:\n    \
        labwire lti add fun --key imt-net101 --plan QUALIFYING\n  \
      Everybody discovers; who the course sends with plan=QUALIFYING has lab time, 30 learners at most:\n    \
        labwire lti add fun --key imt-net101 --plan DISCOVERY --may-ask QUALIFYING --grants-max 30\n  \
      LTI 1.3, Open edX; Studio shows the client id and the two last addresses once the block is saved:\n    \
        labwire lti add edx --issuer https://lms.example.org --client-id 6f1c… \\\n      \
          --auth-url https://lms.example.org/api/lti_consumer/v1/launch/ \\\n      \
          --token-url https://lms.example.org/api/lti_consumer/v1/token/… \\\n      \
          --jwks-url https://lms.example.org/api/lti_consumer/v1/public_keysets/…\n  \
      LTI 1.3, Moodle; it shows the client id once the tool is saved:\n    \
        labwire lti add moodle --moodle https://moodle.example.org --client-id aB3… --deployment 1"
)]
pub struct AddArgs {
    /// The registration's name: a-z, 0-9 and '-'
    name: String,
    /// Every launch is of this course; otherwise of the platform's own
    #[arg(long, value_name = "ID")]
    course: Option<String>,
    /// Each learner who launches gets a grant of this plan, once a course
    #[arg(long, value_name = "ID")]
    plan: Option<String>,
    /// A plan that the launch's custom parameter `plan` may ask for instead; repeat for several
    #[arg(long, value_name = "ID")]
    may_ask: Vec<String>,
    /// Most grants that its launches give in all, one a learner, course and plan
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
    grants_max: Option<i64>,
    /// Most lab time that its launches give in all
    #[arg(long, value_name = "HOURS", value_parser = clap::value_parser!(i64).range(1..=10_000_000))]
    hours_max: Option<i64>,
    /// Where its learners are: on the statement of that site
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
    /// Only this deployment of the platform; repeat for several; any when not given
    #[arg(long, value_name = "ID", conflicts_with = "key", help_heading = "LTI 1.3")]
    deployment: Vec<String>,
}

pub async fn run(config: &Config, args: AddArgs) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let plans = store.plan_list().await?;
    for plan in args.plan.iter().chain(&args.may_ask) {
        if !plans.iter().chain(&config.plans).any(|p| p.id.as_str() == plan) {
            bail!("plan {plan} does not exist; `labwire plan ls` lists plans");
        }
    }
    let lab = paste::lab(store.as_ref(), args.lab.as_deref()).await?;
    let id = RegistrationId(args.name.clone());
    let before = store.lti_registration_get(&id).await?;
    let kind = kind(&args, before.as_ref().map(|r| &r.kind))?;
    let made = args.secret_file.is_none() && before.as_ref().is_none_or(|r| secret(&r.kind) != secret(&kind));
    let giver = Giver {
        source: String::new(),
        plans: args.may_ask.into_iter().map(Into::into).collect(),
        budget: GrantBudget {
            grants: args.grants_max,
            seconds: args.hours_max.map(|h| h * 3600),
        },
        site: args.site.map(Into::into),
    };
    let registration = Registration {
        id,
        course: args.course.map(Into::into),
        plan: args.plan.map(Into::into),
        created_at: wire::clock().now(),
        kind,
    };
    if let Some(problem) = registration_problem(&registration) {
        bail!("{problem}");
    }
    let giver = Giver {
        source: registration.source(),
        ..giver
    };
    // what it may give first: a launch between the two gives no more than that
    store.giver_put(&giver).await?;
    store.lti_registration_put(&registration).await?;
    println!(
        "{} {}\n",
        registration.id,
        if before.is_some() { "changed" } else { "added" }
    );
    print!("{}", paste::text(config, &registration, &lab, made));
    Ok(ExitCode::SUCCESS)
}

fn secret(kind: &Kind) -> Option<&str> {
    match kind {
        Kind::Consumer { secret, .. } => Some(secret),
        Kind::Platform { .. } => None,
    }
}

/// A registration by key keeps its secret when it is changed without a new one.
fn kind(args: &AddArgs, before: Option<&Kind>) -> Result<Kind> {
    if let Some(key) = &args.key {
        let secret = match (&args.secret_file, before) {
            (Some(path), _) => std::fs::read_to_string(path)
                .with_context(|| format!("--secret-file {}", path.display()))?
                .trim()
                .to_owned(),
            (None, Some(Kind::Consumer { secret, .. })) => secret.clone(),
            (None, _) => wire::entropy().bytes32().iter().fold(String::new(), |mut hex, b| {
                let _ = write!(hex, "{b:02x}");
                hex
            }),
        };
        return Ok(Kind::Consumer {
            key: key.clone(),
            secret,
        });
    }
    let given = |value: &Option<String>| value.clone().unwrap_or_default();
    let (issuer, auth_url, token_url, jwks) = if let Some(moodle) = &args.moodle {
        let site = moodle.trim_end_matches('/');
        (
            site.to_owned(),
            format!("{site}/mod/lti/auth.php"),
            format!("{site}/mod/lti/token.php"),
            Jwks::Url(format!("{site}/mod/lti/certs.php")),
        )
    } else {
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
        (given(&args.issuer), given(&args.auth_url), given(&args.token_url), jwks)
    };
    Ok(Kind::Platform {
        issuer,
        client_id: given(&args.client_id),
        auth_url,
        token_url,
        token_audience: args.token_audience.clone(),
        jwks,
        deployments: args.deployment.clone(),
    })
}
