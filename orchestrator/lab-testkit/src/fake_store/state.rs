//! The tables, and the operations of launch, recording and leases.

use lab_core::{
    CheckId, CourseId, GrantId, LabDigest, LabId, LaunchId, LoginId, PlanId, SandboxId, SessionId, SiteId, Timestamp,
    TokenHash,
    entitlement::{Grant, Plan},
    journal::CheckOutcome,
    lab::LabVersion,
    launch::{Login, LoginState, TICKETS_A_LOGIN_MAX, Ticket, staff::StaffState},
    metering::{Transaction, UsageRow},
    operations::LaunchPause,
    port::{AuditEvent, ChunkAppend, Course, Lease, Redeem, Session, StoreError, TransitionRow, recorder_lease},
    provisioning::PoolSandbox,
    recording::{ChainHash, Chunk, RecordingHead, RecordingState},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

/// What is kept is a day longer than it is valid.
const DAY: Duration = Duration::from_secs(86_400);

#[derive(Debug, Default)]
pub(super) struct State {
    pub labs: HashMap<LabDigest, LabVersion>,
    pub latest: BTreeMap<LabId, LabDigest>,
    /// As `latest`, and withdrawn ones too.
    pub last: BTreeMap<LabId, LabDigest>,
    pub titles: BTreeMap<CourseId, Course>,
    pub courses: super::courses::CourseTables,
    pub redeemed: HashMap<LaunchId, (Timestamp, Timestamp)>,
    pub logins: HashMap<LoginId, LoginRow>,
    pub tickets: HashMap<TokenHash, Ticket>,
    pub plans: BTreeMap<PlanId, Plan>,
    pub grants: BTreeMap<GrantId, Grant>,
    pub transactions: Vec<Transaction>,
    pub sessions: BTreeMap<SessionId, Session>,
    pub history: HashMap<SessionId, Vec<TransitionRow>>,
    pub usage: BTreeMap<SessionId, UsageRow>,
    pub recordings: HashMap<SessionId, RecordingRow>,
    pub checks: HashMap<SessionId, BTreeMap<CheckId, (Timestamp, CheckOutcome)>>,
    pub audit: Vec<AuditEvent>,
    pub leases: HashMap<String, Lease>,
    pub paused: Option<LaunchPause>,
    pub pool: BTreeMap<SandboxId, PoolSandbox>,
    /// When grants were taken back, and when their rest was taken off.
    pub voided: HashMap<GrantId, Timestamp>,
    pub swept: HashSet<GrantId>,
    pub vouchers: super::vouchers::Vouchers,
    pub lti: super::lti::LtiTables,
    pub staff_states: HashMap<TokenHash, StaffState>,
    pub grades: super::grades::Grades,
    pub accounts: super::accounts::Accounts,
    /// Where grants' learners are.
    pub sites: HashMap<GrantId, SiteId>,
    pub givers: super::givers::Givers,
    pub orders: super::orders::Orders,
    pub privacy: super::privacy::PrivacyTables,
}

#[derive(Debug)]
pub(super) struct LoginRow {
    pub login: Login,
    pub current: TokenHash,
    /// The bearer before, and until when it is accepted.
    pub previous: Option<(TokenHash, Timestamp)>,
}

impl LoginRow {
    pub fn state(&self) -> LoginState {
        LoginState {
            login: self.login.clone(),
            grace_until: self.previous.map(|(_, until)| until),
        }
    }
}

#[derive(Debug)]
pub(super) struct RecordingRow {
    pub head: RecordingHead,
    pub chunks: Vec<Chunk>,
    pub epoch: u64,
}

impl State {
    pub fn lab_publish(&mut self, lab: LabVersion) {
        self.latest.insert(lab.file.id.clone(), lab.digest.clone());
        self.last.insert(lab.file.id.clone(), lab.digest.clone());
        self.labs.insert(lab.digest.clone(), lab);
    }

    pub fn launch_redeem(&mut self, id: LaunchId, at: Timestamp, keep_until: Timestamp) -> Redeem {
        if let Some((first, _)) = self.redeemed.get(&id) {
            Redeem::Used { at: *first }
        } else {
            self.redeemed.insert(id, (at, keep_until));
            Redeem::Fresh
        }
    }

    pub fn login_create(&mut self, login: &Login, bearer: TokenHash) -> Result<(), StoreError> {
        if self.logins.contains_key(&login.id) {
            let id = login.id.to_string();
            return Err(StoreError::Conflict {
                what: "login",
                id,
                detail: "it is there already".into(),
            });
        }
        self.logins.insert(
            login.id,
            LoginRow {
                login: login.clone(),
                current: bearer,
                previous: None,
            },
        );
        Ok(())
    }

    pub fn login_by_bearer(&self, bearer: TokenHash, at: Timestamp) -> Option<Login> {
        let row = self.logins.values().find(|row| {
            row.current == bearer || row.previous.is_some_and(|(hash, until)| hash == bearer && at < until)
        })?;
        (at < row.login.expires_at).then(|| row.login.clone())
    }

    pub fn ticket_create(&mut self, ticket: &Ticket) {
        let mut theirs: Vec<_> = self.tickets.values().filter(|t| t.login == ticket.login).collect();
        theirs.sort_by_key(|t| t.expires_at);
        let gone: Vec<_> = theirs
            .iter()
            .take((theirs.len() + 1).saturating_sub(TICKETS_A_LOGIN_MAX))
            .map(|t| t.hash)
            .collect();
        self.tickets.retain(|hash, _| !gone.contains(hash));
        self.tickets.insert(ticket.hash, ticket.clone());
    }

    pub fn login_rotate(
        &mut self,
        login: LoginId,
        old: TokenHash,
        new: TokenHash,
        expires_at: Timestamp,
        grace_until: Timestamp,
    ) -> bool {
        let Some(row) = self.logins.get_mut(&login) else {
            return false;
        };
        if row.current != old && row.previous.is_none_or(|(hash, _)| hash != old) {
            return false;
        }
        row.previous = Some((old, grace_until));
        row.current = new;
        row.login.expires_at = expires_at;
        true
    }

    pub fn recording_open(&mut self, session: SessionId) -> Result<RecordingHead, StoreError> {
        self.session(session)?;
        if !self.recordings.contains_key(&session) {
            self.not_erased(session)?;
        }
        let fresh = || RecordingRow {
            head: RecordingHead {
                session,
                end: 0,
                chain: ChainHash::genesis(session),
                chunks: 0,
                state: RecordingState::Open,
                last_us: 0,
            },
            chunks: Vec::new(),
            epoch: 0,
        };
        Ok(self.recordings.entry(session).or_insert_with(fresh).head.clone())
    }

    pub fn recording_append(&mut self, chunk: &ChunkAppend) -> Result<RecordingHead, StoreError> {
        let missing = || StoreError::NotFound {
            what: "recording",
            id: chunk.session.to_string(),
        };
        let row = self.recordings.get_mut(&chunk.session).ok_or_else(missing)?;
        if chunk.epoch < row.epoch {
            return Err(StoreError::Fenced {
                what: format!("recording {}", chunk.session),
                epoch: chunk.epoch,
            });
        }
        let (start, end, chain, key) = (chunk.start, chunk.end, chunk.chain, chunk.key.clone());
        let piece = Chunk { start, end, chain, key };
        // the answer to the last one was lost
        if row.chunks.last() == Some(&piece) {
            return Ok(row.head.clone());
        }
        if row.head.state != RecordingState::Open {
            let id = chunk.session.to_string();
            return Err(StoreError::Conflict {
                what: "recording",
                id,
                detail: "it is closed".into(),
            });
        }
        if chunk.start != row.head.end || chunk.end <= chunk.start {
            return Err(StoreError::ChunkOrder {
                session: chunk.session,
                start: chunk.start,
                end: row.head.end,
            });
        }
        row.epoch = chunk.epoch;
        row.chunks.push(piece);
        row.head.end = end;
        row.head.chain = chain;
        row.head.chunks += 1;
        row.head.last_us = row.head.last_us.max(chunk.last_us);
        Ok(row.head.clone())
    }

    pub fn recording_close(
        &mut self,
        session: SessionId,
        epoch: u64,
        state: &RecordingState,
    ) -> Result<(), StoreError> {
        let newest = self.leases.get(&recorder_lease(session)).map_or(0, |l| l.epoch);
        let missing = || StoreError::NotFound {
            what: "recording",
            id: session.to_string(),
        };
        let row = self.recordings.get_mut(&session).ok_or_else(missing)?;
        if row.head.state != RecordingState::Open {
            return Ok(());
        }
        if epoch < newest.max(row.epoch) {
            return Err(StoreError::Fenced {
                what: format!("recording {session}"),
                epoch,
            });
        }
        row.head.state = state.clone();
        Ok(())
    }

    pub fn lease_take(&mut self, name: &str, holder: &str, at: Timestamp, ttl: Duration) -> Option<Lease> {
        let epoch = match self.leases.get(name) {
            Some(l) if l.holder == holder => l.epoch,
            Some(l) if at < l.expires_at => return None,
            Some(l) => l.epoch + 1,
            None => 1,
        };
        let lease = Lease {
            name: name.to_owned(),
            holder: holder.to_owned(),
            epoch,
            expires_at: at.plus(ttl),
        };
        self.leases.insert(name.to_owned(), lease.clone());
        Some(lease)
    }

    /// The row stays, with nobody's name: its epoch must go on growing.
    pub fn lease_release(&mut self, lease: &Lease) {
        if let Some(l) = self.leases.get_mut(&lease.name)
            && l.holder == lease.holder
            && l.epoch == lease.epoch
        {
            l.holder.clear();
            l.expires_at = Timestamp(i64::MIN);
        }
    }

    pub fn sweep(&mut self, at: Timestamp) -> u64 {
        let before = self.redeemed.len() + self.tickets.len() + self.logins.len() + self.staff_states.len();
        self.staff_states.retain(|_, s| at < s.expires_at);
        self.redeemed.retain(|_, (_, until)| at < until.plus(DAY));
        self.tickets.retain(|_, t| at < t.expires_at.plus(DAY));
        self.logins.retain(|_, row| at < row.login.expires_at.plus(DAY));
        let left = self.redeemed.len() + self.tickets.len() + self.logins.len() + self.staff_states.len();
        (before - left) as u64 + self.lti.sweep(at, at.minus(DAY))
    }
}
