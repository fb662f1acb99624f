use super::*;
use clap::CommandFactory as _;

fn parsed(words: &[&str]) -> Result<Command, String> {
    let words = std::iter::once("swarm-doctor").chain(words.iter().copied()).map(Into::into);
    Cli::try_parse_from(ordered(words)).map(|cli| cli.command).map_err(|error| error.to_string())
}

fn built(width: usize) -> clap::Command {
    let mut cli = Cli::command().term_width(width);
    cli.build();
    cli
}

#[test]
fn help_fits_a_page_of_80_columns() {
    let mut cli = built(80);
    let names: Vec<String> = cli.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    let mut pages = vec![cli.render_long_help().to_string()];
    for name in names {
        let command = cli.find_subcommand_mut(&name).unwrap();
        pages.extend([command.render_help().to_string(), command.render_long_help().to_string()]);
    }
    for line in pages.iter().flat_map(|page| page.lines()) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn the_short_help_of_run_fits_two_screens() {
    let help = built(100).find_subcommand_mut("run").unwrap().render_help().to_string();
    assert!(help.lines().count() <= 60, "{} lines\n{help}", help.lines().count());
}

#[test]
fn the_first_line_of_each_help_text_is_a_fragment_of_60_characters() {
    let cli = built(100);
    let commands: Vec<&clap::Command> =
        cli.get_subcommands().filter(|command| command.get_name() != "help").collect();
    let about = commands.iter().filter_map(|command| Some(command.get_about()?.to_string()));
    let options = commands.iter().flat_map(|command| command.get_arguments());
    let help = options.filter_map(|arg| Some(arg.get_help()?.to_string()));
    for text in about.chain(help) {
        assert!(text.chars().count() <= 60 && !text.ends_with('.'), "{text:?}");
    }
}

#[test]
fn options_are_accepted_before_and_after_the_command() {
    for words in [["--root", "/mnt", "run"], ["run", "--root", "/mnt"]] {
        let Ok(Command::Run(chosen)) = parsed(&words) else { panic!("{words:?}") };
        assert_eq!(chosen.run.source.root, PathBuf::from("/mnt"));
    }
    assert!(matches!(parsed(&[]), Ok(Command::Run(_))));
    assert!(matches!(parsed(&["check", "dns"]), Ok(Command::Run(chosen)) if chosen.checks == ["dns"]));
    assert!(parsed(&["--root", "/mnt", "list"]).unwrap_err().contains("'--root'"));
}

#[test]
fn a_preflight_is_for_a_join_or_for_a_stack_and_offers_nothing_else() {
    assert!(parsed(&["preflight"]).unwrap_err().contains("--join"));
    assert!(parsed(&["preflight", "--join", "m1"]).is_ok());
    assert!(parsed(&["preflight", "--stack", "a.yml", "--stack-name", "a"]).is_ok());
    for words in [
        &["preflight", "--join", "m1", "--stack", "a.yml"][..],
        &["preflight", "--stack", "a.yml", "--token", "x"],
        &["preflight", "--join", "m1", "--fix"],
        &["preflight", "--join", "m1", "--bundle", "x"],
    ] {
        assert!(parsed(words).is_err(), "{words:?}");
    }
}
