//! The adapter against real sockets on this machine.

#![allow(
    clippy::unwrap_used,
    reason = "clippy's own exception for tests does not see their helpers"
)]

use lab_core::port::{PLATFORM_BODY_BYTES_MAX, Platform, PlatformError, PlatformRequest, Unreached};
use lab_platform::HttpPlatform;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// A server that gives one answer to everybody; its port, and how many came.
async fn server(answer: String) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let came = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&came);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, came)
}

fn http(status: &str, more: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{more}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn open(hosts: &[&str]) -> HttpPlatform {
    HttpPlatform::open(hosts.iter().map(ToString::to_string).collect()).unwrap()
}

#[tokio::test]
async fn a_private_host_is_asked_only_when_it_is_allowed() {
    let (port, came) = server(http("200 OK", "", "{}")).await;
    for host in ["127.0.0.1", "localhost"] {
        let request = PlatformRequest::get(&format!("http://{host}:{port}/keys?token=secret"), "application/json");
        let refused = open(&[]).send(&request).await.unwrap_err();
        assert!(matches!(refused, PlatformError::Private { .. }), "{host}: {refused:?}");
        assert!(!refused.to_string().contains("secret"), "{refused}");
        assert_eq!(came.load(Ordering::SeqCst), 0, "nobody was asked");
    }
    let request = PlatformRequest::get(&format!("http://localhost:{port}/keys"), "application/json");
    let answer = open(&["localhost"]).send(&request).await.unwrap();
    assert_eq!(
        (answer.status, answer.body.as_str(), came.load(Ordering::SeqCst)),
        (200, "{}", 1)
    );
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (elsewhere, came) = server(http("200 OK", "", "inside")).await;
    let (port, _) = server(http(
        "302 Found",
        &format!("location: http://127.0.0.1:{elsewhere}/\r\n"),
        "",
    ))
    .await;
    let request = PlatformRequest::post(&format!("http://127.0.0.1:{port}/"), "text/plain", "x".into());
    let answer = open(&["127.0.0.1"]).send(&request).await.unwrap();
    assert_eq!((answer.status, came.load(Ordering::SeqCst)), (302, 0));
}

#[tokio::test]
async fn a_wish_to_be_left_alone_is_heard() {
    for (header, secs) in [
        ("retry-after: 120\r\n", Some(120)),
        ("retry-after: tomorrow\r\n", None),
        ("", None),
    ] {
        let (port, _) = server(http("429 Too Many Requests", header, "")).await;
        let request = PlatformRequest::get(&format!("http://127.0.0.1:{port}/"), "*/*");
        let answer = open(&["127.0.0.1"]).send(&request).await.unwrap();
        assert_eq!((answer.status, answer.retry_after.map(|d| d.as_secs())), (429, secs));
    }
}

#[tokio::test]
async fn a_list_says_where_it_goes_on() {
    let (port, _) = server(http("200 OK", "link: </items?page=2>; rel=\"next\"\r\n", "[]")).await;
    let request = PlatformRequest::get(&format!("http://127.0.0.1:{port}/items"), "*/*");
    let answer = open(&["127.0.0.1"]).send(&request).await.unwrap();
    assert_eq!(answer.next, Some(format!("http://127.0.0.1:{port}/items?page=2")));
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let (port, _) = server(http("200 OK", "", &"x".repeat(PLATFORM_BODY_BYTES_MAX + 1))).await;
    let request = PlatformRequest::get(&format!("http://127.0.0.1:{port}/"), "*/*");
    let refused = open(&["127.0.0.1"]).send(&request).await.unwrap_err();
    assert!(matches!(refused, PlatformError::Answer { .. }), "{refused:?}");
}

#[tokio::test]
async fn why_nobody_answers_is_told() {
    let (plain, _) = server(http("400 Bad Request", "", "this is not TLS")).await;
    let quiet = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let quiet_port = quiet.local_addr().unwrap().port();
    let hosts = ["127.0.0.1", "nobody.invalid"].map(str::to_owned).to_vec();
    for (url, patience_ms, expected) in [
        ("http://127.0.0.1:1/".to_owned(), 10_000, Unreached::Refused),
        ("https://nobody.invalid/".to_owned(), 10_000, Unreached::Name),
        (format!("https://127.0.0.1:{plain}/"), 10_000, Unreached::Tls),
        (format!("http://127.0.0.1:{quiet_port}/"), 300, Unreached::Slow),
    ] {
        let platform = HttpPlatform::patient(hosts.clone(), Duration::from_millis(patience_ms)).unwrap();
        let refused = platform.send(&PlatformRequest::get(&url, "*/*")).await.unwrap_err();
        assert!(
            matches!(&refused, PlatformError::Unavailable { why, .. } if *why == expected),
            "{url}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn nobody_there_and_no_address_are_told_apart() {
    let platform = open(&["127.0.0.1"]);
    let silent = platform
        .send(&PlatformRequest::get("http://127.0.0.1:1/", "*/*"))
        .await
        .unwrap_err();
    assert!(matches!(silent, PlatformError::Unavailable { .. }), "{silent:?}");
    for url in ["file:///etc/passwd", "https://user:pw@lms.example.org/", "nonsense"] {
        let refused = platform.send(&PlatformRequest::get(url, "*/*")).await.unwrap_err();
        assert!(matches!(refused, PlatformError::Address { .. }), "{url}: {refused:?}");
    }
}
