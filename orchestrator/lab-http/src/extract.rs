//! What handlers are given; every refusal is an [`ApiError`] naming what was wrong.

use crate::{error::ApiError, state::HttpState};
use axum::{
    extract::{ConnectInfo, FromRequest, FromRequestParts, Path, Query, Request, rejection::JsonRejection},
    http::{HeaderMap, StatusCode, request::Parts},
};
use lab_core::{SessionId, entitlement::OrderKey, launch::Login};
use serde::de::DeserializeOwned;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

/// The login that the guard let in.
pub(crate) struct Signed(pub Login);

impl<S: Sync> FromRequestParts<S> for Signed {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // absent on a route that the table opened to anyone: such a handler gets nobody, not somebody
        parts
            .extensions
            .get::<Login>()
            .cloned()
            .map(Self)
            .ok_or_else(ApiError::not_signed_in)
    }
}

/// Where a request comes from, as far as it can be told: what paces count by, and nothing else is decided by.
pub(crate) struct Address(pub IpAddr);

impl FromRequestParts<HttpState> for Address {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(parts: &mut Parts, state: &HttpState) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(a)| a.ip());
        let told = forwarded_for(&parts.headers, state.settings.proxies);
        Ok(Self(told.unwrap_or(peer)))
    }
}

/// What the outermost of our own proxies saw. Each appends whom it was asked by, so that it is that many from the end: what stands before it is
/// whatever a client wrote. None: the request did not come through all of them.
fn forwarded_for(headers: &HeaderMap, proxies: usize) -> Option<IpAddr> {
    let all = headers.get_all("x-forwarded-for").iter();
    let all: Vec<&str> = all.filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).collect();
    let told = all.len().checked_sub(proxies).filter(|_| proxies > 0)?;
    let told = all.get(told)?.trim();
    let bare = told.strip_prefix('[').and_then(|t| t.split_once(']')).map(|(ip, _)| ip);
    let ip = bare.unwrap_or(told).parse().ok();
    // some write the port too
    ip.or_else(|| told.parse::<SocketAddr>().ok().map(|a| a.ip()))
}

/// The shop that the guard let in.
pub(crate) struct Shop(pub OrderKey);

impl<S: Sync> FromRequestParts<S> for Shop {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let key = parts.extensions.get::<OrderKey>().cloned();
        key.map(Self).ok_or_else(ApiError::not_signed_in)
    }
}

/// A JSON body.
pub(crate) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;
    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match axum::Json::<T>::from_request(request, state).await {
            Ok(axum::Json(value)) => Ok(Self(value)),
            Err(JsonRejection::MissingJsonContentType(_)) => {
                Err(ApiError::invalid("the header content-type must be application/json")
                    .status(StatusCode::UNSUPPORTED_MEDIA_TYPE))
            }
            Err(JsonRejection::JsonDataError(e)) => Err(ApiError::invalid(format!(
                "the body is not what is expected: {}",
                cause(&e)
            ))),
            Err(JsonRejection::JsonSyntaxError(e)) => {
                Err(ApiError::invalid(format!("the body is not JSON: {}", cause(&e))))
            }
            Err(e) if e.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "the body is larger than 64 KiB",
            )),
            Err(e) => Err(ApiError::invalid("the body could not be read").private(e.to_string())),
        }
    }
}

/// serde's own words (field, line, column) without axum's around them. serde quotes at most the wrong value's type.
fn cause(e: &dyn std::error::Error) -> String {
    let mut inner = e;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// The query string's members.
pub(crate) struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            // names the field only: values of a query may be tickets
            Err(_) => Err(ApiError::invalid(
                "the address's parameters are not what is expected; see /openapi.json",
            )),
        }
    }
}

/// The `{id}` of a session in the path; also put on the request's span.
pub(crate) struct SessionPath(pub SessionId);

impl<S: Send + Sync> FromRequestParts<S> for SessionPath {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = path_text(parts, state).await?;
        let id: SessionId = text
            .parse()
            .map_err(|_| ApiError::invalid("the session's id in the address must be a UUID"))?;
        tracing::Span::current().record("session.id", tracing::field::display(id));
        Ok(Self(id))
    }
}

/// The `{id}` or `{lab}` of a lab in the path.
pub(crate) struct LabPath(pub lab_core::LabId);

impl<S: Send + Sync> FromRequestParts<S> for LabPath {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = path_text(parts, state).await?;
        let plain = (1..=63).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !plain {
            return Err(ApiError::invalid("a lab's id is 1 to 63 of a-z, 0-9 and '-'"));
        }
        tracing::Span::current().record("lab.id", text.as_str());
        Ok(Self(text.into()))
    }
}

/// The `{order}` in the path, as the shop numbered it.
pub(crate) struct OrderNumber(pub String);

impl<S: Send + Sync> FromRequestParts<S> for OrderNumber {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        path_text(parts, state).await.map(Self)
    }
}

/// The one parameter of the path.
async fn path_text<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, ApiError> {
    let Path(all) = Path::<HashMap<String, String>>::from_request_parts(parts, state)
        .await
        .map_err(|_| ApiError::invalid("the address is not UTF-8"))?;
    all.into_values().next().ok_or_else(ApiError::not_found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_our_own_proxies_saw_and_never_what_a_client_wrote() {
        let told = |proxies: usize, lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            forwarded_for(&headers, proxies).map(|ip| ip.to_string())
        };
        let forged = ["203.0.113.9, 192.0.2.1"];
        assert_eq!(told(0, &forged), None, "no proxy is ours");
        assert_eq!(told(1, &forged).as_deref(), Some("192.0.2.1"));
        assert_eq!(told(2, &forged).as_deref(), Some("203.0.113.9"));
        assert_eq!(told(3, &forged), None, "it did not come through all of them");
        assert_eq!(
            told(1, &["203.0.113.9", "192.0.2.1:4711"]).as_deref(),
            Some("192.0.2.1")
        );
        assert_eq!(told(1, &["[2001:db8::1]:4711"]).as_deref(), Some("2001:db8::1"));
        assert_eq!(told(1, &["2001:db8::1"]).as_deref(), Some("2001:db8::1"));
        assert_eq!(told(1, &["unknown"]), None);
        assert_eq!(told(1, &[]), None);
    }
}
