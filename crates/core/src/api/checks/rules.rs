//! What an operator lets checks do in this cluster. Admission and controller ask the same question of a list that is well formed already.

use super::{Check, CheckProblem, ChecksError, Names, Origin, Probe, View, question};

/// Set once for a process. The default is what is right without any setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Instead of their own namespace's series alone.
    pub see_all_namespaces: bool,
    pub without_prometheus: bool,
    pub without_datadog: bool,
}

impl Rules {
    /// Whether checks of this namespace can be asked at all.
    pub fn accept(self, checks: &[Check], namespace: &str) -> Result<(), ChecksError> {
        let refused = |check: &Check| {
            let Probe::Query { origin, query, .. } = &check.probe else { return None };
            let name = |text: &str| text.to_owned();
            let names = || Names { namespace: name(namespace), pods: name("pod"), primary: name("primary") };
            let problem = match self.lacks(*origin) {
                Some(lacking) => CheckProblem::NoSource(lacking),
                None => CheckProblem::Query(question(*origin, query, &names(), self.view("namespace")).err()?),
            };
            Some(ChecksError::Check { name: check.name.clone(), problem })
        };
        checks.iter().find_map(refused).map_or(Ok(()), Err)
    }

    /// Why this source can't be asked, if it can't.
    pub fn lacks(self, origin: Origin) -> Option<&'static str> {
        match origin {
            Origin::Prometheus => self.without_prometheus.then_some("Coalmine was started without Prometheus"),
            Origin::Datadog => self.without_datadog.then_some("Coalmine was started without Datadog's keys"),
            Origin::Pages => None,
        }
    }

    /// How queries are asked where this label says a series' namespace.
    pub fn view(self, label: &str) -> View<'_> {
        if self.see_all_namespaces { View::All } else { View::Own { label } }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::parse_list;
    use super::*;

    const DEFAULT: Rules = Rules { see_all_namespaces: false, without_prometheus: false, without_datadog: false };
    const ALL: Rules = Rules { see_all_namespaces: true, ..DEFAULT };
    const NOTHING: Rules = Rules { without_prometheus: true, without_datadog: true, ..DEFAULT };

    #[rstest]
    #[case::own(DEFAULT, "query: 'a{namespace=\"shop\",pod=~\"{{pods}}\"}'", "")]
    #[case::another(
        DEFAULT,
        "query: 'max(salary{namespace=\"hr\"})'",
        "check a: query: asks for namespace=\"hr\"; a check sees the series of its own namespace alone"
    )]
    #[case::another_where_that_is_allowed(ALL, "query: 'max(salary{namespace=\"hr\"})'", "")]
    #[case::a_newer_function_where_all_is_seen(ALL, "query: 'histogram_of_tomorrow(a)'", "")]
    #[case::no_prometheus(NOTHING, "query: a", "check a: Coalmine was started without Prometheus, so that nobody could answer")]
    #[case::datadog(DEFAULT, "source: datadog, query: 'avg:a{b:c}'", "")]
    #[case::datadog_without_a_scope(
        DEFAULT,
        "source: datadog, query: 'avg:a'",
        "check a: query: each metric needs a scope, as in avg:trace.http.request.apdex{service:shop}"
    )]
    #[case::no_datadog(
        NOTHING,
        "source: datadog, query: 'avg:a{b:c}'",
        "check a: Coalmine was started without Datadog's keys, so that nobody could answer"
    )]
    fn lists(#[case] rules: Rules, #[case] check: &str, #[case] sentence: &str) {
        let list = parse_list(&format!("[{{name: a, max: 1, {check}}}]")).unwrap();
        let said = rules.accept(&list, "shop").map_or_else(|error| error.to_string(), |()| String::new());
        assert_eq!(said, sentence);
    }
}
