//! Routes that describe themselves. There is no other way to add one: each has a summary, and what it reads and answers
//! is taken from its handler's types.

use std::collections::BTreeSet;

use aide::{
    axum::{ApiRouter, routing},
    openapi::{Components, OpenApi, SecurityScheme, Server, ServerVariable, Tag},
    operation::{OperationHandler, OperationInput, OperationOutput},
    transform::TransformOpenApi,
};
use axum::{Router, handler::Handler};
use schemars::generate::SchemaSettings;

use crate::team::Team;

/// How a program shows who it acts for.
const TOKEN: &str = "token";

const DESCRIPTION: &str = "What the command line and the pages of a team do, any program can do. On the team's Unix \
    socket the caller is the user that the fleet runs as; on TCP every request needs a token. What is refused is \
    answered with a problem (RFC 9457) that says what is wrong and, in its hint, what to do.";

/// Described routes of a team.
pub(super) struct Routes(ApiRouter<Team>);

macro_rules! method {
    ($(#[$doc:meta])* $method:ident, $with:ident) => {
        $(#[$doc])*
        pub(super) fn $method<H, I, O, T>(self, path: &str, summary: &str, handler: H) -> Self
        where
            H: Handler<T, Team> + OperationHandler<I, O>,
            I: OperationInput,
            O: OperationOutput,
            T: 'static,
        {
            Self(self.0.api_route(path, routing::$with(handler, |operation| operation.summary(summary))))
        }
    };
}

impl Routes {
    /// None yet.
    pub(super) fn new() -> Self {
        Self(ApiRouter::new())
    }

    method! {
        /// With what GET on `path` does; `summary` is one short sentence.
        get, get_with
    }
    method! {
        /// With what POST on `path` does; `summary` is one short sentence.
        post, post_with
    }
    method! {
        /// With what PATCH on `path` does; `summary` is one short sentence.
        patch, patch_with
    }

    /// With those of another module.
    pub(super) fn merge(self, other: Self) -> Self {
        Self(self.0.merge(other.0))
    }

    /// The routes, and the document that describes them.
    pub(super) fn finish(routes: impl FnOnce() -> Self) -> (Router<Team>, OpenApi) {
        // Schemas are collected in a context of the thread, from here to the end.
        aide::generate::in_context(|context| {
            let settings = SchemaSettings::draft2020_12();
            let settings = settings.with(|settings| settings.definitions_path = "/components/schemas".into());
            context.schema = settings.into_generator();
        });
        let mut document = OpenApi::default();
        let router = routes().0.finish_api_with(&mut document, describe);
        name_operations(&mut document);
        (router, document)
    }
}

fn describe(mut api: TransformOpenApi<'_>) -> TransformOpenApi<'_> {
    let token = SecurityScheme::Http {
        scheme: "bearer".into(),
        bearer_format: None,
        description: Some(
            "A person's token. `quarterdeck url` shows it as the end of the sign-in link.".into(),
        ),
        extensions: Default::default(),
    };
    let team = ServerVariable {
        default: "alpha".into(),
        description: Some("The team's name.".into()),
        ..ServerVariable::default()
    };
    let server = Server {
        url: "/teams/{team}/api/v1".into(),
        description: Some("One team, on its socket or on the address of the pages.".into()),
        variables: [("team".into(), team)].into_iter().collect(),
        ..Server::default()
    };
    let document = api.inner_mut();
    document.components.get_or_insert_with(Components::default);
    // On the socket nothing has to be shown.
    document.security = vec![Default::default(), [(TOKEN.to_owned(), vec![])].into_iter().collect()];
    api.title("Quarterdeck: the local API of a team")
        .version("1")
        .description(DESCRIPTION)
        .server(server)
        .security_scheme(TOKEN, token)
}

/// Each operation gets a name of its own and the tag of its kind: `get_features_id_history`, `features`.
fn name_operations(document: &mut OpenApi) {
    let Some(paths) = &mut document.paths else { return };
    // A kind is what has paths below it; all else is the team's.
    let kind = |path: &str| Some(path.strip_prefix('/')?.split_once('/')?.0.to_owned());
    let kinds: BTreeSet<String> = paths.paths.keys().filter_map(|path| kind(path)).collect();
    for (path, item) in &mut paths.paths {
        let Some(item) = item.as_item_mut() else { continue };
        let words: Vec<&str> = path.split(['/', '{', '}', '.']).filter(|word| !word.is_empty()).collect();
        let tag = words.first().copied().filter(|word| kinds.contains(*word)).unwrap_or("team");
        let methods = [("get", &mut item.get), ("post", &mut item.post), ("patch", &mut item.patch)];
        for (method, operation) in methods {
            let Some(operation) = operation else { continue };
            let words = if words.is_empty() { &[tag] } else { words.as_slice() };
            operation.operation_id = Some(format!("{method}_{}", words.join("_")));
            operation.tags = vec![tag.to_owned()];
            let responses = operation.responses.iter_mut().flat_map(|all| all.responses.values_mut());
            for response in responses.filter_map(|response| response.as_item_mut()) {
                if response.description.is_empty() {
                    response.description = operation.summary.clone().unwrap_or_default();
                }
            }
        }
    }
    let tags = ["team".to_owned()].into_iter().chain(kinds);
    document.tags = tags.map(|name| Tag { name, ..Tag::default() }).collect();
}
