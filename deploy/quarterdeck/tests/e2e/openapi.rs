//! The API as it is described: what a running fleet answers is held against the committed document.

use qd_types::Stage;
use serde_json::Value;

use crate::{
    door::send,
    support::{Project, Up, add, config, open_approval, until},
};

const JSON: &str = "Content-Type: application/json";

/// The committed document.
pub fn committed() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/reference/openapi.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// With parameters by name: in which order they are described depends on what else is built.
fn by_name(mut document: Value) -> Value {
    let paths = document["paths"].as_object_mut().unwrap();
    for operation in paths.values_mut().flat_map(|path| path.as_object_mut().unwrap().values_mut()) {
        if let Some(parameters) = operation["parameters"].as_array_mut() {
            parameters.sort_by_key(|parameter| parameter["name"].to_string());
        }
    }
    document
}

/// What is wrong with `value` by the schema at `pointer` of the document.
pub fn complaints(document: &Value, pointer: &str, value: &Value) -> Vec<String> {
    let schema = document.pointer(pointer).unwrap();
    let schema = serde_json::json!({ "allOf": [schema], "components": document["components"] });
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// A client that believes nothing but the document.
struct Contract {
    document: Value,
    up: Up,
    token: String,
}

impl Contract {
    /// Requests `path` of the operation at `route`, and checks the answer by what the document says of its status.
    fn check(&self, method: &str, route: &str, path: &str, header: &str, body: &str) -> (u16, Value) {
        let address = format!("{method} /teams/alpha/api/v1{}", path.strip_suffix('/').unwrap_or(path));
        let (status, answer) = send(&self.up.address, &address, &[&self.token, header], body);
        let (head, text) = answer.split_once("\r\n\r\n").unwrap();
        let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap();
        let value: Value = serde_json::from_str(text).unwrap();
        let at = |rest: &str| {
            let method = method.to_ascii_lowercase();
            format!("/paths/{}/{method}{rest}", route.replace('/', "~1"))
        };
        let pointer = if self.document.pointer(&at("")).is_none() {
            // A path or a method that there is not.
            assert_eq!(kind, "application/problem+json", "{address}");
            "/components/schemas/Problem".to_owned()
        } else {
            let named = at(&format!("/responses/{status}"));
            let response =
                if self.document.pointer(&named).is_some() { named } else { at("/responses/default") };
            let content = format!("{response}/content/{}/schema", kind.replace('/', "~1"));
            assert!(self.document.pointer(&content).is_some(), "{address}: {status} {kind} is not described");
            content
        };
        assert_eq!(complaints(&self.document, &pointer, &value), [""; 0], "{address}: {status} {value}");
        if status >= 400 {
            assert!(value["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{address}: {value}");
        }
        (status, value)
    }

    /// A request that has to work.
    fn ok(&self, method: &str, route: &str, path: &str, body: &str) -> Value {
        let (status, value) = self.check(method, route, path, JSON, body);
        assert!((200..300).contains(&status), "{method} {path}: {value}");
        value
    }

    /// Every operation that reads, wherever its path can be filled in; gives how many those are.
    fn read_all(&self) -> usize {
        let mut read = 0;
        for (route, item) in self.document["paths"].as_object().unwrap() {
            let needs_query = item["get"]["parameters"]
                .as_array()
                .is_some_and(|all| all.iter().any(|each| each["in"] == "query" && each["required"] == true));
            if item.get("get").is_none() || needs_query || route == "/events" {
                continue;
            }
            let id = match route.split('/').nth(1) {
                Some("features") => "A-1",
                Some("runs") => "A-1.1",
                Some("operations") => "1",
                _ => "{id}",
            };
            let path = route.replace("{id}", id);
            if !path.contains('{') {
                self.ok("GET", route, &path, "");
                read += 1;
            }
        }
        read
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openapi_is_what_a_running_fleet_answers() {
    let project = Project::new(&[("README.md", "# Contract\n")]);
    let text = config("cat > /dev/null; echo more >> README.md", Some("test -f README.md"));
    std::fs::write(project.folder().join("quarterdeck.toml"), text).unwrap();
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    // A run and an approval, so that there is something of each kind to show.
    add(&mut client, "Say more").await;
    until(&mut client, "A-1", |view| view.feature.stage == Stage::Review).await;
    while open_approval(&mut client, "A-1").await.is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(40)).await;
    }
    let contract = Contract { document: committed(), up, token: project.token("ines") };

    let described = contract.ok("GET", "/openapi.json", "/openapi.json", "");
    assert!(
        by_name(described) == by_name(contract.document.clone()),
        "docs/src/reference/openapi.json is stale"
    );
    let filed =
        r#"{"title":"Split","priority":1,"labels":["b","a"],"depends_on":["A-1@review"],"due":"2030-01-31"}"#;
    let (status, split) = contract.check("POST", "/features", "/features", JSON, filed);
    assert_eq!((status, split["labels"].clone()), (201, serde_json::json!(["a", "b"])));
    let feature = |rest: &str, path: &str, method: &str, body: &str| {
        contract.ok(method, &format!("/features/{{id}}{rest}"), &format!("/features/A-2{path}"), body)
    };
    let edited = feature("", "?reason=tests", "PATCH", r#"{"version":1,"due":null,"budget":{"minutes":5}}"#);
    assert_eq!((&edited["due"], &edited["budget"]["minutes"]), (&Value::Null, &5.into()));
    feature("/comments", "/comments", "POST", r#"{"text":"Why?"}"#);
    feature("/attachments", "/attachments?name=notes.txt", "POST", "some bytes");
    feature("/pause", "/pause", "POST", r#"{"reason":"later"}"#);
    feature("/resume", "/resume", "POST", "");
    feature("/cancel", "/cancel", "POST", "");
    let tidy = r#"{"name":"tidy","schedule":"@daily","feature":{"title":"Tidy up"}}"#;
    contract.ok("POST", "/recurring", "/recurring", tidy);
    contract.ok("POST", "/recurring/{name}/suspend", "/recurring/tidy/suspend", "");
    contract.ok("POST", "/pause", "/pause", "{}");
    contract.ok("POST", "/resume", "/resume", "");
    assert!(!contract.ok("GET", "/search", "/search?q=split", "").as_array().unwrap().is_empty());
    assert!(contract.read_all() >= 15);

    for (method, route, path, header, body, expected) in [
        ("GET", "/features/{id}", "/features/A-99", JSON, "", 404),
        ("GET", "/features/{id}", "/features/nonsense", JSON, "", 422),
        ("GET", "/features", "/features?stage=nowhere", JSON, "", 422),
        ("GET", "/search", "/search", JSON, "", 422),
        ("GET", "/events", "/events?after=nonsense", JSON, "", 422),
        ("POST", "/features", "/features", JSON, "{", 422),
        ("POST", "/features", "/features", JSON, r#"{"titel":"Split"}"#, 422),
        ("POST", "/features", "/features", "Content-Type: text/plain", "{}", 415),
        ("PATCH", "/features/{id}", "/features/A-1", JSON, r#"{"size":"huge"}"#, 422),
        ("POST", "/features/{id}/resume", "/features/A-1/resume", JSON, "", 409),
        (
            "POST",
            "/approvals/{key}/vote",
            "/approvals/none/vote",
            JSON,
            r#"{"ballot":"deny","digest":""}"#,
            404,
        ),
        ("DELETE", "/features", "/features", JSON, "", 405),
        ("GET", "/nothing", "/nothing", JSON, "", 404),
    ] {
        assert_eq!(contract.check(method, route, path, header, body).0, expected, "{method} {path}");
    }
    let (status, answer) =
        send(&contract.up.address, "GET /teams/beta/api/v1/features", &[&contract.token], "");
    assert!(status == 404 && answer.contains("application/problem+json"), "{answer}");
    let nobody = Contract { token: "X-Nothing: none".into(), ..contract };
    assert_eq!(nobody.check("GET", "/features", "/features", JSON, "").0, 401);
}
