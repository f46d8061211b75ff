//! `Link` headers (RFC 8288), as far as lists that come in pages need them.

use reqwest::{
    Url,
    header::{HeaderMap, LINK},
};

/// Where the list that was answered from `at` goes on, as a whole address.
pub(crate) fn next(headers: &HeaderMap, at: &Url) -> Option<String> {
    let values = headers.get_all(LINK).iter().filter_map(|v| v.to_str().ok());
    let target = values.flat_map(links).find(|(_, params)| is_next(params))?.0;
    at.join(target).ok().map(Into::into)
}

/// The targets of a header with their parameters. A comma or semicolon within the angle brackets is part of the address.
fn links(value: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = value;
    std::iter::from_fn(move || {
        let (_, from) = rest.split_once('<')?;
        let (target, after) = from.split_once('>')?;
        let end = until(after, ',');
        rest = &after[end..];
        Some((target.trim(), &after[..end]))
    })
}

/// Up to the next `stop`; one in quotes is none.
fn until(text: &str, stop: char) -> usize {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            c if c == stop && !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

/// A link may have several relations; their names have no case.
fn is_next(params: &str) -> bool {
    let mut rest = params;
    while !rest.is_empty() {
        let end = until(rest, ';');
        let (name, value) = rest[..end].split_once('=').unwrap_or_default();
        let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
        if name.trim().eq_ignore_ascii_case("rel") && relations.any(|r| r.eq_ignore_ascii_case("next")) {
            return true;
        }
        rest = rest[end..].strip_prefix(';').unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_in_every_form_that_the_standard_allows() {
        let at = Url::parse("https://lms.example/items?type_id=3").unwrap();
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LINK, value.parse().unwrap());
            next(&headers, &at)
        };
        let whole = Some("https://lms.example/items?page=2".to_owned());
        assert_eq!(of("<https://lms.example/items?page=2>; rel=\"next\""), whole);
        assert_eq!(of("<https://lms.example/items?page=2>;REL=Next"), whole);
        assert_eq!(
            of("<https://a/0>; rel=\"prev\"; title=\"a, <b>; rel=next\", </items?page=2> ; rel=\"last next\""),
            whole
        );
        assert_eq!(
            of("<?page=a,b;c>; rel=next").as_deref(),
            Some("https://lms.example/items?page=a,b;c")
        );
        for none in [
            "",
            "<https://a/1>; rel=\"differences\"",
            "<https://a/1",
            "rel=next",
            "<http://[>; rel=next",
        ] {
            assert_eq!(of(none), None, "{none}");
        }
        assert_eq!(next(&HeaderMap::new(), &at), None);
    }
}
