//! A running lab.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::builder::Builder;
use crate::node::Node;
use crate::registry;

/// The nodes and the switch between them. Dropping it takes the lab down, unless it is kept.
#[derive(Debug)]
pub struct Lab {
    dir: PathBuf,
    kept: bool,
    nodes: Vec<Node>,
}

impl Lab {
    /// Configures and starts a lab.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// A lab that another process has started. Dropping it leaves it up.
    pub fn open(name: &str) -> Result<Self> {
        let dir = registry::directory(name)?;
        let switch = registry::record(&dir)?.switch.with_context(|| format!("lab {name} is not up yet"))?;
        let nodes = registry::node_directories(&dir)?.into_iter().map(|dir| Node::open(dir, switch));
        Ok(Self { nodes: nodes.collect::<Result<_>>()?, kept: true, dir })
    }

    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir, kept: false, nodes: Vec::new() }
    }

    pub(crate) fn set_nodes(&mut self, nodes: Vec<Node>) {
        self.nodes = nodes;
    }

    /// Leaves the lab up when it is dropped and when this process ends.
    pub fn keep(&mut self) -> Result<()> {
        self.kept = true;
        registry::disown(&self.dir)
    }

    /// Its name, unique on this host.
    #[must_use]
    pub fn name(&self) -> &str {
        self.dir.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// The directory of its files.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// All nodes, managers first.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node with this name.
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    #[track_caller]
    pub fn node(&self, name: &str) -> &Node {
        let node = self.nodes.iter().find(|node| node.name() == name);
        #[expect(clippy::panic, reason = "a name that the caller made up cannot be handled")]
        node.unwrap_or_else(|| panic!("lab {} has no {name}", self.name()))
    }

    /// Waits until `ready` returns true. An error counts as "not yet" and is reported at the time limit.
    pub fn wait(&self, what: &str, limit: Duration, mut ready: impl FnMut() -> Result<bool>) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let error = match ready() {
                Ok(true) => return Ok(()),
                Ok(false) => None,
                Err(error) => Some(error),
            };
            if Instant::now() >= deadline {
                let why = error.map(|error| format!(": {error:#}")).unwrap_or_default();
                bail!("lab {}: no {what} within {limit:?}{why}", self.name());
            }
            sleep(Duration::from_millis(100));
        }
    }

    /// Takes down a lab by its name, also one that started only partly.
    pub fn take_down(name: &str) -> Result<()> {
        registry::remove(&registry::directory(name)?)
    }

    /// Takes the lab down, kept or not.
    pub fn down(mut self) -> Result<()> {
        self.kept = true;
        registry::remove(&self.dir)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = registry::remove(&self.dir)
        {
            #[expect(clippy::print_stderr, reason = "there is no caller to give the error to")]
            {
                eprintln!("{error:#}");
            }
        }
    }
}
