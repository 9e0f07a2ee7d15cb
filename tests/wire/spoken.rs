//! What is spoken on the wire, by the load's connections and by the client of health checks and probes
//! alike: HTTP versions, authorities, client certificates, proxies.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::header::HOST;
use shakedown::config::{
    ConnectionSettings, Endpoint, HttpVersion, ProxyAuth, SecretSource, TimeSpan, TlsSettings,
};
use shakedown::platform::client;
use shakedown::platform::connection::ConnectError;
use shakedown::platform::connector::Connector;
use shakedown::platform::endpoint::ResolvedEndpoint;
use shakedown::platform::text::with_causes;
use shakedown::platform::tls;

use super::authority::Authority;
use super::server::{Listening, http_proxy, serve, socks_proxy};

fn endpoint(base_url: String) -> Endpoint {
    Endpoint {
        base_url,
        health: "/health".into(),
        headers: Default::default(),
        auth: None,
        timeout: TimeSpan::secs(10),
        connection: ConnectionSettings::default(),
        tls: TlsSettings::default(),
    }
}

fn https(server: &Listening) -> Endpoint {
    endpoint(format!("https://localhost:{}", server.port))
}

/// Asks as the load does; the body, or the failure in words.
async fn by_load(endpoint: &Endpoint, path: &str) -> Result<Bytes, String> {
    let resolved = ResolvedEndpoint::resolve(endpoint).map_err(|error| error.to_string())?;
    let authority = resolved.authority();
    let connector = Connector::new(Arc::new(resolved)).map_err(|error| error.to_string())?;
    let mut connection = connector.connect_shared().await.map_err(|error| with_causes(&error))?;
    let request = Request::get(path).header(HOST, authority).body(Full::default());
    match connection.send(request.expect("request")).await {
        Ok(answer) => Ok(answer.into_body().collect().await.expect("body").to_bytes()),
        Err(error) => {
            let error = connection.why_gone().unwrap_or(&error);
            let kind = if tls::broke(error) { "tls: " } else { "" };
            Err(kind.to_owned() + &with_causes(error))
        }
    }
}

/// Asks as health checks and probes do.
async fn by_client(endpoint: &Endpoint, path: &str) -> Result<Bytes, String> {
    let resolved = ResolvedEndpoint::resolve(endpoint).map_err(|error| error.to_string())?;
    let client = client::builder(&resolved).map_err(|error| error.to_string())?;
    let client = client.build().expect("client");
    let url = format!("{}{path}", resolved.origin());
    let answer = client.get(url).send().await.map_err(|error| with_causes(&error))?;
    answer.bytes().await.map_err(|error| with_causes(&error))
}

/// Both are answered, and the server saw this.
async fn both(endpoint: &Endpoint, server: &Listening, expected: [&str; 2]) {
    assert_eq!(by_load(endpoint, "/load").await.as_deref(), Ok(b"well".as_slice()));
    assert_eq!(by_client(endpoint, "/client").await.as_deref(), Ok(b"well".as_slice()));
    assert_eq!(server.seen(), expected);
}

/// Both fail, and the words say why.
async fn neither(endpoint: &Endpoint, why: &str) {
    for failed in [by_load(endpoint, "/").await, by_client(endpoint, "/").await] {
        let words = failed.expect_err("it was answered").to_lowercase();
        assert!(words.contains(why), "`{why}` is not in `{words}`");
    }
}

#[tokio::test]
async fn the_version_of_http_is_what_both_sides_agree_to() {
    let authority = Authority::new("Test");
    let folder = tempfile::tempdir().expect("folder");
    let ca_file = Some(authority.file(folder.path(), "ca.pem"));
    for (offered, wanted, spoken) in [
        (["h2", "http/1.1"].as_slice(), HttpVersion::Auto, Some("2")),
        (&["h2", "http/1.1"], HttpVersion::Http1, Some("1.1")),
        (&["http/1.1"], HttpVersion::Auto, Some("1.1")),
        (&[], HttpVersion::Auto, Some("1.1")),
        (&["http/1.1"], HttpVersion::Http2, None),
    ] {
        let server = serve(Some(authority.server(offered, None)), false).await;
        let mut endpoint = https(&server);
        endpoint.tls.ca_file.clone_from(&ca_file);
        endpoint.connection.http = wanted;
        let Some(spoken) = spoken else {
            neither(&endpoint, "").await;
            continue;
        };
        let saw = |path| format!("HTTP/{spoken} {path} of localhost:{}", server.port);
        both(&endpoint, &server, [&saw("/load"), &saw("/client")]).await;
    }
}

#[tokio::test]
async fn without_tls_http_2_is_spoken_where_it_is_known_to_be() {
    for (wanted, http2, spoken) in
        [(HttpVersion::Http2, true, "2"), (HttpVersion::Auto, false, "1.1")]
    {
        let server = serve(None, http2).await;
        let mut endpoint = endpoint(format!("http://127.0.0.1:{}", server.port));
        endpoint.connection.http = wanted;
        let saw = |path| format!("HTTP/{spoken} {path} of 127.0.0.1:{}", server.port);
        both(&endpoint, &server, [&saw("/load"), &saw("/client")]).await;
    }
}

#[tokio::test]
async fn a_certificate_is_good_when_the_right_authority_signed_it_or_nobody_looks() {
    let (authority, other) = (Authority::new("Test"), Authority::new("Other"));
    let folder = tempfile::tempdir().expect("folder");
    let server = serve(Some(authority.server(&["http/1.1"], None)), false).await;
    let mut endpoint = https(&server);
    endpoint.tls.ca_file = Some(other.file(folder.path(), "other.pem"));
    neither(&endpoint, "unknownissuer: `tls.ca_file` names an authority to trust").await;
    // Its name is not in the certificate.
    let ca_file = Some(authority.file(folder.path(), "ca.pem"));
    let wrong = format!("https://127.0.0.2:{}", server.port);
    neither(
        &Endpoint {
            base_url: wrong,
            tls: TlsSettings { ca_file, ..TlsSettings::default() },
            ..endpoint.clone()
        },
        "",
    )
    .await;
    endpoint.tls = TlsSettings { insecure: true, ..TlsSettings::default() };
    assert!(by_load(&endpoint, "/").await.is_ok());
    assert!(by_client(&endpoint, "/").await.is_ok());
    let own = serve(Some(authority.as_server()), false).await;
    let mut endpoint = https(&own);
    endpoint.tls.ca_file = Some(authority.file(folder.path(), "own.pem"));
    neither(&endpoint, "invalid peer certificate: it is an authority's own").await;
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_it_and_refuses_who_has_none() {
    let (authority, clients) = (Authority::new("Test"), Authority::new("Clients"));
    let folder = tempfile::tempdir().expect("folder");
    for protocol in ["h2", "http/1.1"] {
        let config = authority.server(&[protocol], Some(&clients));
        let server = serve(Some(config), false).await;
        let mut endpoint = https(&server);
        endpoint.tls.ca_file = Some(authority.file(folder.path(), "ca.pem"));
        neither(&endpoint, "certificaterequired").await;
        let refused = by_load(&endpoint, "/").await.expect_err("refused");
        assert!(refused.starts_with("tls: "), "{protocol}: {refused}");
        let (certificate, key) = clients.client(folder.path(), "client");
        (endpoint.tls.cert_file, endpoint.tls.key_file) = (Some(certificate), Some(key));
        assert_eq!(by_load(&endpoint, "/").await.as_deref(), Ok(b"well".as_slice()));
        assert_eq!(by_client(&endpoint, "/").await.as_deref(), Ok(b"well".as_slice()));
        // The key of another certificate, and a file that is none.
        let (_, other_key) = clients.client(folder.path(), "other");
        for wrong in [other_key, PathBuf::from("/dev/null")] {
            endpoint.tls.key_file = Some(wrong);
            neither(&endpoint, "expected").await;
        }
    }
}

fn through(endpoint: &mut Endpoint, scheme: &str, proxy: &Listening, secret: &std::path::Path) {
    std::fs::write(secret, "p@ss:word\n").expect("written");
    endpoint.connection.proxy = Some(format!("{scheme}://127.0.0.1:{}", proxy.port));
    let password = SecretSource::File(secret.to_owned());
    endpoint.connection.proxy_auth = Some(ProxyAuth { user: "me".into(), password });
}

/// `me:p@ss:word`
const BASIC: &str = "bWU6cEBzczp3b3Jk";

#[tokio::test]
async fn an_http_proxy_carries_tunnels_and_reads_what_is_in_the_clear() {
    let authority = Authority::new("Test");
    let folder = tempfile::tempdir().expect("folder");
    let server = serve(Some(authority.server(&["h2"], None)), false).await;
    let proxy = http_proxy(server.port).await;
    let mut endpoint = https(&server);
    endpoint.tls.ca_file = Some(authority.file(folder.path(), "ca.pem"));
    through(&mut endpoint, "http", &proxy, &folder.path().join("secret"));
    let saw = |path| format!("HTTP/2 {path} of localhost:{}", server.port);
    both(&endpoint, &server, [&saw("/load"), &saw("/client")]).await;
    let connect = format!("CONNECT localhost:{} HTTP/1.1 {BASIC}", server.port);
    assert_eq!(proxy.seen(), [connect.as_str(), &connect]);

    let plain = http_proxy(0).await;
    endpoint.base_url = "http://chat.test.invalid/api".into();
    through(&mut endpoint, "http", &plain, &folder.path().join("secret"));
    let line = |path| format!("GET http://chat.test.invalid{path} HTTP/1.1 {BASIC}");
    both(&endpoint, &plain, [&line("/load"), &line("/client")]).await;
}

#[tokio::test]
async fn a_proxy_that_refuses_a_tunnel_is_told_apart_from_the_service() {
    let proxy = http_proxy(0).await;
    let mut endpoint = endpoint("https://refused.test.invalid".into());
    endpoint.connection.proxy = Some(format!("http://127.0.0.1:{}", proxy.port));
    endpoint.tls.insecure = true;
    let resolved = Arc::new(ResolvedEndpoint::resolve(&endpoint).expect("endpoint"));
    let connector = Connector::new(resolved).expect("connector");
    match connector.connect_shared().await.err().expect("refused") {
        ConnectError::Proxy(words) => assert!(words.contains("403"), "{words}"),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_socks_proxy_is_told_the_name_and_carries_everything() {
    let authority = Authority::new("Test");
    let folder = tempfile::tempdir().expect("folder");
    let secret = folder.path().join("secret");
    let server = serve(Some(authority.server(&["h2"], None)), false).await;
    let proxy = socks_proxy(server.port).await;
    let mut endpoint = https(&server);
    endpoint.tls.ca_file = Some(authority.file(folder.path(), "ca.pem"));
    through(&mut endpoint, "socks5", &proxy, &secret);
    let saw = |path| format!("HTTP/2 {path} of localhost:{}", server.port);
    both(&endpoint, &server, [&saw("/load"), &saw("/client")]).await;
    let told = format!("me:p@ss:word to localhost:{}", server.port);
    assert_eq!(proxy.seen(), [told.as_str(), &told]);

    let plain = serve(None, false).await;
    let proxy = socks_proxy(plain.port).await;
    endpoint.base_url = "http://chat.test.invalid:8080".into();
    through(&mut endpoint, "socks5h", &proxy, &secret);
    let saw = |path| format!("HTTP/1.1 {path} of chat.test.invalid:8080");
    both(&endpoint, &plain, [&saw("/load"), &saw("/client")]).await;
}
