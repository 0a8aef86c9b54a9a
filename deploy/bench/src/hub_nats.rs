//! The same bot behind a real NATS server with JetStream, on the same cores: how many reports of a thousand instances it takes,
//! each on disk before it is acknowledged. Each instance has a connection and a user of its own.

use std::{fmt::Write as _, path::Path};

use qd_nats::{Names, NatsCarrier, Server, UserKey, instance_user};
use qd_natsd::{Natsd, with_users};
use qd_types::InstanceName;
use qd_wire::port::Carrier as _;

use crate::{
    Failure,
    crowd::{self, Signed},
    figures::Figures,
    hub::{self, INSTANCES, REPORTS, ROUNDS},
    site::Site,
};

/// A place in the configuration of the server that is no user's yet.
const NOBODY: &str = "{user: nobody, password: nothing}";

/// `hub_reports_per_s_nats`, if it is wanted.
pub async fn measure(
    binary: &Path,
    figures: &mut Figures,
    wanted: &impl Fn(&str) -> bool,
) -> Result<(), Failure> {
    if !wanted("hub_reports_per_s_nats") {
        return Ok(());
    }
    let mut natsd = Natsd::for_test(&with_users(NOBODY)).ok_or("the NATS server is skipped")?;
    let url = natsd.url();
    let text = hub::configuration(INSTANCES)?;
    let site = Site::with(&text.replace("[hub]\n", &format!("[hub]\nnats = \"{url}\"\n")), &[])?;
    let running = site.start(binary, &["bot"]).await?;

    let names = Names::new("fleet")?;
    let mut users = running.says(&["bot", "nats-user"])?;
    let mut keys = Vec::new();
    for number in 0..INSTANCES {
        let (name, key) = (name(number)?, UserKey::new(&crowd::secret(11, number))?);
        writeln!(users, "{}", instance_user(&names, &name, key.public()))?;
        keys.push((name, key));
    }
    natsd.configure(&with_users(&users));
    natsd.stop();
    natsd.start();

    // They join over HTTP, which is measured elsewhere.
    let mut ready = Vec::new();
    for (mut remote, (name, key)) in hub::crowd(&running, INSTANCES).await?.into_iter().zip(keys) {
        let server = Server { url: url.clone(), user: name.to_string(), key, ca: None };
        let carrier = NatsCarrier::connect_now(&server, "fleet", &name).await?;
        let calls: Vec<Signed> =
            (0..ROUNDS).map(|_| remote.signed_batch(REPORTS)).collect::<Result<_, _>>()?;
        ready.push((carrier, calls));
    }
    let work = ready.into_iter().map(|(carrier, calls)| async move {
        for Signed { call, reports, last } in calls {
            crowd::acknowledged(&carrier.call(call, reports).await?, last)?;
        }
        Ok(())
    });
    let (rate, busy, reports) = hub::as_fast_as_it_goes(&running, work).await?;
    let note = format!(
        "1,000 instances over NATS JetStream on the same cores, each on disk before it is acknowledged; {busy:.2} cores of the bot"
    );
    figures.add("hub_reports_per_s_nats", rate, "1/s", reports, note);
    Ok(())
}

fn name(number: u32) -> Result<InstanceName, Failure> {
    Ok(format!("team-{number}").parse()?)
}
