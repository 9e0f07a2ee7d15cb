//! PostgreSQL by tokio-postgres: sessions in turns, hard values, copies, who is not admitted.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, TryStreamExt};
use shakedown::config::StoreKind;
use shakedown::platform::store::postgres::connect;
use tokio_postgres::Client;

use super::{PATIENCE, Up};

async fn client(up: &Up) -> Client {
    connect(up.store(StoreKind::Postgres), PATIENCE).await.expect("admitted")
}

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.expect("answered").get(0)
}

#[tokio::test]
async fn twenty_clients_at_once_keep_their_statements_settings_and_transactions_apart() {
    let up = Up::new();
    let first = client(&up).await;
    first.batch_execute("CREATE TABLE public.t (worker int, n int)").await.expect("made");
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..20_i32 {
        let mut client = client(&up).await;
        workers.spawn(async move {
            let mine = format!("SET statement_timeout = '{}s'", worker + 100);
            client.batch_execute(&mine).await.expect("set");
            // Every client calls its first statement s0; each is another one.
            let sql = format!("SELECT $1::int + {worker}");
            let statement = client.prepare(&sql).await.expect("prepared");
            for n in 0..5_i32 {
                let transaction = client.transaction().await.expect("begun");
                let insert = "INSERT INTO public.t VALUES ($1, $2)";
                transaction.execute(insert, &[&worker, &n]).await.expect("inserted");
                let seen = "SELECT count(*) FROM public.t WHERE worker = $1";
                let seen = transaction.query_one(seen, &[&worker]).await.expect("counted");
                assert_eq!(seen.get::<_, i64>(0), i64::from(n) + 1);
                transaction.commit().await.expect("committed");
                let sum = client.query_one(&statement, &[&n]).await.expect("answered");
                assert_eq!(sum.get::<_, i32>(0), n + worker);
                let set = client.query_one("SHOW statement_timeout", &[]).await.expect("shown");
                let expected = Duration::from_secs(worker as u64 + 100);
                let shown: String = set.get(0);
                let shown = match shown.strip_suffix("min") {
                    Some(minutes) => 60 * minutes.parse::<u64>().expect("a number"),
                    None => shown.trim_end_matches('s').parse().expect("a number"),
                };
                assert_eq!(Duration::from_secs(shown), expected);
            }
        });
    }
    workers.join_all().await;
    // All of them are idle, and none is in the way.
    assert_eq!(number(&first, "SELECT count(*) FROM public.t").await, 100);
}

#[tokio::test]
async fn what_a_client_leaves_open_is_undone_and_the_next_one_goes_on() {
    let up = Up::new();
    let other = client(&up).await;
    other.batch_execute("CREATE TABLE public.t (n int)").await.expect("made");
    let mut gone = client(&up).await;
    let transaction = gone.transaction().await.expect("begun");
    transaction.execute("INSERT INTO public.t VALUES (1)", &[]).await.expect("inserted");
    let sink = transaction.copy_in::<_, Bytes>("COPY public.t FROM STDIN").await.expect("begun");
    let mut sink = Box::pin(sink);
    sink.send(Bytes::from_static(b"2\n3\n")).await.expect("sent");
    std::mem::forget(sink);
    std::mem::forget(transaction);
    drop(gone);
    assert_eq!(number(&other, "SELECT count(*) FROM public.t").await, 0);
    let failed = other.batch_execute("BEGIN; SELECT 1/0").await.expect_err("no such number");
    assert_eq!(failed.code().map(|code| code.code()), Some("22012"));
    other.batch_execute("ROLLBACK").await.expect("over");
    assert_eq!(number(&client(&up).await, "SELECT count(*) FROM public.t").await, 0);
}

#[tokio::test]
async fn large_copies_pass_both_ways_beside_other_clients() {
    let up = Up::new();
    let (writer, other) = (client(&up).await, client(&up).await);
    writer.batch_execute("CREATE TABLE public.t (n int, text text)").await.expect("made");
    let sink = writer.copy_in::<_, Bytes>("COPY public.t FROM STDIN").await.expect("begun");
    let mut sink = Box::pin(sink);
    let text = "long".repeat(500);
    let asked = async {
        assert_eq!(number(&other, "SELECT 7::bigint").await, 7);
    };
    let copied = async {
        for n in 0..5000 {
            sink.send(Bytes::from(format!("{n}\t{text}\n"))).await.expect("sent");
        }
        assert_eq!(sink.as_mut().finish().await.expect("ended"), 5000);
    };
    futures_util::future::join(copied, asked).await;
    let rows = writer.copy_out("COPY public.t TO STDOUT").await.expect("begun");
    let bytes = rows.try_fold(0, async |sum, row| Ok(sum + row.len())).await.expect("read");
    assert!(bytes > 5000 * 2000, "{bytes}");
    let big: String =
        writer.query_one("SELECT repeat('x', 20000000)", &[]).await.expect("answered").get(0);
    assert_eq!(big.len(), 20_000_000);
}

#[tokio::test]
async fn nobody_gets_in_with_another_password_user_or_database() {
    let up = Up::new();
    let file = tempfile::NamedTempFile::new().expect("a file");
    let stranger = up.locked(StoreKind::Postgres, &file);
    let refused = connect(&stranger, PATIENCE).await.map(drop).expect_err("a wrong password");
    assert!(refused.to_string().contains("password authentication failed"), "{refused}");
    let mut elsewhere = up.store(StoreKind::Postgres).clone();
    elsewhere.url = elsewhere.url.replace("/postgres?", "/other?");
    let refused = connect(&elsewhere, PATIENCE).await.map(drop).expect_err("no database");
    assert!(refused.to_string().contains("does not exist"), "{refused}");
    let version: String =
        client(&up).await.query_one("SHOW server_version", &[]).await.expect("shown").get(0);
    let label = up.store(StoreKind::Postgres).label.clone().expect("a label");
    let shown = version.split(' ').next().expect("a number");
    assert!(label.contains(shown), "{label} is {version}");
}
