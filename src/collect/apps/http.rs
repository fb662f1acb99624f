//! HTTP requests to NiFi, from inside the network namespace that this thread is in.

use crate::collect::{sockets, tls, why};
use facts::Why;
use facts::app::{Config, HttpProbe, Reply, Resolved};
use facts::container::Container;
use facts::host::Protocol;
use futures_util::future::join_all;
use reqwest::Client;
use reqwest::header::HOST;
use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The timeout of one request.
const TIMEOUT: Duration = Duration::from_millis(1_500);
/// The most that is kept of an answer.
const MOST: usize = 64 << 10;
/// The most ports that are tried where none is configured.
const MOST_PORTS: usize = 3;

/// The first request; a node that has not joined answers it as well.
const SUMMARY: &str = "/nifi-api/flow/cluster/summary";
/// The requests to a node that answers the first.
const MORE: [&str; 2] = ["/nifi-api/flow/about", "/nifi-api/controller/cluster"];

/// A published port.
pub(super) struct Published {
    pub(super) node: IpAddr,
    pub(super) published: u16,
    pub(super) target: u16,
}

/// Where to connect: what the name stands for, the name, and its address inside.
struct Target {
    what: String,
    name: String,
    addr: Option<IpAddr>,
}

/// Sends the requests to every name and address of the container, concurrently.
pub(super) fn ask(
    container: &Container,
    config: &Config,
    names: &[Resolved],
    published: &[Published],
) -> Result<Vec<HttpProbe>, Why> {
    let Some(web) = config.endpoints.first() else { return Ok(Vec::new()) };
    let scheme = if config.tls { "https" } else { "http" };
    let ports = match web.port {
        Some(port) => vec![port],
        None => listening(container).map_err(|error| why(&error, "list the listening sockets"))?,
    };
    let targets = targets(container, config, names);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| why(&error, "start asking"))?;
    let client = client(&targets)?;
    runtime.block_on(async {
        let url = |target: &Target, port: u16, path: &str| {
            let name = match target.name.parse() {
                Ok(IpAddr::V6(addr)) => format!("[{addr}]"),
                _ => target.name.clone(),
            };
            format!("{scheme}://{name}:{port}{path}")
        };
        let pairs = ports.iter().flat_map(|port| targets.iter().map(move |target| (target, *port)));
        let mut asked =
            join_all(pairs.map(|(target, port)| one(&client, url(target, port, SUMMARY), target, None)))
                .await;
        let answered = asked.iter().position(|asked| asked.result.is_ok());
        let Some((target, port)) =
            answered.and_then(|at| Some((targets.get(at % targets.len())?, *ports.get(at / targets.len())?)))
        else {
            return Ok(asked);
        };
        asked.extend(join_all(MORE.map(|path| one(&client, url(target, port, path), target, None))).await);
        let outside = published.iter().filter(|it| it.target == port);
        asked.extend(
            join_all(outside.map(|it| {
                let host = SocketAddr::new(it.node, it.published).to_string();
                one(&client, url(target, port, SUMMARY), target, Some(host))
            }))
            .await,
        );
        Ok(asked)
    })
}

/// The listening ports, without the engine's.
fn listening(container: &Container) -> io::Result<Vec<u16>> {
    let engine = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));
    let listeners = sockets::listeners_of(container.pid)?;
    let own = listeners.into_iter().filter(|it| it.protocol == Protocol::Tcp && it.addr != engine);
    let mut ports: Vec<u16> = own.map(|it| it.port).collect();
    ports.sort_unstable();
    ports.dedup();
    ports.truncate(MOST_PORTS);
    Ok(ports)
}

fn targets(container: &Container, config: &Config, names: &[Resolved]) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    let mut add = |what: &str, name: String, addr: Option<IpAddr>| {
        if !name.is_empty() && targets.iter().all(|target| target.name != name) {
            targets.push(Target { what: what.to_owned(), name, addr });
        }
    };
    for addr in container.attachments.iter().filter_map(|attachment| attachment.addr) {
        add("the address of its task", addr.to_string(), Some(addr));
    }
    let inside =
        |name: &str| names.iter().find(|it| it.name == name).and_then(|it| it.inside().first().copied());
    add("its hostname", container.hostname.clone(), inside(&container.hostname));
    for host_setting in config.endpoints.iter().flat_map(|it| it.bind.iter().chain(&it.advertise)) {
        let is_address = host_setting.host.parse::<IpAddr>().is_ok();
        if !is_address && host_setting.host != "localhost" {
            add("the host in its settings", host_setting.host.clone(), inside(&host_setting.host));
        }
    }
    add("its service's name", container.service_name.clone(), inside(&container.service_name));
    for addr in names.iter().filter(|it| it.name == container.service_name).flat_map(Resolved::vips) {
        add("the VIP of its service", addr.to_string(), Some(addr));
    }
    add("localhost", "localhost".into(), Some(Ipv4Addr::LOCALHOST.into()));
    if let Ok(netns) = container.netns.get() {
        for interface in &netns.interfaces {
            for address in interface
                .addresses
                .iter()
                .filter(|address| address.addr.is_ipv4() && !address.addr.is_loopback())
            {
                add(
                    &format!("its interface {}", interface.name),
                    address.addr.to_string(),
                    Some(address.addr),
                );
            }
        }
    }
    targets
}

/// A client that resolves nothing on its own, follows nothing and trusts anyone.
fn client(targets: &[Target]) -> Result<Client, Why> {
    let failed = |error: &(dyn Error + 'static)| Why::Unreachable {
        what: format!("set up HTTP: {}", innermost(error)),
    };
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls::accepting().map_err(|error| failed(&error))?)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .user_agent(concat!("swarm-doctor/", env!("CARGO_PKG_VERSION")))
        .timeout(TIMEOUT);
    for target in targets {
        if let Some(addr) = target.addr {
            builder = builder.resolve(&target.name, SocketAddr::new(addr, 0));
        }
    }
    builder.build().map_err(|error| failed(&error))
}

async fn one(client: &Client, url: String, target: &Target, host: Option<String>) -> HttpProbe {
    let result = match target.addr {
        None => Err("the name is not resolved".to_owned()),
        Some(_) => reply(client, &url, host.as_deref()).await,
    };
    HttpProbe { url, host, target: target.what.clone(), addr: target.addr, result }
}

async fn reply(client: &Client, url: &str, host: Option<&str>) -> Result<Reply, String> {
    let mut request = client.get(url);
    if let Some(host) = host {
        request = request.header(HOST, host);
    }
    let mut response = request.send().await.map_err(|error| words(&error))?;
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| words(&error))? {
        body.extend_from_slice(&piece);
        if body.len() >= MOST {
            body.truncate(MOST);
            break;
        }
    }
    Ok(Reply { status: response.status().as_u16(), body: String::from_utf8_lossy(&body).into_owned() })
}

fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} ms", TIMEOUT.as_millis());
    }
    innermost(error)
}

/// What happened: the errors around it only say during what.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    match innermost.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
        Some(code) => nix::Error::from_raw(code).desc().to_owned(),
        None => innermost.to_string(),
    }
}
