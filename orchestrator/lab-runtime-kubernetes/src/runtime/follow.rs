//! The one task: the watch over this installation's sandboxes, for ever.

use super::{index::Index, objects::Lean};
use futures_util::StreamExt;
use kube::{Api, runtime::watcher};
use std::{pin::pin, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Objects in one answer of a LIST: 500 of 8 KiB are 4 MiB in memory at a time.
const PAGE: u32 = 500;
/// The first pause after the watch broke; doubled each time …
const RETRY_FIRST: Duration = Duration::from_millis(200);
/// … up to this: an API server that comes back is seen within seconds, and a thousand replicas are not what asks it.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Feeds the index until told to stop.
pub(crate) async fn run((api, labels): (Api<Lean>, String), index: Arc<Index>, stop: CancellationToken) {
    let config = watcher::Config::default().labels(&labels).page_size(PAGE);
    let mut events = pin!(watcher::watcher(api, config));
    let mut retry = RETRY_FIRST;
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            event = events.next() => event,
        };
        match event {
            Some(Ok(event)) => {
                retry = RETRY_FIRST;
                index.take(event);
            }
            Some(Err(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the watch over sandboxes broke"
                );
                index.broke(error.to_string());
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(retry) => {}
                }
                retry = (retry * 2).min(RETRY_MAX);
            }
            None => return,
        }
    }
}
