//! The decision. A request is evaluated once as it is and once as approved; what is denied only as it is, is asked. Any
//! error on the way is a no.

use std::sync::Arc;

use cedar_policy::{Authorizer, Entities, EntityUid, PolicySet, Request as CedarRequest, Response};
use qd_types::{Ask, Decision, PolicyHash, PolicyRule, Role, Ruling, Verb};
use sha2::{Digest, Sha256};

use crate::{
    bundle::Bundle,
    facts::{Facts, FactsError, Known, KnownPerson, context},
    request::{Principal, Request},
    rules::{RuleError, Rules},
};

/// In place of a policy's id: who or what was asked about is not known.
pub const UNKNOWN: &str = "unknown";
/// In place of a policy's id: no policy permits it.
pub const NONE_PERMITS: &str = "none-permits";
/// In place of a policy's id: the request itself could not be evaluated.
pub const FAILED: &str = "failed";

/// A bundle, the facts that it is evaluated on, and the configuration's rules on top: all that decides.
#[derive(Debug)]
pub struct Policies {
    pub(crate) bundle: Arc<Bundle>,
    pub(crate) known: Arc<Known>,
    pub(crate) rules: Arc<Rules>,
    hash: PolicyHash,
}

/// Why policies can't be put together.
#[derive(Debug, thiserror::Error)]
pub enum PoliciesError {
    /// The facts.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// The configuration's rules.
    #[error(transparent)]
    Rules(#[from] RuleError),
}

/// A ruling, and the policy or rule that it came from.
pub(crate) type Verdict = (Ruling, String);

impl Policies {
    /// The rules are held against the bundle: one that would loosen it without saying so is refused.
    pub fn new(bundle: Arc<Bundle>, facts: &Facts, rules: &[PolicyRule]) -> Result<Self, PoliciesError> {
        let known = Arc::new(Known::new(&bundle, facts)?);
        let rules = Arc::new(Rules::new(rules, &bundle)?);
        Ok(Self::of(bundle, known, rules))
    }

    fn of(bundle: Arc<Bundle>, known: Arc<Known>, rules: Arc<Rules>) -> Self {
        let mut hash = Sha256::new();
        hash.update(bundle.hash().as_str());
        hash.update(rules.canonical());
        let hash = if rules.is_empty() { bundle.hash().clone() } else { PolicyHash::of(&hash.finalize()) };
        Self { bundle, known, rules, hash }
    }

    /// The same with another bundle. The rules are held against it anew.
    pub fn with_bundle(&self, bundle: Arc<Bundle>) -> Result<Self, RuleError> {
        let rules = Arc::new(Rules::new(self.rules.written(), &bundle)?);
        Ok(Self::of(bundle, self.known.clone(), rules))
    }

    /// The same with other rules.
    pub fn with_rules(&self, rules: &[PolicyRule]) -> Result<Self, RuleError> {
        let rules = Arc::new(Rules::new(rules, &self.bundle)?);
        Ok(Self::of(self.bundle.clone(), self.known.clone(), rules))
    }

    /// The same with other facts.
    pub fn with_facts(&self, facts: &Facts) -> Result<Self, FactsError> {
        let known = Arc::new(Known::new(&self.bundle, facts)?);
        Ok(Self::of(self.bundle.clone(), known, self.rules.clone()))
    }

    /// The bundle.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The hash that every decision carries: the bundle's, and with rules of the configuration theirs too.
    pub fn hash(&self) -> &PolicyHash {
        &self.hash
    }

    /// The configuration's rules on top, as they are written.
    pub fn rules(&self) -> &[PolicyRule] {
        self.rules.written()
    }

    /// Rules that are less strict than the bundle, and say so. `policy check` and `doctor` list them.
    pub fn loosened(&self) -> impl Iterator<Item = &PolicyRule> {
        self.rules.written().iter().filter(|rule| rule.loosen)
    }

    /// Everybody who is known, with the most that they may be.
    pub fn people(&self) -> impl Iterator<Item = &KnownPerson> {
        self.known.everybody()
    }

    /// What policy says.
    pub fn decide(&self, request: &Request) -> Decision {
        let (ruling, policy) = self.rules.apply(request, self.base(request), self.known.fleet());
        Decision { ruling, policy, hash: self.hash.clone() }
    }

    /// What the bundle alone says.
    pub(crate) fn base(&self, request: &Request) -> Verdict {
        let (bundle, known) = (&self.bundle, &self.known);
        let words = || missing_role(bundle, known, request);
        evaluate(bundle, known, request, &words).unwrap_or_else(|verdict| verdict)
    }
}

fn deny(policy: impl Into<String>, reason: impl Into<String>) -> Verdict {
    (Ruling::Deny { reason: reason.into() }, policy.into())
}

/// What the bundle says on these facts. `Err` is a denial that was found on the way; `none_permits` is what is said when
/// no policy permits it.
pub(crate) fn evaluate(
    bundle: &Bundle,
    known: &Known,
    request: &Request,
    none_permits: &dyn Fn() -> String,
) -> Result<Verdict, Verdict> {
    let words = &bundle.vocabulary;
    let failed = |text: String| deny(FAILED, format!("The request could not be evaluated: {text}."));
    let principal = known.principal(words, &request.principal).map_err(|text| deny(UNKNOWN, text))?;
    let resource = known.resource(words, &request.resource).map_err(|text| deny(UNKNOWN, text))?;
    let fits = request.verb.target() == request.resource.target();
    let action = words.action(request.verb).zip(bundle.scope(request.verb)).filter(|_| fits);
    let (action, scope) = action
        .ok_or_else(|| failed(format!("{} is not something to do to {}", request.verb, request.resource)))?;
    let narrowed = match &request.principal {
        Principal::Person(person) => {
            known.narrowed(words, person, scope, [action, &resource]).map_err(failed)?
        }
        Principal::Agent { .. } | Principal::Team(_) => None,
    };
    let entities = narrowed.as_ref().unwrap_or(known.entities());
    let pass = |approved| {
        let context = context(&request.resource, approved).map_err(failed)?;
        let (principal, resource): (EntityUid, EntityUid) = (principal.clone(), resource.clone());
        // What the second look is about differs from the first in one truth value: it has the schema's shape already.
        let schema = (!approved).then_some(&words.schema);
        let request = CedarRequest::new(principal, action.clone(), resource, context, schema)
            .map_err(|error| failed(error.to_string()))?;
        authorize(&scope.policies, &request, entities)
    };

    let as_it_is = pass(false)?;
    if as_it_is.allows {
        return Ok((Ruling::Allow, as_it_is.policy()));
    }
    if let Some(forbid) = as_it_is.policies.first() {
        return Err(deny(as_it_is.policy(), reason_of(bundle, forbid)));
    }
    let approved = pass(true)?;
    if !approved.allows {
        return Err(deny(NONE_PERMITS, none_permits()));
    }
    let policy = approved.policy();
    asked(bundle, known, request.verb, &approved.policies).map(|ask| (Ruling::Ask(ask), policy))
}

/// One evaluation: what it says, and the policies that say so, in order of their ids.
struct Pass {
    allows: bool,
    policies: Vec<String>,
}

impl Pass {
    fn policy(&self) -> String {
        self.policies.join("+")
    }
}

/// Cedar skips a policy that can't be evaluated. Here that is a no: it might have been the one that forbids.
fn authorize(policies: &PolicySet, request: &CedarRequest, entities: &Entities) -> Result<Pass, Verdict> {
    let response: Response = Authorizer::new().is_authorized(request, policies, entities);
    if let Some(error) = response.diagnostics().errors().next() {
        let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
        let policy: &str = error.policy_id().as_ref();
        return Err(deny(policy, format!("The policy {policy} could not be evaluated: {}.", error.inner())));
    }
    let mut policies: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
    policies.sort();
    Ok(Pass { allows: response.decision() == cedar_policy::Decision::Allow, policies })
}

/// Who is asked: by all of these policies at once.
fn asked(bundle: &Bundle, known: &Known, verb: Verb, policies: &[String]) -> Result<Ask, Verdict> {
    let mut all: Option<Ask> = None;
    for policy in policies {
        let asking = bundle.facts.get(policy).and_then(|facts| facts.asking.as_ref());
        let Some(asking) = asking else {
            let text = format!("The policy {policy} wants an approval, but does not say of whom.");
            return Err(deny(policy, text));
        };
        let ask = asking.ask(known.fleet(), verb.class());
        all = Some(all.map_or_else(|| ask.clone(), |all| all.and(&ask)));
    }
    let names = policies.join("+");
    match all {
        Some(ask) if !ask.requirement.roles.is_empty() => Ok(ask),
        _ => Err(deny(names.clone(), format!("The policies {names} together leave nobody who may decide."))),
    }
}

fn reason_of(bundle: &Bundle, policy: &str) -> String {
    bundle
        .facts
        .get(policy)
        .map_or_else(|| format!("The policy {policy} forbids it."), |facts| facts.reason.clone())
}

/// "You need the role owner or manager for this. You have: viewer."
fn missing_role(bundle: &Bundle, known: &Known, request: &Request) -> String {
    let Principal::Person(person) = &request.principal else {
        return format!("No policy lets {} {} on {}.", request.principal, request.verb, request.resource);
    };
    let need = or_list(&bundle.matrix().roles_for(request.verb));
    let have: Vec<&str> = known.roles_of(person).iter().map(|role| role.as_str()).collect();
    let have = if have.is_empty() { "none".to_owned() } else { have.join(", ") };
    if need.is_empty() {
        return format!("No role lets a person {} on {}.", request.verb, request.resource);
    }
    format!("You need the role {need} for this. You have: {have}.")
}

/// "owner, manager or operator".
pub(crate) fn or_list(roles: &[Role]) -> String {
    match roles.split_last() {
        Some((last, [])) => last.as_str().to_owned(),
        Some((last, rest)) => {
            let rest: Vec<&str> = rest.iter().map(|role| role.as_str()).collect();
            format!("{} or {last}", rest.join(", "))
        }
        None => String::new(),
    }
}
