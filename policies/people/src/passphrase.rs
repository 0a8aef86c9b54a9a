//! Passphrases: argon2id, and a wait after wrong ones. Hashing takes tens of milliseconds and is done outside of any
//! transaction: an attempt is counted first, then tried, then taken back if it was right. So nobody gains anything by
//! trying many at the same time.

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use jiff::{SignedDuration, Timestamp};
use qd_types::PersonId;
use rusqlite::{OptionalExtension as _, params};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{People, PeopleError, Profile, State, What, lookup};

/// Fewest characters of a passphrase: NIST SP 800-63B-4, section 3.1.1.2, for a password that stands alone.
pub const LEAST_CHARACTERS: usize = 15;

/// Most bytes of a passphrase, so that nobody keeps the process busy with one.
const MOST_BYTES: usize = 1024;

/// Memory in KiB, passes and lanes: OWASP Password Storage Cheat Sheet, argon2id, "m=19456 (19 MiB), t=2, p=1".
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Bytes of salt: RFC 9106, section 3.1, recommends 16.
const SALT: usize = 16;

/// Wrong passphrases without a wait.
const FREE: u32 = 5;
/// The first wait; it doubles with each further one, up to the longest: about a hundred guesses a day (NIST SP 800-63B-4,
/// section 3.2.2, asks for throttling, and names a hundred as the most in a row).
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(30);
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(15);

fn argon2() -> Result<Argon2<'static>, PeopleError> {
    let params =
        Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| PeopleError::Hash(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// A passphrase as it is stored, in PHC string format.
#[derive(Clone, PartialEq, Eq)]
pub struct PassphraseHash(String);

impl std::fmt::Debug for PassphraseHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PassphraseHash(…)")
    }
}

impl PassphraseHash {
    /// Hashes a passphrase that is long enough. Takes tens of milliseconds and 19 MiB: not to be called in a transaction.
    pub fn of(passphrase: &SecretString) -> Result<Self, PeopleError> {
        let text = passphrase.expose_secret();
        if text.chars().count() < LEAST_CHARACTERS {
            return Err(PeopleError::TooShort);
        }
        if text.len() > MOST_BYTES {
            return Err(PeopleError::TooLong);
        }
        hash(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn hash(text: &str) -> Result<PassphraseHash, PeopleError> {
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt).map_err(PeopleError::Random)?;
    let hash: PasswordHash = argon2()?
        .hash_password_with_salt(text.as_bytes(), &salt)
        .map_err(|error| PeopleError::Hash(error.to_string()))?;
    Ok(PassphraseHash(hash.to_string()))
}

/// An attempt at a passphrase, counted as a wrong one until it is proven.
#[derive(Debug)]
pub struct Attempt {
    person: PersonId,
    /// `None` if there is nobody to be: it takes as long, and fails.
    stored: Option<PassphraseHash>,
}

/// That a person was there, with their passphrase. Only [`Attempt::prove`] makes one; [`People::settle`] takes it.
#[derive(Debug)]
pub struct Proof {
    person: PersonId,
    stored: PassphraseHash,
}

impl Attempt {
    /// Tries the passphrase, in time that does not depend on who is asked for or how much of it is right. Takes tens of
    /// milliseconds: not to be called in a transaction.
    pub fn prove(self, passphrase: &SecretString) -> Result<Proof, PeopleError> {
        let text = passphrase.expose_secret();
        let Some(stored) = self.stored.filter(|_| text.len() <= MOST_BYTES) else {
            hash("nobody has this passphrase")?;
            return Err(PeopleError::Passphrase);
        };
        let parsed =
            PasswordHash::new(stored.as_str()).map_err(|error| PeopleError::Hash(error.to_string()))?;
        // The output is compared in constant time, in the library.
        argon2()?.verify_password(text.as_bytes(), &parsed).map_err(|_| PeopleError::Passphrase)?;
        Ok(Proof { person: self.person, stored })
    }
}

impl People<'_> {
    /// Begins an attempt: counts it, and refuses while there is a wait. To be committed before [`Attempt::prove`].
    pub fn attempt(&self, person: &PersonId) -> Result<Attempt, PeopleError> {
        let row: Option<(u32, Option<i64>, Option<String>)> = self
            .tx
            .prepare_cached(
                "SELECT failures, attempted_at, passphrase FROM people WHERE id = ?1 AND state = 'active'",
            )?
            .query_row([person.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((failures, attempted_at, stored)) = row else {
            return Ok(Attempt { person: person.clone(), stored: None });
        };
        let seconds = seconds_to_wait(failures, attempted_at, self.now);
        if seconds > 0 {
            return Err(PeopleError::Throttled { failures, seconds });
        }
        let failures = failures.saturating_add(1);
        self.at_once(|| {
            self.tx
                .prepare_cached("UPDATE people SET failures = ?2, attempted_at = ?3 WHERE id = ?1")?
                .execute(params![person.as_str(), failures, self.now.as_millisecond()])?;
            if failures == FREE { self.record(person, What::Throttled { failures }) } else { Ok(()) }
        })?;
        Ok(Attempt { person: person.clone(), stored: stored.map(PassphraseHash) })
    }

    /// Takes back the count, and says who it is: still active, with the passphrase that was proven. To be called in the
    /// transaction that does what the proof is for.
    pub fn settle(&self, proof: Proof) -> Result<Profile, PeopleError> {
        let Proof { person, stored } = proof;
        let changed = self
            .tx
            .prepare_cached(
                "UPDATE people SET failures = 0, attempted_at = NULL
                 WHERE id = ?1 AND state = 'active' AND passphrase = ?2",
            )?
            .execute(params![person.as_str(), stored.as_str()])?;
        match lookup::find(self.tx, &person)? {
            Some(profile) if changed == 1 && profile.state == State::Active => Ok(profile),
            _ => Err(PeopleError::Passphrase),
        }
    }
}

/// How long until the next attempt. A clock that was set back does not make it longer than the longest wait.
fn seconds_to_wait(failures: u32, attempted_at: Option<i64>, now: Timestamp) -> i64 {
    let Some(doublings) = failures.checked_sub(FREE) else { return 0 };
    let Some(last) = attempted_at.and_then(|at| Timestamp::from_millisecond(at).ok()) else { return 0 };
    let wait = FIRST_WAIT
        .checked_mul(1_i32.checked_shl(doublings.min(10)).unwrap_or(i32::MAX))
        .unwrap_or(LONGEST_WAIT)
        .min(LONGEST_WAIT);
    let left = wait - last.min(now).duration_until(now);
    if left.is_positive() { left.as_secs() + i64::from(left.subsec_nanos() > 0) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_and_ends() {
        let at = |second: i64| Timestamp::from_second(1_780_000_000 + second).unwrap();
        let wait = |failures, now| seconds_to_wait(failures, Some(at(0).as_millisecond()), at(now));
        let waits: Vec<i64> = (3..13).map(|failures| wait(failures, 0)).collect();
        assert_eq!(waits, [0, 0, 30, 60, 120, 240, 480, 900, 900, 900]);
        assert_eq!((wait(5, 29), wait(5, 30), wait(7, 60)), (1, 0, 60));
        assert_eq!(wait(5, -3600), 30, "the clock was set back");
        assert_eq!(wait(u32::MAX, 0), 900);
    }

    #[test]
    fn what_is_stored_names_its_parameters() {
        let hash = PassphraseHash::of(&SecretString::from("correct horse battery staple")).unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
        assert_eq!(format!("{hash:?}"), "PassphraseHash(…)");
    }
}
