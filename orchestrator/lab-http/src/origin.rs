//! Cross-site requests. We use bearers, not cookies, so another site cannot borrow a login; this closes what is left: a page
//! elsewhere that has come by a ticket or a link, and DNS names that were made to point here.

use crate::{error::ApiError, state::HttpState};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode, header},
    middleware::Next,
    response::Response,
};

/// `scheme://host[:port]` of a URL, lower case; `None` when it is none.
pub(crate) fn origin_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest
        .split(['/', '?', '#'])
        .next()
        .filter(|a| !a.is_empty() && !a.contains('@'))?;
    Some(format!("{scheme}://{authority}").to_ascii_lowercase())
}

/// Whether a request with these headers comes from our own pages, or from no page at all (command line, monitoring).
pub(crate) fn is_ours(headers: &HeaderMap, own: &str) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let Some(origin) = origin.to_str().ok().and_then(origin_of) else {
        return false;
    };
    // the address that was typed is as good as the public one: 127.0.0.1 instead of localhost, a name inside the company
    let host = headers
        .get(header::HOST)
        .and_then(|h| h.to_str().ok())
        .unwrap_or_default()
        .to_ascii_lowercase();
    origin == own || origin.split_once("://").is_some_and(|(_, authority)| authority == host)
}

/// The middleware: what changes something, or opens a socket, must not come from elsewhere.
pub(crate) async fn check(State(state): State<HttpState>, request: Request, next: Next) -> Result<Response, ApiError> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let upgrades = request.headers().contains_key(header::UPGRADE);
    // a launch by LTI is a form of the platform's page: its signature, and for a token the browser's proof, say that it is meant
    let path = request.uri().path();
    // … a choice of labs is a form of our own page
    let launch = path.starts_with("/lti/") && path != "/lti/choose";
    if (!reads || upgrades) && !launch && !is_ours(request.headers(), &state.origin) {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "foreign-origin",
            "this request comes from another site's page",
        ));
    }
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(origin: Option<&str>, host: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        is_ours(&headers, "https://labs.example.org")
    }

    #[test]
    fn our_origin_the_typed_host_and_no_page_pass_and_nothing_else() {
        assert!(ours(None, "anything"));
        assert!(ours(Some("https://labs.example.org"), "10.0.0.7:8080"));
        assert!(ours(Some("http://127.0.0.1:8080"), "127.0.0.1:8080"));
        for foreign in [
            "null",
            "https://evil.example",
            "https://labs.example.org.evil.example",
            "https://labs.example.org@evil.example",
            "labs.example.org",
            "",
        ] {
            assert!(!ours(Some(foreign), "labs.example.org"), "{foreign:?}");
        }
        assert!(
            !ours(Some("http://127.0.0.1:9999"), "127.0.0.1:8080"),
            "another port is another origin"
        );
    }
}
