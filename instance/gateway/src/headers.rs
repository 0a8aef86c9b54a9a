//! What of a request's and an answer's head goes on. Towards the provider: nothing that names the run, and nothing that
//! chooses who pays. Towards the agent: nothing that has the key in it.

use hyper::{
    HeaderMap,
    header::{
        ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, COOKIE, EXPECT,
        FORWARDED, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, TE, TRAILER,
        TRANSFER_ENCODING, UPGRADE,
    },
};

use crate::{providers::Key, redact};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const GOOGLE_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// Of one connection, not of the message.
const HOP: [HeaderName; 10] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
    CONTENT_LENGTH,
];

/// Who calls, who pays, and what would keep the answer from being read.
const OURS: [HeaderName; 14] = [
    HOST,
    AUTHORIZATION,
    API_KEY,
    GOOGLE_KEY,
    COOKIE,
    FORWARDED,
    ACCEPT_ENCODING,
    CONTENT_ENCODING,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("openai-project"),
    HeaderName::from_static("x-goog-user-project"),
];

/// The token of a request, from wherever a client library puts a key.
pub(crate) fn token(headers: &HeaderMap, query: Option<&str>) -> Option<String> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let bearer = text(AUTHORIZATION).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    let in_query = || query?.split('&').find_map(|pair| pair.strip_prefix("key="));
    let token = bearer.or_else(|| text(API_KEY)).or_else(|| text(GOOGLE_KEY)).or_else(in_query)?;
    Some(token.to_owned()).filter(|token| !token.is_empty())
}

/// The query without the token.
pub(crate) fn query_without(query: Option<&str>, token: &str) -> Option<String> {
    let is_ours = |pair: &&str| !(pair.starts_with("key=") || pair.contains(token));
    let rest: Vec<&str> = query?.split('&').filter(is_ours).collect();
    (!rest.is_empty()).then(|| rest.join("&"))
}

/// The head of a request, as the provider gets it; its key is still missing.
pub(crate) fn towards_provider(mut headers: HeaderMap, token: &str) -> HeaderMap {
    remove_hops(&mut headers);
    for name in OURS {
        headers.remove(name);
    }
    remove_with(&mut headers, |value| redact::holds(value, token));
    headers
}

/// The head of an answer, as the agent gets it.
pub(crate) fn towards_agent(mut headers: HeaderMap, key: Option<&Key>) -> HeaderMap {
    remove_hops(&mut headers);
    headers.remove(SET_COOKIE);
    if let Some(key) = key {
        remove_with(&mut headers, |value| key.is_in(value));
    }
    headers
}

fn remove_hops(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').filter_map(|name| name.trim().parse().ok()))
        .collect();
    for name in HOP.into_iter().chain(named) {
        headers.remove(name);
    }
}

fn remove_with(headers: &mut HeaderMap, is_secret: impl Fn(&[u8]) -> bool) {
    let secret: Vec<HeaderName> = headers
        .iter()
        .filter(|(_, value)| is_secret(value.as_bytes()))
        .map(|(name, _)| name.clone())
        .collect();
    for name in secret {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use hyper::{HeaderMap, header::HeaderValue};

    use super::{query_without, token, towards_provider};

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_token_is_found_wherever_a_key_goes() {
        assert_eq!(token(&headers(&[("authorization", "Bearer a")]), None).as_deref(), Some("a"));
        assert_eq!(token(&headers(&[("authorization", "bearer  a")]), None).as_deref(), Some("a"));
        assert_eq!(token(&headers(&[("x-api-key", "a")]), None).as_deref(), Some("a"));
        assert_eq!(token(&headers(&[("x-goog-api-key", "a")]), None).as_deref(), Some("a"));
        assert_eq!(token(&HeaderMap::new(), Some("alt=sse&key=a")).as_deref(), Some("a"));
        for (list, query) in [
            (&[][..], None),
            (&[("authorization", "Basic a")][..], Some("monkey=a")),
            (&[][..], Some("key=")),
        ] {
            assert_eq!(token(&headers(list), query), None);
        }
    }

    #[test]
    fn nothing_of_the_run_goes_on() {
        let list = [
            ("authorization", "Bearer tok"),
            ("x-api-key", "tok"),
            ("x-note", "my tok"),
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("cookie", "a"),
            ("openai-organization", "org"),
            ("accept-encoding", "gzip"),
            ("anthropic-version", "2023-06-01"),
            ("accept", "*/*"),
        ];
        let left = towards_provider(headers(&list), "tok");
        let mut names: Vec<_> = left.keys().map(ToString::to_string).collect();
        names.sort();
        assert_eq!(names, ["accept", "anthropic-version"]);
        assert_eq!(query_without(Some("key=tok&alt=sse&x=tok"), "tok").as_deref(), Some("alt=sse"));
        assert_eq!(query_without(Some("key=tok"), "tok"), None);
    }
}
