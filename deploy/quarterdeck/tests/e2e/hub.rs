//! What is between a bot and a team on another computer, as people meet it: a team that falls silent, an outbox that is full, an
//! order to read the configuration again, and an endpoint that has limits.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use qd_api::{ApprovalView, CastVote, Client, FeatureView, QuestionView};
use qd_board::NewFeature;
use qd_types::{ApprovalState, Ballot, Stage};

use crate::{
    apart::{Place, Role, says},
    decide::question,
    door::send,
    support::{Project, config, seen, until},
};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);
/// A team beats once a second: it is late after three, and silent after ten.
const QUICK: &str = "\n[uplink]\nbeat_seconds = 1\noutbox_mib = 1\n";

/// A bot and a team that has joined it, each in a place of its own.
struct Apart<'a> {
    at_the_bot: Place<'a>,
    elsewhere: Place<'a>,
    bot: Option<Role>,
    speaks: String,
}

impl<'a> Apart<'a> {
    fn new(project: &'a Project, text: &str) -> Self {
        let at_the_bot = Place::new(project, "bot", &format!("{text}\n[hub]\nlisten = \"127.0.0.1:0\"\n"));
        let bot = at_the_bot.start(&["bot"]);
        let hub = hub(&at_the_bot);
        // From now on it has one address.
        std::fs::write(&at_the_bot.file, format!("{text}\n[hub]\nlisten = \"{hub}\"\n")).unwrap();
        let forge = at_the_bot.state.join("bot/forge/repos/project.git");
        let remote = format!("name = \"project\"\nremote = \"{}\"", forge.display());
        let elsewhere = Place::new(project, "elsewhere", &text.replace("name = \"project\"", &remote));
        let speaks = bot.session();
        let invited = at_the_bot.ok(&["bot", "invite", "alpha"]);
        let token = invited.split_whitespace().find(|word| word.starts_with("alpha.")).unwrap();
        elsewhere.ok(&["instance", "join", &format!("http://{hub}"), token]);
        Self { at_the_bot, elsewhere, bot: Some(bot), speaks }
    }

    fn bot(&self) -> &Role {
        self.bot.as_ref().unwrap()
    }

    /// The last line of the answer to what ines says in chat.
    fn says(&self, text: &str) -> String {
        says(self.bot(), &self.speaks, text)
    }

    /// Says it until the answer is as wanted.
    fn hears(&self, text: &str, wanted: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let said = self.says(text);
            if wanted(&said) {
                return said;
            }
            assert!(begun.elapsed() < PATIENCE, "{text}: {said}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// What stands in the channels.
    fn channels(&self) -> String {
        let token = format!("Authorization: Bearer {}", self.speaks);
        send(&self.bot().address, "GET /console/fragment", &[&token], "").1
    }

    fn shows(&self, wanted: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let page = self.channels();
            if wanted(&page) {
                return page;
            }
            assert!(begun.elapsed() < PATIENCE, "{page}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn log(&self, place: &Place<'_>) -> String {
        std::fs::read_to_string(place.state.with_extension("log")).unwrap_or_default()
    }
}

/// Where teams reach the bot.
fn hub(bot: &Place<'_>) -> String {
    std::fs::read_to_string(bot.state.join("bot/hub.address")).unwrap()
}

/// The sentence without its times of day.
fn timeless(text: &str) -> String {
    let word = |word: &str| {
        let time = word.len() >= 5 && word.is_char_boundary(5) && word.as_bytes()[2] == b':';
        if time { format!("HH:MM{}", &word[5..]) } else { word.to_owned() }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_that_falls_silent_is_late_then_silent_with_one_alert_and_never_idle() {
    let project = Project::new(&[("README.md", "# Silent\n")]);
    let apart = Apart::new(&project, &(config("true", None) + QUICK));
    let mut words = vec![apart.says("fleet status")];
    let team = apart.elsewhere.start(&["instance", "alpha"]);
    words.push(apart.hears("fleet status", |said| said.contains("is heard")));
    drop(team);
    words.push(apart.hears("fleet status", |said| said.contains("is late")));
    words.push(apart.says("feature add --team alpha Meanwhile"));
    words.push(apart.hears("fleet status", |said| said.contains("is silent")));
    words.push(apart.says("feature add --team alpha Later"));
    let words: Vec<String> = words.iter().map(|word| timeless(word)).collect();
    insta::assert_snapshot!(words.join("\n"), @"
    alpha was not heard yet.
    alpha is heard: no run.
    alpha is late: last heard at HH:MM with no run.
    alpha is late: last heard at HH:MM. The order is kept and goes out when it is heard again.
    alpha is silent since HH:MM (last heard with no run). Its work is safe on its machine; orders wait.
    alpha is silent since HH:MM. The order is kept and goes out when it is heard again.
    ");
    let alert = "Its work is safe on its machine; orders wait.";
    let page = apart.shows(|page| page.contains(alert));
    // It is looked at again and again, and said once.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(apart.channels().matches(alert).count(), page.matches(alert).count(), "{page}");
    assert!(!page.contains("idle"), "{page}");
    let alerts = "SELECT json_extract(alert, '$.count') || ' ' || json_extract(alert, '$.over') FROM alerts";
    assert_eq!(sql(&apart.at_the_bot, "bot/bot.db", alerts), "1 0");

    // It is back, and has what was ordered meanwhile.
    let team = apart.elsewhere.start(&["instance", "alpha"]);
    apart.hears("fleet status", |said| said.contains("is heard"));
    let mut client = apart.elsewhere.client("alpha", &team.session());
    let begun = Instant::now();
    loop {
        let filed: Vec<FeatureView> = client.get("features").await.unwrap();
        if filed.len() == 2 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "what was ordered does not come");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(sql(&apart.at_the_bot, "bot/bot.db", alerts), "1 1", "it is over");
}

/// The only value of a query on a database of a place.
fn sql(place: &Place<'_>, file: &str, query: &str) -> String {
    let c = qd_sqlite::read_only(&place.state.join(file)).unwrap();
    c.query_row(&format!("SELECT CAST(({query}) AS TEXT)"), [], |row| row.get(0)).unwrap()
}

const BOARD: &str = "instances/alpha/board.db";

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_at_its_quota_starts_nothing_new_keeps_decisions_and_ships_it_all() {
    let project = Project::new(&[("README.md", "# Full\n")]);
    let gate = project.folder().join("go");
    let agent = format!("until test -f {}; do sleep 0.1; done; echo done > $$.txt", gate.display());
    let walls = "\n[approvals]\nlocal_votes_beside_unsandboxed_agents = \"allow\"\n";
    let mut apart = Apart::new(&project, &(config(&agent, None) + QUICK + walls + &seen(&project)));
    let team = apart.elsewhere.start(&["instance", "alpha"]);
    let mut client = apart.elsewhere.client("alpha", &team.session());
    add(&mut client, "Begun before".to_owned(), true).await;
    until(&mut client, "A-1", |view| view.feature.stage == Stage::Running).await;
    apart.shows(|page| page.contains("Begun before"));
    drop(apart.bot.take());

    // A MiB of reports about features, of each the newest alone.
    let mut filed = 1;
    let full = loop {
        for _ in 0..100 {
            filed += 1;
            add(&mut client, format!("{filed} {}", "of a long title ".repeat(7)), false).await;
        }
        let view: FeatureView = client.get("features/A-2").await.unwrap();
        let waits = "SELECT sum(octet_length(body)) FROM outbox";
        let bytes: u64 = sql(&apart.elsewhere, BOARD, waits).parse().unwrap();
        // More than what merging living states gives back.
        if bytes > (1 << 20) + (1 << 16) {
            break view;
        }
        assert!(filed < 20_000, "{bytes} bytes wait");
    };
    for priority in 0..4_u8 {
        let edit = serde_json::json!({ "priority": priority });
        let _: FeatureView = client.patch(&format!("features/{}", full.feature.id), &edit).await.unwrap();
    }
    let rows = format!("SELECT count(*) FROM outbox WHERE living = 'feature:{}'", full.feature.id);
    // The newest, and at most one that was under way when the bot went.
    let rows: usize = sql(&apart.elsewhere, BOARD, &rows).parse().unwrap();
    assert!((1..=2).contains(&rows), "a living state is merged: {rows}");

    add(&mut client, "Waits for room".to_owned(), true).await;
    filed += 1;
    let waits = until(&mut client, &format!("A-{filed}"), |view| view.sentence.contains("outbox")).await;
    let full =
        "The outbox of 1 MiB is full of what waits for the bot. No new run starts before the bot takes it";
    assert!(waits.sentence.contains(full), "{}", waits.sentence);
    assert!(waits.run.is_none());
    // What people decide goes on, and what was begun comes to its decision.
    let asked = question(&mut client).await;
    let view: ApprovalView = client.get(&format!("approvals/{}", asked.key)).await.unwrap();
    let cast = CastVote {
        answer: Some("Blue".into()),
        ..CastVote::new(Ballot::Approve, &view.approval.digest, None)
    };
    let _: ApprovalView = client.post(&format!("approvals/{}/vote", asked.key), &cast).await.unwrap();
    let answered: QuestionView = client.get(&format!("questions/{}", asked.key)).await.unwrap();
    assert_eq!(answered.state, ApprovalState::Executed);

    apart.bot = Some(apart.at_the_bot.start(&["bot"]));
    std::fs::write(&gate, "").unwrap();
    until(&mut client, &format!("A-{filed}"), |view| view.run.is_some()).await;
    let known = || sql(&apart.at_the_bot, "bot/bot.db", "SELECT count(*) FROM features");
    let begun = Instant::now();
    while known() != filed.to_string() {
        assert!(begun.elapsed() < PATIENCE, "{} of {filed} features", known());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let shown = "SELECT count(*) FROM foreign_approvals WHERE foreign_approval LIKE '%\"executed\"%'";
    assert_eq!(sql(&apart.at_the_bot, "bot/bot.db", shown), "1", "the bot has the decision");
}

async fn add(client: &mut Client, title: String, ready: bool) {
    let new = NewFeature { ready, ..NewFeature::titled(title) };
    let _: FeatureView = client.post("features", &new).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_reads_its_configuration_again_when_the_bot_orders_it() {
    let project = Project::new(&[("README.md", "# Reload\n")]);
    let text = config("echo one > out.txt", Some("grep -q two out.txt")) + QUICK;
    let apart = Apart::new(&project, &text);
    let _team = apart.elsewhere.start(&["instance", "alpha"]);
    apart.hears("fleet status", |said| said.contains("is heard"));
    let before = std::fs::read_to_string(&apart.elsewhere.file).unwrap();
    std::fs::write(&apart.elsewhere.file, before.replace("echo one", "echo two")).unwrap();
    insta::assert_snapshot!(apart.says("team reload gamma"), @"There is no team gamma. There is alpha.");
    insta::assert_snapshot!(apart.says("team reload alpha"), @"Sent to alpha.");
    let begun = Instant::now();
    while !apart.log(&apart.elsewhere).contains("read again, as ordered") {
        assert!(begun.elapsed() < PATIENCE, "{}", apart.log(&apart.elsewhere));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let log = apart.log(&apart.elsewhere);
    let line = log.lines().find(|line| line.contains("read again, as ordered")).unwrap();
    assert!(line.contains("agents.shell"), "{line}");
}

/// A request to the hub, byte for byte; what comes back until it closes.
fn raw(hub: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(hub).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    let _cut = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status and the reason of a refusal.
fn refusal(answer: &str) -> String {
    let status = answer.split(' ').nth(1).unwrap_or("nothing");
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let said: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    format!("{status} {}", said.get("refused").and_then(|text| text.as_str()).unwrap_or(body))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_hub_does_not_take_is_refused_with_its_reason() {
    let project = Project::new(&[("README.md", "# Limits\n")]);
    let text = config("true", None) + QUICK;
    let apart = Apart::new(&project, &text);
    let hub = hub(&apart.at_the_bot);
    // Two that take their time: one with the head of its call, one with its body.
    let slow = |request: &'static str| {
        let hub = hub.clone();
        std::thread::spawn(move || raw(&hub, request.as_bytes()))
    };
    let head = slow("POST /wire/v1/ca");
    let body =
        slow("POST /wire/v1/call HTTP/1.1\r\nhost: bot\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{");
    let post = |more: &str, body: &[u8]| {
        let length = body.len();
        let head = format!(
            "POST /wire/v1/call HTTP/1.1\r\nhost: bot\r\nconnection: close\r\n{more}content-length: {length}\r\n\r\n"
        );
        refusal(&raw(&hub, &[head.as_bytes(), body].concat()))
    };
    let mut said = vec![
        post("", b""),
        post("", b"{}"),
        post("", &vec![b'x'; 8 * 1024 * 1024 + 1]),
        post("content-encoding: gzip\r\n", b"x"),
        post("content-encoding: zstd\r\n", b"x"),
        refusal(&raw(&hub, b"GET /wire/v1/orders HTTP/1.1\r\nhost: bot\r\nconnection: close\r\n\r\n")),
    ];
    // A key that nobody enrolled.
    let folder = apart.elsewhere.state.join("instances/alpha");
    let (key, kept) = (folder.join("surface.key"), folder.join("kept.key"));
    std::fs::rename(&key, &kept).unwrap();
    let rotated = apart.elsewhere.command(&["instance", "rotate", "alpha"]).output().unwrap();
    let rotated = String::from_utf8_lossy(&rotated.stderr).replace(&hub, "HUB");
    let word = |word: &str| {
        let id = word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        if id { "KEY".to_owned() } else { word.to_owned() }
    };
    said.push(rotated.trim().split(' ').map(word).collect::<Vec<_>>().join(" "));
    assert_eq!(head.join().unwrap(), "", "closed without a word");
    said.push(refusal(&body.join().unwrap()));
    insta::assert_snapshot!(said.join("\n"), @"
    400 there is no call in it
    403 the bytes are no envelope: missing field `header` at line 1 column 2
    413 the body can't be read, it may be too large: length limit exceeded
    415 a body is plain or packed with zstd
    400 the body can't be unpacked: Unknown frame descriptor
    400 the header Quarterdeck-Call is missing
    quarterdeck: the bot can't be reached: the bot refuses: alpha has no key KEY here: let it join anew (quarterdeck bot invite, quarterdeck instance join)
    408 the body took longer than 30 seconds
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_full_says_so_and_takes_the_next_when_there_is_a_place() {
    let project = Project::new(&[("README.md", "# Full\n")]);
    let text = config("true", None) + "\n[hub]\nlisten = \"127.0.0.1:0\"\nconnections = 2\n";
    let place = Place::new(&project, "bot", &text);
    let _bot = place.start(&["bot"]);
    let hub = hub(&place);
    let card = || raw(&hub, b"GET /wire/v1/card HTTP/1.1\r\nhost: bot\r\nconnection: close\r\n\r\n");
    assert!(card().starts_with("HTTP/1.1 200"), "{}", card());
    let open: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(&hub).unwrap()).collect();
    let begun = Instant::now();
    let full = loop {
        let answer = card();
        if !answer.starts_with("HTTP/1.1 200") {
            break answer;
        }
        assert!(begun.elapsed() < PATIENCE, "there is always a place");
    };
    insta::assert_snapshot!(refusal(&full), @"503 the bot has 2 connections open, which is hub.connections: try again later, or have its owner raise that");
    drop(open);
    let begun = Instant::now();
    while !card().starts_with("HTTP/1.1 200") {
        assert!(begun.elapsed() < PATIENCE, "there is no place again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
