//! Approvals in the terminal: listed over all teams, shown whole, decided by what was shown, watched.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use qd_api::ApprovalView;
use qd_types::Action;

use crate::{
    door::send,
    support::{Project, Up, add, config, finished, open_approval, until},
};

/// Two teams with one repository.
fn project() -> Project {
    let project = Project::new(&[("README.md", "# Approvals\n")]);
    let beta = "\n[[teams]]\nname = \"beta\"\nagent = \"shell\"\n";
    let text = config(r#"echo hello > hello.txt; printf "All \033[2J @everyone done.\n""#, None);
    std::fs::write(project.folder().join("quarterdeck.toml"), text + beta).unwrap();
    project
}

/// What every run has anew, by its name.
fn tame(mut text: String, views: &[&ApprovalView]) -> String {
    for view in views {
        let approval = &view.approval;
        let feature = &approval.subject.feature;
        let mut named = vec![
            (approval.id.key(), format!("KEY-{feature}")),
            (approval.digest.to_string(), format!("DIGEST-{feature}")),
            (approval.digest.short(), "9be1 40c7 d2aa".to_owned()),
            (approval.requested_at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(), "WHEN".to_owned()),
        ];
        if let Action::Merge(merge) = &approval.subject.action {
            named.push((merge.head.to_string(), "HEAD".to_owned()));
            named.push((merge.head.short().to_owned(), "4f2a91c".to_owned()));
            named.push((merge.diff.clone(), "DIFF".to_owned()));
        }
        if let Some(binding) = &approval.subject.binding {
            named.push((binding.policies.clone(), "POLICIES".to_owned()));
        }
        for (from, to) in named {
            text = text.replace(&from, &to);
        }
    }
    text
}

fn refusal(project: &Project, args: &[&str]) -> (Option<i32>, String) {
    let output = project.run(args);
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said.lines().last().unwrap_or_default().to_owned())
}

async fn asked(up: &Up, team: &str, id: &str) -> ApprovalView {
    let mut client = up.client(team, None);
    until(&mut client, id, |view| view.sentence.starts_with("Asks to merge")).await;
    open_approval(&mut client, id).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn approvals_of_all_teams_are_listed_shown_and_decided_by_what_was_shown() {
    let project = project();
    let up = project.up(&[]);
    insta::assert_snapshot!(project.ok(&["approvals"]), @"Nothing waits for people. What was decided: quarterdeck approvals --all");
    let (mut alpha, mut beta) = (up.client("alpha", None), up.client("beta", None));
    add(&mut alpha, "Say hello").await;
    let a = asked(&up, "alpha", "A-1").await;
    add(&mut beta, "Say goodbye").await;
    let b = asked(&up, "beta", "B-1").await;
    let (key, views) = (a.approval.id.key(), [&a, &b]);

    // The newest first, whichever team's.
    insta::assert_snapshot!(tame(project.ok(&["approvals"]), &views), @"
    KEY-B-1  Merge 4f2a91c into main (B-1, beta)  Decide: 1 owner or reviewer (solo: the requester may decide). 0 of 1 so far. 1 file, +1 −0. Unverified: the repository has no checks.
    KEY-A-1  Merge 4f2a91c into main (A-1, alpha)  Decide: 1 owner or reviewer (solo: the requester may decide). 0 of 1 so far. 1 file, +1 −0. Unverified: the repository has no checks.
    ");
    assert_eq!(project.ok(&["approvals", "list", "--mine"]), project.ok(&["approvals"]));
    assert_eq!(project.ok(&["approvals", "--team", "beta"]).lines().count(), 1);
    let listed: Vec<ApprovalView> = serde_json::from_str(&project.ok(&["approvals", "--json"])).unwrap();
    assert_eq!(
        listed.iter().map(|view| view.approval.id.key()).collect::<Vec<_>>(),
        [b.approval.id.key(), key.clone()]
    );
    let shown = project.ok(&["approvals", "show", &key]);
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    insta::assert_snapshot!(tame(shown, &views), @r#"
    Merge 4f2a91c into main (A-1, alpha)

    Key           KEY-A-1
    Stands        People are asked.
    Team          alpha, run A-1.1
    Feature       A-1 Say hello
    Facts         1 file, +1 −0. Unverified: the repository has no checks.
    Action        merge
    Repository    project
    Pull request  1
    Target        main
    Head          HEAD
    Diff          DIFF
    Paths         ["hello.txt"]
    On            project main #1
    Fingerprint   DIFF
    Policies      POLICIES
    For           ines
    Decide        1 owner or reviewer (solo: the requester may decide). 0 of 1 so far, 1 missing.
    How           A button, or here with your passphrase.
    You           You may decide.
    Digest        9be1 40c7 d2aa (DIGEST-A-1)
    Asked at      WHEN

    The agent wrote:
      > All  @everyone done.

    Decide: quarterdeck approve KEY-A-1, or deny KEY-A-1
    "#);
    let whole: ApprovalView =
        serde_json::from_str(&project.ok(&["approvals", "show", "A-1", "--json"])).unwrap();
    assert_eq!(whole.approval.subject, a.approval.subject);

    // Only by what was seen, and only as it is asked.
    let wrong = refusal(&project, &["approvals", "approve", "A-1", "--digest", "0000 0000 0000"]);
    insta::assert_snapshot!(tame(wrong.1, &views), @"quarterdeck: what is asked under KEY-A-1 has the digest 9be1 40c7 d2aa and not 0000 0000 0000: nothing was decided. Look at it: quarterdeck approvals show KEY-A-1");
    insta::assert_snapshot!(tame(refusal(&project, &["approvals", "answer", "A-1", "yes"]).1, &views), @"quarterdeck: it is no question: quarterdeck approve KEY-A-1, or deny KEY-A-1");
    insta::assert_snapshot!(tame(refusal(&project, &["approvals", "reopen", "A-1"]).1, &views), @"quarterdeck: Merge 4f2a91c into main (A-1, alpha) has not expired. Decide: 1 owner or reviewer (solo: the requester may decide). 0 of 1 so far. 1 file, +1 −0. Unverified: the repository has no checks.");
    insta::assert_snapshot!(refusal(&project, &["approvals", "answer", "A-1", "--value", "{"]).1, @r#"quarterdeck: --value takes JSON, not "{": EOF while parsing an object at line 1 column 1"#);
    insta::assert_snapshot!(refusal(&project, &["approvals", "show", "01"]).1, @r#"quarterdeck: "01" is neither a feature like A-142 nor at least 6 characters of an approval's key"#);
    insta::assert_snapshot!(refusal(&project, &["approve", "A-7"]).1, @"quarterdeck: nothing is asked under A-7. quarterdeck approvals lists what waits");
    let shared: String =
        key.chars().zip(b.approval.id.key().chars()).take_while(|(a, b)| a == b).map(|(a, _)| a).collect();
    if shared.len() >= 6 {
        let said = refusal(&project, &["approve", &shared]);
        assert_eq!(said.0, Some(2), "{said:?}");
        insta::assert_snapshot!(tame(said.1.replace(&format!("fit {shared},"), "fit PREFIX,"), &views), @"quarterdeck: several approvals fit PREFIX, use a key: KEY-B-1, KEY-A-1");
    }

    let output = project.run(&["approvals", "approve", &key[..20], "--digest", &a.approval.digest.short()]);
    assert!(output.status.success(), "{output:?}");
    insta::assert_snapshot!(tame(String::from_utf8(output.stderr).unwrap(), &views), @"Merge 4f2a91c into main (A-1, alpha). Decide: 1 owner or reviewer (solo: the requester may decide). 0 of 1 so far. 1 file, +1 −0. Unverified: the repository has no checks. Digest 9be1 40c7 d2aa.");
    insta::assert_snapshot!(tame(String::from_utf8(output.stdout).unwrap(), &views), @r#"Your word on "Merge 4f2a91c into main" is on its way."#);
    until(&mut alpha, "A-1", finished).await;
    project.ok(&["approvals", "deny", "B-1", "--reason", "not *now*"]);
    until(&mut beta, "B-1", |view| view.sentence.contains("denied")).await;

    insta::assert_snapshot!(refusal(&project, &["deny", "B-1"]).1, @"quarterdeck: B-1 is decided: Merge denied by ines. Reason: not *now*");
    insta::assert_snapshot!(project.ok(&["approvals", "--mine"]), @"Nothing waits for you.");
    let all = project.ok(&["approvals", "--all"]);
    let merged = all.split("merged as ").nth(1).unwrap()[..7].to_owned();
    insta::assert_snapshot!(tame(all.replace(&merged, "c01dd3e"), &views), @"
    KEY-B-1  Merge 4f2a91c into main (B-1, beta)  Merge denied by ines. Reason: not *now*
    KEY-A-1  Merge 4f2a91c into main (A-1, alpha)  Approved by ines, merged as c01dd3e.
    ");

    // A late click is answered to whoever clicked, alone.
    let token = project.token("ines");
    let form = [token.as_str(), "Accept: text/plain", "Content-Type: application/x-www-form-urlencoded"];
    let (status, answer) = send(&up.address, "POST /console/command", &form, "text=approve+A-1");
    let said = answer.lines().last().unwrap();
    assert!(status == 200 && said.starts_with("A-1 was already approved at "), "{answer}");
    // Words that a button asks for stand behind its command.
    let (_, worded) = send(&up.address, "POST /console/command", &form, "text=approve&words=A-1");
    assert_eq!(worded.lines().last().unwrap(), said);
    let page = || send(&up.address, "GET /console/fragment", &[&token], "").1;
    assert!(!page().contains("was already approved"), "{}", page());
    // Edits of a channel have a budget: the last one comes when there is room.
    let begun = std::time::Instant::now();
    while page().contains("value=\"approve") {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{}", page());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    // What expired is not opened again by whoever has nothing but the socket.
    let link = project.command(&["url"]).env_remove("QUARTERDECK_PASSPHRASE").output().unwrap();
    let link = String::from_utf8(link.stdout).unwrap();
    let unproven = format!("Authorization: Bearer {}", link.trim().split("token=").nth(1).unwrap());
    let form =
        [unproven.as_str(), "Accept: application/json", "Content-Type: application/x-www-form-urlencoded"];
    assert_eq!(send(&up.address, "POST /console/command", &form, "text=reopen+A-1").0, 403);
}

/// A watch that is ended by its id when the test ends.
struct Watch(Child);

impl Watch {
    /// Whether it ended well, by itself.
    fn ended(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match self.0.try_wait().unwrap() {
                Some(status) => return status.success(),
                None => assert!(Instant::now() < deadline, "the watch goes on"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_piped_is_a_line_for_each_event() {
    let project = project();
    let up = project.up(&[]);
    let mut child = project.command(&["approvals", "watch"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut watch = Watch(child);
    let mut client = up.client("alpha", None);
    add(&mut client, "Say hello").await;
    let view = asked(&up, "alpha", "A-1").await;
    insta::assert_snapshot!(tame(lines.next().unwrap(), &[&view]), @"asks      KEY-A-1  Merge 4f2a91c into main (A-1, alpha)  Decide: 1 owner or reviewer (solo: the requester may decide). 0 of 1 so far. 1 file, +1 −0. Unverified: the repository has no checks.");
    project.ok(&["approve", "A-1"]);
    let mut heard = Vec::new();
    for line in lines.by_ref() {
        let done = line.starts_with("executed ");
        heard.push(line);
        if done {
            break;
        }
    }
    let all = heard.join("\n");
    assert!(!all.contains('\u{1b}') && !all.contains('\u{7}'), "{all:?}");
    assert!(heard.last().unwrap().contains("Approved by ines, merged as "), "{all}");
    let pid = watch.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert!(watch.ended(), "Ctrl-C is how it ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_in_a_terminal_rings_and_decides() {
    // util-linux has a program that gives another one a terminal.
    if !Command::new("script").arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no script");
        return;
    }
    let project = project();
    let up = project.up(&[]);
    let bare = project.command(&[]);
    let line = format!("exec {} approvals watch", crate::support::binary());
    let mut command = Command::new("script");
    command.args(["--quiet", "--flush", "--return", "--command", &line, "/dev/null"]).env_clear();
    command.envs(bare.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm");
    let spawned = command.current_dir(project.folder()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut watch = Watch(spawned.unwrap());
    let (mut typed, mut out) = (watch.0.stdin.take().unwrap(), watch.0.stdout.take().unwrap());
    let (tell, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = out.read(&mut bytes) {
            if tell.send(String::from_utf8_lossy(&bytes[..count]).into_owned()).is_err() {
                return;
            }
        }
    });
    let mut seen = String::new();
    let mut see = |wanted: &dyn Fn(&str) -> bool| {
        let deadline = Instant::now() + Duration::from_secs(90);
        while !wanted(&seen) {
            assert!(Instant::now() < deadline, "{seen:?}");
            if let Ok(more) = heard.recv_timeout(Duration::from_secs(1)) {
                seen.push_str(&more);
            }
        }
        std::mem::take(&mut seen)
    };
    let first = see(&|seen| seen.contains("Nothing waits for people."));
    assert!(!first.contains('\u{7}'), "nothing waits: {first:?}");
    let mut client = up.client("alpha", None);
    add(&mut client, "Say hello").await;
    let rung = see(&|seen| seen.contains('\u{7}'));
    assert!(rung.contains("› 1  ") && rung.contains("(A-1, alpha)"), "{rung:?}");
    typed.write_all(b"a 7\n").unwrap();
    see(&|seen| seen.contains("There is no number 7."));
    typed.write_all(b"a 1\n").unwrap();
    see(&|seen| seen.contains("is on its way."));
    until(&mut client, "A-1", finished).await;
    typed.write_all(b"\n").unwrap();
    see(&|seen| seen.contains("merged as"));
    typed.write_all(&[3]).unwrap();
    assert!(watch.ended());
}
