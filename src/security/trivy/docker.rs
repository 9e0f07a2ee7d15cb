//! What a Docker engine says of its containers and images; nothing is changed.

use std::collections::HashMap;

use bollard::query_parameters::{InspectContainerOptions, ListContainersOptions};

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
    pub async fn containers(&self, project: Option<&str>) -> Result<Vec<Container>, String> {
        let filters = project.map(|project| {
            let label = format!("com.docker.compose.project={project}");
            HashMap::from([("label".to_owned(), vec![label])])
        });
        let options = ListContainersOptions { filters, ..Default::default() };
        let listed = self.0.list_containers(Some(options)).await.map_err(|error| said(&error))?;
        let mut containers = Vec::new();
        for id in listed.into_iter().filter_map(|one| one.id).take(MAX_CONTAINERS) {
            // One that has gone meanwhile runs no more.
            let Ok(one) = self.0.inspect_container(&id, None::<InspectContainerOptions>).await
            else {
                continue;
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
        Ok(containers)
    }

    /// The id of an image, where the engine has it.
    pub async fn image_id(&self, name: &str) -> Option<String> {
        self.0.inspect_image(name).await.ok()?.id
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

fn said(error: &bollard::errors::Error) -> String {
    excerpt(&format!("Docker engine: {error}"))
}
