//! Platforms on another stack than the program's: Python's own server, a process of its own.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

/// A running one.
pub struct Platform {
    child: Child,
    out: BufReader<ChildStdout>,
    pub base_url: String,
}

impl Platform {
    /// Starts the one in a folder beside this file, weak or safe.
    pub fn start(folder: &str, safe: bool, environment: &[(&str, &str)]) -> Self {
        let beside = format!("{}/tests/security", env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new("python3")
            .args(["-B", "serve.py"])
            .current_dir(format!("{beside}/{folder}"))
            // How they are served.
            .env("PYTHONPATH", &beside)
            .env("SAFE", if safe { "1" } else { "0" })
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut port = String::new();
        out.read_line(&mut port).expect("a port");
        Self { child, out, base_url: format!("http://127.0.0.1:{}", port.trim()) }
    }

    /// Ends it; what was written into it and is still there.
    pub fn left(mut self) -> Value {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).expect("ended");
        self.child.wait().expect("ended");
        serde_json::from_str(&rest).expect("JSON")
    }
}
