//! The event stream: whoever comes back gets what it missed, each once and in order, and is never left in silence.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    time::Duration,
};

use qd_api::Client;
use qd_board::NewFeature;
use serde_json::Value;

use crate::{
    openapi::{committed, complaints},
    support::{Project, Up, config},
};

/// Longest silence that is waited through.
const PATIENCE: Duration = Duration::from_secs(60);

/// One event.
struct Event {
    kind: String,
    id: u64,
    data: Value,
}

/// A stream that is being read. Dropped, it is disconnected.
struct Stream {
    lines: std::io::Lines<BufReader<TcpStream>>,
    document: Value,
}

impl Stream {
    /// Connects by HTTP/1.0: what comes is the stream and nothing around it.
    fn open(up: &Up, token: &str, query: &str, last: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(&up.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let last = last.map_or_else(String::new, |last| format!("Last-Event-ID: {last}\r\n"));
        let request =
            format!("GET /teams/alpha/api/v1/events{query} HTTP/1.0\r\nHost: x\r\n{token}\r\n{last}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream).lines();
        let head: Vec<String> =
            lines.by_ref().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
        assert!(head[0].contains("200"), "{head:?}");
        assert!(head.contains(&"content-type: text/event-stream".to_owned()), "{head:?}");
        Self { lines, document: committed() }
    }

    /// The next event; its data is as the document says.
    fn next(&mut self) -> Event {
        let mut event = Event { kind: String::new(), id: 0, data: Value::Null };
        for line in self.lines.by_ref() {
            let line = line.expect("no event came");
            match line.split_once(": ") {
                Some(("event", kind)) => event.kind = kind.to_owned(),
                Some(("id", id)) => event.id = id.parse().unwrap(),
                Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                _ if line.is_empty() && !event.kind.is_empty() => break,
                _ => {}
            }
        }
        assert_eq!(event.data["seq"], event.id);
        let stream = "/paths/~1events/get/responses/200/content/text~1event-stream/x-events";
        let wrong = complaints(&self.document, &format!("{stream}/{}", event.kind), &event.data);
        assert!(wrong.is_empty(), "{wrong:?}");
        event
    }

    /// What a stream begins with that does not know where it was.
    fn snapshot(&mut self) -> Event {
        let event = self.next();
        assert_eq!(event.kind, "snapshot");
        event
    }

    /// The features that are filed from here on, up to `last`, and the number of that event. Fails at a gap, a repetition
    /// or a wrong order.
    fn filed(&mut self, mut seen: u64, last: &str) -> (Vec<String>, u64) {
        let mut features = Vec::new();
        loop {
            let event = self.next();
            assert_eq!((event.kind.as_str(), event.id), ("event", seen + 1));
            seen = event.id;
            if event.data["kind"] == "feature_added" {
                features.push(event.data["feature"].as_str().unwrap().to_owned());
            }
            if features.last().is_some_and(|feature| feature == last) {
                return (features, seen);
            }
        }
    }
}

/// Files features that nobody works on.
async fn file(client: &mut Client, titles: &[&str]) {
    for title in titles {
        let _: qd_api::FeatureView = client.post("features", &NewFeature::titled(*title)).await.unwrap();
    }
}

fn fleet() -> (Project, Up) {
    let project = Project::new(&[("README.md", "# Stream\n")]);
    std::fs::write(project.folder().join("quarterdeck.toml"), config("true", None)).unwrap();
    let up = project.up(&[]);
    (project, up)
}

#[tokio::test(flavor = "multi_thread")]
async fn sse_sends_what_was_missed_each_once_also_after_a_kill() {
    let (project, up) = fleet();
    let token = project.token("ines");
    let mut client = up.client("alpha", None);
    let mut stream = Stream::open(&up, &token, "", None);
    let begin = stream.snapshot();
    file(&mut client, &["One", "Two", "Three"]).await;
    let (features, seen) = stream.filed(begin.id, "A-3");
    assert_eq!(features, ["A-1", "A-2", "A-3"]);

    drop(stream);
    file(&mut client, &["Four", "Five"]).await;
    let mut stream = Stream::open(&up, &token, "?after=0", Some(&seen.to_string()));
    let (features, seen) = stream.filed(seen, "A-5");
    assert_eq!(features, ["A-4", "A-5"], "the header counts before the query");
    file(&mut client, &["Six"]).await;
    let (features, seen) = stream.filed(seen, "A-6");
    assert_eq!(features, ["A-6"], "the stream goes on where the replay ended");

    drop(stream);
    file(&mut client, &["Seven", "Eight"]).await;
    // Dropped, it is killed: nothing is tidied up.
    drop(up);
    let up = project.up(&[]);
    let mut client = up.client("alpha", None);
    let mut stream = Stream::open(&up, &token, "", Some(&seen.to_string()));
    file(&mut client, &["Nine"]).await;
    assert_eq!(stream.filed(seen, "A-9").0, ["A-7", "A-8", "A-9"]);
    assert_eq!(Stream::open(&up, &token, "?after=0", None).filed(0, "A-9").0.len(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn sse_begins_anew_from_a_number_that_is_not_of_this_log() {
    let (project, up) = fleet();
    let token = project.token("ines");
    let mut client = up.client("alpha", None);
    file(&mut client, &["One"]).await;
    let future = u64::MAX.to_string();
    let query = format!("?after={future}");
    let mut titles = ["Two", "Three", "Four", "Five"].iter();
    for (query, last) in
        [("", Some("999999")), ("", Some(future.as_str())), (query.as_str(), None), ("", Some("nonsense"))]
    {
        let mut stream = Stream::open(&up, &token, query, last);
        let begin = stream.snapshot();
        let known = begin.data["features"].as_array().unwrap().len();
        file(&mut client, &[titles.next().unwrap()]).await;
        let next = format!("A-{}", known + 1);
        assert_eq!(stream.filed(begin.id, &next).0, [next.as_str()], "{query:?} {last:?}");
    }
}
