//! Redis protocol over a small store of our own: strings, hashes with lifetimes of fields, lists, sets,
//! sorted sets, streams with groups, HyperLogLog, expiry, scans, transactions, `DUMP` and `RESTORE`.
//! No scripts, no publishing, no blocking reads; what it does not know it refuses by name.

mod command;
mod db;
mod dump;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod groups;
mod hashes;
mod hyperloglog;
mod keys;
mod lists;
pub mod resp;
mod server;
mod session;
mod sets;
mod sorted;
mod stream;
mod stream_info;
mod streams;
mod strings;

use std::io;

use tokio::net::TcpListener;

use super::listener;

/// Serves until it is dropped.
///
/// # Errors
/// When nothing more can be accepted.
pub async fn serve(listener: TcpListener, password: &str) -> io::Result<()> {
    let server = server::Server::new(password);
    tokio::spawn(server.clone().purge());
    listener::accept(listener, move |stream| server.clone().serve(stream)).await
}
