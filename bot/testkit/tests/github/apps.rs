//! Who may what: the App's own token, tokens of installations, personal ones, and what is not seen.

use std::time::Duration;

use qd_testkit::github::{APP, FakeGithub, Options, Role};
use serde_json::json;

use crate::client::{Client, Scene, jwt, now};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_app_is_checked_as_github_checks_it() {
    let scene = Scene::new().await;
    let pem = scene.fake.private_key();
    let told = scene.app.get("/app").await;
    assert_eq!(
        (told.status, &told.body["slug"], &told.body["id"]),
        (200, &json!("quarterdeck"), &json!(APP))
    );
    let cases = [
        (json!({"iat": now() - 60, "exp": now() + 3_600, "iss": APP}), "too far in the future"),
        (json!({"iat": now() - 700, "exp": now() - 100, "iss": APP}), "must be a numeric value"),
        (json!({"iat": now() + 300, "exp": now() + 500, "iss": APP}), "'Issued at' claim"),
        (json!({"iat": now() - 60, "exp": now() + 500, "iss": 7}), "Integration not found"),
    ];
    for (claims, words) in cases {
        let client = Client { base: scene.fake.api_url(), token: Some(jwt(pem, &claims)) };
        let told = client.get("/app").await;
        assert!(told.message().contains(words), "{claims}: {told:?}");
    }
    let other = FakeGithub::start(Options::default()).await;
    let claims = json!({"iat": now() - 60, "exp": now() + 500, "iss": APP});
    let client = Client { base: scene.fake.api_url(), token: Some(jwt(other.private_key(), &claims)) };
    assert_eq!(client.get("/app").await.message(), "A JSON web token could not be decoded");
    assert_eq!(scene.bot.get("/app").await.status, 401);
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_an_installation_has_no_more_than_was_asked_for() {
    let scene = Scene::new().await;
    scene.fake.drive().adds_repository("acme/other", true);
    let path = format!("/app/installations/{}/access_tokens", scene.fake.installation_id());
    let narrow = json!({"repositories": ["app"], "permissions": {"contents": "read"}});
    let told = scene.app.post(&path, narrow).await;
    assert_eq!(told.body["repository_selection"], "selected", "{told:?}");
    let client = Client { base: scene.fake.api_url(), token: told.body["token"].as_str().map(str::to_owned) };
    assert_eq!(client.get("/repos/acme/app/branches").await.status, 200);
    // Not of the token's repositories: not there. Not of its permissions: forbidden.
    assert_eq!(client.get("/repos/acme/other").await.status, 404);
    let issue = client.post("/repos/acme/app/issues", json!({"title": "a"})).await;
    assert_eq!((issue.status, issue.message()), (403, "Resource not accessible by integration"));
    let all = client.get("/installation/repositories").await;
    assert_eq!(all.body["total_count"], 1);
    for (body, words) in [
        (json!({"permissions": {"administration": "write"}}), "not granted to this installation"),
        (json!({"repositories": ["nowhere"]}), "does not exist or is not accessible"),
    ] {
        let told = scene.app.post(&path, body).await;
        assert!(told.status == 422 && told.message().contains(words), "{told:?}");
    }
    assert_eq!(client.send("DELETE", "/installation/token", None).await.status, 204);
    assert_eq!(client.get("/repos/acme/app").await.message(), "Bad credentials");
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_end_and_installations_are_suspended() {
    let scene = Scene::new().await;
    assert_eq!(scene.bot.get("/repos/acme/app").await.status, 200);
    scene.fake.drive().suspends(true);
    let told = scene.bot.get("/repos/acme/app").await;
    assert_eq!((told.status, told.message()), (403, "This installation has been suspended"));
    scene.fake.drive().suspends(false);
    assert_eq!(scene.bot.get("/repos/acme/app").await.status, 200);
    scene.fake.drive().revokes_tokens();
    assert_eq!(scene.bot.get("/repos/acme/app").await.status, 401);
    let client = Client { base: scene.fake.api_url(), token: Some(scene.fake.installation_token()) };
    assert_eq!(client.get("/repos/acme/app").await.status, 200);
    scene.fake.advance(Duration::from_secs(3_601));
    assert_eq!(client.get("/repos/acme/app").await.status, 401);
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_personal_token_is_bound_by_the_person() {
    let scene = Scene::new().await;
    scene.fake.drive().collaborator("acme/app", "ann", Role::Write);
    scene.fake.drive().collaborator("acme/app", "bob", Role::Read);
    let grants = [("issues", "write"), ("contents", "write")];
    let client = |login| Client {
        base: scene.fake.enterprise_url(),
        token: Some(scene.fake.personal_token(login, &grants)),
    };
    let (ann, bob, eve) = (client("ann"), client("bob"), client("eve"));
    assert_eq!(ann.get("/user").await.body["login"], "ann");
    assert_eq!(ann.post("/repos/acme/app/issues", json!({"title": "a"})).await.status, 201);
    assert_eq!(bob.get("/repos/acme/app/issues").await.status, 200);
    assert_eq!(bob.post("/repos/acme/app/labels", json!({"name": "a"})).await.status, 403);
    assert_eq!(eve.get("/repos/acme/app").await.status, 404);
    let told = scene.bot.get("/repos/acme/app/collaborators/ann/permission").await;
    assert_eq!((&told.body["permission"], &told.body["role_name"]), (&json!("write"), &json!("write")));
    let told = scene.bot.get("/repos/acme/app/collaborators/eve/permission").await;
    assert_eq!(told.body["permission"], "none");
    scene.ends_well();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_worth_one_app() {
    let scene = Scene::new().await;
    let manifest = json!({"name": "My Bot", "url": "http://127.0.0.1", "public": false,
        "hook_attributes": {"url": "http://127.0.0.1:1/hook"}, "default_events": ["issues"],
        "default_permissions": {"issues": "write"}});
    let code = scene.fake.drive().accepts_manifest(&manifest);
    let nobody = Client { base: scene.fake.api_url(), token: None };
    let told = nobody.send("POST", &format!("/app-manifests/{code}/conversions"), None).await;
    assert_eq!((told.status, &told.body["slug"]), (201, &json!("my-bot")), "{told:?}");
    let claims = json!({"iat": now() - 60, "exp": now() + 500, "iss": told.body["client_id"]});
    let client =
        Client { base: scene.fake.api_url(), token: Some(jwt(told.body["pem"].as_str().unwrap(), &claims)) };
    assert_eq!(client.get("/app").await.body["permissions"], json!({"issues": "write", "metadata": "read"}));
    assert_eq!(nobody.send("POST", &format!("/app-manifests/{code}/conversions"), None).await.status, 404);
    scene.ends_well();
}
