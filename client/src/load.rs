//! The open loop: request number n is due n/rate seconds after the start, whatever became of the ones before it.
//!
//! Each worker takes the next number, waits until it is due and sends it; idle connections are kept on a stack and replaced
//! after some requests. A lost request is repeated only when a kept connection turned out to be closed, as browsers do.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use crate::args::Args;
use crate::connection::{Connection, LostError};
use crate::report::Report;
use crate::tally::{Outcome, Tally};

/// A request that starts this long after it was due is reported as late ...
const LATE: Duration = Duration::from_millis(100);
/// ... and one that could only start this late is not sent: catching up would hit the server with more than the rate.
const TOO_LATE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Load {
    address: SocketAddr,
    request: Vec<u8>,
    rate: u32,
    duration: Option<Duration>,
    concurrency: u32,
    requests_per_connection: u32,
    timeout: Duration,
    stop: CancellationToken,
    start: Instant,
    next: AtomicU64,
    idle: Mutex<Vec<Connection>>,
    second: Mutex<Tally>,
}

impl Load {
    pub(crate) fn new(args: &Args, address: SocketAddr, stop: CancellationToken) -> Self {
        let head = format!("GET {} HTTP/1.1\r\nhost: {}\r\nuser-agent: coalmine-client\r\n\r\n", args.url.path, args.url.authority);
        Self {
            address,
            request: head.into_bytes(),
            rate: args.rate,
            duration: args.duration,
            concurrency: args.concurrency,
            requests_per_connection: args.requests_per_connection,
            timeout: args.timeout,
            stop,
            start: Instant::now(),
            next: AtomicU64::new(0),
            idle: Mutex::default(),
            second: Mutex::default(),
        }
    }

    /// When the next request is due; none after the end of the run.
    fn next_due(&self) -> Option<Instant> {
        let due = Duration::from_secs(1).mul_f64(self.next.fetch_add(1, Relaxed) as f64 / f64::from(self.rate));
        self.duration.is_none_or(|duration| due < duration).then(|| self.start + due)
    }

    async fn work(self: Arc<Self>) {
        while let Some(due) = self.next_due() {
            if self.stop.run_until_cancelled(tokio::time::sleep_until(due)).await.is_none() {
                return;
            }
            let lateness = due.elapsed();
            if lateness > TOO_LATE {
                self.second().record(Outcome::NotSent, lateness);
                continue;
            }
            if lateness > LATE {
                self.second().late += 1;
            }
            let outcome = self.request().await;
            self.second().record(outcome, due.elapsed());
        }
    }

    async fn request(&self) -> Outcome {
        if let Some(kept) = self.kept_connection() {
            match self.exchange(kept).await {
                Ok(outcome) => return outcome,
                Err(LostError::Partial(_)) => return Outcome::Broken,
                Err(LostError::Untouched(_)) => self.second().retried += 1,
            }
        }
        match timeout(self.timeout, Connection::open(self.address)).await {
            Ok(Ok(fresh)) => self.exchange(fresh).await.unwrap_or(Outcome::Broken),
            Ok(Err(_)) | Err(_) => Outcome::NotConnected,
        }
    }

    async fn exchange(&self, mut connection: Connection) -> Result<Outcome, LostError> {
        let Ok(answer) = timeout(self.timeout, connection.exchange(&self.request)).await else { return Ok(Outcome::TimedOut) };
        let answer = answer?;
        if answer.reusable && connection.served < self.requests_per_connection {
            lock(&self.idle).push(connection);
        }
        Ok(Outcome::Answered { code: answer.code, version: answer.version })
    }

    /// The connection used last that the server has not closed. Taking the last one keeps few open, so that they are
    /// replaced often.
    fn kept_connection(&self) -> Option<Connection> {
        let mut idle = lock(&self.idle);
        while let Some(connection) = idle.pop() {
            if connection.is_open() {
                return Some(connection);
            }
        }
        None
    }

    fn second(&self) -> MutexGuard<'_, Tally> {
        lock(&self.second)
    }
}

/// A panic elsewhere cannot leave counts or a stack half written, so its poison is of no interest.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the load to its end and reports each second and the whole.
pub(crate) async fn run(load: &Arc<Load>, mut report: Report<impl std::io::Write>) -> anyhow::Result<()> {
    let mut workers: JoinSet<()> = (0..load.concurrency).map(|_| Arc::clone(load).work()).collect();
    let mut ticks = tokio::time::interval_at(load.start + Duration::from_secs(1), Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut total = Tally::default();
    loop {
        let ended = tokio::select! {
            _ = ticks.tick() => false,
            () = async { while workers.join_next().await.is_some() {} } => true,
        };
        let second = std::mem::take(&mut *load.second());
        total.add(&second);
        let elapsed = load.start.elapsed();
        // What is left in the last, unfinished second is in the summary.
        let written = if ended { report.summary(elapsed, &total) } else { report.second(elapsed, &second) };
        match written {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()), // nobody reads any more
            written => written.context("failed to write the report")?,
        }
        if ended {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nx-version: good\r\ncontent-length: 0\r\n\r\n";

    /// A server that answers `per_connection` requests on each connection and then closes it without a word.
    async fn server(per_connection: usize, delay: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut request = [0; 1024];
                    for _ in 0..per_connection {
                        if stream.read(&mut request).await.unwrap_or(0) == 0 {
                            return;
                        }
                        tokio::time::sleep(delay).await;
                        stream.write_all(OK).await.unwrap();
                    }
                });
            }
        });
        address
    }

    /// The summary of a run with these options.
    async fn summary(address: SocketAddr, options: &[&str]) -> serde_json::Value {
        let url = format!("http://{address}/");
        let args = Args::parse_from([&["client", "--json", "--url", &url], options].concat());
        let load = Arc::new(Load::new(&args, address, CancellationToken::new()));
        let mut output = Vec::new();
        run(&load, Report::new(&mut output, &args)).await.unwrap();
        serde_json::from_str(String::from_utf8(output).unwrap().lines().last().unwrap()).unwrap()
    }

    /// A machine that stalls for seconds may keep some from being sent, but they are counted.
    fn due(summary: &serde_json::Value) -> u64 {
        summary["sent"].as_u64().unwrap() + summary["not_sent"].as_u64().unwrap()
    }

    #[tokio::test]
    async fn every_due_request_is_sent_once() {
        let summary = summary(server(1000, Duration::ZERO).await, &["--rate", "200", "--duration", "500ms"]).await;
        assert_eq!(due(&summary), 100, "{summary}");
        assert_eq!(summary["codes"]["200"], summary["sent"], "{summary}");
    }

    #[tokio::test]
    async fn connections_that_the_server_closes_cost_no_request() {
        let summary = summary(server(3, Duration::ZERO).await, &["--rate", "200", "--duration", "500ms"]).await;
        assert_eq!((due(&summary), &summary["codes"]["200"]), (100, &summary["sent"]), "{summary}");
        assert_eq!(summary["failed"], serde_json::json!({"not_connected": 0, "broken": 0, "timed_out": 0}));
    }

    #[tokio::test]
    async fn latency_counts_from_the_time_a_request_was_due() {
        // One connection, 50 ms each, 40 per second: the last of 20 requests is due after 475 ms and answered after 1000 ms.
        let options = ["--rate", "40", "--duration", "500ms", "--concurrency", "1"];
        let summary = summary(server(1000, Duration::from_millis(50)).await, &options).await;
        let max = summary["latency_ms"]["max"].as_f64().unwrap();
        assert!(max > 500.0, "{summary}");
        assert!(summary["late"].as_u64().unwrap() > 0, "{summary}");
    }

    #[tokio::test]
    async fn nobody_listening_is_counted_apart() {
        let address = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap()
        };
        let summary = summary(address, &["--rate", "100", "--duration", "100ms"]).await;
        assert_eq!(summary["failed"], serde_json::json!({"not_connected": 10, "broken": 0, "timed_out": 0}), "{summary}");
    }

    #[tokio::test]
    async fn an_answer_that_does_not_come_is_a_timeout() {
        let options = ["--rate", "100", "--duration", "50ms", "--timeout", "50ms"];
        let summary = summary(server(1, Duration::from_mins(1)).await, &options).await;
        assert_eq!(summary["failed"]["timed_out"], 5, "{summary}");
    }

    #[tokio::test]
    async fn a_stop_ends_the_load_with_its_summary() {
        let address = server(1000, Duration::ZERO).await;
        let args = Args::parse_from(["client", "--json"]);
        let stop = CancellationToken::new();
        let load = Arc::new(Load::new(&args, address, stop.clone()));
        stop.cancel();
        let mut output = Vec::new();
        run(&load, Report::new(&mut output, &args)).await.unwrap();
        assert!(String::from_utf8(output).unwrap().lines().last().unwrap().contains("\"kind\":\"summary\""));
    }
}
