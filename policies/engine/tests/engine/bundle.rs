//! Bundles that are refused, each with its place.

use qd_engine::Bundle;

use crate::world::with;

fn refused(extra: &str) -> String {
    Bundle::load(&with(extra)).unwrap_err().to_string()
}

const ASKS: &str =
    r#"@quorum("1") @roles("owner") @way("button") @decide_by("1h") @execute_by("1h") @local_votes("no")"#;

#[test]
fn a_broken_bundle_names_policy_and_place() {
    insta::assert_snapshot!(refused("\n\npermit (principal, action, resource;"), @"extra.cedar:3: unexpected token `;`");
    insta::assert_snapshot!(refused("permit (principal, action, resource);"), @r#"extra.cedar: a permit has no @id("…") of lower-case letters, digits, dots and hyphens: give it one"#);
    insta::assert_snapshot!(refused("@id(\"read\") @reason(\"Twice.\")\npermit (principal, action, resource);"), @"tiers/read.cedar:3: policy read: extra.cedar:1 has the same id: ids are unique");
    insta::assert_snapshot!(refused("// First.\n@id(\"mine\")\npermit (principal, action, resource);"), @r#"extra.cedar:2: policy mine: @reason("…") is missing: a sentence for whoever is asked or denied"#);
    insta::assert_snapshot!(
        refused("@id(\"mine\") @reason(\"x\") permit (principal, action == Action::\"feature.ad\", resource);"),
        @r#"extra.cedar:1: policy mine: unrecognized action `Action::"feature.ad"`; quarterdeck policy matrix lists all"#
    );
    insta::assert_snapshot!(
        refused("@id(\"mine\") @reason(\"x\") permit (principal, action, resource) when { principal.age > 3 };"),
        @"
    extra.cedar:1: policy mine: attribute `age` on entity type `Agent` not found (did you mean `name`?)
    extra.cedar:1: policy mine: attribute `age` on entity type `Person` not found (did you mean `name`?)
    extra.cedar:1: policy mine: attribute `age` on entity type `Team` not found (did you mean `name`?)
    "
    );
    insta::assert_snapshot!(
        refused("@id(\"mine\") @reason(\"x\") permit (principal in Role::\"king\", action, resource);"),
        @r#"extra.cedar:1: policy mine: entity `Role::"king"` is of an enumerated entity type, but `"king"` is not declared as a valid eid (valid entity eids: "owner", "manager", "operator", "reviewer", "viewer")"#
    );
    insta::assert_snapshot!(
        refused("@id(\"mine\") @reason(\"x\") permit (principal == ?principal, action, resource);"),
        @"extra.cedar: templates with ?principal or ?resource are not used here: write the policy out"
    );
    insta::assert_snapshot!(Bundle::load(&qd_engine::Files::new()).unwrap_err(), @".: there is no policy in it, so nothing would be allowed");
}

#[test]
fn who_is_asked_is_said_completely_or_not_at_all() {
    let asking = |annotations: &str, head: &str| {
        refused(&format!(
            "@id(\"mine\") @reason(\"x\") {annotations}\n{head} (principal, action, resource) when {{ context.approved }};"
        ))
    };
    insta::assert_snapshot!(asking(ASKS, "permit"), @"extra.cedar:1: policy mine: it looks at context.approved, so it asks people: @solo is missing");
    insta::assert_snapshot!(asking(&format!("{ASKS} @solo(\"perhaps\")"), "permit"), @r#"extra.cedar:1: policy mine: @solo("perhaps") has to be never, one or alone"#);
    insta::assert_snapshot!(asking(&format!("{} @solo(\"never\")", ASKS.replace("\"1\"", "\"0\"")), "permit"), @r#"extra.cedar:1: policy mine: @quorum("0") has to be a number from 1 to 20"#);
    insta::assert_snapshot!(asking(&format!("{} @solo(\"never\")", ASKS.replace("owner", "king")), "permit"), @r#"extra.cedar:1: policy mine: @roles("king") has to be roles, separated by commas: owner, manager, operator, reviewer, viewer"#);
    insta::assert_snapshot!(asking(&format!("{} @solo(\"never\")", ASKS.replace("\"1h\"", "\"1y\"")), "permit"), @r#"
    extra.cedar:1: policy mine: @decide_by("1y") has to be a time like 15m, 24h or 1h 30m, at least a minute and at most 30 days
    extra.cedar:1: policy mine: @execute_by("1y") has to be a time like 15m, 24h or 1h 30m, at least a minute and at most 30 days
    "#);
    insta::assert_snapshot!(asking(&format!("{ASKS} @solo(\"never\") @qourum(\"2\")"), "permit"), @"extra.cedar:1: policy mine: @qourum is not known; there are @id, @reason, @quorum, @roles, @way, @decide_by, @execute_by, @local_votes, @solo");
    insta::assert_snapshot!(asking(&format!("{ASKS} @solo(\"never\")"), "forbid"), @"extra.cedar:1: policy mine: a forbid may not look at context.approved: no approval lifts a forbid");
    insta::assert_snapshot!(
        refused(&format!("@id(\"mine\") @reason(\"x\") {ASKS} permit (principal, action, resource);")),
        @"extra.cedar:1: policy mine: it has @quorum, but asks nobody: it does not look at context.approved"
    );
}

#[test]
fn any_change_of_a_bundle_changes_its_hash() {
    let hash = |extra: &str| Bundle::load(&with(extra)).unwrap().hash().clone();
    assert_ne!(hash("// one"), hash("// two"));
    assert_eq!(hash("// one"), hash("// one"));
}
