//! A client that knows nothing of GitHub: requests over loopback, tokens signed by hand, git as a program.

use std::{
    path::Path,
    process::{Command, Output},
};

use base64::{Engine as _, engine::general_purpose};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use qd_testkit::github::{APP, FakeGithub, Options};
use serde_json::{Value, json};

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default()
    }

    pub(crate) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

/// Somebody with a token.
pub(crate) struct Client {
    pub(crate) base: String,
    pub(crate) token: Option<String>,
}

impl Client {
    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.sent(method, path, body, &[]).await.expect("an answer")
    }

    pub(crate) async fn sent(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Result<Answer, String> {
        let host = self.base.trim_start_matches("http://");
        let (host, prefix) =
            host.split_once('/').map_or((host, String::new()), |(host, rest)| (host, format!("/{rest}")));
        let stream = tokio::net::TcpStream::connect(host).await.map_err(|error| error.to_string())?;
        let (mut sender, wire) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        tokio::spawn(wire);
        let mut request = hyper::Request::builder().method(method).uri(format!("{prefix}{path}"));
        request = request.header("host", host).header("user-agent", "a test");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Answer { status, headers, body: serde_json::from_str(&text).unwrap_or_default(), text })
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send("PATCH", path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, Some(body)).await
    }
}

/// A token that an App signs.
pub(crate) fn jwt(pem: &str, claims: &Value) -> String {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let pair = ring::rsa::KeyPair::from_der(&general_purpose::STANDARD.decode(body).unwrap()).unwrap();
    let part = |value: &Value| general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"alg": "RS256", "typ": "JWT"})), part(claims));
    let mut mark = vec![0; pair.public().modulus_len()];
    let random = ring::rand::SystemRandom::new();
    pair.sign(&ring::signature::RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut mark).unwrap();
    format!("{signed}.{}", general_purpose::URL_SAFE_NO_PAD.encode(mark))
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// A fake with `acme/app`, the App as a client, and an installation of it as another.
pub(crate) struct Scene {
    pub(crate) fake: FakeGithub,
    pub(crate) app: Client,
    pub(crate) bot: Client,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let fake = FakeGithub::start(options).await;
        let claims = json!({"iat": now() - 60, "exp": now() + 540, "iss": APP.to_string()});
        let app = Client { base: fake.api_url(), token: Some(jwt(fake.private_key(), &claims)) };
        let path = format!("/app/installations/{}/access_tokens", fake.installation_id());
        let told = app.send("POST", &path, None).await;
        assert_eq!(told.status, 201, "{told:?}");
        let token = told.body["token"].as_str().map(str::to_owned);
        let bot = Client { base: fake.api_url(), token };
        Self { fake, app, bot }
    }

    /// Nothing was said or answered that GitHub would not have.
    pub(crate) fn ends_well(&self) {
        assert_eq!(self.fake.violations(), Vec::<String>::new());
    }

    /// The address to push to, with the token.
    pub(crate) fn remote(&self) -> String {
        self.remote_with(self.bot.token.as_deref().unwrap())
    }

    pub(crate) fn remote_with(&self, token: &str) -> String {
        self.fake.git_url("acme/app").replace("http://", &format!("http://x-access-token:{token}@"))
    }
}

/// Runs git in a folder, off the threads that serve.
pub(crate) async fn git(folder: &Path, args: &[&str]) -> Output {
    let (folder, args) = (folder.to_owned(), args.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
    let run = move || {
        let mut git = Command::new("git");
        git.current_dir(folder)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        for (key, value) in [("NAME", "ann"), ("EMAIL", "ann@example.com")] {
            git.env(format!("GIT_AUTHOR_{key}"), value).env(format!("GIT_COMMITTER_{key}"), value);
        }
        git.args(args).output().unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// What git says, which must be well.
pub(crate) async fn git_ok(folder: &Path, args: &[&str]) -> String {
    let out = git(folder, args).await;
    assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}
