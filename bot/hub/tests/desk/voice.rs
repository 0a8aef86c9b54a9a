//! What is said in a channel, and when: through the hub's own steps, on a simulated clock.

use insta::assert_snapshot;
use jiff::{SignedDuration, Timestamp};
use qd_approvals::SurfaceKey;
use qd_core::{
    Rules,
    chat::{Channel, Delivered, Message},
};
use qd_hub::{
    HubError,
    steps::{MIGRATIONS, Steps},
};
use qd_sqlite::Db;
use qd_types::{Line, Stage};
use qd_wire::v1::{Alert, Envelope, FeatureReport, ForgeRequest, Report};
use rusqlite::Connection;

use crate::support::{Fleet, alpha, merge, rules};

struct Bot<'c> {
    c: &'c Connection,
    steps: Steps,
    now: Timestamp,
    seq: u64,
    said: Vec<(Timestamp, Message)>,
}

fn steps(c: &Connection, rules: Rules, now: Timestamp) -> Steps {
    let fresh = Box::new(|at: Timestamp| {
        ulid::Ulid::from_parts(at.as_millisecond().unsigned_abs(), ulid::Ulid::generate().random())
    });
    Steps::start(c, rules, SurfaceKey::new(&[7; 32]), &[], fresh, now).unwrap()
}

impl Bot<'_> {
    fn report(&mut self, body: Report) {
        self.seq += 1;
        let envelope = Envelope { epoch: 1, seq: self.seq, at: self.now, body };
        self.steps.receive(self.c, &alpha(), vec![envelope], self.now).unwrap();
    }

    fn feature(&mut self, number: u32, stage: Stage, sentence: &str) {
        self.report(Report::Feature(FeatureReport {
            feature: format!("A-{number}").parse().unwrap(),
            title: "Split the importer".into(),
            stage,
            line: Line::default(),
            sentence: sentence.into(),
            agent: Some("claude".into()),
            pull_request: None,
            merged: None,
            seconds: None,
            needs_person: false,
            spent: None,
            repository: None,
            issue: None,
            run: None,
            question: None,
        }));
    }

    fn alert(&mut self, key: &str) {
        self.report(Report::Alert(Alert { key: key.into(), text: format!("{key} is red."), over: false }));
    }

    fn asks(&mut self, number: u32) {
        let feature = format!("A-{number}").parse().unwrap();
        let run = format!("A-{number}.1").parse().unwrap();
        let act = Fleet::ask_merge(merge());
        self.report(Report::ForgeRequest(ForgeRequest { id: format!("{run}/ask"), feature, run, act }));
    }

    /// All that chat can take by then, second by second. What it was, without its time: channel and key.
    fn for_seconds(&mut self, seconds: i64) -> Vec<String> {
        let before = self.said.len();
        for _ in 0..seconds {
            while let Some(due) = self.steps.message_now(self.c, self.now).unwrap() {
                self.said.push((self.now, due.message().clone()));
                let there = Delivered { id: due.message().key.0.clone(), at: self.now };
                self.steps.delivered(self.c, &due, &there, self.now).unwrap();
            }
            self.now += SignedDuration::from_secs(1);
        }
        let line =
            |(_, message): &(Timestamp, Message)| format!("#{} {}", message.channel.as_str(), key(message));
        self.said[before..].iter().map(line).collect()
    }

    fn tick(&mut self) {
        self.steps.tick(self.c, self.now).unwrap();
    }

    /// The process ends, and starts again.
    fn restart(&mut self) {
        self.steps = steps(self.c, rules(), self.now);
    }

    fn last(&self, channel: Channel) -> &str {
        let last = self.said.iter().rfind(|(_, message)| message.channel == channel);
        &last.unwrap().1.text
    }
}

/// Without what is chance in it.
fn key(message: &Message) -> String {
    if message.key.approval().is_some() { "the card".to_owned() } else { message.key.0.clone() }
}

async fn check(test: impl FnOnce(&mut Bot<'_>) + Send + 'static) {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&folder.path().join("bot.db"), MIGRATIONS).unwrap();
    let done = db.write(move |c| {
        let now = "2026-11-20T08:00:00Z".parse().unwrap();
        let steps = steps(c, rules(), now);
        test(&mut Bot { c, steps, now, seq: 0, said: Vec::new() });
        Ok::<_, HubError>(())
    });
    done.await.unwrap();
}

#[tokio::test]
async fn what_is_more_than_a_channel_takes_is_merged_and_the_newest_state_wins() {
    check(|bot| {
        for round in 0..100 {
            for number in 1..=20 {
                bot.feature(number, Stage::Running, &format!("Round {round}."));
            }
            bot.for_seconds(1);
        }
        let dev = bot.said.iter().filter(|(_, message)| message.channel == Channel::Dev).count();
        assert!(dev <= 100 * 30 / 60 + 5, "{dev} calls of 2000 reports");
        bot.feature(7, Stage::Done, "Merged as 4f2a91c.");
        let said = bot.for_seconds(4);
        assert_eq!(said.first().unwrap(), "#dev feature:alpha:A-7", "what turned comes before what did not");
        bot.for_seconds(1200);
        for number in 1..=20 {
            let key = format!("feature:alpha:A-{number}");
            let last = bot.said.iter().rfind(|(_, message)| message.key.0 == key).unwrap();
            let newest = if number == 7 { "Merged as 4f2a91c." } else { "Round 99." };
            assert!(last.1.text.contains(newest), "{}", last.1.text);
        }
        assert!(bot.for_seconds(600).is_empty(), "nothing is queued");
    })
    .await;
}

#[tokio::test]
async fn nothing_delays_a_card() {
    check(|bot| {
        for number in 1..=30 {
            bot.feature(number, Stage::Running, "Works.");
            bot.alert(&format!("cause-{number}"));
        }
        bot.for_seconds(3);
        bot.asks(1);
        assert_eq!(bot.for_seconds(1).first().unwrap(), "#approvals the card");
    })
    .await;
}

#[tokio::test]
async fn a_digest_is_sent_once_however_often_the_bot_starts() {
    check(|bot| {
        bot.feature(1, Stage::Running, "Works.");
        bot.tick();
        bot.for_seconds(60);
        bot.now += SignedDuration::from_hours(1);
        bot.restart();
        bot.tick();
        bot.feature(1, Stage::Done, "Merged.");
        bot.now += SignedDuration::from_hours(24 * 2);
        bot.restart();
        let digests =
            |said: Vec<String>| said.into_iter().filter(|it| it.contains("digest:")).collect::<Vec<_>>();
        let late = digests(bot.for_seconds(60));
        assert_eq!(late.len(), 1, "one for all the time that it was away: {late:?}");
        assert_snapshot!(bot.last(Channel::Standup), @"**alpha, since Fri 20 Nov** Merged 1 (A-1)");
        for _ in 0..3 {
            bot.restart();
            bot.tick();
            assert_eq!(digests(bot.for_seconds(60)), [] as [String; 0]);
        }
    })
    .await;
}

#[tokio::test]
async fn the_same_again_is_not_said_again() {
    check(|bot| {
        bot.feature(1, Stage::Running, "Works.");
        bot.tick();
        assert_eq!(bot.for_seconds(60), ["#dev feature:alpha:A-1", "#standup team:alpha"]);
        bot.restart();
        bot.tick();
        assert_eq!(bot.for_seconds(600), [] as [String; 0], "a start is no news");
    })
    .await;
}
