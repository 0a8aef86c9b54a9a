//! What a team decides on itself, in the channels: shown there, decided by a button there, once, whatever is killed meanwhile.

use std::{
    io::Write as _,
    net::TcpStream,
    time::{Duration, Instant},
};

use qd_api::{ApprovalView, QuestionView, RunSummary};
use qd_types::ApprovalState;

use crate::{
    budget::{spent, went_on},
    decide::{ask, question, working},
    door::send,
    support::{Project, Up, open_approval, until},
};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

/// What stands in the channels, once it is as wanted.
pub(crate) async fn channels(up: &Up, project: &Project, wanted: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let page = send(&up.address, "GET /console/fragment", &[&project.token("ines")], "").1;
        if wanted(&page) {
            return page;
        }
        assert!(Instant::now() < deadline, "{page}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Presses the button that says this, and gives what is answered.
pub(crate) async fn press(up: &Up, project: &Project, button: &str) -> String {
    channels(up, project, |page| page.contains(&format!("value=\"{button}\""))).await;
    let body = format!("text={}", button.replace(' ', "+"));
    let token = project.token("ines");
    let headers = [token.as_str(), "Accept: text/plain", FORM];
    let (status, answer) = send(&up.address, "POST /console/command", &headers, &body);
    assert_eq!(status, 200, "{answer}");
    answer.lines().last().unwrap_or_default().to_owned()
}

/// Presses a button and waits for no answer; the click ends with the stream.
fn click(up: &Up, project: &Project, button: &str) -> TcpStream {
    let body = format!("text={button}");
    let (address, token, length) = (&up.address, project.token("ines"), body.len());
    let head = format!("POST /console/command HTTP/1.1\r\nHost: {address}\r\n{token}\r\n{FORM}");
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{head}\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
    stream
}

/// What is asked for A-1.
async fn asked(up: &Up) -> ApprovalView {
    open_approval(&mut up.client("alpha", None), "A-1").await.unwrap()
}

async fn state(up: &Up, key: &str) -> ApprovalState {
    let view: ApprovalView = up.client("alpha", None).get(&format!("approvals/{key}")).await.unwrap();
    view.approval.state
}

/// The card of a budget that is decided has no buttons, and says by whom.
async fn closed(up: &Up, project: &Project, key: &str) {
    let page = channels(up, project, |page| !page.contains(&format!("approve {key}"))).await;
    let said = page.contains("Change a budget from 1 to 2 min (A-1, alpha): approved by ines.");
    assert!(said, "{page}");
    assert_eq!(state(up, key).await, ApprovalState::Executed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_decided_by_a_button_in_the_channel_and_the_run_goes_on() {
    let (project, up) = spent(&[]).await;
    let key = asked(&up).await.approval.id.key();
    insta::assert_snapshot!(press(&up, &project, &format!("approve {key}")).await, @"Approved.");
    went_on(&up).await;
    closed(&up, &project, &key).await;
    let late = send(
        &up.address,
        "POST /console/command",
        &[&project.token("ines"), "Accept: text/plain", FORM],
        &format!("text=deny+{key}"),
    );
    assert!(late.1.contains("was already approved at "), "{}", late.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_in_the_channel() {
    let (project, _gate) = working("\n[approvals]\nlocal_votes_beside_unsandboxed_agents = \"allow\"\n");
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    project.ok(&["feature", "add", "Words", "--ready"]);
    until(&mut client, "A-1", |view| view.sentence == "Shell works.").await;
    let key = question(&mut client).await.key;
    insta::assert_snapshot!(press(&up, &project, &format!("answer {key} Green")).await, @"Answered.");
    let answered: QuestionView = client.get(&format!("questions/{key}")).await.unwrap();
    assert_eq!(answered.state, ApprovalState::Executed);
    assert_eq!((answered.answers[0].person.as_str(), &answered.answers[0].value), ("ines", &"Green".into()));
    channels(&up, &project, |page| !page.contains(&format!("answer {key}"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_is_no_way_around_what_is_refused_beside_agents() {
    let (project, _gate) = working("\n[approvals]\nlocal_votes_beside_unsandboxed_agents = \"strict\"\n");
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    project.ok(&["feature", "add", "Words", "--ready"]);
    until(&mut client, "A-1", |view| view.sentence == "Shell works.").await;
    let key = question(&mut client).await.key;
    insta::assert_snapshot!(press(&up, &project, &format!("answer {key} Green")).await, @"It is not proved who gave this vote: an agent runs that could act as you on this machine. Vote when it has ended, in Discord or on GitHub; or put walls around agents: sandbox.kind.");
    let open: QuestionView = client.get(&format!("questions/{key}")).await.unwrap();
    assert_eq!(open.state, ApprovalState::Requested);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_after_the_click_it_ends_once() {
    for wait in [0, 15, 60] {
        let (project, up) = spent(&[]).await;
        let key = asked(&up).await.approval.id.key();
        let button = format!("approve {key}");
        channels(&up, &project, |page| page.contains(&button)).await;
        let _sent = click(&up, &project, &format!("approve+{key}"));
        tokio::time::sleep(Duration::from_millis(wait)).await;
        // SIGKILL.
        drop(up);
        let up = project.up(&[]);
        // A click that was never noted is given again; one that was noted needs nobody.
        let heard = Instant::now() + Duration::from_secs(3);
        while Instant::now() < heard && state(&up, &key).await == ApprovalState::Requested {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if state(&up, &key).await == ApprovalState::Requested {
            press(&up, &project, &button).await;
        }
        went_on(&up).await;
        closed(&up, &project, &key).await;
    }
}

#[cfg(feature = "failpoints")]
#[tokio::test(flavor = "multi_thread")]
async fn a_click_that_was_noted_is_counted_after_a_kill_without_another_one() {
    for failpoint in ["word_noted", "word_counted"] {
        let (project, mut up) = spent(&[("QUARTERDECK_FAILPOINT", failpoint)]).await;
        let key = asked(&up).await.approval.id.key();
        channels(&up, &project, |page| page.contains(&format!("approve {key}"))).await;
        let _sent = click(&up, &project, &format!("approve+{key}"));
        assert!(tokio::task::block_in_place(|| up.wait_death()).is_some(), "{failpoint}");
        drop(up);
        let up = project.up(&[]);
        went_on(&up).await;
        closed(&up, &project, &key).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_lost_its_database_is_told_what_is_open() {
    let (project, up) = spent(&[]).await;
    let key = asked(&up).await.approval.id.key();
    let button = format!("approve {key}");
    channels(&up, &project, |page| page.contains(&button)).await;
    up.interrupt();
    for name in ["bot.db", "bot.db-wal", "bot.db-shm", "console.db", "console.db-wal", "console.db-shm"] {
        let _gone = std::fs::remove_file(project.state().join("bot").join(name));
    }
    let up = project.up(&[]);
    let page = channels(&up, &project, |page| page.contains(&button)).await;
    assert!(page.contains("A-1"), "{page}");
    press(&up, &project, &button).await;
    went_on(&up).await;
    closed(&up, &project, &key).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_told_no_five_times_rests_until_a_person_lets_it_go_on() {
    let (project, gate) = working("\n[approvals]\nlocal_votes_beside_unsandboxed_agents = \"allow\"\n");
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    project.ok(&["feature", "add", "Words", "--ready"]);
    until(&mut client, "A-1", |view| view.sentence == "Shell works.").await;
    for nth in 1..=5 {
        let asked = ask(&mut client, &format!("May I, for the {nth}. time?")).await.unwrap();
        project.ok(&["approvals", "deny", &asked.key, "--reason", "no"]);
    }
    let paused = until(&mut client, "A-1", |view| view.feature.paused.is_some()).await;
    insta::assert_snapshot!(paused.sentence, @"A-1.1 was told no 5 times. It is paused, and may not ask for anything any more: let it go on with `quarterdeck feature resume A-1`, or stop it.");
    channels(&up, &project, |page| page.contains("was told no 5 times")).await;
    insta::assert_snapshot!(ask(&mut client, "And now?").await.unwrap_err().to_string(), @"5 requests of this run were denied. The run is paused until a person lets it go on.");
    std::fs::write(gate, "").unwrap();
    project.ok(&["feature", "resume", "A-1"]);
    let goes_on = until(&mut client, "A-1", |view| view.sentence.contains("Asks to merge")).await;
    assert!(goes_on.feature.paused.is_none());
    let runs: Vec<RunSummary> = client.get("runs").await.unwrap();
    assert_eq!(runs.len(), 1, "the same run goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_has_five_open_cards_and_what_it_asks_again_is_what_it_asked() {
    let (project, _gate) = working("\n[approvals]\nlocal_votes_beside_unsandboxed_agents = \"allow\"\n");
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    project.ok(&["feature", "add", "Words", "--ready"]);
    until(&mut client, "A-1", |view| view.sentence == "Shell works.").await;
    let mut keys = Vec::new();
    for nth in 1..=6 {
        keys.push(ask(&mut client, &format!("Which colour, the {nth}.?")).await.unwrap().key);
    }
    let again = ask(&mut client, "Which colour, the 1.?").await.unwrap().key;
    assert_eq!(again, keys[0], "asked again, it is the one that is open");
    let inbox: Vec<ApprovalView> = client.get("approvals").await.unwrap();
    assert_eq!(inbox.len(), 5, "the sixth waits");
    let deny = |key: &String| format!("value=\"deny {key}\"");
    let page = channels(&up, &project, |page| page.contains(&deny(&keys[4]))).await;
    assert!(!page.contains(&keys[5]), "{page}");
    // Its place is free when one is decided.
    press(&up, &project, &format!("answer {} Green", keys[0])).await;
    channels(&up, &project, |page| page.contains(&deny(&keys[5])) && !page.contains(&deny(&keys[0]))).await;
}
