//! What a command line says, as far as it can be known without a shell. It reads one plain command; anything that a
//! shell would have to work out is left as it is, for a person to read.

use serde::Serialize;

/// A command that an agent wants to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// One program with its arguments. A shell makes nothing else of it.
    Plain(Vec<String>),
    /// What can't be parsed for sure: several commands, expansions, redirections, an open quote. It must be asked.
    Unclear(String),
}

/// Shells that take a script after `-c`.
const SHELLS: [&str; 4] = ["sh", "bash", "zsh", "dash"];

/// What means something to a shell outside of quotes.
const SPECIAL: &str = ";&|<>()$`{}*?[]~#!\n\r";

/// Words that are no programs but a shell's own, if they come first.
const RESERVED: [&str; 16] = [
    "if", "then", "else", "elif", "fi", "do", "done", "case", "esac", "while", "until", "for", "in", "time",
    "function", "select",
];

impl Command {
    /// Reads a command line as a POSIX shell would.
    pub fn parse(line: &str) -> Self {
        let unclear = || Self::Unclear(line.to_owned());
        if !is_plain(line) {
            return unclear();
        }
        match shell_words::split(line) {
            Ok(words) => match words.first() {
                Some(first) if !first.contains('=') && !RESERVED.contains(&first.as_str()) => {
                    Self::Plain(words)
                }
                _ => unclear(),
            },
            Err(_) => unclear(),
        }
    }

    /// A program with its arguments. If it is a shell with a script, it is the script that counts.
    pub fn of_words(words: Vec<String>) -> Self {
        let program = words.first().map(|first| first.rsplit('/').next().unwrap_or(first));
        match (program, words.as_slice()) {
            (Some(shell), [_, flag, script])
                if SHELLS.contains(&shell) && matches!(flag.as_str(), "-c" | "-lc") =>
            {
                Self::parse(script)
            }
            (Some(shell), _) if !SHELLS.contains(&shell) => Self::Plain(words),
            _ => Self::Unclear(shell_words::join(&words)),
        }
    }

    /// As people read it.
    pub fn text(&self) -> String {
        match self {
            Self::Plain(words) => shell_words::join(words),
            Self::Unclear(line) => line.clone(),
        }
    }
}

/// Whether nothing outside of quotes, and nothing that works inside of double quotes, is special.
fn is_plain(line: &str) -> bool {
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            // What can't be shown can't be decided about.
            (_, c) if c.is_control() && !matches!(c, '\t' | '\n') => return false,
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), _) => {}
            // What a backslash does in double quotes differs between shells.
            (Some(_), '$' | '`' | '\\' | '!') => return false,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '\\') => match chars.next() {
                Some('\n' | '\r') | None => return false,
                Some(_) => {}
            },
            (None, c) if SPECIAL.contains(c) => return false,
            (None, _) => {}
        }
    }
    quote.is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(line: &str, words: &[&str]) {
        assert_eq!(
            Command::parse(line),
            Command::Plain(words.iter().map(|word| (*word).to_owned()).collect()),
            "{line}"
        );
    }

    fn unclear(line: &str) {
        assert_eq!(Command::parse(line), Command::Unclear(line.to_owned()));
    }

    #[test]
    fn one_plain_command_is_read() {
        plain("git status", &["git", "status"]);
        plain("cargo test -- 'a b' \"c d\"", &["cargo", "test", "--", "a b", "c d"]);
        plain(r"echo a\ b 'it$(is)'", &["echo", "a b", "it$(is)"]);
        plain("git commit -m 'a\n\nb'", &["git", "commit", "-m", "a\n\nb"]);
    }

    #[test]
    fn what_a_shell_would_work_out_is_asked() {
        for line in [
            "",
            "git status; rm -rf /",
            "a && b",
            "a | b",
            "echo $(id)",
            "echo `id`",
            "echo \"$HOME\"",
            "cat < /etc/passwd",
            "echo x > y",
            "ls *.rs",
            "FOO=1 make",
            "if true",
            "echo 'open",
            "echo a\nrm b",
            "echo \\\nb",
            "(id)",
            "cd ~",
            "echo # gone",
            "a & b",
            "echo \"a\\b\"",
            "echo '\u{1b}[8m'",
        ] {
            unclear(line);
        }
    }

    #[test]
    fn a_shell_is_looked_into() {
        let words = |words: &[&str]| Command::of_words(words.iter().map(|word| (*word).to_owned()).collect());
        assert_eq!(words(&["/bin/bash", "-lc", "git status"]), Command::parse("git status"));
        assert_eq!(words(&["bash", "-lc", "a; b"]), Command::Unclear("a; b".to_owned()));
        assert_eq!(words(&["bash", "script.sh"]), Command::Unclear("bash script.sh".to_owned()));
        assert_eq!(words(&["ls", "-l"]), Command::Plain(vec!["ls".into(), "-l".into()]));
        assert_eq!(words(&[]), Command::Unclear(String::new()));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn what_is_plain_is_what_a_shell_makes_of_it(line in "[a-b \t'\"\\\\$`;|&<>(){}*?~#!=é\n-]{1,14}") {
            if let Command::Plain(words) = Command::parse(&line) {
                let script = format!("printf '%s\\0' {line}");
                let out = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
                let seen: Vec<String> = String::from_utf8_lossy(&out.stdout)
                    .split_terminator('\0').map(str::to_owned).collect();
                prop_assert_eq!(words, seen);
            }
        }

        #[test]
        fn any_words_can_be_written_as_a_plain_command(words in prop::collection::vec("[A-Za-z0-9_./é '\"$;|&`-]{1,12}", 1..5)) {
            prop_assume!(!RESERVED.contains(&words[0].as_str()));
            prop_assert_eq!(Command::parse(&shell_words::join(&words)), Command::Plain(words));
        }
    }
}
