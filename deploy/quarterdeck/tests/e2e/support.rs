//! A project, a running fleet, and waiting for what should come true.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use qd_api::{ApprovalView, CastVote, Client, FeatureView, Target};
use qd_board::NewFeature;
use qd_types::{Ballot, Stage};

/// Longest wait for anything; a loaded machine with two cores is slow.
const PATIENCE: Duration = Duration::from_secs(180);

/// The binary.
pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_quarterdeck")
}

/// Runs git in a folder and gives what it printed.
pub fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A repository in a folder of its own, and a state folder beside it. Everything goes with it.
pub struct Project {
    dir: tempfile::TempDir,
}

impl Project {
    /// With these files, committed on `main`.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::Builder::new().prefix("qd-").tempdir().unwrap();
        let project = Self { dir };
        let folder = project.folder();
        std::fs::create_dir_all(&folder).unwrap();
        git(&folder, &["init", "--quiet", "--initial-branch=main"]);
        for (name, text) in files {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        git(&folder, &["add", "--all"]);
        git(&folder, &["commit", "--quiet", "--message=First"]);
        project
    }

    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The header by which a program shows that it acts for `person`, who proved it to the fleet that `up` started.
    pub fn token(&self, person: &str) -> String {
        let token = std::fs::read_to_string(self.dir.path().join(format!("session.{person}"))).unwrap();
        format!("Authorization: Bearer {token}")
    }

    /// The embedded forge's repository.
    pub fn forge(&self, name: &str) -> PathBuf {
        self.state().join("bot/forge/repos").join(format!("{name}.git"))
    }

    /// The binary, in this project's folder, with nothing of this machine's configuration.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.current_dir(self.folder()).args(args).env_clear();
        for name in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("USER", "ines")
            .env("QUARTERDECK_PASSPHRASE", PASSPHRASE)
            .env("XDG_STATE_HOME", self.dir.path().join("unused"))
            .env("QUARTERDECK__STATE__DIR", self.state())
            .env("QUARTERDECK__WEB__LISTEN", "127.0.0.1:0");
        command
    }

    /// Runs a verb to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a verb that has to work, and gives what it printed.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{args:?}: {out}{err}");
        out.into_owned()
    }

    /// Starts `up` and waits until it serves.
    pub fn up(&self, env: &[(&str, &str)]) -> Up {
        let mut command = self.command(&["up"]);
        command.envs(env.iter().copied());
        self.serve(command)
    }

    /// Starts `up` with its state on a disk of so many MiB; none where no disk can be mounted.
    pub fn up_on_small_disk(&self, mib: u32) -> Option<Up> {
        let mount = |then: &str| {
            let state = self.state().display().to_string();
            format!("mount -t tmpfs -o size={mib}m tmpfs {state} && {then}")
        };
        std::fs::create_dir_all(self.state()).unwrap();
        let unshare = |script: String| ["-Urm", "sh", "-c"].map(str::to_owned).into_iter().chain([script]);
        let tried = Command::new("unshare").args(unshare(mount("true"))).output();
        if !tried.is_ok_and(|tried| tried.status.success()) {
            return None;
        }
        let script = mount(&format!("exec {} up", binary()));
        let mut command = self.command(&[]);
        let mut namespaced = Command::new("unshare");
        namespaced.args(unshare(script)).current_dir(self.folder()).env_clear();
        namespaced.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        std::mem::swap(&mut command, &mut namespaced);
        Some(self.serve(command))
    }

    fn serve(&self, mut command: Command) -> Up {
        command.stdout(Stdio::piped());
        command.stderr(std::fs::File::create(self.dir.path().join("up.log")).unwrap());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut address = None;
        for line in lines.by_ref().map_while(Result::ok) {
            if let Some(rest) = line.strip_prefix("Quarterdeck runs at http://") {
                address = Some(rest.to_owned());
            }
            if line.starts_with("Sign in as ines: ") {
                break;
            }
        }
        // The first start offers to set a passphrase, right below the link.
        let offer = lines.by_ref().map_while(Result::ok).next();
        // The pipe stays open and is read to its end, or the fleet would stop at a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let log = std::fs::read_to_string(self.dir.path().join("up.log")).unwrap_or_default();
        let address = address.unwrap_or_else(|| panic!("up did not start: {log}"));
        if let Some((_, token)) = offer.as_deref().and_then(|line| line.split_once("/join?token=")) {
            join(&address, token);
        }
        let session = session(&address, "ines").unwrap_or_else(|| panic!("ines can't sign in: {log}"));
        std::fs::write(self.dir.path().join("session.ines"), &session).unwrap();
        // The link that was printed ended when the passphrase was set; this one may vote.
        let sign_in = format!("http://{address}/sign-in?token={session}");
        Up { child, address, sign_in, session, state: self.state() }
    }
}

/// A running fleet. Killed when it is dropped.
pub struct Up {
    child: Child,
    pub address: String,
    pub sign_in: String,
    session: String,
    state: PathBuf,
}

/// Everybody's passphrase.
pub const PASSPHRASE: &str = "correct horse battery staple";

/// Takes up an invitation on the page.
pub fn join(address: &str, token: &str) -> String {
    let (form, said) = (PASSPHRASE.replace(' ', "+"), format!("Origin: http://{address}"));
    let headers = [said.as_str(), "Content-Type: application/x-www-form-urlencoded"];
    let body = format!("token={token}&passphrase={form}&again={form}");
    let (status, answer) = crate::door::send(address, "POST /join", &headers, &body);
    assert_eq!(status, 200, "{answer}");
    cookie(&answer).unwrap()
}

/// A session of somebody who signs in on the page with the passphrase; `None` if they are not let in.
pub fn session(address: &str, person: &str) -> Option<String> {
    let (form, said) = (PASSPHRASE.replace(' ', "+"), format!("Origin: http://{address}"));
    let headers = [said.as_str(), "Content-Type: application/x-www-form-urlencoded"];
    let body = format!("person={person}&passphrase={form}&next=%2F");
    cookie(&crate::door::send(address, "POST /sign-in", &headers, &body).1)
}

fn cookie(answer: &str) -> Option<String> {
    let line = answer.lines().find_map(|line| line.strip_prefix("set-cookie: "))?;
    Some(line.split(';').next()?.split_once('=')?.1.to_owned())
}

impl Drop for Up {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

impl Up {
    /// A client on the team's socket, signed in as ines, or as `person`.
    pub fn client(&self, team: &str, person: Option<&str>) -> Client {
        let session = match person {
            None => self.session.clone(),
            Some(person) => session(&self.address, person).unwrap(),
        };
        self.socket(team, Some(session))
    }

    /// A client on the team's socket, with nothing but this user's id if there is no token.
    pub fn socket(&self, team: &str, token: Option<String>) -> Client {
        let state = self.inside(&self.state);
        Client::new(Target::Socket(state.join("instances").join(team).join("api.sock")), team, token)
    }

    /// A path as the running fleet sees it, for one with disks of its own.
    pub fn inside(&self, path: &Path) -> PathBuf {
        Path::new("/proc")
            .join(self.child.id().to_string())
            .join("root")
            .join(path.strip_prefix("/").unwrap())
    }

    /// What it keeps in memory of its own, in MiB (`RssAnon`): without the pages of the program, which is large in tests.
    pub fn memory_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    /// Ends it as Ctrl-C does, and gives how long that took.
    pub fn interrupt(mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        (self.child.wait().unwrap(), begun.elapsed())
    }

    /// Waits until the process is gone by itself.
    pub fn wait_death(&mut self) -> Option<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }
}

/// Files a feature, released at once.
pub async fn add(client: &mut Client, title: &str) -> FeatureView {
    let new = NewFeature { ready: true, ..NewFeature::titled(title) };
    client.post("features", &new).await.unwrap()
}

/// Waits until a feature is as wanted.
pub async fn until(client: &mut Client, id: &str, wanted: impl Fn(&FeatureView) -> bool) -> FeatureView {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let view: FeatureView = client.get(&format!("features/{id}")).await.unwrap();
        if wanted(&view) {
            return view;
        }
        assert!(Instant::now() < deadline, "{id} is still {}: {}", view.feature.stage, view.sentence);
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

/// Waits until a feature that was ordered elsewhere is on the board.
pub async fn arrived(client: &mut Client, id: &str) {
    let deadline = Instant::now() + PATIENCE;
    while client.get::<FeatureView>(&format!("features/{id}")).await.is_err() {
        assert!(Instant::now() < deadline, "{id} did not arrive");
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

/// Approves whatever is open, as soon as something is; ends early if the feature no longer waits for it.
pub async fn approve(client: &mut Client, id: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let open = open_approval(client, id).await;
        if let Some(view) = open {
            let cast = CastVote::new(Ballot::Approve, &view.approval.digest, None);
            let path = format!("approvals/{}/vote", view.approval.id.key());
            let _: ApprovalView = client.post(&path, &cast).await.unwrap();
            return;
        }
        let view: FeatureView = client.get(&format!("features/{id}")).await.unwrap();
        if view.feature.stage == Stage::Done {
            return;
        }
        assert!(view.feature.held.is_none(), "{id} needs a person: {}", view.sentence);
        assert!(Instant::now() < deadline, "nobody was asked about {id}: {}", view.sentence);
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

/// The open approval of a feature, that nobody has decided on yet.
pub async fn open_approval(client: &mut Client, id: &str) -> Option<ApprovalView> {
    let inbox: Vec<ApprovalView> = client.get("approvals").await.unwrap();
    inbox.into_iter().find(|view| {
        view.approval.subject.feature.to_string() == id && view.approval.state.is_open() && !view.deciding
    })
}

/// Whether the feature is merged and its run cleaned up.
pub fn finished(view: &FeatureView) -> bool {
    view.feature.stage == Stage::Done && view.run.as_ref().is_some_and(|run| run.ended_at.is_some())
}

/// Lets agents see the project's own folder, which the walls around them hide: files there tell them when to go on.
pub fn seen(project: &Project) -> String {
    format!("\n[sandbox]\nread = [\"{}\"]\n", project.folder().display())
}

/// The configuration of a one-person fleet whose agent is a shell command, with one check.
pub fn config(agent: &str, check: Option<&str>) -> String {
    let check = check.map_or_else(String::new, |command| {
        format!("[[repositories.checks]]\nname = \"check\"\ncommand = '''{command}'''\n")
    });
    format!(
        "[fleet]\nsolo = true\n\n[[people]]\nname = \"ines\"\nroles = [\"owner\", \"manager\"]\n\n\
         [[teams]]\nname = \"alpha\"\nagent = \"shell\"\n\n\
         [agents.shell]\ncommand = [\"sh\", \"-c\", '''{agent}''']\n\n\
         [[repositories]]\nname = \"project\"\npath = \".\"\n{check}"
    )
}
