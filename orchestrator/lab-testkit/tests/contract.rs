//! The fakes keep the promises of what they stand for.

use lab_core::port::{Blobs, Store};
use lab_testkit::{FakeBlobs, FakeStore};
use std::sync::Arc;

mod store {
    use super::{Arc, FakeStore, Store};

    #[expect(clippy::unused_async, reason = "the contract opens every adapter alike")]
    async fn open() -> (Arc<dyn Store>, ()) {
        (Arc::new(FakeStore::default()), ())
    }

    lab_testkit::store_contract!(crate::store::open);
}

mod blobs {
    use super::{Arc, Blobs, FakeBlobs};

    #[expect(clippy::unused_async, reason = "the contract opens every adapter alike")]
    async fn open() -> (Arc<dyn Blobs>, ()) {
        (Arc::new(FakeBlobs::default()), ())
    }

    lab_testkit::blobs_contract!(crate::blobs::open);
}
