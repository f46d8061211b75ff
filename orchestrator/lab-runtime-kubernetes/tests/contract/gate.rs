//! A way to the API server that can fall silent: connections stay, and nothing passes.

use std::net::SocketAddr;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

pub struct Gate {
    pub address: SocketAddr,
    flows: watch::Sender<bool>,
    _relay: JoinSet<()>,
}

impl Gate {
    pub async fn before(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let flows = watch::Sender::new(true);
        let seen = flows.subscribe();
        let mut relay = JoinSet::new();
        relay.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                connections.spawn(pass_both(near, target.clone(), seen.clone()));
            }
        });
        Self {
            address,
            flows,
            _relay: relay,
        }
    }

    pub fn falls_silent(&self) {
        self.flows.send_replace(false);
    }

    pub fn flows_again(&self) {
        self.flows.send_replace(true);
    }
}

async fn pass_both(near: TcpStream, target: String, flows: watch::Receiver<bool>) {
    let Ok(far) = TcpStream::connect(target).await else {
        return;
    };
    let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
    tokio::join!(
        pass(near_read, far_write, flows.clone()),
        pass(far_read, near_write, flows)
    );
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, mut flows: watch::Receiver<bool>) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let n = from.read(&mut buffer).await.unwrap_or(0);
        if flows.wait_for(|flows| *flows).await.is_err() || n == 0 || to.write_all(&buffer[..n]).await.is_err() {
            // why the result is dropped: whoever is still there sees the end
            let _ = to.shutdown().await;
            return;
        }
    }
}
