//! Who calls: the port that knows a token's run, and the adapter that keeps tokens in memory. Tokens are kept as hashes
//! only, live for a while, and can be taken back. They are no provider's keys, and good for nothing but this gateway.

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jiff::Timestamp;
use qd_types::RunId;
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use crate::budget::RunBudgets;

/// What the time is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What a token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// The run that calls. Its feature is in its name.
    pub run: RunId,
    /// What it may spend.
    pub budgets: RunBudgets,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There was none.
    #[error("the request carries no token: give the agent its run's token as API key")]
    Missing,
    /// Nobody made it, or it was taken back.
    #[error("the token is unknown or was taken back: its run is over, or it is no run's token")]
    Unknown,
    /// Its time is over.
    #[error("the token has expired: its run has to be given a new one")]
    Expired,
}

/// The port: whose token is it?
pub trait Runs: Send + Sync {
    /// The run of a token.
    fn find(&self, token: &str) -> Result<Pass, TokenError>;
}

/// A token could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the system gave no random numbers for a token: {0}")]
pub struct MintError(getrandom::Error);

/// Tokens in memory. Gone with the process, as the agents are.
pub struct Tokens {
    clock: Clock,
    kept: RwLock<HashMap<[u8; 32], Kept>>,
}

struct Kept {
    pass: Pass,
    until: Timestamp,
}

const PREFIX: &str = "qdr_";

/// Whether a text looks like a token of a run.
pub fn is_token(text: &str) -> bool {
    text.len() == PREFIX.len() + 64 && text.starts_with(PREFIX)
}

impl Tokens {
    /// None yet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, kept: RwLock::default() }
    }

    /// Makes a token for a run, 256 random bits, that is good for `lives`. What has expired is forgotten on the way.
    pub fn mint(&self, pass: Pass, lives: Duration) -> Result<SecretString, MintError> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(MintError)?;
        let mut token = PREFIX.to_owned();
        for byte in random {
            // Writing to a string can't fail.
            let _ = write!(token, "{byte:02x}");
        }
        self.keep(&token, pass, lives);
        Ok(token.into())
    }

    /// Takes a token that an earlier program made, for what still works with it.
    pub fn keep(&self, token: &str, pass: Pass, lives: Duration) {
        let now = (self.clock)();
        let until = now.checked_add(lives).unwrap_or(Timestamp::MAX);
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, kept| kept.until > now);
        kept.insert(hash(token), Kept { pass, until });
    }

    /// Takes back every token of a run.
    pub fn revoke(&self, run: &RunId) {
        self.kept.write().unwrap_or_else(PoisonError::into_inner).retain(|_, kept| kept.pass.run != *run);
    }

    /// Gives a run other budgets, as an approval does. They hold from its next call on.
    pub fn set_budgets(&self, run: &RunId, budgets: RunBudgets) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        for kept in kept.values_mut().filter(|kept| kept.pass.run == *run) {
            kept.pass.budgets = budgets;
        }
    }
}

impl Runs for Tokens {
    fn find(&self, token: &str) -> Result<Pass, TokenError> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.get(&hash(token)).ok_or(TokenError::Unknown)?;
        if kept.until <= (self.clock)() { Err(TokenError::Expired) } else { Ok(kept.pass.clone()) }
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicI64, Ordering},
        },
        time::Duration,
    };

    use jiff::Timestamp;
    use secrecy::ExposeSecret as _;

    use super::{Pass, Runs as _, TokenError, Tokens};
    use crate::budget::{Budget, RunBudgets};

    #[test]
    fn a_token_is_good_for_its_run_and_its_time() {
        let now = Arc::new(AtomicI64::new(1_000));
        let clock = Arc::clone(&now);
        let tokens =
            Tokens::new(Arc::new(move || Timestamp::from_second(clock.load(Ordering::Relaxed)).unwrap()));
        let pass = |run: &str| Pass { run: run.parse().unwrap(), budgets: RunBudgets::default() };
        let one = tokens.mint(pass("A-1.1"), Duration::from_secs(60)).unwrap();
        let other = tokens.mint(pass("A-2.1"), Duration::from_secs(60)).unwrap();
        let (one, other) = (one.expose_secret(), other.expose_secret());
        assert_ne!(one, other);
        assert_eq!(tokens.find(one), Ok(pass("A-1.1")));
        assert_eq!(tokens.find("qdr_0"), Err(TokenError::Unknown));

        let budgets = RunBudgets { run: Budget { tokens: Some(1), money: None }, ..RunBudgets::default() };
        tokens.set_budgets(&"A-1.1".parse().unwrap(), budgets);
        assert_eq!(tokens.find(one).unwrap().budgets, budgets);

        // What works on since an earlier program.
        let later = Tokens::new(Arc::new(Timestamp::now));
        assert!(super::is_token(one) && !super::is_token("qdr_0"));
        assert_eq!(later.find(one), Err(TokenError::Unknown));
        later.keep(one, pass("A-1.1"), Duration::from_secs(60));
        assert_eq!(later.find(one), Ok(pass("A-1.1")));

        tokens.revoke(&"A-2.1".parse().unwrap());
        assert_eq!(tokens.find(other), Err(TokenError::Unknown));
        now.store(1_059, Ordering::Relaxed);
        assert!(tokens.find(one).is_ok());
        now.store(1_060, Ordering::Relaxed);
        assert_eq!(tokens.find(one), Err(TokenError::Expired));
    }
}
