//! A write that was begun is finished, whatever becomes of who asked for it.

use crate::sqlite;
use lab_core::port::{ErrorKind, Store};
use lab_store::{SqlStore, StoreOptions};
use lab_testkit::contract::store::fixture::School;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_leaves_nothing_half_way() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite::url(folder.path());
    let store = Arc::new(SqlStore::open(&url, StoreOptions::default()).await.unwrap());
    let school = School::open(store.clone()).await;
    school.grant("ada", "GROUP", 9000).await;
    let clicks: Vec<_> = (0..3).map(|i| school.click("ada", &format!("lab-{i}"))).collect();
    for click in &clicks {
        let mut admit = store.admit(click);
        assert!(futures_util::poll!(&mut admit).is_pending(), "it was begun");
        drop(admit);
    }
    store.close().await;
    assert_eq!(store.ping().await.unwrap_err().kind(), ErrorKind::Unavailable);

    let store = SqlStore::open(&url, StoreOptions::default()).await.unwrap();
    for click in &clicks {
        let session = store
            .session_get(click.session)
            .await
            .unwrap()
            .expect("it was finished");
        assert_eq!(session.held_secs, 900);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let url = sqlite::url(folder.path());
    let serve = School::open(Arc::new(SqlStore::open(&url, StoreOptions::default()).await.unwrap())).await;
    // `labwire grant` beside `labwire serve`: other connections, the same file
    let command = Arc::new(SqlStore::open(&url, StoreOptions::default()).await.unwrap());
    let grants = (0..40).map(|_| serve.grant_of("ada", "GROUP", 100));
    let both = grants.enumerate().map(|(i, grant)| {
        let store: Arc<dyn Store> = if i % 2 == 0 {
            serve.store.clone()
        } else {
            command.clone()
        };
        async move { store.grant_issue(&grant).await.unwrap() }
    });
    futures_util::future::join_all(both).await;
    assert_eq!(serve.available(&"ada".into()).await, [100; 40]);
}
