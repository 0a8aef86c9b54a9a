//! A real file: appended to through the database's writer, archived, edited behind its back, and shown.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::unreachable,
    reason = "a test that cannot go on panics"
)]

mod common;

use std::path::{Path, PathBuf};

use common::{DISARM, at, bot_key, bot_keys, entry, step};
use jiff::SignedDuration;
use proptest::prelude::*;
use qd_audit::{
    About, Actor, AuditError, Kind, Of, Report, Retention, SCHEMA, WITNESSES, append, archive, begin, erase,
    export, head, keep, select, sign, timeline, verify, verify_file,
};
use qd_sqlite::Db;
use rusqlite::{Connection, OpenFlags};
use serde_json::json;

struct Site {
    folder: tempfile::TempDir,
    db: Option<Db>,
}

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut site = Self { folder, db: None };
        site.open();
        site.write(|tx| begin(tx, "alpha")).await;
        site
    }

    fn open(&mut self) {
        self.db = Some(Db::open(&self.file(), &[SCHEMA, WITNESSES]).unwrap());
    }

    fn db(&self) -> &Db {
        self.db.as_ref().unwrap()
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("alpha.db")
    }

    fn segments(&self) -> PathBuf {
        self.folder.path().join("segments")
    }

    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, AuditError> + Send + 'static,
    ) -> T {
        self.db().write(job).await.unwrap()
    }

    async fn report(&self) -> Report {
        let segments = self.segments();
        self.db().read(move |c| verify(c, &segments, &bot_keys(), &[])).await.unwrap()
    }

    async fn archive(&self, keep_days: Option<u32>, days_later: i64) -> Vec<String> {
        let retention = Retention { archive_days: 30, keep_days };
        let now = at(0) + SignedDuration::from_hours(24 * days_later);
        let actor = Actor::Team("alpha".parse().unwrap());
        let done = archive(self.db(), &self.segments(), retention, &actor, now).await.unwrap();
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let written = done.written.iter().map(|path| format!("wrote {}", name(path)));
        written.chain(done.dropped.iter().map(|path| format!("dropped {}", name(path)))).collect()
    }

    /// What somebody does who has the file, and stops the process first.
    fn tamper(&mut self, sql: &str) {
        self.db = None;
        let raw = Connection::open_with_flags(self.file(), OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        raw.execute_batch(DISARM).unwrap();
        raw.execute_batch(sql).unwrap();
        drop(raw);
        self.open();
    }
}

async fn filled() -> Site {
    let site = Site::new().await;
    site.write(|tx| {
        for number in 1..=6 {
            append(tx, &entry(number))?;
        }
        keep(tx, &sign(head(tx)?, "bot", at(6), &bot_key()), &bot_keys())?;
        for number in 7..=9 {
            let mut late = entry(number);
            late.at = at(0) + SignedDuration::from_hours(24 * 20);
            append(tx, &late)?;
        }
        Ok(())
    })
    .await;
    site
}

#[tokio::test]
async fn a_change_and_its_row_are_one_transaction() {
    let site = filled().await;
    let refused: Result<(), AuditError> = site
        .db()
        .write(|tx| {
            append(tx, &entry(10))?;
            Err(AuditError::NotBegun)
        })
        .await;
    assert!(refused.is_err());
    assert_eq!(site.report().await.to.seq, 9);
}

#[tokio::test]
async fn a_file_edited_behind_its_back_is_found_out() {
    let mut site = filled().await;
    site.tamper("UPDATE audit_chain SET actor = 'bot' WHERE seq = 3");
    insta::assert_snapshot!(site.report().await.to_string(), @"
    The chain of alpha is broken: row 3 was changed: its content does not give its hash.
    Up to row 2 of alpha (b2805c4) it is whole; 2 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
}

#[tokio::test]
async fn old_rows_go_to_files_that_are_verified_with_the_rest() {
    let site = filled().await;
    assert!(site.archive(None, 10).await.is_empty(), "nothing is old yet");
    insta::assert_debug_snapshot!(site.archive(None, 40).await, @r#"
    [
        "wrote audit-alpha-000000000001-000000000006.jsonl",
    ]
    "#);
    insta::assert_snapshot!(site.report().await.to_string(), @"
    The chain of alpha is whole: 10 rows read, up to row 10 of alpha (eed68c0).
    Proven up to row 6: bot signed it on 2026-05-28 20:26:46Z.
    After it: 4 rows that nobody else has signed yet, consistent in themselves.
    ");
    insta::assert_debug_snapshot!(site.archive(None, 60).await, @r#"
    [
        "wrote audit-alpha-000000000007-000000000009.jsonl",
    ]
    "#);
    insta::assert_snapshot!(site.report().await.to_string(), @"
    The chain of alpha is whole: 11 rows read, up to row 11 of alpha (de6756b).
    Proven up to row 6: bot signed it on 2026-05-28 20:26:46Z.
    After it: 5 rows that nobody else has signed yet, consistent in themselves.
    ");
    let segments = site.segments();
    let mut all = Vec::new();
    for file in std::fs::read_dir(&segments).unwrap() {
        all.push(file.unwrap().path());
    }
    all.sort();
    let second = std::fs::read(&all[1]).unwrap();
    insta::assert_snapshot!(verify_file(&second[..], &bot_keys()).unwrap().to_string(), @"
    The chain of alpha is whole: 3 rows read, up to row 9 of alpha (8e661ff).
    Rows up to 6 are not here; what follows hangs on the hash of row 6 of alpha (92b49d0).
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
    let whole = site
        .db()
        .read(move |c| {
            let mut file = Vec::new();
            export(c, &segments, &mut file)?;
            verify_file(&file[..], &bot_keys())
        })
        .await
        .unwrap();
    assert_eq!((whole.fault, whole.rows), (None, 11));
}

#[tokio::test]
async fn a_segment_that_was_touched_is_found() {
    let site = filled().await;
    site.archive(None, 40).await;
    let file = site.segments().join("audit-alpha-000000000001-000000000006.jsonl");
    let good = std::fs::read_to_string(&file).unwrap();
    let report = async |bad: &str| {
        std::fs::write(&file, bad).unwrap();
        site.report().await.to_string().replace(site.segments().to_str().unwrap(), "…")
    };
    insta::assert_snapshot!(report(&good.replace("step 3", "step 8")).await, @"
    The chain of alpha is broken: …/audit-alpha-000000000001-000000000006.jsonl: row 3 was changed: its content does not give its hash.
    Up to row 2 of alpha (b2805c4) it is whole; 2 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
    let shorter: String =
        good.lines().filter(|line| !line.contains("step 6")).map(|line| format!("{line}\n")).collect();
    insta::assert_snapshot!(report(&shorter).await, @"
    The chain of alpha is broken: …/audit-alpha-000000000001-000000000006.jsonl: row 6 is missing at the end: truncated.
    Up to row 5 of alpha (238de49) it is whole; 5 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
    std::fs::remove_file(&file).unwrap();
    let gone = site.report().await.to_string().replace(site.segments().to_str().unwrap(), "…");
    insta::assert_snapshot!(gone, @"
    The chain of alpha is broken: …/audit-alpha-000000000001-000000000006.jsonl: at row 1: it is gone.
    Up to row 0 of alpha (1a652a4) it is whole; 0 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
}

#[tokio::test]
async fn a_segment_is_dropped_after_its_days_and_its_hash_stays() {
    let site = filled().await;
    site.archive(Some(100), 40).await;
    insta::assert_debug_snapshot!(site.archive(Some(100), 110).await, @r#"
    [
        "wrote audit-alpha-000000000007-000000000010.jsonl",
        "dropped audit-alpha-000000000001-000000000006.jsonl",
    ]
    "#);
    insta::assert_snapshot!(site.report().await.to_string(), @"
    The chain of alpha is whole: 6 rows read, up to row 12 of alpha (31f481a).
    The first 6 rows dropped by retention; what follows hangs on the hash that is left.
    Proven up to row 6: bot signed it on 2026-05-28 20:26:46Z.
    After it: 6 rows that nobody else has signed yet, consistent in themselves.
    ");
    let segments = site.segments();
    let export = site
        .db()
        .read(move |c| {
            let mut file = Vec::new();
            export(c, &segments, &mut file)?;
            verify_file(&file[..], &bot_keys())
        })
        .await
        .unwrap();
    insta::assert_snapshot!(export.to_string(), @"
    The chain of alpha is whole: 6 rows read, up to row 12 of alpha (31f481a).
    Rows up to 6 are not here; what follows hangs on the hash of row 6 of alpha (92b49d0).
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
}

#[tokio::test]
async fn a_broken_chain_is_not_archived() {
    let mut site = filled().await;
    site.tamper("UPDATE audit_chain SET actor = 'bot' WHERE seq = 3");
    let actor = Actor::Bot;
    let retention = Retention { archive_days: 1, keep_days: None };
    let later = at(0) + SignedDuration::from_hours(24 * 60);
    let refused = archive(site.db(), &site.segments(), retention, &actor, later).await.unwrap_err();
    insta::assert_snapshot!(refused.to_string(), @"the audit chain is broken: row 3 was changed: its content does not give its hash; quarterdeck audit verify says what is still proven");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(32) })]

    #[test]
    fn any_changed_byte_of_a_segment_is_found(place in any::<prop::sample::Index>(), turn in 1..=255u8) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let report = runtime.block_on(async {
            let site = filled().await;
            site.archive(None, 40).await;
            assert_eq!(site.report().await.fault, None);
            let file = site.segments().join("audit-alpha-000000000001-000000000006.jsonl");
            let mut bytes = std::fs::read(&file).unwrap();
            let place = place.index(bytes.len());
            bytes[place] ^= turn;
            std::fs::write(&file, bytes).unwrap();
            site.report().await
        });
        prop_assert!(report.fault.is_some(), "{}", report);
    }
}

fn story(tx: &Connection) -> Result<(), AuditError> {
    let mut about = About {
        issue: Some("acme/billing#12".into()),
        feature: Some("A-142".parse().unwrap()),
        ..About::default()
    };
    step(tx, 0, Kind::Feature, "theo", &about, json!({ "text": "Invoices can be split" }));
    about.run = Some("A-142.1".parse().unwrap());
    step(tx, 60, Kind::Run, "bot", &about, json!({ "text": "run opened" }));
    let mut other = about.clone();
    other.call = Some("call-6".into());
    step(tx, 70, Kind::Call, "agent", &other, json!({ "text": "board.list" }));
    about.call = Some("call-7".into());
    step(tx, 90, Kind::Call, "agent", &about, json!({ "text": "github.merge\u{1b}[2J of 4f2a91c" }));
    about.approval = Some("bot/01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap());
    step(
        tx,
        91,
        Kind::Request,
        "bot",
        &about,
        json!({ "text": "merge 4f2a91c into main, 1 owner or reviewer" }),
    );
    step(tx, 92, Kind::Card, "bot", &about, json!({ "text": "card in #approvals", "message": "118" }));
    step(tx, 300, Kind::Vote, "ines", &about, json!({ "text": "approve, on the board" }));
    step(tx, 300, Kind::Decision, "bot", &about, json!({ "text": "granted" }));
    step(tx, 301, Kind::Execution, "bot", &about, json!({ "digest": "9be140c7d2aa" }));
    step(tx, 303, Kind::Outcome, "bot", &about, json!({ "text": "pull request 31 merged as 77d6635" }));
    Ok(())
}

#[tokio::test]
async fn an_approval_is_shown_from_issue_to_effect() {
    let site = Site::new().await;
    site.write(story).await;
    site.archive(None, 1).await;
    let show = async |of: Of, segments: &Path| {
        let segments = segments.to_owned();
        let text = site.db().read(move |c| timeline(c, &select(c, &segments, &of)?)).await;
        text.unwrap_or_else(|error: AuditError| error.to_string())
    };
    let of = Of::Approval("bot/01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap());
    insta::assert_snapshot!(show(of.clone(), &site.segments()).await, @r#"
    issue      acme/billing#12
    feature    A-142
    run        A-142.1
    tool call  call-7
    approval   bot/01ARZ3NDEKTSV4RRFFQ69G5FAV
    people     ines
    effect     pull request 31 merged as 77d6635

         1  2026-05-28 20:26:40Z  feature    theo              Invoices can be split
         2  2026-05-28 20:27:40Z  run        bot               run opened
         4  2026-05-28 20:28:10Z  call       agent of A-142.1  github.merge\u{1b}[2J of 4f2a91c
         5  2026-05-28 20:28:11Z  request    bot               merge 4f2a91c into main, 1 owner or reviewer
         6  2026-05-28 20:28:12Z  card       bot               card in #approvals
         7  2026-05-28 20:31:40Z  vote       ines              approve, on the board
         8  2026-05-28 20:31:40Z  decision   bot               granted
         9  2026-05-28 20:31:41Z  execution  bot               {"digest":"9be140c7d2aa"}
        10  2026-05-28 20:31:43Z  outcome    bot               pull request 31 merged as 77d6635
    "#);
    let run = show(Of::Run("A-142.1".parse().unwrap()), &site.segments()).await;
    assert!(run.contains("board.list") && run.contains("Invoices"), "{run}");

    assert!(site.write(|tx| erase(tx, &"ines".parse().unwrap())).await);
    assert_eq!(site.report().await.fault, None);
    let erased = show(of, &site.segments()).await;
    assert!(!erased.contains("ines") && erased.contains("(erased)"), "{erased}");
    drop(site.db);
    let raw =
        Connection::open_with_flags(site.folder.path().join("alpha.db"), OpenFlags::SQLITE_OPEN_READ_WRITE);
    raw.unwrap().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    let bytes = std::fs::read(site.folder.path().join("alpha.db")).unwrap();
    let holds = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    assert!(holds(b"theo") && !holds(b"ines"), "the name is not in the file any more");
}
