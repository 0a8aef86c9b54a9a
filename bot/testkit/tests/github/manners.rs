//! How a client must behave: limits, ETags, pages, redirects, bad days; and what is no request at all.

use std::time::{Duration, Instant};

use qd_testkit::github::{Fault, Role};
use serde_json::json;

use crate::client::{Client, Scene};

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_change_costs_nothing() {
    let scene = Scene::new().await;
    let first = scene.bot.get("/repos/acme/app/issues").await;
    let etag = first.header("etag").to_owned();
    let left = first.header("x-ratelimit-remaining").to_owned();
    let again =
        scene.bot.sent("GET", "/repos/acme/app/issues", None, &[("if-none-match", &etag)]).await.unwrap();
    assert_eq!((again.status, again.header("x-ratelimit-remaining")), (304, left.as_str()));
    scene.fake.drive().collaborator("acme/app", "ann", Role::Read).opens_issue("One", "Text");
    let again =
        scene.bot.sent("GET", "/repos/acme/app/issues", None, &[("if-none-match", &etag)]).await.unwrap();
    assert_eq!(again.status, 200);
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_have_pages() {
    let scene = Scene::new().await;
    let ann = scene.fake.drive().collaborator("acme/app", "ann", Role::Read);
    for index in 0..7 {
        ann.opens_issue(&format!("Issue {index}"), "Text");
    }
    let first = scene.bot.get("/repos/acme/app/issues?state=all&per_page=3").await;
    let link = first.header("link");
    assert!(link.contains("per_page=3&state=all&page=2>; rel=\"next\""), "{link}");
    assert!(link.contains("page=3>; rel=\"last\"") && !link.contains("prev"), "{link}");
    let last = scene.bot.get("/repos/acme/app/issues?state=all&per_page=3&page=3").await;
    assert_eq!((last.body.as_array().unwrap().len(), last.header("link").contains("next")), (1, false));
    scene.ends_well();
    scene.bot.get("/repos/acme/app/issues?per_page=500").await;
    assert_eq!(scene.fake.violations().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_said_and_end() {
    let scene = Scene::new().await;
    scene.fake.limits(5_000, 2);
    let make = || scene.bot.post("/repos/acme/app/issues", json!({"title": "a"}));
    assert_eq!((make().await.status, make().await.status), (201, 201));
    let third = make().await;
    assert_eq!(third.status, 403, "{third:?}");
    assert!(third.message().contains("secondary rate limit"));
    assert!((1..=60).contains(&third.header("retry-after").parse::<u64>().unwrap()));
    scene.fake.advance(Duration::from_secs(61));
    assert_eq!(make().await.status, 201);
    scene.fake.limits(3, 100);
    let over = scene.bot.get("/repos/acme/app").await;
    assert_eq!((over.status, over.header("x-ratelimit-remaining")), (403, "0"), "{over:?}");
    let free = scene.bot.get("/rate_limit").await;
    assert_eq!(free.status, 403, "nothing is left to ask with");
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_days_come_when_they_are_asked_for() {
    let scene = Scene::new().await;
    let bot = &scene.bot;
    scene.fake.fault("GET /repos/{owner}/{repo}", Fault::Status(500));
    assert_eq!(
        (bot.get("/repos/acme/app").await.status, bot.get("/repos/acme/app").await.status),
        (500, 200)
    );
    scene.fake.fault("/issues", Fault::Secondary(7));
    assert_eq!(bot.get("/repos/acme/app/issues").await.header("retry-after"), "7");
    scene.fake.fault("POST /repos/{owner}/{repo}/issues", Fault::AnswerLost);
    let lost = bot.sent("POST", "/repos/acme/app/issues", Some(json!({"title": "Lost"})), &[]).await;
    assert!(lost.is_err(), "{lost:?}");
    assert_eq!(bot.get("/repos/acme/app/issues").await.body[0]["title"], "Lost");
    scene.fake.fault("GET /repos/{owner}/{repo}", Fault::Timeout(Duration::from_millis(200)));
    let began = Instant::now();
    assert_eq!(bot.get("/repos/acme/app").await.status, 502);
    assert!(began.elapsed() >= Duration::from_millis(200));
    scene.fake.lag(2);
    bot.post("/repos/acme/app/issues", json!({"title": "Late"})).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(bot.get("/repos/acme/app/issues").await.body.as_array().unwrap().len());
    }
    assert_eq!(seen, [1, 1, 2]);
    assert_eq!(scene.fake.calls()["POST /repos/{owner}/{repo}/issues"], 2);
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_repository_is_a_redirect_and_a_deleted_one_is_gone() {
    let scene = Scene::new().await;
    scene.fake.drive().renames("acme/app", "app2");
    let told = scene.bot.get("/repos/acme/app/issues?state=all").await;
    let id = scene.fake.repository_id("acme/app2");
    assert_eq!(told.status, 301);
    let place = told.header("location").trim_start_matches(&scene.fake.api_url()).to_owned();
    assert_eq!(place, format!("/repositories/{id}/issues?state=all"));
    assert_eq!(scene.bot.get(&place).await.status, 200);
    let told = scene.bot.post("/repos/acme/app/issues", json!({"title": "a"})).await;
    assert_eq!(told.status, 307);
    scene.fake.drive().deletes_repository("acme/app2");
    assert_eq!(scene.bot.get("/repos/acme/app2").await.status, 404);
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_github_does_not_know_is_a_violation() {
    let scene = Scene::new().await;
    assert_eq!(scene.bot.get("/repos/acme/app/nothing").await.status, 404);
    assert_eq!(scene.fake.violations().len(), 1);
    let nobody = Client { base: scene.fake.api_url(), token: None };
    assert_eq!(nobody.get("/repos/acme/app").await.message(), "Requires authentication");
    assert_eq!(scene.fake.violations().len(), 1);
    if !scene.fake.is_described() {
        println!("skipped: without GitHub's description fields are not checked");
        return;
    }
    let told = scene.bot.post("/repos/acme/app/issues", json!({"title": "a", "titel": "b"})).await;
    assert!(told.status == 422 && told.message().contains("unknown field /titel"), "{told:?}");
    let told = scene.bot.get("/repos/acme/app/issues?stat=open").await;
    assert!(told.message().contains("unknown parameter stat"), "{told:?}");
    let told = scene.bot.post("/repos/acme/app/issues", json!({"title": {"a": 1}})).await;
    assert_eq!(told.status, 422);
}
