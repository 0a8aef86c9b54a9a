//! Servers on the network: which addresses are connected to, and that they stay what was looked at.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use insta::assert_snapshot;
use qd_guard::{
    proxy::{Mapping, Pins, Proxy},
    reach::{Names, Reach, SystemNames},
};
use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::world::World;

/// Names that may change their mind.
#[derive(Default)]
pub(crate) struct Told {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Told {
    /// One answer after the other; the last one stays.
    pub(crate) fn new(answers: &[&[&str]]) -> Self {
        let parsed = |all: &&[&str]| all.iter().map(|text| text.parse().unwrap()).collect();
        Self { answers: Mutex::new(answers.iter().map(parsed).collect()), asked: AtomicUsize::new(0) }
    }
}

#[async_trait]
impl Names for Told {
    async fn look_up(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        Ok(if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() })
    }
}

/// A server of bytes: every connection gets what `answer` makes of its request.
pub(crate) async fn raw(
    answer: impl Fn(&str) -> String + Send + Sync + 'static,
) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = heard.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 16 * 1024];
            let length = stream.read(&mut request).await.unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..length]).into_owned();
            let said = answer(&text);
            log.lock().unwrap().push(text);
            let _ = stream.write_all(said.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, heard)
}

pub(crate) fn http(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}", body.len())
}

#[tokio::test]
async fn addresses_of_this_side_are_refused() {
    let public = Told::new(&[&["1.1.1.1"]]);
    // However they are written.
    for inner in [
        "https://127.0.0.1/mcp",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://10.0.0.8/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fd00::1]/",
        "https://100.64.0.1/",
    ] {
        let refused = Reach::new(inner, false, &public).await.unwrap_err().to_string();
        assert!(refused.contains("not one of the public network"), "{inner}: {refused}");
        assert!(Reach::new(inner, true, &public).await.is_ok(), "{inner}");
    }
    // Also for those who let their own networks through.
    for never in [
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/",
        "http://[fd00:ec2::254]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::a9fe:a9fe]/",
        "http://[2002:a9fe:a9fe::]/",
        "http://0.0.0.0/",
        "http://[::]/",
        "http://224.0.0.1/",
    ] {
        for private in [false, true] {
            let refused = Reach::new(never, private, &public).await.unwrap_err().to_string();
            assert!(refused.contains("never that of a server"), "{never}: {refused}");
        }
    }
    assert_eq!(public.asked.load(Ordering::SeqCst), 0, "an address is no name");
    // One bad address among those of a name is enough.
    let mixed = Told::new(&[&["1.1.1.1", "127.0.0.1"]]);
    assert_snapshot!(Reach::new("https://tools.example/mcp", false, &mixed).await.unwrap_err(), @"tools.example stands for 127.0.0.1, which is not one of the public network: a person who wants it reached anyway allows private addresses, with --allow-private");
    assert_snapshot!(Reach::new("http://tools.example/mcp", false, &public).await.unwrap_err(), @r#""http://tools.example/mcp" is no address of a server: on the public network it takes https://"#);
    for odd in ["ftp://a/", "file:///etc/passwd", "https://me:secret@tools.example/", "https://a/#b", "a"] {
        assert!(Reach::new(odd, true, &public).await.is_err(), "{odd}");
    }
    assert!(Reach::new("https://tools.example/", false, &Told::new(&[&[]])).await.is_err());
    assert!(Reach::new("http://localhost:1/", false, &SystemNames).await.is_err());
}

#[tokio::test]
async fn a_name_is_asked_once_and_what_it_says_later_does_not_count() {
    let (port, heard) = raw(|_| http("200 OK", "", "{}")).await;
    // What it stands for when it is looked at, and what it would stand for next.
    let names = Told::new(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let reach = Reach::new(&format!("http://tools.example:{port}/"), true, &names).await.unwrap();
    for _ in 0..3 {
        assert_eq!(reach.document(10).await.unwrap(), b"{}");
    }
    assert_eq!((names.asked.load(Ordering::SeqCst), heard.lock().unwrap().len()), (1, 3));
    assert!(heard.lock().unwrap().iter().all(|request| request.contains("host: tools.example")));
}

#[tokio::test]
async fn redirects_lead_nowhere_else() {
    let (elsewhere, heard) = raw(|_| http("200 OK", "", "secret")).await;
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = format!("Location: http://127.0.0.1:{elsewhere}/\r\n");
        let (port, _) = raw(move |_| http(status, &location, "")).await;
        let reach = Reach::new(&format!("http://127.0.0.1:{port}/"), true, &SystemNames).await.unwrap();
        let refused = reach.document(100).await.unwrap_err().to_string();
        assert!(refused.contains(&format!("it answers with {}", &status[..3])), "{refused}");
    }
    assert!(heard.lock().unwrap().is_empty());
    // Within the same server, and not for ever.
    let (port, _) = raw(|request| match request.starts_with("GET /new") {
        true => http("200 OK", "", "moved"),
        false => http("308 Permanent Redirect", "Location: /new\r\n", ""),
    })
    .await;
    let reach = Reach::new(&format!("http://127.0.0.1:{port}/old"), true, &SystemNames).await.unwrap();
    assert_eq!(reach.document(100).await.unwrap(), b"moved");
    let (port, heard) = raw(|_| http("307 Temporary Redirect", "Location: /\r\n", "")).await;
    let reach = Reach::new(&format!("http://127.0.0.1:{port}/"), true, &SystemNames).await.unwrap();
    assert!(reach.document(100).await.is_err());
    assert_eq!(heard.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_document_without_end_is_cut() {
    let (port, _) = raw(|_| http("200 OK", "", &"x".repeat(5_000))).await;
    let reach = Reach::new(&format!("http://127.0.0.1:{port}/"), true, &SystemNames).await.unwrap();
    assert!(reach.document(4_999).await.unwrap_err().to_string().ends_with("it is longer than 4999 bytes"));
    assert_eq!(reach.document(5_000).await.unwrap().len(), 5_000);
}

#[tokio::test]
async fn a_server_on_the_network_is_proxied_with_its_token() {
    let far = World::new().await;
    let (port, _stop) = crate::http::serve(&far).await;
    let reach = Reach::new(&format!("http://127.0.0.1:{port}/mcp"), true, &SystemNames).await.unwrap();
    let wrong = reach.transport(Some(&SecretString::from("three")));
    let refused = Proxy::connect("far", wrong, Pins::default(), Mapping::default()).await;
    assert!(refused.is_err());
    let token = SecretString::from("one");
    let mut pins = Pins::default();
    let seen =
        Proxy::connect("far", reach.transport(Some(&token)), pins.clone(), Mapping::default()).await.unwrap();
    for found in seen.found() {
        pins.trust(&found.tool);
    }
    let proxy = Proxy::connect("far", reach.transport(Some(&token)), pins, Mapping::default()).await.unwrap();
    let world = World::new().await;
    let client = world.client_of(crate::proxy::guarded(&world, &proxy), crate::world::agent("A-1.1")).await;
    let said = client.good("status", serde_json::json!({"service": "search"})).await;
    assert!(said.contains("search was restarted 0 times"), "{said}");
}
