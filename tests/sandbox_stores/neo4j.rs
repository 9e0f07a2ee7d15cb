//! Neo4j by neo4rs: values of every type, constraints, transactions, many clients at once.

use std::io::{Read, Write};
use std::net::TcpStream;

use neo4rs::{BoltBytes, BoltFloat, BoltInteger, BoltPoint2D, BoltType, Graph, Query, Row, query};
use shakedown::config::StoreKind;
use shakedown::platform::store::neo4j::connect;

use super::{PATIENCE, Up};

async fn graph(up: &Up) -> Graph {
    connect(up.store(StoreKind::Neo4j), PATIENCE).await.expect("connected")
}

async fn rows(graph: &Graph, query: Query) -> Result<Vec<Row>, neo4rs::Error> {
    let mut stream = graph.execute(query).await?;
    let mut rows = Vec::new();
    while let Some(row) = stream.next().await? {
        rows.push(row);
    }
    Ok(rows)
}

async fn number(graph: &Graph, text: &str) -> i64 {
    rows(graph, query(text)).await.expect(text)[0].get("n").expect("a number")
}

fn code(error: &neo4rs::Error) -> String {
    match error {
        neo4rs::Error::Neo4j(error) => error.code().to_owned(),
        other => panic!("expected an error of the server, got {other}"),
    }
}

#[tokio::test]
async fn values_of_every_type_come_back() {
    let up = Up::new();
    let graph = graph(&up).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let flat = BoltPoint2D {
        sr_id: BoltInteger::new(7203),
        x: BoltFloat::new(1.5),
        y: BoltFloat::new(-0.0),
    };
    let create = query(
        "CREATE (n:ShakedownDrill:`With``tick` {_sd_key: 'k', least: $least, nan: $nan, \
        text: $text, bytes: $bytes, flat: $flat, list: $list, empty: []})",
    )
    .param("least", i64::MIN)
    .param("nan", f64::NAN)
    .param("text", "line\nbreak \u{1F642} \\ '")
    .param("bytes", BoltType::Bytes(BoltBytes::new(every_byte.clone().into())))
    .param("flat", BoltType::Point2D(flat.clone()))
    .param("list", vec!["", "ü"]);
    graph.run(create).await.expect("created");
    let temporal = [
        ("date", "-0044-03-15"),
        ("localtime", "23:59:59.999999999"),
        ("time", "12:30:00+05:30"),
        ("localdatetime", "2026-01-01T00:00:00.000000001"),
        ("datetime", "2026-06-01T12:00:00.5+02:00"),
        ("datetime", "2026-06-01T12:00:00+02:00[Europe/Berlin]"),
        ("duration", "P1Y2M3DT4.000000005S"),
    ];
    for (at, (kind, text)) in temporal.into_iter().enumerate() {
        let set =
            format!("MATCH (x:ShakedownDrill {{_sd_key: $key}}) SET x.`t {at}` = {kind}($value)");
        graph.run(query(&set).param("key", "k").param("value", text)).await.expect("set");
    }
    let read = "MATCH (n:ShakedownDrill) WHERE n._sd_key > $after WITH n ORDER BY n._sd_key LIMIT 10 \
        RETURN n, labels(n) AS labels, [k IN keys(n) | [k, n[k], toStringOrNull(n[k])]] AS properties";
    let found = rows(&graph, query(read).param("after", "")).await.expect("read");
    let labels: Vec<String> = found[0].get("labels").expect("labels");
    assert_eq!(labels, ["ShakedownDrill", "With`tick"]);
    let node: neo4rs::Node = found[0].get("n").expect("a node");
    assert_eq!(node.get::<i64>("least").expect("a number"), i64::MIN);
    let BoltType::List(properties) = found[0].get::<BoltType>("properties").expect("a list") else {
        panic!("a list")
    };
    let property = |name: &str| {
        let named = |pair: &&BoltType| matches!(pair, BoltType::List(of) if of.value[0] == BoltType::from(name));
        let Some(BoltType::List(found)) = properties.value.iter().find(named) else {
            panic!("{name}")
        };
        (found.value[1].clone(), found.value[2].clone())
    };
    assert_eq!(property("text").0, BoltType::from("line\nbreak \u{1F642} \\ '"));
    assert_eq!(property("bytes").0, BoltType::Bytes(BoltBytes::new(every_byte.into())));
    assert_eq!(property("flat").0, BoltType::Point2D(flat));
    assert!(matches!(property("nan").0, BoltType::Float(number) if number.value.is_nan()));
    assert!(matches!(property("empty").0, BoltType::List(of) if of.value.is_empty()));
    for (at, (kind, text)) in temporal.into_iter().enumerate() {
        let (value, printed) = property(&format!("t {at}"));
        assert_eq!(printed, BoltType::from(text));
        let fits = match value {
            BoltType::Date(_) => kind == "date",
            BoltType::Time(_) => kind == "time",
            BoltType::LocalTime(_) => kind == "localtime",
            BoltType::DateTime(_) | BoltType::DateTimeZoneId(_) => kind == "datetime",
            BoltType::LocalDateTime(_) => kind == "localdatetime",
            BoltType::Duration(_) => kind == "duration",
            other => panic!("{other:?}"),
        };
        assert!(fits, "{text}");
    }
}

#[tokio::test]
async fn a_constraint_holds_and_a_transaction_is_whole_or_nothing() {
    let up = Up::new();
    let graph = graph(&up).await;
    let constraint = "CREATE CONSTRAINT sd_drill_key IF NOT EXISTS FOR (n:ShakedownDrill) REQUIRE n._sd_key IS UNIQUE";
    graph.run(query(constraint)).await.expect("made");
    let make =
        "UNWIND $rows AS row CREATE (n:ShakedownDrill:Doc) SET n = row.p RETURN count(n) AS n";
    let of = |number: i64| {
        let properties =
            [("_sd_key", BoltType::from(format!("k{number:04}"))), ("number", number.into())];
        let properties: std::collections::HashMap<&str, BoltType> = properties.into();
        std::collections::HashMap::from([("p", BoltType::from(properties))])
    };
    let some =
        |numbers: std::ops::Range<i64>| numbers.map(of).map(BoltType::from).collect::<Vec<_>>();
    let made = rows(&graph, query(make).param("rows", some(0..2500))).await.expect("made");
    assert_eq!(made[0].get::<i64>("n").expect("a number"), 2500);
    let refused = rows(&graph, query(make).param("rows", some(2499..2510))).await;
    assert_eq!(
        code(&refused.expect_err("a key twice")),
        "Neo.ClientError.Schema.ConstraintValidationFailed"
    );
    assert_eq!(number(&graph, "MATCH (n:Doc) RETURN count(n) AS n").await, 2500);
    let mut begun = graph.start_txn().await.expect("begun");
    begun.run(query("MATCH (n:Doc) WHERE n.number < 100 DETACH DELETE n")).await.expect("deleted");
    begun.rollback().await.expect("taken back");
    assert_eq!(number(&graph, "MATCH (n:Doc) RETURN count(n) AS n").await, 2500);
    let mut begun = graph.start_txn().await.expect("begun");
    begun.run(query("MATCH (n:Doc) WHERE n.number < 100 DETACH DELETE n")).await.expect("deleted");
    begun.commit().await.expect("kept");
    assert_eq!(number(&graph, "MATCH (n:Doc) RETURN count(n) AS n").await, 2400);
    // All rows come, more than are fetched at once.
    let all = rows(&graph, query("MATCH (n:Doc) RETURN n._sd_key AS key ORDER BY key"))
        .await
        .expect("read");
    assert_eq!(all.len(), 2400);
    assert_eq!(all[0].get::<String>("key").expect("a key"), "k0100");
    let shown =
        rows(&graph, query("SHOW CONSTRAINTS YIELD name, createStatement")).await.expect("shown");
    let statement: String = shown[0].get("createStatement").expect("a statement");
    graph.run(query("DROP CONSTRAINT sd_drill_key IF EXISTS")).await.expect("gone");
    graph.run(query(&statement)).await.expect("made by its own statement");
}

#[tokio::test]
async fn twenty_clients_at_once_lose_no_write() {
    let up = Up::new();
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..20_i64 {
        let graph = graph(&up).await;
        workers.spawn(async move {
            for number in 0..20_i64 {
                let create = query("CREATE (:N {worker: $worker, number: $number})");
                let create = create.param("worker", worker).param("number", number);
                if number % 2 == 0 {
                    graph.run(create).await.expect("created");
                } else {
                    let mut begun = graph.start_txn().await.expect("begun");
                    begun.run(create).await.expect("created");
                    begun.commit().await.expect("kept");
                }
            }
        });
    }
    workers.join_all().await;
    assert_eq!(number(&graph(&up).await, "MATCH (n:N) RETURN count(n) AS n").await, 400);
}

#[tokio::test]
async fn nobody_gets_in_without_the_password_and_no_frame_does_harm() {
    let up = Up::new();
    let file = tempfile::NamedTempFile::new().expect("a file");
    let refused = connect(&up.locked(StoreKind::Neo4j, &file), PATIENCE).await;
    let refused = refused.map(drop).expect_err("refused").to_string();
    assert!(refused.contains("authentication") || refused.contains("Unauthorized"), "{refused}");
    let address = up.address(StoreKind::Neo4j);
    let send = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(&address).expect("connected");
        stream.write_all(bytes).expect("sent");
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    };
    let hello = [0x60, 0x60, 0xb0, 0x17, 0, 0, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(send(&hello), [0, 0, 4, 4]);
    let old = [0x60, 0x60, 0xb0, 0x17, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(send(&old), [0, 0, 0, 0]);
    assert_eq!(send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"), b"");
    // A statement before the login is refused, and the connection ends.
    let run = [&hello[..], b"\x00\x0c\xb2\x10\x88RETURN 1\xa0\x00\x00"].concat();
    assert!(String::from_utf8_lossy(&send(&run)).contains("Unauthorized"));
    for seed in 0..200_u32 {
        let noise =
            (0..64).map(|at: u32| (seed.wrapping_mul(2_654_435_761).rotate_left(at) >> 7) as u8);
        let bytes: Vec<u8> = hello.into_iter().chain([0, 64]).chain(noise).chain([0, 0]).collect();
        send(&bytes);
    }
    let graph = graph(&up).await;
    let refused =
        rows(&graph, query("MATCH (a)-[*]->(b) RETURN a")).await.expect_err("not supported");
    assert_eq!(code(&refused), "Neo.ClientError.Statement.SyntaxError");
    assert_eq!(number(&graph, "RETURN 1 AS n").await, 1);
}
