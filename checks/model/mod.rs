//! Models of the facts that several checks share. No check is here.

pub(crate) mod address_demand;
pub(crate) mod app_member;
pub(crate) mod app_naming;
pub(crate) mod blocked_port;
pub(crate) mod configured_hosts;
pub(crate) mod engine_version;
pub(crate) mod free_subnet;
pub(crate) mod gossip_datagrams;
pub(crate) mod host_scope;
pub(crate) mod join_evidence;
pub(crate) mod join_failure;
pub(crate) mod local_addresses;
pub(crate) mod managers;
pub(crate) mod moved_manager;
pub(crate) mod moved_worker;
pub(crate) mod network_names;
pub(crate) mod node_entries;
pub(crate) mod overlay_echo;
pub(crate) mod reachability;
pub(crate) mod refused_requests;
pub(crate) mod service_discovery;
pub(crate) mod stack_app;
pub(crate) mod state_files;
pub(crate) mod task_slots;
pub(crate) mod workload;
