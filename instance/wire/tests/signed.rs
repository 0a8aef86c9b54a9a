//! Signed envelopes: what is sent comes back, and everything that somebody on the way may do to it is refused.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on panics"
)]

use ed25519_dalek::SigningKey;
use jiff::Timestamp;
use proptest::prelude::*;
use qd_wire::{
    sealed::{SealingKey, seal},
    signed::{Expected, Header, Held, Kind, Opened, Refused, Signed, fingerprint, hex, key_id, unhex},
    v1::{Order, Report, WIRE, WireVersion},
};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn public(seed: u8) -> [u8; 32] {
    key(seed).verifying_key().to_bytes()
}

fn header(epoch: u64, seq: u64) -> Header {
    Header {
        version: WIRE,
        kind: Kind::Report,
        fleet: "harbour".into(),
        from: "alpha".into(),
        to: "bot".into(),
        key: String::new(),
        epoch,
        seq,
        at: Timestamp::UNIX_EPOCH,
    }
}

const AT_THE_BOT: Expected<'static> =
    Expected { kind: Kind::Report, fleet: "harbour", from: Some("alpha"), to: "bot" };

/// The bot knows alpha's key; a second one of alpha was revoked.
fn held(from: &str, id: &str) -> Held {
    match from {
        "alpha" if id == key_id(&public(1)) => Held::Alive(public(1)),
        "alpha" if id == key_id(&public(2)) => Held::Revoked,
        _ => Held::Unknown,
    }
}

fn sign(header: &Header, payload: &str, seed: u8) -> Signed {
    Signed::new(header, payload.to_owned(), &key(seed)).unwrap()
}

fn taken(signed: Signed) -> Result<Opened, Refused> {
    let carried = signed.to_bytes().unwrap();
    Signed::from_bytes(&carried).and_then(|signed| signed.open(&AT_THE_BOT, held))
}

const PAYLOAD: &str = r#"{"report":"alert","key":"k","text":"t","over":false,"newer":[1, 2]}"#;

#[test]
fn what_is_signed_comes_back_with_every_byte() {
    let opened = taken(sign(&header(3, 7), PAYLOAD, 1)).unwrap();
    assert_eq!(opened.payload, PAYLOAD);
    assert_eq!((opened.header.epoch, opened.header.seq), (3, 7));
    assert!(matches!(Report::read(&opened.payload), Report::Alert(_)));
}

/// What somebody on the way may try, and what the receiver says to it.
#[test]
fn attacks() {
    let good = || sign(&header(1, 1), PAYLOAD, 1);
    let with = |change: fn(&mut Header)| {
        let mut header = header(1, 1);
        change(&mut header);
        header
    };
    let edited = |change: fn(&mut Header)| {
        let mut signed = good();
        let mut header: Header = serde_json::from_str(&signed.header).unwrap();
        change(&mut header);
        signed.header = serde_json::to_string(&header).unwrap();
        signed
    };
    // The boundary between header and payload moves, and the bytes in between stay.
    let mut moved = good();
    moved.payload = format!("{}{}", moved.header.split_off(moved.header.len() - 1), moved.payload);
    let mut newer = good();
    newer.header = newer.header.replace(r#""major":1"#, r#""major":2,"novel":true"#);
    let mut text = String::new();
    for (attack, signed) in [
        ("a changed byte of the payload", Signed { payload: PAYLOAD.replace("false", "true "), ..good() }),
        ("a changed number", edited(|header| header.seq = 2)),
        ("a changed epoch", edited(|header| header.epoch = 9)),
        ("a changed time", edited(|header| header.at = Timestamp::MAX)),
        (
            "another version, put into it",
            edited(|header| header.version = WireVersion { major: 1, minor: 0 }),
        ),
        ("the boundary moved", moved),
        (
            "a signature of something else",
            Signed { signature: sign(&header(1, 2), PAYLOAD, 1).signature, ..good() },
        ),
        ("no signature", Signed { signature: String::new(), ..good() }),
        ("another recipient", sign(&with(|header| header.to = "beta".into()), PAYLOAD, 1)),
        ("another fleet", sign(&with(|header| header.fleet = "yard".into()), PAYLOAD, 1)),
        (
            "another sender, with a key of its own",
            sign(&with(|header| header.from = "beta".into()), PAYLOAD, 3),
        ),
        ("a stranger's key", sign(&header(1, 1), PAYLOAD, 3)),
        ("a revoked key", sign(&header(1, 1), PAYLOAD, 2)),
        ("an order as a report", sign(&with(|header| header.kind = Kind::Order), PAYLOAD, 1)),
        ("a newer major version", newer),
    ] {
        text.push_str(&format!("{attack}: {}\n", taken(signed).unwrap_err()));
    }
    let none = Signed::from_bytes(b"{}").unwrap_err();
    text.push_str(&format!("no envelope: {none}\n"));
    insta::assert_snapshot!(text, @r#"
    a changed byte of the payload: the signature of alpha does not hold: the bytes are not as they were sent
    a changed number: the signature of alpha does not hold: the bytes are not as they were sent
    a changed epoch: the signature of alpha does not hold: the bytes are not as they were sent
    a changed time: the signature of alpha does not hold: the bytes are not as they were sent
    another version, put into it: the signature of alpha does not hold: the bytes are not as they were sent
    the boundary moved: the bytes are no envelope: EOF while parsing an object at line 1 column 211
    a signature of something else: the signature of alpha does not hold: the bytes are not as they were sent
    no signature: the signature of alpha does not hold: the bytes are not as they were sent
    another recipient: it is for "beta", and this is "bot"
    another fleet: it is for the fleet "yard", and this is "harbour"
    another sender, with a key of its own: it is from "beta", where "alpha" speaks
    a stranger's key: alpha has no key b62e867fa2f33afe here: let it join anew (quarterdeck bot invite, quarterdeck instance join)
    a revoked key: the key 6a3803d5f059902a of alpha was revoked: let it join anew (quarterdeck bot invite, quarterdeck instance join)
    an order as a report: it is order, where report belongs
    a newer major version: it speaks version 2.2 of the wire, and this side 1.2: update this side
    no envelope: the bytes are no envelope: missing field `header` at line 1 column 2
    "#);
}

#[test]
fn the_key_that_signs_votes_is_no_oracle() {
    // A vote's bytes begin with another type: its signature holds for no envelope.
    let payload = PAYLOAD;
    let vote = format!("DSSEv1 39 application/vnd.quarterdeck.vote.v1+json {} {payload}", payload.len());
    let signature = ed25519_dalek::Signer::sign(&key(1), vote.as_bytes());
    let forged = Signed { signature: hex(&signature.to_bytes()), ..sign(&header(1, 1), payload, 1) };
    assert!(matches!(taken(forged), Err(Refused::Forged { .. })));
}

#[test]
fn what_is_not_known_is_kept_as_it_came() {
    let payload = r#"{"report":"weather","degrees":21}"#;
    let Report::Unread(unread) = Report::read(payload) else { panic!("it was read") };
    assert_eq!(unread.payload, payload);
    insta::assert_snapshot!(unread.why, @"A newer version of the wire has the kind weather, and 1.2 does not know it.");
    let Order::Unread(unread) = Order::read("[]") else { panic!("it was read") };
    insta::assert_snapshot!(unread.why, @"What came makes no sense: it is no order: it has no field order that names its kind.");
    assert!(serde_json::to_string(&Order::Unread(unread)).is_err());
}

#[test]
fn a_newer_minor_is_taken_with_what_it_adds() {
    let mut header = serde_json::to_value(header(1, 1)).unwrap();
    header["version"]["minor"] = 7.into();
    header["novel"] = "kept".into();
    header["key"] = key_id(&public(1)).into();
    // Signed by hand, as a newer program would.
    let header = header.to_string();
    let type_ = qd_wire::signed::TYPE;
    let bytes =
        format!("DSSEv1 {} {type_} {} {header} {} {PAYLOAD}", type_.len(), header.len(), PAYLOAD.len());
    let signature = hex(&ed25519_dalek::Signer::sign(&key(1), bytes.as_bytes()).to_bytes());
    let opened = taken(Signed { header, payload: PAYLOAD.into(), signature }).unwrap();
    assert_eq!(opened.header.version, WireVersion { major: 1, minor: 7 });
}

#[test]
fn sealed_bytes_open_for_one_key_and_one_purpose() {
    let (mine, other) = (SealingKey::new(&[5; 32]).unwrap(), SealingKey::new(&[6; 32]).unwrap());
    let sealed = seal(&mine.public(), "push", b"secret").unwrap();
    assert_ne!(sealed, seal(&mine.public(), "push", b"secret").unwrap());
    assert_eq!(mine.open("push", &sealed).unwrap(), b"secret");
    assert!(other.open("push", &sealed).is_err());
    assert!(mine.open("join", &sealed).is_err());
    assert!(mine.open("push", &sealed[..20]).is_err());
    let refused = mine.open("push", &sealed.replace('a', "b")).unwrap_err();
    insta::assert_snapshot!(refused, @"it can't be opened: it is sealed to another key, for another purpose, or was changed on its way");
}

#[test]
fn a_fingerprint_can_be_read_aloud() {
    insta::assert_snapshot!(fingerprint(&public(1)), @"3475 0f98 bd59 fcfc 946d a45a aabe 933b");
}

proptest! {
    /// Whatever is said, it comes back byte for byte, through JSON and all.
    #[test]
    fn every_payload_survives(payload in ".{0,200}", epoch: u64, seq: u64, seed in 0u8..=255) {
        let signed = sign(&header(epoch, seq), &payload, seed);
        let bytes = signed.to_bytes().unwrap();
        prop_assert!(!bytes.contains(&b'\n'));
        let any = Expected { from: None, ..AT_THE_BOT };
        let opened = Signed::from_bytes(&bytes).unwrap().open(&any, |_, _| Held::Alive(public(seed))).unwrap();
        prop_assert_eq!(&opened.payload, &payload);
        prop_assert_eq!((opened.header.epoch, opened.header.seq), (epoch, seq));
    }

    /// Whatever byte is changed, it is not taken, or says the same.
    #[test]
    fn no_byte_can_be_changed(place: prop::sample::Index, byte: u8) {
        let signed = sign(&header(1, 1), PAYLOAD, 1);
        let mut bytes = signed.to_bytes().unwrap();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok(opened) = Signed::from_bytes(&bytes).and_then(|signed| signed.open(&AT_THE_BOT, held)) {
            prop_assert_eq!(opened.payload, PAYLOAD);
            prop_assert_eq!((opened.header.epoch, opened.header.seq), (1, 1));
        }
    }

    /// No bytes make it fail in another way than by a refusal.
    #[test]
    fn any_bytes_are_looked_at(bytes in prop::collection::vec(any::<u8>(), 0..300), text in ".{0,100}") {
        let _ = Signed::from_bytes(&bytes);
        let _ = Signed { header: text.clone(), payload: text.clone(), signature: text }.open(&AT_THE_BOT, held);
    }

    #[test]
    fn hex_goes_both_ways(bytes in prop::collection::vec(any::<u8>(), 0..80), text in ".{0,20}") {
        prop_assert_eq!(unhex(&hex(&bytes)).unwrap(), bytes);
        if let Some(bytes) = unhex(&text) {
            prop_assert_eq!(hex(&bytes), text.to_ascii_lowercase());
        }
    }
}
