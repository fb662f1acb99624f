use super::init::TEMPLATE;
use super::*;
use crate::judge::{Diagnosis, Status, judge};
use checks::{Check, Confidence, Evidence, Findings, Meta, Subject};
use facts::bundle::{Bundle, Manifest};
use facts::{Need, Source};

fn parsed(text: &str) -> Result<File, String> {
    File::parse(text, Path::new("/etc/swarm-doctor.toml"), &Catalogue::default())
        .map_err(|(at, what)| format!("{}: {what}", text[..at].matches('\n').count() + 1))
}

#[track_caller]
fn refused(text: &str, why: &str) {
    let said = parsed(text).err().unwrap_or_default();
    assert!(said.starts_with(why), "{said}");
}

#[test]
fn the_template_can_be_read_as_it_is_and_with_its_examples() {
    assert!(parsed(TEMPLATE).unwrap().ignores.is_empty());
    let example = |line: &str| {
        line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line).to_owned() + "\n"
    };
    let file = parsed(&TEMPLATE.lines().map(example).collect::<String>()).unwrap();
    assert_eq!(file.fail_on, Some(FailOn::Error));
    assert_eq!(file.severities["swarm/even-managers"], Severity::Info);
    assert_eq!(file.thresholds.disk_free_percent, Some(10));
    let excuse = file.ignores[0].excuse();
    assert_eq!(excuse.until, Some("2027-01-31".parse().unwrap()));
    assert!(excuse.by.starts_with("/etc/swarm-doctor.toml:"), "{}", excuse.by);
    let (checks, by) = file.checks.unwrap();
    Selection::of(&checks, &by, &Catalogue::default()).unwrap();
}

#[test]
fn what_is_wrong_in_a_file_is_said_with_its_line_and_what_may_have_been_meant() {
    refused("\nchekcs = []", "2: unknown field `chekcs`, expected one of");
    assert!(parsed("chekcs = []").err().unwrap().ends_with("; did you mean checks?"));
    refused("fail-on = \"warn\"", "1: \"warn\" is not one of error, warning, never");
    refused(
        "[severity]\n\"swarm/even-manager\" = \"info\"",
        "2: there is no check \"swarm/even-manager\"; did you mean swarm/even-managers?",
    );
    refused(
        "[threshold]\n\"swarm/autolock-locked\" = \"1%\"",
        "2: \"swarm/autolock-locked\" has no threshold",
    );
    refused("[threshold]\n\"host/disk-full\" = \"200%\"", "2: \"200%\" is not a percentage, such as 10%");
    refused("[[ignore]]\ncheck = \"swarm/autolock-locked\"", "1: missing field `reason`");
    refused("[[ignore]]\ncheck = \"swarm/autolock-locked\"\nreason = \" \"", "1: a reason is expected");
    refused(
        "[[ignore]]\ncheck = \"swarm/autolock-locked\"\nreason = \"x\"\nuntil = 07:30:00",
        "4: a day is expected",
    );
    refused("checks = [", "1: ");
    refused("checks = 5", "1: invalid type");
}

fn ignore(text: &str) -> Result<Ignore, String> {
    Ignore::parse(text, &Catalogue::default())
}

fn chosen(words: &[&str]) -> Result<Selection, String> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    Selection::of(&words, "a test", &Catalogue::default())
}

fn meta(id: &str) -> &'static Meta {
    &checks::built_in().find(|check| check.meta.id == id).unwrap().meta
}

#[test]
fn checks_are_chosen_by_id_and_category_and_left_out_with_a_bang() {
    let dns = chosen(&["dns"]).unwrap();
    assert!(dns.asks(meta("dns/vip-pinned-in-hosts")) && !dns.asks(meta("swarm/autolock-locked")));
    let rest = chosen(&["!dns", "!swarm/autolock-locked"]).unwrap();
    assert!(!rest.asks(meta("dns/vip-pinned-in-hosts")) && !rest.judges(meta("swarm/autolock-locked")));
    assert!(rest.asks(meta("swarm/lost-quorum")));
    for (words, why) in [
        (&["netwrok"][..], "there is no check or category \"netwrok\"; did you mean network?"),
        (&["path-mtu"], "there is no check or category \"path-mtu\"; did you mean network/path-mtu?"),
        (&["!xyzzy"], "there is no check or category \"xyzzy\""),
        (&["dns", "!dns"], "dns !dns leaves no check to run"),
    ] {
        assert_eq!(chosen(words).err().as_deref(), Some(why));
    }
}

#[test]
fn the_causes_of_what_is_asked_are_judged_and_what_is_left_out_is_not() {
    let peer = chosen(&["swarm/session-failed"]).unwrap();
    let causes = &meta("swarm/session-failed").caused_by;
    assert!(!causes.is_empty());
    for cause in causes.iter() {
        assert!(peer.judges(meta(cause)) && !peer.asks(meta(cause)), "{cause}");
    }
    let category = format!("!{}", causes[0].split('/').next().unwrap());
    let without = chosen(&["swarm/session-failed", &category]);
    assert!(without.is_err() || !without.unwrap().judges(meta(&causes[0])));
}

#[test]
fn only_what_the_chosen_checks_need_is_collected() {
    let disk = chosen(&["host/disk-full"]).unwrap();
    let needs: Vec<Need> = Need::ALL.into_iter().filter(|need| disk.needs(*need)).collect();
    assert_eq!(needs, [Need::Info, Need::Version, Need::OsRelease, Need::Disk, Need::EngineLog]);
}

#[test]
fn an_ignore_names_a_check_a_subject_a_reason_and_a_last_day() {
    let ignore = ignore("swarm/node-down@node3=its disk comes, until 2027-01-31").unwrap();
    let excuse = ignore.excuse();
    assert_eq!((excuse.reason.as_str(), excuse.by.as_str()), ("its disk comes", "--ignore"));
    assert!(ignore.holds("2027-01-31".parse().unwrap()) && !ignore.holds("2027-02-01".parse().unwrap()));
    let plain = self::ignore("swarm/node-down=wait until the end").unwrap();
    assert_eq!((plain.excuse().reason.as_str(), plain.excuse().until), ("wait until the end", None));
    for wrong in [
        "swarm/node-down",
        "swarm/node-down=",
        "swarm/node-dwon=x",
        "=x",
        "swarm/node-down= until 2027-01-31",
    ] {
        assert!(self::ignore(wrong).is_err(), "{wrong}");
    }
}

/// A check with scripted findings.
struct Scripted(Meta, Vec<(Severity, Subject, &'static str)>);

impl Scripted {
    fn new(
        id: &'static str,
        causes: &'static [checks::Str],
        found: Vec<(Severity, Subject, &'static str)>,
    ) -> Self {
        let meta = meta(id);
        Self(Meta { caused_by: causes.into(), ..meta.clone() }, found)
    }
}

impl Check for Scripted {
    fn meta(&self) -> &Meta {
        &self.0
    }

    fn judge(&self, _: &checks::View<'_>, out: &mut Findings<'_>) {
        for (severity, subject, summary) in &self.1 {
            let source =
                Source { need: Need::Info, artifact: "engine/info.json".into(), origin: "GET /info".into() };
            let evidence = Evidence::Value { source, shown: "a value".into() };
            out.report(subject.clone(), *summary, evidence).severity(*severity).confidence(Confidence::High);
        }
    }
}

const CAUSE: &[checks::Str] = &[std::borrow::Cow::Borrowed("swarm/lost-quorum")];

fn node(name: &str) -> Subject {
    Subject::Node(name.into())
}

fn judged(policy: &Policy, checks: &[Scripted]) -> Diagnosis {
    let manifest = Manifest {
        schema: facts::bundle::SCHEMA.into(),
        tool: "0.1.0".into(),
        host: "m1".into(),
        taken: "2026-03-01T03:12:44.5Z".parse().unwrap(),
        took_ms: 84,
        utc_offset_seconds: 0,
        unprivileged: false,
        root: None,
        entries: Vec::new(),
    };
    let snapshot = facts::parse::snapshot(&Bundle { manifest: manifest.clone(), artifacts: BTreeMap::new() });
    judge(checks.iter().map(|check| check as &dyn Check), &snapshot, &manifest, policy)
}

#[test]
fn old_ids_are_accepted_everywhere_with_a_notice() {
    let file = parsed("checks = [\"swarm/locked\"]\n[severity]\n\"network/vip-silent\" = \"info\"").unwrap();
    assert_eq!(file.severities["network/vip-unreachable"], Severity::Info);
    assert_eq!(
        file.notices.first().unwrap(),
        "check network/vip-silent was renamed to network/vip-unreachable"
    );
    let selection = chosen(&["swarm/locked"]).unwrap();
    assert!(selection.asks(meta("swarm/autolock-locked")));
    let config = tempfile::NamedTempFile::new().unwrap();
    let gate = Gate {
        ignore: vec!["swarm/identity-shared=known".into()],
        severity: vec!["service/replicas-short=info".into()],
        config: Some(config.path().to_owned()),
        ..Gate::default()
    };
    let policy = Policy::of(&gate, &["swarm/locked".to_owned()]).unwrap();
    assert_eq!(policy.severities["service/replicas-missing"], Severity::Info);
    let diagnosis = judged(&policy, &[]);
    let renamed = diagnosis.notes.iter().filter(|note| note.contains(" was renamed to ")).count();
    assert_eq!(renamed, 3, "{:?}", diagnosis.notes);
}

fn quorum_and_node() -> [Scripted; 2] {
    [
        Scripted::new("swarm/lost-quorum", &[], vec![(Severity::Error, Subject::Cluster, "no leader")]),
        Scripted::new("swarm/node-down", CAUSE, vec![(Severity::Error, node("n2"), "n2 is down")]),
    ]
}

fn ignoring(ignores: &[&str]) -> Policy {
    let ignores = ignores.iter().map(|said| ignore(said).unwrap()).collect();
    Policy { ignores, ..Policy::default() }
}

#[test]
fn what_is_ignored_is_shown_and_does_not_count() {
    let diagnosis = judged(&ignoring(&["swarm/node-down@n2=it moves"]), &quorum_and_node());
    assert_eq!(diagnosis.findings.len(), 1);
    assert!(diagnosis.findings[0].consequences.is_empty());
    assert_eq!(diagnosis.ignored[0].excuse.reason, "it moves");
    assert_eq!(diagnosis.verdicts[1].status, Status::Ignored);
    let other = judged(&ignoring(&["swarm/node-down@n3=it moves"]), &quorum_and_node());
    assert!(other.ignored.is_empty() && other.findings[0].consequences.len() == 1);
}

#[test]
fn what_an_ignored_cause_brings_about_counts() {
    let diagnosis = judged(&ignoring(&["swarm/lost-quorum=we know"]), &quorum_and_node());
    assert_eq!(diagnosis.findings.len(), 1);
    assert_eq!(diagnosis.findings[0].finding.check, "swarm/node-down");
    assert_eq!(diagnosis.ignored[0].finding.check, "swarm/lost-quorum");
}

#[test]
fn an_ignore_that_ran_out_counts_again_and_is_said() {
    let past = judged(&ignoring(&["swarm/lost-quorum=we know, until 2026-02-28"]), &quorum_and_node());
    assert!(past.ignored.is_empty());
    let note =
        "swarm/lost-quorum on the swarm is active again: it was ignored until 2026-02-28 (--ignore): we know";
    assert_eq!(past.notes, [note]);
    let last = judged(&ignoring(&["swarm/lost-quorum=we know, until 2026-03-01"]), &quorum_and_node());
    assert!(last.notes.is_empty() && last.ignored.len() == 1);
}

#[test]
fn a_weight_that_the_user_gives_goes_before_that_of_the_check() {
    let severities = [("swarm/lost-quorum".to_owned(), Severity::Info)].into();
    let diagnosis = judged(&Policy { severities, ..Policy::default() }, &quorum_and_node()[..1]);
    assert_eq!(diagnosis.verdicts[0].status, Status::Info);
}

#[test]
fn a_cause_that_was_not_asked_for_is_shown_only_with_what_was() {
    let policy = Policy::from(chosen(&["network/peer-unreachable"]).unwrap());
    let [quorum, _] = quorum_and_node();
    let silent = (Severity::Error, node("n2"), "n2 is silent");
    let both = [quorum, Scripted::new("network/peer-unreachable", CAUSE, vec![silent])];
    let diagnosis = judged(&policy, &both);
    assert_eq!(diagnosis.findings[0].finding.check, "swarm/lost-quorum");
    assert_eq!(diagnosis.findings[0].consequences[0].check, "network/peer-unreachable");
    assert_eq!(diagnosis.verdicts.len(), 1);
    assert!(judged(&policy, &both[..1]).findings.is_empty());
    assert!(diagnosis.notes[0].starts_with("1 of "), "{:?}", diagnosis.notes);
}

fn baseline(diagnosis: &Diagnosis) -> Policy {
    use crate::report::{Format as _, Json};
    let mut report = Vec::new();
    Json.render(diagnosis, &mut report).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), report).unwrap();
    Policy { baseline: Some(Baseline::read(file.path()).unwrap()), ..Policy::default() }
}

#[test]
fn only_what_is_not_in_the_baseline_counts() {
    let before = judged(&Policy::default(), &quorum_and_node());
    let policy = baseline(&before);
    let same = judged(&policy, &quorum_and_node());
    assert!(same.findings.is_empty() && same.notes.is_empty());
    assert_eq!(same.ignored.len(), 2);
    assert!(same.ignored[0].excuse.reason.starts_with("known since 2026-03-01T"));
    // A report on the ground of a baseline is one itself.
    assert_eq!(judged(&baseline(&same), &quorum_and_node()).ignored.len(), 2);
    // One more of the kind, other words for an old one, and one that got worse.
    let more = |severity| {
        let found =
            vec![(severity, node("n2"), "n2 is down for 5 s"), (Severity::Warning, node("n2"), "n2 is new")];
        judged(&policy, &[Scripted::new("swarm/node-down", &[], found)])
    };
    let counts =
        |diagnosis: &Diagnosis| diagnosis.all_findings().map(|one| one.summary.clone()).collect::<Vec<_>>();
    assert_eq!(counts(&more(Severity::Error)), ["n2 is new"]);
    let before = baseline(&judged(
        &Policy::default(),
        &[Scripted::new("swarm/node-down", &[], vec![(Severity::Warning, node("n2"), "n2 is slow")])],
    ));
    assert_eq!(counts(&judged(&before, &quorum_and_node()[1..])), ["n2 is down"]);
}

#[test]
fn what_is_gone_and_still_in_the_baseline_is_said() {
    let policy = baseline(&judged(&Policy::default(), &quorum_and_node()));
    let healed = [
        Scripted::new("swarm/lost-quorum", &[], Vec::new()),
        Scripted::new("swarm/node-down", CAUSE, vec![(Severity::Error, node("n2"), "n2 is down")]),
    ];
    let diagnosis = judged(&policy, &healed);
    assert!(diagnosis.notes[0].starts_with("resolved, and still in the baseline "), "{:?}", diagnosis.notes);
    assert!(diagnosis.notes[0].ends_with(": swarm/lost-quorum on the swarm"), "{:?}", diagnosis.notes);
    // A check that was not asked does not tell that something is gone.
    assert!(judged(&policy, &healed[1..]).notes.is_empty());
}
