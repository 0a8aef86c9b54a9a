//! Decisions through the binary: a question that is answered, votes beside agents, and a request that nobody decides.

use std::time::Duration;

use qd_api::{ApprovalView, AskQuestion, CastVote, Client, ClientError, FeatureView, QuestionView};
use qd_types::{ApprovalState, Ballot, Stage};

use crate::support::{Project, config, seen, until};

/// The last line: what stands above it says what is decided on.
fn refusal(project: &Project, args: &[&str]) -> String {
    let output = project.run(args);
    assert!(!output.status.success(), "{args:?} worked");
    String::from_utf8(output.stderr).unwrap().lines().last().unwrap_or_default().to_owned()
}

/// A fleet whose agent works until it is let go, with this at the end of its configuration.
pub fn working(more: &str) -> (Project, std::path::PathBuf) {
    let project = Project::new(&[("README.md", "# Words\n")]);
    let gate = project.folder().join("go");
    let agent = format!("until test -f {}; do sleep 0.1; done; echo done > done.txt", gate.display());
    std::fs::write(project.folder().join("quarterdeck.toml"), config(&agent, None) + more + &seen(&project))
        .unwrap();
    (project, gate)
}

pub async fn question(client: &mut Client) -> QuestionView {
    ask(client, "Which colour?").await.unwrap()
}

/// A question of the run, in these words.
pub async fn ask(client: &mut Client, text: &str) -> Result<QuestionView, ClientError> {
    let asked = AskQuestion {
        run: "A-1.1".parse().unwrap(),
        text: text.into(),
        choices: vec!["Blue".into(), "Green".into()],
        schema: None,
        roles: Vec::new(),
    };
    client.post("questions", &asked).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_in_the_terminal() {
    let (project, _gate) = working("\n[approvals]\nlocal_votes_beside_unsandboxed_agents = \"allow\"\n");
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    project.ok(&["feature", "add", "Words", "--ready"]);
    until(&mut client, "A-1", |view| view.sentence == "Shell works.").await;
    let asked = question(&mut client).await;
    insta::assert_snapshot!(refusal(&project, &["approvals", "answer", &asked.key, "Red"]), @r#"quarterdeck: answer: That is not one of its answers: "Red" is not one of "Blue" or "Green". Correct it and try again."#);
    project.ok(&["approvals", "answer", &asked.key, "Blue"]);
    let answered: QuestionView = client.get(&format!("questions/{}", asked.key)).await.unwrap();
    assert_eq!(answered.state, ApprovalState::Executed);
    assert_eq!((answered.answers[0].person.as_str(), &answered.answers[0].value), ("ines", &"Blue".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_fleet_takes_no_local_vote_while_an_agent_works() {
    let (project, gate) = working("\n[approvals]\nlocal_votes_beside_unsandboxed_agents = \"strict\"\n");
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    project.ok(&["feature", "add", "Words", "--ready"]);
    until(&mut client, "A-1", |view| view.sentence == "Shell works.").await;
    let asked = question(&mut client).await;
    insta::assert_snapshot!(refusal(&project, &["approvals", "answer", &asked.key, "Blue"]), @"quarterdeck: An agent runs that could act as you on this machine, so votes that are given here do not count now. Vote when it has ended, or in Discord or on GitHub. sandbox.kind puts walls around agents; approvals.local_votes_beside_unsandboxed_agents says what counts meanwhile.");
    let open: QuestionView = client.get(&format!("questions/{}", asked.key)).await.unwrap();
    assert_eq!(open.state, ApprovalState::Requested);
    std::fs::write(gate, "").unwrap();
    until(&mut client, "A-1", |view| view.feature.stage == Stage::Review).await;
    project.ok(&["approvals", "answer", &asked.key, "Blue"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_nobody_decides_on_ends_the_attempt_and_a_person_opens_it_again() {
    let quick = "\n[[policies.rules]]\nname = \"quick\"\nactions = [\"budget.raise\"]\neffect = \"ask\"\ndecide_minutes = 1\n";
    let (project, up) = crate::budget::spent_of(&[], quick).await;
    let mut client = up.client("alpha", None);
    let inbox: Vec<ApprovalView> = client.get("approvals").await.unwrap();
    let key = inbox.first().unwrap().approval.id.key();
    let path = format!("approvals/{key}");
    let held = until(&mut client, "A-1", |view| view.feature.held.is_some()).await;
    insta::assert_snapshot!(held.sentence, @"Its budget of 1 min is used up. Nobody decided in time. Needs a person.");
    let expired: ApprovalView = client.get(&path).await.unwrap();
    assert_eq!(expired.approval.state, ApprovalState::Expired);
    // The run cleans up after itself when it has said how it ended.
    let begun = std::time::Instant::now();
    while !project.ok(&["preserved", "list"]).contains("A-1.2") {
        assert!(begun.elapsed() < Duration::from_secs(20), "its work is kept");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    // Whoever is nobody's person opens nothing again, as an agent would try to.
    let mut nobody = up.socket("alpha", None);
    assert!(nobody.post::<_, ApprovalView>(&format!("{path}/reopen"), &()).await.is_err());
    project.ok(&["approvals", "reopen", &key]);
    let inbox: Vec<ApprovalView> = client.get("approvals").await.unwrap();
    let again = inbox.into_iter().find(|view| view.approval.state.is_open()).unwrap();
    assert_ne!((again.approval.id.key(), &again.approval.digest), (key, &expired.approval.digest));
    let cast = CastVote::new(Ballot::Approve, &again.approval.digest, None);
    let vote = format!("approvals/{}/vote", again.approval.id.key());
    let _: ApprovalView = client.post(&vote, &cast).await.unwrap();
    until(&mut client, "A-1", |view| view.feature.wanted.budget.minutes == Some(2)).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let once: FeatureView = client.get("features/A-1").await.unwrap();
    assert_eq!(once.feature.wanted.budget.minutes, Some(2), "raised once");
}
