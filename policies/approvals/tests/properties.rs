//! What holds for every text, every subject and every envelope.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

mod support;

use proptest::prelude::*;
use qd_approvals::{Cast, SignedVote, difference, inert};
use qd_types::Ballot;
use serde_json::{Value, json};
use support::{World, binding, restart};

/// JSON as tools take it.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-1000..1000_i64).prop_map(Value::from),
        "[a-c\u{e9}\\\\\"/]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-c/]{1,2}", inner, 0..3).prop_map(|map| json!(map)),
        ]
    })
}

/// Text with everything in it that could do harm.
fn any_text() -> impl Strategy<Value = String> {
    let bad = prop::sample::select(vec![
        "@everyone",
        "<@1>",
        "#12",
        "http://x",
        "www.x",
        "**",
        "\n> ",
        "\n",
        "\r",
        "\u{202E}",
        "\u{200B}",
        "`",
        "[a](b)",
        "GH-1",
        "\u{2028}",
        "1. ",
        "\\@",
        "a@b.c",
    ]);
    prop::collection::vec(prop_oneof![3 => bad.prop_map(str::to_owned), 1 => "\\PC{0,4}"], 0..12)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn two_subjects_share_a_digest_if_nothing_differs_and_only_then(one in any_json(), other in any_json()) {
        let (mut left, mut right) = (restart(), restart());
        binding(&mut left).arguments = one.clone();
        binding(&mut right).arguments = other.clone();
        let same = left.digest().unwrap() == right.digest().unwrap();
        prop_assert_eq!(same, one == other);
        prop_assert_eq!(same, difference::between(&left, &right).is_empty());
    }

    #[test]
    fn no_text_mentions_or_hides_anything(text in any_text(), max in 0..80_usize) {
        let shown = inert::markdown(&text, max);
        let letters: Vec<char> = shown.chars().collect();
        for (at, letter) in letters.iter().enumerate() {
            let next = letters.get(at + 1).copied().unwrap_or('\u{200B}');
            prop_assert!(!matches!(letter, '@' | '#') || next == '\u{200B}', "{shown:?}");
            prop_assert!(!letter.is_control() && !matches!(letter, '\u{202E}' | '\u{2028}'), "{shown:?}");
            let escaped = letters[..at].iter().rev().take_while(|before| **before == '\\').count() % 2 == 1;
            // What says that it was cut is ours.
            let ours = shown.contains("… (cut: ");
            prop_assert!(ours || escaped || !matches!(letter, '*' | '`' | '<' | '>' | '[' | '_' | '~' | '|'), "{shown:?}");
        }
        prop_assert!(!shown.contains('\n'));
        for line in inert::quoted("an agent", &text, max).lines().skip(1) {
            prop_assert!(line.starts_with("> "), "{line:?}");
        }
    }

    #[test]
    fn no_text_breaks_the_warnings(text in any_text()) {
        let _ = inert::warnings(&text, &["ines", "mira"]);
    }
}

#[tokio::test]
async fn an_envelope_that_was_touched_anywhere_is_refused() {
    let mut world = World::new();
    let id = world.asked(restart()).await;
    let good = world.sign(&world.statement(&id, "ines", "discord", Ballot::Approve).await);
    let touched = |text: &str, at: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        String::from_utf8(bytes).unwrap()
    };
    let mut tried: Vec<SignedVote> = Vec::new();
    for at in (0..good.payload.len()).step_by(7) {
        tried.push(SignedVote { payload: touched(&good.payload, at), ..good.clone() });
    }
    for at in (0..good.signature.len()).step_by(5) {
        tried.push(SignedVote { signature: touched(&good.signature, at), ..good.clone() });
    }
    tried.push(SignedVote { payload: format!("{} ", good.payload), ..good.clone() });
    tried.push(SignedVote { signature: String::new(), ..good.clone() });
    for vote in tried.into_iter().filter(|vote| *vote != good) {
        assert!(matches!(world.cast(vote.clone()).await, Cast::Refused(_)), "{vote:?}");
    }
    assert!(matches!(world.cast(good).await, Cast::Granted(_)));
}
