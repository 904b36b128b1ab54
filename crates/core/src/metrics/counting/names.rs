//! Codes of HTTP by their names, as languages with a type for them write them (`InternalServerError`, `HTTPStatus.BAD_GATEWAY`), and the few words
//! that say the same without a code. What a label holds, and what follows from it, is `super::codes`' to know.

/// Names whose class is none that the unknown have; those of clients' errors need not be known.
/// Source: <https://www.iana.org/assignments/http-status-codes>.
const NAMES: [(&str, u8); 34] = [
    ("CONTINUE", 1),
    ("SWITCHINGPROTOCOLS", 1),
    ("OK", 2),
    ("CREATED", 2),
    ("ACCEPTED", 2),
    ("NONAUTHORITATIVEINFORMATION", 2),
    ("NOCONTENT", 2),
    ("RESETCONTENT", 2),
    ("PARTIALCONTENT", 2),
    ("SUCCESS", 2),
    ("SUCCESSFUL", 2),
    ("SUCCEEDED", 2),
    ("MULTIPLECHOICES", 3),
    ("MOVEDPERMANENTLY", 3),
    ("FOUND", 3),
    ("SEEOTHER", 3),
    ("NOTMODIFIED", 3),
    ("TEMPORARYREDIRECT", 3),
    ("PERMANENTREDIRECT", 3),
    ("REDIRECT", 3),
    ("REDIRECTION", 3),
    ("BADREQUEST", 4),
    ("NOTFOUND", 4),
    ("CLIENTERROR", 4),
    ("SERVERERROR", 5),
    ("INTERNALERROR", 5),
    ("INTERNALSERVERERROR", 5),
    ("NOTIMPLEMENTED", 5),
    ("BADGATEWAY", 5),
    ("SERVICEUNAVAILABLE", 5),
    ("GATEWAYTIMEOUT", 5),
    ("INSUFFICIENTSTORAGE", 5),
    ("HTTPVERSIONNOTSUPPORTED", 5),
    ("LOOPDETECTED", 5),
];
/// Where a label holds no code at all, these are what the author meant by a failure.
const FAILURES: [&str; 23] = [
    "ERROR",
    "ERRORS",
    "ERR",
    "ERRORED",
    "UNSUCCESSFUL",
    "NOTSUCCESSFUL",
    "NOSUCCESS",
    "KO",
    "NOK",
    "NOTOK",
    "FAILURE",
    "FAILED",
    "FAIL",
    "FAULT",
    "EXCEPTION",
    "TIMEOUT",
    "TIMEDOUT",
    "DEADLINE",
    "PANIC",
    "PANICKED",
    "CRASH",
    "CRASHED",
    "FATAL",
];
/// As libraries spell that nothing went wrong.
const NOTHING: [&str; 6] = ["NONE", "NULL", "NIL", "NA", "NO", "FALSE"];

/// What is left when the ways of writing a name are taken off.
pub(super) fn plain(value: &str) -> String {
    value.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase()).collect()
}

/// The class of a code that is written by its name, with or without its type's.
pub(super) fn class(value: &str) -> Option<u8> {
    let value = value.trim();
    let last = plain(value.rsplit(['.', ':']).next().unwrap_or(value));
    NAMES.iter().find(|(name, _)| *name == last).map(|(_, class)| *class)
}

pub(super) fn is_failure(value: &str) -> bool {
    FAILURES.contains(&plain(value).as_str())
}

/// Whether it only stands where something would.
pub(super) fn is_nothing(value: &str) -> bool {
    let plain = plain(value);
    plain.is_empty() || NOTHING.contains(&plain.as_str())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("OK", Some(2))]
    #[case("Internal Server Error", Some(5))]
    #[case("internal_server_error", Some(5))]
    #[case("HttpStatus::BAD_GATEWAY", Some(5))]
    #[case("http.HTTPStatus.NO_CONTENT", Some(2))]
    #[case("not found", Some(4))]
    #[case("", None)]
    #[case("...", None)]
    #[case("OKAY", None)]
    #[case("error", None)]
    fn names(#[case] value: &str, #[case] expected: Option<u8>) {
        assert_eq!(class(value), expected);
    }
}
