//! The team's trail: what stands in it, and the heads that are exchanged with the bot.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use qd_approvals::SurfaceKey;
use qd_audit::{ChainFile, Head, RowHash, sign};
use qd_board::{NewFeature, RunEnd, Source, SourceKind, Wanted};
use qd_store::{Applied, NewRun, Retention, Settings, Store};
use qd_wire::v1::{
    Alert, AuditHead, AuditSigned, Envelope, ForgeAct, ForgeOutcome, ForgeRequest, Order, Report,
};
use serde::{Serialize, de::DeserializeOwned};

const BOT: [u8; 32] = [1; 32];
const OWN: [u8; 32] = [2; 32];

struct Site {
    dir: tempfile::TempDir,
    store: Store,
    seq: u64,
}

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn same<T: Serialize, U: DeserializeOwned>(value: &T) -> U {
    serde_json::from_value(serde_json::to_value(value).unwrap()).unwrap()
}

fn head(chain: &str, seq: u64, hash: &str) -> Head {
    Head { chain: chain.into(), seq, hash: RowHash::genesis(hash) }
}

impl Site {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            instance: "alpha".parse().unwrap(),
            prefix: "A".into(),
            slots: 2,
            reviews: None,
            repair_rounds: 3,
            rungs: 0,
            retry_pause: None,
            question: None,
            zone: jiff::tz::TimeZone::UTC,
        };
        let store = Store::open(&dir.path().join("board.db"), settings).unwrap();
        let (own, bot) = (SurfaceKey::new(&OWN).public(), SurfaceKey::new(&BOT).public());
        store.enrol(own, vec![bot]).await.unwrap();
        Self { dir, store, seq: 0 }
    }

    async fn file(&self) {
        let source = Some(Source { kind: SourceKind::Issue, reference: "12".into() });
        let wanted = Wanted { title: "Words of a person".into(), source, ..Wanted::default() };
        let new = NewFeature { wanted, ready: true, ..NewFeature::default() };
        let repository = "billing".parse().unwrap();
        self.store.add(&"ines".parse().unwrap(), new, repository, now()).await.unwrap();
    }

    async fn order(&mut self, body: Order) -> Envelope<Order> {
        self.seq += 1;
        Envelope { epoch: 1, seq: self.seq, at: now(), body }
    }

    async fn audit(&mut self, body: Order) -> Applied {
        let order = self.order(body).await;
        let key = SurfaceKey::new(&OWN);
        let applied = self.store.apply_audit(order.clone(), &key, now()).await.unwrap();
        assert_eq!(self.store.apply_audit(order, &key, now()).await.unwrap(), Applied::Again);
        applied
    }

    /// What goes up since it was last asked, without what is said of features.
    async fn reports(&self) -> Vec<Report> {
        let shipped = self.store.ship(100).await.unwrap();
        if let Some(last) = shipped.last() {
            let ack = qd_wire::v1::Ack { epoch: last.epoch, seq: last.seq };
            self.store.acknowledged(ack).await.unwrap();
        }
        let reports = shipped.into_iter().map(|envelope| envelope.body);
        reports.filter(|report| !matches!(report, Report::Feature(_))).collect()
    }

    fn signed(&self, head: &Head, secret: &[u8; 32]) -> Order {
        let signed = sign(head.clone(), "bot", now(), SurfaceKey::new(secret).signing());
        Order::AuditSigned(same::<_, AuditSigned>(&signed))
    }

    fn shows(&self, head: &Head) -> Order {
        Order::AuditHead(same::<_, AuditHead>(head))
    }

    fn told(&self, of: &str) -> String {
        let chain = ChainFile::open(&self.dir.path().join("board.db")).unwrap().unwrap();
        let rows = chain.tell(&of.parse().unwrap()).unwrap();
        let lines = rows.iter().map(|told| format!("{} {}: {}", told.row.kind, told.who, told.text));
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn refused(applied: Applied) -> String {
    match applied {
        Applied::Refused(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_head_goes_up_once_and_its_signature_is_kept() {
    let mut site = Site::new().await;
    assert_eq!(site.store.show_head(None, now()).await.unwrap().seq, 0);
    assert!(site.reports().await.is_empty(), "nothing is there to be signed");
    site.file().await;
    let shown = site.store.show_head(None, now()).await.unwrap();
    site.store.show_head(Some(&shown), now()).await.unwrap();
    let reports = site.reports().await;
    assert_eq!(reports, [Report::AuditHead(same(&shown))]);
    assert!(!site.store.head_is_signed().await.unwrap());
    let forged = site.signed(&shown, &[9; 32]);
    let reason = refused(site.audit(forged).await);
    assert!(reason.ends_with("is not a key of bot"), "{reason}");
    assert!(!site.store.head_is_signed().await.unwrap());
    let signed = site.signed(&shown, &BOT);
    assert_eq!(site.audit(signed).await, Applied::Yes);
    assert!(site.store.head_is_signed().await.unwrap());
}

#[tokio::test]
async fn the_bots_head_is_signed_unless_it_contradicts_what_was_signed_before() {
    let mut site = Site::new().await;
    let last = head("bot", 7, "seven");
    let shown = site.shows(&last);
    assert_eq!(site.audit(shown).await, Applied::Yes);
    let reports = site.reports().await;
    let [Report::AuditSigned(signed)] = reports.as_slice() else { panic!("{reports:?}") };
    assert_eq!((signed.head.seq, signed.by.as_str()), (7, "alpha"));
    for bad in [head("bot", 5, "five"), head("bot", 7, "other"), head("beta", 9, "nine")] {
        let shown = site.shows(&bad);
        refused(site.audit(shown).await);
        let reports = site.reports().await;
        assert!(
            matches!(reports.as_slice(), [Report::Alert(Alert { key, over: false, .. })] if key == "audit"),
            "{reports:?}"
        );
    }
    let shown = site.shows(&head("bot", 3, "three"));
    insta::assert_snapshot!(refused(site.audit(shown).await), @"row 3 of bot (9c764ea) contradicts row 7 of bot (65d9854), which was signed before: the chain of bot went back or was rewritten; stop its executor and run quarterdeck audit verify there");
    let order = site.order(Order::AuditHead(same(&last))).await;
    insta::assert_snapshot!(refused(site.store.apply(order, None, None, now()).await.unwrap()), @"It is about a trail: apply_audit takes it.");
}

#[tokio::test]
async fn a_feature_its_run_and_what_is_asked_of_the_bot_stand_in_the_trail() {
    let site = Site::new().await;
    site.file().await;
    let new = NewRun {
        feature: "A-1".parse().unwrap(),
        agent: "shell".into(),
        branch: "a-1".into(),
        model: None,
        assigned_by: "the team".into(),
    };
    let run = site.store.open_run(new, now()).await.unwrap().id;
    let act = ForgeAct::ClosePullRequest {
        repository: "billing".parse().unwrap(),
        number: 4,
        reason: "a word of a person".into(),
    };
    let request =
        ForgeRequest { id: "A-1.1/close".into(), feature: "A-1".parse().unwrap(), run: run.clone(), act };
    for _ in 0..2 {
        site.store.request(request.clone(), now()).await.unwrap();
    }
    let body = Order::ForgeOutcome { request: "A-1.1/close".into(), outcome: ForgeOutcome::Closed };
    let order = Envelope { epoch: 1, seq: 1, at: now(), body };
    assert_eq!(site.store.apply(order, None, None, now()).await.unwrap(), Applied::Yes);
    let stopped = RunEnd::Stopped { reason: "theo stopped it.".into() };
    for _ in 0..2 {
        site.store.end_run(&run, None, stopped.clone(), now()).await.unwrap();
    }
    insta::assert_snapshot!(site.told("A-1"), @"
    feature ines: filed
    run alpha: opened for the agent shell
    execution alpha: asked the bot to close pull request 4
    outcome bot: pull request closed
    run alpha: ended: stopped
    ");
    let chain = ChainFile::open(&site.dir.path().join("board.db")).unwrap().unwrap();
    let issues = |told: &qd_audit::Told| told.row.issue.as_deref() == Some("billing#12");
    assert!(chain.tell(&"A-1".parse().unwrap()).unwrap().iter().all(issues));
    site.store.forget(&"ines".parse().unwrap()).await.unwrap();
    let told = site.told("A-1");
    let who = told.lines().next().unwrap();
    assert!(who.starts_with("feature p-") && who.ends_with(" (erased): filed"), "{who}");
    assert_eq!(chain.verify(&[], &[]).unwrap().fault, None);
    let mut file = Vec::new();
    chain.export(&mut file).unwrap();
    let file = String::from_utf8(file).unwrap();
    for word in ["ines", "theo", "Words", "a word"] {
        assert!(!file.contains(word), "{word} stands in the chain");
    }
}

#[tokio::test]
async fn old_rows_go_to_files_and_the_rest_is_still_whole() {
    let site = Site::new().await;
    site.file().await;
    let folder = site.dir.path().join("elsewhere");
    let retention = Retention { archive_days: 90, keep_days: Some(730) };
    let after = |days: i64| now() + SignedDuration::from_hours(24 * days);
    let none = site.store.archive_trail(&folder, retention, after(89)).await.unwrap();
    assert!(none.written.is_empty());
    let done = site.store.archive_trail(&folder, retention, after(91)).await.unwrap();
    assert_eq!(done.written.len(), 1);
    assert_eq!(Path::parent(&done.written[0]), Some(folder.as_path()));
    let chain = || ChainFile::open(&site.dir.path().join("board.db")).unwrap().unwrap();
    assert!(chain().verify(&[], &[]).unwrap().fault.is_some(), "its segment is not beside it");
    let report = chain().with_segments(folder.clone()).verify(&[], &[]).unwrap();
    assert_eq!((report.fault, report.rows), (None, 2));
    let done = site.store.archive_trail(&folder, retention, after(731)).await.unwrap();
    assert_eq!(done.dropped.len(), 1);
}
