//! Who may do what on this team's board: the policies decide, for the caller, the action and the team.

use jiff::Timestamp;
use qd_engine::{Branch, Principal, Refusal, Request, Resource};
use qd_types::{InstanceName, Person, Target, Verb};

use crate::{
    problem,
    team::{Answer, Caller, Team},
};

/// The alert of policies that can't be put in force.
const ALERT: &str = "policies";

impl Caller {
    /// As whom the policies see the caller: an agent is never the person that it works for.
    fn principal(&self, team: &InstanceName) -> Principal {
        match &self.agent {
            Some(name) => Principal::Agent { team: team.clone(), name: name.clone() },
            None => Principal::Person(self.person.clone()),
        }
    }
}

impl Team {
    /// Nothing if the caller may; otherwise why not, and what would help. Where people have to be asked first it is a no, too.
    pub(crate) fn permit(&self, caller: &Caller, verb: Verb) -> Answer<()> {
        let team = self.name();
        let principal = caller.principal(&team);
        self.ask_policies(principal, verb, Resource::Team(team)).map_err(problem::denied)
    }

    /// The same, of the whole fleet.
    pub(crate) fn permit_fleet(&self, caller: &Caller, verb: Verb) -> Answer<()> {
        let principal = caller.principal(&self.name());
        self.ask_policies(principal, verb, Resource::Fleet).map_err(problem::denied)
    }

    /// The same for a person whose word came from the bot, under the team's own ceiling for them: of the roles that the bot
    /// asserts count those that the team knows them to have. The error says why not, and what would help.
    pub(crate) fn permit_order(&self, person: &Person, verb: Verb) -> Result<(), String> {
        let Some((asserted, _)) = self.under_ceiling(person) else {
            let (id, team) = (&person.id, self.name());
            return Err(format!("{id} is not known to {team}: add them to the people of its configuration."));
        };
        let principal = Principal::Person(asserted);
        let permitted = self.ask_policies(principal, verb, self.resource(verb));
        permitted.map_err(|refusal| format!("{} {}", refusal.reason, refusal.help))
    }

    /// What an order of this kind is given to: the team, or the fleet that it is a part of.
    pub(crate) fn resource(&self, verb: Verb) -> Resource {
        match verb.target() {
            Target::Fleet => Resource::Fleet,
            _ => Resource::Team(self.name()),
        }
    }

    /// A person whose word came from the bot, with the roles that count of those that it asserts; and as the team knows them.
    pub(crate) fn under_ceiling(&self, person: &Person) -> Option<(Person, Person)> {
        let known = self.known(&person.id)?;
        let roles = person.roles.iter().filter(|role| known.roles.contains(role)).copied().collect();
        Some((Person { id: known.id.clone(), roles }, known))
    }

    /// The same for the team itself, which pushes a branch of its own.
    pub(crate) fn permit_push(&self, branch: Branch) -> Result<(), Refusal> {
        self.ask_policies(Principal::Team(self.name()), Verb::Push, Resource::Branch(branch))
    }

    fn ask_policies(&self, principal: Principal, verb: Verb, resource: Resource) -> Result<(), Refusal> {
        let request = Request { team: Some(self.name()), ..Request::new(principal, verb, resource) };
        let permitted = self.options().policies.permit(&request);
        if let Err(refusal) = &permitted {
            tracing::info!(who = %request.principal, %verb, policy = refusal.decision.policy, "refused by policy");
        }
        permitted
    }

    /// Says on the board, and to the bot, that policies could not be put in force; those before stay.
    pub async fn policies_broken(&self, text: &str) -> Answer<()> {
        self.store().raise(ALERT, text, false, Timestamp::now()).await.map_err(problem::from_store)
    }

    /// What was broken holds again.
    pub async fn policies_hold(&self) -> Answer<()> {
        let text = "The policies hold again.";
        self.store().raise(ALERT, text, true, Timestamp::now()).await.map_err(problem::from_store)
    }

    /// An entry of the board's log about the policies.
    pub async fn policies_said(&self, text: String) -> Answer<()> {
        self.store().say("team", "policies", text, Timestamp::now()).await.map_err(problem::from_store)
    }
}
