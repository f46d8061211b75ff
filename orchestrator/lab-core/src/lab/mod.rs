//! What can run: lab file v1, its parser, its version.
//!
//! `file` holds the types as an author writes them, `parse` turns bytes into a checked [`LabVersion`] or into every problem
//! found, each with line, field, what was found and what was expected.

mod file;
mod locate;
mod parse;
mod rules;

pub use file::*;
pub use parse::*;
