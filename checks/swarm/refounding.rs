//! A swarm that is founded anew keeps what its engine was told before.

use facts::Host;

/// What an engine was told of addresses and ports when its swarm was made or joined, as the flags of `docker swarm init`.
/// What is not said again, the new swarm takes as it is usual.
///
/// Source: moby `daemon/cluster/swarm.go` (`Init`).
pub(super) fn told_before(host: &Host) -> String {
    let Some(state) = host.swarm_state.get().ok().and_then(|state| state.value.as_ref()) else {
        return String::new();
    };
    let port = state.data_path_port;
    let port = if matches!(port, 0 | 4789) { String::new() } else { port.to_string() };
    let listen = if state.listen_addr == "0.0.0.0:2377" { "" } else { &state.listen_addr };
    let told = [
        ("advertise-addr", state.advertise_addr.as_str()),
        ("listen-addr", listen),
        ("data-path-addr", &state.data_path_addr),
        ("data-path-port", &port),
    ];
    let flags = told.iter().filter(|(_, value)| !value.is_empty());
    flags.map(|(name, value)| format!(" --{name} {}", crate::remedy::shell_quote(value))).collect()
}
