//! HTTP through a proxy that cuts.

use std::{net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use qd_hub::HubGate;
use qd_types::InstanceName;
use qd_uplink::HttpCarrier;
use qd_wire::port::Carrier;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

use crate::{contract, site::Transport};

/// A bot behind a proxy.
struct Proxied {
    address: SocketAddr,
    bot: Option<JoinHandle<()>>,
    upstream: watch::Sender<Option<SocketAddr>>,
    cuts: watch::Sender<u32>,
    proxy: JoinHandle<()>,
}

impl Proxied {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (upstream, to) = watch::channel(None);
        let (cuts, cut) = watch::channel(0);
        let proxy = tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                tokio::spawn(pass(near, *to.borrow(), cut.clone()));
            }
        });
        Self { address, bot: None, upstream, cuts, proxy }
    }
}

/// Passes bytes on until either side ends, or the proxy cuts.
async fn pass(mut near: TcpStream, to: Option<SocketAddr>, mut cut: watch::Receiver<u32>) {
    cut.borrow_and_update();
    let Some(to) = to else { return };
    let Ok(mut far) = TcpStream::connect(to).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = cut.changed() => {}
    }
}

impl Drop for Proxied {
    fn drop(&mut self) {
        self.proxy.abort();
    }
}

#[async_trait]
impl Transport for Proxied {
    async fn serve(&mut self, gate: HubGate) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.upstream.send_replace(Some(listener.local_addr().unwrap()));
        self.bot = Some(tokio::spawn(qd_hub::http::serve(listener, gate, qd_hub::http::CONNECTIONS)));
    }

    async fn carrier(&self, _: &InstanceName) -> Arc<dyn Carrier> {
        Arc::new(HttpCarrier::new(&format!("http://{}", self.address), None).unwrap())
    }

    async fn breaks(&mut self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    async fn stop(&mut self) {
        let bot = self.bot.take().unwrap();
        bot.abort();
        let _ended = bot.await;
        self.upstream.send_replace(None);
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_through_a_proxy_that_cuts_holds_the_contract() {
    contract::holds(&mut Proxied::new().await).await;
}
