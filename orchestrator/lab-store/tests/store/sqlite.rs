//! The contract on SQLite: in a file, as `serve` uses it, and in memory, as tests do.

use lab_core::port::Store;
use lab_store::{SqlStore, StoreOptions};
use std::{path::Path, sync::Arc};
use tempfile::TempDir;

/// The address of a database in `folder`.
pub fn url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("labwire.db").display())
}

/// An empty store, and the folder that goes with it.
pub async fn open() -> (Arc<dyn Store>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqlStore::open(&url(folder.path()), StoreOptions::default())
        .await
        .unwrap();
    (Arc::new(store), folder)
}

lab_testkit::store_contract!(crate::sqlite::open);

mod memory {
    use super::{Arc, SqlStore, Store, StoreOptions};

    async fn open() -> (Arc<dyn Store>, ()) {
        (
            Arc::new(
                SqlStore::open("sqlite::memory:", StoreOptions::default())
                    .await
                    .unwrap(),
            ),
            (),
        )
    }

    lab_testkit::store_contract!(crate::sqlite::memory::open);
}
