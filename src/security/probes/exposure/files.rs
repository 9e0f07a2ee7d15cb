//! Files that should not be served, and what tells that one really is one.

use crate::security::keys::{is_example, secret_setting};

/// What tells that a body is the file, in words; none when it is something else.
pub type Sign = fn(&str) -> Option<&'static str>;

/// A file that should not be served.
pub struct File {
    /// Its path.
    pub path: &'static str,
    /// What tells that it is it.
    pub sign: Sign,
}

const fn file(path: &'static str, sign: Sign) -> File {
    File { path, sign }
}

/// The files.
pub const FILES: &[File] = &[
    file("/.env", environment),
    file("/.env.local", environment),
    file("/.env.production", environment),
    file("/.git/config", |body| lines(body, "[core]", "a [core] section")),
    file("/.git/HEAD", |body| begins(body, "ref: refs/", "a reference")),
    file("/.aws/credentials", |body| contains(body, "aws_secret_access_key", "an AWS key")),
    file("/.npmrc", |body| contains(body, ":_authToken=", "an npm token")),
    file("/.docker/config.json", |body| contains(body, "\"auths\"", "registry credentials")),
    file("/config.json", secret_settings),
    file("/actuator/env", |body| contains(body, "\"propertySources\"", "Spring's environment")),
    file("/actuator/heapdump", |body| begins(body, "JAVA PROFILE", "a heap dump")),
    file("/debug/pprof/", |body| contains(body, "Types of profiles available", "Go's profiles")),
    file("/debug", nothing),
    file("/metrics", nothing),
    file("/openapi.json", nothing),
    file("/id_rsa", |body| begins(body, "-----BEGIN ", "a key")),
    file("/dump.sql", |body| contains(body, "CREATE TABLE", "tables")),
    file("/backup.sql", |body| contains(body, "CREATE TABLE", "tables")),
    file("/phpinfo.php", |body| contains(body, "<title>phpinfo()", "phpinfo")),
    file("/server-status", |body| contains(body, "Apache Server Status", "Apache's status")),
];

/// A file that may be served, and is only searched for keys.
const fn nothing(_: &str) -> Option<&'static str> {
    None
}

fn begins(body: &str, start: &str, what: &'static str) -> Option<&'static str> {
    body.trim_start().starts_with(start).then_some(what)
}

fn contains(body: &str, part: &str, what: &'static str) -> Option<&'static str> {
    body.contains(part).then_some(what)
}

fn lines(body: &str, line: &str, what: &'static str) -> Option<&'static str> {
    body.lines().any(|one| one.trim() == line).then_some(what)
}

/// Lines of `NAME=value`, and nothing else but comments; not a template, which holds no value of its own.
fn environment(body: &str) -> Option<&'static str> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    let mut settings = 0;
    for line in
        body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (name, value) = line.split_once('=')?;
        if !is_name(name.trim_start_matches("export ").trim()) {
            return None;
        }
        settings += usize::from(!value.is_empty() && !is_example(value));
    }
    (settings > 0).then_some("lines of NAME=value")
}

/// Settings that are called a secret, rather than be about one, and hold it.
fn secret_settings(body: &str) -> Option<&'static str> {
    let value: serde_json::Value = serde_json::from_str(body).ok()?;
    let fields = value.as_object()?;
    let secret = fields.iter().any(|(name, value)| {
        let name = name.to_lowercase();
        let called = ["password", "passwd", "secret", "secret_key", "secretkey", "private_key"];
        called.iter().any(|word| name.ends_with(word))
            && value.as_str().is_some_and(|text| {
                text.len() >= 8 && secret_setting(&format!("{name}={text}")).is_some()
            })
    });
    secret.then_some("a setting that is a secret")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(path: &str, body: &str) -> bool {
        let file = FILES.iter().find(|file| file.path == path).expect("known");
        (file.sign)(body).is_some()
    }

    #[test]
    fn a_file_is_known_by_its_content_and_a_page_is_none() {
        let page = "<!doctype html><p>The application</p>";
        for file in FILES {
            assert!((file.sign)(page).is_none(), "{}", file.path);
            assert!((file.sign)(r#"{"status":"ok"}"#).is_none(), "{}", file.path);
            assert!((file.sign)("").is_none(), "{}", file.path);
        }
        assert!(sign("/.env", "# settings\nDB_PASSWORD=hunter2\n"));
        assert!(!sign("/.env", "status=ok"), "no environment has such names");
        assert!(!sign("/.env", "A=\nB="), "nothing is in it");
        assert!(!sign("/.env", "API_KEY=your-api-key\nSECRET=<generate>"), "a template");
        assert!(sign("/.git/config", "[core]\n\tbare = false"));
        assert!(sign("/config.json", r#"{"db_password":"hunter2hunter2"}"#));
        for public in [
            r#"{"passwordResetUrl":"/account/password/reset"}"#,
            r#"{"forgotPassword":"https://example.com/forgot"}"#,
            r#"{"passwordPolicy":"alphanumeric"}"#,
            r#"{"password":"changeme-please"}"#,
        ] {
            assert!(!sign("/config.json", public), "{public}");
        }
    }
}
