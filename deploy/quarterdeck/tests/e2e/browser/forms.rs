//! What a person does by forms: files a feature with many fields, edits it, comments, pauses the team, and looks at what
//! gave up. The page that is open follows without being loaded again.

use fantoccini::{Client, Locator, key::Key};

use super::{PATIENCE, click, screenshot, see, text};

async fn set(client: &Client, css: &str, value: &str) {
    see(client, css).await;
    let script = "document.querySelector(arguments[0]).value = arguments[1]";
    client.execute(script, vec![css.into(), value.into()]).await.unwrap();
}

async fn submit(client: &Client, form: &str) {
    see(client, &format!("{form} button")).await;
    let script = "document.querySelector(arguments[0]).requestSubmit()";
    client.execute(script, vec![form.into()]).await.unwrap();
}

/// Waits until an element holds a text.
async fn reads(client: &Client, id: &str, text: &str) {
    let path = format!("//*[@id='{id}'][contains(., \"{text}\")]");
    let waited = client.wait().at_most(PATIENCE).for_element(Locator::XPath(&path)).await;
    waited.unwrap_or_else(|error| panic!("{text} in {id}: {error}"));
}

async fn gone(client: &Client, css: &str) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while client.find(Locator::Css(css)).await.is_ok() {
        assert!(std::time::Instant::now() < deadline, "{css} should be gone");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn press(client: &Client, key: &str) {
    client.active_element().await.unwrap().send_keys(key).await.unwrap();
}

async fn value(client: &Client, css: &str) -> String {
    see(client, css).await.prop("value").await.unwrap().unwrap_or_default()
}

/// Files A-3 through the dialog, into the backlog.
pub(super) async fn file(client: &Client, base: &str) {
    client.goto(&format!("{base}/teams/alpha/")).await.unwrap();
    see(client, "#board").await;
    press(client, "n").await;
    press(client, "Export invoices as UBL").await;
    for (field, value) in [
        ("textarea[name=description]", "As the tax office wants them:\n\n- the sums\n- the **currency**"),
        ("select[name=priority]", "1"),
        ("select[name=size]", "m"),
        ("input[name=due]", "2020-02-29"),
        ("input[name=labels]", "billing, tax"),
        ("textarea[name=checks]", "cargo doc --offline\n\ntrue"),
    ] {
        set(client, &format!("#add {field}"), value).await;
    }
    screenshot(client, "new-feature").await;
    click(client, "#add details.more summary").await;
    set(client, "#add input[name=epic]", "A-99").await;
    click(client, "#add input[name=ready]").await;
    submit(client, "#add form.stack").await;

    // It was refused, on a page of its own: nothing that was typed is lost.
    see(client, "main [role=alert]").await;
    assert_eq!(value(client, "textarea[name=checks]").await, "cargo doc --offline\n\ntrue");
    set(client, "input[name=epic]", "A-1").await;
    click(client, "input[name=ready]").await;
    submit(client, "main form.stack").await;
    let card = text(client, "article[data-id='A-3'][data-stage='backlog'] .row").await;
    for tag in ["priority 1", "M", "late since 2020-02-29", "part of A-1", "billing", "tax"] {
        assert!(card.contains(tag), "{tag} on {card}");
    }
    press(client, "/").await;
    press(client, "size m theo").await;
    gone(client, "article[data-id='A-3']:not([hidden])").await;
    press(client, &Key::Escape.to_string()).await;
    see(client, "article[data-id='A-3']:not([hidden])").await;
}

/// Edits what stands below "More", and says something.
pub(super) async fn edit(client: &Client, base: &str) {
    client.goto(&format!("{base}/teams/alpha/features/A-3")).await.unwrap();
    see(client, "#edit").await;
    press(client, "e").await;
    click(client, "#edit details.more summary").await;
    set(client, "#edit input[name=model]", "large").await;
    set(client, "#edit input[name=money]", "12.5").await;
    set(client, "#edit input[name=tokens]", "many").await;
    submit(client, "#edit form").await;
    see(client, "#edit[open] [role=alert]").await;
    assert_eq!(value(client, "#edit input[name=tokens]").await, "many");
    set(client, "#edit input[name=tokens]", "200000").await;
    set(client, "#edit input[name=reason]", "The tax office answered").await;
    submit(client, "#edit form").await;
    reads(client, "facts", "at most 200,000 tokens, 12.50").await;
    reads(client, "history", "“The tax office answered”").await;

    press(client, "m").await;
    press(client, "Which **profile**?").await;
    submit(client, "form.say").await;
    assert_eq!(text(client, "#said strong").await, "profile");
    screenshot(client, "feature").await;
}

/// Pauses the team and lets it go on, by keys.
pub(super) async fn pause(client: &Client, base: &str) {
    client.goto(&format!("{base}/teams/alpha/")).await.unwrap();
    see(client, "#board").await;
    press(client, "p").await;
    press(client, "the release is on its way").await;
    press(client, &Key::Enter.to_string()).await;
    let banner = text(client, ".banner p").await;
    assert_eq!(banner, "Paused by ines: the release is on its way. What runs goes on, nothing starts.");
    screenshot(client, "paused").await;
    press(client, "p").await;
    gone(client, ".banner").await;
}

/// Nobody wrote a script for A-3: its run gives up, stands in red, and is dropped by a key.
pub(super) async fn operations(client: &Client, base: &str) {
    client.goto(&format!("{base}/teams/alpha/features/A-3")).await.unwrap();
    see(client, "#acts").await;
    press(client, "r").await;
    reads(client, "facts", "ready").await;
    client.goto(&format!("{base}/teams/alpha/operations")).await.unwrap();
    client.execute("window.stays = true", vec![]).await.unwrap();
    reads(client, "operations", "Scripted changed nothing.").await;
    assert_eq!(client.execute("return window.stays", vec![]).await.unwrap(), true, "it was not loaded again");
    gone(client, ".stale").await;
    screenshot(client, "operations").await;
    see(client, ".panel.red tr[data-row]").await;
    press(client, "j").await;
    press(client, "x").await;
    gone(client, ".panel.red").await;
    reads(client, "operations", "Gave up, was dropped").await;
    client.goto(&format!("{base}/teams/alpha/operations?which=gave_up")).await.unwrap();
    reads(client, "operations", "Nothing gave up.").await;
}

/// A project that somebody adds shows on the page that is open.
pub(super) async fn projects(client: &Client, base: &str) {
    client.goto(&format!("{base}/teams/alpha/projects")).await.unwrap();
    reads(client, "projects", "quarterdeck project add").await;
    let add = r#"fetch("/teams/alpha/api/v1/projects", {method: "POST", headers: {"content-type": "application/json"},
        body: JSON.stringify({name: "receipts", goal: "Receipts that **people** can read.", slots: 2,
            milestones: [{name: "Layout", due: "2026-01-31"}, {name: "Currency"}]})}).then(it => arguments[0](it.status))"#;
    assert_eq!(client.execute_async(add, vec![]).await.unwrap(), 201);
    for (milestone, size) in [("Layout", "m"), ("Currency", "s")] {
        let file = r#"fetch("/teams/alpha/api/v1/features", {method: "POST", headers: {"content-type": "application/json"},
            body: JSON.stringify({title: "Part of " + arguments[0], project: "receipts", milestone: arguments[0],
            size: arguments[1]})}).then(it => arguments[2](it.status))"#;
        assert_eq!(client.execute_async(file, vec![milestone.into(), size.into()]).await.unwrap(), 201);
    }
    reads(client, "projects", "0 of 2 merged").await;
    reads(client, "projects", "Layout was due on 2026-01-31").await;
    screenshot(client, "projects").await;
}
