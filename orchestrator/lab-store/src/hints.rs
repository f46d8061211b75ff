//! What replicas tell each other: "look at the sessions", and nothing else.
//!
//! Postgres carries it (`NOTIFY`); with SQLite there is one process, and nobody to tell. A hint is sent after the transaction, on
//! its own and together with what else happened in a moment: inside transactions it would make Postgres commit all of them one by
//! one. One that is lost costs a turn of the listener's timer, nothing more.

use crate::{db::Db, dialect::Dialect};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use sqlx::{AnyPool, postgres::PgListener};
use std::{future::Future, sync::Arc, time::Duration};
use tokio::{sync::Notify, time::sleep};

/// The channel's name in the database.
const CHANNEL: &str = "labwire_hints";

/// Changes within this are one hint: a storm of 2 500 clicks in a minute is 50 hints a second at most, and a click that another
/// replica must hear of waits 20 ms.
const GATHER: Duration = Duration::from_millis(20);

/// After the listening connection broke.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// Sends and hears hints.
pub(crate) struct Hints {
    /// Where to listen; a connection of its own. None where there is nobody to hear.
    url: Option<Arc<str>>,
    /// Something changed that the others should look at.
    changed: Arc<Notify>,
}

impl Hints {
    pub fn new(url: &str, dialect: Dialect) -> Self {
        Self {
            url: (dialect == Dialect::Postgres).then(|| url.into()),
            changed: Arc::new(Notify::new()),
        }
    }

    /// Says so to the others, soon, if somebody drives [`Hints::stream`].
    pub fn changed(&self) {
        self.changed.notify_one();
    }

    /// Yields when another process changed something, or may have while nobody listened. Polling it also sends our own.
    pub fn stream(&self, db: &Db) -> BoxStream<'static, ()> {
        let Some(url) = self.url.clone() else {
            return stream::pending().boxed();
        };
        // what we sent comes back too, with this in it
        let us: Arc<str> = format!("{:p}/{}", Arc::as_ptr(&self.changed), std::process::id()).into();
        let sending = endless((db.writer(), self.changed.clone(), us.clone()), send).filter_map(async |()| None);
        let hearing = endless((url, us, None), hear);
        stream::select(sending, hearing).boxed()
    }
}

/// A stream of what `turn` does again and again.
fn endless<S, F, Fut>(state: S, turn: F) -> impl futures_util::Stream<Item = ()> + Send
where
    S: Send,
    F: Fn(S) -> Fut + Send,
    Fut: Future<Output = S> + Send,
{
    stream::unfold((state, turn), |(state, turn)| async move {
        let state = turn(state).await;
        Some(((), (state, turn)))
    })
}

type Sender = (AnyPool, Arc<Notify>, Arc<str>);

async fn send((pool, changed, us): Sender) -> Sender {
    changed.notified().await;
    let sent = sqlx::query("SELECT CAST(pg_notify($1, $2) AS TEXT)")
        .bind(CHANNEL)
        .bind(us.as_ref())
        .execute(&pool)
        .await;
    if let Err(error) = sent {
        tracing::debug!(%error, "a hint was not sent; the others' timers make up for it");
    }
    sleep(GATHER).await;
    (pool, changed, us)
}

type Hearer = (Arc<str>, Arc<str>, Option<PgListener>);

/// Ends when something was heard, or when listening began: what came before that was missed.
async fn hear((url, us, listener): Hearer) -> Hearer {
    let Some(mut listener) = listener else {
        match listen(&url).await {
            Ok(listener) => return (url, us, Some(listener)),
            Err(error) => {
                tracing::debug!(%error, "cannot listen for hints");
                sleep(LISTEN_AGAIN).await;
                return (url, us, None);
            }
        }
    };
    loop {
        match listener.try_recv().await {
            Ok(Some(hint)) if hint.payload() == us.as_ref() => {}
            Ok(Some(_)) => return (url, us, Some(listener)),
            // the connection broke; whatever was said meanwhile is gone
            Ok(None) | Err(_) => return (url, us, None),
        }
    }
}

async fn listen(url: &str) -> sqlx::Result<PgListener> {
    let mut listener = PgListener::connect(url).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}
