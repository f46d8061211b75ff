//! What every [`Blobs`] promises. Each function is one promise and takes an empty store; an adapter runs them all with
//! [`blobs_contract!`](crate::blobs_contract).

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "these are tests that live in a library"
)]

use bytes::Bytes;
use lab_core::port::{Blobs, BlobsError};
use std::sync::Arc;

pub async fn what_is_put_is_got_back(blobs: Arc<dyn Blobs>) {
    let binary: Bytes = (0..=255_u8)
        .cycle()
        .take(3 * 1024 * 1024 + 7)
        .collect::<Vec<_>>()
        .into();
    for (key, bytes) in [
        ("empty", Bytes::new()),
        ("recording/0190-a/00000000", binary),
        ("A_b-c.d", "x".into()),
    ] {
        blobs.put(key, bytes.clone()).await.unwrap();
        assert_eq!(blobs.get(key).await.unwrap(), Some(bytes), "{key}");
    }
}

pub async fn putting_again_replaces(blobs: Arc<dyn Blobs>) {
    for bytes in ["a longer first one", "second"] {
        blobs.put("r/s/0", bytes.into()).await.unwrap();
        assert_eq!(blobs.get("r/s/0").await.unwrap(), Some(bytes.into()));
    }
    assert_eq!(blobs.list("").await.unwrap(), ["r/s/0"]);
}

pub async fn what_is_not_there_is_none_and_may_be_deleted(blobs: Arc<dyn Blobs>) {
    assert_eq!(blobs.get("none").await.unwrap(), None);
    assert_eq!(blobs.get("no/such/folder").await.unwrap(), None);
    blobs.delete("none").await.unwrap();
    blobs.delete("no/such/folder").await.unwrap();
    blobs.put("one", "1".into()).await.unwrap();
    blobs.delete("one").await.unwrap();
    blobs.delete("one").await.unwrap();
    assert_eq!(blobs.get("one").await.unwrap(), None);
}

pub async fn a_list_holds_every_key_with_the_prefix_and_no_other(blobs: Arc<dyn Blobs>) {
    let keys = [
        "recording/a/00",
        "recording/a/01",
        "recording/ab/00",
        "recording/b/00",
        "screenshot/a",
    ];
    for key in keys {
        blobs.put(key, key.into()).await.unwrap();
    }
    for (prefix, expected) in [
        ("", &keys[..]),
        ("recording/", &keys[..4]),
        ("recording/a", &keys[..3]),
        ("recording/a/", &keys[..2]),
        ("recording/a/01", &keys[1..2]),
        ("recording/x/", &[]),
        ("s", &keys[4..]),
    ] {
        let mut found = blobs.list(prefix).await.unwrap();
        found.sort();
        assert_eq!(found, expected, "{prefix:?}");
    }
}

pub async fn what_is_not_a_key_is_refused(blobs: Arc<dyn Blobs>) {
    let long = "k".repeat(600);
    let bad = [
        "",
        "/",
        "/abs",
        "a/",
        "a//b",
        "../up",
        "a/../b",
        ".",
        "a/.hidden",
        "a b",
        "é",
        "a\0b",
        "a\\b",
        "%2e%2e",
        &long,
    ];
    for key in bad {
        for answer in [
            blobs.put(key, "x".into()).await,
            blobs.get(key).await.map(drop),
            blobs.delete(key).await,
        ] {
            assert!(matches!(answer, Err(BlobsError::Key { .. })), "{key:?}: {answer:?}");
        }
    }
    assert!(matches!(blobs.list("../").await, Err(BlobsError::Key { .. })));
    assert_eq!(blobs.list("").await.unwrap(), [""; 0], "nothing was written");
}

/// Replacing is whole: who reads meanwhile gets the one or the other.
pub async fn a_reader_never_sees_half_an_object(blobs: Arc<dyn Blobs>) {
    let versions = [Bytes::from(vec![1; 200_000]), Bytes::from(vec![2; 300_000])];
    blobs.put("k", versions[0].clone()).await.unwrap();
    let writer = tokio::spawn({
        let (blobs, versions) = (blobs.clone(), versions.clone());
        async move {
            for i in 0..40 {
                blobs.put("k", versions[i % 2].clone()).await.unwrap();
            }
        }
    });
    while !writer.is_finished() {
        let read = blobs.get("k").await.unwrap().expect("it is replaced, never removed");
        assert!(versions.contains(&read), "{} bytes", read.len());
    }
    writer.await.unwrap();
}

/// One `#[tokio::test]` a promise. `$open` is an async function that gives an `Arc<dyn Blobs>` that is empty, and whatever
/// must live as long as it.
#[macro_export]
macro_rules! blobs_contract {
    ($open:path) => {
        $crate::blobs_contract!(@each $open:
            what_is_put_is_got_back
            putting_again_replaces
            what_is_not_there_is_none_and_may_be_deleted
            a_list_holds_every_key_with_the_prefix_and_no_other
            what_is_not_a_key_is_refused
            a_reader_never_sees_half_an_object
        );
    };
    (@each $open:path: $($promise:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                let (blobs, _alive) = $open().await;
                $crate::contract::blobs::$promise(blobs).await;
            }
        )+
    };
}
