//! Pictures as they are seen: each is written to the tests' folder (`target/tmp`), for whoever wants to look at it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on panics")]

use jiff::civil::date;
use qd_core::picture::{Board, Card, Charts, Column, Marks, Panel, Picture, Tone};
use qd_pictures::{render, svg};
use qd_types::{Line, Mark};

fn line(done: usize, then: Mark) -> Option<Line> {
    let mut line = Line::default();
    line.0.iter_mut().take(done).for_each(|mark| *mark = Mark::Done);
    if let Some(mark) = line.0.get_mut(done) {
        *mark = then;
    }
    Some(line)
}

fn card(id: &str, title: &str, line: Option<Line>, agent: Option<&str>, sentence: &str, tone: Tone) -> Card {
    let (title, sentence, agent) = (title.into(), sentence.into(), agent.map(str::to_owned));
    Card { feature: id.parse().unwrap(), title, line, agent, sentence, tone }
}

fn column(title: &str, count: usize, cards: Vec<Card>, more: Option<&str>) -> Column {
    Column { title: title.into(), count, cards, more: more.map(str::to_owned) }
}

fn board() -> Board {
    let running = vec![
        card(
            "A-150",
            "Resize disk of vm-204",
            line(1, Mark::Waits),
            Some("codex"),
            "Asks to grow scsi0 by 20 GB. 1 of 1 manager, 41 min left.",
            Tone::Asks,
        ),
        card(
            "A-141",
            "Move sessions to the new cookie",
            line(2, Mark::Failed),
            Some("opencode"),
            "2 checks are red, repair round 3 of 3. Needs a person.",
            Tone::Red,
        ),
        card(
            "A-143",
            "Idempotency keys for refunds",
            line(1, Mark::Now),
            Some("claude"),
            "The agent works since 6 min.",
            Tone::Quiet,
        ),
    ];
    let review = vec![
        card(
            "A-142",
            "Split the importer from the API",
            line(6, Mark::Waits),
            Some("claude"),
            "Asks two owners to merge 4f2a91c into main, one has agreed.",
            Tone::Asks,
        ),
        card(
            "A-139",
            "Paginate the audit page & show <script> as it is",
            line(6, Mark::Now),
            Some("gemini"),
            "Pull request #318: checks pass.",
            Tone::Quiet,
        ),
    ];
    let ready = vec![
        card(
            "A-144",
            "Retry webhooks with backoff",
            None,
            None,
            "Next. Starts when a slot is free.",
            Tone::Quiet,
        ),
        card("A-146", "Delete the legacy importer", None, None, "Waits for A-142 to be merged.", Tone::Quiet),
        card(
            "A-148",
            "Typed errors in the payment client, everywhere where it is called from, tests too",
            None,
            None,
            "Deferred: touches the same files as A-143.",
            Tone::Quiet,
        ),
    ];
    let done = vec![
        card(
            "A-138",
            "Fix the time zone of reports",
            line(9, Mark::Open),
            Some("claude"),
            "Merged as 77d0e1b after 31 min.",
            Tone::Quiet,
        ),
        card(
            "A-137",
            "Faster cold start",
            line(9, Mark::Open),
            Some("codex"),
            "Merged as 1c9e0ab after 22 min.",
            Tone::Quiet,
        ),
    ];
    Board {
        team: "alpha".parse().unwrap(),
        backlog: "Backlog 12".into(),
        caution: None,
        columns: vec![
            column("Running", 3, running, None),
            column("Review", 2, review, None),
            column("Ready", 5, ready, Some("and 2 more")),
            column("Done", 2, done, None),
        ],
    }
}

fn charts() -> Charts {
    let wanted = vec![12, 14, 14, 19, 22, 22, 22, 24, 29, 31, 31, 36, 36, 38];
    let done = vec![2, 3, 3, 7, 9, 12, 12, 12, 15, 19, 22, 24, 27, 31];
    let cost = [
        1_200_000, 900_000, 0, 4_100_000, 3_300_000, 2_800_000, 150_000, 0, 2_900_000, 6_100_000, 3_700_000,
        2_200_000, 2_600_000, 4_400_000,
    ];
    let took: Vec<Vec<u64>> =
        (0..14_u64).map(|day| (0..day % 4).map(|n| 900 + day * 220 + n * 1_300).collect()).collect();
    let panel = |title: &str, said: &str, top: &str, marks| Panel {
        title: title.into(),
        said: said.into(),
        top: top.into(),
        marks,
    };
    Charts {
        team: "alpha".parse().unwrap(),
        title: "alpha, the last 14 days".into(),
        days: (8..22).map(|day| date(2026, 11, day)).collect(),
        ends: ["8 Nov".into(), "21 Nov".into()],
        panels: vec![
            panel(
                "Burn-up",
                "31 of 38 features merged.",
                "38",
                Marks::BurnUp { wanted: ("wanted".into(), wanted), done: ("merged".into(), done) },
            ),
            panel(
                "Cost per day",
                "$34.35 in all, most on 17 Nov with $6.10.",
                "$6.10",
                Marks::Bars { each: cost.to_vec() },
            ),
            panel(
                "Cycle time",
                "38 min from the first run to the merge (median of 20 features).",
                "1 h 21 min",
                Marks::Dots { each: took, median: 2_280 },
            ),
        ],
    }
}

/// The picture, written down to be looked at.
fn drawn(name: &str, picture: &Picture) -> Vec<u8> {
    let png = render(picture).unwrap();
    std::fs::write(format!("{}/{name}.png", env!("CARGO_TARGET_TMPDIR")), &png).unwrap();
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    assert_eq!(u32::from_be_bytes(png[16..20].try_into().unwrap()), 1200);
    assert!(png.len() < 300_000, "{} bytes", png.len());
    png
}

#[test]
fn a_board_is_drawn_the_same_each_time() {
    let picture = Picture::Board(board());
    assert_eq!(drawn("board", &picture), render(&picture).unwrap());
    insta::assert_snapshot!(picture.alt(), @"The board of alpha. Running 3: A-150 Resize disk of vm-204 (1 of 9 steps done, agent waits for a person); A-141 Move sessions to the new cookie (2 of 9 steps done, checks failed); A-143 Idempotency keys for refunds (1 of 9 steps done, agent under way). Review 2: A-142 Split the importer from the API (6 of 9 steps done, review waits for a person); A-139 Paginate the audit page & show <script> as it is (6 of 9 steps done, review under way). Ready 5: A-144 Retry webhooks with backoff; A-146 Delete the legacy importer; A-148 Typed errors in the payment client, everywhere where it is called from, tests too, and 2 more. Done 2: A-138 Fix the time zone of reports (9 of 9 steps done); A-137 Faster cold start (9 of 9 steps done). Backlog 12.");
    let svg = svg(&picture);
    assert!(svg.contains("Paginate the audit page &amp; show"), "{svg}");
    // What waits for a person and what is broken, and nothing else, has an edge of its own.
    assert_eq!(svg.matches("stroke=\"#b98a3f\"").count(), 2);
    assert_eq!(svg.matches("stroke=\"#ef8f88\"").count(), 1);
}

#[test]
fn an_empty_board_and_a_silent_team_are_pictures() {
    let nothing = |title, text| column(title, 0, Vec::new(), Some(text));
    let picture = Picture::Board(Board {
        team: "delta".parse().unwrap(),
        backlog: String::new(),
        caution: Some("delta is silent since 08:14: this is how it stood then.".into()),
        columns: vec![
            nothing("Running", "Nobody works."),
            nothing("Review", "No pull request is open."),
            nothing("Ready", "Nothing is waiting for a slot."),
            nothing("Done", "Nothing yet."),
        ],
    });
    drawn("silent", &picture);
    insta::assert_snapshot!(picture.alt(), @"The board of delta. delta is silent since 08:14: this is how it stood then. Running 0. Review 0. Ready 0. Done 0.");
}

#[test]
fn charts_are_drawn_the_same_each_time() {
    let picture = Picture::Charts(charts());
    assert_eq!(drawn("charts", &picture), render(&picture).unwrap());
    insta::assert_snapshot!(picture.alt(), @"alpha, the last 14 days, from 8 Nov to 21 Nov. Burn-up: 31 of 38 features merged. Cost per day: $34.35 in all, most on 17 Nov with $6.10. Cycle time: 38 min from the first run to the merge (median of 20 features).");
}

#[test]
fn two_days_with_a_single_mark_are_charts() {
    let marks = Marks::Dots { each: vec![Vec::new(), vec![59]], median: 59 };
    let panel =
        |marks: Marks| Panel { title: "Of one".into(), said: "One.".into(), top: "59 s".into(), marks };
    let days = vec![date(2026, 11, 20), date(2026, 11, 21)];
    let burn_up =
        Marks::BurnUp { wanted: ("wanted".into(), vec![0, 0]), done: ("merged".into(), vec![0, 0]) };
    let panels = vec![panel(marks), panel(Marks::Bars { each: vec![0, 0] }), panel(burn_up)];
    let picture = Charts { days, panels, ..charts() };
    drawn("few", &Picture::Charts(picture));
}

#[test]
fn whatever_somebody_wrote_is_drawn_and_stays_text() {
    for text in [
        "",
        "x".repeat(500).as_str(),
        "</svg><script/>",
        "&#x0;&amp;",
        "東京 🚀",
        "a\u{301}\u{202e}b",
        "\u{0}\u{7}",
    ] {
        let mut board = board();
        board.columns[0].cards[0].title = text.into();
        board.columns[0].cards[0].sentence = text.into();
        board.columns[0].cards[0].agent = Some(text.into());
        board.caution = Some(text.into());
        let picture = Picture::Board(board);
        let problem = render(&picture).err();
        assert!(problem.is_none(), "{text:?}: {problem:?}");
    }
}
