//! Pages that are made here: in French and English, without a script but our own, small enough to be made by hand.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use lab_core::{entitlement::Bilingual, html::escape};

/// A text in both languages, escaped.
pub(crate) fn both(tag: &str, text: &Bilingual) -> String {
    format!(
        "<{tag}>{}</{tag}>\n<{tag} lang=\"en\">{}</{tag}>\n",
        escape(&text.fr),
        escape(&text.en)
    )
}

const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:38rem;margin:3rem auto;padding:0 1rem;color:#1c1c1c;background:#fff}\
[lang=en]{color:#555}code{background:#eee;padding:.1rem .3rem}a.button{display:inline-block;padding:.6rem 1rem;background:#0b57a4;\
color:#fff;text-decoration:none;border-radius:.3rem}";

/// A whole page.
pub(crate) fn html(status: StatusCode, title: &str, body: &str) -> Response {
    html_styled(status, title, "", body)
}

/// With further styles.
pub(crate) fn html_styled(status: StatusCode, title: &str, style: &str, body: &str) -> Response {
    let text = format!(
        "<!doctype html><html lang=\"fr\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{} · Labwire</title><style>{STYLE}{style}</style>\n{body}</html>\n",
        escape(title)
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, text).into_response()
}
