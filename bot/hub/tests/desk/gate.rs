//! The bot's end of the wire, byte by byte: who may join, whose calls are heard, and what is refused.

use std::sync::Arc;

use async_trait::async_trait;
use ed25519_dalek::{Signer as _, SigningKey};
use insta::assert_snapshot;
use jiff::{SignedDuration, Timestamp};
use qd_hub::{Credentials, HubGate, Invited};
use qd_types::InstanceName;
use qd_wire::{
    call::{Answer, Asking, CREDENTIAL, Call, JOIN, NewKeys, Said, Unheard},
    port::Gate as _,
    sealed::{SealingKey, seal},
    signed::{BOT, Expected, Header, Held, Kind, Signed, hex, key_id},
    v1::{Ack, Alert, Envelope, Order, Report, WIRE},
};

use crate::support::Fleet;

struct Vault;

#[async_trait]
impl Credentials for Vault {
    async fn credential(&self, instance: &InstanceName, repository: &str) -> Result<Vec<u8>, String> {
        Ok(format!("{instance} may push to {repository}").into_bytes())
    }
}

/// An instance on another computer, which speaks by hand.
struct Remote {
    name: String,
    key: SigningKey,
    sealing: SealingKey,
    gate: HubGate,
    late: SignedDuration,
}

fn gate(fleet: &Fleet) -> HubGate {
    HubGate::open(fleet.hub().clone(), fleet.dir.path(), "harbour", Arc::new(Vault)).unwrap()
}

impl Remote {
    fn new(fleet: &Fleet, name: &str, seed: u8) -> Self {
        Self {
            name: name.to_owned(),
            key: SigningKey::from_bytes(&[seed; 32]),
            sealing: SealingKey::new(&[seed; 32]).unwrap(),
            gate: gate(fleet),
            late: SignedDuration::ZERO,
        }
    }

    async fn joined(fleet: &Fleet, name: &str, seed: u8) -> Self {
        let remote = Self::new(fleet, name, seed);
        let secret = invite(fleet, name).await;
        remote.join(&secret).await.unwrap();
        remote
    }

    fn header(&self, kind: Kind, place: Ack) -> Header {
        Header {
            version: WIRE,
            kind,
            fleet: "harbour".into(),
            from: self.name.clone(),
            to: BOT.into(),
            key: String::new(),
            epoch: place.epoch,
            seq: place.seq,
            at: Timestamp::now() - self.late,
        }
    }

    fn sign(&self, kind: Kind, place: Ack, payload: String) -> Vec<u8> {
        Signed::new(&self.header(kind, place), payload, &self.key).unwrap().to_bytes().unwrap()
    }

    fn asks(&self, call: Call) -> Vec<u8> {
        let asking = Asking { nonce: "00".repeat(16), call };
        self.sign(Kind::Call, Ack { epoch: 0, seq: 0 }, serde_json::to_string(&asking).unwrap())
    }

    fn keys(&self) -> NewKeys {
        let (signing, sealing) = (self.key.verifying_key().to_bytes(), self.sealing.public());
        NewKeys { signing: hex(&signing), sealing: hex(&sealing), proof: None }
    }

    async fn join(&self, secret: &str) -> Result<Said, Unheard> {
        let card = self.gate.card();
        let to: [u8; 32] = qd_wire::signed::unhex(&card.sealing).unwrap().try_into().unwrap();
        let call = self.asks(Call::Join { secret: secret.into(), keys: self.keys() });
        self.gate.join(&seal(&to, JOIN, &call).unwrap()).await.map(|bytes| self.opens(&bytes))
    }

    /// The answer, if it is the bot's, to this instance and this call.
    fn opens(&self, bytes: &[u8]) -> Said {
        let bot: [u8; 32] = qd_wire::signed::unhex(&self.gate.card().signing).unwrap().try_into().unwrap();
        let expected = Expected { kind: Kind::Answer, fleet: "harbour", from: Some(BOT), to: &self.name };
        let held = |_: &str, id: &str| if id == key_id(&bot) { Held::Alive(bot) } else { Held::Unknown };
        let opened = Signed::from_bytes(bytes).unwrap().open(&expected, held).unwrap();
        let answer: Answer = serde_json::from_str(&opened.payload).unwrap();
        assert_eq!(answer.nonce, "00".repeat(16));
        answer.said
    }

    async fn calls(&self, call: Call, reports: &[Vec<u8>]) -> Result<Said, Unheard> {
        let answer = self.gate.call(&self.asks(call), reports).await;
        answer.map(|bytes| self.opens(&bytes))
    }

    fn report(&self, seq: u64, text: &str) -> Vec<u8> {
        let alert = Report::Alert(Alert { key: text.into(), text: text.into(), over: false });
        self.sign(Kind::Report, Ack { epoch: 1, seq }, serde_json::to_string(&alert).unwrap())
    }

    async fn ships(&self, reports: &[Vec<u8>]) -> String {
        match self.calls(Call::Ship, reports).await {
            Ok(Said::Ack(ack)) => format!("{}.{}", ack.epoch, ack.seq),
            Ok(other) => format!("{other:?}"),
            Err(unheard) => unheard.refused,
        }
    }
}

async fn invite(fleet: &Fleet, name: &str) -> String {
    match fleet.hub().invite(&name.parse().unwrap(), &"ines".parse().unwrap(), 1).await.unwrap() {
        Invited::Token { secret, .. } => secret,
        Invited::Waits { said } => panic!("{said:?}"),
    }
}

fn refused(said: Result<Said, Unheard>) -> String {
    said.unwrap_err().refused
}

#[tokio::test]
async fn a_token_lets_one_instance_join_once() {
    let fleet = Fleet::new().await;
    let remote = Remote::new(&fleet, "beta", 21);
    assert_snapshot!(remote.ships(&[]).await, @"beta has no key d7e1e084be213b01 here: let it join anew (quarterdeck bot invite, quarterdeck instance join)");
    assert_snapshot!(refused(remote.join("nonsense").await), @"the token for beta is not known, was used, or is older than 15 minutes: an owner makes another one with quarterdeck bot invite beta");
    let secret = invite(&fleet, "beta").await;
    let other = Remote::new(&fleet, "gamma", 22);
    assert_snapshot!(refused(other.join(&secret).await), @"the token for gamma is not known, was used, or is older than 15 minutes: an owner makes another one with quarterdeck bot invite gamma");
    assert_eq!(remote.join(&secret).await.unwrap(), Said::Done);
    assert_snapshot!(refused(remote.join(&secret).await), @"the token for beta is not known, was used, or is older than 15 minutes: an owner makes another one with quarterdeck bot invite beta");
    assert_snapshot!(remote.ships(&[]).await, @"0.0");
    // Only the hash of the secret is kept.
    assert_eq!(fleet.sql(&format!("SELECT count(*) FROM instance_invitations WHERE hash = '{secret}'")), "0");
    // Somebody else's key is nobody else's.
    let thief = Remote { name: "gamma".into(), ..Remote::new(&fleet, "gamma", 21) };
    let secret = invite(&fleet, "gamma").await;
    assert_snapshot!(refused(thief.join(&secret).await), @"the key of the team gamma was withdrawn, or is another team's: remove surface.key from the team's state folder, and a new one is made when it starts");
    let rows =
        fleet.sql("SELECT group_concat(payload ->> 'text', '; ') FROM audit_chain WHERE kind = 'enrolment'");
    assert_snapshot!(rows, @"beta is invited to join; beta joined with the key d7e1 e084 be21 3b01 e506 852a f819 8b99; gamma is invited to join");
}

#[tokio::test]
async fn where_two_decide_the_second_gets_the_token() {
    let fleet = Fleet::new().await;
    let (beta, ines, theo) =
        ("beta".parse().unwrap(), "ines".parse().unwrap(), "theo".parse::<qd_types::PersonId>().unwrap());
    for _ in 0..2 {
        let invited = fleet.hub().invite(&beta, &ines, 2).await.unwrap();
        assert_eq!(invited, Invited::Waits { said: vec![ines.clone()] }, "nobody is two");
    }
    assert!(matches!(fleet.hub().invite(&beta, &theo, 2).await.unwrap(), Invited::Token { .. }));
    // What was agreed is spent.
    assert!(matches!(fleet.hub().invite(&beta, &theo, 2).await.unwrap(), Invited::Waits { .. }));
    let bot = fleet.hub().invite(&"bot".parse().unwrap(), &ines, 1).await.unwrap_err();
    assert_snapshot!(bot, @"no instance can be called bot: that is the bot's own name");
}

/// What somebody may try who hears everything and has a key of their own, or an old one.
#[tokio::test]
async fn attacks_on_the_gate() {
    let fleet = Fleet::new().await;
    let beta = Remote::joined(&fleet, "beta", 21).await;
    let gamma = Remote::joined(&fleet, "gamma", 22).await;
    let first = beta.report(1, "one");
    let mut said = vec![("a report", beta.ships(std::slice::from_ref(&first)).await)];
    said.push(("the same again", beta.ships(std::slice::from_ref(&first)).await));
    said.push(("a gap", beta.ships(&[beta.report(3, "three")]).await));
    said.push(("out of order", beta.ships(&[beta.report(3, "three"), beta.report(2, "two")]).await));
    said.push(("what another one said", gamma.ships(&[beta.report(3, "three")]).await));
    let mut changed = beta.report(3, "three");
    let place = changed.windows(5).rposition(|word| word == b"three").unwrap();
    changed[place] = b'T';
    said.push(("a changed byte", beta.ships(&[changed]).await));
    let order = beta.sign(Kind::Order, Ack { epoch: 1, seq: 3 }, "{}".into());
    said.push(("an order", beta.ships(&[order]).await));
    let call = beta.asks(Call::Ship);
    said.push(("a call as a report", beta.ships(&[call]).await));
    let late = Remote { late: SignedDuration::from_mins(5), ..Remote::new(&fleet, "beta", 21) };
    let stale = late.calls(Call::Ship, &[]).await.unwrap_err();
    assert!(stale.stale && stale.refused.contains("it is"), "{stale:?}");
    let stranger = Remote::new(&fleet, "beta", 23);
    said.push(("a stranger", stranger.ships(&[]).await));
    let unknown = beta.sign(Kind::Report, Ack { epoch: 1, seq: 2 }, r#"{"report":"weather"}"#.into());
    said.push(("a kind of later", beta.ships(&[unknown]).await));
    said.push(("what follows it", beta.ships(&[beta.report(3, "three")]).await));
    let text: String = said.iter().map(|(attack, said)| format!("{attack}: {said}\n")).collect();
    assert_snapshot!(text, @r#"
    a report: 1.1
    the same again: 1.1
    a gap: 1.1
    out of order: 1.1
    what another one said: it is from "beta", where "gamma" speaks
    a changed byte: the signature of beta does not hold: the bytes are not as they were sent
    an order: it is order, where report belongs
    a call as a report: it is call, where report belongs
    a stranger: beta has no key e37abcd79efd08db here: let it join anew (quarterdeck bot invite, quarterdeck instance join)
    a kind of later: 1.2
    what follows it: 1.3
    "#);
    assert_eq!(fleet.sql("SELECT payload FROM inbox_unread"), r#"{"report":"weather"}"#);
    assert_eq!(fleet.sql("SELECT count(*) FROM alerts WHERE team = 'beta'"), "2");
}

#[tokio::test]
async fn orders_are_sent_until_they_are_acknowledged_and_not_to_who_is_out() {
    let fleet = Fleet::new().await;
    let beta = Remote::joined(&fleet, "alpha", 21).await;
    let said = fleet.says("ines", "feature add --team alpha Write it").await;
    let none = Ack { epoch: 0, seq: 0 };
    let orders = async |after: Ack| {
        let mut reader = beta.gate.open(&beta.asks(Call::Orders { after })).await.unwrap();
        beta.gate.orders(&mut reader).await
    };
    let first = orders(none).await.unwrap();
    assert!(!first.is_empty(), "{said}");
    assert_eq!(orders(none).await.unwrap().len(), first.len(), "to be sent is not to be had");
    let (last, _) = *first.last().as_ref().unwrap();
    let acknowledged = beta.calls(Call::Acknowledge { ack: *last }, &[]).await.unwrap();
    assert_eq!(acknowledged, Said::Done);
    assert_eq!(fleet.sql("SELECT count(*) FROM outbox WHERE peer = 'alpha' AND seq IS NOT NULL"), "0");

    // Put out while it waits for more.
    let mut reader = beta.gate.open(&beta.asks(Call::Orders { after: *last })).await.unwrap();
    let waits = beta.gate.orders(&mut reader);
    let revoke = async {
        assert_eq!(fleet.hub().revoke(&"alpha".parse().unwrap(), &"ines".parse().unwrap()).await.unwrap(), 1);
        fleet.says("ines", "feature add --team alpha And this").await
    };
    let (waited, _) = tokio::join!(waits, revoke);
    assert_snapshot!(waited.unwrap_err().refused, @"the key d7e1e084be213b01 of alpha was revoked: let it join anew (quarterdeck bot invite, quarterdeck instance join)");
    assert_snapshot!(beta.ships(&[]).await, @"the key d7e1e084be213b01 of alpha was revoked: let it join anew (quarterdeck bot invite, quarterdeck instance join)");
}

/// Whoever hears a call can let it arrive again: it says of an instance what was true once.
#[tokio::test]
async fn a_late_duplicate_of_a_call_begins_no_epoch() {
    let mut fleet = Fleet::new().await;
    let alpha = Remote::joined(&fleet, "alpha", 21).await;
    let (none, epoch) = (Ack { epoch: 0, seq: 0 }, "SELECT epoch FROM outbox_peer WHERE peer = 'alpha'");
    let (early, said) =
        (alpha.asks(Call::Orders { after: none }), alpha.asks(Call::Acknowledge { ack: none }));
    fleet.says("ines", "feature add --team alpha Write it").await;
    let mut reader = alpha.gate.open(&early).await.unwrap();
    let (last, _) = *alpha.gate.orders(&mut reader).await.unwrap().last().unwrap();
    assert_eq!(alpha.calls(Call::Acknowledge { ack: last }, &[]).await.unwrap(), Said::Done);
    let before = fleet.sql(epoch);

    let again = alpha.gate.open(&early).await.unwrap_err();
    assert!(again.stale, "{again:?}");
    assert_snapshot!(again.refused, @"a later call of alpha was heard, or the bot has started since: what it has is said again");
    let late = alpha.gate.call(&said, &[]).await.unwrap_err();
    assert!(late.stale, "{late:?}");
    assert_eq!(fleet.sql(epoch), before, "nothing is numbered anew");
    // Another process of the bot does not know what was heard: it takes nothing of that from before its start.
    drop((reader, alpha));
    fleet.restart().await;
    let alpha = Remote::new(&fleet, "alpha", 21);
    assert!(alpha.gate.open(&early).await.unwrap_err().stale);
    assert_eq!(fleet.sql(epoch), before);
    // An instance that has lost its rows says so newly, and once.
    let lost = alpha.asks(Call::Orders { after: none });
    alpha.gate.open(&lost).await.unwrap();
    let begun = fleet.sql(epoch);
    assert_ne!(begun, before);
    let now = Ack { epoch: begun.parse().unwrap(), seq: 0 };
    assert_eq!(alpha.calls(Call::Acknowledge { ack: now }, &[]).await.unwrap(), Said::Done);
    let mut reader = alpha.gate.open(&alpha.asks(Call::Orders { after: now })).await.unwrap();
    fleet.says("ines", "feature add --team alpha And this").await;
    let (last, _) = *alpha.gate.orders(&mut reader).await.unwrap().last().unwrap();
    assert_eq!(alpha.calls(Call::Acknowledge { ack: last }, &[]).await.unwrap(), Said::Done);
    assert!(alpha.gate.open(&lost).await.unwrap_err().stale);
    assert_eq!(fleet.sql(epoch), begun);
}

#[tokio::test]
async fn two_keys_are_alive_and_a_third_ends_the_first() {
    let fleet = Fleet::new().await;
    let first = Remote::joined(&fleet, "beta", 21).await;
    let next = |seed: u8| Remote::new(&fleet, "beta", seed);
    let proven = |old: &Remote, new: &Remote| {
        let proof = new.key.sign(NewKeys::proves(&key_id(&old.key.verifying_key().to_bytes())).as_bytes());
        NewKeys { proof: Some(hex(&proof.to_bytes())), ..new.keys() }
    };
    let (second, third) = (next(24), next(25));
    let unproven = first.calls(Call::Rotate(second.keys()), &[]).await.unwrap();
    assert_eq!(unproven, Said::Refused { reason: "The new key did not sign for itself.".into() });
    for _ in 0..2 {
        let rotated = first.calls(Call::Rotate(proven(&first, &second)), &[]).await.unwrap();
        assert_eq!(rotated, Said::Done, "the same again is the same");
    }
    assert_eq!(first.ships(&[]).await, "0.0");
    assert_eq!(second.ships(&[]).await, "0.0");
    let rotated = second.calls(Call::Rotate(proven(&second, &third)), &[]).await.unwrap();
    assert_eq!(rotated, Said::Done);
    assert_snapshot!(first.ships(&[]).await, @"the key d7e1e084be213b01 of beta was revoked: let it join anew (quarterdeck bot invite, quarterdeck instance join)");
    assert_eq!(second.ships(&[]).await, "0.0");
    assert_eq!(third.ships(&[]).await, "0.0");
    // One that was ended does not come back.
    let back = third.calls(Call::Rotate(proven(&third, &first)), &[]).await.unwrap();
    let Said::Refused { reason } = back else { panic!("{back:?}") };
    assert_snapshot!(reason, @"the key of the team beta was withdrawn, or is another team's: remove surface.key from the team's state folder, and a new one is made when it starts");
}

#[tokio::test]
async fn a_credential_is_for_one_pair_of_eyes_and_nowhere_kept() {
    let fleet = Fleet::new().await;
    let beta = Remote::joined(&fleet, "beta", 21).await;
    let said =
        beta.calls(Call::Credential { repository: "sample".into(), sealing: None }, &[]).await.unwrap();
    let Said::Sealed { sealed } = said else { panic!("{said:?}") };
    assert_eq!(beta.sealing.open(CREDENTIAL, &sealed).unwrap(), b"beta may push to sample");
    assert_eq!(fleet.sql("SELECT count(*) FROM outbox WHERE body LIKE '%may push%'"), "0");
    let other = SealingKey::new(&[9; 32]).unwrap();
    assert!(other.open(CREDENTIAL, &sealed).is_err());
}

/// What an order looks like where it arrives.
#[tokio::test]
async fn an_order_is_signed_for_its_recipient() {
    let fleet = Fleet::new().await;
    let beta = Remote::joined(&fleet, "alpha", 21).await;
    fleet.says("ines", "feature add --team alpha Write it").await;
    let mut reader =
        beta.gate.open(&beta.asks(Call::Orders { after: Ack { epoch: 0, seq: 0 } })).await.unwrap();
    let orders = beta.gate.orders(&mut reader).await.unwrap();
    let bot: [u8; 32] = qd_wire::signed::unhex(&beta.gate.card().signing).unwrap().try_into().unwrap();
    for (place, bytes) in orders {
        let expected = Expected { kind: Kind::Order, fleet: "harbour", from: Some(BOT), to: "alpha" };
        let opened = Signed::from_bytes(&bytes).unwrap().open(&expected, |_, _| Held::Alive(bot)).unwrap();
        let order = Envelope {
            epoch: opened.header.epoch,
            seq: opened.header.seq,
            at: opened.header.at,
            body: Order::read(&opened.payload),
        };
        assert_eq!(place, Ack { epoch: order.epoch, seq: order.seq });
        assert!(!matches!(order.body, Order::Unread(_)));
        let alpha = Expected { to: "gamma", ..expected };
        assert!(Signed::from_bytes(&bytes).unwrap().open(&alpha, |_, _| Held::Alive(bot)).is_err());
    }
}
