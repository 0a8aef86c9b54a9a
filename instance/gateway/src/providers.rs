//! Who answers: providers as they are configured, each with its key. The key is read once, shown to nobody, and only
//! ever leaves towards its provider.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, sync::Arc};

use bytes::Bytes;
use hyper::{
    HeaderMap, Uri,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
    http::uri::Scheme,
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::{prices::Priced, redact, route::Shape};

/// Providers by the name that stands first in a path.
pub type ProviderConfigs = BTreeMap<String, ProviderConfig>;

/// One provider.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderConfig {
    /// Whose way of speaking it has.
    pub shape: Shape,
    /// What the rest of a path is put behind: `https://api.openai.com`. With a key, plain http only to this machine.
    pub base_url: String,
    /// Where its key is.
    #[serde(default)]
    pub key: KeySource,
    /// Its list in the table of prices; its name, if it is not set.
    pub prices: Option<String>,
    /// Who is asked instead, in order.
    #[serde(default)]
    pub fallback: Vec<Fallback>,
}

/// Where a key is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// There is none: a model on this machine.
    #[default]
    None,
    /// An environment variable of the instance.
    Env(String),
    /// A file with nothing else in it.
    File(PathBuf),
    /// The key itself. Not in a configuration file.
    #[serde(skip)]
    Value(SecretString),
}

/// Who is asked when a provider is out.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fallback {
    /// Only for this model; for every one, if it is not set.
    pub when: Option<String>,
    /// A provider of the same shape: what was asked is not translated.
    pub provider: String,
    /// Its model; the same, if it is not set.
    pub model: Option<String>,
}

/// Why a provider can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// Its name can't stand in a path.
    #[error("provider {0:?}: a name has letters, digits, - and _, like openai")]
    Name(String),
    /// Its address is none.
    #[error("provider {name}: base_url {url:?} is no address like https://api.openai.com")]
    Url {
        /// Which.
        name: String,
        /// What was given.
        url: String,
    },
    /// Its key would travel in the clear.
    #[error("provider {name}: base_url {url} is not encrypted, and a key may not go there: use https")]
    InTheClear {
        /// Which.
        name: String,
        /// What was given.
        url: String,
    },
    /// Its key can't be read.
    #[error("provider {name}: its key can't be read from {from}: {why}")]
    Key {
        /// Which.
        name: String,
        /// The variable or file.
        from: String,
        /// What went wrong.
        why: String,
    },
    /// Nothing encrypted can be reached.
    #[error("TLS can't be set up: {0}")]
    Tls(String),
    /// A fallback leads nowhere.
    #[error("provider {name}: its fallback {to} is no provider of the same shape")]
    Fallback {
        /// Which.
        name: String,
        /// Where it leads.
        to: String,
    },
}

/// A provider that can be asked.
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    base: String,
    list: String,
    key: Option<Key>,
    fallback: Vec<Fallback>,
}

pub(crate) struct Key {
    secret: SecretString,
    header: (HeaderName, HeaderValue),
}

impl Key {
    /// Whether a text has the key in it.
    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        redact::holds(bytes, self.secret.expose_secret())
    }

    /// The text without the key.
    pub(crate) fn redact(&self, bytes: Bytes) -> Bytes {
        redact::without(bytes, self.secret.expose_secret())
    }
}

impl Provider {
    pub(crate) fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    pub(crate) fn sign(&self, headers: &mut HeaderMap) {
        if let Some(Key { header: (name, value), .. }) = &self.key {
            headers.insert(name.clone(), value.clone());
        }
    }

    pub(crate) fn uri(&self, rest: &str, query: Option<&str>) -> Option<Uri> {
        let mark = if query.is_some() { "?" } else { "" };
        format!("{}{rest}{mark}{}", self.base, query.unwrap_or_default()).parse().ok()
    }
}

/// All of them.
pub(crate) struct Providers(BTreeMap<String, Arc<Provider>>);

/// Who is asked for which model.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) provider: Arc<Provider>,
    pub(crate) model: String,
    /// The tier, where it has a price of its own.
    pub(crate) tier: Option<String>,
}

impl Target {
    /// Where the price of one of its models stands: its own, or the one that says it answered.
    pub(crate) fn priced(&self, model: &str) -> Priced {
        let list = self.provider.list.clone();
        let tier = self.tier.iter().flat_map(|tier| [":", tier]);
        Priced { list, model: std::iter::once(model).chain(tier).collect() }
    }
}

impl Providers {
    pub(crate) fn new(configs: &ProviderConfigs) -> Result<Self, ProviderError> {
        for (name, config) in configs {
            for fallback in &config.fallback {
                let to = configs.get(&fallback.provider);
                if !to.is_some_and(|to| to.shape == config.shape) {
                    return Err(ProviderError::Fallback {
                        name: name.clone(),
                        to: fallback.provider.clone(),
                    });
                }
            }
        }
        let built = configs.iter().map(|(name, config)| Ok((name.clone(), Arc::new(build(name, config)?))));
        Ok(Self(built.collect::<Result<_, _>>()?))
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Provider>> {
        self.0.get(name)
    }

    /// Who is asked, in order: the provider itself, then its fallbacks. Theirs do not count.
    pub(crate) fn targets(&self, provider: &Arc<Provider>, model: &str, tier: Option<&str>) -> Vec<Target> {
        let target = |provider: &Arc<Provider>, model: &str| Target {
            provider: Arc::clone(provider),
            model: model.to_owned(),
            tier: tier.map(str::to_owned),
        };
        let mut targets = vec![target(provider, model)];
        let fits = |fallback: &&Fallback| fallback.when.as_deref().is_none_or(|when| when == model);
        for fallback in provider.fallback.iter().filter(fits) {
            if let Some(provider) = self.find(&fallback.provider) {
                targets.push(target(provider, fallback.model.as_deref().unwrap_or(model)));
            }
        }
        targets
    }
}

fn build(name: &str, config: &ProviderConfig) -> Result<Provider, ProviderError> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || !name.bytes().all(good) {
        return Err(ProviderError::Name(name.to_owned()));
    }
    let url = config.base_url.trim_end_matches('/');
    let wrong = || ProviderError::Url { name: name.to_owned(), url: url.to_owned() };
    let uri: Uri = url.parse().map_err(|_| wrong())?;
    let host = uri.host().ok_or_else(wrong)?;
    let encrypted = uri.scheme() == Some(&Scheme::HTTPS);
    if !(encrypted || uri.scheme() == Some(&Scheme::HTTP)) || uri.query().is_some() {
        return Err(wrong());
    }
    let key = read_key(name, &config.key)?;
    if key.is_some() && !encrypted && !is_here(host) {
        return Err(ProviderError::InTheClear { name: name.to_owned(), url: url.to_owned() });
    }
    let key = key.map(|secret| {
        let (header, value) = match config.shape {
            Shape::OpenAi => (AUTHORIZATION, format!("Bearer {}", secret.expose_secret())),
            Shape::Anthropic => (HeaderName::from_static("x-api-key"), secret.expose_secret().to_owned()),
            Shape::Gemini => (HeaderName::from_static("x-goog-api-key"), secret.expose_secret().to_owned()),
        };
        let mut value = HeaderValue::from_str(&value).map_err(|_| ProviderError::Key {
            name: name.to_owned(),
            from: from(&config.key),
            why: "it has characters that no key has".to_owned(),
        })?;
        value.set_sensitive(true);
        Ok(Key { secret, header: (header, value) })
    });
    Ok(Provider {
        name: name.to_owned(),
        shape: config.shape,
        base: url.to_owned(),
        list: config.prices.clone().unwrap_or_else(|| name.to_owned()),
        key: key.transpose()?,
        fallback: config.fallback.clone(),
    })
}

fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn from(source: &KeySource) -> String {
    match source {
        KeySource::None | KeySource::Value(_) => "the configuration".to_owned(),
        KeySource::Env(variable) => format!("the variable {variable}"),
        KeySource::File(path) => path.display().to_string(),
    }
}

fn read_key(name: &str, source: &KeySource) -> Result<Option<SecretString>, ProviderError> {
    let failed = |why: String| ProviderError::Key { name: name.to_owned(), from: from(source), why };
    let text = match source {
        KeySource::None => return Ok(None),
        KeySource::Value(secret) => secret.expose_secret().to_owned(),
        KeySource::Env(variable) => std::env::var(variable).map_err(|error| failed(error.to_string()))?,
        KeySource::File(path) => std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?,
    };
    let text = text.trim();
    if text.is_empty() {
        return Err(failed("it is empty".to_owned()));
    }
    Ok(Some(text.into()))
}

#[cfg(test)]
mod tests {
    use super::{ProviderConfigs, Providers};

    fn check(toml: &str) -> String {
        let configs: ProviderConfigs = toml::from_str(toml).unwrap();
        match Providers::new(&configs) {
            Ok(providers) => providers.0.keys().cloned().collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let local = "[local]\nshape = 'openai'\nbase_url = 'http://10.0.0.7:8000/api/'\n";
        insta::assert_snapshot!(check(local), @"local");
        insta::assert_snapshot!(check(&local.replace("[local]", "['a b']")), @r#"provider "a b": a name has letters, digits, - and _, like openai"#);
        insta::assert_snapshot!(check(&local.replace("http://10.0.0.7:8000/api/", "ftp://x")), @r#"provider local: base_url "ftp://x" is no address like https://api.openai.com"#);
        insta::assert_snapshot!(check(&format!("{local}key = {{ file = '/dev/null/key' }}")), @"provider local: its key can't be read from /dev/null/key: Not a directory (os error 20)");
        insta::assert_snapshot!(check(&format!("{local}key = {{ env = 'PATH' }}")), @"provider local: base_url http://10.0.0.7:8000/api is not encrypted, and a key may not go there: use https");
        insta::assert_snapshot!(check(&format!("{local}fallback = [{{ provider = 'other' }}]")), @"provider local: its fallback other is no provider of the same shape");
    }
}
