//! How long the two operations on the click's and the keystroke's way take. A measurement: run it alone, in release.

use crate::sqlite;
use lab_core::port::{Admission, Store as _};
use lab_store::{SqlStore, StoreOptions};
use lab_testkit::contract::store::{
    fixture::{School, at},
    recording::chunk,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Samples of each.
const SAMPLES: u64 = 500;

/// What the middle one may take: a commit is one sync of the log, 0.2-1 ms on a disk with a write cache that is safe.
const WITHIN: Duration = Duration::from_millis(2);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: cargo test --release -p lab-store --test store speed -- --ignored --nocapture"]
async fn admit_and_append_take_under_two_milliseconds() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = Arc::new(
        SqlStore::open(&sqlite::url(folder.path()), StoreOptions::default())
            .await
            .unwrap(),
    );
    let school = School::open(store.clone()).await;
    let mut last = None;
    let mut admits = Vec::new();
    for i in 0..SAMPLES {
        let learner = format!("learner-{i}");
        school.grant(&learner, "QUALIFYING", 3600).await;
        let click = school.click(&learner, "tiny");
        let begun = Instant::now();
        let answer = store.admit(&click).await.unwrap();
        admits.push(begun.elapsed());
        assert!(matches!(answer, Admission::Admitted(_)));
        last = Some(click.session);
    }
    let id = last.expect("SAMPLES is not 0");
    store.recording_open(id, at(0)).await.unwrap();
    let mut appends = Vec::new();
    for i in 0..SAMPLES {
        let chunk = chunk(id, i * 100, (i + 1) * 100);
        let begun = Instant::now();
        store.recording_append(&chunk).await.unwrap();
        appends.push(begun.elapsed());
    }
    for (what, mut times) in [("admit", admits), ("recording_append", appends)] {
        times.sort();
        let (middle, worst) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        println!("{what}: median {middle:?}, 99 % {worst:?}");
        assert!(middle < WITHIN, "{what} takes {middle:?}");
    }
}
