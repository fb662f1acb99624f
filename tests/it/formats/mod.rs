//! Every format before those who read it. Who is not on this machine is skipped with the reason; the heavy ones are asked by
//! `cargo xtask test --all`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "an unreadable report has to stop the test")]
#![expect(clippy::print_stdout, reason = "a test says what it skips")]

pub(crate) mod consumers;
mod hostile;
mod large;
use self::consumers::Consumer;
use checks::Check;
use clap::{Parser, ValueEnum};
use facts::bundle::{Bundle, Manifest};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;
use swarm_doctor::cli::{Cli, Command, Format, Output};
use swarm_doctor::judge::{Diagnosis, judge};
use swarm_doctor::policy::Policy;
use swarm_doctor::report::Page;

/// What the command line makes of no flags at all, and of these.
fn output(flags: &[&str]) -> Output {
    let words = ["swarm-doctor", "demo"].iter().chain(flags);
    match Cli::try_parse_from(words).unwrap().command {
        Command::Demo(output) => output,
        other => panic!("{other:?}"),
    }
}

fn rendered(diagnosis: &Diagnosis, format: Format) -> String {
    let mut out = Vec::new();
    let page = Page { verbose: true, ..Page::PLAIN };
    output(&[]).writer(format, page, &Policy::default()).render(diagnosis, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Recorded reports, and a hostile one.
fn diagnoses() -> Vec<(String, Diagnosis)> {
    let demo = swarm_doctor::examine::diagnose(&swarm_doctor::demo::bundle().unwrap());
    let mut all = vec![("demo".to_owned(), demo), ("hostile".to_owned(), hostile::diagnosis())];
    for (name, bundle) in crate::support::healthy().into_iter().take(2) {
        all.push((name, swarm_doctor::examine::diagnose(&bundle)));
    }
    all
}

/// What these checks and all built-in ones make of a machine of which nothing else is known.
fn judged(own: &[&dyn Check], host: &str) -> Diagnosis {
    let manifest = Manifest {
        schema: facts::bundle::SCHEMA.into(),
        tool: "0.1.0".into(),
        host: host.into(),
        taken: "2026-03-01T03:12:44.5Z".parse().unwrap(),
        took_ms: 84,
        utc_offset_seconds: 0,
        unprivileged: true,
        root: None,
        entries: Vec::new(),
    };
    let snapshot = facts::parse::snapshot(&Bundle { manifest: manifest.clone(), artifacts: BTreeMap::new() });
    let built_in = checks::built_in().map(|check| check as &dyn Check);
    judge(own.iter().copied().chain(built_in), &snapshot, &manifest, &Policy::default())
}

/// Every consumer of a format accepts every report.
fn accepted(format: Format, consumer: &Consumer) {
    if let Some(why) = consumer.missing() {
        println!("skipped: {why}");
        return;
    }
    for (name, diagnosis) in diagnoses() {
        let report = rendered(&diagnosis, format);
        if let Err(complaint) = consumer.read(&report) {
            panic!("{}: {name}: {complaint}", consumer.name());
        }
    }
}

#[test]
fn the_schema_takes_json_in_both_names() {
    accepted(Format::Json, &Consumer::OwnSchema);
    accepted(Format::JsonV1, &Consumer::OwnSchema);
}

#[test]
fn the_schema_of_sarif_takes_sarif() {
    accepted(Format::Sarif, &Consumer::SarifSchema);
}

#[test]
fn xmllint_and_the_schema_of_jenkins_take_junit() {
    accepted(Format::Junit, &Consumer::Xmllint);
}

#[test]
fn promtool_takes_the_metrics() {
    accepted(Format::Prometheus, &Consumer::Promtool);
}

#[test]
fn a_reader_of_markdown_finds_no_more_than_was_meant() {
    accepted(Format::Markdown, &Consumer::CommonMark);
}

#[test]
#[ignore = "heavy: cargo xtask test --all"]
fn the_multitool_takes_sarif() {
    accepted(Format::Sarif, &Consumer::Multitool);
}

#[test]
#[ignore = "heavy: cargo xtask test --all"]
fn the_validator_of_html_takes_the_page() {
    accepted(Format::Html, &Consumer::Vnu);
}

#[test]
#[ignore = "heavy: cargo xtask test --all"]
fn a_browser_shows_the_page_and_runs_nothing() {
    accepted(Format::Html, &Consumer::Chromium);
}

/// What could steer a terminal, end a line or hide text is in no format; each other mark has its own way out.
#[test]
fn nothing_hostile_gets_through() {
    let diagnosis = hostile::diagnosis();
    for format in Format::value_variants() {
        let report = rendered(&diagnosis, *format);
        let steers = |char: &char| char.is_control() && *char != '\n';
        assert_eq!(report.chars().find(steers), None, "{format:?}");
        for hidden in ['\u{202e}', '\u{2066}', '\u{200b}', '\u{feff}', '\u{ffff}', '\u{2028}'] {
            assert!(!report.contains(hidden), "{format:?} has {hidden:?}");
        }
        match format {
            Format::Html => {
                assert!(
                    !report.contains("<script") && !report.contains("onerror=\"") && !report.contains("<img")
                );
                assert!(!report.contains("src=\"") && !report.contains("url("), "the page may fetch nothing");
                let own = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/checks/");
                let links = report.split("href=\"").skip(1);
                for link in links.map(|rest| rest.split('"').next().unwrap_or_default()) {
                    assert!(link.starts_with("#finding-") || link.starts_with(own), "{link}");
                }
            }
            Format::Junit => {
                assert!(
                    !report.contains("<script") && !report.contains("]]>") && !report.contains("<!"),
                    "{report}"
                );
            }
            Format::Github => {
                let command =
                    |line: &str| ["::error ", "::warning ", "::notice "].iter().any(|c| line.starts_with(c));
                assert!(report.lines().all(command), "{report}");
                assert!(report.lines().all(|line| line.matches("::").next().is_some()));
            }
            Format::Prometheus => {
                let series = |line: &str| line.starts_with("# ") || line.starts_with("swarm_doctor_");
                assert!(report.lines().all(series), "{report}");
                let injected = |line: &str| line.starts_with("swarm_doctor_fake");
                assert!(!report.lines().any(injected), "{report}");
            }
            Format::Nagios => {
                assert_eq!(report.matches('|').count(), 1, "{report}");
                assert!(report.is_ascii() && report.len() < 8192, "{report}");
            }
            Format::Jsonl => {
                for line in report.lines() {
                    serde_json::from_str::<serde_json::Value>(line).unwrap();
                }
            }
            Format::Human
            | Format::Short
            | Format::Json
            | Format::JsonV1
            | Format::Sarif
            | Format::Markdown => {}
        }
    }
}

#[test]
fn one_run_feeds_every_file_and_one_that_fails_stops_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let names: Vec<String> = Format::value_variants()
        .iter()
        .map(|format| format.to_possible_value().unwrap().get_name().to_owned())
        .collect();
    let mut flags: Vec<String> = vec![format!("--report=html={}", at("none/page.html"))];
    flags.extend(names.iter().map(|name| format!("--report={name}={}", at(name))));
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let demo = swarm_doctor::examine::diagnose(&swarm_doctor::demo::bundle().unwrap());
    let mut shown = Vec::new();
    let error =
        output(&flags).write(&demo, &Policy::default(), false, Instant::now(), &mut shown).unwrap_err();
    assert!(error.to_string().contains("none/page.html: No such file or directory"), "{error}");
    assert!(String::from_utf8(shown).unwrap().contains(" passed"));
    for name in names {
        assert!(Path::new(&at(&name)).metadata().unwrap().len() > 0, "{name}");
    }
}

#[test]
fn a_report_without_a_format_or_a_file_is_refused_with_a_hint() {
    for (flag, hint) in [
        ("--report=sarif", "FORMAT=PATH is expected"),
        ("--report=sarif=", "FORMAT=PATH is expected"),
        ("--report=xml=x", "\"xml\" is not one of human, short, json, json-v1, jsonl, junit, sarif"),
    ] {
        let error = Cli::try_parse_from(["swarm-doctor", "run", flag]).unwrap_err().to_string();
        assert!(error.contains(hint), "{error}");
    }
}

/// bash is on every machine where this is tried; its script is the one that once knew no subcommand's flags.
#[test]
#[expect(clippy::disallowed_methods, reason = "a shell is what reads it")]
fn bash_completes_the_flags_of_a_subcommand() {
    let script = r#"source <("$0" completions bash)
        COMP_WORDS=(swarm-doctor run --fail) COMP_CWORD=2
        _swarm__doctor swarm-doctor --fail run
        echo "${COMPREPLY[@]}""#;
    let bash =
        std::process::Command::new("bash").args(["-c", script, env!("CARGO_BIN_EXE_swarm-doctor")]).output();
    assert_eq!(String::from_utf8_lossy(&bash.unwrap().stdout), "--fail-on\n");
}

/// `cargo test --test it formatslarge -- --ignored --nocapture` prints what each format costs on a swarm of 500 nodes.
#[test]
#[ignore = "heavy: cargo xtask test --all"]
fn a_large_swarm_is_written_in_seconds() {
    large::measure();
}
