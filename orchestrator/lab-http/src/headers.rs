//! Security headers of every answer.

use crate::{HttpSettings, origin::origin_of};
use axum::http::{HeaderName, HeaderValue, header};

/// Header names and values, made once.
pub(crate) fn security(settings: &HttpSettings) -> Vec<(HeaderName, HeaderValue)> {
    let mut all = vec![
        (
            header::CONTENT_SECURITY_POLICY,
            content_policy(settings, "'self'", None),
        ),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // a launch link's token is in the address of its page: it must not go out as a Referer
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (
            HeaderName::from_static("permissions-policy"),
            // consoles copy and paste; nothing else of the browser is asked for
            HeaderValue::from_static(
                "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), display-capture=(), \
                 clipboard-read=(self), clipboard-write=(self), fullscreen=(self)",
            ),
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        ),
    ];
    if settings.public_url.starts_with("https://") {
        // one year, this host only: other hosts of the domain are not ours to decide about
        all.push((
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        ));
    }
    all
}

/// What our pages may load and talk to: this installation and nothing else.
///
/// Styles are the one exception from `'self'`: xterm.js writes `<style>` elements at run time (colours, cell size) and takes
/// no nonce, and a nonce could not stand in pages that are cached files anyway. A style cannot run code, and with
/// `img-src` and `font-src` closed it cannot send anything out either.
///
/// `forms`: where forms go; `framed_by`: an origin that may frame this page though the settings do not say so.
pub(crate) fn content_policy(settings: &HttpSettings, forms: &str, framed_by: Option<&str>) -> HeaderValue {
    let own = origin_of(&settings.public_url);
    // 'self' covers WebSockets in CSP 3; older Safari wants them by name
    let socket = own
        .as_deref()
        .and_then(|o| o.strip_prefix("http"))
        .map(|rest| format!(" ws{rest}"))
        .unwrap_or_default();
    // only origins: a value of the configuration cannot add a directive
    let frames: Vec<String> = settings
        .frame_ancestors
        .iter()
        .filter_map(|a| origin_of(a))
        .chain(framed_by.map(str::to_owned))
        .filter(|o| is_plain(o))
        .map(|o| " ".to_owned() + &o)
        .collect();
    let frames = frames.concat();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'{socket}; img-src 'self' data:; \
         font-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action {forms}; frame-ancestors 'self'{frames}"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
}

fn is_plain(origin: &str) -> bool {
    origin
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b":/.-*[]".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(public_url: &str, frames: &[&str]) -> String {
        let settings = HttpSettings {
            public_url: public_url.into(),
            frame_ancestors: frames.iter().map(ToString::to_string).collect(),
            ..HttpSettings::default()
        };
        content_policy(&settings, "'self'", None).to_str().unwrap().to_owned()
    }

    #[test]
    fn the_learning_platform_may_frame_us_and_its_setting_can_do_nothing_else() {
        let p = policy(
            "https://labs.example.org/x",
            &[
                "https://lms.example.org/course",
                "https://a.example; script-src *",
                "junk",
            ],
        );
        assert!(p.ends_with("frame-ancestors 'self' https://lms.example.org"), "{p}");
        assert!(p.contains("connect-src 'self' wss://labs.example.org;"), "{p}");
        assert_eq!(p.matches("script-src").count(), 1);
        assert!(p.contains("script-src 'self';"), "no inline script, no other host");
    }
}
