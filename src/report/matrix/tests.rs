use super::*;
use crate::matrix::Layer;
use crate::report::MATRIX_SCHEMA;
use crate::report::text::columns;
use facts::Timestamp;
use serde_json::Value;

fn path(layer: Layer, state: State) -> Path {
    let (says, why) = match state {
        State::Proven => ("0.2 ms", "icmp echo open"),
        State::Refuted => {
            ("deaf here", "in 5.0 s 6 datagrams came and 2 went, and this machine answered none")
        }
        State::Unknown => ("no proof", "in 5.0 s 0 datagrams came and 1 went; listen for longer (--listen)"),
        State::None => ("", "it is no manager"),
    };
    Path { layer, state, says: says.into(), why: why.into() }
}

fn sample() -> Matrix {
    let states = [State::Proven, State::None, State::Refuted, State::Unknown];
    let row = |at: usize| Row {
        name: format!("worker-{at}"),
        addr: format!("192.0.2.{at}"),
        paths: Layer::ALL
            .iter()
            .zip(states.into_iter().cycle())
            .map(|(layer, state)| path(*layer, state))
            .collect(),
    };
    Matrix {
        host: "node1".into(),
        taken: Timestamp::UNIX_EPOCH,
        took_ms: 5100,
        listened_ms: Some(5012),
        peers: (2..12).map(row).collect(),
        why: None,
    }
}

fn shown(matrix: &Matrix, width: u16, color: bool, ascii: bool) -> String {
    let mut out = Vec::new();
    table(matrix, Terminal { width, color, ascii, ..Terminal::PLAIN }, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Prints what it looks like: `cargo test matrix_looks -- --ignored --nocapture`.
#[test]
#[ignore = "for eyes"]
#[expect(clippy::print_stdout, reason = "a person reads it")]
fn matrix_looks_like_this() {
    for (width, color, ascii) in [(80, false, false), (120, true, false), (80, false, true)] {
        println!("{}", shown(&sample(), width, color, ascii));
    }
}

#[test]
fn it_fits_the_page_and_says_each_reason_once() {
    for width in [80, 120] {
        let shown = shown(&sample(), width, false, false);
        assert!(shown.lines().all(|line| columns(line) <= usize::from(width)), "{shown}");
        assert!(shown.contains("Paths from node1"), "{shown}");
        assert_eq!(shown.matches("✗ 7946/tcp worker-2, ").count(), 1, "{shown}");
        assert!(shown.contains("and 4 more") || shown.contains("4 more:"), "{shown}");
        assert_eq!(shown.contains("✗ deaf here"), width == 120, "{shown}");
        assert!(shown.ends_with("✓ 30 ok · ✗ 20 broken · ? 20 unknown · - 20 n/a\n"), "{shown}");
    }
}

#[test]
fn only_symbols_are_coloured_and_ascii_has_its_own() {
    let painted = shown(&sample(), 80, true, false);
    assert!(painted.contains("\u{1b}[32m✓") && painted.contains("\u{1b}[1;31m✗"), "{painted}");
    let mut bare = painted;
    for code in ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[1;31m", "\u{1b}[1;33m", "\u{1b}[32m"] {
        bare = bare.replace(code, "");
    }
    let trimmed = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    assert_eq!(trimmed(&bare), trimmed(&shown(&sample(), 80, false, false)));
    assert!(shown(&sample(), 80, false, true).is_ascii());
}

#[test]
fn programs_get_what_the_schema_says() {
    let schema: Value = serde_json::from_str(MATRIX_SCHEMA).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for matrix in [sample(), Matrix { peers: Vec::new(), why: Some("alone".into()), ..sample() }] {
        let mut out = Vec::new();
        json(&matrix, &mut out).unwrap();
        let document: Value = serde_json::from_slice(&out).unwrap();
        let errors: Vec<_> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
    let layers = serde_json::to_value(Layer::ALL.as_slice()).unwrap();
    let states = serde_json::to_value([State::Proven, State::Refuted, State::Unknown, State::None]).unwrap();
    let path = &schema["properties"]["peers"]["items"]["properties"]["paths"]["items"]["properties"];
    assert_eq!((&path["layer"]["enum"], &path["state"]["enum"]), (&layers, &states));
}
