//! Connections and transactions.
//!
//! SQLite: one connection writes, a few read; write-ahead logging lets them not wait for each other. Postgres: one pool.
//! A write runs in a task of its own, which the store tracks: a caller that goes away (a closed tab, a timeout) does not
//! leave it half-way, and the one writer connection never comes back with somebody's transaction in it. It is run again when
//! that is safe: another transaction undid it, or its connection broke before the commit was asked for.

use crate::{
    dialect::Dialect,
    error::{During, Failure},
};
use futures_util::future::BoxFuture;
use lab_core::port::StoreError;
use sqlx::{
    Any, AnyConnection, AnyPool, Connection as _, Executor as _, Transaction,
    any::{AnyConnectOptions, AnyPoolOptions},
    pool::PoolConnection,
};
use std::{str::FromStr, time::Duration};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// SQLite readers: requests that read take well under a millisecond, so four serve thousands a second on two cores.
const SQLITE_READERS: u32 = 4;

/// Postgres connections of one replica. Ten transactions of 2 ms at once are 5 000 a second; ten replicas stay within the
/// 100 connections that a Postgres allows by default.
const POSTGRES_CONNECTIONS: u32 = 10;

/// Longest wait for a connection before the caller is told that the database does not answer. 5 s is 2 500 writes of 2 ms
/// in the queue for SQLite's one writer: more than a class that clicks at once.
const ACQUIRE_WITHIN: Duration = Duration::from_secs(5);

/// A statement, or a whole transaction, that has not ended by then has nobody at the other end: Postgres itself ends a statement
/// after 10 s (`dialect.rs`), but a server behind a dead network says nothing at all.
const OPERATION_WITHIN: Duration = Duration::from_secs(15);

/// A connection that is given back must answer within this, or it is dropped: its place in the pool is worth more.
const RELEASE_WITHIN: Duration = Duration::from_secs(3);

/// Times a transaction is run when others undo it: each time at least one other got through, so 50 who want the same
/// learner's grants need far fewer rounds than this.
const ATTEMPTS_MAX: u32 = 10;

/// Pause before a transaction is run again whose connection broke: a server that restarts refuses for a moment, and ten times this
/// is what a caller waits for it at most.
const BROKEN_PAUSE: Duration = Duration::from_millis(100);

/// An open database.
pub(crate) struct Db {
    dialect: Dialect,
    writer: AnyPool,
    readers: AnyPool,
    tasks: TaskTracker,
}

/// A writing transaction.
pub(crate) struct Tx {
    pub(crate) dialect: Dialect,
    inner: Transaction<'static, Any>,
}

impl Tx {
    /// The connection, to run statements on.
    pub(crate) fn conn(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }
}

impl Db {
    /// Connects. `url` is `sqlite:PATH`, `sqlite::memory:` or `postgres://…`.
    pub(crate) async fn connect(url: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let dialect = Dialect::of(url).ok_or_else(|| unusable("use sqlite:PATH or postgres://user@host/database"))?;
        let (writer, readers) = match dialect {
            Dialect::Postgres => {
                let pool = pool(dialect, POSTGRES_CONNECTIONS)
                    .connect_with(options(url)?)
                    .await
                    .during("open")?;
                (pool.clone(), pool)
            }
            // a database in memory is its connection
            Dialect::Sqlite if url == "sqlite::memory:" => {
                let pool = pool(dialect, 1).connect_with(options(url)?).await.during("open")?;
                (pool.clone(), pool)
            }
            Dialect::Sqlite => {
                let create = format!("{url}{}mode=rwc", if url.contains('?') { '&' } else { '?' });
                // the writer first: it makes the file and turns on write-ahead logging
                let writer = pool(dialect, 1).connect_with(options(&create)?).await.during("open")?;
                (
                    writer,
                    pool(dialect, SQLITE_READERS)
                        .connect_with(options(&create)?)
                        .await
                        .during("open")?,
                )
            }
        };
        Ok(Self {
            dialect,
            writer,
            readers,
            tasks: TaskTracker::new(),
        })
    }

    /// Which database this is.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The pool that writes.
    pub(crate) fn writer(&self) -> AnyPool {
        self.writer.clone()
    }

    /// A connection to read with.
    pub(crate) async fn read(&self, operation: &'static str) -> Result<PoolConnection<Any>, StoreError> {
        self.readers.acquire().await.during(operation)
    }

    /// Reads with a connection, within the time that any operation has.
    pub(crate) async fn within<T>(
        operation: &'static str,
        read: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        timeout(OPERATION_WITHIN, read)
            .await
            .unwrap_or_else(|_| Err(unanswered(operation)))
    }

    /// Runs `body` in a transaction and commits it; runs it again when another transaction undid it, so a body changes
    /// nothing but the database. When the caller goes away the transaction goes on.
    pub(crate) async fn write<A, T, F>(&self, operation: &'static str, input: A, body: F) -> Result<T, StoreError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'t> Fn(&'t mut Tx, &'t A) -> BoxFuture<'t, Result<T, Failure>> + Send + Sync + 'static,
    {
        self.write_within(OPERATION_WITHIN, operation, input, body).await
    }

    /// [`Db::write`] with a time of its own.
    pub(crate) async fn write_within<A, T, F>(
        &self,
        most: Duration,
        operation: &'static str,
        input: A,
        body: F,
    ) -> Result<T, StoreError>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'t> Fn(&'t mut Tx, &'t A) -> BoxFuture<'t, Result<T, Failure>> + Send + Sync + 'static,
    {
        let (dialect, pool) = (self.dialect, self.writer.clone());
        let task = self.tasks.spawn(async move {
            let mut attempt = 1;
            loop {
                let run = transact(dialect, &pool, &input, &body);
                let Ok(done) = timeout(most, run).await else {
                    return Err(unanswered(operation));
                };
                match done {
                    Err(Undone::Before(Failure::Sql(e))) if attempt < ATTEMPTS_MAX && dialect.is_race(&e) => {
                        tracing::debug!(operation, attempt, "transaction undone by another one; again");
                    }
                    // nothing was committed, so once more is safe
                    Err(Undone::Before(Failure::Sql(e))) if attempt < ATTEMPTS_MAX && dialect.is_broken(&e) => {
                        tracing::debug!(operation, attempt, "the connection broke before the commit; again");
                        tokio::time::sleep(BROKEN_PAUSE).await;
                    }
                    Err(Undone::Before(failure)) => return Err(failure).during(operation),
                    // perhaps committed, perhaps not: only the caller knows whether a repeat is harmless
                    Err(Undone::AtCommit(e)) => return Err(e).during(operation),
                    Ok(value) => return Ok(value),
                }
                attempt += 1;
            }
        });
        match task.await {
            Ok(result) => result,
            Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
            Err(e) => Err(StoreError::Unavailable {
                operation,
                source: Box::new(e),
            }),
        }
    }

    /// Waits for writes under way and closes every connection.
    pub(crate) async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Where a transaction stopped.
enum Undone {
    /// Nothing of it is there.
    Before(Failure),
    /// The commit was asked for and not confirmed.
    AtCommit(sqlx::Error),
}

async fn transact<A, T, F>(dialect: Dialect, pool: &AnyPool, input: &A, body: &F) -> Result<T, Undone>
where
    F: for<'t> Fn(&'t mut Tx, &'t A) -> BoxFuture<'t, Result<T, Failure>>,
{
    let mut tx = Tx {
        dialect,
        inner: pool
            .begin_with(dialect.begin())
            .await
            .map_err(|e| Undone::Before(e.into()))?,
    };
    match body(&mut tx, input).await {
        Ok(value) => match tx.inner.commit().await {
            Ok(()) => Ok(value),
            // refused by the database itself: a constraint, a serialisation; nothing of it is there
            Err(e) if e.as_database_error().is_some() => Err(Undone::Before(e.into())),
            Err(e) => Err(Undone::AtCommit(e)),
        },
        Err(failure) => {
            // when this fails too, dropping the connection undoes it; the first failure is the one to tell
            let _ = tx.inner.rollback().await;
            Err(Undone::Before(failure))
        }
    }
}

fn pool(dialect: Dialect, connections: u32) -> AnyPoolOptions {
    let options = AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_WITHIN)
        // a file does not go away; a server may have restarted since
        .test_before_acquire(dialect == Dialect::Postgres)
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |conn, _| {
            Box::pin(async move { conn.execute(sqlx::raw_sql(dialect.on_connect())).await.map(drop) })
        });
    if dialect == Dialect::Sqlite {
        return options;
    }
    // the pool's own test of a connection that comes back waits for ever
    options.after_release(|conn, _| {
        Box::pin(async move {
            match timeout(RELEASE_WITHIN, conn.ping()).await {
                Ok(answered) => answered.map(|()| true),
                Err(_) => Err(sqlx::Error::PoolTimedOut),
            }
        })
    })
}

fn unanswered(operation: &'static str) -> StoreError {
    StoreError::Unavailable {
        operation,
        source: format!("no answer within {} s", OPERATION_WITHIN.as_secs()).into(),
    }
}

fn options(url: &str) -> Result<AnyConnectOptions, StoreError> {
    AnyConnectOptions::from_str(url).during("open")
}

fn unusable(detail: &'static str) -> StoreError {
    StoreError::Unavailable {
        operation: "open",
        source: detail.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::Row as _;

    #[tokio::test]
    async fn every_sqlite_connection_syncs_at_commit_and_holds_its_keys() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::connect(&format!("sqlite:{}", folder.path().join("t.db").display()))
            .await
            .unwrap();
        for pool in [&db.writer, &db.readers] {
            let mut conn = pool.acquire().await.unwrap();
            let mut pragma = async |name: &'static str| sqlx::query(name).fetch_one(&mut *conn).await.unwrap();
            // 2 is FULL
            assert_eq!(pragma("PRAGMA synchronous").await.get::<i64, _>(0), 2);
            assert_eq!(pragma("PRAGMA foreign_keys").await.get::<i64, _>(0), 1);
            assert_eq!(pragma("PRAGMA busy_timeout").await.get::<i64, _>(0), 10_000);
            assert_eq!(pragma("PRAGMA journal_mode").await.get::<String, _>(0), "wal");
        }
    }
}
