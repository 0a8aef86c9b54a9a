//! What a reader can't see in a text, written out: what hides is shown for what it is, never dropped.

/// Marks that turn the direction of writing (UAX #9).
pub fn turns(letter: char) -> bool {
    matches!(letter, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Whatever a reader can't see: control characters, direction, joiners, fillers, selectors, tags, private use.
pub fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || turns(letter)
        || matches!(letter,
            '\u{00AD}' | '\u{034F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200D}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2065}' | '\u{206A}'..='\u{206F}'
            | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
            | '\u{E000}'..='\u{F8FF}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}'
            | '\u{F0000}'..='\u{10FFFF}')
}

/// A text on one line: line ends are spaces, and what can't be seen is written as `⟨U+202E⟩`.
pub fn line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\r' | '\t' => line.push(' '),
            letter if is_hidden(letter) => line.push_str(&format!("⟨U+{:04X}⟩", u32::from(letter))),
            letter => line.push(letter),
        }
    }
    line
}
