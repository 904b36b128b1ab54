//! Against a stand-in that answers as the published API does.

use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use coalmine_core::metrics::counting::Pods;

mod verdict;

const POINTS: &str = r#"{"status":"ok","error":"","res_type":"time_series","resp_version":1,"from_date":1790000000000,"to_date":1790000040000,
    "group_by":["pod_name","http.status_code"],"series":[
    {"metric":"shop.requests","aggr":"sum","interval":10,"scope":"pod_name:app-canary-77f-ccccc,http.status_code:500","length":3,"unit":null,
     "tag_set":["pod_name:app-canary-77f-ccccc","http.status_code:500"],"pointlist":[[1790000010000.0,5.0],[1790000020000.0,null],[1790000030000.0,7.0]]},
    {"metric":"shop.requests","aggr":"sum","interval":10,"scope":"pod_name:app-6d5f-aaaaa,http.status_code:200","length":3,"unit":null,
     "tag_set":["pod_name:app-6d5f-aaaaa","http.status_code:200"],"pointlist":[[1790000010000.0,50.0],[1790000020000.0,60.0],[1790000030000.0,70.0]]}]}"#;

fn scope() -> Scope {
    let pods =
        Pods { canary: Members::of_names(["app-canary-77f-ccccc"]), primary: Members::of_names(["app-6d5f-aaaaa", "app-6d5f-bbbbb"]) };
    Scope { namespace: "shop".to_owned(), pods }
}

#[test]
fn authorities_that_are_none_are_told_at_start() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = tempfile::Directory::new();
    let settings = |ca_file| Settings {
        url: "https://api.datadoghq.eu".to_owned(),
        api_key_file: PathBuf::new(),
        application_key_file: PathBuf::new(),
        ca_file: Some(ca_file),
    };
    let error = |file| Datadog::new(settings(file)).unwrap_err().to_string();
    insta::assert_snapshot!(error(PathBuf::from("/none/ca.crt")), @r#"failed to read "/none/ca.crt""#);
    let words = error(directory.file("empty.crt", "no certificate"));
    assert!(words.ends_with(r#"empty.crt": expected certificates of authorities (PEM)"#), "{words}");
    insta::assert_snapshot!(SettingsError::NoAuthorities, @"there are no authorities to check its certificate against: name them by --datadog-ca-file");
    let made = rcgen::generate_simple_self_signed(["datadog.test".to_owned()]).unwrap();
    assert!(Datadog::new(settings(directory.file("ca.crt", &made.cert.pem()))).is_ok());
}

/// Answers one question, and hands over what was asked.
async fn stand_in(status: &str, body: &str) -> (Datadog, tokio::task::JoinHandle<String>, tempfile::Directory) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let directory = tempfile::Directory::new();
    let [api_key_file, application_key_file] = ["api", "application"].map(|name| directory.file(name, &format!("{name}-key\n")));
    let settings =
        Settings { url: format!("http://{}", listener.local_addr().unwrap()), api_key_file, application_key_file, ca_file: None };
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 8192];
        let length = stream.read(&mut request).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    (Datadog::new(settings).unwrap(), served, directory)
}

#[test]
fn what_is_asked_about_counters() {
    let minute = Duration::from_mins(1);
    insta::assert_snapshot!(counts(&scope(), "shop.hits{service:shop, env:prod}", minute), @"sum:shop.hits{service:shop AND env:prod AND kube_namespace:shop AND (pod_name:app-canary-77f-ccccc OR (pod_name:app-6d5f-aaaaa OR pod_name:app-6d5f-bbbbb))} by {pod_name}.as_count().rollup(sum,10)");
    insta::assert_snapshot!(counts(&scope(), "shop.hits{service:a OR service:b}", Duration::from_hours(24)), @"sum:shop.hits{(service:a OR service:b) AND kube_namespace:shop AND (pod_name:app-canary-77f-ccccc OR (pod_name:app-6d5f-aaaaa OR pod_name:app-6d5f-bbbbb))} by {pod_name}.as_count().rollup(sum,60)");
    insta::assert_snapshot!(counts(&scope(), "shop.hits", minute), @"sum:shop.hits{kube_namespace:shop AND (pod_name:app-canary-77f-ccccc OR (pod_name:app-6d5f-aaaaa OR pod_name:app-6d5f-bbbbb))} by {pod_name}.as_count().rollup(sum,10)");
    assert_eq!(plain(&coalmine_core::metrics::counting::escaped("a.b{c:d[e]*}")), "a.b{c:d[e]*}");
}

/// A directory for two files.
mod tempfile {
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    pub(super) struct Directory(PathBuf);

    impl Directory {
        pub(super) fn new() -> Self {
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let name = format!("coalmine-datadog-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        pub(super) fn file(&self, name: &str, content: &str) -> PathBuf {
            let path = self.0.join(name);
            std::fs::write(&path, content).unwrap();
            path
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

#[tokio::test]
async fn a_query_of_the_users_own() {
    let (datadog, served, _files) = stand_in("200 OK", POINTS).await;
    let series = datadog.evaluate("shop", "avg:shop.queue{service:app}", Duration::from_mins(1), Duration::from_secs(10)).await.unwrap();
    assert_eq!(series.len(), 2);
    assert_eq!(series[0].label("pod_name"), "app-canary-77f-ccccc");
    let values: Vec<f64> = series[0].samples.iter().map(|sample| sample.value).collect();
    assert_eq!(values, [5.0, 7.0], "an empty bucket is no value");
    let request = served.await.unwrap();
    assert!(
        request.starts_with("GET /api/v1/query?from=") && request.contains("&query=avg%3Ashop.queue%7Bservice%3Aapp%7D HTTP/1.1\r\n"),
        "{request}"
    );
    let head = request.to_lowercase();
    assert!(head.contains("dd-api-key: api-key\r\n") && head.contains("dd-application-key: application-key\r\n"), "{head}");
}

#[rstest]
#[case("403 Forbidden", r#"{"errors":["Forbidden"]}"#, "status 403: Forbidden")]
#[case("400 Bad Request", r#"{"errors":["Error parsing query"]}"#, "it refused the query: Error parsing query")]
#[case("429 Too Many Requests", r#"{"errors":["Rate limit of 300 requests reached"]}"#, "status 429: Rate limit of 300 requests reached")]
#[case("200 OK", r#"{"status":"error","error":"no such metric","series":[]}"#, "it refused the query: no such metric")]
#[case("200 OK", "<html>", "the answer is HTML instead of JSON; is the address right?")]
#[tokio::test]
async fn what_it_refuses(#[case] status: &str, #[case] body: &str, #[case] sentence: &str) {
    let (datadog, _served, _files) = stand_in(status, body).await;
    let error = datadog.evaluate("shop", "q", Duration::from_mins(1), Duration::from_secs(10)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("failed to query {}: {sentence}", error.target));
}

#[tokio::test]
async fn keys_that_cannot_be_read_are_told() {
    let (mut datadog, _served, _files) = stand_in("200 OK", POINTS).await;
    datadog.settings.api_key_file = "/nowhere/key".into();
    let error = datadog.evaluate("shop", "q", Duration::from_mins(1), Duration::from_secs(10)).await.unwrap_err();
    assert_eq!(error.problem.to_string(), "failed to read /nowhere/key: entity not found");
}

#[test]
fn pods_as_a_filter() {
    insta::assert_snapshot!(filter(&scope().pods.canary), @"pod_name:app-canary-77f-ccccc");
    insta::assert_snapshot!(filter(&Members::of_names(["app-6d5f-a", "app-9c1-b"])), @"(pod_name:app-6d5f-a OR pod_name:app-9c1-b)");
}
