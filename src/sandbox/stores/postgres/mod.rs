//! PostgreSQL itself, compiled to WebAssembly and run in this process, behind a front of ours: the
//! engine admits anybody and serves one session, so the front asks for the password and lets the
//! clients take turns, a transaction each.

mod engine;
mod memory;
mod scram;
mod session;
mod startup;
mod turn;
mod wire;

use std::io;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::listener;
use engine::Engine;

/// Starts the engine.
///
/// # Errors
/// When it does not start.
pub async fn start() -> io::Result<Engine> {
    Engine::start().await
}

/// Serves until it is dropped, or the engine ends.
///
/// # Errors
/// When the engine has ended, or nothing more can be accepted.
pub async fn serve(engine: Engine, listener: TcpListener, password: &str) -> io::Result<()> {
    let engine = Arc::new(engine);
    let password = Arc::<str>::from(password);
    let ended = engine.clone();
    let accepting = listener::accept(listener, move |stream| {
        session::serve(stream, engine.clone(), password.clone())
    });
    tokio::select! {
        accepted = accepting => accepted,
        () = ended.ended() => Err(io::Error::other("the embedded PostgreSQL ended")),
    }
}
