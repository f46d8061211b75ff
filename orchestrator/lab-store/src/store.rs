//! The port: one line an operation. Bodies are in the stages' modules.

use crate::{
    audit, checks,
    db::Db,
    dialect::Dialect,
    entitlement,
    error::{During, Failure},
    hints::Hints,
    labs, launch, leases, ledger, metering, migrate, operations, plans, pool, provisioning, recording, voucher_terms,
    vouchers,
};
use async_trait::async_trait;
use futures_util::stream::BoxStream;
use lab_core::{
    CourseId, GrantId, LabDigest, LabId, LaunchId, LoginId, SessionId, Subject, Timestamp, TokenHash, VoucherBatchId,
    entitlement::{
        Grant, GrantBalance, Plan, Redeemed, Redemption, TermsState, TimeLeft, VoucherBatch, VoucherBatchState,
        VoucherTerms,
    },
    journal::CheckOutcome,
    lab::LabVersion,
    launch::{Login, Ticket},
    metering::{Transaction, UsageRow},
    operations::{FailureCount, LaunchPause, LeaseReport, PauseChange, StateCount},
    port::{
        Admission, AdmitRequest, AuditEvent, ChunkAppend, Course, Lease, LedgerSums, PoolWrite, Redeem, Refund,
        Session, SessionFilter, Settlement, Store, StoreError, Transition, TransitionRow,
    },
    provisioning::PoolSandbox,
    recording::{Chunk, RecordingHead, RecordingState},
};
use std::time::Duration;

/// How to open a store.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// Bring an older schema up to date. Without it an older database is refused: on a cluster, a step of its own migrates.
    pub migrate: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { migrate: true }
    }
}

/// Labwire's state in SQLite or Postgres.
pub struct SqlStore {
    pub(crate) db: Db,
    hints: Hints,
    made: bool,
}

impl std::fmt::Debug for SqlStore {
    // the address may hold a password
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqlStore").finish_non_exhaustive()
    }
}

impl SqlStore {
    /// Opens `sqlite:PATH` (made when missing), `sqlite::memory:` or `postgres://user:password@host/database`.
    pub async fn open(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        let db = Db::connect(url).await?;
        let made = if options.migrate {
            let (before, _) = migrate::run(&db).await?;
            before == 0
        } else {
            migrate::check(&db).await?;
            false
        };
        Ok(Self {
            made,
            hints: Hints::new(url, db.dialect()),
            db,
        })
    }

    /// Whether there was nothing before this opened it: a new file, or a database without tables.
    pub fn is_new(&self) -> bool {
        self.made
    }

    /// Brings the schema up to date and does nothing else: the version before and after.
    ///
    /// # Errors
    /// The database does not answer, or is of a newer program.
    pub async fn migrate(url: &str) -> Result<(i64, i64), StoreError> {
        let db = Db::connect(url).await?;
        let done = migrate::run(&db).await;
        db.close().await;
        done
    }

    /// Lets `role` do what `labwire serve` does, and no more: of the ledger it may only add and read rows. Postgres only; repeat it after each
    /// migration that makes tables.
    ///
    /// # Errors
    /// SQLite has no roles; the role does not exist; this user may not give rights.
    pub async fn admit_role(url: &str, role: &str) -> Result<(), StoreError> {
        let db = Db::connect(url).await?;
        let done = if db.dialect() == Dialect::Postgres {
            db.write("admit_role", role.to_owned(), |tx, role| {
                Box::pin(migrate::admit_role(tx, role))
            })
            .await
        } else {
            Err(StoreError::Unavailable {
                operation: "admit_role",
                source: "SQLite has no roles; its file's owner may do everything".into(),
            })
        };
        db.close().await;
        done
    }

    /// Waits for writes under way, then closes. Later operations fail.
    pub async fn close(&self) {
        self.db.close().await;
    }
}

/// `write!(self, operation, input, body)`: in a transaction, whatever becomes of the caller.
macro_rules! write {
    ($self:ident, $operation:literal, $input:expr, $body:path) => {
        $self
            .db
            .write($operation, $input, |tx, input| Box::pin($body(tx, input)))
            .await
    };
}

pub(crate) use write;

/// `read!(self, operation, body(arguments…))`: on a reader.
macro_rules! read {
    ($self:ident, $operation:literal, $body:path $(, $argument:expr)*) => {{
        let mut conn = $self.db.read($operation).await?;
        Db::within($operation, async { $body(&mut conn $(, $argument)*).await.during($operation) }).await
    }};
}

pub(crate) use read;

#[async_trait]
impl Store for SqlStore {
    async fn ping(&self) -> Result<(), StoreError> {
        let mut conn = self.db.read("ping").await?;
        let ping = sqlx::query("SELECT 1").execute(&mut *conn);
        Db::within("ping", async {
            ping.await.map(drop).map_err(Failure::from).during("ping")
        })
        .await
    }

    fn hints(&self) -> BoxStream<'static, ()> {
        self.hints.stream(&self.db)
    }

    async fn lab_publish(&self, lab: &LabVersion, at: Timestamp) -> Result<(), StoreError> {
        write!(self, "lab_publish", (lab.clone(), at), labs::publish)
    }
    async fn lab_version(&self, digest: &LabDigest) -> Result<Option<LabVersion>, StoreError> {
        read!(self, "lab_version", labs::version, digest)
    }
    async fn lab_latest(&self, lab: &LabId) -> Result<Option<LabVersion>, StoreError> {
        read!(self, "lab_latest", labs::latest, lab)
    }
    async fn lab_withdraw(&self, lab: &LabId) -> Result<bool, StoreError> {
        write!(self, "lab_withdraw", lab.clone(), labs::withdraw)
    }
    async fn lab_last(&self, lab: &LabId) -> Result<Option<LabVersion>, StoreError> {
        read!(self, "lab_last", labs::last, lab)
    }
    async fn lab_ids(&self) -> Result<Vec<LabId>, StoreError> {
        read!(self, "lab_ids", labs::ids)
    }
    async fn lab_list(&self) -> Result<Vec<LabVersion>, StoreError> {
        read!(self, "lab_list", labs::list)
    }

    async fn course_put(&self, course: &Course) -> Result<(), StoreError> {
        write!(self, "course_put", course.clone(), launch::course_put)
    }
    async fn course_list(&self) -> Result<Vec<Course>, StoreError> {
        read!(self, "course_list", launch::course_list)
    }
    async fn course_get(&self, course: &CourseId) -> Result<Option<Course>, StoreError> {
        read!(self, "course_get", launch::course_get, course)
    }
    async fn launch_redeem(&self, id: LaunchId, at: Timestamp, keep_until: Timestamp) -> Result<Redeem, StoreError> {
        write!(self, "launch_redeem", (id, at, keep_until), launch::redeem)
    }
    async fn login_create(&self, login: &Login, bearer: TokenHash) -> Result<(), StoreError> {
        write!(self, "login_create", (login.clone(), bearer), launch::login_create)
    }
    async fn login_by_bearer(&self, bearer: TokenHash, at: Timestamp) -> Result<Option<Login>, StoreError> {
        read!(self, "login_by_bearer", launch::login_by_bearer, bearer, at)
    }
    async fn login_rotate(
        &self,
        login: LoginId,
        old: TokenHash,
        new: TokenHash,
        expires_at: Timestamp,
        grace_until: Timestamp,
    ) -> Result<bool, StoreError> {
        let rotation = launch::Rotation {
            login,
            old,
            new,
            expires_at,
            grace_until,
        };
        write!(self, "login_rotate", rotation, launch::login_rotate)
    }
    async fn login_get(&self, login: LoginId, at: Timestamp) -> Result<Option<Login>, StoreError> {
        read!(self, "login_get", launch::login_get, login, at)
    }
    async fn ticket_create(&self, ticket: &Ticket) -> Result<(), StoreError> {
        write!(self, "ticket_create", ticket.clone(), launch::ticket_create)
    }
    async fn ticket_take(&self, hash: TokenHash, at: Timestamp) -> Result<Option<Ticket>, StoreError> {
        write!(self, "ticket_take", (hash, at), launch::ticket_take)
    }

    async fn plan_put(&self, plan: &Plan) -> Result<(), StoreError> {
        write!(self, "plan_put", plan.clone(), plans::put)
    }
    async fn plan_list(&self) -> Result<Vec<Plan>, StoreError> {
        read!(self, "plan_list", plans::list)
    }
    async fn grant_issue(&self, grant: &Grant) -> Result<(), StoreError> {
        write!(self, "grant_issue", grant.clone(), entitlement::grant_issue)
    }
    async fn grant_list(&self, subject: &Subject, course: Option<&CourseId>) -> Result<Vec<GrantBalance>, StoreError> {
        read!(self, "grant_list", entitlement::grant_list, subject, course)
    }
    async fn grant_void(&self, grant: GrantId, reason: &str, at: Timestamp) -> Result<i64, StoreError> {
        write!(
            self,
            "grant_void",
            (grant, reason.to_owned(), at),
            entitlement::grant_void
        )
    }
    async fn grants_expire(&self, at: Timestamp) -> Result<i64, StoreError> {
        write!(self, "grants_expire", at, entitlement::grants_expire)
    }
    async fn time_left(&self, session: SessionId, at: Timestamp) -> Result<TimeLeft, StoreError> {
        read!(self, "time_left", entitlement::time_left, session, at)
    }
    async fn voucher_create(&self, batch: &VoucherBatch, codes: &[TokenHash]) -> Result<(), StoreError> {
        write!(
            self,
            "voucher_create",
            (batch.clone(), codes.to_vec()),
            vouchers::create
        )
    }
    async fn voucher_list(&self) -> Result<Vec<VoucherBatchState>, StoreError> {
        read!(self, "voucher_list", vouchers::list)
    }
    async fn voucher_revoke(&self, batch: VoucherBatchId, reason: &str, at: Timestamp) -> Result<(), StoreError> {
        write!(self, "voucher_revoke", (batch, reason.to_owned(), at), vouchers::revoke)
    }
    async fn voucher_redeem(&self, redemption: &Redemption) -> Result<Redeemed, StoreError> {
        write!(self, "voucher_redeem", redemption.clone(), vouchers::redeem)
    }
    async fn voucher_terms_put(&self, batch: VoucherBatchId, terms: &VoucherTerms) -> Result<(), StoreError> {
        write!(self, "voucher_terms_put", (batch, terms.clone()), voucher_terms::put)
    }
    async fn voucher_terms_list(&self) -> Result<Vec<TermsState>, StoreError> {
        read!(self, "voucher_terms_list", voucher_terms::list)
    }
    async fn admit(&self, request: &AdmitRequest) -> Result<Admission, StoreError> {
        let done = write!(self, "admit", request.clone(), entitlement::admit)?;
        self.hints.changed();
        Ok(done)
    }

    async fn session_get(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        read!(self, "session_get", provisioning::get, id)
    }
    async fn session_list(&self, filter: &SessionFilter) -> Result<Vec<Session>, StoreError> {
        read!(self, "session_list", provisioning::list, filter)
    }
    async fn session_transition(&self, t: &Transition) -> Result<Session, StoreError> {
        let done = write!(self, "session_transition", t.clone(), provisioning::transition)?;
        self.hints.changed();
        Ok(done)
    }
    async fn session_history(&self, id: SessionId) -> Result<Vec<TransitionRow>, StoreError> {
        read!(self, "session_history", provisioning::history, id)
    }
    async fn session_touch(
        &self,
        id: SessionId,
        active_at: Option<Timestamp>,
        seen_us: Option<u64>,
    ) -> Result<(), StoreError> {
        write!(self, "session_touch", (id, active_at, seen_us), provisioning::touch)
    }
    async fn session_deadline(&self, id: SessionId, deadline: Timestamp) -> Result<Session, StoreError> {
        let done = write!(self, "session_deadline", (id, deadline), provisioning::deadline)?;
        self.hints.changed();
        Ok(done)
    }

    async fn pool_list(&self) -> Result<Vec<PoolSandbox>, StoreError> {
        read!(self, "pool_list", pool::list)
    }
    async fn pool_write(&self, write: &PoolWrite) -> Result<bool, StoreError> {
        write!(self, "pool_write", write.clone(), pool::write)
    }

    async fn hold_extend(&self, session: SessionId, held_secs: i64, at: Timestamp) -> Result<i64, StoreError> {
        write!(self, "hold_extend", (session, held_secs, at), metering::hold_extend)
    }
    async fn settle(&self, s: &Settlement) -> Result<UsageRow, StoreError> {
        write!(self, "settle", s.clone(), metering::settle)
    }
    async fn refund(&self, refund: &Refund) -> Result<i64, StoreError> {
        write!(self, "refund", refund.clone(), metering::refund)
    }
    async fn usage_list(
        &self,
        course: Option<&CourseId>,
        subject: Option<&Subject>,
        lab: Option<&LabId>,
    ) -> Result<Vec<UsageRow>, StoreError> {
        read!(self, "usage_list", metering::usage_list, course, subject, lab)
    }
    async fn ledger_sums(&self) -> Result<LedgerSums, StoreError> {
        read!(self, "ledger_sums", ledger::sums)
    }
    async fn ledger_recount(&self) -> Result<LedgerSums, StoreError> {
        read!(self, "ledger_recount", ledger::recount)
    }
    async fn ledger_of(&self, session: SessionId) -> Result<Vec<Transaction>, StoreError> {
        read!(self, "ledger_of", ledger::of_session, session)
    }

    async fn recording_open(&self, session: SessionId, at: Timestamp) -> Result<RecordingHead, StoreError> {
        write!(self, "recording_open", (session, at), recording::open)
    }
    async fn recording_head(&self, session: SessionId) -> Result<Option<RecordingHead>, StoreError> {
        read!(self, "recording_head", recording::head, session)
    }
    async fn recording_append(&self, chunk: &ChunkAppend) -> Result<RecordingHead, StoreError> {
        write!(self, "recording_append", chunk.clone(), recording::append)
    }
    async fn recording_chunks(&self, session: SessionId) -> Result<Vec<Chunk>, StoreError> {
        read!(self, "recording_chunks", recording::chunks, session)
    }
    async fn recording_close(&self, session: SessionId, epoch: u64, state: &RecordingState) -> Result<(), StoreError> {
        write!(
            self,
            "recording_close",
            (session, epoch, state.clone()),
            recording::close
        )
    }

    async fn check_record(&self, session: SessionId, outcome: &CheckOutcome, at: Timestamp) -> Result<(), StoreError> {
        write!(self, "check_record", (session, outcome.clone(), at), checks::record)
    }
    async fn check_list(&self, session: SessionId) -> Result<Vec<CheckOutcome>, StoreError> {
        read!(self, "check_list", checks::list, session)
    }
    async fn audit_append(&self, event: &AuditEvent) -> Result<(), StoreError> {
        write!(self, "audit_append", event.clone(), audit::append)
    }
    async fn audit_list(&self, session: Option<SessionId>) -> Result<Vec<AuditEvent>, StoreError> {
        read!(self, "audit_list", audit::list, session)
    }
    async fn audit_last(
        &self,
        session: SessionId,
        actor: &Subject,
        action: &str,
    ) -> Result<Option<Timestamp>, StoreError> {
        read!(self, "audit_last", audit::last, session, actor, action)
    }
    async fn lease_take(
        &self,
        name: &str,
        holder: &str,
        at: Timestamp,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let claim = leases::Claim {
            name: name.to_owned(),
            holder: holder.to_owned(),
            at,
            ttl,
        };
        write!(self, "lease_take", claim, leases::take)
    }
    async fn lease_release(&self, lease: &Lease) -> Result<(), StoreError> {
        write!(self, "lease_release", lease.clone(), leases::release)
    }
    async fn sweep(&self, at: Timestamp) -> Result<u64, StoreError> {
        write!(self, "sweep", at, launch::sweep)
    }

    async fn launches_pause(&self, change: &PauseChange) -> Result<Option<LaunchPause>, StoreError> {
        write!(self, "launches_pause", change.clone(), operations::pause)
    }
    async fn launches_paused(&self) -> Result<Option<LaunchPause>, StoreError> {
        read!(self, "launches_paused", operations::paused)
    }
    async fn session_counts(&self) -> Result<Vec<StateCount>, StoreError> {
        read!(self, "session_counts", operations::session_counts)
    }
    async fn failure_counts(&self, since: Timestamp) -> Result<Vec<FailureCount>, StoreError> {
        read!(self, "failure_counts", operations::failure_counts, since)
    }
    async fn lease_report(&self, at: Timestamp) -> Result<LeaseReport, StoreError> {
        read!(self, "lease_report", operations::lease_report, at)
    }
}
