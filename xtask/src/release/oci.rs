//! One image for several platforms in one file, as the OCI image layout says, written without a daemon or a builder.
//!
//! containerd, podman, skopeo and `docker load` read it. It knows nothing of what is inside.

use std::fmt::Write as _;

use anyhow::Result;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::archive::{Archive, gzip};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// What is said of an image besides its content.
#[derive(Clone, Debug)]
pub(super) struct About<'a> {
    /// Registry and repository.
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    /// Of the source, as git names it.
    pub(super) revision: &'a str,
    /// As RFC 3339.
    pub(super) created: &'a str,
    pub(super) seconds: u64,
}

/// The root file system for one processor.
#[derive(Debug)]
pub(super) struct Platform {
    /// As Go and OCI call it.
    pub(super) architecture: &'static str,
    pub(super) files: Archive,
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in digest(&SHA256, bytes).as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The archive's bytes.
pub(super) fn image(about: &About<'_>, platforms: &[Platform]) -> Result<Vec<u8>> {
    let mut layout = Archive::default();
    let mut blob = |media_type: &str, bytes: Vec<u8>| {
        let digest = sha256(&bytes);
        let descriptor = json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len()});
        layout.add(format!("blobs/sha256/{digest}"), bytes);
        descriptor
    };
    let mut manifests = Vec::new();
    for platform in platforms {
        let tar = platform.files.tar(about.seconds)?;
        let layer = blob(LAYER, gzip(&tar)?);
        let config = blob(CONFIG, serde_json::to_vec(&config(about, platform.architecture, &sha256(&tar)))?);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer], "annotations": annotations(about),
        });
        let mut descriptor = blob(MANIFEST, serde_json::to_vec(&manifest)?);
        descriptor["platform"] = json!({"architecture": platform.architecture, "os": "linux"});
        manifests.push(descriptor);
    }
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests, "annotations": annotations(about)});
    let mut descriptor = blob(INDEX, serde_json::to_vec(&index)?);
    // The one is skopeo's and podman's, the other containerd's.
    descriptor["annotations"] = json!({
        "org.opencontainers.image.ref.name": about.version, "io.containerd.image.name": format!("{}:{}", about.name, about.version),
    });
    layout.add("index.json", serde_json::to_vec(&json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor]}))?);
    layout.add("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    layout.tar(about.seconds)
}

fn annotations(about: &About<'_>) -> Value {
    json!({
        "org.opencontainers.image.title": "coalmine", "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.version": about.version, "org.opencontainers.image.revision": about.revision,
        "org.opencontainers.image.created": about.created,
    })
}

/// As `deploy/Containerfile` says.
fn config(about: &About<'_>, architecture: &str, layer: &str) -> Value {
    json!({
        "architecture": architecture, "os": "linux", "created": about.created,
        "config": {
            "User": "65532:65532", "Entrypoint": ["/coalmine"], "ExposedPorts": {"8080/tcp": {}, "8081/tcp": {}, "10250/tcp": {}},
            "Labels": annotations(about),
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer}")]},
        "history": [{"created": about.created, "created_by": "cargo xtask release"}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command;

    fn platform(architecture: &'static str) -> Platform {
        let mut files = Archive::default();
        files.add_program("coalmine", architecture);
        Platform { architecture, files }
    }

    const ABOUT: About<'_> = About {
        name: "registry.example/coalmine",
        version: "1.2.3",
        revision: "0123abcd",
        created: "2026-01-01T00:00:00Z",
        seconds: 1_767_225_600,
    };

    /// Every descriptor, from the index down, names bytes that are there and are what it says.
    #[test]
    fn each_descriptor_names_what_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image.tar");
        std::fs::write(&path, image(&ABOUT, &[platform("amd64"), platform("arm64")]).unwrap()).unwrap();
        command::run(command::program("tar").unwrap().arg("-xf").arg(&path).arg("-C").arg(directory.path())).unwrap();
        let read = |descriptor: &Value| -> Vec<u8> {
            let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
            let bytes = std::fs::read(directory.path().join("blobs/sha256").join(digest)).unwrap();
            assert_eq!((sha256(&bytes).as_str(), bytes.len() as u64), (digest, descriptor["size"].as_u64().unwrap()));
            bytes
        };
        let parse = |descriptor: &Value| -> Value { serde_json::from_slice(&read(descriptor)).unwrap() };
        let top: Value = serde_json::from_slice(&std::fs::read(directory.path().join("index.json")).unwrap()).unwrap();
        let index = parse(&top["manifests"][0]);
        let mut architectures = Vec::new();
        for descriptor in index["manifests"].as_array().unwrap() {
            let manifest = parse(descriptor);
            let config = parse(&manifest["config"]);
            assert_eq!(config["architecture"], descriptor["platform"]["architecture"]);
            architectures.push(config["architecture"].clone());
            let layer = directory.path().join("layer.tar.gz");
            std::fs::write(&layer, read(&manifest["layers"][0])).unwrap();
            let unpacked = command::output(command::program("gzip").unwrap().arg("-dc").arg(&layer)).unwrap().stdout;
            assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", sha256(&unpacked)));
        }
        assert_eq!(architectures, ["amd64", "arm64"]);
    }

    #[test]
    fn a_digest_is_that_of_everybody_else() {
        assert_eq!(sha256(b""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
