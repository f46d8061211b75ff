//! Steps 5 to 15 of an `id_token`: what its claims must say. Its signature was checked before.

use super::{
    CLAIM, LtiRefusal, Verified,
    choice::{ChoiceRequest, ReturnsTo, read_choice},
    course,
    fault::Fault,
    identifier, issuer_name, members_of_token,
    roles::role_of,
    shown, subject,
    target::LaunchUrl,
};
use crate::{Timestamp, TokenHash, grading::GradeAddress, launch::Role};
use serde_json::Value;

/// Two machines' clocks may differ by so much.
pub const LEEWAY_SECS: i64 = 60;

/// A token that was made longer ago than this is not of this launch, which takes seconds.
pub const TOKEN_AGE_MAX_SECS: i64 = 600;

/// What an `id_token` is compared with.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedToken<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub nonce: TokenHash,
    /// Empty: any.
    pub deployments: &'a [String],
    /// Of the login initiation.
    pub target: &'a str,
    /// Ours: what is launched is below it.
    pub public_url: &'a str,
    /// Where a choice may go.
    pub returns_to: ReturnsTo<'a>,
}

/// What a platform wants of us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Somebody opens a lab.
    Launch {
        launch: Box<Verified>,
        /// The address that is launched, one of ours.
        target: String,
    },
    /// A teacher chooses labs for a course.
    Choose(ChoiceRequest),
}

/// Checks the claims in the order of the standard. Every optional claim may be missing, and what is not known is not looked at.
pub fn check_claims(claims: &Value, expected: &ExpectedToken<'_>, now: Timestamp) -> Result<Message, LtiRefusal> {
    if !claims.is_object() {
        return Err(Fault::Claims.because("the token's payload is not an object"));
    }
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let lti = |name: &str| claims.get(format!("{CLAIM}{name}"));
    let lti_text = |name: &str| lti(name).and_then(Value::as_str);
    // 5
    if text("iss") != Some(expected.issuer) {
        return Err(Fault::Issuer.because(format!("iss is {:?}, registered is {:?}", text("iss"), expected.issuer)));
    }
    audience(claims, expected.client_id)?;
    times(claims, now)?;
    // 8
    if text("nonce").map(TokenHash::of) != Some(expected.nonce) {
        return Err(Fault::Nonce.because("nonce is not the one of this launch"));
    }
    // 9
    if lti_text("version") != Some("1.3.0") {
        return Err(Fault::Version.because(format!("version is {:?}, not \"1.3.0\"", lti_text("version"))));
    }
    // 10
    let chooses = match lti_text("message_type") {
        Some("LtiResourceLinkRequest") => false,
        Some("LtiDeepLinkingRequest") => true,
        other => {
            return Err(Fault::MessageType.because(format!(
                "message_type is {other:?}, not \"LtiResourceLinkRequest\" or \"LtiDeepLinkingRequest\""
            )));
        }
    };
    // 11
    let deployment = lti_text("deployment_id").unwrap_or_default();
    let allowed = expected.deployments.is_empty() || expected.deployments.iter().any(|d| d == deployment);
    if deployment.is_empty() || !allowed {
        return Err(Fault::Deployment.because(format!(
            "deployment_id is {deployment:?}; the registration allows {}",
            if expected.deployments.is_empty() {
                "any".to_owned()
            } else {
                expected.deployments.join(", ")
            }
        )));
    }
    // 12: what is signed counts. Open edX begins every launch of a block with the block's own address, and names a lab that was
    // chosen only here.
    let target = lti_text("target_link_uri").unwrap_or_default();
    if LaunchUrl::of(expected.public_url, target).is_none() {
        return Err(Fault::Target.because(format!(
            "target_link_uri is {target:?}, and was {:?} when the launch began",
            expected.target
        )));
    }
    // 13
    let resource_link = lti("resource_link").and_then(|r| r.get("id")).and_then(Value::as_str);
    let resource_link = match resource_link.and_then(identifier) {
        Some(id) => id,
        // there is no place in the course yet
        None if chooses => "",
        None => {
            return Err(Fault::ResourceLink.because(format!(
                "resource_link.id is {resource_link:?}; 1 to 255 characters are needed"
            )));
        }
    };
    let user = text("sub").and_then(identifier).ok_or_else(|| {
        Fault::SubjectMissing.because(format!("sub is {:?}; anonymous launches open no labs", text("sub")))
    })?;
    // 14
    let roles = lti("roles")
        .and_then(Value::as_array)
        .ok_or_else(|| Fault::Roles.because("roles is not a list"))?;
    let role = role_of(roles.iter().filter_map(Value::as_str));
    if chooses {
        if role == Role::Learner {
            return Err(Fault::ChoiceNotStaff.because("roles hold no role of the course's staff"));
        }
        // 15
        return read_choice(claims, deployment, expected.returns_to).map(Message::Choose);
    }
    let custom = |name: &str| lti("custom").and_then(|c| c.get(name)).and_then(Value::as_str);
    let context = |name: &str| lti("context").and_then(|c| c.get(name)).and_then(Value::as_str);
    let issuer = issuer_name(expected.issuer);
    let course_id = context("id").and_then(identifier);
    let launch = Verified {
        subject: subject(issuer, user),
        user: user.to_owned(),
        name: name(claims),
        role,
        course: course(issuer, course_id),
        names_course: course_id.is_some(),
        course_title: context("title").or(context("label")).and_then(shown),
        resource_link: resource_link.to_owned(),
        lab: custom("lab").filter(|l| !l.is_empty()).map(str::to_owned),
        plan: custom("plan").and_then(identifier).map(str::to_owned),
        grade: GradeAddress::of_token(claims),
        members: members_of_token(claims),
    };
    Ok(Message::Launch {
        launch: Box::new(launch),
        target: target.to_owned(),
    })
}

/// Step 6: made for us and for nobody else; `azp` where there is one, or where there must be.
fn audience(claims: &Value, client_id: &str) -> Result<(), LtiRefusal> {
    let audiences: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if audiences.is_empty() || audiences.iter().any(|a| *a != client_id) {
        return Err(Fault::Audience.because(format!("aud is {audiences:?}, and must be {client_id:?} alone")));
    }
    match claims.get("azp") {
        Some(azp) if azp.as_str() != Some(client_id) => {
            Err(Fault::Audience.because(format!("azp is {azp}, and must be {client_id:?}")))
        }
        None if claims.get("aud").and_then(Value::as_array).is_some_and(|a| a.len() > 1) => {
            Err(Fault::Audience.because("azp is missing, though aud is a list of several"))
        }
        _ => Ok(()),
    }
}

/// Step 7.
fn times(claims: &Value, now: Timestamp) -> Result<(), LtiRefusal> {
    // whole seconds; some platforms send fractions
    let seconds = |name: &str| {
        let value = claims.get(name)?;
        value.as_i64().or_else(|| value.as_f64().map(|f| f as i64))
    };
    let now = now.secs();
    let (Some(exp), Some(iat)) = (seconds("exp"), seconds("iat")) else {
        return Err(Fault::TokenExpired.because("exp and iat must both be there, as numbers"));
    };
    if exp <= now.saturating_sub(LEEWAY_SECS) {
        return Err(Fault::TokenExpired.because(format!("exp was {} s ago", now.saturating_sub(exp))));
    }
    if iat > now.saturating_add(LEEWAY_SECS) {
        return Err(Fault::TokenFuture.because(format!("iat is {} s ahead of our clock", iat.saturating_sub(now))));
    }
    if iat < now.saturating_sub(TOKEN_AGE_MAX_SECS + LEEWAY_SECS) {
        return Err(Fault::TokenOld.because(format!(
            "iat was {} s ago, at most {TOKEN_AGE_MAX_SECS} are accepted",
            now.saturating_sub(iat)
        )));
    }
    Ok(())
}

fn name(claims: &Value) -> Option<String> {
    let of = |name: &str| claims.get(name).and_then(Value::as_str).and_then(shown);
    of("name").or_else(|| match (of("given_name"), of("family_name")) {
        (Some(given), Some(family)) => Some(format!("{given} {family}")),
        (given, family) => given.or(family),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW: i64 = 1_800_000_000;
    const OURS: &str = "https://labs.example.org";
    const TARGET: &str = "https://labs.example.org/lti/labs/ospf";
    const HOME: ReturnsTo<'_> = ReturnsTo {
        addresses: &["https://lms.example.org"],
        private_hosts: &[],
    };

    /// As Open edX sends it: no locale, no name, a string as audience.
    fn good() -> Value {
        json!({
            "iss": "https://lms.example.org", "sub": "8f1b", "aud": "client-1", "azp": "client-1", "nonce": "n-1",
            "iat": NOW, "exp": NOW + 3600,
            (format!("{CLAIM}version")): "1.3.0",
            (format!("{CLAIM}message_type")): "LtiResourceLinkRequest",
            (format!("{CLAIM}deployment_id")): "1",
            (format!("{CLAIM}target_link_uri")): TARGET,
            (format!("{CLAIM}resource_link")): {"id": "block-v1:x"},
            (format!("{CLAIM}roles")): ["http://purl.imsglobal.org/vocab/lis/v2/membership#Learner"],
            (format!("{CLAIM}context")): {"id": "course-v1:IMT+NET", "title": "Réseaux"},
            (format!("{CLAIM}launch_presentation")): {"document_target": "iframe"},
            "https://example.org/unknown": [1, 2],
        })
    }

    fn launched(message: Message) -> Verified {
        match message {
            Message::Launch { launch, .. } => *launch,
            Message::Choose(_) => panic!("a choice"),
        }
    }

    fn check(claims: &Value) -> Result<Verified, Fault> {
        read(claims).map(launched)
    }

    fn read(claims: &Value) -> Result<Message, Fault> {
        let expected = ExpectedToken {
            issuer: "https://lms.example.org",
            client_id: "client-1",
            nonce: TokenHash::of("n-1"),
            deployments: &["1".to_owned()],
            target: TARGET,
            public_url: OURS,
            returns_to: HOME,
        };
        check_claims(claims, &expected, Timestamp::from_secs(NOW)).map_err(|r| r.fault)
    }

    /// What `lti-consumer-xblock` 11.4.4, Open edX's own consumer, put into a token (its claims, as its library made them).
    #[test]
    fn what_open_edx_sends_is_a_launch() {
        let claims: Value = serde_json::from_str(include_str!("../../../tests/golden/open-edx-id-token.json")).unwrap();
        let expected = ExpectedToken {
            issuer: "https://lms.example.org",
            client_id: "6f1c8c5e-3c33-4f0e-9f5a-1b1c5f2b7a10",
            nonce: TokenHash::of("a-nonce-of-ours"),
            deployments: &[],
            target: "http://localhost:8080/lti/labs/ping",
            public_url: "http://localhost:8080",
            returns_to: HOME,
        };
        let now = Timestamp::from_secs(claims["iat"].as_i64().unwrap() + 2);
        let launch = launched(check_claims(&claims, &expected, now).unwrap());
        assert_eq!(launch.subject.as_str(), "lms.example.org#a5b1f3e2-global-external-id");
        assert_eq!(launch.course_title.as_deref(), Some("Réseaux & télécoms"));
        assert_eq!((launch.role, launch.name), (Role::Learner, None));
    }

    /// `good` with one member changed; `null` takes it away.
    fn with(name: &str, value: Value) -> Value {
        let mut claims = good();
        let known = [
            "iss",
            "sub",
            "aud",
            "azp",
            "nonce",
            "iat",
            "exp",
            "name",
            "given_name",
            "family_name",
        ];
        let name = if known.contains(&name) {
            name.to_owned()
        } else {
            format!("{CLAIM}{name}")
        };
        let all = claims.as_object_mut().unwrap();
        if value.is_null() {
            all.remove(&name);
        } else {
            all.insert(name, value);
        }
        claims
    }

    #[test]
    fn a_genuine_token_becomes_a_launch() {
        let launch = check(&good()).unwrap();
        assert_eq!(launch.subject.as_str(), "lms.example.org#8f1b");
        assert_eq!(launch.course.as_str(), "lms.example.org#course-v1:IMT+NET");
        assert_eq!(
            (launch.role, launch.name, launch.user.as_str()),
            (Role::Learner, None, "8f1b")
        );
        let named = with("custom", json!({"lab": "bgp"}));
        assert_eq!(check(&named).unwrap().lab.as_deref(), Some("bgp"));
        let planned = with("custom", json!({"plan": "QUALIFYING"}));
        assert_eq!(check(&planned).unwrap().plan.as_deref(), Some("QUALIFYING"));
        let odd = with("custom", json!({"plan": "\u{7}"}));
        assert_eq!(check(&odd).unwrap().plan, None, "what cannot be a plan asks for none");
        let mut whole = good();
        whole["name"] = json!("Zoë\n Ébène");
        assert_eq!(check(&whole).unwrap().name.as_deref(), Some("Zoë  Ébène"));
    }

    #[test]
    fn each_step_that_is_violated_has_its_own_fault() {
        let cases = [
            ("iss", json!("https://other"), Fault::Issuer),
            ("iss", Value::Null, Fault::Issuer),
            ("aud", json!("client-2"), Fault::Audience),
            ("aud", json!(["client-1", "client-2"]), Fault::Audience),
            ("aud", json!([]), Fault::Audience),
            ("aud", Value::Null, Fault::Audience),
            ("azp", json!("client-2"), Fault::Audience),
            ("azp", json!(7), Fault::Audience),
            ("exp", json!(NOW - LEEWAY_SECS), Fault::TokenExpired),
            ("exp", Value::Null, Fault::TokenExpired),
            ("iat", json!("today"), Fault::TokenExpired),
            ("iat", json!(NOW + 120), Fault::TokenFuture),
            ("iat", json!(NOW - 661), Fault::TokenOld),
            ("nonce", json!("n-2"), Fault::Nonce),
            ("nonce", Value::Null, Fault::Nonce),
            ("version", json!("1.0"), Fault::Version),
            ("message_type", json!("LtiStartProctoring"), Fault::MessageType),
            ("message_type", json!("LtiDeepLinkingRequest"), Fault::ChoiceNotStaff),
            ("message_type", Value::Null, Fault::MessageType),
            ("deployment_id", json!("2"), Fault::Deployment),
            ("deployment_id", Value::Null, Fault::Deployment),
            (
                "target_link_uri",
                json!("https://labs.example.org.evil.example/lti/labs/ospf"),
                Fault::Target,
            ),
            ("target_link_uri", Value::Null, Fault::Target),
            ("resource_link", json!({"id": ""}), Fault::ResourceLink),
            ("resource_link", json!({"id": "x".repeat(256)}), Fault::ResourceLink),
            ("resource_link", Value::Null, Fault::ResourceLink),
            ("sub", Value::Null, Fault::SubjectMissing),
            ("sub", json!(""), Fault::SubjectMissing),
            ("roles", json!("Learner"), Fault::Roles),
            ("roles", Value::Null, Fault::Roles),
        ];
        for (name, value, fault) in cases {
            assert_eq!(check(&with(name, value.clone())).unwrap_err(), fault, "{name}: {value}");
        }
        assert_eq!(check(&json!([])).unwrap_err(), Fault::Claims);
    }

    #[test]
    fn what_is_optional_may_be_missing_or_odd() {
        for (name, value) in [
            ("azp", Value::Null),
            ("aud", json!(["client-1"])),
            ("roles", json!([])),
            ("roles", json!([1, {"x": 2}])),
            ("context", Value::Null),
            ("context", json!("nonsense")),
            ("launch_presentation", json!(null)),
            ("custom", json!([])),
            ("exp", json!(NOW - LEEWAY_SECS + 1)),
            ("iat", json!(NOW + LEEWAY_SECS)),
            ("iat", json!(1_800_000_000.25)),
            ("target_link_uri", json!("https://LABS.example.org:443/lti/labs/ospf")),
        ] {
            assert!(check(&with(name, value.clone())).is_ok(), "{name}: {value}");
        }
    }

    #[test]
    fn the_signed_address_is_what_is_launched() {
        let bgp = "https://labs.example.org/lti/labs/bgp";
        match read(&with("target_link_uri", json!(bgp))).unwrap() {
            Message::Launch { target, .. } => assert_eq!(target, bgp),
            Message::Choose(_) => panic!("a choice"),
        }
    }

    #[test]
    fn staff_may_choose_before_there_is_a_place_in_the_course() {
        let mut claims = with("resource_link", Value::Null);
        claims[format!("{CLAIM}message_type")] = json!("LtiDeepLinkingRequest");
        claims["https://purl.imsglobal.org/spec/lti-dl/claim/deep_linking_settings"] =
            json!({"deep_link_return_url": "https://lms.example.org/x", "accept_types": ["ltiResourceLink"]});
        assert_eq!(read(&claims).unwrap_err(), Fault::ChoiceNotStaff);
        claims[format!("{CLAIM}roles")] = json!(["http://purl.imsglobal.org/vocab/lis/v2/membership#Instructor"]);
        match read(&claims).unwrap() {
            Message::Choose(request) => assert_eq!(request.deployment, "1"),
            Message::Launch { .. } => panic!("a launch"),
        }
    }

    #[test]
    fn details_tell_no_nonce() {
        let expected = ExpectedToken {
            issuer: "https://lms.example.org",
            client_id: "client-1",
            nonce: TokenHash::of("secret-nonce"),
            deployments: &[],
            target: TARGET,
            public_url: OURS,
            returns_to: HOME,
        };
        let refused = check_claims(&good(), &expected, Timestamp::from_secs(NOW)).unwrap_err();
        assert!(
            !refused.detail.contains("n-1") && !refused.detail.contains("secret"),
            "{refused}"
        );
    }
}
