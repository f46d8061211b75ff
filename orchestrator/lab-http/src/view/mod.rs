//! The shapes that leave as JSON, with their OpenAPI schemas. Times are Unix seconds, ids are text. lab-core's types stay free of
//! both; each view is made from one of them here and nowhere else.

mod accounts;
mod course;
mod courses;
mod enrolment;
mod indicators;
mod lab;
mod login;
mod lti;
mod operations;
mod order;
mod pool;
mod privacy;
mod recording;
mod report;
mod session;
mod voucher;

pub use accounts::*;
pub use course::*;
pub use courses::*;
pub use enrolment::*;
pub use indicators::*;
pub use lab::*;
pub use login::*;
pub use lti::*;
pub use operations::*;
pub use order::*;
pub use pool::*;
pub use privacy::*;
pub use recording::*;
pub use report::*;
pub use session::*;
pub use voucher::*;
