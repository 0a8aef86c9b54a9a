//! The users of the server's configuration: by which key each is known, and what each may do. Nothing secret stands there: the
//! server learns public keys, and asks whoever connects to sign something.

use std::fmt;

use nkeys::{KeyPair, KeyPairType};
use qd_types::InstanceName;

use crate::{Names, NatsError};

/// The key by which the server knows a user: Ed25519, written as NATS writes it. It signs nothing but what the server asks, and
/// is none of the keys that envelopes are signed with.
#[derive(Clone)]
pub struct UserKey {
    seed: String,
    public: String,
}

impl fmt::Debug for UserKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UserKey").field(&self.public).finish()
    }
}

impl UserKey {
    /// From its 32 secret bytes.
    ///
    /// # Errors
    /// If they are no key.
    pub fn new(secret: &[u8; 32]) -> Result<Self, NatsError> {
        let failed = |error: nkeys::error::Error| NatsError::Key(error.to_string());
        let pair = KeyPair::new_from_raw(KeyPairType::User, *secret).map_err(failed)?;
        Ok(Self { seed: pair.seed().map_err(failed)?, public: pair.public_key() })
    }

    /// What the server's configuration has of it: a word that begins with `U`.
    pub fn public(&self) -> &str {
        &self.public
    }

    pub(crate) fn seed(&self) -> &str {
        &self.seed
    }

    /// Whether this is the public half of a user's key.
    pub fn is_public(text: &str) -> bool {
        let known = KeyPair::from_public_key(text);
        known.is_ok_and(|pair| pair.key_pair_type() == KeyPairType::User)
    }
}

/// The bot's user: it makes the streams and the consumers of its fleet, takes calls, and publishes answers and orders.
pub fn bot_user(names: &Names, nkey: &str) -> String {
    let (up, down) = (names.up_stream(), names.down_stream());
    let publish = [
        "$JS.API.INFO".to_owned(),
        format!("$JS.API.STREAM.*.{up}"),
        format!("$JS.API.STREAM.*.{down}"),
        format!("$JS.API.CONSUMER.*.{up}.>"),
        format!("$JS.API.CONSUMER.*.{down}.>"),
        format!("$JS.API.CONSUMER.*.*.{up}.>"),
        format!("$JS.API.CONSUMER.*.*.{down}.>"),
        format!("$JS.ACK.{up}.>"),
        names.down("*"),
        names.answer("*", "*"),
    ];
    user("bot", nkey, &publish, &[Names::every_inbox("bot")])
}

/// An instance's user: it publishes on its own subject, and reads its own orders and answers. Nothing else.
pub fn instance_user(names: &Names, instance: &InstanceName, nkey: &str) -> String {
    let (name, down) = (instance.as_str(), names.down_stream());
    let publish = [
        names.up(name),
        format!("$JS.API.CONSUMER.INFO.{down}.{name}"),
        format!("$JS.API.CONSUMER.MSG.NEXT.{down}.{name}"),
        format!("$JS.ACK.{down}.{name}.>"),
    ];
    user(name, nkey, &publish, &[names.answer(name, "*"), Names::every_inbox(name)])
}

/// As it stands in the list of users of the server's configuration.
fn user(name: &str, nkey: &str, publish: &[String], subscribe: &[String]) -> String {
    let list = |subjects: &[String]| {
        let line = |subject: &String| format!("                    \"{subject}\"\n");
        subjects.iter().map(line).collect::<String>()
    };
    format!(
        "        # {name}
        {{
            nkey: {nkey}
            permissions: {{
                publish: [
{}                ]
                subscribe: [
{}                ]
            }}
        }}
",
        list(publish),
        list(subscribe)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shown_by_its_public_half_alone() {
        let key = UserKey::new(&[7; 32]).unwrap();
        assert!(UserKey::is_public(key.public()), "{key:?}");
        assert!(!UserKey::is_public(key.seed()));
        assert!(!UserKey::is_public("U"));
        assert!(!format!("{key:?}").contains(key.seed()));
    }

    #[test]
    fn the_shipped_configuration_has_the_users_that_are_printed() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/nats/nats-server.conf");
        let shipped = std::fs::read_to_string(path).unwrap();
        let names = Names::new("home").unwrap();
        let [alpha, beta] = ["alpha", "beta"].map(|name| {
            let nkey = format!("${}_NKEY", name.to_uppercase());
            instance_user(&names, &name.parse().unwrap(), &nkey)
        });
        let users = [bot_user(&names, "$BOT_NKEY"), alpha, beta].concat();
        assert!(shipped.contains(&format!("    users: [\n{users}    ]\n")), "it should have:\n{users}");
    }
}
