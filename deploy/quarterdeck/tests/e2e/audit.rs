//! `quarterdeck audit` over the files of a fleet that is not running: who is to be proven right is not asked.

use std::path::Path;

use ed25519_dalek::SigningKey;
use qd_audit::{
    About, Actor, AuditError, Entry, Kind, SCHEMA, Signer, WITNESSES, append, begin, head, keep, sign,
    witness,
};
use qd_sqlite::Db;
use serde_json::{Map, json};

use crate::support::{Project, config};

const APPROVAL: &str = "bot/01ARZ3NDEKTSV4RRFFQ69G5FAV";

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn signer(name: &str, key: &SigningKey) -> (Signer, String) {
    let hex: String = key.verifying_key().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let text = format!("{name}={hex}");
    (text.parse().unwrap(), text)
}

async fn fill(file: &Path, chain: &'static str, texts: &'static [(Kind, &'static str)]) -> Db {
    let db = Db::open(file, &[SCHEMA, WITNESSES]).unwrap();
    db.write::<_, AuditError, _>(move |tx| {
        begin(tx, chain)?;
        for (second, (kind, text)) in texts.iter().enumerate() {
            let mut payload = Map::new();
            payload.insert("text".into(), json!(text));
            let about = About {
                issue: None,
                feature: Some("A-1".parse().unwrap()),
                run: Some("A-1.1".parse().unwrap()),
                call: None,
                approval: (*kind != Kind::Run).then(|| APPROVAL.parse().unwrap()),
            };
            let at = jiff::Timestamp::from_second(1_780_000_000 + second as i64).unwrap();
            append(tx, &Entry { kind: *kind, actor: Actor::Bot, about, at, payload })?;
        }
        Ok(())
    })
    .await
    .unwrap();
    db
}

async fn project() -> Project {
    let project = Project::new(&[("README.md", "# Words\n")]);
    std::fs::write(project.folder().join("quarterdeck.toml"), config("true", None)).unwrap();
    let (bot, alpha) = (project.state().join("bot/bot.db"), project.state().join("instances/alpha/board.db"));
    let bot = fill(
        &bot,
        "bot",
        &[
            (Kind::Run, "run opened"),
            (Kind::Request, "merge 4f2a91c into main"),
            (Kind::Decision, "granted"),
            (Kind::Outcome, "merged as 77d6635"),
        ],
    )
    .await;
    let alpha = fill(&alpha, "alpha", &[(Kind::Run, "run opened")]).await;
    let at = jiff::Timestamp::from_second(1_780_000_100).unwrap();
    let bots_head = bot.read(head).await.unwrap();
    let signed = alpha.write(move |tx| witness(tx, bots_head, "alpha", at, &key(1))).await.unwrap();
    bot.write(move |tx| keep(tx, &signed, &[signer("alpha", &key(1)).0])).await.unwrap();
    let alphas_head = alpha.read(head).await.unwrap();
    let signed = sign(alphas_head, "bot", at, &key(2));
    alpha.write(move |tx| keep(tx, &signed, &[signer("bot", &key(2)).0])).await.unwrap();
    project
}

fn refusal(project: &Project, args: &[&str]) -> String {
    let output = project.run(args);
    assert!(!output.status.success());
    let text = [output.stdout, output.stderr].concat();
    let base = project.state().parent().unwrap().display().to_string();
    String::from_utf8(text).unwrap().replace(&base, "DIR")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleets_chains_are_proven_shown_and_exported() {
    let project = project().await;
    let (one, two) = (signer("alpha", &key(1)).1, signer("bot", &key(2)).1);
    insta::assert_snapshot!(project.ok(&["audit", "verify", "--key", &one, "--key", &two]), @"
    The chain of bot is whole: 4 rows read, up to row 4 of bot (75dff51).
    Proven up to row 4: alpha signed it on 2026-05-28 20:28:20Z.
    The chain of alpha is whole: 1 row read, up to row 1 of alpha (103c1f2).
    Proven up to row 1: bot signed it on 2026-05-28 20:28:20Z.
    ");
    insta::assert_snapshot!(project.ok(&["audit", "show", APPROVAL]), @"
    In the chain of bot:

    feature    A-1
    run        A-1.1
    approval   bot/01ARZ3NDEKTSV4RRFFQ69G5FAV
    effect     merged as 77d6635

         1  2026-05-28 20:26:40Z  run        bot  run opened
         2  2026-05-28 20:26:41Z  request    bot  merge 4f2a91c into main
         3  2026-05-28 20:26:42Z  decision   bot  granted
         4  2026-05-28 20:26:43Z  outcome    bot  merged as 77d6635
    ");
    insta::assert_snapshot!(refusal(&project, &["audit", "show", "A-9"]), @"quarterdeck: no audit row is about that");
    insta::assert_snapshot!(refusal(&project, &["audit", "export"]), @"quarterdeck: say whose chain: bot, alpha");
    let file = project.state().join("trail.jsonl");
    let path = file.to_str().unwrap();
    assert!(project.ok(&["audit", "export", "bot", "--out", path]).starts_with("4 rows are in "));
    insta::assert_snapshot!(project.ok(&["audit", "verify", "--file", path, "--key", &one]), @"
    The chain of bot is whole: 4 rows read, up to row 4 of bot (75dff51).
    Proven up to row 4: alpha signed it on 2026-05-28 20:28:20Z.
    ");
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(project.ok(&["audit", "export", "bot"]), text);
    std::fs::write(&file, text.replace("4f2a91c", "4f2a91d")).unwrap();
    insta::assert_snapshot!(refusal(&project, &["audit", "verify", "--file", path, "--key", &one]), @"
    The chain of bot is broken: row 2 was changed: its content does not give its hash.
    Up to row 1 of bot (b294479) it is whole; 1 row read.
    Nothing is proven by others: no head up to there has a signature that counts.
    quarterdeck: the audit trail is broken: keep the files as they are, and ask who could write them
    ");
    let json: serde_json::Value =
        serde_json::from_str(&project.ok(&["--json", "audit", "verify", "--key", &one, "--key", &two]))
            .unwrap();
    assert_eq!(
        (&json[0]["chain"], &json[0]["rows"], &json[0]["fault"]),
        (&json!("bot"), &json!(4), &json!(null))
    );
}

#[test]
fn a_fleet_without_a_trail_says_so() {
    let project = Project::new(&[("README.md", "# Words\n")]);
    std::fs::write(project.folder().join("quarterdeck.toml"), config("true", None)).unwrap();
    insta::assert_snapshot!(refusal(&project, &["audit", "verify"]), @"quarterdeck: no audit chain was begun below DIR/state");
    insta::assert_snapshot!(refusal(&project, &["audit", "verify", "--key", "bot=abc"]), @r#"
    error: invalid value 'bot=abc' for '--key <NAME=KEY>': "abc" is not 64 lower-case hex digits

    For more information, try '--help'.
    "#);
}
