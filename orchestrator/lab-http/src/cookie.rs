//! Cookies of ours: each proves, for ten minutes, that an answer comes to the browser that asked. One a launch, so that two labs of one
//! page do not disturb each other.

use axum::http::{HeaderMap, HeaderValue, header};

/// What is proved.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Of {
    /// A learning platform answers by a form, often in a frame of its site: partitioned, so that it lives where others are blocked.
    Lti,
    /// A provider's answer is a link that this window follows.
    Staff,
}

/// Enough of a state's 43 random characters to tell launches of one browser apart.
const NAME_CHARS: usize = 8;

fn name(of: Of, state: &str, secure: bool) -> String {
    let short: String = state
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(NAME_CHARS)
        .collect();
    let of = match of {
        Of::Lti => "lti",
        Of::Staff => "staff",
    };
    // the prefix has browsers hold its rules: this host only, sent over TLS only
    format!("{}{of}-{short}", if secure { "__Host-" } else { "" })
}

/// Keeps `browser` under the state's name. Over plain HTTP, which is for trying things on one machine, browsers take neither
/// `Secure` nor what depends on it.
pub(crate) fn set(of: Of, public_url: &str, state: &str, browser: &str) -> Option<HeaderValue> {
    let secure = public_url.starts_with("https://");
    let rules = match (of, secure) {
        (Of::Lti, true) => "; Secure; SameSite=None; Partitioned",
        (Of::Lti, false) => "",
        (Of::Staff, true) => "; Secure; SameSite=Lax",
        (Of::Staff, false) => "; SameSite=Lax",
    };
    HeaderValue::from_str(&format!(
        "{}={browser}; Path=/; Max-Age=600; HttpOnly{rules}",
        name(of, state, secure)
    ))
    .ok()
}

/// What was kept under the state's name.
pub(crate) fn get(of: Of, headers: &HeaderMap, state: &str) -> Option<String> {
    let names = [name(of, state, true), name(of, state, false)];
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    let mut pairs = lines
        .flat_map(|line| line.split(';'))
        .filter_map(|p| p.trim().split_once('='));
    pairs
        .find(|(n, _)| names.iter().any(|name| name == n))
        .map(|(_, v)| v.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_launch_has_its_own_cookie() {
        let [a, b] = ["aB-_1cdefgh", "zZ9yXwVuTs"];
        let set = |of| set(of, "https://labs", a, "proof").unwrap();
        assert_eq!(
            set(Of::Lti).to_str().unwrap(),
            "__Host-lti-aB1cdefg=proof; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=None; Partitioned"
        );
        assert_eq!(
            set(Of::Staff).to_str().unwrap(),
            "__Host-staff-aB1cdefg=proof; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax"
        );
        let mut headers = HeaderMap::new();
        let line = format!(
            "x=1; {}=proof; {}=other",
            name(Of::Lti, a, true),
            name(Of::Lti, b, true)
        );
        headers.insert(header::COOKIE, line.parse().unwrap());
        let get = |of, state| get(of, &headers, state);
        assert_eq!(get(Of::Lti, a).as_deref(), Some("proof"));
        assert_eq!(get(Of::Lti, b).as_deref(), Some("other"));
        assert_eq!(get(Of::Lti, "neverseen"), None);
        assert_eq!(get(Of::Staff, a), None, "what proves one thing proves no other");
    }
}
