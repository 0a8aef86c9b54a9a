//! A real server with the configuration that is shipped: who may do what there, and what is said when it does not work.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

use std::{sync::Arc, time::Duration};

use async_nats::{Client, ConnectOptions, Event, ServerError};
use async_trait::async_trait;
use insta::assert_snapshot;
use qd_nats::{Names, NatsCarrier, NatsError, NatsServer, Server, UserKey, bot_user, instance_user, probe};
use qd_natsd::Natsd;
use qd_types::InstanceName;
use qd_wire::{
    call::{Card, Unheard},
    port::{Carrier as _, Gate, Reader},
    v1::{Ack, WIRE},
};
use tokio::sync::mpsc;

const FLEET: &str = "home";

fn key(user: &str) -> UserKey {
    let mut secret = [9; 32];
    secret[..user.len()].copy_from_slice(user.as_bytes());
    UserKey::new(&secret).unwrap()
}

fn team(name: &str) -> InstanceName {
    name.parse().unwrap()
}

fn users() -> String {
    let names = Names::new(FLEET).unwrap();
    let teams = ["alpha", "beta"].map(|name| instance_user(&names, &team(name), key(name).public()));
    bot_user(&names, key("bot").public()) + &teams.concat()
}

fn as_user(natsd: &Natsd, user: &str) -> Server {
    Server { url: natsd.url(), user: user.into(), key: key(user), ca: None }
}

/// A bot that shows its card, and refuses all else.
struct Stub;

#[async_trait]
impl Gate for Stub {
    fn card(&self) -> Card {
        let (fleet, key) = (FLEET.to_owned(), "00".repeat(32));
        Card { fleet, version: WIRE, signing: key.clone(), sealing: key, now: jiff::Timestamp::UNIX_EPOCH }
    }
    async fn join(&self, sealed: &str) -> Result<Vec<u8>, Unheard> {
        Ok(format!("sealed: {sealed}").into_bytes())
    }
    async fn call(&self, _: &[u8], _: &[Vec<u8>]) -> Result<Vec<u8>, Unheard> {
        Err(Unheard::failed("nobody is known here"))
    }
    async fn open(&self, _: &[u8]) -> Result<Reader, Unheard> {
        Err(Unheard::failed("nobody is known here"))
    }
    async fn orders(&self, _: &mut Reader) -> Result<Vec<(Ack, Vec<u8>)>, Unheard> {
        Ok(Vec::new())
    }
}

/// The bot's end, once it is there.
async fn bot(natsd: &Natsd) -> tokio::task::JoinHandle<()> {
    let bot = NatsServer::open(&as_user(natsd, "bot"), FLEET, Arc::new(Stub)).await.unwrap();
    tokio::spawn(bot.run())
}

/// Somebody with a user's key, and no manners.
struct Intruder {
    client: Client,
    refusals: mpsc::UnboundedReceiver<String>,
}

impl Intruder {
    async fn new(natsd: &Natsd, user: &str) -> Self {
        let seed = seed(user);
        let (told, refusals) = mpsc::unbounded_channel();
        let options = ConnectOptions::with_nkey(seed).event_callback(move |event| {
            if let Event::ServerError(ServerError::Other(text)) = event {
                let _gone = told.send(text);
            }
            std::future::ready(())
        });
        Self { client: options.connect(natsd.url()).await.unwrap(), refusals }
    }

    /// What the server says to it.
    async fn outcome(&mut self) -> String {
        self.client.flush().await.unwrap();
        match tokio::time::timeout(Duration::from_millis(300), self.refusals.recv()).await {
            Ok(Some(text)) => text.split(" to ").next().unwrap().to_owned(),
            _ => "let through".to_owned(),
        }
    }

    async fn publishes(&mut self, subject: &str) -> String {
        self.client.publish(subject.to_owned(), "{}".into()).await.unwrap();
        format!("publish   {subject:<58} {}\n", self.outcome().await)
    }

    async fn subscribes(&mut self, subject: &str) -> String {
        let heard = self.client.subscribe(subject.to_owned()).await.unwrap();
        let row = format!("subscribe {subject:<58} {}\n", self.outcome().await);
        drop(heard);
        row
    }
}

fn seed(user: &str) -> String {
    let mut secret = [9; 32];
    secret[..user.len()].copy_from_slice(user.as_bytes());
    nkeys::KeyPair::new_from_raw(nkeys::KeyPairType::User, secret).unwrap().seed().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_publishes_on_its_own_subject_and_reads_its_own_orders() {
    let Some(natsd) = Natsd::for_test(&qd_natsd::with_users(&users())) else { return };
    let bot = bot(&natsd).await;
    // The streams are there: what is refused is refused to the user, not for want of them.
    let carrier = NatsCarrier::connect_now(&as_user(&natsd, "alpha"), FLEET, &team("alpha")).await.unwrap();
    while carrier.card().await.is_err() {}
    let mut alpha = Intruder::new(&natsd, "alpha").await;
    let mut table = String::new();
    for subject in [
        "qd.home.up.alpha",
        "$JS.API.CONSUMER.INFO.QD_home_DOWN.alpha",
        "$JS.API.CONSUMER.MSG.NEXT.QD_home_DOWN.alpha",
        "qd.home.up.beta",
        "qd.home.up.alpha.more",
        "qd.home.down.alpha",
        "qd.home.down.beta",
        "qd.home.answer.alpha.token",
        "qd.home.answer.beta.token",
        "qd.other.up.alpha",
        "_INBOX_beta.1",
        "_INBOX_bot.1",
        "$JS.API.INFO",
        "$JS.API.STREAM.CREATE.QD_home_UP",
        "$JS.API.STREAM.CREATE.other",
        "$JS.API.STREAM.INFO.QD_home_DOWN",
        "$JS.API.STREAM.UPDATE.QD_home_DOWN",
        "$JS.API.STREAM.PURGE.QD_home_DOWN",
        "$JS.API.STREAM.DELETE.QD_home_UP",
        "$JS.API.STREAM.MSG.GET.QD_home_DOWN",
        "$JS.API.STREAM.MSG.DELETE.QD_home_DOWN",
        "$JS.API.DIRECT.GET.QD_home_DOWN",
        "$JS.API.DIRECT.GET.QD_home_DOWN.qd.home.down.beta",
        "$JS.API.CONSUMER.CREATE.QD_home_DOWN",
        "$JS.API.CONSUMER.CREATE.QD_home_DOWN.alpha.qd.home.down.*",
        "$JS.API.CONSUMER.DURABLE.CREATE.QD_home_DOWN.alpha",
        "$JS.API.CONSUMER.DELETE.QD_home_DOWN.beta",
        "$JS.API.CONSUMER.INFO.QD_home_DOWN.beta",
        "$JS.API.CONSUMER.MSG.NEXT.QD_home_DOWN.beta",
        "$JS.API.CONSUMER.MSG.NEXT.QD_home_UP.bot",
        "$JS.ACK.QD_home_DOWN.beta.1.1.1.1.0",
        "$JS.ACK.QD_home_UP.bot.1.1.1.1.0",
        "$SYS.REQ.SERVER.PING",
    ] {
        table += &alpha.publishes(subject).await;
    }
    for subject in [
        "qd.home.answer.alpha.*",
        "_INBOX_alpha.>",
        ">",
        "qd.>",
        "qd.home.up.alpha",
        "qd.home.up.*",
        "qd.home.down.alpha",
        "qd.home.down.beta",
        "qd.home.answer.*.*",
        "qd.home.answer.beta.*",
        "_INBOX_beta.>",
        "_INBOX_bot.>",
        "$JS.API.>",
        "$JS.EVENT.>",
        "$SYS.>",
    ] {
        table += &alpha.subscribes(subject).await;
    }
    assert_snapshot!(table, @"
    publish   qd.home.up.alpha                                           let through
    publish   $JS.API.CONSUMER.INFO.QD_home_DOWN.alpha                   let through
    publish   $JS.API.CONSUMER.MSG.NEXT.QD_home_DOWN.alpha               let through
    publish   qd.home.up.beta                                            Permissions Violation for Publish
    publish   qd.home.up.alpha.more                                      Permissions Violation for Publish
    publish   qd.home.down.alpha                                         Permissions Violation for Publish
    publish   qd.home.down.beta                                          Permissions Violation for Publish
    publish   qd.home.answer.alpha.token                                 Permissions Violation for Publish
    publish   qd.home.answer.beta.token                                  Permissions Violation for Publish
    publish   qd.other.up.alpha                                          Permissions Violation for Publish
    publish   _INBOX_beta.1                                              Permissions Violation for Publish
    publish   _INBOX_bot.1                                               Permissions Violation for Publish
    publish   $JS.API.INFO                                               Permissions Violation for Publish
    publish   $JS.API.STREAM.CREATE.QD_home_UP                           Permissions Violation for Publish
    publish   $JS.API.STREAM.CREATE.other                                Permissions Violation for Publish
    publish   $JS.API.STREAM.INFO.QD_home_DOWN                           Permissions Violation for Publish
    publish   $JS.API.STREAM.UPDATE.QD_home_DOWN                         Permissions Violation for Publish
    publish   $JS.API.STREAM.PURGE.QD_home_DOWN                          Permissions Violation for Publish
    publish   $JS.API.STREAM.DELETE.QD_home_UP                           Permissions Violation for Publish
    publish   $JS.API.STREAM.MSG.GET.QD_home_DOWN                        Permissions Violation for Publish
    publish   $JS.API.STREAM.MSG.DELETE.QD_home_DOWN                     Permissions Violation for Publish
    publish   $JS.API.DIRECT.GET.QD_home_DOWN                            Permissions Violation for Publish
    publish   $JS.API.DIRECT.GET.QD_home_DOWN.qd.home.down.beta          Permissions Violation for Publish
    publish   $JS.API.CONSUMER.CREATE.QD_home_DOWN                       Permissions Violation for Publish
    publish   $JS.API.CONSUMER.CREATE.QD_home_DOWN.alpha.qd.home.down.*  Permissions Violation for Publish
    publish   $JS.API.CONSUMER.DURABLE.CREATE.QD_home_DOWN.alpha         Permissions Violation for Publish
    publish   $JS.API.CONSUMER.DELETE.QD_home_DOWN.beta                  Permissions Violation for Publish
    publish   $JS.API.CONSUMER.INFO.QD_home_DOWN.beta                    Permissions Violation for Publish
    publish   $JS.API.CONSUMER.MSG.NEXT.QD_home_DOWN.beta                Permissions Violation for Publish
    publish   $JS.API.CONSUMER.MSG.NEXT.QD_home_UP.bot                   Permissions Violation for Publish
    publish   $JS.ACK.QD_home_DOWN.beta.1.1.1.1.0                        Permissions Violation for Publish
    publish   $JS.ACK.QD_home_UP.bot.1.1.1.1.0                           Permissions Violation for Publish
    publish   $SYS.REQ.SERVER.PING                                       Permissions Violation for Publish
    subscribe qd.home.answer.alpha.*                                     let through
    subscribe _INBOX_alpha.>                                             let through
    subscribe >                                                          Permissions Violation for Subscription
    subscribe qd.>                                                       Permissions Violation for Subscription
    subscribe qd.home.up.alpha                                           Permissions Violation for Subscription
    subscribe qd.home.up.*                                               Permissions Violation for Subscription
    subscribe qd.home.down.alpha                                         Permissions Violation for Subscription
    subscribe qd.home.down.beta                                          Permissions Violation for Subscription
    subscribe qd.home.answer.*.*                                         Permissions Violation for Subscription
    subscribe qd.home.answer.beta.*                                      Permissions Violation for Subscription
    subscribe _INBOX_beta.>                                              Permissions Violation for Subscription
    subscribe _INBOX_bot.>                                               Permissions Violation for Subscription
    subscribe $JS.API.>                                                  Permissions Violation for Subscription
    subscribe $JS.EVENT.>                                                Permissions Violation for Subscription
    subscribe $SYS.>                                                     Permissions Violation for Subscription
    ");
    bot.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_has_the_streams_of_its_own_fleet_and_no_others() {
    let Some(natsd) = Natsd::for_test(&qd_natsd::with_users(&users())) else { return };
    let mut bot = Intruder::new(&natsd, "bot").await;
    let mut table = String::new();
    for subject in [
        "$JS.API.STREAM.CREATE.QD_home_UP",
        "$JS.API.STREAM.CREATE.QD_other_UP",
        "$JS.API.STREAM.DELETE.QD_other_DOWN",
        "$JS.API.STREAM.MSG.GET.ORDERS",
        "$JS.API.CONSUMER.MSG.NEXT.QD_other_UP.bot",
        "qd.other.down.alpha",
        "qd.home.up.alpha",
    ] {
        table += &bot.publishes(subject).await;
    }
    for subject in ["_INBOX_bot.>", "_INBOX_alpha.>", "qd.home.up.*", "qd.home.answer.alpha.*", "qd.>"] {
        table += &bot.subscribes(subject).await;
    }
    assert_snapshot!(table, @"
    publish   $JS.API.STREAM.CREATE.QD_home_UP                           let through
    publish   $JS.API.STREAM.CREATE.QD_other_UP                          Permissions Violation for Publish
    publish   $JS.API.STREAM.DELETE.QD_other_DOWN                        Permissions Violation for Publish
    publish   $JS.API.STREAM.MSG.GET.ORDERS                              Permissions Violation for Publish
    publish   $JS.API.CONSUMER.MSG.NEXT.QD_other_UP.bot                  Permissions Violation for Publish
    publish   qd.other.down.alpha                                        Permissions Violation for Publish
    publish   qd.home.up.alpha                                           Permissions Violation for Publish
    subscribe _INBOX_bot.>                                               let through
    subscribe _INBOX_alpha.>                                             Permissions Violation for Subscription
    subscribe qd.home.up.*                                               Permissions Violation for Subscription
    subscribe qd.home.answer.alpha.*                                     Permissions Violation for Subscription
    subscribe qd.>                                                       Permissions Violation for Subscription
    ");
}

/// Without what differs from one time to the next.
fn plain(error: &impl std::fmt::Display, natsd: &Natsd) -> String {
    error.to_string().replace(&natsd.url(), "URL").replace(key("gamma").public(), "NKEY")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_server_is_said_with_the_way_out() {
    let Some(mut natsd) = Natsd::for_test(&qd_natsd::with_users(&users())) else { return };
    let bot_side = as_user(&natsd, "bot");
    assert!(probe(&bot_side).await.unwrap().starts_with("the NATS server at nats://127.0.0.1:"));
    let unknown = probe(&as_user(&natsd, "gamma")).await.unwrap_err();
    assert_snapshot!(plain(&unknown, &natsd), @"the NATS server at URL does not know gamma by the key NKEY: put what quarterdeck bot nats-user prints for it into the server's configuration, and reload that");
    let not_the_bot = probe(&as_user(&natsd, "alpha")).await.unwrap_err();
    assert_snapshot!(plain(&not_the_bot, &natsd), @"the NATS server at URL says to alpha: nothing, when it asks for $JS.API.INFO. Give it all that quarterdeck bot nats-user prints, and reload the server's configuration");

    // A team whose bot never came.
    let alpha = team("alpha");
    let carrier = NatsCarrier::connect_now(&as_user(&natsd, "alpha"), FLEET, &alpha).await.unwrap();
    assert_snapshot!(plain(&carrier.card().await.unwrap_err(), &natsd), @"the NATS server at URL keeps nothing for this fleet: its bot sees to that when it starts, if hub.nats names this server, and the server needs JetStream");

    // One whose name is not the user's.
    let beta = NatsCarrier::connect(&as_user(&natsd, "alpha"), FLEET, &team("beta")).await.unwrap();
    assert_snapshot!(plain(&beta.card().await.unwrap_err(), &natsd), @r#"the NATS server at URL says to alpha: Permissions Violation for Publish to "qd.home.up.beta". Give it all that quarterdeck bot nats-user prints, and reload the server's configuration"#);

    // No server.
    natsd.kill();
    assert_snapshot!(plain(&carrier.card().await.unwrap_err(), &natsd), @"the NATS server at URL can't be reached (nobody answers): see whether it runs there");
    let away = NatsCarrier::connect_now(&as_user(&natsd, "alpha"), FLEET, &alpha).await;
    assert_snapshot!(plain(&away.err().unwrap(), &natsd), @"the NATS server at URL can't be reached (IO error: Connection refused (os error 111)): see whether it runs there");

    // One without JetStream.
    let text = qd_natsd::with_users(&users());
    let (before, rest) = text.split_once("jetstream {").unwrap();
    natsd.configure(&format!("{before}{}", rest.split_once("}\n").unwrap().1));
    natsd.start();
    let off: NatsError = probe(&bot_side).await.unwrap_err();
    assert_snapshot!(plain(&off, &natsd), @"the NATS server at URL has no JetStream: put a jetstream block into its configuration, as deploy/nats/nats-server.conf has one, and start it again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_late_or_lost_its_disk_is_used_as_soon_as_it_is_there() {
    let Some(mut natsd) = Natsd::for_test(&qd_natsd::with_users(&users())) else { return };
    natsd.kill();
    let bot = bot(&natsd).await;
    let alpha = team("alpha");
    let carrier = NatsCarrier::connect(&as_user(&natsd, "alpha"), FLEET, &alpha).await.unwrap();
    assert!(carrier.card().await.is_err());
    natsd.start();
    let shown = async {
        while carrier.card().await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), shown).await.expect("the bot is heard");
    assert_eq!(carrier.join("this".into()).await.unwrap(), b"sealed: this");
    // An empty disk: the streams are made anew.
    natsd.kill();
    natsd.forget();
    natsd.start();
    let shown = async {
        while carrier.card().await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), shown).await.expect("the bot is heard again");
    bot.abort();
}
