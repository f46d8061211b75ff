//! Typed ids. Each wraps what it is stored as, so that a session's id cannot be passed where a sandbox's is wanted.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                s.parse().map(Self)
            }
        }
    };
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The text as stored.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl From<&str> for $name {
            fn from(s: &str) -> Self {
                Self(s.to_owned())
            }
        }
        impl From<String> for $name {
            fn from(s: String) -> Self {
                Self(s)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

uuid_id!(
    /// One learner's run of one lab version. Version 7, so rows sort by time.
    SessionId
);
uuid_id!(
    /// What a runtime made for a session. Equals the session's id unless it came from a warm pool.
    SandboxId
);
uuid_id!(
    /// A right to lab time under a plan.
    GrantId
);
uuid_id!(
    /// Vouchers that were made together.
    VoucherBatchId
);
uuid_id!(
    /// A key with which a shop orders lab time.
    OrderKeyId
);
uuid_id!(
    /// A signed-in browser tab (a bearer), learner's or staff's.
    LoginId
);
uuid_id!(
    /// The identity of one signed launch link (`jti`); single use.
    LaunchId
);
uuid_id!(
    /// One ledger transaction, derived from its idempotency key (version 5).
    TxId
);

text_id!(
    /// A lab's name across its versions: `[a-z0-9-]{1,63}`.
    LabId
);
text_id!(
    /// A lab version: lower-case hex BLAKE3 of the lab file's bytes, 64 digits.
    LabDigest
);
text_id!(
    /// A person, as the platform names them (pseudonymous where the platform's id is).
    Subject
);
text_id!(
    /// A course run.
    CourseId
);
text_id!(
    /// A plan's name, e.g. `DISCOVERY`, `QUALIFYING`.
    PlanId
);
text_id!(
    /// Who pays for lab time in others' place: an employer, a job centre, a school that sells vouchers.
    SponsorId
);
text_id!(
    /// A place where learners are: a school, a city, a room.
    SiteId
);
text_id!(
    /// A terminal's name in the lab file, e.g. `r1`.
    TerminalId
);
text_id!(
    /// A check's name in the lab file.
    CheckId
);

/// A terminal's position in the lab file's list; what the wire uses.
pub type TerminalIndex = u16;

/// The index that stands for the session as a whole in journal records.
pub const WHOLE_SESSION: TerminalIndex = u16::MAX;

/// One browser tab as a source of numbered input. Namespaced by login, so a tab cannot name another's.
pub type WriterId = u64;

/// A BLAKE3 hash of a secret token; what is stored instead of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// Hashes a token as it was presented.
    pub fn of(token: &str) -> Self {
        Self(*blake3::hash(token.as_bytes()).as_bytes())
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// What [`mark`] is made from, so that no mark is a random id by accident.
const MARKS: uuid::Uuid = uuid::Uuid::from_u128(0x6c61_6277_6972_4500_8c6f_6c74_692f_6d6b);

/// The id of something that counts once, from what it is. Parts are told apart by their lengths.
pub fn mark(kind: &str, parts: &[&str]) -> uuid::Uuid {
    let mut text = kind.to_owned();
    for part in parts {
        text.push_str(&format!("\n{}:{part}", part.len()));
    }
    uuid::Uuid::new_v5(&MARKS, text.as_bytes())
}
