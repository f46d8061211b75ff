//! People's privacy, beside the seven stages: the notice before the first session, who looked, what goes when, one person's all.
//!
//! ```text
//!  sweep, under the lease `retention`                    erase, for one person
//!    due ─► recording_remove (row: nobody reads it) ◄──── person_erase (one transaction)
//!                  │
//!               removals ─► objects deleted ─► removal_done (where they lay is forgotten) ─ an hour later, once more ─►
//! ```
//! Rows come first, so that nobody can read half a recording, and no object is ever without a row that leads to it. Whatever dies in
//! between is finished by the next sweep. The second look is for a recorder that had an object under way when its recording was removed.

mod export;
mod looks;
mod notice;
mod people;
mod retention;

pub use export::{EXPORT_QUEUE, ExportPiece};
pub use notice::Told;
pub use people::{By, ErasedPerson, People, PersonView};
pub use retention::{Retention, SWEEP_EVERY, Swept};
