//! What every slash command answers: typed on a fake that is stricter than Discord, answered by a real instance. A command of the
//! catalogue that is not here fails this test.

use qd_command::catalogue::{ENTRIES, Entry};
use serde_json::{Value, json};

use crate::discord::{Guild, tame};

/// What is filled in, by the command. What waits is A-1; A-9 and the team beta are not there.
fn filled(path: &str) -> &'static [(&'static str, &'static str)] {
    match path {
        "approve" | "deny" | "reopen" => &[("id", "A-9")],
        "answer" => &[("id", "A-1"), ("text", "Blue")],
        "approvals show" | "approvals subject" | "board why" | "feature show" => &[("id", "A-1")],
        "board search" => &[("words", "hello")],
        "feature add" => &[("title", "Say goodbye")],
        "feature move" => &[("id", "A-9"), ("stage", "backlog")],
        "feature edit" => &[("id", "A-1"), ("field", "agent"), ("value", "cmd")],
        "feature guide" | "feature review" => &[("id", "A-9"), ("text", "Say it louder")],
        "feature retry" | "feature revert" | "feature stop" | "feature cancel" => &[("id", "A-9")],
        "fleet pause" => &[("why", "Freeze")],
        "team pause" | "team resume" | "team reload" | "team release" => &[("team", "alpha")],
        "team limits" => &[("team", "alpa")],
        "project" => &[("name", "Offline mode")],
        "plan" => &[("goal", "Offline mode")],
        "ask" => &[("team", "alpha"), ("question", "What about hello?")],
        "standup schedule" => &[("team", "alpha"), ("hour", "09:30"), ("zone", "UTC")],
        "vm plan" | "vm create" | "vm destroy" => &[("team", "beta")],
        "link code" => &[("code", "ABCDE-FGHIJ")],
        "announce" => &[("text", "No merges before noon.")],
        "person" => &[("name", "olaf")],
        "policy explain" => &[("action", "feature.add")],
        "audit show" => &[("what", "A-9")],
        "help" => &[("command", "feature")],
        _ => &[],
    }
}

/// Orders: what becomes of them is told with any later answer, so that only the last line of theirs is the same each time.
fn is_order(path: &str) -> bool {
    let all = [
        "feature add",
        "feature move",
        "feature edit",
        "fleet pause",
        "fleet resume",
        "fleet reload",
        "team pause",
        "team resume",
        "team reload",
        "team release",
        "plan",
        "ask",
        "announce",
        "standup schedule",
    ];
    all.contains(&path)
}

async fn answer(guild: &Guild, who: u64, entry: &Entry) -> String {
    let options: Vec<Value> = filled(entry.path)
        .iter()
        .map(|(name, value)| json!({"name": name, "type": 3, "value": value}))
        .collect();
    let (name, options) = match entry.path.split_once(' ') {
        Some((name, below)) => (name, json!([{"name": below, "type": 1, "options": options}])),
        None => (entry.path, Value::Array(options)),
    };
    let asked = guild.fake.slash(who, guild.dev, name, options);
    let answer = guild.fake.answer(asked).await.unwrap();
    assert!(answer.text().chars().count() <= 2_000, "{}", entry.path);
    answer.text().to_owned()
}

/// What every run has anew: ids of approvals, and codes.
fn steady(text: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_matches(['`', '.', ',']);
        let bare = bare.strip_prefix("id:").unwrap_or(bare);
        let is_key =
            bare.len() == 26 && bare.starts_with("01") && bare.bytes().all(|b| b.is_ascii_alphanumeric());
        let is_code = bare.len() == 13 && bare.as_bytes()[6] == b'-' && bare == bare.to_uppercase();
        match (is_key, is_code) {
            (true, _) => word.replace(bare, "KEY"),
            (_, true) => word.replace(bare, "CODE"),
            _ => word.to_owned(),
        }
    };
    // Since when a digest looks back.
    let since = |line: &str| match line
        .split_once(", since ")
        .and_then(|(before, after)| Some((before, after.split_once("**")?)))
    {
        Some((before, (_, after))) => format!("{before}, since…**{after}"),
        None => line.to_owned(),
    };
    let lines = text.lines().map(|line| since(line).split(' ').map(word).collect::<Vec<_>>().join(" "));
    tame(&lines.collect::<Vec<_>>().join("\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_answers_in_time_and_for_one_person_alone() {
    let guild = Guild::new("").await;
    let _up = guild.up(&[]).await;
    let (card, _) = guild.asked().await;
    let mut told = Vec::new();
    let (orders, questions): (Vec<&Entry>, Vec<&Entry>) =
        ENTRIES.iter().partition(|entry| is_order(entry.path));
    for entry in questions {
        told.push(format!("/{}\n{}", entry.path, steady(&answer(&guild, guild.olaf, entry).await)));
    }
    for entry in orders {
        let said = answer(&guild, guild.ines, entry).await;
        told.push(format!("/{}\n{}", entry.path, steady(said.lines().last().unwrap())));
    }
    insta::assert_snapshot!(told.join("\n\n"), @r#"
    /approve
    Nothing is asked under A-9. Did you mean A-1? What waits: `/approvals list`

    /deny
    Nothing is asked under A-9. Did you mean A-1? What waits: `/approvals list`

    /answer
    It is no question. Type: `/approve id:KEY` or `/deny id:KEY`

    /reopen
    Nothing has expired under A-9.

    /approvals list
    KEY Merge 4f2a91c into main (A-1, alpha)

    /approvals show
    **Merge 4f2a91c into main** (A-1, alpha)
    1 file, +1 −0. Passed on exactly this commit: check.
    Decide until WHEN: 2 owners or reviewers, not the requester. 0 of 2 so far. By button.
    Digest 9be1 40c7 d2aa
    > "Said hello." (the agent's words)

    /approvals subject
    The whole of it, for you alone. The SHA-256 of this file is the digest on the card.

    /board show
    `▰▰▰▰▰▰▰▱▱` A-1 Say hello · alpha: Asks to merge 4f2a91c into main. 2 more owners or reviewers.

    /board why
    A-1: Asks to merge 4f2a91c into main. 2 more owners or reviewers.

    /board search
    A-1 Say hello · alpha: Asks to merge 4f2a91c into main. 2 more owners or reviewers.

    /feature show
    **A-1 Say hello** · alpha · shell
    `▰▰▰▰▰▰▰▱▱` In review: pull request #1. Asks to merge 4f2a91c into main. 2 more owners or reviewers.

    /feature cancel
    No team has reported a feature A-9. Did you mean A-1?

    /feature retry
    No team has reported a feature A-9. Did you mean A-1?

    /feature stop
    No team has reported a feature A-9. Did you mean A-1?

    /feature revert
    No team has reported a feature A-9. Did you mean A-1?

    /feature guide
    No team has reported a feature A-9. Did you mean A-1?

    /feature review
    No team has reported a feature A-9. Did you mean A-1?

    /fleet status
    alpha is heard: no run · asks 1.

    /fleet teams
    alpha: asks 1

    /fleet cost
    alpha: nothing metered

    /fleet risks
    No risk is known: nothing is red, nothing is stuck, nobody keeps anybody waiting.

    /fleet week
    **The fleet, since…** Merged nothing
    Decisions: 3 approved

    /team limits
    There is no team alpa. Did you mean alpha? There is alpha.

    /milestone
    No team has reported a milestone.

    /project
    No team has reported a project with milestones.

    /standup now
    **alpha, since…** Asks 1
    Decisions: 3 approved

    /vm list
    No host for virtual machines is configured where the bot runs: a person sets PROXMOX_HOST and its like there.

    /vm plan
    No host for virtual machines is configured where the bot runs: a person sets PROXMOX_HOST and its like there.

    /vm create
    No host for virtual machines is configured where the bot runs: a person sets PROXMOX_HOST and its like there.

    /vm destroy
    No host for virtual machines is configured where the bot runs: a person sets PROXMOX_HOST and its like there.

    /vm clusters
    No host for virtual machines is configured where the bot runs: a person sets PROXMOX_HOST and its like there.

    /link github
    GitHub is not configured here, so there is nothing to link.

    /link discord
    Type this on Discord, with the account that is yours: /link code CODE
    It works once, for 15 minutes. Show it to nobody.

    /link code
    That code is not known for discord, was used, or is older than 15 minutes. Get another one where you are known: link discord

    /person
    You are olaf, discord:1100000000037748736: operator. 0 of what is asked may be decided by you.
    Linked accounts: discord:1100000000037748736.

    /policy explain
    You may: file a feature.

    /audit show
    No team has reported a feature A-9. Did you mean A-1?

    /help
    **/feature add** File a feature; without a title a form asks for it
      title: What is wanted, in one line
      team: Which team
      stage: Release it at once (ready)
    **/feature show** What is true of a feature
      id: A feature like A-142
    **/feature move** Move a feature
      id: A feature like A-142
      stage: Where it moves to (backlog, ready)
    **/feature cancel** Give a feature up
      id: A feature like A-142
    **/feature retry** Have a feature tried again
      id: A feature like A-142
    **/feature edit** Change a field of a feature
      id: A feature like A-142
      field: Which field of the feature changes (title, description, priority, labels, size, project, milestone, due, agent)
      value: How it is from now on; none empties it
    **/feature stop** Stop the run that works on a feature; its work is kept
      id: A feature like A-142
    **/feature revert** Have a merged feature taken back
      id: A feature like A-142
      why: Your reason: others read it
    **/feature guide** Tell a feature's agent something
      id: A feature like A-142
      text: What its agent is to be told
    **/feature review** Say what has to change in a feature's pull request
      id: A feature like A-142
      text: What has to change

    /feature add
    Sent to alpha.

    /feature move
    No team has reported a feature A-9. Did you mean A-1?

    /feature edit
    Sent to alpha.

    /fleet pause
    Sent to alpha.

    /fleet resume
    Sent to alpha.

    /fleet reload
    Sent to alpha.

    /team pause
    Sent to alpha.

    /team resume
    Sent to alpha.

    /team reload
    Sent to alpha.

    /team release
    Sent to alpha.

    /plan
    Sent to alpha. An agent proposes features for it. People accept them on the team's page, or with quarterdeck plan; then they are filed.

    /ask
    Sent to alpha. The answer comes in #dev.

    /standup schedule
    alpha: at 09:30 UTC.

    /announce
    Told to one team.
    "#);
    let typed = json!([{"name": "team", "type": 3, "value": "al", "focused": true}]);
    let now = json!([{"name": "now", "type": 1, "options": typed}]);
    let typing = guild.fake.complete(guild.ines, guild.dev, "standup", now);
    let choices = guild.fake.answer(typing).await.unwrap().data;
    assert_eq!(choices["choices"][0]["value"], "alpha", "{choices}");
    let edit = json!([{"name": "edit", "type": 1, "options": [
        {"name": "id", "type": 3, "value": "A-1"}, {"name": "field", "type": 3, "value": "agent"},
        {"name": "value", "type": 3, "value": "", "focused": true}]}]);
    let typing = guild.fake.complete(guild.ines, guild.dev, "feature", edit);
    let choices = guild.fake.answer(typing).await.unwrap().data;
    insta::assert_snapshot!(choices, @r#"{"choices":[{"name":"shell","value":"shell"}]}"#);
    let deny = json!([
        {"name": "id", "type": 3, "value": "A-1"}, {"name": "reason", "type": 3, "value": "not now"}]);
    let denied = guild.types(guild.omar, "deny", deny).await;
    insta::assert_snapshot!(denied.lines().last().unwrap(), @"Denied.");
    let (closed, _) = guild.seen(guild.approvals, |text| text.starts_with('✘')).await;
    assert_eq!(closed, card);
    guild.is_content();
}
