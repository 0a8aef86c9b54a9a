//! Installs what is missing, or says how. Nothing is installed on a person's machine unasked: only as root, or where
//! `CI=true` says that the machine is there for it.

use std::{env, fs, os::unix::fs::MetadataExt, process::Command, time::Duration};

use super::{
    is_installed,
    needs::{Need, Source},
    report::Report,
};
use crate::{
    outcome::{Failure, Outcome},
    process,
};

/// Pauses before the second and the third try: a mirror that hiccups is usually back within half a minute.
const PAUSES: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(20)];

/// Who runs this, as far as installing is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rights {
    root: bool,
    ci: bool,
    sudo: bool,
    apt: bool,
}

/// Brings what is missing and returns what had to be left out, which is only ever something with `allow_skips`.
pub(super) fn provide(missing: Vec<Need>, allow_skips: bool, report: &mut Report) -> Outcome<Vec<Need>> {
    if missing.is_empty() {
        return Ok(missing);
    }
    let rights = Rights::here();
    let shown = |need: &Need| -> Vec<String> { commands(need, rights).iter().map(process::shown).collect() };
    println!("Some of what the tests need is missing:");
    for need in &missing {
        println!("  {}", need.announcement());
    }
    if !(rights.root || rights.ci) {
        return if allow_skips {
            Ok(missing)
        } else {
            Err(ask(&missing.iter().flat_map(shown).collect::<Vec<_>>()))
        };
    }
    let mut left_out = Vec::new();
    for need in missing {
        let installed = report.step("install", &shown(&need).join(" && "), || install(&need, rights));
        match installed {
            Ok(()) => {}
            Err(_) if allow_skips => left_out.push(need),
            Err(failure) => return Err(failure),
        }
    }
    Ok(left_out)
}

fn install(need: &Need, rights: Rights) -> Outcome {
    if matches!(need.source, Source::Debian(_)) && !rights.apt {
        return Err(Failure::failed(format!("There is no apt-get here: {} by hand.", need.announcement())));
    }
    let mut tries = PAUSES.iter();
    loop {
        let tried = attempt(need, rights);
        if need.is_met(&is_installed) {
            return Ok(());
        }
        let failure = tried.err().unwrap_or_else(|| {
            Failure::failed(format!(
                "Installed without complaint, but still not found on PATH: {}.",
                need.announcement()
            ))
        });
        let Some(pause) = tries.next() else { return Err(failure) };
        println!("{failure} Another try in {} s.", pause.as_secs());
        wait(*pause);
    }
}

fn attempt(need: &Need, rights: Rights) -> Outcome {
    let mut commands = commands(need, rights);
    let Some(mut last) = commands.pop() else { return Ok(()) };
    // Refreshing the lists may fail (one mirror of many is away) and the packages be there all the same.
    for command in &mut commands {
        if let Err(failure) = process::succeed(command) {
            println!("{failure} Going on with what is known.");
        }
    }
    process::succeed(&mut last)
}

/// The commands, in order. The last one is the one that counts.
fn commands(need: &Need, rights: Rights) -> Vec<Command> {
    match need.source {
        Source::Debian(packages) => {
            let mut update = apt(rights);
            update.arg("update");
            let mut install = apt(rights);
            install.args(["install", "-y", "--no-install-recommends"]).args(packages);
            vec![update, install]
        }
        Source::Cargo(tool) => {
            let mut install = process::cargo();
            install.args(["install", "--locked", tool]);
            vec![install]
        }
    }
}

fn apt(rights: Rights) -> Command {
    if rights.root || (rights.ci && !rights.sudo) {
        let mut apt = process::program("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        return apt;
    }
    let mut apt = process::program("sudo");
    // Without a terminal sudo must not ask. The variable is set behind sudo, which clears the environment.
    apt.args(rights.ci.then_some("-n")).args(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    apt
}

fn ask(commands: &[String]) -> Failure {
    Failure::Usage(format!(
        "Nothing was installed. To install it:\n\n  {}\n\nOr go on without: cargo xtask test --allow-skips",
        commands.join(" \\\n    && ")
    ))
}

impl Rights {
    fn here() -> Self {
        Self {
            root: fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0),
            ci: env::var_os("CI").is_some_and(|value| value == "true"),
            sudo: process::find("sudo").is_some(),
            apt: process::find("apt-get").is_some(),
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "xtask has no executor whose thread could be blocked")]
pub(super) fn wait(pause: Duration) {
    std::thread::sleep(pause);
}

#[cfg(test)]
mod tests {
    use super::{Rights, ask, commands};
    use crate::{process::shown, test::needs::missing};

    fn lines(rights: Rights) -> Vec<String> {
        let nothing = |_: &str| false;
        missing(&nothing)
            .iter()
            .flat_map(|need| commands(need, rights))
            .map(|command| shown(&command))
            .collect()
    }

    #[test]
    fn root_installs_directly() {
        assert_eq!(
            lines(Rights { root: true, ci: false, sudo: true, apt: true }),
            [
                "apt-get update",
                "apt-get install -y --no-install-recommends chromium chromium-driver",
                "apt-get update",
                "apt-get install -y --no-install-recommends nodejs npm",
                "apt-get update",
                "apt-get install -y --no-install-recommends bubblewrap docker.io busybox-static",
                "apt-get update",
                "apt-get install -y --no-install-recommends docker.io busybox-static",
                "apt-get update",
                "apt-get install -y --no-install-recommends python3-venv",
                "apt-get update",
                "apt-get install -y --no-install-recommends nats-server openssl",
                "apt-get update",
                "apt-get install -y --no-install-recommends openssl",
                "cargo install --locked cargo-deny@0.20.2",
            ]
        );
    }

    #[test]
    fn a_person_is_told_the_exact_commands() {
        let lines = lines(Rights { root: false, ci: false, sudo: true, apt: true });
        let failure = ask(&lines);
        assert_eq!(failure.code(), 2);
        assert_eq!(
            failure.to_string(),
            "Nothing was installed. To install it:

  sudo env DEBIAN_FRONTEND=noninteractive apt-get update \\
    && sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium chromium-driver \\
    && sudo env DEBIAN_FRONTEND=noninteractive apt-get update \\
    && sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends nodejs npm \\
    && sudo env DEBIAN_FRONTEND=noninteractive apt-get update \\
    && sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends bubblewrap docker.io busybox-static \\
    && sudo env DEBIAN_FRONTEND=noninteractive apt-get update \\
    && sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends docker.io busybox-static \\
    && sudo env DEBIAN_FRONTEND=noninteractive apt-get update \\
    && sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv \\
    && sudo env DEBIAN_FRONTEND=noninteractive apt-get update \\
    && sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends nats-server openssl \\
    && sudo env DEBIAN_FRONTEND=noninteractive apt-get update \\
    && sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends openssl \\
    && cargo install --locked cargo-deny@0.20.2

Or go on without: cargo xtask test --allow-skips"
        );
    }

    #[test]
    fn ci_never_waits_for_a_password() {
        let lines = lines(Rights { root: false, ci: true, sudo: true, apt: true });
        assert_eq!(lines[0], "sudo -n env DEBIAN_FRONTEND=noninteractive apt-get update");
    }
}
