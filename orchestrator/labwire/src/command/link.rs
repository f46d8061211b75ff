//! `labwire link`.

use super::learners::Learners;
use crate::{config::Config, wire};
use anyhow::{Result, bail};
use clap::Args;
use lab_app::launch::Keyring;
use lab_core::{
    CourseId, LabId, LaunchId, PlanId, SponsorId, Subject,
    lab::Span,
    launch::{Bound, LaunchClaims, Role},
    port::{Clock, Entropy, Store},
};
use std::{process::ExitCode, time::Duration};

/// Print a signed link. It signs one browser tab in, once, until it expires; making another for the same learner leads to the
/// same running lab. For a class: a line `id,link` each.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  labwire link --learner ada --course net --lab ospf-triangle --valid 10m\n  \
                        labwire link --learner ada --name 'Ada Lovelace' --course net --lab ospf-triangle --plan QUALIFYING\n  \
                        labwire link --learner curie --name 'Prof. Curie' --course net --role teacher\n  \
                        labwire link --learner esp --name 'ESP Dakar' --sponsor esp --role sponsor --valid 1h\n  \
                        labwire link --learners class.csv --course net --lab ospf-triangle --valid 2h"
)]
pub struct LinkArgs {
    #[command(flatten)]
    learners: Learners,
    /// Shown to teachers
    #[arg(long, conflicts_with = "learners")]
    name: Option<String>,
    /// The course it is for; not for author, sponsor and operations
    #[arg(long, value_name = "ID")]
    course: Option<String>,
    /// The sponsor whose statement it opens; with --role sponsor only
    #[arg(long, value_name = "ID")]
    sponsor: Option<String>,
    /// The lab it opens; learners only
    #[arg(long, value_name = "ID")]
    lab: Option<String>,
    /// The plan it asks for; DISCOVERY shows the lab without running it
    #[arg(long, value_name = "ID")]
    plan: Option<String>,
    /// How long it can be used: 90s, 10m, 2h
    #[arg(long, default_value = "10m", value_parser = span)]
    valid: Span,
    /// learner, teacher, coach, author, enrolment, manager, sponsor or operations
    #[arg(long, default_value = "learner", value_parser = role)]
    role: Role,
}

pub(super) fn span(text: &str) -> Result<Span, String> {
    Span::try_from(text.to_owned())
}

fn role(text: &str) -> Result<Role, String> {
    Role::from_name(text).ok_or_else(|| format!("use one of {}", Role::names()))
}

pub async fn run(config: Config, args: LinkArgs) -> Result<ExitCode> {
    let config = config.with_keys(&wire::entropy())?;
    let store = wire::store(&config).await?;
    match (&args.lab, args.role) {
        (None, Role::Learner) => bail!("--lab is missing: name the lab the link opens; `labwire lab ls` lists them"),
        (Some(_), role) if role != Role::Learner => {
            bail!("--lab is for learners' links; leave it out for {}", role.name())
        }
        (Some(lab), _) if super::lab::withdrawn(store.as_ref(), &LabId(lab.clone())).await? => {
            bail!("--lab {lab} is withdrawn; `labwire lab withdraw {lab} --undo` publishes it again")
        }
        (Some(lab), _) if store.lab_latest(&LabId(lab.clone())).await?.is_none() => {
            bail!("--lab {lab} is not published; `labwire lab ls` lists what is, `labwire lab publish FILE` adds one")
        }
        _ => {}
    }
    match args.role.bound() {
        Bound::Course if args.course.is_none() => {
            bail!(
                "--course is missing: a link of the role {} is for one course",
                args.role.name()
            )
        }
        Bound::Sponsor if args.sponsor.is_none() => {
            bail!("--sponsor is missing: the link opens one sponsor's statement; `labwire sponsor --help` says more")
        }
        Bound::Course | Bound::Nothing if args.sponsor.is_some() => {
            bail!("--sponsor is for --role sponsor; leave it out for {}", args.role.name())
        }
        _ => {}
    }
    if let Some(plan) = &args.plan
        && !store.plan_list().await?.iter().any(|p| p.id.as_str() == plan)
    {
        bail!("--plan {plan} does not exist; `labwire plan ls` lists plans");
    }
    let valid = Duration::from_secs(args.valid.secs);
    let keyring = wire::keyring(&config)?;
    for learner in args.learners.read()? {
        let claims = LaunchClaims {
            name: learner.name.or_else(|| args.name.clone()),
            lab: args.lab.clone().map(LabId),
            plan: args.plan.clone().map(PlanId),
            sponsor: args.sponsor.clone().map(SponsorId),
            ..claims(
                &config,
                args.role,
                &learner.id,
                CourseId(args.course.clone().unwrap_or_default()),
                valid,
            )
        };
        let link = url(&config, &keyring, &claims);
        if args.learners.is_class() {
            println!("{},{link}", learner.id);
        } else {
            println!("{link}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Claims of a link without lab or plan.
pub fn claims(config: &Config, role: Role, subject: &str, course: CourseId, valid: Duration) -> LaunchClaims {
    let now = wire::clock().now();
    LaunchClaims {
        aud: config.installation.clone(),
        jti: LaunchId(uuid::Uuid::new_v5(
            &uuid::Uuid::NAMESPACE_OID,
            &wire::entropy().bytes32(),
        )),
        iat: now.secs(),
        exp: now.plus(valid).secs(),
        sub: Subject(subject.to_owned()),
        name: None,
        role,
        course,
        lab: None,
        plan: None,
        sponsor: None,
    }
}

/// The address a person opens. Tokens are base64url and dots: nothing to escape.
pub fn url(config: &Config, keyring: &Keyring, claims: &LaunchClaims) -> String {
    format!("{}/launch?token={}", config.public_url, keyring.sign(claims))
}
