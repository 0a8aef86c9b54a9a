//! Webhooks of GitHub: how many deliveries the bot takes in a second, each verified and on disk before it is answered, where nobody
//! listens at GitHub's place, so that nothing but deliveries is measured; and beside the fake GitHub, how soon whoever commands in
//! a comment sees that it was heard. The bot is the shipped binary.

use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use qd_testkit::github::{APP, FakeGithub, OWNER, Options, Role, WEBHOOK_SECRET};
use qd_wire::signed::hex;
use ring::hmac;
use tokio::net::TcpStream;

use crate::{Failure, figures::Figures, site::Site};

/// Deliveries per connection, and connections at once. GitHub opens many.
const EACH: usize = 500;
const CONNECTIONS: usize = 48;
/// Long enough to be no guess.
const SECRET: &str = "a secret of the bench, long enough";
/// The fields of a real delivery, and bytes like one: a comment of a repository has about 12 KiB.
const BYTES: usize = 12 * 1024;

/// Comments with a command, one after the other, and how many of them are under one issue.
const COMMENTS: usize = 200;
const UNDER_ONE: usize = 20;
/// Longest wait for a reaction.
const PATIENCE: Duration = Duration::from_secs(20);

/// The figures that are wanted.
pub async fn measure(
    binary: &Path,
    figures: &mut Figures,
    wanted: &impl Fn(&str) -> bool,
) -> Result<(), Failure> {
    if ["webhook_accept_per_s", "webhook_accept_ms_p99"].iter().any(|name| wanted(name)) {
        accepts(binary, figures).await?;
    }
    if wanted("comment_to_reaction_ms_p99") {
        reacts(binary, figures).await?;
    }
    Ok(())
}

/// A configuration of one repository at GitHub.
fn config(github: &str) -> String {
    format!(
        "[fleet]\nsolo = true\n\n[[people]]\nname = \"bench\"\nroles = [\"owner\"]\n\n[[teams]]\nname = \"alpha\"\n\n\
         [[repositories]]\nname = \"project\"\npath = \".\"\n\n[github]\n{github}\nwebhook_secret = {{ file = \"secret\" }}\n\
         allow_unprotected = true\nlisten = \"127.0.0.1:0\"\n\n[github.repositories]\nproject = \"{OWNER}/app\"\n"
    )
}

/// How soon a command in a comment has its reaction: GitHub delivers it, the bot keeps it, asks who may command, and reacts.
async fn reacts(binary: &Path, figures: &mut Figures) -> Result<(), Failure> {
    let fake = FakeGithub::start(Options::default()).await;
    fake.limits(u64::MAX, usize::MAX);
    let api = fake.api_url();
    let github = format!("api = \"{api}\"\napp = {APP}\nkey = \"key\"\nwrites_per_minute = 6000");
    let files = [("key", fake.private_key()), ("secret", WEBHOOK_SECRET)];
    let site = Site::with(&config(&github), &files)?;
    let running = site.start(binary, &["bot"]).await?;
    running.says(&["person", "link", "bench", "github:ann"])?;
    fake.set_webhook(&format!("http://{}/github/webhooks", running.webhook()?));
    let place = format!("{OWNER}/app");
    let ann = fake.drive().collaborator(&place, "ann", Role::Write);
    let mut took = Vec::with_capacity(COMMENTS);
    let mut issue = 0;
    for count in 0..COMMENTS {
        if count % UNDER_ONE == 0 {
            issue = ann.opens_issue("It crashes", "Now and then.");
        }
        let begun = Instant::now();
        let comment = ann.comments(issue, "/qd fleet status");
        while fake.drive().reactions(&place, comment).is_empty() {
            if begun.elapsed() > PATIENCE {
                return Err(format!("a comment had no reaction within {PATIENCE:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        took.push(begun.elapsed());
    }
    took.sort();
    let p99 = took.get(took.len() * 99 / 100).copied().ok_or("no samples")?;
    figures.add(
        "comment_to_reaction_ms_p99",
        p99.as_secs_f64() * 1e3,
        "ms",
        took.len(),
        "on the fake GitHub, one after the other; at most 300",
    );
    Ok(())
}

async fn accepts(binary: &Path, figures: &mut Figures) -> Result<(), Failure> {
    let github = "api = \"http://127.0.0.1:9\"\ntoken = { file = \"token\" }";
    let site = Site::with(&config(github), &[("token", "nobody's"), ("secret", SECRET)])?;
    let running = site.start(binary, &["bot"]).await?;
    let to = running.webhook()?;
    let body = Arc::new(body());
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for number in 0..CONNECTIONS {
        tasks.push(tokio::spawn(deliver(to, number, Arc::clone(&body))));
    }
    let mut taken = Vec::with_capacity(CONNECTIONS * EACH);
    for task in tasks {
        taken.extend(task.await??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    taken.sort();
    let p99 = taken.get(taken.len() * 99 / 100).copied().ok_or("no samples")?;
    #[allow(clippy::cast_precision_loss, reason = "some ten thousand")]
    let rate = taken.len() as f64 / seconds;
    let note = format!("{CONNECTIONS} connections, 12 KiB each, durable; at least 3,000");
    figures.add("webhook_accept_per_s", rate, "/s", taken.len(), note);
    figures.add(
        "webhook_accept_ms_p99",
        p99.as_secs_f64() * 1e3,
        "ms",
        taken.len(),
        "at that rate; below 20",
    );
    Ok(())
}

/// A comment that is no command, so that nothing is asked of GitHub.
fn body() -> Bytes {
    let padding = "x".repeat(BYTES);
    let payload = format!(
        "{{\"action\":\"edited\",\"issue\":{{\"number\":1,\"title\":\"It crashes\"}},\"comment\":{{\"id\":1,\"body\":\"{padding}\"}},\
         \"repository\":{{\"id\":1,\"full_name\":\"acme/app\"}},\"sender\":{{\"login\":\"ann\"}}}}"
    );
    payload.into()
}

async fn deliver(to: SocketAddr, number: usize, body: Arc<Bytes>) -> Result<Vec<Duration>, Failure> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = format!("sha256={}", hex(hmac::sign(&key, &body).as_ref()));
    let mut taken = Vec::with_capacity(EACH);
    for count in 0..EACH {
        let request = Request::post("/github/webhooks")
            .header("host", "bench")
            .header("x-github-event", "issue_comment")
            .header("x-github-delivery", format!("{number}-{count}"))
            .header("x-hub-signature-256", signature.as_str())
            .body(Full::new(Bytes::clone(&body)))?;
        let begun = Instant::now();
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        answer.into_body().collect().await?;
        taken.push(begun.elapsed());
        if status.as_u16() != 202 {
            return Err(format!("a delivery was answered {status}").into());
        }
    }
    driver.abort();
    Ok(taken)
}
