//! Talking to a team on Discord, and what becomes of it on bad days: a fleet beside a fake that is stricter than the real one.

use std::time::Duration;

use qd_testkit::discord::Drop;
use serde_json::json;

use crate::{
    discord::{Guild, asks_to_merge, id, text},
    support::git,
};

/// It says hello, and louder once it is told so.
const AGENT: &str = "if grep -q LOUDER; then echo HELLO > hello.txt; echo Said it louder.; else echo hello > hello.txt; echo Said hello.; fi";

#[tokio::test(flavor = "multi_thread")]
async fn a_review_in_a_features_thread_goes_back_to_its_agent() {
    let guild = Guild::with("threads = \"all\"\n", AGENT, "").await;
    guild.fake.let_read();
    let _up = guild.up(&[]).await;
    let (card, _) = guild.asked().await;
    let [(thread, name)] = <[_; 1]>::try_from(guild.fake.threads(guild.dev)).unwrap();
    insta::assert_snapshot!(name, @"A-1 Say hello");
    let written = guild.fake.write(guild.olaf, thread, "review: LOUDER, please").to_string();
    let below = guild.fake.seen(thread, |messages| {
        let found = messages.iter().find(|it| it["message_reference"]["message_id"] == written);
        found.map(text)
    });
    insta::assert_snapshot!(below.await.unwrap(), @"Taken as a review comment on A-1. Sent to alpha.");
    // What was approved by nobody yet is asked anew, for the new head.
    let (closed, _) = guild.seen(guild.approvals, |text| text.starts_with('✘')).await;
    assert_eq!(closed, card);
    let (again, asked) = guild.seen(guild.approvals, asks_to_merge).await;
    assert_ne!(again, card);
    assert!(asked.contains("Said it louder."), "{asked}");
    guild.clicks(guild.ines, again, "Approve").await;
    assert_eq!(guild.clicks(guild.omar, again, "Approve").await, "Approved.");
    guild.seen(guild.dev, |text| text.contains("Merged")).await;
    assert_eq!(git(&guild.project.forge("project"), &["show", "main:hello.txt"]), "HELLO");
    let late = guild.fake.write(guild.olaf, thread, "Once more").to_string();
    let below = guild.fake.seen(thread, |messages| {
        let found = messages.iter().find(|it| it["message_reference"]["message_id"] == late);
        found.map(text)
    });
    insta::assert_snapshot!(below.await.unwrap(), @"No run works on A-1, so nobody was told. Say it in its description, by an edit.");
    guild.is_content();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reaction_given_while_the_gateway_was_lost_for_ten_minutes_counts() {
    let rule = "\n[[policies.rules]]\nname = \"careful\"\nactions = [\"feature.cancel\"]\neffect = \"ask\"\nroles = [\"operator\"]\nquorum = 1\nway = \"reaction\"\n";
    let guild = Guild::with("", AGENT, rule).await;
    let _up = guild.up(&[]).await;
    let options =
        json!([{"name": "add", "type": 1, "options": [{"name": "title", "type": 3, "value": "Say hello"}]}]);
    assert_eq!(guild.types(guild.olaf, "feature", options).await, "Sent to alpha.");
    let refused = guild.project.run(&["feature", "cancel", "A-1"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("They were asked."), "{refused:?}");
    let (card, asked) = guild.seen(guild.approvals, |text| text.contains("cancel")).await;
    assert!(asked.starts_with("**Give a feature up: A-1** (A-1, alpha)\n"), "{asked}");
    guild.fake.shut_gateway(true);
    guild.fake.drop_gateway(Drop::Forgotten);
    guild.fake.advance(Duration::from_secs(600));
    guild.fake.react(guild.olaf, guild.approvals, card, "✅");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let now = guild.fake.messages(guild.approvals).into_iter().find(|message| id(message) == card).unwrap();
    assert_ne!(now["components"], json!([]), "nobody heard it");
    guild.fake.shut_gateway(false);
    let closed = guild.fake.seen(guild.approvals, |messages| {
        let card = messages.iter().find(|message| id(message) == card)?;
        Some(text(card)).filter(|text| text.starts_with('✔'))
    });
    let how = closed.await.unwrap();
    assert!(how.contains("approved by olaf"), "{how}");
    let show = json!([{"name": "show", "type": 1, "options": [{"name": "id", "type": 3, "value": "A-1"}]}]);
    assert!(guild.types(guild.olaf, "feature", show).await.contains("Cancelled"));
    guild.is_content();
}

/// Places between the click that decides and its effect, in their order: in the bot, in the team, and in the bot again.
#[cfg(feature = "failpoints")]
mod killed {
    use std::{os::unix::process::ExitStatusExt as _, time::Duration};

    use serde_json::json;

    use super::{Guild, git, id, text};

    /// How the process ends.
    enum Kill {
        /// At this place.
        At(&'static str),
        /// So long after the click, in milliseconds.
        After(u64),
    }
    use Kill::{After, At};

    const AGENT: &str = "n=$(grep -o \"Say hello to [a-z]*\" | head -n 1 | sed \"s,.* ,,\"); echo hello > hello-$n.txt; echo Said hello.";
    const NAMES: [&str; 5] = ["anna", "bert", "cleo", "dora", "emil"];

    /// Five features wait for their second yes. At each the process is killed in another place, and started again.
    async fn dies(kills: [Kill; 5]) {
        let guild = Guild::with("", AGENT, "").await;
        let from = guild.project.folder().with_file_name("armed");
        let mut up = guild.up(&[]).await;
        let mut cards = Vec::new();
        for name in NAMES {
            let title = format!("Say hello to {name}");
            let options = json!([{"name": "add", "type": 1, "options": [
                {"name": "title", "type": 3, "value": title}, {"name": "stage", "type": 3, "value": "ready"}]}]);
            assert_eq!(guild.types(guild.olaf, "feature", options).await, "Sent to alpha.");
        }
        for number in 1..=NAMES.len() {
            let of = format!("(A-{number}, alpha)");
            let is_card = |text: &str| super::asks_to_merge(text) && text.contains(&of);
            let (card, _) = guild.seen(guild.approvals, is_card).await;
            assert_eq!(guild.clicks(guild.ines, card, "Approve").await, "Noted: 1 of 2.");
            cards.push((of, card));
        }
        for (kill, (of, card)) in kills.into_iter().zip(&cards) {
            std::mem::drop(up);
            let _ = std::fs::remove_file(&from);
            let point = if let At(point) = kill { point } else { "nowhere" };
            let armed = from.to_str().unwrap();
            up = guild.project.up(&[("QUARTERDECK_FAILPOINT", point), ("QUARTERDECK_FAILPOINT_FROM", armed)]);
            guild.heard().await;
            std::fs::write(&from, "").unwrap();
            guild.fake.click(guild.omar, guild.approvals, *card, "Approve");
            match kill {
                At(point) => {
                    let death = tokio::task::block_in_place(|| up.wait_death());
                    assert_eq!(
                        death.and_then(|status| status.signal()),
                        Some(9),
                        "{point}: it should have died"
                    );
                }
                After(wait) => tokio::time::sleep(Duration::from_millis(wait)).await,
            }
            std::mem::drop(up);
            up = guild.project.up(&[]);
            guild.heard().await;
            // Where the click was lost with the process, it is given again; where it was not, that is said or the card is closed.
            let shown = guild.fake.messages(guild.approvals).into_iter().find(|message| id(message) == *card);
            if shown.is_some_and(|shown| shown["components"] != json!([])) {
                let feature = of.trim_start_matches('(').split(',').next().unwrap();
                let option = json!([{"name": "id", "type": 3, "value": feature}]);
                let again = guild.types(guild.omar, "approve", option).await;
                let counted = ["Approved.", "already approved", "noted before", "under way"];
                assert!(counted.iter().any(|word| again.contains(word)), "{point}: {again}");
            }
            let done = |text: &str| {
                text.starts_with("✔ Merge") && text.contains(of.as_str()) && text.contains("merged as")
            };
            let (closed, _) = guild.seen(guild.approvals, done).await;
            assert_eq!(closed, *card, "{point}: one card");
        }
        let log = git(&guild.project.forge("project"), &["log", "--first-parent", "--format=%s", "main"]);
        for name in NAMES {
            assert_eq!(log.lines().filter(|line| line.contains(name)).count(), 1, "{name} once: {log}");
        }
        let cards: Vec<String> = guild.fake.messages(guild.approvals).iter().map(text).collect();
        assert_eq!(cards.iter().filter(|text| text.contains("Merge")).count(), NAMES.len(), "{cards:?}");
        guild.is_content();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn while_the_bot_takes_the_click() {
        dies([At("command_heard"), At("command_noted"), At("delivering"), At("delivered"), After(0)]).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn while_the_team_hears_of_it() {
        dies([At("order_applied"), At("review"), After(10), After(25), After(50)]).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn while_the_bot_carries_it_out() {
        dies([At("act_begun"), At("rebuilt"), At("authorised"), At("merged"), At("act_noted")]).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn while_the_team_ends_its_run() {
        dies([At("merge"), At("clean_up"), After(100), After(200), After(400)]).await;
    }
}
