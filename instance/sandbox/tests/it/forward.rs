//! Bytes go both ways, and the end of each way is passed on.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixListener,
    thread,
};

#[test]
fn a_port_leads_to_a_socket() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("s");
    let outside = UnixListener::bind(&socket).unwrap();
    let inside = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = inside.local_addr().unwrap().port();
    thread::spawn(move || qd_sandbox::forward::forward(&inside, &socket));
    thread::spawn(move || {
        for stream in outside.incoming() {
            let mut stream = stream.unwrap();
            let mut all = String::new();
            stream.read_to_string(&mut all).unwrap();
            stream.write_all(all.to_uppercase().as_bytes()).unwrap();
        }
    });
    for words in ["one", "two"] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(words.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut back = String::new();
        stream.read_to_string(&mut back).unwrap();
        assert_eq!(back, words.to_uppercase());
    }
}
