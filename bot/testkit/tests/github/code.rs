//! Real git below it: pushes, pull requests that follow their branches, protection, merges, checks and their logs.

use qd_testkit::github::{APP, Options, Outcome, Role, Rules};
use serde_json::json;

use crate::client::{Scene, git, git_ok};

/// A clone of `acme/app`.
async fn clone(scene: &Scene) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    git_ok(folder.path(), &["clone", "--quiet", &scene.remote(), "."]).await;
    folder
}

/// A commit on a branch, pushed. Its id.
async fn push(scene: &Scene, folder: &std::path::Path, branch: &str, file: &str, text: &str) -> String {
    git_ok(folder, &["checkout", "--quiet", "-B", branch]).await;
    tokio::fs::write(folder.join(file), text).await.unwrap();
    git_ok(folder, &["add", "--all"]).await;
    git_ok(folder, &["commit", "--quiet", "--message", "Work"]).await;
    git_ok(folder, &["push", "--quiet", &scene.remote(), branch]).await;
    git_ok(folder, &["rev-parse", "HEAD"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn git_is_let_in_by_token() {
    let scene = Scene::new().await;
    let folder = tempfile::tempdir().unwrap();
    let out = git(folder.path(), &["ls-remote", &scene.fake.git_url("acme/app")]).await;
    assert!(!out.status.success(), "a private repository is not for everybody");
    let out = git(folder.path(), &["ls-remote", &scene.remote_with("ghs_wrong")]).await;
    assert!(!out.status.success());
    let path = format!("/app/installations/{}/access_tokens", scene.fake.installation_id());
    let told = scene.app.post(&path, json!({"permissions": {"contents": "read"}})).await;
    let reader = scene.remote_with(told.body["token"].as_str().unwrap());
    git_ok(folder.path(), &["clone", "--quiet", &reader, "."]).await;
    let out = git(folder.path(), &["push", "--quiet", &reader, "HEAD:refs/heads/work"]).await;
    assert!(String::from_utf8_lossy(&out.stderr).contains("403"), "{out:?}");
    git_ok(folder.path(), &["push", "--quiet", &scene.remote(), "HEAD:refs/heads/work"]).await;
    assert!(scene.fake.drive().branch("acme/app", "work").is_some());
    scene.fake.drive().renames("acme/app", "app2");
    git_ok(folder.path(), &["ls-remote", &scene.remote()]).await;
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_branch_moves_by_pull_request_alone() {
    let scene = Scene::new().await;
    let bot = &scene.bot;
    let set = scene.fake.drive().protects_as_needed("acme/app");
    let folder = clone(&scene).await;
    git_ok(folder.path(), &["commit", "--quiet", "--allow-empty", "--message", "Past"]).await;
    let out = git(folder.path(), &["push", &scene.remote(), "HEAD:main"]).await;
    let words = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(words.contains("GH013: Repository rule violations found for refs/heads/main"), "{words}");
    assert!(words.contains("Changes must be made through a pull request."), "{words}");
    git_ok(folder.path(), &["reset", "--quiet", "--hard", "origin/main"]).await;
    let head = push(&scene, folder.path(), "work", "a.txt", "a\n").await;
    let rules = bot.get("/repos/acme/app/rules/branches/main").await;
    assert_eq!(rules.body[1]["parameters"]["required_status_checks"][0]["integration_id"], APP, "{rules:?}");
    assert_eq!(
        bot.get(&format!("/repos/acme/app/rulesets/{set}")).await.body["current_user_can_bypass"],
        "never"
    );
    let new = json!({"title": "Work", "head": "work", "base": "main", "body": "Closes #99"});
    assert_eq!(bot.post("/repos/acme/app/pulls", new.clone()).await.status, 201);
    let twin = bot.post("/repos/acme/app/pulls", new).await;
    assert!(twin.body["errors"][0]["message"].as_str().unwrap().contains("already exists"), "{twin:?}");
    let merge = json!({"sha": head, "merge_method": "merge", "commit_title": "Merge it"});
    let early = bot.put("/repos/acme/app/pulls/1/merge", merge.clone()).await;
    assert_eq!((early.status, early.message()), (405, "Required status check \"quarterdeck\" is expected."));
    assert_eq!(bot.get("/repos/acme/app/pulls/1").await.body["mergeable_state"], "blocked");
    let check = json!({"name": "quarterdeck", "head_sha": head, "status": "completed", "conclusion": "success",
        "output": {"title": "Passed", "summary": "All well", "annotations": [{"path": "a.txt", "start_line": 1,
            "end_line": 1, "annotation_level": "notice", "message": "Here"}]}});
    let check = bot.post("/repos/acme/app/check-runs", check).await;
    assert_eq!((check.status, &check.body["output"]["annotations_count"]), (201, &json!(1)), "{check:?}");
    let checks = bot.get(&format!("/repos/acme/app/commits/{head}/check-runs")).await;
    assert_eq!(checks.body["total_count"], 1);
    let stale = json!({"sha": "0".repeat(40), "merge_method": "merge"});
    assert_eq!(bot.put("/repos/acme/app/pulls/1/merge", stale).await.status, 409);
    let merged = bot.put("/repos/acme/app/pulls/1/merge", merge.clone()).await;
    assert_eq!(merged.status, 200, "{merged:?}");
    assert_eq!(bot.put("/repos/acme/app/pulls/1/merge", merge).await.status, 405);
    git_ok(folder.path(), &["fetch", "--quiet", &scene.remote(), "main"]).await;
    let parents = git_ok(folder.path(), &["log", "-1", "--format=%s %P", "FETCH_HEAD"]).await;
    assert!(parents.starts_with("Merge it ") && parents.ends_with(&head), "{parents}");
    let pull = bot.get("/repos/acme/app/pulls/1").await;
    assert_eq!((&pull.body["merged"], &pull.body["merge_commit_sha"]), (&json!(true), &merged.body["sha"]));
    assert_eq!(bot.send("DELETE", "/repos/acme/app/git/refs/heads/work", None).await.status, 204);
    assert_eq!(bot.get("/repos/acme/app/git/ref/heads/work").await.status, 404);
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_follows_its_branch() {
    let scene = Scene::new().await;
    let (bot, drive) = (&scene.bot, scene.fake.drive());
    let rules = Rules { pull_request: Some(1), dismiss_stale_reviews: true, ..Rules::default() };
    drive.protects("acme/app", "main", Some(rules));
    let ann = drive.collaborator("acme/app", "ann", Role::Write);
    let bob = drive.collaborator("acme/app", "bob", Role::Write);
    let first = ann.pushes("work", "One", &[("a.txt", "a\n")]);
    let number = ann.opens_pull_request("work", "main", "Work", "Text");
    let path = format!("/repos/acme/app/pulls/{number}");
    bob.approves(number, "Good.");
    let pull = bot.get(&path).await;
    assert_eq!((&pull.body["mergeable"], &pull.body["mergeable_state"]), (&json!(true), &json!("clean")));
    let second = ann.pushes("work", "Two", &[("b.txt", "b\n")]);
    let pull = bot.get(&path).await;
    assert_eq!((&pull.body["head"]["sha"], &pull.body["commits"]), (&json!(second), &json!(2)));
    assert_eq!(pull.body["mergeable_state"], "blocked", "the approval was of {first}");
    assert_eq!(bot.get(&format!("{path}/reviews")).await.body[0]["state"], "DISMISSED");
    let files = bot.get(&format!("{path}/files")).await;
    assert_eq!((&files.body[0]["filename"], &files.body[1]["additions"]), (&json!("a.txt"), &json!(1)));
    let refused = ann.merges(number).unwrap_err();
    assert_eq!(refused, "At least 1 approving review is required by reviewers with write access.");
    let protection = bot.get("/repos/acme/app/branches/main/protection").await;
    assert_eq!(protection.status, 403, "an App without administration does not read it");
    let commits = bot.get(&format!("{path}/commits")).await;
    assert_eq!(commits.body[0]["commit"]["message"], "One");
    let compare = bot.get("/repos/acme/app/compare/main...work").await;
    assert_eq!((&compare.body["ahead_by"], &compare.body["status"]), (&json!(2), &json!("ahead")));
    drive.protects("acme/app", "main", None);
    ann.pushes("main", "Elsewhere", &[("b.txt", "other\n")]);
    let pull = bot.get(&path).await;
    assert_eq!((&pull.body["mergeable"], &pull.body["mergeable_state"]), (&json!(false), &json!("dirty")));
    assert_eq!(bot.put(&format!("{path}/merge"), json!({})).await.message(), "Pull Request is not mergeable");
    ann.deletes_branch("work");
    assert_eq!(bot.get(&path).await.body["state"], "closed");
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_end_red_with_a_log_and_run_again() {
    let scene = Scene::new().await;
    let (bot, drive) = (&scene.bot, scene.fake.drive());
    let ann = drive.collaborator("acme/app", "ann", Role::Write);
    let head = ann.pushes("work", "One", &[("a.txt", "a\n")]);
    let run = drive.runs_actions("acme/app", "work", &["build", "test"]);
    run.ends(&Outcome::Red { job: "test".to_owned(), log: "assertion failed\n".to_owned() });
    let runs = bot.get(&format!("/repos/acme/app/actions/runs?head_sha={head}")).await;
    assert_eq!(runs.body["workflow_runs"][0]["conclusion"], "failure", "{runs:?}");
    let path = format!("/repos/acme/app/actions/runs/{}", run.id);
    let jobs = bot.get(&format!("{path}/jobs")).await;
    let red =
        jobs.body["jobs"].as_array().unwrap().iter().find(|job| job["conclusion"] == "failure").unwrap();
    let found = bot.get(&format!("/repos/acme/app/actions/jobs/{}/logs", red["id"])).await;
    assert_eq!(found.status, 302);
    let place = found.header("location").trim_start_matches(&scene.fake.api_url()).to_owned();
    assert_eq!(bot.get(&place).await.text, "assertion failed\n");
    assert_eq!(bot.post(&format!("{path}/rerun-failed-jobs"), json!({})).await.status, 201);
    run.ends(&Outcome::Green);
    assert_eq!(bot.get(&path).await.body["conclusion"], "success");
    let jobs = bot.get(&format!("{path}/jobs")).await;
    assert_eq!((&jobs.body["total_count"], &jobs.body["jobs"][0]["run_attempt"]), (&json!(1), &json!(2)));
    let suites = bot.get(&format!("/repos/acme/app/commits/{head}/check-suites")).await;
    assert_eq!(suites.body["total_count"], 2, "one of the App, one of Actions");
    ann.sets_status(&head, "ci/elsewhere", "pending");
    let status = bot.get(&format!("/repos/acme/app/commits/{head}/status")).await;
    assert_eq!((&status.body["state"], &status.body["total_count"]), (&json!("pending"), &json!(1)));
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_read_and_written() {
    let scene = Scene::new().await;
    let bot = &scene.bot;
    let path = "/repos/acme/app/contents/docs/plans/one.md";
    assert_eq!(bot.get(path).await.status, 404);
    let main = scene.fake.drive().branch("acme/app", "main").unwrap();
    let made =
        bot.post("/repos/acme/app/git/refs", json!({"ref": "refs/heads/plans/one", "sha": main})).await;
    assert_eq!(made.status, 201, "{made:?}");
    let body = json!({"message": "A plan", "content": "b25lCg==", "branch": "plans/one"});
    assert_eq!(bot.put(path, body.clone()).await.status, 201);
    assert_eq!(bot.put(path, body).await.status, 422, "what is there is named by its sha");
    let read = bot.get(&format!("{path}?ref=plans%2Fone")).await;
    assert_eq!(
        (&read.body["content"], &read.body["encoding"]),
        (&json!("b25lCg==\n"), &json!("base64")),
        "{read:?}"
    );
    assert_eq!(bot.get("/repos/acme/app/branches/plans%2Fone").await.body["protected"], false);
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_proposes_from_a_fork() {
    let scene = Scene::with(Options { private: false, ..Options::default() }).await;
    let (bot, drive) = (&scene.bot, scene.fake.drive());
    let eve = drive.person("eve");
    let fork = eve.forks();
    let head = fork.pushes("work", "One", &[("a.txt", "a\n")]);
    let number = eve.opens_pull_request("eve:work", "main", "Work", "Text");
    let path = format!("/repos/acme/app/pulls/{number}");
    let pull = bot.get(&path).await;
    assert_eq!(
        (&pull.body["head"]["label"], &pull.body["head"]["repo"]["fork"]),
        (&json!("eve:work"), &json!(true))
    );
    assert_eq!((&pull.body["head"]["sha"], &pull.body["author_association"]), (&json!(head), &json!("NONE")));
    let second = fork.pushes("work", "Two", &[("a.txt", "b\n")]);
    assert_eq!(bot.get(&path).await.body["head"]["sha"], second);
    let listed = bot.get("/repos/acme/app/pulls?head=eve:work").await;
    assert_eq!(listed.body[0]["number"], number);
    // The App is not on the fork; everybody reads it, for it is public.
    assert_eq!(bot.get("/repos/eve/app").await.status, 200);
    assert_eq!(bot.post("/repos/eve/app/issues", json!({"title": "a"})).await.status, 403);
    assert_eq!(bot.put(&format!("{path}/merge"), json!({"sha": second})).await.status, 200);
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_queue_lands_what_passed_there() {
    let scene = Scene::new().await;
    let (bot, drive) = (&scene.bot, scene.fake.drive());
    let rules = Rules {
        pull_request: Some(0),
        checks: vec![("quarterdeck".to_owned(), Some(APP))],
        merge_queue: true,
        ..Rules::default()
    };
    drive.adds_ruleset("acme/app", "main", rules);
    let ann = drive.collaborator("acme/app", "ann", Role::Write);
    let head = ann.pushes("work", "One", &[("a.txt", "a\n")]);
    let number = ann.opens_pull_request("work", "main", "Work", "Text");
    let path = format!("/repos/acme/app/pulls/{number}");
    let node = bot.get(&path).await.body["node_id"].clone();
    let query = "mutation enqueue($pullRequestId: ID!) { enqueuePullRequest(input: {pullRequestId: $pullRequestId}) { \
                 mergeQueueEntry { id } } }";
    let enqueue = || bot.post("/graphql", json!({"query": query, "variables": {"pullRequestId": node}}));
    let check = |sha: &str, conclusion: &str| {
        let body =
            json!({"name": "quarterdeck", "head_sha": sha, "status": "completed", "conclusion": conclusion});
        bot.post("/repos/acme/app/check-runs", body)
    };
    let early = enqueue().await;
    assert_eq!(
        early.body["errors"][0]["message"], "Required status check \"quarterdeck\" is expected.",
        "{early:?}"
    );
    check(&head, "success").await;
    let past = bot.put(&format!("{path}/merge"), json!({"sha": head})).await;
    assert_eq!((past.status, past.message()), (405, "Changes must be made through the merge queue"));
    let queue = format!("gh-readonly-queue/main/pr-{number}");
    for (conclusion, merged) in [("failure", false), ("success", true)] {
        assert_eq!(enqueue().await.body["errors"], json!(null));
        let group = drive.branch("acme/app", &queue).unwrap();
        check(&group, conclusion).await;
        assert_eq!(bot.get(&path).await.body["merged"], merged);
        assert_eq!(drive.branch("acme/app", "main").unwrap() == group, merged);
        assert_eq!(drive.branch("acme/app", &queue), None);
    }
    scene.ends_well();
}
