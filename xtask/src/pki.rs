//! The certificates of one cluster, and the kubeconfig files made from them.
//!
//! They are made once per cluster and kept until it is taken down; nothing here is fit for more than a development machine.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};

use crate::command::write_private;

/// A client certificate's file name, user and group.
struct Client {
    file: &'static str,
    user: &'static str,
    group: Option<&'static str>,
    /// A DNS name, for servers that tell clients of one authority apart by it.
    name: Option<&'static str>,
}

/// The name that the API server has where it is a client of webhooks.
pub(crate) const CLIENT_OF_WEBHOOKS: &str = "webhooks.kube-apiserver";

/// Who talks to the API server. The last two are the other way round: the API server as the kubelet's client, and as that of webhooks.
const CLIENTS: [Client; 8] = [
    Client { file: "admin", user: "kubernetes-admin", group: Some("system:masters"), name: None },
    Client { file: "controller-manager", user: "system:kube-controller-manager", group: None, name: None },
    Client { file: "scheduler", user: "system:kube-scheduler", group: None, name: None },
    Client { file: "kubelet", user: "system:node:node1", group: Some("system:nodes"), name: None },
    Client { file: "kube-proxy", user: "system:kube-proxy", group: None, name: None },
    Client { file: "coredns", user: "system:coredns", group: None, name: None },
    Client { file: "kubelet-client", user: "kube-apiserver-kubelet-client", group: Some("system:masters"), name: None },
    Client { file: "webhooks", user: "kube-apiserver", group: None, name: Some(CLIENT_OF_WEBHOOKS) },
];

/// The directory with a cluster's certificates.
#[derive(Clone, Debug)]
pub(crate) struct Pki {
    directory: PathBuf,
}

impl Pki {
    /// Makes everything, unless it is there already. `names` are the API server's, beside `localhost` and its in-cluster names.
    pub(crate) fn ensure(directory: &Path, names: &[&str]) -> Result<Self> {
        let pki = Self { directory: directory.to_path_buf() };
        if directory.is_dir() {
            return Ok(pki);
        }
        // Written beside and renamed: a directory of that name is always complete.
        let partial = directory.with_extension("partial");
        match fs::remove_dir_all(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).context("failed to remove unfinished certificates"),
            _ => {}
        }
        fs::create_dir_all(&partial).with_context(|| format!("failed to create {}", partial.display()))?;
        make(&partial, names).context("failed to make certificates")?;
        fs::rename(&partial, directory).with_context(|| format!("failed to create {}", directory.display()))?;
        Ok(pki)
    }

    pub(crate) fn certificate(&self, name: &str) -> String {
        self.directory.join(format!("{name}.crt")).to_string_lossy().into_owned()
    }

    pub(crate) fn key(&self, name: &str) -> String {
        self.directory.join(format!("{name}.key")).to_string_lossy().into_owned()
    }

    /// A kubeconfig that stands alone: its certificates are inside.
    pub(crate) fn write_kubeconfig(&self, path: &Path, client: &str, server: &str, context: &str) -> Result<()> {
        let embedded = |file: String| -> Result<String> {
            Ok(BASE64_STANDARD.encode(fs::read(&file).with_context(|| format!("failed to read {file}"))?))
        };
        let content = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: {context}\n  cluster:\n    server: {server}\n    \
             certificate-authority-data: {}\nusers:\n- name: {context}\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\n\
             contexts:\n- name: {context}\n  context: {{cluster: {context}, user: {context}}}\ncurrent-context: {context}\n",
            embedded(self.certificate("ca"))?,
            embedded(self.certificate(client))?,
            embedded(self.key(client))?,
        );
        write_private(path, &content)
    }
}

fn make(directory: &Path, names: &[&str]) -> Result<()> {
    let authority_key = KeyPair::generate()?;
    let mut authority = parameters("coalmine-development", None)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    write_pair(directory, "ca", &authority.self_signed(&authority_key)?.pem(), &authority_key)?;
    let issuer = Issuer::new(authority, authority_key);

    let mut server = parameters("kube-apiserver", None)?;
    let in_cluster = ["localhost", "127.0.0.1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
    let mut all: Vec<String> = in_cluster.iter().chain(names).map(|name| (*name).to_owned()).collect();
    all.sort();
    all.dedup();
    server.subject_alt_names = CertificateParams::new(all)?.subject_alt_names;
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    write_pair(directory, "apiserver", &server.signed_by(&key, &issuer)?.pem(), &key)?;

    for client in CLIENTS {
        let mut leaf = parameters(client.user, client.group)?;
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        leaf.subject_alt_names = CertificateParams::new(client.name.map(str::to_owned).into_iter().collect::<Vec<_>>())?.subject_alt_names;
        let key = KeyPair::generate()?;
        write_pair(directory, client.file, &leaf.signed_by(&key, &issuer)?.pem(), &key)?;
    }

    let service_accounts = KeyPair::generate()?;
    write_private(&directory.join("service-accounts.key"), service_accounts.serialize_pem())?;
    write_private(&directory.join("service-accounts.pub"), service_accounts.public_key_pem())
}

fn parameters(user: &str, group: Option<&str>) -> Result<CertificateParams> {
    let mut parameters = CertificateParams::new(Vec::new())?;
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, user);
    if let Some(group) = group {
        parameters.distinguished_name.push(DnType::OrganizationName, group);
    }
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // Fixed dates: the clusters live for days, and a clock that is wrong should not break them.
    parameters.not_before = date_time_ymd(2025, 1, 1);
    parameters.not_after = date_time_ymd(2045, 1, 1);
    Ok(parameters)
}

fn write_pair(directory: &Path, name: &str, certificate: &str, key: &KeyPair) -> Result<()> {
    write_private(&directory.join(format!("{name}.crt")), certificate)?;
    write_private(&directory.join(format!("{name}.key")), key.serialize_pem())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn certificates_are_made_once_and_are_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pki");
        let first = Pki::ensure(&path, &["10.96.0.1"]).unwrap();
        let authority = fs::read(first.certificate("ca")).unwrap();
        let second = Pki::ensure(&path, &["10.96.0.1"]).unwrap();
        assert_eq!(fs::read(second.certificate("ca")).unwrap(), authority);
        for client in CLIENTS {
            let mode = fs::metadata(first.key(client.file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", client.file);
        }
    }

    #[test]
    fn a_kubeconfig_stands_alone() {
        let directory = tempfile::tempdir().unwrap();
        let pki = Pki::ensure(&directory.path().join("pki"), &[]).unwrap();
        let path = directory.path().join("kubeconfig");
        pki.write_kubeconfig(&path, "admin", "https://127.0.0.1:21000", "coalmine").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("server: https://127.0.0.1:21000\n"), "{text}");
        assert!(!text.contains(directory.path().to_str().unwrap()), "no file is referred to: {text}");
    }
}
