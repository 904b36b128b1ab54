//! Pages of all kinds, over real connections.

pub(in crate::sources) mod tls;

use futures::future::join_all;
use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

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
    assert_eq!(url(address, &place(8080, path), is_allowed).as_deref(), expected);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

impl Fetcher {
    /// Reads pages of this machine, as no pod's are.
    pub(in crate::sources) fn at_home() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { is_of_a_pod: |address| address.is_loopback(), ..Self::new(None).unwrap() }
    }
}

/// What is sent to everybody who asks, connection by connection.
async fn serve<F: Future<Output = ()> + Send>(answer: impl Fn(TcpStream) -> F + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.read(&mut [0; 4096]).await);
            answer(stream).await;
        }
    });
    port
}

async fn serve_always(answer: Vec<u8>) -> u16 {
    serve(move |mut stream| {
        let answer = answer.clone();
        async move { drop(stream.write_all(&answer).await) }
    })
    .await
}

/// Takes every connection and says nothing.
async fn silent() -> u16 {
    serve(|stream| async move {
        tokio::spawn(async move {
            let _held = stream;
            std::future::pending::<()>().await;
        });
    })
    .await
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// What is found on the page at this port of this machine.
async fn found(port: u16, within: Duration) -> Result<String, String> {
    let wishes = Wishes::of(&policy::Policy::default(), &[]);
    match Fetcher::at_home().read("shop", "127.0.0.1", &place(port, "/metrics"), &wishes, within).await.0 {
        Read::Page(page) => {
            Ok(page.series.iter().map(|(labels, value)| format!("{} {value}", labels["__name__"])).collect::<Vec<_>>().join(" "))
        }
        Read::Silent => Err("silent".to_owned()),
        Read::Refused(words) => Err(words),
    }
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
#[case::before_the_first_request("200 OK", "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n", Vec::new(), Ok(""))]
#[case::an_empty_text("200 OK", "Content-Type: text/plain\r\n", Vec::new(), Err("no metrics page"))]
#[case::no_page("200 OK", "", b"<html>\n</html>".to_vec(), Err("no metrics page"))]
#[case::an_error("500 Oops", "", PAGE.to_vec(), Err("status 500"))]
#[case::elsewhere("302 Found", "Location: http://elsewhere/\r\n", PAGE.to_vec(), Err("status 302"))]
#[tokio::test]
async fn pages(#[case] status: &str, #[case] headers: &str, #[case] body: Vec<u8>, #[case] expected: Result<&str, &str>) {
    let port = serve_always(answer(status, headers, &body)).await;
    assert_eq!(found(port, TIMEOUT).await, expected.map(str::to_owned).map_err(str::to_owned));
}

/// Each of these takes what it is given and no more.
mod hostile {
    use super::*;

    const SHORT: Duration = Duration::from_millis(400);

    async fn given_up(port: u16) -> String {
        let begun = Instant::now();
        let found = found(port, SHORT).await;
        assert!(begun.elapsed() < SHORT * 5, "{:?}", begun.elapsed());
        found.unwrap_err()
    }

    #[tokio::test]
    async fn who_never_answers() {
        let port = silent().await;
        assert_eq!(given_up(port).await, "silent");
    }

    /// Something comes all the time, so that no wait for the next byte is long.
    #[tokio::test]
    async fn who_answers_a_byte_at_a_time() {
        let port = serve(|mut stream| async move {
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await);
            while stream.write_all(b"1\r\n#\r\n").await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert!(matches!(given_up(port).await.as_str(), "silent" | "longer than 16 MiB"));
    }

    #[tokio::test]
    async fn whose_head_never_ends() {
        let port = serve(|mut stream| async move {
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\n").await);
            while stream.write_all(b"X-More: and more\r\n").await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(given_up(port).await, "silent");
    }

    #[rstest]
    #[case::nothing(b"")]
    #[case::half_a_page(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhttp_requests_total{code=\"200\"} 7\n")]
    #[case::no_http(b"SSH-2.0-OpenSSH_9.9\r\n")]
    #[case::tls(b"\x15\x03\x01\x00\x02\x02\x46")]
    #[tokio::test]
    async fn who_hangs_up(#[case] sent: &'static [u8]) {
        let port = serve(move |mut stream| async move { drop(stream.write_all(sent).await) }).await;
        assert_eq!(given_up(port).await, "silent");
    }

    #[tokio::test]
    async fn who_is_not_there() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert_eq!(given_up(port).await, "no connection");
    }

    /// Many pages that never come keep those of another namespace waiting no longer than for a place.
    #[tokio::test]
    async fn who_never_answers_takes_a_share_alone() {
        let silent = silent().await;
        let answer = answer("200 OK", "", PAGE);
        let good = serve_always(answer).await;
        let (fetcher, wishes) = (Fetcher::at_home(), Wishes::of(&policy::Policy::default(), &[]));
        let places = [place(silent, "/metrics"), place(good, "/metrics")];
        let hostile = join_all((0..SHARE * 8).map(|_| fetcher.read("hostile", "127.0.0.1", &places[0], &wishes, SHORT)));
        let shop = async {
            tokio::task::yield_now().await;
            let begun = Instant::now();
            let read = fetcher.read("shop", "127.0.0.1", &places[1], &wishes, SHORT).await.0;
            assert!(matches!(read, Read::Page(_)), "{read:?}");
            assert!(begun.elapsed() < SHORT, "{:?}", begun.elapsed());
        };
        tokio::join!(hostile, shop);
    }
}

/// What is looked for beside another source follows the same rules, in less time.
mod glance {
    use super::*;
    use crate::sources::pods::Glance;
    use coalmine_core::metrics::counting::{Failure, Reading, Selector};
    use coalmine_core::metrics::pages::Hints;
    use coalmine_core::statistics::Counts;

    fn reading() -> Reading {
        Reading::Labelled { requests: Selector::of("http_requests_total"), failures: vec![("code".to_owned(), Failure::HttpStatus)] }
    }

    #[tokio::test]
    async fn the_first_page_that_has_what_is_read() {
        let (fetcher, page) =
            (Fetcher::at_home(), answer("200 OK", "", b"http_requests_total{code=\"200\"} 7\nhttp_requests_total{code=\"500\"} 2\n"));
        let port = serve_always(page).await;
        let glance = Glance::new(&fetcher, "shop", reading());
        let place = glance.find("127.0.0.1", &Hints::default().at(port)).await.unwrap();
        assert_eq!(place, super::place(port, "/metrics"));
        assert_eq!(glance.read("127.0.0.1", &place).await, Some(Counts::new(9.0, 2.0)));
    }

    #[tokio::test]
    async fn a_page_without_it_is_none_to_be_found_and_nothing_counted() {
        let (fetcher, page) = (Fetcher::at_home(), answer("200 OK", "", b"go_goroutines 7\n"));
        let port = serve_always(page).await;
        let glance = Glance::new(&fetcher, "shop", reading());
        assert_eq!(glance.find("127.0.0.1", &Hints::default().at(port)).await, None);
        assert_eq!(glance.read("127.0.0.1", &super::place(port, "/metrics")).await, Some(Counts::default()));
    }

    #[tokio::test]
    async fn who_takes_longer_than_a_second_is_given_up() {
        let fetcher = Fetcher::at_home();
        let port = silent().await;
        let begun = Instant::now();
        let glance = Glance::new(&fetcher, "shop", reading());
        assert_eq!(glance.read("127.0.0.1", &super::place(port, "/metrics")).await, None);
        assert!(begun.elapsed() < TIMEOUT, "{:?}", begun.elapsed());
    }
}

/// Answers a first request so, and any other one with a page.
async fn led(location: impl Fn(u16) -> String, path: &str) -> Result<String, String> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let first =
        format!("HTTP/1.1 307 Temporary Redirect\r\nContent-Length: 0\r\nConnection: close\r\nLocation: {}\r\n\r\n", location(port));
    let page = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}", PAGE.len(), String::from_utf8_lossy(PAGE));
    tokio::spawn(async move {
        for answer in [first, page] {
            let (mut stream, _) = listener.accept().await.unwrap();
            drop(stream.read(&mut [0; 4096]).await);
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    let response = Fetcher::new(None).unwrap().plain.get(format!("http://127.0.0.1:{port}{path}")).send().await.unwrap();
    let wishes = Wishes::of(&policy::Policy::default(), &[]);
    let page = super::page(response, &wishes).await.map_err(|error| format!("{error:?}"))??;
    Ok(page.series.len().to_string())
}

#[rstest]
#[case::with_a_slash("/metrics", "/metrics/", Ok("1"))]
#[case::in_full("/metrics", "http://127.0.0.1:PORT/metrics/", Ok("1"))]
#[case::with_its_query("/metrics?a=b", "/metrics/?a=b", Ok("1"))]
#[case::another_path("/metrics", "/login", Err("status 307"))]
#[case::another_port("/metrics", "http://127.0.0.1:1/metrics/", Err("status 307"))]
#[case::another_host("/metrics", "http://localhost:PORT/metrics/", Err("status 307"))]
#[case::another_scheme("/metrics", "https://127.0.0.1:PORT/metrics/", Err("status 307"))]
#[case::another_query("/metrics", "/metrics/?x=y", Err("status 307"))]
#[tokio::test]
async fn a_page_behind_a_slash_is_the_same(#[case] path: &str, #[case] location: &str, #[case] expected: Result<&str, &str>) {
    let found = led(|port| location.replace("PORT", &port.to_string()), path).await;
    assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned));
}
