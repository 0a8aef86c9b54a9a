//! Other keys through the front door: the bot's, with processes killed in the middle on both sides, and a team's, because the
//! bot wants it. Work goes on meanwhile, and what the key of before signed counts.

use std::time::Duration;

use qd_api::{Client, FeatureView};

use crate::{
    apart::{Place, says},
    support::{Project, approve, config, finished, git, until},
};

fn read(path: &std::path::Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Waits until this holds.
async fn holds(what: &str, check: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !check() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until an order that files a feature has come.
async fn there(client: &mut Client, id: &str) {
    let begun = std::time::Instant::now();
    while client.get::<FeatureView>(&format!("features/{id}")).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{id} does not come");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Without fingerprints and times.
fn plain(text: &str) -> String {
    let hex = |word: &str| word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let line = |line: &str| {
        let words = line.split_whitespace().map(|word| if hex(word) { "XXXX" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_takes_another_key_though_it_and_a_team_die_in_the_middle() {
    let project = Project::new(&[("README.md", "# Keys\n")]);
    let text = config("echo done > out.txt", Some("grep -q done out.txt")) + "\n[uplink]\nbeat_seconds = 1\n";
    let at_the_bot = Place::new(&project, "bot", &format!("{text}\n[hub]\nlisten = \"127.0.0.1:0\"\n"));
    let mut bot = at_the_bot.start(&["bot"]);
    let hub = std::fs::read_to_string(at_the_bot.state.join("bot/hub.address")).unwrap();
    std::fs::write(&at_the_bot.file, format!("{text}\n[hub]\nlisten = \"{hub}\"\n")).unwrap();
    let speaks = bot.session();
    let forge = at_the_bot.state.join("bot/forge/repos/project.git");
    let remote = format!("name = \"project\"\nremote = \"{}\"", forge.display());
    let elsewhere = Place::new(&project, "elsewhere", &text.replace("name = \"project\"", &remote));
    let invited = at_the_bot.ok(&["bot", "invite", "alpha"]);
    let token = invited.split_whitespace().find(|word| word.starts_with("alpha.")).unwrap();
    elsewhere.ok(&["instance", "join", &format!("http://{hub}"), token]);
    let link = elsewhere.state.join("instances/alpha/uplink.json");
    let first = read(&link)["signing"].clone();
    let team = elsewhere.start_with(&["instance", "alpha"], "bot_keys_kept");
    let _set = team.session();
    says(&bot, &speaks, "feature add --ready Write out.txt");

    // It dies when all are told, before its own files have changed.
    drop(bot);
    bot = at_the_bot.start_with(&["bot"], "bot_keys_told");
    let cut = at_the_bot.command(&["bot", "rotate"]).output().unwrap();
    assert!(!cut.status.success());
    drop(bot);
    bot = at_the_bot.start(&["bot"]);
    let before = std::fs::read(at_the_bot.state.join("bot/surface.key.before")).unwrap();
    assert_ne!(before, std::fs::read(at_the_bot.state.join("bot/surface.key")).unwrap());

    // The team has the new key on its disk, and dies before it says so.
    holds("the team has the new key", || read(&link)["signing"] != first).await;
    assert_eq!(read(&link)["before"], first, "both count");
    drop(team);
    let team = elsewhere.start(&["instance", "alpha"]);
    let mut client = elsewhere.client("alpha", &team.session());

    // Work goes on.
    approve(&mut client, "A-1").await;
    until(&mut client, "A-1", finished).await;
    let history = git(&forge, &["log", "--first-parent", "--format=%s", "main"]);
    assert_eq!(history, "A-1: Write out.txt\nFirst");

    // A second change, with both alive: the first key is gone for good.
    let again = at_the_bot.ok(&["bot", "rotate"]);
    insta::assert_snapshot!(plain(&again), @"
    The bot has another key: XXXX XXXX XXXX XXXX XXXX XXXX XXXX XXXX
    It is told to alpha. The one of before counts beside it until the next change. A token that was printed before works no more.
    ");
    holds("the team has the third key", || read(&link)["before"] != first).await;
    let speaks = bot.session();
    says(&bot, &speaks, "feature add --ready Write more");
    there(&mut client, "A-2").await;

    // The bot wants the team to have another key; it has it at once, and signs with it from its next start on.
    let keys =
        || at_the_bot.ok(&["bot", "instances"]).lines().filter(|line| !line.contains("revoked")).count();
    assert_eq!(keys(), 1);
    insta::assert_snapshot!(at_the_bot.ok(&["bot", "rotate", "alpha"]), @"alpha is to take another key. The one of before counts beside it until the next change. quarterdeck bot instances shows it once it is there.");
    holds("the team has another key", || keys() == 2).await;
    drop(team);
    let team = elsewhere.start(&["instance", "alpha"]);
    says(&bot, &speaks, "feature add --ready Write most");
    there(&mut client, "A-3").await;
    let nobody = at_the_bot.command(&["bot", "rotate", "beta"]).output().unwrap();
    insta::assert_snapshot!(String::from_utf8_lossy(&nobody.stderr), @"quarterdeck: beta has not joined with a key that counts.");

    // While a team is away, the key is not changed twice: it would know neither.
    drop(team);
    at_the_bot.ok(&["bot", "rotate"]);
    let early = at_the_bot.command(&["bot", "rotate"]).output().unwrap();
    insta::assert_snapshot!(String::from_utf8_lossy(&early.stderr), @"quarterdeck: alpha has not taken the bot's last key yet, and would know neither: wait until it runs, or put it out with quarterdeck bot revoke alpha");
    let trail = at_the_bot.ok(&["audit", "verify"]);
    assert!(!trail.is_empty());
    drop(bot);
}
