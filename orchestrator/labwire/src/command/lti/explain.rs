//! `labwire lti test`: the last refused launch step by step, what worked since, and what can be tried without a learner.

use crate::{config::Config, wire};
use anyhow::{Result, bail};
use clap::Args;
use lab_app::launch::lti::{Outcome, Trial, Trier};
use lab_core::{
    Timestamp,
    launch::lti::{Attempt, Concern, Fault, History, Kind, Registration, RegistrationId, STEPS, Standing, remedy},
    port::LtiStore,
};
use std::{fmt::Write as _, process::ExitCode, sync::Arc};

/// Explain the last launch that was refused, step by step, and what worked since. With a name, try that registration too: fetch the platform's
/// keys, ask for an access token, look at plan and course
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  labwire lti test          # the last refused launch of anybody\n  \
                  labwire lti test fun      # of one registration, also those that named it wrongly, and what can be tried from here\n\n\
                  Of what is tried nothing is kept but a token for an hour at the platform. It ends with 1 where something that was tried is wrong."
)]
pub struct TestArgs {
    /// A registration's name
    name: Option<String>,
}

pub(super) async fn run(config: &Config, args: TestArgs) -> Result<ExitCode> {
    let store = wire::store(config).await?;
    let attempts = store.lti_attempt_list().await?;
    let Some(name) = args.name else {
        let Some(last) = attempts.first() else {
            println!("no launch was refused; open the lab from the course, then ask again");
            return Ok(ExitCode::SUCCESS);
        };
        print!("{}", refused(last, None));
        if let Some(id) = &last.registration {
            println!("{}", since(store.lti_launched_at(id).await?, Some(last.at)));
            // of one that registers itself there may be none yet
            if store.lti_registration_get(id).await?.is_some() {
                println!("`labwire lti test {id}` tries the registration");
            }
        }
        return Ok(ExitCode::SUCCESS);
    };
    let id = RegistrationId(name);
    let Some(registration) = store.lti_registration_get(&id).await? else {
        bail!("no registration is named {id}; `labwire lti ls` lists them");
    };
    println!("{}\n", who(&registration));
    print!(
        "{}",
        history(&registration, &attempts, store.lti_launched_at(&id).await?)
    );
    let trier = Trier {
        store,
        platform: wire::platform(config)?,
        clock: Arc::new(wire::clock()),
        entropy: Arc::new(wire::entropy()),
        configured: config.plans.clone(),
    };
    let found = trier.attempt(&registration).await?;
    print!("\nTried now, from this machine\n{}", trials(&found));
    let bad = found.iter().any(|t| t.outcome == Outcome::Bad);
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn who(r: &Registration) -> String {
    match &r.kind {
        Kind::Platform { issuer, client_id, .. } => format!("{}: LTI 1.3, {issuer}, client {client_id}", r.id),
        Kind::Consumer { key, .. } => format!("{}: LTI 1.1, key {key}", r.id),
    }
}

/// The newest refusal of the registration, the newest that was perhaps meant for it, and whether launches worked since.
fn history(registration: &Registration, attempts: &[Attempt], worked: Option<Timestamp>) -> String {
    let known = History::of(registration, attempts, worked);
    let mut text = format!("{}\n", since(worked, known.refused_at()));
    let all = [
        (known.own, Concern::Own),
        (known.noted, Concern::Own),
        (known.near, Concern::NearMiss),
    ];
    for (attempt, concern) in all {
        if let Some(attempt) = attempt {
            let _ = write!(text, "\n{}", refused(attempt, Some(concern)));
        }
    }
    text
}

/// What an old refusal must be read with.
fn since(worked: Option<Timestamp>, refused: Option<Timestamp>) -> String {
    let at = |time: Option<Timestamp>| time.map(|t| t.to_string()).unwrap_or_default();
    let (worked_at, refused_at) = (at(worked), at(refused));
    match Standing::of(worked, refused) {
        Standing::Unseen => {
            "no launch was taken or refused so far; open the lab from the course, then ask again".into()
        }
        Standing::NeverTaken => "no launch was taken so far".into(),
        Standing::Taken => format!("the last launch was taken at {worked_at}; none was refused that is still known"),
        Standing::TakenAgain => {
            format!("the last launch was taken at {worked_at}: launches work again since the refusal of {refused_at}")
        }
        Standing::RefusedSince => format!("the last launch was taken at {worked_at}; none since the refusal"),
    }
}

/// Everything that is known of one.
fn refused(attempt: &Attempt, concern: Option<Concern>) -> String {
    let whose = match (&attempt.registration, concern, &attempt.platform) {
        (Some(id), ..) => id.to_string(),
        (None, Some(Concern::NearMiss), Some(named)) => {
            format!("no registration, though it names {named:?} and so may be meant for this one,")
        }
        (None, _, Some(named)) => format!("an unknown platform, {named:?},"),
        (None, _, None) => "an unknown platform".into(),
    };
    let end = if attempt.is_note() {
        "went on, and was noted"
    } else {
        "was refused"
    };
    let mut text = format!(
        "{}: a {} of {whose} by LTI {} {end}\n\n",
        attempt.at,
        attempt.what(),
        attempt.version
    );
    if let Some(failed) = attempt.failed_step() {
        for (n, (step, _)) in (1..).zip(STEPS) {
            let sign = match n {
                n if n < failed => "passed",
                n if n == failed => "FAILED",
                _ => "      ",
            };
            let _ = writeln!(text, "  {sign}  {n:>2}  {step}");
        }
        text.push('\n');
    }
    let fault = Fault::ALL.iter().find(|f| f.code() == attempt.code);
    if let Some(fault) = fault {
        let _ = writeln!(text, "{}", fault.text().en);
    }
    let _ = writeln!(text, "code:   {}\nfound:  {}", attempt.code, attempt.detail);
    let (next, _) = remedy(&attempt.code);
    let _ = writeln!(text, "next:   {next}");
    text
}

fn trials(all: &[Trial]) -> String {
    let mut text = String::new();
    for trial in all {
        let sign = match trial.outcome {
            Outcome::Good => "good",
            Outcome::Note => "note",
            Outcome::Bad => "BAD ",
        };
        let _ = writeln!(text, "  {sign}  {:<7} {}", trial.what, trial.found);
        if let Some(next) = &trial.next {
            let _ = writeln!(text, "                next: {next}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_of_launches_by_the_version_that_has_them_and_what_registers_itself_launched_nothing() {
        let mut by_1_3 = attempt(1, Some("edx"), "https://lms.example.org");
        (by_1_3.code, by_1_3.step) = ("lti-subject-missing".into(), 13);
        assert!(refused(&by_1_3, None).contains("FAILED  13"));
        let by_1_1 = Attempt {
            version: "1.1".into(),
            ..by_1_3.clone()
        };
        let told = refused(&by_1_1, None);
        assert!(!told.contains("passed") && !told.contains("FAILED"), "{told}");
        assert!(told.contains("user_id"), "{told}");
        by_1_3.code = "lti-plan-not-offered".into();
        let told = refused(&by_1_3, None);
        assert!(told.contains("went on") && !told.contains("FAILED"), "{told}");
        by_1_3.code = "lti-register-closed".into();
        assert!(refused(&by_1_3, None).contains("a registration of edx"));
    }

    fn attempt(secs: i64, registration: Option<&str>, platform: &str) -> Attempt {
        Attempt {
            at: Timestamp::from_secs(secs),
            registration: registration.map(|r| RegistrationId(r.into())),
            platform: Some(platform.into()),
            version: "1.3".into(),
            code: if registration.is_some() {
                "lti-nonce"
            } else {
                "lti-platform-unknown"
            }
            .into(),
            step: if registration.is_some() { 8 } else { 0 },
            detail: "what was found".into(),
        }
    }

    fn edx() -> Registration {
        Registration {
            id: RegistrationId("edx".into()),
            course: None,
            plan: None,
            created_at: Timestamp(0),
            kind: Kind::moodle("https://lms.example.org", "client".into(), vec![]),
        }
    }

    #[test]
    fn the_step_that_failed_stands_between_those_that_passed_and_those_that_were_not_reached() {
        let text = refused(&attempt(0, Some("edx"), "https://lms.example.org"), None);
        assert_eq!((text.matches("passed").count(), text.matches("FAILED").count()), (7, 1));
        assert!(
            text.contains("FAILED   8  the nonce") && text.contains("lti-nonce"),
            "{text}"
        );
    }

    #[test]
    fn an_old_refusal_is_not_read_as_todays_once_a_launch_was_taken() {
        let all = [attempt(50, Some("edx"), "https://lms.example.org")];
        let told = |worked: Option<i64>| history(&edx(), &all, worked.map(Timestamp::from_secs));
        assert!(told(Some(60)).contains("launches work again"), "{}", told(Some(60)));
        assert!(told(Some(40)).contains("none since"), "{}", told(Some(40)));
        assert!(told(None).starts_with("no launch was taken so far"), "{}", told(None));
        assert!(told(Some(60)).contains("lti-nonce"), "it is still told");
    }

    #[test]
    fn a_launch_by_a_wrong_client_id_is_told_to_who_asks_for_the_platform_and_another_platforms_is_not() {
        let all = [
            attempt(90, None, "https://other.example.org"),
            attempt(80, None, "https://lms.example.org"),
            attempt(50, Some("edx"), "https://lms.example.org"),
        ];
        let text = history(&edx(), &all, Some(Timestamp::from_secs(60)));
        assert!(
            text.contains("none since the refusal"),
            "the near miss is newer: {text}"
        );
        assert!(
            text.contains("lti-nonce") && text.contains("lti-platform-unknown"),
            "{text}"
        );
        assert!(
            text.contains("may be meant for this one") && !text.contains("other.example.org"),
            "{text}"
        );
    }
}
