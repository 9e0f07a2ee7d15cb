//! Which engines are meant: by configuration, by `DOCKER_HOST`, by a context of the Docker client,
//! or the usual socket, in this order.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::chaos::runtime::RuntimeError;
use crate::config::Docker;

const DEFAULT_SOCKET: &str = "unix:///var/run/docker.sock";
/// An engine that is named by a context of the Docker client.
const CONTEXT: &str = "context:";

/// Where an engine is, and how it is spoken to. Stands in undo entries: complete by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// `unix://`, `tcp://` or `ssh://`.
    pub url: String,
    /// Certificates for `tcp://`; without them it is spoken to in the clear.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFiles>,
}

/// Certificates of the Docker client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFiles {
    /// The authority that signed the engine's.
    pub ca: PathBuf,
    /// The client's own.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl TlsFiles {
    fn within(folder: &Path) -> Self {
        let file = |name| folder.join(name);
        Self { ca: file("ca.pem"), cert: file("cert.pem"), key: file("key.pem") }
    }
}

/// What a process finds around it: variables, and the folder of the Docker client.
pub struct Surroundings<'a> {
    /// An environment variable that is not empty.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Surroundings<'_> {
    fn folder(&self) -> PathBuf {
        let home = || PathBuf::from((self.variable)("HOME").unwrap_or_default()).join(".docker");
        (self.variable)("DOCKER_CONFIG").map_or_else(home, PathBuf::from)
    }

    /// `DOCKER_TLS_VERIFY` asks for certificates, `DOCKER_CERT_PATH` says where they are.
    fn tls(&self) -> Option<TlsFiles> {
        (self.variable)("DOCKER_TLS_VERIFY")?;
        let folder = (self.variable)("DOCKER_CERT_PATH").map(PathBuf::from);
        Some(TlsFiles::within(&folder.unwrap_or_else(|| self.folder())))
    }

    /// The context that the Docker client would use, unless it is its default.
    fn current_context(&self) -> Option<String> {
        let configured = || {
            let text = fs::read(self.folder().join("config.json")).ok()?;
            let config: Value = serde_json::from_slice(&text).ok()?;
            Some(config.get("currentContext")?.as_str()?.to_owned())
        };
        let name = (self.variable)("DOCKER_CONTEXT").or_else(configured)?;
        (name != "default" && !name.is_empty()).then_some(name)
    }

    /// A context of the Docker client: `contexts/meta/<digest of its name>/meta.json`.
    fn context(&self, name: &str) -> Result<Address, RuntimeError> {
        let digest = Sha256::digest(name.as_bytes());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let contexts = self.folder().join("contexts");
        let path = contexts.join("meta").join(&digest).join("meta.json");
        let unusable = |why: String| {
            RuntimeError::new(format!("Docker context {name}: {}: {why}", path.display()))
        };
        let text = fs::read(&path).map_err(|error| unusable(error.to_string()))?;
        let meta: Value = serde_json::from_slice(&text).map_err(|e| unusable(e.to_string()))?;
        let url = meta.pointer("/Endpoints/docker/Host").and_then(Value::as_str);
        let url = url.ok_or_else(|| unusable("expected Endpoints.docker.Host".into()))?;
        let certificates = contexts.join("tls").join(&digest).join("docker");
        let tls = certificates.join("cert.pem").exists().then(|| TlsFiles::within(&certificates));
        checked(Address { url: url.to_owned(), tls })
    }
}

/// The engines that are meant.
///
/// # Errors
/// When one of them is named in a way that is not understood, or its context cannot be read.
pub fn resolve(docker: &Docker, around: &Surroundings<'_>) -> Result<Vec<Address>, RuntimeError> {
    let configured: Vec<&String> = docker.host.iter().chain(&docker.hosts).collect();
    if configured.is_empty() {
        return match (around.variable)("DOCKER_HOST") {
            Some(url) => Ok(vec![checked(Address { url, tls: around.tls() })?]),
            None => match around.current_context() {
                Some(name) => Ok(vec![around.context(&name)?]),
                None => Ok(vec![Address { url: DEFAULT_SOCKET.into(), tls: None }]),
            },
        };
    }
    let tls = docker.certificates.as_deref().map(TlsFiles::within).or_else(|| around.tls());
    let address = |host: &String| match host.strip_prefix(CONTEXT) {
        Some(name) => around.context(name),
        None => checked(Address { url: host.clone(), tls: tls.clone() }),
    };
    configured.into_iter().map(address).collect()
}

fn checked(address: Address) -> Result<Address, RuntimeError> {
    let url = &address.url;
    match url.split_once("://") {
        Some(("unix", path)) if path.starts_with('/') => Ok(Address { tls: None, ..address }),
        Some(("ssh", _)) => Ok(Address { tls: None, ..address }),
        Some(("tcp", rest)) if rest.contains(':') => Ok(address),
        _ => Err(RuntimeError::new(format!(
            "Docker engine {url}: expected unix:///PATH, tcp://HOST:PORT, ssh://USER@HOST or \
             context:NAME"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(docker: &Docker, variables: &[(&str, &str)]) -> Result<Vec<Address>, RuntimeError> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(of, _)| *of == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        resolve(docker, &Surroundings { variable: &variable })
    }

    fn urls(found: Result<Vec<Address>, RuntimeError>) -> Vec<String> {
        found.expect("understood").into_iter().map(|address| address.url).collect()
    }

    #[test]
    fn configuration_comes_before_the_environment_and_this_before_a_context() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let digest =
            Sha256::digest(b"prod").iter().fold(String::new(), |s, b| s + &format!("{b:02x}"));
        let meta = folder.path().join("contexts/meta").join(&digest);
        fs::create_dir_all(&meta).expect("made");
        let endpoint = r#"{"Name":"prod","Endpoints":{"docker":{"Host":"tcp://db1:2376"}}}"#;
        fs::write(meta.join("meta.json"), endpoint).expect("written");
        let tls = folder.path().join("contexts/tls").join(&digest).join("docker");
        fs::create_dir_all(&tls).expect("made");
        fs::write(tls.join("cert.pem"), "").expect("written");
        fs::write(folder.path().join("config.json"), r#"{"currentContext":"prod"}"#).expect("w");
        let config = folder.path().to_str().expect("text");

        let none = Docker::default();
        assert_eq!(urls(found(&none, &[])), [DEFAULT_SOCKET]);
        let context = found(&none, &[("DOCKER_CONFIG", config)]).expect("understood");
        assert_eq!(context[0].url, "tcp://db1:2376");
        assert_eq!(context[0].tls.as_ref().expect("certificates").ca, tls.join("ca.pem"));
        let environment = [("DOCKER_CONFIG", config), ("DOCKER_HOST", "unix:///run/d.sock")];
        assert_eq!(urls(found(&none, &environment)), ["unix:///run/d.sock"]);
        let several = Docker {
            hosts: vec!["ssh://ops@db2:2222".into(), "context:prod".into()],
            ..Docker::default()
        };
        assert_eq!(urls(found(&several, &environment)), ["ssh://ops@db2:2222", "tcp://db1:2376"]);
        let unknown = Docker { host: Some("context:test".into()), ..Docker::default() };
        assert!(found(&unknown, &environment).is_err());
    }

    #[test]
    fn certificates_are_those_that_the_docker_client_would_use() {
        let variables =
            [("DOCKER_HOST", "tcp://a:2376"), ("DOCKER_TLS_VERIFY", "1"), ("HOME", "/home/me")];
        let found_tls = found(&Docker::default(), &variables).expect("understood").remove(0).tls;
        assert_eq!(found_tls.expect("asked for").key, Path::new("/home/me/.docker/key.pem"));
        for wrong in ["db1:2376", "tcp://db1", "http://db1:2375", "unix://relative"] {
            let docker = Docker { host: Some(wrong.into()), ..Docker::default() };
            assert!(found(&docker, &[]).is_err(), "{wrong}");
        }
    }
}
