//! GitHub set up through the front door: an App by manifest, what `doctor` says of it, and a change that a team pushes with a token
//! that it asked for.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
    time::Duration,
};

use qd_testkit::github::{APP, FakeGithub, OWNER, Options, Rules};
use serde_json::json;

use crate::{
    door::send,
    support::{Project, add, approve, config, finished, open_approval, until},
};

const PLACE: &str = "acme/app";

/// An App that may do what it needs.
async fn fake() -> FakeGithub {
    let mut options = Options::default();
    for (name, level, _) in qd_github::setup::PERMISSIONS {
        options.permissions.insert(name.to_owned(), level.to_owned());
    }
    FakeGithub::start(options).await
}

/// A project whose repository is on the fake.
fn project(fake: &FakeGithub, agent: &str, more: &str) -> Project {
    let project = Project::new(&[("README.md", "# GitHub\n")]);
    let text = format!(
        "{}\n[github]\napi = \"{}\"\nwrites_per_minute = 6000\n{more}\n[github.repositories]\nproject = \"{PLACE}\"\n",
        config(agent, Some("true")),
        fake.api_url()
    );
    std::fs::write(project.folder().join("quarterdeck.toml"), text).unwrap();
    project
}

/// What `doctor` says of GitHub.
fn doctor(project: &Project, fake: &FakeGithub) -> String {
    let output = project.run(&["doctor"]);
    let text = String::from_utf8(output.stdout).unwrap().replace(&fake.api_url(), "https://api");
    let about = text.lines().filter(|line| line.contains("github"));
    about.collect::<Vec<_>>().join("\n")
}

/// As a browser posts it, with what GitHub sends back.
fn press(fake: &FakeGithub, page: &str) -> (String, String) {
    let address = page.trim_start_matches("http://").trim_end_matches('/');
    let (status, form) = send(address, "GET /", &["Accept: text/html"], "");
    assert_eq!(status, 200, "{form}");
    let between = |from: &str, to: &str| {
        let rest = form.split_once(from).unwrap_or_else(|| panic!("{from} in {form}")).1;
        rest.split_once(to).unwrap().0.replace("&quot;", "\"").replace("&amp;", "&")
    };
    let manifest: serde_json::Value =
        serde_json::from_str(&between("name=\"manifest\" value=\"", "\"")).unwrap();
    assert_eq!(manifest["redirect_url"], json!(format!("http://{address}/made")));
    let action = between("action=\"", "\"");
    assert!(
        action.starts_with(&format!("{}/organizations/{OWNER}/settings/apps/new?state=", fake.api_url()))
    );
    let state = action.split_once("state=").unwrap().1.to_owned();
    let code = fake.drive().accepts_manifest(&manifest);
    let (status, _) = send(address, &format!("GET /made?code={code}&state=another"), &[], "");
    assert_eq!(status, 400, "an answer to another page");
    let (status, told) = send(address, &format!("GET /made?code={code}&state={state}"), &[], "");
    assert_eq!(status, 200, "{told}");
    (code, state)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_made_by_manifest_and_its_key_is_kept() {
    let fake = fake().await;
    let project = project(&fake, "true", "");
    let before = doctor(&project, &fake);
    insta::assert_snapshot!(before, @"✖ github         there is no App: quarterdeck bot github setup makes one");
    let mut setup = project
        .command(&["bot", "github", "setup", "--organization", OWNER, "--name", "Fleet of acme"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(setup.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let page = first.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned();
    press(&fake, &page);
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(setup.wait().unwrap().success(), "{rest:?}");
    assert!(rest.iter().any(|line| line.starts_with("Install it where your repositories are: ")), "{rest:?}");
    let key = project.state().join("bot").join("github").join("app.pem");
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&key).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(!rest.join("\n").contains("PRIVATE KEY"));
    // It is not installed anywhere yet.
    let after = doctor(&project, &fake);
    assert!(after.contains("the App is not installed at acme: install it there"), "{after}");
    assert_eq!(fake.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_names_what_is_missing() {
    let fake = fake().await;
    let project = project(&fake, "true", &format!("app = {APP}\nkey = \"app.pem\""));
    std::fs::write(project.folder().join("app.pem"), fake.private_key()).unwrap();
    fake.drive().grants(&[("contents", "write"), ("issues", "read"), ("pull_requests", "write")]);
    let text = doctor(&project, &fake);
    for part in [
        "✔ github         it is quarterdeck[bot]",
        "acme: the App lacks checks: write (writes the check quarterdeck)",
        "acme: the App lacks issues: write",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("lacks contents"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_pushes_with_a_token_that_it_asked_for_and_the_change_is_merged_on_github() {
    let fake = fake().await;
    let project = project(&fake, "echo good > out.txt", &format!("app = {APP}\nkey = \"app.pem\""));
    std::fs::write(project.folder().join("app.pem"), fake.private_key()).unwrap();
    let needed = Rules {
        pull_request: Some(0),
        up_to_date: true,
        checks: vec![("quarterdeck".into(), Some(APP))],
        ..Rules::default()
    };
    fake.drive().adds_ruleset(PLACE, "refs/heads/main", needed);
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    add(&mut client, "Write out.txt").await;
    while open_approval(&mut client, "A-1").await.is_none() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    approve(&mut client, "A-1").await;
    until(&mut client, "A-1", finished).await;
    let pull = fake.drive().pull_request(PLACE, 1);
    assert_eq!(pull["merged"], json!(true), "{pull}");
    assert!(fake.calls().get("git push").is_some_and(|pushes| *pushes > 0), "{:?}", fake.calls());
    assert_eq!(fake.violations(), [""; 0]);

    // No token lies anywhere in the state, whatever was logged or reported.
    let found = std::process::Command::new("grep")
        .args([
            "-rlaE",
            "ghs_[A-Za-z0-9]{10}|x-access-token|eC1hY2Nlc3MtdG9rZW4",
            project.state().to_str().unwrap(),
        ])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(found.stdout).unwrap(), "", "files with a token in them");
}
