//! What a label's value says about an answer: a good one, the server's error, or neither. One table for all counters; who compares what is
//! others' to know.
//!
//! Whatever isn't known to be good isn't good: a code of 499 or 0, `UNKNOWN` or a word is a client's error, which is compared with the primary's.
//! A code may be written by its name, as languages with a type for it do: what that means stands in [`super::names`].

use super::names;

/// How a request ended. In the order in which labels of one series outdo each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    Good,
    /// Neither good nor the server's error: the client's fault, or it went away, or nobody knows.
    ClientError,
    ServerError,
}

/// Which codes a label holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// HTTP's, as numbers or as classes (`5xx`; `5` where the label's name says that it is a class). gRPC's among them are read as such.
    HttpStatus,
    /// HTTP's by name, numbers among them; or nothing but words such as `success` and `error`.
    HttpName,
    /// gRPC's, by name or by number.
    GrpcStatus,
    /// Exactly this value is a failure, any other is none.
    Is(&'static str),
    /// What went wrong, beside a code or where none was sent: without a code whatever it says is the server's failure. Beside a good one the answer
    /// broke off, or hides an error.
    BesideCode,
}

/// <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>, by number. The second tells whether it speaks against the server.
const GRPC: [(&str, bool); 17] = [
    ("OK", false),
    ("CANCELLED", false),
    ("UNKNOWN", true),
    ("INVALIDARGUMENT", false),
    ("DEADLINEEXCEEDED", true),
    ("NOTFOUND", false),
    ("ALREADYEXISTS", false),
    ("PERMISSIONDENIED", false),
    ("RESOURCEEXHAUSTED", false),
    ("FAILEDPRECONDITION", false),
    ("ABORTED", false),
    ("OUTOFRANGE", false),
    ("UNIMPLEMENTED", true),
    ("INTERNAL", true),
    ("UNAVAILABLE", true),
    ("DATALOSS", true),
    ("UNAUTHENTICATED", false),
];

impl Failure {
    /// What a value of `label` says that isn't empty.
    pub fn answer(self, label: &str, value: &str) -> Answer {
        let by_class = |class| match class {
            1..=3 => Answer::Good,
            5 => Answer::ServerError,
            _ => Answer::ClientError,
        };
        // What is known by another spelling than the label's usual one: a new version may write another.
        let otherwise = || http_class(label, value).or_else(|| names::class(value)).map_or(Answer::ClientError, by_class);
        match self {
            Self::HttpStatus | Self::HttpName => match (http_class(label, value), grpc_code(value)) {
                (Some(class), _) => by_class(class),
                // Where HTTP's codes are, 0 and UNKNOWN are those of a client that didn't wait.
                (None, Some(0)) if is_number(value) => Answer::ClientError,
                (None, Some(2)) if !is_number(value) && self == Self::HttpStatus => Answer::ClientError,
                (None, Some(code)) => grpc(code),
                // A word among codes is what the author wrote where none was sent.
                (None, None) if names::is_failure(value) => Answer::ServerError,
                (None, None) => otherwise(),
            },
            Self::GrpcStatus => grpc_code(value).map_or_else(otherwise, grpc),
            Self::Is(failure) if value == failure => Answer::ServerError,
            Self::Is(_) => Answer::Good,
            Self::BesideCode => Answer::ServerError,
        }
    }

    /// Whether a good answer sends whoever asked elsewhere. That nothing has changed (304) does not.
    pub(super) fn is_redirect(self, label: &str, value: &str) -> bool {
        let is_http = matches!(self, Self::HttpStatus | Self::HttpName);
        is_http && !is_unchanged(value) && http_class(label, value).or_else(|| names::class(value)) == Some(3)
    }

    /// Which codes a label really holds, told by its values on a version that works; `None` when they are none that are known. A label of HTTP's
    /// name that holds no code of HTTP may hold gRPC's.
    pub fn of_values<'a>(self, label: &str, values: impl Iterator<Item = &'a str> + Clone) -> Option<Self> {
        let mut values = values.filter(|value| !value.is_empty());
        match self {
            Self::HttpName => values.any(|value| names::class(value).is_some()).then_some(self),
            Self::HttpStatus => {
                let is_code = |value: &str| http_class(label, value).is_some();
                let is_name = |value: &str| !is_code(value) && names::class(value).is_some();
                // Of gRPC's own; that all went well is a word like another.
                let is_grpc = |value: &str| grpc_code(value).is_some_and(|code| code != 0 || is_number(value));
                let any = |is: &dyn Fn(&str) -> bool| values.clone().any(is);
                match (any(&is_code), any(&|value| is_name(value) && !is_grpc(value)), any(&is_grpc)) {
                    (true, false, _) => Some(Self::HttpStatus),
                    (false, false, false) => None,
                    (false, _, true) => Some(Self::GrpcStatus),
                    (_, true, _) => Some(Self::HttpName),
                }
            }
            Self::GrpcStatus | Self::Is(_) => values.next().map(|_| self),
            // A version that works may never say it.
            Self::BesideCode => Some(self),
        }
    }
}

/// The first digit of `200`, `200.0`, `2xx`, `20x`, `200 OK`, `HTTP/1.1 200 OK`, `HTTP_200`, and of `2` where the label holds classes.
fn http_class(label: &str, value: &str) -> Option<u8> {
    let value = behind_the_protocol(value.trim());
    let first = value.bytes().next().filter(|first| (b'1'..=b'5').contains(first))? - b'0';
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_class = |rest: &str| rest.eq_ignore_ascii_case("xx") || rest.strip_suffix(['x', 'X']).is_some_and(are_digits);
    let is_code = match value.len() {
        1 => label.to_ascii_lowercase().contains("class"),
        3 => are_digits(value) || value.get(1..).is_some_and(is_class),
        _ => value.split_once([' ', '.', '_', '-']).is_some_and(|(code, rest)| {
            code.len() == 3 && are_digits(code) && (rest == "0" || rest.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic()))
        }),
    };
    is_code.then_some(first)
}

/// A line of status begins with the protocol and its version.
fn behind_the_protocol(value: &str) -> &str {
    let Some(rest) = value.get(..4).filter(|protocol| protocol.eq_ignore_ascii_case("http")).map(|_| &value[4..]) else { return value };
    let rest = rest.strip_prefix('/').map_or(rest, |version| version.split_once(' ').map_or("", |(_, rest)| rest));
    rest.trim_start_matches([' ', '_', '-'])
}

fn is_unchanged(value: &str) -> bool {
    value.trim().starts_with("304") || names::plain(value).ends_with("NOTMODIFIED")
}

fn is_number(value: &str) -> bool {
    value.trim().bytes().all(|byte| byte.is_ascii_digit())
}

/// `NotFound`, `NOT_FOUND`, `not found` or `5`.
fn grpc_code(value: &str) -> Option<usize> {
    let value = value.trim();
    if is_number(value) {
        return value.parse().ok().filter(|code| *code < GRPC.len());
    }
    let plain = names::plain(value);
    // Go's spelling of the first has one l.
    GRPC.iter().position(|(name, _)| plain == *name || (plain == "CANCELED" && *name == "CANCELLED"))
}

fn grpc(code: usize) -> Answer {
    match GRPC.get(code) {
        Some((_, true)) => Answer::ServerError,
        Some(_) if code == 0 => Answer::Good,
        _ => Answer::ClientError,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::Answer::{ClientError, Good, ServerError};
    use super::*;

    #[rstest]
    #[case("code", "200", Good)]
    #[case("code", "101", Good)]
    #[case("code", "304", Good)]
    #[case("code", "200.0", Good)]
    #[case("code", "2xx", Good)]
    #[case("code", "OK", Good)]
    #[case("status_class", "2", Good)]
    #[case("code", "500", ServerError)]
    #[case("code", "503", ServerError)]
    #[case("code", "599", ServerError)]
    #[case("code", "5xx", ServerError)]
    #[case("code", "5XX", ServerError)]
    #[case("code", "500.0", ServerError)]
    #[case("envoy_response_code_class", "5", ServerError)]
    #[case("statusClass", "5", ServerError)]
    #[case::grpc_by_number("code", "14", ServerError)]
    #[case::grpc_by_name("status", "Unavailable", ServerError)]
    #[case::not_found_of_grpc("code", "5", ClientError)]
    #[case("code", "404", ClientError)]
    #[case("code", "4xx", ClientError)]
    #[case("status_class", "4", ClientError)]
    #[case::the_client_went("code", "499", ClientError)]
    #[case::the_client_gave_up("response_code", "0", ClientError)]
    #[case("code", "-1", ClientError)]
    #[case("status", "UNKNOWN", ClientError)]
    #[case("status", "unknown", ClientError)]
    #[case("status", "NotFound", ClientError)]
    #[case::a_word_among_codes("status", "error", ServerError)]
    #[case("code", "timeout", ServerError)]
    #[case("code", "aborted by the client", ClientError)]
    #[case("status", "HTTP/1.1 200 OK", Good)]
    #[case("status", "HTTP/2 503", ServerError)]
    #[case("status", "HTTP/2", ClientError)]
    #[case("status", "HTTP_500", ServerError)]
    #[case("status", "http 404", ClientError)]
    #[case("status", "HTTP200", Good)]
    #[case("status", "20x", Good)]
    #[case("status", "50X", ServerError)]
    #[case("code", "600", ClientError)]
    #[case("code", "999", ClientError)]
    #[case("code", "50", ClientError)]
    #[case("code", "5000", ClientError)]
    #[case("code", "5é", ClientError)]
    #[case("code", "5x5", ClientError)]
    #[case("code", "200 OK", Good)]
    #[case("code", "500 Internal Server Error", ServerError)]
    #[case("code", "503_service_unavailable", ServerError)]
    #[case("code", "404 Not Found", ClientError)]
    #[case("code", "500 600", ClientError)]
    #[case("code", "5000 x", ClientError)]
    #[case("code", "200.5", ClientError)]
    #[case::of_python("status_code", "HTTPStatus.OK", Good)]
    #[case::of_python("status_code", "HTTPStatus.INTERNAL_SERVER_ERROR", ServerError)]
    #[case::of_python("status_code", "HTTPStatus.NOT_FOUND", ClientError)]
    #[case::of_dotnet("code", "BadGateway", ServerError)]
    #[case::of_dotnet("code", "NoContent", Good)]
    #[case::of_spring("outcome", "SERVER_ERROR", ServerError)]
    fn http(#[case] label: &str, #[case] value: &str, #[case] expected: Answer) {
        assert_eq!(Failure::HttpStatus.answer(label, value), expected);
    }

    #[rstest]
    #[case("OK", Good)]
    #[case("0", Good)]
    #[case("Unknown", ServerError)]
    #[case("2", ServerError)]
    #[case("4", ServerError)]
    #[case("DeadlineExceeded", ServerError)]
    #[case("DEADLINE_EXCEEDED", ServerError)]
    #[case("12", ServerError)]
    #[case("Internal", ServerError)]
    #[case("13", ServerError)]
    #[case("14", ServerError)]
    #[case("data loss", ServerError)]
    #[case("15", ServerError)]
    #[case("NotFound", ClientError)]
    #[case("5", ClientError)]
    #[case("Canceled", ClientError)]
    #[case("1", ClientError)]
    #[case("16", ClientError)]
    #[case("17", ClientError)]
    #[case("-1", ClientError)]
    #[case("200", Good)]
    #[case("503", ServerError)]
    #[case("InternalServerError", ServerError)]
    #[case("whatever", ClientError)]
    fn grpc_codes(#[case] value: &str, #[case] expected: Answer) {
        assert_eq!(Failure::GrpcStatus.answer("grpc_code", value), expected);
    }

    #[rstest]
    #[case("ok", Good)]
    #[case("success", Good)]
    #[case("error", ServerError)]
    #[case("Failed", ServerError)]
    #[case("unsuccessful", ServerError)]
    #[case("not_successful", ServerError)]
    #[case("KO", ServerError)]
    #[case("nok", ServerError)]
    #[case("Unavailable", ServerError)]
    #[case("Unknown", ServerError)]
    #[case("not found", ClientError)]
    #[case("cancelled", ClientError)]
    #[case("whatever", ClientError)]
    fn without_numbers(#[case] value: &str, #[case] expected: Answer) {
        assert_eq!(Failure::HttpName.answer("status", value), expected);
    }

    #[rstest]
    #[case("failure", ServerError)]
    #[case("success", Good)]
    fn words(#[case] value: &str, #[case] expected: Answer) {
        assert_eq!(Failure::Is("failure").answer("classification", value), expected);
    }

    #[rstest]
    #[case::http(&["0", "200"], Some(Failure::HttpStatus))]
    #[case::both(&["0", "14", "503"], Some(Failure::HttpStatus))]
    #[case::grpc_by_number(&["0", "5"], Some(Failure::GrpcStatus))]
    #[case::grpc_by_name(&["", "OK", "NotFound"], Some(Failure::GrpcStatus))]
    #[case::words(&["error", "success"], Some(Failure::HttpName))]
    #[case::names(&["OK", "BadGateway"], Some(Failure::HttpName))]
    #[case::all_is_well(&["ok"], Some(Failure::HttpName))]
    #[case::names_and_numbers(&["HTTPStatus.OK", "500"], Some(Failure::HttpName))]
    #[case::with_their_phrase(&["200 OK"], Some(Failure::HttpStatus))]
    #[case::other_words(&["cached", "slow"], None)]
    #[case::nothing(&[""], None)]
    fn the_kind_is_told_by_what_a_label_holds(#[case] values: &[&str], #[case] expected: Option<Failure>) {
        assert_eq!(Failure::HttpStatus.of_values("code", values.iter().copied()), expected);
    }

    #[test]
    fn one_digit_is_a_class_only_where_the_label_says_so() {
        let of = |label| Failure::HttpStatus.of_values(label, ["2", "5"].into_iter());
        assert_eq!((of("code"), of("status_class")), (Some(Failure::GrpcStatus), Some(Failure::HttpStatus)));
    }

    proptest! {
        #[test]
        fn only_what_is_known_to_be_good_is_good(value in "\\PC{0,8}") {
            let is_good = Failure::HttpStatus.answer("code", &value) == Good;
            let known = value.trim().starts_with(['1', '2', '3']) || grpc_code(&value) == Some(0) || names::class(&value) == Some(2);
            prop_assert!(!is_good || known, "{value:?}");
        }
    }
}
