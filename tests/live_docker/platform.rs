//! Three services in containers on a network of their own, and what is looked at from outside.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use shakedown::run::folder::RunFolder;

use crate::support::{Workplace, ended, report, text};

pub const IMAGE: &str = "shakedown-live:1";
pub const LABEL: &str = "shakedown.test=live";
pub const SUBNET: &str = "172.31.77";
pub const NETWORK: &str = "shakedown-live";
pub const SERVICES: [&str; 3] = ["chat", "rag", "mcp"];

pub fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().expect("docker client");
    assert!(output.status.success(), "docker {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).trim().to_owned()
}

/// The platform; its containers and its network are removed with this value.
pub struct Platform {
    pub place: Workplace,
}

impl Platform {
    pub fn new() -> Self {
        Self::without(&[])
    }

    /// All services but these, which a test starts in its own way.
    pub fn without(left_out: &[&str]) -> Self {
        let place = Workplace::new();
        import_image(&place.path().join("rootfs"));
        docker(&["network", "create", "--subnet", &format!("{SUBNET}.0/24"), NETWORK]);
        let platform = Self { place };
        let options = ["--restart", "always", "--cpus", "0.5", "--memory", "256m"];
        for (name, host) in SERVICES.into_iter().zip(10..) {
            if !left_out.contains(&name) {
                platform.serve(name, host, &options);
            }
        }
        platform
    }

    pub fn serve(&self, name: &str, host: u32, options: &[&str]) {
        let ip = format!("{SUBNET}.{host}");
        let network = ["--network", NETWORK, "--ip", &ip, "--expose", "8080"];
        let server = ["/bin/httpd", "-f", "-p", "8080", "-h", "/www"];
        self.run(name, &[&network[..], options].concat(), &server);
    }

    /// A container with these options that does this.
    pub fn run(&self, name: &str, options: &[&str], command: &[&str]) {
        let base = ["run", "-d", "--name", name, "--label", LABEL];
        docker(&[&base[..], options, &[IMAGE], command].concat());
    }

    /// Runs the chaos phase with these settings; returns exit code and the phase's section.
    pub fn chaos(&self, settings: &[&str]) -> (Option<i32>, Value) {
        self.result(self.start(settings))
    }

    /// Waits for a run's end; returns exit code and the phase's section.
    pub fn result(&self, child: Child) -> (Option<i32>, Value) {
        let (code, out, err) = ended(child);
        println!("{out}{err}");
        let run = RunFolder::list(&self.place.runs()).into_iter().next_back().expect("a run");
        let report = report(&run);
        let phases = report["phases"].as_array().expect("phases");
        let phase = phases.iter().find(|phase| phase["phase"] == "chaos").expect("chaos").clone();
        (code, phase)
    }

    pub fn start(&self, settings: &[&str]) -> Child {
        self.spawn(self.place.command(&[]), settings)
    }

    /// Starts the chaos phase by this command, which may be of another user.
    pub fn spawn(&self, mut command: Command, settings: &[&str]) -> Child {
        let path = self.place.path().join("shakedown.yaml");
        fs::write(&path, config().to_string()).expect("written");
        command.args(["chaos", "--headless", "--seed", "3", "--config"]).arg(path);
        for setting in settings {
            command.args(["--set", setting]);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("program runs")
    }

    /// What `recover` says; asserts that it healed everything.
    pub fn recover(&self) -> String {
        let recovered = self.place.output(&["recover"]);
        let said = format!("{}{}", text(&recovered.stdout), text(&recovered.stderr));
        assert_eq!(recovered.status.code(), Some(0), "{said}");
        said
    }

    /// Undo entries on record.
    pub fn open_undos(&self) -> usize {
        fs::read_dir(self.place.path().join("state/shakedown/undo")).map_or(0, Iterator::count)
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        let all = docker(&["ps", "-aq", "--filter", &format!("label={LABEL}")]);
        for container in all.lines() {
            docker(&["rm", "-f", container]);
        }
        docker(&["network", "rm", NETWORK]);
    }
}

fn config() -> Value {
    let base = |host: u32| format!("http://{SUBNET}.{host}:8080");
    json!({
        "target": { "name": "live", "environment": "development" },
        "services": {
            "chat": { "endpoint": { "base_url": base(10) }, "model": "m" },
            "rag": { "endpoint": { "base_url": base(11) }, "query": { "path": "/cgi-bin/query" } },
            "mcp": { "endpoint": { "base_url": base(12) }, "path": "/health" },
        },
        "chaos": {
            "runtime": "docker",
            "docker": { "labels": { "shakedown.test": "live" } },
            "depends_on": { "rag": ["chat"] },
            "kill": { "within": "30s", "min_uptime": "1s" },
            "cpu": { "length": "5s" },
            "memory": { "length": "5s", "mebibytes": 64 },
            "partition": { "length": "6s" },
            "steady": { "baseline": "3s", "within": "30s" },
            "probes": { "rag": { "request": { "method": "GET", "path": "/cgi-bin/query" },
                                 "degraded": "/degraded" } },
        },
    })
}

/// A file system of one static binary, and RAG services that bear the loss of chat in their own ways.
fn import_image(rootfs: &Path) {
    for folder in ["bin", "www/cgi-bin", "tmp"] {
        fs::create_dir_all(rootfs.join(folder)).expect("made");
    }
    fs::copy("/bin/busybox", rootfs.join("bin/busybox")).expect("busybox-static is installed");
    for applet in ["sh", "httpd", "sleep"] {
        std::os::unix::fs::symlink("busybox", rootfs.join("bin").join(applet)).expect("linked");
    }
    let script = |path: &str, content: &str| {
        let path = rootfs.join(path);
        fs::write(&path, content).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    };
    fs::write(rootfs.join("www/health"), r#"{"status":"ok"}"#).expect("written");
    let ask = format!(
        "printf 'GET /health HTTP/1.0\\r\\n\\r\\n' | $b timeout 1 $b nc {SUBNET}.10 8080 2>/dev/null \
         | $b grep -q ok"
    );
    let cgi = |name: &str, body: &str| {
        let answer = "ok() { printf 'Content-Type: application/json\\r\\n\\r\\n{\"degraded\":%s}' $1; }\n\
                      bad() { printf 'Status: 503 Busy\\r\\n\\r\\n'; }\n";
        let head = format!("#!/bin/sh\nb=/bin/busybox\nask() {{ {ask}; }}\n{answer}");
        script(&format!("www/cgi-bin/{name}"), &format!("{head}{body}\n"));
    };
    cgi("query", "if ask; then ok false; else ok true; fi");
    cgi("plain", "if ask; then ok false; else bad; fi");
    // Open for three seconds after each failure; then the peer is tried again.
    cgi(
        "breaker",
        "now=$($b date +%s)\nlast=$($b cat /tmp/failed 2>/dev/null || echo 0)\n\
         if [ $((now - last)) -lt 3 ]; then bad; exit; fi\n\
         if ask; then ok false; else $b date +%s > /tmp/failed; bad; fi",
    );
    cgi(
        "storm",
        "if ask; then ok false; else for i in 1 2 3 4 5 6 7 8 9 10 11 12; do \
         $b timeout 1 $b nc {SUBNET}.10 8080 </dev/null >/dev/null 2>&1 & done; wait; bad; fi"
            .replace("{SUBNET}", SUBNET)
            .as_str(),
    );
    // An innocent name outside, a database within.
    let idle = "#!/bin/sh\nwhile :; do sleep 1000; done\n";
    ["bin/postgres", "bin/java"].into_iter().for_each(|path| script(path, idle));
    import(rootfs, IMAGE);
}

/// Imports a root file system as an image.
pub fn import(rootfs: &Path, name: &str) {
    import_at(rootfs, name, &std::env::var("DOCKER_HOST").expect("set by the suite"));
}

/// Imports a root file system as an image of this engine.
pub fn import_at(rootfs: &Path, name: &str, engine: &str) {
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(rootfs).args(["-c", "."]).stdout(Stdio::piped());
    let mut tar = tar.spawn().expect("tar runs");
    let imported = Command::new("docker")
        .args(["-H", engine, "import", "-", name])
        .stdin(tar.stdout.take().expect("piped"))
        .output()
        .expect("docker client");
    assert!(tar.wait().expect("ended").success() && imported.status.success());
}

pub fn inspected(container: &str) -> Value {
    let list: Value = serde_json::from_str(&docker(&["inspect", container])).expect("JSON");
    list[0].clone()
}

pub fn pid(container: &str) -> u64 {
    inspected(container)["State"]["Pid"].as_u64().expect("pid")
}

/// Everything in a container's network namespace, as nft lists it.
pub fn rules(container: &str) -> String {
    let output = Command::new("nsenter")
        .args(["-t", &pid(container).to_string(), "-n", "nft", "list", "ruleset"])
        .output()
        .expect("nsenter");
    text(&output.stdout)
}

/// Everything in a container's network namespace, as iptables saves it.
pub fn chains(container: &str) -> String {
    let pid = pid(container).to_string();
    let save = |tool: &str| {
        let output = Command::new("nsenter").args(["-t", &pid, "-n", tool]).output();
        text(&output.expect("nsenter").stdout)
    };
    save("iptables-legacy-save") + &save("ip6tables-legacy-save")
}

/// Processes in a container's control groups that are not of its image.
fn strangers(container: &str) -> Vec<String> {
    let own = pid(container).to_string();
    let groups = fs::read_to_string(format!("/proc/{own}/cgroup")).unwrap_or_default();
    let folder = |line: &str| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let controller = controllers.split(',').find(|one| ["cpu", "memory"].contains(one))?;
        Some(format!("/sys/fs/cgroup/{controller}{path}"))
    };
    let mut folders: Vec<String> = groups.lines().filter_map(folder).collect();
    if folders.is_empty() {
        let unified = groups.lines().filter_map(|line| line.strip_prefix("0::"));
        folders.extend(unified.map(|path| format!("/sys/fs/cgroup{path}")));
    }
    assert!(groups.is_empty() || !folders.is_empty(), "{groups}");
    let in_folder = |folder: String| {
        let pids = fs::read_to_string(format!("{folder}/cgroup.procs")).unwrap_or_default();
        // Where it lives, it is there: another folder would show no stranger either.
        let is_there = pids.lines().any(|pid| pid == own);
        assert!(
            is_there || !fs::exists(format!("/proc/{own}")).expect("/proc"),
            "{folder}: {pids}"
        );
        let programs =
            pids.lines().filter_map(|pid| fs::read_link(format!("/proc/{pid}/exe")).ok());
        let strange = programs.filter(|program| !program.ends_with("busybox"));
        strange.map(|program| format!("{} in {folder}", program.display())).collect::<Vec<_>>()
    };
    folders.into_iter().flat_map(in_folder).collect()
}

/// What is left in the containers, on the engine and on the machine.
pub fn residue() -> Vec<String> {
    let mut left: Vec<String> = SERVICES
        .into_iter()
        .filter(|name| (rules(name) + &chains(name)).contains("shakedown"))
        .map(|name| format!("a cut in {name}"))
        .collect();
    left.extend(SERVICES.into_iter().flat_map(strangers));
    // Which one, since another suite on this machine may have helpers too: the token names the run.
    let helpers = Command::new("pgrep").args(["-af", "chaos-helper --token"]).output();
    let helpers = text(&helpers.expect("pgrep").stdout);
    left.extend(helpers.lines().map(|helper| format!("a helper process: {helper}")));
    let mut look = |arguments: &[&str], what: &str| {
        let found = docker(arguments);
        left.extend(found.lines().map(|name| format!("{what} {name}")));
    };
    let helpers = ["ps", "-a", "--filter", "label=shakedown.role", "--format", "{{.Names}}"];
    look(&helpers, "helper container");
    look(&["images", "-q", "shakedown-helper"], "image");
    look(&["volume", "ls", "-q", "--filter", "name=shakedown-lease"], "volume");
    left
}
