//! `labwire login ls|revoke`.

use crate::{config::Config, table, wire};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use lab_app::launch::BEARER_GRACE;
use lab_core::{
    LoginId, Subject, Timestamp,
    launch::{LoginState, LoginsOf, Revocation},
    port::{Clock, StaffStore},
};
use std::{collections::BTreeSet, process::ExitCode, time::Duration};

#[derive(Subcommand, Debug)]
pub enum LoginCommand {
    /// Who is signed in: since when, until when at the latest, and when last seen
    #[command(after_help = "Examples:\n  labwire login ls\n  labwire login ls --all\n\n\
                      A page renews its login about every ten minutes while it is open: SEEN is right to that.")]
    Ls(LsArgs),
    /// End a login, or all logins of a person: their next request is refused, on every replica
    #[command(
        after_help = "Examples:\n  labwire login revoke 0199f1c2-7b1e-7c3a-9d55-8f1d0c6b2a11\n  \
                      labwire login revoke --person 'oidc:login.example.org/realms/ens#42'\n  labwire login revoke --person 'Prof. Curie'\n\n\
                      Who still has a role at your organisation can sign in again: take them out of the group there first. Pages that are open\n\
                      and only listen are told within half a minute; a learner's open lab goes on (`labwire session stop`)."
    )]
    Revoke(RevokeArgs),
}

#[derive(Args, Debug)]
pub struct LsArgs {
    /// Also learners
    #[arg(long)]
    all: bool,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct RevokeArgs {
    /// The login, as `labwire login ls` has it
    login: Option<LoginId>,
    /// Whose logins: the person's id, or the name they are shown by
    #[arg(long, value_name = "NAME")]
    person: Option<String>,
}

pub async fn run(config: &Config, command: LoginCommand) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let now = wire::clock().now();
    match command {
        LoginCommand::Ls(args) => {
            let mut logins = store.login_list(now).await?;
            logins.retain(|l| args.all || l.login.role.is_staff());
            print(&logins, config.limits.staff_login_max);
        }
        LoginCommand::Revoke(args) => {
            let of = match (args.login, args.person) {
                (Some(id), _) => LoginsOf::One(id),
                (None, person) => {
                    let person = person.unwrap_or_default();
                    LoginsOf::Person(meant(&store.login_list(now).await?, &person)?)
                }
            };
            let revocation = Revocation {
                of,
                by: "cli".into(),
                by_name: "labwire login".into(),
                at: now,
            };
            let ended = store.login_revoke(&revocation).await?;
            if ended.is_empty() {
                bail!("no such login is there; `labwire login ls --all` lists them");
            }
            for LoginState { login, .. } in &ended {
                println!("{} of {} ({}) is ended", login.id, login.name, login.subject);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whose id or name it is. Two people may have one name: then their ids are told.
fn meant(logins: &[LoginState], person: &str) -> Result<Subject> {
    let by_id = logins.iter().find(|l| l.login.subject.as_str() == person);
    if let Some(found) = by_id {
        return Ok(found.login.subject.clone());
    }
    let named = logins.iter().filter(|l| l.login.name == person);
    let people: BTreeSet<&Subject> = named.map(|l| &l.login.subject).collect();
    let mut ids = people.iter();
    match (ids.next(), ids.next()) {
        (Some(one), None) => Ok((*one).clone()),
        (Some(_), Some(_)) => {
            let ids: Vec<&str> = people.iter().map(|s| s.as_str()).collect();
            bail!(
                "{} people are shown as {person:?}; name one by id: {}",
                ids.len(),
                ids.join(", ")
            )
        }
        (None, _) => bail!("nobody of the id or name {person:?} is signed in; `labwire login ls --all` lists who is"),
    }
}

/// When somebody was last seen: at their last rotation, whose bearer before is accepted for a moment more.
fn seen(state: &LoginState) -> Timestamp {
    state
        .grace_until
        .map_or(state.login.created_at, |until| until.minus(BEARER_GRACE))
}

fn print(logins: &[LoginState], staff_login_max: Duration) {
    let row = |state: &LoginState| {
        let login = &state.login;
        let of = login
            .sponsor
            .as_ref()
            .map_or_else(|| login.course.to_string(), ToString::to_string);
        let ends = if login.role.is_staff() {
            login.created_at.plus(staff_login_max).to_string()
        } else {
            "when not used".into()
        };
        vec![
            login.id.to_string(),
            login.subject.to_string(),
            login.role.name().to_owned(),
            of,
            login.created_at.to_string(),
            ends,
            seen(state).to_string(),
            login.name.clone(),
        ]
    };
    let rows: Vec<_> = logins.iter().map(row).collect();
    table::print(&["LOGIN", "WHO", "ROLE", "OF", "SINCE", "ENDS", "SEEN", "NAME"], &rows);
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab_core::{
        CourseId,
        launch::{Login, Role},
    };

    fn state(subject: &str, name: &str) -> LoginState {
        let login = Login {
            id: LoginId(uuid::Uuid::nil()),
            subject: subject.into(),
            name: name.into(),
            role: Role::Teacher,
            course: CourseId("net".into()),
            lab: None,
            plan: None,
            sponsor: None,
            created_at: Timestamp::from_secs(100),
            expires_at: Timestamp::from_secs(1000),
        };
        LoginState {
            login,
            grace_until: None,
        }
    }

    #[test]
    fn a_person_is_meant_by_id_or_by_a_name_that_is_nobody_elses() {
        let logins = [
            state("a", "Curie"),
            state("a", "Curie"),
            state("b", "Weil"),
            state("c", "Weil"),
        ];
        let of = |person: &str| meant(&logins, person).map(|s| s.to_string()).map_err(|e| e.to_string());
        assert_eq!(of("a"), Ok("a".into()));
        assert_eq!(of("Curie"), Ok("a".into()), "two tabs of one person");
        assert!(of("Weil").unwrap_err().contains("b, c"), "{:?}", of("Weil"));
        assert!(of("curie").unwrap_err().contains("nobody"), "letter by letter");
    }

    #[test]
    fn who_was_never_renewed_was_last_seen_at_their_sign_in() {
        let mut login = state("a", "Curie");
        assert_eq!(seen(&login), Timestamp::from_secs(100));
        login.grace_until = Some(Timestamp::from_secs(700));
        assert_eq!(seen(&login), Timestamp::from_secs(640));
    }
}
