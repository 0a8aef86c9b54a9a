//! People on top of the audit chain, as an executor puts them together: every change is a row, and who is erased is gone
//! from the file while the chain stays whole.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use common::{at, hash, id, identity};
use jiff::SignedDuration;
use qd_audit::{About, Actor, Entry, Kind, append, begin, erase, pseudonym, timeline, verify};
use qd_people::{By, Change, Host, HostError, People, Scope, Seed, TokenKind, What};
use qd_types::{PersonId, Role};
use rusqlite::Connection;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

struct Bot;

impl Host for Bot {
    fn record(&self, tx: &Connection, change: &Change) -> Result<(), HostError> {
        let actor = match &change.by {
            By::Person(person) => Actor::Person(pseudonym(tx, person)?),
            By::Configuration => Actor::Bot,
        };
        let mut payload: Map<String, Value> = serde_json::from_value(serde_json::to_value(&change.what)?)?;
        let whom = pseudonym(tx, &change.person)?;
        payload.insert("person".into(), json!(whom.to_string()));
        payload.insert("text".into(), json!(format!("{whom} {}", change.what)));
        append(tx, &Entry { kind: Kind::Person, actor, about: About::default(), at: change.at, payload })?;
        if change.what == What::Erased {
            erase(tx, &change.person)?;
        }
        Ok(())
    }

    fn end_votes(&self, _: &Connection, _: &PersonId) -> Result<Vec<String>, HostError> {
        Ok(Vec::new())
    }

    fn responsible_for(&self, _: &Connection, _: &PersonId) -> Result<Vec<String>, HostError> {
        Ok(Vec::new())
    }
}

#[test]
fn a_life_is_in_the_chain_and_an_erased_name_is_not() {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch(qd_audit::SCHEMA).unwrap();
    db.execute_batch(qd_people::SCHEMA).unwrap();
    db.execute_batch(qd_people::SCHEMA_SERVICES).unwrap();
    begin(&db, "bot").unwrap();
    let people = |second: i64| People::new(&db, &Bot, By::Person(id("ines")), at(second));
    people(0).seed(&[Seed { id: id("ines"), roles: vec![Role::Owner] }]).unwrap();
    let mira = id("mira");
    let invitation = people(1).invite(&mira, "Mira Lang", &[(Scope::Fleet, Role::Reviewer)]).unwrap();
    people(2).accept(invitation.token.expose_secret(), hash()).unwrap();
    people(3).link(&mira, &identity("github:mira-lang")).unwrap();
    people(4).give_role(&mira, &"team:alpha".parse().unwrap(), Role::Operator).unwrap();
    let session = people(5).make_token(&mira, TokenKind::Session, "laptop", SignedDuration::from_hours(1));
    people(6).end_token(session.unwrap().expose_secret()).unwrap();
    people(7).disable(&mira).unwrap();
    people(8).remove(&mira).unwrap();

    let shown = |db: &Connection| {
        let mut file = Vec::new();
        qd_audit::export(db, "none".as_ref(), &mut file).unwrap();
        let rows: Vec<qd_audit::Row> = String::from_utf8(file)
            .unwrap()
            .lines()
            .filter_map(|line| serde_json::from_str::<Map<String, Value>>(line).unwrap().remove("row"))
            .map(|row| serde_json::from_value(row).unwrap())
            .collect();
        timeline(db, &rows).unwrap()
    };
    insta::assert_snapshot!(shown(&db), @"

    1  2026-05-28 20:26:40Z  person     bot   ines named by the configuration as owner
    2  2026-05-28 20:26:41Z  person     ines  mira invited as reviewer in fleet
    3  2026-05-28 20:26:42Z  person     mira  mira took up the invitation, and set a passphrase
    4  2026-05-28 20:26:43Z  person     ines  mira linked an identity at github
    5  2026-05-28 20:26:44Z  person     ines  mira given the role operator in team:alpha
    6  2026-05-28 20:26:45Z  person     ines  mira got a session
    7  2026-05-28 20:26:46Z  person     ines  mira ended a session
    8  2026-05-28 20:26:47Z  person     ines  mira shut out
    9  2026-05-28 20:26:48Z  person     ines  mira removed
    ");

    people(9).erase(&mira).unwrap();
    let report = verify(&db, "none".as_ref(), &[], &[]).unwrap();
    assert_eq!((report.fault, report.rows), (None, 10));
    assert!(!shown(&db).contains("mira"), "{}", shown(&db));
    let all: i64 = db
        .query_row(
            "SELECT count(*) FROM audit_chain WHERE payload LIKE '%lang%' OR payload LIKE '%mira%'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(all, 0);
}
