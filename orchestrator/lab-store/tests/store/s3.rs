//! The contract on a real HTTP S3, and uploads that are changed on their way.

use lab_core::port::{Blobs, BlobsError};
use lab_store::{ObjectBlobs, S3Options};
use std::{process::Command, sync::Arc};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// The server's address: the one given, or the throw-away one. Without a server the tests fail, and say what to do.
fn server() -> String {
    if let Ok(url) = std::env::var("LABWIRE_TEST_S3") {
        return url;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/s3");
    let output = Command::new(script)
        .arg("start")
        .output()
        .unwrap_or_else(|e| panic!("{script}: {e}"));
    let said = String::from_utf8_lossy(&output.stderr);
    let remedy = "set LABWIRE_TEST_S3=http://… to an S3 that takes any key";
    assert!(output.status.success(), "no S3 to test with: {said}; {remedy}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Makes a bucket by the one request that the adapter has no call for.
async fn bucket(server: &str) -> String {
    let name = format!("t-{}", uuid::Uuid::now_v7().simple());
    let address = server.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("PUT /{name} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    name
}

fn options(endpoint: &str, bucket: &str) -> S3Options {
    S3Options {
        bucket: bucket.to_owned(),
        prefix: "some/prefix".into(),
        endpoint: Some(endpoint.to_owned()),
        region: "us-east-1".into(),
        path_style: true,
        keys: Some(("test".into(), "test".into())),
    }
}

async fn open() -> (Arc<dyn Blobs>, ()) {
    let server = server();
    let bucket = bucket(&server).await;
    (Arc::new(ObjectBlobs::s3(&options(&server, &bucket)).unwrap()), ())
}

lab_testkit::blobs_contract!(crate::s3::open);

/// A relay that turns one letter of what is sent into another, as a broken network card or proxy might.
async fn mangling(server: &str) -> (String, JoinSet<()>) {
    let target = server.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut relays = JoinSet::new();
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(&target).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            relays.spawn(async move {
                let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
            });
            relays.spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(n @ 1..) = from_client.read(&mut buffer).await {
                    let sent = String::from_utf8_lossy(&buffer[..n]).replace("FRAGILE", "BROKEN!");
                    if to_server.write_all(sent.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, tasks)
}

#[tokio::test]
async fn an_upload_that_is_not_what_was_sent_is_refused_and_lies_in_quarantine() {
    let server = server();
    let bucket = bucket(&server).await;
    let (relay, _tasks) = mangling(&server).await;
    let through = ObjectBlobs::s3(&options(&relay, &bucket)).unwrap();
    let refused = through.put("recordings/a/0-7", "FRAGILE".into()).await.unwrap_err();
    assert!(
        matches!(&refused, BlobsError::Corrupt { key } if key == "recordings/a/0-7"),
        "{refused:?}"
    );
    let direct = ObjectBlobs::s3(&options(&server, &bucket)).unwrap();
    assert_eq!(
        direct.get("recordings/a/0-7").await.unwrap(),
        None,
        "nobody can take it for good"
    );
    let aside = direct.get("quarantine/recordings/a/0-7").await.unwrap();
    assert_eq!(
        aside,
        Some("BROKEN!".into()),
        "whoever looks into it finds what arrived"
    );
    through.put("recordings/a/0-7", "sturdy".into()).await.unwrap();
    assert_eq!(direct.get("recordings/a/0-7").await.unwrap(), Some("sturdy".into()));
}

#[tokio::test]
async fn a_bucket_that_does_not_answer_is_unavailable_within_the_recorders_patience() {
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let blobs = ObjectBlobs::s3(&options(&nobody, "nobody")).unwrap();
    let since = std::time::Instant::now();
    let refused = blobs.put("recordings/a/0-1", "x".into()).await.unwrap_err();
    assert_eq!(refused.code(), "blobs-unavailable");
    assert!(since.elapsed().as_secs() < 20, "{:?}", since.elapsed());
    let missing = ObjectBlobs::s3(&options(&server(), "no-such-bucket-anywhere")).unwrap();
    let refused = missing.put("recordings/a/0-1", "x".into()).await.unwrap_err();
    assert_eq!(refused.code(), "blobs-unavailable");
}
