//! What a run is given of the metering gateway: where its model is, and the token by which it pays. Not a provider's key:
//! that stays where the gateway is.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};

use crate::{acp::Endpoint, registry::Api};

/// Where a run finds its models, and by which token.
#[derive(Debug, Clone)]
pub struct Metered {
    /// An address for each shape that a provider is configured for, without a version and without a slash at its end:
    /// `http://127.0.0.1:4100/openai`.
    pub base_urls: BTreeMap<Api, String>,
    /// The run's token. It is good for the gateway alone, and ends with the run.
    pub token: SecretString,
}

impl Metered {
    /// For an agent that speaks one shape. `None` if no provider does.
    pub fn endpoint(&self, api: Api) -> Option<Endpoint> {
        let base_url = self.base_urls.get(&api)?.clone();
        Some(Endpoint { base_url, token: self.token.clone() })
    }

    /// The variables by which the makers' own libraries find model and key. They come last: a key of the same name that
    /// an agent might see otherwise is replaced.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = Vec::new();
        if let Some(url) = self.base_urls.get(&Api::OpenaiChat) {
            variables.push(("OPENAI_BASE_URL", format!("{url}/v1")));
            variables.push(("OPENAI_API_KEY", self.token.expose_secret().to_owned()));
        }
        if let Some(url) = self.base_urls.get(&Api::Anthropic) {
            variables.push(("ANTHROPIC_BASE_URL", url.clone()));
            variables.push(("ANTHROPIC_API_KEY", self.token.expose_secret().to_owned()));
            variables.push(("ANTHROPIC_AUTH_TOKEN", self.token.expose_secret().to_owned()));
        }
        if let Some(url) = self.base_urls.get(&Api::Gemini) {
            variables.push(("GOOGLE_GEMINI_BASE_URL", url.clone()));
            variables.push(("GEMINI_API_KEY", self.token.expose_secret().to_owned()));
        }
        variables
    }
}

impl PartialEq for Metered {
    fn eq(&self, other: &Self) -> bool {
        self.base_urls == other.base_urls && self.token.expose_secret() == other.token.expose_secret()
    }
}

impl Eq for Metered {}

#[cfg(test)]
mod tests {
    use super::Metered;
    use crate::registry::Api;

    #[test]
    fn each_library_finds_its_provider_and_no_other() {
        let base_urls = [
            (Api::OpenaiChat, "http://127.0.0.1:1/openai".to_owned()),
            (Api::Gemini, "http://127.0.0.1:1/gemini".to_owned()),
        ];
        let metered = Metered { base_urls: base_urls.into(), token: "t0k".to_owned().into() };
        let variables: Vec<String> =
            metered.variables().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        insta::assert_snapshot!(variables.join("\n"), @"
        OPENAI_BASE_URL=http://127.0.0.1:1/openai/v1
        OPENAI_API_KEY=t0k
        GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:1/gemini
        GEMINI_API_KEY=t0k
        ");
        assert!(metered.endpoint(Api::Anthropic).is_none());
        assert!(!format!("{metered:?}").contains("t0k"));
    }
}
