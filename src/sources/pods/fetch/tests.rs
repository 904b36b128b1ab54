//! Pages of all kinds, over real connections.

use rstest::rstest;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use coalmine_core::api::policy;

fn place(port: u16, path: &str) -> Place {
    Place { scheme: Scheme::Http, port, path: path.to_owned() }
}

#[rstest]
#[case("10.0.0.7", "/metrics", Some("http://10.0.0.7:8080/metrics"))]
#[case("fd00::7", "metrics?x=1", Some("http://[fd00::7]:8080/metrics?x=1"))]
#[case("10.0.0.7", "//evil.example/", Some("http://10.0.0.7:8080/evil.example/"))]
#[case::loopback("127.0.0.1", "/metrics", None)]
#[case::the_machine("169.254.169.254", "/metrics", None)]
#[case::a_name("app.example", "/metrics", None)]
fn only_pods_are_asked(#[case] address: &str, #[case] path: &str, #[case] expected: Option<&str>) {
    assert_eq!(url(address, &place(8080, path)).as_deref(), expected);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// What is found on a page that a server answers so.
async fn found(status: &str, headers: &str, body: Vec<u8>) -> Result<String, String> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metrics", listener.local_addr().unwrap());
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n", body.len());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        drop(stream.read(&mut [0; 4096]).await);
        drop(stream.write_all(head.as_bytes()).await);
        drop(stream.write_all(&body).await);
    });
    let wishes = Wishes::of(&policy::Policy::default(), &json!({}));
    let response = Fetcher::new().unwrap().client.get(url).send().await.unwrap();
    let page = page(response, &wishes).await.map_err(|error| format!("{error:?}"))??;
    Ok(page.series.iter().map(|(labels, value)| format!("{} {value}", labels["__name__"])).collect::<Vec<_>>().join(" "))
}

const PAGE: &[u8] = b"# TYPE http_requests_total counter\nhttp_requests_total{code=\"200\"} 7\n# EOF\n";

fn long() -> Vec<u8> {
    let comment = [vec![b'#'; 8191], vec![b'\n']].concat();
    [comment.repeat(LARGEST_PAGE / 8192), PAGE.to_vec()].concat()
}

#[rstest]
#[case::plain("200 OK", "", PAGE.to_vec(), Ok("http_requests_total 7"))]
#[case::packed("200 OK", "Content-Encoding: gzip\r\n", gzip(PAGE), Ok("http_requests_total 7"))]
#[case::packed_twice_in_a_row("200 OK", "Content-Encoding: gzip\r\n", [gzip(&PAGE[..50]), gzip(&PAGE[50..])].concat(), Ok("http_requests_total 7"))]
#[case::a_bomb("200 OK", "Content-Encoding: gzip\r\n", gzip(&vec![b'#'; 64 << 20]), Err("longer than 16 MiB"))]
#[case::nearly_too_long("200 OK", "", long()[PAGE.len()..].to_vec(), Ok("http_requests_total 7"))]
#[case::too_long("200 OK", "", long(), Err("longer than 16 MiB"))]
#[case::packed_otherwise("200 OK", "Content-Encoding: br\r\n", PAGE.to_vec(), Err("packed in a way that is not read"))]
#[case::cut_while_packed("200 OK", "Content-Encoding: gzip\r\n", gzip(PAGE)[..40].to_vec(), Err("incomplete deflate stream"))]
#[case::no_page("200 OK", "", b"<html>\n</html>".to_vec(), Err("no metrics page"))]
#[case::an_error("500 Oops", "", PAGE.to_vec(), Err("status 500"))]
#[case::elsewhere("302 Found", "Location: http://elsewhere/\r\n", PAGE.to_vec(), Err("status 302"))]
#[tokio::test]
async fn pages(#[case] status: &str, #[case] headers: &str, #[case] body: Vec<u8>, #[case] expected: Result<&str, &str>) {
    assert_eq!(found(status, headers, body).await, expected.map(str::to_owned).map_err(str::to_owned));
}
