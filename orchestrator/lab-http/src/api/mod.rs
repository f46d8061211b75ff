//! Handlers, a file per noun. Each reads the request, asks the app, shows the answer.

pub mod accounts;
pub mod audit;
pub mod course;
pub mod courses;
pub mod demo;
pub mod enrolment;
pub mod health;
pub mod indicators;
pub mod lab;
pub mod launch;
pub mod lti;
pub mod me;
pub mod operations;
pub mod order;
pub mod pool;
pub mod privacy;
pub mod progress;
pub mod recording;
pub mod session;
pub mod test_run;
pub mod ticket;
pub mod usage;
pub mod voucher;

use crate::error::ApiError;

/// What a handler gives.
pub(crate) type Answer<T> = Result<axum::Json<T>, ApiError>;
