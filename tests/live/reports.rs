//! One broken swarm in every report format and over HTTP, validated by the consumers of these formats.

use crate::formats::consumers::Consumer;
use crate::live::doctor::install;
use crate::live::needs_a_lab;
use lab::{Lab, Node};
use std::time::{Duration, Instant};

#[test]
fn one_run_in_a_broken_swarm_gives_valid_reports_in_all_formats() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).workers(1).up().unwrap();
    let node = lab.node("node1");
    install(node);
    let served = serve(node);
    assert!(served.contains("serving http://127.0.0.1:9787"), "{served}");
    assert!(get(node, "/metrics").contains("swarm_doctor_findings{severity=\"error\"} 0"));
    let rules = "nft add table inet site
        nft 'add chain inet site input { type filter hook input priority 0; }'
        nft add rule inet site input tcp dport 7946 drop";
    lab.node("node2").shell(rules, &[]).unwrap();

    let files: [(&str, &[Consumer]); 6] = [
        ("json", &[Consumer::OwnSchema]),
        ("sarif", &[Consumer::SarifSchema, Consumer::Multitool]),
        ("junit", &[Consumer::Xmllint]),
        ("prometheus", &[Consumer::Promtool]),
        ("markdown", &[Consumer::CommonMark]),
        ("html", &[Consumer::Vnu, Consumer::Chromium]),
    ];
    let mut words = vec!["swarm-doctor".to_owned(), "run".to_owned(), "-o".to_owned(), "nagios".to_owned()];
    words.extend(files.iter().map(|(name, _)| format!("--report={name}=/root/{name}")));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ran = within(Duration::from_secs(60), || {
        let ran = node.exec(&words).unwrap();
        (ran.status.code() == Some(2)).then_some(ran)
    });
    assert!(ran.stdout.starts_with("SWARM CRITICAL - "), "{}", ran.stdout);
    assert!(ran.stdout.contains("network/gossip-port-blocked on node1 -> node2"), "{}", ran.stdout);
    for (name, consumers) in files {
        let report = String::from_utf8(node.read_file(&format!("/root/{name}")).unwrap()).unwrap();
        assert!(report.contains("gossip-port-blocked"), "{name}: {report}");
        for consumer in consumers {
            match consumer.missing() {
                Some(why) => println!("{name}: skipped: {why}"),
                None => match consumer.read(&report) {
                    Ok(()) => println!("{name}: {} bytes, accepted by {}", report.len(), consumer.name()),
                    Err(complaint) => panic!("{name}: {}: {complaint}", consumer.name()),
                },
            }
        }
    }

    // The server caches a report and refreshes it once it is stale.
    within(Duration::from_secs(60), || {
        get(node, "/report.json").contains("gossip-port-blocked").then_some(())
    });
    assert!(get(node, "/report.html").contains("network/gossip-port-blocked"));
    assert!(get(node, "/healthz").ends_with("ok\n"));
}

/// Starts `swarm-doctor serve` in a node; returns its first output.
fn serve(node: &Node) -> String {
    let start = "setsid --fork swarm-doctor serve --fresh 3s < /dev/null > /root/output 2>&1
        until [ -s /root/output ]; do sleep 0.1; done; cat /root/output";
    node.shell(start, &[]).unwrap()
}

/// The server's answer.
fn get(node: &Node, path: &str) -> String {
    let ask = "exec 3<> /dev/tcp/127.0.0.1/9787; printf 'GET %s HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n' \"$1\" >&3; cat <&3";
    node.exec(&["bash", "-euc", ask, "bash", path]).unwrap().stdout
}

fn within<T>(limit: Duration, attempt: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(done) = attempt() {
            return done;
        }
        assert!(began.elapsed() < limit, "not within {limit:?}");
        std::thread::sleep(Duration::from_millis(250));
    }
}
