//! The first request of LTI 1.3: the platform says that somebody wants to launch something, and we ask it who.

use super::{
    LtiRefusal, PLATFORM_ID_CHARS_MAX,
    fault::Fault,
    form::{Params, percent_encode},
    target::LaunchUrl,
};
use serde::{Deserialize, Serialize};

/// Launches that are begun from one address in a minute, of each replica: logins by LTI 1.3, and forms by 1.1. A company sends all of its
/// people through one address: 2,500 learners who open the lab in the same minute, each in a frame that may keep nothing and then once more in a
/// new window, with a second block on the same page, are 2,500 × 2 × 2. Each login is a row for ten minutes, so that one address has 100,000 of
/// them at most: 50 MB of half a kilobyte, which is what platforms send, and 2.3 GB of the 23 KB that a row has at most, of who means ill.
pub const LAUNCHES_A_MINUTE: u32 = 10_000;

/// A login initiation, checked as far as that is possible before the registration is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Initiation {
    pub iss: String,
    pub login_hint: String,
    pub target_link_uri: String,
    pub client_id: Option<String>,
    pub lti_message_hint: Option<String>,
    pub lti_deployment_id: Option<String>,
    /// The platform offers to keep our state: the name of the frame to ask, `_parent` for the one around us.
    pub lti_storage_target: Option<String>,
}

/// Who somebody is at the platform, and where they go: a number, a UUID or an address of a few hundred bytes.
const HINT_BYTES_MAX: usize = 2 * 1024;

/// What the platform wants to be told again: Open edX sends the name of something it keeps, Moodle a line of JSON, Canvas a signed token of a
/// kilobyte. One platform is known to send nearly 4 KB, and its learners are to come in too.
const MESSAGE_HINT_BYTES_MAX: usize = 4 * 1024;

impl Initiation {
    /// Reads a query or a form.
    ///
    /// # Errors
    /// What is missing, or longer than a platform needs.
    pub fn read(params: &Params) -> Result<Self, LtiRefusal> {
        let needed = |name: &str| {
            let value = params.filled(name);
            value.ok_or_else(|| {
                Fault::ParameterMissing.because(format!("{name} is missing or empty in the login initiation"))
            })
        };
        let optional = |name: &str| params.filled(name).map(str::to_owned);
        let this = Self {
            iss: needed("iss")?.to_owned(),
            login_hint: needed("login_hint")?.to_owned(),
            target_link_uri: needed("target_link_uri")?.to_owned(),
            client_id: optional("client_id"),
            lti_message_hint: optional("lti_message_hint"),
            lti_deployment_id: optional("lti_deployment_id"),
            lti_storage_target: optional("lti_storage_target"),
        };
        this.fits()?;
        Ok(this)
    }

    /// `public_url` is ours: nobody is led elsewhere. Looked at once it is known whose launch it is, so that they are told.
    ///
    /// # Errors
    /// The address that is to be launched is not one of ours.
    pub fn is_for(&self, public_url: &str) -> Result<(), LtiRefusal> {
        LaunchUrl::read(public_url, &self.target_link_uri, "target_link_uri").map(drop)
    }

    /// Anybody can send this, and a row is kept of it: nothing may be longer than a platform needs, or grow in being written down.
    fn fits(&self) -> Result<(), LtiRefusal> {
        let names = [
            ("iss", Some(&self.iss)),
            ("client_id", self.client_id.as_ref()),
            ("lti_deployment_id", self.lti_deployment_id.as_ref()),
            ("lti_storage_target", self.lti_storage_target.as_ref()),
        ];
        let hints = [
            ("login_hint", Some(&self.login_hint), HINT_BYTES_MAX),
            ("target_link_uri", Some(&self.target_link_uri), HINT_BYTES_MAX),
            (
                "lti_message_hint",
                self.lti_message_hint.as_ref(),
                MESSAGE_HINT_BYTES_MAX,
            ),
        ];
        for (name, value) in names {
            if value.is_some_and(|v| v.chars().count() > PLATFORM_ID_CHARS_MAX) {
                let said = format!("{name} is longer than {PLATFORM_ID_CHARS_MAX} characters");
                return Err(Fault::ParameterLong.because(said));
            }
        }
        for (name, value, max) in hints {
            if value.is_some_and(|v| v.len() > max) {
                return Err(Fault::ParameterLong.because(format!("{name} is longer than {max} bytes")));
            }
        }
        let all = names.into_iter().chain(hints.map(|(name, value, _)| (name, value)));
        for (name, value) in all {
            // each would be six characters in a row
            if value.is_some_and(|v| v.chars().any(char::is_control)) {
                return Err(Fault::FormUnreadable.because(format!("{name} has control characters in it")));
            }
        }
        Ok(())
    }

    /// The same again as an address below `public_url`, for a new window. The platform's storage is not asked for: a window of its own
    /// keeps its cookie.
    pub fn again(&self, public_url: &str) -> String {
        let mut url = format!("{public_url}/lti/login");
        let pairs = [
            ("iss", Some(&self.iss)),
            ("login_hint", Some(&self.login_hint)),
            ("target_link_uri", Some(&self.target_link_uri)),
            ("client_id", self.client_id.as_ref()),
            ("lti_message_hint", self.lti_message_hint.as_ref()),
            ("lti_deployment_id", self.lti_deployment_id.as_ref()),
        ];
        append(&mut url, pairs.into_iter().filter_map(|(n, v)| Some((n, v?.as_str()))));
        url
    }
}

/// The authentication request: where the browser goes next. Hints go back as they came.
pub fn auth_request(
    auth_url: &str,
    client_id: &str,
    redirect_uri: &str,
    initiation: &Initiation,
    state: &str,
    nonce: &str,
) -> String {
    let mut url = auth_url.to_owned();
    let fixed = [
        ("scope", "openid"),
        ("response_type", "id_token"),
        ("response_mode", "form_post"),
        ("prompt", "none"),
        ("client_id", client_id),
        ("redirect_uri", redirect_uri),
        ("login_hint", initiation.login_hint.as_str()),
        ("state", state),
        ("nonce", nonce),
    ];
    let hint = initiation.lti_message_hint.as_deref().map(|h| ("lti_message_hint", h));
    append(&mut url, fixed.into_iter().chain(hint));
    url
}

fn append<'a>(url: &mut String, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut separator = if url.contains('?') { '&' } else { '?' };
    for (name, value) in pairs {
        url.push(separator);
        url.push_str(name);
        url.push('=');
        url.push_str(&percent_encode(value));
        separator = '&';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "https://labs.example.org";
    const GOOD: &str = "iss=https://lms&login_hint=u%2B1&target_link_uri=https://labs.example.org/lti/labs/x&lti_message_hint=a%26b&client_id=c";

    fn read(text: &str) -> Result<Initiation, Fault> {
        let read = Initiation::read(&Params::parse(text).unwrap());
        read.and_then(|i| i.is_for(OURS).map(|()| i)).map_err(|r| r.fault)
    }

    #[test]
    fn hints_go_back_as_they_came() {
        let initiation = read(GOOD).unwrap();
        let url = auth_request(
            "https://lms/auth?x=1",
            "c",
            "https://labs/lti/launch",
            &initiation,
            "S",
            "N",
        );
        let (_, query) = super::super::oauth::normal_url(&url).unwrap();
        for (name, value) in [
            ("x", "1"),
            ("login_hint", "u+1"),
            ("lti_message_hint", "a&b"),
            ("prompt", "none"),
            ("response_mode", "form_post"),
            ("scope", "openid"),
            ("response_type", "id_token"),
            ("state", "S"),
            ("nonce", "N"),
            ("client_id", "c"),
            ("redirect_uri", "https://labs/lti/launch"),
        ] {
            assert_eq!(query.get(name), Some(value), "{name}");
        }
        let again = initiation.again(OURS);
        let again = super::super::oauth::normal_url(&again).unwrap().1;
        assert_eq!(
            Initiation::read(&again).unwrap(),
            initiation,
            "a new window begins the same launch"
        );
    }

    #[test]
    fn each_missing_parameter_and_each_foreign_target_is_refused() {
        for name in ["iss", "login_hint", "target_link_uri"] {
            for broken in [GOOD.replace(name, "other"), format!("{name}=&{GOOD}")] {
                assert_eq!(read(&broken), Err(Fault::ParameterMissing), "{broken}");
            }
        }
        let foreign = GOOD.replace("labs.example.org/lti", "evil.example/lti");
        assert_eq!(read(&foreign), Err(Fault::TargetForeign));
    }

    #[test]
    fn a_parameter_is_as_long_as_a_platform_needs_and_no_longer() {
        let whole = format!("{GOOD}&lti_deployment_id=1&lti_storage_target=_parent");
        let cases = [
            ("iss", "https://lms", 255),
            ("client_id", "c", 255),
            ("lti_deployment_id", "1", 255),
            ("lti_storage_target", "_parent", 255),
            ("login_hint", "u%2B1", 2048),
            ("target_link_uri", "https://labs.example.org/lti/labs/x", 2048),
            ("lti_message_hint", "a%26b", 4096),
        ];
        for (name, value, max) in cases {
            let with = |len: usize| {
                let start = if name == "target_link_uri" {
                    format!("{value}?")
                } else {
                    String::new()
                };
                let long = format!("{start}{}", "x".repeat(len - start.len()));
                read(&whole.replace(&format!("{name}={value}"), &format!("{name}={long}")))
            };
            assert!(with(max).is_ok(), "{name}");
            assert_eq!(with(max + 1), Err(Fault::ParameterLong), "{name}");
            let control = whole.replace(&format!("{name}={value}"), &format!("{name}={value}%01"));
            assert_eq!(read(&control), Err(Fault::FormUnreadable), "{name}");
        }
        // a letter is a letter, in whatever script
        let letters = "%C3%A9".repeat(255);
        assert!(read(&whole.replace("client_id=c", &format!("client_id={letters}"))).is_ok());
    }

    #[test]
    fn a_row_of_a_login_is_never_larger_than_its_arithmetic_says() {
        // what JSON makes two of, and four bytes a character
        let (name, quotes) = ("𝔸".repeat(255), "\"".repeat(2048));
        let worst = Initiation {
            iss: name.clone(),
            login_hint: quotes.clone(),
            target_link_uri: quotes.clone(),
            client_id: Some(name.clone()),
            lti_message_hint: Some(quotes.repeat(2)),
            lti_deployment_id: Some(name.clone()),
            lti_storage_target: Some(name),
        };
        worst.fits().unwrap();
        let row = serde_json::to_string(&worst).unwrap().len() + worst.target_link_uri.len();
        assert!(row < 23 * 1024, "{row}");
    }
}
