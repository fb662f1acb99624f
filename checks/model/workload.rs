//! What an image and its settings show about the program: whether it keeps data, and how much memory it takes.

/// Images of programs that keep their data in a volume.
const STATEFUL: &[&str] = &[
    "cassandra",
    "clickhouse-server",
    "consul",
    "couchdb",
    "elasticsearch",
    "etcd",
    "gitea",
    "gitlab-ce",
    "gitlab-ee",
    "influxdb",
    "kafka",
    "mariadb",
    "mariadb-galera",
    "minio",
    "mongo",
    "mongodb",
    "mysql",
    "nats",
    "neo4j",
    "nifi",
    "opensearch",
    "postgis",
    "postgres",
    "postgresql",
    "rabbitmq",
    "redis",
    "timescaledb",
    "valkey",
    "vault",
    "zookeeper",
];

/// Variables with the heap size or the options of a Java program.
const HEAP_VARIABLES: &[&str] = &[
    "NIFI_JVM_HEAP_MAX",
    "MAX_HEAP_SIZE",
    "ES_JAVA_OPTS",
    "OPENSEARCH_JAVA_OPTS",
    "KAFKA_HEAP_OPTS",
    "JVMFLAGS",
    "JVM_OPTS",
    "JAVA_OPTS",
    "JAVA_TOOL_OPTIONS",
    "CATALINA_OPTS",
];

/// The last part of an image's name, without its tag and digest.
pub(crate) fn base_name(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split(':').next().unwrap_or_default()
}

/// Whether the image is of a program that keeps data.
pub(crate) fn is_stateful(image: &str) -> bool {
    STATEFUL.contains(&base_name(image))
}

/// Images of databases whose clients hold connections open while they are idle, without keepalives of their own.
const POOLED: &[&str] = &[
    "clickhouse-server",
    "mariadb",
    "mariadb-galera",
    "mongo",
    "mongodb",
    "mysql",
    "postgis",
    "postgres",
    "postgresql",
    "redis",
    "timescaledb",
    "valkey",
];

/// Whether clients of the image hold idle connections.
pub(crate) fn holds_idle_connections(image: &str) -> bool {
    POOLED.contains(&base_name(image))
}

/// The maximum Java heap in bytes, with the variable that sets it.
pub(crate) fn java_heap<'a>(env: impl Iterator<Item = (&'a str, &'a str)>) -> Option<(&'a str, i64)> {
    let heap = |(name, value): (&'a str, &'a str)| {
        if !HEAP_VARIABLES.contains(&name) {
            return None;
        }
        let whole = matches!(name, "NIFI_JVM_HEAP_MAX" | "MAX_HEAP_SIZE").then_some(value);
        let option = || value.split_whitespace().rev().find_map(|word| word.strip_prefix("-Xmx"));
        Some((name, java_size(whole.or_else(option)?)?))
    };
    env.filter_map(heap).max_by_key(|(_, bytes)| *bytes)
}

/// `512m`, `2G`, `1073741824`.
fn java_size(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|char: char| char.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => return None,
    };
    digits.parse::<i64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_heaps() {
        assert_eq!(
            java_heap([("ES_JAVA_OPTS", "-Xms1g -Xmx2g")].into_iter()),
            Some(("ES_JAVA_OPTS", 2 << 30))
        );
        assert_eq!(
            java_heap([("NIFI_JVM_HEAP_MAX", "512m")].into_iter()),
            Some(("NIFI_JVM_HEAP_MAX", 512 << 20))
        );
        assert_eq!(java_heap([("JAVA_OPTS", "-XX:MaxRAMPercentage=75")].into_iter()), None);
        assert_eq!(java_heap([("PATH", "-Xmx1g")].into_iter()), None);
    }

    #[test]
    fn an_image_is_known_by_its_own_name() {
        assert!(is_stateful("registry.example.com:5000/team/postgres:16@sha256:00"));
        assert!(!is_stateful("prom/postgres-exporter:1") && !is_stateful(""));
    }
}
