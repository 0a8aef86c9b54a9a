//! People: taken in and shut out while the fleet runs, and nobody votes without proof of who they are.

use qd_api::{ApprovalView, CastVote, Client, ClientError};
use qd_types::{ApprovalState, Ballot};

use crate::{
    door::send,
    gates::{newest, soon},
    support::{Project, Up, add, config, finished, join, open_approval, session, until},
};

fn project() -> Project {
    let project = Project::new(&[("README.md", "# People\n")]);
    std::fs::write(project.folder().join("quarterdeck.toml"), config("echo hello > hello.txt", None))
        .unwrap();
    project
}

fn refusal(project: &Project, args: &[&str]) -> String {
    let output = project.run(args);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    problem(output)
}

/// What is wrong, without what was said before it came to that.
fn problem(output: std::process::Output) -> String {
    let said = String::from_utf8(output.stderr).unwrap();
    let at = said.find("quarterdeck: ").unwrap_or_default();
    said[at..].to_owned()
}

/// Without the passphrase that every other test has in its environment.
fn bare(project: &Project, args: &[&str]) -> String {
    let output = project.command(args).env_remove("QUARTERDECK_PASSPHRASE").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    problem(output)
}

/// Invites somebody and gives the token of the invitation.
pub(crate) fn invite(project: &Project, args: &[&str]) -> String {
    let said = project.ok(&[&["person", "invite"], args].concat());
    said.split("/join?token=").nth(1).unwrap().lines().next().unwrap().to_owned()
}

async fn asked(client: &mut Client) -> ApprovalView {
    loop {
        if let Some(view) = open_approval(client, "A-1").await {
            return view;
        }
        tokio::time::sleep(std::time::Duration::from_millis(40)).await;
    }
}

async fn vote(client: &mut Client, view: &ApprovalView) -> Result<ApprovalView, String> {
    let cast = CastVote::new(Ballot::Approve, &view.approval.digest, None);
    client.post(&format!("approvals/{}/vote", view.approval.id.key()), &cast).await.map_err(|error| {
        match error {
            ClientError::Problem { problem } => {
                format!(
                    "{} {}: {} {}",
                    problem.status,
                    problem.kind,
                    problem.detail,
                    problem.hint.unwrap_or_default()
                )
            }
            other => other.to_string(),
        }
    })
}

/// The status of a page for whoever has this cookie.
fn page(up: &Up, token: &str) -> u16 {
    let port = up.address.rsplit(':').next().unwrap();
    let cookie = format!("Cookie: quarterdeck_{port}={token}");
    send(&up.address, "GET /teams/alpha/", &[&cookie, "Accept: text/html"], "").0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_needs_more_than_the_socket() {
    let project = project();
    let up = project.up(&[]);
    let mut client = up.socket("alpha", None);
    add(&mut client, "Say hello").await;
    let view = asked(&mut client).await;
    insta::assert_snapshot!(vote(&mut client, &view).await.unwrap_err(), @"403 unproven: A vote needs proof of who you are. In a terminal, quarterdeck approve and deny ask for your passphrase; in the browser, sign in with it at /sign-in.");
    insta::assert_snapshot!(bare(&project, &["approve", "A-1"]), @"quarterdeck: a passphrase is needed, and there is no terminal to ask in: use --passphrase-file FILE or QUARTERDECK_PASSPHRASE");
    let wrong = project.folder().join("wrong");
    std::fs::write(&wrong, "open sesame, open sesame\n").unwrap();
    insta::assert_snapshot!(refusal(&project, &["approve", "A-1", "--passphrase-file", "wrong"]), @"quarterdeck: That is not the passphrase.");
    insta::assert_snapshot!(refusal(&project, &["approve", "A-1", "--as", "theo"]), @"quarterdeck: nobody is known as theo here: quarterdeck person list shows who there is");

    // The link that the socket gives reads and works, and does not vote: neither by the API, nor on the board, nor by a
    // command in the channels.
    let link = project.command(&["url"]).env_remove("QUARTERDECK_PASSPHRASE").output().unwrap();
    let link = String::from_utf8(link.stdout).unwrap();
    let token = link.trim().split("token=").nth(1).unwrap();
    assert_eq!(page(&up, token), 200);
    assert!(
        vote(&mut up.socket("alpha", Some(token.to_owned())), &view)
            .await
            .unwrap_err()
            .starts_with("403 unproven")
    );
    let (port, origin) = (up.address.rsplit(':').next().unwrap(), format!("Origin: http://{}", up.address));
    let cookie = format!("Cookie: quarterdeck_{port}={token}");
    let referer = format!("Referer: http://{}/teams/alpha/inbox", up.address);
    let form = [cookie.as_str(), &origin, &referer, "Content-Type: application/x-www-form-urlencoded"];
    let body = format!("key={}&digest={}&ballot=approve", view.approval.id.key(), view.approval.digest);
    let (status, answer) = send(&up.address, "POST /teams/alpha/do/vote", &form, &body);
    assert!(status == 303 && answer.contains("location: /sign-in?next=%2Fteams%2Falpha%2Finbox"), "{answer}");
    let (status, answer) = send(&up.address, "POST /console/command", &form, "text=approve+A-1");
    assert_eq!(status, 403);
    insta::assert_snapshot!(answer.lines().last().unwrap(), @r#"{"type":"unproven","status":403,"detail":"A vote needs proof of who you are.","hint":"Sign in with your passphrase at /sign-in?next=/console, or use quarterdeck approve."}"#);
    assert_eq!(send(&up.address, "POST /console/command", &form, "text=approvals").0, 303);

    project.ok(&["approve", "A-1"]);
    until(&mut client, "A-1", finished).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_colleague_is_taken_in_and_shut_out_at_once() {
    let project = project();
    let up = project.up(&[]);
    let link = project.ok(&[
        "person",
        "invite",
        "theo",
        "--name",
        "Theo Lang",
        "--role",
        "reviewer",
        "--role",
        "manager@team:alpha",
    ]);
    let token = link.split("/join?token=").nth(1).unwrap().lines().next().unwrap();
    let shown = link.replace(token, "TOKEN").replace(&up.address, "ADDRESS");
    let shown: Vec<&str> = shown.lines().map(|line| line.split(", until").next().unwrap()).collect();
    insta::assert_snapshot!(shown.join("\n"), @"
    theo is invited. The link works once
    http://ADDRESS/join?token=TOKEN
    At a terminal of this computer: quarterdeck person accept TOKEN, with what follows token=.
    One owner was enough: there is no other.
    ");
    insta::assert_snapshot!(refusal(&project, &["url", "--as", "theo"]), @"quarterdeck: theo has no passphrase yet: take up the invitation, or ask an owner for another one");
    let page_of_invitation = send(&up.address, &format!("GET /join?token={token}"), &[], "");
    assert!(page_of_invitation.0 == 200 && page_of_invitation.1.contains("Choose a passphrase"));
    insta::assert_snapshot!(project.ok(&["person", "accept", token]), @"Welcome, theo. Your passphrase is set: quarterdeck approve asks for it.");
    insta::assert_snapshot!(refusal(&project, &["person", "accept", token]), @"quarterdeck: This invitation is not valid, or not any more: ask for another one.");
    insta::assert_snapshot!(project.ok(&["person", "link", "theo", "github:Theo-Lang"]), @"github:theo-lang is linked to theo. One owner was enough: there is no other.");
    insta::assert_snapshot!(project.ok(&["person", "role", "theo", "operator@repository:project"]), @"theo has the role operator in repository:project now. One owner was enough: there is no other.");
    insta::assert_snapshot!(project.ok(&["person", "list"]), @"
    ines             active    manager, owner, from the configuration
    theo             active    reviewer, operator in repository:project, manager in team:alpha, github:theo-lang
    ");

    // Known to the bot without a restart: the vote counts.
    let mut ines = up.socket("alpha", None);
    add(&mut ines, "Say hello").await;
    let view = asked(&mut ines).await;
    let cookie = session(&up.address, "theo").unwrap();
    let mut theo = up.client("alpha", Some("theo"));
    assert_eq!(page(&up, &cookie), 200);
    vote(&mut theo, &view).await.unwrap();
    until(&mut ines, "A-1", finished).await;
    add(&mut ines, "Say more").await;
    project.ok(&["feature", "edit", "A-2", "--assignee", "theo"]);

    insta::assert_snapshot!(project.ok(&["person", "disable", "theo"]), @"
    theo is shut out. Ended: 2 sessions, 0 tokens, 1 link, 0 open votes.
    What lacks an owner now:
      the role reviewer in fleet: nobody active has it
      the role operator in repository:project: nobody active has it
      the role manager in team:alpha: nobody active has it
      A-2: Say more
    ");
    assert_eq!(page(&up, &cookie), 401, "the session of the page ended");
    assert!(
        vote(&mut theo, &view).await.unwrap_err().starts_with("401"),
        "the session of the terminal ended"
    );
    assert_eq!(session(&up.address, "theo"), None, "no new one is made");
    insta::assert_snapshot!(refusal(&project, &["url", "--as", "theo"]), @"quarterdeck: theo is shut out: quarterdeck person list shows who is not");

    let again = invite(&project, &["theo", "--again"]);
    assert_eq!(page(&up, &join(&up.address, &again)), 200, "who is taken back in signs in on the page");
    project.ok(&["person", "remove", "theo"]);
    insta::assert_snapshot!(refusal(&project, &["person", "invite", "theo", "--again"]), @"quarterdeck: theo: somebody who is removed can't be invited; erase them to make the name free, or choose another one.");
    let export: serde_json::Value = serde_json::from_str(&project.ok(&["person", "export", "theo"])).unwrap();
    assert_eq!((&export["name"], &export["state"]), (&"Theo Lang".into(), &"removed".into()));
    insta::assert_snapshot!(project.ok(&["person", "erase", "theo"]), @"Everything that was stored about theo is deleted. The trail keeps a pseudonym.");
    insta::assert_snapshot!(refusal(&project, &["person", "export", "theo"]), @"quarterdeck: There is nobody called theo: quarterdeck person list shows who there is.");
    let proven = project.ok(&["audit", "verify"]);
    assert!(proven.contains("people"), "{proven}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_owner_changes_people_and_the_last_one_stays() {
    let project = project();
    let up = project.up(&[]);
    let (status, answer) = {
        let mut client = up.socket("alpha", None);
        client.send(hyper::Method::POST, "/fleet/people/ines/disable", b"null".to_vec()).await.unwrap()
    };
    assert_eq!(status, 403);
    insta::assert_snapshot!(String::from_utf8_lossy(&answer), @r#"{"type":"unproven","status":403,"detail":"A change of people needs proof of who you are.","hint":"Give your passphrase: quarterdeck person asks for it."}"#);
    insta::assert_snapshot!(bare(&project, &["person", "disable", "ines"]), @"quarterdeck: a passphrase is needed, and there is no terminal to ask in: use --passphrase-file FILE or QUARTERDECK_PASSPHRASE");
    insta::assert_snapshot!(refusal(&project, &["person", "disable", "ines"]), @"quarterdeck: ines is the last active owner: make somebody else owner first.");
    insta::assert_snapshot!(refusal(&project, &["person", "role", "ines", "viewer"]), @"quarterdeck: The roles of ines stand in the configuration: change them under [[people]].");
    insta::assert_snapshot!(refusal(&project, &["person", "disable", "nobody"]), @"quarterdeck: There is nobody called nobody: quarterdeck person list shows who there is.");
    insta::assert_snapshot!(refusal(&project, &["person", "link", "ines", "mail:ines"]), @r#"quarterdeck: "mail:ines" is not an identity: discord:USER-NUMBER, github:LOGIN, oidc:ISSUER#SUBJECT or local:USER."#);
    project.ok(&["person", "accept", &invite(&project, &["theo"])]);
    insta::assert_snapshot!(refusal(&project, &["person", "--as", "theo", "role", "theo", "owner"]), @"quarterdeck: Only an owner changes people, and theo is none. Ask an owner: quarterdeck person list shows them.");
    let own: serde_json::Value =
        serde_json::from_str(&project.ok(&["person", "--as", "theo", "export", "theo"])).unwrap();
    assert_eq!(own["has_passphrase"], true);
    std::fs::write(project.folder().join("short"), "too short").unwrap();
    std::fs::write(project.folder().join("new"), "a passphrase of my own choice").unwrap();
    insta::assert_snapshot!(refusal(&project, &["person", "passphrase", "--new-file", "short"]), @"quarterdeck: A passphrase needs at least 15 characters: four or five words make a good one.");
    insta::assert_snapshot!(project.ok(&["person", "passphrase", "--new-file", "new"]), @"ines has another passphrase. Sessions and tokens from before ended.");
    insta::assert_snapshot!(refusal(&project, &["person", "disable", "theo"]), @"quarterdeck: That is not the passphrase.");
    project.ok(&["person", "disable", "theo", "--passphrase-file", "new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_shut_out_decides_nothing_that_is_open() {
    let project = project();
    let path = project.folder().join("quarterdeck.toml");
    let three = config("echo hello > hello.txt", None).replacen(
        "[fleet]\nsolo = true\n",
        "[[people]]\nname = \"theo\"\nroles = [\"reviewer\"]\n\n[[people]]\nname = \"mira\"\nroles = [\"reviewer\"]\n\n\
         [fleet]\nme = \"ines\"\nmerge_quorum = 2\n",
        1,
    );
    std::fs::write(&path, three).unwrap();
    let up = project.up(&[]);
    for name in ["theo", "mira"] {
        join(&up.address, &invite(&project, &[name, "--again"]));
        assert!(session(&up.address, name).is_some());
    }
    let mut ines = up.socket("alpha", None);
    add(&mut ines, "Say hello").await;
    let view = asked(&mut ines).await;
    let mut theo = up.client("alpha", Some("theo"));
    vote(&mut theo, &view).await.unwrap();
    let one = loop {
        let now = asked(&mut ines).await;
        if !now.deciding && now.approval.tally().approved.len() == 1 && now.decide_until.is_some() {
            break now;
        }
        tokio::time::sleep(std::time::Duration::from_millis(40)).await;
    };
    assert_eq!(one.approval.votes[0].person.id.as_str(), "theo");
    assert!(
        one.decide_until.is_some() && one.confirm.is_some(),
        "the board says how, and until when: {one:?}"
    );

    let said = project.ok(&["person", "disable", "theo"]);
    let (key, head) = (view.approval.id.key(), view.title.clone());
    insta::assert_snapshot!(said.replace(&key, "KEY").replace(&head, "HEAD"), @"
    theo is shut out. Ended: 3 sessions, 0 tokens, 0 links, 1 open vote.
    Their vote does not count any more on: HEAD (KEY).
    Nothing lacks an owner.
    ");
    vote(&mut up.client("alpha", Some("mira")), &view).await.unwrap();
    loop {
        let now = asked(&mut ines).await;
        let by: Vec<String> = now.approval.tally().approved.iter().map(ToString::to_string).collect();
        assert!(by.len() < 2, "{by:?}");
        if !now.deciding && by == ["mira"] {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(40)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_votes_here_while_an_agent_runs_without_walls() {
    let project = Project::new(&[("README.md", "# People\n")]);
    let here = project.folder().canonicalize().unwrap();
    let flags = here.parent().unwrap().to_path_buf();
    let (hold, inside) = (flags.join("hold"), flags.join("inside"));
    let agent = format!(
        "echo $$ > hello.txt; if [ -e {0} ]; then touch {1}; while [ -e {0} ]; do sleep 0.05; done; fi",
        hold.display(),
        inside.display()
    );
    let text = format!("{}\n[sandbox]\nkind = \"none\"\n", config(&agent, None));
    std::fs::write(project.folder().join("quarterdeck.toml"), text).unwrap();
    let up = project.up(&[]);
    let mut client = up.client("alpha", Some("ines"));
    add(&mut client, "Say hello").await;
    let view = asked(&mut client).await;
    std::fs::write(&hold, "").unwrap();
    add(&mut client, "Say more").await;
    while !inside.exists() {
        tokio::time::sleep(std::time::Duration::from_millis(40)).await;
    }
    insta::assert_snapshot!(vote(&mut client, &view).await.unwrap_err(), @"409 exposed: An agent runs that could act as you on this machine, so votes that are given here do not count now. Vote when it has ended, or in Discord or on GitHub. sandbox.kind puts walls around agents; approvals.local_votes_beside_unsandboxed_agents says what counts meanwhile.");
    std::fs::remove_file(&hold).unwrap();
    while vote(&mut client, &view).await.is_err_and(|error| error.starts_with("409 exposed")) {
        tokio::time::sleep(std::time::Duration::from_millis(40)).await;
    }
    until(&mut client, "A-1", finished).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_in_one_team_decides_there() {
    let project = project();
    let up = project.up(&[]);
    let invitation = invite(&project, &["theo", "--role", "viewer", "--role", "reviewer@team:beta"]);
    project.ok(&["person", "accept", &invitation]);
    let mut ines = up.socket("alpha", None);
    add(&mut ines, "Say hello").await;
    let view = asked(&mut ines).await;
    let mut theo = up.client("alpha", Some("theo"));
    insta::assert_snapshot!(vote(&mut theo, &view).await.unwrap_err(), @"403 forbidden: You need the role owner, manager, operator or reviewer for this. You have: viewer. Who may: ines, theo.");
    project.ok(&["person", "role", "theo", "reviewer@team:alpha"]);
    vote(&mut theo, &view).await.unwrap();
    until(&mut ines, "A-1", finished).await;
}

#[test]
fn a_first_passphrase_is_set_where_nothing_runs() {
    let project = project();
    insta::assert_snapshot!(bare(&project, &["person", "passphrase"]), @"quarterdeck: a passphrase is needed, and there is no terminal to ask in: use --passphrase-file FILE or QUARTERDECK_PASSPHRASE");
    insta::assert_snapshot!(project.ok(&["person", "passphrase"]), @"ines has a passphrase now: quarterdeck approve asks for it.");
    insta::assert_snapshot!(refusal(&project, &["person", "list"]).split("state").last().unwrap(), @"/bot/api.sock does not answer). Start it with: quarterdeck up");
    let mut alone =
        project.command(&["instance", "alpha"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    let ready = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        project.run(&["person", "list"]).status.success()
    });
    // A team alone keeps nobody's file: it reads it, and takes it over for the moment of a write.
    let (listed, link) = (project.run(&["person", "list"]), project.run(&["url", "--as", "ines"]));
    alone.kill().unwrap();
    alone.wait().unwrap();
    assert!(ready);
    insta::assert_snapshot!(String::from_utf8_lossy(&listed.stdout), @"ines             active    manager, owner, from the configuration");
    assert!(String::from_utf8_lossy(&link.stdout).contains("/sign-in?token=qds_"), "{link:?}");
}

/// What a page says, without its tags.
fn said(answer: &str) -> String {
    let mut text = String::new();
    let body = answer.split("<body>").nth(1).unwrap();
    for piece in body.split('<') {
        text.push_str(piece.split_once('>').map_or("", |(_, after)| after));
        text.push(if piece.starts_with("/p") || piece.starts_with("/h1") || piece.starts_with("/label") {
            '\n'
        } else {
            ' '
        });
    }
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn pages_before_the_door_say_what_to_do() {
    let project = project();
    let up = project.up(&[]);
    let get = |path: &str| send(&up.address, &format!("GET {path}"), &["Accept: text/html"], "");
    let origin = format!("Origin: http://{}", up.address);
    let form = [origin.as_str(), "Content-Type: application/x-www-form-urlencoded"];
    let post = |path: &str, body: &str| send(&up.address, &format!("POST {path}"), &form, body);
    let (status, answer) = get("/teams/alpha/");
    assert_eq!(status, 401);
    insta::assert_snapshot!(said(&answer), @"
    Who are you?
    Name
    Passphrase
    Sign in Without a passphrase: open the sign-in link that the terminal shows, or run quarterdeck url . It reads and works; a vote needs the passphrase.
    ");
    assert_eq!(said(&get("/sign-in").1), said(&answer));
    insta::assert_snapshot!(said(&get("/sign-in?token=qds_nonsense").1).lines().nth(1).unwrap(), @"This link is not valid any more. quarterdeck url shows another one.");
    let wrong = post("/sign-in", "person=ines&passphrase=open+sesame&next=%2F");
    insta::assert_snapshot!(said(&wrong.1).lines().nth(1).unwrap(), @"That is not the passphrase.");
    let nobody = post("/sign-in", "person=nobody&passphrase=open+sesame&next=%2F");
    assert_eq!((wrong.0, said(&nobody.1)), (403, said(&wrong.1)), "who there is can't be told from outside");
    let foreign = send(&up.address, "POST /sign-in", &form[1..], "person=ines&passphrase=open+sesame");
    insta::assert_snapshot!(said(&foreign.1).lines().nth(1).unwrap(), @"That came from another page.");
    insta::assert_snapshot!(said(&get("/join?token=qdi_nonsense").1), @"
    Welcome
    Choose a passphrase. You vote with it, here and in a terminal. It has at least 15 characters: four or five words make a good one.
    Passphrase
    The same again
    Set it and go on
    ");
    let differs = post("/join", "token=qdi_nonsense&passphrase=one&again=two");
    insta::assert_snapshot!(said(&differs.1).lines().nth(2).unwrap(), @"The two are not the same.");
    let late = post("/join", "token=qdi_nonsense&passphrase=a+passphrase+of+mine&again=a+passphrase+of+mine");
    insta::assert_snapshot!(said(&late.1).lines().nth(2).unwrap(), @"This invitation is not valid, or not any more: ask for another one.");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_lets_in_and_shuts_out_at_a_reload() {
    let project = project();
    let up = project.up(&[]);
    let path = project.folder().join("quarterdeck.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let with_mira =
        format!("{text}\n[[people]]\nname = \"mira\"\nroles = [\"reviewer\"]\n\n[fleet]\nme = \"ines\"\n");
    std::fs::write(&path, with_mira.replacen("[fleet]\nsolo = true\n", "", 1)).unwrap();
    project.ok(&["config", "reload"]);
    // The only owner has to say so, too.
    let waiting =
        newest(&mut up.client("alpha", None), "Change the policies", ApprovalState::Requested).await;
    let target = waiting.approval.subject.binding.as_ref().unwrap().target.clone();
    project.ok(&["approvals", "approve", &waiting.approval.id.key(), "--type", &target]);
    soon(&project, &["person", "list"], "mira ");
    let token = invite(&project, &["mira", "--again"]);
    let session = join(&up.address, &token);
    assert_eq!(page(&up, &session), 200);
    std::fs::write(&path, &text).unwrap();
    project.ok(&["config", "reload"]);
    assert_eq!(page(&up, &session), 401);
    insta::assert_snapshot!(project.ok(&["person", "list"]), @"
    ines             active    manager, owner, from the configuration
    mira             disabled  reviewer
    ");
}
