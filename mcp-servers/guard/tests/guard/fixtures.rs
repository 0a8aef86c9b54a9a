//! A server of fixture tools, on a small pretended fleet of services.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use qd_approvals::Probe;
use qd_guard::{
    Approved, Call, Caller, Change, Fault, Look, Messages, Mutation, Page, Permit, Plan, Server, Spec, Who,
    safe::Below,
};
use qd_types::{SpentGrant, Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A secret that is known by value.
pub(crate) const SECRET: &str = "correct-horse-battery";

/// The services: what survives every restart of the server.
#[derive(Debug, Default)]
pub(crate) struct Services {
    /// How often each was restarted; a service that is not there was removed.
    pub(crate) restarts: Mutex<BTreeMap<String, u32>>,
    /// Grants that were spent.
    pub(crate) grants: Mutex<Vec<String>>,
    /// What was told to stop, and did.
    pub(crate) stopped: Mutex<u32>,
}

impl Services {
    pub(crate) fn new() -> Arc<Self> {
        let services = Self::default();
        for name in ["billing", "search"] {
            services.restarts.lock().unwrap().insert(name.to_owned(), 0);
        }
        Arc::new(services)
    }

    pub(crate) fn restarts(&self, name: &str) -> Option<u32> {
        self.restarts.lock().unwrap().get(name).copied()
    }

    pub(crate) fn touch(&self, name: &str) {
        *self.restarts.lock().unwrap().get_mut(name).unwrap() += 100;
    }

    fn known(&self, name: &str) -> Result<u32, Fault> {
        self.restarts(name).ok_or_else(|| {
            Fault::failed(format!("There is no service {name}."), "List the services, and take one of those.")
        })
    }

    fn plan(&self, name: &str, step: &str) -> Result<Plan, Fault> {
        let restarts = self.known(name)?;
        let steps = vec![format!("{step} {name}.")];
        Ok(Plan { target: name.to_owned(), fingerprint: format!("{restarts} restarts"), steps })
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Named {
    /// The service.
    service: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Said {
    said: String,
}

fn said(text: impl Into<String>) -> Said {
    Said { said: text.into() }
}

struct Status(Arc<Services>);

#[async_trait]
impl Look for Status {
    type Input = Named;
    type Output = Said;

    fn spec(&self) -> Spec {
        Spec::new("status", Tier::Read, "service.status").described("Status", "Says how a service is.")
    }

    fn within(&self, _: &Caller, input: &Named) -> Result<(), Fault> {
        if input.service.contains("..") {
            return Err(Fault::failed("A service's name is no path.", "Name the service."));
        }
        Ok(())
    }

    async fn look(&self, _: &Call, input: Named) -> Result<Said, Fault> {
        let restarts = self.0.known(&input.service)?;
        Ok(said(format!("{} was restarted {restarts} times", input.service)))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mischief {
    /// A long result.
    Long,
    /// An error that holds secrets.
    Leak,
    /// A result that holds secrets.
    Tell,
    /// Never ends.
    Hang,
    /// Breaks.
    Break,
    /// Says how far it is.
    Work,
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Makes {
    mischief: Mischief,
}

/// What to do about a service.
struct Runbook(Arc<Services>);

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct File {
    /// The page.
    path: Below,
}

/// A page of the handbook.
struct Handbook;

#[async_trait]
impl Look for Handbook {
    type Input = File;
    type Output = Said;

    fn spec(&self) -> Spec {
        Spec::new("handbook", Tier::Read, "service.handbook")
            .described("Handbook", "Reads a page of the handbook.")
    }

    async fn look(&self, _: &Call, input: File) -> Result<Said, Fault> {
        Ok(said(format!("the page {}", input.path.as_str())))
    }
}

#[async_trait]
impl Look for Runbook {
    type Input = Named;
    type Output = Page;

    fn spec(&self) -> Spec {
        Spec::new("runbook", Tier::Read, "service.runbook")
            .described("Runbook", "What to do about a service.")
    }

    async fn look(&self, _: &Call, input: Named) -> Result<Page, Fault> {
        self.0.known(&input.service)?;
        let text = format!("# {}\n\nRestart it with {SECRET}. {}", input.service, "Look. ".repeat(20_000));
        Ok(Page::text("text/markdown", text))
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Nothing {}

/// All services.
struct All(Arc<Services>);

#[async_trait]
impl Look for All {
    type Input = Nothing;
    type Output = Page;

    fn spec(&self) -> Spec {
        Spec::new("all", Tier::Read, "service.all").described("Services", "Every service.")
    }

    async fn look(&self, _: &Call, _: Nothing) -> Result<Page, Fault> {
        let names: Vec<String> = self.0.restarts.lock().unwrap().keys().cloned().collect();
        Ok(Page::text("text/plain", names.join("\n")))
    }
}

struct Triage;

#[async_trait]
impl Look for Triage {
    type Input = Named;
    type Output = Messages;

    fn spec(&self) -> Spec {
        Spec::new("triage", Tier::Read, "service.triage").described("Triage", "Finds out what a service has.")
    }

    async fn look(&self, _: &Call, input: Named) -> Result<Messages, Fault> {
        Ok(Messages::user(format!("Find out what is wrong with {}.", input.service)))
    }
}

struct Odd;

#[async_trait]
impl Look for Odd {
    type Input = Makes;
    type Output = Said;

    fn spec(&self) -> Spec {
        Spec::new("odd", Tier::Read, "service.odd")
            .described("Odd", "Does what tools should not do.")
            .within(Duration::from_millis(700))
    }

    async fn look(&self, call: &Call, input: Makes) -> Result<Said, Fault> {
        match input.mischief {
            Mischief::Long => Ok(said("x".repeat(1_000_000))),
            Mischief::Leak => Err(Fault::failed(
                format!("login with {SECRET} failed, as did ghp_{}", "a1".repeat(18)),
                "Check the token.",
            )),
            Mischief::Tell => Ok(said(format!("the password is {SECRET}"))),
            Mischief::Hang => std::future::pending().await,
            Mischief::Break => panic!("a tool breaks with {SECRET}"),
            Mischief::Work => {
                for step in 1..=3_u32 {
                    call.progress.report(step.into(), Some(3.0), format!("step {step} with {SECRET}"));
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Ok(said("worked"))
            }
        }
    }
}

struct Restart(Arc<Services>);

#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Restarts {
    /// The service.
    service: String,
    /// How long it takes, in milliseconds.
    #[serde(default)]
    takes: u64,
    /// It goes on when it is told to stop.
    #[serde(default)]
    stubborn: bool,
    /// How much it tells of it, in bytes.
    #[serde(default)]
    tells: usize,
}

#[async_trait]
impl Mutation for Restart {
    type Input = Restarts;
    type Output = Said;

    fn spec(&self) -> Spec {
        Spec::new("restart", Tier::Operate, "service.restart")
            .described("Restart", "Restarts a service.")
            .within(Duration::from_secs(2))
    }

    async fn plan(&self, _: &Call, input: &Restarts) -> Result<Plan, Fault> {
        self.0.plan(&input.service, "Restart")
    }

    async fn probe(&self, _: &str, input: &Restarts) -> Probe {
        match self.0.restarts(&input.service) {
            Some(0) => Probe::DidNot,
            Some(count) => {
                Probe::Happened(format!("{{\"said\":\"restarted {count} times, as a look says\"}}"))
            }
            None => Probe::CantTell("The service is gone.".to_owned()),
        }
    }
}

#[async_trait]
impl Change for Restart {
    async fn change(&self, call: &Call, input: Restarts, permit: Permit) -> Result<Said, Fault> {
        let taking = tokio::time::sleep(Duration::from_millis(input.takes));
        tokio::select! {
            () = taking => {}
            () = call.cancel.cancelled(), if !input.stubborn => {
                *self.0.stopped.lock().unwrap() += 1;
                return Err(Fault::failed("It was stopped before it began.", "Call it again."));
            }
        }
        let how = match permit {
            Permit::Policy(_) => "by policy",
            Permit::Grant(grant) => {
                self.0.grants.lock().unwrap().push(grant.grant().approval().to_string());
                "by people"
            }
        };
        *self.0.restarts.lock().unwrap().get_mut(&input.service).unwrap() += 1;
        let told = ".".repeat(input.tells);
        Ok(said(format!("{} is restarted {how}{told}", input.service)))
    }
}

struct Remove(Arc<Services>);

#[async_trait]
impl Mutation for Remove {
    type Input = Named;
    type Output = Said;

    fn spec(&self) -> Spec {
        Spec::new("remove", Tier::Destroy, "service.remove")
            .described("Remove", "Removes a service for good.")
    }

    fn within(&self, caller: &Caller, input: &Named) -> Result<(), Fault> {
        match &caller.who {
            Who::Service { .. } if input.service == "billing" => {
                Err(Fault::failed("Billing is not a service account's business.", "Ask a person."))
            }
            _ => Ok(()),
        }
    }

    async fn plan(&self, _: &Call, input: &Named) -> Result<Plan, Fault> {
        self.0.plan(&input.service, "Remove")
    }
}

#[async_trait]
impl Approved for Remove {
    async fn carry_out(&self, _: &Call, input: Named, grant: SpentGrant) -> Result<Said, Fault> {
        self.0.grants.lock().unwrap().push(grant.grant().approval().to_string());
        self.0.restarts.lock().unwrap().remove(&input.service);
        Ok(said(format!("{} is gone", input.service)))
    }
}

/// The server.
pub(crate) fn server(services: &Arc<Services>) -> Server {
    Server::new("fixtures", "Services of a pretended fleet.")
        .look(Status(services.clone()))
        .and_then(|server| server.look(Odd))
        .and_then(|server| server.look(Handbook))
        .and_then(|server| server.resource("services://all", All(services.clone())))
        .and_then(|server| server.resource("services://runbooks/{service}", Runbook(services.clone())))
        .and_then(|server| server.prompt(Triage))
        .and_then(|server| server.change(Restart(services.clone())))
        .and_then(|server| server.approved(Remove(services.clone())))
        .unwrap()
}
