//! The way out of a closed network: a proxy that lets through what a list of hosts names, and nothing else. It speaks
//! `CONNECT` and plain HTTP, and looks into nothing that goes by.
//!
//! A name that leads to this computer itself, or to what only this computer's link reaches, is refused though it is listed:
//! whoever owns a name says where it leads. An address in the list is what it says.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpStream, lookup_host},
    time::timeout,
};

/// Longest head of a request, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// How long a head, a name and a connection may take, each.
const PATIENCE: Duration = Duration::from_secs(20);
/// Ports of a host that is listed without one.
const USUAL: [u16; 2] = [443, 80];
/// How a request for a tunnel begins.
const TUNNEL: &str = "CONNECT ";
/// Headers that are for the proxy, or for this one connection.
const OWN: [&str; 4] = ["connection", "proxy-connection", "proxy-authorization", "keep-alive"];

/// Hosts that may be reached. Empty: none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts(Vec<Host>);

/// One host: `crates.io`, `*.crates.io` (all below it), `192.0.2.7`, each with a port at its end if it is to be another than
/// 443 and 80.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    name: String,
    below: bool,
    port: Option<u16>,
}

/// A line of the list that names no host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no host: write example.org, *.example.org or example.org:8443, without a scheme and a path"
)]
pub struct NoHost(String);

impl FromStr for Host {
    type Err = NoHost;

    fn from_str(text: &str) -> Result<Self, NoHost> {
        let wrong = || NoHost(text.to_owned());
        let (below, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        let (name, port) = split(rest).ok_or_else(wrong)?;
        let address = name.parse::<IpAddr>().is_ok();
        let label = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if (address && below) || !(address || name.split('.').all(label)) || port == Some(0) {
            return Err(wrong());
        }
        Ok(Self { name: name.to_ascii_lowercase(), below, port })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = if self.below { "*." } else { "" };
        match self.port {
            Some(port) if self.name.contains(':') => write!(f, "[{}]:{port}", self.name),
            Some(port) => write!(f, "{before}{}:{port}", self.name),
            None => write!(f, "{before}{}", self.name),
        }
    }
}

impl Host {
    fn is(&self, name: &str, port: u16) -> bool {
        let named = if self.below {
            name.strip_suffix(&self.name).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
        } else {
            name == self.name
        };
        named && self.port.map_or_else(|| USUAL.contains(&port), |own| own == port)
    }
}

impl Hosts {
    /// These hosts.
    pub fn new(hosts: impl IntoIterator<Item = Host>) -> Self {
        Self(hosts.into_iter().collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one may be reached at this port.
    pub fn allow(&self, name: &str, port: u16) -> bool {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.0.iter().any(|host| host.is(&name, port))
    }
}

/// Name and port of `name`, `name:port`, `[::1]`, `[::1]:port`, `::1`.
fn split(text: &str) -> Option<(&str, Option<u16>)> {
    if text.parse::<IpAddr>().is_ok() {
        return Some((text, None));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (name, rest) = rest.split_once(']')?;
        name.parse::<IpAddr>().ok()?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((name, Some(port.parse().ok()?))),
            None => rest.is_empty().then_some((name, None)),
        };
    }
    match text.split_once(':') {
        Some((name, port)) => Some((name, Some(port.parse().ok()?))),
        None => Some((text, None)),
    }
}

/// Whether a connection that begins like this asks for a proxy. Not decided yet: none.
pub fn is_asked(begin: &[u8]) -> Option<bool> {
    if begin.starts_with(TUNNEL.as_bytes()) {
        return Some(true);
    }
    if TUNNEL.as_bytes().starts_with(begin) {
        return None;
    }
    // `GET http://…`: the method is one word of capital letters, and the target has a scheme.
    let method = begin.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let rest = match begin.get(method..) {
        Some([]) if method <= 16 => return None,
        Some([b' ', rest @ ..]) if method > 0 => rest,
        _ => return Some(false),
    };
    let scheme = b"http://";
    let same = scheme.iter().zip(rest).all(|(one, other)| *one == other.to_ascii_lowercase());
    if !same || rest.len() >= scheme.len() { Some(same) } else { None }
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    name: String,
    port: u16,
    /// What goes to the host first; none for a tunnel.
    head: Option<Vec<u8>>,
}

/// Reads a whole head. None if it is none.
fn asked(head: &str) -> Option<Asked> {
    let (line, headers) = head.split_once("\r\n")?;
    if let Some(rest) = line.strip_prefix(TUNNEL) {
        let (authority, _) = rest.split_once(' ')?;
        let (name, port) = split(authority)?;
        return Some(Asked { name: name.to_owned(), port: port?, head: None });
    }
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || !version.starts_with("HTTP/1.") || !target.is_ascii() {
        return None;
    }
    let target =
        target.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://")).and(target.get(7..))?;
    let end = target.find(['/', '?', '#']).unwrap_or(target.len());
    let (authority, path) = target.split_at_checked(end)?;
    let (name, port) = split(authority)?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut passed = format!("{method} {slash}{path} {version}\r\n");
    for header in headers.split("\r\n").take_while(|header| !header.is_empty()) {
        let (key, _) = header.split_once(':')?;
        if key.is_empty() || key.starts_with([' ', '\t']) {
            return None;
        }
        let key = key.to_ascii_lowercase();
        if key != "host" && !OWN.contains(&key.as_str()) {
            passed.extend([header, "\r\n"]);
        }
    }
    // The host that was judged is the one that is asked for, and there is one request for each connection.
    passed.extend(["Host: ", authority, "\r\nConnection: close\r\n\r\n"]);
    Some(Asked { name: name.to_owned(), port: port.unwrap_or(80), head: Some(passed.into_bytes()) })
}

/// Serves a connection that begins with `begin` (see [`is_asked`]), to its end. What is not on the list is answered with 403
/// and a sentence. Says what became of it, for the log.
pub async fn serve<S>(mut stream: S, mut begin: Vec<u8>, hosts: &Hosts) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let whole = async {
        loop {
            if let Some(at) = begin.windows(4).position(|four| four == b"\r\n\r\n") {
                return Some(at + 4);
            }
            if begin.len() > MAX_HEAD || stream.read_buf(&mut begin).await.ok()? == 0 {
                return None;
            }
        }
    };
    let end = timeout(PATIENCE, whole).await.ok().flatten();
    let (head, body) = begin.split_at(end.unwrap_or(0));
    let Some(Asked { name, port, head }) = std::str::from_utf8(head).ok().and_then(asked) else {
        return refuse(&mut stream, "400 Bad Request", "This is no request that a proxy can pass on.").await;
    };
    if !hosts.allow(&name, port) {
        let text = format!("{name}:{port} is not among the hosts that this run may reach (sandbox.hosts).");
        return refuse(&mut stream, "403 Forbidden", &text).await;
    }
    let mut host = match timeout(PATIENCE, connect(&name, port)).await {
        Ok(Ok(host)) => host,
        Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
            return refuse(&mut stream, "403 Forbidden", &format!("{name}: {error}.")).await;
        }
        Ok(Err(error)) => {
            let text = format!("{name}:{port} can't be reached: {error}.");
            return refuse(&mut stream, "502 Bad Gateway", &text).await;
        }
        Err(_) => {
            let text = format!("{name}:{port} does not answer.");
            return refuse(&mut stream, "504 Gateway Timeout", &text).await;
        }
    };
    match head {
        Some(head) => host.write_all(&head).await?,
        None => stream.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n").await?,
    }
    host.write_all(body).await?;
    copy_bidirectional(&mut stream, &mut host).await.map(drop)
}

/// Connects to an address that was judged: a name that is asked again may answer differently.
async fn connect(name: &str, port: u16) -> io::Result<TcpStream> {
    let literal = name.parse::<IpAddr>().is_ok();
    let all: Vec<SocketAddr> = lookup_host((name, port)).await?.collect();
    let mut last = io::Error::other("the name leads nowhere");
    for address in all {
        if !literal && is_own(address.ip()) {
            let text = "its name leads to this computer: list the address itself";
            last = io::Error::new(io::ErrorKind::PermissionDenied, text);
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(host) => return host.set_nodelay(true).map(|()| host),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// This computer, and what only its link reaches: our own pages, and the metadata services of clouds.
fn is_own(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            address.is_loopback()
                || address.is_link_local()
                || address.is_broadcast()
                || address.is_multicast()
                || address.octets().first() == Some(&0)
        }
        IpAddr::V6(address) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unicast_link_local()
                || address.is_multicast()
        }
    }
}

async fn refuse<S: AsyncWrite + Unpin>(stream: &mut S, status: &str, text: &str) -> io::Result<()> {
    let length = text.len() + 1;
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: \
         {length}\r\n\r\n{text}\n"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::{Host, Hosts, asked, is_asked, is_own};

    fn hosts(all: &[&str]) -> Hosts {
        Hosts::new(all.iter().map(|text| text.parse::<Host>().unwrap()))
    }

    #[test]
    fn a_list_names_what_it_names() {
        let list = hosts(&["crates.io", "*.Example.org", "mirror:8080", "192.0.2.7:1", "[2001:db8::1]:2"]);
        for (name, port) in [
            ("crates.io", 443),
            ("CRATES.io.", 80),
            ("a.b.example.org", 443),
            ("mirror", 8080),
            ("192.0.2.7", 1),
            ("2001:db8::1", 2),
        ] {
            assert!(list.allow(name, port), "{name}:{port}");
        }
        for (name, port) in [
            ("crates.io", 22),
            ("evilcrates.io", 443),
            ("crates.io.evil.org", 443),
            ("example.org", 443),
            (".example.org", 443),
            ("mirror", 443),
            ("", 443),
        ] {
            assert!(!list.allow(name, port), "{name}:{port}");
        }
        assert!(!Hosts::default().allow("crates.io", 443));
        for text in
            ["", "*", "*.", "https://a.org", "a.org/x", "a b", "a:0", "a:x", "*.1.2.3.4", "a..b", "-a"]
        {
            assert!(text.parse::<Host>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_asks_for_a_proxy_is_told_from_what_does_not() {
        for yes in ["CONNECT a:1 ", "GET http://a/", "POST HTTP://a"] {
            assert_eq!(is_asked(yes.as_bytes()), Some(true), "{yes}");
        }
        for no in ["GET / HTTP", "GET /http://", "\x16\x03\x01", "get http://a", " ", "POST /openai"] {
            assert_eq!(is_asked(no.as_bytes()), Some(false), "{no}");
        }
        for open in ["", "CON", "GET", "GET ", "GET ht"] {
            assert_eq!(is_asked(open.as_bytes()), None, "{open}");
        }
    }

    #[test]
    fn a_request_is_passed_on_to_the_host_that_was_judged() {
        let told = asked("GET http://a.org:81?q HTTP/1.1\r\nHost: b\r\nProxy-Connection: x\r\nX: y\r\n\r\n")
            .unwrap();
        assert_eq!((told.name.as_str(), told.port), ("a.org", 81));
        insta::assert_snapshot!(String::from_utf8(told.head.unwrap()).unwrap().replace('\r', ""), @"
        GET /?q HTTP/1.1
        X: y
        Host: a.org:81
        Connection: close
        ");
        assert_eq!(asked("CONNECT a.org:443 HTTP/1.1\r\n\r\n").unwrap().port, 443);
        for bad in [
            "CONNECT a.org HTTP/1.1\r\n\r\n",
            "GET http://user@a.org:x/ HTTP/1.1\r\n\r\n",
            "GET http://a.org/ HTTP/1.1 x\r\n\r\n",
            "GET http://a.org/ HTTP/1.1\r\nX: y\r\n folded: z\r\n\r\n",
        ] {
            assert_eq!(asked(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_ours_is_known() {
        for own in ["127.0.0.1", "0.0.0.0", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fe80::1"] {
            assert!(is_own(own.parse().unwrap()), "{own}");
        }
        for other in ["10.0.0.1", "192.0.2.1", "2001:db8::1"] {
            assert!(!is_own(other.parse().unwrap()), "{other}");
        }
    }
}
