//! Runs of the real program over TLS, through the proxy of its environment, and at the limit of its
//! descriptors: what is out of the ordinary is said aloud.

use std::process::Command;

use serde_json::{Value, json};

use super::authority::Authority;
use super::hostile::{config, figures, load, scenario};
use super::server::{http_proxy, serve};
use super::support::{Workplace, report, text};

/// A RAG service there.
fn rag(base_url: &str) -> Value {
    json!({
        "endpoint": { "base_url": base_url, "timeout": "2s" },
        "query": { "path": "/query", "body": { "question": "{question}" } },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_kept_to_and_whoever_does_not_is_told_so_everywhere() {
    let (authority, clients) = (Authority::new("Test"), Authority::new("Clients"));
    let place = Workplace::new();
    let ca_file = authority.file(place.path(), "ca.pem");
    let (cert_file, key_file) = clients.client(place.path(), "client");
    let secured = serve(Some(authority.server(&["h2", "http/1.1"], Some(&clients))), false).await;
    let other = serve(Some(Authority::new("Other").server(&["http/1.1"], None)), false).await;
    let url = |port: u16| format!("https://localhost:{port}");
    let mut services = json!({
        "rag": rag(&url(secured.port)),
        "chat": { "endpoint": { "base_url": url(other.port) }, "model": "m" },
        "mcp": { "endpoint": { "base_url": url(other.port) }, "path": "/mcp" },
    });
    services["rag"]["endpoint"]["tls"] =
        json!({ "ca_file": ca_file, "cert_file": cert_file, "key_file": key_file });
    services["chat"]["endpoint"]["tls"] = json!({ "ca_file": ca_file });
    services["mcp"]["endpoint"]["tls"] = json!({ "insecure": true });
    let ask = || json!({ "path": "/asked" });
    let scenarios = ["rag", "chat", "mcp"].map(|service| scenario(service, service, ask()));
    let (report, said) = load(&place, &config(services, &scenarios)).await;

    let figures = figures(&report);
    for (name, kind) in [("rag", None), ("chat", Some("tls")), ("mcp", None)] {
        let of = &figures[name];
        let n = of["n"].as_u64().expect("n");
        let errors = kind.map_or_else(|| json!({}), |kind| json!({ kind: n }));
        assert!(n >= 3, "{name}: {of}\n{said}");
        assert_eq!(of["errors"], errors, "{name}: {of}\n{said}");
    }
    let line = format!("HTTP/2 /asked of localhost:{}", secured.port);
    assert!(secured.seen().contains(&line), "{:?}", secured.seen());

    assert_eq!(report["run"]["insecure_tls"], json!(["mcp"]));
    assert!(said.contains("mcp: TLS certificates are NOT checked"), "{said}");
    assert!(said.contains("WARNING   TLS certificates of mcp were NOT checked"), "{said}");
    let run = place.run();
    let html = run.path().join("report.html");
    let html = std::fs::read_to_string(html).expect("an HTML report");
    assert!(html.contains("TLS certificates of mcp were NOT checked"));
    let check = text(&place.output(&["check"]).stdout);
    let loud = check.lines().find(|line| line.contains("WARNING")).unwrap_or_default();
    assert!(loud.starts_with("mcp") && loud.contains("NOT checked"), "{check}");
    assert_eq!(check.matches("WARNING").count(), 1, "{check}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proxy_of_the_environment_is_used_and_named_except_for_what_it_excludes() {
    let proxy = http_proxy(0).await;
    let place = Workplace::new();
    let config = config(json!({ "rag": rag("http://rag.test.invalid") }), &[]);
    let mut config = config;
    config.as_object_mut().expect("an object").remove("workloads");
    std::fs::write(place.path().join("shakedown.yaml"), config.to_string()).expect("written");
    let check = |name: &str, value: &str| {
        let mut command = place.command(&["check"]);
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command.env("http_proxy", format!("http://me:hunter2@127.0.0.1:{}", proxy.port));
        text(&command.env(name, value).output().expect("program runs").stdout)
    };
    let used = check("NO_PROXY", "other.invalid");
    assert!(used.contains(&format!("proxy    http://127.0.0.1:{}", proxy.port)), "{used}");
    assert!(used.contains("status 200") && !used.contains("hunter2"), "{used}");
    assert_eq!(proxy.seen(), ["GET http://rag.test.invalid/health HTTP/1.1 bWU6aHVudGVyMg=="]);
    let excluded = check("NO_PROXY", "test.invalid");
    assert!(!excluded.contains("proxy") && excluded.contains("failed"), "{excluded}");
    assert_eq!(proxy.seen().len(), 1, "it was asked although it is excluded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_without_descriptors_says_so_and_does_not_blame_the_target() {
    let server = serve(None, false).await;
    let place = Workplace::new();
    let mut crowd = scenario("crowd", "rag", json!({ "path": "/asked" }));
    crowd["vus"] = json!(500);
    let config =
        config(json!({ "rag": rag(&format!("http://127.0.0.1:{}", server.port)) }), &[crowd]);
    std::fs::write(place.path().join("shakedown.yaml"), config.to_string()).expect("written");
    let program = place.command(&["load", "--headless"]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 400; exec \"$0\" \"$@\""]).arg(program.get_program());
    limited.args(program.get_args()).current_dir(place.path());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let output = tokio::task::spawn_blocking(move || limited.output()).await.expect("ended");
    let output = output.expect("program runs");
    let said = text(&output.stdout) + &text(&output.stderr);

    assert!(said.contains("leaves room for 272 connections"), "{said}");
    let report = report(&place.run());
    let of = &figures(&report)["crowd"];
    assert!(of["n"].as_u64() > Some(0), "nothing was sent: {of}\n{said}");
    assert_eq!(of["errors"], json!({}), "the target is blamed: {of}\n{said}");
    let phases = report["phases"].as_array().expect("phases");
    let phase = phases.iter().find(|phase| phase["phase"] == "mixed").expect("load");
    assert_eq!(phase["status"], "invalid", "{phase}\n{said}");
    let reason = phase["reason"].as_str().expect("a reason");
    assert!(reason.contains("out of descriptors or ports"), "{reason}");
}
