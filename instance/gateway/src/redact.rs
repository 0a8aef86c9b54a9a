//! Secrets taken out of bytes. Not the transcript's redaction: these are two secrets that are known exactly, the provider's
//! key and the run's token, and neither has a character that JSON would write in another way.

use bytes::Bytes;
use memchr::memmem;

/// Whether the secret is in there.
pub(crate) fn holds(bytes: &[u8], secret: &str) -> bool {
    memmem::find(bytes, secret.as_bytes()).is_some()
}

/// The same without the secret.
pub(crate) fn without(bytes: Bytes, secret: &str) -> Bytes {
    if !holds(&bytes, secret) {
        return bytes;
    }
    let mut clean = Vec::with_capacity(bytes.len());
    let mut rest = &*bytes;
    while let Some((before, from)) =
        memmem::find(rest, secret.as_bytes()).and_then(|at| rest.split_at_checked(at))
    {
        clean.extend_from_slice(before);
        clean.extend_from_slice(b"[redacted]");
        rest = from.get(secret.len()..).unwrap_or_default();
    }
    clean.extend_from_slice(rest);
    clean.into()
}

#[cfg(test)]
mod tests {
    use super::without;

    #[test]
    fn a_secret_is_taken_out_of_a_text() {
        let clean = |text: &'static str| without(text.into(), "sk-1");
        assert_eq!(clean("a sk-1 b sk-1"), "a [redacted] b [redacted]");
        assert_eq!(clean("sk-1sk-1"), "[redacted][redacted]");
        assert_eq!(clean("sk-"), "sk-");
    }
}
