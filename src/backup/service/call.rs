//! Asking the platform for something: by a request, or by a program of the operator's. No shell reads
//! anything, and what runs too long is killed with everything that it started.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderMap;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use crate::backup::stores::DrillError;
use crate::config::{Call, CommandCall, Endpoint, HttpCall, PlatformBackup, TimeSpan, Wait};
use crate::platform::client;
use crate::platform::endpoint::ResolvedEndpoint;
use crate::platform::store::StoreError;
use crate::platform::text::{excerpt, with_causes};

/// Longest answer that is read.
const MOST_BYTES: usize = 1024 * 1024;
/// How much of what a program says at last is kept.
const TAIL_BYTES: usize = 64 * 1024;

/// What came of a call.
#[derive(Debug)]
pub struct Answer {
    /// In one line.
    pub words: String,
    /// The answer, where it is JSON.
    pub json: Option<Value>,
}

/// The backup service, as it is asked.
#[derive(Clone, Copy)]
pub struct Asked<'a>(pub &'a PlatformBackup);

impl Asked<'_> {
    /// Makes a call and waits for its answer.
    ///
    /// # Errors
    /// When it was not taken on, or took too long.
    pub async fn call(self, call: &Call) -> Result<Answer, DrillError> {
        match call {
            Call::Http(http) => self.client(http)?.request(http).await,
            Call::Command(command) => run(command).await,
        }
    }

    /// Asks until a backup is done.
    ///
    /// # Errors
    /// When it failed, or takes too long.
    pub async fn wait(self, wait: &Wait, trigger: &Answer) -> Result<String, DrillError> {
        let question = question(wait, trigger)?;
        let client = self.client(&question)?;
        let deadline = tokio::time::Instant::now() + wait.timeout.get();
        loop {
            let answer = client.request(&question).await?;
            let state = answer.json.as_ref().and_then(|json| json.pointer(&wait.state));
            match state.map(word_of) {
                Some(state) if wait.done.contains(&state) => return Ok(state),
                Some(state) if wait.failed.contains(&state) => {
                    return Err(DrillError::Wrong(format!("the backup service says {state}")));
                }
                state if tokio::time::Instant::now() >= deadline => {
                    let last = state.unwrap_or_else(|| format!("nothing at `{}`", wait.state));
                    return Err(DrillError::Wrong(format!(
                        "not done after {} s, last: {}",
                        wait.timeout.get().as_secs(),
                        excerpt(&last)
                    )));
                }
                _ => tokio::time::sleep(wait.interval.get()).await,
            }
        }
    }

    /// A client for the server of a call, as every other of the platform is made.
    fn client(self, http: &HttpCall) -> Result<Client, DrillError> {
        let failed = |error: &dyn std::fmt::Display| StoreError::new(doing(http), error);
        let url = http.url.parse::<Url>().map_err(|error| failed(&error))?;
        let endpoint = ResolvedEndpoint::resolve(&Endpoint {
            base_url: url.origin().ascii_serialization(),
            health: String::new(),
            headers: http.headers.clone(),
            auth: http.auth.clone(),
            timeout: http.timeout,
            connection: self.0.connection.clone(),
            tls: self.0.tls.clone(),
        });
        let endpoint = endpoint.map_err(|error| failed(&error))?;
        let client = client::builder(&endpoint).map_err(|error| failed(&error))?;
        let client = client.timeout(http.timeout.get()).build();
        Ok(Client { http: client.map_err(|error| failed(&error))?, headers: endpoint.headers })
    }
}

/// A client, and what goes with every request.
struct Client {
    http: reqwest::Client,
    headers: HeaderMap,
}

impl Client {
    async fn request(&self, http: &HttpCall) -> Result<Answer, DrillError> {
        let doing = doing(http);
        let failed = |error: &dyn std::fmt::Display| StoreError::new(&doing, error);
        let method = reqwest::Method::from_bytes(http.method.as_bytes());
        let method = method.map_err(|error| failed(&error))?;
        let mut asked = self.http.request(method, &http.url).headers(self.headers.clone());
        if let Some(body) = &http.body {
            asked = asked.json(body);
        }
        let lost = |error: reqwest::Error| failed(&with_causes(&error.without_url()));
        let mut answer = asked.send().await.map_err(lost)?;
        let status = answer.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(lost)? {
            body.extend_from_slice(&chunk);
            if body.len() > MOST_BYTES {
                return Err(failed(&"its answer is longer than 1 MiB").into());
            }
        }
        let words = format!("{doing}: {status} {}", excerpt(&String::from_utf8_lossy(&body)));
        if http.expect.contains(&status) {
            return Ok(Answer { words, json: serde_json::from_slice(&body).ok() });
        }
        Err(DrillError::Wrong(format!("{words} (expected {:?})", http.expect)))
    }
}

fn doing(http: &HttpCall) -> String {
    format!("{} {}", http.method, excerpt(&http.url))
}

/// The request that asks how far a backup is.
fn question(wait: &Wait, trigger: &Answer) -> Result<HttpCall, DrillError> {
    let id = trigger.json.as_ref().and_then(|json| json.pointer(&wait.id));
    let id = id.map(word_of).unwrap_or_default();
    if wait.url.contains("{id}") && id.is_empty() {
        let reason = format!("the trigger's answer has nothing at `{}`", wait.id);
        return Err(DrillError::Wrong(reason));
    }
    let safe = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
    if !id.chars().all(safe) {
        return Err(DrillError::Wrong(format!("`{}` is no id for a URL", excerpt(&id))));
    }
    Ok(HttpCall {
        method: "GET".into(),
        url: wait.url.replace("{id}", &id),
        headers: Default::default(),
        auth: wait.auth.clone(),
        body: None,
        expect: vec![200],
        timeout: TimeSpan::secs(30),
    })
}

fn word_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A process group that is at work; what is left of it dies with this value.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

async fn run(command: &CommandCall) -> Result<Answer, DrillError> {
    let Some((program, arguments)) = command.argv.split_first() else {
        return Err(DrillError::Wrong("expected a program in `argv`".into()));
    };
    let doing = excerpt(program);
    let failed = |error: std::io::Error| StoreError::new(&doing, error);
    let kept = command.env.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(kept)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let mut group = Group(pid);
    let (out, errors) = (child.stdout.take(), child.stderr.take());
    let all = async { tokio::join!(child.wait(), tail(out), tail(errors)) };
    let limit = command.timeout.get();
    let Ok((status, out, errors)) = tokio::time::timeout(limit, all).await else {
        return Err(DrillError::Wrong(format!("{doing}: killed after {} s", whole(limit))));
    };
    // It has ended by itself: a server that it started, or the backup that goes on, is not cut short.
    group.0 = None;
    let status = status.map_err(failed)?;
    let said = if errors.trim().is_empty() { &out } else { &errors };
    let last = said.trim().lines().last().unwrap_or_default();
    if status.success() {
        let json = serde_json::from_str(out.trim()).ok();
        return Ok(Answer { words: format!("{doing}: done {}", excerpt(last)), json });
    }
    let how = status.signal().map_or_else(
        || format!("exit code {}", status.code().unwrap_or(-1)),
        |signal| format!("signal {signal}"),
    );
    Err(DrillError::Wrong(format!("{doing}: {how}: {}", excerpt(last))))
}

const fn whole(time: Duration) -> u64 {
    time.as_secs()
}

/// The last of what a program says; all of it is read, so that it never waits for us.
async fn tail(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else { return String::new() };
    let (mut kept, mut piece) = (Vec::new(), vec![0; 8192]);
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        kept.extend_from_slice(&piece[..length]);
        if kept.len() > 2 * TAIL_BYTES {
            kept.drain(..kept.len() - TAIL_BYTES);
        }
    }
    String::from_utf8_lossy(&kept[kept.len().saturating_sub(TAIL_BYTES)..]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(argv: &[&str], timeout: TimeSpan) -> CommandCall {
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        CommandCall { argv, env: vec!["PATH".into()], timeout }
    }

    #[tokio::test]
    async fn a_program_is_given_its_words_as_they_are_and_no_foreign_variables() {
        let say = command(&["printf", "%s", "{\"id\": \"$HOME; a b\"}"], TimeSpan::secs(20));
        let answer = run(&say).await.expect("done");
        assert_eq!(answer.json.expect("JSON")["id"], "$HOME; a b");
        let answer = run(&command(&["env"], TimeSpan::secs(20))).await.expect("done");
        assert!(answer.words.starts_with("env: done PATH="), "{}", answer.words);
        let error = run(&command(&["false"], TimeSpan::secs(20))).await.expect_err("failed");
        assert!(error.to_string().contains("exit code 1"), "{error}");
        assert!(run(&command(&["/nonesuch"], TimeSpan::secs(20))).await.is_err());
    }

    #[tokio::test]
    async fn what_a_program_leaves_at_work_when_it_has_ended_goes_on() {
        let temp = tempfile::tempdir().expect("folder");
        let script = temp.path().join("restore");
        let (go, done) = (temp.path().join("go"), temp.path().join("done"));
        let text = format!(
            "#!/bin/bash\n{{ for i in {{1..600}}; do [ -e {} ] && break; sleep 0.05; done; touch {}; }} \
             >/dev/null 2>&1 &\necho '{{\"id\": 1}}'\n",
            go.display(),
            done.display()
        );
        std::fs::write(&script, text).expect("written");
        let path = script.to_str().expect("UTF-8");
        let answer = run(&command(&["bash", path], TimeSpan::secs(20))).await.expect("started");
        assert!(answer.json.is_some() && !done.exists(), "it returns before that is done");
        std::fs::write(&go, "").expect("written");
        for _ in 0..200 {
            if done.exists() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("what it had started was cut short");
    }

    #[tokio::test]
    async fn what_takes_too_long_is_killed_with_everything_that_it_started() {
        let temp = tempfile::tempdir().expect("folder");
        let script = temp.path().join("backup");
        let pid = temp.path().join("pid");
        let text = format!("#!/bin/bash\nsleep 300 &\necho $! > {}\nwait\n", pid.display());
        std::fs::write(&script, text).expect("written");
        let path = script.to_str().expect("UTF-8");
        let limit = TimeSpan::millis(1500);
        let error = run(&command(&["bash", path], limit)).await.expect_err("killed");
        assert!(error.to_string().contains("killed after"), "{error}");
        let pid = std::fs::read_to_string(pid).expect("it had begun");
        for _ in 0..200 {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
            // Dead, but not collected by whoever inherited it, is dead.
            if stat.map_or(true, |stat| stat.contains(") Z ")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("its child lives on");
    }
}
