//! Swarms of real Docker engines on one host, for tests that inject faults.
//!
//! Every node is a set of network, mount, UTS, IPC and pid namespaces with its own `dockerd`, `rsyslogd`
//! and root file system. A bridge in a separate network namespace connects the nodes, without a default route: no packet
//! leaves the lab, the host's network does not change, and several labs run at the same time with the same addresses.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! let why = lab::missing();
//! if !why.is_empty() {
//!     println!("skipped: {}", why.join(", "));
//!     return Ok(());
//! }
//! let lab = lab::Lab::builder().managers(1).workers(2).up()?;
//! lab.node("node1").docker(&["service", "create", "--no-resolve-image", "lab/busybox:1", "sleep", "1000"])?;
//! # Ok(())
//! # }
//! ```
#![expect(clippy::disallowed_methods, reason = "a lab is made of programs: ip, unshare, nsenter, dockerd")]

mod builder;
mod cache;
mod cgroup;
mod debian;
mod dockerd;
mod engine;
mod exec;
mod guest;
mod image;
mod lab;
mod namespaces;
mod node;
mod process;
mod program;
mod registry;
mod requirements;
mod root;
mod ssh;
mod swarm;
mod switch;
mod time_limit;

pub use builder::Builder;
pub use engine::{Engine, SUITES};
pub use exec::{Exec, Output};
pub use guest::{GUEST_APT_PACKAGES, Guest};
pub use image::IMAGE;
pub use lab::Lab;
pub use node::{Node, Role};
pub use registry::{names, sweep};
pub use requirements::{APT_PACKAGES, missing};
