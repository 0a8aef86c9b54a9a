//! The wish that something ends, and how much of a hurry there is.

use std::time::Duration;

use tokio::sync::watch;

/// Says stop.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Option<Duration>>);

/// Hears stop. Clones hear the same.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<Option<Duration>>);

/// A stopper and what it stops.
pub fn stop() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(None);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Asks for the end. After `grace` it is forced. Asked again, the first answer stands.
    pub fn stop(&self, grace: Duration) {
        self.0.send_if_modified(|wish| {
            let first = wish.is_none();
            wish.get_or_insert(grace);
            first
        });
    }

    /// Something more that it stops.
    pub fn listen(&self) -> Stop {
        Stop(self.0.subscribe())
    }
}

impl Stop {
    /// Waits until the end is wanted, and says how long it may take. If the stopper is dropped, nobody can want it any
    /// more, and this waits for ever.
    pub async fn wanted(&mut self) -> Duration {
        match self.0.wait_for(Option::is_some).await.ok().and_then(|wish| *wish) {
            Some(grace) => grace,
            None => std::future::pending().await,
        }
    }
}
