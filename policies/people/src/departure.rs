//! All that ends with a person, at once: tokens, sessions, links, an open invitation, votes on what is still open. And what
//! lacks an owner then.

use std::fmt;

use qd_types::{PersonId, Role};

use crate::{Identity, People, PeopleError, Profile, Scope, State, StateEvent};

/// What ended, and what needs somebody else now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// Who left.
    pub person: PersonId,
    /// Sessions that ended.
    pub sessions: usize,
    /// Tokens that ended.
    pub tokens: usize,
    /// Whether an invitation ended.
    pub invitation: bool,
    /// Identities that were unlinked.
    pub identities: Vec<Identity>,
    /// Open approvals on which their vote does not count any more.
    pub votes: Vec<String>,
    /// Roles that nobody active has any more, where they had them.
    pub vacant: Vec<(Scope, Role)>,
    /// What hangs on them and needs another person.
    pub unowned: Vec<String>,
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { person, sessions, tokens, invitation, identities, votes, vacant, unowned } = self;
        let count =
            |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        let mut ended =
            vec![count(*sessions, "session"), count(*tokens, "token"), count(identities.len(), "link")];
        ended.push(count(votes.len(), "open vote"));
        if *invitation {
            ended.push("an invitation".to_owned());
        }
        writeln!(f, "{person} is shut out. Ended: {}.", ended.join(", "))?;
        if !votes.is_empty() {
            writeln!(f, "Their vote does not count any more on: {}.", votes.join(", "))?;
        }
        if vacant.is_empty() && unowned.is_empty() {
            return writeln!(f, "Nothing lacks an owner.");
        }
        writeln!(f, "What lacks an owner now:")?;
        for (scope, role) in vacant {
            writeln!(f, "  the role {role} in {scope}: nobody active has it")?;
        }
        for thing in unowned {
            writeln!(f, "  {thing}")?;
        }
        Ok(())
    }
}

impl People<'_> {
    /// Ends everything and moves the person to the state that `event` leads to. Neither guards the last owner nor records.
    pub(crate) fn end_everything(
        &self,
        profile: &Profile,
        event: StateEvent,
    ) -> Result<Departure, PeopleError> {
        let id = profile.id.as_str();
        self.move_on(profile, event)?;
        let delete = |sql: &str| Ok::<_, PeopleError>(self.tx.prepare_cached(sql)?.execute([id])?);
        let sessions = delete("DELETE FROM person_tokens WHERE person = ?1 AND kind = 'session'")?;
        let tokens = delete("DELETE FROM person_tokens WHERE person = ?1")?;
        let invitation = delete("DELETE FROM person_invitations WHERE person = ?1")? > 0;
        delete("DELETE FROM person_identities WHERE person = ?1")?;
        delete("UPDATE people SET passphrase = NULL, failures = 0, attempted_at = NULL WHERE id = ?1")?;
        let mut vacant = Vec::new();
        for (scope, role) in &profile.roles {
            if self.holders(scope, *role)? == 0 {
                vacant.push((scope.clone(), *role));
            }
        }
        Ok(Departure {
            person: profile.id.clone(),
            sessions,
            tokens,
            invitation,
            identities: profile.identities.clone(),
            votes: self.host.end_votes(self.tx, &profile.id).map_err(PeopleError::Host)?,
            vacant,
            unowned: self.host.responsible_for(self.tx, &profile.id).map_err(PeopleError::Host)?,
        })
    }

    /// What would lack an owner if this person left: to be shown before anybody is disabled. Changes nothing.
    pub fn would_lack_an_owner(&self, person: &PersonId) -> Result<Vec<String>, PeopleError> {
        let profile = self.known(person)?;
        let mut lacking = Vec::new();
        for (scope, role) in profile.roles.iter().filter(|_| profile.state == State::Active) {
            if self.holders(scope, *role)? == 1 {
                lacking.push(format!("the role {role} in {scope}"));
            }
        }
        lacking.extend(self.host.responsible_for(self.tx, person).map_err(PeopleError::Host)?);
        Ok(lacking)
    }
}
