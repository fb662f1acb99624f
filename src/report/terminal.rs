//! What the terminal can show.

use clap::ValueEnum;
use std::env;
use std::io::{self, IsTerminal};

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless NO_COLOR is set or TERM is dumb
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The width where the environment names none.
const WIDTH: u16 = 80;

/// Terminals that follow OSC 8 links, by `TERM_PROGRAM`.
const LINKING: [&str; 6] = ["iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper", "Tabby"];

/// What standard output can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// How many columns it has.
    pub width: u16,
    /// Whether to use colour.
    pub color: bool,
    /// Whether it follows OSC 8 links.
    pub links: bool,
    /// Whether nothing but ASCII may be written.
    pub ascii: bool,
}

impl Terminal {
    /// A file.
    pub const PLAIN: Self = Self { width: WIDTH, color: false, links: false, ascii: false };

    /// What standard output can show, by the environment and the option.
    pub fn stdout(when: When) -> Self {
        let terminal = io::stdout().is_terminal();
        let size = terminal.then(terminal_size::terminal_size).flatten().map(|(width, _)| width.0);
        let set = |name: &str| env::var(name).unwrap_or_default();
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].map(set);
        let color = color_wanted(when, terminal, &set);
        Self {
            width: width(env::var("COLUMNS").ok().as_deref(), size),
            color,
            links: color && terminal && follows_links(&set),
            ascii: ascii_wanted(locale.each_ref().map(String::as_str)),
        }
    }
}

/// Whether to use colour: by the option, then `NO_COLOR` (no-color.org), then `CLICOLOR_FORCE` and `FORCE_COLOR`, then
/// whether standard output is a terminal that can. An empty variable counts as unset, and `0` does not force.
pub fn color_wanted(when: When, terminal: bool, set: &dyn Fn(&str) -> String) -> bool {
    let forced = |name: &str| !matches!(set(name).as_str(), "" | "0" | "false");
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto if !set("NO_COLOR").is_empty() => false,
        When::Auto if forced("CLICOLOR_FORCE") || forced("FORCE_COLOR") => true,
        When::Auto => terminal && set("TERM") != "dumb" && set("CLICOLOR") != "0",
    }
}

/// Whether the terminal is one that follows OSC 8 links. Others may print the escape.
fn follows_links(set: &dyn Fn(&str) -> String) -> bool {
    LINKING.contains(&set("TERM_PROGRAM").as_str())
        || set("VTE_VERSION").parse().is_ok_and(|version: u32| version >= 5000)
        || set("KONSOLE_VERSION").parse().is_ok_and(|version: u32| version >= 201_200)
        || !set("WT_SESSION").is_empty()
        || matches!(set("TERM").as_str(), "xterm-kitty" | "xterm-ghostty" | "foot" | "alacritty")
}

/// The width of the page: what `COLUMNS` says, else the terminal, else 80.
pub fn width(columns: Option<&str>, terminal: Option<u16>) -> u16 {
    let columns = columns.and_then(|columns| columns.trim().parse().ok());
    columns.or(terminal).filter(|width| *width > 0).unwrap_or(WIDTH)
}

/// Whether the locale (`LC_ALL`, `LC_CTYPE`, `LANG`, of which the first that is set counts) is not UTF-8.
pub fn ascii_wanted(locale: [&str; 3]) -> bool {
    let set = locale.into_iter().find(|value| !value.is_empty()).unwrap_or_default().to_ascii_lowercase();
    !(set.contains("utf-8") || set.contains("utf8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(when: When, terminal: bool, variables: &[(&str, &str)]) -> bool {
        let set = |name: &str| {
            let mut found = variables.iter().filter(|(other, _)| *other == name);
            found.next().map(|(_, value)| (*value).to_owned()).unwrap_or_default()
        };
        color_wanted(when, terminal, &set)
    }

    #[test]
    fn colour_follows_the_option_then_the_environment_then_the_terminal() {
        let none = [("NO_COLOR", "1")];
        assert!(wanted(When::Always, false, &none));
        assert!(!wanted(When::Never, true, &[("CLICOLOR_FORCE", "1")]));
        assert!(wanted(When::Auto, true, &[]));
        assert!(wanted(When::Auto, true, &[("NO_COLOR", "")]));
        assert!(!wanted(When::Auto, true, &none));
        assert!(!wanted(When::Auto, false, &[]));
        for name in ["CLICOLOR_FORCE", "FORCE_COLOR"] {
            assert!(wanted(When::Auto, false, &[(name, "1")]));
            assert!(!wanted(When::Auto, false, &[(name, "0")]));
            assert!(!wanted(When::Auto, true, &[(name, "1"), ("NO_COLOR", "1")]));
        }
        assert!(!wanted(When::Auto, true, &[("TERM", "dumb")]));
        assert!(wanted(When::Auto, true, &[("TERM", "dumb"), ("FORCE_COLOR", "1")]));
    }

    #[test]
    fn the_width_follows_columns_then_the_terminal() {
        assert_eq!(width(Some("100"), Some(120)), 100);
        assert_eq!(width(Some("wide"), Some(120)), 120);
        assert_eq!(width(Some("0"), None), 80);
        assert_eq!(width(None, None), 80);
    }

    #[test]
    fn only_a_utf_8_locale_gets_more_than_ascii() {
        assert!(!ascii_wanted(["", "", "en_GB.UTF-8"]));
        assert!(!ascii_wanted(["", "C.utf8", "C"]));
        assert!(ascii_wanted(["C", "", "en_GB.UTF-8"]));
        assert!(ascii_wanted(["", "", ""]));
    }
}
