//! The commands that Trivy is given.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::watch;

use super::database;
use super::report::Report;
use super::runner::{Ran, run};
use crate::config::{Images, TrivyContainer};
use crate::platform::tethered::tethered;
use crate::platform::text::{MAX_EXCERPT, excerpt};
use crate::run::event::VulnerabilityDatabase;

/// How what is told of a database begins that is as it was.
pub const NOT_DOWNLOADED: &str = "not downloaded";
/// How long a question that needs no work may take.
const SHORT: Duration = Duration::from_secs(60);
/// Where Trivy keeps its cache in a container.
const CACHE: &str = "/root/.cache/trivy";
/// What keeps Trivy from asking anybody anything but what it is told to, and makes it tell which packages
/// it found; older versions do not know all of them, and ignore those.
const SETTINGS: [(&str, &str); 4] = [
    ("TRIVY_SKIP_VERSION_CHECK", "true"),
    ("TRIVY_DISABLE_TELEMETRY", "true"),
    ("TRIVY_SKIP_CHECK_UPDATE", "true"),
    ("TRIVY_LIST_ALL_PKGS", "true"),
];

/// Trivy, as it is configured.
pub struct Trivy<'a> {
    images: &'a Images,
    open: watch::Receiver<bool>,
}

impl<'a> Trivy<'a> {
    /// One that waits, and is stopped, while `open` is false.
    pub const fn new(images: &'a Images, open: watch::Receiver<bool>) -> Self {
        Self { images, open }
    }

    /// Brings the database up to date, once, and says how old it is.
    ///
    /// # Errors
    /// When Trivy cannot be run, or has no database.
    pub async fn prepare(&self) -> Result<VulnerabilityDatabase, String> {
        let mut detail = format!("{NOT_DOWNLOADED}: offline");
        if self.images.server.is_some() {
            detail = "held by the server".into();
        } else if !self.images.offline {
            let mut arguments = words(&["image", "--download-db-only", "--quiet", "--no-progress"]);
            if !self.images.db_repositories.is_empty() {
                arguments.push("--db-repository".into());
                arguments.push(self.images.db_repositories.join(","));
            }
            let ran = self.run(arguments, self.images.patience.get(), &[], &mut |_| {}).await?;
            detail = if ran.status.success() {
                "up to date".into()
            } else {
                // What is in the cache may do; how old it is stands beside it.
                format!("{NOT_DOWNLOADED}: {}", why(&ran))
            };
        }
        let ran =
            self.run(words(&["version", "--format", "json"]), SHORT, &[], &mut |_| {}).await?;
        let mut database = database::parse(&ran.output);
        let missing = database.updated.is_none() && detail.starts_with(NOT_DOWNLOADED);
        if missing && !self.images.offline {
            return Err(format!("Trivy has no database: {detail}"));
        }
        database.detail = excerpt(&detail);
        Ok(database)
    }

    /// Scans an image; `told` is given each step that Trivy tells of.
    ///
    /// # Errors
    /// Why there is no report.
    pub async fn image(
        &self,
        reference: &str,
        told: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Report, String> {
        let mut arguments = words(&["image", "--format", "json", "--severity", "HIGH,CRITICAL"]);
        arguments.extend(words(&["--scanners", "vuln", "--exit-code", "0", "--no-progress"]));
        let patience = self.images.patience.get();
        arguments.extend(["--timeout".into(), format!("{}s", patience.as_secs())]);
        match &self.images.server {
            Some(server) => arguments.extend(["--server".into(), server.clone()]),
            None => arguments.push("--skip-db-update".into()),
        }
        if self.images.offline {
            arguments.extend(words(&["--skip-java-db-update", "--offline-scan"]));
            // Not from a registry.
            arguments.extend(words(&["--image-src", "docker,containerd,podman"]));
        }
        let mut files: Vec<&Path> = Vec::new();
        if let Some(file) = &self.images.ignore_file {
            arguments.extend(["--ignorefile".into(), file.display().to_string()]);
            files.push(file);
        }
        for vex in &self.images.vex {
            arguments.extend(["--vex".into(), vex.display().to_string()]);
            files.push(vex);
        }
        // After the options nothing is taken for one any more, whatever an image is called.
        arguments.extend(["--".into(), reference.to_owned()]);
        // Trivy ends by itself before.
        let patience = patience + Duration::from_secs(30);
        let mut steps = |line: &str| step(line).iter().for_each(|step| told(step));
        let ran = self.run(arguments, patience, &files, &mut steps).await?;
        if !ran.status.success() {
            return Err(why(&ran));
        }
        Report::parse(&ran.output)
    }

    async fn run(
        &self,
        arguments: Vec<String>,
        patience: Duration,
        files: &[&Path],
        told: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Ran, String> {
        match &self.images.container {
            None => {
                let program = self.images.trivy.as_deref().unwrap_or(Path::new("trivy"));
                let name = program.display().to_string();
                let command = tethered(program);
                let mut command =
                    command.map_err(|error| format!("{name} cannot be run: {error}"))?;
                command.envs(SETTINGS);
                if let Some(cache) = &self.images.cache {
                    command.env("TRIVY_CACHE_DIR", cache);
                }
                command.args(arguments);
                run(&name, command, patience, self.open.clone(), told).await
            }
            Some(container) => {
                let held = Held::new(container);
                let command = held.command(self.images, arguments, files);
                let name = container.runner.display().to_string();
                run(&name, command, patience, self.open.clone(), told).await
            }
        }
    }
}

/// A container that is gone when this is.
struct Held<'a> {
    container: &'a TrivyContainer,
    name: String,
}

impl<'a> Held<'a> {
    fn new(container: &'a TrivyContainer) -> Self {
        Self { container, name: format!("shakedown-trivy-{:012x}", rand::random::<u64>() >> 16) }
    }

    fn command(&self, images: &Images, arguments: Vec<String>, files: &[&Path]) -> Command {
        let mut command = Command::new(&self.container.runner);
        command.args(["run", "--rm", "--name", &self.name, "--label", "shakedown.role=trivy"]);
        let socket = self.container.socket.display();
        command.arg("-v").arg(format!("{socket}:/var/run/docker.sock:ro"));
        match &images.cache {
            Some(cache) => command.arg("-v").arg(format!("{}:{CACHE}", cache.display())),
            // A volume of its own name, so that the database is downloaded once and not for every image.
            None => command.arg("-v").arg(format!("shakedown-trivy-cache:{CACHE}")),
        };
        for file in files {
            let path = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
            command.arg("-v").arg(format!("{}:{}:ro", path.display(), file.display()));
        }
        for (name, value) in SETTINGS {
            command.arg("-e").arg(format!("{name}={value}"));
        }
        // The operator's own settings go along, by name: their values stay out of the list of processes.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TRIVY_")) {
            command.arg("-e").arg(name);
        }
        command.arg(&self.container.image).args(arguments);
        command
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // The end of the client does not end the container. One that has ended by itself is gone.
        let mut command = std::process::Command::new(&self.container.runner);
        command.args(["rm", "-f", &self.name]);
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Ok(mut child) = quiet.spawn() {
            std::thread::spawn(move || child.wait());
        }
    }
}

fn words(all: &[&str]) -> Vec<String> {
    all.iter().map(|&word| word.to_owned()).collect()
}

/// What Trivy is doing, of a line of its log: time, level, and what it says with its details; none of
/// what is no news.
fn step(line: &str) -> Option<String> {
    let (_, said) = line.split_once("INFO")?;
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    (!said.is_empty()).then(|| excerpt(&said))
}

/// The last line that says what went wrong: Trivy's own, or that of the program that runs containers,
/// which ends with advice.
fn why(ran: &Ran) -> String {
    let lines: Vec<&str> = ran.errors.lines().filter(|line| !line.trim().is_empty()).collect();
    let tells = |line: &&str| ["FATAL", "ERROR", "Error"].iter().any(|word| line.contains(word));
    let Some(at) = lines.iter().rposition(tells) else {
        // Killed, for its memory or otherwise: the last that it said is not why.
        let last = lines.last().map_or_else(|| "nothing".into(), |line| format!("`{line}`"));
        return excerpt(&format!(
            "Trivy ended with {} and does not say why; its last words: {last}",
            ran.status
        ));
    };
    let line = lines[at];
    let told = line.rsplit_once("FATAL").map_or(line, |(_, told)| told.trim());
    let told = told.strip_prefix("Fatal error").unwrap_or(told).trim();
    // A single cause stands in the line below.
    match (told.strip_suffix(" 1 error occurred:"), lines.get(at + 1)) {
        (Some(told), Some(only)) => excerpt(end_of_chain(&format!("{told} {}", only.trim()))),
        _ => excerpt(end_of_chain(told)),
    }
}

/// What does not fit is left out in front: each link says why of the one before.
fn end_of_chain(mut told: &str) -> &str {
    while told.chars().count() > MAX_EXCERPT
        && let Some((_, why)) = told.split_once(": ")
    {
        told = why;
    }
    told
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn the_reason_is_told_and_not_the_advice_after_it() {
        let status = std::process::ExitStatus::from_raw(9);
        let said = |errors: &str| why(&Ran { status, output: vec![], errors: errors.into() });
        // As Docker says it of an image that is nowhere.
        let docker = "Unable to find image 'no-such:1' locally\n\
            docker: Error response from daemon: pull access denied for no-such, repository does not \
            exist\n\nRun 'docker run --help' for more information\n";
        assert!(said(docker).contains("pull access denied for no-such"), "{}", said(docker));
        // As Trivy 0.74 says it.
        let absent = "2026-11-29T00:39:08Z\tFATAL\tFatal error\trun error: image scan error: scan error: \
            unable to initialize a scan service: unable to initialize artifact: unable to initialize \
            container image: unable to find the specified image \"nosuch\" in [\"docker\" \"remote\"]: 4 \
            errors occurred:\n\t* docker error: no daemon\n\t* remote error: no such host\n\n\n";
        assert!(said(absent).contains("unable to find the specified image \"nosuch\""));
        let download = "2026-11-29T00:39:08Z\tFATAL\tFatal error\trun error: init error: DB error: failed \
            to download vulnerability DB: OCI artifact error: failed to download vulnerability DB: failed \
            to download artifact from mirror.gcr.io/aquasec/trivy-db:2: OCI repository error: 1 error \
            occurred:\n\t* Get \"https://mirror.gcr.io/v2/\": dial tcp: lookup mirror.gcr.io: no such \
            host\n\n\n";
        assert!(
            said(download).ends_with("lookup mirror.gcr.io: no such host"),
            "{}",
            said(download)
        );
        let first = "2026-11-29T00:38:45Z\tFATAL\tFatal error\trun error: init error: DB error: database \
            error: --skip-db-update cannot be specified on the first run\n";
        assert!(said(first).starts_with("run error: init error"), "{}", said(first));
        let killed = said("2026-11-29T00:38:45Z\tINFO\tScanning\n\n");
        assert!(killed.contains("signal: 9") && killed.contains("Scanning`"), "{killed}");
        assert!(said("").ends_with("its last words: nothing"), "{}", said(""));
    }

    #[test]
    fn what_trivy_is_doing_is_read_from_its_log() {
        let os = "2026-11-29T00:39:08Z\tINFO\tDetected OS\tfamily=\"alpine\" version=\"3.10.2\"";
        assert_eq!(step(os).as_deref(), Some("Detected OS family=\"alpine\" version=\"3.10.2\""));
        assert_eq!(step("2026-11-29T00:39:08Z\tWARN\tsomething"), None);
        assert_eq!(step(""), None);
    }
}
