//! Names that go to the engine. A value of these types holds nothing but plain ASCII letters, digits and a few marks, and
//! begins with a letter or digit: no path, no option, no second meaning in an address, and nothing that looks like another
//! name.

use std::fmt;

use qd_guard::Fault;

/// Longest name.
const MOST: usize = 128;

/// Longest name of an image, with registry, tag and digest.
const MOST_IMAGE: usize = 300;

/// A container's, network's or volume's name, or a container's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    /// `kind` is the word for what it names.
    pub(crate) fn parse(kind: &str, text: &str) -> Result<Self, Fault> {
        let begins = text.bytes().next().is_some_and(|letter| letter.is_ascii_alphanumeric());
        if begins && text.len() <= MOST && text.bytes().all(is_of_name) {
            return Ok(Self(text.to_owned()));
        }
        Err(Fault::failed(
            format!("{} is no name of a {kind}.", shown(text)),
            "A name has up to 128 letters, digits, _, . and -, all plain ASCII, and begins with a letter or digit.",
        ))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the engine answered for the very thing that was named: its name, or at least 12 characters of its id. The
    /// engine also takes shorter beginnings, which come to mean something else when another thing is made.
    pub(crate) fn names(&self, name: &str, id: &str) -> bool {
        self.0 == name.trim_start_matches('/') || (self.0.len() >= 12 && id.starts_with(&self.0))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_of_name(letter: u8) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'.' | b'-')
}

/// What was given, so that nothing in it hides or acts.
pub(crate) fn shown(text: &str) -> String {
    let start: String = text.chars().take(80).collect();
    format!("\"{}\"", start.escape_default())
}

/// An image, named in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    /// `docker.io/library/alpine`.
    repository: String,
    which: Which,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Which {
    Tag(String),
    /// `sha256:` and 64 digits.
    Digest(String),
}

impl Image {
    /// `alpine`, `alpine:3.22`, `ghcr.io/acme/tool@sha256:…`. Without a tag it is `latest`.
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        let (repository, which) = halves(text).ok_or_else(|| not_an_image(text))?;
        Ok(Self { repository, which: which.unwrap_or_else(|| Which::Tag("latest".to_owned())) })
    }

    /// Whether one of the allowed names covers it. A name that can't be read covers nothing.
    pub(crate) fn is_allowed(&self, allowed: &[String]) -> bool {
        allowed.iter().any(|entry| self.is_covered_by(entry))
    }

    fn is_covered_by(&self, entry: &str) -> bool {
        if let Some(folder) = entry.strip_suffix("/*") {
            // "docker.io/library" has the shape of a repository: a folder of them is read the same way.
            let Some((folder, None)) = halves_of(folder, false) else { return false };
            return self.repository.strip_prefix(&*folder).is_some_and(|rest| rest.starts_with('/'));
        }
        match halves(entry) {
            Some((repository, None)) => repository == self.repository,
            Some((repository, Some(which))) => repository == self.repository && which == self.which,
            None => false,
        }
    }

    /// As the engine takes it.
    pub(crate) fn reference(&self) -> String {
        match &self.which {
            Which::Tag(tag) => format!("{}:{tag}", self.repository),
            Which::Digest(digest) => format!("{}@{digest}", self.repository),
        }
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reference())
    }
}

fn not_an_image(text: &str) -> Fault {
    Fault::failed(
        format!("{} is no name of an image.", shown(text)),
        "Name it as alpine:3.22 or ghcr.io/acme/tool@sha256:…, in small plain letters, with a tag or a digest and not both.",
    )
}

fn halves(text: &str) -> Option<(String, Option<Which>)> {
    halves_of(text, true)
}

/// Repository in full, and tag or digest. `library`: a single word is one of the official images.
fn halves_of(text: &str, library: bool) -> Option<(String, Option<Which>)> {
    if text.len() > MOST_IMAGE {
        return None;
    }
    let (path, which) = if let Some((path, digest)) = text.split_once('@') {
        let hex = digest.strip_prefix("sha256:")?;
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f')) {
            return None;
        }
        (path, Some(Which::Digest(digest.to_owned())))
    } else {
        match text.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(Which::Tag(tag.to_owned()))),
            _ => (text, None),
        }
    };
    if let Some(Which::Tag(tag)) = &which {
        Name::parse("tag", tag).ok()?;
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    let first = *parts.first()?;
    let is_registry = parts.len() > 1 && (first.contains(['.', ':']) || first == "localhost")
        || (!library && parts.len() == 1 && first.contains('.'));
    let registry = if is_registry { parts.remove(0) } else { "docker.io" };
    let (host, port) = registry.split_once(':').map_or((registry, None), |(host, port)| (host, Some(port)));
    if !is_part(host) || port.is_some_and(|port| port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()))
    {
        return None;
    }
    if !parts.iter().all(|part| is_part(part)) {
        return None;
    }
    let path = parts.join("/");
    let library = library && registry == "docker.io" && parts.len() == 1;
    let repository = match (library, path.is_empty()) {
        (true, _) => format!("{registry}/library/{path}"),
        (false, true) => registry.to_owned(),
        (false, false) => format!("{registry}/{path}"),
    };
    Some((repository, which))
}

/// A part of a repository: small letters and digits, with marks between them.
fn is_part(part: &str) -> bool {
    let is_small = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    part.bytes().next().is_some_and(is_small)
        && part.bytes().last().is_some_and(is_small)
        && !part.contains("..")
        && part.bytes().all(|b| is_small(b) || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Image, Name};

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn allowed(image: &str, entries: &[&str]) -> bool {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        Image::parse(image).is_ok_and(|image| image.is_allowed(&entries))
    }

    #[test]
    fn an_image_is_named_in_full() {
        let full = |text: &str| Image::parse(text).map(|image| image.reference()).unwrap_or_default();
        assert_eq!(full("alpine"), "docker.io/library/alpine:latest");
        assert_eq!(full("acme/tool:1.2"), "docker.io/acme/tool:1.2");
        assert_eq!(full("localhost:5000/tool"), "localhost:5000/tool:latest");
        assert_eq!(full(&format!("ghcr.io/acme/tool@{DIGEST}")), format!("ghcr.io/acme/tool@{DIGEST}"));
        for odd in [
            "",
            "-v",
            "--privileged",
            "../alpine",
            "alpine:",
            "alpine:-x",
            "a//b",
            "Alpine",
            "аlpine",
            "alpine@sha256:1",
            "alpine:1@sha256:1",
            "http://evil/x",
            "a b",
            "alpine\0",
            "a:b/c:d/e",
            "alpine:1?x=2",
            "..",
            "a/../b",
            "sha256:",
        ] {
            assert_eq!(full(odd), "", "{odd}");
        }
        assert_eq!(full(&format!("alpine:3@{DIGEST}")), "", "the engine would not look at the tag");
    }

    #[test]
    fn an_entry_covers_what_it_says_and_nothing_beside() {
        assert!(allowed("alpine:3.22", &["alpine:3.22"]));
        assert!(!allowed("alpine:3.21", &["alpine:3.22"]));
        assert!(!allowed("alpine", &["alpine:3.22"]));
        assert!(allowed("alpine:3.21", &["alpine"]));
        assert!(allowed("docker.io/library/alpine:3.21", &["alpine"]));
        assert!(!allowed("evil/alpine", &["alpine"]));
        assert!(!allowed("ghcr.io/library/alpine", &["alpine"]));
        assert!(allowed("ghcr.io/acme/a/b:1", &["ghcr.io/acme/*"]));
        assert!(allowed("ghcr.io/acme/a", &["ghcr.io/*"]));
        assert!(!allowed("ghcr.io/acmeevil/a", &["ghcr.io/acme/*"]));
        assert!(!allowed("ghcr.io/acme", &["ghcr.io/acme/*"]));
        assert!(allowed("acme/tool", &["acme/*"]));
        assert!(!allowed(&format!("alpine@{DIGEST}"), &["alpine:3.22"]));
        assert!(allowed(&format!("alpine@{DIGEST}"), &[&format!("alpine@{DIGEST}")]));
        assert!(!allowed("alpine", &[]));
        assert!(!allowed("alpine", &["*", "", "/*", "**"]), "what can't be read covers nothing");
    }

    proptest! {
        #[test]
        fn a_name_never_holds_more_than_it_says(text in ".{0,40}") {
            if let Ok(name) = Name::parse("container", &text) {
                let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
                prop_assert!(name.as_str().chars().all(plain));
                prop_assert!(name.as_str().starts_with(|c: char| c.is_ascii_alphanumeric()));
            }
        }

        #[test]
        fn an_image_named_in_full_is_read_as_itself(text in "[a-z0-9./:@-]{1,40}") {
            if let Ok(image) = Image::parse(&text) {
                prop_assert_eq!(Image::parse(&image.reference()).unwrap(), image);
            }
        }
    }
}
