//! PostgreSQL: a schema of its own, marked by its comment. Rows travel as `COPY` writes them, which is
//! exact and the same in every version.

mod catalog;
mod text;

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt, pin_mut};
use tokio::sync::Mutex;
use tokio_postgres::{Client, Transaction};

use super::{DrillError, DrillStore, Identity, Namespace, RecordSink, Room};
use crate::backup::ledger::hex;
use crate::backup::record::{Record, Value};
use crate::config::{Store, StoreKind};
use crate::platform::store::{StoreError, postgres, within};

/// Rows are sent in pieces of about this size.
const PIECE_BYTES: usize = 256 * 1024;

pub(super) struct Postgres {
    client: Mutex<Client>,
    names: Namespace,
    timeout: Duration,
}

/// The client's own words for an answer of the server are "db error".
fn said(doing: &str) -> impl FnOnce(tokio_postgres::Error) -> StoreError + '_ {
    move |error| match error.as_db_error() {
        Some(answer) => {
            StoreError::new(doing, format!("{} ({})", answer.message(), answer.code().code()))
        }
        None => StoreError::new(doing, error),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn text_of<'a>(value: &'a Value, name: &str) -> Result<&'a str, DrillError> {
    let missing = || DrillError::Wrong(format!("a definition has no `{name}`"));
    value.get(name).and_then(Value::as_text).ok_or_else(missing)
}

impl Postgres {
    pub(super) async fn open(
        store: &Store,
        names: Namespace,
        timeout: Duration,
    ) -> Result<Self, DrillError> {
        let client = postgres::connect(store, timeout).await?;
        let path = format!("SET search_path TO {}", quoted(&names.name()));
        client.batch_execute(&path).await.map_err(said("search path"))?;
        Ok(Self { client: Mutex::new(client), names, timeout })
    }

    async fn execute(&self, doing: &str, statement: &str) -> Result<(), StoreError> {
        let client = self.client.lock().await;
        let work = async { client.batch_execute(statement).await.map_err(said(doing)) };
        match tokio::time::timeout(self.timeout, work).await {
            Ok(done) => done,
            Err(_) => Err(StoreError::new(doing, format!("no answer within {:?}", self.timeout))),
        }
    }

    async fn number(&self, doing: &str, query: &str) -> Result<u64, StoreError> {
        let client = self.client.lock().await;
        let schema = self.names.name();
        let row = client.query_one(query, &[&schema]).await.map_err(said(doing))?;
        Ok(row.try_get::<_, i64>(0).map_err(said(doing))?.max(0) as u64)
    }

    /// Creates what a record defines.
    async fn define(&self, record: &Record) -> Result<(), DrillError> {
        let doing = record.name();
        let statement = match record.kind.as_str() {
            "table" => catalog::create_table(record)?,
            "sequence" => format!(
                "{}; {}",
                text_of(&record.value, "create")?,
                catalog::set_sequence(&quoted(&record.key), &record.value)
            ),
            _ => text_of(&record.value, "create")?.to_owned(),
        };
        Ok(self.execute(&doing, &statement).await?)
    }

    async fn copy_in(&self, table: &str, records: &[Record]) -> Result<(), DrillError> {
        let client = self.client.lock().await;
        let doing = format!("COPY {table} FROM STDIN");
        let columns = catalog::writable_columns(&client, &self.names.name(), table).await?;
        let list: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
        let statement = format!("COPY {} ({}) FROM STDIN", quoted(table), list.join(", "));
        let sink = client.copy_in::<_, Bytes>(&statement).await.map_err(said(&doing))?;
        pin_mut!(sink);
        let mut piece = BytesMut::new();
        for (at, record) in records.iter().enumerate() {
            text::write_row(&mut piece, &columns, &record.value);
            if piece.len() >= PIECE_BYTES || at + 1 == records.len() {
                let sent = async { sink.send(piece.split().freeze()).await.map_err(said(&doing)) };
                within(self.timeout, &doing, sent).await?;
            }
        }
        // Without its end the server takes the whole copy back.
        let rows =
            within(self.timeout, &doing, async { sink.finish().await.map_err(said(&doing)) });
        let rows = rows.await?;
        if rows == records.len() as u64 {
            return Ok(());
        }
        let wrong = format!("{doing}: expected {} rows, the server took {rows}", records.len());
        Err(DrillError::Wrong(wrong))
    }

    async fn copy_out(
        &self,
        transaction: &Transaction<'_>,
        table: &catalog::Table,
        sink: &mut dyn RecordSink,
    ) -> Result<(), DrillError> {
        let doing = format!("COPY {} TO STDOUT", table.name);
        let list: Vec<String> = table.columns.iter().map(|name| quoted(name)).collect();
        let statement =
            format!("COPY (SELECT {} FROM {}) TO STDOUT", list.join(", "), quoted(&table.name));
        let stream = transaction.copy_out(&statement).await.map_err(said(&doing))?;
        pin_mut!(stream);
        let kind = format!("row {}", table.name);
        // One message need not be one row.
        let mut lines = text::Lines::default();
        loop {
            let next = within(self.timeout, &doing, async {
                stream.next().await.transpose().map_err(said(&doing))
            });
            let Some(bytes) = next.await? else { break };
            lines.push(&bytes);
            while let Some(line) = lines.next() {
                let value = text::read_row(&table.columns, &line).map_err(DrillError::Wrong)?;
                sink.take(Record::new(&kind, row_key(table, &value, &line), value))?;
            }
        }
        Ok(())
    }
}

/// The primary key's values; without one, the digest of the whole row.
fn row_key(table: &catalog::Table, value: &Value, line: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let parts: Vec<&str> =
        table.key.iter().filter_map(|name| value.get(name).and_then(Value::as_text)).collect();
    if parts.is_empty() { hex(&Sha256::digest(line)[..8]) } else { parts.join("/") }
}

#[async_trait]
impl DrillStore for Postgres {
    fn kind(&self) -> StoreKind {
        StoreKind::Postgres
    }

    async fn identify(&self) -> Result<Identity, DrillError> {
        let client = self.client.lock().await;
        let doing = "server's identity";
        let query = "SELECT version(), current_database()::text, pg_is_in_recovery()";
        let row = client.query_one(query, &[]).await.map_err(said(doing))?;
        if row.get(2) {
            let reason = "it is a standby: expected the primary, which takes writes";
            return Err(DrillError::Refused(reason.into()));
        }
        let (version, database): (String, String) = (row.get(0), row.get(1));
        let system = "SELECT system_identifier::text FROM pg_control_system()";
        // Not everyone may ask that everywhere; the database's own name and age do as well.
        let id: String = match client.query_one(system, &[]).await {
            Ok(row) => row.get(0),
            Err(_) => "unknown system".into(),
        };
        let server = version.split(" on ").next().unwrap_or(&version).to_owned();
        let not_covered = vec!["roles, tablespaces, extensions and large objects".to_owned()];
        Ok(Identity { server, id: format!("{id}/{database}"), not_covered })
    }

    async fn room(&self) -> Result<Room, DrillError> {
        Ok(Room { free_bytes: None })
    }

    async fn bystanders(&self) -> Result<Vec<(String, u64)>, DrillError> {
        let schemas = "SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname <> $1 \
            AND nspname !~ '^(pg_|sd_drill_)'";
        let tables = "SELECT count(*) FROM pg_catalog.pg_stat_user_tables WHERE schemaname <> $1 \
            AND schemaname !~ '^sd_drill_'";
        let rows = "SELECT coalesce(sum(n_live_tup), 0)::bigint \
            FROM pg_catalog.pg_stat_user_tables WHERE schemaname <> $1 AND schemaname !~ '^sd_drill_'";
        Ok(vec![
            ("schemas".into(), self.number("schemas", schemas).await?),
            ("tables".into(), self.number("tables", tables).await?),
            ("rows, estimated".into(), self.number("rows", rows).await?),
        ])
    }

    async fn prepare(&self) -> Result<(), DrillError> {
        let (schema, marker) = (quoted(&self.names.name()), self.names.marker());
        let statement = format!(
            "BEGIN; CREATE SCHEMA {schema}; COMMENT ON SCHEMA {schema} IS '{marker}'; COMMIT"
        );
        let made = self.execute("CREATE SCHEMA", &statement).await;
        if made.is_err() {
            let _ = self.execute("ROLLBACK", "ROLLBACK").await;
        }
        Ok(made?)
    }

    async fn marker(&self) -> Result<Option<String>, DrillError> {
        let client = self.client.lock().await;
        let query = "SELECT obj_description(oid, 'pg_namespace') FROM pg_catalog.pg_namespace \
            WHERE nspname = $1";
        let row = client.query_opt(query, &[&self.names.name()]).await.map_err(said("marker"))?;
        Ok(row.and_then(|row| row.get(0)))
    }

    async fn write(&self, records: &[Record]) -> Result<(), DrillError> {
        let Some(first) = records.first() else { return Ok(()) };
        match first.kind.strip_prefix("row ") {
            Some(table) => self.copy_in(table, records).await,
            None => {
                for record in records {
                    self.define(record).await?;
                }
                Ok(())
            }
        }
    }

    async fn read(&self, sink: &mut dyn RecordSink) -> Result<(), DrillError> {
        let mut client = self.client.lock().await;
        let begin = client
            .build_transaction()
            .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
            .read_only(true);
        let transaction = begin.start().await.map_err(said("BEGIN"))?;
        let schema = self.names.name();
        catalog::read_types(&transaction, &schema, sink).await?;
        catalog::read_sequences(&transaction, &schema, sink).await?;
        let tables = catalog::read_tables(&transaction, &schema, sink).await?;
        for table in &tables {
            self.copy_out(&transaction, table, sink).await?;
        }
        catalog::read_constraints(&transaction, &schema, sink).await?;
        Ok(transaction.commit().await.map_err(said("COMMIT"))?)
    }

    async fn count(&self) -> Result<u64, DrillError> {
        let client = self.client.lock().await;
        let names = "SELECT relname::text FROM pg_catalog.pg_class \
            WHERE relkind = 'r' AND relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1)";
        let tables = client.query(names, &[&self.names.name()]).await.map_err(said("tables"))?;
        let mut count = 0;
        for table in tables {
            let query = format!("SELECT count(*) FROM {}", quoted(table.get(0)));
            let row = client.query_one(&query, &[]).await.map_err(said("count"))?;
            count += row.get::<_, i64>(0).max(0) as u64;
        }
        Ok(count)
    }

    async fn destroy(&self) -> Result<(), DrillError> {
        let outside = self.number("who depends on it", catalog::DEPENDENTS).await?;
        if outside > 0 {
            return Err(DrillError::Refused(format!(
                "{outside} objects of other schemas depend on {}: dropping it would drop them",
                self.names.name()
            )));
        }
        let statement = format!("DROP SCHEMA IF EXISTS {} CASCADE", quoted(&self.names.name()));
        Ok(self.execute("DROP SCHEMA", &statement).await?)
    }

    async fn residue(&self) -> Result<Vec<String>, DrillError> {
        let query = "SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname = $1";
        let there = self.number("schema", query).await? > 0;
        Ok(there.then(|| format!("schema {}", self.names.name())).into_iter().collect())
    }

    async fn smoke(&self, document: &str) -> Result<String, DrillError> {
        let client = self.client.lock().await;
        let query = "SELECT d.topic, u.name FROM documents d JOIN users u ON u.id = d.author \
            WHERE d.id = $1";
        let row = client.query_one(query, &[&document]).await.map_err(said("smoke query"))?;
        let (topic, author): (String, String) = (row.get(0), row.get(1));
        Ok(format!("{document} is about {topic}, by {author} (a join over two tables)"))
    }
}
