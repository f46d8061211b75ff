//! What the outside must offer. Each port has one error enum with `kind()` and `code()`.

mod blobs;
mod clock;
mod courses;
mod givers;
mod grades;
mod lti;
mod mail;
mod money;
mod orders;
mod platform;
mod privacy;
mod runtime;
mod staff;
mod store;

pub use blobs::*;
pub use clock::*;
pub use courses::*;
pub use givers::*;
pub use grades::*;
pub use lti::*;
pub use mail::*;
pub use money::*;
pub use orders::*;
pub use platform::*;
pub use privacy::*;
pub use runtime::*;
pub use staff::*;
pub use store::*;

/// What a caller can do about an error; drives retry and HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The thing acted on is not there.
    NotFound,
    /// Someone else changed it first, or it is already something else. Read again.
    Conflict,
    /// Not allowed.
    Denied,
    /// The input is wrong.
    Invalid,
    /// Try again later.
    Unavailable,
    /// Ours to mend.
    Bug,
}
