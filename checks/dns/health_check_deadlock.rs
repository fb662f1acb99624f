use crate::model::configured_hosts::{configured_hosts, contains_host, has_host_entry};
use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, Target, View};
use facts::Seen;
use facts::service::{Service, Task};
use std::collections::BTreeSet;

check! {
    /// Services wait for each other's names, and no name exists until a health check succeeds.
    ///
    /// ## Why it matters
    /// Swarm publishes the name and the VIP backend of a task only while the task is healthy. If the health check of a
    /// service succeeds only after it reached its peers by name, and the peers wait in the same way, then none of them
    /// ever becomes healthy: every lookup ends with NXDOMAIN, and the engine kills the containers again and again.
    /// A start period does not help, because it does not publish the names either.
    ///
    /// ## How to fix it
    /// Let the health check test only the program in its own container, for example a connection to 127.0.0.1. Let the
    /// program itself retry its peers. For the first start of a cluster the health check can be switched off.
    ///
    /// ## When it is wrong
    /// If the health check fails for another reason. The confidence is high only if the health check itself contains
    /// the name.
    ///
    /// Source: moby#35451; moby `daemon/cluster/executor/container/controller.go`, `Start` (service binding is activated
    /// after the health check succeeds).
    "dns/health-check-deadlock": Error, "services wait for names that exist only after their health checks succeed";
    healthy "no health check waits for a name that depends on it";
    needs Services, Tasks;
    for each Cluster: run
}

/// After how many seconds in the state `starting` a health check counts as failing.
const STARTING_SECONDS: i64 = 60;

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    let tasks = view.snapshot.tasks.get()?;
    let unhealthy: Vec<Waiting<'_>> =
        services.value.iter().filter_map(|service| Waiting::of(service, tasks, view)).collect();
    let mut reported = BTreeSet::new();
    for waiting in &unhealthy {
        let Some(ring) = ring(waiting, &unhealthy).filter(|ring| is_proven(ring)) else { continue };
        let names: BTreeSet<&str> = ring.iter().map(|(it, _)| it.service.name.as_str()).collect();
        if reported.insert(names.clone()) {
            report(&ring, &names, services, tasks, out);
        }
    }
    Ok(())
}

/// A service without a healthy task, because its health checks fail or do not end.
struct Waiting<'a> {
    service: &'a Service,
    task: &'a Task,
    /// How many of its tasks were killed because their health check failed.
    killed: usize,
}

/// Whether the names are what the services wait for: a health check contains one, or each service was killed more than
/// once. A slow first start alone proves nothing.
fn is_proven(ring: &[(&Waiting<'_>, Mention)]) -> bool {
    ring.iter().any(|(_, mention)| mention.in_health_check)
        || ring.iter().all(|(waiting, _)| waiting.killed > 1)
}

/// Where a service has the name of another one.
struct Mention {
    name: String,
    place: String,
    in_health_check: bool,
}

impl<'a> Waiting<'a> {
    fn of(service: &'a Service, tasks: &'a [Task], view: &View<'_>) -> Option<Self> {
        let own = || tasks.iter().filter(|task| task.service == service.id);
        if service.replicas == Some(0) || service.job || own().any(|task| task.state == "running") {
            return None;
        }
        let now = view.snapshot.taken.as_second();
        let long = |task: &&Task| task.since.is_some_and(|at| now - at.as_second() >= STARTING_SECONDS);
        let killed = || own().filter(|task| task.error.contains("unhealthy container"));
        let starting = || {
            let checked = !service.health_test.is_empty() && service.health_test != ["NONE"];
            own().filter(|task| checked && task.state == "starting").find(long)
        };
        let task = killed().max_by_key(|task| task.since).or_else(starting)?;
        Some(Self { service, task, killed: killed().count() })
    }

    /// The first place with a name of the other service, the health check first.
    fn mention(&self, other: &Service) -> Option<Mention> {
        let shares = self.service.networks.iter().any(|network| other.networks.contains(network));
        if !shares {
            return None;
        }
        // The hosts file of a task has its hostname and `extra_hosts`, whether the task is healthy or not.
        let in_hosts_file = |name: &str| {
            has_host_entry(self.service, name)
                || (self.service.id == other.id && self.service.hostname.as_deref() == Some(name))
        };
        // A service has its own name in many settings; only `tasks.NAME` is a way to find peers.
        let is_self = self.service.id == other.id;
        let found = |name: &str| {
            let names = [name.to_owned(), format!("tasks.{name}")];
            let in_health_check =
                |name: &&String| self.service.health_test.iter().any(|text| contains_host(text, name));
            if let Some(name) = names.iter().find(in_health_check) {
                return Some(Mention {
                    name: name.clone(),
                    place: "health check".into(),
                    in_health_check: true,
                });
            }
            names.into_iter().skip(usize::from(is_self)).find_map(|name| {
                let is_name = |(_, host): &(&str, &str)| host.eq_ignore_ascii_case(&name);
                let variable = configured_hosts(self.service).find(is_name);
                let place = variable.map(|(variable, _)| format!("variable {variable}"));
                let mut arguments = self.service.command.iter().chain(&self.service.args);
                let argument =
                    || arguments.any(|text| contains_host(text, &name)).then(|| "command".to_owned());
                Some(Mention { place: place.or_else(argument)?, name: name.clone(), in_health_check: false })
            })
        };
        other.names().filter(|name| !in_hosts_file(name)).find_map(found)
    }
}

/// The shortest ring of services, each with the name of the next one, that begins with this one.
fn ring<'a>(start: &'a Waiting<'a>, all: &'a [Waiting<'a>]) -> Option<Vec<(&'a Waiting<'a>, Mention)>> {
    let mut paths = vec![vec![start]];
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    while !paths.is_empty() {
        let mut longer = Vec::new();
        for path in paths {
            let last = *path.last()?;
            if last.mention(start.service).is_some() {
                let next = path.iter().skip(1).chain([&start]);
                return path
                    .iter()
                    .zip(next)
                    .map(|(it, next)| Some((*it, it.mention(next.service)?)))
                    .collect();
            }
            for next in all.iter().filter(|next| last.mention(next.service).is_some()) {
                if seen.insert(&next.service.name) {
                    longer.push([path.as_slice(), &[next]].concat());
                }
            }
        }
        paths = longer;
    }
    None
}

fn report(
    ring: &[(&Waiting<'_>, Mention)],
    names: &BTreeSet<&str>,
    services: &Seen<Vec<Service>>,
    tasks: &Seen<Vec<Task>>,
    out: &mut Findings<'_>,
) {
    let Some((first, mention)) = ring.first() else { return };
    let list = names.iter().copied().collect::<Vec<_>>().join(" and ");
    let summary = if names.len() == 1 {
        format!(
            "{list} never becomes healthy: its {} contains {}, a name which exists only while a task is healthy",
            mention.place, mention.name
        )
    } else {
        format!(
            "{list} never become healthy: each waits for the name of the other, which exists only while that one is healthy"
        )
    };
    let place = |(waiting, mention): &(&Waiting<'_>, Mention)| {
        let text = format!("{}: its {} contains {}", waiting.service.name, mention.place, mention.name);
        Evidence::value(services, text)
    };
    let state = |(waiting, _): &(&Waiting<'_>, Mention)| {
        let task = waiting.task;
        let error = if task.error.is_empty() { "health check not successful yet" } else { &task.error };
        Evidence::value(
            tasks,
            format!("{}: task {} is {}: {error}", waiting.service.name, task.id, task.state),
        )
    };
    let subject = Subject::Service(first.service.name.clone());
    let mut evidence = ring.iter().map(place).chain(ring.iter().map(state));
    let Some(proof) = evidence.next() else { return };
    let finding = out.report(subject, summary, proof);
    for more in evidence {
        finding.with(more);
    }
    for (waiting, _) in ring.iter().skip(1) {
        finding.also_affects(Subject::Service(waiting.service.name.clone()));
    }
    if !ring.iter().any(|(_, mention)| mention.in_health_check) {
        finding.confidence(Confidence::Medium);
    }
    let off =
        names.iter().map(|name| format!("docker service update --no-healthcheck {}", shell_quote(name)));
    finding.remedy(Remedy {
        title: format!("Let the health check of {list} test only the program in its own container").into(),
        risk: Risk::Disruptive,
        impact: format!("The tasks of {list} restart.").into(),
        steps: vec![
            Step::Manual {
                node: Target::AnyManager,
                text: "replace each health check with one that connects only to 127.0.0.1 (--health-cmd, or \
                       healthcheck in the stack file)"
                    .into(),
                commands: Vec::new(),
            },
            Step::Manual {
                node: Target::AnyManager,
                text: "or switch the health checks off: the names then exist as soon as the containers run"
                    .into(),
                commands: off.collect(),
            },
        ],
    });
}
