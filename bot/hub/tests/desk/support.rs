//! A bot with its database on disk, a forge that says what it is told to say, a chat that remembers, and one instance.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use qd_approvals::{Proof, Statement, SurfaceKey, confirm::Way};
use qd_core::{
    Rules,
    chat::{Channel, Chat, ChatError, Commands as _, Delivered, Given, Message},
    forge::Brought,
};
use qd_engine::{Bundle, Facts, KnownPerson, Policies};
use qd_hub::{Hub, HubError};
use qd_types::{
    ApprovalId, Ballot, CommitId, Digest, Identity, InstanceName, Merge, Person, PolicyRule, Role, Vote,
};
use qd_wire::v1::{
    Ack, ApprovalCard, Envelope, ForgeAct, ForgeOutcome, ForgeRequest, Order, Report, SignedVote,
};

use crate::scripted::Scripted;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn commit(letter: char) -> CommitId {
    letter.to_string().repeat(40).parse().unwrap()
}

pub(crate) fn person(name: &str, role: Role) -> Person {
    Person { id: name.parse().unwrap(), roles: vec![role] }
}

/// What the forge says a merge would bring.
pub(crate) fn brought(diff: char, path: &str) -> Brought {
    Brought { diff: diff.to_string().repeat(64), paths: vec![path.to_owned()] }
}

pub(crate) fn merge() -> Merge {
    Merge {
        repository: "sample".parse().unwrap(),
        pull_request: 7,
        target: "main".into(),
        head: commit('4'),
        diff: "d".repeat(64),
        paths: Some(vec!["src/lib.rs".into()]),
    }
}

/// What was said, and the channels that are gone. There is no fallback channel before a test makes one.
#[derive(Clone)]
pub(crate) struct Remembers(Arc<Mutex<BTreeMap<String, Message>>>, Arc<Mutex<Vec<Channel>>>);

impl Default for Remembers {
    fn default() -> Self {
        Self(Arc::default(), Arc::new(Mutex::new(vec![Channel::Fallback])))
    }
}

#[async_trait]
impl Chat for Remembers {
    async fn put(&self, message: &Message) -> Result<Delivered, ChatError> {
        if message.text.contains("unspeakable") {
            return Err(ChatError::Refused("it is too long".into()));
        }
        if self.1.lock().unwrap().contains(&message.channel) {
            return Err(ChatError::Refused(format!("there is no #{}", message.channel.as_str())));
        }
        let key = match message.channel {
            Channel::Fallback => format!("fallback/{}", message.key.0),
            _ => message.key.0.clone(),
        };
        self.0.lock().unwrap().insert(key.clone(), message.clone());
        Ok(Delivered { id: key, at: Timestamp::now() })
    }
}

pub(crate) struct Fleet {
    pub(crate) dir: Arc<tempfile::TempDir>,
    pub(crate) rules: Rules,
    pub(crate) forge: Scripted,
    chat: Remembers,
    hub: Option<(Hub, tokio::task::JoinHandle<()>)>,
    epoch: u64,
    seq: u64,
    after: Ack,
    orders: Vec<Order>,
    key: SurfaceKey,
}

fn people() -> Vec<Person> {
    vec![person("ines", Role::Owner), person("theo", Role::Owner), person("olaf", Role::Operator)]
}

/// The default policies with rules of a configuration on top.
pub(crate) fn policies(rules: &[PolicyRule]) -> Arc<Policies> {
    let known = |person| KnownPerson { person, identities: Vec::new() };
    let facts = Facts {
        people: people().into_iter().map(known).collect(),
        teams: vec!["alpha".parse().unwrap()],
        repositories: vec!["sample".parse().unwrap()],
        ..Facts::default()
    };
    Arc::new(Policies::new(Bundle::embedded().unwrap(), &facts, rules).unwrap())
}

pub(crate) fn rules() -> Rules {
    Rules {
        teams: vec!["alpha".parse().unwrap()],
        people: people(),
        renamed: BTreeMap::new(),
        policies: policies(&[]),
        merge_methods: BTreeMap::new(),
        read: BTreeSet::new(),
        protected: BTreeSet::new(),
        unprotected: BTreeSet::new(),
        approvals: qd_approvals::Rules { local_votes: true, ..qd_approvals::Rules::default() },
        distil: qd_core::Distil::new(&serde_json::json!({}), jiff::tz::TimeZone::UTC).unwrap(),
    }
}

impl Fleet {
    pub(crate) async fn new() -> Self {
        Self::with(rules()).await
    }

    pub(crate) async fn with(rules: Rules) -> Self {
        let mut fleet = Self::asleep(rules);
        fleet.start().await;
        fleet
    }

    /// Nothing runs yet.
    pub(crate) fn asleep(rules: Rules) -> Self {
        Self {
            dir: Arc::new(tempfile::tempdir().unwrap()),
            rules,
            forge: Scripted::default(),
            chat: Remembers::default(),
            hub: None,
            epoch: 1,
            seq: 0,
            after: Ack { epoch: 0, seq: 0 },
            orders: Vec::new(),
            key: SurfaceKey::new(&[7; 32]),
        }
    }

    pub(crate) async fn start(&mut self) {
        let path = self.dir.path().join("bot.db");
        let (forge, chat) = (Arc::new(self.forge.clone()), Arc::new(self.chat.clone()));
        let hub = Hub::open(&path, self.rules.clone(), forge, chat).await.unwrap();
        match hub.enrol(&alpha(), self.key.public()).await {
            // One that has joined with a key of its own has withdrawn this one.
            Ok(()) | Err(HubError::KeyWithdrawn { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        let running = tokio::spawn(hub.clone().run());
        self.hub = Some((hub, running));
    }

    /// From now on chat lacks these channels.
    pub(crate) fn lacks(&self, channels: &[Channel]) {
        *self.chat.1.lock().unwrap() = channels.to_vec();
        self.chat.0.lock().unwrap().retain(|_, message| !channels.contains(&message.channel));
    }

    /// The process ends, and starts again.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    async fn stop(&mut self) {
        let (hub, running) = self.hub.take().unwrap();
        running.abort();
        let _ended = running.await;
        drop(hub);
    }

    /// The process ends, and starts again so many hours after people were asked.
    pub(crate) async fn restart_after(&mut self, hours: u32) {
        self.stop().await;
        #[allow(
            clippy::disallowed_methods,
            reason = "time passes behind the bot's back, not through its store"
        )]
        let c = rusqlite::Connection::open(self.dir.path().join("bot.db")).unwrap();
        let back = "UPDATE approval_requests SET decide_from = decide_from - ?1 * 3600000,
            execute_from = execute_from - ?1 * 3600000";
        c.execute(back, [hours]).unwrap();
        drop(c);
        self.start().await;
    }

    /// A copy of the bot's database.
    pub(crate) fn backup(&self) -> std::path::PathBuf {
        let copy = self.dir.path().join("copy.db");
        #[allow(clippy::disallowed_methods, reason = "a backup is made beside the bot")]
        let c = rusqlite::Connection::open(self.file()).unwrap();
        c.execute("VACUUM INTO ?1", [copy.display().to_string()]).unwrap();
        copy
    }

    /// The process ends, the copy takes the place of its database, and it starts again. Its team, of which it knows less now,
    /// begins a new epoch.
    pub(crate) async fn restore(&mut self, copy: &std::path::Path) {
        self.stop().await;
        for of_it in ["bot.db-wal", "bot.db-shm"] {
            let _none = std::fs::remove_file(self.dir.path().join(of_it));
        }
        std::fs::copy(copy, self.file()).unwrap();
        self.start().await;
        (self.epoch, self.seq) = (self.epoch + 1, 0);
    }

    pub(crate) fn hub(&self) -> &Hub {
        &self.hub.as_ref().unwrap().0
    }

    pub(crate) async fn report(&mut self, body: Report) {
        self.seq += 1;
        let envelope = Envelope { epoch: self.epoch, seq: self.seq, at: Timestamp::now(), body };
        let ack = self.hub().receive(&alpha(), vec![envelope]).await.unwrap();
        assert_eq!(ack, Ack { epoch: self.epoch, seq: self.seq });
    }

    pub(crate) async fn request(&mut self, id: &str, act: ForgeAct) {
        let (feature, run) = ("A-1".parse().unwrap(), "A-1.1".parse().unwrap());
        self.report(Report::ForgeRequest(ForgeRequest { id: id.into(), feature, run, act })).await;
    }

    pub(crate) fn ask_merge(merge: Merge) -> ForgeAct {
        ForgeAct::AskMerge {
            merge,
            requesters: vec!["theo".parse().unwrap()],
            words: Some("Splits it.".into()),
            facts: "12 files, +214 −380.".into(),
            findings: Vec::new(),
        }
    }

    /// Asks whether the head may be merged, and waits until its card is delivered.
    pub(crate) async fn ask(&mut self, request: &str) -> ApprovalId {
        self.request(request, Self::ask_merge(merge())).await;
        let ForgeOutcome::Asked { approval } = self.first(request).await else { panic!() };
        self.delivered(&approval).await;
        approval
    }

    pub(crate) async fn delivered(&self, id: &ApprovalId) {
        let sql =
            format!("SELECT count(*) FROM approval_cards WHERE approval = '{id}' AND state <> 'pending'");
        self.until(|| self.sql(&sql) == "1").await;
    }

    pub(crate) async fn do_merge(&mut self, request: &str, approval: &ApprovalId, merge: Merge) {
        let (approval, tested, base) = (approval.clone(), commit('5'), commit('0'));
        self.request(request, ForgeAct::Merge { approval, merge, tested, base, checks: vec![] }).await;
    }

    pub(crate) async fn says(&self, who: &str, text: &str) -> String {
        let known = self.rules.people.iter().find(|person| person.id.as_str() == who).cloned();
        let who = known.unwrap_or_else(|| person(who, Role::Owner));
        self.hub().command(&who, &Given::on_console(Proof::SignedIn), text).await
    }

    /// The same, by somebody of whom nothing is known but the socket's user.
    pub(crate) async fn says_unproven(&self, who: &str, text: &str) -> String {
        let known = self.rules.people.iter().find(|person| person.id.as_str() == who).cloned().unwrap();
        self.hub().command(&known, &Given::on_console(Proof::Socket), text).await
    }

    /// A vote that alpha took, with whatever roles it asserts, signed with `key`.
    pub(crate) async fn votes(&mut self, key: Option<SurfaceKey>, id: &ApprovalId, who: Person) {
        let statement = Statement {
            identity: Identity { service: "local".into(), account: who.id.to_string() },
            vote: Vote {
                approval: id.clone(),
                digest: self.digest(id),
                person: who,
                surface: "board".into(),
                ballot: Ballot::Approve,
                reason: None,
                at: Timestamp::now(),
            },
            proof: Proof::SignedIn,
            way: Way::Button,
            typed: None,
            answer: None,
        };
        let signed = key.as_ref().unwrap_or(&self.key).sign(&statement).unwrap();
        let vote = SignedVote {
            payload: signed.payload,
            key: signed.key.as_str().into(),
            signature: signed.signature,
        };
        self.report(Report::Vote(vote)).await;
    }

    pub(crate) async fn orders(&mut self) -> &[Order] {
        let (alpha, briefly) = (alpha(), Duration::from_millis(250));
        if let Ok(more) = tokio::time::timeout(briefly, self.hub().orders(&alpha, self.after)).await {
            for envelope in more.unwrap() {
                self.after = Ack { epoch: envelope.epoch, seq: envelope.seq };
                self.orders.push(envelope.body);
            }
        }
        &self.orders
    }

    /// Up to where alpha says that it has orders.
    pub(crate) fn knows(&mut self, after: Ack) {
        self.after = after;
    }

    /// Up to where alpha has orders.
    pub(crate) fn has(&self) -> Ack {
        self.after
    }

    /// Everything that was said about a request.
    pub(crate) async fn outcomes(&mut self, request: &str) -> Vec<ForgeOutcome> {
        let mut outcomes = Vec::new();
        for order in self.orders().await {
            if let Order::ForgeOutcome { request: of, outcome } = order
                && of == request
            {
                outcomes.push(outcome.clone());
            }
        }
        outcomes
    }

    async fn nth(&mut self, request: &str, nth: usize) -> ForgeOutcome {
        let begun = std::time::Instant::now();
        loop {
            if let Some(outcome) = self.outcomes(request).await.get(nth) {
                return outcome.clone();
            }
            assert!(begun.elapsed() < PATIENCE, "{request}: {:?}", self.orders);
        }
    }

    pub(crate) async fn first(&mut self, request: &str) -> ForgeOutcome {
        self.nth(request, 0).await
    }

    /// What came of a question, after "people are asked".
    pub(crate) async fn decision(&mut self, request: &str) -> ForgeOutcome {
        self.nth(request, 1).await
    }

    /// The newest card that alpha has of an approval.
    pub(crate) async fn card(&mut self, id: &ApprovalId) -> ApprovalCard {
        let cards = self.orders().await.iter().rev().filter_map(|order| match order {
            Order::Approval(card) if card.approval.id == *id => Some(ApprovalCard::clone(card)),
            _ => None,
        });
        cards.into_iter().next().unwrap()
    }

    /// A message in chat, once it is as it should be.
    pub(crate) async fn message(&self, key: &str, fits: impl Fn(&Message) -> bool) -> Message {
        let found = || self.chat.0.lock().unwrap().get(key).filter(|message| fits(message)).cloned();
        self.until(|| found().is_some()).await;
        found().unwrap()
    }

    /// The only message in chat whose key begins so, once it is as it should be.
    pub(crate) async fn only(&self, begins: &str, fits: impl Fn(&Message) -> bool) -> Message {
        let found = || {
            let all = self.chat.0.lock().unwrap().clone();
            let mut found = all.into_iter().filter(|(key, _)| key.starts_with(begins)).map(|(_, it)| it);
            let first = found.next();
            assert!(found.next().is_none(), "there are several {begins}");
            first.filter(|message| fits(message))
        };
        self.until(|| found().is_some()).await;
        found().unwrap()
    }

    /// The texts of messages whose key begins so.
    pub(crate) fn messages(&self, key: &str) -> Vec<String> {
        let written = self.sql(&format!(
            "SELECT json_group_array(message ->> '$.text') FROM messages WHERE key LIKE '{key}%'"
        ));
        serde_json::from_str(&written).unwrap()
    }

    /// The bot's database.
    pub(crate) fn file(&self) -> std::path::PathBuf {
        self.dir.path().join("bot.db")
    }

    pub(crate) async fn until(&self, come: impl Fn() -> bool) {
        let begun = std::time::Instant::now();
        while !come() {
            assert!(begun.elapsed() < PATIENCE, "it never came true");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn digest(&self, id: &ApprovalId) -> Digest {
        let text = self.sql(&format!("SELECT digest FROM approval_requests WHERE id = '{id}'"));
        serde_json::from_value(text.into()).unwrap()
    }

    pub(crate) fn state(&self, id: &ApprovalId) -> String {
        self.sql(&format!("SELECT state FROM approval_requests WHERE id = '{id}'"))
    }

    /// The first column of the first row, read beside the bot.
    pub(crate) fn sql(&self, sql: &str) -> String {
        let c = qd_sqlite::read_only(&self.dir.path().join("bot.db")).unwrap();
        let value = c.query_row(sql, [], |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
        match value {
            rusqlite::types::Value::Text(text) => text,
            rusqlite::types::Value::Integer(number) => number.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// The trail, a line per row: kind, actor, text.
    pub(crate) fn trail(&self) -> String {
        let c = qd_sqlite::read_only(&self.dir.path().join("bot.db")).unwrap();
        let segments = qd_audit::segments_beside(&self.dir.path().join("bot.db"));
        let report = qd_audit::verify(&c, &segments, &[], &[]).unwrap();
        assert!(report.fault.is_none(), "{report}");
        let mut rows =
            c.prepare("SELECT kind, actor, payload ->> 'text' FROM audit_chain ORDER BY seq").unwrap();
        let line = |row: &rusqlite::Row<'_>| -> rusqlite::Result<String> {
            let actor: String = row.get(1)?;
            let actor = if actor.starts_with("person:") { "a person".to_owned() } else { actor };
            Ok(format!("{} {actor}: {}", row.get::<_, String>(0)?, row.get::<_, String>(2)?))
        };
        let lines: Vec<String> = rows.query_map([], line).unwrap().map(Result::unwrap).collect();
        lines.join("\n")
    }
}

pub(crate) fn alpha() -> InstanceName {
    "alpha".parse().unwrap()
}
