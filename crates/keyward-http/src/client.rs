//! Where a request comes from and under which address it was made, seen through the proxies that the operator trusts.
//! [`crate::caller`] asks once per request.
//! A header that only a proxy should set is believed only when the peer of the connection is trusted (decisions 5.7).

use std::net::{IpAddr, SocketAddr};

use http::header::{AsHeaderName, HeaderName};
use http::{HeaderMap, Uri};
use keyward_config::Network;
use keyward_selfservice::Client;
use url::Url;

/// The other end of the connection; the server puts it into every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The longest `User-Agent` that is kept, in bytes.
const LONGEST_USER_AGENT: usize = 512;
const LONGEST_REQUEST_ID: usize = 128;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A header as text; absent, empty and unreadable values are `None`. A [`HeaderName`] is found faster than a `&str`.
pub(crate) fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim).filter(|value| !value.is_empty())
}

/// Whether forwarded headers of this peer are believed.
pub(crate) fn is_trusted(peer: Option<SocketAddr>, trusted: &[Network]) -> bool {
    peer.is_some_and(|peer| contains(trusted, peer.ip()))
}

fn contains(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}

/// Address, device and place of the client.
pub(crate) fn client(headers: &HeaderMap, peer: Option<SocketAddr>, trusted: &[Network]) -> Client {
    let believed = is_trusted(peer, trusted);
    let forwarded = if believed { forwarded_address(headers, trusted) } else { None };
    let place = |name| text(headers, name).filter(|_| believed);
    let parts: Vec<_> = [place("cf-ipcity"), place("cf-ipcountry")].into_iter().flatten().collect();
    Client {
        address: forwarded.or_else(|| peer.map(|peer| peer.to_string())),
        user_agent: headers.get(http::header::USER_AGENT).map(|value| cut(&String::from_utf8_lossy(value.as_bytes()))),
        location: cut(&parts.join(", ")),
        request_id: request_id(headers).map(str::to_owned),
    }
}

/// `X-Request-Id`, when it is short and printable.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<&str> {
    text(headers, REQUEST_ID).filter(|id| id.len() <= LONGEST_REQUEST_ID)
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(LONGEST_USER_AGENT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// The contract's order of headers. In `X-Forwarded-For` every proxy appends its peer, so the last address that is no
/// proxy of ours is the client's; when all are ours, the first one is.
fn forwarded_address(headers: &HeaderMap, trusted: &[Network]) -> Option<String> {
    let single = ["true-client-ip", "cf-connecting-ip", "x-real-ip"].into_iter().find_map(|name| parse(text(headers, name)?));
    if let Some(address) = single {
        return Some(address.to_string());
    }
    let chain: Vec<IpAddr> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(parse)
        .collect();
    let client = chain.iter().rev().find(|address| !contains(trusted, **address)).or(chain.first())?;
    Some(client.to_string())
}

fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// The absolute address of this request: scheme and host from a trusted proxy, else the scheme of the public base URL and
/// the `Host` header. A host that is none gives way to that of the public base URL.
pub(crate) fn request_url(headers: &HeaderMap, uri: &Uri, base: &Url, believed: bool) -> String {
    let forwarded =
        |name| if believed { text(headers, name).and_then(|value| value.split(',').next()).map(str::trim) } else { None };
    let scheme = match forwarded("x-forwarded-proto") {
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => "https",
        Some(scheme) if scheme.eq_ignore_ascii_case("http") => "http",
        _ => base.scheme(),
    };
    let own = match (base.host_str(), base.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    let host = forwarded("x-forwarded-host")
        .or_else(|| text(headers, "host"))
        .or_else(|| uri.authority().map(http::uri::Authority::as_str))
        .filter(|host| is_host(host))
        .unwrap_or(&own);
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    format!("{scheme}://{host}{path}")
}

fn is_host(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    text.len() <= 255 && text.bytes().all(plain) && Url::parse(&format!("http://{text}/")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, http::HeaderValue::from_static(value));
        }
        map
    }

    fn networks() -> Vec<Network> {
        ["10.0.0.0/8", "127.0.0.0/8"].iter().map(|text| text.parse().expect("a network")).collect()
    }

    #[test]
    fn forwarded_addresses_count_only_from_trusted_peers() {
        const PROXY: &str = "10.0.0.1:443";
        const STRANGER: &str = "192.0.2.9:50000";
        type Pairs = &'static [(&'static str, &'static str)];
        let cases: &[(&str, Pairs, &str)] = &[
            (STRANGER, &[], "192.0.2.9:50000"),
            (STRANGER, &[("x-forwarded-for", "198.51.100.1"), ("true-client-ip", "198.51.100.2")], "192.0.2.9:50000"),
            (PROXY, &[("x-forwarded-for", "198.51.100.1")], "198.51.100.1"),
            (PROXY, &[("x-forwarded-for", "1.2.3.4, 198.51.100.1, 10.0.0.7")], "198.51.100.1"),
            (PROXY, &[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", "198.51.100.1")], "198.51.100.1"),
            (PROXY, &[("x-forwarded-for", "10.0.0.8, 10.0.0.7")], "10.0.0.8"),
            (PROXY, &[("x-forwarded-for", "198.51.100.1:4711")], "198.51.100.1"),
            (PROXY, &[("x-forwarded-for", "unknown, <script>")], PROXY),
            (PROXY, &[("x-real-ip", "2001:db8::1"), ("x-forwarded-for", "198.51.100.1")], "2001:db8::1"),
            (PROXY, &[("true-client-ip", "198.51.100.3"), ("x-real-ip", "198.51.100.4")], "198.51.100.3"),
        ];
        for (peer, pairs, expected) in cases {
            let found = client(&headers(pairs), Some(peer.parse().expect("an address")), &networks());
            assert_eq!(found.address.as_deref(), Some(*expected), "{peer} {pairs:?}");
        }
    }

    #[test]
    fn the_place_comes_from_the_edge_and_agents_are_cut() {
        let mut map = headers(&[("cf-ipcity", "Berlin"), ("cf-ipcountry", "DE"), ("x-request-id", "r-1")]);
        map.insert("user-agent", http::HeaderValue::from_bytes(&[b'x', 0xe9].repeat(400)).expect("latin-1"));
        let near = client(&map, Some("127.0.0.1:1".parse().expect("an address")), &networks());
        assert_eq!((near.location.as_str(), near.request_id.as_deref()), ("Berlin, DE", Some("r-1")));
        assert!(near.user_agent.is_some_and(|agent| agent.len() <= LONGEST_USER_AGENT && agent.starts_with("x\u{fffd}x")));
        assert_eq!(client(&map, Some("192.0.2.1:1".parse().expect("an address")), &networks()).location, "");
    }

    #[test]
    fn the_request_url_is_built_from_what_is_believed() {
        let uri: Uri = "/self-service/settings/browser?return_to=%2Fx".parse().expect("a path");
        let base = Url::parse("https://id.example:8443/base").expect("a URL");
        type Pairs = &'static [(&'static str, &'static str)];
        let cases: &[(Pairs, bool, &str)] = &[
            (&[], true, "https://id.example:8443"),
            (&[("host", "login.example")], false, "https://login.example"),
            (&[("host", "evil@login.example")], false, "https://id.example:8443"),
            (&[("host", "a b")], false, "https://id.example:8443"),
            (&[("host", "a:b:c")], false, "https://id.example:8443"),
            (&[("host", "[::1]:4433")], false, "https://[::1]:4433"),
            (&[("host", "in.side"), ("x-forwarded-host", "out.side"), ("x-forwarded-proto", "HTTP")], true, "http://out.side"),
            (&[("host", "in.side"), ("x-forwarded-host", "out.side"), ("x-forwarded-proto", "http")], false, "https://in.side"),
            (&[("x-forwarded-host", "out.side, in.side"), ("x-forwarded-proto", "gopher")], true, "https://out.side"),
        ];
        for (pairs, believed, expected) in cases {
            let found = request_url(&headers(pairs), &uri, &base, *believed);
            assert_eq!(found, format!("{expected}/self-service/settings/browser?return_to=%2Fx"), "{pairs:?}");
        }
    }
}
