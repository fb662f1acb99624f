//! Plain language: no user-facing text has a word that `docs/glossary.md` bans. Titles, summaries, remedies and impacts
//! come from the reports of all fixtures; explanations, help and pages are read as they are.

#![expect(clippy::unwrap_used, reason = "a broken page has to stop the test")]

use crate::support::fixtures;
use checks::built_in;
use clap::CommandFactory;
use regex::Regex;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use swarm_doctor::cli::Cli;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A banned word and the better one, from the last table of the glossary.
struct Banned {
    word: Regex,
    never: String,
    say: String,
}

fn banned() -> Vec<Banned> {
    let glossary = fs::read_to_string(root().join("docs/glossary.md")).unwrap();
    let (_, table) = glossary.split_once("## Never say").unwrap();
    let rows =
        table.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    let banned: Vec<Banned> = rows
        .filter(|(never, _)| *never != "never" && !never.starts_with('-'))
        .map(|(never, say)| Banned {
            word: Regex::new(&format!(r"(?i)\b{}\b", never.replace(' ', r"\s+"))).unwrap(),
            never: never.to_owned(),
            say: say.to_owned(),
        })
        .collect();
    assert!(banned.len() >= 20, "the glossary bans {} words", banned.len());
    banned
}

/// What is wrong with a text: the place, the banned word and the better one.
fn complaints(place: &str, text: &str, banned: &[Banned], out: &mut Vec<String>) {
    for one in banned {
        if let Some(found) = one.word.find(text) {
            let from = text[..found.start()].rfind('\n').map_or(0, |at| at + 1);
            let line = text[from..].lines().next().unwrap_or_default();
            out.push(format!("{place}: {:?}, say {:?}: {}", one.never, one.say, line.trim()));
        }
    }
}

fn texts_of_report(finding: &Value, texts: &mut Vec<String>) {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    texts.extend(text(&finding["summary"]));
    let remedy = &finding["remedy"];
    texts.extend(text(&remedy["title"]));
    texts.extend(text(&remedy["impact"]));
    let steps = remedy["steps"].as_array().into_iter().flatten();
    texts.extend(steps.filter_map(|step| text(&step["text"])));
    let consequences = finding["consequences"].as_array().into_iter().flatten();
    consequences.for_each(|consequence| texts_of_report(consequence, texts));
}

fn files_below(folder: &Path, name: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path, name));
        } else if name(&path) {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn no_text_for_users_has_a_banned_word() {
    let banned = banned();
    let mut wrong = Vec::new();
    for check in built_in() {
        for text in [&check.meta.title, &check.meta.healthy, &check.meta.explain] {
            complaints(&check.meta.id, text, &banned, &mut wrong);
        }
    }
    for file in files_below(&fixtures(), &|path| path.ends_with("report.json")) {
        let report: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let mut texts = Vec::new();
        report["findings"].as_array().into_iter().flatten().for_each(|one| texts_of_report(one, &mut texts));
        let place = file.strip_prefix(root()).unwrap().display().to_string();
        texts.iter().for_each(|text| complaints(&place, text, &banned, &mut wrong));
    }
    let mut cli = Cli::command();
    cli.build();
    complaints("help", &cli.render_long_help().to_string(), &banned, &mut wrong);
    for command in cli.get_subcommands_mut() {
        let place = format!("help of {}", command.get_name());
        complaints(&place, &command.render_long_help().to_string(), &banned, &mut wrong);
    }
    let pages = |path: &Path| {
        let written = path.extension().is_some_and(|kind| kind == "md" || kind == "txt" || kind == "json");
        // Pages of checks come from the explanations; the glossary names the words.
        written && !path.starts_with(root().join("docs/checks")) && !path.ends_with("docs/glossary.md")
    };
    let top =
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "fixtures/README.md"].map(|name| root().join(name));
    for file in files_below(&root().join("docs"), &pages).into_iter().chain(top) {
        let place = file.strip_prefix(root()).unwrap().display().to_string();
        complaints(&place, &fs::read_to_string(&file).unwrap(), &banned, &mut wrong);
    }
    assert!(wrong.is_empty(), "{} texts with a banned word:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_banned_word_is_found_wherever_it_stands() {
    let banned = banned();
    for one in banned.iter().take(20) {
        for text in [format!("the node is {} again", one.never), format!("# {}\n", one.never.to_uppercase())]
        {
            let mut wrong = Vec::new();
            complaints("here", &text, &banned, &mut wrong);
            assert!(wrong.iter().any(|wrong| wrong.contains(&one.say)), "{}: {wrong:?}", one.never);
        }
    }
}

/// Ids are noun phrases in the field's words: lower case, hyphens, no banned word, no verb of saying.
#[test]
fn ids_are_noun_phrases_without_a_banned_word() {
    let banned = banned();
    let shape = Regex::new(r"^[a-z]+/[a-z0-9]+(-[a-z0-9]+)*$").unwrap();
    let mut wrong = Vec::new();
    for check in built_in() {
        let id = check.meta.id.as_ref();
        assert!(shape.is_match(id), "{id}");
        complaints(id, &id.replace(['/', '-'], " "), &banned, &mut wrong);
        let (_, name) = id.split_once('/').unwrap();
        for part in ["is", "was", "not-well", "cannot", "tells", "says"] {
            assert!(!name.split('-').any(|word| word == part), "{id}: {part:?} makes a sentence of it");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
