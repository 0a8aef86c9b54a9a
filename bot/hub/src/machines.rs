//! Orders for machines of teams: rows until they are over. What is under way when the process ends is gone on with at the next
//! start; whoever makes the machines looks whether it happened.

use std::{collections::HashSet, sync::Arc, time::Duration};

use qd_core::{
    Desk, Event,
    machines::{MachineCall, MachineGoing, MachineStep, Machined, Machines, Wanted},
    text,
};
use qd_types::{ApprovalId, ApprovalState, Person};
use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use crate::{
    Hub, HubError,
    hub::HEARD,
    json::{from_json, to_json},
};

/// Steps that wait to be told: the newest matter, and each is an edit of one message.
const STEPS: usize = 16;

/// After something that people agreed to could not be begun.
const AGAIN: Duration = Duration::from_secs(5);

/// After something that could not be kept.
const PAUSE: Duration = Duration::from_secs(1);

/// Keeps an order, in the transaction of its command.
pub(crate) fn keep(c: &Connection, wanted: &Wanted) -> Result<(), HubError> {
    if let Wanted::Order(call) = wanted {
        c.prepare_cached("INSERT INTO machines (id, call) VALUES (?1, ?2)")?
            .execute(params![call.id, to_json("machines", call)?])?;
    }
    Ok(())
}

fn change(c: &Connection, call: &MachineCall, over: bool) -> Result<(), HubError> {
    c.prepare_cached("UPDATE machines SET call = ?2, over = ?3 WHERE id = ?1")?.execute(params![
        call.id,
        to_json("machines", call)?,
        over
    ])?;
    Ok(())
}

fn find(c: &Connection, id: &str) -> Result<Option<(MachineCall, bool)>, HubError> {
    let found: Option<(String, bool)> = c
        .prepare_cached("SELECT call, over FROM machines WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found.map(|(call, over)| Ok((from_json("machines", &call)?, over))).transpose()
}

fn open(c: &Connection) -> Result<Vec<MachineCall>, HubError> {
    let mut statement = c.prepare_cached("SELECT call FROM machines WHERE over = 0 ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut calls = Vec::new();
    while let Some(row) = rows.next()? {
        calls.push(from_json("machines", &row.get::<_, String>(0)?)?);
    }
    Ok(calls)
}

impl Hub {
    /// Has orders for machines carried out by these, until the task is dropped. Without it there are none here.
    pub async fn run_machines(self, machines: Arc<dyn Machines>) {
        let machines = Arc::clone(self.inner.machines.get_or_init(|| machines));
        let mut commits = self.inner.db.commits();
        let (mut under_way, mut tasks) = (HashSet::new(), JoinSet::new());
        loop {
            commits.borrow_and_update();
            match self.inner.db.read(open).await {
                Ok(calls) => {
                    let new = calls.into_iter().filter(|call| under_way.insert(call.id.clone()));
                    new.for_each(|call| {
                        tasks.spawn(self.clone().carry_on(Arc::clone(&machines), call));
                    });
                }
                Err(error) => {
                    tracing::error!(%error, "the orders for machines can't be read");
                    tokio::time::sleep(PAUSE).await;
                }
            }
            tokio::select! {
                changed = commits.changed() => if changed.is_err() { return },
                Some(ended) = tasks.join_next(), if !tasks.is_empty() => match ended {
                    Ok(id) => { under_way.remove(&id); }
                    // What broke stays a row: it is gone on with at the next start.
                    Err(error) => tracing::error!(%error, "an order for a machine broke off"),
                },
            }
        }
    }

    /// To its end; returns its id.
    async fn carry_on(self, machines: Arc<dyn Machines>, mut call: MachineCall) -> String {
        let id = call.id.clone();
        loop {
            match self.go_on(&*machines, &mut call).await {
                Ok(true) => return id,
                Ok(false) => {}
                Err(error) => {
                    tracing::error!(%error, id, "an order for a machine could not be kept, it is tried again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// One step on; `true` if it is over.
    async fn go_on(&self, machines: &dyn Machines, call: &mut MachineCall) -> Result<bool, HubError> {
        let Some(order) = call.order() else {
            let why = format!("this version does not know the order {:?}", call.line);
            return self.machined(call, Machined::Not(why), true).await;
        };
        let by = match self.as_known(&call.by).await? {
            Some(by) => by,
            None => {
                let why = format!("{} is not one of the fleet any more.", call.by.id);
                return self.machined(call, Machined::Not(why), true).await;
            }
        };
        if call.plan.is_none() {
            return match machines.plan(&by, &order).await {
                Ok(plan) => {
                    call.plan = Some(plan);
                    self.machined(call, Machined::Planned, false).await
                }
                Err(why) => self.machined(call, Machined::Not(why), true).await,
            };
        }
        if let Some(approval) = &call.approval {
            self.decided(approval).await;
        }
        qd_failpoint::reached("machine_goes_on");
        let (tell, mut told) = mpsc::channel(STEPS);
        // If whoever tells is behind, a step is left out.
        let progress = move |step: MachineStep| drop(tell.try_send(step));
        let mut going = Box::pin(machines.go_on(&by, &order, call.approval.as_ref(), &progress));
        let went = loop {
            tokio::select! {
                went = &mut going => break went,
                Some(step) = told.recv() => {
                    self.machined(call, Machined::Step(step), false).await?;
                }
            }
        };
        drop(going);
        match went {
            MachineGoing::Waits(approval) => {
                let new = call.approval.replace(approval.clone()).as_ref() != Some(&approval);
                if new {
                    let row = call.clone();
                    self.inner.db.write(move |c| change(c, &row, false)).await?;
                } else {
                    // It is being carried out, or was decided only now.
                    tokio::time::sleep(PAUSE).await;
                }
                Ok(false)
            }
            MachineGoing::Done(now) => self.machined(call, Machined::Done(now), true).await,
            // People agreed, and it could not be begun: it is tried again for as long as their word holds.
            MachineGoing::Not(why) if self.is_granted(call).await => {
                tracing::warn!(id = call.id, why, "an order for a machine can't be carried out yet");
                tokio::time::sleep(AGAIN).await;
                Ok(false)
            }
            MachineGoing::Not(why) => self.machined(call, Machined::Not(why), true).await,
        }
    }

    /// Whether people's yes is there and was not used up.
    async fn is_granted(&self, call: &MachineCall) -> bool {
        let Some(approval) = &call.approval else { return false };
        let state = self.inner.state.lock().await;
        let desk = state.fleet().and_then(|fleet| fleet.desk(approval));
        desk.is_some_and(|desk| desk.approval().state == ApprovalState::Granted)
    }

    /// Returns when people decided.
    async fn decided(&self, approval: &ApprovalId) {
        let mut commits = self.inner.db.commits();
        loop {
            commits.borrow_and_update();
            let open = {
                let state = self.inner.state.lock().await;
                let desk = state.fleet().and_then(|fleet| fleet.desk(approval));
                desk.map(Desk::approval).is_some_and(|approval| approval.state.is_open())
            };
            if !open || commits.changed().await.is_err() {
                return;
            }
        }
    }

    /// The person as the fleet knows them now, with no role that they did not have when they ordered; `None` if nobody does.
    async fn as_known(&self, by: &Person) -> Result<Option<Person>, HubError> {
        let by = by.clone();
        self.within(move |turn| {
            Ok(turn.fleet.rules.person(&by.id).map(|known| {
                let has = |role: &qd_types::Role| known.roles.contains(role);
                Person { id: by.id.clone(), roles: by.roles.iter().copied().filter(has).collect() }
            }))
        })
        .await
    }

    /// Notes what happened to an order, and says it.
    async fn machined(&self, call: &MachineCall, now: Machined, over: bool) -> Result<bool, HubError> {
        let (row, told) = (call.clone(), Box::new(call.clone()));
        self.process(Event::Machine { call: told, now }, move |c| change(c, &row, over)).await?;
        Ok(over)
    }

    /// The answer to what a person wants of machines.
    pub(crate) async fn of_machines(
        &self,
        commits: &mut watch::Receiver<u64>,
        from: &Person,
        wanted: Wanted,
    ) -> Result<String, HubError> {
        let Some(machines) = self.inner.machines.get() else { return Ok(text::machines::none()) };
        match wanted {
            Wanted::List => {
                let listed = machines.list(from).await;
                Ok(listed.map_or_else(|why| why, |listed| text::machines::list(&listed)))
            }
            Wanted::Clusters => Ok(text::machines::clusters(&machines.clusters())),
            Wanted::Plan(order) => {
                let planned = machines.plan(from, &order).await;
                Ok(planned.map_or_else(|why| why, |plan| text::machines::plan(&plan)))
            }
            Wanted::Order(call) => self.begun(commits, from, *call).await,
        }
    }

    /// What is known of an order by the time that its person waits for an answer.
    async fn begun(
        &self,
        commits: &mut watch::Receiver<u64>,
        from: &Person,
        call: MachineCall,
    ) -> Result<String, HubError> {
        let deadline = tokio::time::Instant::now() + HEARD;
        loop {
            commits.borrow_and_update();
            let id = call.id.clone();
            match self.inner.db.read(move |c| find(c, &id)).await? {
                Some((call, _)) if call.plan.is_some() => return Ok(text::machines::asked(&call)),
                Some((_, true)) => {
                    // Why not is what they were not told yet.
                    let event = Event::Collect { person: from.id.clone(), of: None };
                    return Ok(self.process(event, |_| Ok(())).await?.unwrap_or_default());
                }
                _ => {}
            }
            match tokio::time::timeout_at(deadline, commits.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Ok(text::machines::noted(&call)),
            }
        }
    }
}
