//! The report as JUnit's XML: a suite for each category, a case for each check.

use super::text::markup;
use super::{Format, finding};
use crate::exit::FailOn;
use crate::judge::{Diagnosis, Status, Verdict};
use checks::Finding;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::time::Duration;

/// The report for what shows test results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Junit {
    /// The minimum severity that is a failure.
    pub fail_on: FailOn,
}

/// How a case ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Passed,
    Failed,
    Broken,
    Skipped,
}

impl Format for Junit {
    fn render(&self, diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
        let mut suites: Vec<(&str, Vec<&Verdict>)> = Vec::new();
        for verdict in &diagnosis.verdicts {
            let category = category(&verdict.check);
            match suites.iter_mut().find(|(name, _)| *name == category) {
                Some((_, verdicts)) => verdicts.push(verdict),
                None => suites.push((category, vec![verdict])),
            }
        }
        let all: Vec<&Verdict> = diagnosis.verdicts.iter().collect();
        writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
        writeln!(out, r#"<testsuites name="swarm-doctor"{}>"#, self.counts(&all))?;
        for (id, (name, verdicts)) in suites.iter().enumerate() {
            self.suite(diagnosis, id, name, verdicts, out)?;
        }
        writeln!(out, "</testsuites>")
    }
}

impl Junit {
    fn suite(
        &self,
        diagnosis: &Diagnosis,
        id: usize,
        name: &str,
        verdicts: &[&Verdict],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let header = &diagnosis.header;
        let skipped = verdicts.iter().filter(|verdict| self.end(verdict) == End::Skipped).count();
        writeln!(
            out,
            r#"  <testsuite name="{}" id="{id}" package="swarm-doctor"{} skipped="{skipped}" timestamp="{}" hostname="{}">"#,
            markup(name),
            self.counts(verdicts),
            header.taken.strftime("%Y-%m-%dT%H:%M:%S"),
            markup(header.host.as_str()),
        )?;
        writeln!(out, "    <properties>")?;
        let properties = [
            ("swarm-doctor", Some(env!("CARGO_PKG_VERSION"))),
            ("engine", header.engine.as_deref()),
            ("role", Some(&*header.role)),
            ("node", header.node_id.as_deref()),
            ("cluster", header.cluster_id.as_deref()),
            ("kernel", Some(&*header.kernel)),
        ];
        for (name, value) in properties.iter().filter_map(|(name, value)| Some((name, (*value)?))) {
            writeln!(out, r#"      <property name="{name}" value="{}"/>"#, markup(value))?;
        }
        writeln!(out, "    </properties>")?;
        for verdict in verdicts {
            self.case(diagnosis, verdict, out)?;
        }
        writeln!(out, "  </testsuite>")
    }

    fn case(&self, diagnosis: &Diagnosis, verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
        let found: Vec<&Finding> =
            diagnosis.all_findings().filter(|finding| finding.check == verdict.check).collect();
        let end = self.end(verdict);
        let (name, class) = (markup(&verdict.check), markup(category(&verdict.check)));
        write!(
            out,
            r#"    <testcase name="{name}" classname="swarm-doctor.{class}" time="{}""#,
            seconds(verdict.took)
        )?;
        if end == End::Passed && found.is_empty() {
            return writeln!(out, "/>");
        }
        writeln!(out, ">")?;
        let reasons: BTreeSet<String> =
            verdict.unknown.iter().map(|(_, gap)| format!("{} ({})", gap.why, gap.source.origin)).collect();
        let ignored = diagnosis.ignored.iter().filter(|ignored| ignored.finding.check == verdict.check);
        let ignored = ignored.map(|ignored| format!("ignored: {}", ignored.excuse.reason));
        let reasons = ignored.chain(reasons).collect::<Vec<_>>().join("; ");
        match end {
            End::Skipped => writeln!(out, "      <skipped>{}</skipped>", markup(&reasons))?,
            End::Broken => {
                let reasons = markup(&reasons);
                writeln!(out, r#"      <error type="unknown" message="{reasons}">{reasons}</error>"#)?;
            }
            End::Failed => {
                let first = found.first().map(|first| format!("{}: {}", first.subject, first.summary));
                writeln!(
                    out,
                    r#"      <failure type="{}" message="{}">{}</failure>"#,
                    verdict.status.as_str(),
                    markup(&first.unwrap_or_default()),
                    described(diagnosis, &found)?,
                )?;
            }
            End::Passed => writeln!(out, "      <system-out>{}</system-out>", described(diagnosis, &found)?)?,
        }
        writeln!(out, "    </testcase>")
    }

    fn end(&self, verdict: &Verdict) -> End {
        match verdict.status {
            Status::Error if self.fail_on != FailOn::Never => End::Failed,
            Status::Warning if self.fail_on == FailOn::Warning => End::Failed,
            Status::Unknown => End::Broken,
            Status::Skipped | Status::Ignored => End::Skipped,
            Status::Healthy | Status::Info | Status::Warning | Status::Error => End::Passed,
        }
    }

    fn counts(&self, verdicts: &[&Verdict]) -> String {
        let of = |end: End| verdicts.iter().filter(|verdict| self.end(verdict) == end).count();
        let (failures, errors) = (of(End::Failed), of(End::Broken));
        let took = verdicts.iter().map(|verdict| verdict.took).sum();
        format!(
            r#" tests="{}" failures="{failures}" errors="{errors}" time="{}""#,
            verdicts.len(),
            seconds(took)
        )
    }
}

/// The findings of a check in full.
fn described(diagnosis: &Diagnosis, found: &[&Finding]) -> io::Result<String> {
    let mut text = String::new();
    for one in found {
        let cause = diagnosis.findings.iter().find(|cause| std::ptr::eq(&cause.finding, *one));
        let lines = match cause {
            Some(cause) => finding::plain(cause, diagnosis.header.taken)?,
            None => {
                let of =
                    diagnosis.findings.iter().find(|c| c.consequences.iter().any(|f| std::ptr::eq(f, *one)));
                let of = of.map(|cause| format!(" ({})", finding::caused_by(cause)));
                vec![format!("{}: {}{}", one.subject, one.summary, of.unwrap_or_default())]
            }
        };
        for line in lines {
            text.push_str(&markup(&line));
            text.push('\n');
        }
    }
    Ok(text)
}

fn seconds(took: Duration) -> String {
    format!("{:.6}", took.as_secs_f64())
}

fn category(check: &str) -> &str {
    check.split_once('/').map_or(check, |(category, _)| category)
}
