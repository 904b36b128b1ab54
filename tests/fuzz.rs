//! Texts that strangers write, made up by the machine: nothing may end, and nothing may be accepted that isn't kept to its bounds.
//! `COALMINE_FUZZ_SECONDS=600 cargo test --test integration -- --nocapture fuzz::` looks for longer.

mod answers;
mod reviews;
mod texts;

use std::collections::BTreeMap;

use coalmine_core::{
    api::{
        annotations::USER_KEYS,
        checks::{Checks, Names, Origin, Rules, question},
        foreign,
        policy::Policy,
        promql,
    },
    hold::held::Held,
    metrics::counting::page,
};
use proptest::{prelude::*, sample::select};
use serde_json::Value;

use self::texts::{fuzz, of_parts};

/// What PromQL is made of, and what it must not be made of.
const PROMQL: &[&str] = &[
    "up",
    "a",
    "b:c",
    "sum",
    "rate",
    "max_over_time",
    "topk",
    "count_values",
    "label_replace",
    "histogram_quantile",
    "vector",
    "scalar",
    "absent",
    "time",
    "start",
    "end",
    "fill",
    "info",
    "(",
    ")",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "[5m]",
    "[5m:]",
    "[1h:10s]",
    "[5m:1e25]",
    "[0]",
    "[999999999y]",
    ",",
    "=",
    "!=",
    "=~",
    "!~",
    "==",
    ">=",
    "<",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "@",
    "@ 1e300",
    "@ end()",
    "@ -1",
    " offset ",
    " offset 1e20",
    " offset -5m",
    " offset NaN",
    " by ",
    " without ",
    " on ",
    " ignoring ",
    " group_left ",
    " bool ",
    " and ",
    " or ",
    " unless ",
    " atan2 ",
    "\"",
    "'",
    "`",
    "\\",
    "\"x\"",
    "'y'",
    "`z`",
    "\".*\"",
    "\"(a{1000}){1000}\"",
    "\"\\\\pL{900}\"",
    "namespace",
    "__name__",
    "pod",
    "namespace=\"hr\"",
    "{{namespace}}",
    "{{pods}}",
    "{{primary}}",
    "\"{{pods}}\"",
    "#",
    "\n",
    " ",
    "\t",
    "1",
    "0x",
    "0x7fffffffffffffff",
    "017",
    "1.5",
    ".",
    "1e308",
    "1e400",
    "Inf",
    "NaN",
    "1h30m",
    "5ms",
    "é",
    "\u{202e}",
    "\0",
];

#[test]
fn promql() {
    fuzz(of_parts(PROMQL, 24), |text| {
        if let Err(error) = promql::parse(&text) {
            let words = error.to_string();
            assert!(!words.contains("can't be read") || words.contains("regular expression"), "the parser ended on {text:?}");
            assert!(!words.contains('\n'), "{words:?}");
            let _ = promql::position(&text, &words);
        }
    });
}

/// A small stack, such as a task's: what is within bounds must not be too deep for it, in this slow build either.
#[test]
fn what_is_within_bounds_fits_a_stack() {
    let deep =
        ["(".repeat(32) + "1" + &")".repeat(32), "a^".repeat(199) + "a", "a+".repeat(199) + "a", "-(".repeat(32) + "a" + &")".repeat(32)];
    let walk = move || deep.map(|text| promql::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}")).to_string().len());
    std::thread::Builder::new().stack_size(1 << 20).spawn(walk).unwrap().join().unwrap();
}

/// Each selector of what goes to the source has the matcher, whatever was asked.
#[test]
fn confined_promql() {
    let names = Names { namespace: "shop".to_owned(), pods: "app-[a-z0-9]+".to_owned(), primary: "app-x".to_owned() };
    fuzz(of_parts(PROMQL, 24), |text| {
        if let Ok(asked) = question(Origin::Prometheus, &text, &names, Rules::default().view("namespace")) {
            let expression = promql::parse_own(&asked).unwrap_or_else(|error| panic!("{text:?} became {asked:?}: {error}"));
            let selectors = format!("{expression:?}").matches("VectorSelector {").count();
            let own = format!("{expression:?}").matches("op: Equal, name: \"namespace\", value: \"shop\"").count();
            assert!(own >= selectors, "{text:?} became {asked:?}");
        }
        let _ = question(Origin::Datadog, &text, &names, Rules::default().view("namespace"));
    });
}

const YAML: &[&str] = &[
    "- name: a\n",
    "  query: ",
    "  max: 1\n",
    "  min: ",
    "  maxRatio: 2\n",
    "  ignoreBelow: .5\n",
    "  warn: true\n",
    "  job: b\n",
    "  url: ",
    "http://",
    "app",
    "127.0.0.1",
    "2130706433",
    "{{address}}",
    "  json: /a/0\n",
    "  equals: ",
    "  source: datadog\n",
    "[",
    "]",
    "{",
    "}",
    ",",
    ": ",
    "\n",
    "- ",
    "  ",
    "&a ",
    "*a",
    "<<: ",
    "!!binary ",
    "|\n",
    ">\n",
    "'",
    "\"",
    "\\",
    "#",
    "---\n",
    "...",
    "%YAML 1.2\n",
    "up",
    "max(a{b=\"c\"})",
    "{{pods}}",
    "avg:a{b:c}",
    ".inf",
    ".nan",
    "~",
    "0x1",
    "1e400",
    "true",
    "configmap/",
    "\t",
    "\u{feff}",
    "? ",
];

#[test]
fn lists_of_checks() {
    fuzz(of_parts(YAML, 30), |text| {
        match Checks::parse(&text) {
            Ok(Checks::Inline(list)) => drop(Rules::default().accept(&list, "shop")),
            Ok(Checks::ConfigMap(_)) => {}
            Err(error) => assert!(!error.to_string().contains(['\n', '\r']), "{error}"),
        }
        let read = foreign::yaml::<Value>(&text);
        assert_ne!(read, Err("it can't be read".to_owned()), "the parser ended on {text:?}");
    });
}

#[test]
fn annotations() {
    let value = prop_oneof![of_parts(YAML, 12), of_parts(PROMQL, 8), "[0-9.]{0,30}(ms|s|m|h|%|d)?", "\\PC{0,40}"];
    let all = proptest::collection::vec((select(&USER_KEYS[..]), value), 0..4);
    fuzz(all, |all| {
        let annotations: BTreeMap<&str, &str> = all.iter().map(|(key, value)| (*key, value.as_str())).collect();
        if let Err(error) = Policy::parse(&annotations) {
            assert!(!error.to_string().contains(['\n', '\r']), "{error}");
        }
    });
}

#[test]
fn metrics_pages() {
    let parts = &[
        "requests_total",
        "{",
        "}",
        "code",
        "=",
        "\"200\"",
        "\"",
        "\\",
        ",",
        " ",
        "\n",
        "\t",
        "1",
        "-1",
        "1e400",
        "NaN",
        "+Inf",
        "# TYPE ",
        "#",
        "é",
        "\0",
        "{\"http.requests\"",
        "{trace_id=\"1\"}",
        "_bucket",
        "le",
    ];
    fuzz(of_parts(parts, 40), |text| {
        for line in text.lines() {
            let _ = page::sample(line);
        }
    });
}

#[test]
fn held_records() {
    let packed = proptest::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes)
    });
    fuzz(prop_oneof![packed, "\\PC{0,80}"], |text| drop(Held::decode(&text)));
}
