//! Stage 2, entitlement: what a login may know and start. Limits are enforced by the store, inside the transaction that uses them.

mod access;
mod orders;
mod report;
mod start;
mod vouchers;

pub(crate) use access::{may_know, owns};
pub(crate) use orders::OrderPace;
pub use orders::{OrderRefusal, Ordered, make_order_key};
pub use report::{Health, RuntimeHealth, UsageFilter};
pub(crate) use start::stop_reason;
pub use start::{Me, SessionView, Started};
pub use vouchers::make_codes;
