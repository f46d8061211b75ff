//! OAuth 1.0 signatures (RFC 5849), as far as they are text: what is signed. The arithmetic is `lab-app`'s.

use super::form::{Params, percent_encode};

/// A request as its signature sees it.
#[derive(Clone, Debug)]
pub struct OauthRequest<'a> {
    /// `POST`.
    pub method: &'a str,
    /// As the sender knows it, before any proxy; its query is signed too.
    pub url: &'a str,
    /// Of a form, or of the `Authorization` header.
    pub params: &'a Params,
}

impl OauthRequest<'_> {
    /// The text that is signed (section 3.4.1): method, address, and every parameter of query and form but the signature, sorted by
    /// encoded name, then value. `None` when the address is none.
    pub fn base_string(&self) -> Option<String> {
        let (address, query) = normal_url(self.url)?;
        let mut pairs: Vec<(String, String)> = query
            .0
            .iter()
            .chain(&self.params.0)
            .filter(|(name, _)| name != "oauth_signature" && name != "realm")
            .map(|(name, value)| (percent_encode(name), percent_encode(value)))
            .collect();
        pairs.sort();
        let joined: Vec<String> = pairs.into_iter().map(|(n, v)| format!("{n}={v}")).collect();
        Some(format!(
            "{}&{}&{}",
            self.method.to_ascii_uppercase(),
            percent_encode(&address),
            percent_encode(&joined.join("&"))
        ))
    }
}

impl OauthRequest<'_> {
    /// The key of HMAC-SHA1 for a consumer's secret: the encoded secret, and nothing for a token.
    pub fn key(secret: &str) -> String {
        format!("{}&", percent_encode(secret))
    }
}

/// An address without query and fragment, scheme and host in lower case, the port left out where it is the scheme's own (section
/// 3.4.1.2); and the query's parameters. `None` when it is not an address of the web.
pub fn normal_url(url: &str) -> Option<(String, Params)> {
    let url = url.split('#').next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let cut = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(cut);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
    if authority.is_empty() || !authority.bytes().all(plain) {
        return None;
    }
    let authority = authority.to_ascii_lowercase();
    let host = authority.strip_suffix(default_port).unwrap_or(&authority);
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    let path = if path.is_empty() { "/" } else { path };
    Some((format!("{scheme}://{host}{path}"), Params::parse(query)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(all: &[(&str, &str)]) -> Params {
        Params(all.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    /// The example of RFC 5849, section 3.4.1.1.
    #[test]
    fn the_base_string_is_that_of_the_standard() {
        let form = pairs(&[
            ("oauth_consumer_key", "9djdj82h48djs9d2"),
            ("oauth_token", "kkk9d7dh3k39sjv7"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131201"),
            ("oauth_nonce", "7d8f3e4a"),
            ("oauth_signature", "bYT5CMsGcbgUdFHObYMEfcx6bsw="),
            ("realm", "Example"),
            ("c2", ""),
            ("a3", "2 q"),
        ]);
        let request = OauthRequest {
            method: "post",
            url: "http://EXAMPLE.com:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b",
            params: &form,
        };
        assert_eq!(
            request.base_string().unwrap(),
            "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26\
             oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26\
             oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7"
        );
        assert_eq!(OauthRequest::key("j49sk3j29djd&"), "j49sk3j29djd%26&");
    }

    #[test]
    fn hosts_and_ports_are_normal_and_paths_are_kept() {
        let of = |url| normal_url(url).map(|(base, _)| base);
        assert_eq!(
            of("HTTPS://Labs.Example.ORG:443/A/b?x").as_deref(),
            Some("https://labs.example.org/A/b")
        );
        assert_eq!(of("http://a:8080").as_deref(), Some("http://a:8080/"));
        assert_eq!(of("https://a:80/").as_deref(), Some("https://a:80/"));
        assert_eq!(of("https://user@a/"), None);
        assert_eq!(of("ftp://a/"), None);
    }
}
