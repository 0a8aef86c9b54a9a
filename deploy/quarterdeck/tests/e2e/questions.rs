//! Questions to a team, asked on Discord: answered from the board by a run that only reads, or said not to be known.

use qd_api::{FeatureView, RunSummary};
use qd_types::Stage;
use serde_json::{Value, json};

use crate::{
    discord::Guild,
    support::{Up, finished, git, until},
};

/// Tries to write, and answers with what there is, what there is not, and what would call everybody.
const AGENT: &str = r##"p=$(cat); echo mine > mine.txt; case "$p" in
*"# Answer the question"*) printf 'I look around.\n# Answer\nA-1 does, see README.md:1 and X-9. @everyone **now**\n';;
*) echo no such turn;; esac"##;

fn question(text: &str) -> Value {
    json!([{"name": "team", "type": 3, "value": "alpha"}, {"name": "question", "type": 3, "value": text}])
}

/// A guild whose team has a feature in its backlog.
async fn guild(agent: &str, more: &str) -> (Guild, Up) {
    let guild = Guild::with("", agent, more).await;
    let up = guild.up(&[]).await;
    guild.project.ok(&["feature", "add", "Print the currency"]);
    (guild, up)
}

/// What takes another time each time.
fn tame(text: &str) -> String {
    let line = |line: &str| match line.split_once(" · ") {
        Some((run, _)) if run.parse::<qd_types::RunId>().is_ok() => format!("{run} · TOOK"),
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn asks(text: &str) -> bool {
    text.starts_with("**olaf asks alpha:**")
}

/// How many messages show questions.
fn messages(guild: &Guild) -> usize {
    guild.fake.messages(guild.dev).iter().filter(|message| asks(&crate::discord::text(message))).count()
}

async fn over(up: &Up, id: &str, stage: Stage) -> FeatureView {
    let ended = |view: &FeatureView| view.run.as_ref().is_some_and(|run| run.ended_at.is_some());
    until(&mut up.client("alpha", None), id, |view| view.feature.stage == stage && ended(view)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_from_the_board_and_nothing_comes_of_it() {
    let (guild, up) = guild(AGENT, "").await;
    let told = guild.types(guild.olaf, "ask", question("Who prints @here the currency?")).await;
    insta::assert_snapshot!(told, @"Sent to alpha. The answer comes in #dev.");
    let (message, answer) = guild.seen(guild.dev, |text| asks(text) && text.contains("It names")).await;
    insta::assert_snapshot!(tame(&answer).replace('\u{200b}', "~"), @r"
    **olaf asks alpha:** Who prints @~here the currency?
    > A-1 does, see README.md:1 and X-9. @~everyone \*\*now\*\*
    It names: A-1, README.md:1.
    A-2.1 · TOOK
    ");
    assert_eq!((messages(&guild), message > 0), (1, true), "one message, edited");
    let view = over(&up, "A-2", Stage::Done).await;
    assert!(view.sentence.starts_with("Answered by run A-2.1 after "), "{}", view.sentence);
    assert!(finished(&view) && view.feature.wanted.priority == 0);
    let shown = guild.project.ok(&["run", "list"]);
    assert!(shown.contains("answered"), "{shown}");
    // Its check-out was closed to it, and nothing was pushed, asked or merged for it.
    let transcript = guild.project.ok(&["run", "transcript", "A-2.1"]);
    assert!(transcript.contains("cannot create mine.txt"), "{transcript}");
    let forge = guild.project.forge("project");
    assert_eq!(git(&forge, &["for-each-ref", "--format=%(refname)", "refs/heads"]), "refs/heads/main");
    assert_eq!(git(&forge, &["ls-tree", "--name-only", "main"]), "README.md");
    let runs: Vec<RunSummary> = up.client("alpha", None).get("runs").await.unwrap();
    assert_eq!(runs.len(), 1);
    // Whoever may not ask is told which right that takes.
    let stranger = guild.types(guild.omar, "ask", question("Why?")).await;
    insta::assert_snapshot!(stranger, @"You need the role owner, manager or operator for this. You have: reviewer. Who may: ines, olaf.");
    guild.is_content();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_is_said_to_be_unknown() {
    let agent = r##"p=$(cat); case "$p" in *silent*) true;; *proof*) echo It is so.;; *)
printf "# Answer\nI don't know: nothing on the board says it.\n";; esac"##;
    let (guild, up) = guild(agent, "").await;
    let mut answers = Vec::new();
    for (number, text) in ["Who?", "Is it so, without proof?", "Are you silent?"].into_iter().enumerate() {
        guild.types(guild.olaf, "ask", question(text)).await;
        let head = format!("**olaf asks alpha:** {text}");
        let run = format!("A-{}.1", number + 2);
        let ends = |line: &str| line.starts_with(&run);
        let (_, answer) = guild
            .seen(guild.dev, |seen| seen.starts_with(&head) && seen.lines().last().is_some_and(ends))
            .await;
        answers.push(tame(&answer));
    }
    insta::assert_snapshot!(answers.join("\n\n"), @"
    **olaf asks alpha:** Who?
    alpha does not know: Nothing on the board says it.
    A-2.1 · TOOK

    **olaf asks alpha:** Is it so, without proof?
    > It is so.
    ⚠ It names nothing that there is: nothing shows that it is so.
    A-3.1 · TOOK

    **olaf asks alpha:** Are you silent?
    alpha does not know: Shell said nothing.
    A-4.1 · TOOK
    ");
    let view = over(&up, "A-4", Stage::Cancelled).await;
    insta::assert_snapshot!(view.sentence, @"Not answered: Shell said nothing.");
    insta::assert_snapshot!(guild.project.ok(&["feature", "why", "A-4"]), @"
    A-4 Are you silent?
    Not answered: Shell said nothing.
    Agent shell, by the team.
    ");
    guild.is_content();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_takes_too_long_is_over() {
    let (guild, _up) = guild("sleep 600", "\n[runs]\nquestion_minutes = 1\n").await;
    guild.types(guild.olaf, "ask", question("Who?")).await;
    let (_, waits) = guild.seen(guild.dev, |text| asks(text) && text.contains("looks into it")).await;
    insta::assert_snapshot!(waits, @"
    **olaf asks alpha:** Who?
    Shell looks into it. (A-2)
    ");
    let (_, answer) = guild.seen(guild.dev, |text| asks(text) && text.contains("does not know")).await;
    insta::assert_snapshot!(tame(&answer), @"
    **olaf asks alpha:** Who?
    alpha does not know: Its budget of 1 min is used up.
    A-2.1 · TOOK
    ");
    guild.is_content();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_agent_what_a_search_finds_is_said_to_be_found() {
    let guild = Guild::with("", "true", "").await;
    let file = guild.project.folder().join("quarterdeck.toml");
    let text = std::fs::read_to_string(&file).unwrap().replacen("agent = \"shell\"\n", "", 1);
    std::fs::write(&file, text).unwrap();
    let _up = guild.up(&[]).await;
    guild.project.ok(&["feature", "add", "Print the currency"]);
    guild.types(guild.olaf, "ask", question("Who prints the currency?")).await;
    let (_, found) = guild.seen(guild.dev, |text| asks(text) && text.contains("A search of")).await;
    insta::assert_snapshot!(found, @"
    **olaf asks alpha:** Who prints the currency?
    No agent answers questions here. A search of what alpha has reported finds:
    A-1 Print the currency · alpha: Not released yet.
    ");
    guild.is_content();
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn killed_between_question_and_answer_it_is_answered_once() {
    for failpoint in ["order_applied", "question_answered"] {
        let guild = Guild::with("", AGENT, "").await;
        // Once, so that accounts are linked and nothing else is ordered.
        drop(guild.up(&[]).await);
        let mut first = guild.project.up(&[("QUARTERDECK_FAILPOINT", failpoint)]);
        guild.heard().await;
        guild.project.ok(&["feature", "add", "Print the currency"]);
        guild.fake.slash(guild.olaf, guild.dev, "ask", question("Who prints the currency?"));
        let death = tokio::task::block_in_place(|| first.wait_death());
        assert!(death.is_some(), "{failpoint}");
        drop(first);
        let up = guild.project.up(&[]);
        guild.seen(guild.dev, |text| asks(text) && text.contains("It names: A-1")).await;
        over(&up, "A-2", Stage::Done).await;
        let runs: Vec<RunSummary> = up.client("alpha", None).get("runs").await.unwrap();
        assert_eq!((runs.len(), messages(&guild)), (1, 1), "{failpoint}");
        let transcript = guild.project.ok(&["run", "transcript", "A-2.1"]);
        assert_eq!(transcript.matches("I look around.").count(), 1, "{failpoint}: {transcript}");
    }
}
