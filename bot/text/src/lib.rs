#![doc = include_str!("../README.md")]

use std::{fmt::Display, sync::LazyLock};

use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};

const ENGLISH: &str = include_str!("en.ftl");

/// The argument that is a number and chooses plural forms.
const COUNT: &str = "count";

static MESSAGES: LazyLock<FluentBundle<FluentResource>> = LazyLock::new(|| {
    // A test reads the file to its end: nothing in it is left out.
    let resource = FluentResource::try_new(ENGLISH.to_owned()).unwrap_or_else(|(understood, _)| understood);
    let mut bundle = FluentBundle::new_concurrent("en".parse().into_iter().collect());
    // The marks of direction around what is put in would stand in commands that people copy.
    bundle.set_use_isolating(false);
    bundle.add_resource_overriding(resource);
    bundle
});

/// A text of the message file: `say!("order-sent", team = team)`.
#[macro_export]
macro_rules! say {
    ($key:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::said($key, &[$((stringify!($name), &$value as &dyn std::fmt::Display)),*])
    };
}
/// The text of a key. A key that is not there, which a test rules out, is shown as it is.
pub fn said(key: &str, arguments: &[(&'static str, &dyn Display)]) -> String {
    let Some(pattern) = MESSAGES.get_message(key).and_then(|message| message.value()) else {
        return key.to_owned();
    };
    let mut all = FluentArgs::with_capacity(arguments.len());
    for (name, value) in arguments {
        let value = value.to_string();
        let count = if *name == COUNT { value.parse::<u32>().ok() } else { None };
        all.set(*name, count.map_or_else(|| FluentValue::from(value), FluentValue::from));
    }
    MESSAGES.format_pattern(pattern, Some(&all), &mut Vec::new()).into_owned()
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        path::Path,
    };

    use super::*;

    /// Keys and the arguments that each is given, wherever it is.
    type Used = BTreeMap<String, BTreeSet<String>>;

    fn sources(folder: &Path, used: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, used);
            } else if path.extension().is_some_and(|ending| ending == "rs")
                && !path.ends_with("text/src/lib.rs")
            {
                used.push(std::fs::read_to_string(&path).unwrap());
            }
        }
    }

    /// What stands between the bracket that opens the text and the one that closes it.
    fn inside(text: &str) -> &str {
        let mut depth = 0;
        let mut quoted = false;
        for (at, letter) in text.char_indices() {
            match letter {
                '"' => quoted = !quoted,
                '(' if !quoted => depth += 1,
                ')' if !quoted && depth == 0 => return &text[..at],
                ')' if !quoted => depth -= 1,
                _ => {}
            }
        }
        text
    }

    /// Where people are spoken to in chat. The console's page has words of its own, as any page.
    const CHAT: [&str; 3] = ["../command/src", "../core/src", "../discord/src"];
    const CONSOLE: &str = "../console/src";
    /// What says there how it stands with Discord.
    const FLEET: &str = "../../deploy/quarterdeck/src/fleet";
    /// Not a text: what Discord calls a permission.
    const NAME: &str = "Send Messages in Threads";

    fn spoken(folders: &[&str]) -> Vec<String> {
        let mut files = Vec::new();
        for of in folders {
            sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(of), &mut files);
        }
        // Tests say what they expect.
        files.into_iter().map(|text| text.split("#[cfg(test)]").next().unwrap().to_owned()).collect()
    }

    /// Keys that are put together: what commands do and their options are, in the catalogue.
    fn catalogued(file: &str) -> impl Iterator<Item = String> + '_ {
        let options = file.split('"').filter(|literal| literal.starts_with("option-")).map(str::to_owned);
        let paths =
            file.split("entry(").filter_map(|part| part.trim_start().strip_prefix('"')?.split('"').next());
        options.chain(paths.map(|path| format!("command-{}", path.replace(' ', "-"))))
    }

    fn used() -> Used {
        let (call, argument) = ("say!(", regex_like());
        let mut used = Used::new();
        for file in &spoken(&[&CHAT[..], &[CONSOLE, FLEET]].concat()) {
            for part in file.split(call).skip(1) {
                let inside = inside(part);
                let key = inside.split('"').nth(1).unwrap().to_owned();
                let names = used.entry(key).or_default();
                names.extend(argument(inside));
            }
            if file.contains("const ENTRIES") {
                used.extend(catalogued(file).map(|key| (key, BTreeSet::new())));
            }
        }
        used
    }

    /// The literals of a line of code, without what is said to the log or about the code.
    fn literals(line: &str) -> Vec<&str> {
        let code = line.trim_start();
        if code.starts_with("//") || code.starts_with("#[") || code.contains("tracing::") {
            return Vec::new();
        }
        code.split('"').skip(1).step_by(2).collect()
    }

    /// A sentence, or the begin of one: a capital letter or a sign first, then a word in small letters after a blank.
    fn is_sentence(literal: &str) -> bool {
        let begins =
            literal.chars().next().is_some_and(|first| first.is_uppercase() || "✔✘⚠⏳*".contains(first));
        let mut words = literal.split(' ').skip(1);
        let small = |word: &str| word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_lowercase());
        begins && words.any(|word| small(word.trim_end_matches(['.', ',', ':', ';'])))
    }

    #[test]
    fn what_people_read_stands_in_the_file_and_nowhere_else() {
        assert!(is_sentence("Nothing was typed, so nothing was done.") && is_sentence("Make it guidance"));
        assert!(!is_sentence("approve {key}") && !is_sentence("%a %-d %b") && !is_sentence("Approve"));
        let files = spoken(&CHAT);
        let all = files.iter().flat_map(|file| file.lines()).flat_map(literals);
        let found: Vec<&str> = all.filter(|text| is_sentence(text) && *text != NAME).collect();
        assert_eq!(found, Vec::<&str>::new());
    }

    /// Names before a single `=`, outside of brackets.
    fn regex_like() -> impl Fn(&str) -> Vec<String> {
        |inside| {
            let (mut depth, mut top) = (0, String::new());
            for letter in inside.chars() {
                match letter {
                    '(' | '[' | '{' | '|' => depth += 1,
                    ')' | ']' | '}' => depth -= 1,
                    letter if depth == 0 => top.push(letter),
                    _ => {}
                }
            }
            let named = top.split(',').skip(1).filter_map(|part| part.split_once(" = "));
            named.map(|(name, _)| name.trim().to_owned()).collect()
        }
    }

    fn known() -> Used {
        let mut known = Used::new();
        let mut last = String::new();
        for line in ENGLISH.lines().filter(|line| !line.starts_with('#')) {
            if let Some((key, _)) = line.split_once(" =").filter(|_| !line.starts_with(' ')) {
                last = key.to_owned();
                assert!(known.insert(last.clone(), BTreeSet::new()).is_none(), "{last} stands there twice");
            }
            let names = line.split('$').skip(1);
            let names = names
                .map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect());
            known.entry(last.clone()).or_default().extend(names);
        }
        known.remove("");
        known
    }

    #[test]
    fn each_key_is_used_and_each_used_key_is_there_with_its_arguments() {
        assert!(FluentResource::try_new(ENGLISH.to_owned()).is_ok(), "the message file has an error");
        let (known, used) = (known(), used());
        let names = |of: &Used| of.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(
            names(&known).difference(&names(&used)).collect::<Vec<_>>(),
            Vec::<&String>::new(),
            "not used"
        );
        assert_eq!(
            names(&used).difference(&names(&known)).collect::<Vec<_>>(),
            Vec::<&String>::new(),
            "not there"
        );
        for (key, arguments) in &known {
            assert_eq!(arguments, &used[key], "the arguments of {key}");
        }
    }

    #[test]
    fn what_is_put_in_stays_as_it_is_and_counts_choose_their_form() {
        assert_eq!(said("order-sent", &[("team", &"{ $x }\n*[a]")]), "Sent to { $x }\n*[a].");
        let runs = |count: u32| said("runs", &[("count", &count)]);
        assert_eq!([runs(0), runs(1), runs(1200)], ["no run", "1 run", "1200 runs"]);
        assert_eq!(said("not a key", &[]), "not a key");
    }
}
