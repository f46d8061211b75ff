//! Deep linking 2.0: a teacher chooses labs from within the course, and the platform gets their addresses.
//!
//! ```text
//!  `LtiDeepLinkingRequest` ──► [`ChoiceRequest`] ──► the picker's page ──► [`content_items`] ──► [`choice_response`] ──► platform
//! ```

use super::{LtiRefusal, fault::Fault, is_address, shown};
use crate::{
    Timestamp,
    entitlement::Bilingual,
    grading::{ags::line_item, points_of},
    lab::LabFile,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// Deep linking's own claims begin with this.
const CLAIM_DL: &str = "https://purl.imsglobal.org/spec/lti-dl/claim/";

/// From the page to the choice: a teacher reads about some labs, and is called away once.
pub const CHOICE_TTL: Duration = Duration::from_mins(30);

/// Labs of one choice: the chapters of a long course, five times. Each is about half a kilobyte of the answer.
pub const CHOSEN_MAX: usize = 50;

/// What a platform has us bring back. With the rest, signed, in base64, it is a quarter of the longest form we read.
const DATA_BYTES_MAX: usize = 8 * 1024;

/// An answer is sent at once; where scripts are off, when somebody has found the button.
const RESPONSE_SECS: i64 = 600;

/// … and was made a little before, for a platform whose clock is behind ours.
const RESPONSE_EARLIER_SECS: i64 = 5;

/// Open edX keeps so many characters of a title.
const TITLE_CHARS_MAX: usize = 255;

/// What a platform wants to have chosen, and where the answer goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChoiceRequest {
    pub deployment: String,
    pub return_url: String,
    /// More than one lab may be chosen.
    pub multiple: bool,
    /// Not when the platform says that it makes no columns of a gradebook from an answer.
    pub columns: bool,
    /// Goes back as it came.
    pub data: Option<Value>,
    /// The page's language, where the platform says one.
    pub locale: Option<String>,
}

/// Whose address a choice may be returned to.
#[derive(Clone, Copy, Debug)]
pub struct ReturnsTo<'a> {
    /// The platform's registered addresses.
    pub addresses: &'a [&'a str],
    /// Hosts that may be asked without TLS.
    pub private_hosts: &'a [String],
}

/// Reads the settings of a request. Who asks was checked before.
pub(super) fn read_choice(claims: &Value, deployment: &str, to: ReturnsTo<'_>) -> Result<ChoiceRequest, LtiRefusal> {
    let settings = claims.get(format!("{CLAIM_DL}deep_linking_settings"));
    let settings = settings
        .filter(|s| s.is_object())
        .ok_or_else(|| Fault::ChoiceSettings.because("deep_linking_settings is missing, or not an object"))?;
    let types: Vec<&str> = match settings.get("accept_types") {
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => return Err(Fault::ChoiceSettings.because("accept_types is not a list")),
    };
    if !types.contains(&"ltiResourceLink") {
        return Err(Fault::ChoiceType.because(format!("accept_types is {types:?}; \"ltiResourceLink\" is needed")));
    }
    let url = settings.get("deep_link_return_url").and_then(Value::as_str);
    let return_url = url.unwrap_or_default();
    if let Some(problem) = return_problem(return_url, to) {
        return Err(Fault::ChoiceReturn.because(format!("deep_link_return_url is {return_url:?}: {problem}")));
    }
    let data = settings.get("data").filter(|d| !d.is_null()).cloned();
    if data.as_ref().is_some_and(|d| d.to_string().len() > DATA_BYTES_MAX) {
        return Err(Fault::ChoiceSettings.because(format!("data is longer than {DATA_BYTES_MAX} bytes")));
    }
    let says = |name: &str| settings.get(name).and_then(Value::as_bool);
    let presentation = claims.get(format!("{}launch_presentation", super::CLAIM));
    Ok(ChoiceRequest {
        deployment: deployment.to_owned(),
        return_url: return_url.to_owned(),
        multiple: says("accept_multiple").unwrap_or(false),
        columns: says("accept_lineitem").unwrap_or(true),
        data,
        locale: presentation
            .and_then(|p| p.get("locale"))
            .and_then(Value::as_str)
            .and_then(shown),
    })
}

/// Why an answer may not go there: it holds what a teacher chose, and a form of ours sends the browser.
fn return_problem(url: &str, to: ReturnsTo<'_>) -> Option<String> {
    let Some(place) = Place::of(url) else {
        return Some("it is not an address of the web".into());
    };
    let private = |h: &String| h.eq_ignore_ascii_case(&place.host);
    if !place.secure && !to.private_hosts.iter().any(private) {
        return Some("it must begin with https://, or its host be named in the setting lti.private_hosts".into());
    }
    let home = to
        .addresses
        .iter()
        .filter_map(|a| Place::of(a))
        .any(|p| place.is_at(&p));
    (!home).then(|| "its host is not that of the registered issuer, auth-url or token-url, nor below it".into())
}

/// Scheme, host and port of an address.
struct Place {
    secure: bool,
    /// Lower case.
    host: String,
    port: u16,
}

impl Place {
    fn of(url: &str) -> Option<Self> {
        if !is_address(url) {
            return None;
        }
        let (scheme, rest) = url.split_once("://")?;
        let secure = scheme == "https";
        let authority = rest.split(['/', '?']).next().filter(|a| !a.contains('@'))?;
        let (host, port) = match authority.rsplit_once(':') {
            // the colons of an IPv6 address stand in brackets
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (authority, if secure { 443 } else { 80 }),
        };
        (!host.is_empty()).then(|| Self {
            secure,
            host: host.to_ascii_lowercase(),
            port,
        })
    }

    /// The same place, or a name below its name.
    fn is_at(&self, other: &Self) -> bool {
        let below = |name: &str| name.strip_suffix(&other.host).is_some_and(|n| n.ends_with('.'));
        self.port == other.port && (self.host == other.host || below(&self.host))
    }
}

/// The language of a text that goes to a platform, which takes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Fr,
    En,
}

impl Language {
    /// From a tag like `en-GB`, or the header `Accept-Language`: the first of the two that is named.
    pub fn from_tags(tags: &str) -> Option<Self> {
        tags.split(',').find_map(
            |tag| match tag.trim().get(..2).map(str::to_ascii_lowercase).as_deref() {
                Some("fr") => Some(Self::Fr),
                Some("en") => Some(Self::En),
                _ => None,
            },
        )
    }

    /// One of two.
    pub fn of(self, text: &Bilingual) -> &str {
        match self {
            Self::Fr => &text.fr,
            Self::En => &text.en,
        }
    }
}

/// Points of a lab's checks: the maximum of its column.
pub fn points(lab: &LabFile) -> u32 {
    points_of(lab)
        .iter()
        .fold(0, |sum, (_, points)| sum.saturating_add(*points))
}

/// The chosen labs, as a platform wants them. Each is opened by its address; its id is also a parameter, since some platforms launch
/// everything at one address. `columns`: with a column of the gradebook, where the lab has points.
pub fn content_items(public_url: &str, labs: &[LabFile], columns: bool, language: Language) -> Value {
    let item = |lab: &LabFile| {
        let title: String = language.of(&lab.title).chars().take(TITLE_CHARS_MAX).collect();
        let mut item = json!({
            "type": "ltiResourceLink", "url": format!("{public_url}/lti/labs/{}", lab.id), "title": title,
            "text": language.of(&lab.summary), "custom": {"lab": lab.id.as_str()}, "window": {"targetName": "_blank"},
        });
        if columns && points(lab) > 0 {
            item["lineItem"] = line_item(&lab.id, &title, points(lab));
        }
        item
    };
    labs.iter().map(item).collect()
}

/// The claims of the answer; `nonce` must be new.
pub fn choice_response(
    client_id: &str,
    issuer: &str,
    request: &ChoiceRequest,
    items: &Value,
    nonce: &str,
    now: Timestamp,
) -> Value {
    let lti = |name: &str| format!("{}{name}", super::CLAIM);
    let mut claims = json!({
        "iss": client_id, "aud": [issuer], "nonce": nonce,
        "iat": now.secs() - RESPONSE_EARLIER_SECS, "exp": now.secs() + RESPONSE_SECS,
        (lti("message_type")): "LtiDeepLinkingResponse",
        (lti("version")): "1.3.0",
        (lti("deployment_id")): request.deployment,
        (format!("{CLAIM_DL}content_items")): items,
    });
    if let Some(data) = &request.data {
        claims[format!("{CLAIM_DL}data")] = data.clone();
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: [&str; 2] = ["https://lms.example.org", "https://auth.example.net:8443/login"];

    fn returned(url: &str) -> Result<ChoiceRequest, Fault> {
        asked(&json!({"deep_link_return_url": url, "accept_types": ["html", "ltiResourceLink"]}))
    }

    fn asked(settings: &Value) -> Result<ChoiceRequest, Fault> {
        let claims = json!({(format!("{CLAIM_DL}deep_linking_settings")): settings});
        let private_hosts = ["moodle.internal".to_owned()];
        let to = ReturnsTo {
            addresses: &[
                &HOME[..],
                &["http://moodle.internal/mod/lti/auth.php", "http://plain.example.org"],
            ]
            .concat(),
            private_hosts: &private_hosts,
        };
        read_choice(&claims, "1", to).map_err(|r| r.fault)
    }

    #[test]
    fn an_answer_goes_to_the_platform_and_nowhere_else() {
        for home in [
            "https://lms.example.org/api/lti-dl/response",
            "https://LMS.example.org:443/x?course=1&sesskey=a",
            "https://studio.lms.example.org/x",
            "https://auth.example.net:8443/x",
            "http://moodle.internal/mod/lti/contentitem_return.php?id=7",
        ] {
            assert_eq!(returned(home).unwrap().return_url, home);
        }
        for foreign in [
            "https://evil.example/x",
            "https://lms.example.org.evil.example/x",
            "https://evillms.example.org/x",
            "https://lms.example.org@evil.example/x",
            "https://evil.example\\@lms.example.org/x",
            "https://lms.example.org:8443/x",
            "https://auth.example.net/x",
            "http://lms.example.org/x",
            "http://plain.example.org/x",
            "https://moodle.internal/x",
            "javascript:alert(1)//https://lms.example.org",
            "//lms.example.org/x",
            "https://lms.example.org/x#fragment",
            "https://lms.example.org/a b",
            "",
        ] {
            assert_eq!(returned(foreign).unwrap_err(), Fault::ChoiceReturn, "{foreign}");
        }
    }

    #[test]
    fn a_platform_must_take_links_of_tools_and_may_leave_the_rest_out() {
        let url = "https://lms.example.org/x";
        let with = |more: Value| {
            let mut all = json!({"deep_link_return_url": url, "accept_types": ["ltiResourceLink"]});
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            asked(&all)
        };
        let plain = with(json!({})).unwrap();
        assert_eq!((plain.multiple, plain.columns, plain.data), (false, true, None));
        let all = with(json!({"accept_multiple": true, "accept_lineitem": false, "data": "a&\"é"})).unwrap();
        assert_eq!(
            (all.multiple, all.columns, all.data),
            (true, false, Some(json!("a&\"é")))
        );
        for (more, fault) in [
            (json!({"accept_types": ["html", "link"]}), Fault::ChoiceType),
            (json!({"accept_types": []}), Fault::ChoiceType),
            (json!({"accept_types": "ltiResourceLink"}), Fault::ChoiceSettings),
            (json!({"deep_link_return_url": null}), Fault::ChoiceReturn),
            (json!({"data": "x".repeat(DATA_BYTES_MAX)}), Fault::ChoiceSettings),
        ] {
            assert_eq!(with(more.clone()).unwrap_err(), fault, "{more}");
        }
        assert_eq!(asked(&json!(7)).unwrap_err(), Fault::ChoiceSettings);
    }

    #[test]
    fn the_first_language_that_we_have_is_taken() {
        for (tags, language) in [
            ("en", Some(Language::En)),
            ("fr-CA,en;q=0.8", Some(Language::Fr)),
            ("de-DE, EN-gb;q=0.7, fr", Some(Language::En)),
            ("de", None),
            ("é", None),
            ("", None),
        ] {
            assert_eq!(Language::from_tags(tags), language, "{tags}");
        }
    }

    #[test]
    fn an_answer_holds_what_was_sent_and_what_was_chosen() {
        let data = json!("{\"x\":\"é\"}");
        let mut request = returned("https://lms.example.org/x").unwrap();
        request.data = Some(data.clone());
        let now = Timestamp::from_secs(1_800_000_000);
        let claims = choice_response("client-1", "https://lms.example.org", &request, &json!([]), "n", now);
        assert_eq!(
            (&claims["iss"], &claims["aud"]),
            (&json!("client-1"), &json!(["https://lms.example.org"]))
        );
        assert_eq!(claims[format!("{CLAIM_DL}data")], data);
        assert_eq!(claims[format!("{CLAIM_DL}content_items")], json!([]), "cancelled");
        assert_eq!(claims["exp"].as_i64().unwrap() - now.secs(), RESPONSE_SECS);
        request.data = None;
        let claims = choice_response("client-1", "https://lms.example.org", &request, &json!([]), "n", now);
        assert!(
            claims.get(format!("{CLAIM_DL}data")).is_none(),
            "nothing came, nothing goes"
        );
    }
}
