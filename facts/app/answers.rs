//! The answers of NiFi.

use super::{App, HttpProbe, Reply};
use serde::Deserialize;

/// A node in the list of a NiFi.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterNode {
    /// The address that the node advertised.
    pub address: String,
    /// Its port.
    pub api_port: u16,
    /// Such as `CONNECTED`.
    pub status: String,
}

/// The state of a NiFi in its cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Membership {
    /// Whether it is configured as a cluster node.
    pub clustered: bool,
    /// Whether it is connected.
    pub connected_to_cluster: bool,
    /// The connected nodes.
    pub connected_node_count: u32,
    /// All nodes.
    pub total_node_count: u32,
}

impl App {
    /// The first answer to a path, whatever its status.
    pub fn answer(&self, path: &str) -> Option<(&HttpProbe, &Reply)> {
        let mut answers =
            self.http_probes.iter().filter(|asked| asked.host.is_none() && asked.url.ends_with(path));
        answers.find_map(|asked| Some((asked, asked.result.as_ref().ok()?)))
    }

    /// The nodes that it lists; empty without an answer.
    pub fn nodes(&self) -> Vec<ClusterNode> {
        #[derive(Deserialize)]
        struct Body {
            cluster: Cluster,
        }
        #[derive(Deserialize)]
        struct Cluster {
            #[serde(default)]
            nodes: Vec<ClusterNode>,
        }
        let body = self
            .good("/nifi-api/controller/cluster")
            .and_then(|body| serde_json::from_str::<Body>(body).ok());
        body.map(|body| body.cluster.nodes).unwrap_or_default()
    }

    /// Its state in its cluster.
    pub fn membership(&self) -> Option<Membership> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Body {
            cluster_summary: Membership,
        }
        let body = self.good("/nifi-api/flow/cluster/summary")?;
        serde_json::from_str::<Body>(body).ok().map(|body| body.cluster_summary)
    }

    /// Its version.
    pub fn version(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Body {
            about: About,
        }
        #[derive(Deserialize)]
        struct About {
            version: String,
        }
        let body = self.good("/nifi-api/flow/about")?;
        serde_json::from_str::<Body>(body).ok().map(|body| body.about.version)
    }

    /// The body of a JSON answer to a path.
    fn good(&self, path: &str) -> Option<&str> {
        let answers =
            self.http_probes.iter().filter(|asked| asked.host.is_none() && asked.url.ends_with(path));
        let mut good =
            answers.filter_map(|asked| asked.result.as_ref().ok()).filter(|reply| reply.status == 200);
        // A refused host is answered with 200 and a page.
        good.find(|reply| reply.body.trim_start().starts_with('{')).map(|reply| reply.body.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(path: &str, bodies: &[&str]) -> App {
        let asked = |body: &&str| HttpProbe {
            url: format!("http://nifi1:8080{path}"),
            host: None,
            target: String::new(),
            addr: None,
            result: Ok(Reply { status: 200, body: (*body).to_owned() }),
        };
        App { http_probes: bodies.iter().map(asked).collect(), ..App::default() }
    }

    #[test]
    fn a_page_that_refuses_with_200_is_no_answer() {
        let path = "/nifi-api/flow/cluster/summary";
        let page = "<h1>System Error</h1>";
        let body = r#"{"clusterSummary":{"clustered":true,"connectedToCluster":false,"totalNodeCount":0}}"#;
        assert_eq!(app(path, &[page]).membership(), None);
        let membership = app(path, &[page, body]).membership().unwrap();
        assert!(membership.clustered && !membership.connected_to_cluster);
    }

    #[test]
    fn reads_the_nodes_of_a_cluster() {
        let body = r#"{"cluster":{"nodes":[{"nodeId":"a","address":"localhost","apiPort":8080,"status":"CONNECTED","roles":[]}]}}"#;
        let nodes = app("/nifi-api/controller/cluster", &[body]).nodes();
        assert_eq!(nodes[0].address, "localhost");
        assert!(app("/nifi-api/controller/cluster", &["no JSON"]).nodes().is_empty());
    }
}
