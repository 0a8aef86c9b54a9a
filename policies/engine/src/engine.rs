//! The policies that are in force, read by everybody and replaced as a whole. A bundle that is broken never replaces one
//! that holds.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use qd_types::{Decision, PolicyHash, PolicyRule};

use crate::{
    bundle::{Bundle, BundleError, Files, embedded_files, read_files},
    facts::{Facts, FactsError},
    policies::{Policies, PoliciesError},
    refusal::Refusal,
    request::Request,
    rules::RuleError,
};

/// Where the bundle comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The default bundle, which comes with the program.
    Embedded,
    /// A folder of `*.cedar` files.
    Folder(PathBuf),
}

impl Source {
    /// The bundle that is there now.
    pub fn load(&self) -> Result<Arc<Bundle>, BundleError> {
        match self {
            Self::Embedded => Bundle::embedded(),
            Self::Folder(folder) => Bundle::read(folder).map(Arc::new),
        }
    }
}

/// Why policies can't come into force. Those before stay.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The facts, or the configuration's rules.
    #[error(transparent)]
    Policies(#[from] PoliciesError),
    /// The configuration's rules do not fit the new bundle.
    #[error(transparent)]
    Rules(#[from] RuleError),
}

/// What came of a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reloaded {
    /// The bundle is the same.
    Same,
    /// Another is in force from now on.
    Changed {
        /// The hash before.
        from: PolicyHash,
        /// The hash now.
        to: PolicyHash,
    },
    /// Another bundle is there and may widen rights: it waits for people, and the one before stays in force.
    Held {
        /// Hash of the bundle in force.
        from: PolicyHash,
        /// Hash of the bundle that waits.
        to: PolicyHash,
        /// What may widen, see [`Bundle::widened_by`]; then whose rights change, see [`crate::Matrix::diff`].
        change: String,
    },
}

/// The policies in force. Deciding takes no lock.
#[derive(Debug)]
pub struct Engine {
    current: ArcSwap<Policies>,
    /// Where the bundle comes from. Held while policies are replaced, so that no replacement undoes another.
    source: Mutex<Source>,
    /// What may widen rights comes into force only once people approved it.
    guarded: bool,
}

impl Engine {
    /// Loads the bundle and puts it in force.
    pub fn new(source: Source, facts: &Facts, rules: &[PolicyRule]) -> Result<Self, EngineError> {
        let policies = Policies::new(source.load()?, facts, rules)?;
        Ok(Self { current: ArcSwap::from_pointee(policies), source: Mutex::new(source), guarded: false })
    }

    /// From a bundle that was in force before, whatever its source holds now. What the source holds comes into force by
    /// [`Watch::look`], and waits for people if it may widen rights.
    pub fn guarded(
        source: Source,
        bundle: Arc<Bundle>,
        facts: &Facts,
        rules: &[PolicyRule],
    ) -> Result<Self, EngineError> {
        let policies = Policies::new(bundle, facts, rules)?;
        Ok(Self { current: ArcSwap::from_pointee(policies), source: Mutex::new(source), guarded: true })
    }

    /// What policy says now.
    pub fn decide(&self, request: &Request) -> Decision {
        self.current.load().decide(request)
    }

    /// The policies in force.
    pub fn current(&self) -> Arc<Policies> {
        self.current.load_full()
    }

    /// Nothing if policy allows it now; else why not, and what would help. For whoever can't ask people.
    pub fn permit(&self, request: &Request) -> Result<(), Refusal> {
        self.current.load().permit(request)
    }

    /// Reads the bundle again. After an error the one before is still in force.
    pub fn reload(&self) -> Result<Reloaded, EngineError> {
        let source = self.source.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.put(&source, source.load()?)
    }

    /// From now on all of this counts: another bundle, other facts, other rules. After an error nothing has changed.
    pub fn adopt(
        &self,
        source: Source,
        facts: &Facts,
        rules: &[PolicyRule],
    ) -> Result<Reloaded, EngineError> {
        let mut bundle = source.load()?;
        let before = Arc::clone(&self.current.load().bundle);
        if self.guarded && !before.widened_by(&bundle).is_empty() {
            // The look at the new source asks for it.
            bundle = before;
        }
        let after = Policies::new(bundle, facts, rules)?;
        let mut held = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let (from, to) = (self.current.load().hash().clone(), after.hash().clone());
        self.current.store(Arc::new(after));
        *held = source;
        Ok(if from == to { Reloaded::Same } else { Reloaded::Changed { from, to } })
    }

    /// From now on these facts count.
    pub fn set_facts(&self, facts: &Facts) -> Result<(), FactsError> {
        let _replacing = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        self.current.store(Arc::new(self.current.load().with_facts(facts)?));
        Ok(())
    }

    /// From now on these rules of the configuration count.
    pub fn set_rules(&self, rules: &[PolicyRule]) -> Result<(), RuleError> {
        let _replacing = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        self.current.store(Arc::new(self.current.load().with_rules(rules)?));
        Ok(())
    }

    /// Puts a bundle in force that was approved elsewhere, and rules with it. After an error nothing has changed.
    pub fn put_in_force(&self, bundle: Bundle, rules: &[PolicyRule]) -> Result<(), RuleError> {
        let _replacing = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.current.load();
        let bare = before.with_rules(&[])?.with_bundle(Arc::new(bundle))?;
        self.current.store(Arc::new(bare.with_rules(rules)?));
        Ok(())
    }

    /// What people would have to approve before this bundle comes into force.
    fn held(&self, bundle: &Bundle) -> Option<Reloaded> {
        let current = self.current.load();
        let before = current.bundle();
        let widened = if self.guarded { before.widened_by(bundle) } else { Vec::new() };
        if widened.is_empty() {
            return None;
        }
        let change = format!("{}.\n{}", widened.join("; "), before.matrix().diff(bundle.matrix()));
        Some(Reloaded::Held { from: before.hash().clone(), to: bundle.hash().clone(), change })
    }

    fn put(&self, source: &Source, bundle: Arc<Bundle>) -> Result<Reloaded, EngineError> {
        let now = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        if *now != *source {
            // Another came into force meanwhile.
            return Ok(Reloaded::Same);
        }
        let before = self.current.load();
        if bundle.hash() == before.bundle().hash() {
            return Ok(Reloaded::Same);
        }
        let after = before.with_bundle(bundle)?;
        let (from, to) = (before.hash().clone(), after.hash().clone());
        self.current.store(Arc::new(after));
        Ok(Reloaded::Changed { from, to })
    }
}

/// Looks whether the bundle's files changed. Whoever has a clock calls [`Watch::look`] every few seconds.
#[derive(Debug, Default)]
pub struct Watch {
    /// What was tried last, and need not be tried or reported again.
    tried: Option<Files>,
    /// What the last look saw. A change counts once two looks see the same: an editor may be in the middle of it.
    seen: Option<Files>,
    /// The last state of the files was refused. That they hold again is news, even if they are those in force.
    broken: bool,
    /// The bundle that waits for people, and where it came from.
    held: Option<(Source, Arc<Bundle>)>,
    /// Where the last look was.
    place: Option<Source>,
}

impl Watch {
    /// Puts the bundle that waits for people in force: they approved it. [`Reloaded::Same`] if another has taken its place.
    pub fn approved(&mut self, engine: &Engine, to: &str) -> Result<Reloaded, EngineError> {
        match self.held.take() {
            Some((source, bundle)) if bundle.hash().as_str() == to => engine.put(&source, bundle),
            other => {
                self.held = other;
                Ok(Reloaded::Same)
            }
        }
    }

    /// Reloads if the files changed and stand still. An error is told once for each state of the files: it is an alert, and
    /// the bundle before stays in force.
    pub fn look(&mut self, engine: &Engine) -> Option<Result<Reloaded, EngineError>> {
        let source = engine.source.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if self.place.as_ref() != Some(&source) {
            // Another place: what was tried before was not tried there.
            (self.tried, self.seen, self.place) = (None, None, Some(source.clone()));
        }
        let files = match &source {
            Source::Folder(folder) => read_files(folder),
            Source::Embedded => Ok(embedded_files()),
        };
        let files = match files {
            Ok(files) => files,
            Err(error) => {
                // An unreadable folder is told once as well, until it can be read again.
                let told = self.tried.as_ref().is_some_and(Files::is_empty);
                (self.tried, self.seen, self.broken) = (Some(Files::new()), None, true);
                return (!told).then_some(Err(error.into()));
            }
        };
        let still = self.seen.as_ref() == Some(&files);
        let news = self.tried.as_ref() != Some(&files);
        self.seen = Some(files.clone());
        if !(still && news) {
            return None;
        }
        let loaded = Bundle::load(&files);
        self.tried = Some(files);
        let was_held = self.held.take().is_some();
        let told = loaded.map_err(EngineError::from).and_then(|bundle| {
            let bundle = Arc::new(bundle);
            let Some(held) = engine.held(&bundle) else { return engine.put(&source, bundle) };
            // What can't be put in force is not asked for.
            engine.current.load().with_bundle(Arc::clone(&bundle))?;
            self.held = Some((source, bundle));
            Ok(held)
        });
        let was_broken = std::mem::replace(&mut self.broken, told.is_err());
        (was_broken || was_held || !matches!(told, Ok(Reloaded::Same))).then_some(told)
    }
}
