//! Whether the end of a login session ends what was started in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What becomes of a process of this terminal when its user logs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtLogout {
    /// It goes on.
    GoesOn,
    /// It ends with this session: logind kills what the session leaves (`KillUserProcesses`).
    EndsWithSession,
    /// It ends with the last session of the user, whose service manager it belongs to.
    EndsWithLastSession,
}

impl AtLogout {
    /// Looks where this process is, and what logind is going to do.
    pub fn look() -> Self {
        let cgroup = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        match Place::of(&cgroup) {
            Place::Session if login_settings().kills(&user()) => Self::EndsWithSession,
            Place::UserManager if !lingers() => Self::EndsWithLastSession,
            _ => Self::GoesOn,
        }
    }
}

/// Whether the user's service manager, and what runs below it, outlives the user's last session.
pub fn lingers() -> bool {
    Path::new("/var/lib/systemd/linger").join(user()).is_file()
}

/// The command that starts another one in a scope of its own.
pub fn scope() -> Command {
    let mut scope = Command::new("systemd-run");
    scope.args(["--user", "--scope", "--quiet", "--collect", "--"]);
    scope
}

/// Whether a scope of its own can be had: found out by one, since a manager may be there and not answer.
pub fn can_start_scope() -> bool {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let manager = runtime.is_some_and(|dir| dir.join("systemd/private").exists());
    let mut tried = scope();
    tried.arg("true").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    manager && tried.status().is_ok_and(|status| status.success())
}

/// Where a process stands among the units of systemd.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Session,
    UserManager,
    Elsewhere,
}

impl Place {
    fn of(cgroup: &str) -> Self {
        let mut units = cgroup.lines().flat_map(|line| line.split('/').skip(1));
        let named =
            |unit: &str, start: &str, end: &str| unit.starts_with(start) && unit.ends_with(end);
        // The outer unit decides: a scope below a user's manager may have any name.
        let of_unit = |unit: &str| match unit {
            _ if named(unit, "user@", ".service") => Some(Self::UserManager),
            _ if named(unit, "session-", ".scope") => Some(Self::Session),
            _ => None,
        };
        units.find_map(of_unit).unwrap_or(Self::Elsewhere)
    }
}

/// What logind says that it does, else what it is told by its files.
fn login_settings() -> LoginSettings {
    ask_logind().unwrap_or_else(|| {
        let files = config_files(Path::new("/")).into_iter();
        LoginSettings::read(files.filter_map(|file| fs::read_to_string(file).ok()))
    })
}

fn ask_logind() -> Option<LoginSettings> {
    let mut ask = Command::new("busctl");
    ask.args(["--system", "--timeout=2", "get-property", "org.freedesktop.login1"]);
    ask.args(["/org/freedesktop/login1", "org.freedesktop.login1.Manager"]);
    ask.args(["KillUserProcesses", "KillOnlyUsers", "KillExcludeUsers"]);
    let answered = ask.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(answered.stdout).ok().filter(|_| answered.status.success())?;
    LoginSettings::answered(&text)
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

/// The user's name; one that a directory service knows stands only in the environment.
fn user() -> String {
    let uid = rustix::process::getuid().as_raw().to_string();
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let known = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    });
    known.or_else(|| std::env::var("USER").ok()).unwrap_or_default()
}

/// The settings of logind that matter here.
#[derive(Debug, PartialEq, Eq)]
struct LoginSettings {
    kill: bool,
    only: Vec<String>,
    exclude: Vec<String>,
}

impl LoginSettings {
    /// From the files, of which a later one overrides.
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

    /// From the three properties as `busctl` prints them: `b true`, `as 1 "anna"`.
    fn answered(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let kill = lines.next()? == "b true";
        let mut users = || {
            let names = lines.next()?.strip_prefix("as ")?.split(' ').skip(1);
            Some(names.map(|name| name.trim_matches('"').to_owned()).collect::<Vec<_>>())
        };
        let (only, mut exclude) = (users()?, users()?);
        if exclude.is_empty() {
            // Said of a list that nobody has set, too, and root is excluded then.
            exclude.push("root".into());
        }
        Some(Self { kill, only, exclude })
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
    fn what_logind_answers_is_understood_and_anything_else_is_no_answer() {
        let said = |text| LoginSettings::answered(text);
        let on = said("b true\nas 0\nas 0\n").expect("an answer");
        assert!(on.kills("anna") && !on.kills("root"));
        let some = said("b true\nas 2 \"anna\" \"bert\"\nas 1 \"bert\"\n").expect("an answer");
        assert!(some.kills("anna") && !some.kills("bert") && !some.kills("carl"));
        assert!(!said("b false\nas 0\nas 0\n").expect("an answer").kills("anna"));
        assert_eq!(said("b true\n"), None);
        assert_eq!(said("Failed to connect\n"), None);
    }

    #[test]
    fn a_session_a_users_manager_and_a_service_are_told_apart() {
        let slice = "0::/user.slice/user-1000.slice";
        let place = |unit: &str| Place::of(&format!("1:cpu:/\n{slice}/{unit}\n"));
        assert_eq!(place("session-3.scope"), Place::Session);
        assert_eq!(place("session-c1.scope/below"), Place::Session);
        assert_eq!(place("user@1000.service/app.slice/run-r1.scope"), Place::UserManager);
        assert_eq!(place("user@1000.service/session-3.scope"), Place::UserManager);
        assert_eq!(Place::of("0::/system.slice/ci.service\n"), Place::Elsewhere);
        assert_eq!(Place::of("0::/\n"), Place::Elsewhere);
    }
}
