//! Engines that are spoken to and not stood beside: faults by helper containers, for users who are
//! not root, over SSH and over TLS.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::platform::{IMAGE, LABEL, Platform, docker, inspected, residue};
use crate::refusals::as_nobody;

fn all_made_and_passed(phase: &Value) {
    let experiments = phase["chaos"]["experiments"].as_array().expect("experiments");
    assert_eq!(experiments.len(), 4, "{phase:#}");
    for experiment in experiments {
        assert_eq!(
            (&experiment["verdict"], &experiment["effective"]),
            (&json!("pass"), &json!(true)),
            "{experiment:#}"
        );
    }
    for name in ["chat", "rag", "mcp"] {
        assert_eq!(inspected(name)["RestartCount"], 1, "{name} was brought back by its policy");
    }
    assert_eq!(residue(), Vec::<String>::new());
}

/// Sets the rights of the engine's socket, in a folder that everybody may enter.
pub fn socket(mode: u32) {
    let host = std::env::var("DOCKER_HOST").expect("set by the suite");
    let path = Path::new(host.strip_prefix("unix://").expect("a socket"));
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    };
    set(path.parent().expect("a folder"), 0o755);
    set(path, mode);
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn a_user_who_is_not_root_needs_only_the_socket() {
    let platform = Platform::new();
    socket(0o666);
    let child = as_nobody(&platform, &[]);
    let (code, phase) = platform.result(child);
    socket(0o600);
    assert_eq!(code, Some(0), "{phase:#}");
    all_made_and_passed(&phase);
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn an_engine_behind_ssh_is_reached_by_the_users_own_ssh() {
    let platform = Platform::new();
    // Takes the place of a login: what is asked for there is run here, as sshd would.
    let folder = platform.place.path().join("bin");
    fs::create_dir_all(&folder).expect("made");
    let log = folder.join("log");
    let script = format!(
        "#!/bin/bash\necho \"$@\" >> {}\nwhile [ \"$1\" != -- ]; do shift; done\nshift 2\nexec \"$@\"\n",
        log.display()
    );
    fs::write(folder.join("ssh"), script).expect("written");
    fs::set_permissions(folder.join("ssh"), fs::Permissions::from_mode(0o755)).expect("set");
    let mut command = platform.place.command(&[]);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", folder.display()));
    let settings =
        ["chaos.docker.hosts=[ssh://ops@elsewhere:2222]", "chaos.docker.helpers=containers"];
    let (code, phase) = platform.result(platform.spawn(command, &settings));
    assert_eq!(code, Some(0), "{phase:#}");
    all_made_and_passed(&phase);
    let log = fs::read_to_string(log).expect("it was used");
    assert!(log.contains("-l ops -p 2222 -- elsewhere docker system dial-stdio"), "{log}");
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn an_engine_is_reached_by_a_real_login() {
    let set = |name: &str| std::env::var(name).expect("set by the suite");
    let (url, client) = (set("LIVE_SSH"), set("LIVE_SSH_CONFIG"));
    let platform = Platform::new();
    let folder = platform.place.path().join("bin");
    fs::create_dir_all(&folder).expect("made");
    // The user's own client and its configuration, which is in a place of the suite's.
    let script = format!("#!/bin/sh\nexec /usr/bin/ssh -F {client} \"$@\"\n");
    fs::write(folder.join("ssh"), script).expect("written");
    fs::set_permissions(folder.join("ssh"), fs::Permissions::from_mode(0o755)).expect("set");
    let mut command = platform.place.command(&[]);
    let path = set("PATH");
    command.env("PATH", format!("{}:{path}", folder.display())).env_remove("DOCKER_HOST");
    let host = format!("chaos.docker.host={url}");
    let made = "chaos.experiments=[kill, cpu, partition]";
    let settings = [host.as_str(), made, "chaos.docker.helpers=containers"];
    let (code, phase) = platform.result(platform.spawn(command, &settings));
    assert_eq!(code, Some(0), "{phase:#}");
    assert_eq!(phase["chaos"]["coverage"], "3/3");
    assert_eq!(residue(), Vec::<String>::new());
    // A login that is refused is said as what it is, and asks nobody for a password.
    let (code, phase) = platform.chaos(&[&host, "chaos.experiments=[kill]"]);
    assert_eq!(code, Some(3), "{phase:#}");
    let reason = phase["reason"].as_str().expect("said");
    assert!(reason.contains("127.0.0.1:22760"), "{reason}");
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn one_run_breaks_containers_of_two_engines_and_leaves_neither_marked() {
    let second = std::env::var("LIVE_SECOND").expect("set by the suite");
    let there = |arguments: &[&str]| docker(&[&["-H", &second], arguments].concat());
    let platform = Platform::without(&["mcp"]);
    crate::platform::import_at(&platform.place.path().join("rootfs"), IMAGE, &second);
    let run = |name: &str, command: &[&str]| {
        let options = ["--network", "host", "--restart", "always", "--label", LABEL, IMAGE];
        there(&[&["run", "-d", "--name", name], &options[..], command].concat());
    };
    run("mcp", &["/bin/httpd", "-f", "-p", "127.0.0.1:18979", "-h", "/www"]);
    run("rag", &["/bin/sleep", "1000"]);
    let first = std::env::var("DOCKER_HOST").expect("set by the suite");
    let hosts = format!("chaos.docker.hosts=[\"{first}\", \"{second}\"]");
    let settings = [
        "services.mcp.endpoint.base_url=http://127.0.0.1:18979",
        "chaos.experiments=[kill]",
        "chaos.kill.count=4",
        "chaos.docker.helpers=containers",
        &hosts,
    ];
    let (code, phase) = platform.chaos(&settings);
    let restarts = |name: &str| there(&["inspect", "-f", "{{.RestartCount}}", name]);
    let restarted = (restarts("mcp"), restarts("rag"));
    let left = there(&["volume", "ls", "-q"]) + &there(&["images", "-q", "shakedown-helper"]);
    there(&["rm", "-f", "mcp", "rag"]);
    platform.serve("mcp", 12, &[]);
    assert_eq!(code, Some(0), "{phase:#}");
    assert_eq!(restarted, ("1".into(), "1".into()), "{phase:#}");
    for name in ["chat", "rag"] {
        assert_eq!(inspected(name)["RestartCount"], 1, "{name}");
    }
    // Two of one name are told apart by their engines.
    for url in [&first, &second] {
        let name = format!("rag@{url}");
        assert!(phase.to_string().contains(&name), "{phase:#}");
    }
    assert_eq!((residue(), left), (Vec::new(), String::new()));
}

#[test]
#[ignore = "needs a Docker engine: .ci/live/docker.sh"]
fn an_engine_is_reached_over_tls_and_by_a_context_of_the_docker_client() {
    let Ok(certificates) = std::env::var("LIVE_CERTIFICATES") else {
        return println!("TLS: not run live, there are no certificates");
    };
    let url = std::env::var("LIVE_TLS").expect("given with the certificates");
    let platform = Platform::new();
    let config = platform.place.path().join("docker");
    let create = |arguments: &[&str]| {
        let output = Command::new("docker")
            .args(arguments)
            .env("DOCKER_CONFIG", &config)
            .env_remove("DOCKER_HOST")
            .output()
            .expect("docker client");
        assert!(output.status.success(), "{}", crate::support::text(&output.stderr));
    };
    let endpoint = format!(
        "host={url},ca={certificates}/ca.pem,cert={certificates}/cert.pem,key={certificates}/key.pem"
    );
    create(&["context", "create", "elsewhere", "--docker", &endpoint]);
    create(&["context", "use", "elsewhere"]);
    let mut command = platform.place.command(&[]);
    command.env("DOCKER_CONFIG", &config).env_remove("DOCKER_HOST");
    let settings = ["chaos.docker.helpers=containers", "chaos.kill.count=1"];
    let experiments = "chaos.experiments=[kill, partition]";
    let (code, phase) =
        platform.result(platform.spawn(command, &[&settings[..], &[experiments]].concat()));
    assert_eq!(code, Some(0), "{phase:#}");
    assert_eq!(phase["chaos"]["coverage"], "2/2");
    // By its address and these certificates; in the clear nobody is let in.
    let host = format!("chaos.docker.host={url}");
    let folder = format!("chaos.docker.certificates={certificates}");
    let kill = ["chaos.experiments=[kill]", "chaos.kill.count=1"];
    let (code, _) = platform.chaos(&[&kill[..], &[&host, &folder]].concat());
    assert_eq!(code, Some(0));
    let (code, phase) = platform.chaos(&[&kill[..], &[&host]].concat());
    assert_eq!(code, Some(3), "{phase:#}");
    assert_eq!(residue(), Vec::<String>::new());
    docker(&["version"]);
}
