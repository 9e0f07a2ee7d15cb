//! Redis: SET and GET of one key of the run's own, which also goes by itself.

use std::sync::Arc;

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;

use super::{Kept, Queried, QueryError, TIMEOUT};
use crate::config::Store;
use crate::platform::store::{StoreError, redis as store, within};

/// If everything else fails the key is gone after this, seconds.
const EXPIRES_AFTER: u32 = 120;

/// What it can be asked.
pub(super) const STEPS: &[&str] = &["set", "get"];

pub(super) struct Redis {
    store: Store,
    key: String,
    client: Kept<MultiplexedConnection>,
}

impl Redis {
    pub(super) fn new(store: Store, key: String) -> Self {
        Self { store, key, client: Kept::new() }
    }

    async fn client(&self) -> Result<Arc<MultiplexedConnection>, StoreError> {
        self.client.get(|| store::connect(&self.store, TIMEOUT)).await
    }

    async fn send<T: redis::FromRedisValue>(
        &self,
        doing: &str,
        command: &redis::Cmd,
    ) -> Result<T, QueryError> {
        let client = self.client().await.map_err(QueryError::connect)?;
        let mut connection = MultiplexedConnection::clone(&client);
        let mut lost = false;
        let asked = async {
            let answered = command.query_async(&mut connection).await;
            lost = answered.as_ref().is_err_and(|error: &redis::RedisError| {
                error.is_connection_dropped() || error.is_io_error() || error.is_timeout()
            });
            answered
        };
        let answered = within(TIMEOUT, doing, asked).await;
        match answered {
            Ok(answer) => Ok(answer),
            Err(error) if lost => {
                self.client.broken(&client).await;
                Err(QueryError::connect(error))
            }
            Err(error) => Err(QueryError::refused(error)),
        }
    }
}

#[async_trait]
impl Queried for Redis {
    fn scratch(&self) -> Option<&str> {
        Some(&self.key)
    }

    async fn prepare(&self) -> Result<(), StoreError> {
        self.client().await.map(drop)
    }

    async fn ask(&self, step: &str, number: u64) -> Result<(), QueryError> {
        if step == "set" {
            let mut set = redis::cmd("SET");
            set.arg(&self.key).arg(number).arg("EX").arg(EXPIRES_AFTER);
            return self.send::<()>("SET", &set).await;
        }
        let get = redis::cmd("GET").arg(&self.key).to_owned();
        self.send::<Option<String>>("GET", &get).await.map(drop)
    }

    async fn remove(&self) -> Result<(), StoreError> {
        let unlink = redis::cmd("UNLINK").arg(&self.key).to_owned();
        self.send::<u64>("UNLINK", &unlink).await.map_err(|error| error.reason)?;
        let exists = redis::cmd("EXISTS").arg(&self.key).to_owned();
        match self.send::<u64>("EXISTS", &exists).await.map_err(|error| error.reason)? {
            0 => Ok(()),
            _ => Err(StoreError::new("UNLINK", "the key is there again")),
        }
    }
}
