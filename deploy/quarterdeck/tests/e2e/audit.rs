//! `quarterdeck audit` over the files of a fleet that is not running: who is to be proven right is not asked.

use std::path::Path;

use ed25519_dalek::SigningKey;
use qd_audit::{
    About, Actor, AuditError, Entry, Kind, SCHEMA, Signer, WITNESSES, append, begin, enrol, head, keep, sign,
    signers, witness,
};
use qd_sqlite::Db;
use serde_json::{Map, json};

use crate::support::{Project, add, approve, config, finished, until};

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

/// A fleet that worked and signed: whose keys are enrolled, and whose heads the other side knows.
struct Signed {
    project: Project,
    bot: Db,
}

async fn fleet() -> Signed {
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
    let enrolled = |tx: &_, own: (&str, u8)| {
        enrol(tx, own.0, key(own.1).verifying_key().as_bytes())?;
        enrol(tx, "alpha", key(1).verifying_key().as_bytes())?;
        enrol(tx, "bot", key(2).verifying_key().as_bytes())
    };
    bot.write(move |tx| enrolled(tx, ("bot", 2))).await.unwrap();
    alpha.write(move |tx| enrolled(tx, ("alpha", 1))).await.unwrap();
    let at = jiff::Timestamp::from_second(1_780_000_100).unwrap();
    let bots_head = bot.read(head).await.unwrap();
    let signed = alpha.write(move |tx| witness(tx, bots_head, "alpha", at, &key(1))).await.unwrap();
    bot.write(move |tx| keep(tx, &signed, &signers(tx)?)).await.unwrap();
    let alphas_head = alpha.read(head).await.unwrap();
    let signed = sign(alphas_head, "bot", at, &key(2));
    alpha.write(move |tx| keep(tx, &signed, &signers(tx)?)).await.unwrap();
    Signed { project, bot }
}

impl Signed {
    /// What `audit verify` says of the bot's chain, after somebody who can write its file did this to it.
    async fn after<F>(self, damage: F) -> String
    where
        F: FnOnce(&qd_people::Connection) -> Result<(), AuditError> + Send + 'static,
    {
        self.bot
            .write::<_, AuditError, _>(move |tx| {
                let names = "SELECT group_concat('DROP TRIGGER ' || name, ';') FROM sqlite_schema
                             WHERE type = 'trigger'";
                let drop: String = tx.query_row(names, [], |row| row.get(0))?;
                tx.execute_batch(&drop)?;
                damage(tx)
            })
            .await
            .unwrap();
        drop(self.bot);
        let said = refusal(&self.project, &["audit", "verify"]);
        let about_alpha = said.find("The chain of alpha is whole").unwrap();
        said[..about_alpha].to_owned()
    }

    async fn after_sql(self, sql: &'static str) -> String {
        self.after(move |tx| Ok(tx.execute_batch(sql)?)).await
    }
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
    let Signed { project, bot: _bot } = fleet().await;
    let (one, two) = (signer("alpha", &key(1)).1, signer("bot", &key(2)).1);
    assert_eq!(
        project.ok(&["audit", "verify", "--key", &one, "--key", &two]),
        project.ok(&["audit", "verify"]),
        "the keys are those that are enrolled"
    );
    insta::assert_snapshot!(project.ok(&["audit", "verify"]), @"
    The chain of bot is whole: 4 rows read, up to row 4 of bot (75dff51).
    Proven up to row 4: alpha signed it on 2026-05-28 20:28:20Z.
    The chain of alpha is whole: 1 row read, up to row 1 of alpha (103c1f2).
    Proven up to row 1: bot signed it on 2026-05-28 20:28:20Z.
    ");
    insta::assert_snapshot!(project.ok(&["audit", "show", APPROVAL]), @"
    feature    A-1
    run        A-1.1
    approval   bot/01ARZ3NDEKTSV4RRFFQ69G5FAV
    effect     merged as 77d6635

    bot     1  2026-05-28 20:26:40Z  run        bot  run opened
    bot     2  2026-05-28 20:26:41Z  request    bot  merge 4f2a91c into main
    bot     3  2026-05-28 20:26:42Z  decision   bot  granted
    bot     4  2026-05-28 20:26:43Z  outcome    bot  merged as 77d6635
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

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_damage_is_found_and_named() {
    let changed = r#"UPDATE audit_chain SET payload = '{"text":"denied"}' WHERE seq = 3"#;
    insta::assert_snapshot!(fleet().await.after_sql(changed).await, @"
    The chain of bot is broken: row 3 was changed: its content does not give its hash.
    Up to row 2 of bot (83b72fd) it is whole; 2 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
    let removed = "DELETE FROM audit_chain WHERE seq = 3; UPDATE audit_chain SET seq = 3 WHERE seq = 4;
                   UPDATE audit_head SET seq = 3";
    insta::assert_snapshot!(fleet().await.after_sql(removed).await, @"
    The chain of bot is broken: row 3 is missing: removed.
    Up to row 2 of bot (83b72fd) it is whole; 2 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
    let swapped =
        "UPDATE audit_chain SET seq = 9 WHERE seq = 2; UPDATE audit_chain SET seq = 2 WHERE seq = 3;
                   UPDATE audit_chain SET seq = 3 WHERE seq = 9;";
    insta::assert_snapshot!(fleet().await.after_sql(swapped).await, @"
    The chain of bot is broken: row 2 was moved: what stands here was written later, and the row that belongs here comes later.
    Up to row 1 of bot (b294479) it is whole; 1 row read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
    let inserted = "UPDATE audit_chain SET seq = seq + 101 WHERE seq > 2;
                    UPDATE audit_chain SET seq = seq - 100 WHERE seq > 100; UPDATE audit_head SET seq = 5;
                    INSERT INTO audit_chain SELECT 3, at, kind, actor, issue, feature, run, call, approval,
                        payload, previous, hash FROM audit_chain WHERE seq = 2;";
    insta::assert_snapshot!(fleet().await.after_sql(inserted).await, @"
    The chain of bot is broken: row 3 was inserted: the row that belongs here comes later.
    Up to row 2 of bot (83b72fd) it is whole; 2 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
}

/// As if nobody had ever written anything else: hashed anew from the first row, its end noted, the old signatures gone.
fn rewrite(tx: &qd_people::Connection) -> Result<(), AuditError> {
    tx.execute_batch("DELETE FROM audit_chain; DELETE FROM audit_head; DELETE FROM audit_signatures")?;
    begin(tx, "bot")?;
    for text in ["run opened", "merge 4f2a91c into main", "granted", "merged as 0000000", "and more"] {
        let payload = Map::from_iter([("text".to_owned(), json!(text))]);
        let at = jiff::Timestamp::from_second(1_780_000_000).unwrap();
        let entry = Entry { kind: Kind::Outcome, actor: Actor::Bot, about: About::default(), at, payload };
        append(tx, &entry)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_was_rewritten_or_restored_does_not_fit_what_the_other_side_signed() {
    insta::assert_snapshot!(fleet().await.after(rewrite).await, @"
    The chain of bot is broken: row 4 is not the one that alpha signed: the chain was rewritten, at this row or before it.
    Up to row 0 of bot (1a8fff3) it is whole; 4 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
    // With signatures by a key that was made up, and enrolled in the same file.
    let forged = |tx: &qd_people::Connection| {
        rewrite(tx)?;
        enrol(tx, "alpha", key(9).verifying_key().as_bytes())?;
        let at = jiff::Timestamp::from_second(1_780_000_200).unwrap();
        keep(tx, &sign(head(tx)?, "alpha", at, &key(9)), &signers(tx)?)
    };
    insta::assert_snapshot!(fleet().await.after(forged).await, @"
    The chain of bot is broken: row 4 is not the one that alpha signed: the chain was rewritten, at this row or before it.
    Up to row 0 of bot (1a8fff3) it is whole; 4 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
    // As a backup has it that was made before the last two rows.
    let restored = "DELETE FROM audit_chain WHERE seq > 2; DELETE FROM audit_signatures;
                    UPDATE audit_head SET (seq, hash) = (SELECT seq, hash FROM audit_chain WHERE seq = 2);";
    insta::assert_snapshot!(fleet().await.after_sql(restored).await, @"
    The chain of bot is broken: rows 3 to 4 are missing at the end, and alpha signed row 4: truncated.
    Up to row 2 of bot (83b72fd) it is whole; 2 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
}

/// Chain, last row, and the last row that the other side signed, as `audit verify` has it.
fn proofs(project: &Project) -> Vec<(String, u64, u64)> {
    let said: serde_json::Value = serde_json::from_str(&project.ok(&["--json", "audit", "verify"])).unwrap();
    let chains = said.as_array().unwrap().iter().map(|chain| {
        let row = |at: &serde_json::Value| at["seq"].as_u64().unwrap_or(0);
        let name = chain["chain"].as_str().unwrap().to_owned();
        (name, row(&chain["whole_to"]), row(&chain["proven_to"]["head"]))
    });
    chains.collect()
}

async fn until_proven(project: &Project, enough: impl Fn(&(String, u64, u64)) -> bool) {
    for _ in 0..200 {
        if proofs(project).iter().all(&enough) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("not proven: {:?}", proofs(project));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_fleet_signs_its_heads_and_tells_one_story() {
    let project = Project::new(&[("README.md", "# Words\n")]);
    std::fs::write(project.folder().join("quarterdeck.toml"), config("echo a > a.txt", Some("true")))
        .unwrap();
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    add(&mut client, "Words").await;
    until_proven(&project, |(chain, _, proven)| *proven > 0 || chain == "bot").await;
    approve(&mut client, "A-1").await;
    until(&mut client, "A-1", finished).await;
    drop(client);
    up.interrupt();
    // What was not signed before the end is after the next start.
    let up = project.up(&[]);
    until_proven(&project, |(chain, last, proven)| last == proven || (chain == "people" && *proven > 0))
        .await;
    up.interrupt();
    let chains: Vec<String> = proofs(&project).into_iter().map(|(chain, ..)| chain).collect();
    assert_eq!(chains, ["bot", "alpha", "people"]);

    let told: serde_json::Value =
        serde_json::from_str(&project.ok(&["--json", "audit", "show", "A-1"])).unwrap();
    let approval = told["approvals"][0].as_str().unwrap().to_owned();
    let told: serde_json::Value =
        serde_json::from_str(&project.ok(&["--json", "audit", "show", &approval])).unwrap();
    assert_eq!(
        (&told["features"], &told["runs"], &told["people"]),
        (&json!(["A-1"]), &json!(["A-1.1"]), &json!(["ines"]))
    );
    let rows: Vec<String> = told["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            let word = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            let parts = [&row["chain"], &row["row"]["kind"], &row["who"], &row["text"]].map(word);
            parts.join(" | ")
        })
        .collect();
    // Commits differ from run to run, and so does which process writes first.
    let mut rows: Vec<String> = rows
        .into_iter()
        .map(|row| {
            row.split(' ')
                .map(|word| if is_commit(word) { "COMMIT" } else { word })
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    rows.sort();
    insta::assert_snapshot!(rows.join("\n"), @"
    alpha | decision | bot | granted
    alpha | execution | alpha | asked the bot to merge, as COMMIT
    alpha | feature | ines | filed
    alpha | outcome | bot | merged as COMMIT
    alpha | request | bot | the bot asks people
    alpha | run | alpha | ended: merged as COMMIT
    alpha | run | alpha | opened for the agent shell
    bot | card | bot | shown on the console
    bot | decision | bot | granted
    bot | execution | bot | Merge COMMIT into main
    bot | outcome | bot | executed: COMMIT
    bot | request | agent of A-1.1 | Merge COMMIT into main
    bot | vote | ines | yes, on the cli
    ");
    let text = project.ok(&["audit", "show", &approval]);
    assert!(text.starts_with("feature    A-1\nrun        A-1.1\napproval   bot/"), "{text}");
}

fn is_commit(word: &str) -> bool {
    let word = word.trim_end_matches([',', '.']);
    word.len() >= 7 && word.chars().all(|c| c.is_ascii_hexdigit())
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
