//! `labwire lti test`: a refused launch, step by step.

use lab_core::launch::lti::{Attempt, Fault, Next};
use std::fmt::Write as _;

/// The fifteen steps of LTI 1.3, as [`Fault::step`] counts them.
const STEPS: [&str; 15] = [
    "the state is one of ours, unused, and of this browser",
    "the token has three parts, is signed with RS256, and names its key",
    "the platform publishes that key",
    "the signature is right",
    "the issuer is the registered one",
    "the token was made for us (aud, azp)",
    "the token is of now (exp, iat)",
    "the nonce is the one of this launch",
    "the version is 1.3.0",
    "the message is a launch, or a choice of labs",
    "the deployment is allowed",
    "the launch address is one of ours",
    "the place in the course and the person are named",
    "the roles are a list, and who chooses labs is of the staff",
    "everything else: of a choice, what is taken and where it goes",
];

/// Everything that is known of it.
pub(super) fn text(attempt: &Attempt) -> String {
    let whose = attempt
        .registration
        .as_ref()
        .map_or("an unknown platform", |r| r.0.as_str());
    let mut text = format!(
        "{}: a launch of {whose} by LTI {} was refused\n\n",
        attempt.at, attempt.version
    );
    let failed = usize::from(attempt.step);
    if failed > 0 {
        for (n, step) in (1..).zip(STEPS) {
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
    let who = match fault.map(|f| f.next()) {
        Some(Next::Again) => "nothing is to be changed: the learner opens the lab again",
        Some(Next::Course) => "correct the activity's settings in the course; `labwire lti ls NAME` prints them",
        Some(Next::Operations) => {
            "compare the registration with what the platform shows; `labwire lti add` with the same name changes it"
        }
        Some(Next::Teacher) => "nothing is to be changed: a teacher of the course chooses its labs",
        Some(Next::Choose) => "nothing is to be changed: the teacher chooses again, from the course",
        Some(Next::Later) => "wait for the platform, and see that this machine reaches it",
        None => "see the log of `labwire serve`",
    };
    let _ = writeln!(text, "next:   {who}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab_core::Timestamp;

    #[test]
    fn the_step_that_failed_stands_between_those_that_passed_and_those_that_were_not_reached() {
        let attempt = Attempt {
            at: Timestamp(0),
            registration: None,
            version: "1.3".into(),
            code: "lti-nonce".into(),
            step: 8,
            detail: "nonce is not the one of this launch".into(),
        };
        let text = text(&attempt);
        assert_eq!((text.matches("passed").count(), text.matches("FAILED").count()), (7, 1));
        assert!(
            text.contains("FAILED   8  the nonce") && text.contains("lti-nonce"),
            "{text}"
        );
    }

    #[test]
    fn every_fault_has_a_line_among_the_steps() {
        for fault in Fault::ALL {
            assert!(usize::from(fault.step()) <= STEPS.len(), "{fault:?}");
        }
    }
}
