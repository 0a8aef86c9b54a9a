//! What policy says, through the front door: who may, who may not, and in which words.

use std::collections::BTreeSet;

use qd_types::{PolicyRule, Role};
use serde_json::json;

use crate::support::{Answer, Api};

fn said(answer: &Answer) -> String {
    let field = |name: &str| answer.body[name].as_str().unwrap_or_default().to_owned();
    format!("{} {}: {}\n{}", answer.status, field("type"), field("detail"), field("hint"))
}

fn rules(json: &str) -> Vec<PolicyRule> {
    serde_json::from_str(json).unwrap()
}

/// Every request that changes something, and what it is called in the policies. Nothing that they name exists: who may not
/// is refused before anything is looked at.
const MUTATIONS: &[(&str, &str, &str, &str)] = &[
    ("feature.add", "POST", "/features", r#"{"title":"Split"}"#),
    ("feature.edit", "PATCH", "/features/A-1", r#"{"title":"Join"}"#),
    ("feature.comment", "POST", "/features/A-1/comments", r#"{"text":"Why?"}"#),
    ("feature.move", "POST", "/features/A-1/move", r#"{"stage":"ready"}"#),
    ("feature.cancel", "POST", "/features/A-1/cancel", "{}"),
    ("feature.pause", "POST", "/features/A-1/pause", "{}"),
    ("feature.resume", "POST", "/features/A-1/resume", "{}"),
    ("feature.revert", "POST", "/features/A-1/revert", "{}"),
    ("feature.attach", "POST", "/features/A-1/attachments?name=x", "x"),
    ("feature.import", "POST", "/import", r#"{"format":"markdown","text":"- [ ] One"}"#),
    ("project.add", "POST", "/projects", r#"{"name":"q3"}"#),
    ("project.edit", "PATCH", "/projects/q3", r#"{"priority":1}"#),
    ("project.remove", "POST", "/projects/q3/remove", ""),
    (
        "recurring.add",
        "POST",
        "/recurring",
        r#"{"name":"nightly","schedule":"daily at 3:00","feature":{"title":"x"}}"#,
    ),
    ("recurring.run", "POST", "/recurring/nightly/run", ""),
    ("recurring.suspend", "POST", "/recurring/nightly/suspend", ""),
    ("recurring.resume", "POST", "/recurring/nightly/resume", ""),
    ("recurring.remove", "POST", "/recurring/nightly/remove", ""),
    ("run.stop", "POST", "/runs/A-1.1/stop", ""),
    ("plan.accept", "POST", "/runs/A-1.1/plan", "{}"),
    ("operation.retry", "POST", "/operations/1/retry", ""),
    ("operation.drop", "POST", "/operations/1/drop", ""),
    ("operation.stop", "POST", "/operations/1/stop", ""),
    ("preserved.prune", "POST", "/preserved/prune", "{}"),
    ("preserved.restore", "POST", "/preserved/A-1.1/restore", "{}"),
    ("approval.vote", "POST", "/approvals/x/vote", r#"{"ballot":"approve","digest":"x"}"#),
    ("approval.reopen", "POST", "/approvals/x/reopen", ""),
    ("question.answer", "POST", "/questions", r#"{"run":"A-1.1","text":"Why?"}"#),
    ("feature.comment", "POST", "/needs", r#"{"run":"A-1.1","team":"beta","text":"A schema."}"#),
    ("approval.view", "POST", "/approvals/x/snooze", "{}"),
    ("feature.comment", "POST", "/lessons", r#"{"text":"Keep it small."}"#),
    ("plan.accept", "POST", "/lessons/x/remove", ""),
    ("team.pause", "POST", "/pause", "{}"),
    ("team.resume", "POST", "/resume", ""),
];

async fn mutate(api: &Api, method: &str, path: &str, body: &'static str) -> Answer {
    let kind = if path.contains("attachments") { "application/octet-stream" } else { "application/json" };
    api.send(method, path, kind, body).await
}

#[tokio::test]
async fn every_change_is_asked_of_the_policies_under_its_own_name() {
    let never = |verb: &str| json!({ "name": format!("no {verb}"), "actions": [verb], "effect": "deny" });
    let verbs: BTreeSet<&str> = MUTATIONS.iter().map(|(verb, ..)| *verb).collect();
    let rules: Vec<PolicyRule> =
        verbs.into_iter().map(|verb| serde_json::from_value(never(verb)).unwrap()).collect();
    let api = Api::with(&rules).await.caller("olaf", Role::Owner, None);
    for (verb, method, path, body) in MUTATIONS {
        let answer = mutate(&api, method, path, body).await;
        let detail = answer.body["detail"].as_str().unwrap_or_default();
        assert!(
            answer.status == 403 && detail.contains(&format!("the rule no {verb} of")),
            "{method} {path} is not {verb}: {} {}",
            answer.status,
            answer.body
        );
    }
}

#[test]
fn no_change_is_forgotten() {
    let listed = |method: &str, path: &str| {
        MUTATIONS.iter().any(|(_, other, at, _)| {
            let at = at.split('?').next().unwrap_or_default();
            let mut parts = path.split('/').zip(at.split('/'));
            *other == method
                && path.split('/').count() == at.split('/').count()
                && parts.all(|(part, own)| part.starts_with('{') || part == own)
        })
    };
    for (path, operations) in qd_team::document()["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys().map(|method| method.to_uppercase()) {
            let changes = matches!(method.as_str(), "POST" | "PATCH" | "PUT" | "DELETE");
            assert!(!changes || listed(&method, path), "{method} {path} is not in the table");
        }
    }
}

#[tokio::test]
async fn a_refusal_says_why_by_which_policy_and_what_would_help() {
    let file = r#"{"title":"Split"}"#;
    let plain = Api::with(&[]).await;
    let viewer = plain.caller("vera", Role::Viewer, None);
    insta::assert_snapshot!(said(&viewer.json("POST", "/features", file).await), @"
    403 forbidden: You need the role owner, manager or operator for this. You have: viewer.
    Who may: ines, olaf, oskar, theo.
    ");
    let boast = plain.caller("vera", Role::Owner, None);
    insta::assert_snapshot!(said(&boast.json("POST", "/features", file).await), @"
    403 forbidden: You need the role owner, manager or operator for this. You have: none.
    Who may: ines, olaf, oskar, theo.
    ");
    let stranger = plain.caller("nobody", Role::Owner, None);
    insta::assert_snapshot!(said(&stranger.json("POST", "/features", file).await), @"
    403 forbidden: nobody is not known here.
    Who may: ines, olaf, oskar, theo.
    ");
    let agent = plain.caller("ines", Role::Manager, Some("claude"));
    insta::assert_snapshot!(said(&agent.json("POST", "/features", file).await), @"
    403 forbidden: People have to agree first, says the policy operate.ask: 1 operator, not the requester. They are asked when a person does it on the team's board or on the command line, or an agent with its tools.
    Who may do it without asking: ines, olaf, oskar, theo.
    ");
    insta::assert_snapshot!(said(&agent.json("POST", "/approvals/x/vote", r#"{"ballot":"approve","digest":"x"}"#).await), @"
    403 forbidden: Only people decide on approvals. So says the policy never.decide.
    Who may: ines, olaf, oskar, rosa, theo.
    ");
    let other = plain.caller("ines", Role::Manager, Some("nobody"));
    insta::assert_snapshot!(said(&other.json("POST", "/features", file).await), @"
    403 forbidden: agent nobody of alpha is not known here.
    Who may: ines, olaf, oskar, theo.
    ");

    let rules = rules(
        r#"[{"name": "careful", "actions": ["feature.cancel", "project.add"], "effect": "ask", "quorum": 2},
            {"name": "freeze", "actions": ["feature.add"], "effect": "deny", "reason": "Nothing new before the release."}]"#,
    );
    let ines = Api::with(&rules).await.caller("ines", Role::Manager, None);
    insta::assert_snapshot!(said(&ines.json("POST", "/features/A-1/cancel", "{}").await), @"
    404 not-found: There is no feature A-1.
    quarterdeck feature list shows what there is.
    ");
    let asked = ines.json("POST", "/projects", r#"{"name":"q3"}"#).await;
    let text = said(&asked);
    let key = text.split_whitespace().find(|word| word.len() == 26).unwrap();
    insta::assert_snapshot!(text.replace(key, "KEY"), @"
    409 asked: People have to agree first: 2 owners, not the requester. They were asked.
    quarterdeck approvals show KEY has all of it. It is done when they agree.
    ");
    insta::assert_snapshot!(said(&ines.json("POST", "/features", file).await), @"
    403 forbidden: Nothing new before the release. So says the rule freeze of the configuration.
    Nobody here may as long as the rule freeze of the configuration holds.
    ");
}

#[tokio::test]
async fn owners_managers_and_operators_change_everything_and_reviewers_say_something() {
    let api = Api::with(&[]).await;
    for (name, role) in [("ines", Role::Manager), ("olaf", Role::Owner), ("oskar", Role::Operator)] {
        let api = api.caller(name, role, None);
        for (verb, method, path, body) in MUTATIONS {
            let status = mutate(&api, method, path, body).await.status;
            assert_ne!(status, 403, "{name}: {verb}");
        }
    }
    let reviewer = api.caller("rosa", Role::Reviewer, None);
    for (verb, method, path, body) in MUTATIONS {
        let refused = mutate(&reviewer, method, path, body).await.status == 403;
        let says = ["feature.comment", "feature.attach", "approval.view", "approval.vote", "question.answer"]
            .contains(verb);
        assert_eq!(refused, !says, "{verb}");
    }
}
