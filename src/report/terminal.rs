//! What the terminal can show.

use crate::cli::When;
use std::env;
use std::ffi::OsStr;
use std::io::{self, IsTerminal};

/// The width where nothing tells another.
const WIDTH: u16 = 80;

/// What standard output can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// How many columns it has.
    pub width: u16,
    /// Whether to use colour.
    pub color: bool,
    /// Whether nothing but ASCII may be written.
    pub ascii: bool,
}

impl Terminal {
    /// What standard output can show, by the environment and the flag.
    pub fn stdout(when: When) -> Self {
        let terminal = io::stdout().is_terminal();
        let size = terminal.then(terminal_size::terminal_size).flatten().map(|(width, _)| width.0);
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].map(|name| env::var(name).unwrap_or_default());
        Self {
            width: width(env::var("COLUMNS").ok().as_deref(), size),
            color: color_wanted(when, terminal, env::var_os("NO_COLOR").as_deref()),
            ascii: ascii_wanted(locale.each_ref().map(String::as_str)),
        }
    }
}

/// Whether to use colour. `NO_COLOR` counts where it is set to something (no-color.org), and what is asked
/// for on the command line counts more.
pub fn color_wanted(when: When, terminal: bool, no_color: Option<&OsStr>) -> bool {
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto => terminal && no_color.is_none_or(OsStr::is_empty),
    }
}

/// The width of the page: what `COLUMNS` says, else the terminal, else 80.
pub fn width(columns: Option<&str>, terminal: Option<u16>) -> u16 {
    let said = columns.and_then(|columns| columns.trim().parse().ok());
    said.or(terminal).filter(|width| *width > 0).unwrap_or(WIDTH)
}

/// Whether the locale (`LC_ALL`, `LC_CTYPE`, `LANG`, of which the first that is set counts) is not UTF-8.
pub fn ascii_wanted(locale: [&str; 3]) -> bool {
    let set = locale.into_iter().find(|value| !value.is_empty()).unwrap_or_default().to_ascii_lowercase();
    !(set.contains("utf-8") || set.contains("utf8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_follows_the_flag_then_no_color_then_the_terminal() {
        let set = Some(OsStr::new("1"));
        assert!(color_wanted(When::Always, false, set));
        assert!(!color_wanted(When::Never, true, None));
        assert!(color_wanted(When::Auto, true, None));
        assert!(color_wanted(When::Auto, true, Some(OsStr::new(""))));
        assert!(!color_wanted(When::Auto, true, set));
        assert!(!color_wanted(When::Auto, false, None));
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
