//! A swarm of real Docker engines on one machine, to be broken by tests.
//!
//! Every node is a set of network, mount, UTS, IPC and pid namespaces with its own `dockerd`, `rsyslogd`
//! and root file system. The nodes hang on a bridge in a network namespace of the lab's own, without
//! a default route: no packet leaves the lab, the host's network is left alone, and any number of labs run
//! side by side with the same addresses.
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
mod patience;
mod process;
mod program;
mod registry;
mod requirements;
mod root;
mod swarm;
mod switch;

pub use builder::Builder;
pub use engine::{Engine, SUITES};
pub use exec::{Exec, Output};
pub use guest::{GUEST_APT_PACKAGES, Guest};
pub use image::IMAGE;
pub use lab::Lab;
pub use node::{Node, Role};
pub use registry::{names, sweep};
pub use requirements::{APT_PACKAGES, missing};
