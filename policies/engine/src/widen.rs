//! Whether another bundle may only narrow rights. It is shown policy by policy, and not on a sample of people and things:
//! a policy may name anybody. What can't be shown to only narrow counts as widening.

use cedar_policy::{Effect, Policy, PolicyId};
use qd_types::Class;
use serde_json::Value;

use crate::{
    annotations::{Asking, Fleet},
    bundle::Bundle,
};

impl Bundle {
    /// What in `new` may widen anybody's rights or ask for less, a sentence for each policy; empty if rights only narrow.
    pub fn widened_by(&self, new: &Self) -> Vec<String> {
        let mut found = Vec::new();
        for policy in new.set.policies().filter(|policy| policy.effect() == Effect::Permit) {
            let id: &PolicyId = policy.id();
            let text = match self.set.policy(id) {
                None => Some(format!("{id} is new, and permits")),
                Some(before) if !says_the_same(before, policy) => {
                    Some(format!("{id} permits something else"))
                }
                Some(_) => {
                    let asking = |bundle: &Self| {
                        bundle.facts.get(AsRef::<str>::as_ref(id)).and_then(|facts| facts.asking.clone())
                    };
                    weaker(asking(self).as_ref(), asking(new).as_ref()).map(|how| format!("{id}: {how}"))
                }
            };
            found.extend(text);
        }
        for policy in self.set.policies() {
            let id: &PolicyId = policy.id();
            let kept = new.set.policy(id).filter(|after| says_the_same(policy, after));
            let asks = self.facts.get(AsRef::<str>::as_ref(id)).is_some_and(|facts| facts.asking.is_some());
            match policy.effect() {
                Effect::Forbid if kept.is_none() => {
                    found.push(format!("{id} does not forbid any more what it did"));
                }
                // Where several ask at once, each makes the others stricter.
                Effect::Permit if asks && new.set.policy(id).is_none() => {
                    found.push(format!("{id} is gone, and asks nobody any more"));
                }
                Effect::Forbid | Effect::Permit => {}
            }
        }
        found.sort();
        found
    }
}

/// Whether effect, scope and conditions are the same, whatever is said above them.
fn says_the_same(one: &Policy, other: &Policy) -> bool {
    let plain = |policy: &Policy| {
        let mut json = policy.to_json().ok()?;
        json.as_object_mut()?.remove("annotations");
        Some(json)
    };
    let (one, other): (Option<Value>, Option<Value>) = (plain(one), plain(other));
    one.is_some() && one == other
}

/// In which respect `new` asks for less than `old`, in words, in whatever fleet.
fn weaker(old: Option<&Asking>, new: Option<&Asking>) -> Option<String> {
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        (Some(_), None) => return Some("it asks nobody any more".to_owned()),
        (None, _) => return None,
    };
    let fleets = [(false, 2), (true, 1), (true, 2)].map(|(solo, people)| Fleet { solo, people });
    let classes = [Class::Operate, Class::Destroy];
    fleets
        .into_iter()
        .flat_map(|fleet| classes.map(|class| (fleet, class)))
        .find_map(|(fleet, class)| new.ask(fleet, class).weaker_than(&old.ask(fleet, class)))
}
