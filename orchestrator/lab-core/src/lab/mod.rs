//! What can run: lab file v1, its parser, its version.
//!
//! `file` holds the types as an author writes them, `parse` turns bytes into a checked [`LabVersion`] or into every problem
//! found, each with line, field, what was found and what was expected; `unreadable` and `mistyped` put the YAML parser's errors into an
//! author's words, with a remedy.

mod file;
mod locate;
mod mistyped;
mod parse;
mod rules;
#[cfg(test)]
mod slips;
mod unreadable;

pub use file::*;
pub use parse::*;
