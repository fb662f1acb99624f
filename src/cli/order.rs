//! Options before the command. The parser knows the options of a command only behind its name.

use super::Cli;
use clap::{Arg, CommandFactory as _};
use std::ffi::OsString;

/// The words of a command line with the options that stand before the command moved behind it. Without a command it is
/// `run`.
pub fn ordered(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut words: Vec<OsString> = words.into_iter().collect();
    let cli = Cli::command();
    let known: Vec<&Arg> = cli.get_subcommands().flat_map(clap::Command::get_arguments).collect();
    let mut command = 1;
    while let Some(word) = words.get(command) {
        match word.to_str() {
            Some("-h" | "--help" | "-V" | "--version") if command == 1 => return words,
            Some(option) if option.len() > 1 && option.starts_with('-') && option != "--" => {
                command += 1 + usize::from(takes_next(&known, option));
            }
            _ => break,
        }
    }
    let command = command.min(words.len());
    if words.len() == command {
        words.insert(1.min(words.len()), "run".into());
    } else {
        let name = words.remove(command);
        words.insert(1, name);
    }
    words
}

/// Whether an option takes the next word as its value.
fn takes_next(known: &[&Arg], option: &str) -> bool {
    let valued = |arg: &&Arg| {
        let optional = arg.get_num_args().is_some_and(|number| number.min_values() == 0);
        arg.get_action().takes_values() && !optional
    };
    if let Some(long) = option.strip_prefix("--") {
        return known.iter().any(|arg| arg.get_long() == Some(long) && valued(arg));
    }
    // Of several letters in one word, the first that takes a value takes the rest of the word, if there is any.
    let letters = option.trim_start_matches('-');
    let mut letters =
        letters.char_indices().map(|(at, letter)| (letters.len() == at + letter.len_utf8(), letter));
    let first =
        letters.find(|(_, letter)| known.iter().any(|arg| arg.get_short() == Some(*letter) && valued(arg)));
    first.is_some_and(|(last, _)| last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &str) -> String {
        let words = words.split(' ').map(OsString::from);
        let ordered: Vec<String> =
            ordered(words).into_iter().map(|word| word.into_string().unwrap()).collect();
        ordered.join(" ")
    }

    #[test]
    fn options_before_the_command_go_behind_it() {
        for (typed, parsed) in [
            ("sd", "sd run"),
            ("sd run dns", "sd run dns"),
            ("sd --root /mnt run", "sd run --root /mnt"),
            ("sd --root=/mnt run dns", "sd run --root=/mnt dns"),
            ("sd -o json", "sd run -o json"),
            ("sd -ojson -q demo", "sd demo -ojson -q"),
            ("sd -qo json demo", "sd demo -qo json"),
            ("sd --fix --yes", "sd run --fix --yes"),
            ("sd -v explain dns", "sd explain -v dns"),
            ("sd --help", "sd --help"),
            ("sd --root /mnt", "sd run --root /mnt"),
            ("sd --root", "sd run --root"),
            ("sd lst", "sd lst"),
        ] {
            assert_eq!(line(typed), parsed);
        }
    }
}
