//! Ten browsers with the page open while ten thousand Deployments are opted in: what that takes besides.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{Row, https, program::Program};

const BROWSERS: usize = 10;
/// Each asks for the list so often.
const LOOKS: usize = 5;

/// `before` is what it had in bytes when nobody looked.
pub(super) fn measure(program: &Program, before: u64) -> Result<Row> {
    let waiting: Vec<TcpStream> = (0..BROWSERS).map(|_| listen(program.page_port)).collect::<Result<_>>()?;
    for _ in 0..LOOKS {
        for path in ["/", "/?phase=Running&page=1", "/many/app-00000"] {
            let page = https::page(program.page_port, path)?;
            if !page.contains("app-0") {
                bail!("the page {path} shows no Deployment: {page}");
            }
        }
    }
    let after = program.settled_memory()?;
    drop(waiting);
    Ok(Row::mebibytes("resident memory more while ten browsers look at the page of 10,000 Deployments", 5, after.saturating_sub(before)))
}

fn listen(port: u16) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).context("failed to reach the page")?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut bytes = [0; 512];
    let count = stream.read(&mut bytes)?;
    if !bytes[..count].starts_with(b"HTTP/1.1 200 ") {
        bail!("failed to wait for news: {}", String::from_utf8_lossy(&bytes[..count]));
    }
    Ok(stream)
}
