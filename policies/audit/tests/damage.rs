//! What somebody who can write the file may do to it, and how it is named.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::unreachable,
    reason = "a test that cannot go on panics"
)]

mod common;

use common::{DISARM, at, bot_key, bot_keys, chain, empty, entry, proof};
use ed25519_dalek::SigningKey;
use qd_audit::{
    AuditError, Damage, Head, Signer, append, begin, enrol, export, head, keep, sign, signers, verify,
    verify_file, witness, witnessed,
};
use rusqlite::Connection;

fn check(rows: i64, signed: i64, sql: &str) -> String {
    let connection = chain(rows, signed);
    connection.execute_batch(DISARM).unwrap();
    connection.execute_batch(sql).unwrap();
    proof(&connection).to_string()
}

#[test]
fn a_whole_chain_is_proven_up_to_the_signed_head() {
    insta::assert_snapshot!(check(9, 6, ""), @"
    The chain of alpha is whole: 9 rows read, up to row 9 of alpha (1be032c).
    Proven up to row 6: bot signed it on 2026-05-28 20:26:40Z.
    After it: 3 rows that nobody else has signed yet, consistent in themselves.
    ");
    insta::assert_snapshot!(check(3, 0, ""), @"
    The chain of alpha is whole: 3 rows read, up to row 3 of alpha (5579f45).
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
    insta::assert_snapshot!(check(0, 0, ""), @"
    The chain of alpha is whole: 0 rows read, up to row 0 of alpha (1a652a4).
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
}

#[test]
fn without_a_key_nothing_is_claimed() {
    let connection = chain(3, 3);
    let report = verify(&connection, "none".as_ref(), &[], &[]).unwrap();
    insta::assert_snapshot!(report.to_string(), @"
    The chain of alpha is whole: 3 rows read, up to row 3 of alpha (5579f45).
    Nothing is proven by others: no head up to there has a signature that counts.
    Not looked at, for want of the signer's key: 1 signature.
    ");
}

#[test]
fn each_kind_of_damage_is_named() {
    let changed = "UPDATE audit_chain SET payload = '{\"text\":\"nothing\"}' WHERE seq = 4";
    insta::assert_snapshot!(check(9, 6, changed), @"
    The chain of alpha is broken: row 4 was changed: its content does not give its hash.
    Up to row 3 of alpha (5579f45) it is whole; 3 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
    insta::assert_snapshot!(check(9, 6, "UPDATE audit_chain SET previous = zeroblob(32) WHERE seq = 4"), @"
    The chain of alpha is broken: row 4 was changed: its content does not give its hash.
    Up to row 3 of alpha (5579f45) it is whole; 3 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
    insta::assert_snapshot!(check(9, 6, "DELETE FROM audit_chain WHERE seq IN (4, 5)"), @"
    The chain of alpha is broken: rows 4 to 5 are missing: removed.
    Up to row 3 of alpha (5579f45) it is whole; 3 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
    let closed_up =
        "DELETE FROM audit_chain WHERE seq = 4; UPDATE audit_chain SET seq = seq - 1 WHERE seq > 4;";
    insta::assert_snapshot!(check(9, 6, closed_up), @"
    The chain of alpha is broken: row 4 is missing: removed.
    Up to row 3 of alpha (5579f45) it is whole; 3 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
    let swapped =
        "UPDATE audit_chain SET seq = 100 WHERE seq = 4; UPDATE audit_chain SET seq = 4 WHERE seq = 7;
                   UPDATE audit_chain SET seq = 7 WHERE seq = 100;";
    insta::assert_snapshot!(check(9, 6, swapped), @"
    The chain of alpha is broken: row 4 was moved: what stands here was written later, and the row that belongs here comes later.
    Up to row 3 of alpha (5579f45) it is whole; 3 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
    let inserted = "UPDATE audit_chain SET seq = seq + 101 WHERE seq >= 4; UPDATE audit_chain SET seq = seq - 100 WHERE seq > 100;
                    INSERT INTO audit_chain SELECT 4, at, kind, actor, issue, feature, run, call, approval, payload, previous, hash
                    FROM audit_chain WHERE seq = 2;";
    insta::assert_snapshot!(check(9, 6, inserted), @"
    The chain of alpha is broken: row 4 was inserted: the row that belongs here comes later.
    Up to row 3 of alpha (5579f45) it is whole; 3 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
    insta::assert_snapshot!(check(9, 6, "DELETE FROM audit_chain WHERE seq > 4"), @"
    The chain of alpha is broken: rows 5 to 9 are missing at the end, and bot signed row 6: truncated.
    Up to row 4 of alpha (8c2a5c0) it is whole; 4 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
    insta::assert_snapshot!(check(9, 6, "DELETE FROM audit_chain WHERE seq > 7"), @"
    The chain of alpha is broken: rows 8 to 9 are missing at the end: truncated.
    Up to row 7 of alpha (816ca44) it is whole; 7 rows read.
    Proven up to row 6: bot signed it on 2026-05-28 20:26:40Z.
    After it: 1 row that nobody else has signed yet, consistent in themselves.
    ");
    insta::assert_snapshot!(check(9, 6, "UPDATE audit_head SET hash = zeroblob(32)"), @"
    The chain of alpha is broken: row 9 is the last, and the note of the chain's end says something else.
    Up to row 9 of alpha (1be032c) it is whole; 9 rows read.
    Proven up to row 6: bot signed it on 2026-05-28 20:26:40Z.
    After it: 3 rows that nobody else has signed yet, consistent in themselves.
    ");
    insta::assert_snapshot!(check(9, 6, "UPDATE audit_signatures SET signature = zeroblob(64)"), @"
    The chain of alpha is broken: the signature of bot on row 6 is refused: it does not fit what it signs.
    Up to row 9 of alpha (1be032c) it is whole; 9 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
    insta::assert_snapshot!(check(9, 6, "UPDATE audit_signatures SET key = zeroblob(32)"), @"
    The chain of alpha is broken: the signature of bot on row 6 is refused: 0000000000000000000000000000000000000000000000000000000000000000 is not a key of bot.
    Up to row 9 of alpha (1be032c) it is whole; 9 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
    insta::assert_snapshot!(check(9, 6, "UPDATE audit_chain SET hash = x'00' WHERE seq = 4"), @"
    The chain of alpha is broken: row 4 was changed: Conversion error from type Blob at index: 11, Cannot read 32 byte value out of 1 byte blob.
    Up to row 3 of alpha (5579f45) it is whole; 3 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
}

#[test]
fn who_rewrites_everything_meets_the_signature() {
    let connection = chain(9, 6);
    connection.execute_batch(DISARM).unwrap();
    let forged = chain(9, 0);
    forged.execute_batch(DISARM).unwrap();
    forged.execute_batch("DELETE FROM audit_chain; DELETE FROM audit_head").unwrap();
    begin(&forged, "alpha").unwrap();
    for number in 11..=19 {
        append(&forged, &entry(number)).unwrap();
    }
    let rows = "SELECT seq, at, kind, actor, feature, run, payload, previous, hash, issue FROM audit_chain";
    connection.execute_batch("DELETE FROM audit_chain").unwrap();
    let mut statement = forged.prepare(rows).unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let values: Vec<rusqlite::types::Value> = (0..10).map(|index| row.get(index).unwrap()).collect();
        connection
            .execute(
                "INSERT INTO audit_chain (seq, at, kind, actor, feature, run, payload, previous, hash, issue)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                rusqlite::params_from_iter(values),
            )
            .unwrap();
    }
    let noted = head(&forged).unwrap();
    connection.execute("UPDATE audit_head SET hash = ?1", [noted.hash]).unwrap();
    insta::assert_snapshot!(proof(&connection).to_string(), @"
    The chain of alpha is broken: row 6 is not the one that bot signed: the chain was rewritten, at this row or before it.
    Up to row 0 of alpha (1a652a4) it is whole; 6 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
}

#[test]
fn a_row_changed_and_hashed_anew_is_named_and_not_the_one_after_it() {
    let connection = chain(9, 0);
    connection.execute_batch(DISARM).unwrap();
    let other = chain(3, 0);
    let mut fourth = entry(4);
    fourth.payload.insert("text".into(), "nothing".into());
    let forged = append(&other, &fourth).unwrap();
    connection
        .execute(
            "UPDATE audit_chain SET payload = ?1, hash = ?2 WHERE seq = 4",
            (&forged.payload, forged.hash),
        )
        .unwrap();
    let fault = proof(&connection).fault.unwrap();
    assert_eq!((fault.seq, fault.damage), (4, Damage::Replaced));
}

#[test]
fn signatures_deleted_here_are_still_known_to_the_other_side() {
    let connection = chain(9, 0);
    let bot = empty();
    witness(&bot, head(&connection).unwrap(), "bot", at(0), &bot_key()).unwrap();
    connection.execute_batch(DISARM).unwrap();
    connection
        .execute_batch(
            "DELETE FROM audit_chain WHERE seq > 7;
             UPDATE audit_head SET seq = 7, hash = (SELECT hash FROM audit_chain WHERE seq = 7);",
        )
        .unwrap();
    assert_eq!(proof(&connection).fault, None, "nothing in the file tells");
    let witnessed = witnessed(&bot, "alpha").unwrap();
    let report = verify(&connection, "none".as_ref(), &bot_keys(), &witnessed).unwrap();
    insta::assert_snapshot!(report.to_string(), @"
    The chain of alpha is broken: rows 8 to 9 are missing at the end, and bot signed row 9: truncated.
    Up to row 7 of alpha (816ca44) it is whole; 7 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
}

#[test]
fn the_triggers_refuse_what_would_break_the_chain() {
    let connection = chain(3, 2);
    let refused = |sql: &str| connection.execute_batch(sql).unwrap_err().to_string();
    let copy = "SELECT seq, at, kind, actor, issue, feature, run, call, approval, payload, previous, hash
                FROM audit_chain WHERE seq = 2";
    insta::assert_snapshot!(refused("UPDATE audit_chain SET at = 0 WHERE seq = 1"), @"an audit row is never changed");
    insta::assert_snapshot!(refused("DELETE FROM audit_chain WHERE seq = 3"), @"an audit row is only deleted after it was archived");
    insta::assert_snapshot!(refused(&format!("INSERT OR REPLACE INTO audit_chain {copy}")), @"an audit row is only appended to the head of its chain");
    insta::assert_snapshot!(refused("UPDATE audit_head SET seq = 1"), @"the head of the audit chain only moves to the next row");
    insta::assert_snapshot!(refused("INSERT OR REPLACE INTO audit_head VALUES (1, 'beta', 0, zeroblob(32))"), @"a database holds one audit chain");
    insta::assert_snapshot!(refused("DELETE FROM audit_head"), @"the head of the audit chain is never deleted");
    insta::assert_snapshot!(refused("UPDATE audit_signatures SET at = 0"), @"a signature on the audit chain is never changed");
    insta::assert_snapshot!(refused("DELETE FROM audit_signatures"), @"a signature on the audit chain is never deleted");
    insta::assert_snapshot!(refused("INSERT OR REPLACE INTO audit_signatures SELECT * FROM audit_signatures"), @"a signature on the audit chain is never changed");
    assert_eq!(proof(&connection).fault, None);
}

#[test]
fn a_signature_is_kept_only_if_it_proves_something() {
    let connection = chain(3, 0);
    let here = head(&connection).unwrap();
    let refused = |head: Head, key: &SigningKey| {
        keep(&connection, &sign(head, "bot", at(0), key), &bot_keys()).unwrap_err().to_string()
    };
    insta::assert_snapshot!(refused(Head { seq: 4, ..here.clone() }, &bot_key()), @"the signature of bot on row 4 of alpha (5579f45) is refused: this chain ends at row 3 of alpha (5579f45)");
    insta::assert_snapshot!(refused(Head { seq: 2, ..here.clone() }, &bot_key()), @"the signature of bot on row 2 of alpha (5579f45) is refused: that row has another hash here");
    insta::assert_snapshot!(refused(Head { chain: "beta".into(), seq: 3, hash: here.hash }, &bot_key()), @"the signature of bot on row 3 of beta (5579f45) is refused: this chain ends at row 3 of alpha (5579f45)");
    let own = Signer { name: "alpha".into(), key: bot_key().verifying_key() };
    let by_itself = keep(&connection, &sign(here.clone(), "alpha", at(0), &bot_key()), &[own]).unwrap_err();
    insta::assert_snapshot!(by_itself.to_string(), @"the signature of alpha on row 3 of alpha (5579f45) is refused: nobody signs a head of their own chain");
    insta::assert_snapshot!(keep(&connection, &sign(here.clone(), "beta", at(0), &bot_key()), &bot_keys()).unwrap_err().to_string(), @"the signature of beta on row 3 of alpha (5579f45) is refused: no key of beta is known here");
    insta::assert_snapshot!(refused(here, &SigningKey::from_bytes(&[8; 32])), @"the signature of bot on row 3 of alpha (5579f45) is refused: 1398f62c6d1a457c51ba6a4b5f3dbd2f69fca93216218dc8997e416bd17d93ca is not a key of bot");
}

#[test]
fn the_other_side_signs_no_chain_that_went_back() {
    let (long, short, bot) = (chain(9, 0), chain(7, 0), empty());
    witness(&bot, head(&long).unwrap(), "bot", at(0), &bot_key()).unwrap();
    witness(&bot, head(&long).unwrap(), "bot", at(1), &bot_key()).unwrap();
    let refused = witness(&bot, head(&short).unwrap(), "bot", at(2), &bot_key()).unwrap_err();
    assert!(matches!(refused, AuditError::Contradicts { .. }));
    insta::assert_snapshot!(refused.to_string(), @"row 7 of alpha (816ca44) contradicts row 9 of alpha (1be032c), which was signed before: the chain of alpha went back or was rewritten; stop its executor and run quarterdeck audit verify there");
}

#[test]
fn what_was_signed_is_remembered_when_the_chain_that_went_back_has_grown_past_it() {
    let (long, other, bot) = (chain(9, 0), chain(7, 0), empty());
    witness(&bot, head(&long).unwrap(), "bot", at(0), &bot_key()).unwrap();
    witness(&bot, head(&other).unwrap(), "bot", at(1), &bot_key()).unwrap_err();
    for number in 100..103 {
        append(&other, &entry(number)).unwrap();
    }
    witness(&bot, head(&other).unwrap(), "bot", at(2), &bot_key()).unwrap();
    let witnessed = witnessed(&bot, "alpha").unwrap();
    assert_eq!(witnessed.iter().map(|signed| signed.head.seq).collect::<Vec<_>>(), [9, 10]);
    let fault = verify(&other, "none".as_ref(), &bot_keys(), &witnessed).unwrap().fault.unwrap();
    assert_eq!((fault.seq, fault.damage), (9, Damage::Rewritten { by: "bot".into() }));
}

#[test]
fn of_the_heads_that_were_signed_about_one_an_hour_is_kept() {
    let (connection, bot) = (chain(1, 0), empty());
    for minute in 0..180 {
        let now = at(0) + jiff::SignedDuration::from_mins(minute);
        append(&connection, &entry(100)).unwrap();
        witness(&bot, head(&connection).unwrap(), "bot", now, &bot_key()).unwrap();
    }
    let kept: Vec<u64> = witnessed(&bot, "alpha").unwrap().iter().map(|signed| signed.head.seq).collect();
    assert_eq!(kept, [2, 62, 122, 181]);
    let refused = bot.execute_batch("DELETE FROM audit_witnessed_before").unwrap_err().to_string();
    insta::assert_snapshot!(refused, @"what was witnessed is never deleted");
}

#[test]
fn a_key_is_listed_once_and_stays_beside_the_next_one() {
    let connection = empty();
    for key in [bot_key(), SigningKey::from_bytes(&[8; 32]), bot_key()] {
        enrol(&connection, "bot", key.verifying_key().as_bytes()).unwrap();
    }
    let listed = signers(&connection).unwrap();
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().any(|signer| signer.key == bot_key().verifying_key() && signer.name == "bot"));
}

#[test]
fn one_database_holds_one_chain() {
    let connection = empty();
    begin(&connection, "alpha").unwrap();
    insta::assert_snapshot!(begin(&connection, "beta").unwrap_err().to_string(), @"this database holds the audit chain of alpha, not of beta: is it another one's file?");
    let bare = Connection::open_in_memory().unwrap();
    bare.execute_batch(qd_audit::SCHEMA).unwrap();
    insta::assert_snapshot!(append(&bare, &entry(1)).unwrap_err().to_string(), @"the audit chain was never begun: begin it where the database is opened");
}

#[test]
fn an_export_is_verified_on_its_own() {
    let connection = chain(5, 4);
    let mut file = Vec::new();
    assert_eq!(export(&connection, "none".as_ref(), &mut file).unwrap(), 5);
    insta::assert_snapshot!(String::from_utf8(file.clone()).unwrap(), @r#"
    {"header":{"format":1,"chain":"alpha","first":1,"previous":"1a652a4dba474457f1ebf16903c1eff1c177e2e832651a518163ee24007443b1"}}
    {"signature":{"head":{"chain":"alpha","seq":4,"hash":"8c2a5c02c3a1ad6a2448e3ca39fe9f6a6338550bd7f534aedf50a3eec9d0e747"},"by":"bot","at":1780000000000,"key":"ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c","signature":"9cf71f26edf247c32ecea22104d60a4365eef5c95d80baf6783b79aed374bf0257cfb337e3eb5e47a49b7ebe7de5fdc34a2c6ee699dafc320a3e676b786ba404"}}
    {"row":{"seq":1,"at":1780000001000,"kind":"run","actor":"agent:A-1.1","feature":"A-1","payload":{"number":1,"text":"step 1"},"previous":"1a652a4dba474457f1ebf16903c1eff1c177e2e832651a518163ee24007443b1","hash":"b1b47f64aca451ec39588b34801c5d65dfa66e6fcbf110faba3c295953a1c74f"}}
    {"row":{"seq":2,"at":1780000002000,"kind":"call","actor":"bot","feature":"A-1","run":"A-1.1","payload":{"number":2,"text":"step 2"},"previous":"b1b47f64aca451ec39588b34801c5d65dfa66e6fcbf110faba3c295953a1c74f","hash":"b2805c437ffb33fc4282ceec7e1f026bdf5e9e2351c72762e8b50cdec01b28fd"}}
    {"row":{"seq":3,"at":1780000003000,"kind":"request","actor":"agent:A-1.1","issue":"acme/billing#12","feature":"A-1","payload":{"number":3,"text":"step 3"},"previous":"b2805c437ffb33fc4282ceec7e1f026bdf5e9e2351c72762e8b50cdec01b28fd","hash":"5579f4584a1179a885ca246dc1d7c8eb6b077acbd45bf051220bcbbe42b73970"}}
    {"row":{"seq":4,"at":1780000004000,"kind":"card","actor":"bot","feature":"A-1","run":"A-1.1","payload":{"number":4,"text":"step 4"},"previous":"5579f4584a1179a885ca246dc1d7c8eb6b077acbd45bf051220bcbbe42b73970","hash":"8c2a5c02c3a1ad6a2448e3ca39fe9f6a6338550bd7f534aedf50a3eec9d0e747"}}
    {"row":{"seq":5,"at":1780000005000,"kind":"vote","actor":"agent:A-1.1","feature":"A-1","payload":{"number":5,"text":"step 5"},"previous":"8c2a5c02c3a1ad6a2448e3ca39fe9f6a6338550bd7f534aedf50a3eec9d0e747","hash":"238de4912c41fab0b6ce67e34f8e81ddf6d2d25f70face62a41eb71370fa7205"}}
    {"end":{"chain":"alpha","seq":5,"hash":"238de4912c41fab0b6ce67e34f8e81ddf6d2d25f70face62a41eb71370fa7205"}}
    "#);
    let text = |file: &[u8]| verify_file(file, &bot_keys()).unwrap().to_string();
    insta::assert_snapshot!(text(&file), @"
    The chain of alpha is whole: 5 rows read, up to row 5 of alpha (238de49).
    Proven up to row 4: bot signed it on 2026-05-28 20:26:40Z.
    After it: 1 row that nobody else has signed yet, consistent in themselves.
    ");
    let lines: Vec<&[u8]> = file.split_inclusive(|byte| *byte == b'\n').collect();
    insta::assert_snapshot!(text(&lines[..7].concat()), @"
    The chain of alpha is broken: at row 6: it has no last line: it was cut.
    Up to row 5 of alpha (238de49) it is whole; 5 rows read.
    Proven up to row 4: bot signed it on 2026-05-28 20:26:40Z.
    After it: 1 row that nobody else has signed yet, consistent in themselves.
    ");
    insta::assert_snapshot!(text(&[&lines[..4], &lines[5..]].concat().concat()), @"
    The chain of alpha is broken: row 3 is missing: removed.
    Up to row 2 of alpha (b2805c4) it is whole; 2 rows read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
    let swapped = [lines[0], lines[1], lines[2], lines[6], lines[4], lines[5], lines[3], lines[7]].concat();
    insta::assert_snapshot!(text(&swapped), @"
    The chain of alpha is broken: row 2 was moved: what stands here was written later, and the row that belongs here comes later.
    Up to row 1 of alpha (b1b47f6) it is whole; 1 row read.
    Nothing is proven by others: no head up to there has a signature that counts.
    ");
    insta::assert_snapshot!(text(&[&file[..], b"{}\n"].concat()), @"
    The chain of alpha is broken: at row 6: there is more after its last line.
    Up to row 5 of alpha (238de49) it is whole; 5 rows read.
    Proven up to row 4: bot signed it on 2026-05-28 20:26:40Z.
    After it: 1 row that nobody else has signed yet, consistent in themselves.
    ");
    insta::assert_snapshot!(text(b"hello\n"), @"This can't be verified: its first line is not the header of an audit export.");
}
