//! What a request asks for: which provider, which of its endpoints, which model. Only what can be counted, or costs
//! nothing, has a route; the rest would be the provider's key without its meter.

use serde::{Deserialize, Serialize};

/// Whose way of speaking a provider has: how it takes its key, and how it words an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// Chat completions and responses; also what most other providers speak.
    OpenAi,
    /// Messages.
    Anthropic,
    /// generateContent and streamGenerateContent.
    Gemini,
}

/// An endpoint whose answers are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `POST …/chat/completions`
    ChatCompletions,
    /// `POST …/responses` and `…/responses/compact`
    Responses,
    /// `POST …/messages`
    Messages,
    /// `POST …/models/MODEL:generateContent` and `:streamGenerateContent`
    GenerateContent,
}

impl Endpoint {
    /// As it is kept in rows.
    pub fn name(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat_completions",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::GenerateContent => "generate_content",
        }
    }
}

/// What is done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    /// Counted.
    Metered(Endpoint),
    /// Passed on, costs nothing: lists of models, counting of tokens.
    Free,
}

/// Splits `/openai/v1/responses` into the provider's name and the rest, which begins with a slash.
pub(crate) fn provider_and_rest(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix('/')?;
    let (name, _) = path.split_once('/')?;
    Some((name, path.get(name.len()..)?))
}

/// The route of a path below a provider. `None` is refused. Paths are compared as they came: one with escapes or dots in
/// it is none of ours.
pub(crate) fn route(shape: Shape, post: bool, rest: &str) -> Option<Route> {
    if rest.contains("..") || rest.contains("//") || rest.contains('%') || rest.contains('\\') {
        return None;
    }
    let last = rest.rsplit('/').next().unwrap_or_default();
    let models = rest.ends_with("/models") || rest.contains("/models/");
    match (shape, post) {
        (Shape::OpenAi, true) if rest.ends_with("/chat/completions") => {
            Some(Route::Metered(Endpoint::ChatCompletions))
        }
        (Shape::OpenAi, true) if last == "responses" || rest.ends_with("/responses/compact") => {
            Some(Route::Metered(Endpoint::Responses))
        }
        (Shape::OpenAi, true) if rest.ends_with("/responses/input_tokens") => Some(Route::Free),
        (Shape::Anthropic, true) if last == "messages" => Some(Route::Metered(Endpoint::Messages)),
        (Shape::Anthropic, true) if rest.ends_with("/messages/count_tokens") => Some(Route::Free),
        (Shape::Gemini, true) if models => match last.split_once(':')?.1 {
            "generateContent" | "streamGenerateContent" => Some(Route::Metered(Endpoint::GenerateContent)),
            "countTokens" => Some(Route::Free),
            _ => None,
        },
        (_, false) if models => Some(Route::Free),
        _ => None,
    }
}

/// The model in a Gemini path.
pub(crate) fn model_in_path(rest: &str) -> Option<&str> {
    let (model, _) = rest.rsplit('/').next()?.split_once(':')?;
    Some(model)
}

/// The same path for another model.
pub(crate) fn with_model_in_path(rest: &str, model: &str) -> Option<String> {
    let (before, last) = rest.rsplit_once('/')?;
    let (_, method) = last.split_once(':')?;
    Some(format!("{before}/{model}:{method}"))
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, Route, Shape, provider_and_rest, route, with_model_in_path};

    #[test]
    fn a_path_names_its_provider() {
        assert_eq!(provider_and_rest("/openai/v1/responses"), Some(("openai", "/v1/responses")));
        assert_eq!(provider_and_rest("/openai"), None);
        assert_eq!(provider_and_rest("openai/v1"), None);
    }

    #[test]
    fn only_what_is_counted_or_free_has_a_route() {
        use Endpoint::{ChatCompletions, GenerateContent, Messages, Responses};
        use Shape::{Anthropic, Gemini, OpenAi};
        let metered = [
            (OpenAi, "/v1/chat/completions", ChatCompletions),
            (OpenAi, "/v1/responses", Responses),
            (OpenAi, "/v1/responses/compact", Responses),
            (Anthropic, "/v1/messages", Messages),
            (Gemini, "/v1beta/models/gemini-3:generateContent", GenerateContent),
            (Gemini, "/v1beta/models/gemini-3:streamGenerateContent", GenerateContent),
        ];
        for (shape, path, endpoint) in metered {
            assert_eq!(route(shape, true, path), Some(Route::Metered(endpoint)), "{path}");
            assert_ne!(route(shape, false, path), Some(Route::Metered(endpoint)), "GET {path}");
        }
        let free = [
            (OpenAi, false, "/v1/models"),
            (OpenAi, true, "/v1/responses/input_tokens"),
            (Anthropic, true, "/v1/messages/count_tokens"),
            (Gemini, true, "/v1beta/models/gemini-3:countTokens"),
            (Gemini, false, "/v1beta/models/gemini-3"),
        ];
        for (shape, post, path) in free {
            assert_eq!(route(shape, post, path), Some(Route::Free), "{path}");
        }
        let refused = [
            (OpenAi, true, "/v1/embeddings"),
            (OpenAi, false, "/v1/responses/resp_1"),
            (OpenAi, true, "/v1/responses/resp_1/cancel"),
            (OpenAi, true, "/v1/batches"),
            (OpenAi, false, "/v1/files"),
            (OpenAi, true, "/v1/messages"),
            (OpenAi, false, "/v1/models/../files"),
            (OpenAi, false, "/v1/models/%2e%2e/files"),
            (Anthropic, true, "/v1/messages/batches"),
            (Gemini, true, "/v1beta/models/gemini-3:batchGenerateContent"),
            (Gemini, true, "/v1beta/files"),
        ];
        for (shape, post, path) in refused {
            assert_eq!(route(shape, post, path), None, "{path}");
        }
    }

    #[test]
    fn a_model_in_a_path_can_be_another() {
        let path = with_model_in_path("/v1beta/models/a:streamGenerateContent", "b");
        assert_eq!(path.as_deref(), Some("/v1beta/models/b:streamGenerateContent"));
    }
}
