//! How each kind of action is confirmed, at the least (`approvals.md`, How it is confirmed). Policy may ask for more.

use qd_types::{Action, Requirement, Role, Subject, Tier};
pub use qd_types::{Confirm, Way};

use crate::{Directory, Proof, Statement, inert};

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

/// What a yes takes: the stricter of the least for its action, and of `asked`, the policy's way, if it says one.
pub fn confirm(subject: &Subject, asked: Option<Way>) -> Confirm {
    let least = floor(&subject.action, false, subject.requirement.solo).way;
    let way = asked.map_or(least, |asked| asked.max(least));
    Confirm { way, typed: Way::Typed == least || Way::Typed == way }
}

/// Why a yes was not given like that, or `None`. `target` is what would have to be typed.
pub fn lack(confirm: Confirm, statement: &Statement, target: &str) -> Option<String> {
    let proven = matches!(statement.proof, Proof::Passphrase | Proof::SignedIn);
    if confirm.way == Way::Passphrase && !proven {
        return Some(
            "A yes to this takes your passphrase: at a terminal, or on a page that you signed in to.".into(),
        );
    }
    // The passphrase is what the person shows; the surface gives a button, or what was typed.
    let least = if confirm.typed { Way::Typed } else { confirm.way.min(Way::Button) };
    if statement.way < least {
        let typed = "the name of what it is done to, typed out";
        let how = if confirm.typed { typed } else { "a button, not a reaction" };
        return Some(format!("A yes to this takes {how}."));
    }
    let wrong = confirm.typed && statement.typed.as_deref() != Some(target);
    wrong.then(|| {
        format!("What was typed is not the name of what this is done to: {}.", inert::plain(target, 80))
    })
}

/// Why what the policies ask for is less than the least, or `None`.
pub fn too_little(subject: &Subject, people: &Directory) -> Option<String> {
    let asked = &subject.requirement;
    let mut least = floor(&subject.action, false, asked.solo);
    if subject.action.is_of_the_fleet() && people.owners() <= 1 {
        // Else a fleet of one owner could never have a second.
        least.requirement.count = 1;
    }
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
