//! PostgreSQL: a schema of its own, marked by its comment. Rows travel as `COPY` writes them, which is
//! exact and the same in every version.

mod catalog;
mod text;

use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt, pin_mut};
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::{Client, Row, Transaction};

use self::catalog::Catalog;

use super::{DrillError, DrillStore, Identity, Namespace, RecordSink, Room};
use crate::backup::ledger::hex;
use crate::backup::record::{Record, Value};
use crate::config::{Store, StoreKind};
use crate::platform::store::{StoreError, postgres};

/// Rows are sent in pieces of about this size.
const PIECE_BYTES: usize = 256 * 1024;
const SCHEMA: &str = "SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname = $1";

pub(super) struct Postgres {
    store: Store,
    client: Mutex<Option<Client>>,
    names: Namespace,
    timeout: Duration,
}

/// The client for one piece of work. One that is not kept afterwards is closed, because nobody knows
/// what the server still makes of what failed.
struct Session<'a> {
    slot: MutexGuard<'a, Option<Client>>,
    client: Client,
}

impl Session<'_> {
    fn keep(mut self) {
        *self.slot = Some(self.client);
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
        let opened = Self { store: store.clone(), client: Mutex::new(None), names, timeout };
        opened.session().await?.keep();
        Ok(opened)
    }

    /// The one session, opened again when it broke.
    async fn session(&self) -> Result<Session<'_>, StoreError> {
        let mut slot = self.client.lock().await;
        if let Some(client) = slot.take().filter(|client| !client.is_closed()) {
            return Ok(Session { slot, client });
        }
        let client = postgres::connect(&self.store, self.timeout).await?;
        let path = format!("SET search_path TO {}", quoted(&self.names.name()));
        self.answered("search path", client.batch_execute(&path)).await?;
        Ok(Session { slot, client })
    }

    async fn answered<T>(
        &self,
        doing: &str,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        postgres::answered(self.timeout, doing, work).await
    }

    async fn execute(&self, doing: &str, statement: &str) -> Result<(), StoreError> {
        let session = self.session().await?;
        self.answered(doing, session.client.batch_execute(statement)).await?;
        session.keep();
        Ok(())
    }

    /// The first row of a query about our schema, if there is one.
    async fn row(&self, doing: &str, query: &str) -> Result<Option<Row>, StoreError> {
        let session = self.session().await?;
        let schema = self.names.name();
        let row = self.answered(doing, session.client.query_opt(query, &[&schema])).await?;
        session.keep();
        Ok(row)
    }

    async fn number(&self, doing: &str, query: &str) -> Result<u64, StoreError> {
        let row = self.row(doing, query).await?;
        let number: i64 = row
            .map(|row| row.try_get(0))
            .transpose()
            .map_err(StoreError::when(doing))?
            .unwrap_or(0);
        Ok(number.max(0) as u64)
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
        let session = self.session().await?;
        let doing = format!("COPY {table} FROM STDIN");
        let catalog =
            Catalog { client: &session.client, schema: &self.names.name(), timeout: self.timeout };
        let columns = catalog.writable_columns(table).await?;
        let list: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
        let statement = format!("COPY {} ({}) FROM STDIN", quoted(table), list.join(", "));
        let sink = session.client.copy_in::<_, Bytes>(&statement);
        let sink = self.answered(&doing, sink).await?;
        pin_mut!(sink);
        let mut piece = BytesMut::new();
        for (at, record) in records.iter().enumerate() {
            text::write_row(&mut piece, &columns, &record.value);
            if piece.len() >= PIECE_BYTES || at + 1 == records.len() {
                self.answered(&doing, sink.send(piece.split().freeze())).await?;
            }
        }
        // Without its end the server takes the whole copy back.
        let rows = self.answered(&doing, sink.finish()).await?;
        session.keep();
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
        let stream = self.answered(&doing, transaction.copy_out(&statement)).await?;
        pin_mut!(stream);
        let kind = format!("row {}", table.name);
        // One message need not be one row.
        let mut lines = text::Lines::default();
        loop {
            let next = async { stream.next().await.transpose() };
            let Some(bytes) = self.answered(&doing, next).await? else { break };
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
        let query =
            "SELECT version(), current_database()::text, pg_is_in_recovery() WHERE $1 <> ''";
        let row = self.row("server's identity", query).await?;
        let row = row.ok_or_else(|| DrillError::Wrong("it has no identity".into()))?;
        if row.get(2) {
            let reason = "it is a standby: expected the primary, which takes writes";
            return Err(DrillError::Refused(reason.into()));
        }
        let (version, database): (String, String) = (row.get(0), row.get(1));
        let system = "SELECT system_identifier::text FROM pg_control_system() WHERE $1 <> ''";
        // Not everyone may ask that everywhere.
        let id = match self.row("system identifier", system).await {
            Ok(row) => row.map(|row| row.get(0)),
            Err(_) => None,
        };
        let id = id.unwrap_or_else(|| self.store.url.clone());
        let server = version.split(" on ").next().unwrap_or(&version);
        let not_covered = vec!["roles, tablespaces, extensions and large objects".to_owned()];
        let server = crate::platform::text::excerpt(server);
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
        if self.number("schema", SCHEMA).await? > 0 {
            return Err(self.names.exists());
        }
        let (schema, marker) = (quoted(&self.names.name()), self.names.marker());
        // One statement string is one transaction.
        let statement = format!("CREATE SCHEMA {schema}; COMMENT ON SCHEMA {schema} IS '{marker}'");
        Ok(self.execute("CREATE SCHEMA", &statement).await?)
    }

    async fn marker(&self) -> Result<Option<String>, DrillError> {
        let query = "SELECT obj_description(oid, 'pg_namespace') FROM pg_catalog.pg_namespace \
            WHERE nspname = $1";
        Ok(self.row("marker", query).await?.and_then(|row| row.get(0)))
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
        let mut session = self.session().await?;
        let begin = session
            .client
            .build_transaction()
            .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
            .read_only(true);
        let transaction = self.answered("BEGIN", begin.start()).await?;
        let schema = self.names.name();
        let catalog = Catalog { client: &transaction, schema: &schema, timeout: self.timeout };
        catalog.read_types(sink).await?;
        catalog.read_sequences(sink).await?;
        let tables = catalog.read_tables(sink).await?;
        for table in &tables {
            self.copy_out(&transaction, table, sink).await?;
        }
        catalog.read_constraints(sink).await?;
        self.answered("COMMIT", transaction.commit()).await?;
        session.keep();
        Ok(())
    }

    async fn count(&self) -> Result<u64, DrillError> {
        let session = self.session().await?;
        let schema = self.names.name();
        let catalog = Catalog { client: &session.client, schema: &schema, timeout: self.timeout };
        let mut count = 0;
        for table in catalog.tables().await? {
            let query = format!("SELECT count(*) FROM {}", quoted(&table));
            let row = self.answered("count", session.client.query_one(&query, &[])).await?;
            count += row.get::<_, i64>(0).max(0) as u64;
        }
        session.keep();
        Ok(count)
    }

    async fn destroy(&self) -> Result<(), DrillError> {
        if !self.names.check(self.marker().await?.as_deref())? {
            let there = self.number("schema", SCHEMA).await? > 0;
            return if there { Err(self.names.unmarked()) } else { Ok(()) };
        }
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
        let there = self.number("schema", SCHEMA).await? > 0;
        Ok(there.then(|| format!("schema {}", self.names.name())).into_iter().collect())
    }

    async fn smoke(&self, document: &str) -> Result<String, DrillError> {
        let session = self.session().await?;
        let query = "SELECT d.topic, u.name FROM documents d JOIN users u ON u.id = d.author \
            WHERE d.id = $1";
        let row =
            self.answered("smoke query", session.client.query_one(query, &[&document])).await?;
        session.keep();
        let (topic, author): (String, String) = (row.get(0), row.get(1));
        Ok(format!("{document} is about {topic}, by {author} (a join over two tables)"))
    }
}
