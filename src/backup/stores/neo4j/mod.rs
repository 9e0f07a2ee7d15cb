//! Neo4j: nodes with a label of their own, tied to the run by their properties. Ids of the server are
//! not kept by any restore, so that nothing here relies on them.

mod values;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use neo4rs::{BoltMap, BoltType, Graph, Query, Row, query};

use super::{DrillError, DrillStore, Identity, Namespace, RecordSink, Room};
use crate::backup::record::{Record, Value};
use crate::config::{Store, StoreKind};
use crate::platform::store::{StoreError, neo4j, within};

/// Rows asked for at once, and deleted in one transaction.
const PAGE: i64 = 500;
const MARKER: &str = "marker";
/// What Neo4j calls an operation that this user may not do, or nobody in a database that may only be read.
const MAY_NOT: [&str; 2] =
    ["Neo.ClientError.Security.Forbidden", "Neo.ClientError.General.WriteOnReadOnlyAccessDatabase"];
/// Properties that tie a node to the drill; not part of what it holds.
const OURS: [&str; 3] = ["_sd_run", "_sd_id", "_sd_key"];

const NODES: &str = "MATCH (n:ShakedownDrill) WHERE n._sd_key > $after AND n._sd_key < $end \
    WITH n ORDER BY n._sd_key LIMIT $page \
    RETURN n._sd_id AS id, n._sd_key AS key, labels(n) AS labels, \
    [k IN keys(n) | [k, n[k], toStringOrNull(n[k])]] AS properties";
const KEYS: &str = "MATCH (n:ShakedownDrill) WHERE n._sd_key > $after AND n._sd_key < $end \
    WITH n ORDER BY n._sd_key LIMIT $page RETURN n._sd_key AS key";
const LINKS: &str = "MATCH (a:ShakedownDrill)-[r]->(b:ShakedownDrill) WHERE a._sd_key IN $keys \
    RETURN r._sd_id AS id, type(r) AS type, a._sd_id AS from, b._sd_id AS to, \
    [k IN keys(r) | [k, r[k], toStringOrNull(r[k])]] AS properties";
// Of the count store: none of these walks over nodes.
const BYSTANDERS: [(&str, &str, &str); 2] = [
    ("nodes", "MATCH (n) RETURN count(n) AS n", "MATCH (n:ShakedownDrill) RETURN count(n) AS n"),
    (
        "relationships",
        "MATCH ()-[r]->() RETURN count(r) AS n",
        "MATCH (:ShakedownDrill)-[r]->() RETURN count(r) AS n",
    ),
];
const CONSTRAINT: &str = "CREATE CONSTRAINT sd_drill_key IF NOT EXISTS \
    FOR (n:ShakedownDrill) REQUIRE n._sd_key IS UNIQUE";

pub(super) struct Neo4j {
    graph: Graph,
    names: Namespace,
    timeout: Duration,
}

/// Whether it is a matter of rights.
fn may_not(error: &StoreError) -> bool {
    MAY_NOT.iter().any(|code| error.reason.contains(code))
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn column(row: &Row, name: &str) -> Result<BoltType, DrillError> {
    let wrong = |error| DrillError::Wrong(format!("column {name}: {error}"));
    row.get::<BoltType>(name).map_err(wrong)
}

fn text_column(row: &Row, name: &str) -> Result<String, DrillError> {
    match column(row, name)? {
        BoltType::String(text) => Ok(text.value),
        other => Err(DrillError::Wrong(format!("column {name}: expected text, got {other:?}"))),
    }
}

impl Neo4j {
    pub(super) async fn open(
        store: &Store,
        names: Namespace,
        timeout: Duration,
    ) -> Result<Self, DrillError> {
        let graph = neo4j::connect(store, timeout).await?;
        Ok(Self { graph, names, timeout })
    }

    async fn run(&self, doing: &str, query: Query) -> Result<(), StoreError> {
        within(self.timeout, doing, self.graph.run(query)).await.map(drop)
    }

    async fn rows(&self, doing: &str, query: Query) -> Result<Vec<Row>, StoreError> {
        let work = async {
            let mut stream = self.graph.execute(query).await?;
            let mut rows = Vec::new();
            while let Some(row) = stream.next().await? {
                rows.push(row);
            }
            Ok::<_, neo4rs::Error>(rows)
        };
        within(self.timeout, doing, work).await
    }

    async fn number(&self, doing: &str, query: Query) -> Result<u64, DrillError> {
        let rows = self.rows(doing, query).await?;
        match rows.first().map(|row| column(row, "n")).transpose()? {
            Some(BoltType::Integer(number)) => Ok(number.value.max(0) as u64),
            other => Err(DrillError::Wrong(format!("{doing}: expected a number, got {other:?}"))),
        }
    }

    /// How many nodes of ours there are, the marker among them.
    async fn nodes(&self) -> Result<u64, DrillError> {
        let ours = "MATCH (n:ShakedownDrill) WHERE n._sd_run = $run RETURN count(n) AS n";
        self.number("count nodes", query(ours).param("run", self.names.run())).await
    }

    /// Whether the drills' constraint may be there: what never was need not be dropped, which nobody may
    /// in a database that may only be read.
    async fn has_constraint(&self) -> Result<bool, StoreError> {
        let look = query("SHOW CONSTRAINTS YIELD name WHERE name = 'sd_drill_key' RETURN name");
        match self.rows("SHOW CONSTRAINTS", look).await {
            // Whom it is not shown to may still be the one who made it.
            Err(error) if may_not(&error) => Ok(true),
            rows => Ok(!rows?.is_empty()),
        }
    }

    fn key(&self, id: &str) -> String {
        format!("{}:{id}", self.names.run())
    }

    /// A query over our nodes whose keys come after one, in order.
    fn page(&self, text: &str, after: &str) -> Query {
        // The colon's successor ends the run's own range.
        let end = format!("{};", self.names.run());
        query(text).param("after", after).param("end", end).param("page", PAGE)
    }

    async fn read_nodes(&self, sink: &mut dyn RecordSink) -> Result<(), DrillError> {
        let mut after = self.key("");
        loop {
            let rows = self.rows("read nodes", self.page(NODES, &after)).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = text_column(last, "key")?;
            for row in &rows {
                let id = text_column(row, "id")?;
                if id != MARKER {
                    sink.take(Record::new("node", id, node_value(row)?))?;
                }
            }
        }
    }

    async fn read_links(&self, sink: &mut dyn RecordSink) -> Result<(), DrillError> {
        let mut after = self.key("");
        loop {
            let rows = self.rows("read nodes", self.page(KEYS, &after)).await?;
            let keys: Vec<String> =
                rows.iter().map(|row| text_column(row, "key")).collect::<Result<_, _>>()?;
            let Some(last) = keys.last() else { return Ok(()) };
            after.clone_from(last);
            for row in self.rows("read relationships", query(LINKS).param("keys", keys)).await? {
                let value = Value::map([
                    ("type", Value::Text(text_column(&row, "type")?)),
                    ("from", Value::Text(text_column(&row, "from")?)),
                    ("to", Value::Text(text_column(&row, "to")?)),
                    ("properties", values::read_properties(column(&row, "properties")?, &OURS)?),
                ]);
                sink.take(Record::new("relationship", text_column(&row, "id")?, value))?;
            }
        }
    }

    /// Creates records that share labels or type, and then sets what no parameter carries.
    async fn create(&self, pattern: &str, records: &[&Record]) -> Result<(), DrillError> {
        let rows: Vec<BoltType> =
            records.iter().map(|record| BoltType::Map(self.parameters(record))).collect();
        let made = query(pattern).param("rows", rows);
        let made = self.number("create", made).await?;
        if made != records.len() as u64 {
            let expected = records.len();
            return Err(DrillError::Wrong(format!("create: expected {expected}, got {made}")));
        }
        for record in records {
            for (name, kind, text) in values::by_function(&record.value) {
                let set = self.set_by_function(record, name, kind);
                let set = set.param("key", self.key(&record.key)).param("value", text);
                self.run("set a property", set).await?;
            }
        }
        Ok(())
    }

    fn set_by_function(&self, record: &Record, name: &str, kind: &str) -> Query {
        let target = if record.kind == "node" {
            "MATCH (x:ShakedownDrill {_sd_key: $key})".to_owned()
        } else {
            let kind = record.value.get("type").and_then(Value::as_text).unwrap_or_default();
            format!("MATCH (:ShakedownDrill)-[x:{} {{_sd_key: $key}}]->()", quoted(kind))
        };
        query(&format!("{target} SET x.{} = {kind}($value)", quoted(name)))
    }

    fn parameters(&self, record: &Record) -> BoltMap {
        let mut properties = values::write_properties(record.value.get("properties"));
        properties.put("_sd_run".into(), self.names.run().into());
        properties.put("_sd_id".into(), record.key.as_str().into());
        properties.put("_sd_key".into(), self.key(&record.key).into());
        let mut row = BoltMap::new();
        row.put("p".into(), BoltType::Map(properties));
        for end in ["from", "to"] {
            if let Some(id) = record.value.get(end).and_then(Value::as_text) {
                row.put(end.into(), self.key(id).into());
            }
        }
        row
    }
}

fn node_value(row: &Row) -> Result<Value, DrillError> {
    let mut labels = match column(row, "labels")? {
        BoltType::List(labels) => labels.value.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    labels.retain(|label| label != "ShakedownDrill");
    // They have no order.
    labels.sort();
    Ok(Value::map([
        ("labels", Value::List(labels.into_iter().map(Value::Text).collect())),
        ("properties", values::read_properties(column(row, "properties")?, &OURS)?),
    ]))
}

/// What records have in common that cannot be a parameter, as the query that creates them.
fn pattern(record: &Record) -> String {
    if record.kind == "node" {
        let labels = record.value.get("labels").map(Value::items).unwrap_or_default();
        let labels: String =
            labels.iter().filter_map(Value::as_text).map(|l| format!(":{}", quoted(l))).collect();
        return format!(
            "UNWIND $rows AS row CREATE (n:ShakedownDrill{labels}) SET n = row.p RETURN count(n) AS n"
        );
    }
    let kind = quoted(record.value.get("type").and_then(Value::as_text).unwrap_or_default());
    format!(
        "UNWIND $rows AS row MATCH (a:ShakedownDrill {{_sd_key: row.from}}), \
        (b:ShakedownDrill {{_sd_key: row.to}}) CREATE (a)-[r:{kind}]->(b) SET r = row.p \
        RETURN count(r) AS n"
    )
}

#[async_trait]
impl DrillStore for Neo4j {
    fn kind(&self) -> StoreKind {
        StoreKind::Neo4j
    }

    async fn identify(&self) -> Result<Identity, DrillError> {
        let components = query(
            "CALL dbms.components() YIELD versions, edition RETURN versions[0] AS version, edition",
        );
        let rows = self.rows("version", components).await?;
        let row = rows.first().ok_or_else(|| DrillError::Wrong("it has no version".into()))?;
        let server =
            format!("Neo4j {} {}", text_column(row, "version")?, text_column(row, "edition")?);
        let rows =
            self.rows("identity", query("CALL db.info() YIELD id, name RETURN id, name")).await?;
        let row = rows.first().ok_or_else(|| DrillError::Wrong("it has no identity".into()))?;
        let id = format!("{}/{}", text_column(row, "id")?, text_column(row, "name")?);
        Ok(Identity { server, id, not_covered: vec!["users, roles and foreign indexes".into()] })
    }

    async fn room(&self) -> Result<Room, DrillError> {
        Ok(Room { free_bytes: None })
    }

    async fn bystanders(&self) -> Result<Vec<(String, u64)>, DrillError> {
        let mut counts = Vec::new();
        for (what, all, ours) in BYSTANDERS {
            let all = self.number(what, query(all)).await?;
            let ours = self.number(what, query(ours)).await?;
            counts.push((what.to_owned(), all.saturating_sub(ours)));
        }
        Ok(counts)
    }

    async fn prepare(&self) -> Result<(), DrillError> {
        self.run("CREATE CONSTRAINT", query(CONSTRAINT)).await?;
        if self.nodes().await? > 0 {
            return Err(self.names.exists());
        }
        let create =
            "CREATE (:ShakedownDrill {_sd_run: $run, _sd_id: $id, _sd_key: $key, marker: $marker})";
        let create = query(create)
            .param("run", self.names.run())
            .param("id", MARKER)
            .param("key", self.key(MARKER))
            .param("marker", self.names.marker());
        Ok(self.run("create the marker", create).await?)
    }

    async fn marker(&self) -> Result<Option<String>, DrillError> {
        let find = "MATCH (n:ShakedownDrill {_sd_key: $key}) RETURN n.marker AS marker";
        let rows = self.rows("marker", query(find).param("key", self.key(MARKER))).await?;
        rows.first().map(|row| text_column(row, "marker")).transpose()
    }

    async fn write(&self, records: &[Record]) -> Result<(), DrillError> {
        let mut groups: BTreeMap<String, Vec<&Record>> = BTreeMap::new();
        for record in records {
            groups.entry(pattern(record)).or_default().push(record);
        }
        for (pattern, records) in groups {
            self.create(&pattern, &records).await?;
        }
        Ok(())
    }

    async fn read(&self, sink: &mut dyn RecordSink) -> Result<(), DrillError> {
        self.read_nodes(sink).await?;
        self.read_links(sink).await
    }

    async fn count(&self) -> Result<u64, DrillError> {
        let nodes = "MATCH (n:ShakedownDrill) WHERE n._sd_run = $run AND n._sd_id <> $marker RETURN count(n) AS n";
        let links = "MATCH (a:ShakedownDrill)-[r]->() WHERE a._sd_run = $run RETURN count(r) AS n";
        let of_run =
            |text: &str| query(text).param("run", self.names.run()).param("marker", MARKER);
        Ok(self.number("count nodes", of_run(nodes)).await?
            + self.number("count relationships", of_run(links)).await?)
    }

    async fn destroy(&self) -> Result<(), DrillError> {
        let nodes = self.nodes().await?;
        if !self.names.check(self.marker().await?.as_deref())? && nodes > 0 {
            return Err(self.names.unmarked());
        }
        let some = "MATCH (n:ShakedownDrill {_sd_run: $run}) WHERE n._sd_id <> $marker OR $last \
            WITH n LIMIT $page DETACH DELETE n RETURN count(*) AS n";
        // The marker last, so that what an interruption leaves is still known as ours.
        for last in [false, true].into_iter().filter(|_| nodes > 0) {
            let more = || {
                let some = query(some).param("run", self.names.run()).param("page", PAGE);
                some.param("marker", MARKER).param("last", last)
            };
            while self.number("delete", more()).await? > 0 {}
        }
        let left = query("MATCH (n:ShakedownDrill) RETURN count(n) AS n");
        if self.number("nodes of other drills", left).await? == 0 && self.has_constraint().await? {
            let drop = query("DROP CONSTRAINT sd_drill_key IF EXISTS");
            match self.run("DROP CONSTRAINT", drop).await {
                // Who may not drop it has not made it.
                Err(error) if nodes == 0 && may_not(&error) => {}
                done => done?,
            }
        }
        Ok(())
    }

    async fn residue(&self) -> Result<Vec<String>, DrillError> {
        let (left, name) = (self.nodes().await?, self.names.name());
        Ok((left > 0).then(|| format!("{left} nodes of {name}")).into_iter().collect())
    }

    async fn smoke(&self, document: &str) -> Result<String, DrillError> {
        let find = "MATCH (u:User)-[:WROTE]->(d:ShakedownDrill {_sd_key: $key})-[:ABOUT]->(t:Topic) \
            RETURN t.name AS topic";
        let rows = self.rows("smoke query", query(find).param("key", self.key(document))).await?;
        let [row] = rows.as_slice() else {
            return Err(DrillError::Wrong(format!(
                "expected one path through {document}, got {}",
                rows.len()
            )));
        };
        let topic = text_column(row, "topic")?;
        Ok(format!("{document} is about {topic} (a path of two relationships)"))
    }
}
