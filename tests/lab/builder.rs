//! The settings of a lab, and the steps that start it.

use std::iter;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use crate::engine::Engine;
use crate::lab::Lab;
use crate::node::{Node, Role};
use crate::{image, registry, swarm, switch};

/// The settings of a lab.
#[derive(Clone, Debug, Default)]
#[must_use = "no lab is there before `up`"]
pub struct Builder {
    name: Option<String>,
    managers: usize,
    workers: usize,
    loners: usize,
    engines: Vec<String>,
    without_engine: bool,
    kept: bool,
}

impl Builder {
    /// Number of managers; the first one initialises the swarm.
    pub fn managers(mut self, count: usize) -> Self {
        self.managers = count;
        self
    }

    /// Number of workers.
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = count;
        self
    }

    /// Number of nodes outside the swarm, numbered after managers and workers.
    pub fn nodes(mut self, count: usize) -> Self {
        self.loners = count;
        self
    }

    /// Engines by version or Debian suite, assigned to the nodes round-robin; the engine of the host if empty.
    pub fn engines(mut self, versions: &[&str]) -> Self {
        self.engines = versions.iter().map(|&version| version.to_owned()).collect();
        self
    }

    /// Nodes without a running `dockerd`; `Node::start_engine` starts it.
    pub fn no_engine(mut self) -> Self {
        self.without_engine = true;
        self
    }

    /// A name for `Lab::open`; by default, a unique one is generated.
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Leave the lab up when it is dropped and when this process ends.
    pub fn keep(mut self) -> Self {
        self.kept = true;
        self
    }

    /// Starts the lab. With a swarm, waits until all nodes are Ready and know each other by gossip.
    pub fn up(self) -> Result<Lab> {
        let roles: Vec<Role> =
            [(Role::Manager, self.managers), (Role::Worker, self.workers), (Role::None, self.loners)]
                .into_iter()
                .flat_map(|(role, count)| iter::repeat_n(role, count))
                .collect();
        let swarm = self.managers + self.workers > 0;
        ensure!((1..=254).contains(&roles.len()), "a lab has 1 to 254 nodes, not {}", roles.len());
        ensure!(self.managers > 0 || self.workers == 0, "workers need a manager");
        ensure!(!(swarm && self.without_engine), "a swarm needs engines");
        registry::sweep().context("failed to sweep up labs whose owner is gone")?;
        let mut engines =
            self.engines.iter().map(|version| Engine::find(version)).collect::<Result<Vec<_>>>()?;
        if engines.is_empty() {
            engines.push(Engine::host()?);
        }
        let image = if self.without_engine { None } else { Some(image::tar()?) };
        switch::widen_neighbour_table(roles.len())?;

        let dir = registry::claim(self.name.as_deref())?;
        // From here on, an early return drops the lab, which takes it down.
        let mut lab = Lab::new(dir.clone());
        let switch = switch::start(&dir, |switch| registry::set_switch(&dir, switch))?;
        let nodes =
            roles.iter().zip(engines.iter().cycle()).zip(1..).map(|((&role, engine), number)| {
                Node::create(&dir, switch, engine, role, number, roles.len())
            });
        lab.set_nodes(nodes.collect::<Result<_>>()?);
        each(lab.nodes(), |node| {
            node.power_on()?;
            let Some(image) = &image else { return Ok(()) };
            node.start_engine(&[])?;
            image::import(node, image)
        })?;
        if swarm {
            swarm::form(&lab)?;
        }
        if self.kept {
            lab.keep()?;
        }
        Ok(lab)
    }
}

/// Runs `work` on all nodes, several at a time; returns the first error.
pub(crate) fn each(nodes: &[Node], work: impl Fn(&Node) -> Result<()> + Sync) -> Result<()> {
    let at_once = thread::available_parallelism().map_or(4, |cores| cores.get() * 2);
    let queue = Mutex::new(nodes.iter());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        let drain = || iter::from_fn(next).try_for_each(&work);
        let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(drain)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(_) => bail!("a thread that brings up a node has panicked"),
        })
    })
}
