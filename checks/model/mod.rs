//! What several checks derive from the facts. A check file imports these, and never another check.

pub(crate) mod configured_hosts;
pub(crate) mod join_evidence;
pub(crate) mod join_failure;
pub(crate) mod local_addresses;
pub(crate) mod managers;
pub(crate) mod moved_manager;
pub(crate) mod moved_worker;
pub(crate) mod network_names;
pub(crate) mod node_entries;
pub(crate) mod refused_requests;
pub(crate) mod service_discovery;
pub(crate) mod state_files;
