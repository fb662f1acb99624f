use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::log::{Line, Log, Program};
use facts::swarm::LocalState;
use facts::{Host, Timestamp};

check! {
    /// This engine was a node of a swarm before its last start, and is in none since, though nobody made it leave.
    ///
    /// ## Why it matters
    /// The identity of a node is in its data root. When the engine starts with another data root, with a disk that is not
    /// mounted, or with an emptied one, it comes up healthy and knows nothing: no swarm, no images, no volumes. The
    /// managers have the node for Down, and a manager that starts so is missing in the quorum.
    ///
    /// ## How to fix it
    /// Bring the old data root back: mount the disk, or set `data-root` as it was, and restart the engine. Where the old
    /// data is lost, join again and remove the old entry.
    ///
    /// ## When it is wrong
    /// When somebody emptied the data root on purpose, to take the machine out of the swarm.
    ///
    /// Source: moby `daemon/cluster/cluster.go` (a swarm is taken up where `swarm/docker-state.json` is).
    "swarm/membership-lost": Error, "the engine has lost its membership in the swarm";
    needs Info, SwarmState, Certificates, EngineLog;
    caused_by "host/disk-full", "swarm/state-damaged";
    for each Host: run
}

fn run(host: &Host, _: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let info = host.info.get()?;
    if info.swarm.state != LocalState::Inactive {
        return Ok(());
    }
    let state = host.swarm_state.get()?;
    // A file that is left tells of another ailment.
    if state.value.is_some() || host.certificate.get()?.value.is_some() {
        return Ok(());
    }
    let log = host.log.get()?;
    let Some(Before { id, line, started }) = before(log) else { return Ok(()) };
    let at = |at: Option<Timestamp>| {
        at.map_or_else(|| "some time".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
    };
    let root = if info.data_root.is_empty() { "/var/lib/docker" } else { &info.data_root };
    let summary = format!(
        "until {} this engine was node {id} of a swarm; it started anew at {} and is in none, for its data root {root} has \
         no swarm in it",
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
        .remedy(remedy(host, root, id));
    Ok(())
}

fn remedy(host: &Host, root: &str, id: &str) -> Remedy {
    let by_hand = |node: &str, text: &str, commands: &[String]| Step::Manual {
        node: node.into(),
        text: text.into(),
        commands: commands.to_vec(),
    };
    Remedy {
        title: "Give the engine its old data root back".into(),
        risk: Risk::Disruptive,
        impact: "the node is back with its identity, images and volumes; what was made in the new data root is not seen \
                 any more"
            .into(),
        steps: vec![
            by_hand(
                host.name.as_str(),
                "see whether the engine was told of another data root, whether the disk of the old one is mounted, and \
                 where the old state is",
                &[
                    "grep -n -e data-root -e graph /etc/docker/daemon.json; systemctl cat docker | grep ExecStart".into(),
                    format!("findmnt --target {}", shell_quote(root)),
                    "ls -d /var/lib/docker/swarm /*/docker/swarm /mnt/*/swarm".into(),
                ],
            ),
            by_hand(
                host.name.as_str(),
                "mount it, or name it as data-root again, and restart the engine",
                &["systemctl restart docker".into()],
            ),
            by_hand(
                "a manager",
                "only where the old data is lost: print the command to join with, and remove the old entry",
                &["docker swarm join-token worker".into(), format!("docker node rm --force {}", shell_quote(id))],
            ),
        ],
    }
}

/// The membership of the life before this one.
struct Before<'a> {
    id: &'a str,
    /// The last line that a node of the swarm wrote.
    line: &'a Line,
    /// The start of the life that is now.
    started: &'a Line,
}

/// What an agent says when it ends, because it left as well as because the engine stops.
const ENDS: &str = "shutting down certificate renewal routine";
/// For how many seconds a node that leaves may go on talking.
const LEAVING: i64 = 15;

/// The membership in which the last life ended, where the one that is now knows nothing of it.
fn before(log: &Log) -> Option<Before<'_>> {
    let is_start = |line: &Line| line.program == Program::Engine && line.message.starts_with("Starting up");
    let now = log.lines.iter().rposition(is_start)?;
    let started = log.lines.get(now)?;
    let (past, present) = log.lines.split_at(now);
    let of_node = |line: &Line| line.program == Program::Engine && line.fields.contains_key("node.id");
    // One that joined since has left since, and one whose swarm component failed left what it had.
    let swarm = |line: &Line| {
        of_node(line) || line.message.contains("swarm") || line.message.contains("cluster exited")
    };
    if present.iter().skip(1).any(swarm) {
        return None;
    }
    let life = past.get(past.iter().rposition(is_start).unwrap_or(0)..)?;
    let asked = life.iter().position(|line| line.message.starts_with("Processing signal '"));
    let ended = life.iter().rposition(|line| line.message.starts_with(ENDS));
    let left = ended.filter(|ended| asked.is_none_or(|asked| asked > *ended));
    let last = life.iter().rposition(of_node)?;
    let line = life.get(last)?;
    if let Some(left) = left.and_then(|left| life.get(left)) {
        let after = line.at.zip(left.at).map(|(line, left)| line.duration_since(left).as_secs());
        if after.is_none_or(|seconds| seconds <= LEAVING) {
            return None;
        }
    }
    Some(Before { id: line.fields.get("node.id")?, line, started })
}

#[cfg(test)]
mod tests {
    use super::before;
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
        assert_eq!(before(&log(&[UP, SELECTED, AGAIN])).unwrap().id, "abc");
        assert!(before(&log(&[UP, SELECTED, ASKED, ENDED, AGAIN])).is_some());
    }

    #[test]
    fn a_node_that_left_or_joined_since_has_lost_nothing() {
        assert!(before(&log(&[UP, SELECTED, ENDED, AGAIN])).is_none());
        assert!(before(&log(&[UP, SELECTED, ENDED, (35, "session was closed", true), AGAIN])).is_none());
        assert!(before(&log(&[UP, SELECTED, AGAIN, (41, "session", true)])).is_none());
        assert!(before(&log(&[UP, AGAIN])).is_none());
        assert!(before(&log(&[SELECTED])).is_none());
    }
}
