//! A query of Datadog asks about its own namespace: each scope of it gets the tag. Another language than PromQL, of which only the braces
//! are read; what they can't be read in is refused.

use super::promql::QueryError;

const TAG: &str = "kube_namespace";

/// The query with the namespace in every scope. Of the filled query: a placeholder may stand for a scope's part.
pub(super) fn confined(query: &str, namespace: &str) -> Result<String, QueryError> {
    let mut text = String::with_capacity(query.len() + 64);
    let (mut rest, mut scopes) = (query, 0);
    while let Some(start) = rest.find(['{', '}']) {
        let (before, inside) = (&rest[..start], &rest[start..]);
        let Some(inside) = inside.strip_prefix('{') else { return Err(QueryError::Braces) };
        let Some(end) = inside.find(['{', '}', '"', '\'', '\\']).filter(|end| inside[*end..].starts_with('}')) else {
            return Err(QueryError::Braces);
        };
        let (scope, after) = (inside[..end].trim(), &inside[end + 1..]);
        let scope = if groups(before) {
            scope.to_owned()
        } else {
            scopes += 1;
            confined_scope(scope, namespace)?
        };
        text.extend([before, "{", &scope, "}"]);
        rest = after;
    }
    text.push_str(rest);
    if scopes == 0 { Err(QueryError::NoScope) } else { Ok(text) }
}

/// Whether what follows are labels to group by: `by` as a word of its own.
fn groups(before: &str) -> bool {
    let before = before.trim_end();
    let word = before.len() - before.chars().rev().take_while(char::is_ascii_alphanumeric).count();
    before[word..].eq_ignore_ascii_case("by") && !before[..word].ends_with(['.', '_', ':', '-'])
}

fn confined_scope(scope: &str, namespace: &str) -> Result<String, QueryError> {
    let is_balanced = scope.chars().try_fold(0_i32, |depth, character| {
        let depth = depth + i32::from(character == '(') - i32::from(character == ')');
        (depth >= 0).then_some(depth)
    });
    if is_balanced != Some(0) {
        return Err(QueryError::Braces);
    }
    if matches!(scope, "" | "*") {
        return Ok(format!("{TAG}:{namespace}"));
    }
    // A comma is an "and", which can't stand beside the word.
    let has_words =
        scope.split(|character: char| !character.is_ascii_alphanumeric()).any(|word| matches!(word, "AND" | "OR" | "NOT" | "IN"));
    Ok(if has_words { format!("{TAG}:{namespace} AND ({scope})") } else { format!("{TAG}:{namespace},{scope}") })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("avg:apdex{service:app}", "avg:apdex{kube_namespace:shop,service:app}")]
    #[case("sum:hits{*} by {pod_name}.as_count()", "sum:hits{kube_namespace:shop} by {pod_name}.as_count()")]
    #[case("a{} BY{x} + max:b{ c:d , e:f }", "a{kube_namespace:shop} BY{x} + max:b{kube_namespace:shop,c:d , e:f}")]
    #[case("a{b:c OR d:e}", "a{kube_namespace:shop AND (b:c OR d:e)}")]
    #[case("a{!b:c}", "a{kube_namespace:shop,!b:c}")]
    #[case("a{(pod_name:x OR pod_name:y)}", "a{kube_namespace:shop AND ((pod_name:x OR pod_name:y))}")]
    #[case("a{b IN (c,d)}", "a{kube_namespace:shop AND (b IN (c,d))}")]
    #[case::a_metric_of_that_name("by{x:y}/sum:stand.by{x:y}", "")]
    #[case("diff(a{b:c}, 'x', 3)", "diff(a{kube_namespace:shop,b:c}, 'x', 3)")]
    fn scopes(#[case] query: &str, #[case] expected: &str) {
        let confined = confined(query, "shop");
        if expected.is_empty() {
            assert!(!confined.as_deref().unwrap_or_default().contains("stand.by{x"), "{confined:?}");
        } else {
            assert_eq!(confined.unwrap(), expected);
        }
    }

    #[rstest]
    #[case::nested("a{b:{c}}")]
    #[case::open("a{b:c")]
    #[case::closed("a}b{c:d}")]
    #[case::quoted("a{b:\"}\"}")]
    #[case::out_of_brackets("a{b:c) OR (d:e}")]
    #[case::nothing_to_confine("avg:apdex")]
    #[case::groups_alone("avg:apdex by {pod}")]
    fn what_can_not_be_read_is_refused(#[case] query: &str) {
        assert!(confined(query, "shop").is_err());
    }
}
