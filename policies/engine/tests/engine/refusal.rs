//! What is said when something does not happen.

use qd_engine::{Policies, Principal, Request};
use qd_types::{PolicyRule, Role, Verb};

use crate::world::*;

fn no(policies: &Policies, request: &Request) -> String {
    let refusal = policies.permit(request).unwrap_err();
    format!("{}\n{}", refusal.reason, refusal.help)
}

fn rule(json: &str) -> Vec<PolicyRule> {
    vec![serde_json::from_str(json).unwrap()]
}

#[test]
fn a_refusal_names_the_policy_and_who_may() {
    let plain = policies(&facts(), &[]);
    assert_eq!(plain.permit(&by("mira", &[Role::Manager], Verb::FeatureAdd, alpha())), Ok(()));
    insta::assert_snapshot!(no(&plain, &by("vera", &[Role::Viewer], Verb::FeatureAdd, alpha())), @"
    You need the role owner, manager or operator for this. You have: viewer.
    Who may: ines, mira, olaf, oskar.
    ");
    insta::assert_snapshot!(no(&plain, &by("nobody", &[Role::Owner], Verb::FeatureAdd, alpha())), @"
    nobody is not known here.
    Who may: ines, mira, olaf, oskar.
    ");
    let agent = Principal::Agent { team: "alpha".parse().unwrap(), name: "claude".into() };
    insta::assert_snapshot!(no(&plain, &Request::new(agent.clone(), Verb::FeatureAdd, alpha())), @"
    People have to agree first, says the policy operate.ask: 1 operator, not the requester. They are asked when a person does it on the team's board or on the command line, or an agent with its tools.
    Who may do it without asking: ines, mira, olaf, oskar.
    ");
    insta::assert_snapshot!(no(&plain, &Request::new(agent, Verb::ApprovalVote, alpha())), @"
    Only people decide on approvals. So says the policy never.decide.
    Who may: ines, mira, olaf, oskar, rosa.
    ");

    let asks = rule(r#"{"name": "careful", "actions": ["feature.cancel"], "effect": "ask", "quorum": 2}"#);
    insta::assert_snapshot!(no(&policies(&facts(), &asks), &by("mira", &[Role::Manager], Verb::FeatureCancel, alpha())), @"
    People have to agree first, says the rule careful of the configuration: 2 owners, not the requester. They are asked when a person does it on the team's board or on the command line, or an agent with its tools.
    Who could agree: ines, olaf.
    ");
    let stays = rule(
        r#"{"name": "stay", "actions": ["run.stop"], "effect": "deny", "reason": "Nothing is stopped."}"#,
    );
    insta::assert_snapshot!(no(&policies(&facts(), &stays), &by("mira", &[Role::Manager], Verb::RunStop, alpha())), @"
    Nothing is stopped. So says the rule stay of the configuration.
    Nobody here may as long as the rule stay of the configuration holds.
    ");
}
