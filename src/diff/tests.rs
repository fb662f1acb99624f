use super::{Area, Difference, Read, of};
use facts::bundle::Bundle;

fn demo() -> Bundle {
    crate::demo::bundle().unwrap()
}

fn edited(artifact: &str, from: &str, to: &str) -> Bundle {
    let mut bundle = demo();
    let content = bundle.artifacts.get_mut(artifact).unwrap_or_else(|| unreachable!("{artifact} is there"));
    let text = String::from_utf8_lossy(content).into_owned();
    assert!(text.contains(from), "{artifact} has no {from}");
    *content = text.replace(from, to).into_bytes();
    bundle
}

fn difference(after: Bundle) -> Difference {
    of(Read::one(demo()), Read::one(after)).unwrap()
}

#[test]
fn the_same_is_no_change() {
    let difference = difference(demo());
    assert!(difference.changes.is_empty(), "{:?}", difference.changes);
    assert!(difference.new.is_empty() && difference.resolved.is_empty() && !difference.unchanged.is_empty());
    assert!(difference.notes.is_empty(), "{:?}", difference.notes);
}

#[test]
fn a_setting_that_changed_is_named_with_both_values() {
    let sysctl = "\"net.ipv4.ip_forward\": \"1\"";
    let difference = difference(edited("host/sysctls.json", sysctl, "\"net.ipv4.ip_forward\": \"0\""));
    let [change] = difference.changes.as_slice() else { unreachable!("{:?}", difference.changes) };
    assert_eq!((change.area, change.key.as_str()), (Area::Sysctls, "net.ipv4.ip_forward"));
    assert_eq!((change.before.as_deref(), change.after.as_deref()), (Some("1"), Some("0")));
    assert!(difference.new.iter().any(|said| said.check == "host/ip-forward-off"), "{:?}", difference.new);
}

#[test]
fn what_could_not_be_seen_is_no_change() {
    let mut blind = demo();
    for entry in blind.manifest.entries.iter_mut().filter(|entry| entry.need == facts::Need::Sysctls) {
        entry.status =
            facts::bundle::ArtifactStatus::Failed { why: facts::Why::Denied { what: "a test".into() } };
    }
    let difference = difference(blind);
    assert!(difference.changes.is_empty(), "{:?}", difference.changes);
    assert!(difference.notes.iter().any(|note| note.contains("kernel settings")), "{:?}", difference.notes);
}

#[test]
fn of_different_machines_it_is_said_and_the_older_one_too() {
    let mut other = demo();
    other.manifest.host = "another".into();
    other.manifest.taken = facts::Timestamp::UNIX_EPOCH;
    let difference = difference(other);
    assert!(difference.changes.is_empty());
    assert_eq!(difference.notes.len(), 3, "{:?}", difference.notes);
}
