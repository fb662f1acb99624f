//! The options of daemon.json with the type of each value, as the engines 20.10.5, 20.10.24, 26.1.5 and 28.5.2 accepted or
//! rejected them; those of 29 are from its source.

use serde_json::Value;

/// A key of daemon.json.
pub(super) struct Directive {
    /// Its name.
    pub(super) key: &'static str,
    /// The equivalent flag, which usually has the same name.
    pub(super) flag: &'static str,
    /// The type of its value.
    pub(super) kind: Kind,
    /// The first major version with it.
    pub(super) since: u16,
    /// The first major version without it.
    pub(super) until: u16,
}

impl Directive {
    /// Whether every version has it.
    pub(super) fn is_in_every_version(&self) -> bool {
        self.since == 0 && self.until == NEVER
    }
}

/// The type of a value. `null` leaves an option unset.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// `true` or `false`, without quotes.
    Switch,
    /// A whole number, without quotes.
    Number,
    /// A string.
    Text,
    /// A list of strings.
    Texts,
    /// An object whose values are strings.
    TextMap,
    /// An object whose values are `true` or `false`.
    Switches,
    /// An object of some depth.
    Object,
    /// A list of objects.
    Objects,
    /// Any: the accepted type differs between versions.
    Any,
}

/// The newest major version that this table was compared with.
pub(super) const NEWEST: u16 = 29;

/// No version has removed it.
const NEVER: u16 = u16::MAX;

const fn one(key: &'static str, kind: Kind) -> Directive {
    Directive { key, flag: key, kind, since: 0, until: NEVER }
}

/// A list: its key is in the plural and its flag in the singular.
const fn many(key: &'static str, flag: &'static str, kind: Kind) -> Directive {
    Directive { key, flag, kind, since: 0, until: NEVER }
}

const fn since(major: u16, directive: Directive) -> Directive {
    Directive { since: major, ..directive }
}

const fn until(major: u16, directive: Directive) -> Directive {
    Directive { until: major, ..directive }
}

#[rustfmt::skip]
const DIRECTIVES: &[Directive] = &[
    many("add-runtime", "add-runtime", Kind::Any),
    since(28, one("allow-direct-routing", Kind::Switch)),
    one("allow-nondistributable-artifacts", Kind::Texts),
    one("api-cors-header", Kind::Text),
    many("authorization-plugins", "authorization-plugin", Kind::Texts),
    one("bip", Kind::Text),
    since(28, one("bip6", Kind::Text)),
    one("bridge", Kind::Text),
    since(28, one("bridge-accept-fwmark", Kind::Text)),
    one("builder", Kind::Object),
    since(24, many("cdi-spec-dirs", "cdi-spec-dir", Kind::Texts)),
    one("cgroup-parent", Kind::Text),
    until(23, one("cluster-advertise", Kind::Text)),
    until(23, one("cluster-store", Kind::Text)),
    until(23, many("cluster-store-opts", "cluster-store-opt", Kind::TextMap)),
    one("config-file", Kind::Any),
    one("containerd", Kind::Text),
    one("containerd-namespace", Kind::Text),
    one("containerd-plugins-namespace", Kind::Any),
    one("cpu-rt-period", Kind::Number),
    one("cpu-rt-runtime", Kind::Number),
    one("cri-containerd", Kind::Switch),
    one("data-root", Kind::Text),
    one("debug", Kind::Switch),
    many("default-address-pools", "default-address-pool", Kind::Objects),
    one("default-cgroupns-mode", Kind::Text),
    one("default-gateway", Kind::Text),
    one("default-gateway-v6", Kind::Text),
    one("default-ipc-mode", Kind::Text),
    since(24, many("default-network-opts", "default-network-opt", Kind::Object)),
    one("default-runtime", Kind::Text),
    one("default-shm-size", Kind::Text),
    many("default-ulimits", "default-ulimit", Kind::Object),
    one("deprecated-key-path", Kind::Any),
    one("dns", Kind::Texts),
    many("dns-opts", "dns-opt", Kind::Texts),
    one("dns-search", Kind::Texts),
    many("exec-opts", "exec-opt", Kind::Texts),
    one("exec-root", Kind::Text),
    one("experimental", Kind::Switch),
    many("features", "feature", Kind::Switches),
    since(29, one("firewall-backend", Kind::Text)),
    one("fixed-cidr", Kind::Text),
    one("fixed-cidr-v6", Kind::Text),
    until(23, one("graph", Kind::Text)),
    one("group", Kind::Text),
    one("help", Kind::Any),
    one("host-gateway-ip", Kind::Text),
    since(28, many("host-gateway-ips", "host-gateway-ip", Kind::Texts)),
    many("hosts", "host", Kind::Texts),
    since(23, one("http-proxy", Kind::Text)),
    since(23, one("https-proxy", Kind::Text)),
    one("icc", Kind::Switch),
    one("init", Kind::Switch),
    one("init-path", Kind::Text),
    many("insecure-registries", "insecure-registry", Kind::Texts),
    one("ip", Kind::Text),
    one("ip-forward", Kind::Switch),
    since(28, one("ip-forward-no-drop", Kind::Switch)),
    one("ip-masq", Kind::Switch),
    one("ip6tables", Kind::Switch),
    one("iptables", Kind::Switch),
    one("ipv6", Kind::Switch),
    many("labels", "label", Kind::Texts),
    one("live-restore", Kind::Switch),
    one("log-driver", Kind::Text),
    since(23, one("log-format", Kind::Text)),
    one("log-level", Kind::Text),
    many("log-opts", "log-opt", Kind::TextMap),
    one("max-concurrent-downloads", Kind::Number),
    one("max-concurrent-uploads", Kind::Number),
    one("max-download-attempts", Kind::Number),
    one("metrics-addr", Kind::Text),
    since(29, one("min-api-version", Kind::Text)),
    one("mtu", Kind::Number),
    one("network-control-plane-mtu", Kind::Number),
    one("network-diagnostic-port", Kind::Number),
    one("no-new-privileges", Kind::Switch),
    since(23, one("no-proxy", Kind::Text)),
    many("node-generic-resources", "node-generic-resource", Kind::Texts),
    until(25, one("oom-score-adjust", Kind::Number)),
    one("pidfile", Kind::Text),
    one("raw-logs", Kind::Switch),
    many("registry-mirrors", "registry-mirror", Kind::Texts),
    one("restart", Kind::Any),
    one("rootless", Kind::Any),
    many("runtimes", "add-runtime", Kind::Object),
    one("seccomp-profile", Kind::Text),
    one("selinux-enabled", Kind::Switch),
    one("shutdown-timeout", Kind::Number),
    one("storage-driver", Kind::Text),
    many("storage-opts", "storage-opt", Kind::Texts),
    one("swarm-default-advertise-addr", Kind::Text),
    one("swarm-raft-election-tick", Kind::Number),
    one("swarm-raft-heartbeat-tick", Kind::Number),
    one("tls", Kind::Switch),
    one("tlscacert", Kind::Text),
    one("tlscert", Kind::Text),
    one("tlskey", Kind::Text),
    one("tlsverify", Kind::Switch),
    one("userland-proxy", Kind::Switch),
    one("userland-proxy-path", Kind::Text),
    one("userns-remap", Kind::Text),
    since(23, one("validate", Kind::Any)),
    one("version", Kind::Any),
];

/// Keys whose value is an object; any other object is a group of keys.
const WHOLE: &[&str] = &[
    "builder",
    "cluster-store-opts",
    "default-network-opts",
    "default-ulimits",
    "features",
    "log-opts",
    "runtimes",
];

/// The option with this key.
pub(super) fn directive(key: &str) -> Option<&'static Directive> {
    DIRECTIVES.iter().find(|directive| directive.key == key)
}

/// Whether dockerd accepts a key: an option, or the name of a flag, which it then ignores.
pub(super) fn known(key: &str) -> bool {
    DIRECTIVES.iter().any(|directive| directive.key == key || directive.flag == key)
}

/// The closest option, if it differs by at most two letters.
pub(super) fn closest(key: &str) -> Option<&'static str> {
    let near = |directive: &Directive| distance(&key.replace('_', "-").to_ascii_lowercase(), directive.key);
    let best = DIRECTIVES.iter().min_by_key(|directive| near(directive))?;
    (near(best) <= 2 && key.len() > 3).then_some(best.key)
}

/// How many options are equally close to a key.
pub(super) fn equally_close(key: &str) -> usize {
    let key = key.replace('_', "-").to_ascii_lowercase();
    let far: Vec<_> = DIRECTIVES.iter().map(|directive| distance(&key, directive.key)).collect();
    let least = far.iter().min().copied();
    far.into_iter().filter(|far| Some(*far) == least).count()
}

/// The keys with their values, without groups, as dockerd reads them.
pub(super) fn flattened(map: &serde_json::Map<String, Value>) -> Vec<(&str, &Value)> {
    let mut keys = Vec::new();
    for (key, value) in map {
        match value {
            Value::Object(group) if !WHOLE.contains(&key.as_str()) => {
                keys.extend(group.iter().map(|(key, value)| (key.as_str(), value)));
            }
            _ => keys.push((key.as_str(), value)),
        }
    }
    keys
}

impl Kind {
    /// The corrections of a value of the wrong type, each with its pointer below the key; none where several are possible.
    pub(super) fn corrected(self, value: &Value) -> Vec<(String, Value)> {
        let below = |map: &serde_json::Map<String, Value>,
                     fits: fn(&Value) -> bool,
                     correct: fn(&Value) -> Option<Value>| {
            let wrong = map.iter().filter(|(_, value)| !fits(value) && !value.is_null());
            let one = |(key, value): (&String, &Value)| {
                Some((format!("/{}", key.replace('~', "~0").replace('/', "~1")), correct(value)?))
            };
            wrong.map(one).collect::<Option<Vec<_>>>().unwrap_or_default()
        };
        let switch: fn(&Value) -> Option<Value> = |value| match value.as_str()? {
            "true" => Some(true.into()),
            "false" => Some(false.into()),
            _ => None,
        };
        let text: fn(&Value) -> Option<Value> =
            |value| (value.is_number() || value.is_boolean()).then(|| value.to_string().into());
        let whole = |value: Option<Value>| value.map(|value| (String::new(), value)).into_iter().collect();
        match (self, value) {
            (Self::Switch, value) => whole(switch(value)),
            (Self::Number, Value::String(digits)) => whole(digits.parse::<i64>().ok().map(Value::from)),
            (Self::Texts, Value::String(one)) => whole(Some(vec![one.as_str()].into())),
            (Self::TextMap, Value::Object(map)) => below(map, Value::is_string, text),
            (Self::Switches, Value::Object(map)) => below(map, Value::is_boolean, switch),
            _ => Vec::new(),
        }
    }

    /// The expected type, if the value has another one.
    pub(super) fn rejects(self, value: &Value) -> Option<&'static str> {
        let texts = |value: &Value| {
            value.as_array().is_some_and(|list| list.iter().all(|v| v.is_string() || v.is_null()))
        };
        let map = |value: &Value, fits: fn(&Value) -> bool| {
            value.as_object().is_some_and(|map| map.values().all(|value| fits(value) || value.is_null()))
        };
        let (fits, wanted) = match self {
            _ if value.is_null() => (true, ""),
            Self::Switch => (value.is_boolean(), "true or false without quotes"),
            Self::Number => (value.is_i64() || value.is_u64(), "a whole number without quotes"),
            Self::Text => (value.is_string(), "a string"),
            Self::Texts => (texts(value), "a list of strings"),
            Self::TextMap => (map(value, Value::is_string), "an object whose values are strings"),
            Self::Switches => (map(value, Value::is_boolean), "an object whose values are true or false"),
            Self::Object => (value.is_object(), "an object"),
            Self::Objects => (value.is_array(), "a list of objects"),
            Self::Any => (true, ""),
        };
        (!fits).then_some(wanted)
    }
}

/// The edit distance of two words.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, a) in one.bytes().enumerate() {
        let mut before = at;
        let mut last = at + 1;
        for (place, b) in row.iter_mut().skip(1).zip(other.bytes()) {
            let changed = before + usize::from(a != b);
            before = *place;
            last = changed.min(last + 1).min(before + 1);
            *place = last;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn measures_the_edit_distance() {
        assert_eq!((distance("", "abc"), distance("abc", "abc"), distance("abc", "axc")), (3, 0, 1));
        assert_eq!(distance("live-restore", "liverestore"), 1);
        assert_eq!(closest("insecure-registrys"), Some("insecure-registries"));
        assert_eq!(closest("live_restore"), Some("live-restore"));
        assert_eq!((closest("something-else"), closest("foo")), (None, None));
    }

    #[test]
    fn flattens_groups_as_dockerd_does() {
        let map = json!({"log-opts": {"max-size": "1m"}, "proxies": {"http-proxy": "x"}, "debug": true});
        let keys: Vec<_> = flattened(map.as_object().unwrap()).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["debug", "log-opts", "http-proxy"]);
    }

    #[test]
    fn rejects_a_value_of_the_wrong_type() {
        let rejects = |key: &str, value: Value| directive(key).unwrap().kind.rejects(&value).is_some();
        assert!(
            rejects("debug", json!("true")) && rejects("mtu", json!("1450")) && rejects("mtu", json!(1.5))
        );
        assert!(rejects("log-opts", json!({"max-file": 3})) && rejects("hosts", json!("fd://")));
        assert!(rejects("default-shm-size", json!(64)) && rejects("features", json!({"buildkit": "true"})));
        assert!(!rejects("debug", Value::Null) && !rejects("log-opts", json!({"max-file": "3"})));
        assert!(!rejects("dns", json!(["192.0.2.53"])) && !rejects("runtimes", json!({"a": {"path": "b"}})));
    }
}
