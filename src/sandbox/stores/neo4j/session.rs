//! One connection: its login, its transaction, and the rows that it has not fetched yet.

use std::sync::Arc;
use std::time::Duration;
use std::vec::IntoIter;

use tokio::sync::{Mutex, OwnedMutexGuard};

use super::error::{Failure, code};
use super::execute::{Answer, Kind, execute};
use super::graph::Graph;
use super::packstream::{Message, Writer};
use super::parser::parse;
use super::value::{Map, NodeId, Value};
use crate::sandbox::stores::limits;

/// How long a statement waits for another transaction to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// The only user and the only database.
const NAME: &str = "neo4j";

/// Tags of messages.
mod tag {
    pub const HELLO: u8 = 0x01;
    pub const GOODBYE: u8 = 0x02;
    pub const RESET: u8 = 0x0f;
    pub const RUN: u8 = 0x10;
    pub const BEGIN: u8 = 0x11;
    pub const COMMIT: u8 = 0x12;
    pub const ROLLBACK: u8 = 0x13;
    pub const DISCARD: u8 = 0x2f;
    pub const PULL: u8 = 0x3f;
    pub const ROUTE: u8 = 0x66;
    pub const SUCCESS: u8 = 0x70;
    pub const RECORD: u8 = 0x71;
    pub const IGNORED: u8 = 0x7e;
    pub const FAILURE: u8 = 0x7f;
}

/// What all connections share.
pub struct Server {
    /// The graph. One transaction at a time has it.
    pub graph: Arc<Mutex<Graph>>,
    /// The password.
    pub password: String,
    /// Where clients find the server.
    pub address: String,
}

/// A connection.
pub struct Session {
    server: Arc<Server>,
    admitted: bool,
    failed: bool,
    /// The graph, for as long as a transaction of the client's own has it.
    transaction: Option<Transaction>,
    result: Option<Fetched>,
    /// Whether it is to be closed after the answer.
    pub ended: bool,
}

enum Transaction {
    /// Begun, and nothing asked yet.
    Open,
    /// At work.
    Holding(OwnedMutexGuard<Graph>),
}

/// Rows as they will be sent, and what is said after the last.
struct Fetched {
    rows: IntoIter<Writer>,
    kind: Kind,
}

type Answers = Vec<Writer>;

impl Session {
    /// A new one.
    pub const fn new(server: Arc<Server>) -> Self {
        Self {
            server,
            admitted: false,
            failed: false,
            transaction: None,
            result: None,
            ended: false,
        }
    }

    /// Answers a message.
    pub async fn answer(&mut self, message: Message) -> Answers {
        let Message { tag, fields } = message;
        match tag {
            tag::GOODBYE => {
                self.ended = true;
                return Vec::new();
            }
            tag::RESET => {
                self.roll_back();
                (self.failed, self.result) = (false, None);
                return vec![success(&Map::new())];
            }
            _ if self.failed => return vec![plain(tag::IGNORED)],
            _ => {}
        }
        self.carry_out(tag, &fields).await.unwrap_or_else(|failure| {
            self.failed = true;
            // A login is tried once on a connection.
            self.ended = !self.admitted;
            self.result = None;
            vec![failed(&failure)]
        })
    }

    async fn carry_out(&mut self, tag: u8, fields: &[Value]) -> Result<Answers, Failure> {
        if tag != tag::HELLO && !self.admitted {
            return Err(Failure::new(code::UNAUTHORIZED, "expected HELLO first"));
        }
        match (tag, fields) {
            (tag::HELLO, [Value::Map(hello)]) => self.log_in(hello),
            (tag::RUN, [Value::String(text), Value::Map(parameters), extra @ ..]) => {
                check_database(extra.first())?;
                self.run(text, parameters).await
            }
            (tag::PULL | tag::DISCARD, [Value::Map(extra)]) => self.fetch(tag == tag::PULL, extra),
            (tag::BEGIN, [extra]) => {
                check_database(Some(extra))?;
                if self.transaction.is_some() || self.result.is_some() {
                    return Err(Failure::new(
                        code::REQUEST,
                        "a transaction or a result is open already",
                    ));
                }
                self.transaction = Some(Transaction::Open);
                Ok(vec![success(&Map::new())])
            }
            (tag::COMMIT, []) => {
                match self.transaction.take() {
                    None => return Err(Failure::new(code::REQUEST, "no transaction is open")),
                    Some(Transaction::Open) => {}
                    Some(Transaction::Holding(mut graph)) => graph.commit(),
                }
                self.result = None;
                Ok(vec![success(&[("bookmark".to_owned(), Value::text("sandbox:0"))].into())])
            }
            (tag::ROLLBACK, []) => {
                self.roll_back();
                self.result = None;
                Ok(vec![success(&Map::new())])
            }
            (tag::ROUTE, _) => Ok(vec![success(&self.routes())]),
            _ => Err(Failure::new(code::REQUEST, format!("no message of Bolt 4: {tag:#04x}"))),
        }
    }

    fn log_in(&mut self, hello: &Map) -> Result<Answers, Failure> {
        let text = |name: &str| match hello.get(name) {
            Some(Value::String(text)) => text.as_str(),
            _ => "",
        };
        let known = text("scheme") == "basic"
            && text("principal") == NAME
            && limits::same_secret(text("credentials").as_bytes(), self.server.password.as_bytes());
        if !known {
            let reason = "The client is unauthorized due to authentication failure.";
            return Err(Failure::new(code::UNAUTHORIZED, reason));
        }
        self.admitted = true;
        let said = [
            ("server", Value::text(format!("Neo4j/{}", super::procedures::VERSION))),
            ("connection_id", Value::text(format!("bolt-{:08x}", rand::random::<u32>()))),
            ("hints", Value::Map(Map::new())),
        ];
        Ok(vec![success(&said.map(|(name, value)| (name.to_owned(), value)).into())])
    }

    async fn run(&mut self, text: &str, parameters: &Map) -> Result<Answers, Failure> {
        if self.result.is_some() && self.transaction.is_none() {
            return Err(Failure::new(code::REQUEST, "the result before is not fetched yet"));
        }
        let statement = parse(text)?;
        if limits::is_full() {
            return Err(Failure::new(code::MEMORY, "the sandbox's store holds as much as it may"));
        }
        let (answer, rows) = match &mut self.transaction {
            Some(Transaction::Holding(graph)) => {
                let answer = execute(graph, &statement, parameters)?;
                let rows = records(graph, &answer);
                (answer, rows)
            }
            transaction => {
                let mut graph = lock(&self.server).await?;
                let answer = execute(&mut graph, &statement, parameters)?;
                let rows = records(&graph, &answer);
                if transaction.is_some() {
                    *transaction = Some(Transaction::Holding(graph));
                } else {
                    graph.commit();
                }
                (answer, rows)
            }
        };
        self.result = Some(Fetched { rows: rows.into_iter(), kind: answer.kind });
        let columns = answer.columns.into_iter().map(Value::String).collect();
        let said =
            [("fields", Value::List(columns)), ("t_first", Value::Int(0)), ("qid", Value::Int(0))];
        Ok(vec![success(&said.map(|(name, value)| (name.to_owned(), value)).into())])
    }

    fn fetch(&mut self, wanted: bool, extra: &Map) -> Result<Answers, Failure> {
        let no_result = || Failure::new(code::REQUEST, "there is no result to fetch");
        let fetched = self.result.as_mut().ok_or_else(no_result)?;
        let number = match extra.get("n") {
            Some(Value::Int(number)) if *number > 0 => {
                usize::try_from(*number).unwrap_or(usize::MAX)
            }
            _ => usize::MAX,
        };
        let mut answers: Answers = fetched.rows.by_ref().take(number).collect();
        if !wanted {
            answers.clear();
        }
        if fetched.rows.len() > 0 {
            answers.push(success(&[("has_more".to_owned(), Value::Bool(true))].into()));
            return Ok(answers);
        }
        let kind = match fetched.kind {
            Kind::Reads => "r",
            Kind::Writes => "rw",
            Kind::Schema => "s",
        };
        self.result = None;
        let mut said = vec![
            ("type", Value::text(kind)),
            ("t_last", Value::Int(0)),
            ("db", Value::text(NAME)),
            ("has_more", Value::Bool(false)),
        ];
        if self.transaction.is_none() {
            said.push(("bookmark", Value::text("sandbox:0")));
        }
        answers.push(success(
            &said.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        ));
        Ok(answers)
    }

    /// Gives the graph back as it was before the transaction.
    fn roll_back(&mut self) {
        if let Some(Transaction::Holding(mut graph)) = self.transaction.take() {
            graph.undo_to(0);
        }
    }

    fn routes(&self) -> Map {
        let server = |role: &str| {
            let addresses = Value::List(vec![Value::text(&self.server.address)]);
            Value::Map(
                [("addresses".to_owned(), addresses), ("role".to_owned(), Value::text(role))]
                    .into(),
            )
        };
        let servers = Value::List(["ROUTE", "READ", "WRITE"].map(server).into());
        let table = [("ttl", Value::Int(300)), ("db", Value::text(NAME)), ("servers", servers)];
        let table = Value::Map(table.map(|(name, value)| (name.to_owned(), value)).into());
        [("rt".to_owned(), table)].into()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.roll_back();
    }
}

async fn lock(server: &Server) -> Result<OwnedMutexGuard<Graph>, Failure> {
    let locked = tokio::time::timeout(PATIENCE, server.graph.clone().lock_owned()).await;
    locked.map_err(|_| {
        let reason = "another transaction has held the sandbox's graph for too long";
        Failure::new(code::LOCKED, reason)
    })
}

fn check_database(extra: Option<&Value>) -> Result<(), Failure> {
    let Some(Value::Map(extra)) = extra else { return Ok(()) };
    match extra.get("db") {
        Some(Value::String(name)) if !name.eq_ignore_ascii_case(NAME) => {
            let reason =
                format!("Database does not exist. Database name: '{}'.", name.escape_debug());
            Err(Failure::new(code::NO_DATABASE, reason))
        }
        _ => Ok(()),
    }
}

fn plain(tag: u8) -> Writer {
    let mut writer = Writer(Vec::new());
    writer.structure(tag, 0);
    writer
}

fn with_map(tag: u8, map: &Map) -> Writer {
    let mut writer = Writer(Vec::new());
    writer.structure(tag, 1);
    writer.value(&Value::Map(map.clone()), &mut |_, _| {});
    writer
}

fn success(said: &Map) -> Writer {
    with_map(tag::SUCCESS, said)
}

fn failed(failure: &Failure) -> Writer {
    let said = [("code", failure.code.to_owned()), ("message", failure.message.clone())];
    with_map(tag::FAILURE, &said.map(|(name, text)| (name.to_owned(), Value::String(text))).into())
}

/// Rows as they are sent: what refers to the graph is written as it is now.
fn records(graph: &Graph, answer: &Answer) -> Answers {
    let mut entity = |writer: &mut Writer, value: &Value| write_entity(graph, writer, value);
    let record = |row: &Vec<Value>| {
        let mut writer = Writer(Vec::new());
        writer.structure(tag::RECORD, 1);
        writer.list(row.len());
        row.iter().for_each(|value| writer.value(value, &mut entity));
        writer
    };
    answer.rows.iter().map(record).collect()
}

fn write_entity(graph: &Graph, writer: &mut Writer, value: &Value) {
    let nothing = &mut |_: &mut Writer, _: &Value| {};
    match value {
        Value::Node(id) => write_node(graph, writer, *id),
        Value::Link(id) => {
            // One that was deleted by the same statement has nothing left but its number.
            let link = graph.link(*id);
            writer.structure(b'R', 5);
            writer.int(id.0 as i64);
            writer.int(link.map_or(0, |link| link.from.0 as i64));
            writer.int(link.map_or(0, |link| link.to.0 as i64));
            writer.text(link.map_or("", |link| link.kind.as_str()));
            let properties = link.map(|link| link.properties.clone()).unwrap_or_default();
            writer.value(&Value::Map(properties), nothing);
        }
        Value::Path(nodes, links) => {
            writer.structure(b'P', 3);
            let (mut own_nodes, mut own_links, mut sequence) = (Vec::new(), Vec::new(), Vec::new());
            for (at, node) in nodes.iter().enumerate() {
                let place = index_of(&mut own_nodes, *node);
                if at > 0 {
                    let link = links[at - 1];
                    let forwards = graph.link(link).is_none_or(|link| link.from == nodes[at - 1]);
                    let number = index_of(&mut own_links, link) as i64 + 1;
                    sequence.extend([if forwards { number } else { -number }, place as i64]);
                }
            }
            writer.list(own_nodes.len());
            own_nodes.into_iter().for_each(|id| write_node(graph, writer, id));
            writer.list(own_links.len());
            for id in own_links {
                let link = graph.link(id);
                writer.structure(b'r', 3);
                writer.int(id.0 as i64);
                writer.text(link.map_or("", |link| link.kind.as_str()));
                let properties = link.map(|link| link.properties.clone()).unwrap_or_default();
                writer.value(&Value::Map(properties), nothing);
            }
            writer.list(sequence.len());
            sequence.into_iter().for_each(|number| writer.int(number));
        }
        _ => {}
    }
}

fn index_of<T: PartialEq>(items: &mut Vec<T>, item: T) -> usize {
    items.iter().position(|known| *known == item).unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    })
}

fn write_node(graph: &Graph, writer: &mut Writer, id: NodeId) {
    let node = graph.node(id).cloned().unwrap_or_default();
    writer.structure(b'N', 3);
    writer.int(id.0 as i64);
    writer.list(node.labels.len());
    node.labels.iter().for_each(|label| writer.text(label));
    writer.value(&Value::Map(node.properties), &mut |_, _| {});
}
