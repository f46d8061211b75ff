//! Stage 2, entitlement: what a login may know and start. Limits are enforced by the store, inside the transaction that uses them.

mod access;
mod enrolment;
mod looked;
mod orders;
mod progress;
mod report;
mod start;
mod test_run;
mod vouchers;

pub(crate) use access::{may_know, owns};
pub use enrolment::BatchRequest;
pub(crate) use looked::Looked;
pub use orders::{OrderRefusal, Ordered, make_order_key};
pub use progress::{PROGRESS_PAGE, Progress, ProgressPage};
pub use report::{Health, RuntimeHealth, UsageFilter};
pub(crate) use start::stop_reason;
pub use start::{Me, SessionView, Started};
pub use test_run::TEST_RUN_ACTION;
pub use vouchers::make_codes;
