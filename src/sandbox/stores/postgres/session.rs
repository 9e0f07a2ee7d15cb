//! A client's session: idle until it asks, then a turn at the engine for one transaction.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::TcpStream;

use super::engine::Engine;
use super::memory::Memory;
use super::startup;
use super::turn::{Ended, Turn};
use super::wire::Wire;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Serves one client until it goes.
///
/// # Errors
/// When its connection or the engine's breaks, or it is not admitted.
pub async fn serve(stream: TcpStream, engine: Arc<Engine>, password: Arc<str>) -> io::Result<()> {
    let mut client = Wire::new(stream);
    startup::admit(&mut client, &password).await?;
    client.put(engine.greeting());
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut memory = Memory::default();
    loop {
        let first = client.next().await?;
        if first.kind() == b'X' {
            return Ok(());
        }
        let mut session = engine.turn().await;
        let known = session.owner.replace(number) == Some(number);
        let mut turn = Turn::new(&engine, &mut session.wire);
        let done = async {
            if !known {
                turn.prepare(&memory).await?;
            }
            turn.serve(first, &mut client, &mut memory).await
        };
        match done.await {
            Ok(()) => {}
            Err(Ended::Client(error)) => {
                if turn.settle().await.is_err() {
                    engine.end();
                }
                drop(session);
                let _ = client.flush().await;
                return Err(error);
            }
            Err(Ended::Engine(error)) => {
                engine.end();
                return Err(error);
            }
        }
    }
}
