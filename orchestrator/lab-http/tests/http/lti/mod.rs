//! Launches by LTI through the whole door, with a platform that misbehaves in every way there is.

mod basic;
mod choice;
mod forms;
pub mod keys;
pub mod lms;
mod members;
mod migrate;
mod pace;
mod plan;
mod register;
mod setup;
mod steps;
mod trial;
mod ways;
