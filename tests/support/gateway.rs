//! The way between two parties, by which they can be kept apart: connections are passed on, delayed, stalled, cut, or answered by
//! somebody else. It knows nothing of what is said on them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use super::{control_plane::ControlPlane, kubectl::Kubectl};

/// Where the API server is.
pub(crate) fn api_server(kubectl: &Kubectl) -> SocketAddr {
    let server = kubectl.run(&["config", "view", "--raw", "-o=jsonpath={.clusters[0].cluster.server}"]).succeeded().stdout;
    server.trim_start_matches("https://").parse().expect("an address")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    Cut,
    Stalled,
    Delayed(Duration),
    /// Whatever is asked, this is the answer.
    Answered(&'static str),
}

#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) port: u16,
    way: watch::Sender<Way>,
}

impl Gateway {
    /// To the first of the targets that takes the connection, beginning with another each time, as a Service does.
    pub(crate) fn new(control_plane: &ControlPlane, targets: Vec<SocketAddr>) -> Self {
        let (way, ways) = watch::channel(Way::Open);
        let (listener, port) = control_plane.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            let port = listener.local_addr().expect("an address").port();
            (listener, port)
        });
        control_plane.spawn(serve(listener, Arc::new(targets), ways));
        Self { port, way }
    }

    pub(crate) fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn serve(listener: TcpListener, targets: Arc<Vec<SocketAddr>>, ways: watch::Receiver<Way>) {
    let mut turn = 0_usize;
    while let Ok((client, _)) = listener.accept().await {
        turn = turn.wrapping_add(1);
        tokio::spawn(pass(client, Arc::clone(&targets), turn, ways.clone()));
    }
}

async fn pass(client: TcpStream, targets: Arc<Vec<SocketAddr>>, turn: usize, ways: watch::Receiver<Way>) {
    let mut cut = ways.clone();
    let whole = async {
        let way = *ways.borrow();
        if let Way::Answered(answer) = way {
            return answer_instead(client, answer).await;
        }
        for number in 0..targets.len() {
            if let Ok(server) = TcpStream::connect(targets[(turn + number) % targets.len()]).await {
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                // Who has said all may still be answered.
                tokio::join!(copy(from_client, to_server, ways.clone()), copy(from_server, to_client, ways.clone()));
                return;
            }
        }
    };
    tokio::select! {
        () = whole => {}
        _ = cut.wait_for(|way| *way == Way::Cut) => {}
    }
}

async fn answer_instead(mut client: TcpStream, answer: &str) {
    let mut question = vec![0; 65_536];
    // Whoever goes away needs no answer.
    if client.read(&mut question).await.is_ok_and(|read| read > 0) {
        let _ = client.write_all(answer.as_bytes()).await;
        let _ = client.shutdown().await;
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut ways: watch::Receiver<Way>) {
    let mut bytes = vec![0; 65_536];
    while let Ok(read) = from.read(&mut bytes).await {
        if read == 0 {
            break;
        }
        let way = *ways.borrow();
        match way {
            Way::Delayed(delay) => tokio::time::sleep(delay).await,
            Way::Stalled => drop(ways.wait_for(|way| *way != Way::Stalled).await),
            // This connection is of before.
            Way::Answered(_) => break,
            Way::Open | Way::Cut => {}
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
