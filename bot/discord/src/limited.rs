//! The library's limiter, as it is on in production: it knows `https://discord.com` alone, so that is where the fake is here.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use qd_core::chat::{Channel, Chat as _, Message, MessageKey};
use qd_testkit::discord::{FakeDiscord, GUILD, TOKEN};
use qd_types::{Person, Role};
use secrecy::SecretString;
use serenity::http::HttpBuilder;
use tokio::net::{TcpListener, TcpStream};

use crate::{ChannelIds, Config, Discord, People, Threads, calls, discord::counted};

struct Everybody;

#[async_trait]
impl People for Everybody {
    async fn by_account(&self, _: u64) -> Result<Option<Person>, String> {
        Ok(Some(Person { id: "ines".parse().unwrap(), roles: vec![Role::Owner] }))
    }
}

/// What is refused is counted for the whole process: one test at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// The fake behind TLS, and the certificate to trust.
struct Site {
    _alone: tokio::sync::MutexGuard<'static, ()>,
    /// What was counted before.
    before: usize,
    fake: FakeDiscord,
    at: SocketAddr,
    trusted: Vec<u8>,
    channel: u64,
    member: u64,
}

impl Site {
    async fn new() -> Self {
        let (_alone, before) = (ALONE.lock().await, calls::refused());
        let fake = FakeDiscord::start().await;
        let (channel, member) = (fake.add_channel("dev"), fake.add_member("ines", &[]));
        let made = rcgen::generate_simple_self_signed(["discord.com".to_owned()]).unwrap();
        let trusted = made.cert.der().to_vec();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let (door, behind) = (tokio_rustls::TlsAcceptor::from(Arc::new(tls)), fake.address());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let door = door.clone();
                tokio::spawn(async move {
                    let (mut outside, mut inside) =
                        (door.accept(stream).await?, TcpStream::connect(behind).await?);
                    tokio::io::copy_bidirectional(&mut outside, &mut inside).await
                });
            }
        });
        Self { _alone, before, fake, at, trusted, channel, member }
    }

    /// A bot with a limiter of its own.
    fn bot(&self) -> Discord {
        let _said = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest_of_serenity::Client::builder()
            .use_rustls_tls()
            .add_root_certificate(reqwest_of_serenity::Certificate::from_der(&self.trusted).unwrap())
            .resolve("discord.com", self.at)
            .build()
            .unwrap();
        let http = counted(HttpBuilder::new(TOKEN).client(client).build());
        let channel = self.channel;
        let config = Config {
            token: SecretString::from(TOKEN),
            guild: GUILD,
            channels: ChannelIds {
                dev: channel,
                alerts: channel,
                approvals: channel,
                fallback: None,
                standup: None,
            },
            roles: BTreeMap::new(),
            address: None,
            per_minute: 1000,
            threads: Threads::Off,
            teams: BTreeMap::new(),
            guilds: Vec::new(),
        };
        Discord::over(http, config, Arc::new(Everybody))
    }

    fn counted(&self) -> usize {
        calls::refused() - self.before
    }

    fn answered(&self, status: &str) -> usize {
        self.fake.requests().iter().filter(|request| request.ends_with(status)).count()
    }
}

fn news(number: usize) -> Message {
    Message::new(Channel::Dev, MessageKey(format!("alert:alpha:{number}:0")), format!("News {number}"))
}

#[tokio::test]
async fn a_bucket_that_is_known_is_never_overdrawn() {
    let site = Site::new().await;
    let bot = site.bot();
    site.fake.limit("POST /channels/{}/messages", 2, Duration::from_millis(500));
    let begun = Instant::now();
    for number in 0..6 {
        bot.put(&news(number)).await.unwrap();
    }
    assert!(begun.elapsed() >= Duration::from_millis(900), "three windows: {:?}", begun.elapsed());
    assert_eq!(site.fake.messages(site.channel).len(), 6);
    assert_eq!((site.answered("429"), site.counted()), (0, 0), "{:?}", site.fake.requests());
    assert_eq!(site.fake.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn what_another_overdrew_is_waited_out_and_counted() {
    let site = Site::new().await;
    let (one, other) = (site.bot(), site.bot());
    // Both know the bucket before it is narrow.
    one.put(&news(0)).await.unwrap();
    other.put(&news(1)).await.unwrap();
    site.fake.limit("POST /channels/{}/messages", 1, Duration::from_secs(1));
    one.put(&news(2)).await.unwrap();
    other.put(&news(3)).await.unwrap();
    assert_eq!(site.fake.messages(site.channel).len(), 4, "{:?}", site.fake.requests());
    assert!(site.answered("429") > 0, "{:?}", site.fake.requests());
    assert_eq!(site.counted(), site.answered("429"), "each of them counts");
    assert_eq!(site.fake.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn the_limit_of_all_routes_is_waited_out_and_counted() {
    let site = Site::new().await;
    let bot = site.bot();
    site.fake.limit("GET /guilds/{}/members/{}", 1000, Duration::from_secs(1));
    let asked = (0..80).map(|_| bot.person(site.member, GUILD));
    let found = futures_util::future::join_all(asked).await;
    assert!(found.iter().all(|person| matches!(person, Ok(Some(_)))), "{found:?}");
    assert!(site.answered("429") > 0, "{:?}", site.fake.requests());
    assert_eq!(site.counted(), site.answered("429"), "each of them counts");
    assert_eq!(site.fake.complaints(), Vec::<String>::new());
}
