//! One token per person, kept in the state folder with mode 0600: what a browser signs in with, and what the command
//! line shows when it speaks as somebody.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use qd_types::{Person, PersonId};
use subtle::ConstantTimeEq as _;

/// Bytes of randomness in a token.
const BYTES: usize = 32;

/// Why tokens can't be had.
#[derive(Debug, thiserror::Error)]
#[error("the token at {} can't be {doing}", path.display())]
pub struct TokenError {
    path: PathBuf,
    doing: &'static str,
    #[source]
    source: io::Error,
}

/// Everybody's tokens.
#[derive(Clone)]
pub struct Tokens {
    people: Vec<(Person, String)>,
}

impl Tokens {
    /// Reads the tokens below `state`, and makes those that are missing.
    pub fn open(state: &Path, people: &[Person]) -> Result<Self, TokenError> {
        let folder = state.join("tokens");
        let failed = |doing| {
            let path = folder.clone();
            move |source| TokenError { path, doing, source }
        };
        fs::create_dir_all(&folder).map_err(failed("made"))?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).map_err(failed("protected"))?;
        let mut all = Vec::new();
        for person in people {
            let token = match Self::read(state, &person.id)? {
                Some(token) => token,
                None => make(&folder.join(person.id.as_str()))?,
            };
            all.push((person.clone(), token));
        }
        Ok(Self { people: all })
    }

    /// One person's token, if there is one below `state`.
    pub fn read(state: &Path, person: &PersonId) -> Result<Option<String>, TokenError> {
        let path = state.join("tokens").join(person.as_str());
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim().to_owned()).filter(|token| token.len() == BYTES * 2)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(TokenError { path, doing: "read", source }),
        }
    }

    /// Whose token it is. Takes the same time whatever is given.
    pub fn person(&self, token: &str) -> Option<&Person> {
        let mut found = None;
        for (person, known) in &self.people {
            if bool::from(known.as_bytes().ct_eq(token.as_bytes())) {
                found = Some(person);
            }
        }
        found
    }

    /// A person's token.
    pub fn of(&self, person: &PersonId) -> Option<&str> {
        self.people.iter().find(|(known, _)| known.id == *person).map(|(_, token)| token.as_str())
    }
}

fn make(path: &Path) -> Result<String, TokenError> {
    let failed = |source| TokenError { path: path.to_owned(), doing: "made", source };
    let mut bytes = [0u8; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| failed(io::Error::other(error.to_string())))?;
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(token.as_bytes()).map_err(failed)?;
    Ok(token)
}
