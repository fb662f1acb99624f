//! Remedies that several checks propose.

pub(crate) mod app_address;
pub(crate) mod init_flags;
pub(crate) mod join_token;
pub(crate) mod rejoin;
pub(crate) mod remove_node;
pub(crate) mod restore_address;
pub(crate) mod state_files;
