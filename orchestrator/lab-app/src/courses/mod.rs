//! Courses and their people: lists in and out, and one learner's page.

mod export;
mod import;
mod learner;

pub use export::export_list;
pub use import::{Known, LIST_BYTES_MAX, List, RowProblem, read_list};
pub use learner::LearnerView;
