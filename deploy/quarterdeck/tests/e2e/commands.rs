//! Commands of chat that change what a team works on, or ask how far it is: typed on a fake that is stricter than Discord, carried
//! out by a real instance.

use qd_types::Stage;
use serde_json::{Value, json};

use crate::{
    discord::Guild,
    support::{Up, arrived, until},
};

/// Proposes features for a goal; works on anything slow until it is stopped; says hello else.
const AGENT: &str = r#"p=$(cat); case "$p" in *'Propose features'*) printf -- '- [ ] Read lines (P-1, size s)\n';; *SLOW*) sleep 600;; *) echo hello > hello.txt; echo Said hello.;; esac"#;

fn sub(name: &str, options: &[(&str, &str)]) -> Value {
    let options: Vec<Value> =
        options.iter().map(|(name, value)| json!({"name": name, "type": 3, "value": value})).collect();
    json!([{"name": name, "type": 1, "options": options}])
}

fn plain(options: &[(&str, &str)]) -> Value {
    sub("", options)[0]["options"].clone()
}

async fn fleet(more: &str) -> (Guild, Up) {
    let guild = Guild::with("", AGENT, more).await;
    let up = guild.up(&[]).await;
    (guild, up)
}

async fn feature(guild: &Guild, verb: &str, options: &[(&str, &str)]) -> String {
    guild.types(guild.olaf, "feature", sub(verb, options)).await
}

/// What a person hears with one of the next commands: their lines from this one on.
async fn hears(guild: &Guild, who: u64, wanted: &str) -> String {
    // Sixty commands in a minute are a person's limit.
    for _ in 0..60 {
        let told = guild.types(who, "standup", sub("now", &[("team", "alpha")])).await;
        if let Some(place) = told.find(wanted) {
            return told[place..].to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    }
    panic!("never told of {wanted:?}: {:?}", guild.fake.complaints());
}

/// The first line of that.
async fn line(guild: &Guild, wanted: &str) -> String {
    hears(guild, guild.olaf, wanted).await.lines().next().unwrap().to_owned()
}

/// The answer to a command once it is as wanted: what a team reports comes a moment later.
async fn answers(guild: &Guild, name: &str, options: Value, wanted: &str) -> String {
    for _ in 0..60 {
        let told = guild.types(guild.ines, name, options.clone()).await;
        if told.contains(wanted) {
            return told;
        }
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    }
    panic!("{name} never says {wanted:?}: {:?}", guild.fake.complaints());
}

#[tokio::test(flavor = "multi_thread")]
async fn features_are_edited_released_and_stopped_and_a_team_is_limited() {
    let (guild, up) = fleet("").await;
    let mut client = up.client("alpha", None);
    guild.project.ok(&["project", "add", "lines", "--milestone", "First=2026-12-24"]);
    assert_eq!(feature(&guild, "add", &[("title", "Say hello")]).await, "Sent to alpha.");
    answers(&guild, "feature", sub("show", &[("id", "A-1")]), "A-1").await;
    for (field, value) in
        [("title", "SLOW hello"), ("priority", "0"), ("project", "lines"), ("milestone", "First")]
    {
        let options = [("id", "A-1"), ("field", field), ("value", value)];
        assert_eq!(feature(&guild, "edit", &options).await, "Sent to alpha.");
    }
    let edited = until(&mut client, "A-1", |view| view.feature.wanted.milestone.is_some()).await.feature;
    assert_eq!((edited.wanted.title.as_str(), edited.wanted.priority), ("SLOW hello", 0));
    assert_eq!(edited.editors, [], "who files a feature is its author, not its editor");
    let milestones = answers(&guild, "milestone", json!([]), "First").await;
    insta::assert_snapshot!(milestones, @"
    **Milestone** · alpha: lines First: 0 %, 0 of 1 merged, due 2026-12-24
    - ⚠ Nobody answers for it: it has no owner.
    ");
    let project = answers(&guild, "project", plain(&[("name", "lines")]), "lines").await;
    insta::assert_snapshot!(project, @"
    **lines** · alpha: 0 of 1 merged in 1 milestone
    **Milestone** · alpha: lines First: 0 %, 0 of 1 merged, due 2026-12-24
    - ⚠ Nobody answers for it: it has no owner.
    ");

    // A limit is lowered, shown, and explained by the scheduler itself.
    let team = |options: &[(&str, &str)]| {
        let mut all = vec![("team", "alpha")];
        all.extend(options);
        all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
    };
    let typed = |verb: &str, options: Vec<(String, String)>| {
        let options: Vec<(&str, &str)> =
            options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        sub(verb, &options)
    };
    let more = typed("limits", team(&[("limit", "slots"), ("most", "99")]));
    assert_eq!(guild.types(guild.olaf, "team", more).await, "Sent to alpha.");
    insta::assert_snapshot!(line(&guild, "alpha did not").await, @"alpha did not carry out the order that you gave: Runs at once: the configuration has 2 at most, and 99 is more: that is a change of the configuration.");
    let less = typed("limits", team(&[("limit", "slots"), ("most", "1")]));
    guild.types(guild.olaf, "team", less).await;
    insta::assert_snapshot!(line(&guild, "alpha: Runs").await, @"alpha: Runs at once: 1 at most, as olaf has it, until somebody takes that back.");
    let shown = answers(&guild, "team", typed("limits", team(&[])), "of 1 slots").await;
    insta::assert_snapshot!(shown, @"
    alpha: 0 of 1 slots are taken. The configuration has 2.
    In review: 0. Nothing new starts from: no limit. The configuration has no limit.
    olaf lowered: Runs at once.
    ");
    feature(&guild, "add", &[("title", "Wait")]).await;
    arrived(&mut client, "A-2").await;
    guild.types(guild.olaf, "team", typed("release", team(&[]))).await;
    insta::assert_snapshot!(line(&guild, "alpha: Released").await, @"alpha: Released 2 features: A-1, A-2.");
    let waits = until(&mut client, "A-2", |view| view.sentence.contains("olaf")).await;
    insta::assert_snapshot!(waits.sentence, @"Next. olaf lowered the slots to 1. Starts when one is free.");

    // The one run is stopped, and what stands still has nothing to stop.
    let stopped = async |id: &str| {
        for _ in 0..60 {
            let told = feature(&guild, "stop", &[("id", id)]).await;
            if told == "Sent to alpha." {
                return;
            }
            assert_eq!(told, format!("No run works on {id}: there is nothing to stop."));
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        panic!("its run is never known: {:?}", guild.fake.complaints());
    };
    stopped("A-1").await;
    let ended = until(&mut client, "A-1", |view| view.feature.stage != Stage::Running).await;
    insta::assert_snapshot!(ended.sentence, @"Stopped by olaf. Needs a person.");
    guild.is_content();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_goal_is_planned_and_what_was_merged_is_taken_back_with_its_trail() {
    let (guild, up) = fleet("").await;
    let mut client = up.client("alpha", None);
    let told = guild.types(guild.olaf, "feature", sub("add", &[("title", "Wait")])).await;
    assert_eq!(told, "Sent to alpha.");
    answers(&guild, "feature", sub("show", &[("id", "A-1")]), "A-1").await;
    let nothing = feature(&guild, "revert", &[("id", "A-1")]).await;
    insta::assert_snapshot!(nothing, @"A-1 is not merged: there is nothing to take back.");
    let told = guild.types(guild.olaf, "plan", plain(&[("goal", "Lines in and out")])).await;
    insta::assert_snapshot!(told, @"Sent to alpha. An agent proposes features for it. People accept them on the team's page, or with quarterdeck plan; then they are filed.");
    insta::assert_snapshot!(line(&guild, "alpha: Features").await, @"alpha: Features for it are proposed as A-2.");
    until(&mut client, "A-2", |view| view.sentence.starts_with("Its plan is written")).await;

    let (card, _) = guild.asked().await;
    guild.clicks(guild.ines, card, "Approve").await;
    assert_eq!(guild.clicks(guild.omar, card, "Approve").await, "Approved.");
    until(&mut client, "A-3", crate::support::finished).await;
    answers(&guild, "feature", sub("show", &[("id", "A-3")]), "Merged").await;
    assert_eq!(feature(&guild, "revert", &[("id", "A-3"), ("why", "It is loud")]).await, "Sent to alpha.");
    insta::assert_snapshot!(line(&guild, "alpha: A-4").await, @"alpha: A-4 takes A-3 back, once its merge is approved.");
    let back = until(&mut client, "A-4", |view| view.run.is_some()).await.feature;
    assert_eq!((back.wanted.title.as_str(), back.author.as_str()), ("Take back A-3: Say hello", "olaf"));

    let trail = guild.types(guild.ines, "audit", sub("show", &[("what", "A-3")])).await;
    let said = |text: &str, wanted: &str| text.lines().filter(|line| line.contains(wanted)).count();
    assert!(trail.starts_with("The bot's trail of A-3:\n"), "{trail}");
    assert!(said(&trail, "ines vote") == 1 && said(&trail, "omar vote") == 1, "{trail}");
    let own = hears(&guild, guild.ines, "alpha: its own trail").await;
    assert!(own.starts_with("alpha: its own trail says of A-3.\n"), "{own}");
    assert!(said(&own, "olaf feature: filed") == 1, "{own}");
    guild.is_content();
}
