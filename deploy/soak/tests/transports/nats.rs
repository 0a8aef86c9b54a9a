//! A real NATS server, restarted and killed under load, with the configuration that is shipped.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use qd_hub::HubGate;
use qd_nats::{Names, NatsCarrier, NatsServer, Server, UserKey, bot_user, instance_user};
use qd_natsd::Natsd;
use qd_types::InstanceName;
use qd_wire::port::Carrier;
use tokio::task::JoinHandle;

use crate::{
    contract,
    site::{FLEET, TEAMS, Transport, team},
};

/// A server with the shipped configuration, for the teams of the test.
struct Nats {
    server: Natsd,
    bot: Option<JoinHandle<()>>,
    breaks: u32,
}

fn key(user: &str) -> UserKey {
    let mut secret = [9; 32];
    for (byte, letter) in secret.iter_mut().zip(user.bytes()) {
        *byte = letter;
    }
    UserKey::new(&secret).unwrap()
}

impl Nats {
    fn for_test() -> Option<Self> {
        let names = Names::new(FLEET).unwrap();
        let users = TEAMS.map(|name| instance_user(&names, &team(name), key(name).public()));
        let users = bot_user(&names, key("bot").public()) + &users.concat();
        let server = Natsd::for_test(&qd_natsd::with_users(&users))?;
        Some(Self { server, bot: None, breaks: 0 })
    }

    fn server(&self, user: &str) -> Server {
        Server { url: self.server.url(), user: user.into(), key: key(user), ca: None }
    }
}

#[async_trait]
impl Transport for Nats {
    async fn serve(&mut self, gate: HubGate) {
        let server = NatsServer::open(&self.server("bot"), FLEET, Arc::new(gate)).await.unwrap();
        self.bot = Some(tokio::spawn(server.run()));
        // A bot that starts makes the streams first; who comes before that is told to come again.
        let begun = Instant::now();
        let carrier = self.carrier(&team(TEAMS[0])).await;
        while let Err(error) = carrier.card().await {
            assert!(begun.elapsed() < Duration::from_secs(20), "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn carrier(&self, team: &InstanceName) -> Arc<dyn Carrier> {
        Arc::new(NatsCarrier::connect(&self.server(team.as_str()), FLEET, team).await.unwrap())
    }

    /// Restarted and killed, by turns.
    async fn breaks(&mut self) {
        self.breaks += 1;
        if self.breaks.is_multiple_of(2) {
            self.server.kill();
        } else {
            self.server.stop();
        }
        self.server.start();
    }

    async fn stop(&mut self) {
        let bot = self.bot.take().unwrap();
        bot.abort();
        let _ended = bot.await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nats_server_that_is_restarted_and_killed_holds_the_contract() {
    let Some(mut nats) = Nats::for_test() else { return };
    contract::holds(&mut nats).await;
}
