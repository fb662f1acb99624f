use super::*;
use crate::collect::{Endpoint, Options};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

/// An HTTP server that answers from a table and records the requested paths.
struct Fake {
    session: Session,
    asked: Arc<Mutex<Vec<String>>>,
    directory: tempfile::TempDir,
}

/// Status, headers and body for a path; the body `hang` is never sent.
type Answers = fn(&str) -> (&'static str, &'static str, &'static str);

fn session(host: &str, deadline_ms: u64) -> Session {
    let deadline = Duration::from_millis(deadline_ms);
    Session::new(Options {
        join: None,
        stack: None,
        endpoint: Endpoint::resolve(Some(host), None, &|_| None).unwrap(),
        engine_named: true,
        root: "/".into(),
        daemon_json: None,
        since: Duration::ZERO,
        request_deadline: deadline,
        probe_deadline: deadline,
        listen: deadline,
        deadline: Duration::from_secs(20),
        apps: Default::default(),
        needs: Need::ALL.to_vec(),
    })
}

fn fake(answers: Answers) -> Fake {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let noted = noted.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 4096];
                let length = stream.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let path = request.split(' ').nth(1).unwrap().to_owned();
                noted.lock().unwrap().push(path.clone());
                let (status, headers, body) = answers(&path);
                if body == "hang" {
                    tokio::time::sleep(Duration::from_secs(60)).await;
                }
                let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            });
        }
    });
    let session = session(&format!("unix://{}", socket.display()), 300);
    Fake { session, asked, directory }
}

impl Fake {
    fn asked(&self) -> Vec<String> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked
    }

    async fn look(&self, need: Need) -> ArtifactStatus {
        self.session.artifacts(need).await[0].entry.status.clone()
    }

    async fn why(&self, need: Need) -> Why {
        match self.look(need).await {
            ArtifactStatus::Failed { why } => why,
            look => panic!("{look:?}"),
        }
    }

    async fn text(&self, need: Need) -> String {
        let artifact = &self.session.artifacts(need).await[0];
        String::from_utf8(artifact.content.clone().unwrap()).unwrap()
    }
}

const INFO_OF_MANAGER: &str =
    r#"{"Swarm":{"LocalNodeState":"active","ControlAvailable":true},"CgroupDriver":"new"}"#;

fn manager(path: &str) -> (&'static str, &'static str, &'static str) {
    match path {
        "/_ping" => ("200 OK", "Api-Version: 1.41\r\nSwarm: active/manager\r\n", "OK"),
        "/v1.41/info" => ("200 OK", "", INFO_OF_MANAGER),
        "/v1.41/nodes" => ("200 OK", "", "hang"),
        "/v1.41/tasks" => {
            ("500 Internal Server Error", "", r#"{"message":"The swarm does not have a leader."}"#)
        }
        "/v1.41/services?status=true" => ("200 OK", "", "[]"),
        "/v1.41/swarm" => ("403 Forbidden", "", r#"{"message":"no plugin allows it"}"#),
        "/v1.41/version" => ("200 OK", "", "{\"ApiVersion\":\n!}"),
        "/v1.41/networks" => (
            "200 OK",
            "",
            r#"[{"Id":"a1","Driver":"overlay"},{"Id":"b2","Driver":"overlay"},{"Id":"c3","Driver":"bridge"},
               {"Id":"d4","Driver":"overlay","Ingress":true},{"Id":"../e5","Driver":"overlay","Ingress":true}]"#,
        ),
        path if path.starts_with("/v1.41/containers/json") => (
            "200 OK",
            "",
            r#"[{"Id":"f6","NetworkSettings":{"Networks":{"x":{"NetworkID":"b2"},"y":{"NetworkID":"c3"},"z":null}}},
               {"Id":"f7","NetworkSettings":null}]"#,
        ),
        "/v1.41/containers/f6/json" => ("200 OK", "", r#"{"Id":"f6","State":{"Status":"unheard-of"}}"#),
        "/v1.41/containers/f7/json" => ("404 Not Found", "", r#"{"message":"No such container: f7"}"#),
        path if path.starts_with("/v1.41/networks/") => ("200 OK", "", "{}"),
        _ => ("404 Not Found", "", r#"{"message":"page not found"}"#),
    }
}

#[tokio::test]
async fn uses_the_api_version_of_an_older_engine() {
    let fake = fake(manager);
    assert_eq!(fake.text(Need::Info).await, INFO_OF_MANAGER);
    let ping: Ping = serde_json::from_str(&fake.text(Need::Ping).await).unwrap();
    assert_eq!(ping, Ping { api_version: Some("1.41".into()), swarm: Some("active/manager".into()) });
    assert_eq!(fake.asked(), ["/_ping", "/v1.41/info"]);
}

#[tokio::test]
async fn uses_its_newest_api_version_with_a_newer_engine() {
    let fake = fake(|path| match path {
        "/_ping" => ("200 OK", "Api-Version: 1.999\r\n", "OK"),
        _ => ("200 OK", "", "{}"),
    });
    fake.look(Need::Info).await;
    let ours = bollard::API_DEFAULT_VERSION;
    assert_eq!(fake.asked()[1], format!("/v{}.{}/info", ours.major_version, ours.minor_version));
}

#[tokio::test]
async fn asks_an_engine_without_the_header_for_its_version() {
    let old = fake(|path| match path {
        "/version" => ("200 OK", "", r#"{"Version":"17.03.2-ce","ApiVersion":"1.27"}"#),
        "/v1.27/info" => ("200 OK", "", r#"{"Swarm":{"LocalNodeState":"active","ControlAvailable":true}}"#),
        _ => ("200 OK", "", "[]"),
    });
    assert_eq!(old.look(Need::Services).await, ArtifactStatus::Collected);
    assert_eq!(old.asked(), ["/_ping", "/v1.27/info", "/v1.27/services", "/version"]);
    let proxy = fake(|path| match path {
        "/info" => ("200 OK", "", "{}"),
        _ => ("403 Forbidden", "", "<html>no</html>"),
    });
    assert_eq!(proxy.look(Need::Info).await, ArtifactStatus::Collected);
    assert_eq!(proxy.why(Need::Ping).await, Why::Denied { what: "GET /_ping: <html>no</html>".into() });
}

#[tokio::test]
async fn a_failed_request_does_not_affect_the_others() {
    let fake = fake(manager);
    assert_eq!(fake.look(Need::Services).await, ArtifactStatus::Collected);
    let no_leader = Why::Refused { status: 500, what: "The swarm does not have a leader.".into() };
    assert_eq!(fake.why(Need::Tasks).await, no_leader);
    assert_eq!(fake.why(Need::Swarm).await, Why::Denied { what: "GET /swarm: no plugin allows it".into() });
    assert!(matches!(fake.why(Need::Version).await, Why::Malformed { line: 2, .. }));
    assert_eq!(fake.why(Need::Nodes).await, Why::TimedOut { after_ms: 300 });
}

#[tokio::test]
async fn inspects_what_this_node_is_attached_to() {
    let fake = fake(manager);
    let paths =
        |artifacts: &[Artifact]| artifacts.iter().map(|it| it.entry.artifact.clone()).collect::<Vec<_>>();
    let networks = paths(fake.session.artifacts(Need::Networks).await);
    assert_eq!(networks, ["engine/networks.json", "engine/networks/d4.json", "engine/networks/b2.json"]);
    let containers = fake.session.artifacts(Need::Containers).await;
    assert_eq!(containers[1].entry.status, ArtifactStatus::Collected);
    assert!(matches!(
        &containers[2].entry.status,
        ArtifactStatus::Failed { why: Why::Refused { status: 404, .. } }
    ));
    let asked = fake.asked();
    assert!(asked.contains(&"/v1.41/networks/b2?verbose=true".into()), "{asked:?}");
    let filtered = "filters=%7B%22label%22%3A%5B%22com.docker.swarm.task.id%22%5D%7D";
    assert!(asked.iter().any(|path| path.starts_with("/v1.41/containers/json?") && path.ends_with(filtered)));
}

#[tokio::test]
async fn the_gap_has_the_number_of_networks_over_the_limit() {
    let rest = Place::new(Need::Containers, "engine/containers/rest.json", "");
    let inspect = async |id: String| Place::new(Need::Containers, id, "").absent();
    let artifacts = each((0..7).map(|n| n.to_string()), 5, rest, inspect).await;
    assert_eq!(artifacts.len(), 6);
    let ArtifactStatus::Failed { why } = &artifacts[5].entry.status else { panic!("{artifacts:?}") };
    assert_eq!(why.to_string(), "not collected: 2 of 7 are left out; this run inspects no more than 5");
}

#[tokio::test]
async fn asks_only_managers_about_the_swarm() {
    fn of_state(path: &str, info: &'static str) -> (&'static str, &'static str, &'static str) {
        match path {
            "/v1.41/info" => ("200 OK", "", info),
            path => manager(path),
        }
    }
    let cases: [(Answers, Why); 4] = [
        (
            |path| of_state(path, r#"{"Swarm":{"LocalNodeState":"active","ControlAvailable":false}}"#),
            Why::NotApplicable { reason: "this node is a worker; only managers list nodes".into() },
        ),
        (
            |path| of_state(path, r#"{"Swarm":{"LocalNodeState":"inactive"}}"#),
            Why::NotApplicable { reason: "this node is in no swarm".into() },
        ),
        (
            |path| of_state(path, r#"{"Swarm":{"LocalNodeState":"locked"}}"#),
            Why::Unreachable { what: "the swarm component is locked".into() },
        ),
        (
            |path| of_state(path, r#"{"Swarm":{"LocalNodeState":"error","Error":"expired"}}"#),
            Why::Unreachable { what: "the swarm component has stopped: expired".into() },
        ),
    ];
    for (answers, why) in cases {
        let fake = fake(answers);
        assert_eq!(fake.why(Need::Nodes).await, why);
        assert_eq!(fake.asked(), ["/_ping", "/v1.41/info"]);
    }
}

#[tokio::test]
async fn a_failed_connection_has_its_reason() {
    let missed = async |session: &Session, need| match &session.artifacts(need).await[0].entry.status {
        ArtifactStatus::Failed { why } => why.clone(),
        look => panic!("{look:?}"),
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("docker.sock");
    let host = format!("unix://{}", path.display());

    let absent = session(&host, 300);
    let what = format!("connect {host}: No such file or directory");
    assert_eq!(missed(&absent, Need::Nodes).await, Why::Unreachable { what });

    drop(UnixListener::bind(&path).unwrap());
    let what = format!("connect {host}: Connection refused");
    assert_eq!(missed(&session(&host, 300), Need::Ping).await, Why::Unreachable { what });

    // Nothing accepts: the first connections wait in the accept queue, and the kernel refuses later ones with EAGAIN.
    std::fs::remove_file(&path).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let began = Instant::now();
    assert_eq!(missed(&session(&host, 200), Need::Info).await, Why::TimedOut { after_ms: 200 });
    let mut waiting = Vec::new();
    let full = loop {
        let socket = nix::sys::socket::socket(
            nix::sys::socket::AddressFamily::Unix,
            nix::sys::socket::SockType::Stream,
            nix::sys::socket::SockFlag::SOCK_NONBLOCK,
            None,
        )
        .unwrap();
        let address = nix::sys::socket::UnixAddr::new(&path).unwrap();
        match nix::sys::socket::connect(std::os::fd::AsRawFd::as_raw_fd(&socket), &address) {
            Ok(()) => waiting.push(socket),
            Err(error) => break std::io::Error::from(error),
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    assert_eq!(missed(&session(&host, 200), Need::Info).await, Why::TimedOut { after_ms: 200 });
    assert!(began.elapsed() < Duration::from_secs(2));
    drop(listener);

    if !nix::unistd::geteuid().is_root() {
        let _listener = UnixListener::bind(directory.path().join("closed")).unwrap();
        let closed = directory.path().join("closed");
        std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o000)).unwrap();
        let host = format!("unix://{}", closed.display());
        let what = format!("connect {host}");
        assert_eq!(missed(&session(&host, 300), Need::Info).await, Why::Denied { what });
    }
}

#[tokio::test]
async fn refuses_what_is_not_http() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("docker.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        for answer in ["SSH-2.0-OpenSSH_9\r\n\r\n", ""] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let host = format!("unix://{}", path.display());
    let odd = Engine::connect(&session(&host, 300).options).await.err();
    assert!(matches!(&odd, Some(Why::Malformed { what, .. }) if what.starts_with("GET /_ping: ")), "{odd:?}");
    let closed = Engine::connect(&session(&host, 300).options).await.err();
    assert!(
        matches!(&closed, Some(Why::Unreachable { what }) if what.starts_with("GET /_ping: ")),
        "{closed:?}"
    );
}

#[tokio::test]
async fn takes_a_file_out_of_a_container() {
    let fake = fake(|path| match path {
        "/_ping" => ("200 OK", "Api-Version: 1.41\r\n", "OK"),
        "/v1.41/containers/f6/archive?path=%2Fetc%2Fhosts" => ("200 OK", "", ""),
        _ => ("404 Not Found", "", r#"{"message":"Could not find the file /etc/none in container f6"}"#),
    });
    let engine = fake.session.engine().await.unwrap();
    let empty = engine.archive("f6", "/etc/hosts").await.unwrap_err();
    assert_eq!(empty.to_string(), "malformed: /etc/hosts: the archive is empty");
    assert!(matches!(engine.archive("f6", "/etc/none").await, Err(Why::Refused { status: 404, .. })));
    drop(fake.directory);
}
