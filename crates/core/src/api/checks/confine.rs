//! A check asks about its own namespace: a matcher for it is put into every selector of the query, however deep it stands. What can't be
//! taken apart, changed, and read back as the same, is refused; nothing goes to the source that was not seen whole.

use promql_parser::label::{MatchOp, Matcher, Matchers};
use promql_parser::parser::{Expr, FunctionArgs, VectorSelector, value::ValueType};

use super::promql::{Names, QueryError, unknown_function};
use crate::api::promql::{self, ParseError};
use crate::words;

/// What the placeholders and the label's name are while the query is taken apart: names that nobody has.
const STAND_INS: [(&str, &str); 3] =
    [("{{namespace}}", "coalmine0namespace0"), ("{{pods}}", "coalmine0pods0"), ("{{primary}}", "coalmine0primary0")];

/// How a query is asked: by the label that says a series' namespace, or without a look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View<'a> {
    /// Series of the names' own namespace, as this label tells it.
    Own { label: &'a str },
    /// Everything, where the operator said so.
    All,
}

/// The query as it goes to the source: an instant vector, with names for the placeholders.
pub(super) fn asked(query: &str, names: &Names, view: View<'_>) -> Result<String, QueryError> {
    let label = match view {
        View::Own { label } => label,
        View::All => return Ok(as_a_vector(names.fill(query), is_scalar(query))),
    };
    let mut expression = read(query)?;
    confine(&mut expression, &Matcher::new(MatchOp::Equal, label, STAND_INS[0].1), &names.namespace)?;
    let text = expression.to_string();
    // The parser's own way to write is not always the way that it reads.
    if promql::parse_own(&text).as_ref() != Ok(&expression) || !only_in_strings(&text) {
        return Err(QueryError::Unconfined);
    }
    let values = [&names.namespace, &names.pods, &names.primary];
    let text = STAND_INS.iter().zip(values).fold(text, |text, ((_, stand_in), value)| text.replace(stand_in, value));
    Ok(as_a_vector(text, expression.value_type() == ValueType::Scalar))
}

/// Only vectors can be asked for over time.
fn as_a_vector(query: String, is_scalar: bool) -> String {
    if is_scalar { format!("vector({query}\n)") } else { query }
}

fn is_scalar(query: &str) -> bool {
    read(query).is_ok_and(|expression| expression.value_type() == ValueType::Scalar)
}

fn read(query: &str) -> Result<Expr, QueryError> {
    let text = STAND_INS.iter().fold(query.to_owned(), |text, (placeholder, stand_in)| text.replace(placeholder, stand_in));
    if !only_in_strings(&text) {
        return Err(QueryError::Bare);
    }
    promql::parse(&text).map_err(|error| match error {
        ParseError::Syntax(message) if unknown_function(&text, &message) => QueryError::UnknownFunction { message },
        error => QueryError::Syntax { column: None, message: error.to_string() },
    })
}

/// A name outside of quotes could be more than a name: `a-b` is a subtraction.
fn only_in_strings(text: &str) -> bool {
    let outside = promql::outside_of_strings(text);
    !STAND_INS.iter().any(|(_, stand_in)| outside.contains(stand_in))
}

fn confine(expression: &mut Expr, own: &Matcher, namespace: &str) -> Result<(), QueryError> {
    match expression {
        Expr::VectorSelector(selector) => confine_selector(selector, own, namespace),
        Expr::MatrixSelector(selector) => confine_selector(&mut selector.vs, own, namespace),
        Expr::Aggregate(aggregate) => {
            if let Some(parameter) = &mut aggregate.param {
                confine(parameter, own, namespace)?;
            }
            confine(&mut aggregate.expr, own, namespace)
        }
        Expr::Unary(unary) => confine(&mut unary.expr, own, namespace),
        Expr::Binary(binary) => {
            confine(&mut binary.lhs, own, namespace)?;
            confine(&mut binary.rhs, own, namespace)
        }
        Expr::Paren(paren) => confine(&mut paren.expr, own, namespace),
        Expr::Subquery(subquery) => confine(&mut subquery.expr, own, namespace),
        Expr::Call(call) => {
            let FunctionArgs { args } = &mut call.args;
            args.iter_mut().try_for_each(|argument| confine(argument, own, namespace))
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Ok(()),
        Expr::Extension(_) => Err(QueryError::Unconfined),
    }
}

fn confine_selector(selector: &mut VectorSelector, own: &Matcher, namespace: &str) -> Result<(), QueryError> {
    let Matchers { matchers, or_matchers } = &mut selector.matchers;
    // Where there are alternatives, these are all that is read.
    let alone = or_matchers.is_empty().then_some(matchers);
    for group in alone.into_iter().chain(or_matchers.iter_mut()) {
        let is_own = |value: &str| value == own.value || value == namespace;
        let other = |matcher: &&Matcher| matcher.name == own.name && matcher.op == MatchOp::Equal && !is_own(&matcher.value);
        if let Some(other) = group.iter().find(other) {
            return Err(QueryError::OtherNamespace { label: own.name.clone(), value: words::start(&other.value, 63) });
        }
        // Whatever else is said about it can only leave fewer series.
        group.retain(|matcher| matcher.name != own.name || matcher.op != MatchOp::Equal);
        group.push(own.clone());
        // As the parser writes them.
        group.sort_by_cached_key(ToString::to_string);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn names() -> Names {
        Names { namespace: "shop".to_owned(), pods: "app-canary-77f-[a-z0-9]+".to_owned(), primary: "app".to_owned() }
    }

    fn own(query: &str) -> Result<String, QueryError> {
        asked(query, &names(), View::Own { label: "namespace" })
    }

    #[rstest]
    #[case::a_name("salary", r#"salary{namespace="shop"}"#)]
    #[case::no_name(r#"{__name__=~".+"}"#, r#"{__name__=~".+",namespace="shop"}"#)]
    #[case::a_quoted_name(r#"{"salary"}"#, r#"{__name__="salary",namespace="shop"}"#)]
    #[case::placeholders(
        r#"max(backlog{namespace="{{namespace}}",pod=~"{{pods}}",app!="{{primary}}"}) # why"#,
        r#"max(backlog{app!="app",namespace="shop",pod=~"app-canary-77f-[a-z0-9]+"})"#
    )]
    #[case::its_own_by_name(r#"a{namespace="shop"}"#, r#"a{namespace="shop"}"#)]
    #[case::any(r#"a{namespace=~".*",namespace!="x"}"#, r#"a{namespace!="x",namespace="shop",namespace=~".*"}"#)]
    #[case::a_comment_for_a_quote(
        "max(salary{pod=~\"{{pods}}\" # \"\n})",
        r#"max(salary{namespace="shop",pod=~"app-canary-77f-[a-z0-9]+"})"#
    )]
    #[case::quotes_in_quotes(r#"a{b="\"}, salary{c=\"", d='"', e=`\\`}"#, r#"a{b="\"}, salary{c=\"",d="\"",e="\\\\",namespace="shop"}"#)]
    #[case::everywhere(
        "topk(scalar(a), sum by (pod) (rate(b[5m] offset 1h))) / on (pod) group_left (x) -(c @ end() unless max_over_time((d + e)[1h:1m]))",
        r#"topk(scalar(a{namespace="shop"}), sum by (pod) (rate(b{namespace="shop"}[5m] offset 1h))) / on (pod) group_left (x) -(c{namespace="shop"} @ end() unless max_over_time((d{namespace="shop"} + e{namespace="shop"})[1h:1m]))"#
    )]
    #[case::absent(
        "absent_over_time(a[1m]) or quantile_over_time(scalar(b), c[5m])",
        r#"absent_over_time(a{namespace="shop"}[1m]) or quantile_over_time(scalar(b{namespace="shop"}), c{namespace="shop"}[5m])"#
    )]
    #[case::a_scalar("scalar(a) + 1", "vector(scalar(a{namespace=\"shop\"}) + 1\n)")]
    #[case::no_selector("time()", "vector(time()\n)")]
    #[case::either(r#"a{b="c" or d="e"}"#, r#"a{b="c", namespace="shop" or d="e", namespace="shop"}"#)]
    #[case::signs("-a ^ 2 - -2", r#"-a{namespace="shop"} ^ 2 - -2"#)]
    fn every_selector_is_confined(#[case] query: &str, #[case] expected: &str) {
        assert_eq!(own(query).unwrap(), expected);
    }

    #[rstest]
    #[case(r#"max(salary{namespace="hr"})"#, r#": asks for namespace="hr"; a check sees the series of its own namespace alone"#)]
    #[case(r#"a{b="c" or namespace="hr"}"#, r#": asks for namespace="hr"; a check sees the series of its own namespace alone"#)]
    #[case("{{primary}}_total", ": placeholders stand between quotes, as in pod=~\"{{pods}}\"")]
    #[case("sum by ({{primary}}) (a)", ": placeholders stand between quotes, as in pod=~\"{{pods}}\"")]
    #[case("a # {{pods}}", ": placeholders stand between quotes, as in pod=~\"{{pods}}\"")]
    #[case(
        "histogram_of_tomorrow(a)",
        ": unknown function with name 'histogram_of_tomorrow'; what isn't known can't be kept to its own namespace (an operator may allow it with --checks-see-all-namespaces)"
    )]
    #[case("a offset 0", ": can't be kept to its own namespace as it is written; write it more simply")]
    #[case("a + on () fill_left(NaN) b", ": can't be kept to its own namespace as it is written; write it more simply")]
    fn what_can_not_be_confined_is_said(#[case] query: &str, #[case] sentence: &str) {
        assert_eq!(own(query).unwrap_err().to_string(), sentence);
    }

    #[test]
    fn an_operator_may_let_them_see_all() {
        assert_eq!(asked(r#"a{pod=~"{{pods}}"} # b"#, &names(), View::All).unwrap(), r#"a{pod=~"app-canary-77f-[a-z0-9]+"} # b"#);
        assert_eq!(asked("scalar(a) # b", &names(), View::All).unwrap(), "vector(scalar(a) # b\n)");
    }

    proptest::proptest! {
        /// Whatever is asked, each selector that the source will read has the matcher.
        #[test]
        fn nothing_else_is_ever_seen(query in "((a|b|sum|rate|max_over_time|\\{|\\}|\\(|\\)|\\[5m\\]|\\[1m:\\]|,|=|=~|\"x\"|\"\\{\\{pods\\}\\}\"|'|`|\"|\\\\|#|\n|-|\\+| or | by |namespace|@|1|\\{\\{namespace\\}\\}| offset 5m) ?){1,12}") {
            if let Ok(text) = own(&query) {
                let confined = promql::parse(&text).unwrap();
                let mut again = confined.clone();
                confine(&mut again, &Matcher::new(MatchOp::Equal, "namespace", "shop"), "shop").unwrap();
                proptest::prop_assert_eq!(again, confined, "{}", text);
            }
        }
    }
}
