//! Changes of the board that people have to agree to first.

use std::time::Duration;

use qd_api::{ApprovalView, Client, FeatureView};
use qd_board::NewFeature;
use qd_types::{ApprovalState, Stage};

use crate::{
    policies::{fleet, let_in, refusal, rule, vote, write},
    support::{Project, Up},
};

/// An owner has to agree to a cancelling, and to a project.
fn careful() -> String {
    fleet()
        + &rule(
            "name = \"careful\"\nactions = [\"feature.cancel\", \"project.add\"]\neffect = \"ask\"\nquorum = 1",
        )
}

async fn all(client: &mut Client) -> Vec<ApprovalView> {
    client.get("approvals?all=true").await.unwrap()
}

async fn newest(client: &mut Client) -> ApprovalView {
    all(client).await.into_iter().max_by_key(|view| view.approval.requested_at).unwrap()
}

async fn ended(client: &mut Client, of: &ApprovalView) -> ApprovalView {
    for _ in 0..500 {
        let now = all(client).await.into_iter().find(|view| view.approval.id == of.approval.id).unwrap();
        if now.approval.state.is_final() {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    panic!("it never ends");
}

async fn backlog(up: &Up, title: &str) -> FeatureView {
    up.client("alpha", None).post("features", &NewFeature::titled(title)).await.unwrap()
}

fn without_key(text: &str, view: &ApprovalView) -> String {
    text.replace(&view.approval.id.key(), "KEY")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_have_to_agree_to_is_asked_and_done_once_in_the_askers_name() {
    let project = Project::new(&[("README.md", "# Careful\n")]);
    write(&project, &careful());
    let up = project.up(&[]);
    let_in(&project, &up, &["olaf", "oskar"]);
    let mut ines = up.client("alpha", None);
    backlog(&up, "One").await;
    let told = refusal(&project, &["feature", "cancel", "A-1", "--reason", "Not now"]);
    let card = newest(&mut ines).await;
    insta::assert_snapshot!(without_key(&told, &card), @"quarterdeck: People have to agree first: 1 owner, not the requester. They were asked. quarterdeck approvals show KEY has all of it. It is done when they agree.");
    assert_eq!(refusal(&project, &["feature", "cancel", "A-1", "--reason", "Not now"]), told, "asked once");
    insta::assert_snapshot!(card.approval.subject.requirement.describe(), @"1 owner, not the requester");
    let shown = project.ok(&["approvals", "show", &card.approval.id.key()]);
    assert!(shown.contains("board.feature.cancel") && shown.contains("Not now"), "{shown}");

    // What was agreed to is not what would be done.
    let edit = serde_json::json!({ "title": "Another" });
    let _: FeatureView = ines.patch("features/A-1", &edit).await.unwrap();
    vote(&up, "olaf", &card).await;
    let lapsed = ended(&mut ines, &card).await;
    insta::assert_snapshot!(lapsed.ended.unwrap_or_default(), @"Lapsed. What was approved is not what would be done: the state of the target (approved: “version 1”; now: “version 2”).");
    let here: FeatureView = ines.get("features/A-1").await.unwrap();
    assert_eq!(here.feature.stage, Stage::Backlog);

    refusal(&project, &["feature", "cancel", "A-1"]);
    let again = newest(&mut ines).await;
    vote(&up, "olaf", &again).await;
    let done = ended(&mut ines, &again).await;
    assert_eq!(done.approval.state, ApprovalState::Executed);
    let here: FeatureView = ines.get("features/A-1").await.unwrap();
    assert_eq!(here.feature.stage, Stage::Cancelled);
    let history: Vec<qd_api::EventView> = ines.get("features/A-1/history").await.unwrap();
    let cancelled = history.iter().find(|event| event.text.contains("ancelled")).unwrap();
    insta::assert_snapshot!(format!("{}: {}", cancelled.actor, cancelled.text), @"ines: Cancelled.");

    // A no holds for this request, and whoever may do it without asking is not asked.
    refusal(&project, &["project", "add", "q3"]);
    let third = newest(&mut ines).await;
    let _: ApprovalView = up
        .client("alpha", Some("olaf"))
        .post(
            &format!("approvals/{}/vote", third.approval.id.key()),
            &qd_api::CastVote::new(qd_types::Ballot::Deny, &third.approval.digest, Some("Too early".into())),
        )
        .await
        .unwrap();
    assert_eq!(ended(&mut ines, &third).await.approval.state, ApprovalState::Denied);
    assert!(project.ok(&["project", "list"]).starts_with("No projects yet."));
}

#[tokio::test(flavor = "multi_thread")]
async fn at_most_five_changes_of_one_person_wait() {
    let project = Project::new(&[("README.md", "# Careful\n")]);
    write(&project, &careful());
    let _up = project.up(&[]);
    for number in 1..=5 {
        assert!(refusal(&project, &["project", "add", &format!("q{number}")]).contains("They were asked."));
    }
    insta::assert_snapshot!(refusal(&project, &["project", "add", "q6"]), @"quarterdeck: 5 changes of yours wait for people already. Look at where it stands now.");
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn killed_between_the_spending_and_the_change_it_is_never_made_again() {
    use std::os::unix::process::ExitStatusExt as _;

    let project = Project::new(&[("README.md", "# Careful\n")]);
    write(&project, &careful());
    let mut up = project.up(&[("QUARTERDECK_FAILPOINT", "change_spent")]);
    let_in(&project, &up, &["olaf"]);
    refusal(&project, &["project", "add", "q3"]);
    let card = newest(&mut up.client("alpha", None)).await;
    vote(&up, "olaf", &card).await;
    let death = tokio::task::block_in_place(|| up.wait_death());
    assert_eq!(death.and_then(|status| status.signal()), Some(9));
    drop(up);
    let up = project.up(&[]);
    let unknown = ended(&mut up.client("alpha", None), &card).await;
    assert_eq!(unknown.approval.state, ApprovalState::Unknown);
    insta::assert_snapshot!(unknown.ended.unwrap_or_default(), @"Unknown. The instance ended while it was made: look at the board.");
    assert!(project.ok(&["project", "list"]).starts_with("No projects yet."));
}

/// What is ordered in chat is asked of the others, like what is asked for at the team's own computer.
mod ordered {
    use serde_json::{Value, json};

    use crate::discord::{Guild, id};

    /// A feature is given up only if an owner agrees, by a button.
    const CAREFUL: &str = "\n[[policies.rules]]\nname = \"careful\"\nactions = [\"feature.cancel\"]\neffect = \"ask\"\nquorum = 1\nway = \"button\"\n";

    async fn guild() -> Guild {
        Guild::with("", "echo hello > hello.txt; echo Said hello.", CAREFUL).await
    }

    fn sub(name: &str, option: (&str, &str)) -> Value {
        let (option, value) = option;
        json!([{"name": name, "type": 1, "options": [{"name": option, "type": 3, "value": value}]}])
    }

    async fn feature(guild: &Guild, title: &str) {
        let told = guild.types(guild.olaf, "feature", sub("add", ("title", title))).await;
        assert_eq!(told, "Sent to alpha.");
    }

    /// The newest open card about a cancelling.
    async fn card(guild: &Guild, of: &str) -> (u64, String) {
        let begins = format!("**Give a feature up: {of}**");
        guild.seen(guild.approvals, |text| text.starts_with(&begins) && text.contains("Decide until")).await
    }

    async fn shown(guild: &Guild, of: &str) -> String {
        guild.types(guild.ines, "feature", sub("show", ("id", of))).await
    }

    async fn closed(guild: &Guild, card: u64, mark: char) -> String {
        for _ in 0..1200 {
            let messages = guild.fake.messages(guild.approvals);
            let of = messages.iter().find(|message| id(message) == card).map(crate::discord::text);
            if let Some(text) = of.filter(|text| text.starts_with(mark)) {
                return text;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("{:#?}", guild.fake.messages(guild.approvals));
    }

    /// What the operator hears with the next command: after the command's own answer.
    async fn hears(guild: &Guild, wanted: &str) -> String {
        // Sixty commands in a minute are a person's limit.
        for _ in 0..50 {
            let told = guild.types(guild.olaf, "standup", sub("now", ("team", "alpha"))).await;
            if let Some(line) = told.lines().find(|line| line.contains(wanted)) {
                return line.to_owned();
            }
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        panic!("never told of {wanted:?}: {:?}", guild.fake.complaints());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_order_that_others_have_to_agree_to_is_carried_out_once_when_they_did() {
        let guild = guild().await;
        let up = guild.up(&[]).await;
        feature(&guild, "Say hello").await;
        feature(&guild, "Say goodbye").await;
        let told = guild.types(guild.olaf, "feature", sub("cancel", ("id", "A-1"))).await;
        insta::assert_snapshot!(told, @"Sent to alpha. People have to agree before it is done: 1 owner, not the requester. The card comes in #approvals.");
        let (yes, text) = card(&guild, "A-1").await;
        let text = text.lines().filter(|line| !line.starts_with("Decide") && !line.starts_with("Digest"));
        insta::assert_snapshot!(text.collect::<Vec<_>>().join("\n"), @r#"
        **Give a feature up: A-1** (A-1, alpha)
        On: A-1. With: board.feature.cancel. Arguments: {"cancel\_feature":{"id":"A-1","reason":null}}.
        "#);
        // The same once more is no second request.
        guild.types(guild.olaf, "feature", sub("cancel", ("id", "A-1"))).await;
        let again = hears(&guild, "already").await;
        let key = again.split_whitespace().last().unwrap().trim_end_matches('.').to_owned();
        insta::assert_snapshot!(again.replace(&key, "KEY"), @"alpha did not carry out the order that you gave: People were asked about exactly this already, and have not decided: KEY.");
        insta::assert_snapshot!(guild.clicks(guild.olaf, yes, "Approve").await, @"You need the role owner for this. You have: operator.");
        assert!(!shown(&guild, "A-1").await.contains("Cancelled"), "nothing happens before");
        assert_eq!(guild.clicks(guild.ines, yes, "Approve").await, "Approved.");
        assert!(closed(&guild, yes, '✔').await.contains("(A-1, alpha): approved by ines"));
        insta::assert_snapshot!(hears(&guild, "What you ordered").await, @"What you ordered of alpha, Give a feature up: A-1: approved by ines. Executed. A-1 is changed.");
        assert!(shown(&guild, "A-1").await.contains("Cancelled"));

        // A no: said to whoever ordered it, and nothing happens.
        guild.types(guild.olaf, "feature", sub("cancel", ("id", "A-2"))).await;
        let (no, _) = card(&guild, "A-2").await;
        let key = json!([{"name": "id", "type": 3, "value": "A-2"}, {"name": "reason", "type": 3, "value": "It is wanted"}]);
        assert_eq!(guild.types(guild.ines, "deny", key).await, "Denied.");
        insta::assert_snapshot!(closed(&guild, no, '✘').await, @"✘ Give a feature up: A-2 (A-2, alpha): Tool call denied by ines. Reason: It is wanted");
        insta::assert_snapshot!(hears(&guild, "What you ordered").await, @"What you ordered of alpha, Give a feature up: A-2: Tool call denied by ines. Reason: It is wanted");
        assert!(!shown(&guild, "A-2").await.contains("Cancelled"));
        let history: Vec<qd_api::EventView> =
            up.client("alpha", None).get("features/A-1/history").await.unwrap();
        let cancelled = history.iter().filter(|event| event.text.contains("ancelled"));
        assert_eq!(cancelled.map(|event| event.actor.as_str()).collect::<Vec<_>>(), ["olaf"]);
        guild.is_content();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_reload_that_others_have_to_agree_to_is_done_when_they_did() {
        let careful = CAREFUL.replace("feature.cancel", "config.reload");
        let guild = Guild::with("", "echo hello > hello.txt; echo Said hello.", &careful).await;
        let _up = guild.up(&[]).await;
        let told = guild.types(guild.olaf, "team", sub("reload", ("team", "alpha"))).await;
        insta::assert_snapshot!(told, @"Sent to alpha. People have to agree before it is done: 1 owner, not the requester. The card comes in #approvals.");
        let begins = "**Have the configuration read again: the configuration**";
        let asks = |text: &str| text.starts_with(begins) && text.contains("Decide until");
        let (card, _) = guild.seen(guild.approvals, asks).await;
        assert_eq!(guild.clicks(guild.ines, card, "Approve").await, "Approved.");
        insta::assert_snapshot!(hears(&guild, "What you ordered").await, @"What you ordered of alpha, Have the configuration read again: the configuration: approved by ines. Executed. The configuration is read again.");
        guild.is_content();
    }

    /// It says hello, and louder once it is told so.
    const AGENT: &str = "if grep -q LOUDER; then echo HELLO > hello.txt; echo Said it louder.; else echo hello > hello.txt; echo Said hello.; fi";

    #[tokio::test(flavor = "multi_thread")]
    async fn guidance_that_others_have_to_agree_to_reaches_the_run_when_they_did() {
        let careful = CAREFUL.replace("feature.cancel", "run.guide");
        let guild = Guild::with("threads = \"all\"\n", AGENT, &careful).await;
        guild.fake.let_read();
        let _up = guild.up(&[]).await;
        guild.asked().await;
        let [(thread, _)] = <[_; 1]>::try_from(guild.fake.threads(guild.dev)).unwrap();
        let written = guild.fake.write(guild.olaf, thread, "LOUDER, please").to_string();
        let below = guild.fake.seen(thread, |messages| {
            let found = messages.iter().find(|it| it["message_reference"]["message_id"] == written);
            found.map(crate::discord::text)
        });
        insta::assert_snapshot!(below.await.unwrap(), @"Taken as guidance for A-1. Sent to alpha. People have to agree before it is done: 1 owner, not the requester. The card comes in #approvals.");
        let (card, text) = guild
            .seen(guild.approvals, |text| text.contains("LOUDER") && text.contains("Decide until"))
            .await;
        insta::assert_snapshot!(text.lines().next().unwrap(), @"**Give a run guidance: A-1** (A-1, alpha)");
        assert_eq!(guild.clicks(guild.ines, card, "Approve").await, "Approved.");
        insta::assert_snapshot!(closed(&guild, card, '✔').await, @"✔ Give a run guidance: A-1 (A-1, alpha): approved by ines. Executed. The run of A-1 is told.");
        let (_, asked) = guild.seen(guild.approvals, |text| text.contains("Said it louder.")).await;
        assert!(crate::discord::asks_to_merge(&asked), "{asked}");
        guild.is_content();
    }

    #[cfg(feature = "failpoints")]
    #[tokio::test(flavor = "multi_thread")]
    async fn killed_after_it_asked_it_neither_forgets_nor_asks_again() {
        use std::os::unix::process::ExitStatusExt as _;

        // The bot has noted the order and not sent it; the team has asked and not said so.
        for point in ["command_noted", "order_asked"] {
            let guild = guild().await;
            let from = guild.project.folder().with_file_name("armed");
            let mut up = guild
                .up(&[
                    ("QUARTERDECK_FAILPOINT", point),
                    ("QUARTERDECK_FAILPOINT_FROM", from.to_str().unwrap()),
                ])
                .await;
            feature(&guild, "Say hello").await;
            for _ in 0..50 {
                if !shown(&guild, "A-1").await.contains("No team has reported") {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            }
            std::fs::write(&from, "").unwrap();
            guild.fake.slash(guild.olaf, guild.dev, "feature", sub("cancel", ("id", "A-1")));
            let death = tokio::task::block_in_place(|| up.wait_death());
            assert_eq!(death.and_then(|status| status.signal()), Some(9), "{point}");
            drop(up);
            let _up = guild.up(&[]).await;
            let (card, _) = card(&guild, "A-1").await;
            assert_eq!(guild.clicks(guild.ines, card, "Approve").await, "Approved.");
            closed(&guild, card, '✔').await;
            assert!(shown(&guild, "A-1").await.contains("Cancelled"));
            let all = guild.project.ok(&["approvals", "list", "--all"]);
            assert_eq!(all.matches("Give a feature up").count(), 1, "{all}");
            guild.is_content();
        }
    }
}
