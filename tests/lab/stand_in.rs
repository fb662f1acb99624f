//! A stand-in for NiFi in the lab's image: it reads `nifi.properties` or the image's variables, binds as Jetty
//! does, and answers what a node of a cluster answers. Built by itself with `rustc`, static, from std alone.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::process::exit;
use std::thread;
use std::time::Duration;

fn main() {
    let version = numbers(&variable("NIFI_VERSION", "1.28.1"));
    let home = variable("NIFI_HOME", "/opt/nifi/nifi-current");
    let file = format!("{home}/conf/nifi.properties");
    if fs::metadata(&file).is_err() {
        fs::create_dir_all(format!("{home}/conf")).expect("the folder of the configuration");
        fs::write(&file, from_variables(version)).expect("the configuration");
    }
    let text = fs::read_to_string(&file).expect("the configuration");
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    let properties: BTreeMap<String, String> =
        lines.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect();
    let of = |name: &str| properties.get(name).cloned().unwrap_or_default();
    let (host, port) = match of("nifi.web.http.port").as_str() {
        "" => (of("nifi.web.https.host"), of("nifi.web.https.port")),
        port => (of("nifi.web.http.host"), port.to_owned()),
    };
    let clustered = of("nifi.cluster.is.node") == "true";
    let named = properties.iter().any(|(name, value)| name.contains("network.interface.") && !value.is_empty());
    // A JVM needs some time before the web server starts.
    thread::sleep(Duration::from_secs(2));
    let web = bind(if named { "" } else { &host }, number(&port));
    if clustered {
        // The protocol port is bound to all addresses; the load balance port, since 1.8, to one host.
        if let Ok(port) = of("nifi.cluster.node.protocol.port").parse() {
            listen(bind("", port));
        }
        if version >= (1, 8) {
            let balance = [of("nifi.cluster.load.balance.host"), of("nifi.cluster.node.address"), "localhost".into()];
            let host = balance.into_iter().find(|host| !host.is_empty()).unwrap_or_default();
            listen(bind(&host, of("nifi.cluster.load.balance.port").parse().unwrap_or(6342)));
        }
    }
    let advertised = if host.is_empty() { "localhost".to_owned() } else { host };
    println!("INFO [main] NiFi has started. The UI is available at the following URLs:");
    println!("INFO [main] http://{advertised}:{port}/nifi");
    let node = Node { version, clustered, advertised, port: number(&port) };
    for stream in web.incoming().flatten() {
        // A client that sends nothing or disconnects is not an error.
        drop(node.answer(&stream));
    }
}

fn variable(name: &str, otherwise: &str) -> String {
    env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| otherwise.to_owned())
}

fn number(text: &str) -> u16 {
    text.parse().unwrap_or_else(|_| {
        println!("ERROR [main] Failed to start web server... shutting down. For input string: \"{text}\"");
        exit(1)
    })
}

fn numbers(version: &str) -> (u32, u32) {
    let mut parts = version.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// The `nifi.properties` that the start script of the official image writes.
fn from_variables(version: (u32, u32)) -> String {
    let hostname = fs::read_to_string("/etc/hostname").unwrap_or_default().trim().to_owned();
    let mut text = String::new();
    let mut line = |name: &str, value: String| writeln!(text, "{name}={value}").expect("a string takes all");
    let plain = version < (1, 14) || version < (2, 0) && env::var_os("NIFI_WEB_HTTP_PORT").is_some();
    match plain {
        true => {
            line("nifi.web.http.port", variable("NIFI_WEB_HTTP_PORT", "8080"));
            line("nifi.web.http.host", variable("NIFI_WEB_HTTP_HOST", &hostname));
        }
        false => {
            line("nifi.web.https.port", variable("NIFI_WEB_HTTPS_PORT", "8443"));
            line("nifi.web.https.host", variable("NIFI_WEB_HTTPS_HOST", &hostname));
        }
    }
    line("nifi.remote.input.host", variable("NIFI_REMOTE_INPUT_HOST", &hostname));
    line("nifi.cluster.is.node", variable("NIFI_CLUSTER_IS_NODE", "false"));
    line("nifi.cluster.node.address", variable("NIFI_CLUSTER_ADDRESS", &hostname));
    line("nifi.cluster.node.protocol.port", variable("NIFI_CLUSTER_NODE_PROTOCOL_PORT", ""));
    line("nifi.zookeeper.connect.string", variable("NIFI_ZK_CONNECT_STRING", ""));
    text
}

/// Binds a host as Java does: the hosts file first, then DNS. Panics if it cannot be bound.
fn bind(host: &str, port: u16) -> TcpListener {
    let (shown, addr) = match address(host) {
        Some(addr) => (format!("{host}/{addr}:{port}"), addr),
        None => fail(&format!("{host}/<unresolved>:{port}"), "java.net.SocketException: Unresolved address"),
    };
    TcpListener::bind((addr, port)).unwrap_or_else(|error| {
        let words = error.to_string();
        let words = words.split(" (os error").next().unwrap_or_default().to_owned();
        fail(&shown, &format!("java.net.BindException: {words}"))
    })
}

fn fail(what: &str, cause: &str) -> ! {
    println!("WARN [main] Failed to start web server... shutting down.");
    println!("java.io.IOException: Failed to bind to {what}");
    println!("Caused by: {cause}");
    exit(1)
}

/// Accepts connections and sends nothing.
fn listen(listener: TcpListener) {
    thread::spawn(move || listener.incoming().flatten().for_each(drop));
}

fn address(host: &str) -> Option<IpAddr> {
    match host {
        "" => return Some(Ipv4Addr::UNSPECIFIED.into()),
        "localhost" => return Some(Ipv4Addr::LOCALHOST.into()),
        host => {
            if let Ok(addr) = host.parse() {
                return Some(addr);
            }
        }
    }
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let addr = words.next()?.parse().ok()?;
        words.any(|name| name.eq_ignore_ascii_case(host)).then_some(addr)
    };
    // DNS knows the name of a service only a moment after its task has started.
    hosts.lines().find_map(line).or_else(|| (0..3).find_map(|_| ask(host)))
}

/// Asks the engine's DNS server for an IPv4 address.
fn ask(host: &str) -> Option<IpAddr> {
    let mut question = vec![0x13, 0x37, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in host.split('.') {
        question.push(u8::try_from(label.len()).ok()?);
        question.extend_from_slice(label.as_bytes());
    }
    question.extend_from_slice(&[0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    socket.send_to(&question, "127.0.0.11:53").ok()?;
    let mut reply = [0; 512];
    let length = socket.recv(&mut reply).ok()?;
    // The server answers with one question and, of addresses, records that end in their four bytes.
    let answers = reply.get(6..8).filter(|count| **count != [0, 0])?;
    let rest = reply.get(question.len()..length)?;
    let at = rest.windows(10).position(|window| window[..4] == [0, 1, 0, 1] && window[8..] == [0, 4])?;
    let addr: [u8; 4] = rest.get(at + 10..at + 14)?.try_into().ok()?;
    (!answers.is_empty()).then(|| IpAddr::from(addr))
}

struct Node {
    version: (u32, u32),
    clustered: bool,
    advertised: String,
    port: u16,
}

impl Node {
    fn answer(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        let mut lines = BufReader::new(stream).lines();
        let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut host = String::new();
        for line in lines {
            let line = line?;
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("host")) {
                let _ = name;
                host = value.trim().to_owned();
            }
        }
        let (status, kind, body) = self.reply(&path, &host);
        let length = body.len();
        let mut stream = stream;
        write!(stream, "HTTP/1.1 {status} -\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
    }

    fn reply(&self, path: &str, host: &str) -> (u16, &'static str, String) {
        let (json, page, plain) = ("application/json", "text/html", "text/plain");
        if self.version == (1, 5) && !self.allows(host) {
            let body = format!(
                "<h1>System Error</h1>\n<h2>The request contained an invalid host header [{host}] in the request [{path}]. \
                 Check for request manipulation or third-party intercept.</h2>"
            );
            return (200, page, body);
        }
        let state = variable("STAND_IN_STATE", "connected");
        let (major, minor) = self.version;
        match path {
            "/nifi-api/flow/about" => {
                (200, json, format!(r#"{{"about":{{"title":"NiFi","version":"{major}.{minor}.0","uri":"http://{host}/nifi-api/"}}}}"#))
            }
            "/nifi-api/flow/cluster/summary" => {
                let connected = self.clustered && state == "connected";
                let count = if connected { self.nodes().len() } else { 0 };
                let clustered = self.clustered;
                (200, json, format!(
                    r#"{{"clusterSummary":{{"clustered":{clustered},"connectedToCluster":{connected},"connectedNodeCount":{count},"totalNodeCount":{count}}}}}"#
                ))
            }
            "/nifi-api/controller/cluster" if self.clustered => self.cluster(&state),
            "/nifi" | "/nifi/" => (200, page, "<title>NiFi</title>".into()),
            _ => (404, plain, "Not Found".into()),
        }
    }

    fn cluster(&self, state: &str) -> (u16, &'static str, String) {
        let voting = match self.version < (1, 10) {
            true => "Cluster is still in the process of voting on the appropriate Data Flow.",
            false => "The Flow Controller is initializing the Data Flow.",
        };
        match state {
            "voting" => (409, "text/plain", voting.into()),
            "disconnected" => (404, "text/plain", "Only a node connected to a cluster can process the request.".into()),
            "no-coordinator" => (
                503,
                "text/plain",
                "Action cannot be performed because there is currently no Cluster Coordinator elected. \
                 The request should be tried again after a moment."
                    .into(),
            ),
            _ => {
                let node = |(at, (address, port)): (usize, (String, u16))| {
                    format!(r#"{{"nodeId":"{at}","address":"{address}","apiPort":{port},"status":"CONNECTED","roles":[]}}"#)
                };
                let nodes: Vec<String> = self.nodes().into_iter().enumerate().map(node).collect();
                let nodes = nodes.join(",");
                (200, "application/json", format!(r#"{{"cluster":{{"nodes":[{nodes}],"generated":"20:18:30 UTC"}}}}"#))
            }
        }
    }

    /// The addresses that the nodes advertise: this one, and those that the test adds.
    fn nodes(&self) -> Vec<(String, u16)> {
        let mut nodes = vec![(self.advertised.clone(), self.port)];
        for node in variable("STAND_IN_NODES", "").split(',') {
            if let Some((address, port)) = node.split_once(':') {
                nodes.push((address.to_owned(), port.parse().unwrap_or(0)));
            }
        }
        nodes
    }

    fn allows(&self, host: &str) -> bool {
        let hostname = fs::read_to_string("/etc/hostname").unwrap_or_default();
        let bare = host.split(':').next().unwrap_or_default();
        [self.advertised.as_str(), "localhost", hostname.trim(), ""].contains(&bare)
    }
}
