//! Webhooks: what is told to an App, signed, with its delivery kept for listing and redelivery; and the ways in which that
//! goes wrong. <https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries>

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Shared,
    keys::hub_signature,
    repo::{Actor, IssueEvent},
    shapes::{extend, node},
    world::World,
};

/// GitHub gives a receiver so long.
/// <https://docs.github.com/en/webhooks/testing-and-troubleshooting-webhooks/troubleshooting-webhooks>
const PATIENCE: Duration = Duration::from_secs(10);

/// How deliveries go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivering {
    /// Once each, in order, at once.
    Usual,
    /// Each twice, with one id.
    Twice,
    /// Each so much later.
    Late(Duration),
    /// So many are kept back and then sent, newest first.
    Reversed(usize),
    /// None arrives: GitHub lists each as failed.
    Failing,
    /// None is sent, and none is listed.
    Vanishing,
}

/// What was or will be sent.
#[derive(Debug, Default)]
pub(super) struct Hooks {
    pub(super) deliveries: Vec<Delivery>,
    pending: VecDeque<usize>,
    held: Vec<usize>,
    /// Under way now.
    busy: bool,
    pub(super) way: Option<Delivering>,
}

/// One delivery, or another try of one.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) id: u64,
    pub(super) guid: String,
    pub(super) app: u64,
    pub(super) event: String,
    pub(super) installation: Option<u64>,
    pub(super) repository: Option<u64>,
    pub(super) payload: String,
    pub(super) at: Timestamp,
    pub(super) redelivery: bool,
    /// Status, and milliseconds; none while it is under way.
    pub(super) ended: Option<(u16, u128)>,
    pub(super) answer: String,
    due: Instant,
    fails: bool,
}

impl Delivery {
    fn action(&self) -> Value {
        let payload: Value = serde_json::from_str(&self.payload).unwrap_or_default();
        payload["action"].clone()
    }

    /// `hook-delivery-item`.
    pub(super) fn item(&self) -> Value {
        let (status, took) = self.ended.unwrap_or((0, 0));
        let word = match status {
            200..=299 => "OK".to_owned(),
            0 => "failed to connect to host".to_owned(),
            other => format!("Invalid HTTP Response: {other}"),
        };
        json!({"id": self.id, "guid": self.guid, "delivered_at": self.at, "redelivery": self.redelivery,
            "duration": took as f64 / 1000.0, "status": word, "status_code": status, "event": self.event,
            "action": self.action(), "installation_id": self.installation, "repository_id": self.repository,
            "throttled_at": null})
    }

    /// `hook-delivery`.
    pub(super) fn full(&self) -> Value {
        let mut shape = self.item();
        let payload: Value = serde_json::from_str(&self.payload).unwrap_or_default();
        let headers = json!({"X-GitHub-Delivery": self.guid, "X-GitHub-Event": self.event});
        extend(
            &mut shape,
            json!({"request": {"headers": headers, "payload": payload},
            "response": {"headers": {}, "payload": self.answer}}),
        );
        shape
    }
}

impl World {
    /// Tells every App that has the repository and asked for this event.
    pub(super) fn emit(&mut self, repo: u64, event: &str, action: &str, by: &Actor, fields: Value) {
        let (owner, shape) = {
            let repo = self.repo(repo);
            (repo.owner.clone(), self.repository(repo))
        };
        if event == "issues" {
            self.note_issue(repo, action, by, &fields);
        }
        let mut payload = json!({"repository": shape, "sender": self.actor(by)});
        if !action.is_empty() {
            payload["action"] = json!(action);
        }
        if self.accounts.get(&owner.to_lowercase()).is_some_and(|owner| owner.kind == "Organization") {
            payload["organization"] = self.organization(&owner);
        }
        extend(&mut payload, fields);
        let apps: Vec<u64> = self.apps.keys().copied().collect();
        for app in apps {
            let Some(it) = self.installation_of(app, repo).filter(|it| it.suspended.is_none()) else {
                continue;
            };
            let id = it.id;
            let mut payload = payload.clone();
            payload["installation"] = json!({"id": id, "node_id": node("I", id)});
            self.deliver(app, event, Some(id), Some(repo), &payload);
        }
    }

    /// What was done to an issue is listed, too. An edit of its text is not.
    /// <https://docs.github.com/en/rest/using-the-rest-api/issue-event-types>
    fn note_issue(&mut self, repo: u64, action: &str, by: &Actor, fields: &Value) {
        const LISTED: [&str; 6] =
            ["labeled", "unlabeled", "closed", "reopened", "milestoned", "demilestoned"];
        let Some(number) = fields["issue"]["number"].as_u64().filter(|_| LISTED.contains(&action)) else {
            return;
        };
        let (id, at) = (self.id(), self.now());
        let label = fields.get("label").map(|label| json!({"name": label["name"], "color": label["color"]}));
        let milestone = fields["milestone"]["title"].as_str().map(str::to_owned);
        let event = IssueEvent { id, number, event: action.to_owned(), by: by.clone(), label, milestone, at };
        self.repo_mut(repo).events.push(event);
    }

    fn organization(&self, login: &str) -> Value {
        let user = self.user(login);
        let url = self.api(&format!("/orgs/{login}"));
        json!({"login": login, "id": user["id"], "node_id": user["node_id"], "url": url,
            "repos_url": format!("{url}/repos"), "events_url": format!("{url}/events"),
            "hooks_url": format!("{url}/hooks"), "issues_url": format!("{url}/issues"),
            "members_url": format!("{url}/members{{/member}}"),
            "public_members_url": format!("{url}/public_members{{/member}}"),
            "avatar_url": user["avatar_url"], "description": null})
    }

    /// Something about the installation itself; every App is told of it unasked.
    /// <https://docs.github.com/en/webhooks/webhook-events-and-payloads#installation>
    pub(super) fn emit_installation(&mut self, id: u64, event: &str, action: &str, fields: Value) {
        let it = self.installations.get(&id).expect("an installation that was found").clone();
        let mut payload = json!({"action": action, "installation": self.installation(&it),
            "sender": self.user(&it.account)});
        extend(&mut payload, fields);
        self.deliver(it.app, event, Some(id), None, &payload);
    }

    /// Puts a delivery to an App in line, if it listens.
    pub(super) fn deliver(
        &mut self,
        app: u64,
        event: &str,
        installation: Option<u64>,
        repository: Option<u64>,
        payload: &Value,
    ) {
        let Some(known) = self.apps.get(&app).filter(|known| known.hook.is_some()) else { return };
        let unasked = matches!(event, "installation" | "installation_repositories" | "ping");
        if !unasked && !known.events.contains(event) {
            return;
        }
        let (id, at) = (self.id(), self.now());
        let delivery = Delivery {
            id,
            guid: guid(id),
            app,
            event: event.to_owned(),
            installation,
            repository,
            payload: payload.to_string(),
            at,
            redelivery: false,
            ended: None,
            answer: String::new(),
            due: Instant::now(),
            fails: false,
        };
        self.hooks.put(delivery);
    }

    /// Another try of a delivery, with its id.
    pub(super) fn redeliver(&mut self, id: u64) -> bool {
        let Some(old) = self.hooks.deliveries.iter().find(|delivery| delivery.id == id) else { return false };
        let mut again = Delivery { redelivery: true, ended: None, due: Instant::now(), ..old.clone() };
        (again.id, again.at, again.fails) = (self.id(), self.now(), false);
        self.hooks.deliveries.push(again);
        self.hooks.pending.push_back(self.hooks.deliveries.len() - 1);
        true
    }
}

impl Hooks {
    fn put(&mut self, mut delivery: Delivery) {
        let way = self.way.clone().unwrap_or(Delivering::Usual);
        match way {
            Delivering::Vanishing => return,
            Delivering::Late(by) => delivery.due += by,
            Delivering::Failing => delivery.fails = true,
            _ => {}
        }
        self.deliveries.push(delivery);
        let index = self.deliveries.len() - 1;
        match way {
            Delivering::Twice => self.pending.extend([index, index]),
            Delivering::Reversed(count) => {
                self.held.push(index);
                if self.held.len() >= count {
                    self.release();
                }
            }
            _ => self.pending.push_back(index),
        }
    }

    /// Sends what was kept back.
    pub(super) fn release(&mut self) {
        self.pending.extend(std::mem::take(&mut self.held).into_iter().rev());
    }

    /// Whether nothing waits and nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty() && !self.busy
    }
}

/// An id of a delivery: a UUID of version 4, made of its number.
fn guid(id: u64) -> String {
    format!("{:08x}-{:04x}-4000-8000-{id:012x}", id & 0xffff_ffff, id >> 32 & 0xffff)
}

/// Sends what is in line, one after the other, for as long as the fake lives.
pub(super) async fn send(shared: Arc<Shared>) {
    loop {
        let changed = shared.changed.notified();
        let next = {
            let mut world = shared.world();
            let next = world.hooks.pending.pop_front();
            world.hooks.busy = next.is_some();
            next.and_then(|index| {
                let delivery = world.hooks.deliveries.get(index)?.clone();
                let hook = world.apps.get(&delivery.app)?.hook.clone()?;
                Some((index, delivery, hook))
            })
        };
        let Some((index, delivery, hook)) = next else {
            // What changed meanwhile is seen at the latest then.
            let _ = tokio::time::timeout(Duration::from_millis(20), changed).await;
            continue;
        };
        tokio::time::sleep_until(delivery.due.into()).await;
        let began = Instant::now();
        let (status, answer) = if delivery.fails {
            (0, String::new())
        } else {
            let tried = tokio::time::timeout(PATIENCE, post(&hook.url, hook.secret.as_deref(), &delivery));
            tried.await.ok().and_then(Result::ok).unwrap_or_default()
        };
        shared.change(|world| {
            if let Some(kept) = world.hooks.deliveries.get_mut(index) {
                (kept.ended, kept.answer) = (Some((status, began.elapsed().as_millis())), answer);
            }
            world.hooks.busy = false;
        });
    }
}

/// Sends one. <https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers>
async fn post(
    url: &str,
    secret: Option<&str>,
    delivery: &Delivery,
) -> Result<(u16, String), Box<dyn std::error::Error + Send + Sync>> {
    let uri: hyper::Uri = url.parse()?;
    let authority = uri.authority().ok_or("a webhook's address has a host")?.clone();
    let port = authority.port_u16().unwrap_or(80);
    let stream = tokio::net::TcpStream::connect((authority.host(), port)).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Full<hyper::body::Bytes>>(TokioIo::new(stream)).await?;
    let wire = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = hyper::Request::post(path)
        .header("host", authority.as_str())
        .header("accept", "*/*")
        .header("content-type", "application/json")
        .header("user-agent", "GitHub-Hookshot/fake")
        .header("x-github-delivery", &delivery.guid)
        .header("x-github-event", &delivery.event)
        .header("x-github-hook-id", "1")
        .header("x-github-hook-installation-target-id", delivery.app.to_string())
        .header("x-github-hook-installation-target-type", "integration");
    if let Some(secret) = secret {
        request = request.header("x-hub-signature-256", hub_signature(secret, delivery.payload.as_bytes()));
    }
    let body = Full::new(hyper::body::Bytes::from(delivery.payload.clone()));
    let response = sender.send_request(request.body(body)?).await?;
    let status = response.status().as_u16();
    let answer = response.into_body().collect().await?.to_bytes();
    wire.abort();
    Ok((status, String::from_utf8_lossy(&answer).into_owned()))
}
