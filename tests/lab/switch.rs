//! The bridge that connects the nodes, in a separate network namespace.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::namespaces;
use crate::process::Process;

/// Starts the process that holds the network namespace of the switch, and creates the bridge in it.
pub(crate) fn start(dir: &Path, register: impl FnOnce(Process) -> Result<()>) -> Result<Process> {
    let script = "read -r registered || exit 1; echo ready; exec sleep infinity </dev/null >/dev/null 2>&1";
    let switch = namespaces::start(&["--net"], script, &[], &dir.join("switch.log"), register)
        .context("failed to start the switch")?;
    ip(switch, "link add br0 type bridge\nlink set br0 up\n")?;
    Ok(switch)
}

/// Addresses of TEST-NET-1 (RFC 5737), which no real network uses.
pub(crate) fn address(number: usize) -> String {
    format!("192.0.2.{number}")
}

/// Connects a node with a veth pair: `eth0` in the node, a bridge port with the node's name in the switch.
pub(crate) fn plug(switch: Process, name: &str, node: Process, address: &str) -> Result<()> {
    ip(
        switch,
        &format!(
            "link add {name} type veth peer name eth0 netns {}\nlink set {name} master br0 up\n",
            node.pid
        ),
    )?;
    ip(node, &format!("link set lo up\naddress add {address}/24 dev eth0\nlink set eth0 up\n"))
}

/// Disconnects a node at once. The kernel does it as well, but some time after the exit of the node's last process.
pub(crate) fn unplug(switch: Process, name: &str) -> Result<()> {
    let gone = ["Cannot find device", "No such device"];
    match ip(switch, &format!("link delete {name}\n")) {
        // The kernel has already removed it, possibly between two commands of the script.
        Err(error) if gone.iter().any(|words| error.to_string().contains(words)) => Ok(()),
        unplugged => unplugged,
    }
}

/// How many nodes always fit into the kernel's default table, overlays and sandboxes included.
const FEW: usize = 12;

/// The kernel has one neighbour table for all network namespaces, and a full mesh of N nodes puts about
/// N*(N-1) entries into it, overlays not counted: at 25 nodes that all probe each other the default limit of 1024 is
/// passed, and then joins and probes fail with "no route to host".
pub(crate) fn widen_neighbour_table(nodes: usize) -> Result<()> {
    let limit = |name: &str| format!("/proc/sys/net/ipv4/neigh/default/{name}");
    let present = fs::read_to_string(limit("gc_thresh3")).ok().and_then(|text| text.trim().parse().ok());
    if nodes < FEW || present.is_some_and(|present: usize| present >= 65536) {
        return Ok(());
    }
    for (name, value) in [("gc_thresh3", "65536"), ("gc_thresh2", "32768"), ("gc_thresh1", "16384")] {
        fs::write(limit(name), value).with_context(|| format!("failed to raise {name}"))?;
    }
    Ok(())
}

/// Runs the host's `ip` in a network namespace, independent of the programs in the node.
fn ip(process: Process, commands: &str) -> Result<()> {
    let mut child = namespaces::enter(process, &["--net"])
        .args(["ip", "-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("failed to start ip")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(commands.as_bytes()).context("failed to write to ip")?;
    }
    let output = child.wait_with_output().context("failed to wait for ip")?;
    if !output.status.success() {
        bail!("ip refused {commands:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
