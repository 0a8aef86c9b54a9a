//! `recurring`: list, add, run, suspend, resume, remove.

use qd_api::{FeatureView, NewRecurring, RecurringView};
use qd_board::NewFeature;

use super::{Done, connect, explain, feature};
use crate::{
    cli::{Common, RecurringVerb},
    say,
};

pub(super) async fn recurring(common: &Common, verb: RecurringVerb) -> Done {
    let mut client = connect(common)?;
    let path = |name: &str, act: &str| format!("recurring/{}/{act}", super::encoded(name));
    let shown: Vec<RecurringView> = match verb {
        RecurringVerb::List => client.get("recurring").await.map_err(explain)?,
        RecurringVerb::Add { name, cron, title, fields, ready, repository, deadline } => {
            let wanted = feature::wanted(title.unwrap_or_else(|| name.clone()), *fields)?;
            let new = NewRecurring {
                name,
                schedule: cron,
                feature: NewFeature { wanted, repository, ready },
                start_deadline_minutes: deadline,
            };
            vec![client.post("recurring", &new).await.map_err(explain)?]
        }
        RecurringVerb::Run { name } => {
            let view: FeatureView = client.post(&path(&name, "run"), &()).await.map_err(explain)?;
            feature::print(common, &view);
            return Ok(());
        }
        RecurringVerb::Suspend { name } => {
            vec![client.post(&path(&name, "suspend"), &()).await.map_err(explain)?]
        }
        RecurringVerb::Resume { name } => {
            vec![client.post(&path(&name, "resume"), &()).await.map_err(explain)?]
        }
        RecurringVerb::Remove { name } => client.post(&path(&name, "remove"), &()).await.map_err(explain)?,
    };
    if common.json {
        say::json(&shown);
    } else if shown.is_empty() {
        say::line(
            "Nothing recurs. Add one with: quarterdeck recurring add NAME --cron \"0 6 * * mon\" --ready",
        );
    } else {
        shown.iter().for_each(|view| say::line(&row(view)));
    }
    Ok(())
}

fn row(view: &RecurringView) -> String {
    let next = match (view.suspended, &view.next) {
        (true, _) => "suspended".to_owned(),
        (false, Some(next)) => format!("next {}", next.strftime("%Y-%m-%d %H:%M UTC")),
        (false, None) => "never again".to_owned(),
    };
    let open = view.open.as_ref().map_or_else(String::new, |id| format!(", {id} is open"));
    format!("{:<16} {:<14} {next}{open}", view.name, view.schedule)
}
