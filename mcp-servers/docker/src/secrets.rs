//! What a container was given may be secret: its environment, and the options of its command. Only values that are known to be
//! harmless are shown, and of commands whatever is not named as a secret.

/// What stands in a value's place.
pub(crate) const HIDDEN: &str = "[hidden]";

/// Variables whose values say nothing about anybody.
const HARMLESS: [&str; 8] = ["PATH", "HOME", "LANG", "TZ", "TERM", "HOSTNAME", "SHELL", "PWD"];

/// Parts of names whose values are secrets.
const NAMES: [&str; 9] = ["pass", "pwd", "secret", "token", "key", "credential", "auth", "private", "dsn"];

/// A variable: `PATH=/bin`, `DATABASE_URL=[hidden]`.
pub(crate) fn variable(text: &str) -> String {
    match text.split_once('=') {
        Some((name, value)) if HARMLESS.contains(&name) => format!("{name}={value}"),
        Some((name, _)) => format!("{name}={HIDDEN}"),
        None => text.to_owned(),
    }
}

/// Whether a name says that its value is secret.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NAMES.iter().any(|part| name.contains(part))
}

/// A command line, without values of options that are named like secrets, and without names and passwords in addresses.
pub(crate) fn command<'a>(words: impl IntoIterator<Item = &'a String>) -> String {
    let mut out = Vec::new();
    let mut next_is_secret = false;
    for word in words {
        let hide = std::mem::take(&mut next_is_secret) && !word.starts_with('-');
        match word.split_once('=') {
            _ if hide => out.push(HIDDEN.to_owned()),
            Some((name, _)) if is_secret(name) => out.push(format!("{name}={HIDDEN}")),
            _ => {
                next_is_secret = word.starts_with('-') && is_secret(word);
                out.push(address(word));
            }
        }
    }
    out.join(" ")
}

/// `postgres://user:word@host` without what stands before the `@`.
fn address(word: &str) -> String {
    if let Some((scheme, rest)) = word.split_once("://")
        && let Some((_, host)) = rest.rsplit_once('@')
    {
        return format!("{scheme}://{HIDDEN}@{host}");
    }
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::{command, variable};

    #[test]
    fn values_are_hidden_unless_they_are_known_to_be_harmless() {
        assert_eq!(variable("PATH=/bin"), "PATH=/bin");
        assert_eq!(variable("COLOUR=red"), "COLOUR=[hidden]");
        assert_eq!(variable("EMPTY"), "EMPTY");
    }

    #[test]
    fn commands_keep_what_is_no_secret() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            command(&words("serve --port 80 --api-token abc --password=x db://me:word@host/db")),
            "serve --port 80 --api-token [hidden] --password=[hidden] db://[hidden]@host/db"
        );
    }
}
