//! A platform registers itself by an invitation, and waits; what is wrong is said, and nothing is asked without an invitation.

use super::lms::assert_refused;
use crate::kit::{Answer, Kit};
use axum::http::StatusCode;
use lab_core::{
    launch::{
        Role,
        lti::{INVITATION_TRIES_MAX, REGISTRATIONS_A_MINUTE, percent_encode},
    },
    port::{LtiStore, Unreached},
};
use serde_json::{Value, json};

const MOODLE: &str = "https://moodle.example.org";
const CONFIGURATION: &str = "https://moodle.example.org/mod/lti/openid-configuration.php";
const REGISTRATION: &str = "https://moodle.example.org/mod/lti/openid-registration.php";
const TOOL: &str = "https://purl.imsglobal.org/spec/lti-tool-configuration";
const PLATFORM: &str = "https://purl.imsglobal.org/spec/lti-platform-configuration";

fn configuration() -> Value {
    json!({
        "issuer": MOODLE,
        "authorization_endpoint": "https://moodle.example.org/mod/lti/auth.php",
        "token_endpoint": "https://moodle.example.org/mod/lti/token.php",
        "jwks_uri": "https://moodle.example.org/mod/lti/certs.php",
        "registration_endpoint": REGISTRATION,
        "scopes_supported": ["https://purl.imsglobal.org/spec/lti-ags/scope/score"],
        "id_token_signing_alg_values_supported": ["RS256"],
        (PLATFORM): {"product_family_code": "moodle", "version": "4.5"},
    })
}

/// The door, operations' bearer, and a Moodle that answers well.
struct Office {
    kit: Kit,
    bearer: String,
}

impl Office {
    async fn new() -> Self {
        let kit = Kit::new().await;
        kit.platform.answers(CONFIGURATION, 200, configuration().to_string());
        let answer = json!({"client_id": "aB3", (TOOL): {"deployment_id": "7"}});
        kit.platform.answers(REGISTRATION, 200, answer.to_string());
        let bearer = kit.sign_in("op", Role::Operations).await;
        Self { kit, bearer }
    }

    /// The address of a new invitation, below ours.
    async fn invite(&self, name: &str) -> String {
        let body = json!({"name": name, "plan": "QUALIFYING"});
        let invited = self
            .kit
            .post("/api/v1/operations/lti/invite", Some(&self.bearer), body)
            .await;
        assert_eq!(invited.status, StatusCode::CREATED, "{}", invited.text);
        let address = invited.json()["address"].as_str().unwrap().to_owned();
        address.strip_prefix("http://localhost:8080").unwrap().to_owned()
    }

    async fn comes(&self, address: &str, configuration: &str) -> Answer {
        let path = format!(
            "{address}&openid_configuration={}&registration_token=a.b.c",
            percent_encode(configuration)
        );
        self.kit.get(&path, None).await
    }

    async fn decide(&self, what: &str, name: &str) -> Answer {
        let path = format!("/api/v1/operations/lti/{what}");
        self.kit.post(&path, Some(&self.bearer), json!({"name": name})).await
    }
}

#[tokio::test]
async fn a_platform_registers_itself_and_launches_only_once_somebody_said_yes() {
    let office = Office::new().await;
    let address = office.invite("moodle").await;
    let page = office.comes(&address, CONFIGURATION).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    assert!(
        page.text.contains("moodle 4.5") && page.text.contains(MOODLE),
        "{}",
        page.text
    );
    assert!(
        page.header("content-security-policy")
            .contains("frame-ancestors 'self' https://moodle.example.org")
    );
    let asked = office.kit.platform.requests();
    let told: Value = serde_json::from_str(&asked[1].body).unwrap();
    assert_eq!((asked.len(), asked[1].url.as_str()), (2, REGISTRATION));
    assert!(asked[1].headers.contains(&("authorization", "Bearer a.b.c".to_owned())));
    assert_eq!(told["initiate_login_uri"], json!("http://localhost:8080/lti/login"));
    assert_eq!(
        told["scope"],
        json!("https://purl.imsglobal.org/spec/lti-ags/scope/score")
    );

    let launch = format!(
        "/lti/login?iss={MOODLE}&client_id=aB3&login_hint=u&target_link_uri=http://localhost:8080/lti/labs/ping"
    );
    assert_refused(&office.kit.get(&launch, None).await, "lti-platform-unknown");
    let seen = office
        .kit
        .get("/api/v1/operations/lti", Some(&office.bearer))
        .await
        .json();
    let waiting = &seen["invitations"][0]["waiting"];
    assert_eq!(
        (&waiting["platform"], &waiting["client"]),
        (&json!(MOODLE), &json!("aB3"))
    );
    assert_eq!(
        waiting["keys_url"],
        json!("https://moodle.example.org/mod/lti/certs.php")
    );

    let approved = office.decide("approve", "moodle").await;
    assert_eq!(approved.status, StatusCode::OK, "{}", approved.text);
    assert_eq!(approved.json()["registrations"][0]["name"], json!("moodle"));
    assert_eq!(office.kit.get(&launch, None).await.status, StatusCode::SEE_OTHER);
    assert_eq!(office.decide("approve", "moodle").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_invitation_is_good_for_one_platform_and_a_week() {
    let office = Office::new().await;
    let address = office.invite("moodle").await;
    assert_eq!(office.comes(&address, CONFIGURATION).await.status, StatusCode::OK);
    let asked = office.kit.platform.requests().len();
    assert_refused(&office.comes(&address, CONFIGURATION).await, "lti-register-invitation");
    let taken = office
        .kit
        .post(
            "/api/v1/operations/lti/invite",
            Some(&office.bearer),
            json!({"name": "moodle"}),
        )
        .await;
    assert_eq!(
        (taken.status, taken.code()),
        (StatusCode::CONFLICT, "registration-taken".to_owned())
    );
    assert_eq!(office.decide("reject", "moodle").await.status, StatusCode::OK);
    let first = office.invite("moodle").await;
    let second = office.invite("moodle").await;
    assert_refused(&office.comes(&first, CONFIGURATION).await, "lti-register-invitation");
    office.kit.clock.advance(std::time::Duration::from_hours(7 * 24));
    assert_refused(&office.comes(&second, CONFIGURATION).await, "lti-register-invitation");
    assert_refused(
        &office.comes("/lti/register?invitation=guess", CONFIGURATION).await,
        "lti-register-invitation",
    );
    assert_eq!(
        office.kit.platform.requests().len(),
        asked,
        "nobody is asked without an invitation"
    );
}

#[tokio::test]
async fn whoever_holds_an_invitation_cannot_have_us_ask_where_platforms_are_not() {
    let office = Office::new().await;
    let address = office.invite("moodle").await;
    for bad in [
        "",
        "http://moodle.example.org/x",
        "https://user@moodle.example.org/x",
        "file:///etc/passwd",
        "//moodle",
    ] {
        assert_refused(&office.comes(&address, bad).await, "lti-register-address");
    }
    assert!(office.kit.platform.requests().is_empty());
    let named = |name: &str, value: Value| {
        let mut all = configuration();
        all[name] = value;
        all.to_string()
    };
    for (body, code) in [
        (
            named("registration_endpoint", json!("http://169.254.169.254/")),
            "lti-register-configuration",
        ),
        (named("jwks_uri", json!("https://a@b/")), "lti-register-configuration"),
        (named("issuer", json!("https://lms.example.org")), "lti-register-issuer"),
        (
            named("id_token_signing_alg_values_supported", json!(["none"])),
            "lti-register-configuration",
        ),
        ("<html>".to_owned(), "lti-register-not-json"),
    ] {
        office.kit.platform.answers(CONFIGURATION, 200, body);
        assert_refused(&office.comes(&address, CONFIGURATION).await, code);
    }
    assert!(
        office.kit.platform.requests().iter().all(|r| r.method == "GET"),
        "nothing was sent"
    );
}

#[tokio::test]
async fn an_invitation_stays_good_until_the_platform_took_us() {
    let office = Office::new().await;
    let address = office.invite("moodle").await;
    let comes = async || office.comes(&address, CONFIGURATION).await;
    office.kit.platform.is_silent(CONFIGURATION);
    let silent = comes().await;
    assert_eq!(silent.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_refused(&silent, "lti-register-unreachable");
    office.kit.platform.answers(CONFIGURATION, 500, "");
    assert_refused(&comes().await, "lti-register-status");
    office
        .kit
        .platform
        .answers(CONFIGURATION, 200, configuration().to_string());
    for (status, body) in [
        (401, "{}"),
        (200, "<html>"),
        (200, "{}"),
        (200, "{\"client_id\": \"a b\"}"),
    ] {
        office.kit.platform.answers(REGISTRATION, status, body);
        assert_refused(&comes().await, "lti-register-refused");
    }
    let attempts = office
        .kit
        .get("/api/v1/operations/lti", Some(&office.bearer))
        .await
        .json()["attempts"]
        .clone();
    assert_eq!(attempts[0]["name"], json!("moodle"));
    assert!(
        attempts[0]["remedy"]["fr"]
            .as_str()
            .unwrap()
            .contains("labwire lti invite")
    );
    office
        .kit
        .platform
        .answers(REGISTRATION, 201, json!({"client_id": "aB3"}).to_string());
    assert_eq!(comes().await.status, StatusCode::OK);
    assert_eq!(office.kit.store.lti_registration_list().await.unwrap(), []);
}

#[tokio::test]
async fn an_invitation_is_tried_so_often_and_then_the_page_says_to_ask_for_another() {
    let mut office = Office::new().await;
    let address = office.invite("moodle").await;
    office.kit.platform.answers(CONFIGURATION, 404, "");
    for _ in 0..INVITATION_TRIES_MAX {
        let page = office.comes(&address, CONFIGURATION).await;
        assert_refused(&page, "lti-register-status");
        // a patient one: no minute has many of them
        office.kit.clock.advance(std::time::Duration::from_mins(1));
    }
    office
        .kit
        .platform
        .answers(CONFIGURATION, 200, configuration().to_string());
    let asked = office.kit.platform.requests().len();
    let page = office.comes(&address, CONFIGURATION).await;
    assert_refused(&page, "lti-register-tries");
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(page.text.contains("ask for another invitation"), "{}", page.text);
    assert!(page.text.contains("demandez une autre invitation"), "{}", page.text);
    assert_eq!(office.kit.platform.requests().len(), asked, "nobody is asked any more");
    // whoever runs the installation makes another one, and all is well
    office.bearer = office.kit.sign_in("op", Role::Operations).await;
    let anew = office.invite("moodle").await;
    assert_eq!(office.comes(&anew, CONFIGURATION).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_address_tries_so_often_in_a_minute_whatever_it_was_given() {
    let office = Office::new().await;
    for n in 0..REGISTRATIONS_A_MINUTE {
        let page = office
            .comes(&format!("/lti/register?invitation=guess-{n}"), CONFIGURATION)
            .await;
        assert_refused(&page, "lti-register-invitation");
    }
    let address = office.invite("moodle").await;
    let page = office.comes(&address, CONFIGURATION).await;
    assert_refused(&page, "lti-register-pace");
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    office.kit.clock.advance(std::time::Duration::from_mins(1));
    assert_eq!(
        office.comes(&address, CONFIGURATION).await.status,
        StatusCode::OK,
        "who had to wait used up nothing"
    );
}

/// What operations see of the newest refusal.
async fn seen_inside(office: &Office) -> Value {
    let all = office.kit.get("/api/v1/operations/lti", Some(&office.bearer)).await;
    all.json()["attempts"][0].clone()
}

#[tokio::test]
async fn why_a_platform_cannot_be_asked_is_told_with_its_remedy_and_nothing_of_our_own_network_outside() {
    let office = Office::new().await;
    let address = office.invite("moodle").await;
    let mut pages = Vec::new();
    for (why, inside, outside) in [
        (Some(Unreached::Refused), "lti-register-closed", "lti-register-closed"),
        (Some(Unreached::Tls), "lti-register-tls", "lti-register-tls"),
        (Some(Unreached::Slow), "lti-register-slow", "lti-register-slow"),
        (
            Some(Unreached::Other),
            "lti-register-unreachable",
            "lti-register-unreachable",
        ),
        (Some(Unreached::Name), "lti-register-name", "lti-register-unreachable"),
        (None, "lti-register-private", "lti-register-unreachable"),
    ] {
        match why {
            Some(why) => office.kit.platform.is_unreached(CONFIGURATION, why),
            None => office.kit.platform.is_private(CONFIGURATION),
        }
        let page = office.comes(&address, CONFIGURATION).await;
        assert_refused(&page, outside);
        let seen = seen_inside(&office).await;
        assert_eq!(seen["code"], json!(inside));
        assert_ne!(seen["remedy"]["en"], seen["remedy"]["fr"]);
        pages.push((outside, page.status, page.text));
    }
    let unreachable: Vec<_> = pages.iter().filter(|p| p.0 == "lti-register-unreachable").collect();
    assert_eq!(unreachable.len(), 3);
    assert!(
        unreachable.iter().all(|p| *p == unreachable[0]),
        "a name that is not there and one that leads inside look the same"
    );
    assert!(pages.iter().all(|p| !p.2.contains("private_hosts")), "{pages:?}");
}

#[tokio::test]
async fn of_a_host_inside_that_may_be_asked_an_invitation_does_not_tell_which_ports_are_open() {
    let decides = lab_app::Settings {
        private_hosts: vec!["moodle.example.org".into()],
        ..lab_app::Settings::default()
    };
    let kit = Kit::deciding(lab_http::HttpSettings::default(), decides).await;
    let bearer = kit.sign_in("op", Role::Operations).await;
    let office = Office { kit, bearer };
    let address = office.invite("moodle").await;
    for (why, inside) in [
        (Unreached::Refused, "lti-register-closed"),
        (Unreached::Tls, "lti-register-tls"),
        (Unreached::Slow, "lti-register-slow"),
    ] {
        office.kit.platform.is_unreached(CONFIGURATION, why);
        assert_refused(&office.comes(&address, CONFIGURATION).await, "lti-register-unreachable");
        assert_eq!(seen_inside(&office).await["code"], json!(inside));
    }
}
