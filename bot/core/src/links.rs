//! Accounts that people link themselves: they get a code where they are known, and say it with the account that is to be theirs.
//! Both sides are proved by it, so nobody else is asked; it gives no role. A code is good once, for a quarter of an hour, for one
//! person and one service, and only its hash is kept.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use qd_command::{Command, Service, parse};
use qd_text::say;
use qd_types::{Identity, Person, PersonId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    answer::Handled,
    chat::{Given, Proof},
    effect::{Effect, Save},
    event::Moment,
    state::FleetState,
};

/// How long a code is good.
const GOOD: SignedDuration = SignedDuration::from_mins(15);

/// The alphabet of codes: Crockford's base 32, in which no letter looks like another (<https://www.crockford.com/base32.html>).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Letters of a code, five bits each.
const LETTERS: u32 = 12;

/// A code, by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkCode {
    /// Who got it.
    pub person: PersonId,
    /// For an account of which service.
    pub service: String,
    /// Until when it is good.
    pub until: Timestamp,
    /// The account that it was said with: it is linked to the person, and then the code is forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said_by: Option<Identity>,
}

/// Whoever keeps which accounts are whose.
#[async_trait]
pub trait Links: Send + Sync {
    /// Services on which accounts are heard.
    fn services(&self) -> Vec<Service>;

    /// The accounts that are linked to a person. The error is a sentence.
    async fn accounts(&self, person: &PersonId) -> Result<Vec<Identity>, String>;

    /// Links an account to a person. No error if it is linked to them already. The error is a sentence.
    async fn link(&self, person: &PersonId, identity: &Identity) -> Result<(), String>;
}

/// Letters and digits alone, so that it does not matter how it is typed.
fn hash(code: &str) -> String {
    let plain: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    // As Crockford has it, what looks alike is the same.
    let plain = plain.to_ascii_uppercase().replace('O', "0").replace(['I', 'L'], "1");
    Sha256::digest(plain).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A fresh code: `ABCDEF-GHJKMN`. The random half of a fresh id has 80 bits, of which it takes 60.
fn fresh(moment: Moment) -> String {
    let random = moment.fresh.random();
    let letter = |place: u32| {
        let five = usize::try_from((random >> (5 * place)) & 31).unwrap_or_default();
        ALPHABET.get(five).copied().map(char::from).unwrap_or_default()
    };
    let mut code: String = (0..LETTERS).map(letter).collect();
    code.insert(6, '-');
    code
}

/// A person wants an account of theirs linked: the code is for them alone.
pub(crate) fn ask(
    state: &mut FleetState,
    person: &Person,
    given: &Given,
    service: Service,
    moment: Moment,
) -> Handled {
    let no = |reply: String| Handled { reply: Some(reply), ..Handled::default() };
    if !state.services.contains(&service) {
        return no(match service {
            Service::Github => say!("link-no-github"),
            Service::Discord => say!("link-no-discord"),
        });
    }
    if given.proof == Proof::Socket {
        return no(say!("not-proved"));
    }
    // Another one takes the place of the one before.
    let mut effects = forget(state, |code| code.person == person.id && code.service == service.as_str());
    let code = fresh(moment);
    let until = moment.at.saturating_add(GOOD).unwrap_or(moment.at);
    let (person, service_name) = (person.id.clone(), service.as_str().to_owned());
    let kept = LinkCode { person, service: service_name, until, said_by: None };
    state.links.insert(hash(&code), kept.clone());
    effects.push(Effect::Save(Save::Link(hash(&code), Some(kept))));
    let reply = match service {
        Service::Github => say!("link-code-github", code = code),
        Service::Discord => say!("link-code-discord", code = code),
    };
    Handled { effects, reply: Some(reply), ..Handled::default() }
}

/// A code is said with an account; `known` is whose that is, if anybody's.
pub(crate) fn redeem(
    state: &mut FleetState,
    identity: &Identity,
    known: Option<&PersonId>,
    code: &str,
    moment: Moment,
) -> Handled {
    let no = |reply: String| Handled { reply: Some(reply), ..Handled::default() };
    let hash = hash(code);
    let good = |code: &&mut LinkCode| {
        code.service == identity.service && code.until > moment.at && code.said_by.is_none()
    };
    let Some(found) = state.links.get_mut(&hash).filter(good) else {
        return no(say!("link-no-code", service = identity.service));
    };
    if known.is_some_and(|known| *known != found.person) {
        return no(say!("link-anothers"));
    }
    found.said_by = Some(identity.clone());
    let effects = vec![Effect::Save(Save::Link(hash.clone(), Some(found.clone())))];
    Handled { effects, links: Some(hash), ..Handled::default() }
}

/// Whether it is a code, said with the account that is to be linked.
pub fn is_code(text: &str) -> bool {
    matches!(parse(text), Ok(Command::LinkCode { .. }))
}

/// Whether it asks for a code: it is for whoever asks alone, and not to be said where others read.
pub(crate) fn asks(text: &str) -> bool {
    matches!(parse(text), Ok(Command::Link { .. }))
}

/// An account that nobody is linked to says something.
pub(crate) fn stranger(state: &mut FleetState, identity: &Identity, text: &str, moment: Moment) -> Handled {
    match parse(text) {
        Ok(Command::LinkCode { code }) => redeem(state, identity, None, &code, moment),
        _ => Handled::default(),
    }
}

/// The account is linked, or can't be: the code is used up.
pub(crate) fn linked(state: &mut FleetState, hash: &str, result: Result<(), String>) -> Handled {
    let Some(code) = state.links.remove(hash) else { return Handled::default() };
    let account = code.said_by.map_or_else(String::new, |by| format!("{}:{}", by.service, by.account));
    let reply = match result {
        Ok(()) => say!("link-done", account = account, person = code.person),
        Err(why) => say!("link-failed", account = account, why = why),
    };
    let effects = vec![Effect::Save(Save::Link(hash.to_owned(), None))];
    Handled { effects, reply: Some(reply), ..Handled::default() }
}

/// Lets go of codes that are good no more.
pub(crate) fn expire(state: &mut FleetState, now: Timestamp) -> Vec<Effect> {
    forget(state, |code| code.said_by.is_none() && code.until <= now)
}

fn forget(state: &mut FleetState, which: impl Fn(&LinkCode) -> bool) -> Vec<Effect> {
    let gone = state.links.extract_if(.., |_, code| which(code));
    gone.map(|(hash, _)| Effect::Save(Save::Link(hash, None))).collect()
}
