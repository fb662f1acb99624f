//! The image from scratch, as an OCI layout that `docker load` reads: engines before 25 read `manifest.json`, later ones
//! `index.json`.

use super::tree::{Entry, tar};
use super::{Source, VERSION, digest};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The name of the image after `docker load`.
const NAME: &str = "swarm-doctor";

pub(super) fn image(source: &Source) -> anyhow::Result<PathBuf> {
    let binary = Entry::File(0o755, std::fs::read(&source.binary)?);
    let files = [("usr/bin/swarm-doctor".into(), binary), ("tmp".into(), Entry::Folder)];
    let layer = tar(&files, Path::new(""), source.time)?;
    let created = created(source.time)?;
    let config = serde_json::to_vec(&json!({
        "architecture": "amd64",
        "os": "linux",
        "created": created,
        "config": {
            "Entrypoint": ["/usr/bin/swarm-doctor"],
            "Cmd": ["run"],
            "Labels": {
                "org.opencontainers.image.title": NAME,
                "org.opencontainers.image.description": "Diagnoses a Docker Swarm",
                "org.opencontainers.image.version": VERSION,
                "org.opencontainers.image.source": env!("CARGO_PKG_REPOSITORY"),
                "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
            },
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", digest(&layer))] },
        "history": [{ "created": created, "created_by": "cargo xtask package" }],
    }))?;
    let described = |kind: &str, content: &[u8]| json!({ "mediaType": kind, "digest": format!("sha256:{}", digest(content)), "size": content.len() });
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": described("application/vnd.oci.image.config.v1+json", &config),
        "layers": [described("application/vnd.oci.image.layer.v1.tar", &layer)],
    }))?;
    let mut entry = described("application/vnd.oci.image.manifest.v1+json", &manifest);
    entry["annotations"] = json!({
        "io.containerd.image.name": format!("docker.io/library/{NAME}:{VERSION}"),
        "org.opencontainers.image.ref.name": VERSION,
    });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry],
    });
    let blob = |content: &[u8]| format!("blobs/sha256/{}", digest(content));
    let saved = json!([{
        "Config": blob(&config),
        "RepoTags": [format!("{NAME}:{VERSION}")],
        "Layers": [blob(&layer)],
    }]);
    let text =
        |value: &Value| -> anyhow::Result<Entry> { Ok(Entry::File(0o644, serde_json::to_vec(value)?)) };
    let mut files: Vec<(PathBuf, Entry)> = vec![
        ("oci-layout".into(), text(&json!({ "imageLayoutVersion": "1.0.0" }))?),
        ("index.json".into(), text(&index)?),
        ("manifest.json".into(), text(&saved)?),
    ];
    for content in [config, manifest, layer] {
        files.push((blob(&content).into(), Entry::File(0o644, content)));
    }
    let path = source.folder.join(format!("swarm-doctor-{VERSION}-x86_64-image.tar"));
    std::fs::write(&path, tar(&files, Path::new(""), source.time)?)?;
    Ok(path)
}

/// The time as RFC 3339 has it.
fn created(time: u64) -> anyhow::Result<String> {
    Ok(jiff::Timestamp::from_second(i64::try_from(time)?)?.to_string())
}
