//! The web pages inside the binary: which file an address shows, compressed once at start, cached by the rules of its kind.

use crate::state::HttpState;
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use rust_embed::RustEmbed;
use std::{collections::HashMap, io::Write, sync::OnceLock};

#[derive(RustEmbed)]
#[folder = "../../web-terminal/dist"]
struct Dist;

/// Every file of the web build, ready to send. Some 1.5 MB with its compressed twin, shared by all requests.
pub(crate) struct Pages {
    files: HashMap<String, Page>,
}

struct Page {
    plain: Bytes,
    /// Only when it is smaller.
    gzip: Option<Bytes>,
    kind: HeaderValue,
    /// Entity tag, for pages that are asked for again.
    tag: HeaderValue,
}

impl Pages {
    /// The pages, made at first use: about 50 ms of compression.
    pub fn shared() -> &'static Self {
        static PAGES: OnceLock<Pages> = OnceLock::new();
        PAGES.get_or_init(|| {
            // the build's own notes begin with a dot
            let files = Dist::iter().filter(|name| !name.starts_with('.')).filter_map(|name| {
                let file = Dist::get(&name)?;
                Some((
                    name.to_string(),
                    Page::new(&name, file.data.into_owned().into(), file.metadata.sha256_hash()),
                ))
            });
            Self { files: files.collect() }
        })
    }
}

impl Page {
    fn new(name: &str, plain: Bytes, hash: [u8; 32]) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
        let gzip = encoder
            .write_all(&plain)
            .and_then(|()| encoder.finish())
            .ok()
            .filter(|z| z.len() < plain.len())
            .map(Bytes::from);
        let half = u128::from_be_bytes(*hash.first_chunk().expect("32 bytes have 16"));
        let tag = HeaderValue::from_str(&format!("\"{half:032x}\"")).expect("hex digits in quotes are a header value");
        Self {
            plain,
            gzip,
            kind: HeaderValue::from_static(media_type(name)),
            tag,
        }
    }
}

/// Media type by ending; `nosniff` makes an unknown one a download.
fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map" | "webmanifest") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("wasm") => "application/wasm",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// The file that an address shows. `/watch/<id>` and `/replay/<id>` read their id from the address by script.
fn file_of(path: &str) -> Option<&str> {
    let mut parts = path.trim_start_matches('/').splitn(2, '/');
    match (parts.next().unwrap_or_default(), parts.next()) {
        ("", None) => Some("index.html"),
        ("launch", None) => Some("launch.html"),
        ("lab", None) => Some("lab.html"),
        ("teacher", None) => Some("teacher.html"),
        ("learner", None) => Some("learner.html"),
        ("operations", None) => Some("operations.html"),
        ("office", None) => Some("office.html"),
        ("watch", Some(id)) if !id.is_empty() && !id.contains('/') => Some("watch.html"),
        ("replay", Some(id)) if !id.is_empty() && !id.contains('/') => Some("replay.html"),
        // never a page by its file name: each page has one address
        _ => Some(path.trim_start_matches('/')).filter(|p| media_type(p) != media_type("index.html")),
    }
}

/// The fallback of the router: a page, a file of one, or not found.
pub(crate) async fn show(State(state): State<HttpState>, request: Request) -> Response {
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    if uri.path().starts_with("/api/") || uri.path() == "/api" {
        return crate::error::ApiError::not_found().into_response();
    }
    match file_of(uri.path()).and_then(|name| state.pages.files.get(name)) {
        None => not_found(),
        Some(_) if method != Method::GET && method != Method::HEAD => method_not_allowed().await.into_response(),
        Some(page) => send(page, uri, headers),
    }
}

fn send(page: &Page, uri: &Uri, headers: &HeaderMap) -> Response {
    let lists = |name: header::HeaderName, what: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .any(|v| {
                let mut parts = v.split(';');
                parts.next().is_some_and(|name| name.trim() == what) && !parts.any(|q| q.trim() == "q=0")
            })
    };
    let cache = match uri.path() {
        // the build puts a hash of the content into these names
        path if path.starts_with("/assets/") => "public, max-age=31536000, immutable",
        // its address carries a token
        "/launch" => "no-store",
        _ => "no-cache",
    };
    let known = [
        (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
        (header::ETAG, page.tag.clone()),
        (header::VARY, HeaderValue::from_static("accept-encoding")),
    ];
    if cache != "no-store" && lists(header::IF_NONE_MATCH, page.tag.to_str().unwrap_or_default()) {
        return (StatusCode::NOT_MODIFIED, known).into_response();
    }
    let kind = [(header::CONTENT_TYPE, page.kind.clone())];
    match &page.gzip {
        Some(gzip) if lists(header::ACCEPT_ENCODING, "gzip") => (
            known,
            kind,
            [(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))],
            gzip.clone(),
        )
            .into_response(),
        _ => (known, kind, page.plain.clone()).into_response(),
    }
}

/// For a known path with a method it does not have.
pub(crate) async fn method_not_allowed() -> crate::error::ApiError {
    crate::error::ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "this address has no such method",
    )
}

const NOT_FOUND: &str = "<!doctype html><html lang=\"fr\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
<title>404 · Labwire</title><h1>404</h1>\
<p>Cette page n’existe pas. Vérifiez l’adresse, ou rouvrez le lab depuis votre cours.</p>\
<p lang=\"en\">There is no such page. Check the address, or open the lab from your course again.</p>\
<p><a href=\"/\">Labwire</a></p></html>\n";

fn not_found() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (StatusCode::NOT_FOUND, headers, NOT_FOUND).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_has_one_address() {
        assert_eq!(file_of("/"), Some("index.html"));
        assert_eq!(file_of("/lab"), Some("lab.html"));
        assert_eq!(file_of("/watch/0190"), Some("watch.html"));
        assert_eq!(file_of("/assets/a-1.js"), Some("assets/a-1.js"));
        assert_eq!(file_of("/lab.html"), None);
        assert_eq!(
            file_of("/watch/a/b"),
            Some("watch/a/b"),
            "which is no file, so not found"
        );
    }

    #[test]
    fn a_smaller_twin_is_sent_only_to_who_takes_it() {
        let page = Page::new("a.js", Bytes::from(vec![b' '; 4096]), [7; 32]);
        let of = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, accept.parse().unwrap());
            send(&page, &Uri::from_static("/assets/a.js"), &headers)
                .headers()
                .contains_key(header::CONTENT_ENCODING)
        };
        assert!(of("br, gzip"));
        assert!(of("gzip;q=0.5"));
        assert!(!of("gzip;q=0"));
        assert!(!of("identity"));
    }
}
