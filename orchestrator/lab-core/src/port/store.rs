//! Labwire's state. Operations are use cases: each is one transaction, idempotent, and enforces the limits it uses.

use super::{
    CourseStore, ErrorKind, GiverStore, GradeStore, LtiStore, MoneyStore, OrderStore, PrivacyStore, StaffStore,
};
use crate::{
    CourseId, GrantId, LabDigest, LabId, LaunchId, LoginId, PlanId, SandboxId, SessionId, Subject, Timestamp,
    TokenHash, VoucherBatchId,
    entitlement::{
        Grant, GrantBalance, Plan, Redeemed, Redemption, Refusal, TermsState, TimeLeft, VoucherBatch,
        VoucherBatchState, VoucherTerms,
    },
    journal::CheckOutcome,
    lab::LabVersion,
    launch::{Login, Role, Ticket},
    metering::{Transaction, UsageRow},
    operations::{FailureCount, LaunchPause, LeaseReport, PauseChange, StateCount},
    privacy::NoticeVersion,
    provisioning::{DrainReason, PoolSandbox, SessionEvent, SessionState},
    recording::{ChainHash, Chunk, RecordingHead, RecordingState},
};
use async_trait::async_trait;
use futures_core::stream::{BoxStream, Stream};
use serde::{Deserialize, Serialize};
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

/// One learner's run of one lab version, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub id: SessionId,
    pub subject: Subject,
    /// Shown to teachers.
    pub name: String,
    pub course: CourseId,
    pub lab: LabId,
    pub digest: LabDigest,
    pub plan: PlanId,
    pub sandbox: SandboxId,
    /// Its sandbox was kept warm before the click.
    pub warm: bool,
    pub state: SessionState,
    /// Grows with every transition; what `expect` of [`Transition`] is compared with.
    pub revision: i64,
    pub requested_at: Timestamp,
    /// When the first prompt was shown, by our clock.
    pub ready_at: Option<Timestamp>,
    pub over_at: Option<Timestamp>,
    /// First prompt that its learner could use, microseconds of the agent's clock; of a warm sandbox, about the claim.
    pub ready_us: Option<u64>,
    /// The agent's clock when it was last heard of.
    pub seen_us: Option<u64>,
    /// Last time a key was typed, by our clock.
    pub active_at: Timestamp,
    /// Stop at this time at the latest (lab's maximum time), by our clock; set at ready.
    pub deadline: Option<Timestamp>,
    /// With [`SessionState::Frozen`]: since when, by our clock.
    pub frozen_at: Option<Timestamp>,
    /// Microseconds it stood still before, by our clock; never billed.
    pub frozen_us: u64,
    /// Seconds held for it now.
    pub held_secs: i64,
    /// Seconds billed; set at settlement.
    pub billed_secs: Option<i64>,
}

impl Session {
    /// Microseconds it has stood still, with what it does now.
    pub fn frozen_until(&self, now: Timestamp) -> u64 {
        let this_time = self.frozen_at.map_or(Duration::ZERO, |at| now.since(at));
        self.frozen_us
            .saturating_add(u64::try_from(this_time.as_micros()).unwrap_or(u64::MAX))
    }
}

/// What a start asks for.
#[derive(Clone, Debug)]
pub struct AdmitRequest {
    /// Id of the session if a new one is made, and its sandbox's; unless a warm sandbox is claimed, which brings both.
    pub session: SessionId,
    pub subject: Subject,
    pub name: String,
    pub course: CourseId,
    pub lab: LabId,
    /// Version for a new session; a running one keeps its own.
    pub digest: LabDigest,
    /// Seconds to hold at first, at most.
    pub hold_secs: i64,
    /// Seconds it needs at least; a plan may want more.
    pub minimum_secs: i64,
    /// The notice that its learner must have been told before a new session; `None`: none.
    pub notice: Option<NoticeVersion>,
    /// Somebody who answers for labs tries one: no plan pays, nothing is held, no warm sandbox is taken from learners, and the limits are
    /// those of [`crate::entitlement::test_run_refusal`].
    pub test_run: bool,
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// A new session with time held: requested, or, where a warm sandbox was claimed for it, provisioning already.
    Admitted(Session),
    /// The learner's session of this lab that already runs.
    Running(Session),
    Refused(Refusal),
}

/// A change of state, with its cause.
#[derive(Clone, Debug)]
pub struct Transition {
    pub session: SessionId,
    /// Revision the caller read; another one is a conflict.
    pub expect: i64,
    pub event: SessionEvent,
    pub at: Timestamp,
    /// For people reading the history: `reconciler`, `learner`, `teacher:<name>` …
    pub cause: String,
    /// With [`SessionEvent::Ready`]: first prompt by the agent's clock, and the deadline.
    pub ready: Option<(u64, Timestamp)>,
}

/// A row of a session's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransitionRow {
    pub revision: i64,
    pub state: SessionState,
    pub at: Timestamp,
    pub cause: String,
}

/// Which sessions.
#[derive(Clone, Debug, Default)]
pub struct SessionFilter {
    pub course: Option<CourseId>,
    pub subject: Option<Subject>,
    pub lab: Option<LabId>,
    /// Only those that are not over.
    pub live: bool,
    /// Newest first, at most so many; 0 means 1000.
    pub limit: u32,
}

/// The end of a session's metering.
#[derive(Clone, Debug)]
pub struct Settlement {
    pub session: SessionId,
    /// Whole seconds from first prompt to the end by the sandbox's clock.
    pub sandbox_secs: i64,
    /// Of those, to be billed (less than `sandbox_secs` when time was lost by us).
    pub billable_secs: i64,
    /// Why the rest is not billed.
    pub unbilled_reason: Option<String>,
    /// How the sandbox was lost, if its learner may have seen to that
    /// ([`may_be_the_learners`](crate::provisioning::EndReason::may_be_the_learners)). Nothing is billed of the first
    /// [`UNBILLED_LOSSES_A_DAY`](crate::metering::UNBILLED_LOSSES_A_DAY) of a learner within
    /// [`LOSSES_WITHIN`](crate::metering::LOSSES_WITHIN), whatever `billable_secs` says: counted where it is used, in the settling transaction.
    pub loss: Option<crate::provisioning::EndReason>,
    pub at: Timestamp,
}

/// Time that was billed is given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    pub session: SessionId,
    pub seconds: i64,
    /// Why, in a word or two: one refund a session and reason. The same again adds nothing, another amount for the same reason is refused.
    pub reason: String,
    pub at: Timestamp,
}

/// A durable piece of journal.
#[derive(Clone, Debug)]
pub struct ChunkAppend {
    pub session: SessionId,
    /// Lease epoch of the recorder; a lower one than last seen is refused.
    pub epoch: u64,
    /// Must equal the recording's end.
    pub start: u64,
    pub end: u64,
    /// Chain after this chunk, from the chain the caller read.
    pub chain: ChainHash,
    pub key: String,
    /// Agent clock of the last record in it.
    pub last_us: u64,
    pub at: Timestamp,
}

/// A change of a pool's row. Each says what it expects, so a repeat, or one that comes too late, changes nothing.
#[derive(Clone, Debug)]
pub struct PoolWrite {
    /// Epoch of the lease [`POOL_LEASE`]; one that is not the lease's newest is refused.
    pub epoch: u64,
    pub change: PoolChange,
}

/// The lease that pools are written under.
pub const POOL_LEASE: &str = "pools";

/// See [`PoolWrite`].
#[derive(Clone, Debug)]
pub enum PoolChange {
    /// A row for a sandbox that is about to be made, if there is room for it: sandboxes of sessions and pools stay below
    /// `sandboxes_max`; unless it is `reserved`, so that every session that waits has room too.
    Make {
        row: PoolSandbox,
        sandboxes_max: u32,
        reserved: bool,
    },
    /// `making` → `ready`.
    Ready {
        sandbox: SandboxId,
        at: Timestamp,
        ready_us: u64,
    },
    /// `making` or `ready` → `draining`: from here on no click can claim it.
    Drain { sandbox: SandboxId, reason: DrainReason },
    /// Removes the row of one that is `draining` or `claimed`; what it cost until then, or until it was claimed, is booked as overhead.
    Forget { sandbox: SandboxId, at: Timestamp },
}

/// A lease held by one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub name: String,
    pub holder: String,
    /// Grows each time another holder takes it: the fencing token.
    pub epoch: u64,
    pub expires_at: Timestamp,
}

/// Something a person did to another's session, or data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    pub at: Timestamp,
    pub actor: Subject,
    pub actor_name: String,
    pub role: Role,
    /// `view`, `replay`, `help`, `stop`, `export`, `pause-launches`, `resume-launches`, `statement`; of a person `export-person`, `erase-person`,
    /// `login-revoke`, and `link-person`: a platform proved who they were by LTI 1.1.
    pub action: String,
    pub session: Option<SessionId>,
    /// Of what is of a whole course: its wall.
    pub course: Option<CourseId>,
    /// Of what is of one person and no single session.
    pub about: Option<Subject>,
    pub detail: String,
}

/// A course run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    pub id: CourseId,
    pub title: String,
}

/// First presentation of a launch token, or a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redeem {
    Fresh,
    Used { at: Timestamp },
}

/// See the module's doc. Times are handed in, never read.
#[async_trait]
pub trait Store:
    LtiStore + GiverStore + GradeStore + MoneyStore + PrivacyStore + StaffStore + CourseStore + OrderStore
{
    /// Whether it answers; for `/readyz`.
    async fn ping(&self) -> Result<(), StoreError>;

    // --- labs ---------------------------------------------------------------------------------------------------------
    /// Adds a version (fine when it is there) and makes it the latest of its lab.
    async fn lab_publish(&self, lab: &LabVersion, at: Timestamp) -> Result<(), StoreError>;
    async fn lab_version(&self, digest: &LabDigest) -> Result<Option<LabVersion>, StoreError>;
    /// Of a lab that is not withdrawn.
    async fn lab_latest(&self, lab: &LabId) -> Result<Option<LabVersion>, StoreError>;
    /// Takes a lab out of what can be launched; its versions stay, and so do sessions of them. False when it was not published. Publishing
    /// it again undoes this.
    async fn lab_withdraw(&self, lab: &LabId) -> Result<bool, StoreError>;
    /// The version that was published last, also of a lab that is withdrawn since.
    async fn lab_last(&self, lab: &LabId) -> Result<Option<LabVersion>, StoreError>;
    /// The latest version of every lab that is not withdrawn, by id.
    async fn lab_list(&self) -> Result<Vec<LabVersion>, StoreError>;
    /// Every lab that was ever published, also of those that are withdrawn, by id.
    async fn lab_ids(&self) -> Result<Vec<LabId>, StoreError>;

    // --- launch -------------------------------------------------------------------------------------------------------
    async fn course_put(&self, course: &Course) -> Result<(), StoreError>;
    async fn course_list(&self) -> Result<Vec<Course>, StoreError>;
    /// As it was last put; none of a course that is only described (dates, people).
    async fn course_get(&self, course: &CourseId) -> Result<Option<Course>, StoreError>;
    /// Marks a launch token as used. `keep_until`: its expiry, after which the mark may be dropped.
    async fn launch_redeem(&self, id: LaunchId, at: Timestamp, keep_until: Timestamp) -> Result<Redeem, StoreError>;
    async fn login_create(&self, login: &Login, bearer: TokenHash) -> Result<(), StoreError>;
    /// The login of a bearer that is valid at `at` (the current one, or the previous within the grace set at rotation).
    async fn login_by_bearer(&self, bearer: TokenHash, at: Timestamp) -> Result<Option<Login>, StoreError>;
    /// Replaces the bearer; `old` stays valid until `grace_until`. False when `old` is not the current or previous bearer.
    async fn login_rotate(
        &self,
        login: LoginId,
        old: TokenHash,
        new: TokenHash,
        expires_at: Timestamp,
        grace_until: Timestamp,
    ) -> Result<bool, StoreError>;
    async fn login_get(&self, login: LoginId, at: Timestamp) -> Result<Option<Login>, StoreError>;
    /// Keeps a ticket. Of a login's, there are at most [`crate::launch::TICKETS_A_LOGIN_MAX`]: the oldest gives way.
    async fn ticket_create(&self, ticket: &Ticket) -> Result<(), StoreError>;
    /// Takes a ticket: the second caller gets nothing, nor does one after its expiry.
    async fn ticket_take(&self, hash: TokenHash, at: Timestamp) -> Result<Option<Ticket>, StoreError>;

    // --- entitlement --------------------------------------------------------------------------------------------------
    async fn plan_put(&self, plan: &Plan) -> Result<(), StoreError>;
    async fn plan_list(&self) -> Result<Vec<Plan>, StoreError>;
    /// Adds a grant and issues its seconds; the same id again changes nothing.
    async fn grant_issue(&self, grant: &Grant) -> Result<(), StoreError>;
    async fn grant_list(&self, subject: &Subject, course: Option<&CourseId>) -> Result<Vec<GrantBalance>, StoreError>;
    /// Takes back what is left of a grant: nothing is drawn from it any more. What sessions hold of it stays held. The seconds taken back;
    /// a repeat takes nothing.
    async fn grant_void(&self, grant: GrantId, reason: &str, at: Timestamp) -> Result<i64, StoreError>;
    /// Moves what is left on grants that ended before `at` to `breakage`; seconds moved. Some hundred grants a call.
    async fn grants_expire(&self, at: Timestamp) -> Result<i64, StoreError>;
    /// What the session's hold could still grow by at `at`.
    async fn time_left(&self, session: SessionId, at: Timestamp) -> Result<TimeLeft, StoreError>;
    /// Adds a batch with its codes' hashes, all or none.
    async fn voucher_create(&self, batch: &VoucherBatch, codes: &[TokenHash]) -> Result<(), StoreError>;
    /// Newest first.
    async fn voucher_list(&self) -> Result<Vec<VoucherBatchState>, StoreError>;
    /// From now on none of its codes can be redeemed; what was redeemed stays. A repeat changes nothing.
    async fn voucher_revoke(&self, batch: VoucherBatchId, reason: &str, at: Timestamp) -> Result<(), StoreError>;
    /// Judges a code ([`crate::entitlement::judge`]) and issues its grant, in one transaction: a code gives one grant to one learner, however
    /// often and from wherever it is typed. Counts wrong codes of who types.
    async fn voucher_redeem(&self, redemption: &Redemption) -> Result<Redeemed, StoreError>;
    /// Keeps a batch's terms, before the batch is made.
    async fn voucher_terms_put(&self, batch: VoucherBatchId, terms: &VoucherTerms) -> Result<(), StoreError>;
    /// Every batch that has terms, with what its codes gave; newest batch first. A batch that was never made has none.
    async fn voucher_terms_list(&self) -> Result<Vec<TermsState>, StoreError>;
    /// One transaction: the running session, or the course's run and limits checked, a warm sandbox of this version claimed if there is one (the
    /// oldest ready), session inserted, time held.
    async fn admit(&self, request: &AdmitRequest) -> Result<Admission, StoreError>;

    // --- provisioning -------------------------------------------------------------------------------------------------
    async fn session_get(&self, id: SessionId) -> Result<Option<Session>, StoreError>;
    async fn session_list(&self, filter: &SessionFilter) -> Result<Vec<Session>, StoreError>;
    /// Applies [`SessionState::next`]; the new session. A `Failed` or never-ready end voids the hold in the same transaction.
    async fn session_transition(&self, t: &Transition) -> Result<Session, StoreError>;
    async fn session_history(&self, id: SessionId) -> Result<Vec<TransitionRow>, StoreError>;
    /// Raises `active_at` and `seen_us` (never lowers them).
    async fn session_touch(
        &self,
        id: SessionId,
        active_at: Option<Timestamp>,
        seen_us: Option<u64>,
    ) -> Result<(), StoreError>;
    /// Moves the deadline later (learner's extension).
    async fn session_deadline(&self, id: SessionId, deadline: Timestamp) -> Result<Session, StoreError>;

    // --- pools --------------------------------------------------------------------------------------------------------
    /// Every pool sandbox, oldest first.
    async fn pool_list(&self) -> Result<Vec<PoolSandbox>, StoreError>;
    /// Applies a change; whether it changed anything (false: the row is not as the change expects, or there is no room).
    async fn pool_write(&self, write: &PoolWrite) -> Result<bool, StoreError>;

    // --- metering -----------------------------------------------------------------------------------------------------
    /// Makes the session's hold at least `held_secs` in total, as far as its learner's grants and its plan's daily cap allow; the total
    /// now held.
    async fn hold_extend(&self, session: SessionId, held_secs: i64, at: Timestamp) -> Result<i64, StoreError>;
    /// Settles once: hold → used and the rest back; the row. A repeat returns the first row, unchanged.
    async fn settle(&self, s: &Settlement) -> Result<UsageRow, StoreError>;
    /// Gives back time of a settled session by a reversing transaction: to the grants that paid, the last one first. Refused when less than
    /// that is left to give back. What goes back to a grant that has ended goes to `breakage` instead; the seconds that its learner can
    /// use again.
    async fn refund(&self, refund: &Refund) -> Result<i64, StoreError>;
    /// Usage of settled sessions (those that never became ready have zero), oldest first.
    async fn usage_list(
        &self,
        course: Option<&CourseId>,
        subject: Option<&Subject>,
        lab: Option<&LabId>,
    ) -> Result<Vec<UsageRow>, StoreError>;
    /// Sum of every entry (must be 0), of open holds and of use (seconds). Kept as entries are written, so it may be asked often.
    async fn ledger_sums(&self) -> Result<LedgerSums, StoreError>;
    /// The same, counted again from every entry there is: reads the whole ledger. Equal to [`Store::ledger_sums`], or the ledger was
    /// tampered with.
    async fn ledger_recount(&self) -> Result<LedgerSums, StoreError>;
    /// Transactions of a session, oldest first.
    async fn ledger_of(&self, session: SessionId) -> Result<Vec<Transaction>, StoreError>;

    // --- recording ----------------------------------------------------------------------------------------------------
    /// The recording, made when there is none.
    async fn recording_open(&self, session: SessionId, at: Timestamp) -> Result<RecordingHead, StoreError>;
    async fn recording_head(&self, session: SessionId) -> Result<Option<RecordingHead>, StoreError>;
    async fn recording_append(&self, chunk: &ChunkAppend) -> Result<RecordingHead, StoreError>;
    async fn recording_chunks(&self, session: SessionId) -> Result<Vec<Chunk>, StoreError>;
    /// Ends it once; a repeat changes nothing. `epoch` is of the recorder's lease ([`recorder_lease`]): one that is not the newest,
    /// or is older than the recording's last writer, is refused, so that a recorder that slept ends nothing that another goes on with.
    async fn recording_close(&self, session: SessionId, epoch: u64, state: &RecordingState) -> Result<(), StoreError>;

    // --- checks, audit, leases ----------------------------------------------------------------------------------------
    /// Keeps the outcome as the session's last of that check, and its best; offers what the learner's runs are worth then to every row of the
    /// outbox that it concerns ([`GradeStore`]), in the same transaction.
    async fn check_record(&self, session: SessionId, outcome: &CheckOutcome, at: Timestamp) -> Result<(), StoreError>;
    async fn check_list(&self, session: SessionId) -> Result<Vec<CheckOutcome>, StoreError>;
    async fn audit_append(&self, event: &AuditEvent) -> Result<(), StoreError>;
    /// Newest first, at most 1000.
    async fn audit_list(&self, session: Option<SessionId>) -> Result<Vec<AuditEvent>, StoreError>;
    /// When this person was last written down to have done this to the session.
    async fn audit_last(
        &self,
        session: SessionId,
        actor: &Subject,
        action: &str,
    ) -> Result<Option<Timestamp>, StoreError>;
    /// Takes a lease that is free, expired or already ours; `None` when another holds it. Renewing keeps the epoch.
    async fn lease_take(
        &self,
        name: &str,
        holder: &str,
        at: Timestamp,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError>;
    async fn lease_release(&self, lease: &Lease) -> Result<(), StoreError>;
    /// Drops what has expired (used launch marks, tickets, logins, wrong codes, our retired keys) and is older than a day, and
    /// logins by LTI that came to nothing; rows dropped.
    async fn sweep(&self, at: Timestamp) -> Result<u64, StoreError>;

    /// Yields when another process changed what sessions are to be, or may have: look again, sooner than by the timer. A hint, no more:
    /// it may come for nothing, late, or never. Without other processes it never does.
    fn hints(&self) -> BoxStream<'static, ()> {
        Box::pin(Silence)
    }

    // --- operations ---------------------------------------------------------------------------------------------------
    // Aggregates: how many rows an answer has does not depend on how many sessions there are.
    /// Pauses new launches, changes what is said of it, or lifts it; audited in the same transaction. What holds now. From then on
    /// [`Store::admit`] refuses new sessions; a click whose transaction was under way may still get one.
    async fn launches_pause(&self, change: &PauseChange) -> Result<Option<LaunchPause>, StoreError>;
    async fn launches_paused(&self) -> Result<Option<LaunchPause>, StoreError>;
    /// Sessions that are not over, by state.
    async fn session_counts(&self) -> Result<Vec<StateCount>, StoreError>;
    /// What went wrong at `since` or later, by reason and lab, most frequent first: every `failed`, and what was lost after it was
    /// usable.
    async fn failure_counts(&self, since: Timestamp) -> Result<Vec<FailureCount>, StoreError>;
    /// Who holds what at `at`.
    async fn lease_report(&self, at: Timestamp) -> Result<LeaseReport, StoreError>;
}

/// The lease under which a session's recording is written and ended.
pub fn recorder_lease(session: SessionId) -> String {
    format!("recorder/{session}")
}

/// A stream that never yields.
struct Silence;

impl Stream for Silence {
    type Item = ();
    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<()>> {
        Poll::Pending
    }
}

/// The ledger in two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerSums {
    /// Over every entry; anything but 0 is an alarm.
    pub total: i64,
    /// Seconds in holds.
    pub held: i64,
    /// Seconds used.
    pub used: i64,
}

/// What failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{what} {id} is not there")]
    NotFound { what: &'static str, id: String },
    #[error("{what} {id} was changed meanwhile: {detail}")]
    Conflict {
        what: &'static str,
        id: String,
        detail: String,
    },
    #[error("recording of {session} takes no chunk at {start}: it ends at {end}")]
    ChunkOrder { session: SessionId, start: u64, end: u64 },
    #[error("epoch {epoch} of {what} is not the newest")]
    Fenced { what: String, epoch: u64 },
    #[error(transparent)]
    Illegal(#[from] crate::provisioning::IllegalTransition),
    #[error("the database does not answer ({operation})")]
    Unavailable {
        operation: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the database is of a newer Labwire ({found}, this one knows {known}); upgrade this program")]
    Newer { found: i64, known: i64 },
    #[error(
        "the database is of an older Labwire ({found}, this one needs {known}); run `labwire migrate`, or set `migrate: true`"
    )]
    Older { found: i64, known: i64 },
    #[error("stored data cannot be read ({operation}): {detail}")]
    Corrupt { operation: &'static str, detail: String },
}

impl StoreError {
    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Conflict { .. } | Self::ChunkOrder { .. } | Self::Fenced { .. } | Self::Illegal(_) => {
                ErrorKind::Conflict
            }
            Self::Unavailable { .. } | Self::Older { .. } => ErrorKind::Unavailable,
            Self::Newer { .. } | Self::Corrupt { .. } => ErrorKind::Bug,
        }
    }

    /// Public code and metric label.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "store-not-found",
            Self::Conflict { .. } => "store-conflict",
            Self::ChunkOrder { .. } => "recording-order",
            Self::Fenced { .. } => "lease-fenced",
            Self::Illegal(_) => "session-state",
            Self::Unavailable { .. } => "store-unavailable",
            Self::Newer { .. } => "store-newer",
            Self::Older { .. } => "store-older",
            Self::Corrupt { .. } => "store-corrupt",
        }
    }
}
