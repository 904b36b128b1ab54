//! A selector of series, `http_requests_total{code=~"5.."}`, parsed once and then matched against labels here: one query fetches what
//! several selectors want, and they are told apart without asking again.

use std::collections::BTreeMap;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::Expr;

use super::patterns::Pattern;
use super::promql;

/// A metric's name and conditions on its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    text: String,
    metric: String,
    matchers: Vec<Matcher>,
    /// Beside what was written.
    left_out: Vec<LeftOut>,
}

/// Series of which a label fits a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LeftOut {
    label: String,
    pattern: Pattern,
}

/// Why a text is no selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    #[error("{0}")]
    Syntax(String),
    #[error("must be a plain selector such as http_requests_total{{code=~\"5..\"}}, without functions, offset or range")]
    NotASelector,
    #[error("must name one metric")]
    NoName,
}

impl Selector {
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let text = text.trim();
        let Expr::VectorSelector(parsed) = promql::parse(text).map_err(|error| SelectorError::Syntax(error.to_string()))? else {
            return Err(SelectorError::NotASelector);
        };
        if parsed.offset.is_some() || parsed.at.is_some() || !parsed.matchers.or_matchers.is_empty() {
            return Err(SelectorError::NotASelector);
        }
        let mut matchers = parsed.matchers.matchers;
        let named = matchers.iter().position(|matcher| matcher.name == "__name__" && matcher.op == MatchOp::Equal);
        let metric = match (parsed.name, named) {
            (Some(name), None) => name,
            (None, Some(position)) => matchers.remove(position).value,
            _ => return Err(SelectorError::NoName),
        };
        if matchers.iter().any(|matcher| matcher.name == "__name__") {
            return Err(SelectorError::NoName);
        }
        Ok(Self { text: text.to_owned(), metric, matchers, left_out: Vec::new() })
    }

    /// A selector of everything that has this name.
    pub fn of(metric: &str) -> Self {
        Self { text: metric.to_owned(), metric: metric.to_owned(), matchers: Vec::new(), left_out: Vec::new() }
    }

    /// The same conditions on another metric.
    #[must_use]
    pub fn renamed(&self, metric: &str) -> Self {
        let conditions = self.text.find('{').map_or("", |start| &self.text[start..]);
        Self { text: format!("{metric}{conditions}"), metric: metric.to_owned(), ..self.clone() }
    }

    /// The same, of targets at one port only.
    #[must_use]
    pub fn at_port(&self, port: u16) -> Self {
        let condition = format!("instance=~\".+:{port}\"");
        let text = match self.text.strip_suffix('}') {
            Some(open) => format!("{open},{condition}}}"),
            None => format!("{}{{{condition}}}", self.text),
        };
        // Names with dots can't be parsed, but keep their conditions.
        let matchers = Self::parse(&format!("x{{{condition}}}")).map(|one| one.matchers).unwrap_or_default();
        Self { text, matchers: self.matchers.iter().cloned().chain(matchers).collect(), ..self.clone() }
    }

    /// The same at one port more, where it is of targets at one.
    #[must_use]
    pub fn also_at_port(&self, port: u16, other: u16) -> Self {
        let (one, both) = (format!("instance=~\".+:{port}\""), format!("instance=~\".+:({port}|{other})\""));
        if !self.text.contains(&one) {
            return self.clone();
        }
        let matchers = Self::parse(&format!("x{{{both}}}")).map(|one| one.matchers).unwrap_or_default();
        let others = self.matchers.iter().filter(|matcher| matcher.name != "instance").cloned();
        Self { text: self.text.replace(&one, &both), matchers: others.chain(matchers).collect(), ..self.clone() }
    }

    /// As it is asked of Prometheus for one namespace, unless it says that itself.
    pub fn text_in(&self, namespace: &str) -> String {
        if self.labels().any(|label| label == "namespace") {
            return self.text.clone();
        }
        match self.text.strip_suffix('}') {
            Some(open) => format!("{open},namespace=\"{namespace}\"}}"),
            None => format!("{}{{namespace=\"{namespace}\"}}", self.text),
        }
    }

    /// The same less the series of which one of these labels matches a pattern. Reads as before: what is left out is no choice of the user's.
    #[must_use]
    pub fn excluding(&self, labels: &[&str], pattern: &str) -> Self {
        let Some(pattern) = Pattern::whole(pattern) else { return self.clone() };
        let more = labels.iter().map(|label| LeftOut { label: (*label).to_owned(), pattern: pattern.clone() });
        Self { left_out: self.left_out.iter().cloned().chain(more).collect(), ..self.clone() }
    }

    /// Which series are left out beside what was written: a label, and the pattern that it must not match.
    pub fn left_out(&self) -> impl Iterator<Item = (&str, &str)> {
        self.left_out.iter().map(|out| (out.label.as_str(), out.pattern.as_str()))
    }

    /// Whether nothing else depends on this label.
    pub fn is_only_left_out(&self, label: &str) -> bool {
        self.left_out.iter().any(|out| out.label == label) && self.matchers.iter().all(|matcher| matcher.name != label)
    }

    /// The same without conditions on one label.
    #[must_use]
    pub fn without(&self, label: &str) -> Self {
        let matchers = self.matchers.iter().filter(|matcher| matcher.name != label).cloned().collect();
        let left_out = self.left_out.iter().filter(|out| out.label != label).cloned().collect();
        Self { matchers, left_out, ..self.clone() }
    }

    /// The labels that it has conditions on.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        let left_out = self.left_out.iter().map(|out| out.label.as_str());
        self.matchers.iter().map(|matcher| matcher.name.as_str()).chain(left_out)
    }

    pub fn metric(&self) -> &str {
        &self.metric
    }

    /// The labels of this selector's conditions that the other has no condition on.
    pub fn labels_beyond<'a>(&'a self, other: &Self) -> Vec<&'a str> {
        let is_shared = |name: &str| other.labels().any(|label| label == name);
        self.labels().filter(|name| !is_shared(name)).collect()
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = |name: &str| labels.get(name).map_or("", String::as_str);
        value("__name__") == self.metric
            && self.matchers.iter().all(|matcher| matcher.is_match(value(&matcher.name)))
            && !self.left_out.iter().any(|out| out.pattern.fits(value(&out.label)))
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(r#"requests_total{code=~"5.."}"#, "503", true)]
    #[case(r#"requests_total{code=~"5.."}"#, "200", false)]
    #[case(r#"{__name__="requests_total",code!="200"}"#, "503", true)]
    #[case(r#"requests_total{other=""}"#, "503", true)]
    #[case(r#"requests_total{other!=""}"#, "503", false)]
    #[case("errors_total", "503", false)]
    fn matching(#[case] text: &str, #[case] code: &str, #[case] expected: bool) {
        let labels = [("__name__", "requests_total"), ("code", code)].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(Selector::parse(text).unwrap().matches(&BTreeMap::from(labels)), expected);
    }

    #[rstest]
    #[case("rate(a[1m])")]
    #[case("a offset 5m")]
    #[case("a[5m]")]
    #[case("1")]
    #[case(r#"{code="500"}"#)]
    #[case(r#"{__name__=~"a|b"}"#)]
    #[case("a{")]
    #[case("")]
    fn what_is_no_selector_is_refused(#[case] text: &str) {
        assert!(Selector::parse(text).is_err());
    }

    #[test]
    fn series_can_be_left_out_and_ports_told_apart() {
        let selector = Selector::of("requests.total").at_port(8081).excluding(&["path"], "/healthz|/a[.]\"b");
        let matches = |instance: &str, path: &str| {
            let labels = [("__name__", "requests.total"), ("instance", instance), ("path", path)];
            selector.matches(&labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
        };
        assert!(matches("10.0.0.1:8081", "/") && matches("[fd00::1]:8081", ""));
        assert!(!matches("10.0.0.1:80", "/") && !matches("10.0.0.1:8081", "/healthz") && !matches("10.0.0.1:8081", "/a.\"b"));
        assert_eq!(selector.text(), "requests.total{instance=~\".+:8081\"}");
        let moved = selector.also_at_port(8081, 9091);
        let at = |instance: &str| {
            moved.matches(
                &[("__name__", "requests.total"), ("instance", instance)].map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            )
        };
        assert!(at("10.0.0.1:8081") && at("10.0.0.1:9091") && !at("10.0.0.1:80"));
        assert_eq!(moved.text(), "requests.total{instance=~\".+:(8081|9091)\"}");
        assert_eq!(Selector::of("a").also_at_port(8081, 9091), Selector::of("a"));
        assert!(
            !selector.without("path").matches(&[("__name__", "other")].map(|(name, value)| (name.to_owned(), value.to_owned())).into())
        );
    }

    #[test]
    fn conditions_move_to_another_metric() {
        let selector = Selector::parse(r#"istio_requests_total{reporter="destination"}"#).unwrap().renamed("istio_request_bytes");
        assert_eq!(selector, Selector::parse(r#"istio_request_bytes{reporter="destination"}"#).unwrap());
    }
}
