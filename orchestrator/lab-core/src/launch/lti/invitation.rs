//! Dynamic registration (1EdTech, *LTI Dynamic Registration* 1.0): a platform's administrator pastes one address into the platform, and
//! the two of us tell each other the rest.
//!
//! ```text
//!  invite ──► invited ──platform registers──► waiting ──approve──► a [`Registration`]
//!               │                               └────reject────► gone
//!               └──expires──► gone
//! ```
//! Nobody is asked anything without an invitation, and nothing is launched before somebody here said yes: who holds the invitation's
//! address chooses which platform is asked, and that must not be enough to become one.

use super::{
    Jwks, Kind, LtiRefusal, Registration, RegistrationId,
    fault::Fault,
    is_address,
    registration::{host_of, registration_problem},
    shown,
};
use crate::{CourseId, PlanId, Timestamp, TokenHash};
use serde_json::{Value, json};
use std::time::Duration;

/// An administrator of a platform is written to, and has a free moment within a week.
pub const INVITATION_TTL: Duration = Duration::from_hours(7 * 24);

/// Tries of one invitation. A try that works is the last one. What goes wrong before it: an address, a name or firewall, a certificate, a proxy in
/// between, a platform that says no: five things, each tried, mended and tried again three times, are 15; and some reloads. Each try asks two
/// addresses of whoever came, so that one invitation has us ask 40.
pub const INVITATION_TRIES_MAX: u32 = 20;

/// Registrations that are begun from one address in a minute, of each replica: an administrator who mends and tries again does so every few
/// seconds; ten who sit in one room at a training, three a minute each.
pub const REGISTRATIONS_A_MINUTE: u32 = 30;

/// What an invitation is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It holds; this try is counted.
    Good(Box<Invitation>),
    /// [`INVITATION_TRIES_MAX`] were made.
    Spent,
    /// Not known, expired, or answered.
    Unknown,
}

/// Where a platform is described within its own configuration, and we within ours.
const PLATFORM: &str = "https://purl.imsglobal.org/spec/lti-platform-configuration";
const TOOL: &str = "https://purl.imsglobal.org/spec/lti-tool-configuration";

/// What we ask for where it is offered: grades, and who is in the course.
const SCOPES: [&str; 4] = [
    "https://purl.imsglobal.org/spec/lti-ags/scope/lineitem",
    "https://purl.imsglobal.org/spec/lti-ags/scope/result.readonly",
    "https://purl.imsglobal.org/spec/lti-ags/scope/score",
    "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly",
];

/// A platform that may register itself, or has, and waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Of the registration that comes of it.
    pub id: RegistrationId,
    /// What the address holds.
    pub secret: TokenHash,
    /// As of the registration.
    pub course: Option<CourseId>,
    pub plan: Option<PlanId>,
    pub created_at: Timestamp,
    /// Of the invitation; what waits does so for longer.
    pub expires_at: Timestamp,
    /// Who came.
    pub waiting: Option<Waiting>,
}

/// A platform that registered and was not approved yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub at: Timestamp,
    /// What it calls itself: `moodle 4.5`.
    pub product: String,
    /// [`Kind::Platform`].
    pub kind: Kind,
}

impl Invitation {
    /// What comes of it once it is approved, if somebody waits.
    pub fn registration(&self, at: Timestamp) -> Option<Registration> {
        let waiting = self.waiting.as_ref()?;
        Some(Registration {
            id: self.id.clone(),
            course: self.course.clone(),
            plan: self.plan.clone(),
            created_at: at,
            kind: waiting.kind.clone(),
        })
    }
}

/// What a platform says of itself, as far as we need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    pub issuer: String,
    pub registration_url: String,
    pub product: String,
    auth_url: String,
    token_url: String,
    token_audience: Option<String>,
    jwks_url: String,
    scopes: Vec<&'static str>,
}

/// Whether an address may be asked: by `https`, or of a host that the settings say may be without; and without a name and password.
pub fn may_be_asked(address: &str, private_hosts: &[String]) -> bool {
    let Some(host) = host_of(address).filter(|_| is_address(address)) else {
        return false;
    };
    address.starts_with("https://") || private_hosts.iter().any(|h| h.eq_ignore_ascii_case(&host))
}

/// Whether an address is of one of these hosts.
pub fn is_host_of(address: &str, hosts: &[String]) -> bool {
    host_of(address).is_some_and(|host| hosts.iter().any(|h| h.eq_ignore_ascii_case(&host)))
}

/// An address without what it asks for: some platforms put their token there.
pub fn place(url: &str) -> &str {
    url.split('?').next().unwrap_or_default()
}

/// Reads the platform's `OpenID` configuration, found at `url`. What it names is fetched and sent to later: every address is checked here,
/// and again, when it is resolved, by whoever connects.
pub fn read_configuration(text: &str, url: &str, private_hosts: &[String]) -> Result<Configuration, LtiRefusal> {
    let value: Value = serde_json::from_str(text)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| {
            Fault::RegisterNotJson.because(format!("{} is not an OpenID configuration (JSON)", place(url)))
        })?;
    // a platform that is elsewhere must not lead us to those of our own network
    let own: Vec<String> = host_of(url)
        .filter(|_| is_host_of(url, private_hosts))
        .into_iter()
        .collect();
    let address = |name: &str| {
        let found = value.get(name).and_then(Value::as_str).unwrap_or_default();
        if may_be_asked(found, &own) {
            return Ok(found.to_owned());
        }
        Err(Fault::RegisterConfiguration.because(format!("{name} is {found:?}; an https address is needed")))
    };
    let issuer = address("issuer")?;
    if host_of(&issuer) != host_of(url) {
        return Err(Fault::RegisterIssuer.because(format!(
            "the configuration at {} is of {issuer:?}, which is another host",
            place(url)
        )));
    }
    let lists = |name: &str, wanted: &str| {
        // what is not listed at all is not refused either: the field is optional
        let list = value.get(name).and_then(Value::as_array);
        if list.is_none_or(|all| all.iter().any(|v| v == wanted)) {
            return Ok(());
        }
        Err(Fault::RegisterConfiguration.because(format!("{name} does not hold {wanted}, which is what we use")))
    };
    lists("id_token_signing_alg_values_supported", "RS256")?;
    lists("token_endpoint_auth_methods_supported", "private_key_jwt")?;
    let offered = value.get("scopes_supported").and_then(Value::as_array);
    let scopes = SCOPES.into_iter();
    let scopes = scopes.filter(|s| offered.is_some_and(|all| all.iter().any(|v| v == s)));
    let platform = value.get(PLATFORM);
    let named = |name: &str| {
        platform
            .and_then(|p| p.get(name))
            .and_then(Value::as_str)
            .and_then(shown)
    };
    let product = [named("product_family_code"), named("version")];
    Ok(Configuration {
        registration_url: address("registration_endpoint")?,
        auth_url: address("authorization_endpoint")?,
        token_url: address("token_endpoint")?,
        jwks_url: address("jwks_uri")?,
        token_audience: value
            .get("authorization_server")
            .and_then(Value::as_str)
            .filter(|a| is_address(a))
            .map(str::to_owned),
        product: product.into_iter().flatten().collect::<Vec<_>>().join(" "),
        scopes: scopes.collect(),
        issuer,
    })
}

/// What we tell the platform of us (`OpenID` Connect Dynamic Client Registration 1.0, with LTI's part).
pub fn tool_registration(public_url: &str, configuration: &Configuration) -> Value {
    let launch = format!("{public_url}/lti/launch");
    let domain = public_url.split_once("://").map_or(public_url, |(_, rest)| rest);
    json!({
        "application_type": "web",
        "response_types": ["id_token"],
        "grant_types": ["client_credentials", "implicit"],
        "initiate_login_uri": format!("{public_url}/lti/login"),
        "redirect_uris": [launch],
        "client_name": "Labwire",
        "jwks_uri": format!("{public_url}/lti/jwks"),
        "token_endpoint_auth_method": "private_key_jwt",
        "id_token_signed_response_alg": "RS256",
        "scope": configuration.scopes.join(" "),
        (TOOL): {
            "domain": domain.split('/').next(),
            "target_link_uri": launch,
            "custom_parameters": {},
            // a name and no mail address: nothing here is sent to people of a course
            "claims": ["iss", "sub", "name"],
            "messages": [
                {"type": "LtiResourceLinkRequest", "target_link_uri": launch, "label": "Labwire"},
                {"type": "LtiDeepLinkingRequest", "target_link_uri": launch, "label": "Labwire", "placements": ["ContentArea"]},
            ],
        },
    })
}

/// Reads the platform's answer: what we are called there. Who waits may still be refused.
pub fn read_registered(text: &str, configuration: &Configuration) -> Result<Kind, LtiRefusal> {
    let refused =
        |why: &str| Fault::RegisterRefused.because(format!("{}: {why}", place(&configuration.registration_url)));
    let value: Value = serde_json::from_str(text).map_err(|_| refused("the answer is not JSON"))?;
    let client_id = value.get("client_id").and_then(Value::as_str).unwrap_or_default();
    let deployment = value.get(TOOL).and_then(|t| t.get("deployment_id"));
    let deployment = match deployment {
        Some(Value::String(text)) => Some(text.clone()),
        // some write it as the number that it is in their database
        Some(Value::Number(n)) => Some(n.to_string()),
        _ => None,
    };
    let kind = Kind::Platform {
        issuer: configuration.issuer.clone(),
        client_id: client_id.to_owned(),
        auth_url: configuration.auth_url.clone(),
        token_url: configuration.token_url.clone(),
        token_audience: configuration.token_audience.clone(),
        jwks: Jwks::Url(configuration.jwks_url.clone()),
        deployments: deployment.filter(|d| !d.is_empty()).into_iter().collect(),
    };
    let as_it_would_be = Registration {
        id: RegistrationId("x".into()),
        course: None,
        plan: None,
        created_at: Timestamp(0),
        kind: kind.clone(),
    };
    match registration_problem(&as_it_would_be) {
        Some(problem) => Err(refused(&problem)),
        None => Ok(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://moodle.example.org/mod/lti/openid-configuration.php";
    const OURS: &str = "https://labs.example.org";

    fn moodle() -> Value {
        json!({
            "issuer": "https://moodle.example.org",
            "token_endpoint": "https://moodle.example.org/mod/lti/token.php",
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "jwks_uri": "https://moodle.example.org/mod/lti/certs.php",
            "authorization_endpoint": "https://moodle.example.org/mod/lti/auth.php",
            "registration_endpoint": "https://moodle.example.org/mod/lti/openid-registration.php",
            "scopes_supported": [SCOPES[0], SCOPES[2], "openid"],
            "id_token_signing_alg_values_supported": ["RS256"],
            (PLATFORM): {"product_family_code": "moodle", "version": "4.5"},
        })
    }

    fn read(value: &Value) -> Result<Configuration, LtiRefusal> {
        read_configuration(&value.to_string(), URL, &[])
    }

    fn with(name: &str, changed: Value) -> Value {
        let mut value = moodle();
        value[name] = changed;
        value
    }

    #[test]
    fn a_platform_that_describes_itself_is_asked_for_what_it_offers_and_no_more() {
        let read = read(&moodle()).unwrap();
        assert_eq!(
            (read.issuer.as_str(), read.product.as_str()),
            ("https://moodle.example.org", "moodle 4.5")
        );
        let asked = tool_registration(OURS, &read);
        assert_eq!(asked["scope"], json!(format!("{} {}", SCOPES[0], SCOPES[2])));
        assert_eq!(asked["redirect_uris"], json!(["https://labs.example.org/lti/launch"]));
        assert_eq!(asked[TOOL]["domain"], json!("labs.example.org"));
    }

    #[test]
    fn an_address_of_another_host_or_without_tls_is_refused_by_its_name() {
        for name in [
            "issuer",
            "token_endpoint",
            "jwks_uri",
            "authorization_endpoint",
            "registration_endpoint",
        ] {
            for bad in [
                json!(null),
                json!("http://moodle.example.org/"),
                json!("https://"),
                json!("https://user:pass@moodle.example.org/"),
                json!("file:///etc/passwd"),
                json!("https://moodle.example.org/ x"),
            ] {
                let refused = read(&with(name, bad.clone())).unwrap_err();
                assert_eq!(refused.fault, Fault::RegisterConfiguration, "{name} {bad}");
                assert!(refused.detail.contains(name), "{refused}");
            }
        }
        let foreign = read(&with("issuer", json!("https://evil.example"))).unwrap_err();
        assert_eq!(foreign.fault, Fault::RegisterIssuer);
        let longer = read(&with("issuer", json!("https://moodle.example.org.evil.example"))).unwrap_err();
        assert_eq!(longer.fault, Fault::RegisterIssuer);
    }

    #[test]
    fn a_platform_that_cannot_do_what_we_do_is_refused_and_one_that_does_not_say_is_not() {
        for (name, list) in [
            ("id_token_signing_alg_values_supported", json!(["ES256"])),
            ("token_endpoint_auth_methods_supported", json!(["client_secret_post"])),
        ] {
            assert!(read(&with(name, list)).unwrap_err().detail.contains(name));
            assert!(read(&with(name, Value::Null)).is_ok());
        }
        assert!(read_configuration("<html>", URL, &[]).is_err());
        assert!(read_configuration("[]", URL, &[]).is_err());
    }

    #[test]
    fn what_the_platform_answers_becomes_a_registration_with_its_deployment_pinned() {
        let configuration = read(&moodle()).unwrap();
        let answer = json!({"client_id": "aB3", (TOOL): {"deployment_id": 7}}).to_string();
        let Kind::Platform {
            client_id,
            deployments,
            jwks,
            ..
        } = read_registered(&answer, &configuration).unwrap()
        else {
            panic!("a platform")
        };
        assert_eq!((client_id.as_str(), deployments), ("aB3", vec!["7".to_owned()]));
        assert_eq!(jwks, Jwks::Url("https://moodle.example.org/mod/lti/certs.php".into()));
        for bad in ["{}", "<html>", "{\"client_id\": \"a b\"}", "{\"client_id\": 3}"] {
            assert_eq!(
                read_registered(bad, &configuration).unwrap_err().fault,
                Fault::RegisterRefused,
                "{bad}"
            );
        }
    }

    #[test]
    fn only_a_host_that_the_settings_name_may_be_without_tls() {
        let hosts = ["moodle.internal".to_owned()];
        assert!(may_be_asked("http://Moodle.internal:8000/x", &hosts));
        for bad in [
            "http://moodle.internal.evil.example/",
            "http://moodle.internal@evil.example/",
            "ftp://moodle.internal/",
        ] {
            assert!(!may_be_asked(bad, &hosts), "{bad}");
        }
        assert!(!may_be_asked("http://moodle.internal/", &[]));
    }
}
