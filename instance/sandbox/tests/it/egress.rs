//! The way out: what is listed answers, and nothing else is even connected to.

use qd_sandbox::egress::{Hosts, serve};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// What a proxy with this list answers to a request, with a host behind it that says what it got.
async fn through(list: &str, request: &str) -> String {
    let host = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = host.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = host.accept().await.unwrap();
        let mut got = [0; 512];
        let length = stream.read(&mut got).await.unwrap();
        let got = String::from_utf8_lossy(got.get(..length).unwrap()).into_owned();
        stream.write_all(format!("HTTP/1.1 200 OK\r\n\r\ngot {got}").as_bytes()).await.unwrap();
    });
    let at = |text: &str| text.replace("PORT", &port.to_string());
    let list = Hosts::new(list.split_whitespace().map(|host| at(host).parse().unwrap()));
    let (mut client, inside) = tokio::io::duplex(4096);
    let served = tokio::spawn(async move { serve(inside, Vec::new(), &list).await });
    client.write_all(at(request).as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    served.await.unwrap().unwrap();
    answer.replace('\r', "").replace(&port.to_string(), "PORT")
}

#[tokio::test]
async fn what_is_listed_is_reached() {
    let plain = "GET http://127.0.0.1:PORT/x HTTP/1.1\r\nHost: other\r\n\r\n";
    insta::assert_snapshot!(through("127.0.0.1:PORT", plain).await, @"
    HTTP/1.1 200 OK

    got GET /x HTTP/1.1
    Host: 127.0.0.1:PORT
    Connection: close
    ");
    let tunnel = "CONNECT 127.0.0.1:PORT HTTP/1.1\r\n\r\nhello";
    insta::assert_snapshot!(through("127.0.0.1:PORT", tunnel).await, @"
    HTTP/1.1 200 Connection Established

    HTTP/1.1 200 OK

    got hello
    ");
}

#[tokio::test]
async fn what_is_not_listed_is_refused() {
    let tunnel = "CONNECT 127.0.0.1:PORT HTTP/1.1\r\n\r\nhello";
    insta::assert_snapshot!(through("127.0.0.1 localhost:PORT", tunnel).await, @"
    HTTP/1.1 403 Forbidden
    Content-Type: text/plain; charset=utf-8
    Connection: close
    Content-Length: 80

    127.0.0.1:PORT is not among the hosts that this run may reach (sandbox.hosts).
    ");
    // The name is listed, but leads to ourselves.
    let named = "GET http://localhost:PORT/ HTTP/1.1\r\n\r\n";
    insta::assert_snapshot!(through("localhost:PORT", named).await, @"
    HTTP/1.1 403 Forbidden
    Content-Type: text/plain; charset=utf-8
    Connection: close
    Content-Length: 69

    localhost: its name leads to this computer: list the address itself.
    ");
    insta::assert_snapshot!(through("localhost:PORT", "GET / HTTP/1.1\r\n\r\n").await, @"
    HTTP/1.1 400 Bad Request
    Content-Type: text/plain; charset=utf-8
    Connection: close
    Content-Length: 45

    This is no request that a proxy can pass on.
    ");
}
