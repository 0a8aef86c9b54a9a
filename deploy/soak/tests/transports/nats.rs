//! A real NATS server, restarted and killed under load, with the configuration that is shipped.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use qd_hub::HubGate;
use qd_nats::{NatsCarrier, NatsServer, Server};
use qd_types::InstanceName;
use qd_wire::port::Carrier;
use tokio::task::JoinHandle;

use crate::{
    contract,
    site::{FLEET, TEAMS, Transport},
};

/// Whether the suite is left out, because the server is not here. In CI that is a failure, unless it was told.
fn skipped() -> bool {
    let there = Command::new("nats-server").arg("--version").stdout(Stdio::null()).status().is_ok();
    if there {
        return false;
    }
    let told = std::env::var("QUARTERDECK_SKIP").unwrap_or_default().split(',').any(|suite| suite == "nats");
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(told || !ci, "nats-server is not installed: apt-get install nats-server");
    eprintln!("SKIPPED: nats-server is not installed (apt-get install nats-server)");
    true
}

/// A server with the shipped configuration, in a folder and on a port of its own.
struct Nats {
    dir: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
    bot: Option<JoinHandle<()>>,
    breaks: u32,
}

/// The shipped configuration, for the teams of the test.
fn configuration(dir: &std::path::Path, port: u16) -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../nats/nats-server.conf");
    let shipped = std::fs::read_to_string(path).unwrap();
    let block = |from: &str| {
        let begin = shipped.find(&format!("    {from} = {{")).unwrap();
        let end = begin + shipped.get(begin..).unwrap().find("\n    }\n").unwrap() + 7;
        shipped.get(begin..end).unwrap().to_owned()
    };
    let beta = block("BETA");
    let (mut blocks, mut users) = (String::new(), String::new());
    for name in ["gamma", "delta"] {
        let upper = name.to_uppercase();
        blocks.push_str(&beta.replace("BETA", &upper).replace("beta", name));
        users.push_str(&format!(
            "        {{user: {name}, password: ${upper}_PASSWORD, permissions: ${upper}}}\n"
        ));
    }
    shipped
        .replace(&beta, &format!("{beta}{blocks}"))
        .replace("    users = [\n", &format!("    users = [\n{users}"))
        .replace("/var/lib/nats", &dir.join("store").display().to_string())
        .replace("0.0.0.0:4222", &format!("127.0.0.1:{port}"))
}

impl Nats {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        std::fs::write(dir.path().join("nats.conf"), configuration(dir.path(), port)).unwrap();
        let mut nats = Self { dir, port, process: None, bot: None, breaks: 0 };
        nats.start().await;
        nats
    }

    async fn start(&mut self) {
        let mut command = Command::new("nats-server");
        command.arg("-c").arg(self.file()).stdin(Stdio::null());
        let log =
            std::fs::File::options().create(true).append(true).open(self.dir.path().join("log")).unwrap();
        command.stderr(log.try_clone().unwrap()).stdout(log);
        command.env("BOT_PASSWORD", password("bot"));
        for name in TEAMS {
            command.env(format!("{}_PASSWORD", name.to_uppercase()), password(name));
        }
        self.process = Some(command.spawn().unwrap());
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!(
            "nats-server does not start: {}",
            std::fs::read_to_string(self.dir.path().join("log")).unwrap()
        );
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("nats.conf")
    }

    fn end(&mut self, kill: bool) {
        let mut process = self.process.take().unwrap();
        if kill {
            process.kill().unwrap();
        } else {
            let pid = process.id().to_string();
            assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        }
        process.wait().unwrap();
    }

    fn server(&self, user: &str) -> Server {
        let url = format!("nats://127.0.0.1:{}", self.port);
        Server { url, user: user.into(), password: password(user), roots: None }
    }
}

fn password(user: &str) -> String {
    format!("secret-of-{user}")
}

impl Drop for Nats {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ended = process.kill().and_then(|()| process.wait());
        }
    }
}

#[async_trait]
impl Transport for Nats {
    async fn serve(&mut self, gate: HubGate) {
        let server = NatsServer::open(&self.server("bot"), FLEET, Arc::new(gate)).await.unwrap();
        self.bot = Some(tokio::spawn(server.run()));
    }

    async fn carrier(&self, team: &InstanceName) -> Arc<dyn Carrier> {
        Arc::new(NatsCarrier::connect(&self.server(team.as_str()), FLEET, team).await.unwrap())
    }

    /// Restarted and killed, by turns.
    async fn breaks(&mut self) {
        self.breaks += 1;
        self.end(self.breaks.is_multiple_of(2));
        self.start().await;
    }

    async fn stop(&mut self) {
        let bot = self.bot.take().unwrap();
        bot.abort();
        let _ended = bot.await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nats_server_that_is_restarted_and_killed_holds_the_contract() {
    if skipped() {
        return;
    }
    contract::holds(&mut Nats::new().await).await;
}
