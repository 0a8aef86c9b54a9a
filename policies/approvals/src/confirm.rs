//! How each kind of action is confirmed, at the least (`approvals.md`, How it is confirmed). Policy may ask for more.

use qd_types::{Action, Requirement, Role, Subject, Tier};
use serde::{Deserialize, Serialize};

use crate::Directory;

/// How a vote was given. Each is stronger than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// ✅ or ❌ under a message.
    Reaction,
    /// A button, an approving review of that head, a line in the terminal.
    Button,
    /// A button, and then the target's name typed out.
    Typed,
}

/// The least that an action takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floor {
    /// Who decides, where the policies say nothing else.
    pub requirement: Requirement,
    /// The weakest way to say yes. Saying no may take any.
    pub way: Way,
}

/// The least for an action. `protected`: the branch takes two people; `solo`: one person runs the fleet.
pub fn floor(action: &Action, protected: bool, solo: bool) -> Floor {
    let of = |roles: &[Role], count, way| Floor {
        requirement: Requirement { roles: roles.to_vec(), count, solo: false },
        way,
    };
    let two = if solo { 1 } else { 2 };
    let mut floor = match action {
        Action::Plan(_) | Action::Budget(_) | Action::Question(_) => of(&[Role::Manager], 1, Way::Button),
        Action::Policy(_) | Action::Enrolment(_) => of(&[Role::Owner], two, Way::Typed),
        Action::Merge(_) | Action::Push(_) | Action::Tool(_) | Action::Operation(_) => match action.tier() {
            Tier::Read | Tier::Operate => of(&[Role::Operator], 1, Way::Reaction),
            Tier::Merge => {
                of(&[Role::Owner, Role::Reviewer], if protected && !solo { 2 } else { 1 }, Way::Button)
            }
            Tier::Provision => of(&[Role::Manager], 1, Way::Button),
            Tier::Destroy => of(&[Role::Owner], two, Way::Typed),
        },
    };
    floor.requirement.solo = solo;
    floor
}

/// Why what the policies ask for is less than the least, or `None`.
pub fn too_little(subject: &Subject, people: &Directory) -> Option<String> {
    let asked = &subject.requirement;
    let least = floor(&subject.action, false, asked.solo);
    let fleet = people.active();
    let strict = matches!(subject.action.tier(), Tier::Provision | Tier::Destroy);
    if asked.roles.is_empty() || asked.count == 0 {
        return Some("It names nobody who could decide.".to_owned());
    }
    if asked.solo && strict && fleet > 1 {
        return Some(format!(
            "`solo` lets nobody decide alone on this in a fleet of {fleet} people: ask for {}.",
            floor(&subject.action, false, false).requirement.describe()
        ));
    }
    let owners = least.way == Way::Typed && asked.roles != [Role::Owner];
    if asked.count < least.requirement.count || owners {
        return Some(format!(
            "It asks for {}, and at least {} must decide.",
            asked.describe(),
            least.requirement.describe()
        ));
    }
    None
}

/// Why the people that are known can't reach a quorum, or `None`. For `doctor` and `policy check`.
pub fn unreachable(subject: &Subject, people: &Directory) -> Option<String> {
    let asked = &subject.requirement;
    let requesters = people.requesters(subject);
    let can = people
        .people
        .iter()
        .filter_map(|(id, known)| people.person(id, &known.roles))
        .filter(|person| asked.refuses(person, &requesters).is_none())
        .count();
    (can < asked.count as usize).then(|| {
        format!("{} must decide, and of the people that are known only {can} could.", asked.describe())
    })
}
