//! What ends a parser, or keeps it busy, and the sentence for each.

use rstest::rstest;

use super::*;

#[rstest]
#[case::ordinary(
    r#"sum by (code) (rate(http_requests_total{namespace="shop",code=~"5..",le!~"0[.]1|1"}[5m] offset 1d)) / 1e9 > bool 0x1F"#
)]
#[case::times("max_over_time((a - a @ 1609746000)[1h30m:10s]) + a offset -5m + a @ end() + a[5m:] @ 1.5e9 offset 1w")]
#[case::numbers("a > 1e300 + Inf - NaN + .5 + 1_0 * 017")]
#[case::strings(r#"label_replace(a, "b", "$1 [ ( 1e20", 'c', `d`) # offset 1e20 ((("#)]
#[case::a_metric_of_that_name("offset + offset offset 5m")]
#[case::signs("- - + - a")]
fn what_people_ask_is_not_refused_before_it_is_read(#[case] text: &str) {
    assert!(!matches!(parse(text), Err(ParseError::OutOfBounds(_))), "{:?}", parse(text));
}

#[rstest]
#[case("up offset 1e20", Some(11), "1e20 is no time that can be asked for; expected 1ms to 400d")]
#[case("up offset - 1e20", Some(13), "1e20 is no time that can be asked for; expected 1ms to 400d")]
#[case("up OFFSET # why\n 1e+20", Some(18), "1e+20 is no time that can be asked for; expected 1ms to 400d")]
#[case("up offset NaN", Some(11), "NaN is no time that can be asked for; expected 1ms to 400d")]
#[case("up offset +inf", Some(12), "inf is no time that can be asked for; expected 1ms to 400d")]
#[case("up offset 0xffffffffffff", Some(11), "0xffffffffffff is no time that can be asked for; expected 1ms to 400d")]
#[case("rate(up[1e300])", Some(9), "1e300 is no time that can be asked for; expected 1ms to 400d")]
#[case("rate(up[0])", Some(9), "0 is no time that can be asked for; expected 1ms to 400d")]
#[case("rate(up[999999999y])", Some(9), "999999999y is no time that can be asked for; expected 1ms to 400d")]
#[case("rate(up[99999999999999999999999s])", Some(9), "99999999999999999999999s is no time that can be asked for; expected 1ms to 400d")]
#[case("max_over_time(up[5m:1e25])", Some(21), "1e25 is no time that can be asked for; expected 1ms to 400d")]
#[case("up @ 1e300", Some(6), "1e300 is no time; expected Unix seconds up to 1e11")]
#[case("up @ -NaN", Some(7), "NaN is no time; expected Unix seconds up to 1e11")]
#[case(&"(".repeat(33), Some(33), "nested more than 32 deep")]
#[case(&"a(b{".repeat(17), Some(66), "nested more than 32 deep")]
#[case(&"-".repeat(5), Some(5), "more than 4 signs in a row")]
#[case(&"a+".repeat(201), Some(402), "more than 200 operators")]
#[case(&"a or ".repeat(201), Some(1003), "more than 200 operators")]
#[case(&"a".repeat(2001), None, "longer than 2000 characters")]
#[case(r#"a{b=~"\\pL{900}"}"#, Some(6), r#"the regular expression "\\pL{900}" is too large"#)]
#[case(r#"a{b!~"((x{50}){50}){50}"}"#, Some(6), r#"the regular expression "((x{50}){50}){50}" is too large"#)]
#[case(r#"a{b=~"x{y}"}"#, Some(6), r#""x{y}" isn't a regular expression that can be read; a brace of its own is written \\{"#)]
#[case(r#"a{b=~"\é"}"#, Some(6), r#""\"\\é\"" isn't a regular expression that can be read; a brace of its own is written \\{"#)]
#[case(&format!("a{{{}}}", r#"b=~"c","#.repeat(21)), Some(146), "more than 20 regular expressions")]
fn what_is_out_of_bounds(#[case] text: &str, #[case] column: Option<usize>, #[case] sentence: &str) {
    let Err(ParseError::OutOfBounds(found)) = parse(text) else { panic!("{:?}", parse(text)) };
    assert_eq!((found.to_string().as_str(), found.column()), (sentence, column));
}

/// The worst that is accepted, as often as it is accepted.
#[test]
fn the_largest_expressions_are_cheap() {
    let query = |count: usize| format!("a{{{}}}", format!(r#"b=~"\\pL{{{count}}}","#).repeat(20));
    parse(&query(3)).unwrap();
    assert!(matches!(parse(&query(8)), Err(ParseError::OutOfBounds(OutOfBounds::Expression { .. }))));
}
