//! A real Chromium drives the pages: sees a card move, reads a transcript, approves. Screenshots go to
//! `target/screenshots`; with `UPDATE_SCREENSHOTS=1` the README's picture is written anew.

mod forms;

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use fantoccini::{Client, ClientBuilder, Locator};

use crate::support::binary;

const PATIENCE: Duration = Duration::from_secs(60);

/// A child that is ended by its process id when the test ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

fn skipped() -> bool {
    let told = std::env::var("QUARTERDECK_SKIP").unwrap_or_default();
    let absent = Command::new("chromedriver").arg("--version").output().is_err();
    let skip = told.split(',').any(|suite| suite == "browser") || absent;
    assert!(!skip || std::env::var_os("CI").is_none(), "CI has a browser: the test command installs it");
    if skip {
        eprintln!("skipped: no chromium and chromedriver");
    }
    skip
}

async fn browser(profile: &Path) -> (Ended, Client) {
    let mut driver = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let port = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| {
            line.split_once("successfully on port ").map(|(_, port)| port.trim_end_matches('.').to_owned())
        })
        .unwrap();
    std::thread::spawn(move || lines.for_each(drop));
    let driver = Ended(driver);
    let profile = format!("--user-data-dir={}", profile.display());
    let mut args = vec!["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"];
    args.extend(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    args.extend(["--hide-scrollbars", "--disable-dev-shm-usage", &profile]);
    let options = serde_json::json!({ "goog:chromeOptions": { "args": args } });
    let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
        .capabilities(options.as_object().unwrap().clone())
        .connect(&format!("http://127.0.0.1:{port}"))
        .await
        .unwrap();
    (driver, client)
}

fn folder() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = target.join("screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

async fn screenshot(client: &Client, name: &str) {
    let still = "scrollTo(0, 0); document.getAnimations().forEach((each) => each.finish())";
    client.execute(still, vec![]).await.unwrap();
    for (size, width, height) in [("desktop", 1280, 800), ("phone", 390, 844)] {
        client.set_window_size(width, height).await.unwrap();
        for theme in ["light", "dark"] {
            client
                .execute("document.documentElement.dataset.theme = arguments[0]", vec![theme.into()])
                .await
                .unwrap();
            let png = client.screenshot().await.unwrap();
            assert!(png.len() > 5_000, "a picture of {name}");
            std::fs::write(folder().join(format!("{name}-{size}-{theme}.png")), png).unwrap();
        }
        let wide = client
            .execute(
                "return document.documentElement.scrollWidth - document.documentElement.clientWidth",
                vec![],
            )
            .await
            .unwrap();
        assert_eq!(wide, 0, "{name} at {size} does not scroll sideways");
    }
    client.execute("delete document.documentElement.dataset.theme", vec![]).await.unwrap();
    client.set_window_size(1280, 800).await.unwrap();
}

/// Waits for an element, without loading the page again.
async fn see(client: &Client, css: &str) -> fantoccini::elements::Element {
    match client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await {
        Ok(found) => found,
        Err(error) => {
            let page = client.execute("return document.body.innerText", vec![]).await;
            panic!("{css}: {error}: {page:?}")
        }
    }
}

/// Clicks an element. It may be drawn anew between being found and being clicked: then it is found again.
async fn click(client: &Client, css: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match see(client, css).await.click().await {
            Ok(()) => return,
            Err(error) => assert!(Instant::now() < deadline, "{css} can't be clicked: {error}"),
        }
    }
}

/// What an element says, read in one step.
async fn text(client: &Client, css: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match see(client, css).await.text().await {
            Ok(text) => return text,
            Err(error) => assert!(Instant::now() < deadline, "{css} can't be read: {error}"),
        }
    }
}

async fn approve(client: &Client, base: &str, team: &str) {
    client.goto(&format!("{base}/teams/{team}/inbox")).await.unwrap();
    click(client, "#approve").await;
    client
        .wait()
        .at_most(PATIENCE)
        .for_element(Locator::XPath("//dd[contains(., 'merged as')]"))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_a_card_move_reads_and_approves() {
    if skipped() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // Before the demo, which does not wait for a browser to start.
    let (driver, client) = browser(&dir.path().join("profile")).await;
    let mut demo = Command::new(binary())
        .args(["demo", "--json", "--wait", "3", "--keep"])
        .arg(dir.path().join("demo"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(demo.stderr.take().unwrap()).lines();
    let link =
        said.by_ref().map_while(Result::ok).find_map(|line| line.strip_prefix("Board: ").map(str::to_owned));
    let link = link.unwrap();
    let heard = std::thread::spawn(move || said.map_while(Result::ok).collect::<Vec<_>>().join("\n"));
    let mut demo = Ended(demo);
    let base = link.split("/sign-in").next().unwrap().to_owned();

    client.goto(&format!("{base}/teams/alpha/")).await.unwrap();
    assert!(client.source().await.unwrap().contains("Who are you?"), "a stranger sees nothing");
    client.goto(&link).await.unwrap();
    see(&client, "#board").await;

    client.goto(&format!("{base}/teams/alpha/")).await.unwrap();
    see(&client, "article.asks[data-id='A-1'][data-stage='review']").await;
    see(&client, "article[data-id='A-2'] .says").await;
    // In one step: the card may be drawn anew between two.
    let says = "return document.querySelector(\"article[data-id='A-2'] .says\").innerText";
    let waits = client.execute(says, vec![]).await.unwrap();
    assert_eq!(waits, "Waits for A-1 to be merged.");
    screenshot(&client, "board").await;
    if std::env::var_os("UPDATE_SCREENSHOTS").is_some() {
        let picture = folder().join("board-desktop-light.png");
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/images");
        std::fs::create_dir_all(&docs).unwrap();
        std::fs::copy(picture, docs.join("board.png")).unwrap();
    }

    // By keyboard alone: walk to the card, open it.
    client.execute("document.querySelector(\"article[data-id='A-1'] h3 a\").focus()", vec![]).await.unwrap();
    client.active_element().await.unwrap().send_keys("\u{e007}").await.unwrap();
    client
        .wait()
        .at_most(PATIENCE)
        .for_url(&format!("{base}/teams/alpha/features/A-1").parse().unwrap())
        .await
        .unwrap();
    forms::file(&client, &base).await;
    forms::edit(&client, &base).await;
    forms::pause(&client, &base).await;
    forms::operations(&client, &base).await;
    forms::projects(&client, &base).await;

    client.goto(&format!("{base}/teams/alpha/runs/A-1.1")).await.unwrap();
    client
        .wait()
        .at_most(PATIENCE)
        .for_element(Locator::XPath("//div[@id='transcript']//span[contains(., 'Moving the layout')]"))
        .await
        .unwrap();
    assert!(client.source().await.unwrap().contains("src/receipt.rs"), "the diff is there");
    screenshot(&client, "run").await;

    client.goto(&format!("{base}/teams/alpha/inbox")).await.unwrap();
    see(&client, "#approve").await;
    screenshot(&client, "inbox").await;
    client.goto(&format!("{base}/console")).await.unwrap();
    see(&client, ".message").await;
    screenshot(&client, "channels").await;

    // The board is not loaded again while its owner approves in another tab: the card moves by itself.
    client.goto(&format!("{base}/teams/alpha/")).await.unwrap();
    see(&client, "article[data-id='A-1'][data-stage='review']").await;
    client.execute("window.stays = true", vec![]).await.unwrap();
    let board = client.window().await.unwrap();
    let tab = client.new_window(true).await.unwrap();
    client.switch_to_window(tab.handle).await.unwrap();
    approve(&client, &base, "alpha").await;
    approve(&client, &base, "beta").await;
    client.close_window().await.unwrap();
    client.switch_to_window(board).await.unwrap();
    see(&client, "article[data-id='A-1'][data-stage='done']").await;
    assert_eq!(client.execute("return window.stays", vec![]).await.unwrap(), true, "it was not loaded again");
    // Its agent asks for something before it goes on.
    see(&client, "article.asks[data-id='A-2'][data-stage='running']").await;
    client.goto(&format!("{base}/teams/alpha/inbox")).await.unwrap();
    click(&client, "#approve").await;
    client.goto(&format!("{base}/teams/alpha/")).await.unwrap();
    see(&client, "article.asks[data-id='A-2'][data-stage='review']").await;
    client.goto(&format!("{base}/teams/alpha/inbox")).await.unwrap();
    click(&client, "#approve").await;

    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = demo.0.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "the demo should have ended");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    client.close().await.unwrap();
    drop(driver);
    let text = heard.join().unwrap();
    assert!(status.success(), "{text}");
    assert!(text.contains("ssh -L "), "how to reach the page from elsewhere: {text}");
}
