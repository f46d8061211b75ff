//! `labwire lti remove`.

use crate::config::Config;
use anyhow::{Result, bail};
use clap::Args;
use lab_core::launch::lti::{Jwks, Kind, Registration, RegistrationId, RegistrationUse};
use std::process::ExitCode;

/// Take a registration away: no launch of it is taken any more. Without --yes it only says what depends on it
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  labwire lti remove net101         # what depends on it\n  labwire lti remove net101 --yes\n\n\
                  Courses, people, their lab time, labs, replays, statements and what was given of the limits stay. Grades that wait are refused \
                  (`registration-gone`); they are that client's, and go to no other that is given the name. To undo it, add the same client or key \
                  again with the same name, then `labwire lti grades NAME --retry`."
)]
pub struct RemoveArgs {
    /// The registration's name
    name: String,
    /// Do it
    #[arg(long)]
    yes: bool,
}

pub(super) async fn run(config: &Config, args: RemoveArgs) -> Result<ExitCode> {
    let setup = super::setup(config).await?;
    let id = RegistrationId(args.name);
    let Some((registration, used)) = setup.depends_on(&id).await? else {
        bail!("no registration is named {id}; `labwire lti ls` lists them");
    };
    println!("{}\n", depends(&registration, &used));
    if !args.yes {
        bail!("nothing was changed; say --yes to remove {id}");
    }
    setup.remove(&id).await?;
    println!(
        "{id} removed. To undo it:\n  {}\n  labwire lti grades {id} --retry",
        undo(&registration)
    );
    Ok(ExitCode::SUCCESS)
}

/// What goes, and what stays.
fn depends(r: &Registration, used: &RegistrationUse) -> String {
    let courses: Vec<String> = used.courses.iter().map(ToString::to_string).collect();
    let of = if courses.is_empty() {
        String::new()
    } else {
        format!(" ({})", courses.join(", "))
    };
    let secret = match &r.kind {
        Kind::Consumer { .. } => {
            "\n  goes   the shared secret: whoever wants to add it again needs it, or gives the course another"
        }
        Kind::Platform { .. } => "",
    };
    format!(
        "{}\n  ends   launches: links in the course are refused from then on\n  \
           ends   {} logins that are under way\n  \
           waits  {} grades on their way back: they are refused (registration-gone), and can be sent again when the same client or key has this name again{secret}\n  \
           stays  {} courses{of}, {} people, with lab time, labs, replays and statements",
        r.id,
        used.logins,
        used.grades_waiting,
        courses.len(),
        used.learners
    )
}

/// The command that adds it again. A secret is not in it.
fn undo(r: &Registration) -> String {
    let mut command = format!("labwire lti add {}", r.id);
    let mut option = |name: &str, value: &str| {
        command.push_str(&format!(" --{name} '{}'", value.replace('\'', "'\\''")));
    };
    if let Some(course) = &r.course {
        option("course", course.as_str());
    }
    if let Some(plan) = &r.plan {
        option("plan", plan.as_str());
    }
    match &r.kind {
        Kind::Consumer { key, .. } => {
            option("key", key);
            option("secret-file", "FILE");
        }
        Kind::Platform {
            issuer,
            client_id,
            auth_url,
            token_url,
            token_audience,
            jwks,
            deployments,
        } => {
            option("issuer", issuer);
            option("client-id", client_id);
            option("auth-url", auth_url);
            option("token-url", token_url);
            if let Some(audience) = token_audience {
                option("token-audience", audience);
            }
            match jwks {
                Jwks::Url(url) => option("jwks-url", url),
                Jwks::Static(_) => option("jwks-file", "FILE"),
            }
            for deployment in deployments {
                option("deployment", deployment);
            }
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab_core::Timestamp;

    #[test]
    fn what_depends_is_told_and_the_command_that_undoes_it_holds_no_secret() {
        let fun = Registration {
            id: RegistrationId("fun".into()),
            course: Some("l'été".into()),
            plan: Some("QUALIFYING".into()),
            created_at: Timestamp(0),
            kind: Kind::Consumer {
                key: "imt".into(),
                secret: "0123456789abcdef".into(),
            },
        };
        let used = RegistrationUse {
            courses: vec!["net".into(), "sys".into()],
            learners: 27,
            grades_waiting: 3,
            logins: 1,
        };
        let text = depends(&fun, &used);
        assert!(
            text.contains("2 courses (net, sys), 27 people") && text.contains("3 grades"),
            "{text}"
        );
        assert!(text.contains("shared secret") && !text.contains("0123456789abcdef"));
        assert_eq!(
            undo(&fun),
            "labwire lti add fun --course 'l'\\''été' --plan 'QUALIFYING' --key 'imt' --secret-file 'FILE'"
        );
    }
}
