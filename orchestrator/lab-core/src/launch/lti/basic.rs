//! LTI 1.1: what the parameters of a signed form must say. The signature itself is `lab-app`'s.

use super::{
    LtiRefusal, Verified, consumer_name, course, fault::Fault, form::Params, identifier, roles::role_of, shown, subject,
};
use crate::{Timestamp, grading::GradeAddress};

/// A launch's timestamp may be so far from our clock: slow links and clocks that nobody sets; a nonce counts once within it.
pub const BASIC_WINDOW_SECS: i64 = 300;

/// What is read before the signature is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicClaims<'a> {
    pub key: &'a str,
    pub nonce: &'a str,
    pub signature: &'a str,
    /// Unix seconds.
    pub timestamp: i64,
}

/// Longest nonce: what is longer is none.
const NONCE_BYTES_MAX: usize = 256;

impl<'a> BasicClaims<'a> {
    /// What must be there for a signature to mean something.
    pub fn read(params: &'a Params) -> Result<Self, LtiRefusal> {
        let needed = |name: &str| {
            let value = params.filled(name);
            value.ok_or_else(|| Fault::ParameterMissing.because(format!("{name} is missing or empty")))
        };
        // two values of one of these would leave it open which of them was meant
        let once = [
            "oauth_consumer_key",
            "oauth_signature",
            "oauth_timestamp",
            "oauth_nonce",
            "user_id",
            "roles",
        ];
        for name in once {
            if params.0.iter().filter(|(n, _)| n == name).count() > 1 {
                return Err(Fault::FormUnreadable.because(format!("{name} is there twice")));
            }
        }
        let message = params.get("lti_message_type");
        if message != Some("basic-lti-launch-request") {
            return Err(Fault::BasicMessage.because(format!(
                "lti_message_type is {message:?}, not \"basic-lti-launch-request\""
            )));
        }
        let version = params.get("lti_version");
        if !version.is_some_and(|v| v.starts_with("LTI-1p") || v.starts_with("LTI-1.")) {
            return Err(Fault::BasicMessage.because(format!("lti_version is {version:?}, not \"LTI-1p0\"")));
        }
        let (key, signature) = (needed("oauth_consumer_key")?, needed("oauth_signature")?);
        let method = needed("oauth_signature_method")?;
        if method != "HMAC-SHA1" {
            return Err(Fault::OauthMethod.because(format!("oauth_signature_method is {method:?}, not \"HMAC-SHA1\"")));
        }
        let nonce = needed("oauth_nonce")?;
        let timestamp = needed("oauth_timestamp")?;
        let timestamp: i64 = timestamp.parse().map_err(|_| {
            Fault::OauthTimestamp.because(format!("oauth_timestamp is {timestamp:?}, not a number of seconds"))
        })?;
        if nonce.len() > NONCE_BYTES_MAX {
            return Err(Fault::FormUnreadable.because(format!("oauth_nonce is longer than {NONCE_BYTES_MAX} bytes")));
        }
        Ok(Self {
            key,
            nonce,
            signature,
            timestamp,
        })
    }

    /// Whether the launch is of now.
    pub fn in_time(&self, now: Timestamp) -> Result<(), LtiRefusal> {
        let late = now.secs().saturating_sub(self.timestamp);
        if late.saturating_abs() > BASIC_WINDOW_SECS {
            return Err(Fault::OauthTimestamp.because(format!(
                "oauth_timestamp is {late} s before our clock; at most {BASIC_WINDOW_SECS} either way are accepted"
            )));
        }
        Ok(())
    }
}

/// What a form with a right signature says.
pub fn check_basic(params: &Params) -> Result<Verified, LtiRefusal> {
    let key = params.filled("oauth_consumer_key").unwrap_or_default();
    let resource_link = params.get("resource_link_id").and_then(identifier).ok_or_else(|| {
        Fault::ResourceLink.because(format!(
            "resource_link_id is {:?}; 1 to 255 characters are needed",
            params.get("resource_link_id")
        ))
    })?;
    let user = params.get("user_id").and_then(identifier).ok_or_else(|| {
        Fault::SubjectMissing.because(format!(
            "user_id is {:?}; anonymous launches open no labs",
            params.get("user_id")
        ))
    })?;
    let roles = params.get("roles").unwrap_or_default();
    let platform = consumer_name(key);
    let name = |n: &str| params.get(n).and_then(shown);
    let context = params.get("context_id").and_then(identifier);
    Ok(Verified {
        subject: subject(&platform, user),
        user: user.to_owned(),
        name: name("lis_person_name_full").or_else(|| name("lis_person_name_given")),
        role: role_of(roles.split(',')),
        course: course(&platform, context),
        names_course: context.is_some(),
        course_title: name("context_title").or_else(|| name("context_label")),
        resource_link: resource_link.to_owned(),
        lab: params.filled("custom_lab").map(str::to_owned),
        plan: params.filled("custom_plan").and_then(identifier).map(str::to_owned),
        grade: GradeAddress::of_form(params),
        members: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::Role;

    const GOOD: &str = "oauth_callback=about%3Ablank&launch_presentation_return_url=&lti_message_type=basic-lti-launch-request\
        &lti_version=LTI-1p0&resource_link_id=lms-x&user_id=a1&roles=Student&context_id=course-v1%3AX&context_title=R%C3%A9seaux\
        &oauth_timestamp=1800000000&oauth_nonce=n&oauth_version=1.0&oauth_signature_method=HMAC-SHA1&oauth_consumer_key=fun\
        &oauth_signature=c2ln&lis_person_name_full=Zo%C3%AB";

    fn read(text: &str) -> Result<i64, Fault> {
        let params = Params::parse(text).unwrap();
        BasicClaims::read(&params).map(|b| b.timestamp).map_err(|r| r.fault)
    }

    fn check(text: &str) -> Result<Verified, Fault> {
        check_basic(&Params::parse(text).unwrap()).map_err(|r| r.fault)
    }

    #[test]
    fn a_genuine_form_becomes_a_launch() {
        assert_eq!(read(GOOD), Ok(1_800_000_000));
        let launch = check(GOOD).unwrap();
        assert_eq!(launch.subject.as_str(), "lti:fun#a1");
        assert_eq!(launch.course.as_str(), "lti:fun#course-v1:X");
        assert_eq!((launch.name.as_deref(), launch.role), (Some("Zoë"), Role::Learner));
        assert_eq!(
            check(&GOOD.replace("roles=Student", "roles=Student,Instructor"))
                .unwrap()
                .role,
            Role::Teacher
        );
        assert_eq!(
            check(&format!("{GOOD}&custom_lab=bgp")).unwrap().lab.as_deref(),
            Some("bgp")
        );
    }

    #[test]
    fn each_rule_that_is_violated_has_its_own_fault() {
        for (from, to, fault) in [
            (
                "basic-lti-launch-request",
                "ContentItemSelectionRequest",
                Fault::BasicMessage,
            ),
            ("LTI-1p0", "1.3.0", Fault::BasicMessage),
            ("HMAC-SHA1", "PLAINTEXT", Fault::OauthMethod),
            ("oauth_nonce=n", "oauth_nonce=", Fault::ParameterMissing),
            ("oauth_consumer_key=fun", "x=fun", Fault::ParameterMissing),
            ("oauth_signature=c2ln", "oauth_signature=", Fault::ParameterMissing),
            ("1800000000", "soon", Fault::OauthTimestamp),
            ("user_id=a1", "user_id=a1&user_id=a2", Fault::FormUnreadable),
        ] {
            assert_eq!(read(&GOOD.replace(from, to)), Err(fault), "{to}");
        }
        assert_eq!(
            check(&GOOD.replace("user_id=a1", "user_id=")).unwrap_err(),
            Fault::SubjectMissing
        );
        assert_eq!(check(&GOOD.replace("lms-x", "")).unwrap_err(), Fault::ResourceLink);
    }

    #[test]
    fn clocks_may_differ_by_the_window() {
        let params = Params::parse(GOOD).unwrap();
        let claims = BasicClaims::read(&params).unwrap();
        let at = |secs: i64| {
            claims
                .in_time(Timestamp::from_secs(1_800_000_000 + secs))
                .map_err(|r| r.fault)
        };
        assert_eq!((at(300), at(-300)), (Ok(()), Ok(())));
        assert_eq!(
            (at(301), at(-301)),
            (Err(Fault::OauthTimestamp), Err(Fault::OauthTimestamp))
        );
    }
}
