use crate::model::task_slots::{listed, seconds_since, slots};
use crate::placement::{Constraint, closed_because, fits_platform, is_open, satisfies};
use crate::remedy::shell_quote;
use crate::{Evidence, Findings, Judged, Remedy, Risk, Severity, Step, Subject, Target, View};
use facts::service::{Service, Task};
use facts::swarm::Node;
use facts::{NodeId, NodeName, Seen};

check! {
    /// No node can run a task of the service.
    ///
    /// ## Why it matters
    /// The task stays `pending` until something changes: no node satisfies a constraint, the matching nodes are down,
    /// drained or paused, no node has the reserved memory or CPUs, another service holds the host port, or a plugin is
    /// missing on all nodes.
    ///
    /// ## How to fix it
    /// Give a node what is required (a label, its availability, more resources), or require less.
    ///
    /// ## When it is wrong
    /// A service that is meant to wait until its node joins. Scale it to 0 until then.
    ///
    /// Source: swarmkit `manager/scheduler/filter.go`, `manager/constraint/constraint.go`.
    "service/unschedulable": Error, "no node can run a task of the service";
    healthy "the scheduler finds a node for every task";
    needs Services, Tasks, Nodes;
    caused_by "swarm/node-down", "swarm/stale-advertise-addr", "network/manager-port-blocked";
    for each Cluster: run
}

/// How long the scheduler may take to find a node, in seconds.
const SCHEDULING_SECONDS: i64 = 10;

fn run(view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let services = view.snapshot.services.get()?;
    let tasks = view.snapshot.tasks.get()?;
    let nodes = view.snapshot.nodes.get()?;
    for service in services.iter() {
        if service.replicas.is_none() && !service.job {
            report_global(service, services, nodes, tasks, out);
        }
        let slots = slots(service, tasks);
        let waiting: Vec<&Task> =
            slots.iter().filter_map(|slot| slot.current()).filter(|t| waits(t, view)).collect();
        let Some(first) = waiting.first() else { continue };
        let scheduling = Scheduling { service, nodes, tasks, others: services };
        let diagnosis = scheduling.diagnosis(first);
        let summary = format!(
            "no node can run {} of {} tasks of {}: {}",
            waiting.len(),
            slots.len(),
            service.name,
            diagnosis.reason
        );
        let shown = format!(
            "task {}: pending for {} s: {}",
            first.id,
            seconds_since(first.created, view),
            first.error
        );
        let finding =
            out.report(Subject::Service(service.name.clone()), summary, Evidence::value(tasks, shown));
        if !service.placement.constraints.is_empty() {
            let shown = format!("{}: constraints {}", service.name, service.placement.constraints.join(", "));
            finding.with(Evidence::value(services, shown));
        }
        for shown in diagnosis.nodes {
            finding.with(Evidence::value(nodes, shown));
        }
        let closed =
            nodes.iter().filter(|node| satisfies(&service.placement.constraints, node) && !is_open(node));
        finding.on_nodes(closed.map(|node| node.name.clone()));
        finding.remedy(Remedy {
            title: format!("Make {} schedulable", service.name).into(),
            risk: diagnosis.risk,
            impact: "Running tasks are not affected. Pending tasks start as soon as a node fits.".into(),
            steps: if diagnosis.closed.is_empty() {
                vec![Step::Manual {
                    node: Target::AnyManager,
                    text: diagnosis.instruction,
                    commands: diagnosis.commands,
                }]
            } else {
                // Only a manager lists services, so that this is one.
                let here = view
                    .snapshot
                    .hosts
                    .first()
                    .map_or(Target::AnyManager, |host| Target::Node(host.name.clone()));
                let open = |(name, id): &(NodeName, NodeId)| Step::ActivateNode {
                    node: here.clone(),
                    name: name.clone(),
                    id: id.to_string(),
                };
                diagnosis.closed.iter().map(open).collect()
            },
        });
    }
    Ok(())
}

/// A global service whose constraints no node satisfies: swarm creates no task and shows 0/0.
fn report_global(
    service: &Service,
    services: &Seen<Vec<Service>>,
    nodes: &Seen<Vec<Node>>,
    tasks: &[Task],
    out: &mut Findings<'_>,
) {
    let constraints = &service.placement.constraints;
    if constraints.is_empty() || nodes.iter().any(|node| satisfies(constraints, node)) {
        return;
    }
    let diagnosis = Scheduling { service, nodes, tasks, others: services }.constraints();
    let summary = format!("no node can run {}, a global service: {}", service.name, diagnosis.reason);
    let shown = format!("{}: global, constraints {}", service.name, constraints.join(", "));
    let finding =
        out.report(Subject::Service(service.name.clone()), summary, Evidence::value(services, shown));
    finding.severity(Severity::Warning);
    for shown in diagnosis.nodes {
        finding.with(Evidence::value(nodes, shown));
    }
    finding.remedy(Remedy {
        title: format!("Make {} schedulable", service.name).into(),
        risk: diagnosis.risk,
        impact: "Running tasks are not affected. A task starts as soon as a node fits.".into(),
        steps: vec![Step::Manual {
            node: Target::AnyManager,
            text: diagnosis.instruction,
            commands: diagnosis.commands,
        }],
    });
}

fn waits(task: &Task, view: &View<'_>) -> bool {
    task.state == "pending"
        && !task.error.is_empty()
        && seconds_since(task.created, view) >= SCHEDULING_SECONDS
}

/// Why the scheduler finds no node, and what to do about it.
struct Diagnosis {
    reason: String,
    nodes: Vec<String>,
    /// The nodes that are drained or paused and would fit.
    closed: Vec<(NodeName, NodeId)>,
    instruction: String,
    commands: Vec<String>,
    risk: Risk,
}

/// What the scheduler works with.
struct Scheduling<'a> {
    service: &'a Service,
    nodes: &'a [Node],
    tasks: &'a [Task],
    others: &'a [Service],
}

impl Scheduling<'_> {
    fn diagnosis(&self, task: &Task) -> Diagnosis {
        let constraints = &self.service.placement.constraints;
        let fit: Vec<&Node> = self.nodes.iter().filter(|node| satisfies(constraints, node)).collect();
        let open: Vec<&Node> = fit.iter().copied().filter(|node| is_open(node)).collect();
        if fit.is_empty() {
            self.constraints()
        } else if open.is_empty() {
            self.closed(&fit)
        } else if task.error.contains("insufficient resources") {
            self.resources(&open)
        } else if task.error.contains("max replicas per node") {
            self.too_many(open.len())
        } else if task.error.contains("host-mode port") {
            self.host_port()
        } else if task.error.contains("unsupported platform") {
            self.platform(&open)
        } else if task.error.contains("missing plugin") {
            self.plugin()
        } else {
            Diagnosis {
                reason: task.error.clone(),
                nodes: Vec::new(),
                instruction: "check what the service requires".into(),
                commands: vec![format!(
                    "docker service inspect --pretty {}",
                    shell_quote(&self.service.name)
                )],
                closed: Vec::new(),
                risk: Risk::Manual,
            }
        }
    }

    fn constraints(&self) -> Diagnosis {
        let all = &self.service.placement.constraints;
        let holds_nowhere = |text: &&String| {
            Constraint::parse(text)
                .is_none_or(|constraint| !self.nodes.iter().any(|node| constraint.holds(node)))
        };
        let count = self.nodes.len();
        let nodes = if count == 1 { "the only node".to_owned() } else { format!("none of {count} nodes") };
        let name = shell_quote(&self.service.name);
        let Some(text) = all.iter().find(holds_nowhere) else {
            let reason = format!("no node satisfies all of {}", all.join(", "));
            let commands = vec![format!("docker service inspect --pretty {name}")];
            let instruction =
                "each constraint holds on some node, and no node satisfies all of them: give one node what it lacks"
                    .into();
            return Diagnosis {
                reason,
                nodes: self.compared(all),
                instruction,
                commands,
                closed: Vec::new(),
                risk: Risk::Safe,
            };
        };
        let remove = format!("docker service update --constraint-rm {} {name}", shell_quote(text));
        let constraint = Constraint::parse(text);
        let known = constraint.as_ref().is_some_and(Constraint::is_known);
        let reason = match (known, count) {
            (false, _) => format!("swarm does not know the key of constraint {text}"),
            (true, 1) => format!("constraint {text} does not hold on {nodes}"),
            (true, _) => format!("constraint {text} holds on {nodes}"),
        };
        let (instruction, commands) = match constraint
            .as_ref()
            .and_then(|c| Some((c.node_label()?, c.equal, c.value)))
        {
            Some((label, true, value)) => (
                "add the label to the right node, or remove the constraint",
                vec![
                    format!(
                        "docker node update --label-add {} NODE",
                        shell_quote(&format!("{label}={value}"))
                    ),
                    remove,
                ],
            ),
            _ => ("name a node that exists, or remove the constraint", vec!["docker node ls".into(), remove]),
        };
        let nodes = self.compared(std::slice::from_ref(text));
        Diagnosis {
            reason,
            nodes,
            instruction: instruction.into(),
            commands,
            closed: Vec::new(),
            risk: Risk::Safe,
        }
    }

    /// What the nodes have in place of what is required.
    fn compared(&self, constraints: &[String]) -> Vec<String> {
        let mut shown = Vec::new();
        for constraint in constraints.iter().filter_map(|text| Constraint::parse(text)) {
            for node in self.nodes.iter().take(8) {
                let found = match constraint.found_on(node) {
                    Some("") => "not set",
                    Some(found) => found,
                    None => continue,
                };
                shown.push(format!("{}: {}: {found}", node.name, constraint.key));
            }
        }
        shown
    }

    fn closed(&self, fit: &[&Node]) -> Diagnosis {
        let standing: Vec<String> = fit
            .iter()
            .filter_map(|node| Some(format!("{} is {}", node.name, closed_because(node)?)))
            .collect();
        let constrained = !self.service.placement.constraints.is_empty();
        let reason = match constrained {
            true => format!("the nodes that satisfy its constraints accept no tasks: {}", listed(&standing)),
            false => listed(&standing),
        };
        let closed = fit.iter().filter(|node| node.availability != "active");
        let closed = closed.map(|node| (node.name.clone(), node.id.clone())).collect();
        let instruction = "bring a node back, or remove the constraint".into();
        Diagnosis { reason, nodes: standing, instruction, commands: Vec::new(), closed, risk: Risk::Safe }
    }

    fn resources(&self, open: &[&Node]) -> Diagnosis {
        let asked = self.service.reserved;
        let mut reason = Vec::new();
        let mut flags = Vec::new();
        let lacks = |(kind, count): &(&String, &u64)| {
            !open.iter().any(|node| node.kinds.get(*kind).is_some_and(|has| has >= count))
        };
        let lacking: Vec<_> = self.service.reserved_kinds.iter().filter(lacks).collect();
        if !lacking.is_empty() {
            return self.kinds(&lacking, open);
        }
        let most = |of: fn(&Node) -> i64| open.iter().map(|node| of(node)).max().unwrap_or(0);
        let (memory, cpus) =
            (most(|node| node.resources.memory_bytes), most(|node| node.resources.nano_cpus));
        if asked.memory_bytes > memory {
            reason.push(format!(
                "{} of memory, and no node has more than {}",
                bytes(asked.memory_bytes),
                bytes(memory)
            ));
            flags.push("--reserve-memory SIZE");
        }
        if asked.nano_cpus > cpus {
            reason.push(format!(
                "{} CPUs, and no node has more than {}",
                cores(asked.nano_cpus),
                cores(cpus)
            ));
            flags.push("--reserve-cpu NUMBER");
        }
        let reason = match reason.is_empty() {
            false => format!("each task reserves {}", reason.join("; ")),
            true => {
                flags = vec!["--reserve-memory SIZE", "--reserve-cpu NUMBER"];
                let asked = format!("{} and {} CPUs", bytes(asked.memory_bytes), cores(asked.nano_cpus));
                format!(
                    "each task reserves {asked}, and the reservations of other tasks leave no node that much"
                )
            }
        };
        let nodes = open.iter().take(8).map(|node| {
            let reserved = self.reserved_on(node);
            let (memory, cpus) = (node.resources.memory_bytes, node.resources.nano_cpus);
            format!(
                "{}: {} of {} memory and {} of {} CPUs reserved",
                node.name,
                bytes(reserved.0),
                bytes(memory),
                cores(reserved.1),
                cores(cpus)
            )
        });
        Diagnosis {
            reason,
            nodes: nodes.collect(),
            instruction: "reserve less, or add a node".into(),
            commands: vec![format!(
                "docker service update {} {}",
                flags.join(" "),
                shell_quote(&self.service.name)
            )],
            closed: Vec::new(),
            risk: Risk::Disruptive,
        }
    }

    /// Generic resources, which a node only has where its configuration names them.
    fn kinds(&self, lacking: &[(&String, &u64)], open: &[&Node]) -> Diagnosis {
        let asked: Vec<String> = lacking.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let has = |node: &&Node| {
            let kinds = lacking
                .iter()
                .map(|(kind, _)| format!("{} {kind}", node.kinds.get(*kind).copied().unwrap_or_default()));
            format!("{}: {}", node.name, kinds.collect::<Vec<_>>().join(", "))
        };
        let name = shell_quote(&self.service.name);
        let remove = lacking.iter().map(|(kind, _)| format!("--generic-resource-rm {}", shell_quote(kind)));
        Diagnosis {
            reason: format!("each task reserves {}, and no node has that much", listed(&asked)),
            nodes: open.iter().take(8).map(has).collect(),
            instruction: "list the node's devices under `node-generic-resources` in its daemon.json and restart its engine, or \
                     reserve less"
                .into(),
            commands: vec![format!("docker service update {} {name}", remove.collect::<Vec<_>>().join(" "))],
            closed: Vec::new(),
            risk: Risk::Disruptive,
        }
    }

    /// Memory and CPUs that the tasks of a node reserve.
    fn reserved_on(&self, node: &Node) -> (i64, i64) {
        let here = self.tasks.iter().filter(|task| {
            task.node.as_ref() == Some(&node.id)
                && matches!(task.desired.as_str(), "running" | "ready")
                && !matches!(task.state.as_str(), "failed" | "rejected" | "complete" | "shutdown" | "pending")
        });
        here.filter_map(|task| self.others.iter().find(|service| service.id == task.service)).fold(
            (0, 0),
            |(memory, cpus), s| {
                (memory.saturating_add(s.reserved.memory_bytes), cpus.saturating_add(s.reserved.nano_cpus))
            },
        )
    }

    fn too_many(&self, open: usize) -> Diagnosis {
        let most = self.service.placement.max_replicas;
        let wanted = self.service.replicas.unwrap_or(0);
        let name = shell_quote(&self.service.name);
        let room = most.saturating_mul(open as u64);
        Diagnosis {
            reason: format!("{wanted} tasks are wanted, and {open} nodes may run {most} each"),
            nodes: Vec::new(),
            instruction: "allow more tasks on one node, want fewer, or add a node".into(),
            commands: vec![
                format!(
                    "docker service update --replicas-max-per-node {} {name}",
                    wanted.div_ceil(open.max(1) as u64)
                ),
                format!("docker service scale {name}={room}"),
            ],
            closed: Vec::new(),
            risk: Risk::Disruptive,
        }
    }

    fn host_port(&self) -> Diagnosis {
        let own: Vec<u16> =
            self.service.ports.iter().filter(|port| !port.ingress).map(|port| port.published).collect();
        let holder = self.others.iter().find(|other| {
            other.id != self.service.id
                && other.ports.iter().any(|port| !port.ingress && own.contains(&port.published))
        });
        let ports = listed(&own);
        let reason = match holder {
            Some(other) => format!("service {} holds host port {ports} on the nodes", other.name),
            None => format!("other tasks of this service hold host port {ports} on the nodes"),
        };
        Diagnosis {
            reason,
            nodes: Vec::new(),
            instruction: match holder {
                Some(_) => "publish another host port",
                None => "let updates stop the old task before they start the new one, and want no more tasks than nodes",
            }
            .into(),
            commands: match holder {
                Some(_) => self
                    .service
                    .ports
                    .iter()
                    .filter(|port| !port.ingress)
                    .map(|port| {
                        format!(
                            "docker service update --publish-rm {0} --publish-add mode=host,published=PORT,target={0} {1}",
                            port.target,
                            shell_quote(&self.service.name)
                        )
                    })
                    .collect(),
                None => vec![format!(
                    "docker service update --update-order stop-first {}",
                    shell_quote(&self.service.name)
                )],
            },
            closed: Vec::new(),
            risk: Risk::Disruptive,
        }
    }

    fn platform(&self, open: &[&Node]) -> Diagnosis {
        let built: Vec<String> =
            self.service.placement.platforms.iter().map(|p| format!("{}/{}", p.os, p.architecture)).collect();
        let unfit = open.iter().filter(|node| !fits_platform(&self.service.placement.platforms, node));
        let nodes = unfit
            .map(|node| format!("{}: {}/{}", node.name, node.platform.os, node.platform.architecture))
            .collect();
        Diagnosis {
            reason: format!("the image is built only for {}", listed(&built)),
            nodes,
            instruction: "build the image for the platform of the nodes too".into(),
            commands: vec![format!("docker manifest inspect {}", shell_quote(&self.service.image))],
            closed: Vec::new(),
            risk: Risk::Manual,
        }
    }

    fn plugin(&self) -> Diagnosis {
        let drivers =
            self.service.mounts.iter().map(|mount| mount.driver.as_str()).filter(|driver| !driver.is_empty());
        let missing = |driver: &&str| {
            !self.nodes.iter().any(|node| {
                let bare = |name: &str| name.trim_end_matches(":latest").to_owned();
                node.plugins.iter().any(|(_, name)| bare(name) == bare(driver))
            })
        };
        let lacking: Vec<&str> = drivers.filter(missing).collect();
        let log = self.service.log_driver.as_deref().filter(missing);
        if let (Some(driver), true) = (log, lacking.is_empty()) {
            let name = shell_quote(&self.service.name);
            return Diagnosis {
                reason: format!("no node has the log driver {driver}"),
                nodes: Vec::new(),
                instruction: "set a log driver that the nodes have, or install the plugin on each node"
                    .into(),
                commands: vec![
                    format!("docker service update --log-driver json-file {name}"),
                    format!("docker plugin install {}", shell_quote(driver)),
                ],
                closed: Vec::new(),
                risk: Risk::Disruptive,
            };
        }
        let reason = match lacking.is_empty() {
            true => "no node has all the volume, network and log plugins that it requires".to_owned(),
            false => format!("no node has the volume plugin {}", listed(&lacking)),
        };
        let commands = match lacking.first() {
            Some(plugin) => vec![format!("docker plugin install {}", shell_quote(plugin))],
            None => vec!["docker plugin ls".to_owned()],
        };
        let instruction = "install the plugin on each node that should run it".to_owned();
        Diagnosis { reason, nodes: Vec::new(), instruction, commands, closed: Vec::new(), risk: Risk::Manual }
    }
}

fn bytes(bytes: i64) -> String {
    let mib = bytes / (1 << 20);
    match mib {
        10_240.. => format!("{} GiB", mib / 1024),
        _ => format!("{mib} MiB"),
    }
}

fn cores(nano: i64) -> String {
    let text = format!("{}.{:03}", nano / 1_000_000_000, nano % 1_000_000_000 / 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
