//! The contract on a directory, and a disk that is full.

use lab_core::port::{Blobs, BlobsError};
use lab_store::ObjectBlobs;
use std::{path::Path, process::Command, sync::Arc};
use tempfile::TempDir;

#[expect(clippy::unused_async, reason = "the contract opens every adapter alike")]
async fn open() -> (Arc<dyn Blobs>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (
        Arc::new(ObjectBlobs::directory(&folder.path().join("made/when/missing")).unwrap()),
        folder,
    )
}

lab_testkit::blobs_contract!(crate::blobs::open);

#[test]
fn a_folder_that_cannot_be_made_is_said_at_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let refused = ObjectBlobs::directory(file.path()).unwrap_err();
    assert_eq!(refused.code(), "blobs-unavailable");
}

/// Runs this binary's [`on_a_full_disk`] in a mount namespace with a disk of 1 MiB.
#[test]
fn a_full_disk_is_told_apart_and_room_made_is_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let mount = r#"mount -t tmpfs -o size=1m labwire-test "$SMALL_DISK" && exec "$0" "$@""#;
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", mount])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "blobs::on_a_full_disk", "--ignored", "--nocapture"])
        .env("SMALL_DISK", folder.path())
        .output()
        .expect("unshare (package util-linux) makes the small disk");
    let said = [output.stdout, output.stderr]
        .map(|b| String::from_utf8_lossy(&b).into_owned())
        .concat();
    let remedy = "user namespaces must be allowed here (sysctl kernel.unprivileged_userns_clone, or run as root)";
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{remedy}");
}

#[tokio::test]
#[ignore = "run by a_full_disk_is_told_apart_and_room_made_is_used_again, on a disk of its own"]
async fn on_a_full_disk() {
    let disk = std::env::var("SMALL_DISK").expect("set by the test that runs this one");
    let blobs = ObjectBlobs::directory(Path::new(&disk)).unwrap();
    blobs.put("r/0", vec![1; 400_000].into()).await.unwrap();
    let refused = blobs.put("r/1", vec![2; 900_000].into()).await.unwrap_err();
    assert!(
        matches!(&refused, BlobsError::Full { key } if key == "r/1"),
        "{refused:?}"
    );
    assert_eq!(blobs.list("").await.unwrap(), ["r/0"], "half an object is no object");
    blobs
        .put("r/1", vec![3; 400_000].into())
        .await
        .expect("what was begun gave its room back");
    assert_eq!(blobs.get("r/0").await.unwrap().map(|b| b.len()), Some(400_000));
}
