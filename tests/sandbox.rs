//! The embedded platform as a process tree: it comes up, restarts what dies, and leaves nothing.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};
use support::{Workplace, signal, wait_for};

struct Up {
    process: Child,
    urls: Value,
}

fn up(place: &Workplace) -> Up {
    let mut command =
        place.command(&["sandbox", "--lifeline", "--ready-json", "--latency-scale", "0"]);
    let mut process =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("program runs");
    let mut line = String::new();
    let stdout = process.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    Up { process, urls: serde_json::from_str(&line).expect("addresses") }
}

impl Up {
    fn request(&self, service: &str, head: &str, body: &str) -> Option<String> {
        self.request_with(service, head, "", body)
    }

    fn request_with(&self, service: &str, head: &str, headers: &str, body: &str) -> Option<String> {
        let url = self.urls[service].as_str().expect("address");
        let mut stream = TcpStream::connect(url.strip_prefix("http://").expect("http")).ok()?;
        let length = body.len();
        let request = format!(
            "{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
             accept: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    fn child(&self, at: usize) -> Option<Value> {
        let answer = self.request("admin", "GET /sandbox/services", "")?;
        let children: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1)?).ok()?;
        Some(children[at].clone())
    }
}

fn pid(child: &Value) -> u32 {
    u32::try_from(child["pid"].as_u64().expect("running")).expect("pid")
}

#[test]
fn a_killed_service_comes_back_on_its_port() {
    let place = Workplace::new();
    let mut up = up(&place);
    let before = up.child(0).expect("admin answers");
    signal(pid(&before), Signal::KILL);
    let after = wait_for("the restart", || {
        up.child(0).filter(|child| child["restarts"] == json!(1) && child["status"] == "running")
    });
    assert_ne!(after["pid"], before["pid"]);
    assert_eq!(after["url"], before["url"]);
    wait_for("an answer", || {
        up.request("chat", "GET /health", "")?.contains("\"ok\"").then_some(())
    });
    signal(up.process.id(), Signal::TERM);
    assert!(up.process.wait().expect("ended").success(), "an orderly end");
    place.wait_until_nothing_runs();
}

#[test]
fn children_die_with_their_parent_whatever_kills_it() {
    for kill in [true, false] {
        let place = Workplace::new();
        let mut up = up(&place);
        let stores = shakedown::sandbox::stores::EMBEDDED.len();
        assert_eq!(place.processes().len(), 4 + stores, "a supervisor, three services, the stores");
        if kill {
            signal(up.process.id(), Signal::KILL);
        } else {
            drop(up.process.stdin.take());
        }
        up.process.wait().expect("ended");
        place.wait_until_nothing_runs();
    }
}

#[test]
fn the_services_speak_their_protocols() {
    let place = Workplace::new();
    let mut up = up(&place);
    let chat = json!({ "model": "sandbox-1", "messages": [
        { "role": "user", "content": "one" }, { "role": "assistant", "content": "x" },
        { "role": "user", "content": "two" }] });
    let answer =
        up.request("chat", "POST /v1/chat/completions", &chat.to_string()).expect("answer");
    assert!(answer.contains("turn 2") && answer.contains("said: two"), "history counts: {answer}");
    assert!(answer.contains("x-shakedown-sandbox: chat") && answer.contains("\"sandbox\":true"));
    let unknown = json!({ "model": "nope", "messages": [{ "role": "user", "content": "x" }] });
    let answer =
        up.request("chat", "POST /v1/chat/completions", &unknown.to_string()).expect("answer");
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");

    let document = json!({ "id": "d1", "text": "zebras graze at dawn" }).to_string();
    let ingest = up.request("rag", "POST /v1/collections/c/documents", &document).expect("answer");
    assert!(ingest.starts_with("HTTP/1.1 201"), "{ingest}");
    let question = json!({ "question": "when do zebras graze?" }).to_string();
    assert!(up.request("rag", "POST /v1/query", &question).expect("answer").contains("dawn"));
    up.request("rag", "DELETE /v1/collections/c/documents/d1", "").expect("answer");
    let gone = up.request("rag", "GET /v1/collections/c/documents/d1", "").expect("answer");
    assert!(gone.starts_with("HTTP/1.1 404"), "{gone}");

    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" }).to_string();
    let no_session = up.request("mcp", "POST /mcp", &call).expect("answer");
    assert!(no_session.starts_with("HTTP/1.1 400"), "{no_session}");
    let initialize = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": { "protocolVersion": "2025-06-18" } });
    let opened = up.request("mcp", "POST /mcp", &initialize.to_string()).expect("answer");
    let session = opened.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
    let session = format!("mcp-session-id: {}\r\n", session.expect("a session"));
    let listed = up.request_with("mcp", "POST /mcp", &session, &call).expect("answer");
    assert!(listed.contains("search_handbook"), "{listed}");
    let add = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": { "name": "add", "arguments": { "a": 20, "b": 22 } } });
    let added = up.request_with("mcp", "POST /mcp", &session, &add.to_string()).expect("answer");
    assert!(added.contains("\"42\""), "{added}");
    drop(up.process.stdin.take());
    up.process.wait().expect("ended");
}
