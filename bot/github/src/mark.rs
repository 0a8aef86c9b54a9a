//! The hidden marker in what is made: an HTML comment at the end of the text, which GitHub does not show.

use qd_core::forge::Marker;

const BEFORE: &str = "<!-- quarterdeck:";
const AFTER: &str = " -->";

/// The marker as it stands in a comment of HTML: what could end the comment is written as `%XX`.
pub(crate) fn written(marker: &Marker) -> String {
    let mut text = String::from(BEFORE);
    for byte in marker.0.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'/' | b':') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text.push_str(AFTER);
    text
}

/// The text with its marker.
pub(crate) fn hide(body: &str, marker: &Marker) -> String {
    let mark = written(marker);
    if body.is_empty() { mark } else { format!("{body}\n\n{mark}") }
}

/// Whether the text carries the marker, at its end.
pub(crate) fn carries(text: &str, marker: &Marker) -> bool {
    text.trim_end().ends_with(&written(marker))
}

/// The marker that the text carries at its end, as it stands there.
pub(crate) fn carried(text: &str) -> Option<&str> {
    let text = text.trim_end();
    text.get(text.rfind(BEFORE)?..).filter(|mark| mark.ends_with(AFTER))
}

/// Whether the text carries a marker of ours, whichever: whoever puts one into a text of their own is not heard in it.
pub(crate) fn is_marked(text: &str) -> bool {
    text.contains(BEFORE)
}

/// The text without a marker.
pub(crate) fn shown(text: &str) -> String {
    // GitHub keeps the line ends that a browser sends.
    let text = text.replace("\r\n", "\n");
    let trimmed = text.trim_end();
    let marked = trimmed.strip_suffix(AFTER).and_then(|text| text.rsplit_once(BEFORE));
    match marked {
        Some((body, mark)) if !mark.contains(' ') => body.trim_end_matches('\n').to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_hidden_and_found_again() {
        let marker = Marker("A-1/r1 --> x".into());
        for body in ["", "Text.", "One\n\nTwo <!-- a note -->"] {
            let text = hide(body, &marker);
            assert!(carries(&text, &marker) && !carries(&text, &Marker("A-1".into())), "{text}");
            assert_eq!(carried(&text), Some(written(&marker).as_str()));
            assert_eq!(shown(&text), body);
        }
        assert_eq!(hide("Text.", &marker), "Text.\n\n<!-- quarterdeck:A%2D1/r1%20%2D%2D%3E%20x -->");
        assert_eq!(shown("One\r\nTwo"), "One\nTwo");
        assert!(!carries("<!-- quarterdeck:m --> and more", &Marker("m".into())));
        assert_eq!(carried("<!-- quarterdeck:m --> and more"), None);
    }
}
