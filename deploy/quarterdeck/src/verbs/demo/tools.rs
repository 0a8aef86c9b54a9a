//! The demo's tool server: one of somebody else, behind the guard. An agent's call waits for a person and is carried out once;
//! and once the server describes its tool otherwise, that tool is gone.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use jiff::Timestamp;
use qd_approvals::{
    Approvals, Directory, Executor, KeyOwner, Known, Proof, Statement, SurfaceKey, confirm::Way,
};
use qd_guard::{
    Answer, Caller, EngineLaw, Guard, Incoming, Ledger, Outcome, Server, Settings, Who,
    proxy::{Mapping, Pins, Proxy, Trust},
};
use qd_types::{Ballot, InstanceName, RunId, Vote};
use serde_json::{Map, Value};
use tokio::process::Child;

use super::{failed, scene::Scene};
use crate::{
    context::UserError,
    say,
    servers::walled::{self, Wanted},
    verbs::mcp::alone::local,
};

const NAME: &str = "notes";

/// Tells the scene. `script` is the server.
pub(super) async fn tell(scene: &Scene, script: &Path) -> Result<(), UserError> {
    let folder = scene.plan.state.join("mcp").join("alpha").join(NAME);
    std::fs::create_dir_all(&folder).map_err(|error| failed(&error))?;
    let mut pins = Pins::default();
    say::note("");
    {
        let (seen, _child) = connect(scene, script, &folder, &pins, false).await?;
        for found in seen.found() {
            pins.trust(&found.tool);
        }
    }
    say::note(&format!(
        "A tool server of somebody else, {NAME}: trusted as it is now, and behind the guard."
    ));
    let (proxy, child) = connect(scene, script, &folder, &pins, false).await?;
    called(scene, &proxy, &folder).await?;
    drop((proxy, child));
    let (proxy, _child) = connect(scene, script, &folder, &pins, true).await?;
    let found = proxy.found().first().ok_or_else(|| UserError::failed("the demo's server has no tool"))?;
    let Trust::Changed(difference) = &found.trust else {
        return Err(UserError::failed("the demo's server changed its tool, and nobody noticed"));
    };
    say::note(&format!(
        "Then the server describes {NAME}.{} otherwise. It is not served any more:",
        found.tool.name
    ));
    difference.lines().for_each(|line| say::note(&format!("  {line}")));
    if found.is_served() {
        return Err(UserError::failed("the demo's server changed its tool, which is served still"));
    }
    Ok(())
}

async fn connect(
    scene: &Scene,
    script: &Path,
    folder: &Path,
    pins: &Pins,
    changed: bool,
) -> Result<(Proxy, Child), UserError> {
    let mut command: Vec<std::ffi::OsString> = vec!["sh".into(), script.into()];
    command.extend(changed.then(|| "changed".into()));
    let asked = Wanted {
        name: NAME,
        command,
        passed: &[],
        set: std::collections::BTreeMap::new(),
        read: &[],
        write: &[],
    };
    let sandbox = qd_config::Sandbox::default();
    let mut child = walled::start(&sandbox, &scene.plan.state, &asked, folder).await?;
    let (Some(reader), Some(writer)) = (child.stdout.take(), child.stdin.take()) else {
        return Err(UserError::failed("the demo's server can't be spoken to"));
    };
    let proxy = Proxy::connect(NAME, (reader, writer), pins.clone(), Mapping::default()).await;
    Ok((proxy.map_err(|error| failed(&error))?, child))
}

/// A server behind the guard, with what is kept of its calls.
pub(super) struct Behind {
    pub(super) guard: Guard,
    /// The agent of the first run.
    pub(super) agent: Caller,
    ledger: Arc<Ledger>,
    key: SurfaceKey,
    executor: Executor,
    people: Directory,
}

/// Puts a server behind the guard, under the policies of the demo.
pub(super) async fn behind(scene: &Scene, server: Server, folder: &Path) -> Result<Behind, UserError> {
    let team: InstanceName = "alpha".parse().map_err(|error: qd_types::IdError| failed(&error))?;
    let run: RunId = "A-1.1".parse().map_err(|error: qd_types::IdError| failed(&error))?;
    let key = SurfaceKey::open(&folder.join("surface.key")).map_err(|error| failed(&error))?;
    let mut people = Directory::default();
    for person in &scene.plan.people {
        let identities = vec![local(&person.id)];
        let known = Known { roles: person.roles.clone(), identities, ..Known::default() };
        people.people.insert(person.id.clone(), known);
    }
    people.add_key(key.public(), KeyOwner::Instance(team.clone()));
    let mut policies = scene.plan.policies.clone();
    policies.facts.tools = server.known_tools();
    let law = Arc::new(EngineLaw::new(Arc::new(policies.engine()?)));
    let executor = Executor::new(team.as_str());
    let opened = Ledger::open(folder, executor.clone(), people.clone(), Arc::new(Timestamp::now)).await;
    let ledger = Arc::new(opened.map_err(|error| failed(&error))?);
    let settings = Settings { hold: Duration::ZERO, ..Settings::default() };
    let guard = Guard::new(server, law, ledger.clone(), ledger.clone(), settings);
    let agent = "scripted".to_owned();
    let on_behalf = vec![scene.requester.id.clone()];
    let agent = Caller::new(Who::Agent { team, agent, run, on_behalf });
    Ok(Behind { guard, agent, ledger, key, executor, people })
}

/// The agent asks, a person agrees, and it is done once.
async fn called(scene: &Scene, proxy: &Proxy, folder: &Path) -> Result<(), UserError> {
    let server = proxy.server().map_err(|error| failed(&error))?;
    let Behind { guard, agent: caller, ledger, key, executor, people } =
        behind(scene, server, folder).await?;
    let answer = guard.call(&caller, incoming("add", &[("text", "Totals are rounded down.")])).await;
    let Answer::Pending(pending) = answer else {
        return Err(UserError::failed(format!("the demo's agent was not asked to wait: {answer:?}")));
    };
    say::note(&format!("The agent of A-1 calls {NAME}.add, and has to wait: {}.", pending.people));
    say::note(&format!("  {}", pending.decide));
    let newest = {
        let connection = qd_sqlite::read_only(&folder.join("guard.db")).map_err(|error| failed(&error))?;
        let approvals = Approvals::reading(&connection, &executor, &people, Timestamp::now());
        approvals.and_then(|approvals| approvals.newest(1)).map_err(|error| failed(&error))?.pop()
    };
    let approval = newest.ok_or_else(|| UserError::failed("the demo's agent asked for nothing"))?.approval;
    let statement = Statement {
        vote: Vote {
            approval: approval.id,
            digest: approval.digest,
            person: scene.you.clone(),
            surface: "cli".into(),
            ballot: Ballot::Approve,
            reason: None,
            at: Timestamp::now(),
        },
        identity: local(&scene.you.id),
        proof: Proof::Passphrase,
        way: Way::Button,
        typed: None,
        answer: None,
    };
    let signed = key.sign(&statement).map_err(|error| failed(&error))?;
    let said = ledger.cast(signed).await.map_err(|error| failed(&error))?;
    say::note(&format!("{} approves: {said}", scene.you.id));
    let ask = || incoming("call_outcome", &[("approval", &pending.approval)]);
    let (first, again) = (guard.call(&caller, ask()).await, guard.call(&caller, ask()).await);
    let done = done(&first)?;
    if done != self::done(&again)? {
        return Err(UserError::failed("the demo's call was carried out twice"));
    }
    say::note(&format!("The agent asks again, twice, and gets the same: {done}."));
    ledger.flush().await.map_err(|error| failed(&error))
}

fn incoming(name: &str, arguments: &[(&str, &str)]) -> Incoming {
    let arguments: BTreeMap<&str, &str> = arguments.iter().copied().collect();
    let mut incoming = Incoming::default();
    incoming.name = name.to_owned();
    incoming.arguments = arguments
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Value::String(value.to_owned())))
        .collect::<Map<_, _>>();
    incoming
}

/// What the tool said.
fn done(answer: &Answer) -> Result<String, UserError> {
    let said = match answer {
        Answer::Done { result: Outcome::Whole(value), .. } => {
            value.pointer("/content/0/text").and_then(Value::as_str)
        }
        _ => None,
    };
    said.map(str::to_owned)
        .ok_or_else(|| UserError::failed(format!("the demo's call was not carried out: {answer:?}")))
}
