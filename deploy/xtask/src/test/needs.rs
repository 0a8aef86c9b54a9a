//! What the suites need beyond a Rust toolchain and git, and where it comes from. The browser tests drive a real
//! Chromium, and no crate brings one.

/// One suite's needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Need {
    /// The suite that is skipped without it. Tests read this word from `QUARTERDECK_SKIP`.
    pub(super) suite: &'static str,
    /// Why it is skipped, in the last line.
    pub(super) reason: &'static str,
    /// Each entry is a choice: one of its programs is enough.
    programs: &'static [&'static [&'static str]],
    /// How it is installed.
    pub(super) source: Source,
    /// About how long that takes on two cores.
    minutes: u32,
}

/// Where a missing program comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Packages of Debian and its relatives.
    Debian(&'static [&'static str]),
    /// A program that cargo builds, as `name@version`.
    Cargo(&'static str),
}

const NEEDS: [Need; 8] = [
    Need {
        suite: "browser",
        reason: "no chromium",
        programs: &[&["chromium", "chromium-browser", "google-chrome"], &["chromedriver"]],
        source: Source::Debian(&["chromium", "chromium-driver"]),
        minutes: 2,
    },
    Need {
        suite: "npm",
        reason: "no npm",
        programs: &[&["npm"], &["node"]],
        source: Source::Debian(&["nodejs", "npm"]),
        minutes: 2,
    },
    Need {
        suite: "walls",
        reason: "no bubblewrap or dockerd",
        programs: &[&["bwrap"], &["dockerd"], &["docker"], &["busybox"]],
        source: Source::Debian(&["bubblewrap", "docker.io", "busybox-static"]),
        minutes: 1,
    },
    Need {
        suite: "docker",
        reason: "no dockerd",
        programs: &[&["dockerd"], &["busybox"]],
        source: Source::Debian(&["docker.io", "busybox-static"]),
        minutes: 1,
    },
    Need {
        suite: "python",
        reason: "no python3",
        programs: &[&["python3"]],
        source: Source::Debian(&["python3-venv"]),
        minutes: 1,
    },
    Need {
        suite: "nats",
        reason: "no nats-server or openssl",
        programs: &[&["nats-server"], &["openssl"]],
        source: Source::Debian(&["nats-server", "openssl"]),
        minutes: 1,
    },
    // The fake GitHub gives every App a key of its own: RSA, which no library here makes.
    Need {
        suite: "github",
        reason: "no openssl",
        programs: &[&["openssl"]],
        source: Source::Debian(&["openssl"]),
        minutes: 1,
    },
    Need {
        suite: "deny",
        reason: "no cargo-deny",
        programs: &[&["cargo-deny"]],
        // The newest that the pinned toolchain builds. Measured: 2 min 33 s on two cores.
        source: Source::Cargo("cargo-deny@0.20.2"),
        minutes: 4,
    },
];

/// The needs that this machine does not meet.
pub(super) fn missing(is_installed: &dyn Fn(&str) -> bool) -> Vec<Need> {
    NEEDS.into_iter().filter(|need| !need.is_met(is_installed)).collect()
}

impl Need {
    /// Whether its programs are there.
    pub(super) fn is_met(&self, is_installed: &dyn Fn(&str) -> bool) -> bool {
        self.programs.iter().all(|choice| choice.iter().any(|program| is_installed(program)))
    }

    /// What will be installed, and about how long it takes.
    pub(super) fn announcement(&self) -> String {
        let what = match self.source {
            Source::Debian(packages) => format!("packages {}", packages.join(", ")),
            Source::Cargo(tool) => format!("{tool}, built by cargo"),
        };
        format!("for {}: {what} (about {} minutes)", self.suite, self.minutes)
    }
}

#[cfg(test)]
mod tests {
    use super::missing;

    fn suites(installed: &[&str]) -> Vec<&'static str> {
        missing(&|program| installed.contains(&program)).iter().map(|need| need.suite).collect()
    }

    #[test]
    fn a_suite_needs_one_program_of_each_choice() {
        assert_eq!(suites(&[]), ["browser", "npm", "walls", "docker", "python", "nats", "github", "deny"]);
        let walls = ["bwrap", "dockerd", "docker", "busybox", "python3", "nats-server", "openssl"];
        let with_walls = |more: &[&'static str]| suites(&[&walls, more].concat());
        assert_eq!(with_walls(&["cargo-deny", "chromium", "npm", "node"]), ["browser"]);
        assert_eq!(with_walls(&["google-chrome", "chromedriver", "npm", "node"]), ["deny"]);
        assert_eq!(
            with_walls(&["google-chrome", "chromedriver", "cargo-deny", "npm", "node"]),
            Vec::<&str>::new()
        );
    }
}
