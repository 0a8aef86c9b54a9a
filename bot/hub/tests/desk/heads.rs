//! Heads of audit chains between the bot and an instance.

use jiff::Timestamp;
use qd_approvals::SurfaceKey;
use qd_audit::{ChainFile, Countersignature, Head, RowHash, sign};
use qd_wire::v1::{AuditHead, AuditSigned, Order, Report};
use serde::{Serialize, de::DeserializeOwned};

use crate::support::{Fleet, merge};

/// The instance's key in these tests.
const ALPHA: [u8; 32] = [7; 32];

fn same<T: Serialize, U: DeserializeOwned>(value: &T) -> U {
    serde_json::from_value(serde_json::to_value(value).unwrap()).unwrap()
}

fn shows(chain: &str, seq: u64, hash: &str) -> Report {
    let head = Head { chain: chain.into(), seq, hash: RowHash::genesis(hash) };
    Report::AuditHead(same::<_, AuditHead>(&head))
}

async fn signatures(fleet: &mut Fleet) -> Vec<AuditSigned> {
    let signed = |order: &Order| match order {
        Order::AuditSigned(signed) => Some(signed.clone()),
        _ => None,
    };
    fleet.orders().await.iter().filter_map(signed).collect()
}

#[tokio::test]
async fn an_instances_head_is_signed_unless_its_chain_went_back() {
    let mut fleet = Fleet::new().await;
    fleet.report(shows("alpha", 7, "seven")).await;
    let mut signed = Vec::new();
    for _ in 0..500 {
        signed = signatures(&mut fleet).await;
        if !signed.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!((signed.len(), signed[0].head.seq, signed[0].by.as_str()), (1, 7, "bot"));
    fleet.report(shows("alpha", 5, "five")).await;
    fleet.report(shows("beta", 9, "nine")).await;
    assert_eq!(signatures(&mut fleet).await.len(), 1, "neither is signed");
    let alerts = fleet.messages("alert:alpha:audit:");
    insta::assert_snapshot!(alerts[0].lines().next().unwrap(), @"⚠ alpha: The audit trails of the bot and alpha do not fit: a row of inbox makes no sense: alpha shows a head of beta (2 times)");
}

#[tokio::test]
async fn the_bots_head_goes_down_and_the_instances_signature_is_kept() {
    let mut fleet = Fleet::new().await;
    fleet.request("r1", Fleet::ask_merge(merge())).await;
    let mut head = None;
    for _ in 0..100 {
        let shown = |order: &Order| match order {
            Order::AuditHead(head) => Some(same::<_, Head>(head)),
            _ => None,
        };
        head = fleet.orders().await.iter().find_map(shown);
        if head.is_some() {
            break;
        }
    }
    let head = head.unwrap();
    let signed = |by: &str, secret: &[u8; 32]| -> Countersignature {
        sign(head.clone(), by, Timestamp::now(), SurfaceKey::new(secret).signing())
    };
    let chain = |fleet: &Fleet| ChainFile::open(&fleet.file()).unwrap().unwrap();
    let listed = chain(&fleet).signers().unwrap();
    for (by, secret) in [("alpha", &[9; 32]), ("beta", &ALPHA)] {
        fleet.report(Report::AuditSigned(same(&signed(by, secret)))).await;
        assert_eq!(chain(&fleet).verify(&listed, &[]).unwrap().proven, None, "{by}");
    }
    let good = signed("alpha", &ALPHA);
    fleet.report(Report::AuditSigned(same(&good))).await;
    let report = chain(&fleet).verify(&listed, &[]).unwrap();
    assert_eq!((report.fault, report.proven), (None, Some(good)));
}
