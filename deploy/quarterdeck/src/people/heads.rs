//! The chain of people has no instance on the other side; the bot, which keeps another file, signs its head.

use std::time::Duration;

use qd_hub::Hub;

use super::Roster;

/// The head is signed at most this often.
const PAUSE: Duration = Duration::from_secs(60);

/// Has the bot sign the head of the chain of people, at the start and after every change, until the task is dropped.
pub async fn sign(roster: Roster, hub: Hub) {
    let Some(mut changes) = roster.changes() else { return };
    let mut signed = None;
    loop {
        changes.borrow_and_update();
        match sign_head(&roster, &hub, signed.as_ref()).await {
            Ok(head) if signed.as_ref() == Some(&head) => {
                if changes.changed().await.is_err() {
                    return;
                }
                continue;
            }
            Ok(head) => signed = Some(head),
            Err(error) => tracing::error!(%error, "the head of the trail of people can't be signed"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn sign_head(
    roster: &Roster,
    hub: &Hub,
    signed: Option<&qd_audit::Head>,
) -> Result<qd_audit::Head, Box<dyn std::error::Error + Send + Sync>> {
    let head = roster.head().await?;
    if head.seq > 0 && signed != Some(&head) {
        let signature = hub.witness(head.clone()).await?;
        let key = hub.surface_key();
        roster
            .trail(move |tx| {
                qd_audit::enrol(tx, &signature.by, &key)?;
                qd_audit::keep(tx, &signature, &qd_audit::signers(tx)?)
            })
            .await?;
    }
    Ok(head)
}
