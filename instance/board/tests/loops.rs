//! Agents that go round in circles.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

use proptest::prelude::*;
use qd_board::loops::{MAX_PERIOD, Repetition, Rounds, normalise};

#[test]
fn what_differs_from_turn_to_turn_is_left_out() {
    let cases = [
        "Attempt 3 of 12 took 4.5 s",
        "commit 4f2a91c on A-142, tree 9daeafb9864cf43055ae93beb0afd6c7d144bfa4",
        "session 550e8400-e29b-41d4-abcd-446655440000, pointer 0x1f",
        "id 01J9XKQZ3V8T2M4N6P7R5S0ABC",
        "  two\tspaces\n and\u{1b}[31m colour ",
        "face the facade: é, step3, decade",
    ];
    insta::assert_snapshot!(cases.map(normalise).join("\n"), @"
    Attempt # of # took #.# s
    commit # on A-#, tree #
    session #, pointer #
    id #
    two spaces and [#m colour
    face the facade: é, step#, decade
    ");
    for case in cases {
        assert_eq!(normalise(&normalise(case)), normalise(case));
    }
}

#[test]
fn it_says_what_repeats_and_how_often() {
    let mut one = Repetition::default();
    let said: Vec<_> = (1..=13).map(|nth| one.feed(&format!("cargo test, try {nth}: failed"))).collect();
    assert!(said[..11].iter().all(Option::is_none));
    insta::assert_snapshot!(said[11].as_ref().unwrap(), @"the same 12 times in a row: cargo test, try #: failed");

    let mut three = Repetition::default();
    let turn = ["read src/lib.rs", "edit src/lib.rs", "cargo test"];
    let said = (0..12).filter_map(|nth| three.feed(turn[nth % 3])).last();
    insta::assert_snapshot!(said.unwrap(), @"the same 3 steps 4 times in a row, the last: cargo test");
    assert_eq!(three.feed("something else"), None);
    assert_eq!(three.feed("cargo test"), None);
}

#[test]
fn blank_blocks_do_not_count_and_long_ones_are_cut() {
    let mut blank = Repetition::new(1);
    assert!((0..100).all(|_| blank.feed(" \n\t").is_none()));
    let said = (0..8).filter_map(|_| blank.feed(&"é ".repeat(10_000))).last().unwrap();
    assert_eq!((said.period, said.turns, said.sample.chars().count()), (1, 8, 121));
}

#[test]
fn two_rounds_with_the_same_tree_change_nothing() {
    let mut rounds = Rounds::default();
    assert_eq!(rounds.ended("a"), None);
    assert_eq!(rounds.ended("b"), None);
    assert_eq!(rounds.ended("b"), Some(2));
    assert_eq!(rounds.ended("b"), Some(3));
    assert_eq!(rounds.ended("a"), None);
    assert_eq!(rounds.ended("b"), None);
}

proptest! {
    /// As if everything were kept and compared.
    #[test]
    fn a_loop_is_seen_as_soon_as_the_window_is_full_of_it(
        noise in prop::collection::vec(0..3usize, 0..30),
        turn in prop::collection::vec(0..3usize, 1..6),
        turns in 0..8usize,
        blocks in 8..20usize,
    ) {
        const WORDS: [&str; 3] = ["alpha", "beta", "gamma"];
        let mut repetition = Repetition::new(blocks);
        let mut all = vec![];
        for block in noise.iter().chain(std::iter::repeat_n(&turn, turns).flatten()) {
            all.push(*block);
            let last = &all[all.len().saturating_sub(blocks)..];
            let circle = |period: &usize| (*period..blocks).all(|at| last[at] == last[at - period]);
            let expected = if last.len() == blocks { (1..=MAX_PERIOD).find(circle) } else { None };
            let said = repetition.feed(WORDS[*block]);
            prop_assert_eq!(said.as_ref().map(|it| it.period), expected);
            if let Some(said) = said {
                prop_assert_eq!(said.turns, blocks / said.period);
                prop_assert_eq!(said.sample, WORDS[*block]);
            }
        }
    }

    /// Numbers, hashes and ids of the same text make no difference.
    #[test]
    fn numbers_make_no_difference(one: u64, other: u64, hash in "[0-9][0-9a-f]{6,39}", other_hash in "[0-9][0-9a-f]{6,39}") {
        let text = |number: u64, hash: &str| format!("run {number} at {hash}: step-{number} failed ({number} ms)");
        prop_assert_eq!(normalise(&text(one, &hash)), normalise(&text(other, &other_hash)));
    }

    #[test]
    fn any_text_is_normalised_once(text in "\\PC{0,80}") {
        let plain = normalise(&text);
        prop_assert!(!plain.bytes().any(|byte| byte.is_ascii_digit()));
        prop_assert_eq!(normalise(&plain), plain);
    }
}
