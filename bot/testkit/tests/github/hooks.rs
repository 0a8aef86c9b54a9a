//! Webhooks: signed, listed, delivered again; and what goes wrong with them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use qd_testkit::github::{Delivering, Outcome, Role, WEBHOOK_SECRET};
use serde_json::{Value, json};

use crate::client::Scene;

const SOON: Duration = Duration::from_secs(10);

/// Delivery id, event, payload.
type Got = (String, String, Value);

/// An endpoint that checks signatures and keeps what comes.
async fn endpoint() -> (String, Arc<Mutex<Vec<Got>>>) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let (address, got) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let kept = got.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let kept = kept.clone();
            let service =
                hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let kept = kept.clone();
                    async move {
                        let header = |name: &str| {
                            request
                                .headers()
                                .get(name)
                                .and_then(|it| it.to_str().ok())
                                .unwrap_or_default()
                                .to_owned()
                        };
                        let (id, event, said) = (
                            header("x-github-delivery"),
                            header("x-github-event"),
                            header("x-hub-signature-256"),
                        );
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, WEBHOOK_SECRET.as_bytes());
                        let tag = ring::hmac::sign(&key, &body);
                        let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
                        assert_eq!(said, format!("sha256={hex}"));
                        kept.lock().unwrap().push((id, event, serde_json::from_slice(&body).unwrap()));
                        Ok::<_, std::convert::Infallible>(hyper::Response::new(Full::new(Bytes::from(
                            "Noted.",
                        ))))
                    }
                });
            tokio::spawn(async move {
                drop(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await,
                );
            });
        }
    });
    (format!("http://{address}/hook"), got)
}

fn names(got: &Mutex<Vec<Got>>) -> Vec<String> {
    let got = got.lock().unwrap();
    got.iter().map(|(_, event, it)| format!("{event}.{}", it["action"].as_str().unwrap_or(""))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_happens_is_told() {
    let scene = Scene::new().await;
    let drive = scene.fake.drive();
    let (url, got) = endpoint().await;
    scene.fake.set_webhook(&url);
    let ann = drive.collaborator("acme/app", "ann", Role::Write);
    let issue = ann.opens_issue("One", "Text");
    ann.labels(issue, "team:alpha");
    ann.comments(issue, "/qd status");
    assert!(scene.fake.settled(SOON).await);
    let told = names(&got);
    assert_eq!(told, ["issues.opened", "label.created", "issues.labeled", "issue_comment.created"]);
    let (_, _, payload) = got.lock().unwrap()[2].clone();
    assert_eq!(payload["label"]["name"], "team:alpha");
    assert_eq!(
        (&payload["sender"]["login"], &payload["installation"]["id"]),
        (&json!("ann"), &json!(scene.fake.installation_id()))
    );
    ann.pushes("work", "One", &[("a.txt", "a\n")]);
    let number = ann.opens_pull_request("work", "main", "Work", "Closes #1");
    ann.pushes("work", "Two", &[("b.txt", "b\n")]);
    drive.runs_actions("acme/app", "work", &["test"]).ends(&Outcome::Green);
    let thread = ann.comments_on_line(number, "a.txt", 1, "Hm.");
    ann.resolves(thread);
    ann.merges(number).unwrap();
    let milestone = ann.opens_milestone("v1");
    ann.plans(issue, Some(milestone));
    drive.renames("acme/app", "app2");
    drive.pings();
    assert!(scene.fake.settled(SOON).await);
    let told = names(&got);
    for wanted in [
        "push.",
        "pull_request.opened",
        "pull_request.synchronize",
        "pull_request.closed",
        "issues.closed",
        "check_suite.requested",
        "check_run.completed",
        "check_suite.completed",
        "workflow_run.completed",
        "workflow_job.completed",
        "pull_request_review.submitted",
        "pull_request_review_comment.created",
        "pull_request_review_thread.resolved",
        "milestone.created",
        "issues.milestoned",
        "repository.renamed",
        "ping.",
    ] {
        assert!(told.iter().any(|it| it == wanted), "{wanted} is not in {told:?}");
    }
    let synchronized =
        got.lock().unwrap().iter().find(|(_, _, it)| it["action"] == "synchronize").cloned().unwrap();
    assert_eq!(synchronized.2["after"], synchronized.2["pull_request"]["head"]["sha"]);
    assert_eq!(scene.fake.payload_violations(), Vec::<String>::new());
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_delivery_is_listed_and_sent_again() {
    let scene = Scene::new().await;
    let (url, got) = endpoint().await;
    scene.fake.set_webhook(&url);
    let ann = scene.fake.drive().collaborator("acme/app", "ann", Role::Write);
    scene.fake.delivering(Delivering::Failing);
    ann.opens_issue("One", "Text");
    scene.fake.delivering(Delivering::Vanishing);
    ann.opens_issue("Two", "Text");
    scene.fake.delivering(Delivering::Usual);
    assert!(scene.fake.settled(SOON).await);
    assert_eq!(names(&got), Vec::<String>::new());
    let listed = scene.app.get("/app/hook/deliveries?status=failure").await;
    assert_eq!(listed.body.as_array().unwrap().len(), 1, "{listed:?}");
    let (id, guid) = (&listed.body[0]["id"], listed.body[0]["guid"].as_str().unwrap());
    let one = scene.app.get(&format!("/app/hook/deliveries/{id}")).await;
    assert_eq!(one.body["request"]["payload"]["issue"]["title"], "One");
    assert_eq!(
        scene.app.send("POST", &format!("/app/hook/deliveries/{id}/attempts"), None).await.status,
        202
    );
    assert!(scene.fake.settled(SOON).await);
    assert_eq!(got.lock().unwrap()[0].0, guid, "another try has the same id");
    let listed = scene.app.get("/app/hook/deliveries").await;
    assert_eq!((&listed.body[0]["redelivery"], &listed.body[0]["status"]), (&json!(true), &json!("OK")));
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn deliveries_come_twice_late_and_in_another_order() {
    let scene = Scene::new().await;
    let (url, got) = endpoint().await;
    scene.fake.set_webhook(&url);
    let ann = scene.fake.drive().collaborator("acme/app", "ann", Role::Write);
    scene.fake.delivering(Delivering::Twice);
    let issue = ann.opens_issue("One", "Text");
    assert!(scene.fake.settled(SOON).await);
    let ids: Vec<String> = got.lock().unwrap().iter().map(|(id, ..)| id.clone()).collect();
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]));
    scene.fake.delivering(Delivering::Reversed(2));
    ann.closes(issue);
    ann.reopens(issue);
    assert!(scene.fake.settled(SOON).await);
    assert_eq!(names(&got)[2..], ["issues.reopened", "issues.closed"]);
    scene.fake.delivering(Delivering::Late(Duration::from_millis(300)));
    let began = std::time::Instant::now();
    ann.closes(issue);
    assert!(scene.fake.settled(SOON).await);
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(names(&got).len(), 5);
    scene.ends_well();
}
