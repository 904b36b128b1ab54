//! Flux's controllers as processes of the test's own, each for one namespace, and a web server for what they fetch. They end with the test.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use crate::support::control_plane::variable;

/// A running controller.
#[derive(Debug)]
pub(super) struct Controller(Child);

impl Controller {
    /// Its log is in `directory`.
    pub(super) fn start(name: &str, namespace: &str, directory: &Path, more: &[String]) -> Self {
        let log = File::create(directory.join(format!("{name}.log"))).expect("a log");
        let common = ["--watch-all-namespaces=false", "--metrics-addr=127.0.0.1:0", "--health-addr=127.0.0.1:0", "--log-level=info"];
        let mut command = Command::new(PathBuf::from(variable("COALMINE_FLUX_CONTROLLERS")).join(name));
        command.args(common).args(more).env("RUNTIME_NAMESPACE", namespace).env("TMPDIR", directory).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        Self(command.spawn().expect("the controller starts"))
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An address that nobody listens at.
pub(super) fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

/// Serves the files of a directory, until the process ends.
pub(super) fn serve(directory: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let directory = directory.to_owned();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            // Who hangs up is served no more.
            let _ = answer(connection, &directory);
        }
    });
    format!("http://{address}")
}

fn answer(mut connection: TcpStream, directory: &Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let name = request.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    let (code, body) = match std::fs::read(directory.join(name)) {
        Ok(body) if !name.contains("..") => ("200 OK", body),
        _ => ("404 Not Found", Vec::new()),
    };
    write!(connection, "HTTP/1.1 {code}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    connection.write_all(&body)
}
