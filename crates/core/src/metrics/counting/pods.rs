//! Whether a series is the canary's or the primary's, by its labels. Scrape configurations write a pod's name into one of several labels, or only
//! its address into `instance`; in either case one pattern selects both sides in one query.

use std::collections::{BTreeMap, BTreeSet};

use super::Labels;

/// Which side of the comparison a pod is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Canary,
    Primary,
}

/// The label that tells pods apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PodLabel {
    Pod,
    PodName,
    /// Of the application, where the scraper's own label is another pod's.
    ExportedPod,
    KubernetesPod,
    KubernetesPodName,
    K8sPodName,
    /// The pod's address, with or without a port.
    Instance,
}

impl PodLabel {
    /// In the order in which they are believed.
    pub const ALL: [Self; 7] =
        [Self::Pod, Self::PodName, Self::ExportedPod, Self::KubernetesPod, Self::KubernetesPodName, Self::K8sPodName, Self::Instance];

    pub fn name(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::PodName => "pod_name",
            Self::ExportedPod => "exported_pod",
            Self::KubernetesPod => "kubernetes_pod",
            Self::KubernetesPodName => "kubernetes_pod_name",
            Self::K8sPodName => "k8s_pod_name",
            Self::Instance => "instance",
        }
    }

    /// The label that goes with it for the namespace; addresses need none.
    pub fn namespace(self) -> Option<&'static str> {
        match self {
            Self::Pod | Self::PodName => Some("namespace"),
            Self::ExportedPod => Some("exported_namespace"),
            Self::KubernetesPod | Self::KubernetesPodName => Some("kubernetes_namespace"),
            Self::K8sPodName => Some("k8s_namespace_name"),
            Self::Instance => None,
        }
    }
}

/// The pods of one side: their names, and their addresses for scrapes that don't keep names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Members {
    pub names: BTreeSet<String>,
    /// Pod address to pod name.
    pub addresses: BTreeMap<String, String>,
    /// Of pods on their node's network, which are reached there; whose a series is such an address doesn't say.
    pub on_nodes: BTreeSet<String>,
}

impl Members {
    pub fn of_names<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self { names: names.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    #[must_use]
    pub fn with_address(mut self, address: impl Into<String>, pod: impl Into<String>) -> Self {
        self.addresses.insert(address.into(), pod.into());
        self
    }

    /// Where one of them is reached.
    pub fn reached_at(&self) -> Option<&str> {
        self.addresses.keys().chain(&self.on_nodes).next().map(String::as_str)
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.addresses.is_empty()
    }

    fn holds(&self, pod: &str) -> bool {
        self.names.contains(pod)
    }

    /// Alternatives of a regular expression over `label` that matches these pods; empty when there are none.
    /// Written without backslashes, so that it may stand in any kind of PromQL string.
    pub fn alternatives(&self, label: PodLabel) -> Vec<String> {
        if label == PodLabel::Instance {
            return self.addresses.keys().map(|address| format!("{}(:[0-9]+)?", escaped(&bracketed(address)))).collect();
        }
        self.names.iter().map(|name| escaped(name)).collect()
    }

    /// The alternatives as one expression, for the placeholder `{{pods}}` of a check.
    pub fn pattern(&self, label: PodLabel) -> String {
        self.alternatives(label).join("|")
    }
}

/// Whose series are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    pub namespace: String,
    pub pods: Pods,
}

/// Both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pods {
    pub canary: Members,
    pub primary: Members,
}

impl Pods {
    /// Whose series this is: the first label that names a pod of ours decides.
    pub fn identify(&self, labels: &Labels) -> Option<(Role, String)> {
        PodLabel::ALL.into_iter().find_map(|label| self.identify_by(label, labels))
    }

    /// The same, looking at one label only.
    pub fn identify_by(&self, label: PodLabel, labels: &Labels) -> Option<(Role, String)> {
        let value = labels.get(label.name())?;
        let sides = [(Role::Canary, &self.canary), (Role::Primary, &self.primary)];
        if label == PodLabel::Instance {
            let host = host(value);
            return sides.into_iter().find_map(|(role, side)| side.addresses.get(host).map(|pod| (role, pod.clone())));
        }
        sides.into_iter().find(|(_, side)| side.holds(value)).map(|(role, _)| (role, value.clone()))
    }

    /// One pattern over both sides.
    pub fn pattern(&self, label: PodLabel) -> String {
        let mut alternatives = self.canary.alternatives(label);
        alternatives.extend(self.primary.alternatives(label));
        alternatives.join("|")
    }
}

/// `10.0.0.7:8080`, `[fd00::7]:8080` or a bare address, without the port.
pub(super) fn host(instance: &str) -> &str {
    if let Some(rest) = instance.strip_prefix('[') {
        return rest.split_once(']').map_or(rest, |(host, _)| host);
    }
    match instance.split_once(':') {
        Some((host, port)) if !port.contains(':') => host,
        _ => instance,
    }
}

/// The port of such an address, if it has one.
pub fn port(instance: &str) -> Option<u16> {
    let (address, port) = instance.rsplit_once(':')?;
    let is_whole = address.ends_with(']') || !address.contains(':');
    port.parse().ok().filter(|_| is_whole)
}

/// An address as a URL spells it.
pub fn bracketed(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

/// A character class instead of a backslash: PromQL strings would need the backslash doubled, or not, depending on the quotes.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '$' => {
                out.push('[');
                out.push(character);
                out.push(']');
            }
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn pods() -> Pods {
        Pods {
            canary: Members::of_names(["app-canary-77f-abcde"])
                .with_address("10.0.0.9", "app-canary-77f-abcde")
                .with_address("fd00::9", "six"),
            primary: Members::of_names(["app-6d5f-x2z9q"]).with_address("10.0.0.1", "app-6d5f-aaaaa"),
        }
    }

    #[rstest]
    #[case::pod(&[("pod", "app-6d5f-x2z9q")], Some((Role::Primary, "app-6d5f-x2z9q")))]
    #[case::canary(&[("pod_name", "app-canary-77f-abcde")], Some((Role::Canary, "app-canary-77f-abcde")))]
    #[case::the_old_example_configuration(&[("kubernetes_pod_name", "app-6d5f-x2z9q")], Some((Role::Primary, "app-6d5f-x2z9q")))]
    #[case::of_the_application(&[("pod", "prometheus-0"), ("exported_pod", "app-6d5f-x2z9q")], Some((Role::Primary, "app-6d5f-x2z9q")))]
    #[case::another_example(&[("kubernetes_pod", "app-6d5f-x2z9q")], Some((Role::Primary, "app-6d5f-x2z9q")))]
    #[case::the_exporter_is_not_the_pod(&[("pod", "otel-collector-1"), ("k8s_pod_name", "app-6d5f-x2z9q")], Some((Role::Primary, "app-6d5f-x2z9q")))]
    #[case::address(&[("instance", "10.0.0.9:8080")], Some((Role::Canary, "app-canary-77f-abcde")))]
    #[case::six(&[("instance", "[fd00::9]:8080")], Some((Role::Canary, "six")))]
    #[case::another_canary(&[("pod", "app-canary-77f-zzzzz")], None)]
    #[case::another_clusters(&[("pod", "app-6d5f-y3x8r")], None)]
    #[case::a_longer_name(&[("pod", "app-6d5f-worker-x2z9q")], None)]
    #[case::another_address(&[("instance", "10.0.0.11:8080")], None)]
    #[case::nothing(&[], None)]
    fn pods_are_told_apart(#[case] given: &[(&str, &str)], #[case] expected: Option<(Role, &str)>) {
        assert_eq!(pods().identify(&labels(given)), expected.map(|(role, pod)| (role, pod.to_owned())));
    }

    #[rstest]
    #[case("10.0.0.9:8080", "10.0.0.9", Some(8080))]
    #[case("[fd00::9]:8080", "fd00::9", Some(8080))]
    #[case("10.0.0.9", "10.0.0.9", None)]
    #[case("fd00::9", "fd00::9", None)]
    #[case("[fd00::9]", "fd00::9", None)]
    #[case("app:http", "app", None)]
    #[case("", "", None)]
    fn hosts_and_ports(#[case] instance: &str, #[case] expected: &str, #[case] expected_port: Option<u16>) {
        assert_eq!((host(instance), port(instance)), (expected, expected_port));
    }

    #[test]
    fn one_pattern_selects_both_sides() {
        insta::assert_snapshot!(pods().pattern(PodLabel::Pod), @"app-canary-77f-abcde|app-6d5f-x2z9q");
        insta::assert_snapshot!(pods().pattern(PodLabel::Instance), @"10[.]0[.]0[.]9(:[0-9]+)?|[[]fd00::9[]](:[0-9]+)?|10[.]0[.]0[.]1(:[0-9]+)?");
    }
}
