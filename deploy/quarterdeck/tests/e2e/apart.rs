//! Bot and team as two processes with nothing in common but the wire: a proxy between them cuts connections at random, and
//! both are killed again and again. What was filed in chat is merged, once.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use qd_api::{Client, Target};

use crate::{
    door::send,
    support::{PASSPHRASE, Project, approve, config, finished, git, join, session, until},
};

/// Passes bytes on in both directions, and cuts each connection after a while, whatever is under way on it.
struct Cutter {
    address: String,
    cuts: Arc<AtomicU32>,
    calm: Arc<AtomicBool>,
}

/// A small generator: the same seed cuts at the same places.
fn chance(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

impl Cutter {
    fn new(to: String, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (cuts, calm) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(true)));
        let cutter = Self { address, cuts: Arc::clone(&cuts), calm: Arc::clone(&calm) };
        std::thread::spawn(move || {
            let mut seed = seed;
            for stream in listener.incoming().map_while(Result::ok) {
                let Ok(there) = TcpStream::connect(&to) else { continue };
                let budget =
                    if calm.load(Ordering::Relaxed) { u64::MAX } else { 200 + chance(&mut seed) % 20_000 };
                let ways = [(&stream, &there), (&there, &stream)];
                for (from, onto) in ways.map(|(from, onto)| (from.try_clone(), onto.try_clone())) {
                    let (Ok(from), Ok(onto), cuts) = (from, onto, Arc::clone(&cuts)) else { continue };
                    std::thread::spawn(move || pass(from, onto, budget, &cuts));
                }
            }
        });
        cutter
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn pass(mut from: TcpStream, mut onto: TcpStream, budget: u64, cuts: &AtomicU32) {
    let (mut left, mut bytes) = (budget, [0; 2048]);
    while let Ok(read) = from.read(&mut bytes) {
        let cut = read as u64 > left;
        let some = if cut { usize::try_from(left).unwrap() } else { read };
        if onto.write_all(&bytes[..some]).is_err() || read == 0 {
            break;
        }
        if cut {
            cuts.fetch_add(1, Ordering::Relaxed);
            break;
        }
        left -= read as u64;
    }
    let _gone = from.shutdown(Shutdown::Both);
    let _gone = onto.shutdown(Shutdown::Both);
}

/// A role of the fleet, with a state folder and a configuration of its own. Killed when it is dropped.
pub(crate) struct Role {
    pub(crate) child: Child,
    pub(crate) address: String,
    offer: Option<String>,
}

/// How a role is started.
pub(crate) struct Place<'a> {
    project: &'a Project,
    pub(crate) file: PathBuf,
    pub(crate) state: PathBuf,
}

impl Place<'_> {
    pub(crate) fn new<'a>(project: &'a Project, name: &str, text: &str) -> Place<'a> {
        let folder = project.state().with_file_name(name);
        std::fs::create_dir_all(&folder).unwrap();
        let file = project.folder().join(format!("{name}.toml"));
        std::fs::write(&file, text).unwrap();
        Place { project, file, state: folder.join("state") }
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.project.command(args);
        command.arg("--config").arg(&self.file).env("QUARTERDECK__STATE__DIR", &self.state);
        command
    }

    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{args:?}: {out}{err}");
        out.into_owned()
    }

    pub(crate) fn start(&self, args: &[&str]) -> Role {
        self.start_with(args, "")
    }

    /// The same, and it dies at this failpoint.
    pub(crate) fn start_with(&self, args: &[&str], failpoint: &str) -> Role {
        let mut command = self.command(args);
        command.env("QUARTERDECK_FAILPOINT", failpoint);
        let mut log = std::fs::OpenOptions::new();
        let log = log.create(true).append(true).open(self.state.with_extension("log")).unwrap();
        command.stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (mut address, mut offer) = (None, None);
        for line in lines.by_ref() {
            if let Some(rest) = line.strip_prefix("Quarterdeck runs at http://") {
                address = Some(rest.to_owned());
            }
            if let Some((_, token)) = line.split_once("/join?token=") {
                offer = Some(token.to_owned());
            }
            if line.starts_with("Merged work:") {
                break;
            }
        }
        std::thread::spawn(move || lines.for_each(drop));
        let log = || std::fs::read_to_string(self.state.with_extension("log")).unwrap_or_default();
        Role { child, address: address.unwrap_or_else(|| panic!("{args:?} did not start: {}", log())), offer }
    }

    pub(crate) fn client(&self, team: &str, token: &str) -> Client {
        let socket = self.state.join("instances").join(team).join("api.sock");
        Client::new(Target::Socket(socket), team, Some(token.to_owned()))
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

impl Role {
    /// Signs ines in, who sets her passphrase if she has none.
    pub(crate) fn session(&self) -> String {
        if let Some(token) = &self.offer {
            join(&self.address, token);
        }
        session(&self.address, "ines").unwrap()
    }
}

pub(crate) fn says(bot: &Role, token: &str, text: &str) -> String {
    let header = format!("Authorization: Bearer {token}");
    let form = "Content-Type: application/x-www-form-urlencoded";
    let body = format!("text={}", text.replace(' ', "+"));
    let headers = [header.as_str(), "Accept: text/plain", form];
    let (status, answer) = send(&bot.address, "POST /console/command", &headers, &body);
    assert_eq!(status, 200, "{answer}");
    answer.lines().last().unwrap_or_default().to_owned()
}

/// The words of a link without what differs from one time to the next.
fn plain(text: &str, url: &str) -> String {
    let text = text.replace(url, "URL");
    let digits = |word: &str| word.bytes().all(|byte| byte.is_ascii_hexdigit()) && word.len() == 4;
    let word = |word: &str| {
        if digits(word) {
            "XXXX".to_owned()
        } else if word.starts_with("alpha.") {
            "TOKEN".to_owned()
        } else if word.contains(':') && word.bytes().next().is_some_and(|byte| byte.is_ascii_digit()) {
            "HH:MM".to_owned()
        } else {
            word.to_owned()
        }
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feature_filed_in_chat_is_merged_though_everything_between_breaks() {
    let project = Project::new(&[("README.md", "# Apart\n")]);
    let agent = "sleep 1; echo done > out.txt";
    let text = config(agent, Some("grep -q done out.txt"));
    let at_the_bot = Place::new(&project, "bot", &format!("{text}\n[hub]\nlisten = \"127.0.0.1:0\"\n"));
    let mut bot = at_the_bot.start(&["bot"]);
    let hub = std::fs::read_to_string(at_the_bot.state.join("bot/hub.address")).unwrap();
    // From now on it has one address, as behind every proxy.
    std::fs::write(&at_the_bot.file, format!("{text}\n[hub]\nlisten = \"{hub}\"\n")).unwrap();
    let cutter = Cutter::new(hub, 7);
    let speaks = bot.session();

    let forge = at_the_bot.state.join("bot/forge/repos/project.git");
    let remote = format!("name = \"project\"\nremote = \"{}\"", forge.display());
    let text = text.replace("name = \"project\"", &remote);
    let elsewhere = Place::new(&project, "elsewhere", &text);
    let unknown = elsewhere.command(&["instance", "rotate", "alpha"]).output().unwrap();
    assert!(!unknown.status.success());
    let invited = at_the_bot.ok(&["bot", "invite", "alpha"]);
    insta::assert_snapshot!(plain(&invited, &format!("http://{}", std::fs::read_to_string(at_the_bot.state.join("bot/hub.address")).unwrap())), @"
    alpha may join once, until HH:MM UTC. On its computer:
    quarterdeck instance join URL TOKEN
    ");
    let token = invited.split_whitespace().find(|word| word.starts_with("alpha.")).unwrap();
    let joined = elsewhere.ok(&["instance", "join", &cutter.url(), token]);
    insta::assert_snapshot!(plain(&joined, &cutter.url()), @"
    alpha belongs to the fleet fleet now.
    Its key:    XXXX XXXX XXXX XXXX XXXX XXXX XXXX XXXX
    The bot's:  XXXX XXXX XXXX XXXX XXXX XXXX XXXX XXXX
    Where the bot runs, quarterdeck bot instances shows the same.
    Start it with: quarterdeck instance alpha
    ");
    let again = elsewhere.command(&["instance", "join", &cutter.url(), token]).output().unwrap();
    insta::assert_snapshot!(plain(&String::from_utf8_lossy(&again.stderr), &cutter.url()), @"quarterdeck: URL: the bot refuses: the token for alpha is not known, was used, or is older than 15 minutes: an owner makes another one with quarterdeck bot invite alpha");

    let mut team = elsewhere.start(&["instance", "alpha"]);
    let votes = team.session();
    insta::assert_snapshot!(says(&bot, &speaks, "feature add --ready Write out.txt"), @"Sent to alpha.");
    cutter.calm.store(false, Ordering::Relaxed);

    // Both are killed while the run goes on, each at another step.
    for round in 0..4_u64 {
        tokio::time::sleep(Duration::from_millis(900 + 350 * round)).await;
        if round % 2 == 0 {
            drop(team);
            team = elsewhere.start(&["instance", "alpha"]);
        } else {
            drop(bot);
            bot = at_the_bot.start(&["bot"]);
        }
    }
    let mut client = elsewhere.client("alpha", &votes);
    approve(&mut client, "A-1").await;
    until(&mut client, "A-1", finished).await;
    let history = git(&forge, &["log", "--first-parent", "--format=%s", "main"]);
    assert_eq!(history, "A-1: Write out.txt\nFirst", "merged exactly once");
    assert!(cutter.cuts.load(Ordering::Relaxed) > 0, "nothing was cut");
    cutter.calm.store(true, Ordering::Relaxed);

    // Another key, then none.
    let rotated = elsewhere.ok(&["instance", "rotate", "alpha"]);
    insta::assert_snapshot!(plain(&rotated, &cutter.url()), @"
    alpha has another key: XXXX XXXX XXXX XXXX XXXX XXXX XXXX XXXX
    The one of before counts beside it until the next change. A team that runs takes the new one when it starts again.
    ");
    drop(team);
    team = elsewhere.start(&["instance", "alpha"]);
    let status = elsewhere.command(&["doctor"]).output().unwrap();
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("uplink"), "{status}");
    let revoked = at_the_bot.ok(&["bot", "revoke", "alpha"]);
    insta::assert_snapshot!(revoked, @"alpha is out of the fleet: its 2 keys count no more.");
    let out = elsewhere.command(&["instance", "rotate", "alpha"]).output().unwrap();
    let out = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.contains("was revoked"), "{out}");
    drop((team, bot, PASSPHRASE));
}
