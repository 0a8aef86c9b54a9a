//! The exchanges that were recorded with a real Proxmox VE 9.2, played back: each of its answers is read, and comes to
//! the right error.

use std::{collections::BTreeMap, sync::Mutex};

use async_trait::async_trait;
use qd_guard::{Call, Caller, Who};
use qd_mcp_proxmox::{
    api::Api,
    cluster::{Guest, Kind},
    error::PveError,
    https::{Reply, Transport},
    names::{SnapshotName, Upid, VmId},
    request::Request,
    requests,
};
use serde_json::{Value, json};

use crate::shared::reference;

fn reply(exchange: &Value) -> Reply {
    let body = match exchange.get("body") {
        Some(body) => body.to_string(),
        None => exchange["body_text"].as_str().unwrap_or_default().to_owned(),
    };
    Reply {
        status: u16::try_from(exchange["status"].as_u64().unwrap()).unwrap(),
        reason: exchange["reason"].as_str().unwrap_or_default().to_owned(),
        body: body.into_bytes(),
    }
}

/// Answers the first exchange that was not played yet and is the same request.
struct Played(Mutex<Vec<Value>>);

/// Query and path as they mean, not as they are written.
fn plain(text: &str) -> String {
    text.replace("%3A", ":").replace("%40", "@").replace("%21", "!").replace("%2F", "/")
}

#[async_trait]
impl Transport for Played {
    async fn send(&self, request: &Request) -> Result<Reply, PveError> {
        let mut left = self.0.lock().unwrap();
        let path = plain(&format!("/api2/json{}", request.path()));
        let same = left.iter().position(|exchange| {
            exchange["method"] == request.method().as_str()
                && plain(exchange["path"].as_str().unwrap()).split('?').next() == Some(path.as_str())
        });
        let Some(place) = same else { panic!("nobody recorded {request:?}") };
        Ok(reply(&left.remove(place)))
    }
}

fn call() -> Call {
    let who = Who::Service { team: "alpha".parse().unwrap(), name: "ci".to_owned(), on_behalf: vec![] };
    let (cancel, progress) = Default::default();
    Call { id: "C".to_owned(), caller: Caller::new(who), cancel, progress }
}

fn exchanges() -> Option<Vec<Value>> {
    Some(reference("pve-9.2-transcript.json")?["exchanges"].as_array().unwrap().clone())
}

/// One answer, whatever is asked.
struct Always(Reply);

#[async_trait]
impl Transport for Always {
    async fn send(&self, _: &Request) -> Result<Reply, PveError> {
        Ok(self.0.clone())
    }
}

#[tokio::test]
async fn every_answer_comes_to_what_it_is() {
    let Some(exchanges) = exchanges() else { return };
    let mut found = BTreeMap::<(u64, &str), u32>::new();
    for exchange in &exchanges {
        let api = Api::new(Box::new(Always(reply(exchange))));
        let kind = match api.ask(&requests::version()).await {
            Ok(answer) => {
                if let Some(task) = answer.as_str().filter(|text| text.starts_with("UPID:")) {
                    Upid::parse(task).unwrap();
                }
                "read"
            }
            Err(PveError::Unauthorized(_)) => "unauthorized",
            Err(PveError::Forbidden { missing: Some(_), .. }) => "forbidden, with the right",
            Err(PveError::Forbidden { .. }) => "forbidden",
            Err(PveError::Invalid(_)) => "invalid",
            Err(PveError::NotFound(_)) => "not found",
            Err(PveError::Exists(_)) => "exists",
            Err(PveError::Locked(_)) => "locked",
            Err(PveError::NotImplemented(_)) => "not implemented",
            Err(PveError::NodeDown(_)) => "node down",
            Err(PveError::Refused { .. }) => "refused",
            Err(error) => panic!("{error}: {exchange}"),
        };
        *found.entry((exchange["status"].as_u64().unwrap(), kind)).or_default() += 1;
    }
    let lines: Vec<String> =
        found.iter().map(|((status, kind), times)| format!("{status} {kind}: {times}")).collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    200 read: 312
    400 invalid: 83
    401 unauthorized: 12
    403 forbidden: 6
    403 forbidden, with the right: 18
    500 exists: 2
    500 node down: 6
    500 not found: 11
    500 refused: 32
    501 not implemented: 11
    506 refused: 1
    595 node down: 1
    ");
}

#[tokio::test]
async fn a_task_that_was_taken_and_failed_is_a_failure() {
    let Some(exchanges) = exchanges() else { return };
    let guest =
        Guest::of_row(&json!({ "vmid": 199, "type": "qemu", "node": "pve1", "status": "stopped" })).unwrap();
    assert_eq!((guest.vmid, guest.kind), (VmId::new(199).unwrap(), Kind::Qemu));
    let api = Api::new(Box::new(Played(Mutex::new(exchanges))));
    let failed = api.carry_out(&call(), &requests::power(&guest, "start")).await.unwrap_err();
    assert!(failed.is_absent(), "{failed}");
    insta::assert_snapshot!(failed, @"There is no such thing: Configuration file 'nodes/pve1/qemu-server/199.conf' does not exist");
}

#[tokio::test]
async fn a_task_that_ended_well_is_done() {
    let Some(exchanges) = exchanges() else { return };
    let guest =
        Guest::of_row(&json!({ "vmid": 101, "type": "qemu", "node": "pve1", "status": "stopped" })).unwrap();
    let api = Api::new(Box::new(Played(Mutex::new(exchanges))));
    let name = SnapshotName::parse("s2").unwrap();
    let (_, ended) = api.carry_out(&call(), &requests::snapshot_delete(&guest, &name)).await.unwrap();
    let ended = ended.unwrap();
    assert_eq!((ended.upid.kind(), ended.warnings), ("qmdelsnapshot", 0));
}
