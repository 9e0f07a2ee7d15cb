//! Whether the login session takes its processes with it when it ends.

use std::fs;
use std::path::{Path, PathBuf};

/// Whether logind would kill a process of this session when the session ends.
pub fn kills_user_processes() -> bool {
    let cgroup = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    if !in_session_scope(&cgroup) {
        return false;
    }
    let texts =
        config_files(Path::new("/")).into_iter().filter_map(|file| fs::read_to_string(file).ok());
    let user = rustix::process::getuid();
    let name = user_name(user.as_raw()).unwrap_or_default();
    LoginSettings::read(texts).kills(&name)
}

/// Whether a scope of its own can be asked for.
pub fn can_start_scope() -> bool {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let manager = runtime.is_some_and(|dir| dir.join("systemd/private").exists());
    let path = std::env::var_os("PATH").unwrap_or_default();
    manager && std::env::split_paths(&path).any(|dir| dir.join("systemd-run").is_file())
}

fn in_session_scope(cgroup: &str) -> bool {
    cgroup
        .lines()
        .filter_map(|line| line.rsplit('/').next())
        .any(|unit| unit.starts_with("session-") && unit.ends_with(".scope"))
}

/// `logind.conf` and its drop-ins in the order in which they override each other.
fn config_files(root: &Path) -> Vec<PathBuf> {
    let folders = ["usr/lib/systemd", "run/systemd", "etc/systemd"].map(|dir| root.join(dir));
    let mut files: Vec<PathBuf> = folders.iter().map(|dir| dir.join("logind.conf")).collect();
    let entries = folders.iter().filter_map(|dir| fs::read_dir(dir.join("logind.conf.d")).ok());
    let mut drop_ins: Vec<PathBuf> =
        entries.flatten().flatten().map(|entry| entry.path()).collect();
    drop_ins.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    files.extend(drop_ins);
    files
}

fn user_name(uid: u32) -> Option<String> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
    })
}

/// The settings of logind that matter here.
#[derive(Debug, PartialEq, Eq)]
struct LoginSettings {
    kill: bool,
    only: Vec<String>,
    exclude: Vec<String>,
}

impl LoginSettings {
    fn read(texts: impl Iterator<Item = String>) -> Self {
        let mut settings = Self { kill: false, only: vec![], exclude: vec!["root".into()] };
        for text in texts {
            for (key, value) in text.lines().filter_map(|line| line.trim().split_once('=')) {
                let users = || value.split_whitespace().map(str::to_owned).collect();
                match key.trim() {
                    "KillUserProcesses" => {
                        settings.kill = matches!(value.trim(), "yes" | "true" | "on" | "1");
                    }
                    "KillOnlyUsers" => settings.only = users(),
                    "KillExcludeUsers" => settings.exclude = users(),
                    _ => {}
                }
            }
        }
        settings
    }

    fn kills(&self, user: &str) -> bool {
        let named = |list: &[String]| list.iter().any(|name| name == user);
        self.kill && !named(&self.exclude) && (self.only.is_empty() || named(&self.only))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(texts: &[&str]) -> LoginSettings {
        LoginSettings::read(texts.iter().map(ToString::to_string))
    }

    #[test]
    fn later_files_override_and_root_is_excluded_by_default() {
        let on = settings(&["[Login]\nKillUserProcesses=no\n", "[Login]\nKillUserProcesses = yes"]);
        assert!(on.kills("anna") && !on.kills("root"));
        assert!(!settings(&["#KillUserProcesses=yes\n"]).kills("anna"));
    }

    #[test]
    fn lists_of_users_are_respected() {
        let some = settings(&["KillUserProcesses=yes\nKillOnlyUsers=anna\nKillExcludeUsers="]);
        assert!(some.kills("anna") && !some.kills("bert"));
    }

    #[test]
    fn a_session_scope_is_told_from_a_service() {
        assert!(in_session_scope("0::/user.slice/user-1000.slice/session-3.scope\n"));
        assert!(!in_session_scope("0::/user.slice/user-1000.slice/user@1000.service/app.scope\n"));
    }
}
