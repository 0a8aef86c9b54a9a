//! Rights that an owner gives somebody: a role, an identity, an invitation. Owners approve them first; the team that runs here
//! keeps the approval, and what is bound by it is all that is kept until they hold. Taking rights away is not here: that is
//! done at once.

use std::sync::Weak;

use qd_people::{By, Identity, Invitation, People, PeopleError, Profile, Scope, State};
use qd_team::{Caller, ProblemResponse, Rights, RightsStanding, Team};
use qd_types::{IdError, PersonId, PolicyHash, Role, SpentGrant, Verb};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Desk, Roster,
    routes::{invalid, no, refused},
};

/// What is given, bound by the approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "gives", rename_all = "snake_case")]
pub(super) enum Gift {
    /// A new person is invited.
    Invitation {
        /// What is shown.
        name: String,
        /// Roles, in their scopes.
        roles: Vec<(String, Role)>,
    },
    /// Somebody who is known comes back, or sets another passphrase.
    AnotherInvitation,
    /// A role.
    Role {
        /// Where.
        scope: String,
        /// Which.
        role: Role,
    },
    /// A way in which a service knows them.
    Identity {
        /// Like `github:LOGIN`.
        identity: String,
    },
}

/// What came of giving it.
pub(super) enum Given {
    /// They have it. With an invitation, it is shown once.
    Done {
        /// The invitation.
        invitation: Option<Invitation>,
        /// One owner was enough, and why, as a sentence.
        alone: Option<&'static str>,
    },
    /// Other owners have to say yes as well; what to tell people.
    Waits(String),
}

impl Gift {
    fn verb(&self) -> Verb {
        match self {
            Self::Invitation { .. } | Self::AnotherInvitation => Verb::PersonInvite,
            Self::Role { .. } => Verb::PersonRole,
            Self::Identity { .. } => Verb::PersonLink,
        }
    }

    /// What happens, for people.
    fn words(&self, person: &PersonId) -> String {
        let shown = |(scope, role): &(String, Role)| format!("{role} in {scope}");
        match self {
            Self::Invitation { roles, .. } if roles.is_empty() => {
                format!("{person} is invited, without a role")
            }
            Self::Invitation { roles, .. } => {
                let roles: Vec<String> = roles.iter().map(shown).collect();
                format!("{person} is invited, as {}", roles.join(", "))
            }
            Self::AnotherInvitation => {
                format!("{person} is invited again, and sets a passphrase anew")
            }
            Self::Role { scope, role } => format!("{person} gets the role {role} in {scope}"),
            Self::Identity { identity } => format!("{identity} is linked to {person}, and may vote as them"),
        }
    }

    /// What is asked for, of somebody as they are now.
    fn rights(&self, person: &PersonId, profile: Option<&Profile>) -> Rights {
        let state = profile.map(|profile| {
            let roles: Vec<_> =
                profile.roles.iter().map(|(scope, role)| (scope.to_string(), *role)).collect();
            (profile.state, roles)
        });
        Rights {
            person: person.clone(),
            verb: self.verb(),
            arguments: json!({ "changes": [self.words(person)], "rights": self }),
            fingerprint: PolicyHash::sha256(json!(state).to_string().as_bytes()).to_string(),
        }
    }

    /// Does it, in one change.
    fn give(&self, people: &People<'_>, person: &PersonId) -> Result<Option<Invitation>, PeopleError> {
        let corrupt = |source: IdError| PeopleError::Corrupt { table: "approval_requests", source };
        match self {
            Self::Invitation { name, roles } => {
                let scoped = |(scope, role): &(String, Role)| Ok((scope.parse::<Scope>()?, *role));
                let roles = roles.iter().map(scoped).collect::<Result<Vec<_>, _>>().map_err(corrupt)?;
                people.invite(person, name, &roles).map(Some)
            }
            Self::AnotherInvitation => people.invite_again(person).map(Some),
            Self::Role { scope, role } => {
                people.give_role(person, &scope.parse().map_err(corrupt)?, *role).map(|()| None)
            }
            Self::Identity { identity } => {
                people.link(person, &identity.parse().map_err(corrupt)?).map(|()| None)
            }
        }
    }
}

/// Whether a person can do more by it than now. An invitation that waits may be made anew: it was approved.
async fn widens(gift: &Gift, roster: &Roster, person: &PersonId) -> Result<bool, PeopleError> {
    let profile = roster.find(person).await?;
    Ok(!happened(gift, roster, person, profile.as_ref()).await?
        && match (gift, profile) {
            // Somebody whom owners or the configuration let in, and who has not come yet.
            (Gift::AnotherInvitation, Some(known)) => known.state == State::Disabled || known.has_passphrase,
            _ => true,
        })
}

/// Whether they have it already.
async fn happened(
    gift: &Gift,
    roster: &Roster,
    person: &PersonId,
    profile: Option<&Profile>,
) -> Result<bool, PeopleError> {
    Ok(match (gift, profile) {
        (_, None) => false,
        (Gift::Invitation { .. }, Some(_)) => true,
        (Gift::AnotherInvitation, Some(_)) => roster.has_invitation(person).await?,
        (Gift::Role { scope, role }, Some(known)) => {
            known.roles.iter().any(|(where_, has)| where_.to_string() == *scope && has == role)
        }
        (Gift::Identity { identity }, Some(known)) => {
            known.identities.iter().any(|has| has.to_string() == *identity)
        }
    })
}

/// Gives it, or asks owners first. The caller is an owner who proved it, and said yes by giving the command.
pub(super) async fn give(
    desk: &Desk,
    caller: &Caller,
    person: &PersonId,
    gift: &Gift,
) -> Result<Given, ProblemResponse> {
    let failed = |error: PeopleError| refused(&error);
    let _one_at_a_time = desk.giving.lock().await;
    let by = By::Person(caller.person.id.clone());
    // What can't be done is not asked for, and what adds nothing needs nobody. `Taken` is told before, too.
    let (whom, what) = (person.clone(), gift.clone());
    desk.roster.would(by.clone(), move |people| what.give(people, &whom).map(drop)).await.map_err(failed)?;
    let one = desk.roster.owners().await.map_err(failed)? <= 1;
    let widening = widens(gift, &desk.roster, person).await.map_err(failed)?;
    let team = desk.live.get().and_then(Weak::upgrade).and_then(|live| live.teams().into_iter().next());
    match team {
        Some(team) if widening => {
            let profile = desk.roster.find(person).await.map_err(failed)?;
            let standing = team.ask_rights(caller, &gift.rights(person, profile.as_ref())).await?;
            if let RightsStanding::Waits { key, target, approved, needed } = standing {
                return Ok(Given::Waits(waits(gift, person, &key, &target, &approved, needed)));
            }
            for record in team.granted_rights().await? {
                let carried = carry_out_one(desk, &team, &record).await?;
                if let Some((whom, what, invitation)) = carried
                    && (whom, &what) == (person.clone(), gift)
                {
                    return Ok(Given::Done { invitation, alone: one.then_some(ALONE) });
                }
            }
            let hint = "quarterdeck approvals shows what became of it. Give the command again to ask anew.";
            Err(no("refused", 409, "What was approved is not what would be done now.", Some(hint)))
        }
        None if widening && !one => {
            let hint =
                "Start the fleet with quarterdeck up, or a team with quarterdeck instance, and ask there.";
            Err(no(
                "refused",
                409,
                "Two owners decide on this, and no team runs here that could ask them.",
                Some(hint),
            ))
        }
        _ => {
            let (whom, what) = (person.clone(), gift.clone());
            let given = desk.roster.change(by, move |people| what.give(people, &whom)).await;
            let alone = (widening && one).then_some(ALONE);
            Ok(Given::Done { invitation: given.map_err(failed)?, alone })
        }
    }
}

/// Why one owner is enough.
const ALONE: &str = "One owner was enough: there is no other.";

fn waits(
    gift: &Gift,
    person: &PersonId,
    key: &str,
    target: &str,
    approved: &[PersonId],
    needed: u32,
) -> String {
    let by: Vec<&str> = approved.iter().map(PersonId::as_str).collect();
    let mut text = format!(
        "Not yet: {}.\n{} of {needed} owners said yes: {}. Another one says yes in the inbox, or with:\n  quarterdeck approvals approve {key} --type {target}",
        gift.words(person),
        approved.len(),
        by.join(", "),
    );
    if gift.verb() == Verb::PersonInvite {
        text.push_str(&format!("\nThen get the link with:\n  quarterdeck person invite {person} --again"));
    }
    text
}

/// Gives all that owners approved and nobody has yet. What can't be looked up is tried again at the next call.
pub(crate) async fn carry_out(desk: &Desk, team: &Team) {
    let _one_at_a_time = desk.giving.lock().await;
    let granted = match team.granted_rights().await {
        Ok(granted) => granted,
        Err(problem) => {
            return tracing::error!(detail = problem.detail, "approved rights can't be looked up");
        }
    };
    for record in granted {
        if let Err(problem) = carry_out_one(desk, team, &record).await {
            tracing::error!(detail = problem.0.detail, "approved rights can't be given");
        }
    }
}

type Carried = (PersonId, Gift, Option<Invitation>);

/// Gives what one approval says. None if it was given already, or can't be any more.
async fn carry_out_one(
    desk: &Desk,
    team: &Team,
    record: &qd_approvals::Record,
) -> Result<Option<Carried>, ProblemResponse> {
    let failed = |error: PeopleError| refused(&error);
    let subject = &record.approval.subject;
    let bound = subject.binding.as_ref().and_then(|binding| {
        let gift: Gift = serde_json::from_value(binding.arguments.get("rights")?.clone()).ok()?;
        Some((binding.target.parse::<PersonId>().ok()?, gift))
    });
    let Some((person, gift)) = bound else {
        let detail = "What was approved can't be read any more: give the command again.";
        return Err(no("refused", 409, detail, None));
    };
    let profile = desk.roster.find(&person).await.map_err(failed)?;
    let rights = gift.rights(&person, profile.as_ref());
    let done = happened(&gift, &desk.roster, &person, profile.as_ref()).await.map_err(failed)?;
    let Some(grant) = team.spend_rights(record, &rights, done).await? else { return Ok(None) };
    // In the trail it stands under whoever asked, whose yes came first.
    let votes = record.approval.votes.iter().min_by_key(|vote| vote.at);
    let by = votes.map_or(By::Configuration, |vote| By::Person(vote.person.id.clone()));
    let given = granted(grant, desk, by, person.clone(), gift.clone()).await;
    let why = given.as_ref().err().map(ToString::to_string);
    team.rights_given(record.id(), why).await?;
    Ok(Some((person, gift, given.map_err(failed)?)))
}

/// Gives what was approved, once.
async fn granted(
    _grant: SpentGrant,
    desk: &Desk,
    by: By,
    person: PersonId,
    gift: Gift,
) -> Result<Option<Invitation>, PeopleError> {
    desk.roster.change(by, move |people| gift.give(people, &person)).await
}

/// An identity in its one form: what is bound has to be what is linked.
pub(super) fn identity(text: &str) -> Result<Identity, ProblemResponse> {
    text.parse().map_err(|error: IdError| invalid(&error))
}
