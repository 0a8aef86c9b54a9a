//! The outbox over a way that is cut at any moment: nothing is lost or doubled, and of a living state the newest arrives last.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::HashMap;

use proptest::prelude::*;
use qd_sqlite::outbox::{self, Receipt};
use rusqlite::Connection;

/// What can happen.
#[derive(Debug, Clone)]
enum Step {
    /// Something is written: a fact, or the state of one of four things.
    Push(Option<u8>),
    /// It goes out. Whether it arrives, and whether that is heard.
    Ship { limit: usize, arrives: bool, heard: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop::option::of(0_u8..4).prop_map(Step::Push),
        1 => (1_usize..6, any::<bool>(), any::<bool>())
            .prop_map(|(limit, arrives, heard)| Step::Ship { limit, arrives, heard }),
    ]
}

/// Takes what was sent, as a receiver does.
fn take(c: &Connection, rows: &[outbox::Shipped], got: &mut Vec<String>) {
    for row in rows {
        match outbox::receive(c, "alpha", row.epoch, row.seq).unwrap() {
            Receipt::New => got.push(row.body.clone()),
            Receipt::Seen => {}
            Receipt::Gap => unreachable!("nothing is left out"),
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_arrives_once_and_the_newest_state_last(steps in prop::collection::vec(step(), 1..80)) {
        let (from, to) = (Connection::open_in_memory().unwrap(), Connection::open_in_memory().unwrap());
        from.execute_batch(outbox::SCHEMA).unwrap();
        to.execute_batch(outbox::SCHEMA).unwrap();
        let (mut facts, mut newest, mut got) = (Vec::new(), HashMap::new(), Vec::new());
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Push(None) => {
                    let body = format!("fact {number}");
                    outbox::push(&from, "bot", None, 0, &body).unwrap();
                    facts.push(body);
                }
                Step::Push(Some(key)) => {
                    let body = format!("state {key} {number}");
                    outbox::push(&from, "bot", Some(&key.to_string()), 0, &body).unwrap();
                    newest.insert(key, body);
                }
                Step::Ship { limit, arrives, heard } => {
                    let rows = outbox::ship(&from, "bot", limit).unwrap();
                    prop_assert!(rows.len() <= limit);
                    if arrives {
                        take(&to, &rows, &mut got);
                    }
                    if arrives && heard {
                        let (epoch, seq) = outbox::received(&to, "alpha").unwrap();
                        outbox::acknowledge(&from, "bot", epoch, seq).unwrap();
                    }
                }
            }
        }
        while outbox::waiting(&from, "bot").unwrap() > 0 {
            let rows = outbox::ship(&from, "bot", 3).unwrap();
            take(&to, &rows, &mut got);
            let (epoch, seq) = outbox::received(&to, "alpha").unwrap();
            outbox::acknowledge(&from, "bot", epoch, seq).unwrap();
        }
        prop_assert_eq!(outbox::weigh(&from, "bot").unwrap(), outbox::Waiting::default());
        let told: Vec<&String> = got.iter().filter(|body| body.starts_with("fact")).collect();
        prop_assert_eq!(told, facts.iter().collect::<Vec<_>>());
        for (key, body) in newest {
            let of = format!("state {key} ");
            prop_assert_eq!(got.iter().rfind(|got| got.starts_with(&of)), Some(&body));
        }
    }
}

#[test]
fn what_is_on_the_way_is_bounded_in_bytes_and_a_large_row_goes_alone() {
    let c = Connection::open_in_memory().unwrap();
    c.execute_batch(outbox::SCHEMA).unwrap();
    let (large, small) = ("x".repeat(3 << 20), "x".repeat(400 << 10));
    for body in [&large, &small, &small, &small] {
        outbox::push(&c, "bot", None, 0, body).unwrap();
    }
    let mut sizes = Vec::new();
    while outbox::waiting(&c, "bot").unwrap() > 0 {
        let rows = outbox::ship(&c, "bot", 128).unwrap();
        sizes.push(rows.len());
        let last = rows.last().unwrap();
        outbox::acknowledge(&c, "bot", last.epoch, last.seq).unwrap();
    }
    assert_eq!(sizes, [1, 2, 1]);
}
