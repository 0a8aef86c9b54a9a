//! The search: every kind is found, an edit is followed, what is gone is not found, and no text breaks it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

use jiff::Timestamp;
use qd_board::{EditFeature, FailureClass, HitKind, NewFeature, RunEnd, Wanted};
use qd_store::{Document, NewRun, RunFact, Settings, Store};
use qd_types::{FeatureId, Person, PersonId, RepositoryName, Step};
use qd_wire::v1::SignedVote;

fn settings() -> Settings {
    Settings {
        instance: "alpha".parse().unwrap(),
        prefix: "A".into(),
        slots: 2,
        reviews: None,
        repair_rounds: 3,
        rungs: 0,
        retry_pause: None,
        question: None,
        zone: jiff::tz::TimeZone::UTC,
    }
}

struct Board {
    store: Store,
    _dir: tempfile::TempDir,
}

impl Board {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { store: Store::open(&dir.path().join("board.db"), settings()).unwrap(), _dir: dir }
    }

    async fn add(&self, wanted: Wanted) -> FeatureId {
        let new = NewFeature { wanted, ready: true, ..NewFeature::default() };
        let added = self.store.add(&ines(), new, sample(), Timestamp::now()).await.unwrap();
        added.feature.id
    }

    /// What is found, as "kind place title: snippet".
    async fn found(&self, query: &str, kind: Option<HitKind>) -> Vec<String> {
        let hits = self.store.search(query, kind, 20).await.unwrap();
        hits.iter().map(|hit| format!("{} {} {}: {}", hit.kind, hit.place, hit.title, hit.snippet)).collect()
    }

    async fn places(&self, query: &str) -> Vec<String> {
        self.store.search(query, None, 20).await.unwrap().into_iter().map(|hit| hit.place).collect()
    }

    /// Takes over what a repository holds now.
    async fn read(&self, documents: &[(&str, &str)]) {
        let known = self.store.documents(&sample()).await.unwrap();
        let gone = known.keys().filter(|path| documents.iter().all(|(other, _)| other != path)).cloned();
        let new = documents.iter().map(|(path, text)| Document {
            path: (*path).to_owned(),
            blob: (*text).to_owned(),
            text: (*text).to_owned(),
        });
        let new = new.filter(|document| known.get(&document.path) != Some(&document.blob)).collect();
        self.store.change_documents(&sample(), gone.collect(), new).await.unwrap();
    }
}

fn ines() -> PersonId {
    "ines".parse().unwrap()
}

fn sample() -> RepositoryName {
    "sample".parse().unwrap()
}

fn titled(title: &str, description: &str) -> Wanted {
    Wanted { title: title.into(), description: description.into(), ..Wanted::default() }
}

#[tokio::test]
async fn every_kind_is_found_where_it_is() {
    let board = Board::new();
    let wanted = Wanted {
        labels: vec!["orchard".into()],
        milestone: Some("Harvest".into()),
        ..titled("Split the importer", "It holds a quince.")
    };
    let id = board.add(wanted).await;
    board.store.comment(&ines(), &id, "A medlar, please.", Timestamp::now()).await.unwrap();
    let new = NewRun {
        feature: id.clone(),
        agent: "shell".into(),
        model: None,
        assigned_by: "the team".into(),
        branch: "b".into(),
    };
    let run = board.store.open_run(new, Timestamp::now()).await.unwrap().id;
    let facts = vec![RunFact::Words(Some("Put a damson in.".into())), RunFact::Plan("First sloe.".into())];
    board.store.note(&run, facts).await.unwrap();
    let end = RunEnd::Failed { reason: "No greengage.".into(), class: FailureClass::Unknown };
    board.store.end_run(&run, Some(Step::Agent), end, Timestamp::now()).await.unwrap();
    board.read(&[("docs/fruit.md", "# On fruit\n\nThe bullace is small.")]).await;

    insta::assert_debug_snapshot!(board.found("quince", None).await, @r#"
    [
        "feature A-1 Split the importer: It holds a quince. [\"orchard\"] Harvest",
    ]
    "#);
    for word in ["importer", "orchard", "harvest", "HARV"] {
        assert_eq!(board.found(word, Some(HitKind::Feature)).await.len(), 1, "{word}");
    }
    insta::assert_debug_snapshot!(board.found("medlar", None).await, @r#"
    [
        "comment A-1 Comment by ines: A medlar, please.",
    ]
    "#);
    for word in ["damson", "sloe", "greengage", "shell"] {
        assert_eq!(board.places(word).await, ["A-1.1"], "{word}");
    }
    insta::assert_debug_snapshot!(board.found("bullace", None).await, @r#"
    [
        "document sample:docs/fruit.md docs/fruit.md: # On fruit The bullace is small.",
    ]
    "#);
    assert!(board.found("quince", Some(HitKind::Comment)).await.is_empty());
    assert!(board.found("quince damson", None).await.is_empty(), "all words have to be in one place");
}

#[tokio::test]
async fn a_decision_is_found_by_its_reason() {
    let board = Board::new();
    board.add(titled("One", "")).await;
    let vote = qd_types::Vote {
        approval: "hub/01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
        digest: serde_json::from_value("0".repeat(64).into()).unwrap(),
        person: Person { id: ines(), roles: vec![] },
        surface: "cli".into(),
        ballot: qd_types::Ballot::Deny,
        reason: Some("The persimmon is not ripe.".into()),
        at: Timestamp::now(),
    };
    let signed = SignedVote { payload: String::new(), key: String::new(), signature: String::new() };
    board.store.cast(vote, signed, Timestamp::now()).await.unwrap();
    let found = board.found("persimmon", Some(HitKind::Decision)).await;
    insta::assert_debug_snapshot!(found, @"[]");
}

#[tokio::test]
async fn an_edit_is_followed_and_gone_words_are_not_found() {
    let board = Board::new();
    let id = board.add(titled("Old words", "about quinces")).await;
    let edit = EditFeature::of(None).set("title", "New words").set("milestone", "Spring");
    board.store.edit(&ines(), &id, edit, None, Timestamp::now()).await.unwrap();
    assert!(board.places("old").await.is_empty());
    for word in ["new", "spring", "quinces"] {
        assert_eq!(board.places(word).await, ["A-1"], "{word}");
    }
    board.read(&[("a.md", "alpha"), ("b.md", "beta")]).await;
    board.read(&[("a.md", "alpha"), ("c.md", "gamma")]).await;
    assert_eq!(board.places("beta").await, Vec::<String>::new());
    board.read(&[("a.md", "delta"), ("c.md", "gamma")]).await;
    assert_eq!(board.places("alpha").await, Vec::<String>::new());
    assert_eq!(board.places("delta").await, ["sample:a.md"]);
    board.read(&[]).await;
    assert_eq!(board.places("gamma").await, Vec::<String>::new());
}

#[tokio::test]
async fn no_text_breaks_a_search() {
    let board = Board::new();
    board.add(titled("A near miss", "with (brackets) and \"quotes\", title: too")).await;
    for text in [
        "near",
        "NEAR(a",
        "brackets) OR",
        "title: too",
        "\"quotes",
        "mis*",
        "^near",
        "-near",
        "a AND NOT b",
        "{title}: near",
        "near + miss",
        "'near'; DROP TABLE features",
        "near\0miss",
        "Ünïcödé near",
        "1e999",
    ] {
        board.store.search(text, None, 5).await.unwrap();
    }
    assert_eq!(board.places("(\"brackets^ *title:").await, ["A-1"]);
    assert_eq!(board.places("MISS").await, ["A-1"]);
    let refused = board.store.search("\"*^(", None, 5).await.unwrap_err().to_string();
    insta::assert_snapshot!(refused, @"search: holds no word: say what to look for");
}

#[tokio::test]
async fn an_older_file_is_searched_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("board.db");
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/board-v1.db"), &path).unwrap();
    let store = Store::open(&path, settings()).unwrap();
    let hits = store.search("from the first vers", Some(HitKind::Feature), 5).await.unwrap();
    assert_eq!((hits.len(), hits[0].place.as_str()), (1, "A-1"));
}

#[tokio::test]
async fn the_best_come_first_on_a_board_of_ten_thousand() {
    let board = Board::new();
    let mut filing = tokio::task::JoinSet::new();
    for number in 0..10_000 {
        let store = board.store.clone();
        filing.spawn(async move {
            let text = "A sentence or two about what is wanted, and why. ".repeat(4);
            let title = if number % 1000 == 7 { "The needle itself" } else { "A title of usual length" };
            let text = if number % 1000 == 9 { format!("{text} needle {text}") } else { text };
            let new = NewFeature { wanted: titled(title, &text), ..NewFeature::default() };
            store.add(&ines(), new, sample(), Timestamp::now()).await.unwrap();
        });
    }
    filing.join_all().await;
    let hits = board.store.search("needle", None, 50).await.unwrap();
    assert_eq!(hits.len(), 20);
    let titles = hits.iter().filter(|hit| hit.title == "The needle itself").count();
    assert!(titles == 10 && hits[..10].iter().all(|hit| hit.title == "The needle itself"));
    assert_eq!(board.store.search("sentence want", None, 50).await.unwrap().len(), 50);
}
