//! Every route that the other tests do not go by answers as GitHub's description has it.

use std::collections::BTreeMap;

use qd_testkit::github::{Options, Role, Rules};
use serde_json::{Value, json};

use crate::client::{Client, Scene};

const REPO: &str = "/repos/acme/app";

async fn scene() -> Scene {
    let mut options = Options::default();
    options.permissions.extend(BTreeMap::from([("administration".to_owned(), "write".to_owned())]));
    Scene::with(options).await
}

/// Each is answered with this status.
async fn all(client: &Client, asked: Vec<(&str, String, Option<Value>, u16)>) -> Vec<Value> {
    let mut told = Vec::new();
    for (method, path, body, status) in asked {
        let answer = client.send(method, &path, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        told.push(answer.body);
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_app() {
    let scene = scene().await;
    let id = scene.fake.installation_id();
    scene.fake.set_webhook("http://127.0.0.1:1/hook");
    let asked = vec![
        ("GET", "/app/installations".to_owned(), None, 200),
        ("GET", format!("/app/installations/{id}"), None, 200),
        ("GET", format!("{REPO}/installation"), None, 200),
        ("GET", "/app/hook/config".to_owned(), None, 200),
        ("PATCH", "/app/hook/config".to_owned(), Some(json!({"url": "http://127.0.0.1:2/hook"})), 200),
        ("GET", "/app/hook/deliveries?per_page=5".to_owned(), None, 200),
    ];
    let told = all(&scene.app, asked).await;
    assert_eq!(told[4]["url"], "http://127.0.0.1:2/hook");
    let drive = scene.fake.drive();
    drive.adds_repository("acme/two", true);
    drive.installs_on(&["acme/two"]);
    assert_eq!(scene.bot.get(REPO).await.status, 404);
    drive.grants(&[("issues", "read")]);
    assert_eq!(scene.app.get("/app/installations").await.body[0]["permissions"], json!({"issues": "read"}));
    drive.suspends(true);
    drive.pings();
    assert!(scene.fake.settled(std::time::Duration::from_secs(10)).await);
    assert_eq!(scene.fake.payload_violations(), Vec::<String>::new());
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_repository() {
    let scene = scene().await;
    let drive = scene.fake.drive();
    let ann = drive.collaborator("acme/app", "ann", Role::Write);
    let main = drive.branch("acme/app", "main").unwrap();
    let work = ann.pushes("work", "One", &[("src/a.txt", "needle\n")]);
    let rules = Rules { pull_request: Some(1), checks: vec![("ci".to_owned(), None)], ..Rules::default() };
    drive.protects("acme/app", "main", Some(rules));
    drive.protects_as_needed("acme/app");
    let asked = vec![
        ("GET", format!("{REPO}/branches?protected=false"), None, 200),
        ("GET", format!("{REPO}/branches/work"), None, 200),
        ("GET", format!("{REPO}/branches/main/protection"), None, 200),
        ("GET", format!("{REPO}/rulesets?includes_parents=true"), None, 200),
        ("GET", format!("{REPO}/collaborators"), None, 200),
        ("GET", format!("{REPO}/assignees/ann"), None, 204),
        ("GET", format!("{REPO}/git/matching-refs/heads/wo"), None, 200),
        ("GET", format!("{REPO}/git/commits/{work}"), None, 200),
        ("GET", format!("{REPO}/commits?sha=work"), None, 200),
        ("GET", format!("{REPO}/commits/work"), None, 200),
        ("GET", format!("{REPO}/contents/src?ref=work"), None, 200),
        ("GET", format!("{REPO}/contents/src/a.txt?ref=work"), None, 200),
        ("PATCH", format!("{REPO}/git/refs/heads/work"), Some(json!({"sha": main})), 422),
        ("PATCH", format!("{REPO}/git/refs/heads/work"), Some(json!({"sha": main, "force": true})), 200),
        ("PATCH", format!("{REPO}/git/refs/heads/main"), Some(json!({"sha": work})), 422),
        ("DELETE", format!("{REPO}/git/refs/heads/main"), None, 422),
        ("PATCH", REPO.to_owned(), Some(json!({"delete_branch_on_merge": true})), 200),
        ("GET", "/users/ann".to_owned(), None, 200),
        ("GET", "/users/nobody".to_owned(), None, 404),
        ("GET", "/rate_limit".to_owned(), None, 200),
        ("GET", "/meta".to_owned(), None, 200),
        ("GET", "/search/code?q=README+repo:acme%2Fapp".to_owned(), None, 200),
        ("GET", "/search/code?q=app+repo:acme%2Fapp".to_owned(), None, 200),
    ];
    let told = all(&scene.bot, asked).await;
    assert_eq!(told[0].as_array().unwrap().len(), 1);
    assert_eq!(told[2]["required_status_checks"]["contexts"], json!(["ci"]));
    assert_eq!(told[10][0]["path"], "src/a.txt");
    assert_eq!((&told[21]["total_count"], &told[22]["items"][0]["path"]), (&json!(0), &json!("README.md")));
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_issues() {
    let scene = scene().await;
    let drive = scene.fake.drive();
    let ann = drive.collaborator("acme/app", "ann", Role::Write);
    let issue = ann.opens_issue("One", "Text");
    let comment = ann.comments(issue, "Hm.");
    let one = format!("{REPO}/issues/{issue}");
    let asked = vec![
        ("GET", format!("{REPO}/labels"), None, 200),
        (
            "POST",
            format!("{REPO}/labels"),
            Some(json!({"name": "p1", "color": "ff0000", "description": "Soon"})),
            201,
        ),
        ("POST", format!("{REPO}/labels"), Some(json!({"name": "P1"})), 422),
        ("GET", format!("{one}/labels"), None, 200),
        ("GET", format!("{one}/comments"), None, 200),
        (
            "GET",
            format!("{REPO}/issues/comments?sort=updated&direction=desc&since=2020-01-01T00%3A00%3A00Z"),
            None,
            200,
        ),
        ("GET", format!("{REPO}/issues/comments/{comment}/reactions"), None, 200),
        ("POST", format!("{one}/reactions"), Some(json!({"content": "rocket"})), 201),
        ("GET", format!("{one}/reactions?content=rocket"), None, 200),
        ("POST", format!("{one}/assignees"), Some(json!({"assignees": ["ann"]})), 201),
        ("DELETE", format!("{one}/assignees"), Some(json!({"assignees": ["ann"]})), 200),
        ("GET", format!("{REPO}/milestones?state=all"), None, 200),
        ("GET", format!("{REPO}/issues/99"), None, 404),
    ];
    let told = all(&scene.bot, asked).await;
    assert_eq!(told[8].as_array().unwrap().len(), 1);
    assert_eq!((&told[9]["assignee"]["login"], &told[10]["assignee"]), (&json!("ann"), &json!(null)));
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_pull_requests() {
    let scene = scene().await;
    let drive = scene.fake.drive();
    let ann = drive.collaborator("acme/app", "ann", Role::Write);
    let bob = drive.collaborator("acme/app", "bob", Role::Write);
    let head = ann.pushes("work", "One", &[("a.txt", "a\n")]);
    let number = ann.opens_pull_request("work", "main", "Work", "Text");
    let review = bob.approves(number, "Good.");
    let line = bob.comments_on_line(number, "a.txt", 1, "Hm.");
    ann.pushes("main", "Two", &[("b.txt", "b\n")]);
    let one = format!("{REPO}/pulls/{number}");
    let asked = vec![
        ("GET", format!("{REPO}/pulls?head=acme%3Awork&state=all&sort=updated&direction=desc"), None, 200),
        ("PATCH", one.clone(), Some(json!({"title": "Work", "body": "More", "base": "main"})), 200),
        ("GET", format!("{one}/merge"), None, 404),
        ("POST", format!("{one}/requested_reviewers"), Some(json!({"reviewers": ["bob"]})), 201),
        ("POST", format!("{one}/requested_reviewers"), Some(json!({"reviewers": ["eve"]})), 422),
        ("GET", format!("{one}/requested_reviewers"), None, 200),
        ("DELETE", format!("{one}/requested_reviewers"), Some(json!({"reviewers": ["bob"]})), 200),
        ("GET", format!("{REPO}/commits/{head}/pulls"), None, 200),
        ("GET", format!("{one}/reviews/{review}"), None, 200),
        ("PUT", format!("{one}/reviews/{review}/dismissals"), Some(json!({"message": "Stale"})), 200),
        ("GET", format!("{one}/comments"), None, 200),
        ("GET", format!("{REPO}/pulls/comments/{line}"), None, 200),
        ("POST", format!("{REPO}/pulls/comments/{line}/reactions"), Some(json!({"content": "eyes"})), 201),
        (
            "POST",
            format!("{one}/comments"),
            Some(json!({"path": "a.txt", "line": 1, "body": "So.", "commit_id": head})),
            201,
        ),
        ("PATCH", format!("{REPO}/pulls/comments/{line}"), Some(json!({"body": "Ah."})), 200),
        ("GET", format!("{REPO}/pulls/comments"), None, 200),
        ("POST", format!("{one}/reviews"), Some(json!({"event": "COMMENT", "body": "So."})), 200),
        ("PUT", format!("{one}/update-branch"), Some(json!({"expected_head_sha": head})), 202),
        ("PUT", format!("{one}/merge"), Some(json!({"merge_method": "rebase"})), 405),
        ("PUT", format!("{one}/merge"), Some(json!({"merge_method": "squash"})), 200),
        ("GET", format!("{one}/merge"), None, 204),
        ("PATCH", one.clone(), Some(json!({"state": "open"})), 422),
    ];
    let told = all(&scene.bot, asked).await;
    assert_eq!((&told[0][0]["number"], &told[9]["state"]), (&json!(number), &json!("DISMISSED")));
    assert_eq!(told[10].as_array().unwrap().len(), 1);
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_checks_and_deployments() {
    let scene = scene().await;
    let drive = scene.fake.drive();
    let ann = drive.collaborator("acme/app", "ann", Role::Write);
    let head = ann.pushes("work", "One", &[("a.txt", "a\n")]);
    let made =
        scene.bot.post(&format!("{REPO}/check-runs"), json!({"name": "quarterdeck", "head_sha": head})).await;
    let check = format!("{REPO}/check-runs/{}", made.body["id"]);
    let suite = made.body["check_suite"]["id"].clone();
    let red = json!({"status": "completed", "conclusion": "failure", "output": {"title": "Red", "summary": "It broke",
        "annotations": [{"path": "a.txt", "start_line": 1, "end_line": 2, "annotation_level": "failure", "message": "Here"}]}});
    let deployed =
        scene.bot.post(&format!("{REPO}/deployments"), json!({"ref": "work", "required_contexts": []})).await;
    let deployment = format!("{REPO}/deployments/{}", deployed.body["id"]);
    let asked = vec![
        ("PATCH", check.clone(), Some(red), 200),
        ("GET", check.clone(), None, 200),
        ("GET", format!("{check}/annotations"), None, 200),
        ("GET", format!("{REPO}/check-suites/{suite}/check-runs"), None, 200),
        ("GET", format!("{REPO}/commits/work/check-runs?filter=all&check_name=quarterdeck"), None, 200),
        ("POST", format!("{REPO}/check-runs"), Some(json!({"name": "a", "head_sha": "0".repeat(40)})), 422),
        ("POST", format!("{REPO}/statuses/{head}"), Some(json!({"state": "success", "context": "ci"})), 201),
        ("GET", format!("{REPO}/commits/work/statuses"), None, 200),
        ("GET", format!("{REPO}/deployments?environment=production"), None, 200),
        ("GET", deployment.clone(), None, 200),
        (
            "POST",
            format!("{deployment}/statuses"),
            Some(json!({"state": "in_progress", "description": "So far"})),
            201,
        ),
        ("GET", format!("{deployment}/statuses"), None, 200),
        ("GET", format!("{REPO}/actions/runs/1"), None, 404),
    ];
    let told = all(&scene.bot, asked).await;
    assert_eq!((&told[1]["conclusion"], &told[2][0]["message"]), (&json!("failure"), &json!("Here")));
    scene.ends_well();
}
