//! What is told of verdicts: a service on the loopback network that keeps what it was sent, checks who sent it, and answers as a test likes.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
};

use coalmine_core::notify::sign;
use serde_json::Value;

use crate::support::control_plane::ControlPlane;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) id: String,
    pub(super) namespace: String,
    pub(super) phase: String,
    /// It was taken.
    pub(super) taken: bool,
}

pub(super) struct Sink {
    /// For `--notifications-file`; the sink is called `ledger`.
    pub(super) file: PathBuf,
    status: Arc<AtomicU16>,
    letters: Arc<Mutex<Vec<Letter>>>,
}

impl Sink {
    pub(super) fn start(control_plane: &ControlPlane) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let directory = control_plane.directory.join("sinks");
        std::fs::create_dir_all(&directory).expect("a directory");
        let path = |name: &str| directory.join(name);
        let write = |name: &str, text: &str| std::fs::write(path(name), text).expect("a file");
        write("url", &format!("http://{address}/ledger"));
        write("secret", SECRET);
        let (url, secret) = (path("url").display().to_string(), path("secret").display().to_string());
        write("sinks.yaml", &format!("sinks:\n- name: ledger\n  type: webhook\n  url-file: {url}\n  secret-file: {secret}\n"));
        let sink = Self { file: path("sinks.yaml"), status: Arc::new(AtomicU16::new(200)), letters: Arc::default() };
        let (status, letters) = (Arc::clone(&sink.status), Arc::clone(&sink.letters));
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (status, letters) = (Arc::clone(&status), Arc::clone(&letters));
                std::thread::spawn(move || {
                    // One that breaks off was sent by a process that was killed.
                    if let Ok(letter) = answer(connection, status.load(Ordering::Relaxed)) {
                        letters.lock().unwrap_or_else(PoisonError::into_inner).push(letter);
                    }
                });
            }
        });
        sink
    }

    pub(super) fn answer(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    pub(super) fn letters(&self) -> Vec<Letter> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Of one namespace, those that were taken.
    pub(super) fn taken(&self, namespace: &str) -> Vec<Letter> {
        self.letters().into_iter().filter(|letter| letter.taken && letter.namespace == namespace).collect()
    }
}

fn answer(connection: TcpStream, status: u16) -> std::io::Result<Letter> {
    let mut reader = BufReader::new(connection);
    let mut headers = std::collections::BTreeMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    let mut body = vec![0; headers["content-length"].parse().expect("a length")];
    reader.read_exact(&mut body)?;
    let (id, time) = (&headers["webhook-id"], headers["webhook-timestamp"].parse().expect("a time"));
    let time = jiff::Timestamp::from_second(time).expect("a time");
    assert_eq!(sign::headers(SECRET, id, time, &body)[2].1, headers["webhook-signature"], "it is signed");
    let event: Value = serde_json::from_slice(&body).expect("an event");
    assert_eq!(event["id"], id.as_str());
    let text = |name: &str| event["data"][name].as_str().unwrap_or_default().to_owned();
    let letter = Letter { id: id.clone(), namespace: text("namespace"), phase: text("phase"), taken: (200..300).contains(&status) };
    write!(reader.get_mut(), "HTTP/1.1 {status} So\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    Ok(letter)
}
