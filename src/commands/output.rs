//! Writing the reports of one run: the one on standard output, and those in files.

use crate::atomic_file;
use crate::cli::{self, Output};
use crate::error::ExpectedError;
use crate::exit::ExitCode;
use crate::fix::Plan;
use crate::judge::Diagnosis;
use crate::policy::Policy;
use crate::report::{
    Format, Github, Here, Html, Human, Json, JsonLines, Junit, Markdown, Nagios, Page, Prometheus, Sarif,
    Short, Terminal,
};
use std::io::{self, Write};
use std::time::Instant;

impl Output {
    /// Writes the report to standard output and every report that goes into a file. A report that cannot be written does
    /// not stop the others. `live` where the facts were collected on this host, now.
    pub fn write(
        &self,
        diagnosis: &Diagnosis,
        policy: &Policy,
        live: bool,
        began: Instant,
        out: &mut dyn Write,
    ) -> Result<(), ExpectedError> {
        let host = &diagnosis.header.host;
        let fixable = || Plan::all(diagnosis, host).iter().any(|plan| !plan.here.is_empty());
        let page = Page { here: live.then(|| Here { fixable: fixable() }), ..self.page(began) };
        let shown = self.writer(self.format, page, policy).render(diagnosis, out).and_then(|()| out.flush());
        let mut failed = Vec::new();
        match shown {
            // A reader that has read enough, such as `head`, is no error.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                failed.push(format!("cannot write the report: {error}"));
            }
            _ => {}
        }
        failed.extend(self.save(diagnosis, policy).err());
        if failed.is_empty() { Ok(()) } else { Err(ExpectedError::usage(failed.join("; "))) }
    }

    /// Writes the reports that go into files.
    pub fn save(&self, diagnosis: &Diagnosis, policy: &Policy) -> Result<(), String> {
        let page = Page { verbose: self.verbose, ..Page::PLAIN };
        let mut failed = Vec::new();
        for wanted in &self.reports {
            let format = self.writer(wanted.format, page, policy);
            if let Err(error) = atomic_file::write(&wanted.path, |out| format.render(diagnosis, out)) {
                failed.push(format!("cannot write the report {}: {error}", wanted.path.display()));
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
    }

    /// The exit code.
    pub fn exit(&self, diagnosis: &Diagnosis, policy: &Policy) -> ExitCode {
        let plugin = self.format == cli::Format::Nagios;
        let fail_on = if plugin { policy.fail_on.of_plugin() } else { policy.fail_on };
        ExitCode::of(diagnosis, fail_on, policy.allow_unknown)
    }

    fn page(&self, began: Instant) -> Page {
        let elapsed_ms = u64::try_from(began.elapsed().as_millis()).ok();
        Page {
            verbose: self.verbose,
            quiet: self.quiet,
            terminal: Terminal::stdout(self.color),
            elapsed_ms,
            here: None,
        }
    }

    /// The writer of a format.
    pub fn writer(&self, format: cli::Format, page: Page, policy: &Policy) -> Box<dyn Format> {
        match format {
            cli::Format::Human => Box::new(Human { page }),
            cli::Format::Short => Box::new(Short { page }),
            cli::Format::Json | cli::Format::JsonV1 => Box::new(Json),
            cli::Format::Jsonl => Box::new(JsonLines),
            cli::Format::Junit => Box::new(Junit { fail_on: policy.fail_on }),
            cli::Format::Sarif => Box::new(Sarif),
            cli::Format::Prometheus => Box::new(Prometheus),
            cli::Format::Nagios => {
                Box::new(Nagios { fail_on: policy.fail_on, allow_unknown: policy.allow_unknown })
            }
            cli::Format::Github => Box::new(Github),
            cli::Format::Markdown => Box::new(Markdown),
            cli::Format::Html => Box::new(Html::default()),
        }
    }
}
