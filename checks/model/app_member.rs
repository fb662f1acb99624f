//! The members of applications' clusters, from a manager's services or from their containers.

use crate::{Evidence, Findings, Subject, View};
use facts::app::{
    App, Apps, ClusterNode, Config, Endpoint, HostSetting, LABEL, Program, Setting, Settings, version,
};
use facts::service::Service;
use facts::{Fact, Seen, Source};

/// A member, or a whole service where its containers are on other nodes.
pub(crate) struct Member<'a> {
    pub(crate) program: &'static Program,
    /// What follows from its settings.
    pub(crate) config: Config,
    /// The name of its service.
    pub(crate) service: &'a str,
    /// The service, where a manager lists it.
    pub(crate) spec: Option<&'a Service>,
    /// Its container, where that is on a node that was examined.
    pub(crate) app: Option<&'a App>,
    source: Source,
}

impl Member<'_> {
    pub(crate) fn subject(&self) -> Subject {
        Subject::Service(self.service.to_owned())
    }

    /// A setting, as evidence.
    pub(crate) fn evidence(&self, setting: &Setting) -> Evidence {
        self.shown(format!("{}: {setting}", self.name()))
    }

    /// Evidence from the source of its settings.
    pub(crate) fn shown(&self, shown: String) -> Evidence {
        Evidence::Value { source: self.source.clone(), shown }
    }

    /// Its container's name, else its service's.
    pub(crate) fn name(&self) -> &str {
        self.app.map_or(self.service, |app| &app.name)
    }

    /// How many tasks its service has, where that is known. A global service counts as several.
    pub(crate) fn replicas(&self) -> Option<u64> {
        self.spec.map(|spec| spec.replicas.unwrap_or(u64::MAX))
    }

    /// Whether its service has other tasks as well, by its replicas or by the answers of the engine's DNS server.
    pub(crate) fn has_twins(&self) -> bool {
        let resolved = self.app.into_iter().flat_map(|app| &app.names);
        self.replicas().is_some_and(|replicas| replicas > 1)
            || resolved.filter(|it| self.goes_by(&it.name)).any(|it| it.tasks.len() > 1)
    }

    /// Whether it is configured to be one of several. A RabbitMQ broker with a configured name is, beside others.
    pub(crate) fn is_clustered(&self) -> bool {
        let named = self.config.identity.is_some() || self.spec.is_some_and(|spec| spec.hostname.is_some());
        self.config.clustered || (self.program.name == "rabbitmq" && named && self.has_twins())
    }

    /// Whether it is a single broker for its own host, so that `localhost` is right: it is on no overlay network, or that
    /// port of the host leads to it.
    pub(crate) fn is_for_its_host(&self, port: Option<u16>, view: &View<'_>) -> bool {
        let containers = || {
            view.snapshot.hosts.iter().filter_map(|host| host.containers.get().ok()).flat_map(|it| &it.value)
        };
        let own = self.app.and_then(|app| containers().find(|container| container.id == app.container));
        let shared = |network: &str| !matches!(network, "ingress" | "bridge" | "host" | "docker_gwbridge");
        let on_overlay = match (self.spec, own) {
            (Some(spec), _) => !spec.networks.is_empty(),
            (None, Some(container)) => container.attachments.iter().any(|it| shared(&it.name)),
            (None, None) => true,
        };
        let listed =
            self.spec.iter().flat_map(|spec| &spec.ports).any(|it| !it.ingress && Some(it.published) == port);
        let opened = self.app.is_some_and(|app| app.published.iter().any(|it| Some(*it) == port));
        self.program.name == "kafka"
            && self.config.peers.len() <= 1
            && !self.has_twins()
            && (!on_overlay || listed || opened)
    }

    /// Whether a name is one of its service.
    pub(crate) fn goes_by(&self, name: &str) -> bool {
        let listed = self.spec.iter().flat_map(|spec| spec.aliases());
        let given = self.app.into_iter().flat_map(|app| &app.aliases).map(String::as_str);
        listed.chain(given).chain([self.service]).any(|own| own.eq_ignore_ascii_case(name))
    }

    /// The hostname of its container, or the configured one.
    pub(crate) fn hostname(&self) -> Option<&str> {
        match (self.app, self.spec) {
            (Some(app), _) => Some(&app.hostname),
            (None, Some(spec)) => spec.hostname.as_deref(),
            (None, None) => None,
        }
    }

    /// What it advertises, with the purpose.
    pub(crate) fn advertised(&self) -> impl Iterator<Item = (&Endpoint, &HostSetting)> {
        self.config.endpoints.iter().filter_map(|endpoint| Some((endpoint, endpoint.advertise.as_ref()?)))
    }

    /// What it binds, with the purpose.
    pub(crate) fn bound(&self) -> impl Iterator<Item = (&Endpoint, &HostSetting)> {
        self.config.endpoints.iter().filter_map(|endpoint| Some((endpoint, endpoint.bind.as_ref()?)))
    }

    /// The value of a setting in its service, with templates as written.
    pub(crate) fn written(&self, name: &str) -> Option<String> {
        let settings = settings_of(self.spec?, self.program);
        settings.value(&[name]).map(|setting| setting.value.clone())
    }

    /// The nodes in its own list of the cluster.
    pub(crate) fn nodes(&self) -> Vec<ClusterNode> {
        self.app.map(App::nodes).unwrap_or_default()
    }

    /// Whether its service publishes a port.
    pub(crate) fn is_published(&self) -> bool {
        self.spec.is_some_and(|spec| !spec.ports.is_empty())
    }
}

/// All members that are visible. Missing facts make the check incomplete.
pub(crate) fn members<'a>(view: &View<'a>, out: &mut Findings<'_>) -> Vec<Member<'a>> {
    let snapshot = view.snapshot;
    let services = seen(&snapshot.services, out);
    let mut members = Vec::new();
    let mut named = None;
    for host in &snapshot.hosts {
        let Some(apps) = seen(&host.apps, out) else { continue };
        members.extend(
            apps.apps
                .iter()
                .filter(|app| !is_past(app, apps))
                .filter_map(|app| of_container(app, apps, services)),
        );
        named = Some(apps);
    }
    for service in services.iter().flat_map(|services| &services.value) {
        let is_here = members.iter().any(|member: &Member<'_>| member.service == service.name);
        if !is_here && service.replicas != Some(0) && !service.job {
            members.extend(
                services.and_then(|services| of_service(service, services, named.map(|it| &it.value))),
            );
        }
    }
    members
}

/// The first member of each service in which something was found, with the first item and the rest.
pub(crate) fn first_per_service<'m, 'a, T, I: IntoIterator<Item = T>>(
    members: &'m [Member<'a>],
    found: impl Fn(&'m Member<'a>) -> I,
) -> impl Iterator<Item = (&'m Member<'a>, T, I::IntoIter)> {
    let mut reported = Vec::new();
    members.iter().filter_map(move |member| {
        if reported.contains(&member.service) {
            return None;
        }
        let mut rest = found(member).into_iter();
        let first = rest.next()?;
        reported.push(member.service);
        Some((member, first, rest))
    })
}

fn seen<'a, T>(fact: &'a Fact<T>, out: &mut Findings<'_>) -> Option<&'a Seen<T>> {
    match fact.get() {
        Ok(seen) => Some(seen),
        Err(gap) => {
            out.inconclusive(Subject::Cluster, gap);
            None
        }
    }
}

fn of_container<'a>(
    app: &'a App,
    apps: &Seen<Apps>,
    services: Option<&'a Seen<Vec<Service>>>,
) -> Option<Member<'a>> {
    let program = Program::named(&app.program)?;
    let spec = services.and_then(|services| services.iter().find(|service| service.id == app.service));
    // A container of a removed service, or of its earlier version, does not show the current state.
    if services.is_some() && !spec.is_some_and(|spec| app.running || is_of(app, spec, program)) {
        return None;
    }
    Some(Member {
        program,
        config: (program.read)(&app.settings, version(&app.image)),
        service: &app.service_name,
        spec,
        app: Some(app),
        source: apps.source.clone(),
    })
}

/// Whether another container of the service runs now with other settings.
fn is_past(app: &App, apps: &Apps) -> bool {
    let instead =
        |other: &App| other.running && other.service == app.service && other.settings != app.settings;
    !app.running && apps.apps.iter().any(instead)
}

/// Whether a container was created from the current version of the service.
fn is_of(app: &App, spec: &Service, program: &Program) -> bool {
    let settings = settings_of(spec, program);
    let hostname = spec.hostname.as_deref().filter(|hostname| !hostname.contains("{{"));
    let same = |setting: &Setting| setting.value.contains("{{") || app.settings.entries.contains(setting);
    hostname.is_none_or(|hostname| hostname == app.hostname) && settings.entries.iter().all(same)
}

fn of_service<'a>(
    service: &'a Service,
    services: &Seen<Vec<Service>>,
    named: Option<&Apps>,
) -> Option<Member<'a>> {
    let named = named.and_then(|apps| apps.named.get(&service.name)).or(service.labels.get(LABEL));
    let program = match named {
        Some(name) => Program::named(name),
        None => Program::recognised(
            &service.image,
            service.env.keys().map(String::as_str),
            service.mounts.iter().map(|mount| mount.target.as_str()),
        ),
    }?;
    Some(Member {
        program,
        config: (program.read)(&settings_of(service, program), version(&service.image)),
        service: &service.name,
        spec: Some(service),
        app: None,
        source: services.source.clone(),
    })
}

fn settings_of(service: &Service, program: &Program) -> Settings {
    let env = service.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let args: Vec<String> = service.command.iter().chain(&service.args).cloned().collect();
    Settings::from_env_and_args(env, &args, &|name| program.wants(name))
}
