//! A Coalmine that serves the page and answers no reviews, and requests to it written by hand: what a browser would not send is sent too.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

use super::{
    coalmine::{ENDS_WITH_US, free_ports, kubeconfig},
    control_plane::{ControlPlane, variable},
    eventually,
    kubectl::Kubectl,
};

/// Longer than the server takes for anything.
const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) struct PageServer {
    process: Child,
    pub(crate) port: u16,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl PageServer {
    pub(crate) fn start(control_plane: &ControlPlane, name: &str, arguments: &[&str]) -> Self {
        let kubectl = Kubectl::of(control_plane);
        let rights = control_plane.repository.join("deploy/page/rbac.yaml");
        kubectl.run(&["apply", "--server-side", "-f", &rights.display().to_string()]).succeeded();
        let ((webhook, admin), (port, _)) = (free_ports(), free_ports());
        let log = std::fs::File::create(control_plane.directory.join(format!("{name}.log"))).expect("a log");
        let process = Command::new("sh")
            .args(["-c", ENDS_WITH_US, "sh"])
            .arg(variable("COALMINE_BIN"))
            // It must touch neither the certificate nor the lease of the one that answers.
            .args(["--webhook-name=nobody-s", "--namespace=nobody-s", "--shutdown-delay=0s"])
            .arg(format!("--webhook-address=127.0.0.1:{webhook}"))
            .arg(format!("--admin-address=127.0.0.1:{admin}"))
            .arg(format!("--page-address=127.0.0.1:{port}"))
            .args(arguments)
            .env("KUBECONFIG", kubeconfig(control_plane, &kubectl, name, None))
            .env("COALMINE_LOG", "coalmine=debug,info")
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("the program starts");
        let server = Self { process, port };
        eventually("the page", || TcpStream::connect(("127.0.0.1", port)).map(drop).map_err(|error| error.to_string()));
        server
    }

    /// GET with these further lines of the head.
    pub(crate) fn get(&self, path: &str, headers: &[&str]) -> Answer {
        let headers: String = headers.iter().flat_map(|line| [*line, "\r\n"]).collect();
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n{headers}\r\n", self.port))
    }

    /// Whatever bytes, until the server closes. Status 0 where there was no answer.
    pub(crate) fn send(&self, request: &str) -> Answer {
        let mut connection = self.connect();
        let mut bytes = Vec::new();
        // A server that has heard enough may close while we still write.
        let _ = connection.write_all(request.as_bytes());
        let _ = connection.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    /// A stream of news, with its head read.
    pub(crate) fn listen(&self, path: &str, headers: &[&str]) -> (u16, TcpStream) {
        let headers: String = headers.iter().flat_map(|line| [*line, "\r\n"]).collect();
        let mut connection = self.connect();
        write!(connection, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n").expect("a request");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if connection.read(&mut byte).unwrap_or_default() == 0 {
                break;
            }
            head.push(byte[0]);
        }
        let status = String::from_utf8_lossy(&head).split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
        (status, connection)
    }

    /// Of the program behind the shell, in KiB.
    pub(crate) fn resident(&self) -> std::io::Result<u64> {
        let shell = self.process.id();
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children"))?;
        let program = children.split_whitespace().next().unwrap_or_default();
        let status = std::fs::read_to_string(format!("/proc/{program}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        Ok(line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default())
    }

    fn connect(&self) -> TcpStream {
        let connection = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        connection.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        connection
    }
}

impl Drop for PageServer {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Reads until this was said.
pub(crate) fn await_words(connection: &mut TcpStream, words: &str) {
    let mut heard = String::new();
    while !heard.contains(words) {
        let mut bytes = [0; 1024];
        let count = connection.read(&mut bytes).unwrap_or_else(|error| panic!("waited for {words}; {error}; heard {heard}"));
        assert_ne!(count, 0, "the stream ended before {words}: {heard}");
        heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
}
