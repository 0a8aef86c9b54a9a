//! Which issues a text closes: a closing word before the number, as on GitHub (docs.github.com, "Linking a pull request to an
//! issue"). Not a reader of Markdown: a number in a code block counts too.

/// The words, in small letters.
const WORDS: [&str; 9] =
    ["close", "closes", "closed", "fix", "fixes", "fixed", "resolve", "resolves", "resolved"];

/// The numbers of the issues that this text closes, each once.
pub(crate) fn issues(text: &str) -> Vec<u64> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut numbers: Vec<u64> = words
        .iter()
        .zip(words.iter().skip(1))
        .filter(|(word, _)| WORDS.contains(&word.trim_end_matches(':').to_lowercase().as_str()))
        .filter_map(|(_, number)| {
            let number = number.strip_prefix('#')?;
            number.trim_end_matches(['.', ',', ';', ')']).parse().ok()
        })
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_closing_word_before_a_number_closes_it() {
        let closes = |text| super::issues(text);
        assert_eq!(closes("It is wanted.\n\nCloses #7, fixes: #3."), [3, 7]);
        assert_eq!(closes("Resolves #7 and closes #7"), [7]);
        assert_eq!(closes("See #7. It discloses #8, closes 9, closes other/name#4 and closes #x"), [0; 0]);
    }
}
