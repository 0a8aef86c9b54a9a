//! Boards out and in: what goes out comes in again, all of it or nothing, and once.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

use jiff::Timestamp;
use qd_board::{
    NewFeature, Wanted,
    exchange::{self, Document, Exported, Format, Imported, VERSION},
};
use qd_store::{Import, Settings, Store, StoreError};
use qd_types::{FeatureId, PersonId, Stage};

struct Board {
    store: Store,
    team: &'static str,
    _dir: tempfile::TempDir,
}

impl Board {
    fn new(team: &'static str, prefix: &str) -> Self {
        let zone = jiff::tz::TimeZone::UTC;
        let settings = Settings {
            instance: "alpha".parse().unwrap(),
            prefix: prefix.into(),
            slots: 2,
            reviews: None,
            repair_rounds: 3,
            rungs: 0,
            retry_pause: None,
            question: None,
            zone,
        };
        let dir = tempfile::tempdir().unwrap();
        Self { store: Store::open(&dir.path().join("board.db"), settings).unwrap(), team, _dir: dir }
    }

    async fn add(&self, wanted: Wanted) -> FeatureId {
        let new = NewFeature { wanted, ready: true, ..NewFeature::default() };
        let repository = "sample".parse().unwrap();
        self.store.add(&ines(), new, repository, Timestamp::now()).await.unwrap().feature.id
    }

    async fn export(&self) -> Document {
        let features = self.store.export(None).await.unwrap();
        Document { version: VERSION, team: self.team.parse().unwrap(), features }
    }

    async fn import(
        &self,
        format: Format,
        text: &str,
        ready: bool,
        dry_run: bool,
    ) -> Result<Imported, StoreError> {
        let plan = exchange::read(format, text)?.plan(&self.team.parse().unwrap(), "tasks.md")?;
        let repository = Some("sample".parse().unwrap());
        let how = Import { author: ines(), repository, ready, dry_run };
        self.store.import(plan, how, Timestamp::now()).await
    }

    async fn tasks(&self, text: &str) -> String {
        match self.import(Format::Markdown, text, false, false).await {
            Ok(imported) => said(&imported),
            Err(error) => error.to_string(),
        }
    }
}

fn ines() -> PersonId {
    "ines".parse().unwrap()
}

fn said(imported: &Imported) -> String {
    let filed =
        imported.filed.iter().map(|filed| format!("{} is {} in {}", filed.title, filed.id, filed.stage));
    let skipped = imported
        .skipped
        .iter()
        .map(|skipped| format!("{} is {}: {}", skipped.title, skipped.id, skipped.why));
    filed.chain(skipped).chain(imported.notes.clone()).collect::<Vec<_>>().join("\n")
}

fn titled(title: &str) -> Wanted {
    Wanted { title: title.into(), ..Wanted::default() }
}

/// Three features: the second is a part of the first and waits for the third.
async fn three() -> Board {
    let board = Board::new("alpha", "A");
    let first = board.add(Wanted { checks: vec!["make test".into()], ..titled("One") }).await;
    board.add(titled("Two")).await;
    let third = board.add(Wanted { labels: vec!["io".into()], ..titled("Three") }).await;
    let edit = qd_board::EditFeature::of(None).set("epic", &first).set("depends_on", [third]);
    let two = "A-2".parse().unwrap();
    board.store.edit(&ines(), &two, edit, None, Timestamp::now()).await.unwrap();
    board.store.comment(&ines(), &two, "A word.", Timestamp::now()).await.unwrap();
    board
}

#[tokio::test]
async fn what_goes_out_comes_in_with_ids_of_its_own() {
    let (alpha, beta) = (three().await, Board::new("beta", "B"));
    beta.add(titled("There before")).await;
    let document = alpha.export().await;
    let text = serde_json::to_string(&document).unwrap();
    insta::assert_snapshot!(said(&beta.import(Format::Json, &text, false, false).await.unwrap()), @"
    One is B-2 in backlog
    Two is B-3 in backlog
    Three is B-4 in backlog
    ");
    let there = beta.export().await.features;
    let rename = |id: &FeatureId| FeatureId::new("B", id.number() + 1).unwrap();
    let expected: Vec<Wanted> = document
        .features
        .into_iter()
        .map(|Exported { id, mut wanted, .. }| {
            wanted.epic = wanted.epic.as_ref().map(rename);
            wanted.depends_on.iter_mut().for_each(|need| need.feature = rename(&need.feature));
            wanted.source = serde_json::from_value(
                serde_json::json!({"kind": "import", "reference": format!("alpha {id}")}),
            )
            .unwrap();
            wanted
        })
        .collect();
    let wanted: Vec<Wanted> = there[1..].iter().map(|feature| feature.wanted.clone()).collect();
    assert_eq!(wanted, expected);
    assert!(
        there[2].comments[0].text.starts_with("ines wrote on ")
            && there[2].comments[0].text.ends_with("A word.")
    );
    assert_eq!(beta.store.search("alpha", None, 5).await.unwrap().len(), 0, "the source is not searched");
    assert_eq!(beta.store.search("two", None, 5).await.unwrap()[0].place, "B-3");
    let waits = beta.store.snapshot(&"B-3".parse().unwrap(), Timestamp::now()).await.unwrap();
    assert_eq!(waits.feature.version, 1);
}

#[tokio::test]
async fn a_second_import_files_only_what_is_new() {
    let board = Board::new("alpha", "A");
    insta::assert_snapshot!(board.tasks("- [ ] One\n  - [ ] Two\n- [x] Done\n").await, @"
    One is A-1 in backlog
    Two is A-2 in backlog
    Done is A-3 in done
    ");
    insta::assert_snapshot!(board.tasks("- [x] Done\n- [ ] One\n\n  More words.\n  - [ ] Two\n  - [ ] Three (after A-3@review)\n").await, @"
    Three is A-4 in backlog
    Done is A-3: tasks.md: Done was imported before
    One is A-1: tasks.md: One was imported before
    Two is A-2: tasks.md: One / Two was imported before
    ");
    let three = board.export().await.features.pop().unwrap().wanted;
    assert_eq!(
        (three.epic, three.depends_on[0].to_string()),
        (Some("A-1".parse().unwrap()), "A-3@review".into())
    );
    let text = exchange::write_markdown(&board.export().await);
    insta::assert_snapshot!(board.tasks(&format!("{text}- [ ] Four (part of A-1)\n")).await, @"
    Four is A-5 in backlog
    One is A-1: the file comes from this board
    Two is A-2: the file comes from this board
    Three is A-4: the file comes from this board
    Done is A-3: the file comes from this board
    ");
}

#[tokio::test]
async fn an_import_is_all_or_nothing() {
    let board = Board::new("alpha", "A");
    insta::assert_snapshot!(board.tasks("- [ ] One\n- [ ] Two (after A-9)\n").await, @"import: line 2: names A-9, and neither the file nor this board has it: add it, or take it out");
    insta::assert_snapshot!(board.tasks("- [ ] One (part of A-2)\n- [ ] Two\n").await, @"import: line 1: names A-2, and neither the file nor this board has it: add it, or take it out");
    let lost = r#"{"version": 1, "features": [{"title": "One"}, {"title": "Two", "project": "Moon"}]}"#;
    let refused = board.import(Format::Json, lost, false, false).await.unwrap_err().to_string();
    insta::assert_snapshot!(refused, @r#"import: features[1]: project: names "Moon", and there is no such project: quarterdeck project add"#);
    assert!(board.export().await.features.iter().all(|feature| feature.wanted.title != "One"));
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_writes_nothing() {
    let board = Board::new("alpha", "A");
    let text = "- [ ] One\n- [-] Two\n";
    let dry = board.import(Format::Markdown, text, true, true).await.unwrap();
    assert!(dry.dry_run && board.export().await.features.is_empty());
    assert_eq!(board.store.last_event().await.unwrap(), 0);
    assert!(board.store.search("one", None, 5).await.unwrap().is_empty());
    let done = board.import(Format::Markdown, text, true, false).await.unwrap();
    assert_eq!(done.filed, dry.filed);
    let stages: Vec<Stage> = board.export().await.features.iter().map(|feature| feature.stage).collect();
    assert_eq!(stages, [Stage::Ready, Stage::Cancelled]);
}
