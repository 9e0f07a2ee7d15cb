//! Encryption in transit: what an endpoint really negotiates, and for how long its certificate is good.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::required;
use crate::config::{Config, Control, HttpVersion, SloDefinitions, Store, StoreKind, TlsSettings};
use crate::platform::endpoint::ResolvedEndpoint;
use crate::platform::store::{postgres, store_address};
use crate::platform::text::excerpt;
use crate::platform::tls;
use crate::run::event::{ControlResult, ControlStatus};

/// How long looking at one endpoint may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How TLS begins on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opening {
    /// Not at all.
    Plain,
    /// At once.
    Tls,
    /// PostgreSQL is asked for it first.
    Postgres,
}

/// Something that is reached over the network.
struct Reached {
    subject: String,
    host: String,
    port: u16,
    opening: Opening,
    trust: Trust,
}

/// Whose certificates are good.
enum Trust {
    /// As for requests to a service.
    Service(TlsSettings),
    /// The authorities of a PEM text, or the system's.
    Store(Option<Vec<u8>>),
}

/// What was negotiated.
struct Negotiated {
    version: &'static str,
    /// Until when the certificate is good.
    until: Option<Timestamp>,
}

pub(super) async fn check(config: &Config, promises: &SloDefinitions) -> Vec<ControlResult> {
    let mut reached = Vec::new();
    for (service, endpoint) in config.services.endpoints() {
        if let Ok(resolved) = ResolvedEndpoint::resolve(endpoint) {
            reached.push(Reached {
                subject: service.to_string(),
                host: resolved.host,
                port: resolved.port,
                opening: if resolved.tls { Opening::Tls } else { Opening::Plain },
                // Whether it can be trusted is the question, whatever the load takes.
                trust: Trust::Service(TlsSettings { insecure: false, ..resolved.trust }),
            });
        }
    }
    for (kind, store) in config.stores.configured() {
        reached.extend(of_store(kind, store));
    }
    join_all(reached.iter().map(|one| look(one, promises))).await
}

fn of_store(kind: StoreKind, store: &Store) -> Option<Reached> {
    let (scheme, host, port) = store_address(kind, &store.url).ok()?;
    let opening = match (kind, scheme.as_str()) {
        (StoreKind::Postgres, _) if postgres::is_in_the_clear(&store.url) => Opening::Plain,
        (StoreKind::Postgres, _) => Opening::Postgres,
        (_, "https" | "rediss" | "bolt+s" | "neo4j+s") => Opening::Tls,
        _ => Opening::Plain,
    };
    let authorities = store.ca_file.as_ref().and_then(|path| std::fs::read(path).ok());
    Some(Reached {
        subject: kind.to_string(),
        host,
        port,
        opening,
        trust: Trust::Store(authorities),
    })
}

async fn look(reached: &Reached, promises: &SloDefinitions) -> ControlResult {
    let rules = &promises.compliance;
    let (status, evidence) = if reached.opening == Opening::Plain {
        in_the_clear(&reached.host, "its address asks for no encryption")
    } else {
        match tokio::time::timeout(PATIENCE, negotiate(reached)).await {
            Ok(Ok(negotiated)) => judge(&negotiated, rules.certificate_min_validity.get()),
            Ok(Err(Refused::Plain(why))) => in_the_clear(&reached.host, &why),
            Ok(Err(Refused::Handshake(why))) => (ControlStatus::Fail, why),
            Ok(Err(Refused::Unreachable(why))) => (ControlStatus::Unknown, why),
            Err(_) => (ControlStatus::Unknown, "no answer in time".into()),
        }
    };
    let control = Control::EncryptionInTransit;
    let required = required(rules, control);
    ControlResult { control, subject: reached.subject.clone(), required, status, evidence }
}

fn in_the_clear(host: &str, why: &str) -> (ControlStatus, String) {
    let loopback = host == "localhost"
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if loopback {
        let evidence =
            format!("{why}; on this host nothing is sent, but what lies behind is not seen");
        (ControlStatus::Unknown, evidence)
    } else {
        (ControlStatus::Fail, why.to_owned())
    }
}

fn judge(negotiated: &Negotiated, at_least: Duration) -> (ControlStatus, String) {
    let Negotiated { version, until } = negotiated;
    let Some(until) = until else {
        return (ControlStatus::Unknown, format!("{version}, its certificate cannot be read"));
    };
    let left = until.duration_since(Timestamp::now());
    let days = left.as_hours() / 24;
    let words = format!("{version}, certificate trusted and good for {days} d");
    if left.is_negative() || left.unsigned_abs() < at_least {
        let asked = at_least.as_secs() / 86_400;
        (ControlStatus::Fail, format!("{words}, {asked} d are asked"))
    } else {
        (ControlStatus::Pass, words)
    }
}

/// Why nothing was negotiated.
enum Refused {
    /// It cannot be reached.
    Unreachable(String),
    /// It speaks no TLS.
    Plain(String),
    /// It does, and not well enough.
    Handshake(String),
}

async fn negotiate(reached: &Reached) -> Result<Negotiated, Refused> {
    let unreachable =
        |error: std::io::Error| Refused::Unreachable(excerpt(&format!("not reached: {error}")));
    let to = (reached.host.as_str(), reached.port);
    let mut stream = TcpStream::connect(to).await.map_err(unreachable)?;
    if reached.opening == Opening::Postgres
        && !postgres_speaks_tls(&mut stream).await.map_err(unreachable)?
    {
        return Err(Refused::Plain("the server offers no TLS".into()));
    }
    let config = client_config(reached).map_err(Refused::Unreachable)?;
    let name = ServerName::try_from(reached.host.clone())
        .map_err(|_| Refused::Handshake("its host is no name for a certificate".into()))?;
    let connector = TlsConnector::from(std::sync::Arc::new(config));
    let secured = connector.connect(name, stream).await;
    let secured = secured.map_err(|error| Refused::Handshake(excerpt(&format!("TLS: {error}"))))?;
    let (_, session) = secured.get_ref();
    let version = match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    };
    let certificate = session.peer_certificates().and_then(|chain| chain.first());
    let until =
        certificate.and_then(|der| Certificate::from_der(der).ok()).and_then(|certificate| {
            let until = certificate.tbs_certificate.validity.not_after.to_unix_duration();
            Timestamp::from_second(i64::try_from(until.as_secs()).ok()?).ok()
        });
    Ok(Negotiated { version, until })
}

fn client_config(reached: &Reached) -> Result<ClientConfig, String> {
    let config = match &reached.trust {
        Trust::Service(settings) => tls::client_config(settings, HttpVersion::Auto),
        Trust::Store(authorities) => tls::store_config(authorities.as_deref()),
    };
    config.map_err(|error| error.to_string())
}

/// SSLRequest of PostgreSQL's protocol (53.2.10): `S` when the server is willing.
async fn postgres_speaks_tls(stream: &mut TcpStream) -> std::io::Result<bool> {
    const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
    stream.write_all(&SSL_REQUEST).await?;
    Ok(stream.read_u8().await? == b'S')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_ends_soon_fails() {
        let of = |days: i64| {
            let until = Timestamp::now() + jiff::SignedDuration::from_hours(24 * days + 1);
            judge(
                &Negotiated { version: "TLS 1.3", until: Some(until) },
                Duration::from_secs(14 * 86_400),
            )
        };
        assert_eq!(of(90).0, ControlStatus::Pass);
        assert_eq!(
            of(10),
            (
                ControlStatus::Fail,
                "TLS 1.3, certificate trusted and good for 10 d, 14 d are asked".into()
            )
        );
        assert_eq!(of(-1).0, ControlStatus::Fail);
    }

    #[test]
    fn what_is_sent_in_the_clear_fails_unless_it_never_leaves_the_host() {
        assert_eq!(in_the_clear("chat.example.com", "x").0, ControlStatus::Fail);
        assert_eq!(in_the_clear("10.0.0.7", "x").0, ControlStatus::Fail);
        for host in ["localhost", "127.0.0.1", "::1"] {
            assert_eq!(in_the_clear(host, "x").0, ControlStatus::Unknown, "{host}");
        }
    }

    /// Certificates for loopback; `tests/fixtures/tls/make.sh` makes them.
    const AUTHORITY: &[u8] = include_bytes!("../../../tests/fixtures/tls/authority.pem");
    const KEY: &[u8] = include_bytes!("../../../tests/fixtures/tls/server.key");
    const GOOD: &[u8] = include_bytes!("../../../tests/fixtures/tls/server.pem");
    const ENDED: &[u8] = include_bytes!("../../../tests/fixtures/tls/ended.pem");
    const ANOTHER_NAME: &[u8] = include_bytes!("../../../tests/fixtures/tls/another_name.pem");

    /// How a server answers.
    #[derive(Clone, Copy)]
    enum Speaks {
        /// TLS at once.
        Tls,
        /// PostgreSQL, which is willing.
        Postgres,
        /// PostgreSQL, which is not.
        PostgresInTheClear,
        /// Something else.
        Http,
    }

    /// A server on loopback with this certificate; its port.
    async fn server(speaks: Speaks, certificate: &[u8], oldest: bool) -> u16 {
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer};
        tls::install_provider();
        let versions: &[&rustls::SupportedProtocolVersion] =
            if oldest { &[&rustls::version::TLS12] } else { rustls::ALL_VERSIONS };
        let chain = CertificateDer::pem_slice_iter(certificate).flatten().collect();
        let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
        let config = rustls::ServerConfig::builder_with_protocol_versions(versions)
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a certificate");
        let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut asked = [0; 8];
            match speaks {
                Speaks::Tls => {}
                Speaks::Postgres | Speaks::PostgresInTheClear => {
                    stream.read_exact(&mut asked).await.expect("SSLRequest");
                    let willing = matches!(speaks, Speaks::Postgres);
                    stream.write_all(if willing { b"S" } else { b"N" }).await.expect("sent");
                }
                Speaks::Http => {
                    stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("sent");
                }
            }
            // A client that does not trust it goes away in the middle.
            if let Ok(mut secured) = acceptor.accept(stream).await {
                let _ = secured.read_u8().await;
            }
        });
        port
    }

    /// What the control says of an endpoint, with a certificate that has to be good for so many days.
    async fn of(port: u16, opening: Opening, days: u64, ca: Option<&[u8]>) -> ControlResult {
        let text = crate::config::SHIPPED_SLOS;
        let loaded = crate::config::LoadedSlos::parse("built-in", text).expect("valid");
        let mut promises = loaded.definitions;
        promises.compliance.certificate_min_validity = crate::config::TimeSpan::secs(days * 86_400);
        let (subject, host) = ("chat".to_owned(), "127.0.0.1".to_owned());
        let trust = Trust::Store(ca.map(<[u8]>::to_vec));
        look(&Reached { subject, host, port, opening, trust }, &promises).await
    }

    #[tokio::test]
    async fn version_and_certificate_are_those_of_a_real_handshake() {
        for (oldest, version) in [(false, "TLS 1.3"), (true, "TLS 1.2")] {
            let port = server(Speaks::Tls, GOOD, oldest).await;
            let seen = of(port, Opening::Tls, 14, Some(AUTHORITY)).await;
            assert_eq!(seen.status, ControlStatus::Pass, "{seen:?}");
            let begins = format!("{version}, certificate trusted and good for ");
            assert!(seen.evidence.starts_with(&begins), "{seen:?}");
            assert!(seen.required && seen.control == Control::EncryptionInTransit, "{seen:?}");
        }
        let port = server(Speaks::Postgres, GOOD, false).await;
        let seen = of(port, Opening::Postgres, 14, Some(AUTHORITY)).await;
        assert_eq!(seen.status, ControlStatus::Pass, "{seen:?}");
    }

    #[tokio::test]
    async fn a_handshake_that_shows_a_bad_certificate_fails() {
        let years = 200 * 365;
        for (certificate, days, ca, words) in [
            (GOOD, years, Some(AUTHORITY), "73000 d are asked"),
            (ENDED, 14, Some(AUTHORITY), "expired"),
            (ANOTHER_NAME, 14, Some(AUTHORITY), "not valid for name"),
            (GOOD, 14, Some(ANOTHER_NAME), "UnknownIssuer"),
        ] {
            let port = server(Speaks::Tls, certificate, false).await;
            let seen = of(port, Opening::Tls, days, ca).await;
            assert_eq!(seen.status, ControlStatus::Fail, "{words}: {seen:?}");
            assert!(seen.evidence.contains(words), "{words}: {seen:?}");
        }
        let port = server(Speaks::Http, GOOD, false).await;
        let seen = of(port, Opening::Tls, 14, Some(AUTHORITY)).await;
        assert_eq!(seen.status, ControlStatus::Fail, "{seen:?}");
        assert!(seen.evidence.starts_with("TLS: "), "{seen:?}");
    }

    #[tokio::test]
    async fn what_cannot_be_reached_and_what_offers_no_encryption_are_told_apart() {
        let port = server(Speaks::PostgresInTheClear, GOOD, false).await;
        let seen = of(port, Opening::Postgres, 14, Some(AUTHORITY)).await;
        assert_eq!(seen.status, ControlStatus::Unknown, "on loopback: {seen:?}");
        assert!(seen.evidence.contains("the server offers no TLS"), "{seen:?}");
        // A port that was just given back.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let seen = of(port, Opening::Tls, 14, Some(AUTHORITY)).await;
        assert_eq!(seen.status, ControlStatus::Unknown, "{seen:?}");
        assert!(seen.evidence.starts_with("not reached: "), "{seen:?}");
    }

    #[test]
    fn a_server_that_offers_what_nobody_asks_of_it_encrypts_nothing() {
        let opening =
            |url: &str| of_store(StoreKind::Postgres, &Store::at(url)).expect("an address").opening;
        assert_eq!(opening("postgres://db/app?sslmode=disable"), Opening::Plain);
        assert_eq!(opening("postgres://db/app"), Opening::Postgres);
    }
}
