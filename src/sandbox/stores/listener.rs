//! Accepting connections, as many at once as a store serves.

use std::io;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections at once; further ones wait until one ends.
const CONNECTIONS: usize = 256;

/// Accepts connections and serves each by itself, for ever.
///
/// # Errors
/// When nothing more can be accepted.
pub async fn accept<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = room.clone().acquire_owned().await else { return Ok(()) };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // The peer was gone already, or too many files are open for a moment.
            Err(_) => {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let served = serve(stream);
        tokio::spawn(async move {
            // A connection that breaks concerns its peer alone.
            let _ = served.await;
            drop(place);
        });
    }
}
