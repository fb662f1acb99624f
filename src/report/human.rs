//! The report for people, in the order of reading: where and when, the verdict, the findings, the other nodes, what
//! could not be checked, and last, where a terminal ends, what to do.

use super::headline::{Headline, headline};
use super::text::{count, utc};
use super::writer::{Indent, ReportWriter, Span, Style, Symbol};
use super::{Detail, Format, Page, finding, grouping, ignored, peers, remedy, summary, verdicts};
use crate::judge::{Cause, Diagnosis, Header};
use std::io::{self, Write};

/// How many of the nodes that are judged together are named.
const NAMED: usize = 12;

/// The report for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Human {
    /// What it is written on.
    pub page: Page,
}

impl Format for Human {
    fn render(&self, diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
        let Page { verbose, quiet, terminal, .. } = self.page;
        let mut writer = ReportWriter::new(out, terminal);
        if quiet {
            return quietly(&mut writer, diagnosis, &self.page);
        }
        head(&mut writer, &diagnosis.header)?;
        members(&mut writer, diagnosis)?;
        not_examined(&mut writer, diagnosis)?;
        writer.blank()?;
        verdict(&mut writer, diagnosis)?;
        let detail = Detail { verbose, taken: diagnosis.header.taken };
        for (at, group) in grouping::grouped(&diagnosis.findings).enumerate() {
            causes(&mut writer, at + 1, group, detail)?;
        }
        peers::write(&mut writer, &diagnosis.header, verbose)?;
        verdicts::unknown(&mut writer, diagnosis, verbose)?;
        if verbose {
            verdicts::quiet(&mut writer, diagnosis)?;
        }
        ignored::write(&mut writer, diagnosis)?;
        if !diagnosis.next.is_empty() {
            writer.blank()?;
            writer.flow(Indent(0, 2), &[Span::new(Style::Bold, "No obstacle found. Next:")])?;
            remedy::steps(&mut writer, 0, &diagnosis.next)?;
        }
        writer.blank()?;
        summary::write(&mut writer, diagnosis, &self.page)
    }
}

/// The verdict and the last lines; nothing where nothing was found and nothing is incomplete.
fn quietly(writer: &mut ReportWriter<'_>, diagnosis: &Diagnosis, page: &Page) -> io::Result<()> {
    if diagnosis.findings.is_empty() && diagnosis.open().next().is_none() {
        return Ok(());
    }
    not_examined(writer, diagnosis)?;
    verdict(writer, diagnosis)?;
    summary::write(writer, diagnosis, page)
}

/// A root cause, and on which other nodes it is the same; with `-v` each of them in full, under the same number.
fn causes(writer: &mut ReportWriter<'_>, number: usize, group: &[Cause], detail: Detail) -> io::Result<()> {
    let shown = if detail.verbose { group } else { group.get(..1).unwrap_or_default() };
    for (at, cause) in shown.iter().enumerate() {
        let number = if shown.len() > 1 { format!("{number}.{} ", at + 1) } else { format!("{number} ") };
        writer.blank()?;
        finding::write(writer, &number, cause, detail)?;
    }
    if let Some(others) = grouping::elsewhere(group, " (-v shows all)").filter(|_| !detail.verbose) {
        writer.blank()?;
        writer.flow(Indent(2, 4), &[Span::new(Style::Bold, others)])?;
    }
    Ok(())
}

/// Which nodes were judged together.
fn members(writer: &mut ReportWriter<'_>, diagnosis: &Diagnosis) -> io::Result<()> {
    let members = &diagnosis.header.members;
    if members.is_empty() {
        return Ok(());
    }
    let mut named: Vec<_> = members.iter().take(NAMED).map(ToString::to_string).collect();
    if let more @ 1.. = members.len().saturating_sub(NAMED) {
        named.push(format!("{more} more"));
    }
    let text = format!("{} judged as one swarm: {}", count(members.len(), "node"), named.join(", "));
    writer.flow(Indent(0, 2), &[Span::plain(text)])
}

/// Which nodes were not examined, and why.
fn not_examined(writer: &mut ReportWriter<'_>, diagnosis: &Diagnosis) -> io::Result<()> {
    let missing: Vec<_> = diagnosis.not_examined().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let lead = Span::new(Style::Bold, "Not examined:");
    writer.flow(Indent(0, 2), &[lead])?;
    for (subject, gap) in missing.iter().take(NAMED) {
        let symbol = Span::new(Style::Yellow, format!("{} ", writer.symbol(Symbol::Unknown)));
        let text = Span::plain(format!("{subject}: {}", gap.why));
        let origin = Span::new(Style::Faint, format!(" ({})", gap.source.origin));
        writer.flow(Indent(2, 4), &[symbol, text, origin])?;
    }
    match missing.len().saturating_sub(NAMED) {
        0 => Ok(()),
        more => writer.flow(Indent(2, 4), &[Span::plain(format!("and {more} more"))]),
    }
}

/// Where, when and on what, in lines to be pasted into a chat.
fn head(writer: &mut ReportWriter<'_>, header: &Header) -> io::Result<()> {
    let engine = match (&header.engine, &header.api) {
        (Some(engine), Some(api)) => format!("engine {engine} (API {api})"),
        (Some(engine), None) => format!("engine {engine}"),
        (None, _) => "engine unknown".to_owned(),
    };
    let role = if header.role == "unknown" { "role unknown".to_owned() } else { header.role.clone() };
    let tool = concat!("swarm-doctor ", env!("CARGO_PKG_VERSION")).to_owned();
    let named = |name: &str, value: Option<&str>| {
        value.filter(|v| !v.is_empty()).map(|value| format!("{name}{value}"))
    };
    let lines = [
        vec![Some(tool), Some(header.host.to_string()), Some(role), Some(engine)],
        vec![named("node ", header.node_id.as_deref()), named("cluster ", header.cluster_id.as_deref())],
        vec![
            named("advertises ", header.node_addr.as_deref()),
            named("", Some(&header.os)),
            named("kernel ", Some(&header.kernel)),
        ],
        vec![
            Some(format!("taken {}", utc(header.taken))),
            header.unprivileged.then(|| "not root: facts that need root are missing".to_owned()),
        ],
    ];
    for line in lines {
        let items: Vec<Span<'_>> = line.into_iter().flatten().map(Span::plain).collect();
        writer.items(Indent(0, 2), items)?;
    }
    Ok(())
}

fn verdict(writer: &mut ReportWriter<'_>, diagnosis: &Diagnosis) -> io::Result<()> {
    let Headline { style, symbol, verdict, rest } = headline(diagnosis);
    let verdict = Span::solid(style, format!("{} {verdict}", writer.symbol(symbol)));
    writer.flow(Indent(0, 2), &[verdict, Span::plain(rest)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::text::columns;
    use crate::report::{Here, Terminal, explain, list, sample};

    const PLAIN: Page = Page { elapsed_ms: Some(84), ..Page::PLAIN };

    fn wide(width: u16) -> Page {
        Page { terminal: Terminal { width, ..Terminal::PLAIN }, ..PLAIN }
    }

    const ASCII: Page = Page { terminal: Terminal { ascii: true, ..Terminal::PLAIN }, ..PLAIN };

    fn shown(page: Page, diagnosis: &Diagnosis) -> String {
        let mut out = Vec::new();
        Human { page }.render(diagnosis, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Prints what the reports look like: `cargo test looks_like_this -- --ignored --nocapture`.
    #[test]
    #[ignore = "for eyes"]
    #[expect(clippy::print_stdout, reason = "a person reads it")]
    fn looks_like_this() {
        for diagnosis in [sample::rich(), sample::healthy(), sample::warned(), sample::blind()] {
            for page in [
                PLAIN,
                wide(120),
                Page { terminal: Terminal { color: true, ..Terminal::PLAIN }, ..PLAIN },
                Page { verbose: true, ..PLAIN },
                ASCII,
            ] {
                println!("===== {page:?}\n{}", shown(page, &diagnosis));
            }
        }
        let mut out = Vec::new();
        for (width, verbose) in [(80, false), (120, true)] {
            list(&mut sample::CHECKS.iter().map(|check| &check.meta), verbose, width, &mut out).unwrap();
        }
        explain(&sample::STALE.meta, Terminal { color: true, ..Terminal::PLAIN }, &mut out).unwrap();
        println!("{}", String::from_utf8(out).unwrap());
    }

    #[test]
    fn the_head_comes_first_and_what_to_do_last() {
        let here = Some(Here { fixable: true });
        let shown = shown(Page { here, ..PLAIN }, &sample::rich());
        assert!(
            shown.starts_with(concat!(
                "swarm-doctor ",
                env!("CARGO_PKG_VERSION"),
                " · m1 · manager (leader) · engine 28.5.2 (API 1.51)\n"
            )),
            "{shown}"
        );
        let last = "\n2 errors, 7 warnings · 1 check passed, 2 incomplete, 1 skipped · 84 ms\n\
            \x20 1 ✗ m3                swarm/stale-advertise-addr  raft knows this manager as …\n\
            \x20 2 ! service …         dns/upstream-dead           10.0.0.53 has not answered …\n\
            Start with 1, on m1:  docker node demote m3\n\
            More: swarm-doctor explain swarm/stale-advertise-addr ·\n\
            \x20 Apply here: swarm-doctor run --fix\n";
        assert!(shown.ends_with(last), "{shown}");
    }

    #[test]
    fn a_quiet_report_is_the_verdict_and_the_last_lines_and_empty_where_all_passed() {
        let quiet = Page { quiet: true, ..PLAIN };
        assert_eq!(shown(quiet, &sample::healthy()), "");
        let brief = shown(quiet, &sample::rich());
        assert!(brief.starts_with("✗ Unhealthy: 2 root causes (9 findings). Fix #1 first."), "{brief}");
        assert!(brief.contains("Start with 1, on m1:") && !brief.contains("Evidence"), "{brief}");
        assert!(shown(quiet, &sample::blind()).starts_with("? Incomplete"));
    }

    #[test]
    fn every_number_of_the_report_agrees() {
        let shown = shown(PLAIN, &sample::rich());
        assert!(shown.contains("2 root causes (9 findings)"), "{shown}");
        assert!(shown.contains(" 2 checks incomplete."), "{shown}");
        assert!(shown.contains("\nIncomplete: 2 checks, because"), "{shown}");
    }

    #[test]
    fn the_cause_comes_with_evidence_remedy_and_consequences() {
        let shown = shown(PLAIN, &sample::rich());
        for part in [
            "\n1 ✗ error · swarm/stale-advertise-addr · m3 · confidence high\n",
            "\n  raft knows this manager as 192.0.2.3:2377, which no interface holds\n",
            "\n    GET /nodes: ManagerStatus.Addr 192.0.2.3:2377\n",
            "\n    netlink: no interface with 192.0.2.3\n",
            "\n  Remedy: Rejoin the manager from its present address\n    Risk: destructive. The swarm has",
            "\n    On m1:\n      1. demote the node, from a manager that answers\n",
            "\n           docker node demote m3\n    On m3:\n",
            "\n  Consequences:\n    ✗ swarm/lost-quorum · the swarm: ",
            "and 3 more findings of network/port-closed (-v shows all)",
            "! warning · dns/upstream-dead · service evil",
            "\n  confidence medium\n",
        ] {
            assert!(shown.contains(part), "{part:?} is missing in\n{shown}");
        }
    }

    #[test]
    fn no_line_but_a_command_is_wider_than_the_page() {
        for diagnosis in [sample::rich(), sample::healthy(), sample::warned(), sample::blind()] {
            let remedies = diagnosis.all_findings().filter_map(|finding| finding.remedy.as_ref());
            let commands: Vec<String> =
                remedies.flat_map(|r| &r.steps).flat_map(checks::Step::commands).collect();
            for width in [40, 80, 120] {
                for verbose in [false, true] {
                    for line in shown(Page { verbose, ..wide(width) }, &diagnosis).lines() {
                        let command = commands.iter().any(|command| command == line.trim());
                        assert!(command || columns(line) <= usize::from(width), "{line}");
                    }
                }
            }
        }
    }

    #[test]
    fn commands_stand_whole_on_lines_of_their_own() {
        let diagnosis = sample::rich();
        let shown = shown(PLAIN, &diagnosis);
        assert!(shown.lines().any(|line| line.trim() == sample::LONG_COMMAND), "{shown}");
    }

    #[test]
    fn an_ascii_terminal_gets_nothing_but_ascii() {
        for diagnosis in [sample::rich(), sample::healthy(), sample::warned(), sample::blind()] {
            for verbose in [false, true] {
                let shown = shown(Page { verbose, ..ASCII }, &diagnosis);
                assert!(shown.is_ascii(), "{shown}");
            }
        }
    }

    #[test]
    fn without_colour_there_is_no_escape() {
        for verbose in [false, true] {
            assert!(!shown(Page { verbose, ..PLAIN }, &sample::rich()).contains('\u{1b}'));
        }
    }

    #[test]
    fn hostile_names_are_shown_and_not_obeyed() {
        let shown = shown(Page { verbose: true, ..PLAIN }, &sample::rich());
        assert!(shown.contains("evil\\u{1b}]0;pwned\\u{7}\\u{202e}"), "{shown}");
        assert!(!shown.contains('\u{202e}') && !shown.contains('\u{7}'), "{shown}");
    }

    #[test]
    fn a_healthy_swarm_is_called_healthy() {
        let shown = shown(PLAIN, &sample::healthy());
        assert!(shown.contains("✓ Healthy: 2 checks passed."), "{shown}");
        assert!(shown.contains("Peers: 2 of 2 reachable on every path that was tested"), "{shown}");
        assert!(shown.lines().count() < 16, "{shown}");
    }

    #[test]
    fn warnings_alone_are_no_errors() {
        let shown = shown(PLAIN, &sample::warned());
        assert!(shown.contains("! No errors, 1 warning."), "{shown}");
    }

    #[test]
    fn what_was_not_seen_is_not_called_healthy() {
        let shown = shown(PLAIN, &sample::blind());
        assert!(
            shown
                .replace("\n  ", " ")
                .contains("? Incomplete: no problem found, but 12 of 12 checks could not run completely."),
            "{shown}"
        );
        assert!(!shown.contains("Healthy"), "{shown}");
        assert!(shown.contains("not root"), "{shown}");
        assert_eq!(shown.matches("permission denied").count(), 1, "{shown}");
    }

    #[test]
    fn of_many_peers_only_those_that_failed_are_shown() {
        let diagnosis = sample::crowd();
        let brief = shown(PLAIN, &diagnosis);
        assert!(brief.contains("Peers: 29 of 30 reachable"), "{brief}");
        assert!(brief.contains("and 29 more without a broken path"), "{brief}");
        assert!(brief.contains("10.0.1.7") && !brief.contains("10.0.1.8"), "{brief}");
        assert!(shown(Page { verbose: true, ..PLAIN }, &diagnosis).contains("10.0.1.8"));
    }

    #[test]
    fn asked_for_all_it_shows_every_check() {
        let shown = shown(Page { verbose: true, ..PLAIN }, &sample::rich());
        for verdict in &sample::rich().verdicts {
            assert!(shown.contains(verdict.check.as_ref()), "{} is missing in\n{shown}", verdict.check);
        }
    }
}
