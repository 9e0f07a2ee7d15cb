//! Statements over a graph, without the protocol.

use super::execute::execute;
use super::graph::Graph;
use super::parser::parse;
use super::value::{Map, Value};

fn ask(graph: &mut Graph, text: &str) -> Result<Vec<Vec<Value>>, String> {
    ask_with(graph, text, Map::new())
}

fn ask_with(graph: &mut Graph, text: &str, parameters: Map) -> Result<Vec<Vec<Value>>, String> {
    let statement = parse(text).map_err(|failure| failure.to_string())?;
    let answer = execute(graph, &statement, &parameters).map_err(|failure| failure.to_string())?;
    graph.commit();
    Ok(answer.rows)
}

fn ints(rows: Vec<Vec<Value>>) -> Vec<i64> {
    let int = |row: &Vec<Value>| match row.as_slice() {
        [Value::Int(number)] => *number,
        other => panic!("expected a number, got {other:?}"),
    };
    rows.iter().map(int).collect()
}

fn people() -> Graph {
    let mut graph = Graph::default();
    let make = "CREATE (a:Person {name: 'a', age: 1})-[:KNOWS {since: 10}]->(b:Person {name: 'b', age: 2}), \
        (b)-[:KNOWS {since: 20}]->(c:Person:Old {name: 'c', age: 3}), (c)-[:LIKES]->(c), (a)-[:LIKES]->(c)";
    ask(&mut graph, make).expect("made");
    graph
}

#[test]
fn patterns_are_found_in_every_direction() {
    let mut graph = people();
    let mut ages = |pattern: &str| {
        let text = format!("MATCH {pattern} RETURN x.age ORDER BY x.age");
        ints(ask(&mut graph, &text).expect("found"))
    };
    assert_eq!(ages("(x:Person)"), [1, 2, 3]);
    assert_eq!(ages("({name: 'a'})-[:KNOWS]->(x)"), [2]);
    assert_eq!(ages("({name: 'b'})<-[:KNOWS]-(x)"), [1]);
    assert_eq!(ages("({name: 'b'})--(x)"), [1, 3]);
    assert_eq!(ages("({name: 'a'})-[:KNOWS]->()-[:KNOWS]->(x:Old)"), [3]);
    assert_eq!(ages("(x)-[:LIKES|KNOWS]->(:Old)"), [1, 2, 3]);
    assert_eq!(ages("(x)-[:LIKES]->(x)"), [3]);
    assert_eq!(ages("({name: 'c'})--(x)"), [1, 2, 3], "a loop is found once");
    assert_eq!(ages("(x)-[{since: 20}]->()"), [2]);
    assert_eq!(ages("(x), (y:Old) WHERE x.age < y.age - 1"), [1]);
    assert_eq!(ages("(x:Nowhere)"), Vec::<i64>::new());
}

#[test]
fn rows_are_grouped_ordered_and_cut() {
    let mut graph = people();
    let mut one = |text: &str| ask(&mut graph, text).expect(text);
    let number = Value::Int;
    assert_eq!(one("MATCH (n) RETURN count(n) AS n"), [[number(3)]]);
    assert_eq!(
        one("MATCH (n:Nobody) RETURN count(*), sum(n.age), collect(n)"),
        [[number(0), number(0), Value::List(vec![])]]
    );
    assert_eq!(
        one("MATCH (n) RETURN max(n.age), min(n.age), avg(n.age)"),
        [[number(3), number(1), Value::Float(2.0)]]
    );
    let grouped = "MATCH (n)-[r]->() RETURN type(r) AS t, count(*) AS c ORDER BY c DESC, t LIMIT 1";
    assert_eq!(one(grouped), [[Value::text("KNOWS"), number(2)]]);
    assert_eq!(
        one("UNWIND [3, 1, 2, 1] AS x RETURN DISTINCT x ORDER BY x DESC SKIP 1"),
        [[number(2)], [number(1)]]
    );
    assert_eq!(
        one("UNWIND range(1, 3) AS x WITH x WHERE x <> 2 RETURN collect(x)"),
        [[Value::List(vec![number(1), number(3)])]]
    );
    let optional =
        "MATCH (n {name: 'b'}) OPTIONAL MATCH (n)-[:LIKES]->(m) RETURN n.age, m, m IS NULL";
    assert_eq!(one(optional), [[number(2), Value::Null, Value::Bool(true)]]);
    let listed =
        "MATCH (n {name: 'c'}) RETURN [k IN keys(n) WHERE k <> 'age' | [k, n[k]]], labels(n)";
    let pair = Value::List(vec![Value::text("name"), Value::text("c")]);
    let labels = Value::List(vec![Value::text("Old"), Value::text("Person")]);
    assert_eq!(one(listed), [[Value::List(vec![pair]), labels]]);
    assert_eq!(
        one("RETURN CASE WHEN 1 > 2 THEN 'a' ELSE 'b' END, CASE 2 WHEN 2 THEN 1 END"),
        [[Value::text("b"), number(1)]]
    );
    assert_eq!(
        one(
            "RETURN 2 + 3 * 4 - -1, 7 / 2, 7 % 4, 'a' + 1, [1, 2, 3][1..], 1 < 2 < 3, NOT true OR null"
        ),
        [[
            number(15),
            number(3),
            number(3),
            Value::text("a1"),
            Value::List(vec![number(2), number(3)]),
            Value::Bool(true),
            Value::Null
        ]]
    );
    assert_eq!(
        one("RETURN any(x IN [1, null] WHERE x = 1), all(x IN [1, null] WHERE x = 1)"),
        [[Value::Bool(true), Value::Null]]
    );
}

#[test]
fn what_a_failed_statement_did_is_taken_back() {
    let mut graph = people();
    let constraint = "CREATE CONSTRAINT one IF NOT EXISTS FOR (n:Person) REQUIRE n.name IS UNIQUE";
    ask(&mut graph, constraint).expect("made");
    ask(&mut graph, constraint).expect("there already");
    let refused = ask(&mut graph, "UNWIND ['x', 'y', 'a'] AS name CREATE (:Person {name: name})");
    assert!(refused.expect_err("a name twice").contains("ConstraintValidationFailed"));
    assert_eq!(ints(ask(&mut graph, "MATCH (n) RETURN count(n)").expect("counted")), [3]);
    let refused =
        ask(&mut graph, "MATCH (n:Person) SET n.name = 'same'").expect_err("a name twice");
    assert!(refused.contains("ConstraintValidationFailed"), "{refused}");
    let refused = ask(&mut graph, "MATCH (n {name: 'a'}) DELETE n").expect_err("relationships");
    assert!(refused.contains("still has relationships"), "{refused}");
    let shown =
        ask(&mut graph, "SHOW CONSTRAINTS YIELD name, properties RETURN name").expect("shown");
    assert_eq!(shown, [[Value::text("one")]]);
    let deleted = ask(&mut graph, "MATCH (n) WITH n LIMIT 2 DETACH DELETE n RETURN count(*) AS n");
    assert_eq!(ints(deleted.expect("deleted")), [2]);
    ask(&mut graph, "DROP CONSTRAINT one IF EXISTS").expect("gone");
    ask(&mut graph, "DROP CONSTRAINT one IF EXISTS").expect("gone already");
    assert!(ask(&mut graph, "DROP CONSTRAINT one").is_err());
}

#[test]
fn merging_setting_and_removing_change_what_they_name() {
    let mut graph = Graph::default();
    let merge =
        "MERGE (n:T {k: 1}) ON CREATE SET n.made = true ON MATCH SET n.found = true RETURN n.found";
    assert_eq!(ask(&mut graph, merge).expect("merged"), [[Value::Null]]);
    assert_eq!(ask(&mut graph, merge).expect("merged"), [[Value::Bool(true)]]);
    let changed = "MATCH (n:T) SET n:U, n.`odd name` = date('2026-02-28'), n += {k: null, x: [1, 2.5]} \
        REMOVE n:T, n.made RETURN n:U, n:T, keys(n), n.x";
    let keys = ["found", "odd name", "x"].map(Value::text).to_vec();
    let numbers = Value::List(vec![Value::Float(1.0), Value::Float(2.5)]);
    let expected = [Value::Bool(true), Value::Bool(false), Value::List(keys), numbers];
    assert_eq!(ask(&mut graph, changed).expect("changed"), [expected]);
    for wrong in ["{a: {b: 1}}", "{a: [1, 'x']}", "{a: [[1]]}", "{a: [null]}"] {
        let refused = ask(&mut graph, &format!("CREATE ({wrong})")).expect_err(wrong);
        assert!(refused.contains("TypeError"), "{refused}");
    }
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    let mut graph = people();
    let refusals = [
        ("MATCH (a)-[*1..3]->(b) RETURN a", "variable length"),
        ("MATCH (n) WHERE n.name =~ 'a.*' RETURN n", "regular expressions"),
        ("CALL { RETURN 1 } RETURN 1", "subqueries"),
        ("FOREACH (x IN [1] | CREATE ())", "begins no clause"),
        ("RETURN nosuch(1)", "Unknown function"),
        ("CALL no.such() YIELD x RETURN x", "ProcedureNotFound"),
        ("RETURN $missing", "ParameterMissing"),
        ("RETURN x", "not defined"),
        ("MATCH (n) RETURN n.name AS a, n.age AS a", "same name"),
        ("RETURN 1 +", "expected an expression"),
        ("RETURN 9223372036854775807 + 1", "too large"),
        ("RETURN 1 / 0", "by zero"),
        ("", "expected a clause"),
    ];
    for (text, reason) in refusals {
        let refused = ask(&mut graph, text).expect_err(text);
        assert!(refused.contains(reason), "{text}: {refused}");
    }
    let deep = format!("RETURN {}1{}", "(".repeat(5000), ")".repeat(5000));
    assert!(ask(&mut graph, &deep).expect_err("deep").contains("too deeply"));
    let deep = format!("RETURN {}1", "NOT ".repeat(200_000));
    assert!(ask(&mut graph, &deep).is_err());
}

#[test]
fn an_index_finds_what_a_scan_finds() {
    let statements = [
        "MATCH (n:N {k: 50}) RETURN count(n)",
        "MATCH (n:N) WHERE n.k > 10 AND n.k <= 20 RETURN count(n)",
        "MATCH (n:N) WHERE n.k IN [1, 1, 7, 5000] RETURN count(n)",
        "MATCH (n:N) WHERE n.k = 3.0 OR n.k = 4 RETURN count(n)",
        "MATCH (n:N) WHERE n.k >= 95 RETURN count(n)",
        "MATCH (n:N) WHERE n.k > 'a' RETURN count(n)",
        "UNWIND [1, 2] AS x MATCH (n:N {k: x}), (m:N {k: x + 1}) RETURN count(m)",
    ];
    let mut graph = Graph::default();
    ask(&mut graph, "UNWIND range(0, 99) AS x CREATE (:N {k: x})").expect("made");
    let counts = |graph: &mut Graph| statements.map(|text| ints(ask(graph, text).expect(text)));
    let scanned = counts(&mut graph);
    assert_eq!(scanned.concat(), [1, 10, 2, 2, 5, 0, 2]);
    ask(&mut graph, "CREATE INDEX k FOR (n:N) ON (n.k)").expect("made");
    assert_eq!(counts(&mut graph), scanned);
}
