//! NiFi: `nifi.properties`, or the variables from which the official image writes it.

use super::program::{Config, Endpoint, HostSetting, Malformed, Program, Version, host_of};
use super::settings::{Origin, Setting, Settings};

pub(super) const NIFI: Program = Program {
    name: "nifi",
    title: "NiFi",
    images: &["nifi"],
    signature_vars: &[
        "NIFI_WEB_HTTP_HOST",
        "NIFI_WEB_HTTPS_HOST",
        "NIFI_CLUSTER_ADDRESS",
        "NIFI_CLUSTER_IS_NODE",
        "NIFI_CLUSTER_NODE_PROTOCOL_PORT",
    ],
    files: &[
        "/opt/nifi/nifi-current/conf/nifi.properties",
        "/opt/nifi/conf/nifi.properties",
        "/nifi/conf/nifi.properties",
    ],
    keys: &[
        "nifi.web.http.host",
        "nifi.web.http.port",
        "nifi.web.https.host",
        "nifi.web.https.port",
        "nifi.web.http.network.interface.*",
        "nifi.web.https.network.interface.*",
        "nifi.web.proxy.host",
        "nifi.cluster.is.node",
        "nifi.cluster.node.address",
        "nifi.cluster.node.protocol.port",
        "nifi.cluster.load.balance.host",
        "nifi.cluster.load.balance.port",
        "nifi.remote.input.host",
        "nifi.zookeeper.connect.string",
        "nifi.zookeeper.root.node",
        "NIFI_WEB_HTTP_HOST",
        "NIFI_WEB_HTTP_PORT",
        "NIFI_WEB_HTTPS_HOST",
        "NIFI_WEB_HTTPS_PORT",
        "NIFI_WEB_PROXY_HOST",
        "NIFI_CLUSTER_IS_NODE",
        "NIFI_CLUSTER_ADDRESS",
        "NIFI_CLUSTER_NODE_PROTOCOL_PORT",
        "NIFI_CLUSTER_LOAD_BALANCE_HOST",
        "NIFI_REMOTE_INPUT_HOST",
        "NIFI_ZK_CONNECT_STRING",
        "NIFI_ZK_ROOT_NODE",
    ],
    read,
};

/// From here on the image serves HTTPS unless a port for HTTP is set.
const HTTPS_FIRST: (u32, u32) = (1, 14);
/// From here on nodes listen for one another's balanced load, at the cluster address by default.
const LOAD_BALANCE: (u32, u32) = (1, 8);

fn read(settings: &Settings, version: Version) -> Config {
    let in_file = settings.entries.iter().any(|setting| matches!(setting.origin, Origin::File { .. }));
    let clustered = settings.is_true(&["nifi.cluster.is.node", "NIFI_CLUSTER_IS_NODE"]);
    let plain = is_plain(settings, in_file, version);
    let web = web(settings, in_file, plain, version);
    let address = host(settings, in_file, "nifi.cluster.node.address", "NIFI_CLUSTER_ADDRESS");
    let mut endpoints = vec![web];
    if clustered {
        endpoints.push(Endpoint {
            what: "cluster node".into(),
            bind: None,
            advertise: address.as_ref().map(advertised),
            port: settings.port(&["nifi.cluster.node.protocol.port", "NIFI_CLUSTER_NODE_PROTOCOL_PORT"]),
        });
        endpoints.extend(load_balance(settings, address.as_ref(), version));
    }
    let remote = settings.value(&["nifi.remote.input.host", "NIFI_REMOTE_INPUT_HOST"]);
    endpoints.extend(remote.filter(|_| clustered).map(|setting| Endpoint {
        what: "site-to-site input".into(),
        advertise: Some(HostSetting::of(setting)),
        ..Endpoint::default()
    }));
    let peers = settings.value(&["nifi.zookeeper.connect.string", "NIFI_ZK_CONNECT_STRING"]);
    Config {
        clustered,
        endpoints,
        identity: settings.value(&["nifi.cluster.node.address", "NIFI_CLUSTER_ADDRESS"]).cloned(),
        peers: peers
            .map(|setting| setting.value.split(',').map(|it| host_of(it).to_owned()).collect())
            .unwrap_or_default(),
        tls: !plain,
        malformed: settings.entries.iter().filter(|setting| is_malformed(setting)).map(malformed).collect(),
        ..Config::default()
    }
}

/// Whether it serves HTTP. The image of 2.0 and later knows no variables for that.
fn is_plain(settings: &Settings, in_file: bool, version: Version) -> bool {
    match in_file {
        true => settings.value(&["nifi.web.http.port"]).is_some(),
        false if version >= Some((2, 0)) => false,
        false => {
            settings.value(&["NIFI_WEB_HTTP_PORT"]).is_some() || version.is_some_and(|it| it < HTTPS_FIRST)
        }
    }
}

/// The web server binds the host that it advertises, unless interfaces are named for it.
fn web(settings: &Settings, in_file: bool, plain: bool, version: Version) -> Endpoint {
    let (scheme, variable, interfaces) = match plain {
        true => ("nifi.web.http", "NIFI_WEB_HTTP", "nifi.web.http.network.interface."),
        false => ("nifi.web.https", "NIFI_WEB_HTTPS", "nifi.web.https.network.interface."),
    };
    let port = settings.port(&[&format!("{scheme}.port"), &format!("{variable}_PORT")]);
    let default = (!in_file && version.is_some()).then_some(if plain { 8080 } else { 8443 });
    let host = host(settings, in_file, &format!("{scheme}.host"), &format!("{variable}_HOST"));
    let by_interface = settings.beginning(interfaces).any(|(_, setting)| !setting.value.is_empty());
    Endpoint {
        what: "web server".into(),
        bind: host.as_ref().filter(|_| !by_interface).map(HostSetting::of),
        advertise: host.as_ref().map(advertised),
        port: port.or(default),
    }
}

/// This one listens at the host that it advertises, and takes the cluster's address where it has none.
fn load_balance(settings: &Settings, address: Option<&Setting>, version: Version) -> Option<Endpoint> {
    let known =
        settings.first(&["nifi.cluster.load.balance.port"]).is_some() || version >= Some(LOAD_BALANCE);
    let own = settings.value(&["nifi.cluster.load.balance.host", "NIFI_CLUSTER_LOAD_BALANCE_HOST"]);
    let setting = own.or(address).filter(|setting| !setting.value.is_empty());
    setting.filter(|_| known).map(|setting| Endpoint {
        what: "load balancing listener".into(),
        bind: Some(HostSetting::of(setting)),
        advertise: None,
        port: settings.port(&["nifi.cluster.load.balance.port"]).or(Some(6342)),
    })
}

/// A host, from the file where there is one; a file that does not name it leaves it blank.
fn host(settings: &Settings, in_file: bool, line: &str, variable: &str) -> Option<Setting> {
    let unsaid = || Setting { name: line.to_owned(), value: String::new(), origin: Origin::Unset };
    match in_file {
        true => Some(settings.first(&[line]).cloned().unwrap_or_else(unsaid)),
        false => settings.value(&[variable]).cloned(),
    }
}

/// What is blank is advertised as `localhost`.
fn advertised(setting: &Setting) -> HostSetting {
    match setting.value.as_str() {
        "" => HostSetting::host("localhost", setting),
        host => HostSetting::host(host, setting),
    }
}

fn malformed(setting: &Setting) -> Malformed {
    let meant = setting.value.trim_matches(['=', ' ', '/']).rsplit("//").next().unwrap_or_default();
    Malformed {
        setting: setting.clone(),
        why: format!("takes {:?} for {}", setting.value, setting.name),
        advice: format!("write {}={meant}", setting.name),
        meant: Some(meant.to_owned()),
    }
}

/// A host that begins with what ends a name: the sign of a doubled `=`.
fn is_malformed(setting: &Setting) -> bool {
    let is_host = setting.name.ends_with(".host")
        || setting.name.ends_with(".address")
        || setting.name.ends_with("_HOST");
    is_host && setting.name != "nifi.web.proxy.host" && setting.value.contains(['=', ' ', '/'])
        || setting.name.ends_with(".port")
            && !setting.value.is_empty()
            && setting.value.parse::<u16>().is_err()
}
