//! The fix of a fault: it resolves the finding, the next run does not find it again, and undo restores the previous state to
//! the byte, unless the plan declared the fix irreversible.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use lab::Node;
use serde::Serialize;

use crate::fault::{Expect, Fix};
use crate::report::Report;
use crate::scene::Scene;
use crate::variables::Variables;

/// Time limit for the finding to disappear after the fix.
const CLEAN: Duration = Duration::from_secs(90);
/// Time limit of a fix.
const FIXING: Duration = Duration::from_secs(300);

/// Prints everything that a fix can change: configuration files, firewall rules, settings, service specifications.
const STATE: &str = r#"
    find /etc -xdev -type f ! -name '*.swarm-doctor' ! -path '/etc/docker/key.json' -exec sha256sum {} + | sort -k2
    find /etc -xdev -name '*.swarm-doctor'
    # A starting engine inserts its rules at other positions, some of them twice. For each network it creates, it deletes
    # the jump to DOCKER-USER and inserts it first again.
    iptables-save | grep -v '^[#:]\|docker_gwbridge\|FORWARD -j DOCKER-USER$' | sort -u
    # firewalld keeps the chains of a zone that is no longer active, without a jump to them.
    idle='^$'
    if active=$(firewall-cmd --get-active-zones 2> /dev/null); then
        for zone in $(firewall-cmd --get-zones); do
            echo "$active" | grep -q "^$zone\b" || idle="$idle|_$zone(_| |;|$)"
        done
    fi
    nft --stateless list ruleset | grep -v docker_gwbridge | grep -vE "$idle" | sort -u
    cat /proc/sys/net/ipv4/ip_forward
    ip -brief -4 addr show dev eth0
    # A worker would log an error for each request for services.
    if [ "$(docker info --format '{{.Swarm.ControlAvailable}}' 2> /dev/null)" = true ]; then
        docker service ls -q | xargs -r docker service inspect --format '{{json .Spec}}'
    fi
"#;

/// A fix that worked.
#[derive(Clone, Debug, Serialize)]
pub struct Fixed {
    /// The level of the fix (`--fix=LEVEL`).
    pub level: String,
    /// The result of undoing it.
    pub undone: Undone,
    /// Duration of the fix.
    pub seconds: f64,
}

/// The result of undoing a fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Undone {
    /// Undo restored the previous state to the byte.
    ToTheByte,
    /// The plan declared it irreversible.
    Final,
    /// There is nothing to undo, for example after a start of the engine.
    Stays,
    /// The fix was refused, as expected.
    Refused,
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let undone = match self.undone {
            Undone::ToTheByte => "fixed, undone to the byte",
            Undone::Final => "fixed, irreversible as declared",
            Undone::Stays => "fixed, nothing to undo",
            Undone::Refused => "refused",
        };
        write!(f, "{} {undone} {:.0} s", self.level, self.seconds)
    }
}

impl Fix {
    /// Applies the fix, checks again, and undoes it.
    ///
    /// # Errors
    /// If the finding stays, or undo does not restore the previous state.
    pub(crate) fn verify(&self, scene: &Scene, expect: &Expect, variables: &Variables) -> Result<Fixed> {
        let node = scene.lab.node(&expect.from);
        node.remove_file("/var/lib/swarm-doctor")?;
        let before = state(node)?;
        let began = Instant::now();
        let output = self.run(node, variables)?;
        let seconds = began.elapsed().as_secs_f64();
        let fixed = |undone| Fixed { level: self.level.clone(), undone, seconds };
        if let Some(wanted) = &self.refused {
            ensure!(output.contains(wanted.as_str()), "no {wanted:?} in {output}");
            same(&before, &state(node)?)?;
            return Ok(fixed(Undone::Refused));
        }
        let history = node.exec(&["swarm-doctor", "history"])?.stdout;
        let receipts: Vec<&str> = history.lines().filter(|line| line.contains("  fixed")).collect();
        ensure!(!receipts.is_empty(), "nothing was fixed: {output}; history: {history:?}");
        let mut remaining = Vec::new();
        let clean = scene.lab.wait("silence", CLEAN, || {
            let report = Report::of(node, &[])?;
            remaining = report.lines();
            let check = expect.check.as_deref().unwrap_or_default();
            remaining.retain(|line| !self.leaves.as_ref().is_some_and(|leaves| line.starts_with(leaves)));
            // After an irreversible fix, errors about what was given up remain.
            Ok(!remaining
                .iter()
                .any(|line| line.starts_with(check) || (line.contains("(error)") && !self.last)))
        });
        clean
            .with_context(|| format!("findings after the fix: {remaining:?}; output of the fix: {output}"))?;
        if let Some(script) = &self.then {
            let mut command = node.command(&["sh", "-euc", script])?;
            for (name, value) in variables.iter() {
                command = command.env(name, value);
            }
            let output = command.run()?;
            ensure!(output.success(), "`{script}` afterwards: {}{}", output.stdout, output.stderr);
        }
        if self.last {
            ensure!(
                receipts.iter().any(|line| line.contains("cannot be undone")),
                "undo is offered: {history}"
            );
            return Ok(fixed(Undone::Final));
        }
        if receipts.iter().all(|line| line.contains("nothing to undo")) {
            return Ok(fixed(Undone::Stays));
        }
        for line in receipts.iter().rev() {
            let receipt = line.split_whitespace().next().unwrap_or_default();
            let confirm = format!("{receipt}={}", node.name());
            let undo =
                ["swarm-doctor", "undo", receipt, "--yes", "--level", "destructive", "--confirm", &confirm];
            let output = node.command(&undo)?.timeout(FIXING).run()?;
            ensure!(output.success(), "undo {receipt}: {}{}", output.stdout, output.stderr);
        }
        same(&before, &state(node)?)?;
        Ok(fixed(Undone::ToTheByte))
    }

    fn run(&self, node: &Node, variables: &Variables) -> Result<String> {
        let level = format!("--fix={}", self.level);
        let mut command = vec!["swarm-doctor", "run", &level, "--yes"];
        let flags: Vec<String> = self.flags.iter().map(|flag| variables.substitute(flag)).collect();
        command.extend(flags.iter().map(String::as_str));
        let mut command = node.command(&command)?.timeout(FIXING);
        if let Some(text) = &self.stdin {
            command = command.stdin(variables.substitute(text).into_bytes());
        }
        let output = command.run()?;
        if output.status.code().is_none_or(|code| code > 5) {
            bail!("the fix ended with {}: {}{}", output.status, output.stdout, output.stderr);
        }
        let text = format!("{}{}", output.stdout, output.stderr);
        // If nothing was applied, the plans have the reason.
        Ok(Some(fix_lines(&text)).filter(|lines| !lines.is_empty()).unwrap_or(text))
    }
}

/// The lines about applied operations, without plans and report.
fn fix_lines(output: &str) -> String {
    let starts =
        ["Not applied", "Failed", "Rolling back", "Not rolled back", "Fixed", "... ", "swarm-doctor: "];
    let mut lines = Vec::new();
    let mut inside = false;
    for line in output.lines() {
        inside = starts.iter().any(|start| line.starts_with(start)) || (inside && line.starts_with("  "));
        lines.extend(inside.then(|| line.trim()));
    }
    lines.join(" ")
}

fn state(node: &Node) -> Result<String> {
    node.shell(STATE, &[])
}

fn same(before: &str, after: &str) -> Result<()> {
    let removed: Vec<_> = before.lines().filter(|line| !after.lines().any(|other| other == *line)).collect();
    let added: Vec<_> = after.lines().filter(|line| !before.lines().any(|other| other == *line)).collect();
    ensure!(
        removed.is_empty() && added.is_empty(),
        "the state differs from before the fix; removed: {removed:?}; added: {added:?}"
    );
    Ok(())
}
