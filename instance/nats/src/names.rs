//! Streams, subjects and consumers of a fleet.

use crate::NatsError;

/// The names of one fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    fleet: String,
}

impl Names {
    /// Of this fleet.
    ///
    /// # Errors
    /// If its name can't be a part of a subject.
    pub fn new(fleet: &str) -> Result<Self, NatsError> {
        Ok(Self { fleet: token(fleet)?.to_owned() })
    }

    /// The stream of calls.
    pub fn up_stream(&self) -> String {
        format!("QD_{}_UP", self.fleet)
    }

    /// The stream of orders.
    pub fn down_stream(&self) -> String {
        format!("QD_{}_DOWN", self.fleet)
    }

    /// Where an instance publishes its calls; `*` for all of them.
    pub fn up(&self, instance: &str) -> String {
        format!("qd.{}.up.{instance}", self.fleet)
    }

    /// Where its orders are published; `*` for those of all.
    pub fn down(&self, instance: &str) -> String {
        format!("qd.{}.down.{instance}", self.fleet)
    }

    /// Where the answer to a call is published; `*` for all of its answers.
    pub fn answer(&self, instance: &str, token: &str) -> String {
        format!("qd.{}.answer.{instance}.{token}", self.fleet)
    }

    /// Who published on a subject of [`Names::up`].
    pub(crate) fn sender<'a>(&self, subject: &'a str) -> Option<&'a str> {
        let sender = subject.strip_prefix(&self.up(""))?;
        token(sender).ok()
    }

    /// The prefix of a user's inboxes: nobody else may read them.
    pub(crate) fn inbox(user: &str) -> String {
        format!("_INBOX_{user}")
    }

    /// All of them.
    pub(crate) fn every_inbox(user: &str) -> String {
        format!("{}.>", Self::inbox(user))
    }
}

/// A word that stands for itself in a subject.
pub(crate) fn token(word: &str) -> Result<&str, NatsError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !word.is_empty() && word.len() <= 64 && word.bytes().all(fits) {
        Ok(word)
    } else {
        Err(NatsError::Name(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_names_its_sender_and_nobody_can_name_another() {
        let names = Names::new("home").unwrap();
        assert_eq!(names.sender(&names.up("alpha")), Some("alpha"));
        assert_eq!(names.sender("qd.home.up.alpha.beta"), None);
        assert_eq!(names.sender("qd.other.up.alpha"), None);
        assert_eq!(names.sender("qd.home.up.*"), None);
        assert!(Names::new("a.b").is_err());
        assert!(Names::new("a>").is_err());
        assert!(Names::new("").is_err());
    }
}
