//! Colours for what is drawn without a browser: the tokens of the pages, from the same file.

const CSS: &str = include_str!("../assets/look.css");

/// Which of the two themes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Dark ink on light ground.
    Light,
    /// Light ink on dark ground.
    Dark,
}

/// The colour of a token, `#rrggbb`, by its name without dashes: `brass-line`. `None` if there is no such token.
pub fn colour(theme: Theme, token: &str) -> Option<&'static str> {
    let (_, block) = CSS.split_once(match theme {
        Theme::Light => ":root {",
        Theme::Dark => ":root[data-theme=\"dark\"] {",
    })?;
    let (block, _) = block.split_once('}')?;
    block.split(';').find_map(|line| {
        let (name, value) = line.trim().strip_prefix("--")?.split_once(':')?;
        (name == token && value.trim().starts_with('#')).then_some(value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_those_of_the_pages() {
        assert_eq!(colour(Theme::Light, "bg"), Some("#f6f6f3"));
        assert_eq!(colour(Theme::Dark, "brass-line"), Some("#b98a3f"));
        assert_eq!(colour(Theme::Dark, "mono"), None);
        assert_eq!(colour(Theme::Dark, "brasss"), None);
    }
}
