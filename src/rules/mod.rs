//! Checks that users add: TOML files with conditions over the facts that built-in checks read.

mod broken;
mod catalogue;
mod expression;
mod facts;
mod file;
mod log_lines;
mod message;
mod rule;
mod schema;
mod trial;

#[cfg(test)]
mod tests;

pub use catalogue::{Catalogue, FOLDER};
pub use file::{Fault, read};
pub use rule::Rule;
pub use schema::facts_schema;
pub use trial::{TEMPLATE, Trial, test};
