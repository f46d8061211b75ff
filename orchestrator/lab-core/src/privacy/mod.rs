//! What is kept of people, for how long, who looked, and how it goes: beside the seven stages, and through all of them.
//!
//! ```text
//!  notice     told before the first session, once a version     ─► acknowledged: subject, version, time
//!  looks      who watched, replayed or exported                 ─► told to whom it was about
//!  retention  each class of data has its time                   ─► rows say so first, objects follow, rows are forgotten last
//!  person     all of one person: listed, exported, erased       ─► the ledger stays, under a random name
//! ```

mod notice;
mod person;
mod retention;

pub use notice::{Acknowledgement, CONTACT_CHARS_MAX, NOTICE_REVISION, Notice, NoticeVersion};
pub use person::{
    Erased, Erasure, Footprint, LOOKS_PAGE, Look, PEOPLE_PAGE, PersonSummary, RedeemedVoucher, Traces, WALL_SPAN,
    is_pseudonym, pseudonym,
};
pub use retention::{Before, Class, Due, Removal, Retention, RetentionRun, SECOND_LOOK};
