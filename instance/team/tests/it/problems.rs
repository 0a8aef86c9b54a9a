//! Whatever can't be done is answered with a problem that has a hint.

use crate::{
    openapi::operations,
    support::{Answer, Api},
};

/// A refusal in a line; fails unless it is a problem with a hint.
fn said(answer: &Answer) -> String {
    let Answer { status, kind, body, .. } = answer;
    assert_eq!(kind, "application/problem+json", "{status}: {body}");
    assert_eq!(body["status"].as_u64(), Some(u64::from(*status)), "{body}");
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    assert!(!text("hint").is_empty() && text("detail").ends_with('.'), "{body}");
    format!("{status} {}: {} {}", text("type"), text("detail"), text("hint"))
}

#[tokio::test]
async fn every_operation_refuses_what_it_can_not_read() {
    let api = Api::new().await;
    let mut tried = 0;
    for (path, method, operation) in operations() {
        let words = path.split('/').map(|word| if word.starts_with('{') { "nonsense" } else { word });
        let mut address = words.collect::<Vec<_>>().join("/");
        let has = |place: &str| {
            operation["parameters"].as_array().into_iter().flatten().any(|each| each["in"] == place)
        };
        if has("query") {
            address.push_str("?nonsense=1");
        }
        let body = operation.get("requestBody").is_some();
        if !(has("path") || has("query") || body) {
            // There is nothing to get wrong.
            continue;
        }
        tried += 1;
        let answer = api.json(&method, &address, if body { "{" } else { "" }).await;
        assert!((400..500).contains(&answer.status), "{method} {address}: {}", answer.status);
        said(&answer);
    }
    assert!(tried > 30, "{tried}");
}

#[tokio::test]
async fn every_path_refuses_a_method_that_it_does_not_have() {
    let api = Api::new().await;
    for (path, ..) in operations() {
        let answer = api.json("DELETE", &path.replace(['{', '}'], ""), "").await;
        assert_eq!(answer.status, 405, "{path}");
        said(&answer);
        assert!(answer.allow.is_some(), "{path} does not say what it takes");
    }
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let api = Api::new().await;
    let refused =
        async |method: &str, path: &str, body: &str| said(&api.json(method, path, body.to_owned()).await);
    insta::assert_snapshot!(refused("GET", "/nothing", "").await, @"404 not-found: There is nothing at /teams/alpha/api/v1/nothing. openapi.json at the root of this API describes every request.");
    insta::assert_snapshot!(refused("DELETE", "/features", "").await, @"405 method-not-allowed: /teams/alpha/api/v1/features does not take DELETE. The Allow header names what it takes; openapi.json at the root of this API says more.");
    insta::assert_snapshot!(refused("GET", "/features?stage=nowhere", "").await, @"422 invalid: Failed to deserialize query string: stage: unknown variant `nowhere`, expected one of `backlog`, `ready`, `running`, `review`, `done`, `cancelled`. openapi.json at the root of this API describes every request.");
    insta::assert_snapshot!(refused("GET", "/features/nonsense", "").await, @r#"422 invalid: "nonsense" is not a feature id: like A-142. Correct it and try again."#);
    insta::assert_snapshot!(refused("GET", "/features/A-9", "").await, @"404 not-found: There is no feature A-9. quarterdeck feature list shows what there is.");
    insta::assert_snapshot!(refused("GET", "/operations/nonsense", "").await, @"422 invalid: Invalid URL: Cannot parse `id` with value `nonsense` to a `u64`. openapi.json at the root of this API describes every request.");
    insta::assert_snapshot!(refused("POST", "/features", "{").await, @"422 invalid: Failed to parse the request body as JSON: EOF while parsing an object at line 1 column 1. openapi.json at the root of this API describes every request.");
    insta::assert_snapshot!(refused("POST", "/features", "{\"titel\":\"x\"}").await, @r#"422 invalid: a feature: has no field "titel": there are agent, assignee, attachments, budget, checks, depends_on, description, due, epic, labels, milestone, model, paths, plan, priority, project, size, source, title, repository, ready. Correct it and try again."#);
    insta::assert_snapshot!(refused("POST", "/features", "{}").await, @"422 invalid: title: is empty: say in one line what is wanted. Correct it and try again.");
    insta::assert_snapshot!(refused("POST", "/resume", "").await, @"409 refused: The team is not paused. Look at where it stands now.");
    insta::assert_snapshot!(refused("POST", "/approvals/nonsense/vote", "{\"ballot\":\"approve\",\"digest\":\"x\"}").await, @"404 not-found: There is no approval nonsense. quarterdeck approvals shows what there is.");
    let plain = api.send("POST", "/features", "text/plain", "{}").await;
    insta::assert_snapshot!(said(&plain), @"415 unsupported-media-type: The body has to be JSON, and to say so. Send it with Content-Type: application/json.");
    let large = format!("{{\"title\":\"{}\"}}", "x".repeat(2 * 1024 * 1024));
    insta::assert_snapshot!(refused("POST", "/features", &large).await, @"413 too-large: The body is larger than 2 MiB. Send less: long texts belong into the repository.");
    api.json("POST", "/features", r#"{"title":"Split"}"#).await;
    let file = vec![0u8; 10 * 1024 * 1024 + 1];
    let file = api.send("POST", "/features/A-1/attachments?name=x", "application/octet-stream", file).await;
    insta::assert_snapshot!(said(&file), @"413 too-large: The file is larger than 10 MiB. Send less: long texts belong into the repository.");
}
