//! Bundles that are refused, each with its place.

use qd_engine::Bundle;

use crate::world::with;

fn refused(extra: &str) -> String {
    Bundle::load(&with(extra)).unwrap_err().to_string()
}

const ASKS: &str = r#"@quorum("1") @roles("owner") @way("button") @decide_by("1h") @execute_by("1h") @local_votes("no")"#;

#[test]
fn a_broken_bundle_names_policy_and_place() {
    insta::assert_snapshot!(refused("\n\npermit (principal, action, resource;"), @"");
    insta::assert_snapshot!(refused("permit (principal, action, resource);"), @"");
    insta::assert_snapshot!(refused("@id(\"read\") @reason(\"Twice.\")\npermit (principal, action, resource);"), @"");
    insta::assert_snapshot!(refused("// First.\n@id(\"mine\")\npermit (principal, action, resource);"), @"");
    insta::assert_snapshot!(
        refused("@id(\"mine\") @reason(\"x\") permit (principal, action == Action::\"feature.fly\", resource);"),
        @""
    );
    insta::assert_snapshot!(
        refused("@id(\"mine\") @reason(\"x\") permit (principal, action, resource) when { principal.age > 3 };"),
        @""
    );
    insta::assert_snapshot!(
        refused("@id(\"mine\") @reason(\"x\") permit (principal in Role::\"king\", action, resource);"),
        @""
    );
    insta::assert_snapshot!(
        refused("@id(\"mine\") @reason(\"x\") permit (principal == ?principal, action, resource);"),
        @""
    );
    insta::assert_snapshot!(Bundle::load(&qd_engine::Files::new()).unwrap_err(), @"");
}

#[test]
fn who_is_asked_is_said_completely_or_not_at_all() {
    let asking = |annotations: &str, head: &str| {
        refused(&format!(
            "@id(\"mine\") @reason(\"x\") {annotations}\n{head} (principal, action, resource) when {{ context.approved }};"
        ))
    };
    insta::assert_snapshot!(asking(ASKS, "permit"), @"");
    insta::assert_snapshot!(asking(&format!("{ASKS} @solo(\"perhaps\")"), "permit"), @"");
    insta::assert_snapshot!(asking(&format!("{} @solo(\"never\")", ASKS.replace("\"1\"", "\"0\"")), "permit"), @"");
    insta::assert_snapshot!(asking(&format!("{} @solo(\"never\")", ASKS.replace("owner", "king")), "permit"), @"");
    insta::assert_snapshot!(asking(&format!("{} @solo(\"never\")", ASKS.replace("\"1h\"", "\"1y\"")), "permit"), @"");
    insta::assert_snapshot!(asking(&format!("{ASKS} @solo(\"never\") @qourum(\"2\")"), "permit"), @"");
    insta::assert_snapshot!(asking(&format!("{ASKS} @solo(\"never\")"), "forbid"), @"");
    insta::assert_snapshot!(
        refused(&format!("@id(\"mine\") @reason(\"x\") {ASKS} permit (principal, action, resource);")),
        @""
    );
}

#[test]
fn any_change_of_a_bundle_changes_its_hash() {
    let hash = |extra: &str| Bundle::load(&with(extra)).unwrap().hash().clone();
    assert_ne!(hash("// one"), hash("// two"));
    assert_eq!(hash("// one"), hash("// one"));
}
