//! The flags of `docker swarm init` that a re-created swarm needs to keep its addresses and ports.

use crate::remedy::shell_quote;
use facts::Host;

/// The addresses and ports that the node wrote down when its swarm was created or joined, as flags of
/// `docker swarm init`. Flags that are left out get their defaults.
///
/// Source: moby `daemon/cluster/swarm.go` (`Init`).
pub(crate) fn init_flags(host: &Host) -> String {
    let Some(state) = host.swarm_state.get().ok().and_then(|state| state.value.as_ref()) else {
        return String::new();
    };
    let port = state.data_path_port;
    let port = if matches!(port, 0 | 4789) { String::new() } else { port.to_string() };
    let listen = if state.listen_addr == "0.0.0.0:2377" { "" } else { &state.listen_addr };
    let saved = [
        ("advertise-addr", state.advertise_addr.as_str()),
        ("listen-addr", listen),
        ("data-path-addr", &state.data_path_addr),
        ("data-path-port", &port),
    ];
    let flags = saved.iter().filter(|(_, value)| !value.is_empty());
    flags.map(|(name, value)| format!(" --{name} {}", shell_quote(value))).collect()
}
