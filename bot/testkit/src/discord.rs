//! A stateful Discord over loopback, stricter than the real one: REST and gateway for one guild and one bot. Routes, fields
//! and lengths that it does not know are errors, and are kept as [`FakeDiscord::complaints`]. Tests drive it as people
//! would: they type commands, press buttons, give reactions; and as bad days do: they drop connections and answer 429.

mod buckets;
mod description;
mod drive;
mod files;
mod gateway;
mod guild;
mod limits;
mod rest;
mod routes;
mod shapes;
mod world;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

pub use drive::{Answer, Drop};
use world::World;
pub use world::{APPLICATION, BOT, GUILD, TOKEN};

/// The server and its people. Stops when it is dropped.
#[derive(Debug)]
pub struct FakeDiscord {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: Option<tokio::task::JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    /// Counts what changed.
    version: AtomicU64,
    /// Rings when something changed.
    changed: tokio::sync::Notify,
    description: Option<description::Description>,
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Changes the world and tells those who wait.
    fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let result = change(&mut self.world());
        self.version.fetch_add(1, Ordering::Release);
        self.changed.notify_waiters();
        result
    }
}

impl FakeDiscord {
    /// Starts on a free port of the loopback, with an empty guild. Without Discord's own description (see
    /// `description`) requests are not checked against it; that is said.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let mut fake = Self::at(listener.local_addr().unwrap(), description::Description::find());
        let router = rest::router(fake.shared.clone());
        fake.task = Some(tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }));
        fake
    }

    /// One to be used by hand, which [`FakeDiscord::serve`] serves at this address. Requests are checked against Discord's
    /// description where `QUARTERDECK_DISCORD` says where that is.
    pub fn by_hand(address: SocketAddr) -> Self {
        Self::at(address, description::Description::named())
    }

    fn at(address: SocketAddr, description: Option<description::Description>) -> Self {
        let shared = Shared {
            world: Mutex::new(World::new(address)),
            version: AtomicU64::new(0),
            changed: tokio::sync::Notify::new(),
            description,
        };
        Self { address, shared: Arc::new(shared), task: None }
    }

    /// Serves it, with more pages beside it.
    ///
    /// # Errors
    /// If the listener fails.
    pub async fn serve(&self, listener: tokio::net::TcpListener, pages: axum::Router) -> std::io::Result<()> {
        axum::serve(listener, pages.merge(rest::router(self.shared.clone()))).await
    }

    /// What a client takes for `https://discord.com`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether requests are checked against Discord's own description.
    pub fn is_described(&self) -> bool {
        self.shared.description.is_some()
    }

    /// Every request that Discord would not have understood, or that broke a rule. A test that ends well leaves none.
    pub fn complaints(&self) -> Vec<String> {
        self.shared.world().complaints.clone()
    }

    /// Every request so far: `POST /channels/1/messages 200`.
    pub fn requests(&self) -> Vec<String> {
        self.shared.world().requests.clone()
    }
}

impl std::ops::Drop for FakeDiscord {
    fn drop(&mut self) {
        self.task.iter().for_each(tokio::task::JoinHandle::abort);
    }
}
