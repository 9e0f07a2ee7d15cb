//! What a Docker engine says of its containers and images; nothing is changed.

use std::collections::HashMap;

use bollard::query_parameters::{InspectContainerOptions, ListContainersOptions};

use crate::platform::docker::is_absent;
use crate::platform::text::excerpt;

/// How long the engine may take to answer.
const PATIENCE_SECONDS: u64 = 20;
/// Most containers that are looked at.
const MAX_CONTAINERS: usize = 200;

/// A Docker engine.
pub struct Docker(bollard::Docker);

/// A running container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// The name of its image.
    pub image: String,
    /// The id of its image.
    pub image_id: String,
    /// Its environment, `NAME=value`.
    pub environment: Vec<String>,
}

/// What runs on an engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// The containers that were looked at, by their names.
    pub containers: Vec<Container>,
    /// What was not looked at, in words; none when that were all.
    pub open: Option<String>,
}

impl Docker {
    /// Connects to an engine on this machine.
    ///
    /// # Errors
    /// When it is elsewhere, or does not answer.
    pub async fn connect(host: &str) -> Result<Self, String> {
        if !host.starts_with("unix://") {
            return Err(format!("Docker engine {host}: expected unix:///..."));
        }
        let version = bollard::API_DEFAULT_VERSION;
        let docker = bollard::Docker::connect_with_unix(host, PATIENCE_SECONDS, version);
        let docker = docker.map_err(|error| said(&error))?.negotiate_version().await;
        let docker = docker.map_err(|_| format!("no Docker engine answers at {host}"))?;
        Ok(Self(docker))
    }

    /// The running containers, all of them or those of a compose project.
    ///
    /// # Errors
    /// When the engine does not say.
    pub async fn containers(&self, project: Option<&str>) -> Result<Running, String> {
        let filters = project.map(|project| {
            let label = format!("com.docker.compose.project={project}");
            HashMap::from([("label".to_owned(), vec![label])])
        });
        let options = ListContainersOptions { filters, ..Default::default() };
        let listed = self.0.list_containers(Some(options)).await.map_err(|error| said(&error))?;
        let ids: Vec<String> = listed.into_iter().filter_map(|one| one.id).collect();
        let mut containers = Vec::new();
        let mut silent: Vec<String> = Vec::new();
        for id in ids.iter().take(MAX_CONTAINERS) {
            let one = match self.0.inspect_container(id, None::<InspectContainerOptions>).await {
                Ok(one) => one,
                // One that has gone meanwhile runs no more.
                Err(error) if is_absent(&error) => continue,
                Err(error) => {
                    silent.push(said(&error));
                    continue;
                }
            };
            let config = one.config.unwrap_or_default();
            containers.push(Container {
                name: excerpt(one.name.unwrap_or_default().trim_start_matches('/')),
                image: excerpt(&config.image.unwrap_or_default()),
                image_id: one.image.unwrap_or_default(),
                environment: config.env.unwrap_or_default(),
            });
        }
        containers.sort_by(|one, other| one.name.cmp(&other.name));
        let more = ids.len().saturating_sub(MAX_CONTAINERS);
        Ok(Running { containers, open: left_open(&silent, more) })
    }

    /// The id of an image; none where the engine does not have it.
    ///
    /// # Errors
    /// When the engine does not say.
    pub async fn image_id(&self, name: &str) -> Result<Option<String>, String> {
        match self.0.inspect_image(name).await {
            Ok(image) => Ok(image.id),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(said(&error)),
        }
    }

    /// The commands that made an image.
    ///
    /// # Errors
    /// When the engine does not say.
    pub async fn history(&self, image: &str) -> Result<Vec<String>, String> {
        let steps = self.0.image_history(image).await.map_err(|error| said(&error))?;
        Ok(steps.into_iter().map(|step| step.created_by).collect())
    }
}

/// Which containers were not looked at, in words: those without an answer, and those that are too many.
fn left_open(silent: &[String], more: usize) -> Option<String> {
    let mut open = Vec::new();
    if let Some(why) = silent.first() {
        open.push(format!("{} containers without an answer ({why})", silent.len()));
    }
    if more > 0 {
        open.push(format!("{more} containers not looked at, {MAX_CONTAINERS} are the most"));
    }
    (!open.is_empty()).then(|| open.join("; "))
}

fn said(error: &bollard::errors::Error) -> String {
    excerpt(&format!("Docker engine: {error}"))
}
