//! A question that is longer than a server takes, in parts: each is about some of the pods, so that no series is asked for twice. Pure.

use crate::metrics::counting::{Members, Pods, Scope};

/// What those who take no longer ones are asked next: what `VictoriaMetrics` takes (`-search.maxQueryLen`), and what fits into an address, where it is
/// encoded.
pub const LENGTHS: [usize; 2] = [16 << 10, 4 << 10];

/// The questions about all pods. Of one pod, it is as long as it is; `None`: there is nobody to ask about.
pub fn by_pods(scope: &Scope, longest: usize, question: &impl Fn(&Scope) -> Option<String>) -> Vec<String> {
    let Some(whole) = question(scope) else { return Vec::new() };
    if whole.len() <= longest {
        return vec![whole];
    }
    halves(scope).map_or_else(|| vec![whole], |halves| halves.iter().flat_map(|half| by_pods(half, longest, question)).collect())
}

/// The canary's pods are in the first.
fn halves(scope: &Scope) -> Option<[Scope; 2]> {
    let Pods { canary, primary } = &scope.pods;
    let middle = primary.names.iter().nth(primary.names.len() / 2).filter(|_| primary.names.len() > 1)?;
    let half = |canary: &Members, is_of: &dyn Fn(&str) -> bool| {
        let names = primary.names.iter().filter(|name| is_of(name)).cloned().collect();
        let addresses = primary.addresses.iter().filter(|(_, name)| is_of(name)).map(|(at, name)| (at.clone(), name.clone())).collect();
        Scope {
            namespace: scope.namespace.clone(),
            pods: Pods { canary: canary.clone(), primary: Members { names, addresses, ..Members::default() } },
        }
    };
    Some([half(canary, &|name| name < middle.as_str()), half(&Members::default(), &|name| name >= middle.as_str())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::counting::PodLabel;

    #[test]
    fn each_pod_is_in_one_of_them() {
        let names: Vec<String> = (0..7).map(|n| format!("app-6d5f-{n}")).collect();
        let primary = Members::of_names(names.clone()).with_address("10.0.0.3", "app-6d5f-3");
        let pods = Pods { canary: Members::of_names(["app-canary-77f-c"]), primary };
        let scope = Scope { namespace: "shop".to_owned(), pods };
        let of = |label: PodLabel| move |scope: &Scope| Some(scope.pods.pattern(label)).filter(|pattern| !pattern.is_empty());
        assert_eq!(by_pods(&scope, 1000, &of(PodLabel::Pod)).len(), 1);
        let parts = by_pods(&scope, 40, &of(PodLabel::Pod));
        assert!(parts.iter().all(|part| part.len() <= 40), "{parts:?}");
        assert_eq!(parts.join("|"), scope.pods.pattern(PodLabel::Pod));
        assert_eq!(by_pods(&scope, 3, &of(PodLabel::Instance)), ["10[.]0[.]0[.]3(:[0-9]+)?"]);
        assert_eq!(by_pods(&Scope::default(), 3, &of(PodLabel::Pod)), Vec::<String>::new());
    }
}
