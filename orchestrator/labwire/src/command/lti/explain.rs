//! `labwire lti test`: a refused launch, step by step.

use lab_core::launch::lti::{Attempt, Fault, STEPS, remedy};
use std::fmt::Write as _;

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
}
