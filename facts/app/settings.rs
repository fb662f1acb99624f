//! The settings of a program, from its environment, its arguments and its files.

use super::config_files;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The settings of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Settings {
    /// The settings about addresses, in their order.
    #[serde(rename = "said")]
    pub entries: Vec<Setting>,
    /// The files that were read.
    pub files: Vec<String>,
}

/// One setting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Where it is set.
    pub origin: Origin,
}

/// Where a setting is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Origin {
    /// In the environment.
    #[default]
    Environment,
    /// In a variable that holds other settings, such as `JAVA_OPTS` or a piece of JSON.
    #[serde(rename = "within")]
    Nested {
        /// The variable.
        variable: String,
    },
    /// In the arguments.
    Argument,
    /// In a file.
    File {
        /// The file.
        path: String,
        /// The line, from 1.
        line: u32,
    },
    /// Nowhere: it is the default of the program.
    #[serde(rename = "unsaid")]
    Unset,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value) = (&self.name, &self.value);
        match &self.origin {
            Origin::Environment => write!(f, "{name}={value}"),
            Origin::Nested { variable } => write!(f, "{name}={value} in {variable}"),
            Origin::Argument => write!(f, "--{name}={value}"),
            Origin::File { path, line } => write!(f, "{name}={value} on line {line} of {path}"),
            Origin::Unset => write!(f, "{name} is not set"),
        }
    }
}

impl Settings {
    /// The wanted settings of an environment and a command line.
    pub fn from_env_and_args<'a>(
        env: impl IntoIterator<Item = (&'a str, &'a str)>,
        args: &[String],
        wanted: &dyn Fn(&str) -> bool,
    ) -> Self {
        let mut entries = Vec::new();
        let mut push = |name: &str, value: &str, origin: Origin| {
            if wanted(name) {
                entries.push(Setting { name: name.to_owned(), value: value.to_owned(), origin });
            }
        };
        for (variable, value) in env {
            push(variable, value, Origin::Environment);
            let within = || Origin::Nested { variable: variable.to_owned() };
            for (name, value) in options(value) {
                push(name, value, within());
            }
            for (name, value) in config_files::json(value) {
                push(&name, &value, within());
            }
        }
        for (name, value) in options(&args.join(" ")) {
            push(name, value, Origin::Argument);
        }
        Self { entries, files: Vec::new() }
    }

    /// Adds the wanted settings of a file: lines of `name=value`, `name: value` or `name value`, or the leaves of JSON,
    /// YAML and XML.
    pub fn add_file(&mut self, path: &str, text: &str, wanted: &dyn Fn(&str) -> bool) {
        self.files.push(path.to_owned());
        let extension = path.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default();
        let found = match extension {
            "json" => config_files::json_lines(text),
            "yml" | "yaml" => config_files::yaml(text),
            "xml" => config_files::xml(text),
            _ => Vec::new(),
        };
        for config_files::Line { line, path: names, value } in found {
            // The whole path where it is wanted, as for Elasticsearch, else its last name.
            let whole = names.join(".");
            let name = names.last().filter(|_| !wanted(&whole)).cloned().unwrap_or(whole);
            if wanted(&name) {
                let origin = Origin::File { path: path.to_owned(), line };
                self.entries.push(Setting { name, value, origin });
            }
        }
        if matches!(extension, "json" | "yml" | "yaml" | "xml") {
            return;
        }
        // A file with a single value, such as ZooKeeper's `myid`, is named after itself.
        let own = path.rsplit('/').next().unwrap_or_default();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', '!']) {
                continue;
            }
            let at = line.find('=').into_iter().chain(line.find(": ")).min();
            let (name, value) = match (at, line.split_once(char::is_whitespace)) {
                (Some(at), _) => (&line[..at], line.get(at + 1..).unwrap_or_default()),
                (None, Some((name, value))) if wanted(name) => (name, value),
                (None, _) => (line.strip_suffix(':').unwrap_or(own), line),
            };
            let name = name.trim();
            if wanted(name) {
                let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
                let value = value.trim().trim_matches('"').to_owned();
                let origin = Origin::File { path: path.to_owned(), line };
                self.entries.push(Setting { name: name.to_owned(), value, origin });
            }
        }
    }

    /// The first of these names that is set, even if blank; the last of two entries counts.
    pub fn first(&self, names: &[&str]) -> Option<&Setting> {
        names.iter().find_map(|name| self.entries.iter().rev().find(|setting| setting.name == *name))
    }

    /// The first of these names that has a value.
    pub fn value(&self, names: &[&str]) -> Option<&Setting> {
        names.iter().find_map(|name| self.first(&[name]).filter(|setting| !setting.value.is_empty()))
    }

    /// The port of the first of these names.
    pub fn port(&self, names: &[&str]) -> Option<u16> {
        self.value(names)?.value.parse().ok()
    }

    /// Whether the first of these names is true.
    pub fn is_true(&self, names: &[&str]) -> bool {
        self.first(names).is_some_and(|setting| setting.value.eq_ignore_ascii_case("true"))
    }

    /// The settings with this prefix.
    pub fn beginning<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Setting)> {
        self.entries.iter().filter_map(move |setting| Some((setting.name.strip_prefix(prefix)?, setting)))
    }
}

/// The options in a command line or in a variable such as `JAVA_OPTS`: `-name=value`, `--name value`, `-Dname=value`.
fn options(line: &str) -> Vec<(&str, &str)> {
    let words: Vec<&str> = line.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect();
    let mut options = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let Some(option) = word.strip_prefix('-').map(|rest| rest.strip_prefix('-').unwrap_or(rest)) else {
            continue;
        };
        // `-Dname` of Java and `-Ename` of Elasticsearch set a property of that name.
        let property = option.strip_prefix(['D', 'E']).filter(|name| name.contains('.'));
        let option = property.unwrap_or(option);
        let next = words.get(at + 1).filter(|next| !next.starts_with('-'));
        match option.split_once('=') {
            Some((name, value)) => options.push((name, value)),
            None if matches!(option, "E" | "override") => {
                options.extend(next.and_then(|next| next.split_once('=')))
            }
            None => options.push((option, next.copied().unwrap_or_default())),
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_options_however_they_are_written() {
        let line =
            "agent -bind=10.0.0.1 --advertise 10.0.0.2 -Dhazelcast.local.publicAddress=x -E node.name=y -ui";
        let options = options(line);
        for pair in [
            ("bind", "10.0.0.1"),
            ("advertise", "10.0.0.2"),
            ("hazelcast.local.publicAddress", "x"),
            ("node.name", "y"),
        ] {
            assert!(options.contains(&pair), "{pair:?} {options:?}");
        }
    }

    #[test]
    fn reads_only_what_is_asked_for_and_the_last_of_two() {
        let mut settings = Settings::default();
        let text = "# a=1\nnifi.security.keystorePasswd=hunter2\na=1\na = 2\nb==3\nnetwork.host: 0.0.0.0\n";
        settings.add_file("/c", text, &|name| ["a", "b", "network.host"].contains(&name));
        assert_eq!(settings.first(&["a"]).unwrap().value, "2");
        assert_eq!(settings.first(&["b"]).unwrap().value, "=3");
        assert_eq!(settings.first(&["network.host"]).unwrap().value, "0.0.0.0");
        assert!(!format!("{settings:?}").contains("hunter2"));
        settings.add_file("/etc/redis.conf", "a 127.0.0.1 -::1\n", &|name| name == "a");
        assert_eq!(settings.first(&["a"]).unwrap().value, "127.0.0.1 -::1");
        settings.add_file("/data/myid", "7\n", &|name| name == "myid");
        assert_eq!(settings.first(&["myid"]).unwrap().value, "7");
    }
}
