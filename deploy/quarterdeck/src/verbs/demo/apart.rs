//! The demo's team on another computer: it joins with a token that works once, its line to the bot is cut, and what it has to say
//! meanwhile arrives afterwards, once. The line is a real one, over HTTP on this computer.

use std::{net::SocketAddr, path::Path, time::Duration};

use axum::Router;
use qd_approvals::Proof;
use qd_board::NewFeature;
use qd_core::chat::{Commands as _, Given};
use qd_hub::Invited;
use qd_team::Caller;
use qd_types::InstanceName;
use qd_wire::call::Token;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::Instant,
};

use super::{failed, scene::Scene};
use crate::{
    context::UserError,
    fleet::{Bot, Fleet, FleetPlan, Roles, team_folder},
    say,
};

/// The team.
pub(super) const NAME: &str = "gamma";
/// Connections that the demo's bot takes.
const CONNECTIONS: usize = 16;
/// Longest wait for the bot to hear of something.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// Tells the scene. What it makes lies below `root`.
pub(super) async fn tell(scene: &Scene, fleet: &Fleet, root: &Path) -> Result<(), UserError> {
    let bot = fleet.bot().ok_or_else(|| UserError::failed("the demo has no bot"))?;
    let name: InstanceName = NAME.parse().map_err(|error: qd_types::IdError| failed(&error))?;
    let mut tasks = JoinSet::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| failed(&error))?;
    let hub = listener.local_addr().map_err(|error| failed(&error))?;
    tasks.spawn(qd_hub::http::serve(listener, bot.gate.clone(), CONNECTIONS));
    let (line, address) = Line::lay(hub, &mut tasks).await?;

    let plan = plan(scene, &name, root);
    let token = token(scene, bot, &name).await?;
    say::note("");
    say::note(&format!(
        "A team on another computer, {NAME}: {} gives it a token that works once.",
        scene.you.id
    ));
    let (url, folder) = (format!("http://{address}"), team_folder(&plan.state, &name));
    let joined = qd_uplink::join(&url, None, &token, &folder).await.map_err(|error| failed(&error))?;
    say::note(&format!("{NAME} joins with it over HTTP. Its key: {}", joined.instance));
    match qd_uplink::join(&url, None, &token, &root.join("thief")).await {
        Ok(_) => return Err(UserError::failed("the demo's token worked twice")),
        Err(error) => say::note(&format!("Somebody else tries the same token: {error}.")),
    }
    let roles = Roles { bot: false, teams: vec![name.clone()] };
    let there = Fleet::start(&plan, &roles, Router::new()).await.map_err(|error| failed(&error))?;
    let team = there.teams().pop().ok_or_else(|| UserError::failed("the demo's team does not run"))?;
    heard(scene, bot, &format!("fleet status {NAME}"), "is heard").await?;

    line.cut();
    let caller = Caller {
        person: scene.you.clone(),
        agent: None,
        surface: "cli".into(),
        proof: Proof::Passphrase,
        granted: None,
    };
    let new = NewFeature::titled("Answer when the line is back");
    let filed = team.add(&caller, new).await.map_err(|problem| UserError::failed(problem.detail))?;
    let id = filed.feature.id;
    let waits = waits(&plan, &name)?;
    say::note(&format!("The line is cut. {NAME} files {id} all the same; {waits} reports wait for the bot."));
    let show = format!("feature show {id}");
    say::note(&format!("The bot meanwhile: {}", says(scene, bot, &show).await));
    line.mend();
    heard(scene, bot, &show, "Answer when the line is back").await?;
    let begun = Instant::now();
    while self::waits(&plan, &name)? > 0 && begun.elapsed() < PATIENCE {
        tokio::time::sleep(LOOK).await;
    }
    let (sent, taken) = (sent(&plan, &name)?, taken(scene, &name)?);
    if sent != taken {
        return Err(UserError::failed(format!("the demo's team sent {sent:?}, and the bot has {taken:?}")));
    }
    say::note(&format!(
        "The line is back: the bot knows {id}, and has all {} reports of {NAME}, each once.",
        sent.1
    ));
    there.shut_down().await;
    Ok(())
}

/// The fleet as the other computer has it: its own state, and the way to the forge.
fn plan(scene: &Scene, name: &InstanceName, root: &Path) -> FleetPlan {
    let mut plan = scene.plan.clone();
    let forge = scene.plan.forge_folder().join("repos");
    for repository in &mut plan.repositories {
        let place = forge.join(format!("{}.git", repository.name));
        repository.remote = Some(place.to_string_lossy().into_owned());
    }
    plan.teams.retain(|team| team.name == *name);
    plan.state = root.join("elsewhere");
    plan.listen.set_port(0);
    plan.metering = None;
    plan
}

async fn token(scene: &Scene, bot: &Bot, name: &InstanceName) -> Result<Token, UserError> {
    match bot.hub.invite(name, &scene.you.id, 1).await.map_err(|error| failed(&error))? {
        Invited::Token { secret, .. } => Ok(bot.gate.token(name.clone(), secret)),
        Invited::Waits { .. } => Err(UserError::failed("one owner is not enough for the demo's invitation")),
    }
}

/// What the bot answers in chat.
async fn says(scene: &Scene, bot: &Bot, text: &str) -> String {
    bot.hub.command(&scene.you, &Given::on_console(Proof::Passphrase), text).await
}

/// Waits until the bot's answer has these words.
async fn heard(scene: &Scene, bot: &Bot, text: &str, words: &str) -> Result<(), UserError> {
    let begun = Instant::now();
    loop {
        let said = says(scene, bot, text).await;
        if said.contains(words) {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(UserError::failed(format!("{NAME} is not heard: {said}")));
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Reports that wait.
fn waits(plan: &FleetPlan, name: &InstanceName) -> Result<u64, UserError> {
    let board = plan.team_folder(name).join("board.db");
    let c = qd_sqlite::read_only(&board).map_err(|error| failed(&error))?;
    qd_sqlite::outbox::waiting(&c, "bot").map_err(|error| failed(&error))
}

/// The epoch, and how many reports of it were sent.
fn sent(plan: &FleetPlan, name: &InstanceName) -> Result<(u64, u64), UserError> {
    let board = plan.team_folder(name).join("board.db");
    let c = qd_sqlite::read_only(&board).map_err(|error| failed(&error))?;
    let sent = c.query_row("SELECT epoch, last_seq FROM outbox_peer", [], |row| {
        Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, i64>(1)?.unsigned_abs()))
    });
    sent.map_err(|error| failed(&error))
}

/// The epoch, and how many reports of it the bot has taken.
fn taken(scene: &Scene, name: &InstanceName) -> Result<(u64, u64), UserError> {
    let c = qd_sqlite::read_only(&scene.plan.bot_folder().join("bot.db")).map_err(|error| failed(&error))?;
    qd_sqlite::outbox::received(&c, name.as_str()).map_err(|error| failed(&error))
}

/// A line that can be cut.
struct Line(watch::Sender<bool>);

impl Line {
    async fn lay(to: SocketAddr, tasks: &mut JoinSet<()>) -> Result<(Self, SocketAddr), UserError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| failed(&error))?;
        let address = listener.local_addr().map_err(|error| failed(&error))?;
        let (whole, is_whole) = watch::channel(true);
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                open.spawn(pass(near, to, is_whole.clone()));
            }
        });
        Ok((Self(whole), address))
    }

    fn cut(&self) {
        self.0.send_replace(false);
    }

    fn mend(&self) {
        self.0.send_replace(true);
    }
}

/// Passes bytes on until either side ends, or the line is cut.
async fn pass(mut near: TcpStream, to: SocketAddr, mut whole: watch::Receiver<bool>) {
    let passed = async {
        let mut far = TcpStream::connect(to).await?;
        tokio::io::copy_bidirectional(&mut near, &mut far).await
    };
    tokio::select! {
        biased;
        _ = whole.wait_for(|whole| !whole) => {}
        _ended = passed => {}
    }
}
