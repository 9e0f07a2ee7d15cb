//! Redis protocol: hard values, transactions, many clients at once, and the same answers as a real
//! server where one is installed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, Value, cmd, pipe};
use shakedown::config::StoreKind;
use shakedown::platform::store::redis::connect;

use super::{PATIENCE, Up};

async fn client(up: &Up) -> MultiplexedConnection {
    connect(up.store(StoreKind::Redis), PATIENCE).await.expect("connected")
}

async fn ask(client: &mut MultiplexedConnection, words: &[&[u8]]) -> Result<Value, RedisError> {
    let mut command = redis::Cmd::new();
    words.iter().for_each(|word| _ = command.arg(*word));
    command.query_async(client).await
}

#[tokio::test]
async fn every_type_comes_back_from_its_dump() {
    let up = Up::new();
    let mut client = client(&up).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let key = [b"{drill}:\xff\n ".as_slice(), &every_byte].concat();
    let far = 4_102_444_800_000_i64;
    let makes: Vec<(&str, Vec<Vec<&[u8]>>)> = vec![
        ("string", vec![vec![b"SET", b"KEY", &every_byte]]),
        ("list", vec![vec![b"RPUSH", b"KEY", b"b", b"", &every_byte, b"a"]]),
        ("set", vec![vec![b"SADD", b"KEY", b"-1", b"", &every_byte]]),
        (
            "zset",
            vec![vec![b"ZADD", b"KEY", b"-inf", b"a", b"0.1", b"b", b"-0", b"c", b"1e-310", b"d"]],
        ),
        (
            "hash",
            vec![
                vec![b"HSET", b"KEY", b"", b"empty name", b"kept", &every_byte],
                vec![b"HPEXPIREAT", b"KEY", b"4102444800000", b"FIELDS", b"1", b"kept"],
            ],
        ),
        (
            "stream",
            vec![
                vec![b"XADD", b"KEY", b"1700000000000-1", b"f", &every_byte],
                vec![b"XADD", b"KEY", b"1700000000000-2", b"f", b"two"],
                vec![b"XGROUP", b"CREATE", b"KEY", b"readers", b"1700000000000-2"],
                vec![
                    b"XCLAIM",
                    b"KEY",
                    b"readers",
                    b"worker",
                    b"0",
                    b"1700000000000-2",
                    b"RETRYCOUNT",
                    b"3",
                    b"FORCE",
                    b"JUSTID",
                ],
                vec![b"XSETID", b"KEY", b"1700000000005-0"],
            ],
        ),
    ];
    for (kind, commands) in makes {
        for words in commands {
            let words: Vec<&[u8]> =
                words.into_iter().map(|w| if w == b"KEY" { &key } else { w }).collect();
            ask(&mut client, &words).await.expect("made");
        }
        let before = read(&mut client, kind, &key).await;
        let mut dumped = pipe();
        dumped.atomic().cmd("PEXPIRETIME").arg(&key).cmd("DUMP").arg(&key);
        let (expires, dump): (i64, Vec<u8>) =
            dumped.query_async(&mut client).await.expect("dumped");
        assert_eq!(expires, -1);
        let mut flipped = dump.clone();
        *flipped.last_mut().expect("bytes") ^= 1;
        ask(&mut client, &[b"UNLINK", &key]).await.expect("removed");
        let refused =
            cmd("RESTORE").arg(&key).arg(0).arg(flipped).query_async::<()>(&mut client).await;
        assert!(refused.expect_err("a flipped bit").to_string().contains("checksum"));
        let restore =
            cmd("RESTORE").arg(&key).arg(far).arg(dump).arg("REPLACE").arg("ABSTTL").clone();
        restore.query_async::<()>(&mut client).await.expect("restored");
        assert_eq!(read(&mut client, kind, &key).await, before, "{kind}");
        let expires: i64 =
            cmd("PEXPIRETIME").arg(&key).query_async(&mut client).await.expect("asked");
        assert_eq!(expires, far);
        ask(&mut client, &[b"UNLINK", &key]).await.expect("removed");
    }
}

async fn read(client: &mut MultiplexedConnection, kind: &str, key: &[u8]) -> Vec<Value> {
    let asked: Vec<Vec<&[u8]>> = match kind {
        "string" => vec![vec![b"GET", key]],
        "list" => vec![vec![b"LRANGE", key, b"0", b"-1"]],
        "set" => vec![vec![b"SMEMBERS", key]],
        "zset" => vec![vec![b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]],
        "hash" => vec![vec![b"HGETALL", key], vec![b"HPEXPIRETIME", key, b"FIELDS", b"1", b"kept"]],
        _ => vec![
            vec![b"XRANGE", key, b"-", b"+"],
            vec![b"XINFO", b"STREAM", key],
            vec![b"XINFO", b"GROUPS", key],
        ],
    };
    let mut answers = vec![ask(client, &[b"TYPE", key]).await.expect("asked")];
    for words in asked {
        answers.push(ask(client, &words).await.expect("asked"));
    }
    answers
}

#[tokio::test]
async fn twenty_clients_at_once_lose_no_write_and_a_scan_finds_every_key() {
    let up = Up::new();
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..20 {
        let mut client = client(&up).await;
        workers.spawn(async move {
            for number in 0..50 {
                let mut both = pipe();
                both.atomic().cmd("INCR").arg("shared").ignore();
                both.cmd("SET").arg(format!("own:{worker}:{number}")).arg(number).ignore();
                both.query_async::<()>(&mut client).await.expect("written");
            }
        });
    }
    workers.join_all().await;
    let mut client = client(&up).await;
    let shared: i64 = cmd("GET").arg("shared").query_async(&mut client).await.expect("read");
    assert_eq!(shared, 1000);
    let (mut cursor, mut found) = (0_u64, std::collections::BTreeSet::new());
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg("own:*").arg("COUNT").arg(7);
        let (next, keys): (u64, Vec<String>) =
            scan.query_async(&mut client).await.expect("scanned");
        found.extend(keys);
        // What comes meanwhile and what goes does not disturb what stays.
        ask(&mut client, &[b"SET", format!("new:{next}").as_bytes(), b"x"]).await.expect("written");
        if next == 0 {
            break;
        }
        cursor = next;
    }
    assert_eq!(found.len(), 1000);
}

#[tokio::test]
async fn a_watched_key_that_changed_stops_the_transaction() {
    let up = Up::new();
    let (mut one, mut other) = (client(&up).await, client(&up).await);
    ask(&mut one, &[b"SET", b"k", b"1"]).await.expect("set");
    for (disturb, expected) in [(true, Value::Nil), (false, Value::Array(vec![Value::Okay]))] {
        ask(&mut one, &[b"WATCH", b"k"]).await.expect("watched");
        if disturb {
            ask(&mut other, &[b"SET", b"k", b"2"]).await.expect("set");
        }
        ask(&mut one, &[b"MULTI"]).await.expect("begun");
        ask(&mut one, &[b"SET", b"k", b"3"]).await.expect("queued");
        assert_eq!(ask(&mut one, &[b"EXEC"]).await.expect("ended"), expected);
    }
}

#[tokio::test]
async fn nobody_gets_in_without_the_password_and_no_frame_does_harm() {
    let up = Up::new();
    let file = tempfile::NamedTempFile::new().expect("a file");
    let refused = connect(&up.locked(StoreKind::Redis, &file), PATIENCE).await;
    let refused = refused.map(drop).expect_err("refused").to_string();
    assert!(refused.contains("WRONGPASS") || refused.contains("authentication"), "{refused}");
    let address = up.address(StoreKind::Redis);
    let answer = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(&address).expect("connected");
        stream.write_all(bytes).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("ended");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    assert!(answer(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n").starts_with("-NOAUTH"));
    assert!(answer(b"GET k\r\n").starts_with("-NOAUTH"));
    assert!(answer(b"*99999999\r\n").starts_with("-ERR Protocol error"));
    assert!(answer(b"*1\r\n$-5\r\n").starts_with("-ERR Protocol error"));
    assert_eq!(answer(b"*3\r\n$3\r\nSET\r\n$1\r\n"), "");
    for seed in 0..200_u32 {
        let noise: Vec<u8> = (0..64)
            .map(|at: u32| (seed.wrapping_mul(2_654_435_761).rotate_left(at) >> 7) as u8)
            .collect();
        answer(&noise);
    }
    let mut client = client(&up).await;
    assert_eq!(
        ask(&mut client, &[b"PING"]).await.expect("alive"),
        Value::SimpleString("PONG".into())
    );
    let unknown = ask(&mut client, &[b"EVAL", b"return 1", b"0"]).await.expect_err("unknown");
    assert!(unknown.to_string().contains("unknown command"), "{unknown}");
}

/// A real server of this machine; it ends with this value.
struct Real(Child);

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn real() -> Option<(Real, MultiplexedConnection)> {
    let port = std::net::TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
    let server = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir", "/tmp"])
        .stdout(Stdio::null())
        .spawn();
    let server = Real(server.ok()?);
    let client = Client::open(format!("redis://127.0.0.1:{port}")).expect("an address");
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE));
    for _ in 0..500 {
        if let Ok(connection) = client.get_multiplexed_async_connection_with_config(&config).await {
            return Some((server, connection));
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    None
}

#[tokio::test]
async fn it_answers_as_a_real_server_does() {
    let Some((_server, mut real)) = real().await else {
        println!("skipped: no redis-server on this machine to compare with");
        return;
    };
    let up = Up::new();
    let mut own = client(&up).await;
    let commands = include_str!("redis_commands.txt").lines();
    let mut differences = Vec::new();
    for line in commands.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<&[u8]> =
            line.split(' ').map(|w| if w == "''" { "" } else { w }.as_bytes()).collect();
        let said = |answer: Result<Value, RedisError>| match answer {
            Ok(value) => format!("{value:?}"),
            // Errors have the same code; the words after it are each server's own.
            Err(error) => format!("error {}", error.code().unwrap_or_default()),
        };
        let (expected, got) =
            (said(ask(&mut real, &words).await), said(ask(&mut own, &words).await));
        if expected != got {
            differences.push(format!("{line}\n  real: {expected}\n  own:  {got}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
