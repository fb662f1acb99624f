//! What a program was told, wherever it was told it: by its environment, its arguments or its files.

use super::nested;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a program was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The settings that bear on addresses, in the order in which they stand.
    pub said: Vec<Said>,
    /// The files that were read.
    pub files: Vec<String>,
}

/// One setting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Where it was said.
    pub origin: Origin,
}

/// Where something was said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Origin {
    /// In the environment.
    #[default]
    Environment,
    /// In a variable that holds other settings, such as `JAVA_OPTS` or a piece of JSON.
    Within {
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
    /// Nowhere: it is what the program takes on its own.
    Unsaid,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value) = (&self.name, &self.value);
        match &self.origin {
            Origin::Environment => write!(f, "{name}={value}"),
            Origin::Within { variable } => write!(f, "{name}={value} in {variable}"),
            Origin::Argument => write!(f, "--{name}={value}"),
            Origin::File { path, line } => write!(f, "{name}={value} on line {line} of {path}"),
            Origin::Unsaid => write!(f, "{name} is not set"),
        }
    }
}

impl Settings {
    /// What an environment and a command line say under the names that are asked for.
    pub fn told<'a>(
        env: impl IntoIterator<Item = (&'a str, &'a str)>,
        args: &[String],
        wanted: &dyn Fn(&str) -> bool,
    ) -> Self {
        let mut said = Vec::new();
        let mut push = |name: &str, value: &str, origin: Origin| {
            if wanted(name) {
                said.push(Said { name: name.to_owned(), value: value.to_owned(), origin });
            }
        };
        for (variable, value) in env {
            push(variable, value, Origin::Environment);
            let within = || Origin::Within { variable: variable.to_owned() };
            for (name, value) in options(value) {
                push(name, value, within());
            }
            for (name, value) in nested::json(value) {
                push(&name, &value, within());
            }
        }
        for (name, value) in options(&args.join(" ")) {
            push(name, value, Origin::Argument);
        }
        Self { said, files: Vec::new() }
    }

    /// Adds what a file says under the names that are asked for: lines of `name=value`, `name: value` or `name value`,
    /// or the leaves of JSON, YAML and XML.
    pub fn add_file(&mut self, path: &str, text: &str, wanted: &dyn Fn(&str) -> bool) {
        self.files.push(path.to_owned());
        let extension = path.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default();
        let found = match extension {
            "json" => nested::json_lines(text),
            "yml" | "yaml" => nested::yaml(text),
            "xml" => nested::xml(text),
            _ => Vec::new(),
        };
        for nested::Line { line, path: names, value } in found {
            // The whole path where it is asked for, as Elasticsearch's, else its end.
            let whole = names.join(".");
            let name = names.last().filter(|_| !wanted(&whole)).cloned().unwrap_or(whole);
            if wanted(&name) {
                let origin = Origin::File { path: path.to_owned(), line };
                self.said.push(Said { name, value, origin });
            }
        }
        if matches!(extension, "json" | "yml" | "yaml" | "xml") {
            return;
        }
        // A file that holds one value alone, such as ZooKeeper's `myid`, is named after itself.
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
                self.said.push(Said { name: name.to_owned(), value, origin });
            }
        }
    }

    /// The first of these names that is said, be it blank; of a name said twice the last one counts.
    pub fn first(&self, names: &[&str]) -> Option<&Said> {
        names.iter().find_map(|name| self.said.iter().rev().find(|said| said.name == *name))
    }

    /// The first of these names that has a value.
    pub fn value(&self, names: &[&str]) -> Option<&Said> {
        names.iter().find_map(|name| self.first(&[name]).filter(|said| !said.value.is_empty()))
    }

    /// The port that the first of these names gives.
    pub fn port(&self, names: &[&str]) -> Option<u16> {
        self.value(names)?.value.parse().ok()
    }

    /// Whether the first of these names is said to be true.
    pub fn is_true(&self, names: &[&str]) -> bool {
        self.first(names).is_some_and(|said| said.value.eq_ignore_ascii_case("true"))
    }

    /// What is said under names that begin so.
    pub fn beginning<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Said)> {
        self.said.iter().filter_map(move |said| Some((said.name.strip_prefix(prefix)?, said)))
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
