//! Everything in which SQLite and Postgres differ. Statements do not: each is written once, with `$1` placeholders (which
//! both take), `ON CONFLICT` upserts and `RETURNING`; sums are cast back to 64 bits, which Postgres would widen.

use lab_core::{CourseId, GrantId, LabDigest, SessionId, Subject, TokenHash, VoucherBatchId};
use sqlx::{AnyConnection, Row as _};

/// Which database is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// A lock on the migrations of one database; any fixed number will do.
const MIGRATION_LOCK: i64 = 0x1AB_001E;

impl Dialect {
    /// By the scheme of a database's address.
    pub(crate) fn of(url: &str) -> Option<Self> {
        match url.split_once(':')?.0 {
            "sqlite" => Some(Self::Sqlite),
            "postgres" | "postgresql" => Some(Self::Postgres),
            _ => None,
        }
    }

    /// How a writing transaction begins. SQLite takes its one write lock at once: a transaction that reads first and asks
    /// for it later may be refused half-way.
    pub(crate) fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED",
        }
    }

    /// Said once on every new connection.
    ///
    /// SQLite: `synchronous = FULL` syncs the write-ahead log at each commit, so that what was answered (seconds held, a
    /// chunk taken from the agent's disk) survives a power cut. 10 s is what a writer waits for another *process*, such as
    /// `labwire grant` beside `serve`; transactions here take about a millisecond.
    /// Postgres: no statement of ours takes a second; at 10 s something is wrong and the caller should be told.
    pub(crate) fn on_connect(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
            }
            Self::Postgres => {
                "SET statement_timeout = '10s'; SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '30s';"
            }
        }
    }

    /// The text of a migration in this dialect.
    pub(crate) fn schema(self, template: &str) -> String {
        let (own, int, bytes, serial, strict) = match self {
            Self::Sqlite => (
                "sqlite",
                "INTEGER",
                "BLOB",
                "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT",
                "STRICT",
            ),
            Self::Postgres => (
                "postgres",
                "BIGINT",
                "BYTEA",
                "BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
                "",
            ),
        };
        let mut text = String::with_capacity(template.len());
        let mut section = "both";
        for line in template.lines() {
            match line.strip_prefix("--[").and_then(|l| l.strip_suffix(']')) {
                Some(name) => section = name,
                None if section == "both" || section == own => {
                    text.push_str(line);
                    text.push('\n');
                }
                None => {}
            }
        }
        text.replace("{int}", int)
            .replace("{bytes}", bytes)
            .replace("{serial}", serial)
            .replace("{strict}", strict)
    }

    /// Lets one transaction at a time draw from a learner's grants. Every draw takes this lock before it reads balances.
    /// In SQLite the transaction has the only write lock already.
    pub(crate) async fn lock_grants(
        self,
        conn: &mut AnyConnection,
        subject: &Subject,
        course: &CourseId,
    ) -> sqlx::Result<()> {
        if self == Self::Postgres {
            // by id, so that two that lock the same rows lock them in the same order
            sqlx::query("SELECT id FROM lab_grant WHERE subject = $1 AND course = $2 ORDER BY id FOR UPDATE")
                .bind(subject.as_str())
                .bind(course.as_str())
                .fetch_all(conn)
                .await?;
        }
        Ok(())
    }

    /// Lets one transaction at a time change a session. Always taken before [`Self::lock_grants`], never after.
    pub(crate) async fn lock_session(self, conn: &mut AnyConnection, session: SessionId) -> sqlx::Result<()> {
        if self == Self::Postgres {
            sqlx::query("SELECT id FROM session WHERE id = $1 FOR UPDATE")
                .bind(session.to_string())
                .fetch_all(conn)
                .await?;
        }
        Ok(())
    }

    /// Keeps what says that somebody was told: they cannot be forgotten until the transaction is over. Taken after
    /// [`Self::lock_grants`].
    pub(crate) async fn keep_person(self, conn: &mut AnyConnection, subject: &Subject) -> sqlx::Result<()> {
        self.lock_notices(
            conn,
            subject,
            "SELECT version FROM notice_ack WHERE subject = $1 ORDER BY version FOR SHARE",
        )
        .await
    }

    /// Waits for those who keep somebody.
    pub(crate) async fn lock_person(self, conn: &mut AnyConnection, subject: &Subject) -> sqlx::Result<()> {
        self.lock_notices(
            conn,
            subject,
            "SELECT version FROM notice_ack WHERE subject = $1 ORDER BY version FOR UPDATE",
        )
        .await
    }

    async fn lock_notices(
        self,
        conn: &mut AnyConnection,
        subject: &Subject,
        statement: &'static str,
    ) -> sqlx::Result<()> {
        if self == Self::Postgres {
            sqlx::query(statement).bind(subject.as_str()).fetch_all(conn).await?;
        }
        Ok(())
    }

    /// As [`Self::lock_grants`], of one grant whoever's it is.
    pub(crate) async fn lock_grant(self, conn: &mut AnyConnection, grant: GrantId) -> sqlx::Result<()> {
        if self == Self::Postgres {
            sqlx::query("SELECT id FROM lab_grant WHERE id = $1 FOR UPDATE")
                .bind(grant.to_string())
                .fetch_all(conn)
                .await?;
        }
        Ok(())
    }

    /// Lets one transaction at a time admit a test run: who begins one may have no row of their own yet.
    pub(crate) async fn lock_test_runs(self, conn: &mut AnyConnection) -> sqlx::Result<()> {
        if self == Self::Postgres {
            sqlx::query("SELECT id FROM plan WHERE id = $1 FOR UPDATE")
                .bind(lab_core::entitlement::TEST_RUN_PLAN)
                .fetch_all(conn)
                .await?;
        }
        Ok(())
    }

    /// Lets one transaction at a time redeem a code.
    pub(crate) async fn lock_voucher(self, conn: &mut AnyConnection, code: TokenHash) -> sqlx::Result<()> {
        if self == Self::Postgres {
            sqlx::query("SELECT batch FROM voucher WHERE code = $1 FOR UPDATE")
                .bind(code.0.to_vec())
                .fetch_all(conn)
                .await?;
        }
        Ok(())
    }

    /// Lets one transaction at a time give of a source, so that its budget is counted once.
    pub(crate) async fn lock_giver(self, conn: &mut AnyConnection, source: &str) -> sqlx::Result<()> {
        if self == Self::Postgres {
            sqlx::query("SELECT source FROM giver WHERE source = $1 FOR UPDATE")
                .bind(source)
                .fetch_all(conn)
                .await?;
        }
        Ok(())
    }

    /// Lets one transaction at a time redeem of a batch whose codes share something. Taken after [`Self::lock_voucher`].
    pub(crate) async fn lock_terms(self, conn: &mut AnyConnection, batch: VoucherBatchId) -> sqlx::Result<()> {
        if self == Self::Postgres {
            sqlx::query("SELECT batch FROM voucher_terms WHERE batch = $1 FOR UPDATE")
                .bind(batch.to_string())
                .fetch_all(conn)
                .await?;
        }
        Ok(())
    }

    /// Lets one transaction at a time order for a shop, so that its budget is counted once.
    pub(crate) async fn lock_shop(self, conn: &mut AnyConnection, shop: &str) -> sqlx::Result<()> {
        if self == Self::Postgres {
            sqlx::query("SELECT id FROM order_key WHERE shop = $1 ORDER BY id FOR UPDATE")
                .bind(shop)
                .fetch_all(conn)
                .await?;
        }
        Ok(())
    }

    /// Lets one transaction at a time keep a learner's checks or where their grades go, so that each counts what the other wrote. By a
    /// hash: two learners who share one wait for each other, and no more.
    pub(crate) async fn lock_learner(self, conn: &mut AnyConnection, subject: &Subject) -> sqlx::Result<()> {
        if self == Self::Postgres {
            sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
                .bind(subject.as_str())
                .execute(conn)
                .await?;
        }
        Ok(())
    }

    /// Lets one transaction at a time settle a loss of a learner's. Taken after [`Self::lock_session`] and before [`Self::lock_grants`]; a lock of
    /// its own, since [`Self::lock_learner`] is held by those who go on to a session's row.
    pub(crate) async fn lock_losses(self, conn: &mut AnyConnection, subject: &Subject) -> sqlx::Result<()> {
        if self == Self::Postgres {
            sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 1))")
                .bind(subject.as_str())
                .execute(conn)
                .await?;
        }
        Ok(())
    }

    /// Keeps a lease's row as it is until the transaction is over.
    pub(crate) async fn lock_lease(self, conn: &mut AnyConnection, name: &str) -> sqlx::Result<()> {
        if self == Self::Postgres {
            sqlx::query("SELECT name FROM lease WHERE name = $1 FOR SHARE")
                .bind(name)
                .fetch_all(conn)
                .await?;
        }
        Ok(())
    }

    /// The oldest ready pool sandbox of a version that no other transaction is about to change, locked.
    pub(crate) async fn oldest_ready(
        self,
        conn: &mut AnyConnection,
        digest: &LabDigest,
    ) -> sqlx::Result<Option<String>> {
        let statement = match self {
            Self::Sqlite => {
                "SELECT sandbox FROM pool_sandbox WHERE digest = $1 AND state = 'ready' ORDER BY made_at, sandbox LIMIT 1"
            }
            Self::Postgres => {
                "SELECT sandbox FROM pool_sandbox WHERE digest = $1 AND state = 'ready' ORDER BY made_at, sandbox LIMIT 1
                 FOR UPDATE SKIP LOCKED"
            }
        };
        let found = sqlx::query(statement)
            .bind(digest.as_str())
            .fetch_optional(conn)
            .await?;
        found.map(|r| r.try_get(0)).transpose()
    }

    /// Counts the tables with a name, where a connection makes and finds them.
    pub(crate) fn count_tables(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT COUNT(*) AS n FROM sqlite_master WHERE type = 'table' AND name = $1",
            Self::Postgres => {
                "SELECT COUNT(*) AS n FROM pg_catalog.pg_tables WHERE schemaname = current_schema() AND tablename = $1"
            }
        }
    }

    /// Said at the beginning of a migration: its statements may take long, and wait for statements that were there before.
    pub(crate) fn migrating(self) -> &'static str {
        match self {
            Self::Sqlite => "SELECT 1",
            Self::Postgres => "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '60s';",
        }
    }

    /// Lets one process at a time migrate.
    pub(crate) async fn lock_migrations(self, conn: &mut AnyConnection) -> sqlx::Result<()> {
        if self == Self::Postgres {
            sqlx::query("SELECT pg_advisory_xact_lock($1)")
                .bind(MIGRATION_LOCK)
                .execute(conn)
                .await?;
        }
        Ok(())
    }

    /// Whether the connection broke, or the server was just going or coming, so that another connection may do better.
    pub(crate) fn is_broken(self, error: &sqlx::Error) -> bool {
        if self == Self::Sqlite {
            return false;
        }
        match error {
            sqlx::Error::Io(_) => true,
            // admin_shutdown, crash_shutdown, cannot_connect_now
            sqlx::Error::Database(e) => matches!(e.code().as_deref(), Some("57P01" | "57P02" | "57P03")),
            _ => false,
        }
    }

    /// Whether the transaction was undone because of another one, so that running it again may succeed. A unique key taken
    /// meanwhile belongs here: run again, the transaction finds the row that was in its way.
    pub(crate) fn is_race(self, error: &sqlx::Error) -> bool {
        let Some(code) = error.as_database_error().and_then(sqlx::error::DatabaseError::code) else {
            return false;
        };
        // serialization_failure, deadlock_detected, unique_violation
        self == Self::Postgres && matches!(code.as_ref(), "40001" | "40P01" | "23505")
    }
}
