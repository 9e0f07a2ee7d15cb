//! The links between the sandbox's services: cut, looked at, and opened again.

use std::error::Error;
use std::io;

use reqwest::Client;
use serde::{Deserialize, Serialize};

use super::{client, failed, get};
use crate::chaos::runtime::RuntimeError;
use crate::config::ServiceKind;

/// A link as its supervisor tells it.
#[derive(Deserialize)]
pub(super) struct Link {
    pub from: ServiceKind,
    pub to: ServiceKind,
    pub passage: String,
    /// Connections that it stopped so far.
    pub stopped: u64,
}

/// What a link is asked to do.
#[derive(Serialize)]
pub(super) struct LinkSetting<'a> {
    pub passage: &'a str,
    pub for_ms: u64,
}

/// The links of a sandbox; none of one that is gone, since they end with it. One that does not answer
/// may have closed ones all the same.
pub(super) async fn links(client: &Client, admin: &str) -> Result<Option<Vec<Link>>, RuntimeError> {
    match get(client, &format!("{admin}/sandbox/links")).await {
        Ok(links) => Ok(Some(links)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Whether nobody listens where a sandbox was, or somebody who is no sandbox: who does not know the
/// question, or answers something else.
fn is_gone(error: &reqwest::Error) -> bool {
    let mut reason = error.source();
    while let Some(of) = reason {
        let io = of.downcast_ref::<io::Error>();
        let refused = io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused);
        // An answer that breaks off cannot be read either, and may be a sandbox's.
        if refused || of.is::<serde_json::Error>() {
            return true;
        }
        reason = of.source();
    }
    error.status().is_some_and(|status| status.is_client_error())
}

pub(super) async fn set_links(
    client: &Client,
    admin: &str,
    links: &[String],
    setting: &LinkSetting<'_>,
) -> Result<(), RuntimeError> {
    for link in links {
        let request = client.post(format!("{admin}/sandbox/links/{link}")).json(setting);
        let sent = request.send().await.and_then(reqwest::Response::error_for_status);
        sent.map_err(|error| RuntimeError::new(format!("link {link}: {error}")))?;
    }
    Ok(())
}

/// Opens links. A sandbox that is gone has none.
///
/// # Errors
/// When it is there and they cannot be opened, or it does not answer.
pub async fn open_links(admin: &str, closed: &[String]) -> Result<(), RuntimeError> {
    let client = client()?;
    match links(&client, admin).await? {
        Some(_) => {
            set_links(&client, admin, closed, &LinkSetting { passage: "open", for_ms: 0 }).await
        }
        None => Ok(()),
    }
}

/// Which of these links are not open; that they cannot be looked at counts as one.
pub async fn closed_links(admin: &str, wanted: &[String]) -> Vec<String> {
    let looked = match client() {
        Ok(client) => links(&client, admin).await,
        Err(error) => Err(error),
    };
    match looked {
        Ok(states) => {
            let closed = states.iter().flatten().filter(|state| state.passage != "open");
            let named = closed.map(|state| format!("{}/{}", state.from, state.to));
            let named = named.filter(|name| wanted.contains(name));
            named.map(|name| format!("link {name} is closed")).collect()
        }
        Err(error) => vec![format!("links cannot be looked at: {error}")],
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Opens a link of a sandbox that answers everything with this status, or where nobody listens.
    async fn opened(status: Option<&'static str>) -> (Result<(), String>, Vec<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let admin = format!("http://{}", listener.local_addr().expect("bound"));
        let server = tokio::spawn(async move {
            let Some(status) = status else { return };
            while let Ok((mut client, _)) = listener.accept().await {
                let asked = client.read(&mut [0; 1024]).await.expect("a request");
                assert!(asked > 0);
                let answer =
                    format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                client.write_all(answer.as_bytes()).await.expect("sent");
            }
        });
        tokio::task::yield_now().await;
        let closed = ["rag/chat".to_owned()];
        let opened = open_links(&admin, &closed).await.map_err(|error| error.to_string());
        let left = closed_links(&admin, &closed).await;
        server.abort();
        (opened, left)
    }

    #[tokio::test]
    async fn links_are_gone_with_their_sandbox_and_not_when_it_fails_to_answer() {
        assert_eq!(opened(None).await, (Ok(()), Vec::new()), "nobody listens");
        let torn = "200 OK\r\nContent-Length: 9\r\nX-Rest: no";
        let (opened_all, left) = opened(Some(torn)).await;
        assert!(opened_all.is_err() && left.len() == 1, "an answer that breaks off: {left:?}");
        for stranger in ["404 Not Found", "401 Unauthorized", "200 OK"] {
            assert_eq!(opened(Some(stranger)).await, (Ok(()), Vec::new()), "{stranger}");
        }
        let (opened, left) = opened(Some("500 Internal Server Error")).await;
        assert!(opened.expect_err("not healed").contains("500"));
        assert!(matches!(&left[..], [one] if one.contains("cannot be looked at")), "{left:?}");
    }
}
