//! Real labs, brought up and taken down. Needs root and the engine; says why if it is skipped.
#![expect(clippy::print_stdout, reason = "a skipped test says why")]
#![expect(clippy::unwrap_used, reason = "these are tests, and what they share")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use lab::{Engine, IMAGE, Lab, Node, SUITES};

/// Whether this machine can run a lab.
fn able() -> bool {
    let missing = lab::missing();
    if !missing.is_empty() {
        println!("skipped: {}", missing.join(", "));
    }
    missing.is_empty()
}

/// Everything by which a lab could be found on the host.
struct Traces {
    dir: PathBuf,
    name: String,
    /// Held open: the kernel would give a namespace's number to the next one.
    namespaces: Vec<File>,
}

impl Traces {
    fn of(lab: &Lab) -> Self {
        let record: serde_json::Value =
            serde_json::from_slice(&fs::read(lab.dir().join("lab.json")).unwrap()).unwrap();
        let switch = record["switch"]["pid"].as_u64().unwrap();
        let open = |pid: u64, kind: &str| File::open(format!("/proc/{pid}/ns/{kind}")).unwrap();
        let nodes = lab.nodes().iter().filter_map(Node::pid1).map(u64::from);
        let namespaces = nodes.flat_map(|pid| ["net", "mnt", "pid"].map(|kind| open(pid, kind)));
        let namespaces = namespaces.chain([open(switch, "net")]).collect();
        let traces = Self { dir: lab.dir().to_owned(), name: lab.name().to_owned(), namespaces };
        assert!(!traces.inside("self"), "the lab shares a namespace with the host");
        traces
    }

    /// Whether a process is in one of the lab's namespaces.
    fn inside(&self, pid: &str) -> bool {
        let number = |file: &File| file.metadata().map(|of| of.ino());
        let own = ["net", "mnt", "pid"].map(|kind| fs::metadata(format!("/proc/{pid}/ns/{kind}")));
        let own: Vec<u64> = own.into_iter().flatten().map(|of| of.ino()).collect();
        self.namespaces.iter().any(|namespace| own.contains(&number(namespace).unwrap()))
    }

    fn cgroup(&self) -> String {
        format!("swarm-lab/{}", self.dir.to_str().unwrap().trim_start_matches('/').replace('/', "-"))
    }

    fn cgroups(&self) -> Vec<PathBuf> {
        let hierarchies = Path::new("/sys/fs/cgroup");
        let below = fs::read_dir(hierarchies).unwrap().map(|entry| entry.unwrap().path());
        let cgroups = below.chain([hierarchies.to_owned()]).map(|hierarchy| hierarchy.join(self.cgroup()));
        cgroups.filter(|cgroup| cgroup.exists()).collect()
    }

    /// The processes that are in one of the lab's namespaces or cgroups. Those that are dead, and only wait
    /// for the host's init to take note of it, do not count.
    fn processes(&self) -> Vec<String> {
        let cgroup = self.cgroup();
        let pids =
            fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
        pids.filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()))
            .filter(|pid| {
                let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup"));
                let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
                !status.contains("State:\tZ") && self.inside(pid)
                    || cgroups.is_ok_and(|cgroups| cgroups.contains(&format!("/{cgroup}/")))
            })
            .collect()
    }

    fn assert_gone(&self) {
        assert_eq!(self.processes(), Vec::<String>::new(), "processes are left");
        assert_eq!(self.cgroups(), Vec::<PathBuf>::new(), "cgroups are left");
        assert!(!self.dir.exists(), "{} is left", self.dir.display());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.dir.to_str().unwrap()), "mounts are left: {mounts}");
        assert!(!lab::names().unwrap().contains(&self.name), "{} is still registered", self.name);
    }
}

#[test]
fn a_swarm_lives_through_its_faults_and_leaves_nothing() {
    if !able() {
        return;
    }
    let lab = Lab::builder().managers(1).workers(1).up().unwrap();
    let (manager, worker) = (lab.node("node1"), lab.node("node2"));
    assert!(!Path::new("/sys/class/net/node1").exists(), "the host has got an interface");
    assert_eq!(worker.address(), "192.0.2.2");

    // A container, so that there are shims, overlay mounts and cgroups to be cleaned up.
    let service = [
        "service",
        "create",
        "--quiet",
        "--detach",
        "--no-resolve-image",
        "--name",
        "web",
        "--mode",
        "global",
    ];
    manager.docker(&[&service, [IMAGE, "sleep", "100000"].as_slice()].concat()).unwrap();
    let running = || {
        let tasks = manager.docker(&["service", "ps", "web", "--format", "{{.CurrentState}}"])?;
        Ok(tasks.lines().filter(|state| state.starts_with("Running")).count() == 2)
    };
    lab.wait("two running tasks", Duration::from_secs(60), running).unwrap();
    let traces = Traces::of(&lab);
    assert!(!traces.cgroups().is_empty(), "the containers are not in the lab's cgroup");
    assert!(traces.processes().len() > 10, "the lab's processes are not found");

    // The engine's log is that of a server.
    let log = worker.log();
    let pid = worker.engine_pid().unwrap();
    assert!(log.contains(&format!(" node2 dockerd[{pid}]: time=\"")), "{log}");
    assert_eq!(log.as_bytes()[3], b' ', "not the traditional time stamp: {log}");

    // Frozen, it holds its socket and does not answer.
    worker.freeze_engine().unwrap();
    assert!(!worker.engine_answers());
    worker.thaw_engine().unwrap();
    lab.wait("thawed engine", Duration::from_secs(10), || Ok(worker.engine_answers())).unwrap();

    // Killed, it leaves its socket and pid file behind, and starts again all the same.
    worker.kill_engine().unwrap();
    assert!(
        worker.exec(&["sh", "-c", "test -S /run/docker.sock && test -s /run/docker.pid"]).unwrap().success()
    );
    assert!(worker.docker(&["ps"]).unwrap_err().to_string().contains("Cannot connect"));
    worker.start_engine(&["--debug"]).unwrap();

    // An engine that cannot start says why.
    worker.stop_engine().unwrap();
    worker.write_file("/etc/docker/daemon.json", "{\"foo\": 1}").unwrap();
    let error = worker.start_engine(&[]).unwrap_err().to_string();
    assert!(error.contains("node2") && error.contains("directives don't match"), "{error}");
    worker.write_file("/etc/docker/daemon.json", "{\"debug\": true}").unwrap();

    // Its files outlive a power cut.
    worker.power_off().unwrap();
    assert!(worker.exec(&["true"]).is_err());
    assert!(worker.log().contains("directives don't match"));
    worker.power_on().unwrap();
    assert_eq!(worker.read_file("/etc/docker/daemon.json").unwrap(), b"{\"debug\": true}");
    worker.start_engine(&[]).unwrap();
    let ready = || Ok(manager.docker(&["node", "ls", "--format", "{{.Status}}"])? == "Ready\nReady");
    lab.wait("swarm after a power cut", Duration::from_secs(60), ready).unwrap();

    // Another process finds it by its name, and does not take it down.
    let again = Lab::open(lab.name()).unwrap();
    assert_eq!(again.node("node2").pid1(), worker.pid1());
    drop(again);
    assert!(worker.engine_answers());

    let rebooted = Traces::of(&lab);
    lab.down().unwrap();
    traces.assert_gone();
    rebooted.assert_gone();
}

#[test]
fn a_program_runs_in_a_node_as_it_would_on_a_server() {
    if !able() {
        return;
    }
    let lab = Lab::builder().nodes(1).no_engine().up().unwrap();
    let node = lab.node("node1");

    let environment = node.exec(&["sh", "-c", "env | sort; pwd; hostname; exit 3"]).unwrap();
    assert_eq!(environment.status.code(), Some(3));
    let expected = "HOME=/root\nLANG=C.UTF-8\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nPWD=/\n/\nnode1\n";
    assert_eq!(environment.stdout, expected);

    let plain =
        node.command(&["sh", "-c", "id -u; id -G; grep CapEff /proc/self/status"]).unwrap().user(1000, 1001);
    assert_eq!(plain.run().unwrap().stdout, "1000\n1001\nCapEff:\t0000000000000000\n");

    let echo = node
        .command(&["sh", "-c", "cat; echo $WORD >&2"])
        .unwrap()
        .stdin("in")
        .env("WORD", "err")
        .run()
        .unwrap();
    assert_eq!((echo.stdout.as_str(), echo.stderr.as_str()), ("in", "err\n"));

    let start = Instant::now();
    let slow =
        node.command(&["sh", "-c", "echo started; sleep 1000"]).unwrap().timeout(Duration::from_millis(300));
    let error = slow.run().unwrap_err().to_string();
    assert!(error.contains("started") && start.elapsed() < Duration::from_secs(5), "{error}");
    assert!(!node.exec(&["pgrep", "--exact", "--full", "sleep 1000"]).unwrap().success(), "it still runs");
    // A daemon that holds its output open does not hold us up.
    let daemon = node.exec(&["sh", "-c", "sleep 1000 & echo done"]).unwrap();
    assert_eq!((daemon.stdout.as_str(), start.elapsed() < Duration::from_secs(5)), ("done\n", true));

    let program = lab.dir().join("hello");
    fs::write(&program, "#!/bin/sh\necho hello from $0\n").unwrap();
    node.install(&program).unwrap();
    assert_eq!(node.exec(&["hello"]).unwrap().stdout, "hello from /usr/local/bin/hello\n");
    assert!(!Path::new("/usr/local/bin/hello").exists(), "it went to the host");

    // Even through an absolute symbolic link, a file lands in the node.
    node.write_file("/var/run/deep/er/file", [0, 255]).unwrap();
    assert_eq!(node.read_file("/run/deep/er/file").unwrap(), [0, 255]);
    assert!(!Path::new("/run/deep").exists(), "it went to the host");
    node.remove_file("/run/deep").unwrap();
    assert!(node.read_file("/run/deep/er/file").is_err());
}

#[test]
fn two_labs_with_the_same_addresses_do_not_meet() {
    if !able() {
        return;
    }
    let up = || Lab::builder().managers(1).workers(1).up().unwrap();
    let (one, two) = thread::scope(|scope| {
        let other = scope.spawn(up);
        (up(), other.join().unwrap())
    });
    let cluster =
        |lab: &Lab| lab.node("node1").docker(&["info", "--format", "{{.Swarm.Cluster.ID}}"]).unwrap();
    assert_ne!(cluster(&one), cluster(&two));
    let traces = [Traces::of(&one), Traces::of(&two)];
    assert!(!traces[0].inside(&two.node("node1").pid1().unwrap().to_string()));
    drop(one);
    traces[0].assert_gone();
    assert_eq!(two.node("node1").docker(&["node", "ls", "--format", "{{.Status}}"]).unwrap(), "Ready\nReady");
    drop(two);
    traces[1].assert_gone();
}

#[test]
fn engines_of_four_debian_releases_form_one_swarm() {
    let absent: Vec<&str> =
        SUITES.iter().map(|(suite, _)| *suite).filter(|suite| !available(suite)).collect();
    if !absent.is_empty() {
        println!("skipped: not fetched, try `cargo xtask lab engines {}`", absent.join(" "));
        return;
    }
    if !able() {
        return;
    }
    let lab =
        Lab::builder().managers(2).workers(2).engines(&SUITES.map(|(_, version)| version)).up().unwrap();
    for (node, (_, version)) in lab.nodes().iter().zip(SUITES) {
        let running =
            node.docker(&["version", "--format", "{{.Client.Version}} {{.Server.Version}}"]).unwrap();
        assert!(running.split(' ').all(|running| running.starts_with(version)), "{version}: {running}");
        assert!(node.log().contains(" dockerd["), "{version} logs nothing: {}", node.log());
    }
}

/// Whether the engine of a Debian suite is here already: a test does not download 85 MB unasked.
fn available(suite: &str) -> bool {
    let host = Engine::host().is_ok_and(|host| SUITES.contains(&(suite, host.version())));
    host || Engine::fetched(suite).is_some()
}

#[test]
fn a_lab_whose_owner_was_killed_is_swept_up() {
    if !able() {
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "the owner must be a process that can be killed")]
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "owns_a_lab_until_it_is_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines().map(Result::unwrap);
    let name = lines.find_map(|line| line.split_once("up: ").map(|(_, name)| name.to_owned())).unwrap();
    let lab = Lab::open(&name).unwrap();
    assert!(lab.node("node1").engine_answers());
    let traces = Traces::of(&lab);
    lab::sweep().unwrap();
    assert!(lab.node("node1").engine_answers(), "a lab was swept up under its owner");

    owner.kill().unwrap();
    owner.wait().unwrap();
    lab::sweep().unwrap();
    traces.assert_gone();
}

#[test]
#[ignore = "the test above starts it"]
fn owns_a_lab_until_it_is_killed() {
    let lab = Lab::builder().nodes(1).up().unwrap();
    println!("up: {}", lab.name());
    thread::sleep(Duration::from_secs(600));
}
