//! One person after the other: invited, taken in, linked, shut out, erased.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use common::{Fleet, at, hash, id, identity};
use jiff::SignedDuration;
use qd_people::{
    Identity, PassphraseHash, PeopleError, Scope, Seed, State, TokenKind, by_identity, by_token, export, find,
};
use qd_types::Role;
use secrecy::{ExposeSecret as _, SecretString};

const WEEK: SignedDuration = SignedDuration::from_hours(24 * 7);

fn refusal<T: std::fmt::Debug>(result: Result<T, PeopleError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_colleague_is_taken_in_and_shut_out() {
    let fleet = Fleet::with_owner();
    let invitation = fleet.people(0).invite(&id("mira"), "Mira", &[(Scope::Fleet, Role::Reviewer)]).unwrap();
    let mira = fleet.people(60).accept(invitation.token.expose_secret(), hash()).unwrap();
    assert_eq!((mira.state, mira.person(&[]).roles), (State::Active, vec![Role::Reviewer]));
    fleet.people(70).link(&id("mira"), &identity("github:Mira-L")).unwrap();
    let session = fleet.people(80).make_token(&id("mira"), TokenKind::Session, "laptop", WEEK).unwrap();
    let token = fleet.people(80).make_token(&id("mira"), TokenKind::Token, "script", WEEK).unwrap();
    let signed_in = by_token(&fleet.db, session.expose_secret(), at(90)).unwrap().unwrap();
    assert_eq!((signed_in.profile.id, signed_in.kind), (id("mira"), TokenKind::Session));
    assert!(by_identity(&fleet.db, &identity("github:mira-l")).unwrap().is_some());

    assert_eq!(
        fleet.people(95).would_lack_an_owner(&id("mira")).unwrap(),
        ["the role reviewer in fleet", "feature A-7, which mira holds"]
    );
    let departure = fleet.people(100).disable(&id("mira")).unwrap();
    insta::assert_snapshot!(departure.to_string(), @"
    mira is shut out. Ended: 1 session, 1 token, 1 link, 1 open vote.
    Their vote does not count any more on: bot/01ARZ3NDEKTSV4RRFFQ69G5FAV.
    What lacks an owner now:
      the role reviewer in fleet: nobody active has it
      feature A-7, which mira holds
    ");
    for token in [&session, &token] {
        assert_eq!(by_token(&fleet.db, token.expose_secret(), at(101)).unwrap(), None);
    }
    assert_eq!(by_identity(&fleet.db, &identity("github:mira-l")).unwrap(), None);
    assert_eq!(find(&fleet.db, &id("mira")).unwrap().unwrap().person(&[]).roles, []);
    insta::assert_snapshot!(fleet.recorded(), @r#"
    ines: mira {"did":"invited","roles":[["fleet","reviewer"]]}
    mira: mira {"did":"accepted"}
    ines: mira {"did":"linked","service":"github"}
    ines: mira {"did":"token_made","kind":"session"}
    ines: mira {"did":"token_made","kind":"token"}
    ines: mira {"did":"disabled"}
    "#);
}

#[test]
fn a_service_account_ends_with_whom_it_acts_for() {
    let fleet = Fleet::with_owner();
    fleet.join("mira", Role::Manager);
    let token = fleet.people(10).make_service_token(&id("mira"), "ci", "build", WEEK).unwrap();
    let acting = by_token(&fleet.db, token.expose_secret(), at(20)).unwrap().unwrap();
    assert_eq!((acting.profile.id, acting.service.as_deref()), (id("mira"), Some("ci")));
    assert!(fleet.people(20).make_service_token(&id("mira"), "c\ni", "build", WEEK).is_err());
    fleet.people(30).disable(&id("mira")).unwrap();
    assert_eq!(by_token(&fleet.db, token.expose_secret(), at(40)).unwrap(), None);
}

#[test]
fn an_invitation_works_once_and_not_for_ever() {
    let fleet = Fleet::with_owner();
    let first = fleet.people(0).invite(&id("mira"), "Mira", &[]).unwrap();
    let second = fleet.people(1).invite_again(&id("mira")).unwrap();
    insta::assert_snapshot!(refusal(fleet.people(1).invite(&id("theo"), "The\u{1b}o", &[])), @"a name is 1 to 100 characters, none of them a control character");
    assert_eq!(second.expires_at, at(1 + 48 * 3600));
    let accept =
        |second: i64, token: &SecretString| fleet.people(second).accept(token.expose_secret(), hash());
    insta::assert_snapshot!(refusal(accept(2, &first.token)), @"this invitation is not valid, or not any more: ask for another one");
    assert!(matches!(accept(1 + 48 * 3600, &second.token), Err(PeopleError::Invitation)));
    accept(48 * 3600, &second.token).unwrap();
    assert!(matches!(accept(48 * 3600, &second.token), Err(PeopleError::Invitation)));
    insta::assert_snapshot!(refusal(fleet.people(3).invite(&id("mira"), "Mira", &[])), @"there is a person mira already: choose another name, or invite them again with --again");
}

#[test]
fn who_comes_back_begins_anew() {
    let fleet = Fleet::with_owner();
    let mira = id("mira");
    let invitation = fleet.people(0).invite(&mira, "Mira", &[(Scope::Fleet, Role::Manager)]).unwrap();
    fleet.people(1).accept(invitation.token.expose_secret(), hash()).unwrap();
    let old = fleet.people(2).make_token(&mira, TokenKind::Session, "laptop", WEEK).unwrap();
    fleet.people(3).disable(&mira).unwrap();
    insta::assert_snapshot!(refusal(fleet.people(4).make_token(&mira, TokenKind::Token, "x", WEEK)), @"mira is not active: invite them, and let them take it up");
    let again = fleet.people(5).invite_again(&mira).unwrap();
    fleet.people(6).accept(again.token.expose_secret(), hash()).unwrap();
    assert_eq!(by_token(&fleet.db, old.expose_secret(), at(7)).unwrap(), None);
    assert_eq!(find(&fleet.db, &mira).unwrap().unwrap().person(&[]).roles, [Role::Manager]);

    fleet.people(8).remove(&mira).unwrap();
    insta::assert_snapshot!(refusal(fleet.people(9).invite_again(&mira)), @"mira: somebody who is removed can't be invited; erase them to make the name free, or choose another one");
    insta::assert_snapshot!(refusal(fleet.people(9).erase(&id("ines"))), @"ines is not removed: quarterdeck person remove ines first");
    fleet.people(10).erase(&mira).unwrap();
    assert_eq!(find(&fleet.db, &mira).unwrap(), None);
}

#[test]
fn the_last_owner_stays() {
    let fleet = Fleet::with_owner();
    let ines = id("ines");
    insta::assert_snapshot!(refusal(fleet.people(0).disable(&ines)), @"ines is the last active owner: make somebody else owner first");
    assert!(matches!(fleet.people(0).remove(&ines), Err(PeopleError::LastOwner(_))));
    assert!(matches!(
        fleet.people(0).take_role(&ines, &Scope::Fleet, Role::Owner),
        Err(PeopleError::LastOwner(_))
    ));
    // Somebody who has not taken up the invitation is no owner yet, and an owner of one repository none of the fleet.
    let billing: Scope = "repository:billing".parse().unwrap();
    fleet
        .people(1)
        .invite(&id("theo"), "Theo", &[(Scope::Fleet, Role::Owner), (billing, Role::Owner)])
        .unwrap();
    assert!(matches!(fleet.people(2).disable(&ines), Err(PeopleError::LastOwner(_))));
    assert_eq!(find(&fleet.db, &ines).unwrap().unwrap().state, State::Active, "nothing of it was done");
    let again = fleet.people(3).invite_again(&id("theo")).unwrap();
    fleet.people(4).accept(again.token.expose_secret(), hash()).unwrap();
    fleet.people(5).disable(&ines).unwrap();
}

#[test]
fn an_identity_belongs_to_one_person() {
    let fleet = Fleet::with_owner();
    fleet.join("theo", Role::Manager);
    let discord = identity("discord:80351110224678912");
    fleet.people(1).link(&id("ines"), &discord).unwrap();
    fleet.people(1).link(&id("ines"), &discord).unwrap();
    insta::assert_snapshot!(refusal(fleet.people(2).link(&id("theo"), &discord)), @"discord:80351110224678912 is linked to ines: an identity belongs to one person; unlink it there first");
    insta::assert_snapshot!(refusal(fleet.people(2).unlink(&id("theo"), &discord)), @"discord:80351110224678912 is not linked to theo");
    fleet.people(3).unlink(&id("ines"), &discord).unwrap();
    fleet.people(4).link(&id("theo"), &discord).unwrap();
    assert_eq!(by_identity(&fleet.db, &discord).unwrap().unwrap().id, id("theo"));
    let issued = identity("oidc:https://login.example.com/#u#7");
    fleet.people(5).link(&id("theo"), &issued).unwrap();
    assert_eq!(by_identity(&fleet.db, &issued).unwrap().unwrap().id, id("theo"));
    assert!(by_identity(&fleet.db, &identity("oidc:https://login.example.com#u#7")).unwrap().is_none());
    insta::assert_snapshot!("discord:theo".parse::<Identity>().unwrap_err().to_string(), @r#""discord:theo" is not an identity: discord:USER-NUMBER, github:LOGIN, oidc:ISSUER#SUBJECT or local:USER"#);
    for bad in [
        "discord:0",
        "discord:",
        "github:-a",
        "github:a b",
        "local:",
        "local:-x",
        "mail:a",
        "github",
        "oidc:https://a",
        "oidc:#a",
        "oidc:https://a#",
        "oidc:ftp://a#b",
        "oidc:https://a#b c",
    ] {
        assert!(bad.parse::<Identity>().is_err(), "{bad}");
    }
}

#[test]
fn a_passphrase_proves_who_it_is() {
    let fleet = Fleet::with_owner();
    let right = SecretString::from(common::PASSPHRASE);
    let wrong = SecretString::from("correct horse battery staples");
    let ines = id("ines");
    let attempt = |second: i64, passphrase: &SecretString| {
        let attempt = fleet.people(second).attempt(&ines)?;
        fleet.people(second).settle(attempt.prove(passphrase)?)
    };
    assert_eq!(attempt(0, &right).unwrap().id, ines);
    for second in 0..4 {
        insta::allow_duplicates! { insta::assert_snapshot!(refusal(attempt(second, &wrong)), @"that is not the passphrase"); }
    }
    assert_eq!(attempt(5, &right).unwrap().id, ines, "and the count begins anew");
    for second in 10..15 {
        assert!(matches!(attempt(second, &wrong), Err(PeopleError::Passphrase)));
    }
    insta::assert_snapshot!(refusal(attempt(20, &right)), @"5 wrong passphrases in a row: wait 24 seconds and try again");
    assert_eq!(attempt(44, &right).unwrap().id, ines);

    insta::assert_snapshot!(refusal(PassphraseHash::of(&SecretString::from("too short"))), @"a passphrase needs at least 15 characters: four or five words make a good one");
    let nobody = fleet.people(50).attempt(&id("nobody")).unwrap();
    assert!(matches!(nobody.prove(&right), Err(PeopleError::Passphrase)));
}

#[test]
fn a_proof_is_worth_nothing_after_the_person_was_shut_out() {
    let fleet = Fleet::with_owner();
    fleet.join("theo", Role::Owner);
    let proof = fleet.people(1).attempt(&id("theo")).unwrap().prove(&SecretString::from(common::PASSPHRASE));
    fleet.people(2).disable(&id("theo")).unwrap();
    assert!(matches!(fleet.people(3).settle(proof.unwrap()), Err(PeopleError::Passphrase)));
}

#[test]
fn attempts_at_the_same_time_are_all_counted() {
    let fleet = Fleet::with_owner();
    let begun: Vec<_> = (0..8).map(|_| fleet.people(0).attempt(&id("ines"))).collect();
    assert_eq!(begun.iter().filter(|attempt| attempt.is_ok()).count(), 5);
}

#[test]
fn what_can_not_be_recorded_is_not_done() {
    let fleet = Fleet::with_owner();
    fleet.host.refuse.set(true);
    let refused = fleet.people(0).invite(&id("mira"), "Mira", &[]);
    insta::assert_snapshot!(refusal(refused), @"this could not be recorded, so it was not done");
    assert_eq!(find(&fleet.db, &id("mira")).unwrap(), None);
}

#[test]
fn the_configuration_says_who_is_there_and_what_they_are() {
    let fleet = Fleet::with_owner();
    let seed = |name: &str, roles: &[Role]| Seed { id: id(name), roles: roles.to_vec() };
    let all = [seed("ines", &[Role::Owner]), seed("theo", &[Role::Reviewer, Role::Manager])];
    let first = fleet.people(0).seed(&all).unwrap();
    assert_eq!(first.joined, [id("theo")]);
    let before = fleet.recorded();
    assert_eq!(fleet.people(1).seed(&all).unwrap(), qd_people::Seeded::default());
    assert_eq!(fleet.recorded(), before, "a second start changes nothing");
    let give = fleet.people(2).give_role(&id("theo"), &Scope::Fleet, Role::Owner);
    insta::assert_snapshot!(refusal(give), @"the roles of theo stand in the configuration: change them under [[people]]");
    insta::assert_snapshot!(refusal(fleet.people(3).seed(&[seed("theo", &[Role::Manager])])), @"the configuration leaves the fleet without an active owner: give one of [[people]] the role owner");

    // Left out, and named again.
    let left = fleet.people(4).seed(&all[..1]).unwrap();
    assert_eq!(left.left.len(), 1);
    assert_eq!(fleet.people(5).seed(&all).unwrap().joined, [id("theo")]);
    // Shut out by a person, and still named.
    fleet.people(6).disable(&id("theo")).unwrap();
    assert_eq!(fleet.people(7).seed(&all).unwrap().kept_out, [id("theo")]);
    fleet.people(8).remove(&id("theo")).unwrap();
    insta::assert_snapshot!(refusal(fleet.people(9).erase(&id("theo"))), @"theo is still in the configuration: take them out of [[people]] first");
    fleet.people(10).seed(&all[..1]).unwrap();
    fleet.people(11).erase(&id("theo")).unwrap();
}

#[test]
fn a_person_gets_all_that_is_stored_about_them() {
    let fleet = Fleet::with_owner();
    fleet.join("mira", Role::Viewer);
    fleet.people(20).link(&id("mira"), &identity("discord:80351110224678912")).unwrap();
    fleet.people(21).give_role(&id("mira"), &"team:alpha".parse().unwrap(), Role::Operator).unwrap();
    fleet.people(22).make_token(&id("mira"), TokenKind::Token, "laptop", WEEK).unwrap();
    fleet.people(23).invite_again(&id("mira")).unwrap();
    fleet.people(24).attempt(&id("mira")).unwrap();
    let export = export(&fleet.db, &id("mira")).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&export).unwrap(), @r#"
    {
      "id": "mira",
      "name": "mira",
      "state": "active",
      "named_by_configuration": false,
      "created_at": "2026-05-28T20:26:40Z",
      "changed_at": "2026-05-28T20:26:40Z",
      "roles": [
        {
          "scope": "fleet",
          "role": "viewer"
        },
        {
          "scope": "team:alpha",
          "role": "operator"
        }
      ],
      "identities": [
        {
          "identity": "discord:80351110224678912",
          "linked_at": "2026-05-28T20:27:00Z"
        }
      ],
      "has_passphrase": true,
      "wrong_passphrases_in_a_row": 1,
      "last_wrong_passphrase_at": "2026-05-28T20:27:04Z",
      "invitation": {
        "made_at": "2026-05-28T20:27:03Z",
        "expires_at": "2026-05-30T20:27:03Z"
      },
      "tokens": [
        {
          "kind": "token",
          "label": "laptop",
          "made_at": "2026-05-28T20:27:02Z",
          "expires_at": "2026-06-04T20:27:02Z"
        }
      ]
    }
    "#);
}
