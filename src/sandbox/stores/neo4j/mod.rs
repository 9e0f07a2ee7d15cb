//! Bolt 4 over a small graph of our own, with a part of Cypher: patterns of fixed length, the clauses
//! that read and write them, constraints of uniqueness that hold. What is not supported is refused
//! with Neo4j's code for it.

mod ast;
mod bolt;
mod error;
mod evaluate;
mod execute;
mod functions;
mod graph;
mod lexer;
mod matching;
mod operators;
pub mod packstream;
mod parse_expression;
mod parse_schema;
pub mod parser;
mod procedures;
mod session;
mod temporal;
#[cfg(test)]
mod tests;
mod tokens;
mod value;
mod write;

use std::io;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::listener;
use session::{Server, Session};

/// Serves until it is dropped.
///
/// # Errors
/// When nothing more can be accepted.
pub async fn serve(listener: TcpListener, password: &str) -> io::Result<()> {
    let server = Arc::new(Server {
        graph: Arc::default(),
        password: password.to_owned(),
        address: listener.local_addr()?.to_string(),
    });
    listener::accept(listener, move |stream| converse(server.clone(), stream)).await
}

async fn converse(server: Arc<Server>, mut stream: TcpStream) -> io::Result<()> {
    if bolt::shake_hands(&mut stream).await?.is_none() {
        return stream.shutdown().await;
    }
    let mut session = Session::new(server);
    while !session.ended
        && let Some(bytes) = bolt::receive(&mut stream).await?
    {
        // Bytes that are no message end the connection: nothing after them could be trusted.
        let message = packstream::read_message(&bytes).map_err(io::Error::other)?;
        let mut sent = Vec::new();
        for answer in session.answer(message).await {
            bolt::put(&mut sent, &answer);
        }
        stream.write_all(&sent).await?;
    }
    stream.shutdown().await
}
