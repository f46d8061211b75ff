//! Courses and their people: lists in and out, and one learner's page.

mod counts;
mod counts_csv;
mod export;
mod import;
mod learner;
mod rule;

pub use counts::{CourseCounts, FunnelStep, RunCounts, SeriesCounts, run_counts, series_counts};
pub use counts_csv::{funnel_csv, indicators_csv, progression_csv};
pub use export::export_list;
pub use import::{Known, LIST_BYTES_MAX, List, RowProblem, read_list};
pub use learner::LearnerView;
pub use rule::{RULE_LABS_MAX, rule_problem};
