//! The one cookie of ours: proves, for ten minutes, that a platform's answer comes to the browser that asked. One a launch, so that
//! two labs of one page do not disturb each other; partitioned, so that it lives in a frame where others are blocked.

use axum::http::{HeaderMap, HeaderValue, header};

/// Enough of a state's 43 random characters to tell launches of one browser apart.
const NAME_CHARS: usize = 8;

fn name(state: &str, secure: bool) -> String {
    let short: String = state
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(NAME_CHARS)
        .collect();
    // the prefix has browsers hold its rules: this host only, sent over TLS only
    format!("{}lti-{short}", if secure { "__Host-" } else { "" })
}

/// Keeps `browser` under the state's name. Over plain HTTP, which is for trying things on one machine, browsers take neither
/// `Secure` nor what depends on it.
pub(super) fn set(public_url: &str, state: &str, browser: &str) -> Option<HeaderValue> {
    let secure = public_url.starts_with("https://");
    let rules = if secure {
        "; Secure; SameSite=None; Partitioned"
    } else {
        ""
    };
    HeaderValue::from_str(&format!(
        "{}={browser}; Path=/; Max-Age=600; HttpOnly{rules}",
        name(state, secure)
    ))
    .ok()
}

/// What was kept under the state's name.
pub(super) fn get(headers: &HeaderMap, state: &str) -> Option<String> {
    let names = [name(state, true), name(state, false)];
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
        let set = set("https://labs", a, "proof").unwrap();
        let set = set.to_str().unwrap();
        assert_eq!(
            set,
            "__Host-lti-aB1cdefg=proof; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=None; Partitioned"
        );
        let mut headers = HeaderMap::new();
        let line = format!("x=1; {}=proof; {}=other", name(a, true), name(b, true));
        headers.insert(header::COOKIE, line.parse().unwrap());
        assert_eq!(get(&headers, a).as_deref(), Some("proof"));
        assert_eq!(get(&headers, b).as_deref(), Some("other"));
        assert_eq!(get(&headers, "neverseen"), None);
    }
}
