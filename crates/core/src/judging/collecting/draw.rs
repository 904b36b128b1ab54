//! Whose pages are read: some pods that stand for the others, spread over nodes. Those that were drawn stay as long as they are there, so that
//! counts go on.

use std::collections::BTreeMap;

use crate::judging::scope::Pod;

/// The maximum number of the primary's pods that are read; they stand for all.
pub(super) const MOST_PRIMARY: usize = 8;
/// A canary has one; while it is replaced there may be another.
pub(super) const MOST_CANARY: usize = 2;

/// Of all pods that serve, those that are read from now on.
pub(super) fn draw(before: &[Pod], pods: impl Iterator<Item = Pod>, most: usize) -> Vec<Pod> {
    let mut rest: Vec<Pod> = pods.filter(|pod| pod.is_serving && pod.address.is_some() && !pod.on_host_network).collect();
    rest.sort_by(|one, other| one.name.cmp(&other.name));
    let is_known = |pod: &Pod| before.iter().any(|known| known.name == pod.name && known.address == pod.address);
    let (mut drawn, mut rest): (Vec<Pod>, Vec<Pod>) = rest.drain(..).partition(is_known);
    drawn.truncate(most);
    while drawn.len() < most && !rest.is_empty() {
        let mut on_node: BTreeMap<&Option<String>, usize> = BTreeMap::new();
        for pod in &drawn {
            *on_node.entry(&pod.node).or_default() += 1;
        }
        // The first of the node that has fewest.
        let fewest = (0..rest.len()).min_by_key(|at| on_node.get(&rest[*at].node).copied().unwrap_or_default());
        drawn.extend(fewest.map(|at| rest.remove(at)));
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, node: &str) -> Pod {
        Pod { name: name.to_owned(), address: Some("10.0.0.1".to_owned()), node: Some(node.to_owned()), is_serving: true, ..Pod::default() }
    }

    fn names(drawn: &[Pod]) -> String {
        drawn.iter().map(|pod| pod.name.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn they_are_spread_over_nodes_and_stay() {
        let pods =
            || ["a1 n1", "a2 n1", "a3 n1", "b1 n2", "c1 n3"].map(|line| line.split_once(' ').unwrap()).map(|(name, node)| pod(name, node));
        let drawn = draw(&[], pods().into_iter(), 3);
        assert_eq!(names(&drawn), "a1 b1 c1");
        let without_b = pods().into_iter().filter(|pod| pod.name != "b1").chain([pod("a0", "n4")]);
        assert_eq!(names(&draw(&drawn, without_b, 3)), "a1 c1 a0");
    }

    #[test]
    fn who_does_not_serve_is_not_read() {
        let starting = Pod { is_serving: false, ..pod("a1", "n1") };
        let on_host = Pod { on_host_network: true, ..pod("a2", "n1") };
        assert_eq!(draw(&[], [starting, on_host].into_iter(), 3), []);
    }
}
