//! Procedures, and what `SHOW` lists.

use std::collections::BTreeSet;

use super::error::{Failure, code};
use super::evaluate::Row;
use super::graph::{Graph, Index};
use super::value::Value;

/// The version whose protocol and language it has, as far as it has them.
pub const VERSION: &str = "4.4.0";

fn row<const N: usize>(columns: [(&str, Value); N]) -> Row {
    columns.map(|(name, value)| (name.to_owned(), value)).into()
}

fn names(names: BTreeSet<String>, column: &str) -> Vec<Row> {
    names.into_iter().map(|name| row([(column, Value::String(name))])).collect()
}

/// The rows of a procedure.
///
/// # Errors
/// When there is none of this name.
pub fn call(graph: &Graph, name: &str, _arguments: &[Value]) -> Result<Vec<Row>, Failure> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "dbms.components" => vec![row([
            ("name", Value::text("shakedown sandbox")),
            ("versions", Value::List(vec![Value::text(VERSION)])),
            ("edition", Value::text("sandbox")),
        ])],
        "db.info" => vec![row([
            // One graph for each process: it begins empty, and is gone with it.
            ("id", Value::text(format!("sandbox-{}", std::process::id()))),
            ("name", Value::text("neo4j")),
            ("creationDate", Value::text("")),
        ])],
        "db.ping" => vec![row([("success", Value::Bool(true))])],
        // An index is complete when it was made.
        "db.awaitindexes" | "db.awaitindex" => vec![],
        "db.labels" => {
            let labels =
                graph.nodes().filter_map(|id| graph.node(id)).flat_map(|n| n.labels.clone());
            names(labels.collect(), "label")
        }
        "db.relationshiptypes" => {
            let links =
                graph.nodes().flat_map(|id| graph.outgoing(id)).filter_map(|id| graph.link(id));
            names(links.map(|link| link.kind.clone()).collect(), "relationshipType")
        }
        "show.constraints" => {
            let constraints = graph.indexes().filter(|index| index.unique).enumerate();
            constraints.map(|(at, index)| describe_constraint(at, index)).collect()
        }
        "show.indexes" => {
            graph.indexes().enumerate().map(|(at, index)| describe_index(at, index)).collect()
        }
        _ => {
            return Err(Failure::new(
                code::NO_PROCEDURE,
                format!("There is no procedure with the name `{name}` in the sandbox's store"),
            ));
        }
    })
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn describe_constraint(at: usize, index: &Index) -> Row {
    let (name, label, property) =
        (quoted(&index.name), quoted(&index.label), quoted(&index.property));
    let statement =
        format!("CREATE CONSTRAINT {name} FOR (n:{label}) REQUIRE (n.{property}) IS UNIQUE");
    row([
        ("id", Value::count(at)),
        ("name", Value::text(&index.name)),
        ("type", Value::text("UNIQUENESS")),
        ("entityType", Value::text("NODE")),
        ("labelsOrTypes", Value::List(vec![Value::text(&index.label)])),
        ("properties", Value::List(vec![Value::text(&index.property)])),
        ("ownedIndex", Value::text(&index.name)),
        ("createStatement", Value::String(statement)),
    ])
}

fn describe_index(at: usize, index: &Index) -> Row {
    let (name, label, property) =
        (quoted(&index.name), quoted(&index.label), quoted(&index.property));
    let statement = format!("CREATE INDEX {name} FOR (n:{label}) ON (n.{property})");
    let owner = if index.unique { Value::text(&index.name) } else { Value::Null };
    row([
        ("id", Value::count(at)),
        ("name", Value::text(&index.name)),
        ("state", Value::text("ONLINE")),
        ("populationPercent", Value::Float(100.0)),
        ("type", Value::text("RANGE")),
        ("entityType", Value::text("NODE")),
        ("labelsOrTypes", Value::List(vec![Value::text(&index.label)])),
        ("properties", Value::List(vec![Value::text(&index.property)])),
        ("owningConstraint", owner),
        ("createStatement", Value::String(statement)),
    ])
}
