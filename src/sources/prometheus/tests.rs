//! A server that misbehaves in every way we know: each is one clear line within bounded time, and the next good answer is read.

use std::time::{Duration, Instant};

use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use coalmine_core::judging::Failure;
use coalmine_core::metrics::counting::{History, Members, PodLabel, Pods, Reading, Selector};
use coalmine_core::metrics::discovery::{Choice, wanted};

const TIMEOUT: Duration = Duration::from_millis(500);
const GOOD: &str =
    r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up"},"value":[1790000000,"1"]}]}}"#;

/// How a connection is answered.
#[derive(Clone, Debug)]
enum Behaviour {
    Answer(String),
    /// Reads the question and says nothing.
    Hang,
    /// Closes without a word.
    Close,
    /// A promise of more than is sent.
    Cut(&'static str),
    /// One byte at a time, for ever.
    Drip,
    /// More than anybody may send.
    Flood,
}

fn answer(status: &str, headers: &str, body: &str) -> Behaviour {
    Behaviour::Answer(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}", body.len()))
}

/// Serves one behaviour after the other, one connection each, and hands over what was asked.
async fn server(behaviours: Vec<Behaviour>, timeout: Duration) -> (Prometheus, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(Settings { timeout, ..Settings::new(format!("http://{}/", listener.local_addr().unwrap())) });
    let served = tokio::spawn(async move {
        let mut questions = Vec::new();
        for behaviour in behaviours {
            let (mut stream, _) = listener.accept().await.unwrap();
            questions.push(read_request(&mut stream).await);
            serve(&mut stream, behaviour).await;
        }
        questions
    });
    (client, served)
}

fn client(settings: Settings) -> Prometheus {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Prometheus::new(settings).unwrap()
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(|value| value.parse().unwrap()));
            if read == 0 || body.len() >= length.unwrap_or(0) {
                return text.into_owned();
            }
        }
    }
}

async fn serve(stream: &mut TcpStream, behaviour: Behaviour) {
    let endless = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";
    // Errors are not looked at: the client may hang up, that is what is tested.
    match behaviour {
        Behaviour::Answer(text) => drop(stream.write_all(text.as_bytes()).await),
        Behaviour::Hang => drop(stream.read(&mut [0; 1]).await),
        Behaviour::Close => {}
        Behaviour::Cut(body) => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len() + 10);
            drop(stream.write_all(format!("{head}{body}").as_bytes()).await);
        }
        Behaviour::Drip => {
            drop(stream.write_all(endless.as_bytes()).await);
            while stream.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Behaviour::Flood => {
            drop(stream.write_all(endless.as_bytes()).await);
            let chunk = vec![b' '; 1 << 20];
            while stream.write_all(&chunk).await.is_ok() {}
        }
    }
}

#[rstest]
#[case::hangs(Behaviour::Hang, "no answer within 0.5s")]
#[case::drips(Behaviour::Drip, "no answer within 0.5s")]
#[case::closes(Behaviour::Close, "connection lost in the middle of the answer")]
#[case::is_cut(Behaviour::Cut(r#"{"status":"succ"#), "connection lost in the middle of the answer")]
#[case::unavailable(answer("503 Service Unavailable", "", "try later"), "status 503: Service Unavailable")]
#[case::out_of_time(
    answer("503 Service Unavailable", "", r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#),
    "status 503: query timed out"
)]
#[case::bad_query(
    answer("400 Bad Request", "", r#"{"status":"error","errorType":"bad_data","error":"1:2: parse error"}"#),
    "it refused the query: 1:2: parse error"
)]
#[case::unauthorized(answer("401 Unauthorized", "", "<html>"), "status 401: Unauthorized")]
#[case::login_page(
    answer("200 OK", "Content-Type: text/html\r\n", "<!doctype html>"),
    "the answer is HTML instead of JSON; is the address right?"
)]
#[case::redirect(
    answer("302 Found", "Location: https://login.example/\r\n", ""),
    "it redirects to https://login.example/; give that address instead"
)]
#[case::empty(answer("200 OK", "", ""), "the answer is empty instead of JSON; is the address right?")]
#[tokio::test]
async fn misbehaviour_is_one_line_and_the_next_answer_counts(#[case] behaviour: Behaviour, #[case] sentence: &str) {
    let (client, served) = server(vec![behaviour, answer("200 OK", "", GOOD)], TIMEOUT).await;
    let begun = Instant::now();
    let error = client.query("up").await.unwrap_err();
    assert!(begun.elapsed() < TIMEOUT * 10, "bounded in time");
    assert_eq!(error.to_string(), format!("failed to query {}: {sentence}", error.target));
    assert!(error.target.starts_with("Prometheus at http://127.0.0.1:"));
    assert_eq!(client.query("up").await.unwrap().len(), 1, "recovers");
    served.abort();
}

/// A gateway that limits how often it is asked says when to come again.
#[tokio::test]
async fn who_is_busy_is_asked_when_it_says() {
    let busy = answer("429 Too Many Requests", "Retry-After: 30\r\n", "");
    let (client, _served) = server(vec![busy, answer("503 Service Unavailable", "", "")], TIMEOUT).await;
    let mut waits = Vec::new();
    for _ in 0..2 {
        let failure = Failure::from(client.query("up").await.unwrap_err());
        waits.push((failure.wait.map(|wait| wait.as_secs()), failure.is_refusal));
    }
    assert_eq!(waits, [(Some(30), false), (None, false)]);
}

/// Gateways of several tenants, and those that let people do nothing but read.
#[tokio::test]
async fn a_gateway_is_asked_as_it_wants() {
    let refusal = answer("405 Method Not Allowed", "", "");
    let (mut client, served) = server(vec![refusal, answer("200 OK", "", GOOD), answer("200 OK", "", GOOD)], TIMEOUT).await;
    client.url = format!("{}/tenants/{{{{namespace}}}}/?namespace={{{{namespace}}}}", client.url);
    assert_eq!(client.query_with("shop", "up == 1", None, answer::MOST_ROWS).await.unwrap().len(), 1);
    client.query_with("shop", "up", None, answer::MOST_ROWS).await.unwrap();
    let asked: Vec<String> = served.await.unwrap().iter().filter_map(|question| question.lines().next().map(str::to_owned)).collect();
    let address = "/tenants/shop/api/v1/query?namespace=shop";
    assert_eq!(
        asked,
        [format!("POST {address} HTTP/1.1"), format!("GET {address}&query=up%20%3D%3D%201 HTTP/1.1"), format!("POST {address} HTTP/1.1")]
    );
}

#[tokio::test]
async fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = client(Settings::new(format!("http://{address}"))).query("up").await.unwrap_err();
    assert!(matches!(error.problem, Problem::NoConnection(_)), "{error}");
    assert!(error.to_string().contains("Connection refused"), "{error}");
}

#[tokio::test]
async fn an_endless_answer_is_cut_off_by_its_size() {
    let (client, _served) = server(vec![Behaviour::Flood], Duration::from_mins(1)).await;
    assert_eq!(client.query("up").await.unwrap_err().problem, Problem::TooLarge(http::LARGEST_ANSWER));
}

/// A day of hundreds of pods: sums, and then fewer and longer looks, are better than none.
#[tokio::test]
async fn a_past_that_is_too_long_is_summed_up_and_asked_for_in_coarser_steps() {
    let refusal = r#"{"status":"error","errorType":"execution","error":"query processing would load too many samples into memory in query execution"}"#;
    let nothing = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    let (full, empty) = (|| answer("422 Unprocessable Content", "", refusal), || answer("200 OK", "", nothing));
    let behaviours = vec![Behaviour::Flood, empty(), full(), full(), empty()];
    let (client, served) = server(behaviours, Duration::from_mins(1)).await;
    let pods = Pods { primary: Members::of_names(["app-6d5f-aaaaa"]), ..Pods::default() };
    let scope = Scope { namespace: "shop".to_owned(), pods };
    let reading = Reading::Labelled { requests: Selector::of("http_requests_total"), failures: Vec::new() };
    let (hour, window) = (Duration::from_hours(1), Duration::from_mins(5));
    let history = crate::sources::history(&client, &scope, PodLabel::Pod, &[reading], hour, window).await;
    assert_eq!(history.unwrap(), [History::default()]);
    let asked = served.await.unwrap();
    let steps: Vec<bool> =
        asked.iter().zip(["3A15s", "180s", "3A15s", "3A60s", "3A150s"]).map(|(asked, step)| asked.contains(step)).collect();
    assert_eq!(steps, [true; 5]);
    assert_eq!(asked.iter().map(|asked| asked.contains("sum%20by")).collect::<Vec<_>>(), [false, false, true, true, true]);
}

/// What a verdict needs may be long; what a user's own query answers may not.
#[tokio::test]
async fn an_answer_to_a_check_is_short() {
    let step = Duration::from_secs(5);
    let row = r#"{"metric":{"a":"b"},"values":[[1790000000,"1"]]}"#;
    let matrix = |rows: usize| {
        let rows = vec![row; rows].join(",");
        answer("200 OK", "", &format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{rows}]}}}}"#))
    };
    let behaviours = vec![Behaviour::Flood, matrix(MOST_SERIES_OF_A_CHECK + 1), matrix(MOST_SERIES_OF_A_CHECK)];
    let (client, _served) = server(behaviours, Duration::from_mins(1)).await;
    let flood = client.evaluate("shop", "a", step, step).await.unwrap_err();
    assert_eq!(flood.problem.to_string(), "the answer is longer than 512 KiB");
    let many = client.evaluate("shop", "a", step, step).await.unwrap_err();
    assert_eq!(many.problem.to_string(), "it gave more than 100 series; a check asks for a few, as with sum, avg or max");
    assert_eq!(client.evaluate("shop", "a", step, step).await.unwrap().len(), MOST_SERIES_OF_A_CHECK);
}

#[tokio::test]
async fn ten_megabytes_are_read() {
    let row = r#"{"metric":{"__name__":"up","pod":"app-6d5f-aaaaa"},"value":[1790000000,"1"]}"#;
    let rows = vec![row; 10_000_000 / row.len()].join(",");
    let body = format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{rows}]}}}}"#);
    let (client, _served) = server(vec![answer("200 OK", "", &body)], Duration::from_mins(1)).await;
    assert_eq!(client.query("up").await.unwrap().len(), 10_000_000 / row.len());
}

#[tokio::test]
async fn what_is_sent() {
    let directory = std::env::temp_dir().join(format!("coalmine-prometheus-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let token = directory.join("token");
    std::fs::write(&token, "first\n").unwrap();
    let (mut client, served) = server(vec![answer("200 OK", "", GOOD), answer("200 OK", "", GOOD)], Duration::from_mins(1)).await;
    client.settings.bearer_token_file = Some(token.clone());
    client.settings.headers = vec![("X-Scope-OrgID".to_owned(), "team-{{namespace}}".to_owned())];
    client.query_with("a", "up == 1", None, answer::MOST_ROWS).await.unwrap();
    std::fs::write(&token, "second").unwrap();
    client.query("up").await.unwrap();
    let questions = served.await.unwrap();
    assert!(questions[0].starts_with("POST /api/v1/query HTTP/1.1\r\n"), "{}", questions[0]);
    assert!(questions[0].ends_with("\r\n\r\nquery=up%20%3D%3D%201"), "{}", questions[0]);
    let head = questions[0].to_lowercase();
    assert!(head.contains("x-scope-orgid: team-a\r\n") && head.contains("authorization: bearer first\r\n"), "{head}");
    assert!(questions[1].to_lowercase().contains("authorization: bearer second\r\n"), "a renewed token is used at once");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test]
async fn missing_credentials_are_told() {
    let mut client = client(Settings::new("http://127.0.0.1:1"));
    client.settings.basic_auth = Some(("coalmine".to_owned(), "/nowhere/password".into()));
    let error = client.query("up").await.unwrap_err();
    assert_eq!(error.problem.to_string(), "failed to read /nowhere/password: entity not found");
}

#[rstest]
#[case::authority(Settings { ca_file: Some("/nowhere".into()), ..Settings::new("https://p") }, "failed to read /nowhere")]
#[case::header(Settings { headers: vec![("X Y".to_owned(), "z".to_owned())], ..Settings::new("http://p") }, "header \"X Y\" isn't a valid header")]
fn settings_that_cannot_work_are_refused_at_the_start(#[case] settings: Settings, #[case] sentence: &str) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    assert_eq!(Prometheus::new(settings).unwrap_err().to_string(), sentence);
}

/// `VictoriaMetrics` takes 16 KiB, where nobody tells it otherwise; discovery alone asks for more.
#[tokio::test]
async fn who_takes_no_long_questions_is_asked_short_ones() {
    let words = r#"{"status":"error","errorType":"422","error":"too long query; got 57152 bytes; mustn't exceed `-search.maxQueryLen=16384` bytes"}"#;
    let pods = Pods { canary: Members::of_names(["app-canary-77f-ccccc"]), primary: Members::of_names(["app-6d5f-aaaaa"]) };
    let (scope, metrics) = (Scope { namespace: "shop".to_owned(), pods }, wanted(&Choice::Auto, true));
    let parts = present::present(&scope, &metrics, query::Dialect::default(), parts::LENGTHS[0]).len();
    let mut behaviours = vec![answer("422 Unprocessable Entity", "", words)];
    behaviours.extend(vec![answer("200 OK", "", GOOD); 2 * parts]);
    let (client, served) = server(behaviours, TIMEOUT).await;
    for _ in 0..2 {
        assert_eq!(client.present(&scope, &metrics).await.unwrap().len(), 1, "what several parts answer is one");
    }
    let length = |question: &String| {
        let (_, body) = question.split_once("\r\n\r\n").unwrap();
        body.len() - "query=".len() - 2 * body.matches('%').count()
    };
    let lengths: Vec<usize> = served.await.unwrap().iter().map(length).collect();
    assert!(lengths[0] > 16_384 && lengths[1..].iter().all(|length| *length <= 16_384), "{lengths:?}");
    assert_eq!(lengths.len(), 1 + 2 * parts, "it is known from then on");
}
