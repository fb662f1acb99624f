//! What the commands do with a diagnosis.

mod output;
