//! The way there and back, step by step. Each step looks at the cluster first and does what is missing, so that a step that
//! was cut short, or whose answer was lost, is done again without harm. What is made carries the record's mark: only what has
//! it is changed or taken away.

use std::time::Duration;

use qd_guard::{Call, Fault};
use qd_types::Tier;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Machines, NewTeam, files,
    journal::{Journal, Record},
    steps::{Event, Phase, Step},
};
use crate::{
    cluster::{Guest, count, text},
    error::PveError,
    names::{NodeName, StorageId, VmId},
    provision::Needs,
    request::Request,
    requests,
};

/// Longest pause between two tries.
const SLOWEST: Duration = Duration::from_secs(15);

/// Why a step is not done.
struct Trouble {
    text: String,
    /// It may be otherwise in a moment.
    passes: bool,
}

impl Trouble {
    fn holds(text: impl Into<String>) -> Self {
        Self { text: text.into(), passes: false }
    }

    fn passes(text: impl Into<String>) -> Self {
        Self { text: text.into(), passes: true }
    }
}

impl From<PveError> for Trouble {
    fn from(error: PveError) -> Self {
        let passes = matches!(
            error,
            PveError::Unreachable { .. }
                | PveError::Unreadable(_)
                | PveError::NodeDown(_)
                | PveError::Locked(_)
        );
        Self { text: error.to_string(), passes }
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self { text: fault.problem, passes: fault.unsure }
    }
}

/// A guest that carries the mark, as it is now.
struct Own {
    guest: Guest,
    config: Value,
}

impl Own {
    fn set(&self, key: &str) -> String {
        match self.config.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        }
    }
}

/// What became of a machine.
pub(super) struct Way<'a> {
    pub(super) machines: &'a Machines,
    pub(super) journal: &'a Journal,
    pub(super) call: &'a Call,
}

impl Way<'_> {
    /// Goes on from where the record is, to the end of its way: there, or gone, and then why. An error leaves the record as
    /// it is written: it can be gone on with at any time.
    pub(super) async fn go(&self, record: &mut Record) -> Result<Option<String>, Fault> {
        let mut because = None;
        loop {
            match record.phase.clone() {
                Phase::Forward(step) => {
                    let place = Step::ALL.iter().position(|one| *one == step).unwrap_or_default();
                    let text = format!("{}: {}.", record.order.team, step.as_str());
                    self.call.progress.report(
                        f64::from(u32::try_from(place).unwrap_or_default()),
                        Some(8.0),
                        text,
                    );
                    let seen = &*record;
                    let event = match self.patiently(self.call, || self.step(seen, step)).await {
                        Ok(made) => {
                            if let Some((vmid, node)) = made {
                                (record.vmid, record.node) = (Some(vmid), node);
                            }
                            Event::Stepped
                        }
                        Err(trouble) => Event::Failed(trouble.text),
                    };
                    self.moved(record, event)?;
                }
                Phase::Back(why) => {
                    // Taking away goes on also when nobody waits for it any more.
                    let call = Call { cancel: CancellationToken::new(), ..self.call.clone() };
                    let (seen, on) = (&*record, &call);
                    self.patiently(on, || self.clear(on, seen)).await.map_err(|trouble| {
                        Fault::unsure(
                            format!(
                                "The machine of {} could not be taken away: {}.",
                                seen.order.team, trouble.text
                            ),
                            "It is written down. Look what is wrong, then call team_destroy.",
                        )
                    })?;
                    self.moved(record, Event::Cleared)?;
                    because = Some(why);
                }
                Phase::Done | Phase::Gone => return Ok(because),
            }
        }
    }

    /// Writes down what happened, before anything follows from it.
    pub(super) fn moved(&self, record: &mut Record, event: Event) -> Result<(), Fault> {
        let next = record.phase.after(event).map_err(|error| {
            Fault::failed(format!("{error}."), "This is a bug: look at the record in the state folder.")
        })?;
        record.phase = next;
        self.journal.write(record)
    }

    /// What may pass is tried again, ever slower.
    async fn patiently<T, F>(&self, call: &Call, mut work: impl FnMut() -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        let (mut pause, mut left) = (self.machines.pace.look, self.machines.pace.tries);
        loop {
            if call.cancel.is_cancelled() {
                return Err(Trouble::holds("it was given up"));
            }
            match work().await {
                Err(trouble) if trouble.passes && left > 0 => {
                    left -= 1;
                    self.pause(call, pause).await;
                    pause = (pause * 2).min(SLOWEST);
                }
                ended => return ended,
            }
        }
    }

    async fn pause(&self, call: &Call, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = call.cancel.cancelled() => {}
        }
    }

    /// Looks until there is something, for as long as patience lasts.
    async fn until<T, F>(&self, what: &str, mut look: impl FnMut() -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<Option<T>, Trouble>>,
    {
        let begun = Instant::now();
        let mut last = String::new();
        while begun.elapsed() < self.machines.pace.patience {
            if self.call.cancel.is_cancelled() {
                return Err(Trouble::holds("it was given up"));
            }
            match look().await {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => {}
                Err(trouble) if trouble.passes => last = format!(" ({})", trouble.text),
                Err(trouble) => return Err(trouble),
            }
            self.pause(self.call, self.machines.pace.look).await;
        }
        Err(Trouble::holds(format!(
            "{what} did not come within {} s{last}",
            self.machines.pace.patience.as_secs()
        )))
    }

    async fn ask(&self, request: &Request) -> Result<Value, PveError> {
        self.machines.cluster.api.ask(&request.clone().needing(Tier::Provision)).await
    }

    async fn change(&self, call: &Call, request: &Request) -> Result<(), Trouble> {
        let tier = if request.tier() == Tier::Read { Tier::Provision } else { request.tier() };
        let request = request.clone().needing(tier);
        self.machines.cluster.api.carry_out(call, &request).await.map(drop).map_err(Trouble::from)
    }

    /// Does a step; what it made, if that has to be written down.
    async fn step(&self, record: &Record, step: Step) -> Result<Option<(VmId, NodeName)>, Trouble> {
        match step {
            Step::Reserve => return self.reserve(record).await.map(Some),
            Step::Create => return self.create(record).await.map(Some),
            Step::Own => self.own(record).await?,
            Step::CloudInit => self.cloud_init(record).await?,
            Step::Start => self.start(record).await?,
            Step::Agent => {
                let own = self.needed(record).await?;
                let guest = &own.guest;
                self.until("an answer of the guest's agent", || async move {
                    match self.ask(&requests::ping(guest)).await {
                        Ok(_) => Ok(Some(())),
                        // It says in many ways that it is not there yet.
                        Err(PveError::Refused { .. } | PveError::NotFound(_)) => Ok(None),
                        Err(error) => Err(error.into()),
                    }
                })
                .await?;
            }
            Step::Bootstrap => self.bootstrap(record).await?,
            Step::Hello => {
                let team = &record.order.team;
                self.until("the team's hello", || async move {
                    let joined = self.machines.hub.has_joined(team).await.map_err(Trouble::passes)?;
                    Ok(joined.then_some(()))
                })
                .await?;
            }
        }
        Ok(None)
    }

    /// Room in the pool and a number, written down before anybody else may reserve.
    async fn reserve(&self, record: &Record) -> Result<(VmId, NodeName), Trouble> {
        let cluster = &self.machines.cluster;
        let _alone = self.journal.reserving().await?;
        let rows = cluster.resources().await.map_err(|fault| Trouble::passes(fault.problem))?;
        let others: Vec<Record> =
            self.journal.all()?.into_iter().filter(|other| other.mark != record.mark).collect();
        let there: Vec<Guest> = rows.iter().filter_map(Guest::of_row).collect();
        let from = there.iter().find(|guest| guest.vmid == record.order.template);
        let from = from.ok_or_else(|| Trouble::holds("the template is not there any more"))?;
        let mut needs = needs(&record.order, from);
        for other in others.iter().filter(|other| other.order.pool == record.order.pool) {
            // What is reserved and does not show yet.
            let shown =
                there.iter().find(|guest| Some(guest.vmid) == other.vmid && guest.pool == other.order.pool);
            let wanted = self::needs(&other.order, from);
            let of = |field: fn(&Guest) -> u64| shown.map_or(0, field);
            needs.guests += u64::from(shown.is_none());
            needs.cores += wanted.cores.saturating_sub(of(|guest| guest.cores));
            needs.memory_mib += wanted.memory_mib.saturating_sub(of(|guest| guest.memory >> 20));
            needs.disk_gib += wanted.disk_gib.saturating_sub(of(|guest| guest.disk >> 30));
        }
        cluster.room_in(&rows, record.order.pool.as_ref(), needs)?;
        let taken = |vmid: VmId| {
            there.iter().any(|guest| guest.vmid == vmid)
                || others.iter().any(|other| other.vmid == Some(vmid))
        };
        let range = cluster.config.scope.vmids.clone().unwrap_or(0..=0);
        let free = range.filter_map(|number| VmId::new(number).ok()).find(|vmid| !taken(*vmid));
        let vmid = free.ok_or_else(|| Trouble::holds("no number of PROXMOX_SCOPE_VMIDS is free"))?;
        let reserved = Record { vmid: Some(vmid), node: from.node.clone(), ..record.clone() };
        self.journal.write(&reserved)?;
        Ok((vmid, from.node.clone()))
    }

    /// Makes the guest: whoever makes a number first has it. Another's number sends back to the next one that is free.
    async fn create(&self, record: &Record) -> Result<(VmId, NodeName), Trouble> {
        let cluster = &self.machines.cluster;
        let order = &record.order;
        let (mut vmid, mut node) =
            (record.vmid.ok_or_else(|| Trouble::holds("no number is reserved"))?, record.node.clone());
        for _ in 0..50 {
            let record = &Record { vmid: Some(vmid), node: node.clone(), ..record.clone() };
            let _one = cluster.api.hold(vec![format!("guest/{}", order.template)]).await;
            if self.find(record).await?.is_some() {
                self.until("the end of its cloning", || async move {
                    let own = self.find(record).await?;
                    let own = own.ok_or_else(|| Trouble::holds("its cloning failed, and it went"))?;
                    Ok(own.set("lock").is_empty().then_some(()))
                })
                .await?;
                return Ok((vmid, node));
            }
            let description = record.description();
            let name = order.name()?;
            let wanted = requests::Clone {
                name: Some(name.as_str()),
                pool: order.pool.as_ref(),
                storage: order.storage.as_ref(),
                full: order.storage.is_some(),
                description: Some(&description),
            };
            let template = Guest::machine(order.template, node.clone(), "template".to_owned());
            let clone = requests::clone(&template, vmid, &wanted).needing(Tier::Provision);
            match cluster.api.carry_out(self.call, &clone).await {
                Ok(_) => return Ok((vmid, node)),
                // It may be ours, of a try whose answer was lost.
                Err(PveError::Exists(_)) if self.find(record).await?.is_some() => {}
                Err(PveError::Exists(_)) => (vmid, node) = self.reserve(record).await?,
                Err(error) => return Err(error.into()),
            }
        }
        Err(Trouble::holds("others are always faster to take the numbers"))
    }

    async fn own(&self, record: &Record) -> Result<(), Trouble> {
        let own = self.needed(record).await?;
        let order = &record.order;
        let wanted = [
            ("tags", self.machines.tags(order)),
            ("protection", "1".to_owned()),
            ("cores", order.cores.to_string()),
            ("memory", order.memory_mib.to_string()),
        ];
        let wanted = wanted.map(|(name, value)| (name.to_owned(), value));
        self.configured(&own, &wanted).await?;
        if let Some(pool) = &order.pool {
            let rows = self.machines.cluster.resources().await.map_err(|f| Trouble::passes(f.problem))?;
            let row = rows.iter().filter_map(Guest::of_row).find(|guest| guest.vmid == own.guest.vmid);
            if row.is_none_or(|guest| guest.pool.as_ref() != Some(pool)) {
                return Err(Trouble::passes(format!("it is not in the pool {pool}")));
            }
        }
        if let Some(gib) = order.disk_gib
            && size(&own.set("scsi0")).is_some_and(|now| now < u64::from(gib))
        {
            self.change(self.call, &requests::grow_to(&own.guest, gib)).await?;
        }
        Ok(())
    }

    async fn cloud_init(&self, record: &Record) -> Result<(), Trouble> {
        let own = self.needed(record).await?;
        let wanted = record.order.cloud_init(own.guest.vmid)?;
        self.configured(&own, &wanted).await
    }

    /// Sets what is not so yet.
    async fn configured(&self, own: &Own, wanted: &[(String, String)]) -> Result<(), Trouble> {
        let other = |(name, value): &&(String, String)| own.set(name) != *value;
        let missing: Vec<(String, String)> = wanted.iter().filter(other).cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }
        self.change(self.call, &requests::configure(&own.guest, None, &missing, &[])).await
    }

    async fn start(&self, record: &Record) -> Result<(), Trouble> {
        let own = self.needed(record).await?;
        if self.runs(&own.guest).await? {
            return Ok(());
        }
        self.change(self.call, &requests::power(&own.guest, "start")).await
    }

    async fn runs(&self, guest: &Guest) -> Result<bool, Trouble> {
        let state = self.ask(&requests::current(guest)).await?;
        Ok(text(&state, "status") != "stopped")
    }

    async fn bootstrap(&self, record: &Record) -> Result<(), Trouble> {
        let team = &record.order.team;
        let own = self.needed(record).await?;
        // It is used up once the team has joined: done before, it is not brought again.
        let joined = self.machines.hub.has_joined(team).await.map_err(Trouble::passes)?;
        let invitation = if joined {
            None
        } else {
            Some(self.machines.hub.invitation(team).await.map_err(Trouble::holds)?)
        };
        for (file, content) in files::of(&self.machines.cluster)?.all(invitation.as_ref()) {
            self.change(self.call, &requests::file_write(&own.guest, &file, &content)).await?;
        }
        let started = self.ask(&requests::exec(&own.guest, &files::argv(team))).await?;
        let pid = count(&started, "pid");
        let guest = &own.guest;
        let said = self
            .until("the end of the bootstrap", || async move {
                let state = self.ask(&requests::exec_status(guest, pid)).await?;
                let over = count(&state, "exited") == 1 || state.get("exited") == Some(&Value::Bool(true));
                Ok(over.then_some(state))
            })
            .await?;
        match count(&said, "exitcode") {
            0 => Ok(()),
            code => Err(Trouble::holds(format!(
                "the bootstrap ended with {code}: {}",
                crate::error::cut(text(&said, "err-data"))
            ))),
        }
    }

    /// The guest with the mark; `None` if there is none.
    async fn find(&self, record: &Record) -> Result<Option<Own>, Trouble> {
        let Some(vmid) = record.vmid else { return Ok(None) };
        let rows = self.machines.cluster.resources().await.map_err(|f| Trouble::passes(f.problem))?;
        let listed = rows.iter().filter_map(Guest::of_row).find(|guest| guest.vmid == vmid);
        // One that was just made may not be listed yet; one that was moved is elsewhere.
        let node = listed.map_or_else(|| record.node.clone(), |guest| guest.node);
        let guest = Guest::machine(vmid, node, format!("team-{}", record.order.team));
        match self.ask(&requests::config(&guest)).await {
            Ok(config) if text(&config, "description").trim() == record.description() => {
                Ok(Some(Own { guest, config }))
            }
            Ok(_) => Ok(None),
            Err(error) if error.is_absent() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn needed(&self, record: &Record) -> Result<Own, Trouble> {
        let found = self.find(record).await?;
        found.ok_or_else(|| Trouble::holds("the guest is not there any more"))
    }

    /// Takes all of it away, and looks that nothing is left.
    async fn clear(&self, call: &Call, record: &Record) -> Result<(), Trouble> {
        if let Some(own) = self.find(record).await? {
            let guest = &own.guest;
            if !own.set("lock").is_empty() {
                return Err(Trouble::passes(format!("{guest} is locked ({})", own.set("lock"))));
            }
            if self.runs(guest).await? {
                self.change(call, &requests::power(guest, "stop")).await?;
            }
            if own.set("protection") == "1" {
                let open = [("protection".to_owned(), "0".to_owned())];
                self.change(call, &requests::configure(guest, None, &open, &[])).await?;
            }
            match self.change(call, &requests::machine_delete(guest).needing(Tier::Destroy)).await {
                Err(trouble) => return Err(Trouble { passes: true, ..trouble }),
                Ok(()) if self.find(record).await?.is_some() => {
                    return Err(Trouble::passes(format!("{guest} is still there")));
                }
                Ok(()) => {}
            }
        }
        let by = self.call.caller.requesters();
        self.machines.hub.forget(&record.order.team, by.first()).await.map_err(Trouble::holds)
    }

    /// Asks it to end by itself, and makes a last backup, if one is wanted. Nothing is taken away yet.
    pub(super) async fn drain(&self, record: &Record, backup: Option<&StorageId>) -> Result<(), Fault> {
        let failed = |trouble: Trouble| {
            Fault::failed(
                format!("The machine of {} was not taken away: {}.", record.order.team, trouble.text),
                "Look what is wrong, then call again.",
            )
        };
        let found = self.patiently(self.call, || self.find(record)).await.map_err(failed)?;
        let Some(own) = found else { return Ok(()) };
        if self.runs(&own.guest).await.map_err(failed)? {
            // One that does not listen is turned off later.
            let _ = self.change(self.call, &requests::power(&own.guest, "shutdown")).await;
        }
        match backup {
            Some(storage) => {
                self.change(self.call, &requests::backup(&own.guest, storage, "stop")).await.map_err(failed)
            }
            None => Ok(()),
        }
    }
}

fn needs(order: &NewTeam, template: &Guest) -> Needs {
    Needs {
        guests: 1,
        cores: order.cores.into(),
        memory_mib: order.memory_mib.into(),
        disk_gib: order.disk_gib.map_or(template.disk >> 30, u64::from),
    }
}

/// The size of a disk, in GiB, from its words: `local-lvm:vm-100-disk-0,size=8G`.
fn size(disk: &str) -> Option<u64> {
    let size = disk.split(',').find_map(|part| part.strip_prefix("size="))?;
    let (number, unit) = size.split_at_checked(size.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok()?;
    match unit {
        "G" => Some(number),
        "T" => number.checked_mul(1024),
        "M" => Some(number / 1024),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_read_as_proxmox_writes_them() {
        let said = ["x:y,size=8G", "x:y,size=512M,ssd=1", "x:y,size=2T", "x:y", "x:y,size=", "x:y,size=9"];
        assert_eq!(said.map(size), [Some(8), Some(0), Some(2048), None, None, None]);
    }
}
