//! What makes sandboxes.

use super::ErrorKind;
use crate::{
    LabDigest, LabId, SandboxId, SessionId, Timestamp,
    agent::AgentSpec,
    lab::{NetworkPolicy, RuntimeKind, SizeClass},
    provisioning::EndReason,
};
use async_trait::async_trait;
use futures_core::stream::BoxStream;
use futures_io::{AsyncRead, AsyncWrite};

/// A byte stream to an agent.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// Makes, lists and drops sandboxes, and connects to their agents.
///
/// The distributed contract: calls may be repeated, by this process or by one that took over after a crash. `ensure` and
/// `drop` are idempotent. `list` is the truth; `watch` is only a hint that it may have changed. A sandbox survives the
/// process that made it. Only sandboxes of this installation (its name is given to the adapter) are listed or touched.
#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// `docker`, `process`, `kubernetes`.
    fn name(&self) -> &'static str;
    /// Makes the sandbox and starts its agent, unless it is there already. Returns when it is started, not when the lab is ready.
    async fn sandbox_ensure(&self, spec: &SandboxSpec) -> Result<(), RuntimeError>;
    /// Removes the sandbox and everything of it; fine when there is none.
    async fn sandbox_drop(&self, id: SandboxId) -> Result<(), RuntimeError>;
    /// Every sandbox of this installation.
    async fn sandbox_list(&self) -> Result<Vec<SandboxStatus>, RuntimeError>;
    /// Wakes when the list may have changed. Ends when the runtime goes away; the caller subscribes again.
    fn sandbox_watch(&self) -> BoxStream<'static, ()>;
    /// A new connection to the sandbox's agent. Any number may be open at once.
    async fn connect(&self, id: SandboxId) -> Result<Box<dyn ByteStream>, RuntimeError>;
    /// Whether the runtime answers, with its version; for `/readyz` and `doctor`.
    async fn health(&self) -> Result<String, RuntimeError>;
    /// Whether the image can be used now.
    async fn image_present(&self, image: &str) -> Result<bool, RuntimeError>;
}

/// What a sandbox must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxSpec {
    pub id: SandboxId,
    pub session: SessionId,
    pub lab: LabId,
    pub digest: LabDigest,
    pub image: String,
    pub size: SizeClass,
    /// Uid the agent and everything below it runs as.
    pub user: u32,
    /// The lab makes user namespaces: the wider seccomp profile and an unmasked /proc.
    pub namespaces: bool,
    /// A container, or a machine of its own inside one.
    pub runtime: RuntimeKind,
    /// What it may reach.
    pub network: NetworkPolicy,
    /// The sandbox kills itself after so many seconds, whatever happens to us: plan maximum plus grace.
    pub deadline_secs: u64,
    pub agent: AgentSpec,
}

/// What a runtime says of one sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxStatus {
    pub id: SandboxId,
    pub session: SessionId,
    pub phase: SandboxPhase,
    pub created_at: Timestamp,
    /// The machine it runs on, where the runtime has several; for operations.
    pub node: Option<String>,
    /// That machine does not answer its cluster: what was said of the sandbox may be old.
    pub node_away: bool,
}

/// Where a sandbox is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SandboxPhase {
    /// Made, not running yet; with what it waits for, where the runtime knows.
    Starting { waiting: Option<Waiting> },
    /// Its agent's process runs.
    Running,
    /// Ended; `status` is the agent's exit status where known.
    Gone {
        status: Option<i64>,
        cause: GoneCause,
        at: Option<Timestamp>,
    },
}

/// What ended a sandbox, as far as its runtime knows. Who pays for the time depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoneCause {
    /// The agent's process ended, by itself or by a signal: whoever is inside may have seen to that.
    AgentEnded,
    /// The sandbox used more memory than its size has.
    OutOfMemory,
    /// It wrote more to its disk than it may.
    OutOfDisk,
    /// It was taken away: its machine went or ran short, somebody removed it, its own deadline passed.
    Taken,
}

impl GoneCause {
    /// Why a usable session ends that lost its sandbox so.
    pub fn reason(self) -> EndReason {
        match self {
            Self::AgentEnded => EndReason::AgentLost,
            Self::OutOfMemory => EndReason::OutOfMemory,
            Self::OutOfDisk => EndReason::OutOfDisk,
            Self::Taken => EndReason::SandboxLost,
        }
    }
}

/// Why a sandbox that was made does not run yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub reason: WaitReason,
    /// The runtime's own words, for operations; they may name machines, so no learner sees them.
    pub detail: String,
}

/// What a sandbox waits for: known to the pages, which say it in the learner's language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// No machine has room for it now.
    Capacity,
    /// What this installation may use of the cluster is used up.
    Quota,
    /// Its image could not be fetched; the runtime goes on trying.
    Image,
    /// The runtime, or the machine it chose, does not take it as it is; tried again.
    Refused,
}

impl WaitReason {
    /// Every value, for tables and texts.
    pub const ALL: &'static [Self] = &[Self::Capacity, Self::Quota, Self::Image, Self::Refused];

    /// The public code: value in notices, key of the page's texts.
    pub fn code(self) -> &'static str {
        match self {
            Self::Capacity => "capacity",
            Self::Quota => "quota",
            Self::Image => "image",
            Self::Refused => "refused",
        }
    }
}

/// What failed.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    #[error("image {image} is not here and cannot be fetched; build it with `make images`")]
    ImageMissing { image: String },
    #[error("the runtime refused sandbox {id}: {message}")]
    Refused { id: SandboxId, message: String },
    #[error("sandbox {id} is not there")]
    NotFound { id: SandboxId },
    #[error("sandbox {id} runs, but its agent does not answer")]
    AgentUnreachable {
        id: SandboxId,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the runtime does not answer ({operation})")]
    Unavailable {
        operation: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl RuntimeError {
    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::ImageMissing { .. } => ErrorKind::Invalid,
            Self::Refused { .. } => ErrorKind::Denied,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::AgentUnreachable { .. } | Self::Unavailable { .. } => ErrorKind::Unavailable,
        }
    }

    /// Public code and metric label.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ImageMissing { .. } => "image-missing",
            Self::Refused { .. } => "sandbox-refused",
            Self::NotFound { .. } => "sandbox-not-found",
            Self::AgentUnreachable { .. } => "agent-unreachable",
            Self::Unavailable { .. } => "runtime-unavailable",
        }
    }
}
