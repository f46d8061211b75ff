//! `labwire lti ls`: registrations and invitations; of one, everything that is known of it.

use super::{invite, paste};
use crate::{config::Config, table, wire};
use anyhow::{Result, bail};
use clap::Args;
use lab_core::{
    PlanId,
    entitlement::GiverState,
    launch::lti::{Jwks, Kind, Registration, RegistrationId, SecretShown},
    port::{Clock, GiverStore, LtiStore},
};
use std::process::ExitCode;

#[derive(Args, Debug)]
pub struct LsArgs {
    /// Of one registration: what the platform gave, and what to paste into the course
    name: Option<String>,
    /// … for this lab
    #[arg(long, value_name = "ID", requires = "name")]
    lab: Option<String>,
}

pub(super) async fn run(config: &Config, args: LsArgs) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    if let Some(name) = args.name {
        let found = store.lti_registration_get(&RegistrationId(name.clone())).await?;
        let Some(registration) = found else {
            bail!("no registration is named {name}; `labwire lti ls` lists them");
        };
        let lab = paste::lab(store.as_ref(), args.lab.as_deref()).await?;
        let giver = store.giver_get(&registration.source()).await?;
        println!("{}", known(&registration, giver.as_ref()));
        print!(
            "{}",
            paste::text(config, &registration, lab.as_ref(), SecretShown::Kept)
        );
        return Ok(ExitCode::SUCCESS);
    }
    let registrations = store.lti_registration_list().await?;
    let mut rows = Vec::with_capacity(registrations.len());
    for r in &registrations {
        rows.push(row(r, store.giver_get(&r.source()).await?.as_ref()));
    }
    table::print(
        &[
            "NAME",
            "LTI",
            "PLATFORM",
            "CLIENT ID OR KEY",
            "COURSE",
            "PLAN",
            "MAY GIVE",
        ],
        &rows,
    );
    print!(
        "{}",
        invite::list(&store.lti_invitation_list().await?, wire::clock().now())
    );
    Ok(ExitCode::SUCCESS)
}

fn row(r: &Registration, giver: Option<&GiverState>) -> Vec<String> {
    let (version, platform, client) = match &r.kind {
        Kind::Platform { issuer, client_id, .. } => ("1.3", issuer.clone(), client_id.clone()),
        Kind::Consumer { key, .. } => ("1.1", "-".to_owned(), key.clone()),
    };
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        r.id.to_string(),
        version.to_owned(),
        platform,
        client,
        or_dash(r.course.as_ref().map(ToString::to_string)),
        or_dash(r.plan.as_ref().map(ToString::to_string)),
        or_dash(giver.map(agreed).filter(|text| !text.is_empty())),
    ]
}

/// Everything but secrets.
fn known(r: &Registration, giver: Option<&GiverState>) -> String {
    let mut all: Vec<(&str, String)> = Vec::new();
    match &r.kind {
        Kind::Platform {
            issuer,
            client_id,
            auth_url,
            token_url,
            token_audience,
            jwks,
            deployments,
        } => {
            let keys = match jwks {
                Jwks::Url(url) => url.clone(),
                Jwks::Static(_) => "those of --jwks-file; nothing is fetched".to_owned(),
            };
            let any = if deployments.is_empty() {
                "any".to_owned()
            } else {
                deployments.join(", ")
            };
            all.extend([
                ("LTI", "1.3".to_owned()),
                ("Issuer", issuer.clone()),
                ("Client ID", client_id.clone()),
                ("Deployment IDs", any),
                ("Keyset URL", keys),
                ("Access token URL", token_url.clone()),
                ("Login URL", auth_url.clone()),
            ]);
            all.extend(token_audience.clone().map(|audience| ("Token audience", audience)));
        }
        Kind::Consumer { key, .. } => all.extend([
            ("LTI", "1.1".to_owned()),
            ("Consumer key", key.clone()),
            ("Shared secret", "(not shown)".to_owned()),
        ]),
    }
    let course = match &r.course {
        Some(course) => format!("{course}, for every launch"),
        None => format!("the platform's own: {}", r.kind.course_like("<its id of the course>")),
    };
    all.extend([
        ("Course", course),
        (
            "Plan",
            r.plan.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string),
        ),
        ("Added", r.created_at.to_string()),
    ]);
    let may = giver.map(agreed).filter(|text| !text.is_empty());
    all.extend(may.map(|text| ("May give", text)));
    let pairs = paste::pairs(all.iter().map(|(name, value)| (*name, value.as_str())));
    format!("{}\n{pairs}", r.id)
}

/// `QUALIFYING; 12/30 grants; 20:00:00/75:00:00`: what launches may ask for, and what they gave of how much.
fn agreed(state: &GiverState) -> String {
    let (budget, given) = (state.giver.budget, state.given);
    let plans: Vec<&str> = state.giver.plans.iter().map(PlanId::as_str).collect();
    let mut said = Vec::new();
    said.extend((!plans.is_empty()).then(|| plans.join(", ")));
    said.extend(budget.grants.map(|max| format!("{}/{max} grants", given.grants)));
    let hours = |max| format!("{}/{}", table::time(given.seconds), table::time(max));
    said.extend(budget.seconds.map(hours));
    said.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab_core::Timestamp;

    fn registration(kind: Kind) -> Registration {
        Registration {
            id: RegistrationId("net101".into()),
            course: None,
            plan: Some("QUALIFYING".into()),
            created_at: Timestamp(0),
            kind,
        }
    }

    #[test]
    fn everything_that_the_platform_gave_is_told_and_no_secret() {
        let edx = known(
            &registration(Kind::Platform {
                issuer: "https://lms.example.org".into(),
                client_id: "6f1c8c5e".into(),
                auth_url: "https://lms.example.org/launch/".into(),
                token_url: "https://lms.example.org/token/".into(),
                token_audience: Some("https://audience.example.org".into()),
                jwks: Jwks::Url("https://lms.example.org/keysets/".into()),
                deployments: vec!["1".into(), "7".into()],
            }),
            None,
        );
        for told in [
            "https://lms.example.org\n",
            "6f1c8c5e",
            "/launch/",
            "/token/",
            "audience.example.org",
            "/keysets/",
            "1, 7",
            "QUALIFYING",
            "lms.example.org#<its id of the course>",
        ] {
            assert!(edx.contains(told), "{told}: {edx}");
        }
        let fun = known(
            &registration(Kind::Consumer {
                key: "imt-net101".into(),
                secret: "0123456789abcdef".into(),
            }),
            None,
        );
        assert!(fun.contains("imt-net101") && fun.contains("lti:imt-net101#"), "{fun}");
        assert!(!fun.contains("0123456789abcdef"), "{fun}");
    }
}
