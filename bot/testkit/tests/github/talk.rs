//! Issues, comments, labels, milestones, reactions, reviews and their threads.

use qd_testkit::github::Role;
use serde_json::json;

use crate::client::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn issues_are_opened_labelled_planned_and_closed() {
    let scene = Scene::new().await;
    let bot = &scene.bot;
    let milestone = bot.post("/repos/acme/app/milestones", json!({"title": "v1"})).await;
    assert_eq!(milestone.status, 201, "{milestone:?}");
    let twin = bot.post("/repos/acme/app/milestones", json!({"title": "v1"})).await;
    assert_eq!(twin.body["errors"][0]["code"], "already_exists");
    let new = json!({"title": "One", "body": "Text", "labels": ["team:alpha"], "milestone": 1});
    let issue = bot.post("/repos/acme/app/issues", new).await;
    assert_eq!((issue.status, &issue.body["number"]), (201, &json!(1)), "{issue:?}");
    assert_eq!(issue.body["labels"][0]["name"], "team:alpha");
    assert_eq!(issue.body["user"]["login"], "quarterdeck[bot]");
    assert_eq!(bot.get("/repos/acme/app/labels/team%3Aalpha").await.status, 200);
    let set = bot.put("/repos/acme/app/issues/1/labels", json!({"labels": ["bug"]})).await;
    assert_eq!(set.body.as_array().unwrap().len(), 1);
    assert_eq!(
        bot.post("/repos/acme/app/issues/1/labels", json!({"labels": ["question"]})).await.status,
        200
    );
    assert_eq!(bot.send("DELETE", "/repos/acme/app/issues/1/labels/bug", None).await.status, 200);
    assert_eq!(bot.send("DELETE", "/repos/acme/app/issues/1/labels/bug", None).await.status, 404);
    let closed = bot.patch("/repos/acme/app/issues/1", json!({"state": "closed", "title": "Uno"})).await;
    assert_eq!((&closed.body["state"], &closed.body["title"]), (&json!("closed"), &json!("Uno")));
    assert_eq!(bot.get("/repos/acme/app/issues").await.body, json!([]));
    let all = bot.get("/repos/acme/app/issues?state=all&labels=question&per_page=100").await;
    assert_eq!(all.body[0]["number"], 1);
    assert_eq!(bot.get("/repos/acme/app/milestones/1").await.body["closed_issues"], 1);
    let done = bot.patch("/repos/acme/app/milestones/1", json!({"state": "closed"})).await;
    assert_eq!(done.body["state"], "closed");
    scene.fake.drive().collaborator("acme/app", "ann", Role::Admin).deletes_issue(1);
    assert_eq!(bot.get("/repos/acme/app/issues/1").await.status, 410);
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_are_edited_and_answered_by_reactions() {
    let scene = Scene::new().await;
    let bot = &scene.bot;
    let ann = scene.fake.drive().collaborator("acme/app", "ann", Role::Read);
    let issue = ann.opens_issue("One", "Text");
    let asked = ann.comments(issue, "/qd status");
    let path = format!("/repos/acme/app/issues/comments/{asked}/reactions");
    assert_eq!(bot.post(&path, json!({"content": "eyes"})).await.status, 201);
    assert_eq!(bot.post(&path, json!({"content": "eyes"})).await.status, 200);
    assert_eq!(
        scene.fake.drive().reactions("acme/app", asked),
        [("quarterdeck[bot]".to_owned(), "eyes".to_owned())]
    );
    let made = bot.post(&format!("/repos/acme/app/issues/{issue}/comments"), json!({"body": "First"})).await;
    assert_eq!((made.status, &made.body["performed_via_github_app"]["slug"]), (201, &json!("quarterdeck")));
    let id = made.body["id"].as_u64().unwrap();
    let edited = bot.patch(&format!("/repos/acme/app/issues/comments/{id}"), json!({"body": "Second"})).await;
    assert_eq!(edited.body["body"], "Second");
    let empty = bot.post(&format!("/repos/acme/app/issues/{issue}/comments"), json!({"body": " "})).await;
    assert_eq!((empty.status, empty.message()), (422, "Validation Failed"));
    let said: Vec<String> = scene
        .fake
        .drive()
        .comments("acme/app", issue)
        .into_iter()
        .map(|(_, who, text)| format!("{who}: {text}"))
        .collect();
    assert_eq!(said, ["ann: /qd status", "quarterdeck[bot]: Second"]);
    assert_eq!(bot.send("DELETE", &format!("/repos/acme/app/issues/comments/{id}"), None).await.status, 204);
    assert_eq!(bot.get(&format!("/repos/acme/app/issues/comments/{id}")).await.status, 404);
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_are_answered_and_resolved() {
    let scene = Scene::new().await;
    let bot = &scene.bot;
    let ann = scene.fake.drive().collaborator("acme/app", "ann", Role::Write);
    ann.pushes("work", "Work", &[("a.txt", "a\nb\n")]);
    let new = json!({"title": "Work", "head": "work", "base": "main", "draft": true, "body": "Text"});
    let pull = bot.post("/repos/acme/app/pulls", new).await;
    assert_eq!((pull.status, &pull.body["mergeable"]), (201, &json!(null)), "{pull:?}");
    let node = pull.body["node_id"].as_str().unwrap();
    let first = ann.comments_on_line(1, "a.txt", 2, "Why?");
    ann.requests_changes(1, "Not yet.");
    let reviews = bot.get("/repos/acme/app/pulls/1/reviews").await;
    assert_eq!(reviews.body[1]["state"], "CHANGES_REQUESTED", "{reviews:?}");
    let path = format!("/repos/acme/app/pulls/1/comments/{first}/replies");
    let answer = bot.post(&path, json!({"body": "Because."})).await;
    assert_eq!((answer.status, &answer.body["in_reply_to_id"]), (201, &json!(first)), "{answer:?}");
    let query = "query($owner: String!, $name: String!, $number: Int!) { repository(owner: $owner, name: $name) { \
                 pullRequest(number: $number) { reviewThreads(first: 100) { nodes { id isResolved comments(first: 1) { \
                 nodes { databaseId } } } } } } }";
    let variables = json!({"owner": "acme", "name": "app", "number": 1});
    let told = bot.post("/graphql", json!({"query": query, "variables": variables})).await;
    let threads = &told.body["data"]["repository"]["pullRequest"]["reviewThreads"]["nodes"];
    assert_eq!(threads[0]["comments"]["nodes"][0]["databaseId"], first, "{told:?}");
    let query = "mutation($threadId: ID!) { resolveReviewThread(input: {threadId: $threadId}) { thread { isResolved } } }";
    let variables = json!({"threadId": threads[0]["id"]});
    let told = bot.post("/graphql", json!({"query": query, "variables": variables})).await;
    assert_eq!(told.body["data"]["resolveReviewThread"]["thread"]["isResolved"], true, "{told:?}");
    let query = "mutation($pullRequestId: ID!) { markPullRequestReadyForReview(input: {pullRequestId: $pullRequestId}) { \
                 pullRequest { isDraft } } }";
    let variables = json!({"pullRequestId": node});
    let told = bot.post("/graphql", json!({"query": query, "variables": variables})).await;
    assert_eq!(told.status, 200);
    assert_eq!(bot.get("/repos/acme/app/pulls/1").await.body["draft"], false);
    scene.ends_well();
    let told = bot.post("/graphql", json!({"query": "query { viewer { login } }"})).await;
    assert!(told.body["errors"].is_array());
    assert_eq!(scene.fake.violations().len(), 1);
}
