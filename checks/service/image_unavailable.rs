use crate::model::task_slots::{lacks_image, listed, nodes_of, slots};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::service::{Service, Task};

check! {
    /// Nodes do not have the image of a service and cannot pull it.
    ///
    /// ## Why it matters
    /// Each node pulls for itself. The tasks are rejected on every node that has no copy: where the image was only
    /// built on one node, the tag does not exist, the registry cannot be reached or does not trust the node, the
    /// login was not sent along, or the image is not built for the node's platform. Swarm tries again every few
    /// seconds.
    ///
    /// ## How to fix it
    /// Pull the image by hand on one of the nodes named: docker prints the reason that the task's error leaves
    /// out. Push the image, send the login to the nodes with `--with-registry-auth`, or fix the node's trust in the
    /// registry.
    ///
    /// ## When it is wrong
    /// The image arrived after the snapshot: the next attempt starts the tasks.
    ///
    /// Source: moby `daemon/cluster/executor/container/adapter.go`; moby#34245, #32158.
    "service/image-unavailable": Error, "nodes do not have the image and cannot pull it";
    healthy "every task has its image";
    needs Services, Tasks, Nodes, EngineLog;
    for each Cluster: run
}

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    let tasks = view.snapshot.tasks.get()?;
    view.snapshot.nodes.get()?;
    for service in services.iter() {
        let refused: Vec<&Task> = slots(service, tasks)
            .iter()
            .flat_map(|slot| slot.refused(view))
            .filter(|t| lacks_image(t))
            .collect();
        let Some(first) = refused.first() else { continue };
        let nodes = nodes_of(refused.iter().copied(), view);
        // What the task was created with; the service may have been rolled back since.
        let image = if first.image.is_empty() { &service.image } else { &first.image };
        let short = image.split_once('@').map_or(image.as_str(), |(name, _)| name);
        let log = pull_errors(&refused, view);
        let texts =
            refused.iter().map(|task| task.error.as_str()).chain(log.iter().map(|(_, error)| error.as_str()));
        let reason = texts.filter_map(PullError::of).max();
        let verb = if nodes.len() == 1 { "does" } else { "do" };
        let why = reason.map(|reason| format!(": {}", reason.text())).unwrap_or_default();
        let summary = format!(
            "{} {verb} not have image {short} of {} and cannot pull it{why}",
            listed(&nodes),
            service.name
        );
        let shown = format!("task {}: {}: {}", first.id, first.state, first.error);
        let finding =
            out.report(Subject::Service(service.name.clone()), summary, Evidence::value(tasks, shown));
        finding.on_nodes(nodes.clone());
        for (evidence, _) in log {
            finding.with(evidence);
        }
        if let Some(shown) = running_elsewhere(service, tasks, view) {
            finding.with(Evidence::value(tasks, shown));
        }
        let node = nodes.into_iter().next().map_or(Target::AnyManager, Target::Node);
        finding.remedy(Remedy {
            title: format!("Make {short} available to the nodes").into(),
            risk: Risk::Safe,
            impact: "Running tasks are not affected. The next attempt starts the missing tasks.".into(),
            steps: vec![
                Step::Manual {
                    node,
                    text: "pull the image by hand to see the registry's own error".into(),
                    commands: vec![format!("docker pull {}", shell_quote(short))],
                },
                Step::Manual {
                    node: Target::AnyManager,
                    text: reason.map_or(PullError::UNKNOWN, PullError::advice).into(),
                    commands: vec![format!(
                        "docker service update --with-registry-auth --image {} {}",
                        shell_quote(short),
                        shell_quote(&service.name)
                    )],
                },
            ],
        });
    }
    Ok(())
}

/// What the engines logged about pulling for these tasks.
fn pull_errors(refused: &[&Task], view: &View<'_>) -> Vec<(Evidence, String)> {
    let mut errors = Vec::new();
    for host in &view.snapshot.hosts {
        // Where the log cannot be read, the tasks' own errors still count.
        let Ok(log) = host.log.get() else { continue };
        let of_task = |id: &String| refused.iter().any(|task| id == task.id.as_str());
        let pull = log.lines.iter().rev().find(|line| {
            line.message == "pulling image failed" && line.fields.get("task.id").is_some_and(of_task)
        });
        if let Some(line) = pull {
            let error = line.fields.get("error").cloned().unwrap_or_default();
            let mut evidence = Evidence::log(log, line);
            if let Evidence::Line { text, .. } = &mut evidence {
                *text = format!("{}: {error}", line.message);
            }
            errors.push((evidence, error));
        }
    }
    errors
}

/// Why a registry did not deliver an image. A later one says more than an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PullError {
    /// The registry cannot be reached.
    Unreachable,
    /// The HTTP proxy of dockerd cannot be reached or refuses.
    Proxy,
    /// The registry has no such tag.
    NotFound,
    /// The registry wants a login.
    AccessDenied,
    /// The registry limits the number of pulls.
    RateLimit,
    /// The registry speaks HTTP, and the node expects HTTPS.
    PlainHttp,
    /// The node does not trust the registry's certificate.
    Certificate,
    /// The image is not built for the node's platform.
    Platform,
}

impl PullError {
    const UNKNOWN: &'static str =
        "correct the image name, or send the registry login to the nodes with the update";

    fn of(error: &str) -> Option<Self> {
        let has = |words: &[&str]| words.iter().any(|words| error.contains(words));
        if has(&["no matching manifest"]) {
            Some(Self::Platform)
        } else if has(&["x509: "]) {
            Some(Self::Certificate)
        } else if has(&["server gave HTTP response to HTTPS client"]) {
            Some(Self::PlainHttp)
        } else if has(&["toomanyrequests", "429 Too Many Requests"]) {
            Some(Self::RateLimit)
        } else if has(&[
            "pull access denied",
            "unauthorized",
            "no basic auth credentials",
            "authentication required",
        ]) {
            Some(Self::AccessDenied)
        } else if has(&["manifest unknown", "not found: manifest"]) {
            Some(Self::NotFound)
        } else if has(&["proxyconnect tcp", "Proxy Authentication Required"]) {
            Some(Self::Proxy)
        } else if has(&[
            "no such host",
            "i/o timeout",
            "connection refused",
            "no route to host",
            "context deadline",
        ]) {
            Some(Self::Unreachable)
        } else {
            None
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Unreachable => "the registry cannot be reached",
            Self::Proxy => "the HTTP proxy of dockerd does not answer or refuses the request",
            Self::NotFound => "the registry has no such tag",
            Self::AccessDenied => "the registry denies access, or the repository does not exist",
            Self::RateLimit => "the registry's pull rate limit is reached",
            Self::PlainHttp => "the registry speaks HTTP and is not listed in insecure-registries",
            Self::Certificate => "the node does not trust the registry's certificate",
            Self::Platform => "the image is not built for the node's platform",
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Unreachable => {
                "restore the connection from the nodes to the registry, then start the tasks again"
            }
            Self::Proxy => {
                "correct HTTP_PROXY and HTTPS_PROXY of dockerd on each node (a systemd drop-in or \"proxies\" in daemon.json), or \
                 add the registry to NO_PROXY, and restart dockerd; then start the tasks again"
            }
            Self::NotFound => "push the tag, or correct the image name",
            Self::AccessDenied => {
                "log in with `docker login`, then send the login to the nodes with the update"
            }
            Self::RateLimit => "log in to the registry or wait; the update sends the login to the nodes",
            Self::PlainHttp => {
                "add the registry to insecure-registries in daemon.json of each node, or serve it over TLS; then start the tasks again"
            }
            Self::Certificate => {
                "put the registry's CA into /etc/docker/certs.d/REGISTRY/ca.crt on each node; then start the tasks again"
            }
            Self::Platform => {
                "build the image for the node's platform too, or constrain the service to nodes that fit"
            }
        }
    }
}

/// The nodes on which tasks of the service run from the same image.
fn running_elsewhere(service: &Service, tasks: &[Task], view: &View<'_>) -> Option<String> {
    let run = tasks.iter().filter(|task| {
        task.service == service.id
            && task.state == "running"
            && task.desired == "running"
            && task.image == service.image
    });
    let nodes = nodes_of(run, view);
    (!nodes.is_empty())
        .then(|| format!("tasks of {} run from this image on {}", service.name, listed(&nodes)))
}

#[cfg(test)]
mod tests {
    use super::PullError;

    #[test]
    fn reads_what_registries_answer() {
        for (error, wanted) in [
            (
                "Error response from daemon: Get \"https://r.example.com/v2/\": x509: certificate signed by unknown authority",
                PullError::Certificate,
            ),
            (
                "Get \"https://10.0.0.5:5000/v2/\": http: server gave HTTP response to HTTPS client",
                PullError::PlainHttp,
            ),
            ("toomanyrequests: You have reached your pull rate limit", PullError::RateLimit),
            (
                "pull access denied for team/app, repository does not exist or may require 'docker login'",
                PullError::AccessDenied,
            ),
            ("no matching manifest for linux/arm/v7 in the manifest list entries", PullError::Platform),
            ("manifest for nginx:nope not found: manifest unknown: manifest unknown", PullError::NotFound),
            (
                "Get \"https://r.example.com/v2/\": dial tcp: lookup r.example.com: no such host",
                PullError::Unreachable,
            ),
            (
                "Get \"https://r.example.com/v2/\": proxyconnect tcp: dial tcp 192.0.2.9:3128: connect: connection refused",
                PullError::Proxy,
            ),
        ] {
            assert_eq!(PullError::of(error), Some(wanted), "{error}");
        }
        assert_eq!(PullError::of("No such image: app:1"), None);
    }
}
