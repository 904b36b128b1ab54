//! One HTTP/1.1 connection: write a prepared request, read the whole answer.
//!
//! By hand over `httparse`, because whether a lost request may be repeated depends on whether any byte of its answer had
//! arrived, and general clients don't tell.

use std::io;
use std::net::SocketAddr;

use httparse::{EMPTY_HEADER, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer larger than this is refused rather than kept in memory.
const LARGEST_ANSWER: usize = 16 << 20;
const MOST_HEADERS: usize = 64;

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// Requests answered so far.
    pub(crate) served: u32,
}

/// An answer read to its end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) version: String,
    /// Whether the connection can take another request.
    pub(crate) reusable: bool,
}

/// Why there is no whole answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LostError {
    #[error("failed to get any byte of an answer")]
    Untouched(#[source] io::Error),
    #[error("failed to read the whole answer")]
    Partial(#[source] io::Error),
}

enum Body {
    Length(usize),
    Chunked,
    UntilClosed,
}

struct Head {
    length: usize,
    answer: Answer,
    body: Body,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096), served: 0 })
    }

    /// Whether the server has not closed it, as far as this side knows. Bytes that nobody asked for make it unusable too.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.stream.try_read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer, LostError> {
        self.buffer.clear();
        let answer = match self.write_and_read(request).await {
            Ok(answer) => answer,
            Err(error) if self.buffer.is_empty() => return Err(LostError::Untouched(error)),
            Err(error) => return Err(LostError::Partial(error)),
        };
        self.served += 1;
        Ok(answer)
    }

    async fn write_and_read(&mut self, request: &[u8]) -> io::Result<Answer> {
        self.stream.write_all(request).await?;
        let mut head = loop {
            self.fill().await?;
            if let Some(head) = parse_head(&self.buffer)? {
                break head;
            }
        };
        let end = match head.body {
            Body::Length(length) => {
                let end = head.length.saturating_add(length);
                self.fill_to(end).await?;
                end
            }
            Body::Chunked => self.read_chunks(head.length).await?,
            Body::UntilClosed => {
                head.answer.reusable = false;
                while self.fill_or_end().await? > 0 {}
                self.buffer.len()
            }
        };
        head.answer.reusable &= self.buffer.len() == end;
        Ok(head.answer)
    }

    /// Reads chunks from `at` on and returns where the last one's trailer ends.
    async fn read_chunks(&mut self, mut at: usize) -> io::Result<usize> {
        loop {
            match httparse::parse_chunk_size(&self.buffer[at..]).map_err(|_| invalid("its chunks are malformed"))? {
                Status::Partial => self.fill().await?,
                Status::Complete((digits, 0)) => return self.read_trailers(at + digits).await,
                Status::Complete((digits, size)) => {
                    let size = usize::try_from(size).map_err(|_| invalid("a chunk is too large"))?;
                    at = (at + digits).saturating_add(size).saturating_add(2);
                    self.fill_to(at).await?;
                }
            }
        }
    }

    /// Trailers end, like headers, with an empty line.
    async fn read_trailers(&mut self, mut at: usize) -> io::Result<usize> {
        loop {
            let line = self.buffer[at..].windows(2).position(|pair| pair == b"\r\n");
            match line {
                None => self.fill().await?,
                Some(0) => return Ok(at + 2),
                Some(length) => at += length + 2,
            }
        }
    }

    async fn fill_to(&mut self, end: usize) -> io::Result<()> {
        if end > LARGEST_ANSWER {
            return Err(invalid("it is larger than 16 MiB"));
        }
        while self.buffer.len() < end {
            self.fill().await?;
        }
        Ok(())
    }

    async fn fill(&mut self) -> io::Result<()> {
        if self.fill_or_end().await? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    async fn fill_or_end(&mut self) -> io::Result<usize> {
        if self.buffer.len() > LARGEST_ANSWER {
            return Err(invalid("it is larger than 16 MiB"));
        }
        self.stream.read_buf(&mut self.buffer).await
    }
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

fn parse_head(bytes: &[u8]) -> io::Result<Option<Head>> {
    let mut headers = [EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let Status::Complete(length) = response.parse(bytes).map_err(|_| invalid("its head is not HTTP"))? else { return Ok(None) };
    let code = response.code.ok_or_else(|| invalid("its head has no status"))?;
    let mut answer = Answer { code, version: "unknown".to_owned(), reusable: response.version == Some(1) };
    let mut body = if code == 204 || code == 304 { Body::Length(0) } else { Body::UntilClosed };
    for header in response.headers {
        let value = header.value.trim_ascii();
        if header.name.eq_ignore_ascii_case("x-version") {
            answer.version = String::from_utf8_lossy(value).into_owned();
        } else if header.name.eq_ignore_ascii_case("connection") {
            answer.reusable &= !value.eq_ignore_ascii_case(b"close");
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            body = Body::Chunked;
        } else if header.name.eq_ignore_ascii_case("content-length") && !matches!(body, Body::Chunked) {
            let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            body = Body::Length(length.ok_or_else(|| invalid("its content-length is not a number"))?);
        }
    }
    Ok(Some(Head { length, answer, body }))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio::net::TcpListener;

    use super::*;

    /// Connects to a server that reads one request, writes `pieces` one by one and closes.
    async fn answered_with(pieces: &'static [&'static str]) -> Result<Answer, LostError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut connection = Connection::open(listener.local_addr().unwrap()).await.unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 64];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            for piece in pieces {
                stream.write_all(piece.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let answer = connection.exchange(b"GET / HTTP/1.1\r\n\r\n").await;
        server.await.unwrap();
        answer
    }

    #[rstest]
    #[case::length(&["HTTP/1.1 200 OK\r\nX-Version: good\r\ncontent-length: 5\r\n\r\nhello"], 200, "good", true)]
    #[case::in_pieces(&["HTTP/1.1 500 x\r\nx-ver", "sion: bad\r\nContent-Length: 5\r\n\r\nhe", "llo"], 500, "bad", true)]
    #[case::close(&["HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 0\r\n\r\n"], 200, "unknown", false)]
    #[case::chunked(&["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", "2\r\nde\r\n0\r\n", "a: b\r\n\r\n"], 200, "unknown", true)]
    #[case::until_closed(&["HTTP/1.1 200 OK\r\n\r\nabc", "def"], 200, "unknown", false)]
    #[case::no_body(&["HTTP/1.1 204 No Content\r\n\r\n"], 204, "unknown", true)]
    #[case::old(&["HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n"], 200, "unknown", false)]
    #[case::more_than_asked_for(&["HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab"], 200, "unknown", false)]
    #[tokio::test]
    async fn whole_answers(#[case] pieces: &'static [&'static str], #[case] code: u16, #[case] version: &str, #[case] reusable: bool) {
        assert_eq!(answered_with(pieces).await.unwrap(), Answer { code, version: version.to_owned(), reusable });
    }

    #[rstest]
    #[case::half_a_head(&["HTTP/1.1 200 OK\r\nconte"])]
    #[case::half_a_body(&["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel"])]
    #[case::half_a_chunk(&["HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab"])]
    #[case::no_http(&["SSH-2.0-OpenSSH_9.2\r\n"])]
    #[case::absurd_length(&["HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999\r\n\r\n"])]
    #[case::length_is_no_number(&["HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"])]
    #[tokio::test]
    async fn partial_answers_must_not_be_asked_for_again(#[case] pieces: &'static [&'static str]) {
        let error = answered_with(pieces).await.unwrap_err();
        assert!(matches!(error, LostError::Partial(_)), "{error:?}");
    }

    #[tokio::test]
    async fn a_connection_closed_without_a_byte_is_untouched() {
        let error = answered_with(&[]).await.unwrap_err();
        assert!(matches!(error, LostError::Untouched(_)), "{error:?}");
    }

    #[tokio::test]
    async fn a_closed_connection_is_noticed_before_it_is_used() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connection = Connection::open(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        assert!(connection.is_open());
        drop(stream);
        connection.stream.readable().await.unwrap();
        assert!(!connection.is_open());
    }
}
