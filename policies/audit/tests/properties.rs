//! Any single change to any chain is found, and the first row that it touches is named.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::unreachable,
    reason = "a test that cannot go on panics"
)]

mod common;

use common::{DISARM, bot_keys, chain, proof};
use proptest::prelude::*;
use qd_audit::{Damage, export, verify_file};
use rusqlite::{Connection, types::Value};

const COLUMNS: [&str; 11] =
    ["at", "kind", "actor", "issue", "feature", "run", "call", "approval", "payload", "previous", "hash"];

/// One bit of a column turned over; a column that is NULL gets a text, and some texts become NULL.
fn flip(connection: &Connection, table: &str, column: &str, filter: &str, place: usize, bit: u8) {
    let select = format!("SELECT {column} FROM {table} WHERE {filter}");
    let old: Value = connection.query_row(&select, [], |row| row.get(0)).unwrap();
    let turned = |mut bytes: Vec<u8>| {
        let place = place % bytes.len();
        bytes[place] ^= 1 << bit;
        bytes
    };
    let cast = if matches!(old, Value::Text(_)) { "CAST(?1 AS TEXT)" } else { "?1" };
    let new = match old {
        Value::Null => Value::Text("x".into()),
        Value::Integer(number) => Value::Integer(number ^ 1 << (place % 8 * 8 + bit as usize)),
        Value::Text(_) if place == 0 && column == "issue" => Value::Null,
        Value::Text(text) => Value::Blob(turned(text.into_bytes())),
        Value::Blob(bytes) => Value::Blob(turned(bytes)),
        Value::Real(_) => unreachable!("no column is one"),
    };
    let changed =
        connection.execute(&format!("UPDATE {table} SET {column} = {cast} WHERE {filter}"), [new]).unwrap();
    assert_eq!(changed, 1);
}

fn damaged(rows: i64, signed: i64) -> Connection {
    let connection = chain(rows, signed);
    connection.execute_batch(DISARM).unwrap();
    connection
}

const COPY: &str =
    "at, kind, actor, issue, feature, run, call, approval, payload, previous, hash FROM audit_chain";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn a_turned_bit_is_found_in_its_row(
        rows in 1..12i64, row in 0..12i64, column in 0..COLUMNS.len(), place in 0..64usize, bit in 0..8u8,
    ) {
        let (connection, row) = (damaged(rows, rows / 2), row % rows + 1);
        flip(&connection, "audit_chain", COLUMNS[column], &format!("seq = {row}"), place, bit);
        let fault = proof(&connection).fault.unwrap();
        prop_assert_eq!(fault.seq, row as u64);
        prop_assert!(matches!(fault.damage, Damage::Changed(_)), "{:?}", fault);
    }

    #[test]
    fn a_row_with_another_number_is_found(rows in 1..12i64, row in 0..12i64, bit in 5..63u32) {
        let (connection, row) = (damaged(rows, 0), row % rows + 1);
        connection.execute("UPDATE audit_chain SET seq = seq + ?2 WHERE seq = ?1", [row, 1 << bit]).unwrap();
        prop_assert_eq!(proof(&connection).fault.unwrap().seq, row as u64);
    }

    #[test]
    fn a_turned_bit_beside_the_chain_is_found(
        column in 0..9usize, place in 0..64usize, bit in 0..8u8,
    ) {
        let places = [
            ("audit_head", "chain"), ("audit_head", "seq"), ("audit_head", "hash"),
            ("audit_signatures", "signer"), ("audit_signatures", "seq"), ("audit_signatures", "hash"),
            ("audit_signatures", "at"), ("audit_signatures", "key"), ("audit_signatures", "signature"),
        ];
        let (connection, (table, column)) = (damaged(6, 4), places[column]);
        flip(&connection, table, column, "TRUE", place, bit);
        match qd_audit::verify(&connection, "none".as_ref(), &bot_keys(), &[]) {
            Ok(report) => prop_assert!(report.fault.is_some() || report.unchecked == 1, "{}", report),
            Err(error) => prop_assert!(column == "chain", "{}", error),
        }
    }

    #[test]
    fn a_removed_row_is_named(rows in 1..12i64, row in 0..12i64, close_up in any::<bool>()) {
        let (connection, row) = (damaged(rows, 0), row % rows + 1);
        connection.execute("DELETE FROM audit_chain WHERE seq = ?1", [row]).unwrap();
        if close_up {
            connection.execute("UPDATE audit_chain SET seq = seq - 1 WHERE seq > ?1", [row]).unwrap();
        }
        let fault = proof(&connection).fault.unwrap();
        prop_assert_eq!(fault.seq, row as u64);
        let expect = if row == rows {
            Damage::Truncated { to: row as u64, signed: None }
        } else {
            Damage::Removed { to: row as u64 }
        };
        prop_assert_eq!(fault.damage, expect);
    }

    #[test]
    fn rows_that_changed_places_are_named(rows in 2..12i64, one in 0..12i64, other in 0..12i64) {
        let (one, other) = (one % rows + 1, other % rows + 1);
        prop_assume!(one != other);
        let connection = damaged(rows, 0);
        for (from, to) in [(one, 1000), (other, one), (1000, other)] {
            connection.execute("UPDATE audit_chain SET seq = ?2 WHERE seq = ?1", [from, to]).unwrap();
        }
        let fault = proof(&connection).fault.unwrap();
        prop_assert_eq!((fault.seq, fault.damage), (one.min(other) as u64, Damage::Reordered));
    }

    #[test]
    fn an_inserted_row_is_named(rows in 1..12i64, like in 0..12i64, place in 0..12i64) {
        let (connection, like, place) = (damaged(rows, 0), like % rows + 1, place % (rows + 1) + 1);
        connection
            .execute_batch(&format!(
                "CREATE TEMP TABLE one AS SELECT {COPY} WHERE seq = {like};
                 UPDATE audit_chain SET seq = seq + 1001 WHERE seq >= {place};
                 UPDATE audit_chain SET seq = seq - 1000 WHERE seq > 1000;
                 INSERT INTO audit_chain SELECT {place}, * FROM one;"
            ))
            .unwrap();
        let fault = proof(&connection).fault.unwrap();
        // A copy beside the row that it is a copy of: either may be called the inserted one.
        let at = if like == place { place + 1 } else { place };
        prop_assert_eq!(fault.seq, at as u64);
        // A copy right before its original looks as if two rows had changed places.
        if at <= rows && like != place && like != place + 1 {
            prop_assert_eq!(fault.damage, Damage::Inserted);
        }
    }

    #[test]
    fn a_cut_end_is_named(rows in 1..12i64, keep in 0..12i64, signed in 0..12i64) {
        let (keep, signed) = (keep % rows, signed % (rows + 1));
        let connection = damaged(rows, signed);
        connection.execute("DELETE FROM audit_chain WHERE seq > ?1", [keep]).unwrap();
        let fault = proof(&connection).fault.unwrap();
        let by_bot = (signed > keep).then(|| (signed as u64, "bot".to_owned()));
        prop_assert_eq!(fault.seq, keep as u64 + 1);
        prop_assert_eq!(fault.damage, Damage::Truncated { to: rows as u64, signed: by_bot });
    }

    #[test]
    fn any_changed_byte_of_an_export_is_found(rows in 0..6i64, place in any::<prop::sample::Index>(), turn in 1..=255u8) {
        let mut file = Vec::new();
        export(&chain(rows, rows / 2), "none".as_ref(), &mut file).unwrap();
        prop_assert_eq!(verify_file(&file[..], &bot_keys()).unwrap().fault, None);
        let place = place.index(file.len());
        file[place] ^= turn;
        let report = verify_file(&file[..], &bot_keys()).unwrap();
        // Another signer's name is that of somebody unknown; the report says that one was not looked at.
        prop_assert!(report.fault.is_some() || report.unchecked == 1, "byte {}: {}", place, report);
    }

    #[test]
    fn any_cut_of_an_export_is_found(rows in 0..6i64, place in any::<prop::sample::Index>()) {
        let mut file = Vec::new();
        export(&chain(rows, rows / 2), "none".as_ref(), &mut file).unwrap();
        file.truncate(place.index(file.len()));
        prop_assert!(verify_file(&file[..], &bot_keys()).unwrap().fault.is_some());
    }

    #[test]
    fn what_is_no_export_is_a_finding(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(verify_file(&bytes[..], &bot_keys()).unwrap().fault.is_some());
    }
}
