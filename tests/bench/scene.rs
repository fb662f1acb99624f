//! A lab in which faults are injected and undone.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use lab::{Lab, Node};

use crate::fault::{EngineStep, Fault, Power, Step, Swarm};
use crate::report::Report;
use crate::variables::Variables;

/// Time limit for all findings to disappear after the fault is undone.
const RECOVERY: Duration = Duration::from_secs(120);

/// A lab with a swarm of one size.
pub(crate) struct Scene {
    pub(crate) lab: Lab,
    pub(crate) swarm: Swarm,
    spawned: usize,
}

impl Scene {
    /// Starts a swarm and copies the doctor to each node.
    pub(crate) fn up(swarm: Swarm, engines: &[String], doctor: &Path) -> Result<Self> {
        let engines: Vec<&str> = engines.iter().map(String::as_str).collect();
        let builder = Lab::builder().managers(swarm.managers).workers(swarm.workers).nodes(swarm.nodes);
        let lab = builder.engines(&engines).up()?;
        for node in lab.nodes() {
            node.install(doctor)?;
        }
        Ok(Self { lab, swarm, spawned: 0 })
    }

    /// The values that the fault varies, and `NODE1`, `NODE2`, ... with the addresses of the nodes.
    pub(crate) fn variables(&self, fault: &Fault) -> Variables {
        let mut variables = fault.values.clone();
        for node in self.lab.nodes() {
            variables.set(&node.name().to_uppercase(), node.address());
        }
        variables
    }

    /// Runs the steps in order.
    pub(crate) fn perform(&mut self, steps: &[Step], variables: &mut Variables) -> Result<()> {
        for (step, number) in steps.iter().zip(1..) {
            self.step(step, variables).with_context(|| format!("step {number} on {}", step.on))?;
        }
        Ok(())
    }

    /// Kills the programs that `spawn` steps started.
    pub(crate) fn end_spawned(&mut self) -> Result<()> {
        let script = r#"for file in /run/lab/spawned.*; do
            [ -e "$file" ] || continue
            kill -s KILL -- "-$(cat "$file")" 2>/dev/null || true
            rm "$file"
        done"#;
        for node in self.lab.nodes().iter().filter(|node| node.pid1().is_some()) {
            node.shell(script, &[])?;
        }
        Ok(())
    }

    /// Waits until the doctor reports no finding on any member and exits with 0.
    pub(crate) fn wait_for_health(&self) -> Result<()> {
        let members = self.swarm.managers + self.swarm.workers;
        for node in &self.lab.nodes()[..members] {
            let mut findings = Vec::new();
            let silent = self.lab.wait("silence", RECOVERY, || {
                let report = Report::of(node, &[])?;
                findings = report.lines();
                Ok(findings.is_empty() && report.exit == 0)
            });
            silent.with_context(|| format!("undone, and {} still reports {findings:?}", node.name()))?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step, variables: &mut Variables) -> Result<()> {
        let name = variables.substitute(&step.on);
        let node = self.lab.nodes().iter().find(|node| node.name() == name);
        let node = node.with_context(|| format!("there is no node {name}"))?;
        if let Some(script) = &step.sh {
            let output = script_in(node, script, variables, step.within)?;
            ensure!(
                output.success() != step.fails,
                "`{script}` ended with {}, and was {}: {}{}",
                output.status,
                if step.fails { "to fail" } else { "to succeed" },
                output.stdout,
                output.stderr
            );
            if let Some(variable) = &step.variable {
                variables.set(variable, output.stdout.trim());
            }
        } else if let Some(engine) = step.engine {
            let flags: Vec<String> = step.flags.iter().map(|flag| variables.substitute(flag)).collect();
            engine_step(node, engine, &flags.iter().map(String::as_str).collect::<Vec<_>>())?;
        } else if let Some(power) = step.power {
            match power {
                Power::On => node.power_on()?,
                Power::Off => node.power_off()?,
            }
        } else if let (Some(file), Some(text)) = (&step.file, &step.text) {
            node.write_file(&variables.substitute(file), variables.substitute(text))?;
        } else if let Some(script) = &step.spawn {
            self.spawned += 1;
            let file = format!("/run/lab/spawned.{}", self.spawned);
            // A separate process group, so that all of it can be killed.
            let start = r#"setsid --fork sh -c 'echo $$ > "$1"; exec sh -euc "$2"' sh "$@" < /dev/null > /dev/null 2>&1
                until [ -s "$1" ]; do sleep 0.05; done"#;
            let mut command = node.command(&["sh", "-euc", start, "sh", &file, script])?;
            for (name, value) in variables.iter() {
                command = command.env(name, value);
            }
            ensure!(command.run()?.success(), "failed to start `{script}`");
        } else if let Some(script) = &step.wait {
            let limit = Duration::from_secs(step.within.unwrap_or(60));
            self.lab.wait("success", limit, || {
                let output = script_in(node, script, variables, None)?;
                ensure!(output.success(), "`{script}`: {}{}", output.stdout, output.stderr);
                Ok(true)
            })?;
        }
        Ok(())
    }
}

fn script_in(node: &Node, script: &str, variables: &Variables, within: Option<u64>) -> Result<lab::Output> {
    let mut command = node.command(&["sh", "-euc", script, "sh"])?;
    for (name, value) in variables.iter() {
        command = command.env(name, value);
    }
    if let Some(seconds) = within {
        command = command.timeout(Duration::from_secs(seconds));
    }
    command.run()
}

fn engine_step(node: &Node, step: EngineStep, flags: &[&str]) -> Result<()> {
    match step {
        EngineStep::Stop => node.stop_engine(),
        // A fix may have started it.
        EngineStep::Start if node.engine_answers() && flags.is_empty() => Ok(()),
        EngineStep::Start => node.start_engine(flags),
        EngineStep::Restart => {
            node.stop_engine()?;
            node.start_engine(flags)
        }
        EngineStep::Kill => node.kill_engine(),
        EngineStep::Freeze => node.freeze_engine(),
        EngineStep::Thaw => node.thaw_engine(),
        EngineStep::FailsToStart => {
            if node.start_engine(flags).is_ok() {
                bail!("{}: the engine started, and was to fail", node.name());
            }
            Ok(())
        }
    }
}
