//! Secrets are planted wherever a swarm can store one; no output may contain them.

use crate::live::doctor::install;
use crate::live::needs_a_lab;
use clap::ValueEnum as _;
use lab::{Lab, Node};
use std::collections::BTreeMap;
use swarm_doctor::cli::Format;

/// Plants the secrets, and prints those that the engine generates.
const PLANT: &str = r#"
for role in worker manager; do docker swarm join-token -q $role | sed 's/.*-//'; done
docker swarm update --autolock | grep -o 'SWMKEY-1-[^ ]*' | cut -c10-
create() { docker service create -q -d --no-resolve-image "$@" > /dev/null; }
create --name web --env DB_PASSWORD=planted-env --env DATABASE_URL=postgres://app:planted-url@db/app \
    --env 'JAVA_OPTS=-Dkey.password=planted-opts -Xmx1g' --env 'CONFIG={"password": "planted-json"}' \
    --env AWS_SECRET_ACCESS_KEY=planted-aws --label com.example.password=planted-label \
    --container-label api.token=planted-container-label --health-interval 1h \
    --health-cmd 'curl -u admin:planted-curl http://localhost/' \
    lab/busybox:1 sh -c 'exec sleep 100000 # --password planted-word --token=planted-equals'
create --name arguments lab/busybox:1 sleep 100000 --password planted-argument --api-key=planted-option
create --name clients --env 'TLS_KEY=-----BEGIN RSA PRIVATE KEY-----
MIIplantedpem
-----END RSA PRIVATE KEY-----' --env AWS_ACCESS_KEY_ID=AKIAPLANTEDACCESSKEY --env PROXY=bot:planted-bare@proxy.example.com:3128 \
    --label 'com.example.init=mysql -u root -pplanted-mysql-label' --container-label 'com.example.url=redis://:planted-redis-url@cache/0' \
    --health-interval 1h --health-cmd 'mysqladmin ping -uroot -pplanted-mysql' \
    lab/busybox:1 sh -c 'exec sleep 100000 # redis-cli -a planted-redis; curl -fsSu bot:planted-cluster -H "Authorization: Bearer planted-bearer" x'
create --name listed --health-interval 1h --health-cmd 'redis-cli -a planted-health ping' \
    lab/busybox:1 sleep 100000 mysql -pplanted-attached -p planted-apart --requirepass planted-requirepass https://bot:planted-argument-url@example.com/ -H 'X-Api-Key: planted-header'
create --name dies lab/busybox:1 sh -c 'exit 3 # sshpass -p planted-dying'
create --name broken --env TOKEN=planted-broken lab/busybox:1 /none --token=planted-refused
printf planted-secret | docker secret create s1 - > /dev/null
printf password=planted-config | docker config create c1 - > /dev/null
says() { logger -t dockerd "time=\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\" level=error msg=\"$1\""; }
says 'config:&{BindPort:0 Keys:[[37 252 113 94 17 3 8 29 41 5 66 71 82 93 104 115]] PacketBufferSize:1400}'
says 'Key: 0x49082bafec6d4712ffe0 failed to add the state'
says 'joining with SWMTKN-1-57oalk76q1w2e3-planted-log-token at 192.0.2.9:2377'
says 'pulling https://bot:planted-log-url@registry.example.com/v2/ failed'
says 'Authorization: Bearer planted-log-bearer'
says 'unlocking with SWMKEY-1-planted-log-key'
says 'ran mysql -h db -uroot -pplanted-log-mysql'
says 'ran curl -u bot:planted-log-curl http://example.com/'
says 'key AKIAPLANTEDLOGACCESS was refused'
says 'failed: auth=planted-log-auth'
"#;

const DAEMON_JSON: &str = r#"{
  "live-restore": true,
  "proxies": { "http-proxy": "http://user:planted-proxy@proxy.example.com:3128" },
  "log-opts": { "splunk-token": "planted-splunk", "labels": "mysql -pplanted-daemon-mysql" },
  "unknown": "SWMTKN-1-aaa-planted-daemon"
}
"#;

const STACK: &str = r#"services:
  one:
    image: lab/busybox:1
    environment:
      POSTGRES_PASSWORD: planted-stack-map
      URL: postgres://a:planted-stack-url@db/x
      FROM_SHELL: ${DB_SECRET}
    command: ["--password", "planted-stack-list"]
    labels: {a: b, api.token: planted-stack-flow}
    healthcheck: {test: ["CMD", "redis-cli", "-a", "planted-stack-health", "ping"]}
    networks: [none]
  two:
    image: lab/busybox:1
    environment: ["API_KEY=planted-stack-pair", "Q=${UNSET}"]
    command:
      - --password
      - planted-stack-block
networks: {none: {external: true}}
"#;

/// All output, by command.
fn written(node: &Node) -> BTreeMap<String, Vec<u8>> {
    let mut written = BTreeMap::new();
    let mut say = |words: &[&str]| {
        let command = node.command(&[&["swarm-doctor"], words].concat()).unwrap();
        let output = command.env("DB_SECRET", "planted-shell").run().unwrap();
        written.insert(words.join(" "), [output.stdout, output.stderr].concat().into_bytes());
    };
    let join = ["preflight", "--join", "192.0.2.1", "--token", "SWMTKN-1-aaa-planted-join-token"];
    for format in Format::value_variants() {
        let format = format.to_possible_value().unwrap();
        let shown = ["-v", "-o", format.get_name()];
        for words in [&["run"][..], &["preflight", "--stack", "/root/stack.yml"], &join] {
            say(&[words, &shown].concat());
        }
    }
    for words in [&["run", "--dry-run"][..], &["matrix"], &["matrix", "-o", "json"], &["run", "--stats"]] {
        say(words);
    }
    say(&["run", "--emit-script", "/root/script"]);
    say(&["collect", "-f", "/root/collected.tar.zst"]);
    say(&["collect", "--anonymize", "-f", "/root/anonymous.tar.zst"]);
    say(&["preflight", "--stack", "/root/stack.yml", "--save", "/root/stack.tar.zst"]);
    written.insert("script".into(), node.read_file("/root/script").unwrap());
    let serve = "setsid --fork swarm-doctor serve < /dev/null > /root/output 2>&1; until [ -s /root/output ]; do sleep 0.1; done";
    node.shell(serve, &[]).unwrap();
    for path in ["/metrics", "/report.json", "/report.html"] {
        let ask = "exec 3<> /dev/tcp/127.0.0.1/9787; printf 'GET %s HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n' \"$1\" >&3; cat <&3";
        let answer = node.exec(&["bash", "-euc", ask, "bash", path]).unwrap().stdout;
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        written.insert(format!("serve {path}"), answer.into_bytes());
    }
    for file in ["/root/collected.tar.zst", "/root/anonymous.tar.zst", "/root/stack.tar.zst"] {
        let bundle = swarm_doctor::bundle::read_from(&node.read_file(file).unwrap()[..]).unwrap();
        for (name, content) in bundle.artifacts {
            written.insert(format!("{file}: {name}"), content);
        }
    }
    written
}

#[test]
fn no_secret_is_written_anywhere() {
    needs_a_lab!();
    let lab = Lab::builder().managers(1).up().unwrap();
    let node = lab.node("node1");
    install(node);
    let unknown = node.shell(PLANT, &[]).unwrap();
    node.write_file("/etc/docker/daemon.json", DAEMON_JSON).unwrap();
    node.write_file("/root/stack.yml", STACK).unwrap();
    let logged = || Ok(node.log().contains("planted-log-auth"));
    lab.wait("the log", std::time::Duration::from_secs(30), logged).unwrap();
    let written = written(node);
    // The bundle contains the public values next to the secrets.
    let all = |name: &str| written.iter().any(|(_, text)| String::from_utf8_lossy(text).contains(name));
    for name in ["DB_PASSWORD", "com.example.password", "splunk-token", "POSTGRES_PASSWORD", "Keys:["]
        .into_iter()
        .chain([
            "mysqladmin ping",
            "redis-cli -a",
            "--requirepass",
            "X-Api-Key",
            "TLS_KEY",
            "sshpass",
            "bot:",
        ])
    {
        assert!(all(name), "nothing tells of {name}");
    }
    let secrets: Vec<&str> =
        unknown.lines().chain(["planted", "PLANTED", "252 113 94", "49082bafec6d"]).collect();
    assert_eq!(secrets.len(), 7, "{unknown}");
    for (name, text) in &written {
        let text = String::from_utf8_lossy(text);
        for secret in &secrets {
            let found = text.lines().find(|line| line.contains(secret));
            assert!(found.is_none(), "{name} holds {secret}: {found:?}");
        }
    }
}
