//! Where the engine is spoken to, found the way the docker command finds it.

use super::files;
use facts::Why;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

const DEFAULT: &str = "unix:///var/run/docker.sock";

/// Where the engine is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    shown: String,
    pub(super) address: Address,
}

/// The two kinds of places an engine listens at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Unix(PathBuf),
    Tcp(Tcp),
}

/// An engine that is reached over TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tcp {
    /// A name or an address, IPv6 without its brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// What comes before the path of every request, without a slash at its end; empty for most.
    pub(super) base: String,
    pub(super) tls: Option<Tls>,
}

/// The files that TLS is spoken with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tls {
    /// The authority that signed the engine's certificate; without it, those that the system trusts.
    pub(super) authority: Option<PathBuf>,
    /// The certificate and the key that this client shows.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
    /// Any certificate of the engine will do.
    pub(super) unverified: bool,
}

/// Why there is no endpoint, and what the user can do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointError {
    /// Both a host and a context were given.
    Conflict,
    /// The address needs a program on the other side.
    Ssh(String),
    /// The address is none.
    Address {
        /// As it was given.
        host: String,
        /// What is wrong with it.
        what: String,
    },
    /// There is no such context.
    Context {
        /// Its name.
        name: String,
        /// Where it was looked for.
        looked: PathBuf,
    },
    /// A file of the docker command cannot be read.
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("--host and --context exclude each other; give one of them"),
            Self::Ssh(host) => {
                write!(
                    f,
                    "{host} is reached over ssh, which this program does not speak; run it on that node instead"
                )
            }
            Self::Address { host, what } => {
                write!(f, "{host} is no address of an engine: {what}; give unix:///PATH or tcp://HOST:PORT")
            }
            Self::Context { name, looked } => {
                let looked = looked.display();
                write!(
                    f,
                    "there is no docker context {name} ({looked} is missing); `docker context ls` lists them"
                )
            }
            Self::File { path, what } => {
                write!(f, "{} cannot be read: {what}; mend it or give --host", path.display())
            }
        }
    }
}

impl std::error::Error for EndpointError {}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Endpoint {
    /// The endpoint that the docker command would take, given the same options and environment.
    ///
    /// `--host` comes first, then `--context`, `DOCKER_HOST`, `DOCKER_CONTEXT`, the current context of
    /// `config.json`, and at last the socket of a local engine.
    pub fn resolve(
        host: Option<&str>,
        context: Option<&str>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, EndpointError> {
        let env = |name: &str| env(name).filter(|value| !value.is_empty());
        let config = env("DOCKER_CONFIG")
            .map(PathBuf::from)
            .or_else(|| env("HOME").map(|home| Path::new(&home).join(".docker")))
            // A service of the system has no home in its environment, and runs as root.
            .unwrap_or_else(|| PathBuf::from("/root/.docker"));
        let named = match (host, context) {
            (Some(_), Some(_)) => return Err(EndpointError::Conflict),
            (Some(_), None) => None,
            (None, Some(name)) => Some(name.to_owned()),
            (None, None) if env("DOCKER_HOST").is_some() => None,
            (None, None) => match env("DOCKER_CONTEXT") {
                Some(name) => Some(name),
                None => current_context(&config)?,
            },
        };
        if let Some(name) = named.filter(|name| !name.is_empty() && name != "default") {
            return Self::of_context(&name, &config);
        }
        let tls = tls_of_environment(&env, &config);
        let host = host.map(str::to_owned).or_else(|| env("DOCKER_HOST")).unwrap_or_default();
        match (host.trim(), &tls) {
            ("", None) => Self::parse(DEFAULT, None),
            ("", Some(_)) => Self::parse("tcp://localhost:2376", tls),
            (host, _) => Self::parse(host, tls),
        }
    }

    /// The path of the socket, where it is a unix socket.
    pub fn local_socket(&self) -> Option<&Path> {
        match &self.address {
            Address::Unix(path) => Some(path),
            Address::Tcp(_) => None,
        }
    }

    /// Whether the engine runs on this machine, so that the files and the kernel seen here are its own.
    pub fn is_local(&self) -> bool {
        match &self.address {
            Address::Unix(_) => true,
            Address::Tcp(tcp) => {
                tcp.host == "localhost" || tcp.host.parse().is_ok_and(|addr: IpAddr| addr.is_loopback())
            }
        }
    }

    fn of_context(name: &str, config: &Path) -> Result<Self, EndpointError> {
        let digest: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
        let meta = config.join("contexts/meta").join(&digest).join("meta.json");
        let Some(Meta { endpoints }) = read_json(&meta)? else {
            return Err(EndpointError::Context { name: name.to_owned(), looked: meta });
        };
        let Some(docker) = endpoints.get("docker") else {
            return Err(EndpointError::File { path: meta, what: "it names no endpoint for docker".into() });
        };
        let material = config.join("contexts/tls").join(&digest).join("docker");
        let mut tls = Tls::in_directory(&material);
        tls.unverified = docker.skip_tls_verify;
        let host = if docker.host.is_empty() { DEFAULT } else { &docker.host };
        Self::parse(host, (tls != Tls::default()).then_some(tls))
    }

    fn parse(host: &str, tls: Option<Tls>) -> Result<Self, EndpointError> {
        let wrong = |what: &str| EndpointError::Address { host: host.to_owned(), what: what.to_owned() };
        let (scheme, rest) = host.split_once("://").unwrap_or(("tcp", host));
        let address = match scheme {
            "unix" if rest.is_empty() => return Self::parse(DEFAULT, None),
            "unix" if rest.starts_with('/') => Address::Unix(rest.into()),
            "unix" => return Err(wrong("the path of a socket begins with a slash")),
            "tcp" => {
                let port = if tls.is_some() { 2376 } else { 2375 };
                Address::Tcp(Tcp::parse(rest, port, tls).map_err(wrong)?)
            }
            "http" => Address::Tcp(Tcp::parse(rest, 80, None).map_err(wrong)?),
            "https" => Address::Tcp(Tcp::parse(rest, 443, Some(tls.unwrap_or_default())).map_err(wrong)?),
            "ssh" => return Err(EndpointError::Ssh(host.to_owned())),
            _ => return Err(wrong("its scheme is not one that is spoken here")),
        };
        Ok(Self { shown: if host.contains("://") { host.into() } else { format!("tcp://{host}") }, address })
    }
}

impl Tcp {
    fn parse(rest: &str, port: u16, tls: Option<Tls>) -> Result<Self, &'static str> {
        let (authority, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, given) = match authority.strip_prefix('[') {
            Some(bracketed) => bracketed.split_once(']').ok_or("a bracket is not closed")?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let port = match given.strip_prefix(':') {
            Some(given) => given.parse().map_err(|_| "its port is not a number below 65536")?,
            None if given.is_empty() => port,
            None => return Err("there is something between its host and its port"),
        };
        let host = if host.is_empty() { "localhost" } else { host }.to_owned();
        if host.contains(|c: char| c.is_whitespace() || c.is_control() || "@?#".contains(c)) {
            return Err("its host is not a name");
        }
        Ok(Self { host, port, base: base.trim_end_matches('/').to_owned(), tls })
    }

    /// The host and the port, as they stand in an address.
    pub(super) fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

impl Tls {
    /// What a directory has of `ca.pem`, `cert.pem` and `key.pem`.
    fn in_directory(directory: &Path) -> Self {
        // A file that is there and may not be read counts as there: to speak without it would mislead.
        let file = |name| {
            let path = directory.join(name);
            let absent = path.metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound);
            (!absent).then_some(path)
        };
        Self { authority: file("ca.pem"), identity: file("cert.pem").zip(file("key.pem")), unverified: false }
    }
}

/// The TLS that `DOCKER_TLS_VERIFY` and `DOCKER_TLS` ask for; like the docker command, whatever their value.
fn tls_of_environment(env: &dyn Fn(&str) -> Option<String>, config: &Path) -> Option<Tls> {
    let verified = env("DOCKER_TLS_VERIFY").is_some();
    if !verified && env("DOCKER_TLS").is_none() {
        return None;
    }
    let directory = env("DOCKER_CERT_PATH").map_or_else(|| config.to_owned(), PathBuf::from);
    let mut tls = Tls::in_directory(&directory);
    // The docker command insists on the authority's file here; to trust the system's would be another question.
    tls.authority = verified.then(|| directory.join("ca.pem"));
    tls.unverified = !verified;
    Some(tls)
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "Endpoints", default)]
    endpoints: BTreeMap<String, MetaEndpoint>,
}

#[derive(Deserialize)]
struct MetaEndpoint {
    #[serde(rename = "Host", default)]
    host: String,
    #[serde(rename = "SkipTLSVerify", default)]
    skip_tls_verify: bool,
}

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "currentContext", default)]
    current_context: Option<String>,
}

/// The current context. An unreadable file belongs to another user, as for a service with the HOME of another user; the
/// docker CLI ignores it as well.
fn current_context(config: &Path) -> Result<Option<String>, EndpointError> {
    let path = config.join("config.json");
    if let Err(Why::Denied { .. }) = files::read(&path) {
        return Ok(None);
    }
    let read: Option<Config> = read_json(&path)?;
    Ok(read.and_then(|config| config.current_context))
}

/// A small JSON file, or `None` where there is none.
fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, EndpointError> {
    let wrong = |what: String| EndpointError::File { path: path.to_owned(), what };
    match files::read(path) {
        Ok(Some(file)) => {
            serde_json::from_slice(&file.content).map(Some).map_err(|error| wrong(error.to_string()))
        }
        Ok(None) => Ok(None),
        Err(why) => Err(wrong(why.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `printf %s NAME | sha256sum` prints for the names of the contexts below.
    const FAR: &str = "512eea46ceb3921dff4363c7069d89d4964d1d9fccaa0f411851a7aa60a5c868";
    const SKIPS: &str = "7932e297e0cec0e1faff4f0e6f8b3b0b0c6ae0823c5c15f69de8534798f82a0b";
    const SWARMLESS: &str = "7ff019065d06e325e80acee27aac7582ce4ac99b780109bd3af880b22099e15c";

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn resolve(
        host: Option<&str>,
        context: Option<&str>,
        pairs: Pairs<'_>,
    ) -> Result<Endpoint, EndpointError> {
        let env =
            |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Endpoint::resolve(host, context, &env)
    }

    fn shown(host: Option<&str>, context: Option<&str>, pairs: Pairs<'_>) -> String {
        resolve(host, context, pairs).unwrap().to_string()
    }

    fn tcp(endpoint: Endpoint) -> Tcp {
        match endpoint.address {
            Address::Tcp(tcp) => tcp,
            Address::Unix(path) => panic!("{} is a socket", path.display()),
        }
    }

    /// A configuration directory with the contexts `far`, which is current, `skips` and `swarmless`.
    fn configuration() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let meta = |digest: &str| format!("contexts/meta/{digest}/meta.json");
        write("config.json", r#"{"auths": {}, "currentContext": "far"}"#);
        write(
            &meta(FAR),
            r#"{"Name":"far","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://far.example:2376","SkipTLSVerify":false}}}"#,
        );
        write(&meta(SKIPS), r#"{"Endpoints":{"docker":{"Host":"tcp://far.example","SkipTLSVerify":true}}}"#);
        write(&meta(SWARMLESS), r#"{"Endpoints":{}}"#);
        for name in ["ca.pem", "cert.pem", "key.pem"] {
            write(&format!("contexts/tls/{FAR}/docker/{name}"), "");
        }
        directory
    }

    #[test]
    fn takes_the_local_socket_when_nothing_is_said() {
        let endpoint = resolve(None, None, &[("HOME", "/nonexistent"), ("DOCKER_HOST", "")]).unwrap();
        assert_eq!(endpoint.to_string(), DEFAULT);
        assert_eq!(endpoint.local_socket(), Some(Path::new("/var/run/docker.sock")));
        assert!(endpoint.is_local());
    }

    #[test]
    fn prefers_as_the_docker_command_does() {
        let directory = configuration();
        let config = directory.path().to_str().unwrap();
        let all = [("DOCKER_CONFIG", config), ("DOCKER_HOST", "tcp://env:1"), ("DOCKER_CONTEXT", "skips")];
        assert_eq!(shown(Some("unix:///a"), None, &all), "unix:///a");
        assert_eq!(shown(None, Some("far"), &all), "tcp://far.example:2376");
        assert_eq!(shown(None, Some("default"), &all), "tcp://env:1");
        assert_eq!(shown(None, None, &all), "tcp://env:1");
        assert_eq!(shown(None, None, &[all[0], all[2]]), "tcp://far.example");
        assert_eq!(shown(None, None, &[all[0]]), "tcp://far.example:2376");
        assert_eq!(shown(None, None, &[all[0], ("DOCKER_CONTEXT", "default")]), DEFAULT);
        assert_eq!(resolve(Some("unix:///a"), Some("far"), &all), Err(EndpointError::Conflict));
    }

    #[test]
    fn finds_the_tls_files_of_a_context() {
        let directory = configuration();
        let config = directory.path().to_str().unwrap();
        let far = tcp(resolve(None, Some("far"), &[("DOCKER_CONFIG", config)]).unwrap());
        let tls = far.tls.unwrap();
        assert!(tls.authority.is_some() && tls.identity.is_some() && !tls.unverified);
        let skips = tcp(resolve(None, Some("skips"), &[("DOCKER_CONFIG", config)]).unwrap());
        assert_eq!(skips.port, 2376);
        assert_eq!(skips.tls, Some(Tls { unverified: true, ..Tls::default() }));
    }

    #[test]
    fn tells_what_is_wrong_with_a_context() {
        let directory = configuration();
        let config = [("DOCKER_CONFIG", directory.path().to_str().unwrap())];
        let missing = resolve(None, Some("nowhere"), &config).unwrap_err().to_string();
        assert!(missing.starts_with("there is no docker context nowhere"), "{missing}");
        let empty = resolve(None, Some("swarmless"), &config).unwrap_err().to_string();
        assert!(empty.contains("it names no endpoint for docker; mend it or give --host"), "{empty}");
        std::fs::write(directory.path().join("config.json"), "{").unwrap();
        let broken = resolve(None, None, &config).unwrap_err().to_string();
        assert!(broken.contains("config.json cannot be read: EOF while parsing"), "{broken}");
        assert_eq!(shown(Some("unix:///a"), None, &config), "unix:///a");
    }

    #[test]
    fn honours_the_tls_environment() {
        let home = ("HOME", "/nonexistent");
        let verify = [("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", "/nonexistent"), home];
        let endpoint = resolve(Some("tcp://m1"), None, &verify).unwrap();
        assert!(!endpoint.is_local());
        let tcp_of = tcp(endpoint);
        assert_eq!((tcp_of.port, tcp_of.authority().as_str()), (2376, "m1:2376"));
        let tls = Tls { authority: Some("/nonexistent/ca.pem".into()), identity: None, unverified: false };
        assert_eq!(tcp_of.tls, Some(tls));
        assert_eq!(shown(None, None, &verify), "tcp://localhost:2376");
        let unverified = tcp(resolve(Some("tcp://m1"), None, &[("DOCKER_TLS", "1"), verify[1]]).unwrap());
        assert_eq!(unverified.tls, Some(Tls { unverified: true, ..Tls::default() }));
        assert_eq!(shown(Some("unix:///a"), None, &verify), "unix:///a");
    }

    #[test]
    fn reads_addresses() {
        let parse = |host| resolve(Some(host), None, &[("HOME", "/nonexistent")]);
        let six = tcp(parse("tcp://[::1]:2375/base/").unwrap());
        assert_eq!((six.host.as_str(), six.port, six.base.as_str()), ("::1", 2375, "/base"));
        assert_eq!(six.authority(), "[::1]:2375");
        assert!(parse("tcp://[::1]").unwrap().is_local());
        assert!(parse("127.0.0.1:2375").unwrap().is_local());
        assert_eq!(parse("m1:99").unwrap().to_string(), "tcp://m1:99");
        assert_eq!(tcp(parse("tcp://").unwrap()).authority(), "localhost:2375");
        assert_eq!(tcp(parse("http://m1").unwrap()).port, 80);
        assert_eq!(tcp(parse("https://m1").unwrap()).tls, Some(Tls::default()));
        assert_eq!(parse("unix://").unwrap().to_string(), DEFAULT);
        for wrong in
            ["fd://", "npipe:////./pipe/docker", "unix://a", "tcp://m1:http", "tcp://[::1", "tcp://a b"]
        {
            let error = parse(wrong).unwrap_err().to_string();
            assert!(error.contains("give unix:///PATH or tcp://HOST:PORT"), "{error}");
        }
        let ssh = parse("ssh://root@m1").unwrap_err().to_string();
        assert!(ssh.ends_with("run it on that node instead"), "{ssh}");
    }
}
