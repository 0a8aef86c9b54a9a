//! The embedded fonts: how wide a text is, and lines that fit.

use std::sync::{Arc, LazyLock};

use resvg::usvg::fontdb::Database;
use skrifa::{
    FontRef, MetadataProvider as _,
    instance::{LocationRef, Size},
};

/// The family of both.
pub(crate) const FAMILY: &str = "Inter";

const REGULAR: &[u8] = include_bytes!("../assets/Inter-Regular.otf");
const SEMI_BOLD: &[u8] = include_bytes!("../assets/Inter-SemiBold.otf");

/// What stands for a letter that the fonts do not have.
const UNKNOWN: char = '□';

/// How heavy letters are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    SemiBold,
}

impl Weight {
    /// As CSS has it.
    pub(crate) fn css(self) -> u16 {
        match self {
            Self::Regular => 400,
            Self::SemiBold => 600,
        }
    }

    fn font(self) -> Option<FontRef<'static>> {
        FontRef::new(match self {
            Self::Regular => REGULAR,
            Self::SemiBold => SEMI_BOLD,
        })
        .ok()
    }
}

/// Both fonts, for the renderer.
pub(crate) fn database() -> Arc<Database> {
    static DATABASE: LazyLock<Arc<Database>> = LazyLock::new(|| {
        let mut database = Database::new();
        database.load_font_data(REGULAR.to_vec());
        database.load_font_data(SEMI_BOLD.to_vec());
        Arc::new(database)
    });
    Arc::clone(&DATABASE)
}

/// The text with letters that the fonts have.
pub(crate) fn shown(text: &str) -> String {
    let Some(font) = Weight::Regular.font() else { return text.to_owned() };
    let letters = font.charmap();
    text.chars().map(|letter| if letters.map(letter).is_some() { letter } else { UNKNOWN }).collect()
}

/// How wide a text is, without kerning: at most that wide.
pub(crate) fn width(text: &str, size: f32, weight: Weight) -> f32 {
    let Some(font) = weight.font() else { return 0.0 };
    let (letters, metrics) = (font.charmap(), font.glyph_metrics(Size::new(size), LocationRef::default()));
    let wide = |letter: char| metrics.advance_width(letters.map(letter)?);
    text.chars().map(|letter| wide(letter).unwrap_or(size)).sum()
}

/// The text on one line that fits; an ellipsis stands for the rest.
pub(crate) fn cut(text: &str, size: f32, weight: Weight, most: f32) -> String {
    if width(text, size, weight) <= most {
        return text.to_owned();
    }
    let room = most - width("…", size, weight);
    let (mut out, mut used) = (String::new(), 0.0);
    for letter in text.chars() {
        used += width(letter.encode_utf8(&mut [0; 4]), size, weight);
        if used > room {
            break;
        }
        out.push(letter);
    }
    format!("{}…", out.trim_end())
}

/// The text on at most so many lines that fit, broken between words.
pub(crate) fn lines(text: &str, size: f32, weight: Weight, most: f32, count: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let last = lines.len() == count;
        match lines.last_mut() {
            Some(line) if last || width(&format!("{line} {word}"), size, weight) <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.into_iter().map(|line| cut(&line, size, weight, most)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_the_last_one_is_cut() {
        let text = "Split the importer from the API so that its image is smaller";
        let lines = lines(text, 12.0, Weight::SemiBold, 120.0, 2);
        insta::assert_snapshot!(lines.join("\n"), @"
        Split the importer
        from the API so th…
        ");
        assert!(lines.iter().all(|line| width(line, 12.0, Weight::SemiBold) <= 120.0));
    }

    #[test]
    fn a_letter_that_no_font_has_is_a_box() {
        assert_eq!(shown("Zürich, Αθήνα, Київ, 東京"), "Zürich, Αθήνα, Київ, □□");
    }
}
