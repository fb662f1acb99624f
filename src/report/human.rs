//! The report for people, in the order in which they need it: where we are, what is wrong and what to do, who
//! answers, what could not be seen, and the tally.

use super::pen::{Indent, Ink, Pen, Span};
use super::sentence::{Sentence, sentence};
use super::text::count;
use super::{Format, Page, alike, finding, ignored, peers, remedy, verdicts};
use crate::judge::{Cause, Diagnosis, Header, Status};
use std::io::{self, Write};

/// How many of the machines that are judged together are named.
const NAMED: usize = 12;

/// The report for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Human {
    /// What it is written on.
    pub page: Page,
}

impl Format for Human {
    fn render(&self, diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
        let Page { verbose, width, color, ascii, elapsed_ms } = self.page;
        let mut pen = Pen::new(out, width, color, ascii);
        head(&mut pen, &diagnosis.header)?;
        company(&mut pen, diagnosis)?;
        pen.blank()?;
        verdict(&mut pen, diagnosis)?;
        let alone = |cause| std::slice::from_ref(cause);
        let groups: Vec<&[Cause]> = match verbose {
            true => diagnosis.findings.iter().map(alone).collect(),
            false => alike::grouped(&diagnosis.findings).collect(),
        };
        for (at, group) in groups.into_iter().enumerate() {
            let Some(cause) = group.first() else { continue };
            pen.blank()?;
            finding::write(&mut pen, &format!("{} ", at + 1), cause, verbose)?;
            if let Some(said) = alike::elsewhere(group, " (-v shows all)") {
                pen.blank()?;
                pen.flow(Indent(2, 4), &[Span::new(Ink::Bold, said)])?;
            }
        }
        peers::write(&mut pen, &diagnosis.header, verbose)?;
        verdicts::unknown(&mut pen, diagnosis, verbose)?;
        if verbose {
            verdicts::quiet(&mut pen, diagnosis)?;
        }
        ignored::write(&mut pen, diagnosis)?;
        if !diagnosis.next.is_empty() {
            pen.blank()?;
            pen.flow(Indent(0, 2), &[Span::new(Ink::Bold, "Nothing is in the way. Next:")])?;
            remedy::steps(&mut pen, 0, &diagnosis.next)?;
        }
        pen.blank()?;
        tally(&mut pen, diagnosis, elapsed_ms)
    }
}

/// Which machines were judged together, and what is to be known of them.
fn company(pen: &mut Pen<'_>, diagnosis: &Diagnosis) -> io::Result<()> {
    let members = &diagnosis.header.members;
    if !members.is_empty() {
        let mut named: Vec<_> = members.iter().take(NAMED).map(ToString::to_string).collect();
        if let more @ 1.. = members.len().saturating_sub(NAMED) {
            named.push(format!("{more} more"));
        }
        let text = format!("{} judged as one swarm: {}", count(members.len(), "node"), named.join(", "));
        pen.flow(Indent(0, 2), &[Span::plain(text)])?;
    }
    Ok(())
}

/// Where, when and on what, in lines to be pasted into a chat.
fn head(pen: &mut Pen<'_>, header: &Header) -> io::Result<()> {
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
    let taken = header.taken.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
    let lines = [
        vec![Some(tool), Some(header.host.to_string()), Some(role), Some(engine)],
        vec![named("node ", header.node_id.as_deref()), named("cluster ", header.cluster_id.as_deref())],
        vec![
            named("advertises ", header.node_addr.as_deref()),
            named("", Some(&header.os)),
            named("kernel ", Some(&header.kernel)),
        ],
        vec![
            Some(format!("taken {taken}")),
            header.unprivileged.then(|| "not root: what only root may see is unknown".to_owned()),
        ],
    ];
    for line in lines {
        let items: Vec<Span<'_>> = line.into_iter().flatten().map(Span::plain).collect();
        pen.items(Indent(0, 2), items)?;
    }
    Ok(())
}

/// What it all comes to.
fn verdict(pen: &mut Pen<'_>, diagnosis: &Diagnosis) -> io::Result<()> {
    let Sentence { ink, mark, verdict, rest } = sentence(diagnosis);
    let verdict = Span::solid(ink, format!("{} {verdict}", pen.mark(mark)));
    pen.flow(Indent(0, 2), &[verdict, Span::plain(rest)])
}

/// How many checks ended how, and how long the run took.
pub(super) fn tally(pen: &mut Pen<'_>, diagnosis: &Diagnosis, elapsed_ms: Option<u64>) -> io::Result<()> {
    let of = |status| diagnosis.count(status);
    let inked = |number: usize, ink: Ink| if number > 0 { ink } else { Ink::Plain };
    let mut items = vec![
        Span::new(inked(of(Status::Healthy), Ink::Green), format!("{} healthy", of(Status::Healthy))),
        Span::new(inked(of(Status::Warning), Ink::Yellow), count(of(Status::Warning), "warning")),
        Span::new(inked(of(Status::Error), Ink::Red), count(of(Status::Error), "error")),
        Span::new(inked(of(Status::Unknown), Ink::Yellow), format!("{} unknown", of(Status::Unknown))),
        Span::plain(format!("{} skipped", of(Status::Skipped))),
    ];
    if of(Status::Ignored) > 0 {
        items.push(Span::plain(format!("{} ignored", of(Status::Ignored))));
    }
    if of(Status::Info) > 0 {
        items.insert(1, Span::new(Ink::Cyan, format!("{} info", of(Status::Info))));
    }
    if let Some(elapsed) = elapsed_ms {
        items.push(Span::plain(format!("{elapsed} ms")));
    }
    pen.items(Indent(0, 2), items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::text::columns;
    use crate::report::{explain, list, sample};

    const PLAIN: Page = Page { elapsed_ms: Some(84), ..Page::PLAIN };

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
                Page { width: 120, ..PLAIN },
                Page { color: true, ..PLAIN },
                Page { verbose: true, ..PLAIN },
                Page { ascii: true, ..PLAIN },
            ] {
                println!("===== {page:?}\n{}", shown(page, &diagnosis));
            }
        }
        let mut out = Vec::new();
        for width in [80, 120] {
            list(&mut sample::CHECKS.iter().copied(), false, width, &mut out).unwrap();
        }
        explain(&sample::STALE, 80, true, &mut out).unwrap();
        println!("{}", String::from_utf8(out).unwrap());
    }

    #[test]
    fn the_head_comes_first_and_the_tally_last() {
        let shown = shown(PLAIN, &sample::rich());
        assert!(
            shown.starts_with(concat!(
                "swarm-doctor ",
                env!("CARGO_PKG_VERSION"),
                " · m1 · manager (leader) · engine 28.5.2 (API 1.51)\n"
            )),
            "{shown}"
        );
        assert!(
            shown.ends_with("\n1 healthy · 2 warnings · 2 errors · 2 unknown · 1 skipped · 84 ms\n"),
            "{shown}"
        );
    }

    #[test]
    fn the_cause_comes_with_evidence_remedy_and_consequences() {
        let shown = shown(PLAIN, &sample::rich());
        for part in [
            "\n1 ✗ error · swarm/stale-advertise-addr · m3\n",
            "\n  raft knows this manager as 192.0.2.3:2377, which no interface holds\n",
            "\n    GET /nodes: ManagerStatus.Addr 192.0.2.3:2377\n",
            "\n    netlink: no interface with 192.0.2.3\n",
            "\n  What to do: Rejoin the manager from its present address\n    Risk: endangers quorum: the swarm",
            "\n    On m1:\n      1. demote the node, from a manager that answers\n",
            "\n           docker node demote m3\n    On m3:\n",
            "\n  And because of it:\n    ✗ swarm/lost-quorum · the swarm: ",
            "and 3 more findings of network/port-closed (-v shows all)",
            "! warning (likely) · dns/upstream-dead",
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
                    for line in shown(Page { verbose, width, ..PLAIN }, &diagnosis).lines() {
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
                let shown = shown(Page { ascii: true, verbose, ..PLAIN }, &diagnosis);
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
    fn a_healthy_swarm_is_said_to_be_healthy() {
        let shown = shown(PLAIN, &sample::healthy());
        assert!(shown.contains("✓ Healthy: 2 checks looked, and nothing is wrong."), "{shown}");
        assert!(shown.contains("Peers: 2, and each answered every probe"), "{shown}");
        assert!(shown.lines().count() < 16, "{shown}");
    }

    #[test]
    fn warnings_alone_are_said_to_be_no_errors() {
        let shown = shown(PLAIN, &sample::warned());
        assert!(shown.contains("! Nothing at error level was found; 1 finding to look at."), "{shown}");
    }

    #[test]
    fn what_was_not_seen_is_not_called_healthy() {
        let shown = shown(PLAIN, &sample::blind());
        assert!(shown.contains("? Nothing wrong was found, but 12 checks could not tell."), "{shown}");
        assert!(!shown.contains("Healthy"), "{shown}");
        assert!(shown.contains("not root"), "{shown}");
        assert_eq!(shown.matches("permission denied").count(), 1, "{shown}");
    }

    #[test]
    fn of_many_peers_only_those_that_failed_are_shown() {
        let diagnosis = sample::crowd();
        let brief = shown(PLAIN, &diagnosis);
        assert!(brief.contains("Peers: 29 of 30 answered every probe"), "{brief}");
        assert!(brief.contains("and 29 more that answered every probe"), "{brief}");
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
