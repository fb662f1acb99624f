//! Commands that describe the program: list, explain, init, man.

use super::{log_line, print};
use crate::cli::{Cli, When};
use crate::error::{ExpectedError, notice};
use crate::exit::ExitCode;
use crate::report::{self, Terminal};
use crate::rules::Catalogue;
use crate::{check_id, pager, policy};
use clap::CommandFactory as _;
use std::path::{Path, PathBuf};

pub(super) fn list(verbose: bool, json: bool, folders: &[PathBuf]) -> Result<ExitCode, ExpectedError> {
    let terminal = Terminal::stdout(When::Auto);
    let catalogue = loaded(folders)?;
    let mut checks = catalogue.metas();
    print(|out| {
        if json {
            report::list_json(&mut checks, out)
        } else {
            report::list(&mut checks, verbose, terminal.width, out)
        }
    })
}

pub(super) fn explain(text: &str, folders: &[PathBuf]) -> Result<ExitCode, ExpectedError> {
    let found = check_id::find(text, &loaded(folders)?).map_err(ExpectedError::usage)?;
    found.notice().iter().for_each(|text| notice(text));
    let mut text = Vec::new();
    let shown = report::explain(found.meta, Terminal::stdout(When::Auto), &mut text)
        .and_then(|()| pager::show(&text));
    print(|_| shown)
}

/// Names the checks that know a line of a log.
pub(super) fn explain_log(line: &str) -> Result<ExitCode, ExpectedError> {
    let found = log_line::findings(line)?;
    print(|out| {
        if found.is_empty() {
            return writeln!(
                out,
                "No check reports this line by itself. run lists errors like it under engine/unexplained-errors."
            );
        }
        writeln!(out, "With this line in the log of a healthy node, run reports:")?;
        for finding in &found {
            writeln!(out, "{} ({})", finding.check, finding.severity.as_str())?;
            writeln!(out, "  {}", report::Printable::new(&finding.summary))?;
        }
        writeln!(out, "More: swarm-doctor explain {}", found[0].check)
    })
}

/// All checks; what is wrong with a rule goes to standard error.
fn loaded(folders: &[PathBuf]) -> Result<Catalogue, ExpectedError> {
    let catalogue = Catalogue::load(folders)?;
    catalogue.faults.iter().for_each(|fault| notice(&fault.to_string()));
    Ok(catalogue)
}

pub(super) fn init(path: &Path, force: bool) -> Result<ExitCode, ExpectedError> {
    policy::init(path, force)?;
    let usage = if path == Path::new(policy::DEFAULT) {
        "every run reads it".to_owned()
    } else {
        format!("use it with --config {}", path.display())
    };
    print(|out| writeln!(out, "{}", report::Printable::new(&format!("Wrote {}; {usage}.", path.display()))))
}

pub(super) fn man(of: Option<&str>) -> Result<ExitCode, ExpectedError> {
    let mut all = Cli::command();
    all.build();
    let page = match of {
        None => Some(all),
        Some(name) => all.find_subcommand(name).cloned(),
    };
    let page = page.ok_or_else(|| {
        let name = of.unwrap_or_default();
        ExpectedError::usage(format!("there is no command {name:?}; swarm-doctor --help lists them"))
    })?;
    print(|out| clap_mangen::Man::new(page).render(&mut &mut *out))
}
