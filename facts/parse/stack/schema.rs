//! What docker accepts in a compose file: its keys, the kinds of their values, and the version each came with.

use super::yaml::{Kind, Style, Yaml};
use crate::stack::At;

/// The kind of a value.
enum Shape {
    /// Anything.
    Any,
    /// A text; a bare number or truth value is none.
    Text,
    /// A text such as `1m30s`.
    Duration,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A text or a number.
    TextOrNumber,
    /// `true` or `false`.
    Bool,
    /// `true`, `false`, or a mapping with the key `name`.
    External,
    /// A list of values of one kind.
    List(&'static Shape),
    /// A text, or a list of texts.
    TextOrList,
    /// A list of texts, or a mapping to texts, numbers and nothing.
    ListOrMap,
    /// A mapping with these keys alone.
    Map(&'static [Key]),
    /// A mapping with any keys, whose values are all of one kind.
    Named(&'static Shape),
    /// A list of texts, or a mapping with values of this kind.
    TextsOrNamed(&'static Shape),
    /// A text, or a mapping with these keys.
    TextOrMap(&'static [Key]),
    /// A text or a number, or a mapping with these keys.
    TextOrNumberOrMap(&'static [Key]),
    /// A whole number, or a mapping with these keys, all of which are required.
    IntegerOrAll(&'static [Key]),
    /// Nothing, or a value of this kind.
    Maybe(&'static Shape),
}

/// A key, the second number of the version 3 that it came with, and the kind of its value.
type Key = (&'static str, u32, Shape);

use Shape::*;

const ROOT: &[Key] = &[
    ("version", 0, Any),
    ("services", 0, Named(&Map(SERVICE))),
    ("networks", 0, Named(&Maybe(&Map(NETWORK)))),
    ("volumes", 0, Named(&Maybe(&Map(VOLUME)))),
    ("secrets", 1, Named(&Maybe(&Map(SECRET)))),
    ("configs", 3, Named(&Maybe(&Map(CONFIG)))),
];

const SERVICE: &[Key] = &[
    ("build", 0, Any),
    ("cap_add", 0, List(&Text)),
    ("cap_drop", 0, List(&Text)),
    ("cgroup_parent", 0, Text),
    ("cgroupns_mode", 9, Text),
    ("command", 0, Maybe(&TextOrList)),
    ("configs", 3, List(&TextOrMap(FILE_REFERENCE))),
    ("container_name", 0, Text),
    ("credential_spec", 3, Any),
    ("depends_on", 0, List(&Text)),
    ("deploy", 0, Maybe(&Map(DEPLOY))),
    ("devices", 0, List(&Text)),
    ("dns", 0, TextOrList),
    ("dns_search", 0, TextOrList),
    ("domainname", 0, Text),
    ("entrypoint", 0, Maybe(&TextOrList)),
    ("env_file", 0, TextOrList),
    ("environment", 0, ListOrMap),
    ("expose", 0, List(&TextOrNumber)),
    ("external_links", 0, List(&Text)),
    ("extra_hosts", 0, ListOrMap),
    ("healthcheck", 0, Map(HEALTHCHECK)),
    ("hostname", 0, Text),
    ("image", 0, Text),
    ("init", 7, Bool),
    ("ipc", 0, Text),
    ("isolation", 5, Text),
    ("labels", 0, ListOrMap),
    ("links", 0, List(&Text)),
    ("logging", 0, Map(&[("driver", 0, Text), ("options", 0, Maybe(&Named(&Maybe(&TextOrNumber))))])),
    ("mac_address", 0, Text),
    ("network_mode", 0, Text),
    ("networks", 0, TextsOrNamed(&Maybe(&Map(ATTACHMENT)))),
    ("oom_score_adj", 13, Integer),
    ("pid", 0, Maybe(&Text)),
    ("ports", 0, List(&TextOrNumberOrMap(PORT))),
    ("privileged", 0, Bool),
    ("read_only", 0, Bool),
    ("restart", 0, Text),
    ("secrets", 1, List(&TextOrMap(FILE_REFERENCE))),
    ("security_opt", 0, List(&Text)),
    ("shm_size", 0, TextOrNumber),
    ("stdin_open", 0, Bool),
    ("stop_grace_period", 0, Duration),
    ("stop_signal", 0, Text),
    ("sysctls", 0, ListOrMap),
    ("tmpfs", 0, TextOrList),
    ("tty", 0, Bool),
    ("ulimits", 0, Named(&IntegerOrAll(&[("soft", 0, Integer), ("hard", 0, Integer)]))),
    ("user", 0, Text),
    ("userns_mode", 0, Text),
    ("volumes", 0, List(&TextOrMap(MOUNT))),
    ("working_dir", 0, Text),
];

const FILE_REFERENCE: &[Key] =
    &[("source", 0, Text), ("target", 0, Text), ("uid", 0, Text), ("gid", 0, Text), ("mode", 0, Number)];

const HEALTHCHECK: &[Key] = &[
    ("disable", 0, Bool),
    ("interval", 0, Duration),
    ("retries", 0, Number),
    ("start_interval", 12, Duration),
    ("start_period", 4, Duration),
    ("test", 0, TextOrList),
    ("timeout", 0, Duration),
];

const ATTACHMENT: &[Key] = &[
    ("aliases", 0, List(&Text)),
    ("driver_opts", 13, Any),
    ("ipv4_address", 0, Text),
    ("ipv6_address", 0, Text),
];

const PORT: &[Key] =
    &[("mode", 2, Text), ("protocol", 2, Text), ("published", 2, Integer), ("target", 2, Integer)];

const MOUNT: &[Key] = &[
    ("bind", 2, Any),
    ("cluster", 8, Any),
    ("consistency", 2, Text),
    ("read_only", 2, Bool),
    ("source", 2, Text),
    ("target", 2, Text),
    ("tmpfs", 6, Any),
    ("type", 2, Text),
    ("volume", 2, Any),
];

const DEPLOY: &[Key] = &[
    ("endpoint_mode", 2, Text),
    ("labels", 0, ListOrMap),
    ("mode", 0, Text),
    ("placement", 0, Map(PLACEMENT)),
    ("replicas", 0, Integer),
    ("resources", 0, Map(RESOURCES)),
    ("restart_policy", 0, Map(RESTART_POLICY)),
    ("rollback_config", 7, Map(UPDATE_CONFIG)),
    ("update_config", 0, Map(UPDATE_CONFIG)),
];

const PLACEMENT: &[Key] =
    &[("constraints", 0, List(&Text)), ("max_replicas_per_node", 8, Integer), ("preferences", 3, List(&Any))];

const RESOURCES: &[Key] = &[
    ("limits", 0, Map(&[("cpus", 0, Text), ("memory", 0, Text), ("pids", 9, Integer)])),
    ("reservations", 0, Map(&[("cpus", 0, Text), ("memory", 0, Text), ("generic_resources", 5, List(&Any))])),
    ("memory_swap", 14, Integer),
    ("memory_swappiness", 14, Integer),
];

const RESTART_POLICY: &[Key] =
    &[("condition", 0, Text), ("delay", 0, Duration), ("max_attempts", 0, Integer), ("window", 0, Duration)];

const UPDATE_CONFIG: &[Key] = &[
    ("delay", 0, Duration),
    ("failure_action", 0, Text),
    ("max_failure_ratio", 0, Number),
    ("monitor", 0, Duration),
    ("order", 4, OneOf(&["start-first", "stop-first"])),
    ("parallelism", 0, Integer),
];

const NETWORK: &[Key] = &[
    ("attachable", 2, Bool),
    ("driver", 0, Text),
    ("driver_opts", 0, Any),
    ("external", 0, External),
    ("internal", 0, Bool),
    ("ipam", 0, Map(&[("config", 0, List(&Map(&[("subnet", 0, Text)]))), ("driver", 0, Text)])),
    ("labels", 0, ListOrMap),
    ("name", 5, Text),
];

const VOLUME: &[Key] = &[
    ("driver", 0, Text),
    ("driver_opts", 0, Any),
    ("external", 0, External),
    ("labels", 0, ListOrMap),
    ("name", 4, Text),
];

const SECRET: &[Key] = &[
    ("driver", 8, Text),
    ("driver_opts", 8, Any),
    ("external", 0, External),
    ("file", 0, Text),
    ("labels", 0, ListOrMap),
    ("name", 5, Text),
    ("template_driver", 8, Text),
];

const CONFIG: &[Key] = &[
    ("external", 0, External),
    ("file", 0, Text),
    ("labels", 0, ListOrMap),
    ("name", 5, Text),
    ("template_driver", 8, Text),
];

/// What docker refuses of a file, and what it only takes from some version on.
#[derive(Default)]
pub(super) struct Judged {
    /// What docker refuses in every version.
    pub(super) faults: Vec<At<String>>,
    /// What needs a version above 3.0: the second number of that version, and the key.
    pub(super) since: Vec<At<(u32, String)>>,
}

/// Compares a file with what docker accepts.
pub(super) fn judge(root: &Yaml) -> Judged {
    let mut judged = Judged::default();
    map(root, root.line, ROOT, "", &mut judged);
    judged.faults.sort_by_key(|fault| fault.line);
    judged.since.sort_by_key(|since| since.line);
    judged
}

fn map(value: &Yaml, line: u32, keys: &[Key], path: &str, out: &mut Judged) {
    let Kind::Map(entries) = &value.kind else { return refuse(line, path, "must be a mapping", out) };
    for (name, line, value) in entries {
        let below = joined(path, name);
        match keys.iter().find(|(key, ..)| key == name) {
            Some((_, since, shape)) => {
                if *since > 0 {
                    out.since.push(At { line: *line, value: (*since, name.clone()) });
                }
                check(value, *line, shape, &below, out);
            }
            None if name.starts_with("x-") => {
                let since = if path.is_empty() { 4 } else { 7 };
                out.since.push(At { line: *line, value: (since, name.clone()) });
            }
            None => refuse(*line, &below, "is a key that docker does not know there", out),
        }
    }
}

fn named(value: &Yaml, line: u32, shape: &Shape, path: &str, out: &mut Judged) {
    let Kind::Map(entries) = &value.kind else { return refuse(line, path, "must be a mapping", out) };
    for (name, line, value) in entries {
        check(value, *line, shape, &joined(path, name), out);
    }
}

fn check(value: &Yaml, line: u32, shape: &Shape, path: &str, out: &mut Judged) {
    let is_list = matches!(value.kind, Kind::List(_));
    let is_map = matches!(value.kind, Kind::Map(_));
    match shape {
        Any => {}
        Maybe(shape) if !value.is_null() => check(value, line, shape, path, out),
        Maybe(_) => {}
        Map(keys) => map(value, line, keys, path, out),
        Named(shape) => named(value, line, shape, path, out),
        TextsOrNamed(shape) if is_map => named(value, line, shape, path, out),
        TextsOrNamed(_) => list(value, line, &Text, path, out),
        TextOrMap(keys) | TextOrNumberOrMap(keys) if is_map => {
            map(value, line, keys, path, out);
            if path.contains(".volumes.") && value.get("type").is_none() {
                refuse(line, path, "has no key \"type\"", out);
            }
        }
        TextOrMap(_) => check(value, line, &Text, path, out),
        TextOrNumberOrMap(_) => check(value, line, &TextOrNumber, path, out),
        IntegerOrAll(keys) if is_map => {
            map(value, line, keys, path, out);
            for (key, ..) in keys.iter().filter(|(key, ..)| value.get(key).is_none()) {
                refuse(line, path, &format!("has no key {key:?}"), out);
            }
        }
        IntegerOrAll(_) => check(value, line, &Integer, path, out),
        List(shape) => list(value, line, shape, path, out),
        TextOrList if is_list => list(value, line, &Text, path, out),
        TextOrList => check(value, line, &Text, path, out),
        ListOrMap if is_list => list(value, line, &Text, path, out),
        ListOrMap => named(value, line, &Maybe(&TextOrNumber), path, out),
        External if is_map => {}
        External => check(value, line, &Bool, path, out),
        Text | Duration | OneOf(_) | Integer | Number | TextOrNumber | Bool => {
            if let Some(problem) = scalar(value, shape) {
                refuse(line, path, &problem, out);
            }
        }
    }
}

fn list(value: &Yaml, line: u32, shape: &Shape, path: &str, out: &mut Judged) {
    let Kind::List(items) = &value.kind else { return refuse(line, path, "must be a list", out) };
    for (number, item) in items.iter().enumerate() {
        check(item, item.line, shape, &joined(path, &number.to_string()), out);
    }
}

/// Why a value is not of the kind; `None` where it is.
fn scalar(value: &Yaml, shape: &Shape) -> Option<String> {
    let Kind::Scalar(text, style) = &value.kind else { return Some(format!("must be {}", kind(shape))) };
    let plain = *style == Style::Plain;
    let (number, truth) = (plain && is_number(text), plain && is_bool(text));
    let is_text = !number && !truth && !value.is_null();
    // What a variable stands for is converted to the kind that is wanted.
    let replaced = *style == Style::Replaced;
    let fits = match shape {
        Text => is_text,
        Duration => {
            if is_text && !is_duration(text) {
                return Some(format!("is {text:?}, and a duration is a number with a unit, such as 1m30s"));
            }
            is_text
        }
        OneOf(texts) => {
            if is_text && !texts.contains(&text.as_str()) {
                return Some(format!("is {text:?}, and docker takes {}", texts.join(" or ")));
            }
            is_text
        }
        Integer => (plain || replaced) && is_integer(text) || hides(text),
        Number => number || (replaced && is_number(text)) || hides(text),
        TextOrNumber => is_text || number,
        Bool => truth || (replaced && is_bool(text)) || hides(text),
        _ => true,
    };
    (!fits).then(|| format!("must be {}", kind(shape)))
}

/// Whether a secret was taken out of the value, so that its kind is not known.
fn hides(text: &str) -> bool {
    text.contains("***")
}

fn kind(shape: &Shape) -> &'static str {
    match shape {
        Integer => "a whole number without quotes",
        Number => "a number",
        TextOrNumber => "a string, a number or empty; put it in quotes",
        Bool => "true or false without quotes",
        _ => "a string; put it in quotes",
    }
}

fn is_bool(text: &str) -> bool {
    matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE")
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let hex = digits.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hex || !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_number(text: &str) -> bool {
    // `inf` and `nan` are texts in YAML, and numbers for Rust.
    is_integer(text)
        || text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
            && text.parse::<f64>().is_ok()
}

/// `1h30m`, `10s`, `500ms`, as Go reads durations.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let unit = rest.trim_start_matches(|char: char| char.is_ascii_digit() || char == '.');
        let number = &rest[..rest.len() - unit.len()];
        let units = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"];
        let Some(unit_found) = units.iter().find(|known| {
            unit.strip_prefix(**known).is_some_and(|after| {
                after.is_empty() || after.starts_with(|char: char| char.is_ascii_digit() || char == '.')
            })
        }) else {
            return false;
        };
        if number.parse::<f64>().is_err() {
            return false;
        }
        rest = &unit[unit_found.len()..];
    }
    true
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn refuse(line: u32, path: &str, problem: &str, out: &mut Judged) {
    let at = if path.is_empty() { "the file" } else { path };
    out.faults.push(At { line, value: format!("{at} {problem}") });
}
