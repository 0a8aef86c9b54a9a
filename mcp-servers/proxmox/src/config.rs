//! What a person says of a cluster, in variables of the environment. Host, user and token are required; nothing is taken
//! for granted. What is not understood is an error, never a wider scope.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::RangeInclusive,
    path::PathBuf,
    str::FromStr,
};

use qd_types::Tier;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    https::Trust,
    names::{Invalid, NodeName, PoolId, StorageId, Tag, TokenName, UserId, VmId},
};

/// A cluster, and what may be done to it.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name or address, without a port.
    pub host: String,
    /// 8006 if nothing is said.
    pub port: u16,
    /// The user of the token: `mcp@pve`.
    pub user: UserId,
    /// The token's name.
    pub token_name: TokenName,
    /// The token's value.
    pub token: SecretString,
    /// Tokens of tiers that have one of their own, by name and value.
    pub tiers: BTreeMap<Tier, (TokenName, SecretString)>,
    /// What the server's certificate has to be.
    pub trust: Trust,
    /// Whether there are tools that change something.
    pub elevated: bool,
    /// What of the cluster is there.
    pub scope: Scope,
    /// The most that one pool may have.
    pub quota: Quota,
    /// Programs that may be run in guests, by their whole paths. Without one there is no such tool.
    pub programs: Vec<String>,
    /// What the machines of teams get.
    pub machine: Machine,
}

/// What the machines of teams get, besides what the template has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Machine {
    /// The file with the configuration of a team.
    pub config: Option<PathBuf>,
    /// Where the program comes from, and its SHA-256 in hexadecimal digits.
    pub binary: Option<(String, String)>,
    /// The template, where an order names none.
    pub template: Option<u32>,
}

/// What of a cluster is there: what is in all of these. What is not said does not narrow.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Guests' numbers.
    pub vmids: Option<RangeInclusive<u32>>,
    /// Pools.
    pub pools: Option<BTreeSet<PoolId>>,
    /// Tags, of which a guest needs one.
    pub tags: Option<BTreeSet<String>>,
    /// Nodes.
    pub nodes: Option<BTreeSet<NodeName>>,
    /// Storages.
    pub storages: Option<BTreeSet<StorageId>>,
}

/// The most that the guests of one pool may have together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// Guests.
    pub guests: Option<u64>,
    /// Cores.
    pub cores: Option<u64>,
    /// Memory, in MiB.
    pub memory_mib: Option<u64>,
    /// Disk, in GiB.
    pub disk_gib: Option<u64>,
}

/// A variable that is missing, or says what is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {problem}")]
pub struct ConfigError {
    /// Which.
    pub variable: String,
    /// What is wrong, and the way out.
    pub problem: String,
}

fn wrong(variable: &'static str, problem: impl fmt::Display) -> ConfigError {
    ConfigError { variable: variable.to_owned(), problem: problem.to_string() }
}

impl Config {
    /// From variables. `read` returns a variable's value; an empty one counts as not set.
    pub fn from_env(read: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let get = |name: &str| read(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let need = |name: &'static str, example: &str| {
            get(name).ok_or_else(|| wrong(name, format!("is not set: say {name}={example}")))
        };
        let named = |name: &'static str| move |error: Invalid| wrong(name, format!("is wrong: {error}"));
        let host = need("PROXMOX_HOST", "pve.example.org")?;
        let plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
        let address = host.trim_matches(['[', ']']).parse::<std::net::Ipv6Addr>();
        let host = match address {
            Ok(address) => format!("[{address}]"),
            Err(_) if plain && !host.contains([':', '[', ']']) => host,
            Err(_) => {
                return Err(wrong(
                    "PROXMOX_HOST",
                    "is wrong: a name or address only; the port is PROXMOX_PORT",
                ));
            }
        };
        Ok(Self {
            host,
            port: number("PROXMOX_PORT", get("PROXMOX_PORT"))?.unwrap_or(8006),
            user: UserId::parse(&need("PROXMOX_USER", "mcp@pve")?).map_err(named("PROXMOX_USER"))?,
            token_name: TokenName::parse(&need("PROXMOX_TOKEN_NAME", "mcp")?)
                .map_err(named("PROXMOX_TOKEN_NAME"))?,
            token: need("PROXMOX_TOKEN_VALUE", "…")?.into(),
            tiers: tiers(&get)?,
            trust: trust(get("PROXMOX_CA_FILE"), get("PROXMOX_FINGERPRINT"))?,
            elevated: match get("PROXMOX_ALLOW_ELEVATED").as_deref() {
                None | Some("false" | "0" | "no") => false,
                Some("true" | "1" | "yes") => true,
                Some(_) => return Err(wrong("PROXMOX_ALLOW_ELEVATED", "is wrong: say true or false")),
            },
            scope: Scope {
                vmids: get("PROXMOX_SCOPE_VMIDS").map(|text| range(&text)).transpose()?,
                pools: list("PROXMOX_SCOPE_POOLS", get("PROXMOX_SCOPE_POOLS"), PoolId::parse)?,
                tags: list("PROXMOX_SCOPE_TAGS", get("PROXMOX_SCOPE_TAGS"), Tag::parse)?
                    .map(|tags| tags.iter().map(|tag| tag.as_str().to_ascii_lowercase()).collect()),
                nodes: list("PROXMOX_SCOPE_NODES", get("PROXMOX_SCOPE_NODES"), NodeName::parse)?,
                storages: list("PROXMOX_SCOPE_STORAGES", get("PROXMOX_SCOPE_STORAGES"), StorageId::parse)?,
            },
            quota: Quota {
                guests: number("PROXMOX_QUOTA_GUESTS", get("PROXMOX_QUOTA_GUESTS"))?,
                cores: number("PROXMOX_QUOTA_CORES", get("PROXMOX_QUOTA_CORES"))?,
                memory_mib: number("PROXMOX_QUOTA_MEMORY_MIB", get("PROXMOX_QUOTA_MEMORY_MIB"))?,
                disk_gib: number("PROXMOX_QUOTA_DISK_GIB", get("PROXMOX_QUOTA_DISK_GIB"))?,
            },
            programs: programs(get("PROXMOX_EXEC_PROGRAMS"))?,
            machine: Machine {
                config: get("PROXMOX_TEAM_CONFIG").map(PathBuf::from),
                binary: binary(get("PROXMOX_TEAM_BINARY_URL"), get("PROXMOX_TEAM_BINARY_SHA256"))?,
                template: number("PROXMOX_TEAM_TEMPLATE", get("PROXMOX_TEAM_TEMPLATE"))?,
            },
        })
    }

    /// One of several clusters, by its name: in place of `PROXMOX_` its variables begin with `PROXMOX_LAB_`.
    pub fn of_cluster(
        name: Option<&str>,
        read: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let Some(name) = name else { return Self::from_env(read) };
        let own = |text: &str| text.replace("PROXMOX_", &format!("PROXMOX_{}_", name.to_ascii_uppercase()));
        Self::from_env(|variable| read(&own(variable)))
            .map_err(|error| ConfigError { variable: own(&error.variable), problem: own(&error.problem) })
    }

    /// What stands for a cluster that nobody named: it is never asked anything, and its tools can be listed.
    pub(crate) fn nowhere() -> Self {
        Self {
            host: String::new(),
            port: 8006,
            user: UserId::nobody(),
            token_name: TokenName::none(),
            token: SecretString::default(),
            tiers: BTreeMap::new(),
            trust: Trust::System,
            elevated: true,
            scope: Scope::default(),
            quota: Quota::default(),
            programs: vec!["/bin/true".to_owned()],
            machine: Machine::default(),
        }
    }

    /// The token's header value.
    pub fn authorization(&self) -> SecretString {
        self.header(&self.token_name, &self.token)
    }

    /// The header values of tiers that have a token of their own.
    pub fn authorizations(&self) -> BTreeMap<Tier, SecretString> {
        self.tiers.iter().map(|(tier, (name, value))| (*tier, self.header(name, value))).collect()
    }

    fn header(&self, name: &TokenName, value: &SecretString) -> SecretString {
        format!("PVEAPIToken={}!{name}={}", self.user, value.expose_secret()).into()
    }

    /// Host and port.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

fn number<T: FromStr>(variable: &'static str, text: Option<String>) -> Result<Option<T>, ConfigError> {
    text.map(|text| {
        text.parse().map_err(|_| wrong(variable, format!("is wrong: {text:?} is not a number for it")))
    })
    .transpose()
}

/// Tokens of single tiers: a name and a value each, or neither.
fn tiers(
    get: &impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<Tier, (TokenName, SecretString)>, ConfigError> {
    let known = [
        (Tier::Operate, "PROXMOX_TOKEN_NAME_OPERATE", "PROXMOX_TOKEN_VALUE_OPERATE"),
        (Tier::Provision, "PROXMOX_TOKEN_NAME_PROVISION", "PROXMOX_TOKEN_VALUE_PROVISION"),
        (Tier::Destroy, "PROXMOX_TOKEN_NAME_DESTROY", "PROXMOX_TOKEN_VALUE_DESTROY"),
    ];
    let mut tiers = BTreeMap::new();
    for (tier, name, value) in known {
        match (get(name), get(value)) {
            (None, None) => {}
            (Some(text), Some(secret)) => {
                let token =
                    TokenName::parse(&text).map_err(|error| wrong(name, format!("is wrong: {error}")))?;
                tiers.insert(tier, (token, secret.into()));
            }
            (Some(_), None) => return Err(wrong(value, format!("is not set, and {name} is: say both"))),
            (None, Some(_)) => return Err(wrong(name, format!("is not set, and {value} is: say both"))),
        }
    }
    Ok(tiers)
}

fn range(text: &str) -> Result<RangeInclusive<u32>, ConfigError> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let id = |text: &str| {
        VmId::parse(text.trim())
            .map(VmId::number)
            .map_err(|error| wrong("PROXMOX_SCOPE_VMIDS", format!("is wrong: {error}; say 9000-9099")))
    };
    let (first, last) = (id(first)?, id(last)?);
    if first > last {
        return Err(wrong("PROXMOX_SCOPE_VMIDS", "is wrong: the first number is greater than the last"));
    }
    Ok(first..=last)
}

fn list<T: Ord>(
    variable: &'static str,
    text: Option<String>,
    parse: fn(&str) -> Result<T, Invalid>,
) -> Result<Option<BTreeSet<T>>, ConfigError> {
    let Some(text) = text else { return Ok(None) };
    let each = text.split(',').map(|one| parse(one.trim()));
    each.collect::<Result<_, _>>().map(Some).map_err(|error| wrong(variable, format!("is wrong: {error}")))
}

fn programs(text: Option<String>) -> Result<Vec<String>, ConfigError> {
    let all: Vec<String> =
        text.iter().flat_map(|text| text.split(',')).map(|one| one.trim().to_owned()).collect();
    match all
        .iter()
        .find(|one| !one.starts_with('/') || one.contains(char::is_whitespace) || one.contains(".."))
    {
        Some(one) => {
            Err(wrong("PROXMOX_EXEC_PROGRAMS", format!("is wrong: {one:?} is not a whole path of a program")))
        }
        None => Ok(all),
    }
}

/// An address over TLS, and what is there.
fn binary(url: Option<String>, sha256: Option<String>) -> Result<Option<(String, String)>, ConfigError> {
    let plain = |url: &str| url.starts_with("https://") && url.bytes().all(|byte| byte.is_ascii_graphic());
    let hash = |hash: &str| {
        hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    match (url, sha256) {
        (None, None) => Ok(None),
        (Some(url), Some(sha256)) if plain(&url) && hash(&sha256) => Ok(Some((url, sha256))),
        (Some(url), Some(_)) if !plain(&url) => {
            Err(wrong("PROXMOX_TEAM_BINARY_URL", "is wrong: say an address that begins with https://"))
        }
        _ => Err(wrong(
            "PROXMOX_TEAM_BINARY_SHA256",
            "and PROXMOX_TEAM_BINARY_URL go together: the hash is 64 small hexadecimal digits",
        )),
    }
}

fn trust(file: Option<String>, fingerprint: Option<String>) -> Result<Trust, ConfigError> {
    match (file, fingerprint) {
        (Some(_), Some(_)) => {
            Err(wrong("PROXMOX_FINGERPRINT", "and PROXMOX_CA_FILE are both set: say one of them"))
        }
        (Some(file), None) => Ok(Trust::CaFile(PathBuf::from(file))),
        (None, None) => Ok(Trust::System),
        (None, Some(text)) => {
            let digits: String = text.chars().filter(|c| *c != ':').collect();
            let bytes: Option<Vec<u8>> = digits
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
                .collect();
            let sha256 = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            sha256.map(Trust::Fingerprint).ok_or_else(|| {
                wrong(
                    "PROXMOX_FINGERPRINT",
                    "is wrong: 32 bytes in hexadecimal digits, the certificate's SHA-256",
                )
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let base = [
            ("PROXMOX_HOST", "pve"),
            ("PROXMOX_USER", "mcp@pve"),
            ("PROXMOX_TOKEN_NAME", "mcp"),
            ("PROXMOX_TOKEN_VALUE", "11111111-1111-4111-8111-111111111111"),
        ];
        let all: Vec<(&str, &str)> = base.iter().chain(more).copied().collect();
        Config::from_env(|name| {
            all.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_is_taken_for_granted() {
        let config = read(&[]).unwrap();
        assert!(!config.elevated);
        assert_eq!((config.authority().as_str(), &config.trust), ("pve:8006", &Trust::System));
        assert_eq!(
            config.authorization().expose_secret(),
            "PVEAPIToken=mcp@pve!mcp=11111111-1111-4111-8111-111111111111"
        );
        assert!(!format!("{config:?}").contains("1111"), "the token is not shown");
    }

    #[test]
    fn a_tier_may_have_a_token_of_its_own() {
        let own = [("PROXMOX_TOKEN_NAME_DESTROY", "last"), ("PROXMOX_TOKEN_VALUE_DESTROY", "2222")];
        let config = read(&own).unwrap();
        let headers = config.authorizations();
        let headers: Vec<(Tier, &str)> =
            headers.iter().map(|(tier, value)| (*tier, value.expose_secret())).collect();
        assert_eq!(headers, [(Tier::Destroy, "PVEAPIToken=mcp@pve!last=2222")]);
        assert!(!format!("{config:?}").contains("2222"), "the token is not shown");
    }

    #[test]
    fn each_cluster_has_its_own_variables() {
        let error = Config::of_cluster(Some("lab"), |_| None).unwrap_err();
        insta::assert_snapshot!(error, @"PROXMOX_LAB_HOST is not set: say PROXMOX_LAB_HOST=pve.example.org");
        let read = |name: &str| {
            let value = match name {
                "PROXMOX_LAB_HOST" => "lab",
                "PROXMOX_LAB_USER" => "mcp@pve",
                "PROXMOX_LAB_TOKEN_NAME" => "mcp",
                "PROXMOX_LAB_TOKEN_VALUE" => "11111111-1111-4111-8111-111111111111",
                "PROXMOX_HOST" => panic!("another cluster's host is looked at"),
                _ => return None,
            };
            Some(value.to_owned())
        };
        assert_eq!(Config::of_cluster(Some("lab"), read).unwrap().host, "lab");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let said: Vec<String> = [
            ("PROXMOX_HOST", ""),
            ("PROXMOX_HOST", "pve/../x"),
            ("PROXMOX_HOST", "pve:8006"),
            ("PROXMOX_ALLOW_ELEVATED", "maybe"),
            ("PROXMOX_FINGERPRINT", "AB:CD"),
            ("PROXMOX_SCOPE_VMIDS", "301abc"),
            ("PROXMOX_SCOPE_POOLS", "team,.."),
            ("PROXMOX_EXEC_PROGRAMS", "sh"),
            ("PROXMOX_TOKEN_NAME_DESTROY", "destroy"),
            ("PROXMOX_TOKEN_VALUE_OPERATE", "secret"),
        ]
        .iter()
        .map(|pair| read(&[*pair]).unwrap_err().to_string())
        .collect();
        insta::assert_snapshot!(said.join("\n"), @r#"
        PROXMOX_HOST is not set: say PROXMOX_HOST=pve.example.org
        PROXMOX_HOST is wrong: a name or address only; the port is PROXMOX_PORT
        PROXMOX_HOST is wrong: a name or address only; the port is PROXMOX_PORT
        PROXMOX_ALLOW_ELEVATED is wrong: say true or false
        PROXMOX_FINGERPRINT is wrong: 32 bytes in hexadecimal digits, the certificate's SHA-256
        PROXMOX_SCOPE_VMIDS is wrong: "301abc" is not a guest's number: a number from 100 to 999999999; say 9000-9099
        PROXMOX_SCOPE_POOLS is wrong: ".." is not a pool id: up to three parts with '/' between, of letters, digits, '.', '-' and '_', none of them '.' or '..'
        PROXMOX_EXEC_PROGRAMS is wrong: "sh" is not a whole path of a program
        PROXMOX_TOKEN_VALUE_DESTROY is not set, and PROXMOX_TOKEN_NAME_DESTROY is: say both
        PROXMOX_TOKEN_NAME_OPERATE is not set, and PROXMOX_TOKEN_VALUE_OPERATE is: say both
        "#);
    }
}
