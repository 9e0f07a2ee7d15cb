//! How a session begins: what the client wants, and whether it knows the password.

use std::io;

use super::scram::Scram;
use super::wire::{Wire, fatal, message};

/// Codes in the place of a version (documentation, chapter 53.7).
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
/// Major version of the protocol that is spoken.
const MAJOR: u32 = 3;
/// The user and the database that there are.
pub const NAME: &str = "postgres";
/// Messages of the start before a client is turned away.
const MAX_TRIES: usize = 3;

/// Admits a client, or says to it why not.
///
/// # Errors
/// When it is not admitted, or its connection breaks.
pub async fn admit(client: &mut Wire, password: &str) -> io::Result<()> {
    for _ in 0..MAX_TRIES {
        let packet = client.startup_packet().await?;
        let Some((code, parameters)) = packet.body().split_first_chunk::<4>() else { break };
        match u32::from_be_bytes(*code) {
            SSL | GSS => {
                client.put(b"N");
                client.flush().await?;
            }
            code if code >> 16 == MAJOR => {
                check_names(client, parameters).await?;
                return authenticate(client, password).await;
            }
            // A cancellation among others, for which there is no engine beside the busy one.
            _ => break,
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

async fn check_names(client: &mut Wire, parameters: &[u8]) -> io::Result<()> {
    let words: Vec<_> = parameters.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let of = |name| words.chunks(2).find(|pair| pair[0] == name).and_then(|pair| pair.get(1));
    let database = of("database").or_else(|| of("user"));
    if database.is_some_and(|name| name != NAME) {
        return refuse(client, "3D000", "database does not exist: there is postgres alone").await;
    }
    if of("user").is_none_or(|name| name != NAME) {
        return refuse(client, "28000", "role does not exist: there is postgres alone").await;
    }
    Ok(())
}

async fn authenticate(client: &mut Wire, password: &str) -> io::Result<()> {
    client.put(&message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0"));
    client.flush().await?;
    let first = answer(client).await?;
    let said = first.strip_prefix("SCRAM-SHA-256\0").and_then(|rest| rest.get(4..));
    let begun = said.and_then(|said| Scram::begin(password, said));
    let Some((scram, challenge)) = begun else {
        return refuse(client, "08P01", "expected SCRAM-SHA-256 without channel binding").await;
    };
    client.put(&message(b'R', &[b"\0\0\0\x0b", challenge.as_bytes()].concat()));
    client.flush().await?;
    let Some(proven) = scram.finish(&answer(client).await?) else {
        let text = "password authentication failed for user \"postgres\"";
        return refuse(client, "28P01", text).await;
    };
    client.put(&message(b'R', &[b"\0\0\0\x0c", proven.as_bytes()].concat()));
    client.put(&message(b'R', &[0; 4]));
    Ok(())
}

/// What a client answers to a challenge.
async fn answer(client: &mut Wire) -> io::Result<String> {
    let message = client.next().await?;
    let text = std::str::from_utf8(message.body()).ok().filter(|_| message.kind() == b'p');
    text.map(str::to_owned).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

async fn refuse(client: &mut Wire, code: &str, text: &str) -> io::Result<()> {
    client.put(&fatal(code, text));
    client.flush().await?;
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}
