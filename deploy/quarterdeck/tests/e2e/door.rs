//! The door: who gets in by TCP, and what a page of somebody else can't do with a signed-in browser.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
};

use crate::support::{Project, config};

/// One request, byte for byte; gives the status and the whole answer.
pub fn send(address: &str, request: &str, headers: &[&str], body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut text = format!(
        "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for header in headers {
        text.push_str(&format!("{header}\r\n"));
    }
    stream.write_all(format!("{text}\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[test]
fn tcp_needs_a_token_and_another_page_gets_nowhere() {
    let project = Project::new(&[("README.md", "# Door\n")]);
    std::fs::write(project.folder().join("quarterdeck.toml"), config("true", None)).unwrap();
    let up = project.up(&[]);
    let features = "GET /teams/alpha/api/v1/features";
    let (status, answer) = send(&up.address, features, &[], "");
    assert!(status == 401 && answer.contains("application/problem+json"), "{answer}");
    assert_eq!(send(&up.address, features, &["Authorization: Bearer nonsense"], "").0, 401);
    assert_eq!(send(&up.address, "GET /health", &[], "").0, 200);

    let (_, link) = up.sign_in.split_once(&up.address).unwrap();
    assert_eq!(send(&up.address, "GET /sign-in?token=nonsense", &[], "").0, 403);
    let (status, answer) = send(&up.address, &format!("GET {link}"), &[], "");
    assert_eq!(status, 200);
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    // What votes is not kept in the browser's store of cookies; what does not vote is.
    assert!(cookie.contains("qds_") && !cookie.contains("Max-Age"), "{cookie}");
    let reads = project.command(&["url"]).env_remove("QUARTERDECK_PASSPHRASE").output().unwrap();
    let reads = String::from_utf8(reads.stdout).unwrap();
    let (_, path) = reads.trim().split_once(&up.address).unwrap();
    let (_, signed_in) = send(&up.address, &format!("GET {path}"), &[], "");
    let reads = signed_in.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(reads.contains("qdt_") && reads.contains("Max-Age"), "{reads}");
    let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap());
    assert_eq!(send(&up.address, features, &[&cookie], "").0, 200);

    let add = "POST /teams/alpha/do/add";
    let form = "Content-Type: application/x-www-form-urlencoded";
    let evil = ["Origin: http://evil.test", "Sec-Fetch-Site: cross-site"];
    for foreign in [&[][..], &evil[..1], &evil[1..]] {
        let headers: Vec<&str> = [&cookie, form].into_iter().chain(foreign.iter().copied()).collect();
        assert_eq!(send(&up.address, add, &headers, "title=Evil").0, 403, "{foreign:?}");
    }
    let own = format!("Origin: http://{}", up.address);
    assert_eq!(send(&up.address, add, &[&cookie, form, &own], "title=Mine").0, 303);
    let listed = project.ok(&["feature", "list"]);
    assert!(listed.contains("Mine") && !listed.contains("Evil"), "{listed}");

    let mode =
        |path: &str| std::fs::metadata(project.state().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("instances/alpha/api.sock"), 0o600);
    assert_eq!(mode("people.db"), 0o600);
}
