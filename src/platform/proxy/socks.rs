//! A tunnel through a SOCKS5 proxy (RFC 1928, 1929). The library's client offers a proxy either credentials or
//! none, and says what it refuses in words that mislead.

use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::config::Secret;

const VERSION: u8 = 5;
const LOGIN_VERSION: u8 = 1;
/// Ways to say who is asking.
const NOBODY: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NONE_OF_THEM: u8 = 0xff;
/// Kinds of addresses.
const V4: u8 = 1;
const NAME: u8 = 3;
const V6: u8 = 4;

type Credentials = (String, Secret);

/// Asks for a tunnel to `host:port`; a proxy that wants no credentials is given none.
pub(super) async fn tunnel<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    to: &str,
    credentials: Option<&Credentials>,
) -> Result<S, String> {
    let wish = wish(to)?;
    introduce(&mut stream, credentials).await?;
    say(&mut stream, &wish).await?;
    let [version, code, _, kind] = hear(&mut stream).await?;
    of_version(version)?;
    if code != 0 {
        return Err(format!("it refuses the tunnel: {} (code {code})", reason(code)));
    }
    // Where it sends from is of no use here.
    let address = match kind {
        V4 => 4,
        V6 => 16,
        NAME => usize::from(hear::<1>(&mut stream).await?[0]),
        other => return Err(format!("it names a kind of address that there is not ({other})")),
    };
    for _ in 0..address + 2 {
        hear::<1>(&mut stream).await?;
    }
    Ok(stream)
}

async fn introduce(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    credentials: Option<&Credentials>,
) -> Result<(), String> {
    let offered = match credentials {
        Some(_) => &[VERSION, 2, NOBODY, USER_AND_PASSWORD][..],
        None => &[VERSION, 1, NOBODY],
    };
    say(stream, offered).await?;
    let [version, chosen] = hear(stream).await?;
    of_version(version)?;
    match (chosen, credentials) {
        (NOBODY, _) => Ok(()),
        (USER_AND_PASSWORD, Some(credentials)) => log_in(stream, credentials).await,
        (USER_AND_PASSWORD | NONE_OF_THEM, None) => Err(
            "it asks for credentials, and has been given none: `connection.proxy_auth` takes user \
                 and password"
                .into(),
        ),
        (NONE_OF_THEM, Some(_)) => {
            Err("it takes neither a user with a password nor nobody: expected one of these two"
                .into())
        }
        (other, _) => Err(format!("it chooses a way to log in that was not offered ({other})")),
    }
}

async fn log_in(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    (user, password): &Credentials,
) -> Result<(), String> {
    let mut login = vec![LOGIN_VERSION];
    for part in [user.as_str(), password.expose()] {
        let length = u8::try_from(part.len())
            .map_err(|_| "expected user and password of at most 255 bytes each".to_owned())?;
        login.push(length);
        login.extend_from_slice(part.as_bytes());
    }
    say(stream, &login).await?;
    match hear(stream).await? {
        [_, 0] => Ok(()),
        _ => Err("it refuses the user and the password of `connection.proxy_auth`".into()),
    }
}

/// The request for a tunnel; names are for the proxy to look up.
fn wish(to: &str) -> Result<Vec<u8>, String> {
    let unclear = || format!("expected a host and a port, not `{to}`");
    let (host, port) = to.rsplit_once(':').ok_or_else(unclear)?;
    let port: u16 = port.parse().map_err(|_| unclear())?;
    let host = host.trim_matches(['[', ']']);
    let mut wish = vec![VERSION, 1, 0];
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            wish.push(V4);
            wish.extend(address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            wish.push(V6);
            wish.extend(address.octets());
        }
        Err(_) => {
            let length = u8::try_from(host.len())
                .map_err(|_| "expected a host name of at most 255 bytes".to_owned())?;
            wish.extend([NAME, length]);
            wish.extend(host.bytes());
        }
    }
    wish.extend(port.to_be_bytes());
    Ok(wish)
}

const fn reason(code: u8) -> &'static str {
    match code {
        2 => "its rules do not allow it",
        3 => "the network cannot be reached from there",
        4 => "the host cannot be reached from there",
        5 => "the connection is refused there",
        6 => "it takes too many hops",
        7 => "it makes no tunnels",
        8 => "it does not take such an address",
        _ => "it failed",
    }
}

fn of_version(version: u8) -> Result<(), String> {
    match version {
        VERSION => Ok(()),
        _ => Err("its answer is no SOCKS5: expected version 5, is it an HTTP proxy?".into()),
    }
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Result<(), String> {
    stream.write_all(bytes).await.map_err(|error| format!("it broke off: {error}"))
}

async fn hear<const N: usize>(stream: &mut (impl AsyncRead + Unpin)) -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    let heard = stream.read_exact(&mut bytes).await;
    heard.map_err(|error| format!("it broke off: {error}"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a proxy is told that answers this, and what comes of it.
    async fn asked(
        to: &str,
        answers: &'static [u8],
        credentials: Option<(&str, &str)>,
    ) -> (Vec<u8>, Result<(), String>) {
        let (here, mut proxy) = tokio::io::duplex(4096);
        proxy.write_all(answers).await.expect("room");
        let credentials =
            credentials.map(|(user, password)| (user.to_owned(), password.to_owned().into()));
        let asking = async { tunnel(here, to, credentials.as_ref()).await.map(drop) };
        let mut told = Vec::new();
        let listening = async {
            let _ = tokio::time::timeout(std::time::Duration::from_millis(50), async {
                while proxy.read_buf(&mut told).await.is_ok_and(|n| n > 0) {}
            })
            .await;
            // Nothing more comes of it.
            drop(proxy);
        };
        let (asked, ()) = tokio::join!(asking, listening);
        (told, asked)
    }

    const ME: Option<(&str, &str)> = Some(("me", "pw"));
    const OPEN: &[u8] = &[5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

    #[tokio::test(start_paused = true)]
    async fn a_proxy_is_asked_in_the_bytes_of_the_standard() {
        let (told, asked) = asked("db.test:5432", OPEN, None).await;
        assert_eq!(asked, Ok(()));
        assert_eq!(told, b"\x05\x01\x00\x05\x01\x00\x03\x07db.test\x15\x38");
        let (told, asked) = self::asked("[::1]:80", OPEN, ME).await;
        assert_eq!(asked, Ok(()), "one that wants no credentials takes everybody");
        let v6 = b"\x05\x02\x00\x02\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50";
        assert_eq!(told, v6);
        let welcome = &[5, 2, 1, 0, 5, 0, 0, 3, 2, b'a', b'b', 0, 0];
        let (told, asked) = self::asked("10.0.0.9:80", welcome, ME).await;
        assert_eq!(asked, Ok(()));
        let login = b"\x05\x02\x00\x02\x01\x02me\x02pw\x05\x01\x00\x01\x0a\0\0\x09\0\x50";
        assert_eq!(told, login);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_proxy_refuses_is_told_with_what_to_do() {
        let cases: [(&[u8], _, _); 10] = [
            (&[5, 255], None, "asks for credentials, and has been given none"),
            (&[5, 2], None, "`connection.proxy_auth` takes user and password"),
            (&[5, 255], ME, "takes neither a user with a password nor nobody"),
            (&[5, 2, 1, 1], ME, "refuses the user and the password of `connection.proxy_auth`"),
            (&[5, 1], ME, "was not offered (1)"),
            (&[5, 0, 5, 2, 0, 1], None, "its rules do not allow it (code 2)"),
            (&[5, 0, 5, 5, 0, 1], None, "the connection is refused there (code 5)"),
            (b"HTTP/1.1 400", None, "is it an HTTP proxy?"),
            (&[5], None, "it broke off"),
            (&[5, 0, 5, 0, 0, 9], None, "a kind of address that there is not (9)"),
        ];
        for (answers, credentials, words) in cases {
            let (_, asked) = asked("x.test:80", answers, credentials).await;
            let told = asked.expect_err(words);
            assert!(told.contains(words) && !told.contains("pw"), "{told}");
        }
        let long = "x".repeat(256);
        assert!(wish(&format!("{long}:80")).is_err_and(|told| told.contains("at most 255")));
    }
}
