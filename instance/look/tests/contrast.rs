//! Text can be read on its ground, in both themes: at least 4.5 to 1 (WCAG 2.2, 1.4.3).

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on panics"
)]

const CSS: &str = include_str!("../assets/look.css");

fn luminance(hex: &str) -> f64 {
    let channel = |from: usize| {
        let value = f64::from(u8::from_str_radix(&hex[from..from + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

fn contrast(one: &str, other: &str) -> f64 {
    let (a, b) = (luminance(one), luminance(other));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn token(block: &str, name: &str) -> String {
    let at = block.find(&format!("--{name}:")).unwrap_or_else(|| panic!("no token {name}"));
    block[at..].split_once(':').unwrap().1.split(';').next().unwrap().trim().to_owned()
}

#[test]
fn text_can_be_read_in_both_themes() {
    let blocks: Vec<&str> = CSS.split('}').filter(|block| block.contains("--ink:")).collect();
    assert_eq!(blocks.len(), 3, "light, dark by choice, dark by preference");
    for block in &blocks {
        for (text, grounds) in [
            ("ink", &["bg", "panel", "sunk", "brass-bg", "ok-bg", "bad-bg"][..]),
            ("soft", &["bg", "panel", "sunk", "brass-bg"]),
            ("faint", &["bg", "panel", "sunk"]),
            ("accent", &["panel"]),
            ("brass", &["brass-bg", "panel"]),
            ("bad", &["panel", "bad-bg"]),
            ("navy", &["panel"]),
            ("on-navy", &["navy"]),
            ("on-brass", &["brass"]),
        ] {
            for ground in grounds {
                let ratio = contrast(&token(block, text), &token(block, ground));
                assert!(ratio >= 4.5, "{text} on {ground}: {ratio:.2}");
            }
        }
    }
    assert_eq!(
        blocks[1].split_once('{').unwrap().1.split_whitespace().collect::<String>(),
        blocks[2].rsplit_once('{').unwrap().1.split_whitespace().collect::<String>(),
        "both dark themes are the same"
    );
}
