//! Launches by LTI through the whole door, with a platform that misbehaves in every way there is.

mod basic;
mod choice;
mod forms;
mod keys;
mod lms;
mod plan;
mod steps;
mod ways;
