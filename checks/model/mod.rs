//! Models of the facts that several checks share. No check is here.

pub(crate) mod configured_hosts;
pub(crate) mod network_names;
pub(crate) mod service_discovery;
