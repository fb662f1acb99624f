use crate::model::engine_version::EngineVersion;
use crate::remedy::shell_quote;
use crate::{Confidence, Evidence, Findings, Judged, Remedy, Risk, Step, Subject, View};
use facts::service::Service;
use facts::{Host, Seen, Why};

check! {
    /// A service uses the Docker API in a version that the engine no longer accepts.
    ///
    /// ## Why it matters
    /// Engine 29.0 to 29.2 accept API 1.44 and later, 29.3 and later accept 1.40. Images that request an older version get
    /// "client version 1.24 is too old. Minimum supported API version is 1.44": a Traefik without routes answers 404 for
    /// every name, a Portainer shows no environment, and updates by Watchtower stop. The service itself keeps running.
    ///
    /// ## How to fix it
    /// Update the image to a version that negotiates the API version. Until then `"min-api-version": "1.24"` in the
    /// daemon.json of the nodes that run it makes the engine accept the old version.
    ///
    /// ## When it is wrong
    /// Where the program reaches another engine than that of its node, or does not use the socket that is mounted.
    ///
    /// Source: moby `daemon/config/config.go` (`defaultMinAPIVersion`); traefik#12253, portainer#12936, watchtower#2122.
    "engine/api-version-too-old": Warning, "a service uses an API version that the engine rejects";
    healthy "the engine accepts the API versions of all services";
    needs Version, Services, DaemonJson;
    for each Host: run
}

/// An API version, such as 1.44.
type Api = (u16, u16);

/// An image that uses the Docker API.
struct Client {
    /// The repository without a registry.
    repository: &'static str,
    /// The API version that it requests, from this version of the image on.
    requests: &'static [(EngineVersion, Api)],
    /// The versions from which on it negotiates: one for each line of releases, the newest last.
    negotiates: &'static [EngineVersion],
    /// What to use where no version negotiates.
    instead: &'static str,
}

const fn v(major: u16, minor: u16, patch: u16) -> EngineVersion {
    EngineVersion(major, minor, patch)
}

const CLIENTS: &[Client] = &[
    Client {
        repository: "traefik",
        requests: &[(v(1, 0, 0), (1, 24))],
        negotiates: &[v(2, 11, 31), v(3, 6, 1)],
        instead: "",
    },
    Client {
        repository: "portainer/portainer-ce",
        requests: &[(v(2, 0, 0), (1, 41))],
        negotiates: &[v(2, 33, 5), v(2, 36, 0)],
        instead: "",
    },
    Client {
        repository: "portainer/portainer-ee",
        requests: &[(v(2, 0, 0), (1, 41))],
        negotiates: &[v(2, 33, 5), v(2, 36, 0)],
        instead: "",
    },
    Client {
        repository: "containrrr/watchtower",
        requests: &[(v(0, 0, 0), (1, 25))],
        negotiates: &[],
        instead: "nickfedor/watchtower, which is maintained, or the environment variable DOCKER_API_VERSION=1.44",
    },
    // The docker command requests its own version at most.
    Client {
        repository: "docker",
        requests: &[
            (v(17, 6, 0), (1, 30)),
            (v(18, 9, 0), (1, 39)),
            (v(19, 3, 0), (1, 40)),
            (v(20, 10, 0), (1, 41)),
            (v(23, 0, 0), (1, 42)),
            (v(24, 0, 0), (1, 43)),
        ],
        negotiates: &[v(25, 0, 0)],
        instead: "",
    },
];

fn run(host: &Host, view: &View<'_>, out: &mut Findings<'_>) -> Judged {
    let version = host.version.get()?;
    let Some(minimum) = api(&version.min_api) else { return Ok(()) };
    let services = match view.snapshot.services.get() {
        Ok(services) => services,
        Err(gap) if matches!(gap.why, Why::NotApplicable { .. }) => return Ok(()),
        Err(gap) => return Err(gap),
    };
    for service in services.iter().filter(|service| uses_engine(service)) {
        let Some((client, requests)) = rejected(service, minimum) else { continue };
        report(host, services, service, client, requests, out);
    }
    Ok(())
}

fn report(
    host: &Host,
    services: &Seen<Vec<Service>>,
    service: &Service,
    client: &Client,
    requests: Api,
    out: &mut Findings<'_>,
) {
    let Ok(version) = host.version.get() else { return };
    let image = short(&service.image);
    let summary = format!(
        "{} ({image}) requests API {}.{}, and engine {} accepts {} and later",
        service.name, requests.0, requests.1, version.engine, version.min_api
    );
    let shown = format!("{}: image {image}, mounts docker.sock", service.name);
    let finding =
        out.report(Subject::Service(service.name.clone()), summary, Evidence::value(services, shown));
    finding
        .with(Evidence::value(
            version,
            format!("MinAPIVersion {} of engine {}", version.min_api, version.engine),
        ))
        .confidence(Confidence::Medium);
    let config = host.daemon_json_path();
    let file = host.daemon_json.get().ok().and_then(|file| file.value.as_ref());
    let set = file.and_then(|file| Some(file.key("min-api-version")?.to_string()));
    let lower = match &set {
        Some(value) => format!(
            "change \"min-api-version\" in {config} from {value} to \"{}.{}\"",
            requests.0, requests.1
        ),
        None => format!("add \"min-api-version\": \"{}.{}\" to {config}", requests.0, requests.1),
    };
    let update = match client.negotiates {
        [] => format!("use {}", client.instead),
        versions => {
            let list: Vec<_> = versions.iter().map(|version| version.to_string()).collect();
            format!("update the image to {} or later, which negotiates the API version", list.join(" or "))
        }
    };
    let repository = service.image.split([':', '@']).next().unwrap_or_default();
    let commands = match client.negotiates.last() {
        Some(newest) if !repository.is_empty() => vec![format!(
            "docker service update --image {} {}",
            shell_quote(&format!("{repository}:{}{newest}", prefix(service))),
            shell_quote(&service.name)
        )],
        _ => vec![format!(
            "docker service update --env-add DOCKER_API_VERSION=1.44 {}",
            shell_quote(&service.name)
        )],
    };
    finding.remedy(Remedy {
        title: format!("Update the image of {}", service.name).into(),
        risk: Risk::Disruptive,
        impact: "The tasks of the service restart.".into(),
        steps: vec![
            Step::Manual { node: host.name.clone().into(), text: update, commands },
            Step::Manual {
                node: host.name.clone().into(),
                text: format!("or, on each node that runs it, {lower} and restart the engine"),
                commands: vec![host.engine_service().command("restart")],
            },
        ],
    });
}

/// Whether a service reaches the engine through its socket.
fn uses_engine(service: &Service) -> bool {
    let fixed = service.env.get("DOCKER_API_VERSION").and_then(|version| api(version));
    let socket = |mount: &facts::service::Mount| mount.source.ends_with("docker.sock");
    service.mounts.iter().any(socket) && fixed.is_none_or(|fixed| fixed < (1, 44))
}

/// The client that a service runs and the API version that it requests, if that is below the minimum.
fn rejected(service: &Service, minimum: Api) -> Option<(&'static Client, Api)> {
    let (repository, tag) = parts(&service.image)?;
    let client = CLIENTS.iter().find(|client| client.repository == repository)?;
    let (version, precise) = tag_version(tag)?;
    // `v3.6` may be any release of 3.6: only a release line that ended before the fix is certain.
    let line = client.negotiates.iter().rev().find(|fixed| fixed.0 == version.0);
    let fixed = line
        .is_some_and(|fixed| version >= *fixed || (!precise && (fixed.0, fixed.1) == (version.0, version.1)))
        || client.negotiates.last().is_some_and(|newest| version >= *newest)
        || patched(client, version);
    if fixed {
        return None;
    }
    let requests = client.requests.iter().rev().find(|(since, _)| version >= *since).map(|(_, api)| *api)?;
    (requests < minimum).then_some((client, requests))
}

/// Whether a version is a patch of a release line whose fix came as a patch: 2.33.5, while 2.34.0 lacks it.
fn patched(client: &Client, version: EngineVersion) -> bool {
    client.negotiates.iter().any(|fixed| (fixed.0, fixed.1) == (version.0, version.1) && version >= *fixed)
}

/// The repository of an image without its registry, and its tag.
fn parts(image: &str) -> Option<(&str, &str)> {
    let image = image.split('@').next()?;
    let (path, tag) = image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))?;
    let path = match path.split_once('/') {
        Some((registry, rest)) if registry.contains(['.', ':']) || registry == "localhost" => rest,
        _ => path,
    };
    let path = path.strip_prefix("library/").unwrap_or(path);
    let path = if path == "traefik/traefik" { "traefik" } else { path };
    Some((path, tag))
}

/// The version in a tag such as `v3.3.6`, `2.19.4-alpine` or `24-cli`, and whether it has all three numbers.
fn tag_version(tag: &str) -> Option<(EngineVersion, bool)> {
    let digits = tag.strip_prefix('v').unwrap_or(tag);
    let digits = digits.split('-').next()?;
    let numbers: Vec<u16> = digits.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    match numbers.as_slice() {
        [major, minor, patch] => Some((v(*major, *minor, *patch), true)),
        [major, minor] => Some((v(*major, *minor, 0), false)),
        // `3` may be any release of 3, unless a later major version exists.
        [major] if *major >= 17 => Some((v(*major, 0, 0), false)),
        _ => None,
    }
}

fn prefix(service: &Service) -> &'static str {
    match parts(&service.image) {
        Some((_, tag)) if tag.starts_with('v') => "v",
        _ => "",
    }
}

fn short(image: &str) -> &str {
    image.split('@').next().unwrap_or(image)
}

fn api(text: &str) -> Option<Api> {
    let (major, minor) = text.trim().split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(image: &str, minimum: Api) -> Option<Api> {
        let service = Service { image: image.into(), ..Service::default() };
        rejected(&service, minimum).map(|(_, requests)| requests)
    }

    #[test]
    fn images_that_request_an_old_version_are_rejected() {
        for (image, requests) in [
            ("traefik:v3.3.6", (1, 24)),
            ("traefik:v2.10", (1, 24)),
            ("docker.io/library/traefik:v3.6.0@sha256:00", (1, 24)),
            ("portainer/portainer-ce:2.33.4", (1, 41)),
            ("portainer/portainer-ce:2.34.0-alpine", (1, 41)),
            ("registry.example.com:5000/portainer/portainer-ee:2.19.4", (1, 41)),
            ("containrrr/watchtower:1.7.1", (1, 25)),
            ("docker:24-cli", (1, 43)),
            ("docker:20.10.24", (1, 41)),
        ] {
            assert_eq!(judged(image, (1, 44)), Some(requests), "{image}");
        }
    }

    #[test]
    fn images_that_negotiate_or_are_unknown_are_not() {
        for image in [
            "traefik:v3.6.1",
            "traefik:v3.6",
            "traefik:v2.11.31",
            "traefik:latest",
            "traefik",
            "portainer/portainer-ce:2.33.5",
            "portainer/portainer-ce:2.36.0",
            "docker:27",
            "docker:25.0.3-dind",
            "example/other:1.0.0",
        ] {
            assert_eq!(judged(image, (1, 44)), None, "{image}");
        }
        assert_eq!(judged("portainer/portainer-ce:2.33.4", (1, 40)), None);
        assert_eq!(judged("traefik:v3.3.6", (1, 24)), None);
    }
}
