use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::log::{Line, Log, Program};
use facts::swarm::LocalState;
use facts::{Host, Timestamp};

check! {
    /// This engine was a node of a swarm before its last start and is in no swarm now, although it did not leave.
    ///
    /// ## Why it matters
    /// The data root holds the identity of a node. When the engine starts with another data root, an unmounted disk or an
    /// emptied one, it starts without errors and without any state: no swarm, no images, no volumes. The managers show the
    /// node as Down, and a manager that starts this way is missing from the quorum.
    ///
    /// ## How to fix it
    /// Restore the old data root: mount the disk, or set `data-root` to the old path, and restart the engine. If the data is
    /// lost, join again and remove the old entry.
    ///
    /// ## When it is wrong
    /// When the data root was emptied on purpose, to take the host out of the swarm.
    ///
    /// Source: moby `daemon/cluster/cluster.go` (the engine resumes its swarm if `swarm/docker-state.json` exists).
    "swarm/membership-lost": Error, "the engine has lost its membership in the swarm";
    healthy "the engine kept its swarm membership over its last start";
    needs Info, SwarmState, Certificates, EngineLog;
    caused_by "host/disk-full", "swarm/state-damaged";
    for each Host: run
}

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    if info.swarm.state != LocalState::Inactive {
        return Ok(());
    }
    let state = host.swarm_state.get()?;
    // A remaining file means damaged state, which state-damaged reports.
    if state.value.is_some() || host.certificate.get()?.value.is_some() {
        return Ok(());
    }
    let log = host.log.get()?;
    let Some(EarlierMembership { id, line, started }) = earlier_membership(log) else { return Ok(()) };
    let at = |at: Option<Timestamp>| {
        at.map_or_else(|| "an unknown time".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
    };
    let root = if info.data_root.is_empty() { "/var/lib/docker" } else { &info.data_root };
    let summary = format!(
        "this engine was node {id} of a swarm until {}; since its start at {} it is in no swarm, because its data root {root} \
         has no swarm state",
        at(line.at),
        at(started.at)
    );
    let finding = out.report(
        Subject::Node(host.name.clone()),
        summary,
        Evidence::value(info, format!("LocalNodeState: inactive; DockerRootDir: {root}")),
    );
    finding
        .with(Evidence::absent(state, "docker-state.json"))
        .with(Evidence::log(log, line))
        .with(Evidence::log(log, started))
        .confidence(Confidence::Medium)
        .remedy(remedy(host, root, id, view));
    Ok(())
}

fn remedy(host: &Host, root: &str, id: &str, view: &View<'_>) -> Remedy {
    let by_hand = |node: Target, text: &str, commands: &[String]| Step::Manual {
        node,
        text: text.into(),
        commands: commands.to_vec(),
    };
    Remedy {
        title: format!("Restore the old data root of {}", host.name).into(),
        risk: Risk::Disruptive,
        impact: "The node has its identity, images and volumes again. Data that was created in the new data root is no longer \
                 visible."
            .into(),
        steps: vec![
            by_hand(
                Target::from(&host.name),
                "check whether dockerd is configured with another data root, whether the disk of the old one is mounted, \
                 and where the old state is",
                &[
                    "grep -n -e data-root -e graph /etc/docker/daemon.json; systemctl cat docker | grep ExecStart".into(),
                    format!("findmnt --target {}", shell_quote(root)),
                    "ls -d /var/lib/docker/swarm /*/docker/swarm /mnt/*/swarm".into(),
                ],
            ),
            by_hand(
                Target::from(&host.name),
                "mount the disk, or set data-root to the old path, and restart dockerd",
                &["systemctl restart docker".into()],
            ),
            by_hand(
                Target::manager(view.manager().filter(|manager| *manager != host.name)),
                "only if the data is lost: print the join command, and remove the old entry",
                &["docker swarm join-token worker".into(), format!("docker node rm --force {}", shell_quote(id))],
            ),
        ],
    }
}

/// The membership before the last start.
struct EarlierMembership<'a> {
    id: &'a str,
    /// The last line that the swarm node logged.
    line: &'a Line,
    /// The last start of the engine.
    started: &'a Line,
}

/// The line that the agent logs when it ends, both on leave and on engine stop.
const AGENT_ENDS: &str = "shutting down certificate renewal routine";
/// For how many seconds a leaving node may still log lines.
const LEAVING_SECONDS: i64 = 15;

/// The membership with which the engine stopped, where nothing is logged about a swarm since.
fn earlier_membership(log: &Log) -> Option<EarlierMembership<'_>> {
    let is_start = |line: &Line| line.program == Program::Engine && line.message.starts_with("Starting up");
    let now = log.lines.iter().rposition(is_start)?;
    let started = log.lines.get(now)?;
    let (past, present) = log.lines.split_at(now);
    let of_node = |line: &Line| line.program == Program::Engine && line.fields.contains_key("node.id");
    // A later join was followed by a leave, and a failed swarm component has state left.
    let swarm = |line: &Line| {
        of_node(line) || line.message.contains("swarm") || line.message.contains("cluster exited")
    };
    if present.iter().skip(1).any(swarm) {
        return None;
    }
    let life = past.get(past.iter().rposition(is_start).unwrap_or(0)..)?;
    let asked = life.iter().position(|line| line.message.starts_with("Processing signal '"));
    let ended = life.iter().rposition(|line| line.message.starts_with(AGENT_ENDS));
    let left = ended.filter(|ended| asked.is_none_or(|asked| asked > *ended));
    let last = life.iter().rposition(of_node)?;
    let line = life.get(last)?;
    if let Some(left) = left.and_then(|left| life.get(left)) {
        let after = line.at.zip(left.at).map(|(line, left)| line.duration_since(left).as_secs());
        if after.is_none_or(|seconds| seconds <= LEAVING_SECONDS) {
            return None;
        }
    }
    Some(EarlierMembership { id: line.fields.get("node.id")?, line, started })
}

#[cfg(test)]
mod tests {
    use super::earlier_membership;
    use facts::log::Log;
    use facts::parse::log::{Reading, read};

    fn log(lines: &[(u32, &str, bool)]) -> Log {
        let text: String = lines
            .iter()
            .map(|(second, message, node)| {
                let node = if *node { " node.id=abc" } else { "" };
                format!("time=\"2026-11-22T21:00:{second:02}Z\" level=info msg={message:?}{node}\n")
            })
            .collect();
        let written = "2026-11-22T22:00:00Z".parse().unwrap();
        read("messages", &text, &Reading { written, offset_seconds: 0, since: None })
    }

    const UP: (u32, &str, bool) = (1, "Starting up", false);
    const SELECTED: (u32, &str, bool) = (2, "manager selected by agent for new session", true);
    const ENDED: (u32, &str, bool) = (30, "shutting down certificate renewal routine", true);
    const ASKED: (u32, &str, bool) = (29, "Processing signal 'terminated'", false);
    const AGAIN: (u32, &str, bool) = (40, "Starting up", false);

    #[test]
    fn a_node_that_did_not_leave_was_a_member_to_the_end() {
        assert_eq!(earlier_membership(&log(&[UP, SELECTED, AGAIN])).unwrap().id, "abc");
        assert!(earlier_membership(&log(&[UP, SELECTED, ASKED, ENDED, AGAIN])).is_some());
    }

    #[test]
    fn a_node_that_left_or_joined_since_has_lost_nothing() {
        assert!(earlier_membership(&log(&[UP, SELECTED, ENDED, AGAIN])).is_none());
        assert!(
            earlier_membership(&log(&[UP, SELECTED, ENDED, (35, "session was closed", true), AGAIN]))
                .is_none()
        );
        assert!(earlier_membership(&log(&[UP, SELECTED, AGAIN, (41, "session", true)])).is_none());
        assert!(earlier_membership(&log(&[UP, AGAIN])).is_none());
        assert!(earlier_membership(&log(&[SELECTED])).is_none());
    }
}
